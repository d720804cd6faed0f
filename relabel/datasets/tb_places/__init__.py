"""TB-Places: poses of a garden robot, and depth maps if there are any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel.datasets.conventions import DIRECTIONS, QUATERNIONS, Direction, Quaternion
from relabel.datasets.tb_places.spec import SPEC

if TYPE_CHECKING:
    from relabel.datasets.pose_convention import PoseAxes, parse_axes
    from relabel.datasets.tb_places.sets import (
        TbCameraReader,
        TbFrameReader,
        depth_readers,
        find,
        read,
        readers,
        select,
    )

__all__ = [
    "DIRECTIONS",
    "QUATERNIONS",
    "SPEC",
    "Direction",
    "PoseAxes",
    "Quaternion",
    "TbCameraReader",
    "TbFrameReader",
    "depth_readers",
    "find",
    "parse_axes",
    "read",
    "readers",
    "select",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "PoseAxes": "relabel.datasets.pose_convention:PoseAxes",
        "TbFrameReader": "relabel.datasets.tb_places.sets:TbFrameReader",
        "TbCameraReader": "relabel.datasets.tb_places.sets:TbCameraReader",
        "depth_readers": "relabel.datasets.tb_places.sets:depth_readers",
        "find": "relabel.datasets.tb_places.sets:find",
        "parse_axes": "relabel.datasets.pose_convention:parse_axes",
        "read": "relabel.datasets.tb_places.sets:read",
        "readers": "relabel.datasets.tb_places.sets:readers",
        "select": "relabel.datasets.tb_places.sets:select",
    },
)
