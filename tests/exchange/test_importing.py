"""Labels that somebody else made: where their cameras come from, and what is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pyproj
import pytest
import scipy.sparse

from relabel.cameras import Status
from relabel.datasets.msls import city as msls
from relabel.errors import InputError, MissingFileError, OptionError
from relabel.exchange.camera_files import CameraFiles
from relabel.exchange.exporting import export
from relabel.exchange.importing import load
from relabel.exchange.npz import _read
from relabel.labelfile import LabelFile
from relabel.similarity import gather
from relabel.synthetic.msls import write_tree
from tests.similarities import similarity
from tests.trees import msls_tree, parquet_with_views, street


def dense_file(path: Path, values: Any, name: str = "fov", **fields: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=values, **fields)
    return path


def index(path: Path, names: list[str]) -> Path:
    path.write_text(json.dumps({"im_prefix": "", "im_paths": names}))
    return path


@pytest.fixture
def files(tmp_path: Path) -> CameraFiles:
    """Indices of two queries and three database cameras."""
    return CameraFiles(
        index(tmp_path / "q.json", ["q/a.jpg", "q/b.jpg"]),
        index(tmp_path / "d.json", ["d/x.jpg", "d/y.jpg", "d/z.jpg"]),
    )


class TestDense:
    """relabel.exchange.importing.load of gcl"""

    def test_values(self, files: CameraFiles, tmp_path: Path) -> None:
        """Zeros and values up to min_value are absent, a rounding error above 1 is 1; what was done is recorded."""
        path = dense_file(tmp_path / "oslo_gt.h5", [[0, 0.25, 1.0000005], [1e-7, 0.5, 1e-3]])
        imported = load("gcl", path, measure="unknown", cameras=files, min_value=1e-3)
        c = imported.source.collection
        assert imported.name == "oslo"
        assert (c.method, c.measure, c.min_value) == ("imported", "unknown", 1e-3)
        assert c.query.key.tolist() == ["a", "b"]
        assert c.query.extra["path"].tolist() == ["q/a.jpg", "q/b.jpg"]
        np.testing.assert_array_equal(gather(imported.source).matrix.toarray(), [[0, 0.25, 1], [0, 0.5, 0]])
        assert c.params == {
            "format": "gcl",
            "file": "oslo_gt.h5",
            "dataset": "fov",
            "values_small": 2,
            "values_clamped": 1,
            "values_diagonal": 0,
        }

    def test_provenance(self, files: CameraFiles, tmp_path: Path) -> None:
        """The record names the command and every file that was read, relative to its folder."""
        path = dense_file(tmp_path / "oslo_gt.h5", np.zeros((2, 3)))
        target = load("gcl", path, measure="iou", cameras=files).write(tmp_path / "o.h5")
        record = LabelFile(target).provenance()[-1]
        assert record["command"] == "relabel import gcl"
        assert [entry["path"] for entry in record["inputs"]] == ["d.json", "oslo_gt.h5", "q.json"]
        assert str(tmp_path) not in json.dumps(record)

    @pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "u1", "?"])
    @pytest.mark.parametrize("chunks", [None, (1, 3), (2, 1)])
    def test_any_storage(self, dtype: str, chunks: tuple[int, int] | None, files: CameraFiles, tmp_path: Path) -> None:
        """Any type of number and any chunks are read."""
        values = np.array([[0, 1, 0], [1, 0, 1]], dtype)
        path = dense_file(tmp_path / "c_gt.h5", values, chunks=chunks)
        imported = load("gcl", path, measure="iou", cameras=files)
        np.testing.assert_array_equal(gather(imported.source).matrix.toarray(), values.astype(np.float32))

    @pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.1])
    def test_no_similarity(self, value: float, files: CameraFiles, tmp_path: Path) -> None:
        """A value that no similarity can be is named by row and column."""
        path = dense_file(tmp_path / "c_gt.h5", [[0, 0.5, 0], [0, value, 0.1]])
        with pytest.raises(InputError, match=r"c_gt\.h5: dataset 'fov', row 1, column 1"):
            load("gcl", path, measure="iou", cameras=files)

    def test_no_names(self, tmp_path: Path) -> None:
        """A file without an index is refused with its shape and what would name its rows."""
        path = dense_file(tmp_path / "c_gt.h5", np.zeros((4, 7)))
        with pytest.raises(InputError, match=r"\(4, 7\) and no names; .*queries=….*root=…"):
            load("gcl", path, measure="iou")
        with pytest.raises(InputError, match=r"\(4, 7\) and no names; .*queries=…"):
            load("condensed", path, measure="iou")

    def test_index_of_another_file(self, files: CameraFiles, tmp_path: Path) -> None:
        """An index of another length is refused with both numbers."""
        path = dense_file(tmp_path / "c_gt.h5", np.zeros((4, 3)))
        with pytest.raises(InputError, match=r"shape \(4, 3\), but there are 2 queries and 3 database"):
            load("gcl", path, measure="iou", cameras=files)
        path = dense_file(tmp_path / "d_gt.h5", np.zeros(7))
        with pytest.raises(InputError, match=r"7 values of shape.*2 cameras have 1 pair;"):
            load("condensed", path, measure="iou", cameras=CameraFiles(files.queries))

    def test_datasets(self, files: CameraFiles, tmp_path: Path) -> None:
        """Without fov the datasets that are there are listed; another can be named."""
        path = dense_file(tmp_path / "c_gt.h5", np.ones((2, 3), bool), "sim")
        with pytest.raises(InputError, match=r"no dataset 'fov'; there are sim.*dataset='sim'"):
            load("gcl", path, measure="iou", cameras=files)
        assert gather(load("gcl", path, measure="iou", cameras=files, dataset="sim").source).matrix.nnz == 6

    def test_no_file(self, files: CameraFiles, tmp_path: Path) -> None:
        """A file that is missing or not HDF5 is named."""
        with pytest.raises(MissingFileError, match=r"none\.h5"):
            load("gcl", tmp_path / "none.h5", measure="iou", cameras=files)
        (tmp_path / "text.h5").write_text("hello")
        with pytest.raises(InputError, match=r"text\.h5: cannot be read as HDF5"):
            load("gcl", tmp_path / "text.h5", measure="iou", cameras=files)

    @pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1)])
    def test_condensed_of_any_shape(self, shape: tuple[int, ...], tmp_path: Path) -> None:
        """A condensed file may have its values in any shape; both triangles come of them."""
        path = dense_file(tmp_path / "s_gt.h5", np.reshape([0.1, 0.2, 0.3], shape))
        cameras = CameraFiles(index(tmp_path / "i.json", ["s1/f.png", "s2/f.png", "s2/g.png"]))
        imported = load("condensed", path, measure="iou", cameras=cameras)
        expected = np.array([[0, 0.1, 0.2], [0.1, 0, 0.3], [0.2, 0.3, 0]], np.float32)
        np.testing.assert_array_equal(gather(imported.source).matrix.toarray(), expected)
        assert imported.source.collection.query.key.tolist() == ["s1/f.png", "s2/f.png", "s2/g.png"]

    def test_square_of_one_set(self, tmp_path: Path) -> None:
        """One index alone makes self pairs of a square file; its diagonal is not stored, and counted."""
        path = dense_file(tmp_path / "s_gt.h5", [[1, 0.2], [0.2, 1]])
        cameras = CameraFiles(index(tmp_path / "i.json", ["a.png", "b.png"]))
        imported = load("gcl", path, measure="iou", cameras=cameras)
        assert imported.source.collection.self_pairs
        assert imported.source.collection.params["values_diagonal"] == 2
        assert LabelFile(imported.write(tmp_path / "o.h5"))["s"].nnz == 2

    @pytest.mark.parametrize(
        ("kind", "message"),
        [
            ("external link", "dataset 'fov' keeps its values in another file"),
            ("virtual", "dataset 'fov' keeps its values in another file"),
            ("external values", "dataset 'fov' keeps its values in another file"),
            ("circle of links", "dataset 'fov' cannot be read: "),
            ("no shape", "dataset 'fov' is empty"),
        ],
    )
    @pytest.mark.parametrize("form", ["gcl", "condensed"])
    def test_no_values_of_its_own(self, form: str, kind: str, message: str, tmp_path: Path) -> None:
        """What is imported is the file that its record names, whatever others it leads to."""
        other = dense_file(tmp_path / "other.h5", np.full((2, 2), 0.5))
        (tmp_path / "values").write_bytes(np.full((2, 2), 0.5).tobytes())
        (tmp_path / "q.txt").write_text("a\nb\n")
        with h5py.File(tmp_path / "x.h5", "w") as file:
            if kind == "external link":
                file["fov"] = h5py.ExternalLink(str(other), "fov")
            elif kind == "virtual":
                layout = h5py.VirtualLayout(shape=(2, 2), dtype="f8")
                layout[:] = h5py.VirtualSource(str(other), "fov", shape=(2, 2))
                file.create_virtual_dataset("fov", layout)
            elif kind == "external values":
                file.create_dataset("fov", (2, 2), "f8", external=[(str(tmp_path / "values"), 0, 32)])
            elif kind == "circle of links":
                file["fov"] = h5py.SoftLink("/fov")
            else:
                file["fov"] = h5py.Empty("f4")
        cameras = CameraFiles(tmp_path / "q.txt", None if form == "condensed" else tmp_path / "q.txt")
        with pytest.raises(InputError, match=rf"x\.h5: {message}"):
            load(form, tmp_path / "x.h5", measure="iou", cameras=cameras)


class TestRoot:
    """relabel.exchange.importing.load with an MSLS tree"""

    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        write_tree(tmp_path / "MSLS", cameras=1000, seed=3)
        return tmp_path / "MSLS"

    def test_cameras(self, tree: Path, tmp_path: Path) -> None:
        """Rows are those of raw.csv, with places and headings; a panorama stays unknown unless it has a value."""
        name = msls.find(tree).cities[0].name
        city = msls.read(tree, city=name)
        pano = np.flatnonzero(city.query.status == Status.PANORAMA)
        assert len(pano) > 1
        values = np.zeros((len(city.query), len(city.database)), np.float32)
        values[pano[0], 0] = 0.5
        path = dense_file(tmp_path / f"{name}_gt.h5", values)
        imported = load("gcl", path, measure="iou", cameras=CameraFiles(root=tree))
        query = imported.source.collection.query
        assert query.key.tolist() == city.query.key.tolist()
        np.testing.assert_array_equal(query.position, city.query.position)
        changed = np.flatnonzero(query.status != city.query.status)
        assert set(changed) == {pano[0]}
        assert query.ok[pano[0]]
        assert any("count as ok" in note for note in imported.notes)
        assert LabelFile(imported.write(tmp_path / "o.h5"))[name].nnz == 1

    @pytest.mark.real_data
    def test_a_real_city(self, real_data: Path, tmp_path: Path) -> None:
        """The labels of a real city survive the dense file, read with the tree that they were made from."""
        from relabel.fov import overlap

        city = msls.read(real_data / "msls", city="amman")
        psi = overlap(city.query, city.database)
        export({"amman": psi}, "gcl", tmp_path)
        imported = load("gcl", tmp_path / "amman_gt.h5", measure="iou", cameras=CameraFiles(root=real_data / "msls"))
        assert (gather(imported.source).matrix != psi.matrix).nnz == 0
        np.testing.assert_array_equal(imported.source.collection.query.position, city.query.position)


class TestLists:
    """relabel.exchange.importing.load of csv, parquet and pairs"""

    def test_any_order(self, tmp_path: Path) -> None:
        """Rows of a CSV may come in any order; cameras are those that have a pair, and that is said."""
        path = tmp_path / "c.csv"
        path.write_text("value,database,query\n0.5,y,b\n0.25,x,a\n1,x,b\n")
        imported = load("csv", path, measure="dice")
        c = imported.source.collection
        assert (c.query.key.tolist(), c.database.key.tolist()) == (["b", "a"], ["y", "x"])
        np.testing.assert_array_equal(gather(imported.source).matrix.toarray(), [[0.5, 1], [0, 0.25]])
        assert any("queries=…" in note for note in imported.notes)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("query,database,value\na,x,0.5\na,y,0.5\na,x,0.5\n", "line 4: the pair 'a', 'x' .* first given in line 2"),
            ("query,database,value\na,x,0.5\na,y,2\n", "line 3: the value is 2"),
            ("query,database,value\na,x,0.5\na,y,\n", "line 3: the value is nan"),
            ("query,database,value\na,x,0.5\na,y,one\n", "line 3, column 'value'"),
            ("query,value\na,0.5\n", "column 'database' is missing"),
            ("query,database,value\na,x\n", "line 2: 2 cells"),
        ],
    )
    def test_broken_csv(self, text: str, message: str, tmp_path: Path) -> None:
        """A fault is named by file and line."""
        path = tmp_path / "c.csv"
        path.write_text(text)
        with pytest.raises(InputError, match=rf"c\.csv: .*{message}"):
            load("csv", path, measure="iou")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("# by hand\n\na x 0.5\na x 0.6\n", "line 4: the pair 'a', 'x' .* first given in line 3"),
            ("a x\n", r"line 1: has 2 word\(s\).*scores"),
            ("a x much\n", "line 1: 'much'"),
            ("a x 0.5\nb y -1\n", "line 2: the value is -1"),
        ],
    )
    def test_broken_pairs(self, text: str, message: str, tmp_path: Path) -> None:
        """A fault is named by line; comments and empty lines count as lines."""
        path = tmp_path / "p.txt"
        path.write_text(text)
        with pytest.raises(InputError, match=rf"p\.txt: {message}"):
            load("pairs", path, measure="iou")

    def test_one_table_of_both_sides(self, tmp_path: Path) -> None:
        """A camera table that tells queries from database cameras names both, given once."""
        psi = similarity(8, 9, seed=2)
        export({"c": psi}, "csv", tmp_path)
        (tmp_path / "c.cameras.csv").rename(tmp_path / "named.csv")
        imported = load("csv", tmp_path / "c.csv", measure="iou", cameras=CameraFiles(tmp_path / "named.csv"))
        assert imported.source.collection.shape == (8, 9)
        np.testing.assert_array_equal(gather(imported.source).matrix.toarray(), psi.matrix.toarray())

    def test_fillers_of_a_table(self, tmp_path: Path) -> None:
        """Headings, places and heights that stand for unknown ones are NaN, and counted; labels stay."""
        (tmp_path / "c.csv").write_text("query,database,value\na,b,0.5\n")
        table = tmp_path / "cameras.csv"
        table.write_text(
            "key,east,north,up,compass_angle\na,500000,3000000,12,90\nb,0,0,-9999,-1\nc,500010,3000000,13,-1\n"
        )
        imported = load("csv", tmp_path / "c.csv", measure="iou", self_pairs=True, cameras=CameraFiles(table))
        cameras = imported.source.collection.query
        np.testing.assert_array_equal(cameras.heading_deg, [90.0, np.nan, np.nan])
        np.testing.assert_array_equal(
            cameras.position, [[500000.0, 3000000.0, 12.0], [np.nan] * 3, [500010.0, 3000000.0, 13.0]]
        )
        assert gather(imported.source).matrix[0, 1] == 0.5
        notes = [note for note in imported.notes if "which stands for" in note]
        assert notes == [
            "cameras.csv: 2 of 3 cameras have the heading -1, which stands for unknown",
            "cameras.csv: 1 of 3 cameras have the position (0, 0), which stands for unknown",
            "cameras.csv: 1 heights are -9999, which stands for an unknown height",
        ]

    def test_fillers_of_an_msls_tree(self, tmp_path: Path) -> None:
        """What the reader of MSLS replaced is said here as well."""
        rows = street(6)
        rows[2] |= {"ca": -1}
        root = msls_tree(tmp_path, query=rows)
        (tmp_path / "c.csv").write_text("query,database,value\nq1,d1,0.5\n")
        imported = load("csv", tmp_path / "c.csv", measure="iou", cameras=CameraFiles(None, None, root, "amman"))
        assert "query: 1 of 6 cameras have the heading -1, which stands for unknown" in imported.notes

    def test_fillers_of_degrees(self, tmp_path: Path) -> None:
        """A longitude and latitude of -999 is no place, rather than an error."""
        (tmp_path / "c.csv").write_text("query,database,value\na,b,0.5\n")
        table = tmp_path / "cameras.csv"
        table.write_text("key,lon,lat\na,3,45\nb,-999,-999\n")
        imported = load("csv", tmp_path / "c.csv", measure="iou", self_pairs=True, cameras=CameraFiles(table))
        position = imported.source.collection.query.position
        np.testing.assert_allclose(position[0], pyproj.Proj("EPSG:32631")(3.0, 45.0), atol=1e-3)
        assert np.isnan(position[1]).all()
        assert "cameras.csv: 1 of 2 cameras have the position (-999, -999), which" in " ".join(imported.notes)

    def test_a_table_with_statuses_is_taken_as_it_is(self, tmp_path: Path) -> None:
        """It is of `relabel export`, and two cameras may stand at the origin of a local frame."""
        (tmp_path / "c.csv").write_text("query,database,value\na,b,0.5\n")
        table = tmp_path / "cameras.csv"
        table.write_text("key,status,east,north\na,ok,0,0\nb,ok,0,0\nc,ok,5,5\n")
        imported = load("csv", tmp_path / "c.csv", measure="iou", self_pairs=True, cameras=CameraFiles(table))
        np.testing.assert_array_equal(imported.source.collection.query.position, [[0.0, 0.0], [0.0, 0.0], [5.0, 5.0]])

    def test_strange_keys(self, files: CameraFiles, tmp_path: Path) -> None:
        """A key that is not among the cameras is named with its line."""
        path = tmp_path / "c.csv"
        path.write_text("query,database,value\na,x,0.5\nb,w,0.5\n")
        with pytest.raises(InputError, match="line 3: database 'w' is not among the 3 database cameras"):
            load("csv", path, measure="iou", cameras=files)

    @pytest.mark.parametrize("kind", ["string_view", "binary_view", "large_string", "dictionary", "int64"])
    def test_parquet_types_of_keys(self, tmp_path: Path, kind: str) -> None:
        """Text in all types that a writer of Parquet may choose, and whole numbers."""
        keys = {"query": ["7", "8", "7"], "database": ["1", "2", "2"]}
        columns: dict[str, Any] = {"value": [0.25, 0.5, 0.75]}
        for name, texts in keys.items():
            text = pa.array(texts)
            if kind == "dictionary":
                columns[name] = text.dictionary_encode()
            else:
                columns[name] = text.cast(getattr(pa, kind)())
        parquet_with_views(tmp_path / "v.parquet", pa.table(columns))
        made = gather(load("parquet", tmp_path / "v.parquet", measure="iou").source)
        assert made.collection.query.key.tolist() == ["7", "8"]
        assert made.collection.database.key.tolist() == ["1", "2"]
        assert made.matrix.toarray().tolist() == [[0.25, 0.75], [0.0, 0.5]]

    def test_parquet(self, tmp_path: Path) -> None:
        """A plain Parquet file of pandas will do; a wrong one is named."""
        frame = pd.DataFrame({"query": ["a", "b"], "database": ["x", "x"], "value": [0.5, 0.25]})
        frame.to_parquet(tmp_path / "c.parquet")
        assert gather(load("parquet", tmp_path / "c.parquet", measure="iou").source).matrix.nnz == 2
        frame.drop(columns="value").to_parquet(tmp_path / "d.parquet")
        with pytest.raises(InputError, match=r"d\.parquet: has no column 'value'"):
            load("parquet", tmp_path / "d.parquet", measure="iou")
        lists = pa.table({"query": [["a"]], "database": ["b"], "value": [0.5]})
        pyarrow.parquet.write_table(lists, tmp_path / "l.parquet")
        with pytest.raises(InputError, match=r"l\.parquet: column 'query' has type list.* not text"):
            load("parquet", tmp_path / "l.parquet", measure="iou")
        (tmp_path / "e.parquet").write_text("no")
        with pytest.raises(InputError, match=r"e\.parquet: cannot be read as Parquet"):
            load("parquet", tmp_path / "e.parquet", measure="iou")

    def test_one_direction(self, tmp_path: Path) -> None:
        """Self pairs of a symmetric measure that stand in one direction only are refused when written."""
        path = tmp_path / "c.csv"
        path.write_text("query,database,value\na,b,0.5\n")
        imported = load("csv", path, measure="iou", self_pairs=True)
        with pytest.raises(InputError, match="symmetric"):
            imported.write(tmp_path / "o.h5")

    @pytest.mark.parametrize("form", ["parquet", "npz"])
    def test_another_measure(self, form: Any, tmp_path: Path) -> None:
        """A file that names its measure cannot be imported as another; records min_value taken."""
        export({"c": similarity(min_value=0.0005)}, form, tmp_path)
        with pytest.raises(OptionError, match="records that its measure is 'iou'"):
            load(form, tmp_path / f"c.{form}", measure="overlap")
        assert load(form, tmp_path / f"c.{form}", measure="iou").source.collection.min_value == 0.0005


class TestCameraColumns:
    """Cameras of a table under the names that ``relabel table`` knows"""

    @pytest.fixture
    def values(self, tmp_path: Path) -> Path:
        path = tmp_path / "v.csv"
        path.write_text("query,database,value\nq0,d0,0.7\nq1,d1,0.6\n")
        return path

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    @pytest.mark.parametrize(
        "names",
        [
            ("key", "x", "y", "heading", "fov", "radius"),
            ("key", "east", "north", "heading_deg", "fov_deg", "radius_m"),
            ("image_id", "utm_east", "utm_north", "compass_angle", "fov", "radius"),
            ("Name", "Easting", "Northing", "Yaw", "FOV", "Radius"),
        ],
    )
    def test_kept(self, names: tuple[str, ...], suffix: str, values: Path, tmp_path: Path) -> None:
        """Position, heading, field of view and range are in the label file."""
        rows = {"q": [("q0", 0.0, 1.0, 10.0, 90.0, 50.0), ("q1", 10.0, 2.0, 350.0, 80.0, 40.0)],
                "d": [("d0", 5.0, 5.0, 0.0, 90.0, 50.0), ("d1", 20.0, 0.0, 5.0, 90.0, 50.0)]}  # fmt: skip
        for side, cells in rows.items():
            frame = pd.DataFrame(cells, columns=names)
            path = tmp_path / f"{side}.{suffix}"
            frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
        cameras = CameraFiles(tmp_path / f"q.{suffix}", tmp_path / f"d.{suffix}")
        load("csv", values, measure="iou", cameras=cameras).write(tmp_path / "o.h5")
        query = LabelFile(tmp_path / "o.h5")["v"].query
        np.testing.assert_array_equal(query.position, [[0.0, 1.0], [10.0, 2.0]])
        np.testing.assert_array_equal(query.heading_deg, [10.0, 350.0])
        assert (query.fov_deg is not None, query.radius_m is not None) == (True, True)
        np.testing.assert_array_equal(query.fov_deg, [90.0, 80.0])
        np.testing.assert_array_equal(query.radius_m, [50.0, 40.0])

    def test_degrees(self, values: Path, tmp_path: Path) -> None:
        """Longitudes and latitudes become metres of one map for both sides: distances are those on the earth."""
        lon, lat = np.array([13.4, 13.4]), np.array([52.5, 52.501])
        for side, offset in (("q", 0.0), ("d", 0.0005)):
            lines = [f"{side}{i},{lon[i] + offset},{lat[i]},0\n" for i in range(2)]
            (tmp_path / f"{side}.csv").write_text("key,lng,latitude,heading\n" + "".join(lines))
        imported = load("csv", values, measure="iou", cameras=CameraFiles(tmp_path / "q.csv", tmp_path / "d.csv"))
        query, database = imported.source.collection.query, imported.source.collection.database
        assert query.crs == database.crs == "EPSG:32633"
        geodesic = pyproj.Geod(ellps="WGS84").inv(lon, lat, lon + 0.0005, lat)[2]
        apart = np.hypot(*(database.position - query.position).T)
        np.testing.assert_allclose(apart, geodesic, rtol=1e-3)

    def test_a_reference_system(self, values: Path, tmp_path: Path) -> None:
        """Named by a column, it is kept; two of them are refused."""
        for side, crs in (("q", 32633), ("d", 32633), ("e", 32634)):
            other = "d" if side == "e" else side
            (tmp_path / f"{side}.csv").write_text(f"key,x,y,crs\n{other}0,1,2,{crs}\n{other}1,3,4,{crs}\n")
        imported = load("csv", values, measure="iou", cameras=CameraFiles(tmp_path / "q.csv", tmp_path / "d.csv"))
        assert imported.source.collection.crs == "EPSG:32633"
        with pytest.raises(
            InputError, match=r"two reference systems .*q\.csv in EPSG:32633 and .*e\.csv in EPSG:32634"
        ):
            load("csv", values, measure="iou", cameras=CameraFiles(tmp_path / "q.csv", tmp_path / "e.csv"))

    @pytest.mark.parametrize(
        ("header", "row", "message"),
        [
            ("key,x,heading", "q0,1,2", "column 'x' is x, but none is y"),
            ("key,easting,utm_east,y", "q0,1,2,3", "which column is the x is ambiguous: easting, utm_east; rename"),
            ("key,lon,lat", "q0,10,200", r"line 2: lon 10, lat 200 is not a position on earth .*swapped"),
            ("key,x,y", "q0,1,two", r"line 2, column 'y'"),
            ("colour,x,y", "q0,1,2", r"has no column 'key'.*colour, x, y"),
        ],
    )
    def test_refused(self, header: str, row: str, message: str, values: Path, tmp_path: Path) -> None:
        """What cannot be told is an error with the file."""
        (tmp_path / "q.csv").write_text(f"{header}\n{row}\n")
        with pytest.raises(InputError, match=rf"q\.csv: .*{message}|q\.csv: {message}"):
            load("csv", values, measure="iou", cameras=CameraFiles(tmp_path / "q.csv"))

    def test_what_is_not_read_is_said(self, values: Path, tmp_path: Path) -> None:
        """Columns of other names are dropped, and that is a note."""
        for side in "qd":
            (tmp_path / f"{side}.csv").write_text(f"key,x,y,colour\n{side}0,1,2,red\n{side}1,3,4,red\n")
        imported = load("csv", values, measure="iou", cameras=CameraFiles(tmp_path / "q.csv", tmp_path / "d.csv"))
        assert f"{tmp_path}/q.csv: columns colour are not read" in imported.notes


class TestMatrix:
    """relabel.exchange.importing.load of npz"""

    def test_plain(self, tmp_path: Path) -> None:
        """A matrix without names needs key lists, a key a line."""
        path = tmp_path / "m.npz"
        scipy.sparse.save_npz(path, scipy.sparse.coo_matrix(np.array([[0.5, 0, 1.0]])))
        with pytest.raises(InputError, match=r"m\.npz: is a matrix of shape \(1, 3\) without names"):
            load("npz", path, measure="iou")
        for name, keys in (("q.txt", "a\n"), ("d.txt", "x\ny\nz\n"), ("short.txt", "x\n")):
            (tmp_path / name).write_text(keys)
        cameras = CameraFiles(tmp_path / "q.txt", tmp_path / "d.txt")
        imported = load("npz", path, measure="iou", cameras=cameras)
        np.testing.assert_array_equal(gather(imported.source).matrix.toarray(), [[0.5, 0, 1]])
        with pytest.raises(InputError, match=r"\(1, 3\), but the cameras give \(1, 1\)"):
            load("npz", path, measure="iou", cameras=CameraFiles(tmp_path / "q.txt", tmp_path / "short.txt"))

    @pytest.mark.parametrize("column", [3, -1, 2**31 + 1, 4458766603700305201])
    def test_column_outside(self, tmp_path: Path, column: int) -> None:
        """A file whose index names no column of its matrix is damaged."""
        arrays = {"data": np.ones(1), "indices": np.array([column]), "indptr": np.array([0, 1]), "shape": (1, 3)}
        np.savez(tmp_path / "m.npz", format=np.array(b"csr"), **arrays)
        (tmp_path / "q.txt").write_text("a\n")
        (tmp_path / "d.txt").write_text("x\ny\nz\n")
        with pytest.raises(InputError, match=r"m\.npz: cannot be read as a sparse matrix"):
            load("npz", tmp_path / "m.npz", measure="iou", cameras=CameraFiles(tmp_path / "q.txt", tmp_path / "d.txt"))

    def test_no_matrix(self, tmp_path: Path) -> None:
        """Another npz, or no npz at all, is refused by name."""
        np.savez(tmp_path / "a.npz", x=np.arange(3))
        (tmp_path / "b.npz").write_text("no")
        for name in ("a.npz", "b.npz"):
            with pytest.raises(InputError, match=f"{name}: cannot be read as a sparse matrix"):
                load("npz", tmp_path / name, measure="iou")

    def test_a_pair_that_stands_twice(self, tmp_path: Path) -> None:
        """Two values of a pair are refused, not added up."""
        matrix = scipy.sparse.coo_array(([0.25, 0.5], ([0, 0], [1, 1])), shape=(1, 2))
        scipy.sparse.save_npz(tmp_path / "m.npz", matrix)
        (tmp_path / "q.txt").write_text("a\n")
        (tmp_path / "d.txt").write_text("x\ny\n")
        cameras = CameraFiles(tmp_path / "q.txt", tmp_path / "d.txt")
        with pytest.raises(InputError, match=r"m\.npz: row 0, column 1 .*the pair 'a', 'y' is repeated"):
            load("npz", tmp_path / "m.npz", measure="iou", cameras=cameras)

    @pytest.mark.parametrize("form", [b"coo", b"csc"])
    def test_a_huge_shape(self, form: bytes, tmp_path: Path) -> None:
        """A few bytes that claim 2^40 rows are refused for their lack of names, before anything is made of them."""
        places = {"row": [0], "col": [0]} if form == b"coo" else {"indices": [0], "indptr": [0, 1]}
        arrays = {name: np.array(value) for name, value in places.items()}
        np.savez(tmp_path / "m.npz", format=np.array(form), data=np.array([0.5]), shape=np.array([2**40, 1]), **arrays)
        with pytest.raises(InputError, match=r"m\.npz: is a matrix of shape \(1099511627776, 1\) without names"):
            load("npz", tmp_path / "m.npz", measure="iou")

    def test_a_vector(self, tmp_path: Path) -> None:
        """SciPy has arrays of one dimension too."""
        scipy.sparse.save_npz(tmp_path / "m.npz", scipy.sparse.coo_array(np.array([0.5, 0])))
        with pytest.raises(InputError, match=r"m\.npz: has an array of shape \(2,\)"):
            load("npz", tmp_path / "m.npz", measure="iou")

    @pytest.mark.parametrize(
        ("column", "value", "message"),
        [
            ("relabel", "[" * 100_000, "its own description is not JSON: "),
            ("relabel", "3", "its own description is not a JSON object"),
            ("relabel", '{"min_value": NaN}', "records min_value nan"),
            ("relabel", '{"min_value": "x"}', "records min_value 'x'"),
            ("query_key", "a", r"query_key has shape \(\)"),
            ("database_key", [b"b", b"\xff"], "the database cameras: key holds bytes that are not ASCII"),
            ("query_status", [256], "the query cameras: status holds 256; known are 0 ok"),
            ("query_status", [np.nan], "the query cameras: status holds nan"),
            ("query_status", ["x"], "the query cameras: status holds x"),
            ("query_extent", ["x"], "the query cameras: could not convert"),
            ("query_heading_deg", ["x"], "the query cameras: heading_deg is not numeric"),
        ],
    )
    def test_what_cannot_be(self, column: str, value: object, message: str, tmp_path: Path) -> None:
        """What the file says of itself and its cameras is checked, and the file is named."""
        arrays = {
            "format": b"csr",
            "shape": (1, 2),
            "data": [0.5],
            "indices": [0],
            "indptr": [0, 1],
            "query_key": ["a"],
            "database_key": ["b", "c"],
            column: value,
        }
        np.savez(tmp_path / "m.npz", **{name: np.array(array) for name, array in arrays.items()})  # type: ignore[arg-type]
        with pytest.raises(InputError, match=rf"m\.npz: .*{message}"):
            load("npz", tmp_path / "m.npz", measure="iou")

    def test_any_byte(self, tmp_path: Path) -> None:
        """Whatever byte is another, zipfile, zlib and NumPy never speak for themselves."""
        path, rng = tmp_path / "m.npz", np.random.default_rng(0)
        scipy.sparse.save_npz(path, scipy.sparse.random(20, 30, 0.2, format="csr", random_state=0))
        good = path.read_bytes()
        read = 0
        for place in rng.integers(len(good), size=200):
            path.write_bytes(good[:place] + bytes([good[place] ^ int(rng.integers(1, 256))]) + good[place + 1 :])
            with suppress(InputError):
                _read(path)
                read += 1
        assert read < 100


class TestOptions:
    """relabel.exchange.importing.load"""

    @pytest.mark.parametrize(
        ("form", "fields", "message"),
        [
            ("xls", {}, "format 'xls'"),
            ("csv", {"measure": "angle"}, "measure 'angle'"),
            ("csv", {"dataset": "fov"}, "dataset"),
            ("gcl", {"cameras": CameraFiles(Path("q"), None, Path("r"))}, "root and queries"),
            ("gcl", {"cameras": CameraFiles(None, Path("d"))}, "without queries"),
            ("condensed", {"cameras": CameraFiles(Path("q"), Path("d"))}, "one set"),
        ],
    )
    def test_contradictions(self, form: Any, fields: dict[str, Any], message: str, tmp_path: Path) -> None:
        """Options that contradict each other or the format are refused before a file is read."""
        with pytest.raises(OptionError, match=message):
            load(form, tmp_path / "x", **({"measure": "iou"} | fields))
