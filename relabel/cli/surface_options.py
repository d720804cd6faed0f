"""Options of commands that label depth maps."""

from __future__ import annotations

from typing import Any

import click

from relabel.cli import options
from relabel.cli.options import Decorator

# Spelled out, since loading the library would make the help slow; a test compares them.
METHODS = ("surface", "voxel-iou")

method: Decorator[Any] = click.option(
    "--method",
    type=click.Choice(METHODS),
    default="surface",
    show_default=True,
    help="surface: what lies within the tolerance of what the other sees; voxel-iou: the plain voxels of both.",
)

tolerance: Decorator[Any] = click.option(
    "--tolerance",
    "tolerance_m",
    type=float,
    default=0.05,
    show_default=True,
    metavar="M",
    help="Points of two frames up to this far apart are one piece of surface, metres.",
)

voxel: Decorator[Any] = click.option(
    "--voxel",
    "voxel_m",
    type=float,
    metavar="M",
    help="Edge of a voxel, metres.  [default: 0.55 of --tolerance; all of it for voxel-iou]",
)

stride: Decorator[Any] = click.option(
    "--stride",
    type=click.IntRange(min=1),
    metavar="N",
    help="Take every Nth pixel of a row and of a column.  [default: 2, or 1 where depths are too large for that]",
)

depth_min: Decorator[Any] = click.option(
    "--depth-min",
    "nearest_m",
    type=float,
    default=0.0,
    show_default=True,
    metavar="M",
    help="Pass over what is nearer to the camera, metres.",
)

depth_max: Decorator[Any] = click.option(
    "--depth-max", "farthest_m", type=float, metavar="M", help="Pass over what is farther, metres.  [default: nothing]"
)

SURFACE = (method, tolerance, voxel, stride, depth_min, depth_max, options.device, options.measure, options.min_value)
"""What the overlap of surfaces depends on; each fills a field of `SurfaceOptions` of its name."""


def labelling_surface(*, default_output: str) -> Decorator[Any]:
    """All options that commands share which label by surface; they go to `relabel.cli.labelling.label_frames`."""

    def decorate(command: Any) -> Any:
        for option in reversed((options.output(default_output), *SURFACE, options.mask, *options.JOB)):
            command = option(command)
        return command

    return decorate


intrinsics: Decorator[Any] = click.option(
    "--intrinsics", metavar="FX,FY,CX,CY", help="Of the depth camera, pixels; the middle of the first pixel is (0, 0)."
)

depth_unit: Decorator[Any] = click.option(
    "--depth-unit", "depth_unit_m", type=float, metavar="M", help="What one step of a stored depth is, metres."
)
