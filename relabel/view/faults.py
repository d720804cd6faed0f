"""Possible faults of the cameras and pairs of a collection, each with the cameras and pairs that show it.

Nothing is judged here: the faults are those of the audit (`relabel audit`, also as it was recorded when the labels were
made), of `relabel headings` and of `relabel stats`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from relabel.audit.audit import audit_labels
from relabel.audit.codes import CODES
from relabel.audit.headings.audit import audit
from relabel.audit.headings.types import REASONS, Thresholds
from relabel.cameras import Cameras, Status
from relabel.display import several
from relabel.geometry.earth import is_geodesic, lon_lat
from relabel.keys import rows_of
from relabel.labelfile import LabelFile, StoredCollection
from relabel.labelfile.provenance import collection_record
from relabel.report.shared_surface import METHODS
from relabel.report.stats import Statistics, statistics

MOST_CASES = 1000
"""Largest number of cases listed for a fault."""

HEADING_CODES = {
    "constant": "heading-constant",
    "jumping": "heading-jumps",
    "flipped": "heading-flips",
    "alone": "heading-alone",
    "against_travel": "heading-against-travel",
}
"""The code of each reason of `relabel headings`; the first three are those that the audit has for many of them."""

_HEADING_TEXTS = {
    "constant": ("repeat one heading while their track turns", "the compass was most likely stuck"),
    "jumping": ("have headings that jump away from their track", "the compass was most likely disturbed"),
    "flipped": ("are in parts of their track that are turned by 180°", "the compass was most likely reversed"),
    "alone": (
        "point against all cameras around them",
        "only a hint: a car in the opposite lane does so too",
    ),
    "against_travel": (
        "point {against:g}° or more away from their direction of travel",
        "only a hint: the camera may be mounted that way",
    ),
}

_UNKNOWN = "their similarities are unknown, which is not the same as no overlap"

Severity = Literal["note", "warning"]
Side = Literal["queries", "database"]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fault:
    """One fault of a collection.

    Attributes
    ----------
    code:
        of the audit; or ``status-NAME`` (cameras of that status), ``heading-alone``, ``heading-against-travel``,
        ``no-positive``, ``no-overlap``, ``facing-pairs``, ``broken-chain``, ``chain-suspect``.
    severity:
        ``warning`` if labels may be wrong, else ``note``.
    text, cause, remedy:
        a sentence; the most likely cause, and the remedy, where known.
    count:
        how many cameras or pairs show it.
    of:
        unit of the count.
    cases:
        the first `MOST_CASES`: a side and a row, of pairs also the column; empty where it is all cameras or none in
        particular.
    recorded:
        whether this was recorded when the labels were made, and cannot be seen in them any more.
    """

    code: str
    severity: Severity
    text: str
    count: int
    of: Literal["cameras", "pairs"] = "cameras"
    cause: str = ""
    remedy: str = ""
    cases: Sequence[tuple[Side, int, int]] = ()
    recorded: bool = False

    def to_json(self) -> dict[str, Any]:
        """As JSON values; a case is a list of its side, row and column, or -1."""
        return {**vars(self), "cases": [list(case) for case in self.cases[:MOST_CASES]]}


def faults(stored: StoredCollection, progress: Callable[[int], object] | None = None) -> dict[str, Any]:
    """The faults of a collection as JSON, warnings first; it reads all pairs once.

    Parameters
    ----------
    stored:
        a collection.
    progress:
        called with the number of rows of every block.

    Raises
    ------
    LabelFileError
        when the content does not fit its digest.
    """
    figures = statistics(stored, progress=progress)
    found = [*_statuses(stored), *_headings(stored)]
    known = {fault.code for fault in found}
    found += [fault for fault in _audited(stored) if fault.code not in known]
    known = {fault.code for fault in found}
    found += [fault for fault in _recorded(stored) if fault.code not in known]
    found += _of_pairs(stored, figures)
    found.sort(key=lambda fault: fault.severity != "warning")
    return {"faults": [fault.to_json() for fault in found], "most_cases": MOST_CASES}


def _sides(stored: StoredCollection) -> dict[Side, Cameras]:
    return {"queries": stored.query} if stored.self_pairs else {"queries": stored.query, "database": stored.database}


def _rows(side: Side, rows: Iterable[int]) -> list[tuple[Side, int, int]]:
    return [(side, int(row), -1) for row, _ in zip(rows, range(MOST_CASES), strict=False)]


def _statuses(stored: StoredCollection) -> Iterator[Fault]:
    sides = _sides(stored)
    for status in Status:
        rows = {name: np.flatnonzero(side.status == status) for name, side in sides.items()}
        count = sum(len(of_side) for of_side in rows.values())
        if status is Status.OK or not count:
            continue
        parts = [f"{len(rows[name]):,} of {len(side):,} {_named(stored, name)}" for name, side in sides.items()]
        yield Fault(
            f"status-{status.label}",
            "note",
            f"{' and '.join(parts)} have the status {status.label}",
            count,
            cause=_UNKNOWN,
            cases=[case for name, of_side in rows.items() for case in _rows(name, of_side)],
        )


def _named(stored: StoredCollection, side: Side) -> str:
    return "cameras" if stored.self_pairs else {"queries": "queries", "database": "database cameras"}[side]


def _headings(stored: StoredCollection) -> Iterator[Fault]:
    """The cameras of `relabel headings`, of each fault together; a warning where it is one of the audit's."""
    query, database = stored.query, stored.database
    if stored.method in METHODS or str(stored.params.get("heading", "")).startswith("travel"):
        return
    limits = Thresholds()
    geographic = (lon_lat(query), lon_lat(database)) if is_geodesic(stored.params) else None
    found = audit(query, query if stored.self_pairs else database, thresholds=limits, geographic=geographic)
    names: tuple[Side, ...] = ("queries", "database")
    for reason in REASONS:
        rows = [np.flatnonzero(side.faults[reason]) for side in found.sides]
        count = sum(map(len, rows))
        if not count:
            continue
        text, cause = _HEADING_TEXTS[reason]
        total = sum(side.rows for side in found.sides)
        sequences = sum(sequence.faults[reason] > 0 for side in found.sides for sequence in side.sequences)
        where = f" in {sequences:,} sequence{'s' * (sequences > 1)}" if sequences else ""
        code = HEADING_CODES[reason]
        yield Fault(
            code,
            CODES.get(code, "note"),
            f"{count:,} of {total:,} cameras{where} {text.format(against=limits.against_deg)}",
            count,
            cause=cause,
            remedy="`relabel headings` writes a mask; label with --mask to leave them out",
            cases=[case for name, of_side in zip(names, rows, strict=False) for case in _rows(name, of_side)],
        )


def _audited(stored: StoredCollection) -> Iterator[Fault]:
    """Findings of the audit on the cameras in the file."""
    query, database = stored.query, stored.database
    report = audit_labels(
        query,
        query if stored.self_pairs else database,
        stored.params,
        with_depth=stored.method in METHODS,
    )
    for finding in report.findings:
        yield _of_finding(stored, finding.to_json(), recorded=False)


def _recorded(stored: StoredCollection) -> Iterator[Fault]:
    """Findings recorded when the labels were made that the file no longer shows."""
    record = collection_record(stored.name, LabelFile(stored.path).provenance())
    findings = [] if record is None else record.get("findings", [])
    for finding in findings if isinstance(findings, list) else []:
        if isinstance(finding, Mapping) and isinstance(finding.get("code"), str):
            yield _of_finding(stored, finding, recorded=True)


def _of_finding(stored: StoredCollection, finding: Mapping[str, Any], *, recorded: bool) -> Fault:
    """A finding of the audit as JSON, which another program may have written."""

    def text(name: str) -> str:
        value = finding.get(name)
        return value if isinstance(value, str) else ""

    count = finding.get("count")
    keys = finding.get("keys")
    named = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    side: Side | None = {"query": "queries", "database": "database"}.get(text("side"))  # type: ignore[assignment]
    where = f"{'queries' if side == 'queries' else 'database'}: " if side else ""
    return Fault(
        text("code"),
        "note" if finding.get("severity") == "note" else "warning",
        f"{where}{text('seen')}",
        count if isinstance(count, int) else 0,
        cause=text("cause"),
        remedy=text("remedy"),
        cases=_cases_of_keys(stored, named, side),
        recorded=recorded,
    )


def _cases_of_keys(stored: StoredCollection, keys: Sequence[str], only: Side | None) -> list[tuple[Side, int, int]]:
    cases: list[tuple[Side, int, int]] = []
    for name, side in _sides(stored).items() if keys else ():
        if only is None or stored.self_pairs or name == only:
            rows = rows_of(side.key, np.array(keys, dtype=np.str_))
            cases += _rows(name, rows[rows >= 0].tolist())
    return cases


def _of_pairs(stored: StoredCollection, figures: Statistics) -> Iterator[Fault]:
    """Suspicious pairs and queries, as `relabel stats` counts them."""
    assert figures.cases is not None
    queries = figures.queries_ok
    if none := figures.queries_without_positive:
        yield Fault(
            "no-positive",
            "note",
            f"{none:,} of {queries:,} queries have no match with ψ ≥ 0.5",
            none,
            cause="training has no positives for them, and evaluation nothing to retrieve",
            cases=_rows("queries", figures.cases.without_positive),
        )
    if figures.facing.pairs:
        facing = figures.facing
        yield Fault(
            "facing-pairs",
            "note",
            f"{several(facing.pairs, 'pair overlaps', 'pairs overlap')}"
            f" though their headings are {facing.heading_difference_deg:g}° or more "
            f"apart; {facing.positive:,} of them have ψ ≥ 0.5",
            facing.pairs,
            "pairs",
            cause="such cameras see opposite faces of what is between them",
            remedy="--max-heading-difference leaves such pairs out of the labels",
            cases=[("queries", int(row), int(column)) for row, column in figures.cases.facing],
        )
    if figures.sequences is None:
        return
    if alone := figures.sequences.alone:
        yield Fault(
            "no-overlap",
            "note",
            f"{len(alone):,} of {queries:,} queries overlap with no camera at all",
            len(alone),
            cases=_cases_of_keys(stored, alone[:MOST_CASES], "queries"),
        )
    if (chains := figures.sequences.chains) is None:
        return
    if chains.breaks:
        rows = [
            rows_of(stored.query.key, np.array(keys))
            for keys in zip(*((b.before, b.after) for b in chains.breaks), strict=True)
        ]
        yield Fault(
            "broken-chain",
            "warning",
            f"{len(chains.breaks):,} of {chains.adjacent:,} pairs of consecutive frames share almost nothing (ψ < "
            f"{chains.threshold:g})",
            len(chains.breaks),
            "pairs",
            cause="a bad pose, lost tracking, or a jump",
            cases=[("queries", int(row), int(column)) for row, column in zip(*rows, strict=True)],
        )
    if chains.suspects:
        yield Fault(
            "chain-suspect",
            "warning",
            f"{several(len(chains.suspects), 'frame shares', 'frames share')}"
            " almost nothing with the one before and the one after",
            len(chains.suspects),
            cause="their own pose is most likely wrong",
            remedy="leave them out with --mask",
            cases=_cases_of_keys(stored, chains.suspects, "queries"),
        )
