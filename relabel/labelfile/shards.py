"""Reading a folder of shards, whose collections are used like those of a single file."""

from __future__ import annotations

import stat
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import h5py
import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.errors import InputError, LabelFileError, MissingFileError, RemoteError
from relabel.input_files import check_regular
from relabel.labelfile import hdf, header, manifest, remote
from relabel.labelfile.camera_table import StoredDigests, Table, as_cameras, read_columns
from relabel.labelfile.collection import KeptOpen, StoredCollection, json_object, row_ranges
from relabel.labelfile.digest import Record, collection_digest
from relabel.labelfile.manifest import Entry, Manifest, Shard
from relabel.labelfile.pair_arrays import row_starts_record
from relabel.labelfile.provenance import checked_provenance_texts
from relabel.labelfile.remote import RemotePath
from relabel.labelfile.schema import ATTRIBUTES, DATABASE, IMPORTED, MANIFEST, MOST, QUERIES, SIMILARITY
from relabel.measures import Measure, Unknown
from relabel.similarity import RowBlock

if TYPE_CHECKING:
    from scipy import sparse

_MOST_OPEN = 64


class ShardFolder:
    """The content of a folder of shards; its manifest is read again only if it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[Any, ...] | None, Manifest | None] = (None, None)
        read = self.manifest()
        self.format_version, self.writer = read.format_version, read.writer

    def manifest(self) -> Manifest:
        """The manifest as it is now."""
        now = header.identity(self.path / MANIFEST)
        known, read = self._known
        if read is None or now is None or now != known:
            read = manifest.load(self.path)
            self._known = (now, read)
        return read

    def names(self) -> list[str]:
        """The names of all collections, sorted."""
        return sorted(self.manifest().collections)

    def collections(self, choose: Callable[[list[str]], list[str]]) -> list[StoredCollection]:
        """Those collections whose names `choose` picks out of all."""
        entries = self.manifest().collections
        return [ShardedCollection(self.path, name, entries[name]) for name in choose(self.names())]

    def files(self) -> list[Path]:
        """The manifest and all shards, each of which is there and has the size that it should."""
        listed = [shard for entry in self.manifest().collections.values() for shard in entry.shards]
        with _of_one_version(self.path):
            for shard in listed:
                check_stored(self.path, shard)
        return [self.path / MANIFEST, *(self.path / shard.path for shard in listed)]

    def checked_provenance(self) -> list[str]:
        """The text of all records, with the digest of the manifest checked, which covers them."""
        read = self.manifest()
        try:
            read.check_digest()
        except LabelFileError as error:
            raise LabelFileError(f"{self.path / MANIFEST}: {error}") from None
        return list(read.provenance)


class ShardedCollection(StoredCollection):
    """One collection of a folder of shards; everything in `StoredCollection` applies to it.

    A shard is opened when its rows are needed. It must have the size in the manifest, and its header the digest; that
    its content matches this digest is checked when the whole collection is read, as for a file.
    """

    def __init__(self, path: Path, name: str, entry: Entry) -> None:
        self.path = path
        self.name = name
        attributes = entry.attributes
        self.method = attributes["method"]
        self.measure = cast("Measure | Unknown", attributes["measure"])
        try:
            self.params = json_object(attributes["params"], f"collection {name!r}, attribute 'params'")
        except LabelFileError as error:
            raise LabelFileError(f"{path / MANIFEST}: {error}") from None
        self.crs = attributes["crs"]
        self.min_value = attributes["min_value"]
        self.symmetric = bool(attributes["symmetric"])
        self.self_pairs = bool(attributes["self_pairs"])
        self.nnz = attributes["nnz"]
        self.content_sha256 = entry.content_sha256
        self.shape = entry.shape
        self._entry = entry
        self._stored: dict[str, _StoredShard] = {}
        self._reset(header.identity(path / MANIFEST))

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_stored": {}}

    def unchanged_group(self, file: Any) -> Any:
        """There is no group that holds the whole."""
        raise NotImplementedError

    def to_scipy(self) -> sparse.csr_array:
        """All values as a (queries × database) float32 matrix; with more than 2³¹ - 1 pairs its indices are int64."""
        if self.nnz <= MOST:
            return super().to_scipy()
        with self._opened() as group:
            indptr = self._row_starts(group)
        indices, data = np.empty(self.nnz, np.int64), np.empty(self.nnz, np.float32)
        for block in self.blocks():
            part = slice(indptr[block.first_row], indptr[block.first_row + len(block.counts)])
            indices[part], data[part] = block.indices, block.data
        from scipy import sparse  # noqa: PLC0415  slow to load

        return sparse.csr_array((data, indices, indptr), shape=self.shape)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """No file is open: shards are opened one by one. The manifest has to be that of the same collection."""
        now = header.identity(self.path / MANIFEST)
        if now is None or now != self._checked:
            entry = manifest.load(self.path).collections.get(self.name)
            if entry is None or entry.content_sha256 != self.content_sha256:
                raise LabelFileError(
                    f"{self.path}: collection {self.name!r} has changed since it was opened; open it again"
                )
            self._entry, self._stored = entry, {}
            self._reset(now)
        yield None

    def hashed_blocks(self) -> Iterator[RowBlock]:
        """All rows in order, hashed for `check_content`, which then does not read them again."""
        with self._opened() as group:
            ranges = row_ranges(self._row_starts(group), 0, self.shape[0])
        yield from self._streamed(ranges, whole=False)

    def databases(self) -> Iterator[tuple[str, dict[str, Record]]]:
        """The name of each shard, and the digest records of its database."""
        for stored in self._shards():
            columns = StoredDigests()
            stored.add_digests(DATABASE, columns)
            yield stored.path.name, columns.records()

    def kept_open(self) -> KeptOpen:
        """The same collection as an object of its own, whose shards stay open between calls, the last 64 of them."""
        kept = KeptOpenShards.__new__(KeptOpenShards)
        kept.__setstate__(self.__getstate__())
        return kept

    def _shard(self, shard: Shard) -> _StoredShard:
        stored = self._stored.get(shard.path)
        if stored is None:
            stored = self._stored[shard.path] = self._new_shard(shard)
        return stored

    def _new_shard(self, shard: Shard) -> _StoredShard:
        return _StoredShard(self.path, self.name, self._entry, shard)

    def _shards(self) -> Iterator[_StoredShard]:
        """All shards in order."""
        with self._opened():
            yield from (self._shard(shard) for shard in self._entry.shards)

    def _row_starts(self, group: Any) -> npt.NDArray[np.int64]:
        del group
        if self._indptr is None:
            counts = [stored.own_counts() for stored in self._shards()]
            self._indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.concatenate(counts))))
        return self._indptr

    def _read_block(self, first: int, last: int) -> RowBlock:
        with self._opened():
            shards = self._entry.shards
            at = bisect_right(shards, first, key=lambda shard: shard.rows[0]) - 1
            pieces: list[RowBlock] = []
            while not pieces or shards[at].rows[0] < last:
                pieces.append(self._shard(shards[at]).own_rows(first, last))
                at += 1
                if at == len(shards):
                    break
        if len(pieces) == 1:
            return pieces[0]
        return RowBlock(first, *(np.concatenate([piece[i] for piece in pieces]) for i in (1, 2, 3)))

    def _read_cameras(
        self, *, named: bool = True, further: Iterable[str] | None = None
    ) -> tuple[tuple[Cameras, FloatArray], tuple[Cameras, FloatArray]]:
        wanted = None if further is None else frozenset(further)

        def cameras(side: str, shards: Iterable[_StoredShard]) -> tuple[Cameras, FloatArray]:
            tables = [stored.columns(side, named=named, further=wanted) for stored in shards]
            where = f"{self.path}: /{self.name}/{side}"
            return as_cameras(_joined(tables, where), self.crs, posed=self.method != IMPORTED, where=where)

        database = cameras(DATABASE, [next(self._shards())])
        return database if self.self_pairs else cameras(QUERIES, self._shards()), database

    @cached_property
    def key_bytes(self) -> tuple[npt.NDArray[np.bytes_], npt.NDArray[np.bytes_]]:
        """Keys of queries and database as UTF-8, a quarter of the memory of str."""
        database = next(self._shards()).keys(DATABASE)
        if self.self_pairs:
            return database, database
        return np.concatenate([stored.keys(QUERIES) for stored in self._shards()]), database

    def database_keys(self, columns: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bytes_]:
        """The keys of these columns as UTF-8, from a shard that is open already, if there is one."""
        if "key_bytes" in vars(self) or not isinstance(self.path, RemotePath):
            return super().database_keys(columns)
        stored = next(iter(self._stored.values()), None) or next(self._shards())
        return stored.database_keys(columns)

    def _compare_digest(self, group: Any) -> None:
        records = {f"{SIMILARITY}/indptr": row_starts_record(self._row_starts(group))}
        records |= {f"{SIMILARITY}/{name}": record for name, record in self._hashed.records(self.nnz).items()}
        for side in (QUERIES,) if self.self_pairs else (QUERIES, DATABASE):
            columns = StoredDigests()
            for stored in self._shards() if side == QUERIES else [next(self._shards())]:
                stored.add_digests(side, columns)
            records |= {f"{side}/{name}": record for name, record in columns.records().items()}
        if collection_digest(self._entry.attributes, records) != self.content_sha256:
            raise LabelFileError(
                f"{self.path}: collection {self.name!r}: content_sha256 does not match the content, so cameras, "
                f"parameters or values, or {MANIFEST}, were damaged or changed after writing; relabel validate says "
                "which shards are damaged"
            )
        self._fits = True


class _StoredShard(StoredCollection):
    """The block of rows in one shard, checked against the manifest.

    Raises
    ------
    LabelFileError
        when it is missing, or is another file.
    """

    def __init__(self, folder: Path, name: str, entry: Entry, shard: Shard) -> None:
        self._first, self._last = shard.rows
        self._of_self_pairs = bool(entry.attributes["self_pairs"])
        path = folder / shard.path
        with _of_one_version(folder):
            check_stored(folder, shard)
            with header.opened(path) as file:
                checked_provenance_texts(file)  # so that the digest in the header is that of its content
                check_shard(file, name, entry, shard)
                super().__init__(path, name, file=file)
        self._ok: npt.NDArray[np.bool_] | None = None

    def own_counts(self) -> npt.NDArray[np.int64]:
        """(rows,) pairs of each row that belong to the whole: without the pair of a camera with itself."""
        counts = self.row_counts()
        return counts - self._is_ok() if self._of_self_pairs else counts

    def own_rows(self, first: int, last: int) -> RowBlock:
        """The rows of the shard between `first` and `last`, as numbered in the whole."""
        first, last = max(first, self._first), min(last, self._last)
        block = self._read_block(first - self._first, last - self._first)
        block = block._replace(first_row=first)
        if not self._of_self_pairs:
            return block
        itself = block.indices == block.rows
        ok = self._is_ok()[first - self._first : last - self._first]
        rows = block.rows[itself] - first
        if not np.array_equal(rows, np.flatnonzero(ok)) or (block.data[itself] != 1.0).any():
            raise LabelFileError(
                f"{self.path}: /{self.name}/{SIMILARITY}: does not pair each camera that is ok with itself, "
                f"ψ = 1, in rows {first} to {last - 1} of the whole, as a shard of self pairs does; it is damaged"
            )
        return RowBlock(first, block.counts - ok, block.indices[~itself], block.data[~itself])

    def columns(self, side: str, *, named: bool, further: frozenset[str] | None) -> Table:
        """The table of one side."""
        with self._opened() as group:
            member = hdf.member(group.node, side, h5py.Group)
            return read_columns(member, newer=header.is_newer(member.file), named=named, further=further)

    def keys(self, side: str) -> npt.NDArray[np.bytes_]:
        """The keys of one side."""
        with self._opened() as group:
            keys = group.node[side]["key"]
            hdf.check_keys(keys)
            return hdf.read(keys)

    def add_digests(self, side: str, columns: StoredDigests) -> None:
        """Add the table of one side to running digests."""
        with self._opened() as group:
            columns.add(hdf.member(group.node, side, h5py.Group))

    def _is_ok(self) -> npt.NDArray[np.bool_]:
        if self._ok is None:
            with self._opened() as group:
                status = hdf.member(hdf.member(group.node, QUERIES, h5py.Group), "status", h5py.Dataset)
                hdf.check_array(status, "uint8", (self._last - self._first,))
                self._ok = hdf.read(status) == Status.OK
        return self._ok


class _KeptShard(KeptOpen, _StoredShard):
    """A shard that stays open."""

    def leave(self) -> None:
        """Drop the file, which closes once no thread reads it any more."""
        self._handle = None


class KeptOpenShards(KeptOpen, ShardedCollection):
    """What `ShardedCollection.kept_open` makes."""

    def close(self) -> None:
        """Close all shards, which no other thread may be reading; the next call opens them again."""
        stored, self._stored = self._stored, {}
        for shard in stored.values():
            assert isinstance(shard, _KeptShard)
            shard.close()

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with super(KeptOpen, self)._opened() as group:
            yield group

    def _new_shard(self, shard: Shard) -> _StoredShard:
        while len(self._stored) >= _MOST_OPEN:
            oldest = self._stored.pop(next(iter(self._stored)))
            assert isinstance(oldest, _KeptShard)
            oldest.leave()
        return _KeptShard(self.path, self.name, self._entry, shard)


@contextmanager
def _of_one_version(folder: Path) -> Iterator[None]:
    """A context for comparing shards with the manifest: on a server, the folder may have been replaced since."""
    try:
        yield
    except RemoteError:
        raise
    except (LabelFileError, MissingFileError):
        if remote.has_changed(folder):
            raise RemoteError(f"{folder}: has changed on the server since it was opened; open it again") from None
        raise


def check_stored(folder: Path, shard: Shard) -> None:
    """Raise a `LabelFileError` unless a shard, or the file that it links to, has the size that the manifest gives."""
    path = folder / shard.path
    try:
        check_regular(path)
        status = path.stat()
    except InputError as error:
        raise LabelFileError(str(error)) from None
    except FileNotFoundError:
        if path.is_symlink():
            raise MissingFileError(
                f"{path}: this shard is a link to {path.readlink()}, which is not there; fetch it again"
            ) from None
        raise MissingFileError(f"{path}: this shard is missing; fetch it, or make the folder again") from None
    except OSError as error:
        raise LabelFileError(f"{path}: cannot be opened: {error.strerror or error}") from None
    if stat.S_ISDIR(status.st_mode):
        raise LabelFileError(f"{path}: is a folder where a shard should be; fetch the shard again")
    if status.st_size != shard.bytes:
        raise LabelFileError(
            f"{path}: has {status.st_size:,} bytes, but {shard.bytes:,} in {MANIFEST}; it is cut off or another file: "
            "fetch it again"
        )


def check_shard(file: Any, name: str, entry: Entry, shard: Shard) -> None:
    """Raise a `LabelFileError` unless an open file is this shard of the collection."""
    if hdf.attribute(file, "content_sha256", str) != shard.content_sha256:
        raise LabelFileError(f"is not the shard that {MANIFEST} names, whose content_sha256 is another; fetch it again")
    if (names := hdf.collection_names(file)) != [name]:
        raise LabelFileError(f"holds {', '.join(map(repr, names))}; a shard holds its own collection alone, {name!r}")
    group = hdf.descend(file, name)
    for attribute, value in entry.shard_attributes().items():
        if (found := hdf.attribute(group, attribute, ATTRIBUTES[attribute])) != value:
            shown = f"is {found!r:.200}, but {value!r:.200} is due to {MANIFEST}"
            raise LabelFileError(f"/{name}, attribute {attribute!r}: {shown}")
    shape = tuple(
        len(hdf.member(hdf.member(group, side, h5py.Group), "key", h5py.Dataset)) for side in (QUERIES, DATABASE)
    )
    if shape != (due := (shard.rows[1] - shard.rows[0], entry.shape[1])):
        raise LabelFileError(f"/{name}: has {shape[0]} × {shape[1]} cameras, but {due[0]} × {due[1]} in {MANIFEST}")
    stored = hdf.attribute(group, "nnz", int)
    own = stored - shard.nnz
    if own and not (entry.attributes["self_pairs"] and 0 <= own <= shape[0]):
        raise LabelFileError(f"/{name}: stores {stored:,} pairs, but {shard.nnz:,} in {MANIFEST}")


def _joined(tables: list[Table], where: str) -> Table:
    """The rows of tables with the same columns."""
    names = tables[0].keys()
    for table in tables:
        if table.keys() != names:
            raise LabelFileError(
                f"{where}: not all shards have the columns {', '.join(sorted(names ^ table.keys()))}; make them again"
            )
    if len(tables) == 1:
        return tables[0]
    return {name: np.concatenate([table[name] for table in tables]) for name in names}
