"""What the page says first: the file and its collections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from relabel.labelfile import StoredCollection
from relabel.report.shared_surface import METHODS

COMPUTE_AT_ONCE = 2_000_000
"""Pairs of a collection up to which its distributions are computed without being asked for."""


def contents(
    collections: Sequence[StoredCollection], *, images: bool, depth_maps: bool = False, notes: Sequence[str] = ()
) -> dict[str, Any]:
    """The contents of a label file as JSON: of its path the name alone, since a page may be passed on."""
    return {
        "file": collections[0].path.name,
        "collections": [
            {"name": stored.name, "pairs": stored.nnz, "surface": stored.method in METHODS} for stored in collections
        ],
        "images": images,
        "depth_maps": depth_maps,
        "notes": list(notes),
        "compute_at_once": COMPUTE_AT_ONCE,
    }
