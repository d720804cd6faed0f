"""The CSV files of one side (query or database) of an MSLS city, joined by key into one set of rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from relabel.datasets import csv_columns
from relabel.datasets.doubts import Doubt
from relabel.datasets.msls.spec import Heading
from relabel.errors import InputError
from relabel.geometry.projection import project, signed_utm, utm_crs, utm_zone
from relabel.keys import rows_of

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

_RAW: dict[str, csv_columns.Kind] = {"key": "text", "lon": "float", "lat": "float", "ca": "float", "pano": "bool"}
_POSTPROCESSED: dict[str, csv_columns.Kind] = {"key": "text", "easting": "float", "northing": "float"}
POSTPROCESSED_EXTRA: dict[str, csv_columns.Kind] = {"night": "bool", "view_direction": "text"}
_SEQUENCES: dict[str, csv_columns.Kind] = {"key": "text", "sequence_key": "text", "frame_number": "int"}


@dataclass
class SideTables:
    """The tables of one side, all in the same row order; a file that is not there is None."""

    folder: Path
    key: npt.NDArray[np.str_]
    raw: csv_columns.Table | None
    postprocessed: csv_columns.Table | None
    sequences: csv_columns.Table | None
    files: tuple[Path, ...]

    def column(self, table: Literal["raw", "postprocessed"], name: str) -> FloatArray:
        """(n,) float64 column of a table; all NaN if the file does not exist."""
        columns: csv_columns.Table | None = getattr(self, table)
        return np.full(len(self.key), np.nan) if columns is None else columns[name]


def read_side_tables(folder: Path, heading: Heading) -> SideTables:
    """The tables of the query or database folder of a city, joined by key in the order of raw.csv.

    Parameters
    ----------
    folder:
        with raw.csv, postprocessed.csv or both.
    heading:
        the heading to read: ``compass`` needs raw.csv, ``travel`` the other two files.

    Raises
    ------
    InputError
        when a file cannot be read, a key is empty, repeated or in one file only, or a file that `heading` needs is
        missing.
    """
    raw_path, postprocessed_path, sequences_path = (
        folder / name for name in ("raw.csv", "postprocessed.csv", "seq_info.csv")
    )
    if heading == "compass" and not raw_path.is_file():
        raise InputError(
            f"{raw_path}: is missing, and it holds the compass angles (ca); use raw.csv from the original metadata, "
            "or choose the heading of travel"
        )
    for path in (sequences_path, postprocessed_path) if heading == "travel" else ():
        if not path.is_file():
            raise InputError(
                f"{path}: is missing, and the heading of travel needs its "
                f"{'sequences' if path == sequences_path else 'view_direction'}; use the original metadata, or choose "
                "the compass heading"
            )
    postprocessed = _POSTPROCESSED | ({"view_direction": "text"} if heading == "travel" else {})
    tables = {
        path: csv_columns.read(path, columns, optional=optional)
        for path, columns, optional in (
            (raw_path, _RAW, {}),
            (postprocessed_path, postprocessed, POSTPROCESSED_EXTRA),
            (sequences_path, _SEQUENCES, {}),
        )
        if path.is_file()
    }
    (first, base), *others = tables.items()
    csv_columns.check_keys(first, base, "key")
    joined = {first: base} | {path: _joined(first, base["key"], path, table) for path, table in others}
    return SideTables(
        folder,
        base["key"],
        joined.get(raw_path),
        joined.get(postprocessed_path),
        joined.get(sequences_path),
        tuple(tables),
    )


def _joined(base_path: Path, base_key: npt.NDArray[np.str_], path: Path, table: csv_columns.Table) -> csv_columns.Table:
    """The table with its rows in the order of `base_key`."""
    if np.array_equal(base_key, table["key"]):
        return table
    csv_columns.check_keys(path, table, "key")
    rows = rows_of(table["key"], base_key)
    only_base = base_key[rows < 0]
    only_table = table["key"][rows_of(base_key, table["key"]) < 0]
    for has, lacks, keys in ((base_path, path, only_base), (path, base_path, only_table)):
        if len(keys):
            raise InputError(
                f"{has}: key {str(keys[0])!r} is not in {lacks.name} next to it ({len(keys)} key(s) are not); both "
                "must list the same images: use the two files from the same download"
            )
    return {name: column[rows] for name, column in table.items()}


UNKNOWN = "local"
_SAMPLE = 1000
_FAR_M = 50.0  # beyond the difference between a GPS position and its correction
_FAR_SHARE = 0.01


def city_crs(
    city: str, lon_deg: FloatArray, lat_deg: FloatArray, easting_m: FloatArray, northing_m: FloatArray
) -> tuple[str, Doubt | None]:
    """The reference system of a city, in the convention of MSLS: one UTM zone, southern northings negative.

    It is the zone of the median position. If the city has metres, a sample of its positions is projected and
    compared. If the two disagree, the neighbouring zones and the usual southern false northing are tried, and the one
    that fits is returned and logged, so that the name is true of the positions.

    Parameters
    ----------
    city:
        the name, for messages.
    lon_deg, lat_deg:
        (n,) WGS 84 degrees of query and database together; NaN where unknown.
    easting_m, northing_m:
        (n,) metres as in the files; NaN where missing.

    Returns
    -------
    crs
        a text that PROJ reads, or ``local`` if there is nothing to derive it from, or nothing fits.
    doubt
        that no zone fits, or that it does not fit some positions; otherwise None.
    """
    placed = np.isfinite(lon_deg) & np.isfinite(lat_deg) & (np.abs(lon_deg) <= 180.0) & (np.abs(lat_deg) <= 90.0)
    if not placed.any():
        if len(lon_deg):
            log.warning("%s: the UTM zone is unknown, since no row has a longitude and latitude", city)
        return UNKNOWN, None
    lon, lat = float(np.median(lon_deg[placed])), float(np.median(lat_deg[placed]))
    zone, south = utm_zone(lon, lat), lat < 0.0
    likely = signed_utm(zone, south=south)
    rows = np.flatnonzero(placed & np.isfinite(easting_m) & np.isfinite(northing_m))
    if rows.size == 0:
        return likely, None
    rows = rows[np.unique(np.linspace(0, rows.size - 1, _SAMPLE).astype(np.int64))]
    position_m = np.column_stack([easting_m[rows], northing_m[rows]])

    neighbours = [zone, zone % 60 + 1, (zone - 2) % 60 + 1]
    candidates = [signed_utm(z, south=south) for z in neighbours]
    if south:
        candidates += [utm_crs(z, south=True) for z in neighbours]
    least_off_m, far = np.inf, rows.size
    for crs in candidates:
        off = np.hypot(*(project(lon_deg[rows], lat_deg[rows], crs) - position_m).T)
        off_m = float(np.median(np.where(np.isnan(off), np.inf, off)))
        if off_m <= _FAR_M:
            if crs != likely:
                log.warning("%s: positions are in %s, not in %s, which contains the median position", city, crs, likely)
            far = int((off > _FAR_M).sum())
            if far <= _FAR_SHARE * rows.size:
                return crs, None
            return crs, Doubt(
                "positions-disagree",
                far,
                int(rows.size),
                f"{far:,} of {rows.size:,} checked positions are more than {_FAR_M:.0f} m from their longitude and "
                f"latitude in {crs}",
                "easting and northing, or lon and lat, of these rows are wrong",
                "correct these rows, or leave them out with --mask",
            )
        if off_m < least_off_m:
            least_off_m, far = off_m, int((~(off <= _FAR_M)).sum())
    best = f"at best {least_off_m:,.0f} m off" if np.isfinite(least_off_m) else "none can show them"
    return UNKNOWN, Doubt(
        "positions-disagree",
        far,
        int(rows.size),
        f"positions fit no UTM zone near longitude {lon:.3f}, latitude {lat:.3f} ({best}); the frame is recorded as "
        f"{UNKNOWN!r}",
        "lon and lat are swapped, easting and northing are swapped, or they belong to another map",
        "use raw.csv and postprocessed.csv from the same download, or swap the columns",
    )
