"""What frames were found to occupy lately, so that two collections of one job decode the frames they share once.

The train frames of a scene are both a self-paired collection and the database of the test frames. A frame is taken for
the same as long as its depth map is (by file, size and time), and its pose, intrinsics and all params are.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator

from relabel.frames import Frames
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import Bricks

MOST_BYTES = 2**28
"""Of bricks that are kept; a frame has about 10 kB."""
Key = tuple[object, ...]


class Recall:
    """The latest bricks, up to a number of bytes; those that were asked for longest ago go first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._held = most_bytes, 0
        self._bricks: OrderedDict[Key, Bricks] = OrderedDict()

    def through(
        self, frames: Frames, params: SurfaceParams, rows: list[int], decode: Callable[[list[int]], Iterator[Bricks]]
    ) -> Iterator[Bricks]:
        """The bricks of the rows, in their order; `decode` is asked, once, for those that are not known."""
        keys = [key_of(frames, params, row) for row in rows]
        # Taken now, since what is decoded on the way may push them out.
        known = [None if key is None else self._bricks.get(key) for key in keys]
        fresh = decode([row for row, bricks in zip(rows, known, strict=True) if bricks is None])
        for key, bricks in zip(keys, known, strict=True):
            found = next(fresh) if bricks is None else bricks
            if key is not None:
                self._keep(key, found)
            yield found

    def _keep(self, key: Key, bricks: Bricks) -> None:
        if key not in self._bricks:
            self._held += _size(bricks)
            self._bricks[key] = bricks
        self._bricks.move_to_end(key)
        while self._held > self._most:
            self._held -= _size(self._bricks.popitem(last=False)[1])


def key_of(frames: Frames, params: SurfaceParams, row: int) -> Key | None:
    """All that the bricks of a frame depend on; None where its depth map is not there."""
    path = str(frames.depth[row])
    try:
        file = os.stat(path)  # noqa: PTH116  in a loop over all frames
    except OSError:
        return None
    pose = frames.cameras.pose
    assert pose is not None
    # By its path as well, which messages name.
    return (
        (path, file.st_dev, file.st_ino, file.st_size, file.st_mtime_ns),
        (frames.unit_m, frames.invalid, frames.size, frames.intrinsics[row].tobytes(), pose[row].tobytes()),
        (params.edge_m, params.stride, params.nearest_m, params.farthest_m),
    )


def _size(bricks: Bricks) -> int:
    return bricks.code.nbytes + bricks.word.nbytes + 1000


LATELY = Recall()
"""Of this process."""
