"""The label file as data: names, types and limits that writer, reader and validator share.

``formats/label-file-v1.md`` is the normative text; this module restates the parts of it that code needs, so that
no other module spells a name or a type of the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from relabel._version import __version__
from relabel.cameras import Status
from relabel.errors import InputError

FORMAT = "relabel.labels"
SHARDS_FORMAT = "relabel.shards"
MANIFEST = "manifest.json"
SHARDS_SUFFIX = ".labels"
"""the suffix of the name of a folder of shards to write"""
MAJOR, MINOR = 1, 0
FORMAT_VERSION = f"{MAJOR}.{MINOR}"
WRITER = f"relabel {__version__}"

PROVENANCE = "provenance"
QUERIES = "queries"
DATABASE = "database"
SIMILARITY = "similarity"
MEMBERS = (QUERIES, DATABASE, SIMILARITY)

IMPORTED = "imported"
"""The method of imported labels: their cameras may lack positions, and their measure may be unknown."""
METHODS = ("fov-sector", "fov-polygon", "surface", "voxel-iou", IMPORTED)
STATUS_NAMES = {status.label: int(status) for status in Status}

ENCODING = {"encoding-type": "csr_matrix", "encoding-version": "0.1.0"}
"""The attributes by which `anndata` reads a similarity group as a CSR matrix."""

CHUNK_ENTRIES = 16_384  # measured best for reading both single rows and whole matrices
CHUNK_BYTES = 1 << 20  # wide columns (poses, long keys) get fewer rows per chunk, to fit HDF5's chunk cache
GZIP_LEVEL = 4  # level 9 takes ten times the time for one percent
FILTERS = {"compression": "gzip", "compression_opts": GZIP_LEVEL, "shuffle": True, "fletcher32": True}

UTF8 = "utf-8"
"""The type name of fixed-length strings; every other type has its numpy name."""


class TableColumn(NamedTuple):
    """One dataset of a camera table."""

    name: str
    dtype: str
    tail: tuple[int, ...] = ()
    """shape of one row"""
    required: bool = True


TABLE = (
    TableColumn("key", UTF8),
    TableColumn("status", "uint8"),
    TableColumn("position", "float64", (3,)),
    TableColumn("heading_deg", "float64"),
    TableColumn("extent", "float64"),
    TableColumn("fov_deg", "float64", required=False),
    TableColumn("radius_m", "float64", required=False),
    TableColumn("pose", "float64", (4, 4), required=False),
)
COLUMNS = {column.name: column for column in TABLE}

ARRAYS = {"indptr": "int32", "indices": "int32", "data": "float32"}
"""The datasets of a similarity group; SciPy wants one type for both index arrays."""

MOST = 2**31 - 1
"""The most cameras of a side, and the most pairs, of a collection: the largest int32."""

ATTRIBUTES: dict[str, type] = {
    "method": str,
    "measure": str,
    "params": str,
    "crs": str,
    "min_value": float,
    "symmetric": int,
    "self_pairs": int,
    "nnz": int,
}
"""The attributes of a collection that its digest covers."""

ATTRIBUTE_BYTES = 60_000
"""The longest text of an attribute; the limit of HDF5 itself is 64 KiB."""

ROW_BYTES = 60_000
"""The most bytes of a camera in one column: the longest text, or the largest array."""

EXTRA_KINDS = "biuf"
EXTRA_ITEM_BYTES = 8

SHA256 = re.compile(r"[0-9a-f]{64}")
"""The form of every digest in the file."""

_VERSION = re.compile(r"(\d{1,9})\.(\d{1,9})")


def parse_version(text: str) -> tuple[int, int] | None:
    """(major, minor) of a format version such as ``1.0``; None if the text is not a version."""
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def canonical_json(value: object, what: str) -> str:
    """The canonical JSON text of a value: keys sorted, no spaces, no unnecessary escapes, no NaN.

    Raises
    ------
    InputError
        when `value` has no JSON form; `what` names it in the message.
    """
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain
        )
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{what} cannot be stored as JSON: {error}") from None
    return text


def _plain(value: object) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def is_shards_name(path: Path) -> bool:
    """Whether an output of this name is a folder of shards."""
    return path.name.endswith(SHARDS_SUFFIX) and path.name != SHARDS_SUFFIX


def name_fault(name: str) -> str | None:
    """Why `name` cannot be the name of a collection; None if it can."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "has an empty part, '.' or '..'"
    if parts[0] == PROVENANCE:
        return f"begins with {PROVENANCE!r}, where the file keeps its history"
    for member in MEMBERS:
        if member in parts:
            return f"has the part {member!r}, which is the name of a member of every collection"
    if "::" in name:
        return "holds '::', which separates the file from the collection in an address"
    return text_fault(name)


def nesting_fault(names: Iterable[str]) -> str | None:
    """Which collection is inside another one; None if none is."""
    known = set(names)
    for name in sorted(known):
        parts = name.split("/")
        for depth in range(1, len(parts)):
            outer = "/".join(parts[:depth])
            if outer in known:
                return f"collection {name!r} is inside collection {outer!r}; rename one of them"
    return None


def text_fault(text: str) -> str | None:
    """Why `text` cannot be stored as a UTF-8 string; None if it can."""
    if "\0" in text:
        return "holds a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not valid Unicode"
    return None


def utf8_type(width: int) -> Any:
    """The HDF5 type of UTF-8 strings of `width` bytes."""
    return h5py.string_dtype(UTF8, width)


def stored_text(text: str) -> Any:
    """A text attribute or scalar in its type in the file.

    Fixed length, because strings of variable length are in a heap without checksums, where one flipped bit made the
    HDF5 library (2.0) loop for ever.
    """
    data = text.encode()
    return np.array(data, utf8_type(max(1, len(data))))


def stored_attribute(name: str, value: Any) -> Any:
    """An attribute of a collection in its type in the file."""
    if name in ("symmetric", "self_pairs"):
        return np.uint8(value)
    if name == "nnz":
        return np.int64(value)
    return np.float64(value) if name == "min_value" else stored_text(value)
