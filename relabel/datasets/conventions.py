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
"""The direction of the transformation that a stored pose is."""
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)

DEPTH_IS: tuple[DepthIs, ...] = ("z", "ray")
"""What a stored depth is, see `relabel.frames.Frames`; also defined here, since options import nothing heavy."""

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")
"""Suffixes of files that are taken for tables."""

TRAVEL_STEP_M, TRAVEL_GAP_M = 1.0, 50.0
"""Along a track, smaller steps count as no movement, and larger gaps begin another track."""

MAX_POSE_GAP_S = 0.5
"""Longest time between two poses for interpolation."""
