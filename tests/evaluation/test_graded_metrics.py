"""relabel.evaluation.metrics: nDCG by loops and by hand, correlation against SciPy, pairs against the matrix."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

import relabel
from relabel.evaluation import metrics as module
from relabel.evaluation.metrics import graded, pair_distances, psi_of, sampled_pairs, spearman
from tests.similarities import similarity


def ndcg(values: np.ndarray, answers: list[int], k: int) -> float:
    """nDCG@k of one query from its dense row, by loops."""
    gained, seen = 0.0, set()
    for rank, answer in enumerate(answers[:k], start=1):
        if answer >= 0 and answer not in seen:
            gained += float(values[answer]) / math.log2(rank + 1)
            seen.add(answer)
    best = sorted(map(float, values), reverse=True)[:k]
    most = sum(value / math.log2(rank + 1) for rank, value in enumerate(best, start=1))
    return gained / most if most > 0.0 else math.nan


class TestGraded:
    """graded"""

    def test_by_hand(self) -> None:
        """Answers of ψ 0.5, 0 and 1 where the best are 1 and 0.5.

        DCG@3 = 0.5/log₂2 + 0/log₂3 + 1/log₂4 = 1; the most is 1 + 0.5/log₂3.
        """
        scores = graded(sparse.csr_array(np.array([[1.0, 0.5, 0.0]], np.float32)), [[1, 2, 0]], [1, 3])
        assert scores.ndcg[0].tolist() == pytest.approx([0.5, 1.0 / (1.0 + 0.5 / math.log2(3))])
        assert scores.top1.tolist() == [0.5]

    @given(st.integers(0, 10_000), st.integers(1, 12))
    def test_equals_the_loops(self, seed: int, k: int) -> None:
        """On any matrix with empty rows, with strangers, repetitions and fewer answers than k."""
        rng = np.random.default_rng(seed)
        dense = (rng.random((6, 9)) * (rng.random((6, 9)) < 0.4)).astype(np.float32)
        answers = rng.integers(-1, 9, (6, int(rng.integers(0, 8))))
        scores = graded(sparse.csr_array(dense), answers, [k])
        expected = [ndcg(row, each.tolist(), k) for row, each in zip(dense, answers, strict=True)]
        np.testing.assert_allclose(scores.ndcg[:, 0], expected, rtol=1e-12)
        first = [row[a[0]] if len(a) and a[0] >= 0 else 0.0 for row, a in zip(dense, answers, strict=True)]
        np.testing.assert_array_equal(scores.top1, np.where(dense.any(axis=1), first, np.nan))

    def test_the_best_ranking_has_1(self) -> None:
        """Answers by falling ψ cannot be beaten."""
        dense = similarity(10, 12, density=0.8, faults=False).matrix.toarray()
        scores = graded(sparse.csr_array(dense), np.argsort(-dense, axis=1))
        np.testing.assert_allclose(scores.mean_ndcg, 1.0, rtol=1e-12)

    def test_of_a_label_file(self, tmp_path: Path) -> None:
        """Queries whose similarities are unknown are left out."""
        psi = similarity(15, 20, density=0.9)
        relabel.write(tmp_path / "labels.h5", {"a": psi})
        answers = np.tile(np.arange(5), (15, 1))
        scores = graded(relabel.LabelFile(tmp_path / "labels.h5")["a"], answers)
        assert scores.counted.tolist() == (psi.collection.query.ok & psi.matrix.toarray().any(axis=1)).tolist()
        assert not psi.collection.query.ok.all()
        assert scores.take(scores.counted).mean_ndcg.tolist() == scores.mean_ndcg.tolist()

    def test_of_nothing(self) -> None:
        """No query overlaps: no mean."""
        scores = graded(sparse.csr_array((3, 4), dtype=np.float32), [[0], [1], [2]])
        assert np.isnan([*scores.mean_ndcg, scores.mean_top1]).all()

    @pytest.mark.parametrize("stranger", [-1, 4, 2**31, 4458766603700305201, 2**63 - 1, 2**64 - 1, float("nan"), None])
    def test_a_row_that_is_not_there(self, stranger: object) -> None:
        """An answer beyond the database gains nothing; no other answer has another gain for it."""
        matrix = sparse.csr_array(np.array([[0.5, 0, 0, 0], [1.0, 0, 0, 0]], np.float32))
        scores = graded(matrix, [[stranger, 0], [stranger, 0]], [1, 2])
        assert scores.ndcg.tolist() == [[0.0, pytest.approx(1 / math.log2(3))]] * 2
        assert scores.top1.tolist() == [0.0, 0.0]


class TestPsiOf:
    """psi_of"""

    def test_equals_the_dense_matrix(self) -> None:
        """Also where the columns of a row are not sorted."""
        dense = similarity(10, 12, density=0.5).matrix.toarray()
        matrix = sparse.csr_array(dense)
        for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
            matrix.indices[start:stop] = matrix.indices[start:stop][::-1]
            matrix.data[start:stop] = matrix.data[start:stop][::-1]
        matrix.has_sorted_indices = False
        columns = np.random.default_rng(0).integers(0, 12, (10, 30))
        np.testing.assert_array_equal(psi_of(matrix, columns), np.take_along_axis(dense, columns, axis=1))


class TestSpearman:
    """spearman"""

    @given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1e6, 1e6)), min_size=2, max_size=30))
    def test_equals_scipy(self, pairs: list[tuple[int, float]]) -> None:
        """With many equal values."""
        a, b = zip(*pairs, strict=True)
        if len(set(a)) > 1 and len(set(b)) > 1:
            assert spearman(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)

    def test_constant_or_empty(self) -> None:
        """No correlation exists."""
        assert math.isnan(spearman([1, 1], [1, 2]))
        assert math.isnan(spearman([], []))

    def test_opposite(self) -> None:
        """Distances that fall as ψ grows have -1."""
        assert spearman([3.0, 2.0, 1.0], [0.1, 0.4, 0.5]) == pytest.approx(-1.0)


class TestPairDistances:
    """pair_distances"""

    def test_equals_norms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In blocks as at once."""
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(6, 3)).astype(np.float32)
        rows, columns = rng.integers(0, 5, 40), rng.integers(0, 6, 40)
        expected = np.linalg.norm(a[rows].astype(float) - b[columns], axis=1)
        np.testing.assert_allclose(pair_distances(a, b, rows, columns), expected, rtol=1e-6)
        whole = pair_distances(a, b, rows, columns)
        monkeypatch.setattr(module, "_AT_ONCE", 7)
        np.testing.assert_array_equal(pair_distances(a, b, rows, columns), whole)


class TestSampledPairs:
    """sampled_pairs"""

    @pytest.mark.parametrize("cells", [0, 1 << 22])
    @pytest.mark.parametrize("self_pairs", [False, True])
    def test_zeros_are_true_zeros(self, cells: int, self_pairs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Counted out or tried: zeros are absent pairs of known cameras, none twice, none with itself."""
        monkeypatch.setattr(module, "_DENSE_CELLS", cells)
        psi = similarity(30, 40, density=0.2, self_pairs=self_pairs)
        dense, c = psi.matrix.toarray(), psi.collection
        twin = np.arange(c.shape[0]) if self_pairs else np.full(c.shape[0], -1)
        rows, columns, values = sampled_pairs(psi.matrix, (c.query.ok, c.database.ok), twin, seed=1)
        assert np.array_equal(dense[rows, columns], values)
        assert len({*zip(rows.tolist(), columns.tolist(), strict=True)}) == len(rows)
        assert (values > 0).sum() == psi.matrix.nnz == (values == 0).sum()
        zeros = values == 0
        assert c.query.ok[rows[zeros]].all()
        assert c.database.ok[columns[zeros]].all()
        assert not (self_pairs and (rows == columns).any())

    @pytest.mark.parametrize("cells", [0, 1 << 22])
    def test_few_zeros(self, cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A matrix that is all but full has as many as it has."""
        monkeypatch.setattr(module, "_DENSE_CELLS", cells)
        dense = np.full((4, 5), 0.5, np.float32)
        dense[2, 3] = 0.0
        _, _, values = sampled_pairs(sparse.csr_array(dense), (np.ones(4, bool), np.ones(5, bool)), np.full(4, -1))
        assert (values == 0).sum() == 1
        assert (values > 0).sum() == 19

    def test_a_limit(self) -> None:
        """At most so many of each kind; the same seed draws the same."""
        psi = similarity(30, 40, density=0.5, faults=False)
        ok = np.ones(30, bool), np.ones(40, bool)
        drawn = [sampled_pairs(psi.matrix, ok, np.full(30, -1), seed=2, pairs=50) for _ in range(2)]
        assert len(drawn[0][0]) == 100
        assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))

    def test_zeros_are_drawn_evenly(self) -> None:
        """Each absent pair has the same chance: χ² over many draws."""
        dense = np.zeros((4, 6), np.float32)
        dense[:, 0] = 0.5
        ok = np.ones(4, bool), np.ones(6, bool)
        counts = np.zeros((4, 6))
        for seed in range(500):
            rows, columns, values = sampled_pairs(sparse.csr_array(dense), ok, np.full(4, -1), seed=seed)
            np.add.at(counts, (rows[values == 0], columns[values == 0]), 1)
        assert counts.sum() == 500 * 4
        assert scipy.stats.chisquare(counts[:, 1:].ravel()).pvalue > 1e-3
