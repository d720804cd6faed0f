"""The comparison of two label files as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from relabel.report.text import table

if TYPE_CHECKING:
    from relabel.report.compare import Comparison
    from relabel.report.differences import CameraCounts, Difference

_HEAD = ("collection", "pairs in both", "only in A", "only in B", "largest |Δψ|", "mean |Δψ|", "flips at 0.5")


def comparison_text(comparison: Comparison, a: str, b: str) -> list[str]:
    """A table with one line a collection, what is to be said of each, and what it comes to in one sentence."""
    lines = [f"A: {a}", f"B: {b}", ""]
    lines += table([_HEAD, *map(_cells, comparison.collections)], right=range(1, len(_HEAD)))
    lines.append("")
    for each in comparison.collections:
        lines += [f"{each.name}: {text}" for text in _notes(each)]
        if shown := _largest(each):
            lines += [""] * bool(lines[-1]) + shown
    for side, names in (("A", comparison.only_in_a), ("B", comparison.only_in_b)):
        if names:
            lines.append(f"only in {side}: {', '.join(names)}")
    if lines[-1]:
        lines.append("")
    return [*lines, _sentence(comparison)]


def _cells(each: Difference) -> list[str]:
    counts = (each.common_pairs, each.only_in_a, each.only_in_b)
    diffs = (each.max_abs_diff, each.mean_abs_diff)
    return [each.name, *(f"{n:,}" for n in counts), *(f"{d:.2g}" for d in diffs), f"{each.flips:,}"]


def _notes(each: Difference) -> Iterator[str]:
    if each.name_in_b != each.name:
        yield f"compared with {each.name_in_b} of B"
    a, b = each.measures
    if "unknown" in (a, b) and not a == b == "unknown":
        side = "A" if a == "unknown" else "B"
        yield f"the measure of {side} is unknown, so its values are compared as they stand, with {each.measure}"
    elif a != b or a != each.measure:
        yield f"A is {a} and B is {b}; compared as {each.measure}"
    for side, counts in (("queries", each.queries), ("database cameras", each.database)):
        if counts.differing:
            yield _cameras(side, counts)
    for side, unknown, other, total in (
        ("A", each.unknown_in_b, "B", each.only_in_a),
        ("B", each.unknown_in_a, "A", each.only_in_b),
    ):
        if unknown:
            yield f"of {total:,} pairs only in {side}, {unknown:,} are unknown in {other} (camera missing or not ok)"
    if (each.only_in_a or each.only_in_b) and a == b and each.min_values[0] != each.min_values[1]:
        low, high = each.min_values
        yield f"A stores ψ > {low:g} and B ψ > {high:g}; a pair that is absent in one is compared as 0"


def _cameras(side: str, counts: CameraCounts) -> str:
    parts = (
        (counts.only_in_a, "only in A"),
        (counts.only_in_b, "only in B"),
        (counts.status_differs, "with another status"),
    )
    return f"{counts.common:,} {side} in both, " + ", ".join(f"{n:,} {what}" for n, what in parts if n)


def _largest(each: Difference) -> list[str]:
    if each.verdict != "different" or not each.largest:
        return []
    rows = [[f"  largest |Δψ| of {each.name}", "A", "B"]]
    rows += [[f"  {pair.query} – {pair.database}", _value(pair.a), _value(pair.b)] for pair in each.largest]
    return [*table(rows, right=(1, 2)), ""]


def _value(value: float | None) -> str:
    return "absent" if value is None else f"{value:.6f}"


def _sentence(comparison: Comparison) -> str:
    each = comparison.collections
    if comparison.verdict == "identical":
        return "A and B hold identical content."
    if comparison.verdict == "equal":
        most = max(one.max_abs_diff for one in each)
        return f"A and B hold the same cameras and pairs, equal to within float32 rounding (largest |Δψ| {most:.2g})."
    parts = (
        (len(comparison.only_in_a) + len(comparison.only_in_b), "collection", "in one file only"),
        (sum(one.cameras_that_differ for one in each), "camera", "missing in one or of another status"),
        (sum(one.only_in_a + one.only_in_b for one in each), "pair", "stored in one only"),
        (sum(one.unequal for one in each), "pair", "in both with unequal ψ"),
        (sum(one.flips for one in each), "pair", "on different sides of ψ = 0.5"),
    )
    told = [f"{count:,} {noun}{'s' * (count != 1)} {what}" for count, noun, what in parts if count]
    return f"A and B differ: {', '.join(told)}."
