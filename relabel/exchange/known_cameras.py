"""Collections without the cameras whose similarities are unknown, for formats that cannot express this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.similarity import Collection, RowBlock, SimilaritySource

BoolArray = npt.NDArray[np.bool_]


def only_ok(cameras: Cameras) -> BoolArray:
    """(n,) the cameras whose status is ok."""
    return cameras.ok


def all_but_panoramas(cameras: Cameras) -> BoolArray:
    """(n,) the cameras that are not panoramas, known or not."""
    return np.asarray(cameras.status != Status.PANORAMA)


@dataclass(frozen=True, eq=False)
class KnownSource:
    """A source without some cameras that have no pairs: those that are not ok, or only panoramas."""

    source: SimilaritySource
    kept: Callable[[Cameras], BoolArray] = only_ok
    collection: Collection = field(init=False)

    def __post_init__(self) -> None:
        c = self.source.collection
        rows, columns = self.kept(c.query), self.kept(c.database)
        query, extent = c.query.take(rows), c.query_extent[rows]
        if c.self_pairs:
            database, database_extent = query, extent
        else:
            database, database_extent = c.database.take(columns), c.database_extent[columns]
        kept = replace(c, query=query, database=database, query_extent=extent, database_extent=database_extent)
        object.__setattr__(self, "collection", kept)

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order; a row or column that is removed has no pair, so only numbers change."""
        c = self.source.collection
        kept_rows = self.kept(c.query)
        rows, columns = (np.cumsum(kept, dtype=np.int64) - kept for kept in (kept_rows, self.kept(c.database)))
        for block in self.source.blocks():
            kept = kept_rows[block.first_row : block.first_row + len(block.counts)]
            if kept.any():
                first = int(rows[block.first_row + int(np.argmax(kept))])
                yield RowBlock(first, block.counts[kept], columns[block.indices].astype(np.int32), block.data)


def unknown_pairs(collection: Collection) -> int:
    """The number of pairs with a camera that is not ok; pairs of a camera with itself do not count."""
    n, m = collection.shape
    query, database = int(collection.query.ok.sum()), int(collection.database.ok.sum())
    diagonal = n - query if collection.self_pairs else 0
    return n * m - query * database - diagonal
