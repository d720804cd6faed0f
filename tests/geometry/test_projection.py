from __future__ import annotations

import numpy as np
import pyproj
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj.aoi import AreaOfInterest
from pyproj.database import query_utm_crs_info

from relabel.errors import OptionError
from relabel.geometry.projection import project, signed_utm, unproject, utm_crs, utm_zone


class TestUtmZone:
    @given(st.floats(-180, 180), st.floats(-80, 84))
    def test_the_place_lies_in_its_zone(self, lon: float, lat: float) -> None:
        """Outside the two exceptions, the central meridian is at most 3 degrees away."""
        zone = utm_zone(lon, lat)
        assert 1 <= zone <= 60
        exception = 56 <= lat < 64 and 3 <= lon < 12
        exception |= lat >= 72 and 0 <= lon < 42
        away = abs((lon - (6 * zone - 183) + 180) % 360 - 180)
        assert exception or away <= 3 + 1e-9

    @pytest.mark.parametrize(
        ("lon", "lat", "zone"),
        [
            (35.9, 31.95, 36),
            (144.96, -37.81, 55),
            (5.32, 60.39, 32),  # Bergen, by the Norwegian exception
            (2.9, 60.0, 31),
            (10.4, 63.43, 32),
            (15.6, 78.2, 33),  # Longyearbyen, by the exception of Svalbard
            (8.9, 75.0, 31),
            (21.0, 75.0, 35),
            (33.0, 75.0, 37),
            (-180.0, 0.0, 1),
            (180.0, 0.0, 1),
            (0.0, 51.5, 31),
            (-0.001, 51.5, 30),
        ],
    )
    def test_known_places(self, lon: float, lat: float, zone: int) -> None:
        """Zones as the UTM grid has them, borders and exceptions included."""
        assert utm_zone(lon, lat) == zone

    @pytest.mark.parametrize(("lon", "lat"), [(35.9, 31.95), (-0.2, 51.5), (139.7, 35.6), (-97.7, 30.3)])
    def test_agrees_with_the_epsg_register(self, lon: float, lat: float) -> None:
        """PROJ's own list of UTM systems names the same one for the place."""
        area = AreaOfInterest(lon, lat, lon, lat)
        found = query_utm_crs_info(datum_name="WGS 84", area_of_interest=area, contains=True)
        assert f"EPSG:{found[0].code}" == utm_crs(utm_zone(lon, lat))

    @pytest.mark.parametrize(("lon", "lat"), [(181.0, 0.0), (0.0, 91.0), (float("nan"), 0.0)])
    def test_refuses_what_is_no_place(self, lon: float, lat: float) -> None:
        """Coordinates out of range or not finite are an error that gives the ranges."""
        with pytest.raises(OptionError, match="not a position on earth"):
            utm_zone(lon, lat)


class TestSignedUtm:
    def test_is_an_epsg_code_in_the_north(self) -> None:
        """North of the equator the frame has a name."""
        assert signed_utm(36, south=False) == "EPSG:32636"

    def test_southern_northings_are_negative(self) -> None:
        """The same map as the southern EPSG zone, 10,000,000 m lower."""
        lon, lat = [144.96, 145.1], [-37.81, -37.9]
        signed = project(lon, lat, signed_utm(55, south=True))
        official = project(lon, lat, utm_crs(55, south=True))
        assert (signed[:, 1] < 0).all()
        np.testing.assert_allclose(official - signed, [[0.0, 1e7]] * 2, atol=1e-6)

    def test_there_are_60_zones(self) -> None:
        """Zone 61 is an error."""
        with pytest.raises(OptionError, match="1 to 60"):
            signed_utm(61, south=True)


class TestProject:
    def test_agrees_with_another_entrance_of_proj(self) -> None:
        """East comes first, and the metres are those of PROJ's own UTM."""
        east, north = pyproj.Proj(proj="utm", zone=36, ellps="WGS84")(35.9, 31.95)
        assert project([35.9], [31.95], "EPSG:32636")[0] == pytest.approx([east, north], abs=1e-6)

    @given(st.floats(33, 39), st.floats(-70, 70))
    def test_unproject_is_its_inverse(self, lon: float, lat: float) -> None:
        """There and back moves a place by less than 1e-9 degrees."""
        crs = signed_utm(36, south=lat < 0)
        there = project([lon], [lat], crs)
        assert unproject(there[:, 0], there[:, 1], crs)[0] == pytest.approx([lon, lat], abs=1e-9)

    def test_an_unknown_place_becomes_nan(self) -> None:
        """NaN, infinite and impossible coordinates give NaN in both columns, and leave the others alone."""
        found = project([np.nan, 35.9, np.inf, 35.9], [31.95, 31.95, 31.95, 95.0], "EPSG:32636")
        assert np.isnan(found).all(axis=1).tolist() == [True, False, True, True]

    def test_no_places_give_no_rows(self) -> None:
        """An empty input keeps the shape."""
        assert project([], [], "EPSG:32636").shape == (0, 2)

    def test_names_a_system_that_proj_does_not_know(self) -> None:
        """The text that was given is in the error."""
        with pytest.raises(OptionError, match="EPSG:99999"):
            project([0.0], [0.0], "EPSG:99999")
