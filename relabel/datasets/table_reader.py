"""Tables and trajectories as a `Reader`: two files, or one for self pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from relabel.cameras import Cameras, FloatArray, Status
from relabel.datasets import poses
from relabel.datasets.roots import common_root, told_from
from relabel.datasets.street import Street
from relabel.datasets.table_side import TableSide, read_side
from relabel.errors import InputError, OptionError
from relabel.geometry.projection import check_metric, map_of, project

Layout = Literal["csv", "gsv", "kitti", "tum", "colmap", "robotcar"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
_HINT = "every camera needs a position and a heading; see `relabel table --help` for how columns are named"


@dataclass(frozen=True)
class TableReader:
    """Two tables of cameras, or one for self pairs, as the collection `name`; paths are told from `root`."""

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
    command = "relabel table"

    def parameters(self) -> dict[str, Any]:
        """The name of the collection, where the tables are, and what was said about them."""
        values: dict[str, Any] = {"collection": self.name, "queries": told_from(self.queries, self.root)}
        if self.database is not None:
            values["database"] = told_from(self.database, self.root)
        if self.columns:
            values["columns"] = dict(self.columns)
        told = {"crs": self.crs, "layout": self.layout, "axis": self.axis, "up": self.up}
        return values | {name: value for name, value in told.items() if value is not None}

    @classmethod
    def of_parameters(cls, parameters: dict[str, Any], root: Path) -> TableReader:
        """The reader of these parameters, which are taken out of the dictionary.

        Raises
        ------
        KeyError
            when one is missing.
        """
        queries, database = parameters.pop("queries"), parameters.pop("database", None)
        return cls(
            root / queries,
            None if database is None else root / database,
            parameters.pop("collection"),
            root,
            tuple(parameters.pop("columns", {}).items()),
            *(parameters.pop(name, None) for name in ("crs", "layout", "axis", "up")),
        )

    @property
    def files(self) -> tuple[Path, ...]:
        """The tables, one for self pairs."""
        return (self.queries,) if self.database is None else (self.queries, self.database)

    def read(self) -> Street:
        """The cameras of both tables.

        Raises
        ------
        OptionError
            when an option cannot be, or does not go with the layout.
        InputError
            when a table or the two together cannot be labelled; the message names file, line and column.
        """
        if self.layout in poses.LAYOUTS:
            return self._trajectories(self.layout)
        for option, value in (("--axis", self.axis), ("--up", self.up)):
            if value is not None:
                raise OptionError(f"{option} is for poses; it needs --layout {', '.join(poses.LAYOUTS)}")
        return self._tables()

    def _trajectories(self, layout: poses.Layout) -> Street:
        if self.columns:
            raise OptionError(f"--columns is for tables; {layout} has its columns fixed")
        axes = poses.axes_of(layout, up=self.up, ahead=self.axis)
        if self.crs is not None:
            check_metric(self.crs)
        found = [poses.read(path, layout, axes) for path in self.files]
        if len({cameras.crs for cameras, _ in found}) > 1:
            raise InputError(
                f"{self.queries} is in {found[0][0].crs}, {self.database} in {found[1][0].crs}: metres of two maps "
                "cannot be compared"
            )
        sides = [_in_crs(cameras, self.crs) for cameras, _ in found]
        notes = [f"{layout}: cameras look along their axis {axes.ahead}, and {axes.up} is up"]
        notes += dict.fromkeys(
            f"{path.name}: {note}" for path, (_, own) in zip(self.files, found, strict=True) for note in own
        )
        if len(sides) > 1 and sides[0].crs == "local":
            notes.append("both files are taken to be in one frame; trajectories that were made apart are not")
        params = {"heading": f"axis {axes.ahead} of the poses", "layout": layout, "up": axes.up}
        return self._street(sides, params, notes)

    def _tables(self) -> Street:
        if self.crs is not None:
            check_metric(self.crs)
        gsv = {None: None, "gsv": True}.get(self.layout, False)
        sides = [read_side(path, dict(self.columns), gsv=gsv, in_crs=self.crs is not None) for path in self.files]
        if len({side.degrees for side in sides}) > 1:
            shown = [f"{side.path} has {'lon, lat' if side.degrees else 'x, y'}" for side in sides]
            raise InputError(
                f"{' and '.join(shown)}: bring both into one; --columns names the columns to take (lon=NAME,lat=NAME)"
            )
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
                position,
                heading_deg=side.heading_deg,
                fov_deg=side.fov_deg,
                radius_m=side.radius_m,
                crs=crs,
                extra=side.extra,
            )
            for side, position in zip(sides, positions, strict=True)
        ]
        faults = {"wrapped": sum(_outside(side) for side in sides)}
        faults["missing"] = sum(int((one.status == Status.NO_HEADING).sum()) for one in cameras)
        faults = {name: count for name, count in faults.items() if count}
        texts = {"wrapped": "headings outside [0°, 360°) were wrapped", "missing": "cameras have no heading"}
        notes += [f"{count:,} {texts[name]}" for name, count in faults.items()]
        params: dict[str, Any] = {"heading": "table", "columns": _told(sides)}
        if faults:
            params["heading_faults"] = faults
        return self._street(cameras, params, notes, geographic)

    def _crs_of(self, sides: list[TableSide]) -> str:
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

    def _street(
        self, sides: list[Cameras], params: Mapping[str, Any], notes: list[str], geographic: Any = None
    ) -> Street:
        for path, cameras in zip(self.files, sides, strict=True):
            lost = int((cameras.status == Status.NO_POSITION).sum())
            if lost:
                notes.append(f"{path.name}: {lost:,} cameras have no position")
        places = (str(self.queries), str(self.database or self.queries))
        return Street(sides[0], sides[-1], self.files, params, tuple(notes), places, _HINT, geographic)


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
) -> TableReader:
    """The reader of two tables; no database, or the same path twice, means self pairs.

    The collection is named after the file of self pairs, or after the folder that holds both, unless `name` is given.
    """
    if database is not None and database == queries:
        database = None
    root = common_root(path for path in (queries, database) if path is not None)
    if name is None:
        one, two = queries.name.split(".")[0], common_root([queries, database or queries]).absolute().name
        name = (one if database is None else two) or "table"
    return TableReader(queries, database, name, root, tuple((columns or {}).items()), crs, layout, axis, up)


def _outside(side: TableSide) -> int:
    with np.errstate(invalid="ignore"):
        return int(((side.heading_deg < 0.0) | (side.heading_deg >= 360.0)).sum())


def _projected(side: TableSide, crs: str) -> FloatArray:
    if crs == "local":  # there is no place to make a map of
        return np.full_like(side.place, np.nan)
    return project(side.place[:, 0], side.place[:, 1], crs)


def _told(sides: list[TableSide]) -> dict[str, Any]:
    """The columns of each role, once where both tables have the same."""
    first, last = (dict(side.columns) for side in (sides[0], sides[-1]))
    return first if first == last else {"queries": first, "database": last}


def _in_crs(cameras: Cameras, crs: str | None) -> Cameras:
    return cameras if crs is None else replace(cameras, crs=crs)
