"""GeoJSON: read by shapely and json, and compared with geodesics of GeographicLib, by way of pyproj."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
import shapely.geometry

import relabel
from relabel.cameras import Cameras, Status
from relabel.errors import InputError, NotFoundError, OptionError
from relabel.exchange.exporting import Exported, export
from relabel.fov.geographic import source as on_earth
from relabel.similarity import Similarity, SimilaritySource, gather
from tests.similarities import on_map, similarity
from tests.view.labels import labels_of, row_of_cameras

EARTH = pyproj.Geod(ellps="WGS84")
FOV, RADIUS = 70.0, 60.0


def written(psi: SimilaritySource, folder: Path, **options: Any) -> tuple[dict[str, Any], Exported]:
    """The feature collections that were written by what is in them, each a feature a line, and the notes."""
    done = export({"a/b": psi}, "geojson", folder, **options)
    found = {}
    for path in done.files:
        text = path.read_text(encoding="utf-8")
        found[path.stem.removeprefix("a-b-")] = value = json.loads(text)
        assert value["type"] == "FeatureCollection"
        assert text.count("\n") == len(value["features"]) + 4
        for feature in value["features"]:
            assert set(feature) == {"type", "geometry", "properties"}
            if feature["geometry"] is not None:
                shape = shapely.geometry.shape(feature["geometry"])
                assert shape.is_valid
                assert shapely.box(-180, -90, 180, 90).covers(shape)
                for part in shapely.get_parts(shape) if "Polygon" in shape.geom_type else []:
                    assert part.exterior.is_ccw  # the right-hand rule of RFC 7946
    return found, done


def azimuth_and_distance(start: Any, ends: Any) -> tuple[Any, Any]:
    ends = np.asarray(ends)
    azimuth, _, distance = EARTH.inv(np.full(len(ends), start[0]), np.full(len(ends), start[1]), ends[:, 0], ends[:, 1])
    return np.asarray(azimuth) % 360.0, np.asarray(distance)


def turned(a: Any, b: Any) -> Any:
    return np.abs((np.asarray(a) - b + 180.0) % 360.0 - 180.0)


@pytest.mark.parametrize(
    ("crs", "lon", "lat"),
    [
        ("EPSG:32636", 30.1, 62.0),  # 2.9° west of the central meridian: its north is turned by 2.6°
        ("EPSG:32636", 35.9, 62.0),
        ("EPSG:32756", 150.2, -45.0),
        ("+proj=utm +zone=56 +datum=WGS84 +units=m", 150.2, -45.0),  # as MSLS has the south
        ("EPSG:2056", 6.2, 46.2),  # Switzerland, an oblique map of another ellipsoid
    ],
)
def test_headings_of_a_map(tmp_path: Path, crs: str, lon: float, lat: float) -> None:
    """Headings count from the north of the map: where it leads, geodesics tell, which know nothing of maps."""
    to_map = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    at = np.array(to_map.transform(lon, lat))
    heading = np.array([0.0, 75.0, 200.0, 300.0])
    cameras = Cameras(list("abcd"), np.tile(at, (4, 1)), heading, crs=crs)
    psi = relabel.fov.overlap(cameras, cameras, fov_deg=FOV, radius_m=RADIUS)
    found, _ = written(psi, tmp_path / "out")
    back = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    features = found["cameras"]["features"], found["fields-of-view"]["features"]
    for camera, view, angle in zip(*features, heading, strict=True):
        np.testing.assert_allclose(camera["geometry"]["coordinates"], [lon, lat], atol=1e-6)
        a = np.radians(angle)
        ahead = back.transform(*(at + 10.0 * np.array([np.sin(a), np.cos(a)])))
        [true], _ = azimuth_and_distance((lon, lat), [ahead])
        assert turned(camera["properties"]["heading_deg"], true) < 0.01
        assert camera["properties"]["heading_deg"] == view["properties"]["heading_deg"]
        ring = np.array(view["geometry"]["coordinates"][0])
        np.testing.assert_array_equal(ring[0], ring[-1])
        np.testing.assert_allclose(ring[0], [lon, lat], atol=1e-6)
        azimuth, distance = azimuth_and_distance((lon, lat), ring[1:-1])
        np.testing.assert_allclose(distance, RADIUS, rtol=2e-3)  # a metre of a map is not quite one on the ground
        assert turned(azimuth[0], true + FOV / 2) < 0.1
        assert turned(azimuth[-1], true - FOV / 2) < 0.1
        step = np.radians(turned(azimuth[1:], azimuth[:-1]))
        assert (RADIUS * (1.0 - np.cos(step / 2.0)) < 0.101).all()  # how far a chord is off the arc


def test_the_map_is_turned(tmp_path: Path) -> None:
    """Far from the central meridian the heading of the label file is not that from true north, by a known angle."""
    at = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32636", always_xy=True).transform(30.1, 62.0)
    cameras = Cameras(["a"], [at], [40.0], crs="EPSG:32636")
    [feature] = written(labels_of(cameras), tmp_path / "out")[0]["cameras"]["features"]
    convergence = np.degrees(np.arctan(np.tan(np.radians(30.1 - 33.0)) * np.sin(np.radians(62.0))))  # of a sphere
    assert feature["properties"]["heading_deg"] == pytest.approx(40.0 + convergence, abs=0.02)


def on_the_earth(lon: list[float], lat: list[float], heading: list[float], radius: float = RADIUS) -> Similarity:
    place = np.column_stack([lon, lat])
    n = len(lon)
    cameras = Cameras([f"k{i}" for i in range(n)], np.zeros((n, 2)), heading, crs="EPSG:32660")
    params = relabel.fov.FovParams(fov_deg=FOV, radius_m=radius)
    return gather(on_earth(cameras, cameras, (place, place), params))


def test_on_the_earth(tmp_path: Path) -> None:
    """Labels that were compared on the earth: headings as they are, corners where geodesics end, to a centimetre."""
    lon, lat, heading = [30.1, 30.1005, -75.0], [62.0, 62.0, -12.0], [60.0, 100.0, 250.0]
    found, _ = written(on_the_earth(lon, lat, heading), tmp_path / "out", queries=["k0"])
    for i, view in enumerate(found["fields-of-view"]["features"]):
        assert view["properties"]["heading_deg"] == heading[i]
        ring = np.array(view["geometry"]["coordinates"][0])
        ends = EARTH.fwd([lon[i]] * 2, [lat[i]] * 2, heading[i] + np.array([FOV / 2, -FOV / 2]), [RADIUS] * 2)
        np.testing.assert_allclose(ring[[1, -2]], np.column_stack(ends[:2]), atol=1e-7)
    [line] = found["matches"]["features"]
    assert line["geometry"]["coordinates"] == [[30.1, 62.0], [30.1005, 62.0]]


def test_antimeridian_and_pole(tmp_path: Path) -> None:
    """What crosses the antimeridian is cut there, with all of its area; around a pole no ring leads."""
    psi = on_the_earth([179.9999, -179.9999, 10.0], [0.0, 0.0, 89.9999], [90.0, 270.0, 0.0])
    found, done = written(psi, tmp_path / "out", queries=["k0"])
    views = found["fields-of-view"]["features"]
    assert [view["geometry"]["type"] for view in views] == ["MultiPolygon"] * 2
    for view in views:
        area = sum(
            abs(EARTH.geometry_area_perimeter(part)[0]) for part in shapely.geometry.shape(view["geometry"]).geoms
        )
        assert area == pytest.approx(np.radians(FOV) / 2 * RADIUS**2, rel=4e-3)
    [line] = found["matches"]["features"]
    assert line["geometry"]["type"] == "MultiLineString"
    assert EARTH.geometry_length(shapely.geometry.shape(line["geometry"])) == pytest.approx(22.26, abs=0.05)
    assert [note for note in done.notes if "1 camera sees a pole" in note]


def test_polygons_are_those_of_the_labels(tmp_path: Path) -> None:
    """Labels of polygons have their own corners, and each camera its own field of view, up to a full circle."""
    cameras = replace(row_of_cameras(3), crs="EPSG:32636", fov_deg=np.array([40.0, 360.0, 200.0]))
    psi = relabel.fov.overlap(cameras, cameras, radius_m=RADIUS, shape="polygon", arc=5)
    found, _ = written(psi, tmp_path / "out")
    rings = [np.array(view["geometry"]["coordinates"][0]) for view in found["fields-of-view"]["features"]]
    assert [len(ring) for ring in rings] == [8, 8, 8]
    for ring, extent in zip(rings, psi.collection.query_extent, strict=True):
        area = abs(EARTH.geometry_area_perimeter(shapely.Polygon(ring))[0])
        assert area == pytest.approx(extent, rel=2e-3)


@pytest.mark.parametrize("self_pairs", [False, True])
def test_matches(tmp_path: Path, self_pairs: bool) -> None:
    """The matches of the named queries, best first, as the dense matrix has them; statuses, columns and notes."""
    psi = on_map(similarity(30, 40, seed=2, self_pairs=self_pairs))
    c, dense = psi.collection, psi.matrix.toarray()
    rows = [int(np.argmax((dense > 0.3).sum(axis=1))), int(np.flatnonzero(~c.query.ok)[0])]
    found, done = written(psi, tmp_path / "out", queries=c.query.key[rows].tolist(), threshold=0.3, top=3)
    order = [j for j in np.argsort(-dense[rows[0]], kind="stable") if dense[rows[0], j] >= np.float32(0.3)][:3]
    got = [feature["properties"] for feature in found["matches"]["features"]]
    assert [(each["query"], each["database"], each["rank"]) for each in got] == [
        (str(c.query.key[rows[0]]), str(c.database.key[j]), rank) for rank, j in enumerate(order, 1)
    ]
    assert [np.float32(each["value"]) for each in got] == dense[rows[0], order].tolist()
    assert any("1 of the given queries are not ok" in note for note in done.notes)
    assert found["cameras"]["relabel"]["measure"] == "iou"
    sides = [("both", c.query)] if self_pairs else [("query", c.query), ("database", c.database)]
    expected = [
        (str(key), name, Status(int(status)).label, bool(np.isfinite(x)))
        for name, side in sides
        for key, status, x in zip(side.key, side.status, side.position[:, 0], strict=True)
    ]
    assert [
        (f["properties"]["key"], f["properties"]["side"], f["properties"]["status"], f["geometry"] is not None)
        for f in found["cameras"]["features"]
    ] == expected
    assert len(found["fields-of-view"]["features"]) == sum(int(side.ok.sum()) for _, side in sides)
    lost = sum(not placed for *_, placed in expected)
    assert sum(int(note.split()[1]) for note in done.notes if "no position" in note) == lost


def test_further_columns(tmp_path: Path) -> None:
    """Columns of one value a camera are properties; a name that is taken gets a prefix, a number not known is null."""
    extra = {"sequence": np.array(["x", "$y"]), "frame": np.array([1, 2]), "status": np.array([np.nan, 1.5])}
    cameras = replace(row_of_cameras(2), crs="EPSG:32636", extra={**extra, "wide": np.zeros((2, 3))})
    features = written(labels_of(cameras), tmp_path / "out")[0]["cameras"]["features"]
    got = [[feature["properties"].get(name) for name in (*extra, "extra_status")] for feature in features]
    assert got == [["x", 1, "ok", None], ["$y", 2, "ok", 1.5]]
    assert "wide" not in features[0]["properties"]


def test_refused(tmp_path: Path) -> None:
    """A local frame, a query that is not there, and options without queries; then nothing is written."""
    psi = on_map(similarity())
    for source, options, error, words in (
        (similarity(), {}, InputError, "local frame, whose location on earth is unknown"),
        (psi, {"queries": ["nobody"]}, NotFoundError, "no query 'nobody'"),
        (psi, {"top": 3}, OptionError, "query=…"),
        (psi, {"queries": ["q0000"], "top": 0}, OptionError, "top is 0"),
        (psi, {"queries": ["q0000"], "threshold": 2.0}, OptionError, "threshold is 2.0"),
    ):
        with pytest.raises(error, match=words):
            export({"a": source}, "geojson", tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()


def test_extremes(tmp_path: Path) -> None:
    """No camera, no pair, labels without a field of view."""
    for cameras, params in ((row_of_cameras(0), None), (row_of_cameras(1), None), (row_of_cameras(2), {})):
        psi = labels_of(replace(cameras, crs="EPSG:32636"), params=params)
        found, done = written(psi, tmp_path / str(len(cameras)), queries=cameras.key.tolist() or None)
        assert len(found["cameras"]["features"]) == len(cameras)
        assert any("no known field of view" in note for note in done.notes) == (params is not None)
