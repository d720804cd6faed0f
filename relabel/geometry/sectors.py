"""Fields of view of the cameras of a collection as polygons on the map of their positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from relabel.cameras import Cameras, FloatArray
from relabel.geometry.headings import compass_to_math

_WIDEST_SEGMENT_DEG = 90.0


def openings(cameras: Cameras, params: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """(n,) fields of view in degrees and (n,) ranges in metres, NaN where the labels do not state them.

    The value of a camera, if it has one, takes precedence over that of the parameters.
    """
    both = []
    for name in ("fov_deg", "radius_m"):
        common = params.get(name)
        known = float(common) if isinstance(common, int | float) else np.nan
        own = getattr(cameras, name)
        both.append(np.full(len(cameras), known) if own is None else np.where(np.isnan(own), known, own))
    return both[0], both[1]


def segments(fov_deg: FloatArray, radius_m: FloatArray, tolerance_m: float) -> int:
    """How many chords keep each arc of some sectors to within `tolerance_m`; the corners are on the arc."""
    if not len(fov_deg):
        return 1
    widest = np.degrees(2.0 * np.arccos(np.clip(1.0 - tolerance_m / radius_m, -1.0, 1.0)))
    return int(np.ceil(fov_deg / np.minimum(widest, _WIDEST_SEGMENT_DEG)).max())


def sector_angles(heading_deg: FloatArray, fov_deg: FloatArray, n_segments: int) -> FloatArray:
    """(n, segments + 1) headings of the corners on the arc of each sector, degrees, from its right edge to its left."""
    return heading_deg[:, None] + fov_deg[:, None] * (0.5 - np.arange(n_segments + 1) / n_segments)


def sector_rings(
    position: FloatArray, heading_deg: FloatArray, fov_deg: FloatArray, radius_m: FloatArray, n_segments: int
) -> FloatArray:
    """Closed rings around n sectors, counter-clockwise.

    Parameters
    ----------
    position:
        (n, 2) metres.
    heading_deg, fov_deg, radius_m:
        (n,) degrees clockwise from the second axis, degrees in (0, 360], metres.
    n_segments:
        chords of each arc, as `segments` counts them.

    Returns
    -------
    rings
        (n, segments + 3, 2) metres: the place of the camera, the corners on the arc, and the first point again. A full
        circle has no corner at the camera; its ring begins with two equal points instead.
    """
    angle = compass_to_math(sector_angles(heading_deg, fov_deg, n_segments))
    arc = position[:, None, :] + radius_m[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=2)
    first = np.where((fov_deg >= 360.0)[:, None], arc[:, 0], position)
    return np.concatenate([first[:, None], arc, first[:, None]], axis=1)
