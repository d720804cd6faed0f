"""What overlaps of fields of view depend on, as options of a labelling command: each fills a field of `FovParams`."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

from relabel.cli import options
from relabel.datasets.registry import DatasetSpec
from relabel.errors import OptionError
from relabel.exclusion import Exclusion
from relabel.fov.params import SHAPES, FovParams

if TYPE_CHECKING:
    from relabel.pipeline.fov_part import FovPart

_DEFAULTS = FovParams()
_OCCLUDERS = ("occluders", "occluders_crs")

NAMES = (*(field.name for field in fields(FovParams)), *_OCCLUDERS)
"""Parameters that the options fill, `measure` and `min_value` among them, which both kinds of label have."""

_OPTIONS: tuple[options.Decorator[Any], ...] = (
    options.number("--radius", "radius_m", _DEFAULTS.radius_m, "M", "Range r of a field of view, metres."),
    click.option(
        "--shape",
        type=click.Choice(SHAPES),
        default=_DEFAULTS.shape,
        show_default=True,
        help="The exact circular sector, or a polygon of apex and arc segments, as some published labels use.",
    ),
    click.option(
        "--arc",
        type=click.IntRange(min=1),
        default=_DEFAULTS.arc,
        show_default=True,
        metavar="N",
        help="Segments of the polygon's arc.",
    ),
    options.number(
        "--heading-sigma",
        "heading_sigma_deg",
        _DEFAULTS.heading_sigma_deg,
        "DEG",
        "Standard deviation of the heading noise; ψ is then its expected value under this noise.",
    ),
    options.number(
        "--position-sigma",
        "position_sigma_m",
        _DEFAULTS.position_sigma_m,
        "M",
        "Standard deviation of the position noise along each axis, metres; like --heading-sigma.",
    ),
    options.number(
        "--max-heading-difference",
        "max_heading_difference_deg",
        _DEFAULTS.max_heading_difference_deg,
        "DEG",
        "Pairs whose headings differ by more have ψ 0, such as cameras that face each other; in (0, 180].",
    ),
    click.option(
        "--max-height-difference",
        "max_height_difference_m",
        type=float,
        default=_DEFAULTS.max_height_difference_m,
        show_default="no limit",
        metavar="M",
        help="Pairs whose heights differ by more have ψ 0, as on and under a bridge; cameras without a height keep "
        "all pairs.",
    ),
    options.occluders,
    click.option(
        "--occluders-crs",
        metavar="CRS",
        help="Reference system of the footprints, such as EPSG:32636, or local for that of the cameras.  "
        "[default: as the file says]",
    ),
)


def decorators(spec: DatasetSpec) -> tuple[options.Decorator[Any], ...]:
    """The options of a command, without `measure` and `min_value`; datasets differ in how much their cameras see."""
    fov_deg = options.number(
        "--fov", "fov_deg", spec.default_fov_deg, "DEG", "Horizontal field of view θ, degrees in (0, 360]."
    )
    return (fov_deg, *_OPTIONS)


def parts_maker(values: dict[str, Any], excluded: Exclusion) -> Callable[[Sequence[Any]], tuple[FovPart, ...]]:
    """What makes one part for each reader; `values` are those of all `NAMES`, and `excluded` is recorded in the labels.

    Raises
    ------
    OptionError
        when a value is outside its range.
    """
    if 0 < values["fov_deg"] <= 2 * math.pi:
        logging.getLogger(__name__).warning(
            "--fov %g is a field of view of %g degrees; if that is in radians, give --fov %.4g",
            values["fov_deg"],
            values["fov_deg"],
            math.degrees(values["fov_deg"]),
        )
    occluders = {name: values[name] for name in _OCCLUDERS}
    params = FovParams(**{name: value for name, value in values.items() if name not in occluders})
    if occluders["occluders"] is None and occluders["occluders_crs"] is not None:
        raise OptionError("--occluders-crs says what the coordinates of --occluders are; give both or neither")

    def make(readers: Sequence[Any]) -> tuple[FovPart, ...]:
        from relabel.pipeline.fov_part import fov_parts

        return fov_parts(readers, params, **occluders, excluded=excluded)

    return make
