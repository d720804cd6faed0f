"""Rows that are computed while those before are written."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

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

    def blocks(self) -> Generator[RowBlock, None, None]:
        """All rows in order, as the source cuts them; an error of the source comes where its block would.

        The first block is computed from now on, whenever it is wanted. Closing the generator waits for the block that
        is being computed.
        """
        blocks = self._none_and_blocks()
        next(blocks)
        return blocks

    def _none_and_blocks(self) -> Generator[Any, None, None]:
        """The blocks, after a None as soon as the first one is being computed.

        So the generator has begun, and closing it ends its thread, even where no block was ever wanted.
        """
        blocks = iter(self.source.blocks())
        with ThreadPoolExecutor(1, thread_name_prefix="relabel-rows") as pool:
            coming = pool.submit(next, blocks, None)
            yield None
            while (block := coming.result()) is not None:
                coming = pool.submit(next, blocks, None)
                yield block
