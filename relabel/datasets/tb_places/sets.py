"""TB-Places: sets of garden images with poses, `<set>.json`.

    im_prefix    folder of the images
    im_paths     [n] images
    poses        (n, 7): tx ty tz qx qy qz qw

The dataset does not say which axis of a pose looks ahead, which axis of its world is up, nor whether a pose leads
from the camera to the world or back. All of these are options, and only the last has a default. The dataset comes
without depth maps.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from relabel.cameras import FloatArray
from relabel.datasets import rgbd_frames
from relabel.datasets.base import CameraSets, FrameSets, common_root, is_inside, named_parts, relative_path
from relabel.datasets.conventions import Direction, Quaternion
from relabel.datasets.listing import children, existing_file
from relabel.datasets.matrix_files import Intrinsics
from relabel.datasets.pose_convention import PoseAxes, parse_axes
from relabel.datasets.registry import ReaderSelection
from relabel.datasets.rgbd_frames import DepthCamera, FrameFiles
from relabel.datasets.trajectory import axis, cameras_of
from relabel.datasets.trajectory_formats import Track, check_unique, inverse_poses, quaternion_poses
from relabel.errors import DatasetNotFoundError, InputError, OptionError
from relabel.fixed_width import text_array
from relabel.frames import DepthIs
from relabel.input_files import check_regular

_FIELDS = ("im_paths", "poses")
REMEDIES = {"depth-axes": "set --axes", "depth-focal": "set --intrinsics"}
"""Remedies for findings of the audit, by code, if this command lacks an option that others have."""


@dataclass(frozen=True, eq=False)
class PoseSet:
    """One set: its images, and their poses as camera-to-world.

    Attributes
    ----------
    track:
        keys are the paths of the images as written.
    prefix:
        `im_prefix`, perhaps empty.
    """

    track: Track
    prefix: str

    def frame_files(self, root: Path, depth: Path) -> list[FrameFiles]:
        """Each image with its depth map, a PNG of the same path in `depth`, and the image itself below `root`."""
        paths = [PurePosixPath(name.lstrip("/")) for name in self.track.key.tolist()]
        prefix = self.prefix.strip("/")
        ranks: dict[str, int] = {}
        frame_files = []
        for name, path in zip(self.track.key.tolist(), paths, strict=True):
            sequence = path.parent.as_posix()
            ranks[sequence] = ranks.get(sequence, -1) + 1
            candidates = (path, PurePosixPath(prefix) / path)
            maps = [depth / candidate.with_suffix(".png") for candidate in candidates]
            images = [root / candidate for candidate in candidates]
            frame_files.append(FrameFiles(name, sequence, ranks[sequence], _first(maps), None, _first(images)))
        return frame_files


def find(root: Path | str) -> tuple[dict[str, Path], tuple[Path, ...]]:
    """The sets of a folder and of the folders right below it by name, sorted; and JSON files that are not sets.

    Raises
    ------
    DatasetNotFoundError
        if there is no set.
    InputError
        if two files are the same set, or a file is not JSON.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DatasetNotFoundError(f"{root}: {what}; give the folder that holds <set>.json")
    sets: dict[str, Path] = {}
    others: list[Path] = []
    for path in _json_files(root):
        content = _load(path)
        if not (isinstance(content, dict) and all(name in content for name in _FIELDS)):
            others.append(path)
        elif path.stem in sets:
            raise InputError(f"{sets[path.stem]} and {path} are both the set {path.stem}; keep only one under {root}")
        else:
            sets[path.stem] = path
    if not sets:
        why = f"; {others[0]} has no {' and '.join(_FIELDS)}" if others else ""
        raise DatasetNotFoundError(f"{root}: holds no <set>.json with im_paths and poses{why}")
    return sets, tuple(others)


def _json_files(root: Path) -> list[Path]:
    """The JSON files in a folder and in its folders, as far as these can be listed."""
    paths: list[Path] = []
    for folder in (root, *(child for child in children(root) if child.is_dir())):
        with suppress(PermissionError):
            paths += [child for child in children(folder) if child.suffix == ".json"]
    return sorted(paths)


def select(root: Path | str, sets: str | None = None) -> tuple[dict[str, Path], tuple[Path, ...]]:
    """The sets to label by name, and JSON files that are not sets.

    Parameters
    ----------
    root:
        as for `find`.
    sets:
        names separated by commas; None for all sets.

    Raises
    ------
    DatasetNotFoundError, InputError
        as for `find`.
    NotFoundError
        when a named set does not exist; the message lists those that exist.
    OptionError
        when `sets` names nothing.
    """
    available, others = find(root)
    if sets is None:
        return available, others
    return named_parts(available, sets, root, option="--sets", noun="set"), ()


def read(
    path: Path,
    *,
    quaternion: Quaternion = "xyzw",
    direction: Direction = "camera-to-world",
    axes: PoseAxes | None = None,
) -> PoseSet:
    """One set.

    Parameters
    ----------
    path:
        the JSON file.
    quaternion:
        the order of the last four numbers of a pose.
    direction:
        the direction of a stored pose: camera-to-world or the inverse.
    axes:
        with them, the poses of the result are those of a camera that looks along z, with x right and y down; without
        them, they keep their own axes.

    Raises
    ------
    InputError
        when the file is not such a set; the message names the row, counted from 0.
    OptionError
        when `axes` do not say which axis is down.
    """
    content = _load(path)
    if not isinstance(content, dict) or any(not isinstance(content.get(name), list) for name in _FIELDS):
        raise InputError(f"{path}: holds no lists im_paths and poses; it is not a set of TB-Places")
    names, rows = content["im_paths"], content["poses"]
    if not names:
        raise InputError(f"{path}: im_paths is empty; there is nothing to label")
    if len(names) != len(rows):
        raise InputError(
            f"{path}: im_paths has {len(names):,} entries, poses {len(rows):,}; expected one pose per image"
        )
    for row, name in enumerate(names):
        if not _is_path(name):
            raise InputError(f"{path}: im_paths[{row}] is {name!r}, not the path of an image")
    check_unique(text_array(names), lambda row: f"{path}: im_paths[{row}]", lambda row: f"im_paths[{row}]")
    table = _poses(path, rows)
    wxyz = table[:, [6, 3, 4, 5]] if quaternion == "xyzw" else table[:, 3:]
    pose = quaternion_poses(table[:, :3], wxyz, lambda row: f"{path}: poses[{row}]")
    if direction == "world-to-camera":
        pose = inverse_poses(pose)
    if axes is not None:
        if axes.camera is None:
            raise OptionError(f"--axes {axes}: does not state which axis of a pose points down; add down=y, or another")
        pose[:, :3, :3] = pose[:, :3, :3] @ np.column_stack([axis(name) for name in axes.camera])
    prefix = content.get("im_prefix") or ""
    return PoseSet(Track(text_array(names), pose), prefix if isinstance(prefix, str) else "")


def _poses(path: Path, rows: list[Any]) -> FloatArray:
    for row, values in enumerate(rows):
        good = isinstance(values, list) and len(values) == 7
        if not good or any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
            raise InputError(f"{path}: poses[{row}] is {str(values)[:60]}, not 7 numbers: tx ty tz and a quaternion")
    try:
        return np.array(rows, dtype=np.float64)
    except OverflowError:
        raise InputError(f"{path}: poses holds a whole number that is too large; they are in metres") from None


def _is_path(name: object) -> bool:
    """Whether it names a file, with characters that can be encoded."""
    try:
        return isinstance(name, str) and PurePosixPath(name).name != "" and name.encode() != b""
    except UnicodeEncodeError:
        return False


def _load(path: Path) -> Any:
    check_regular(path)
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno}: is not JSON ({error.msg}); copy it again") from None
    except (ValueError, RecursionError):  # not UTF-8, or a number with thousands of digits
        raise InputError(f"{path}: is not JSON; copy it again, or move it away") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check that it is there and readable") from None


def _first(paths: list[Path]) -> Path | None:
    return next((there for path in paths if (there := existing_file(path)) is not None), None)


@dataclass(frozen=True)
class _Poses:
    """One set with itself, and what the options say about its poses."""

    path: Path
    """the JSON file"""
    name: str
    root: Path
    axes: PoseAxes
    quaternion: Quaternion = "xyzw"
    direction: Direction = "camera-to-world"

    def conventions(self) -> dict[str, Any]:
        """The conventions of the poses, as stated by the options."""
        return {"axes": str(self.axes), "quaternion": self.quaternion, "poses": self.direction}

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, its file, and what the options say about its poses."""
        return {"collection": self.name, "set": relative_path(self.path, self.root), **self.conventions()}

    @staticmethod
    def recorded_fields(parameters: dict[str, Any], root: Path) -> dict[str, Any]:
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
        """A note on how the poses were read."""
        return (
            f"poses are read as {self.direction} in metres, quaternions as {self.quaternion}, axes as {self.axes}: "
            "these come from the options, since the dataset does not state them"
        )


@dataclass(frozen=True)
class TbCameraReader(_Poses):
    """A set of TB-Places, to be labelled by fields of view."""

    command = "relabel tb-places"

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> TbCameraReader:
        """The reader of these parameters, which are taken out of the dictionary; KeyError when one is missing."""
        return cls(**cls.recorded_fields(parameters, root))

    def read(self) -> CameraSets:
        """The cameras of the set, on the ground.

        Raises
        ------
        InputError, OptionError
            when the file is not such a set, or the axes do not say which is up.
        """
        ground = self.axes.ground
        pose_set = read(self.path, quaternion=self.quaternion, direction=self.direction)
        cameras, notes = cameras_of(pose_set.track, ground, self.axes.camera)
        return CameraSets(
            query=cameras,
            database=cameras,
            files=(self.path,),
            params={"heading": f"axis {ground.ahead} of the poses", **self.conventions()},
            notes=("there are no depth maps (--depth), so these are overlaps of fields of view", self.note(), *notes),
            sources=(str(self.path), str(self.path)),
            hint="see --axes: the viewing axis must not point straight up or down",
        )


@dataclass(frozen=True)
class TbFrameReader(_Poses):
    """A set of TB-Places with depth maps, to be labelled by surface."""

    depth: Path = Path()
    """the folder of the depth maps"""
    intrinsics: Intrinsics = (0.0, 0.0, 0.0, 0.0)
    depth_unit_m: float = 0.001
    depth_is: DepthIs = "z"
    command = "relabel tb-places"

    def parameters(self) -> dict[str, Any]:
        """Those of the poses, and what the options say about the depth maps."""
        return {
            **super().parameters(),
            "depth": relative_path(self.depth, self.root),
            "intrinsics": list(self.intrinsics),
            "depth_unit_m": float(self.depth_unit_m),
            **({"depth_is": self.depth_is} if self.depth_is != "z" else {}),
        }

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> TbFrameReader:
        """The reader of these parameters, which are taken out of the dictionary; KeyError when one is missing."""
        return cls(
            **cls.recorded_fields(parameters, root),
            depth=root / parameters.pop("depth"),
            intrinsics=tuple(parameters.pop("intrinsics")),
            depth_unit_m=parameters.pop("depth_unit_m"),
            depth_is=parameters.pop("depth_is", "z"),
        )

    def read(self) -> FrameSets:
        """The frames of the set.

        Raises
        ------
        InputError, OptionError
            when the file is not such a set, or the axes do not say which is down.
        """
        pose_set = read(self.path, quaternion=self.quaternion, direction=self.direction, axes=self.axes)
        frame_files = pose_set.frame_files(self.path.parent, self.depth)
        camera = DepthCamera(self.intrinsics, self.depth_unit_m, depth_is=self.depth_is)
        frames = rgbd_frames.frames_from_files(frame_files, pose_set.track.pose, camera)
        notes = rgbd_frames.missing_notes(frame_files, pose_set.track.pose, posed=[True] * len(frame_files))
        first = frame_files[0].key
        return FrameSets(
            doubts=rgbd_frames.principal_point_doubts(frame_files, frames.intrinsics),
            remedies=REMEDIES,
            query=frames,
            database=frames,
            files=(self.path, *rgbd_frames.existing_files(frame_files)),
            params={**self.conventions(), **camera.params()},
            notes=(
                self.note(),
                *notes,
                *rgbd_frames.turned_image_notes(frame_files),
            ),
            sources=(str(self.path), str(self.path)),
            hint=f"the depth map of {first} would be {self.depth / Path(first).with_suffix('.png')}",
        )


def readers(
    root: Path,
    *,
    axes: str | None,
    sets: str | None = None,
    quaternion: Quaternion = "xyzw",
    direction: Direction = "camera-to-world",
) -> ReaderSelection:
    """A reader of each set for labels by fields of view, and a line for each JSON file that is not a set.

    Raises
    ------
    OptionError
        when the axes are not given, or do not say which ones are ahead and up.
    DatasetNotFoundError, InputError, NotFoundError
        as for `tb_places.select`.
    """
    pose_axes = _axes(axes, "ahead=z,up=z", "the viewing axis of a pose and the up axis of the world")
    pose_axes.ground  # noqa: B018  says what is missing
    selected, others = select(root, sets)
    return ReaderSelection(
        [TbCameraReader(path, name, root, pose_axes, quaternion, direction) for name, path in selected.items()],
        _skipped(others),
    )


def depth_readers(
    root: Path,
    depth: Path,
    *,
    axes: str | None,
    intrinsics: Intrinsics | None,
    depth_unit_m: float | None,
    depth_is: DepthIs = "z",
    sets: str | None = None,
    quaternion: Quaternion = "xyzw",
    direction: Direction = "camera-to-world",
) -> ReaderSelection:
    """A reader of each set for labels by surface, and a line for each JSON file that is no set; raises as `readers`."""
    if intrinsics is None or depth_unit_m is None:
        missing = "--intrinsics fx,fy,cx,cy" if intrinsics is None else "--depth-unit"
        raise OptionError(f"--depth needs {missing}; TB-Places itself has no depth maps and does not state it")
    if not 0.0 < depth_unit_m < float("inf"):
        raise OptionError(f"--depth-unit {depth_unit_m:g}: a depth unit has to be a positive number of metres")
    pose_axes = _axes(axes, "ahead=z,down=y", "which axes of a pose point ahead and down")
    if pose_axes.down is None:
        raise OptionError(
            f"--axes {pose_axes}: does not state which axis of a pose points down; add down=y, or another"
        )
    if not depth.is_dir():
        what = "is a file, not a folder" if depth.exists() else "does not exist"
        raise DatasetNotFoundError(f"{depth}: {what}; give the folder of the depth maps")
    selected, others = select(root, sets)
    top = root if is_inside(depth, root) else common_root([root, depth])
    return ReaderSelection(
        [
            TbFrameReader(path, name, top, pose_axes, quaternion, direction, depth, intrinsics, depth_unit_m, depth_is)
            for name, path in selected.items()
        ],
        _skipped(others),
    )


def _skipped(others: Iterable[Path]) -> list[str]:
    return [f"{path}: skipped: has no im_paths and poses" for path in others]


def _axes(text: str | None, example: str, what: str) -> PoseAxes:
    if text is None:
        raise OptionError(f"TB-Places does not state {what}; set it with --axes, for example --axes {example}")
    return parse_axes(text)
