"""An evaluation from end to end: descriptors, predictions or a model in, all scores out, as JSON, text or CSV."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.atomic import output_errors, replacing
from relabel.csv_text import csv_line
from relabel.display import Displayed, Summary, several
from relabel.errors import InputError, OptionError
from relabel.evaluation.descriptors import ImageOptions, OnProgress, describe_set
from relabel.evaluation.ground_truth import EvaluationSet, evaluation_set
from relabel.evaluation.metrics import (
    KS,
    GradedScores,
    IntArray,
    Scores,
    as_rows,
    checked_ks,
    evaluate,
    graded,
    pair_distances,
    sampled_pairs,
    spearman,
)
from relabel.evaluation.nearest import Neighbours, nearest
from relabel.evaluation.places import of_labels
from relabel.images.paths import Size, find_images
from relabel.labelfile import StoredCollection

TOP = 25
"""The least number of answers that are searched for."""
_VALIDATION_KS = (1, 5)


class Correlation(NamedTuple):
    """Spearman's rank correlation of descriptor distance and ψ, over pairs of one place; -1 is the best."""

    overall: float
    """over the stored pairs and the zeros"""
    stored: float
    """over the stored pairs alone"""
    pairs: int
    """stored pairs"""
    zeros: int
    """pairs with ψ = 0"""

    def to_json(self) -> dict[str, Any]:
        """JSON values; an undefined correlation is None."""
        return {
            "spearman": _number(self.overall),
            "spearman_stored": _number(self.stored),
            "pairs": self.pairs,
            "zeros": self.zeros,
        }


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Displayed):
    """The scores of the answers to an evaluation set, and the answers themselves.

    Attributes
    ----------
    ground_truth:
        the set.
    rows:
        (queries, n) database rows, best first; -1 for none.
    scores:
        recall@k and mAP@k.
    graded:
        nDCG@k and ψ of the first answer; None without graded labels.
    correlation:
        distance against ψ; None without graded labels or descriptors.
    distances:
        (queries, n) float32, the distance of each answer's descriptor; None if unknown.
    """

    ground_truth: EvaluationSet
    rows: IntArray
    scores: Scores
    graded: GradedScores | None = None
    correlation: Correlation | None = None
    distances: npt.NDArray[np.float32] | None = None

    def _summary(self) -> Summary:
        scores = _summary(self.scores, self.graded)
        by_k = [("recall", scores["recall"]), ("mAP", scores["map"])]
        by_k += [("nDCG", scores["graded"]["ndcg"])] if "graded" in scores else []
        rows = [("positives", str(self.ground_truth.rule))]
        rows += [(name, ", ".join(f"@{k} {_score(value)}" for k, value in values.items())) for name, values in by_k]
        title = (
            f"{several(scores['queries'], 'query', 'queries')}"
            f" with a positive, {scores['queries_without_positive']:,} without"
        )
        return Summary(f"{type(self).__name__}: {title}", rows)

    def to_json(self) -> dict[str, Any]:
        """All scores, over all queries and by place, as JSON values; a mean over no query is None."""
        summary: dict[str, Any] = {
            "positives": self.ground_truth.rule.to_json(),
            "database": self.ground_truth.shape[1],
        }
        summary["left_out"] = dict(zip(("queries", "database"), map(len, self.ground_truth.left_out), strict=True))
        if rules := self.ground_truth.exclusions:
            summary["excluded"] = {"rules": rules, "pairs": int(self.ground_truth.excluded_counts().sum())}
        summary |= _summary(self.scores, self.graded)
        if self.correlation is not None:
            summary["distance_psi"] = self.correlation.to_json()
        summary["places"] = [
            {"name": name, "database": int((self.ground_truth.database_place == i).sum())} | self.of_place(i)
            for i, name in enumerate(self.ground_truth.places)
        ]
        return summary

    def of_place(self, number: int) -> dict[str, Any]:
        """The scores over the queries of one place, as JSON values."""
        queries = self.ground_truth.query_place == number
        return _summary(self.scores.take(queries), None if self.graded is None else self.graded.take(queries))


def assess(
    ground_truth: EvaluationSet,
    rows: npt.ArrayLike,
    ks: Sequence[int] = KS,
    *,
    distances: npt.NDArray[np.float32] | None = None,
    descriptors: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None,
    seed: int = 0,
) -> Evaluation:
    """All scores of the given answers.

    Parameters
    ----------
    ground_truth:
        the set.
    rows:
        (queries, n) database rows, best first; any other number, and NaN, for none.
        `relabel.evaluation.predictions.match` gives them for a file, `search` for descriptors.
    ks:
        the numbers k of predictions.
    distances:
        (queries, n) distances of the answers, for the table of every query.
    descriptors:
        of the queries and of the database; with graded labels their distances are compared with ψ.
    seed:
        the seed that the pairs of that comparison are drawn with.

    Raises
    ------
    InputError
        when no query has a positive.
    OptionError, InputError
        as for `relabel.training.evaluate`.
    """
    answers = as_rows(rows, ground_truth.shape[0])
    answers[answers >= ground_truth.shape[1]] = -1
    out = ground_truth.is_excluded(answers)
    if out.any():
        answers, distances = _passed_over(answers, distances, out)
    scores = evaluate(answers, ground_truth.positives, ks)
    if not scores.counted.any():
        raise InputError(
            f"none of the {ground_truth.shape[0]:,} queries has a positive ({ground_truth.rule}), so there is nothing "
            "to score; check that queries and database cover the same place, or choose other positives"
        )
    grades = None if ground_truth.psi is None else graded(ground_truth.psi, answers, ks)
    correlation = (
        None if ground_truth.psi is None or descriptors is None else correlate(ground_truth, *descriptors, seed=seed)
    )
    return Evaluation(ground_truth, answers, scores, grades, correlation, distances)


def search(
    ground_truth: EvaluationSet,
    query: npt.NDArray[Any],
    database: npt.NDArray[Any],
    ks: Sequence[int] = KS,
    *,
    top: int = TOP,
    device: str = "auto",
    on_progress: OnProgress | None = None,
) -> Neighbours:
    """The nearest database images of every query of a set, except itself and those of excluded pairs.

    See `relabel.training.nearest`.

    Parameters
    ----------
    ground_truth:
        the set.
    query, database:
        (n, d) and (m, d) descriptors in its order.
    ks, top:
        as many answers as the largest of these are searched for.
    device, on_progress:
        as for `nearest`.

    Raises
    ------
    OptionError, InputError
        when `top` or `ks` are not positive, and as for `nearest`.
    """
    if top < 1:
        raise OptionError(f"top is {top}; at least one prediction is needed")
    wanted = max(top, *checked_ks(ks))
    no_answers = int((ground_truth.excluded_counts() + (ground_truth.twin >= 0)).max(initial=0))
    found = nearest(database, query, wanted + no_answers, device, on_progress=on_progress)
    if not no_answers:
        return found
    # A query's own image need not come first: another image may look the same.
    out = (found.indices == ground_truth.twin[:, None]) | ground_truth.is_excluded(found.indices)
    indices, distances = _passed_over(found.indices, found.distances, out)
    assert distances is not None
    return Neighbours(indices[:, :wanted], distances[:, :wanted])


def _passed_over(
    answers: npt.NDArray[np.int64], distances: npt.NDArray[np.float32] | None, out: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32] | None]:
    """The answers without those that are passed over: later ones move up, and -1 and NaN fill the end."""
    order = np.argsort(out, axis=1, kind="stable")
    gone = np.take_along_axis(out, order, axis=1)
    answers = np.where(gone, -1, np.take_along_axis(answers, order, axis=1))
    if distances is not None:
        distances = np.where(gone, np.float32("nan"), np.take_along_axis(distances, order, axis=1))
    return answers, distances


def correlate(
    ground_truth: EvaluationSet, query: npt.NDArray[Any], database: npt.NDArray[Any], *, seed: int = 0
) -> Correlation:
    """Distance of descriptors against ψ, over all stored pairs, or a million per place, and as many zeros.

    Parameters
    ----------
    ground_truth:
        a set with graded labels.
    query, database:
        (n, d) and (m, d) descriptors in its order.
    seed:
        the seed that pairs are drawn with.

    Raises
    ------
    InputError
        when the set has no graded labels.
    """
    if ground_truth.psi is None:
        raise InputError("distances can only be compared with ψ if there is a label file")
    psi, apart = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    for number in range(len(ground_truth.places)):
        rows, columns = (
            np.flatnonzero(side == number) for side in (ground_truth.query_place, ground_truth.database_place)
        )
        twin = np.where(ground_truth.twin[rows] >= 0, ground_truth.twin[rows] - columns[0], -1)
        known = ground_truth.psi_known[0][rows], ground_truth.psi_known[1][columns]
        excluded = ground_truth.excluded[number] if ground_truth.excluded else None
        i, j, values = sampled_pairs(ground_truth.psi[rows][:, columns], known, twin, seed=seed, excluded=excluded)
        psi.append(values)
        apart.append(pair_distances(query, database, rows[i], columns[j]))
    value, distance = np.concatenate(psi), np.concatenate(apart)
    stored = value > 0.0
    return Correlation(
        spearman(distance, value),
        spearman(distance[stored], value[stored]),
        int(stored.sum()),
        int((~stored).sum()),
    )


def evaluate_model(
    model: Any,
    ground_truth: EvaluationSet,
    folder: Path | str,
    size: Size,
    ks: Sequence[int] = KS,
    *,
    template: str | None = None,
    device: str = "auto",
    workers: int = 0,
    seed: int = 0,
) -> Evaluation:
    """All scores of a model on a set; parameters and errors as for `ImageOptions`, `search` and `assess`."""
    return _evaluate_model(model, ground_truth, ImageOptions(folder, size, template, device, workers), ks, seed)


def recall_validation(labels: Sequence[StoredCollection], images: ImageOptions) -> Callable[[Any], dict[str, float]]:
    """A function for `Trainer(validate=...)`: recall@1 and recall@5 of a model, and Spearman of distance against ψ.

    Positives are those of `relabel evaluate` by default.

    Parameters
    ----------
    labels:
        collections to evaluate on, other than those trained on.
    images:
        where their images are, and how they are described; the size is that of training.

    Raises
    ------
    InputError, MissingFileError, OptionError
        when images are not found, or the labels cannot be evaluated on: at once, not after the first epoch.
    """
    ground_truth = evaluation_set(of_labels(list(labels)))
    find_images(labels, images.folder, images.template)

    def validate(model: Any) -> dict[str, float]:
        evaluation = _evaluate_model(model, ground_truth, images, _VALIDATION_KS)
        recall = zip(_VALIDATION_KS, evaluation.scores.recall, strict=True)
        scores = {f"recall@{k}": float(value) for k, value in recall}
        if evaluation.correlation is not None and not math.isnan(evaluation.correlation.overall):
            scores["spearman"] = evaluation.correlation.overall
        return scores

    return validate


def _evaluate_model(
    model: Any, ground_truth: EvaluationSet, images: ImageOptions, ks: Sequence[int], seed: int = 0
) -> Evaluation:
    query, database = (side.values for side in describe_set(model, ground_truth, images))
    answers = search(ground_truth, query, database, ks, device=images.device)
    return assess(
        ground_truth, answers.indices, ks, distances=answers.distances, descriptors=(query, database), seed=seed
    )


def _summary(scores: Scores, grades: GradedScores | None) -> dict[str, Any]:
    counted = int(scores.counted.sum())
    summary: dict[str, Any] = {
        "queries": counted,
        "queries_without_positive": len(scores.counted) - counted,
        "recall": _by_k(scores.ks, scores.recall),
        "map": _by_k(scores.ks, scores.map),
    }
    if grades is not None:
        summary["graded"] = {
            "queries": int(grades.counted.sum()),
            "ndcg": _by_k(grades.ks, grades.mean_ndcg),
            "psi_top1": _number(grades.mean_top1),
        }
    return summary


def _by_k(ks: Sequence[int], values: npt.NDArray[Any]) -> Mapping[str, float | None]:
    return {str(k): _number(value) for k, value in zip(ks, values.tolist(), strict=True)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def evaluation_text(evaluation: Evaluation) -> list[str]:
    """The scores as aligned lines: one column for all queries, and one per place if there are several."""
    summary = evaluation.to_json()
    columns: list[tuple[str, dict[str, Any]]] = [("all", summary)]
    if len(summary["places"]) > 1:
        columns += [(place["name"], place) for place in summary["places"]]
    rows = [
        ["", *(name for name, _ in columns)],
        ["queries with a positive", *(f"{part['queries']:,}" for _, part in columns)],
        ["queries without", *(f"{part['queries_without_positive']:,}" for _, part in columns)],
        ["database", *(f"{part['database']:,}" for _, part in columns)],
    ]
    for name, field in (("recall", "recall"), ("mAP", "map")):
        rows += [[f"{name}@{k}", *(_score(part[field][k]) for _, part in columns)] for k in summary[field]]
    if evaluation.graded is not None:
        parts = [part["graded"] for _, part in columns]
        rows.append(["queries with an overlap", *(f"{part['queries']:,}" for part in parts)])
        rows += [[f"nDCG@{k}", *(_score(part["ndcg"][k]) for part in parts)] for k in parts[0]["ndcg"]]
        rows.append(["mean ψ of the first", *(_score(part["psi_top1"]) for part in parts)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [f"positives {evaluation.ground_truth.rule}"]
    if any(summary["left_out"].values()):
        queries, database = summary["left_out"].values()
        lines.append(
            f"left out: {several(queries, 'query', 'queries')} and {several(database, 'image')} of the database"
        )
    if "excluded" in summary:
        rules, pairs = summary["excluded"].values()
        lines.append(f"excluded: {' and '.join(rules)} ({pairs:,}): not positives, and skipped among the predictions")
    if len(columns) == 1:
        rows = rows[1:]
    for label, *cells in rows:
        shown = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append(f"{label.ljust(widths[0])}  {shown}")
    if evaluation.correlation is not None:
        c = evaluation.correlation
        lines.append(
            f"distance against ψ: Spearman {_signed(c.overall)} over {several(c.pairs, 'stored pair')}"
            f" and {several(c.zeros, 'zero')}, "
            f"{_signed(c.stored)} over the stored ones (-1 is the best)"
        )
    return lines


def write_per_query(path: str | os.PathLike[str], evaluation: Evaluation, *, overwrite: bool = False) -> None:
    """Write the scores of every query as CSV, whole or not at all.

    Columns: ``place``, ``query``, ``positives`` (how many), ``first_hit`` (rank of the first right answer, from 1,
    empty where there is none), ``ap@k`` for every k (empty without a positive), ``answer`` and ``distance`` (of the
    first), and with graded labels ``psi`` (of the first answer) and ``ndcg@k`` for every k (empty where the query is
    left out).

    Parameters
    ----------
    path:
        the file.
    evaluation:
        the evaluation to write.
    overwrite:
        whether an existing file may be replaced.

    Raises
    ------
    OutputExistsError, OutputError
        when the file exists already, or cannot be written.
    """
    path = Path(path)
    with (
        replacing(path, overwrite=overwrite) as private,
        output_errors(path),
        private.open("w", encoding="utf-8", newline="") as file,
    ):
        file.writelines(map(csv_line, _lines(evaluation)))


def _lines(evaluation: Evaluation) -> Iterator[list[object]]:
    scores, grades = evaluation.scores, evaluation.graded
    head = ["place", "query", "positives", "first_hit", *(f"ap@{k}" for k in scores.ks), "answer", "distance"]
    yield [*head, *(() if grades is None else ("psi", *(f"ndcg@{k}" for k in grades.ks)))]
    for i, key in enumerate(evaluation.ground_truth.query.tolist()):
        answer = int(evaluation.rows[i, 0]) if evaluation.rows.shape[1] else -1
        line: list[object] = [
            evaluation.ground_truth.places[int(evaluation.ground_truth.query_place[i])],
            key,
            int(scores.positives[i]),
            int(scores.first_hit[i]) or "",
            *(_cell(value) for value in scores.average_precision[i].tolist()),
            str(evaluation.ground_truth.database[answer]) if answer >= 0 else "",
            "" if evaluation.distances is None else _cell(float(evaluation.distances[i, 0])),
        ]
        if grades is not None:
            line += [_cell(float(grades.top1[i])), *(_cell(value) for value in grades.ndcg[i].tolist())]
        yield line


def _cell(value: float) -> object:
    return "" if math.isnan(value) else f"{value:.9g}"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _signed(value: float) -> str:
    return "unknown" if math.isnan(value) else f"{value:.4f}"
