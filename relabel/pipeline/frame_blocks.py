"""Depth maps decoded in blocks, wherever these are computed, and kept in the folder of parts as the voxels of frames.

A file is named after a digest of all that its voxels depend on, so that it is there if and only if it can be kept: the
same frames of two collections are decoded once, and frames that are new in a dataset alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.atomic import replacing
from relabel.cameras import Cameras
from relabel.frames import Frames
from relabel.labelfile.schema import WRITER
from relabel.pipeline.blocks import block_ends
from relabel.pipeline.executors import Executor
from relabel.pipeline.parts_folder import PartsFolder
from relabel.surface.decode_all import Decoder
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import FrameBricks, Voxeliser, map_in_order

AVERAGE_FRAMES = 128
"""Frames of a block, on average: some seconds of work, and some megabytes."""


class _Work(NamedTuple):
    """Frames to be decoded, and where their voxels go."""

    path: Path
    frames: Frames
    params: SurfaceParams

    def __str__(self) -> str:
        keys = self.frames.cameras.key
        return f"depth maps {keys[0]} to {keys[-1]}"


def _decode(work: _Work, threads: int | None) -> None:
    voxeliser = Voxeliser(work.frames, work.params)
    found = list(map_in_order(voxeliser.voxelise, range(len(work.frames)), threads))
    arrays = {
        "sizes": np.array([len(bricks.code) for bricks in found], np.int64),
        "code": np.concatenate([bricks.code for bricks in found]),
        "word": np.concatenate([bricks.word for bricks in found]),
        "farthest_m": np.array([bricks.farthest_m for bricks in found]),
        "fault": np.array(["" if bricks.fault is None else bricks.fault for bricks in found], np.str_),
    }
    with replacing(work.path, overwrite=True) as private, private.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # the stubs take arrays for allow_pickle


def _read(path: Path) -> list[FrameBricks] | None:
    """What the frames of a file occupy; None where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            sizes, code, word = (file[name] for name in ("sizes", "code", "word"))
            farthest, fault = file["farthest_m"].tolist(), file["fault"].tolist()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    ends = np.cumsum(sizes)
    return [
        FrameBricks(code[end - size : end], word[end - size : end], farthest[k], fault[k] or None)
        for k, (end, size) in enumerate(zip(ends.tolist(), sizes.tolist(), strict=True))
    ]


@dataclass
class FrameBlocks:
    """What decodes depth maps for the collections of a job.

    Attributes
    ----------
    folder:
        where voxels are kept.
    place:
        where depth maps are decoded.
    threads:
        of all local processes together.
    resume:
        keep what an earlier run has decoded.
    average:
        frames of a block.
    used:
        the files so far.
    decoded:
        how many blocks were decoded by this run.
    """

    folder: PartsFolder
    place: Executor
    threads: int | None
    resume: bool
    average: int = AVERAGE_FRAMES
    used: set[Path] = field(default_factory=set)
    decoded: int = 0

    def decoder(self, name: str) -> Decoder:
        """What decodes the frames of a collection."""

        def decode(frames: Frames, params: SurfaceParams, rows: list[int]) -> Iterator[FrameBricks]:
            return self._bricks(name, frames, params, rows)

        return decode

    def _bricks(self, name: str, frames: Frames, params: SurfaceParams, rows: list[int]) -> Iterator[FrameBricks]:
        taken = np.array(rows, np.int64)
        ends = block_ends(frames.cameras.key[taken], self.average)
        works = []
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            some = _taken(frames, taken[first:end])
            works.append(_Work(self.folder.frames(name, _digest(some, params)), some, params))
        todo = [
            work for work in works if work.path not in self.used and not (self.resume and _read(work.path) is not None)
        ]
        self.used |= {work.path for work in works}
        self.decoded += len(todo)
        waiting = {work.path for work in todo}
        with closing(self.place.run(_decode, [(work,) for work in todo], self.threads)) as ready:
            for work in works:
                while work.path in waiting:
                    (done,), _, error = next(ready)
                    if error is not None:
                        raise error
                    waiting.discard(done.path)
                found = _read(work.path)
                if found is None:
                    raise OSError(f"{work.path}: was removed or damaged while the job was at work")
                yield from found


def _taken(frames: Frames, rows: npt.NDArray[np.int64]) -> Frames:
    """The frames of some rows, with what their voxels depend on."""
    pose = frames.cameras.pose
    assert pose is not None
    cameras = Cameras(frames.cameras.key[rows], pose[rows, :3, 3], pose=pose[rows])
    images = np.full(len(rows), "")
    return replace(frames, cameras=cameras, depth=frames.depth[rows], intrinsics=frames.intrinsics[rows], image=images)


def _digest(frames: Frames, params: SurfaceParams) -> str:
    """Of all that the voxels of frames depend on; a depth map counts as the same by its path, size and time."""
    files: list[Any] = []
    for path in frames.depth.tolist():
        try:
            state = os.stat(path)  # noqa: PTH116  in a loop over all frames
            files.append([path, state.st_size, state.st_mtime_ns])
        except OSError:
            files.append([path])
    stated = {
        "software": WRITER,
        "files": files,
        "frames": [frames.unit_m, frames.invalid, frames.size, frames.depth_is],
        "params": [params.edge_m, params.stride, params.nearest_m, params.farthest_m],
    }
    running = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
    for array in (frames.intrinsics, frames.cameras.pose):
        running.update(np.ascontiguousarray(array).data)
    return running.hexdigest()
