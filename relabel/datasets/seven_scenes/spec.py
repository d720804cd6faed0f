"""What relabel knows of 7Scenes before a file is read: the specification, and names of conventions."""

from __future__ import annotations

from relabel.datasets.registry import DatasetSpec

FOCAL_PX = 585.0
"""Focal length of the depth maps as shipped, pixels."""
SPLITS = ("train", "test", "test-train")
"""Frames of the train or of the test sequences with themselves, or those of test against those of train."""
DEFAULT_SPLITS = ("train", "test-train")

SPEC = DatasetSpec(
    name="7scenes",
    tags=("7scenes", "rgb-d"),
    summary="Label 7Scenes by how much surface two frames share.",
    command="relabel.datasets.seven_scenes.command",
    readers={"surface": "relabel.datasets.seven_scenes.scene:SevenScenesReader"},
    default_output="7scenes.h5",
    image_paths=tuple(f"{folder}{{key}}.color.{ending}" for folder in ("", "{scene}/") for ending in ("png", "jpg")),
    licence="Made from the depth maps and poses of 7Scenes (RGB-D Dataset 7-Scenes, Microsoft Research). Its licence "
    "allows non-commercial use only, and requires that derived works are shared under the same terms, with a note "
    "of the changes. The poses in this file are part of the dataset, and the labels are derived from "
    "it.",
)
