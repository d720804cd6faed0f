"""Writing a label file: rows are streamed and checked, and only a complete and verified file gets its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from relabel.atomic import replacing
from relabel.labelfile import schema
from relabel.labelfile.camera_table import Table, digests, new_columns, write_columns
from relabel.labelfile.checked_rows import CheckedRows
from relabel.labelfile.chunks import ChunkQueue
from relabel.labelfile.completing import check_names, confirm, finish, finish_collection
from relabel.labelfile.digest import Record
from relabel.labelfile.hdf5_layout import new_group
from relabel.labelfile.pair_arrays import PairArrays
from relabel.labelfile.provenance import record_text
from relabel.labelfile.safe_h5file import Draft
from relabel.labelfile.shard_writer import write_shards
from relabel.similarity import SimilaritySource


def write(
    path: str | os.PathLike[str],
    collections: Mapping[str, SimilaritySource],
    *,
    provenance: Sequence[Mapping[str, Any]] = (),
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
    threads: int | None = None,
) -> Path:
    """Write a label file, or a folder of shards, whole or not at all.

    The same input gives the same bytes, however its rows are cut into blocks and however many threads compress.
    Memory is that of the cameras and of the largest block.

    Parameters
    ----------
    path:
        the file to make, usually ``NAME.h5``, or the folder of shards, always ``NAME.labels``, which holds any number
        of pairs; its own folder exists.
    collections:
        sources by name; ``/`` in a name makes nested groups.
    provenance:
        records made by `provenance.step`, oldest first.
    overwrite:
        whether an existing file may be replaced; it stays unchanged until the new one is complete.
    progress:
        called with the number of rows of each block that has been written.
    threads:
        how many threads compress; None takes all that this process may run on.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        when a name, a camera, a parameter or a pair cannot be stored; the message names collection and row.
    OutputExistsError
        when `path` exists and `overwrite` is False.
    OutputError
        when the folder is missing or not writable, or the disk is full.
    """
    target = Path(path)
    check_names(collections)
    texts = [record_text(record) for record in provenance]
    if schema.is_shards_name(target):
        return write_shards(target, collections, texts, overwrite=overwrite, progress=progress, threads=threads)
    with replacing(target, overwrite=overwrite) as private:
        _write_file(private, target, collections, texts, threads, progress)
        confirm(private, target, "structure")
    return target


def write_temporary(
    path: Path, name: str, source: SimilaritySource, *, provenance: Sequence[Mapping[str, Any]], threads: int | None
) -> None:
    """Write a collection to a file that is soon read again and then removed; replaces an existing one.

    It is a label file like any other, but hardly compressed, and it is not read back: its digest is checked when all
    of it is read. Parameters and errors are those of `write`.
    """
    texts = [record_text(record) for record in provenance]
    with replacing(path, overwrite=True) as private:
        _write_file(private, path, {name: source}, texts, threads, None, fast=True)


def _write_file(
    private: Path,
    target: Path,
    collections: Mapping[str, SimilaritySource],
    texts: Sequence[str],
    threads: int | None,
    progress: Callable[[int], object] | None,
    *,
    fast: bool = False,
) -> None:
    with Draft(private, target) as draft:
        digests_by_name = {
            name: write_collection(draft, name, collections[name], threads, progress, fast=fast)
            for name in sorted(collections)
        }
        with draft.writing():
            finish(draft.file, digests_by_name, texts)


def write_collection(
    draft: Draft,
    name: str,
    source: SimilaritySource,
    threads: int | None,
    progress: Callable[[int], object] | None,
    *,
    fast: bool = False,
) -> str:
    """Write one collection into an open file; returns its digest. For `fast` see `chunks.encoded`."""
    rows = CheckedRows(name, source, most=schema.MOST)
    with draft.writing():
        group = new_group(draft.file, name)
    with ChunkQueue(threads, fast=fast) as queue:
        pairs = PairArrays(draft, group, rows.collection.shape, queue)
        datasets = {side: new_columns(draft, group, side, rows.table(side)) for side in rows.sides}
        records: dict[str, Record] = {}
        with rows.blocks(progress) as blocks:
            for side in rows.sides:
                records |= _write_table(draft, datasets[side], side, rows.table(side), queue)
            for block in blocks:
                pairs.append(block)
        records |= pairs.finish()[1]
    if rows.collection.self_pairs:
        with draft.writing():
            group[schema.DATABASE] = group[schema.QUERIES]
    return finish_collection(draft, group, rows.attributes, records)


def _write_table(
    draft: Draft, datasets: Sequence[Any], side: str, table: Table, queue: ChunkQueue
) -> dict[str, Record]:
    """Write the cameras of a side, which are in memory only meanwhile; returns the digest records of their columns."""
    write_columns(draft, datasets, table, queue)
    return {f"{side}/{name}": record for name, record in digests(table).items()}  # while the threads compress
