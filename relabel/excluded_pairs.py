"""The pairs of a collection that a rule excludes, without listing them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.display import several
from relabel.errors import InputError
from relabel.exclusion import FRAME, SEQUENCE, TIME, Exclusion

IntArray = npt.NDArray[np.int64]

_ROLES = {SEQUENCE: "sequence", FRAME: "frame", TIME: "time"}
"""What the readers of tables call the columns"""


class _Side(NamedTuple):
    """Where the cameras of one side are in time."""

    group: IntArray
    """(n,) the number of the sequence; -1 where it, or the place within it, is not known"""
    place: FloatArray
    """(n,) frame or seconds; 0 where only sequences matter"""


def check_columns(rule: Exclusion, query: Cameras, database: Cameras) -> None:
    """Raise an `InputError` unless both sides have the columns that a rule needs, with one number or name a camera.

    A sequence is a text on both sides or a number on both; where only a time is needed, sides may have none.
    """
    cameras = {"query cameras": query, "database cameras": database}
    for what, side in cameras.items():
        for name in rule.columns:
            if name not in side.extra:
                raise InputError(f"the {what} have no column {name!r}, which {_to_exclude(rule, cameras)}")
    for what, side in cameras.items():
        for name in _compared(rule, query, database):
            column = side.extra[name]
            kinds, wanted = ("Uiuf", "text or number") if name == SEQUENCE else ("iuf", "number")
            if column.ndim != 1 or column.dtype.kind not in kinds:
                raise InputError(
                    f"the column {name!r} of the {what} has type {column.dtype} and shape {column.shape}; one {wanted} "
                    f"a camera is needed to exclude {rule}"
                )
    if SEQUENCE in _compared(rule, query, database):
        is_text = [side.extra[SEQUENCE].dtype.kind == "U" for side in cameras.values()]
        if is_text[0] != is_text[1]:
            names = [
                f"{'text' if text else 'numbers'} of the {what}" for text, what in zip(is_text, cameras, strict=True)
            ]
            raise InputError(
                f"the column {SEQUENCE!r} is {' and '.join(names)}, so that no two are the same; make it text on both "
                f"sides, or numbers, to exclude {rule}"
            )


def excluded_params(
    rule: Exclusion, query: Cameras, database: Cameras, *, self_pairs: bool
) -> tuple[dict[str, Any], list[str]]:
    """What the `params` of a collection say of the pairs that it excludes, and how many these are, in words.

    Parameters
    ----------
    rule:
        what excludes a pair; if it is empty, nothing is reported.
    query, database, self_pairs:
        the cameras, and whether they are one set.

    Raises
    ------
    InputError
        as for `ExcludedPairs` and its `check_places`.
    """
    if not rule:
        return {}, []
    pairs = ExcludedPairs(rule, query, database)
    pairs.check_places()
    count = int(pairs.counts(self_pairs=self_pairs).sum())
    lost = " and ".join(
        several(n, f"{side} camera") for n, side in zip(pairs.without_place, ("query", "database"), strict=True) if n
    )
    kept = f"; {lost} have no place in a sequence, so they keep all their pairs" if lost else ""
    note = (
        f"{several(count, 'pair is', 'pairs are')}"
        f" excluded from training and scoring ({rule}); their ψ is still stored{kept}"
    )
    return rule.to_json(), [note]


class ExcludedPairs:
    """The excluded pairs of a collection. None is listed: those of a query are a range in the order of time.

    Parameters
    ----------
    rule:
        what excludes a pair.
    query, database:
        the cameras of the rows and of the columns.

    Raises
    ------
    InputError
        when a side lacks a column that the rule needs, or a column is of another type.
    """

    def __init__(self, rule: Exclusion, query: Cameras, database: Cameras) -> None:
        self.rule = rule
        self._gap = np.inf if rule.other_sequence else float(rule.min_frame_gap or rule.min_time_gap_s or 0.0)
        self._ok = query.ok, database.ok
        self._cameras = {"query cameras": query, "database cameras": database}
        self._query, self._database = _sides(rule, query, database)

    def check_places(self) -> None:
        """Raise an `InputError` where no ok camera of a side has a place in a sequence or in time.

        For those who choose a rule: it would exclude nothing. Cameras of a file that has a rule may well lack places,
        as a part of a larger one.
        """
        for (what, cameras), side in zip(self._cameras.items(), (self._query, self._database), strict=True):
            if cameras.ok.any() and not (side.group >= 0)[cameras.ok].any():
                needed = _to_exclude(self.rule, self._cameras)
                raise InputError(f"none of the {what} has a {self.rule.columns[-1]}, which {needed}")

    def holds(self, rows: npt.NDArray[np.integer[Any]], columns: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """(m,) whether each pair (rows[i], columns[i]) is excluded; the two arrays broadcast against each other."""
        group, place = self._query.group[rows], self._query.place[rows]
        apart = np.abs(place - self._database.place[columns])
        return np.asarray((group >= 0) & (group == self._database.group[columns]) & (apart < self._gap))

    def ranges(self, *, any_status: bool = False) -> tuple[IntArray, IntArray, IntArray]:
        """The excluded pairs of ok cameras, or with `any_status` of all.

        Returns
        -------
        order, first, stop:
            (k,) int64 database rows in the order of sequence and time, and (queries,) int64 each: the pairs of query i
            are those with ``order[first[i]:stop[i]]``, among them the query itself where it is of the database.
        """
        side = self._database
        kept = np.flatnonzero((any_status | self._ok[1]) & (side.group >= 0))
        order = kept[np.lexsort((side.place[kept], side.group[kept]))]
        group, place = side.group[order], side.place[order]
        asked = (any_status | self._ok[0]) & (self._query.group >= 0)
        wanted, at = self._query.group, self._query.place
        low, high = (np.searchsorted(group, wanted, side=end) for end in ("left", "right"))
        low, high = np.where(asked, low, 0), np.where(asked, high, 0)
        # Decided by the very differences that `holds` takes, which are monotone in the order of time.
        first = _first(low, high, lambda i, row: at[row] - place[i] < self._gap)
        stop = _first(first, high, lambda i, row: ~(place[i] - at[row] < self._gap))
        return order, first, stop

    def counts(self, *, self_pairs: bool, any_status: bool = False) -> IntArray:
        """(queries,) how many database cameras each query makes an excluded pair with, itself not counted.

        Only ok cameras are, unless `any_status`.
        """
        _, first, stop = self.ranges(any_status=any_status)
        return stop - first - (self_pairs & (stop > first))

    @property
    def without_place(self) -> tuple[int, int]:
        """How many ok queries and ok database cameras have no sequence, frame or time, so that no pair is excluded."""
        query, database = (
            int(np.count_nonzero(ok & (side.group < 0)))
            for ok, side in zip(self._ok, (self._query, self._database), strict=True)
        )
        return query, database


def _compared(rule: Exclusion, query: Cameras, database: Cameras) -> tuple[str, ...]:
    """The columns that decide: those that the rule needs, and for times the sequence where both sides have it."""
    if rule.min_time_gap_s is not None and all(SEQUENCE in side.extra for side in (query, database)):
        return (SEQUENCE, TIME)
    return rule.columns


def _sides(rule: Exclusion, query: Cameras, database: Cameras) -> list[_Side]:
    check_columns(rule, query, database)
    cameras = (query, database)
    if SEQUENCE in _compared(rule, query, database):
        groups = _groups(query.extra[SEQUENCE], database.extra[SEQUENCE])
    else:
        groups = [np.zeros(len(side), np.int64) for side in cameras]
    name = rule.columns[-1]
    sides = []
    for side, group in zip(cameras, groups, strict=True):
        place = np.zeros(len(side)) if name == SEQUENCE else side.extra[name].astype(np.float64)
        known = (group >= 0) & np.isfinite(place)
        sides.append(_Side(np.where(known, group, -1), np.where(known, place, 0.0)))
    return sides


def _to_exclude(rule: Exclusion, cameras: Mapping[str, Cameras]) -> str:
    """What a missing column is needed for, and which rules there are columns for."""
    have = {name for name in (SEQUENCE, FRAME, TIME) if all(name in side.extra for side in cameras.values())}
    rules = (Exclusion(other_sequence=True), Exclusion(min_frame_gap=1), Exclusion(min_time_gap_s=1.0))
    others = [next(iter(r.to_json())) for r in rules if r.columns != rule.columns and have.issuperset(r.columns)]
    advice = f"take {' or '.join(others)}, for which there are columns" if others else "omit the rule"
    if missing := [_ROLES[name] for name in rule.columns if name not in have]:
        advice = f"in a table, {','.join(f'{role}=NAME' for role in missing)} names the column; or {advice}"
    return f"is needed to exclude {rule}; {advice}"


def _groups(query: npt.NDArray[Any], database: npt.NDArray[Any]) -> list[IntArray]:
    """Numbers of the sequences of both sides, the same for the same name; -1 for an empty one and for NaN.

    Both sides are of text, or both of numbers.
    """
    if {query.dtype.kind, database.dtype.kind} == {"i", "u"}:  # no type of numbers holds all of both
        query, database = query.astype(np.str_), database.astype(np.str_)
    names = np.concatenate((query, database))
    unnamed = names == "" if names.dtype.kind == "U" else names != names  # noqa: PLR0124  NaN
    _, codes = np.unique(names, return_inverse=True)
    codes = np.where(unnamed, -1, codes)
    return [codes[: len(query)], codes[len(query) :]]


def _first(low: IntArray, high: IntArray, holds: Callable[[IntArray, IntArray], npt.NDArray[np.bool_]]) -> IntArray:
    """For each row the first number in [low, high) for which `holds(number, row)`, `high` where it does for none.

    In each row it holds from some number on.
    """
    low, high = low.copy(), high.copy()
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) // 2
        yes = holds(middle, open_)
        high[open_[yes]] = middle[yes]
        low[open_[~yes]] = middle[~yes] + 1
        open_ = open_[low[open_] < high[open_]]
    return low
