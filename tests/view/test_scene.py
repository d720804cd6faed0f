"""What is drawn of a collection, and the figures of its charts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest

from relabel.cameras import Cameras
from relabel.evaluation.positives import WITHIN_M, positives_by_distance
from relabel.labelfile import StoredCollection, open_collections, write
from relabel.report.distributions import distributions
from relabel.report.stats import statistics
from relabel.view.scene import scene
from tests.similarities import similarity
from tests.view.labels import labels_of, row_of_cameras


def stored(path: Path, **collections: object) -> list[StoredCollection]:
    write(path, collections)  # type: ignore[arg-type]
    return open_collections(path)


def test_distances_of_the_page_are_those_of_positives(tmp_path: Path) -> None:
    """Straight distances on the map make the same positives within 25 m as the evaluation finds."""
    [one] = stored(tmp_path / "labels.h5", a=similarity(40, 50))
    arrays = scene(one).arrays
    apart = np.linalg.norm(arrays["queries.map"][:, None] - arrays["database.map"][None], axis=2)
    expected = positives_by_distance(one.query, one.database)
    for row in range(40):
        want = expected.indices[expected.indptr[row] : expected.indptr[row + 1]]
        assert np.flatnonzero(apart[row] <= WITHIN_M).tolist() == want.tolist()


def test_distances_on_the_earth_are_those_of_positives(tmp_path: Path) -> None:
    """Beside the map of a geodesic frame stand points in space, distances between which are those of the evaluation."""
    rng = np.random.default_rng(4)
    lon, lat = 179.9998 + rng.uniform(0, 4e-4, 30), rng.uniform(-2e-4, 2e-4, 30)
    extra = {"lon_deg": lon, "lat_deg": lat}
    cameras = row_of_cameras(30, position=np.column_stack([lon, lat]), extra=extra, crs="EPSG:32660")
    params = {"fov_deg": 90.0, "radius_m": 50.0, "frame": "geodesic"}
    [one] = stored(tmp_path / "labels.h5", a=labels_of(cameras, params=params))
    at = scene(one).arrays["queries.at"]
    apart = np.linalg.norm(at[:, None] - at[None], axis=2)
    expected = np.asin(np.minimum(1, np.linalg.norm(unit(lon, lat)[:, None] - unit(lon, lat)[None], axis=2) / 2)) * 2
    np.testing.assert_allclose(apart, expected * 6_378_137.0, rtol=0.01)
    assert (apart < 25).sum() > 30


def test_headings_from_true_north_lead_on_the_map_where_geodesics_do(tmp_path: Path) -> None:
    """The north of a UTM zone is turned by up to 3° there; beside them stand the headings of the labels."""
    to_map = pyproj.Transformer.from_crs(4326, 32631, always_xy=True)  # zone 31: 3° is its central meridian
    lon, lat, azimuth = np.array([5.95, 0.1, 3.0]), np.array([60.0, 60.0, 60.0]), np.array([1.0, 200.0, 90.0])
    ends = pyproj.Geod(ellps="WGS84").fwd(lon, lat, azimuth, np.full(3, 20.0))[:2]
    position, leads = (np.column_stack(to_map.transform(*at)) for at in ((lon, lat), ends))
    expected = np.degrees(np.arctan2(*(leads - position).T)) % 360
    assert np.abs(expected - azimuth).max() > 2.5
    extra = {"lon_deg": lon, "lat_deg": lat}
    cameras = row_of_cameras(3, position=position, heading_deg=azimuth, extra=extra, crs="EPSG:32631")
    params = {"fov_deg": 60.0, "radius_m": 50.0, "frame": "geodesic"}
    [one] = stored(tmp_path / "labels.h5", a=labels_of(cameras, params=params))
    arrays = scene(one).arrays
    np.testing.assert_allclose(arrays["queries.heading"], expected, atol=0.01)
    np.testing.assert_allclose(arrays["queries.true_heading"], azimuth)


def unit(lon_deg: np.ndarray, lat_deg: np.ndarray) -> np.ndarray:
    """Points of the unit sphere."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])


def test_a_sequence_of_both_sides_has_one_number(tmp_path: Path) -> None:
    """The names are those of both sides together, each once."""
    columns = [{"sequence": np.array(names)} for names in (["b", "a", "b"], ["c", "b"])]
    sides = [
        row_of_cameras(len(extra["sequence"]), name, extra=extra) for name, extra in zip("qd", columns, strict=True)
    ]
    plain = labels_of(row_of_cameras(1), row_of_cameras(2, "d", extra=columns[1]))
    one, other = map(scene, stored(tmp_path / "labels.h5", both=labels_of(*sides), one=plain))
    assert one.value["sequences"] == ["a", "b", "c"]
    assert one.arrays["queries.sequence"].tolist() == [1, 0, 1]
    assert one.arrays["database.sequence"].tolist() == [2, 1]
    assert other.value["sequences"] == ["b", "c"]
    assert other.arrays["database.sequence"].tolist() == [1, 0]
    assert "queries.sequence" not in other.arrays


def test_cameras_without_a_place_are_counted(tmp_path: Path) -> None:
    """They are NaN on the map and said as such; the others are metres east and north of the middle of all."""
    query = row_of_cameras(3, "q", position=[[0.0, 10.0], [np.nan, 5.0], [100.0, 30.0]])
    [one] = stored(tmp_path / "labels.h5", a=labels_of(query, row_of_cameras(1, "d", position=[[50.0, 20.0]])))
    shown = scene(one)
    assert shown.value["sides"]["queries"]["without_place"] == 1
    np.testing.assert_array_equal(shown.arrays["queries.map"], [[-50.0, -10.0], [np.nan, np.nan], [50.0, 10.0]])


@pytest.mark.parametrize("down", [-1.0, 1.0])
@pytest.mark.parametrize("up", [0, 1, 2])
def test_rooms_are_seen_from_above(tmp_path: Path, up: int, down: float) -> None:
    """Whatever axis of the frame is upright, the map shows the two others, and headings are those of optical axes."""
    right, ahead = [axis for axis in range(3) if axis != up]
    if np.cross(np.eye(3)[right], np.eye(3)[ahead])[up] == down:
        right, ahead = ahead, right
    poses = np.zeros((4, 4, 4))
    for i, angle in enumerate(np.radians([0.0, 90.0, 180.0, 300.0])):
        poses[i, ahead, 2], poses[i, right, 2] = np.cos(angle), np.sin(angle)
        poses[i, up, 1] = down
        poses[i, :3, 0] = np.cross(poses[i, :3, 1], poses[i, :3, 2])
        poses[i, :3, 3] = [i, 2 * i, 3 * i]
        poses[i, 3, 3] = 1.0
    cameras = Cameras(key=list("abcd"), position=poses[:, :3, 3], pose=poses)
    [one] = stored(tmp_path / "labels.h5", a=labels_of(cameras, params={}))
    shown = scene(one)
    assert shown.value["in_space"]
    np.testing.assert_allclose(shown.arrays["queries.heading"] % 360, [0.0, 90.0, 180.0, 300.0], atol=1e-4)
    assert (shown.value["axes"], shown.value["upright"]) == ([right, ahead, up], -down)
    np.testing.assert_array_equal(shown.arrays["queries.down"], poses[:, :3, 1])
    np.testing.assert_allclose(np.diff(shown.arrays["queries.map"], axis=0), [[right + 1, ahead + 1]] * 3)


@pytest.mark.parametrize("self_pairs", [False, True])
def test_distributions_agree_with_the_statistics(tmp_path: Path, self_pairs: bool) -> None:
    """Bands and histogram are those of `relabel stats`, which counts them by other code."""
    [one] = stored(tmp_path / "labels.h5", a=similarity(40, 50, self_pairs=self_pairs))
    figures, expected = distributions(one), statistics(one)
    assert figures["known"] == expected.known_pairs
    assert np.reshape(figures["histogram"], (10, 5)).sum(axis=1).tolist() == list(expected.histogram)
    for figure, band in zip(figures["bands"], (expected.positive, expected.partial, expected.zero), strict=True):
        assert (figure["pairs"], figure["empty"]) == (band.pairs, band.empty)
        assert figure["mean"] == pytest.approx(band.mean)


def test_the_plane_is_the_mean_of_its_pairs(tmp_path: Path) -> None:
    """Two pairs of one cell give their mean; a pair that is farther than is drawn, or without a heading, is counted."""
    query = row_of_cameras(1, "q")
    heading = [90.0, 85.0, 90.0, np.nan]
    at = query.position[0] + [[11.0, 0.0], [12.0, 0.0], [500.0, 0.0], [3.0, 0.0]]
    database = row_of_cameras(4, "d", position=at, heading_deg=heading, posed=False)
    labels = labels_of(query, database, [[0.4, 0.8, 0.3, 0.2]])
    labels = type(labels)(type(labels.collection)(**{**vars(labels.collection), "method": "imported"}), labels.matrix)
    [one] = stored(tmp_path / "labels.h5", a=labels)
    plane = distributions(one)["plane"]
    assert (plane["pairs"][4][0], plane["beyond"], plane["without"]) == (2, 1, 1)
    assert plane["mean"][4][0] == pytest.approx(0.6)
    assert np.sum(plane["pairs"]) == 2
