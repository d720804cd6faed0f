"""Pairs in any order become a checked similarity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.errors import InputError
from relabel.exchange.camera_sides import Sides
from relabel.measures import Measure, Unknown
from relabel.similarity import Collection, RowBlock, Similarity, SimilaritySource

_ROUNDING = 1e-6
"""A value may be so much more than 1: sums in float32 are."""


class Counts(NamedTuple):
    """What was done to the values of an import."""

    small: int = 0
    """values in (0, min_value], not stored"""
    clamped: int = 0
    """values a rounding error above 1, stored as 1"""
    diagonal: int = 0
    """values of a camera with itself, not stored"""
    revived: int = 0
    """cameras that were not ok but have a value"""

    def notes(self, min_value: float) -> list[str]:
        """A sentence for each that is not 0."""
        texts = (
            f"values in (0, {min_value:g}] are not stored",
            "values a little above 1 are stored as 1",
            "values of a camera with itself are not stored",
            "cameras have a status that is not ok but also values, so they are taken for ok",
        )
        return [f"{count:,} {text}" for count, text in zip(self, texts, strict=True) if count]


def checked(values: npt.NDArray[Any], where: Callable[[int], str]) -> tuple[npt.NDArray[np.float32], int]:
    """(k,) values as float32 in [0, 1], and how many a rounding error above 1 were clamped.

    Raises
    ------
    InputError
        when one is not finite or outside [0, 1]; `where` says where the entry of a given number stands.
    """
    if values.dtype.kind not in "biuf":
        raise InputError(f"{where(0)}: values of type {values.dtype} are no numbers")
    bad = ~((values >= 0) & (values <= 1.0 + _ROUNDING))
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(
            f"{where(at)}: the value is {values[at]}, and a similarity is in [0, 1] ({int(bad.sum()):,} value(s) read "
            "so far are not); correct it, or scale the values"
        )
    above = values > 1.0
    result = values.astype(np.float32)
    result[above] = 1.0
    return result, int(above.sum())


def from_entries(
    rows: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    values: npt.NDArray[Any],
    sides: Sides,
    *,
    measure: Measure | Unknown,
    min_value: float,
    params: dict[str, Any],
    where: Callable[[int], str],
) -> tuple[Similarity, Counts]:
    """The collection that entries (row, column, value) make, whatever their order.

    Parameters
    ----------
    rows, columns, values:
        (k,) in range of `sides`; zeros are allowed and mean what absence means.
    where:
        says where the entry of a given number stands in the input, for errors.

    Raises
    ------
    InputError
        when a value is not in [0, 1] or a pair stands twice.
    """
    psi, clamped = checked(values, where)
    # One number a pair sorts three times faster than two, and fits for 2^31 cameras a side.
    pair = rows.astype(np.int64) * sides.shape[1] + columns
    order = np.argsort(pair, kind="stable")
    twice = np.flatnonzero(pair[order[1:]] == pair[order[:-1]])
    if len(twice):
        first, second = int(order[twice[0]]), int(order[twice[0] + 1])
        names = str(sides.query.key[rows[first]]), str(sides.database.key[columns[first]])
        raise InputError(
            f"{where(second)}: the pair {names[0]!r}, {names[1]!r} stands there a second time, first in "
            f"{where(first).rsplit(': ', 1)[-1]} ({len(twice):,} pair(s) are repeated); keep one of each"
        )
    del pair
    rows, columns, psi = rows[order], columns[order], psi[order]
    diagonal = (rows == columns) if sides.self_pairs else np.zeros(len(rows), bool)
    keep = (psi > np.float32(min_value)) & ~diagonal
    small = int(((psi > 0.0) & ~keep & ~diagonal).sum())
    rows, columns, psi = rows[keep], columns[keep], psi[keep]
    n, m = sides.shape
    having = (np.bincount(rows, minlength=n) > 0, np.bincount(columns, minlength=m) > 0)
    sides, revived = sides.with_values(*having)
    counts = Counts(small, clamped, int(diagonal.sum()), revived)
    indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.bincount(rows, minlength=n))))
    collection = collection_of(sides, measure=measure, min_value=min_value, params=params, counts=counts)
    return Similarity(collection, sparse.csr_array((psi, columns, indptr), shape=(n, m))), counts


def collection_of(
    sides: Sides, *, measure: Measure | Unknown, min_value: float, params: dict[str, Any], counts: Counts
) -> Collection:
    """The collection of imported labels; what was done to the values is among its parameters."""
    return Collection(
        query=sides.query,
        database=sides.database,
        query_extent=sides.query_extent,
        database_extent=sides.database_extent,
        method="imported",
        measure=measure,
        params=params | {f"values_{name}": count for name, count in counts._asdict().items() if name != "revived"},
        min_value=min_value,
        self_pairs=sides.self_pairs,
    )


@dataclass(frozen=True, eq=False)
class Known:
    """A source with its ok cameras alone."""

    source: SimilaritySource
    collection: Collection = field(init=False)

    def __post_init__(self) -> None:
        c = self.source.collection
        query, extent = c.query.take(c.query.ok), c.query_extent[c.query.ok]
        if c.self_pairs:
            database, database_extent = query, extent
        else:
            database, database_extent = c.database.take(c.database.ok), c.database_extent[c.database.ok]
        kept = replace(c, query=query, database=database, query_extent=extent, database_extent=database_extent)
        object.__setattr__(self, "collection", kept)

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order; a row or column that goes has no pair, so that only numbers change."""
        c = self.source.collection
        rows, columns = (np.cumsum(ok, dtype=np.int64) - ok for ok in (c.query.ok, c.database.ok))
        for block in self.source.blocks():
            kept = c.query.ok[block.first_row : block.first_row + len(block.counts)]
            if kept.any():
                first = int(rows[block.first_row + int(np.argmax(kept))])
                yield RowBlock(first, block.counts[kept], columns[block.indices].astype(np.int32), block.data)


def unknown_pairs(collection: Collection) -> int:
    """How many pairs have a camera that is not ok; those of a camera with itself do not count."""
    n, m = collection.shape
    query, database = int(collection.query.ok.sum()), int(collection.database.ok.sum())
    diagonal = n - query if collection.self_pairs else 0
    return n * m - query * database - diagonal
