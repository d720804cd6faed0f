"""Pairs and cameras as tables: CSV and Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from relabel.cameras import Cameras, Status
from relabel.datasets import tables
from relabel.errors import InputError, MissingFileError
from relabel.exchange.folder import Folder, file_name
from relabel.exchange.text import pairs_as_text
from relabel.similarity import Collection, SimilaritySource

Side = Literal["query", "database"]

Sorted = Literal["plain", "both", "apart"]
"""How a camera table tells sides: not at all, every camera is on both, or each is on one."""

BOTH = "both"
METADATA = b"relabel"
"""The key of the JSON in the schema metadata of a Parquet file of pairs."""

_GROUP_PAIRS = 1 << 20
_OPTIONAL: dict[str, tables.Kind] = {
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


def write_csv(source: SimilaritySource, name: str, folder: Folder) -> list[str]:
    """``NAME.csv`` with query, database and value, and ``NAME.cameras.csv`` with all cameras and their status."""
    stem = file_name(name)
    pairs, cameras = f"{stem}.csv", f"{stem}.cameras.csv"
    folder.claim([pairs, cameras])
    with folder.file(pairs) as private, private.open("wb") as text:
        for piece in pairs_as_text(source):
            text.write(piece)
    with folder.file(cameras) as private:
        options = pyarrow.csv.WriteOptions(quoting_style="needed")
        pyarrow.csv.write_csv(camera_table(source.collection), private, options)
    c = source.collection
    lost = f"measure {c.measure}, min_value {c.min_value:g}, method {c.method} and its parameters, provenance"
    return [f"{name}: the tables do not hold {lost}", *_columns_note(c, name)]


def write_parquet(source: SimilaritySource, name: str, folder: Folder) -> list[str]:
    """``NAME.parquet`` with query, database and value, and ``NAME.cameras.parquet`` with all cameras and their status.

    Keys are plain strings, which Parquet keeps as numbers into a dictionary; groups of about a million rows. The schema
    metadata has, under ``relabel``, a JSON object: measure, method, params, min_value, crs, self_pairs, shape.
    """
    stem = file_name(name)
    pairs, cameras = f"{stem}.parquet", f"{stem}.cameras.parquet"
    folder.claim([pairs, cameras])
    c = source.collection
    metadata = {METADATA: json.dumps(facts(source), ensure_ascii=False, sort_keys=True).encode()}
    fields = [pa.field("query", pa.string()), pa.field("database", pa.string()), pa.field("value", pa.float32())]
    schema = pa.schema(fields, metadata=metadata)
    with folder.file(pairs) as private, pyarrow.parquet.ParquetWriter(private, schema, compression="zstd") as writer:
        for table in _pair_tables(source, schema):
            writer.write_table(table)
    with folder.file(cameras) as private:
        pyarrow.parquet.write_table(camera_table(c).replace_schema_metadata(metadata), private, compression="zstd")
    return [f"{name}: provenance is not in the tables", *_columns_note(c, name)]


def facts(source: SimilaritySource) -> dict[str, Any]:
    """All of a collection that is neither camera nor pair, as JSON values."""
    c = source.collection
    return {
        "method": c.method,
        "measure": c.measure,
        "params": dict(c.params),
        "crs": c.crs,
        "min_value": c.min_value,
        "self_pairs": c.self_pairs,
        "shape": list(c.shape),
        "content_sha256": getattr(source, "content_sha256", None),
    }


def camera_table(c: Collection) -> Any:
    """All cameras as an Arrow table: key, side (query, database or both), status, east, north, heading_deg, extent.

    Where a side has them there are also up, fov_deg, radius_m and path; a number that is not known is NaN.
    """
    sides = [(BOTH, c.query, c.query_extent)]
    if not c.self_pairs:
        sides = [("query", c.query, c.query_extent), ("database", c.database, c.database_extent)]
    found = [_camera_columns(*side) for side in sides]
    names = {name: None for columns in found for name in columns}

    def column(name: str) -> npt.NDArray[Any]:
        blank = "" if name == "path" else np.nan
        return np.concatenate([columns.get(name, np.full(len(columns["key"]), blank)) for columns in found])

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


def read_cameras(path: Path, side: Side) -> tuple[Cameras, npt.NDArray[np.float64], Sorted]:
    """The cameras of one side of a camera table (CSV or Parquet), their extents, and how it tells sides apart.

    Only the column ``key`` has to be there. Without ``side`` all rows count; without ``status`` all are OK.

    Raises
    ------
    InputError, MissingFileError
        when the file cannot be read, or a cell is not what it has to be; the message names the row.
    """
    table = _read_table(path)
    kind: Sorted = "plain"
    if "side" in table and len(table["key"]) > 0:
        kind = "both" if (table["side"] == BOTH).all() else "apart"
    if kind == "apart":
        rows = np.flatnonzero(table["side"] == side)
        table = {name: column[rows] for name, column in table.items()}
    n = len(table["key"])
    status = np.zeros(n, np.uint8)
    if "status" in table:
        codes = {each.label: int(each) for each in Status}
        for label in np.unique(table["status"]):
            if str(label) not in codes:
                raise InputError(f"{path}: status {str(label)!r} is not known; known are {', '.join(codes)}")
            status[table["status"] == label] = codes[str(label)]
    missing = np.full(n, np.nan)
    places = [table.get(name, missing) for name in ("east", "north", "up") if name != "up" or "up" in table]
    try:
        cameras = Cameras(
            table["key"],
            np.column_stack(places),
            heading_deg=table.get("heading_deg", missing),
            fov_deg=table.get("fov_deg"),
            radius_m=table.get("radius_m"),
            status=status,
            posed=False,
            extra={"path": table["path"]} if "path" in table else {},
        )
    except InputError as error:
        raise InputError(f"{path}: {side} cameras: {error}") from None
    return cameras, table.get("extent", missing), kind


def _read_table(path: Path) -> dict[str, npt.NDArray[Any]]:
    if path.suffix.lower() != ".parquet":
        return tables.read(path, {"key": "text"}, optional=_OPTIONAL)
    table = read_parquet(path)
    if "key" not in table.column_names:
        raise InputError(f"{path}: has no column 'key'; there are {', '.join(table.column_names)}")
    found: dict[str, npt.NDArray[Any]] = {}
    for name, kind in ({"key": "text"} | _OPTIONAL).items():
        if name in table.column_names:
            cells = table.column(name).to_pylist()
            try:
                texts = kind == "text"
                found[name] = np.array(cells, np.str_) if texts else np.array(cells, np.float64)
            except (TypeError, ValueError):
                raise InputError(f"{path}: column {name!r} does not hold numbers throughout") from None
    return found


def read_parquet(path: Path) -> Any:
    """A Parquet file as an Arrow table, with the errors of this package."""
    with parquet_errors(path):
        return pyarrow.parquet.ParquetFile(path).read()


class parquet_errors:  # noqa: N801  reads as a function, as contextlib.suppress does
    """Turn what Arrow raises while reading `path` into errors that name it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing is done on entry."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Replace the error."""
        if isinstance(error, FileNotFoundError):
            raise MissingFileError(f"{self._path}: is not there") from None
        if isinstance(error, OSError | pa.ArrowException):
            raise InputError(f"{self._path}: cannot be read as Parquet: {error}") from None


def _pair_tables(source: SimilaritySource, schema: Any) -> Iterator[Any]:
    c = source.collection
    queries, database = (pa.array(cameras.key, pa.string()) for cameras in (c.query, c.database))
    for block in source.blocks():
        rows = np.repeat(np.arange(block.first_row, block.first_row + len(block.counts)), block.counts)
        for start in range(0, len(rows), _GROUP_PAIRS):
            part = slice(start, start + _GROUP_PAIRS)
            columns = [
                queries.take(pa.array(rows[part])),
                database.take(pa.array(block.indices[part])),
                pa.array(block.data[part]),
            ]
            yield pa.table(columns, schema=schema)


def _columns_note(c: Collection, name: str) -> list[str]:
    lost = sorted({*c.query.extra, *c.database.extra} - {"path"})
    lost += ["pose"] * (c.query.pose is not None or c.database.pose is not None)
    return [f"{name}: of the cameras, {', '.join(lost)} are left out"] if lost else []
