"""A city of MSLS as a `Reader`: what to read, and what to say about its headings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from relabel.cameras import Status
from relabel.datasets import msls
from relabel.datasets.msls_side import Heading
from relabel.datasets.street import Street

_COMPASS = ("wrapped", "non_finite", "constant_sequences", "constant_rows")
"""Counts of `msls.HeadingReport` that tell of compass angles."""


@dataclass(frozen=True)
class MslsReader:
    """A city of MSLS."""

    root: Path
    city: msls.City
    heading: Heading = "compass"
    command = "relabel msls"

    @property
    def name(self) -> str:
        """The name of the city."""
        return self.city.name

    def parameters(self) -> dict[str, Any]:
        """City and source of the headings."""
        return {"city": self.city.name, "heading": self.heading}

    @classmethod
    def of_parameters(cls, parameters: dict[str, Any], root: Path) -> MslsReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError, RelabelError
            when one is missing or the tree lacks the city.
        """
        city = msls.find(root)[parameters.pop("city")]
        return cls(root, city, parameters.pop("heading"))

    def read(self) -> Street:
        """The cameras of the city."""
        city = msls.read(self.root, city=self.city, heading=self.heading)
        faults = _faults(city)
        other = "travel" if self.heading == "compass" else "compass"
        return Street(
            city.query,
            city.database,
            city.files,
            {"heading": city.heading} | ({"heading_faults": faults} if faults else {}),
            tuple(_notes(city, faults)),
            (str(self.city.path / "query"), str(self.city.path / "database")),
            f"try --heading {other}, or leave the city out with --cities",
        )


def readers(
    root: Path, cities: str | None, *, heading: Heading = "compass"
) -> tuple[tuple[MslsReader, ...], tuple[msls.Skipped, ...]]:
    """One reader for each city that was asked for, and the cities that have no positions; see `msls.select`."""
    chosen, skipped = msls.select(root, cities)
    return tuple(MslsReader(root, city, heading) for city in chosen), skipped


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
