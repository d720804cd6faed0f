"""relabel.datasets.footprints: GeoJSON and GeoParquet, every system of coordinates, and every way to be wrong."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import shapely

from relabel.datasets.footprints import Footprints, read
from relabel.errors import InputError, MissingFileError, OptionError
from relabel.geometry.projection import project
from tests.trees import parquet_with_views

SQUARE = [[33.0, 31.0], [33.001, 31.0], [33.001, 31.001], [33.0, 31.001], [33.0, 31.0]]
POLYGON = {"type": "Polygon", "coordinates": [SQUARE]}
LINE = {"type": "LineString", "coordinates": SQUARE[:3]}
BOW_TIE = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
UTM = "EPSG:32636"


def collection(*geometries: Any, **members: Any) -> dict[str, Any]:
    features = [{"type": "Feature", "properties": None, "geometry": geometry} for geometry in geometries]
    return {"type": "FeatureCollection", "features": features, **members}


def saved(folder: Path, content: Any) -> Path:
    path = folder / "b.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def geoparquet(folder: Path, values: list[Any], **column: Any) -> Path:
    """A GeoParquet file; `column` adds to the metadata of the geometry column."""
    geo = {"version": "1.1.0", "primary_column": "shape", "columns": {"shape": {"encoding": "WKB", **column}}}
    table = pa.table({"id": list(range(len(values))), "shape": pa.array(values, pa.binary())})
    path = folder / "b.parquet"
    pyarrow.parquet.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), path)
    return path


def counts(found: Footprints) -> tuple[int, int, int, int]:
    return found.features, len(found.geometry), found.repaired, found.skipped


class TestGeoJson:
    """relabel.datasets.footprints.read of GeoJSON"""

    @pytest.mark.parametrize(
        "content", [POLYGON, {"type": "Feature", "geometry": POLYGON}, collection(POLYGON)], ids=lambda c: c["type"]
    )
    def test_all_tops(self, tmp_path: Path, content: Any) -> None:
        """A geometry, a feature, a collection; in longitude and latitude."""
        found = read(saved(tmp_path, content))
        assert counts(found) == (1, 1, 0, 0)
        assert found.crs == "EPSG:4326"
        assert shapely.get_coordinates(found.geometry).tolist() == SQUARE

    def test_all_geometries(self, tmp_path: Path) -> None:
        """Collections in collections are taken apart; heights are dropped; points, nulls and empties hide nothing."""
        high = {"type": "LineString", "coordinates": [[1, 2, 30], [3, 4, 30]]}
        inner = {
            "type": "GeometryCollection",
            "geometries": [high, {"type": "MultiPolygon", "coordinates": [[SQUARE]]}],
        }
        found = read(
            saved(
                tmp_path,
                collection(
                    POLYGON,
                    None,
                    {"type": "Point", "coordinates": [1, 2]},
                    {"type": "GeometryCollection", "geometries": [inner, {"type": "Point", "coordinates": [1, 2]}]},
                    {"type": "Polygon", "coordinates": []},
                    {"type": "MultiLineString", "coordinates": [SQUARE[:2], SQUARE[1:3]]},
                ),
            )
        )
        assert counts(found) == (6, 5, 0, 3)
        walls = found.walls()
        assert walls.closed.tolist() == [True, True, False, False, False]
        assert len(walls) == 4 + 4 + 1 + 1 + 1

    def test_byte_order_mark(self, tmp_path: Path) -> None:
        """As editors on Windows leave it."""
        assert counts(read(saved(tmp_path, "\ufeff" + json.dumps(POLYGON)))) == (1, 1, 0, 0)

    def test_crs_member(self, tmp_path: Path) -> None:
        """As GeoJSON had it before RFC 7946, and as GDAL writes it."""
        for name, expected in (("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"), (UTM, UTM)):
            crs = {"type": "name", "properties": {"name": name}}
            assert read(saved(tmp_path, collection(POLYGON, crs=crs))).crs == expected

    def test_repaired(self, tmp_path: Path) -> None:
        """A polygon that crosses itself becomes two, and is counted."""
        found = read(saved(tmp_path, collection(BOW_TIE, POLYGON)))
        assert counts(found) == (2, 3, 1, 0)
        assert shapely.is_valid(found.geometry).all()
        assert shapely.area(found.geometry[:2]).sum() == pytest.approx(0.5)

    def test_walls_are_of_the_file(self, tmp_path: Path) -> None:
        """Params name the file, its digest and how many features it has; points given twice make no wall."""
        path = saved(tmp_path, {"type": "LineString", "coordinates": [[0, 0], [0, 0], [1, 1]]})
        walls = read(path, "local").walls()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert walls.params == {"name": "b.geojson", "sha256": digest, "features": 1, "crs": "local"}
        assert walls.ends.tolist() == [[0, 0, 1, 1]]

    def test_nothing_in_it(self, tmp_path: Path) -> None:
        """An empty collection is fine."""
        assert len(read(saved(tmp_path, collection())).walls()) == 0

    def test_changed(self, tmp_path: Path) -> None:
        """A file that was written anew is read anew."""
        assert read(saved(tmp_path, collection(POLYGON))).features == 1
        assert read(saved(tmp_path, collection(POLYGON, POLYGON))).features == 2

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ("{", "line 1: is not JSON"),
            ("[" * 100_000, "nested too deeply"),
            (f'{{"type": {"9" * 5_000}}}', "not GeoJSON: Exceeds the limit"),
            ("null", "JSON but not GeoJSON"),
            ([1], "JSON but not GeoJSON"),
            ({"type": "FeatureCollection"}, "JSON but not GeoJSON"),
            ({"type": "FeatureCollection", "features": [POLYGON, 7]}, "feature 1 .* not an object"),
            (collection(POLYGON, {"type": "Elephant"}), "feature 1 .* not a geometry"),
            (collection({"type": "Polygon", "coordinates": "abc"}), "feature 0 .* not a geometry"),
            (collection({"type": "Polygon", "coordinates": [SQUARE[:3]]}), "feature 0 .* closed"),
            (collection(POLYGON, {"type": "Polygon", "coordinates": [[[0, 0]] * 4]}), "feature 1 .* repaired"),
            ('{"type": "LineString", "coordinates": [[0, 0], [1e999, 1]]}', "feature 0"),
            (
                collection(POLYGON, {"type": "LineString", "coordinates": [[5e5, 4e6], [0, 0]]}),
                "feature 1 .*500000, 4000000",
            ),
            (collection(POLYGON, crs={"type": "link"}), "crs has no name"),
        ],
    )
    def test_refused(self, tmp_path: Path, content: Any, text: str) -> None:
        """File and feature are named."""
        path = saved(tmp_path, content)
        with pytest.raises(InputError, match=f"{re.escape(str(path))}.*{text}"):
            read(path)

    def test_files_that_are_none(self, tmp_path: Path) -> None:
        """Missing, a folder, or of neither kind."""
        with pytest.raises(MissingFileError, match="--occluders takes"):
            read(tmp_path / "none")
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path)
        (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="neither GeoJSON"):
            read(tmp_path / "x")

    def test_unknown_system(self, tmp_path: Path) -> None:
        with pytest.raises(OptionError, match="PROJ does not know"):
            read(saved(tmp_path, POLYGON), "EPSG:nonsense")


class TestGeoParquet:
    """relabel.datasets.footprints.read of GeoParquet"""

    wkb = shapely.to_wkb(shapely.Polygon(SQUARE))

    def test_plain(self, tmp_path: Path) -> None:
        """Without a reference system, longitude and latitude; a null is passed over."""
        found = read(geoparquet(tmp_path, [self.wkb, None]))
        assert counts(found) == (2, 1, 0, 1)
        assert found.crs == "EPSG:4326"

    def test_view(self, tmp_path: Path) -> None:
        """Bytes as Arrow's newer tables have them."""
        path = geoparquet(tmp_path, [self.wkb, None])
        table = pyarrow.parquet.read_table(path)
        at = next(at for at, field in enumerate(table.schema) if field.type == pa.binary())
        views = table.set_column(at, table.schema.names[at], table.column(at).cast(pa.binary_view()))
        parquet_with_views(path, views)
        assert pyarrow.parquet.read_schema(path).field(at).type == pa.binary_view()
        assert read(path).geometry[0].wkb == self.wkb

    def test_crs(self, tmp_path: Path) -> None:
        """PROJJSON, as the format wants it; null means that nobody knows."""
        import pyproj

        known = read(geoparquet(tmp_path, [self.wkb], crs=pyproj.CRS(UTM).to_json_dict())).to_crs(UTM)
        np.testing.assert_allclose(shapely.get_coordinates(known.geometry), SQUARE, atol=1e-6)
        path = geoparquet(tmp_path, [self.wkb], crs=None)
        with pytest.raises(InputError, match="does not say its reference system"):
            read(path)
        assert read(path, UTM).crs == UTM

    @pytest.mark.parametrize(
        ("values", "column", "text"),
        [
            ([wkb, b"abc"], {}, "row 1 .* not a geometry"),
            ([wkb], {"encoding": "point"}, "encoded as point"),
        ],
    )
    def test_refused(self, tmp_path: Path, values: list[Any], column: dict[str, Any], text: str) -> None:
        """Row and encoding are named."""
        with pytest.raises(InputError, match=text):
            read(geoparquet(tmp_path, values, **column))

    def test_not_geo(self, tmp_path: Path) -> None:
        """Parquet without the metadata, and what only begins like Parquet."""
        path = tmp_path / "x.parquet"
        pyarrow.parquet.write_table(pa.table({"a": [1]}), path)
        with pytest.raises(InputError, match="do not name a geometry column"):
            read(path)
        path.write_bytes(b"PAR1 and no more")
        with pytest.raises(InputError, match="not a readable Parquet file:"):
            read(path)


class TestToCrs:
    """relabel.datasets.footprints.Footprints.to_crs"""

    def test_projected(self, tmp_path: Path) -> None:
        """Corner by corner, as cameras are."""
        found = read(saved(tmp_path, collection(POLYGON, LINE))).to_crs(UTM)
        expected = project(*np.array(SQUARE).T, UTM)
        np.testing.assert_array_equal(shapely.get_coordinates(found.geometry[0]), expected)
        assert (found.crs, found.walls().crs, found.lost) == (UTM, UTM, 0)

    def test_no_place_on_the_map(self, tmp_path: Path) -> None:
        """What the map cannot show is left out and counted."""
        behind = {"type": "LineString", "coordinates": [[-147, -31], [-147, -32]]}
        found = read(saved(tmp_path, collection(POLYGON, behind))).to_crs("+proj=ortho +lat_0=31 +lon_0=33 +type=crs")
        assert (len(found.geometry), found.lost) == (1, 1)

    def test_local(self, tmp_path: Path) -> None:
        """Nothing leads to a local frame but the user's word, and from it nothing at all."""
        path = saved(tmp_path, POLYGON)
        with pytest.raises(OptionError, match="--occluders-crs local"):
            read(path).to_crs("local")
        with pytest.raises(OptionError, match="no transformation between them"):
            read(path, "local").to_crs(UTM)
        assert read(path, "local").to_crs("local").crs == "local"
