"""Blocks of queries of a collection labelled by surface: everything that their rows depend on, and no more.

The voxels of all frames are in files, see `relabel.pipeline.frame_blocks`. A block consists of its queries, the
database frames whose bounding boxes touch that of one of its queries, and the locations of their voxels in those
files. Its values are, to the
last bit, those of the same pairs in the whole collection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.devices import DeviceChoice, chosen
from relabel.similarity import Collection
from relabel.surface.device_memory import ram_budget
from relabel.surface.frame_pairs import VoxelPairs
from relabel.surface.occupancy import IndexArray, OccupancyBuilder
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import NO_BRICKS, FrameBricks

ReadFrames = Callable[[Path], Sequence[FrameBricks]]
"""Reads a file of frames; raises an error if it is missing or damaged."""


class KeptFrame(NamedTuple):
    """A decoded frame whose voxels are in a file."""

    file: Path
    place: int
    """position among the frames of the file; -1 for a frame that cannot be labelled"""
    voxels: int
    box: IndexArray
    """(2, 3), see `FrameBricks.box`"""
    sha256: bytes
    """digest of its voxels"""
    farthest_m: float
    fault: str | None

    @classmethod
    def of(cls, file: Path, place: int, bricks: FrameBricks) -> KeptFrame:
        """A frame of a file, from its bricks."""
        box = bricks.box() if bricks.voxels else np.zeros((2, 3), np.int64)
        return cls(file, place, bricks.voxels, box, bricks.sha256(), bricks.farthest_m, bricks.fault)


_NO_FRAME = KeptFrame(Path(), -1, 0, np.zeros((2, 3), np.int64), bytes(32), 0.0, None)


@dataclass(frozen=True, eq=False)
class KeptSide:
    """The locations of the voxels of the n frames of a side, and what is known about them without reading them.

    Attributes
    ----------
    files:
        files that hold voxels of these frames.
    file, place:
        (n,) the file of a frame, and its position there; -1 for a frame that cannot be labelled.
    voxels:
        (n,) number of voxels of each frame.
    box:
        (n, 2, 3), see `FrameBricks.box`.
    sha256:
        (n, 32) digest of its voxels.
    """

    files: tuple[Path, ...]
    file: IndexArray
    place: IndexArray
    voxels: IndexArray
    box: IndexArray
    sha256: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, frames: Sequence[KeptFrame]) -> KeptSide:
        """The side of these frames, in their order."""
        number = {file: k for k, file in enumerate(dict.fromkeys(frame.file for frame in frames))}
        return cls(
            tuple(number),
            np.array([number[frame.file] for frame in frames], np.int64),
            np.array([frame.place for frame in frames], np.int64),
            np.array([frame.voxels for frame in frames], np.int64),
            np.array([frame.box for frame in frames], np.int64).reshape(-1, 2, 3),
            np.frombuffer(b"".join(frame.sha256 for frame in frames), np.uint8).reshape(-1, 32),
        )

    def take(self, rows: IndexArray) -> KeptSide:
        """The frames of some rows."""
        used, file = np.unique(self.file[rows], return_inverse=True)
        arrays = self.place[rows], self.voxels[rows], self.box[rows], self.sha256[rows]
        return KeptSide(tuple(self.files[k] for k in used.tolist()), file, *arrays)

    def meeting(self, queries: KeptSide) -> IndexArray:
        """The rows, ascending, of the frames that can share a voxel, or neighbouring ones, with one of the queries."""
        low, high = queries.box[queries.place >= 0, 0] - 1, queries.box[queries.place >= 0, 1] + 1
        if not len(low):
            return np.empty(0, np.int64)
        near = (self.place >= 0) & _touches(self.box, low.min(axis=0), high.max(axis=0))
        rows = np.flatnonzero(near)
        meets = [_touches(self.box[rows], *ends) for ends in zip(low, high, strict=True)]
        return rows[np.stack(meets).any(axis=0)]

    def bricks(self, read: ReadFrames) -> Iterator[FrameBricks | None]:
        """The bricks of each frame; None for a frame that cannot be labelled."""
        current, frames = -1, cast("Sequence[FrameBricks]", ())
        for file, place in zip(self.file.tolist(), self.place.tolist(), strict=True):
            if place >= 0 and file != current:  # frames of one file mostly follow each other
                current, frames = file, read(self.files[file])
            yield frames[place] if place >= 0 else None


def _touches(box: IndexArray, low: IndexArray, high: IndexArray) -> npt.NDArray[np.bool_]:
    touches: npt.NDArray[np.bool_] = np.all((box[:, 0] <= high) & (box[:, 1] >= low), axis=1)
    return touches


class KeptFrames:
    """Keeps the locations of the frames of both sides; a `relabel.surface.decode_all.Collector`."""

    def __init__(self) -> None:
        self._sides: tuple[list[KeptFrame], list[KeptFrame]] = ([], [])

    def add_frame(self, side: int, frame: KeptFrame | None) -> None:
        """The next frame of a side; None for one that cannot be labelled."""
        self._sides[side].append(_NO_FRAME if frame is None else frame)

    def side(self, number: int) -> KeptSide:
        """One side."""
        return KeptSide.of(self._sides[number])


@dataclass(frozen=True, eq=False)
class SurfaceBlock:
    """Some rows of a collection, to be computed by themselves; `cut` makes one. It can be sent to another process.

    Attributes
    ----------
    query, database:
        the cameras of the rows, and those of the columns that can share anything with them.
    frames:
        the locations of the voxels of both.
    self_pairs:
        whether the database of the collection is its queries.
    params:
        the parameters of the overlap.
    device:
        the device that counts.
    read:
        reads a file of frames.
    """

    query: Cameras
    database: Cameras
    frames: tuple[KeptSide, KeptSide]
    self_pairs: bool
    params: SurfaceParams
    device: DeviceChoice
    read: ReadFrames

    def source(self, threads: int | None = None) -> VoxelPairs:
        """The rows of the block, not yet counted; their columns are those of `database`."""
        builder = OccupancyBuilder()
        for side, frames in enumerate(self.frames):
            for bricks in frames.bricks(self.read):
                builder.add(side, *(NO_BRICKS if bricks is None else (bricks.code, bricks.word)))
        occupancies = builder.build()
        extents = [
            np.where(cameras.ok, side.size.astype(np.float64), np.nan)
            for cameras, side in ((self.query, occupancies.query), (self.database, occupancies.database))
        ]
        collection = Collection(
            self.query,
            self.database,
            extents[0],
            extents[1],
            method=self.params.method,
            measure=self.params.measure,
            params=self.params.label_params(),
            min_value=self.params.min_value,
        )
        column = {key: k for k, key in enumerate(self.database.key.tolist())} if self.self_pairs else {}
        own = np.array([column.get(key, -1) for key in self.query.key.tolist()], np.int64)
        return VoxelPairs(collection, occupancies, own, ram_budget(None), threads, chosen(self.device))

    def digest(self) -> str:
        """SHA-256 of everything that its values depend on except the version of the program; in hexadecimal."""
        stated = {"params": self.params.to_json(), "self_pairs": self.self_pairs}
        running = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
        for cameras, frames in zip((self.query, self.database), self.frames, strict=True):
            running.update("\0".join([*cameras.key.tolist(), ""]).encode("utf-8", "surrogatepass"))
            for array in (cameras.status, frames.sha256):
                running.update(np.ascontiguousarray(array).data)
        return running.hexdigest()


@dataclass(frozen=True, eq=False)
class Cut:
    """Cuts blocks out of a collection whose frames have been decoded.

    Attributes
    ----------
    collection:
        the whole collection, with the statuses of its frames.
    frames:
        the locations of the voxels of both sides.
    params, device, read:
        as of `SurfaceBlock`.
    """

    collection: Collection
    frames: tuple[KeptSide, KeptSide]
    params: SurfaceParams
    device: DeviceChoice
    read: ReadFrames

    def __call__(self, first_row: int, stop_row: int) -> SurfaceBlock:
        """The rows first_row … stop_row - 1 as a block."""
        c = self.collection
        rows = np.arange(first_row, stop_row)
        queries = self.frames[0].take(rows)
        columns = self.frames[1].meeting(queries)
        sides = queries, self.frames[1].take(columns)
        cameras = c.query.take(rows), c.database.take(columns)
        return SurfaceBlock(*cameras, sides, c.self_pairs, self.params, self.device, self.read)
