"""7Scenes: depth maps and poses of a Kinect in seven rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relabel._lazy import lazily
from relabel.datasets.seven_scenes.spec import DEFAULT_SPLITS, FOCAL_PX, SPEC, SPLITS

if TYPE_CHECKING:
    from relabel.datasets.seven_scenes.scene import SevenScenesReader, find, read, readers, select

__all__ = [
    "DEFAULT_SPLITS",
    "FOCAL_PX",
    "SPEC",
    "SPLITS",
    "SevenScenesReader",
    "find",
    "read",
    "readers",
    "select",
]

__getattr__, __dir__ = lazily(
    __name__,
    {
        "SevenScenesReader": "relabel.datasets.seven_scenes.scene:SevenScenesReader",
        "find": "relabel.datasets.seven_scenes.scene:find",
        "read": "relabel.datasets.seven_scenes.scene:read",
        "readers": "relabel.datasets.seven_scenes.scene:readers",
        "select": "relabel.datasets.seven_scenes.scene:select",
    },
)
