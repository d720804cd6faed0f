"""Sets of TB-Places as readers: of frames where there are depth maps, else of a street, from the poses alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relabel.cameras import Cameras
from relabel.datasets import shots, tb_places
from relabel.datasets.pose_files import Intrinsics
from relabel.datasets.poses import cameras_of
from relabel.datasets.roots import common_root, lies_in, told_from
from relabel.datasets.scene import Scene
from relabel.datasets.shots import DepthCamera
from relabel.datasets.street import Street
from relabel.datasets.tb_places import Direction, PoseAxes, Quaternion, parse_axes
from relabel.errors import DatasetNotFoundError, OptionError


@dataclass(frozen=True)
class _Poses:
    """One set with itself, and what was said about its poses."""

    path: Path
    """the JSON file"""
    name: str
    root: Path
    axes: PoseAxes
    quaternion: Quaternion = "xyzw"
    direction: Direction = "camera-to-world"

    def told(self) -> dict[str, Any]:
        """What was said about the poses."""
        return {"axes": str(self.axes), "quaternion": self.quaternion, "poses": self.direction}

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, its file, and what was said about its poses."""
        return {"collection": self.name, "set": told_from(self.path, self.root), **self.told()}

    @staticmethod
    def taken(parameters: dict[str, Any], root: Path) -> dict[str, Any]:
        """The fields of the parameters, which are taken out of the dictionary."""
        return {
            "path": root / parameters.pop("set"),
            "name": parameters.pop("collection"),
            "root": root,
            "axes": parse_axes(parameters.pop("axes")),
            "quaternion": parameters.pop("quaternion"),
            "direction": parameters.pop("poses"),
        }

    def note(self) -> str:
        """How the poses were taken."""
        return (
            f"poses are taken as {self.direction} in metres, quaternions as {self.quaternion}, axes as {self.axes}: "
            "the data set does not tell, the options do"
        )


@dataclass(frozen=True)
class TbStreetReader(_Poses):
    """A set of TB-Places, to be labelled by fields of view."""

    command = "relabel tb-places"

    @classmethod
    def of_parameters(cls, parameters: dict[str, Any], root: Path) -> TbStreetReader:
        """The reader of these parameters, which are taken out of the dictionary; KeyError when one is missing."""
        return cls(**cls.taken(parameters, root))

    def read(self) -> Street:
        """The cameras of the set, on the ground.

        Raises
        ------
        InputError, OptionError
            when the file is no such set, or the axes do not tell what is up.
        """
        ground = self.axes.ground
        found = tb_places.read(self.path, quaternion=self.quaternion, direction=self.direction)
        cameras, notes = cameras_of(found.track, ground, self.axes.camera)
        labelled: Cameras = cameras
        return Street(
            labelled,
            labelled,
            (self.path,),
            {"heading": f"axis {ground.ahead} of the poses", **self.told()},
            ("there are no depth maps (--depth), so these are overlaps of fields of view", self.note(), *notes),
            (str(self.path), str(self.path)),
            "see --axes: the axis ahead must not look straight up or down",
        )


@dataclass(frozen=True)
class TbPlacesReader(_Poses):
    """A set of TB-Places with depth maps, to be labelled by surface."""

    depth: Path = Path()
    """the folder of the depth maps"""
    intrinsics: Intrinsics = (0.0, 0.0, 0.0, 0.0)
    depth_unit_m: float = 0.001
    command = "relabel tb-places"

    def parameters(self) -> dict[str, Any]:
        """Those of the poses, and what was said about the depth maps."""
        return {
            **super().parameters(),
            "depth": told_from(self.depth, self.root),
            "intrinsics": list(self.intrinsics),
            "depth_unit_m": float(self.depth_unit_m),
        }

    @classmethod
    def of_parameters(cls, parameters: dict[str, Any], root: Path) -> TbPlacesReader:
        """The reader of these parameters, which are taken out of the dictionary; KeyError when one is missing."""
        return cls(
            **cls.taken(parameters, root),
            depth=root / parameters.pop("depth"),
            intrinsics=tuple(parameters.pop("intrinsics")),
            depth_unit_m=parameters.pop("depth_unit_m"),
        )

    def read(self) -> Scene:
        """The frames of the set.

        Raises
        ------
        InputError, OptionError
            when the file is no such set, or the axes do not tell what is down.
        """
        found = tb_places.read(self.path, quaternion=self.quaternion, direction=self.direction, axes=self.axes)
        pictures = found.shots(self.path.parent, self.depth)
        camera = DepthCamera(self.intrinsics, self.depth_unit_m)
        frames = shots.frames_of(pictures, found.track.pose, camera)
        notes = shots.gaps(pictures, found.track.pose, posed=[True] * len(pictures))
        return Scene(
            frames,
            frames,
            (self.path, *shots.files_of(pictures)),
            {**self.told(), **camera.params()},
            (self.note(), *notes),
            (str(self.path), str(self.path)),
            f"the depth map of {pictures[0].key} would be {self.depth / Path(pictures[0].key).with_suffix('.png')}",
        )


def readers(
    root: Path,
    *,
    axes: str | None,
    sets: str | None = None,
    quaternion: Quaternion = "xyzw",
    direction: Direction = "camera-to-world",
) -> tuple[tuple[TbStreetReader, ...], tuple[Path, ...]]:
    """A reader of each set for labels by fields of view, and JSON files that are no set.

    Raises
    ------
    OptionError
        when the axes are not given, or do not tell which are ahead and up.
    DatasetNotFoundError, InputError, NotFoundError
        as for `tb_places.select`.
    """
    chosen = _axes(axes, "ahead=z,up=z", "which axis of a pose looks ahead and which axis of the world is up")
    chosen.ground  # noqa: B018  says what is missing
    found, others = tb_places.select(root, sets)
    return tuple(
        TbStreetReader(path, name, root, chosen, quaternion, direction) for name, path in found.items()
    ), others


def depth_readers(
    root: Path,
    depth: Path,
    *,
    axes: str | None,
    intrinsics: Intrinsics | None,
    depth_unit_m: float | None,
    sets: str | None = None,
    quaternion: Quaternion = "xyzw",
    direction: Direction = "camera-to-world",
) -> tuple[tuple[TbPlacesReader, ...], tuple[Path, ...]]:
    """A reader of each set for labels by surface, and JSON files that are no set; raises as `readers` does."""
    if intrinsics is None or depth_unit_m is None:
        missing = "--intrinsics fx,fy,cx,cy" if intrinsics is None else "--depth-unit"
        raise OptionError(f"--depth needs {missing}; TB-Places itself has no depth maps and does not tell")
    if not 0.0 < depth_unit_m < float("inf"):
        raise OptionError(f"--depth-unit {depth_unit_m:g}: a step of depth is a positive number of metres")
    chosen = _axes(axes, "ahead=z,down=y", "which axes of a pose look ahead and down")
    if chosen.down is None:
        raise OptionError(f"--axes {chosen}: does not tell which axis of a pose points down; add down=y, or another")
    if not depth.is_dir():
        what = "is a file, not a folder" if depth.exists() else "does not exist"
        raise DatasetNotFoundError(f"{depth}: {what}; give the folder of the depth maps")
    found, others = tb_places.select(root, sets)
    whole = root if lies_in(depth, root) else common_root([root, depth])
    made: Sequence[TbPlacesReader] = [
        TbPlacesReader(path, name, whole, chosen, quaternion, direction, depth, intrinsics, depth_unit_m)
        for name, path in found.items()
    ]
    return tuple(made), others


def _axes(text: str | None, example: str, what: str) -> PoseAxes:
    if text is None:
        raise OptionError(f"TB-Places does not tell {what}; say it with --axes, for example --axes {example}")
    return parse_axes(text)
