"""Headings: degrees clockwise from north, where a mathematical angle runs counterclockwise from east.

Both name the same four directions:

    north   heading   0   angle π/2
    east    heading  90   angle 0
    south   heading 180   angle 3π/2
    west    heading 270   angle π
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError

FloatArray = npt.NDArray[np.float64]


def wrap_deg(heading_deg: npt.ArrayLike) -> FloatArray:
    """The same directions in [0, 360); a heading that is not finite becomes NaN.

    Parameters
    ----------
    heading_deg:
        angles in degrees, any shape.
    """
    heading = np.asarray(heading_deg, dtype=np.float64)
    # The remainder, which takes several times as long, is the same bits where at most one turn is to be added.
    wrapped = np.where(heading < 0.0, heading + 360.0, heading + 0.0)
    far = ~(np.abs(heading) < 360.0)
    if far.any():
        wrapped[far] = np.mod(np.where(np.isfinite(heading[far]), heading[far], np.nan), 360.0)
    # -1e-20 + 360 rounds to 360, which is outside.
    return np.where(wrapped == 360.0, 0.0, wrapped)


def difference_deg(a_deg: npt.ArrayLike, b_deg: npt.ArrayLike) -> FloatArray:
    """The signed angle from `b_deg` to `a_deg` along the shorter arc, in [-180, 180) degrees, clockwise positive.

    Opposite directions give -180. Both are broadcast against each other; NaN where either is not finite.
    """
    turn = wrap_deg(wrap_deg(a_deg) - wrap_deg(b_deg))
    return np.where(turn >= 180.0, turn - 360.0, turn)


def angle_between_deg(a_deg: FloatArray, b_deg: FloatArray) -> FloatArray:
    """The angle in [0, 180] degrees between headings in [0, 360), NaN where either is NaN.

    Three times as fast as the absolute value of `difference_deg`, which takes any angles.
    """
    apart = np.abs(a_deg - b_deg)
    return np.minimum(apart, 360.0 - apart)


def compass_to_math(heading_deg: npt.ArrayLike) -> FloatArray:
    """The mathematical angle in radians (counterclockwise from east, [0, 2π)) of compass headings in degrees."""
    return np.radians(wrap_deg(90.0 - np.asarray(heading_deg, dtype=np.float64)))


def math_to_compass(angle_rad: npt.ArrayLike) -> FloatArray:
    """The compass heading in degrees (clockwise from north, [0, 360)) of mathematical angles in radians."""
    return wrap_deg(90.0 - np.degrees(np.asarray(angle_rad, dtype=np.float64)))


def group_codes(group: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """(n,) int64, the number of each row's group, counted from 0.

    Parameters
    ----------
    group:
        (n,) names or numbers. Rows of one group need not be neighbours, but it is fastest where they are: only the
        first row of each run is sorted.

    Raises
    ------
    InputError
        when it has another shape.
    """
    names = np.asarray(group)
    if names.ndim != 1:
        raise InputError(f"group has shape {names.shape}; expected one name per row")
    if len(names) == 0:
        return np.empty(0, np.int64)
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1]))
    _, codes = np.unique(names[starts], return_inverse=True)
    return np.repeat(codes.astype(np.int64), np.diff(starts, append=len(names)))


def track_heading_deg(
    position: npt.ArrayLike, sequence: npt.ArrayLike, frame: npt.ArrayLike, *, gap_m: float = np.inf
) -> FloatArray:
    """The heading of travel at every row: the tangent of the track of its sequence.

    The tangent at a frame is the direction from the place before it to the place after it; at the ends of a sequence
    from or to the frame itself. Consecutive frames at exactly the same position (a stationary camera) count as one
    place, and the nearest different places before and after it are used. Where a track returns to the place it came
    from, the direction to the next place is used.

    Parameters
    ----------
    position:
        (n, 2) float64, metres east and north. Rows that are not finite get NaN and are skipped by their
        neighbours.
    sequence:
        (n,) name or number of the sequence that each row belongs to.
    frame:
        (n,) place in the sequence; only the order counts, gaps are allowed. Rows of the same number keep their order.
    gap_m:
        if two consecutive places are farther apart than this, in metres, the track ends at the first and a new one
        begins at the second.

    Returns
    -------
    heading
        (n,) float64 degrees clockwise from north in [0, 360); NaN where a track has a single place.

    Raises
    ------
    InputError
        when the lengths disagree.
    """
    points = np.asarray(position, dtype=np.float64)
    n = len(points)
    if points.shape != (n, 2):
        raise InputError(f"position has shape {points.shape}; expected ({n}, 2), metres east and north")
    names, order = np.asarray(sequence), np.asarray(frame)
    if names.shape != (n,) or order.shape != (n,):
        raise InputError(f"sequence has shape {names.shape} and frame {order.shape}; expected ({n},), one per position")
    group = group_codes(names)
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    rows = rows[np.lexsort((order[rows], group[rows]))]

    heading = np.full(n, np.nan)
    if len(rows) == 0:
        return heading
    group, points = group[rows], points[rows]
    # A place is a run of rows of one sequence at one point; all that follows is per place.
    new = np.append(True, (group[1:] != group[:-1]) | (points[1:] != points[:-1]).any(axis=1))
    place_of_row = np.cumsum(new) - 1
    group, points = group[new], points[new]

    places = np.arange(len(points))
    linked = (group[1:] == group[:-1]) & (np.hypot(*np.diff(points, axis=0).T) <= gap_m)
    before = np.where(np.append(False, linked), places - 1, places)
    after = np.where(np.append(linked, False), places + 1, places)
    step = points[after] - points[before]
    returned = ~step.any(axis=1)
    step[returned] = points[after[returned]] - points[returned]
    tangent = np.where(step.any(axis=1), wrap_deg(np.degrees(np.arctan2(step[:, 0], step[:, 1]))), np.nan)
    heading[rows] = tangent[place_of_row]
    return heading


def constant_groups(value: npt.ArrayLike, group: npt.ArrayLike, *, least: int) -> npt.NDArray[np.bool_]:
    """(n,) True on the rows of every group whose finite values are all equal, and at least `least` in number.

    Parameters
    ----------
    value:
        (n,) float64, for example compass angles; rows that are not finite are skipped, and never True.
    group:
        (n,) name or number of the group of each row.
    least:
        groups with fewer finite values are never True.
    """
    values = np.asarray(value, dtype=np.float64)
    codes = group_codes(group)
    finite = np.isfinite(values)
    size = int(codes.max()) + 1 if len(codes) else 0
    lowest, highest = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(lowest, codes[finite], values[finite])
    np.maximum.at(highest, codes[finite], values[finite])
    count = np.bincount(codes[finite], minlength=size)
    constant: npt.NDArray[np.bool_] = finite & ((lowest == highest) & (count >= least))[codes]
    return constant
