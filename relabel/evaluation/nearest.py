"""The nearest database descriptors of each query, exactly: by float64 distance, equal ones by row number.

Products of float32 matrices are fast, but cancel where d² = |q|² + |x|² - 2·q·x is small, and round differently with
the size of a block. So they only propose: the distances of the `k + _SPARE` best of each query are computed again in
float64, and the answer stands if no other row can be nearer,

    least d² of the rest, as proposed - bound of its error > k-th d², recomputed.

Otherwise (if all descriptors are alike, say), proposals for the query are made again in float64, and finally all
distances are computed. The result depends neither on blocks nor on threads nor on the device.

To propose, both sides are scaled by the same power of two, which is exact, so that the longest descriptor is about 1
long: no product then overflows, and what underflows is covered by the bound of the error.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.display import fields_text
from relabel.errors import InputError, OptionError
from relabel.measures import check_number
from relabel.optional import package

_SPARE = 32  # proposals per query beyond k: enough to settle all but unusual queries in the first pass
_HUGE = 1e30  # distances of longer descriptors may not fit into float32
_BLOCK_CELLS = 1 << 22  # float64 numbers in memory while distances are computed, 32 MB
_CELLS = 1 << 23  # squared distances of a block: 32 MB of float32, and twice that of row numbers
_DATABASE_ROWS = 1 << 16  # database rows of a block
_GPU_CELLS = 1 << 27
_FAISS_ROWS = 1 << 12  # queries per call of faiss, so that progress can be shown
_MUCH = 1 << 37  # multiplications that take a CPU as long as loading torch

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Array = npt.NDArray[Any]


class Neighbours(NamedTuple):
    """The nearest database descriptors of each query."""

    indices: IntArray
    """(queries, k) rows of the database, nearest first, equally near ones in the order of the database"""
    distances: npt.NDArray[np.float32]
    """(queries, k) Euclidean distances"""

    def __repr__(self) -> str:
        return fields_text(self)


def nearest(
    database: npt.ArrayLike,
    queries: npt.ArrayLike,
    k: int,
    device: str = "cpu",
    *,
    on_progress: Callable[[int], object] | None = None,
) -> Neighbours:
    """The k nearest database descriptors of each query by Euclidean distance; for unit vectors also by cosine.

    Parameters
    ----------
    database, queries:
        (m, d) and (n, d) finite numbers, float64 or anything that converts to it.
    k:
        how many neighbours; the whole database if it has fewer.
    device:
        what proposes candidates: ``cpu`` (NumPy), ``auto`` (a GPU if torch finds one and there is enough work),
        ``faiss`` (its flat index, if installed), or a device of torch such as ``cuda``. The result is the same.
    on_progress:
        called with the number of queries done since the last call.

    Returns
    -------
    Neighbours
        ``indices`` (n, min(k, m)) int64 and ``distances`` of the same shape, float32.

    Raises
    ------
    OptionError
        when k is below 1, or the device is not known.
    InputError
        if descriptors are not two tables of finite numbers with the same number of columns.
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
            f"database descriptors have {base.shape[1]} numbers and those of queries {asked.shape[1]}; compute both "
            "with the same model"
        )
    check_number("k", k)
    if k < 1:
        raise OptionError(f"k is {k}; at least one neighbour is needed")
    k = min(k, len(base))
    indices, distances = np.empty((len(asked), k), np.int64), np.empty((len(asked), k))
    left = np.arange(len(asked))
    wanted = min(k + _SPARE, len(base))
    propose = proposer(device, work=len(base) * len(asked) * base.shape[1])
    for which in (np.float32, np.float64):
        if wanted == len(base) or not (len(left) and k):
            break
        settled = [np.empty(0, np.int64)]
        for proposals in propose(base, asked[left], wanted, which):
            rows = left[proposals.rows]
            near, squared = _measured(base, asked[rows], proposals.indices, k)
            sure = proposals.rest > squared[:, -1]
            indices[rows[sure]], distances[rows[sure]] = near[sure], squared[sure]
            settled.append(rows[sure])
            if on_progress is not None:
                on_progress(int(sure.sum()))
        left = np.setdiff1d(left, np.concatenate(settled), assume_unique=True)
    a_block = max(1, _BLOCK_CELLS // max(len(base), 1))
    for start in range(0, len(left) if k else 0, a_block):
        rows = left[start : start + a_block]
        everything = np.broadcast_to(np.arange(len(base)), (len(rows), len(base)))
        indices[rows], distances[rows] = _measured(base, asked[rows], everything, k)
        if on_progress is not None:
            on_progress(len(rows))
    return Neighbours(indices, np.sqrt(distances).astype(np.float32))


def checked(descriptors: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
    """Descriptors as a table of finite float32 or float64; otherwise raises an InputError that names `what`."""
    try:
        table = np.asarray(descriptors)
    except ValueError:
        raise InputError(f"{what}: descriptors differ in length; expected one array, one row per image") from None
    if table.ndim != 2 or table.dtype.kind not in "fiu" or (len(table) and not table.shape[1]):
        raise InputError(
            f"{what}: descriptors have shape {table.shape} and type {table.dtype}; expected numbers, one row per image"
        )
    if table.dtype not in (np.float32, np.float64):
        table = table.astype(np.float32 if table.dtype == np.float16 else np.float64)
    wrong = np.flatnonzero(_odd_rows(table))
    if len(wrong):
        row = table[wrong[0]]
        raise InputError(
            f"{what}: descriptor {wrong[0]} (counted from 0) holds {row[_odd(row)][0]}, and {len(wrong):,} of "
            f"{len(table):,} have such values; no distance to it can be computed: check its image and the model that "
            "made it"
        )
    return np.ascontiguousarray(table)


def _odd(row: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    odd: npt.NDArray[np.bool_] = ~(np.abs(row) < _HUGE)
    return odd


def _odd_rows(table: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """(n,) which descriptors hold a number that no distance can be computed from."""
    a_block = max(1, _BLOCK_CELLS // max(table.shape[1], 1))
    blocks = [_odd(table[start : start + a_block]).any(axis=1) for start in range(0, len(table), a_block)]
    return np.concatenate([np.empty(0, bool), *blocks])


def _measured(
    base: npt.NDArray[Any], asked: npt.NDArray[Any], proposed: IntArray, k: int
) -> tuple[IntArray, FloatArray]:
    """The k nearest of each query's proposals, and their squared distances, from differences in float64.

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


class Proposals(NamedTuple):
    """The proposals for some queries."""

    rows: IntArray
    """(b,) the queries"""
    indices: IntArray
    """(b, wanted) database rows, in no order"""
    rest: FloatArray
    """(b,) a lower bound of the squared distance to any other row of the database"""


Propose = Callable[[Array, Array, int, Any], Iterator[Proposals]]


def proposer(device: str, *, work: int = _MUCH) -> Propose:
    """The function that makes proposals on a device, by the names of `relabel.training.nearest`.

    Parameters
    ----------
    device:
        its name.
    work:
        multiplications to do; for a small number ``auto`` does not load torch.

    Raises
    ------
    OptionError, MissingPackageError
        when there is no such device, or its package is not installed.
    """
    if device == "faiss":
        return _faiss(package("faiss", "faiss", "pip install faiss-cpu"))
    if device == "auto" and work < _MUCH:
        device = "cpu"
    if device == "auto":
        try:
            torch: Any = importlib.import_module("torch")
        except (ImportError, OSError):
            return by_numpy
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return by_numpy
    torch = package("torch", f"device {device!r}", "pip install 'relabel-vpr[torch]'")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"device {device!r} cannot be used ({reason}); use cpu, or auto") from None
    return by_torch(torch, device)


def error_bound(dtype: Any, dimensions: int, longest: FloatArray | float) -> Any:
    """A bound of the error of d² = |q|² + |x|² - 2·q·x computed in `dtype`, for |q| + |x| up to `longest`.

    The error of a sum of d products is at most d·u·Σ|q_i·x_i| ≤ d·u·|q|·|x| in any order of summation, with u the unit
    round-off (Higham, Accuracy and Stability of Numerical Algorithms, §3.1); the other terms add a few u of
    (|q| + |x|)². Machine epsilon, which is 2u, leaves room for higher orders; the last term covers underflow.
    """
    kind = np.finfo(dtype)
    return (dimensions + 8) * float(kind.eps) * np.square(longest) + (dimensions + 8) * float(kind.tiny)


def by_numpy(base: Array, asked: Array, wanted: int, dtype: Any) -> Iterator[Proposals]:
    """Proposals by NumPy's matrix product, block by block."""
    base, asked, scale = _scaled(base, asked, dtype)
    of_base, of_asked = _squares(base), _squares(asked)
    longest = np.sqrt(of_base.max()) + np.sqrt(of_asked)
    columns = min(len(base), _DATABASE_ROWS)
    a_block = max(1, _CELLS // columns)
    for start in range(0, len(asked), a_block):
        part = slice(start, min(start + a_block, len(asked)))
        best, rest = np.empty((part.stop - start, 0), dtype), np.full(part.stop - start, np.inf, dtype)
        which = np.empty(best.shape, np.int64)
        for first in range(0, len(base), columns):
            block = slice(first, first + columns)
            squared = asked[part] @ base[block].T
            squared *= -2
            squared += of_base[block].astype(dtype)
            squared += of_asked[part].astype(dtype)[:, None]
            best, which, rest = _kept(best, which, rest, squared, first, wanted)
        yield Proposals(
            np.arange(start, part.stop), which, (rest - error_bound(dtype, base.shape[1], longest[part])) / scale**2
        )


def _kept(best: Array, which: IntArray, rest: Array, squared: Array, first: int, wanted: int) -> tuple[Any, Any, Any]:
    """The best of the rows kept so far and of one more block, and the least value among the others."""
    n = squared.shape[1]
    if n > wanted:
        order = np.argpartition(squared, wanted, axis=1)[:, : wanted + 1]
        taken = np.take_along_axis(squared, order, axis=1)
        rest = np.minimum(rest, taken[:, wanted])
        order, taken = order[:, :wanted], taken[:, :wanted]
    else:
        order, taken = np.broadcast_to(np.arange(n), squared.shape), squared
    best, which = np.hstack([best, taken]), np.hstack([which, order + first])
    if best.shape[1] > wanted:
        order = np.argpartition(best, wanted, axis=1)
        rest = np.minimum(rest, np.take_along_axis(best, order[:, wanted : wanted + 1], axis=1)[:, 0])
        order = order[:, :wanted]
        best, which = np.take_along_axis(best, order, axis=1), np.take_along_axis(which, order, axis=1)
    return best, which, rest


def by_torch(torch: Any, device: str) -> Propose:
    """Proposals by torch on one of its devices."""

    def propose(base: Array, asked: Array, wanted: int, dtype: Any) -> Iterator[Proposals]:
        base, asked, scale = _scaled(base, asked, dtype)
        of_base, of_asked = _squares(base), _squares(asked)
        longest = np.sqrt(of_base.max()) + np.sqrt(of_asked)
        columns = min(len(base), _DATABASE_ROWS)
        a_block = max(1, _GPU_CELLS // columns)
        # TF32 would round products to 10 bits, which the bound does not cover.
        before = torch.get_float32_matmul_precision()
        for start in range(0, len(asked), a_block):
            part = slice(start, min(start + a_block, len(asked)))
            best = torch.empty((part.stop - start, 0), device=device)
            which = torch.empty((part.stop - start, 0), dtype=torch.int64, device=device)
            rest = torch.full((part.stop - start,), float("inf"), device=device, dtype=torch.float64)
            queries = torch.from_numpy(asked[part]).to(device)
            try:
                torch.set_float32_matmul_precision("highest")
                for first in range(0, len(base), columns):
                    block = slice(first, first + columns)
                    squared = queries @ torch.from_numpy(base[block]).to(device).T
                    squared = squared * -2 + torch.from_numpy(of_base[block].astype(dtype)).to(device)
                    squared += torch.from_numpy(of_asked[part].astype(dtype)).to(device)[:, None]
                    best = torch.cat([best.to(squared.dtype), squared], dim=1)
                    number = torch.arange(first, first + squared.shape[1], device=device)
                    which = torch.cat([which, number.expand(squared.shape)], dim=1)
                    if best.shape[1] > wanted:
                        top = torch.topk(best, wanted + 1, dim=1, largest=False)
                        rest = torch.minimum(rest, top.values[:, wanted].to(torch.float64))
                        best, which = top.values[:, :wanted], which.gather(1, top.indices[:, :wanted])
            finally:
                torch.set_float32_matmul_precision(before)
            least = rest.cpu().numpy() - error_bound(dtype, base.shape[1], longest[part])
            yield Proposals(np.arange(start, part.stop), which.cpu().numpy(), least / scale**2)

    return propose


def _faiss(faiss: Any) -> Propose:
    """Proposals by the flat index of faiss; it works in float32 only, so what it leaves undecided goes to NumPy."""

    def propose(base: Array, asked: Array, wanted: int, dtype: Any) -> Iterator[Proposals]:
        if dtype != np.float32:
            yield from by_numpy(base, asked, wanted, dtype)
            return
        base, asked, scale = _scaled(base, asked, dtype)
        index = faiss.IndexFlatL2(base.shape[1])
        index.add(base)
        longest = np.sqrt(_squares(base).max()) + np.sqrt(_squares(asked))
        for start in range(0, len(asked), _FAISS_ROWS):
            part = slice(start, min(start + _FAISS_ROWS, len(asked)))
            squared, which = index.search(asked[part], wanted + 1)
            least = squared[:, wanted].astype(np.float64) - error_bound(dtype, base.shape[1], longest[part])
            yield Proposals(np.arange(start, part.stop), which[:, :wanted].astype(np.int64), least / scale**2)

    return propose


def _scaled(base: Array, asked: Array, dtype: Any) -> tuple[Array, Array, float]:
    """Both tables times a power of two that makes the longest descriptor about 1 long, and that power."""
    largest = max((max(float(side.max()), -float(side.min())) for side in (base, asked) if side.size), default=0.0)
    length = largest * np.sqrt(base.shape[1])
    power = -int(np.frexp(length)[1]) if 0.0 < length < np.inf else 0
    scale = float(np.ldexp(1.0, min(max(power, -500), 500)))
    tables = []
    for side in (base, asked):
        table = np.empty(side.shape, dtype)
        # The product is in float64, as the factor may not fit into float32; no copy is made.
        tables.append(np.multiply(side, scale, out=table, dtype=np.float64, casting="same_kind"))
    return tables[0], tables[1], scale


def _squares(table: Array) -> FloatArray:
    """(n,) squared lengths in float64."""
    squares: FloatArray = np.einsum("ij,ij->i", table, table, dtype=np.float64)
    return squares
