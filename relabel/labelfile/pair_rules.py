"""The rules for stored pairs, checked block by block: by the writer before publication, by the validator afterwards."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.similarity import RowBlock

BoolArray = npt.NDArray[np.bool_]


class Fault(NamedTuple):
    """Entries of one block that break one rule."""

    rule: str
    entries: int
    row: int
    column: int
    value: float

    def __str__(self) -> str:
        first = f"row {self.row}, column {self.column}, value {self.value:.9g}"
        return f"{self.entries} stored pair(s) {self.rule}; the first: {first} (rows and columns counted from 0)"


class RowChecks:
    """The rules for the pairs of one collection.

    Parameters
    ----------
    query_ok, database_ok:
        which cameras are ok; only pairs of two of them can have a value.
    min_value:
        stored values are greater than it, both as float32.
    self_pairs:
        whether the diagonal must be absent.
    """

    def __init__(self, query_ok: BoolArray, database_ok: BoolArray, *, min_value: float, self_pairs: bool) -> None:
        self._query_ok = query_ok
        self._database_ok = database_ok
        self._all_database_ok = bool(database_ok.all())
        self._min_value = np.float32(min_value)
        self._self_pairs = self_pairs

    def faults(self, block: RowBlock) -> list[Fault]:
        """The rules that the block breaks, each with the number of entries and the first of them."""
        if self._breaks_none(block):
            return []
        columns, data = block.indices, block.data
        ends = np.cumsum(block.counts)
        width = len(self._database_ok)
        outside = (columns < 0) | (columns >= width)
        inside = np.where(outside, 0, columns) if outside.any() else columns
        falling = np.zeros(len(columns), bool)
        falling[1:] = columns[1:] <= columns[:-1]
        starts = (ends - block.counts)[block.counts > 0]
        falling[starts] = False
        finite = np.isfinite(data)
        unknown = np.zeros(len(columns), bool)
        if width:
            unknown |= ~self._database_ok[inside]
        rows = slice(block.first_row, block.first_row + len(block.counts))
        if not self._query_ok[rows].all():
            unknown |= np.repeat(~self._query_ok[rows], block.counts)
        with np.errstate(invalid="ignore"):
            beyond = finite & ~((data > self._min_value) & (data <= 1.0))
        rules = {
            f"have a column outside [0, {width})": outside,
            "are out of order or repeated (columns must strictly increase in a row)": falling,
            "have a value that is not finite": ~finite,
            f"have a value outside ({self._min_value:.9g}, 1]": beyond,
            "have a camera whose status is not ok, so their value is unknown": unknown & ~outside,
        }
        if self._self_pairs:
            rules["pair a camera with itself, which a self-paired collection does not store"] = columns == block.rows
        return [self._fault(rule, bad, block, ends) for rule, bad in rules.items() if bad.any()]

    def _breaks_none(self, block: RowBlock) -> bool:
        """Whether the block breaks no rule, in a quarter of the time that it takes to say where one is broken."""
        columns, data = block.indices, block.data
        if not len(columns):
            return True
        # With a NaN among the values, the least and the greatest are NaN too, which is in no range.
        if not (columns.min() >= 0 and columns.max() < len(self._database_ok)):
            return False
        if not (data.min() > self._min_value and data.max() <= 1.0):
            return False
        rising = columns[1:] > columns[:-1]
        starts = (np.cumsum(block.counts) - block.counts)[block.counts > 0]
        # Only from one row to the next may columns not rise.
        if np.count_nonzero(rising) + np.count_nonzero(~rising[starts[1:] - 1]) < len(rising):
            return False
        # They are in range, so that clipping, which is faster than raising, changes none.
        if not self._all_database_ok and not self._database_ok.take(columns, mode="clip").all():
            return False
        if block.counts[~self._query_ok[block.first_row : block.first_row + len(block.counts)]].any():
            return False
        return not self._self_pairs or not (columns == block.rows).any()

    def _fault(self, rule: str, bad: BoolArray, block: RowBlock, ends: npt.NDArray[Any]) -> Fault:
        at = int(np.argmax(bad))
        row = block.first_row + int(np.searchsorted(ends, at, side="right"))
        return Fault(rule, int(np.count_nonzero(bad)), row, int(block.indices[at]), float(block.data[at]))


class Symmetry:
    """Whether value (i, j) equals value (j, i) for all pairs of a square matrix, in one pass and O(n) memory.

    Every entry gets a 64-bit hash of its unordered pair and its value. Camera k's balance is the sum of the hashes in
    row k minus that in column k: zero for all k if the matrix is symmetric. Otherwise some balance is not zero,
    unless hashes cancel by chance (2⁻⁶⁴).
    """

    def __init__(self, n: int) -> None:
        self._balance = np.zeros(n, np.uint64)

    def add(self, block: RowBlock) -> None:
        """Add the next rows; their columns must be in range."""
        stop = block.first_row + len(block.counts)
        rows = np.repeat(np.arange(block.first_row, stop, dtype=np.uint64), block.counts)
        columns = block.indices.astype(np.uint64)
        hashes = _mixed(np.minimum(rows, columns) << np.uint64(32) | np.maximum(rows, columns))
        hashes = _mixed(hashes + block.data.view(np.uint32))
        sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(hashes)))
        ends = np.cumsum(block.counts)
        self._balance[block.first_row : stop] += sums[ends] - sums[ends - block.counts]
        np.subtract.at(self._balance, block.indices, hashes)

    def unbalanced(self) -> npt.NDArray[np.intp]:
        """The cameras whose row and column differ, once all rows have been seen."""
        return np.flatnonzero(self._balance)


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    # The finaliser of SplitMix64 (Steele, Lea, Flood 2014): each input bit changes each output bit half of the time.
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
