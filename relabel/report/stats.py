"""Statistics of a collection, to look at before training on it.

Everything is counted in one pass over the stored rows, so that memory depends on the number of cameras and not on the
number of pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from relabel.cameras import Cameras, FloatArray
from relabel.display import Displayed, Summary, counted, several
from relabel.errors import OptionError
from relabel.excluded_pairs import ExcludedPairs
from relabel.geometry.earth import points
from relabel.geometry.headings import angle_between_deg
from relabel.report.sequences import Sequences, sequences_text, tally_of
from relabel.report.text_table import bar, percent, table
from relabel.similarity import Collection, RowBlock, SimilaritySource

POSITIVE = np.float32(0.5)
BINS = 10
# Stored values are float32, so that the edges are rounded alike: a stored 0.7 belongs to the bin that starts at 0.7.
EDGES = np.linspace(0.0, 1.0, BINS + 1).astype(np.float32)
MOST_FACING = 1000
"""Number of facing pairs that are listed."""
_TIE = 1e-6  # relative width around a radius in which a tree's own rounding is not trusted

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Band:
    """Number of database cameras per ok query in one band of ψ."""

    pairs: int
    mean: float | None
    """None where no query is ok"""
    median: float | None
    empty: int
    """queries that have none"""


@dataclass(frozen=True)
class NearPairs:
    """Nearby pairs of ok cameras, and how many of them share no view."""

    radius_m: float
    """horizontal distance, inclusive"""
    pairs: int
    absent: int
    """those that are not stored: ψ ≤ min_value"""

    @property
    def absent_share(self) -> float | None:
        """The share `absent / pairs`, or None where no pair is near."""
        return self.absent / self.pairs if self.pairs else None


@dataclass(frozen=True)
class FacingPairs:
    """Stored pairs (ψ > min_value) whose headings differ by at least `heading_difference_deg`.

    Such cameras look at each other across the ground they share, and see opposite faces of the objects on it: at 60 m,
    with 90° and 50 m, two of them have an IoU of 0.68.
    """

    heading_difference_deg: float
    pairs: int
    positive: int
    """those with ψ ≥ 0.5"""
    headings: int
    """number of ok cameras of both sides with a heading; without any, no pair can be facing"""


@dataclass(frozen=True, eq=False)
class Cases:
    """Cameras and pairs behind the figures."""

    without_positive: IntArray
    """rows of the queries that are ok and have no ψ ≥ 0.5"""
    facing: IntArray
    """(m, 2) rows and columns of the facing pairs of largest ψ, at most `MOST_FACING`, the largest first"""


@dataclass(frozen=True)
class ExcludedCounts:
    """Pairs that training and scoring leave out; all other figures count them like any other pair."""

    rule: str
    pairs: int
    """of ok cameras, both directions counted"""
    stored: int
    positive: int
    queries_without_positive: int
    """ok queries all of whose ψ ≥ 0.5 are with excluded pairs, or that have none at all"""


@dataclass(frozen=True, repr=False)
class Statistics(Displayed):
    """Figures of one collection; pairs of cameras that are not both ok are unknown and never counted as zero.

    `known_pairs` are the pairs of two ok cameras, a camera with itself left out. `histogram` counts stored pairs in ten
    bins of ψ of width 0.1, the last one with its upper end; a bin holds its lower edge, rounded to float32. The
    three bands are ψ ≥ 0.5 (`positive`), min_value < ψ < 0.5 (`partial`) and ψ ≤ min_value (`zero`).
    """

    shape: tuple[int, int]
    measure: str
    min_value: float
    status: dict[str, dict[str, int]]
    queries_ok: int
    known_pairs: int
    stored_pairs: int
    histogram: tuple[int, ...]
    positive: Band
    partial: Band
    zero: Band
    near: NearPairs
    facing: FacingPairs
    excluded: ExcludedCounts | None = None
    """the pairs that the collection excludes; None where it has no such rule"""
    sequences: Sequences | None = None
    """findings from the order in time, if the queries have the columns ``sequence`` and ``frame``"""
    cases: Cases | None = field(default=None, compare=False, repr=False)
    """the cases behind the figures, for display; not part of the JSON"""

    @property
    def queries_without_positive(self) -> int:
        """Queries that are ok and have no ψ ≥ 0.5."""
        return self.positive.empty

    def _summary(self) -> Summary:
        bands = (("ψ ≥ 0.5", self.positive), ("0 < ψ < 0.5", self.partial), (f"ψ ≤ {self.min_value:g}", self.zero))
        rows = [(side, counted(counts)) for side, counts in self.status.items()]
        rows += [
            (name, f"{several(band.pairs, 'pair')}, {several(band.empty, 'ok query has', 'ok queries have')} none")
            for name, band in bands
        ]
        rows += [] if self.excluded is None else [("excludes", f"{self.excluded.rule}: {self.excluded.pairs:,}")]
        return Summary(f"{type(self).__name__}: {self.shape[0]:,} × {self.shape[1]:,}, {self.measure}", rows)

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON values."""
        data = asdict(replace(self, cases=None))
        data["shape"] = list(self.shape)
        data["histogram"] = {"edges": [i / BINS for i in range(BINS + 1)], "pairs": list(self.histogram)}
        data["queries_without_positive"] = self.queries_without_positive
        data["near"]["absent_share"] = self.near.absent_share
        del data["sequences"], data["excluded"], data["cases"]
        if self.excluded is not None:
            data["excluded"] = asdict(self.excluded)
        if self.sequences is not None:
            data["sequences"] = self.sequences.to_json()
        return data


def statistics(
    source: SimilaritySource,
    *,
    near_m: float = 25.0,
    facing_deg: float = 120.0,
    progress: Callable[[int], object] | None = None,
) -> Statistics:
    """Figures of one collection, in one pass over its rows.

    Parameters
    ----------
    source:
        a collection of a label file, or a similarity in memory. Stored pairs are assumed to be between ok cameras, as
        the format demands and `validate` checks.
    near_m:
        pairs up to this horizontal distance, metres, are near; on the earth where that is the frame of the collection.
    facing_deg:
        stored pairs whose headings differ by this much or more, degrees in [0, 180], are facing.
    progress:
        called with the number of rows of every block.

    Raises
    ------
    OptionError
        when `near_m` is not a positive number or `facing_deg` is outside [0, 180].
    InputError
        when the frame is geodesic and a camera table lacks longitude and latitude.
    """
    if not 0.0 < near_m < np.inf:
        raise OptionError(f"near_m is {near_m}; it has to be a positive number of metres")
    if not 0.0 <= facing_deg <= 180.0:
        raise OptionError(f"facing_deg is {facing_deg}; it has to be in [0, 180] degrees")
    collection = source.collection
    query, database = collection.query, collection.database
    query_ok = query.ok
    query_at, database_at = (points(side, collection.params) for side in (query, database))
    tally = _Tally(query, database, (query_at, database_at), near_m, facing_deg)
    in_time = tally_of(collection)
    excluded = _ExcludedTally(collection) if collection.exclusion else None
    for block in source.blocks():
        tally.add(block)
        if in_time is not None:
            in_time.add(block.rows, block.indices, block.data)
        if excluded is not None:
            excluded.add(block)
        if progress is not None:
            progress(len(block.counts))

    # A camera is not compared with itself.
    itself = query_ok.astype(np.int64) if collection.self_pairs else np.zeros(len(query), np.int64)
    known = np.where(query_ok, np.count_nonzero(database.ok), 0) - itself
    headings = sum(int(np.isfinite(side.heading_deg[side.ok]).sum()) for side in (query, database))
    near = _near_counts(query_at[query_ok], database_at[database.ok], near_m) - int(itself.sum())
    return Statistics(
        shape=collection.shape,
        measure=collection.measure,
        min_value=collection.min_value,
        status={"queries": query.status_counts(), "database": database.status_counts()},
        queries_ok=int(np.count_nonzero(query_ok)),
        known_pairs=int(known.sum()),
        stored_pairs=int(tally.stored.sum()),
        histogram=tuple(int(n) for n in tally.histogram),
        positive=_band(tally.positive[query_ok]),
        partial=_band((tally.stored - tally.positive)[query_ok]),
        zero=_band((known - tally.stored)[query_ok]),
        near=NearPairs(near_m, near, near - tally.near),
        facing=FacingPairs(facing_deg, tally.facing, tally.facing_positive, headings),
        excluded=None if excluded is None else excluded.result(tally.positive, query_ok),
        sequences=None if in_time is None else in_time.result(),
        cases=Cases(np.flatnonzero(query_ok & (tally.positive == 0)), tally.most_facing),
    )


class _Tally:
    """Counts that grow block by block."""

    def __init__(
        self, query: Cameras, database: Cameras, at: tuple[FloatArray, FloatArray], near_m: float, facing_deg: float
    ) -> None:
        self._query_at, self._database_at = at
        self._query_heading, self._database_heading = query.heading_deg, database.heading_deg
        self._near_m, self._facing_deg = near_m, facing_deg
        self.stored: IntArray = np.zeros(len(query), np.int64)
        self.positive: IntArray = np.zeros(len(query), np.int64)
        self.histogram: IntArray = np.zeros(BINS, np.int64)
        self.near = self.facing = self.facing_positive = 0
        self.most_facing: IntArray = np.empty((0, 2), np.int64)
        self._facing_values = np.empty(0, np.float32)

    def add(self, block: RowBlock) -> None:
        here = slice(block.first_row, block.first_row + len(block.counts))
        rows = block.rows
        columns, values = block.indices, block.data
        positive = values >= POSITIVE
        self.stored[here] = block.counts
        self.positive[here] = np.bincount(rows[positive] - here.start, minlength=len(block.counts))
        self.histogram += np.bincount(np.searchsorted(EDGES[1:-1], values, side="right"), minlength=BINS)
        self.near += int(np.count_nonzero(_is_near(self._query_at[rows], self._database_at[columns], self._near_m)))
        apart = angle_between_deg(self._query_heading[rows], self._database_heading[columns])
        facing = apart >= self._facing_deg  # never where a heading is missing: NaN compares false
        self.facing += int(np.count_nonzero(facing))
        self.facing_positive += int(np.count_nonzero(facing & positive))
        if len(self.most_facing) == MOST_FACING:
            facing &= values > self._facing_values[-1]
        pairs = np.concatenate([self.most_facing, np.column_stack([rows[facing], columns[facing]])])
        of_pairs = np.concatenate([self._facing_values, values[facing]])
        largest = np.argsort(-of_pairs, kind="stable")[:MOST_FACING]
        self.most_facing, self._facing_values = pairs[largest], of_pairs[largest]


class _ExcludedTally:
    """Counts of excluded pairs that grow block by block."""

    def __init__(self, collection: Collection) -> None:
        self._pairs = ExcludedPairs(collection.exclusion, collection.query, collection.database)
        self._all = int(self._pairs.counts(self_pairs=collection.self_pairs).sum())
        self._stored = 0
        self._positive = np.zeros(len(collection.query), np.int64)

    def add(self, block: RowBlock) -> None:
        rows = block.rows
        out = self._pairs.holds(rows, block.indices)
        self._stored += int(np.count_nonzero(out))
        self._positive += np.bincount(rows[out & (block.data >= POSITIVE)], minlength=len(self._positive))

    def result(self, positive: IntArray, query_ok: npt.NDArray[np.bool_]) -> ExcludedCounts:
        """The counts, with how many positives each query has in all."""
        without = int(np.count_nonzero(query_ok & (positive == self._positive)))
        return ExcludedCounts(str(self._pairs.rule), self._all, self._stored, int(self._positive.sum()), without)


def _band(counts: IntArray) -> Band:
    if not len(counts):
        return Band(0, None, None, 0)
    return Band(int(counts.sum()), float(counts.mean()), float(np.median(counts)), int(np.count_nonzero(counts == 0)))


def _is_near(a: FloatArray, b: FloatArray, radius_m: float) -> npt.NDArray[np.bool_]:
    d = a - b
    squares = d[:, 0] * d[:, 0]
    for axis in range(1, d.shape[1]):
        squares += d[:, axis] * d[:, axis]
    near: npt.NDArray[np.bool_] = squares <= radius_m * radius_m
    return near


def _near_counts(query: FloatArray, database: FloatArray, radius_m: float) -> int:
    """Number of pairs of points within the radius, decided by exactly the arithmetic of `_is_near`.

    The tree only counts. Where its count just inside and just outside of the radius differ, a camera stands on the
    circle, and its pairs are decided one by one.
    """
    a, b = (side[np.isfinite(side).all(axis=1)] for side in (query, database))
    if not len(a) or not len(b):
        return 0
    tree = cKDTree(b)
    inside, outside = (
        np.asarray(tree.query_ball_point(a, radius_m * (1.0 + tie), return_length=True)) for tie in (-_TIE, _TIE)
    )
    total = int(inside.sum())
    for row in np.flatnonzero(inside != outside):
        around = b[tree.query_ball_point(a[row], radius_m * (1.0 + _TIE))]
        at = np.broadcast_to(a[row], around.shape)
        total += int(np.count_nonzero(_is_near(at, around, radius_m))) - int(inside[row])
    return total


def stats_text(name: str, s: Statistics) -> list[str]:
    """The figures of one collection with a histogram."""
    absent = f"ψ ≤ {s.min_value:g}"
    bins, most = len(s.histogram), max(s.histogram)
    histogram = [
        [
            f"  {i / bins:.1f} – {(i + 1) / bins:.1f}",
            f"{count:,}",
            percent(count, s.stored_pairs),
            bar(count / most) if most else "",
        ]
        for i, count in enumerate(s.histogram)
    ]
    bands = [["  cameras per query", "pairs", "mean", "median", "queries with none"]]
    bands += [
        _band_row(label, band)
        for label, band in (("ψ ≥ 0.5", s.positive), ("0 < ψ < 0.5", s.partial), (absent, s.zero))
    ]
    sides = "; ".join(f"{side} " + ", ".join(f"{n:,} {k}" for k, n in c.items()) for side, c in s.status.items())
    near, facing = s.near, s.facing
    none, share = s.queries_without_positive, percent(near.absent, near.pairs)
    apart = f"headings {facing.heading_difference_deg:g}° or more apart"
    lines = []
    if near.pairs < s.known_pairs or facing.headings or not s.known_pairs:  # a room without headings is near as a whole
        lines.append(
            f"  pairs within {near.radius_m:g} m: {near.pairs:,}, of which {near.absent:,} ({share}) have {absent}"
        )
    if facing.headings or not s.known_pairs:
        lines.append(f"  facing pairs ({apart}): {facing.pairs:,}, of which {facing.positive:,} have ψ ≥ 0.5")
    return [
        f"{name}: {several(s.shape[0], 'query', 'queries')} × {several(s.shape[1], 'database camera')}, {s.measure}",
        f"  {sides}",
        f"  {s.stored_pairs:,} of {s.known_pairs:,} pairs of ok cameras stored; all others have {absent}",
        "",
        *table([["  ψ", "pairs", "share", ""], *histogram], right=(1, 2)),
        "",
        *table(bands, right=(1, 2, 3, 4)),
        "",
        f"  queries without a positive (no ψ ≥ 0.5): {none:,} of {s.queries_ok:,} ({percent(none, s.queries_ok)})",
        *lines,
        *_excluded_text(s),
        *(sequences_text(s.sequences, s.queries_ok, absent) if s.sequences is not None else []),
    ]


def _excluded_text(s: Statistics) -> list[str]:
    e = s.excluded
    if e is None:
        return []
    return [
        f"  excluded from training and scoring: {e.rule}",
        f"    {several(e.pairs, 'pair')}, of which {e.stored:,} are stored and {e.positive:,} have ψ ≥ 0.5",
        f"    without them {e.queries_without_positive:,} of {s.queries_ok:,} queries are without a positive",
    ]


def _band_row(label: str, band: Band) -> list[str]:
    mean = "-" if band.mean is None else f"{band.mean:,.1f}"
    median = "-" if band.median is None else f"{band.median:,.1f}".removesuffix(".0")
    return [f"  {label}", f"{band.pairs:,}", mean, median, f"{band.empty:,}"]
