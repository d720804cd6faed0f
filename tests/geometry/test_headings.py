from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relabel.errors import InputError
from relabel.geometry.headings import (
    angle_between_deg,
    compass_to_math,
    constant_groups,
    difference_deg,
    group_codes,
    math_to_compass,
    track_heading_deg,
    wrap_deg,
)

angles = st.floats(-1e4, 1e4)


def unit(heading_deg: float) -> tuple[float, float]:
    """East and north of a compass heading, by the definition."""
    return math.sin(math.radians(heading_deg)), math.cos(math.radians(heading_deg))


class TestWrapDeg:
    @given(angles)
    @example(-1e-20)
    @example(360.0)
    @example(-360.0)
    def test_stays_in_range_and_keeps_the_direction(self, heading: float) -> None:
        """The result is in [0, 360) and points the same way."""
        wrapped = float(wrap_deg(heading))
        assert 0.0 <= wrapped < 360.0
        assert unit(wrapped) == pytest.approx(unit(heading), abs=1e-9)

    def test_leaves_what_is_in_range(self) -> None:
        """A heading in [0, 360) comes back bit for bit."""
        inside = np.array([0.0, 1e-300, 12.5, 359.99999999999994])
        assert wrap_deg(inside).tolist() == inside.tolist()

    def test_what_is_not_finite_becomes_nan(self) -> None:
        """NaN and infinities give NaN, without a warning."""
        assert np.isnan(wrap_deg([np.nan, np.inf, -np.inf])).all()


class TestDifferenceDeg:
    @given(angles, angles)
    def test_is_the_turn_from_b_to_a(self, a: float, b: float) -> None:
        """The result is in [-180, 180), and turning b by it gives a."""
        turn = float(difference_deg(a, b))
        assert -180.0 <= turn < 180.0
        assert unit(b + turn) == pytest.approx(unit(a), abs=1e-9)

    def test_crosses_north(self) -> None:
        """Across north the short way is taken; opposite headings give -180."""
        assert difference_deg([10.0, 350.0, 90.0], [350.0, 10.0, 270.0]).tolist() == [20.0, -20.0, -180.0]

    def test_broadcasts_and_passes_nan_on(self) -> None:
        """One heading against many; NaN stays NaN."""
        np.testing.assert_array_equal(difference_deg([0.0, np.nan, 30.0], 10.0), [-10.0, np.nan, 20.0])


class TestAngleBetweenDeg:
    @given(st.floats(0.0, 360.0, exclude_max=True), st.floats(0.0, 360.0, exclude_max=True))
    def test_is_the_turn_without_its_sign(self, a: float, b: float) -> None:
        """The same angle as by `difference_deg`."""
        between = angle_between_deg(np.array([a]), np.array([b]))
        assert between == pytest.approx(np.abs(difference_deg([a], [b])), abs=1e-9)

    def test_passes_nan_on(self) -> None:
        """A heading that is not known has no angle to any other."""
        assert np.isnan(angle_between_deg(np.array([np.nan, 1.0]), np.array([1.0, np.nan]))).all()


class TestConventions:
    def test_the_four_winds(self) -> None:
        """North, east, south and west are π/2, 0, 3π/2 and π."""
        assert compass_to_math([0.0, 90.0, 180.0, 270.0]) == pytest.approx([math.pi / 2, 0, 3 * math.pi / 2, math.pi])

    @given(angles)
    def test_both_name_the_same_direction(self, heading: float) -> None:
        """(cos, sin) of the angle is (sin, cos) of the heading, and the way back gives the heading."""
        angle = float(compass_to_math(heading))
        assert (math.cos(angle), math.sin(angle)) == pytest.approx(unit(heading), abs=1e-9)
        assert unit(float(math_to_compass(angle))) == pytest.approx(unit(heading), abs=1e-9)


class TestGroupCodes:
    @given(st.lists(st.sampled_from(["a", "b", "c", ""]), max_size=20))
    def test_rows_share_a_code_just_when_they_share_a_name(self, names: list[str]) -> None:
        """Equal names, equal codes, whether or not they are neighbours; codes count from 0 without gaps."""
        codes = group_codes(np.array(names, dtype=np.str_)).tolist()
        for name, code in zip(names, codes, strict=True):
            assert [other == name for other in names] == [other == code for other in codes]
        assert set(codes) == set(range(len(set(names))))

    def test_refuses_a_table(self) -> None:
        """Anything but one name per row is an error."""
        with pytest.raises(InputError, match="one name per row"):
            group_codes(np.zeros((2, 2)))


def slow_track_heading(
    position: npt.NDArray[np.float64], sequence: list[str], frame: list[int], gap_m: float = math.inf
) -> list[float]:
    """Row by row: walk along the sequence to the nearest places that differ, before and after."""
    headings = []
    for i in range(len(position)):
        here = tuple(position[i])
        if not all(map(math.isfinite, here)):
            headings.append(math.nan)
            continue
        track = [j for j in range(len(position)) if sequence[j] == sequence[i] and np.isfinite(position[j]).all()]
        track.sort(key=lambda j: (frame[j], j))
        at = track.index(i)
        before = next((tuple(position[j]) for j in reversed(track[:at]) if tuple(position[j]) != here), None)
        after = next((tuple(position[j]) for j in track[at + 1 :] if tuple(position[j]) != here), None)
        before, after = (
            None if place is None or math.dist(place, here) > gap_m else place for place in (before, after)
        )
        if before == after and before is not None:
            before = here
        start, end = before or here, after or here
        if start == end:
            headings.append(math.nan)
            continue
        headings.append(math.degrees(math.atan2(end[0] - start[0], end[1] - start[1])) % 360.0)
    return headings


coordinate = st.sampled_from([0.0, 1.0, 2.0, -3.5, math.nan])
track_rows = st.lists(
    st.tuples(coordinate, coordinate, st.sampled_from("abc"), st.integers(0, 5)), min_size=0, max_size=25
)


class TestTrackHeadingDeg:
    @given(track_rows, st.sampled_from([math.inf, 3.0, 1.5]))
    def test_agrees_with_a_walk_row_by_row(self, rows: list[tuple[float, float, str, int]], gap_m: float) -> None:
        """Standing still, repeated frames, returns, unplaced rows and mixed sequences as the slow walk finds them."""
        position = np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2)
        sequence, frame = [row[2] for row in rows], [row[3] for row in rows]
        columns = np.array(sequence, dtype=np.str_), np.array(frame, dtype=np.int64)
        found = track_heading_deg(position, *columns, gap_m=gap_m)
        expected = np.array(slow_track_heading(position, sequence, frame, gap_m))
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        placed = ~np.isnan(found)
        assert np.abs(difference_deg(found[placed], expected[placed])).max(initial=0.0) < 1e-9

    @pytest.mark.parametrize("heading", [0.0, 30.0, 90.0, 135.0, 271.0])
    def test_a_line_has_one_heading(self, heading: float) -> None:
        """On a straight line every frame, the two ends too, has its direction."""
        position = np.outer(np.arange(8.0), unit(heading)) + 500_000.0
        assert track_heading_deg(position, ["s"] * 8, range(8)) == pytest.approx(np.full(8, heading), abs=1e-6)

    def test_a_circle_has_its_tangent(self) -> None:
        """On a circle driven clockwise central differences are exact, and the ends are off by half a step."""
        around = np.arange(0.0, 360.0, 5.0)
        position = np.array([unit(a) for a in around]) * 40.0
        found = track_heading_deg(position, np.zeros(len(around)), np.arange(len(around)))
        off = difference_deg(found, around + 90.0)
        assert np.abs(off[1:-1]).max() < 1e-9
        assert off[[0, -1]] == pytest.approx([2.5, -2.5])

    def test_order_is_that_of_the_frames(self) -> None:
        """Rows in any order, frames with gaps: the heading is joined by frame number."""
        position = np.column_stack([np.arange(6.0) ** 2, np.arange(6.0)])
        straight = track_heading_deg(position, ["s"] * 6, np.arange(6))
        mixed = np.array([3, 0, 5, 1, 4, 2])
        found = track_heading_deg(position[mixed], ["s"] * 6, mixed * 10)
        np.testing.assert_array_equal(found, straight[mixed])

    def test_standing_still_keeps_the_direction(self) -> None:
        """Frames at one place all take the direction from the place before to the place after."""
        position = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [0.0, 2.0]])
        assert track_heading_deg(position, ["s"] * 5, range(5)).tolist() == [0.0] * 5

    def test_a_leap_is_no_direction(self) -> None:
        """Where a receiver jumps to another street, the frames on either side look along their own."""
        position = np.array([[0.0, 0.0], [0.0, 9.0], [800.0, 9.0], [809.0, 9.0]])
        assert track_heading_deg(position, ["s"] * 4, range(4), gap_m=100.0).tolist() == [0.0, 0.0, 90.0, 90.0]

    def test_one_place_has_no_heading(self) -> None:
        """A single frame, or a camera that never moves, gives NaN."""
        position = np.array([[0.0, 0.0], [7.0, 7.0], [7.0, 7.0]])
        assert np.isnan(track_heading_deg(position, ["a", "b", "b"], [0, 0, 1])).all()

    def test_lengths_must_agree(self) -> None:
        """One sequence and one frame a position, in two dimensions."""
        with pytest.raises(InputError, match="one per position"):
            track_heading_deg(np.zeros((3, 2)), ["s"] * 2, [0, 1, 2])
        with pytest.raises(InputError, match="metres east and north"):
            track_heading_deg(np.zeros((3, 3)), ["s"] * 3, [0, 1, 2])


class TestConstantGroups:
    @given(st.lists(st.tuples(st.sampled_from([1.0, 2.0, math.nan, math.inf]), st.sampled_from("ab")), max_size=16))
    def test_agrees_with_sets(self, rows: list[tuple[float, str]]) -> None:
        """True on the finite rows of groups that have one distinct finite value, three times or more."""
        found = constant_groups([v for v, _ in rows], np.array([g for _, g in rows], dtype=np.str_), least=3)
        for i, (value, group) in enumerate(rows):
            finite = [v for v, g in rows if g == group and math.isfinite(v)]
            assert found[i] == (math.isfinite(value) and len(finite) >= 3 and len(set(finite)) == 1)
