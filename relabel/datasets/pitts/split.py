"""Pittsburgh 30k and 250k, and other datasets in a `dbStruct`: cameras of the splits in a folder.

    ROOT/pitts30k_train.mat  pitts30k_val.mat  pitts30k_test.mat      or in a folder right below ROOT

Positions are metres in UTM zone 17. All 24 cut-outs of a panorama share one. Their headings are not in the data: see
`relabel.datasets.pitts.yaw`. A query panorama and a database panorama of the same number are different panoramas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.datasets import fillers
from relabel.datasets.base import (
    CameraSets,
    InputReport,
    fault_notes,
    heading_params,
    is_inside,
    position_notes,
    relative_path,
)
from relabel.datasets.listing import children
from relabel.datasets.pitts.dbstruct import SUFFIXES, DbStruct, holds_dbstruct, read_dbstruct
from relabel.datasets.pitts.yaw import Headings, NorthTable, PanoramaViews, heading_deg, read_north, travel_deg, views
from relabel.datasets.registry import ReaderSelection
from relabel.errors import DatasetNotFoundError, InputError, NotFoundError, OptionError
from relabel.fixed_width import text_array

__all__ = ["Headings", "PittsReport", "PittsSplit", "find", "read", "select"]

FloatArray = npt.NDArray[np.float64]

CRS = "EPSG:32617"
_CENTRE = (586_000.0, 4_477_000.0)  # of Pittsburgh in zone 17
_AROUND_M = 50_000.0


@dataclass(frozen=True)
class PittsReport(InputReport):
    """Observations about the headings of both sides; all counts are rows.

    Attributes
    ----------
    rows:
        all rows.
    unnamed:
        rows without a heading because their name has no panorama and yaw.
    not_in_table:
        with a table, rows without a heading because their panorama has none in it.
    no_tangent:
        with travel, rows without a heading because no other panorama of their track is at another place.
    """

    rows: int = 0
    unnamed: int = 0
    not_in_table: int = 0
    no_tangent: int = 0


@dataclass(frozen=True, eq=False, kw_only=True)
class PittsSplit(CameraSets):
    """The cameras of one split, in the order of the file; their keys are the names in it.

    The `extra` columns of the cameras are ``panorama`` (str, six digits, "" where the name states none), ``pitch`` and
    ``yaw`` (int64, from 1, 0 where the name states none).

    Attributes
    ----------
    report:
        observations about the headings.
    """

    report: PittsReport

    @property
    def crs(self) -> str:
        """EPSG:32617 where all places are near Pittsburgh, else ``local``."""
        return self.query.crs


def find(root: Path | str) -> dict[str, Path]:
    """The splits of a folder by name: its ``.mat`` and ``.npz`` files, and those of the folders right in it.

    Raises
    ------
    DatasetNotFoundError
        when the folder is not there or holds none.
    """
    paths = _files(Path(root))
    splits: dict[str, Path] = {}
    for path in paths:
        other = splits.setdefault(path.stem, path)
        if other is not path:
            raise InputError(f"{other} and {path} are both the split {path.stem}; name one with --splits by its path")
    return splits


def select(root: Path | str, splits: str | None = None) -> tuple[dict[str, Path], dict[str, str]]:
    """The splits to label by name, and the files that are not splits, with the reason.

    Parameters
    ----------
    root:
        as for `find`.
    splits:
        names of splits, or of files below `root`, with commas between; None for every file that holds one.

    Raises
    ------
    DatasetNotFoundError
        when there is no split.
    NotFoundError
        when a named split does not exist; the message lists those that exist.
    InputError
        when two files are the same split.
    OptionError
        when `splits` names nothing.
    """
    root = Path(root)
    if splits is not None:
        names = [name for name in (part.strip() for part in splits.split(",")) if name]
        if not names:
            raise OptionError(f"splits is {splits!r}, which names none; give names separated by commas")
        named: dict[str, Path] = {}
        for name in names:
            path = _named(root, name)
            if named.setdefault(path.stem, path) != path:
                raise InputError(f"{named[path.stem]} and {path} are both the split {path.stem}; label one at a time")
        return named, {}
    available = find(root)
    if len(available) == 1:
        return available, {}  # its faults are reported when it is read
    skipped: dict[str, str] = {}
    for name, path in available.items():
        try:
            if not holds_dbstruct(path):
                skipped[name] = f"{path.name} holds no dbStruct"
        except InputError as error:
            skipped[name] = str(error)
    left = {name: path for name, path in available.items() if name not in skipped}
    if not left:
        raise DatasetNotFoundError(f"{root}: none of its files is a split: {'; '.join(skipped.values())}")
    return left, skipped


def _named(root: Path, name: str) -> Path:
    if Path(name).suffix in SUFFIXES and (root / name).is_file():
        return root / name
    matching = [path for path in _files(root) if name in (path.stem, path.name)]
    if not matching:
        there = ", ".join(path.stem for path in _files(root))
        raise NotFoundError(f"{root}: there is no split {name!r}; there are {there}")
    if len(matching) > 1:
        where = ", ".join(path.relative_to(root).as_posix() for path in matching)
        raise InputError(f"{root}: the split {name!r} exists more than once; name one by its path: {where}")
    return matching[0]


def _files(root: Path) -> list[Path]:
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise DatasetNotFoundError(f"{root}: {what}; give the folder that holds pitts30k_train.mat and similar files")
    try:
        folders = [root, *(child for child in children(root) if child.is_dir())]
        paths = [path for folder in folders for path in children(folder) if path.suffix.lower() in SUFFIXES]
        names = [child.name for child in children(root)]
    except PermissionError as error:
        raise DatasetNotFoundError(f"{error.filename}: cannot be accessed; check its permissions") from None
    paths = [path for path in paths if path.is_file()]
    if not paths:
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        raise DatasetNotFoundError(
            f"{root}: holds no .mat or .npz file, neither do the folders in it; found {shown or 'an empty folder'}. "
            "Give the folder with pitts30k_train.mat and similar files"
        )
    return paths


def read(
    path: Path | str,
    headings: Headings,
    *,
    query_names: Path | None = None,
    database_names: Path | None = None,
) -> PittsSplit:
    """The cameras of one split.

    A row is `NO_HEADING` if its name is not of the form ``000/000829_pitch1_yaw1.jpg`` or the direction of its
    panorama is unknown, `NO_POSITION` if its coordinates are not finite.

    Parameters
    ----------
    path:
        the ``.mat`` or ``.npz`` file.
    headings:
        the source of headings.
    query_names, database_names:
        lists of names, for an ``.npz`` file.

    Raises
    ------
    MissingFileError
        when a file is not there.
    InputError
        when a file is malformed; or a table identifies panoramas by number alone, and both sides have the same number
        at different positions.
    """
    struct = read_dbstruct(Path(path), query_names=query_names, database_names=database_names)
    north = None
    files = struct.files
    sides = {side: views(getattr(struct, side)) for side in ("query", "database")}
    if headings.source == "table":
        if headings.table is None:
            raise OptionError("headings come from a table; give its path")
        north = read_north(headings.table)
        files = (*files, headings.table)
        if north.side is None:
            _refuse_ambiguous(north, struct, sides["query"], sides["database"])
    struct, replaced = _without_fillers(struct)
    if north is not None:
        unknown = fillers.heading_fillers(north.offset_deg)
        replaced += fillers.counted("heading", north.offset_deg, unknown, north.path.name)
        north = replace(north, offset_deg=np.where(unknown, np.nan, north.offset_deg))
    crs = _crs(struct)
    query, query_report = _cameras(struct, "query", sides["query"], headings, north, crs)
    database, database_report = _cameras(struct, "database", sides["database"], headings, north, crs)
    report = query_report + database_report
    faults = {name: n for name in _FAULT_TEXTS if (n := getattr(report, name))}
    params: dict[str, Any] = {
        "heading": headings.source,
        "heading_caveat": headings.caveat,
        "yaw_sign": headings.sign,
        "yaw_zero_deg": float(headings.zero_deg),
    }
    notes = [headings.caveat, *fault_notes(faults, _FAULT_TEXTS), *struct.notes, *position_notes(query, database)]
    if crs == "local":
        notes.append("positions are not near Pittsburgh; their frame is recorded as 'local'")
    return PittsSplit(
        query=query,
        database=database,
        files=files,
        params=heading_params(params, faults),
        notes=tuple(notes),
        fillers=tuple(replaced),
        sources=(f"{path}: queries", f"{path}: database"),
        hint=_HINTS[headings.source],
        report=report,
    )


def _without_fillers(struct: DbStruct) -> tuple[DbStruct, list[fillers.Filler]]:
    """The split with filler positions replaced by NaN, and the replaced values."""
    sides = {"query": struct.query_m, "database": struct.database_m}
    names = {"query": struct.query, "database": struct.database}
    replaced: list[fillers.Filler] = []
    for (side, position), at_origin in zip(
        list(sides.items()), fillers.position_fillers(tuple(sides.values())), strict=True
    ):
        replaced += fillers.counted("position", position, at_origin, side, names[side])
        sides[side] = np.where(at_origin[:, None], np.nan, position)
    return replace(struct, query_m=sides["query"], database_m=sides["database"]), replaced


def _crs(struct: DbStruct) -> str:
    table = np.concatenate([struct.query_m, struct.database_m])
    table = table[np.isfinite(table).all(axis=1)]
    near = np.hypot(*(table - _CENTRE).T) <= _AROUND_M
    return CRS if len(near) and near.all() else "local"


def _refuse_ambiguous(north: NorthTable, struct: DbStruct, query: PanoramaViews, database: PanoramaViews) -> None:
    """Raise if a number in the table is that of two panoramas."""
    positions = []
    for view, metres in ((query, struct.query_m), (database, struct.database_m)):
        numbers, first = np.unique(view.panorama, return_index=True)
        positions.append({n: metres[row] for n, row in zip(numbers.tolist(), first.tolist(), strict=True) if n >= 0})
    for number in north.panorama.tolist():
        if number in positions[0] and number in positions[1]:
            apart_m = float(np.hypot(*(positions[0][number] - positions[1][number])))
            if apart_m > 0.0:
                raise InputError(
                    f"{north.path}: panorama {number:06d} is in the queries and in the database of {struct.path.name}, "
                    f"{apart_m:,.0f} m apart, so its row is ambiguous; add a column side (query or database)"
                )


def _cameras(
    struct: DbStruct, side: str, view: PanoramaViews, headings: Headings, north: NorthTable | None, crs: str
) -> tuple[Cameras, PittsReport]:
    key = text_array(getattr(struct, side))
    position: FloatArray = getattr(struct, f"{side}_m")
    zero = np.zeros(len(key))
    counts = {"rows": len(key), "unnamed": int((~view.known).sum())}
    if north is not None:
        zero = north.of(side, view.panorama)
        counts["not_in_table"] = int((view.known & ~np.isfinite(zero)).sum())
    elif headings.source == "travel":
        zero = travel_deg(view, position, headings.gap_m)
        counts["no_tangent"] = int((view.known & np.isnan(zero) & np.isfinite(position).all(axis=1)).sum())
    names = [f"{number:06d}" if number >= 0 else "" for number in view.panorama.tolist()]
    extra = {"panorama": text_array(names), "pitch": view.pitch, "yaw": view.yaw}
    cameras = Cameras(key, position, heading_deg=heading_deg(view, zero, headings), crs=crs, extra=extra)
    return cameras, PittsReport(**counts)


_FAULT_TEXTS = {
    "unnamed": (
        "camera has a name without panorama and yaw, hence no heading",
        "cameras have names without panorama and yaw, hence no heading",
    ),
    "not_in_table": (
        "camera is from a panorama without a north offset in the table",
        "cameras are from panoramas without a north offset in the table",
    ),
    "no_tangent": (
        "camera is from a panorama without a neighbour on the track, hence without a heading",
        "cameras are from panoramas without a neighbour on the track, hence without a heading",
    ),
}
_HINTS = {
    "table": "add their panoramas to the table",
    "travel": "their panoramas are on no track: try a longer --travel-gap, or --heading table:FILE",
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
        """File and source of the headings; a table or list outside the root by its name alone."""
        headings = self.headings
        values: dict[str, Any] = {
            "collection": self.name,
            "split": relative_path(self.path, self.root),
            "heading": headings.source,
            "sign": headings.sign,
            "zero_deg": float(headings.zero_deg),
        }
        if headings.source == "travel":
            values["travel_gap_m"] = float(headings.gap_m)
        for name, path in (
            ("heading_table", headings.table),
            ("query_names", self.query_names),
            ("database_names", self.database_names),
        ):
            if path is not None:
                values[name] = relative_path(path, self.root) if is_inside(path, self.root) else path.name
        return values

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> PittsReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError
            when one is missing.
        """
        gap = {}
        if "travel_gap_m" in parameters:
            gap["gap_m"] = parameters.pop("travel_gap_m")
        table, queries, database = (
            root / parameters.pop(name) if name in parameters else None
            for name in ("heading_table", "query_names", "database_names")
        )
        headings = Headings(parameters.pop("heading"), table, parameters.pop("sign"), parameters.pop("zero_deg"), **gap)
        path = root / parameters.pop("split")
        return cls(root, parameters.pop("collection"), path, headings, queries, database)

    def read(self) -> PittsSplit:
        """The cameras of the split; raises what `read` does."""
        return read(self.path, self.headings, query_names=self.query_names, database_names=self.database_names)


def readers(
    root: Path,
    headings: Headings,
    splits: str | None = None,
    *,
    query_names: Path | None = None,
    database_names: Path | None = None,
) -> ReaderSelection:
    """One reader for each split, and a line for each file that is skipped; see `pitts.select`.

    Raises
    ------
    OptionError
        when lists of names are given for more than one split.
    """
    selected, skipped = select(root, splits)
    named = query_names is not None or database_names is not None
    if named and len(selected) > 1:
        raise OptionError(
            f"lists of names belong to one split, but there are {', '.join(selected)}; choose one with --splits"
        )
    return ReaderSelection(
        [PittsReader(root, name, path, headings, query_names, database_names) for name, path in selected.items()],
        [f"{name}: skipped: {reason}" for name, reason in skipped.items()],
    )
