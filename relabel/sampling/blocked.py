"""The columns of each row that are never drawn as zeros: the query itself, and those of excluded pairs, as runs.

Cameras of one sequence are usually adjacent in a table, so that a query's excluded cameras are one run of columns,
however many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.errors import OptionError
from relabel.jit import compiled

IntArray = npt.NDArray[np.int64]

_MOST = 1 << 30  # runs in all, 12 GiB


class Rows(NamedTuple):
    """Columns by row."""

    indptr: IntArray
    """(queries + 1,)"""
    columns: npt.NDArray[np.int32]
    """strictly increasing in a row"""


class Ranges(NamedTuple):
    """Columns by row, as ranges of one order of all columns."""

    order: IntArray
    """(k,) columns"""
    first: IntArray
    """(queries,)"""
    stop: IntArray
    """(queries,) the columns of row i are ``order[first[i]:stop[i]]``"""


class BlockedRuns(NamedTuple):
    """Runs of blocked columns, increasing in a row; none holds a column of a pair that is kept."""

    indptr: IntArray
    """(queries + 1,)"""
    start: npt.NDArray[np.int32]
    """(runs,) the first column"""
    ahead: npt.NDArray[np.int32]
    """(runs,) how many columns before it are neither blocked nor kept"""
    upto: npt.NDArray[np.int32]
    """(runs,) blocked columns of the row up to the end of the run"""

    def counts(self) -> IntArray:
        """(queries,) blocked columns of each row."""
        ends = self.indptr[1:]
        some = ends > self.indptr[:-1]
        counts = np.zeros(len(ends), np.int64)
        counts[some] = self.upto[ends[some] - 1]
        return counts

    def holds(self, rows: IntArray, columns: IntArray, width: int) -> npt.NDArray[np.bool_]:
        """(m,) whether pairs are blocked, of `width` columns in all."""
        if not len(rows):
            return np.zeros(0, bool)
        some = slice(int(rows.min()), int(rows.max()) + 1)
        span = slice(self.indptr[some.start], self.indptr[some.stop])
        of_run = np.repeat(np.arange(some.start, some.stop), np.diff(self.indptr[some.start : some.stop + 1]))
        upto = self.upto[span].astype(np.int64)
        before = np.concatenate((np.zeros(1, np.int64), upto))[:-1]
        before[np.flatnonzero(np.diff(of_run, prepend=-1))] = 0
        starts = of_run * width + self.start[span]
        stops = starts + upto - before
        pairs = rows * width + columns
        run = np.searchsorted(starts, pairs, side="right") - 1
        inside: npt.NDArray[np.bool_] = run >= 0
        inside[inside] = pairs[inside] < stops[run[inside]]
        return inside


def blocked_runs(
    ranges: Sequence[Ranges], own: npt.NDArray[np.int32], dropped: Rows, kept: Rows, *, split: bool
) -> BlockedRuns:
    """The runs of one collection.

    Parameters
    ----------
    ranges:
        columns that are blocked.
    own:
        (queries,) the column that is the query itself, blocked too, or -1.
    dropped:
        further columns that are blocked.
    kept:
        the stored pairs that are drawn.
    split:
        whether ranges may hold columns of kept pairs, which are not blocked.

    Raises
    ------
    OptionError
        when there are more runs than memory should hold.
    """
    bounds = (own >= 0) + np.diff(dropped.indptr) + (np.diff(kept.indptr) if split else 0)
    orders, firsts, stops, offset = [np.empty(0, np.int64)], [], [], 0
    for order, first, stop in ranges:
        orders.append(order)
        firsts.append(first + offset)
        stops.append(stop + offset)
        offset += len(order)
    order = np.concatenate(orders)
    shape = (len(ranges), len(own))
    first, stop = (
        np.concatenate(ends).reshape(shape) if ends else np.empty(shape, np.int64) for ends in (firsts, stops)
    )
    breaks = np.append(np.diff(order) != 1, True)[: len(order)]
    before = np.concatenate((np.zeros(1, np.int64), np.cumsum(breaks)))
    for low, high in zip(first, stop, strict=True):
        bounds = bounds + np.where(high > low, before[np.maximum(high - 1, 0)] - before[low] + 1, 0)
    bound = np.concatenate((np.zeros(1, np.int64), np.cumsum(bounds, dtype=np.int64)))
    if bound[-1] > _MOST:
        raise OptionError(
            f"the cameras of a sequence are scattered over the label file, so {bound[-1]:,} runs of excluded cameras "
            f"would have to be kept, but at most {_MOST:,} can be; write the file in the order of sequences"
        )
    ends = np.flatnonzero(breaks) + 1
    ends = ends[before[:-1]] if len(order) else ends
    start, ahead, upto = (np.empty(bound[-1], np.int32) for _ in range(3))
    counts = np.zeros(len(own), np.int64)
    widest = int(bounds.max(initial=0))
    _fill((order, ends, first, stop), own, dropped, kept, split, widest, bound, (start, ahead, upto), counts)
    used = np.arange(bound[-1]) - np.repeat(bound[:-1], bounds) < np.repeat(counts, bounds)
    return BlockedRuns(np.concatenate((np.zeros(1, np.int64), np.cumsum(counts))), start[used], ahead[used], upto[used])


@compiled()
def _fill(
    ranges: Any, own: Any, dropped: Any, kept: Any, split: Any, widest: Any, bound: Any, into: Any, counts: Any
) -> None:
    """Fill in the runs of each row, from its position in `bound` on, and their number."""
    order, ends, first, stop = ranges
    start, ahead, upto = into
    low, high = np.empty(widest, np.int64), np.empty(widest, np.int64)
    for row in range(own.size):
        n = 0
        for k in range(first.shape[0]):
            at = first[k, row]
            while at < stop[k, row]:
                end = min(ends[at], stop[k, row])
                low[n], high[n] = order[at], order[at] + (end - at)
                n += 1
                at = end
        if own[row] >= 0:
            low[n], high[n] = own[row], own[row] + 1
            n += 1
        for at in range(dropped.indptr[row], dropped.indptr[row + 1]):
            low[n], high[n] = dropped.columns[at], dropped.columns[at] + 1
            n += 1
        by_start = np.argsort(low[:n])
        to = bound[row]
        pair, last_pair = kept.indptr[row], kept.indptr[row + 1]
        done = 0  # blocked columns so far
        at = 0
        while at < n:
            begin, end = low[by_start[at]], high[by_start[at]]
            at += 1
            while at < n and low[by_start[at]] <= end:
                end = max(end, high[by_start[at]])
                at += 1
            while begin < end:
                while pair < last_pair and kept.columns[pair] < begin:
                    pair += 1
                piece = end
                if split and pair < last_pair and kept.columns[pair] < end:
                    piece = np.int64(kept.columns[pair])
                if piece > begin:
                    start[to], ahead[to] = begin, begin - (pair - kept.indptr[row]) - done
                    done += piece - begin
                    upto[to] = done
                    to += 1
                begin = piece + 1 if piece < end else end
        counts[row] = to - bound[row]
