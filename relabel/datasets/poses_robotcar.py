"""Oxford RobotCar: poses of the car from its inertial navigation, or from visual odometry.

    ins.csv   timestamp, ins_status, …, northing, easting, down, utm_zone, …, roll, pitch, yaw
    rtk.csv   timestamp, …, northing, easting, down, utm_zone, …, roll, pitch, yaw
    vo.csv    source_timestamp, destination_timestamp, x, y, z, roll, pitch, yaw

Angles are radians: roll about x, then pitch about y, then yaw about z, of a car with x ahead, y to the right and z
down, in a world of north, east and down. A line of vo.csv leads from the frame of its source, the later one, to that of
its destination; the frame of the first destination is the world of the whole track, so that two drives have two worlds.
Cameras are mounted on the car: their own turn is told by the axis that looks ahead.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets.poses_text import Track
from relabel.datasets.table_files import TableFile
from relabel.errors import InputError
from relabel.geometry.projection import utm_crs

_ANGLES = ("roll", "pitch", "yaw")
_PLACE = ("northing", "easting", "down")
_MOTION = ("x", "y", "z")
_ZONE = re.compile(r"\s*(\d{1,2})\s*([C-HJ-NP-X])\s*", re.IGNORECASE)


def read(path: Path) -> Track:
    """The poses of ins.csv, rtk.csv or vo.csv, told apart by their columns; keys are time stamps.

    Raises
    ------
    InputError
        when the file is neither, or a cell is wrong; the message names file and line.
    """
    file = TableFile(path)
    for time, place, reader in (("timestamp", _PLACE, _navigation), ("source_timestamp", _MOTION, _odometry)):
        if {time, *place, *_ANGLES} <= set(file.columns):
            return reader(file)
    raise InputError(
        f"{path}: is neither ins.csv or rtk.csv ({', '.join(('timestamp', *_PLACE, *_ANGLES))}) nor vo.csv "
        f"({', '.join(('source_timestamp', 'destination_timestamp', *_MOTION, *_ANGLES))}) of RobotCar; it has "
        f"{', '.join(file.columns)}"
    )


def _navigation(file: TableFile) -> Track:
    zoned = "utm_zone" in file.columns
    table = file.read(
        {
            "timestamp": "text",
            **dict.fromkeys((*_PLACE, *_ANGLES), "float"),
            **({"utm_zone": "text"} if zoned else {}),
        }
    )
    file.check_keys(table["timestamp"], "column 'timestamp'")
    pose = _matrices(np.column_stack([table[name] for name in (*_PLACE, *_ANGLES)]))
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
            f"{file.place(end)} does not go on from the line before it; the {len(steps) - end:,} poses from there on "
            "have no common world with those before"
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
    values, first = np.unique(zone, return_index=True)
    if len(values) > 1:
        a, b = sorted(first.tolist())[:2]
        raise InputError(
            f"{file.path}: column 'utm_zone' is {str(zone[a])!r} in {file.place(a)} and {str(zone[b])!r} in "
            f"{file.place(b)}: metres of two zones cannot be compared; take latitude and longitude instead (without "
            "--layout, and --columns key=timestamp,heading=NAME with degrees)"
        )
    found = _ZONE.fullmatch(str(values[0])) if len(values) else None
    if found is None or not 1 <= int(found[1]) <= 60:
        return "local"
    return utm_crs(int(found[1]), south=found[2].upper() < "N")
