"""Text for terminals: what stands in it, and that it lines up."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.cameras import Status
from relabel.report import text
from relabel.report.info import Match, Row
from relabel.report.stats import statistics
from tests.similarities import similarity


class TestTable:
    """relabel.report.text.table"""

    @given(st.lists(st.lists(st.text("abc", max_size=9), min_size=3, max_size=3), min_size=1, max_size=6))
    def test_columns_line_up(self, rows: list[list[str]]) -> None:
        """Cells of a column start (or, right-aligned, end) at the same place, and no line ends in blanks."""
        lines = text.table(rows, right=(1,))
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        for row, line in zip(rows, lines, strict=True):
            assert line == line.rstrip()
            padded = line.ljust(sum(widths) + 4)
            assert padded[: widths[0]] == row[0].ljust(widths[0])
            assert padded[widths[0] + 2 : widths[0] + 2 + widths[1]] == row[1].rjust(widths[1])


class TestBar:
    """relabel.report.text.bar"""

    @given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
    def test_longer_for_more(self, a: float, b: float) -> None:
        """A larger share never has the shorter bar; a full one fills the width, and something is never nothing."""
        a, b = sorted((a, b))
        assert len(text.bar(a)) <= len(text.bar(b)) <= 40
        assert (text.bar(a) == "") == (a == 0.0)

    def test_ends(self) -> None:
        """Nothing is an empty bar, all a full one, half a half one."""
        assert [text.bar(share, 8) for share in (0.0, 0.5, 0.5625, 1.0)] == ["", "████", "████▌", "████████"]


class TestInfoText:
    """relabel.report.text.info_text"""

    @staticmethod
    def summary(**fields: object) -> dict[str, object]:
        collection = {
            "name": "amman",
            "method": "fov-sector",
            "measure": "iou",
            "shape": [835, 953],
            "nnz": 12345,
            "min_value": 1e-6,
            "symmetric": False,
            "self_pairs": False,
            "params": {"fov_deg": 90.0, "heading": "compass"},
            "status": {"queries": {"ok": 835}, "database": {"ok": 950, "panorama": 3}},
        }
        return {"format": "relabel.labels", "format_version": "1.0", "collections": [{**collection, **fields}]}

    def test_names_what_matters(self) -> None:
        """Counts, method, measure and parameters are there, and the cameras of which nothing is known."""
        shown = "\n".join(text.info_text(self.summary()))
        for part in ("12,345", "14.8", "fov-sector", "iou", "835", "950 of 953", "fov_deg 90.0", "heading compass"):
            assert part in shown
        assert "3 panorama" in shown

    def test_no_queries(self) -> None:
        """A collection without queries has no pairs a query."""
        assert " - " in "\n".join(text.info_text(self.summary(shape=[0, 953], nnz=0)))

    def test_no_collections(self) -> None:
        """An empty file says so."""
        assert text.info_text({**self.summary(), "collections": []}) == ["relabel.labels 1.0, 0 collections"]


class TestRowText:
    """relabel.report.text.row_text"""

    def test_a_missing_place_is_a_dash(self) -> None:
        """Distance and turn are shown with their units, and as a dash where they are not known."""
        nan = float("nan")
        matches = (Match("near", 0.7312, 12.34, 30.0), Match("lost", 0.5, nan, nan))
        head, _, first, second = text.row_text(Row("q", Status.OK, 5, matches))
        assert head == "q: 5 matches, the best 2"
        assert first.split() == ["0.7312", "12.3", "m", "30°", "near"]
        assert second.split() == ["0.5000", "-", "-", "lost"]

    def test_no_match(self) -> None:
        """A query that overlaps nothing has no table."""
        assert text.row_text(Row("q", Status.OK, 0, ())) == ["q: 0 matches"]


class TestStatsText:
    """relabel.report.text.stats_text"""

    @pytest.mark.parametrize("size", [0, 1, 30])
    def test_holds_the_figures(self, size: int) -> None:
        """Every bin, band and count of the statistics stands in the text."""
        found = statistics(similarity(size, size, seed=4))
        lines = text.stats_text("here", found)
        shown = "\n".join(lines)
        assert f"{found.queries_without_positive:,} of {found.queries_ok:,}" in shown
        assert f"pairs within 25 m: {found.near.pairs:,}, of which {found.near.absent:,}" in shown
        assert f"{found.facing.pairs:,}, of which {found.facing.positive:,}" in shown
        for i, count in enumerate(found.histogram):
            (line,) = [line for line in lines if line.strip().startswith(f"{i / 10:.1f} –")]
            assert line.split()[3] == f"{count:,}"

    def test_a_room_without_headings(self) -> None:
        """Where every pair is near and no camera has a heading, nothing is said of streets."""
        found = statistics(similarity(5, 5, seed=4))
        room = replace(
            found, near=replace(found.near, pairs=found.known_pairs), facing=replace(found.facing, pairs=0, headings=0)
        )
        shown = "\n".join(text.stats_text("here", room))
        assert "facing" not in shown
        assert "within" not in shown
        assert found.facing.headings == 10 - sum(
            n for side in found.status.values() for status, n in side.items() if status != "ok"
        )

    def test_absent_is_named_by_the_threshold(self) -> None:
        """Where small values were left out on purpose, absent is not called zero."""
        assert "ψ ≤ 0.001" in "\n".join(text.stats_text("here", statistics(similarity(min_value=1e-3))))
