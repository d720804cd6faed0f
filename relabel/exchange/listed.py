"""Lists of pairs that somebody else made: CSV, Parquet, and lines of three words."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from relabel.datasets import tables
from relabel.errors import InputError, MissingFileError
from relabel.exchange.columns import METADATA, parquet_errors

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
        table = tables.read(path, {"query": "text", "database": "text", "value": "float"})
        read = _gathered([pa.record_batch([pa.array(table[name]) for name in _COLUMNS], list(_COLUMNS))])

    def where(entry: int) -> str:
        return f"{path}: line {tables.line_of_row(path, entry)}"

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
