"""Pairs as tables, CSV and Parquet, with a table of the cameras beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from relabel.cameras import key_array
from relabel.datasets import csv_columns
from relabel.errors import InputError, MissingFileError
from relabel.exchange.camera_tables import camera_table
from relabel.exchange.entries import (
    ImportRequest,
    ImportResult,
    Numbering,
    PairList,
    read_facts,
    result_of_pairs,
)
from relabel.exchange.folder import ExportFolder, file_name
from relabel.exchange.text import pairs_as_text
from relabel.geometry.earth import LAT, LON, is_geodesic
from relabel.input_files import check_regular, check_rows
from relabel.similarity import Collection, SimilaritySource
from relabel.tables import METADATA, arrow_batches, arrow_schema

_COLUMNS = ("query", "database", "value")


def write_csv(source: SimilaritySource, name: str, folder: ExportFolder) -> list[str]:
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


def write_parquet(source: SimilaritySource, name: str, folder: ExportFolder) -> list[str]:
    """``NAME.parquet`` with query, database and value, and ``NAME.cameras.parquet`` with all cameras and their status.

    Keys are plain strings, which Parquet stores by dictionary; row groups have about a million rows. The schema
    metadata has, under ``relabel``, a JSON object: measure, method, params, min_value, crs, self_pairs, shape.
    """
    stem = file_name(name)
    pairs, cameras = f"{stem}.parquet", f"{stem}.cameras.parquet"
    folder.claim([pairs, cameras])
    c = source.collection
    schema = arrow_schema(source)
    with folder.file(pairs) as private, pyarrow.parquet.ParquetWriter(private, schema, compression="zstd") as writer:
        for batch in arrow_batches(source):
            writer.write_batch(batch)
    with folder.file(cameras) as private:
        pyarrow.parquet.write_table(
            camera_table(c).replace_schema_metadata(schema.metadata), private, compression="zstd"
        )
    return [f"{name}: provenance is not in the tables", *_columns_note(c, name)]


def _columns_note(c: Collection, name: str) -> list[str]:
    lost = sorted({*c.query.extra, *c.database.extra} - {"path", *((LON, LAT) if is_geodesic(c.params) else ())})
    lost += ["pose"] * (c.query.pose is not None or c.database.pose is not None)
    return [f"{name}: of the cameras, {', '.join(lost)} are left out"] if lost else []


def read_csv(request: ImportRequest) -> ImportResult:
    """The labels of a CSV file with the columns query, database and value, which may be in any order.

    Raises
    ------
    InputError
        if it cannot be read; the message names line and column.
    """
    path = request.path
    check_regular(path)
    convert = pyarrow.csv.ConvertOptions(
        include_columns=list(_COLUMNS),
        column_types={"query": pa.string(), "database": pa.string(), "value": pa.float64()},
        strings_can_be_null=False,
    )
    quoted = csv_columns.check_quotes(path)
    parse = csv_columns.parse_options(csv_columns.beginning(path), quoted=quoted)
    try:
        with pyarrow.csv.open_csv(path, parse_options=parse, convert_options=convert) as batches:
            entries = _gathered(batches)
    except (pa.ArrowException, OSError, InputError):
        # This is slower, but names the line of a fault, and reads files that cannot be streamed in batches.
        table = csv_columns.read(path, {"query": "text", "database": "text", "value": "float"})
        entries = _gathered([pa.record_batch([pa.array(table[name]) for name in _COLUMNS], list(_COLUMNS))])

    def locate(entry: int) -> str:
        return f"{path}: line {csv_columns.line_of_row(path, entry)}"

    return result_of_pairs(request, PairList(*entries, locate, {}))


def read_parquet(request: ImportRequest) -> ImportResult:
    """The labels of a Parquet file with the columns query, database and value; its metadata may name the measure.

    Raises
    ------
    MissingFileError, InputError
        when there is no such file, or it cannot be read; the message names the column.
    """
    path = request.path
    check_regular(path)
    with _parquet_errors(path):
        schema = pyarrow.parquet.read_schema(path)
        missing = [name for name in _COLUMNS if name not in schema.names]
        if missing:
            raise InputError(
                f"{path}: has no column {', '.join(map(repr, missing))}; there are {', '.join(schema.names)}"
            )
        for name in ("query", "database"):
            if pa.types.is_nested(kind := schema.field(name).type):
                raise InputError(f"{path}: column {name!r} has type {kind}, which is not text")
        kind = schema.field("value").type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
            raise InputError(f"{path}: column 'value' has type {kind}, which is not numeric")
        file = pyarrow.parquet.ParquetFile(path, read_dictionary=["query", "database"])
        check_rows(path, file.metadata.num_rows, least_bits=1)
        try:
            entries = _gathered(file.iter_batches(columns=list(_COLUMNS)))
            facts = read_facts((file.schema_arrow.metadata or {}).get(METADATA, b"{}"))
        except (InputError, ValueError) as error:
            raise InputError(f"{path}: {error}; correct the table") from None
    pairs = PairList(*entries, lambda entry: f"{path}: row {entry} (counted from 0)", facts)
    return result_of_pairs(request, pairs)


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    """Turn what Arrow raises while reading `path` into errors that name it."""
    try:
        yield
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist") from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}") from None


def _gathered(
    batches: Iterable[Any],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[Any], list[str], list[str]]:
    query, database = Numbering(), Numbering()
    rows, columns, values = [np.empty(0, np.int32)], [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for batch in batches:
        rows.append(_numbers(batch.column("query"), query))
        columns.append(_numbers(batch.column("database"), database))
        values.append(batch.column("value").to_numpy(zero_copy_only=False))
    return (
        np.concatenate(rows),
        np.concatenate(columns),
        np.concatenate(values),
        list(query.numbers),
        list(database.numbers),
    )


def _numbers(column: Any, numbering: Numbering) -> npt.NDArray[np.int32]:
    """Numbers of an Arrow string column; each distinct name of a batch is looked up once."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    if encoded.null_count:
        raise InputError("a key is missing")
    plain = csv_columns.text_column(encoded.dictionary)
    if plain is None:
        raise InputError(f"keys of type {encoded.dictionary.type} are not text")
    names = plain.to_pylist()
    key_array(names)
    numbers = np.array([numbering.number(name) for name in names], np.int32)
    return numbers[np.asarray(encoded.indices)] if len(encoded) else np.empty(0, np.int32)
