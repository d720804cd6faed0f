"""Parts: the units a labelling job is made of, one collection each, that know how to be read and computed.

A part is a small value that can be sent to another process; it opens its dataset only where it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from relabel import fov
from relabel.cameras import Cameras, Status
from relabel.datasets import msls
from relabel.datasets.msls_side import Heading
from relabel.errors import InputError
from relabel.measures import Measure
from relabel.similarity import DEFAULT_MIN_VALUE

Progress = Callable[[int], object]
Bar = Callable[[str, int], AbstractContextManager[Progress]]
"""Called with the name of a part and the size of its work; gives what is called with the size of each step done."""

_COMPASS = ("wrapped", "non_finite", "constant_sequences", "constant_rows")
"""Counts of `msls.HeadingReport` that tell of compass angles."""


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
class MslsPart:
    """A city of MSLS."""

    root: Path
    city: msls.City
    heading: Heading = "compass"
    options: FovOptions = field(default_factory=FovOptions)
    command = "relabel msls"

    @property
    def name(self) -> str:
        """The name of the city."""
        return self.city.name

    def parameters(self) -> dict[str, Any]:
        """City, source of the headings, and the options of the overlap."""
        return {"city": self.city.name, "heading": self.heading, **self.options.to_json()}

    def read(self) -> msls.MslsCity:
        """The cameras of the city."""
        return msls.read(self.root, city=self.city, heading=self.heading)

    def open(self, *, threads: int | None = None, progress: Progress | None = None) -> Opened:
        """Read the city's metadata.

        Raises
        ------
        InputError
            when a side has no camera that can be labelled; and as `relabel.datasets.msls.read` does.
        """
        city = self.read()
        for side, cameras in (("query", city.query), ("database", city.database)):
            _require_some(self.city.path / side, side, cameras, self.heading)
        source = fov.source(city.query, city.database, threads=threads, progress=progress, **asdict(self.options))
        params: dict[str, Any] = {**source.collection.params, "heading": city.heading}
        faults = _faults(city)
        if faults:
            params["heading_faults"] = faults
        source = replace(source, collection=replace(source.collection, params=params))
        return Opened(source, city.files, tuple(f"{self.name}: {note}" for note in _notes(city, faults)))


def msls_parts(
    root: Path, cities: str | None, *, heading: Heading = "compass", options: FovOptions | None = None
) -> tuple[tuple[MslsPart, ...], tuple[msls.Skipped, ...]]:
    """One part for each city that was asked for, and the cities that have no positions; see `msls.select`."""
    chosen, skipped = msls.select(root, cities)
    return tuple(MslsPart(root, city, heading, options or FovOptions()) for city in chosen), skipped


def part_of_record(record: Mapping[str, Any], root: Path) -> MslsPart | None:
    """The part that a provenance record tells of, reading from `root`; None where the record is not of a part."""
    if record.get("command") != MslsPart.command:
        return None
    values = dict(record["parameters"])
    try:
        city = msls.find(root)[values.pop("city")]
        return MslsPart(root, city, values.pop("heading"), FovOptions(**values))
    except (KeyError, TypeError) as error:
        raise InputError(f"the provenance of the file cannot be followed under {root}: {error}") from None


def _require_some(folder: Path, side: str, cameras: Cameras, heading: Heading) -> None:
    if len(cameras) == 0:
        raise InputError(f"{folder}: the CSV files hold no row, so there is no {side} camera to label")
    if not cameras.ok.any():
        why = ", ".join(f"{count:,} {name}" for name, count in cameras.status_counts().items())
        other = "travel" if heading == "compass" else "compass"
        raise InputError(
            f"{folder}: none of the {len(cameras):,} {side} cameras can be labelled ({why}); try --heading {other}, "
            "or leave the city out with --cities"
        )


def _faults(city: msls.MslsCity) -> dict[str, int]:
    """What is wrong with the headings, counted; the compass only where it was used."""
    unused = _COMPASS if city.heading != "compass" else ()
    report = asdict(city.report)
    return {name: n for name, n in report.items() if n and name not in ("rows", "sequences", *unused)}


def _notes(city: msls.MslsCity, faults: Mapping[str, int]) -> list[str]:
    texts = {
        "panoramas": "panoramas are not labelled",
        "non_finite": "cameras have no compass angle",
        "wrapped": "compass angles outside [0°, 360°) were wrapped",
        "sideways": "cameras look sideways, to an unknown side",
        "unknown_view": "cameras have an unknown view direction",
        "no_tangent": "cameras have no direction of travel",
    }
    notes = [f"{faults[name]:,} {text}" for name, text in texts.items() if name in faults]
    if "constant_sequences" in faults:
        notes.append(
            f"{faults['constant_sequences']:,} sequences ({faults['constant_rows']:,} cameras) repeat one compass "
            "angle throughout: a stuck compass, perhaps; they are labelled all the same"
        )
    for side, cameras in (("queries", city.query), ("database", city.database)):
        missing = int((cameras.status == Status.NO_POSITION).sum())
        if missing:
            notes.append(f"{missing:,} {side} have no position")
    return notes
