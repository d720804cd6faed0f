"""Which column of a table means what: by the names that are usual, or as the user says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from relabel.errors import InputError, OptionError

USUAL: dict[str, tuple[str, ...]] = {
    "key": ("key", "id", "name", "image", "path", "filename", "image_path", "image_name", "image_id"),
    "x": ("x", "easting", "east", "utm_east", "utm_x"),
    "y": ("y", "northing", "north", "utm_north", "utm_y"),
    "lon": ("lon", "longitude", "lng", "lon_deg"),
    "lat": ("lat", "latitude", "lat_deg"),
    "heading": ("heading", "heading_deg", "northdeg", "compass", "compass_angle", "ca", "yaw", "yaw_deg"),
    "fov": ("fov", "fov_deg"),
    "radius": ("radius", "radius_m"),
    "heading_sigma": ("heading_sigma", "heading_sigma_deg"),
    "position_sigma": ("position_sigma", "position_sigma_m"),
    "crs": ("crs", "epsg"),
    "zone": ("zone", "utm_zone"),
    "sequence": ("sequence", "sequence_key"),
    "frame": ("frame", "frame_number"),
}
"""Names of columns, in small letters, by what they mean. The first is the role itself, and goes before the others."""
ROLES = tuple(USUAL)
TEXT = ("key", "crs", "zone", "sequence")
"""Roles whose cells are text; all others are numbers."""


def parse(text: str) -> dict[str, str]:
    """Columns by role, from ``key=id,heading=northdeg``.

    Raises
    ------
    OptionError
        when a part is not of that form, or a role is not known or given twice.
    """
    chosen: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column:
            raise OptionError(f"--columns {part!r}: expected ROLE=COLUMN, as in key=id,heading=northdeg")
        if role not in ROLES:
            raise OptionError(f"--columns {part!r}: there is no role {role!r}; roles are {', '.join(ROLES)}")
        if role in chosen:
            raise OptionError(f"--columns: {role} is given twice, as {chosen[role]!r} and {column!r}")
        chosen[role] = column
    return chosen


def choose(path: Path, header: Iterable[str], chosen: Mapping[str, str], *, in_crs: bool) -> dict[str, str]:
    """The column of each role that is there, the user's choice before the usual names.

    Where a table has both x, y and lon, lat and the user names neither, x and y are taken if they are in a known
    reference system (`in_crs`), else lon and lat.

    Raises
    ------
    InputError
        when two columns could have one role, or key, position or heading is missing; says how to name it.
    """
    names = list(header)
    found = {role: name for role in ROLES if (name := chosen.get(role) or _usual(path, names, role, chosen))}
    there = ", ".join(name for name in names if name) or "no named column"
    if "key" not in found:
        raise InputError(f"{path}: there is no column of keys, only {there}; name it with --columns key=NAME")
    _position(path, found, chosen, there, in_crs=in_crs)
    if "heading" not in found:
        raise InputError(
            f"{path}: there is no column of headings, only {there}; name it with --columns heading=NAME (degrees "
            "clockwise from north). Trajectories with full poses give headings with --layout kitti, tum, colmap or "
            "robotcar"
        )
    return found


def _usual(path: Path, names: list[str], role: str, chosen: Mapping[str, str]) -> str | None:
    taken = set(chosen.values())
    usual = [name for name in names if name.strip().lower() in USUAL[role] and name not in taken]
    exact = [name for name in usual if name.strip().lower() == role]
    usual = exact or usual
    if len(usual) > 1:
        raise InputError(
            f"{path}: which column is the {role} cannot be told: {', '.join(usual)}; say it with --columns "
            f"{role}={usual[0]}"
        )
    return usual[0] if usual else None


def _position(path: Path, found: dict[str, str], chosen: Mapping[str, str], there: str, *, in_crs: bool) -> None:
    """Leave one of x, y and lon, lat in what was found."""
    for one, other in (("x", "y"), ("lon", "lat")):
        asked = [role for role in (one, other) if role in chosen]
        lonely = [role for role in (one, other) if role in found]
        if len(asked) == 1 and len(lonely) == 1:
            missing = other if lonely == [one] else one
            raise InputError(
                f"{path}: there is a column of {lonely[0]} ({found[lonely[0]]}) but none of {missing}, only {there}; "
                f"name it with --columns {missing}=NAME"
            )
    plane, globe = ({role for role in pair if role in found} for pair in (("x", "y"), ("lon", "lat")))
    if len(plane) < 2 and len(globe) < 2:
        half = f"; {found[next(iter(plane | globe))]} alone is half of one" if plane | globe else ""
        raise InputError(
            f"{path}: there is no position, only {there}{half}. Name it with --columns x=NAME,y=NAME (metres) or "
            "--columns lon=NAME,lat=NAME (degrees)"
        )
    asked_plane, asked_globe = "x" in chosen or "y" in chosen, "lon" in chosen or "lat" in chosen
    if asked_plane and asked_globe:
        raise InputError(f"{path}: --columns names both x, y and lon, lat; a camera has one position")
    prefer_plane = len(globe) < 2 or (len(plane) == 2 and (asked_plane or (in_crs and not asked_globe)))
    for role in ("lon", "lat") if prefer_plane else ("x", "y", "crs", "zone"):
        found.pop(role, None)
