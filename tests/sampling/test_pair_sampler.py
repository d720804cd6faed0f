"""Graded pairs: what is drawn, how often, in which order, by whom, and after a resume."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import re
import subprocess
import sys
from dataclasses import replace
from itertools import islice

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relabel
from relabel.cameras import Cameras
from relabel.errors import InputError, LabelFileError, NotFoundError, OptionError
from relabel.labelfile import LabelFile
from relabel.similarity import Similarity
from relabel.training import GradedPairSampler
from tests.open_files import handles_on
from tests.sampling.dense import band_matrix, blinded, counted, fits, gone_through, pair_chances, stored
from tests.similarities import similarity

SHARES = (0.5, 0.25, 0.25)


@pytest.fixture(scope="module")
def psi() -> Similarity:
    """Queries with all and with some of the bands, cameras that are not ok, values right on the edge."""
    return similarity(14, 17, seed=11, density=0.25)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, psi: Similarity) -> LabelFile:
    """A label file of two collections."""
    path = tmp_path_factory.mktemp("labels") / "two.h5"
    relabel.write(path, {"street": psi, "room/train": similarity(12, seed=12, self_pairs=True)})
    return LabelFile(path)


class TestWhatIsDrawn:
    @given(
        st.integers(0, 10_000),
        st.booleans(),
        st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0]),
        st.sampled_from(["pair", "query"]),
        st.sampled_from([None, (0.0, 30.0), (20.0, 60.0)]),
    )
    @settings(max_examples=60)
    def test_only_pairs_of_the_three_bands(self, seed, self_pairs, density, order, hard_negatives_m):
        """ψ is the stored value or 0; no camera that is not ok, no camera with itself, no zero outside of the ring."""
        psi = similarity(8, 9, seed=seed, density=density, self_pairs=self_pairs)
        bands = band_matrix(psi, hard_negatives_m)
        shares = np.array([1.0, 1.0, 1.0]) * [(bands == b).any() for b in range(3)]
        if not shares.any():
            with pytest.raises(InputError, match="no query has a pair"):
                GradedPairSampler(psi, order=order, hard_negatives_m=hard_negatives_m)
            return
        try:
            sampler = GradedPairSampler(
                psi, shares / shares.sum(), seed=seed, order=order, hard_negatives_m=hard_negatives_m
            )
        except InputError as error:
            assert "no camera has one" in str(error)  # noqa: PT017 - only where nobody has a position
            return
        draw = sampler.draw(200)
        assert (draw.psi == psi.matrix.toarray()[draw.query, draw.database]).all()
        assert (bands[draw.query, draw.database] >= 0).all()
        assert [a.dtype for a in draw] == [np.int64, np.int64, np.float32]

    def test_exactly_one_half_is_positive(self):
        """The edge is that of float32, and belongs to the positives."""
        half = np.nextafter(np.float32(0.5), np.float32(0.0))
        psi = stored([[0.5, half, 0.0]])
        for band, column in enumerate(range(3)):
            bands = [0.0, 0.0, 0.0]
            bands[band] = 1.0
            assert set(GradedPairSampler(psi, bands).draw(50).database.tolist()) == {column}

    def test_one_ok_camera_that_is_absent(self):
        """In a row of which all others are stored or not ok, the one that is left is always drawn."""
        n = 300
        values = np.full((2, n), 0.7)
        values[0, [17, 230]] = 0.0
        values[1, 299] = 0.0
        values[:, 230] = 0.0
        psi = stored(values.tolist())
        psi = Similarity(replace(psi.collection, database=blinded(psi.collection.database, [230])), psi.matrix)
        draw = GradedPairSampler(psi, (0, 0, 1)).draw(100)
        assert set(zip(draw.query.tolist(), draw.database.tolist(), strict=True)) == {(0, 17), (1, 299)}

    def test_the_diagonal_is_no_zero(self):
        """Of three cameras that share nothing each has two zeros."""
        draw = GradedPairSampler(stored([[0.0] * 3] * 3, self_pairs=True), (0, 0, 1)).draw(600)
        assert (counted(draw, (3, 3)) > 0).tolist() == (~np.eye(3, dtype=bool)).tolist()


class TestHowOften:
    @pytest.mark.parametrize("self_pairs", [False, True])
    @pytest.mark.parametrize("shares", [SHARES, (0.2, 0.31, 0.49), (0.0, 1.0, 0.0)])
    def test_band_then_query_then_pair(self, self_pairs, shares):
        """Chi-square over all pairs: shares of bands, queries of a band alike, pairs of a query alike."""
        psi = similarity(14, 17, seed=11, density=0.25, self_pairs=self_pairs)
        chances = pair_chances(band_matrix(psi), shares)
        draw = GradedPairSampler(psi, shares, seed=1).draw(200_000)
        assert fits(counted(draw, psi.shape), chances)

    def test_zeros_within_a_ring(self, psi):
        """All absent cameras at that distance alike, and no others."""
        chances = pair_chances(band_matrix(psi, (20.0, 60.0)), SHARES)
        draw = GradedPairSampler(psi, hard_negatives_m=(20.0, 60.0), seed=1).draw(100_000)
        assert fits(counted(draw, psi.shape), chances)

    def test_query_first(self, psi):
        """As if queries were drawn, then a band, and passed over where they have none of it: by trying it."""
        shares = (0.25, 0.25, 0.5)
        psi = stored([[0.9, 0.3, 0.0, 0.0], [0.0, 0.3, 0.2, 0.0], [0.0, 0.0, 0.0, 0.0], [0.6, 0.7, 0.8, 0.9]])
        bands = band_matrix(psi)
        chances = np.zeros(psi.shape)
        for q in range(4):
            for b in range(3):
                has = bands[q] == b
                chances[q] += 0.25 * shares[b] * has / max(1, has.sum())
        sampler = GradedPairSampler(psi, shares, order="query", seed=2)
        draw = sampler.draw(100_000)
        assert fits(counted(draw, psi.shape), chances)
        passed = chances.sum()
        shares_drawn = [band.share for band in sampler.report().bands]
        assert shares_drawn == pytest.approx([chances[bands == b].sum() / passed for b in range(3)])
        assert sampler.report().exact_round == 1

    @pytest.mark.parametrize(
        ("shares", "of_each", "orders"), [(SHARES, [0, 0, 1, 2], 12), ((1 / 3, 1 / 3, 1 / 3), [0, 1, 2], 6)]
    )
    def test_shares_are_exact_in_every_round(self, psi, shares, of_each, orders):
        """Every aligned run of pairs has them, and all orders of their bands are alike."""
        draw = GradedPairSampler(psi, shares).draw(1000 * len(of_each))
        band = band_matrix(psi)[draw.query, draw.database].reshape(-1, len(of_each))
        assert (np.sort(band, axis=1) == of_each).all()
        kinds, counts = np.unique(band, axis=0, return_counts=True)
        assert len(kinds) == orders
        assert fits(counts, np.full(orders, 1 / orders))

    def test_every_place_of_a_long_round_has_all_bands(self, psi):
        """Rounds of twenty pairs: each place has a band as often as its share."""
        shares = (0.4, 0.35, 0.25)
        draw = GradedPairSampler(psi, shares, seed=2).draw(20_000)
        band = band_matrix(psi)[draw.query, draw.database]
        place = np.arange(20_000) % 20
        assert np.bincount(band).tolist() == [8000, 7000, 5000]
        assert fits(counted((place, band), (20, 3)), np.tile(shares, (20, 1)) / 20)

    def test_neighbouring_draws_are_independent(self):
        """Chi-square over pairs of successive zeros of one query: no camera favours another one after it."""
        draw = GradedPairSampler(stored([[0.0] * 7]), (0, 0, 1)).draw(40_000).database
        assert fits(counted((draw[:-1:2], draw[1::2]), (7, 7)), np.full((7, 7), 1 / 49))


class TestCollections:
    def test_are_numbered_through(self, psi):
        """Rows and columns of the second follow those of the first, and every pair is of one collection."""
        other = similarity(5, 6, seed=13, faults=False, density=0.6)
        sampler = GradedPairSampler([psi, other], length=2000)
        assert sampler.queries.tolist() == [*psi.collection.query.key, *other.collection.query.key]
        assert sampler.database.tolist() == [*psi.collection.database.key, *other.collection.database.key]
        draw = sampler.draw(5000)
        of = sampler.collection_of_query[draw.query]
        assert (of == sampler.collection_of_database[draw.database]).all()
        values = [p.matrix.toarray() for p in (psi, other)]
        for i in range(500):
            query, database = (
                sampler.locate(int(draw.query[i])),
                sampler.locate_database(int(draw.database[i])),
            )
            assert query.collection == database.collection == sampler.collections[of[i]]
            assert (query.side, database.side) == ("queries", "database")
            assert draw.psi[i] == values[of[i]][query.row, database.row]
        with pytest.raises(NotFoundError, match="there are 0 to 18"):
            sampler.locate(19)

    def test_all_queries_alike_by_default(self):
        """Chi-square over the pairs of two collections put in one matrix."""
        parts = [similarity(6, 7, seed=14, density=0.4), similarity(9, 5, seed=15, density=0.4)]
        bands = np.full((15, 12), -1)
        bands[:6, :7], bands[6:, 7:] = (band_matrix(part) for part in parts)
        draw = GradedPairSampler(parts, seed=3).draw(200_000)
        assert fits(counted(draw, bands.shape), pair_chances(bands, SHARES))

    @pytest.mark.parametrize("weights", [(3.0, 1.0, 0.0), {"a": 3, "b": 1, "c": 0}])
    def test_weights(self, weights):
        """In proportion to the weights within a band; where one lacks the band, it is the others' alone."""
        a, b = stored([[0.9, 0.1, 0.0]]), stored([[0.9, 0.8, 0.0]] * 5)
        sampler = GradedPairSampler({"a": a, "b": b, "c": a}, weights=weights, seed=4)
        draw = sampler.draw(40_000)
        of = sampler.collection_of_query[draw.query]
        stored_band = np.where(draw.psi >= 0.5, 0, np.where(draw.psi > 0.0, 1, 2))
        counts = counted((stored_band, of), (3, 3))
        assert fits(counts, np.array([[0.375, 0.125, 0.0], [0.25, 0.0, 0.0], [0.1875, 0.0625, 0.0]]))
        assert len(sampler) == 6

    def test_weights_of_queries_that_come_first(self):
        """A collection is drawn by weight, then a query; what it lacks is passed over."""
        a, b = stored([[0.9, 0.1, 0.0], [0.0, 0.0, 0.0]]), stored([[0.9, 0.8, 0.0]] * 5)
        draw = GradedPairSampler([a, b], weights=[3, 1], order="query", seed=5).draw(40_000)
        band = np.where(draw.psi >= 0.5, 0, np.where(draw.psi > 0.0, 1, 2))
        # Collection by weight, half of the queries of a lack ψ > 0, all of b lack 0 < ψ < 0.5.
        chances = np.array([[0.75 * 0.5 * 0.5, 0.25 * 0.5], [0.75 * 0.5 * 0.25, 0.0], [0.75 * 0.25, 0.25 * 0.25]])
        assert fits(counted((band, (draw.query >= 2).astype(int)), (3, 2)), chances)

    def test_a_band_that_only_a_left_out_collection_has(self):
        """Is empty, and is told so."""
        labels = [stored([[0.3, 0.1, 0.0]]), stored([[0.9, 0.8, 0.0]])]
        with pytest.raises(InputError, match=r"no query has a pair with ψ ≥ 0\.5"):
            GradedPairSampler(labels, weights=[1, 0])
        GradedPairSampler(labels, (0.0, 0.5, 0.5), weights=[1, 0]).draw(10)

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([1.0], "1 weights for 2"),
            ([1.0, -1.0], "not negative"),
            ([0.0, 0.0], "not all zero"),
            ([1.0, np.nan], "finite"),
            ("ab", "one number per collection"),
            ({"street": 1.0}, "room/train"),
            (3, "one number per collection"),
        ],
    )
    def test_wrong_weights(self, file, weights, message):
        """They are named, and so are the collections that they should go with."""
        with pytest.raises(OptionError, match=message):
            GradedPairSampler(file, weights=weights)

    def test_no_collection(self, tmp_path, file):
        """An empty list, and things that are no collections."""
        with pytest.raises(OptionError, match="no collection"):
            GradedPairSampler([])
        for wrong in ("labels.h5", tmp_path, [3], None, {"a": 3}, [[3]], np.ones(3), [file.path]):
            with pytest.raises(OptionError, match="LabelFile"):
                GradedPairSampler(wrong)

    def test_same_names(self, file, tmp_path, psi):
        """Told apart by their files, else by the paths of these, else by number; copies by pickle have them too."""
        (tmp_path / "there").mkdir()
        for path in (tmp_path / "more.h5", tmp_path / "there" / "more.h5"):
            relabel.write(path, {"street": psi})
        here, there = (LabelFile(path)["street"] for path in (tmp_path / "more.h5", tmp_path / "there" / "more.h5"))
        first = file["street"]
        for sources, names in (
            ([first, here], ["two.h5::street", "more.h5::street"]),
            ([here, there], [f"{here.path}::street", f"{there.path}::street"]),
            ([here] * 3, [f"{here.path}::street{number}" for number in ("", " (2)", " (3)")]),
            ([here, here.in_measure("dice")], [f"{here.path}::street", f"{here.path}::street (2)"]),
            ([psi, first], ["collection 0", "street"]),
        ):
            sampler = GradedPairSampler(sources, length=20)
            assert sampler.collections == names
            assert len(sampler.queries) == sum(source.shape[0] for source in (s.collection for s in sources))
            again = pickle.loads(pickle.dumps(sampler))
            assert again.collections == names
            assert list(again) == list(sampler)

    def test_several_files(self, file, tmp_path, psi):
        """A list may hold whole files."""
        relabel.write(tmp_path / "more.h5", {"street": psi})
        more = LabelFile(tmp_path / "more.h5")
        several = GradedPairSampler([file, more["street"], more], length=40)
        one_by_one = GradedPairSampler([*file.values(), more["street"], more["street"]], length=40)
        assert several.collections == one_by_one.collections
        assert list(several) == list(one_by_one)
        assert several.collections[:3] == [f"{file.path}::{name}" for name in file] + [f"{more.path}::street"]


class TestEpochs:
    def test_the_same_seed_gives_the_same_pairs(self, psi, file):
        """From memory or from a file, but not with another seed or epoch."""
        first = list(GradedPairSampler(psi, seed=5, length=100))
        assert first == list(GradedPairSampler(file["street"], seed=5, length=100))
        assert first != list(GradedPairSampler(psi, seed=6, length=100))
        assert {tuple(map(type, pair)) for pair in first} == {(int, int, float)}

    def test_each_epoch_has_its_own_pairs(self, psi):
        """Iterating goes from epoch to epoch; an epoch can be had again by its number."""
        sampler = GradedPairSampler(psi, length=100)
        epochs = [list(sampler) for _ in range(3)]
        assert sampler.epoch == 2
        assert epochs[0] != epochs[1] != epochs[2]
        for epoch in (1, 0, 2, 2):
            sampler.set_epoch(epoch)
            assert list(sampler) == epochs[epoch]

    def test_an_epoch_ends_with_its_last_pair(self, psi):
        """A loop that counts its steps never asks for one more than there are, and still comes to the next epoch."""
        sampler, other = GradedPairSampler(psi, length=12), GradedPairSampler(psi, length=12)
        assert [list(islice(sampler, 12)) for _ in range(2)] == [list(other) for _ in range(2)]
        assert (sampler.epoch, sampler.position) == (1, 12)

    def test_looking_into_an_epoch_does_not_use_it_up(self, psi):
        """An iterator that is left behind changes nothing for the next."""
        sampler = GradedPairSampler(psi, length=10)
        first = next(iter(sampler))
        assert sampler.position == 1
        assert list(sampler).index(first) == 0

    def test_length(self, psi):
        """By default the queries that can be drawn, which depends on the bands; else what was asked for."""
        bands = band_matrix(psi)
        assert len(GradedPairSampler(psi)) == len(list(GradedPairSampler(psi))) == (bands >= 0).any(axis=1).sum()
        assert len(GradedPairSampler(psi, (1, 0, 0))) == (bands == 0).any(axis=1).sum()
        assert len(list(GradedPairSampler(psi, length=7))) == 7

    def test_draw_is_a_stream_of_its_own(self, psi):
        """In pieces as in one, whatever epochs do in between, and not that of the epoch."""
        whole = GradedPairSampler(psi, length=50)
        pieces = GradedPairSampler(psi, length=50)
        pairs = [pieces.draw(30), pieces.draw(0), *(pieces.draw(7) for _ in range(10) if list(pieces) is not None)]
        for a, b in zip(whole.draw(100), zip(*pairs, strict=True), strict=True):
            assert a.tolist() == np.concatenate(b).tolist()
        assert list(whole) != list(zip(*(a[:50].tolist() for a in GradedPairSampler(psi).draw(50)), strict=True))
        zeros = GradedPairSampler(psi, (0, 0, 1), length=50)
        assert list(zeros) != rows(zeros.draw(50))

    def test_chunks_do_not_matter(self, psi, monkeypatch):
        """However many pairs are drawn at once for the iterator."""
        expected = list(GradedPairSampler(psi, length=50))
        for chunk in (1, 3, 50, 64):
            monkeypatch.setattr("relabel.sampling.pair_sampler._CHUNK", chunk)
            assert list(GradedPairSampler(psi, length=50)) == expected


class TestShards:
    @pytest.mark.parametrize("world_size", [2, 3, 8])
    @pytest.mark.parametrize("shares", [SHARES, (0.2, 0.31, 0.49)])
    def test_together_are_what_one_rank_has(self, psi, world_size, shares):
        """Rounds are dealt in turn, each rank has as many, and the same holds for the endless stream."""
        length = 96 * world_size
        one = GradedPairSampler(psi, shares, length=length)
        ranks = [
            GradedPairSampler(psi, shares, length=length, rank=r, world_size=world_size) for r in range(world_size)
        ]
        round_ = one.report().exact_round
        for whole, parts in (
            (list(one), [list(rank) for rank in ranks]),
            (rows(one.draw(length)), [rows(rank.draw(96)) for rank in ranks]),
        ):
            rounds = [[part[i : i + round_] for i in range(0, 96, round_)] for part in parts]
            assert whole == [pair for turn in zip(*rounds, strict=True) for each in turn for pair in each]

    def test_lengths_that_do_not_divide(self, psi):
        """All ranks have as many, whole rounds, and no pair of the epoch is left out."""
        ranks = [GradedPairSampler(psi, length=41, rank=r, world_size=3) for r in range(3)]
        assert [len(rank) for rank in ranks] == [16, 16, 16]
        whole = GradedPairSampler(psi, length=48)
        assert sorted(pair for rank in ranks for pair in rank) == sorted(whole)


def rows(draw):
    return list(zip(*(column.tolist() for column in draw), strict=True))


class TestState:
    @given(st.integers(0, 40), st.integers(0, 3), st.integers(0, 5))
    def test_resumes_in_the_middle(self, taken, epoch, drawn):
        """A new sampler with the state goes on with the very next pair, through JSON; and so does a copy by pickle."""
        psi = stored([[0.9, 0.2, 0.0], [0.5, 0.0, 0.1]])
        sampler = GradedPairSampler(psi, length=40, seed=8)
        sampler.set_epoch(epoch)
        sampler.draw(drawn)
        iterator = iter(sampler)
        for _ in range(taken):
            next(iterator)
        state = json.loads(json.dumps(sampler.state_dict()))
        again = GradedPairSampler(psi, length=40, seed=8)
        again.load_state_dict(state)
        rest = list(iterator)
        again.set_epoch(epoch)
        assert list(again) == rest
        assert list(again) == list(sampler)
        assert again.epoch == sampler.epoch == epoch + 1
        assert rows(again.draw(9)) == rows(sampler.draw(9))

    def test_the_place_of_the_caller(self, psi):
        """A loader that asks ahead is behind the sampler: the caller's count is what is kept, in the epoch in use."""
        sampler = GradedPairSampler(psi, length=20)
        pairs = list(sampler)
        again = GradedPairSampler(psi, length=20)
        again.load_state_dict(sampler.state_dict(position=5))
        assert list(again) == pairs[5:]

    def test_an_old_iterator_says_nothing(self, psi):
        """One of another epoch does not move the place."""
        sampler = GradedPairSampler(psi, length=20)
        old = iter(sampler)
        next(old)
        sampler.set_epoch(4)
        next(old)
        list(old)
        assert (sampler.epoch, sampler.position) == (4, 0)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"seed": 1}, "seed: 0, and this one has 1"),
            ({"bands": (1, 0, 0)}, "bands"),
            ({"order": "query"}, "order"),
            ({"hard_negatives_m": (0, 50)}, "hard_negatives_m"),
            ({"weights": [2.0]}, "weights"),
            ({"length": 21}, "length"),
            ({"world_size": 2}, "world_size"),
        ],
    )
    def test_of_another_setup(self, psi, change, message):
        """The first difference is named."""
        state = GradedPairSampler(psi, length=20).state_dict()
        with pytest.raises(OptionError, match=f"another ({message})"):
            GradedPairSampler(psi, **({"length": 20} | change)).load_state_dict(state)

    def test_of_other_labels(self, psi):
        """One value that differs is enough."""
        changed = psi.matrix.copy()
        changed.data[0] = 0.25 if changed.data[0] != 0.25 else 0.125
        state = GradedPairSampler(psi).state_dict()
        with pytest.raises(OptionError, match="another labels"):
            GradedPairSampler(Similarity(psi.collection, changed)).load_state_dict(state)

    @pytest.mark.parametrize("side", ["query", "database"])
    def test_of_other_ok_cameras(self, side):
        """The same stored pairs, but other zeros."""
        psi = stored([[0.9, 0.2, 0.0, 0.0], [0.9, 0.2, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
        last = len(getattr(psi.collection, side)) - 1
        blind = replace(psi.collection, **{side: blinded(getattr(psi.collection, side), [last])})
        state = GradedPairSampler(psi, length=20).state_dict()
        with pytest.raises(OptionError, match="another labels"):
            GradedPairSampler(Similarity(blind, psi.matrix), length=20).load_state_dict(state)

    def test_of_other_positions(self):
        """Where zeros are hard negatives, moved cameras make other labels; where they do not, they are the same."""
        psi = stored([[0.9, 0.0, 0.0, 0.2]])
        moved = replace(psi.collection.database, position=psi.collection.database.position[::-1].copy())
        moved = Similarity(replace(psi.collection, database=moved), psi.matrix)
        GradedPairSampler(moved).load_state_dict(GradedPairSampler(psi).state_dict())
        # 15 to 25 m away stands camera 2, and then camera 1.
        state = GradedPairSampler(psi, hard_negatives_m=(15, 25)).state_dict()
        with pytest.raises(OptionError, match="another labels"):
            GradedPairSampler(moved, hard_negatives_m=(15, 25)).load_state_dict(state)

    def test_of_another_rank(self, psi):
        """Ranks move together, so any of them may load the state of the first."""
        ranks = [GradedPairSampler(psi, length=80, rank=r, world_size=2) for r in range(2)]
        expected = list(ranks[1])[6:]
        again = GradedPairSampler(psi, length=80, rank=1, world_size=2)
        again.load_state_dict(ranks[0].state_dict(position=6))
        assert list(again) == expected

    @pytest.mark.parametrize(
        "state",
        [
            {},
            None,
            [],
            "state",
            {"version": 1, "epoch": 0, "position": 0, "setup": 3},
            {"version": 2, "epoch": 0, "position": 0, "setup": {}},
        ],
    )
    def test_that_is_none(self, psi, state):
        """Anything else is refused with words."""
        with pytest.raises(OptionError, match=r"the state (is not that|has version 2)"):
            GradedPairSampler(psi).load_state_dict(state)

    @pytest.mark.parametrize("change", [{"position": -1}, {"position": 10**6}, {"position": "a"}, {"epoch": -1}])
    def test_with_a_place_that_is_none(self, psi, change):
        """Such as a position after the end."""
        sampler = GradedPairSampler(psi)
        with pytest.raises(OptionError, match=next(iter(change))):
            sampler.load_state_dict(sampler.state_dict() | change)
        with pytest.raises(OptionError, match="position"):
            sampler.state_dict(position=10**6)

    def test_pickle_holds_the_path(self, file):
        """And no arrays: a copy in another process reads the file again, and goes on from the same place."""
        sampler = GradedPairSampler(file, length=100)
        iterator = iter(sampler)
        for _ in range(60):
            next(iterator)
        text = pickle.dumps(sampler)
        again = pickle.loads(text)
        assert len(text) < 3000
        assert again.collections == sampler.collections
        assert again.state_dict() == sampler.state_dict()
        assert list(again) == list(sampler)
        assert list(pickle.loads(pickle.dumps(again))) == list(again)

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    @pytest.mark.parametrize("start", ["fork", "spawn"])
    def test_in_a_worker(self, file, start):
        """It gives what it would give here, with no file open and without starting threads."""
        sampler = GradedPairSampler(file, length=40, seed=3)
        with multiprocessing.get_context(start).Pool(1) as pool:
            pairs, handles, threads = pool.apply(gone_through, (sampler, file.path))
        assert pairs == list(sampler)
        assert handles == 0
        assert threads[0] == threads[1]


class TestReport:
    def test_counts(self, psi):
        """Pairs and queries of every band, by brute force."""
        report = GradedPairSampler(psi).report()
        bands = band_matrix(psi)
        ok = psi.collection.query.ok
        for i, band in enumerate(report.bands):
            has = (bands == i).any(axis=1)
            assert (band.pairs, band.queries, band.queries_without) == (
                (bands == i).sum(), has.sum(), (ok & ~has).sum(),
            )  # fmt: skip
            assert band.share == SHARES[i]
            assert report.collections[0].pairs[i] == band.pairs
            assert report.collections[0].queries_without[i] == band.queries_without
        assert (report.queries, report.queries_ok, report.exact_round) == (14, ok.sum(), 4)
        assert json.loads(json.dumps(report.to_json()))["bands"][0]["name"] == "positive"

    def test_as_text(self):
        """What a person wants to know."""
        psi = stored([[0.9, 0.2, 0.0], [0.0, 0.1, 0.0]])
        assert str(GradedPairSampler(psi).report()).splitlines() == [
            "2 of 2 queries are ok, in 1 collection",
            "  ψ ≥ 0.5      50.0% of the draws, from 1 pair; queries with none: 1",
            "  0 < ψ < 0.5  25.0% of the draws, from 2 pairs",
            "  ψ = 0        25.0% of the draws, from 3 pairs",
        ]
        assert "  ψ ≥ 0.5     not drawn\n" in str(GradedPairSampler([psi, psi], (0, 0.5, 0.5)).report())


class TestBadInput:
    @pytest.mark.parametrize(
        ("values", "empty", "others"),
        [
            ([[0.2, 0.0]], "ψ ≥ 0.5", "(0, 0.5, 0.5)"),
            ([[0.9, 0.0]], "0 < ψ < 0.5", "(2/3, 0, 1/3)"),
            ([[0.9, 0.3]], "ψ = 0", "(2/3, 1/3, 0)"),
            ([[0.9, 0.9]], "0 < ψ < 0.5", "(1, 0, 0)"),
        ],
    )
    def test_an_empty_band(self, values, empty, others):
        """Named, with the bands that can be had instead, which then work."""
        with pytest.raises(InputError, match=f"{empty}.*without it: bands=") as error:
            GradedPairSampler(stored(values))
        assert str(error.value).endswith(f"bands={others}")
        GradedPairSampler(stored(values), eval(others)).draw(10)
        with pytest.raises(InputError, match=empty):
            GradedPairSampler(stored(values), order="query")

    @pytest.mark.parametrize(
        ("values", "bands", "others"),
        [
            ([0.3, 0.0], (1, 0, 0), "0 < ψ < 0.5 and ψ = 0: bands=(0, 0.5, 0.5)"),
            ([0.0, 0.0], (0.5, 0.5, 0), "ψ = 0: bands=(0, 0, 1)"),
            ([0.7, 0.9], (0, 0, 1), "ψ ≥ 0.5: bands=(1, 0, 0)"),
        ],
    )
    def test_only_bands_that_are_not_asked_for(self, values, bands, others):
        """What there is instead, and the bands for it, which then work."""
        with pytest.raises(InputError, match=f"; there are pairs with {re.escape(others)}$"):
            GradedPairSampler(stored([values]), bands)
        GradedPairSampler(stored([values]), eval(others.rpartition("bands=")[2])).draw(10)

    def test_an_empty_band_of_a_file(self, tmp_path):
        """The message has the addresses of the collections."""
        relabel.write(tmp_path / "labels.h5", {"a": stored([[0.9, 0.0]]), "b": stored([[0.8, 0.0]])})
        address = re.escape(f"{tmp_path / 'labels.h5'}::")
        with pytest.raises(InputError, match=f"^{address}a, {address}b: no query has a pair with 0 < ψ"):
            GradedPairSampler(LabelFile(tmp_path / "labels.h5"))

    def test_nothing_at_all(self):
        """No queries, no database, nobody ok."""
        psi = stored([[0.9, 0.2, 0.0]])
        none = Similarity(replace(psi.collection, query=blinded(psi.collection.query, [0])), psi.matrix * 0)
        none.matrix.eliminate_zeros()
        for empty in (none, similarity(0, 3), similarity(3, 0), similarity(0, 0)):
            with pytest.raises(InputError, match="nor any other pair of ok cameras"):
                GradedPairSampler(empty)

    def test_an_empty_ring(self):
        """Says so, and not that there is no zero."""
        with pytest.raises(InputError, match="at 500 to 900 m; widen hard_negatives_m"):
            GradedPairSampler(stored([[0.9, 0.2, 0.0]]), hard_negatives_m=(500, 900))

    @pytest.mark.parametrize(
        "distance_range", [(1,), (5, 1), (-1, 5), (0, np.inf), ("a", 5), 5, (1, 2, 3), (np.nan, 5)]
    )
    def test_a_ring_that_is_none(self, psi, distance_range):
        """Two distances, the first one smaller."""
        with pytest.raises(OptionError, match="hard_negatives_m"):
            GradedPairSampler(psi, hard_negatives_m=distance_range)

    def test_a_ring_without_positions(self, psi):
        """Imported labels may have none."""
        blank = [
            Cameras(key=c.key, position=c.position * np.nan, heading_deg=c.heading_deg, status=c.status, posed=False)
            for c in (psi.collection.query, psi.collection.database)
        ]
        collection = replace(psi.collection, query=blank[0], database=blank[1], method="imported")
        with pytest.raises(InputError, match="needs positions"):
            GradedPairSampler(Similarity(collection, psi.matrix), hard_negatives_m=(0, 5))

    def test_labels_that_leave_out_positives(self):
        """Absent pairs may have up to min_value, and so could be anything; one of 0.5 may be positive itself."""
        for least in (0.5, 0.6):
            psi = stored([[0.9, 0.8, 0.0]], min_value=least)
            with pytest.raises(InputError, match=rf"up to {least} are not stored.*smaller min_value"):
                GradedPairSampler(psi, (0.5, 0.0, 0.5))
        GradedPairSampler(stored([[0.9, 0.45, 0.0]], min_value=0.4))

    def test_stored_pairs_that_cannot_be(self, psi, tmp_path):
        """A damaged file is refused with the row at fault, and the command that lists all."""
        path = tmp_path / "labels.h5"
        relabel.write(path, {"street": psi})
        with h5py.File(path, "r+") as file:
            file["street/similarity/data"][3] = 7.0
        with pytest.raises(LabelFileError, match=r"labels\.h5: /street/similarity/data: .*row \d+.*relabel validate"):
            GradedPairSampler(LabelFile(path))
        wrong = psi.matrix.copy()
        wrong.data[0] = np.nan
        with pytest.raises(InputError, match="not finite"):
            GradedPairSampler(Similarity(psi.collection, wrong))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"seed": -1}, "seed"),
            ({"seed": 2**64}, "seed"),
            ({"seed": 1.5}, "whole number"),
            ({"seed": None}, "whole number"),
            ({"length": 0}, "length"),
            ({"length": 2.5}, "length"),
            ({"length": "many"}, "length"),
            ({"order": "row"}, "choose pair or query"),
            ({"rank": 1}, "rank"),
            ({"rank": -1}, "rank"),
            ({"world_size": 0}, "world_size"),
        ],
    )
    def test_arguments_that_cannot_be(self, psi, arguments, message):
        """Each is named."""
        with pytest.raises(OptionError, match=message):
            GradedPairSampler(psi, **arguments)

    @pytest.mark.parametrize("n", [-1, 1.5, "a"])
    def test_draws_that_cannot_be(self, psi, n):
        """A number of pairs from 0."""
        with pytest.raises(OptionError, match="n is"):
            GradedPairSampler(psi).draw(n)

    def test_the_callers_arrays_stay_theirs(self, psi):
        """They are not made read-only, nor changed."""
        before = psi.matrix.copy()
        GradedPairSampler(psi).draw(100)
        assert psi.matrix.data.flags.writeable
        assert (psi.matrix != before).nnz == 0


class TestWithTorch:
    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    @pytest.mark.parametrize("workers", [0, 2])
    def test_loader(self, file, workers):
        """A loader calls the dataset with (query, database, ψ), in order, and the caller's count resumes it."""
        data = pytest.importorskip("torch.utils.data")

        class PairTable(data.Dataset):
            def __getitem__(self, pair):
                return pair

        def batches(sampler):
            loader = data.DataLoader(PairTable(), batch_size=8, sampler=sampler, num_workers=workers)
            return iter(loader)

        sampler = GradedPairSampler(file, length=64, seed=9)
        expected = list(GradedPairSampler(file, length=64, seed=9))
        some = batches(sampler)
        pairs = [pair for _ in range(3) for pair in zip(*(column.tolist() for column in next(some)), strict=True)]
        again = GradedPairSampler(file, length=64, seed=9)
        again.load_state_dict(sampler.state_dict(position=24))
        pairs += [pair for batch in batches(again) for pair in zip(*(column.tolist() for column in batch), strict=True)]
        assert pairs == expected

    def test_state_is_plain(self, file, tmp_path):
        """It can be read back where nothing but plain values may be."""
        torch = pytest.importorskip("torch")
        sampler = GradedPairSampler(file, weights=[1, 2], hard_negatives_m=(0, 50))
        torch.save(sampler.state_dict(), tmp_path / "state.pt")
        sampler.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))


class TestLabels:
    def test_no_file_stays_open(self, file):
        """Neither after reading nor while drawing."""
        sampler = GradedPairSampler(file)
        next(iter(sampler))
        assert handles_on(file.path) == 0

    def test_another_measure(self, psi, file):
        """Labels converted as they are read are labels as well."""
        dice = file["street"].in_measure("dice")
        draw = GradedPairSampler(dice).draw(500)
        expected = psi.to_measure("dice").matrix.toarray()
        assert (draw.psi == expected[draw.query, draw.database]).all()

    def test_of_an_unknown_measure(self, psi, tmp_path):
        """Labels that somebody else made, whose measure nobody knows and of which small values were left out."""
        values = np.where(np.random.default_rng(1).random((9, 11)) < 0.3, 0.7, 0.0)
        values[values == 0.0] = np.where(np.random.default_rng(2).random((values == 0.0).sum()) < 0.3, 0.4, 0.0)
        labels = stored(values.tolist(), method="imported", measure="unknown", min_value=0.25)
        relabel.write(tmp_path / "labels.h5", {"theirs": labels})
        sampler = GradedPairSampler(LabelFile(tmp_path / "labels.h5"), seed=6)
        draw = sampler.draw(40_000)
        assert fits(counted(draw, labels.shape), pair_chances(band_matrix(labels), SHARES))
        assert (draw.psi == labels.matrix.toarray()[draw.query, draw.database]).all()
        assert sampler.report().collections[0].min_value == 0.25


class TestLightness:
    def test_no_torch(self):
        """Drawing pairs needs none."""
        code = "import sys\n"
        code += "from relabel.training import DrawnPairs, GradedBatchSampler, GradedPairSampler, SamplerReport\n"
        code += "assert not {'torch', 'PIL'} & set(sys.modules), 'loaded'"
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_the_room_loads_nothing(self):
        """Until a name is used; a wrong name is told."""
        code = "import sys, relabel.training as t\nassert 'numpy' not in sys.modules\n"
        code += "assert 'GradedPairSampler' in dir(t)\n"
        code += "try:\n    t.GradedSampler\nexcept AttributeError as e: assert 'GradedSampler' in str(e)\n"
        subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.real_data
class TestRealData:
    def test_a_city_of_msls(self, real_data, tmp_path):
        """Amman: the shares hold though 97 of 835 queries have no positive, and zeros stand where they should."""
        city = relabel.datasets.msls.read(real_data / "msls", city="amman")
        psi = relabel.fov.overlap(city.query, city.database)
        relabel.write(tmp_path / "amman.h5", {"amman": psi})
        sampler = GradedPairSampler(LabelFile(tmp_path / "amman.h5"), hard_negatives_m=(25, 100), length=8000)
        band = np.array([0 if value >= 0.5 else 1 if value else 2 for _, _, value in sampler])
        assert np.bincount(band).tolist() == [4000, 2000, 2000]
        draw = sampler.draw(8000)
        assert (draw.psi == psi.matrix[draw.query, draw.database]).all()
        zero = draw.psi == 0.0
        apart = np.hypot(*(city.query.position[draw.query] - city.database.position[draw.database])[zero, :2].T)
        assert ((apart >= 25.0) & (apart <= 100.0)).all()

    def test_rooms_with_surface(self, real_data, tmp_path):
        """Frames of redkitchen: no frame with itself, values as labelled, zeros as far away as was asked for."""
        train, test = (
            relabel.datasets.seven_scenes.read(real_data / "7scenes", split=split) for split in ("train", "test")
        )
        parts = {"train": relabel.surface.overlap(train, train, stride=4)}
        parts["test-train"] = relabel.surface.overlap(test, train, stride=4)
        relabel.write(tmp_path / "rooms.h5", parts)
        distance_range = (0.3, 1.5)
        sampler = GradedPairSampler(LabelFile(tmp_path / "rooms.h5"), hard_negatives_m=distance_range, length=4000)
        band = np.array([0 if value >= 0.5 else 1 if value else 2 for _, _, value in sampler])
        assert np.bincount(band).tolist() == [2000, 1000, 1000]
        draw = sampler.draw(4000)
        for query, database, value in zip(*(column.tolist() for column in draw), strict=True):
            one, other = sampler.locate(query), sampler.locate_database(database)
            psi = parts[one.collection]
            assert np.float32(value) == psi.matrix[one.row, other.row]
            assert not (psi.collection.self_pairs and one.row == other.row)
            if not value:
                sides = (psi.collection.query.position[one.row], psi.collection.database.position[other.row])
                assert distance_range[0] <= np.linalg.norm(sides[0] - sides[1]) <= distance_range[1]
