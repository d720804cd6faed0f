"""Label files made from others: merged, cut down, or in another measure; always a new file, whole or not at all."""

from __future__ import annotations

from relabel.compose.converting import Conversion, convert
from relabel.compose.merging import Merge, merge
from relabel.compose.selection import Selection
from relabel.compose.subsetting import Subset, subset

__all__ = ["Conversion", "Merge", "Selection", "Subset", "convert", "merge", "subset"]
