"""One table of cameras: its columns read and checked, cell by cell where something is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets import table_gsv
from relabel.datasets.table_columns import TEXT, choose
from relabel.datasets.table_files import Kind, TableFile
from relabel.errors import InputError

_RADIANS = 6.3  # no heading in degrees stays below it but by chance
_FEW = 20


@dataclass(frozen=True, eq=False)
class TableSide:
    """The cameras of one table, before it is known what map they are on.

    Attributes
    ----------
    path:
        the file.
    columns:
        the column of each role.
    key:
        (n,) str.
    place:
        (n, 2) float64, x and y in metres or longitude and latitude in degrees; NaN where there is none.
    degrees:
        whether `place` is longitude and latitude.
    heading_deg:
        (n,) as they stand in the table; NaN where there is none.
    fov_deg, radius_m:
        (n,) or None.
    crs:
        the reference system that the table itself names, or None.
    extra:
        further columns by the name that cameras have them under.
    notes:
        what the user should know.
    """

    path: Path
    columns: Mapping[str, str]
    key: npt.NDArray[np.str_]
    place: FloatArray
    degrees: bool
    heading_deg: FloatArray
    fov_deg: FloatArray | None = None
    radius_m: FloatArray | None = None
    crs: str | None = None
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_side(path: Path, chosen: Mapping[str, str], *, gsv: bool | None = None, in_crs: bool = False) -> TableSide:
    """The cameras of one CSV or Parquet file.

    Parameters
    ----------
    path:
        the file.
    chosen:
        columns by role that are not to be guessed.
    gsv:
        whether keys are made as GSV-Cities names its pictures; None: where the columns are those of GSV-Cities and no
        column of keys is chosen.
    in_crs:
        whether the user named the reference system of x and y.

    Raises
    ------
    InputError
        when the file, a column or a cell is not as it must be; the message names file, line and column.
    """
    file = TableFile(path)
    if gsv:
        table_gsv.check(path, file.columns)
    gsv = "key" not in chosen and table_gsv.is_gsv(file.columns) and gsv is not False
    if gsv:
        columns = choose(path, file.columns, {"key": "panoid", **chosen}, in_crs=in_crs)
        columns.pop("key")
    else:
        columns = choose(path, file.columns, chosen, in_crs=in_crs)
    kinds: dict[str, Kind] = {column: "text" if role in TEXT else "float" for role, column in columns.items()}
    table = file.read({**kinds, **(table_gsv.KINDS if gsv else {})})
    by_role = {role: table[column] for role, column in columns.items()}
    if gsv:
        key = table_gsv.keys(file, table)
        columns = {"key": "name of the picture", **columns}
    else:
        key = by_role["key"]
    file.check_keys(key, f"column {columns['key']!r}")
    degrees = "lon" in by_role
    place = _place(file, columns, by_role, degrees=degrees)
    extra = _sigmas(file, columns, by_role)
    for role in ("sequence", "frame"):
        if role in by_role:
            extra[role] = by_role[role]
    return TableSide(
        path,
        columns,
        key,
        place,
        degrees,
        _finite(file, columns, by_role, "heading"),
        _within(file, columns, by_role, "fov", 360.0),
        _within(file, columns, by_role, "radius", np.inf),
        _crs(file, columns, by_role),
        extra,
        _notes(path, columns, by_role),
    )


def _place(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]], *, degrees: bool
) -> FloatArray:
    roles = ("lon", "lat") if degrees else ("x", "y")
    place = np.column_stack([table[role] for role in roles])
    endless = np.flatnonzero(np.isinf(place).any(axis=1))
    if endless.size:
        _fail(file, endless[0], columns, roles, f"{place[endless[0]].tolist()} is no place")
    half = np.flatnonzero(np.isnan(place[:, 0]) != np.isnan(place[:, 1]))
    if half.size:
        _fail(file, half[0], columns, roles, "one of them is empty; give both, or neither where the place is not known")
    if not degrees:
        return place
    with np.errstate(invalid="ignore"):
        off = np.flatnonzero((np.abs(place[:, 1]) > 90.0) | (place[:, 0] < -180.0) | (place[:, 0] > 360.0))
    if off.size:
        lon, lat = place[off[0]]
        swapped = abs(lat) > 90.0 >= abs(lon)
        hint = (
            f"are the two swapped? --columns lon={columns['lat']},lat={columns['lon']}"
            if swapped
            else "if these are metres: --columns x=NAME,y=NAME"
        )
        why = f"lon {lon:g}, lat {lat:g} is no place on earth ({off.size:,} row(s)); {hint}"
        _fail(file, off[0], columns, roles, why)
    place[:, 0] = np.where(place[:, 0] > 180.0, place[:, 0] - 360.0, place[:, 0])
    return place


def _fail(file: TableFile, row: int, columns: Mapping[str, str], roles: tuple[str, ...], why: str) -> None:
    names = " and ".join(repr(columns[role]) for role in roles)
    raise InputError(f"{file.path}: {file.place(int(row))}, column {names}: {why}")


def _finite(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]], role: str
) -> FloatArray:
    values: FloatArray = table[role]
    endless = np.flatnonzero(np.isinf(values))
    if endless.size:
        _fail(file, endless[0], columns, (role,), f"{values[endless[0]]} is no {role}; leave it empty if it is unknown")
    return values


def _within(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]], role: str, most: float
) -> FloatArray | None:
    if role not in table:
        return None
    values: FloatArray = table[role]
    bad = np.flatnonzero(~((values > 0.0) & (values <= most) & np.isfinite(values)))
    if bad.size:
        value = values[bad[0]]
        shown = "an empty cell" if np.isnan(value) else f"{value:g}"
        upper = f" and at most {most:g}" if np.isfinite(most) else ""
        why = f"{shown}; every row needs a {role} above 0{upper}, or leave the column out of the table"
        _fail(file, bad[0], columns, (role,), why)
    return values


def _sigmas(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    found: dict[str, npt.NDArray[Any]] = {}
    for role, name in (("heading_sigma", "heading_sigma_deg"), ("position_sigma", "position_sigma_m")):
        if role in table:
            values = table[role]
            bad = np.flatnonzero((values < 0.0) | np.isinf(values))
            if bad.size:
                why = f"{values[bad[0]]:g} is no standard deviation; give 0 where the value is exact"
                _fail(file, bad[0], columns, (role,), why)
            found[name] = values
    return found


def _crs(file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """What reference system the table names, after a check that it names one and is in one zone."""
    for role in ("crs", "zone"):
        if role in table and len(table[role]):
            values, first = np.unique(table[role], return_index=True)
            if len(values) > 1:
                a, b = sorted(first.tolist())[:2]
                raise InputError(
                    f"{file.path}: column {columns[role]!r} is {str(table[role][a])!r} in {file.place(a)} and "
                    f"{str(table[role][b])!r} in {file.place(b)}: metres of {len(values)} maps cannot be compared; "
                    "name lon and lat instead (--columns lon=NAME,lat=NAME), or label each map by itself"
                )
    if "crs" not in table or not len(table["crs"]) or not table["crs"][0]:
        return None
    text = str(table["crs"][0])
    return f"EPSG:{text}" if text.isdigit() else text


def _notes(path: Path, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]) -> tuple[str, ...]:
    notes = [f"{path.name}: {', '.join(f'{role}={column}' for role, column in columns.items())}"]
    heading = table["heading"][np.isfinite(table["heading"])]
    if len(heading) >= _FEW and np.abs(heading).max() < _RADIANS and np.ptp(heading) > 0.0:
        notes.append(f"{path.name}: no heading is beyond ±{_RADIANS}°: are they radians? degrees are expected")
    if "x" in table:
        x, y = (column[np.isfinite(column)] for column in (table["x"], table["y"]))
        like_degrees = len(x) >= _FEW and np.abs(x).max() <= 180.0 and np.abs(y).max() <= 90.0
        if like_degrees and max(np.ptp(x), np.ptp(y)) < 2.0:
            notes.append(
                f"{path.name}: all cameras stand within 2 m: are these degrees? then name them with --columns "
                f"lon={columns['x']},lat={columns['y']}"
            )
    return tuple(notes)
