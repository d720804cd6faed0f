"""From depth maps to the voxels that frames occupy, many frames at a time, in torch on any device.

Every floating-point operation is one of torch, in float64 and in the order of the method's definition. Torch runs
each separately, so that none is fused with the next: the voxels are exactly those of the kernels for the CPU.

Points are set as bytes into boxes of bricks, one for each frame of a batch, as the kernels do; only if such boxes
would be far larger than the points, voxels are sorted instead. A batch is on the device while the next is decoded.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

BATCH = 64
"""Frames that are transferred at a time: launching kernels takes as long for few as for many."""
BATCH_BYTES = 2**26
"""Bytes of depth maps that make a batch, however few they are."""
TASK = 4
"""Frames that a thread decodes in one go."""
PIXEL_BYTES = 192
"""Bytes per pixel in process: coordinates and their products, of 8 bytes each, and its box or the sorting."""
BOX_BYTES = 96
"""The part of these for boxes."""


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

    def metres(self) -> FloatArray:
        """(65536,) the metres of each depth that can be stored, 0 for those that do not count."""
        return np.where(self.valid, np.arange(len(self.valid)) * self.unit_m, 0.0)


class ProjectedBricks(NamedTuple):
    """The bricks that one frame occupies."""

    code: IndexArray
    """(k,) codes of bricks, ascending; see `relabel.surface.occupancy`"""
    word: WordArray
    """(k,) the voxels of each"""
    farthest: int
    """the largest valid stored depth of the pixels that are used, or 0"""
    outside: bool
    """whether a point is too far from the origin for its voxel to have a number; there are no bricks then"""


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
        how points and voxels are computed.
    device:
        of torch.
    budget:
        the memory budget on the device.

    Raises
    ------
    OptionError
        when the device is out of memory for a single frame.
    """
    used = np.ascontiguousarray(depth[:, :: projection.stride, :: projection.stride])
    return _project_used(used, intrinsics, pose, projection, device, budget)


def _project_used(
    used: npt.NDArray[np.uint16],
    intrinsics: FloatArray,
    pose: FloatArray,
    projection: Projection,
    device: str,
    budget: Budget,
) -> list[ProjectedBricks]:
    """Like `project`, for the pixels that are used."""
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
    """The bricks of each frame, in the order of `rows`: decoded in threads, projected on a torch device.

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
    torch = importlib.import_module("torch")
    budget = Budget(memory_budget(device, memory_bytes))
    # Of this thread; the one below would begin with the first.
    where = f"cuda:{torch.cuda.current_device()}" if device == "cuda" else device
    stride = voxeliser.params.stride

    def decode(row: int) -> _DepthMap:
        try:
            return _DepthMap(row, np.ascontiguousarray(voxeliser.depth(row)[::stride, ::stride]), None)
        except InputError as error:
            return _DepthMap(row, None, str(error))

    waiting: deque[tuple[list[_DepthMap], Future[list[ProjectedBricks]]]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="relabel-gpu") as thread:
        for batch in _batches(map_in_order(decode, rows, threads, task=TASK)):
            waiting.append((batch, thread.submit(_projected, voxeliser, batch, *_staged(batch, where), budget)))
            if len(waiting) > 1:
                yield from _checked(voxeliser, *waiting.popleft())
        while waiting:
            yield from _checked(voxeliser, *waiting.popleft())


def _batches(depth_maps: Iterable[_DepthMap]) -> Iterator[list[_DepthMap]]:
    """Batches of depth maps of one size, including the unusable ones between them."""
    batch: list[_DepthMap] = []
    shape: tuple[int, ...] | None = None
    size = 0
    for depth_map in depth_maps:
        another = depth_map.depth is not None and shape not in (None, depth_map.depth.shape)
        if len(batch) == BATCH or size >= BATCH_BYTES or another:
            yield batch
            batch, shape, size = [], None, 0
        batch.append(depth_map)
        if depth_map.depth is not None:
            shape = depth_map.depth.shape
            size += depth_map.depth.nbytes
    if batch:
        yield batch


def _staged(batch: Sequence[_DepthMap], device: str) -> tuple[npt.NDArray[np.uint16], str]:
    """The usable depth maps, in pinned memory, and the device."""
    torch = importlib.import_module("torch")
    good = [depth_map.depth for depth_map in batch if depth_map.depth is not None]
    shape = (len(good), *good[0].shape) if good else (0, 0, 0)
    host = torch.empty(shape, dtype=torch.int16, pin_memory=device != "cpu").numpy().view(np.uint16)
    for into, depth in zip(host, good, strict=True):
        into[...] = depth
    return host, device


def _projected(
    voxeliser: Voxeliser, batch: Sequence[_DepthMap], used: npt.NDArray[np.uint16], device: str, budget: Budget
) -> list[ProjectedBricks]:
    frames, params = voxeliser.frames, voxeliser.params
    rows = [depth_map.row for depth_map in batch if depth_map.depth is not None]
    pose, stride = frames.cameras.pose, params.stride
    assert pose is not None
    assert stride is not None
    projection = Projection(frames.unit_m, voxeliser.valid, params.edge_m, stride, frames.depth_is == "ray")
    return _project_used(used, frames.intrinsics[rows], pose[rows], projection, device, budget)


def _checked(
    voxeliser: Voxeliser, batch: Sequence[_DepthMap], projected: Future[list[ProjectedBricks]]
) -> Iterator[FrameBricks]:
    """The bricks of the frames of a batch, once they are known, and their faults."""
    bricks = iter(projected.result())
    for depth_map in batch:
        if depth_map.fault is not None:
            yield FrameBricks(*NO_BRICKS, 0.0, depth_map.fault)
        else:
            yield voxeliser.checked(depth_map.row, *next(bricks))


def _project_frames(
    used: npt.NDArray[np.uint16], intrinsics: FloatArray, pose: FloatArray, projection: Projection, device: str
) -> list[ProjectedBricks]:
    torch = importlib.import_module("torch")
    if not used.size:
        return [ProjectedBricks(*NO_BRICKS, 0, outside=False)] * len(used)
    # Torch hardly supports uint16: the bits are sent as int16, and depths above 32767 index from the end of the table.
    stored = torch.from_numpy(used.view(np.int16)).to(device, non_blocking=True).long()
    metres = projection.metres()
    depth = torch.from_numpy(metres).to(device)[stored]
    voxels = _voxels(depth, intrinsics, pose, projection)
    # Pixels that do not count are at the camera here, so that they hardly enlarge the ranges below.
    flat = [axis.flatten(1) for axis in (depth, *voxels)]
    ends = torch.stack([end for axis in flat for end in torch.aminmax(axis, dim=1)]).cpu().numpy()
    farthest = np.searchsorted(np.arange(len(metres)) * projection.unit_m, ends[1]).tolist()
    low, high = ends[2::2], ends[3::2]
    outside = [False] * len(used)
    valid = depth > 0.0
    boxes = _boxes(low, high)
    if boxes is not None and boxes.nbytes <= min(BOX_BYTES * used.size, 2**31 - 64):
        code, word, counts = _words_in_boxes(valid, voxels, boxes)
    else:
        inside = valid.clone()
        for axis in voxels:
            inside &= (axis >= -LIMIT) & (axis < LIMIT)
        lost = (valid & ~inside).flatten(1).any(1)
        inside &= ~lost[:, None, None]
        outside = lost.tolist()
        pixel = inside.nonzero(as_tuple=True)
        x, y, z = (axis[pixel].long() for axis in voxels)
        code, word, counts = _words(pixel[0], x, y, z, len(used))
    stops = np.cumsum(counts)
    return [
        ProjectedBricks(code[stop - count : stop], word[stop - count : stop], *rest)
        for stop, count, *rest in zip(stops, counts, farthest, outside, strict=True)
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
    # A tensor, since CUDA divides by a plain number as a product with its reciprocal, which may differ in the last bit.
    voxel_m = torch.tensor(projection.voxel_m, dtype=torch.float64, device=z.device)
    rows = sent(np.moveaxis(pose, 0, -1))[:3]
    return [torch.floor((((a * x + b * y) + c * z) + t) / voxel_m) for a, b, c, t in rows]


class _Boxes(NamedTuple):
    """Bricks around the points of each of b frames."""

    low: IndexArray
    """(3, b) the first brick along each axis"""
    size: IndexArray
    """(3, b) bricks along each axis"""

    @property
    def nbytes(self) -> float:
        """With one byte per voxel; may exceed the range of int64."""
        return 64.0 * float(self.size.prod(axis=0, dtype=np.float64).sum())

    @property
    def starts(self) -> IndexArray:
        """(b + 1,) where the bricks of each frame begin, box after box, and how many there are in all."""
        return np.concatenate((np.zeros(1, np.int64), np.cumsum(self.size.prod(axis=0))))


def _boxes(low: FloatArray, high: FloatArray) -> _Boxes | None:
    """Boxes that hold the voxels from `low` to `high`, (3, b) both; None if some of these have no number."""
    if not ((low >= -LIMIT) & (high < LIMIT)).all():
        return None
    first = low.astype(np.int64) >> 2
    return _Boxes(first, (high.astype(np.int64) >> 2) - first + 1)


def _words_in_boxes(valid: Any, voxels: Sequence[Any], boxes: _Boxes) -> tuple[IndexArray, WordArray, IndexArray]:
    """As `_words`, of the `valid` ones of the voxels of all pixels (b, h, w) that lie in the boxes."""
    torch = importlib.import_module("torch")
    device, starts = valid.device, boxes.starts
    end = 64 * int(starts[-1])
    sent = torch.from_numpy(np.concatenate((boxes.low, boxes.size, starts[None, :-1])).astype(np.int32)).to(device)
    low, (_, rows, layers), start = sent[:3], sent[3:6], sent[6]
    x, y, z = (axis.int() - 4 * first[:, None, None] for axis, first in zip(voxels, low, strict=True))
    # A byte for each voxel, brick after brick: 64 (brick) + (x & 3) + 4 (y & 3) + 16 (z & 3), with fewer steps.
    along_x, along_y = ((64 * step)[:, None, None] for step in (rows * layers, layers))
    place = x + (x >> 2) * (along_x - 4) + 4 * y + (y >> 2) * (along_y - 16) + 16 * z + 64 * start[:, None, None]
    occupied = torch.zeros(end + 64, dtype=torch.uint8, device=device)
    occupied.index_fill_(0, torch.where(valid, place, end).long().flatten(), 1)
    occupied = occupied[:end].view(-1, 64)
    brick = occupied.view(torch.int64).amax(1).nonzero().squeeze(1)
    # Different bits of a word: their sum, modulo 2^64, is the word.
    word = (occupied[brick].long() * _bits(device)).sum(1)
    frame = torch.bucketize(brick, start.long(), right=True) - 1
    rest, first, (_, rows, layers) = (
        brick - start[frame],
        low.long()[:, frame] - LEAST_BRICK,
        sent[3:6].long()[:, frame],
    )
    bx = torch.div(rest, rows * layers, rounding_mode="floor")
    by = torch.div(rest, layers, rounding_mode="floor") - bx * rows
    code = ((bx + first[0]) << (2 * BRICK_BITS)) | ((by + first[1]) << BRICK_BITS) | (rest % layers + first[2])
    both = torch.stack((code, word)).cpu().numpy()
    return both[0], both[1].view(np.uint64), torch.bincount(frame, minlength=len(valid)).cpu().numpy()


def _bits(device: Any) -> Any:
    """(64,) int64, each with one bit, from the lowest on."""
    torch = importlib.import_module("torch")
    return torch.from_numpy(np.left_shift(np.uint64(1), np.arange(64, dtype=np.uint64)).view(np.int64)).to(device)


def _words(row: Any, x: Any, y: Any, z: Any, frames: int) -> tuple[IndexArray, WordArray, IndexArray]:
    """The bricks of all frames, one after the other, ascending in each, their words, and how many each frame has."""
    torch = importlib.import_module("torch")
    if not len(row):
        return np.empty(0, np.int64), np.empty(0, np.uint64), np.zeros(frames, np.int64)
    brick = [axis >> 2 for axis in (x, y, z)]
    low = [int(axis.min()) for axis in brick]
    size = [int(axis.max()) - least + 1 for axis, least in zip(brick, low, strict=True)]
    if frames * size[0] * size[1] * size[2] * 64 > 2**63:
        # Too far apart for one number to hold frame and voxel: split into two halves; a single frame always fits.
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
    word = torch.zeros_like(place).index_add_(0, number, _bits(row.device)[key & 63])
    code = torch.zeros_like(place)
    for shift, least, count in zip((0, BRICK_BITS, 2 * BRICK_BITS), reversed(low), reversed(size), strict=True):
        code |= (place % count + (least - LEAST_BRICK)) << shift
        place = torch.div(place, count, rounding_mode="floor")
    counts = torch.bincount(place, minlength=frames)
    return code.cpu().numpy(), word.cpu().numpy().view(np.uint64), counts.cpu().numpy()
