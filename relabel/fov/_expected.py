"""Kernels of the expected overlap: turned cameras, displaced pairs, and which of these can still meet.

A node of the cubature turns every camera by an angle of its own and displaces one camera of a pair against the other.
The shared area is then computed by the ordinary kernels.
"""

from __future__ import annotations

import math
from typing import Any

import numba

from relabel.jit import compiled, inlined

# Columns of a part: see `relabel.fov.views.Views`.
THETA, RX, RY, LX, LY = 3, 5, 6, 7, 8
FULL_TURN = 2.0 * math.pi
OPPOSITE = 1e-24  # two unit vectors whose sum is shorter than 1e-12 have no bisector
TILE = 1024


@inlined
def turned_x(x: Any, y: Any, c: Any, s: Any) -> Any:
    """The x of a vector turned counter-clockwise by the angle whose cosine and sine are c and s."""
    return x * c - y * s


@inlined
def turned_y(x: Any, y: Any, c: Any, s: Any) -> Any:
    """The y of a vector turned counter-clockwise by the angle whose cosine and sine are c and s."""
    return y * c + x * s


@compiled(parallel=True)
def turn_parts(parts: Any, angle: Any, cosine: Any, sine: Any, turned: Any) -> None:
    """Sectors turned around their apices, from `parts` into `turned`.

    Both are (parts, n, 9), angle, cosine and sine (n,), counter-clockwise, in [-π, π].
    """
    for i in numba.prange(parts.shape[1]):
        c, s = cosine[i], sine[i]
        for p in range(parts.shape[0]):
            for column in range(parts.shape[2]):
                turned[p, i, column] = parts[p, i, column]
            theta = parts[p, i, THETA] + angle[i]
            theta = theta - FULL_TURN if theta >= FULL_TURN else theta
            turned[p, i, THETA] = theta + FULL_TURN if theta < 0.0 else theta
            turned[p, i, RX] = turned_x(parts[p, i, RX], parts[p, i, RY], c, s)
            turned[p, i, RY] = turned_y(parts[p, i, RX], parts[p, i, RY], c, s)
            turned[p, i, LX] = turned_x(parts[p, i, LX], parts[p, i, LY], c, s)
            turned[p, i, LY] = turned_y(parts[p, i, LX], parts[p, i, LY], c, s)


@compiled(parallel=True)
def turn_points(points: Any, cosine: Any, sine: Any, turned: Any) -> None:
    """The (n, 2, m) `points` of n cameras, relative to their apices in metres, turned around these into `turned`."""
    for i in numba.prange(points.shape[0]):
        c, s = cosine[i], sine[i]
        for m in range(points.shape[2]):
            turned[i, 0, m] = turned_x(points[i, 0, m], points[i, 1, m], c, s)
            turned[i, 1, m] = turned_y(points[i, 0, m], points[i, 1, m], c, s)


@compiled(parallel=True)
def pair_frames(query: Any, database: Any, rows: Any, columns: Any, frame: Any) -> None:
    """The data of a pair that do not depend on the node, into the columns of `frame` (5, pairs), all in metres.

    `query` and `database` are (n, 6): apex, radius of the enclosing circle, unit vector of the heading, and standard
    deviation of the position along either axis. The rows of `frame`: from the query's apex to the other, the square of
    the distance at which the circles touch, and the vector along which position noise is laid out, which points along
    the mean heading and is as long as the noise. That vector is the same to the bit when the cameras change places.
    Opposite headings have no mean; they get the perpendicular that points east or, if it is steeper than 45°, north.
    """
    for k in numba.prange(rows.size):
        i, j = rows[k], columns[k]
        frame[0, k] = database[j, 0] - query[i, 0]
        frame[1, k] = database[j, 1] - query[i, 1]
        both = query[i, 2] + database[j, 2]
        frame[2, k] = both * both
        x, y = query[i, 3] + database[j, 3], query[i, 4] + database[j, 4]
        if x * x + y * y < OPPOSITE:
            x, y = query[i, 4] - database[j, 4], database[j, 3] - query[i, 3]
            if (x if abs(x) > abs(y) else y) < 0.0:
                x, y = -x, -y
        size = math.sqrt(query[i, 5] * query[i, 5] + database[j, 5] * database[j, 5]) / math.sqrt(x * x + y * y)
        frame[3, k] = x * size
        frame[4, k] = y * size


@compiled(parallel=True)
def circles_meet(
    query: Any, database: Any, rows: Any, columns: Any, frame: Any, along: Any, across: Any, meets: Any
) -> None:
    """Whether the enclosing circles of each pair meet at a node, into `meets` (pairs,).

    `query` and `database` are (n, 2) centres of the circles relative to the apices, `frame` is that of `pair_frames`;
    the database camera is displaced by `along` and `across` in its units, `across` to the left.
    """
    for tile in numba.prange((rows.size + TILE - 1) // TILE):
        for k in range(tile * TILE, min((tile + 1) * TILE, rows.size)):
            i, j = rows[k], columns[k]
            dx = frame[0, k] + (along * frame[3, k] - across * frame[4, k]) + (database[j, 0] - query[i, 0])
            dy = frame[1, k] + (along * frame[4, k] + across * frame[3, k]) + (database[j, 1] - query[i, 1])
            meets[k] = dx * dx + dy * dy < frame[2, k]


@compiled(parallel=True)
def gather_pairs(
    which: Any, rows: Any, columns: Any, frame: Any, along: Any, across: Any,
    near_rows: Any, near_columns: Any, near_shift: Any,
) -> None:  # fmt: skip
    """Gather the pairs `which` (m,), and the displacements of their database cameras, in metres."""
    for m in numba.prange(which.size):
        k = which[m]
        near_rows[m], near_columns[m] = rows[k], columns[k]
        near_shift[0, m] = along * frame[3, k] - across * frame[4, k]
        near_shift[1, m] = along * frame[4, k] + across * frame[3, k]


@compiled(parallel=True)
def similarities(
    which: Any, rows: Any, columns: Any, area: Any, query_area: Any, database_area: Any, measure: Any, value: Any
) -> None:
    """ψ of the pairs `which` from their shared areas, into value[which]; other values are not touched.

    `rows`, `columns` and `area` are (m,), as `which`. `measure` numbers iou 0, overlap 1, dice 2.
    """
    for m in numba.prange(which.size):
        a, b, shared = query_area[rows[m]], database_area[columns[m]], area[m]
        whole = a + b - shared if measure == 0 else (a if measure == 1 else 0.5 * (a + b))
        value[which[m]] = min(shared / whole, 1.0)


@compiled(parallel=True)
def add_mirrored(total: Any, weight: Any, centre: Any, one: Any, other: Any) -> None:
    """Add the differences of two mirrored nodes from the centre, in a sum that is the same when they are exchanged."""
    for k in numba.prange(total.size):
        total[k] += weight * ((one[k] - centre[k]) + (other[k] - centre[k]))
