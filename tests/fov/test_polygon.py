"""The polygon overlap against shapely's intersection of the very same polygons."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

import relabel
from relabel import fov
from relabel.errors import OptionError
from relabel.fov.params import FovParams
from relabel.reference.fov import field_of_view
from tests.strategies import View, cameras, view


def polygon_area(v: View, arc: int) -> float:
    """Area of apex and arc segments in m²: a fan of equal triangles."""
    return arc * v.radius_m**2 * math.sin(math.radians(v.fov_deg / arc)) / 2.0


@pytest.mark.kernels
class TestPolygonArea:
    # Of each pair, a corner of one is a corner of the other, and an edge from it lies on, or just within, a chord.
    @example(View(-20, -30, 240, 60, 20), View(-20, -30, 255, 90, 20), 7)
    @example(View(-10, 10, 285, 360, 60), View(-10, 10, 60, 120, 60), 32)
    @example(View(40, -20, 150, 90, 60), View(32.23542864692438, -48.97777478867205, 194.99999999999997, 90, 30), 2)
    @example(View(-60, -50, 0, 180, 10), View(-63.53553390593274, -46.46446609406726, 315, 180, 5), 4)
    @example(View(-50, -10, 195, 120, 50), View(-62.940952255126035, -58.29629131445341, 315, 270, 100), 4)
    @example(View(30, -30, 315, 30, 20), View(16.396545244581617, -15.33896256340347, 0, 270, 20), 7)
    @given(view, view, st.integers(3, 64))
    @settings(max_examples=500)
    def test_agrees_with_shapely(self, a, b, arc):
        """To 1e-12 of the larger polygon, in general and degenerate position, convex or not."""
        value = fov.pair_overlap(
            cameras([a]), cameras([b]), [0], [0], FovParams(shape="polygon", arc=arc, measure="overlap")
        )[0]
        dx, dy = (b.x - a.x) / 2.0, (b.y - a.y) / 2.0
        first = field_of_view(-dx, -dy, *a[2:], arc)
        second = field_of_view(dx, dy, *b[2:], arc)
        largest = max(polygon_area(a, arc), polygon_area(b, arc))
        assert abs(value * polygon_area(a, arc) - first.intersection(second).area) <= 1e-12 * largest

    @pytest.mark.parametrize("arc", [1, 2, 7, 32])
    def test_apices_on_corners_and_edges(self, arc):
        """At the other's apex, its corners, on its edges and beyond; edges along edges; the same and other ranges."""
        rng, n = np.random.default_rng(arc), 600
        openings = [opening for opening in (30.0, 90.0, 180.0, 270.0, 360.0) if opening / arc < 180.0]
        heading, opening, radius = 15.0 * rng.integers(0, 24, n), rng.choice(openings, n), rng.choice([20.0, 50.0], n)
        corner, along, out = (
            rng.integers(0, arc, n),
            rng.choice([0.0, 0.5], n),
            rng.choice([0.0, 0.5, 1.0, 1.0, 2.0], n),
        )
        ends = [np.deg2rad(90.0 - heading + opening * ((corner + k) / arc - 0.5)) for k in (0, 1)]
        x, y = (radius * out * ((1 - along) * f(ends[0]) + along * f(ends[1])) for f in (np.cos, np.sin))
        back = np.rad2deg(np.arctan2(x, y)).round(9) + rng.choice([0.0, 45.0, 90.0, 180.0], n)
        a = np.column_stack([np.zeros((n, 2)), heading, opening, radius])
        b = np.column_stack(
            [
                x,
                y,
                np.where(rng.random(n) < 0.5, back, heading) % 360.0,
                rng.choice(openings, n),
                rng.permutation(radius),
            ]
        )
        params, numbers = FovParams(shape="polygon", arc=arc, measure="overlap"), np.arange(n)
        value = fov.pair_overlap(cameras(a, "a"), cameras(b, "b"), numbers, numbers, params)
        left, right = (np.array([field_of_view(*v, arc) for v in side.tolist()]) for side in (a, b))
        areas = shapely.area(left), shapely.area(right)
        error = value * areas[0] - shapely.area(shapely.intersection(left, right))
        assert (np.abs(error) <= 1e-12 * np.maximum(*areas)).all()

    @given(view, view, st.integers(3, 64))
    def test_has_the_same_bits_either_way(self, a, b, arc):
        one = fov.pair_overlap(cameras([a]), cameras([b]), [0], [0], FovParams(shape="polygon", arc=arc))
        other = fov.pair_overlap(cameras([b]), cameras([a]), [0], [0], FovParams(shape="polygon", arc=arc))
        assert one.tobytes() == other.tobytes()

    @given(view, view)
    @settings(max_examples=50)
    def test_many_segments_approach_the_sector(self, a, b):
        """The two shapes are computed by code that has nothing in common."""
        one = cameras([a]), cameras([b]), [0], [0]
        exact = fov.pair_overlap(*one)[0]
        assert fov.pair_overlap(*one, FovParams(shape="polygon", arc=360))[0] == pytest.approx(exact, abs=1e-4)

    def test_a_triangle_is_far_from_the_sector(self):
        """The polygon is part of the label: one segment and 90° differ visibly from the sector."""
        a, b = cameras([View(0, 0, 0, 90, 50)]), cameras([View(0, 70, 180, 90, 50)])
        sector = fov.pair_overlap(a, b, [0], [0])[0]
        triangle = fov.pair_overlap(a, b, [0], [0], FovParams(shape="polygon", arc=1))[0]
        assert abs(sector - triangle) > 0.1


class TestArc:
    @pytest.mark.parametrize(("fov_deg", "arc", "least"), [(90, 0, 1), (180, 1, 2), (360, 2, 3), (270, 1, 2)])
    def test_too_few_segments_are_refused_with_the_number_that_works(self, fov_deg, arc, least):
        one = relabel.Cameras(key=["a"], position=[[0, 0]], heading_deg=[0])
        with pytest.raises(OptionError, match=f"at least {least}"):
            fov.overlap(one, one, fov_deg=fov_deg, shape="polygon", arc=arc)
        other = relabel.Cameras(key=["b"], position=[[0, 0]], heading_deg=[0])
        assert fov.overlap(one, other, fov_deg=fov_deg, shape="polygon", arc=least).matrix.nnz == 1

    def test_extents_are_the_polygons_own_areas(self):
        """Measures convert by the area of the polygon, not of the sector around it."""
        one = cameras([View(0, 0, 0, 90, 50), View(10, 0, 20, 60, 40)])
        psi = fov.overlap(one, one, shape="polygon", arc=4)
        expected = [polygon_area(View(0, 0, 0, 90, 50), 4), polygon_area(View(0, 0, 0, 60, 40), 4)]
        np.testing.assert_allclose(psi.collection.query_extent, expected, rtol=1e-14)
        np.testing.assert_allclose(
            psi.to_measure("overlap").matrix.toarray(),
            fov.overlap(one, one, shape="polygon", arc=4, measure="overlap").matrix.toarray(),
            rtol=1e-6,
        )
