"""Data of the views beside the map, by name; each is computed when the page asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from relabel.labelfile import StoredCollection
from relabel.report.distributions import distributions
from relabel.view.comparison import comparison
from relabel.view.contents import Compared
from relabel.view.faults import faults

Figures = Callable[[StoredCollection, Callable[[int], object] | None], dict[str, Any]]
"""makes JSON of a collection; calls its second argument with the number of rows of every block that was read"""

FIGURES: Mapping[str, Figures] = {"distributions": distributions, "faults": faults}
"""A view calls `viewer.source.figures(collection, NAME, progress)` for these; `standalone` puts all into the page."""

COMPARISON = "comparison"


def figures_of(stored: StoredCollection, compared: Compared | None) -> Mapping[str, Figures]:
    """The `FIGURES`, and the `COMPARISON` of a collection that is compared with another."""
    other = None if compared is None else compared.collections.get(stored.name)
    if other is None:
        return FIGURES

    def compare(a: StoredCollection, progress: Callable[[int], object] | None) -> dict[str, Any]:
        return comparison(a, other, progress)

    return {**FIGURES, COMPARISON: compare}
