"""A split of Pittsburgh as a `Reader`: what to read, and what its labels rest on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relabel.cameras import Status
from relabel.datasets import pitts
from relabel.datasets.pitts_heading import Headings
from relabel.datasets.roots import lies_in, told_from
from relabel.datasets.street import Street
from relabel.errors import OptionError

_TEXTS = {
    "unnamed": "cameras have names that tell no panorama and yaw, hence no heading",
    "not_in_table": "cameras are of panoramas that the table has no north offset of",
    "no_tangent": "cameras are of panoramas without a neighbour to travel to, hence without a heading",
}
_HINTS = {
    "table": "add their panoramas to the table",
    "travel": "their panoramas follow no track: try a longer --travel-gap, or --heading table:FILE",
    "north": "a heading needs names of the form 000/000829_pitch1_yaw1.jpg; `relabel table` takes any names",
}


@dataclass(frozen=True)
class PittsReader:
    """A split, in the file `path` under `root`."""

    root: Path
    name: str
    path: Path
    headings: Headings
    query_names: Path | None = None
    database_names: Path | None = None
    command = "relabel pitts"

    def parameters(self) -> dict[str, Any]:
        """File and source of the headings; a table or list outside the root is told by its name alone."""
        h = self.headings
        values: dict[str, Any] = {
            "collection": self.name,
            "split": told_from(self.path, self.root),
            "heading": h.source,
            "sign": h.sign,
            "zero_deg": float(h.zero_deg),
        }
        if h.source == "travel":
            values["travel_gap_m"] = float(h.gap_m)
        for name, path in (
            ("heading_table", h.table),
            ("query_names", self.query_names),
            ("database_names", self.database_names),
        ):
            if path is not None:
                values[name] = told_from(path, self.root) if lies_in(path, self.root) else path.name
        return values

    @classmethod
    def of_parameters(cls, parameters: dict[str, Any], root: Path) -> PittsReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError
            when one is missing.
        """
        more = {}
        if "travel_gap_m" in parameters:
            more["gap_m"] = parameters.pop("travel_gap_m")
        table, queries, database = (
            root / parameters.pop(name) if name in parameters else None
            for name in ("heading_table", "query_names", "database_names")
        )
        headings = Headings(
            parameters.pop("heading"), table, parameters.pop("sign"), parameters.pop("zero_deg"), **more
        )
        path = root / parameters.pop("split")
        return cls(root, parameters.pop("collection"), path, headings, queries, database)

    def read(self) -> Street:
        """The cameras of the split."""
        split = pitts.read(self.path, self.headings, query_names=self.query_names, database_names=self.database_names)
        faults = {name: n for name in _TEXTS if (n := getattr(split.report, name))}
        params: dict[str, Any] = {
            "heading": self.headings.source,
            "heading_caveat": self.headings.caveat,
            "yaw_sign": self.headings.sign,
            "yaw_zero_deg": float(self.headings.zero_deg),
        }
        if faults:
            params["heading_faults"] = faults
        notes = [self.headings.caveat, *(f"{n:,} {_TEXTS[name]}" for name, n in faults.items()), *split.notes]
        for side, cameras in (("queries", split.query), ("database", split.database)):
            missing = int((cameras.status == Status.NO_POSITION).sum())
            if missing:
                notes.append(f"{missing:,} {side} have no position")
        if split.crs == "local":
            notes.append("places are not near Pittsburgh; their frame is recorded as 'local'")
        return Street(
            split.query,
            split.database,
            split.files,
            params,
            tuple(notes),
            (f"{self.path}: queries", f"{self.path}: database"),
            _HINTS[self.headings.source],
        )


def readers(
    root: Path,
    headings: Headings,
    splits: str | None = None,
    *,
    query_names: Path | None = None,
    database_names: Path | None = None,
) -> tuple[tuple[PittsReader, ...], tuple[str, ...]]:
    """One reader for each split, and a line for each file that is passed over; see `pitts.select`.

    Raises
    ------
    OptionError
        when lists of names are given for more than one split.
    """
    chosen, skipped = pitts.select(root, splits)
    named = query_names is not None or database_names is not None
    if named and len(chosen) > 1:
        raise OptionError(
            f"lists of names belong to one split, and there are {', '.join(chosen)}; choose one with --splits"
        )
    found = tuple(PittsReader(root, name, path, headings, query_names, database_names) for name, path in chosen.items())
    return found, tuple(f"{name}: passed over: {reason}" for name, reason in skipped.items())
