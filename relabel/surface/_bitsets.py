"""Bit sets of voxels, and counting the bits that two of them share.

The ids 0 … V - 1 of a space are the bits of a long row of 64-bit words, `WIDTH` words to a *block*. Frames come in
tiles of `TILE`, one after the other, and a tile keeps only the blocks that its frames touch: block after block, and in
a block frame after frame,

    tile    0               1
    block   3     4     9   4     5     …
    frame   0 2 5 0 2 3 3   0 1   1
    words   ■ ■ ■ ■ ■ ■ ■   ■ ■   ■         each ■ is WIDTH words

so that two tiles are compared by walking along their blocks together: blocks that only one of them touches are
skipped, and all words of a block that both touch are adjacent in the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from relabel.jit import compiled, inlined

TILE = 64
WIDTH = 8
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)

# The voxels of a brick whose x (y, z) is 3 or 0: from these, a step can leave the brick.
_X3, _X0 = np.uint64(0x8888888888888888), np.uint64(0x1111111111111111)
_Y3, _Y0 = np.uint64(0xF000F000F000F000), np.uint64(0x000F000F000F000F)


class Panel(NamedTuple):
    """The bit sets of the frames of one side; see the drawing above."""

    tile: npt.NDArray[np.int64]
    """(tiles + 1,) first place of each tile in `block`"""
    block: npt.NDArray[np.int32]
    """(b,) ascending within a tile"""
    entry: npt.NDArray[np.int64]
    """(b + 1,) first place of each block in `frame` and `words`"""
    frame: npt.NDArray[np.int32]
    """(e,) the frame, counted from the first of its tile"""
    words: npt.NDArray[np.uint64]
    """(e, WIDTH)"""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self)


if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def _bit_count(word: Any) -> int:
        return int(word).bit_count()

else:

    @numba.extending.intrinsic
    def _bit_count(_typing: Any, word: Any) -> Any:
        """The number of set bits of a word, by a single instruction."""

        def code(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return builder.ctpop(arguments[0])

        return word(word), code


@compiled(parallel=True)
def compress_steps(mask: Any, out: Any) -> None:
    """For each mask the six sets of bits, (B, 6), that `_compressed` moves, by prefix sums of zeros in parallel.

    Warren, Hacker's Delight, section 7-4 (compress).
    """
    for b in numba.prange(mask.size):
        m = mask[b]
        zeros = ~m << _ONE
        for i in range(6):
            odd = zeros ^ (zeros << _ONE)
            for step in range(1, 6):
                odd ^= odd << np.uint64(1 << step)
            moved = odd & m
            out[b, i] = moved
            m = (m ^ moved) | (moved >> np.uint64(1 << i))
            zeros &= ~odd


@inlined
def _compressed(word: Any, moves: Any, b: Any) -> Any:
    """The bits of a word where its mask is set, moved together at the low end, in order."""
    for i in range(6):
        moved = word & moves[b, i]
        word = (word ^ moved) | (moved >> np.uint64(1 << i))
    return word


@inlined
def _dilate(word: Any, about: Any, b: Any, mask: Any, grown: Any, touched: Any, count: Any) -> Any:
    """Add the voxels of a word and their 26 neighbours to `grown`, where any frame has them; list new bricks."""
    for dx in range(3):
        if dx == 0:
            along = (word & _X0) << np.uint64(3)
        elif dx == 1:
            along = word | ((word & ~_X3) << np.uint64(1)) | ((word & ~_X0) >> np.uint64(1))
        else:
            along = (word & _X3) >> np.uint64(3)
        if along == np.uint64(0):
            continue
        for dy in range(3):
            if dy == 0:
                sheet = (along & _Y0) << np.uint64(12)
            elif dy == 1:
                sheet = along | ((along & ~_Y3) << np.uint64(4)) | ((along & ~_Y0) >> np.uint64(4))
            else:
                sheet = (along & _Y3) >> np.uint64(12)
            if sheet == np.uint64(0):
                continue
            for dz in range(3):
                other = about[b, 9 * dx + 3 * dy + dz]
                if other < 0:
                    continue
                # Along z, the bits that leave the brick leave the word.
                if dz == 0:
                    part = sheet << np.uint64(48)
                elif dz == 1:
                    part = sheet | (sheet << np.uint64(16)) | (sheet >> np.uint64(16))
                else:
                    part = sheet >> np.uint64(48)
                part &= mask[other]
                if part == np.uint64(0):
                    continue
                if grown[other] == np.uint64(0):
                    touched[count] = other
                    count += 1
                grown[other] |= part
    return count


@compiled()
def tile_bitsets(
    begin: Any, brick: Any, word: Any, about: Any, mask: Any, first: Any, moves: Any, dilated: Any, low: Any, high: Any,
) -> Any:  # fmt: skip
    """The bit sets of one tile of frames, or of their dilations, in the blocks low … high - 1.

    Returns block, entry, frame and words as `Panel` holds them, entries counted from 0.
    """
    grown = np.zeros(mask.size, np.uint64)
    touched = np.empty(mask.size, np.int32)
    row = np.zeros((high - low) * WIDTH + 1, np.uint64)
    base = np.int64(low) * WIDTH
    width = row.size - 1
    of_frame = np.empty(1024, np.int32)
    of_block = np.empty(1024, np.int32)
    words = np.empty((1024, WIDTH), np.uint64)
    sizes = np.zeros(high - low + 1, np.int64)
    entries = 0
    for f in range(begin.size - 1):
        count = 0
        for k in range(begin[f], begin[f + 1]):
            b = brick[k]
            if dilated:
                count = _dilate(word[k], about, b, mask, grown, touched, count)
            else:
                grown[b] = word[k]
                touched[count] = b
                count += 1
        least, most = np.int64(width), np.int64(-1)
        for t in range(count):
            b = touched[t]
            bits = _compressed(grown[b], moves, b)
            grown[b] = np.uint64(0)
            at = (first[b] >> 6) - base
            shift = np.uint64(first[b] & 63)
            over = (bits >> np.uint64(1)) >> (np.uint64(63) - shift)
            if 0 <= at < width:
                row[at] |= bits << shift
                least, most = min(least, at), max(most, at)
            if over != np.uint64(0) and 0 <= at + 1 < width:
                row[at + 1] |= over
                least, most = min(least, at + 1), max(most, at + 1)
        for block in range(least // WIDTH, most // WIDTH + 1):
            some = np.uint64(0)
            for w in range(WIDTH):
                some |= row[block * WIDTH + w]
            if some == np.uint64(0):
                continue
            if entries == of_frame.size:
                of_frame = np.concatenate((of_frame, of_frame))
                of_block = np.concatenate((of_block, of_block))
                words = np.concatenate((words, words))
            of_frame[entries] = f
            of_block[entries] = block
            for w in range(WIDTH):
                words[entries, w] = row[block * WIDTH + w]
                row[block * WIDTH + w] = np.uint64(0)
            sizes[block + 1] += 1
            entries += 1
    blocks = 0
    for n in range(high - low):
        blocks += 1 if sizes[n + 1] > 0 else 0
    block_out = np.empty(blocks, np.int32)
    entry_out = np.zeros(blocks + 1, np.int64)
    place = np.cumsum(sizes)
    blocks = 0
    for n in range(high - low):
        if sizes[n + 1] > 0:
            block_out[blocks] = low + n
            entry_out[blocks + 1] = place[n + 1]
            blocks += 1
    frame_out = np.empty(entries, np.int32)
    words_out = np.empty((entries, WIDTH), np.uint64)
    # Entries are in the order of frames, and stay so within a block.
    for n in range(entries):
        at = place[of_block[n]]
        place[of_block[n]] += 1
        frame_out[at] = of_frame[n]
        for w in range(WIDTH):
            words_out[at, w] = words[n, w]
    return block_out, entry_out, frame_out, words_out


@compiled(parallel=True)
def blocks_touched(begin: Any, brick: Any, around: Any, first: Any, dilated: Any, out: Any) -> None:
    """Add to out[t, b] how many frames of tile t can have a bit in block b, by their bricks and those next to them."""
    bits = 64 * WIDTH
    for tile in numba.prange(out.shape[0]):
        seen = np.full(out.shape[1], -1, np.int64)
        for f in range(tile * TILE, min((tile + 1) * TILE, begin.size - 1)):
            for k in range(begin[f], begin[f + 1]):
                for step in range(0 if dilated else 13, 27 if dilated else 14):
                    other = around[brick[k], step]
                    if other < 0:
                        continue
                    for block in range(first[other] // bits, (first[other + 1] - 1) // bits + 1):
                        if seen[block] != f:
                            seen[block] = f
                            out[tile, block] += 1


@compiled(parallel=True)
def count_shared(
    row_tile: Any, row_block: Any, row_entry: Any, row_frame: Any, row_words: Any,
    column_tile: Any, column_block: Any, column_entry: Any, column_frame: Any, column_words: Any,
    rows: Any, columns: Any, out: Any,
) -> None:  # fmt: skip
    """Add to `out` the bits that frames share, for the tiles rows[0] … rows[1] - 1 and columns[0] … columns[1] - 1."""
    wide = columns[1] - columns[0]
    for pair in numba.prange((rows[1] - rows[0]) * wide):
        r, c = pair // wide, pair % wide
        i, last_i = row_tile[rows[0] + r], row_tile[rows[0] + r + 1]
        j, last_j = column_tile[columns[0] + c], column_tile[columns[0] + c + 1]
        top, left = r * TILE, c * TILE
        while i < last_i and j < last_j:
            if row_block[i] < column_block[j]:
                i += 1
            elif row_block[i] > column_block[j]:
                j += 1
            else:
                # Unsigned, since a signed index costs a test for negative values.
                begin, end = np.uint64(column_entry[j]), np.uint64(column_entry[j + 1])
                for e in range(np.uint64(row_entry[i]), np.uint64(row_entry[i + 1])):
                    counts = out[top + row_frame[e], left : left + TILE]
                    w0, w1, w2, w3 = row_words[e, 0], row_words[e, 1], row_words[e, 2], row_words[e, 3]
                    w4, w5, w6, w7 = row_words[e, 4], row_words[e, 5], row_words[e, 6], row_words[e, 7]
                    for g in range(begin, end):
                        low = _bit_count(w0 & column_words[g, 0]) + _bit_count(w1 & column_words[g, 1])
                        low += _bit_count(w2 & column_words[g, 2]) + _bit_count(w3 & column_words[g, 3])
                        high = _bit_count(w4 & column_words[g, 4]) + _bit_count(w5 & column_words[g, 5])
                        high += _bit_count(w6 & column_words[g, 6]) + _bit_count(w7 & column_words[g, 7])
                        counts[np.uint64(column_frame[g])] += np.int32(low + high)
                i += 1
                j += 1
