"""CSV and Parquet files of any length, read by column, a piece at a time: memory is that of the columns wanted.

What is read is the same for both: text as str, with "" for what is not there, and numbers as float64, with NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from relabel.cameras import surely_unique
from relabel.datasets import tables
from relabel.datasets.tables import Table
from relabel.errors import InputError

Kind = Literal["text", "float"]
_MAGIC = b"PAR1"
_BATCH = 1 << 16
_BLOCK_BYTES = 1 << 22


@dataclass(frozen=True)
class TableFile:
    """One file with a header, or with the columns that a Parquet file names."""

    path: Path

    @cached_property
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
            return tuple(tables.header_of(self.path, self._beginning))
        return tuple(self._parquet.schema_arrow.names)

    def read(self, wanted: Mapping[str, Kind]) -> Table:
        """The columns, (n,) each.

        Raises
        ------
        InputError
            when a column is missing or named twice, or a cell is not of its kind; the message names file, line, column.
        """
        tables.check_header(self.path, list(self.columns), wanted)
        pieces: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in wanted}
        for batch in self._parquet_batches(wanted) if self.parquet else self._csv_batches(wanted):
            for name, piece in batch.items():
                pieces[name].append(piece)
        empty: dict[Kind, npt.NDArray[Any]] = {"text": np.empty(0, "<U1"), "float": np.empty(0)}
        return {name: np.concatenate([empty[wanted[name]], *pieces[name]]) for name in wanted}

    def place(self, row: int) -> str:
        """Where a row, counted from 0, stands in the file, for messages: the line of a CSV file, counted from 1."""
        return f"row {row + 1}" if self.parquet else f"line {tables.line_of_row(self.path, row)}"

    def check_keys(self, keys: npt.NDArray[np.str_], what: str) -> None:
        """Raise InputError, naming the rows, where a key is empty or stands in more than one; `what` names the keys."""
        empty = np.flatnonzero(keys == "")
        if empty.size:
            raise InputError(
                f"{self.path}: {self.place(int(empty[0]))}, {what}: an empty cell; every row needs a key "
                f"({empty.size:,} row(s) have none)"
            )
        if surely_unique(keys):
            return
        _, first, group = np.unique(keys, return_index=True, return_inverse=True)
        again = np.flatnonzero(first[group] != np.arange(len(keys)))
        if again.size:
            row = int(again[0])
            raise InputError(
                f"{self.path}: {self.place(row)}, {what}: {str(keys[row])!r} stands in "
                f"{self.place(int(first[group[row]]))} already, and {again.size:,} row(s) repeat one before them; "
                "labels are joined by key: keep one row a key, or name another column with --columns key=NAME"
            )

    @cached_property
    def _beginning(self) -> bytes:
        try:
            with self.path.open("rb") as stream:
                return stream.read(tables.HEADER_BYTES)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise InputError(
                f"{self.path}: cannot be read ({reason}); check that the file is there and readable"
            ) from None

    @cached_property
    def _parquet(self) -> Any:
        from pyarrow import parquet  # noqa: PLC0415  slow to load, and most tables are CSV

        try:
            return parquet.ParquetFile(self.path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: is not a Parquet file that can be read: {error}") from None

    def _csv_batches(self, wanted: Mapping[str, Kind]) -> Iterator[Table]:
        if not self._rows_follow:
            return
        try:
            with pyarrow.csv.open_csv(
                self.path,
                read_options=pyarrow.csv.ReadOptions(block_size=_BLOCK_BYTES),
                convert_options=tables.convert_options(wanted),
            ) as reader:
                for batch in reader:
                    arrays = {name: tables.as_array(batch.column(name), kind) for name, kind in wanted.items()}
                    yield {name: array for name, array in arrays.items() if array is not None}
        except pa.ArrowException as error:
            raise tables.fault_in(self.path, wanted, str(error)) from None

    @property
    def _rows_follow(self) -> bool:
        """Whether there is anything below the header; Arrow takes a header alone for an empty file."""
        if len(self._beginning) >= tables.HEADER_BYTES:
            return True
        return sum(bool(line.strip()) for line in self._beginning.removeprefix(b"\xef\xbb\xbf").splitlines()) > 1

    def _parquet_batches(self, wanted: Mapping[str, Kind]) -> Iterator[Table]:
        start = 0
        try:
            for batch in self._parquet.iter_batches(_BATCH, columns=list(wanted)):
                yield {name: self._values(batch.column(name), name, kind, start) for name, kind in wanted.items()}
                start += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{self.path}: is damaged: {error}") from None

    def _values(self, column: Any, name: str, kind: Kind, start: int) -> npt.NDArray[Any]:
        if isinstance(column, pa.DictionaryArray):
            column = column.dictionary_decode()
        of = column.type
        if kind == "text" and (pa.types.is_string(of) or pa.types.is_large_string(of) or pa.types.is_integer(of)):
            target, blank = pa.string(), ""
        elif kind == "float" and (pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_decimal(of)):
            target, blank = pa.float64(), None
        else:
            raise InputError(
                f"{self.path}: column {name!r} holds {of}, not {'numbers' if kind == 'float' else 'text'} (first in "
                f"row {start + 1}); convert it, or name another column with --columns"
            )
        column = column.cast(target, safe=False)
        array = tables.as_array(column.fill_null(blank) if blank is not None else column, kind)
        if array is None:
            raise InputError(f"{self.path}: column {name!r} cannot be read as {kind}")
        return array
