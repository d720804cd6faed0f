"""The engine for CPUs: bit sets, AND, and counting bits."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from relabel.jit import thread_count, threads_set
from relabel.surface import _bitsets
from relabel.surface._bitsets import TILE, WIDTH, Panel
from relabel.surface.counting import CountArray, SharedVoxels
from relabel.surface.occupancy import IdArray, Occupancies, Occupancy, WordArray
from relabel.surface.params import Method

Span = tuple[int, int]
"""First, and last + 1"""
BLOCK_BITS = 64 * WIDTH
ENTRY_BYTES = 8 * WIDTH + 4


@dataclass(eq=False)
class BitsetCounter:
    """Counts by bit sets; a `VoxelCounter`.

    Parameters
    ----------
    occupancies:
        the occupancies of both sides.
    method:
        ``surface`` or ``voxel-iou``.
    memory_bytes:
        the memory for bit sets. If those of all frames need more, voxels are counted one range at a time, and their
        bit sets are made again for each block of rows and columns; the counts are the same.
    threads:
        number of threads, by default all; the counts do not depend on it.
    """

    occupancies: Occupancies
    method: Method = "surface"
    memory_bytes: int = 2**30
    threads: int | None = None
    _kept: dict[tuple[bool, bool], Panel] = field(default_factory=dict)
    _most_bytes: dict[tuple[bool, bool], IdArray] = field(default_factory=dict)

    @cached_property
    def _moves(self) -> WordArray:
        out = np.empty((len(self.occupancies.space.mask), 6), np.uint64)
        _bitsets.compress_steps(self.occupancies.space.mask, out)
        return out

    @property
    def blocks(self) -> int:
        """Blocks of bits in the space."""
        return -(-len(self.occupancies.space) // BLOCK_BITS)

    def counts(self, rows: slice, columns: slice) -> SharedVoxels:
        """The counts of the queries `rows` and the database frames `columns`."""
        query, database = self.occupancies.query, self.occupancies.database
        spans = (_tiles(rows, len(query)), _tiles(columns, len(database)))
        shape = tuple((stop - start) * TILE for start, stop in spans)
        crop = tuple(
            slice(part.start - start * TILE, part.stop - start * TILE)
            for part, (start, _) in zip((rows, columns), spans, strict=True)
        )
        out = [np.zeros(shape, np.int32) for _ in self._pairs]
        with threads_set(self.threads):
            for span in (None,) if self._all_fit else self._ranges(*spans):
                self._add(out, spans, span)
        first: CountArray = out[0][crop]
        return SharedVoxels(first, out[-1][crop])

    @property
    def _pairs(self) -> list[tuple[bool, bool]]:
        """Whether queries, and whether database frames, are dilated: for each count that is made."""
        return [(False, False)] if self.method == "voxel-iou" else [(False, True), (True, False)]

    def _add(self, out: list[CountArray], spans: tuple[Span, Span], blocks: Span | None) -> None:
        """Add the counts of one range of blocks of bits, or of all, whose bit sets are then kept."""
        query, database = self.occupancies.query, self.occupancies.database
        for counts, (row_dilated, column_dilated) in zip(out, self._pairs, strict=True):
            if blocks is None:
                panels = self._all(query, dilated=row_dilated), self._all(database, dilated=column_dilated)
                asked = spans
            else:
                panels = (
                    self._panel(query, spans[0], blocks, dilated=row_dilated),
                    self._panel(database, spans[1], blocks, dilated=column_dilated),
                )
                asked = (0, spans[0][1] - spans[0][0]), (0, spans[1][1] - spans[1][0])
            _bitsets.count_shared(*panels[0], *panels[1], *asked, counts)
            del panels  # before the next are made

    def _all(self, side: Occupancy, *, dilated: bool) -> Panel:
        """The bit sets of one side, made once."""
        name = (side is self.occupancies.query, dilated)
        if name not in self._kept:
            self._kept[name] = self._panel(side, (0, _tile_count(side)), (0, self.blocks), dilated=dilated)
        return self._kept[name]

    def _panel(self, side: Occupancy, tiles: Span, blocks: Span, *, dilated: bool) -> Panel:
        """The bit sets of some tiles of frames, or of their dilations, in a range of blocks of bits."""
        space = self.occupancies.space
        about = space.around

        def tile_panel(number: int) -> Any:
            begin = side.begin[number * TILE : (number + 1) * TILE + 1]
            return _bitsets.tile_bitsets(
                begin, side.brick, side.word, about, space.mask, space.first, self._moves, dilated, *blocks
            )

        with ThreadPoolExecutor(thread_count(self.threads)) as pool:
            panels = list(pool.map(tile_panel, range(*tiles)))
        empty = (np.empty(0, np.int32), np.zeros(1, np.int64), np.empty(0, np.int32), np.empty((0, WIDTH), np.uint64))
        block, entry, frame, words = zip(empty, *panels, strict=True)
        ends = np.cumsum([entries[-1] for entries in entry])
        return Panel(
            np.cumsum([len(numbers) for numbers in block], dtype=np.int64),
            np.concatenate(block),
            np.concatenate(
                [np.zeros(1, np.int64), *(entries[1:] + end for entries, end in zip(entry[1:], ends, strict=False))]
            ),
            np.concatenate(frame),
            np.concatenate(words),
        )

    @cached_property
    def _all_fit(self) -> bool:
        """Whether there is memory for the bit sets of all frames."""
        _, query, database = self.occupancies
        sides = (query,) if database is query else (query, database)
        kinds = {dilated for pair in self._pairs for dilated in pair}
        if sum(map(len, sides)) * len(kinds) * self.blocks * ENTRY_BYTES <= self.memory_bytes:
            return True  # even if every frame touches every block
        return sum(int(self._bytes(side, dilated=kind).sum()) for side in sides for kind in kinds) <= self.memory_bytes

    def _bytes(self, side: Occupancy, *, dilated: bool) -> IdArray:
        """(tiles, blocks) the most bytes that the bit sets of each tile can take in each block of bits."""
        name = (side is self.occupancies.query, dilated)
        if name not in self._most_bytes:
            space = self.occupancies.space
            touched = np.zeros((_tile_count(side), self.blocks), np.int32)
            _bitsets.blocks_touched(side.begin, side.brick, space.around, space.first, dilated, touched)
            self._most_bytes[name] = touched * np.int32(ENTRY_BYTES)
        return self._most_bytes[name]

    def _ranges(self, rows: Span, columns: Span) -> Iterator[Span]:
        """Ranges of blocks of bits whose bit sets fit into memory for these tiles, at least one block each."""
        _, query, database = self.occupancies
        needs = [
            self._bytes(query, dilated=row_dilated)[slice(*rows)].sum(axis=0)
            + self._bytes(database, dilated=column_dilated)[slice(*columns)].sum(axis=0)
            for row_dilated, column_dilated in self._pairs
        ]
        ends = np.cumsum(np.max(needs, axis=0))
        low = 0
        while low < self.blocks:
            before = ends[low - 1] if low else 0
            high = max(low + 1, int(np.searchsorted(ends, before + self.memory_bytes, side="right")))
            yield low, high
            low = high


def _tile_count(side: Occupancy) -> int:
    return -(-len(side) // TILE)


def _tiles(part: slice, size: int) -> Span:
    """The tiles that hold the frames of a slice."""
    start, stop, _ = part.indices(size)
    return start // TILE, -(-stop // TILE)
