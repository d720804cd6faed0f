"""The cost of a surface overlap, estimated from a few of its frames."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from relabel.cameras import Cameras
from relabel.errors import InputError
from relabel.frames import Frames
from relabel.jit import thread_count
from relabel.surface import frame_cache
from relabel.surface.cpu_counter import ENTRY_BYTES, BitsetCounter
from relabel.surface.frame_pairs import (
    BITS_SHARE,
    PAIR_BYTES,
    STORED_PAIR_BYTES,
    SurfaceOverlap,
    is_mirrored,
    rows_at_once,
    source,
)
from relabel.surface.occupancy import OccupancyBuilder
from relabel.surface.params import STRIDE, SurfaceParams
from relabel.surface.voxelise import Voxeliser, rows_to_decode

SAMPLE = 12
"""The number of frames of a side that are decoded."""
BASE_MEMORY = 245e6  # Python, its libraries and the compiled kernels
BRICK_BYTES = 24.0  # number and word, and both again while they are combined
CACHED_BYTES = 16.0  # a brick in the cache of frames
BLOCKS_TOUCHED = 1.2  # blocks that a frame touches, per hundred voxels: measured on 1,000 frames of a room
NANOSECONDS = 3.0  # to compare two frames in one block of bits, on one thread
STORED_BYTES = 3.3  # of a stored pair, compressed
CAMERA_BYTES = 50.0
COLLECTION_BYTES = 20e3  # what HDF5 itself takes


@dataclass(frozen=True)
class Plan:
    """The estimated size of a surface overlap.

    Attributes
    ----------
    frames:
        depth maps to decode, those of self pairs once.
    pairs:
        pairs of frames that can be labelled, as far as is known before decoding; those of self pairs in both
        directions.
    stored_pairs:
        estimated number of these with a value above `min_value`.
    seconds:
        estimated time on this machine, including decoding, but not writing the file.
    memory_bytes:
        estimated memory of the process, including the time in which pairs are written to a file.
    output_bytes:
        estimated size of the stored pairs.
    decoding_seconds:
        the part of `seconds` that is decoding.
    stride:
        the stride that would be used, if the sample is representative.
    voxels:
        voxels of a frame, on average.
    """

    frames: int
    pairs: int
    stored_pairs: int
    seconds: float
    memory_bytes: int
    output_bytes: int
    decoding_seconds: float
    stride: int
    voxels: float


def plan(
    query: Frames,
    database: Frames,
    params: SurfaceParams | None = None,
    *,
    device: str = "cpu",
    threads: int | None = None,
    memory_bytes: int | None = None,
) -> Plan:
    """The cost of `relabel.surface.source` with these arguments; a few frames of each side are decoded.

    Parameters
    ----------
    query, database, params, device, threads, memory_bytes:
        as for `relabel.surface.source`.

    Raises
    ------
    OptionError, InputError
        as `relabel.surface.source` does; InputError also when no depth map of the sample can be used.
    """
    overlap = source(query, database, params, device=device, threads=threads, memory_bytes=memory_bytes)
    c = overlap.draft
    sample = _Sample(overlap)
    workers = thread_count(threads)
    pairs = int(c.query.ok.sum()) * int(c.database.ok.sum()) - (int(c.query.ok.sum()) if c.self_pairs else 0)
    blocks = max(1.0, sample.voxels * BLOCKS_TOUCHED / 100.0)
    counting = (pairs if c.self_pairs else 2 * pairs) * sample.share * blocks * NANOSECONDS * 1e-9
    seconds = (overlap.frames * (sample.decoding + sample.projecting) + counting) / workers
    held = overlap.frames * sample.bricks * BRICK_BYTES
    held += min(overlap.frames * sample.bricks * CACHED_BYTES, frame_cache.CACHE.most_bytes)
    sets = overlap.frames * (1 if overlap.params.method == "voxel-iou" else 2)
    bits = 1.5 * min(sets * blocks * ENTRY_BYTES, BITS_SHARE * overlap.memory_bytes)
    rows, columns = c.shape
    counted, handed_on = (min(rows, n) for n in rows_at_once(overlap.memory_bytes, columns, overlap.device))
    counts = columns * counted * PAIR_BYTES + handed_on * pairs / max(1, rows) * sample.stored * STORED_PAIR_BYTES
    if c.self_pairs and is_mirrored(overlap.memory_bytes, rows):
        counts += 4.0 * rows**2
    stored = pairs * sample.stored
    cameras = len(c.query) + (0 if c.self_pairs else len(c.database))
    return Plan(
        frames=overlap.frames,
        pairs=pairs,
        stored_pairs=round(stored),
        seconds=seconds,
        memory_bytes=round(BASE_MEMORY + held + bits + counts),
        output_bytes=round(stored * STORED_BYTES + cameras * CAMERA_BYTES + COLLECTION_BYTES),
        decoding_seconds=overlap.frames * sample.decoding / workers,
        stride=sample.stride,
        voxels=sample.voxels,
    )


class _Sample:
    """A few decoded frames of each side: the cost of a frame, and how many pairs share something."""

    def __init__(self, overlap: SurfaceOverlap) -> None:
        c = overlap.draft
        self.stride = STRIDE if overlap.params.stride is None else overlap.params.stride
        params = overlap.params.with_stride(self.stride)
        builder = OccupancyBuilder()
        times: list[tuple[float, float]] = []
        brick_counts: list[int] = []
        first_fault = ""
        sides = (
            [(overlap.query, c.query)] if c.self_pairs else [(overlap.query, c.query), (overlap.database, c.database)]
        )
        for side, (frames, cameras) in enumerate(sides):
            voxeliser = Voxeliser(frames, params)
            focal = frames.intrinsics[:, :2].min(axis=1)
            for row in _spread(cameras):
                start = time.perf_counter()
                try:
                    depth = voxeliser.depth(row)
                except InputError as error:
                    first_fault = first_fault or str(error)
                    continue
                middle = time.perf_counter()
                if not times:
                    voxeliser.bricks(row, depth)  # which may compile the kernels
                begin = time.perf_counter()
                bricks = voxeliser.bricks(row, depth)
                times.append((middle - start, time.perf_counter() - begin))
                if bricks.fault is not None:
                    first_fault = first_fault or bricks.fault
                    continue
                if overlap.params.stride is None:
                    allowed = params.largest_stride(float(focal[row]), bricks.farthest_m)
                    self.stride = max(1, min(self.stride, allowed))
                builder.add(side, bricks.code, bricks.word)
                brick_counts.append(len(bricks.code))
        if overlap.frames and not brick_counts:
            raise InputError(f"none of the {SAMPLE} depth maps tried is usable; the first: {first_fault}")
        median = np.median(times, axis=0) if times else np.zeros(2)
        self.decoding, self.projecting = float(median[0]), float(median[1])
        self.projecting *= (params.stride or 1) ** 2 / self.stride**2
        self.bricks = float(np.mean(brick_counts)) if brick_counts else 0.0
        occupancies = builder.build(same=c.self_pairs)
        sizes = np.concatenate((occupancies.query.size, occupancies.database.size))
        self.voxels = float(sizes.mean()) if len(sizes) else 0.0
        counter = BitsetCounter(occupancies, overlap.params.method, threads=overlap.threads)
        counts = counter.counts(slice(0, len(occupancies.query)), slice(0, len(occupancies.database)))
        a, b = occupancies.query.size[:, None], occupancies.database.size[None, :]
        inter = 0.5 * (counts.s_query + counts.s_database)
        whole = {"iou": a + b - inter, "overlap": a, "dice": 0.5 * (a + b)}[overlap.params.measure]
        values = np.divide(inter, whole, out=np.zeros(inter.shape), where=whole > 0)
        if c.self_pairs:
            values = values[~np.eye(len(values), dtype=np.bool_)]
        self.share = float((values > 0.0).mean()) if values.size else 0.0
        """share of the pairs that have anything in common"""
        self.stored = float((values > c.min_value).mean()) if values.size else 0.0
        """share of the pairs that are stored"""


def _spread(cameras: Cameras) -> list[int]:
    """Rows of a few cameras that can be labelled, evenly spread over all of them."""
    rows = rows_to_decode(cameras)
    wanted = np.unique(np.linspace(0, len(rows) - 1, min(SAMPLE, len(rows))).round().astype(np.int64))
    picked: list[int] = rows[wanted].tolist()
    return picked
