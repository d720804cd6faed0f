"""CSV text against the reader of the standard library."""

from __future__ import annotations

import csv
import io

from hypothesis import example, given
from hypothesis import strategies as st

from relabel.csv_text import csv_line


class TestCsvLine:
    """relabel.csv_text.csv_line"""

    @given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00")), min_size=2, max_size=5))
    @example(["a\rb", "a\nb", '"', ""])
    def test_comes_back(self, cells: list[str]) -> None:
        """The standard library reads what was written."""
        text = csv_line(cells)
        assert text.endswith("\n")
        assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == [cells]

    def test_other_values(self) -> None:
        """None is an empty cell; numbers are as Python prints them."""
        assert csv_line(["a", None, 0.1, 2]) == "a,,0.1,2\n"
