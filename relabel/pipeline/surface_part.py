"""Frames with depth maps as a part of a labelling job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from relabel import surface
from relabel.datasets.base import ReaderWrapper, FrameSets, FrameReader
from relabel.measures import Measure
from relabel.pipeline.fov_part import Opened, Preparation, Progress
from relabel.similarity import DEFAULT_MIN_VALUE, Collection, RowBlock

Method = Literal["surface", "voxel-iou"]
Device = Literal["auto", "cpu", "cuda"]

_LENGTHS = ("tolerance_m", "voxel_m", "nearest_m", "farthest_m", "min_value")
_LEFT_OPEN = {"voxel_m": None, "stride": None, "nearest_m": 0.0, "farthest_m": None}


@dataclass(frozen=True)
class SurfaceOptions:
    """The parameters of `relabel.surface.source`; all but `device` are what a label depends on.

    Attributes
    ----------
    method:
        ``surface``, or ``voxel-iou``.
    tolerance_m:
        up to this distance two points are one piece of surface, metres.
    voxel_m:
        edge of a voxel, metres; None: as the tolerance asks.
    stride:
        every how manieth pixel of a row and of a column is taken; None: chosen by the overlap.
    nearest_m, farthest_m:
        depths outside of these are passed over, metres; None: none is too far.
    measure, min_value:
        what ψ is, and up to which ψ a pair is left out.
    device:
        ``auto``, ``cpu`` or ``cuda``: where it is computed, which does not show in the result.
    """

    method: Method = "surface"
    tolerance_m: float = 0.05
    voxel_m: float | None = None
    stride: int | None = None
    nearest_m: float = 0.0
    farthest_m: float | None = None
    measure: Measure = "iou"
    min_value: float = DEFAULT_MIN_VALUE
    device: Device = "auto"

    def overlap(self) -> dict[str, Any]:
        """The arguments of `relabel.surface.source`."""
        return asdict(self)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, without the device and without what was left open."""
        values = asdict(self)
        del values["device"]
        for name in _LENGTHS:
            if values[name] is not None:
                values[name] = float(values[name])  # so that 1 and 1.0 do not make different files
        for name, nothing in _LEFT_OPEN.items():
            if values[name] == nothing:
                del values[name]
        return values


@dataclass(frozen=True)
class SurfacePart(ReaderWrapper[FrameSets]):
    """Frames to be labelled by how much surface they share."""

    options: SurfaceOptions = field(default_factory=SurfaceOptions)

    def parameters(self) -> dict[str, Any]:
        """What the frames depend on, and the options of the overlap."""
        return {**self.reader.parameters(), **self.options.to_json()}

    def read(self) -> FrameSets:
        """The frames; no depth map is decoded."""
        return self.reader.read()

    def open(self, *, threads: int | None = None, progress: Progress | None = None) -> Opened:
        """Read poses and lists, and prepare the overlap; raises what the reader and `relabel.surface.source` do.

        Depth maps are decoded by the `preparation` of the result.
        """
        scene = self.read()
        scene.require_some()
        how = {"threads": threads, "progress": progress, **self.options.overlap()}
        source = SceneSource(surface.source(scene.query, scene.database, **how), scene, self.options)
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
    scene: FrameSets
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
        return surface.plan(self.scene.query, self.scene.database, threads=threads, **self.options.overlap())


def surface_parts(readers: Iterable[FrameReader], options: SurfaceOptions | None = None) -> tuple[SurfacePart, ...]:
    """One part for each reader, all with the same options."""
    return tuple(SurfacePart(reader, options or SurfaceOptions()) for reader in readers)
