r"""The area that two polygonal fields of view share: apex and N arc segments, as other people's labels use them.

A polygon is a fan of N triangles around its apex. It is cut along the fan into the fewest convex pieces, one where the
field of view is at most 180°, and pieces are intersected by clipping one against each edge of the other.

    v_N . . . v_2          A piece is apex, v_s … v_e; its edges are apex → v_s, the arc segments, and v_e → apex,
      \       / v_1        counter-clockwise. All coordinates are relative to the apex of the piece that is clipped,
       \     / / v_0       so that they are small wherever the cameras are.
        apex

Degenerate input: clipping keeps the points on an edge, so that shared edges and corners cost a repeated vertex and no
area. Source: Sutherland and Hodgman 1974 for the clipping, the shoelace formula for the area.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from relabel.jit import compiled, inlined

TILE = 64


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
def polygons_swapped(a: Any, b: Any, fan_a: Any, fan_b: Any) -> Any:
    """Whether b comes before a in an order of all polygons, so that a pair has the same bits whichever is the query."""
    for axis in range(2):
        if a[axis] != b[axis]:
            return a[axis] > b[axis]
    for m in range(fan_a.shape[0]):
        for axis in range(2):
            if fan_a[m, axis] != fan_b[m, axis]:
                return fan_a[m, axis] > fan_b[m, axis]
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

    Of each side: apex (n, 2) in metres, fan (n, N + 1, 2) the arc's vertices relative to the apex, and piece (n,) the
    number of arc segments that a convex piece may have. `shift` is (2, k): how far east and north of its place each
    database camera stands, in metres; (2, 0) for not at all.
    """
    pairs = rows.size
    segments = fan.shape[1] - 1
    for tile in numba.prange((pairs + TILE - 1) // TILE):
        # Clipping a convex polygon by a line adds one vertex at most.
        work = np.empty((2, 2 * segments + 8, 2))
        for k in range(tile * TILE, min((tile + 1) * TILE, pairs)):
            a, b = query_apex[rows[k]], apex[columns[k]]
            fan_a, fan_b = query_fan[rows[k]], fan[columns[k]]
            piece_a, piece_b = query_piece[rows[k]], piece[columns[k]]
            dx, dy = b[0] - a[0], b[1] - a[1]
            if shift.shape[1]:
                dx += shift[0, k]
                dy += shift[1, k]
            if polygons_swapped(a, b, fan_a, fan_b):
                a, b = b, a
                fan_a, fan_b = fan_b, fan_a
                piece_a, piece_b = piece_b, piece_a
                dx, dy = -dx, -dy
            total = 0.0
            for i in range(0, segments, piece_a):
                for j in range(0, segments, piece_b):
                    total += piece_area(
                        fan_a, i, min(i + piece_a, segments), fan_b, j, min(j + piece_b, segments), dx, dy, work
                    )
            area[k] = total


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
    corners that two pieces have together at the most.
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
