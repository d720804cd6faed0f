"""Predictions as text, in the form of the MSLS benchmark: a line per query, its key and then database keys, best first.

    # lines that start with # are skipped
    AoD5-ZB5YrgyClbR5qmG4g AszgP_Xhs_cmcPHEoXv-Mw uwGs1pyo90OJi4hTLzGWfg

Keys are separated by white space, and so contain none. Lines may differ in length.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.atomic import output_errors, replacing
from relabel.display import fields_text, several
from relabel.errors import InputError, MissingFileError
from relabel.evaluation.ground_truth import EvaluationSet
from relabel.evaluation.metrics import IntArray, as_rows, first_of_each
from relabel.input_files import check_regular
from relabel.keys import RowsByKey, nfc

_SHOWN = 3


class Predictions(NamedTuple):
    """The content of a file of predictions."""

    path: Path
    query: list[str]
    answers: list[list[str]]
    """of each query, best first"""
    line: list[int]
    """the line of each query, counted from 1"""

    def __repr__(self) -> str:
        return fields_text(self)


class MatchedPredictions(NamedTuple):
    """Predictions as rows of an evaluation set."""

    rows: IntArray
    """(queries, n) database rows, best first; -1 for images not in the database, and past the end of a line"""
    lengths: IntArray
    """(queries,) the number of predictions of each"""
    notes: list[str]
    """what the user should know, one sentence each"""

    def __repr__(self) -> str:
        return fields_text(self)


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """The predictions of a file.

    Parameters
    ----------
    path:
        UTF-8 text as the head of this module describes it.

    Raises
    ------
    MissingFileError
        when there is no such file.
    InputError
        when it cannot be read, holds no line, or two lines are of one query; the message names the lines.
    """
    path = Path(path)
    check_regular(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: there is no such file of predictions") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text (byte {error.start}); a file of predictions is expected") from None
    predictions = Predictions(path, [], [], [])
    for number, line in enumerate(text.split("\n"), start=1):
        keys = line.split()
        if keys and not keys[0].startswith("#"):
            predictions.query.append(keys[0])
            predictions.answers.append(keys[1:])
            predictions.line.append(number)
    if not predictions.query:
        raise InputError(f"{path}: holds no predictions; expected lines of a query key and database keys, best first")
    seen: dict[str, int] = {}
    for query, number in zip(predictions.query, predictions.line, strict=True):
        if query in seen:
            raise InputError(f"{path}: query {query!r} is on lines {seen[query]} and {number}; keep one line per query")
        seen[query] = number
    return predictions


def match(predictions: Predictions, ground_truth: EvaluationSet, *, allow_unknown: bool = False) -> MatchedPredictions:
    """Predictions as rows of an evaluation set; what the set leaves out is a miss, as in the official program.

    Parameters
    ----------
    predictions:
        as read from a file.
    ground_truth:
        the set; every query of it with a positive has to be answered.
    allow_unknown:
        whether keys that are in none of the places of the set are allowed: such queries are skipped, and such
        database keys are misses.

    Raises
    ------
    InputError
        when a query with a positive has no line, no query is known, or unknown keys are not allowed; the message
        shows three of them and the line of the first.
    """
    number_of = RowsByKey(ground_truth.query.tolist())
    rows_of = [number_of.get(key) for key in predictions.query]
    left_out_keys = [{nfc(key) for key in keys} for keys in ground_truth.left_out]
    strangers = [i for i, row in enumerate(rows_of) if row < 0 and nfc(predictions.query[i]) not in left_out_keys[0]]
    if len(strangers) == len(predictions.query) or (strangers and not allow_unknown):
        raise InputError(_unknown_queries(predictions, ground_truth, strangers))
    answered = np.zeros(len(ground_truth.query), bool)
    answered[[row for row in rows_of if row >= 0]] = True
    lacking = np.flatnonzero(~answered & (ground_truth.positives.counts > 0))
    if len(lacking):
        having = int((ground_truth.positives.counts > 0).sum())
        raise InputError(
            f"{predictions.path}: {len(lacking):,} of the {having:,} queries with a positive have no line: "
            f"{_some(ground_truth.query[lacking])}; every query needs one"
        )
    database = RowsByKey(ground_truth.database.tolist())
    table: list[list[int]] = [[] for _ in ground_truth.query]
    unknown: list[tuple[int, str]] = []
    left_out = own = passed = 0
    for row, answers, line in zip(rows_of, predictions.answers, predictions.line, strict=True):
        if row < 0:
            passed += 1
            continue
        numbers = [database.get(key) for key in answers]
        twin = int(ground_truth.twin[row])
        if twin >= 0 and twin in numbers:
            own += 1
            numbers = [-1 if number == twin else number for number in numbers]
        elif -1 in numbers:
            misses = [key for key, number in zip(answers, numbers, strict=True) if number < 0]
            here = [(line, key) for key in misses if nfc(key) not in left_out_keys[1]]
            left_out += len(misses) - len(here)
            unknown += here
        table[row] = numbers
    if unknown and not allow_unknown:
        raise InputError(_unknown_answers(predictions, ground_truth, unknown))
    lengths = np.array([len(numbers) for numbers in table], np.int64)
    rows = np.full((len(table), max(int(lengths.max()), 1)), -1, np.int64)
    for numbers, into in zip(table, rows, strict=True):
        into[: len(numbers)] = numbers
    notes = _notes(predictions, ground_truth, rows, passed=passed, left_out=left_out, own=own, unknown=unknown)
    return MatchedPredictions(rows, lengths, notes)


def shorter_than(lengths: IntArray, counted: npt.NDArray[np.bool_], ks: Sequence[int]) -> str | None:
    """A sentence on queries with fewer predictions than the largest k, or None."""
    k = max(ks)
    short = counted & (lengths < k)
    if not short.any():
        return None
    least = int(lengths[short].min())
    return (
        f"{several(int(short.sum()), 'query has', 'queries have')}"
        f" fewer than {k} predictions (the fewest: {least}); missing ones count as "
        "misses"
    )


def write_predictions(
    path: str | os.PathLike[str],
    query: npt.NDArray[np.str_],
    database: npt.NDArray[np.str_],
    rows: npt.NDArray[Any],
    *,
    overwrite: bool = False,
) -> None:
    """Write predictions, whole or not at all.

    Parameters
    ----------
    path:
        the file.
    query, database:
        (n,) and (m,) str, the keys.
    rows:
        (n, k) database rows of each query, best first; those that are negative or NaN are left out.
    overwrite:
        whether a file that is there may be replaced.

    Raises
    ------
    InputError
        when a key contains white space, or that of a query starts with # or a byte order mark, so that the file could
        not be read back; or if a row is not a whole number, or beyond the database.
    OutputExistsError, OutputError
        when the file is there, or cannot be written.
    """
    path = Path(path)
    check_keys(query, "query")
    check_keys(database, "database")
    names = database.tolist()
    numbers = as_rows(rows, len(query))
    beyond = np.argwhere(numbers >= len(names))
    if len(beyond):
        row, rank = beyond[0].tolist()
        raise InputError(
            f"prediction {rank} of query {str(query[row])!r} (counted from 0) is row {np.asarray(rows)[row, rank]} of "
            f"the database, which has {len(names):,}; use -1 to pad short rows"
        )
    with replacing(path, overwrite=overwrite) as private, output_errors(path):
        lines = (
            " ".join([key, *(names[row] for row in answers if row >= 0)])
            for key, answers in zip(query.tolist(), numbers.tolist(), strict=True)
        )
        private.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def check_keys(keys: npt.NDArray[np.str_], what: str) -> None:
    """Raise an `InputError` that names the first key that a file of predictions cannot hold."""
    for key in keys.tolist():
        if key.split() != [key] or (what == "query" and key.startswith(("#", "\ufeff"))):
            raise InputError(
                f"{what} key {key!r} cannot be written to a file of predictions, where white space separates keys and "
                "# begins a comment; save the per-query scores instead, or give the images other keys"
            )


def _notes(
    predictions: Predictions,
    ground_truth: EvaluationSet,
    rows: IntArray,
    *,
    passed: int,
    left_out: int,
    own: int,
    unknown: Sequence[tuple[int, str]],
) -> list[str]:
    notes = []
    if passed:
        notes.append(f"{passed:,} of {len(predictions.query):,} lines are for queries that are not evaluated")
    if left_out:
        notes.append(
            f"{several(left_out, 'prediction names an image that is', 'predictions name images that are')}"
            " left out of the database; they count as misses"
        )
    if unknown:
        notes.append(
            f"{several(len(unknown), 'prediction names an unknown image', 'predictions name unknown images')}"
            f", the first on line {unknown[0][0]} "
            f"({_some([key for _, key in unknown])}); they count as misses"
        )
    if own:
        notes.append(f"{several(own, 'query predicts itself', 'queries predict themselves')}, which counts as a miss")
    again = ~first_of_each(rows) & (rows >= 0)
    if again.any():
        row = int(np.argmax(again.any(axis=1)))
        key = str(ground_truth.query[row])
        twice = str(ground_truth.database[rows[row, int(np.argmax(again[row]))]])
        line = predictions.line[predictions.query.index(key)]
        notes.append(
            f"{several(int(again.any(axis=1).sum()), 'line predicts', 'lines predict')}"
            f" an image twice, the first on line {line} ({twice!r}); "
            "only the first occurrence counts"
        )
    return notes


def _unknown_queries(predictions: Predictions, ground_truth: EvaluationSet, strangers: Sequence[int]) -> str:
    if not strangers:
        return (
            f"{predictions.path}: none of its {len(predictions.query):,} queries is evaluated; all are left out of "
            "the set"
        )
    keys = [predictions.query[i] for i in strangers]
    advice = _advice(keys, ground_truth.query, len(keys) == len(predictions.query))
    return (
        f"{predictions.path}: line {predictions.line[strangers[0]]}: {len(keys):,} of {len(predictions.query):,} "
        f"queries are not known: {_some(keys)}; the queries are {_some(ground_truth.query)}; {advice}"
    )


def _unknown_answers(predictions: Predictions, ground_truth: EvaluationSet, unknown: Sequence[tuple[int, str]]) -> str:
    keys = [key for _, key in unknown]
    every = len(keys) == sum(map(len, predictions.answers))
    return (
        f"{predictions.path}: line {unknown[0][0]}: {len(keys):,} predictions name unknown images: {_some(keys)}; "
        f"the database has {_some(ground_truth.database)}; {_advice(keys, ground_truth.database, every)}"
    )


def _advice(keys: Sequence[str], there: npt.NDArray[np.str_], every: bool) -> str:  # noqa: FBT001  private
    bare = {Path(key).stem for key in keys[:_SHOWN]}
    if bare & set(there.tolist()):
        return "write keys without folder and file extension"
    if any("," in key for key in keys[:_SHOWN]):
        return "keys with commas name sequences, but only single images are evaluated"
    if every:
        return "do the predictions belong to this dataset?"
    return "allow_unknown=True skips such queries and counts such predictions as misses"


def _some(keys: Iterable[Any]) -> str:
    """Up to three different keys as text."""
    shown = list(dict.fromkeys(map(str, keys)))
    return ", ".join(map(repr, shown[:_SHOWN])) + (", …" if len(shown) > _SHOWN else "")
