"""Filler values: what files hold where nothing was measured, and which look like measurements.

A heading of -1 is "unknown" to Mapillary and would become 359°, -999 would become 81°; longitude 0 at latitude 0 is at
sea. Readers replace them with NaN, which gives the camera the status ``no_heading`` or ``no_position``, and say so by a
`Filler`, which the audit reports with its count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray

BoolArray = npt.NDArray[np.bool_]
Quantity = Literal["heading", "position"]

MAPILLARY_COLUMNS = ("ca", "cca", "compass_angle", "computed_compass_angle")
"""Names of columns, in small letters, whose headings are Mapillary's: -1 is always "unknown"."""
_NINES = (999.0, 999.9, 999.99, 9999.0, 9999.9, 9999.99, 99999.0, 999999.0)
SENTINELS = (
    *(sign * size for size in _NINES for sign in (1.0, -1.0)),
    *(32767.0, -32768.0, 65535.0, 2147483647.0, -2147483648.0, 4294967295.0),
)
"""Values that are no heading wherever headings do not run on beyond full circles."""
_REPEATED_NEGATIVE = (-1.0, -9.0, -99.0)
_REPEATED_POSITIVE = (361.0, 400.0, 500.0, 511.0, 720.0)
_RUN_ON_DEG = 750.0  # GSV-Cities has headings up to 731
_FAR_M = 1000.0
_FAR_EXTENTS = 3.0


class Filler(NamedTuple):
    """A filler value of one file or side, and the number of cameras that have it."""

    quantity: Quantity
    value: str
    number: int
    cameras: int
    """how many there are in all"""
    source: str
    """the file, or ``queries`` or ``database``"""


def is_mapillary(column: str) -> bool:
    """Whether a column of this name holds headings as Mapillary stores them."""
    return column.strip().lower() in MAPILLARY_COLUMNS


def heading_fillers(heading_deg: FloatArray, *, mapillary: bool = False) -> BoolArray:
    """(n,) True where a heading as stored is no measurement.

    These are -1 where the headings are Mapillary's; `SENTINELS`, unless other headings run on beyond two full circles;
    and -1, -9 or -99 where it is the one negative value and repeats, as well as 361, 400, 500, 511 or 720 where it is
    the one value above 360 and repeats.

    Parameters
    ----------
    heading_deg:
        (n,) degrees as stored, of one file; NaN where there is none.
    mapillary:
        whether they come from Mapillary.
    """
    fillers = np.zeros(len(heading_deg), bool)
    with np.errstate(invalid="ignore"):
        unusual = np.flatnonzero((heading_deg < 0.0) | (heading_deg > 360.0))
    if not unusual.size:
        return fillers
    value = heading_deg[unusual]
    filler = np.isin(value, SENTINELS)
    if (np.abs(value[~filler]) > _RUN_ON_DEG).any():
        filler[:] = False
    for codes, beyond in ((_REPEATED_NEGATIVE, value < 0.0), (_REPEATED_POSITIVE, value > 360.0)):
        left = beyond & ~filler
        if np.count_nonzero(left) > 1 and value[left].min() == value[left].max() and value[left][0] in codes:
            filler |= left
    if mapillary:
        filler |= value == -1.0
    fillers[unusual] = filler
    return fillers


def place_fillers(degrees: FloatArray) -> BoolArray:
    """(n,) True where a longitude and latitude (n, 2) are both exactly 0, where there is only sea."""
    zero: BoolArray = (degrees == 0.0).all(axis=1)
    return zero


def position_fillers(sides: Sequence[FloatArray]) -> tuple[BoolArray, ...]:
    """(n,) for each side, True where x and y are exactly 0 and that is no place.

    That is so where the origin is farther from the other cameras than three times their extent and 1 km, as with map
    coordinates; or where more cameras of a side stand at it than at any other place, and more than one. A local frame
    may have its origin at a camera.

    Parameters
    ----------
    sides:
        (n, 2 or more) metres of each file, as stored; not of trajectories, whose world may be their first camera.
    """
    zeros = [(position[:, :2] == 0.0).all(axis=1) for position in sides]
    if not any(zero.any() for zero in zeros):
        return tuple(zeros)
    others = np.concatenate([position[~zero, :2] for position, zero in zip(sides, zeros, strict=True)])
    others = others[np.isfinite(others).all(axis=1)]
    if len(others):
        low, high = others.min(axis=0), others.max(axis=0)
        away = float(np.hypot(*np.maximum(np.maximum(low, -high), 0.0)))
        if away > max(_FAR_M, _FAR_EXTENTS * float(np.hypot(*(high - low)))):
            return tuple(zeros)
    return tuple(_repeated(position, zero) for position, zero in zip(sides, zeros, strict=True))


def _repeated(position: FloatArray, zero: BoolArray) -> BoolArray:
    count = int(zero.sum())
    if count > 1:
        others = position[~zero, :2]
        others = others[np.isfinite(others).all(axis=1)]
        # Where all stand there, as the views cut from one panorama do, it is a place.
        if len(others) and count > int(np.unique(others, axis=0, return_counts=True)[1].max()):
            return zero
    return np.zeros(len(zero), bool)


def counted(
    quantity: Quantity, values: npt.NDArray[np.generic], fillers: BoolArray, source: str, *, shown: str | None = None
) -> list[Filler]:
    """A `Filler` for each different value that is one; `shown` stands for the value where it is not a number."""
    if not fillers.any():
        return []
    if shown is not None:
        return [Filler(quantity, shown, int(fillers.sum()), len(fillers), source)]
    different, counts = np.unique(values[fillers], return_counts=True)
    return [
        Filler(quantity, f"{value:g}" if isinstance(value, float) else str(value), int(count), len(fillers), source)
        for value, count in zip(different.tolist(), counts.tolist(), strict=True)
    ]
