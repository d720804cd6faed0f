"""Scores of predictions, and nearest neighbours, at the size of the MSLS validation set.

    python benchmarks/bench_evaluate.py [--queries 740] [--database 18871] [--top 25] [--dimensions 512]

Two synthetic cities with about ten positives per query. The plain way keeps keys as text and loops over queries,
answers and positives, as evaluation programs of the field do; both ways must give the same numbers. Its file
is read by `numpy.loadtxt`, its positives are found by all distances of a query, its neighbours by sorting all of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import machine, median_seconds, table

import relabel
from relabel.evaluation.ground_truth import EvaluationSet, Rule, evaluation_set
from relabel.evaluation.places import Place
from relabel.evaluation.predictions import match
from relabel.training import evaluate, nearest, read_predictions, write_predictions

KS = (1, 5, 10, 20)
WITHIN_M = 25.0


def cities(queries: int, database: int, rng: np.random.Generator) -> list[Place]:
    """Two cities; queries are taken within 8 m of a database camera, and about ten of these lie within 25 m."""
    places = []
    for name, share in (("cph", 2 / 3), ("sf", 1 / 3)):
        n, m = max(1, round(queries * share)), max(2, round(database * share))
        edge = WITHIN_M * np.sqrt(np.pi * m / 10.0)
        base = rng.uniform(0.0, edge, (m, 2))
        asked = base[rng.integers(0, m, n)] + rng.uniform(-8.0, 8.0, (n, 2))
        sides = [
            relabel.Cameras(
                key=[f"{name}-{letter}-{i:016d}" for i in range(len(at))], position=at, heading_deg=np.zeros(len(at))
            )
            for letter, at in (("q", asked), ("d", base))
        ]
        places.append(Place(name, *sides))
    return places


def plain_scores(path: Path, query: list[str], positives: list[list[str]]) -> list[float]:
    """Recall and mAP at all k, by loops over keys."""
    lines = np.loadtxt(path, dtype=str, ndmin=2)
    number = {key: i for i, key in enumerate(lines[:, 0])}
    scores = []
    for k in KS:
        hits, precision = [], []
        for key, right in zip(query, positives, strict=True):
            answers = lines[number[key], 1 : k + 1]
            found, total = 0, 0.0
            for rank, answer in enumerate(answers, start=1):
                if answer in right and answer not in answers[: rank - 1]:
                    found += 1
                    total += found / rank
            hits.append(found > 0)
            precision.append(total / min(len(right), k))
        scores += [float(np.mean(hits)), float(np.mean(precision))]
    return scores


def relabel_scores(path: Path, of: EvaluationSet) -> list[float]:
    """The same, by relabel."""
    scores = evaluate(match(read_predictions(path), of).rows, of.positives, KS)
    return [value for pair in zip(scores.recall.tolist(), scores.map.tolist(), strict=True) for value in pair]


def plain_positives(places: list[Place]) -> list[list[int]]:
    """The positives of every query, by all its distances."""
    found, start = [], 0
    for place in places:
        for at in place.query.position:
            near = np.linalg.norm(place.database.position - at, axis=1) <= WITHIN_M
            found.append((np.flatnonzero(near) + start).tolist())
        start += len(place.database)
    return found


def plain_neighbours(database: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    """The k best of all products, sorted, as for unit vectors."""
    return np.argsort(-(queries @ database.T), axis=1)[:, :k]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=740)
    parser.add_argument("--database", type=int, default=18_871)
    parser.add_argument("--top", type=int, default=25)
    parser.add_argument("--dimensions", type=int, default=512)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    places = cities(arguments.queries, arguments.database, rng)
    of = evaluation_set(places, Rule(within_m=WITHIN_M))
    described = [rng.normal(size=(n, arguments.dimensions)).astype(np.float32) for n in of.shape]
    described = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in described]
    queries, database = described
    top = min(arguments.top, of.shape[1])
    # Half of the answers right, so that the scores are of something.
    rows = rng.integers(0, of.shape[1], (of.shape[0], top))
    for row, right in zip(rows, of.positives.objects(), strict=True):
        some = rng.permutation(right)[: top // 2]
        row[rng.permutation(top)[: len(some)]] = some
    right = [of.database[each].tolist() for each in of.positives.objects()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.txt"
        write_predictions(path, of.query, of.database, rows)
        ours, theirs = relabel_scores(path, of), plain_scores(path, of.query.tolist(), right)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
        assert plain_positives(places) == [each.tolist() for each in of.positives.objects()]
        same = np.mean(plain_neighbours(database, queries, top) == nearest(database, queries, top).indices)
        timed = {
            "scores of a predictions file": (
                lambda: relabel_scores(path, of),
                lambda: plain_scores(path, of.query.tolist(), right),
            ),
            "positives within 25 m, with the set": (
                lambda: evaluation_set(places, Rule(within_m=WITHIN_M)),
                lambda: plain_positives(places),
            ),
            f"nearest {top}, {arguments.dimensions} dimensions": (
                lambda: nearest(database, queries, top),
                lambda: plain_neighbours(database, queries, top),
            ),
        }
        found = {name: [median_seconds(way, repeats=5) for way in ways] for name, ways in timed.items()}
    started = median_seconds(
        lambda: subprocess.run([sys.executable, "-c", "import relabel.evaluation.evaluate"], check=True), repeats=3
    )
    print(f"# Evaluation\n\n{machine()}; medians of one run\n")
    print(
        f"{of.shape[0]:,} queries, {of.shape[1]:,} database images, {top} answers each, "
        f"{of.positives.counts.mean():.1f} positives a query.\n"
    )
    table(
        ["what", "relabel, s", "plain, s", "ratio"],
        [[name, f"{a:.3f}", f"{b:.3f}", f"{b / a:.1f}"] for name, (a, b) in found.items()],
    )
    print(
        f"\nScores and positives are equal. Of the neighbours {100 * same:.3f} % are: products of float32 round, and "
        "those of relabel are measured again in float64. Starting Python and loading the evaluation takes "
        f"{started:.2f} s."
    )


if __name__ == "__main__":
    main()
