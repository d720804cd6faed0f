"""relabel.audit.sides: positions on two maps, and swapped columns, are named; what is as it should be is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relabel.audit.audit import audit
from relabel.audit.findings import Finding
from relabel.cameras import Cameras, FloatArray
from relabel.datasets import table
from relabel.datasets.base import CameraSets

STREET = np.column_stack([np.arange(5) * 8.0, np.arange(5) * 3.0])


def street_at(east_m: float, north_m: float) -> FloatArray:
    return STREET + np.array([east_m, north_m])


def findings(query: FloatArray, database: FloatArray | None = None, crs: str = "local") -> list[Finding]:
    """What is found in cameras at these places; without a database, in self pairs."""
    sides = [
        Cameras([f"{name}{k}" for k in range(len(place))], place, heading_deg=np.arange(len(place)) * 40.0, crs=crs)
        for name, place in (("q", query), ("d", database))
        if place is not None
    ]
    return list(audit(CameraSets(query=sides[0], database=sides[-1])).findings)


class TestHemispheres:
    # Kampala: the equator has the northing 0 in the north and 10,000,000 in the south; Sydney: 34° south.
    @pytest.mark.parametrize(
        ("south_m", "other_m"), [(9_999_400.0, 300.0), (6_250_000.0, -3_750_000.0)], ids=["equator", "signed"]
    )
    @pytest.mark.parametrize("one_side", [True, False])
    def test_mixed(self, south_m: float, other_m: float, one_side: bool) -> None:
        """Within a side and between the two, with the number that has the false northing."""
        south, other = (street_at(450_000.0, north_m) for north_m in (south_m, other_m))
        (finding,) = findings(np.vstack([south[:3], other])) if one_side else findings(south[:3], other)
        assert (finding.code, finding.severity) == ("hemispheres-mixed", "warning")
        assert (finding.count, finding.total) == (3, 8)

    def test_one_convention(self) -> None:
        """Both sides of the equator with signed northings, and a national map with a large origin."""
        assert findings(np.vstack([street_at(5.0, 5.0), -street_at(5.0, 5.0)]), crs="EPSG:32636") == []
        assert findings(street_at(2_600_000.0, 9_999_400.0), street_at(2_600_000.0, 9_999_400.0)) == []


class TestApart:
    def test_two_maps(self) -> None:
        """Places 600 km apart, as on either side of the border of two UTM zones."""
        (finding,) = findings(street_at(800_000.0, 5e6), street_at(200_000.0, 5e6))
        assert (finding.code, finding.severity) == ("sides-apart", "warning")
        assert "at least 600 km apart" in finding.seen
        assert "two UTM zones" in finding.cause

    def test_swapped(self) -> None:
        """Metres that meet once x and y of one side are swapped."""
        (finding,) = findings(street_at(450_000.0, 5e6), street_at(450_000.0, 5e6)[:, ::-1])
        assert "x and y are swapped" in finding.cause

    def test_near(self) -> None:
        """A kilometre is a matter of the range, which the audit does not know; a stray camera does not count alone."""
        assert findings(STREET, street_at(1000.0, 0.0)) == []
        assert findings(np.vstack([STREET, [9e4, 9e4]]), STREET + 1000.0) == []

    @pytest.mark.parametrize(
        ("lon", "lat", "cause"),
        [
            ("52.5", "13.4", "longitude and latitude are swapped"),
            ("-13.4", "52.5", "longitudes of one of them lack their sign"),
            ("13.4", "-52.5", "latitudes of one of them lack their sign"),
            ("-70", "-33", "they are of two places"),
        ],
    )
    def test_degrees(self, tmp_path: Path, lon: str, lat: str, cause: str) -> None:
        """Berlin, and a database whose columns or signs are wrong, or that is elsewhere."""
        for name, place in (("q", "13.4,52.5"), ("d", f"{lon},{lat}")):
            (tmp_path / f"{name}.csv").write_text(f"key,lon,lat,heading\n{name},{place},0\n")
        (finding,) = audit(table.read(tmp_path / "q.csv", tmp_path / "d.csv")).findings
        assert finding.code == "sides-apart"
        assert cause in finding.cause
