"""Footprints from the option to the file, and back from the file to the oracle."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.cameras import Cameras
from relabel.datasets.base import CameraSets
from relabel.errors import InputError, OptionError
from relabel.fov.params import FovParams
from relabel.geometry.projection import unproject
from relabel.labelfile import LabelFile
from relabel.pipeline import occluders
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.records import part_from_record
from relabel.pipeline.run import label
from relabel.synthetic.msls import BUILDINGS, write_tree
from relabel.verify.fov_labels import POLYGON_TOLERANCE
from relabel.verify.verify import verify
from tests.pipeline.jobs import msls_parts

Parts = Callable[..., tuple[FovPart, ...]]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic city with buildings."""
    root = tmp_path_factory.mktemp("town")
    write_tree(root, cameras=200, seed=4, buildings=True)
    return root


@pytest.fixture(scope="module")
def houses(town: Path) -> Path:
    """Its buildings."""
    return town / "train_val" / "sampletown" / BUILDINGS


@pytest.fixture(scope="module")
def labels(town: Path, houses: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its labels with buildings in the way."""
    path = tmp_path_factory.mktemp("labels") / "x.h5"
    label(msls_parts(town, None, params=FovParams(arc=6), occluders=houses)[0], path)
    return path


def moved(path: Path, folder: Path, east: float) -> Path:
    """The same buildings elsewhere; degrees of longitude."""
    content = json.loads(path.read_text())
    for feature in content["features"]:
        (ring,) = feature["geometry"]["coordinates"]
        feature["geometry"]["coordinates"] = [[[x + east, y] for x, y in ring]]
    target = folder / path.name
    target.write_text(json.dumps(content))
    return target


class TestLabels:
    """A labelling job with something in the way"""

    def test_params_and_provenance(self, labels: Path, houses: Path) -> None:
        """Shape, segments and file are in the params; the file is an input, relative to the root."""
        stored = LabelFile(labels)["sampletown"]
        assert stored.method == "fov-polygon"
        told = stored.params["occluders"]
        assert (stored.params["shape"], stored.params["arc"]) == ("polygon", 6)
        assert (told["name"], told["features"]) == (BUILDINGS, len(json.loads(houses.read_text())["features"]))
        (record,) = LabelFile(labels).provenance()
        assert record["parameters"]["occluders"] == BUILDINGS
        (entry,) = [entry for entry in record["inputs"] if entry["path"].endswith(BUILDINGS)]
        assert entry == {
            "path": f"train_val/sampletown/{BUILDINGS}",
            "sha256": told["sha256"],
            "bytes": houses.stat().st_size,
        }

    def test_pairs_drop(self, labels: Path, town: Path, tmp_path: Path) -> None:
        """Fewer pairs than without buildings, and a smaller extent for most cameras."""
        label(msls_parts(town, None, params=FovParams(shape="polygon", arc=6))[0], tmp_path / "plain.h5")
        plain, cut = (LabelFile(path)["sampletown"] for path in (tmp_path / "plain.h5", labels))
        assert 0.5 * plain.nnz < cut.nnz < 0.95 * plain.nnz
        ok = plain.query.ok
        assert (cut.query_extent[ok] <= plain.query_extent[ok] * (1 + 1e-12)).all()
        assert (cut.query_extent[ok] < 0.9 * plain.query_extent[ok]).mean() > 0.5

    def test_outside_of_the_root(self, town: Path, houses: Path, tmp_path: Path) -> None:
        """The file goes by its name then; nothing of the machine is in the labels."""
        away = tmp_path / "private" / "h.json"
        away.parent.mkdir()
        away.write_bytes(houses.read_bytes())
        label(msls_parts(town, None, occluders=away)[0], tmp_path / "x.h5")
        (record,) = LabelFile(tmp_path / "x.h5").provenance()
        assert "h.json" in {entry["path"] for entry in record["inputs"]}
        assert "private" not in json.dumps(record)

    def test_processes(self, town: Path, houses: Path) -> None:
        """A part with buildings can be sent elsewhere."""
        ((part,), _) = msls_parts(town, None, occluders=houses)
        assert pickle.loads(pickle.dumps(part)) == part


class TestNotes:
    """What the user is told"""

    def test_counts(self, town: Path, houses: Path) -> None:
        """How many views are cut, and how much is left."""
        notes = msls_parts(town, None, occluders=houses)[0][0].open().notes
        assert any(f"{BUILDINGS}: cuts " in note for note in notes)

    def test_nothing_near(self, town: Path, houses: Path, tmp_path: Path) -> None:
        """Buildings of another place are worth a warning."""
        away = moved(houses, tmp_path, 1.0)
        notes = msls_parts(town, None, occluders=away)[0][0].open().notes
        assert any("hides nothing from any camera" in note and "occluders_crs=…" in note for note in notes)

    def test_inside(self, town: Path, houses: Path, tmp_path: Path) -> None:
        """Cameras in a building are counted; so are repairs and features that hide nothing."""
        away = moved(houses, tmp_path, 50.0 / 111_000.0 / 0.8)
        content = json.loads(away.read_text())
        bow = [[-20.9, 36.1], [-20.8, 36.2], [-20.8, 36.1], [-20.9, 36.2], [-20.9, 36.1]]
        content["features"] += [
            {"type": "Polygon", "coordinates": [bow]},
            {"type": "Point", "coordinates": [0, 0]},
        ]
        away.write_text(json.dumps(content))
        notes = msls_parts(town, None, occluders=away)[0][0].open().notes
        for text in ("cameras are inside a building", "1 invalid polygons", "1 features without polygon"):
            assert any(text in note for note in notes), text


class TestParameters:
    """relabel.pipeline.fov_part.FovPart.parameters"""

    def test_default_changes_nothing(self, town: Path) -> None:
        """Without occluders, parameters are what they were."""
        ((part,), _) = msls_parts(town, None)
        assert not {"occluders", "occluders_crs"} & set(part.parameters())

    def test_shape(self, town: Path) -> None:
        """With occluders, the shape is a polygon and its segments are recorded."""
        ((part,), _) = msls_parts(town, None)
        values = FovPart(part.reader, occluders=Path("/somewhere/b.geojson"), occluders_crs="local").parameters()
        assert (values["shape"], values["arc"]) == ("polygon", 16)
        assert (values["occluders"], values["occluders_crs"]) == ("b.geojson", "local")

    def test_crs_alone(self, town: Path) -> None:
        ((part,), _) = msls_parts(town, None)
        with pytest.raises(OptionError, match="give both or neither"):
            FovPart(part.reader, occluders_crs="EPSG:32636")

    def test_of_record(self, labels: Path, town: Path, houses: Path) -> None:
        """The record leads back to the part, file and all, where it lies under the root."""
        (record,) = LabelFile(labels).provenance()
        part = part_from_record(record, town)
        assert part is not None
        assert (part.params, part.occluders) == (FovParams(arc=6, shape="polygon"), houses)


class TestWallsFor:
    """relabel.pipeline.occluders.walls_for"""

    def test_on_the_earth(self, houses: Path) -> None:
        """Cameras that are compared on the earth have no map to put buildings on."""
        one = Cameras(key=["a"], position=[[0, 0]], heading_deg=[0])
        place = np.zeros((1, 2))
        with pytest.raises(OptionError, match="the map of one UTM zone"):
            occluders.on_map(CameraSets(query=one, database=one, geographic=(place, place)))

    def test_local(self, tmp_path: Path) -> None:
        """Cameras in a local frame, buildings in the same."""
        path = tmp_path / "x.json"
        path.write_text('{"type": "LineString", "coordinates": [[-500, 10], [500, 10]]}')
        one = Cameras(key=["a"], position=[[0, 0]], heading_deg=[0])
        walls, notes = occluders.walls_for(CameraSets(query=one, database=one), path, "local")
        assert walls.ends.tolist() == [[-500, 10, 500, 10]]
        assert notes == []

    def test_southern_frame(self, tmp_path: Path) -> None:
        """The frame of MSLS south of the equator, whose northings are negative."""
        crs = "+proj=utm +zone=55 +datum=WGS84 +units=m"
        lon, lat = unproject([320_000.0, 320_100.0], [-4_180_000.0, -4_180_000.0], crs).T
        path = tmp_path / "x.json"
        path.write_text(json.dumps({"type": "LineString", "coordinates": np.column_stack([lon, lat]).tolist()}))
        one = Cameras(key=["a"], position=[[320_050.0, -4_180_010.0]], heading_deg=[0], crs=crs)
        walls, _ = occluders.walls_for(CameraSets(query=one, database=one), path, None)
        np.testing.assert_allclose(walls.ends, [[320_000, -4_180_000, 320_100, -4_180_000]], atol=1e-5)


class TestVerify:
    """relabel.verify.verify.verify of labels with something in the way"""

    @pytest.mark.parametrize("how", [{"root": True}, {"occluders": True}, {"root": True, "occluders": True}])
    def test_good(self, labels: Path, town: Path, houses: Path, how: dict[str, bool]) -> None:
        """Found under the root, or told."""
        given: dict[str, Any] = {"occluders": houses} if "occluders" in how else {}
        found = verify(labels, town if "root" in how else None, sample=100, **given)
        assert (found.checked, found.mismatches, found.findings) == (100, 0, [])
        assert found.max_abs_diff <= POLYGON_TOLERANCE

    def test_beside_the_labels(self, labels: Path, houses: Path, tmp_path: Path) -> None:
        """Where a file and what it was made with are handed on together."""
        (tmp_path / "x.h5").write_bytes(labels.read_bytes())
        (tmp_path / BUILDINGS).write_bytes(houses.read_bytes())
        assert verify(tmp_path / "x.h5", sample=10).mismatches == 0

    def test_not_found(self, labels: Path) -> None:
        with pytest.raises(InputError, match="give it with occluders=…"):
            verify(labels)

    def test_another_file(self, labels: Path, houses: Path, tmp_path: Path) -> None:
        """Other buildings are told of, and what they change."""
        found = verify(labels, occluders=moved(houses, tmp_path, 1.0), sample=100)
        assert "not the file that was labelled with" in found.findings[0]
        assert found.mismatches > 10

    def test_changed_under_the_root(self, town: Path, houses: Path, tmp_path: Path) -> None:
        """A file that is not the same any more is not found."""
        root = tmp_path / "t"
        write_tree(root, cameras=30, seed=4, buildings=True)
        own = root / houses.relative_to(town)
        label(msls_parts(root, None, occluders=own)[0], tmp_path / "x.h5")
        own.write_text(own.read_text() + " ")
        with pytest.raises(InputError, match="neither next to the file nor under root=…"):
            verify(tmp_path / "x.h5", root)

    def test_none_in_the_way(self, town: Path, houses: Path, tmp_path: Path) -> None:
        """Labels that know of no buildings are not to be checked against some."""
        ((part,), _) = msls_parts(town, None)
        label((replace(part, params=FovParams(radius_m=5.0)),), tmp_path / "x.h5")
        with pytest.raises(InputError, match="omit occluders=…"):
            verify(tmp_path / "x.h5", occluders=houses)
