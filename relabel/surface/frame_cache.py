"""The bricks of frames that were decoded last, so that two collections of one job decode the frames they share once.

The train frames of a scene are both a self-paired collection and the database of the test frames. A frame counts as
the same as long as its depth map (by file, size and time), its pose, its intrinsics and all parameters are.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator

from relabel.frames import Frames
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import FrameBricks

MOST_BYTES = 2**28
"""Of bricks that are kept; a frame has about 10 kB."""
Key = tuple[object, ...]


class FrameCache:
    """The bricks of frames, up to a number of bytes; those that were asked for longest ago go first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._bricks: OrderedDict[Key, FrameBricks] = OrderedDict()

    def bricks(
        self,
        frames: Frames,
        params: SurfaceParams,
        rows: list[int],
        decode: Callable[[list[int]], Iterator[FrameBricks]],
    ) -> Iterator[FrameBricks]:
        """The bricks of the rows, in their order; `decode` is called, once, with those that are not cached."""
        keys = [cache_key(frames, params, row) for row in rows]
        # Looked up now, since what is decoded on the way may push them out.
        cached = [None if key is None else self._bricks.get(key) for key in keys]
        decoded = decode([row for row, bricks in zip(rows, cached, strict=True) if bricks is None])
        for key, known in zip(keys, cached, strict=True):
            bricks = next(decoded) if known is None else known
            if key is not None:
                self._keep(key, bricks)
            yield bricks

    def _keep(self, key: Key, bricks: FrameBricks) -> None:
        if key not in self._bricks:
            self._held += _size(bricks)
            self._bricks[key] = bricks
        self._bricks.move_to_end(key)
        while self._held > self._most:
            self._held -= _size(self._bricks.popitem(last=False)[1])


def cache_key(frames: Frames, params: SurfaceParams, row: int) -> Key | None:
    """All that the bricks of a frame depend on; None where its depth map is not there."""
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
