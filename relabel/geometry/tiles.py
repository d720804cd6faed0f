r"""Tiles: pieces of the earth small enough to be mapped onto a plane, for labels that depend on nearby pairs only.

A tile is what a cell of a cubic grid in earth-centred space holds of the surface, so that no zone, antimeridian or pole
is a special case. A camera is at home in one tile. It is also a guest of each tile before its own, in the order of the
cells, that it is near enough to reach into:

    +---------+---------+      h  at home in tile 1
    | 1       |h 2      |      g  at home in tile 2, but within reach of tile 1, hence its guest
    |      h  |g        |      In tile 1 meet two that are at home, or one at home and a guest. Two guests do not: they
    +---------+---------+      meet in another tile.

So every pair within reach meets exactly once, in the earlier of its two tiles, whichever of the two is the
query; labels of self pairs are symmetric to the last bit without further care.

On the plane of a tile cameras are placed by the stereographic projection of a sphere as curved as the ellipsoid is
there. It keeps angles, and stretches distances by less than (s/2R)², with s the distance from the middle of the tile:
8e-8 at the size of `LEAST_M`. Headings are turned by the direction that north has on the plane.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.fixed_width import joined
from relabel.geometry.earth import SQUARED_ECCENTRICITY, axes, ecef, meridional_m, prime_vertical_m

LEAST_M = 4000.0
"""The least edge of a cell. Smaller ones would have many guests, larger ones distort more."""
MOST_REACH_M = 15_000.0
"""The largest reach. Tiles grow with it, to distances that are wrong by 5e-6."""
GRAIN_M = 2.0**-24
"""Places on a plane are multiples of 60 nm. Moved by whole metres they stay so, to the last bit, up to 2²⁸ m."""
_SHIFT, _BITS = 2**20, 21
_AT_ONCE = 2**17  # cameras

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Placed:
    """Cameras at home and as guests, on planes side by side.

    Attributes
    ----------
    row:
        (m,) int64, the camera; ascending, since guests follow right behind the same camera at home.
    home:
        (m,) bool, False for a guest.
    position:
        (m, 2) float64, metres. Cameras of different tiles are further apart than they reach.
    turn_deg:
        (m,) float64, the direction of true north on the plane, degrees clockwise from its y axis; to be added to
        headings.
    """

    row: IntArray
    home: npt.NDArray[np.bool_]
    position: FloatArray
    turn_deg: FloatArray


def placed(sides: tuple[FloatArray, ...], reach_m: float) -> tuple[Placed, ...]:
    """The cameras of each side on the planes of their tiles.

    Parameters
    ----------
    sides:
        (n, 2) longitude and latitude in degrees of each side; rows that are not finite are left out.
    reach_m:
        pairs further apart than this need not meet; at most `MOST_REACH_M`.

    Returns
    -------
    one `Placed` for each side
        any two cameras up to `reach_m` apart meet in exactly one tile; those of one tile are on one plane.
    """
    size = max(LEAST_M, reach_m)
    occupied = [
        np.unique(_number(np.floor(ecef(*side[row].T) / size).astype(np.int64)))
        for side in sides
        for row in _runs(side)
    ]
    tiles = np.unique(np.concatenate([np.empty(0, np.int64), *occupied]))
    frames = _frames(tiles, size)
    # Far enough apart that nothing on one plane reaches what is on the next.
    pitch = np.ceil(2.0 * (size + reach_m) + reach_m)
    across = int(np.ceil(np.sqrt(len(tiles)))) or 1
    result = []
    for side in sides:
        pieces: list[list[npt.NDArray[Any]]] = [
            [np.empty(0, np.int64)],
            [np.empty(0, np.bool_)],
            [np.empty((0, 2))],
            [np.empty(0)],
        ]
        for row in _runs(side):
            point = ecef(*side[row].T)
            home = np.floor(point / size).astype(np.int64)
            at, tile = _guests(point, home, tiles, size, reach_m)
            own = np.searchsorted(tiles, _number(home))
            which, where = np.concatenate([np.arange(len(row)), at]), np.concatenate([own, tile])
            order = np.argsort(which, kind="stable")
            which, where = which[order], where[order]
            position, turn = _on_plane(side[row[which]], point[which], *(frame[where] for frame in frames))
            corner = pitch * np.column_stack([where % across, where // across])
            columns = row[which], order < len(row), np.round(position / GRAIN_M) * GRAIN_M + corner, turn
            for column, piece in zip(pieces, columns, strict=True):
                column.append(piece)
        result.append(Placed(*map(joined, pieces)))
    return tuple(result)


def _runs(lon_lat_deg: FloatArray) -> Iterator[IntArray]:
    """The rows that are finite, some at a time, so that what is computed of them takes little memory."""
    for start in range(0, len(lon_lat_deg), _AT_ONCE):
        yield np.flatnonzero(np.isfinite(lon_lat_deg[start : start + _AT_ONCE]).all(axis=1)) + start


def _number(cell: IntArray) -> IntArray:
    """One number a cell (m, 3); its order is that of the cells by x, then y, then z."""
    number: IntArray = ((cell[:, 0] + _SHIFT << _BITS) + cell[:, 1] + _SHIFT << _BITS) + cell[:, 2] + _SHIFT
    return number


def _cell(number: IntArray) -> IntArray:
    """The cells (m, 3) of numbers."""
    mask = (1 << _BITS) - 1
    return np.column_stack([number >> 2 * _BITS, number >> _BITS & mask, number & mask]) - _SHIFT


def _guests(
    point: FloatArray, home: IntArray, tiles: IntArray, size: float, reach_m: float
) -> tuple[IntArray, IntArray]:
    """Which points are guests, and of which of the tiles: those before their own whose cell is within reach."""
    # Along each axis, how far it is to the cell before, to the own one, and to the one after.
    inside = point - home * size
    gap = np.stack([inside, np.zeros_like(inside), size - inside])
    which, where = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for x, y, z in np.ndindex(3, 3, 3):
        if (x, y, z) >= (1, 1, 1):  # the own cell, or one after it
            break
        near = np.flatnonzero(gap[x, :, 0] ** 2 + gap[y, :, 1] ** 2 + gap[z, :, 2] ** 2 <= reach_m**2)
        number = _number(home[near] + np.array([x - 1, y - 1, z - 1]))
        tile = np.minimum(np.searchsorted(tiles, number), len(tiles) - 1)
        there = tiles[tile] == number
        which.append(near[there])
        where.append(tile[there])
    return np.concatenate(which), np.concatenate(where)


def _frames(tiles: IntArray, size: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of each tile its middle on the ellipsoid (t, 3), its axes (t, 3, 3) east, north and up, and its radius (t,)."""
    x, y, z = ((_cell(tiles) + 0.5) * size).T
    # The latitude of a point near the surface; a few metres beside it any other would serve as well.
    level = np.hypot(x, y)
    lon, lat = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, level * (1.0 - SQUARED_ECCENTRICITY)))
    sine = np.sin(np.radians(lat))
    radius = np.sqrt(meridional_m(sine) * prime_vertical_m(sine))
    return ecef(lon, lat), np.stack(axes(lon, lat), axis=1), radius


def _on_plane(
    lon_lat_deg: FloatArray, point: FloatArray, middle: FloatArray, frame: FloatArray, radius: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Place (m, 2) and direction of north (m,), degrees clockwise, of cameras on the planes of their tiles.

    Seen from the antipode of the middle, a point (e, n, u) of the sphere falls on k·(e, n) with k = 2R/(2R + u). Its
    derivative along north (e', n', u') is k·(e', n') - k²/(2R)·u'·(e, n).
    """
    _, north, _ = axes(*lon_lat_deg.T)
    offset = np.einsum("mij,mj->mi", frame, point - middle)
    along = np.einsum("mij,mj->mi", frame, north)
    k = 2.0 * radius / (2.0 * radius + offset[:, 2])
    position = k[:, None] * offset[:, :2]
    step = along[:, :2] - (k * along[:, 2] / (2.0 * radius))[:, None] * offset[:, :2]
    return position, np.degrees(np.arctan2(step[:, 0], step[:, 1]))
