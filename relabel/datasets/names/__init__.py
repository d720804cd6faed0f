"""Images whose `@` names tell where they were taken: SF-XL, deep-vg-benchmark trees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel.datasets.registry import DatasetSpec

if TYPE_CHECKING:
    from relabel.datasets.names.lists import Names, NamesReader, read, reader

__all__ = [
    "SPEC",
    "Names",
    "NamesReader",
    "read",
    "reader",
]


SPEC = DatasetSpec(
    name="names",
    summary="Label images whose @ names tell place and heading (SF-XL).",
    command="relabel.datasets.names.command",
    readers={"fov": "relabel.datasets.names.lists:NamesReader"},
    from_paths="relabel.datasets.names.lists:from_paths",
    licence="Made from the names of pictures, which tell places and headings. Many such sets are cut from street "
    "panoramas of others; San Francisco XL (SF-XL) is handed out on request, under terms that are not known here. "
    "Whose pictures these are is not known here either.",
)

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Names": "relabel.datasets.names.lists:Names",
        "NamesReader": "relabel.datasets.names.lists:NamesReader",
        "read": "relabel.datasets.names.lists:read",
        "reader": "relabel.datasets.names.lists:reader",
    },
)
