"""The nearest database descriptors of each query, exactly: those of the float64 distances, equal ones by row number.

Products of float32 matrices are fast, but cancel where d² = |q|² + |x|² - 2·q·x is small, and round differently with
the size of a block. So they only propose: the `k + _SPARE` best of each query are measured again in float64, and the
answer stands where no other can reach it,

    least d² of the rest, as proposed  -  bound of its error  >  k-th d², as measured.

Where it does not (descriptors that are all alike, say), the query is proposed again in float64, and at last measured
against everything. The result depends neither on blocks nor on threads nor on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, OptionError
from relabel.training.proposals import proposer

_SPARE = 32  # proposals a query beyond k: enough that all but odd queries are settled by the first pass
_HUGE = 1e30  # distances of longer descriptors may not fit into float32
_BLOCK_CELLS = 1 << 22  # float64 numbers in memory while distances are measured, 32 MB

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


class Neighbours(NamedTuple):
    """The nearest database descriptors of each query."""

    indices: IntArray
    """(queries, k) rows of the database, nearest first, equally near ones in the order of the database"""
    distances: npt.NDArray[np.float32]
    """(queries, k) Euclidean distances"""


def nearest(
    database: npt.ArrayLike,
    queries: npt.ArrayLike,
    k: int,
    device: str = "cpu",
    *,
    each: Callable[[int], object] | None = None,
) -> Neighbours:
    """The k nearest database descriptors of each query by Euclidean distance; for unit vectors also by cosine.

    Parameters
    ----------
    database, queries:
        (m, d) and (n, d) finite numbers, of float64 or what fits into it.
    k:
        how many; all of the database where it has fewer.
    device:
        what proposes: ``cpu`` (NumPy), ``auto`` (a GPU where there is much to do and torch finds one), ``faiss`` (its
        flat index, if installed), or a device of torch such as ``cuda``. The result is the same.
    each:
        called with a number of queries as they are done.

    Returns
    -------
    Neighbours
        ``indices`` (n, min(k, m)) int64 and ``distances`` of the same shape, float32.

    Raises
    ------
    OptionError
        when k is below 1, or the device is not known.
    InputError
        when descriptors are not two tables of finite numbers with as many columns each.
    MissingPackageError
        when the device needs a package that is not installed.

    Examples
    --------
    >>> nearest([[0.0], [2.0], [1.0]], [[0.9]], 2).indices
    array([[2, 0]])
    """
    base, asked = checked(database, "database"), checked(queries, "queries")
    if base.shape[1] != asked.shape[1]:
        raise InputError(
            f"database descriptors have {base.shape[1]} numbers and those of queries {asked.shape[1]}; describe both "
            "with the same model"
        )
    if k < 1:
        raise OptionError(f"k is {k}; at least one neighbour has to be asked for")
    k = min(k, len(base))
    indices, distances = np.empty((len(asked), k), np.int64), np.empty((len(asked), k))
    left = np.arange(len(asked))
    wanted = min(k + _SPARE, len(base))
    propose = proposer(device, work=len(base) * len(asked) * base.shape[1])
    for which in (np.float32, np.float64):
        if wanted == len(base) or not (len(left) and k):
            break
        settled = [np.empty(0, np.int64)]
        for found in propose(base, asked[left], wanted, which):
            rows = left[found.rows]
            near, squared = _measured(base, asked[rows], found.indices, k)
            sure = found.rest > squared[:, -1]
            indices[rows[sure]], distances[rows[sure]] = near[sure], squared[sure]
            settled.append(rows[sure])
            if each is not None:
                each(int(sure.sum()))
        left = np.setdiff1d(left, np.concatenate(settled), assume_unique=True)
    a_block = max(1, _BLOCK_CELLS // max(len(base), 1))
    for start in range(0, len(left) if k else 0, a_block):
        rows = left[start : start + a_block]
        everything = np.broadcast_to(np.arange(len(base)), (len(rows), len(base)))
        indices[rows], distances[rows] = _measured(base, asked[rows], everything, k)
        if each is not None:
            each(len(rows))
    return Neighbours(indices, np.sqrt(distances).astype(np.float32))


def checked(descriptors: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
    """Descriptors as a table of finite float32 or float64; raises InputError where they are none, naming `what`."""
    try:
        table = np.asarray(descriptors)
    except ValueError:
        raise InputError(f"{what}: descriptors differ in length; expected one table, one row a picture") from None
    if table.ndim != 2 or table.dtype.kind not in "fiu" or (len(table) and not table.shape[1]):
        raise InputError(
            f"{what}: descriptors have shape {table.shape} and type {table.dtype}; expected numbers, one row a picture"
        )
    if table.dtype not in (np.float32, np.float64):
        table = table.astype(np.float32 if table.dtype == np.float16 else np.float64)
    wrong = np.flatnonzero(_odd_rows(table))
    if len(wrong):
        row = table[wrong[0]]
        raise InputError(
            f"{what}: descriptor {wrong[0]} (counted from 0) holds {row[_odd(row)][0]}, and {len(wrong):,} of "
            f"{len(table):,} hold the like; distances to it cannot be told: look at its picture and at the model that "
            "made it"
        )
    return np.ascontiguousarray(table)


def _odd(row: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    odd: npt.NDArray[np.bool_] = ~(np.abs(row) < _HUGE)
    return odd


def _odd_rows(table: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """(n,) which descriptors hold a number that cannot be measured with."""
    a_block = max(1, _BLOCK_CELLS // max(table.shape[1], 1))
    blocks = [_odd(table[start : start + a_block]).any(axis=1) for start in range(0, len(table), a_block)]
    return np.concatenate([np.empty(0, bool), *blocks])


def _measured(
    base: npt.NDArray[Any], asked: npt.NDArray[Any], proposed: IntArray, k: int
) -> tuple[IntArray, FloatArray]:
    """Of each query's proposals the k nearest, and their squared distances, by differences in float64.

    Every distance is the sum over one contiguous row, so that equal descriptors are equally far, whatever the block.
    """
    proposed = np.sort(proposed, axis=1)
    squared = np.empty(proposed.shape)
    flat, cells = squared.reshape(-1), proposed.reshape(-1)
    a_row = max(1, _BLOCK_CELLS // max(base.shape[1], 1))
    for start in range(0, len(cells), a_row):
        part = slice(start, start + a_row)
        of_query = np.arange(part.start, min(part.stop, len(cells))) // proposed.shape[1]
        apart = base[cells[part]].astype(np.float64) - asked[of_query]
        flat[part] = np.square(apart, out=apart).sum(axis=1)
    best = np.argsort(squared, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(proposed, best, axis=1), np.take_along_axis(squared, best, axis=1)
