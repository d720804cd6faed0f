"""Counts by bit sets against sets of voxels and their neighbours, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.surface import _bitsets
from relabel.surface.cpu_counter import ENTRY_BYTES, BitsetCounter
from relabel.surface.params import METHODS
from tests.surface.scenes import occupancies_of, random_sets, shared
from tests.surface.test_occupancy import sets


def whole(counter: BitsetCounter) -> tuple[np.ndarray, np.ndarray]:
    counts = counter.counts(slice(0, len(counter.occupancies.query)), slice(0, len(counter.occupancies.database)))
    return counts.s_query, counts.s_database


class TestBitCounter:
    @pytest.mark.kernels
    @pytest.mark.parametrize("method", METHODS)
    @given(query=sets, database=sets)
    @settings(max_examples=40, deadline=None)
    def test_equals_sets(self, method, query, database):
        """Every count of every pair, at the ends of the numbers as well."""
        got = whole(BitsetCounter(occupancies_of(query, database), method))
        for one, expected in zip(got, shared(query, database, method), strict=True):
            assert one.dtype == np.int32
            assert one.tolist() == expected.tolist()

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("same", [False, True])
    def test_equals_sets_over_many_tiles(self, method, same):
        """More frames than a tile holds, more voxels than a block does, and some frames that see nothing."""
        rng = np.random.default_rng(3)
        query = random_sets(rng, 70, 40, 9.0)
        query[5] = query[69] = set()
        database = query if same else random_sets(rng, 131, 40, 9.0)
        occupancies = occupancies_of(query, None if same else database)
        assert len(occupancies.space) > 2 * 512
        got = whole(BitsetCounter(occupancies, method))
        for one, expected in zip(got, shared(query, database, method), strict=True):
            assert np.array_equal(one, expected)
        if same:
            assert np.array_equal(got[0], got[1].T)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("options", [{"memory_bytes": 1}, {"memory_bytes": 60_000}, {"threads": 1}, {"threads": 2}])
    def test_does_not_depend_on_memory_or_threads(self, method, options):
        """Voxel ranges add up to the whole, down to a single block of bits at a time."""
        rng = np.random.default_rng(4)
        occupancies = occupancies_of(random_sets(rng, 20, 100, 12.0), random_sets(rng, 70, 100, 12.0))
        expected = whole(BitsetCounter(occupancies, method))
        for one, other in zip(whole(BitsetCounter(occupancies, method, **options)), expected, strict=True):
            assert np.array_equal(one, other)

    @given(
        rows=st.tuples(st.integers(0, 90), st.integers(0, 90)),
        columns=st.tuples(st.integers(0, 90), st.integers(0, 90)),
        memory_bytes=st.sampled_from([1, 2**20]),
    )
    @settings(max_examples=25, deadline=None)
    def test_any_part_is_a_part_of_the_whole(self, rows, columns, memory_bytes):
        """Slices that begin and end within a tile, or are empty."""
        counter = _PARTS[memory_bytes]
        everything = whole(_PARTS[2**20])
        part = (slice(*rows), slice(*columns))
        for one, expected in zip(counter.counts(*part), everything, strict=True):
            assert np.array_equal(one, expected[part])

    @pytest.mark.kernels
    def test_bytes(self):
        """No tile takes more than is reckoned in any block, which is far less than if all frames touched all blocks."""
        random = np.random.default_rng(7)
        groups = (random_sets(random, 10, 60, 6.0) for _ in range(20))
        far_apart = [{(x + 30 * k, y, z) for x, y, z in cells} for k, group in enumerate(groups) for cells in group]
        occupancies = occupancies_of(far_apart)
        counter = BitsetCounter(occupancies)
        total = 0
        for dilated in (False, True):
            most = counter._bytes(occupancies.query, dilated=dilated)
            panel = counter._panel(occupancies.query, (0, len(most)), (0, counter.blocks), dilated=dilated)
            taken = np.zeros_like(most)
            taken[np.repeat(np.arange(len(most)), np.diff(panel.tile)), panel.block] = np.diff(panel.entry)
            assert (taken * ENTRY_BYTES <= most).all()
            total += int(most.sum())
        assert total < 0.3 * 2 * len(far_apart) * counter.blocks * ENTRY_BYTES
        kept, anew = (BitsetCounter(occupancies, memory_bytes=size) for size in (total, total - 1))
        for one, other in zip(whole(kept), whole(anew), strict=True):
            assert np.array_equal(one, other)
        assert len(kept._kept) == 2
        assert not anew._kept

    @pytest.mark.kernels
    def test_nothing_at_all(self):
        """No frames on either side, or none that occupies anything."""
        for query, database in (([], []), ([set()], []), ([set(), set()], [set()])):
            got = whole(BitsetCounter(occupancies_of(query, database)))
            assert got[0].shape == (len(query), len(database))
            assert not got[0].any()

    @pytest.mark.kernels
    def test_a_full_brick_reaches_all_around(self):
        """Every voxel of a block of 12, against its middle brick: its 26 neighbour bricks are reached as they are."""
        cube = [(x, y, z) for x in range(-4, 8) for y in range(-4, 8) for z in range(-4, 8)]
        middle = {voxel for voxel in cube if all(0 <= c < 4 for c in voxel)}
        got = whole(BitsetCounter(occupancies_of([set(cube)], [middle])))
        assert got[0].tolist() == [[6**3]]
        assert got[1].tolist() == [[4**3]]

    def test_each_single_step(self):
        """One voxel against each of the 124 around it: only the 26 that touch it count."""
        for bit in range(0, 64, 3):
            one = (bit % 4, bit // 4 % 4, bit // 16)
            others = [
                {(one[0] + a, one[1] + b, one[2] + c)}
                for a in range(-2, 3) for b in range(-2, 3) for c in range(-2, 3)
            ]  # fmt: skip
            got = whole(BitsetCounter(occupancies_of([{one}], others)))
            touching = [
                int(max(abs(a - b) for a, b in zip(one, next(iter(other)), strict=True)) <= 1) for other in others
            ]
            assert got[0].tolist() == [touching]
            assert got[1].tolist() == [touching]


_RNG = np.random.default_rng(6)
_SETS = random_sets(_RNG, 90, 30, 8.0)
_PARTS = {memory: BitsetCounter(occupancies_of(_SETS), memory_bytes=memory) for memory in (1, 2**20)}


@pytest.mark.kernels
class TestCompressSteps:
    @given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
    @settings(max_examples=200, deadline=None)
    def test_equals_one_bit_after_the_other(self, mask, word):
        """The bits at the set places of the mask, moved together."""
        moves = np.empty((1, 6), np.uint64)
        _bitsets.compress_steps(np.array([mask], np.uint64), moves)
        value = word & mask
        for i in range(6):
            moved = value & int(moves[0, i])
            value = (value ^ moved) | (moved >> (1 << i))
        places = [k for k in range(64) if mask >> k & 1]
        assert value == sum((word >> place & 1) << k for k, place in enumerate(places))
