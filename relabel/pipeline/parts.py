"""Parts: the units a labelling job is made of, one collection each, that know how to be read and computed.

A part is a small value that can be sent to another process; it opens its dataset only where it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from relabel import fov
from relabel.datasets.msls_reader import MslsReader
from relabel.datasets.street import Reader, Street
from relabel.errors import InputError
from relabel.measures import Measure
from relabel.similarity import DEFAULT_MIN_VALUE

Progress = Callable[[int], object]
Bar = Callable[[str, int], AbstractContextManager[Progress]]
"""Called with the name of a part and the size of its work; gives what is called with the size of each step done."""


class Opened(NamedTuple):
    """A part whose dataset has been read: ready to be computed."""

    source: fov.FovOverlap
    files: tuple[Path, ...]
    """every file that was read"""
    notes: tuple[str, ...]
    """what its user should know about the input"""


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
class FovOptions:
    """The parameters of `relabel.fov.overlap` that a label depends on."""

    fov_deg: float = 90.0
    radius_m: float = 50.0
    shape: fov.Shape = "sector"
    arc: int = 16
    measure: Measure = "iou"
    min_value: float = DEFAULT_MIN_VALUE

    def to_json(self) -> dict[str, Any]:
        """As JSON values; `arc` only where it matters."""
        # As floats, so that 90 and 90.0 do not make different files.
        values = asdict(self) | {name: float(getattr(self, name)) for name in ("fov_deg", "radius_m", "min_value")}
        if self.shape == "sector":
            del values["arc"]
        return values


@dataclass(frozen=True)
class FovPart:
    """Cameras to be labelled by the overlap of their fields of view."""

    reader: Reader
    options: FovOptions = field(default_factory=FovOptions)

    @property
    def name(self) -> str:
        """The name of the collection."""
        return self.reader.name

    @property
    def root(self) -> Path:
        """The folder that input paths are told relative to."""
        return self.reader.root

    @property
    def command(self) -> str:
        """The command that makes it."""
        return self.reader.command

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
        source = fov.source(street.query, street.database, threads=threads, progress=progress, **asdict(self.options))
        params = {**source.collection.params, **street.params}
        source = replace(source, collection=replace(source.collection, params=params))
        return Opened(source, street.files, tuple(f"{self.name}: {note}" for note in street.notes))


def fov_parts(readers: Iterable[Reader], options: FovOptions | None = None) -> tuple[FovPart, ...]:
    """One part for each reader, all with the same options."""
    return tuple(FovPart(reader, options or FovOptions()) for reader in readers)


_READERS: dict[str, Callable[[dict[str, Any], Path], Reader]] = {MslsReader.command: MslsReader.of_parameters}
"""The way back from the parameters of a record to its reader, by command."""


def part_of_record(record: Mapping[str, Any], root: Path) -> FovPart | None:
    """The part that a provenance record tells of, reading from `root`; None where the record is not of a part.

    Raises
    ------
    InputError
        when the parameters of the record cannot be followed under `root`.
    """
    of_parameters = _READERS.get(str(record.get("command")))
    if of_parameters is None:
        return None
    values = dict(record["parameters"])
    try:
        return FovPart(of_parameters(values, root), FovOptions(**values))
    except (KeyError, TypeError) as error:
        raise InputError(f"the provenance of the file cannot be followed under {root}: {error}") from None
