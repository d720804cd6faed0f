"""What an evaluation asks, and which answers are right: queries, one database of all places, positives, ψ.

Rows are numbered consecutively over all places, so that a query may be answered with an image of another city, which
is wrong; its positives are in its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.cameras import Cameras, Status, surely_unique
from relabel.display import Displayed, Summary, named, several
from relabel.errors import InputError, OptionError
from relabel.evaluation.places import Place
from relabel.evaluation.positives import WITHIN_M, RowLists, positives_by_distance
from relabel.exchange.positive_rows import check_threshold
from relabel.excluded_pairs import ExcludedPairs
from relabel.exclusion import Exclusion
from relabel.fixed_width import joined

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_SURFACE = ("surface", "voxel-iou")


@dataclass(frozen=True)
class Rule:
    """What makes a database camera a positive of a query; either a distance or a least ψ.

    Attributes
    ----------
    within_m:
        metres; None where ψ decides.
    max_heading_difference_deg:
        with a distance, the largest difference of headings, degrees; None if headings do not matter.
    psi:
        the least ψ; None where the distance decides.
    """

    within_m: float | None = None
    max_heading_difference_deg: float | None = None
    psi: float | None = None

    def __str__(self) -> str:
        if self.psi is not None:
            return f"ψ ≥ {self.psi:g}"
        turn = self.max_heading_difference_deg
        return f"within {self.within_m:g} m" + ("" if turn is None else f" and {turn:g}° of heading")

    def to_json(self) -> dict[str, float]:
        """The parameters that are set."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationSet(Displayed):
    """Queries and a database, both numbered from 0.

    Attributes
    ----------
    places:
        the names of the cities or scenes.
    query, database:
        (n,) and (m,) str, the keys.
    query_place, database_place:
        (n,) and (m,) int64, the place of each.
    query_cameras, database_cameras:
        the cameras of each place that take part.
    twin:
        (n,) int64, the database row that is the query itself, or -1; it is never an answer.
    positives:
        the database rows that are right answers, by query.
    rule:
        what makes them so.
    psi:
        (n × m) graded labels, or None where there are none.
    psi_known:
        (n,) and (m,) whether a camera's similarities are known.
    left_out:
        keys of queries and of database cameras that do not take part.
    excluded:
        the pairs of each place that its labels exclude: never a positive, and passed over as an answer. None where
        there is no such rule.
    """

    places: tuple[str, ...]
    query: npt.NDArray[np.str_]
    database: npt.NDArray[np.str_]
    query_place: IntArray
    database_place: IntArray
    query_cameras: tuple[Cameras, ...]
    database_cameras: tuple[Cameras, ...]
    twin: IntArray
    positives: RowLists
    rule: Rule
    psi: sparse.csr_array | None = None
    psi_known: tuple[BoolArray, BoolArray] = field(default=(np.empty(0, bool), np.empty(0, bool)))
    left_out: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
    excluded: tuple[ExcludedPairs | None, ...] = ()

    def _summary(self) -> Summary:
        n, m = self.shape
        without = int(np.count_nonzero(self.positives.counts == 0))
        rows = [("places", named(self.places, len(self.places))), ("positives", str(self.rule))]
        rows += [("excludes", rule) for rule in self.exclusions]
        rows.append(("queries", f"{n - without:,} with a positive, {without:,} without"))
        rows.append(("left out", " and ".join(f"{len(keys):,} {side}" for keys, side in self._sides_left_out)))
        return Summary(
            f"{type(self).__name__}: {several(n, 'query', 'queries')} × {several(m, 'database camera')}", rows
        )

    @property
    def _sides_left_out(self) -> list[tuple[frozenset[str], str]]:
        return list(zip(self.left_out, ("queries", "database cameras"), strict=True))

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, database cameras)."""
        return len(self.query), len(self.database)

    @property
    def exclusions(self) -> list[str]:
        """What the labels exclude, in words."""
        return list(dict.fromkeys(str(pairs.rule) for pairs in self.excluded if pairs is not None))

    def is_excluded(self, answers: IntArray) -> BoolArray:
        """(n, k) which answers, database rows of each query, make an excluded pair with it."""
        out = np.zeros(answers.shape, bool)
        for number, pairs in enumerate(self.excluded):
            if pairs is not None:
                rows, columns = (np.flatnonzero(side == number) for side in (self.query_place, self.database_place))
                first = int(columns[0])
                local = answers[rows] - first
                inside = (local >= 0) & (local < len(columns))
                held = pairs.holds(np.arange(len(rows))[:, None], np.where(inside, local, 0))
                out[rows] = held & inside
        return out

    def excluded_counts(self) -> IntArray:
        """(n,) how many database cameras each query makes an excluded pair with, itself not counted."""
        counts = np.zeros(len(self.query), np.int64)
        for number, pairs in enumerate(self.excluded):
            if pairs is not None:
                rows = np.flatnonzero(self.query_place == number)
                all_ = pairs.counts(self_pairs=False, any_status=True)
                counts[rows] = all_ - ((self.twin[rows] >= 0) & (all_ > 0))
        return counts


def default_rule(places: Sequence[Place]) -> Rule:
    """25 m, the usual distance of the field; ψ ≥ 0.5 for surface labels (rooms), and if no camera has a position."""
    for place in places:
        if place.stored is None:
            return Rule(within_m=WITHIN_M)
        seen = any(np.isfinite(side.position[:, :2]).all(axis=1).any() for side in (place.query, place.database))
        if place.stored.method not in _SURFACE and seen:
            return Rule(within_m=WITHIN_M)
    return Rule(psi=0.5)


def evaluation_set(places: Sequence[Place], rule: Rule | None = None) -> EvaluationSet:
    """Queries, database and positives of some places.

    By distance, panoramas and cameras without a position are left out; by ψ, all cameras that are not ok. A query
    without a positive stays, but does not count in the scores. Pairs that the labels exclude are not positives.

    Parameters
    ----------
    places:
        see `relabel.evaluation.places`.
    rule:
        what a positive is; by default `default_rule`.

    Raises
    ------
    OptionError
        when the rule is invalid, or needs what the places do not have.
    InputError
        when nothing is left of one side, or a key is in two places.
    """
    rule = default_rule(places) if rule is None else rule
    if (rule.within_m is None) == (rule.psi is None):
        raise OptionError("choose positives either by distance (within_m) or by ψ (psi)")
    if rule.psi is not None and rule.max_heading_difference_deg is not None:
        raise OptionError("ψ already depends on the headings; a heading limit only applies to positives by distance")
    if not places:
        raise InputError("there is no collection to evaluate; name a label file that holds one")
    kept = [_kept(place, rule) for place in places]
    sides: list[list[Cameras]] = [
        [getattr(place, side).take(rows[i]) for place, rows in zip(places, kept, strict=True)]
        for i, side in enumerate(("query", "database"))
    ]
    starts = [np.cumsum([0, *map(len, side)]) for side in sides]
    keys = [
        _joined(side, [p.name for p in places], what) for side, what in zip(sides, ("query", "database"), strict=True)
    ]
    matrix, known = _similarities(places, kept)
    excluded = _excluded(places, sides)
    if matrix is not None:
        matrix = _not_excluded(matrix, excluded, starts)
    lists, twins = [], []
    for i, (place, (rows, columns)) in enumerate(zip(places, kept, strict=True)):
        twins.append(_twins(place, rows, columns, int(starts[1][i])))
        if rule.within_m is not None:
            each = positives_by_distance(
                sides[0][i],
                sides[1][i],
                rule.within_m,
                max_heading_difference_deg=rule.max_heading_difference_deg,
                params=place.params,
            )
            each = _without_twin(each, twins[-1] - int(starts[1][i]))
            if (pairs := excluded[i]) is not None:
                each = _kept_lists(each, ~pairs.holds(_rows(each), each.indices))
            lists.append(each)
    positives = _similar(places, matrix, rule.psi) if rule.psi is not None else _stacked(lists, starts[1])
    return EvaluationSet(
        tuple(place.name for place in places),
        keys[0],
        keys[1],
        _numbered(sides[0]),
        _numbered(sides[1]),
        tuple(sides[0]),
        tuple(sides[1]),
        np.concatenate(twins),
        positives,
        rule,
        matrix,
        known,
        (_left_out(places, kept, 0), _left_out(places, kept, 1)),
        tuple(excluded),
    )


def _excluded(places: Sequence[Place], sides: Sequence[Sequence[Cameras]]) -> list[ExcludedPairs | None]:
    """The pairs that the labels of each place exclude, among the cameras that take part."""
    excluded: list[ExcludedPairs | None] = []
    for place, query, database in zip(places, *sides, strict=True):
        try:
            rule = Exclusion.from_params(place.params)
            excluded.append(ExcludedPairs(rule, query, database) if rule else None)
        except (InputError, OptionError) as error:
            raise InputError(f"{place.name}: {error}") from None
    return excluded


def _not_excluded(
    matrix: sparse.csr_array, excluded: Sequence[ExcludedPairs | None], starts: Sequence[IntArray]
) -> sparse.csr_array:
    """ψ without the excluded pairs."""
    keep = np.ones(matrix.nnz, bool)
    for i, pairs in enumerate(excluded):
        if pairs is not None:
            first, stop = starts[0][i : i + 2]
            span = slice(matrix.indptr[first], matrix.indptr[stop])
            rows = np.repeat(np.arange(stop - first), np.diff(matrix.indptr[first : stop + 1]))
            keep[span] = ~pairs.holds(rows, matrix.indices[span] - starts[1][i])
    if keep.all():
        return matrix
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])
    return sparse.csr_array((matrix.data[keep], matrix.indices[keep], sums[matrix.indptr]), shape=matrix.shape)


def _rows(lists: RowLists) -> IntArray:
    return np.repeat(np.arange(len(lists.counts)), lists.counts)


def _kept_lists(lists: RowLists, keep: BoolArray) -> RowLists:
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])
    return RowLists(sums[lists.indptr], lists.indices[keep])


def _kept(place: Place, rule: Rule) -> tuple[IntArray, IntArray]:
    """The rows of queries and of database cameras that take part."""
    kept = []
    for what, cameras, inside in (
        ("query", place.query, place.query_in),
        ("database", place.database, place.database_in),
    ):
        if rule.psi is not None:
            fit = cameras.ok
        else:
            fit = (cameras.status != Status.PANORAMA) & np.isfinite(cameras.position[:, :2]).all(axis=1)
        if inside is not None and not inside.any():
            raise InputError(
                f"{place.name}: no {what} camera is in the subtask, so nothing can be evaluated there; leave the place "
                "out, or take another subtask"
            )
        rows = np.flatnonzero(fit if inside is None else fit & inside)
        if not len(rows):
            why = ", ".join(f"{n:,} {status}" for status, n in cameras.status_counts().items()) or "there is none"
            asked = "" if inside is None else f", of which {int(inside.sum()):,} are in the subtask"
            needs = "ok" if rule.psi is not None else "not a panorama, and to have a position"
            raise InputError(
                f"{place.name}: no {what} camera takes part ({why}{asked}); at least one has to be {needs}"
            )
        kept.append(rows)
    return kept[0], kept[1]


def _numbered(side: Sequence[Cameras]) -> IntArray:
    return np.repeat(np.arange(len(side), dtype=np.int64), [len(cameras) for cameras in side])


def _joined(side: Sequence[Cameras], names: Sequence[str], what: str) -> npt.NDArray[np.str_]:
    keys = joined([cameras.key for cameras in side])
    if len(side) > 1 and not surely_unique(keys):
        unique, counts = np.unique(keys, return_counts=True)
        twice = unique[counts > 1]
        if len(twice):
            at = [name for name, cameras in zip(names, side, strict=True) if (cameras.key == twice[0]).any()]
            raise InputError(
                f"{what} key {str(twice[0])!r} is in {at[0]} and in {at[1]} ({len(twice):,} key(s) are in more than "
                "one place), so a prediction would be ambiguous: evaluate one at a time, as FILE::NAME"
            )
    return keys


def _similarities(
    places: Sequence[Place], kept: Sequence[tuple[IntArray, IntArray]]
) -> tuple[sparse.csr_array | None, tuple[BoolArray, BoolArray]]:
    """ψ of all places, one block each on the diagonal, and the cameras whose ψ is known."""
    stored = [place.stored for place in places]
    empty = np.empty(0, bool)
    if any(each is None for each in stored):
        return None, (empty, empty)
    blocks = [each.to_scipy()[rows][:, columns] for each, (rows, columns) in zip(stored, kept, strict=True) if each]
    matrix = sparse.csr_array(sparse.block_diag(blocks, format="csr"))
    matrix.sort_indices()
    known = [
        np.concatenate([getattr(place, side).ok[rows[i]] for place, rows in zip(places, kept, strict=True)])
        for i, side in enumerate(("query", "database"))
    ]
    return matrix, (known[0], known[1])


def _similar(places: Sequence[Place], matrix: sparse.csr_array | None, psi: float) -> RowLists:
    if matrix is None:
        raise OptionError("positives by ψ need a label file; name one, or define positives by distance")
    for place in places:
        if place.stored is not None:
            check_threshold(psi, place.stored.collection)
    keep = matrix.data >= np.float32(psi)
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep)])
    return RowLists(sums[matrix.indptr], matrix.indices[keep].astype(np.int64))


def _twins(place: Place, rows: IntArray, columns: IntArray, first: int) -> IntArray:
    """The database row of each query itself, in a set of self pairs."""
    if not place.self_pairs:
        return np.full(len(rows), -1, np.int64)
    at = np.minimum(np.searchsorted(columns, rows), len(columns) - 1)
    return np.where(columns[at] == rows, at + first, -1).astype(np.int64)


def _without_twin(lists: RowLists, twin: IntArray) -> RowLists:
    return _kept_lists(lists, lists.indices != twin[_rows(lists)])


def _stacked(lists: Sequence[RowLists], starts: npt.NDArray[Any]) -> RowLists:
    counts = np.concatenate([np.zeros(1, np.int64), *(each.counts for each in lists)])
    moved = [each.indices + first for each, first in zip(lists, starts, strict=False)]
    return RowLists(np.cumsum(counts), np.concatenate(moved).astype(np.int64))


def _left_out(places: Sequence[Place], kept: Sequence[tuple[IntArray, IntArray]], side: int) -> frozenset[str]:
    keys: list[str] = []
    for place, rows in zip(places, kept, strict=True):
        cameras = (place.query, place.database)[side]
        out = np.ones(len(cameras), bool)
        out[rows[side]] = False
        keys += cameras.key[out].tolist()
    return frozenset(keys)
