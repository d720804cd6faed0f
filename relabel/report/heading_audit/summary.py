"""An audit of headings as text for a terminal, and as a mask file for labelling commands."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from relabel.atomic import output_errors, replacing
from relabel.audit.headings.near_pairs import BIN_DEG
from relabel.audit.headings.tracks import FACING
from relabel.audit.headings.types import REASONS, Audit, SequenceAudit, SideAudit, untrusted
from relabel.csv_text import csv_line
from relabel.display import several
from relabel.report.text_table import bar, percent, table

_SHOWN = 10
_ROWS = {
    "constant": "constant: a stuck compass",
    "jumping": "jumping away from the track",
    "flipped": "parts turned by 180°",
    "alone": "against all neighbours (a hint)",
    "against_travel": "{:g}° or more off the travel",
}
_WORDS = {
    "constant": "a stuck compass",
    "jumping": "headings that jump",
    "flipped": "parts turned by 180°",
    "alone": "headings against all their neighbours",
    "against_travel": "headings against the direction of travel",
}


def audit_text(audit: Audit, reasons: Collection[str]) -> list[str]:
    """The figures of one collection; `reasons` are those that make a sequence untrusted."""
    lines = [f"{audit.name}: headings of {' and '.join(_cameras(side) for side in audit.sides)}", ""]
    lines += table(list(_figures(audit)), right=range(1, len(audit.sides) + 1))
    if audit.wrapped:
        lines.append(
            f"  {several(audit.wrapped, 'heading was', 'headings were')} outside [0°, 360°), taken modulo 360°"
        )
    for side in audit.sides:
        if side.step_deg is not None:
            lines.append(f"  all headings of {_of(side)} are multiples of {side.step_deg:g}°")
    lines += ["", *_near(audit)]
    worst = [(s, sum(s.faults[name] for name in reasons)) for side in audit.sides for s in untrusted(side, reasons)]
    worst.sort(key=lambda pair: -pair[1])
    if worst:
        shown = f", the worst {_SHOWN} of {len(worst):,}" if len(worst) > _SHOWN else ""
        names = [name for name in REASONS if name in reasons]
        head = ["  sequence", "side", "cameras", "compass − travel", *names]
        lines += ["", f"  sequences with headings that should not be trusted{shown}:"]
        lines += table([head, *(_sequence(s, names) for s, _ in worst[:_SHOWN])], right=range(2, len(head)))
    return lines


def verdict(audits: Sequence[Audit], reasons: Collection[str], *, command: str, mask: str | None) -> str:
    """One sentence on what to do.

    Parameters
    ----------
    audits:
        all that were made.
    reasons:
        reasons for which a camera should not be trusted.
    command:
        the labelling command of the dataset, for example ``relabel msls``.
    mask:
        the mask file that was written, or None.
    """
    sides = [side for audit in audits for side in audit.sides]
    rows = sum(side.rows for side in sides)
    faulty = sum(int(side.faulty(reasons).sum()) for side in sides)
    sequences = sum(len(side.sequences) for side in sides)
    where = f"the {several(sequences, 'sequence') if sequences else several(rows, 'camera')}"
    if not faulty:
        hints = 0 if "alone" in reasons else sum(int(side.faults["alone"].sum()) for side in sides)
        blind = "" if sequences else "; without sequences, only nearby cameras could be compared"
        if hints and not sequences:
            blind += f", and {hints:,} point against all their neighbours (--reasons alone masks those)"
        return f"No heading in {where} needs to be left out{blind}."
    present = [name for name in REASONS if name in reasons and any(side.faults[name].any() for side in sides)]
    cameras = [f"{sum(int(side.faults[name].sum()) for side in sides):,} with {_WORDS[name]}" for name in present]
    take = f"`{command} … --mask {mask or 'mask.csv'}` leaves them out"
    if mask is None:
        take = f"write a mask with -o mask.csv, and {take}"
    bad = sum(len(untrusted(side, reasons)) for side in sides)
    what = f"{faulty:,} of {rows:,} cameras"
    if sequences:
        what = f"{what} in {bad:,} of {sequences:,} sequences"
    return f"{what} should not be trusted ({', '.join(cameras)}): {take}."


def write_mask(path: Path, audits: Sequence[Audit], reasons: Collection[str], *, overwrite: bool = False) -> int:
    """Write cameras with any of the reasons as CSV (key, side, collection, reason), and return their number.

    `side` is empty for self pairs; several reasons are joined by ``;``.

    Raises
    ------
    OutputExistsError, OutputError
        when the file is there and `overwrite` is False, or it cannot be written.
    """
    lines = [csv_line(["key", "side", "collection", "reason"])]
    names = [name for name in REASONS if name in reasons]
    for audit in audits:
        for side in audit.sides:
            for row in np.flatnonzero(side.faulty(names)):
                why = ";".join(name for name in names if side.faults[name][row])
                lines.append(csv_line([side.key[row], "" if side.name == "both" else side.name, audit.name, why]))
    with replacing(path, overwrite=overwrite) as private, output_errors(path):
        private.write_text("".join(lines), encoding="utf-8", newline="")
    return len(lines) - 1


def _cameras(side: SideAudit) -> str:
    if side.name == "query":
        return several(side.rows, "query", "queries")
    return several(side.rows, "database camera" if side.name == "database" else "camera")


def _of(side: SideAudit) -> str:
    return {"query": "the queries", "database": "the database"}.get(side.name, "the cameras")


def _figures(audit: Audit) -> Iterator[list[str]]:
    sides = audit.sides

    def row(text: str, *cells: str) -> list[str]:
        return [f"  {text}", *cells]

    def counted(text: str, name: str) -> list[str]:
        return row(text, *(f"{getattr(side, name):,}" for side in sides))

    yield row("", *(side.name for side in sides))
    yield counted("cameras", "rows")
    yield counted("panoramas, passed over", "panoramas")
    yield counted("without a position", "unplaced")
    yield counted("without a heading", "missing")
    yield counted("different headings", "distinct")
    tracked = any(side.sequences for side in sides)
    if tracked:
        yield row("sequences", *(f"{len(side.sequences):,}" for side in sides))
        for name in FACING:
            counts = [sum(s.facing == name for s in side.sequences) for side in sides]
            if any(counts):
                yield row(f"  that look {name}" if name != "unknown" else "  too short to tell", *map(_count, counts))
        yield row("compass within 45° of travel", *(_share(side) for side in sides))
    for name in REASONS if tracked else ("alone",):
        text = _ROWS[name].format(audit.thresholds.against_deg)
        yield row(text, *(_count(int(side.faults[name].sum())) for side in sides))


def _count(n: int) -> str:
    return f"{n:,}"


def _share(side: SideAudit) -> str:
    away = np.abs(side.offset_deg[np.isfinite(side.offset_deg)])
    return percent(int((away <= 45.0).sum()), len(away))


def _near(audit: Audit) -> list[str]:
    near = audit.near
    sample = "" if near.looked_at == near.pairs else f" ({near.looked_at:,} looked at)"
    apart = f"headings over {near.flip_deg:g}° apart"
    opposite, place_opposite = (
        f"{n:,} ({percent(n, of)})"
        for n, of in ((near.opposite, near.looked_at), (near.place_opposite, near.place_pairs))
    )
    lines = [
        f"  pairs within {near.radius_m:g} m: {near.pairs:,}{sample}; {apart}: {opposite}",
        f"  pairs within {near.place_m:g} m: {near.place_pairs:,}; {apart}: {place_opposite}",
    ]
    if near.looked_at:
        pairs = [a + b for a, b in zip(near.histogram[::2], near.histogram[1::2], strict=True)]
        wide = 2.0 * BIN_DEG
        rows = [
            [f"  {wide * i:g}° – {wide * (i + 1):g}°", percent(n, near.looked_at), bar(n / max(pairs))]
            for i, n in enumerate(pairs)
        ]
        lines += ["", f"  heading difference of pairs within {near.radius_m:g} m:", *table(rows, right=(1,))]
    return lines


def _sequence(sequence: SequenceAudit, names: Sequence[str]) -> list[str]:
    offset = "-"
    if sequence.centre_deg is not None:
        offset = f"{round(sequence.centre_deg)}° ± {round(sequence.spread_deg or 0.0)}°"
    counts = (_count(sequence.faults[name]) for name in names)
    return [f"  {sequence.name}", sequence.side, f"{sequence.rows:,}", offset, *counts]
