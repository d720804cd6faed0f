"""Aligned text: that it lines up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.display import byte_size, duration
from relabel.report.text_table import bar, table


class TestTable:
    """relabel.report.text_table.table"""

    @given(st.lists(st.lists(st.text("abc", max_size=9), min_size=3, max_size=3), min_size=1, max_size=6))
    def test_columns_line_up(self, rows: list[list[str]]) -> None:
        """Cells of a column start (or, right-aligned, end) at the same place, and no line ends in blanks."""
        lines = table(rows, right=(1,))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        for row, line in zip(rows, lines, strict=True):
            assert line == line.rstrip()
            padded = line.ljust(sum(widths) + 4)
            assert padded[: widths[0]] == row[0].ljust(widths[0])
            assert padded[widths[0] + 2 : widths[0] + 2 + widths[1]] == row[1].rjust(widths[1])


class TestBar:
    """relabel.report.text_table.bar"""

    @given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
    def test_longer_for_more(self, a: float, b: float) -> None:
        """A larger share never has the shorter bar; a full one fills the width, and something is never nothing."""
        a, b = sorted((a, b))
        assert len(bar(a)) <= len(bar(b)) <= 40
        assert (bar(a) == "") == (a == 0.0)

    def test_ends(self) -> None:
        """Nothing is an empty bar, all a full one, half a half one."""
        assert [bar(share, 8) for share in (0.0, 0.5, 0.5625, 1.0)] == ["", "████", "████▌", "████████"]


class TestUnits:
    """relabel.report.text_table.byte_size and duration"""

    @pytest.mark.parametrize(
        ("count", "text"),
        [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (9_951, "10 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (1_234_567, "1.2 MB"),
            (170_000_000, "170 MB"),
            (1_700_000_000, "1.7 GB"),
            (5 * 10**15, "5,000 TB"),
        ],
    )
    def test_bytes(self, count: int, text: str) -> None:
        assert byte_size(count) == text

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (0.04, "0.0 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.6, "1 min 0 s"),
            (200, "3 min 20 s"),
            (7500, "2 h 5 min"),
        ],
    )
    def test_time(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text
