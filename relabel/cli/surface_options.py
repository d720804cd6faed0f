"""What overlaps of surface depend on, as options of a labelling command: each fills a field of `SurfaceParams`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from relabel.cli import options
from relabel.datasets.registry import DatasetSpec
from relabel.exclusion import Exclusion
from relabel.surface.params import METHODS, VOXEL_SHARE, SurfaceParams

if TYPE_CHECKING:
    from relabel.pipeline.surface_part import SurfacePart

_DEFAULTS = SurfaceParams()

NAMES = (*(field.name for field in fields(SurfaceParams)), "device")
"""Parameters that the options fill, `measure` and `min_value` among them, which both kinds of label have."""

_OPTIONS: tuple[options.Decorator[Any], ...] = (
    click.option(
        "--method",
        type=click.Choice(METHODS),
        default=_DEFAULTS.method,
        show_default=True,
        help="surface: surface within the tolerance of what the other camera sees; voxel-iou: IoU of the occupied "
        "voxels.",
    ),
    options.number(
        "--tolerance",
        "tolerance_m",
        _DEFAULTS.tolerance_m,
        "M",
        "Points of two frames at most this far apart count as the same surface, metres.",
    ),
    click.option(
        "--voxel",
        "voxel_m",
        type=float,
        metavar="M",
        help=f"Edge length of a voxel, metres.  [default: {VOXEL_SHARE:g} of --tolerance; all of it for voxel-iou]",
    ),
    click.option(
        "--stride",
        type=click.IntRange(min=1),
        metavar="N",
        help="Pixel stride: use every Nth row and column of pixels.  [default: 2, or 1 if depths are too large for "
        "that]",
    ),
    options.number("--depth-min", "nearest_m", _DEFAULTS.nearest_m, "M", "Ignore depths below this, metres."),
    click.option(
        "--depth-max",
        "farthest_m",
        type=float,
        metavar="M",
        help="Ignore depths above this, metres.  [default: no limit]",
    ),
    options.device,
)


def decorators(spec: DatasetSpec) -> tuple[options.Decorator[Any], ...]:
    """The options of a command, without `measure` and `min_value`; the same for all datasets."""
    del spec
    return _OPTIONS


def parts_maker(values: dict[str, Any], excluded: Exclusion) -> Callable[[Sequence[Any]], tuple[SurfacePart, ...]]:
    """What makes one part for each reader; `values` are those of all `NAMES`, and `excluded` is recorded in the labels.

    Raises
    ------
    OptionError
        when a value is outside its range.
    """
    params = SurfaceParams(**{name: value for name, value in values.items() if name != "device"})

    def make(readers: Sequence[Any]) -> tuple[SurfacePart, ...]:
        from relabel.pipeline.surface_part import surface_parts

        return surface_parts(readers, params, device=values["device"], excluded=excluded)

    return make
