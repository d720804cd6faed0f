"""The options of `relabel rgbd`."""

from __future__ import annotations

from pathlib import Path

import click

from relabel.datasets import options
from relabel.datasets.registry import ReaderSelection
from relabel.datasets.rgbd.spec import LAYOUTS, MAX_TIME_DIFFERENCE_S, Layout

OPTIONS = (
    options.root,
    options.layout(LAYOUTS, required=True),
    options.intrinsics,
    options.depth_unit,
    click.option(
        "--max-time-difference",
        "max_time_difference_s",
        type=float,
        metavar="SECONDS",
        help=f"With tum: how far apart in time a depth map and its pose may be.  [default: {MAX_TIME_DIFFERENCE_S:g}]",
    ),
    options.collection_name,
)


def select(
    root: Path,
    layout: Layout,
    intrinsics: str | None,
    depth_unit_m: float | None,
    max_time_difference_s: float | None,
    name: str | None,
) -> ReaderSelection:
    """Label any RGB-D sequence with poses by how much surface two frames share.

    tum: depth.txt, groundtruth.txt, depth maps in 1/5000 m; the name of the folder tells the intrinsics (freiburg1, 2
    or 3). Keys are the time stamps of depth.txt.

    scannet: depth/<n>.png in mm, pose/<n>.txt, intrinsic/intrinsic_depth.txt. Keys are the numbers.

    folder: depth/<name>.png in mm, pose/<name>.txt (4x4 or 3x4, from the camera to the world, metres), intrinsics.txt
    (fx fy cx cy, or a 3x3 or 4x4 matrix). Keys are the names, which may be numbered with gaps.

    The sequence becomes one collection, called as its folder unless --name says otherwise. Frames without a pose or a
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
    )
    return ReaderSelection([sequence])
