from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, OptionError, OutputExistsError
from relabel.labelfile import LabelFile, provenance, schema, validate, write
from relabel.labelfile.writer import write_temporary
from relabel.similarity import Collection, RowBlock, Similarity
from tests.labelfile import oracle
from tests.labelfile.sources import Blocks, Cut, assert_same, errors, names, similarities
from tests.similarities import similarity

collections = st.dictionaries(names, similarities(), min_size=1, max_size=2).filter(
    lambda found: not any(a != b and b.startswith(f"{a}/") for a in found for b in found)
)


class TestWrite:
    @settings(max_examples=30)
    @given(collections=collections, seconds=st.integers(0, 3))
    def test_what_is_written_is_read_back(
        self, collections: dict[str, Similarity], seconds: int, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Every valid collection comes back as it was, in a file that is valid and whose digests fit the format."""
        path = tmp_path_factory.mktemp("write") / "labels.h5"
        records = [provenance.step("test", {"step": i, "note": "ü"}) for i in range(seconds)]
        assert write(path, collections, provenance=records) == path
        labels = LabelFile(path)
        assert list(labels) == sorted(collections)
        assert labels.provenance() == records
        for name, given_ in collections.items():
            stored = labels[name]
            expected = replace(given_, matrix=sorted_matrix(given_.matrix))
            assert_same(stored.to_similarity(), expected)
            assert (stored.shape, stored.nnz) == (expected.shape, expected.matrix.nnz)
        assert errors(validate(path)) == []
        oracle.check_digests(path)

    @settings(max_examples=25)
    @given(
        source=similarities(max_size=8),
        sizes=st.lists(st.integers(0, 3), min_size=1, max_size=4).filter(any),
        threads=st.sampled_from([1, 2, 5]),
    )
    def test_bytes_do_not_depend_on_blocks_or_threads(
        self, source: Similarity, sizes: list[int], threads: int, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """The same content gives the same file, whatever blocks it comes in and however many threads compress."""
        folder = tmp_path_factory.mktemp("bytes")
        whole = write(folder / "whole.h5", {"a": source}, threads=1)
        cut = write(folder / "cut.h5", {"a": Cut(source, sizes)}, threads=threads)
        assert whole.read_bytes() == cut.read_bytes()

    def test_bytes_do_not_depend_on_blocks_over_many_chunks(self, tmp_path: Path) -> None:
        """Blocks that end before, at and after chunks give the same bytes, which HDF5's own filters read."""
        source = similarity(300, 400, seed=3, density=0.8)
        assert source.matrix.nnz > 2 * 16_384
        whole = write(tmp_path / "whole.h5", {"a": source}, threads=1)
        for sizes, threads in (([1], 2), ([97, 0, 5], 3), ([299, 1], 1)):
            cut = write(tmp_path / "cut.h5", {"a": Cut(source, sizes)}, threads=threads, overwrite=True)
            assert cut.read_bytes() == whole.read_bytes()
        with h5py.File(whole) as file:
            group = file["a/similarity"]
            assert group["indices"].chunks == group["data"].chunks == (16_384,)
            for name in ("indices", "data"):
                assert (group[name].compression, group[name].compression_opts) == ("gzip", 4)
                assert group[name].shuffle
                assert group[name].fletcher32
            np.testing.assert_array_equal(group["indices"][:], source.matrix.indices)
            np.testing.assert_array_equal(group["data"][:], source.matrix.data)

    def test_a_temporary_file(self, tmp_path: Path) -> None:
        """It has the content of any other, whole chunks of values not compressed, and takes little room for few."""
        source = similarity(300, 400, seed=3, density=0.8)
        path = tmp_path / "part.h5"
        write_temporary(path, "a", similarity(3, 4, seed=3), provenance=[], threads=1)
        assert path.stat().st_size < 20_000
        write_temporary(path, "a", source, provenance=[provenance.step("c", {})], threads=2)
        assert not errors(validate(path))
        stored = LabelFile(path)["a"]
        assert_same(stored.to_similarity(), source)
        whole = write(tmp_path / "whole.h5", {"a": source})
        assert stored.content_sha256 == LabelFile(whole)["a"].content_sha256
        copy = write(tmp_path / "copy.h5", {"a": stored})
        assert copy.read_bytes() == whole.read_bytes()
        with h5py.File(path) as file:
            chunks, values = 16_384 * 4, file["a/similarity/data"]
            assert values.id.get_chunk_info(0).size >= chunks
            assert file["a/similarity/indices"].id.get_chunk_info(0).size < chunks / 2
            np.testing.assert_array_equal(values[:], source.matrix.data)

    def test_bytes_do_not_depend_on_the_process(self, tmp_path: Path) -> None:
        """Another process, with other hashes of text and another order of names, writes the same file."""
        code = (
            "import sys; from relabel.labelfile import write, provenance; from tests.similarities import similarity\n"
            "write(sys.argv[1], {'b': similarity(), 'a': similarity(self_pairs=True)},"
            " provenance=[provenance.step('x', {'k': {'b': 1, 'a': 2}})])"
        )
        root = Path(__file__).resolve().parents[2]
        for seed in ("1", "2"):
            subprocess.run(
                [sys.executable, "-c", code, str(tmp_path / seed)],
                check=True,
                cwd=root,
                env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(root)},
            )
        write(
            tmp_path / "3",
            {"a": similarity(self_pairs=True), "b": similarity()},
            provenance=[provenance.step("x", {"k": {"a": 2, "b": 1}})],
        )
        assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes() == (tmp_path / "3").read_bytes()

    def test_layout(self, tmp_path: Path) -> None:
        """Groups, datasets, types and attributes are those of the format, and of no others."""
        path = write(tmp_path / "a.h5", {"x/y": similarity(5, 7)}, provenance=[provenance.step("t", {})])
        with h5py.File(path) as file:
            assert sorted(file.attrs) == ["complete", "content_sha256", "format", "format_version", "writer"]
            group = file["x/y"]
            assert sorted(group.attrs) == sorted(
                ["method", "measure", "params", "crs", "min_value", "symmetric", "self_pairs", "nnz", "content_sha256"]
            )
            assert (group.attrs["nnz"].dtype, group.attrs["self_pairs"].dtype) == (np.int64, np.uint8)
            assert group.attrs["params"] == b'{"fov_deg":90.0,"radius_m":50.0}'
            for side, n in (("queries", 5), ("database", 7)):
                table = group[side]
                assert sorted(table) == ["extent", "heading_deg", "key", "position", "status"]
                assert table["position"].shape == (n, 3)
                assert np.isnan(table["position"][:, 2]).all()
                assert h5py.check_enum_dtype(table["status"].dtype) == {s.label: s.value for s in Status}
                assert h5py.check_string_dtype(table["key"].dtype) == ("utf-8", 5)
                assert table["key"].compression == "gzip"
            pairs = group["similarity"]
            assert pairs["indptr"].dtype == np.int32
            assert pairs["indptr"].chunks == (6,)
            assert (pairs["indptr"].compression, pairs["indptr"].fletcher32) == (None, True)
            assert (pairs["indices"].dtype, pairs["data"].dtype) == (np.int32, np.float32)
            assert pairs.attrs["shape"].tolist() == [5, 7]

    def test_self_pairs_store_their_cameras_once(self, tmp_path: Path) -> None:
        """The database of a self-paired collection is a hard link to its queries."""
        path = write(tmp_path / "a.h5", {"a": similarity(6, self_pairs=True)})
        with h5py.File(path) as file:
            assert file["a/database"] == file["a/queries"]

    def test_equal_cameras_in_two_objects_are_self_pairs(self, tmp_path: Path) -> None:
        """Whether the two sides are the same cameras is decided by their content."""
        source = similarity(6, self_pairs=True)
        c = source.collection
        twin = c.query.take(slice(None))
        path = write(tmp_path / "a.h5", {"a": Similarity(replace(c, database=twin), source.matrix)})
        assert errors(validate(path)) == []
        other = twin.take([1, 0, 2, 3, 4, 5])
        with pytest.raises(InputError, match="self_pairs is set, but queries and database are not the same"):
            write(tmp_path / "b.h5", {"a": Similarity(replace(c, database=other), source.matrix)})

    def test_scipy_and_anndata_read_the_matrix(self, tmp_path: Path, anndata: Any) -> None:
        """Neither plain h5py with SciPy nor AnnData needs this package."""
        source = similarity(9, 8)
        with h5py.File(write(tmp_path / "a.h5", {"a": source})) as file:
            s = file["a/similarity"]
            plain = sparse.csr_array((s["data"][:], s["indices"][:], s["indptr"][:]), shape=s.attrs["shape"])
            foreign = anndata.io.read_elem(s)
        for matrix in (plain, foreign):
            assert matrix.shape == source.shape
            assert matrix.dtype == np.float32
            np.testing.assert_array_equal(matrix.toarray(), source.matrix.toarray())

    def test_progress_counts_rows(self, tmp_path: Path) -> None:
        """Progress is told the rows of every block, which add up to all rows."""
        seen: list[int] = []
        write(tmp_path / "a.h5", {"a": Cut(similarity(10), [3])}, progress=seen.append)
        assert seen == [3, 3, 3, 1]

    def test_large_parameters(self, tmp_path: Path) -> None:
        """Parameters may take up to 60,000 bytes; more is refused with the number."""
        source = similarity(2, 2)
        fits = replace(source, collection=replace(source.collection, params={"note": "é" * 29_000}))
        assert LabelFile(write(tmp_path / "a.h5", {"a": fits}))["a"].params == fits.collection.params
        large = replace(source, collection=replace(source.collection, params={"note": "é" * 30_000}))
        with pytest.raises(InputError, match="params takes 60011 bytes"):
            write(tmp_path / "b.h5", {"a": large})

    def test_an_existing_file_is_kept(self, tmp_path: Path) -> None:
        """Without `overwrite` a file that is there stays as it is, with it the new one takes its place."""
        path = tmp_path / "a.h5"
        path.write_text("mine")
        with pytest.raises(OutputExistsError, match=r"a\.h5.*overwrite=True"):
            write(path, {"a": similarity()})
        assert path.read_text() == "mine"
        write(path, {"a": similarity()}, overwrite=True)
        assert list(LabelFile(path)) == ["a"]
        assert list(tmp_path.iterdir()) == [path]

    def test_a_stored_collection_is_a_source(self, tmp_path: Path) -> None:
        """Writing what was read gives the same bytes, even over the file that is being read."""
        path = write(tmp_path / "a.h5", {"a": similarity(30, 30)})
        before = path.read_bytes()
        write(path, {"a": LabelFile(path)["a"]}, overwrite=True)
        assert path.read_bytes() == before


class TestRefusals:
    """What the writer refuses, before anything is published."""

    def refused(self, tmp_path: Path, source: Any, match: str, name: str = "amman") -> None:
        with pytest.raises(InputError, match=match):
            write(tmp_path / "a.h5", {name: source})
        assert list(tmp_path.iterdir()) == []

    def source(self, counts: Any, indices: Any, data: Any, first: int = 0, **fields: Any) -> Blocks:
        key = ["q0", "q1", "q2"]
        cameras = Cameras(key=key, position=np.zeros((3, 2)), heading_deg=[0, np.nan, 90])
        c = Collection(cameras, cameras, np.ones(3), np.ones(3), "fov-sector", "iou", **fields)
        block = RowBlock(first, np.array(counts), np.array(indices, int), np.array(data, float))
        return Blocks(c, [block])

    @pytest.mark.parametrize(
        ("counts", "indices", "data", "match"),
        [
            ([2, 0, 0], [0, 3], [0.5, 0.5], r"query 'q0'.*column outside \[0, 3\).*row 0, column 3"),
            ([2, 0, 0], [-1, 2], [0.5, 0.5], r"column outside.*column -1"),
            ([2, 0, 0], [2, 0], [0.5, 0.5], "out of order or repeated.*column 0"),
            ([1, 0, 2], [2, 2, 2], [0.5, 0.5, 0.5], "query 'q2'.*out of order or repeated"),
            ([1, 0, 0], [0], [np.nan], "value that is not finite.*value nan"),
            ([1, 0, 0], [0], [np.inf], "value that is not finite"),
            ([1, 0, 0], [0], [0.0], r"value outside \(9.99999997e-07, 1\]"),
            ([1, 0, 0], [0], [-0.5], "value outside"),
            ([1, 0, 0], [0], [1e-6], "value outside"),
            ([1, 0, 0], [0], [1.001], "value outside.*value 1.001"),
            ([0, 1, 0], [0], [0.5], "query 'q1'.*status is not ok"),
            ([0, 0, 1], [1], [0.5], "query 'q2'.*status is not ok"),
            ([1, 0, 0], [0, 1], [0.5, 0.5], "counts of its rows add up to 1, with 2 columns and 2 values"),
            ([2, -1, 0], [0], [0.5], "counts of its rows"),
            ([1.5, 0, 0], [0], [0.5], "counts and columns have to be integers"),
            ([0, 0], [], [], "rows end after 2 of 3"),
            ([0, 0, 0, 0], [], [], "block of rows 0 to 3: expected rows from 0 on, of 3"),
        ],
    )
    def test_bad_pairs(self, tmp_path: Path, counts: Any, indices: Any, data: Any, match: str) -> None:
        """A pair or block that breaks a rule is named with its query and place."""
        self.refused(tmp_path, self.source(counts, indices, data), match)

    def test_more_pairs_than_an_int32_counts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The limit itself can be stored; one pair more is refused before it is, and the error points to shards."""
        monkeypatch.setattr("relabel.labelfile.schema.MOST", 3)
        write(tmp_path / "fits.h5", {"a": self.source([2, 0, 1], [0, 2, 0], [0.5, 0.5, 0.5])})
        source = self.source([2, 0, 2], [0, 2, 0, 2], [0.5, 0.5, 0.5, 0.5])
        (tmp_path / "fits.h5").unlink()
        self.refused(tmp_path, source, "brings the collection to 4 pairs, but one file can hold at most 3;.*shards")
        assert np.iinfo(schema.ARRAYS["indptr"]).max == 2**31 - 1

    def test_rows_out_of_order(self, tmp_path: Path) -> None:
        """A block that does not begin where the last one ended is refused."""
        self.refused(tmp_path, self.source([0], [], [], first=1), "expected rows from 0 on")

    def test_the_diagonal_of_self_pairs(self, tmp_path: Path) -> None:
        """A camera is not paired with itself in a self-paired collection."""
        self.refused(tmp_path, self.source([1, 0, 0], [0], [1.0], self_pairs=True), "pair a camera with itself")

    @pytest.mark.parametrize(("indices", "data"), [([2, 0], [0.5, 0.25]), ([2], [0.5])])
    def test_asymmetry(self, tmp_path: Path, indices: list[int], data: list[float]) -> None:
        """A self-paired collection whose two triangles differ in a value or a pair is refused, both cameras named."""
        source = self.source([1, 0, len(indices) - 1], indices, data, self_pairs=True)
        self.refused(tmp_path, source, r"2 camera\(s\) differ from their columns, among them 'q0', 'q2'")

    def test_overlap_need_not_be_symmetric(self, tmp_path: Path) -> None:
        """The share of the query's own view differs with the direction."""
        source = self.source([1, 0, 1], [2, 0], [0.5, 0.25], self_pairs=True)
        source = replace(source, collection=replace(source.collection, measure="overlap"))
        assert errors(validate(write(tmp_path / "a.h5", {"a": source}))) == []

    @pytest.mark.parametrize(
        ("name", "match"),
        [
            ("", "empty part"),
            ("/a", "empty part"),
            ("a//b", "empty part"),
            ("a/../b", "'..'"),
            ("provenance/a", "begins with 'provenance'"),
            ("a/queries", "has the part 'queries'"),
            ("a::b", "separates the file"),
            ("a\0b", "NUL"),
            ("\ud800", "not valid Unicode"),
        ],
    )
    def test_names(self, tmp_path: Path, name: str, match: str) -> None:
        """A name that cannot be an HDF5 path or an address is refused."""
        self.refused(tmp_path, similarity(), match, name)

    def test_nested_collections(self, tmp_path: Path) -> None:
        """No collection lies inside another."""
        with pytest.raises(InputError, match="'a/b' is inside collection 'a'"):
            write(tmp_path / "a.h5", {"a/b": similarity(), "a": similarity()})

    def test_no_collection(self, tmp_path: Path) -> None:
        """A file without a collection says nothing."""
        with pytest.raises(InputError, match="at least one"):
            write(tmp_path / "a.h5", {})

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"method": "magic"}, "method 'magic' is not one of fov-sector"),
            ({"params": {"x": math.nan}}, "params cannot be stored as JSON"),
            ({"params": {"x": object()}}, "object has no JSON form"),
            ({"params": {"x": "\ud800"}}, "params cannot be stored as JSON"),
            ({"query_extent": np.array([1, -1, 1.0])}, "queries: extent of row 1 is -1.0"),
            ({"database_extent": np.array([1, 1, np.inf])}, "database: extent of row 2 is inf"),
        ],
    )
    def test_descriptions(self, tmp_path: Path, changes: dict[str, Any], match: str) -> None:
        """What cannot be stored around the pairs is refused too."""
        source = self.source([0, 0, 0], [], [])
        self.refused(tmp_path, replace(source, collection=replace(source.collection, **changes)), match)

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"key": np.array(["a\0b", "c"])}, "'a\\\\x00b' holds a NUL"),
            ({"key": ["\udc80", "c"]}, "not valid Unicode"),
            ({"crs": "EPSG\0"}, "crs.*NUL"),
            ({"extra": {"key": np.zeros(2)}}, "extra column 'key' has a name"),
            ({"extra": {"a/b": np.zeros(2)}}, "extra column 'a/b' has a name"),
            ({"extra": {"when": np.zeros(2, "M8[s]")}}, r"extra column 'when': has type datetime64"),
            ({"extra": {"z": np.zeros(2, complex)}}, "extra column 'z': has type complex128"),
            ({"extra": {"o": np.array([1, "a"], object)}}, "extra column 'o': has type object"),
            ({"extra": {"s": np.array(["a\0b", "c"])}}, "extra column 's'.*NUL"),
        ],
    )
    def test_cameras(self, tmp_path: Path, changes: dict[str, Any], match: str) -> None:
        """Keys and columns that HDF5 text or numbers cannot hold are refused by name."""
        fields = {"key": ["a", "b"], "position": np.zeros((2, 2)), "heading_deg": [0, 0], **changes}
        cameras = Cameras(**fields)
        c = Collection(cameras, cameras, np.ones(2), np.ones(2), "fov-sector", "iou")
        self.refused(tmp_path, Blocks(c, []), match)

    def test_frames_that_differ(self, tmp_path: Path) -> None:
        """Queries and database are in one frame."""
        source = self.source([0, 0, 0], [], [])
        c = source.collection
        moved = Cameras(key=["x"], position=[[0, 0]], heading_deg=[0], crs="EPSG:4978")
        other = replace(c, database=moved, database_extent=np.ones(1))
        self.refused(tmp_path, Blocks(other, []), "queries are in 'local' and the database is in 'EPSG:4978'")

    def test_provenance(self, tmp_path: Path) -> None:
        """A record that is not as the format says is refused before any work."""
        with pytest.raises(InputError, match="provenance: software is missing"):
            write(tmp_path / "a.h5", {"a": similarity()}, provenance=[{"command": "x"}])
        assert list(tmp_path.iterdir()) == []

    def test_threads(self, tmp_path: Path) -> None:
        """At least one thread is needed."""
        with pytest.raises(OptionError, match="threads is 0"):
            write(tmp_path / "a.h5", {"a": similarity()}, threads=0)
        assert list(tmp_path.iterdir()) == []

    def test_object_columns_of_text(self, tmp_path: Path) -> None:
        """Text in an object array, as pandas and pyarrow make it, is text."""
        cameras = Cameras(
            key=["a"], position=[[0, 0]], heading_deg=[0], extra={"path": np.array(["é.jpg"], dtype=object)}
        )
        c = Collection(cameras, cameras, np.ones(1), np.ones(1), "fov-sector", "iou")
        empty = Blocks(c, [RowBlock(0, np.zeros(1, int), np.zeros(0, int), np.zeros(0))])
        stored = LabelFile(write(tmp_path / "a.h5", {"a": empty}))["a"]
        assert stored.query.extra["path"].tolist() == ["é.jpg"]


def sorted_matrix(matrix: sparse.csr_array) -> sparse.csr_array:
    matrix = sparse.csr_array(matrix)
    matrix.sort_indices()
    return matrix


def test_a_rule_without_its_columns(tmp_path: Path) -> None:
    """A collection that excludes pairs by columns that it does not have is not written."""
    psi = similarity()
    psi = Similarity(replace(psi.collection, params={"min_frame_gap": 2}), psi.matrix)
    with pytest.raises(InputError, match="collection 'a': the query cameras have no column 'sequence'"):
        write(tmp_path / "x.h5", {"a": psi})
    assert list(tmp_path.iterdir()) == []
