"""relabel.geometry.projection: maps for places anywhere, geodesics, and what is a map in metres."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.errors import OptionError
from relabel.geometry.projection import check_metric, inverse_geodesic, is_geographic, map_of, project, unproject


class TestMapOf:
    """relabel.geometry.projection.map_of"""

    @pytest.mark.parametrize(
        ("lon", "lat", "crs"),
        [
            ([35.9, 35.95], [31.9, 32.0], "EPSG:32636"),
            ([144.9], [-37.8], "EPSG:32755"),
            ([5.9, 6.1], [48.0, 48.0], "EPSG:32632"),  # across a border, half a zone beside it
            ([5.9, 6.1, np.nan], [48.0, 48.0, 1.0], "EPSG:32632"),
            ([179.9, -179.7], [-17.0, -17.0], "EPSG:32701"),
            ([0.0, 0.0], [-1.0, 0.9], "EPSG:32731"),
            ([np.nan], [np.nan], "local"),
        ],
    )
    def test_zones(self, lon: list[float], lat: list[float], crs: str) -> None:
        """UTM where all places fit one zone, round the antimeridian too."""
        assert map_of(lon, lat) == crs

    @pytest.mark.parametrize(
        ("places", "name"),
        [
            ([(0.0, 89.9), (90.0, 89.9)], "laea"),
            ([(2.0, 48.0), (30.0, 48.0)], "laea"),
            ([(0, 0), (180, 0)], "laea"),
            ([(0, 0), (170, 0), (0, 1)], "laea"),
            ([(0, 0), (0, 0), (180, 0)], "aeqd"),  # opposite the middle
            ([(0, 89.9), (0, 89.9), (10, 89.9), (0, -89.9)], "aeqd"),
        ],
    )
    def test_wider(self, places: list[tuple[float, float]], name: str) -> None:
        """Else a map around the middle, from which places can be had back."""
        lon, lat = np.array(places, float).T
        crs = map_of(lon, lat)
        assert crs.startswith(f"+proj={name}")
        back = unproject(*project(lon, lat, crs).T, crs)
        np.testing.assert_allclose(np.cos(np.radians(back[:, 0] - lon)), 1.0, atol=1e-9)
        np.testing.assert_allclose(back[:, 1], lat, atol=1e-7)

    @given(st.lists(st.tuples(st.floats(-180.0, 180.0), st.floats(-90.0, 90.0)), min_size=1, max_size=5))
    def test_any(self, places: list[tuple[float, float]]) -> None:
        """Any places have a map in metres that PROJ knows."""
        crs = map_of(*np.array(places).T)
        check_metric(crs)


class TestInverseGeodesic:
    """relabel.geometry.projection.inverse_geodesic"""

    @given(st.floats(-180.0, 180.0), st.floats(-89.9, 89.9), st.floats(0.0, 360.0), st.floats(1.0, 1e5))
    def test_there_and_back(self, lon: float, lat: float, azimuth: float, distance_m: float) -> None:
        """It undoes a step; the azimuth at the end is that in which the step would go on."""
        geod = pyproj.Geod(ellps="WGS84")
        end = geod.fwd(lon, lat, azimuth, distance_m)[:2]
        leaving, arriving, length = inverse_geodesic(np.array([[lon, lat]]), np.array([end]))
        assert length[0] == pytest.approx(distance_m, abs=1e-6)
        assert np.cos(np.radians(leaving[0] - azimuth)) == pytest.approx(1.0, abs=1e-9)
        further = geod.fwd(lon, lat, azimuth, distance_m + 1000.0)[:2]
        assert np.cos(np.radians(arriving[0] - geod.inv(*end, *further)[0])) == pytest.approx(1.0, abs=1e-9)


class TestCheckMetric:
    """relabel.geometry.projection: check_metric, is_geographic"""

    @pytest.mark.parametrize("crs", ["EPSG:32636", "EPSG:3857", "+proj=utm +zone=55 +datum=WGS84 +units=m +type=crs"])
    def test_good(self, crs: str) -> None:
        """Maps in metres."""
        check_metric(crs)
        assert not is_geographic(crs)

    @pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4978", "EPSG:2263", "nowhere"])
    def test_bad(self, crs: str) -> None:
        """Degrees, space, feet, and what PROJ does not know."""
        with pytest.raises(OptionError, match=crs):
            check_metric(crs)
