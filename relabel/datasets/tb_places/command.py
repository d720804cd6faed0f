"""The options of `relabel tb-places`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relabel.datasets import options
from relabel.datasets.conventions import Direction, Quaternion
from relabel.datasets.registry import LabelKind, ReaderSelection
from relabel.errors import OptionError

if TYPE_CHECKING:
    from relabel.frames import DepthIs

OPTIONS = (
    options.root,
    click.option("--sets", metavar="NAME,…", help="Only these sets, such as W17.  [default: all present]"),
    options.axes,
    options.quaternion,
    options.direction,
    click.option(
        "--depth",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder of depth maps, a 16-bit PNG for each image at its path in the set.",
    ),
    options.intrinsics,
    options.depth_unit,
    options.depth_is,
)


def label_kind(
    depth: Path | None, intrinsics: str | None, depth_unit_m: float | None, depth_is: DepthIs, **_: Any
) -> LabelKind:
    """Surface where there are depth maps, else fields of view."""
    rays = None if depth_is == "z" else depth_is
    for option, value in (("--intrinsics", intrinsics), ("--depth-unit", depth_unit_m), ("--depth-is", rays)):
        if depth is None and value is not None:
            raise OptionError(f"{option} needs --depth")
    return "fov" if depth is None else "surface"


def select(
    root: Path,
    sets: str | None,
    axes: str | None,
    quaternion: Quaternion,
    direction: Direction,
    depth: Path | None,
    intrinsics: str | None,
    depth_unit_m: float | None,
    depth_is: DepthIs,
) -> ReaderSelection:
    """Label TB-Places from the poses of its sets, <set>.json in DIR or in a folder directly below it.

    With --depth, --intrinsics and --depth-unit the labels are the surface that two frames share; the dataset comes
    without depth maps. Otherwise they are the overlap of fields of view, with --fov and --radius. The dataset does not
    state its axes, so --axes has to: ahead and down for surfaces, ahead and up for fields of view. They are recorded in
    the file.
    """
    from relabel.datasets.matrix_files import parse_intrinsics
    from relabel.datasets.tb_places.sets import depth_readers, readers

    if depth is None:
        return readers(root, axes=axes, sets=sets, quaternion=quaternion, direction=direction)
    return depth_readers(
        root,
        depth,
        axes=axes,
        intrinsics=None if intrinsics is None else parse_intrinsics(intrinsics),
        depth_unit_m=depth_unit_m,
        depth_is=depth_is,
        sets=sets,
        quaternion=quaternion,
        direction=direction,
    )
