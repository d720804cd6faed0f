"""The overlap of all pairs of two sets of frames: decoded, counted and streamed in blocks of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, cast

import numba
import numpy as np
import numpy.typing as npt

from relabel import devices
from relabel.cameras import Cameras
from relabel.devices import Device
from relabel.errors import InputError, OptionError
from relabel.frames import Frames
from relabel.jit import compiled, inlined, thread_count, threads_set
from relabel.measures import DEFAULT_MIN_VALUE, MEASURES, Measure
from relabel.similarity import Collection, RowBlock, Similarity, gather
from relabel.surface import gpu_counter
from relabel.surface._bitsets import TILE
from relabel.surface.counting import VoxelCounter
from relabel.surface.cpu_counter import BitsetCounter
from relabel.surface.decode_all import Decoded, Decoding, DeepestFrame, Occupying, decode_here, too_coarse_message
from relabel.surface.device_memory import ram_budget
from relabel.surface.occupancy import IndexArray, Occupancies
from relabel.surface.params import Method, SurfaceParams
from relabel.surface.poses import checked_poses

Progress = Callable[[int], object]
ROWS = {"cpu": 8 * TILE, "cuda": 64 * TILE}
"""The most queries of a block: many, if a block is one product."""
PAIR_BYTES = 16
"""Bytes of a pair of frames while it is counted."""
STORED_PAIR_BYTES = 64
"""Further bytes of a stored pair until its rows are written; measured."""
BITS_SHARE = 3 / 8
"""The share of the memory for counting that bit sets may take; half as much again while they are made."""


def rows_at_once(memory_bytes: int, columns: int, device: Device) -> tuple[int, int]:
    """How many rows are counted and passed on at a time: those that fit a quarter and an eighth of memory.

    These are whole tiles of the bit sets, at least one.
    """
    counted, stored = (
        max(TILE, min(ROWS[device], share // (bytes_of_pair * max(1, columns)) // TILE * TILE))
        for share, bytes_of_pair in ((memory_bytes // 4, PAIR_BYTES), (memory_bytes // 8, STORED_PAIR_BYTES))
    )
    return counted, min(counted, stored)


def is_mirrored(memory_bytes: int, frames: int) -> bool:
    """Whether the counts of all pairs of a set with itself fit a quarter of the memory, so each is made only once."""
    return 4 * frames**2 <= memory_bytes // 4


@dataclass(frozen=True, eq=False)
class SurfaceOverlap:
    """The surface overlap of all pairs of query and database frames, not yet computed; `source` makes one.

    It is a `SimilaritySource`. Depth maps are decoded, once each, when `collection` or `blocks` is first used; of a
    frame, only its voxels are kept.
    """

    query: Frames
    database: Frames
    params: SurfaceParams
    draft: Collection
    """the collection as known before decoding"""
    early_notes: tuple[str, ...]
    """notes on the input before decoding"""
    memory_bytes: int
    threads: int | None = None
    device: Device = "cpu"
    progress: Progress | None = None

    def __repr__(self) -> str:
        return repr(self.draft).replace("Collection", type(self).__name__, 1)

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, database frames)."""
        return self.draft.shape

    @property
    def frames(self) -> int:
        """The number of frames to decode, those of self pairs once."""
        return sum(int(cameras.ok.sum()) for cameras in self.cameras)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the input; decodes it."""
        return (*self.early_notes, *self._decoded.notes)

    @property
    def sides(self) -> tuple[Frames, ...]:
        """The frames that are decoded: of both sides, or once those of self pairs."""
        return (self.query,) if self.draft.self_pairs else (self.query, self.database)

    @property
    def cameras(self) -> tuple[Cameras, ...]:
        """Those of `sides`, with the statuses that are known before decoding."""
        return (self.draft.query,) if self.draft.self_pairs else (self.draft.query, self.draft.database)

    @cached_property
    def _decoded(self) -> Decoded[Occupancies]:
        return self._decode_all(None)

    def _decode_all(self, progress: Progress | None) -> Decoded[Occupancies]:
        decoder = partial(decode_here, threads=self.threads, device=self.device)
        decoded = Decoding(self.sides, self.cameras, self.params, decoder, Occupying, progress).run()
        occupancies = decoded.frames.build(same=self.draft.self_pairs)
        return Decoded(occupancies, *decoded[1:])

    def decode(self, progress: Progress | None = None) -> None:
        """Decode the depth maps, unless that has been done.

        Parameters
        ----------
        progress:
            called with the number of frames that have been decoded since its last call.

        Raises
        ------
        OptionError
            when the stride is too coarse for the voxels.
        InputError
            when no depth map of a side can be used.
        """
        if "_decoded" not in self.__dict__:
            self.__dict__["_decoded"] = self._decode_all(progress)

    @cached_property
    def _pairs(self) -> VoxelPairs:
        decoded = self._decoded
        occupancies = decoded.frames
        sizes = occupancies.query.size, occupancies.database.size
        own = np.arange(len(self.query)) if self.draft.self_pairs else np.full(len(self.query), -1)
        return VoxelPairs(
            decoded_collection(self.draft, decoded, *sizes),
            occupancies,
            own,
            self.memory_bytes,
            self.threads,
            self.device,
            self.progress,
        )

    @property
    def collection(self) -> Collection:
        """The cameras, measure and method; decodes the depth maps."""
        return self._pairs.collection

    def blocks(self) -> Iterator[RowBlock]:
        """All rows in order, a block at a time; the same bits for any number of threads, memory and device."""
        return self._pairs.blocks()


def decoded_collection(draft: Collection, decoded: Decoded[Any], query: IndexArray, database: IndexArray) -> Collection:
    """The collection of decoded frames, whose numbers of voxels are `query` (r,) and `database` (c,)."""
    extents = [
        np.where(cameras.ok, voxels.astype(np.float64), np.nan)
        for cameras, voxels in ((decoded.query, query), (decoded.database, database))
    ]
    return replace(
        draft,
        query=decoded.query,
        database=decoded.database,
        query_extent=extents[0],
        database_extent=extents[1],
        params=decoded.params.label_params(),
    )


@dataclass(frozen=True, eq=False)
class VoxelPairs:
    """All pairs of two sets of frames with known voxels, not yet counted; a `SimilaritySource`.

    Attributes
    ----------
    collection:
        cameras, measure and method, with the numbers of voxels as extents.
    occupancies:
        the voxels of both sides.
    own:
        (r,) the column of each query that is the query itself, which gets no value; -1 where there is none.
    memory_bytes:
        the memory for counting, bytes.
    threads:
        number of threads; None for all.
    device:
        the device that counts.
    progress:
        called with the number of queries that have been finished since its last call.
    """

    collection: Collection
    occupancies: Occupancies
    own: IndexArray
    memory_bytes: int
    threads: int | None = None
    device: Device = "cpu"
    progress: Progress | None = None

    @cached_property
    def _counter(self) -> VoxelCounter:
        method = cast("Method", self.collection.method)
        if self.device == "cpu":
            return BitsetCounter(self.occupancies, method, int(BITS_SHARE * self.memory_bytes), self.threads)
        return gpu_counter.torch_counter(self.occupancies, method, device=self.device)

    def blocks(self) -> Iterator[RowBlock]:
        """All rows in order, a block at a time; the same bits for any number of threads, memory and device."""
        c = self.collection
        extents = np.nan_to_num(c.query_extent), np.nan_to_num(c.database_extent)
        _, step = rows_at_once(self.memory_bytes, c.shape[1], self.device)
        for first, sums in self._sums():
            for start in range(0, len(sums), step):
                both = sums[start : start + step]
                with threads_set(self.threads):
                    block = self._block(first + start, both, *extents)
                yield block
                if self.progress is not None:
                    self.progress(len(both))

    def _sums(self) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
        """s_query + s_database of blocks of rows, each with its first row."""
        rows, columns = self.collection.shape
        step, _ = rows_at_once(self.memory_bytes, columns, self.device)
        mirrored = self.collection.self_pairs and is_mirrored(self.memory_bytes, rows)
        whole = np.zeros((rows, columns), np.int32) if mirrored else None
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            left = 0 if whole is None else start
            counts = self._counter.counts(slice(start, stop), slice(left, columns))
            both = counts.s_query + counts.s_database
            if whole is not None:
                # Pairs are counted once: entries right of the diagonal are those below it, transposed.
                whole[start:stop, start:] = both
                whole[start:, start:stop] = both.T
                both = whole[start:stop]
            yield start, both

    def _block(self, start: int, both: npt.NDArray[np.int32], a: Any, b: Any) -> RowBlock:
        c, stop = self.collection, start + len(both)
        row_arguments = (
            a[start:stop],
            b,
            self.own[start:stop],
            MEASURES.index(c.measure),
            np.float32(c.min_value),
        )
        counts = np.zeros(len(both), np.int64)
        _count_stored(both, *row_arguments, counts)
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        indices, data = np.empty(int(starts[-1]), np.int32), np.empty(int(starts[-1]), np.float32)
        _fill_stored(both, *row_arguments, starts, indices, data)
        return RowBlock(start, counts, indices, data)


@inlined
def _value(both: Any, a: Any, b: Any, measure: Any) -> Any:
    """ψ of two frames of a and b voxels; `both` is twice the number that they share. iou is 0, overlap 1, dice 2."""
    shared = 0.5 * np.float64(both)
    whole = a + b - shared if measure == 0 else (a if measure == 1 else 0.5 * (a + b))
    return np.float32(min(shared / whole, 1.0)) if whole > 0.0 else np.float32(0.0)


@compiled(parallel=True)
def _count_stored(both: Any, a: Any, b: Any, own: Any, measure: Any, threshold: Any, counts: Any) -> None:
    """How many values of each row of `both` (r, c) are stored, into `counts`.

    Row q has `a[q]` voxels, column d `b[d]`; `own[q]` is the column that row q must not have.
    """
    for q in numba.prange(both.shape[0]):
        count = 0
        for d in range(both.shape[1]):
            stored = (both[q, d] > 0) & (d != own[q]) & (_value(both[q, d], a[q], b[d], measure) > threshold)
            count += 1 if stored else 0
        counts[q] = count


@compiled(parallel=True)
def _fill_stored(
    both: Any, a: Any, b: Any, own: Any, measure: Any, threshold: Any, starts: Any, indices: Any, data: Any
) -> None:
    """All values that are stored, with their columns, into `indices` and `data`; row q from place starts[q] on."""
    for q in numba.prange(both.shape[0]):
        at = starts[q]
        for d in range(both.shape[1]):
            if at == starts[q + 1]:
                break
            value = _value(both[q, d], a[q], b[d], measure) if both[q, d] > 0 else np.float32(0.0)
            indices[at] = d
            data[at] = value
            at += 1 if (value > threshold) & (both[q, d] > 0) & (d != own[q]) else 0


def source(
    query: Frames,
    database: Frames,
    params: SurfaceParams | None = None,
    *,
    device: str = "cpu",
    threads: int | None = None,
    memory_bytes: int | None = None,
    progress: Progress | None = None,
) -> SurfaceOverlap:
    """The surface overlap as a `SimilaritySource`.

    Input is checked here, at once; depth maps are decoded when `SurfaceOverlap.collection` or its blocks are first
    used.

    Parameters
    ----------
    params:
        what the overlap depends on besides the frames; by default `SurfaceParams()`.
    query, database, device, threads, memory_bytes, progress:
        as for `overlap`.

    Raises
    ------
    OptionError, InputError
        as `overlap` does, except for faults that only show in the depth maps.
    """
    params = SurfaceParams() if params is None else params
    if memory_bytes is not None and memory_bytes < 1:
        raise OptionError(f"memory_bytes is {memory_bytes}; it has to be a positive number of bytes")
    thread_count(threads)  # at once, not when the frames have been decoded
    chosen = devices.chosen(device)
    same = query is database
    if query.cameras.crs != database.cameras.crs:
        raise InputError(
            f"queries are in {query.cameras.crs}, the database in {database.cameras.crs}: convert both to one frame of "
            "reference first"
        )
    cameras, notes = checked_poses(query)
    others, more = (cameras, []) if same else checked_poses(database)
    if params.farthest_m is not None:
        for side, placed_side in ((query, cameras), (database, others)):
            _check_stride(params, side, placed_side)
    draft = Collection(
        cameras,
        others,
        np.full(len(cameras), np.nan),
        np.full(len(others), np.nan),
        method=params.method,
        measure=params.measure,
        min_value=params.min_value,
        self_pairs=same,
    )
    return SurfaceOverlap(
        query, database, params, draft, (*notes, *more), ram_budget(memory_bytes), threads, chosen, progress
    )


def _check_stride(params: SurfaceParams, frames: Frames, cameras: Cameras) -> None:
    """Refuse a stride, or a voxel size, that the largest depth that counts does not allow."""
    focal = np.where(cameras.ok, frames.intrinsics[:, :2].min(axis=1), np.inf)
    if not cameras.ok.any() or params.farthest_m is None:
        return
    k = int(np.argmin(focal))
    stride = 1 if params.stride is None else params.stride
    if params.largest_stride(float(focal[k]), params.farthest_m) < stride:
        deepest = DeepestFrame(str(cameras.key[k]), params.farthest_m, float(focal[k]))
        raise OptionError(too_coarse_message(params.with_stride(stride), deepest))


def overlap(
    query: Frames,
    database: Frames,
    *,
    method: Method = "surface",
    tolerance_m: float = 0.05,
    voxel_m: float | None = None,
    stride: int | None = None,
    nearest_m: float = 0.0,
    farthest_m: float | None = None,
    measure: Measure = "iou",
    min_value: float = DEFAULT_MIN_VALUE,
    device: str = "cpu",
    threads: int | None = None,
    memory_bytes: int | None = None,
    progress: Progress | None = None,
) -> Similarity:
    """Degree of overlap ψ of the surface seen by all pairs of query and database frames.

    A frame occupies the voxels that points of its depth map lie in. Of two frames, sA voxels of A are, or are next to,
    voxels of B, and sB the other way round; with I = (sA + sB) / 2 and the numbers of voxels nA (query) and nB, ψ is
    I/(nA+nB-I) for ``iou``, min(1, I/nA) for ``overlap`` and 2I/(nA+nB) for ``dice``. Pairs of frames whose status is
    not OK are left out: their ψ is unknown.

    Parameters
    ----------
    query, database:
        frames with poses in metres in one frame of reference. When both are the same object, the result is self-paired:
        symmetric (but for ``overlap``), without the diagonal.
    method:
        ``surface``, or ``voxel-iou``: I is the number of voxels that both occupy, which is far too small where voxels
        are as small as the noise.
    tolerance_m:
        distance up to which two points count as the same surface, metres.
    voxel_m:
        edge of a voxel, metres; by default 0.55 of the tolerance, for ``voxel-iou`` the tolerance itself.
    stride:
        pixel stride: every `stride`-th row and column is used; by default 2, or 1 if depths are too large for that. A
        stride at which a wall at the largest depth would have holes is refused: above voxel_m · focal length / depth.
    nearest_m, farthest_m:
        depths outside this range are ignored, metres.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    min_value:
        values up to this are not stored.
    device:
        ``cpu``, ``cuda``, or ``auto``, which is CUDA if available; results do not depend on it.
    threads:
        number of threads, by default all; results do not depend on it.
    memory_bytes:
        the memory for counting besides the voxels of all frames, in bytes, by default a quarter of the free memory;
        results do not depend on it.
    progress:
        called with the number of queries that have been finished since its last call.

    Returns
    -------
    Similarity
        (queries × database) float32 CSR matrix of all ψ > min_value; the cameras, with the status `BAD_DEPTH` if a
        depth map cannot be used and `NO_POSE` if a pose is not a rigid motion; and the numbers of voxels as extents.

    Raises
    ------
    OptionError
        when a parameter is outside its range, or the stride too coarse for the voxels.
    InputError
        when the frames of reference differ, intrinsics do not fit the depth maps, or no depth map can be used.
    """
    return gather(
        source(
            query,
            database,
            SurfaceParams(method, tolerance_m, voxel_m, stride, nearest_m, farthest_m, measure, min_value),
            device=device,
            threads=threads,
            memory_bytes=memory_bytes,
            progress=progress,
        )
    )
