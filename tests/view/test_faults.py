"""The faults of a collection, and where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.cameras import Cameras, Status
from relabel.labelfile import StoredCollection, open_collections, provenance, write
from relabel.view.faults import faults
from tests.conftest import REPOSITORY
from tests.view.labels import labels_of, row_of_cameras, small_city
from tests.view.test_scene import stored


def by_code(one: StoredCollection) -> dict[str, dict[str, Any]]:
    """The faults by their codes, each of which is there once."""
    listed = faults(one)["faults"]
    assert len({fault["code"] for fault in listed}) == len(listed)
    return {fault["code"]: fault for fault in listed}


def drive(headings: Sequence[float], **columns: Any) -> Cameras:
    """A sequence that goes east in steps of 10 m, with these headings."""
    n = len(headings)
    extra = {"sequence": np.full(n, "s"), "frame": np.arange(n)}
    return row_of_cameras(n, heading_deg=np.array(headings, np.float64), extra=extra, **columns)


def test_statuses_are_counted_on_both_sides(tmp_path: Path) -> None:
    """One fault a status, with the rows of queries before those of the database."""
    status = np.array([Status.OK, Status.NO_HEADING, Status.MASKED], np.uint8)
    other = np.array([Status.NO_HEADING, Status.OK, Status.OK, Status.NO_HEADING], np.uint8)
    labels = labels_of(row_of_cameras(3, "q", status=status), row_of_cameras(4, "d", status=other))
    [one] = stored(tmp_path / "labels.h5", a=labels)
    found = by_code(one)
    assert found["status-no_heading"]["count"] == 3
    assert found["status-no_heading"]["text"] == (
        "1 of 3 queries and 2 of 4 database cameras have the status no_heading"
    )
    assert found["status-no_heading"]["cases"] == [["queries", 1, -1], ["database", 0, -1], ["database", 3, -1]]
    assert found["status-masked"]["cases"] == [["queries", 2, -1]]
    assert "status-ok" not in found


def test_headings_that_are_turned(tmp_path: Path) -> None:
    """Frames 20 to 29 of a drive to the east look west: a part that is turned by 180°, and against its travel."""
    headings = np.full(60, 90.0) + np.linspace(0, 3, 60)
    headings[20:30] += 180.0
    [one] = stored(tmp_path / "labels.h5", a=labels_of(drive(headings.tolist())))
    found = by_code(one)
    for code, severity in (("heading-flips", "warning"), ("heading-against-travel", "note")):
        assert found[code]["severity"] == severity
        assert found[code]["cases"] == [["queries", row, -1] for row in range(20, 30)]
    assert found["heading-flips"]["text"].startswith("10 of 60 cameras in 1 sequence are in parts")


def test_pairs_that_face_each_other(tmp_path: Path) -> None:
    """The pairs whose headings differ by 120° and more, of falling ψ; queries without a positive beside them."""
    query = row_of_cameras(3, "q", heading_deg=np.array([0.0, 0.0, 90.0]))
    database = row_of_cameras(4, "d", heading_deg=np.array([180.0, 121.0, 119.0, 270.0]))
    psi = [[0.2, 0.9, 0.8, 0.0], [0.0, 0.3, 0.0, 0.4], [0.7, 0.0, 0.0, 0.6]]
    [one] = stored(tmp_path / "labels.h5", a=labels_of(query, database, psi))
    found = by_code(one)
    assert found["facing-pairs"]["cases"] == [
        ["queries", 0, 1],
        ["queries", 2, 3],
        ["queries", 1, 1],
        ["queries", 0, 0],
    ]
    assert (found["facing-pairs"]["count"], found["facing-pairs"]["of"]) == (4, "pairs")
    assert "2 of them have ψ ≥ 0.5" in found["facing-pairs"]["text"]
    assert found["no-positive"]["cases"] == [["queries", 1, -1]]


def test_chains_that_break(tmp_path: Path) -> None:
    """Frame 3 of six shares nothing with its neighbours: two breaks and a suspect; frame 5 shares nothing with any."""
    psi = np.zeros((6, 6))
    for first, second in ((0, 1), (1, 2), (2, 4)):
        psi[first, second] = psi[second, first] = 0.6
    psi[0, 3] = psi[3, 0] = 0.1
    [one] = stored(tmp_path / "labels.h5", a=labels_of(drive([90.0] * 6), None, psi))
    found = by_code(one)
    assert found["broken-chain"]["cases"] == [["queries", 2, 3], ["queries", 3, 4], ["queries", 4, 5]]
    assert found["chain-suspect"]["cases"] == [["queries", 3, -1], ["queries", 4, -1]]
    assert found["no-overlap"]["cases"] == [["queries", 5, -1]]
    assert [found[code]["severity"] for code in ("broken-chain", "chain-suspect", "no-overlap")] == [
        *("warning", "warning", "note")
    ]


def test_what_was_recorded_is_read(tmp_path: Path) -> None:
    """Filler values are gone from the labels: their keys lead to the cameras, of this collection alone."""
    record = provenance.step("relabel msls", {"city": "amman"})
    other = provenance.step("relabel msls", {"city": "boston"})
    seen = {"severity": "note", "count": 2, "total": 3, "seen": "2 have the heading -1"}
    record["findings"] = [
        {"code": "heading-filler", **seen, "keys": ["d1", "gone", "q2"]},
        {"code": "positions-disagree", **seen, "severity": "warning", "side": "query", "keys": ["q0", "d0"]},
        {"code": 5, "keys": "d1"},
    ]
    other["findings"] = [{"code": "position-filler", **seen}]
    labels = labels_of(row_of_cameras(3, "q"), row_of_cameras(3, "d"))
    path = tmp_path / "labels.h5"
    write(path, {"amman": labels, "boston": labels}, provenance=[record, other])
    amman, boston = (by_code(one) for one in open_collections(path))
    assert amman["heading-filler"]["cases"] == [["queries", 2, -1], ["database", 1, -1]]
    assert amman["heading-filler"]["recorded"] is True
    assert amman["positions-disagree"]["cases"] == [["queries", 0, -1]]
    assert "position-filler" not in amman
    assert boston["position-filler"]["cases"] == []


def test_the_audit_is_made_again(tmp_path: Path) -> None:
    """A pose that is repeated is found in the cameras; warnings are before notes."""
    at = np.column_stack([500_000.0 + 10.0 * np.arange(40), np.full(40, 4_000_000.0)])
    at[5:20] = at[5]
    heading = np.linspace(10.0, 80.0, 40)
    heading[5:20] = 33.0
    [one] = stored(tmp_path / "labels.h5", a=labels_of(row_of_cameras(40, position=at, heading_deg=heading)))
    listed = faults(one)["faults"]
    found = {fault["code"]: fault for fault in listed}
    assert found["pose-repeated"]["cases"] == [["queries", row, -1] for row in range(5, 20)]
    assert found["pose-repeated"]["recorded"] is False
    severities = [fault["severity"] for fault in listed]
    assert severities == sorted(severities, reverse=True)


def test_more_than_are_listed(tmp_path: Path) -> None:
    """The count is that of all, the cases are the first thousand."""
    status = np.full(1200, Status.NO_POSITION, np.uint8)
    [one] = stored(tmp_path / "labels.h5", a=labels_of(row_of_cameras(1200, status=status)))
    fault = by_code(one)["status-no_position"]
    assert fault["count"] == 1200
    assert fault["cases"] == [["queries", row, -1] for row in range(1000)]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "formats/golden").glob("v*/*.h5")), ids=lambda path: path.stem)
def test_every_valid_file_has_an_answer(path: Path) -> None:
    """Whatever a file lacks, and whoever wrote it."""
    for one in open_collections(path):
        assert isinstance(faults(one)["faults"], list)


def test_extremes(tmp_path: Path) -> None:
    """No camera, one camera, no place, nothing known."""
    found = {one.name: [fault["code"] for fault in faults(one)["faults"]] for one in small_city(tmp_path / "labels.h5")}
    assert found["empty"] == []
    assert found["unknown"] == ["status-no_heading"]
    assert found["one"] == ["no-positive"]
