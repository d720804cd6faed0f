"""Any RGB-D sequence with poses: TUM, ScanNet, or a plain folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel.datasets.rgbd.spec import CONVENTIONS, LAYOUTS, MAX_TIME_DIFFERENCE_S, SPEC, Convention, Layout

if TYPE_CHECKING:
    from relabel.datasets.pose_convention import PoseAxes, PoseConvention, parse_axes
    from relabel.datasets.rgbd.sequence import RgbdReader, read, reader

__all__ = [
    "CONVENTIONS",
    "LAYOUTS",
    "MAX_TIME_DIFFERENCE_S",
    "SPEC",
    "Convention",
    "Layout",
    "PoseAxes",
    "PoseConvention",
    "RgbdReader",
    "parse_axes",
    "read",
    "reader",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "PoseAxes": "relabel.datasets.pose_convention:PoseAxes",
        "PoseConvention": "relabel.datasets.pose_convention:PoseConvention",
        "parse_axes": "relabel.datasets.pose_convention:parse_axes",
        "RgbdReader": "relabel.datasets.rgbd.sequence:RgbdReader",
        "read": "relabel.datasets.rgbd.sequence:read",
        "reader": "relabel.datasets.rgbd.sequence:reader",
    },
)
