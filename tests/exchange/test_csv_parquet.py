"""Tables, SciPy matrices, pair lists and metric-learning pairs, each read with its consumer's own library or way."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet
import pytest
import scipy.sparse

import relabel
from relabel.cameras import Status
from relabel.datasets.table.table_reader import reader as table_reader
from relabel.errors import InputError, OptionError
from relabel.exchange.exporting import export
from relabel.exchange.importing import load
from relabel.exchange.pml import indices_tuple
from relabel.labelfile import StoredCollection
from relabel.pipeline.fov_part import fov_parts
from relabel.similarity import Similarity
from tests.similarities import similarity


@pytest.fixture(scope="module")
def psi() -> Similarity:
    return similarity(30, 40, seed=11)


def triples(psi: Similarity) -> list[tuple[str, str, float]]:
    """All pairs by a loop over the dense matrix."""
    c, dense = psi.collection, psi.matrix.toarray()
    return [(str(c.query.key[i]), str(c.database.key[j]), float(dense[i, j])) for i, j in np.argwhere(dense).tolist()]


class TestWriteCsv:
    """relabel.exchange.csv_parquet.write_csv"""

    def test_pandas(self, psi: Similarity, tmp_path: Path) -> None:
        """Pandas reads every pair to the last bit of float32, and the status that says which absent pairs are zero."""
        export({"c": psi}, "csv", tmp_path)
        pairs = pd.read_csv(tmp_path / "c.csv", dtype={"value": np.float32})
        assert list(pairs.itertuples(index=False, name=None)) == triples(psi)
        cameras = pd.read_csv(tmp_path / "c.cameras.csv")
        for side, expected in (("query", psi.collection.query), ("database", psi.collection.database)):
            mine = cameras[cameras["side"] == side]
            assert mine["key"].tolist() == expected.key.tolist()
            assert mine["status"].tolist() == [Status(code).label for code in expected.status]
            np.testing.assert_array_equal(mine[["east", "north"]].to_numpy(), expected.position)

    def test_self_pairs(self, tmp_path: Path) -> None:
        """Cameras of a self-paired collection stand once, on both sides."""
        psi = similarity(9, seed=1, self_pairs=True)
        export({"c": psi}, "csv", tmp_path)
        cameras = pd.read_csv(tmp_path / "c.cameras.csv")
        assert cameras["side"].tolist() == ["both"] * 9


class TestWriteParquet:
    """relabel.exchange.csv_parquet.write_parquet"""

    def test_pandas(self, psi: Similarity, tmp_path: Path) -> None:
        """Pandas reads plain keys and float32 values."""
        export({"c": psi}, "parquet", tmp_path)
        pairs = pd.read_parquet(tmp_path / "c.parquet")
        assert pairs["value"].dtype == np.float32
        assert list(pairs.itertuples(index=False, name=None)) == triples(psi)

    def test_dataset_filters(self, psi: Similarity, tmp_path: Path) -> None:
        """A pyarrow dataset filters by key and by value."""
        export({"c": psi}, "parquet", tmp_path)
        query = triples(psi)[0][0]
        field = pyarrow.dataset.field
        rows = pyarrow.dataset.dataset(tmp_path / "c.parquet").to_table(
            filter=(field("query") == query) & (field("value") >= 0.5)
        )
        expected = [t for t in triples(psi) if t[0] == query and t[2] >= 0.5]
        assert list(zip(*(rows.column(i).to_pylist() for i in range(3)), strict=True)) == expected

    def test_metadata(self, psi: Similarity, tmp_path: Path) -> None:
        """What no column says is in the schema: measure, method, parameters, min_value."""
        path = relabel.write(tmp_path / "l.h5", {"c": psi})
        stored = StoredCollection(path, "c")
        export({"c": stored}, "parquet", tmp_path)
        metadata = json.loads(pyarrow.parquet.read_schema(tmp_path / "c.parquet").metadata[b"relabel"])
        assert metadata == {
            "method": "fov-sector",
            "measure": "iou",
            "params": {"fov_deg": 90.0, "radius_m": 50.0},
            "crs": "local",
            "min_value": 1e-6,
            "self_pairs": False,
            "shape": [30, 40],
            "content_sha256": stored.content_sha256,
        }

    def test_keys_are_a_dictionary_on_disk(self, psi: Similarity, tmp_path: Path) -> None:
        """A key is stored once a group, not once a pair."""
        export({"c": psi}, "parquet", tmp_path)
        group = pyarrow.parquet.ParquetFile(tmp_path / "c.parquet").metadata.row_group(0)
        assert all("RLE_DICTIONARY" in group.column(i).encodings for i in (0, 1))


class TestPlacesOnEarth:
    """Longitude and latitude of labels that compare cameras on the earth."""

    @pytest.mark.parametrize("form", ["csv", "parquet"])
    def test_there_and_back(self, form: str, tmp_path: Path) -> None:
        """They are columns of the cameras as the table had them, and an import knows the places by them."""
        (tmp_path / "t.csv").write_text("key,lon,lat,heading\na,36.1,-1.3,5\nb,36.10002,-1.3,9\nc,,,9\n")
        part = fov_parts([table_reader(tmp_path / "t.csv")])[0].open()
        path = relabel.write(tmp_path / "l.h5", {"t": part.source})
        done = export({"t": StoredCollection(path, "t")}, form, tmp_path / "out")
        assert not any("lon_deg" in note for note in done.notes)
        read = pd.read_csv if form == "csv" else pd.read_parquet
        cameras = read(tmp_path / "out" / f"t.cameras.{form}")
        np.testing.assert_array_equal(cameras["lon_deg"], [36.1, 36.10002, np.nan])
        np.testing.assert_array_equal(cameras["lat_deg"], [-1.3, -1.3, np.nan])
        imported = load(form, tmp_path / "out" / f"t.{form}", measure="iou")
        query = imported.source.collection.query
        assert query.crs == part.source.collection.crs == "EPSG:32737"
        np.testing.assert_allclose(query.position, part.source.collection.query.position, atol=1e-3)


class TestWriteNpz:
    """relabel.exchange.npz.write_npz"""

    def test_scipy(self, psi: Similarity, tmp_path: Path) -> None:
        """SciPy's own loader reads the matrix, and numpy the keys, without pickle."""
        export({"c": psi}, "npz", tmp_path)
        matrix = scipy.sparse.load_npz(tmp_path / "c.npz")
        assert isinstance(matrix, scipy.sparse.csr_array)
        assert matrix.dtype == np.float32
        np.testing.assert_array_equal(matrix.toarray(), psi.matrix.toarray())
        with np.load(tmp_path / "c.npz") as arrays:
            assert arrays["query_key"].tolist() == psi.collection.query.key.tolist()
            np.testing.assert_array_equal(arrays["database_status"], psi.collection.database.status)
            assert json.loads(str(arrays["relabel"]))["measure"] == "iou"

    def test_of_a_label_file(self, psi: Similarity, tmp_path: Path) -> None:
        """A stored collection, whose types h5py marks, is written like one in memory."""
        stored = StoredCollection(relabel.write(tmp_path / "l.h5", {"c": psi}), "c")
        for name, source in (("a", psi), ("b", stored)):
            export({name: source}, "npz", tmp_path)
        with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
            assert a.files == b.files
            for name in set(a.files) - {"relabel", "query_position", "database_position"}:
                np.testing.assert_array_equal(a[name], b[name])


class TestWritePairs:
    """relabel.exchange.hloc.write_pairs"""

    def test_as_hloc_parses_it(self, psi: Similarity, tmp_path: Path) -> None:
        """Each line splits into exactly two words; the candidates of a query are its stored pairs, best first."""
        export({"c": psi}, "pairs", tmp_path)
        candidates = defaultdict(list)
        for line in (tmp_path / "c-pairs.txt").read_text().rstrip("\n").split("\n"):
            query, database = line.split()
            candidates[query].append(database)
        expected = defaultdict(list)
        for query, database, _ in sorted(triples(psi), key=lambda t: (t[0], -t[2])):
            expected[query].append(database)
        assert candidates == expected

    def test_scores(self, psi: Similarity, tmp_path: Path) -> None:
        """The second file has the same lines with ψ behind them, exact as float32."""
        export({"c": psi}, "pairs", tmp_path)
        plain = (tmp_path / "c-pairs.txt").read_text().splitlines()
        scored = [line.rsplit(" ", 1) for line in (tmp_path / "c-pairs-scores.txt").read_text().splitlines()]
        assert [pair for pair, _ in scored] == plain
        value = {f"{q} {d}": v for q, d, v in triples(psi)}
        assert all(np.float32(score) == np.float32(value[pair]) for pair, score in scored)

    @pytest.mark.parametrize(("top", "threshold"), [(1, None), (2, 0.5), (None, 0.3), (100, None)])
    def test_limits(self, top: int | None, threshold: float | None, psi: Similarity, tmp_path: Path) -> None:
        """At most so many pairs a query, none below the threshold, and they are the best."""
        export({"c": psi}, "pairs", tmp_path, top=top, threshold=threshold)
        count: dict[str, int] = defaultdict(int)
        expected = []
        for query, database, value in sorted(triples(psi), key=lambda t: (t[0], -t[2])):
            count[query] += 1
            if count[query] <= (top or 999) and value >= np.float32(threshold or 0):
                expected.append(f"{query} {database}")
        assert (tmp_path / "c-pairs.txt").read_text().splitlines() == expected

    @pytest.mark.parametrize("key", ["a b", "tab\tkey", " lead", "no\u00a0break"])
    def test_white_space(self, key: str, tmp_path: Path) -> None:
        """A name at which readers would split is refused by name."""
        psi = similarity(1, 1, faults=False)
        named = replace(psi.collection.query, key=np.array([key]))
        with pytest.raises(InputError, match="white space"):
            export({"c": Similarity(replace(psi.collection, query=named), psi.matrix)}, "pairs", tmp_path)


class TestPml:
    """relabel.exchange.pml"""

    @pytest.fixture(params=[False, True])
    def stored(self, request: pytest.FixtureRequest, tmp_path: Path) -> StoredCollection:
        psi = similarity(30, 40, seed=12, self_pairs=request.param)
        return StoredCollection(relabel.write(tmp_path / "l.h5", {"c": psi}), "c")

    def test_a_batch(self, stored: StoredCollection) -> None:
        """Every pair of the batch is a positive, a true negative, or in neither list, as the dense matrix says."""
        rng = np.random.default_rng(0)
        rows, columns = (rng.choice(n, 12, replace=False) for n in stored.shape)
        pairs = indices_tuple(stored, rows, columns, threshold=0.3)
        assert all(positions.dtype == np.int64 and positions.ndim == 1 for positions in pairs)
        dense = stored.to_scipy().toarray()
        positive, negative = set(zip(pairs.a1, pairs.p, strict=True)), set(zip(pairs.a2, pairs.n, strict=True))
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                known = stored.query.ok[row] and stored.database.ok[column]
                known &= not (stored.self_pairs and row == column)
                assert ((i, j) in positive) == (dense[row, column] >= np.float32(0.3))
                assert ((i, j) in negative) == (known and dense[row, column] == 0)

    def test_file(self, stored: StoredCollection, tmp_path: Path) -> None:
        """All positives with their ψ; as many true zeros a query as it has positives, the same for the same seed."""
        export({"c": stored}, "pml", tmp_path)
        export({"c": stored}, "pml", tmp_path / "again")
        dense = stored.to_scipy().toarray()
        with np.load(tmp_path / "c-pml.npz") as a, np.load(tmp_path / "again/c-pml.npz") as b:
            arrays = {name: a[name] for name in a.files}
            assert all(np.array_equal(arrays[name], b[name]) for name in a.files)
        np.testing.assert_array_equal(np.column_stack([arrays["a1"], arrays["p"]]), np.argwhere(dense >= 0.5))
        np.testing.assert_array_equal(arrays["psi"], dense[dense >= 0.5])
        negatives = list(zip(arrays["a2"].tolist(), arrays["n"].tolist(), strict=True))
        assert len(set(negatives)) == len(negatives)
        for row, column in negatives:
            assert dense[row, column] == 0
            assert stored.query.ok[row]
            assert stored.database.ok[column]
            assert not (stored.self_pairs and row == column)
        wanted = np.bincount(arrays["a1"], minlength=stored.shape[0])
        np.testing.assert_array_equal(np.bincount(arrays["a2"], minlength=stored.shape[0]), wanted)

    def test_out_of_range(self, stored: StoredCollection) -> None:
        """Rows, columns and thresholds that cannot be are refused."""
        with pytest.raises(OptionError, match="queries hold 99"):
            indices_tuple(stored, [99], [0])
        with pytest.raises(OptionError, match="database"):
            indices_tuple(stored, [0], [99])
        with pytest.raises(OptionError, match="threshold"):
            indices_tuple(stored, [0], [0], threshold=0.0)
