"""From depth maps to the voxels that frames occupy, many frames at a time, in torch on any device.

Every operation on numbers with a fraction is one of torch's own, in float64 and in the order that the definition of
the method gives. Torch runs each by itself, so that none is contracted with the next into one with a single rounding:
the voxels are those of the kernels for the CPU, to the last one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.devices import Device
from relabel.errors import InputError
from relabel.surface._bricks import BRICK_BITS, LEAST_BRICK
from relabel.surface.device_memory import Budget, memory_budget
from relabel.surface.occupancy import LIMIT, IndexArray, WordArray
from relabel.surface.voxelise import NO_BRICKS, FrameBricks, Voxeliser, map_in_order

BATCH = 16
"""Frames that are sent up at a time: enough to keep a GPU busy, few enough for threads to decode the next meanwhile."""
PIXEL_BYTES = 192  # that a pixel takes on its way: coordinates and their products, of 8 bytes each, and the sorting


class Projection(NamedTuple):
    """How depth maps become points, and points voxels: the same for all frames of a side."""

    unit_m: float
    """metres of one step of a stored depth"""
    valid: npt.NDArray[np.uint8]
    """(65536,) for each depth that can be stored, whether it counts"""
    voxel_m: float
    """edge of a voxel"""
    stride: int
    """pixels whose column and row are multiples of this are used"""
    rays: bool = False
    """whether depths are measured along the rays of pixels"""


class ProjectedBricks(NamedTuple):
    """What one frame occupies."""

    code: IndexArray
    """(k,) codes of bricks, ascending; see `relabel.surface.occupancy`"""
    word: WordArray
    """(k,) the voxels of each"""
    farthest: int
    """the largest valid stored depth of the pixels that are used, or 0"""
    outside: bool
    """whether a point lies too far from the origin for its voxel to have a number; there are no bricks then"""


class _DepthMap(NamedTuple):
    row: int
    depth: npt.NDArray[np.uint16] | None
    fault: str | None


def project(
    depth: npt.NDArray[np.uint16],
    intrinsics: FloatArray,
    pose: FloatArray,
    projection: Projection,
    *,
    device: str,
    budget: Budget,
) -> list[ProjectedBricks]:
    """The bricks that each of some frames occupies.

    Parameters
    ----------
    depth:
        (b, h, w) uint16 depth maps of one size.
    intrinsics:
        (b, 4) fx, fy, cx, cy, pixels.
    pose:
        (b, 4, 4) camera-to-world, metres.
    projection:
        how to make bricks of them.
    device:
        of torch.
    budget:
        bytes to take on the device.

    Raises
    ------
    OptionError
        when the device is out of memory for a single frame.
    """
    used = np.ascontiguousarray(depth[:, :: projection.stride, :: projection.stride])
    projected: list[ProjectedBricks] = []

    def next_frames(size: int) -> list[ProjectedBricks]:
        count = max(size // (PIXEL_BYTES * max(used[0].size, 1)), 1)
        part = slice(len(projected), len(projected) + count)
        return _project_frames(used[part], intrinsics[part], pose[part], projection, device)

    while len(projected) < len(used):
        projected += budget.within(next_frames)
    return projected


def voxelise_in_batches(
    voxeliser: Voxeliser, rows: Iterable[int], threads: int | None, *, device: Device, memory_bytes: int | None = None
) -> Iterator[FrameBricks]:
    """What each frame occupies, in the order of `rows`: decoded in threads, projected on a torch device.

    It is for a GPU what `map_in_order` with `Voxeliser.voxelise` is for the CPU; the results are the same.

    Parameters
    ----------
    voxeliser:
        decodes, and knows which depths count.
    rows:
        rows of frames.
    threads:
        number of threads that decode.
    device:
        of torch.
    memory_bytes:
        what may be used there; by default most of what is free.

    Raises
    ------
    OptionError
        when the device is out of memory for a single frame.
    """
    budget = Budget(memory_budget(device, memory_bytes))

    def decode(row: int) -> _DepthMap:
        try:
            return _DepthMap(row, voxeliser.depth(row), None)
        except InputError as error:
            return _DepthMap(row, None, str(error))

    batch: list[_DepthMap] = []
    shape: tuple[int, ...] | None = None
    for depth_map in map_in_order(decode, rows, threads):
        if len(batch) == BATCH or (depth_map.depth is not None and shape not in (None, depth_map.depth.shape)):
            yield from _bricks_of_batch(voxeliser, batch, device, budget)
            batch, shape = [], None
        batch.append(depth_map)
        if depth_map.depth is not None:
            shape = depth_map.depth.shape
    yield from _bricks_of_batch(voxeliser, batch, device, budget)


def _bricks_of_batch(
    voxeliser: Voxeliser, batch: list[_DepthMap], device: Device, budget: Budget
) -> Iterator[FrameBricks]:
    """What the frames of one batch occupy; all depth maps that there are have one size."""
    frames, params = voxeliser.frames, voxeliser.params
    good = [depth_map for depth_map in batch if depth_map.depth is not None]
    projected: Iterator[ProjectedBricks] = iter(())
    if good:
        rows = [depth_map.row for depth_map in good]
        pose, stride = frames.cameras.pose, params.stride
        assert pose is not None
        assert stride is not None
        projection = Projection(frames.unit_m, voxeliser.valid, params.edge_m, stride, frames.depth_is == "ray")
        depth = np.stack([depth_map.depth for depth_map in good if depth_map.depth is not None])
        projected = iter(project(depth, frames.intrinsics[rows], pose[rows], projection, device=device, budget=budget))
    for depth_map in batch:
        if depth_map.fault is not None:
            yield FrameBricks(*NO_BRICKS, 0.0, depth_map.fault)
        else:
            yield voxeliser.checked(depth_map.row, *next(projected))


def _project_frames(
    depth: npt.NDArray[np.uint16], intrinsics: FloatArray, pose: FloatArray, projection: Projection, device: str
) -> list[ProjectedBricks]:
    torch = importlib.import_module("torch")
    # Torch knows little of uint16: the bits go up as int16, and become the number there.
    stored = torch.from_numpy(depth.view(np.int16)).to(device).int() & 0xFFFF
    valid = torch.from_numpy(projection.valid.astype(np.bool_)).to(device)[stored.long()]
    farthest = (stored * valid).flatten(1).amax(1).tolist() if stored[0].numel() else [0] * len(depth)
    inside = valid.clone()
    voxels = _voxels(stored.double() * projection.unit_m, intrinsics, pose, projection)
    for axis in voxels:
        inside &= (axis >= -LIMIT) & (axis < LIMIT)
    outside = (valid & ~inside).flatten(1).any(1)
    inside &= ~outside[:, None, None]
    pixel = inside.nonzero(as_tuple=True)
    x, y, z = (axis[pixel].long() for axis in voxels)
    code, word, counts = _words(pixel[0], x, y, z, len(depth))
    ends = np.cumsum(counts)
    return [
        ProjectedBricks(code[end - count : end], word[end - count : end], far, bool(lost))
        for end, count, far, lost in zip(ends, counts, farthest, outside.tolist(), strict=True)
    ]


def _voxels(depth: Any, intrinsics: FloatArray, pose: FloatArray, projection: Projection) -> list[Any]:
    """The voxel of each pixel along the three axes, (b, h, w) whole float64 numbers, from its depth in metres."""
    torch = importlib.import_module("torch")

    def sent(values: FloatArray) -> Any:
        return torch.from_numpy(np.ascontiguousarray(values, np.float64)).to(depth.device)[..., None, None]

    fx, fy, cx, cy = sent(intrinsics.T)
    _, height, width = depth.shape
    u = torch.arange(0, width * projection.stride, projection.stride, dtype=torch.float64, device=depth.device)
    v = torch.arange(0, height * projection.stride, projection.stride, dtype=torch.float64, device=depth.device)[
        :, None
    ]
    right, down = (u - cx) / fx, (v - cy) / fy
    z = depth / torch.sqrt((right * right + down * down) + 1.0) if projection.rays else depth
    x = right * z
    y = down * z
    # A tensor, since CUDA divides by a plain number as a product with its reciprocal, which may be a bit off.
    voxel_m = torch.tensor(projection.voxel_m, dtype=torch.float64, device=z.device)
    rows = sent(np.moveaxis(pose, 0, -1))[:3]
    return [torch.floor((((a * x + b * y) + c * z) + t) / voxel_m) for a, b, c, t in rows]


def _words(row: Any, x: Any, y: Any, z: Any, frames: int) -> tuple[IndexArray, WordArray, IndexArray]:
    """The bricks of all frames, one after the other, ascending in each, their words, and how many each frame has."""
    torch = importlib.import_module("torch")
    if not len(row):
        return np.empty(0, np.int64), np.empty(0, np.uint64), np.zeros(frames, np.int64)
    brick = [axis >> 2 for axis in (x, y, z)]
    low = [int(axis.min()) for axis in brick]
    size = [int(axis.max()) - least + 1 for axis, least in zip(brick, low, strict=True)]
    if frames * size[0] * size[1] * size[2] * 64 > 2**63:
        # Too far apart for one number to hold frame and voxel: two halves; a single frame always fits.
        middle = frames // 2
        first = row < middle
        halves = [
            _words(row[part] - start, x[part], y[part], z[part], count)
            for part, start, count in ((first, 0, middle), (~first, middle, frames - middle))
        ]
        code, word, counts = (np.concatenate(columns) for columns in zip(*halves, strict=True))
        return code, word, counts
    key = row
    for axis, least, count in zip(brick, low, size, strict=True):
        key = key * count + (axis - least)
    key = torch.unique((key << 6) | (x & 3) | ((y & 3) << 2) | ((z & 3) << 4), sorted=True)
    place, number = torch.unique_consecutive(key >> 6, return_inverse=True)
    bits = torch.from_numpy(np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64)).view(np.int64)).to(row.device)
    # Different bits of a word: their sum, modulo 2^64, is the word.
    word = torch.zeros_like(place).index_add_(0, number, bits[key & 63])
    code = torch.zeros_like(place)
    for shift, least, count in zip((0, BRICK_BITS, 2 * BRICK_BITS), reversed(low), reversed(size), strict=True):
        code |= (place % count + (least - LEAST_BRICK)) << shift
        place = torch.div(place, count, rounding_mode="floor")
    counts = torch.bincount(place, minlength=frames)
    return code.cpu().numpy(), word.cpu().numpy().view(np.uint64), counts.cpu().numpy()
