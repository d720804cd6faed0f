"""The roles of the columns of a table: by their usual names, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from relabel.errors import InputError, OptionError
from relabel.keys import nfc

USUAL: dict[str, tuple[str, ...]] = {
    "key": (
        "key",
        "id",
        "name",
        "image",
        "path",
        "filename",
        "image_path",
        "image_name",
        "image_id",
        "photo",
        "img",
        "file",
        "source_file",
    ),
    "x": ("x", "easting", "east", "utm_east", "utm_easting", "utm_x"),
    "y": ("y", "northing", "north", "utm_north", "utm_northing", "utm_y"),
    "lon": ("lon", "longitude", "lng", "lon_deg", "longitude_deg", "gps_longitude", "gps_lon"),
    "lat": ("lat", "latitude", "lat_deg", "latitude_deg", "gps_latitude", "gps_lat"),
    "up": ("up", "z", "alt", "altitude", "elevation", "up_m", "altitude_m", "elevation_m", "gps_altitude"),
    "heading": (
        *("heading", "heading_deg", "northdeg", "compass", "compass_angle", "ca", "yaw", "yaw_deg"),
        *("bearing", "bearing_deg", "azimuth", "azimuth_deg", "course", "gps_img_direction"),
    ),
    "fov": ("fov", "fov_deg", "hfov", "hfov_deg"),
    "pano": ("pano", "is_pano", "panorama", "is_panorama"),
    "camera_type": ("camera_type", "projection_type"),
    "radius": ("radius", "radius_m"),
    "heading_sigma": ("heading_sigma", "heading_sigma_deg"),
    "position_sigma": ("position_sigma", "position_sigma_m"),
    "crs": ("crs", "epsg"),
    "zone": ("zone", "utm_zone"),
    "sequence": ("sequence", "sequence_key"),
    "frame": ("frame", "frame_number"),
    "time": ("time", "timestamp", "captured_at", "datetime"),
}
"""Names of columns by role; see `_plain` for how they are compared. The first is the role itself, and takes
precedence."""
ROLES = tuple(USUAL)
_LONGEST_HEADER = 500  # characters of it in an error
TEXT = ("key", "crs", "zone", "sequence", "pano", "camera_type", "time")
"""Roles whose cells are text; all others are numbers."""


def parse(text: str) -> dict[str, str]:
    """Columns by role, from ``key=id,heading=northdeg``.

    Raises
    ------
    OptionError
        when a part is not of that form, or a role is not known or given twice.
    """
    columns: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise OptionError(f"--columns {part!r}: expected ROLE=COLUMN, as in key=id,heading=northdeg")
        if role not in ROLES:
            raise OptionError(f"--columns {part!r}: there is no role {role!r}; roles are {', '.join(ROLES)}")
        if role in columns:
            raise OptionError(f"--columns: {role} is given twice, as {columns[role]!r} and {column!r}")
        columns[role] = column
    return columns


def choose(
    path: Path, header: Iterable[str], explicit: Mapping[str, str], *, in_crs: bool, needs_heading: bool = True
) -> dict[str, str]:
    """The column of each role that exists: the `explicit` one of the user, otherwise one with a usual name.

    If a table has both x, y and lon, lat and the user names neither, x and y are taken if they are in a known
    reference system (`in_crs`), otherwise lon and lat. Without `needs_heading` no column has that role, and one may
    have the role of time.

    Raises
    ------
    InputError
        when two columns could have one role, or key, position or heading is missing; the message says how to name it.
    """
    names = list(header)
    explicit = {role: _as_written(column, names) for role, column in explicit.items()}
    columns = usual_columns(path, names, explicit, advice="set it with --columns {role}={column}")
    there = ", ".join(name for name in names if name) or "no named column"
    if "key" not in columns and there.startswith(("{", "[")):
        raise InputError(f"{path}: looks like JSON; expected a CSV or Parquet table")
    if "key" not in columns and there.startswith("<"):
        raise InputError(
            f"{path}: is XML, as it seems; a CSV or Parquet table was expected. Write a GPX or KML track as CSV with a "
            "row for each image: its name, latitude, longitude and time"
        )
    if len(there) > _LONGEST_HEADER:
        there = f"{there[:_LONGEST_HEADER]}… ({len(names)} in all)"
    marks = " (cells are separated by commas, semicolons or tabs)" if len(names) == 1 else ""
    missing = _missing(columns, needs_heading=needs_heading)
    if len(missing) > 1:
        *others, last = missing
        raise InputError(
            f"{path}: there is no {', no '.join(others)} and no {last}, only {there}{marks}; name them with "
            f"--columns {','.join(missing.values())}"
            + (" (x and y in metres, or lon=NAME,lat=NAME in degrees)" if "position" in missing else "")
        )
    if "key" not in columns:
        raise InputError(f"{path}: there is no column of keys, only {there}{marks}; name it with --columns key=NAME")
    _drop_other_position(path, columns, explicit, there, in_crs=in_crs)
    if not needs_heading:
        columns.pop("heading", None)
        keyed = {role: column for role, column in explicit.items() if role != "key"}  # a key may be a time
        time = explicit.get("time") or _usual(path, names, "time", keyed, "set it with --columns {role}={column}")
        columns |= {"time": time} if time else {}
        return columns
    if "time" in explicit:
        columns["time"] = explicit["time"]
    if "heading" not in columns:
        raise InputError(
            f"{path}: there is no column of headings, only {there}; name it with --columns heading=NAME (degrees "
            "clockwise from north), or use the direction of travel with --heading travel. Trajectories with full "
            "poses give headings with --layout kitti, kitti360, tum, colmap or robotcar"
        )
    return columns


def _missing(columns: Mapping[str, str], *, needs_heading: bool) -> dict[str, str]:
    """The roles that a table lacks altogether, in words, each with the value of --columns that names it."""
    missing = {}
    if "key" not in columns:
        missing["column of keys"] = "key=NAME"
    if not columns.keys() & {"x", "y", "lon", "lat"}:
        missing["position"] = "x=NAME,y=NAME"
    if needs_heading and "heading" not in columns:
        missing["column of headings"] = "heading=NAME"
    return missing


def usual_columns(
    path: Path, names: list[str], explicit: Mapping[str, str] | None = None, *, advice: str = "rename the others"
) -> dict[str, str]:
    """The column of each role that exists: the `explicit` one, otherwise one with a usual name.

    Raises
    ------
    InputError
        when two columns could have one role; the message ends with the `advice`, with ``{role}`` and ``{column}``
        filled in.
    """
    chosen = explicit or {}
    # Times are only looked for if they matter, which `choose` decides.
    columns = {role: chosen.get(role) or _usual(path, names, role, chosen, advice) for role in ROLES if role != "time"}
    return {role: name for role, name in columns.items() if name}


def _as_written(column: str, names: list[str]) -> str:
    """The name in the header that equals this one, possibly in another form of Unicode."""
    return next((name for name in names if nfc(name) == nfc(column)), column) if column not in names else column


def _plain(name: str) -> str:
    """A name of a column in lower case, without blanks, underscores and hyphens: UTM_x, UTMx and utm x are the same."""
    return re.sub(r"[\s_-]", "", name.lower())


def _usual(path: Path, names: list[str], role: str, explicit: Mapping[str, str], advice: str) -> str | None:
    taken = set(explicit.values())
    known = {_plain(name) for name in USUAL[role]}
    usual = [name for name in names if _plain(name) in known and name not in taken]
    exact = [name for name in usual if _plain(name) == _plain(role)]
    usual = exact or usual
    if len(set(usual)) > 1:
        raise InputError(
            f"{path}: which column is the {role} is ambiguous: {', '.join(usual)}; "
            + advice.format(role=role, column=usual[0])
        )
    return usual[0] if usual else None


def _drop_other_position(
    path: Path, columns: dict[str, str], explicit: Mapping[str, str], there: str, *, in_crs: bool
) -> None:
    """Leave one of x, y and lon, lat in `columns`."""
    for first, second in (("x", "y"), ("lon", "lat")):
        asked = [role for role in (first, second) if role in explicit]
        lonely = [role for role in (first, second) if role in columns]
        if len(asked) == 1 and len(lonely) == 1:
            missing = second if lonely == [first] else first
            raise InputError(
                f"{path}: there is a column of {lonely[0]} ({columns[lonely[0]]}) but none of {missing}, only {there}; "
                f"name it with --columns {missing}=NAME"
            )
    plane, globe = ({role for role in pair if role in columns} for pair in (("x", "y"), ("lon", "lat")))
    if len(plane) < 2 and len(globe) < 2:
        half = f"; {columns[next(iter(plane | globe))]} alone is half of one" if plane | globe else ""
        raise InputError(
            f"{path}: there is no position, only {there}{half}. Name it with --columns x=NAME,y=NAME (metres) or "
            "--columns lon=NAME,lat=NAME (degrees)"
        )
    asked_plane, asked_globe = "x" in explicit or "y" in explicit, "lon" in explicit or "lat" in explicit
    if asked_plane and asked_globe:
        raise InputError(f"{path}: --columns names both x, y and lon, lat; give only one of them")
    prefer_plane = len(globe) < 2 or (len(plane) == 2 and (asked_plane or (in_crs and not asked_globe)))
    for role in ("lon", "lat") if prefer_plane else ("x", "y", "crs", "zone"):
        columns.pop(role, None)
