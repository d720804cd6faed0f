"""Field-of-view overlap of all pairs of two sets of cameras on a plane: prepared at once, computed block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError
from relabel.fov._polygon import polygon_areas, region_areas
from relabel.fov._sector import gather_rows, sector_areas, sector_rows
from relabel.fov.candidates import (
    Candidates,
    Grid,
    IndexArray,
    cameras_around,
    candidate_pairs,
    cell_grid,
    headings_within,
    heights_within,
    kept_pairs,
    queries_by_cell,
    query_blocks,
)
from relabel.fov.noise import NOT_SHIFTED, Noise, expected_overlap, noise_of
from relabel.fov.params import FovParams, Shape
from relabel.fov.views import Polygons, Views, common_origin, opening, polygon_area, polygons, views
from relabel.fov.visibility import VisibleRegions, visible_regions
from relabel.geometry.walls import Walls
from relabel.jit import compiled, in_pieces, thread_count, threads_set
from relabel.measures import DEFAULT_MIN_VALUE, MEASURES, Measure, similarity
from relabel.similarity import Collection, RowBlock, Similarity, gather

BLOCK = 2**22
"""Possible candidates a block holds at the most; they bound its memory, at about 30 bytes each."""
PIECES = 32  # of a block: many enough that no thread waits for long for the last one, each a millisecond or two
QUERIES_AT_ONCE = 32  # of a cell, by one thread: many enough to share a search, few enough that all threads have work


@dataclass(frozen=True)
class Whole:
    """What the overlap of some cameras of a collection takes from the collection as a whole.

    The same cameras have the same ψ, to the last bit, with the same of these.

    Attributes
    ----------
    origin:
        the `common_origin` of all cameras, metres; None where it is that of the cameras given.
    noisy:
        whether any camera has noise, so that all values are expected ones; None where the cameras given say it.
    reach_m:
        of cameras in longitude and latitude: the distance up to which any two may meet; 0 where the cameras given
        say it.
    """

    origin: tuple[float, float] | None = None
    noisy: bool | None = None
    reach_m: float = 0.0


class ViewRows(NamedTuple):
    """Stored values of consecutive query views."""

    counts: npt.NDArray[np.int64]
    """(views,) stored pairs of each"""
    indices: npt.NDArray[np.int32]
    """(sum of counts,) rows of the database"""
    data: npt.NDArray[np.float32]
    """(sum of counts,) values"""


@dataclass(frozen=True, eq=False)
class FovOverlap:
    """The overlap of all pairs of query and database cameras, not yet computed.

    It is a `SimilaritySource`: a label file can be written from it in blocks, in memory that does not grow with the
    number of pairs. `source` makes one.
    """

    collection: Collection
    params: FovParams
    threads: int | None
    block: int
    query_views: Views
    database_views: Views
    query_polygons: Polygons | None
    database_polygons: Polygons | None
    progress: Callable[[int], object] | None = None
    query_visible: VisibleRegions | None = None
    database_visible: VisibleRegions | None = None
    noise: Noise | None = None
    walls: Walls | None = None
    whole: Whole = field(default_factory=Whole)
    own: npt.NDArray[np.int64] | None = None
    """(query views,) of self pairs: which of the database views is the query itself"""

    def __repr__(self) -> str:
        return repr(self.collection).replace("Collection", type(self).__name__, 1)

    @cached_property
    def _grid(self) -> Grid:
        return cell_grid(self.query_views.circle, self.database_views.circle)

    @cached_property
    def _query_area(self) -> FloatArray:
        return _of_views(self.collection.query_extent, self.query_views)

    @cached_property
    def _database_area(self) -> FloatArray:
        return _of_views(self.collection.database_extent, self.database_views)

    def candidates(self) -> int:
        """How many pairs of fields of view are close enough to be computed."""
        with threads_set(self.threads):
            return sum(len(self._candidates(*span)[1]) for span in self._blocks())

    def blocks(self) -> Iterator[RowBlock]:
        """All rows in order, a block at a time; the same bits for any number of threads and any size of block."""
        if self.walls is not None and self.query_visible is None:
            raise ValueError("what the walls hide was left to blocks that are cut from this")
        shape = self.collection.shape
        done = 0
        for start, stop in self._blocks():
            with threads_set(self.threads):
                counts, indices, data = self.rows(start, stop)
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
        return query_blocks(self.bounds, self.block)

    def around(self, start: int, stop: int) -> IndexArray:
        """The rows of the database cameras that any of the queries start … stop - 1 may meet, ascending."""
        first, last = np.searchsorted(self.query_views.row, (start, stop))
        with threads_set(self.threads):
            return self.database_views.row[cameras_around(self._grid, int(first), int(last))]

    def areas(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> FloatArray:
        """Common area in m² of the pairs (rows[k], columns[k]), numbered as in the views of the two sides."""
        # As the search numbers them: a kernel is compiled anew for other integers, which takes seconds.
        rows, columns = rows.astype(np.int32, copy=False), columns.astype(np.int32, copy=False)
        area = np.empty(len(rows))
        if self.query_visible is not None and self.database_visible is not None:
            longest = self.query_visible.longest + self.database_visible.longest
            sides = self.query_visible.columns(), self.database_visible.columns()
            arguments: tuple[Any, ...] = (*sides[0], *sides[1], longest, rows, columns, area)
            region_areas(*arguments)
        elif self.query_polygons is None or self.database_polygons is None:
            sector_areas(self.query_views.parts, self.database_views.parts, rows, columns, NOT_SHIFTED, area)
        else:
            q, d = self.query_polygons, self.database_polygons
            polygon_areas(q.apex, q.fan, q.piece, d.apex, d.fan, d.piece, rows, columns, NOT_SHIFTED, area)
        return area

    def values(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> FloatArray:
        """ψ of the pairs (rows[k], columns[k]), numbered as in the views of the two sides, (k,) float64."""
        if self.noise is not None:
            numbers = rows.astype(np.int32), columns.astype(np.int32)
            psi = expected_overlap(self.noise.query, self.noise.database, *numbers, self.params.measure)
        else:
            c = self.collection
            extents = c.query_extent[self.query_views.row[rows]], c.database_extent[self.database_views.row[columns]]
            psi = similarity(self.areas(rows, columns), *extents, self.params.measure)
        psi[~self._within_limits(rows, columns)] = 0.0
        return psi

    @cached_property
    def _headings(self) -> tuple[FloatArray, FloatArray]:
        """Of the views of both sides; NaN where one is a full circle, which looks everywhere."""
        query, database = (
            np.where(
                (self.params.fov_deg if side.fov_deg is None else side.fov_deg[view.row]) == 360.0,
                np.nan,
                side.heading_deg[view.row],
            )
            for side, view in self._sides
        )
        return query, database

    @cached_property
    def _heights(self) -> tuple[FloatArray, FloatArray]:
        query, database = (heights_of(side)[view.row] for side, view in self._sides)
        return query, database

    @property
    def _sides(self) -> tuple[tuple[Cameras, Views], tuple[Cameras, Views]]:
        c = self.collection
        return (c.query, self.query_views), (c.database, self.database_views)

    def _within_limits(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """(k,) whether headings and heights of the pairs differ by no more than they may."""
        within = np.ones(len(rows), bool)
        if self.params.max_heading_difference_deg < 180.0:
            query, database = self._headings
            within &= headings_within(query[rows], database[columns], self.params.max_heading_difference_deg)
        if math.isfinite(self.params.max_height_difference_m):
            query, database = self._heights
            within &= heights_within(query[rows], database[columns], self.params.max_height_difference_m)
        return within

    def _candidates(self, start: int, stop: int) -> Candidates:
        pairs = candidate_pairs(self._grid, start, stop)
        if self._limited:
            return kept_pairs(pairs, self._within_limits(pairs.rows, pairs.columns))
        return pairs

    @property
    def bounds(self) -> IndexArray:
        """(query views,) how many database views each may meet at the most."""
        return self._grid.bounds

    def rows(self, start: int, stop: int) -> ViewRows:
        """What is stored of the query views start … stop - 1."""
        c = self.collection
        if self.query_polygons is None and self.noise is None and not self._limited:
            return self._sector_rows(start, stop)
        ends, rows, columns = self._candidates(start, stop)
        own = np.full(stop - start, -1) if self.own is None else self.own[start:stop]
        values = np.empty(len(columns), np.float32)
        starts = np.zeros(stop - start + 1, np.int64)
        if self.noise is None:
            extents = c.query_extent[self.query_views.row[start:stop]], self._database_area
            shared, measure = (self.areas(rows, columns), *extents), self.params.measure
        else:
            # An expected ψ is a share of a whole that is 1.
            psi = expected_overlap(self.noise.query, self.noise.database, rows, columns, self.params.measure)
            shared, measure = (psi, np.ones(stop - start), np.ones(len(self.database_views))), "overlap"
        threshold = np.float32(c.min_value)
        _measure(ends, columns, *shared, own, MEASURES.index(measure), threshold, values, starts)
        starts = np.cumsum(starts)
        indices, data = np.empty(int(starts[-1]), np.int32), np.empty(int(starts[-1]), np.float32)
        _compact(ends, columns, values, self.database_views.row, starts, indices, data)
        return ViewRows(np.diff(starts), indices, data)

    @property
    def _limited(self) -> bool:
        """Whether headings or heights rule pairs out."""
        return self.params.max_heading_difference_deg < 180.0 or math.isfinite(self.params.max_height_difference_m)

    def _sector_rows(self, start: int, stop: int) -> ViewRows:
        """As `rows`, where nothing but the overlap of whole sectors decides."""
        c, grid = self.collection, self._grid
        by_cell, group = queries_by_cell(grid, start, stop, QUERIES_AT_ONCE)
        room = np.concatenate(([0], np.cumsum(grid.bounds_of(by_cell))))
        pieces = np.empty(int(room[-1]), np.int32), np.empty(int(room[-1]), np.float32)
        first, counts = np.empty(stop - start, np.int64), np.empty(stop - start, np.int64)
        own = np.empty(0, np.int64) if self.own is None else self.own

        def compute(first_group: int, stop_group: int) -> None:
            cut = slice(first_group, stop_group + 1)
            sector_rows(
                grid.query, grid.database, grid.order, grid.cell, grid.runs, by_cell, group[cut], room[group[cut]],
                self.query_views.parts, self.database_views.parts,
                self._query_area, self._database_area, self.database_views.row,
                own, MEASURES.index(self.params.measure), np.float32(c.min_value),
                start, first, counts, *pieces,
            )  # fmt: skip

        # Pieces of about equally many candidates; groups without any at the end are part of the last piece.
        cuts = np.searchsorted(room[group], np.linspace(0, room[-1], PIECES, endpoint=False))
        in_pieces(compute, np.append(cuts, len(group) - 1))
        ends = np.concatenate(([0], np.cumsum(counts)))
        indices, data = np.empty(int(ends[-1]), np.int32), np.empty(int(ends[-1]), np.float32)

        def put_together(first_query: int, stop_query: int) -> None:
            gather_rows(first[first_query:stop_query], ends[first_query : stop_query + 1], *pieces, indices, data)

        in_pieces(put_together, np.linspace(0, stop - start, PIECES + 1).astype(np.int64))
        return ViewRows(counts, indices, data)


@compiled(parallel=True)
def _measure(
    ends: Any, columns: Any, area: Any, query_area: Any, database_area: Any, own: Any,
    measure: Any, threshold: Any, values: Any, kept: Any,
) -> None:  # fmt: skip
    """The value of each candidate into `values`, 0 where it is not stored; how many are, per query, into kept[1:].

    Candidates of query q are the places ends[q] … ends[q + 1] - 1. `measure` numbers iou 0, overlap 1, dice 2; `own`
    is the column that a query must not have, or -1.
    """
    for q in numba.prange(ends.size - 1):
        count = 0
        a = query_area[q]
        for k in range(ends[q], ends[q + 1]):
            shared = area[k]
            b = database_area[columns[k]]
            whole = a + b - shared if measure == 0 else (a if measure == 1 else 0.5 * (a + b))
            # Two cameras that see nothing have nothing in common.
            value = np.float32(min(shared / whole, 1.0)) if whole > 0.0 else np.float32(0.0)
            stored = (value > threshold) & (columns[k] != own[q])
            values[k] = value if stored else np.float32(0.0)
            count += 1 if stored else 0
        kept[q + 1] = count


@compiled(parallel=True)
def _compact(ends: Any, columns: Any, values: Any, database_row: Any, starts: Any, indices: Any, data: Any) -> None:
    """All values that are not 0, with their columns, into `indices` and `data`; query q from place starts[q] on."""
    for q in numba.prange(ends.size - 1):
        at, k = starts[q], ends[q]
        # Store first, advance where it counts: a branch that is taken half of the time costs more.
        while at < starts[q + 1]:
            indices[at] = database_row[columns[k]]
            data[at] = values[k]
            at += 1 if values[k] != 0.0 else 0
            k += 1


def source(
    query: Cameras,
    database: Cameras,
    params: FovParams | None = None,
    *,
    threads: int | None = None,
    block: int = BLOCK,
    progress: Callable[[int], object] | None = None,
    occluders: Walls | None = None,
    whole: Whole | None = None,
    own: npt.NDArray[np.integer[Any]] | None = None,
    for_blocks: bool = False,
) -> FovOverlap:
    """The overlap of fields of view as a `SimilaritySource`.

    Input is checked here, before anything is computed.

    Parameters
    ----------
    params:
        what the overlap depends on besides the cameras; by default `FovParams()`.
    query, database, threads, block, progress, occluders:
        as for `overlap`.
    whole:
        where the cameras are some of a collection: what they take from the whole of it, see `relabel.fov.blocks`.
    own:
        (queries,) the row of the database camera that is the query itself, -1 where none is: that pair is not stored.
        By default all, where both sides are the same object.
    for_blocks:
        it is only to be cut, by `relabel.fov.blocks.cut`: what walls hide is left to the blocks, and extents are those
        of whole fields of view.

    Raises
    ------
    OptionError, InputError
        as `overlap` does.
    """
    params = FovParams() if params is None else params
    is_part, whole = whole is not None, Whole() if whole is None else whole
    if occluders is not None:
        params = replace(params, shape="polygon")  # what is left of a view has straight edges
        if occluders.crs != query.crs:
            raise InputError(f"the walls are in {occluders.crs}, the cameras in {query.crs}: convert both to one frame")
    if block < 1:
        raise OptionError(f"block is {block}; at least one candidate has to fit")
    if query.crs != database.crs:
        raise InputError(f"queries are in {query.crs}, the database in {database.crs}: convert both to one frame first")
    origin = common_origin(query, database) if whole.origin is None else np.array(whole.origin)
    openings = [opening(side, params.fov_deg, params.radius_m) for side in (query, database)]
    wide = any(bool((fov[side.ok] > 180.0).any()) for side, (fov, _) in zip((query, database), openings, strict=True))
    query_views, database_views = (
        views(side, origin, *own, 1 + wide, thread_count(threads))
        for side, own in zip((query, database), openings, strict=True)
    )
    query_polygons = database_polygons = None
    query_area, database_area = query_views.area, database_views.area
    if for_blocks and occluders is not None:
        query_area, database_area = (
            polygon_area(fov[view.row], radius[view.row], params.arc)
            for view, (fov, radius) in zip((query_views, database_views), openings, strict=True)
        )
    elif params.shape == "polygon":
        query_polygons, database_polygons = (
            polygons(side, origin, *own, params.arc) for side, own in zip((query, database), openings, strict=True)
        )
        query_area, database_area = query_polygons.area, database_polygons.area
    query_visible = database_visible = None
    if occluders is not None and query_polygons is not None and database_polygons is not None:
        with threads_set(threads):
            query_visible, database_visible = (
                visible_regions(fan, np.deg2rad(own[view.row]), view.circle, occluders, origin)
                for fan, view, (own, _) in zip(
                    (query_polygons, database_polygons), (query_views, database_views), openings, strict=True
                )
            )
        query_area, database_area = query_visible.area, database_visible.area
    sides = {"queries": query, "database": database}
    label_params: dict[str, Any] = {"shape": params.shape}
    # A number is for the cameras that bring none of their own, those of one side perhaps.
    for name in ("fov_deg", "radius_m"):
        own_in_both = all(getattr(side, name) is not None for side in (query, database))
        label_params[name] = "per camera" if own_in_both else getattr(params, name)
    if params.shape == "polygon":
        label_params["arc"] = int(params.arc)
    if params.max_heading_difference_deg < 180.0:
        label_params["max_heading_difference_deg"] = params.max_heading_difference_deg
    if math.isfinite(params.max_height_difference_m):
        label_params["max_height_difference_m"] = params.max_height_difference_m
        without = {name: int(np.isnan(heights_of(side)[side.ok]).sum()) for name, side in sides.items()}
        for name, side in sides.items():
            if not is_part and without[name] and without[name] == int(side.ok.sum()):
                raise InputError(
                    f"no camera of the {name} has a height, so heights cannot be compared; omit "
                    "max_height_difference_m=…, or use a dataset with heights (a column up, z or altitude of a table)"
                )
        label_params["without_height"] = without
    noise = noise_of(
        (query, database),
        (query_views, database_views),
        None if query_polygons is None or database_polygons is None else (query_polygons, database_polygons),
        origin,
        openings,
        params,
        noisy=whole.noisy,
    )
    if noise is not None:
        if occluders is not None:
            raise OptionError(
                "the expected overlap under noise cannot be computed with walls, which hide something different from "
                "every possible position of a camera: give either occluders or standard deviations"
            )
        label_params |= noise.label_params
        query_views, database_views = (
            replace(view, circle=circle)
            for view, circle in zip((query_views, database_views), noise.circles, strict=True)
        )
    if occluders is not None:
        label_params["occluders"] = dict(occluders.params) or {"walls": len(occluders)}
    collection = Collection(
        query,
        database,
        _extent(query, query_area, query_views.row),
        _extent(database, database_area, database_views.row),
        method=f"fov-{params.shape}",
        measure=params.measure,
        params=label_params,
        min_value=params.min_value,
        self_pairs=query is database,
    )
    return FovOverlap(
        collection,
        params,
        threads,
        block,
        query_views,
        database_views,
        query_polygons,
        database_polygons,
        progress,
        query_visible,
        database_visible,
        noise,
        occluders,
        Whole((float(origin[0]), float(origin[1])), noise is not None),
        _own_views(query_views, database_views, np.arange(len(query)) if query is database else own),
    )


def _own_views(query: Views, database: Views, own: npt.NDArray[np.integer[Any]] | None) -> IndexArray | None:
    """Rows of the database as places among its views, for each query view; -1 where there is none."""
    if own is None:
        return None
    place = np.full(max(int(own.max(initial=-1)), int(database.row.max(initial=-1))) + 2, -1)
    place[database.row] = np.arange(len(database))
    views_of: IndexArray = place[own[query.row]]  # the last place, which -1 leads to, is -1
    return views_of


def heights_of(cameras: Cameras) -> FloatArray:
    """(n,) metres, NaN where a camera has no height."""
    return cameras.position[:, 2] if cameras.position.shape[1] == 3 else np.full(len(cameras), np.nan)


def _of_views(extent: FloatArray, side: Views) -> FloatArray:
    """The extents of the cameras that have a view."""
    return extent if len(side.row) == len(extent) else extent[side.row]


def _extent(cameras: Cameras, area: FloatArray, row: npt.NDArray[np.int64]) -> FloatArray:
    if len(row) == len(cameras):
        return area
    extent = np.full(len(cameras), np.nan)
    extent[row] = area
    return extent


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
    heading_sigma_deg: float = 0.0,
    position_sigma_m: float = 0.0,
    max_heading_difference_deg: float = 180.0,
    max_height_difference_m: float = math.inf,
    threads: int | None = None,
    block: int = BLOCK,
    progress: Callable[[int], object] | None = None,
    occluders: Walls | None = None,
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
        horizontal field of view in degrees, in (0, 360], of cameras that have none of their own.
    radius_m:
        range in metres of cameras that have none of their own.
    shape:
        ``sector``, which is exact, or ``polygon``: the apex and `arc` segments whose corners are on the circle.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    min_value:
        values up to this are not stored.
    heading_sigma_deg, position_sigma_m:
        standard deviation of the noise of each heading, in [0°, 45°], and of each position along either axis: ψ is then
        its expected value under independent Gaussian noise; see `relabel.fov.noise`. Cameras may have values
        of their own in the columns of these names in `Cameras.extra`.
    max_heading_difference_deg:
        pairs whose headings, as stored, differ by more have ψ = 0 and are not stored; in (0°, 180°]. A camera that sees
        a full circle has no such limit.
    max_height_difference_m:
        pairs whose heights, the third number of a position, differ by more have ψ = 0 and are not stored, since fields
        of view are flat: bridges, storeys. Cameras without a height have no such limit.
    threads:
        number of threads, by default all; results do not depend on it.
    block:
        number of candidate pairs to compute at a time; results do not depend on it.
    progress:
        called with the number of queries finished since its last call.
    occluders:
        walls, in the frame of the cameras, that hide what lies behind them; the shape is then ``polygon``. A building
        that a camera is in, or less than 1e-6 m away from, hides nothing from it. The extent of a camera is the area
        that it sees.

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
    pairs = source(
        query,
        database,
        FovParams(
            fov_deg,
            radius_m,
            shape,
            arc,
            measure,
            min_value,
            heading_sigma_deg,
            position_sigma_m,
            max_heading_difference_deg,
            max_height_difference_m,
        ),
        threads=threads,
        block=block,
        progress=progress,
        occluders=occluders,
    )
    return gather(pairs, most=int(pairs.bounds.sum()))


def pair_overlap(
    query: Cameras,
    database: Cameras,
    rows: npt.ArrayLike,
    columns: npt.ArrayLike,
    params: FovParams | None = None,
    *,
    threads: int | None = None,
    occluders: Walls | None = None,
) -> FloatArray:
    """ψ of given pairs only, (m,) float64; NaN where a camera's status is not OK.

    Parameters
    ----------
    rows, columns:
        (m,) row numbers of query and database.
    params:
        what the overlap depends on besides the cameras; by default `FovParams()`.
    query, database, threads, occluders:
        as for `overlap`.

    Raises
    ------
    OptionError, InputError
        as `overlap` does; InputError also for a row number that does not exist.
    """
    rows, columns = np.atleast_1d(np.asarray(rows)), np.atleast_1d(np.asarray(columns))
    overlap = source(query, database, params, threads=threads, occluders=occluders)
    places = []
    for name, side, view, number in (
        ("row", query, overlap.query_views, rows),
        ("column", database, overlap.database_views, columns),
    ):
        if len(number) and not (number.min() >= 0 and number.max() < len(side)):
            raise InputError(f"a {name} is outside 0 … {len(side) - 1}")
        place = np.full(len(side), -1)
        place[view.row] = np.arange(len(view))
        places.append(place[number])
    known = (places[0] >= 0) & (places[1] >= 0)
    result = np.full(len(rows), np.nan)
    with threads_set(overlap.threads):
        result[known] = overlap.values(places[0][known], places[1][known])
    return result
