"""The scores of an evaluation for people, and those of every query as a table."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from relabel.labelfile.publish import output_errors, replacing
from relabel.training.evaluation import Evaluation


def evaluation_text(found: Evaluation) -> list[str]:
    """The scores as aligned lines: one column for all queries, one a place where there are several."""
    summary = found.to_json()
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
    if found.graded is not None:
        parts = [part["graded"] for _, part in columns]
        rows.append(["queries with an overlap", *(f"{part['queries']:,}" for part in parts)])
        rows += [[f"nDCG@{k}", *(_score(part["ndcg"][k]) for part in parts)] for k in parts[0]["ndcg"]]
        rows.append(["mean ψ of the first", *(_score(part["psi_top1"]) for part in parts)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [f"positives {found.of.rule}"]
    if any(summary["left_out"].values()):
        queries, database = summary["left_out"].values()
        lines.append(f"left out: {queries:,} queries and {database:,} pictures of the database")
    if len(columns) == 1:
        rows = rows[1:]
    for label, *cells in rows:
        shown = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append(f"{label.ljust(widths[0])}  {shown}")
    if found.correlation is not None:
        c = found.correlation
        lines.append(
            f"distance against ψ: Spearman {_signed(c.overall)} over {c.pairs:,} stored pairs and {c.zeros:,} zeros, "
            f"{_signed(c.stored)} over the stored ones (-1 is the best)"
        )
    return lines


def write_per_query(path: str | os.PathLike[str], found: Evaluation, *, overwrite: bool = False) -> None:
    """Write the scores of every query as CSV, whole or not at all.

    Columns: ``place``, ``query``, ``positives`` (how many), ``first_hit`` (rank of the first right answer, from 1,
    empty where there is none), ``ap@k`` for every k (empty without a positive), ``answer`` and ``distance`` (of the
    first), and with graded labels ``psi`` (of the first answer) and ``ndcg@k`` for every k (empty where the query is
    left out).

    Parameters
    ----------
    path:
        the file.
    found:
        the evaluation.
    overwrite:
        whether a file that is there may be replaced.

    Raises
    ------
    OutputExistsError, OutputError
        when the file is there, or cannot be written.
    """
    path = Path(path)
    with (
        replacing(path, overwrite=overwrite) as private,
        output_errors(path),
        private.open("w", encoding="utf-8", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows(_lines(found))


def _lines(found: Evaluation) -> Iterator[list[object]]:
    scores, grades = found.scores, found.graded
    head = ["place", "query", "positives", "first_hit", *(f"ap@{k}" for k in scores.ks), "answer", "distance"]
    yield [*head, *(() if grades is None else ("psi", *(f"ndcg@{k}" for k in grades.ks)))]
    for i, key in enumerate(found.of.query.tolist()):
        answer = int(found.rows[i, 0]) if found.rows.shape[1] else -1
        line: list[object] = [
            found.of.places[int(found.of.query_place[i])],
            key,
            int(scores.positives[i]),
            int(scores.first_hit[i]) or "",
            *(_cell(value) for value in scores.average_precision[i].tolist()),
            str(found.of.database[answer]) if answer >= 0 else "",
            "" if found.distances is None else _cell(float(found.distances[i, 0])),
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
