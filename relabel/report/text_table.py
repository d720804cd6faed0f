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
