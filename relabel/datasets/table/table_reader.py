"""Tables and trajectories as a `CameraReader`: two files, or one for self pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from relabel.cameras import Cameras, Status
from relabel.datasets import colmap_model, fillers, trajectory
from relabel.datasets.along_track import AlongTrack
from relabel.datasets.base import CameraSets, common_root, fault_notes, heading_params, relative_path, same_file
from relabel.datasets.conventions import (
    MAX_POSE_GAP_S,
    TABLE_SUFFIXES,
    TRAJECTORY_LAYOUTS,
    TRAVEL_GAP_M,
    TRAVEL_STEP_M,
    TrajectoryLayout,
)
from relabel.datasets.image_times import check_gap
from relabel.datasets.registry import ReaderSelection
from relabel.datasets.table.columns import parse
from relabel.datasets.table.rows import TableCameras, full_circles, looking_along, projected, read_cameras
from relabel.datasets.table.spec import Layout
from relabel.datasets.table.table_file import TableFile
from relabel.datasets.table.table_folder import holds_parquet
from relabel.display import several
from relabel.errors import InputError, OptionError
from relabel.geometry.projection import check_metric, ground_scale, is_utm, map_of, utm_crs, utm_zone_of

_FAULT_TEXTS = {
    "wrapped": ("heading outside [0°, 360°) was wrapped", "headings outside [0°, 360°) were wrapped"),
    "missing": ("camera has no heading", "cameras have no heading"),
}
_HINT = "every camera needs a position and a heading; see `relabel table --help` for how columns are named"


@dataclass(frozen=True)
class TableReader:
    """Two tables of cameras, or one for self pairs, as the collection `name`; paths are recorded relative to `root`."""

    queries: Path
    database: Path | None
    name: str
    root: Path
    columns: tuple[tuple[str, str], ...] = ()
    """columns by role, as named by the user"""
    crs: str | None = None
    layout: Layout | None = None
    axis: str | None = None
    up: str | None = None
    image_times: tuple[Path, ...] = ()
    """time stamps of the images of each trajectory, whose poses are interpolated"""
    max_gap_s: float = MAX_POSE_GAP_S
    along_track: AlongTrack | None = None
    """headings are the direction of travel"""
    panorama_deg: float | None = None
    """the field of view of panoramas, which otherwise are not labelled"""
    command = "relabel table"

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, the locations of the tables, and the options."""
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
        """The tables, one for self pairs: files, or folders of Parquet files."""
        return (self.queries,) if self.database is None else (self.queries, self.database)

    def read(self) -> CameraSets:
        """The cameras of both tables.

        Raises
        ------
        OptionError
            when an option is invalid, or does not apply to the layout.
        InputError
            when a table or the two together cannot be labelled; the message names file, line and column.
        """
        if self.layout in TRAJECTORY_LAYOUTS:
            return self._trajectories(self.layout)
        for option, value in (("--axis", self.axis), ("--up", self.up)):
            if value is not None:
                raise OptionError(f"{option} only applies to poses; it needs --layout {', '.join(TRAJECTORY_LAYOUTS)}")
        if self.image_times:
            raise OptionError("--image-times only applies to RobotCar poses; it needs --layout robotcar")
        return self._tables()

    def _trajectories(self, layout: TrajectoryLayout) -> CameraSets:
        if self.columns:
            raise OptionError(f"--columns only applies to tables; the columns of {layout} are fixed")
        if self.panorama_deg is not None:
            raise OptionError("--panorama only applies to tables; trajectories do not mark panoramas")
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
            f"{path.name}: {note.removeprefix(f'{path.name}: ')}"
            for path, (_, said) in zip(self.files, tracks, strict=True)
            for note in said
        )
        if len(sides) > 1 and sides[0].crs == "local":
            notes.append("both files are assumed to share one frame; separately computed trajectories do not")
        heading = "travel" if self.along_track is not None else f"{axis} of the poses"
        params = {"heading": heading, "layout": layout, "up": own.up}
        return replace(self._camera_sets(sides, params, notes), files=(*self._pose_files(layout), *self.image_times))

    def _pose_files(self, layout: TrajectoryLayout) -> tuple[Path, ...]:
        """The files with the poses; a model of COLMAP has several."""
        if layout != "colmap":
            return self.files
        return tuple(dict.fromkeys(path for model in self.files for path in colmap_model.pose_files(model)))

    def _image_times(self, layout: TrajectoryLayout) -> tuple[Path | None, ...]:
        """The file of time stamps for each trajectory, or None."""
        if not self.image_times:
            return (None,) * len(self.files)
        if layout != "robotcar":
            raise OptionError(
                f"--image-times is for RobotCar, not for {layout}, whose poses are unknown by microseconds"
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
            raise OptionError("--columns names a heading, but --heading travel uses another one; drop one of them")
        if self.panorama_deg not in (None, 360.0):
            raise OptionError(f"--panorama {self.panorama_deg:g}: panoramas are labelled as full circles, 360")
        for path in self.files if self.layout is None else ():
            _check_not_robotcar(path)
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
                f"{' and '.join(shown)}: convert both to one; --columns names the columns to take (lon=NAME,lat=NAME)"
            )
        sides, replaced = _without_fillers(sides)
        if self.along_track is not None:
            sides = [looking_along(side, self.along_track, self.crs) for side in sides]
        if self.panorama_deg is not None:
            sides = [full_circles(side, self.panorama_deg) for side in sides]
        notes = [note for side in sides for note in side.notes]
        geographic = None
        if sides[0].degrees:
            lon, lat = np.concatenate([side.place for side in sides]).T
            crs = self.crs or map_of(lon, lat)
            positions = [projected(side, crs) for side in sides]
            if self.crs is None:
                geographic = (sides[0].place, sides[-1].place)
            else:
                notes.append(f"positions are compared on the map {crs}; headings are assumed to be from its grid north")
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
            f"{side.path.name}: {several(int(side.panorama.sum()), 'panorama is', 'panoramas are')}"
            " not labelled; --panorama 360 labels them "
            "as full circles"
            for side in sides
            if side.panorama.any()
        ]
        faults = {"wrapped": sum(_outside(side) for side in sides)}
        faults["missing"] = sum(int((side.status == Status.NO_HEADING).sum()) for side in cameras)
        faults = {name: count for name, count in faults.items() if count}
        notes += fault_notes(faults, _FAULT_TEXTS)
        heading = "table" if self.along_track is None else "travel"
        params = heading_params({"heading": heading, "columns": _columns_of(sides)}, faults)
        files = tuple(dict.fromkeys(file for side in sides for file in side.files))
        return replace(self._camera_sets(cameras, params, notes, replaced, geographic), files=files)

    def _crs_of(self, sides: list[TableCameras]) -> str:
        """The reference system of x and y, as named by the user or by the tables."""
        named = {side.crs: side.path for side in sides}
        if len(named) > 1:
            shown = ", ".join(f"{path} in {crs or 'none that it names'}" for crs, path in named.items())
            raise InputError(f"the tables are in two reference systems ({shown}); convert both to one")
        (own,) = named
        if own is not None and self.crs is not None and own.casefold() != self.crs.casefold():
            raise InputError(f"{self.queries}: the table states {own}, but --crs is {self.crs}; drop one of them")
        if own is not None:
            check_metric(own)
        crs = self.crs or own or "local"
        zones = {side.zone: side.path for side in sides if side.zone is not None}
        if len({_zone_number(zone) for zone in zones}) > 1:
            shown = ", ".join(f"{path} in {zone}" for zone, path in zones.items())
            raise InputError(
                f"the tables are in two UTM zones ({shown}), and metres of two maps cannot be compared; name lon and "
                "lat instead (--columns lon=NAME,lat=NAME)"
            )
        for zone, path in zones.items():
            if is_utm(crs) and _zone_number(zone) != utm_zone_of(crs):
                raise InputError(f"{path}: the table states UTM zone {zone}, which is not {crs}")
        return crs

    def _camera_sets(
        self,
        sides: list[Cameras],
        params: Mapping[str, Any],
        notes: list[str],
        replaced: Sequence[fillers.Filler] = (),
        geographic: Any = None,
    ) -> CameraSets:
        for path, cameras in zip(self.files, sides, strict=True):
            if geographic is None:
                _check_scale(path, cameras)
            lost = int((cameras.status == Status.NO_POSITION).sum())
            if lost:
                notes.append(f"{path.name}: {several(lost, 'camera has', 'cameras have')} no position")
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
    if database is not None and same_file(database, queries):
        database = None
    root = common_root(path for path in (queries, database, *image_times) if path is not None)
    if name is None:
        name = queries.name.split(".")[0] if database is None else common_root([queries, database]).absolute().name
        name = name or "table"
    own = tuple((columns or {}).items())
    more = (tuple(image_times), max_gap_s, along_track, panorama_deg)
    return TableReader(queries, database, name, root, own, crs, layout, axis, up, *more)


def read(
    queries: Path | str,
    database: Path | str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    crs: str | None = None,
    layout: Layout | None = None,
    axis: str | None = None,
    up: str | None = None,
    heading: Literal["travel"] | None = None,
    travel_step_m: float = TRAVEL_STEP_M,
    travel_gap_m: float = TRAVEL_GAP_M,
    panorama_deg: float | None = None,
    image_times: Sequence[Path | str] = (),
    max_gap_s: float = MAX_POSE_GAP_S,
) -> CameraSets:
    """The cameras of tables or trajectories, as ``relabel table`` reads them; `relabel.audit.check` audits them.

    Parameters
    ----------
    queries, database:
        CSV or Parquet tables, folders of Parquet files, or trajectories; no database, or the same path twice, gives
        self pairs.
    columns:
        the column of each role, where usual names do not apply: ``{"heading": "northdeg"}``.
    crs:
        the reference system of x and y, for example ``EPSG:32636``; longitudes and latitudes are compared on this map.
    layout:
        ``csv``, ``gsv``, ``kitti``, ``kitti360``, ``tum``, ``colmap`` or ``robotcar``; None for a table.
    axis, up:
        for poses: the axis of a camera that points ahead, and the axis of the world that is up, such as ``-y``.
    heading:
        ``travel`` takes the direction of travel.
    travel_step_m, travel_gap_m:
        metres: smaller steps count as no movement, and larger gaps begin a new track.
    panorama_deg:
        360 to label panoramas as full circles.
    image_times:
        with ``robotcar``, the time stamps of the images of each trajectory.
    max_gap_s:
        with `image_times`, the longest time between the poses around an image, seconds.

    Raises
    ------
    InputError
        when a file does not exist or cannot be labelled; the message names file, line and column.
    OptionError
        when an option is invalid, or does not apply to the layout.
    """
    if heading not in (None, "travel"):
        raise OptionError(f"heading is {heading!r}; it has to be None or travel")
    return reader(
        Path(queries),
        None if database is None else Path(database),
        columns=columns,
        crs=crs,
        layout=layout,
        axis=axis,
        up=up,
        image_times=tuple(Path(path) for path in image_times),
        max_gap_s=max_gap_s,
        along_track=AlongTrack(travel_step_m, travel_gap_m) if heading == "travel" else None,
        panorama_deg=panorama_deg,
    ).read()


def from_paths(
    paths: Sequence[Path], *, cities: str | None = None, columns: str | None = None
) -> ReaderSelection | None:
    """The table or tables; None with cities, or if the paths are not named like tables and no columns are given."""
    folders = [path for path in paths if holds_parquet(path)]
    if cities is not None or len(paths) > 2 or (len(paths) == 1 and not paths[0].is_file() and not folders):
        return None
    if columns is None and not folders and not any(path.suffix.lower() in TABLE_SUFFIXES for path in paths):
        return None
    return ReaderSelection([reader(*paths, columns=None if columns is None else parse(columns))])


def _without_fillers(sides: Sequence[TableCameras]) -> tuple[list[TableCameras], list[fillers.Filler]]:
    """The cameras with filler values replaced by NaN, and the replaced values."""
    cleaned: list[TableCameras] = []
    replaced: list[fillers.Filler] = []
    places = [side.place for side in sides]
    at_code = (
        [fillers.place_fillers(place) for place in places] if sides[0].degrees else fillers.position_fillers(places)
    )
    for side, no_place in zip(sides, at_code, strict=True):
        unknown = fillers.heading_fillers(
            side.heading_deg, mapillary=fillers.is_mapillary(side.columns.get("heading", ""))
        )
        replaced += fillers.counted("heading", side.heading_deg, unknown, side.path.name, side.key)
        replaced += fillers.counted("position", side.place, no_place, side.path.name, side.key)
        cleaned.append(
            replace(
                side,
                heading_deg=np.where(unknown, np.nan, side.heading_deg),
                place=np.where(no_place[:, None], np.nan, side.place),
            )
        )
    return cleaned, replaced


_OF_ROBOTCAR = {"timestamp", "northing", "easting", "down", "roll", "pitch", "yaw"}


def _check_not_robotcar(path: Path) -> None:
    if not path.is_dir() and _OF_ROBOTCAR.issubset(TableFile(path).columns):
        raise InputError(
            f"{path}: has the columns of RobotCar's ins.csv and rtk.csv, whose angles are radians and whose "
            "ins_status marks good rows: read it with --layout robotcar, or with --layout csv as an ordinary table"
        )


_MOST_STRETCHED = 0.02
"""The largest stretch of a metre on a map against the ground: UTM and national maps keep to 0.003."""


_MOST_NORTH_M = 9_340_000.0
"""The largest distance from the equator on a UTM map, which ends at 84° of latitude."""


def _check_scale(path: Path, cameras: Cameras) -> None:
    """Raise InputError if metres of the map are not metres on the ground, as with Web Mercator or swapped axes."""
    if cameras.crs == "local" or not cameras.ok.any():
        return
    middle = np.median(cameras.position[cameras.ok, :2], axis=0)
    if is_utm(cameras.crs):
        south = cameras.crs.startswith("EPSG:327")
        if abs(middle[1] - south * 1e7) > _MOST_NORTH_M:
            zone = int(utm_zone_of(cameras.crs))
            convention = (
                "northings from 10,000,000 m down" if south else "northings from 0 m up, below 0 m in the south"
            )
            raise InputError(
                f"{path}: at the cameras, northings are about {middle[1]:,.0f} m, beyond the end of UTM at 84°. "
                f"{cameras.crs} has {convention}; if these are of the other kind, the reference system (crs=…) is "
                f"{utm_crs(zone, south=not south)}"
            )
    scale = ground_scale(middle, cameras.crs)
    if not np.abs(scale - 1.0).max() <= _MOST_STRETCHED:  # nor NaN
        off = scale[np.abs(scale - 1.0).argmax()]  # which is that of a NaN
        seen = "there is no position on earth" if np.isnan(off) else f"a metre on the ground is {off:.2f} m"
        raise InputError(
            f"{path}: at the cameras, {seen} on the map {cameras.crs}, so ranges would be wrong. It is a map of "
            "another region, x and y are swapped, or it is a display map such as Web Mercator: name lon and lat "
            "(without --crs), or convert x and y to a map of the region, such as its UTM zone"
        )


def _zone_number(zone: str) -> str:
    """The number of a UTM zone that may be written with a letter: 32U is 32."""
    return zone.rstrip("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjklmnpqrstuvwxyz ").lstrip("0")


def _outside(side: TableCameras) -> int:
    with np.errstate(invalid="ignore"):
        return int(((side.heading_deg < 0.0) | (side.heading_deg >= 360.0)).sum())


def _columns_of(sides: list[TableCameras]) -> dict[str, Any]:
    """The columns of each role, only once if both tables have the same."""
    first, last = (dict(side.columns) for side in (sides[0], sides[-1]))
    return first if first == last else {"queries": first, "database": last}


def _in_crs(cameras: Cameras, crs: str | None) -> Cameras:
    return cameras if crs is None else replace(cameras, crs=crs)
