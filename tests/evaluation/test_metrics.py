"""relabel.evaluation.metrics: recall@k and mAP@k, worked by hand and against plain loops over keys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.errors import InputError, OptionError
from relabel.evaluation.metrics import evaluate
from relabel.exchange.positive_rows import RowLists


def lists(positives: list[list[int]]) -> RowLists:
    return RowLists(
        np.cumsum([0, *map(len, positives)]).astype(np.int64),
        np.array([p for each in positives for p in sorted(each)], np.int64),
    )


def padded(predictions: list[list[int]]) -> np.ndarray:
    table = np.full((len(predictions), max(map(len, predictions), default=0)), -1)
    for row, each in zip(table, predictions, strict=True):
        row[: len(each)] = each
    return table


def oracle(predictions: list[list[int]], positives: list[list[int]], ks: list[int]) -> tuple[list[float], list[float]]:
    """Recall and mAP by loops, from the definitions: queries without a positive are left out."""
    recall, precision = [], []
    for k in ks:
        hits, average = [], []
        for answers, right in zip(predictions, positives, strict=True):
            if not right:
                continue
            right_so_far, total = [], 0.0
            for rank, answer in enumerate(answers[:k], start=1):
                if answer in right and answer not in right_so_far:
                    right_so_far.append(answer)
                    total += len(right_so_far) / rank
            hits.append(bool(right_so_far))
            average.append(total / min(len(right), k))
        recall.append(sum(hits) / len(hits) if hits else float("nan"))
        precision.append(sum(average) / len(average) if average else float("nan"))
    return recall, precision


queries = st.lists(
    st.tuples(st.lists(st.integers(-1, 7), max_size=9), st.sets(st.integers(0, 7), max_size=5).map(list)),
    min_size=1,
    max_size=6,
)


class TestEvaluate:
    """evaluate"""

    def test_by_hand(self) -> None:
        """Three queries, one without a positive, one answered with a stranger, one answered twice with the same.

        a  positives 4, 5   answers 0 4 5 1   right at ranks 2 and 3: 1/2 and 2/3
        b  positives 0      answers 0 0 - 2   right at rank 1; the repetition is a miss: 1
        c  none             answers 1 2 3 4   left out

        recall@1 = (0 + 1)/2, recall@2 = 1. AP@1: a 0/1, b 1/1. AP@2: a (1/2)/2, b 1/1. AP@3: a (1/2 + 2/3)/2, b 1.
        """
        scores = evaluate(padded([[0, 4, 5, 1], [0, 0, -1, 2], [1, 2, 3, 4]]), lists([[4, 5], [0], []]), [1, 2, 3])
        assert scores.recall.tolist() == [0.5, 1.0, 1.0]
        assert scores.map.tolist() == pytest.approx([0.5, (0.25 + 1.0) / 2, ((0.5 + 2 / 3) / 2 + 1.0) / 2], abs=1e-15)
        assert scores.first_hit.tolist() == [2, 1, 0]
        assert scores.counted.tolist() == [True, True, False]
        assert np.isnan(scores.average_precision[2]).all()

    def test_a_cut_at_k_divides_by_what_k_can_hold(self) -> None:
        """With five positives AP@2 of two right answers is 1, not 2/5."""
        scores = evaluate([[3, 1, 9]], lists([[0, 1, 2, 3, 4]]), [2, 3])
        assert scores.map.tolist() == [1.0, pytest.approx(2 / 3)]

    @given(queries, st.sets(st.integers(1, 12), min_size=1).map(list))
    def test_equals_the_loops(self, drawn: list[tuple[list[int], list[int]]], ks: list[int]) -> None:
        """On any predictions, with repetitions, strangers, ragged lines and k beyond them."""
        predictions, positives = ([list(side) for side in sides] for sides in zip(*drawn, strict=True))
        ks = sorted(ks)
        scores = evaluate(padded(predictions), lists(positives), ks)
        recall, average = oracle(predictions, positives, ks)
        np.testing.assert_allclose(scores.recall, recall, rtol=0, atol=1e-15)
        np.testing.assert_allclose(scores.map, average, rtol=0, atol=1e-12)

    @given(queries)
    def test_recall_grows_and_stays_a_share(self, drawn: list[tuple[list[int], list[int]]]) -> None:
        """Recall@k does not fall with k; all scores are in [0, 1] or missing; AP@1 is recall@1."""
        predictions, positives = ([list(side) for side in sides] for sides in zip(*drawn, strict=True))
        scores = evaluate(padded(predictions), lists(positives))
        if scores.counted.any():
            assert (np.diff(scores.recall) >= 0).all()
            assert scores.map[0] == scores.recall[0]
            assert ((scores.map >= 0) & (scores.map <= 1 + 1e-12)).all()
        else:
            assert np.isnan([*scores.recall, *scores.map]).all()

    def test_any_lists_of_positives(self) -> None:
        """Positives may be lists, sets of which are in any order and hold a row twice."""
        rows = [[0, 4, 5, 1], [0, 0, -1, 2], [1, 2, 3, 4]]
        scores = evaluate(rows, [[5, 4, 5], np.array([0]), ()], [1, 2, 3])
        expected = evaluate(rows, lists([[4, 5], [0], []]), [1, 2, 3])
        assert scores.positives.tolist() == expected.positives.tolist() == [2, 1, 0]
        np.testing.assert_array_equal(scores.average_precision, expected.average_precision)
        assert scores.first_hit.tolist() == expected.first_hit.tolist()

    @pytest.mark.parametrize("positives", [[[-1]], [[0.5]], [["a"]], [3], [[[1]]], [[2**63]], [[[1], 2]]])
    def test_wrong_positives(self, positives: list[Any]) -> None:
        """Positives are rows of the database."""
        with pytest.raises(InputError, match="positives of query 0"):
            evaluate([[1]], positives)

    def test_ks_are_sorted(self) -> None:
        """The order in which numbers are asked for does not matter."""
        assert evaluate([[1]], lists([[1]]), [5, 1]).ks == (1, 5)

    def test_take(self) -> None:
        """The scores of some queries are those of an evaluation of these alone."""
        predictions, positives = padded([[0, 1], [2, 3], [4, 5]]), [[1], [2], [0]]
        part = evaluate(predictions, lists(positives), [1, 2]).take(np.array([True, False, True]))
        alone = evaluate(predictions[[0, 2]], lists([positives[0], positives[2]]), [1, 2])
        assert part.recall.tolist() == alone.recall.tolist()
        assert part.map.tolist() == alone.map.tolist()

    def test_nothing(self) -> None:
        """No queries, no predictions, no positives: scores that do not exist, or are 0."""
        assert np.isnan(evaluate(np.empty((0, 5), int), lists([])).recall).all()
        assert evaluate(np.empty((2, 0), int), lists([[1], []])).recall.tolist() == [0.0] * 4
        assert np.isnan(evaluate([[1], [2]], lists([[], []])).map).all()

    @pytest.mark.parametrize("ks", [[], [0], [1, 1], [-5], [1.5], ["a"]])
    def test_wrong_ks(self, ks: list[int]) -> None:
        """Numbers of predictions are different whole numbers from 1 on."""
        with pytest.raises(OptionError, match="ks is"):
            evaluate([[1]], lists([[1]]), ks)

    @pytest.mark.parametrize(
        "stranger",
        [
            *(-1, -7, 12, 10**6, 2**31, 2**53, 2**60, 2**61 + 7, 4458766603700305201, 2**63 - 1, -(2**63), 2**63),
            *(2**64 - 1, 2**70, float("nan"), float("inf"), None),
        ],
    )
    def test_a_stranger_is_a_miss_of_its_own_cell(self, stranger: Any) -> None:
        """Whatever a search filled up with: twelve queries that are answered right first, one of them padded."""
        rows = [[query, (query + 1) % 12] for query in range(12)]
        rows[-1][1] = stranger
        for answers in (rows, np.array(rows, object), [row[::-1] for row in rows]):
            scores = evaluate(answers, [[query] for query in range(12)], (1, 2))
            right = int(answers is not rows and answers[0][0] != 0)  # rank of the right answer, from 0
            assert scores.first_hit.tolist() == [right + 1] * 12
            assert scores.recall.tolist() == [1.0 - right, 1.0]

    def test_many_queries(self) -> None:
        """Pairs of query and stranger need not be counted: 2000 of either would pass 2^63."""
        rows = np.array([[query, 2**53] for query in range(2000)])
        assert evaluate(rows, [[query] for query in range(2000)], (1,)).recall.tolist() == [1.0]
        assert evaluate(rows, [[query, 2**62] for query in range(2000)], (2,)).map.tolist() == [0.5]

    @pytest.mark.parametrize(
        "rows",
        [
            np.array([[2, np.nan], [0, 1]]),
            np.array([[2, 3e38], [0, 1]], np.float32),
            np.array([[2, -1], [0, 1]], np.int8),
            np.array([[2, 2**64 - 1], [0, 1]], np.uint64),
            np.ma.array([[2, 1], [0, 1]], mask=[[False, True], [False, False]]),
        ],
        ids=["float64", "float32", "int8", "uint64", "masked"],
    )
    def test_types(self, rows: Any) -> None:
        """Whole numbers of any type; what is masked or NaN is no prediction."""
        assert evaluate(rows, [[1], [1]], (1, 2)).first_hit.tolist() == [0, 2]

    @pytest.mark.parametrize(
        ("predictions", "message"),
        [
            ([[1, 0.5]], r"prediction 1 of query 0 \(both counted from 0\) is 0.5, which is not a whole number"),
            (np.array([["x", None]], object), "prediction 0 of query 0 .* is x, which is not a whole number"),
            (
                np.array([[0, 2**24 + 2]], np.float32),
                "prediction 1 .* cannot be distinguished from neighbouring rows in float32",
            ),
            (np.array([[2050]], np.float16), "neighbouring rows in float16; give int64"),
            ([[1, 2], [3]], r"not an array of numbers .* fill short rows with -1"),
        ],
    )
    def test_no_rows(self, predictions: Any, message: str) -> None:
        """The cell is named."""
        with pytest.raises(InputError, match=message):
            evaluate(predictions, lists([[1]]))

    @pytest.mark.parametrize("predictions", [[1, 2], [[True]], [[1], [2]], [["a"]]])
    def test_wrong_predictions(self, predictions: list[object]) -> None:
        """Predictions are a table of whole numbers with a row a query."""
        with pytest.raises(InputError, match="one row per query"):
            evaluate(predictions, lists([[1]]))
