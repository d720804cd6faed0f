"""Which database cameras are right answers to a query: those near it, or those whose views overlap with its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError
from relabel.exchange.positive_rows import RowLists, rows_above
from relabel.geometry.earth import points
from relabel.measures import check_number
from relabel.similarity import SimilaritySource

WITHIN_M = 25.0
"""The distance within which the field takes two images for the same place."""
_AT_ONCE = 1 << 20  # pairs processed together

IntArray = npt.NDArray[np.int64]

__all__ = ["WITHIN_M", "RowLists", "positives_by_distance", "positives_by_similarity"]


def positives_by_distance(
    query: Cameras,
    database: Cameras,
    within_m: float = WITHIN_M,
    *,
    max_heading_difference_deg: float | None = None,
    params: Mapping[str, Any] | None = None,
) -> RowLists:
    """For each query the database cameras at most `within_m` metres away, ascending.

    Distance is horizontal. Between cameras with poses, whose frame need not have an axis that points up, it is
    straight, and the difference of their headings is the angle between their viewing directions.

    Only the position counts, not the status: the place of a camera without a heading can be recognised, too. A camera
    without a position is near no other.

    Parameters
    ----------
    query, database:
        cameras in one frame.
    within_m:
        metres; a camera exactly that far away is a positive.
    max_heading_difference_deg:
        if given, the largest heading difference of a positive, degrees in [0, 180]; a camera without a heading or pose
        then neither has nor is a positive.
    params:
        the parameters of the collection, which tell whether distances are those on the earth; see
        `relabel.geometry.earth`.

    Returns
    -------
    RowLists
        ``indptr`` (queries + 1,) and ``indices``, int64 rows of the database.

    Raises
    ------
    OptionError
        when `within_m` is not above 0, or the heading difference is not in [0, 180].
    InputError
        when the cameras are in different frames.
    """
    check_number("within_m", within_m)
    if not 0.0 < within_m < np.inf:
        raise OptionError(f"positives within {within_m} m: it has to be more than 0")
    if max_heading_difference_deg is not None:
        check_number("max_heading_difference_deg", max_heading_difference_deg)
    if max_heading_difference_deg is not None and not 0.0 <= max_heading_difference_deg <= 180.0:
        raise OptionError(f"positives by a heading within {max_heading_difference_deg}°: it has to be in [0, 180]")
    if query.crs != database.crs:
        raise InputError(f"queries are in {query.crs} and the database in {database.crs}: convert both to one frame")
    in_space = all(side.pose is not None and side.position.shape[1] == 3 for side in (query, database))
    at = [side.position if in_space else points(side, params or {}) for side in (query, database)]
    rows, columns = _near(at[0], at[1], within_m)
    if max_heading_difference_deg is not None:
        turned = _angle_deg if in_space else _turn_deg
        keep = turned(query, database, rows, columns) <= max_heading_difference_deg
        rows, columns = rows[keep], columns[keep]
    order = np.lexsort((columns, rows))
    counts = np.bincount(rows, minlength=len(query))
    return RowLists(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), columns[order])


def positives_by_similarity(stored: SimilaritySource, threshold: float = 0.5) -> RowLists:
    """For each query the database cameras with ψ ≥ `threshold`, compared as float32, ascending.

    A query that is not ok has none, since its similarities are unknown; leave it out of an evaluation.

    Parameters
    ----------
    stored:
        a collection.
    threshold:
        in (0, 1], and above the collection's `min_value`.

    Raises
    ------
    OptionError
        when the threshold is outside these bounds.
    """
    return rows_above(stored, threshold)


def _turn_deg(query: Cameras, database: Cameras, rows: IntArray, columns: IntArray) -> FloatArray:
    """The heading differences of pairs, degrees; NaN if either camera has no heading."""
    turn = np.abs(query.heading_deg[rows] - database.heading_deg[columns])
    return np.minimum(turn, 360.0 - turn)


def _angle_deg(query: Cameras, database: Cameras, rows: IntArray, columns: IntArray) -> FloatArray:
    """The angle between the optical axes (z of the poses) of pairs, degrees; NaN where a pose is not finite."""
    assert query.pose is not None
    assert database.pose is not None
    a, b = query.pose[rows, :3, 2], database.pose[columns, :3, 2]
    # Not by the arc cosine, which is accurate only to 1e-8 near 0.
    angles: FloatArray = np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=1), np.einsum("ij,ij->i", a, b)))
    return angles


def _near(query: FloatArray, database: FloatArray, within_m: float) -> tuple[IntArray, IntArray]:
    """All pairs (query, database) within a distance.

    Both sides are sorted along the axis on which they spread most, where the cameras near a query are neighbours: in
    real cities this leaves a hundredth of all pairs, without a tree.
    """
    sides = [np.flatnonzero(np.isfinite(side).all(axis=1)) for side in (query, database)]
    if not (len(sides[0]) and len(sides[1])):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    axis = int(np.argmax(np.ptp(database[sides[1]], axis=0)))
    order = sides[1][np.argsort(database[sides[1], axis], kind="stable")]
    along, at = database[order, axis], query[sides[0], axis]
    slack = within_m * 1e-9 + np.abs(at) * 1e-15  # for the rounding of the sums below
    first = np.searchsorted(along, at - within_m - slack, side="left")
    stop = np.searchsorted(along, at + within_m + slack, side="right")
    ends = np.cumsum(stop - first)
    rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    start = 0
    while start < len(at):
        done = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + _AT_ONCE, side="right")))
        length = (stop - first)[start:end]
        which = np.repeat(np.arange(start, end), length)
        inside = np.arange(len(which)) - np.repeat(np.cumsum(length) - length, length)
        row, column = sides[0][which], order[first[which] + inside]
        apart = query[row] - database[column]
        keep = np.einsum("ij,ij->i", apart, apart) <= within_m**2
        rows.append(row[keep])
        columns.append(column[keep])
        start = end
    return np.concatenate(rows), np.concatenate(columns)
