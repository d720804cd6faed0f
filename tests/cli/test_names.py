"""relabel names: what it writes and prints, and how it answers every kind of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
from click.testing import Result

import relabel
from relabel import fov
from relabel.datasets.names import lists as names
from relabel.labelfile import LabelFile, validate
from tests.trees import at_name, at_street, edit, msls_tree, name_list

Runner = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def sf(tmp_path: Path) -> Path:
    """A folder with two lists."""
    name_list(tmp_path / "sf" / "q.txt", at_street())
    name_list(tmp_path / "sf" / "d.txt", at_street(8, prefix="d", step_m=7.0))
    return tmp_path / "sf"


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


class TestGood:
    """Lists become a label file."""

    def test_two_lists(self, run: Runner, sf: Path, here: Path) -> None:
        """labels.h5 in the current folder, with the collection named after the folder of the lists."""
        result = done(run("names", sf / "q.txt", sf / "d.txt"))
        assert [path.name for path in here.iterdir()] == ["labels.h5"]
        assert validate(here / "labels.h5").findings == []
        assert "sf " in result.stdout
        found = names.read(sf / "q.txt", sf / "d.txt")
        # On the map of the zone, whose metres and north differ a little from those of the earth.
        factors = pyproj.Proj(found.query.crs).get_factors(*found.geographic[0][0])
        query, database = (
            replace(
                side,
                position=side.position / factors.meridional_scale,
                heading_deg=side.heading_deg - factors.meridian_convergence,
            )
            for side in (found.query, found.database)
        )
        expected = fov.overlap(query, database).matrix.toarray()
        assert expected.any()
        stored = LabelFile("labels.h5")["sf"]
        assert (stored.params["north"], stored.params["frame"]) == ("true", "geodesic")
        np.testing.assert_allclose(stored.to_scipy().toarray(), expected, atol=1e-6)

    def test_footprints_lie_on_the_map_of_the_zone(self, run: Runner, tmp_path: Path) -> None:
        """With walls, cameras are on the map of their zone and headings from its north: ψ is as on the earth."""
        lon, lat, step = 144.05, -37.8, 45.0 / 111_000.0
        places = [(lat, 0), (lat + step, 90), (lat + 1.0, 0), (lat + 1.0 + step, 0)]
        to_zone = pyproj.Transformer.from_crs(4326, 32755, always_xy=True)
        texts = []
        for number, (north_deg, heading) in enumerate(places):
            east, north = to_zone.transform(lon, north_deg)
            texts.append(at_name(f"{east:.2f}", f"{north:.2f}", heading, zone=55, letter="H", pano_id=number))
        path = name_list(tmp_path / "a.txt", texts)
        west, east, wall = lon - 0.01, lon + 0.01, lat + 1.0 + 0.9 * step
        line = {"type": "LineString", "coordinates": [[west, wall], [east, wall]]}
        feature = {"type": "Feature", "properties": {}, "geometry": line}
        (tmp_path / "wall.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
        done(run("names", path, "--self-pairs", "--shape", "polygon", "-o", "earth.h5"))
        result = done(run("names", path, "--self-pairs", "--occluders", tmp_path / "wall.geojson", "-o", "map.h5"))
        assert "compared on EPSG:32755; headings were turned by up to 1.81° from true north" in result.output
        on_earth, on_map = (LabelFile(f"{name}.h5")["a"] for name in ("earth", "map"))
        assert (on_map.params["north"], on_map.params.get("frame")) == ("second axis of the metres", None)
        # South of the equator and west of the zone's middle, the map's north is east of true north.
        turned = np.mod(on_map.query.heading_deg - [0, 90, 0, 0] + 180.0, 360.0) - 180.0
        there = pyproj.Proj(32755).get_factors(lon, lat).meridian_convergence
        assert there > 1.8
        np.testing.assert_allclose(turned[0], -there, atol=1e-6)
        expected = on_earth.to_scipy().toarray()
        assert 0.1 < expected[0, 1] < 0.5
        assert on_map.to_scipy().toarray()[0, 1] == pytest.approx(expected[0, 1], abs=2e-4)
        assert expected[2, 3] > 0.001
        assert on_map.to_scipy().toarray()[2, 3] == 0.0
        done(run("verify", "map.h5", "--root", tmp_path))

    def test_footprints_of_several_zones(self, run: Runner, tmp_path: Path) -> None:
        """Cameras that are far from one zone have no map with the footprints, and the message says so."""
        texts = [at_name("500000.00", "5812000.00", 0, zone=z, letter="H", pano_id=z) for z in (53, 56)]
        path = name_list(tmp_path / "a.txt", texts)
        (tmp_path / "wall.geojson").write_text('{"type": "FeatureCollection", "features": []}')
        result = run("names", path, "--self-pairs", "--occluders", tmp_path / "wall.geojson", "-o", "map.h5")
        assert result.exit_code == 2
        assert "--occluders: footprints are on the map of one UTM zone, but these cameras are spread" in result.stderr
        assert not Path("map.h5").exists()

    @pytest.mark.parametrize("lon", [144.96, 144.05, 147.0])
    def test_other_images_change_no_label(self, run: Runner, tmp_path: Path, lon: float) -> None:
        """One north for all: the label of a pair is the same alone and beside an image of another zone."""
        places = [(lon, -37.8, 55, 0), (lon, -37.8 + 45.0 / 111_000.0, 55, 90), (141.0, -37.8, 54, 0)]
        texts = []
        for number, (east_deg, north_deg, zone, heading) in enumerate(places):
            east, north = pyproj.Transformer.from_crs(4326, 32700 + zone, always_xy=True).transform(east_deg, north_deg)
            texts.append(at_name(f"{east:.2f}", f"{north:.2f}", heading, zone=zone, letter="H", pano_id=number))
        values = []
        for size in (2, 3):
            path = name_list(tmp_path / f"{size}.txt", texts[:size])
            done(run("names", path, "--self-pairs", "-o", f"{size}.h5"))
            values.append(LabelFile(f"{size}.h5")[str(size)].to_scipy().toarray()[:2, :2])
        # From true north, on a plane that touches the earth there.
        _, _, apart_m = pyproj.Geod(ellps="WGS84").inv(lon, places[0][1], lon, places[1][1])
        pair = relabel.Cameras(key=["a", "b"], position=[(0, 0), (0, apart_m)], heading_deg=[0, 90])
        np.testing.assert_allclose(values[0], fov.overlap(pair, pair).matrix.toarray(), atol=1e-3)
        np.testing.assert_array_equal(values[0], values[1])

    @pytest.mark.parametrize("form", ["folder", "npy", "text"])
    def test_same_from_everywhere(self, run: Runner, tmp_path: Path, form: str) -> None:
        """The same labels from folders, arrays and texts."""
        suffix = {"folder": "", "npy": ".npy", "text": ".txt"}[form]
        paths = [name_list(tmp_path / "sf" / f"{side}{suffix}", sorted(at_street(prefix=side))) for side in "qd"]
        done(run("names", *paths, "-o", "a.h5"))
        stored = LabelFile("a.h5")["sf"]
        assert stored.query.key.tolist() == sorted(at_street(prefix="q"))
        assert stored.to_scipy().nnz > 0
        done(run("verify", "a.h5", "--root", tmp_path / "sf", "--sample", 100))

    @pytest.mark.parametrize("flags", [["--self-pairs"], ["q.txt"]])
    def test_self_pairs(self, run: Runner, sf: Path, flags: list[str]) -> None:
        """By option, or by giving the list twice; symmetric to the bit."""
        more = [sf / flag if flag == "q.txt" else flag for flag in flags]
        done(run("names", sf / "q.txt", *more, "-o", "a.h5"))
        stored = LabelFile("a.h5")["q"]
        assert stored.self_pairs
        matrix = stored.to_scipy().toarray()
        assert np.array_equal(matrix, matrix.T)
        done(run("verify", "a.h5", "--root", sf, "--sample", 100))

    def test_name(self, run: Runner, sf: Path) -> None:
        """The collection can be called anything."""
        done(run("names", sf / "q.txt", sf / "d.txt", "--name", "sf/val"))
        assert list(LabelFile("labels.h5")) == ["sf/val"]

    def test_headings_are_told_of(self, run: Runner, sf: Path) -> None:
        """Those that were wrapped or are missing are counted on stderr and in the file."""
        edit(sf / "q.txt", "@90@", "@450@")
        edit(sf / "q.txt", "@90@", "@@", count=2)
        result = done(run("names", sf / "q.txt", sf / "d.txt"))
        assert "sf: 1 heading outside [0°, 360°) was wrapped" in result.stderr
        assert "sf: 2 cameras have no heading" in result.stderr
        stored = LabelFile("labels.h5")["sf"]
        assert stored.params["heading_faults"] == {"wrapped": 1, "missing": 2}
        assert stored.query.status_counts() == {"ok": 4, "no_heading": 2}

    def test_verify(self, run: Runner, sf: Path) -> None:
        """The provenance leads back to the lists, and a name that was changed is found."""
        done(run("names", sf / "q.txt", sf / "d.txt"))
        found = json.loads(done(run("verify", "labels.h5", "--root", sf, "--sample", 100, "--json")).stdout)
        assert (found["mismatches"], found["checked"] > 0) == (0, True)
        edit(sf / "q.txt", "@90@", "@91@")
        result = run("verify", "labels.h5", "--root", sf, "--sample", 100, "--json")
        assert result.exit_code == 1
        assert any("q.txt is not the file" in text for text in json.loads(result.stdout)["findings"])

    def test_no_path_of_the_machine(self, run: Runner, sf: Path, tmp_path: Path) -> None:
        """What is recorded is relative to the folder of the lists."""
        done(run("names", sf / "q.txt", sf / "d.txt"))
        (record,) = LabelFile("labels.h5").provenance()
        assert record["command"] == "relabel names"
        assert [entry["path"] for entry in record["inputs"]] == ["d.txt", "q.txt"]
        assert str(tmp_path) not in json.dumps(record)

    def test_several_zones(self, run: Runner, tmp_path: Path) -> None:
        """Two images on either side of a zone border have the overlap of their distance on the earth."""
        texts = []
        for zone, lon in ((31, 5.9999), (32, 6.0001)):
            east, north = pyproj.Proj(proj="utm", zone=zone, ellps="WGS84")(lon, 48.0)
            texts.append(at_name(f"{east:.2f}", f"{north:.2f}", 90, zone=zone, letter="U"))
        _, _, apart_m = pyproj.Geod(ellps="WGS84").inv(5.9999, 48.0, 6.0001, 48.0)
        pair = relabel.Cameras(key=["a", "b"], position=[(0, 0), (apart_m, 0)], heading_deg=[90, 90])
        expected = fov.overlap(pair, pair).matrix.toarray()
        path = name_list(tmp_path / "border" / "a.txt", texts)
        result = done(run("names", path, "--self-pairs"))
        assert "names are in 2 frames" in result.stderr
        stored = LabelFile("labels.h5")["a"]
        assert expected[0, 1] > 0.3
        np.testing.assert_allclose(stored.to_scipy().toarray(), expected, atol=1e-3)  # names are to the centimetre
        done(run("verify", "labels.h5", "--root", tmp_path / "border", "--sample", 100))

    def test_join(self, run: Runner, tmp_path: Path) -> None:
        """A reformatted tree gets its compass back."""
        root = msls_tree(tmp_path / "a" / "msls")
        lists = [name_list(tmp_path / "a" / f"{side}.txt", at_street(prefix=side, heading="")) for side in ("q", "d")]
        result = run("names", *lists)
        assert "none of the 6 query cameras can be labelled (6 no_heading)" in result.stderr
        assert "--join-msls" in result.stderr
        result = done(run("names", *lists, "--join-msls", root))
        assert "a: 12 headings were taken from the MSLS tree" in result.stderr
        assert LabelFile("labels.h5")["a"].query.heading_deg.tolist() == [90.0] * 6
        done(run("verify", "labels.h5", "--root", tmp_path / "a", "--sample", 100))

    def test_dry_run(self, run: Runner, sf: Path, here: Path) -> None:
        """Only says what it would do."""
        assert "sf" in done(run("names", sf / "q.txt", sf / "d.txt", "--dry-run")).stdout
        assert list(here.iterdir()) == []


BAD_INPUT: dict[str, tuple[list[Any], list[str], int, list[str]]] = {
    "too few fields": (["@1@2@.jpg"], [], 1, ["q.txt: line 2: '@1@2@.jpg' has 4 fields", "16 were expected"]),
    "no number": ([at_name(east="here")], [], 1, ["q.txt: line 2: east 'here' is not a number", "correct the name"]),
    "swapped": ([at_name(lat=-122, lon=37)], [], 1, ["q.txt: line 2: lat -122", "swapped"]),
    "twice": ([at_street()[0]], [], 1, ["is in lines 1 and 2", "keep each once"]),
    "mixed zones": ([at_name(zone="")], [], 1, ["2 frames", "q.txt: line 2 is without a zone", "label each frame"]),
    "no heading at all": ([at_name(heading="", pano_id=1)], ["--only"], 1, ["(1 no_heading)", "field 9"]),
    "no name at all": (["a.jpg"], ["--only"], 1, ["nor is any of the 1 names", "@east@north", "relabel table"]),
    "no MSLS tree": ([at_name(pano_id=1)], ["--join-msls", "nowhere"], 1, ["nowhere: does not exist"]),
    "name of a member": ([], ["--name", "queries"], 1, ["queries"]),
    "field of view": ([], ["--fov", "0"], 2, ["the field of view is 0°"]),
}


class TestBadInput:
    """One line on stderr that names the place and the next step, nothing on stdout, and no file."""

    @pytest.mark.parametrize("case", BAD_INPUT)
    def test_is_refused(self, run: Runner, sf: Path, here: Path, case: str) -> None:
        """Every way in which a list or an option can be wrong."""
        lines, flags, code, texts = BAD_INPUT[case]
        own = [] if "--only" in flags else at_street(1)
        name_list(sf / "q.txt", [*own, *lines])
        refused(run("names", sf / "q.txt", sf / "d.txt", *(f for f in flags if f != "--only")), code, texts)
        assert list(here.iterdir()) == []

    def test_lists(self, run: Runner, sf: Path, here: Path) -> None:
        """What is no list, and too few or too many of them."""
        refused(run("names", sf / "x.txt", sf / "d.txt"), 1, ["x.txt: does not exist"])
        refused(run("names", sf, sf / "d.txt"), 1, ["sf: holds no image"])
        refused(run("names", sf / "q.txt"), 2, ["there is no DATABASE", "--self-pairs"])
        refused(run("names", sf / "q.txt", sf / "d.txt", "--self-pairs"), 2, ["omit DATABASE"])
        refused(run("names"), 2, ["QUERIES"])
        np.save(sf / "o.npy", np.array(at_street(), dtype=object), allow_pickle=True)
        refused(run("names", sf / "o.npy", sf / "d.txt"), 1, ["o.npy: holds Python objects", "astype(str)"])
        assert list(here.iterdir()) == []

    def test_one_picture_in_two_folders(self, run: Runner, tmp_path: Path) -> None:
        """Both places are named."""
        folder = name_list(tmp_path / "sf" / "all", [f"{part}/{at_name()}" for part in ("a", "b")])
        refused(run("names", folder, "--self-pairs"), 1, ["a/@", "b/@", "have the same name"])


def refused(result: Result, code: int, texts: list[str]) -> None:
    """Check what a failing command prints."""
    *_, last = result.stderr.splitlines()
    assert last.startswith("relabel: error: ")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.count("error: ") == 1
    assert "bug in relabel" not in result.stderr
    for text in texts:
        assert text in last


@pytest.mark.real_data
class TestSanFrancisco:
    """SF-XL val, from the lists to a verified file."""

    def test_end_to_end(self, run: Runner, real_data: Path) -> None:
        """74,326 pairs are within 25 m, by brute force too; a sample of ψ is that of shapely."""
        root = real_data / "sf_xs_val"
        result = done(run("names", root / "queries.txt", root / "database.txt", "--json"))
        (collection,) = json.loads(result.stdout)["collections"]
        assert collection["shape"] == [7993, 8015]
        assert "866 headings outside" in result.stderr
        stored = LabelFile("labels.h5")["sf_xs_val"]
        near = 0
        for place in stored.query.position:
            near += int((np.hypot(*(stored.database.position - place).T) <= 25.0).sum())
        assert f"pairs within 25 m: {near:,}" in done(run("stats", "labels.h5")).stdout
        found = json.loads(done(run("verify", "labels.h5", "--root", root, "--sample", 200, "--json")).stdout)
        assert (found["checked"], found["mismatches"]) == (200, 0)
