"""An RGB-D sequence as a `SceneReader`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relabel.datasets import rgbd
from relabel.datasets.pose_files import Intrinsics
from relabel.datasets.rgbd import MAX_TIME_DIFFERENCE_S, Layout
from relabel.datasets.scene import Scene
from relabel.errors import OptionError


@dataclass(frozen=True)
class RgbdReader:
    """One sequence with itself, as the collection `name`; `root` is its folder."""

    root: Path
    layout: Layout
    name: str
    intrinsics: Intrinsics | None = None
    """fx, fy, cx, cy where they are not to be read from a file"""
    depth_unit_m: float | None = None
    max_time_difference_s: float = MAX_TIME_DIFFERENCE_S
    command = "relabel rgbd"

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, the layout, and what was said about the sequence or told by its name."""
        values: dict[str, Any] = {"collection": self.name, "layout": self.layout}
        if self.intrinsics is not None:
            values["intrinsics"] = list(self.intrinsics)
        if self.depth_unit_m is not None:
            values["depth_unit_m"] = float(self.depth_unit_m)
        if self.layout == "tum":
            values["max_time_difference_s"] = float(self.max_time_difference_s)
        return values

    @classmethod
    def of_parameters(cls, parameters: dict[str, Any], root: Path) -> RgbdReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError
            when one is missing.
        """
        intrinsics = parameters.pop("intrinsics", None)
        return cls(
            root,
            parameters.pop("layout"),
            parameters.pop("collection"),
            None if intrinsics is None else tuple(intrinsics),
            parameters.pop("depth_unit_m", None),
            parameters.pop("max_time_difference_s", MAX_TIME_DIFFERENCE_S),
        )

    def read(self) -> Scene:
        """The frames of the sequence; raises what `rgbd.read` does."""
        found = rgbd.read(
            self.root,
            self.layout,
            name=self.name,
            intrinsics=self.intrinsics,
            depth_unit_m=self.depth_unit_m,
            max_time_difference_s=self.max_time_difference_s,
        )
        notes = list(found.notes)
        if self.layout == "tum":
            notes.insert(0, "depth maps are registered to the colour camera, whose poses and intrinsics are taken")
            if self.intrinsics in (rgbd.FREIBURG["freiburg1"], rgbd.FREIBURG["freiburg2"]):
                notes.insert(1, "the distortion of the lens is not taken into account")
        return Scene(
            found.frames,
            found.frames,
            found.files,
            {"layout": self.layout, **found.camera.params()},
            tuple(notes),
            (str(self.root), str(self.root)),
            rgbd.hint(self.layout),
        )


def reader(
    root: Path,
    layout: Layout,
    *,
    name: str | None = None,
    intrinsics: Intrinsics | None = None,
    depth_unit_m: float | None = None,
    max_time_difference_s: float | None = None,
) -> RgbdReader:
    """The reader of a folder; the collection is named after it unless `name` is given.

    With the layout ``tum``, the name of the folder tells the intrinsics unless they are given.

    Raises
    ------
    OptionError
        when an option cannot be, or does not go with the layout.
    """
    if max_time_difference_s is None:
        max_time_difference_s = MAX_TIME_DIFFERENCE_S
    elif layout != "tum":
        raise OptionError(f"--max-time-difference is for --layout tum; {layout} matches by name")
    rgbd.check_options(depth_unit_m, max_time_difference_s)
    folder = root.absolute().name
    if layout == "tum" and intrinsics is None:
        intrinsics = rgbd.freiburg(folder)
    return RgbdReader(root, layout, name or folder or "rgbd", intrinsics, depth_unit_m, max_time_difference_s)
