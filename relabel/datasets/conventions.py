"""Names of conventions that several readers and the command line share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from relabel.frames import DepthIs

AXES = ("x", "-x", "y", "-y", "z", "-z")
"""Axes of a pose, and of the world that a trajectory is in."""

TrajectoryLayout = Literal["kitti", "kitti360", "tum", "colmap", "robotcar"]
TRAJECTORY_LAYOUTS: tuple[TrajectoryLayout, ...] = get_args(TrajectoryLayout)

Quaternion = Literal["xyzw", "wxyz"]
"""The order of the last four numbers of a stored pose."""
QUATERNIONS: tuple[Quaternion, ...] = get_args(Quaternion)
Direction = Literal["camera-to-world", "world-to-camera"]
"""Where a stored pose leads."""
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

DEPTH_IS: tuple[DepthIs, ...] = ("z", "ray")
"""What a stored depth is, see `relabel.frames.Frames`; named here as well, since options load nothing heavy."""

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
"""Files that are taken for tables by their names."""

TRAVEL_STEP_M, TRAVEL_GAP_M = 1.0, 50.0
"""Along a track, less than the one is no movement, and beyond the other it is another track."""

MAX_POSE_GAP_S = 0.5
"""Longest time between two poses that a pose between them is taken from."""
