"""A collection that is being written: everything is checked once, whatever it is written to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from relabel.errors import InputError, OptionError
from relabel.excluded_pairs import check_columns
from relabel.labelfile import schema
from relabel.labelfile.camera_table import Table, as_table, digests
from relabel.labelfile.pair_rules import RowChecks, Symmetry
from relabel.similarity import Collection, RowBlock, SimilaritySource


class CheckedRows:
    """The cameras and rows of a source, in the types of the file; an `InputError` if they break a rule.

    Parameters
    ----------
    name:
        the name of the collection, for messages.
    source:
        the source of its rows.
    most:
        the largest number of pairs; None for any number.

    Attributes
    ----------
    attributes:
        those of the collection, with ``nnz`` once all blocks have been read.
    sides:
        the names of the tables of cameras; only one for self pairs.
    """

    def __init__(self, name: str, source: SimilaritySource, *, most: int | None) -> None:
        self.where = f"collection {name!r}"
        self.collection = source.collection
        self._source, self._most = source, most
        self.attributes = self._checked_attributes(self.collection)
        try:
            check_columns(self.collection.exclusion, self.collection.query, self.collection.database)
        except (InputError, OptionError) as error:
            raise InputError(f"{self.where}: {error}") from None
        self.sides = (schema.QUERIES,) if self.collection.self_pairs else (schema.QUERIES, schema.DATABASE)
        self._check_same()
        self._next_row = self._total = 0
        self._rules = RowChecks(
            self.collection.query.ok,
            self.collection.database.ok,
            min_value=self.collection.min_value,
            self_pairs=self.collection.self_pairs,
        )
        self._symmetry = Symmetry(self.collection.shape[0]) if self.collection.symmetric else None

    def table(self, side: str) -> Table:
        """The cameras of a side, encoded at each call; they take a fifth of the memory of computing their pairs."""
        c = self.collection
        cameras, extent = (c.query, c.query_extent) if side == schema.QUERIES else (c.database, c.database_extent)
        return as_table(cameras, extent, f"{self.where}, {side}")

    @contextmanager
    def blocks(self, progress: Callable[[int], object] | None) -> Iterator[Iterator[RowBlock]]:
        """All rows, checked block by block; faults that only show at the end are found after the last.

        A source that computes ahead begins at once, not when the first block is wanted. It is closed at the end of the
        context, after an error too, so that nothing is still being computed when the error is reported.
        """
        blocks = self._source.blocks()
        try:
            yield self._in_turn(blocks, progress)
        finally:
            if (close := getattr(blocks, "close", None)) is not None:
                close()

    def _in_turn(self, blocks: Iterable[RowBlock], progress: Callable[[int], object] | None) -> Iterator[RowBlock]:
        for unchecked in blocks:
            block = self._checked(unchecked)
            yield block
            if progress is not None:
                progress(len(block.counts))
        rows = self.collection.shape[0]
        if self._next_row != rows:
            raise InputError(f"{self.where}: the rows end after {self._next_row} of {rows}")
        self._check_symmetry()
        self.attributes["nnz"] = self._total

    def _checked_attributes(self, collection: Collection) -> dict[str, Any]:
        if max(collection.shape) > schema.MOST:
            raise InputError(f"{self.where}: has {max(collection.shape)} cameras; at most {schema.MOST} can be stored")
        if collection.method not in schema.METHODS:
            raise InputError(f"{self.where}: method {collection.method!r} is not one of {', '.join(schema.METHODS)}")
        if collection.database.crs != collection.query.crs:
            raise InputError(
                f"{self.where}: queries are in {collection.query.crs!r} and the database is in "
                f"{collection.database.crs!r}; convert both to one frame"
            )
        if fault := schema.text_fault(collection.crs):
            raise InputError(f"{self.where}: crs {collection.crs!r} {fault}")
        attributes: dict[str, Any] = {
            "method": collection.method,
            "measure": collection.measure,
            "params": schema.canonical_json(dict(collection.params), f"{self.where}: params"),
            "crs": collection.crs,
            "min_value": float(collection.min_value),
            "symmetric": int(collection.symmetric),
            "self_pairs": int(collection.self_pairs),
        }
        for name, value in attributes.items():
            if isinstance(value, str) and len(value.encode()) > schema.ATTRIBUTE_BYTES:
                raise InputError(
                    f"{self.where}: {name} takes {len(value.encode())} bytes, but at most {schema.ATTRIBUTE_BYTES} "
                    "can be stored; keep only what affects the result"
                )
        return attributes

    def _check_same(self) -> None:
        """Refuse self pairs if the two sides are not the same cameras."""
        c = self.collection
        if not c.self_pairs or (c.database is c.query and c.database_extent is c.query_extent):
            return
        if digests(self.table(schema.DATABASE)) != digests(self.table(schema.QUERIES)):
            raise InputError(f"{self.where}: self_pairs is set, but queries and database are not the same cameras")

    def _checked(self, block: RowBlock) -> RowBlock:
        """The block in the types of the file, all rules checked."""
        rows = self.collection.shape[0]
        counts: Any = np.asarray(block.counts)
        indices: Any = np.asarray(block.indices)
        data: Any = np.asarray(block.data)
        first, last = block.first_row, block.first_row + len(counts)
        where = f"{self.where}, block of rows {first} to {last - 1}"
        if first != self._next_row or last > rows:
            raise InputError(
                f"{where}: expected rows from {self._next_row} on, of {rows}; blocks have to be in order, without gaps"
            )
        if counts.dtype.kind not in "iu" or indices.dtype.kind not in "iu" or data.dtype.kind != "f":
            raise InputError(f"{where}: counts and columns have to be integers and values floats")
        if (counts < 0).any() or not int(counts.sum()) == len(indices) == len(data):
            raise InputError(
                f"{where}: the counts of its rows add up to {int(counts.sum())}, with {len(indices)} columns and "
                f"{len(data)} values"
            )
        self._total += len(indices)
        if self._most is not None and self._total > self._most:
            raise InputError(
                f"{where}: brings the collection to {self._total:,} pairs, but one file can hold at most "
                f"{self._most:,}; write a folder of shards, which holds any number: name it NAME{schema.SHARDS_SUFFIX}"
            )
        block = RowBlock(first, counts.astype(np.int64), indices, data.astype("<f4", copy=False))
        for fault in self._rules.faults(block):
            key = str(self.collection.query.key[fault.row])
            raise InputError(f"{self.where}, query {key!r}: {fault}")
        block = block._replace(indices=indices.astype("<i4", copy=False))
        if self._symmetry is not None:
            self._symmetry.add(block)
        self._next_row = last
        return block

    def _check_symmetry(self) -> None:
        unbalanced = self._symmetry.unbalanced() if self._symmetry is not None else ()
        if len(unbalanced):
            keys = ", ".join(repr(str(self.collection.query.key[i])) for i in unbalanced[:2])
            raise InputError(
                f"{self.where}: {self.collection.measure} of a self-paired collection has to be symmetric, but the "
                f"rows of {len(unbalanced)} camera(s) differ from their columns, among them {keys}"
            )
