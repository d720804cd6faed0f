r"""The area that two polygonal fields of view share: apex and N arc segments, as other people's labels use them.

A polygon is a fan of N triangles around its apex. One of two is cut along the fan into the fewest convex pieces, one
where the field of view is at most 180°; the other stays whole.

     c_N . . . c_2        A piece is apex, c_s … c_e. Its borders are the rays from the apex through c_s, the right one,
       \     . / c_1      and c_e, the left one, with the wedge between them; its chain are the chords from c_s to c_e.
        \   . / / c_0     Coordinates are relative to the apex of the piece.
         apex

The shared area is the sum, over the edges p → q of the other polygon, of the signed area that the triangle (apex, p, q)
shares with the piece. What lies in front of the chain is half a cross product. What lies beyond is the part of the fan
that the edge sweeps, and as regular chords have equal triangles, it follows from where an edge crosses the chain: on
which chord, and how far along. Of edges that stay beyond, nothing needs to be known; all but those few that cross a
border or come near the chain are settled by a look at their ends.

Degenerate input. Whether a corner is in the wedge and in front of the chain is decided once, for both of its edges; a
wrong decision is a rounding error away from the right one, and costs as little. A point beyond the chain on a border is
at the right or the left one, whichever is nearer, even where both are one line, at 180°.

Fields of view that walls have cut are runs of convex pieces of any shape. Those are clipped, one against each edge of
the other; clipping keeps the points on an edge, so that shared edges and corners cost a repeated vertex and no area.

Sources: Green's theorem for the sum over edges; Sutherland and Hodgman 1974 for the clipping, the shoelace formula for
the area of what is left.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from relabel.jit import compiled, inlined

TILE = 64
ROUNDING = 1e-12  # of squared distances
RIGHT, LEFT, INSIDE, FAR, NEAR = range(5)  # where a corner is: beyond a border, in the wedge, or there near the chain


@inlined
def clip(source: Any, size: Any, target: Any, px: Any, py: Any, ex: Any, ey: Any) -> Any:
    """The part of the convex polygon source[:size] left of the line through p along e, into target; its size."""
    kept = 0
    if size == 0:
        return 0
    ax, ay = source[size - 1, 0], source[size - 1, 1]
    a = ex * (ay - py) - ey * (ax - px)
    for m in range(size):
        bx, by = source[m, 0], source[m, 1]
        b = ex * (by - py) - ey * (bx - px)
        if (a < 0.0) != (b < 0.0):
            t = a / (a - b)
            target[kept, 0] = ax + t * (bx - ax)
            target[kept, 1] = ay + t * (by - ay)
            kept += 1
        if b >= 0.0:
            target[kept, 0] = bx
            target[kept, 1] = by
            kept += 1
        ax, ay, a = bx, by, b
    return kept


@inlined
def shoelace(polygon: Any, size: Any) -> Any:
    """Area of a polygon whose vertices run counter-clockwise, summed around its first vertex."""
    twice = 0.0
    for m in range(1, size - 1):
        ux, uy = polygon[m, 0] - polygon[0, 0], polygon[m, 1] - polygon[0, 1]
        vx, vy = polygon[m + 1, 0] - polygon[0, 0], polygon[m + 1, 1] - polygon[0, 1]
        twice += ux * vy - uy * vx
    return max(0.5 * twice, 0.0)


@inlined
def corner(fan: Any, first: Any, last: Any, m: Any, axis: Any) -> Any:
    """Vertex m of the piece apex, v_first … v_last, counted cyclically; relative to the apex."""
    return 0.0 if m % (last - first + 2) == 0 else fan[first + m % (last - first + 2) - 1, axis]


@inlined
def piece_area(
    a: Any, a_first: Any, a_last: Any, b: Any, b_first: Any, b_last: Any, dx: Any, dy: Any, work: Any
) -> Any:
    """Area shared by two convex pieces; (dx, dy) leads from the apex of fan a to that of fan b."""
    size = a_last - a_first + 2
    for m in range(size):
        work[0, m, 0] = corner(a, a_first, a_last, m, 0)
        work[0, m, 1] = corner(a, a_first, a_last, m, 1)
    turn = 0
    for m in range(b_last - b_first + 2):
        px = corner(b, b_first, b_last, m, 0)
        py = corner(b, b_first, b_last, m, 1)
        ex = corner(b, b_first, b_last, m + 1, 0) - px
        ey = corner(b, b_first, b_last, m + 1, 1) - py
        size = clip(work[turn], size, work[1 - turn], px + dx, py + dy, ex, ey)
        turn = 1 - turn
        if size < 3:
            return 0.0
    return shoelace(work[turn], size)


@inlined
def cross(ax: Any, ay: Any, bx: Any, by: Any) -> Any:
    """Twice the signed area of the triangle (0, a, b)."""
    return ax * by - ay * bx


@inlined
def chord_towards(fan: Any, first: Any, last: Any, x: Any, y: Any) -> Any:
    """The number of the chord in the direction of a point of the wedge, by halving."""
    here, there = first, last
    while there - here > 1:
        m = (here + there) >> 1
        past = cross(fan[0, m], fan[1, m], x, y) >= 0.0
        here, there = (m if past else here), (there if past else m)
    return here


@inlined
def inner_square(fan: Any, first: Any) -> Any:
    """The square of the radius up to which no chord cuts the circle, less what is rounding."""
    mx, my = 0.5 * (fan[0, first] + fan[0, first + 1]), 0.5 * (fan[1, first] + fan[1, first + 1])
    return (mx * mx + my * my) * (1.0 - ROUNDING)


@inlined
def holds(fan: Any, first: Any, last: Any, x: Any, y: Any) -> Any:
    """Whether a point of the wedge lies on the apex's side of all chords."""
    z = x * x + y * y
    if z <= inner_square(fan, first):
        return True
    if z >= (fan[0, first] * fan[0, first] + fan[1, first] * fan[1, first]) * (1.0 + ROUNDING):
        return False
    m = chord_towards(fan, first, last, x, y)
    return cross(fan[0, m + 1] - fan[0, m], fan[1, m + 1] - fan[1, m], x - fan[0, m], y - fan[1, m]) >= 0.0


@inlined
def leaving(fan: Any, first: Any, last: Any, unit: Any, px: Any, py: Any, qx: Any, qy: Any) -> Any:
    """Twice the area of (apex, p, c), less that of the fan from its right border to c: p → q crosses the chain at c.

    p is in front of the chain, q beyond it, both in the wedge; unit is twice the area of a triangle of the fan.
    """
    ex, ey = qx - px, qy - py
    level = cross(ex, ey, px, py)
    # Of the corners in directions between p and q, counter-clockwise, those before c are right of the line through p
    # and q, those behind it left. A comparison of all is faster than halving, as it is done on several at once.
    before, chord = first, first
    for m in range(first + 1, last):
        past_p = cross(fan[0, m], fan[1, m], px, py) >= 0.0
        past_q = cross(fan[0, m], fan[1, m], qx, qy) >= 0.0
        right = cross(ex, ey, fan[0, m], fan[1, m]) < level
        before += 1 if (past_p & past_q) | ((past_p != past_q) & right) else 0
        chord += 1 if past_q else 0
    # Where p or q is a corner, or the way lies along a chord, rounding may have put two corners on the wrong side: c is
    # where the way first crosses one of five chords, or q itself where rounding alone put that beyond the chain.
    share = 1.0
    for m in range(max(before - 2, first), min(before + 3, last)):
        gx, gy = fan[0, m + 1] - fan[0, m], fan[1, m + 1] - fan[1, m]
        a = max(cross(gx, gy, px - fan[0, m], py - fan[1, m]), 0.0)
        b = cross(gx, gy, qx - fan[0, m], qy - fan[1, m])
        if b < 0.0 and a < share * (a - b):
            chord, share = m, a / (a - b)
    cx, cy = px + share * ex, py + share * ey
    return cross(px, py, cx, cy) - (chord - first) * unit - cross(fan[0, chord], fan[1, chord], cx, cy)


@inlined
def edge_area(fan: Any, first: Any, last: Any, unit: Any, px: Any, py: Any, qx: Any, qy: Any) -> Any:
    """Twice the area that the edge p → q of another polygon adds to what it shares with the piece."""
    rx, ry, lx, ly = fan[0, first], fan[1, first], fan[0, last], fan[1, last]
    p_right, q_right = cross(rx, ry, px, py), cross(rx, ry, qx, qy)
    p_left, q_left = cross(px, py, lx, ly), cross(qx, qy, lx, ly)
    if (p_right < 0.0 and q_right < 0.0) or (p_left < 0.0 and q_left < 0.0):
        return 0.0
    p_cut, q_cut = p_right < 0.0 or p_left < 0.0, q_right < 0.0 or q_left < 0.0
    ex, ey = qx - px, qy - py
    start, end = 0.0, 1.0
    if p_right < 0.0:
        start = p_right / (p_right - q_right)
    elif q_right < 0.0:
        end = p_right / (p_right - q_right)
    if p_left < 0.0:
        start = max(start, p_left / (p_left - q_left))
    elif q_left < 0.0:
        end = min(end, p_left / (p_left - q_left))
    if p_cut and q_cut and start >= end:
        return 0.0
    if q_cut:
        qx, qy = px + end * ex, py + end * ey
    if p_cut:
        px, py = px + start * ex, py + start * ey
    square = rx * rx + ry * ry
    p_in = px * px + py * py <= square if p_cut else holds(fan, first, last, px, py)
    q_in = qx * qx + qy * qy <= square if q_cut else holds(fan, first, last, qx, qy)
    if p_in and q_in:
        return cross(px, py, qx, qy)
    # Beyond the chain, a polygon enters and leaves the wedge over a border: with none of the fan swept, or all of it.
    total = 0.0
    if p_cut and not p_in and (lx - rx) * px + (ly - ry) * py > 0.0:
        total -= (last - first) * unit
    if q_cut and not q_in and (lx - rx) * qx + (ly - ry) * qy > 0.0:
        total += (last - first) * unit
    wx, wy = (px, py) if p_in else (qx, qy)
    if not (p_in or q_in):
        ex, ey = qx - px, qy - py
        length = ex * ex + ey * ey
        level = cross(px, py, ex, ey)
        if level * level >= square * length:
            return total
        # In front of the chain is the point next to the apex, or what hides a corner from it, if anything.
        share = -(px * ex + py * ey) / length
        wx, wy = px + share * ex, py + share * ey
        if not (0.0 <= share <= 1.0 and wx * wx + wy * wy <= inner_square(fan, first)):
            most = 0.0
            m, n = chord_towards(fan, first, last, px, py), chord_towards(fan, first, last, qx, qy)
            for corner in range(min(m, n) + 1, max(m, n) + 1):
                there = cross(fan[0, corner], fan[1, corner], ex, ey)
                beyond = there - level if level > 0.0 else level - there
                if beyond > most:
                    most = beyond
                    wx, wy = level / there * fan[0, corner], level / there * fan[1, corner]
            if most == 0.0:
                return total
    if not q_in:
        total += leaving(fan, first, last, unit, wx, wy, qx, qy)
    if not p_in:
        total -= leaving(fan, first, last, unit, wx, wy, px, py)
    return total


@inlined
def beyond(rx: Any, ry: Any, dx: Any, dy: Any, ux: Any, uy: Any, vx: Any, vy: Any, reach: Any) -> Any:
    """Whether a convex fan, its apex at d and its first and last corner u and v from there, is right of the line r.

    The line goes through the origin; `reach` is at least |r| times the radius of the fan.
    """
    most = max(0.0, cross(rx, ry, ux, uy), cross(rx, ry, vx, vy))
    # The arc bulges beyond its ends where it has a point straight to the left of the line.
    bulges = (cross(ux, uy, -ry, rx) >= 0.0) & (cross(-ry, rx, vx, vy) >= 0.0)
    return cross(rx, ry, dx, dy) + (reach if bulges else most) < 0.0


@inlined
def apart(a: Any, b: Any, dx: Any, dy: Any) -> Any:
    """Whether a border of one of two convex fans separates them: so with nine in ten that are apart."""
    last = a.shape[1] - 1
    px, py, qx, qy = a[0, 0], a[1, 0], a[0, last], a[1, last]
    ux, uy, vx, vy = b[0, 0], b[1, 0], b[0, last], b[1, last]
    reach = 0.5 * ((px * px + py * py) + (ux * ux + uy * uy))
    return (
        beyond(px, py, dx, dy, ux, uy, vx, vy, reach)
        | beyond(-qx, -qy, dx, dy, ux, uy, vx, vy, reach)
        | beyond(ux, uy, -dx, -dy, px, py, qx, qy, reach)
        | beyond(-vx, -vy, -dx, -dy, px, py, qx, qy, reach)
    )


@inlined
def fan_area(a: Any, first: Any, last: Any, b: Any, dx: Any, dy: Any, ring: Any, place: Any) -> Any:
    """Twice the area that the piece of fan a and the polygon of fan b share; (dx, dy) leads from apex to apex."""
    corners = b.shape[1]
    rx, ry, lx, ly = a[0, first], a[1, first], a[0, last], a[1, last]
    unit = cross(rx, ry, a[0, first + 1], a[1, first + 1])
    inner = inner_square(a, first)
    cx, cy = b[0, 1] - b[0, 0], b[1, 1] - b[1, 0]
    # No chord between two corners that are as far as this comes as near as the arc.
    far = (rx * rx + ry * ry + 0.25 * (cx * cx + cy * cy)) * (1.0 + ROUNDING)
    for j in range(corners):
        x, y = b[0, j] + dx, b[1, j] + dy
        ring[0, j], ring[1, j] = x, y
        z = x * x + y * y
        where = INSIDE if z <= inner else (FAR if z >= far else NEAR)
        where = where if cross(x, y, lx, ly) >= 0.0 else LEFT
        place[j] = where if cross(rx, ry, x, y) >= 0.0 else RIGHT
    # Edges from and to the apex are long.
    where = INSIDE if dx * dx + dy * dy <= inner else NEAR
    where = where if cross(dx, dy, lx, ly) >= 0.0 else LEFT
    place[corners] = where if cross(rx, ry, dx, dy) >= 0.0 else RIGHT
    ring[0, corners], ring[1, corners] = dx, dy
    place[corners + 1], ring[0, corners + 1], ring[1, corners + 1] = place[0], ring[0, 0], ring[1, 0]
    total = 0.0
    for j in range(corners + 1):
        here, there = place[j], place[j + 1]
        px, py, qx, qy = ring[0, j], ring[1, j], ring[0, j + 1], ring[1, j + 1]
        if here != there or here == NEAR:
            total += edge_area(a, first, last, unit, px, py, qx, qy)
        elif here == INSIDE:
            total += cross(px, py, qx, qy)
    return total


@inlined
def polygons_swapped(a: Any, b: Any, fan_a: Any, fan_b: Any) -> Any:
    """Whether b comes before a in an order of all polygons, so that a pair has the same bits whichever is the query."""
    for axis in range(2):
        if a[axis] != b[axis]:
            return a[axis] > b[axis]
    for m in range(fan_a.shape[1]):
        for axis in range(2):
            if fan_a[axis, m] != fan_b[axis, m]:
                return fan_a[axis, m] > fan_b[axis, m]
    return False


@compiled(parallel=True)
def polygon_areas(
    query_apex: Any,
    query_fan: Any,
    query_piece: Any,
    apex: Any,
    fan: Any,
    piece: Any,
    rows: Any,
    columns: Any,
    shift: Any,
    area: Any,
) -> None:
    """The shared area of each pair (rows[k], columns[k]) into area[k], in m².

    Of each side: apex (n, 2) in metres, fan (n, 2, N + 1) the arc's vertices relative to the apex, and piece (n,) the
    number of arc segments that a convex piece may have. `shift` is (2, k): how far east and north of its place each
    database camera stands, in metres; (2, 0) for not at all.
    """
    pairs = rows.size
    segments = fan.shape[2] - 1
    for tile in numba.prange((pairs + TILE - 1) // TILE):
        ring, place = np.empty((2, segments + 3)), np.empty(segments + 3, np.int64)
        for k in range(tile * TILE, min((tile + 1) * TILE, pairs)):
            a, b = query_apex[rows[k]], apex[columns[k]]
            fan_a, fan_b = query_fan[rows[k]], fan[columns[k]]
            piece_a, piece_b = query_piece[rows[k]], piece[columns[k]]
            dx, dy = b[0] - a[0], b[1] - a[1]
            if shift.shape[1]:
                dx += shift[0, k]
                dy += shift[1, k]
            if piece_a == segments and piece_b == segments and apart(fan_a, fan_b, dx, dy):
                area[k] = 0.0
                continue
            # Fewer pieces are less work.
            if piece_a < piece_b or (piece_a == piece_b and polygons_swapped(a, b, fan_a, fan_b)):
                a, b = b, a
                fan_a, fan_b = fan_b, fan_a
                piece_a, piece_b = piece_b, piece_a
                dx, dy = -dx, -dy
            total = 0.0
            for i in range(0, segments, piece_a):
                total += fan_area(fan_a, i, min(i + piece_a, segments), fan_b, dx, dy, ring, place)
            area[k] = max(0.5 * total, 0.0)


NOTHING = 1e-12  # areas up to this share of the larger view are rounding


@inlined
def regions_swapped(
    a: Any, b: Any, a_first: Any, a_last: Any, b_first: Any, b_last: Any, a_corner: Any, b_corner: Any
) -> Any:
    """As `polygons_swapped`, of two views whose corners are a_corner[a_first:a_last] and b_corner[b_first:b_last]."""
    for axis in range(2):
        if a[axis] != b[axis]:
            return a[axis] > b[axis]
    if a_last - a_first != b_last - b_first:
        return a_last - a_first > b_last - b_first
    for m in range(a_last - a_first):
        for axis in range(2):
            if a_corner[a_first + m, axis] != b_corner[b_first + m, axis]:
                return a_corner[a_first + m, axis] > b_corner[b_first + m, axis]
    return False


@inlined
def region_area(
    a_first: Any, a_last: Any, a_piece: Any, a_corner: Any, a_box: Any,
    b_first: Any, b_last: Any, b_piece: Any, b_corner: Any, b_box: Any, dx: Any, dy: Any, work: Any,
) -> Any:  # fmt: skip
    """Area that two views have in common, each a run of convex pieces; pieces whose boxes are apart are skipped."""
    total = 0.0
    for i in range(a_first, a_last):
        for j in range(b_first, b_last):
            meet_x = a_box[i, 0] < b_box[j, 2] + dx and b_box[j, 0] + dx < a_box[i, 2]
            meet_y = a_box[i, 1] < b_box[j, 3] + dy and b_box[j, 1] + dy < a_box[i, 3]
            if meet_x and meet_y:
                total += piece_area(
                    a_corner, a_piece[i, 0], a_piece[i, 1], b_corner, b_piece[j, 0], b_piece[j, 1], dx, dy, work
                )
    return total


@compiled(parallel=True)
def region_areas(
    query_apex: Any, query_pieces: Any, query_corners: Any, query_piece: Any, query_corner: Any, query_box: Any,
    query_area: Any, apex: Any, pieces: Any, corners: Any, piece: Any, corner: Any, box: Any, own_area: Any,
    longest: Any, rows: Any, columns: Any, area: Any,
) -> None:  # fmt: skip
    """The shared area of each pair (rows[k], columns[k]) of views cut by walls into area[k], in m².

    The arguments of each side are the columns of `relabel.fov.visibility.VisibleRegions`; `longest` is the number of
    corners that two pieces have together at most.
    """
    pairs = rows.size
    for tile in numba.prange((pairs + TILE - 1) // TILE):
        work = np.empty((2, longest + 8, 2))
        for k in range(tile * TILE, min((tile + 1) * TILE, pairs)):
            i, j = rows[k], columns[k]
            dx, dy = apex[j, 0] - query_apex[i, 0], apex[j, 1] - query_apex[i, 1]
            if regions_swapped(
                query_apex[i], apex[j], query_corners[i], query_corners[i + 1], corners[j], corners[j + 1],
                query_corner, corner,
            ):  # fmt: skip
                total = region_area(
                    pieces[j], pieces[j + 1], piece, corner, box,
                    query_pieces[i], query_pieces[i + 1], query_piece, query_corner, query_box, -dx, -dy, work,
                )  # fmt: skip
            else:
                total = region_area(
                    query_pieces[i], query_pieces[i + 1], query_piece, query_corner, query_box,
                    pieces[j], pieces[j + 1], piece, corner, box, dx, dy, work,
                )  # fmt: skip
            area[k] = total if total > NOTHING * max(query_area[i], own_area[j]) else 0.0
