"""Trajectories in text files, one pose per line: KITTI, KITTI-360 and TUM, read line by line; and RobotCar."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets import pose_columns
from relabel.datasets.base import unreadable
from relabel.datasets.conventions import Quaternion
from relabel.datasets.table.table_file import TableFile
from relabel.display import several
from relabel.errors import InputError, OptionError
from relabel.fixed_width import text_array
from relabel.geometry.projection import utm_crs
from relabel.input_files import check_regular

_NOT_A_ROTATION = 1e-2
"""The largest deviation of a matrix from a rotation: up to 1e-3 in real files, and far more for other numbers."""


@dataclass(frozen=True, eq=False)
class Track:
    """Poses (n, 4, 4) from the axes of the camera or car to those of the world, metres; NaN where unknown.

    `turned` is False if only positions are known, and rotations are meaningless. `ahead` is the axis of a pose that
    points ahead, if it differs between files of one layout.
    """

    key: npt.NDArray[np.str_]
    pose: FloatArray
    crs: str = "local"
    notes: tuple[str, ...] = ()
    turned: bool = True
    ahead: str = "z"


def kitti(path: Path) -> Track:
    """12 numbers per line, the upper rows of a matrix; keys are frame numbers from 0, six digits, like the images.

    Raises
    ------
    InputError
        when the file cannot be read, a line is not such a pose, or a rotation is invalid; the message names file and
        line.
    """
    table, lines = _matrix_lines(path, {12: ""}, "KITTI")
    key = np.array([f"{number:06d}" for number in range(len(table))], dtype=np.str_)
    return Track(key, _upper_rows(path, table, lines))


def kitti360(path: Path) -> Track:
    """``poses.txt``: frame and 12 numbers per line, the IMU; ``cam0_to_world.txt``: frame and 16 numbers, the camera.

    The IMU has its x ahead, y to the right and z down, which the track says (`Track.ahead`).
    Keys are the frame numbers, ten digits, like the images.

    Raises
    ------
    InputError
        when the file cannot be read, a line is not such a pose, a rotation is invalid, or a frame is repeated; the
        message names file and line.
    """
    table, lines = _matrix_lines(path, {13: "a frame and a 3x4 matrix", 17: "a frame and a 4x4 matrix"}, "KITTI-360")
    frame = table[:, 0]
    bad = np.flatnonzero(~((frame >= 0) & (frame == np.floor(frame)) & (frame < 10**10)))
    if bad.size:
        raise InputError(f"{path}: line {lines[bad[0]]}: {frame[bad[0]]:g} is not a frame number")
    key = np.array([f"{number:010d}" for number in frame.astype(np.int64).tolist()], dtype=np.str_)
    check_keys(path, key, lines)
    of_camera = table.shape[1] == 17
    if of_camera:
        off = np.flatnonzero((np.abs(table[:, 13:] - (0.0, 0.0, 0.0, 1.0)) > _NOT_A_ROTATION).any(axis=1))
        if off.size:
            shown = " ".join(f"{value:g}" for value in table[off[0], 13:])
            raise InputError(f"{path}: line {lines[off[0]]}: the last row of the matrix is {shown}, not 0 0 0 1")
    pose = _upper_rows(path, table[:, 1:13], lines)
    what, ahead = ("camera", "z") if of_camera else ("IMU", "x")
    return Track(key, pose, notes=(f"the poses are those of the {what}, whose viewing axis is {ahead}",), ahead=ahead)


def _matrix_lines(path: Path, counts: Mapping[int, str], what: str) -> tuple[FloatArray, list[int]]:
    """The numbers (n, m) of all lines, m one of `counts`, and the line of each; `counts` says what each of them is."""
    rows: list[list[float]] = []
    lines: list[int] = []
    wanted = " or ".join(f"{count} ({meaning})" if meaning else f"{count}" for count, meaning in counts.items())
    for line, text in text_lines(path):
        values = text.split()
        if any(mark in text for mark in ",;"):
            raise InputError(
                f"{path}: line {line}: has commas or semicolons; the {wanted} numbers of a pose of {what} are "
                "separated by spaces"
            )
        if len(values) not in counts or (rows and len(values) != len(rows[0])):
            layout = _LAYOUT_OF_COUNT.get(len(values), "") if not rows else ""
            expected = f"{len(rows[0])} as in line {lines[0]}" if rows else wanted
            hint = f"; that many numbers fit --layout {layout}" if layout else ""
            raise InputError(f"{path}: line {line}: {len(values)} numbers; a pose of {what} has {expected}{hint}")
        rows.append(_numbers(path, line, values, f"{wanted} numbers"))
        lines.append(line)
    return np.array(rows).reshape(len(rows), len(rows[0]) if rows else min(counts)), lines


_LAYOUT_OF_COUNT = {8: "tum", 12: "kitti", 13: "kitti360", 17: "kitti360"}


def _upper_rows(path: Path, table: FloatArray, lines: list[int]) -> FloatArray:
    """The poses (n, 4, 4) from their upper rows (n, 12); an InputError that names the line of an invalid rotation."""
    pose = np.tile(np.eye(4), (len(table), 1, 1))
    pose[:, :3] = table.reshape(-1, 3, 4)
    pose[~pose[:, :3, :3].any(axis=(1, 2))] = np.nan
    check_rotations(path, pose, lines)
    return pose


def tum(path: Path, quaternion: Quaternion = "xyzw") -> Track:
    """``t tx ty tz qx qy qz qw`` per line, or in the order in which a header names these columns.

    With `quaternion` ``wxyz``, the real part comes first in lines without such a header.

    A header is a comment or a first line that names a quaternion, as in EuRoC and TUM-VI; further columns are
    skipped. Lines with commas need one, since there is no usual order for them. Keys are the time stamps as written;
    of repeated ones, which fast trackers write, the first is kept.

    Raises
    ------
    InputError
        when the file cannot be read, a line is not such a pose, or a rotation is invalid; the message names file and
        line.
    OptionError
        when the order of the quaternion is given and a header names the columns.
    """
    poses = _QuaternionLines(path)
    stamps = FirstOfEach(path, "pose")
    columns: dict[str, int] | None = None
    width = len(pose_columns.COLUMNS)
    for line, text in text_lines(path):
        cells = pose_columns.cells(text)
        is_comment = text.lstrip().startswith("#")
        if is_comment or (columns is None and not poses.lines and not is_number(cells[0])):
            header = None if poses.lines else pose_columns.header(path, line, text)
            if header is not None and quaternion != "xyzw":
                raise OptionError(f"--quaternion {quaternion}: {path} names the order of its columns; omit the option")
            if header is not None:
                columns, width = header, len(pose_columns.names(text))
                continue
            if is_comment:
                continue
        if columns is None and any(mark in text for mark in ",;"):
            raise pose_columns.unnamed(path, line, cells)
        if len(cells) != width:
            wanted = "as many as in the header" if columns else "t tx ty tz qx qy qz qw"
            raise InputError(f"{path}: line {line}: {len(cells)} values; a TUM pose has {width}: {wanted}")
        places = columns or _ORDERS[quaternion]
        values = [cells[places[column]] for column in pose_columns.COLUMNS]
        _, tx, ty, tz, qx, qy, qz, qw = _numbers(path, line, values, "t tx ty tz qx qy qz qw")
        if stamps.is_first(line, values[0]):
            poses.add(line, values[0], (tx, ty, tz, qw, qx, qy, qz))
    notes = stamps.notes()
    if columns is not None and [columns[column] for column in pose_columns.COLUMNS] != list(range(width)):
        order = sorted(columns, key=columns.__getitem__)
        notes = (*notes, f"the columns of a pose are {', '.join(order)}, according to the header")
    return Track(*poses.read(), notes=notes)


class FirstOfEach:
    """Distinguishes the first line of each time stamp in a file from repetitions, and counts these.

    `what` is the content of a line, for the note: ``pose``.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
        self._seen: set[Decimal | str] = set()
        self._repeated = 0
        self._first = ""

    def is_first(self, line: int, stamp: str) -> bool:
        """Whether no line before had this stamp."""
        time = _as_written(stamp)
        if time not in self._seen:
            self._seen.add(time)
            return True
        self._repeated += 1
        self._first = self._first or f"line {line}: {stamp}"
        return False

    def notes(self) -> tuple[str, ...]:
        """A note on the number of repetitions, if there are any."""
        if not self._repeated:
            return ()
        first = f"the first in {self._first}"
        repeat = several(self._repeated, f"{self._what} repeats", f"{self._what}s repeat")
        are = "is" if self._repeated == 1 else "are"
        return (f"{self._path.name}: {repeat} a time stamp and {are} left out, {first}",)


def _as_written(stamp: str) -> Decimal | str:
    """A time stamp as a number with all of its digits, so that 1.50 is 1.5; the text if it is not a finite number."""
    try:
        number = Decimal(stamp)
    except InvalidOperation:
        return stamp
    return number if number.is_finite() else stamp


_ORDERS: dict[Quaternion, dict[str, int]] = {
    "xyzw": {column: place for place, column in enumerate(pose_columns.COLUMNS)},
    "wxyz": {column: place for place, column in enumerate((*pose_columns.COLUMNS[:4], "qw", "qx", "qy", "qz"))},
}


class _QuaternionLines:
    """Poses of a text file, each a translation and a quaternion, collected line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[int] = []
        self.keys: list[str] = []
        self.rows: list[tuple[float, ...]] = []

    def add(self, line: int, key: str, row: tuple[float, float, float, float, float, float, float]) -> None:
        """Add one pose: x, y, z, and the quaternion w, x, y, z."""
        self.lines.append(line)
        self.keys.append(key)
        self.rows.append(row)

    def read(self) -> tuple[npt.NDArray[np.str_], FloatArray]:
        """The keys (n,) and the matrices (n, 4, 4); raises an InputError that names the line of an invalid pose."""
        table = np.array(self.rows).reshape(-1, 7)
        pose = quaternion_poses(table[:, :3], table[:, 3:], lambda row: f"{self.path}: line {self.lines[row]}")
        try:
            key = text_array(self.keys)
        except InputError as error:
            raise InputError(f"{self.path}: {error}") from None
        check_keys(self.path, key, self.lines)
        return key, pose


def text_lines(path: Path, *, comments: bool = False, blank: bool = False) -> Iterator[tuple[int, str]]:
    """The lines of a text, counted from 1, without blank ones and comments.

    Raises
    ------
    InputError
        when the file cannot be read, or is not UTF-8.
    """
    check_regular(path)
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for line, text in enumerate(stream, 1):
                if (blank or text.strip()) and not (comments and not blank and text.lstrip().startswith("#")):
                    yield line, text
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; is it another file with this name?") from None
    except OSError as error:
        raise unreadable(path, error) from None


def is_number(text: str) -> bool:
    """Whether a word is a number, finite or not."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _numbers(path: Path, line: int, values: list[str], what: str) -> list[float]:
    for value in values:
        if not is_number(value):
            raise InputError(f"{path}: line {line}: {value[:40]!r} is not a number; expected {what}")
    return [float(value) for value in values]


def quaternion_poses(translation: FloatArray, quaternion: FloatArray, location: Callable[[int], str]) -> FloatArray:
    """Matrices (n, 4, 4) of translations (n, 3) and quaternions (n, 4) w, x, y, z, which are normalised.

    A matrix is all NaN where a number is not finite, or the quaternion is all zeros, as in files for unknown poses.
    An InputError begins with the `location` of the first row whose quaternion is not a rotation.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.sqrt((quaternion**2).sum(axis=1))
        known = np.isfinite(quaternion).all(axis=1) & quaternion.any(axis=1)
        bad = np.flatnonzero(known & ~(np.abs(length - 1.0) <= _NOT_A_ROTATION))
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
    pose[~(known & np.isfinite(pose).all(axis=(1, 2)))] = np.nan
    return pose


def inverse_poses(pose: FloatArray) -> FloatArray:
    """The inverses (n, 4, 4) of rigid transforms (n, 4, 4)."""
    inverse = np.tile(np.eye(4), (len(pose), 1, 1))
    inverse[:, :3, :3] = pose[:, :3, :3].transpose(0, 2, 1)
    inverse[:, :3, 3] = -np.einsum("nij,nj->ni", inverse[:, :3, :3], pose[:, :3, 3])
    return inverse


def check_rotations(path: Path, pose: FloatArray, lines: list[int]) -> None:
    """Raise an InputError that names the line if a finite matrix is not a rotation, or is a reflection."""
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
    """Raise an InputError that names both lines if a key is repeated."""
    check_unique(key, lambda row: f"{path}: line {lines[row]}", lambda row: f"line {lines[row]}")


def check_unique(
    key: npt.NDArray[np.str_], location: Callable[[int], str], first_location: Callable[[int], str]
) -> None:
    """Raise an InputError if a key is repeated; it names the `location` of the second row and that of the first."""
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    twice = np.flatnonzero(first[group] != np.arange(len(key)))
    if twice.size:
        row = int(twice[0])
        raise InputError(
            f"{location(row)}: {str(key[row])!r} is already in {first_location(int(first[group[row]]))}; labels are "
            "joined by key: keep one pose per key"
        )


_GOOD = "INS_SOLUTION_GOOD"
_ANGLES = ("roll", "pitch", "yaw")
_POSITION = ("northing", "easting", "down")
_MOTION = ("x", "y", "z")
_ZONE = re.compile(r"\s*(\d{1,2})\s*([C-HJ-NP-X])\s*", re.IGNORECASE)


def robotcar(path: Path) -> Track:
    """The poses of RobotCar's ins.csv, rtk.csv, vo.csv or gps.csv, which differ in their columns; keys are time stamps.

    Rows whose ``ins_status`` is not INS_SOLUTION_GOOD, and rows at (0, 0), have a pose of NaN; repeated rows are left
    out. The poses of gps.csv, which has no angles, have no rotation, and the track says so (`Track.turned`).

    Raises
    ------
    InputError
        when the file is none of these, a cell is invalid, or angles are not radians; the message names file and line.
    """
    file = TableFile(path)
    for needed, reader in (
        (("timestamp", *_POSITION, *_ANGLES), _navigation),
        (("source_timestamp", *_MOTION, *_ANGLES), _odometry),
        (("timestamp", *_POSITION), _navigation),
    ):
        if set(needed) <= set(file.columns):
            return reader(file)
    raise InputError(
        f"{path}: is neither ins.csv or rtk.csv ({', '.join(('timestamp', *_POSITION, *_ANGLES))}) nor vo.csv "
        f"({', '.join(('source_timestamp', 'destination_timestamp', *_MOTION, *_ANGLES))}) of RobotCar; it has "
        f"{', '.join(file.columns)}"
    )


def _navigation(file: TableFile) -> Track:
    turned = set(_ANGLES) <= set(file.columns)
    numbers = (*_POSITION, *_ANGLES) if turned else _POSITION
    texts = ("timestamp", *(name for name in ("utm_zone", "ins_status") if name in file.columns))
    table = file.read({**dict.fromkeys(texts, "text"), **dict.fromkeys(numbers, "float")})
    key = table["timestamp"]
    row = np.column_stack([table[name] for name in numbers] + ([] if turned else [np.zeros((len(key), 3))]))
    notes = []
    bad = np.zeros(len(key), bool)
    if "ins_status" in table:
        status = table["ins_status"]
        bad = np.strings.upper(np.strings.strip(status)) != _GOOD if len(status) else bad
        if bad.any():
            kinds, counts = np.unique(status[bad], return_counts=True)
            shown = ", ".join(f"{count:,} {kind or 'empty'}" for kind, count in zip(kinds, counts, strict=True))
            notes.append(
                f"{several(int(bad.sum()), 'row has', 'rows have')} an ins_status other than {_GOOD} ({shown}): no pose"
            )
    # The metres are those of UTM, whose origin no car reaches.
    at_origin = ~bad & (row[:, :2] == 0.0).all(axis=1)
    if at_origin.any():
        notes.append(
            f"{several(int(at_origin.sum()), 'row has', 'rows have')}"
            " northing 0 and easting 0, which means not measured: no pose"
        )
        bad |= at_origin
    row[bad] = np.nan
    if turned:
        _check_radians(file, row[:, 3:])
    repeats = _repeats(key, row)
    if repeats.any():
        notes.append(
            f"{several(int(repeats.sum()), 'row repeats an earlier one and is', 'rows repeat earlier ones and are')}"
            " left out"
        )
    # A repetition gets a unique name here, so that rows keep their lines in messages.
    numbered = np.strings.add(np.strings.add(key, " repeated in row "), np.arange(len(key)).astype(np.str_))
    file.check_keys(np.where(repeats, numbered, key), "column 'timestamp'")
    crs = "local"
    if "utm_zone" in table:
        crs = _crs(file, table["utm_zone"], ~bad)
    return Track(key[~repeats], _matrices(row[~repeats]), crs, tuple(notes), turned=turned)


def _repeats(key: npt.NDArray[np.str_], row: FloatArray) -> npt.NDArray[np.bool_]:
    """(n,) whether a row has the same key and numbers as an earlier one."""
    _, first, group = np.unique(key, return_index=True, return_inverse=True)
    original = first[group]
    same = ((row == row[original]) | (np.isnan(row) & np.isnan(row[original]))).all(axis=1)
    return np.asarray((original != np.arange(len(key))) & same)


def _odometry(file: TableFile) -> Track:
    if "destination_timestamp" not in file.columns:
        raise InputError(f"{file.path}: line 1: column 'destination_timestamp' is missing")
    times = ("source_timestamp", "destination_timestamp")
    table = file.read({**dict.fromkeys(times, "text"), **dict.fromkeys((*_MOTION, *_ANGLES), "float")})
    source, destination = (table[name] for name in times)
    file.check_keys(source, "column 'source_timestamp'")
    motion = np.column_stack([table[name] for name in (*_MOTION, *_ANGLES)])
    _check_radians(file, motion[:, 3:])
    steps = _matrices(motion)
    broken = np.flatnonzero(destination[1:] != source[:-1]) + 1
    end = int(broken[0]) if broken.size else len(steps)
    poses = np.full((len(steps) + bool(len(steps)), 4, 4), np.nan)
    poses[:1] = np.eye(4)
    for number in range(end):
        poses[number + 1] = poses[number] @ steps[number]
    notes = ["each drive of vo.csv has its own world frame, whose origin is the start of the drive"]
    if broken.size:
        notes.append(
            f"{file.location(end)} does not continue the line before it; the {len(steps) - end:,} poses from there on "
            "share no world frame with those before"
        )
    return Track(np.concatenate([destination[:1], source]), poses, notes=tuple(notes))


def _check_radians(file: TableFile, angles: FloatArray) -> None:
    """Raise an InputError that names the first row where roll, pitch or yaw (n, 3) exceeds a full circle."""
    with np.errstate(invalid="ignore"):
        beyond = np.argwhere(np.abs(angles) > 2.0 * np.pi + 1e-6)
    if len(beyond):
        row, column = beyond[0].tolist()
        raise InputError(
            f"{file.path}: {file.location(row)}, column {_ANGLES[column]!r}: {angles[row, column]:g} is not an angle "
            "in radians, as in RobotCar; are these degrees?"
        )


def _matrices(table: FloatArray) -> FloatArray:
    """(n, 4, 4) of x, y, z, roll, pitch, yaw: yaw after pitch after roll."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(table[:, 3:].T), np.sin(table[:, 3:].T)
    pose = np.tile(np.eye(4), (len(table), 1, 1))
    pose[:, 0, :3] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], axis=1)
    pose[:, 1, :3] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], axis=1)
    pose[:, 2, :3] = np.stack([-sp, cp * sr, cp * cr], axis=1)
    pose[:, :3, 3] = table[:, :3]
    return pose


def _crs(file: TableFile, zone: npt.NDArray[np.str_], good: npt.NDArray[np.bool_]) -> str:
    """The reference system of the zone of the `good` rows."""
    if not good.any():
        return "local"
    zone = np.where(good, zone, zone[np.argmax(good)])
    file.check_single_value(
        "utm_zone",
        zone,
        "metres of two zones cannot be compared; use latitude and longitude instead (without --layout, and --columns "
        "key=timestamp,heading=NAME with degrees)",
    )
    match = _ZONE.fullmatch(str(zone[0])) if len(zone) else None
    if match is None or not 1 <= int(match[1]) <= 60:
        return "local"
    return utm_crs(int(match[1]), south=match[2].upper() < "N")
