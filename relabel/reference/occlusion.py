"""Fields of view cut by walls, by shapely: every wall casts a shadow, and what is left of the polygon is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from relabel.cameras import Cameras, FloatArray
from relabel.measures import Measure
from relabel.reference.fov import field_of_view
from relabel.reference.psi import psi

TOUCH_M = 1e-6
_STEP = np.pi / 6.0  # of directions around a shadow's far end
_FAR = 5.0  # radii to the far end; its chords stay beyond 4.8 of them


class Occluders:
    """Buildings and walls, and what cameras see between them.

    Parameters
    ----------
    geometry:
        polygons, lines, or collections of them, in the frame of the cameras, metres. A part that holds a camera, or
        that is nearer than 1e-6 m to it, hides nothing from it.
    """

    def __init__(self, geometry: Sequence[Any] | npt.NDArray[Any]) -> None:
        # Multi-part lines stay one part each line, polygons each polygon.
        self.parts = shapely.get_parts(shapely.get_parts(np.asarray(geometry, dtype=object)))
        self.tree = shapely.STRtree(self.parts)

    def seen(
        self, x: float, y: float, heading_deg: float, fov_deg: float, radius_m: float, segments: int
    ) -> shapely.Geometry:
        """What the camera at (x, y) sees of its polygon; relative to the camera."""
        left: shapely.Geometry = field_of_view(0.0, 0.0, heading_deg, fov_deg, radius_m, segments)
        # A part is wanted where it stands, though its walls are worked on relative to the camera.
        for number in np.sort(self.tree.query(shapely.box(x - radius_m, y - radius_m, x + radius_m, y + radius_m))):
            part = shapely.transform(self.parts[number], lambda points: points - (x, y))
            if part.distance(shapely.Point(0.0, 0.0)) > TOUCH_M:
                # One after the other: the union of all shadows at once loses slivers of 1e-2 m² in GEOS 3.14.
                for shadow in _shadows(part, radius_m):
                    left = _robust(shapely.difference, left, shadow)
        return left


def _robust(operation: Callable[..., shapely.Geometry], a: shapely.Geometry, b: shapely.Geometry) -> shapely.Geometry:
    """The operation; where GEOS gives up on corners that nearly coincide, on a grid of a nanometre."""
    try:
        return operation(a, b)
    except shapely.errors.GEOSException:
        return operation(a, b, grid_size=1e-9)


def _shadows(part: shapely.Geometry, radius_m: float) -> list[shapely.Geometry]:
    """The region behind each wall of a part, as far as it matters within the radius of the camera at the origin."""
    shadows = []
    window = shapely.box(*(-1.01 * radius_m,) * 2, *(1.01 * radius_m,) * 2)
    for line in shapely.get_parts(part if part.geom_type == "LineString" else shapely.boundary(part)):
        points = shapely.get_coordinates(line)
        for a, b in pairwise(points):
            inside = shapely.LineString([a, b]).intersection(window)
            if inside.geom_type != "LineString" or inside.is_empty:
                continue
            a1, b1 = shapely.get_coordinates(inside)[[0, -1]]
            turn = np.arctan2(a1[0] * b1[1] - a1[1] * b1[0], a1 @ b1)
            if abs(turn) < 1e-12:
                continue
            steps = np.linspace(1.0, 0.0, max(2, int(np.ceil(abs(turn) / _STEP)) + 1))
            angles = np.arctan2(a1[1], a1[0]) + turn * steps
            far = _FAR * radius_m * np.column_stack([np.cos(angles), np.sin(angles)])
            shadow = shapely.Polygon([a1, b1, *far])
            shadows.append(shadow if shadow.is_valid else shapely.make_valid(shadow))
    return shadows


def pair_overlap(
    occluders: Occluders,
    query: Cameras,
    database: Cameras,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    *,
    fov_deg: float = 90.0,
    radius_m: float = 50.0,
    measure: Measure = "iou",
    segments: int = 16,
) -> FloatArray:
    """ψ of the pairs (rows[k], columns[k]) with views cut by `occluders`, (m,) float64; see `relabel.reference.fov`."""

    @lru_cache(maxsize=4096)
    def view(which: int, row: int) -> shapely.Geometry:
        side = (query, database)[which]
        fov = fov_deg if side.fov_deg is None else float(side.fov_deg[row])
        radius = radius_m if side.radius_m is None else float(side.radius_m[row])
        x, y = side.position[row, :2].tolist()
        return occluders.seen(x, y, float(side.heading_deg[row]), fov, radius, segments)

    result = np.zeros(len(rows))
    for k, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        a, b = view(0, i), view(1, j)
        half = (database.position[j, :2] - query.position[i, :2]) / 2.0
        left = shapely.transform(a, lambda points, by=half: points - by)
        right = shapely.transform(b, lambda points, by=half: points + by)
        common = _robust(shapely.intersection, left, right).area
        result[k] = psi(common, a.area, b.area, measure) if common > 0.0 else 0.0
    return result
