"""Frames with depth maps as a part of a labelling job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from relabel import surface
from relabel.datasets.base import Around, Scene, SceneReader
from relabel.pipeline.fov_part import Opened, Preparation, Progress
from relabel.similarity import Collection, RowBlock

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class SurfaceOptions(surface.SurfaceParams):
    """The parameters of the overlap of surfaces, and the device: where it is computed, which does not show in it."""

    device: Device = "auto"

    def overlap(self) -> surface.SurfaceParams:
        """The parameters of `relabel.surface.source`."""
        return surface.SurfaceParams(**{f.name: getattr(self, f.name) for f in fields(surface.SurfaceParams)})

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the device and without what was left open."""
        values = super().to_json()
        del values["device"]
        return values


@dataclass(frozen=True)
class SurfacePart(Around[Scene]):
    """Frames to be labelled by how much surface they share."""

    options: SurfaceOptions = field(default_factory=SurfaceOptions)

    def parameters(self) -> dict[str, Any]:
        """What the frames depend on, and the options of the overlap."""
        return {**self.reader.parameters(), **self.options.to_json()}

    def read(self) -> Scene:
        """The frames; no depth map is decoded."""
        return self.reader.read()

    def open(self, *, threads: int | None = None, progress: Progress | None = None) -> Opened:
        """Read poses and lists, and prepare the overlap; raises what the reader and `relabel.surface.source` do.

        Depth maps are decoded by the `preparation` of the result.
        """
        scene = self.read()
        scene.require_some()
        overlap = surface.source(
            scene.query,
            scene.database,
            self.options.overlap(),
            device=self.options.device,
            threads=threads,
            progress=progress,
        )
        source = SceneSource(overlap, scene, self.options)
        notes = tuple(f"{self.name}: {note}" for note in scene.notes)
        preparation = Preparation("depth maps", source.overlap.frames, self._prepare(source))
        return Opened(source, scene.files, notes, preparation, thousands=True)

    def _prepare(self, source: SceneSource) -> Callable[[Progress | None], tuple[str, ...]]:
        def prepare(progress: Progress | None) -> tuple[str, ...]:
            source.overlap.decode(progress)
            return tuple(f"{self.name}: {note}" for note in source.overlap.notes)

        return prepare


@dataclass(frozen=True, eq=False)
class SceneSource:
    """A surface overlap whose `params` also say what the data set does.

    Attributes
    ----------
    overlap:
        what is computed.
    scene:
        the frames, with the statuses that they have before a depth map is decoded.
    options:
        what the overlap was asked for with.
    """

    overlap: surface.SurfaceOverlap
    scene: Scene
    options: SurfaceOptions

    @property
    def collection(self) -> Collection:
        """What is compared and how; decodes the depth maps that are not decoded yet."""
        collection = self.overlap.collection
        return replace(collection, params={**collection.params, **self.scene.params})

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        return self.overlap.blocks()

    def plan(self, *, threads: int | None = None) -> surface.Plan:
        """What it would take, told from a few of the depth maps; raises what `relabel.surface.plan` does."""
        return surface.plan(
            self.scene.query, self.scene.database, self.options.overlap(), device=self.options.device, threads=threads
        )


def surface_parts(readers: Iterable[SceneReader], options: SurfaceOptions | None = None) -> tuple[SurfacePart, ...]:
    """One part for each reader, all with the same options."""
    return tuple(SurfacePart(reader, options or SurfaceOptions()) for reader in readers)
