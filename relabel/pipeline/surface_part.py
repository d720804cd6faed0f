"""Frames with depth maps as a part of a job that labels by surface."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from relabel import surface
from relabel.audit.audit import audit
from relabel.datasets.base import FrameReader, FrameSets, ReaderWrapper
from relabel.devices import DeviceChoice
from relabel.errors import InputError
from relabel.excluded_pairs import excluded_params
from relabel.exclusion import RULES, Exclusion
from relabel.pipeline.blocks import block_ends
from relabel.pipeline.parts import Estimate, Opened, Preparation, Progress, not_enough, very_many_pairs
from relabel.similarity import Collection, RowBlock
from relabel.surface import frame_cache
from relabel.surface.estimate import BASE_MEMORY

AVERAGE_FRAMES = 128
"""Average number of frames in a block: some seconds of work, and some megabytes."""
LEAST_BUDGET = 2**26
"""Least bytes for counting; counting is slow with so little."""
MOST_BASE_BYTES = 370e6
"""The most bytes that the program itself takes: Python, its libraries and, the first time, the compiler at work."""
MEMORY_MARGIN = 1.25
"""The share of a memory bound that is left for errors of the estimate."""
LEAST_CACHED = 2**24
"""Bytes of frames that are kept from one collection to the next if memory is bounded; the others are on disk."""
MANY_PAIRS = 1e8
"""What is announced before it is computed; a scene of ten thousand frames has as many."""
START_SECONDS = 1.0  # to load the libraries
STORED_SECONDS = 100e-9  # to compress, hash, write and check a stored pair


@dataclass(frozen=True)
class SurfacePart(ReaderWrapper[FrameSets]):
    """Frames to be labelled by the surface that they share.

    Attributes
    ----------
    reader:
        the reader of the frames.
    params:
        the parameters of the overlap.
    device:
        ``auto``, ``cpu`` or ``cuda``: where the overlap is computed, which does not affect the result.
    excluded:
        the rule for pairs that training and scoring leave out.
    """

    of_frames: ClassVar[bool] = True
    """whether it can be cut into blocks once its depth maps are decoded, see `relabel.pipeline.frame_blocks`"""

    params: surface.SurfaceParams = field(default_factory=surface.SurfaceParams)
    device: DeviceChoice = "auto"
    excluded: Exclusion = field(default_factory=Exclusion)

    @classmethod
    def from_parameters(cls, reader: FrameReader, parameters: dict[str, Any]) -> SurfacePart:
        """The part of a reader and the recorded parameters other than its own; a TypeError if one is unknown."""
        rule = Exclusion(**{name: parameters.pop(name) for name in RULES if name in parameters})
        return cls(reader, surface.SurfaceParams(**parameters), excluded=rule)

    def parameters(self) -> dict[str, Any]:
        """Everything that the frames depend on, and the options of the overlap."""
        return {**self.reader.parameters(), **self.params.to_json(), **self.excluded.to_json()}

    def read(self) -> FrameSets:
        """The frames; no depth map is decoded."""
        return self.reader.read()

    def open(
        self, *, threads: int | None = None, progress: Progress | None = None, memory_bytes: int | None = None
    ) -> Opened:
        """Read poses and lists, and prepare the overlap; raises what the reader and `relabel.surface.source` do.

        Depth maps are decoded by the `preparation` of the result. With `memory_bytes`, a few are decoded at once, to
        see whether the process can do with that; an OptionError if it cannot.
        """
        if memory_bytes is not None:
            least = round(MOST_BASE_BYTES + LEAST_BUDGET)
            if memory_bytes < least:  # known before anything is read
                raise not_enough(self.name, "labels by surface of even a few frames", memory_bytes, least)
            frame_cache.CACHE.limit(LEAST_CACHED)
        frames = self._frames()
        excluded, counted = self._excluded(frames)
        overlap = surface.source(
            frames.query,
            frames.database,
            self.params,
            device=self.device,
            threads=threads,
            memory_bytes=None if memory_bytes is None else self._budget(frames, memory_bytes, threads),
            progress=progress,
        )

        def decode(progress: Progress | None) -> tuple[str, ...]:
            overlap.decode(progress)
            return tuple(f"{self.name}: {note}" for note in overlap.notes)

        notes = tuple(f"{self.name}: {note}" for note in (*frames.notes, *counted))
        preparation = Preparation("depth maps", overlap.frames, decode)
        source = FrameSource(overlap, frames, excluded)
        announcement = self._announcement(frames, threads)
        return Opened(source, frames.files, notes, preparation, audit(frames), announcement, thousands=True)

    def estimate(self, *, threads: int | None = None) -> Estimate:
        """The estimated cost, from a few depth maps; raises what the reader and `relabel.surface.plan` do."""
        begin, used = time.perf_counter(), time.process_time()
        frames = self._frames()
        _, counted = self._excluded(frames)
        report = audit(frames)
        preparing = time.perf_counter() - begin
        plan = surface.plan(frames.query, frames.database, self.params, device=self.device, threads=threads)
        computing = plan.seconds + STORED_SECONDS * plan.stored_pairs
        # The sample ends too soon to show whether other programs use the processors as well.
        busy = max(1.0, (time.perf_counter() - begin) / max(time.process_time() - used, 1e-9))
        query, database = frames.query.cameras, frames.database.cameras
        return Estimate(
            self.name,
            len(query),
            len(database),
            int(query.ok.sum()),
            int(database.ok.sum()),
            plan.pairs,
            plan.output_bytes,
            plan.memory_bytes,
            plan.frames,
            START_SECONDS + preparing + busy * computing,
            report,
            tuple(f"{self.name}: {note}" for note in (*frames.notes, *counted)),
            parts=len(block_ends(query.key, AVERAGE_FRAMES)),
        )

    def _announcement(self, frames: FrameSets, threads: int | None) -> str:
        """What to expect where there are very many pairs, judged by a few depth maps; empty where there are not."""
        if len(frames.query) * len(frames.database) < MANY_PAIRS:
            return ""
        try:
            plan = surface.plan(frames.query, frames.database, self.params, device=self.device, threads=threads)
        except InputError:
            return ""  # none of these few depth maps can be used; others may be
        if plan.stored_pairs < MANY_PAIRS:
            return ""
        return very_many_pairs(
            plan.stored_pairs,
            len(frames.query),
            self.params.min_value,
            plan.output_bytes,
            plan.seconds + STORED_SECONDS * plan.stored_pairs,
            "min_value=… stores fewer of them; fewer frames make fewer",
        )

    def _budget(self, frames: FrameSets, memory_bytes: int, threads: int | None) -> int:
        """The memory that is left for counting, which uses what it gets."""
        plan = surface.plan(
            frames.query, frames.database, self.params, device=self.device, threads=threads, memory_bytes=LEAST_BUDGET
        )
        needed = round(MOST_BASE_BYTES + MEMORY_MARGIN * (plan.memory_bytes - BASE_MEMORY))
        if needed > memory_bytes:
            count = len(frames.query) + (0 if frames.query is frames.database else len(frames.database))
            raise not_enough(self.name, f"{count:,} frames", memory_bytes, needed)
        return LEAST_BUDGET + memory_bytes - needed

    def _frames(self) -> FrameSets:
        frames = self.read()
        frames.require_some()
        return frames

    def _excluded(self, frames: FrameSets) -> tuple[dict[str, Any], list[str]]:
        query, database = frames.query, frames.database
        return excluded_params(self.excluded, query.cameras, database.cameras, self_pairs=query is database)


@dataclass(frozen=True, eq=False)
class FrameSource:
    """A surface overlap whose `params` include those of the dataset.

    Attributes
    ----------
    overlap:
        the overlap that is computed.
    frames:
        the frames, with the statuses that they have before a depth map is decoded.
    excluded:
        what `params` say about excluded pairs.
    """

    overlap: surface.SurfaceOverlap
    frames: FrameSets
    excluded: Mapping[str, Any]

    @property
    def collection(self) -> Collection:
        """Cameras, measure and method; decodes the depth maps if that has not been done."""
        return self.with_params(self.overlap.collection)

    def with_params(self, collection: Collection) -> Collection:
        """A collection of these frames with all of its `params`."""
        return replace(collection, params={**collection.params, **self.frames.params, **self.excluded})

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        return self.overlap.blocks()


def surface_parts(
    readers: Iterable[FrameReader],
    params: surface.SurfaceParams | None = None,
    *,
    device: DeviceChoice = "auto",
    excluded: Exclusion | None = None,
) -> tuple[SurfacePart, ...]:
    """One part for each reader, all with the same parameters."""
    params = surface.SurfaceParams() if params is None else params
    rule = Exclusion() if excluded is None else excluded
    return tuple(SurfacePart(reader, params, device, rule) for reader in readers)
