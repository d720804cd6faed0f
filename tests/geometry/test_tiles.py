"""relabel.geometry.tiles: near pairs meet once, at their distance, with their headings."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.geometry.tiles import GRAIN_M, LEAST_M, Placed, placed

GEOD = pyproj.Geod(ellps="WGS84")
REACH = 150.0


def around(lon: float, lat: float, n: int, spread_m: float, seed: int = 0) -> np.ndarray:
    """(n, 2) places around one, up to `spread_m` away."""
    rng = np.random.default_rng(seed)
    far = spread_m * np.sqrt(rng.random(n))
    out = GEOD.fwd(np.full(n, lon), np.full(n, lat), rng.uniform(0.0, 360.0, n), far)
    return np.column_stack(out[:2])


def meetings(a: Placed, b: Placed, reach: float) -> list[tuple[int, int, int, int]]:
    """All (row, row, place, place) of two sides that are near each other on a plane and not both guests."""
    apart = np.linalg.norm(a.position[:, None] - b.position[None], axis=2)
    near = (apart <= reach * 1.001) & (a.home[:, None] | b.home[None])
    return [(int(a.row[i]), int(b.row[j]), int(i), int(j)) for i, j in np.argwhere(near)]


CENTRES = {
    "city": (2.35, 48.85),
    "zone border": (6.0, 48.0),
    "antimeridian": (180.0, -17.0),
    "equator": (0.0, 0.0),
    "near the pole": (33.0, 89.99),
    "pole": (0.0, 90.0),
    "south pole": (10.0, -90.0),
}


class TestPlaced:
    """relabel.geometry.tiles.placed"""

    @pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES)
    def test_near_pairs_meet_once(self, centre: tuple[float, float]) -> None:
        """Every pair within reach stands together in exactly one tile, at its distance; no pair beyond does."""
        sides = around(*centre, 250, 4000.0, 1), around(*centre, 200, 4000.0, 2)
        a, b = placed(sides, REACH)
        met = meetings(a, b, REACH)
        once = Counter((i, j) for i, j, _, _ in met)
        assert set(once.values()) == {1}
        i, j = (grid.ravel() for grid in np.indices((250, 200)))
        apart = np.asarray(GEOD.inv(*sides[0][i].T, *sides[1][j].T)[2])
        wanted = set(zip(i[apart <= REACH].tolist(), j[apart <= REACH].tolist(), strict=True))
        assert len(wanted) > 20
        assert wanted <= set(once)
        for row, column, place, other in met:
            true = apart[row * 200 + column]
            assert abs(np.linalg.norm(a.position[place] - b.position[other]) - true) <= 1e-7 * true + 2 * GRAIN_M

    def test_several_tiles_were_needed(self) -> None:
        """The test above has pairs across borders: some cameras are guests."""
        (a,) = placed((around(*CENTRES["city"], 250, 4000.0, 1),), REACH)
        assert 0 < np.count_nonzero(~a.home) < 250
        assert np.count_nonzero(a.home) == 250
        assert (np.diff(a.row) >= 0).all()

    @pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES)
    def test_directions(self, centre: tuple[float, float]) -> None:
        """From one camera to another the way leads on the plane where the geodesic leads, less the turn of north."""
        place = around(*centre, 100, 1000.0, 3)
        (a,) = placed((place,), REACH)
        home = np.flatnonzero(a.home)
        for k, m in pairwise(home):
            step = a.position[m] - a.position[k]
            if np.linalg.norm(step) > 3000.0:
                continue  # another tile
            azimuth, _, _ = GEOD.inv(*place[a.row[k]], *place[a.row[m]])
            found = np.degrees(np.arctan2(step[0], step[1])) - a.turn_deg[k]
            assert abs((found - azimuth + 180.0) % 360.0 - 180.0) < 0.006  # a straight line is no geodesic: s/R at most

    def test_tiles_are_apart(self) -> None:
        """Cameras all over the world: on the plane none is within reach of another."""
        rng = np.random.default_rng(5)
        place = np.column_stack([rng.uniform(-180, 180, 300), np.degrees(np.arcsin(rng.uniform(-1, 1, 300)))])
        (a,) = placed((place,), REACH)
        apart = np.linalg.norm(a.position[:, None] - a.position[None], axis=2)
        np.fill_diagonal(apart, np.inf)
        near = np.argwhere(apart < REACH)
        real = np.asarray(GEOD.inv(*place[a.row[near[:, 0]]].T, *place[a.row[near[:, 1]]].T)[2])
        assert (real < REACH * 1.001).all()

    def test_does_not_depend_on_others(self) -> None:
        """Differences of places are the same bits with a far city more or less."""
        city = around(*CENTRES["city"], 100, 1500.0, 4)
        (alone,) = placed((city,), REACH)
        (joined,) = placed((np.vstack([around(-150.0, 20.0, 50, 30_000.0), city]),), REACH)
        joined_at = {
            (row - 50, home): at for row, home, at in zip(joined.row, joined.home, joined.position, strict=True)
        }
        first = alone.position[0] - joined_at[alone.row[0], alone.home[0]]
        tile = np.round(alone.position / (2.5 * LEAST_M))
        for row, home, at, of in zip(alone.row, alone.home, alone.position, tile, strict=True):
            if (of == tile[0]).all():
                np.testing.assert_array_equal(at - joined_at[row, home], first)

    def test_sides_change_places(self) -> None:
        """The tiles do not depend on which side is first."""
        sides = around(*CENTRES["city"], 50, 4000.0, 1), around(*CENTRES["city"], 60, 4000.0, 2)
        for one, other in zip(placed(sides, REACH), reversed(placed(sides[::-1], REACH)), strict=True):
            np.testing.assert_array_equal(one.position, other.position)
            np.testing.assert_array_equal(one.turn_deg, other.turn_deg)

    @given(st.floats(-180.0, 180.0), st.floats(-90.0, 90.0), st.floats(0.0, 360.0), st.floats(0.0, REACH))
    def test_anywhere(self, lon: float, lat: float, azimuth: float, distance_m: float) -> None:
        """Two cameras within reach meet once, wherever they stand."""
        there = GEOD.fwd(lon, lat, azimuth, distance_m)[:2]
        a, b = placed((np.array([[lon, lat]]), np.array([there])), REACH)
        assert [(i, j) for i, j, _, _ in meetings(a, b, REACH)] == [(0, 0)]

    def test_none(self) -> None:
        """No camera, or none with a place."""
        (a,) = placed((np.empty((0, 2)),), REACH)
        assert a.position.shape == (0, 2)
        a, b = placed((np.full((3, 2), np.nan), np.array([[1.0, 2.0]])), REACH)
        assert (len(a.row), len(b.row)) == (0, 1)
