r"""From one depth map to the bricks of its points.

    pixel (u, v), depth d ──► camera (x, y, z) ──► world (X, Y, Z) ──► voxel ⌊X / edge⌋ … ──► bit of a brick

Every step is one float64 operation in a fixed order, none of them fused:

    right = (u - cx) / fx     down = (v - cy) / fy
    z = d·unit, or (d·unit) / √((right·right + down·down) + 1) where depths are measured along the rays
    x = right·z     y = down·z
    X = ((r00·x + r01·y) + r02·z) + t0       voxel = ⌊X / edge⌋        (Y and Z likewise)

so that every engine finds the same voxels. Points are set as bits in the smallest box of bricks that holds them all,
which yields each voxel once, without sorting; only if this box would be far larger than the points, as with one
outlier a kilometre away, bricks are sorted instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from relabel.jit import compiled, inlined
from relabel.surface._bricks import BRICK_BITS, LEAST_BRICK

OUTSIDE = 1
"""Marks a frame with a point too far from the origin for its voxel to have a number."""
_LIMIT = -4.0 * LEAST_BRICK
_MOST_WORDS = 2**20
_ONE = np.uint64(1)


@compiled()
def points(
    depth: Any,
    stride: Any,
    unit: Any,
    valid: Any,
    intrinsics: Any,
    pose: Any,
    edge: Any,
    out: Any,
    extremes: Any,
    rays: Any,
) -> Any:
    """The voxels of all valid points into `out` (3, n) int32, and how many there are.

    `valid` (65536,) uint8 says for each stored depth whether it counts; `rays` is True if depths are measured along
    the rays of pixels, otherwise None. `out` holds voxels out of range as ±_LIMIT; extremes[0] becomes the largest
    valid stored depth.
    """
    fx, fy, cx, cy = intrinsics[0], intrinsics[1], intrinsics[2], intrinsics[3]
    height, width = depth.shape
    columns = (width + stride - 1) // stride
    right = np.empty(columns)
    for i in range(columns):
        right[i] = (np.float64(i * stride) - cx) / fx
    across = np.empty(columns)
    ahead = np.empty(columns)
    count: Any = 0
    farthest: Any = 0
    for v in range(0, height, stride):
        down = (np.float64(v) - cy) / fy
        row: Any = 0
        for i in range(columns):
            d = depth[v, i * stride]
            # Store first, advance if valid: holes are scattered, so a branch would often be mispredicted.
            across[row] = right[i]
            ahead[row] = np.float64(d) * unit
            counts = valid[d]
            row += np.int64(counts)
            farthest = max(farthest, np.int64(d) * np.int64(counts))
        # Compiled in only if needed: a branch here costs the loops below a quarter of their speed.
        if rays is not None:
            for k in range(row):
                ahead[k] /= np.sqrt((across[k] * across[k] + down * down) + 1.0)
        for axis in range(3):
            r0, r1, r2, t = pose[axis, 0], pose[axis, 1], pose[axis, 2], pose[axis, 3]
            for k in range(row):
                z = ahead[k]
                x = across[k] * z
                y = down * z
                place = np.floor((((r0 * x + r1 * y) + r2 * z) + t) / edge)
                # A comparison with NaN is false: it ends at the limit, too.
                place = place if place < _LIMIT else _LIMIT  # noqa: FURB136
                place = place if place > -_LIMIT - 1.0 else -_LIMIT - 1.0  # noqa: FURB136
                out[axis, count + k] = np.int32(place)
        count += row
    extremes[0] = farthest
    return count


@inlined
def _bit(x: Any, y: Any, z: Any) -> Any:
    return _ONE << np.uint64((x & 3) | ((y & 3) << 2) | ((z & 3) << 4))


@compiled()
def bricks(voxel: Any, count: Any, extremes: Any) -> Any:
    """The bricks of the first `count` of the voxels (3, n): their codes and words; extremes[1]: `OUTSIDE` or 0."""
    low = np.zeros(3, np.int64)
    high = np.zeros(3, np.int64)
    extremes[1] = 0
    for axis in range(3):
        # As int32, so that many are compared at a time.
        least, most = np.int32(2147483647), np.int32(-2147483648)
        for k in range(count):
            least = min(least, voxel[axis, k])
            most = max(most, voxel[axis, k])
        if count > 0 and (least < -_LIMIT or most >= _LIMIT):
            extremes[1] = OUTSIDE
            count = 0
        low[axis], high[axis] = least >> 2, most >> 2
    if count == 0:
        return np.empty(0, np.int64), np.empty(0, np.uint64)
    nx, ny, nz = high[0] - low[0] + 1, high[1] - low[1] + 1, high[2] - low[2] + 1
    if nx * ny * nz > _MOST_WORDS:
        return _sorted_bricks(voxel, count)
    word = np.zeros(nx * ny * nz, np.uint64)
    occupied = 0
    # Unsigned, since a signed index costs a test whether it counts from the end.
    for k in range(np.uint64(count)):
        x, y, z = np.int64(voxel[0, k]), np.int64(voxel[1, k]), np.int64(voxel[2, k])
        inside = np.uint64((((x >> 2) - low[0]) * ny + ((y >> 2) - low[1])) * nz + ((z >> 2) - low[2]))
        occupied += 1 if word[inside] == np.uint64(0) else 0
        word[inside] |= _bit(x, y, z)
    code = np.empty(occupied, np.int64)
    mask = np.empty(occupied, np.uint64)
    n: Any = 0
    place: Any = 0
    for bx in range(low[0], low[0] + nx):
        for by in range(low[1], low[1] + ny):
            plane = ((bx - LEAST_BRICK) << (2 * BRICK_BITS)) | ((by - LEAST_BRICK) << BRICK_BITS)
            for bz in range(low[2], low[2] + nz):
                if word[place] != np.uint64(0):
                    code[n] = plane | (bz - LEAST_BRICK)
                    mask[n] = word[place]
                    n += 1
                place += 1
    return code, mask


@inlined
def _sorted_bricks(voxel: Any, count: Any) -> Any:
    key = np.empty(count, np.int64)
    for k in range(count):
        x, y, z = np.int64(voxel[0, k]), np.int64(voxel[1, k]), np.int64(voxel[2, k])
        key[k] = ((x >> 2) - LEAST_BRICK) << (2 * BRICK_BITS)
        key[k] |= ((y >> 2) - LEAST_BRICK) << BRICK_BITS
        key[k] |= (z >> 2) - LEAST_BRICK
        key[k] = (key[k] << 6) | (x & 3) | ((y & 3) << 2) | ((z & 3) << 4)
    key.sort()
    code = np.empty(count, np.int64)
    mask = np.empty(count, np.uint64)
    n = 0
    for k in range(count):
        if n == 0 or code[n - 1] != key[k] >> 6:
            code[n] = key[k] >> 6
            mask[n] = np.uint64(0)
            n += 1
        mask[n - 1] |= _ONE << np.uint64(key[k] & 63)
    return code[:n].copy(), mask[:n].copy()
