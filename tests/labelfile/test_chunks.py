from __future__ import annotations

import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.errors import OptionError
from relabel.labelfile.chunks import ChunkQueue, GrowingColumns, encoded, fletcher32
from relabel.labelfile.schema import FILTERS


def hdf5_checksum(data: bytes) -> int:
    """The checksum that the HDF5 library itself stores behind a chunk of these bytes."""
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        values = np.frombuffer(data, np.uint8)
        dataset = file.create_dataset("x", data=values, chunks=(len(values),), fletcher32=True)
        file.flush()
        return int.from_bytes(dataset.id.read_direct_chunk((0,))[1][-4:], "little")


class TestFletcher32:
    @given(st.binary(min_size=1, max_size=200))
    def test_is_that_of_hdf5(self, data: bytes) -> None:
        """Any bytes, of even and odd length, have the checksum that HDF5 gives them."""
        assert fletcher32(data) == hdf5_checksum(data)

    @pytest.mark.parametrize(
        "data", [b"\0" * 10, b"\xff" * 2, b"\xff" * 1001, b"\xff\xfe\0\x01", b"\xff" * 200_000, bytes(range(256)) * 700]
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
                for row in range(0, rows, 8):
                    queue.add(file[name], row, values[row : row + 8])
            queue.finish()
        with h5py.File(tmp_path / "a.h5") as file:
            for name, values in columns.items():
                np.testing.assert_array_equal(file[name][:], values)
