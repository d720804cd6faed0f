"""Cameras as a map shows them: on the ground, or seen from above where they have poses in space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from relabel.cameras import Cameras, FloatArray
from relabel.geometry.earth import is_geodesic, lon_lat
from relabel.geometry.headings import wrap_deg
from relabel.geometry.projection import meridian_convergence


class Ground(NamedTuple):
    """The plane of a map."""

    up: int
    """the axis of the frame that leads out of the map"""
    axes: tuple[int, int]
    """the axes of the frame that lead right and up on the map"""
    upright: int
    """1 where that axis points up, -1 where it points down"""
    in_space: bool
    """whether the cameras have poses in space, so that the map is a view from above"""

    def position(self, cameras: Cameras) -> FloatArray:
        """(n, 2) metres right and up on the map."""
        return cameras.position[:, list(self.axes)]

    def heading_deg(self, cameras: Cameras, params: Mapping[str, Any]) -> FloatArray:
        """(n,) degrees clockwise from up on the map, NaN if unknown; for a pose, the heading of its optical axis.

        These are the headings of the labels, but for cameras that are compared on the earth, as the parameters of their
        collection say: their headings count from true north, and are turned to the north of the map. How far the north
        of a local frame is from true north is unknown; the two are taken to be the same.
        """
        if self.in_space and cameras.pose is not None:
            right, ahead = cameras.pose[:, list(self.axes), 2].T
            return np.asarray(np.degrees(np.arctan2(right, ahead)) % 360.0)
        if is_geodesic(params) and cameras.crs != "local" and len(cameras):
            lon, lat = lon_lat(cameras).T
            return wrap_deg(cameras.heading_deg - meridian_convergence(lon, lat, cameras.crs))
        return cameras.heading_deg


def ground_of(sides: Sequence[Cameras]) -> Ground:
    """The plane of the map of some cameras: the horizontal one, with north up.

    If all cameras have poses in space, it is the plane perpendicular to the axis of the frame that is up for most of
    them, seen from above.
    """
    if not all(side.pose is not None and side.position.shape[1] == 3 for side in sides):
        return Ground(2, (0, 1), 1, in_space=False)
    downs = np.concatenate([side.pose[side.ok, :3, 1] for side in sides if side.pose is not None])  # y of a camera
    if not len(downs):
        return Ground(2, (0, 1), 1, in_space=True)
    up = int(np.abs(downs).sum(axis=0).argmax())
    right, ahead = (axis for axis in range(3) if axis != up)
    towards = -1 if up == 1 else 1  # where the cross product of the two points
    leaning = downs[:, up].sum()
    from_below = leaning * towards > 0
    return Ground(up, (ahead, right) if from_below else (right, ahead), -1 if leaning > 0 else 1, in_space=True)
