"""Parts: the units a labelling job is made of, one collection each, that know how to be read and computed.

A part is a small value that can be sent to another process; it opens its dataset only where it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from relabel import fov
from relabel.datasets.base import Around, Reader, Street
from relabel.errors import OptionError
from relabel.pipeline import occluders as occluding

if TYPE_CHECKING:
    from relabel.pipeline.surface_part import SceneSource

Progress = Callable[[int], object]
Bar = Callable[[str, int], AbstractContextManager[Progress]]
"""Called with the name of a part and the size of its work; gives what is called with the size of each step done."""


class Preparation(NamedTuple):
    """Work on the files of a part that takes its time, to be done once before its overlap is asked for anything."""

    what: str
    """what is worked on, such as ``depth maps``"""
    total: int
    """how many there are"""
    run: Callable[[Progress | None], tuple[str, ...]]
    """does it, tells of each step, and gives what the user should know about what came out"""


class Opened(NamedTuple):
    """A part whose dataset has been read: ready to be computed."""

    source: fov.FovOverlap | fov.GeographicOverlap | SceneSource
    files: tuple[Path, ...]
    """every file that was read, or will be by the preparation"""
    notes: tuple[str, ...]
    """what its user should know about the input"""
    preparation: Preparation | None = None
    """None where the overlap can be computed at once"""
    thousands: bool = False
    """whether there are so many files that those of a folder are told of together, see `provenance.describe`"""


class Part(Protocol):
    """One collection to be."""

    @property
    def name(self) -> str:
        """The name of the collection."""
        ...

    @property
    def root(self) -> Path:
        """The folder that input paths are told relative to."""
        ...

    @property
    def command(self) -> str:
        """The command that makes it, for the provenance."""
        ...

    def parameters(self) -> dict[str, Any]:
        """All that the result depends on besides the files."""
        ...

    def open(self, *, threads: int | None = None, progress: Progress | None = None) -> Opened:
        """Read the dataset, and prepare the overlap without computing it."""
        ...


@dataclass(frozen=True)
class FovOptions(fov.FovParams):
    """The parameters of the overlap of fields of view, and what stands in the way."""

    occluders: Path | None = None
    """a file of footprints that cut the fields of view; they are then polygons"""
    occluders_crs: str | None = None
    """the reference system of that file, where it does not say so itself"""

    def __post_init__(self) -> None:
        if self.occluders is not None:
            object.__setattr__(self, "occluders", Path(self.occluders))
            object.__setattr__(self, "shape", "polygon")
        elif self.occluders_crs is not None:
            raise OptionError("--occluders-crs says what the coordinates of --occluders are; give both or neither")
        super().__post_init__()

    def overlap(self) -> fov.FovParams:
        """The parameters of `relabel.fov.source`."""
        return fov.FovParams(**{f.name: getattr(self, f.name) for f in fields(fov.FovParams)})

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `arc` only where it matters."""
        values = super().to_json()
        # By name alone: where it lies is not what the labels depend on, and its digest is among the inputs.
        values["occluders"] = None if self.occluders is None else self.occluders.name
        for name in ("occluders", "occluders_crs"):
            if values[name] is None:
                del values[name]
        return values


@dataclass(frozen=True)
class FovPart(Around[Street]):
    """Cameras to be labelled by the overlap of their fields of view."""

    options: FovOptions = field(default_factory=FovOptions)

    def parameters(self) -> dict[str, Any]:
        """What the cameras depend on, and the options of the overlap."""
        return {**self.reader.parameters(), **self.options.to_json()}

    def read(self) -> Street:
        """The cameras."""
        return self.reader.read()

    def open(self, *, threads: int | None = None, progress: Progress | None = None) -> Opened:
        """Read the cameras, and prepare the overlap; raises what the reader and `relabel.fov.source` do."""
        street = self.read()
        street.require_some()
        params = self.options.overlap()
        how: dict[str, Any] = {"threads": threads, "progress": progress}
        files, notes = street.files, list(street.notes)
        path = self.options.occluders
        if path is not None:
            how["occluders"], more = occluding.walls_for(street, path, self.options.occluders_crs)
            files, notes = (*files, path), [*notes, *more]
        source: fov.FovOverlap | fov.GeographicOverlap
        if street.geographic is None:
            source = fov.source(street.query, street.database, params, **how)
            notes += [] if path is None else occluding.hidden(source, path)
        else:
            source = fov.geographic.source(street.query, street.database, street.geographic, params, **how)
        label_params = {**source.collection.params, **street.params}
        source = replace(source, collection=replace(source.collection, params=label_params))
        return Opened(source, files, tuple(f"{self.name}: {note}" for note in notes))


def fov_parts(readers: Iterable[Reader], options: FovOptions | None = None) -> tuple[FovPart, ...]:
    """One part for each reader, all with the same options."""
    return tuple(FovPart(reader, options or FovOptions()) for reader in readers)
