"""Writing a folder of shards: the rows of each collection are split into label files, and the manifest comes last."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.atomic import check_folder, check_target, output_errors, replacing_folder
from relabel.cameras import Status
from relabel.clutter import is_clutter
from relabel.errors import LabelFileError, OptionError, OutputExistsError
from relabel.labelfile import manifest, schema
from relabel.labelfile.camera_table import digests, write_tables
from relabel.labelfile.checked_rows import CheckedRows
from relabel.labelfile.chunks import ChunkQueue
from relabel.labelfile.completing import check_names, confirm, finish, finish_collection
from relabel.labelfile.digest import collection_digest, file_digest, sha256_of
from relabel.labelfile.hdf5_layout import new_group
from relabel.labelfile.manifest import Entry, Manifest, Shard
from relabel.labelfile.pair_arrays import PairArrays, PairDigests
from relabel.labelfile.safe_h5file import Draft
from relabel.similarity import RowBlock, SimilaritySource

SHARD_PAIRS = 1 << 27
"""The number of pairs of a shard, about 600 MB."""
PAIRS_PER_CAMERA = 32
"""More for a large database, of which every shard has a copy: a camera takes as many bytes as some ten pairs."""


def write_shards(
    path: str | os.PathLike[str],
    collections: Mapping[str, SimilaritySource],
    provenance: Sequence[str],
    *,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
    threads: int | None = None,
    shard_pairs: int | None = None,
) -> Path:
    """Write a folder of shards, whole or not at all.

    The same input gives the same bytes, however its rows are cut into blocks. Memory is that of the cameras and of the
    largest block.

    Parameters
    ----------
    path:
        the folder to make.
    collections, progress, threads:
        as for `relabel.labelfile.write`.
    provenance:
        the text of each record, oldest first.
    overwrite:
        whether an existing folder of shards may be replaced; it stays unchanged until the new one is complete.
    shard_pairs:
        a shard ends before the row that would bring it above this number of stored pairs, but has at least one row;
        None takes `SHARD_PAIRS`, or `PAIRS_PER_CAMERA` times the database cameras if that is more.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OptionError
        when `shard_pairs` is not from 1 to 2³¹ - 1.
    InputError
        as for `relabel.labelfile.write`.
    OutputExistsError
        when the folder has files and `overwrite` is False, or has files that do not belong to a folder of shards.
    OutputError
        when the folder cannot be written, or the disk is full.
    """
    if shard_pairs is not None and not 1 <= shard_pairs <= schema.MOST:
        raise OptionError(f"shard_pairs is {shard_pairs}; a shard holds 1 to {schema.MOST:,} pairs")
    target = Path(path)
    check_names(collections)
    with replacing_folder(target, overwrite=overwrite, foreign=foreign_names) as private:
        files = _Files(private, target, provenance)
        entries = {
            name: _Cut(name, collections[name], files, threads, shard_pairs).run(progress)
            for name in sorted(collections)
        }
        with output_errors(target):
            text = Manifest(schema.WRITER, entries, provenance).text()
            (private / schema.MANIFEST).write_text(text, encoding="utf-8", newline="\n")
        confirm(private, target, "structure")
    return target


def foreign_names(folder: Path) -> Iterator[str]:
    """The names in a folder that do not belong to a label file in shards: all of them, if it has no manifest.

    Raises
    ------
    OutputExistsError
        when its manifest cannot be read, so that it is not known which names do.
    """
    try:
        known = {shard.path for entry in manifest.load(folder).collections.values() for shard in entry.shards}
    except LabelFileError as error:
        if os.path.lexists(folder / schema.MANIFEST):
            raise OutputExistsError(
                f"{str(error).partition(';')[0]}, so nothing says which files of {folder} are its own, and it is "
                "not replaced, not even when asked to; remove the folder, or choose another one"
            ) from None
        known = set()
    for name, is_folder in sorted((entry.name, entry.is_dir()) for entry in folder.iterdir()):
        if (name not in known or is_folder) and not is_clutter(name) and not (known and name == schema.MANIFEST):
            yield name


def check_output(path: Path, *, overwrite: bool) -> Path:
    """Where to write a label file or folder of shards: `path` with links followed; errors as of `write`."""
    if schema.is_shards_name(path):
        return check_folder(path, overwrite=overwrite, foreign=foreign_names)
    return check_target(path, overwrite=overwrite)


class _Files:
    """The files of a new folder: their names, and everything besides the one collection of each.

    Parameters
    ----------
    private:
        the private folder in which it is made.
    target:
        the folder that errors name.
    provenance:
        the records, which every shard has.
    """

    def __init__(self, private: Path, target: Path, provenance: Sequence[str]) -> None:
        self._private, self._target, self.provenance = private, target, provenance
        self._used: Counter[str] = Counter()

    def new(self, name: str) -> tuple[Path, Draft]:
        """A shard of the collection of that name, numbered from 0."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80] or "collection"
        number = self._used[plain.casefold()]
        self._used[plain.casefold()] += 1
        path = self._private / f"{plain}-{number:05d}.h5"
        return path, Draft(path, self._target / path.name)


class _Cut:
    """One collection that is written to shards."""

    def __init__(
        self, name: str, source: SimilaritySource, files: _Files, threads: int | None, shard_pairs: int | None
    ) -> None:
        self._rows = CheckedRows(name, source, most=None)
        self._name, self._files, self._threads = name, files, threads
        self._self_pairs = self._rows.collection.self_pairs
        self._queries = self._rows.table(schema.QUERIES)
        self._database = self._queries if self._self_pairs else self._rows.table(schema.DATABASE)
        self._ok = self._queries["status"] == Status.OK
        default = max(SHARD_PAIRS, PAIRS_PER_CAMERA * len(self._database["key"]))
        self._most = min(schema.MOST, shard_pairs or default)
        self._database_records = {f"{schema.DATABASE}/{n}": r for n, r in digests(self._database).items()}

    def run(self, progress: Callable[[int], object] | None) -> Entry:
        """Write all shards; returns their entry in the manifest."""
        whole = PairDigests()
        with self._rows.blocks(progress) as rows:
            shards = [self._shard(blocks) for _, blocks in groupby(self._pieces(whole, rows), key=itemgetter(0))]
        attributes = self._rows.attributes
        tables = {f"{schema.QUERIES}/{n}": r for n, r in digests(self._queries).items()}
        if not self._self_pairs:
            tables |= self._database_records
        digest = collection_digest(attributes, tables | whole.records())
        return Entry(attributes, self._rows.collection.shape, digest, tuple(shards))

    def _pieces(self, whole: PairDigests, blocks: Iterator[RowBlock]) -> Iterator[tuple[int, RowBlock]]:
        """All rows as shards store them, each block with the number of its shard; `whole` gets them as given."""
        number = rows = pairs = 0  # of the shard that is being filled
        for given in blocks:
            whole.add(given)
            block = with_self_pairs(given, self._ok) if self._self_pairs else given
            ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(block.counts)))
            first = 0
            while first < len(block.counts):
                last = int(np.searchsorted(ends, ends[first] + self._most - pairs, side="right")) - 1
                if last <= first and rows:
                    number, rows, pairs = number + 1, 0, 0
                    continue
                last = max(last, first + 1)
                part = slice(int(ends[first]), int(ends[last]))
                rows, pairs = rows + last - first, pairs + part.stop - part.start
                first_row = block.first_row + first
                yield number, RowBlock(first_row, block.counts[first:last], block.indices[part], block.data[part])
                first = last
        if not len(self._ok):  # the one shard of no rows has the database
            yield 0, RowBlock(0, np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32))

    def _shard(self, blocks: Iterable[tuple[int, RowBlock]]) -> Shard:
        """Write one shard."""
        path, draft = self._files.new(self._name)
        first = last = None
        with draft:
            with draft.writing():
                group = new_group(draft.file, self._name)
            with ChunkQueue(self._threads) as queue:
                pairs = PairArrays(draft, group, (0, len(self._database["key"])), queue)
                for _, block in blocks:
                    first = block.first_row if first is None else first
                    last = block.first_row + len(block.counts)
                    pairs.append(block)
                stored, records = pairs.finish()
                assert first is not None
                assert last is not None
                queries = {name: column[first:last] for name, column in self._queries.items()}
                write_tables(draft, group, {schema.QUERIES: queries, schema.DATABASE: self._database}, queue)
                records |= {f"{schema.QUERIES}/{name}": record for name, record in digests(queries).items()}
                with draft.writing():
                    queue.finish()
            attributes = {**self._rows.attributes, "nnz": stored, "symmetric": 0, "self_pairs": 0}
            digest = finish_collection(draft, group, attributes, records | self._database_records)
            with draft.writing():
                finish(draft.file, {self._name: digest}, self._files.provenance)
        own = int(np.count_nonzero(self._ok[first:last])) if self._self_pairs else 0
        return Shard(
            path=path.name,
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
            content_sha256=file_digest(
                schema.FORMAT_VERSION, schema.WRITER, {self._name: digest}, self._files.provenance
            ),
            rows=(first, last),
            nnz=stored - own,
        )


def with_self_pairs(block: RowBlock, ok: npt.NDArray[np.bool_]) -> RowBlock:
    """Rows of self pairs, with the pair of each ok camera with itself, ψ = 1."""
    rows = np.arange(block.first_row, block.first_row + len(block.counts), dtype=np.int64)
    own = rows[ok[rows]]
    width = len(ok)
    at = np.searchsorted(block.rows * width + block.indices, own * width + own)
    return RowBlock(
        block.first_row,
        block.counts + ok[rows],
        np.insert(block.indices, at, own.astype(np.int32)),
        np.insert(block.data, at, np.float32(1.0)),
    )
