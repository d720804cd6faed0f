"""Excluded pairs at drawing: never drawn in any band, everything else with exact shares, all of it counted."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relabel
from relabel.errors import InputError, OptionError
from relabel.exchange.positive_rows import rows_above
from relabel.exclusion import Exclusion
from relabel.labelfile import LabelFile
from relabel.report.stats import statistics
from relabel.sampling import GradedBatchSampler, GradedPairSampler
from relabel.sampling.bands import NAMES
from relabel.similarity import Similarity
from tests.sampling.dense import band_matrix, counted, fits, pair_chances, stored
from tests.similarities import similarity

SHARES = (0.5, 0.25, 0.25)
RULES = [{"other_sequence": True}, {"min_frame_gap": 2}, {"min_time_gap_s": 1.5}]


def in_sequences(psi: Similarity, seed: int, *, scattered: bool = False, own: dict | None = None) -> Similarity:
    """The same with columns: sequences one after another or scattered, one of them nameless, half a second a frame."""
    rng = np.random.default_rng(seed)

    def with_columns(cameras):
        n = len(cameras)
        sequence = np.array(["s1", "s2", "", "s3"])[np.sort(rng.integers(0, 4, n))]
        frame = np.arange(n)
        if scattered:
            mixed = rng.permutation(n)
            sequence, frame = sequence[mixed], frame[mixed]
        extra = {"sequence": sequence, "frame": frame, "time_s": 1.7e9 + frame * 0.5}
        return replace(cameras, extra=extra)

    c = psi.collection
    query = with_columns(c.query)
    database = query if c.self_pairs else with_columns(c.database)
    return Similarity(replace(c, query=query, database=database, params={**c.params, **(own or {})}), psi.matrix)


def excluded(psi: Similarity, rule: dict) -> np.ndarray:
    """(queries, database) which pairs a rule excludes, decided one by one."""
    query, database = psi.collection.query.extra, psi.collection.database.extra
    out = np.zeros(psi.shape, bool)
    for i in range(psi.shape[0]):
        for j in range(psi.shape[1]):
            if query["sequence"][i] != database["sequence"][j] or not query["sequence"][i]:
                continue
            if "min_frame_gap" in rule:
                out[i, j] = abs(int(query["frame"][i]) - int(database["frame"][j])) < rule["min_frame_gap"]
            elif "min_time_gap_s" in rule:
                out[i, j] = abs(query["time_s"][i] - database["time_s"][j]) < rule["min_time_gap_s"]
            else:
                out[i, j] = True
    return out


def left(psi: Similarity, rule: dict, names: tuple[str, ...] = NAMES, ring: tuple | None = None) -> np.ndarray:
    """The bands of all pairs that are left, -1 for those that must never be drawn: the oracle."""
    bands = band_matrix(psi, ring)
    own = psi.collection.exclusion.to_json()
    if own:
        bands = np.where(excluded(psi, own), -1, bands)
    of_names = np.isin(bands, [NAMES.index(name) for name in names])
    return np.where(excluded(psi, rule) & of_names, -1, bands) if rule else bands


@pytest.mark.parametrize("self_pairs", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: next(iter(rule)))
def test_shares(rule: dict, self_pairs: bool) -> None:
    """Chi-square over all pairs that are left; the excluded have no chance, in no band."""
    psi = in_sequences(similarity(18, 20, seed=3, density=0.4, self_pairs=self_pairs), 1)
    bands = left(psi, rule)
    assert (bands != band_matrix(psi)).sum() > 10
    sampler = GradedPairSampler(psi, seed=1, **rule)
    draw = sampler.draw(200_000)
    assert fits(counted(draw, psi.shape), pair_chances(bands, SHARES))
    report = sampler.report()
    assert report.exact_round == 4
    assert np.array_equal(np.sort((draw.psi >= 0.5).reshape(-1, 4).sum(axis=1)), np.full(50_000, 2))


def test_shares_with_the_rule_of_the_file_besides() -> None:
    """What the collection excludes and what the sampler does are both left out, though frames and times disagree."""
    psi = in_sequences(similarity(18, 20, seed=3, density=0.4), 1, own={"min_frame_gap": 2}, scattered=True)
    extra = psi.collection.query.extra
    extra["time_s"] = extra["time_s"][::-1].copy()
    rule = {"min_time_gap_s": 2.0}
    assert (excluded(psi, rule) & excluded(psi, {"min_frame_gap": 2})).any()
    draw = GradedPairSampler(psi, seed=1, **rule).draw(200_000)
    assert fits(counted(draw, psi.shape), pair_chances(left(psi, rule), SHARES))


@given(
    st.integers(0, 10_000),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from(RULES),
    st.sampled_from([None, *RULES]),
    st.lists(st.sampled_from(NAMES), min_size=1, unique=True).map(tuple),
    st.sampled_from([None, (0.0, 30.0)]),
)
@settings(max_examples=150)
def test_all_that_is_left_and_nothing_else(seed, self_pairs, scattered, density, rule, own, names, ring) -> None:
    """The pairs drawn are exactly those that are left, the report has their numbers and those of the excluded."""
    psi = in_sequences(similarity(6, 7, seed=seed, density=density, self_pairs=self_pairs), seed, scattered=scattered)
    before = band_matrix(psi, ring)
    psi = replace(psi, collection=replace(psi.collection, params={**psi.collection.params, **(own or {})}))
    bands = left(psi, rule, names, ring)
    shares = np.array([1.0, 1.0, 1.0]) * [(bands == b).any() for b in range(3)]
    options = {"hard_negatives_m": ring, "exclude_from": names, **rule}
    try:
        sampler = GradedPairSampler(psi, shares / shares.sum() if shares.any() else SHARES, seed=seed, **options)
    except InputError as error:
        no_place = [
            not (np.isfinite(side.position).all(axis=1) & side.ok).any()
            or not (side.extra["sequence"][side.ok] != "").any()
            for side in (psi.collection.query, psi.collection.database)
        ]
        assert not shares.any() or any(no_place), error  # noqa: PT017
        return
    draw = sampler.draw(3_000)
    assert (draw.psi == psi.matrix.toarray()[draw.query, draw.database]).all()
    drawn = counted(draw, psi.shape) > 0
    assert not drawn[bands < 0].any()
    if (bands >= 0).sum() < 20:
        assert drawn[bands >= 0].all()
    part = sampler.report().collections[0]
    assert part.pairs == tuple(int((bands == b).sum()) for b in range(3))
    assert part.excluded == tuple(int(((before == b) & (bands < 0)).sum()) for b in range(3))
    lost = [(before == b).any(axis=1) & ~(bands == b).any(axis=1) for b in range(3)]
    assert part.queries_lost == tuple(int(rows.sum()) for rows in lost)
    for name, rows in zip(NAMES, lost, strict=True):
        (keys,) = sampler.lost_queries(name).values()
        assert keys.tolist() == psi.collection.query.key[rows].tolist()


def test_similarity_of_a_batch() -> None:
    """Unknown where a pair is excluded in either direction, and as ever elsewhere; no partner is an excluded one."""
    psi = in_sequences(similarity(24, seed=5, density=0.6, self_pairs=True, faults=False), 2)
    out = excluded(psi, RULES[1])
    sampler, plain = GradedBatchSampler(psi, 8, seed=1, **RULES[1]), GradedBatchSampler(psi, 8, seed=1)
    everything = np.arange(24)
    found, whole = sampler.similarity(everything), plain.similarity(everything)
    assert np.array_equal(found.known, whole.known & ~out)
    assert np.array_equal(found.psi[found.known], whole.psi[found.known])
    assert out[~np.eye(24, dtype=bool)].any()


def test_similarity_of_a_batch_from_two_sides() -> None:
    """The same where queries and database are two sets, whose cameras are numbered one after the other."""
    psi = in_sequences(similarity(10, 12, seed=5, density=0.6, faults=False), 2)
    sampler = GradedBatchSampler(psi, 6, seed=1, **RULES[0])
    known = sampler.similarity(np.arange(22)).known
    assert np.array_equal(known[:10, 10:], ~excluded(psi, RULES[0]))
    assert np.array_equal(known, known.T)


def test_report() -> None:
    """Two sequences of two frames: what is left is between them, and the text says what is not."""
    psi = stored([[0, 0.9, 0, 0.2], [0.9, 0, 0, 0], [0, 0, 0, 0.7], [0.2, 0, 0.7, 0]], self_pairs=True)
    extra = {"sequence": np.array(["a", "a", "b", "b"])}
    query = replace(psi.collection.query, extra=extra)
    psi = Similarity(replace(psi.collection, query=query, database=query), psi.matrix)
    sampler = GradedPairSampler(psi, (0, 0.5, 0.5), other_sequence=True)
    report = sampler.report()
    assert [band.excluded for band in report.bands] == [4, 0, 0]
    assert [band.queries_lost for band in report.bands] == [4, 0, 0]
    assert sampler.lost_queries("positive")["collection"].tolist() == ["q0", "q1", "q2", "q3"]
    assert str(report).splitlines()[-3:] == [
        "  excluded: pairs of one sequence",
        "    4 with ψ ≥ 0.5, 0 with 0 < ψ < 0.5, 0 with ψ = 0",
        "    queries that lose all pairs with ψ ≥ 0.5: 4",
    ]
    assert "pairs of one sequence" in repr(sampler)
    with pytest.raises(InputError, match=r"no query has a pair with ψ ≥ 0.5.*once pairs of one sequence are excluded"):
        GradedPairSampler(psi, other_sequence=True)
    only = GradedPairSampler(psi, (0, 0.5, 0.5), other_sequence=True, exclude_from=("positive",))
    assert only.report().collections[0].excludes == "pairs of one sequence, from positive"
    with pytest.raises(OptionError, match="is not a band"):
        sampler.lost_queries("negative")


@pytest.mark.parametrize("names", [(), ("negative",), "positive"])
def test_bands_that_are_none(names) -> None:
    """The message shows how to name them."""
    with pytest.raises(OptionError, match=r"exclude_from is .*as \('positive',\)"):
        GradedPairSampler(similarity(), other_sequence=True, exclude_from=names)


def test_columns_that_are_missing() -> None:
    """The collection is named."""
    with pytest.raises(InputError, match="collection: the query cameras have no column 'time_s'"):
        GradedPairSampler(similarity(), min_time_gap_s=1.0)
    broken = in_sequences(similarity(), 0, own={"min_frame_gap": "many"})
    with pytest.raises(InputError, match="collection: min_frame_gap is 'many'"):
        GradedPairSampler(broken)


def test_state_and_pickles(tmp_path) -> None:
    """A copy goes on with the same pairs; a sampler of another rule refuses the state and names the rule."""
    psi = in_sequences(similarity(18, 20, seed=3, density=0.4), 1)
    relabel.write(tmp_path / "labels.h5", {"city": psi})
    labels = LabelFile(tmp_path / "labels.h5")
    sampler = GradedPairSampler(labels, seed=1, min_frame_gap=2, exclude_from=("positive", "zero"))
    sampler.draw(5)
    copy = pickle.loads(pickle.dumps(sampler))
    assert np.array_equal(copy.draw(100).database, sampler.draw(100).database)
    with pytest.raises(OptionError, match=r"another excluded: \{'min_frame_gap': 2\}"):
        GradedPairSampler(labels, seed=1).load_state_dict(sampler.state_dict())
    with pytest.raises(OptionError, match="another exclude_from"):
        GradedPairSampler(labels, seed=1, min_frame_gap=2).load_state_dict(sampler.state_dict())


def test_a_file_keeps_its_rule(tmp_path) -> None:
    """Pairs that a label file excludes are stored with their ψ, and no sampler draws them unless told anything."""
    psi = in_sequences(similarity(18, 20, seed=3, density=0.4), 1, own=Exclusion(other_sequence=True).to_json())
    relabel.write(tmp_path / "labels.h5", {"city": psi})
    labels = LabelFile(tmp_path / "labels.h5")
    assert labels["city"].nnz == psi.matrix.nnz
    sampler = GradedPairSampler(labels, seed=1)
    drawn = counted(sampler.draw(20_000), psi.shape) > 0
    assert np.array_equal(drawn, left(psi, {}) >= 0)
    assert sampler.report().collections[0].excludes == "pairs of one sequence"


def test_a_part_of_a_file_without_places() -> None:
    """Cameras of a file with a rule that have no time keep their pairs; whoever chooses that rule is told instead."""
    psi = in_sequences(similarity(18, 20, seed=3, density=0.4), 1, own={"min_time_gap_s": 2.0})
    for side in (psi.collection.query, psi.collection.database):
        side.extra["time_s"] = np.full(len(side), np.nan)
    sampler = GradedPairSampler(psi)
    assert sampler.report().collections[0].excluded == (0, 0, 0)
    assert statistics(psi).excluded.pairs == 0
    assert positives_of(psi) == set(map(tuple, np.argwhere(psi.matrix.toarray() >= 0.5).tolist()))
    with pytest.raises(InputError, match="none of the query cameras has a time_s"):
        GradedPairSampler(psi, min_time_gap_s=1.0)


def positives_of(psi: Similarity) -> set[tuple[int, int]]:
    """The positives of all."""
    positives = rows_above(psi, 0.5)
    rows = np.repeat(np.arange(psi.shape[0]), positives.counts)
    return set(zip(rows.tolist(), positives.indices.tolist(), strict=True))
