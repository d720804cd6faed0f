"""Options of commands that label by fields of view."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from relabel.cli import options
from relabel.cli.options import Decorator

# Spelled out, since loading the library would make the help slow; a test compares them.
SHAPES = ("sector", "polygon")


def fov(default: float) -> Decorator[Any]:
    """`--fov DEG`; data sets differ in what their cameras see."""
    return click.option(
        "--fov",
        "fov_deg",
        type=float,
        default=default,
        show_default=True,
        metavar="DEG",
        help="Horizontal field of view θ, degrees in (0, 360].",
    )


radius: Decorator[Any] = click.option(
    "--radius",
    "radius_m",
    type=float,
    default=50.0,
    show_default=True,
    metavar="M",
    help="Range r of a field of view, metres.",
)

shape: Decorator[Any] = click.option(
    "--shape",
    type=click.Choice(SHAPES),
    default="sector",
    show_default=True,
    help="The exact circular sector, or a polygon of apex and arc segments as other people's labels use it.",
)

arc: Decorator[Any] = click.option(
    "--arc",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    metavar="N",
    help="Segments of the polygon's arc.",
)

heading_sigma: Decorator[Any] = click.option(
    "--heading-sigma",
    "heading_sigma_deg",
    type=float,
    default=0.0,
    show_default=True,
    metavar="DEG",
    help="Standard deviation of the headings' noise: ψ is then the value to be expected under it.",
)

position_sigma: Decorator[Any] = click.option(
    "--position-sigma",
    "position_sigma_m",
    type=float,
    default=0.0,
    show_default=True,
    metavar="M",
    help="Standard deviation of the positions' noise along either axis, metres: as --heading-sigma.",
)

max_heading_difference: Decorator[Any] = click.option(
    "--max-heading-difference",
    "max_heading_difference_deg",
    type=float,
    default=180.0,
    show_default=True,
    metavar="DEG",
    help="Pairs whose headings differ by more have ψ 0, such as cameras that face each other; in (0, 180].",
)

occluders: Decorator[Any] = click.option(
    "--occluders",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Footprints of buildings, GeoJSON or GeoParquet, that cut the fields of view; the shape is then polygon.",
)

occluders_crs: Decorator[Any] = click.option(
    "--occluders-crs",
    metavar="CRS",
    help="Reference system of the footprints, such as EPSG:32636, or local for that of the cameras.  "
    "[default: what the file says]",
)

NOISE = (heading_sigma, position_sigma, max_heading_difference)

OVERLAP = (radius, shape, arc, options.measure, options.min_value, *NOISE, occluders, occluders_crs)
"""What the overlap of fields of view depends on besides --fov; each fills a field of `FovOptions` of its name."""


def labelling(*, default_output: str, default_fov: float = 90.0) -> Decorator[Any]:
    """All options that commands share which label by fields of view; they go to `relabel.cli.labelling.label`."""

    def decorate(command: Any) -> Any:
        for option in reversed(
            (options.output(default_output), fov(default_fov), *OVERLAP, options.mask, *options.JOB)
        ):
            command = option(command)
        return command

    return decorate
