"""Any RGB-D sequence with poses: TUM, ScanNet, or a plain folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from relabel._lazy import lazily
from relabel.datasets.registry import DatasetSpec

if TYPE_CHECKING:
    from relabel.datasets.rgbd.sequence import RgbdReader, read, reader

__all__ = [
    "LAYOUTS",
    "MAX_TIME_DIFFERENCE_S",
    "SPEC",
    "Layout",
    "RgbdReader",
    "read",
    "reader",
]

Layout = Literal["tum", "scannet", "folder"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
MAX_TIME_DIFFERENCE_S = 0.02
"""How far apart in time a depth map and its pose may be, seconds."""

SPEC = DatasetSpec(
    name="rgbd",
    summary="Label any RGB-D sequence: TUM, ScanNet, or a plain folder.",
    command="relabel.datasets.rgbd.command",
    readers={"surface": "relabel.datasets.rgbd.sequence:RgbdReader"},
    licence="Made from depth maps and poses of an RGB-D recording, which may be anybody's: this card does not know its "
    "terms. The poses in this file are part of it.",
)

__getattr__, __dir__ = lazily(
    __name__,
    {
        "RgbdReader": "relabel.datasets.rgbd.sequence:RgbdReader",
        "read": "relabel.datasets.rgbd.sequence:read",
        "reader": "relabel.datasets.rgbd.sequence:reader",
    },
)
