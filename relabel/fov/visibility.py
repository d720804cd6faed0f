"""Fields of view cut by what stands in the way: which walls are near a camera, and what it sees between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.fov import _visibility
from relabel.fov.views import Polygons
from relabel.geometry.walls import Walls

IntArray = npt.NDArray[np.int64]

MOST_CELLS = 2**20  # a side of the grid of walls


@dataclass(frozen=True, eq=False)
class VisibleRegions:
    """What the cameras see, in the order of the `Views` of the same cameras: convex pieces around each apex.

    Attributes
    ----------
    apex:
        (n, 2) float64, metres from the common origin.
    pieces, corners:
        (n + 1,) int64, where the pieces and the corners of a camera begin.
    piece:
        (k, 2) int64, the first and the last corner of a piece, which the apex completes.
    corner:
        (c, 2) float64, relative to the apex, counter-clockwise.
    box:
        (k, 4) float64, the bounding box of a piece: least x and y, greatest x and y, relative to the apex.
    area:
        (n,) float64, m²; 0 where nothing is seen.
    inside:
        (n,) bool, True where the camera stands in or at something that would hide all, and is ignored.
    """

    apex: FloatArray
    pieces: IntArray
    corners: IntArray
    piece: IntArray
    corner: FloatArray
    box: FloatArray
    area: FloatArray
    inside: npt.NDArray[np.bool_]

    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        """What the kernels take of one side."""
        return self.apex, self.pieces, self.corners, self.piece, self.corner, self.box, self.area

    @property
    def longest(self) -> int:
        """The corners of the largest piece, with the apex."""
        return int((self.piece[:, 1] - self.piece[:, 0]).max(initial=0)) + 2


def visible_regions(
    polygons: Polygons, angle_rad: FloatArray, circle: FloatArray, walls: Walls, origin: FloatArray
) -> VisibleRegions:
    """What is left of polygonal fields of view where walls stand in the way.

    Parameters
    ----------
    polygons:
        the whole fields of view.
    angle_rad:
        (n,) their width.
    circle:
        (n, 3) circles around them.
    walls:
        in the frame of the cameras.
    origin:
        (2,) the common origin of the fields of view, in that frame.
    """
    n = len(polygons.apex)
    ends = walls.ends - np.tile(origin, 2)
    ignored_ends, ignored = _parts_around(polygons.apex, ends, walls.part, walls.closed)
    # One way round and in one order, so that the order of the file does not show.
    turned = (ends[:, 0] > ends[:, 2]) | ((ends[:, 0] == ends[:, 2]) & (ends[:, 1] > ends[:, 3]))
    ends[turned] = ends[turned][:, [2, 3, 0, 1]]
    order = np.lexsort((walls.part, *ends.T[::-1]))
    ends, part = np.ascontiguousarray(ends[order]), walls.part[order]
    index = _grid(ends, circle)
    cameras = (polygons.apex, polygons.fan, angle_rad, circle, ends, part, *index, ignored, ignored_ends)
    sizes, area = np.zeros((n, 2), np.int64), np.zeros(n)
    nothing = np.empty((0, 2), np.int64), np.empty((0, 2)), np.empty((0, 4))
    pieces, corners = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    _visibility.visible_pieces(*cameras, sizes, area, pieces, corners, *nothing)
    pieces[1:], corners[1:] = np.cumsum(sizes[:, 0]), np.cumsum(sizes[:, 1])
    piece, box = np.empty((int(pieces[-1]), 2), np.int64), np.empty((int(pieces[-1]), 4))
    corner = np.empty((int(corners[-1]), 2))
    if len(corner):
        _visibility.visible_pieces(*cameras, sizes, area, pieces, corners, piece, corner, box)
    return VisibleRegions(polygons.apex, pieces, corners, piece, corner, box, area, np.diff(ignored_ends) > 0)


def cameras_inside(apex: FloatArray, walls: Walls, origin: FloatArray) -> npt.NDArray[np.bool_]:
    """(n,) `VisibleRegions.inside` alone; `apex` is (n, 2) metres from the origin, the rest as of `visible_regions`."""
    return np.diff(_parts_around(apex, walls.ends - np.tile(origin, 2), walls.part, walls.closed)[0]) > 0


def _box(circle: FloatArray) -> tuple[FloatArray, FloatArray]:
    return (circle[:, :2] - circle[:, 2:]).min(axis=0), (circle[:, :2] + circle[:, 2:]).max(axis=0)


def _grid(ends: FloatArray, circle: FloatArray) -> tuple[FloatArray, float, int, int, IntArray, IntArray]:
    """The cells around the circles with the walls in each: corner, width, columns, rows; cell and wall of each entry.

    Cells are half as wide as the middle circle, so that what is looked through is little more than what is near.
    """
    if not len(circle):
        return np.zeros(2), 1.0, 1, 1, np.empty(0, np.int64), np.empty(0, np.int64)
    low, high = _box(circle)
    width = max(float(np.median(circle[:, 2])), float((high - low).max()) / MOST_CELLS)
    columns, rows = (int(size) + 1 for size in (high - low) // width)
    counts = np.zeros(len(ends) + 1, np.int64)
    none = np.empty(0, np.int64)
    _visibility.cells_of_walls(ends, low, width, columns, rows, counts, none, none)
    places = np.cumsum(counts)
    cell, wall = np.empty(int(places[-1]), np.int64), np.empty(int(places[-1]), np.int64)
    if len(cell):
        _visibility.cells_of_walls(ends, low, width, columns, rows, places, cell, wall)
    order = np.argsort(cell, kind="stable")
    return low, width, columns, rows, cell[order], wall[order]


def _parts_around(
    apex: FloatArray, ends: FloatArray, part: IntArray, closed: npt.NDArray[np.bool_]
) -> tuple[IntArray, IntArray]:
    """The parts that each camera stands in or at: cumulated counts (n + 1,), and the parts."""
    first = np.searchsorted(part, np.arange(len(closed) + 1))
    by_x = np.argsort(apex[:, 0], kind="stable")
    counts = np.zeros(len(closed) + 1, np.int64)
    none = np.empty(0, np.int64)
    # A copy can be written to, whatever `closed` is; numba compiles for either.
    arguments = np.ascontiguousarray(apex[by_x]), ends, first, closed.copy()
    _visibility.parts_holding(*arguments, counts, none)
    places = np.cumsum(counts)
    held = np.empty(int(places[-1]), np.int64)
    if len(held):
        _visibility.parts_holding(*arguments, places, held)
    camera = by_x[held]
    order = np.argsort(camera, kind="stable")
    over = np.repeat(np.arange(len(closed)), np.diff(places))[order]
    return np.searchsorted(camera[order], np.arange(len(apex) + 1)), over
