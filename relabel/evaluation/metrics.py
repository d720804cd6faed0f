"""Scores of ranked predictions: recall@k and mAP@k as MSLS defines them, and how well rankings follow ψ.

Definitions (Warburg et al., CVPR 2020; the program mapillary_sls): with P positives of a query and r_i = 1 where
prediction i (counted from 1) is one of them and has not been predicted before,

    recall@k  1 where any of r_1 … r_k is 1
    AP@k      1/min(P, k) · Σ_{i ≤ k} r_i · (r_1 + … + r_i)/i

and both are averaged over the queries that have a positive; the others are left out. A prediction that is not an
image of the database keeps its rank and is a miss, as is one that repeats an earlier prediction.

nDCG@k (Järvelin and Kekäläinen, ACM TOIS 2002, with the discount 1/log₂(i + 1) at rank i from 1):

    DCG@k = Σ_{i ≤ k} ψ(query, prediction i) / log₂(i + 1),    nDCG@k = DCG@k / the largest value of any ranking

A pair that is not stored has gain 0, and so has a prediction that repeats an earlier one, is no image of the database,
or is of a camera that is not ok, whose ψ is unknown. Queries are left out whose similarities are unknown, and those
that overlap with nothing in the database.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.display import fields_text
from relabel.errors import InputError, OptionError
from relabel.exchange.positive_rows import RowLists
from relabel.excluded_pairs import ExcludedPairs
from relabel.labelfile import StoredCollection
from relabel.similarity import UsedPairs, gather

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

KS = (1, 5, 10, 20)
"""The numbers of predictions that are usual in the field."""

_DENSE_CELLS = 1 << 22  # up to this many pairs, absent ones are enumerated rather than drawn until there are enough
_TRIES = 50
_PAIRS = 1_000_000
_AT_ONCE = 1 << 22
_MOST = (1 << 63) - 1
_NO_ROW = 1 << 53
"""No database has as many images; float64 represents all whole numbers up to this one."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Recall@k and mAP@k, and the values that they are the means of.

    Attributes
    ----------
    ks:
        the numbers of predictions, ascending.
    positives:
        (queries,) int64, how many positives each query has.
    first_hit:
        (queries,) int64, the rank, counted from 1, of the first positive among the predictions; 0 if there is none.
    average_precision:
        (queries, ks) float64, AP@k; NaN where a query has no positive.
    """

    ks: tuple[int, ...]
    positives: IntArray
    first_hit: IntArray
    average_precision: FloatArray

    def __repr__(self) -> str:
        return fields_text(self)

    @cached_property
    def counted(self) -> BoolArray:
        """(queries,) which queries have a positive, and therefore count."""
        counted: BoolArray = self.positives > 0
        return counted

    @property
    def recall(self) -> FloatArray:
        """(ks,) the share of counted queries with a positive among their first k predictions; NaN if none counts."""
        hit = self.first_hit[self.counted]
        if not len(hit):
            return np.full(len(self.ks), np.nan)
        return np.array([np.mean((hit > 0) & (hit <= k)) for k in self.ks])

    @property
    def map(self) -> FloatArray:
        """(ks,) the mean of AP@k over the counted queries; NaN if no query counts."""
        if not self.counted.any():
            return np.full(len(self.ks), np.nan)
        return np.array([np.mean(column) for column in self.average_precision[self.counted].T])

    def take(self, queries: npt.NDArray[Any]) -> Scores:
        """The scores of some of the queries, given as rows or as a mask."""
        arrays = (self.positives, self.first_hit, self.average_precision)
        return Scores(self.ks, *(array[queries] for array in arrays))


def evaluate(
    predictions: npt.ArrayLike, positives: RowLists | Sequence[npt.ArrayLike], ks: Sequence[int] = KS
) -> Scores:
    """Recall@k and mAP@k of predictions, as defined at the head of this module.

    Parameters
    ----------
    predictions:
        (queries, n) whole numbers, the rows of the database that each query was answered with, best first. Any number
        that is not a row of the database means an image outside it, or no prediction, and so does NaN: search libraries
        pad with -1, NaN or arbitrary numbers.
    positives:
        the rows of the database that are right, for each query: `RowLists`, strictly ascending, as
        `positives_by_distance` and `positives_by_similarity` give them; or a sequence of any lists of row numbers.
    ks:
        the numbers k of predictions; for k > n, the scores are those of n predictions.

    Raises
    ------
    OptionError
        when `ks` is empty, or holds a number below 1 or one twice.
    InputError
        when predictions are not a table of whole numbers with one row per query, or positives are not row numbers;
        the message names query and rank.

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
        when there is none, or one is below 1, not a whole number, or repeated.
    """
    try:
        numbers = sorted(operator.index(k) for k in ks)
    except TypeError:
        raise OptionError(f"ks is {ks!r}; it has to be whole numbers, such as (1, 5, 10, 20)") from None
    if not numbers or numbers[0] < 1 or len(set(numbers)) < len(numbers):
        raise OptionError(f"ks is {ks!r}; it has to be distinct numbers from 1 on, such as (1, 5, 10, 20)")
    return tuple(numbers)


def as_rows(predictions: npt.ArrayLike, queries: int) -> IntArray:
    """Predictions as (queries, n) int64: -1 for NaN, None and infinity; beyond int64, its largest number.

    Raises
    ------
    InputError
        when they are not a table with one row per query, or hold anything but whole numbers; the message names query
        and rank.
    """
    try:
        table = np.asarray(np.ma.filled(predictions, -1) if np.ma.isMaskedArray(predictions) else predictions)
    except (TypeError, ValueError, RuntimeError) as error:  # lists of several lengths, tensors on a GPU
        why = " ".join(str(error).split())
        raise InputError(
            f"predictions are not an array of numbers ({why}); give an array, ({queries}, n), and fill short rows "
            "with -1"
        ) from None
    if table.ndim != 2 or len(table) != queries or (table.dtype.kind not in "iufO" and table.size):
        raise InputError(
            f"predictions have shape {table.shape} and type {table.dtype}; expected whole numbers, ({queries}, n), "
            "one row per query, best first"
        )
    if table.dtype.kind == "O":
        return _rows_of_objects(table)
    if table.dtype.kind == "f":
        wide = table.astype(np.float64)
        finite = np.isfinite(wide)
        _refuse_any(table, finite & (wide != np.floor(wide)), "is not a whole number")
        # Beyond these, floats skip whole numbers, and a row may have become its neighbour.
        inexact = finite & (wide > 2.0 ** (np.finfo(table.dtype).nmant + 1)) & (wide < _NO_ROW)
        _refuse_any(table, inexact, f"cannot be distinguished from neighbouring rows in {table.dtype}; give int64")
        table = np.where(finite, wide, -1).clip(-1, _NO_ROW)
    elif table.dtype == np.uint64:
        table = np.minimum(table, np.uint64(_MOST))
    rows: IntArray = table.astype(np.int64)
    return rows


def _rows_of_objects(table: npt.NDArray[Any]) -> IntArray:
    """Predictions of any Python objects; None and NaN mean no prediction."""
    rows = np.full(table.shape, -1, np.int64)
    wrong = np.zeros(table.shape, bool)
    for place, value in np.ndenumerate(table):
        if value is None or (isinstance(value, float) and not np.isfinite(value)):
            continue
        try:
            row = int(value) if isinstance(value, float) and value == int(value) else operator.index(value)
        except TypeError:
            wrong[place] = True
        else:
            rows[place] = min(max(row, -1), _MOST)
    _refuse_any(table, wrong, "is not a whole number")
    return rows


def _refuse_any(table: npt.NDArray[Any], wrong: BoolArray, why: str) -> None:
    """Raise an InputError that names the first prediction that is wrong."""
    if wrong.any():
        query, rank = np.argwhere(wrong)[0].tolist()
        raise InputError(
            f"prediction {rank} of query {query} (both counted from 0) is {table[query, rank]}, which {why}; expected "
            "rows of the database, best first, one row per query"
        )


def as_lists(positives: RowLists | Sequence[npt.ArrayLike]) -> RowLists:
    """Positives as `RowLists`, strictly ascending; `RowLists` are taken as they are.

    Raises
    ------
    InputError
        when one of the lists holds anything but row numbers.
    """
    if isinstance(positives, RowLists):
        return positives
    each = [np.empty(0, np.int64)]
    for query, rows in enumerate(positives):
        try:
            row = np.asarray(rows)
        except ValueError:  # lists of several lengths
            row = np.empty((0, 0))
        if row.ndim != 1 or (row.size and (row.dtype.kind not in "iu" or row.min() < 0 or row.max() > _MOST)):
            raise InputError(
                f"positives of query {query} (counted from 0) are {rows!r}; expected rows of the database, from 0"
            )
        each.append(np.unique(row).astype(np.int64))
    return RowLists(np.cumsum([len(row) for row in each], dtype=np.int64), np.concatenate(each))


def first_of_each(rows: IntArray) -> BoolArray:
    """(queries, n) False where a prediction repeats an earlier one of its query."""
    order = np.argsort(rows, axis=1, kind="stable")
    ranked = np.take_along_axis(rows, order, axis=1)
    repeats = np.zeros(rows.shape, bool)
    np.put_along_axis(repeats, order[:, 1:], ranked[:, 1:] == ranked[:, :-1], axis=1)
    return ~repeats


def _pair_codes(columns: IntArray, width: int) -> IntArray:
    """(queries, n) one number per pair of query and column, ascending in that order; columns are below `width`."""
    return np.arange(len(columns), dtype=np.int64)[:, None] * width + columns


def _members(rows: IntArray, positives: RowLists) -> BoolArray:
    """(queries, n) whether each prediction is a positive of its query."""
    if not (rows.size and positives.indices.size):
        return np.zeros(rows.shape, bool)
    # Numbered among the rows that are positives of any query, so that no code overflows.
    row, number = np.unique(positives.indices, return_inverse=True)
    at = np.minimum(np.searchsorted(row, rows), len(row) - 1)
    right = np.repeat(np.arange(len(positives.counts)), positives.counts) * len(row) + number
    wanted = _pair_codes(at, len(row))
    place = np.minimum(np.searchsorted(right, wanted), len(right) - 1)
    members: BoolArray = (row[at] == rows) & (right[place] == wanted)
    return members


@dataclass(frozen=True, eq=False)
class GradedScores:
    """Graded scores, query by query.

    Attributes
    ----------
    ks:
        the numbers of predictions, ascending.
    ndcg:
        (queries, ks) float64, nDCG@k in [0, 1]; NaN where a query is left out.
    top1:
        (queries,) float64, ψ of the first prediction; NaN where a query is left out.
    """

    ks: tuple[int, ...]
    ndcg: FloatArray
    top1: FloatArray

    def __repr__(self) -> str:
        return fields_text(self)

    @property
    def counted(self) -> BoolArray:
        """(queries,) which queries are not left out."""
        counted: BoolArray = ~np.isnan(self.top1)
        return counted

    @property
    def mean_ndcg(self) -> FloatArray:
        """(ks,) the mean of nDCG@k over the queries that count; NaN if there is none."""
        return _mean(self.ndcg[self.counted])

    @property
    def mean_top1(self) -> float:
        """The mean ψ of the first prediction over the queries that count; NaN if there is none."""
        return float(_mean(self.top1[self.counted][:, None])[0])

    def take(self, queries: npt.NDArray[Any]) -> GradedScores:
        """The scores of some of the queries, given as rows or as a mask."""
        return GradedScores(self.ks, self.ndcg[queries], self.top1[queries])


def graded(
    stored: StoredCollection | sparse.csr_array,
    predictions: npt.ArrayLike,
    ks: Sequence[int] = KS,
) -> GradedScores:
    """nDCG@k with ψ as gain, and ψ of the first prediction, as defined at the head of this module.

    Parameters
    ----------
    stored:
        a collection, or its (queries × database) matrix of ψ. A pair that the collection excludes counts as 0.
    predictions, ks:
        as for `relabel.training.evaluate`.

    Raises
    ------
    OptionError, InputError
        as for `relabel.training.evaluate`.
    """
    ks = checked_ks(ks)
    matrix = gather(UsedPairs(stored)).matrix if isinstance(stored, StoredCollection) else stored
    rows = as_rows(predictions, matrix.shape[0])
    gain = np.where(first_of_each(rows), psi_of(matrix, rows), 0.0)
    most = _best(matrix, ks[-1])
    ndcg = np.zeros((len(rows), len(ks)))
    counted = most[:, 0] > 0.0  # queries that are not ok have no pairs, either
    for column, k in enumerate(ks):
        ndcg[counted, column] = _discounted(gain[counted, :k]) / _discounted(most[counted, :k])
    top1 = gain[:, 0].copy() if gain.shape[1] else np.zeros(len(rows))
    ndcg[~counted], top1[~counted] = np.nan, np.nan
    return GradedScores(ks, ndcg, top1)


def psi_of(matrix: sparse.csr_array, columns: IntArray) -> FloatArray:
    """(queries, n) ψ of the pairs of each row with its columns; 0 where a pair is not stored, or there is no column."""
    if not (matrix.nnz and columns.size):
        return np.zeros(columns.shape)
    matrix.sort_indices()
    width = matrix.shape[1]
    held = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * width + matrix.indices
    inside = (columns >= 0) & (columns < width)
    wanted = _pair_codes(np.where(inside, columns, 0), width)
    at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    return np.where(inside & (held[at] == wanted), matrix.data[at], 0.0).astype(np.float64)


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's rank correlation, in which equal values have the mean of their ranks; NaN if `a` or `b` is constant.

    Parameters
    ----------
    a, b:
        (n,) numbers.
    """
    ranks = [_ranks(np.asarray(column)) for column in (a, b)]
    spread = [column - column.mean() if len(column) else column for column in ranks]
    scale = float(np.sqrt(np.dot(spread[0], spread[0]) * np.dot(spread[1], spread[1])))
    return float(np.dot(spread[0], spread[1]) / scale) if scale > 0.0 else float("nan")


def pair_distances(
    query: npt.NDArray[Any], database: npt.NDArray[Any], rows: IntArray, columns: IntArray
) -> npt.NDArray[np.float32]:
    """(n,) Euclidean distances of the descriptors of n pairs, computed in float64."""
    distances = np.empty(len(rows), np.float32)
    a_block = max(1, _AT_ONCE // max(query.shape[1], 1))
    for start in range(0, len(rows), a_block):
        part = slice(start, start + a_block)
        apart = query[rows[part]].astype(np.float64) - database[columns[part]]
        distances[part] = np.sqrt(np.square(apart, out=apart).sum(axis=1))
    return distances


def sampled_pairs(
    matrix: sparse.csr_array,
    known: tuple[BoolArray, BoolArray],
    twin: IntArray,
    *,
    seed: int = 0,
    pairs: int = _PAIRS,
    excluded: ExcludedPairs | None = None,
) -> tuple[IntArray, IntArray, npt.NDArray[np.float32]]:
    """Stored pairs of one collection, and as many known pairs that are not stored, whose ψ is 0.

    Parameters
    ----------
    matrix:
        (queries × database) ψ.
    known:
        (queries,) and (database,) which cameras have known similarities.
    twin:
        (queries,) the database row of the query itself, or -1; that pair is left out.
    seed, pairs:
        the seed of the draws, and the largest number of pairs of each kind.
    excluded:
        pairs that are not zeros.

    Returns
    -------
    rows, columns, psi
        the stored pairs in order, then the zeros in order, without repetition; fewer zeros if there are not as many.
    """
    rng = np.random.default_rng(seed)
    n = matrix.shape[1]
    held = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * n + matrix.indices
    chosen = np.arange(len(held))
    if len(held) > pairs:
        chosen = np.sort(rng.choice(len(held), pairs, replace=False))
    queries, database = (np.flatnonzero(side) for side in known)
    own = np.flatnonzero(twin >= 0)
    taken = np.unique(np.concatenate([held, own * n + twin[own]]))
    zeros = np.empty(0, np.int64)
    if len(queries) * len(database) <= _DENSE_CELLS:
        free = np.setdiff1d((queries[:, None] * n + database).ravel(), taken, assume_unique=True)
        free = free if excluded is None else free[~excluded.holds(free // n, free % n)]
        zeros = rng.choice(free, min(len(chosen), len(free)), replace=False)
    else:
        for _ in range(_TRIES):
            drawn = rng.choice(queries, len(chosen)) * n + rng.choice(database, len(chosen))
            drawn = drawn if excluded is None else drawn[~excluded.holds(drawn // n, drawn % n)]
            zeros = np.unique(np.concatenate([zeros, np.setdiff1d(drawn, taken)]))
            if len(zeros) >= len(chosen):
                break
        zeros = rng.permutation(zeros)[: len(chosen)]
    cells = np.concatenate([held[chosen], np.sort(zeros)])
    psi = np.concatenate([matrix.data[chosen], np.zeros(len(zeros), np.float32)])
    return cells // n, cells % n, psi


def _mean(columns: FloatArray) -> FloatArray:
    means: FloatArray = columns.mean(axis=0) if len(columns) else np.full(columns.shape[1], np.nan)
    return means


def _discounted(gains: FloatArray) -> FloatArray:
    return np.asarray(gains @ (1.0 / np.log2(np.arange(2, gains.shape[1] + 2))))


def _best(matrix: sparse.csr_array, k: int) -> FloatArray:
    """(queries, k) the largest values of each row, descending, then zeros."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((-matrix.data, row))
    place = np.arange(len(order)) - matrix.indptr[row]
    best = np.zeros((matrix.shape[0], k))
    first = place < k
    best[row[first], place[first]] = matrix.data[order[first]]
    return best


def _ranks(column: npt.NDArray[Any]) -> FloatArray:
    _, which, counts = np.unique(column, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: FloatArray = (last - (counts - 1) / 2.0)[which]
    return ranks
