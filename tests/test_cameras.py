"""Cameras: what is checked, what is derived, and what is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.cameras import Cameras, Status
from relabel.errors import InputError


def some(n: int = 3, **columns: object) -> Cameras:
    given = {"key": [f"c{k}" for k in range(n)], "position": np.zeros((n, 2)), "heading_deg": np.zeros(n)}
    return Cameras(**(given | columns))


class TestHeading:
    @given(st.floats(-1e6, 1e6))
    def test_is_wrapped_to_less_than_a_full_turn(self, heading):
        """0 and 360 are one; a tiny negative angle does not round up to 360."""
        wrapped = some(1, heading_deg=[heading]).heading_deg[0]
        assert 0.0 <= wrapped < 360.0
        assert np.isclose(np.cos(np.deg2rad(wrapped)), np.cos(np.deg2rad(heading)), atol=1e-6)

    @pytest.mark.parametrize("heading", [-1e-20, 360.0, 720.0, -360.0])
    def test_edges(self, heading):
        assert some(1, heading_deg=[heading]).heading_deg[0] == 0.0

    def test_that_is_missing_or_infinite_is_nan_and_gives_a_status(self):
        cameras = some(3, heading_deg=[np.nan, np.inf, 10.0])
        assert np.isnan(cameras.heading_deg[:2]).all()
        assert list(cameras.status) == [Status.NO_HEADING, Status.NO_HEADING, Status.OK]

    def test_is_not_needed_beside_a_pose(self):
        poses = np.stack([np.eye(4), np.full((4, 4), np.nan)])
        cameras = Cameras(key=["a", "b"], position=np.zeros((2, 3)), pose=poses)
        assert list(cameras.status) == [Status.OK, Status.NO_POSE]


class TestStatus:
    def test_a_position_that_is_not_finite(self):
        cameras = some(3, position=[[0, 0], [np.nan, 0], [0, np.inf]])
        assert list(cameras.status) == [Status.OK, Status.NO_POSITION, Status.NO_POSITION]

    def test_what_is_given_stays(self):
        """A panorama without a heading is a panorama."""
        cameras = some(2, heading_deg=[np.nan, 0.0], status=[Status.PANORAMA, Status.MASKED])
        assert cameras.status_counts() == {"panorama": 1, "masked": 1}
        assert not cameras.ok.any()

    def test_the_numbers_never_change(self):
        """They are part of the label file format."""
        expected = ["ok", "panorama", "no_heading", "no_position", "no_pose", "bad_depth", "masked"]
        assert [status.label for status in sorted(Status)] == expected


class TestPosed:
    def test_cameras_of_others_stay_ok(self):
        """Without a place, a heading or a finite pose: what is known about them are similarities."""
        poses = np.full((3, 4, 4), np.nan)
        for columns in ({"heading_deg": np.full(3, np.nan)}, {"heading_deg": None}, {"pose": poses}):
            cameras = some(3, position=np.full((3, 2), np.nan), posed=False, **columns)
            assert cameras.ok.all()
            assert not cameras.posed

    def test_a_status_that_is_given_stays(self):
        """Cameras of others may be masked all the same."""
        cameras = some(2, position=np.full((2, 2), np.nan), status=[Status.OK, Status.MASKED], posed=False)
        assert list(cameras.status) == [Status.OK, Status.MASKED]

    def test_is_kept_by_a_choice_of_rows(self):
        """Some of them are not downgraded either."""
        cameras = some(3, position=np.full((3, 2), np.nan), posed=False).take([2, 0])
        assert not cameras.posed
        assert list(cameras.status) == [Status.OK, Status.OK]

    def test_is_the_rule(self):
        """Cameras are posed unless said otherwise, and then downgraded."""
        cameras = some(3, position=np.full((3, 2), np.nan))
        assert cameras.posed
        assert list(cameras.status) == [Status.NO_POSITION] * 3


class TestBadInput:
    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"key": ["a", "b", "a"]}, r"'a' is in rows 0 and 2"),
            ({"key": ["a", "", "c"]}, r"row 1 .*empty"),
            ({"key": [["a"], ["b"], ["c"]]}, r"key has shape"),
            ({"position": np.zeros((2, 2))}, r"position has shape \(2, 2\); expected \(3, 2\)"),
            ({"position": np.zeros((3, 4))}, r"position has shape"),
            ({"position": [["x", "y"]] * 3}, r"position is not numeric"),
            ({"heading_deg": np.zeros(4)}, r"heading_deg has shape \(4,\)"),
            ({"pose": np.zeros((3, 3, 4))}, r"pose has shape"),
            ({"status": [0, 0]}, r"status has shape"),
            ({"status": [0, 0, 99]}, r"status holds 99; known are 0 ok"),
            ({"status": [0, 0, 256]}, r"status holds 256; known are 0 ok"),
            ({"status": [0, 0, -256]}, r"status holds -256; known are 0 ok"),
            ({"status": [0, 0.5, 0]}, r"status holds 0\.5; known are 0 ok"),
            ({"status": [0, float("nan"), 0]}, r"status holds nan; known are 0 ok"),
            ({"status": ["ok", "ok", "ok"]}, r"status holds ok; known are 0 ok"),
            ({"key": [b"a", b"b", b"\xff"]}, r"key holds bytes that are not ASCII"),
            ({"key": np.array(["a", "b", "b\0"], object)}, r"row 2 .*NUL"),
            ({"extra": {"night": [True]}}, r"'night' has shape \(1,\); expected 3 rows"),
        ],
    )
    def test_is_named(self, columns, message):
        with pytest.raises(InputError, match=message):
            some(3, **columns)


class TestTake:
    def test_rows_masks_and_slices(self):
        cameras = some(4, fov_deg=[10, 20, 30, 40], extra={"night": np.array([1, 0, 1, 0], bool)}, crs="EPSG:32636")
        for rows in (np.array([2, 0]), np.array([True, False, True, False]), slice(1, 3)):
            taken = cameras.take(rows)
            assert list(taken.key) == list(cameras.key[rows])
            assert list(taken.fov_deg) == list(cameras.fov_deg[rows])
            assert list(taken.extra["night"]) == list(cameras.extra["night"][rows])
            assert taken.crs == "EPSG:32636"

    def test_no_camera(self):
        nothing = some(3).take([])
        assert len(nothing) == 0
        assert nothing.position.shape == (0, 2)

    def test_input_arrays_are_not_shared(self):
        """Changing what was passed in does not change the cameras."""
        position = np.zeros((3, 2))
        cameras = some(3, position=position)
        position += 1.0
        assert not cameras.position.any()
