"""Images whose names say where they were taken and which way they face: the `@` convention.

SF-XL follows it, and everything that VPR-datasets-downloader and the programs around it write. For the fields of a
name see `relabel.datasets.names.fields`, for the sources of names `relabel.datasets.image_lists`.

Headings are kept modulo 360: 0 and 360, which both occur, are the same. MSLS trees in this convention have lost their
compass; `join_msls` restores it from the original metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.datasets import csv_columns, fillers
from relabel.datasets.base import (
    CameraSets,
    InputReport,
    common_root,
    fault_notes,
    heading_params,
    position_notes,
    relative_path,
    same_file,
)
from relabel.datasets.conventions import TABLE_SUFFIXES
from relabel.datasets.image_lists import NameList, has_at_names, read_names
from relabel.datasets.msls import tree as msls_tree
from relabel.datasets.names.crs import shared_frame
from relabel.datasets.names.fields import AtNames, parse
from relabel.datasets.registry import ReaderSelection
from relabel.display import several
from relabel.errors import DatasetNotFoundError, InputError
from relabel.fixed_width import text_array
from relabel.geometry.projection import project
from relabel.keys import rows_of

__all__ = ["Names", "NamesReport", "read"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NamesReport(InputReport):
    """Observations about the names of both sides; all counts are rows.

    Attributes
    ----------
    rows:
        all rows; those of self pairs once.
    wrapped:
        rows whose heading was outside [0, 360) and was reduced modulo 360.
    missing:
        rows without a heading.
    joined, not_joined:
        with `join_msls`, rows whose pano_id is in the MSLS tree and rows whose is not.
    panoramas:
        with `join_msls`, rows that are panoramas according to the tree.
    """

    rows: int = 0
    wrapped: int = 0
    missing: int = 0
    joined: int = 0
    not_joined: int = 0
    panoramas: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class Names(CameraSets):
    """The cameras of two lists of names, or of one twice, in the order of the lists.

    The `extra` columns of the cameras are, where any name fills them, ``lon_deg``, ``lat_deg`` (float64), ``pano_id``,
    ``tile``, ``timestamp`` and ``note`` (str). Names with a known location on earth are compared there (`geographic`),
    with headings from true north; the positions are in the UTM zone of all names, or on a map that shows several.

    Attributes
    ----------
    report:
        observations about the names.
    """

    report: NamesReport


def read(queries: Path | str, database: Path | str | None = None, *, join_msls: Path | str | None = None) -> Names:
    """The cameras of queries and database.

    A row is `NO_HEADING` if its name has no heading or a filler value, `NO_POSITION` if east or north is nan, or the
    position is a filler value.

    Parameters
    ----------
    queries, database:
        folders, text lists or ``.npy`` lists of `@` names; the same path twice, or no database, gives self pairs.
    join_msls:
        an MSLS tree. The name's pano_id is looked up in the raw.csv of all its cities; if it is found, the heading is
        its `ca`, and a panorama gets that status. Nothing else is taken from the tree.

    Raises
    ------
    MissingFileError, DatasetNotFoundError
        when a list or the MSLS tree does not exist.
    InputError
        when a list or a name in it cannot be read, a name is repeated, positions are in several frames that cannot be
        combined, or no pano_id is in the MSLS tree.
    """
    paths = [Path(queries)]
    if database is not None and not same_file(Path(queries), Path(database)):
        paths.append(Path(database))
    with ThreadPoolExecutor(len(paths), thread_name_prefix="relabel-names") as pool:
        lists = list(pool.map(read_names, paths))
        parsed = list(pool.map(lambda names: parse(names.names, names.location), lists))
        parsed, replaced = _without_fillers(lists, parsed)
        frame = shared_frame(tuple(zip(lists, parsed, strict=True)))
        files = [file for names in lists for file in names.files]
        compass = None
        if join_msls is not None:
            compass = read_compass(Path(join_msls))
            files += _joinable(compass, lists, parsed, Path(join_msls))
        positions = [fields.position for fields in parsed]
        if frame.geographic is not None and not frame.own_metres:
            positions = list(pool.map(lambda place: project(place[:, 0], place[:, 1], frame.crs), frame.geographic))
        crs = [frame.crs for _ in lists]
        sides = list(pool.map(_cameras, lists, parsed, positions, crs, [compass for _ in lists]))
    replaced += [filler for side in sides for filler in side[2]]
    query, database_cameras = sides[0][0], sides[-1][0]
    report = sides[0][1] if len(sides) == 1 else sides[0][1] + sides[1][1]
    return _with_notes(
        query,
        database_cameras,
        report,
        joined=join_msls is not None,
        files=tuple(dict.fromkeys(files)),
        fillers=tuple(replaced),
        frame_notes=frame.notes,
        doubts=frame.doubts,
        north=frame.north,
        sources=(str(queries), str(queries if database is None else database)),
        geographic=None if frame.geographic is None else (frame.geographic[0], frame.geographic[-1]),
    )


def _with_notes(
    query: Cameras,
    database: Cameras,
    report: NamesReport,
    *,
    joined: bool,
    frame_notes: Sequence[str],
    north: str,
    **others: Any,
) -> Names:
    """The cameras, with notes about them."""
    faults = {name: n for name in _FAULT_TEXTS if (n := getattr(report, name))}
    notes = [*fault_notes(faults, _FAULT_TEXTS), *position_notes(query, database)]
    if joined:
        notes.insert(0, f"{several(report.joined, 'heading was', 'headings were')} taken from the MSLS tree")
        faults["joined"] = report.joined
    return Names(
        query=query,
        database=database,
        report=report,
        params=heading_params({"heading": "MSLS compass, by pano_id" if joined else "name", "north": north}, faults),
        notes=(*notes, *frame_notes),
        hint="field 9 of an @ name is the heading; for MSLS trees in this convention restore it with --join-msls",
        **others,
    )


def _joinable(compass: Compass, lists: list[NameList], parsed: list[AtNames], root: Path) -> list[Path]:
    """The files of the MSLS tree that have a row of these names."""
    files: list[Path] = []
    for names, fields in zip(lists, parsed, strict=True):
        if "pano_id" not in fields.texts:
            raise InputError(f"{names.path}: no name has a pano_id, which is needed to join with {root}")
        rows = compass.rows(fields.texts["pano_id"])
        if (rows < 0).all():
            raise InputError(
                f"{names.path}: none of the {len(names):,} names has a pano_id that is in {root} "
                f"({len(compass.key):,} keys; here {str(fields.texts['pano_id'][0])!r}); are these MSLS images, and "
                "are their cities in the tree?"
            )
        files += compass.used(rows)
    return files


def _cameras(
    names: NameList, fields: AtNames, position: FloatArray, crs: str, compass: Compass | None
) -> tuple[Cameras, NamesReport, list[fillers.Filler]]:
    heading = fields.heading_deg.copy()
    status = np.zeros(len(fields), np.uint8)
    counts = {"rows": len(fields)}
    replaced: list[fillers.Filler] = []
    if compass is not None:
        rows = compass.rows(fields.texts["pano_id"])
        joined = rows >= 0
        heading[joined] = compass.heading_deg[rows[joined]]
        unknown = joined & fillers.heading_fillers(np.where(joined, heading, np.nan), mapillary=True)
        replaced = fillers.counted(
            "heading", heading, unknown, f"{names.path.name}, as the MSLS tree has it", names.names
        )
        heading[unknown] = np.nan
        status[joined] = np.where(compass.panorama[rows[joined]], Status.PANORAMA, Status.OK)
        counts |= {"joined": int(joined.sum()), "not_joined": int((~joined).sum())}
        counts["panoramas"] = int((status == Status.PANORAMA).sum())
    finite = np.isfinite(heading)
    counts["wrapped"] = int((finite & ((heading < 0.0) | (heading >= 360.0))).sum())
    counts["missing"] = int((~finite).sum())
    extra: dict[str, npt.NDArray[Any]] = dict(fields.texts)
    if np.isfinite(fields.lat_deg).any():
        extra |= {"lon_deg": fields.lon_deg, "lat_deg": fields.lat_deg}
    key = text_array(names.names)
    cameras = Cameras(key, position, heading_deg=heading, status=status, crs=crs, extra=extra)
    return cameras, NamesReport(**counts), replaced


def _without_fillers(
    lists: Sequence[NameList], parsed: Sequence[AtNames]
) -> tuple[list[AtNames], list[fillers.Filler]]:
    """The names with filler values replaced by NaN, and the replaced values."""
    cleaned: list[AtNames] = []
    replaced: list[fillers.Filler] = []
    at_origin = fillers.position_fillers([fields.position for fields in parsed])
    for names, fields, origin in zip(lists, parsed, at_origin, strict=True):
        unknown = fillers.heading_fillers(fields.heading_deg)
        degrees = np.column_stack([fields.lon_deg, fields.lat_deg])
        at_sea = fillers.place_fillers(degrees)
        # Without a zone, the degrees are the position, and the metres only fill their fields.
        zoned = fields.zone > 0
        at_sea_alone = at_sea & ~zoned
        no_position = (origin & (zoned | np.isnan(fields.lat_deg))) | at_sea_alone
        replaced += fillers.counted("heading", fields.heading_deg, unknown, names.path.name, names.names)
        replaced += fillers.counted(
            "position",
            np.where(at_sea_alone[:, None], degrees, fields.position),
            no_position,
            names.path.name,
            names.names,
        )
        cleaned.append(
            replace(
                fields,
                heading_deg=np.where(unknown, np.nan, fields.heading_deg),
                lon_deg=np.where(at_sea, np.nan, fields.lon_deg),
                lat_deg=np.where(at_sea, np.nan, fields.lat_deg),
                position=np.where(no_position[:, None], np.nan, fields.position),
            )
        )
    return cleaned, replaced


_FAULT_TEXTS = {
    "wrapped": ("heading outside [0°, 360°) was wrapped", "headings outside [0°, 360°) were wrapped"),
    "missing": ("camera has no heading", "cameras have no heading"),
    "not_joined": (
        "image is not in the MSLS tree and keeps the heading in its name, if any",
        "images are not in the MSLS tree and keep the heading in their name, if any",
    ),
    "panoramas": ("panorama is not labelled", "panoramas are not labelled"),
}


@dataclass(frozen=True)
class NamesReader:
    """Two lists of `@` names, or one for self pairs, as the collection `name`; `root` holds all paths."""

    queries: Path
    database: Path | None
    name: str
    root: Path
    join_msls: Path | None = None
    command = "relabel names"

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, and where the lists and the MSLS tree are."""
        values: dict[str, Any] = {"collection": self.name, "queries": relative_path(self.queries, self.root)}
        if self.database is not None:
            values["database"] = relative_path(self.database, self.root)
        if self.join_msls is not None:
            values["join_msls"] = relative_path(self.join_msls, self.root)
        return values

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> NamesReader:
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

    def read(self) -> Names:
        """The cameras of the names; raises what `read` does."""
        return read(self.queries, self.database, join_msls=self.join_msls)


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
        if database is not None:
            name = common_root([queries, database]).absolute().name
        else:
            name = Path(queries.name).stem if queries.is_file() else queries.absolute().name
        name = name or "names"
    return NamesReader(queries, database, name, root, join_msls)


def from_paths(
    paths: Sequence[Path], *, cities: str | None = None, columns: str | None = None
) -> ReaderSelection | None:
    """The list or lists of names; None where cities are chosen, or for tables and folders without `@` names."""
    if cities is not None:
        return None
    if len(paths) == 1 and not paths[0].is_file():
        with_names = paths[0].is_dir() and has_at_names(paths[0])
        return ReaderSelection([reader(paths[0])]) if with_names else None
    if len(paths) > 2 or columns is not None or any(path.suffix.lower() in TABLE_SUFFIXES for path in paths):
        return None
    return ReaderSelection([reader(*paths)])


_COLUMNS: dict[str, csv_columns.Kind] = {"key": "text", "ca": "float", "pano": "bool"}


@dataclass(frozen=True, eq=False)
class Compass:
    """The compass angles of all images of an MSLS tree.

    Attributes
    ----------
    key:
        (n,) Mapillary keys, unique.
    heading_deg:
        (n,) `ca` as the files have it, NaN if there is none.
    panorama:
        (n,) bool.
    file:
        (n,) which of `files` a row is from.
    files:
        every raw.csv of the tree.
    """

    key: npt.NDArray[np.str_]
    heading_deg: FloatArray
    panorama: npt.NDArray[np.bool_]
    file: npt.NDArray[np.int64]
    files: tuple[Path, ...]

    def rows(self, pano_id: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
        """(m,) the row of each key, -1 where the tree has none, as for an empty one."""
        return rows_of(self.key, pano_id)

    def used(self, rows: npt.NDArray[np.int64]) -> tuple[Path, ...]:
        """The files that the rows are from."""
        return tuple(self.files[i] for i in np.unique(self.file[rows[rows >= 0]]))


def read_compass(root: Path) -> Compass:
    """The compass angles of all cities under `root`, from their raw.csv alone.

    Raises
    ------
    DatasetNotFoundError
        when there is no MSLS tree, or no raw.csv in it.
    InputError
        when a raw.csv cannot be read, or a key is in two of them with different angles.
    """
    tree = msls_tree.find(root)
    paths = [city.path / side / "raw.csv" for city in tree.cities for side in msls_tree.SIDES]
    files = tuple(path for path in paths if path.is_file())
    if not files:
        raise DatasetNotFoundError(
            f"{root}: none of its {len(tree.cities)} cities has a raw.csv, which holds the compass angles (ca); use "
            "the original metadata of MSLS"
        )
    tables = [csv_columns.read(path, _COLUMNS) for path in files]
    for path, table in zip(files, tables, strict=True):
        csv_columns.check_keys(path, table, "key")
    key = np.concatenate([table["key"] for table in tables])
    heading = np.concatenate([table["ca"] for table in tables])
    panorama = np.concatenate([table["pano"] for table in tables])
    file = np.repeat(np.arange(len(files)), [len(table["key"]) for table in tables])
    order = np.argsort(key, kind="stable")
    same = np.append(False, key[order[1:]] == key[order[:-1]])
    for second in np.flatnonzero(same):
        a, b = order[second - 1], order[second]
        if panorama[a] != panorama[b] or not np.array_equal(heading[a], heading[b], equal_nan=True):
            raise InputError(
                f"key {str(key[a])!r} is in {files[file[a]]} and {files[file[b]]} with different values; an image "
                "belongs to one city: remove the wrong copy"
            )
    rows = np.sort(order[~same])
    return Compass(key[rows], heading[rows], panorama[rows], file[rows], files)
