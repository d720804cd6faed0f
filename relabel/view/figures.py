"""What the views beside the map show of a collection, by name; each is computed when the page asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from relabel.labelfile import StoredCollection
from relabel.report.distributions import distributions
from relabel.view.faults import faults

Figures = Callable[[StoredCollection, Callable[[int], object] | None], dict[str, Any]]
"""makes JSON of a collection; calls its second argument with the number of rows of every block that was read"""

FIGURES: Mapping[str, Figures] = {"distributions": distributions, "faults": faults}
"""A view calls `viewer.source.figures(collection, NAME, progress)` for these; `standalone` puts all into the page."""
