"""Field-of-view overlap of all pairs of two sets of cameras, streamed in blocks of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError
from relabel.fov import cells
from relabel.fov._polygon import polygon_areas
from relabel.fov._sector import sector_areas
from relabel.fov._select import compacted, measured
from relabel.fov.views import SHAPES, Fans, Shape, Views, common_origin, fans, opening, views
from relabel.jit import threads_set
from relabel.measures import MEASURES, Measure, check_measure, similarity
from relabel.similarity import DEFAULT_MIN_VALUE, Collection, RowBlock, Similarity, gather

BLOCK = 2**22
"""Possible candidates a block holds at the most; they bound its memory, at about 30 bytes each."""


@dataclass(frozen=True, eq=False)
class FovOverlap:
    """The overlap of all pairs of query and database cameras, not yet computed.

    It is a `SimilaritySource`: a label file can be written from it in blocks, in memory that does not grow with the
    number of pairs. `source` makes one.
    """

    collection: Collection
    measure: Measure
    threads: int | None
    block: int
    query_views: Views
    database_views: Views
    query_fans: Fans | None
    database_fans: Fans | None
    progress: Callable[[int], object] | None = None

    @cached_property
    def _grid(self) -> cells.Grid:
        return cells.grid(self.query_views.circle, self.database_views.circle)

    @cached_property
    def _database_area(self) -> FloatArray:
        return self.collection.database_extent[self.database_views.row]

    def candidates(self) -> int:
        """How many pairs of fields of view are close enough to be computed."""
        with threads_set(self.threads):
            return sum(len(cells.candidate_pairs(self._grid, *span)[1]) for span in self._blocks())

    def blocks(self) -> Iterator[RowBlock]:
        """All rows in order, a block at a time; the same bits for any number of threads and any size of block."""
        shape = self.collection.shape
        done = 0
        for start, stop in self._blocks():
            with threads_set(self.threads):
                counts, indices, data = self._rows(start, stop)
            # Queries without a status of OK have no row in the grid; they get an empty one here.
            last = int(self.query_views.row[stop]) if stop < len(self.query_views) else shape[0]
            full = np.zeros(last - done, np.int64)
            full[self.query_views.row[start:stop] - done] = counts
            yield RowBlock(done, full, indices, data)
            if self.progress is not None:
                self.progress(last - done)
            done = last
        if done < shape[0]:
            yield RowBlock(done, np.zeros(shape[0] - done, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))

    def _blocks(self) -> Iterator[tuple[int, int]]:
        return cells.blocks(self._grid.bounds, self.block)

    def areas(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> FloatArray:
        """Common area in m² of the pairs (rows[k], columns[k]), numbered as in the views of the two sides."""
        area = np.empty(len(rows))
        if self.query_fans is None or self.database_fans is None:
            sector_areas(self.query_views.parts, self.database_views.parts, rows, columns, area)
        else:
            q, d = self.query_fans, self.database_fans
            polygon_areas(q.apex, q.fan, q.piece, d.apex, d.fan, d.piece, rows, columns, area)
        return area

    def _rows(
        self, start: int, stop: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        c = self.collection
        ends, rows, columns = cells.candidate_pairs(self._grid, start, stop)
        area = self.areas(rows, columns)
        own = np.full(stop - start, -1)
        if c.self_pairs:
            own = np.arange(start, stop)  # both sides leave out the same cameras, so that they are numbered alike
        values = np.empty(len(columns), np.float32)
        starts = np.zeros(stop - start + 1, np.int64)
        areas = (c.query_extent[self.query_views.row[start:stop]], self._database_area)
        threshold = np.float32(c.min_value)
        measured(ends, columns, area, *areas, own, MEASURES.index(self.measure), threshold, values, starts)
        starts = np.cumsum(starts)
        indices, data = np.empty(int(starts[-1]), np.int32), np.empty(int(starts[-1]), np.float32)
        compacted(ends, columns, values, self.database_views.row, starts, indices, data)
        return np.diff(starts), indices, data


def source(
    query: Cameras,
    database: Cameras,
    *,
    fov_deg: float = 90.0,
    radius_m: float = 50.0,
    shape: Shape = "sector",
    arc: int = 16,
    measure: Measure = "iou",
    min_value: float = DEFAULT_MIN_VALUE,
    threads: int | None = None,
    block: int = BLOCK,
    progress: Callable[[int], object] | None = None,
) -> FovOverlap:
    """The overlap of fields of view as a `SimilaritySource`; the parameters are those of `overlap`.

    Input is checked here, before anything is computed.
    """
    if shape not in SHAPES:
        raise OptionError(f"shape {shape!r} is not known; choose {' or '.join(SHAPES)}")
    check_measure(measure)
    if block < 1:
        raise OptionError(f"block is {block}; at least one candidate has to fit")
    if query.crs != database.crs:
        raise InputError(f"queries are in {query.crs}, the database in {database.crs}: bring both into one frame first")
    origin = common_origin(query, database)
    openings = [opening(side, fov_deg, radius_m) for side in (query, database)]
    wide = any(bool((fov[side.ok] > 180.0).any()) for side, (fov, _) in zip((query, database), openings, strict=True))
    query_views, database_views = (
        views(side, origin, *own, 1 + wide) for side, own in zip((query, database), openings, strict=True)
    )
    query_fans = database_fans = None
    query_area, database_area = query_views.area, database_views.area
    if shape == "polygon":
        query_fans, database_fans = (
            fans(side, origin, *own, arc) for side, own in zip((query, database), openings, strict=True)
        )
        query_area, database_area = query_fans.area, database_fans.area
    params: dict[str, Any] = {"shape": shape}
    # A number is for the cameras that bring none of their own, those of one side perhaps.
    params["fov_deg"] = float(fov_deg) if query.fov_deg is None or database.fov_deg is None else "per camera"
    params["radius_m"] = float(radius_m) if query.radius_m is None or database.radius_m is None else "per camera"
    if shape == "polygon":
        params["arc"] = int(arc)
    collection = Collection(
        query,
        database,
        _extent(query, query_area, query_views.row),
        _extent(database, database_area, database_views.row),
        method=f"fov-{shape}",
        measure=measure,
        params=params,
        min_value=min_value,
        self_pairs=query is database,
    )
    return FovOverlap(
        collection, measure, threads, block, query_views, database_views, query_fans, database_fans, progress
    )


def overlap(
    query: Cameras,
    database: Cameras,
    *,
    fov_deg: float = 90.0,
    radius_m: float = 50.0,
    shape: Shape = "sector",
    arc: int = 16,
    measure: Measure = "iou",
    min_value: float = DEFAULT_MIN_VALUE,
    threads: int | None = None,
    block: int = BLOCK,
    progress: Callable[[int], object] | None = None,
) -> Similarity:
    """Degree of overlap ψ of the fields of view of all pairs of query and database cameras.

    A field of view is the circular sector around the heading, `fov_deg` wide, up to `radius_m` away, in the horizontal
    plane. With the intersection I of two of them and their areas A (query) and B, ψ is I/(A+B-I) for ``iou``, I/A for
    ``overlap`` and 2I/(A+B) for ``dice``. Pairs of cameras whose status is not OK are left out: their ψ is unknown.

    Parameters
    ----------
    query, database:
        cameras with positions in metres in one frame and headings in degrees clockwise from north. When both are the
        same object, the result is self-paired: symmetric (but for ``overlap``), without the diagonal.
    fov_deg:
        horizontal field of view in degrees, in (0, 360]; for cameras that do not bring their own.
    radius_m:
        range in metres; for cameras that do not bring their own.
    shape:
        ``sector``, exact, or ``polygon``, apex and `arc` segments with their corners on the circle.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    min_value:
        values up to this are not stored.
    threads:
        number of threads, by default all; results do not depend on it.
    block:
        the number of possible candidates to work on at a time; results do not depend on it.
    progress:
        called with the number of queries that have been finished since its last call.

    Returns
    -------
    Similarity
        (queries × database) float32 CSR matrix of all ψ > min_value, with the cameras and parameters.

    Raises
    ------
    OptionError
        when a parameter is outside its range.
    InputError
        when the frames of the two sides differ, or an OK camera has no heading, as one with a pose alone.
    """
    return gather(
        source(
            query,
            database,
            fov_deg=fov_deg,
            radius_m=radius_m,
            shape=shape,
            arc=arc,
            measure=measure,
            min_value=min_value,
            threads=threads,
            block=block,
            progress=progress,
        )
    )


def pair_overlap(
    query: Cameras, database: Cameras, rows: npt.ArrayLike, columns: npt.ArrayLike, **options: Any
) -> FloatArray:
    """ψ of given pairs only, (m,) float64; NaN where a camera's status is not OK.

    Parameters
    ----------
    rows, columns:
        (m,) row numbers of query and database.
    options:
        as for `overlap`.

    Raises
    ------
    OptionError, InputError
        as `overlap` does; InputError also for a row number that does not exist.
    """
    rows, columns = np.atleast_1d(np.asarray(rows)), np.atleast_1d(np.asarray(columns))
    asked = source(query, database, **options)
    places = []
    for name, side, view, number in (
        ("row", query, asked.query_views, rows),
        ("column", database, asked.database_views, columns),
    ):
        if len(number) and not (number.min() >= 0 and number.max() < len(side)):
            raise InputError(f"a {name} is outside 0 … {len(side) - 1}")
        place = np.full(len(side), -1)
        place[view.row] = np.arange(len(view))
        places.append(place[number])
    known = (places[0] >= 0) & (places[1] >= 0)
    with threads_set(asked.threads):
        area = asked.areas(places[0][known], places[1][known])
    result = np.full(len(rows), np.nan)
    c = asked.collection
    result[known] = similarity(area, c.query_extent[rows[known]], c.database_extent[columns[known]], asked.measure)
    return result


def _extent(cameras: Cameras, area: FloatArray, row: npt.NDArray[np.int64]) -> FloatArray:
    extent = np.full(len(cameras), np.nan)
    extent[row] = area
    return extent
