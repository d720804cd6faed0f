"""Pittsburgh 30k and 250k, and other splits in a `dbStruct`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel.datasets.pitts.spec import SIGNS, SPEC, TRAVEL_GAP_M, Sign, Source

if TYPE_CHECKING:
    from relabel.datasets.pitts.split import PittsReader, PittsSplit, find, read, readers, select
    from relabel.datasets.pitts.yaw import Headings

__all__ = [
    "SIGNS",
    "SPEC",
    "TRAVEL_GAP_M",
    "Headings",
    "PittsReader",
    "PittsSplit",
    "Sign",
    "Source",
    "find",
    "read",
    "readers",
    "select",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "Headings": "relabel.datasets.pitts.yaw:Headings",
        "PittsReader": "relabel.datasets.pitts.split:PittsReader",
        "PittsSplit": "relabel.datasets.pitts.split:PittsSplit",
        "find": "relabel.datasets.pitts.split:find",
        "read": "relabel.datasets.pitts.split:read",
        "readers": "relabel.datasets.pitts.split:readers",
        "select": "relabel.datasets.pitts.split:select",
    },
)
