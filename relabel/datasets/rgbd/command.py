"""The options of `relabel rgbd`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relabel.datasets import options
from relabel.datasets.conventions import Direction, Quaternion
from relabel.datasets.registry import ReaderSelection
from relabel.datasets.rgbd.spec import CONVENTIONS, LAYOUTS, MAX_TIME_DIFFERENCE_S, Convention, Layout

if TYPE_CHECKING:
    from relabel.frames import DepthIs

OPTIONS = (
    options.root,
    options.layout(LAYOUTS, required=True),
    options.intrinsics,
    options.depth_unit,
    options.depth_is,
    click.option(
        "--convention",
        type=click.Choice(CONVENTIONS),
        help="Axes of a camera in its pose: x right, y down, z ahead, or, as in OpenGL and Blender, y up and z back.  "
        f"[default: {CONVENTIONS[0]}]",
    ),
    options.axes,
    options.direction,
    options.quaternion,
    click.option(
        "--max-time-difference",
        "max_time_difference_s",
        type=float,
        metavar="SECONDS",
        help="With tum: greatest time difference between a depth map and its pose, seconds.  [default: "
        f"{MAX_TIME_DIFFERENCE_S:g}]",
    ),
    options.collection_name,
)


def select(
    root: Path,
    layout: Layout,
    intrinsics: str | None,
    depth_unit_m: float | None,
    depth_is: DepthIs,
    convention: Convention | None,
    axes: str | None,
    direction: Direction,
    quaternion: Quaternion,
    max_time_difference_s: float | None,
    name: str | None,
) -> ReaderSelection:
    """Label any RGB-D sequence with poses by how much surface two frames share.

    tum: depth.txt (or associations.txt) and groundtruth.txt; intrinsics and depth unit follow from the name of the
    folder (freiburg1, 2 or 3), or from --intrinsics and --depth-unit. Keys are the time stamps of the depth maps.

    scannet: depth/<n>.png in mm, pose/<n>.txt, and the intrinsics in intrinsic/, <scene>.txt or _info.txt; or the files
    exported from a .sens file, all in one folder. Keys are the numbers.

    folder: depth maps in mm and poses (4x4 or 3x4, camera-to-world, metres) of the same name: depth/NAME.png and
    pose/NAME.txt; depth/NAME.depth.png and poses/NAME.pose.txt (ACE, DSAC*); NAME.depth.png and NAME.pose.txt in one
    folder (12Scenes, BundleFusion); or all poses in one file, poses.txt, trajectory.log or traj.txt (Replica, with
    results/depth000000.png). Intrinsics are in intrinsics.txt (fx fy cx cy, or a 3x3 or 4x4 matrix), info.txt,
    intrinsic.json, cam_params.json or calibration/. Keys are the names, which may be numbered with gaps.

    The sequence becomes one collection, named after its folder unless --name is given. Frames without a pose or a
    depth map keep their row and are counted.
    """
    from relabel.datasets.matrix_files import parse_intrinsics
    from relabel.datasets.rgbd.sequence import reader

    sequence = reader(
        root,
        layout,
        name=name,
        intrinsics=None if intrinsics is None else parse_intrinsics(intrinsics),
        depth_unit_m=depth_unit_m,
        max_time_difference_s=max_time_difference_s,
        convention=convention,
        axes=axes,
        direction=direction,
        quaternion=quaternion,
        depth_is=depth_is,
    )
    return ReaderSelection([sequence])
