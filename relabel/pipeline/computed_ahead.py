"""Rows that are computed while those before are written."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from relabel.similarity import Collection, RowBlock, SimilaritySource


@dataclass(frozen=True)
class ComputedAhead:
    """A `SimilaritySource` that computes each block in a thread while the one before is checked and compressed.

    Attributes
    ----------
    source:
        what computes the blocks, each in arrays of its own.
    """

    source: SimilaritySource

    @property
    def collection(self) -> Collection:
        """That of the source."""
        return self.source.collection

    def blocks(self) -> Iterator[RowBlock]:
        """All rows in order, as the source cuts them; an error of the source comes where its block would.

        The first block is computed from now on, whenever it is wanted.
        """
        blocks = iter(self.source.blocks())
        pool = ThreadPoolExecutor(1, thread_name_prefix="relabel-rows")
        return self._in_order(pool, blocks, pool.submit(next, blocks, None))

    @staticmethod
    def _in_order(
        pool: ThreadPoolExecutor, blocks: Iterator[RowBlock], coming: Future[RowBlock | None]
    ) -> Iterator[RowBlock]:
        with pool:
            while (block := coming.result()) is not None:
                coming = pool.submit(next, blocks, None)
                yield block
