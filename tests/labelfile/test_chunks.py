from __future__ import annotations

import itertools
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.errors import OptionError
from relabel.labelfile import chunks
from relabel.labelfile.chunks import (
    ChunkQueue,
    GrowingColumns,
    checksums,
    decoded,
    encoded,
    encoded_chunks,
    read_rows,
)
from relabel.labelfile.schema import FILTERS


def hdf5_checksum(data: bytes) -> int:
    """The checksum that the HDF5 library itself stores behind a chunk of these bytes."""
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        values = np.frombuffer(data, np.uint8)
        dataset = file.create_dataset("x", data=values, chunks=(len(values),), fletcher32=True)
        file.flush()
        return int.from_bytes(dataset.id.read_direct_chunk((0,))[1][-4:], "little")


def fletcher32(data: bytes) -> int:
    """The checksum of one chunk."""
    return checksums([data])[0]


def inflated(chunk: bytes, size: int) -> bytes | None:
    """The shuffled bytes of one chunk; None where it is refused."""
    into = np.empty((1, size), np.uint8)
    return into.tobytes() if decoded([chunk], into) else None


class TestChecksums:
    @given(st.lists(st.binary(min_size=1, max_size=5_000), min_size=1, max_size=5))
    def test_together_as_alone(self, together: list[bytes]) -> None:
        """Of chunks of any lengths, each gets its own checksum."""
        assert checksums(together) == [hdf5_checksum(chunk) for chunk in together]

    @given(st.binary(min_size=1, max_size=200))
    def test_is_that_of_hdf5(self, data: bytes) -> None:
        """Any bytes, of even and odd length, have the checksum that HDF5 gives them."""
        assert fletcher32(data) == hdf5_checksum(data)

    @pytest.mark.parametrize(
        "data",
        [
            *(b"\0" * 10, b"\xff" * 2, b"\xff" * 1001, b"\xff\xfe\0\x01", b"\xff" * 200_000, bytes(range(256)) * 700),
            np.random.default_rng(0).bytes(9_001),
        ],
    )
    def test_where_sums_wrap(self, data: bytes) -> None:
        """Sums that are multiples of 65535 and sums over long chunks are folded as HDF5 folds them."""
        assert fletcher32(data) == hdf5_checksum(data)


class TestEncoded:
    def test_undone_step_by_step(self) -> None:
        """Checksum, deflate and shuffle can be taken off again by hand."""
        values = np.arange(1000, dtype="<i4")
        chunk = encoded(values)
        assert fletcher32(chunk[:-4]) == int.from_bytes(chunk[-4:], "little")
        planes = np.frombuffer(zlib.decompress(chunk[:-4]), np.uint8).reshape(4, 1000)
        assert np.ascontiguousarray(planes.T).view("<i4").ravel().tolist() == values.tolist()

    @given(
        st.sampled_from(["<f4", "<f8", "<i4", "<i8", "S5", "?", "u1"]),
        st.sampled_from([1, 2, 300, 16_384]),
        st.lists(st.integers(0, 8), min_size=8, max_size=8),
        st.booleans(),
    )
    def test_zlib_inflates_it(self, dtype: str, rows: int, bits: list[int], fast: bool) -> None:
        """Whatever of the values is noise, of so many bits in each of the bytes of a number, or constant."""
        rng = np.random.default_rng(rows)
        size = np.dtype(dtype).itemsize
        letters = np.stack([rng.integers(2**n, size=rows, dtype=np.uint8) for n in bits[:size]], axis=1)
        packed = encoded(letters.view("u1" if dtype == "?" else dtype).ravel(), fast=fast)
        assert zlib.decompress(packed[:-4]) == letters.T.tobytes()
        assert inflated(packed, letters.size) == letters.T.tobytes()
        if not fast:
            assert len(packed) < 1.1 * len(zlib.compress(letters.T.tobytes(), 4)) + 100

    @given(st.sampled_from(["<f4", "<f8", "<i4", "S5"]), st.integers(1, 40), st.integers(1, 4), st.booleans())
    def test_together_as_alone(self, dtype: str, rows: int, count: int, fast: bool) -> None:
        """A chunk is the same bytes whatever others are encoded with it; some are noise and some constant."""
        rng = np.random.default_rng(rows)
        letters = rng.integers(256, size=(count, rows * np.dtype(dtype).itemsize), dtype=np.uint8)
        letters[rng.random(count) < 0.5] = 1
        values = letters.view(dtype).ravel()
        alone = [encoded(part, fast=fast) for part in values.reshape(count, rows)]
        assert encoded_chunks(values, rows, fast=fast) == alone

    def test_noise_is_stored_in_pieces(self) -> None:
        """Deflate counts the bytes of a stored block in 16 bits; chunks of positions have more."""
        values = np.random.default_rng(0).integers(2**63, size=(9_000, 3)).view(np.float64)
        planes = values.reshape(-1).view(np.uint8).reshape(-1, 8).T.tobytes()
        packed = encoded(values)
        assert planes[65_535:131_070] in packed
        assert zlib.decompress(packed[:-4]) == planes


class TestReadRows:
    """Compared with h5py, which reads the same file through HDF5's own filters."""

    @pytest.mark.parametrize(
        "values",
        [
            np.arange(-50, 50, dtype="<i4"),
            np.linspace(-1.0, 1.0, 100).astype(">f8"),
            np.array([f"{k}".encode() for k in range(100)]),
            np.arange(100) % 3 == 0,
            np.random.default_rng(0).normal(size=(100, 4, 4)),
        ],
        ids=["int", "big-endian", "text", "flag", "pose"],
    )
    def test_same_as_hdf5(self, tmp_path: Path, values: npt.NDArray[Any], monkeypatch: pytest.MonkeyPatch) -> None:
        """Of every type and shape, from any row to any other, in the middle of chunks and at the end of the last.

        One chunk or several are inflated at once.
        """
        with h5py.File(tmp_path / "a.h5", "w") as file:
            dataset = file.create_dataset("x", data=values, chunks=(7, *values.shape[1:]), **FILTERS)
            for first, stop in itertools.combinations((0, 6, 7, 50, 77, 98, 100), 2):
                monkeypatch.setattr(chunks, "BATCH_BYTES", values[:1].nbytes * 7 * (1 + stop % 4))
                read = read_rows(dataset, first, stop)
                assert read is not None
                assert read.dtype == dataset[first:stop].dtype
                np.testing.assert_array_equal(read, values[first:stop])

    @pytest.mark.parametrize(
        "storage",
        [
            {},
            {"chunks": (7,)},
            {"chunks": (7,), "compression": "gzip"},
            {"chunks": (7,), "shuffle": True, "compression": "gzip"},
            {"chunks": (7,), "shuffle": True, "compression": "lzf", "fletcher32": True},
        ],
    )
    def test_other_filters_are_left_to_hdf5(self, storage: dict[str, object]) -> None:
        with h5py.File("memory", "w", driver="core", backing_store=False) as file:
            assert read_rows(file.create_dataset("x", data=np.arange(100), **storage), 0, 100) is None

    def test_texts_of_other_kinds_are_left_to_hdf5(self) -> None:
        """It cuts a text that ends with a NUL there, which the bytes do not show."""
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(4)
        kind.set_strpad(h5py.h5t.STR_NULLTERM)
        with h5py.File("memory", "w", driver="core", backing_store=False) as file:
            dataset = file.create_dataset("x", (100,), dtype=h5py.Datatype(kind), chunks=(7,), **FILTERS)
            assert read_rows(dataset, 0, 100) is None

    def test_damage_is_left_to_hdf5(self, tmp_path: Path) -> None:
        """Whatever single byte of a chunk is changed, nothing wrong is read."""
        values = np.arange(100, dtype="<i4")
        with h5py.File(tmp_path / "a.h5", "w") as file:
            dataset = file.create_dataset("x", data=values, chunks=(7,), **FILTERS)
            chunk = dataset.id.read_direct_chunk((49,))[1]
            for at in range(len(chunk)):
                damaged = bytearray(chunk)
                damaged[at] ^= 4
                dataset.id.write_direct_chunk((49,), bytes(damaged))
                assert read_rows(dataset, 0, 100) is None, at
            unshuffled = file.create_dataset("y", (100,), "<i4", chunks=(7,), **FILTERS)
            for row in range(0, 100, 7):
                unshuffled.id.write_direct_chunk((row,), chunk, 1)  # without the first filter
            assert read_rows(unshuffled, 0, 100) is None

    def test_what_cannot_be_fetched_is_left_to_hdf5(self) -> None:
        """Such as chunks that are not there."""
        with h5py.File("memory", "w", driver="core", backing_store=False) as file:
            assert read_rows(file.create_dataset("x", (100,), "<i4", chunks=(7,), **FILTERS), 0, 100) is None

    def test_what_inflates_to_another_length(self) -> None:
        """A chunk that holds less or far more than it should is refused, and of the latter no more is inflated."""
        for size in (0, 27, 29, 1 << 26):
            packed = zlib.compress(bytes(size))
            assert inflated(packed + fletcher32(packed).to_bytes(4, "little"), 28) is None
        assert inflated(b"", 28) is None
        assert inflated(encoded(np.zeros(7, "<i4")), 28) == bytes(28)

    def test_memory_of_tiny_chunks(self, tmp_path: Path) -> None:
        """Chunks of one byte take no more memory at once than others."""
        values = np.arange(2_000, dtype=np.uint8)
        with h5py.File(tmp_path / "a.h5", "w") as file:
            dataset = file.create_dataset("x", data=values, chunks=(1,), **FILTERS)
            tracemalloc.start()
            try:
                np.testing.assert_array_equal(read_rows(dataset, 0, len(values)), values)
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert peak < 4 * chunks.BATCH_BYTES

    def test_one_of_many_is_damaged(self) -> None:
        """Whichever of the chunks that are inflated together it is."""
        whole = encoded_chunks(np.arange(28, dtype="<i4"), 7)
        assert decoded(whole, np.empty((4, 28), np.uint8))
        for number, chunk in enumerate(whole):
            for damaged in (chunk[:-1], chunk[:9] + b"!" + chunk[10:], chunk + bytes(1000), b""):
                others = [*whole[:number], damaged, *whole[number + 1 :]]
                assert not decoded(others, np.empty((4, 28), np.uint8))


class TestGrowingColumns:
    @pytest.mark.parametrize("lengths", [[], [0], [1], [16_384], [16_383, 1, 1], [5, 40_000, 0, 16_384 * 2 - 5]])
    def test_hdf5_reads_what_was_appended(self, tmp_path: Path, lengths: list[int]) -> None:
        """Whatever the blocks, the datasets hold their entries, one behind the other."""
        rng = np.random.default_rng(len(lengths))
        blocks = [(rng.integers(0, 2**31, n, dtype=np.int32), rng.random(n, dtype=np.float32)) for n in lengths]
        types = {"i": "int32", "x": "float32"}
        with h5py.File(tmp_path / "a.h5", "w") as file, ChunkQueue(threads=2) as queue:
            columns = GrowingColumns(file, types, queue)
            for block in blocks:
                columns.append(block)
            assert columns.finish() == sum(lengths)
            queue.finish()
        with h5py.File(tmp_path / "a.h5") as file:
            for name, at in (("i", 0), ("x", 1)):
                expected = np.concatenate([np.zeros(0, file[name].dtype), *(block[at] for block in blocks)])
                np.testing.assert_array_equal(file[name][:], expected)


class TestChunkQueue:
    def test_threads(self) -> None:
        """At least one thread is needed."""
        with pytest.raises(OptionError, match="threads is 0"):
            ChunkQueue(threads=0)

    @pytest.mark.parametrize("rows", [1, 7, 8, 9, 20])
    def test_hdf5_reads_rows_of_any_shape(self, tmp_path: Path, rows: int) -> None:
        """Text, flags and arrays in whole and in a last one that is not full."""
        rng = np.random.default_rng(rows)
        columns = {
            "text": np.array([f"{k}ü".encode() for k in range(rows)]),
            "flag": rng.random(rows) < 0.5,
            "pose": rng.normal(size=(rows, 4, 4)),
        }
        with h5py.File(tmp_path / "a.h5", "w") as file, ChunkQueue(threads=3) as queue:
            for name, values in columns.items():
                chunks = (min(8, rows), *values.shape[1:])
                file.create_dataset(name, values.shape, values.dtype, chunks=chunks, **FILTERS)
            for name, values in columns.items():
                queue.add([file[name]], 0, [values])
            queue.finish()
        with h5py.File(tmp_path / "a.h5") as file:
            for name, values in columns.items():
                np.testing.assert_array_equal(file[name][:], values)
