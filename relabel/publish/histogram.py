"""The histogram of a label file as an SVG image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from relabel.report.figures import BLUE, GREY, INK, figure
from relabel.report.stats import BINS, Statistics


def histogram(path: Path, statistics: Mapping[str, Statistics], measure: str) -> None:
    """Pairs by ψ, all collections together, as an SVG; those that count as positive (ψ ≥ 0.5) in another colour.

    Parameters
    ----------
    path:
        the file to write.
    statistics:
        figures by name of the collection.
    measure:
        what ψ is, for the axis.
    """
    counts = np.sum([s.histogram for s in statistics.values()], axis=0)
    left = np.arange(BINS) / BINS
    with figure(path, size=(7.0, 3.2)) as drawn:
        axes = drawn.subplots()
        for mask, colour, name in ((left < 0.5, GREY, "ψ < 0.5"), (left >= 0.5, BLUE, "ψ ≥ 0.5")):
            label = f"{name}: {int(counts[mask].sum()):,}"
            bars = axes.bar(left[mask], counts[mask], 0.92 / BINS, align="edge", color=colour, label=label)
            axes.bar_label(bars, [f"{n:,}" for n in counts[mask]], fontsize=8, color=INK, padding=2)
        axes.set(xlabel=f"ψ ({measure})", ylabel="stored pairs", xlim=(0.0, 1.0), xticks=np.linspace(0.0, 1.0, 11))
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.margins(y=0.12)
        axes.legend(frameon=False)
