"""relabel.geometry.travel: the direction of travel, against plain geometry and geodesics."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from relabel.geometry.earth import axes, ecef
from relabel.geometry.travel import Travel, travel

PLANE = (np.array([1.0, 0.0]), np.array([0.0, 1.0]))


def along(points: object, *, sequence: object = None, order: object = None, step_m: float = 1.0) -> Travel:
    """Travel on a map, of one track in the order of its rows unless told otherwise."""
    places = np.array(points, float)
    n = len(places)
    return travel(
        places,
        PLANE,
        np.zeros(n) if sequence is None else sequence,
        np.arange(n) if order is None else order,
        step_m=step_m,
        gap_m=50.0,
    )


class TestTravel:
    """relabel.geometry.travel.travel"""

    @pytest.mark.parametrize("spacing_m", [0.05, 0.3, 1.1, 7.0, 40.0])
    def test_straight(self, spacing_m: float) -> None:
        """Whatever the spacing is, all cameras of a straight drive look ahead."""
        way = np.array([np.sin(np.radians(200.0)), np.cos(np.radians(200.0))])
        found = along(spacing_m * np.arange(120)[:, None] * way)
        np.testing.assert_allclose(found.heading_deg, 200.0, atol=1e-9)

    def test_tangent(self) -> None:
        """On a circle the chord from the place before to the place after is the tangent."""
        angle = np.radians(np.arange(0.0, 80.0, 2.0))
        found = along(40.0 * np.column_stack([np.sin(angle), np.cos(angle)]))
        np.testing.assert_allclose(found.heading_deg[1:-1], 90.0 + np.degrees(angle)[1:-1], atol=1e-9)
        assert not found.stands.any()

    def test_stands_at_a_corner(self) -> None:
        """North, wait with a position that wanders, then east: whoever waits looks north."""
        rng = np.random.default_rng(0)
        wait = [0.0, 20.0] + 0.1 * rng.uniform(-1.0, 1.0, (30, 2))
        points = np.concatenate([[[0.0, 5.0 * i] for i in range(4)], wait, [[5.0 * i, 20.0] for i in range(1, 5)]])
        found = along(points)
        np.testing.assert_allclose(found.heading_deg[:4], 0.0, atol=0.6)
        np.testing.assert_allclose((found.heading_deg[4:34] + 180.0) % 360.0 - 180.0, 0.0, atol=1.2)
        np.testing.assert_allclose(found.heading_deg[35:], 90.0, atol=1.2)
        assert found.stands.tolist() == [False] * 4 + [True] * 30 + [False] * 4

    def test_stands_at_the_start(self) -> None:
        """Before it ever moved, a camera looks to where it leaves."""
        found = along([[0.0, 0.0]] * 3 + [[-5.0, 0.0], [-10.0, 0.0]])
        assert found.heading_deg.tolist() == [270.0] * 5
        assert found.stands.tolist() == [True] * 3 + [False] * 2

    def test_never_moves(self) -> None:
        """One place, be it one row or several, has no direction; rows without a position neither."""
        assert np.isnan(along([[1.0, 2.0]] * 4).heading_deg).all()
        assert np.isnan(along([[1.0, 2.0]]).heading_deg).all()
        found = along([[0.0, 0.0], [np.nan, 0.0], [0.0, 5.0]])
        np.testing.assert_array_equal(found.heading_deg, [0.0, np.nan, 0.0])
        assert len(along(np.empty((0, 2))).heading_deg) == 0

    def test_turns_back(self) -> None:
        """At the end of a dead end a camera looks to where it goes next."""
        found = along([[0.0, 0.0], [0.0, 10.0], [0.0, 20.0], [0.0, 10.0], [0.0, 0.0]])
        assert found.heading_deg.tolist() == [0.0, 0.0, 180.0, 180.0, 180.0]

    def test_gap(self) -> None:
        """A track ends where the next place is too far away."""
        found = along([[0.0, 0.0], [0.0, 10.0], [500.0, 10.0], [510.0, 10.0], [900.0, 0.0]])
        np.testing.assert_array_equal(found.heading_deg, [0.0, 0.0, 90.0, 90.0, np.nan])

    def test_sequences_in_any_order(self) -> None:
        """Tracks are told apart by name and put in order by number, wherever their rows are."""
        points = [[0.0, 10.0], [100.0, 0.0], [0.0, 0.0], [90.0, 0.0]]
        found = along(points, sequence=["b", "a", "b", "a"], order=[2, 1, 1, 2])
        assert found.heading_deg.tolist() == [0.0, 270.0, 0.0, 270.0]

    @pytest.mark.parametrize("lat", [-80.0, 0.0, 63.4, 89.9])
    def test_on_the_earth(self, lat: float) -> None:
        """From true north, as geodesics have it, over the antimeridian as well."""
        geod = pyproj.Geod(ellps="WGS84")
        lon, north, _ = geod.fwd([179.9999] * 40, [lat] * 40, [50.0] * 40, 10.0 * np.arange(40))
        found = travel(ecef(lon, north), axes(lon, north)[:2], np.zeros(40), np.arange(40), step_m=1.0, gap_m=50.0)
        ahead = geod.inv(lon[:-1], north[:-1], lon[1:], north[1:])[0]
        turn = (found.heading_deg[1:-1] - (np.array(ahead[1:]) + 0.0) + 180.0) % 360.0 - 180.0
        assert np.abs(turn).max() < 0.2 if lat == 89.9 else np.abs(turn).max() < 1e-3
