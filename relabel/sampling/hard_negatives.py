"""Hard negatives: for every query, the cameras at a certain distance whose views do not overlap with its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError
from relabel.geometry.earth import points
from relabel.sampling._draw import IntArray
from relabel.sampling.blocked import BlockedRuns
from relabel.similarity import Collection

DistanceRange = tuple[float, float]

_BLOCK = 1 << 20  # pairs processed together
_MOST = 1 << 30  # pairs in all, 4 GiB
_TIE = 1e-6  # relative width around a radius in which the tree's own rounding is not trusted
_IN_SPACE = ("surface", "voxel-iou")


def check_range(hard_negatives_m: object) -> DistanceRange:
    """The two radii in metres.

    Raises
    ------
    OptionError
        when there are not two with 0 ≤ lo < hi, both finite.
    """
    try:
        low, high = (float(radius) for radius in hard_negatives_m)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise OptionError(
            f"hard_negatives_m is {hard_negatives_m!r}; it has to be two distances in metres, (lo, hi)"
        ) from None
    if not 0.0 <= low < high < np.inf:
        raise OptionError(f"hard_negatives_m is {hard_negatives_m!r}; 0 ≤ lo < hi is needed, in metres")
    return low, high


def positions_m(cameras: Cameras, collection: Collection) -> FloatArray:
    """(n, 2) or (n, 3) metres: camera positions. Height counts in rooms, not in streets."""
    if collection.method in _IN_SPACE:
        return cameras.position
    return points(cameras, collection.params)


def absent_in_range(
    collection: Collection,
    indptr: IntArray,
    columns: npt.NDArray[np.int32],
    blocked: BlockedRuns,
    distance_range: DistanceRange,
) -> Iterator[tuple[IntArray, npt.NDArray[np.int32]]]:
    """The absent ok cameras at a distance in [lo, hi] of each query, in blocks of rows: counts, and columns by row.

    Parameters
    ----------
    collection:
        both sides; distances are those between `positions_m`.
    indptr, columns:
        the stored pairs, columns counted over ok cameras of the database and strictly increasing in a row.
    blocked:
        columns that are left out.
    distance_range:
        (lo, hi) metres.

    Raises
    ------
    InputError
        if no ok camera has a position.
    OptionError
        if there are more pairs than should be held in memory.
    """
    query, database = collection.query, collection.database
    query_at = positions_m(query, collection)
    database_at = positions_m(database, collection)[database.ok]
    asking = np.flatnonzero(query.ok & np.isfinite(query_at).all(axis=1))
    standing = np.flatnonzero(np.isfinite(database_at).all(axis=1))
    if not (len(asking) and len(standing)):
        raise InputError("hard_negatives_m needs positions, but no camera has one; omit it")
    low, high = distance_range
    tree = cKDTree(database_at[standing])
    counts = np.zeros(len(query), np.int64)
    counts[asking] = tree.query_ball_point(query_at[asking], high * (1.0 + _TIE), return_length=True)
    total = int(counts.sum())
    if total > _MOST:
        raise OptionError(
            f"hard_negatives_m is {distance_range}: {total:,} pairs of cameras are at most {high:g} m apart, more than "
            f"the {_MOST:,} that are kept; make hi smaller"
        )
    ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
    first = 0
    while first < len(query):
        stop = max(int(np.searchsorted(ends, ends[first] + _BLOCK, side="right")) - 1, first + 1)
        rows = np.arange(first, stop)[counts[first:stop] > 0]
        near: Any = tree.query_ball_point(query_at[rows], high * (1.0 + _TIE), return_sorted=True) if len(rows) else []
        row = np.repeat(rows, counts[rows])
        column = standing[np.fromiter((place for neighbours in near for place in neighbours), np.int64, len(row))]
        apart = np.sqrt(((query_at[row] - database_at[column]) ** 2).sum(axis=1))
        kept = (apart >= low) & (apart <= high) & ~blocked.holds(row, column, len(database_at))
        row, column = row[kept], column[kept]
        span = slice(int(indptr[first]), int(indptr[stop]))
        stored_row = np.repeat(np.arange(first, stop), np.diff(indptr[first : stop + 1]))
        width = len(database_at)
        stored = stored_row * width + columns[span]
        absent = ~np.isin(row * width + column, stored, assume_unique=True)
        absent_counts = np.bincount(row[absent] - first, minlength=stop - first).astype(np.int64)
        yield absent_counts, column[absent].astype(np.int32)
        first = stop
