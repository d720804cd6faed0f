"""Aligned text: that it lines up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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
