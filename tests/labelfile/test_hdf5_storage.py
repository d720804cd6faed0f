from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t, h5z

from relabel.errors import LabelFileError
from relabel.labelfile import hdf
from relabel.labelfile._hdf5_guards import storage_fault

VALUES = np.random.default_rng(0).integers(0, 1000, 1000).astype("<i4")
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "lzf": {"compression": "lzf"},
    "szip": {"compression": "szip"},
    "scaleoffset": {"scaleoffset": 0},
    "shuffle": {"shuffle": True},
    "fletcher32": {"fletcher32": True},
    "ours": {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True},
}


def make(path: Path, shape: tuple[int, ...] = (1000,), chunks: tuple[int, ...] = (300,), **options: Any) -> Path:
    with h5py.File(path, "w", libver="earliest") as file:
        file.create_dataset("x", data=VALUES.reshape(shape), chunks=chunks, **options)
    return path


def fault(path: Path) -> str | None:
    with h5py.File(path) as file:
        return storage_fault(file["x"])


def patched(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    return path


def key(path: Path) -> bytes:
    """What the index of the chunks says of the first one: bytes, filter mask, offset."""
    with h5py.File(path) as file:
        chunk = file["x"].id.get_chunk_info(0)
    return struct.pack("<IIQ", chunk.size, chunk.filter_mask, chunk.chunk_offset[0])


class TestStorageFault:
    @pytest.mark.parametrize("options", FILTERS.values(), ids=FILTERS)
    @pytest.mark.parametrize(("shape", "chunks"), [((1000,), (300,)), ((1000,), (1000,)), ((20, 50), (7, 50))])
    def test_all_that_hdf5_writes(
        self, options: dict[str, Any], shape: tuple[int, ...], chunks: tuple[int, ...], tmp_path: Path
    ) -> None:
        """Whatever filters and chunks a file has, its chunks are found to be well."""
        path = make(tmp_path / "a.h5", shape, chunks, **options)
        assert fault(path) is None
        with h5py.File(path) as file:
            hdf.check_array(file["x"])
            np.testing.assert_array_equal(file["x"][()], VALUES.reshape(shape))

    def test_n_bit(self, tmp_path: Path) -> None:
        """A filter that h5py has no word for."""
        with h5py.File(tmp_path / "a.h5", "w") as file:
            properties = h5p.create(h5p.DATASET_CREATE)
            properties.set_chunk((300,))
            properties.set_filter(h5z.FILTER_NBIT, h5z.FLAG_OPTIONAL, ())
            made = h5d.create(file.id, b"x", h5t.STD_I32LE, h5s.create_simple((1000,)), properties)
            h5py.Dataset(made)[:] = VALUES
        assert fault(tmp_path / "a.h5") is None

    @pytest.mark.parametrize("libver", ["earliest", "latest"])
    @pytest.mark.parametrize("maxshape", [(None,), (2000,)])
    def test_every_index_of_chunks(self, libver: str, maxshape: tuple[int | None], tmp_path: Path) -> None:
        """Trees and arrays of chunks, with and without room to grow."""
        with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
            file.create_dataset("x", data=VALUES, chunks=(30,), maxshape=maxshape, **FILTERS["ours"])
        assert fault(tmp_path / "a.h5") is None

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda size, mask, at: (3, mask, at), r"has a chunk at \(0,\) that is impossible: 3 bytes"),
            (lambda size, mask, at: (2**31, mask, at), "only 21474[0-9]* bytes are stored"),
            (lambda size, mask, at: (size, 8, at), "has a chunk .* filter mask 8"),
            (lambda size, mask, at: (size, 2, at), "has a chunk .* filter mask 2"),
            (lambda size, mask, at: (size, mask, at + 3000), "has 3 of 4 chunks"),
        ],
    )
    def test_a_damaged_index(
        self, change: Callable[[int, int, int], tuple[int, ...]], match: str, tmp_path: Path
    ) -> None:
        """Chunks shorter than a checksum, beyond the file, stored as no filter leaves them, or elsewhere are refused.

        The first of them crashes HDF5 2.0.
        """
        path = make(tmp_path / "a.h5", **FILTERS["ours"])
        known = key(path)
        patched(path, known, struct.pack("<IIQ", *change(*struct.unpack("<IIQ", known))))
        with h5py.File(path) as file, pytest.raises(LabelFileError, match=f"/x: .*{match}"):
            hdf.check_array(file["x"])

    @pytest.mark.parametrize(
        ("options", "code"),
        [(options, code) for options in ("shuffle", "fletcher32", "gzip") for code in (1, 2, 3, 4, 5, 6)],
    )
    def test_damaged_filters(self, options: str, code: int, tmp_path: Path) -> None:
        """A filter turned into another one is refused where it lacks the parameters of that; N-bit would crash."""
        path = make(tmp_path / "a.h5", **FILTERS[options])
        known = {"shuffle": 2, "fletcher32": 3, "gzip": 1}[options]
        name = {"shuffle": b"shuffle", "fletcher32": b"fletcher32", "gzip": b"deflate"}[options]
        data = bytearray(path.read_bytes())
        at = data.index(name) - 8  # code, length of the name, flags, number of parameters
        assert struct.unpack_from("<H", data, at) == (known,)
        struct.pack_into("<H", data, at, code)
        path.write_bytes(data)
        found = fault(path)
        if (options, code) == ("shuffle", 1):
            # The width of a number looks like a level of gzip; unpacking what was never packed fails by itself.
            with h5py.File(path) as file, pytest.raises(LabelFileError, match="cannot be read"):
                hdf.read(file["x"])
        else:
            assert (found is None) == (code == known)

    def test_a_missing_chunk(self, tmp_path: Path) -> None:
        """What was never written is not zero."""
        with h5py.File(tmp_path / "a.h5", "w") as file:
            x = file.create_dataset("x", (1000,), "i4", chunks=(300,))
            x[:300] = 1
        assert fault(tmp_path / "a.h5") == "has 1 of 4 chunks"
