"""Filler values, which stand for unknown values in files and look like measurements.

A heading of -1 is "unknown" to Mapillary and would become 359°, -999 would become 81°; longitude 0 at latitude 0 is at
sea, a height of -9999 m below the ground. Readers replace them with NaN, which gives the camera the status
``no_heading`` or ``no_position``, and report a `Filler`, which the audit shows with its count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray

BoolArray = npt.NDArray[np.bool_]
Quantity = Literal["heading", "position"]

MAPILLARY_COLUMNS = ("ca", "cca", "compassangle", "computedcompassangle")
"""Names of columns, reduced to letters, whose headings are Mapillary's: -1 is always "unknown"."""
_NINES = (999.0, 999.9, 999.99, 9999.0, 9999.9, 9999.99, 99999.0, 999999.0)
SENTINELS = (
    *(sign * size for size in _NINES for sign in (1.0, -1.0)),
    *(32767.0, -32768.0, 65535.0, 2147483647.0, -2147483648.0, 4294967295.0),
)
"""Values that are not headings, unless headings continue beyond full circles."""
_HUGE = 1e6
"""No heading or height is this large; the largest float32 and float64 numbers are used for unknown ones."""
_PLACES = (0.0, -1.0, *(sign * size for size in _NINES for sign in (1.0, -1.0)), -32767.0, -32768.0)
"""Values that stand for an unknown position if x and y are both equal to one of them."""
_HEIGHTS = (
    *(-size for size in _NINES),
    *(size for size in _NINES if size > 9000.0),
    32767.0,
    65535.0,
    -32767.0,
    -32768.0,
)
"""Values that stand for an unknown height; the highest road is at 5,900 m."""
_REPEATED_NEGATIVE = (-1.0, -9.0, -99.0)
_REPEATED_POSITIVE = (361.0, 400.0, 500.0, 511.0, 720.0)
_RUN_ON_DEG = 750.0  # GSV-Cities has headings up to 731
_FAR_M = 1000.0
_FAR_EXTENTS = 3.0


MOST_KEYS = 100
"""The number of cameras that are named in messages about many."""


class Filler(NamedTuple):
    """A filler value of one file or side, and the number of cameras that have it."""

    quantity: Quantity
    value: str
    number: int
    cameras: int
    """number of cameras in all"""
    source: str
    """the file, or ``queries`` or ``database``"""
    keys: tuple[str, ...] = ()
    """keys of the first `MOST_KEYS` cameras that have it, if known"""

    def __str__(self) -> str:
        return (
            f"{self.source}: {self.number:,} of {self.cameras:,} cameras have the {self.quantity} {self.value}, which "
            "stands for unknown"
        )


def is_mapillary(column: str) -> bool:
    """Whether a column of this name holds headings as Mapillary stores them."""
    # Flattened JSON has the names of all levels: properties.compass_angle
    return re.sub(r"[\W_]", "", re.split(r"[.:/]", column)[-1].lower()) in MAPILLARY_COLUMNS


def heading_fillers(heading_deg: FloatArray, *, mapillary: bool = False) -> BoolArray:
    """(n,) True where a stored heading is not a measurement.

    These are -1 if the headings are Mapillary's; `SENTINELS`, unless other headings continue beyond two full circles;
    values beyond 10⁶; and -1, -9 and -99 if there is no other negative value and one of them is repeated, as well as
    361, 400, 500, 511 and 720 if there is no other value above 360 and one of them is repeated.

    Parameters
    ----------
    heading_deg:
        (n,) degrees as stored, of one file; NaN if there is none.
    mapillary:
        whether they come from Mapillary.
    """
    fillers = np.zeros(len(heading_deg), bool)
    with np.errstate(invalid="ignore"):
        unusual = np.flatnonzero((heading_deg < 0.0) | (heading_deg > 360.0))
    if not unusual.size:
        return fillers
    value = heading_deg[unusual]
    filler = _equal(value, SENTINELS)
    size = np.abs(value[~filler])
    if ((size > _RUN_ON_DEG) & (size < _HUGE)).any():
        filler[:] = False
    for codes, beyond in ((_REPEATED_NEGATIVE, value < 0.0), (_REPEATED_POSITIVE, value > 360.0)):
        left = beyond & ~filler
        different, counts = np.unique(value[left], return_counts=True)
        if left.any() and counts.max() > 1 and np.isin(different, codes).all():
            filler |= left
    if mapillary:
        filler |= value == -1.0
    filler |= np.abs(value) >= _HUGE
    fillers[unusual] = filler
    return fillers


def place_fillers(degrees: FloatArray) -> BoolArray:
    """(n,) True where longitude and latitude (n, 2) are the same code, such as -999, or 0, which is at sea."""
    return _code(degrees)


def height_fillers(up: FloatArray) -> BoolArray:
    """(n,) True where a height, metres, is not a measurement: -9999, -32768 and similar; NaN if there is none."""
    with np.errstate(invalid="ignore"):
        filler: BoolArray = _equal(up, _HEIGHTS) | (np.abs(up) >= _HUGE)
    return filler


def position_fillers(sides: Sequence[FloatArray]) -> tuple[BoolArray, ...]:
    """(n,) for each side, True where x and y are the same code, such as 0 or -999, and that is not a real position.

    That is assumed if it is farther from the other cameras than three times their extent and 1 km, as with map
    coordinates; or if more cameras of a side are there than at any other position, and more than one. A local frame
    may have its origin at a camera.

    Parameters
    ----------
    sides:
        (n, 2 or more) metres of each file, as stored; not of trajectories, whose world may be their first camera.
    """
    coded = [_code(position[:, :2]) for position in sides]
    if not any(code.any() for code in coded):
        return tuple(coded)
    others = np.concatenate([position[~code, :2] for position, code in zip(sides, coded, strict=True)])
    others = others[np.isfinite(others).all(axis=1)]
    fillers = [np.zeros(len(code), bool) for code in coded]
    for value in np.unique(np.concatenate([position[code, 0] for position, code in zip(sides, coded, strict=True)])):
        far = _is_far(value, others)
        for filler, position, code in zip(fillers, sides, coded, strict=True):
            here = code & (position[:, 0] == value)
            if far or _repeats(position[~code, :2], int(here.sum())):
                filler[here] = True
    return tuple(fillers)


def _code(position: FloatArray) -> BoolArray:
    """(n,) whether both coordinates (n, 2) are equal to the same filler value."""
    code: BoolArray = (position[:, 0] == position[:, 1]) & _equal(position[:, 0], _PLACES)
    return code


def _equal(values: FloatArray, codes: Sequence[float]) -> BoolArray:
    """(n,) whether each value is one of the codes, which may have gone through float32."""
    exact = np.array(codes)
    equal: BoolArray = np.isin(values, exact) | np.isin(values, exact.astype(np.float32).astype(np.float64))
    return equal


def _is_far(value: float, others: FloatArray) -> bool:
    """Whether the place (value, value) is far from the `others` (n, 2)."""
    if not len(others):
        return False
    low, high = others.min(axis=0), others.max(axis=0)
    away = float(np.hypot(*np.maximum(np.maximum(low - value, value - high), 0.0)))
    return away > max(_FAR_M, _FAR_EXTENTS * float(np.hypot(*(high - low))))


def _repeats(others: FloatArray, count: int) -> bool:
    """Whether `count` cameras at one position are more than at any of the `others` (n, 2)."""
    others = others[np.isfinite(others).all(axis=1)]
    # If all are there, as views cut from one panorama are, it is a real position.
    return count > 1 and len(others) > 0 and count > int(np.unique(others, axis=0, return_counts=True)[1].max())


def counted(
    quantity: Quantity,
    values: npt.NDArray[np.float64],
    fillers: BoolArray,
    source: str,
    keys: npt.NDArray[np.str_] | Sequence[str] | None = None,
) -> list[Filler]:
    """A `Filler` for each distinct filler value, or pair of values.

    `values` are (n,) or (n, 2), `keys` those of the n cameras.
    """
    rows = np.flatnonzero(fillers)
    different, which, counts = np.unique(values[rows], axis=0, return_inverse=True, return_counts=True)
    which = which.reshape(-1)  # NumPy 2.0.0 has an axis more
    return [
        Filler(
            quantity,
            _shown(value),
            int(count),
            len(fillers),
            source,
            () if keys is None else keys_of(keys, rows[which == number]),
        )
        for number, (value, count) in enumerate(zip(different, counts.tolist(), strict=True))
    ]


def keys_of(keys: npt.NDArray[np.str_] | Sequence[str], rows: npt.NDArray[np.intp]) -> tuple[str, ...]:
    """The keys of the first `MOST_KEYS` rows."""
    return tuple(str(keys[row]) for row in rows[:MOST_KEYS].tolist())


def _shown(value: npt.NDArray[np.float64]) -> str:
    # float32 leaves -999.9000244140625 of -999.9.
    return f"{value:.6g}" if np.ndim(value) == 0 else f"({', '.join(f'{part:.6g}' for part in value)})"
