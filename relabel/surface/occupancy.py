"""Which voxels the frames of a scene occupy, in a form that is compact and fast to compare.

A *voxel* is a cube of the world, numbered by three integers; 4 × 4 × 4 of them are a *brick*, whose voxels are the bits
of one 64-bit word: bit (x & 3) + 4 (y & 3) + 16 (z & 3). Only voxels that some frame of either side occupies are
kept: these have the *ids* 0 … V - 1, brick after brick, with bricks along a Z-order curve, so that voxels that are
close in the world mostly have ids that are close.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.surface import _bricks
from relabel.surface._bricks import AXIS_BITS

IndexArray = npt.NDArray[np.int64]
WordArray = npt.NDArray[np.uint64]
IdArray = npt.NDArray[np.int32]

LIMIT = 2 ** (AXIS_BITS - 1)
"""Voxels are numbered from -LIMIT to LIMIT - 1 along every axis."""


@dataclass(frozen=True, eq=False)
class Space:
    """All voxels that any frame of the two sides occupies."""

    code: IndexArray
    """(B,) packed location of each brick; see `brick_code`"""
    mask: WordArray
    """(B,) the voxels of each brick that some frame occupies"""
    first: IndexArray
    """(B + 1,) id of the first voxel of each brick, and V"""

    def __len__(self) -> int:
        """V, the number of voxels."""
        return int(self.first[-1])

    @cached_property
    def coordinate(self) -> IdArray:
        """(V, 3) int32, the three numbers of each voxel: floor of its position over the edge of a voxel."""
        out = np.empty((len(self), 3), np.int32)
        _bricks.coordinates(self.code, self.mask, self.first, out)
        return out

    @cached_property
    def around(self) -> IdArray:
        """(B, 27) int32, the brick at each step of (dx, dy, dz) from (-1, -1, -1) to (1, 1, 1), dz fastest; -1: none.

        Column 13 is the brick itself.
        """
        order = np.argsort(self.code)
        return _bricks.around(self.code[order], order.astype(np.int32), self.code)

    @cached_property
    def neighbour(self) -> IdArray:
        """(V, 27) int32, the id of the voxel at each step of (dx, dy, dz), in the order of `around`; -1: none.

        Column 13 is the voxel itself.
        """
        out = np.empty((len(self), 27), np.int32)
        _bricks.neighbours(self.around, self.mask, self.first, out)
        return out


@dataclass(frozen=True, eq=False)
class Occupancy:
    """The voxels that each of n frames occupies, as words of bricks; none for a frame that cannot be labelled."""

    space: Space
    begin: IndexArray
    """(n + 1,) the bricks of frame f are the entries begin[f] … begin[f + 1] - 1, unordered, without repetition"""
    brick: IdArray
    """(k,) row of `space.code`"""
    word: WordArray
    """(k,) the voxels of the brick that the frame occupies; never 0"""

    def __len__(self) -> int:
        """n, the number of frames."""
        return len(self.begin) - 1

    @cached_property
    def size(self) -> IndexArray:
        """(n,) number of voxels of each frame."""
        ends = np.concatenate(([0], np.cumsum(np.bitwise_count(self.word), dtype=np.int64)))
        sizes: IndexArray = np.diff(ends[self.begin])
        return sizes

    @cached_property
    def start(self) -> IndexArray:
        """(n + 1,) the ids of frame f are the entries start[f] … start[f + 1] - 1 of `voxel`."""
        return np.concatenate((np.zeros(1, np.int64), np.cumsum(self.size)))

    @cached_property
    def voxel(self) -> IdArray:
        """(m,) int32, the ids of all frames, ascending within each: four bytes each; `voxels` is for some frames."""
        return self.voxels(0, len(self))[1]

    def voxels(self, first: int, last: int) -> tuple[IndexArray, IdArray]:
        """The ids of the frames first … last - 1: `start` (from 0) and `voxel` of only these frames."""
        start = self.start[first : last + 1] - self.start[first]
        out = np.empty(int(start[-1]), np.int32)
        _bricks.ids(self.begin[first : last + 1], self.brick, self.word, self.space.mask, self.space.first, start, out)
        return start, out


class Occupancies(NamedTuple):
    """The occupancies of two sides in one space; one object for both if the sides are the same."""

    space: Space
    query: Occupancy
    database: Occupancy


def brick_code(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], z: npt.NDArray[np.int64]) -> IndexArray:
    """(k,) int64 codes of the bricks that the voxels (x, y, z) lie in: 19 bits per axis, x highest, counted from 0."""
    return _bricks.packed(x >> 2, y >> 2, z >> 2)


def voxel_key(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], z: npt.NDArray[np.int64]) -> IndexArray:
    """(k,) int64 keys of the voxels (x, y, z): 64 times the code of their brick plus their bit in it; below 2^63."""
    key: IndexArray = (brick_code(x, y, z) << 6) | (x & 3) | ((y & 3) << 2) | ((z & 3) << 4)
    return key


def words_of_keys(key: IndexArray) -> tuple[IndexArray, WordArray]:
    """The bricks of one frame, as codes and words, from its strictly ascending keys of voxels."""
    code = key >> 6
    first = np.flatnonzero(np.diff(code, prepend=-1))
    bit = np.left_shift(np.uint64(1), (key & 63).astype(np.uint64))
    return code[first], np.bitwise_or.reduceat(bit, first) if len(first) else np.empty(0, np.uint64)


class OccupancyBuilder:
    """Collects the bricks of frames, one frame after the other, and finally makes `Occupancies` of them.

    All frames of a side are added, in order, including those that occupy nothing.
    """

    def __init__(self) -> None:
        self._table = _bricks.BrickTable()
        self._number: list[list[IdArray]] = [[], []]
        self._word: list[list[WordArray]] = [[], []]

    def add(self, side: int, code: IndexArray, word: WordArray) -> None:
        """The next frame of side 0 (query) or 1 (database): (k,) distinct codes of its bricks, and their words."""
        self._number[side].append(self._table.numbers(code, word))
        self._word[side].append(word)

    def add_keys(self, side: int, key: IndexArray) -> None:
        """The next frame, from its strictly ascending keys of voxels (see `voxel_key`)."""
        self.add(side, *words_of_keys(key))

    @property
    def nbytes(self) -> int:
        """Bytes held for the frames so far."""
        return sum(a.nbytes for kind in (self._number, self._word) for side in kind for a in side)

    def build(self, *, same: bool = False) -> Occupancies:
        """The space and the occupancies of both sides; those of side 0 for both if they are the `same`."""
        code, mask = self._table.code, self._table.mask
        order = np.argsort(_bricks.z_order(code))
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(len(order), dtype=np.int32)
        code, mask = code[order], mask[order]
        first = np.concatenate(([0], np.cumsum(np.bitwise_count(mask), dtype=np.int64)))
        space = Space(code, mask, first)
        query = self._side(0, space, rank)
        return Occupancies(space, query, query if same else self._side(1, space, rank))

    def _side(self, side: int, space: Space, rank: IdArray) -> Occupancy:
        number, word = self._number[side], self._word[side]
        begin = np.concatenate(([0], np.cumsum([len(numbers) for numbers in number], dtype=np.int64)))
        bricks = rank[np.concatenate([np.empty(0, np.int32), *number])]
        return Occupancy(space, begin, bricks, np.concatenate([np.empty(0, np.uint64), *word]))
