"""Overlap of surfaces by nearest neighbours: the exact definition, one pair at a time, by SciPy or by Open3D.

Each frame's points are thinned to one in a cell of 2 cm, so that near surfaces, which have more pixels, do not
dominate: the mean of the points in the cell. A point is shared when the other frame has a point within the tolerance.
With shared counts sA, sB of nA, nB points, what two frames have in common is I = (sA + sB) / 2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from relabel.cameras import FloatArray
from relabel.errors import OptionError
from relabel.frames import Frames
from relabel.measures import Measure
from relabel.optional import open3d
from relabel.reference.depth import stored_depth
from relabel.reference.psi import psi

Backend = Literal["kdtree", "open3d"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

CELL_M = 0.02
"""The side of the cells that points are thinned to one of."""
_KEPT = 256  # frames whose points stay in memory, about 2 MB each


def pair_overlap(
    query: Frames,
    database: Frames,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    *,
    tolerance_m: float = 0.05,
    cell_m: float = CELL_M,
    stride: int = 1,
    nearest_m: float = 0.0,
    farthest_m: float | None = None,
    measure: Measure = "iou",
    backend: Backend = "kdtree",
) -> FloatArray:
    """ψ of the pairs (rows[k], columns[k]), (m,) float64; NaN where a frame has no pose or sees nothing.

    Parameters
    ----------
    query, database:
        frames of one scene; the same object on both sides for pairs among themselves.
    rows, columns:
        (m,) row numbers of query and database frames.
    tolerance_m:
        a point is shared when the other frame has a point no farther than this.
    cell_m:
        side of the cells that the points are thinned to one of.
    stride:
        pixels whose row and column are multiples of it are taken.
    nearest_m, farthest_m:
        depths that are taken, ends included; None for no farthest.
    measure:
        what ψ is.
    backend:
        who finds the nearest neighbours: ``kdtree`` (SciPy) or ``open3d``.

    Raises
    ------
    InputError
        when a depth map cannot be read, or is not 16-bit greyscale of the size that is expected.
    MissingPackageError
        when Open3D is asked for and cannot be loaded.
    OptionError
        when the backend is not known.
    """
    if backend not in BACKENDS:
        raise OptionError(f"backend {backend!r} is not known; choose {', '.join(BACKENDS)}")
    cloud = _TreeCloud if backend == "kdtree" else _Open3dCloud

    @lru_cache(maxsize=_KEPT)
    def seen(which: int, row: int) -> Any:
        points = frame_points((query, database)[which], row, stride=stride, nearest_m=nearest_m, farthest_m=farthest_m)
        return cloud(thinned(points, cell_m))

    other = 0 if database is query else 1
    result = np.full(len(rows), np.nan)
    for k, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        if query.cameras.ok[i] and database.cameras.ok[j]:
            a, b = seen(0, i), seen(other, j)
            if not len(a) or not len(b):
                continue
            shared = (a.within(b, tolerance_m) + b.within(a, tolerance_m)) / 2
            result[k] = min(1.0, psi(shared, len(a), len(b), measure))
    return result


def frame_points(
    frames: Frames, row: int, *, stride: int = 1, nearest_m: float = 0.0, farthest_m: float | None = None
) -> FloatArray:
    """(m, 3) the points that a frame sees, in the world, metres; in the order of the pixels, row by row.

    The pixel (u, v) with depth z is at ((u - cx) z / fx, (v - cy) z / fy, z) before the camera; where depths are
    measured along the rays, it is as far away on the same line.

    Raises
    ------
    InputError
        when the depth map cannot be read, or is not 16-bit greyscale of the size that is expected.
    """
    depth = frame_depth(frames, row, stride=stride, nearest_m=nearest_m, farthest_m=farthest_m)
    v, u = np.nonzero(depth)
    z = depth[v, u]
    fx, fy, cx, cy = frames.intrinsics[row]
    line = np.column_stack([(u * stride - cx) / fx, (v * stride - cy) / fy, np.ones(len(z))])
    if frames.depth_is == "ray":
        line /= np.linalg.norm(line, axis=1, keepdims=True)
    local = line * z[:, np.newaxis]
    assert frames.cameras.pose is not None
    pose = frames.cameras.pose[row]
    world: FloatArray = local @ pose[:3, :3].T + pose[:3, 3]
    return world


def frame_depth(
    frames: Frames, row: int, *, stride: int = 1, nearest_m: float = 0.0, farthest_m: float | None = None
) -> FloatArray:
    """(h, w) stored depths of the pixels whose row and column are multiples of `stride`, metres; 0 where there is none.

    Raises
    ------
    InputError
        when the depth map cannot be read, or is not 16-bit greyscale of the size that is expected.
    """
    steps = stored_depth(str(frames.depth[row]), frames.size)[::stride, ::stride]
    z = steps * frames.unit_m
    taken = (z >= nearest_m) & ~np.isin(steps, frames.invalid)
    if farthest_m is not None:
        taken &= z <= farthest_m
    return np.where(taken, z, 0.0)


def thinned(points: FloatArray, cell_m: float = CELL_M) -> FloatArray:
    """One point for each cell of a grid that has any: the mean of those in it, (k, 3) of (m, 3)."""
    if not len(points):
        return points
    cell = np.floor(points / cell_m).astype(np.int64)
    cell -= cell.min(axis=0)
    # As one number a cell: sorting rows takes ten times as long.
    number = np.ravel_multi_index(tuple(cell.T), tuple(cell.max(axis=0) + 1))
    _, which, count = np.unique(number, return_inverse=True, return_counts=True)
    total = [np.bincount(which, weights=points[:, axis], minlength=len(count)) for axis in range(3)]
    means: FloatArray = np.column_stack(total) / count[:, np.newaxis]
    return means


class _TreeCloud:
    """Points in a KD-tree."""

    def __init__(self, points: FloatArray) -> None:
        self.points = points
        self.tree = cKDTree(points)

    def __len__(self) -> int:
        return len(self.points)

    def within(self, other: _TreeCloud, tolerance_m: float) -> int:
        """How many of the points have one of the others within the tolerance."""
        # The bound of a query is exclusive; what is farther than it counts as infinitely far.
        distance, _ = other.tree.query(self.points, distance_upper_bound=2.0 * tolerance_m)
        return int(np.count_nonzero(distance <= tolerance_m))


class _Open3dCloud:
    """Points as Open3D holds them, which builds its own KD-tree anew for each pair."""

    def __init__(self, points: FloatArray) -> None:
        o3d = open3d("the backend open3d of the surface oracle")
        self.cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(np.ascontiguousarray(points)))

    def __len__(self) -> int:
        return len(self.cloud.points)

    def within(self, other: _Open3dCloud, tolerance_m: float) -> int:
        """How many of the points have one of the others within the tolerance."""
        distance = np.asarray(self.cloud.compute_point_cloud_distance(other.cloud))
        return int(np.count_nonzero(distance <= tolerance_m))
