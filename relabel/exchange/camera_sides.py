"""Where the cameras of imported labels come from: an index, a camera table, a list of keys, or an MSLS tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.errors import InputError, MissingFileError
from relabel.exchange.csv_parquet import Side, Sorted, read_cameras
from relabel.exchange.gcl_index import KeyRule, read_index

BoolArray = npt.NDArray[np.bool_]
SIDES: tuple[Literal["query"], Literal["database"]] = ("query", "database")


@dataclass(frozen=True, eq=False)
class Sides:
    """The cameras of both sides.

    Attributes
    ----------
    query, database:
        the cameras; one object where `self_pairs`.
    query_extent, database_extent:
        (n,) NaN where they are not known.
    self_pairs:
        the database is the set of queries.
    files:
        (folder, file) of everything that was read for them; the folder is what provenance names files from.
    """

    query: Cameras
    database: Cameras
    query_extent: FloatArray
    database_extent: FloatArray
    self_pairs: bool = False
    files: tuple[tuple[Path, Path], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, database cameras)."""
        return len(self.query), len(self.database)

    def mirrored(self) -> Sides:
        """The same with the queries for database as well."""
        return replace(self, database=self.query, database_extent=self.query_extent, self_pairs=True)

    def with_values(self, query: BoolArray, database: BoolArray) -> tuple[Sides, int]:
        """The same with every camera that has a value taken for ok, and how many were not.

        A published value is known, whatever the camera; a status only says which zeros are none.
        """
        if self.self_pairs:
            query = query | database
            cameras, count = _revived(self.query, query)
            return replace(self, query=cameras, database=cameras), count
        first, count = _revived(self.query, query)
        second, more = _revived(self.database, database)
        return replace(self, query=first, database=second), count + more


def _revived(cameras: Cameras, having: BoolArray) -> tuple[Cameras, int]:
    changed = having & ~cameras.ok
    if not changed.any():
        return cameras, 0
    status = np.where(changed, Status.OK, cameras.status).astype(np.uint8)
    return replace(cameras, status=status), int(changed.sum())


def plain(keys: list[str]) -> tuple[Cameras, FloatArray]:
    """Cameras of which nothing is known but their keys."""
    missing = np.full(len(keys), np.nan)
    return Cameras(np.array(keys, np.str_), np.full((len(keys), 2), np.nan), posed=False), missing


def read_sides(queries: Path, database: Path | None, keys: KeyRule) -> Sides:
    """Cameras from files: an index (``.json``), a table (``.csv``, ``.parquet``) or a key a line.

    Without `database` there is one set of cameras, of both queries and database, unless it is a table that has both
    sides; so it is where a table says ``both``.
    """
    first, first_extent, kind = _read(queries, "query", keys)
    if database is None and kind == "apart":
        database = queries
    files: tuple[tuple[Path, Path], ...] = ((queries.parent, queries),)
    sides = Sides(first, first, first_extent, first_extent, self_pairs=True, files=files)
    if database is None or (kind == "both" and database == queries):
        return sides
    second, second_extent, _ = _read(database, "database", keys)
    files += ((database.parent, database),) if database != queries else ()
    return replace(sides, database=second, database_extent=second_extent, self_pairs=False, files=files)


def read_msls_sides(root: Path, city: str) -> Sides:
    """The cameras of an MSLS city in the order of raw.csv, with places, headings and statuses."""
    from relabel.datasets.msls import city as msls  # noqa: PLC0415  projections are slow to load

    found = msls.read(root, city=city)
    query, database = (replace(cameras, posed=False) for cameras in (found.query, found.database))
    missing = [np.full(len(cameras), np.nan) for cameras in (query, database)]
    return Sides(query, database, missing[0], missing[1], files=tuple((root, file) for file in found.files))


def _read(path: Path, side: Side, keys: KeyRule) -> tuple[Cameras, FloatArray, Sorted]:
    kind = path.suffix.lower()
    if kind == ".json":
        cameras = read_index(path, keys)
        return cameras, np.full(len(cameras), np.nan), "plain"
    if kind in (".csv", ".parquet"):
        return read_cameras(path, side)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: is not there") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list of keys: {error}") from None
    try:
        return *plain([line.strip() for line in lines if line.strip()]), "plain"
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
