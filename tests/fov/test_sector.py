"""The exact sector overlap against shapely polygons with many segments, in general and degenerate position."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import relabel
from relabel import fov, reference
from relabel.fov import _sector
from relabel.fov.params import FovParams
from relabel.reference.fov import field_of_view
from tests.strategies import View, any_view, cameras, grid_view, nearly_grid_view, sector_area, view


def shared_area(a: View, b: View) -> float:
    """By the code under test."""
    value = fov.pair_overlap(cameras([a]), cameras([b]), [0], [0], FovParams(measure="overlap"))[0]
    return float(value) * sector_area(a)


def oracle_area(a: View, b: View, segments: int = 2880) -> float:
    """By shapely, around the midpoint of the two apices."""
    dx, dy = (b.x - a.x) / 2.0, (b.y - a.y) / 2.0
    first = field_of_view(-dx, -dy, *a[2:], segments)
    second = field_of_view(dx, dy, *b[2:], segments)
    return float(first.intersection(second).area)


def assert_agree(a: View, b: View) -> None:
    """Within 1e-6 of the larger sector's area: what 2,880 chords leave of the larger arc."""
    assert abs(shared_area(a, b) - oracle_area(a, b)) <= 1e-6 * max(sector_area(a), sector_area(b))


@pytest.mark.kernels
class TestSectorArea:
    @given(grid_view, grid_view)
    @settings(max_examples=400)
    def test_agrees_with_shapely_on_a_grid(self, a, b):
        """Shared apices and edges, tangent disks, corners on arcs, fields of view of 180° and 360°."""
        assert_agree(a, b)

    @given(nearly_grid_view, nearly_grid_view)
    @settings(max_examples=300)
    def test_agrees_with_shapely_next_to_the_grid(self, a, b):
        """Rounding errors of all sizes away from the degenerate cases."""
        assert_agree(a, b)

    @given(any_view, any_view)
    @settings(max_examples=300)
    @example(View(0, 0, 0, 359.999999, 50), View(10, 0, 0, 180.000001, 50))
    @example(View(0, 0, 0, 0.5, 80), View(0, 40, 180, 0.5, 80))
    def test_agrees_with_shapely_anywhere(self, a, b):
        assert_agree(a, b)

    @given(view, view)
    def test_has_the_same_bits_either_way(self, a, b):
        """A self-paired label file is exactly symmetric."""
        one = fov.pair_overlap(cameras([a]), cameras([b]), [0], [0])
        other = fov.pair_overlap(cameras([b]), cameras([a]), [0], [0])
        assert one.tobytes() == other.tobytes()

    def test_two_parts_each(self):
        """Four areas of parts, whose sum must not depend on which camera comes first."""
        a, b = View(0.0, 10.0, 0.0, 270.0, 50.0), View(40.0, 0.0, 165.0, 270.0, 60.0)
        one = fov.pair_overlap(cameras([a]), cameras([b]), [0], [0])
        other = fov.pair_overlap(cameras([b]), cameras([a]), [0], [0])
        assert one.tobytes() == other.tobytes()

    @given(view, view, st.floats(-1e7, 1e7), st.floats(-1e7, 1e7))
    def test_does_not_depend_on_where_the_origin_is(self, a, b, x, y):
        """Coordinates of 1e7 m cost no more than their own rounding, 2e-9 m."""
        far_a, far_b = (v._replace(x=v.x + x, y=v.y + y) for v in (a, b))
        moved_a, moved_b = (v._replace(x=v.x - x, y=v.y - y) for v in (far_a, far_b))
        assert abs(shared_area(far_a, far_b) - shared_area(moved_a, moved_b)) <= 1e-5

    @given(view)
    def test_a_view_has_itself_in_common(self, a):
        assert math.isclose(shared_area(a, a), sector_area(a), rel_tol=1e-12)

    @pytest.mark.parametrize("turn", range(0, 360, 30))
    def test_views_of_one_panorama(self, turn):
        """24 cut-outs at one position, 60° wide every 30°: the shared angle, exactly."""
        a, b = View(5.0, 7.0, 0.0, 60.0, 50.0), View(5.0, 7.0, float(turn), 60.0, 50.0)
        apart = min(turn, 360 - turn)
        expected = max(0.0, 60.0 - apart) / 60.0
        assert math.isclose(shared_area(a, b) / sector_area(a), expected, abs_tol=1e-14)

    def test_two_full_disks(self):
        """The lens has a formula of its own."""
        for d, r, s in itertools.product((0.0, 1.0, 30.0, 60.0, 99.999, 100.0), (50.0, 20.0), (50.0, 10.0)):
            a, b = View(0, 0, 0, 360, r), View(d, 0, 77, 360, s)
            assert math.isclose(shared_area(a, b), lens_area(d, r, s), rel_tol=1e-12, abs_tol=1e-9)

    def test_facing_cameras(self):
        """Two cameras 60 m apart that look at each other: IoU 0.68, the known artefact of the measure."""
        a, b = View(0, 0, 0, 90, 50), View(0, 60, 180, 90, 50)
        assert_agree(a, b)
        assert fov.pair_overlap(cameras([a]), cameras([b]), [0], [0])[0] == pytest.approx(0.68, abs=0.005)

    @pytest.mark.parametrize("gap", [1e-9, 1e-3, 1.0])
    def test_tangent_and_separate_views_share_nothing_at_all(self, gap):
        """Exactly zero, not a small positive rounding error: an absent pair is a true negative."""
        a = View(0, 0, 0, 90, 50)
        for b in (
            View(0, 100 + gap, 180, 90, 50),
            View(0, -gap, 180, 90, 50),
            View(-gap, 0, 270, 90, 50),
            View(100 + gap, 0, 270, 90, 50),
        ):
            assert shared_area(a, b) == 0.0

    def test_a_tiny_and_a_huge_view(self):
        """Radii twelve orders of magnitude apart: the small view lies in the large one as a whole."""
        huge, tiny = View(0, 0, 0, 90, 1e6), View(0, 5e5, 33, 70, 1e-6)
        assert math.isclose(shared_area(tiny, huge), sector_area(tiny), rel_tol=1e-9)


class TestManyPairs:
    """Far more pairs than shapely could do, against the polygon code, which shares nothing with the sector code."""

    N = 100_000
    ARC = 64

    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize("kind", ["grid", "nearly grid", "anywhere"])
    def test_never_far_from_the_polygon(self, kind, seed):
        """A wrong decision between nearly coincident lines would cost whole sectors, in one pair of ten thousand."""
        rng = np.random.default_rng([seed, len(kind)])
        a, b = self.some(rng, kind, "a"), self.some(rng, kind, "b")
        numbers = np.arange(self.N)
        sector = fov.pair_overlap(a, b, numbers, numbers, FovParams(measure="overlap"))
        polygon = fov.pair_overlap(a, b, numbers, numbers, FovParams(measure="overlap", shape="polygon", arc=self.ARC))
        areas = [np.deg2rad(side.fov_deg) / 2.0 * side.radius_m**2 for side in (a, b)]
        shared = polygon * self.ARC * a.radius_m**2 * np.sin(np.deg2rad(a.fov_deg / self.ARC)) / 2.0
        # Two 64-gons of a full circle may lie half a step apart and each lack 1 - sinc of its area.
        error = np.abs(sector * areas[0] - shared) / np.maximum(*areas)
        assert error.max() < 2.5e-3

    def some(self, rng: np.random.Generator, kind: str, prefix: str) -> relabel.Cameras:
        n = self.N
        position, heading = 10.0 * rng.integers(-6, 7, (n, 2)), 15.0 * rng.integers(0, 25, n)
        opening = rng.choice([30.0, 60.0, 90.0, 120.0, 180.0, 270.0, 360.0], n)
        radius = 10.0 * rng.integers(1, 7, n)
        if kind == "nearly grid":
            tiny = [10.0 ** rng.uniform(-17, -1, s) * rng.integers(-1, 2, s) for s in ((n, 2), n, n, n)]
            position, heading, radius = position + tiny[0], heading + tiny[1], radius + tiny[2]
            opening = np.minimum(opening + tiny[3], 360.0)
        elif kind == "anywhere":
            position, heading = rng.uniform(-100, 100, (n, 2)), rng.uniform(0, 360, n)
            opening, radius = rng.uniform(0.01, 360, n), 10.0 ** rng.uniform(-2, 2.5, n)
        key = [f"{prefix}{k}" for k in range(n)]
        return relabel.Cameras(key, position, heading_deg=heading, fov_deg=opening, radius_m=radius)


def lens_area(d: float, r: float, s: float) -> float:
    """Area that two disks share: two circular segments (any book of geometry)."""
    if d >= r + s:
        return 0.0
    if d <= abs(r - s):
        return math.pi * min(r, s) ** 2
    a = math.acos((d * d + r * r - s * s) / (2 * d * r))
    b = math.acos((d * d + s * s - r * r) / (2 * d * s))
    return r * r * (a - math.sin(2 * a) / 2) + s * s * (b - math.sin(2 * b) / 2)


@pytest.mark.kernels
class TestAngleOf:
    @given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
    @example(-1.0, -0.0)
    @example(0.0, -1.0)
    @example(-1.0, -1e-300)
    def test_equals_atan2(self, x, y):
        """To the last bits, with the angles below the negative axis counted on beyond π."""
        if max(abs(x), abs(y)) < 1e-290:
            return
        got = _sector.angle_of(x, y)
        assert -math.pi / 2.0 <= got <= 1.5 * math.pi
        assert math.remainder(got - math.atan2(y, x), 2.0 * math.pi) == pytest.approx(0.0, abs=1e-15)

    def test_coefficients_can_be_made_anew(self):
        """Interpolation of atan(t)/t at twelve Chebyshev points in t², in exact arithmetic."""
        n = 12
        top = (math.sqrt(2.0) - 1.0) ** 2
        points = [Fraction((math.cos((2 * k + 1) * math.pi / (2 * n)) + 1.0) / 2.0 * top) for k in range(n)]
        table = [[z**power for power in range(n)] + [series(z)] for z in points]
        solution = solve(table)
        named = [getattr(_sector, f"ATAN_{power}") for power in range(n)]
        # The points themselves are rounded, so the coefficients agree as functions do, not digit by digit.
        for z in np.linspace(0.0, top, 200):
            made = sum(float(c) * z**power for power, c in enumerate(solution))
            kept = sum(c * z**power for power, c in enumerate(named))
            assert abs(made - kept) < 2e-16


def series(z: Fraction) -> Fraction:
    """atan(√z)/√z by its Taylor series, to 1e-40."""
    total, power = Fraction(0), Fraction(1)
    for m in range(55):
        total += (power if m % 2 == 0 else -power) / (2 * m + 1)
        power = Fraction(int(power * z * 2**200), 2**200)
    return total


def solve(table: list[list[Fraction]]) -> list[Fraction]:
    """Gaussian elimination, exact."""
    n = len(table)
    for i in range(n):
        pivot = max(range(i, n), key=lambda row: abs(table[row][i]))
        table[i], table[pivot] = table[pivot], table[i]
        for row in range(n):
            if row != i:
                factor = table[row][i] / table[i][i]
                table[row] = [a - factor * b for a, b in zip(table[row], table[i], strict=True)]
    return [table[i][n] / table[i][i] for i in range(n)]


class TestOracle:
    def test_a_sector_of_many_segments_has_the_sectors_area(self):
        """The oracle itself is off by less than the tolerance the tests grant it."""
        for v in (View(0, 0, 10, 90, 50), View(3, 4, 200, 360, 20), View(0, 0, 0, 180, 1)):
            polygon = field_of_view(*v, segments=reference.fov.SEGMENTS)
            assert abs(polygon.area / sector_area(v) - 1.0) < 1e-6
