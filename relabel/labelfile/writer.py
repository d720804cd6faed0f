"""Writing a label file: rows stream in, are checked, and only a complete and verified file gets its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relabel.atomic import replacing
from relabel.errors import InputError, OptionError, OutputError
from relabel.excluded_pairs import check_columns
from relabel.labelfile import schema
from relabel.labelfile.camera_table import Table, as_table, digests, write_table
from relabel.labelfile.chunks import ParallelColumns
from relabel.labelfile.digest import ArrayDigest, Record, collection_digest, file_digest
from relabel.labelfile.hdf5_layout import new_group
from relabel.labelfile.pair_rules import RowChecks, Symmetry
from relabel.labelfile.provenance import record_text
from relabel.labelfile.safe_h5file import Draft
from relabel.labelfile.validator import validate
from relabel.similarity import Collection, RowBlock, SimilaritySource


def write(
    path: str | os.PathLike[str],
    collections: Mapping[str, SimilaritySource],
    *,
    provenance: Sequence[Mapping[str, Any]] = (),
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
    threads: int | None = None,
) -> Path:
    """Write a label file, whole or not at all.

    The same input gives the same bytes, however its rows are cut into blocks and however many threads compress.
    Memory is that of the cameras and of the largest block.

    Parameters
    ----------
    path:
        the file to make, usually ``NAME.h5``; its folder exists.
    collections:
        sources by name; ``/`` in a name makes nested groups.
    provenance:
        records made by `provenance.step`, oldest first.
    overwrite:
        whether a file that is there may be replaced; it stays as it is until the new one is complete.
    progress:
        called with the number of rows of every block that has been written.
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
    with replacing(target, overwrite=overwrite) as private:
        with Draft(private, target) as draft:
            digests_by_name = {
                name: _CollectionWriter(draft, name, collections[name], threads).run(progress)
                for name in sorted(collections)
            }
            with draft.writing():
                finish(draft.file, digests_by_name, texts)
        confirm(private, target, "structure")
    return target


def check_names(names: Mapping[str, object]) -> None:
    """Raise an `InputError` unless all names can stand together in one file."""
    if not names:
        raise InputError("there is no collection to write; a label file holds at least one")
    for name in names:
        fault = schema.name_fault(name)
        if fault:
            raise InputError(f"collection {name!r}: the name {fault}; choose another name")
    fault = schema.nesting_fault(names)
    if fault:
        raise InputError(fault)


def finish(file: Any, collections: Mapping[str, str], provenance: Sequence[str]) -> None:
    """Write what stands around the collections, whose digests are given by name, and declare the file complete."""
    group = new_group(file, schema.PROVENANCE)
    for number, text in enumerate(provenance):
        group.create_dataset(f"{number:04d}", data=schema.stored_text(text), track_times=False)
    header = {
        "format": schema.FORMAT,
        "format_version": schema.FORMAT_VERSION,
        "writer": schema.WRITER,
        "content_sha256": file_digest(schema.FORMAT_VERSION, schema.WRITER, collections, provenance),
    }
    for name, value in header.items():
        file.attrs[name] = schema.stored_text(value)
    file.flush()
    file.attrs["complete"] = np.uint8(1)


def confirm(private: Path, target: Path, level: str, hint: str = "check disk and memory and try again") -> None:
    """Read a finished file back; raise an `OutputError` that ends with `hint` unless it is valid."""
    errors = [finding for finding in validate(private, level).findings if finding.severity == "error"]
    if errors:
        raise OutputError(
            f"{target}: the new file does not read back as it was written, so the target was left unchanged "
            f"({errors[0].path}: {errors[0].message}); {hint}"
        )


class _CollectionWriter:
    """One collection on its way into an open file."""

    def __init__(self, draft: Draft, name: str, source: SimilaritySource, threads: int | None) -> None:
        self._draft, self._name, self._source, self._threads = draft, name, source, threads
        self._where = f"collection {name!r}"
        collection = source.collection
        self._collection = collection
        self._attributes = self._checked_attributes(collection)
        try:
            check_columns(collection.exclusion, collection.query, collection.database)
        except (InputError, OptionError) as error:
            raise InputError(f"{self._where}: {error}") from None
        self._counts = np.zeros(collection.shape[0], np.int64)
        self._next_row = self._total = 0
        self._rules = RowChecks(
            collection.query.ok,
            collection.database.ok,
            min_value=collection.min_value,
            self_pairs=collection.self_pairs,
        )
        self._symmetry = Symmetry(collection.shape[0]) if collection.symmetric else None

    def run(self, progress: Callable[[int], object] | None) -> str:
        """Write everything; the collection's digest."""
        tables = self._tables()
        records = {f"{side}/{name}": r for side, table in tables.items() for name, r in digests(table).items()}
        with self._draft.writing():
            group = new_group(self._draft.file, self._name)
            for side, table in tables.items():
                write_table(new_group(group, side), table)
            if self._collection.self_pairs:
                group[schema.DATABASE] = group[schema.QUERIES]
            pairs = new_group(group, schema.SIMILARITY)
            for name, value in schema.ENCODING.items():
                pairs.attrs[name] = schema.stored_text(value)
            pairs.attrs["shape"] = np.array(self._collection.shape, "<i8")
        records |= self._pairs(pairs, progress)
        digest = collection_digest(self._attributes, records)
        with self._draft.writing():
            for name, value in self._attributes.items():
                group.attrs[name] = schema.stored_attribute(name, value)
            group.attrs["content_sha256"] = schema.stored_text(digest)
        return digest

    def _checked_attributes(self, collection: Collection) -> dict[str, Any]:
        if max(collection.shape) > schema.MOST:
            raise InputError(f"{self._where}: has {max(collection.shape)} cameras; at most {schema.MOST} can be stored")
        if collection.method not in schema.METHODS:
            raise InputError(f"{self._where}: method {collection.method!r} is not one of {', '.join(schema.METHODS)}")
        if collection.database.crs != collection.query.crs:
            raise InputError(
                f"{self._where}: queries are in {collection.query.crs!r} and the database is in "
                f"{collection.database.crs!r}; convert both to one frame"
            )
        if fault := schema.text_fault(collection.crs):
            raise InputError(f"{self._where}: crs {collection.crs!r} {fault}")
        attributes: dict[str, Any] = {
            "method": collection.method,
            "measure": collection.measure,
            "params": schema.canonical_json(dict(collection.params), f"{self._where}: params"),
            "crs": collection.crs,
            "min_value": float(collection.min_value),
            "symmetric": int(collection.symmetric),
            "self_pairs": int(collection.self_pairs),
        }
        for name, value in attributes.items():
            if isinstance(value, str) and len(value.encode()) > schema.ATTRIBUTE_BYTES:
                raise InputError(
                    f"{self._where}: {name} takes {len(value.encode())} bytes, but at most {schema.ATTRIBUTE_BYTES} "
                    "can be stored; keep only what affects the result"
                )
        return attributes

    def _tables(self) -> dict[str, Table]:
        c = self._collection
        queries = as_table(c.query, c.query_extent, f"{self._where}, queries")
        if c.self_pairs and c.database is c.query and c.database_extent is c.query_extent:
            return {schema.QUERIES: queries}
        database = as_table(c.database, c.database_extent, f"{self._where}, database")
        if not c.self_pairs:
            return {schema.QUERIES: queries, schema.DATABASE: database}
        if digests(database) != digests(queries):
            raise InputError(f"{self._where}: self_pairs is set, but queries and database are not the same cameras")
        return {schema.QUERIES: queries}

    def _pairs(self, group: Any, progress: Callable[[int], object] | None) -> dict[str, Record]:
        running = {name: ArrayDigest(dtype) for name, dtype in schema.ARRAYS.items()}
        with self._draft.writing():
            columns = ParallelColumns(group, {n: schema.ARRAYS[n] for n in ("indices", "data")}, self._threads)
        with columns:
            for unchecked in self._source.blocks():
                block = self._checked(unchecked)
                running["indices"].update(block.indices)
                running["data"].update(block.data)
                with self._draft.writing():
                    columns.append((block.indices, block.data))
                if progress is not None:
                    progress(len(block.counts))
            if self._next_row != len(self._counts):
                raise InputError(f"{self._where}: the rows end after {self._next_row} of {len(self._counts)}")
            self._check_symmetry()
            with self._draft.writing():
                total = columns.finish()
        indptr = np.concatenate((np.zeros(1, "<i4"), np.cumsum(self._counts).astype("<i4")))
        running["indptr"].update(indptr)
        with self._draft.writing():
            # Not compressed, so that a row is found fast; the checksum is there because one flipped bit moves pairs.
            chunk = (min(len(indptr), schema.CHUNK_ENTRIES),)
            group.create_dataset("indptr", data=indptr, chunks=chunk, fletcher32=True, track_times=False)
        self._attributes["nnz"] = total
        shapes = {"indptr": indptr.shape, "indices": (total,), "data": (total,)}
        return {f"{schema.SIMILARITY}/{name}": digest.record(shapes[name]) for name, digest in running.items()}

    def _checked(self, block: RowBlock) -> RowBlock:
        """The block in the types of the file, all rules checked."""
        counts: Any = np.asarray(block.counts)
        indices: Any = np.asarray(block.indices)
        data: Any = np.asarray(block.data)
        first, last = block.first_row, block.first_row + len(counts)
        where = f"{self._where}, block of rows {first} to {last - 1}"
        if first != self._next_row or last > len(self._counts):
            raise InputError(
                f"{where}: expected rows from {self._next_row} on, of {len(self._counts)}; blocks have to be in "
                "order, without gaps"
            )
        if counts.dtype.kind not in "iu" or indices.dtype.kind not in "iu" or data.dtype.kind != "f":
            raise InputError(f"{where}: counts and columns have to be integers and values floats")
        if (counts < 0).any() or not int(counts.sum()) == len(indices) == len(data):
            raise InputError(
                f"{where}: the counts of its rows add up to {int(counts.sum())}, with {len(indices)} columns and "
                f"{len(data)} values"
            )
        self._total += len(indices)
        if self._total > schema.MOST:
            raise InputError(
                f"{where}: brings the collection to {self._total:,} pairs, but one can hold at most {schema.MOST:,}; "
                "divide its queries among several files (shards, formats/label-file-v1.md, section 9)"
            )
        block = RowBlock(first, counts.astype(np.int64), indices, data.astype("<f4", copy=False))
        for fault in self._rules.faults(block):
            key = str(self._collection.query.key[fault.row])
            raise InputError(f"{self._where}, query {key!r}: {fault}")
        block = block._replace(indices=indices.astype("<i4", copy=False))
        if self._symmetry is not None:
            self._symmetry.add(block)
        self._counts[first:last] = block.counts
        self._next_row = last
        return block

    def _check_symmetry(self) -> None:
        unbalanced = self._symmetry.unbalanced() if self._symmetry is not None else ()
        if len(unbalanced):
            keys = ", ".join(repr(str(self._collection.query.key[i])) for i in unbalanced[:2])
            raise InputError(
                f"{self._where}: {self._collection.measure} of a self-paired collection has to be symmetric, but the "
                f"rows of {len(unbalanced)} camera(s) differ from their columns, among them {keys}"
            )
