"""Any RGB-D sequence with poses, in one folder of a known layout.

    tum        depth.txt (stamp, file), groundtruth.txt (stamp tx ty tz qx qy qz qw), depth/*.png, rgb.txt
    scannet    depth/<n>.png, pose/<n>.txt, intrinsic/intrinsic_depth.txt, color/<n>.jpg
    folder     depth/<name>.png, pose/<name>.txt, intrinsics.txt, color/<name>.{png,jpg}

Poses lead from the camera to the world, in metres. TUM's depth maps are registered to its colour camera, whose poses
and intrinsics theirs therefore are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets import rgbd_frames, trajectory_formats
from relabel.datasets.base import FrameSets
from relabel.datasets.image_lists import IMAGE_SUFFIXES
from relabel.datasets.listing import children, existing_file
from relabel.datasets.matrix_files import Intrinsics, read_intrinsics, read_poses
from relabel.datasets.rgbd.spec import MAX_TIME_DIFFERENCE_S, Layout
from relabel.datasets.rgbd_frames import DepthCamera, FrameFiles, natural
from relabel.errors import DatasetNotFoundError, InputError, MissingFileError, OptionError
from relabel.frames import Frames
from relabel.keys import spelled_as

UNITS_M: dict[Layout, float] = {"tum": 1.0 / 5000.0, "scannet": 0.001, "folder": 0.001}
# The colour cameras of the TUM benchmark as its file-formats page gives them; 3 is without distortion.
FREIBURG: dict[str, Intrinsics] = {
    "freiburg1": (517.306408, 516.469215, 318.643040, 255.313989),
    "freiburg2": (520.908620, 521.007327, 325.141442, 249.701764),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
}
_FREIBURG = re.compile(r"(?:freiburg|(?<![a-z])fr)([123])(?!\d)", re.IGNORECASE)
_INTRINSICS_FILE = {"scannet": Path("intrinsic", "intrinsic_depth.txt"), "folder": Path("intrinsics.txt")}
_HINTS = {
    "tum": "poses are those of groundtruth.txt that are near enough in time: see --max-time-difference",
    "scannet": "every frame needs depth/<n>.png and pose/<n>.txt",
    "folder": "every frame needs depth/<name>.png and pose/<name>.txt of one name",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class RgbdSequence(FrameSets):
    """The frames of one folder with themselves, in the order of time.

    Their keys are the time stamps of depth.txt, or the names of the files.

    Attributes
    ----------
    camera:
        what the depth maps have in common.
    """

    camera: DepthCamera

    @property
    def frames(self) -> Frames:
        """The frames, which are both queries and database."""
        return self.query


def freiburg(name: str) -> Intrinsics | None:
    """The camera of a sequence of the TUM benchmark, by the name of its folder; None where the name does not say."""
    numbers = {match[1] for match in _FREIBURG.finditer(name)}
    return FREIBURG[f"freiburg{numbers.pop()}"] if len(numbers) == 1 else None


def read(
    root: Path | str,
    layout: Layout,
    *,
    name: str | None = None,
    intrinsics: Intrinsics | None = None,
    depth_unit_m: float | None = None,
    max_time_difference_s: float = MAX_TIME_DIFFERENCE_S,
) -> RgbdSequence:
    """The frames of one sequence.

    Parameters
    ----------
    root:
        the folder of the sequence.
    layout:
        ``tum``, ``scannet`` or ``folder``; see above.
    name:
        what the sequence is called in `extra`; None for the name of its folder.
    intrinsics:
        fx, fy, cx, cy of the depth maps, pixels. None takes them from the data: with ``tum`` by the name of the folder.
    depth_unit_m:
        metres of one step of a stored depth; None for that of the layout: 1/5000 with ``tum``, else 1/1000.
    max_time_difference_s:
        with ``tum``, how far apart the stamps of a depth map and of its pose may be, seconds.

    Raises
    ------
    DatasetNotFoundError, MissingFileError
        when the folder is not laid out like that.
    InputError
        when a file cannot be read; the message names it, and the line.
    OptionError
        when an option cannot be, or intrinsics are neither given nor known.
    """
    root = Path(root)
    unit_m = UNITS_M[layout] if depth_unit_m is None else depth_unit_m
    check_options(unit_m, max_time_difference_s)
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DatasetNotFoundError(f"{root}: {what}; give the folder of one sequence")
    name = root.absolute().name if name is None else name
    if layout == "tum":
        intrinsics = freiburg(root.absolute().name) if intrinsics is None else intrinsics
        if intrinsics is None:
            raise OptionError(
                f"{root}: its name does not tell which camera took it (freiburg1, freiburg2 or freiburg3); give "
                "--intrinsics fx,fy,cx,cy"
            )
        return _tum(root, name, DepthCamera(intrinsics, unit_m), max_time_difference_s)
    return _folder(root, name, layout, intrinsics, unit_m)


def check_options(depth_unit_m: float | None, max_time_difference_s: float = MAX_TIME_DIFFERENCE_S) -> None:
    """Raise an OptionError for a unit of depth or a difference in time that cannot be."""
    if depth_unit_m is not None and not 0.0 < depth_unit_m < math.inf:
        raise OptionError(f"--depth-unit {depth_unit_m:g}: a step of depth is a positive number of metres")
    if not 0.0 <= max_time_difference_s < math.inf:
        raise OptionError(f"--max-time-difference {max_time_difference_s:g}: a difference is at least 0 seconds")


def _folder(root: Path, name: str, layout: Layout, intrinsics: Intrinsics | None, unit_m: float) -> RgbdSequence:
    """Depth maps and poses of one stem; in ScanNet stems are numbers."""
    is_name: Callable[[str], bool] = str.isdecimal if layout == "scannet" else bool
    depth = _by_stem(root, "depth", (".png",), is_name)
    pose = spelled_as(_by_stem(root, "pose", (".txt",), is_name), depth)
    image = spelled_as(_by_stem(root, "color", IMAGE_SUFFIXES, is_name, required=False), depth)
    files: list[Path] = []
    if intrinsics is None:
        path = root / _INTRINSICS_FILE[layout]
        intrinsics = read_intrinsics(path)
        files.append(path)
    stems = sorted(depth.keys() | pose.keys(), key=natural)
    frame_files = [
        FrameFiles(stem, name, rank, depth.get(stem), pose.get(stem), image.get(stem))
        for rank, stem in enumerate(stems)
    ]
    poses = read_poses([frame.pose for frame in frame_files], counts=(16,) if layout == "scannet" else (16, 12))
    camera = DepthCamera(intrinsics, unit_m)
    frames = rgbd_frames.frames_from_files(frame_files, poses, camera)
    files += rgbd_frames.existing_files(frame_files)
    return _with_itself(root, layout, frames, camera, files, rgbd_frames.missing_notes(frame_files, poses))


def _with_itself(
    root: Path, layout: Layout, frames: Frames, camera: DepthCamera, files: Iterable[Path], notes: Iterable[str]
) -> RgbdSequence:
    return RgbdSequence(
        query=frames,
        database=frames,
        files=tuple(files),
        params={"layout": layout, **camera.params()},
        notes=tuple(notes),
        sources=(str(root), str(root)),
        hint=_HINTS[layout],
        camera=camera,
    )


def _by_stem(
    root: Path, folder: str, suffixes: tuple[str, ...], is_name: Callable[[str], bool], *, required: bool = True
) -> dict[str, Path]:
    """The files of a folder with one of the suffixes, by name without it."""
    path = root / folder
    if not path.is_dir():
        if not required:
            return {}
        there = ", ".join([child.name for child in children(root)][:8]) or "nothing"
        raise DatasetNotFoundError(f"{root}: there is no folder {folder} in it ({there}); see --layout")
    files = [child for child in children(path) if child.suffix.lower() in suffixes and is_name(child.stem)]
    by_stem = {child.stem: child for child in files}
    if required and len(by_stem) < len(files):
        twice = next(child for child in files if by_stem[child.stem] is not child)
        raise InputError(f"{twice} and {by_stem[twice.stem].name} have the same name; keep one")
    if required and not by_stem:
        there = ", ".join([child.name for child in children(path)][:5]) or "nothing"
        raise InputError(f"{path}: holds no frame ({there}); expected files such as 000000{suffixes[0]}")
    return by_stem


def _tum(root: Path, name: str, camera: DepthCamera, most_s: float) -> RgbdSequence:
    """Depth maps with the pose that is nearest in time."""
    depth_list, truth = root / "depth.txt", root / "groundtruth.txt"
    for path in (depth_list, truth):
        if not path.exists():
            raise MissingFileError(f"{path}: is not there; a sequence of TUM holds depth.txt and groundtruth.txt")
    stamps, names, times = _list(depth_list)
    track = trajectory_formats.tum(truth)
    if not len(track.key):
        raise InputError(f"{truth}: there is no pose in it")
    pose_rows = nearest(times, track.key.astype(np.float64), most_s)
    pose = np.where((pose_rows >= 0)[:, None, None], track.pose[pose_rows], np.nan)
    images = _images(root, times, most_s)
    order = np.argsort(times, kind="stable")
    frame_files = [
        FrameFiles(stamps[row], name, rank, existing_file(root / names[row]), None, images[row])
        for rank, row in enumerate(order.tolist())
    ]
    pose = pose[order]
    has_pose: list[bool] = (pose_rows[order] >= 0).tolist()
    notes = [
        text.replace("no pose", f"no pose within {most_s:g} s")
        for text in rgbd_frames.missing_notes(frame_files, pose, posed=has_pose)
    ]
    frames = rgbd_frames.frames_from_files(frame_files, pose, camera)
    files = (depth_list, truth, *rgbd_frames.existing_files(frame_files))
    return _with_itself(root, "tum", frames, camera, files, notes)


def nearest(times: FloatArray, among: FloatArray, most: float) -> npt.NDArray[np.int64]:
    """(n,) which of `among` (m,) is nearest to each of `times` (n,), the earlier of two; -1 where it is beyond `most`.

    `among` may be in any order, but not empty.
    """
    order = np.argsort(among, kind="stable")
    ordered = among[order]
    after = np.searchsorted(ordered, times).clip(0, len(ordered) - 1)
    before = (after - 1).clip(0)
    choice = np.where(np.abs(ordered[before] - times) <= np.abs(ordered[after] - times), before, after)
    near = np.abs(ordered[choice] - times) <= most
    return np.where(near, order[choice], -1).astype(np.int64)


def _list(path: Path) -> tuple[list[str], list[str], FloatArray]:
    """Time stamps as written, files, and time stamps as numbers (n,) of a list such as depth.txt."""
    stamps: list[str] = []
    names: list[str] = []
    times: list[float] = []
    lines: list[int] = []
    for line, text in trajectory_formats.text_lines(path, comments=True):
        values = text.split(None, 1)
        try:
            stamp = float(values[0])
        except ValueError:
            stamp = math.nan
        if len(values) != 2 or not math.isfinite(stamp):
            raise InputError(f"{path}: line {line}: {text.strip()[:60]!r}; expected a time stamp and a file")
        stamps.append(values[0])
        names.append(values[1].strip())
        times.append(stamp)
        lines.append(line)
    if not stamps:
        raise InputError(f"{path}: lists no file; expected lines of a time stamp and a file")
    trajectory_formats.check_keys(path, np.array(stamps, dtype=np.str_), lines)
    return stamps, names, np.array(times)


def _images(root: Path, times: FloatArray, most_s: float) -> list[Path | None]:
    """The colour image nearest to each time, which is only for looking at, where there is one."""
    path = root / "rgb.txt"
    if not path.exists():
        return [None] * len(times)
    _, names, among = _list(path)
    return [None if row < 0 else existing_file(root / names[row]) for row in nearest(times, among, most_s).tolist()]


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
        """The name of the collection, the layout, and what the options or the folder's name say about the sequence."""
        values: dict[str, Any] = {"collection": self.name, "layout": self.layout}
        if self.intrinsics is not None:
            values["intrinsics"] = list(self.intrinsics)
        if self.depth_unit_m is not None:
            values["depth_unit_m"] = float(self.depth_unit_m)
        if self.layout == "tum":
            values["max_time_difference_s"] = float(self.max_time_difference_s)
        return values

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> RgbdReader:
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

    def read(self) -> RgbdSequence:
        """The frames of the sequence; raises what `read` does."""
        sequence = read(
            self.root,
            self.layout,
            name=self.name,
            intrinsics=self.intrinsics,
            depth_unit_m=self.depth_unit_m,
            max_time_difference_s=self.max_time_difference_s,
        )
        return replace(sequence, notes=(*self._camera_notes(), *sequence.notes))

    def _camera_notes(self) -> list[str]:
        """What the user should know about the camera, whatever the frames are."""
        if self.layout != "tum":
            return []
        notes = ["depth maps are registered to the colour camera, whose poses and intrinsics are taken"]
        if self.intrinsics in (FREIBURG["freiburg1"], FREIBURG["freiburg2"]):
            notes.append("the distortion of the lens is not taken into account")
        return notes


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

    With the layout ``tum``, the intrinsics follow from the name of the folder unless they are given.

    Raises
    ------
    OptionError
        when an option cannot be, or does not go with the layout.
    """
    if max_time_difference_s is None:
        max_time_difference_s = MAX_TIME_DIFFERENCE_S
    elif layout != "tum":
        raise OptionError(f"--max-time-difference is for --layout tum; {layout} matches by name")
    check_options(depth_unit_m, max_time_difference_s)
    folder = root.absolute().name
    if layout == "tum" and intrinsics is None:
        intrinsics = freiburg(folder)
    return RgbdReader(root, layout, name or folder or "rgbd", intrinsics, depth_unit_m, max_time_difference_s)
