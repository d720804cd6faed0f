"""Excluded pairs: every pair of small collections, decided one by one, and what columns lack."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, OptionError
from relabel.excluded_pairs import ExcludedPairs
from relabel.exclusion import Exclusion

RULES = [
    Exclusion(other_sequence=True),
    Exclusion(min_frame_gap=1),
    Exclusion(min_frame_gap=3),
    Exclusion(min_time_gap_s=0.1),
    Exclusion(min_time_gap_s=2.0),
]


def cameras(sequence: list[str], frame: list[int], time_s: list[float], ok: list[bool] | None = None) -> Cameras:
    """Cameras with all columns."""
    n = len(sequence)
    status = np.zeros(n, np.uint8) if ok is None else np.where(ok, Status.OK, Status.MASKED)
    extra = {
        "sequence": np.array(sequence, "U9"),
        "frame": np.array(frame, np.int64),
        "time_s": np.array(time_s, float),
    }
    return Cameras([f"c{i}" for i in range(n)], np.zeros((n, 2)), np.zeros(n), status=status, extra=extra)


@st.composite
def sides(draw: st.DrawFn) -> Cameras:
    """Up to nine cameras: sequences that are empty, frames that come twice, times on the edge of a gap or unknown."""
    n = draw(st.integers(1, 9))
    times = st.sampled_from([0.0, 0.1, 0.2, 0.30000000000000004, 0.3, 2.0, 2.1, 1.7e9, 1.7e9 + 2.0, -5.0, math.nan])

    def listed(values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=n, max_size=n))

    return cameras(
        listed(st.sampled_from(["", "a", "b"])), listed(st.integers(-3, 3)), listed(times), listed(st.booleans())
    )


def excluded(rule: Exclusion, a: Cameras, i: int, b: Cameras, j: int) -> bool:
    """Whether one pair is, as the documentation has it."""
    if a.extra["sequence"][i] == "" or a.extra["sequence"][i] != b.extra["sequence"][j]:
        return False
    if rule.min_frame_gap is not None:
        return abs(int(a.extra["frame"][i]) - int(b.extra["frame"][j])) < rule.min_frame_gap
    if rule.min_time_gap_s is not None:
        return abs(float(a.extra["time_s"][i]) - float(b.extra["time_s"][j])) < rule.min_time_gap_s  # no NaN is
    return True


@pytest.mark.parametrize("rule", RULES, ids=str)
@given(query=sides(), database=sides(), self_pairs=st.booleans())
def test_every_pair(rule: Exclusion, query: Cameras, database: Cameras, self_pairs: bool) -> None:
    """By pair, as ranges and as counts; only ranges and counts know statuses, and counts leave out the diagonal."""
    database = query if self_pairs else database
    expected = np.array(
        [[excluded(rule, query, i, database, j) for j in range(len(database))] for i in range(len(query))]
    )
    pairs = ExcludedPairs(rule, query, database)
    places = []
    for side in (query, database):
        name = rule.columns[-1]
        known = side.extra["sequence"] != ""
        if name != "sequence":
            known &= ~np.isnan(side.extra[name].astype(float))
        places.append(bool(known[side.ok].any()) or not side.ok.any())
    if all(places):
        pairs.check_places()
    else:
        with pytest.raises(InputError, match="none of the"):
            pairs.check_places()
    rows, columns = np.indices(expected.shape)
    assert (pairs.holds(rows, columns) == expected).all()
    of_ok = expected & query.ok[:, None] & database.ok[None, :]
    order, first, stop = pairs.ranges()
    for i in range(len(query)):
        assert sorted(order[first[i] : stop[i]]) == np.flatnonzero(of_ok[i]).tolist()
    counted = of_ok & ~np.eye(*of_ok.shape, dtype=bool) if self_pairs else of_ok
    assert pairs.counts(self_pairs=self_pairs).tolist() == counted.sum(axis=1).tolist()


def test_one_clock_where_there_are_no_sequences() -> None:
    """Times are compared across all cameras then; with sequences only within each."""
    with_names = cameras(["a", "b"], [0, 0], [10.0, 10.5])
    alone = Cameras(
        with_names.key, with_names.position, with_names.heading_deg, extra={"time_s": with_names.extra["time_s"]}
    )
    rule, rows = Exclusion(min_time_gap_s=1.0), np.array([[0], [1]])
    assert ExcludedPairs(rule, alone, alone).holds(rows, rows.T).tolist() == [[True, True], [True, True]]
    assert ExcludedPairs(rule, with_names, with_names).holds(rows, rows.T).tolist() == [[True, False], [False, True]]


def test_who_has_no_place() -> None:
    """Ok cameras without a sequence are counted, since all their pairs stay."""
    query, database = cameras(["a", "", ""], [0] * 3, [0.0] * 3, [True, True, False]), cameras(["a"], [0], [0.0])
    pairs = ExcludedPairs(Exclusion(other_sequence=True), query, database)
    assert pairs.without_place == (1, 0)
    assert pairs.counts(self_pairs=False).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("query", "database", "same"),
    [
        (np.array([np.nan, 2.0]), np.array([np.nan, 2.0]), [(1, 1)]),
        (np.array([1, 2]), np.array([2.0, np.nan]), [(1, 0)]),
        (np.array([1, 2], "f4"), np.array([2, 1], "u1"), [(0, 1), (1, 0)]),
        (np.array([2**62, -1], "i8"), np.array([2**64 - 1, 2**62 + 1], "u8"), []),
        (np.array([2**62, 2**62 + 1], "i8"), np.array([2**64 - 1, 2**62 + 1], "u8"), [(1, 1)]),
    ],
)
def test_sequences_of_numbers(query: np.ndarray, database: np.ndarray, same: list[tuple[int, int]]) -> None:
    """They are the same where their numbers are, of whatever type these are, and NaN is none."""
    place = {"position": np.zeros((2, 2)), "heading_deg": np.zeros(2)}
    sides = [Cameras(["a", "b"], **place, extra={"sequence": column}) for column in (query, database)]
    rows = np.array([[0], [1]])
    pairs = ExcludedPairs(Exclusion(other_sequence=True), *sides)
    assert [tuple(at) for at in np.argwhere(pairs.holds(rows, rows.T)).tolist()] == same


@pytest.mark.parametrize("rule", [Exclusion(other_sequence=True), Exclusion(min_time_gap_s=1.0)], ids=str)
def test_sequences_that_are_of_two_kinds(rule: Exclusion) -> None:
    """A text is never a number, so that such a rule would exclude nothing: it is refused, as booleans are."""
    place = {"position": np.zeros((1, 2)), "heading_deg": np.zeros(1)}
    number, text, boolean = (
        Cameras(["a"], **place, extra={"sequence": np.array([value]), "time_s": np.zeros(1)})
        for value in (1, "1", True)
    )
    with pytest.raises(InputError, match="numbers of the query cameras and text of the database cameras"):
        ExcludedPairs(rule, number, text)
    with pytest.raises(InputError, match="'sequence' of the query cameras has type bool"):
        ExcludedPairs(rule, boolean, boolean)


@pytest.mark.parametrize(
    ("rule", "columns", "message"),
    [
        (RULES[0], (), "the query cameras have no column 'sequence'.*omit the rule"),
        (
            RULES[1],
            ("sequence",),
            "no column 'frame'.*to exclude pairs of one sequence.*frame=NAME.*take other_sequence",
        ),
        (RULES[4], ("sequence", "frame"), "no column 'time_s'.*time=NAME.*take other_sequence or min_frame_gap"),
    ],
)
def test_columns_that_are_missing(rule: Exclusion, columns: tuple[str, ...], message: str) -> None:
    """The error names side, column and rule, and the rules that there are columns for."""
    whole = cameras(["a"], [0], [0.0])
    side = Cameras(["c"], np.zeros((1, 2)), [0.0], extra={name: whole.extra[name] for name in columns})
    with pytest.raises(InputError, match=message):
        ExcludedPairs(rule, side, side)
    with pytest.raises(InputError, match="the database cameras have"):
        ExcludedPairs(rule, whole, side)


def test_columns_without_values() -> None:
    """None of the ok cameras has a time, or the column holds words."""
    side = cameras(["a", "b"], [0, 1], [math.nan, 1.0], [True, False])
    with pytest.raises(InputError, match="none of the query cameras has a time_s"):
        ExcludedPairs(RULES[4], side, side).check_places()
    side.extra["time_s"] = np.array(["noon", "dusk"])
    with pytest.raises(InputError, match="'time_s' of the query cameras has type <U4"):
        ExcludedPairs(RULES[4], side, side)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"other_sequence": True, "min_frame_gap": 2}, "other_sequence and min_frame_gap are given; choose one"),
        ({"min_frame_gap": 0}, "min_frame_gap is 0"),
        ({"min_frame_gap": 1.5}, "min_frame_gap is 1.5"),
        ({"min_frame_gap": True}, "min_frame_gap is True"),
        ({"min_time_gap_s": 0.0}, "min_time_gap_s is 0"),
        ({"min_time_gap_s": math.nan}, "min_time_gap_s is nan"),
        ({"min_time_gap_s": "2"}, "min_time_gap_s is '2'"),
        ({"other_sequence": 1}, "other_sequence is 1"),
    ],
)
def test_rules_that_cannot_be(arguments: dict[str, object], message: str) -> None:
    """The message names the argument and its value."""
    with pytest.raises(OptionError, match=message):
        Exclusion(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", [Exclusion(), *RULES], ids=str)
def test_through_json(rule: Exclusion) -> None:
    """A rule comes back from the `params` that hold it among other things, and only an empty one is false."""
    params = json.loads(json.dumps({"radius_m": 50.0, **rule.to_json()}))
    assert Exclusion.from_params(params) == rule
    assert bool(rule) == (rule != Exclusion())
