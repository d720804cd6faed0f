"""Where the tiles of a base map lie, and whose they may be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest

from relabel.errors import OptionError
from relabel.view.base_map import Tiles, placement
from relabel.view.scene import scene
from tests.view.labels import labels_of, row_of_cameras
from tests.view.test_scene import stored

ADDRESS = "https://tiles.example/{z}/{x}/{y}.png"


def world(lon_deg: float, lat_deg: float) -> tuple[float, float]:
    """Place in the Web Mercator square, by the formula that tile servers publish."""
    lat = math.radians(lat_deg)
    return (lon_deg + 180) / 360, (1 - math.log(math.tan(lat) + 1 / math.cos(lat)) / math.pi) / 2


def evaluate(coefficients: list[list[float]], x: float, y: float) -> list[float]:
    """A polynomial as the page evaluates it."""
    powers = [(i, j) for i in range(4) for j in range(4 - i)]
    return [sum(c * x**i * y**j for c, (i, j) in zip(line, powers, strict=True)) for line in coefficients]


@pytest.mark.parametrize(
    ("crs", "centre"),
    [
        ("EPSG:32636", (600_000.0, 6_650_000.0)),
        ("EPSG:32756", (334_000.0, 6_250_000.0)),
        ("EPSG:3857", (3_000_000.0, 5_000_000.0)),
        ("EPSG:32601", (166_022.0, 50_000.0)),  # beside the antimeridian
        ("+proj=utm +zone=31 +datum=WGS84 +units=m", (250_000.0, -5_000.0)),
    ],
)
def test_tiles_lie_where_cameras_do(crs: str, centre: tuple[float, float]) -> None:
    """A place of the map has the world coordinates of its longitude and latitude to a decimetre, and back."""
    place = placement(np.array(centre), 20_000.0, crs)
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    for x, y in ((0.0, 0.0), (9_000.0, -7_500.0), (-10_000.0, 10_000.0), (123.4, 20_000.0)):
        expected = world(*to_degrees.transform(centre[0] + x, centre[1] + y))
        found = evaluate(place["to_world"], x / place["reach"], y / place["reach"])
        there = [middle + place["size"] * value for middle, value in zip(place["middle"], found, strict=True)]
        difference = [a - b - round(a - b) for a, b in zip(there, expected, strict=True)]
        assert np.abs(difference).max() < 0.1 / 40_075_017
        back = [place["reach"] * value for value in evaluate(place["to_map"], *found)]
        assert back == pytest.approx([x, y], abs=0.1)


def test_frames_without_a_base_map(tmp_path: Path) -> None:
    """A frame of no place on earth, and one whose cameras lie too far apart, say so; so does the page."""
    with pytest.raises(OptionError, match="frame local: its location on the earth is unknown"):
        placement(np.zeros(2), 100.0, "local")
    with pytest.raises(OptionError, match=r"cameras are spread over 800 km, and tiles would be off by [\d,]+ m"):
        placement(np.array([500_000.0, 6_000_000.0]), 800_000.0, "EPSG:32636")
    [one] = stored(tmp_path / "labels.h5", a=labels_of(row_of_cameras(2)))
    assert "base_map" not in scene(one).value
    assert "location on the earth is unknown" in scene(one, base_map=True).value["base_map"]["missing"]


@pytest.mark.parametrize("positions", [np.full((2, 2), np.nan), np.array([[5e5, 4e6], [np.nan, np.nan]])])
def test_cameras_without_a_place(tmp_path: Path, positions: Any) -> None:
    """No camera that has one, or a single one, is no fault."""
    cameras = row_of_cameras(2, position=positions, crs="EPSG:32636")
    [one] = stored(tmp_path / "labels.h5", a=labels_of(cameras))
    scene(one, base_map=True)


@pytest.mark.parametrize(
    "template",
    [
        "tiles.example/{z}/{x}/{y}.png",
        "ftp://tiles.example/{z}/{x}/{y}.png",
        "file:///{z}/{x}/{y}.png",
        "javascript:{z}{x}{y}",
        "https://tiles.example/{z}/{x}.png",
        "https://{s}.tiles.example/{z}/{x}/{y}.png",
        "https://{z}/{x}/{y}.png",
        "https://user:word@tiles.example/{z}/{x}/{y}.png",
        "https://tiles.example; script-src *;/{z}/{x}/{y}.png",
        "https://tiles.example/{z}/{x}/{y}.png; script-src *",
        "https://tiles.example,evil.example/{z}/{x}/{y}.png",
        "https://*/{z}/{x}/{y}.png",
        "https://tiles.example/{z}/{x}/{y}.png\nX: y",
        "https://tiles.example/{z}/{x}/{y}/{key}.png",
    ],
)
def test_addresses_that_are_refused(template: str) -> None:
    """What names no host, more than one, or would end the policy that the host stands in."""
    with pytest.raises(OptionError, match="give the address of one host"):
        Tiles(template)


def test_addresses() -> None:
    """The host alone is what the page may ask; its name stands on the map where nobody says whose the tiles are."""
    tiles = Tiles("http://127.0.0.1:8080/a/{z}/{y}/{x}?key=b")
    assert (tiles.origin, tiles.attribution) == ("http://127.0.0.1:8080", "Base map: 127.0.0.1")
    assert Tiles(ADDRESS, "© A").attribution == "© A"
