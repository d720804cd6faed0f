"""Sequences of the TUM benchmark, and others with the same layout.

    depth.txt          stamp, file         or aligned_depth.txt, or associations.txt: stamp, file, stamp, file
    groundtruth.txt    stamp tx ty tz qx qy qz qw
    rgb.txt            stamp, file for display only

Depth maps are registered to the colour camera, whose poses and intrinsics they therefore have. A depth map has the
pose that is nearest in time. Of entries with the same time stamp, the first one counts: fast trackers repeat some.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets import rgbd_frames, trajectory_formats
from relabel.datasets.conventions import Quaternion
from relabel.datasets.listing import existing_file
from relabel.datasets.matrix_files import Intrinsics
from relabel.datasets.rgbd.sequence_files import SequenceFiles
from relabel.datasets.rgbd_frames import DepthCamera, FrameFiles
from relabel.errors import InputError, MissingFileError, OptionError

UNIT_M = 1.0 / 5000.0
"""One step of a stored depth in the benchmark itself."""
# The colour cameras of the TUM benchmark as its file-formats page gives them; 3 is without distortion.
FREIBURG: dict[str, Intrinsics] = {
    "freiburg1": (517.306408, 516.469215, 318.643040, 255.313989),
    "freiburg2": (520.908620, 521.007327, 325.141442, 249.701764),
    "freiburg3": (535.4, 539.2, 320.1, 247.6),
}
_FREIBURG = re.compile(r"(?:freiburg|(?<![a-z])fr)([123])(?!\d)", re.IGNORECASE)
# Where the depth maps are listed; of several lists the first. OpenLORIS has its unregistered ones in depth.txt.
_DEPTH_LISTS = ("aligned_depth.txt", "depth.txt")
_ASSOCIATIONS = ("associations.txt", "association.txt", "associate.txt")


def freiburg(name: str) -> Intrinsics | None:
    """The camera of a sequence of the TUM benchmark, by the name of its folder; None if the name does not tell."""
    numbers = {match[1] for match in _FREIBURG.finditer(name)}
    return FREIBURG[f"freiburg{numbers.pop()}"] if len(numbers) == 1 else None


def camera_of(folder: Path, intrinsics: Intrinsics | None, unit_m: float | None) -> tuple[Intrinsics, float]:
    """The intrinsics and the unit of depth from the options, otherwise by the name of the folder.

    Raises
    ------
    OptionError
        when one is neither given nor in the data.
    """
    name = folder.absolute().name
    own = freiburg(name)
    if intrinsics is None and own is None:
        raise OptionError(
            f"{folder}: its name does not show which camera recorded it (freiburg1, freiburg2 or freiburg3); give "
            "--intrinsics fx,fy,cx,cy"
        )
    if unit_m is None and own is None:
        raise OptionError(
            f"{folder}: it is not named after a sequence of the TUM benchmark (freiburg1, freiburg2 or freiburg3), so "
            "the unit of its depth maps is unknown; give --depth-unit: 0.001 for millimetres, as most cameras store "
            "them, or 0.0002 for the 1/5000 m of the benchmark"
        )
    intrinsics = own if intrinsics is None else intrinsics
    assert intrinsics is not None
    return intrinsics, UNIT_M if unit_m is None else unit_m


def read(root: Path, name: str, camera: DepthCamera, most_s: float, quaternion: Quaternion = "xyzw") -> SequenceFiles:
    """The sequence of a folder.

    Parameters
    ----------
    root:
        the folder.
    name:
        the name of the sequence.
    camera:
        of the depth maps.
    most_s:
        the largest time difference of a depth map and its pose, seconds.
    quaternion:
        the order of the quaternions, if no header names it.

    Raises
    ------
    MissingFileError, InputError
        when a list is missing, or cannot be read; the message names the file, and the line.
    """
    truth = root / "groundtruth.txt"
    depth = _depth_list(root)
    if depth is None or not truth.exists():
        missing = truth if depth is not None else root / "depth.txt"
        raise MissingFileError(
            f"{missing}: does not exist; a sequence of TUM holds depth.txt (or associations.txt) and groundtruth.txt"
        )
    track = trajectory_formats.tum(truth, quaternion)
    if not len(track.key):
        raise InputError(f"{truth}: holds no pose")
    rows = nearest(depth.times, track.key.astype(np.float64), most_s)
    poses = np.where((rows >= 0)[:, None, None], track.pose[rows], np.nan)
    images, image_list = _images(root, depth, most_s)
    order = np.argsort(depth.times, kind="stable")
    frames = [
        FrameFiles(
            depth.stamps[row], name, rank, existing_file(root / depth.names[row]), None, images[row], depth.times[row]
        )
        for rank, row in enumerate(order.tolist())
    ]
    has_pose: list[bool] = (rows[order] >= 0).tolist()
    missing_notes = [
        text.replace("no pose", f"no pose within {most_s:g} s")
        for text in rgbd_frames.missing_notes(frames, poses[order], posed=has_pose)
    ]
    notes = (*depth.notes, *track.notes, *image_list, *missing_notes)
    return SequenceFiles(frames, poses[order], camera, lists=(depth.path, truth), notes=notes)


class _FileList(NamedTuple):
    """Files of depth maps or images with their time stamps."""

    path: Path
    stamps: list[str]
    """as written"""
    times: FloatArray
    """(n,) seconds"""
    names: list[str]
    partners: list[str]
    """the image of each depth map, if the list has both; otherwise empty"""
    notes: tuple[str, ...]


def _depth_list(root: Path) -> _FileList | None:
    """The list of depth maps of a folder, of registered ones if there are several; otherwise its associations."""
    lists = [root / name for name in (*_DEPTH_LISTS, *_ASSOCIATIONS) if (root / name).exists()]
    if not lists:
        return None
    path = lists[0]
    listed = _file_list(path) if path.name in _DEPTH_LISTS else _associations(path)
    if path.name == "depth.txt":
        return listed
    return listed._replace(notes=(f"the depth maps are those that {path.name} lists", *listed.notes))


def _images(root: Path, depth: _FileList, most_s: float) -> tuple[list[Path | None], tuple[str, ...]]:
    """The colour image of each depth map, if there is one, by association or by time; and notes."""
    if depth.partners:
        return [existing_file(root / name) for name in depth.partners], ()
    for name in _ASSOCIATIONS:
        if (root / name).exists():
            pairs = _associations(root / name)
            image_of = dict(zip(pairs.names, pairs.partners, strict=True))
            return [
                existing_file(root / image_of[own]) if own in image_of else None for own in depth.names
            ], pairs.notes
    if not (root / "rgb.txt").exists():
        return [None] * len(depth.names), ()
    listed = _file_list(root / "rgb.txt")
    rows = nearest(depth.times, listed.times, most_s).tolist()
    return [None if row < 0 else existing_file(root / listed.names[row]) for row in rows], listed.notes


def nearest(times: FloatArray, among: FloatArray, most: float) -> npt.NDArray[np.int64]:
    """(n,) index in `among` (m,) of the time nearest to each of `times` (n,), the earlier of two; -1 beyond `most`.

    `among` may be in any order, but not empty.
    """
    order = np.argsort(among, kind="stable")
    ordered = among[order]
    after = np.searchsorted(ordered, times).clip(0, len(ordered) - 1)
    before = (after - 1).clip(0)
    choice = np.where(np.abs(ordered[before] - times) <= np.abs(ordered[after] - times), before, after)
    near = np.abs(ordered[choice] - times) <= most
    return np.where(near, order[choice], -1).astype(np.int64)


def _file_list(path: Path) -> _FileList:
    """A list such as depth.txt: one time stamp and file per line."""
    listed = _ListedFiles(path, "file")
    for line, text in trajectory_formats.text_lines(path, comments=True):
        values = text.split(None, 1)
        if len(values) != 2:
            raise InputError(f"{path}: line {line}: {text.strip()[:60]!r}; expected a time stamp and a file")
        listed.add(line, values[0], values[1].strip())
    return listed.done()


def _associations(path: Path) -> _FileList:
    """A list of depth maps and images that belong together: time stamp and file of one, then of the other.

    The depth map is the one with the word depth in its path; the time stamp is that of the depth map.
    """
    listed = _ListedFiles(path, "depth maps")
    for line, text in trajectory_formats.text_lines(path, comments=True):
        values = text.split()
        is_depth = ["depth" in name.lower() for name in values[1::2]]
        if len(values) != 4 or is_depth.count(True) != 1:
            raise InputError(
                f"{path}: line {line}: {text.strip()[:60]!r}; expected time stamp and file of an image and of a depth "
                "map, whose path has the word depth"
            )
        first = 2 * is_depth.index(True)
        listed.add(line, values[first], values[first + 1], values[3 - first])
    return listed.done()


class _ListedFiles:
    """A list that is read line by line."""

    def __init__(self, path: Path, what: str) -> None:
        self._path = path
        self._stamps: list[str] = []
        self._times: list[float] = []
        self._names: list[str] = []
        self._partners: list[str] = []
        self._first = trajectory_formats.FirstOfEach(path, what)

    def add(self, line: int, stamp: str, name: str, partner: str | None = None) -> None:
        """Add one file, unless its stamp is repeated."""
        try:
            time = float(stamp)
        except ValueError:
            time = math.nan
        if not math.isfinite(time):
            raise InputError(f"{self._path}: line {line}: {stamp[:40]!r} is not a time stamp; expected one and a file")
        if self._first.is_first(line, stamp):
            self._stamps.append(stamp)
            self._times.append(time)
            self._names.append(name)
            if partner is not None:
                self._partners.append(partner)

    def done(self) -> _FileList:
        """The list; an InputError if it is empty."""
        if not self._stamps:
            raise InputError(f"{self._path}: lists no file; expected lines of a time stamp and a file")
        notes = self._first.notes()
        return _FileList(self._path, self._stamps, np.array(self._times), self._names, self._partners, notes)
