"""Pairs that labels exclude, in an evaluation: no positives, passed over as answers, no zeros either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import relabel
from relabel.evaluation import places
from relabel.evaluation.evaluate import assess, correlate, evaluation_text, search
from relabel.evaluation.ground_truth import EvaluationSet, Rule, evaluation_set
from relabel.evaluation.metrics import evaluate, graded, sampled_pairs
from relabel.evaluation.positives import positives_by_similarity
from relabel.excluded_pairs import ExcludedPairs
from relabel.exclusion import Exclusion
from relabel.similarity import Similarity
from tests.evaluation.evaluations import label_file, random_descriptors, town


def in_drives(psi: Similarity, **rule: object) -> Similarity:
    """The same with drives of six cameras, the last of each side in none, and a rule."""

    def with_columns(cameras: relabel.Cameras) -> relabel.Cameras:
        n = len(cameras)
        sequence = np.array([f"drive{k // 6}" for k in range(n - 1)] + [""])
        return replace(cameras, extra={"sequence": sequence, "frame": np.arange(n)})

    c = psi.collection
    query = with_columns(c.query)
    database = query if c.self_pairs else with_columns(c.database)
    return Similarity(replace(c, query=query, database=database, params={**c.params, **rule}), psi.matrix)


def self_town(seed: int = 0) -> Similarity:
    cameras = town(40, 1, seed=seed).collection.query
    return relabel.fov.overlap(cameras, cameras, fov_deg=90, radius_m=50)


def excluded(psi: Similarity, gap: float = np.inf) -> np.ndarray:
    """(queries, database) of all cameras, decided by the definition."""
    query, database = psi.collection.query.extra, psi.collection.database.extra
    one = (query["sequence"][:, None] == database["sequence"]) & (query["sequence"][:, None] != "")
    return one & (np.abs(query["frame"][:, None] - database["frame"]) < gap)


@pytest.fixture(params=["distance", "psi"])
def rule(request: pytest.FixtureRequest) -> Rule:
    return Rule(within_m=25.0) if request.param == "distance" else Rule(psi=0.3)


def set_of(path: Path, rule: Rule, **collections: Similarity) -> EvaluationSet:
    labels = label_file(path, **collections)
    return evaluation_set(places.of_labels(list(labels.values())), rule)


@pytest.mark.parametrize("self_pairs", [False, True])
def test_the_oracle(rule: Rule, self_pairs: bool, tmp_path: Path) -> None:
    """All scores are those of the matrix of distances and positives with the excluded pairs struck out."""
    plain = self_town() if self_pairs else town(30, 40)
    psi = in_drives(plain, min_frame_gap=4)
    truth = set_of(tmp_path / "a.h5", rule, a=psi)
    without = set_of(tmp_path / "b.h5", rule, a=plain)
    rows, columns = (
        [side.key.tolist().index(key) for key in keys]
        for side, keys in ((psi.collection.query, truth.query), (psi.collection.database, truth.database))
    )
    out = excluded(psi, 4)[np.ix_(rows, columns)]
    own = np.equal.outer(rows, columns) if self_pairs else np.zeros_like(out)
    assert (out & ~own).sum() == truth.excluded_counts().sum() > 50
    expected = [
        np.setdiff1d(right, np.flatnonzero(row)) for right, row in zip(without.positives.objects(), out, strict=True)
    ]
    assert sum(map(len, expected)) < without.positives.counts.sum()
    assert [right.tolist() for right in truth.positives.objects()] == [right.tolist() for right in expected]

    query, database = random_descriptors(truth)
    apart = np.linalg.norm(query[:, None].astype(float) - database, axis=2)
    apart[out | own] = np.inf
    ranking = np.argsort(apart, axis=1)[:, :5]
    found = search(truth, query, database, (1, 5), top=5)
    np.testing.assert_array_equal(found.indices, ranking)
    evaluation = assess(truth, found.indices, (1, 5), descriptors=(query, database))
    scores = evaluate(ranking, expected, (1, 5))
    np.testing.assert_array_equal(evaluation.scores.recall, scores.recall)
    np.testing.assert_array_equal(evaluation.scores.map, scores.map)

    # Predictions of somebody who does not know the rule: those behind an excluded one move up.
    everything = np.argsort(np.linalg.norm(query[:, None].astype(float) - database, axis=2), axis=1)
    told = assess(truth, everything, (1, 5))
    if not self_pairs:
        np.testing.assert_array_equal(told.rows[:, :5], ranking)
        np.testing.assert_array_equal(told.scores.recall, scores.recall)

    values = np.where(out, 0.0, without.psi.toarray())
    np.testing.assert_array_equal(truth.psi.toarray(), values)
    correlation = correlate(truth, query, database)
    known = np.outer(*truth.psi_known) & ~out & ~own
    assert correlation.pairs == np.count_nonzero(values)
    assert correlation.zeros == min(correlation.pairs, np.count_nonzero(known & (values == 0)))
    assert f"excluded: pairs of one sequence that are fewer than 4 frames apart ({(out & ~own).sum():,})" in "\n".join(
        evaluation_text(evaluation)
    )
    assert evaluation.to_json()["excluded"]["pairs"] == (out & ~own).sum()


def test_two_places(tmp_path: Path) -> None:
    """Only answers of a query's own place can be excluded ones, also where sequences of two places have one name."""
    first, second = town(12, 14, prefix="a"), town(12, 14, prefix="b", seed=1)
    truth = set_of(tmp_path / "l.h5", Rule(within_m=60.0), a=in_drives(first, other_sequence=True), b=in_drives(second))
    everything = np.broadcast_to(np.arange(truth.shape[1]), truth.shape)
    out = truth.is_excluded(everything)
    of_b = truth.query_place == 1
    assert not out[of_b].any()
    assert not out[:, truth.database_place == 1].any()
    assert out[~of_b].any()


def test_zeros_that_are_drawn() -> None:
    """In a large matrix zeros are drawn by trial, and none of them is an excluded pair."""
    n = 2100
    side = relabel.Cameras(
        [f"c{i}" for i in range(n)], np.zeros((n, 2)), np.zeros(n), extra={"sequence": np.arange(n) % 2}
    )
    pairs = ExcludedPairs(Exclusion(other_sequence=True), side, side)
    matrix = sparse.random_array((n, n), density=0.001, rng=1, format="csr", dtype=np.float32)
    matrix.sort_indices()
    known = (np.ones(n, bool), np.ones(n, bool))
    rows, columns, values = sampled_pairs(sparse.csr_array(matrix), known, np.full(n, -1), excluded=pairs)
    zeros = values == 0
    assert zeros.sum() == matrix.nnz
    assert (rows[zeros] % 2 != columns[zeros] % 2).all()


def test_functions_that_take_a_collection(tmp_path: Path) -> None:
    """`positives_by_similarity` and `graded` leave excluded pairs out as well."""
    plain = town(30, 40)
    psi = in_drives(plain, other_sequence=True)
    stored = label_file(tmp_path / "l.h5", a=psi)["a"]
    values = np.where(excluded(psi), 0.0, plain.matrix.toarray())
    assert [row.tolist() for row in positives_by_similarity(stored, 0.3).objects()] == [
        np.flatnonzero(row >= np.float32(0.3)).tolist() for row in values
    ]
    best = np.argsort(-plain.matrix.toarray(), axis=1)[:, :3]
    np.testing.assert_array_equal(
        graded(stored, best, (3,)).top1,
        np.where(values.any(axis=1), np.take_along_axis(values, best[:, :1], 1)[:, 0], np.nan),
    )
