"""Where the cameras of imported labels come from: an index, a camera table, a list of keys, or an MSLS tree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status, key_array
from relabel.datasets.conventions import TABLE_SUFFIXES
from relabel.errors import InputError, MissingFileError, OptionError
from relabel.exchange.camera_tables import CameraTable, SideName, read_cameras
from relabel.exchange.gcl_index import read_index
from relabel.exchange.registry import FormatSpec, KeyRule
from relabel.geometry.projection import GEOGRAPHIC, map_of, project
from relabel.input_files import check_regular

BoolArray = npt.NDArray[np.bool_]

_SUFFIXES = ("_gt", "-pairs-scores", "-pairs")
"""The suffixes that exports add to the name of a collection."""


@dataclass(frozen=True)
class CameraFiles:
    """The files that describe the cameras of an import; all None if the input itself or files beside it do.

    Attributes
    ----------
    queries, database:
        an index (``.json``), a camera table (``.csv``, ``.parquet``) or a list of keys; queries alone for self pairs.
    root, city:
        an MSLS tree, and the city in it; by default the one that the input is named after.
    keys:
        what a key is in an index that names images: the ``stem`` of the file name or the whole ``path``. None takes
        the keys that an export has put into the index, otherwise the stem, or for condensed files the path, since
        frames of different sequences have the same names.
    """

    queries: Path | None = None
    database: Path | None = None
    root: Path | None = None
    city: str | None = None
    keys: KeyRule | None = None


@dataclass(frozen=True, eq=False)
class CameraSides:
    """The cameras of both sides.

    Attributes
    ----------
    query, database:
        the cameras; one object where `self_pairs`.
    query_extent, database_extent:
        (n,) NaN where unknown.
    self_pairs:
        the database is the set of queries.
    files:
        (folder, file) of everything that was read for them; provenance names files relative to the folder.
    notes:
        what was not read, one sentence each.
    """

    query: Cameras
    database: Cameras
    query_extent: FloatArray
    database_extent: FloatArray
    self_pairs: bool = False
    files: tuple[tuple[Path, Path], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, database cameras)."""
        return len(self.query), len(self.database)

    def self_paired(self) -> CameraSides:
        """The queries as both sides."""
        return replace(self, database=self.query, database_extent=self.query_extent, self_pairs=True)

    def as_one_set(self) -> CameraSides:
        """The same cameras as one set; an `OptionError` if the keys of the two sides differ."""
        if not np.array_equal(self.query.key, self.database.key):
            raise OptionError("self-pairs means that the database is the queries, but their keys differ")
        return self.self_paired()

    def with_values(self, query: BoolArray, database: BoolArray) -> tuple[CameraSides, int]:
        """The same sides with every camera that has a value taken as ok, and how many of these were not.

        A published value is known, whatever the status of its cameras; a status only says which zeros are unknown.

        Parameters
        ----------
        query, database:
            (queries,) and (database cameras,) which cameras have a value.
        """
        if self.self_pairs:
            cameras, count = _made_ok(self.query, query | database)
            return replace(self, query=cameras, database=cameras), count
        queries, query_count = _made_ok(self.query, query)
        cameras, database_count = _made_ok(self.database, database)
        return replace(self, query=queries, database=cameras), query_count + database_count


def find_sides(spec: FormatSpec, path: Path, camera_files: CameraFiles) -> tuple[CameraSides | None, list[str]]:
    """The cameras that files describe, None without such files, and a note on files found beside the input."""
    if camera_files.root is not None:
        return read_msls_sides(camera_files.root, camera_files.city or collection_name(path)), []
    if camera_files.queries is not None:
        return read_sides(camera_files.queries, camera_files.database, spec.keys, camera_files.keys), []
    files = [path.parent / file.format(name=collection_name(path)) for file in spec.camera_files]
    if not files or not all(file.is_file() for file in files):
        return None, []
    names = " and ".join(dict.fromkeys(str(file.relative_to(path.parent)) for file in files))
    sides = read_sides(files[0], files[1] if len(files) > 1 else None, spec.keys, camera_files.keys)
    return sides, [f"cameras are read from {names} next to it"]


def collection_name(path: Path) -> str:
    """The name of a file without its extension and without the suffix that an export adds."""
    stem = path.name.rsplit(".", 1)[0]
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix) or stem
    return stem


def cameras_of_keys(keys: list[str]) -> tuple[Cameras, FloatArray]:
    """Cameras of which only the keys are known, and their extents, NaN."""
    missing = np.full(len(keys), np.nan)
    return Cameras(key_array(keys), np.full((len(keys), 2), np.nan), posed=False), missing


def read_sides(queries: Path, database: Path | None, default: KeyRule, given: KeyRule | None = None) -> CameraSides:
    """Cameras from files: an index (``.json``), a table (``.csv``, ``.parquet``) or text with one key per line.

    `default` and `given` say what a key is in an index, see `read_index`.

    Without `database` the queries are also the database, unless the file is a table that has both sides. They are
    also where a table says ``both``.
    """
    first = _read(queries, "query", default, given)
    if database is None and first.layout == "apart":
        database = queries
    files: tuple[tuple[Path, Path], ...] = ((queries.parent, queries),)
    if database is None or (first.layout == "both" and database == queries):
        query = _on_one_map((queries, first))[0]
        return CameraSides(query, query, first.extent, first.extent, self_pairs=True, files=files, notes=first.notes)
    second = _read(database, "database", default, given)
    files += ((database.parent, database),) if database != queries else ()
    notes = tuple(dict.fromkeys((*first.notes, *second.notes)))
    query, cameras = _on_one_map((queries, first), (database, second))
    return CameraSides(query, cameras, first.extent, second.extent, files=files, notes=notes)


def _on_one_map(*tables: tuple[Path, CameraTable]) -> list[Cameras]:
    """The cameras with positions in metres on one map, if any has a position."""
    sides = [table.cameras for _, table in tables]
    placed = [np.isfinite(cameras.position[:, :2]).all(axis=1) for cameras in sides]
    systems = {sides[i].crs: tables[i][0] for i in range(len(sides)) if placed[i].any()}
    if len(systems) > 1:
        shown = " and ".join(f"{path} in {crs}" for crs, path in systems.items())
        raise InputError(f"positions are in two reference systems ({shown}); convert both to one")
    if GEOGRAPHIC not in systems:
        return [replace(cameras, crs=next(iter(systems), "local")) for cameras in sides]
    degrees = np.concatenate([cameras.position[at, :2] for cameras, at in zip(sides, placed, strict=True)])
    crs = map_of(degrees[:, 0], degrees[:, 1])
    result = []
    for cameras in sides:
        position = cameras.position.copy()
        position[:, :2] = project(position[:, 0], position[:, 1], crs)
        result.append(replace(cameras, position=position, crs=crs))
    return result


def read_msls_sides(root: Path, city: str) -> CameraSides:
    """The cameras of an MSLS city in the order of raw.csv, with places, headings and statuses."""
    from relabel.datasets.msls import city as msls  # noqa: PLC0415  projections are slow to load

    cameras = msls.read(root, city=city)
    query, database = (replace(side, posed=False) for side in (cameras.query, cameras.database))
    query_extent, database_extent = (np.full(len(side), np.nan) for side in (query, database))
    files = tuple((root, file) for file in cameras.files)
    notes = (*map(str, cameras.fillers), *(f"{cameras.name}: {doubt.seen}" for doubt in cameras.doubts))
    return CameraSides(query, database, query_extent, database_extent, files=files, notes=notes)


def _read(path: Path, side: SideName, default: KeyRule, given: KeyRule | None) -> CameraTable:
    suffix = path.suffix.lower()
    if suffix == ".json":
        cameras = read_index(path, default, given)
        return CameraTable(cameras, np.full(len(cameras), np.nan), "none")
    if suffix in TABLE_SUFFIXES:
        return read_cameras(path, side)
    check_regular(path)
    try:
        with path.open(encoding="utf-8-sig") as text:
            # A key is the whole line: blanks belong to it, and so do other characters that Unicode calls line ends.
            lines = text.read().split("\n")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a list of keys: {error}") from None
    try:
        return CameraTable(*cameras_of_keys([line for line in lines if line]), "none")
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _made_ok(cameras: Cameras, has_value: BoolArray) -> tuple[Cameras, int]:
    changed = has_value & ~cameras.ok
    if not changed.any():
        return cameras, 0
    status = np.where(changed, Status.OK, cameras.status).astype(np.uint8)
    return replace(cameras, status=status), int(changed.sum())
