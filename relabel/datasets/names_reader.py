"""Lists of `@` names as a `Reader`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relabel.cameras import Status
from relabel.datasets import names
from relabel.datasets.roots import common_root, told_from
from relabel.datasets.street import Street

_TEXTS = {
    "wrapped": "headings outside [0°, 360°) were wrapped",
    "missing": "cameras have no heading",
    "not_joined": "pictures are not in the MSLS tree, and keep the heading of their name, if any",
    "panoramas": "panoramas are not labelled",
}


@dataclass(frozen=True)
class NamesReader:
    """Two lists of `@` names, or one for self pairs, as the collection `name`; paths are told from `root`."""

    queries: Path
    database: Path | None
    name: str
    root: Path
    join_msls: Path | None = None
    command = "relabel names"

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, and where the lists and the MSLS tree are."""
        values: dict[str, Any] = {"collection": self.name, "queries": told_from(self.queries, self.root)}
        if self.database is not None:
            values["database"] = told_from(self.database, self.root)
        if self.join_msls is not None:
            values["join_msls"] = told_from(self.join_msls, self.root)
        return values

    @classmethod
    def of_parameters(cls, parameters: dict[str, Any], root: Path) -> NamesReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError
            when one is missing.
        """
        queries = root / parameters.pop("queries")
        database, tree = (parameters.pop(name, None) for name in ("database", "join_msls"))
        return cls(
            queries,
            None if database is None else root / database,
            parameters.pop("collection"),
            root,
            None if tree is None else root / tree,
        )

    def read(self) -> Street:
        """The cameras of the names."""
        found = names.read(self.queries, self.database, join_msls=self.join_msls)
        faults = {name: n for name in _TEXTS if (n := getattr(found.report, name))}
        source = "name" if self.join_msls is None else "MSLS compass, by pano_id"
        params: dict[str, Any] = {"heading": source}
        notes = [f"{n:,} {_TEXTS[name]}" for name, n in faults.items()]
        if self.join_msls is not None:
            notes.insert(0, f"{found.report.joined:,} headings were taken from the MSLS tree")
            faults["joined"] = found.report.joined
        if faults:
            params["heading_faults"] = faults
        for side, cameras in (("queries", found.query), ("database", found.database)):
            missing = int((cameras.status == Status.NO_POSITION).sum())
            if missing:
                notes.append(f"{missing:,} {side} have no position")
        database = self.queries if self.database is None else self.database
        return Street(
            found.query,
            found.database,
            found.files,
            params,
            (*notes, *found.notes),
            (str(self.queries), str(database)),
            "field 9 of an @ name is the heading; trees of MSLS in this convention get theirs back with --join-msls",
            found.geographic,
        )


def reader(
    queries: Path, database: Path | None = None, *, name: str | None = None, join_msls: Path | None = None
) -> NamesReader:
    """The reader of two lists; no database, or the same path twice, means self pairs.

    The collection is named after the folder that holds both, or for self pairs after the list itself, unless `name` is
    given.
    """
    if database is not None and database == queries:
        database = None
    root = common_root(path for path in (queries, database, join_msls) if path is not None)
    if name is None:
        one = Path(queries.name).stem if queries.is_file() else queries.absolute().name
        two = common_root([queries, database or queries]).absolute().name
        name = (one if database is None else two) or "names"
    return NamesReader(queries, database, name, root, join_msls)
