"""Fields of view as the kernels want them: checked, in float64, in a frame whose origin is near.

This is the only place where user input to the overlap is checked, so that the kernels never have to.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError
from relabel.fov.params import MAX_RADIUS_M, MIN_RADIUS_M


@dataclass(frozen=True, eq=False)
class Views:
    """Fields of view of those cameras that can be labelled.

    Attributes
    ----------
    row:
        (n,) row of each in its `Cameras`.
    parts:
        (p, n, 9) float64: convex sectors, whose union is the field of view. Columns: apex x and y (metres from the
        common origin), radius (m), direction of the middle and half the opening (radians, counter-clockwise from
        east; a negative half marks a part that is not there), unit vectors along the right and the left edge.
        p is 2 where any field of view exceeds 180°, else 1.
    circle:
        (n, 3) float64, the smallest circle around the field of view: centre x, y, and radius.
    area:
        (n,) float64, m².
    """

    row: npt.NDArray[np.int64]
    parts: FloatArray
    circle: FloatArray
    area: FloatArray

    def __len__(self) -> int:
        return len(self.row)


def opening(cameras: Cameras, fov_deg: float, radius_m: float) -> tuple[FloatArray, FloatArray]:
    """(n,) field of view in degrees and range in metres of each camera: its own where it has one, else the default.

    Raises
    ------
    InputError
        when an OK camera has no heading, as one with a pose alone, or no position: its field of view is unknown, not
        empty.
    OptionError
        when a camera's own field of view is outside (0°, 360°] or its own range is not a positive number of metres;
        names the camera.
    """
    n = len(cameras)
    lost = np.flatnonzero(cameras.ok & ~np.isfinite(cameras.position[:, :2]).all(axis=1))
    if lost.size:
        row = int(lost[0])
        raise InputError(
            f"camera {str(cameras.key[row])!r} (row {row}, counted from 0) came with labels but without a position "
            f"({lost.size} such camera(s)); read the cameras from their dataset"
        )
    blind = np.flatnonzero(cameras.ok & np.isnan(cameras.heading_deg))
    if blind.size:
        row = int(blind[0])
        raise InputError(
            f"camera {str(cameras.key[row])!r} (row {row}, counted from 0) has no heading although its status is ok "
            f"({blind.size} such camera(s)); give heading_deg, or a status other than ok"
        )
    fov = np.broadcast_to(float(fov_deg), n) if cameras.fov_deg is None else cameras.fov_deg
    radius = np.broadcast_to(float(radius_m), n) if cameras.radius_m is None else cameras.radius_m
    ok = cameras.ok
    for name, unit, values, good in (
        ("fov_deg", "°", fov, (fov > 0.0) & (fov <= 360.0)),
        ("radius_m", " m", radius, (radius >= MIN_RADIUS_M) & (radius <= MAX_RADIUS_M)),
    ):
        bad = np.flatnonzero(ok & ~good)
        if bad.size:
            row = int(bad[0])
            raise OptionError(
                f"camera {str(cameras.key[row])!r} (row {row}, counted from 0) has {name} {values[row]:g}{unit}; "
                f"{bad.size} camera(s) are out of range"
            )
    return fov, radius


_AT_ONCE = 2**14  # cameras, so that what is computed on the way stays in the cache
ORIGIN_STEP_M = 2.0**17
"""Origins are multiples of it, 131 km, so that a camera more seldom moves that of a dataset."""


def common_origin(*sides: Cameras) -> FloatArray:
    """A multiple of `ORIGIN_STEP_M` near the middle of all cameras, as (2,) metres.

    A multiple of so large a power of two takes no bit from a coordinate that it is subtracted from.
    """
    points = [side.position[side.ok, :2] for side in sides]
    points = [p for p in points if len(p)]
    if not points:
        return np.zeros(2)
    # Column by column: numpy reduces the long axis of a narrow array slowly.
    low = [min(p[:, axis].min() for p in points) for axis in (0, 1)]
    high = [max(p[:, axis].max() for p in points) for axis in (0, 1)]
    # + 0.0: the origin of cameras around zero is 0.0, not -0.0.
    return np.round(np.add(low, high) / 2.0 / ORIGIN_STEP_M) * ORIGIN_STEP_M + 0.0


def views(
    cameras: Cameras, origin: FloatArray, fov_deg: FloatArray, radius_m: FloatArray, n_parts: int, threads: int = 1
) -> Views:
    """The fields of view of all OK cameras, in metres from `origin`; the same bits with any number of `threads`.

    `fov_deg` and `radius_m` are (n,), as `opening` gives them; `n_parts` is 2 where any is wider than 180°, else 1.
    """
    row = np.flatnonzero(cameras.ok)
    parts, circle, area = np.empty((n_parts, len(row), 9)), np.empty((len(row), 3)), np.empty(len(row))

    def fill(start: int) -> None:
        some = slice(start, start + _AT_ONCE)
        half, theta, radius, apex = _angles(cameras, origin, fov_deg, radius_m, row[some])
        theta = np.where(theta < 2.0 * math.pi, theta, 0.0)
        middle = np.cos(theta), np.sin(theta)
        if n_parts == 1:
            parts[0, some] = _part(apex, radius, theta, half, *middle)
        else:
            wide = half > math.pi / 2.0
            # A wide view is cut along its middle: part 0 is the right half, part 1 the left one.
            for number in range(n_parts):
                part_half = np.where(wide, half / 2.0, half if number == 0 else -1.0)
                part_theta = np.mod(theta + np.where(wide, (number - 0.5) * half, 0.0), 2.0 * math.pi)
                parts[number, some] = _part(apex, radius, part_theta, part_half, np.cos(part_theta), np.sin(part_theta))
        circle[some], area[some] = _circle(apex, radius, half, *middle), half * radius**2

    starts = range(0, len(row), _AT_ONCE)
    with ThreadPoolExecutor(max(1, min(threads, len(starts)))) as pool:  # numpy computes without the GIL
        list(pool.map(fill, starts))
    return Views(row, parts, circle, area)


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygonal fields of view, in the order of the `Views` of the same cameras.

    Attributes
    ----------
    apex:
        (n, 2) float64, metres from the common origin.
    fan:
        (n, 2, arc + 1) float64, x and y of the corners on the circle, counter-clockwise, relative to the apex.
    piece:
        (n,) int64, how many segments may be taken together without the piece being wider than 180°.
    area:
        (n,) float64, m².
    """

    apex: FloatArray
    fan: FloatArray
    piece: npt.NDArray[np.int64]
    area: FloatArray


def polygons(cameras: Cameras, origin: FloatArray, fov_deg: FloatArray, radius_m: FloatArray, arc: int) -> Polygons:
    """The polygons of all OK cameras, each apex and `arc` segments.

    Raises
    ------
    OptionError
        when `arc` is below 1, or so small that a segment would span 180° or more.
    """
    row = np.flatnonzero(cameras.ok)
    area = polygon_area(fov_deg[row], radius_m[row], arc)
    half, theta, radius, apex = _angles(cameras, origin, fov_deg, radius_m, row)
    angle = (theta - half)[:, None] + (2.0 * half / arc)[:, None] * np.arange(arc + 1)
    fan = radius[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    full = fov_deg[row] == 360.0
    fan[full, :, -1] = fan[full, :, 0]
    piece = np.floor(180.0 / (fov_deg[row] / arc)).clip(1, arc).astype(np.int64)
    return Polygons(apex, np.ascontiguousarray(fan), piece, area)


def polygon_area(fov_deg: FloatArray, radius_m: FloatArray, arc: int) -> FloatArray:
    """(n,) m² of polygonal fields of view; raises what `polygons` does."""
    widest = float(fov_deg.max(initial=0.0))
    if arc < 1 or widest / arc >= 180.0:
        raise OptionError(
            f"{arc} arc segment(s) cannot span {widest:g}°: a segment has to be narrower than 180°; "
            f"use at least {max(1, int(widest // 180.0) + 1)}"
        )
    area: FloatArray = 0.5 * arc * radius_m**2 * np.sin(np.deg2rad(fov_deg) / arc)
    return area


def _angles(
    cameras: Cameras, origin: FloatArray, fov_deg: FloatArray, radius_m: FloatArray, row: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Half the opening and the direction of the middle (radians, counter-clockwise from east), radius, and apex."""
    theta = np.deg2rad(np.mod(90.0 - cameras.heading_deg[row], 360.0))
    return np.deg2rad(fov_deg[row]) / 2.0, theta, radius_m[row], cameras.position[row, :2] - origin


def _part(
    apex: FloatArray, radius: FloatArray, theta: FloatArray, half: FloatArray, ux: FloatArray, uy: FloatArray
) -> FloatArray:
    """The columns of parts whose middles point in the directions theta, which are the unit vectors (ux, uy)."""
    # cos(π/2) is not 0 in floating point; here it is, so that a half-plane has one edge, not two that nearly agree.
    c = np.where(half == math.pi / 2.0, 0.0, np.cos(half))
    s = np.sin(half)
    right = (ux * c + uy * s, uy * c - ux * s)
    left = (ux * c - uy * s, uy * c + ux * s)
    return np.stack([apex[:, 0], apex[:, 1], radius, theta, half, *right, *left], axis=1)


def _circle(apex: FloatArray, radius: FloatArray, half: FloatArray, ux: FloatArray, uy: FloatArray) -> FloatArray:
    """Smallest circle around a sector: around apex and corners when acute, on the chord up to 180°, else the disk."""
    acute = half <= math.pi / 4.0
    flat = half < math.pi / 2.0
    cosine = np.cos(half)
    along = np.where(acute, radius / (2.0 * np.where(acute, cosine, 1.0)), np.where(flat, radius * cosine, 0.0))
    size = np.where(acute, along, np.where(flat, radius * np.sin(half), radius))
    return np.stack([apex[:, 0] + along * ux, apex[:, 1] + along * uy, size], axis=1)
