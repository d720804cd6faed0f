"""Batches of cameras and their matrices."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relabel
from relabel.errors import OptionError
from relabel.labelfile import LabelFile
from relabel.similarity import Similarity
from relabel.training import GradedBatchSampler
from tests.sampling.dense import band_matrix, counted, fits, stored
from tests.similarities import similarity


@pytest.fixture(scope="module")
def both() -> list[Similarity]:
    """A collection with two sides and one with a single one."""
    return [similarity(30, 40, seed=31, density=0.15), similarity(35, seed=32, self_pairs=True, density=0.15)]


def whole_matrix(parts: list[Similarity]) -> np.ndarray:
    """(cameras, cameras) the similarity of all pairs of cameras there are, NaN where unknown, pair by pair."""
    sizes = [sum(p.shape) if not p.collection.self_pairs else p.shape[0] for p in parts]
    matrix = np.full((sum(sizes), sum(sizes)), np.nan, np.float32)
    start = 0
    for part, size in zip(parts, sizes, strict=True):
        values, bands = part.matrix.toarray(), band_matrix(part)
        shift = 0 if part.collection.self_pairs else part.shape[0]
        for q in range(part.shape[0]):
            for d in range(part.shape[1]):
                if bands[q, d] >= 0:
                    matrix[start + q, start + shift + d] = values[q, d]
                    if shift:
                        matrix[start + shift + d, start + q] = values[q, d]
        start += size
    return matrix


class TestSimilarity:
    def test_is_that_of_every_pair(self, both):
        """All cameras in one batch, in any order, against loops over dense matrices."""
        sampler = GradedBatchSampler(both, 8)
        batch = np.random.default_rng(0).permutation(len(sampler.keys))
        similarity_of_batch = sampler.similarity(batch)
        expected = whole_matrix(both)[np.ix_(batch, batch)]
        assert np.array_equal(similarity_of_batch.psi, expected, equal_nan=True)
        assert (similarity_of_batch.known == ~np.isnan(expected)).all()
        assert (similarity_of_batch.psi.dtype, similarity_of_batch.known.dtype) == (np.float32, np.bool_)

    def test_of_values_that_have_a_direction(self):
        """Overlaps of self pairs are kept in both directions."""
        psi = stored([[0.0, 0.9, 0.1], [0.3, 0.0, 0.0], [0.2, 0.0, 0.0]], self_pairs=True, measure="overlap")
        similarity_of_batch = GradedBatchSampler(psi, 3).similarity([0, 1, 2])
        expected = psi.matrix.toarray()
        np.fill_diagonal(expected, np.nan)
        assert np.array_equal(similarity_of_batch.psi, expected, equal_nan=True)

    def test_of_a_camera_that_comes_twice(self, both):
        """With itself it has no known similarity, with others the same in both places."""
        similarity_of_batch = GradedBatchSampler(both, 8).similarity([80, 75, 80])
        assert not similarity_of_batch.known[[0, 2, 0, 2], [0, 2, 2, 0]].any()
        assert np.array_equal(similarity_of_batch.psi[:, 0], similarity_of_batch.psi[:, 2], equal_nan=True)

    def test_of_none_and_of_cameras_that_are_not_there(self, both):
        """Nothing is a matrix too; a wrong number is named."""
        sampler = GradedBatchSampler(both, 8)
        assert sampler.similarity([]).psi.shape == (0, 0)
        for wrong in (-1, 105):
            with pytest.raises(OptionError, match=f"no camera {wrong}; there are 0 to 104"):
                sampler.similarity([0, wrong])

    def test_an_empty_row_and_an_empty_collection(self):
        """A query without stored pairs is a row of zeros."""
        similarity_of_batch = GradedBatchSampler(stored([[0.9, 0.1, 0.0], [0.0, 0.0, 0.0]]), 2).similarity([1, 2, 3, 4])
        assert similarity_of_batch.psi[0, 1:].tolist() == [0.0, 0.0, 0.0]


class TestBatches:
    @given(
        st.integers(0, 1000),
        st.integers(2, 20),
        st.integers(1, 8),
        st.sampled_from([(0.5, 0.25, 0.25), (0.5, 0.5, 0.0), (0.123, 0.456, 0.421), (1.0, 0.0, 0.0)]),
    )
    @settings(max_examples=40)
    def test_are_different_ok_cameras_of_one_collection(self, seed, size, partners, bands):
        """Always full, whatever the labels and the bands."""
        parts = [similarity(20, 60, seed=seed, density=0.3), similarity(60, seed=seed + 1, self_pairs=True)]
        sampler = GradedBatchSampler(parts, size, bands, partners=partners, seed=seed)
        sides = {
            name: {"queries": part.collection.query, "database": part.collection.database}
            for name, part in zip(sampler.collections, parts, strict=True)
        }
        keys = sampler.keys
        for batch in list(sampler)[:10]:
            assert len(set(batch)) == size == len(batch)
            places = [sampler.locate(camera) for camera in batch]
            assert len({place.collection for place in places}) == 1
            for place, camera in zip(places, batch, strict=True):
                cameras = sides[place.collection][place.side]
                assert cameras.ok[place.row]
                assert cameras.key[place.row] == keys[camera]

    def test_bands_of_the_groups(self):
        """A query and its partners have the shares of the bands, exactly where every query has enough of each."""
        rng = np.random.default_rng(5)
        n = 60
        values = rng.permuted(np.tile(np.repeat([0.8, 0.3, 0.0], n // 3), (n, 1)), axis=1)
        psi = stored(values.tolist())
        sampler = GradedBatchSampler(psi, 16, partners=3, length=200, seed=1)
        orders = []
        for batch in sampler:
            groups = np.reshape(batch, (4, 4))
            assert (groups[:, 0] < n).all()
            assert (groups[:, 1:] >= n).all()
            orders.append(2 - np.digitize(values[groups[:, :1], groups[:, 1:] - n], [0.1, 0.5]).ravel())
            assert np.bincount(orders[-1]).tolist() == [6, 3, 3]
        # Three rounds of four pairs: none is in the order of its neighbour in the next batch more often than by chance.
        rounds = np.reshape(orders, (200, 3, 4))
        for shift in (0, 1):
            same = (rounds[:-1, shift:] == rounds[1:, : 3 - shift]).all(axis=2)
            assert fits(np.bincount(same.ravel()), np.array([11 / 12, 1 / 12]))

    def test_a_band_that_a_query_lacks_starts_a_group(self):
        """Half of the queries have no positive, and still half of the pairs are positive."""
        rng = np.random.default_rng(6)
        values = rng.permuted(np.tile(np.repeat([0.8, 0.3, 0.0], 20), (60, 1)), axis=1)
        values[::2][values[::2] > 0.5] = 0.0
        sampler = GradedBatchSampler(stored(values.tolist()), 16, length=300, seed=2)
        bands = np.zeros(3)
        for batch in sampler:
            query = -1
            for camera in batch:
                if camera < 60:
                    query = camera
                else:
                    bands[2 - int(np.digitize(values[query, camera - 60], [0.1, 0.5]))] += 1
        assert bands / bands.sum() == pytest.approx([0.5, 0.25, 0.25], abs=0.02)

    def test_queries_are_alike(self):
        """Chi-square over the first camera of batches: queries with a pair of the first band."""
        values = np.where(np.random.default_rng(7).random((12, 40)) < 0.3, 0.8, 0.0)
        sampler = GradedBatchSampler(stored(values.tolist()), 4, (1.0, 0.0, 0.0), partners=1, length=20_000)
        pairs = np.array(list(sampler))[:, :2] - [0, 12]
        has = values > 0.0
        chances = has / has.sum(axis=1, keepdims=True) / 12
        assert fits(counted(tuple(pairs.T), values.shape), chances)

    def test_what_the_bands_cannot_fill_comes_from_the_database(self):
        """One pair in the band: it comes first, then any other cameras."""
        values = np.zeros((3, 12))
        values[1, 4] = 0.9
        sampler = GradedBatchSampler(stored(values.tolist()), 10, (1, 0, 0), length=30)
        for batch in sampler:
            assert batch[:2] == [1, 7]
            assert min(batch[2:]) >= 3

    def test_a_band_that_is_used_up_makes_way_for_the_others(self):
        """There is one positive pair; the batch goes on with partial ones, until a single place is left."""
        values = np.zeros((40, 300))
        values[:, :60] = 0.3
        values[1, 4] = 0.9
        for batch in GradedBatchSampler(stored(values.tolist()), 16, (0.5, 0.5, 0.0), length=30):
            assert np.count_nonzero(np.array(batch) >= 40 + 60) <= 1

    def test_batches_of_collections(self, both):
        """By default as their queries that can be drawn; weights say otherwise."""
        sampler = GradedBatchSampler(both, 4, length=2000)
        first = np.array([sampler.locate(batch[0]).collection == "collection 0" for batch in sampler])
        usable = [(band_matrix(part) >= 0).any(axis=1).sum() for part in both]
        chance = usable[0] / sum(usable)
        assert fits(np.bincount(first), np.array([1 - chance, chance]))
        only = GradedBatchSampler(both, 4, weights=[0, 1], length=50)
        assert {only.locate(batch[0]).collection for batch in only} == {"collection 1"}

    def test_ranks_share_the_batches(self, both):
        """In turn; all have as many."""
        whole = list(GradedBatchSampler(both, 8, length=20))
        for world_size in (2, 3):
            ranks = [
                list(GradedBatchSampler(both, 8, length=20, rank=r, world_size=world_size)) for r in range(world_size)
            ]
            dealt = [batch for turn in zip(*ranks, strict=True) for batch in turn]
            assert dealt[:20] == whole

    def test_length(self, both):
        """By default as many queries as can be drawn, one in four cameras."""
        usable = sum(int((band_matrix(part) >= 0).any(axis=1).sum()) for part in both)
        assert len(GradedBatchSampler(both, 8)) == -(-usable // 2)
        assert len(list(GradedBatchSampler(both, 8, length=3))) == 3


class TestState:
    def test_resume_and_pickle(self, both, tmp_path):
        """In the middle of an epoch, by JSON and by a copy of the sampler."""
        relabel.write(tmp_path / "labels.h5", {"a": both[0], "b": both[1]})
        labels = LabelFile(tmp_path / "labels.h5")
        sampler = GradedBatchSampler(labels, 8, length=10, seed=3)
        sampler.set_epoch(2)
        iterator = iter(sampler)
        for _ in range(4):
            next(iterator)
        again = GradedBatchSampler(labels, 8, length=10, seed=3)
        again.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
        copy = pickle.loads(pickle.dumps(again))
        rest = list(iterator)
        assert list(again) == list(copy) == rest
        assert list(again) == list(copy) == list(sampler)

    @pytest.mark.parametrize(
        ("change", "name"), [({"batch_size": 9}, "batch_size"), ({"partners": 2}, "partners"), ({"seed": 1}, "seed")]
    )
    def test_of_another_setup(self, both, change, name):
        """The difference is named."""
        state = GradedBatchSampler(both, 8, length=10).state_dict()
        with pytest.raises(OptionError, match=f"another {name}"):
            GradedBatchSampler(both, **({"batch_size": 8, "length": 10} | change)).load_state_dict(state)


class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"batch_size": 1}, "batch_size"),
            ({"batch_size": 2.5}, "batch_size"),
            ({"batch_size": 10_000}, "batch_size is 10000, and collection 0 has .* exclude the collection"),
            ({"partners": 0}, "partners"),
            ({"length": 0}, "length"),
        ],
    )
    def test_arguments_that_cannot_be(self, both, arguments, message):
        """Each is named."""
        with pytest.raises(OptionError, match=message):
            GradedBatchSampler(both, **({"batch_size": 8} | arguments))

    def test_a_small_collection_that_is_left_out(self, both):
        """Need not fill a batch."""
        small = stored([[0.9, 0.2, 0.0]])
        with pytest.raises(OptionError, match="batch_size is 8, and collection 2 has 3 ok database cameras"):
            GradedBatchSampler([*both, small], 8)
        assert len(next(iter(GradedBatchSampler([*both, small], 8, weights=[1, 1, 0])))) == 8

    def test_locate(self, both):
        """Sides and rows of the numbers at every boundary, and numbers beyond."""
        sampler = GradedBatchSampler(both, 8)
        assert [sampler.locate(n)[1:] for n in (0, 29, 30, 69, 70, 104)] == [
            ("queries", 0), ("queries", 29), ("database", 0), ("database", 39), ("queries", 0), ("queries", 34),
        ]  # fmt: skip
        with pytest.raises(OptionError, match="no camera 105"):
            sampler.locate(105)


class TestReport:
    def test_as_that_of_pairs(self, both):
        """Counts of bands."""
        assert GradedBatchSampler(both, 8).report().bands[0].pairs == sum((band_matrix(p) == 0).sum() for p in both)
