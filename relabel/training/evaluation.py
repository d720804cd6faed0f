"""An evaluation from end to end: descriptors or predictions of a set in, all scores out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, OptionError
from relabel.training.described import describe_set
from relabel.training.evaluation_set import EvaluationSet
from relabel.training.graded_scores import Graded, graded, pair_distances, sampled_pairs, spearman
from relabel.training.metrics import KS, IntArray, Scores, checked_ks, evaluate
from relabel.training.neighbours import Neighbours, nearest

TOP = 25
"""Answers that are looked for, at least."""

Each = Callable[[int], object]


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
        """JSON values; a correlation that does not exist is None."""
        return {
            "spearman": _number(self.overall),
            "spearman_stored": _number(self.stored),
            "pairs": self.pairs,
            "zeros": self.zeros,
        }


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that is known about the answers to a set.

    Attributes
    ----------
    of:
        the set.
    rows:
        (queries, n) database rows, best first; negative for none.
    scores:
        recall@k and mAP@k.
    graded:
        nDCG@k and ψ of the first answer; None without graded labels.
    correlation:
        distance against ψ; None without graded labels or descriptors.
    distances:
        (queries, n) float32, how far each answer's descriptor is; None where it is not known.
    """

    of: EvaluationSet
    rows: IntArray
    scores: Scores
    graded: Graded | None = None
    correlation: Correlation | None = None
    distances: npt.NDArray[np.float32] | None = None

    def to_json(self) -> dict[str, Any]:
        """All scores over all queries and by place, as JSON values; a mean of nothing is None."""
        summary: dict[str, Any] = {"positives": self.of.rule.to_json(), "database": self.of.shape[1]}
        summary["left_out"] = dict(zip(("queries", "database"), map(len, self.of.left_out), strict=True))
        summary |= _summary(self.scores, self.graded)
        if self.correlation is not None:
            summary["distance_psi"] = self.correlation.to_json()
        summary["places"] = [
            {"name": name, "database": int((self.of.database_place == i).sum())} | self.of_place(i)
            for i, name in enumerate(self.of.places)
        ]
        return summary

    def of_place(self, number: int) -> dict[str, Any]:
        """The scores over the queries of one place, as JSON values."""
        queries = self.of.query_place == number
        return _summary(self.scores.take(queries), None if self.graded is None else self.graded.take(queries))


def assess(
    of: EvaluationSet,
    rows: npt.ArrayLike,
    ks: Sequence[int] = KS,
    *,
    distances: npt.NDArray[np.float32] | None = None,
    described: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None,
    seed: int = 0,
) -> Evaluation:
    """All scores of some answers.

    Parameters
    ----------
    of:
        the set.
    rows:
        (queries, n) database rows, best first; negative for none. `relabel.training.predictions.match` gives them for
        a file, `search` for descriptors.
    ks:
        numbers of predictions.
    distances:
        (queries, n) distances of the answers, to be told of each query.
    described:
        descriptors of the queries and of the database; with graded labels their distances are compared with ψ.
    seed:
        what the pairs of that comparison are drawn with.

    Raises
    ------
    InputError
        when no query has a positive.
    OptionError, InputError
        as for `relabel.training.evaluate`.
    """
    scores = evaluate(rows, of.positives, ks)
    if not scores.counted.any():
        raise InputError(
            f"none of the {of.shape[0]:,} queries has a positive ({of.rule}), so there is nothing to score; check that "
            "queries and database are of the same place, or choose other positives"
        )
    answers = np.asarray(rows).astype(np.int64)
    grades = None if of.psi is None else graded(of.psi, answers, ks)
    correlation = None if of.psi is None or described is None else correlate(of, *described, seed=seed)
    return Evaluation(of, answers, scores, grades, correlation, distances)


def search(
    of: EvaluationSet,
    query: npt.NDArray[Any],
    database: npt.NDArray[Any],
    ks: Sequence[int] = KS,
    *,
    top: int = TOP,
    device: str = "auto",
    each: Each | None = None,
) -> Neighbours:
    """The nearest database pictures of every query of a set, never itself; see `relabel.training.nearest`.

    Parameters
    ----------
    of:
        the set.
    query, database:
        (n, d) and (m, d) descriptors in its order.
    ks, top:
        as many answers as the largest of them are looked for.
    device, each:
        as for `nearest`.

    Raises
    ------
    OptionError, InputError
        when `top` or `ks` are not positive, and as for `nearest`.
    """
    if top < 1:
        raise OptionError(f"top is {top}; at least one answer has to be looked for")
    wanted = max(top, *checked_ks(ks))
    themselves = bool((of.twin >= 0).any())
    found = nearest(database, query, wanted + themselves, device, each=each)
    if not themselves:
        return found
    # A query's own picture need not come first: another may look the same.
    order = np.argsort(found.indices == of.twin[:, None], axis=1, kind="stable")[:, :wanted]
    indices, distances = (np.take_along_axis(side, order, axis=1) for side in found)
    own = indices == of.twin[:, None]
    return Neighbours(np.where(own, -1, indices), np.where(own, np.float32("nan"), distances))


def correlate(of: EvaluationSet, query: npt.NDArray[Any], database: npt.NDArray[Any], *, seed: int = 0) -> Correlation:
    """Distance of descriptors against ψ, over all stored pairs, or a million a place, and as many zeros.

    Parameters
    ----------
    of:
        a set with graded labels.
    query, database:
        (n, d) and (m, d) descriptors in its order.
    seed:
        what pairs are drawn with.

    Raises
    ------
    InputError
        when the set has no graded labels.
    """
    if of.psi is None:
        raise InputError("distances can be compared with ψ only where there is a label file")
    psi, apart = [np.empty(0, np.float32)], [np.empty(0, np.float32)]
    for number in range(len(of.places)):
        rows, columns = (np.flatnonzero(side == number) for side in (of.query_place, of.database_place))
        twin = np.where(of.twin[rows] >= 0, of.twin[rows] - columns[0], -1)
        known = of.psi_known[0][rows], of.psi_known[1][columns]
        i, j, values = sampled_pairs(of.psi[rows][:, columns], known, twin, seed=seed)
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
    of: EvaluationSet,
    folder: Path | str,
    size: tuple[int, int],
    ks: Sequence[int] = KS,
    *,
    template: str | None = None,
    device: str = "auto",
    workers: int = 0,
    seed: int = 0,
) -> Evaluation:
    """All scores of a model on a set; parameters and errors as for `describe_set`, `search` and `assess`."""
    query, database = describe_set(model, of, folder, size, template=template, device=device, workers=workers)
    found = search(of, query.values, database.values, ks, device=device)
    return assess(
        of, found.indices, ks, distances=found.distances, described=(query.values, database.values), seed=seed
    )


def _summary(scores: Scores, grades: Graded | None) -> dict[str, Any]:
    counted = int(scores.counted.sum())
    found: dict[str, Any] = {
        "queries": counted,
        "queries_without_positive": len(scores.counted) - counted,
        "recall": _by_k(scores.ks, scores.recall),
        "map": _by_k(scores.ks, scores.map),
    }
    if grades is not None:
        found["graded"] = {
            "queries": int(grades.counted.sum()),
            "ndcg": _by_k(grades.ks, grades.mean_ndcg),
            "psi_top1": _number(grades.mean_top1),
        }
    return found


def _by_k(ks: Sequence[int], values: npt.NDArray[Any]) -> Mapping[str, float | None]:
    return {str(k): _number(value) for k, value in zip(ks, values.tolist(), strict=True)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
