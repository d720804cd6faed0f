from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.cameras import Status
from relabel.errors import FormatTooNewError, LabelFileError, MissingFileError, NotFoundError, OptionError
from relabel.labelfile import (
    KeptOpen,
    LabelFile,
    StoredCollection,
    open_address,
    open_collections,
    provenance,
    validate,
    write,
)
from relabel.labelfile.schema import stored_text, utf8_type
from relabel.report.hdf5_tree import tree as hdf5_tree
from relabel.similarity import Similarity
from tests.labelfile.sources import Cut, assert_same, assert_same_pairs, similarities
from tests.open_files import handles_on
from tests.similarities import similarity


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with two collections."""
    sources = {"amman": similarity(20, 30, seed=1), "redkitchen/train": similarity(9, self_pairs=True)}
    return write(tmp_path / "labels.h5", sources, provenance=[provenance.step("relabel msls", {"radius_m": 50})])


def changed(path: Path, name: str, value: Any, node: str = "/") -> Path:
    with h5py.File(path, "r+") as file:
        if value is None:
            del file[node].attrs[name]
        else:
            file[node].attrs[name] = stored_text(value) if isinstance(value, str) else value
    return path


class TestLabelFile:
    def test_is_a_mapping(self, path: Path) -> None:
        """Names can be listed, counted and asked for, nested ones by their whole path."""
        labels = LabelFile(path)
        assert list(labels) == ["amman", "redkitchen/train"]
        assert len(labels) == 2
        assert "amman" in labels
        assert "redkitchen" not in labels
        assert 3 not in labels
        assert labels.path == path
        assert labels.format_version == "1.0"
        assert labels.writer.startswith("relabel ")
        assert [record["command"] for record in labels.provenance()] == ["relabel msls"]
        assert labels["redkitchen/train"].name == "redkitchen/train"

    @pytest.mark.parametrize("locking", [None, True, False, "best-effort"])
    @pytest.mark.parametrize("mode", ["r", "r+"])
    def test_open_in_this_process(self, path: Path, mode: str, locking: Any) -> None:
        """A file that its user has open with h5py, locked or not, is no damaged one."""
        with h5py.File(path, mode, locking=locking) as opened:
            assert list(LabelFile(path)) == ["amman", "redkitchen/train"]
            assert LabelFile(path)["amman"].shape == (20, 30)
            assert validate(path, level="content").valid
            assert hdf5_tree(path)["kind"] == "group"
            assert opened["amman"]

    def test_a_wrong_name_lists_the_right_ones(self, path: Path) -> None:
        """The error names the file, the wrong and the right names, and is a KeyError."""
        with pytest.raises(NotFoundError, match=r"labels\.h5.*'berlin'; there are amman, redkitchen/train") as caught:
            LabelFile(path)["berlin"]
        assert isinstance(caught.value, KeyError)

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there is a FileNotFoundError with its name."""
        with pytest.raises(MissingFileError, match=r"nothing\.h5: there is no such file") as caught:
            LabelFile(tmp_path / "nothing.h5")
        assert isinstance(caught.value, FileNotFoundError)

    @pytest.mark.parametrize(
        ("content", "match"),
        [
            (b"", "is empty"),
            (b"key,east,north\na,1,2\n", "is a text file; a label file is HDF5"),
            ("ä".encode() * 1000, "is a text file"),
            (b"x" + "ä".encode() * 1000, "is a text file"),
            (b"\x00\x01\x02" * 100, "is not an HDF5 file"),
            (b"\xff" * 1024, "is not an HDF5 file"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git lfs pull"),
            (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "is truncated or damaged"),
        ],
    )
    def test_other_files(self, tmp_path: Path, content: bytes, match: str) -> None:
        """What is no HDF5 file is told apart, with the file's name in front."""
        path = tmp_path / "odd.h5"
        path.write_bytes(content)
        with pytest.raises(LabelFileError, match=rf"odd\.h5: {match}|odd\.h5: .*{match}"):
            LabelFile(path)

    def test_a_folder(self, tmp_path: Path) -> None:
        """A folder is no label file."""
        with pytest.raises(LabelFileError, match=r"is a folder without manifest\.json; name a label file"):
            LabelFile(tmp_path)

    def test_other_hdf5(self, tmp_path: Path) -> None:
        """HDF5 of another kind is said to be that."""
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["fov"] = np.zeros(3)
        with pytest.raises(LabelFileError, match=r"other\.h5: is HDF5, but not a label file"):
            LabelFile(tmp_path / "other.h5")

    @pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
    def test_truncated(self, path: Path, share: float) -> None:
        """A file that ends early is told as such wherever it ends."""
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        with pytest.raises(LabelFileError, match=r"labels\.h5: is truncated or damaged.*fetch it again"):
            LabelFile(path)

    @pytest.mark.parametrize(
        ("attribute", "value", "match"),
        [
            ("format", "cooler", "'format': is 'cooler'; a label file has 'relabel.labels'"),
            ("format_version", "one", "is 'one'; expected one like 1.0"),
            ("format_version", "0.9", "0.9, which was never published"),
            ("format_version", None, "'format_version': is missing"),
            ("format_version", np.zeros(2), "'format_version': is not one text"),
            ("complete", 0, "was not written completely"),
            ("complete", None, "'complete': is missing"),
            ("complete", "1", "'complete': is not one whole number"),
            ("writer", None, "'writer': is missing"),
        ],
    )
    def test_bad_headers(self, path: Path, attribute: str, value: Any, match: str) -> None:
        """Each attribute of the header is checked."""
        with pytest.raises(LabelFileError, match=match):
            LabelFile(changed(path, attribute, value))

    def test_a_newer_major(self, path: Path) -> None:
        """A newer major version is refused with both versions."""
        with pytest.raises(FormatTooNewError, match=r"labels\.h5: is of format version 2\.3.*1\.0: update relabel"):
            LabelFile(changed(path, "format_version", "2.3"))

    def test_a_newer_minor(self, path: Path) -> None:
        """A newer minor version is read; what it added is passed over, and a status to come is not ok."""
        with h5py.File(path, "r+") as file:
            file["amman/queries/whole_new"] = np.zeros((2, 2), np.complex64)
            file["amman/queries"].create_group("thumbnails")
            file["amman/landmarks"] = np.arange(3)
            file["amman"].attrs["mood"] = "good"
            file.create_group("index")
            status = file["amman/queries/status"][:]
            known = status.copy()
            status[3] = 99
            del file["amman/queries/status"]
            file["amman/queries/status"] = status
        labels = LabelFile(changed(path, "format_version", "1.7"))
        assert list(labels) == ["amman", "redkitchen/train"]
        query = labels["amman"].query
        assert query.extra == {}
        assert query.status[3] == Status.MASKED
        assert np.delete(query.status, 3).tolist() == np.delete(known, 3).tolist()

    def test_variable_length_attributes(self, path: Path) -> None:
        """Text attributes of variable length, which other writers may make, are read too."""
        with h5py.File(path, "r+") as file:
            for node in (file, file["amman"], file["amman/similarity"]):
                for name, value in node.attrs.items():
                    if isinstance(value, bytes):
                        node.attrs[name] = value.decode()
        assert LabelFile(path)["amman"].measure == "iou"

    def test_links_to_elsewhere_are_not_followed(self, path: Path, tmp_path: Path) -> None:
        """Neither soft nor external links make a collection, nor do cycles of hard links trap the reader."""
        with h5py.File(path, "r+") as file:
            file["soft"] = h5py.SoftLink("/amman")
            file["external"] = h5py.ExternalLink(str(tmp_path / "x.h5"), "/amman")
            file["redkitchen/loop"] = file["redkitchen"]
            file["root"] = file["/"]
            del file["amman/similarity/data"]
            file["amman/similarity/data"] = h5py.SoftLink("/amman/similarity/indices")
        labels = LabelFile(path)
        assert list(labels) == ["amman", "redkitchen/train"]
        with pytest.raises(LabelFileError, match="amman/similarity/data: is a soft link to"):
            labels["amman"].to_scipy()

    def test_pickles(self, path: Path) -> None:
        """The copy reads the same file."""
        copy = pickle.loads(pickle.dumps(LabelFile(path)))
        assert list(copy) == ["amman", "redkitchen/train"]


class TestStoredCollection:
    def test_describes_itself(self, path: Path) -> None:
        """What was compared and how can be read without reading the pairs."""
        source = similarity(20, 30, seed=1)
        stored = LabelFile(path)["amman"]
        assert (stored.name, stored.shape, stored.nnz) == ("amman", (20, 30), source.matrix.nnz)
        assert (stored.method, stored.measure, stored.crs) == ("fov-sector", "iou", "local")
        assert stored.params == {"fov_deg": 90.0, "radius_m": 50.0}
        assert (stored.min_value, stored.symmetric, stored.self_pairs) == (1e-6, False, False)
        assert len(stored.content_sha256) == 64
        assert_same(stored.to_similarity(), source)
        assert stored.query_extent.shape == (20,)
        assert stored.database_extent.shape == (30,)
        assert "amman" in repr(stored)

    @settings(max_examples=25)
    @given(source=similarities(max_size=8))
    def test_rows_are_those_of_the_matrix(self, source: Similarity, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Each row, by key or number, holds the stored values of the matrix, best first, ties in database order."""
        path = write(tmp_path_factory.mktemp("rows") / "a.h5", {"a": source})
        stored = LabelFile(path)["a"]
        dense = source.matrix.toarray()
        for i, key in enumerate(source.collection.query.key.tolist()):
            columns = [j for j in range(dense.shape[1]) if dense[i, j]]
            columns.sort(key=lambda j: (-dense[i, j], j))
            for query in (i, key):
                keys, values = stored.row(query)
                assert keys.tolist() == source.collection.database.key[columns].tolist()
                assert values.tolist() == dense[i, columns].tolist()
                assert values.dtype == np.float32

    @pytest.mark.parametrize("name", ["amman", "redkitchen/train"])
    def test_cameras_without_keys(self, path: Path, name: str) -> None:
        """They say the same of every camera but its key, and keys of some rows are those of the cameras."""
        stored = open_address(f"{path}::{name}")
        numbered = stored.numbered_cameras()
        for side, (cameras, named) in enumerate(zip(numbered, (stored.query, stored.database), strict=True)):
            assert cameras.key.tolist() == [str(row) for row in range(len(named))]
            for column in ("position", "heading_deg", "status", "fov_deg", "radius_m", "pose"):
                np.testing.assert_array_equal(getattr(cameras, column), getattr(named, column))
            assert not cameras.extra
            assert stored.keys_of([4, 0, 4], database=side == 1) == named.key[[4, 0, 4]].tolist()
        assert (numbered[0] is numbered[1]) == stored.self_pairs

    def test_a_numpy_number_is_a_row(self, path: Path) -> None:
        """Row numbers may come from numpy."""
        stored = LabelFile(path)["amman"]
        assert stored.row(np.int64(3))[0].tolist() == stored.row(3)[0].tolist()

    @pytest.mark.parametrize(
        ("query", "match"),
        [
            ("nobody", r"labels\.h5::amman: there is no query 'nobody'; there are q0000, q0001.* and 10 more"),
            ("d0001", "'d0001'; it is a database camera, not a query"),
            ("", "there is no query ''"),
            ("q0000\0", "there is no query"),
            ("q" * 500, "there is no query"),
            ("\ud800", "there is no query"),
            (20, "there is no row 20; there are 0 to 19"),
            (-1, "there is no row -1"),
        ],
    )
    def test_unknown_queries(self, path: Path, query: str | int, match: str) -> None:
        """The error names file and collection and shows what keys look like."""
        with pytest.raises(NotFoundError, match=match):
            LabelFile(path)["amman"].row(query)

    @settings(max_examples=15)
    @given(source=similarities(), rows=st.none() | st.integers(1, 7))
    def test_blocks_are_all_rows_in_order(
        self, source: Similarity, rows: int | None, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """Put together, the blocks are the matrix; none has more rows than asked for."""
        stored = LabelFile(write(tmp_path_factory.mktemp("blocks") / "a.h5", {"a": source}))["a"]
        first = 0
        for block in stored.blocks(rows):
            assert block.first_row == first
            part = source.matrix[first : first + len(block.counts)]
            assert block.counts.tolist() == np.diff(part.indptr).tolist()
            assert block.indices.tolist() == part.indices.tolist()
            assert block.data.tolist() == part.data.tolist()
            assert 1 <= len(block.counts) <= (rows or first + len(block.counts))
            first += len(block.counts)
        assert first == source.shape[0]

    def test_blocks_of_some_rows(self, path: Path) -> None:
        """A span of rows is read in blocks as the whole is, with the numbers of its rows."""
        stored = LabelFile(path)["amman"]
        matrix = stored.to_scipy()
        assert stored.row_counts().tolist() == np.diff(matrix.indptr).tolist()
        blocks = list(stored.blocks(3, first_row=5, stop_row=13))
        assert [(block.first_row, len(block.counts)) for block in blocks] == [(5, 3), (8, 3), (11, 2)]
        part = matrix[5:13]
        assert np.concatenate([block.indices for block in blocks]).tolist() == part.indices.tolist()
        (one,) = stored.blocks(first_row=5, stop_row=13)
        assert one.data.tolist() == part.data.tolist()
        assert list(stored.blocks(first_row=5, stop_row=5)) == []

    def test_blocks_of_many_pairs_are_cut(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without a number of rows, blocks are cut by their pairs, and a row is never split."""
        monkeypatch.setattr("relabel.labelfile.collection._BLOCK_ENTRIES", 10)
        stored = LabelFile(path)["amman"]
        blocks = list(stored.blocks())
        assert len(blocks) > 3
        assert sum(len(block.counts) for block in blocks) == 20
        assert all(len(block.data) <= 10 or len(block.counts) == 1 for block in blocks)

    def test_no_rows_a_block(self, path: Path) -> None:
        """A block has at least one row."""
        with pytest.raises(OptionError, match="rows_per_block is 0"):
            list(LabelFile(path)["amman"].blocks(0))

    def test_pickles_without_what_it_has_read(self, path: Path) -> None:
        """The copy is small however many cameras have been read, and reads the same."""
        stored = LabelFile(path)["amman"]
        before = len(pickle.dumps(stored))
        keys, values = stored.row(3)
        assert len(stored.query) == 20
        data = pickle.dumps(stored)
        assert len(data) <= before + 10
        copy = pickle.loads(data)
        assert copy.row(3)[0].tolist() == keys.tolist()
        assert copy.row(3)[1].tolist() == values.tolist()

    def test_workers_read_at_the_same_time(self, path: Path) -> None:
        """Four spawned processes read rows of one collection that was pickled to them, and of one that is kept open."""
        stored = LabelFile(path)["amman"]
        with multiprocessing.get_context("spawn").Pool(4) as pool, stored.kept_open() as kept:
            kept.row(0)
            rows = pool.map(stored.row, range(20), chunksize=1) + pool.map(kept.row, range(20), chunksize=2)
        for number, (keys, values) in enumerate(rows):
            assert keys.tolist() == stored.row(number % 20)[0].tolist()
            assert values.tolist() == stored.row(number % 20)[1].tolist()

    def test_no_handle_stays_open(self, path: Path) -> None:
        """Between calls and between blocks the file is not open."""
        stored = LabelFile(path)["amman"]
        stored.row(0)
        for _ in stored.blocks(5):
            assert handles_on(path) == 0

    def test_other_content_under_the_same_name(self, path: Path) -> None:
        """A collection that was replaced since it was opened is noticed, one with the same content is not."""
        stored = LabelFile(path)["amman"]
        stored.row(0)
        write(path, {"amman": Cut(similarity(20, 30, seed=1), [1]), "x": similarity()}, overwrite=True)
        stored.row(0)
        write(path, {"amman": similarity(20, 30, seed=2)}, overwrite=True)
        with pytest.raises(LabelFileError, match=r"labels\.h5: /amman: has changed since it was opened"):
            stored.row(0)
        path.unlink()
        with pytest.raises(MissingFileError):
            stored.row(0)

    def test_damaged_chunks(self, path: Path) -> None:
        """A chunk that fails its checksum is an error that names file and dataset."""
        with h5py.File(path) as file:
            info = file["amman/similarity/data"].id.get_chunk_info(0)
        data = bytearray(path.read_bytes())
        data[info.byte_offset + info.size // 2] ^= 1
        path.write_bytes(data)
        stored = LabelFile(path)["amman"]
        with pytest.raises(LabelFileError, match=r"labels\.h5: /amman/similarity/data: cannot be read"):
            stored.row(0)

    @pytest.mark.parametrize(
        ("dataset", "position", "value", "match"),
        [
            ("similarity/indptr", 4, 10**9, "indptr: does not rise"),
            ("similarity/indices", 0, 1000, "columns that do not exist"),
            ("similarity/indices", 0, -5, "columns that do not exist"),
            ("similarity/indices", 1, 0, r"out of order or repeated in row 0 \("),
            ("similarity/data", 2, np.nan, "values outside"),
            ("similarity/data", 2, 1.5, "values outside"),
        ],
    )
    def test_values_that_would_lead_astray(
        self, path: Path, dataset: str, position: int, value: float, match: str
    ) -> None:
        """Numbers that point outside of the arrays, are out of order or no ψ are errors, not wrong rows."""
        with h5py.File(path, "r+") as file:
            file["amman"][dataset][position] = value
        with pytest.raises(LabelFileError, match=match):
            LabelFile(path)["amman"].to_scipy()

    @pytest.mark.parametrize(
        ("dataset", "values", "match"),
        [
            (
                "queries/key",
                np.array([b"same"] * 20, utf8_type(4)),
                "amman/queries: key 'same' is in rows",
            ),
            (
                "queries/key",
                np.array([b"\xff%d" % i for i in range(20)], utf8_type(4)),
                "cannot be read",
            ),
            ("queries/key", np.arange(20), "queries/key: has type int64; expected utf-8"),
            ("queries/status", np.full(20, 77, np.uint8), "amman/queries: status holds 77"),
            ("queries/position", np.zeros((20, 2)), r"position: has shape \(20, 2\); expected \(20, 3\)"),
            ("queries/heading_deg", np.zeros(19), r"heading_deg: has shape \(19,\); expected \(20\)"),
            ("queries/extent", np.zeros(20, np.float32), "extent: has type float32; expected float64"),
            ("queries/extent", None, "amman/queries/extent: the dataset is missing"),
        ],
    )
    def test_bad_tables(self, path: Path, dataset: str, values: Any, match: str) -> None:
        """A camera table that breaks the format is an error that names the column."""
        with h5py.File(path, "r+") as file:
            del file["amman"][dataset]
            if values is not None:
                file["amman"].create_dataset(dataset, data=values, dtype=values.dtype)
        with pytest.raises(LabelFileError, match=match):
            LabelFile(path)["amman"].collection  # noqa: B018

    @pytest.mark.parametrize(
        ("attribute", "value", "match"),
        [
            ("params", "[1]", "'params': is not a JSON object"),
            ("params", "{", "'params': cannot be read"),
            ("measure", "jaccard", "measure 'jaccard' is not known"),
            ("min_value", 2.0, "min_value is 2.0"),
            ("nnz", 3, r"indices: has shape .*; expected \(3\)"),
            ("nnz", 3.5, "'nnz': is not one whole number"),
            ("crs", None, "'crs': is missing"),
        ],
    )
    def test_bad_attributes(self, path: Path, attribute: str, value: Any, match: str) -> None:
        """An attribute that breaks the format is an error that names it."""
        changed(path, attribute, value, "amman")
        with pytest.raises(LabelFileError, match=match):
            LabelFile(path)["amman"].collection  # noqa: B018

    def test_to_similarity_converts(self, path: Path) -> None:
        """What was read converts to another measure."""
        assert LabelFile(path)["amman"].to_similarity().to_measure("dice").collection.measure == "dice"

    def test_to_scipy(self, path: Path) -> None:
        """All values at once."""
        assert_same_pairs(LabelFile(path)["amman"].to_scipy(), similarity(20, 30, seed=1).matrix)


def rows_by_queue(kept: KeptOpen, numbers: range, queue: Any) -> None:
    queue.put([[part.tolist() for part in kept.row(n)] for n in numbers])


class TestKeptOpen:
    def test_reads_the_same(self, path: Path) -> None:
        """Rows, blocks, cameras and other measures are those of the collection; the file stays open to the end."""
        stored = LabelFile(path)["amman"]
        with stored.kept_open() as kept:
            for number, key in enumerate(stored):
                assert [part.tolist() for part in kept.row(key)] == [part.tolist() for part in stored.row(number)]
                assert handles_on(path) == 1
            assert_same_pairs(kept.to_scipy(), stored.to_scipy())
            assert kept.in_measure("dice").row(2)[1].tolist() == stored.in_measure("dice").row(2)[1].tolist()
            assert kept.query.key.tolist() == list(kept) == list(stored)
            kept.check_content()
        assert handles_on(path) == 0
        assert kept.row(1)[1].tolist() == stored.row(1)[1].tolist()
        kept.close()
        kept.close()
        assert handles_on(path) == 0

    def test_a_forked_process_opens_the_file_for_itself(self, path: Path) -> None:
        """Workers that were forked with an open one read at the same time as their parent."""
        context = multiprocessing.get_context("fork")
        with LabelFile(path)["amman"].kept_open() as kept:
            expected = [[part.tolist() for part in kept.row(n)] for n in range(20)]
            queue = context.Queue()
            workers = [context.Process(target=rows_by_queue, args=(kept, range(20), queue)) for _ in range(2)]
            for worker in workers:
                worker.start()
            here = [[part.tolist() for part in kept.row(n)] for n in range(20)]
            rows = [queue.get() for _ in workers]
            for worker in workers:
                worker.join()
            assert [*rows, here] == [expected] * 3
            assert handles_on(path) == 1

    def test_a_pickled_one_is_closed_and_kept_open(self, path: Path) -> None:
        """Pickles hold neither the file nor what was read; their copies keep the file open as well."""
        with LabelFile(path)["amman"].kept_open() as kept:
            before = len(pickle.dumps(kept))
            kept.row("q0000")
            data = pickle.dumps(kept)
            assert len(data) <= before + 10
        copy = pickle.loads(data)
        assert handles_on(path) == 0
        assert copy.row(3)[0].tolist() == kept.row(3)[0].tolist()
        assert isinstance(copy, KeptOpen)
        copy.close()

    def test_a_file_that_was_replaced(self, path: Path) -> None:
        """The same content is read on from the new file; other content, and none, is an error with the file's name."""
        kept = LabelFile(path)["amman"].kept_open()
        expected = kept.row(0)[1].tolist()
        write(path, {"amman": Cut(similarity(20, 30, seed=1), [1]), "x": similarity()}, overwrite=True)
        assert kept.row(0)[1].tolist() == expected
        assert handles_on(path) == 1
        write(path, {"amman": similarity(20, 30, seed=2)}, overwrite=True)
        with pytest.raises(LabelFileError, match=r"^\S+labels\.h5: /amman: has changed since it was opened"):
            kept.row(0)
        path.unlink()
        with pytest.raises(MissingFileError):
            kept.row(0)

    def test_damage_names_the_file_once(self, path: Path) -> None:
        """As without a kept file, whether it is damaged before or after it was opened."""
        with h5py.File(path, "r+") as file:
            file["amman/similarity/indices"][0] = 1000
        with LabelFile(path)["amman"].kept_open() as kept:
            for _ in range(2):
                with pytest.raises(LabelFileError, match=r"^\S+labels\.h5: /amman/\S+: has columns that do not exist"):
                    kept.row(0)

    def test_beside_h5py(self, path: Path) -> None:
        """What h5py has open in the same process, by its own setting of locks, can be read."""
        with h5py.File(path), LabelFile(path)["amman"].kept_open() as kept:
            assert len(kept.row(0)[0])


class TestOpenCollections:
    def test_one_or_all(self, path: Path) -> None:
        """A file gives all of its collections, an address one; a name of a file may itself look like an address."""
        assert [stored.name for stored in open_collections(path)] == ["amman", "redkitchen/train"]
        assert [stored.name for stored in open_collections(f"{path}::amman")] == ["amman"]
        odd = path.rename(path.with_name("a::b.h5"))
        assert len(open_collections(str(odd))) == 2


class TestOpenAddress:
    def test_names_a_collection(self, path: Path) -> None:
        """FILE::collection, nested names included."""
        assert open_address(f"{path}::amman").name == "amman"
        assert open_address(f"{path}::redkitchen/train").shape == (9, 9)

    def test_a_file_of_one_collection_needs_no_name(self, tmp_path: Path) -> None:
        """The file alone will do where there is no choice, as text or path, with '::' in its own name too."""
        path = write(tmp_path / "a::b.h5", {"only": similarity()})
        assert open_address(path).name == "only"
        assert open_address(f"{path}::only").name == "only"
        assert open_address(f"{path}::").name == "only"
        assert isinstance(open_address(path), StoredCollection)

    def test_a_file_of_several(self, path: Path) -> None:
        """Without a name the choices are listed."""
        with pytest.raises(NotFoundError, match=r"holds 2 collections; name one as .*::NAME: amman, redkitchen/train"):
            open_address(path)

    def test_a_wrong_name(self, path: Path) -> None:
        """A wrong name lists the right ones."""
        with pytest.raises(NotFoundError, match="'berlin'; there are amman"):
            open_address(f"{path}::berlin")

    def test_a_missing_file(self, tmp_path: Path) -> None:
        """A missing file is named without the collection."""
        with pytest.raises(MissingFileError, match=r"no\.h5: there is no such file"):
            open_address(f"{tmp_path / 'no.h5'}::a")
