"""Which database cameras are the positives of a query, as arrays of row numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, OptionError
from relabel.excluded_pairs import ExcludedPairs
from relabel.geometry.earth import points
from relabel.similarity import Collection, SimilaritySource, UsedPairs


class RowLists(NamedTuple):
    """A list of database rows for every query, in compressed rows."""

    indptr: npt.NDArray[np.int64]
    indices: npt.NDArray[np.int64]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(queries,) the length of each list."""
        return np.diff(self.indptr)

    def objects(self, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[Any]:
        """The lists of some rows, by default of all, as an (n,) object array of int64 arrays.

        It has one dimension even if all lists are equally long, unlike ``np.array`` of the lists.
        """
        rows = np.arange(len(self.counts)) if rows is None else rows
        lists = np.empty(len(rows), object)
        for i, row in enumerate(rows):
            lists[i] = self.indices[self.indptr[row] : self.indptr[row + 1]]
        return lists


def check_threshold(threshold: float, collection: Collection) -> None:
    """Raise an `OptionError` unless stored values can reach the threshold and absent ones cannot."""
    if not 0.0 < threshold <= 1.0:
        raise OptionError(f"threshold is {threshold}; it has to be in (0, 1]")
    if threshold <= collection.min_value:
        raise OptionError(
            f"threshold is {threshold:g}, but pairs with ψ ≤ {collection.min_value:g} (min_value) are not stored; "
            "choose a larger one"
        )


def rows_above(source: SimilaritySource, threshold: float) -> RowLists:
    """For each query the database rows with ψ ≥ `threshold` (compared as float32), ascending.

    Pairs that the collection excludes are left out.
    """
    check_threshold(threshold, source.collection)
    return _rows_from(UsedPairs(source), threshold)


def rows_not_zero(source: SimilaritySource) -> RowLists:
    """For each query the database rows that must not be taken for negatives, ascending: stored and excluded pairs.

    Only ok cameras are in excluded pairs here; in a self-paired collection, each makes one with itself.
    """
    stored, c = _rows_from(source, 0.0), source.collection
    if not c.exclusion:
        return stored
    order, first, stop = ExcludedPairs(c.exclusion, c.query, c.database).ranges()
    counts = stop - first
    places = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
    rows, width = np.arange(c.shape[0]), max(c.shape[1], 1)
    codes = np.union1d(
        np.repeat(rows, stored.counts) * width + stored.indices, np.repeat(rows, counts) * width + order[places]
    )
    return RowLists(np.searchsorted(codes, np.arange(c.shape[0] + 1) * width), codes % width)


def _rows_from(source: SimilaritySource, threshold: float) -> RowLists:
    counts, indices = [np.zeros(1, np.int64)], [np.empty(0, np.int64)]
    for block in source.blocks():
        keep = block.data >= np.float32(threshold)
        sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(keep)))
        ends = np.cumsum(block.counts)
        counts.append(sums[ends] - sums[ends - block.counts])
        indices.append(block.indices[keep].astype(np.int64))
    return RowLists(np.cumsum(np.concatenate(counts)), np.concatenate(indices))


def rows_within(collection: Collection, radius_m: float) -> RowLists:
    """For each query the database rows at most `radius_m` metres away, ascending; none for cameras without a position.

    Distance is horizontal. In a self-paired collection a camera is not near itself. Pairs that the collection excludes
    are left out.
    """
    from scipy.spatial import KDTree  # noqa: PLC0415  takes a quarter of a second to load

    if not radius_m > 0.0:
        raise OptionError(f"within is {radius_m} m; it has to be more than 0")
    places = [points(cameras, collection.params) for cameras in (collection.query, collection.database)]
    rows, columns = (np.flatnonzero(np.isfinite(place).all(axis=1)) for place in places)
    if not (len(rows) and len(columns)):
        raise InputError("no query or no database camera has a position, so none is within any distance of another")
    tree = KDTree(places[1][columns])
    neighbours = tree.query_ball_point(places[0][rows], radius_m, return_sorted=True)
    lists = [columns[np.asarray(indices, np.int64)] for indices in neighbours]
    if collection.exclusion:
        excluded = ExcludedPairs(collection.exclusion, collection.query, collection.database)
        lists = [near[~excluded.holds(np.array([row]), near)] for row, near in zip(rows, lists, strict=True)]
    if collection.self_pairs:
        lists = [near[near != row] for row, near in zip(rows, lists, strict=True)]
    counts = np.zeros(collection.shape[0] + 1, np.int64)
    counts[rows + 1] = [len(near) for near in lists]
    return RowLists(np.cumsum(counts), np.concatenate(lists).astype(np.int64))


def with_self(lists: RowLists, collection: Collection) -> RowLists:
    """The lists with each camera added to its own, ascending, if the database is the set of queries."""
    if not collection.self_pairs:
        return lists
    n = collection.shape[0]
    codes = np.union1d(np.repeat(np.arange(n), lists.counts) * n + lists.indices, np.arange(n) * (n + 1))
    return RowLists(np.searchsorted(codes, np.arange(n + 1) * n), codes % max(n, 1))
