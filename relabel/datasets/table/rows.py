"""The rows of one table as cameras: every cell is checked, and invalid numbers are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.datasets import fillers
from relabel.datasets.along_track import PLANE, AlongTrack
from relabel.datasets.table import gsv_cities
from relabel.datasets.table.columns import TEXT, choose
from relabel.datasets.table.table_file import Kind, TableFile
from relabel.datasets.table.table_folder import table_at
from relabel.display import several
from relabel.errors import InputError
from relabel.exclusion import TIME
from relabel.geometry.earth import axes, ecef
from relabel.geometry.projection import project


@dataclass(frozen=True, eq=False)
class TableCameras:
    """The cameras of one table, before their map is known.

    Attributes
    ----------
    path:
        the file, or the folder of Parquet files.
    columns:
        the column of each role.
    key:
        (n,) str.
    place:
        (n, 2) float64, x and y in metres or longitude and latitude in degrees; NaN if there is none.
    degrees:
        whether `place` is longitude and latitude.
    heading_deg:
        (n,) as the table has them; NaN if there is none.
    panorama:
        (n,) whether the camera is a panorama, which is not labelled.
    fov_deg, radius_m:
        (n,) or None; a field of view is NaN if the camera has none of its own.
    crs:
        the reference system that the table itself names, or None.
    extra:
        further columns by their names in `Cameras.extra`.
    notes:
        what the user should know.
    up:
        (n,) height, metres, NaN if there is none; or None.
    time:
        (n,) seconds, NaN if it cannot be read; or None.
    zone:
        the UTM zone that the table names, as written, or None.
    files:
        every file that was read.
    """

    path: Path
    columns: Mapping[str, str]
    key: npt.NDArray[np.str_]
    place: FloatArray
    degrees: bool
    heading_deg: FloatArray
    panorama: npt.NDArray[np.bool_]
    fov_deg: FloatArray | None = None
    radius_m: FloatArray | None = None
    crs: str | None = None
    extra: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    up: FloatArray | None = None
    time: FloatArray | None = None
    zone: str | None = None
    files: tuple[Path, ...] = ()


def read_cameras(
    path: Path,
    explicit: Mapping[str, str],
    *,
    gsv: bool | None = None,
    in_crs: bool = False,
    needs_heading: bool = True,
) -> TableCameras:
    """The cameras of one CSV or Parquet file, or of a folder of Parquet files.

    Parameters
    ----------
    path:
        the file or folder.
    explicit:
        columns by role, as named by the user.
    gsv:
        whether keys are names of images as in GSV-Cities; None: if the columns are those of GSV-Cities and no column
        of keys is explicit.
    in_crs:
        whether the user named the reference system of x and y.
    needs_heading:
        whether a column of headings is required; otherwise none is read.

    Raises
    ------
    InputError
        when the file, a column or a cell is invalid; the message names file, line and column.
    """
    file = table_at(path)
    if gsv:
        gsv_cities.check(path, file.columns)
    gsv = "key" not in explicit and gsv_cities.is_gsv(file.columns) and gsv is not False
    if gsv:
        explicit = {"key": "panoid", **explicit}
    columns = choose(path, file.columns, explicit, in_crs=in_crs, needs_heading=needs_heading)
    if gsv:
        columns.pop("key")
    numeric = {role for role in ("pano", "time") if role in columns and file.holds_fractions(columns[role])}
    kinds: dict[str, Kind] = {
        column: "text" if role in TEXT and role not in numeric else "float" for role, column in columns.items()
    }
    kinds |= gsv_cities.KINDS if gsv else {}
    table = file.read(kinds)
    by_role = {role: table[column] for role, column in columns.items()}
    if gsv:
        key = gsv_cities.keys(file, table)
        columns = {"key": "name of the image", **columns}
    else:
        key = by_role["key"]
    file.check_keys(key, f"column {columns['key']!r}")
    degrees = "lon" in by_role
    place = _place(file, columns, by_role, degrees=degrees)
    extra = _sigmas(file, columns, by_role)
    for role in ("sequence", "frame"):
        if role in by_role:
            extra[role] = by_role[role]
    time, when = _seconds_of(columns, by_role)
    if time is not None:
        extra[TIME] = time
    heading = _finite(file, columns, by_role, "heading") if "heading" in by_role else np.full(len(key), np.nan)
    up, notes = _heights(file, columns, by_role)
    fov = _within(file, columns, by_role, "fov", 360.0)
    if fov is not None and len(fov) and fov.max() <= 2.0 * np.pi:
        notes += (f"{path.name}: fields of view are {fov.max():.3g}° at most; if these are radians, give degrees",)
    return TableCameras(
        path,
        columns,
        key,
        place,
        degrees,
        heading,
        _panoramas(file, columns, by_role),
        fov,
        _within(file, columns, by_role, "radius", np.inf),
        _crs(file, columns, by_role),
        extra,
        (
            f"{path.name}: {', '.join(f'{role}={column}' for role, column in columns.items())}",
            *(f"{path.name}: {note}" for note in file.notes(kinds)),
            *when,
            *notes,
        ),
        up,
        time,
        _zone(columns, by_role),
        file.files,
    )


def projected(side: TableCameras, crs: str) -> FloatArray:
    """(n, 2) metres of longitudes and latitudes on the map `crs`; NaN on ``local``, which is not a map."""
    if crs == "local":
        return np.full_like(side.place, np.nan)
    return project(side.place[:, 0], side.place[:, 1], crs)


_SPHERICAL = ("spherical", "equirectangular")
_YES, _NO = ("true", "1", "1.0", "yes", "t", "y"), ("false", "0", "0.0", "no", "f", "n", "")


def _panoramas(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[np.bool_]:
    """(n,) whether each camera is a panorama; an empty cell says no, and so does any other type of camera."""
    spherical = np.zeros(len(next(iter(table.values()))), bool)
    if "camera_type" in table:
        spherical = np.isin(np.strings.lower(np.strings.strip(table["camera_type"])), _SPHERICAL)
    if "pano" not in table:
        return spherical
    text = table["pano"]
    if text.dtype.kind == "f":
        text = np.where(np.isnan(text), "", text.astype(np.str_))
    text = np.strings.lower(np.strings.strip(text))
    bad = np.flatnonzero(~np.isin(text, [*_YES, *_NO]))
    if bad.size:
        _fail(file, bad[0], columns, ("pano",), f"{str(table['pano'][bad[0]])!r} is neither true nor false")
    return spherical | np.isin(text, _YES)


def looking_along(side: TableCameras, along_track: AlongTrack, crs: str | None) -> TableCameras:
    """The cameras with the direction of travel as heading, from the north that headings count from.

    That is true north for longitude and latitude, unless these are put on a map, `crs`.
    """
    n = len(side.key)
    points, compass = side.place, PLANE
    if side.degrees and crs is not None:
        points = projected(side, crs)
    elif side.degrees:
        points, compass = ecef(*side.place.T), axes(*side.place.T)[:2]
    sequence = side.extra.get("sequence", np.zeros(n))
    order, by = _order(side)
    heading, notes = along_track.headings(points, compass, sequence, order)
    tracks = f"a track for each {side.columns['sequence']}" if "sequence" in side.extra else "one track"
    said = (f"{side.path.name}: {text}" for text in (f"{tracks}, in the order of {by}", *notes))
    return replace(side, heading_deg=heading, notes=(*side.notes, *said))


def _order(side: TableCameras) -> tuple[FloatArray, str]:
    """(n,) the values that sort the cameras of a track, and their name: frames, otherwise times, otherwise rows."""
    ordered = {"frame": side.extra.get("frame"), "time": side.time}
    known = {role: values for role, values in ordered.items() if values is not None}
    for role, values in known.items():
        if np.isfinite(values).all():
            return values, side.columns[role]
    for role, values in known.items():
        lost = np.flatnonzero(~np.isfinite(values))
        row = int(lost[0])
        what = "frame number" if role == "frame" else "time, as a number or as 2019-07-04 12:33:10"
        raise InputError(
            f"{side.path}: {table_at(side.path).location(row)}, column {side.columns[role]!r}: is not a {what}, so "
            f"the order of the track is unknown; correct it ({lost.size:,} row(s)), or remove the column from the "
            "table if its rows are in the order of the track"
        )
    return np.arange(len(side.key), dtype=np.float64), "the rows"


_UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
"""Since 1970, the limits between units: 1e11 seconds are the year 5138."""


def _seconds_of(
    columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]
) -> tuple[FloatArray | None, tuple[str, ...]]:
    """(n,) seconds from the column of times, NaN if there is none, and notes on how it was read."""
    if "time" not in table:
        return None, ()
    time, of_dates, without_zone = _times(table["time"])
    known = np.abs(time[np.isfinite(time)])
    name, notes = columns["time"], []
    most = known.max(initial=0.0)
    scale, unit = next(((scale, unit) for least, scale, unit in _UNITS if most >= least), (1.0, "seconds"))
    if not of_dates:
        time = time / scale
        notes.append(f"column {name!r} is read as {unit}, since its numbers are as large as {most:.3g}")
    elif without_zone:
        notes.append(
            f"column {name!r}: "
            f"{several(without_zone, 'time has no time zone and is', 'times have no time zone and are')}"
            " taken for UTC"
        )
    if len(known) < len(time):
        notes.append(f"column {name!r}: {several(len(time) - len(known), 'row has', 'rows have')} no time")
    return time, tuple(notes)


def _times(texts: npt.NDArray[Any]) -> tuple[FloatArray, bool, int]:
    """(n,) numbers, or seconds of dates of ISO 8601 or EXIF, NaN for what is neither; whether these are dates; and how
    many dates have no time zone.
    """
    try:
        return texts.astype(np.float64), False, 0
    except ValueError:
        words = [text.strip() for text in texts.tolist()]
    numbers = np.array([_number(word) for word in words])
    if not np.isnan(numbers).all():
        return numbers, False, 0
    dates = [_date(word) for word in words]
    without_zone = sum(date is not None and date.tzinfo is None for date in dates)
    seconds = [
        np.nan if date is None else (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() for date in dates
    ]
    return np.array(seconds), True, without_zone


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


_EXIF_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) ")


def _date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(_EXIF_DATE.sub(r"\1-\2-\3 ", text))
    except ValueError:
        return None


def full_circles(side: TableCameras, fov_deg: float) -> TableCameras:
    """The panoramas as full circles, which look everywhere, so that their heading only has to be one."""
    if not side.panorama.any():
        return side
    heading = np.where(side.panorama & np.isnan(side.heading_deg), 0.0, side.heading_deg)
    fov = np.where(side.panorama, fov_deg, np.nan if side.fov_deg is None else side.fov_deg)
    number = int(side.panorama.sum())
    what = several(number, "panorama is labelled as a full circle", "panoramas are labelled as full circles")
    note = f"{side.path.name}: {what}"
    none = np.zeros(len(side.key), bool)
    return replace(side, heading_deg=heading, fov_deg=fov, panorama=none, notes=(*side.notes, note))


def _heights(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]
) -> tuple[FloatArray | None, tuple[str, ...]]:
    """(n,) NaN where a height is unknown, or None if there are none; and a note on filler values."""
    if "up" not in table:
        return None, ()
    up = _finite(file, columns, table, "up")
    unknown = fillers.height_fillers(up)
    shown = ", ".join(f"{value:.6g}" for value in np.unique(up[unknown]))
    notes = (f"{file.path.name}: {int(unknown.sum()):,} heights are {shown}, which stands for an unknown height",)
    return np.where(unknown, np.nan, up), notes if shown else ()


def _place(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]], *, degrees: bool
) -> FloatArray:
    roles = ("lon", "lat") if degrees else ("x", "y")
    place = np.column_stack([table[role] for role in roles])
    endless = np.flatnonzero(np.isinf(place).any(axis=1))
    if endless.size:
        _fail(file, endless[0], columns, roles, f"{place[endless[0]].tolist()} is not a position")
    half = np.flatnonzero(np.isnan(place[:, 0]) != np.isnan(place[:, 1]))
    if half.size:
        _fail(file, half[0], columns, roles, "one of them is empty; give both, or neither if the position is unknown")
    if not degrees:
        return place
    with np.errstate(invalid="ignore"):
        outside = (np.abs(place[:, 1]) > 90.0) | (place[:, 0] < -180.0) | (place[:, 0] > 360.0)
    off = np.flatnonzero(outside & ~fillers.place_fillers(place))  # fillers become cameras without a position
    if off.size:
        lon, lat = place[off[0]]
        swapped = abs(lat) > 90.0 >= abs(lon)
        hint = (
            f"are the two swapped? --columns lon={columns['lat']},lat={columns['lon']}"
            if swapped
            else "if these are metres: --columns x=NAME,y=NAME"
        )
        why = f"lon {lon:g}, lat {lat:g} is not a position on earth ({off.size:,} row(s)); {hint}"
        _fail(file, off[0], columns, roles, why)
    place[:, 0] = np.where((place[:, 0] > 180.0) & ~outside, place[:, 0] - 360.0, place[:, 0])
    return place


def _fail(file: TableFile, row: int, columns: Mapping[str, str], roles: tuple[str, ...], why: str) -> None:
    names = " and ".join(repr(columns[role]) for role in roles)
    raise InputError(f"{file.path}: {file.location(int(row))}, column {names}: {why}")


def _finite(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]], role: str
) -> FloatArray:
    values: FloatArray = table[role]
    endless = np.flatnonzero(np.isinf(values))
    if endless.size:
        _fail(
            file, endless[0], columns, (role,), f"{values[endless[0]]} is not a {role}; leave it empty if it is unknown"
        )
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
        why = f"{shown}; every row needs a {role} above 0{upper}, or remove the column from the table"
        _fail(file, bad[0], columns, (role,), why)
    return values


def _sigmas(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[Any]]:
    sigmas: dict[str, npt.NDArray[Any]] = {}
    for role, name in (("heading_sigma", "heading_sigma_deg"), ("position_sigma", "position_sigma_m")):
        if role in table:
            values = table[role]
            bad = np.flatnonzero((values < 0.0) | np.isinf(values))
            if bad.size:
                why = f"{values[bad[0]]:g} is not a standard deviation; give 0 if the value is exact"
                _fail(file, bad[0], columns, (role,), why)
            sigmas[name] = values
    return sigmas


def _crs(file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """The reference system that the table names, after a check that it names only one and is in one zone."""
    for role in ("crs", "zone"):
        if role in table and len(table[role]):
            file.check_single_value(
                columns[role],
                table[role],
                "metres of {count} maps cannot be compared; name lon and lat instead (--columns lon=NAME,lat=NAME), "
                "or label each map separately",
            )
    if "crs" not in table or not len(table["crs"]) or not table["crs"][0]:
        return None
    text = str(table["crs"][0]).strip()
    code = _EPSG.fullmatch(text)
    return f"EPSG:{code[1]}" if code else text


_EPSG = re.compile(r"(?:epsg:)?(\d+)", re.IGNORECASE)


def _zone(columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """The zone that all rows have, and None if none is named."""
    return (str(table["zone"][0]).strip() or None) if "zone" in columns and len(table["zone"]) else None
