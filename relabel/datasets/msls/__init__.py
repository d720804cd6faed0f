"""Mapillary Street-Level Sequences (MSLS), from its metadata alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel.datasets.msls.spec import HEADINGS, IMAGE_PATH, SPEC, Heading

if TYPE_CHECKING:
    from relabel.datasets.msls.city import MslsCity, MslsReader, read, readers
    from relabel.datasets.msls.tree import City, find, select

__all__ = [
    "HEADINGS",
    "IMAGE_PATH",
    "SPEC",
    "City",
    "Heading",
    "MslsCity",
    "MslsReader",
    "find",
    "read",
    "readers",
    "select",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "City": "relabel.datasets.msls.tree:City",
        "MslsCity": "relabel.datasets.msls.city:MslsCity",
        "MslsReader": "relabel.datasets.msls.city:MslsReader",
        "find": "relabel.datasets.msls.tree:find",
        "read": "relabel.datasets.msls.city:read",
        "readers": "relabel.datasets.msls.city:readers",
        "select": "relabel.datasets.msls.tree:select",
    },
)
