"""The parameters of the overlap of fields of view: units, defaults, and valid values.

Nothing heavy is imported here, so that the command line can take its options from this module.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from relabel.errors import OptionError
from relabel.measures import DEFAULT_MIN_VALUE, Measure, check_measure, check_min_value, check_number

Shape = Literal["sector", "polygon"]
SHAPES: tuple[Shape, ...] = get_args(Shape)

MIN_RADIUS_M, MAX_RADIUS_M = 1e-6, 1e7  # within these bounds, no intermediate product of the kernels overflows float64
MAX_HEADING_SIGMA_DEG = 45.0  # beyond it, nodes would turn a camera by more than 180°

_WITHOUT_EFFECT = {
    "heading_sigma_deg": 0.0,
    "position_sigma_m": 0.0,
    "max_heading_difference_deg": 180.0,
    "max_height_difference_m": math.inf,
}


@dataclass(frozen=True)
class FovParams:
    """The parameters of the overlap of fields of view.

    Attributes
    ----------
    fov_deg:
        horizontal field of view in degrees, in (0, 360], of cameras that have none of their own.
    radius_m:
        range in metres of cameras that have none of their own.
    shape:
        ``sector``, which is exact, or ``polygon``: the apex and `arc` segments whose corners are on the circle.
    arc:
        number of segments of the polygon's arc.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    min_value:
        values up to this are not stored.
    heading_sigma_deg, position_sigma_m:
        standard deviation of the noise of each heading, in [0°, 45°], and of each position along either axis, in
        metres, of cameras that have none of their own.
    max_heading_difference_deg:
        pairs whose headings differ by more have ψ = 0; in (0°, 180°]. A camera that sees a full circle has no such
        limit.
    max_height_difference_m:
        pairs whose heights differ by more have ψ = 0; above 0 m. A camera without a height has no such limit.

    Raises
    ------
    OptionError
        when a value is outside its range. Whether `arc` segments suffice depends on the cameras, and is checked there.
    """

    fov_deg: float = 90.0
    radius_m: float = 50.0
    shape: Shape = "sector"
    arc: int = 16
    measure: Measure = "iou"
    min_value: float = DEFAULT_MIN_VALUE
    heading_sigma_deg: float = 0.0
    position_sigma_m: float = 0.0
    max_heading_difference_deg: float = 180.0
    max_height_difference_m: float = math.inf

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise OptionError(f"shape {self.shape!r} is not known; choose {' or '.join(SHAPES)}")
        check_measure(self.measure)
        check_min_value(self.min_value)
        for name in ("fov_deg", "radius_m", "arc", *_WITHOUT_EFFECT):
            check_number(name, getattr(self, name))
        if not 0.0 < self.max_heading_difference_deg <= 180.0:
            raise OptionError(
                f"the largest heading difference is {self.max_heading_difference_deg:g}°; it has to be above 0° "
                "and at most 180°"
            )
        if not self.max_height_difference_m > 0.0:
            raise OptionError(
                f"the largest height difference is {self.max_height_difference_m:g} m; it has to be above 0 m"
            )
        if not 0.0 < self.fov_deg <= 360.0:
            raise OptionError(f"the field of view is {self.fov_deg:g}°; it has to be above 0° and at most 360°")
        if not MIN_RADIUS_M <= self.radius_m <= MAX_RADIUS_M:
            raise OptionError(
                f"the radius is {self.radius_m:g} m; it has to be from {MIN_RADIUS_M:g} to {MAX_RADIUS_M:g} m"
            )
        for name, most, unit in (
            ("heading_sigma_deg", MAX_HEADING_SIGMA_DEG, "°"),
            ("position_sigma_m", MAX_RADIUS_M, " m"),
        ):
            value = getattr(self, name)
            if not 0.0 <= value <= most:
                raise OptionError(f"{name} is {value:g}{unit}; it has to be from 0{unit} to {most:g}{unit}")
        # As floats, so that 90 and 90.0 do not make different files.
        for name in ("fov_deg", "radius_m", "min_value", *_WITHOUT_EFFECT):
            object.__setattr__(self, name, float(getattr(self, name)))

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `arc`, noise and the limits of headings and heights only if they have an effect."""
        values = asdict(self)
        if self.shape == "sector":
            del values["arc"]
        for name, nothing in _WITHOUT_EFFECT.items():
            if values[name] == nothing:
                del values[name]
        return values
