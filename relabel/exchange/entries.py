"""A checked similarity from pairs in any order; the requests to readers of formats, and their results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.cameras import Cameras
from relabel.errors import InputError, OptionError
from relabel.exchange.camera_files import CameraSides, cameras_of_keys
from relabel.exclusion import Exclusion
from relabel.fixed_width import text_array
from relabel.keys import rows_of
from relabel.measures import DEFAULT_MIN_VALUE, UNKNOWN, Measure, Unknown
from relabel.similarity import Collection, Similarity, SimilaritySource

_ROUNDING = 1e-6
"""A value may exceed 1 by this much, as sums in float32 do."""


@dataclass(frozen=True, eq=False)
class ImportRequest:
    """The request to a reader.

    Attributes
    ----------
    path:
        the file with the values.
    sides:
        the cameras; None if no file describes them.
    measure:
        what the values are.
    min_value:
        the limit that was asked for, or None; see `bound`.
    self_pairs:
        the database is the set of queries; `sides` already says so.
    params:
        the parameters of the collection.
    """

    path: Path
    sides: CameraSides | None
    measure: Measure | Unknown
    min_value: float | None = None
    self_pairs: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)

    def bound(self, facts: Mapping[str, Any] | None = None) -> float:
        """The least value that is not stored: the one requested, otherwise that of the file's `facts`, otherwise 1e-6.

        Raises
        ------
        OptionError
            if the facts name another measure.
        InputError
            if their limit is invalid.
        """
        facts = facts or {}
        recorded = facts.get("measure", self.measure)
        if recorded != self.measure and UNKNOWN not in (recorded, self.measure):
            raise OptionError(f"{self.path}: records that its measure is {recorded!r}, not {self.measure!r}")
        if self.min_value is not None:
            return self.min_value
        bound = facts.get("min_value", DEFAULT_MIN_VALUE)
        if not (isinstance(bound, int | float) and 0 <= bound < 1):
            raise InputError(f"{self.path}: records min_value {bound!r}; it has to be in [0, 1). Correct it")
        return float(bound)


class ValueCounts(NamedTuple):
    """What was done to the values of an import."""

    small: int = 0
    """values in (0, min_value], not stored"""
    clamped: int = 0
    """values a rounding error above 1, stored as 1"""
    diagonal: int = 0
    """values of a camera with itself, not stored"""
    made_ok: int = 0
    """cameras that were not ok but have values"""

    def notes(self, min_value: float) -> list[str]:
        """One sentence for each count that is not 0."""
        texts = (
            f"values in (0, {min_value:g}] are not stored",
            "values a little above 1 are stored as 1",
            "values of a camera with itself are not stored",
            "cameras have a status other than ok but also values, so they count as ok",
        )
        return [f"{count:,} {text}" for count, text in zip(self, texts, strict=True) if count]


class ImportResult(NamedTuple):
    """The result of a reader."""

    source: SimilaritySource
    counts: ValueCounts
    bound: float
    """values up to it are not stored"""
    notes: tuple[str, ...] = ()
    """one sentence for each assumption"""
    params: Mapping[str, Any] = {}
    """what the reader adds to the parameters of the import, for the record of provenance"""


class PairList(NamedTuple):
    """The entries of a file, with keys as numbers into lists of names."""

    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    values: npt.NDArray[Any]
    query: list[str]
    """names in the order of their first occurrence in the file"""
    database: list[str]
    locate: Callable[[int], str]
    """the location of the entry of a given number, for errors"""
    facts: Mapping[str, Any]
    """what the file says about itself"""


class Numbering:
    """Numbers for names, in the order of their first occurrence."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, name: str) -> int:
        """The number of a name; a new name gets the next number."""
        return self.numbers.setdefault(name, len(self.numbers))


def checked_values(values: npt.NDArray[Any], locate: Callable[[int], str]) -> tuple[npt.NDArray[np.float32], int]:
    """(k,) values as float32 in [0, 1], and how many were clamped that exceeded 1 by a rounding error.

    Raises
    ------
    InputError
        when one is not finite or outside [0, 1]; `locate` gives the location of the entry of a given number.
    """
    if values.dtype.kind not in "biuf":
        raise InputError(f"{locate(0)}: values of type {values.dtype} are not numeric")
    bad = ~((values >= 0) & (values <= 1.0 + _ROUNDING))
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"{locate(first)}: the value is {values[first]}, but a similarity is in [0, 1] ({int(bad.sum()):,} "
            "value(s) read so far are not); correct it, or scale the values"
        )
    above = values > 1.0
    result = values.astype(np.float32)
    result[above] = 1.0
    return result, int(above.sum())


def similarity_of_entries(
    rows: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    values: npt.NDArray[Any],
    sides: CameraSides,
    *,
    measure: Measure | Unknown,
    min_value: float,
    params: Mapping[str, Any],
    locate: Callable[[int], str],
) -> tuple[Similarity, ValueCounts]:
    """The collection of entries (row, column, value) in any order.

    Parameters
    ----------
    rows, columns, values:
        (k,) in the range of `sides`; zeros are allowed, and mean the same as absence.
    locate:
        gives the location of the entry of a given number in the input, for errors.

    Raises
    ------
    InputError
        if a value is not in [0, 1] or a pair is repeated.
    """
    psi, clamped = checked_values(values, locate)
    # One number per pair sorts three times faster than two, and suffices for 2^31 cameras per side.
    pair = rows.astype(np.int64) * sides.shape[1] + columns
    order = np.argsort(pair, kind="stable")
    twice = np.flatnonzero(pair[order[1:]] == pair[order[:-1]])
    if len(twice):
        first, second = int(order[twice[0]]), int(order[twice[0] + 1])
        names = str(sides.query.key[rows[first]]), str(sides.database.key[columns[first]])
        raise InputError(
            f"{locate(second)}: the pair {names[0]!r}, {names[1]!r} is repeated, first given in "
            f"{locate(first).rsplit(': ', 1)[-1]} ({len(twice):,} pair(s) are repeated); keep one of each"
        )
    del pair
    rows, columns, psi = rows[order], columns[order], psi[order]
    diagonal = (rows == columns) if sides.self_pairs else np.zeros(len(rows), bool)
    keep = (psi > np.float32(min_value)) & ~diagonal
    small = int(((psi > 0.0) & ~keep & ~diagonal).sum())
    rows, columns, psi = rows[keep], columns[keep], psi[keep]
    n, m = sides.shape
    sides, made_ok = sides.with_values(np.bincount(rows, minlength=n) > 0, np.bincount(columns, minlength=m) > 0)
    counts = ValueCounts(small, clamped, int(diagonal.sum()), made_ok)
    indptr = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.bincount(rows, minlength=n))))
    collection = imported_collection(sides, measure=measure, min_value=min_value, params=params, counts=counts)
    return Similarity(collection, sparse.csr_array((psi, columns, indptr), shape=(n, m))), counts


def imported_collection(
    sides: CameraSides, *, measure: Measure | Unknown, min_value: float, params: Mapping[str, Any], counts: ValueCounts
) -> Collection:
    """The collection of imported labels; what was done to the values is among its parameters."""
    values = {f"values_{name}": count for name, count in counts._asdict().items() if name != "made_ok"}
    return Collection(
        query=sides.query,
        database=sides.database,
        query_extent=sides.query_extent,
        database_extent=sides.database_extent,
        method="imported",
        measure=measure,
        params={**params, **values},
        min_value=min_value,
        self_pairs=sides.self_pairs,
    )


def result_of_pairs(request: ImportRequest, pairs: PairList) -> ImportResult:
    """The labels of a list of pairs; its own names are the cameras if the request has none.

    Raises
    ------
    InputError
        if a key is not among the cameras, a value is not in [0, 1] or a pair is repeated.
    OptionError
        if the file names another measure than the request.
    """
    bound = request.bound(pairs.facts)
    sides, notes = request.sides, []
    if sides is None:
        try:
            sides = _sides_of_names(pairs, self_pairs=request.self_pairs or pairs.facts.get("self_pairs") is True)
        except InputError as error:
            raise InputError(f"{request.path}: {error}") from None
        notes.append("only cameras that have a pair are known; give all with queries=… and database=…")
    notes.append(f"pairs that are not listed count as at most {bound:g}; min_value=… sets another limit")
    similarity, counts = similarity_of_entries(
        _rows_of_names(sides.query, pairs.query, pairs.rows, "query", pairs.locate),
        _rows_of_names(sides.database, pairs.database, pairs.columns, "database", pairs.locate),
        pairs.values,
        sides,
        measure=request.measure,
        min_value=bound,
        params=request.params,
        locate=pairs.locate,
    )
    return ImportResult(similarity, counts, bound, (*notes, *rule_notes(pairs.facts)))


def _sides_of_names(pairs: PairList, *, self_pairs: bool) -> CameraSides:
    if self_pairs:
        cameras, extent = cameras_of_keys(list(dict.fromkeys([*pairs.query, *pairs.database])))
        return CameraSides(cameras, cameras, extent, extent, self_pairs=True)
    (query, query_extent), (database, database_extent) = map(cameras_of_keys, (pairs.query, pairs.database))
    return CameraSides(query, database, query_extent, database_extent)


def _rows_of_names(
    cameras: Cameras, names: list[str], numbers: npt.NDArray[np.int32], side: str, locate: Callable[[int], str]
) -> npt.NDArray[np.int32]:
    rows = rows_of(cameras.key, text_array(names))
    # numpy drops a NUL at the end, and no key of a camera has one.
    rows[[number for number, name in enumerate(names) if "\0" in name]] = -1
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        entry = int(np.argmax(np.isin(numbers, missing)))
        raise InputError(
            f"{locate(entry)}: {side} {names[numbers[entry]]!r} is not among the {len(cameras):,} {side} cameras "
            f"({len(missing):,} key(s) are not); give the cameras that belong to the pairs"
        )
    return rows.astype(np.int32)[numbers]


def rule_notes(facts: Mapping[str, Any]) -> tuple[str, ...]:
    """One sentence if the facts of a file say that pairs are excluded, which imported labels do not record."""
    params = facts.get("params")
    if not isinstance(params, Mapping):
        return ()
    try:
        rule = Exclusion.from_params(params)
    except OptionError:
        return ()
    note = f"the file says that {rule} are excluded from training and scoring; imported labels do not say so"
    return (note,) if rule else ()


def read_facts(text: str | bytes) -> dict[str, Any]:
    """What `collection_facts` says, from its JSON; an `InputError` if it is invalid."""
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"its own description is not JSON: {error}") from None
    if not isinstance(facts, dict):
        raise InputError("its own description is not a JSON object")
    return facts
