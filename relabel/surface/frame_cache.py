"""A cache of the bricks of decoded frames, so that two collections of one job decode the frames they share only once.

The train frames of a scene are both a self-paired collection and the database of the test frames. A frame counts as
the same if its depth map (by file, size and time), pose, intrinsics and all parameters are.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

import numpy as np

from relabel.frames import Frames
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import FrameBricks

MOST_BYTES = 2**28
"""Bytes of bricks that are kept in memory; a frame has about 10 kB."""
MOST_DISK_BYTES = 2**34
"""Bytes of bricks that are kept in a temporary file."""
Key = tuple[object, ...]


class FrameCache:
    """The bricks of frames: in memory up to a number of bytes, and the least recently used ones on disk.

    Parameters
    ----------
    most_bytes:
        in memory.
    most_disk_bytes:
        in an unnamed file in the folder for temporary files, which disappears with this object. If there is no more
        room, frames are dropped.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, most_disk_bytes: int = MOST_DISK_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._bricks: OrderedDict[Key, FrameBricks] = OrderedDict()
        self._file = _BricksFile(most_disk_bytes)
        self._places: dict[Key, _Place] = {}

    def bricks(
        self,
        frames: Frames,
        params: SurfaceParams,
        rows: list[int],
        decode: Callable[[list[int]], Iterator[FrameBricks]],
    ) -> Iterator[FrameBricks]:
        """The bricks of the rows, in their order; `decode` is called, once, with those that are not cached."""
        keys = [cache_key(frames, params, row) for row in rows]
        # Looked up now, since newly decoded frames may evict them.
        cached = [None if key is None else self._bricks.get(key) or self._places.get(key) for key in keys]
        decoded = decode([row for row, known in zip(rows, cached, strict=True) if known is None])
        for key, known in zip(keys, cached, strict=True):
            if isinstance(known, _Place):
                yield self._file.read(known)
                continue
            bricks = next(decoded) if known is None else known
            if key is not None:
                self._keep(key, bricks)
            yield bricks

    @property
    def most_bytes(self) -> int:
        """The most bytes that are kept in memory."""
        return self._most

    def limit(self, most_bytes: int) -> None:
        """Keep at most this many bytes in memory from now on; the rest goes to disk."""
        self._most = min(self._most, most_bytes)
        self._make_room()

    def _keep(self, key: Key, bricks: FrameBricks) -> None:
        if key not in self._bricks:
            self._held += _size(bricks)
            self._bricks[key] = bricks
        self._bricks.move_to_end(key)
        self._make_room()

    def _make_room(self) -> None:
        while self._held > self._most:
            oldest, bricks = self._bricks.popitem(last=False)
            self._held -= _size(bricks)
            if oldest not in self._places and (place := self._file.add(bricks)) is not None:
                self._places[oldest] = place


class _Place(NamedTuple):
    """The location of the bricks of a frame in the file, and what else is known about the frame."""

    start: int
    length: int
    farthest_m: float
    fault: str | None


class _BricksFile:
    """Bricks of frames, concatenated in a temporary file, which is created with the first of them."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._end = most_bytes, 0
        self._file: IO[bytes] | None = None
        self._process = os.getpid()

    def add(self, bricks: FrameBricks) -> _Place | None:
        """The location of the added bricks; None without room, or if the file belongs to a parent process."""
        content = bricks.code.tobytes() + bricks.word.tobytes()
        if self._end + len(content) > self._most or self._process != os.getpid():
            return None
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="relabel-voxels-")  # noqa: SIM115  as long as this object
                weakref.finalize(self, self._file.close)
            written = os.pwrite(self._file.fileno(), content, self._end)
        except OSError:
            written = -1
        if written != len(content):
            self._most = 0  # and not tried again for each frame
            return None
        self._end += written
        return _Place(self._end - written, len(bricks.code), bricks.farthest_m, bricks.fault)

    def read(self, place: _Place) -> FrameBricks:
        """The bricks that were added at a location."""
        content = b""
        if place.length:
            assert self._file is not None
            content = os.pread(self._file.fileno(), 16 * place.length, place.start)
        both = np.frombuffer(content, np.int64).reshape(2, -1)
        return FrameBricks(both[0], both[1].view(np.uint64), place.farthest_m, place.fault)


def cache_key(frames: Frames, params: SurfaceParams, row: int) -> Key | None:
    """Everything that the bricks of a frame depend on; None if its depth map does not exist."""
    path = str(frames.depth[row])
    try:
        file = os.stat(path)  # noqa: PTH116  in a loop over all frames
    except OSError:
        return None
    pose = frames.cameras.pose
    assert pose is not None
    # By its path as well, since messages name it.
    return (
        (path, file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns),
        (frames.unit_m, frames.invalid, frames.size, frames.depth_is),
        (frames.intrinsics[row].tobytes(), pose[row].tobytes()),
        (params.edge_m, params.stride, params.nearest_m, params.farthest_m),
    )


def _size(bricks: FrameBricks) -> int:
    return bricks.code.nbytes + bricks.word.nbytes + 1000


CACHE = FrameCache()
"""The cache of this process."""
