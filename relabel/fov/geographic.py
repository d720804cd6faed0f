"""Overlap of cameras that are given by longitude and latitude, anywhere on earth.

Everything is computed by `FovOverlap`, on a plane on which the tiles of the earth lie side by side; see
`relabel.geometry.tiles`. Cameras near the border of a tile are there twice, and this module maps rows and columns
back to the given cameras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError
from relabel.fov.params import FovParams
from relabel.fov.planar import BLOCK, FovOverlap, Whole
from relabel.fov.planar import source as planar_source
from relabel.fov.views import opening
from relabel.geometry.earth import FRAME, GEODESIC, with_lon_lat
from relabel.geometry.tiles import MOST_REACH_M, Placed, placed
from relabel.geometry.walls import Walls
from relabel.similarity import Collection, RowBlock

LonLat = tuple[FloatArray, FloatArray]
_LETTERS, _FIRST_LETTER = np.int64(2**16), np.uint32(2**16)
_CIRCLES = 1.5
"""Circles around fields of view reach further than the fields themselves, by a factor of at most √2."""


@dataclass(frozen=True, eq=False)
class GeographicOverlap:
    """The overlap of all pairs of cameras given by longitude and latitude, computed when needed: a `SimilaritySource`.

    `source` makes one.
    """

    collection: Collection
    plane: FovOverlap
    """the cameras on the planes of their tiles"""
    query: Placed
    """the camera at each position on the planes"""
    database: Placed
    lon_lat_deg: LonLat
    """(n, 2) of the queries and of the database, as given"""
    progress: Callable[[int], object] | None = None
    whole: Whole = field(default_factory=Whole)
    own: npt.NDArray[np.integer[Any]] | None = None
    """(queries,) for a part of self pairs: the row of the database camera that is the query itself"""

    def __repr__(self) -> str:
        return repr(self.collection).replace("Collection", type(self).__name__, 1)

    @property
    def block(self) -> int:
        """The number of possible candidates to work on at a time."""
        return self.plane.block

    def candidates(self) -> int:
        """The number of pairs of fields of view that are close enough to be computed."""
        return self.plane.candidates()

    def around(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The rows of the database cameras that any of the queries start … stop - 1 may meet, ascending."""
        first, last = np.searchsorted(self.query.row, (start, stop))
        return np.unique(self.database.row[self.plane.around(int(first), int(last))])

    def blocks(self) -> Iterator[RowBlock]:
        """All rows in order, a block at a time; the same bits for any number of threads and any size of block."""
        copies = np.bincount(self.query.row, minlength=len(self.collection.query))
        rows, columns = np.empty(0, np.int64), np.empty(0, np.int32)
        data = np.empty(0, np.float32)
        done, size = 0, len(self.collection.query)
        for block in self.plane.blocks():
            end = block.first_row + len(block.counts)
            placed_rows = np.repeat(np.arange(block.first_row, end), block.counts)
            # Pairs of two guests of a tile are computed in another tile.
            kept = self.query.home[placed_rows] | self.database.home[block.indices]
            if self.own is not None:
                kept &= self.own[self.query.row[placed_rows]] != self.database.row[block.indices]
            rows = np.concatenate([rows, self.query.row[placed_rows[kept]]])
            columns = np.concatenate([columns, self.database.row[block.indices[kept]].astype(np.int32)])
            data = np.concatenate([data, block.data[kept]])
            # The last camera may continue in the next block.
            stop = int(self.query.row[end]) if end < len(self.query.row) else size
            ready = int(np.searchsorted(rows, stop))
            if stop > done:
                counts = np.bincount(rows[:ready] - done, minlength=stop - done)
                yield RowBlock(done, counts, *_in_order(rows[:ready], columns[:ready], data[:ready], copies))
                if self.progress is not None:
                    self.progress(stop - done)
            rows, columns, data, done = rows[ready:], columns[ready:], data[ready:], stop
        if done < size:
            yield RowBlock(done, np.zeros(size - done, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


def _in_order(
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int32],
    data: npt.NDArray[np.float32],
    copies: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Columns and values, sorted by column within a row; only combined rows are out of order."""
    several = np.flatnonzero(copies[rows] > 1)
    if several.size:
        order = several[np.lexsort((columns[several], rows[several]))]
        columns[several], data[several] = columns[order], data[order]
    return columns, data


def source(
    query: Cameras,
    database: Cameras,
    lon_lat_deg: LonLat,
    params: FovParams | None = None,
    *,
    threads: int | None = None,
    block: int = BLOCK,
    progress: Callable[[int], object] | None = None,
    occluders: Walls | None = None,
    whole: Whole | None = None,
    own: npt.NDArray[np.integer[Any]] | None = None,
) -> GeographicOverlap:
    """The overlap of fields of view anywhere on earth, as a `SimilaritySource`.

    Distances and directions are those on the ellipsoid WGS 84, to a few parts in ten million; map zones, the
    antimeridian and the poles have no effect. Headings count from true north, at a pole from the meridian of the
    given longitude. Labels do not depend, to the last bit, on other cameras.

    Parameters
    ----------
    query, database:
        cameras with headings; the same object for self pairs. Their positions are passed on to the result, and not
        used.
    lon_lat_deg:
        (n, 2) longitude and latitude in degrees of the query and of the database cameras, NaN if there is none.
    params:
        the parameters of the overlap; by default `FovParams()`.
    threads, block, progress:
        as for `relabel.fov.overlap`.
    occluders:
        must be None: walls are given on maps only.
    whole, own:
        as for `relabel.fov.source`.

    Returns
    -------
    GeographicOverlap
        its collection has the parameter ``frame: geodesic``, and its cameras have the extra columns ``lon_deg`` and
        ``lat_deg``.

    Raises
    ------
    OptionError
        when a parameter is outside its range, two ranges together exceed 10 km, or there are walls.
    InputError
        when a camera whose status is OK has no position on earth, or as for `relabel.fov.source`.
    """
    params = FovParams() if params is None else params
    if occluders is not None:
        raise OptionError(
            "walls are on a map, but these cameras are in longitude and latitude; put them on a map as well, with crs=…"
        )
    sides = (query, database)
    places = tuple(_checked(*side) for side in zip(sides, lon_lat_deg, strict=True))
    # Checked here, so that errors name the cameras as given.
    reach = _CIRCLES * sum(_longest(side, opening(side, params.fov_deg, params.radius_m)[1]) for side in sides)
    if whole is not None:
        reach = max(reach, whole.reach_m)
    on_plane = None if whole is None else Whole(noisy=whole.noisy)
    while True:
        if reach > MOST_REACH_M:
            raise OptionError(
                f"fields of view that meet from {reach / _CIRCLES:,.0f} m away are too large for a plane; choose a "
                f"radius_m=… of at most {MOST_REACH_M / _CIRCLES / 2.0:,.0f} m, or a map with crs=…"
            )
        tiles = placed(places[:1] if query is database else places, reach)
        plane = [_on_planes(*side) for side in zip(sides, tiles, strict=False)]
        tiles = tuple(replace(side, position=np.empty((0, 2)), turn_deg=np.empty(0)) for side in tiles)  # for memory
        inner = planar_source(plane[0], plane[-1], params, threads=threads, block=block, whole=on_plane)
        needed = sum(_reach(view.circle, view.parts[0, :, :2]) for view in (inner.query_views, inner.database_views))
        if needed <= reach:
            break
        reach = 1.01 * needed
    cameras = [with_lon_lat(side, place) for side, place in zip(sides, lon_lat_deg, strict=True)]
    collection = replace(
        inner.collection,
        query=cameras[0],
        database=cameras[0] if query is database else cameras[1],
        query_extent=_extent(query, tiles[0], inner.collection.query_extent),
        database_extent=_extent(database, tiles[-1], inner.collection.database_extent),
        params={**inner.collection.params, FRAME: GEODESIC},
    )
    stands = Whole(noisy=inner.noise is not None, reach_m=reach)
    return GeographicOverlap(collection, inner, tiles[0], tiles[-1], lon_lat_deg, progress, stands, own)


def _checked(cameras: Cameras, lon_lat_deg: FloatArray) -> FloatArray:
    """The positions of the cameras that can be labelled, NaN in all other rows."""
    if lon_lat_deg.shape != (len(cameras), 2):
        raise InputError(f"lon_lat_deg has shape {lon_lat_deg.shape}; expected ({len(cameras)}, 2), one row per camera")
    with np.errstate(invalid="ignore"):
        good = np.isfinite(lon_lat_deg).all(axis=1) & (np.abs(lon_lat_deg[:, 1]) <= 90.0)
    bad = np.flatnonzero(cameras.ok & ~good)
    if bad.size:
        lon, lat = lon_lat_deg[bad[0]]
        raise InputError(
            f"camera {str(cameras.key[bad[0]])!r} (row {bad[0]}, counted from 0) has longitude {lon:g} and latitude "
            f"{lat:g}, which is not a position on earth; this affects {bad.size} camera(s)"
        )
    return lon_lat_deg if cameras.ok.all() else np.where(cameras.ok[:, None], lon_lat_deg, np.nan)


def _longest(cameras: Cameras, radius_m: FloatArray) -> float:
    return float(radius_m[cameras.ok].max(initial=0.0))


def _reach(circle: FloatArray, apex: FloatArray) -> float:
    """The largest distance from a camera that matters for whether a pair is a candidate."""
    away = np.hypot(circle[:, 0] - apex[:, 0], circle[:, 1] - apex[:, 1]) + circle[:, 2]
    return float(away.max(initial=0.0))


def _on_planes(cameras: Cameras, places: Placed) -> Cameras:
    """The cameras on the planes of their tiles."""

    def pick(column: npt.NDArray[Any] | None) -> Any:
        return None if column is None else column[places.row]

    return Cameras(
        key=_numbered(len(places.row)),
        # The third number, a height, is the same on every plane.
        position=np.column_stack([places.position, cameras.position[places.row, 2:]]),
        heading_deg=cameras.heading_deg[places.row] + places.turn_deg,
        fov_deg=pick(cameras.fov_deg),
        radius_m=pick(cameras.radius_m),
        extra={name: column[places.row] for name, column in cameras.extra.items()},
    )


def _numbered(n: int) -> npt.NDArray[np.str_]:
    """Internal keys for n cameras: two letters each, which take a quarter of the memory of numbers as text."""
    letters = np.empty((n, 2), np.uint32)
    letters[:, 0], letters[:, 1] = np.divmod(np.arange(n), _LETTERS)
    letters += _FIRST_LETTER
    return letters.view("<U2").ravel()


def _extent(cameras: Cameras, places: Placed, extent: FloatArray) -> FloatArray:
    result = np.full(len(cameras), np.nan)
    result[places.row] = extent
    return result
