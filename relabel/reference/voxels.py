"""Surface overlap by the definition of the method, one pair at a time: sets of voxels, and steps to their neighbours.

A frame occupies the voxels that the points of its depth map lie in. A voxel of one frame is shared where the other
frame occupies it or one of its 26 neighbours (``surface``), or where it occupies it, too (``voxel-iou``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.errors import InputError
from relabel.frames import Frames
from relabel.measures import Measure
from relabel.reference.depth import stored_depth
from relabel.reference.psi import psi

KeyArray = npt.NDArray[np.int64]
_KEPT = 256
"""Frames whose voxels stay in memory, about 1 MB each."""
_AROUND = tuple(itertools.product((-1, 0, 1), repeat=3))
_MOST = 2**20
"""Voxels are numbered from -_MOST to _MOST - 1 along an axis."""
_Y = 2 * _MOST + 2  # room for a step outside
_X = _Y * _Y


def pair_overlap(
    query: Frames,
    database: Frames,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    *,
    method: Literal["surface", "voxel-iou"] = "surface",
    voxel_m: float,
    stride: int = 1,
    nearest_m: float = 0.0,
    farthest_m: float | None = None,
    measure: Measure = "iou",
    progress: Callable[[int], object] | None = None,
) -> FloatArray:
    """ψ of the pairs (rows[k], columns[k]), (m,) float64; NaN where a frame has no pose or no usable depth map.

    Parameters
    ----------
    query, database:
        frames of one scene; the same object on both sides for pairs among themselves.
    rows, columns:
        (m,) row numbers of query and database frames; sorted, pairs of one frame cost less.
    method:
        ``surface`` or ``voxel-iou``.
    voxel_m:
        edge of a voxel, metres.
    stride:
        pixels whose row and column are multiples of it are taken.
    nearest_m, farthest_m:
        depths outside are left out, metres; both ends are taken.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    progress:
        called with 1 before each pair.

    Raises
    ------
    InputError
        when a depth map cannot be decoded, or a point is so far away that its voxel has no number.
    """

    @lru_cache(_KEPT)
    def occupied(side: int, row: int) -> KeyArray:
        frames = (query, database)[side]
        return _keys(voxels(frames, row, voxel_m, stride, nearest_m, farthest_m))

    @lru_cache(_KEPT)
    def reached(side: int, row: int) -> KeyArray:
        """What is occupied and, for ``surface``, all that is next to it."""
        keys = occupied(side, row)
        if method == "voxel-iou":
            return keys
        return np.unique(np.concatenate([keys + (dx * _X + dy * _Y + dz) for dx, dy, dz in _AROUND]))

    result = np.full(len(rows), np.nan)
    for k, (i, j) in enumerate(zip(rows.tolist(), columns.tolist(), strict=True)):
        if progress is not None:
            progress(1)
        if not (query.cameras.ok[i] and database.cameras.ok[j]):
            continue
        other = 0 if database is query else 1
        a, b = occupied(0, i), occupied(other, j)
        if not len(a) or not len(b):
            continue
        common = float(np.isin(a, reached(other, j)).sum() + np.isin(b, reached(0, i)).sum()) / 2
        result[k] = min(1.0, psi(common, len(a), len(b), measure))
    return result


def voxels(
    frames: Frames, row: int, voxel_m: float, stride: int = 1, nearest_m: float = 0.0, farthest_m: float | None = None
) -> npt.NDArray[np.int64]:
    """(k, 3) int64, the numbers of the voxels that a frame occupies, each once.

    Raises
    ------
    InputError
        as `pair_overlap` does.
    """
    pose = frames.cameras.pose
    assert pose is not None
    stored = stored_depth(str(frames.depth[row]), frames.size)[::stride, ::stride]
    height, width = stored.shape
    v, u = np.meshgrid(np.arange(height) * stride, np.arange(width) * stride, indexing="ij")
    depth = stored * frames.unit_m
    seen = (depth > 0.0) & (depth >= nearest_m) & ~np.isin(stored, frames.invalid)
    if farthest_m is not None:
        seen &= depth <= farthest_m
    u, v, z = u[seen], v[seen], depth[seen]
    fx, fy, cx, cy = frames.intrinsics[row]
    right, down = (u - cx) / fx, (v - cy) / fy
    if frames.depth_is == "ray":
        z = z / np.sqrt((right * right + down * down) + 1.0)
    x, y = right * z, down * z
    world = [((r[0] * x + r[1] * y) + r[2] * z) + r[3] for r in pose[row, :3]]
    numbers = np.stack([np.floor(axis / voxel_m) for axis in world], axis=1)
    if numbers.size and (numbers.min() < -_MOST or numbers.max() >= _MOST):
        raise InputError(f"{frames.depth[row]}: a point is too far from the origin for voxels of {voxel_m:g} m")
    _, first = np.unique(_keys(numbers.astype(np.int64)), return_index=True)
    return numbers[first].astype(np.int64)


def _keys(numbers: npt.NDArray[np.int64]) -> KeyArray:
    """One number for each of the (k, 3) voxels, below 2^63 in size also one step outside of the numbered ones."""
    keys: KeyArray = numbers[:, 0] * _X + numbers[:, 1] * _Y + numbers[:, 2]
    return keys
