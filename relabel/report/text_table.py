"""Aligned text for a terminal: tables, bars and percentages."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BAR_WIDTH = 40
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


def percent(part: int, whole: int) -> str:
    """The share of `part` in `whole`; a dash where there is no whole."""
    return f"{100.0 * part / whole:.1f} %" if whole else "-"


def byte_size(count: int) -> str:
    """A number of bytes in the largest unit that it fills: 1.2 MB, 340 kB; units are powers of 1000."""
    if count < 1000:
        return f"{count} bytes"
    size, unit = count / 1000, "kB"
    for larger in ("MB", "GB", "TB"):
        if size >= 999.5:
            size, unit = size / 1000, larger
    return f"{size:.1f} {unit}" if size < 9.95 else f"{size:,.0f} {unit}"


def duration(seconds: float) -> str:
    """A time as 0.4 s, 12 s, 3 min 20 s or 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min"
