"""All poses of a sequence in one text file, camera-to-world in metres, in the forms in which they are found.

16 or 12 numbers a line           a 4x4 or 3x4 matrix: Replica's traj.txt, poses.txt of many
NAME and 16 or 12 numbers         the same, with the name or the number of the frame
NAME tx ty tz qx qy qz qw         as TUM has it
4 numbers a line                  matrices below each other
3 whole numbers, then 4 lines     trajectory.log of Redwood and Open3D
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets.conventions import Quaternion
from relabel.datasets.listing import children
from relabel.datasets.matrix_files import check_last_row
from relabel.datasets.trajectory_formats import FirstOfEach, is_number, text_lines, tum
from relabel.errors import InputError, OptionError
from relabel.keys import nfc

NAMES = ("trajectory.log", "poses.txt", "traj.txt", "pose.txt")
"""What such a file is usually called."""
_SIMILAR = re.compile(r".*\.log|.*traj.*\.txt", re.IGNORECASE)
_SHOWN = 3


class ListedPoses(NamedTuple):
    """The poses of n frames."""

    poses: FloatArray
    """(n, 4, 4); NaN where there is none, or one that is not finite"""
    has_pose: npt.NDArray[np.bool_]
    """(n,) whether the file has a pose for the frame"""
    notes: tuple[str, ...]
    """how they were matched with the frames, and what was left out"""


def find(folders: Iterable[Path]) -> Path | None:
    """The file of all poses in one of the folders, by its usual names, or as the only one that is called like that."""
    for folder in folders:
        usual = [folder / name for name in NAMES if (folder / name).is_file()]
        similar = [
            path
            for path in (children(folder) if folder.is_dir() else ())
            if _SIMILAR.fullmatch(path.name) and path.is_file()
        ]
        if usual or len(similar) == 1:
            return (usual or similar)[0]
    return None


def read(path: Path, names: Sequence[str], quaternion: Quaternion = "xyzw") -> ListedPoses:
    """The poses of the frames of these names.

    Parameters
    ----------
    path:
        the file.
    names:
        n names of frames, in their order: where the file has no names, it has one pose a frame in this order.
    quaternion:
        the order of quaternions, where the file has any.

    Raises
    ------
    InputError
        when the file is in none of the forms above, has another number of poses than there are frames and no names,
        or no name of a frame; the message names file and line.
    OptionError
        when the order of quaternions is said and the file has matrices.
    """
    records = _records(path, quaternion)
    if not records.names:
        if len(records.poses) != len(names):
            raise InputError(
                f"{path}: holds {len(records.poses):,} poses, and there are {len(names):,} depth maps; without names "
                "they are taken in order, one a depth map: put the name of a frame before each pose, or remove what "
                "has no partner"
            )
        note = f"the poses are those of {path.name}, one a depth map in the order of their names"
        return ListedPoses(records.poses, np.ones(len(names), bool), (note, *records.notes))
    row_of = {_plain(name): row for row, name in enumerate(records.names)}
    rows = np.array([row_of.get(_plain(name), -1) for name in names], np.int64)
    has_pose = rows >= 0
    if not has_pose.any():
        raise InputError(
            f"{path}: names no frame of which there is a depth map: it has {', '.join(records.names[:_SHOWN])}, the "
            f"depth maps are called {', '.join(names[:_SHOWN])}"
        )
    poses = np.where(has_pose[:, None, None], records.poses[rows], np.nan)
    notes = [f"the poses are those of {path.name}, by the names of the frames", *records.notes]
    spare = len(records.names) - len(set(rows[has_pose].tolist()))
    if spare:
        notes.append(f"{path.name}: {spare:,} poses are of no depth map")
    return ListedPoses(poses, has_pose, tuple(notes))


def _plain(name: str) -> str:
    """A name without folder, suffixes and leading zeros, as a file and a list may have it differently."""
    stem = nfc(name).replace("\\", "/").rpartition("/")[2]
    for suffix in (".png", ".jpg", ".jpeg", ".pgm", ".depth", ".color", ".pose"):
        stem = stem.removesuffix(suffix)
    digits = stem.removeprefix("frame-").removeprefix("frame")
    return str(int(digits)) if digits.isdecimal() else stem


class _Records(NamedTuple):
    names: list[str]
    """empty where the file has none"""
    poses: FloatArray
    notes: tuple[str, ...] = ()


def _records(path: Path, quaternion: Quaternion) -> _Records:
    lines = [(line, text.replace(",", " ").split()) for line, text in text_lines(path, comments=True)]
    if not lines:
        raise InputError(f"{path}: there is no pose in it")
    count = len(lines[0][1])
    if count == 8:
        track = tum(path, quaternion)
        return _Records(track.key.tolist(), track.pose, track.notes)
    if quaternion != "xyzw":
        raise OptionError(f"--quaternion {quaternion}: the poses of {path} are matrices; leave it out")
    if count in (3, 4):
        return _Records([], _blocks(path, lines, heads=count == 3))
    if count not in (12, 13, 16, 17):
        raise InputError(
            f"{path}: line {lines[0][0]}: {count} values; a pose has 16 or 12 (a 4x4 or 3x4 matrix), with or without a "
            "name before them, 8 (name tx ty tz qx qy qz qw), or 4 lines of 4"
        )
    named = count in (13, 17)
    first = FirstOfEach(path, "poses")
    names, poses = [], []
    for line, values in lines:
        if len(values) != count:
            raise InputError(f"{path}: line {line}: {len(values)} values; line {lines[0][0]} has {count}")
        if named and not first.is_first(line, values[0]):
            continue
        names += values[:1] if named else []
        poses.append(_matrix(path, line, values[1:] if named else values))
    return _Records(names, np.array(poses), first.notes())


def _blocks(path: Path, lines: list[tuple[int, list[str]]], *, heads: bool) -> FloatArray:
    """Matrices of four lines each, with a line of three whole numbers before each or not."""
    height = 5 if heads else 4
    if len(lines) % height:
        raise InputError(
            f"{path}: has {len(lines):,} lines, which is no multiple of {height}; is it cut short? line "
            f"{lines[-1][0]} is the last"
        )
    poses = []
    for start in range(0, len(lines), height):
        block = lines[start + heads : start + height]
        if heads and (len(lines[start][1]) != 3 or not all(map(_is_whole, lines[start][1]))):
            raise InputError(f"{path}: line {lines[start][0]}: expected three whole numbers before each matrix")
        for line, values in block:
            if len(values) != 4:
                raise InputError(f"{path}: line {line}: {len(values)} values; a row of a matrix has 4")
        rows = [_floats(path, line, values) for line, values in block]
        poses.append(_pose(path, block[0][0], [value for row in rows for value in row]))
    return np.array(poses)


def _matrix(path: Path, line: int, values: list[str]) -> FloatArray:
    return _pose(path, line, _floats(path, line, values))


def _pose(path: Path, line: int, values: list[float]) -> FloatArray:
    pose = np.eye(4)
    pose[: len(values) // 4] = np.reshape(values, (-1, 4))
    if not all(map(math.isfinite, values)) or not pose[:3, :3].any():
        return np.full((4, 4), np.nan)
    check_last_row(pose, f"{path}: line {line}")
    return pose


def _floats(path: Path, line: int, values: list[str]) -> list[float]:
    wrong = next((value for value in values if not is_number(value)), None)
    if wrong is not None:
        raise InputError(f"{path}: line {line}: {wrong[:40]!r} is not a number")
    return [float(value) for value in values]


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
