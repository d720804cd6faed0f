"""Pairs and cameras as tables: CSV and Parquet."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from relabel.cameras import Cameras, Status
from relabel.datasets import csv_columns
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
        return csv_columns.read(path, {"key": "text"}, optional=_OPTIONAL)
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


_COLUMNS = ("query", "database", "value")


class PairList(NamedTuple):
    """The entries of a file, with keys as numbers into lists of names."""

    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    values: npt.NDArray[Any]
    query: list[str]
    """names in the order in which they first stand in the file"""
    database: list[str]
    where: Callable[[int], str]
    """where an entry stands, for errors"""
    facts: dict[str, Any]
    """what the file tells of itself"""


class _Names:
    """Numbers for names, in the order in which they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def of(self, name: str) -> int:
        return self.numbers.setdefault(name, len(self.numbers))

    def of_column(self, column: Any) -> npt.NDArray[np.int32]:
        """Numbers of an Arrow string column; each distinct name of a batch is looked up once."""
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        if encoded.null_count:
            raise InputError("a key is missing")
        own = np.array([self.of(name) for name in encoded.dictionary.to_pylist()], np.int32)
        return own[np.asarray(encoded.indices)] if len(encoded) else np.empty(0, np.int32)


def read_csv(path: Path) -> PairList:
    """The pairs of a CSV file with the columns query, database and value, in any order and with any rows.

    Raises
    ------
    InputError
        when it cannot be read; the message names line and column.
    """
    convert = pyarrow.csv.ConvertOptions(
        include_columns=list(_COLUMNS),
        column_types={"query": pa.string(), "database": pa.string(), "value": pa.float64()},
        strings_can_be_null=False,
    )
    try:
        with pyarrow.csv.open_csv(path, convert_options=convert) as batches:
            read = _gathered(batches)
    except (pa.ArrowException, OSError):
        # Read again by a slower way, which knows lines; it takes files that a stream of batches does not, too.
        table = csv_columns.read(path, {"query": "text", "database": "text", "value": "float"})
        read = _gathered([pa.record_batch([pa.array(table[name]) for name in _COLUMNS], list(_COLUMNS))])

    def where(entry: int) -> str:
        return f"{path}: line {csv_columns.line_of_row(path, entry)}"

    return PairList(*read, where, {})


def read_parquet_pairs(path: Path) -> PairList:
    """The pairs of a Parquet file with the columns query, database and value, and what its metadata tells."""
    with parquet_errors(path):
        file = pyarrow.parquet.ParquetFile(path, read_dictionary=["query", "database"])
        missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
        if missing:
            raise InputError(
                f"{path}: has no column {', '.join(map(repr, missing))}; there are {', '.join(file.schema_arrow.names)}"
            )
        kind = file.schema_arrow.field("value").type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise InputError(f"{path}: column 'value' has type {kind}, which is no number")
        try:
            read = _gathered(file.iter_batches(columns=list(_COLUMNS)))
            facts = json.loads((file.schema_arrow.metadata or {}).get(METADATA, b"{}"))
        except (InputError, ValueError) as error:
            raise InputError(f"{path}: {error}; correct the table") from None
    return PairList(*read, lambda entry: f"{path}: row {entry} (counted from 0)", facts)


def read_scored_pairs(path: Path) -> PairList:
    """The pairs of a text file with lines ``query database value``; empty lines and those that begin with # are passed.

    Raises
    ------
    MissingFileError, InputError
        when there is no such file, or a line has not three words or its third is no number; the message names it.
    """
    query, database = _Names(), _Names()
    rows, columns, values = array("i"), array("i"), array("d")
    try:
        for line, words in _records(path):
            if len(words) != 3:
                raise InputError(
                    f"{path}: line {line}: has {len(words)} word(s); expected query, database and value"
                    + (" (pairs without scores cannot be labels)" if len(words) == 2 else "")
                )
            try:
                values.append(float(words[2]))
            except ValueError:
                raise InputError(f"{path}: line {line}: {words[2]!r} is not a number") from None
            rows.append(query.of(words[0]))
            columns.append(database.of(words[1]))
    except FileNotFoundError:
        raise MissingFileError(f"{path}: is not there") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from None

    def where(entry: int) -> str:
        line = next(line for number, (line, _) in enumerate(_records(path)) if number == entry)
        return f"{path}: line {line}"

    names = (list(query.numbers), list(database.numbers))
    return PairList(np.array(rows, np.int32), np.array(columns, np.int32), np.array(values), *names, where, {})


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig") as text:
        for line, content in enumerate(text, 1):
            words = content.split()
            if words and not words[0].startswith("#"):
                yield line, words


def _gathered(
    batches: Any,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[Any], list[str], list[str]]:
    query, database = _Names(), _Names()
    rows, columns, values = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for batch in batches:
        rows.append(query.of_column(batch.column("query")))
        columns.append(database.of_column(batch.column("database")))
        values.append(batch.column("value").to_numpy(zero_copy_only=False))
    return (
        np.concatenate(rows),
        np.concatenate(columns),
        np.concatenate(values),
        list(query.numbers),
        list(database.numbers),
    )
