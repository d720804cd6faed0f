from __future__ import annotations

import logging

import numpy as np
import pyproj
import pytest

from relabel.datasets.msls.csv_files import city_crs


def places(lon: float, lat: float, n: int = 50) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes of n places about 10 m apart."""
    return lon + np.arange(n) * 1e-4, np.full(n, lat)


def utm(lon: np.ndarray, lat: np.ndarray, zone: int, *, south: bool = False) -> tuple[np.ndarray, np.ndarray]:
    return pyproj.Proj(proj="utm", zone=zone, ellps="WGS84", south=south)(lon, lat)


UNKNOWN = np.full(50, np.nan)


class TestCityCrs:
    def test_is_the_zone_of_the_median_place(self, caplog: pytest.LogCaptureFixture) -> None:
        """With or without metres, with a few rows that are not placed, and nothing to warn of."""
        lon, lat = places(35.9, 31.95)
        east, north = utm(lon, lat, 36)
        lon[:3], east[5] = np.nan, np.inf
        assert city_crs("amman", lon, lat, east, north) == ("EPSG:32636", None)
        assert city_crs("amman", lon, lat, UNKNOWN, UNKNOWN) == ("EPSG:32636", None)
        assert caplog.text == ""

    def test_is_written_out_in_the_south(self) -> None:
        """Southern northings are negative in MSLS, which no EPSG code says."""
        lon, lat = places(144.96, -37.81)
        expected = "+proj=utm +zone=55 +datum=WGS84 +units=m"
        assert city_crs("melbourne", lon, lat, *utm(lon, lat, 55)) == (expected, None)

    @pytest.mark.parametrize(
        ("place", "zone", "south", "expected"),
        [
            ((-0.2, 51.5), 31, False, "EPSG:32631"),
            ((0.2, 51.5), 30, False, "EPSG:32630"),
            ((144.96, -37.81), 55, True, "EPSG:32755"),
            ((179.9, -18.0), 1, False, "+proj=utm +zone=1 +datum=WGS84 +units=m"),
        ],
    )
    def test_metres_decide_where_the_median_place_misleads(
        self, place: tuple[float, float], *, zone: int, south: bool, expected: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A neighbouring zone, or the false northing of the official southern zones, is found and warned of."""
        where = places(*place)
        assert city_crs("city", *where, *utm(*where, zone, south=south)) == (expected, None)
        assert f"positions are in {expected}, not in" in caplog.text

    def test_other_metres_have_no_name(self) -> None:
        """Positions that fit no zone are called local, and the audit is told."""
        where = places(35.9, 31.95)
        east, north = utm(*where, 36)
        crs, doubt = city_crs("city", *where, east + 60.0, north)
        assert crs == "local"
        assert doubt is not None
        assert (doubt.code, doubt.number, doubt.cameras) == ("positions-disagree", 50, 50)
        assert "fit no UTM zone" in doubt.seen
        assert "60 m off" in doubt.seen

    def test_rows_that_lie_elsewhere_are_counted(self) -> None:
        """The audit is told of a share of rows far from their longitude and latitude; the frame stands."""
        lon, lat = places(35.9, 31.95)
        east, north = utm(lon, lat, 36)
        east[:5] += 1000.0
        crs, doubt = city_crs("city", lon, lat, east, north)
        assert crs == "EPSG:32636"
        assert doubt is not None
        assert (doubt.code, doubt.number, doubt.cameras) == ("positions-disagree", 5, 50)
        assert "5 of 50 checked positions are more than 50 m from" in doubt.seen

    def test_nothing_to_tell_it_from(self, caplog: pytest.LogCaptureFixture) -> None:
        """No longitude and latitude, no frame: local, with a warning unless there is no row at all."""
        with caplog.at_level(logging.WARNING):
            assert city_crs("city", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN) == ("local", None)
            assert "is unknown, since no row" in caplog.text
            caplog.clear()
            empty = np.zeros(0)
            assert city_crs("city", empty, empty, empty, empty) == ("local", None)
        assert caplog.text == ""
