"""What relabel knows of RGB-D sequences before a file is read: the specification, and names of conventions."""

from __future__ import annotations

from typing import Literal, get_args

from relabel.datasets.registry import DatasetSpec

Layout = Literal["tum", "scannet", "folder"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
Convention = Literal["opencv", "opengl"]
"""The axes of a camera in its pose, by name: x right, y down, z ahead, or x right, y up, z back."""
CONVENTIONS: tuple[Convention, ...] = get_args(Convention)
MAX_TIME_DIFFERENCE_S = 0.02
"""The largest time difference of a depth map and its pose, seconds."""

SPEC = DatasetSpec(
    name="rgbd",
    tags=("rgb-d",),
    summary="Label any RGB-D sequence: TUM, ScanNet, or a plain folder.",
    command="relabel.datasets.rgbd.command",
    readers={"surface": "relabel.datasets.rgbd.sequence:RgbdReader"},
    licence="Made from depth maps and poses of an RGB-D recording of unknown origin: this card does not know its "
    "terms. The poses in this file are part of it.",
)
