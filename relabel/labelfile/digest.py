"""Digests of content, which do not depend on chunks, filters or the version of HDF5.

An array is hashed as little-endian bytes in C order, strings as their UTF-8 bytes with one NUL after each. A
collection is hashed through a manifest (canonical JSON) of its attributes and the digests of its arrays; a file through
a manifest of the digests of its collections and provenance. So arrays can be hashed while they are streamed, in any
order.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.labelfile.schema import FORMAT, UTF8, canonical_json

Record = dict[str, Any]
_STRINGS = 2**16  # at a time


class ArrayDigest:
    """The running SHA-256 of one dataset of type `dtype` (a type name of the schema)."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self._hash = hashlib.sha256()

    def update(self, array: npt.NDArray[Any]) -> None:
        """Append the next rows: `S` arrays for strings, otherwise little-endian numbers."""
        if self.dtype == UTF8:
            strings = array.ravel()
            for start in range(0, len(strings), _STRINGS):
                self._hash.update(_terminated(strings[start : start + _STRINGS]))
        elif array.size:
            self._hash.update(np.ascontiguousarray(array).data)

    def record(self, shape: Iterable[int]) -> Record:
        """The entry of the manifest, once all rows have been seen."""
        return {"dtype": self.dtype, "shape": [int(n) for n in shape], "sha256": self._hash.hexdigest()}


def _terminated(strings: npt.NDArray[np.bytes_]) -> Any:
    """The bytes of each string, followed by one NUL."""
    width = strings.dtype.itemsize
    if (np.strings.str_len(strings) < width).any():
        return b"\0".join([*strings.tolist(), b""])
    # Without Python objects if all are equally long, as keys often are.
    letters = np.zeros((len(strings), width + 1), np.uint8)
    letters[:, :width] = np.ascontiguousarray(strings).view(np.uint8).reshape(len(strings), width)
    return letters.data


def collection_digest(attributes: Mapping[str, Any], datasets: Mapping[str, Record]) -> str:
    """SHA-256 of a collection, in hexadecimal.

    Parameters
    ----------
    attributes:
        the attributes named in `schema.ATTRIBUTES`.
    datasets:
        records by path inside the collection, for example ``queries/key``; of a self-paired collection without
        those below ``database``.
    """
    # A float has many decimal spellings but one bit pattern.
    values = {
        name: struct.pack(">d", value).hex() if isinstance(value, float) else value
        for name, value in attributes.items()
    }
    return _sha256({"attributes": values, "datasets": dict(datasets)})


def file_digest(version: str, writer: str, collections: Mapping[str, str], provenance: Iterable[str]) -> str:
    """SHA-256 of a file, in hexadecimal, from the digests of its collections by name and its provenance texts."""
    return _sha256(
        {
            "format": FORMAT,
            "format_version": version,
            "writer": writer,
            "collections": dict(collections),
            "provenance": [hashlib.sha256(text.encode()).hexdigest() for text in provenance],
        }
    )


def sha256_of(path: Path) -> str:
    """The digest of the bytes of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sha256(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(manifest, "the manifest").encode()).hexdigest()
