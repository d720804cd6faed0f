"""Sequences whose depth maps, poses and images are joined by name, in the layouts that are in use.

    depth/NAME.png  pose/NAME.txt  color/NAME.jpg               ScanNet, and plain folders
    depth/NAME.depth.png  poses/NAME.pose.txt  rgb/NAME.color.png  calibration/NAME.calibration.txt      ACE, DSAC*
    NAME.depth.png  NAME.pose.txt  NAME.color.jpg               12Scenes, BundleFusion, exported .sens files
    results/depth000000.png  results/frame000000.jpg  traj.txt  Replica as NICE-SLAM rendered it
    depth/NAME.png  poses.txt or [scene/]trajectory.log         all poses in one file: Redwood, Open3D

Each may be in a folder ``data`` or ``exported`` below that of the sequence. Names that differ are joined by number,
see `relabel.datasets.rgbd.frame_names`. Poses lead from the camera to the world, in metres. For the sources of
intrinsics see `relabel.datasets.rgbd.intrinsics_files`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from relabel.datasets import rgbd_frames
from relabel.datasets.conventions import Quaternion
from relabel.datasets.image_lists import IMAGE_SUFFIXES
from relabel.datasets.listing import children
from relabel.datasets.matrix_files import Intrinsics, read_poses
from relabel.datasets.rgbd import intrinsics_files, pose_lists
from relabel.datasets.rgbd.frame_names import joined
from relabel.datasets.rgbd.intrinsics_files import Calibrations
from relabel.datasets.rgbd.sequence_files import SequenceFiles
from relabel.datasets.rgbd_frames import FrameFiles, natural
from relabel.errors import DatasetNotFoundError, InputError, OptionError
from relabel.frames import DepthIs

_BELOW = ("", "data", "exported", "results")
_SEQUENCE = re.compile(r"(.+?)[-_]frame-\d+")
_SCANNET = re.compile(r"(?:frame-)?\d+")
_SHOWN = 8


class _Kind(NamedTuple):
    """How files of one kind are recognised by their names."""

    folders: tuple[str, ...]
    """folders that hold nothing else"""
    mark: str
    """ending before the suffix: required if the folder holds other files, otherwise optional"""
    suffixes: tuple[str, ...]
    word: str | None = None
    """prefix of a number, as an alternative"""

    def name(self, path: Path, *, alone: bool) -> str | None:
        """The name of the frame of a file; None if the file is of another kind.

        `alone` says whether the folder holds files of this kind only.
        """
        if path.suffix.lower() not in self.suffixes:
            return None
        name = path.stem.removesuffix(self.mark)
        if alone or name != path.stem:
            return name
        number = name.removeprefix(self.word) if self.word is not None and name.startswith(self.word) else ""
        return number if number.isdecimal() else None


_DEPTH = _Kind(("depth",), ".depth", (".png", ".pgm"), "depth")
_POSE = _Kind(("pose", "poses"), ".pose", (".txt",))
_IMAGE = _Kind(("color", "rgb", "image"), ".color", IMAGE_SUFFIXES, "frame")
_CALIBRATION = _Kind(("calibration",), ".calibration", (".txt",))


def read(
    root: Path,
    name: str,
    *,
    scannet: bool,
    intrinsics: Intrinsics | None = None,
    unit_m: float | None = None,
    depth_is: DepthIs = "z",
    quaternion: Quaternion = "xyzw",
) -> SequenceFiles:
    """The sequence of a folder.

    Parameters
    ----------
    root:
        the folder.
    name:
        the name of the sequence. Names such as ``seq-01-frame-000000`` include the name of their sequence.
    scannet:
        whether only numbers, with or without ``frame-`` before them, are names of frames.
    intrinsics, unit_m:
        None for those of the data, or millimetres.
    depth_is:
        what a stored depth is, see `relabel.frames.Frames`.
    quaternion:
        the order of quaternions, which only a list of poses may have.

    Raises
    ------
    DatasetNotFoundError, MissingFileError
        when the folder is not laid out like that.
    InputError
        when a file cannot be read; the message names it, and the line.
    OptionError
        when calibrations are of images of another size than the depth maps have.
    """
    is_name: Callable[[str], bool] = (lambda stem: _SCANNET.fullmatch(stem) is not None) if scannet else bool
    base = _base(root)
    depth = _by_name(base, _DEPTH, is_name)
    if not depth:
        folder = base / (_folder(base, _DEPTH) or "")
        raise InputError(f"{folder}: holds no frame ({_listed(folder, 5)}); expected files such as 000000.png")
    pose, poses_joined = joined(_by_name(base, _POSE, is_name), depth, "poses", str(base))
    image, images_joined = joined(_by_name(base, _IMAGE, is_name), depth, "images", str(base))
    names = sorted(depth.keys() | pose.keys(), key=natural)
    frames = _frames(names, name, depth, pose, image)
    notes = [note for note in (_unread_folders(base, _POSE), poses_joined, images_joined) if note]
    lists: list[Path] = []
    posed = None
    if pose:
        if quaternion != "xyzw":
            raise OptionError(f"--quaternion {quaternion}: the poses of {base} are matrices; omit the option")
        poses = read_poses([frame.pose for frame in frames], counts=(16,) if scannet else (16, 12))
    else:
        pose_files = pose_lists.find(dict.fromkeys((base, root, root / "scene")))
        if not pose_files:
            raise _no_pose(base)
        path, *unread = pose_files
        if unread:
            notes.append(f"{path.name} is read instead of {', '.join(other.name for other in unread)}")
        listed = pose_lists.read(path, names, quaternion)
        poses, posed = listed.poses, listed.has_pose.tolist()
        notes += listed.notes
        lists.append(path)
    calibration = {} if intrinsics is not None else _by_name(base, _CALIBRATION, is_name)
    calibrations = Calibrations(
        joined(calibration, names, "calibrations", str(base))[0],
        next(iter(depth.values())),
        next(iter(image.values()), None),
    )
    described = intrinsics_files.describe(
        list(dict.fromkeys((base, root))),
        calibrations,
        names,
        intrinsics=intrinsics,
        unit_m=unit_m,
        depth_is=depth_is,
    )
    if described is None:
        raise intrinsics_files.missing(root, scannet=scannet)
    return SequenceFiles(
        frames,
        poses,
        described.camera,
        described.of_frames,
        (*described.files, *lists),
        (*notes, *described.notes, *rgbd_frames.missing_notes(frames, poses, posed=posed)),
    )


def _frames(
    names: Sequence[str], sequence: str, depth: Mapping[str, Path], pose: Mapping[str, Path], image: Mapping[str, Path]
) -> list[FrameFiles]:
    """The files of the frames with these names, each with its rank in its sequence."""
    ranks: dict[str, int] = {}
    frames = []
    for name in names:
        match = _SEQUENCE.fullmatch(name)
        own = match[1] if match else sequence
        ranks[own] = ranks.get(own, -1) + 1
        frames.append(FrameFiles(name, own, ranks[own], depth.get(name), pose.get(name), image.get(name)))
    return frames


def _base(root: Path) -> Path:
    """The folder with the depth maps: that of the sequence, or one in it."""
    for base in (root / below for below in _BELOW):
        if base.is_dir() and _has_depth(base):
            return base
    parts = [path.name for path in children(root) if path.is_dir() and _has_depth(path)]
    advice = f"give one of the folders {', '.join(parts[:_SHOWN])} in it, which have" if parts else "see --layout"
    raise DatasetNotFoundError(
        f"{root}: there is no folder depth in it, and no NAME.depth.png ({_listed(root, _SHOWN)}); {advice}"
    )


def _has_depth(base: Path) -> bool:
    return _folder(base, _DEPTH) is not None or bool(_by_name(base, _DEPTH, bool))


def _no_pose(base: Path) -> DatasetNotFoundError | InputError:
    folder = _folder(base, _POSE)
    if folder is not None:
        return InputError(
            f"{base / folder}: holds no frame ({_listed(base / folder, 5)}); expected files such as 000000.txt"
        )
    return DatasetNotFoundError(
        f"{base}: there is no folder pose in it, no NAME.pose.txt, and no file of all poses "
        f"({', '.join(pose_lists.NAMES)}); it holds {_listed(base, _SHOWN)}; see --layout"
    )


def _folder(base: Path, kind: _Kind) -> str | None:
    """The folder in `base` that holds only files of one kind."""
    return next((name for name in kind.folders if (base / name).is_dir()), None)


def _unread_folders(base: Path, kind: _Kind) -> str:
    """A note on folders of one kind besides the one that is read; empty if there are none."""
    first, *others = [name for name in kind.folders if (base / name).is_dir()] or [""]
    return f"{first}/ is read instead of {', '.join(f'{name}/' for name in others)}" if others else ""


def _by_name(base: Path, kind: _Kind, is_name: Callable[[str], bool]) -> dict[str, Path]:
    """The files of one kind by the names of their frames; two with one name are an InputError, unless images."""
    folder = _folder(base, kind)
    files: dict[str, Path] = {}
    for path in children(base / (folder or "")):
        name = kind.name(path, alone=folder is not None)
        if name is None or not is_name(name):
            continue
        if name in files and kind is not _IMAGE:
            raise InputError(f"{path} and {files[name].name} have the same name; keep one")
        files[name] = path
    return files


def _listed(folder: Path, most: int) -> str:
    return ", ".join(path.name for path in children(folder)[:most]) or "nothing"
