"""Spaces and occupancies against sets of voxels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.surface.occupancy import LIMIT, OccupancyBuilder, voxel_key, words_of_keys
from tests.surface.scenes import AROUND, occupancies_of, random_sets, sets_of

number = st.one_of(st.integers(-6, 6), st.sampled_from([-LIMIT, -LIMIT + 1, LIMIT - 1, LIMIT - 2]))
voxel = st.tuples(number, number, number)
sets = st.lists(st.sets(voxel, max_size=30), max_size=6)


class TestGathering:
    @pytest.mark.kernels
    @given(sets, sets)
    @settings(max_examples=60, deadline=None)
    def test_voxels_come_back(self, query, database):
        """What goes in as voxels comes out as ids that ascend within a frame, each the number of its voxel."""
        found = occupancies_of(query, database)
        assert sets_of(found) == query
        assert sets_of(found, database=True) == database
        assert {tuple(row) for row in found.space.coordinate.tolist()} == set().union(*query, *database)
        for side in (found.query, found.database):
            assert side.size.tolist() == np.diff(side.start).tolist()
            for a, b in zip(side.start[:-1], side.start[1:], strict=True):
                assert (np.diff(side.voxel[a:b]) > 0).all()

    @pytest.mark.kernels
    @given(sets)
    @settings(max_examples=40, deadline=None)
    def test_neighbours_are_the_voxels_next_to_each(self, query):
        """27 ids a voxel, itself in the middle, and -1 where no frame occupies anything; never around the end."""
        space = occupancies_of(query).space
        names = [tuple(row) for row in space.coordinate.tolist()]
        place = {name: k for k, name in enumerate(names)}
        expected = [[place.get((x + a, y + b, z + c), -1) for a, b, c in AROUND] for x, y, z in names]
        assert space.neighbour.tolist() == expected

    def test_ids_do_not_depend_on_the_order_of_frames(self):
        """Space is numbered by where things are, not by when they were seen."""
        rng = np.random.default_rng(0)
        query = random_sets(rng, 6, 80, 12.0)
        forward, backward = occupancies_of(query), occupancies_of(query[::-1])
        assert np.array_equal(forward.space.coordinate, backward.space.coordinate)
        assert forward.query.voxels(0, 1)[1].tolist() == backward.query.voxels(5, 6)[1].tolist()

    def test_voxels_of_some_frames(self):
        """A range of frames is told as the whole tells it."""
        found = occupancies_of(random_sets(np.random.default_rng(1), 5, 50, 8.0)).query
        start, ids = found.voxels(1, 4)
        assert start.tolist() == (found.start[1:5] - found.start[1]).tolist()
        assert ids.tolist() == found.voxel[found.start[1] : found.start[4]].tolist()

    def test_the_same_side_twice_is_one_object(self):
        found = occupancies_of([{(0, 0, 0)}])
        assert found.query is found.database

    def test_near_voxels_have_near_ids(self):
        """Half of the steps to a neighbour stay within a block of 512 ids, in a cube of 32,768."""
        grid = np.stack(np.meshgrid(*[np.arange(32)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        space = occupancies_of([{tuple(row) for row in grid.tolist()}]).space
        near = space.neighbour[space.neighbour.min(axis=1) >= 0]
        assert (np.abs(near - near[:, 13:14]) < 512).mean() > 0.5

    def test_many_bricks_make_the_table_grow(self):
        """More than it begins with, and no brick is lost or taken for another."""
        rng = np.random.default_rng(2)
        numbers = rng.integers(-LIMIT, LIMIT, (9_000, 3))
        found = occupancies_of(
            [{tuple(row) for row in numbers[part].tolist()} for part in (slice(0, 6000), slice(3000, 9000))]
        )
        assert len(found.space) == len(np.unique(numbers, axis=0))
        assert found.query.size.tolist() == [
            len(np.unique(numbers[:6000], axis=0)),
            len(np.unique(numbers[3000:], axis=0)),
        ]

    def test_nothing_at_all(self):
        """No frames, or frames that occupy nothing."""
        for query in ([], [set(), set()]):
            found = occupancies_of(query)
            assert len(found.space) == 0
            assert len(found.query) == len(query)
            assert found.query.voxel.tolist() == []
            assert found.space.neighbour.shape == (0, 27)
            assert found.space.coordinate.shape == (0, 3)

    def test_bytes_are_counted(self):
        builder = OccupancyBuilder()
        builder.add_keys(0, voxel_key(*(np.array([1, 5]) for _ in range(3))))
        assert builder.nbytes == 2 * (4 + 8)


class TestWordsOfKeys:
    def test_bits_of_a_brick(self):
        """x counts in ones, y in fours, z in sixteens."""
        x, y, z = (np.array(axis) for axis in zip((0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 0, 3), (4, 0, 0), strict=True))
        code, word = words_of_keys(np.sort(voxel_key(x, y, z)))
        assert word.tolist() == [1 | 1 << 1 | 1 << 8 | 1 << 48, 1]
        assert len(code) == 2

    def test_keys_tell_all_voxels_apart(self):
        """Both ends of every axis, and all signs."""
        numbers = np.array(np.meshgrid(*[[-LIMIT, -1, 0, LIMIT - 1]] * 3)).reshape(3, -1)
        key = voxel_key(*numbers)
        assert len(set(key.tolist())) == 64
        assert key.min() >= 0
