"""relabel tb-places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from relabel.cli import fov_options, options, surface_options
from relabel.errors import OptionError

# Spelled out because relabel.datasets loads numpy; a test holds them equal to those of relabel.datasets.tb_places.
QUATERNIONS = ("xyzw", "wxyz")
DIRECTIONS = ("camera-to-world", "world-to-camera")

_VIEWS = (fov_options.fov(90.0), fov_options.radius, fov_options.shape, fov_options.arc, *fov_options.NOISE)
_WALLS = (fov_options.occluders, fov_options.occluders_crs)
_OF_VIEWS = (
    *("fov_deg", "radius_m", "shape", "arc", "heading_sigma_deg", "position_sigma_m", "max_heading_difference_deg"),
    *("occluders", "occluders_crs"),
)
_OF_SURFACE = ("method", "tolerance_m", "voxel_m", "stride", "nearest_m", "farthest_m", "device")
_OF_DEPTH = ("intrinsics", "depth_unit_m", *_OF_SURFACE)


def _of_views(command: Any) -> Any:
    for option in reversed((*_VIEWS, *_WALLS)):
        command = option(command)
    return command


@click.command()
@options.root
@click.option("--sets", metavar="NAME,…", help="Only these sets, such as W17.  [default: all that there are]")
@click.option(
    "--axes",
    metavar="ROLE=AXIS,…",
    help="Which axis is what, as in ahead=z,down=y,up=-y: ahead and down in the picture are axes of a pose (x, -x, y, "
    "-y, z, -z), up is an axis of the world.",
)
@click.option(
    "--quaternion",
    type=click.Choice(QUATERNIONS),
    default="xyzw",
    show_default=True,
    help="Order of the last four numbers of a pose.",
)
@click.option(
    "--poses",
    "direction",
    type=click.Choice(DIRECTIONS),
    default="camera-to-world",
    show_default=True,
    help="Where a pose leads.",
)
@click.option(
    "--depth",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Depth maps, a 16-bit PNG for each picture under its path in the set.",
)
@surface_options.intrinsics
@surface_options.depth_unit
@_of_views
@surface_options.labelling_surface(default_output="tb-places.h5")
def tb_places_command(
    root: Path,
    sets: str | None,
    axes: str | None,
    quaternion: Any,
    direction: Any,
    depth: Path | None,
    intrinsics: str | None,
    depth_unit_m: float | None,
    output: Path,
    **job: Any,
) -> None:
    """Label TB-Places from the poses of its sets, <set>.json in DIR or in a folder right below.

    With --depth, --intrinsics and --depth-unit the labels tell how much surface two frames share; the data set comes
    without depth maps. Else they tell how much the fields of view overlap, with --fov and --radius. The data set does
    not say which way its axes point, so --axes has to: ahead and down for surfaces, ahead and up for fields of view. It
    is recorded in the file.
    """
    from relabel.cli.labelling import label, label_frames
    from relabel.datasets.matrix_files import parse_intrinsics
    from relabel.datasets.tb_places import sets as tb_places_reader

    _check(with_depth=depth is not None)
    if depth is None:
        fields, others = tb_places_reader.readers(
            root, axes=axes, sets=sets, quaternion=quaternion, direction=direction
        )
        for name in _OF_SURFACE:
            del job[name]
        label(fields, output, skipped=_passed_over(others), **job)
        return
    scenes, others = tb_places_reader.depth_readers(
        root,
        depth,
        axes=axes,
        intrinsics=None if intrinsics is None else parse_intrinsics(intrinsics),
        depth_unit_m=depth_unit_m,
        sets=sets,
        quaternion=quaternion,
        direction=direction,
    )
    for name in _OF_VIEWS:
        del job[name]
    label_frames(scenes, output, skipped=_passed_over(others), **job)


def _check(*, with_depth: bool) -> None:
    """Raise an OptionError where an option was given that the other of the two kinds of labels takes."""
    context = click.get_current_context()
    other, why = (_OF_VIEWS, "is for fields of view; leave out --depth") if with_depth else (_OF_DEPTH, "needs --depth")
    for parameter in context.command.params:
        name = str(parameter.name)
        if name in other and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise OptionError(f"{parameter.opts[0]} {why}")


def _passed_over(others: tuple[Path, ...]) -> list[str]:
    return [f"{path}: passed over: has no im_paths and poses" for path in others]
