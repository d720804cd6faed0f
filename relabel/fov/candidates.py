"""Candidate pairs: those whose enclosing circles meet, found through a grid of square cells.

Cells are as wide as two circles can reach, so that everything that meets a circle is in its own cell or in one of the
eight around it. Database cameras are sorted by cell, row by row; three adjacent cells are then one run, and three
runs hold all candidates of a query. If ranges differ much, queries and database are divided by size, and each pair of
sizes has its own grid: otherwise one camera with a range of 100 km would make all cells that wide, and every camera a
candidate of every other. So the work is proportional to the number of pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.jit import compiled, inlined

MOST_CELLS = 2**30  # per side; cells become larger if the extent of the data would need more
_MOST_SIZES = 12  # with a factor of four each, from centimetres to the circumference of the earth
ROUNDING_DEG = 1e-9  # headings of 0.1° and 30.1° differ by 30°, in spite of rounding
ROUNDING_M = 1e-6  # the same for heights
IndexArray = npt.NDArray[np.int64]


class Candidates(NamedTuple):
    """Pairs that may meet, of a block of queries, sorted by row and column."""

    ends: IndexArray
    """(queries + 1,) cumulative counts"""
    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Grid:
    """Database circles sorted by cell, and for each query the runs that may hold candidates."""

    query: FloatArray
    """(nq, 3) circles of the queries"""
    database: FloatArray
    """(nd, 3) circles of the database"""
    order: npt.NDArray[np.int32]
    """database cameras sorted by cell, ascending within a cell: once for each pair of sizes of query and database"""
    cell: IndexArray
    """(nq,) which of the `runs` belong to each query; queries of one size in one cell share them"""
    runs: IndexArray
    """(cells, 3 × sizes of the database, 2) start and end of each run in `order`"""

    @property
    def bounds(self) -> IndexArray:
        """(nq,) cameras in the nine cells around each query, for all sizes: an upper bound of its candidates."""
        sizes: IndexArray = (self.runs[:, :, 1] - self.runs[:, :, 0]).sum(axis=1)[self.cell]
        return sizes

    def bounds_of(self, queries: IndexArray) -> IndexArray:
        """The same for some queries, in time that does not grow with the number of queries."""
        runs = self.runs[self.cell[queries]]
        sizes: IndexArray = (runs[:, :, 1] - runs[:, :, 0]).sum(axis=1)
        return sizes


def cell_grid(query: FloatArray, database: FloatArray) -> Grid:
    """The grid for circles (n, 3) of x, y and radius in metres."""
    if not len(query) or not len(database):
        cell, runs = np.zeros(len(query), np.int64), np.zeros((1, 3, 2), np.int64)
        return Grid(query, database, np.empty(0, np.int32), cell, runs)
    low, high = (np.array(ends) for ends in zip(*(_range(axis, query, database) for axis in (0, 1)), strict=True))
    orders: list[IndexArray] = []
    all_runs: list[IndexArray] = []
    places, cells = 0, 0
    query_sizes, database_sizes = _by_size(query[:, 2]), _by_size(database[:, 2])
    if len(query_sizes) == len(database_sizes) == 1:  # the usual case, without copies of all circles
        order, runs, cell = _one_size(query, database, low, high)
        return Grid(query, database, order.astype(np.int32), cell, runs)
    cell = np.empty(len(query), np.int64)
    for rows in query_sizes:
        group = np.zeros(len(rows), np.int64)
        parts = []
        for others in database_sizes:
            order, own_runs, own_cell = _one_size(query[rows], database[others], low, high)
            orders.append(others[order])
            parts.append((own_runs + places, own_cell))
            places += len(order)
            group = group * len(own_runs) + own_cell
            if len(parts) > 1:
                group = np.unique(group, return_inverse=True)[1]
        if len(parts) == 1:
            all_runs.append(parts[0][0])
        else:
            first = np.unique(group, return_index=True)[1]
            all_runs.append(np.concatenate([own_runs[own_cell[first]] for own_runs, own_cell in parts], axis=1))
        cell[rows] = group + cells
        cells += len(all_runs[-1])
    return Grid(query, database, np.concatenate(orders).astype(np.int32), cell, np.concatenate(all_runs))


def _by_size(radius: FloatArray) -> list[IndexArray]:
    """The rows of circles by size, largest first: within a list, no circle is more than four times as large as another.

    There are at most `_MOST_SIZES` lists; the last one takes the rest.
    """
    rows = np.arange(len(radius))
    lists: list[IndexArray] = []
    while len(rows):
        large = 4.0 * radius[rows] > radius[rows].max()
        if len(lists) == _MOST_SIZES - 1 or not large.any() or large.all():
            return [*lists, rows]
        lists.append(rows[large])
        rows = rows[~large]
    return lists


def _one_size(
    query: FloatArray, database: FloatArray, low: FloatArray, high: FloatArray
) -> tuple[IndexArray, IndexArray, IndexArray]:
    """Database circles sorted by cell, the runs (cells, 3, 2) of cells that hold queries, the cell of each query."""
    extent = high - low
    # Slightly wider than two circles can reach, so that rounding cannot put a neighbour two cells away.
    width = max((query[:, 2].max() + database[:, 2].max()) * (1.0 + 1e-9), float(extent.max()) / MOST_CELLS)
    width = width or 1.0  # circles without extent, all at one point
    stride = int(extent[0] // width) + 4  # an empty column on either side, so that a run of three never wraps around

    def cell_of(circles: FloatArray) -> IndexArray:
        # One axis after the other: both at once would take twice the memory.
        cell: IndexArray = (np.floor((circles[:, 1] - low[1]) / width).astype(np.int64) + 1) * stride + 1
        cell += np.floor((circles[:, 0] - low[0]) / width).astype(np.int64)
        return cell

    database_cell = cell_of(database)
    order = np.argsort(database_cell, kind="stable")
    sorted_cell = database_cell[order]
    occupied, place = np.unique(cell_of(query), return_inverse=True)
    runs = np.empty((len(occupied), 3, 2), np.int64)
    for number, shift in enumerate((-stride, 0, stride)):
        runs[:, number, 0] = np.searchsorted(sorted_cell, occupied + (shift - 1), side="left")
        runs[:, number, 1] = np.searchsorted(sorted_cell, occupied + (shift + 1), side="right")
    return order, runs, place


def _range(axis: int, *sides: FloatArray) -> tuple[float, float]:
    return min(float(side[:, axis].min()) for side in sides), max(float(side[:, axis].max()) for side in sides)


def query_blocks(bounds: IndexArray, budget: int) -> Iterator[tuple[int, int]]:
    """Consecutive blocks of queries, each with at most `budget` possible candidates, or a single query."""
    ends = np.cumsum(bounds)
    start = 0
    while start < len(bounds):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + budget, side="right")), start + 1)
        yield start, stop
        start = stop


def queries_by_cell(grid: Grid, start: int, stop: int, most: int | None = None) -> tuple[IndexArray, IndexArray]:
    """The queries start … stop - 1 sorted by cell, and the starts of the groups of a cell, then their number.

    A cell is one group, or several of at most `most` queries.
    """
    by_cell = np.argsort(grid.cell[start:stop], kind="stable") + start
    cell = grid.cell[by_cell]
    begins = np.concatenate(([True], cell[1:] != cell[:-1]))
    first = np.flatnonzero(begins)
    if most is not None:
        place_in_cell = np.arange(len(cell)) - first[np.cumsum(begins) - 1]
        first = np.flatnonzero(place_in_cell % most == 0)
    return by_cell, np.concatenate((first, [len(by_cell)]))


def candidate_pairs(grid: Grid, start: int, stop: int) -> Candidates:
    """All candidates of the queries start … stop - 1.

    Queries of one size in one cell share their nine cells, which are merged once for all of them.
    """
    by_cell, group = queries_by_cell(grid, start, stop)
    counts = np.zeros(stop - start + 1, np.int64)
    none = np.empty(0, np.int32)
    arguments = (grid.query, grid.database, grid.order, grid.cell, grid.runs, by_cell, group, start)
    _search(*arguments, counts, none, none)
    ends = np.cumsum(counts)
    rows, columns = np.empty(int(ends[-1]), np.int32), np.empty(int(ends[-1]), np.int32)
    _search(*arguments, ends, rows, columns)
    return Candidates(ends, rows, columns)


def cameras_around(grid: Grid, start: int, stop: int) -> IndexArray:
    """The database circles that meet any of the query circles start … stop - 1, ascending.

    They are found through the cells of the grid, but do not depend on its position.
    """
    if start == stop or not len(grid.database):
        return np.empty(0, np.int64)
    places = _merged(grid.runs[np.unique(grid.cell[start:stop])].reshape(-1, 2))
    near = np.sort(grid.order[places]).astype(np.int64)
    near = near[np.diff(near, prepend=-1) > 0]  # np.unique takes 40 times as long
    # From the database side: a database camera needs only one query that it meets, and most meet one of the first.
    reverse = cell_grid(grid.database[near], grid.query[start:stop])
    meets = np.zeros(len(near), np.bool_)
    _meet_any(reverse.query, reverse.database, reverse.order, reverse.cell, reverse.runs, meets)
    return near[meets]


def _merged(runs: IndexArray) -> IndexArray:
    """All numbers in any of the runs (k, 2), given by start and end, ascending, without repetition."""
    runs = runs[runs[:, 0] < runs[:, 1]]
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    if not len(runs):
        return np.empty(0, np.int64)
    reached = np.maximum.accumulate(runs[:, 1])
    first = np.flatnonzero(np.concatenate(([True], runs[1:, 0] > reached[:-1])))
    starts, stops = runs[first, 0], np.maximum.reduceat(runs[:, 1], first)
    sizes = stops - starts
    shift = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes)
    numbers: IndexArray = np.arange(int(sizes.sum())) + shift
    return numbers


@compiled(parallel=True)
def _meet_any(query: Any, database: Any, order: Any, cell: Any, runs: Any, meets: Any) -> None:
    """Whether each query circle meets any database circle, into `meets`."""
    for i in numba.prange(query.shape[0]):
        x, y, radius = query[i, 0], query[i, 1], query[i, 2]
        lead = cell[i]
        for run in range(runs.shape[1]):
            place = runs[lead, run, 0]
            while place < runs[lead, run, 1] and not meets[i]:
                m = order[place]
                meets[i] = circles_meet(database[m, 0] - x, database[m, 1] - y, database[m, 2] + radius)
                place += 1


@inlined
def circles_meet(dx: Any, dy: Any, both: Any) -> Any:
    """Whether two circles, (dx, dy) apart and with the radii `both` together, share more than a point."""
    return dx * dx + dy * dy < both * both


@inlined
def cameras_near(order: Any, runs: Any, cell: Any) -> Any:
    """The database cameras in the nine cells around a cell of the grid: ascending pieces."""
    size = 0
    for run in range(runs.shape[1]):
        size += runs[cell, run, 1] - runs[cell, run, 0]
    near = np.empty(size, np.int32)
    size = 0
    for run in range(runs.shape[1]):
        for place in range(runs[cell, run, 0], runs[cell, run, 1]):
            near[size] = order[place]
            size += 1
    return near


@inlined
def merged_pieces(numbers: Any) -> Any:
    """Numbers in ascending order, by merging ascending pieces, nine for nine cells; sorting takes longer."""
    size = numbers.size
    merged = np.empty_like(numbers)
    pieces = 2
    while pieces > 1:
        pieces, start = 0, 0
        while start < size:
            middle = start + 1
            while middle < size and numbers[middle - 1] <= numbers[middle]:
                middle += 1
            stop = min(middle + 1, size)
            while stop < size and numbers[stop - 1] <= numbers[stop]:
                stop += 1
            i, j, k = start, middle, start
            while i < middle and j < stop:
                take_first = numbers[i] <= numbers[j]
                merged[k] = numbers[i] if take_first else numbers[j]
                i += 1 if take_first else 0
                j += 0 if take_first else 1
                k += 1
            for rest in range(i, middle):
                merged[k + rest - i] = numbers[rest]
            for rest in range(j, stop):
                merged[k + rest - j] = numbers[rest]
            start = stop
            pieces += 1
        numbers, merged = merged, numbers
    return numbers


@compiled(parallel=True)
def _search(
    query: Any, database: Any, order: Any, cell: Any, runs: Any, by_cell: Any, group: Any, start: Any,
    ends: Any, rows: Any, columns: Any,
) -> None:  # fmt: skip
    """Count the candidates of each query into ends[1:], or, given room in `rows` and `columns`, write them down.

    Loops store first and advance if the test holds, since a branch that is taken half of the time costs more.
    """
    fill = rows.size > 0
    for g in numba.prange(group.size - 1):
        near = cameras_near(order, runs, cell[by_cell[group[g]]])
        if fill:
            near = merged_pieces(near)
        size = near.size
        circle = np.empty((3, size))
        for m in range(size):
            for column in range(3):
                circle[column, m] = database[near[m], column]
        for member in range(group[g], group[g + 1]):
            i = by_cell[member]
            x, y, radius = query[i, 0], query[i, 1], query[i, 2]
            if fill:
                at, end, m = ends[i - start], ends[i - start + 1], 0
                while at < end:
                    rows[at] = i
                    columns[at] = near[m]
                    at += 1 if circles_meet(circle[0, m] - x, circle[1, m] - y, circle[2, m] + radius) else 0
                    m += 1
            else:
                count = 0
                for m in range(size):
                    count += 1 if circles_meet(circle[0, m] - x, circle[1, m] - y, circle[2, m] + radius) else 0
                ends[i - start + 1] = count


def headings_within(query_deg: FloatArray, database_deg: FloatArray, most_deg: float) -> npt.NDArray[np.bool_]:
    """(m,) whether two headings, in [0°, 360°), differ by at most `most_deg`; a heading of NaN differs from none."""
    difference = np.abs(query_deg - database_deg)
    more: npt.NDArray[np.bool_] = np.minimum(difference, 360.0 - difference) > most_deg + ROUNDING_DEG
    return ~more


def heights_within(query_m: FloatArray, database_m: FloatArray, most_m: float) -> npt.NDArray[np.bool_]:
    """(m,) whether two heights differ by at most `most_m`; a height of NaN differs from none."""
    more: npt.NDArray[np.bool_] = np.abs(query_m - database_m) > most_m + ROUNDING_M
    return ~more


def kept_pairs(candidates: Candidates, kept: npt.NDArray[np.bool_]) -> Candidates:
    """The candidates whose truth value, (m,), is True."""
    ends, rows, columns = candidates
    places = np.flatnonzero(kept)
    return Candidates(np.searchsorted(places, ends), rows[places], columns[places])
