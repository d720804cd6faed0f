"""The overlap of all pairs of two sets of frames: decoded, counted and streamed in blocks of queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.devices import Device
from relabel.frames import Frames
from relabel.jit import threads_set
from relabel.measures import MEASURES, Measure
from relabel.similarity import Collection, RowBlock
from relabel.surface import _rows, on_device
from relabel.surface._bits import TILE
from relabel.surface.bits import BitCounter
from relabel.surface.counting import Counter
from relabel.surface.settings import Settings
from relabel.surface.taking import Taken, Taking

Progress = Callable[[int], object]
ROWS = {"cpu": 8 * TILE, "cuda": 64 * TILE}
"""Queries of a block at the most: many where a block is one product."""


@dataclass(frozen=True, eq=False)
class SurfaceOverlap:
    """The surface overlap of all pairs of query and database frames, not yet computed; `source` makes one.

    It is a `SimilaritySource`. Depth maps are decoded, once each, when its `collection` or its `blocks` are first asked
    for; what is kept of a frame are its voxels.
    """

    query: Frames
    database: Frames
    settings: Settings
    draft: Collection
    """the collection as far as it is known before decoding"""
    told: tuple[str, ...]
    """what is known of the input before decoding"""
    memory_bytes: int
    threads: int | None = None
    device: Device = "cpu"
    progress: Progress | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, database frames)."""
        return self.draft.shape

    @property
    def frames(self) -> int:
        """How many frames will be decoded, those of self pairs once."""
        return sum(int(cameras.ok.sum()) for cameras in self._cameras)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about the input; decodes it."""
        return (*self.told, *self._taken.notes)

    @property
    def _cameras(self) -> tuple[Cameras, ...]:
        return (self.draft.query,) if self.draft.self_pairs else (self.draft.query, self.draft.database)

    @cached_property
    def _taken(self) -> Taken:
        return self._take(None)

    def _take(self, progress: Progress | None) -> Taken:
        sides = (self.query,) if self.draft.self_pairs else (self.query, self.database)
        return Taking(sides, self._cameras, self.settings, self.threads, progress, self.device).take()

    def decode(self, progress: Progress | None = None) -> None:
        """Decode the depth maps, unless that is done.

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
        if "_taken" not in self.__dict__:
            self.__dict__["_taken"] = self._take(progress)

    @cached_property
    def _counter(self) -> Counter:
        method, memory = self.settings.method, self.memory_bytes
        if self.device == "cpu":
            return BitCounter(self._taken.compacted, method, memory // 2, self.threads)
        return on_device.counter(self._taken.compacted, method, device=self.device)

    @cached_property
    def collection(self) -> Collection:
        """What is compared and how; decodes the depth maps."""
        taken = self._taken
        extents = []
        for cameras, occupancy in (
            (taken.query, taken.compacted.query),
            (taken.database, taken.compacted.database),
        ):
            extent = occupancy.size.astype(np.float64)
            extent[~cameras.ok] = np.nan
            extents.append(extent)
        return replace(
            self.draft,
            query=taken.query,
            database=taken.database,
            query_extent=extents[0],
            database_extent=extents[1],
            params=taken.settings.params(),
        )

    def blocks(self) -> Iterator[RowBlock]:
        """All rows in order, a block at a time; the same bits for any number of threads, memory and device."""
        c = self.collection
        extents = np.nan_to_num(c.query_extent), np.nan_to_num(c.database_extent)
        for start, both in self._sums():
            with threads_set(self.threads):
                block = self._block(start, both, *extents)
            yield block
            if self.progress is not None:
                self.progress(len(both))

    def _sums(self) -> Iterator[tuple[int, npt.NDArray[np.int32]]]:
        """s_query + s_database of blocks of rows, each with its first row."""
        rows, columns = self.shape
        step = self._step()
        mirrored = self.draft.self_pairs and 4 * rows * columns <= self.memory_bytes // 4
        whole = np.zeros((rows, columns), np.int32) if mirrored else None
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            left = 0 if whole is None else start
            counts = self._counter.counts(slice(start, stop), slice(left, columns))
            both = counts.s_query + counts.s_database
            if whole is not None:
                # Pairs are counted once: what is right of the diagonal is what comes below it.
                whole[start:stop, start:] = both
                whole[start:, start:stop] = both.T
                both = whole[start:stop]
            yield start, both

    def _step(self) -> int:
        """Rows of a block: as many as fit a quarter of the memory, in whole tiles of the bit sets."""
        fit = self.memory_bytes // 4 // (16 * max(1, self.shape[1]))
        return max(TILE, min(ROWS[self.device], fit // TILE * TILE))

    def _block(self, start: int, both: npt.NDArray[np.int32], a: Any, b: Any) -> RowBlock:
        c = self.draft
        own = start if c.self_pairs else -len(both) - 1
        how = a[start : start + len(both)], b, own, MEASURES.index(self.measure), np.float32(c.min_value)
        counts = np.zeros(len(both), np.int64)
        _rows.kept(both, *how, counts)
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        indices, data = np.empty(int(starts[-1]), np.int32), np.empty(int(starts[-1]), np.float32)
        _rows.filled(both, *how, starts, indices, data)
        return RowBlock(start, counts, indices, data)

    @property
    def measure(self) -> Measure:
        """The measure of the values."""
        measure = self.draft.measure
        assert measure != "unknown"
        return measure
