"""Hypothesis strategies: fields of view in general and in deliberately awkward position."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

import relabel


class View(NamedTuple):
    x: float
    y: float
    heading_deg: float
    fov_deg: float
    radius_m: float


def cameras(views: list[View], prefix: str = "c") -> relabel.Cameras:
    """Cameras with a field of view and a range of their own."""
    table = np.array(views, dtype=float).reshape(-1, 5)
    return relabel.Cameras(
        key=[f"{prefix}{n}" for n in range(len(views))],
        position=table[:, :2],
        heading_deg=table[:, 2],
        fov_deg=table[:, 3],
        radius_m=table[:, 4],
    )


# Whole tens of metres and 15° steps: shared apices, shared and coincident edges, corners on the other's arc, tangent
# disks and right triangles (30, 40, 50), on which radical line and edge coincide, all come up often.
grid_view = st.builds(
    View,
    st.integers(-6, 6).map(lambda v: 10.0 * v),
    st.integers(-6, 6).map(lambda v: 10.0 * v),
    st.integers(0, 24).map(lambda v: 15.0 * v),
    st.sampled_from([30.0, 60.0, 90.0, 120.0, 180.0, 270.0, 360.0]),
    st.integers(1, 6).map(lambda v: 10.0 * v),
)

# Less than 1e-17 m is 0: the oracle, GEOS, holds one of two views that lie 1e-42 m apart to be outside the other.
_metres = st.floats(-100.0, 100.0).map(lambda v: v if abs(v) >= 1e-17 else 0.0)

any_view = st.builds(
    View,
    _metres,
    _metres,
    st.floats(0.0, 360.0, exclude_max=True),
    st.floats(0.5, 360.0),
    st.floats(1.0, 80.0),
)

# A grid view moved and turned by next to nothing, over all orders of magnitude.
_tiny = st.builds(lambda sign, power: sign * 10.0**power, st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-17.0, -2.0))
nearly_grid_view = st.builds(
    lambda v, x, y, h: View(v.x + x, v.y + y, (v.heading_deg + h) % 360.0, v.fov_deg, v.radius_m),
    grid_view,
    _tiny,
    _tiny,
    _tiny,
)

view = st.one_of(grid_view, any_view, nearly_grid_view)


def sector_area(v: View) -> float:
    """Area of a sector in m²."""
    return math.radians(v.fov_deg) / 2.0 * v.radius_m**2
