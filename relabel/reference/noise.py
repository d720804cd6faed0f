"""Expected overlap of noisy cameras by brute force: many polygons where each camera may be, and their mean."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from scipy.special import ndtri
from scipy.stats import qmc

from relabel.cameras import Cameras, FloatArray
from relabel.measures import Measure
from relabel.reference.fov import view_shape
from relabel.reference.psi import psi

SAMPLES = 512
SEGMENT_DEG = 4.0  # of an arc: off by 1e-3 of the sector's area, and by less of a share of two such areas
FARTHEST = 8.0  # standard deviations of the displacement beyond which no sample lies


def pair_overlap(
    query: Cameras,
    database: Cameras,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    *,
    heading_sigma_deg: float = 0.0,
    position_sigma_m: float = 0.0,
    fov_deg: float = 90.0,
    radius_m: float = 50.0,
    measure: Measure = "iou",
    segments: int | None = None,
    samples: int = SAMPLES,
) -> FloatArray:
    """Expected ψ of the pairs (rows[k], columns[k]), (m,) float64, off by about 2e-3 with 512 samples.

    Parameters
    ----------
    heading_sigma_deg, position_sigma_m:
        standard deviations where a camera has none of its own in `Cameras.extra`.
    segments:
        of each arc; None for as many as make it a circle's.
    samples:
        of the noise, the same for each pair.
    """
    deviates = normals(samples)
    sides = []
    for side in (query, database):
        sigmas = [
            own(side, name, default)
            for name, default in (("heading_sigma_deg", heading_sigma_deg), ("position_sigma_m", position_sigma_m))
        ]
        sides.append((*view_shape(side, fov_deg, radius_m), *sigmas))
    result = np.zeros(len(rows))
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        a_fov, a_radius, a_turn, a_shift = (column[i] for column in sides[0])
        b_fov, b_radius, b_turn, b_shift = (column[j] for column in sides[1])
        apart = database.position[j, :2] - query.position[i, :2]
        if np.hypot(*apart) > a_radius + b_radius + FARTHEST * (a_shift + b_shift):
            continue
        # Displaced by less than both noises, as only the distance of the two counts.
        centre = apart + np.hypot(a_shift, b_shift) * deviates[:, 2:]
        a = fields_of_view(
            np.zeros((samples, 2)), query.heading_deg[i] + a_turn * deviates[:, 0], a_fov, a_radius, segments
        )
        b = fields_of_view(centre, database.heading_deg[j] + b_turn * deviates[:, 1], b_fov, b_radius, segments)
        common, left, right = shapely.area(shapely.intersection(a, b)), shapely.area(a), shapely.area(b)
        result[k] = float(psi(common, left, right, measure).mean())
    return result


def alike(
    query: Cameras,
    database: Cameras,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    *,
    fov_deg: float = 90.0,
    most_deg: float = 180.0,
    most_m: float = np.inf,
) -> npt.NDArray[np.bool_]:
    """(m,) whether the pairs (rows[k], columns[k]) differ by at most `most_deg` in heading and `most_m` in height.

    A camera that sees a full circle has no heading to differ in, and one without a height no height; `fov_deg` is for
    cameras that do not bring their own.
    """
    within = np.ones(len(rows), bool)
    for k, (i, j) in enumerate(zip(rows, columns, strict=True)):
        views = [fov_deg if side.fov_deg is None else side.fov_deg[row] for side, row in ((query, i), (database, j))]
        turn = abs((query.heading_deg[i] - database.heading_deg[j] + 180.0) % 360.0 - 180.0)
        if 360.0 not in views and turn > most_deg + 1e-9:
            within[k] = False
        heights = [side.position[row, 2:] for side, row in ((query, i), (database, j))]
        if all(len(height) and np.isfinite(height[0]) for height in heights):
            within[k] &= abs(heights[0][0] - heights[1][0]) <= most_m + 1e-6
    return within


@cache
def normals(samples: int) -> FloatArray:
    """(samples, 4) standard normal deviates that fill their space evenly, the same in each call; a power of 2."""
    # Not scrambled, so that no generator of random numbers shows; a shift keeps 0, at infinity, out.
    deviates: FloatArray = ndtri(qmc.Sobol(4, scramble=False).random(samples) + 0.5 / samples)
    return deviates


def own(cameras: Cameras, name: str, default: float) -> FloatArray:
    """(n,) the camera's own number of that name, `default` where it has none."""
    column: Any = cameras.extra.get(name)
    if column is None:
        return np.full(len(cameras), float(default))
    values = column.astype(np.float64)
    return np.where(np.isnan(values), float(default), values)


def fields_of_view(
    apex: FloatArray, heading_deg: FloatArray, fov_deg: float, radius_m: float, segments: int | None
) -> npt.NDArray[Any]:
    """(m,) polygons of apices (m, 2) in metres and headings (m,)."""
    segments = max(int(np.ceil(fov_deg / SEGMENT_DEG)), 8) if segments is None else segments
    ends = np.deg2rad(90.0 - heading_deg)[:, None] + np.deg2rad(fov_deg) * np.linspace(-0.5, 0.5, segments + 1)
    arc = apex[:, None] + radius_m * np.stack([np.cos(ends), np.sin(ends)], axis=2)
    if fov_deg == 360.0:
        return np.asarray(shapely.polygons(arc[:, :-1]))
    return np.asarray(shapely.polygons(np.concatenate([apex[:, None], arc], axis=1)))
