"""Decoding depth maps in blocks, in any process; the voxels of frames are kept in the folder of parts.

A file is named after a digest of everything that its voxels depend on, so that a file with that name can be kept:
frames that two collections share are decoded once, and in a dataset that grows only new frames are decoded.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from relabel.atomic import being_made, output_errors, replacing
from relabel.cameras import Cameras
from relabel.errors import OutputError
from relabel.frames import Frames
from relabel.labelfile.schema import WRITER
from relabel.pipeline.blocks import WithoutPairs, block_ends
from relabel.pipeline.executors import Executor
from relabel.pipeline.one_part import Prepared
from relabel.pipeline.parts import Bar
from relabel.pipeline.parts_folder import PartsFolder
from relabel.pipeline.surface_blocks import Cut, KeptFrame, KeptFrames
from relabel.pipeline.surface_part import AVERAGE_FRAMES, FrameSource, SurfacePart
from relabel.surface.decode_all import Decoding
from relabel.surface.frame_pairs import decoded_collection
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import FrameBricks, Voxeliser, map_in_order


class _Work(NamedTuple):
    """Frames to decode, and the file for their voxels."""

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
    with replacing(work.path, overwrite=True) as private, output_errors(work.path), private.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # the stubs take arrays for allow_pickle


def read_frames(path: Path) -> list[FrameBricks]:
    """The bricks of the frames of a file.

    Raises
    ------
    OutputError
        when it is missing or damaged.
    """
    found = _read(path)
    if found is None:
        raise OutputError(
            f"{path}: was removed or damaged while the job was at work; run the same command again, which makes it anew"
        )
    return found


def _read(path: Path) -> list[FrameBricks] | None:
    """The bricks of the frames of a file; None if it is missing or damaged."""
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
    """Decodes the depth maps of the collections of a job.

    Attributes
    ----------
    folder:
        the folder for voxels.
    place:
        the executor that decodes depth maps.
    threads:
        threads of all local processes together.
    resume:
        keep frames that an earlier run has decoded.
    average:
        average number of frames in a block.
    begin:
        where in the list of blocks this run begins, as a share of its length, below 1. Runs that share a job begin at
        different places and skip blocks that exist by then, so that together they decode most blocks only once.
    used:
        the files so far.
    """

    folder: PartsFolder
    place: Executor
    threads: int | None
    resume: bool
    average: int = AVERAGE_FRAMES
    begin: float = 0.0
    used: set[Path] = field(default_factory=set)

    def decoded(self, part: SurfacePart, prepared: Prepared, bar: Bar | None = None) -> Prepared:
        """The same part with its depth maps decoded, ready to be cut into blocks of queries.

        Raises
        ------
        OptionError, InputError
            as `SurfaceOverlap.decode`.
        """
        opened = prepared.opened
        source = cast("FrameSource", opened.source)
        overlap = source.overlap
        with bar(f"{part.name}: depth maps", overlap.frames) if bar is not None else nullcontext() as progress:
            decoded = Decoding(
                overlap.sides, overlap.cameras, overlap.params, partial(self._frames, part.name), KeptFrames, progress
            ).run()
        query = decoded.frames.side(0)
        sides = query, query if overlap.draft.self_pairs else decoded.frames.side(1)
        collection = source.with_params(decoded_collection(overlap.draft, decoded, *(side.voxels for side in sides)))
        # The processes of one machine would compete for its GPU.
        device = "cpu" if part.device == "auto" and not self.place.is_local else part.device
        cut = Cut(collection, sides, decoded.params, device, read_frames)
        notes = (*opened.notes, *(f"{part.name}: {note}" for note in decoded.notes))
        return prepared._replace(
            opened=opened._replace(
                source=WithoutPairs(collection), notes=notes, preparation=None, cut=cut, average_rows=AVERAGE_FRAMES
            )
        )

    def _frames(self, name: str, frames: Frames, params: SurfaceParams, rows: list[int]) -> Iterator[KeptFrame]:
        """Decode the frames of some rows, block by block; their locations, in the order of the rows."""
        taken = np.array(rows, np.int64)
        ends = block_ends(frames.cameras.key[taken], self.average)
        works = []
        for first, end in zip([0, *ends[:-1]], ends, strict=True):
            some = _taken(frames, taken[first:end])
            works.append(_Work(self._file(name, _digest(some, params)), some, params))
        waiting = {work.path: work for work in works if work.path not in self.used}
        if self.resume:
            waiting = {path: work for path, work in waiting.items() if _read(path) is None}
        self.used |= {work.path for work in works}
        with closing(self.place.run(_decode, self._tasks(waiting), self.threads)) as ready:
            for work in works:
                while work.path in waiting:
                    (done,), _, error = next(ready)
                    if error is not None:
                        raise error
                    del waiting[done.path]
                for place, bricks in enumerate(read_frames(work.path)):
                    yield KeptFrame.of(work.path, place, bricks)

    def _file(self, name: str, digest: str) -> Path:
        """The file for voxels of a collection; it may exist already, made for the same frames of another collection."""
        files = [self.folder.frames(other, digest) for other in (name, *self.folder.names)]
        return next((file for file in files if file in self.used or file.exists()), files[0])

    def _tasks(self, waiting: dict[Path, _Work]) -> Iterator[tuple[_Work]]:
        """The blocks to decode, lazily, so that those that another run has finished by then are skipped."""
        begin = int(self.begin * len(waiting))
        todo = [*waiting.values()][begin:] + [*waiting.values()][:begin]
        if not self.resume:
            yield from ((work,) for work in todo)
            return
        # Blocks that another live run is making are checked again at the end.
        later = []
        for work in todo:
            if work.path.name in being_made(self.folder.path):
                later.append(work)
            elif _read(work.path) is None:
                yield (work,)
            else:
                del waiting[work.path]
        for work in later:
            if _read(work.path) is None:
                yield (work,)
            else:
                del waiting[work.path]


def _taken(frames: Frames, rows: npt.NDArray[np.int64]) -> Frames:
    """The frames of some rows, with everything that their voxels depend on."""
    pose = frames.cameras.pose
    assert pose is not None
    cameras = Cameras(frames.cameras.key[rows], pose[rows, :3, 3], pose=pose[rows])
    images = np.full(len(rows), "")
    return replace(frames, cameras=cameras, depth=frames.depth[rows], intrinsics=frames.intrinsics[rows], image=images)


def _digest(frames: Frames, params: SurfaceParams) -> str:
    """The digest of all that the voxels of frames depend on; depth maps are identified by path, size and time."""
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
