"""How noisy cameras are: standard deviations of heading and position, checked.

This is the only place where they are checked, so that nothing behind it has to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError
from relabel.fov.views import MAX_RADIUS_M

HEADING_SIGMA, POSITION_SIGMA = "heading_sigma_deg", "position_sigma_m"
"""The columns of `Cameras.extra` that hold a camera's own standard deviations, and the names in `params`."""
MAX_HEADING_SIGMA_DEG = 45.0  # beyond it a heading says nothing, and the nodes would turn a camera past its back


@dataclass(frozen=True, eq=False)
class Sigma:
    """Standard deviations of one side: (n,) of the headings in degrees, and of the positions, a axis, in metres."""

    heading_deg: FloatArray
    position_m: FloatArray

    @property
    def any(self) -> bool:
        """Whether there is noise at all."""
        return bool(self.heading_deg.any() or self.position_m.any())


def sigma(cameras: Cameras, heading_sigma_deg: float, position_sigma_m: float) -> Sigma:
    """The noise of each camera: its own where `extra` has a finite number, else the given one; 0 where it is not OK.

    Raises
    ------
    OptionError
        when a standard deviation is negative or too large; names the camera where it is the camera's own.
    InputError
        when an OK camera has NaN for its own and no other number is given, or a column is not numeric.
    """
    return Sigma(
        _column(cameras, HEADING_SIGMA, heading_sigma_deg, MAX_HEADING_SIGMA_DEG, "°", "--heading-sigma"),
        _column(cameras, POSITION_SIGMA, position_sigma_m, MAX_RADIUS_M, " m", "--position-sigma"),
    )


def _column(cameras: Cameras, name: str, default: float, most: float, unit: str, option: str) -> FloatArray:
    if not 0.0 <= default <= most:
        raise OptionError(f"{name} is {default:g}{unit}; it has to be from 0{unit} to {most:g}{unit}")
    own = cameras.extra.get(name)
    if own is None:
        return np.where(cameras.ok, float(default), 0.0)
    try:
        values = own.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the column {name} is not numeric; give numbers{unit and f' in{unit}'}") from None
    unknown = cameras.ok & np.isnan(values)
    if default > 0.0:
        values = np.where(unknown, float(default), values)
    for bad, problem in (
        (cameras.ok & np.isnan(values), f"no {name}; give one, or {option} for all that have none"),
        (cameras.ok & ~((values >= 0.0) & (values <= most)), f"{name} outside 0{unit} to {most:g}{unit}"),
    ):
        rows = np.flatnonzero(bad)
        if rows.size:
            row = int(rows[0])
            kind = InputError if np.isnan(values[row]) else OptionError
            raise kind(
                f"camera {str(cameras.key[row])!r} (row {row}, counted from 0) has {problem}; "
                f"so it is with {rows.size} camera(s)"
            )
    return np.where(cameras.ok, values, 0.0)


def params(cameras: tuple[Cameras, Cameras], own: list[Sigma], given: Mapping[str, float]) -> dict[str, float | str]:
    """What `params` say of the noise, nothing of what there is none of: a number, or ``per camera``.

    A number is for the cameras that bring none of their own, those of one side perhaps.
    """
    found: dict[str, float | str] = {}
    for name, columns in (
        (HEADING_SIGMA, [side.heading_deg for side in own]),
        (POSITION_SIGMA, [side.position_m for side in own]),
    ):
        if not any(column.any() for column in columns):
            continue
        whole = all(
            name in side.extra and not np.isnan(side.extra[name].astype(np.float64)[side.ok]).any() for side in cameras
        )
        found[name] = "per camera" if whole else float(given[name])
    return found
