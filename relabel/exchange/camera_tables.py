"""Cameras as tables, CSV and Parquet: written beside exported pairs, and read for imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relabel.cameras import Cameras, Status
from relabel.datasets import fillers
from relabel.datasets.table.columns import TEXT, USUAL, usual_columns
from relabel.datasets.table.table_file import Kind, TableFile
from relabel.errors import InputError, MissingFileError
from relabel.geometry.earth import LAT, LON, is_geodesic
from relabel.geometry.projection import GEOGRAPHIC, check_metric
from relabel.similarity import Collection

SideName = Literal["query", "database"]
SideLayout = Literal["none", "both", "apart"]
"""What a camera table says about sides: nothing, that every camera is on both, or that each is on one."""

_BOTH = "both"
_OWN: dict[str, Kind] = {"side": "text", "status": "text", "up": "float", "extent": "float", "path": "text"}
"""Columns that a table may have besides those that ``relabel table`` knows, by exactly these names."""
_ROLES = ("key", "x", "y", "lon", "lat", "heading", "fov", "radius", "crs")
"""The columns of ``relabel table`` that are read, under any name that it knows."""


def camera_table(c: Collection) -> Any:
    """All cameras as an Arrow table: key, side (query, database or both), status, east, north, heading_deg, extent.

    Where cameras are compared on the earth (`relabel.geometry.earth`), lon_deg and lat_deg follow north. If a side
    has them, there are also up, fov_deg, radius_m and path; unknown numbers are NaN.
    """
    places = (LON, LAT) if is_geodesic(c.params) else ()
    sides = [(_BOTH, c.query, c.query_extent)]
    if not c.self_pairs:
        sides = [("query", c.query, c.query_extent), ("database", c.database, c.database_extent)]
    parts = [_camera_columns(*side, places) for side in sides]
    names = {name: None for columns in parts for name in columns}

    def column(name: str) -> npt.NDArray[Any]:
        blank = "" if name == "path" else np.nan
        return np.concatenate([columns.get(name, np.full(len(columns["key"]), blank)) for columns in parts])

    return pa.table({name: pa.array(column(name)) for name in names})


def _camera_columns(
    side: str, cameras: Cameras, extent: npt.NDArray[np.float64], places: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    labels = np.array([status.label for status in Status])
    columns: dict[str, npt.NDArray[Any]] = {
        "key": cameras.key,
        "side": np.full(len(cameras), side),
        "status": labels[cameras.status],
        "east": cameras.position[:, 0],
        "north": cameras.position[:, 1],
    }
    columns |= {name: cameras.extra[name] for name in places}
    if cameras.position.shape[1] == 3:
        columns["up"] = cameras.position[:, 2]
    columns |= {"heading_deg": cameras.heading_deg, "extent": extent}
    columns |= {name: value for name in ("fov_deg", "radius_m") if (value := getattr(cameras, name)) is not None}
    if "path" in cameras.extra:
        columns["path"] = cameras.extra["path"].astype(np.str_)
    return columns


@dataclass(frozen=True, eq=False)
class CameraTable:
    """The cameras of one side of a table.

    Attributes
    ----------
    cameras:
        in their order; where the table has longitudes and latitudes, these are the positions, and the reference system
        is `GEOGRAPHIC`.
    extent:
        (n,) NaN where unknown.
    layout:
        what the table says about sides.
    notes:
        what was not read, and which values stood for unknown ones and were replaced by NaN.
    """

    cameras: Cameras
    extent: npt.NDArray[np.float64]
    layout: SideLayout
    notes: tuple[str, ...] = ()


def read_cameras(path: Path, side: SideName) -> CameraTable:
    """The cameras of one side of a camera table (CSV or Parquet).

    Columns are those that `camera_table` writes, and key, x, y, lon, lat, heading, fov, radius and crs under any name
    that ``relabel table`` takes (`relabel.datasets.table.columns.USUAL`). Only the key is required. Without ``side``
    all rows count. Without ``status`` all are OK, and headings and positions that stand for unknown ones become NaN;
    with it, as `camera_table` writes it, values are taken as they are.

    Raises
    ------
    InputError, MissingFileError
        when the file cannot be read, or a cell is invalid; the message names the row.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: does not exist")
    file = TableFile(path)
    columns = usual_columns(path, list(file.columns))
    if "key" not in columns:
        there = ", ".join(filter(None, file.columns)) or "no named column"
        raise InputError(f"{path}: has no column 'key', nor one named {', '.join(USUAL['key'][1:])}: {there}")
    columns = {role: name for role, name in columns.items() if role in _ROLES}
    own = {name: kind for name, kind in _OWN.items() if name in file.columns and name != columns["key"]}
    kinds: dict[str, Kind] = {name: "text" if role in TEXT else "float" for role, name in columns.items()}
    table = file.read(kinds | own)
    unread = [name for name in file.columns if name and name not in table]
    notes: tuple[str, ...] = (f"{path}: columns {', '.join(unread)} are not read",) if unread else ()
    n = len(table[columns["key"]])
    layout: SideLayout = "none"
    if "side" in table and n > 0:
        layout = "both" if (table["side"] == _BOTH).all() else "apart"
    rows = np.flatnonzero(table["side"] == side) if layout == "apart" else np.arange(n)
    by_role = {role: table[name][rows] for role, name in columns.items()}
    by_name = {name: table[name][rows] for name in own}
    missing = np.full(len(rows), np.nan)
    if "status" not in table:
        notes += _replace_fillers(path.name, columns, by_role, by_name)
    place, crs = _places(file, columns, by_role, rows)
    if "up" in by_name:
        place = np.column_stack([place, by_name["up"]])
    try:
        cameras = Cameras(
            by_role["key"],
            place,
            heading_deg=by_role.get("heading", missing),
            fov_deg=by_role.get("fov"),
            radius_m=by_role.get("radius"),
            status=_statuses(path, by_name, len(rows)),
            crs=crs,
            posed=False,
            extra={"path": by_name["path"]} if "path" in by_name else {},
        )
    except InputError as error:
        raise InputError(f"{path}: {side} cameras: {error}") from None
    return CameraTable(cameras, by_name.get("extent", missing), layout, notes)


def _replace_fillers(
    source: str,
    columns: Mapping[str, str],
    by_role: dict[str, npt.NDArray[Any]],
    by_name: dict[str, npt.NDArray[Any]],
) -> tuple[str, ...]:
    """Replace filler values by NaN; returns a note for each value that was replaced."""
    replaced: list[fillers.Filler] = []
    if "heading" in by_role:
        heading = by_role["heading"]
        unknown = fillers.heading_fillers(heading, mapillary=fillers.is_mapillary(columns["heading"]))
        replaced += fillers.counted("heading", heading, unknown, source)
        by_role["heading"] = np.where(unknown, np.nan, heading)
    for one, other in (("x", "y"), ("lon", "lat")):
        if one in by_role and other in by_role:
            place = np.column_stack([by_role[one], by_role[other]])
            unknown = fillers.place_fillers(place) if one == "lon" else fillers.position_fillers([place])[0]
            replaced += fillers.counted("position", place, unknown, source)
            by_role |= {name: np.where(unknown, np.nan, by_role[name]) for name in (one, other)}
    notes = tuple(map(str, replaced))
    if "up" in by_name and (unknown := fillers.height_fillers(by_name["up"])).any():
        shown = ", ".join(f"{value:.6g}" for value in np.unique(by_name["up"][unknown]))
        notes += (f"{source}: {int(unknown.sum()):,} heights are {shown}, which stands for an unknown height",)
        by_name["up"] = np.where(unknown, np.nan, by_name["up"])
    return notes


def _places(
    file: TableFile, columns: Mapping[str, str], by_role: Mapping[str, npt.NDArray[Any]], rows: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], str]:
    """(n, 2) metres and their reference system, or degrees and `GEOGRAPHIC`; NaN if the table has neither."""
    for one, other in (("x", "y"), ("y", "x"), ("lon", "lat"), ("lat", "lon")):
        if one in by_role and other not in by_role:
            raise InputError(
                f"{file.path}: column {columns[one]!r} is {one}, but none is {other}; add it, or rename the column"
            )
    names = sorted(set(by_role.get("crs", np.array([""])).tolist()))
    if len(names) > 1:
        raise InputError(
            f"{file.path}: column {columns['crs']!r} names {len(names)} reference systems ({', '.join(names)}); "
            "convert all positions to one, or give lon and lat"
        )
    crs = "local"
    if names and names[0]:
        crs = f"EPSG:{names[0]}" if names[0].isdigit() else names[0]
    if "lon" in by_role and ("x" not in by_role or crs == "local"):
        degrees = np.column_stack([by_role["lon"], by_role["lat"]])
        with np.errstate(invalid="ignore"):
            bad = np.flatnonzero((np.abs(degrees) > (360.0, 90.0)).any(axis=1))
        if bad.size:
            lon, lat = degrees[bad[0]]
            raise InputError(
                f"{file.path}: {file.location(int(rows[bad[0]]))}: lon {lon:g}, lat {lat:g} is not a position on "
                f"earth ({bad.size:,} row(s)); are the two swapped?"
            )
        return degrees, GEOGRAPHIC
    if "x" not in by_role:
        return np.full((len(rows), 2), np.nan), "local"
    if crs != "local":
        check_metric(crs)
    return np.column_stack([by_role["x"], by_role["y"]]), crs


def _statuses(path: Path, table: Mapping[str, npt.NDArray[Any]], n: int) -> npt.NDArray[np.uint8]:
    statuses = np.zeros(n, np.uint8)
    if "status" in table:
        codes = {status.label: int(status) for status in Status}
        for label in np.unique(table["status"]):
            if str(label) not in codes:
                raise InputError(f"{path}: status {str(label)!r} is not known; known are {', '.join(codes)}")
            statuses[table["status"] == label] = codes[str(label)]
    return statuses
