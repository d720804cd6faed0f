"""Headings of cameras that look along their track.

b ─── c      A place is what a camera does not leave by a step or more. At a place the camera looks from the place
│            before it to the place after it; where it stands, as at a light, from the place before it to this one.
a
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.geometry.headings import FloatArray, group_codes, wrap_deg


class Travel(NamedTuple):
    """The direction of travel of n cameras."""

    heading_deg: FloatArray
    """(n,) degrees clockwise from north in [0, 360); NaN where unknown"""
    stands: npt.NDArray[np.bool_]
    """(n,) True where the camera is stationary; its heading is that of arrival or, at the first place, of departure"""


def travel(
    points: FloatArray,
    compass: tuple[FloatArray, FloatArray],
    sequence: npt.ArrayLike,
    order: npt.ArrayLike,
    *,
    step_m: float,
    gap_m: float,
) -> Travel:
    """The direction of travel at every row.

    Parameters
    ----------
    points:
        (n, 2 or 3) metres; rows that are not finite are skipped by their neighbours.
    compass:
        unit vectors east and north, each (2 or 3,) or (n, 2 or 3), at the points.
    sequence:
        (n,) name or number of the track of each row.
    order:
        (n,) position in the track; only the order counts. Rows with equal numbers keep their order.
    step_m:
        consecutive rows within this distance of the first of them count as one place, metres.
    gap_m:
        where two consecutive places are farther apart, metres, the track ends and a new one begins.
    """
    n = len(points)
    heading, stands = np.full(n, np.nan), np.zeros(n, bool)
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    group = group_codes(sequence)
    rows = rows[np.lexsort((np.asarray(order)[rows], group[rows]))]
    if not len(rows):
        return Travel(heading, stands)
    points, group = points[rows], group[rows]
    east, north = (np.broadcast_to(axis, (n, points.shape[1]))[rows] for axis in compass)

    first = _first_rows(points, group, step_m)
    place = np.cumsum(first) - 1
    at = np.flatnonzero(first)
    spread = np.zeros(len(at))
    np.maximum.at(spread, place, _distance(points, points[at][place]))
    # What moves fills its place, what stands only wanders in it.
    still = (np.bincount(place) > 1) & (spread < step_m / 2.0)

    ahead = (group[at[1:]] == group[at[:-1]]) & (_distance(points[at[1:]], points[at[:-1]]) <= gap_m)
    number = np.arange(len(at))
    before = np.where(np.append(False, ahead), number - 1, number)
    after = np.where(np.append(ahead, False) & ~(still & (before != number)), number + 1, number)
    way = points[at[after]] - points[at[before]]
    # Where a track returns to where it came from, it looks to where it goes next.
    returned = _distance(points[at[after]], points[at[before]]) < step_m
    way[returned] = points[at[after[returned]]] - points[at[returned]]
    along_east, along_north = ((way * axis[at]).sum(axis=1) for axis in (east, north))
    tangent = np.where(way.any(axis=1), wrap_deg(np.degrees(np.arctan2(along_east, along_north))), np.nan)
    heading[rows] = tangent[place]
    stands[rows] = still[place]
    return Travel(heading, stands)


def _first_rows(points: FloatArray, group: npt.NDArray[np.int64], step_m: float) -> npt.NDArray[np.bool_]:
    """(n,) whether a new place begins at a row: another track, or a step away from the first row of the place."""
    first = np.ones(len(points), bool)
    begin = 0
    coordinates, tracks = points.tolist(), group.tolist()
    limit = step_m * step_m
    for row in range(1, len(coordinates)):
        near = sum((a - b) ** 2 for a, b in zip(coordinates[row], coordinates[begin], strict=True)) < limit
        first[row] = not near or tracks[row] != tracks[begin]
        if first[row]:
            begin = row
    return first


def _distance(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(((a - b) ** 2).sum(axis=1)))
