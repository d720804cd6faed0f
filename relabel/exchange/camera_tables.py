"""Cameras as tables, CSV and Parquet: written beside exported pairs, and read for imports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet

from relabel.cameras import Cameras, Status, key_array
from relabel.datasets import csv_columns
from relabel.errors import InputError, MissingFileError
from relabel.similarity import Collection

SideName = Literal["query", "database"]
SideLayout = Literal["none", "both", "apart"]
"""What a camera table says of sides: nothing, that every camera is on both, or that each is on one."""

_BOTH = "both"
_OPTIONAL: dict[str, csv_columns.Kind] = {
    "side": "text",
    "status": "text",
    "east": "float",
    "north": "float",
    "up": "float",
    "heading_deg": "float",
    "extent": "float",
    "fov_deg": "float",
    "radius_m": "float",
    "path": "text",
}
"""The columns that a table may have beside ``key``."""


def camera_table(c: Collection) -> Any:
    """All cameras as an Arrow table: key, side (query, database or both), status, east, north, heading_deg, extent.

    Where a side has them there are also up, fov_deg, radius_m and path; a number that is not known is NaN.
    """
    sides = [(_BOTH, c.query, c.query_extent)]
    if not c.self_pairs:
        sides = [("query", c.query, c.query_extent), ("database", c.database, c.database_extent)]
    parts = [_camera_columns(*side) for side in sides]
    names = {name: None for columns in parts for name in columns}

    def column(name: str) -> npt.NDArray[Any]:
        blank = "" if name == "path" else np.nan
        return np.concatenate([columns.get(name, np.full(len(columns["key"]), blank)) for columns in parts])

    return pa.table({name: pa.array(column(name)) for name in names})


def _camera_columns(side: str, cameras: Cameras, extent: npt.NDArray[np.float64]) -> dict[str, npt.NDArray[Any]]:
    labels = np.array([status.label for status in Status])
    columns: dict[str, npt.NDArray[Any]] = {
        "key": cameras.key,
        "side": np.full(len(cameras), side),
        "status": labels[cameras.status],
        "east": cameras.position[:, 0],
        "north": cameras.position[:, 1],
    }
    if cameras.position.shape[1] == 3:
        columns["up"] = cameras.position[:, 2]
    columns |= {"heading_deg": cameras.heading_deg, "extent": extent}
    columns |= {name: value for name in ("fov_deg", "radius_m") if (value := getattr(cameras, name)) is not None}
    if "path" in cameras.extra:
        columns["path"] = cameras.extra["path"].astype(np.str_)
    return columns


def read_cameras(path: Path, side: SideName) -> tuple[Cameras, npt.NDArray[np.float64], SideLayout]:
    """The cameras of one side of a camera table (CSV or Parquet), their extents, and what it says of sides.

    Only the column ``key`` has to be there. Without ``side`` all rows count; without ``status`` all are OK.

    Raises
    ------
    InputError, MissingFileError
        when the file cannot be read, or a cell is not what it has to be; the message names the row.
    """
    table = _read_table(path)
    layout: SideLayout = "none"
    if "side" in table and len(table["key"]) > 0:
        layout = "both" if (table["side"] == _BOTH).all() else "apart"
    if layout == "apart":
        rows = np.flatnonzero(table["side"] == side)
        table = {name: column[rows] for name, column in table.items()}
    n = len(table["key"])
    statuses = np.zeros(n, np.uint8)
    if "status" in table:
        codes = {status.label: int(status) for status in Status}
        for label in np.unique(table["status"]):
            if str(label) not in codes:
                raise InputError(f"{path}: status {str(label)!r} is not known; known are {', '.join(codes)}")
            statuses[table["status"] == label] = codes[str(label)]
    missing = np.full(n, np.nan)
    places = [table.get(name, missing) for name in ("east", "north", "up") if name != "up" or "up" in table]
    try:
        cameras = Cameras(
            table["key"],
            np.column_stack(places),
            heading_deg=table.get("heading_deg", missing),
            fov_deg=table.get("fov_deg"),
            radius_m=table.get("radius_m"),
            status=statuses,
            posed=False,
            extra={"path": table["path"]} if "path" in table else {},
        )
    except InputError as error:
        raise InputError(f"{path}: {side} cameras: {error}") from None
    return cameras, table.get("extent", missing), layout


def _read_table(path: Path) -> dict[str, npt.NDArray[Any]]:
    if path.suffix.lower() != ".parquet":
        return csv_columns.read(path, {"key": "text"}, optional=_OPTIONAL)
    with parquet_errors(path):
        table = pyarrow.parquet.ParquetFile(path).read()
    if "key" not in table.column_names:
        raise InputError(f"{path}: has no column 'key'; there are {', '.join(table.column_names)}")
    columns: dict[str, npt.NDArray[Any]] = {}
    for name, kind in ({"key": "text"} | _OPTIONAL).items():
        if name in table.column_names:
            cells = table.column(name).to_pylist()
            try:
                columns[name] = key_array(cells) if kind == "text" else np.array(cells, np.float64)
            except InputError as error:
                raise InputError(f"{path}: column {name!r}: {error}") from None
            except (TypeError, ValueError):
                raise InputError(f"{path}: column {name!r} does not hold numbers throughout") from None
    return columns


@contextmanager
def parquet_errors(path: Path) -> Iterator[None]:
    """Turn what Arrow raises while reading `path` into errors that name it."""
    try:
        yield
    except FileNotFoundError:
        raise MissingFileError(f"{path}: is not there") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from None
