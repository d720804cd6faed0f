"""One stored collection: an object that holds path and name, and opens the file for each call."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import h5py
import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, LabelFileError, NotFoundError, OptionError
from relabel.labelfile import hdf, header
from relabel.labelfile.camera_table import read_table
from relabel.labelfile.schema import ARRAYS, DATABASE, IMPORTED, QUERIES, SIMILARITY, UTF8
from relabel.measures import Measure, Unknown
from relabel.similarity import Collection, Converted, RowBlock, Similarity, gather

_BLOCK_ENTRIES = 1 << 20
_SHOWN = 10  # names listed in an error


class StoredCollection:
    """One collection of a label file: what was compared and how, and the values row by row.

    Holds path and name and opens the file for each call; what it has read of the cameras stays in memory, but is not
    pickled. It is a `SimilaritySource`, so it can be written again.

    Attributes
    ----------
    path, name:
        where it is.
    shape:
        (queries, database cameras).
    nnz:
        number of stored pairs.
    method, measure, params, crs, min_value, symmetric, self_pairs:
        as in `Collection`.
    content_sha256:
        digest of all of the content; two collections with the same digest say the same.
    """

    def __init__(self, path: str | os.PathLike[str], name: str) -> None:
        self.path = Path(path)
        self.name = name
        self._checked: tuple[int, ...] | None = None
        with header.opened(self.path) as file:
            self._newer = header.is_newer(file)
            group = hdf.descend(file, name)
            self.method: str = hdf.attribute(group, "method", str)
            self.measure = cast("Measure | Unknown", hdf.attribute(group, "measure", str))
            self.params = json_object(hdf.attribute(group, "params", str), f"{group.name}, attribute 'params'")
            self.crs: str = hdf.attribute(group, "crs", str)
            self.min_value: float = hdf.attribute(group, "min_value", float)
            self.symmetric = bool(hdf.attribute(group, "symmetric", int))
            self.self_pairs = bool(hdf.attribute(group, "self_pairs", int))
            self.nnz: int = hdf.attribute(group, "nnz", int)
            self.content_sha256: str = hdf.attribute(group, "content_sha256", str)
            sides = [hdf.member(hdf.member(group, s, h5py.Group), "key", h5py.Dataset) for s in (QUERIES, DATABASE)]
            for keys in sides:
                hdf.check_array(keys, UTF8, (None,))
            self.shape = (len(sides[0]), len(sides[1]))

    def __repr__(self) -> str:
        return f"StoredCollection({str(self.path)!r}, {self.name!r})"

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in vars(self).items() if name not in ("_cameras", "_keys")}
        return state | {"_checked": None}

    @property
    def collection(self) -> Collection:
        """What is compared and how."""
        (query, query_extent), (database, database_extent) = self._cameras
        try:
            return Collection(
                query=query,
                database=database,
                query_extent=query_extent,
                database_extent=database_extent,
                method=self.method,
                measure=self.measure,
                params=self.params,
                min_value=self.min_value,
                self_pairs=self.self_pairs,
            )
        except (InputError, OptionError) as error:
            raise LabelFileError(f"{self.path}: /{self.name}: {error}") from None

    @property
    def query(self) -> Cameras:
        """The cameras of the rows."""
        return self._cameras[0][0]

    @property
    def database(self) -> Cameras:
        """The cameras of the columns."""
        return self._cameras[1][0]

    @property
    def query_extent(self) -> FloatArray:
        """(queries,) each camera's own area in m², or its voxel count; NaN where it is not known."""
        return self._cameras[0][1]

    @property
    def database_extent(self) -> FloatArray:
        """(database cameras,) as `query_extent`."""
        return self._cameras[1][1]

    def row(self, query: str | int) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
        """All stored matches of one query, best first; equal values in the order of the database.

        A database camera that is not among them has a value ≤ `min_value` where both cameras are ok; where one of the
        two is not, the value is unknown.

        Parameters
        ----------
        query:
            the key of a query or its row number, counted from 0.

        Returns
        -------
        keys, values:
            (m,) str and (m,) float32.

        Raises
        ------
        NotFoundError
            when there is no such query.
        """
        return self.best_first(self.row_block(query))

    def row_block(self, query: str | int) -> RowBlock:
        """The row of one query, given as for `row`, as a block: columns and values in the order of the database."""
        number = self._row_number(query)
        with self._opened() as group:
            arrays = _arrays(group)
            start, stop = (int(n) for n in hdf.read(arrays["indptr"], slice(number, number + 2)))
            return self._block(arrays, number, np.array([start, stop]))

    def best_first(self, block: RowBlock) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
        """Database keys and values of one row's block, best first."""
        best = np.argsort(-block.data, kind="stable")
        keys = self._keys[2][block.indices[best]]
        return hdf.decode(keys, f"/{self.name}/{DATABASE}/key"), block.data[best]

    def row_counts(self) -> npt.NDArray[np.int64]:
        """(queries,) number of stored pairs of each row."""
        with self._opened() as group:
            return np.diff(_indptr(_arrays(group)))

    def blocks(
        self, rows_per_block: int | None = None, *, first_row: int = 0, stop_row: int | None = None
    ) -> Iterator[RowBlock]:
        """All rows in order, in blocks of `rows_per_block`; by default of about a million pairs each.

        `first_row` and `stop_row` take only the rows between them. The file is not kept open between blocks.
        """
        if rows_per_block is not None and rows_per_block < 1:
            raise OptionError(f"rows_per_block is {rows_per_block}; at least one is needed")
        with self._opened() as group:
            indptr = _indptr(_arrays(group))
        stop = self.shape[0] if stop_row is None else stop_row
        if rows_per_block is None:
            ranges = row_ranges(indptr, first_row, stop)
        else:
            ranges = ((first, min(first + rows_per_block, stop)) for first in range(first_row, stop, rows_per_block))
        for first, last in ranges:
            with self._opened() as group:
                block = self._block(_arrays(group), first, indptr[first : last + 1])
            yield block

    def to_scipy(self) -> sparse.csr_array:
        """All values as a (queries × database) float32 matrix."""
        with self._opened() as group:
            arrays = _arrays(group)
            indptr = _indptr(arrays)
            block = self._block(arrays, 0, indptr)
        return sparse.csr_array((block.data, block.indices, indptr.astype(np.int32)), shape=self.shape)

    def in_measure(self, measure: Measure) -> ConvertedCollection:
        """The same collection with its values in another measure, converted as they are read.

        Raises
        ------
        OptionError
            when the measure is not known, or that of the file is not.
        InputError
            when the extent of an OK camera is missing and needed.
        """
        return ConvertedCollection(self, measure)

    def to_similarity(self) -> Similarity:
        """Cameras and all values in memory, for example to convert the measure."""
        return Similarity(self.collection, self.to_scipy())

    def unchanged_group(self, file: Any) -> Any:
        """The group of this collection in the open file.

        Raises
        ------
        LabelFileError
            when it is not there, or has other content than when this object was made.
        """
        group = hdf.descend(file, self.name)
        if hdf.attribute(group, "content_sha256", str) != self.content_sha256:
            raise LabelFileError(f"/{self.name}: has other content than when it was opened; open it again")
        return group

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The open group. Checks take longer than reading a row, so they are done once for the same file."""
        now = header.identity(self.path)
        known = now is not None and now == self._checked
        with header.opened(self.path, known=known) as file:
            if known:
                with hdf.guarded(f"/{self.name}"):
                    group = file[self.name]
            else:
                group = self.unchanged_group(file)
                self._check_arrays(group)
                self._checked = now
            yield group

    def _check_arrays(self, group: Any) -> None:
        pairs = hdf.member(group, SIMILARITY, h5py.Group)
        for name, dtype in ARRAYS.items():
            length = self.shape[0] + 1 if name == "indptr" else self.nnz
            hdf.check_array(hdf.member(pairs, name, h5py.Dataset), dtype, (length,))

    @cached_property
    def _cameras(self) -> tuple[tuple[Cameras, FloatArray], tuple[Cameras, FloatArray]]:
        posed = self.method != IMPORTED
        with self._opened() as group:
            queries = read_table(hdf.member(group, QUERIES, h5py.Group), self.crs, newer=self._newer, posed=posed)
            if self.self_pairs:
                return queries, queries
            database = hdf.member(group, DATABASE, h5py.Group)
            return queries, read_table(database, self.crs, newer=self._newer, posed=posed)

    @cached_property
    def _keys(self) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.intp], npt.NDArray[np.bytes_]]:
        """Query keys, the order that sorts them, database keys; as UTF-8, a quarter of the memory of str."""
        with self._opened() as group:
            queries, database = (hdf.read(group[side]["key"]) for side in (QUERIES, DATABASE))
        return queries, np.argsort(queries), database

    def _row_number(self, query: str | int) -> int:
        keys, order, database = self._keys
        if isinstance(query, str):
            key = query.encode(UTF8, "surrogatepass")
            at = int(np.searchsorted(keys, key, sorter=order)) if len(keys) else 0
            if at < len(keys) and keys[order[at]] == key:
                return int(order[at])
            hint = "it is a camera of the database, not a query; " if (database == key).any() else ""
            shown = listed(hdf.decode(keys[:_SHOWN], f"/{self.name}/{QUERIES}/key").tolist(), len(keys))
            raise NotFoundError(f"{self.path}::{self.name}: there is no query {query!r}; {hint}there are {shown}")
        if not 0 <= query < self.shape[0]:
            raise NotFoundError(
                f"{self.path}::{self.name}: there is no row {query}; there are 0 to {self.shape[0] - 1}"
            )
        return int(query)

    def _block(self, arrays: Mapping[str, Any], first: int, indptr: npt.NDArray[np.int64]) -> RowBlock:
        counts = np.diff(indptr)
        start, stop = int(indptr[0]), int(indptr[-1])
        # The first row begins at 0, and the last one ends with the data.
        begins = start >= 0 if first else start == 0
        ends = stop <= self.nnz if first + len(counts) < self.shape[0] else stop == self.nnz
        if not (begins and ends) or (counts < 0).any():
            raise LabelFileError(f"/{self.name}/similarity/indptr: does not rise from 0 to nnz; the file is damaged")
        indices, data = (hdf.read(arrays[name], slice(start, stop)) for name in ("indices", "data"))
        if indices.size and (indices.min() < 0 or indices.max() >= self.shape[1]):
            raise LabelFileError(f"/{self.name}/similarity/indices: has columns that do not exist; the file is damaged")
        return RowBlock(first, counts, indices, data)


def _arrays(group: Any) -> dict[str, Any]:
    """The datasets of the matrix."""
    with hdf.guarded(group.name):
        pairs = group[SIMILARITY]
        return {name: pairs[name] for name in ARRAYS}


def _indptr(arrays: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    """Where the rows begin, as int64: sums and differences of damaged int32 numbers could overflow."""
    return hdf.read(arrays["indptr"]).astype(np.int64)


def row_ranges(indptr: npt.NDArray[np.int64], first_row: int, stop_row: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges (first, end) of rows with about a million pairs each, one row at the least."""
    first = first_row
    while first < stop_row:
        last = int(np.searchsorted(indptr, indptr[first] + _BLOCK_ENTRIES, side="right")) - 1
        last = min(max(last, first + 1), stop_row)
        yield first, last
        first = last


def json_object(text: str, where: str) -> dict[str, Any]:
    """The JSON object that `text` is; an error names `where`."""
    with hdf.guarded(where):
        value = json.loads(text)
    if not isinstance(value, dict):
        raise LabelFileError(f"{where}: is not a JSON object")
    return value


def listed(names: list[str], total: int | None = None) -> str:
    """The first names and how many more there are, for an error message."""
    total = len(names) if total is None else total
    more = f" and {total - _SHOWN} more" if total > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) + more) or "none"


class ConvertedCollection(Converted):
    """What `StoredCollection.in_measure` makes; read like the collection itself, and a `SimilaritySource` as well."""

    source: StoredCollection

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_whole"}

    def row(self, query: str | int) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
        """All matches of one query, best first, as `StoredCollection.row` gives them."""
        block = self.source.row_block(query)
        if self.needs_both_directions:
            here = slice(*self._whole.indptr[block.first_row : block.first_row + 2])
            indices, data = self._whole.indices[here], self._whole.data[here]
            return self.source.best_first(RowBlock(block.first_row, np.array([len(data)]), indices, data))
        return self.source.best_first(self.block(block))

    def to_scipy(self) -> sparse.csr_array:
        """All values as a (queries × database) float32 matrix."""
        return gather(self).matrix

    @cached_property
    def _whole(self) -> sparse.csr_array:
        return self.to_scipy()
