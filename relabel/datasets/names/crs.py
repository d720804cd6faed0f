"""The frame of the positions of `@` names: the UTM zone in the names, or none, or several.

Headings of names count from true north. So if names give a location on earth, they are compared there, in one zone or
in several; on the map of a zone, whose north is up to 3° off, the label of a pair would depend on the other images.
If nothing locates the metres on earth, north is taken to be along their second axis.

Southern positions occur in two conventions: with the false northing of 10,000,000 m of the usual UTM, and without it,
with negative northings. The sign tells which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relabel.datasets.doubts import Doubt
from relabel.datasets.fillers import keys_of
from relabel.datasets.image_lists import NameList
from relabel.datasets.names.fields import AtNames, FloatArray
from relabel.display import several
from relabel.errors import InputError
from relabel.geometry.projection import map_of, project, signed_utm, unproject, utm_crs

UNKNOWN = "local"
_SIGNED, _FALSE_NORTHING, _UNKNOWN_SIDE = range(3)
_SAMPLE = 1000
_FAR_M = 50.0
_EARTH_M = 6_371_000.0
_WIDEST_EAST_M, _FARTHEST_NORTH_M = 1e6, 1e7


@dataclass(frozen=True)
class Frame:
    """The frame of the positions.

    Attributes
    ----------
    crs:
        a text that PROJ reads, or ``local``.
    notes:
        what the user should know about the frame.
    doubts:
        contradictions between longitudes and latitudes and the metres.
    geographic:
        (n, 2) longitude and latitude in degrees of each side, NaN where there is no position; None if it is not
        known where on earth the metres are.
    own_metres:
        whether the metres of all names are in that frame, rather than in several frames or in none.
    """

    crs: str
    notes: tuple[str, ...] = ()
    geographic: tuple[FloatArray, ...] | None = None
    own_metres: bool = True
    doubts: tuple[Doubt, ...] = ()

    @property
    def north(self) -> str:
        """What headings count from, as recorded."""
        return "true" if self.geographic is not None else "second axis of the metres"


def shared_frame(sides: tuple[tuple[NameList, AtNames], ...]) -> Frame:
    """The frame that all names of all sides share.

    Without a zone in any name it is ``local``, unless all have latitudes and longitudes, which are then the
    positions. If there are both, a sample of latitudes and longitudes is compared with the metres; if they disagree
    by more than 50 m, the frame is ``local``, so that its name is true.

    Names in several zones get a map that shows all of them, and longitudes and latitudes: from metres and zone, which
    give them to the centimetre, or as written if there is no zone.

    Raises
    ------
    InputError
        when there are several frames, and a name does not say enough to combine them.
    """
    for names, fields in sides:
        _check_utm(names, fields)
    frames = [_frames(fields) for _, fields in sides]
    first: dict[int, tuple[int, int]] = {}
    for number, codes in enumerate(frames):
        values, rows = np.unique(codes, return_index=True)
        for code, row in zip(values.tolist(), rows.tolist(), strict=True):
            if code >= 0:
                first.setdefault(code, (number, row))
    if not first:
        return Frame(UNKNOWN)
    if len(first) > 1:
        degrees = tuple(_degrees(fields, codes) for (_, fields), codes in zip(sides, frames, strict=True))
        if all(np.isfinite(d[codes >= 0]).all() for d, codes in zip(degrees, frames, strict=True)):
            return _together(sides, degrees, len(first))
        shown = "; ".join(
            f"{sides[side][0].location(row)} is {_described(code)}"
            for code, (side, row) in sorted(first.items(), key=lambda entry: entry[1])
        )
        raise InputError(
            f"positions are in {len(first)} frames, not all of them located on earth: {shown}. Write zone and letter, "
            "or latitude and longitude, into all names, or label each frame separately"
        )
    ((zone, kind),) = (divmod(code, 3) for code in first)
    if zone == 0:
        degrees = tuple(_degrees(fields, codes) for (_, fields), codes in zip(sides, frames, strict=True))
        if not all(np.isfinite(d[codes >= 0]).all() for d, codes in zip(degrees, frames, strict=True)):
            return Frame(UNKNOWN)
        lon, lat = np.concatenate(degrees).T
        note = "names give no zone; their latitudes and longitudes are used as positions"
        return Frame(map_of(lon, lat), (note,), degrees, own_metres=False)
    if kind == _UNKNOWN_SIDE:
        return Frame(UNKNOWN, (f"names give zone {zone}, but not the hemisphere: frame {UNKNOWN!r}",))
    south = any(bool((_south(fields)[codes >= 0] == 1).any()) for (_, fields), codes in zip(sides, frames, strict=True))
    crs = _crs(zone, kind, south=south)
    columns = [np.column_stack([fields.position, fields.lon_deg, fields.lat_deg]) for _, fields in sides]
    contradiction = _contradiction(crs, np.concatenate(columns))
    if contradiction is not None:
        return Frame(UNKNOWN, doubts=(contradiction,))
    return Frame(crs, (), tuple(_degrees(fields, codes) for (_, fields), codes in zip(sides, frames, strict=True)))


def _check_utm(names: NameList, fields: AtNames) -> None:
    """Raise InputError if a name with a zone has metres outside any UTM zone; it names the first."""
    east, north = fields.position.T
    with np.errstate(invalid="ignore"):
        outside = (east < 0.0) | (east > _WIDEST_EAST_M) | (np.abs(north) > _FARTHEST_NORTH_M)
    row = next(iter(np.flatnonzero((fields.zone > 0) & outside).tolist()), None)
    if row is not None:
        raise InputError(
            f"{names.location(row)}: east {east[row]:.2f}, north {north[row]:.2f} is not a position in a UTM zone, "
            f"where east is between 0 and {_WIDEST_EAST_M:,.0f} m and north at most {_FARTHEST_NORTH_M:,.0f} m; are "
            "the two "
            "swapped? Names with metres on another map must not give a zone"
        )


def _contradiction(crs: str, table: npt.NDArray[np.float64]) -> Doubt | None:
    """How longitudes and latitudes (columns 2 and 3) contradict metres in `crs`; None if they agree."""
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) == 0:
        return None
    table = table[np.unique(np.linspace(0, len(table) - 1, _SAMPLE).astype(np.int64))]
    off = np.hypot(*(project(table[:, 2], table[:, 3], crs) - table[:, :2]).T)
    off_m = float(np.median(np.where(np.isnan(off), np.inf, off)))
    if off_m <= _FAR_M:
        return None
    by = f"by {off_m:,.0f} m" if np.isfinite(off_m) else "altogether"
    return _disagreement(
        int((~(off <= _FAR_M)).sum()),
        len(table),
        f"metres and degrees in the names disagree {by} in {crs}; the metres are used, with north along their second "
        f"axis, and the frame is recorded as {UNKNOWN!r}",
    )


def _disagreement(number: int, names: int, seen: str, keys: tuple[str, ...] = ()) -> Doubt:
    return Doubt(
        "positions-disagree",
        number,
        names,
        seen,
        "lat and lon are swapped, or the zone is wrong",
        "correct the names, or remove latitude and longitude from them",
        keys,
    )


def _together(sides: tuple[tuple[NameList, AtNames], ...], degrees: tuple[FloatArray, ...], count: int) -> Frame:
    """The frame of names in several zones."""
    notes = (f"names are in {count} frames (UTM zones); they are compared by longitude and latitude",)
    doubts = []
    for (names, fields), from_metres in zip(sides, degrees, strict=True):
        written = np.column_stack([fields.lon_deg, fields.lat_deg])
        # A degree of longitude is shorter than one of latitude, but where it matters 50 m are 50 m.
        apart_m = np.radians(from_metres - written) * _EARTH_M
        apart_m[:, 0] = (np.mod(apart_m[:, 0] + np.pi * _EARTH_M, 2.0 * np.pi * _EARTH_M) - np.pi * _EARTH_M) * np.cos(
            np.radians(from_metres[:, 1])
        )
        far = np.flatnonzero(np.hypot(*apart_m.T) > _FAR_M)
        if far.size:
            seen = (
                f"metres and degrees disagree by more than {_FAR_M:.0f} m in {several(far.size, 'name')}"
                f" of {names.path.name}, "
                f"first in {str(names.names[far[0]])!r}; the metres and the zone are used"
            )
            doubts.append(_disagreement(int(far.size), len(fields.position), seen, keys_of(names.names, far)))
    lon, lat = np.concatenate(degrees).T
    return Frame(map_of(lon, lat), notes, degrees, own_metres=False, doubts=tuple(doubts))


def _degrees(fields: AtNames, codes: npt.NDArray[np.int64]) -> FloatArray:
    """(n, 2) longitude and latitude; NaN where neither zone nor name gives them, or there is no position."""
    degrees = np.column_stack([fields.lon_deg, fields.lat_deg])
    for code in np.unique(codes[codes >= 0]).tolist():
        zone, kind = divmod(code, 3)
        if zone and kind != _UNKNOWN_SIDE:
            rows = codes == code
            degrees[rows] = unproject(fields.position[rows, 0], fields.position[rows, 1], _crs(zone, kind, south=True))
    degrees[codes < 0] = np.nan
    return degrees


def _crs(zone: int, kind: int, *, south: bool) -> str:
    return utm_crs(zone, south=True) if kind == _FALSE_NORTHING else signed_utm(zone, south=south)


def _south(fields: AtNames) -> npt.NDArray[np.int64]:
    """(n,) 1 south of the equator, 0 north of it, -1 where neither is given; a latitude is more reliable than a letter.

    Some write N and S for the hemisphere, where S is also a band of the north.
    """
    by_letter = np.where(fields.letter == "", -1, (fields.letter < "N").astype(np.int64))
    return np.where(np.isfinite(fields.lat_deg), (fields.lat_deg < 0.0).astype(np.int64), by_letter)


def _frames(fields: AtNames) -> npt.NDArray[np.int64]:
    """(n,) a number for zone and convention, 3 · zone + kind; -1 where there is no position."""
    south = _south(fields)
    north_m = fields.position[:, 1]
    kind = np.where(south == -1, _UNKNOWN_SIDE, np.where((south == 1) & (north_m >= 0.0), _FALSE_NORTHING, _SIGNED))
    codes = np.where(fields.zone > 0, 3 * fields.zone + kind, 0)
    return np.where(np.isfinite(fields.position).all(axis=1), codes, -1)


def _described(code: int) -> str:
    zone, kind = divmod(code, 3)
    if zone == 0:
        return "without a zone"
    return (
        f"in zone {zone}"
        + {
            _SIGNED: "",
            _FALSE_NORTHING: " with the southern false northing",
            _UNKNOWN_SIDE: ", hemisphere unknown",
        }[kind]
    )
