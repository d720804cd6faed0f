"""One stored collection: an object that holds path and name, and opens the file for each call."""

from __future__ import annotations

import json
import logging
import operator
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, cast

import h5py
import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.display import Displayed, Layer, Summary, parameters, several
from relabel.errors import InputError, LabelFileError, NotFoundError, OptionError
from relabel.keys import rows_of
from relabel.labelfile import hdf, header
from relabel.labelfile.camera_table import StoredDigests, read_table
from relabel.labelfile.digest import ArrayDigest, Record, collection_digest
from relabel.labelfile.remote import RemotePath, location
from relabel.labelfile.schema import ARRAYS, ATTRIBUTES, DATABASE, IMPORTED, QUERIES, SIMILARITY, UTF8
from relabel.measures import Measure, Unknown
from relabel.similarity import Collection, Converted, RowBlock, Similarity, gather, side_layers
from relabel.tables import AsTables

if TYPE_CHECKING:
    from scipy import sparse

_BLOCK_ENTRIES = 1 << 20
_SHOWN = 10  # names listed in an error
_NOT_PICKLED = ("_cameras", "key_bytes", "_key_order", "_checked", "_fits", "_indptr", "_hashed", "_handle")
"""what a collection has read of its file, what it knows of it, and the file where it is kept open"""

log = logging.getLogger(__name__)


class StoredCollection(AsTables, Displayed):
    """One collection of a label file: what was compared and how, and the values row by row.

    ``len`` is the number of queries, iteration and ``in`` are by their keys, and ``stored[key]`` is their `row`.

    Holds path and name and opens the file for each call. Cameras that have been read, and where the rows begin, stay in
    memory but are not pickled. It is a `SimilaritySource`, so it can be written again. `kept_open` makes one
    that reads single rows in a third of the time.

    Reading all of it, with `blocks`, `to_scipy` or `to_similarity`, raises a `LabelFileError` if the content does not
    match its digest; the hash is computed in a second thread, and only once while the file stays the same. Reading
    parts of it raises an error if these parts are missing, out of order or out of range, since nothing more can be
    checked; `check_content` checks the whole.

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
        digest of the whole content; collections with equal digests have equal content.
    """

    def __init__(self, path: str | os.PathLike[str], name: str, *, file: Any = None) -> None:
        self.path = location(path)
        self.name = name
        self._reset(None)
        # An open file whose header was checked, as whoever makes many collections of it has.
        with header.opened(self.path) if file is None else nullcontext(file) as checked:
            group = hdf.descend(checked, name)
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
            if self.self_pairs and group[QUERIES] != group[DATABASE]:
                raise LabelFileError(f"{group[DATABASE].name}: is not the group queries, though self_pairs is 1")

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._query_keys())

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._row_of(key) is not None

    def __getitem__(self, query: str | int) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
        """The `row` of a query."""
        return self.row(query)

    def _ipython_key_completions_(self) -> list[str]:
        return self._query_keys()

    @property
    def size_text(self) -> str:
        """Numbers of cameras and pairs, for display."""
        own = " (self pairs)" if self.self_pairs else ""
        return f"{self.shape[0]:,} × {self.shape[1]:,}{own}, {several(self.nnz, 'pair')}"

    def _summary(self) -> Summary:
        """What the attributes say; no camera is read."""
        a_query = f"{self.nnz / self.shape[0]:.1f} a query" if self.shape[0] else "no query"
        return Summary(
            f"StoredCollection({str(self.path)!r}, {self.name!r})",
            [
                ("queries", f"{self.shape[0]:,}"),
                ("database", "the queries themselves" if self.self_pairs else f"{self.shape[1]:,}"),
                ("pairs", f"{self.nnz:,}, {a_query}"),
                ("ψ", f"{self.measure} by {self.method}; absent pairs have at most {self.min_value:g}"),
                ("crs", self.crs),
                ("params", parameters(self.params)),
            ],
        )

    def layers(self) -> Sequence[Layer]:
        """Where the cameras stand, for display."""
        return side_layers(self.query, self.database, self_pairs=self.self_pairs)

    _layers = layers

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _NOT_PICKLED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._reset(None)

    def _reset(self, identity: tuple[Any, ...] | None) -> None:
        """Forget what is known of the file; `identity` is that of the one whose header and arrays were just checked."""
        self._checked = identity
        self._fits = False
        self._indptr: npt.NDArray[np.int64] | None = None
        self._hashed = _HashedRows()

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
        """(queries,) the area in m² that each camera sees by itself, or its number of voxels; NaN if unknown."""
        return self._cameras[0][1]

    @property
    def database_extent(self) -> FloatArray:
        """(database cameras,) as `query_extent`."""
        return self._cameras[1][1]

    def row(self, query: str | int) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
        """All stored matches of one query, best first; equal values are in the order of the database.

        The value of a database camera that is not among them is at most `min_value` if both cameras are ok, and unknown
        if one of them is not.

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
            if there is no such query.
        """
        return self.best_first(self.row_block(query))

    def row_block(self, query: str | int) -> RowBlock:
        """The row of one query, given as for `row`, as a block: columns and values in the order of the database."""
        number = self._row_number(query)
        return self._read_block(number, number + 1)

    def best_first(self, block: RowBlock) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.float32]]:
        """Database keys and values of one row's block, best first."""
        best = np.argsort(-block.data, kind="stable")
        keys = self.database_keys(block.indices[best])
        return hdf.decode(keys, f"/{self.name}/{DATABASE}/key"), block.data[best]

    def row_counts(self) -> npt.NDArray[np.int64]:
        """(queries,) number of stored pairs of each row."""
        with self._opened() as group:
            return np.diff(self._row_starts(group))

    def blocks(
        self, rows_per_block: int | None = None, *, first_row: int = 0, stop_row: int | None = None
    ) -> Iterator[RowBlock]:
        """All rows in order, in blocks of `rows_per_block`; by default of about a million pairs each.

        `first_row` and `stop_row` take only the rows between them. The file is not kept open between blocks. If all
        rows are read, the last block is returned only after the whole content has been found to match its digest.

        Raises
        ------
        OptionError
            when `rows_per_block` is less than one.
        LabelFileError
            if a block is damaged, or the whole does not match its digest.
        """
        if rows_per_block is not None and rows_per_block < 1:
            raise OptionError(f"rows_per_block is {rows_per_block}; at least one is needed")
        stop = self.shape[0] if stop_row is None else stop_row
        if rows_per_block is None:
            with self._opened() as group:
                ranges = row_ranges(self._row_starts(group), first_row, stop)
        else:
            ranges = ((first, min(first + rows_per_block, stop)) for first in range(first_row, stop, rows_per_block))
        pairs = 0
        for block in self._streamed(ranges, whole=first_row == 0 and stop == self.shape[0]):
            pairs += len(block.data)
            yield block
        log.debug("%s::%s: read %s pairs of %s rows", self.path, self.name, f"{pairs:,}", f"{stop - first_row:,}")

    def check_content(self, progress: Callable[[int], object] | None = None) -> None:
        """Raise a `LabelFileError` unless the content matches its digest.

        Rows that were read in order from the first one on are not read again. Where the whole was read before, and the
        file has not been replaced since, nothing is. `progress` is called with numbers of rows that add up to all.
        """
        unseen = self.shape[0]
        while True:
            with self._opened() as group:
                first = self._hashed.rows
                if not self._fits and first == self.shape[0]:
                    self._compare_digest(group)
                if self._fits:
                    break
                ranges = row_ranges(self._row_starts(group), first, self.shape[0])
            for block in self._streamed(ranges, whole=False):
                unseen -= len(block.counts)
                if progress is not None:
                    progress(len(block.counts))
        if unseen > 0 and progress is not None:
            progress(unseen)

    def to_scipy(self) -> sparse.csr_array:
        """All values as a (queries × database) float32 matrix."""
        with self._opened() as group:
            indptr = self._row_starts(group)
        indices, data = np.empty(self.nnz, np.int32), np.empty(self.nnz, np.float32)
        for block in self.blocks():
            part = slice(indptr[block.first_row], indptr[block.first_row + len(block.counts)])
            indices[part], data[part] = block.indices, block.data
        from scipy import sparse  # noqa: PLC0415  slow to load

        return sparse.csr_array((data, indices, indptr.astype(np.int32)), shape=self.shape)

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
        """Cameras and all values in memory, for example to convert them to another measure."""
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
            raise LabelFileError(f"/{self.name}: has changed since it was opened; open it again")
        return group

    def kept_open(self) -> KeptOpen:
        """The same collection as an object of its own, whose file stays open between calls; for reading many rows."""
        state = self.__getstate__()
        kept = KeptOpen.__new__(KeptOpen)
        kept.__setstate__(state)
        return kept

    @contextmanager
    def _opened(self) -> Iterator[_Group]:
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
                self._reset(now)
            yield _Group(group)

    def _check_arrays(self, group: Any) -> None:
        if max(self.shape) >= hdf.LARGE_BYTES // 4:  # the keys vouch for the memory of what has a number a camera
            for side in (QUERIES, DATABASE):
                hdf.check_keys(group[side]["key"])
        pairs = hdf.member(group, SIMILARITY, h5py.Group)
        for name, dtype in ARRAYS.items():
            length = self.shape[0] + 1 if name == "indptr" else self.nnz
            hdf.check_array(hdf.member(pairs, name, h5py.Dataset), dtype, (length,))

    @cached_property
    def _cameras(self) -> tuple[tuple[Cameras, FloatArray], tuple[Cameras, FloatArray]]:
        return self._read_cameras()

    def _read_cameras(
        self, *, named: bool = True, further: Iterable[str] | None = None
    ) -> tuple[tuple[Cameras, FloatArray], tuple[Cameras, FloatArray]]:
        with self._opened() as opened:
            group = opened.node

            def side(name: str) -> tuple[Cameras, FloatArray]:
                return read_table(
                    hdf.member(group, name, h5py.Group),
                    self.crs,
                    newer=header.is_newer(group.file),
                    posed=self.method != IMPORTED,
                    named=named,
                    further=None if further is None else frozenset(further),
                )

            queries = side(QUERIES)
            database = queries if self.self_pairs else side(DATABASE)
        more = "" if self.self_pairs else f" and {len(database[0]):,} database cameras"
        log.debug("%s::%s: read %s queries%s", self.path, self.name, f"{len(queries[0]):,}", more)
        return queries, database

    def numbered_cameras(self, further: Iterable[str] = ()) -> tuple[Cameras, Cameras]:
        """Queries and database with their row numbers for keys, and with no further columns but those that are named.

        It reads no keys, which take most of the time that `query` and `database` take; `keys_of` reads those of some
        rows. Nothing of it stays in memory.
        """
        (query, _), (database, _) = self._read_cameras(named=False, further=further)
        return query, database

    def keys_of(self, rows: Sequence[int] | npt.NDArray[np.integer[Any]], *, database: bool = False) -> list[str]:
        """The keys of these rows of the queries, or of the database."""
        side = DATABASE if database else QUERIES
        keys: list[str] = hdf.decode(self.key_bytes[database][rows], f"/{self.name}/{side}/key").tolist()
        return keys

    def database_keys(self, columns: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bytes_]:
        """The keys of these columns as UTF-8; of a remote file only the chunks that hold them are read."""
        if "key_bytes" in vars(self) or not isinstance(self.path, RemotePath):
            in_memory: npt.NDArray[np.bytes_] = self.key_bytes[1][columns]
            return in_memory
        with self._opened() as opened:
            keys = opened.node[DATABASE]["key"]
            hdf.check_array(keys, UTF8, (self.shape[1],))
            rows = keys.chunks[0] if keys.chunks else max(1, len(keys))
            chunks, at = np.unique(np.asarray(columns) // rows, return_inverse=True)
            read = [hdf.read(keys, slice(int(chunk) * rows, (int(chunk) + 1) * rows)) for chunk in chunks]
            if not read:
                return np.zeros(0, keys.dtype)
            starts = np.cumsum([0, *(len(part) for part in read)])
            found: npt.NDArray[np.bytes_] = np.concatenate(read)[starts[at] + np.asarray(columns) % rows]
            return found

    @cached_property
    def key_bytes(self) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.bytes_]]:
        """Keys of queries and database as UTF-8, a quarter of the memory of str."""
        with self._opened() as opened:
            group = opened.node
            for side in (QUERIES, DATABASE):
                hdf.check_keys(group[side]["key"])
            queries = hdf.read(group[QUERIES]["key"])
            return queries, queries if self.self_pairs else hdf.read(group[DATABASE]["key"])

    @cached_property
    def _key_order(self) -> npt.NDArray[np.intp]:
        """The order that sorts the queries by key."""
        return np.argsort(self.key_bytes[0])

    def _query_keys(self) -> list[str]:
        keys: list[str] = hdf.decode(self.key_bytes[0], f"/{self.name}/{QUERIES}/key").tolist()
        return keys

    def _row_of(self, query: str) -> int | None:
        """The row of a query's key; None where there is no such query."""
        keys, order = self.key_bytes[0], self._key_order
        key = query.encode(UTF8, "surrogatepass")
        at = int(np.searchsorted(keys, key, sorter=order)) if len(keys) else 0
        if at < len(keys) and keys[order[at]] == key:
            return int(order[at])
        same = rows_of(hdf.decode(keys, f"/{self.name}/{QUERIES}/key"), np.array([query], np.str_))
        return int(same[0]) if same[0] >= 0 and "\0" not in query else None  # which numpy drops at the end

    def _row_number(self, query: str | int) -> int:
        if isinstance(query, str):
            keys, database = self.key_bytes
            number = self._row_of(query)
            if number is not None:
                return number
            key = query.encode(UTF8, "surrogatepass")
            hint = "it is a database camera, not a query; " if (database == key).any() else ""
            shown = listed(hdf.decode(keys[:_SHOWN], f"/{self.name}/{QUERIES}/key").tolist(), len(keys))
            raise NotFoundError(f"{self.path}::{self.name}: there is no query {query!r}; {hint}there are {shown}")
        try:
            number = operator.index(query)
        except TypeError:  # neither a key nor a whole number
            number = -1
        if not 0 <= number < self.shape[0]:
            raise NotFoundError(
                f"{self.path}::{self.name}: there is no row {query}; there are 0 to {self.shape[0] - 1}"
            )
        return number

    def _streamed(self, ranges: Iterable[tuple[int, int]], *, whole: bool) -> Iterator[RowBlock]:
        """The rows of all ranges (first, end); of a whole collection, the last block only once its digest fits."""
        blocks = (self._read_block(first, last) for first, last in ranges)
        if self._fits:
            yield from blocks
            return
        hashed = self._hashed
        last: RowBlock | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="relabel-sha256") as pool:
            job: Future[None] | None = None
            for block in blocks:
                # The one before was hashed while this one was read; whoever gets it may change it.
                if last is not None and job is not None:
                    job.result()
                    yield last
                last, job = block, pool.submit(hashed.add, block)
            if job is not None:
                job.result()
        if whole:
            self.check_content()
        if last is not None:
            yield last

    def _read_block(self, first: int, last: int) -> RowBlock:
        """Rows from `first` up to, but without, `last`; every pair is as the format has it."""
        with self._opened() as group:
            return self._block_of(group, first, last)

    def _block_of(self, group: _Group, first: int, last: int) -> RowBlock:
        """As `_read_block`, of an open group; for single rows every microsecond counts."""
        indptr = self._row_starts(group)[first : last + 1]
        start, stop = int(indptr[0]), int(indptr[-1])
        indices = hdf.read(group.array("indices"), slice(start, stop))
        data = hdf.read(group.array("data"), slice(start, stop))
        rises = indices[1:] > indices[:-1]
        if last - first > 1:
            ends = indptr[1:-1] - start
            rises[ends[(ends > 0) & (ends < len(indices))] - 1] = True
            least, most = (indices.min(), indices.max()) if len(indices) else (0, 0)
        else:
            least, most = (indices[0], indices[-1]) if len(indices) else (0, 0)
        sound = not len(indices) or (
            np.logical_and.reduce(rises)
            and least >= 0
            and most < self.shape[1]
            and np.minimum.reduce(data) > np.float32(self.min_value)  # false where one is NaN
            and np.maximum.reduce(data) <= 1.0
        )
        if not sound:
            name, what, entry = self._fault(rises, indices, data)
            row = first + int(np.searchsorted(indptr[1:] - start, entry, side="right"))
            raise LabelFileError(
                f"{group.array(name).name}: {what} in row {row} (counted from 0), so the file is damaged; relabel "
                "validate lists all errors"
            )
        return RowBlock(first, indptr[1:] - indptr[:-1], indices, data)

    def _fault(
        self, rises: npt.NDArray[np.bool_], indices: npt.NDArray[np.int32], data: npt.NDArray[np.float32]
    ) -> tuple[str, str, int]:
        """The array that breaks a rule, which one, and its first entry that does."""
        unlike = ~((data > np.float32(self.min_value)) & (data <= 1.0))
        for name, what, bad in (
            ("indices", "has columns that do not exist", (indices < 0) | (indices >= self.shape[1])),
            ("indices", "columns are out of order or repeated", np.concatenate(([False], ~rises))),
            ("data", f"has values outside ({self.min_value:g}, 1]", unlike),
        ):
            if bad.any():
                return name, what, int(np.argmax(bad))
        raise AssertionError("no rule is broken")

    def _row_starts(self, group: _Group) -> npt.NDArray[np.int64]:
        """(queries + 1,) where the rows begin in `indices` and `data`; as int64, since sums of int32 may overflow."""
        if self._indptr is None:
            dataset = group.array("indptr")
            indptr = hdf.read(dataset).astype(np.int64)
            counts = np.diff(indptr)
            if indptr[0] != 0 or indptr[-1] != self.nnz or (counts < 0).any():
                raise LabelFileError(f"{dataset.name}: does not rise from 0 to nnz; the file is damaged")
            if counts.max(initial=0) > self.shape[1]:
                row = int(counts.argmax())
                raise LabelFileError(
                    f"{dataset.name}: gives row {row} (counted from 0) {counts[row]:,} pairs, but there are "
                    f"{self.shape[1]:,} columns; the file is damaged"
                )
            self._indptr = indptr
        return self._indptr

    def _compare_digest(self, opened: _Group) -> None:
        """Put what was hashed of the pairs together with cameras and attributes, and compare it with the digest."""
        group = opened.node
        attributes = {name: hdf.attribute(group, name, kind) for name, kind in ATTRIBUTES.items()}
        indptr = ArrayDigest(ARRAYS["indptr"])
        indptr.update(self._row_starts(opened).astype("<i4"))
        records = {f"{SIMILARITY}/indptr": indptr.record((self.shape[0] + 1,))}
        records |= {f"{SIMILARITY}/{name}": record for name, record in self._hashed.records(self.nnz).items()}
        for side in (QUERIES,) if self.self_pairs else (QUERIES, DATABASE):
            columns = StoredDigests()
            columns.add(hdf.member(group, side, h5py.Group))
            records |= {f"{side}/{name}": record for name, record in columns.records().items()}
        if collection_digest(attributes, records) != self.content_sha256:
            raise LabelFileError(
                f"{group.name}: content_sha256 does not match the content, so cameras, parameters or values were "
                "damaged or changed after writing; write or fetch the file again"
            )
        self._fits = True


class KeptOpen(StoredCollection):
    """A collection whose file stays open from its first use until `close`; `StoredCollection.kept_open` makes it.

    It reads and checks what a `StoredCollection` does, and notices as well when another file has taken the place of its
    own. A copy in another process, whether pickled to it or forked, opens the file there for itself, so a dataset of
    PyTorch can hold one and give it to the workers of a loader. At the end of a ``with`` block it closes. While it is
    open, h5py opens the same file in the same process with ``locking=False`` only.

    Examples
    --------
    >>> with LabelFile("amman.h5")["amman"].kept_open() as labels:  # doctest: +SKIP
    ...     rows = [labels.row(key) for key in labels]
    """

    _handle: _Handle | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, which no other thread may be reading; the next call opens it again."""
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.closing.close()

    def _read_block(self, first: int, last: int) -> RowBlock:
        handle = self._handle
        if (
            handle is None
            or isinstance(self.path, RemotePath)
            or handle.of != (os.getpid(), header.identity(self.path))
        ):
            return super()._read_block(first, last)
        # What `_opened` does, without the context managers, which take as long as the checks.
        try:
            return self._block_of(handle.group, first, last)
        except LabelFileError:
            with header.naming(self.path):
                raise

    @contextmanager
    def _opened(self) -> Iterator[_Group]:
        of = os.getpid(), header.identity(self.path)
        handle = self._handle
        if handle is None or handle.of != of:
            with ExitStack() as stack:
                group = stack.enter_context(super()._opened())
                # The one before closes by itself, once no thread reads it any more.
                handle = self._handle = _Handle(of, group, stack.pop_all())
        with header.naming(self.path):
            yield handle.group


class _Group:
    """The group of a collection in an open file."""

    def __init__(self, node: Any) -> None:
        self.node = node
        self._arrays: dict[str, Any] = {}

    def array(self, name: str) -> Any:
        """A dataset of the matrix, looked up once."""
        if name not in self._arrays:
            with hdf.guarded(f"{self.node.name}/{SIMILARITY}/{name}"):
                self._arrays[name] = self.node[f"{SIMILARITY}/{name}"]
        return self._arrays[name]


class _Handle(NamedTuple):
    """An open file, and what it is closed by."""

    of: tuple[int, tuple[Any, ...] | None]
    """the process that opened it, and the identity of the file"""
    group: _Group
    closing: ExitStack


class _HashedRows:
    """Running SHA-256 of the pairs of the rows that were read in order, from the first one on.

    Attributes
    ----------
    rows:
        how many rows.
    """

    def __init__(self) -> None:
        self.rows = 0
        self._digests = {name: ArrayDigest(ARRAYS[name]) for name in ("indices", "data")}
        self._lock = threading.Lock()

    def add(self, block: RowBlock) -> None:
        """Take in those rows of a block that come next; a block that has none of them is passed over."""
        with self._lock:
            known = self.rows - block.first_row
            if 0 <= known < len(block.counts):
                start = int(block.counts[:known].sum())
                self._digests["indices"].update(block.indices[start:])
                self._digests["data"].update(block.data[start:])
                self.rows = block.first_row + len(block.counts)

    def records(self, nnz: int) -> dict[str, Record]:
        """The digest records of `indices` and `data`, once all rows were taken in."""
        return {name: digest.record((nnz,)) for name, digest in self._digests.items()}


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


class ConvertedCollection(AsTables, Converted):
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
