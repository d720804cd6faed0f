"""From depth maps to the bricks that frames occupy: decoded and projected in threads, a few frames at a time."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.errors import InputError
from relabel.frames import INTRINSICS, Frames
from relabel.jit import thread_count
from relabel.surface import _bricks, _project
from relabel.surface.depth_maps import read_depth
from relabel.surface.occupancy import IndexArray, WordArray
from relabel.surface.params import SurfaceParams
from relabel.surface.poses import principal_point_inside

T = TypeVar("T")
AHEAD = 3
"""The number of frames that each thread may be ahead of the next one to be consumed; bounds the memory."""
DEPTHS = 2**16


class FrameBricks(NamedTuple):
    """The bricks that one frame occupies, or why they are unknown."""

    code: IndexArray
    word: WordArray
    farthest_m: float
    """the largest depth that counts"""
    fault: str | None

    @property
    def voxels(self) -> int:
        """The number of voxels that it occupies."""
        return int(np.bitwise_count(self.word).sum())

    def box(self) -> IndexArray:
        """(2, 3) the least and the largest number of its bricks along each axis; it occupies something."""
        place = _bricks.unpacked(self.code)
        return np.stack((place.min(axis=1), place.max(axis=1)))

    def sha256(self) -> bytes:
        """Digest of its bricks, 32 bytes."""
        return hashlib.sha256(self.code.tobytes() + self.word.tobytes()).digest()


NO_BRICKS = np.empty(0, np.int64), np.empty(0, np.uint64)


def valid_depths(frames: Frames, params: SurfaceParams) -> npt.NDArray[np.uint8]:
    """(65536,) uint8, 1 for each stored depth that counts."""
    metres = np.arange(DEPTHS) * frames.unit_m
    valid = (metres > 0.0) & (metres >= params.nearest_m)
    if params.farthest_m is not None:
        valid &= metres <= params.farthest_m
    valid[[d for d in frames.invalid if 0 <= d < DEPTHS]] = False
    return valid.astype(np.uint8)


@dataclass(eq=False)
class Voxeliser:
    """Turns depth maps into bricks; any number of threads may use one object at the same time.

    Parameters
    ----------
    frames:
        the frames whose depth maps are read.
    params:
        with a stride.
    """

    frames: Frames
    params: SurfaceParams

    def __post_init__(self) -> None:
        self.valid = valid_depths(self.frames, self.params)
        self._scratch = threading.local()

    def depth(self, row: int) -> npt.NDArray[np.uint16]:
        """The depth map of a frame, (height, width); raises an `InputError` if it cannot be used."""
        path = str(self.frames.depth[row])
        depth = read_depth(path, self.frames.size)
        intrinsics = self.frames.intrinsics[row]
        if not principal_point_inside(intrinsics, depth.shape[1], depth.shape[0]):
            shown = ", ".join(f"{name} {value:g}" for name, value in zip(INTRINSICS, intrinsics, strict=True))
            raise InputError(f"{path}: is {depth.shape[1]} × {depth.shape[0]} pixels, which {shown} do not match")
        return depth

    def bricks(self, row: int, depth: npt.NDArray[np.uint16]) -> FrameBricks:
        """The bricks of the points of the depth map of a frame."""
        frames, stride = self.frames, self.params.stride
        assert frames.cameras.pose is not None
        assert stride is not None
        rows, columns = (-(-length // stride) for length in depth.shape)
        voxel = self._room(rows * columns)
        extremes = np.zeros(2, np.int64)
        count = _project.points(
            depth,
            stride,
            frames.unit_m,
            self.valid,
            frames.intrinsics[row],
            frames.cameras.pose[row],
            self.params.edge_m,
            voxel,
            extremes,
            True if frames.depth_is == "ray" else None,
        )
        code, word = _project.bricks(voxel, count, extremes)
        return self.checked(row, code, word, int(extremes[0]), int(extremes[1]))

    def checked(self, row: int, code: IndexArray, word: WordArray, farthest: int, outside: int) -> FrameBricks:
        """The bricks of a frame and its fault, if any.

        Parameters
        ----------
        row:
            the frame.
        code, word:
            its bricks, as codes and words.
        farthest:
            the largest stored depth that counts, 0 if none does.
        outside:
            not 0 if a point is too far from the origin for its voxel to have a number.
        """
        fault = None
        if farthest == 0:
            fault = "no valid depth"
            if self.params.nearest_m > 0.0 or self.params.farthest_m is not None:
                fault += " within the depth range"
        elif outside:
            fault = f"too far from the origin for voxels of {self.params.edge_m:g} m"
        if fault is not None:
            fault = f"{self.frames.depth[row]}: {fault}"
        return FrameBricks(code, word, farthest * self.frames.unit_m, fault)

    def voxelise(self, row: int) -> FrameBricks:
        """The bricks of a frame; never raises because of the content of a file."""
        try:
            depth = self.depth(row)
        except InputError as error:
            return FrameBricks(*NO_BRICKS, 0.0, str(error))
        return self.bricks(row, depth)

    def _room(self, pixels: int) -> npt.NDArray[np.int32]:
        """A buffer for the voxels of all pixels, kept by each thread: fresh memory costs more than filling it."""
        room: npt.NDArray[np.int32] | None = getattr(self._scratch, "voxel", None)
        if room is None or room.shape[1] < pixels:
            room = self._scratch.voxel = np.empty((3, pixels), np.int32)
        return room


def map_in_order(work: Callable[[int], T], rows: Iterable[int], threads: int | None, *, task: int = 1) -> Iterator[T]:
    """work(row) of each row, in their order, computed in threads a few ahead of what is consumed.

    `task` rows are computed together: more than one if the work on one row is so short that passing it on matters.
    """
    count = thread_count(threads)
    ahead = max(AHEAD * count // task, count)
    pool = ThreadPoolExecutor(count, thread_name_prefix="relabel-depth")
    waiting: deque[Future[list[T]]] = deque()
    remaining = iter(rows)
    try:
        while part := list(islice(remaining, task)):
            waiting.append(pool.submit(lambda part: list(map(work, part)), part))
            if len(waiting) > ahead:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        # After an interrupt or an error, nothing is decoded in vain.
        pool.shutdown(wait=True, cancel_futures=True)


def rows_to_decode(cameras: Cameras) -> IndexArray:
    """The rows of the cameras that can be labelled, as known before decoding."""
    rows: IndexArray = np.flatnonzero(cameras.ok)
    return rows
