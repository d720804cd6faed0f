"""relabel.geometry.earth: places as points in space, against PROJ."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.cameras import Cameras
from relabel.errors import InputError
from relabel.geometry.earth import FRAME, GEODESIC, axes, ecef, is_geodesic, lon_lat, points, with_lon_lat

longitude = st.floats(-180.0, 180.0)
latitude = st.floats(-90.0, 90.0)


def cameras(n: int = 3) -> Cameras:
    return Cameras(key=[f"c{i}" for i in range(n)], position=np.arange(2.0 * n).reshape(n, 2), heading_deg=np.zeros(n))


class TestEcef:
    """relabel.geometry.earth.ecef"""

    def test_against_proj(self) -> None:
        """EPSG:4978 names the same coordinates, to the rounding of a metre's billionth."""
        rng = np.random.default_rng(1)
        lon = np.concatenate([rng.uniform(-180, 180, 1000), [0.0, 180.0, -180.0, 12.0, 77.0]])
        lat = np.concatenate([rng.uniform(-90, 90, 1000), [0.0, 0.0, 0.0, 90.0, -90.0]])
        transformer = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
        expected = np.column_stack(transformer.transform(lon, lat, np.zeros(len(lon))))
        np.testing.assert_allclose(ecef(lon, lat), expected, rtol=0, atol=1e-8)

    @given(longitude, latitude, st.floats(0.0, 360.0), st.floats(1.0, 10_000.0))
    def test_chords_are_distances(self, lon: float, lat: float, azimuth: float, distance_m: float) -> None:
        """Near places are as far apart as the geodesic between them is long, less what an arc exceeds its chord."""
        there = pyproj.Geod(ellps="WGS84").fwd(lon, lat, azimuth, distance_m)
        chord = np.linalg.norm(ecef(lon, lat) - ecef(there[0], there[1]))
        assert chord <= distance_m + 2e-8
        assert chord >= distance_m - distance_m**3 / (24 * 6.3e6**2) - 2e-8

    def test_not_finite(self) -> None:
        """A place that is not known is no point."""
        assert np.isnan(ecef([np.nan, 1.0], [1.0, np.nan])).any(axis=1).all()


class TestAxes:
    """relabel.geometry.earth.axes"""

    @given(longitude, latitude)
    def test_right_handed(self, lon: float, lat: float) -> None:
        """East, north and up are unit vectors at right angles in this order, at the poles too."""
        east, north, up = axes(lon, lat)
        np.testing.assert_allclose(np.stack([east, north, up]) @ np.stack([east, north, up]).T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(np.cross(east, north), up, atol=1e-12)

    def test_north_leads_north(self) -> None:
        """A small step in latitude moves along north."""
        step = ecef(30.0, 50.0 + 1e-4) - ecef(30.0, 50.0)
        np.testing.assert_allclose(step / np.linalg.norm(step), axes(30.0, 50.0)[1], atol=1e-6)

    def test_at_the_pole(self) -> None:
        """North is along the meridian of the longitude that is given."""
        np.testing.assert_allclose(axes(90.0, 90.0)[1], [0.0, -1.0, 0.0], atol=1e-12)


class TestPoints:
    """relabel.geometry.earth.points"""

    def test_planar(self) -> None:
        """Without the frame, the horizontal position."""
        np.testing.assert_array_equal(points(cameras(), {}), cameras().position)

    def test_geodesic(self) -> None:
        """In the frame, from longitude and latitude, whatever the position says."""
        place = np.array([[10.0, 50.0], [np.nan, np.nan], [180.0, 0.0]])
        side = with_lon_lat(cameras(), place)
        assert is_geodesic({FRAME: GEODESIC})
        np.testing.assert_array_equal(lon_lat(side), place)
        np.testing.assert_array_equal(points(side, {FRAME: GEODESIC}), ecef(*place.T))

    def test_columns_missing(self) -> None:
        """A file that lost them is an error that names them."""
        with pytest.raises(InputError, match="no column lon_deg and no column lat_deg"):
            points(cameras(), {FRAME: GEODESIC})
