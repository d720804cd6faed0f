"""Trajectories as cameras: where a pose stands and looks on the ground.

Formats differ in which axis of their world is up, in which axis of a pose looks ahead, and in whether a pose leads from
the camera to the world or back. Where a format does not fix it, it is an option:

    kitti      12 numbers a line: 3x4 camera-to-world, x right, y down, z ahead; up is -y
    kitti360   a frame number and 12 numbers of the IMU (x ahead), or 16 of the camera (z): to a world with x east,
               y north, z up
    tum        t tx ty tz qx qy qz qw, or as a header names them: camera-to-world, z ahead; up is z unless an option
               says otherwise
    colmap     a model, its rigs and frames or its images: world-to-camera, z ahead; up is not known
    robotcar   ins.csv and rtk.csv: north, east, down and angles of the car, x ahead; vo.csv: its motions, in a row

The heading is the direction of the axis ahead, dropped to the ground.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.datasets import colmap_model, image_times, trajectory_formats
from relabel.datasets.along_track import PLANE, AlongTrack
from relabel.datasets.conventions import AXES, MAX_POSE_GAP_S, TrajectoryLayout
from relabel.datasets.trajectory_formats import Track
from relabel.display import several
from relabel.errors import InputError, OptionError
from relabel.geometry.headings import math_to_compass

UPRIGHT_DEG = 5.0
"""A camera that looks this near to straight up or down has no heading."""

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
# East and north on the ground for each up, so that east, north and up are right-handed. Where one of the axes is
# known by a name (north-east-down; x right, y down, z ahead; x right, y up), it keeps that name.
_GROUND = {"z": ("x", "y"), "-z": ("y", "x"), "y": ("x", "-z"), "-y": ("x", "z"), "x": ("y", "z"), "-x": ("z", "y")}
_READERS: dict[TrajectoryLayout, Callable[[Path], Track]] = {
    "kitti": trajectory_formats.kitti,
    "kitti360": trajectory_formats.kitti360,
    "tum": trajectory_formats.tum,
    "colmap": colmap_model.read,
    "robotcar": trajectory_formats.robotcar,
}
_UP = {"kitti": "-y", "kitti360": "z", "tum": "z", "robotcar": "-z"}
OWN = "own"
"""The axis ahead of each file, where files of one layout differ in it."""
_AHEAD = {"kitti": "z", "kitti360": OWN, "tum": "z", "colmap": "z", "robotcar": "x"}
# Camera axes (right, down, ahead) in the axes of a pose, where they follow from the format and the axis ahead.
_CAMERA = {"z": ("x", "y", "z"), "-z": ("x", "-y", "-z")}
_CAR = ("y", "z", "x")


@dataclass(frozen=True)
class Axes:
    """Which axis of the world is up, and which axis of a pose looks ahead."""

    up: str
    ahead: str


def axes_of(layout: TrajectoryLayout, *, up: str | None = None, ahead: str | None = None) -> Axes:
    """The axes of a layout, those that are given before those that are usual.

    Raises
    ------
    OptionError
        when an axis is not known by that name, or up is neither given nor fixed.
    """
    for option, value in (("--up", up), ("--axis", ahead)):
        if value is not None and value not in AXES:
            raise OptionError(f"{option} {value}: an axis has to be one of {', '.join(AXES)}")
    vertical = up or _UP.get(layout)
    if vertical is None:
        raise OptionError(
            f"{layout}: its world has no up axis by convention; set it with --up, for example --up -y, or --up z if "
            "the model was aligned with the ground"
        )
    return Axes(vertical, ahead or _AHEAD[layout])


def read(
    path: Path,
    layout: TrajectoryLayout,
    axes: Axes,
    *,
    times: Path | None = None,
    max_gap_s: float = MAX_POSE_GAP_S,
    along_track: AlongTrack | None = None,
) -> tuple[Cameras, tuple[str, ...]]:
    """The cameras of one trajectory, with poses, and what the user should know.

    With `times`, a file of time stamps, they are those of images between the poses of a track of RobotCar; see
    `relabel.datasets.image_times`. With `along_track` headings are the direction of travel, and there are no poses.

    Positions are east, north and up in metres, and so is the world of the poses, which lead there from the camera
    (x right, y down, z ahead). Poses that are not finite get the status `NO_POSE`, cameras that look within 5° of
    straight up or down `NO_HEADING`. Where right and down do not follow from `axes`, there are no poses.

    Raises
    ------
    InputError
        when the file cannot be read as that layout; the message names file and line.
    """
    track = _READERS[layout](path)
    if not len(track.key):
        raise InputError(f"{path}: holds no pose; is it {layout}?")
    if times is not None:
        track = image_times.at_times(track, path, image_times.read_times(times), max_gap_s)
    if along_track is not None:
        return _along(track, axes, along_track)
    if not track.turned:
        raise InputError(
            f"{path}: has positions but no angles, so no heading is known; use the direction of travel (--heading "
            "travel), or another file of the drive, such as ins.csv"
        )
    if axes.ahead == OWN:
        axes = Axes(axes.up, track.ahead)
    of_car = layout == "robotcar" or track.ahead == "x"
    frame = _CAR if of_car and axes.ahead == "x" else _CAMERA.get(axes.ahead)
    return cameras_of(track, axes, frame)


def _along(track: Track, axes: Axes, along_track: AlongTrack) -> tuple[Cameras, tuple[str, ...]]:
    """The cameras of a track, which look along it."""
    position = track.pose[:, :3, 3] @ ground_axes(axes.up).T
    known = np.isfinite(position).all(axis=1)
    heading, notes = along_track.headings(position[:, :2], PLANE, np.zeros(len(position)), _order(track.key))
    if not known.all():
        notes = (f"{several(int((~known).sum()), 'pose is', 'poses are')} unknown", *notes)
    status = np.where(known, Status.OK, Status.NO_POSE).astype(np.uint8)
    cameras = Cameras(track.key, position, heading_deg=heading, status=status, crs=track.crs)
    return cameras, (*track.notes, *notes)


def _order(key: npt.NDArray[np.str_]) -> FloatArray:
    """(n,) the time of each pose, or its place in the file where keys are not numeric."""
    try:
        times = key.astype(np.float64)
    except ValueError:
        times = np.full(len(key), np.nan)
    return times if np.isfinite(times).all() else np.arange(len(key), dtype=np.float64)


def cameras_of(track: Track, axes: Axes, frame: tuple[str, str, str] | None) -> tuple[Cameras, tuple[str, ...]]:
    """The cameras of a track, and what the user should know; see `read`.

    `frame` names the axes of a pose that are right, down and ahead for the camera; without it there are no poses.
    """
    ground = ground_axes(axes.up)
    rotation = ground @ track.pose[:, :3, :3]
    position = track.pose[:, :3, 3] @ ground.T
    with np.errstate(invalid="ignore"):
        ahead = rotation @ axis(axes.ahead)
        level = np.hypot(ahead[:, 0], ahead[:, 1])
        heading = np.where(
            level > np.sin(np.radians(UPRIGHT_DEG)), math_to_compass(np.arctan2(ahead[:, 1], ahead[:, 0])), np.nan
        )
    finite = np.isfinite(track.pose).all(axis=(1, 2))
    status = np.where(np.isnan(heading), Status.NO_HEADING, Status.OK)
    status = np.where(finite, status, Status.NO_POSE).astype(np.uint8)
    pose = None
    if frame is not None:
        pose = np.tile(np.eye(4), (len(track.key), 1, 1))
        pose[:, :3, :3] = rotation @ np.column_stack([axis(name) for name in frame])
        pose[:, :3, 3] = position
    steep = int((np.isnan(heading) & finite).sum())
    notes = list(track.notes)
    if steep:
        notes.append(
            f"{several(steep, 'camera looks straight up or down and has', 'cameras look straight up or down and have')}"
            " no heading"
        )
    if not finite.all():
        notes.append(f"{several(int((~finite).sum()), 'pose is', 'poses are')} unknown")
    cameras = Cameras(track.key, position, heading_deg=heading, pose=pose, status=status, crs=track.crs)
    return cameras, tuple(notes)


def axis(name: str) -> FloatArray:
    """The unit vector (3,) of an axis by its name."""
    sign = -1.0 if name.startswith("-") else 1.0
    return sign * np.array(_AXES[name[-1]])


def ground_axes(up: str) -> FloatArray:
    """(3, 3) whose rows are east, north and up in the axes of the world; a rotation."""
    east, north = _GROUND[up]
    rows: npt.NDArray[np.float64] = np.stack([axis(east), axis(north), axis(up)])
    return rows
