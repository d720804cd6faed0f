"""Trajectories in text files, one pose a line: KITTI, TUM and COLMAP, read a line at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets.base import unreadable
from relabel.datasets.table.columns import TableFile
from relabel.errors import InputError
from relabel.geometry.projection import utm_crs

_NOT_A_ROTATION = 1e-2
"""How far a matrix may be from a rotation: real files keep to 1e-3, other numbers do not come near."""


@dataclass(frozen=True, eq=False)
class Track:
    """Poses (n, 4, 4) from the axes of the camera or car to those of the world, metres; NaN where unknown."""

    key: npt.NDArray[np.str_]
    pose: FloatArray
    crs: str = "local"
    notes: tuple[str, ...] = ()


def kitti(path: Path) -> Track:
    """12 numbers a line, the upper rows of a matrix, or 13 with the number of the frame before them.

    Keys are the numbers of the frames, six digits, which are the names of the images; counted from 0 where the file
    has none.

    Raises
    ------
    InputError
        when the file cannot be read, a line is no such pose, a rotation is none, or a key comes twice; the message
        names file and line.
    """
    rows: list[list[float]] = []
    lines: list[int] = []
    for line, text in text_lines(path):
        values = _numbers(path, line, text.split(), "12 numbers, or 13 with a frame number")
        if len(values) not in (12, 13) or (rows and len(values) != len(rows[0])):
            wanted = f"{len(rows[0])} as in line {lines[0]}" if rows else "12, or 13 with a frame number"
            raise InputError(f"{path}: line {line}: {len(values)} numbers; a KITTI pose has {wanted}")
        rows.append(values)
        lines.append(line)
    table = np.array(rows).reshape(len(rows), -1)
    numbers = np.arange(len(rows))
    if rows and len(rows[0]) == 13:
        first = table[:, 0]
        bad = np.flatnonzero(~(np.isfinite(first) & (first == np.floor(first)) & (first >= 0)))
        if bad.size:
            raise InputError(f"{path}: line {lines[bad[0]]}: {first[bad[0]]:g} is no frame number")
        numbers, table = first.astype(np.int64), table[:, 1:]
    key = np.array([f"{number:06d}" for number in numbers.tolist()], dtype=np.str_)
    pose = np.tile(np.eye(4), (len(rows), 1, 1))
    pose[:, :3] = table.reshape(-1, 3, 4)
    check_rotations(path, pose, lines)
    check_keys(path, key, lines)
    return Track(key, pose)


def tum(path: Path) -> Track:
    """``t tx ty tz qx qy qz qw`` a line, after comments with ``#``; keys are the time stamps as they are written.

    Raises
    ------
    InputError
        when the file cannot be read, a line is no such pose, a rotation is none, or a key comes twice; the message
        names file and line.
    """
    poses = _QuaternionLines(path)
    for line, text in text_lines(path, comments=True):
        values = text.replace(",", " ").split()
        if len(values) != 8:
            raise InputError(f"{path}: line {line}: {len(values)} values; a TUM pose has 8: t tx ty tz qx qy qz qw")
        _, tx, ty, tz, qx, qy, qz, qw = _numbers(path, line, values, "t tx ty tz qx qy qz qw")
        poses.add(line, values[0], (tx, ty, tz, qw, qx, qy, qz))
    return Track(*poses.read())


def colmap(path: Path) -> Track:
    """``images.txt``: two lines per image, ``ID QW QX QY QZ TX TY TZ CAMERA NAME`` and its points, which may be none.

    Keys are the names, which may hold spaces. The scale of a model is arbitrary, unless it was aligned.

    Raises
    ------
    InputError
        when the file cannot be read, a line is no such pose, a rotation is none, or a key comes twice; the message
        names file and line.
    """
    into_camera = _QuaternionLines(path)
    name = ""
    points_next = False
    for line, text in text_lines(path, comments=not points_next, blank=True):
        if text.startswith("#"):
            continue
        if points_next:
            points_next = False
            _check_points(path, line, text, name)
            continue
        if not text.strip():
            continue
        values = text.split(None, 9)
        if len(values) != 10:
            raise InputError(
                f"{path}: line {line}: {len(values)} values; an image in images.txt of COLMAP has 10: ID QW QX QY QZ "
                "TX TY TZ CAMERA NAME"
            )
        _, qw, qx, qy, qz, tx, ty, tz, _ = _numbers(path, line, values[:9], "ID QW QX QY QZ TX TY TZ CAMERA NAME")
        name = values[9].strip()
        into_camera.add(line, name, (tx, ty, tz, qw, qx, qy, qz))
        points_next = True
    key, pose = into_camera.read()
    note = "positions are taken as metres, though the scale of a COLMAP model is arbitrary unless it was aligned"
    return Track(key, inverse_poses(pose), notes=(note,))


class _QuaternionLines:
    """Poses of a text file, a translation and a quaternion for each, gathered line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[int] = []
        self.keys: list[str] = []
        self.rows: list[tuple[float, ...]] = []

    def add(self, line: int, key: str, row: tuple[float, float, float, float, float, float, float]) -> None:
        """One pose: x, y, z, and the quaternion w, x, y, z."""
        self.lines.append(line)
        self.keys.append(key)
        self.rows.append(row)

    def read(self) -> tuple[npt.NDArray[np.str_], FloatArray]:
        """The keys (n,) and the matrices (n, 4, 4); raises InputError, naming the line, for what is wrong with one."""
        table = np.array(self.rows).reshape(-1, 7)
        pose = quaternion_poses(table[:, :3], table[:, 3:], lambda row: f"{self.path}: line {self.lines[row]}")
        key = np.array(self.keys, dtype=np.str_)
        check_keys(self.path, key, self.lines)
        return key, pose


def _check_points(path: Path, line: int, text: str, name: str) -> None:
    """Raise an InputError where the line below an image is not a list of points: x y ID, x y ID, …"""
    begin = text.split(None, 12)
    numbers = all(_is_number(value) for value in begin[:12])
    if not numbers or (len(begin) <= 12 and len(begin) % 3):
        raise InputError(
            f"{path}: line {line}: expected the points of {name!r} (x y ID each, or an empty line); blank lines of "
            "images.txt must not be removed"
        )


def text_lines(path: Path, *, comments: bool = False, blank: bool = False) -> Iterator[tuple[int, str]]:
    """The lines of a text, counted from 1, without blank ones and comments.

    Raises
    ------
    InputError
        when the file cannot be read, or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for line, text in enumerate(stream, 1):
                if (blank or text.strip()) and not (comments and not blank and text.lstrip().startswith("#")):
                    yield line, text
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; is it the binary form? write it as text first") from None
    except OSError as error:
        raise unreadable(path, error) from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _numbers(path: Path, line: int, values: list[str], what: str) -> list[float]:
    for value in values:
        if not _is_number(value):
            raise InputError(f"{path}: line {line}: {value[:40]!r} is not a number; expected {what}")
    return [float(value) for value in values]


def quaternion_poses(translation: FloatArray, quaternion: FloatArray, location: Callable[[int], str]) -> FloatArray:
    """Matrices (n, 4, 4) of translations (n, 3) and quaternions (n, 4) w, x, y, z, which are brought to unit length.

    A matrix is all NaN where a number is not finite. An InputError begins with the `location` of the first
    row whose quaternion is no rotation.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt((quaternion**2).sum(axis=1))
        bad = np.flatnonzero(np.isfinite(quaternion).all(axis=1) & ~(np.abs(length - 1.0) <= _NOT_A_ROTATION))
        w, x, y, z = (quaternion / np.where(length == 0.0, 1.0, length)[:, None]).T
    if bad.size:
        shown = " ".join(f"{value:g}" for value in quaternion[bad[0]])
        raise InputError(
            f"{location(int(bad[0]))}: the quaternion (w x y z) {shown} has length {length[bad[0]]:.4g}, not 1; "
            "are the values in another order?"
        )
    pose = np.tile(np.eye(4), (len(quaternion), 1, 1))
    pose[:, 0, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=1)
    pose[:, 1, :3] = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=1)
    pose[:, 2, :3] = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)
    pose[:, :3, 3] = translation
    pose[~np.isfinite(pose).all(axis=(1, 2))] = np.nan
    return pose


def inverse_poses(pose: FloatArray) -> FloatArray:
    """The inverses (n, 4, 4) of rigid transforms (n, 4, 4)."""
    inverse = np.tile(np.eye(4), (len(pose), 1, 1))
    inverse[:, :3, :3] = pose[:, :3, :3].transpose(0, 2, 1)
    inverse[:, :3, 3] = -np.einsum("nij,nj->ni", inverse[:, :3, :3], pose[:, :3, 3])
    return inverse


def check_rotations(path: Path, pose: FloatArray, lines: list[int]) -> None:
    """Raise InputError, naming the line, where a finite matrix is not a rotation, or mirrors."""
    turn = pose[:, :3, :3]
    with np.errstate(invalid="ignore"):
        off = np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
        bad = np.flatnonzero((off > _NOT_A_ROTATION) | (np.linalg.det(turn) < 0.0))
    if bad.size:
        raise InputError(
            f"{path}: line {lines[bad[0]]}: its 3x3 matrix is not a rotation (off by {off[bad[0]]:.3g}); is it another "
            "layout?"
        )


def check_keys(path: Path, key: npt.NDArray[np.str_], lines: list[int]) -> None:
    """Raise InputError, naming both lines, where a key stands twice."""
    check_unique(key, lambda row: f"{path}: line {lines[row]}", lambda row: f"line {lines[row]}")


def check_unique(
    key: npt.NDArray[np.str_], location: Callable[[int], str], first_location: Callable[[int], str]
) -> None:
    """Raise InputError where a key stands twice; it names the `location` of the second row and that of the first."""
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    twice = np.flatnonzero(first[group] != np.arange(len(key)))
    if twice.size:
        row = int(twice[0])
        raise InputError(
            f"{location(row)}: {str(key[row])!r} stands in {first_location(int(first[group[row]]))} already; "
            "labels are joined by key: keep one pose a key"
        )


_ANGLES = ("roll", "pitch", "yaw")
_POSITION = ("northing", "easting", "down")
_MOTION = ("x", "y", "z")
_ZONE = re.compile(r"\s*(\d{1,2})\s*([C-HJ-NP-X])\s*", re.IGNORECASE)


def robotcar(path: Path) -> Track:
    """The poses of RobotCar's ins.csv, rtk.csv or vo.csv, which differ in their columns; keys are time stamps.

    Raises
    ------
    InputError
        when the file is neither, or a cell is wrong; the message names file and line.
    """
    file = TableFile(path)
    for time, position, reader in (("timestamp", _POSITION, _navigation), ("source_timestamp", _MOTION, _odometry)):
        if {time, *position, *_ANGLES} <= set(file.columns):
            return reader(file)
    raise InputError(
        f"{path}: is neither ins.csv or rtk.csv ({', '.join(('timestamp', *_POSITION, *_ANGLES))}) nor vo.csv "
        f"({', '.join(('source_timestamp', 'destination_timestamp', *_MOTION, *_ANGLES))}) of RobotCar; it has "
        f"{', '.join(file.columns)}"
    )


def _navigation(file: TableFile) -> Track:
    zoned = "utm_zone" in file.columns
    table = file.read(
        {
            "timestamp": "text",
            **dict.fromkeys((*_POSITION, *_ANGLES), "float"),
            **({"utm_zone": "text"} if zoned else {}),
        }
    )
    file.check_keys(table["timestamp"], "column 'timestamp'")
    pose = _matrices(np.column_stack([table[name] for name in (*_POSITION, *_ANGLES)]))
    return Track(table["timestamp"], pose, _crs(file, table["utm_zone"]) if zoned else "local")


def _odometry(file: TableFile) -> Track:
    if "destination_timestamp" not in file.columns:
        raise InputError(f"{file.path}: line 1: column 'destination_timestamp' is missing")
    times = ("source_timestamp", "destination_timestamp")
    table = file.read({**dict.fromkeys(times, "text"), **dict.fromkeys((*_MOTION, *_ANGLES), "float")})
    source, destination = (table[name] for name in times)
    file.check_keys(source, "column 'source_timestamp'")
    steps = _matrices(np.column_stack([table[name] for name in (*_MOTION, *_ANGLES)]))
    broken = np.flatnonzero(destination[1:] != source[:-1]) + 1
    end = int(broken[0]) if broken.size else len(steps)
    poses = np.full((len(steps) + bool(len(steps)), 4, 4), np.nan)
    poses[:1] = np.eye(4)
    for number in range(end):
        poses[number + 1] = poses[number] @ steps[number]
    notes = ["each drive of vo.csv has a world of its own, which begins where the drive does"]
    if broken.size:
        notes.append(
            f"{file.location(end)} does not go on from the line before it; the {len(steps) - end:,} poses from there "
            "on have no common world with those before"
        )
    return Track(np.concatenate([destination[:1], source]), poses, notes=tuple(notes))


def _matrices(table: FloatArray) -> FloatArray:
    """(n, 4, 4) of x, y, z, roll, pitch, yaw: yaw after pitch after roll."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(table[:, 3:].T), np.sin(table[:, 3:].T)
    pose = np.tile(np.eye(4), (len(table), 1, 1))
    pose[:, 0, :3] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], axis=1)
    pose[:, 1, :3] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], axis=1)
    pose[:, 2, :3] = np.stack([-sp, cp * sr, cp * cr], axis=1)
    pose[:, :3, 3] = table[:, :3]
    return pose


def _crs(file: TableFile, zone: npt.NDArray[np.str_]) -> str:
    file.check_single_value(
        "utm_zone",
        zone,
        "metres of two zones cannot be compared; take latitude and longitude instead (without --layout, and --columns "
        "key=timestamp,heading=NAME with degrees)",
    )
    match = _ZONE.fullmatch(str(zone[0])) if len(zone) else None
    if match is None or not 1 <= int(match[1]) <= 60:
        return "local"
    return utm_crs(int(match[1]), south=match[2].upper() < "N")
