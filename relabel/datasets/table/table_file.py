"""A CSV or Parquet file, which of the two is known by its content, read by column names and in pieces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from relabel.cameras import surely_unique
from relabel.datasets import csv_columns
from relabel.datasets.csv_columns import Table
from relabel.errors import InputError
from relabel.fixed_width import check_lengths, joined
from relabel.input_files import check_inflated, check_rows

Kind = Literal["text", "float"]
_MAGIC = b"PAR1"
_BATCH = 1 << 16
_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True)
class TableFile:
    """One file with a header, or with the columns that a Parquet file names."""

    path: Path

    @property
    def parquet(self) -> bool:
        """Whether it is a Parquet file, by its first bytes."""
        return self._beginning.startswith(_MAGIC)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in order.

        Raises
        ------
        InputError
            when the file cannot be read, or has no header.
        """
        if not self.parquet:
            return tuple(csv_columns.header_of(self.path, self._beginning))
        return tuple(self._parquet.schema_arrow.names)

    def holds_fractions(self, column: str) -> bool:
        """Whether a column of a Parquet file holds floating-point numbers."""
        return self.parquet and pa.types.is_floating(self._parquet.schema_arrow.field(column).type)

    def read(self, wanted: Mapping[str, Kind]) -> Table:
        """The columns, (n,) each.

        Raises
        ------
        InputError
            when a column is missing or named twice, or a cell is not of its kind; the message names file, line, column.
        """
        self._check_header(wanted)
        empty: dict[Kind, npt.NDArray[Any]] = {"text": np.empty(0, "<U1"), "float": np.empty(0)}
        pieces: dict[str, list[npt.NDArray[Any]]] = {name: [empty[kind]] for name, kind in wanted.items()}
        for batch in self._batches(wanted):
            for name, piece in batch.items():
                pieces[name].append(piece)
        pa.default_memory_pool().release_unused()
        table = {}
        for name in wanted:
            with csv_columns.naming(self.path, name):
                table[name] = joined(pieces.pop(name))
        return table

    @property
    def files(self) -> tuple[Path, ...]:
        """The file itself."""
        return (self.path,)

    def notes(self, wanted: Mapping[str, Kind]) -> tuple[str, ...]:
        """What should be known about how the columns are read: nothing, of one file."""
        del wanted
        return ()

    def location(self, row: int) -> str:
        """Where a row, counted from 0, stands in the file, for messages: the line of a CSV file, counted from 1."""
        return f"row {row + 1}" if self.parquet else f"line {csv_columns.line_of_row(self.path, row)}"

    def check_keys(self, keys: npt.NDArray[np.str_], what: str) -> None:
        """Raise InputError, naming the rows, where a key is empty or stands in more than one; `what` names the keys."""
        empty = np.flatnonzero(keys == "")
        if empty.size:
            raise InputError(
                f"{self.path}: {self.location(int(empty[0]))}, {what}: an empty cell; every row needs a key "
                f"({empty.size:,} row(s) have none)"
            )
        if surely_unique(keys):
            return
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        again = np.flatnonzero(first[group] != np.arange(len(keys)))
        if again.size:
            row = int(again[0])
            raise InputError(
                f"{self.path}: {self.location(row)}, {what}: {str(keys[row])!r} is already in "
                f"{self.location(int(first[group[row]]))}, and {again.size:,} row(s) repeat earlier ones; "
                "labels are joined by key: keep one row per key, or name another column with --columns key=NAME"
            )

    def check_single_value(self, column: str, values: npt.NDArray[np.str_], why: str) -> None:
        """Raise InputError, naming two rows, where a column is not the same throughout.

        `why` is what follows from that; ``{count}`` in it is the number of values.
        """
        distinct, first = np.unique(values, return_index=True)
        if len(distinct) > 1:
            a, b = sorted(first.tolist())[:2]
            raise InputError(
                f"{self.path}: column {column!r} is {str(values[a])!r} in {self.location(a)} and {str(values[b])!r} in "
                f"{self.location(b)}: {why.format(count=len(distinct))}"
            )

    @property
    def schema(self) -> Any:
        """The Arrow schema of a Parquet file."""
        return self._parquet.schema_arrow

    @property
    def rows(self) -> int:
        """How many rows a Parquet file has."""
        return int(self._parquet.metadata.num_rows)

    def _check_header(self, wanted: Mapping[str, Kind]) -> None:
        where = "" if self.parquet else "line 1: "
        csv_columns.check_header(self.path, list(self.columns), wanted, where=where)

    def _batches(self, wanted: Mapping[str, Kind]) -> Iterator[Table]:
        return self._parquet_batches(wanted) if self.parquet else self._csv_batches(wanted)

    @cached_property
    def _beginning(self) -> bytes:
        return csv_columns.beginning(self.path)

    @cached_property
    def _parquet(self) -> Any:
        from pyarrow import parquet  # noqa: PLC0415  slow to load, and most tables are CSV

        try:
            file = parquet.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: is not a readable Parquet file: {error}") from None
        check_rows(self.path, file.metadata.num_rows, least_bits=8)
        return file

    def _csv_batches(self, wanted: Mapping[str, Kind]) -> Iterator[Table]:
        if not self._rows_follow:
            return
        quoted = csv_columns.check_quotes(self.path)
        try:
            with pyarrow.csv.open_csv(
                self.path,
                read_options=pyarrow.csv.ReadOptions(block_size=max(_BLOCK_BYTES, len(self._beginning))),
                parse_options=csv_columns.parse_options(self._beginning, quoted=quoted),
                convert_options=csv_columns.convert_options(wanted),
            ) as reader:
                for batch in reader:
                    arrays = {}
                    for name, kind in wanted.items():
                        with csv_columns.naming(self.path, name):
                            arrays[name] = csv_columns.as_array(batch.column(name), kind)
                    unreadable = next((name for name, array in arrays.items() if array is None), None)
                    if unreadable is not None:
                        raise csv_columns.fault_in(
                            self.path, {unreadable: wanted[unreadable]}, f"column {unreadable!r} cannot be read"
                        )
                    yield cast("Table", arrays)
        except pa.ArrowException as error:
            raise csv_columns.fault_in(self.path, wanted, str(error)) from None

    @property
    def _rows_follow(self) -> bool:
        """Whether there is anything below the header; Arrow takes a header alone for an empty file."""
        if len(self._beginning) < self.path.stat().st_size:
            return True
        return sum(bool(line.strip()) for line in self._beginning.removeprefix(b"\xef\xbb\xbf").splitlines()) > 1

    def _parquet_batches(self, wanted: Mapping[str, Kind]) -> Iterator[Table]:
        from pyarrow import parquet  # noqa: PLC0415  as above

        start = 0
        try:
            schema = self._parquet.schema_arrow
            texts = [name for name, kind in wanted.items() if kind == "text" and _is_text(schema.field(name).type)]
            # As dictionaries, in which a text that is repeated stands once, however often that is.
            file = parquet.ParquetFile(self.path, read_dictionary=texts)
            letters: Counter[str] = Counter()
            for batch in file.iter_batches(_BATCH, columns=list(wanted)):
                for name in texts:
                    letters[name] += self._checked_letters(batch.column(name), name)
                    check_inflated(self.path, letters[name])
                yield {name: self._values(batch.column(name), name, kind, start) for name, kind in wanted.items()}
                start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: is damaged: {error}") from None

    def _checked_letters(self, column: Any, name: str) -> int:
        """How many bytes the texts of a column have, read as a dictionary; an error where one is far too long."""
        if not isinstance(column, pa.DictionaryArray) or not len(column.dictionary):
            return 0
        length = pyarrow.compute.binary_length(column.dictionary).fill_null(0).to_numpy(zero_copy_only=False)
        lengths = length[column.indices.fill_null(0).to_numpy(zero_copy_only=False)]
        with csv_columns.naming(self.path, name):
            check_lengths(lengths)
        return int(lengths.sum(dtype=np.int64))

    def _values(self, column: Any, name: str, kind: Kind, start: int) -> npt.NDArray[Any]:
        stored = column.type
        if kind == "text" and (pa.types.is_boolean(stored) or pa.types.is_temporal(stored)):
            column = column.cast(pa.string())
        if kind == "text":
            try:
                values = csv_columns.text_column(column)
            except pa.ArrowInvalid as error:
                raise InputError(
                    f"{self.path}: column {name!r} holds bytes that are not UTF-8 text, below row {start + 1}: {error}"
                ) from None
            values = None if values is None else values.fill_null("")
        else:
            # A column of nulls alone has no other type where the program that wrote it guessed types.
            kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
            is_number = any(is_kind(stored) for is_kind in kinds)
            values = column.cast(pa.float64(), safe=False) if is_number else None
        if values is None:
            raise InputError(
                f"{self.path}: column {name!r} holds {stored}, not {'numbers' if kind == 'float' else 'text'} (first "
                f"in row {start + 1}); convert it, or name another column with --columns"
            )
        with csv_columns.naming(self.path, name):
            array = csv_columns.as_array(values, kind)
        if array is None:
            row = next(row for row, text in enumerate(values.to_pylist()) if text and "\0" in text)
            raise InputError(
                f"{self.path}: column {name!r} holds a NUL character in row {start + row + 1}, which no label file can "
                "hold; remove it"
            )
        return array


def _is_text(stored: Any) -> bool:
    if pa.types.is_dictionary(stored):
        stored = stored.value_type
    kinds = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return any(is_kind(stored) for is_kind in kinds)
