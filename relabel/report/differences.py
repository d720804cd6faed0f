"""The differences between two collections, counted as their pairs are read, and the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relabel.cameras import Cameras
from relabel.exclusion import Exclusion
from relabel.keys import rows_of
from relabel.labelfile import StoredCollection

POSITIVE = np.float32(0.5)
LARGEST = 5
EQUAL_WITHIN = 4 * float(np.finfo(np.float32).eps)
"""Values this close differ only by rounding: each of two conversions rounds to float32, and may double an error."""

IntArray = npt.NDArray[np.int64]
ValueArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


Watch = Callable[[IntArray, ValueArray, ValueArray], object]
"""called with (n,) codes of pairs, as in `CodedPairs`, and their values in both files; NaN for absent"""


class CodedPairs(NamedTuple):
    """Some pairs of one file, with the row and column numbers of the first file."""

    codes: IntArray
    """(n,) row × width + column"""
    values: ValueArray

    def where(self, kept: BoolArray) -> CodedPairs:
        """Those that are kept."""
        return CodedPairs(self.codes[kept], self.values[kept])


@dataclass(frozen=True)
class CameraCounts:
    """The cameras of one side in two files."""

    common: int
    only_in_a: int
    only_in_b: int
    status_differs: int
    """common cameras whose status differs"""

    @classmethod
    def of(cls, joined: Join, a: Cameras, b: Cameras) -> CameraCounts:
        """Count them."""
        in_both = joined.of_a >= 0
        common = int(np.count_nonzero(in_both))
        differs = int(np.count_nonzero(a.status[in_both] != b.status[joined.of_a[in_both]]))
        return cls(common, len(a) - common, len(b) - common, differs)

    @property
    def differing(self) -> int:
        """Number of cameras that differ between the files."""
        return self.only_in_a + self.only_in_b + self.status_differs


@dataclass(frozen=True)
class PairDifference:
    """One pair and its values; None if it is absent and both cameras are ok."""

    query: str
    database: str
    a: float | None
    b: float | None


@dataclass(frozen=True)
class Difference:
    """Differences between two collections; values are in the measure `measure`."""

    name: str
    name_in_b: str
    identical: bool
    """whether the digests of the content are the same"""
    measure: str
    measures: tuple[str, str]
    """those of the files"""
    min_values: tuple[float, float]
    """those of the files, each in its own measure"""
    exclusions: tuple[Exclusion, Exclusion]
    """which pairs each excludes from training and scoring; no verdict depends on it"""
    queries: CameraCounts
    database: CameraCounts
    common_pairs: int
    """stored in both"""
    max_abs_diff: float
    """over the common pairs, as the mean; 0 where there are none"""
    mean_abs_diff: float
    unequal: int
    """common pairs further apart than rounding explains"""
    max_abs_diff_absent_as_0: float
    """over all pairs that are stored in one and known in the other, an absent one counted as 0; as the mean"""
    mean_abs_diff_absent_as_0: float
    flips: int
    """pairs known in both and on different sides of ψ ≥ 0.5, an absent one counted as 0"""
    only_in_a: int
    """pairs stored in one that the other does not store, for whatever reason"""
    only_in_b: int
    unknown_in_a: int
    """those that are unknown in the other, because a camera is missing or not ok there"""
    unknown_in_b: int
    largest: tuple[PairDifference, ...]
    """the pairs that differ most, worst first"""

    @property
    def cameras_that_differ(self) -> int:
        """Number of cameras, of both sides, that differ between the files."""
        return self.queries.differing + self.database.differing

    @property
    def verdict(self) -> str:
        """``identical``, ``equal`` or ``different``, as for `Comparison`."""
        if self.identical:
            return "identical"
        same = not (self.cameras_that_differ or self.only_in_a or self.only_in_b or self.unequal)
        return "equal" if same else "different"

    def to_json(self) -> dict[str, Any]:
        """What `relabel compare --json` prints of a collection."""
        return {
            "name": self.name,
            "name_in_b": self.name_in_b,
            "verdict": self.verdict,
            "measure": self.measure,
            "measures": list(self.measures),
            "min_values": list(self.min_values),
            "excluded": [rule.to_json() for rule in self.exclusions],
            "queries": vars(self.queries),
            "database": vars(self.database),
            "common_pairs": self.common_pairs,
            "max_abs_diff": self.max_abs_diff,
            "mean_abs_diff": self.mean_abs_diff,
            "unequal": self.unequal,
            "max_abs_diff_absent_as_0": self.max_abs_diff_absent_as_0,
            "mean_abs_diff_absent_as_0": self.mean_abs_diff_absent_as_0,
            "flips_at_0.5": self.flips,
            "only_in_a": self.only_in_a,
            "only_in_b": self.only_in_b,
            "unknown_in_a": self.unknown_in_a,
            "unknown_in_b": self.unknown_in_b,
            "largest": [vars(pair) for pair in self.largest],
        }


class Tally:
    """Counts over all segments of rows added so far."""

    def __init__(
        self, a: StoredCollection, b: StoredCollection, queries: Join, database: Join, watch: Watch | None = None
    ) -> None:
        self._a, self._b = a, b
        self._watch = watch
        self._database = database
        # Of every camera of `a`: is it ok there, and is it there and ok in `b`?
        self._ok_in_a = a.query.ok, a.database.ok
        self._ok_in_b = _ok_there(queries, b.query), _ok_there(database, b.database)
        # A camera and itself have ψ = 1 in a self-paired collection, which does not store it.
        self._itself = np.full(a.shape[0], -1, np.int64)
        if a.self_pairs or b.self_pairs:
            self._itself = join(a.query, a.database).of_a
        self.common = self.unknown_in_a = self.unknown_in_b = self._flips = self._unequal = self._only_known = 0
        self._sum = self._sum_only = 0.0
        self._max = self._max_only = 0.0
        self._worst: list[tuple[float, int, float, float]] = []
        """(difference, code, value in a, value in b); NaN for absent"""

    def add(self, ours: CodedPairs, theirs: CodedPairs, without_column: int) -> None:
        """Count the pairs of some rows of `a` and of their counterparts in `b`.

        Parameters
        ----------
        ours, theirs:
            the pairs of `a`, whose codes rise, and those of `b`, in any order.
        without_column:
            how many more pairs `b` has whose database camera `a` does not have.
        """
        at = np.searchsorted(ours.codes, theirs.codes)
        hit = at < len(ours.codes)
        hit[hit] = ours.codes[at[hit]] == theirs.codes[hit]
        in_b = np.zeros(len(ours.codes), bool)
        in_b[at[hit]] = True
        self._add_common(theirs.codes[hit], ours.values[at[hit]], theirs.values[hit])
        self.unknown_in_b += self._add_only(ours.where(~in_b), self._ok_in_b, self._b, first=True)
        self.unknown_in_a += self._add_only(theirs.where(~hit), self._ok_in_a, self._a, first=False)
        self.unknown_in_a += without_column

    def _add_common(self, codes: IntArray, a: ValueArray, b: ValueArray) -> None:
        difference = np.abs(a.astype(np.float64) - b)
        self.common += len(codes)
        self._sum += float(difference.sum())
        self._max = max(self._max, float(difference.max(initial=0.0)))
        self._unequal += int(np.count_nonzero(difference > EQUAL_WITHIN))
        self._flips += int(np.count_nonzero((a >= POSITIVE) != (b >= POSITIVE)))
        self._keep_worst(difference, codes, a, b)

    def _add_only(
        self, pairs: CodedPairs, ok: tuple[BoolArray, BoolArray], other: StoredCollection, *, first: bool
    ) -> int:
        """Pairs that the other file does not store; how many of them are unknown there."""
        rows, columns = np.divmod(pairs.codes, max(1, self._a.shape[1]))
        known = ok[0][rows] & ok[1][columns]
        unknown = int(np.count_nonzero(~known))
        if other.self_pairs:
            known &= self._itself[rows] != columns
        codes, values = pairs.where(known)
        self._only_known += len(codes)
        self._sum_only += float(values.sum(dtype=np.float64))
        self._max_only = max(self._max_only, float(values.max(initial=0.0)))
        self._flips += int(np.count_nonzero(values >= POSITIVE))
        absent = np.full(len(codes), np.nan, np.float32)
        sides = (values, absent) if first else (absent, values)
        self._keep_worst(values.astype(np.float64), codes, *sides)
        return unknown

    def _keep_worst(self, difference: npt.NDArray[np.float64], codes: IntArray, a: ValueArray, b: ValueArray) -> None:
        if self._watch is not None:
            self._watch(codes, a, b)
        if len(difference) > LARGEST:
            least = np.partition(difference, -LARGEST)[-LARGEST]
            if len(self._worst) == LARGEST:
                least = max(least, self._worst[-1][0])
            few = np.flatnonzero(difference >= least)
            few = few[np.lexsort((codes[few], -difference[few]))[:LARGEST]]
        else:
            few = np.arange(len(difference))
        few = few[difference[few] > 0.0]
        table = zip(*(array[few].tolist() for array in (difference, codes, a, b)), strict=True)
        self._worst = sorted([*self._worst, *table], key=lambda entry: (-entry[0], entry[1]))[:LARGEST]

    def result(self, measure: str, sides: dict[str, CameraCounts]) -> Difference:
        """All figures, once all rows have been added."""
        a, b = self._a, self._b
        either = self.common + self._only_known
        return Difference(
            name=a.name,
            name_in_b=b.name,
            identical=a.content_sha256 == b.content_sha256,
            measure=measure,
            measures=(a.measure, b.measure),
            min_values=(a.min_value, b.min_value),
            exclusions=(a.collection.exclusion, b.collection.exclusion),
            **sides,
            common_pairs=self.common,
            max_abs_diff=self._max,
            mean_abs_diff=self._sum / self.common if self.common else 0.0,
            unequal=self._unequal,
            max_abs_diff_absent_as_0=max(self._max, self._max_only),
            mean_abs_diff_absent_as_0=(self._sum + self._sum_only) / either if either else 0.0,
            flips=self._flips,
            only_in_a=a.nnz - self.common,
            only_in_b=b.nnz - self.common,
            unknown_in_a=self.unknown_in_a,
            unknown_in_b=self.unknown_in_b,
            largest=tuple(self._named(*entry[1:]) for entry in self._worst),
        )

    def _named(self, code: int, a: float, b: float) -> PairDifference:
        row, column = divmod(code, self._a.shape[1])
        keys = str(self._a.query.key[row]), str(self._a.database.key[column])
        return PairDifference(*keys, _shortest(a), _shortest(b))


def _ok_there(joined: Join, cameras: Cameras) -> BoolArray:
    ok: BoolArray = joined.of_a >= 0
    ok[ok] = cameras.ok[joined.of_a[ok]]
    return ok


def _shortest(value: float) -> float | None:
    """The shortest decimal number that stands for a float32; None for NaN."""
    return None if np.isnan(value) else float(str(np.float32(value)))


class Join(NamedTuple):
    """Which cameras of two sets have the same key."""

    of_a: npt.NDArray[np.int64]
    """(n,) for every camera of the first set its number in the second, or -1"""
    of_b: npt.NDArray[np.int64]
    """(m,) for every camera of the second set its number in the first, or -1"""


def join(a: Cameras, b: Cameras) -> Join:
    """Look up the cameras of each set in the other by key, through a hash table."""
    # Arrow's is ten times as fast as sorting and bisecting NumPy strings (a million Mapillary keys a side).
    keys = pa.array(a.key, pa.large_string())
    rows_in_a = pc.index_in(pa.array(b.key, pa.large_string()), value_set=keys)
    of_b = rows_in_a.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    # Those that are not found may be the same text in another form of Unicode.
    missing = np.flatnonzero(of_b < 0)
    left = np.setdiff1d(np.arange(len(a)), of_b)
    again = rows_of(a.key[left], b.key[missing])
    of_b[missing[again >= 0]] = left[again[again >= 0]]
    of_a = np.full(len(a), -1, np.int64)
    in_both = np.flatnonzero(of_b >= 0)
    of_a[of_b[in_both]] = in_both
    return Join(of_a, of_b)
