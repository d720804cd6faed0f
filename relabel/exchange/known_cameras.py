"""Collections without the cameras whose similarities are unknown, for formats that cannot say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from relabel.similarity import Collection, RowBlock, SimilaritySource


@dataclass(frozen=True, eq=False)
class KnownSource:
    """A source without the cameras that are not ok."""

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
