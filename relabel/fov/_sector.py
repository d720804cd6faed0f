r"""The area that two circular sectors share: exact, and straight-line arithmetic that the compiler can vectorise.

Key. In the frame of a pair, sector A has its apex at the origin and sector B at (d, 0).

             L_A      :                    R, L  unit vectors along the right and the left edge of a sector, seen from
              \       :    L_B                   its apex: the inside lies left of R and right of L
               \      :   /                r     radius
        A       \     :  /                 H     the radical line x = h of the two circles, through the points where
        o--------\----:-/------o B               they meet, if they do
       / \        \   :/      /            h     distance from A to H; from B it is d - h
      /   R_A      \  /      R_B

The intersection is Q ∩ disk A ∩ disk B, with Q the intersection of the two wedges: a convex polygon that may be
unbounded. Beyond H, seen from A, all of disk A lies in disk B, and before H all of disk B in disk A, so that

    area = area(Q ∩ {x ≥ h} ∩ disk A) + area(Q ∩ {x ≤ h} ∩ disk B).

Either term is a sum over the edges of a polygon: the area that the triangle (apex, edge) shares with the disk. A's own
edges pass through A's apex and add nothing to A's term, which leaves three edges: B's two, and the piece of H inside
Q. An arc at infinity closes an unbounded Q. An edge adds a straight part, half a cross product, and a round part, r²/2
times the angle of what lies outside the disk. The angles of a term are collected as one product of complex numbers
whose argument is taken once; the arc at infinity is known as an angle.

Degenerate input. Every edge is clipped on its own, so that of two nearly coincident lines one may be kept and the other
not. That is harmless. Where an edge of A coincides with an edge of B, the line passes through both apices and its terms
are nil. Where an edge coincides with H, both are clipped by the quotient of the same two numbers, and h is never 0: A's
apex counts as strictly on its own side. All terms are continuous in their end points, so that a rounding error stays
one. Equal apices have a closed form of their own (`same_apex_area`). Wedges must be convex: a field of view beyond
180° is cut into two halves before it comes here.

Source: Green's theorem on the boundary of polygon ∩ disk; the radical line (power of a point) for the lens.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from relabel.fov.candidates import cameras_near, circles_meet, merged_pieces
from relabel.jit import LANES, arrays_apart, compiled, inlined, wide_vectors

TINY = 1e-300
FAR = 1e30  # stands for infinity: directions to points this many radii away are those of the line, to the last bit
SAME_APEX = 1e-12  # apices this many radii apart count as one
NOTHING = 1e-12  # areas up to this share of the smaller sector are rounding
PI = math.pi
HALF_PI = math.pi / 2.0
QUARTER_PI = math.pi / 4.0
TAN_EIGHTH_PI = math.sqrt(2.0) - 1.0

# atan(t)/t as a polynomial in t² for |t| ≤ tan(π/8), interpolated at Chebyshev points; off by less than 1e-16 there.
# tests/fov/test_sector.py makes the coefficients anew.
ATAN_0 = 1.0
ATAN_1 = -0.3333333333333312
ATAN_2 = 0.19999999999940893
ATAN_3 = -0.14285714279250245
ATAN_4 = 0.11111110744919658
ATAN_5 = -0.09090896809064027
ATAN_6 = 0.07692045330902225
ATAN_7 = -0.06662951813629191
ATAN_8 = 0.05846878297330872
ATAN_9 = -0.05035102456601551
ATAN_10 = 0.037965257453865926
ATAN_11 = -0.01780539720541944

# Kernels are untyped on purpose: numba infers their types, and `inlined` hands them on as they are.


@inlined
def angle_of(x: Any, y: Any) -> Any:
    """The argument of x + iy in [-π/2, 3π/2]: a polynomial, because a call of libm would not be vectorised."""
    wide = abs(x)
    high = abs(y)
    big = max(high, wide)
    small = min(wide, high)
    steep = small > TAN_EIGHTH_PI * big
    t = (small - big if steep else small) / (small + big if steep else big)
    z = t * t
    p = ATAN_11 * z + ATAN_10
    p = p * z + ATAN_9
    p = p * z + ATAN_8
    p = p * z + ATAN_7
    p = p * z + ATAN_6
    p = p * z + ATAN_5
    p = p * z + ATAN_4
    p = p * z + ATAN_3
    p = p * z + ATAN_2
    p = p * z + ATAN_1
    p = p * z + ATAN_0
    a = p * t + (QUARTER_PI if steep else 0.0)
    a = HALF_PI - a if high > wide else a
    a = a if y >= 0.0 else -a
    return PI - a if x < 0.0 else a


@inlined
def clipped(lo: Any, hi: Any, inverse: Any, c: Any) -> Any:
    """The part of the interval [lo, hi] in which s·t ≥ c, given 1/s; empty when it comes back with lo ≥ hi.

    For s = 0 the inverse is infinite, of either sign, and so is its product with c: nowhere fulfilled for c > 0,
    everywhere for c < 0, and for c = 0, a NaN, everywhere too.
    """
    q = c * inverse
    is_least = inverse >= 0.0
    return (max(lo, q) if is_least else lo), (hi if is_least else min(hi, q))


@inlined
def outside(p: Any, q: Any, enters: Any, leaves: Any, away: Any, away2: Any) -> Any:
    """The angle, seen from the origin, that an edge sweeps outside a disk around it, as a complex number.

    The edge leads along a line `away` from the origin, which is on its left where that is negative, from p to q,
    counted from the foot of the origin; it is inside from `enters` to `leaves`. The number is that of the whole edge
    over that of the part inside. An edge through the origin sweeps
    nothing, even one that ends there and has no direction.
    """
    length = q - p
    inside = leaves - enters
    whole = p * q + away2
    within = enters * leaves + away2
    re = whole * within + away2 * (length * inside)
    im = away * (length * within - whole * inside)
    return (re if away2 > 0.0 else 1.0), im


@inlined
def edge_terms(ox: Any, dx: Any, dy: Any, lo: Any, hi: Any, r2: Any) -> Any:
    """What the edge (ox + t·dx, t·dy), lo ≤ t ≤ hi, has in common with the disk around the origin, r2 its radius².

    Returns the length of the part inside, and the angle that the parts outside sweep, as a complex number.
    """
    along = ox * dx
    away = ox * dy
    away2 = away * away
    half = math.sqrt(max(0.0, r2 - away2))
    # Where the line is inside, cut to the edge. For a line that misses the disk: its foot, a point without extent.
    is_there = lo < hi  # else its ends, which may be infinite, are of no account
    p = (lo if is_there else 0.0) + along
    q = (hi if is_there else 0.0) + along
    enters = min(max(p, -half), q)
    leaves = max(p, min(q, half))
    re, im = outside(p, q, enters, leaves, away, away2)
    return leaves - enters, re, im


@inlined
def side_area(
    d: Any, h: Any, k: Any, r2: Any, far: Any,
    ary: Any, aly: Any, brx: Any, bry: Any, blx: Any, bly: Any,
    i_rr: Any, i_lr: Any, i_rl: Any, i_ll: Any, i_r: Any, i_l: Any,
    lo: Any, hi: Any, enters: Any, leaves: Any, infinite: Any,
) -> Any:  # fmt: skip
    """Twice the area of Q ∩ {x ≥ h} ∩ disk A in A's frame; k = d - h and r2 = r².

    [lo, hi] is the piece of H inside Q, and [enters, leaves] that inside the disks as well. `infinite` is the angle of
    the directions beyond H in which Q is unbounded. The inverses: i_rr of R_A × R_B, i_lr of R_B × L_A, i_rl of
    R_A × L_B, i_ll of L_B × L_A, i_r and i_l of the x of R_B and L_B.
    """
    t0, t1 = clipped(0.0, far, i_rr, ary * d)
    t0, t1 = clipped(t0, t1, i_lr, -aly * d)
    t0, t1 = clipped(t0, t1, i_r, -k)
    right, ux, uy = edge_terms(d, brx, bry, t0, t1, r2)
    t0, t1 = clipped(0.0, far, i_rl, ary * d)
    t0, t1 = clipped(t0, t1, i_ll, -aly * d)
    t0, t1 = clipped(t0, t1, i_l, -k)
    left, vx, vy = edge_terms(d, blx, bly, t0, t1, r2)
    wx, wy = outside(lo, hi, enters, leaves, h, h * h)
    # Counter-clockwise round Q, the left edge is walked inwards and H downwards: hence their conjugates.
    cx = vx * wx - vy * wy
    cy = vx * wy + vy * wx
    swept = angle_of(ux * cx + uy * cy, uy * cx - ux * cy) + infinite
    # All of it is the arc of circle A inside Q, hence in [0, π] but for rounding and full turns.
    swept = swept - 2.0 * PI if swept > 1.5 * PI else swept
    return d * (bry * right - bly * left) - h * (leaves - enters) + r2 * swept


@inlined
def sector_area(
    dx: Any, dy: Any, delta: Any,
    a_half: Any, ar: Any, arx: Any, ary: Any, alx: Any, aly: Any,
    b_half: Any, br: Any, brx: Any, bry: Any, blx: Any, bly: Any,
) -> Any:  # fmt: skip
    """Area that sectors A and B share, both at most 180° wide; the same bits when A and B change places.

    (dx, dy) leads from A's apex to B's, delta is B's heading minus A's in [-π, π], counter-clockwise; per sector
    half the field of view in radians, the radius, and the unit vectors along its right and left edge.
    """
    # The directions that both wedges have, in which Q is unbounded: one interval, as both are at most π wide. It starts
    # with a right edge; where both do, neither is preferred, so that the order of A and B does not show.
    common = a_half + b_half - abs(delta)
    common = common if common < 2.0 * a_half else 2.0 * a_half
    common = common if common < 2.0 * b_half else 2.0 * b_half
    common = common if common > 0.0 else 0.0
    excess = b_half - a_half
    sx = (arx if excess >= delta else 0.0) + (brx if excess <= delta else 0.0)
    sy = (ary if excess >= delta else 0.0) + (bry if excess <= delta else 0.0)
    least = ar if ar < br else br
    same_apex = 0.5 * least * least * common

    d2 = dx * dx + dy * dy
    d = np.sqrt(d2)  # not math.sqrt: with the jit off its plain float could not be divided by when it is 0
    inverse = 1.0 / d
    nx = dx * inverse
    ny = dy * inverse
    px = arx * nx + ary * ny
    py = ary * nx - arx * ny
    qx = alx * nx + aly * ny
    qy = aly * nx - alx * ny
    ux = brx * nx + bry * ny
    uy = bry * nx - brx * ny
    vx = blx * nx + bly * ny
    vy = bly * nx - blx * ny
    # How much of the interval lies beyond H (x > 0) and how much before it, from its start turned to x ≥ 0.
    start_x = sx * nx + sy * ny
    start_y = sy * nx - sx * ny
    before = start_x < 0.0
    room = HALF_PI - angle_of(-start_x if before else start_x, -start_y if before else start_y)
    first = room if room < common else common
    rest = common - first
    power = (ar - br) * (ar + br)
    h = 0.5 * (d2 + power) * inverse
    k = 0.5 * (d2 - power) * inverse
    h = TINY if h == 0.0 else h
    k = TINY if k == 0.0 else k
    far = FAR * (ar + br)
    i_p = 1.0 / px
    i_q = 1.0 / qx
    i_u = 1.0 / ux
    i_v = 1.0 / vx
    i_rr = 1.0 / (px * uy - py * ux)
    i_lr = 1.0 / (ux * qy - uy * qx)
    i_rl = 1.0 / (px * vy - py * vx)
    i_ll = 1.0 / (vx * qy - vy * qx)
    lo, hi = clipped(-far, far, i_p, py * h)
    lo, hi = clipped(lo, hi, -i_q, -qy * h)
    lo, hi = clipped(lo, hi, i_u, -uy * k)
    lo, hi = clipped(lo, hi, -i_v, vy * k)
    # Of H, what is inside one disk is inside the other: the smaller one tells it with the smaller error.
    crossed = lo < hi
    lo = lo if crossed else 0.0
    hi = hi if crossed else 0.0
    ar2 = ar * ar
    br2 = br * br
    half = math.sqrt(max(0.0, ar2 - h * h if ar < br else br2 - k * k))
    enters = min(max(lo, -half), hi)
    leaves = max(lo, min(hi, half))
    twice = side_area(
        d, h, k, ar2, far, py, qy, ux, uy, vx, vy, i_rr, i_lr, i_rl, i_ll, i_u, i_v,
        lo, hi, enters, leaves, rest if before else first,
    ) + side_area(
        d, k, h, br2, far, -uy, -vy, -px, -py, -qx, -qy, -i_rr, i_rl, i_lr, -i_ll, -i_p, -i_q,
        -hi, -lo, -leaves, -enters, first if before else rest,
    )  # fmt: skip
    area = same_apex if d <= SAME_APEX * (ar + br) else 0.5 * twice
    # What is left of sectors that only touch is rounding, not overlap.
    return area if area > NOTHING * least * least * (a_half if a_half < b_half else b_half) else 0.0


# Columns of a part, a convex sector: see `relabel.fov.views.Views`.
X, Y, RADIUS, THETA, HALF, RX, RY, LX, LY = range(9)
TILE = 504  # pairs a tile: fits the second-level cache; a power of 2 would set its columns against each other there


@inlined
def turn(angle: Any) -> Any:
    """An angle in [-2π, 2π] brought to [-π, π]."""
    return angle - 2.0 * PI if angle > PI else (angle + 2.0 * PI if angle < -PI else angle)


@compiled(parallel=True)
def sector_areas(query: Any, database: Any, rows: Any, columns: Any, shift: Any, area: Any) -> None:
    """The shared area of each pair (rows[k], columns[k]) of cameras into area[k], in m².

    `query` and `database` are (parts, n, 9) tables of parts, which do not overlap; `shift` is (2, pairs), how far east
    and north of its place the database camera stands, in metres, or (2, 0). A tile of pairs is laid out column by
    column, then computed in one loop without branches, which the compiler runs over several pairs at once in vector
    registers: about three times the speed (benchmarks/bench_fov.py, one thread, with and without LOOP_VECTORIZE).
    """
    pairs = rows.size
    for tile in numba.prange((pairs + TILE - 1) // TILE):
        wide_vectors()
        start = tile * TILE
        size = min(TILE, pairs - start)
        work = np.empty((17, TILE))
        for m in range(size):
            area[start + m] = 0.0
            work[16, m] = 0.0
        for combination in range(query.shape[0] * database.shape[0]):
            p = combination // database.shape[0]
            q = combination % database.shape[0]
            for m in range(size):
                i = np.uint32(rows[start + m])
                j = np.uint32(columns[start + m])
                work[0, m] = database[q, j, X] - query[p, i, X]
                work[1, m] = database[q, j, Y] - query[p, i, Y]
                work[2, m] = turn(database[q, j, THETA] - query[p, i, THETA])
                work[3, m], work[4, m] = query[p, i, HALF], query[p, i, RADIUS]
                work[5, m], work[6, m] = query[p, i, RX], query[p, i, RY]
                work[7, m], work[8, m] = query[p, i, LX], query[p, i, LY]
                work[9, m], work[10, m] = database[q, j, HALF], database[q, j, RADIUS]
                work[11, m], work[12, m] = database[q, j, RX], database[q, j, RY]
                work[13, m], work[14, m] = database[q, j, LX], database[q, j, LY]
            for m in range(size if shift.shape[1] else 0):
                work[0, m] += shift[0, start + m]
                work[1, m] += shift[1, start + m]
            for m in range(size):
                work[15, m] = sector_area(
                    work[0, m], work[1, m], work[2, m],
                    work[3, m], work[4, m], work[5, m], work[6, m], work[7, m], work[8, m],
                    work[9, m], work[10, m], work[11, m], work[12, m], work[13, m], work[14, m],
                )  # fmt: skip
            # Parts of equal and of different numbers are summed apart, so that the sum does not depend on which camera
            # comes first.
            if p == q:
                for m in range(size):
                    there = work[3, m] > 0.0 and work[9, m] > 0.0
                    area[start + m] += work[15, m] if there else 0.0
            else:
                for m in range(size):
                    there = work[3, m] > 0.0 and work[9, m] > 0.0
                    work[16, m] += work[15, m] if there else 0.0
        for m in range(size if query.shape[0] > 1 else 0):
            area[start + m] += work[16, m]


ROW_TILE = 128  # pairs of one query that are computed at once: fits the first-level cache
SPARE, ROUNDING = 1.0 + 1e-9, 1e-15  # of lengths and of coordinates, so that what is passed by has nothing in common
MOST_RATIO = 100.0  # of the square of the longest range to the least area


@compiled()
def sector_rows(
    circle: Any, database_circle: Any, order: Any, cell: Any, runs: Any, by_cell: Any, group: Any, room: Any,
    query: Any, database: Any, query_area: Any, database_area: Any, database_row: Any,
    own_place: Any, measure: Any, threshold: Any,
    start: Any, first: Any, counts: Any, indices: Any, data: Any,
) -> None:  # fmt: skip
    """The values above `threshold` of a block of queries, with the rows of their database cameras.

    What `relabel.fov.candidates` searches, `sector_areas` computes and `relabel.fov.planar` measures one after the
    other, with the same bits, but a query at a time, so that only what is stored leaves the cache.

    `circle`, `database_circle`, `order`, `cell` and `runs` are those of a `Grid`; `query` and `database` are tables of
    parts, as for `sector_areas`, and the areas are in m². `by_cell` and `group` are those of `queries_by_cell`; the
    values of a group begin at the place room[g] of `indices` and `data`, with room for all cameras in the nine cells.
    `own_place` says which database camera each query is itself, -1 where it is none; empty where none is. `measure`
    numbers iou 0, overlap 1, dice 2. Query i gets counts[i - start] values from place first[i - start] on; columns
    ascend.
    """
    wide_vectors()
    arrays_apart()
    for g in range(group.size - 1):
        near = merged_pieces(cameras_near(order, runs, cell[by_cell[group[g]]]))
        size = near.size
        around = np.empty((6, size))
        longest, least = 0.0, np.inf
        for m in range(size):
            for column in range(3):
                around[column, m] = database_circle[near[m], column]
                around[3 + column, m] = database[0, near[m], column]
            longest, least = max(longest, around[5, m]), min(least, database_area[near[m]])
        meets = np.empty(size, np.int64)
        columns = np.empty(ROW_TILE + 1, np.uint32)
        work = np.zeros((12, ROW_TILE))
        at = room[g]
        for member in range(group[g], group[g + 1]):
            i = by_cell[member]
            first[i - start] = at
            own = own_place[i] if own_place.size else -1
            own_area = query_area[i]
            # Candidates are pairs whose circles meet, less those that the query's disk or one of its two edges, or
            # the disk of the other, keeps apart from the other circle.
            cx, cy, radius = circle[i, 0], circle[i, 1], circle[i, 2]
            x, y, reach = query[0, i, X], query[0, i, Y], query[0, i, RADIUS]
            rx, ry, lx, ly = query[0, i, RX], query[0, i, RY], query[0, i, LX], query[0, i, LY]
            if query.shape[0] > 1 and query[1, i, HALF] > 0.0:
                rx, ry, lx, ly = 0.0, 0.0, 0.0, 0.0
            # Where ranges differ very much, what rounding leaves of two views that are apart may count: see NOTHING.
            near_equal = max(longest, reach) ** 2 <= MOST_RATIO * min(least, own_area)
            slack = ROUNDING * (abs(x) + abs(y)) if near_equal else np.inf
            for m in range(size):
                dx, dy, both = around[0, m] - cx, around[1, m] - cy, around[2, m] + radius
                ux, uy, other = around[0, m] - x, around[1, m] - y, around[2, m] * SPARE + slack
                vx, vy, far = around[3, m] - cx, around[4, m] - cy, (around[5, m] + radius) * SPARE + slack
                near_disk = reach * SPARE + other
                meet = (
                    circles_meet(dx, dy, both)
                    & circles_meet(ux, uy, near_disk)
                    & circles_meet(vx, vy, far)
                    & (rx * uy - ry * ux > -other)
                    & (ux * ly - uy * lx > -other)
                )
                meets[m] = 1 if meet else 0
            m = 0
            while m < size:
                # Store first, advance where it counts: a branch that is taken half of the time costs more.
                pairs = 0
                while m < size and pairs < ROW_TILE:
                    columns[pairs] = near[m]
                    pairs += meets[m]
                    m += 1
                for k in range(pairs):
                    work[10, k] = 0.0
                    work[11, k] = 0.0
                for combination in range(query.shape[0] * database.shape[0]):
                    p = combination // database.shape[0]
                    q = combination % database.shape[0]
                    half, r = query[p, i, HALF], query[p, i, RADIUS]
                    rx, ry, lx, ly = query[p, i, RX], query[p, i, RY], query[p, i, LX], query[p, i, LY]
                    for k in range(pairs):
                        j = columns[k]
                        work[0, k] = database[q, j, X] - query[p, i, X]
                        work[1, k] = database[q, j, Y] - query[p, i, Y]
                        work[2, k] = turn(database[q, j, THETA] - query[p, i, THETA])
                        work[3, k], work[4, k] = database[q, j, HALF], database[q, j, RADIUS]
                        work[5, k], work[6, k] = database[q, j, RX], database[q, j, RY]
                        work[7, k], work[8, k] = database[q, j, LX], database[q, j, LY]
                    # A few more, of an earlier pair, rather than a rest that is computed one by one.
                    for k in range((pairs + LANES - 1) // LANES * LANES):
                        work[9, k] = sector_area(
                            work[0, k], work[1, k], work[2, k], half, r, rx, ry, lx, ly,
                            work[3, k], work[4, k], work[5, k], work[6, k], work[7, k], work[8, k],
                        )  # fmt: skip
                    # As in `sector_areas`, parts of equal and of different numbers are summed apart.
                    into = 10 if p == q else 11
                    for k in range(pairs):
                        work[into, k] += work[9, k] if half > 0.0 and work[3, k] > 0.0 else 0.0
                for k in range(pairs):
                    shared = work[10, k] + work[11, k]
                    b = database_area[columns[k]]
                    dice = 0.5 * (own_area + b)
                    whole = own_area + b - shared if measure == 0 else (own_area if measure == 1 else dice)
                    work[9, k] = min(shared / whole, 1.0) if whole > 0.0 else 0.0
                for k in range(pairs):
                    value = np.float32(work[9, k])
                    indices[at] = database_row[columns[k]]
                    data[at] = value
                    at += 1 if (value > threshold) & (columns[k] != own) else 0
            counts[i - start] = at - first[i - start]


@compiled()
def gather_rows(first: Any, ends: Any, pieces: Any, piece_data: Any, indices: Any, data: Any) -> None:
    """What `sector_rows` left in pieces, put together: of query q at the places ends[q] … ends[q + 1] - 1."""
    arrays_apart()
    for q in range(first.size):
        for k in range(ends[q + 1] - ends[q]):
            indices[ends[q] + k] = pieces[first[q] + k]
            data[ends[q] + k] = piece_data[first[q] + k]
