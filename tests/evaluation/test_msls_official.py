"""Scores of predictions for MSLS, against the official evaluation program restated in plain loops over keys.

What mapillary_sls (Warburg et al., CVPR 2020; evaluate.py, mapillary_sls/utils/eval.py and datasets/msls.py) does:

- of each city it takes the rows of query and database that are in the subtask and are no panoramas;
- positives of a query are the database images of its own city at most 25 m away; a query without one does not count;
- every query that counts needs a line in the file, other lines are passed over, of two lines the first counts;
- recall@k is the share of queries with a positive among the first k keys;
- AP@k sums hits so far / rank over the ranks up to k that hold a positive not predicted before, and divides by the
  lesser of k and the number of positives; mAP@k is its mean.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.evaluation import places
from relabel.evaluation.ground_truth import evaluation_set
from relabel.evaluation.predictions import match
from relabel.training import evaluate, read_predictions
from tests.trees import AMMAN, Row, msls_tree, street

KS = (1, 5, 10, 20)
CITIES = ("cph", "sf")


def official(cities: dict[str, dict[str, list[Row]]], subtask: str, path: Path) -> dict[str, float]:
    """The scores that the official program prints, before it rounds them."""
    positives: dict[str, list[str]] = {}
    for sides in cities.values():
        query, database = (
            [row for row in sides[side] if row[subtask] and not row["pano"]] for side in ("query", "database")
        )
        for q in query:
            at = [(q["easting"] - d["easting"], q["northing"] - d["northing"]) for d in database]
            near = [d["key"] for d, apart in zip(database, at, strict=True) if math.hypot(*apart) <= 25.0]
            if near:
                positives[q["key"]] = near
    answers: dict[str, list[str]] = {}
    for key, *predicted in np.loadtxt(path, dtype=str, ndmin=2).tolist():
        answers.setdefault(key, predicted)
    assert positives.keys() <= answers.keys()
    scores = {}
    for k in KS:
        recalled, precision = [], []
        for key, right in positives.items():
            hits, total = 0, 0.0
            for rank, answer in enumerate(answers[key][:k]):
                if answer in right and answer not in answers[key][:rank]:
                    hits += 1
                    total += hits / (rank + 1)
            recalled.append(any(answer in right for answer in answers[key][:k]))
            precision.append(total / min(len(right), k))
        scores |= {f"recall@{k}": float(np.mean(recalled)), f"map@{k}": float(np.mean(precision))}
    return scores


def ours(root: Path, subtask: str, path: Path) -> dict[str, float]:
    """The same by relabel, as ``relabel evaluate --root ROOT --cities val --subtask SUBTASK`` does it."""
    ground_truth = evaluation_set(places.in_subtask(places.of_paths([root], cities="val"), root, subtask))
    scores = evaluate(match(read_predictions(path), ground_truth).rows, ground_truth.positives, KS)
    named = {"recall": scores.recall.tolist(), "map": scores.map.tolist()}
    return {f"{name}@{k}": value for name, values in named.items() for k, value in zip(KS, values, strict=True)}


def city(rng: np.random.Generator, name: str) -> dict[str, list[Row]]:
    """Cameras on a grid of 5 m, where 25 m happen exactly (15, 20, 25); a quarter are panoramas, half in a subtask."""
    sides = {}
    for side, count in (("query", 12), ("database", 25)):
        rows: list[Row] = []
        for number in range(count):
            east, north = (5.0 * rng.integers(0, 16, 2)).tolist()
            row: dict[str, Any] = street(1, prefix=f"{name}-{side}-{number}-", start=AMMAN)[0]
            row |= {"easting": 700_000.0 + east, "northing": 3_500_000.0 + north}
            if number:  # so that no side of a city is empty
                row |= {"pano": bool(rng.random() < 0.25), "s2w": bool(rng.random() < 0.5)}
            rows.append(row)
        sides[side] = rows
    return sides


@pytest.mark.parametrize("subtask", ["all", "s2w"])
@pytest.mark.parametrize("seed", range(8))
def test_scores_are_those_of_the_official_program(seed: int, subtask: str, tmp_path: Path) -> None:
    """Two cities with the same positions; answers of both, of panoramas, outside the subtask, and repeated."""
    rng = np.random.default_rng(seed)
    cities = {name: city(rng, name) for name in CITIES}
    for name, sides in cities.items():
        msls_tree(tmp_path, city=name, query=sides["query"], database=sides["database"])
    database = [row["key"] for sides in cities.values() for row in sides["database"]]
    lines = [" ".join([row["key"], *rng.choice(database, 22)]) for sides in cities.values() for row in sides["query"]]
    path = tmp_path / "predictions.txt"
    path.write_text("\n".join(rng.permutation(lines)) + "\n", encoding="utf-8")
    expected = official(cities, subtask, path)
    assert 0.0 < expected["map@20"] < 1.0
    scores = ours(tmp_path, subtask, path)
    assert scores.keys() == expected.keys()
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, rel=0, abs=1e-12), name


def test_by_hand(tmp_path: Path) -> None:
    """A street of five database images 20 m apart, d4 a panorama; queries beside d0, d3 and d4, and one far away.

    q0 at 0 m   has d0, d1    answers d9 d1 d1 d0 (d9 is of the other city)
    q3 at 60 m  has d2, d3    answers d3 d4 d0 d2
    q4 at 80 m  has d3        answers d4 d3 d0 d1 (d4, where it stands, is no longer in the database)
    q8 at 800 m has nothing   needs no line

    The other city has q9 beside d9, and answers d9 d0 d1 d2.

    recall@1: q3, q9 of four queries; recall@2: all.
    AP@1: 0, 1, 0, 1.
    AP@2: q0 (1/2)/2, q3 1/2, q4 1/2, q9 1.
    AP@4: q0 (1/2 + 2/4)/2, q3 (1 + 2/4)/2, q4 1/2, q9 1.
    """
    query, database = street(9, prefix="q", step_m=20.0), street(5, prefix="d", step_m=20.0)
    query[8]["easting"] += 640.0
    database[4]["pano"] = True
    msls_tree(tmp_path, city="cph", query=[query[i] for i in (0, 3, 4, 8)], database=database)
    other = [[street(10, prefix=side)[9]] for side in "qd"]
    msls_tree(tmp_path, city="sf", query=other[0], database=other[1])
    path = tmp_path / "p.txt"
    path.write_text("q9 d9 d0 d1 d2\nq4 d4 d3 d0 d1\nq3 d3 d4 d0 d2\nq0 d9 d1 d1 d0\n", encoding="utf-8")
    ground_truth = evaluation_set(places.of_paths([tmp_path], cities="val"))
    scores = evaluate(match(read_predictions(path), ground_truth).rows, ground_truth.positives, (1, 2, 4))
    assert scores.recall.tolist() == [2 / 4, 1.0, 1.0]
    assert scores.map.tolist() == pytest.approx(
        [2 / 4, (1 / 4 + 1 / 2 + 1 / 2 + 1) / 4, (1 / 2 + 3 / 4 + 1 / 2 + 1) / 4]
    )
