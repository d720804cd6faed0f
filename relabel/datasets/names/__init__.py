"""Images whose `@` names say where they were taken: SF-XL, deep-vg-benchmark trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel.datasets.names.spec import SPEC

if TYPE_CHECKING:
    from relabel.datasets.names.lists import Names, NamesReader, read, reader

__all__ = [
    "SPEC",
    "Names",
    "NamesReader",
    "read",
    "reader",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Names": "relabel.datasets.names.lists:Names",
        "NamesReader": "relabel.datasets.names.lists:NamesReader",
        "read": "relabel.datasets.names.lists:read",
        "reader": "relabel.datasets.names.lists:reader",
    },
)
