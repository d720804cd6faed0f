"""Camera tables: `Cameras` and extents as the datasets of a group, and back."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.errors import InputError, LabelFileError
from relabel.fixed_width import MOST_BYTES, check_lengths, text_array
from relabel.labelfile import hdf
from relabel.labelfile.chunks import ChunkQueue
from relabel.labelfile.digest import ArrayDigest, Record
from relabel.labelfile.hdf5_layout import new_group
from relabel.labelfile.safe_h5file import Draft
from relabel.labelfile.schema import (
    CHUNK_BYTES,
    CHUNK_ENTRIES,
    COLUMNS,
    EXTRA_ITEM_BYTES,
    EXTRA_KINDS,
    FILTERS,
    ROW_BYTES,
    STATUS_NAMES,
    TABLE,
    UTF8,
    text_fault,
)

Table = dict[str, npt.NDArray[Any]]
"""Columns by name, as stored: strings as UTF-8 bytes, numbers little-endian."""


def as_table(cameras: Cameras, extent: FloatArray, where: str) -> Table:
    """The columns of a camera table in the order in which they are written.

    Raises
    ------
    InputError
        when an extent is negative or infinite, or an extra column has a name or type that the format does not allow;
        the message begins with `where`.
    """
    bad = np.flatnonzero((extent < 0) | np.isinf(extent))
    if bad.size:
        raise InputError(f"{where}: extent of row {bad[0]} is {extent[bad[0]]}; expected 0 or more, NaN where unknown")
    position = np.full((len(cameras), 3), np.nan)
    position[:, : cameras.position.shape[1]] = cameras.position
    known = {
        "key": _strings(cameras.key, f"{where}, key"),
        "status": cameras.status,
        "position": position,
        "heading_deg": cameras.heading_deg,
        "extent": np.asarray(extent, np.float64),
        "fov_deg": cameras.fov_deg,
        "radius_m": cameras.radius_m,
        "pose": cameras.pose,
    }
    table = {column.name: known[column.name] for column in TABLE if known[column.name] is not None}
    for name in sorted(cameras.extra):
        if name in COLUMNS or name in ("", ".", "..") or "/" in name or text_fault(name):
            raise InputError(
                f"{where}: extra column {name!r} has a name that is reserved or cannot be stored; rename it"
            )
        table[name] = _extra(cameras.extra[name], f"{where}, extra column {name!r}")
    return {
        name: np.ascontiguousarray(
            array if array.dtype.kind == "S" else array.astype(array.dtype.newbyteorder("<"), copy=False)
        )
        for name, array in table.items()
        if array is not None
    }


def _extra(array: npt.NDArray[Any], where: str) -> npt.NDArray[Any]:
    if array.dtype.kind == "O" and all(isinstance(item, str) for item in array.ravel()):
        try:
            array = text_array(array.ravel().tolist()).reshape(array.shape)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    if array.dtype.kind == "U":
        return _strings(array, where)
    if array.dtype.itemsize * math.prod(array.shape[1:]) > ROW_BYTES:
        raise InputError(f"{where}: has shape {array.shape}; a row can hold at most {ROW_BYTES:,} bytes")
    if array.dtype.kind not in EXTRA_KINDS or array.dtype.itemsize > EXTRA_ITEM_BYTES or 0 in array.shape[1:]:
        raise InputError(f"{where}: has type {array.dtype}; it can hold text, booleans, integers or floats to 64 bits")
    return array


def _strings(array: npt.NDArray[np.str_], where: str) -> npt.NDArray[np.bytes_]:
    try:
        encoded = _encoded(array, where)
    except UnicodeEncodeError:
        encoded = None
    if encoded is None or _holds_nul(encoded):
        bad = next(str(item) for item in array.ravel() if text_fault(str(item)))
        raise InputError(f"{where}: {bad!r} {text_fault(bad)}; only valid text can be stored")
    return encoded


def _encoded(array: npt.NDArray[np.str_], where: str) -> npt.NDArray[np.bytes_]:
    """UTF-8 bytes of one width; an `InputError` if a text is too long to be stored, or much longer than the others."""
    if array.nbytes > MOST_BYTES or array.dtype.itemsize > ROW_BYTES:
        lengths = np.strings.str_len(array)
        try:
            check_lengths(lengths.reshape(-1))
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    encoded = hdf.encode(array)
    row_bytes = encoded.dtype.itemsize * math.prod(encoded.shape[1:])
    if row_bytes > ROW_BYTES:
        row = int(np.strings.str_len(encoded).reshape(len(encoded), -1).max(axis=1, initial=0).argmax())
        raise InputError(
            f"{where}: row {row} (counted from 0): a string of {row_bytes:,} bytes; at most {ROW_BYTES:,} can be stored"
        )
    return encoded


def _holds_nul(encoded: npt.NDArray[np.bytes_]) -> bool:
    """Whether a NUL precedes another byte; those at the end are NumPy's padding."""
    letters = np.count_nonzero(np.ascontiguousarray(encoded).view(np.bool_))
    return bool(letters < np.strings.str_len(encoded).sum())


def digests(table: Table) -> dict[str, Record]:
    """The digest record of every column."""
    records = {}
    for name, array in table.items():
        digest = ArrayDigest(UTF8 if array.dtype.kind == "S" else array.dtype.name)
        digest.update(array)
        records[name] = digest.record(array.shape)
    return records


class StoredDigests:
    """The digest record of every column of a table stored in parts, read in blocks, part after part."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[ArrayDigest, list[int]]] = {}
        self._parts = 0

    def add(self, group: Any) -> None:
        """Add the next part.

        Columns whose type is not one of the format are left out: no digest covers them.

        Raises
        ------
        LabelFileError
            when a column cannot be read, or is not in all parts.
        """
        seen = set()
        for name in hdf.links(group):
            with hdf.guarded(f"{group.name}/{name}"):
                dataset = group[name]
            dtype = hdf.type_name(dataset) if isinstance(dataset, h5py.Dataset) else None
            if dtype is None or dataset.shape is None:
                continue
            hdf.check_array(dataset)
            if not self._parts:
                self._running[name] = ArrayDigest(dtype), [0, *dataset.shape[1:]] if dataset.shape else []
            digest, shape = self._running.get(name, (None, []))
            if digest is None or digest.dtype != dtype or tuple(shape[1:]) != dataset.shape[1:]:
                raise LabelFileError(f"{dataset.name}: is not a column that the shards before have")
            for block in hdf.row_blocks(dataset) if dataset.shape else (hdf.read(dataset),):
                digest.update(block)
            if dataset.shape:
                shape[0] += len(dataset)
            seen.add(name)
        if lacking := sorted(self._running.keys() - seen):
            raise LabelFileError(f"{group.name}: has no column {lacking[0]!r}, which the shards before have")
        self._parts += 1

    def records(self) -> dict[str, Record]:
        """The records by name."""
        return {name: digest.record(shape) for name, (digest, shape) in self._running.items()}


def write_tables(draft: Draft, group: Any, tables: Mapping[str, Table], queue: ChunkQueue) -> None:
    """Create the groups of these names with their columns, and add their chunks to the queue."""
    datasets = {side: new_columns(draft, group, side, table) for side, table in tables.items()}
    for side, table in tables.items():
        write_columns(draft, datasets[side], table, queue)


def new_columns(draft: Draft, group: Any, side: str, table: Table) -> list[Any]:
    """The datasets of a table in a new group of this name, without their values."""
    with draft.writing():
        parent = new_group(group, side)
        return [_new_column(parent, name, array) for name, array in table.items()]


def write_columns(draft: Draft, datasets: Sequence[Any], table: Table, queue: ChunkQueue) -> None:
    """Add the chunks of a table to the queue; `datasets` are those of `new_columns`."""
    for dataset, array in zip(datasets, table.values(), strict=True):
        if array.size:
            with draft.writing():
                queue.add([dataset], 0, [array])


def _new_column(group: Any, name: str, array: npt.NDArray[Any]) -> Any:
    """The dataset of a column, without its values."""
    dtype: Any = array.dtype
    if name == "status":
        dtype = h5py.enum_dtype(STATUS_NAMES, basetype="u1")
    elif array.dtype.kind == "S":
        dtype = h5py.string_dtype(UTF8, array.dtype.itemsize)
    storage: dict[str, Any] = {}
    if array.size:
        row_bytes = array.nbytes // len(array)
        rows = max(1, min(len(array), CHUNK_ENTRIES, CHUNK_BYTES // row_bytes))
        storage = {"chunks": (rows, *array.shape[1:]), **FILTERS}
    # HDF5 allows no chunks in an empty dataset of fixed size.
    return group.create_dataset(name, array.shape, dtype=dtype, track_times=False, **storage)


def read_table(
    group: Any, crs: str, *, newer: bool, posed: bool, named: bool = True, further: Collection[str] | None = None
) -> tuple[Cameras, FloatArray]:
    """The cameras of a group and their extents; parameters and errors as of `read_columns` and `as_cameras`."""
    return as_cameras(
        read_columns(group, newer=newer, named=named, further=further), crs, posed=posed, where=group.name
    )


def read_columns(group: Any, *, newer: bool, named: bool = True, further: Collection[str] | None = None) -> Table:
    """The columns of a table.

    Parameters
    ----------
    group:
        the h5py group ``queries`` or ``database``.
    newer:
        the file has a newer minor version: an unknown status is read as `Status.MASKED`, which like every status but
        OK means that nothing is known about the camera's pairs.
    named:
        whether to read keys.
    further:
        the columns to read of those without a meaning in the format; by default all of them.

    Raises
    ------
    LabelFileError
        when a column is missing or damaged.
    """
    names = hdf.links(group)
    table: Table = {}
    rows: int | None = None
    for column in TABLE:
        if column.required or column.name in names:
            dataset = hdf.member(group, column.name, h5py.Dataset)
            hdf.check_array(dataset, column.dtype, (rows, *column.tail))
            rows = len(dataset)
            if column.name == "key":
                hdf.check_keys(dataset)
            if named or column.name != "key":
                table[column.name] = hdf.read(dataset)
    wanted = [name for name in names if name not in COLUMNS and (further is None or name in further)]
    datasets = [dataset for name in wanted if (dataset := _further(group, name)) is not None]
    hdf.check_further(datasets)
    table |= {dataset.name.rpartition("/")[2]: hdf.read(dataset) for dataset in datasets}
    if newer:
        table["status"] = np.where(table["status"] > max(Status), np.uint8(Status.MASKED), table["status"])
    return table


def as_cameras(table: Table, crs: str, *, posed: bool, where: str) -> tuple[Cameras, FloatArray]:
    """The cameras and extents of the columns of a table.

    Parameters
    ----------
    table:
        as `read_columns` returns it; without keys, cameras get their row numbers as keys.
    crs:
        the frame of the positions.
    posed:
        OK cameras have a position, and a heading or pose; False for labels that were imported.
    where:
        the location that errors name.

    Raises
    ------
    LabelFileError
        when a column has invalid values.
    """
    columns: dict[str, Any] = {
        name: hdf.decode(array, f"{where}/{name}") if array.dtype.kind == "S" else array
        for name, array in table.items()
    }
    extent = columns.pop("extent")
    columns.setdefault("key", np.arange(len(extent)).astype(np.str_))
    if np.isnan(columns["position"][:, 2]).all():
        columns["position"] = columns["position"][:, :2]
    extra = {name: columns.pop(name) for name in columns.keys() - COLUMNS.keys()}
    try:
        return Cameras(crs=crs, posed=posed, extra={name: extra[name] for name in sorted(extra)}, **columns), extent
    except InputError as error:
        raise LabelFileError(f"{where}: {error}") from None


def _further(group: Any, name: str) -> Any:
    """A column without a meaning in this version; None if it is no valid one, as a newer minor version may have."""
    with hdf.guarded(f"{group.name}/{name}"):
        dataset = group[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None or len(dataset.shape) < 1:
        return None
    if hdf.type_name(dataset) is None or dataset.shape[0] != group["key"].shape[0]:
        return None
    hdf.check_array(dataset)
    return dataset
