"""Damage to a label file that leaves every checksum of HDF5, or HDF5 itself, content."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
from h5py import h5f

from relabel.labelfile import LabelFile, hdf5_layout, write

_KEY = struct.Struct("<IIQQ")  # of the index of the chunks of a 1-D dataset: bytes, filter mask, place, and 0


def lay_out_as_of_old(path: Path) -> Path:
    """Give a label file the structures that HDF5 chooses by itself, the oldest that will do, without checksums."""
    labels = LabelFile(path)
    collections = {stored.name: stored for stored in labels.collections()}
    with mock.patch.object(hdf5_layout, "BOUNDS", (h5f.LIBVER_EARLIEST, h5f.LIBVER_LATEST)):
        return write(path, collections, provenance=labels.provenance(), overwrite=True)


def move_pair(path: Path, name: str) -> None:
    """Give a pair to the query before or behind its own, as a flipped bit of `indptr` does without a checksum."""
    with h5py.File(path, "r+") as file:
        pairs = file[name]["similarity"]
        indptr, indices = pairs["indptr"][:], pairs["indices"][:]
        ok = file[name]["queries/status"][:] == 0
        for row in range(1, len(indptr) - 1):
            before, start, stop = (int(n) for n in indptr[row - 1 : row + 2])
            if start not in (before, stop) and indices[start - 1] >= indices[start]:
                continue  # columns would not rise any more
            if start < stop and ok[row - 1]:
                pairs["indptr"][row] = start + 1
                return
            if before < start and ok[row]:
                pairs["indptr"][row] = start - 1
                return
    raise AssertionError(f"{name} has no pair that can be moved")


def flip_bit_of_indptr(path: Path, name: str) -> None:
    """Flip the lowest bit of a number of `indptr` where it lies in the file."""
    with h5py.File(path) as file:
        chunk = file[name]["similarity/indptr"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + 4 * 3] ^= 1
    path.write_bytes(data)


def zero_end_key(path: Path, dataset: str) -> None:
    """Zero the key at the end of the index of a dataset's chunks, behind which HDF5 then looks for the last of them.

    Only the old layout has an index without a checksum, so the file gets that first.
    """
    lay_out_as_of_old(path)
    with h5py.File(path) as file:
        ids: Any = file[dataset].id
        chunks = [ids.get_chunk_info(i).byte_offset for i in range(ids.get_num_chunks())]
    data = bytearray(path.read_bytes())
    at = data.find(b"TREE")
    while at >= 0:
        kind, level, count = struct.unpack_from("<BBH", data, at + 4)
        step = _KEY.size + 8
        children = [
            struct.unpack_from("<Q", data, at + 24 + i * step + _KEY.size)[0] for i in range(count if kind == 1 else 0)
        ]
        if level == 0 and children == chunks:
            end = at + 24 + count * step
            assert any(data[end : end + _KEY.size])
            data[end : end + _KEY.size] = bytes(_KEY.size)
            path.write_bytes(data)
            return
        at = data.find(b"TREE", at + 1)
    raise AssertionError(f"{dataset} has no index of chunks")


def change_value(path: Path, name: str) -> None:
    """Make the first ψ of a collection another one, of two that could both be."""
    with h5py.File(path, "r+") as file:
        data = file[name]["similarity/data"]
        data[0] = np.float32(0.25) if data[0] != np.float32(0.25) else np.float32(0.75)


def change_key(path: Path, name: str) -> None:
    """Give the last query another name."""
    with h5py.File(path, "r+") as file:
        file[name]["queries/key"][-1] = b"x"


def change_parameter(path: Path, name: str) -> None:
    """Give the method other parameters, as JSON of the same length."""
    with h5py.File(path, "r+") as file:
        text = file[name].attrs["params"].replace(b"90.0", b"91.0")
        file[name].attrs["params"] = np.array(text, h5py.string_dtype("utf-8", len(text)))


def rename_collection(path: Path, name: str) -> None:
    """Give a collection another name, which its own digest does not cover, but that of the file."""
    with h5py.File(path, "r+") as file:
        file.move(name, f"{name} by night")


def drop_column(path: Path, name: str) -> None:
    """Lose a column that no reader needs."""
    with h5py.File(path, "r+") as file:
        del file[name]["queries/sequence"]


CONTENT = {f.__name__: f for f in (move_pair, change_value, change_key, change_parameter, drop_column)}
"""Changes after which a file is well-formed, and only its digests tell."""
STORED = {
    "flip_bit_of_indptr": flip_bit_of_indptr,
    **{
        f"zero_end_key of {part}": lambda path, name, part=part: zero_end_key(path, f"{name}/similarity/{part}")
        for part in ("indptr", "indices", "data")
    },
}
"""Changes to the bytes that a checksum or the index of the chunks betrays."""
