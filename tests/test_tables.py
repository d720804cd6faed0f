"""Labels as tables and matrices of other libraries, against a reader that never heard of relabel."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet
import pytest

import relabel
from relabel import Cameras, Collection, LabelFile, Similarity, tables
from relabel.errors import InputError, LabelFileError, MissingPackageError, NotFoundError, OptionError
from relabel.labelfile import StoredCollection
from relabel.similarity import SimilaritySource
from tests.similarities import similarity

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "formats/golden/v1.0"
FILES = ("city", "columns", "empty", "imported", "other-writer", "overlap", "polygon", "scene")


def reader() -> Any:
    """`formats/read_label_file.py`, which is h5py and numpy alone."""
    spec = importlib.util.spec_from_file_location("read_label_file", ROOT / "formats/read_label_file.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READER = reader()
COLLECTIONS = [(name, collection) for name in FILES for collection in READER.collections(GOLDEN / f"{name}.h5")]


@pytest.fixture(params=COLLECTIONS, ids=lambda param: f"{param[0]}-{param[1]}")
def both(request: pytest.FixtureRequest) -> tuple[StoredCollection, Any]:
    """A collection, and the same by the independent reader."""
    path = GOLDEN / f"{request.param[0]}.h5"
    return LabelFile(path)[request.param[1]], READER.Labels(path, request.param[1])


def expected_pairs(labels: Any, least: float = 0.0) -> list[tuple[str, str, float]]:
    """(query, database, value) of each stored pair, walked through one by one."""
    return [
        (str(labels.query["key"][row]), str(labels.database["key"][labels.columns[at]]), float(labels.values[at]))
        for row in range(len(labels.query["key"]))
        for at in range(labels.indptr[row], labels.indptr[row + 1])
        if labels.values[at] >= np.float32(least)
    ]


class TestPairs:
    """Each pair once, with its keys."""

    def test_numpy(self, both: tuple[StoredCollection, Any]) -> None:
        stored, labels = both
        found = stored.pairs()
        assert list(zip(*(column.tolist() for column in found), strict=True)) == expected_pairs(labels)
        assert found.value.dtype == np.float32

    def test_arrow(self, both: tuple[StoredCollection, Any]) -> None:
        stored, labels = both
        table = stored.to_arrow()
        assert [tuple(row.values()) for row in table.to_pylist()] == expected_pairs(labels)
        assert table.schema.types == [pa.string(), pa.string(), pa.float32()]
        table.validate(full=True)
        facts = json.loads(table.schema.metadata[b"relabel"])
        assert facts["measure"] == labels.attributes["measure"]
        assert facts["params"] == json.loads(labels.attributes["params"])
        assert facts["content_sha256"] == labels.attributes["content_sha256"]

    def test_pandas(self, both: tuple[StoredCollection, Any]) -> None:
        stored, labels = both
        frame = stored.to_pandas()
        assert list(frame.itertuples(index=False, name=None)) == expected_pairs(labels)
        assert frame["value"].dtype == np.float32
        assert frame.attrs["crs"] == labels.attributes["crs"]

    @pytest.mark.parametrize("least", [0.0, 0.3, 0.5, 1.0])
    def test_min(self, least: float) -> None:
        """Only those with at least that value, by every way; a value given as float counts as it is stored."""
        stored, labels = LabelFile(GOLDEN / "city.h5")["amman"], READER.Labels(GOLDEN / "city.h5", "amman")
        expected = expected_pairs(labels, least)
        assert stored.pairs(min=least).value.tolist() == [value for *_, value in expected]
        assert stored.to_arrow(min=least).num_rows == len(stored.to_pandas(min=least)) == len(expected)

    @pytest.mark.parametrize("value", [0.1, 0.7, 0.9])
    def test_min_is_met_by_the_same_number(self, value: float) -> None:
        """0.7 as float32 is less than 0.7, and a pair that was stored with it still has it."""
        source = one_pair(value)
        assert len(tables.pairs(source, min=value).value) == 1
        assert len(tables.pairs(source, min=value + 1e-6).value) == 0

    @pytest.mark.parametrize("least", [-0.1, 1.1, float("nan")])
    def test_min_is_a_psi(self, least: float) -> None:
        stored = LabelFile(GOLDEN / "city.h5")["amman"]
        for function in (stored.pairs, stored.to_arrow, stored.to_pandas):
            with pytest.raises(OptionError, match=r"min is .*from 0 to 1"):
                function(min=least)

    @pytest.mark.parametrize("least", ["x", None, "0.5", True])
    def test_not_a_number(self, least: Any) -> None:
        """The same error, not a TypeError; so it is for other numbers."""
        stored = LabelFile(GOLDEN / "city.h5")["amman"]
        for function in (stored.pairs, stored.to_arrow, stored.to_pandas):
            with pytest.raises(OptionError, match=r"min is .*; it has to be a number"):
                function(min=least)
        for refuse in (
            lambda: relabel.fov.FovParams(fov_deg=least),
            lambda: relabel.surface.SurfaceParams(tolerance_m=least),
            lambda: relabel.training.nearest(np.eye(3), np.eye(3), least),
            lambda: relabel.training.positives_by_distance(stored.query, stored.database, least),
        ):
            with pytest.raises(OptionError, match="it has to be a number"):
                refuse()
        with pytest.raises(NotFoundError):
            stored.row(2.5)  # type: ignore[arg-type]
        with pytest.raises(NotFoundError):
            LabelFile(stored.path)[3]  # type: ignore[index]

    def test_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Cut into batches, it is the same table."""
        source = similarity(self_pairs=True)
        whole = tables.to_arrow(source)
        monkeypatch.setattr(tables, "_BATCH", 7)
        assert tables.to_arrow(source).equals(whole)
        assert max(batch.num_rows for batch in tables.arrow_batches(source)) == 7

    def test_another_measure(self) -> None:
        """Values are those of the measure that is asked for."""
        labels = READER.Labels(GOLDEN / "city.h5", "amman")
        found = LabelFile(GOLDEN / "city.h5")["amman"].in_measure("dice").to_pandas()
        matrix = np.stack([labels.row(row, "dice") for row in range(len(labels.query["key"]))])
        known = np.nan_to_num(matrix)
        assert found["value"].tolist() == pytest.approx(known[known > 0.0].tolist(), abs=1e-7)
        assert found.attrs["measure"] == "dice"

    @pytest.mark.parametrize(
        ("method", "package"),
        [
            ("pairs", "numpy"),
            ("to_arrow", "pyarrow"),
            ("to_pandas", "pandas"),
            ("to_anndata", "anndata"),
            ("to_torch_sparse", "torch"),
        ],
    )
    def test_damage_is_no_table(self, method: str, package: str, tmp_path: Path) -> None:
        """The digest of the content is checked as by all that reads the whole."""
        pytest.importorskip(package)
        path = tmp_path / "damaged.h5"
        path.write_bytes((GOLDEN / "broken/digest-of-collection.h5").read_bytes())
        stored = next(iter(LabelFile(path).values()))
        with pytest.raises(LabelFileError, match="content_sha256"):
            getattr(stored, method)()


class TestReadByOthers:
    """What Polars, DuckDB and their like take: Arrow's own stream, its files, and Parquet."""

    def test_stream(self) -> None:
        """Through the stream of IPC, by the protocol that Polars and DuckDB call."""
        table = LabelFile(GOLDEN / "city.h5")["amman"].to_arrow()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        assert pa.ipc.open_stream(sink.getvalue()).read_all().equals(table)
        assert pa.RecordBatchReader.from_stream(table).read_all().equals(table)

    @pytest.mark.parametrize("layout", ["parquet", "feather"])
    @pytest.mark.parametrize("what", ["to_arrow", "cameras"])
    def test_files(self, layout: str, what: str, tmp_path: Path) -> None:
        """Written and read as a dataset, every table comes back, nested columns and all."""
        for name, collection in COLLECTIONS:
            stored = LabelFile(GOLDEN / f"{name}.h5")[collection]
            table = getattr(stored, what)()
            file = tmp_path / f"{name}-{collection.replace('/', '-')}"
            write = pyarrow.parquet.write_table if layout == "parquet" else pyarrow.feather.write_feather
            write(table, str(file))
            back = pyarrow.dataset.dataset(file, format=layout).to_table()
            assert str(back.to_pylist()) == str(table.to_pylist())  # as text, since NaN is not NaN

    @pytest.mark.parametrize("package", ["polars", "duckdb"])
    def test_itself(self, package: str) -> None:
        """Where it is installed, the package itself."""
        module = pytest.importorskip(package)
        table = LabelFile(GOLDEN / "city.h5")["amman"].to_arrow()
        rows = module.from_arrow(table).rows() if package == "polars" else module.from_arrow(table).fetchall()
        assert rows == [tuple(row.values()) for row in table.to_pylist()]


class TestMatrices:
    """All values as a matrix of another library."""

    def dense(self, labels: Any) -> np.ndarray:
        matrix = np.zeros((len(labels.query["key"]), len(labels.database["key"])), np.float32)
        for row in range(len(matrix)):
            for at in range(labels.indptr[row], labels.indptr[row + 1]):
                matrix[row, labels.columns[at]] = labels.values[at]
        return matrix

    def test_torch(self, both: tuple[StoredCollection, Any]) -> None:
        torch = pytest.importorskip("torch")
        stored, labels = both
        tensor = stored.to_torch_sparse()
        assert tensor.is_coalesced()
        assert tensor.dtype == torch.float32
        assert np.array_equal(tensor.to_dense().numpy(), self.dense(labels))
        # It is in order, without which torch's own coalescing would give another tensor.
        again = torch.sparse_coo_tensor(
            tensor.indices(), tensor.values(), tensor.shape, check_invariants=True
        ).coalesce()
        assert torch.equal(again.indices(), tensor.indices())

    @pytest.mark.usefixtures("anndata")
    def test_anndata(self, both: tuple[StoredCollection, Any], tmp_path: Path) -> None:
        stored, labels = both
        data = stored.to_anndata()
        assert data.shape == self.dense(labels).shape
        assert np.array_equal(np.asarray(data.X.todense()), self.dense(labels))
        for frame, several, side in ((data.obs, data.obsm, labels.query), (data.var, data.varm, labels.database)):
            assert frame.index.tolist() == side["key"].tolist()
            assert np.array_equal(frame["heading_deg"], side["heading_deg"], equal_nan=True)
            assert np.array_equal(frame["extent"], side["extent"], equal_nan=True)
            width = several["position"].shape[1]
            assert np.array_equal(several["position"], side["position"][:, :width], equal_nan=True)
            if "pose" in side:
                assert np.array_equal(several["pose"], side["pose"], equal_nan=True)
        assert json.loads(data.uns["relabel"])["method"] == labels.attributes["method"]

    @pytest.mark.parametrize("name", ["city", "scene"])
    def test_anndata_is_written(self, name: str, tmp_path: Path, anndata: Any) -> None:
        """Its own files hold it."""
        stored = next(iter(LabelFile(GOLDEN / f"{name}.h5").values()))
        data = stored.to_anndata()
        data.write_h5ad(tmp_path / "labels.h5ad")
        back = anndata.read_h5ad(tmp_path / "labels.h5ad")
        assert (back.X != data.X).nnz == 0
        assert back.obs["status"].tolist() == data.obs["status"].tolist()


class TestCameras:
    """The cameras with every column."""

    NAMES = ("ok", "panorama", "no_heading", "no_position", "no_pose", "bad_depth", "masked")

    def test_every_column(self, both: tuple[StoredCollection, Any]) -> None:
        """All that an independent reader sees is in the table, in the order of the file."""
        stored, labels = both
        for side, expected in (("query", labels.query), ("database", labels.database)):
            table = stored.cameras(side)  # type: ignore[arg-type]
            rows: dict[str, list[Any]] = {name: table.column(name).to_pylist() for name in table.column_names}
            columns = dict(expected)
            position = columns.pop("position")
            assert rows.pop("status") == [self.NAMES[code] for code in columns.pop("status")]
            where = "both" if labels.attributes["self_pairs"] else side
            assert set(rows.pop("side")) <= {where}
            for i, axis in enumerate(("east", "north", "up")):
                if axis in rows or not np.isnan(position[:, i]).all():
                    assert np.array_equal(rows.pop(axis), position[:, i], equal_nan=True)
            assert set(rows) == set(columns)
            for name, column in columns.items():
                text = column.dtype.kind in "SO"
                values = np.char.decode(column.astype(bytes), "utf-8") if text and name != "key" else column
                if values.dtype.kind == "f":
                    found = np.array(rows[name], values.dtype).reshape(values.shape)
                    assert np.array_equal(found, values, equal_nan=True), name
                else:
                    assert rows[name] == values.tolist(), name

    def test_both_sides(self) -> None:
        """Queries first, then the database; cameras that are on both sides stand there once."""
        stored = LabelFile(GOLDEN / "city.h5")["amman"]
        table = stored.cameras()
        assert table.column("side").to_pylist() == ["query"] * 10 + ["database"] * 8
        assert table.column("key").to_pylist() == [*stored.query, *stored.database]
        scene = LabelFile(GOLDEN / "scene.h5")["redkitchen/train"].cameras()
        assert scene.column("side").to_pylist() == ["both"] * 6
        assert scene.column("pose").to_pylist()[0] is not None

    def test_columns_of_one_side(self) -> None:
        """A number that one side alone has is NaN on the other, and a further column null."""
        query = Cameras(["q"], [[0.0, 1.0, 2.0]], heading_deg=[0.0], fov_deg=60.0, extra={"night": [True]})
        source = one_pair(0.5, query=query)
        table = tables.cameras(source)
        assert table.column("fov_deg").to_pylist()[0] == 60.0
        assert np.isnan(table.column("fov_deg").to_pylist()[1])
        assert np.isnan(table.column("up").to_pylist()[1])
        assert table.column("night").to_pylist() == [True, None]

    def test_names_that_are_taken(self) -> None:
        """A further column never hides one of the table's own."""
        query = Cameras(
            ["q"], [[0.0, 1.0]], heading_deg=[0.0], extra={"side": ["left"], "extra_side": ["x"], "up": [7]}
        )
        table = tables.cameras(one_pair(0.5, query=query), "query")
        assert table.column("side").to_pylist() == ["query"]
        assert table.column("extra_side").to_pylist() == ["x"]
        assert table.column("extra_extra_side").to_pylist() == ["left"]
        assert table.column("extra_up").to_pylist() == [7]

    def test_types_that_differ(self) -> None:
        """What cannot be one column is refused, and each side by itself is given."""
        source = one_pair(
            0.5,
            query=Cameras(["q"], [[0.0, 1.0]], heading_deg=[0.0], extra={"floor": ["first"]}),
            database=Cameras(["d"], [[0.0, 1.0]], heading_deg=[0.0], extra={"floor": [1]}),
        )
        with pytest.raises(InputError, match="'floor' is string of the queries and int64 of the database"):
            tables.cameras(source)
        assert tables.cameras(source, "database").column("floor").to_pylist() == [1]

    def test_sides_have_names(self) -> None:
        with pytest.raises(OptionError, match="side is 'queries'; it is query, database"):
            LabelFile(GOLDEN / "city.h5")["amman"].cameras("queries")  # type: ignore[arg-type]

    def test_arrow_has_no_such_type(self) -> None:
        """The column is named."""
        query = Cameras(["q"], [[0.0, 1.0]], heading_deg=[0.0], extra={"thing": np.array([1j])})
        with pytest.raises(InputError, match="column 'thing' cannot be stored in an Arrow table"):
            tables.cameras(one_pair(0.5, query=query), "query")


class TestPackages:
    """What is optional is loaded late, and missed clearly."""

    @pytest.mark.parametrize(
        ("method", "package"),
        [("to_pandas", "pandas"), ("to_anndata", "anndata"), ("to_torch_sparse", "torch")],
    )
    def test_missing(self, method: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
        stored = LabelFile(GOLDEN / "city.h5")["amman"]
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingPackageError, match=rf"^{method} needs the package {package}.*pip install"):
            getattr(stored, method)()

    def test_light(self) -> None:
        """The module itself loads none of them."""
        code = (
            "import sys, relabel; relabel.tables\n"
            "assert not {'pandas', 'pyarrow', 'anndata', 'torch'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


def one_pair(value: float, query: Cameras | None = None, database: Cameras | None = None) -> SimilaritySource:
    """One query, one camera, one ψ."""
    query = query or Cameras(["q"], [[0.0, 0.0]], heading_deg=[0.0])
    database = database or Cameras(["d"], [[0.0, 0.0]], heading_deg=[0.0])
    extent = np.ones(1)
    collection = Collection(query, database, extent, extent, "fov-sector", "iou")
    matrix = similarity(1, 1, faults=False).matrix.__class__(np.array([[value]], np.float32))
    return Similarity(collection, matrix)


def test_frames_join() -> None:
    """As people use it: pairs and cameras of pandas join by key."""
    stored = LabelFile(GOLDEN / "city.h5")["amman"]
    cameras: pd.DataFrame = stored.cameras("query").to_pandas()
    joined = stored.to_pandas().merge(cameras, left_on="query", right_on="key")
    assert len(joined) == stored.nnz
    assert set(joined["status"]) == {"ok"}
