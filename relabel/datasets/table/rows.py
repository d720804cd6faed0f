"""Tables and trajectories as a `CameraReader`: two files, or one for self pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.datasets import colmap_model, fillers, trajectory
from relabel.datasets.along_track import PLANE, AlongTrack
from relabel.datasets.base import CameraSets, common_root, fault_notes, heading_params, relative_path
from relabel.datasets.conventions import MAX_POSE_GAP_S, TABLE_SUFFIXES, TRAJECTORY_LAYOUTS, TrajectoryLayout
from relabel.datasets.image_times import check_gap
from relabel.datasets.registry import ReaderSelection
from relabel.datasets.table import gsv_cities
from relabel.datasets.table.columns import TEXT, Kind, TableFile, choose, parse
from relabel.datasets.table.spec import Layout
from relabel.errors import InputError, OptionError
from relabel.geometry.earth import axes, ecef
from relabel.geometry.projection import check_metric, map_of, project

_FAULT_TEXTS = {"wrapped": "headings outside [0°, 360°) were wrapped", "missing": "cameras have no heading"}
_HINT = "every camera needs a position and a heading; see `relabel table --help` for how columns are named"


@dataclass(frozen=True)
class TableReader:
    """Two tables of cameras, or one for self pairs, as the collection `name`; paths are recorded relative to `root`."""

    queries: Path
    database: Path | None
    name: str
    root: Path
    columns: tuple[tuple[str, str], ...] = ()
    """column by role, where it is not to be guessed"""
    crs: str | None = None
    layout: Layout | None = None
    axis: str | None = None
    up: str | None = None
    image_times: tuple[Path, ...] = ()
    """time stamps of the images of each trajectory, whose poses lie between those of the file"""
    max_gap_s: float = MAX_POSE_GAP_S
    along_track: AlongTrack | None = None
    """headings are the direction of travel"""
    panorama_deg: float | None = None
    """the field of view of panoramas, which have a status else"""
    command = "relabel table"

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, where the tables are, and what was said about them."""
        values: dict[str, Any] = {"collection": self.name, "queries": relative_path(self.queries, self.root)}
        if self.database is not None:
            values["database"] = relative_path(self.database, self.root)
        if self.columns:
            values["columns"] = dict(self.columns)
        if self.image_times:
            values["image_times"] = [relative_path(path, self.root) for path in self.image_times]
            values["max_gap_s"] = self.max_gap_s
        if self.along_track is not None:
            values["heading"] = "travel"
            values |= {"travel_step_m": self.along_track.step_m, "travel_gap_m": self.along_track.gap_m}
        options = {"crs": self.crs, "layout": self.layout, "axis": self.axis, "up": self.up}
        if self.panorama_deg is not None:
            values["panorama_deg"] = self.panorama_deg
        return values | {name: value for name, value in options.items() if value is not None}

    @classmethod
    def from_parameters(cls, parameters: dict[str, Any], root: Path) -> TableReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError
            when one is missing.
        """
        queries, database = parameters.pop("queries"), parameters.pop("database", None)
        along_track = None
        if parameters.pop("heading", None) is not None:
            along_track = AlongTrack(parameters.pop("travel_step_m"), parameters.pop("travel_gap_m"))
        return cls(
            root / queries,
            None if database is None else root / database,
            parameters.pop("collection"),
            root,
            tuple(parameters.pop("columns", {}).items()),
            **{name: parameters.pop(name, None) for name in ("crs", "layout", "axis", "up")},
            image_times=tuple(root / path for path in parameters.pop("image_times", ())),
            max_gap_s=parameters.pop("max_gap_s", MAX_POSE_GAP_S),
            along_track=along_track,
            panorama_deg=parameters.pop("panorama_deg", None),
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """The tables, one for self pairs."""
        return (self.queries,) if self.database is None else (self.queries, self.database)

    def read(self) -> CameraSets:
        """The cameras of both tables.

        Raises
        ------
        OptionError
            when an option cannot be, or does not go with the layout.
        InputError
            when a table or the two together cannot be labelled; the message names file, line and column.
        """
        if self.layout in TRAJECTORY_LAYOUTS:
            return self._trajectories(self.layout)
        for option, value in (("--axis", self.axis), ("--up", self.up)):
            if value is not None:
                raise OptionError(f"{option} is for poses; it needs --layout {', '.join(TRAJECTORY_LAYOUTS)}")
        if self.image_times:
            raise OptionError("--image-times is for poses of RobotCar; it needs --layout robotcar")
        return self._tables()

    def _trajectories(self, layout: TrajectoryLayout) -> CameraSets:
        if self.columns:
            raise OptionError(f"--columns is for tables; {layout} has its columns fixed")
        if self.panorama_deg is not None:
            raise OptionError("--panorama is for tables; trajectories do not say what is a panorama")
        own = trajectory.axes_of(layout, up=self.up, ahead=self.axis)
        if self.crs is not None:
            check_metric(self.crs)
        tracks = [
            trajectory.read(path, layout, own, times=times, max_gap_s=self.max_gap_s, along_track=self.along_track)
            for path, times in zip(self.files, self._image_times(layout), strict=True)
        ]
        if len({cameras.crs for cameras, _ in tracks}) > 1:
            raise InputError(
                f"{self.queries} is in {tracks[0][0].crs}, {self.database} in {tracks[1][0].crs}: metres of two maps "
                "cannot be compared"
            )
        sides = [_in_crs(cameras, self.crs) for cameras, _ in tracks]
        axis = "axis ahead" if own.ahead == trajectory.OWN else f"axis {own.ahead}"
        ahead = "their track" if self.along_track is not None else f"their {axis}"
        notes = [f"{layout}: cameras look along {ahead}, and {own.up} is up"]
        notes += dict.fromkeys(
            f"{path.name}: {note}" for path, (_, own) in zip(self.files, tracks, strict=True) for note in own
        )
        if len(sides) > 1 and sides[0].crs == "local":
            notes.append("both files are taken to be in one frame; trajectories that were made apart are not")
        heading = "travel" if self.along_track is not None else f"{axis} of the poses"
        params = {"heading": heading, "layout": layout, "up": own.up}
        return replace(self._camera_sets(sides, params, notes), files=(*self._pose_files(layout), *self.image_times))

    def _pose_files(self, layout: TrajectoryLayout) -> tuple[Path, ...]:
        """The files that the poses are in, which a model of COLMAP has several of."""
        if layout != "colmap":
            return self.files
        return tuple(dict.fromkeys(path for model in self.files for path in colmap_model.pose_files(model)))

    def _image_times(self, layout: TrajectoryLayout) -> tuple[Path | None, ...]:
        """The file of time stamps for each trajectory, or None."""
        if not self.image_times:
            return (None,) * len(self.files)
        if layout != "robotcar":
            raise OptionError(
                f"--image-times is for RobotCar, not for {layout}, whose poses are not known by microseconds"
            )
        if len(self.image_times) != len(self.files):
            raise OptionError(
                f"--image-times is given {len(self.image_times)} times, for {len(self.files)} trajectories; give one "
                "for each, that of QUERIES first"
            )
        check_gap(self.max_gap_s)
        return self.image_times

    def _tables(self) -> CameraSets:
        if self.crs is not None:
            check_metric(self.crs)
        gsv = {None: None, "gsv": True}.get(self.layout, False)
        if self.along_track is not None and "heading" in dict(self.columns):
            raise OptionError("--columns names a heading, and --heading travel takes another one; drop one of them")
        if self.panorama_deg not in (None, 360.0):
            raise OptionError(f"--panorama {self.panorama_deg:g}: panoramas are full circles, 360")
        sides = [
            read_cameras(
                path,
                dict(self.columns),
                gsv=gsv,
                in_crs=self.crs is not None,
                needs_heading=self.along_track is None,
            )
            for path in self.files
        ]
        if len({side.degrees for side in sides}) > 1:
            shown = [f"{side.path} has {'lon, lat' if side.degrees else 'x, y'}" for side in sides]
            raise InputError(
                f"{' and '.join(shown)}: bring both into one; --columns names the columns to take (lon=NAME,lat=NAME)"
            )
        sides, replaced = _without_fillers(sides)
        if self.along_track is not None:
            sides = [_looking_along(side, self.along_track, self.crs) for side in sides]
        if self.panorama_deg is not None:
            sides = [_full_circles(side, self.panorama_deg) for side in sides]
        notes = [note for side in sides for note in side.notes]
        geographic = None
        if sides[0].degrees:
            lon, lat = np.concatenate([side.place for side in sides]).T
            crs = self.crs or map_of(lon, lat)
            positions = [_projected(side, crs) for side in sides]
            if self.crs is None:
                geographic = (sides[0].place, sides[-1].place)
            else:
                notes.append(f"places are compared on the map {crs}; headings are taken to count from its north")
        else:
            crs = self._crs_of(sides)
            positions = [side.place for side in sides]
        cameras = [
            Cameras(
                side.key,
                position if side.up is None else np.column_stack([position, side.up]),
                status=np.where(side.panorama, Status.PANORAMA, Status.OK),
                heading_deg=side.heading_deg,
                fov_deg=side.fov_deg,
                radius_m=side.radius_m,
                crs=crs,
                extra=side.extra,
            )
            for side, position in zip(sides, positions, strict=True)
        ]
        notes += [
            f"{side.path.name}: {int(side.panorama.sum()):,} panoramas are not labelled; --panorama 360 takes them for "
            "full circles"
            for side in sides
            if side.panorama.any()
        ]
        faults = {"wrapped": sum(_outside(side) for side in sides)}
        faults["missing"] = sum(int((side.status == Status.NO_HEADING).sum()) for side in cameras)
        faults = {name: count for name, count in faults.items() if count}
        notes += fault_notes(faults, _FAULT_TEXTS)
        heading = "table" if self.along_track is None else "travel"
        params = heading_params({"heading": heading, "columns": _columns_of(sides)}, faults)
        return self._camera_sets(cameras, params, notes, replaced, geographic)

    def _crs_of(self, sides: list[TableCameras]) -> str:
        """The reference system of x and y: as the user or the tables name it."""
        named = {side.crs: side.path for side in sides}
        if len(named) > 1:
            shown = ", ".join(f"{path} in {crs or 'none that it names'}" for crs, path in named.items())
            raise InputError(f"the tables are in two reference systems ({shown}); bring both into one")
        (own,) = named
        if own is not None and self.crs is not None and own != self.crs:
            raise InputError(
                f"{self.queries}: the table says that it is in {own}, --crs says {self.crs}; drop one of them"
            )
        if own is not None:
            check_metric(own)
        return self.crs or own or "local"

    def _camera_sets(
        self,
        sides: list[Cameras],
        params: Mapping[str, Any],
        notes: list[str],
        replaced: Sequence[fillers.Filler] = (),
        geographic: Any = None,
    ) -> CameraSets:
        for path, cameras in zip(self.files, sides, strict=True):
            lost = int((cameras.status == Status.NO_POSITION).sum())
            if lost:
                notes.append(f"{path.name}: {lost:,} cameras have no position")
        return CameraSets(
            query=sides[0],
            database=sides[-1],
            files=self.files,
            params=params,
            notes=tuple(notes),
            fillers=tuple(replaced),
            sources=(str(self.queries), str(self.database or self.queries)),
            hint=_HINT,
            geographic=geographic,
        )


def reader(
    queries: Path,
    database: Path | None = None,
    *,
    name: str | None = None,
    columns: Mapping[str, str] | None = None,
    crs: str | None = None,
    layout: Layout | None = None,
    axis: str | None = None,
    up: str | None = None,
    image_times: Sequence[Path] = (),
    max_gap_s: float = MAX_POSE_GAP_S,
    along_track: AlongTrack | None = None,
    panorama_deg: float | None = None,
) -> TableReader:
    """The reader of two tables; no database, or the same path twice, means self pairs.

    The collection is named after the file of self pairs, or after the folder that holds both, unless `name` is given.
    """
    if database is not None and database == queries:
        database = None
    root = common_root(path for path in (queries, database, *image_times) if path is not None)
    if name is None:
        name = queries.name.split(".")[0] if database is None else common_root([queries, database]).absolute().name
        name = name or "table"
    own = tuple((columns or {}).items())
    more = (tuple(image_times), max_gap_s, along_track, panorama_deg)
    return TableReader(queries, database, name, root, own, crs, layout, axis, up, *more)


def from_paths(
    paths: Sequence[Path], *, cities: str | None = None, columns: str | None = None
) -> ReaderSelection | None:
    """The table or tables; None where cities are chosen, or the paths are not named like tables and no columns are."""
    if cities is not None or len(paths) > 2 or (len(paths) == 1 and not paths[0].is_file()):
        return None
    if columns is None and not any(path.suffix.lower() in TABLE_SUFFIXES for path in paths):
        return None
    return ReaderSelection([reader(*paths, columns=None if columns is None else parse(columns))])


def _without_fillers(sides: Sequence[TableCameras]) -> tuple[list[TableCameras], list[fillers.Filler]]:
    """The cameras with NaN in the place of filler values, and what was replaced."""
    cleaned: list[TableCameras] = []
    replaced: list[fillers.Filler] = []
    places = [side.place for side in sides]
    at_zero = (
        [fillers.place_fillers(place) for place in places] if sides[0].degrees else fillers.position_fillers(places)
    )
    for side, no_place in zip(sides, at_zero, strict=True):
        unknown = fillers.heading_fillers(
            side.heading_deg, mapillary=fillers.is_mapillary(side.columns.get("heading", ""))
        )
        replaced += fillers.counted("heading", side.heading_deg, unknown, side.path.name)
        replaced += fillers.counted("position", side.place, no_place, side.path.name, shown="(0, 0)")
        cleaned.append(
            replace(
                side,
                heading_deg=np.where(unknown, np.nan, side.heading_deg),
                place=np.where(no_place[:, None], np.nan, side.place),
            )
        )
    return cleaned, replaced


def _outside(side: TableCameras) -> int:
    with np.errstate(invalid="ignore"):
        return int(((side.heading_deg < 0.0) | (side.heading_deg >= 360.0)).sum())


def _projected(side: TableCameras, crs: str) -> FloatArray:
    if crs == "local":  # there is no place to make a map of
        return np.full_like(side.place, np.nan)
    return project(side.place[:, 0], side.place[:, 1], crs)


def _columns_of(sides: list[TableCameras]) -> dict[str, Any]:
    """The columns of each role, once where both tables have the same."""
    first, last = (dict(side.columns) for side in (sides[0], sides[-1]))
    return first if first == last else {"queries": first, "database": last}


def _in_crs(cameras: Cameras, crs: str | None) -> Cameras:
    return cameras if crs is None else replace(cameras, crs=crs)


@dataclass(frozen=True, eq=False)
class TableCameras:
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
        (n,) as the table has them; NaN where there is none.
    panorama:
        (n,) whether the camera is a panorama, which is not labelled.
    fov_deg, radius_m:
        (n,) or None; a field of view is NaN where it is that of all cameras without their own.
    crs:
        the reference system that the table itself names, or None.
    extra:
        further columns by the name that cameras have them under.
    notes:
        what the user should know.
    up:
        (n,) height, metres, NaN where there is none; or None.
    time:
        (n,) in any unit, NaN where it cannot be read; or None.
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


def read_cameras(
    path: Path,
    explicit: Mapping[str, str],
    *,
    gsv: bool | None = None,
    in_crs: bool = False,
    needs_heading: bool = True,
) -> TableCameras:
    """The cameras of one CSV or Parquet file.

    Parameters
    ----------
    path:
        the file.
    explicit:
        columns by role that are not to be guessed.
    gsv:
        whether keys are made as GSV-Cities names its images; None: where the columns are those of GSV-Cities and no
        column of keys is explicit.
    in_crs:
        whether the user named the reference system of x and y.
    needs_heading:
        whether there has to be a column of headings; without it none is read.

    Raises
    ------
    InputError
        when the file, a column or a cell is not as it must be; the message names file, line and column.
    """
    file = TableFile(path)
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
    table = file.read({**kinds, **(gsv_cities.KINDS if gsv else {})})
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
    heading = _finite(file, columns, by_role, "heading") if "heading" in by_role else np.full(len(key), np.nan)
    return TableCameras(
        path,
        columns,
        key,
        place,
        degrees,
        heading,
        _panoramas(file, columns, by_role),
        _within(file, columns, by_role, "fov", 360.0),
        _within(file, columns, by_role, "radius", np.inf),
        _crs(file, columns, by_role),
        extra,
        _notes(path, columns),
        _finite(file, columns, by_role, "up") if "up" in by_role else None,
        _times(by_role["time"]) if "time" in by_role else None,
    )


_YES, _NO = ("true", "1", "1.0", "yes", "t", "y"), ("false", "0", "0.0", "no", "f", "n", "")


def _panoramas(
    file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]
) -> npt.NDArray[np.bool_]:
    """(n,) whether each camera is a panorama; an empty cell says no."""
    if "pano" not in table:
        return np.zeros(len(next(iter(table.values()))), bool)
    text = table["pano"]
    if text.dtype.kind == "f":
        text = np.where(np.isnan(text), "", text.astype(np.str_))
    text = np.strings.lower(np.strings.strip(text))
    bad = np.flatnonzero(~np.isin(text, [*_YES, *_NO]))
    if bad.size:
        _fail(file, bad[0], columns, ("pano",), f"{str(table['pano'][bad[0]])!r} is neither true nor false")
    return np.isin(text, _YES)


def _looking_along(side: TableCameras, along_track: AlongTrack, crs: str | None) -> TableCameras:
    """The cameras with the direction of travel for headings, from the north that they are compared by.

    That is true north for longitude and latitude, unless these are put on a map, `crs`.
    """
    n = len(side.key)
    points, compass = side.place, PLANE
    if side.degrees and crs is not None:
        points = _projected(side, crs)
    elif side.degrees:
        points, compass = ecef(*side.place.T), axes(*side.place.T)[:2]
    sequence = side.extra.get("sequence", np.zeros(n))
    order, by = np.arange(n, dtype=np.float64), "the rows"
    for role, values in (("time", side.time), ("frame", side.extra.get("frame"))):
        if values is not None and np.isfinite(values).all():
            order, by = values, side.columns[role]
    heading, notes = along_track.headings(points, compass, sequence, order)
    tracks = f"a track for each {side.columns['sequence']}" if "sequence" in side.extra else "one track"
    said = (f"{side.path.name}: {text}" for text in (f"{tracks}, in the order of {by}", *notes))
    return replace(side, heading_deg=heading, notes=(*side.notes, *said))


def _times(texts: npt.NDArray[Any]) -> FloatArray:
    """(n,) seconds, or what else numbers are, of numbers or dates of ISO 8601; all NaN if one is neither."""
    try:
        return texts.astype(np.float64)
    except ValueError:
        pass
    try:
        dates = [datetime.fromisoformat(text.strip()) for text in texts.tolist()]
    except ValueError:
        return np.full(len(texts), np.nan)
    return np.array([(date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() for date in dates])


def _full_circles(side: TableCameras, fov_deg: float) -> TableCameras:
    """The panoramas as full circles, which look everywhere, so that their heading only has to be one."""
    if not side.panorama.any():
        return side
    heading = np.where(side.panorama & np.isnan(side.heading_deg), 0.0, side.heading_deg)
    fov = np.where(side.panorama, fov_deg, np.nan if side.fov_deg is None else side.fov_deg)
    note = f"{side.path.name}: {int(side.panorama.sum()):,} panoramas are full circles"
    none = np.zeros(len(side.key), bool)
    return replace(side, heading_deg=heading, fov_deg=fov, panorama=none, notes=(*side.notes, note))


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
    raise InputError(f"{file.path}: {file.location(int(row))}, column {names}: {why}")


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
    sigmas: dict[str, npt.NDArray[Any]] = {}
    for role, name in (("heading_sigma", "heading_sigma_deg"), ("position_sigma", "position_sigma_m")):
        if role in table:
            values = table[role]
            bad = np.flatnonzero((values < 0.0) | np.isinf(values))
            if bad.size:
                why = f"{values[bad[0]]:g} is no standard deviation; give 0 where the value is exact"
                _fail(file, bad[0], columns, (role,), why)
            sigmas[name] = values
    return sigmas


def _crs(file: TableFile, columns: Mapping[str, str], table: Mapping[str, npt.NDArray[Any]]) -> str | None:
    """What reference system the table names, after a check that it names one and is in one zone."""
    for role in ("crs", "zone"):
        if role in table and len(table[role]):
            file.check_single_value(
                columns[role],
                table[role],
                "metres of {count} maps cannot be compared; name lon and lat instead (--columns lon=NAME,lat=NAME), or "
                "label each map by itself",
            )
    if "crs" not in table or not len(table["crs"]) or not table["crs"][0]:
        return None
    text = str(table["crs"][0])
    return f"EPSG:{text}" if text.isdigit() else text


def _notes(path: Path, columns: Mapping[str, str]) -> tuple[str, ...]:
    return (f"{path.name}: {', '.join(f'{role}={column}' for role, column in columns.items())}",)
