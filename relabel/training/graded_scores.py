"""How well a ranking follows graded labels: nDCG with ψ as gain, ψ of the first answer, distance against ψ.

nDCG@k (Järvelin and Kekäläinen, ACM TOIS 2002, with the discount 1/log₂(i + 1) at rank i from 1):

    DCG@k = Σ_{i ≤ k} ψ(query, prediction i) / log₂(i + 1),    nDCG@k = DCG@k / the most that any ranking can have

A pair that is not stored has gain 0, and so has a prediction that repeats an earlier one, is no picture of the
database, or is of a camera that is not ok, whose ψ is unknown. Queries are left out whose similarities are unknown, and
those that overlap with nothing in the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.errors import InputError
from relabel.labelfile import StoredCollection
from relabel.training.metrics import KS, BoolArray, FloatArray, IntArray, as_rows, checked_ks, codes, first_of_each

_DENSE_CELLS = 1 << 22  # up to so many pairs, absent ones are counted out rather than tried
_TRIES = 50
_PAIRS = 1_000_000
_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class Graded:
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

    @property
    def counted(self) -> BoolArray:
        """(queries,) which are not left out."""
        counted: BoolArray = ~np.isnan(self.top1)
        return counted

    @property
    def mean_ndcg(self) -> FloatArray:
        """(ks,) the mean of nDCG@k over the queries that count; NaN of none."""
        return _mean(self.ndcg[self.counted])

    @property
    def mean_top1(self) -> float:
        """The mean ψ of the first prediction over the queries that count; NaN of none."""
        return float(_mean(self.top1[self.counted][:, None])[0])

    def take(self, queries: npt.NDArray[Any]) -> Graded:
        """The scores of some of the queries, given as rows or as a mask."""
        return Graded(self.ks, self.ndcg[queries], self.top1[queries])


def graded(
    stored: StoredCollection | sparse.csr_array,
    predictions: npt.ArrayLike,
    ks: Sequence[int] = KS,
) -> Graded:
    """nDCG@k with ψ as gain, and ψ of the first prediction; see the head of this module for the definitions.

    Parameters
    ----------
    stored:
        a collection, or its (queries × database) matrix of ψ.
    predictions, ks:
        as for `relabel.training.evaluate`.

    Raises
    ------
    OptionError, InputError
        as for `relabel.training.evaluate`; and when a prediction is a row that the database does not have.
    """
    ks = checked_ks(ks)
    matrix = stored.to_scipy() if isinstance(stored, StoredCollection) else stored
    rows = as_rows(predictions, matrix.shape[0])
    if rows.size and rows.max() >= matrix.shape[1]:
        raise InputError(f"a prediction is row {rows.max()} of the database, which has {matrix.shape[1]} (from 0)")
    gain = np.where(first_of_each(rows), psi_of(matrix, rows), 0.0)
    most = _best(matrix, ks[-1])
    ndcg = np.zeros((len(rows), len(ks)))
    counted = most[:, 0] > 0.0  # queries that are not ok have no pairs either
    for column, k in enumerate(ks):
        ndcg[counted, column] = _discounted(gain[counted, :k]) / _discounted(most[counted, :k])
    top1 = gain[:, 0].copy() if gain.shape[1] else np.zeros(len(rows))
    ndcg[~counted], top1[~counted] = np.nan, np.nan
    return Graded(ks, ndcg, top1)


def psi_of(matrix: sparse.csr_array, columns: IntArray) -> FloatArray:
    """(queries, n) ψ of the pairs of each row with its columns; 0 where a pair is not stored or a column negative."""
    if not (matrix.nnz and columns.size):
        return np.zeros(columns.shape)
    matrix.sort_indices()
    held = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * matrix.shape[1] + matrix.indices
    wanted = codes(columns, matrix.shape[1])
    at = np.minimum(np.searchsorted(held, wanted), len(held) - 1)
    return np.where((held[at] == wanted) & (columns >= 0), matrix.data[at], 0.0).astype(np.float64)


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's rank correlation, equal values having the mean of their ranks; NaN where a column is constant.

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
    """(n,) Euclidean distances of the descriptors of n pairs, measured in float64."""
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
) -> tuple[IntArray, IntArray, npt.NDArray[np.float32]]:
    """Stored pairs of one collection, and as many that are known and not stored, whose ψ is 0.

    Parameters
    ----------
    matrix:
        (queries × database) ψ.
    known:
        (queries,) and (database,) which cameras have known similarities.
    twin:
        (queries,) the database row of the query itself, or -1; that pair is no pair.
    seed, pairs:
        what to draw with, and how many of each kind at most.

    Returns
    -------
    rows, columns, psi
        the stored pairs in order, then the zeros in order, none twice. There are fewer zeros where there are not as
        many.
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
        zeros = rng.choice(free, min(len(chosen), len(free)), replace=False)
    else:
        for _ in range(_TRIES):
            drawn = rng.choice(queries, len(chosen)) * n + rng.choice(database, len(chosen))
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
