"""Overlap of fields of view by shapely: polygons, one intersection a pair, nothing clever."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import shapely

from relabel.cameras import Cameras, FloatArray
from relabel.measures import Measure
from relabel.reference.psi import psi

SEGMENTS = 2880
"""Arc segments that stand for a circle's arc: 360° in steps of 1/8°, off by less than 1e-6 of the sector's area."""


def field_of_view(
    x: float, y: float, heading_deg: float, fov_deg: float, radius_m: float, segments: int
) -> shapely.Polygon:
    """The polygon of apex (x, y) and `segments` equal chords of the arc; metres, degrees clockwise from north."""
    ends = np.deg2rad(90.0 - heading_deg + fov_deg * np.linspace(-0.5, 0.5, segments + 1))
    arc = np.column_stack([x + radius_m * np.cos(ends), y + radius_m * np.sin(ends)])
    if fov_deg == 360.0:
        return shapely.Polygon(arc[:-1])
    return shapely.Polygon(np.vstack([[x, y], arc]))


def view_shape(cameras: Cameras, fov_deg: float, radius_m: float) -> tuple[FloatArray, FloatArray]:
    """(n,) degrees and (n,) metres: each camera's own field of view and range, the defaults where it has none."""
    fov = np.full(len(cameras), fov_deg) if cameras.fov_deg is None else cameras.fov_deg
    radius = np.full(len(cameras), radius_m) if cameras.radius_m is None else cameras.radius_m
    return fov, radius


def pair_overlap(
    query: Cameras,
    database: Cameras,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    *,
    fov_deg: float = 90.0,
    radius_m: float = 50.0,
    measure: Measure = "iou",
    segments: int = SEGMENTS,
) -> FloatArray:
    """ψ of the pairs (rows[k], columns[k]), (m,) float64.

    Two polygons are built around the midpoint of their apices, so that coordinates of 1e7 m do no harm.
    """
    result = np.empty(len(rows))
    (q_fov, q_radius), (d_fov, d_radius) = (view_shape(side, fov_deg, radius_m) for side in (query, database))
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        dx, dy = database.position[j, :2] - query.position[i, :2]
        if math.hypot(dx, dy) > q_radius[i] + d_radius[j]:
            result[k] = 0.0
            continue
        a = field_of_view(-dx / 2, -dy / 2, query.heading_deg[i], q_fov[i], q_radius[i], segments)
        b = field_of_view(dx / 2, dy / 2, database.heading_deg[j], d_fov[j], d_radius[j], segments)
        result[k] = psi(a.intersection(b).area, a.area, b.area, measure)
    return result
