"""Small files that inflate to large arrays are refused before the memory is taken, by validator and reader alike."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from relabel.cameras import Cameras
from relabel.errors import InputError, LabelFileError
from relabel.fixed_width import MOST_BYTES
from relabel.labelfile import LabelFile, hdf, validate, write
from relabel.labelfile.camera_table import read_table
from relabel.labelfile.schema import ROW_BYTES
from relabel.similarity import Similarity
from tests.labelfile.sources import errors
from tests.similarities import similarity

N = 9
PLAIN = similarity(N, 7, seed=4)
MIB = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "labels.h5", {"amman": PLAIN})


def zeros(group: h5py.Group, name: str, shape: tuple[int, ...], chunk: tuple[int, ...], dtype: object) -> None:
    """Store chunks of zeros, compressed: a thousandth of what they claim."""
    if name in group:
        del group[name]
    group.create_dataset(name, shape=shape, chunks=chunk, dtype=dtype, compression="gzip", compression_opts=9)
    blank = np.zeros(chunk, group[name].dtype)
    for place in np.ndindex(*(-(-n // side) for n, side in zip(shape, chunk, strict=True))):
        part = tuple(slice(i * s, min(n, (i + 1) * s)) for i, s, n in zip(place, chunk, shape, strict=True))
        group[name][part] = blank[tuple(slice(0, p.stop - p.start) for p in part)]


def refused(path: Path, message: str, most: int, read: Callable[[], object]) -> None:
    """Both the validator and `read` say so, and take at most so many bytes of memory (those of NumPy) for it."""
    tracemalloc.start()
    try:
        assert any(message in finding for finding in errors(validate(path))), errors(validate(path))
        with pytest.raises(LabelFileError) as caught:
            read()
        assert message in str(caught.value)
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


class TestFurtherColumns:
    """Columns without a meaning of their own."""

    def test_wide_rows(self, path: Path) -> None:
        """A row of 16 MB, of which a file holds 16 kB."""
        with h5py.File(path, "r+") as file:
            zeros(file["amman/queries"], "weather", (N, 2_000_000), (1, 2_000_000), "<f8")
        refused(path, "takes 16,000,000 bytes per row; at most 60,000", 4 * MIB, lambda: LabelFile(path)["amman"].query)

    def test_large_chunks(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """HDF5 inflates a chunk whole."""
        monkeypatch.setattr(hdf, "LARGE_BYTES", 100_000)
        with h5py.File(path, "r+") as file:
            zeros(file["amman/queries"], "weather", (N, 7000), (N, 7000), "<f8")
        refused(path, "chunks that inflate to 504,000 bytes", 4 * MIB, lambda: LabelFile(path)["amman"].query)

    def test_many_together(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ten columns of 90 kB are more than is allowed, though none is by itself; text counts as in memory."""
        monkeypatch.setattr(hdf, "_MOST_FURTHER", (N * 10_000 * 10 - 1, 512, 100))
        text = h5py.string_dtype("utf-8", 2500)
        with h5py.File(path, "r+") as file:
            for i in range(5):
                zeros(file["amman/queries"], f"number{i}", (N, 1250), (N, 1250), "<f8")
                zeros(file["amman/queries"], f"text{i}", (N,), (N,), text)
        message = "the further columns would take 900,000 bytes of memory"
        refused(path, message, 4 * MIB, lambda: LabelFile(path)["amman"].query)
        monkeypatch.setattr(hdf, "_MOST_FURTHER", (N * 10_000 * 10, 512, 100))
        assert not [finding for finding in errors(validate(path)) if "further columns" in finding]

    def test_columns_of_one_value(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What real tables hold is read however well it shrinks: up to 512 bytes a camera."""
        monkeypatch.setattr(hdf, "_MOST_FURTHER", (0, 512, 100))
        n = 2000
        cameras = Cameras([f"k{i}" for i in range(n)], np.zeros((n, 2)), heading_deg=np.zeros(n),
                          extra={"city": np.full(n, "x" * 64), "number": np.zeros(n)})  # fmt: skip
        plain = similarity(n, 7, density=0.0)
        collection = plain.collection.__class__(cameras, plain.collection.database, np.zeros(n),
                                                plain.collection.database_extent, "fov-sector", "iou")  # fmt: skip
        file = write(tmp_path / "a.h5", {"a": Similarity(collection, plain.matrix)})
        assert LabelFile(file)["a"].query.extra["city"].tolist() == ["x" * 64] * n


class TestCameras:
    """The keys vouch for the memory of all that has a row a camera."""

    def test_rows_without_keys(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Millions of rows whose keys are all empty: nothing of that length is read."""
        monkeypatch.setattr(hdf, "LARGE_BYTES", MIB)
        monkeypatch.setattr(hdf, "_BLOCK_BYTES", 100_000)
        rows = 2_000_000
        with h5py.File(path, "r+") as file:
            zeros(file["amman/queries"], "key", (rows,), (100_000,), h5py.string_dtype("utf-8", 1))
            zeros(file["amman/queries"], "status", (rows,), (100_000,), "u1")
            zeros(file["amman/queries"], "position", (rows, 3), (30_000, 3), "<f8")
            zeros(file["amman/similarity"], "indptr", (rows + 1,), (100_000,), "<i4")
            file["amman/similarity"].attrs["shape"] = np.array([rows, 7])
        message = "holds keys that are empty or repeated;"
        labels = LabelFile(path)["amman"]
        for read in (lambda: labels.query, lambda: labels.row(0), lambda: next(labels.blocks()), labels.row_counts):
            refused(path, message, 4 * MIB, read)

    def test_repeated_keys(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rows that repeat a key are as cheap to store."""
        monkeypatch.setattr(hdf, "LARGE_BYTES", 1000)
        monkeypatch.setattr(hdf, "_BLOCK_BYTES", 400)
        with h5py.File(path, "r+") as file:
            del file["amman/queries/key"]
            keys = np.array([b"%06d" % (i % 900) for i in range(1000)], h5py.string_dtype("utf-8", 6))
            keys[500] = keys[499]
            file["amman/queries"].create_dataset("key", data=keys)
        with h5py.File(path) as file, pytest.raises(LabelFileError, match="repeated;"):
            hdf.check_keys(file["amman/queries/key"])

    def test_one_long_key(self, tmp_path: Path, path: Path) -> None:
        """One key of 20,000 letters among many short ones: neither written nor read."""
        n = MOST_BYTES // 80_000 + 1
        keys = np.full(n, "k", "<U20000")
        keys[:] = np.arange(n).astype(np.str_)
        keys[2] = "k" * 20_000
        with pytest.raises(InputError, match=r"row 2 .* a text of 20,000 characters in a column of 3,356 .* shorten"):
            write(tmp_path / "new.h5", {"a": _of_keys(keys)})
        with h5py.File(path, "r+") as file:
            del file["amman/queries/key"]
            text = h5py.string_dtype("utf-8", 20_000)
            file["amman/queries"].create_dataset("key", data=np.char.encode(keys).astype(text), compression="gzip")
        assert any("a text of 20,000 characters" in finding for finding in errors(validate(path)))
        with h5py.File(path) as file, pytest.raises(LabelFileError, match="a text of 20,000 characters"):
            read_table(file["amman/queries"], "local", newer=False, posed=True)

    @pytest.mark.parametrize("letter", ["k", "é"])
    def test_longest_key(self, tmp_path: Path, letter: str) -> None:
        """60,000 bytes of UTF-8 are stored, and one more is refused; the row is named."""
        size = ROW_BYTES // len(letter.encode())
        labels = LabelFile(write(tmp_path / "a.h5", {"a": _of_keys(["a", letter * size])}))
        assert labels["a"].query.key.tolist() == ["a", letter * size]
        with pytest.raises(InputError, match=r"key: row 1 \(counted from 0\): a text of 60,00\d|key: row 1.* 60,00\d"):
            write(tmp_path / "b.h5", {"a": _of_keys(["a", letter * size + "k"])})

    def test_large_further_column(self, tmp_path: Path) -> None:
        """The writer refuses rows that no reader takes."""
        cameras = Cameras(["a"], np.zeros((1, 2)), heading_deg=[0.0], extra={"x": np.zeros((1, 7501))})
        with pytest.raises(InputError, match=r"'x': has shape \(1, 7501\); a row can hold at most 60,000 bytes"):
            write(tmp_path / "a.h5", {"a": _of(cameras)})


class TestPairs:
    """The matrix."""

    def test_more_pairs_than_columns(self, path: Path) -> None:
        """A row of many pairs is one block in memory; columns differ, so that it cannot have more than there are."""
        count = 100_000
        with h5py.File(path, "r+") as file:
            group = file["amman/similarity"]
            for name, dtype in (("indices", "<i4"), ("data", "<f4")):
                zeros(group, name, (count,), (10_000,), dtype)
            indptr = np.full(N + 1, count, "<i4")
            indptr[0] = 0
            group["indptr"][:] = indptr
            file["amman"].attrs["nnz"] = np.int64(count)
        assert any(
            "gives a row 100,000 pairs, but there are 7 columns" in finding for finding in errors(validate(path))
        )
        with pytest.raises(LabelFileError, match=r"gives row 0 .* 100,000 pairs, but there are 7 columns"):
            LabelFile(path)["amman"].row(0)


def _of(cameras: Cameras) -> Similarity:
    plain = similarity(len(cameras), 7, density=0.0)
    c = plain.collection
    extent = np.zeros(len(cameras))
    collection = c.__class__(cameras, c.database, extent, c.database_extent, "fov-sector", "iou")
    return Similarity(collection, plain.matrix)


def _of_keys(keys: object) -> Similarity:
    n = len(keys)  # type: ignore[arg-type]
    return _of(Cameras(keys, np.zeros((n, 2)), heading_deg=np.zeros(n)))  # type: ignore[arg-type]
