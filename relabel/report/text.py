"""Summaries as aligned text for a terminal."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # scipy.spatial takes a quarter of a second to load, and only the statistics need it
    from relabel.report.info import Row
    from relabel.report.sequences import Sequences
    from relabel.report.stats import Band, Statistics

_BAR_WIDTH = 40
_SHOWN = 5
_EIGHTHS = " ▏▎▍▌▋▊▉"


def table(rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Lines of cells, each column as wide as its widest cell; the columns in `right` are aligned to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
        .rstrip()
        for row in rows
    ]  # fmt: skip


def bar(share: float, width: int = _BAR_WIDTH) -> str:
    """A bar of `share` in [0, 1] of `width` characters, to an eighth of a character; never nothing for something."""
    eighths = math.floor(share * width * 8 + 0.5)
    if share > 0.0:
        eighths = max(eighths, 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def info_text(summary: dict[str, Any]) -> list[str]:
    """The summary of `look.describe` as a table, one line a collection, with their parameters below."""
    collections = summary["collections"]
    noun = "collection" if len(collections) == 1 else "collections"
    lines = [f"{summary['format']} {summary['format_version']}, {len(collections)} {noun}"]
    if not collections:
        return lines
    rows = [["collection", "method", "measure", "queries", "database", "pairs", "a query", "min ψ", ""]]
    for c in collections:
        n_query, n_database = c["shape"]
        rows.append(
            [
                c["name"],
                c["method"],
                c["measure"],
                _ok_of(c["status"]["queries"], n_query),
                _ok_of(c["status"]["database"], n_database),
                f"{c['nnz']:,}",
                f"{c['nnz'] / n_query:.1f}" if n_query else "-",
                f"{c['min_value']:g}",
                "self" if c["self_pairs"] else "",
            ]
        )
    lines += ["", *table(rows, right=(3, 4, 5, 6, 7)), ""]
    for c in collections:
        lines.append(f"{c['name']}: {_parameters(c['params'])}")
        lines += [
            f"{c['name']}: {side} not ok, so that nothing is known of them: {_others(counts)}"
            for side, counts in c["status"].items()
            if _others(counts)
        ]
    return lines


def row_text(row: Row) -> list[str]:
    """A query and its matches as a table."""
    shown = f", the best {len(row.matches)}" if len(row.matches) < row.stored else ""
    lines = [f"{row.key}: {row.stored:,} {'match' if row.stored == 1 else 'matches'}{shown}"]
    if row.matches:
        rows = [["ψ", "distance", "turned", "key"]]
        rows += [
            [f"{m.value:.4f}", _unit(m.distance_m, "m", 1), _unit(m.heading_difference_deg, "°", 0), m.key]
            for m in row.matches
        ]
        lines += table(rows, right=(0, 1, 2))
    return lines


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
    bands = [["  cameras a query", "pairs", "mean", "median", "queries with none"]]
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
        f"{name}: {s.shape[0]:,} queries × {s.shape[1]:,} database cameras, {s.measure}",
        f"  {sides}",
        f"  {s.stored_pairs:,} of {s.known_pairs:,} pairs of ok cameras stored; all others have {absent}",
        "",
        *table([["  ψ", "pairs", "share", ""], *histogram], right=(1, 2)),
        "",
        *table(bands, right=(1, 2, 3, 4)),
        "",
        f"  queries without a positive (no ψ ≥ 0.5): {none:,} of {s.queries_ok:,} ({percent(none, s.queries_ok)})",
        *lines,
        *(sequences_text(s.sequences, s.queries_ok, absent) if s.sequences is not None else []),
    ]


def sequences_text(s: Sequences, queries_ok: int, absent: str) -> list[str]:
    """What the order in time tells, a few examples of each fault."""
    lines = [f"  queries without any overlap: {len(s.alone):,} of {queries_ok:,}{_such_as(s.alone)}"]
    if (chains := s.chains) is None:
        return lines
    breaks, suspects = chains.breaks, chains.suspects
    why = ": a bad pose, lost tracking, or a jump" if breaks else ""
    lines.append(
        f"  frames that follow each other: {chains.adjacent:,} pairs, of which {len(breaks):,} break the chain "
        f"(ψ < {chains.threshold:g}){why}"
    )
    lines += [f"    {b.before} → {b.after}: ψ {b.value:.4f}" for b in breaks[:_SHOWN]]
    lines += [f"    and {len(breaks) - _SHOWN:,} more; --json lists all"] if len(breaks) > _SHOWN else []
    if suspects:
        lines.append(f"  frames that break with both neighbours: {len(suspects):,}{_such_as(suspects)}")
    if chains.gaps:
        rows = [["  frames apart", "pairs", "mean ψ", "ψ ≥ 0.5", absent]]
        rows += [
            [
                f"  {g.least:,}" + (f" – {g.most:,}" if g.most > g.least else ""),
                f"{g.pairs:,}",
                f"{g.mean:.4f}",
                percent(g.positive, g.pairs),
                percent(g.absent, g.pairs),
            ]
            for g in chains.gaps
        ]
        lines += ["", *table(rows, right=(1, 2, 3, 4))]
    return lines


def _such_as(keys: Sequence[str]) -> str:
    more = ", …" if len(keys) > _SHOWN else ""
    return f": {', '.join(keys[:_SHOWN])}{more}" if keys else ""


def _band_row(label: str, band: Band) -> list[str]:
    mean = "-" if band.mean is None else f"{band.mean:,.1f}"
    median = "-" if band.median is None else f"{band.median:,.1f}".removesuffix(".0")
    return [f"  {label}", f"{band.pairs:,}", mean, median, f"{band.empty:,}"]


def percent(part: int, whole: int) -> str:
    """The share of `part` in `whole`; a dash where there is no whole."""
    return f"{100.0 * part / whole:.1f} %" if whole else "-"


def _unit(value: float, unit: str, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f} {unit}".replace(" °", "°")


def _ok_of(counts: dict[str, int], total: int) -> str:
    ok = counts.get("ok", 0)
    return f"{total:,}" if ok == total else f"{ok:,} of {total:,}"


def _others(counts: dict[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in counts.items() if name != "ok")


def _parameters(params: dict[str, Any]) -> str:
    return ", ".join(f"{k} {v if isinstance(v, str) else json.dumps(v)}" for k, v in params.items()) or "no parameters"
