"""Options of what labels are made of: overlaps of fields of view, and of surface. Each fills a field of its params."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from relabel.cli import options
from relabel.datasets.options import Decorator
from relabel.fov.params import SHAPES, FovParams
from relabel.surface.params import METHODS, VOXEL_SHARE, SurfaceParams

_FOV = FovParams()
_SURFACE = SurfaceParams()


def _number(flag: str, name: str, default: float, metavar: str, text: str) -> Decorator[Any]:
    return click.option(flag, name, type=float, default=default, show_default=True, metavar=metavar, help=text)


def fov_deg(default: float) -> Decorator[Any]:
    """`--fov DEG`; datasets differ in what their cameras see."""
    return _number("--fov", "fov_deg", default, "DEG", "Horizontal field of view θ, degrees in (0, 360].")


occluders: Decorator[Any] = click.option(
    "--occluders",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Footprints of buildings, GeoJSON or GeoParquet, that cut the fields of view; the shape is then polygon.",
)

FOV_OPTIONS: tuple[Decorator[Any], ...] = (
    _number("--radius", "radius_m", _FOV.radius_m, "M", "Range r of a field of view, metres."),
    click.option(
        "--shape",
        type=click.Choice(SHAPES),
        default=_FOV.shape,
        show_default=True,
        help="The exact circular sector, or a polygon of apex and arc segments as other people's labels use it.",
    ),
    click.option(
        "--arc",
        type=click.IntRange(min=1),
        default=_FOV.arc,
        show_default=True,
        metavar="N",
        help="Segments of the polygon's arc.",
    ),
    _number(
        "--heading-sigma",
        "heading_sigma_deg",
        _FOV.heading_sigma_deg,
        "DEG",
        "Standard deviation of the headings' noise: ψ is then the value to be expected under it.",
    ),
    _number(
        "--position-sigma",
        "position_sigma_m",
        _FOV.position_sigma_m,
        "M",
        "Standard deviation of the positions' noise along either axis, metres: as --heading-sigma.",
    ),
    _number(
        "--max-heading-difference",
        "max_heading_difference_deg",
        _FOV.max_heading_difference_deg,
        "DEG",
        "Pairs whose headings differ by more have ψ 0, such as cameras that face each other; in (0, 180].",
    ),
    occluders,
    click.option(
        "--occluders-crs",
        metavar="CRS",
        help="Reference system of the footprints, such as EPSG:32636, or local for that of the cameras.  "
        "[default: what the file says]",
    ),
)
"""All of `FovParams` but for `fov_deg` and what both kinds share, and what cuts the fields of view."""

SURFACE_OPTIONS: tuple[Decorator[Any], ...] = (
    click.option(
        "--method",
        type=click.Choice(METHODS),
        default=_SURFACE.method,
        show_default=True,
        help="surface: what lies within the tolerance of what the other sees; voxel-iou: the plain voxels of both.",
    ),
    _number(
        "--tolerance",
        "tolerance_m",
        _SURFACE.tolerance_m,
        "M",
        "Points of two frames up to this far apart are one piece of surface, metres.",
    ),
    click.option(
        "--voxel",
        "voxel_m",
        type=float,
        metavar="M",
        help=f"Edge of a voxel, metres.  [default: {VOXEL_SHARE:g} of --tolerance; all of it for voxel-iou]",
    ),
    click.option(
        "--stride",
        type=click.IntRange(min=1),
        metavar="N",
        help="Take every Nth pixel of a row and of a column.  [default: 2, or 1 where depths are too large for that]",
    ),
    _number("--depth-min", "nearest_m", _SURFACE.nearest_m, "M", "Skip what is nearer to the camera, metres."),
    click.option(
        "--depth-max", "farthest_m", type=float, metavar="M", help="Skip what is farther, metres.  [default: nothing]"
    ),
    options.device,
)
"""All of `SurfaceParams` but for what both kinds share, and the device."""

SHARED_OPTIONS: tuple[Decorator[Any], ...] = (options.measure, options.min_value)
"""Fields of both `FovParams` and `SurfaceParams`."""
