"""What a label file holds and the matches of a query, as text."""

from __future__ import annotations

from relabel.cameras import Status
from relabel.report.info import Match, Row, info_text, row_text


class TestInfoText:
    """relabel.report.info.info_text"""

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
        shown = "\n".join(info_text(self.summary()))
        for part in ("12,345", "14.8", "fov-sector", "iou", "835", "950 of 953", "fov_deg 90.0", "heading compass"):
            assert part in shown
        assert "3 panorama" in shown

    def test_parameters_of_several_values(self) -> None:
        """In words rather than as JSON: what is counted, which column is what, and nested ones."""
        params = {
            "columns": {"queries": {"key": "id"}, "database": {"key": "name"}},
            "fov_deg": "per camera",
            "heading_faults": {"non_finite": 1204, "wrapped": 2, "of_a_later_version": 3},
            "image_times": ["a", "b"],
            "other_sequence": True,
        }
        shown = "\n".join(info_text(self.summary(params=params)))
        assert (
            "amman: columns (queries (key=id), database (key=name)), fov_deg per camera, heading_faults (1,204" in shown
        )
        assert "(1,204 without a heading, 2 wrapped to [0°, 360°), 3 of a later version)" in shown
        assert "image_times (a, b), other_sequence yes" in shown

    def test_no_queries(self) -> None:
        """A collection without queries has no pairs a query."""
        assert " - " in "\n".join(info_text(self.summary(shape=[0, 953], nnz=0)))


class TestRowText:
    """relabel.report.info.row_text"""

    def test_a_missing_place_is_a_dash(self) -> None:
        """Distance and turn are shown with their units, and as a dash where they are not known."""
        nan = float("nan")
        matches = (Match("near", 0.7312, 12.34, 30.0), Match("lost", 0.5, nan, nan))
        head, _, first, second = row_text(Row("q", Status.OK, 5, matches))
        assert head == "q: 5 matches, the best 2"
        assert first.split() == ["0.7312", "12.3", "m", "30°", "near"]
        assert second.split() == ["0.5000", "-", "-", "lost"]

    def test_no_match(self) -> None:
        """A query that overlaps nothing has no table."""
        assert row_text(Row("q", Status.OK, 0, ())) == ["q: 0 matches"]
