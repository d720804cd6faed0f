"""The rules for stored pairs against one row at a time in plain Python."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from relabel.labelfile.pair_rules import RowChecks
from relabel.similarity import RowBlock

WIDTH = 5
VALUES = [0.0, 0.25, 0.5, float(np.float32(0.1)), 1.0, float(np.nextafter(np.float32(1.0), np.float32(2.0)))]
PAIRS = st.tuples(st.integers(0, WIDTH - 1), st.sampled_from(VALUES[1:5]))
ODD_PAIRS = st.tuples(st.integers(-1, WIDTH), st.sampled_from([*VALUES, math.nan, math.inf, -math.inf]))
OK = st.lists(st.sampled_from([True, True, True, False]), min_size=WIDTH, max_size=WIDTH)


@st.composite
def rows_of_pairs(draw: st.DrawFn) -> list[list[tuple[int, float]]]:
    """Rows that keep most rules, now and then with a pair that breaks one."""
    rows = [
        sorted(draw(st.lists(PAIRS, max_size=WIDTH, unique_by=lambda pair: pair[0])))
        for _ in range(draw(st.integers(0, WIDTH)))
    ]
    if rows and draw(st.booleans()):
        draw(st.sampled_from(rows)).append(draw(ODD_PAIRS))
    return rows


def broken(
    rows: list[list[tuple[int, float]]], first: int, query_ok: list[bool], database_ok: list[bool], *, self_pairs: bool
) -> set[str]:
    """The first word or two of each rule that some pair breaks."""
    found = set()
    for row, pairs in enumerate(rows, first):
        for place, (column, exact) in enumerate(pairs):
            value = float(np.float32(exact))
            inside = 0 <= column < WIDTH
            if not inside:
                found.add("a column outside")
            if place and column <= pairs[place - 1][0]:
                found.add("out of order")
            if not math.isfinite(value):
                found.add("not finite")
            elif not float(np.float32(0.1)) < value <= 1.0:
                found.add("a value outside")
            if inside and not (query_ok[row] and database_ok[column]):
                found.add("status is not ok")
            if self_pairs and column == row:
                found.add("with itself")
    return found


@given(rows=rows_of_pairs(), query_ok=OK, database_ok=OK, self_pairs=st.booleans(), data=st.data())
def test_against_plain_python(
    rows: list[list[tuple[int, float]]],
    query_ok: list[bool],
    database_ok: list[bool],
    self_pairs: bool,
    data: st.DataObject,
) -> None:
    first = data.draw(st.integers(0, WIDTH - len(rows)))
    pairs = [pair for row in rows for pair in row]
    block = RowBlock(
        first,
        np.array([len(row) for row in rows], np.int64),
        np.array([column for column, _ in pairs], np.int64),
        np.array([value for _, value in pairs], np.float32),
    )
    checks = RowChecks(np.array(query_ok), np.array(database_ok), min_value=0.1, self_pairs=self_pairs)
    faults = [str(fault) for fault in checks.faults(block)]
    expected = broken(rows, first, query_ok, database_ok, self_pairs=self_pairs)
    assert len(faults) == len(expected)
    for rule in expected:
        assert any(rule in fault for fault in faults), (rule, faults)
