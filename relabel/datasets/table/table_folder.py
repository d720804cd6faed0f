"""A folder of Parquet files as one table: partitioned datasets, as Spark, pyarrow, DuckDB and pandas write them.

Rows are those of one file after the other, in the order of their paths. Folders named ``NAME=VALUE`` (hive partitions)
are columns of text or numbers as well. As is usual for such datasets, names that begin with ``_`` or ``.`` are not
data.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from relabel.datasets import csv_columns
from relabel.datasets.base import relative_path, unreadable
from relabel.datasets.csv_columns import Table
from relabel.datasets.listing import walk
from relabel.datasets.table.table_file import Kind, TableFile
from relabel.errors import InputError

_SUFFIXES = (".parquet", ".pq", ".parq")
_NAMED = 3  # files that a note names
_NULL = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class _Member:
    """One file of a folder."""

    path: Path
    types: Mapping[str, Any]
    """Arrow type of each column"""
    rows: int
    partition: Mapping[str, str]
    """values of the columns that its folders are named after; an empty text for null"""


def table_at(path: Path) -> TableFile:
    """The table at a path: of one file, or of all files of a folder."""
    return TableFolder(path) if path.is_dir() else TableFile(path)


def holds_parquet(folder: Path) -> bool:
    """Whether a folder looks like a table: with Parquet files or hive partitions directly in it."""
    try:
        children = list(folder.iterdir()) if folder.is_dir() else []
    except OSError:
        return False
    return any(
        child.suffix.lower() in _SUFFIXES if child.is_file() else "=" in child.name
        for child in children
        if not child.name.startswith((".", "_"))
    )


@dataclass(frozen=True)
class TableFolder(TableFile):
    """All Parquet files below a folder, however deep, as one table."""

    @property
    def parquet(self) -> bool:
        """True."""
        return True

    @property
    def files(self) -> tuple[Path, ...]:
        """The Parquet files, sorted by path."""
        return tuple(member.path for member in self._members)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns of all files, in order of appearance, then those of the partitions.

        Raises
        ------
        InputError
            when a file cannot be read, or there is none.
        """
        stored = [name for member in self._members for name in member.types]
        partitions = [name for member in self._members for name in member.partition]
        return tuple(dict.fromkeys([*stored, *partitions]))

    def holds_fractions(self, column: str) -> bool:
        """Whether a column holds floating-point numbers, in any of the files."""
        return any(pa.types.is_floating(member.types.get(column, pa.null())) for member in self._members)

    def location(self, row: int) -> str:
        """The file of a row, counted from 0, and its position there, for messages."""
        member = bisect_right(self._starts, row) - 1
        return f"{self._name(self._members[member].path)}, row {row - self._starts[member] + 1}"

    def notes(self, wanted: Mapping[str, Kind]) -> tuple[str, ...]:
        """Notes on files that are not Parquet, and on differences of the files in the requested columns."""
        members, notes = self._members, []
        if others := self._listing[1]:
            shown = ", ".join([*map(self._name, others[:_NAMED]), *(["…"] if len(others) > _NAMED else [])])
            what = (
                "file or link that is not Parquet is"
                if len(others) == 1
                else "files and links that are not Parquet are"
            )
            notes.append(f"{len(others):,} {what} not read: {shown}")
        for name in wanted:
            if both := [member for member in members if name in member.types and name in member.partition]:
                notes.append(
                    f"column {name!r} is also in the names of folders, which do not count, since {len(both):,} of "
                    f"{len(members):,} files hold it themselves"
                )
            without = [member for member in members if name not in member.types and name not in member.partition]
            if without:
                notes.append(
                    f"column {name!r} is missing in {len(without):,} of {len(members):,} files, whose cells count as "
                    f"empty: {', '.join(self._name(member.path) for member in without[:_NAMED])}"
                    f"{', …' if len(without) > _NAMED else ''}"
                )
            types = [str(member.types[name]) for member in members if name in member.types]
            if len(counts := {kind: types.count(kind) for kind in dict.fromkeys(types)}) > 1:
                shown = " and ".join(f"{kind} in {count:,}" for kind, count in counts.items())
                notes.append(f"column {name!r} has different types: {shown} files")
        return tuple(notes)

    def _check_header(self, wanted: Mapping[str, Kind]) -> None:
        for name in wanted:
            if name not in self.columns:
                raise InputError(f"{self.path}: no file has a column {name!r}; there are {', '.join(self.columns)}")

    def _batches(self, wanted: Mapping[str, Kind]) -> Iterator[Table]:
        for member in self._members:
            stored = {name: kind for name, kind in wanted.items() if name in member.types}
            others = {
                name: self._constant(member, name, kind) for name, kind in wanted.items() if name not in member.types
            }
            file = TableFile(member.path)
            if not stored:
                yield {name: np.full(member.rows, value) for name, value in others.items()}
                continue
            csv_columns.check_header(member.path, list(file.columns), stored, where="")
            for batch in file._batches(stored):  # noqa: SLF001  of the same kind
                rows = len(next(iter(batch.values())))
                yield {**batch, **{name: np.full(rows, value) for name, value in others.items()}}

    def _constant(self, member: _Member, name: str, kind: Kind) -> str | float:
        """The value that a column has in all rows of a file that does not store it."""
        text = member.partition.get(name, "")
        if kind == "text":
            return text
        try:
            return float(text) if text else np.nan
        except ValueError:
            raise InputError(
                f"{member.path}: the name of its folder gives {name} as {text!r}, which is not a number; name another "
                "column with columns=…"
            ) from None

    def _name(self, path: Path) -> str:
        return relative_path(path, self.path)

    @cached_property
    def _starts(self) -> list[int]:
        return list(accumulate((member.rows for member in self._members[:-1]), initial=0))

    @cached_property
    def _listing(self) -> tuple[list[Path], list[Path]]:
        """The Parquet files, and all other files and links, except hidden ones."""

        def fail(error: OSError) -> None:
            raise unreadable(Path(str(error.filename)), error) from None

        paths: list[Path] = []
        others: list[Path] = []
        for parent, folders, files in walk(self.path, onerror=fail):
            folders[:] = [name for name in folders if not name.startswith((".", "_"))]
            others += [link for name in folders if (link := Path(parent, name)).is_symlink()]
            for path in (Path(parent, name) for name in files if not name.startswith((".", "_"))):
                named_so = path.suffix.lower() in _SUFFIXES
                (paths if named_so or (path.is_file() and TableFile(path).parquet) else others).append(path)
        paths.sort()
        if not paths:
            raise InputError(
                f"{self.path}: is a folder without a Parquet file (other files: {len(others):,}); expected a CSV or "
                "Parquet table, or a folder of Parquet files. Folders of poses need layout=…"
            )
        return paths, sorted(others)

    @cached_property
    def _members(self) -> tuple[_Member, ...]:
        return tuple(self._member(path) for path in self._listing[0])

    def _member(self, path: Path) -> _Member:
        file = TableFile(path)
        if not file.parquet:
            raise InputError(f"{path}: is not a readable Parquet file: it does not begin like one")
        schema = file.schema
        # A column that is named twice is refused when it is read.
        types = {field.name: field.type for field in schema}
        return _Member(path, types, file.rows, _partition(self.path, path))


def _partition(root: Path, path: Path) -> dict[str, str]:
    """The columns and values that the folders of a file are named after."""
    folder = path.parent.relative_to(root)
    names = [part.partition("=")[0] for part in folder.parts if "=" in part]
    if not names:
        return {}
    if len(set(names)) < len(names):
        raise InputError(f"{path}: folders above it name a column twice: {folder}; rename or remove one")
    from pyarrow import dataset  # noqa: PLC0415  slow to load

    hive = dataset.HivePartitioning(pa.schema([(name, pa.string()) for name in names]), null_fallback=_NULL)
    try:
        values = dataset.get_partition_keys(hive.parse(f"{folder.as_posix()}/"))
    except (pa.ArrowException, UnicodeError) as error:
        raise InputError(f"{path}: a folder above it says no value that can be read ({error}); rename it") from None
    return {name: values.get(name) or "" for name in names}
