"""Bricks of 4 × 4 × 4 voxels: their codes, the table that numbers them, and the ids of their voxels.

A code holds the three numbers of a brick, 19 bits each, counted from the least possible one: x << 38 | y << 19 | z.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from relabel.jit import compiled, inlined

AXIS_BITS = 21
"""Bits of a voxel's number along one axis: two of them give its position in its brick."""
BRICK_BITS = AXIS_BITS - 2
LEAST_BRICK = -(1 << (BRICK_BITS - 1))
_LOW = (1 << BRICK_BITS) - 1
_ONE = np.uint64(1)
_FREE = np.int64(-1)

IndexArray = npt.NDArray[np.int64]
WordArray = npt.NDArray[np.uint64]
IdArray = npt.NDArray[np.int32]


def packed(x: IndexArray, y: IndexArray, z: IndexArray) -> IndexArray:
    """(k,) the codes of the bricks (x, y, z)."""
    code: IndexArray = ((x - LEAST_BRICK) << (2 * BRICK_BITS)) | ((y - LEAST_BRICK) << BRICK_BITS) | (z - LEAST_BRICK)
    return code


def unpacked(code: IndexArray) -> IndexArray:
    """(3, k) the numbers of bricks along each axis, from their codes."""
    return np.stack([(code >> (BRICK_BITS * axis)) & _LOW for axis in (2, 1, 0)]) + LEAST_BRICK


def z_order(code: IndexArray) -> IndexArray:
    """(k,) int64 sort keys of bricks: the bits of the three axes in turn, which keeps nearby bricks together."""
    order = np.zeros(len(code), np.int64)
    for axis in range(3):
        number = (code >> (BRICK_BITS * axis)) & _LOW
        for bit in range(BRICK_BITS):
            order |= ((number >> bit) & 1) << (3 * bit + axis)
    return order


class BrickTable:
    """Numbers bricks in the order of their first occurrence, and keeps which of their voxels are occupied."""

    def __init__(self, capacity: int = 2**12) -> None:
        self._code = np.empty(capacity, np.int64)
        self._mask = np.empty(capacity, np.uint64)
        self._count = 0
        self._slot = np.full(4 * capacity, _FREE, np.int32)

    @property
    def code(self) -> IndexArray:
        """(B,) the codes of the bricks so far."""
        return self._code[: self._count]

    @property
    def mask(self) -> WordArray:
        """(B,) the occupied voxels of each."""
        return self._mask[: self._count]

    def numbers(self, code: IndexArray, word: WordArray) -> IdArray:
        """(k,) int32, the number of each brick, new or not; the voxels of `word` are added to the occupied ones."""
        self._make_room(self._count + len(code))
        out = np.empty(len(code), np.int32)
        self._count = _numbered(code, word, self._code, self._mask, self._slot, self._count, out)
        return out

    def _make_room(self, most: int) -> None:
        capacity = len(self._code)
        if most <= capacity:
            return
        while capacity < most:
            capacity *= 2
        code, mask, count = self.code, self.mask, self._count
        self._code = np.empty(capacity, np.int64)
        self._mask = np.empty(capacity, np.uint64)
        self._slot = np.full(4 * capacity, _FREE, np.int32)
        self._count = _numbered(code, mask, self._code, self._mask, self._slot, 0, np.empty(count, np.int32))


@inlined
def _slot_of(code: Any, slots: Any) -> Any:
    """The slot at which the search for a code begins; `slots` is a power of two."""
    mixed = np.int64(code) * np.int64(0x1E3779B97F4A7C15)
    return (mixed ^ (mixed >> np.int64(29))) & np.int64(slots - 1)


@compiled()
def _numbered(code: Any, word: Any, known: Any, mask: Any, slot: Any, count: Any, out: Any) -> Any:
    """Number each code by the open-addressing table `slot`, add new ones, and return the number of known codes."""
    slots = slot.size
    for k in range(code.size):
        at = _slot_of(code[k], slots)
        while slot[at] >= 0 and known[slot[at]] != code[k]:
            at = (at + 1) & (slots - 1)
        if slot[at] < 0:
            slot[at] = count
            known[count] = code[k]
            mask[count] = np.uint64(0)
            count += 1
        number = slot[at]
        mask[number] |= word[k]
        out[k] = number
    return count


@compiled(parallel=True)
def coordinates(code: Any, mask: Any, first: Any, out: Any) -> None:
    """The three numbers of each voxel into `out` (V, 3)."""
    for b in numba.prange(code.size):
        x = (code[b] >> (2 * BRICK_BITS)) + LEAST_BRICK
        y = ((code[b] >> BRICK_BITS) & _LOW) + LEAST_BRICK
        z = (code[b] & _LOW) + LEAST_BRICK
        at = first[b]
        for bit in range(64):
            if (mask[b] >> np.uint64(bit)) & _ONE:
                out[at, 0] = 4 * x + (bit & 3)
                out[at, 1] = 4 * y + ((bit >> 2) & 3)
                out[at, 2] = 4 * z + (bit >> 4)
                at += 1


def around(sorted_code: IndexArray, row: IdArray, code: IndexArray) -> IdArray:
    """(B, 27) int32, the row of the brick at each step from each of the codes, or -1."""
    out = np.full((len(code), 27), -1, np.int32)
    if not len(code):
        return out
    place = [(code >> (2 * BRICK_BITS)) & _LOW, (code >> BRICK_BITS) & _LOW, code & _LOW]
    for direction in range(27):
        step = (direction // 9 - 1, direction // 3 % 3 - 1, direction % 3 - 1)
        moved = [number + by for number, by in zip(place, step, strict=True)]
        inside = np.logical_and.reduce([(number >= 0) & (number <= _LOW) for number in moved])
        wanted = (moved[0] << (2 * BRICK_BITS)) | (moved[1] << BRICK_BITS) | moved[2]
        at = np.minimum(np.searchsorted(sorted_code, wanted), len(code) - 1)
        there = inside & (sorted_code[at] == wanted)
        out[there, direction] = row[at[there]]
    return out


@inlined
def _set_below(mask: Any, bit: Any) -> Any:
    """How many bits of `mask` below `bit` are set."""
    count = 0
    below = mask & ((_ONE << np.uint64(bit)) - _ONE)
    while below:
        below &= below - _ONE
        count += 1
    return count


@compiled(parallel=True)
def neighbours(about: Any, mask: Any, first: Any, out: Any) -> None:
    """The ids of the 27 voxels around each into `out` (V, 27); -1 where a voxel is not occupied by any frame."""
    for b in numba.prange(mask.size):
        at = first[b]
        for bit in range(64):
            if not (mask[b] >> np.uint64(bit)) & _ONE:
                continue
            for direction in range(27):
                x = (bit & 3) + direction // 9 - 1
                y = ((bit >> 2) & 3) + direction // 3 % 3 - 1
                z = (bit >> 4) + direction % 3 - 1
                other = about[b, 9 * ((x >> 2) + 1) + 3 * ((y >> 2) + 1) + (z >> 2) + 1]
                neighbour = -1
                if other >= 0:
                    there = (x & 3) | ((y & 3) << 2) | ((z & 3) << 4)
                    if (mask[other] >> np.uint64(there)) & _ONE:
                        neighbour = first[other] + _set_below(mask[other], there)
                out[at, direction] = neighbour
            at += 1


@compiled(parallel=True)
def ids(begin: Any, brick: Any, word: Any, mask: Any, first: Any, start: Any, out: Any) -> None:
    """The ids of the voxels of each frame into `out`, ascending; frame f from start[f] on."""
    for f in numba.prange(begin.size - 1):
        at = start[f]
        for k in range(begin[f], begin[f + 1]):
            b = brick[k]
            for bit in range(64):
                if (word[k] >> np.uint64(bit)) & _ONE:
                    out[at] = first[b] + _set_below(mask[b], bit)
                    at += 1
        out[start[f] : at].sort()
