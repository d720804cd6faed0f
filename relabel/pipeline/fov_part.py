"""Cameras as a part of a job that labels by fields of view."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from relabel import fov
from relabel.audit.audit import audit
from relabel.audit.findings import AuditReport
from relabel.cameras import Cameras
from relabel.datasets.base import CameraReader, CameraSets, ReaderWrapper
from relabel.display import several
from relabel.errors import InputError, OptionError
from relabel.excluded_pairs import excluded_params
from relabel.exclusion import RULES, Exclusion
from relabel.fov import blocks
from relabel.pipeline import occluders
from relabel.pipeline.blocks import Unmet, block_ends
from relabel.pipeline.fov_cost import announcement, cost, within
from relabel.pipeline.parts import Estimate, Opened, Progress

START_SECONDS = 1.0  # to load the libraries


@dataclass(frozen=True)
class FovPart(ReaderWrapper[CameraSets]):
    """Cameras to be labelled by the overlap of their fields of view.

    Attributes
    ----------
    reader:
        of the cameras.
    params:
        what the overlap depends on; the shape is ``polygon`` where there are occluders.
    occluders:
        a file of footprints that cut the fields of view; None: nothing stands in the way.
    occluders_crs:
        the reference system of that file, where it does not say so itself.
    excluded:
        which pairs training and scoring are to leave out.

    Raises
    ------
    OptionError
        when a reference system is given without a file.
    """

    in_blocks: ClassVar[bool] = True
    """whether `open` says how to cut it into blocks"""

    params: fov.FovParams = field(default_factory=fov.FovParams)
    occluders: Path | None = None
    occluders_crs: str | None = None
    excluded: Exclusion = field(default_factory=Exclusion)

    def __post_init__(self) -> None:
        if self.occluders is not None:
            object.__setattr__(self, "occluders", Path(self.occluders))
            object.__setattr__(self, "params", replace(self.params, shape="polygon"))
        elif self.occluders_crs is not None:
            raise OptionError("occluders_crs=… says what the coordinates of occluders=… are; give both or neither")

    @classmethod
    def from_parameters(cls, reader: CameraReader, parameters: dict[str, Any]) -> FovPart:
        """The part of a reader and of the recorded parameters that are not its own; TypeError where one is unknown."""
        walls = {name: parameters.pop(name, None) for name in ("occluders", "occluders_crs")}
        rule = Exclusion(**{name: parameters.pop(name) for name in RULES if name in parameters})
        return cls(reader, fov.FovParams(**parameters), **walls, excluded=rule)

    def parameters(self) -> dict[str, Any]:
        """What the cameras depend on, and the options of the overlap."""
        # By name alone: where it lies is not what the labels depend on, and its digest is among the inputs.
        walls = {
            "occluders": None if self.occluders is None else self.occluders.name,
            "occluders_crs": self.occluders_crs,
        }
        walls = {name: value for name, value in walls.items() if value is not None}
        return {**self.reader.parameters(), **self.params.to_json(), **self.excluded.to_json(), **walls}

    def read(self) -> CameraSets:
        """The cameras; those whose field of view is NaN have that of the parameters.

        They are on a map where there are occluders, whose places are known on maps only.
        """
        cameras = self.reader.read()
        if (arrow := sys.modules.get("pyarrow")) is not None:
            # What it keeps for the next file takes as much memory as the cameras.
            arrow.default_memory_pool().release_unused()
        if self.occluders is not None:
            cameras = occluders.on_map(cameras)
        query = self._with_fov(cameras.query)
        database = query if cameras.database is cameras.query else self._with_fov(cameras.database)
        return replace(cameras, query=query, database=database)

    def _with_fov(self, cameras: Cameras) -> Cameras:
        own = cameras.fov_deg
        if own is None or not np.isnan(own).any():
            return cameras
        return replace(cameras, fov_deg=np.where(np.isnan(own), self.params.fov_deg, own))

    def open(
        self,
        *,
        threads: int | None = None,
        progress: Progress | None = None,
        memory_bytes: int | None = None,
        for_blocks: bool = False,
    ) -> Opened:
        """Read the cameras, and prepare the overlap; raises what the reader and `relabel.fov.source` do.

        An OptionError where the process would take more than `memory_bytes`. With `for_blocks`, the result is only to
        be cut: what walls hide is left to the blocks.
        """
        source, cameras, notes, report = self._source(threads, progress, for_blocks=for_blocks)
        if memory_bytes is not None:
            source = within(source, memory_bytes, self.name)
        files = cameras.files if self.occluders is None else (*cameras.files, self.occluders)
        notes = [f"{self.name}: {note}" for note in notes]
        return Opened(
            source,
            files,
            tuple(notes),
            audit=report,
            announcement=announcement(source, threads=threads),
            cut=partial(blocks.cut, source),
            unmet=_unmet(source) if for_blocks and self.occluders is not None else None,
            computed_ahead=True,
        )

    def estimate(self, *, threads: int | None = None) -> Estimate:
        """Read the cameras, count the candidate pairs and compute a few of them; raises what `open` does."""
        begin = time.perf_counter()
        source, _, notes, report = self._source(threads, None)
        preparing = time.perf_counter() - begin
        expected = cost(source, threads=threads)
        collection = source.collection
        return Estimate(
            self.name,
            *collection.shape,
            int(collection.query.ok.sum()),
            int(collection.database.ok.sum()),
            source.candidates(),
            expected.output_bytes,
            expected.memory_bytes,
            seconds=START_SECONDS + preparing + expected.seconds,
            audit=report,
            notes=tuple(f"{self.name}: {note}" for note in notes),
            parts=len(block_ends(collection.query.key)),
        )

    def _source(
        self, threads: int | None, progress: Progress | None, *, for_blocks: bool = False
    ) -> tuple[fov.FovOverlap | fov.GeographicOverlap, CameraSets, list[str], AuditReport]:
        """The overlap, the cameras, what should be known about both, and the audit, made meanwhile."""
        cameras = self.read()
        try:
            cameras.require_some()
        except InputError as error:
            why = [str(finding) for finding in audit(cameras).warnings]
            raise InputError("; ".join([str(error), *why])) from None
        with ThreadPoolExecutor(1, thread_name_prefix="relabel-audit") as pool:
            auditing = pool.submit(audit, cameras)
            source, notes = self._overlap(cameras, threads, progress, for_blocks=for_blocks)
            return source, cameras, notes, auditing.result()

    def _overlap(
        self, cameras: CameraSets, threads: int | None, progress: Progress | None, *, for_blocks: bool
    ) -> tuple[fov.FovOverlap | fov.GeographicOverlap, list[str]]:
        notes = list(cameras.notes)
        walls = None
        if self.occluders is not None:
            walls, wall_notes = occluders.walls_for(cameras, self.occluders, self.occluders_crs)
            notes += wall_notes
        sides = cameras.query, cameras.database
        source: fov.FovOverlap | fov.GeographicOverlap
        if cameras.geographic is not None:
            source = fov.geographic.source(*sides, cameras.geographic, self.params, threads=threads, progress=progress)
        else:
            source = fov.source(
                *sides, self.params, threads=threads, progress=progress, occluders=walls, for_blocks=for_blocks
            )
            if self.occluders is not None:
                notes += occluders.hidden(source, self.occluders)
        for side, count in source.collection.params.get("without_height", {}).items():
            if count:
                named = "query" if side == "queries" else "database"
                notes.append(
                    f"{several(count, f'{named} camera has', f'{named} cameras have')}"
                    " no height; max_height_difference_m=… does not affect their pairs"
                )
        c = source.collection
        excluded, counted = excluded_params(self.excluded, c.query, c.database, self_pairs=c.self_pairs)
        notes += counted
        params = {**c.params, **cameras.params, **excluded}
        return replace(source, collection=replace(c, params=params)), notes


def _unmet(source: fov.FovOverlap | fov.GeographicOverlap) -> Unmet:
    columns = blocks.unmet(source)
    return Unmet(source.collection.database.key[columns], columns, partial(blocks.without_rows, source))


def fov_parts(
    readers: Iterable[CameraReader],
    params: fov.FovParams | None = None,
    *,
    occluders: Path | None = None,
    occluders_crs: str | None = None,
    excluded: Exclusion | None = None,
) -> tuple[FovPart, ...]:
    """One part for each reader, all with the same parameters."""
    params = fov.FovParams() if params is None else params
    rule = Exclusion() if excluded is None else excluded
    return tuple(FovPart(reader, params, occluders, occluders_crs, rule) for reader in readers)
