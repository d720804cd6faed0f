"""Comparison of two label files: their pairs joined by key, and by how much the values differ.

Rows are taken in segments of the first file. A segment is read together with the span of rows of the second that holds
its counterparts, so that two files in the same order are read once, and files in any order in bounded memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, NotFoundError
from relabel.labelfile import StoredCollection, open_collections
from relabel.labelfile.collection import listed
from relabel.measures import UNKNOWN, Measure, check_measure, convert
from relabel.report.differences import (
    CameraCounts,
    CodedPairs,
    Difference,
    IntArray,
    Join,
    Tally,
    ValueArray,
    Watch,
    join,
)
from relabel.report.text_table import table

PAIRS_AT_ONCE = 1 << 22
"""Largest number of pairs of both files in a segment, unless a single row has more; some 200 MB."""

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]


@dataclass(frozen=True)
class Comparison:
    """How two label files differ."""

    collections: tuple[Difference, ...]
    only_in_a: tuple[str, ...] = ()
    """collections that the other file does not hold"""
    only_in_b: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """``identical`` content, ``equal`` to within the rounding of float32, or ``different``."""
        if self.only_in_a or self.only_in_b:
            return "different"
        verdicts = {difference.verdict for difference in self.collections}
        return next(v for v in ("different", "equal", "identical") if v in verdicts)

    def to_json(self) -> dict[str, Any]:
        """What `relabel compare --json` prints."""
        return {
            "collections": [difference.to_json() for difference in self.collections],
            "only_in_a": list(self.only_in_a),
            "only_in_b": list(self.only_in_b),
            "verdict": self.verdict,
        }


def compare(
    a: str, b: str, *, measure: Measure | None = None, pairs_at_once: int = PAIRS_AT_ONCE, bar: Bar | None = None
) -> Comparison:
    """Join two label files by collection and key, and count what is different.

    Parameters
    ----------
    a, b:
        ``FILE`` or ``FILE::COLLECTION``. Collections are joined by name; one against one is joined whatever the names.
    measure:
        values of both are compared in this measure; None for that of `a`. Values of an unknown measure are compared as
        they are.
    pairs_at_once:
        bounds the memory.
    bar:
        makes a progress bar over the queries of a collection of `a`.

    Raises
    ------
    NotFoundError
        when the files have no collection in common, or an address names none.
    InputError
        when the measures differ and an extent that is needed is missing.
    MissingFileError, LabelFileError
        when a file does not exist or is damaged, even if only the digest of its content shows it.
    """
    if measure is not None:
        check_measure(measure)
    pairs, only_in_a, only_in_b = joined(a, b)
    differences = []
    for ours, theirs in pairs:
        with nullcontext(_ignored) if bar is None else bar(ours.name, ours.shape[0]) as progress:
            differences.append(
                compare_collections(ours, theirs, measure, pairs_at_once=pairs_at_once, progress=progress)
            )
    return Comparison(tuple(differences), only_in_a, only_in_b)


def _ignored(_: int) -> None:
    pass


def joined(a: str, b: str) -> tuple[list[tuple[StoredCollection, StoredCollection]], tuple[str, ...], tuple[str, ...]]:
    """The collections that two addresses have in common, as for `compare`, and the names of those in one only.

    Raises
    ------
    NotFoundError
        when they have none in common, or name one that does not exist.
    MissingFileError, LabelFileError
        when a file does not exist or is damaged.
    """
    ours, theirs = ({stored.name: stored for stored in open_collections(address)} for address in (a, b))
    if len(ours) == 1 == len(theirs):
        return list(zip(ours.values(), theirs.values(), strict=True)), (), ()
    common = [name for name in ours if name in theirs]
    if not common:
        raise NotFoundError(
            f"{a} and {b} have no collection in common: {listed(list(ours))} and {listed(list(theirs))}; "
            "name one of each to compare them (FILE::COLLECTION)"
        )
    # Whoever names one collection asks for no other.
    left_a, left_b = (
        () if _is_addressed(other) else tuple(name for name in names if name not in common)
        for names, other in ((ours, b), (theirs, a))
    )
    return [(ours[name], theirs[name]) for name in common], left_a, left_b


def _is_addressed(address: str) -> bool:
    return "::" in address and not Path(address).exists()


def compare_collections(
    a: StoredCollection,
    b: StoredCollection,
    measure: Measure | None = None,
    *,
    pairs_at_once: int = PAIRS_AT_ONCE,
    progress: Callable[[int], object] = _ignored,
    watch: Watch | None = None,
) -> Difference:
    """Join two collections by key, and count what is different.

    Parameters
    ----------
    a, b, measure, pairs_at_once:
        as for `compare`.
    progress:
        called with the number of queries of `a` in each step.
    watch:
        called with all pairs that are stored in one and known in the other, block by block; with none where the
        digests of the contents are the same.

    Raises
    ------
    InputError, LabelFileError
        as for `compare`.
    """
    known = [m for m in (measure, a.measure, b.measure) if m not in (None, UNKNOWN)]
    common: Any = known[0] if known else UNKNOWN
    queries, database = join(a.query, b.query), join(a.database, b.database)
    sides = {
        "queries": CameraCounts.of(queries, a.query, b.query),
        "database": CameraCounts.of(database, a.database, b.database),
    }
    tally = Tally(a, b, queries, database, watch)
    if a.content_sha256 == b.content_sha256:
        # What the files say of themselves; whether it is true shows only when all of it is read.
        a.check_content(progress)
        b.check_content()
        tally.common = a.nnz
    else:
        for first, stop in _segments(a, b, queries, pairs_at_once):
            tally.add(_pairs_of_a(a, common, first, stop), *_pairs_of_b(b, common, first, stop, queries, database))
            progress(stop - first)
        unmatched = queries.of_b < 0
        tally.unknown_in_a += int(b.row_counts()[unmatched].sum())
        for stored in (a, b):  # of rows read in order, only what is left is read
            stored.check_content()
    return tally.result(common, sides)


def _segments(a: StoredCollection, b: StoredCollection, queries: Join, pairs_at_once: int) -> Iterator[tuple[int, int]]:
    """Ranges (first, stop) of rows of `a` whose pairs, with those of their counterparts, fit in memory."""
    weights = a.row_counts()
    matched = queries.of_a >= 0
    weights[matched] += b.row_counts()[queries.of_a[matched]]
    ends = np.cumsum(weights)
    first, done = 0, 0
    while first < len(weights):
        stop = max(int(np.searchsorted(ends, done + pairs_at_once, side="right")), first + 1)
        yield first, stop
        first, done = stop, int(ends[stop - 1])


@dataclass
class _Collected:
    """Codes and values of pairs, collected block by block."""

    codes: list[IntArray] = field(default_factory=lambda: [np.empty(0, np.int64)])
    values: list[ValueArray] = field(default_factory=lambda: [np.empty(0, np.float32)])

    def joined(self) -> CodedPairs:
        return CodedPairs(np.concatenate(self.codes), np.concatenate(self.values))


def _pairs_of_a(a: StoredCollection, measure: Measure, first: int, stop: int) -> CodedPairs:
    """Codes, rising, and values of the pairs of some rows."""
    pairs = _Collected()
    for block in a.blocks(first_row=first, stop_row=stop):
        rows = block.rows
        pairs.codes.append(rows * a.shape[1] + block.indices)
        pairs.values.append(_values(a, rows, block.indices, block.data, measure))
    return pairs.joined()


def _pairs_of_b(
    b: StoredCollection, measure: Measure, first: int, stop: int, queries: Join, database: Join
) -> tuple[CodedPairs, int]:
    """Codes, in any order, and values of the pairs of the same rows of `b`; how many more have a column not in `a`."""
    pairs, without_column = _Collected(), 0
    counterparts = queries.of_a[first:stop]
    counterparts = counterparts[counterparts >= 0]
    if not len(counterparts):
        return pairs.joined(), 0
    for block in b.blocks(first_row=int(counterparts.min()), stop_row=int(counterparts.max()) + 1):
        rows = block.rows
        row, column = queries.of_b[rows], database.of_b[block.indices]
        in_segment = (row >= first) & (row < stop)
        without_column += int(np.count_nonzero(in_segment & (column < 0)))
        kept = in_segment & (column >= 0)
        pairs.codes.append(row[kept] * len(database.of_a) + column[kept])
        pairs.values.append(_values(b, rows[kept], block.indices[kept], block.data[kept], measure))
    return pairs.joined(), without_column


def _values(
    stored: StoredCollection, rows: IntArray, columns: npt.NDArray[np.int32], data: ValueArray, measure: Measure
) -> ValueArray:
    """Values in `measure`, rounded as `relabel convert` would store them."""
    if stored.measure in (measure, UNKNOWN):
        return data
    extents = stored.query_extent[rows], stored.database_extent[columns]
    try:
        return convert(data.astype(np.float64), *extents, stored.measure, measure).astype(np.float32)
    except InputError as error:
        raise InputError(f"{stored.path}::{stored.name}: {error}") from None


_HEAD = ("collection", "pairs in both", "only in A", "only in B", "largest |Δψ|", "mean |Δψ|", "flips at 0.5")


def comparison_text(comparison: Comparison, a: str, b: str) -> list[str]:
    """A table with one line a collection, notes on each, and the verdict in one sentence."""
    lines = [f"A: {a}", f"B: {b}", ""]
    lines += table([_HEAD, *map(_cells, comparison.collections)], right=range(1, len(_HEAD)))
    lines.append("")
    for difference in comparison.collections:
        lines += [f"{difference.name}: {text}" for text in notes(difference)]
        if shown := _largest(difference):
            lines += [""] * bool(lines[-1]) + shown
    for side, names in (("A", comparison.only_in_a), ("B", comparison.only_in_b)):
        if names:
            lines.append(f"only in {side}: {', '.join(names)}")
    if lines[-1]:
        lines.append("")
    return [*lines, _sentence(comparison)]


def _cells(difference: Difference) -> list[str]:
    counts = (difference.common_pairs, difference.only_in_a, difference.only_in_b)
    values = (difference.max_abs_diff, difference.mean_abs_diff)
    return [difference.name, *(f"{n:,}" for n in counts), *(f"{d:.2g}" for d in values), f"{difference.flips:,}"]


def notes(difference: Difference) -> Iterator[str]:
    """Differences between the two collections other than their pairs, one sentence each."""
    if difference.name_in_b != difference.name:
        yield f"compared with {difference.name_in_b} of B"
    a, b = difference.measures
    if "unknown" in (a, b) and not a == b == "unknown":
        side = "A" if a == "unknown" else "B"
        yield f"the measure of {side} is unknown, so its values are compared unconverted, with {difference.measure}"
    elif a != b or a != difference.measure:
        yield f"A is {a} and B is {b}; compared as {difference.measure}"
    for side, counts in (("queries", difference.queries), ("database cameras", difference.database)):
        if counts.differing:
            yield _cameras(side, counts)
    for side, unknown, other, total in (
        ("A", difference.unknown_in_b, "B", difference.only_in_a),
        ("B", difference.unknown_in_a, "A", difference.only_in_b),
    ):
        if unknown:
            yield f"of {total:,} pairs only in {side}, {unknown:,} are unknown in {other} (camera missing or not ok)"
    if (
        (difference.only_in_a or difference.only_in_b)
        and a == b
        and difference.min_values[0] != difference.min_values[1]
    ):
        low, high = difference.min_values
        yield f"A stores ψ > {low:g} and B ψ > {high:g}; a pair that is absent from one is compared as 0"
    rules = difference.exclusions
    if rules[0] != rules[1]:
        yield f"A excludes {rules[0]} from training and scoring, and B {rules[1]}; all pairs are compared"


def _cameras(side: str, counts: CameraCounts) -> str:
    parts = (
        (counts.only_in_a, "only in A"),
        (counts.only_in_b, "only in B"),
        (counts.status_differs, "with another status"),
    )
    return f"{counts.common:,} {side} in both, " + ", ".join(f"{n:,} {what}" for n, what in parts if n)


def _largest(difference: Difference) -> list[str]:
    if difference.verdict != "different" or not difference.largest:
        return []
    rows = [[f"  largest |Δψ| of {difference.name}", "A", "B"]]
    rows += [[f"  {pair.query} – {pair.database}", _value(pair.a), _value(pair.b)] for pair in difference.largest]
    return [*table(rows, right=(1, 2)), ""]


def _value(value: float | None) -> str:
    return "absent" if value is None else f"{value:.6f}"


def _sentence(comparison: Comparison) -> str:
    differences = comparison.collections
    if comparison.verdict == "identical":
        return "A and B hold identical content."
    if comparison.verdict == "equal":
        most = max(d.max_abs_diff for d in differences)
        return f"A and B hold the same cameras and pairs, equal to within float32 rounding (largest |Δψ| {most:.2g})."
    parts = (
        (len(comparison.only_in_a) + len(comparison.only_in_b), "collection", "in one file only"),
        (sum(d.cameras_that_differ for d in differences), "camera", "missing in one or of another status"),
        (sum(d.only_in_a + d.only_in_b for d in differences), "pair", "stored in one only"),
        (sum(d.unequal for d in differences), "pair", "in both with different ψ"),
        (sum(d.flips for d in differences), "pair", "on different sides of ψ = 0.5"),
    )
    counts = [f"{count:,} {noun}{'s' * (count != 1)} {what}" for count, noun, what in parts if count]
    return f"A and B differ: {', '.join(counts)}."
