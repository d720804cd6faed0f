r"""What a camera sees of its polygon when walls stand in the way: a lower envelope of segments, seen from the apex.

The polygon is apex and N chords. Seen from the apex, each chord covers an interval of directions, and so does each
wall. The boundary of what is visible is, in every direction, the nearest of them.

        q . . . . . p        An element of the envelope: the segment from p to q, seen between the angles t0 and t1
         \    E    /         (radians, counter-clockwise from the right edge of the field of view). Coordinates are
          \  a---/---b       relative to the apex. Wall a → b is met here from a on; the element becomes two, p → E(a)
           \    /            and the piece of the wall. What lies beyond, seen from the apex, is hidden.
            apex

Walls are put in one after the other. Within the directions that a wall and an element have in common, 1/distance of
either is a sine of the direction, so that they cross at most once, and the two ends of the interval decide.

Degenerate input. Angles only sort; points come from the lines themselves, as convex combinations that rounding cannot
carry beyond an end. Walls seen edge-on cover no direction and hide nothing. Walls at the same distance, as two houses
share one, are ties: the one that was there stays, and the area is the same. Walls that cross or
overlap are as good as any. A wall nearer than `TOUCH_M` to the apex is never handed over, so that no distance is 0.

Source: the incremental lower envelope of segments; for star-shaped polygons any textbook of computational geometry.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from relabel.jit import compiled, inlined

TWO_PI = 2.0 * math.pi
HALF_TURN = math.pi + 4e-15  # half a turn, and what rounding adds to it
THIN = 1e-13  # radians: what is seen under a smaller angle is rounding
TIE = 1e-13  # distances that differ by less, relatively, are equal
T0, T1, PX, PY, QX, QY = range(6)


@inlined
def along(ax: Any, ay: Any, bx: Any, by: Any, ux: Any, uy: Any) -> Any:
    """How far on the way from a to b the direction u is met, in [0, 1]; a, u, b turn counter-clockwise."""
    past = ax * uy - ay * ux
    left = ux * by - uy * bx
    whole = past + left
    return min(max(past / whole, 0.0), 1.0) if whole > 0.0 else 0.5


@inlined
def nearer(nx: Any, ny: Any, ex: Any, ey: Any) -> Any:
    """1/|n| - 1/|e| of two points in one direction: above 0 where n is nearer, 0 where they are equally far."""
    n = 1.0 / math.sqrt(nx * nx + ny * ny)
    e = 1.0 / math.sqrt(ex * ex + ey * ey)
    return 0.0 if abs(n - e) <= TIE * (n + e) else n - e


@inlined
def put(env: Any, name: Any, size: Any, t0: Any, t1: Any, px: Any, py: Any, qx: Any, qy: Any, whose: Any) -> Any:
    """Append an element of wall or chord `whose`, or lengthen the last one where it goes on; the new size."""
    if t1 <= t0:
        return size
    if size > 0 and name[size - 1] == whose and env[size - 1, T1] == t0:
        env[size - 1, T1], env[size - 1, QX], env[size - 1, QY] = t1, qx, qy
        return size
    env[size, T0], env[size, T1] = t0, t1
    env[size, PX], env[size, PY], env[size, QX], env[size, QY] = px, py, qx, qy
    name[size] = whose
    return size + 1


@inlined
def split(e: Any, lo: Any, hi: Any, ax: Any, ay: Any, bx: Any, by: Any) -> Any:
    """Wall a → b, seen from lo to hi, against the element e, with which it shares directions.

    Returns the ends of the shared interval, the wall's points there, the element's, and by how much the wall is
    `nearer` at either.
    """
    lo_inside = lo > e[T0]
    hi_inside = hi < e[T1]
    ux, uy = (ax, ay) if lo_inside else (e[PX], e[PY])
    vx, vy = (bx, by) if hi_inside else (e[QX], e[QY])
    s = along(ax, ay, bx, by, ux, uy)
    n0x, n0y = (ax, ay) if lo_inside else (ax + s * (bx - ax), ay + s * (by - ay))
    s = along(ax, ay, bx, by, vx, vy)
    n1x, n1y = (bx, by) if hi_inside else (ax + s * (bx - ax), ay + s * (by - ay))
    s = along(e[PX], e[PY], e[QX], e[QY], ux, uy)
    e0x, e0y = (e[PX] + s * (e[QX] - e[PX]), e[PY] + s * (e[QY] - e[PY])) if lo_inside else (e[PX], e[PY])
    s = along(e[PX], e[PY], e[QX], e[QY], vx, vy)
    e1x, e1y = (e[PX] + s * (e[QX] - e[PX]), e[PY] + s * (e[QY] - e[PY])) if hi_inside else (e[QX], e[QY])
    return (
        max(lo, e[T0]), min(hi, e[T1]), n0x, n0y, n1x, n1y, e0x, e0y, e1x, e1y,
        nearer(n0x, n0y, e0x, e0y), nearer(n1x, n1y, e1x, e1y),
    )  # fmt: skip


@inlined
def is_hidden(env: Any, size: Any, lo: Any, hi: Any, ax: Any, ay: Any, bx: Any, by: Any) -> Any:
    """Whether the wall is nowhere nearer than what is there."""
    for m in range(size):
        if max(lo, env[m, T0]) < min(hi, env[m, T1]):
            shared = split(env[m], lo, hi, ax, ay, bx, by)
            if shared[10] > 0.0 or shared[11] > 0.0:
                return False
    return True


@inlined
def inserted(
    env: Any, name: Any, size: Any, new: Any, new_name: Any,
    lo: Any, hi: Any, ax: Any, ay: Any, bx: Any, by: Any, whose: Any,
) -> Any:  # fmt: skip
    """The envelope env[:size] with wall a → b, seen from lo to hi, written to `new`; its size."""
    n = 0
    for m in range(size):
        e, own = env[m], name[m]
        t0, t1 = e[T0], e[T1]
        if max(lo, t0) >= min(hi, t1):
            n = put(new, new_name, n, t0, t1, e[PX], e[PY], e[QX], e[QY], own)
            continue
        begin, end, n0x, n0y, n1x, n1y, e0x, e0y, e1x, e1y, d0, d1 = split(e, lo, hi, ax, ay, bx, by)
        if d0 <= 0.0 and d1 <= 0.0:
            n = put(new, new_name, n, t0, t1, e[PX], e[PY], e[QX], e[QY], own)
        elif d0 >= 0.0 and d1 >= 0.0:
            n = put(new, new_name, n, t0, begin, e[PX], e[PY], e0x, e0y, own)
            n = put(new, new_name, n, begin, end, n0x, n0y, n1x, n1y, whose)
            n = put(new, new_name, n, end, t1, e1x, e1y, e[QX], e[QY], own)
        else:
            # They cross. With u and v the directions of the interval's ends, the point x u + y v lies on both lines
            # where x : y = |d1| : |d0|; that makes y/|n1| : x/|n0| the ratio in which it divides the wall.
            x = abs(d1) / math.sqrt(n0x * n0x + n0y * n0y)
            y = abs(d0) / math.sqrt(n1x * n1x + n1y * n1y)
            s = y / (x + y)
            cx, cy = n0x + s * (n1x - n0x), n0y + s * (n1y - n0y)
            turned = math.atan2(n0x * cy - n0y * cx, n0x * cx + n0y * cy)
            t = min(max(begin + turned, begin), end)
            if d0 > 0.0:
                n = put(new, new_name, n, t0, begin, e[PX], e[PY], e0x, e0y, own)
                n = put(new, new_name, n, begin, t, n0x, n0y, cx, cy, whose)
                n = put(new, new_name, n, t, t1, cx, cy, e[QX], e[QY], own)
            else:
                n = put(new, new_name, n, t0, t, e[PX], e[PY], cx, cy, own)
                n = put(new, new_name, n, t, end, cx, cy, n1x, n1y, whose)
                n = put(new, new_name, n, end, t1, e1x, e1y, e[QX], e[QY], own)
    return n


@inlined
def distance_squared(ax: Any, ay: Any, bx: Any, by: Any) -> Any:
    """Distance of the segment a → b from the origin, squared."""
    ex, ey = bx - ax, by - ay
    length = ex * ex + ey * ey
    s = min(max(-(ax * ex + ay * ey) / length, 0.0), 1.0) if length > 0.0 else 0.0
    x, y = ax + s * ex, ay + s * ey
    return x * x + y * y


@inlined
def near_walls(circle: Any, low: Any, width: Any, stride: Any, rows: Any, cell: Any, wall: Any) -> Any:
    """The walls in the cells that a circle touches, ascending, each once."""
    first_x = max(math.floor((circle[0] - circle[2] - low[0]) / width), 0.0)
    last_x = min(math.floor((circle[0] + circle[2] - low[0]) / width), stride - 1.0)
    first_y = max(math.floor((circle[1] - circle[2] - low[1]) / width), 0.0)
    last_y = min(math.floor((circle[1] + circle[2] - low[1]) / width), rows - 1.0)
    size = 0
    for y in range(int(first_y), int(last_y) + 1):
        start = np.searchsorted(cell, y * stride + int(first_x))
        size += np.searchsorted(cell, y * stride + int(last_x) + 1) - start
    near = np.empty(size, np.int64)
    size = 0
    for y in range(int(first_y), int(last_y) + 1):
        start = np.searchsorted(cell, y * stride + int(first_x))
        for place in range(start, np.searchsorted(cell, y * stride + int(last_x) + 1)):
            near[size] = wall[place]
            size += 1
    near.sort()
    once = 0
    for m in range(size):
        if m == 0 or near[m] != near[m - 1]:
            near[once] = near[m]
            once += 1
    return near[:once]


@compiled(parallel=True)
def visible_pieces(
    apex: Any, fan: Any, angle: Any, circle: Any,
    ends: Any, part: Any, low: Any, width: Any, stride: Any, rows: Any, cell: Any, wall: Any,
    ignored: Any, ignored_ends: Any,
    sizes: Any, area: Any, pieces: Any, corners: Any, piece: Any, corner: Any, box: Any,
) -> None:  # fmt: skip
    """What each camera sees: counts and area, or, given room in `corner`, the convex pieces themselves.

    Of the cameras: apex (n, 2), fan (n, 2, N + 1) the corners of the polygon relative to the apex, angle (n,) the field
    of view in radians, circle (n, 3) around the polygon. Of the walls: ends (m, 4), ascending, and part (m,); cell and
    wall are the cells of a grid with the walls that pass through them, sorted by cell. ignored (…) holds the parts
    that do not hide anything from camera i, at the places ignored_ends[i] … ignored_ends[i + 1] - 1.

    First call: sizes (n, 2) becomes the number of pieces and of corners, area (n,) the visible area in m². Second call:
    pieces and corners (n + 1,) say where the cameras begin; piece (…, 2) becomes the first and last corner of a piece,
    counted over all, corner (…, 2) the corners without the apex, counter-clockwise, relative to it, and box (…, 4) the
    bounding box of a piece and the apex: least x, y, greatest x, y.
    """
    fill = corner.shape[0] > 0
    chords = fan.shape[2] - 1
    for i in numba.prange(apex.shape[0]):
        near = near_walls(circle[i], low, width, stride, rows, cell, wall)
        room = chords + 2 * near.size + 16
        env, new = np.empty((room, 6)), np.empty((room, 6))
        name, new_name = np.empty(room, np.int64), np.empty(room, np.int64)
        rx, ry, lx, ly = fan[i, 0, 0], fan[i, 1, 0], fan[i, 0, chords], fan[i, 1, chords]
        size = 0
        for m in range(chords):
            t0, t1 = angle[i] * m / chords, (angle[i] * (m + 1) / chords if m + 1 < chords else angle[i])
            size = put(env, name, size, t0, t1, fan[i, 0, m], fan[i, 1, m], fan[i, 0, m + 1], fan[i, 1, m + 1], -1 - m)
        for place in range(near.size):
            w = near[place]
            skip = False
            for k in range(ignored_ends[i], ignored_ends[i + 1]):
                skip = skip or ignored[k] == part[w]
            reach = circle[i, 2]
            cx, cy = circle[i, 0], circle[i, 1]
            if (
                skip
                or distance_squared(ends[w, 0] - cx, ends[w, 1] - cy, ends[w, 2] - cx, ends[w, 3] - cy) > reach * reach
            ):
                continue
            ax, ay = ends[w, 0] - apex[i, 0], ends[w, 1] - apex[i, 1]
            bx, by = ends[w, 2] - apex[i, 0], ends[w, 3] - apex[i, 1]
            if ax * by - ay * bx < 0.0:
                ax, ay, bx, by = bx, by, ax, ay
            span = math.atan2(ax * by - ay * bx, ax * bx + ay * by)
            if not span > THIN:
                continue
            start = math.atan2(rx * ay - ry * ax, rx * ax + ry * ay)
            start = start + TWO_PI if start < 0.0 else start
            # Once where it begins, and once more where it began a full turn before.
            for turn in range(2):
                lo, hi = start - turn * TWO_PI, start + span - turn * TWO_PI
                if min(hi, angle[i]) - max(lo, 0.0) <= THIN:
                    continue
                sx, sy, ex, ey = ax, ay, bx, by
                if lo < 0.0:
                    s = along(ax, ay, bx, by, rx, ry)
                    sx, sy, lo = ax + s * (bx - ax), ay + s * (by - ay), 0.0
                if hi > angle[i]:
                    s = along(ax, ay, bx, by, lx, ly)
                    ex, ey, hi = ax + s * (bx - ax), ay + s * (by - ay), angle[i]
                if is_hidden(env, size, lo, hi, sx, sy, ex, ey):
                    continue
                if 3 * size > room:
                    room = 6 * size
                    wider, wider_name = np.empty((room, 6)), np.empty(room, np.int64)
                    wider[:size], wider_name[:size] = env[:size], name[:size]
                    env, name = wider, wider_name
                    new, new_name = np.empty((room, 6)), np.empty(room, np.int64)
                size = inserted(env, name, size, new, new_name, lo, hi, sx, sy, ex, ey, w)
                env, new = new, env
                name, new_name = new_name, name

        # Consecutive elements are one convex piece as long as they join, turn left, and stay within half a turn.
        many, points, total = 0, 0, 0.0
        began, ux, uy, qx, qy = 0.0, 0.0, 0.0, 0.0, 0.0
        for m in range(size):
            ax, ay, bx, by = env[m, PX], env[m, PY], env[m, QX], env[m, QY]
            twice = ax * by - ay * bx
            if env[m, T1] - env[m, T0] <= THIN or not twice > 0.0:
                continue
            total += twice
            ex, ey = bx - ax, by - ay
            goes_on = many > 0 and ax == qx and ay == qy and env[m, T1] - began <= HALF_TURN
            if not (goes_on and ux * ey - uy * ex >= 0.0):
                if fill:
                    at = corners[i] + points
                    corner[at, 0], corner[at, 1] = ax, ay
                    piece[pieces[i] + many, 0] = at
                    box[pieces[i] + many, 0], box[pieces[i] + many, 1] = min(ax, 0.0), min(ay, 0.0)
                    box[pieces[i] + many, 2], box[pieces[i] + many, 3] = max(ax, 0.0), max(ay, 0.0)
                began = env[m, T0]
                many += 1
                points += 1
            if fill:
                at, which = corners[i] + points, pieces[i] + many - 1
                corner[at, 0], corner[at, 1] = bx, by
                piece[which, 1] = at
                box[which, 0], box[which, 1] = min(box[which, 0], bx), min(box[which, 1], by)
                box[which, 2], box[which, 3] = max(box[which, 2], bx), max(box[which, 3], by)
            points += 1
            ux, uy, qx, qy = ex, ey, bx, by
        if not fill:
            sizes[i, 0], sizes[i, 1], area[i] = many, points, 0.5 * total


TOUCH_M = 1e-6
"""A building that holds a camera, or a wall that is this near to it, hides nothing from that camera."""
SPARE = 1e-9  # cells: what rounding may be off by


@compiled(parallel=True)
def cells_of_walls(ends: Any, low: Any, width: Any, columns: Any, rows: Any, places: Any, cell: Any, wall: Any) -> None:
    """Count the cells that each wall passes through into places[1:], or, given room in `cell`, write them down.

    A wall is cut at the lines between the rows, with a hair to spare on all sides.
    """
    fill = cell.size > 0
    for w in numba.prange(ends.shape[0]):
        ax, ay = (ends[w, 0] - low[0]) / width, (ends[w, 1] - low[1]) / width
        bx, by = (ends[w, 2] - low[0]) / width, (ends[w, 3] - low[1]) / width
        if ay > by:
            ax, ay, bx, by = bx, by, ax, ay
        first = max(np.floor(ay - SPARE), 0.0)
        last = min(np.floor(by + SPARE), rows - 1.0)
        count = 0
        for row in range(int(first), int(last) + 1 if last >= first else int(first)):
            # Where the wall enters and leaves the row; a level wall is in it from end to end.
            rise = by - ay
            s = max((row - SPARE - ay) / rise, 0.0) if rise > 0.0 else 0.0
            t = min((row + 1 + SPARE - ay) / rise, 1.0) if rise > 0.0 else 1.0
            x, y = ax + s * (bx - ax), ax + t * (bx - ax)
            left = max(np.floor(min(x, y) - SPARE * (1.0 + abs(bx - ax))), 0.0)
            right = min(np.floor(max(x, y) + SPARE * (1.0 + abs(bx - ax))), columns - 1.0)
            for column in range(int(left), int(right) + 1 if right >= left else int(left)):
                if fill:
                    cell[places[w] + count] = row * columns + column
                    wall[places[w] + count] = w
                count += 1
        if not fill:
            places[w + 1] = count


@inlined
def holds(x: Any, y: Any, ends: Any, first: Any, last: Any, closed: Any) -> Any:
    """Whether walls ends[first:last], of one part, hold the point, by the even-odd rule, or touch it."""
    odd = False
    for w in range(first, last):
        ax, ay = ends[w, 0] - x, ends[w, 1] - y
        bx, by = ends[w, 2] - x, ends[w, 3] - y
        if distance_squared(ax, ay, bx, by) <= TOUCH_M * TOUCH_M:
            return True
        if (ay > 0.0) != (by > 0.0) and (ax * by - ay * bx > 0.0) == (by > ay):
            odd = not odd
    return odd and closed


@compiled(parallel=True)
def parts_holding(apex: Any, ends: Any, first: Any, closed: Any, places: Any, held: Any) -> None:
    """Count the cameras that each part holds into places[1:], or, given room in `held`, write them down.

    `apex` is sorted by x; the walls of part p are ends[first[p]:first[p + 1]].
    """
    fill = held.size > 0
    for p in numba.prange(closed.size):
        lowest_x, highest_x, lowest_y, highest_y = np.inf, -np.inf, np.inf, -np.inf
        for w in range(first[p], first[p + 1]):
            lowest_x = min(lowest_x, ends[w, 0], ends[w, 2])
            highest_x = max(highest_x, ends[w, 0], ends[w, 2])
            lowest_y = min(lowest_y, ends[w, 1], ends[w, 3])
            highest_y = max(highest_y, ends[w, 1], ends[w, 3])
        count = 0
        for i in range(np.searchsorted(apex[:, 0], lowest_x - TOUCH_M), apex.shape[0]):
            x, y = apex[i, 0], apex[i, 1]
            if x > highest_x + TOUCH_M:
                break
            if lowest_y - TOUCH_M <= y <= highest_y + TOUCH_M and holds(x, y, ends, first[p], first[p + 1], closed[p]):
                if fill:
                    held[places[p] + count] = i
                count += 1
        if not fill:
            places[p + 1] = count
