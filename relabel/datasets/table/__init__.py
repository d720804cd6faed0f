"""Any table of cameras, GSV-Cities, and trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel.datasets.table.spec import LAYOUTS, SPEC, Layout

if TYPE_CHECKING:
    from relabel.datasets.table.table_reader import TableReader, read, reader

__all__ = [
    "LAYOUTS",
    "SPEC",
    "Layout",
    "TableReader",
    "read",
    "reader",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "TableReader": "relabel.datasets.table.table_reader:TableReader",
        "read": "relabel.datasets.table.table_reader:read",
        "reader": "relabel.datasets.table.table_reader:reader",
    },
)
