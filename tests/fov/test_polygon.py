"""The polygon overlap against shapely's intersection of the very same polygons."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
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
    @given(view, view, st.integers(3, 24))
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

    @given(view, view, st.integers(3, 24))
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
