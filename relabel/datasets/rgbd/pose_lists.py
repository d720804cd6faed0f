"""All poses of a sequence in one text file, camera-to-world in metres, in the forms that are in use.

16 or 12 numbers per line a 4x4 or 3x4 matrix: Replica's traj.txt, poses.txt of many
NAME and 16 or 12 numbers         the same, with the name or the number of the frame
STAMP tx ty tz qx qy qz qw        as in TUM; the stamp is the name of the frame, or its number
4 numbers a line                  matrices below each other
3 whole numbers, then 4 lines     trajectory.log of Redwood and Open3D; the first number is that of the pose
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
from relabel.datasets.rgbd.frame_names import partners
from relabel.datasets.trajectory_formats import FirstOfEach, is_number, text_lines, tum
from relabel.display import several
from relabel.errors import InputError, OptionError

NAMES = ("trajectory.log", "poses.txt", "traj.txt", "pose.txt")
"""The usual names of such a file."""
_SIMILAR = re.compile(r".*\.log|.*traj.*\.txt", re.IGNORECASE)
_SHOWN = 3


class ListedPoses(NamedTuple):
    """The poses of n frames."""

    poses: FloatArray
    """(n, 4, 4); NaN if there is none, or one that is not finite"""
    has_pose: npt.NDArray[np.bool_]
    """(n,) whether the file has a pose for the frame"""
    notes: tuple[str, ...]
    """notes on how they were matched with the frames, and what was left out"""


def find(folders: Iterable[Path]) -> list[Path]:
    """The files of all poses in the first folder that has one, those with usual names first.

    If none has a usual name, a file with a similar name counts if it is the only one.
    """
    for folder in folders:
        usual = [folder / name for name in NAMES if (folder / name).is_file()]
        similar = [
            path
            for path in (children(folder) if folder.is_dir() else ())
            if _SIMILAR.fullmatch(path.name) and path.is_file()
        ]
        if usual or len(similar) == 1:
            return list(dict.fromkeys((*usual, *similar)))
    return []


def read(path: Path, names: Sequence[str], quaternion: Quaternion = "xyzw") -> ListedPoses:
    """The poses of the frames of these names.

    Parameters
    ----------
    path:
        the file.
    names:
        n names of frames, in their order: if the file has no names, it has one pose per frame in this order.
    quaternion:
        the order of quaternions, if the file has any.

    Raises
    ------
    InputError
        when the file has none of the forms above, has no names and another number of poses than there are frames, or
        names no frame; the message names file and line.
    OptionError
        when the order of quaternions is given and the file has matrices.
    """
    records = _records(path, quaternion)
    if not records.names:
        if len(records.poses) != len(names):
            raise InputError(
                f"{path}: holds {several(len(records.poses), 'pose')}"
                f", but there {'is' if len(names) == 1 else 'are'} {several(len(names), 'depth map')}; unnamed poses "
                "are matched in order, one per depth map: put the name of a frame before each pose, or remove the "
                "unmatched ones"
            )
        note = f"the poses are those of {path.name}, one per depth map in the order of their names"
        return ListedPoses(records.poses, np.ones(len(names), bool), (note, *records.notes))
    rows = _rows(records.names, names, path)
    has_pose = rows >= 0
    if not has_pose.any():
        raise InputError(
            f"{path}: names no frame that has a depth map: it has {', '.join(records.names[:_SHOWN])}, the depth maps "
            f"are named {', '.join(names[:_SHOWN])}"
        )
    poses = np.where(has_pose[:, None, None], records.poses[rows], np.nan)
    notes = [f"the poses are those of {path.name}, by the names of the frames", *records.notes]
    spare = len(records.names) - len(set(rows[has_pose].tolist()))
    if spare:
        hint = ""
        if len(records.names) == len(names):
            hint = "; are depth maps numbered from 0 and poses from 1?"
        notes.append(f"{path.name}: {several(spare, 'pose has', 'poses have')} no depth map{hint}")
    return ListedPoses(poses, has_pose, tuple(notes))


def _rows(listed: Sequence[str], names: Sequence[str], path: Path) -> npt.NDArray[np.int64]:
    """(n,) the number of the listed pose of each frame; -1 if there is none."""
    partner = partners(listed, names, str(path))
    row_of = {partner[name]: row for row, name in enumerate(listed) if name in partner}
    return np.array([row_of.get(name, -1) for name in names], np.int64)


class _Records(NamedTuple):
    names: list[str]
    """empty if the file has none"""
    poses: FloatArray
    notes: tuple[str, ...] = ()


def _records(path: Path, quaternion: Quaternion) -> _Records:
    lines = [(line, text.replace(",", " ").split()) for line, text in text_lines(path, comments=True)]
    if not lines:
        raise InputError(f"{path}: holds no pose")
    count = len(lines[0][1])
    if count == 8:
        track = tum(path, quaternion)
        return _Records(track.key.tolist(), track.pose, track.notes)
    if quaternion != "xyzw":
        raise OptionError(f"--quaternion {quaternion}: the poses of {path} are matrices; omit the option")
    if count == 4:
        return _Records([], _blocks(path, lines, heads=False))
    if count == 3:
        poses_of_log = _blocks(path, lines, heads=True)
        return _Records(_numbers_of_log(path, lines), poses_of_log)
    if count not in (12, 13, 16, 17):
        raise InputError(
            f"{path}: line {lines[0][0]}: {count} values; a pose has 16 or 12 (a 4x4 or 3x4 matrix), with or without a "
            "name before them, 8 (stamp tx ty tz qx qy qz qw), or 4 lines of 4"
        )
    named = count in (13, 17)
    first = FirstOfEach(path, "pose")
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
    """Matrices of four lines each, with or without a line of three whole numbers before each."""
    height = 5 if heads else 4
    if len(lines) % height:
        raise InputError(
            f"{path}: has {len(lines):,} lines, which is not a multiple of {height}; is it truncated? line "
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


def _numbers_of_log(path: Path, lines: list[tuple[int, list[str]]]) -> list[str]:
    """The numbers of the poses of a trajectory.log; none if they only state the order, as 0, 1, 2, … or -1, -1, …"""
    numbers = [int(values[0]) for _, values in lines[::5]]
    if len(set(numbers)) == 1 or numbers == list(range(numbers[0], numbers[0] + len(numbers))):
        return []
    first: dict[int, int] = {}
    twice = next((rank for rank, number in enumerate(numbers) if first.setdefault(number, rank) != rank), None)
    if twice is not None:
        raise InputError(
            f"{path}: line {lines[5 * twice][0]}: the number {numbers[twice]} is already used for another pose; "
            "number the poses like the frames, or 0, 1, 2, … in their order"
        )
    return [str(number) for number in numbers]


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
