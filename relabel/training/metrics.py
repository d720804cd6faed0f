"""Recall@k and mean average precision@k of ranked predictions, as the evaluation of MSLS defines them.

Definitions (Warburg et al., CVPR 2020; the program mapillary_sls): with P positives of a query and r_i = 1 where
prediction i (from 1) is one of them and has not been predicted before,

    recall@k  1 where any of r_1 … r_k is 1
    AP@k      1/min(P, k) · Σ_{i ≤ k} r_i · (r_1 + … + r_i)/i

and both are averaged over the queries that have a positive; the others are left out. A prediction that is no picture of
the database takes up its rank and is a miss, and so is one that repeats an earlier one.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, OptionError
from relabel.exchange.positives import Lists

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

KS = (1, 5, 10, 20)
"""The numbers of predictions that the field looks at."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Recall@k and mAP@k, and what they are the means of.

    Attributes
    ----------
    ks:
        the numbers of predictions, ascending.
    positives:
        (queries,) int64, how many positives each query has.
    first_hit:
        (queries,) int64, the rank, counted from 1, of the first positive among the predictions; 0 where there is none.
    average_precision:
        (queries, ks) float64, AP@k; NaN where a query has no positive.
    """

    ks: tuple[int, ...]
    positives: IntArray
    first_hit: IntArray
    average_precision: FloatArray

    @cached_property
    def counted(self) -> BoolArray:
        """(queries,) which queries have a positive, and so count."""
        counted: BoolArray = self.positives > 0
        return counted

    @property
    def recall(self) -> FloatArray:
        """(ks,) the share of the counted queries with a positive among their first k predictions; NaN of none."""
        hit = self.first_hit[self.counted]
        if not len(hit):
            return np.full(len(self.ks), np.nan)
        return np.array([np.mean((hit > 0) & (hit <= k)) for k in self.ks])

    @property
    def map(self) -> FloatArray:
        """(ks,) the mean of AP@k over the counted queries; NaN of none."""
        if not self.counted.any():
            return np.full(len(self.ks), np.nan)
        return np.array([np.mean(column) for column in self.average_precision[self.counted].T])

    def take(self, queries: npt.NDArray[Any]) -> Scores:
        """The scores of some of the queries, given as rows or as a mask."""
        arrays = (self.positives, self.first_hit, self.average_precision)
        return Scores(self.ks, *(array[queries] for array in arrays))


def evaluate(predictions: npt.ArrayLike, positives: Lists | Sequence[npt.ArrayLike], ks: Sequence[int] = KS) -> Scores:
    """Recall@k and mAP@k of predictions; see the head of this module for their definitions.

    Parameters
    ----------
    predictions:
        (queries, n) int, the rows of the database that each query was answered with, best first. A negative number
        stands for a picture outside the database, or for no prediction.
    positives:
        the rows of the database that are right, for each query: `Lists`, ascending and none twice, as
        `positives_by_distance` and `positives_by_similarity` give them; or a sequence of any lists of row numbers.
    ks:
        numbers of predictions; they may be more than n, and are then those of n predictions.

    Raises
    ------
    OptionError
        when `ks` is empty, or holds a number below 1 or one twice.
    InputError
        when predictions are not a table of whole numbers with one row a query, or positives no row numbers.

    Examples
    --------
    >>> scores = evaluate([[2, 0, 1], [1, 2, 0]], [[0, 1], [1]], ks=(1, 2))
    >>> scores.recall.tolist(), scores.map.tolist()
    ([0.5, 1.0], [0.5, 0.625])
    """
    ks = checked_ks(ks)
    right = as_lists(positives)
    rows = as_rows(predictions, len(right.counts))
    hits = first_of_each(rows) & _members(rows, right)
    count = right.counts
    ranks = np.arange(1, rows.shape[1] + 1)
    precise = np.cumsum(np.where(hits, np.cumsum(hits, axis=1) / ranks, 0.0), axis=1)
    precise = np.column_stack([np.zeros(len(rows)), precise])  # column k: the sum over the first k predictions
    average = np.full((len(rows), len(ks)), np.nan)
    counted = count > 0
    for column, k in enumerate(ks):
        total = precise[counted, min(k, rows.shape[1])]
        average[counted, column] = total / np.minimum(count[counted], k)
    first = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0) if hits.size else np.zeros(len(rows), np.int64)
    return Scores(ks, count.astype(np.int64), first.astype(np.int64), average)


def checked_ks(ks: Sequence[int]) -> tuple[int, ...]:
    """The numbers of predictions, ascending.

    Raises
    ------
    OptionError
        when there is none, one is below 1, no whole number, or there twice.
    """
    try:
        numbers = sorted(operator.index(k) for k in ks)
    except TypeError:
        raise OptionError(f"ks is {ks!r}; it has to be whole numbers, such as (1, 5, 10, 20)") from None
    if not numbers or numbers[0] < 1 or len(set(numbers)) < len(numbers):
        raise OptionError(f"ks is {ks!r}; it has to be different numbers from 1 on, such as (1, 5, 10, 20)")
    return tuple(numbers)


def as_rows(predictions: npt.ArrayLike, queries: int) -> IntArray:
    """Predictions as (queries, n) int64.

    Raises
    ------
    InputError
        when they are none.
    """
    rows = np.asarray(predictions)
    if rows.ndim != 2 or len(rows) != queries or (rows.dtype.kind not in "iu" and rows.size):
        raise InputError(
            f"predictions have shape {rows.shape} and type {rows.dtype}; expected whole numbers, ({queries}, n), one "
            "row a query, best first"
        )
    return rows.astype(np.int64)


def as_lists(positives: Lists | Sequence[npt.ArrayLike]) -> Lists:
    """Positives as `Lists`, ascending and none twice; those that are `Lists` already are taken for such.

    Raises
    ------
    InputError
        when one of the lists holds something else than row numbers.
    """
    if isinstance(positives, Lists):
        return positives
    each = [np.empty(0, np.int64)]
    for query, rows in enumerate(positives):
        row = np.asarray(rows)
        if row.ndim != 1 or (row.size and (row.dtype.kind not in "iu" or row.min() < 0)):
            raise InputError(
                f"positives of query {query} (counted from 0) are {rows!r}; expected rows of the database, from 0"
            )
        each.append(np.unique(row).astype(np.int64))
    return Lists(np.cumsum([len(row) for row in each], dtype=np.int64), np.concatenate(each))


def first_of_each(rows: IntArray) -> BoolArray:
    """(queries, n) False where a prediction repeats an earlier one of its query."""
    order = np.argsort(rows, axis=1, kind="stable")
    ranked = np.take_along_axis(rows, order, axis=1)
    repeats = np.zeros(rows.shape, bool)
    np.put_along_axis(repeats, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)
    return ~repeats


def codes(rows: IntArray, width: int) -> IntArray:
    """(queries, n) one number a pair of query and database row, ascending in that order."""
    return np.arange(len(rows), dtype=np.int64)[:, None] * width + rows


def _members(rows: IntArray, positives: Lists) -> BoolArray:
    """(queries, n) whether each prediction is a positive of its query."""
    if not (rows.size and positives.indices.size):
        return np.zeros(rows.shape, bool)
    width = int(max(rows.max(), positives.indices.max())) + 1
    right = np.repeat(np.arange(len(positives.counts)), positives.counts) * width + positives.indices
    wanted = codes(rows, width)
    at = np.minimum(np.searchsorted(right, wanted), len(right) - 1)
    members: BoolArray = (right[at] == wanted) & (rows >= 0)
    return members
