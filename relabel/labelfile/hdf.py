"""Reading HDF5 that somebody else may have written or damaged: every fault becomes a `LabelFileError`.

Messages name the path inside the file; whoever knows the file's own path puts it in front. Only hard links are
followed, because soft and external links can form cycles and lead to other files. No array is read before its size
has been compared with the bytes that are really stored, so that a damaged shape cannot exhaust memory. Bytes that are
stored may still be a thousand times as many when they are inflated; what bounds those is said at `check_keys` and
`check_further`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, LabelFileError, RelabelError
from relabel.fixed_width import check_lengths
from relabel.labelfile._hdf5_guards import file_size, storage_fault
from relabel.labelfile.chunks import read_rows
from relabel.labelfile.schema import EXTRA_ITEM_BYTES, EXTRA_KINDS, MEMBERS, PROVENANCE, ROW_BYTES, UTF8

_DEFLATE_LIMIT = 1100  # deflate never shrinks more than 1032-fold
_SMALL_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 22
LARGE_BYTES = 1 << 26
"""What an array may take that nothing else vouches for."""
_MOST_CHUNK = 16  # times the stored bytes, where a chunk is larger than that
_MOST_FURTHER = (1 << 28, 512, 100)  # bytes of the further columns of a table: in all, or a camera, or a stored byte
_LETTER_BYTES = 4
_DEEPEST = 32
_MANY_ROWS = 1 << 15  # of fewer, HDF5 is asked


@contextmanager
def guarded(where: str) -> Iterator[None]:
    """Turn whatever reading raises into a `LabelFileError` that names the place."""
    try:
        yield
    except RelabelError:
        raise
    except Exception as error:  # damaged HDF5 raises OSError, RuntimeError, KeyError, TypeError and more
        raise LabelFileError(f"{where}: cannot be read ({brief(error)}); the file is damaged") from None


def brief(error: Exception) -> str:
    """The first line of an error, or its class where it says nothing."""
    lines = str(error).strip().strip("'\"").splitlines()
    return lines[0] if lines else type(error).__name__


def links(group: Any) -> list[str]:
    """The names of all hard links of a group, sorted."""
    with guarded(group.name):
        return sorted(name for name in group if _is_hard(group, name))


def member(group: Any, name: str, kind: type) -> Any:
    """The group or dataset (`kind`) that a group holds under `name`."""
    where = f"{group.name.rstrip('/')}/{name}"
    what = "group" if kind is h5py.Group else "dataset"
    with guarded(where):
        if not _is_hard(group, name):
            fault = _link_fault(group.get(name, getlink=True))
            raise LabelFileError(f"{where}: {fault or f'the {what} is missing'}")
        node = group[name]
        if not isinstance(node, kind):
            raise LabelFileError(f"{where}: is not a {what}")
        return node


def descend(file: Any, name: str) -> Any:
    """The group of a collection, through hard links only."""
    group = file
    for part in name.split("/"):
        group = member(group, part, h5py.Group)
    return group


def _is_hard(group: Any, name: str) -> bool:
    # Asked of HDF5 itself, in a sixth of the time that h5py takes to make an object of the link.
    links, key = group.id.links, name.encode()
    return bool(links.exists(key)) and links.get_info(key).type == h5py.h5l.TYPE_HARD


def _link_fault(link: Any) -> str | None:
    """Why a link may not be in a label file; None for a hard one, or none at all."""
    if isinstance(link, h5py.SoftLink):
        what = f"is a soft link to {link.path!r}"
    elif isinstance(link, h5py.ExternalLink):
        what = f"is an external link to {link.path!r} of {link.filename!r}"
    else:
        return None
    return f"{what}; a label file has hard links only, so that it does not depend on other files"


def foreign_links(group: Any) -> Iterator[tuple[str, str]]:
    """Path and fault of every link that is not hard, in the group and in all groups below it."""
    seen: set[int] = set()
    waiting = [group]
    while waiting:
        parent = waiting.pop()
        with guarded(parent.name):
            address = int(h5py.h5o.get_info(parent.id).addr)
            if address in seen:
                continue
            seen.add(address)
            names = sorted(parent)
        for name in names:
            where = f"{parent.name.rstrip('/')}/{name}"
            with guarded(where):
                if fault := _link_fault(parent.get(name, getlink=True)):
                    yield where, fault
                elif parent.get(name, getclass=True) is h5py.Group:
                    waiting.append(parent[name])


def collection_names(file: Any) -> list[str]:
    """The names of all groups that hold a member of a collection, sorted; none is looked for inside another one."""
    names: list[str] = []
    seen: set[int] = set()

    def walk(group: Any, prefix: str, depth: int) -> None:
        children = links(group)
        if prefix and any(name in children for name in MEMBERS):
            names.append(prefix)
            return
        for name in children:
            path = f"{prefix}/{name}" if prefix else name
            if path == PROVENANCE or depth == _DEEPEST:
                continue
            with guarded(f"/{path}"):
                node = group[name]
                address = int(h5py.h5o.get_info(node.id).addr)
            if isinstance(node, h5py.Group) and address not in seen:
                seen.add(address)
                walk(node, path, depth + 1)

    walk(file, "", 0)
    return sorted(names)


def attribute(node: Any, name: str, kind: type) -> Any:
    """A scalar attribute as `kind` (str, int or float)."""
    try:
        fault, value = _scalar(node, name, kind)
    except Exception as error:  # as for `guarded`, which would ask for the name of the node, a tenth of the time
        with guarded(f"{node.name}, attribute {name!r}"):
            raise error from None
    if fault is not None:
        raise LabelFileError(f"{node.name}, attribute {name!r}: {fault}")
    return value


def _scalar(node: Any, name: str, kind: type) -> tuple[str | None, Any]:
    """What is wrong with an attribute, and its value."""
    try:
        handle = h5py.h5a.open(node.id, name.encode())
    except KeyError:
        if name in node.attrs:
            raise
        return "is missing", None
    stored = handle.get_type()
    dtype = stored.dtype
    text = h5py.check_string_dtype(dtype)
    kinds = {int: "iub", float: "fiu"}.get(kind, "")
    if handle.shape != () or (text is None if kind is str else text is not None or dtype.kind not in kinds):
        return f"is not one {_KIND_NAMES[kind]}", None
    if text is not None and text.length is None:
        value = node.attrs[name]
    else:  # what h5py does, without what it does for all other types
        buffer = np.empty((), dtype)
        handle.read(buffer, stored)
        value = buffer[()]
    return None, kind(value.decode() if isinstance(value, bytes) else value)


_KIND_NAMES = {str: "text", int: "whole number", float: "number"}


def type_name(dataset: Any) -> str | None:
    """The type of a dataset as the schema spells it; None for a type that the format does not know."""
    with guarded(dataset.name):
        dtype = dataset.dtype
    text = h5py.check_string_dtype(dtype)
    if text is not None:
        return UTF8 if text.encoding == UTF8 and text.length is not None else None
    known = dtype.kind in EXTRA_KINDS and dtype.itemsize <= EXTRA_ITEM_BYTES and dtype == dtype.newbyteorder("<")
    return str(dtype.name) if known else None


def check_array(dataset: Any, dtype: str | None = None, shape: tuple[int | None, ...] | None = None) -> None:
    """Raise unless a dataset has the type, the shape (None: any length) and the stored bytes that it claims."""
    where = dataset.name
    with guarded(where):
        if dtype is not None and type_name(dataset) != dtype:
            raise LabelFileError(f"{where}: has type {dataset.dtype}; expected {dtype}, little-endian")
        have = dataset.shape
        fits = shape is None or (
            have is not None
            and len(have) == len(shape)
            and all(n in (None, m) for n, m in zip(shape, have, strict=True))
        )
        if not fits or have is None:
            expected = "" if shape is None else ", ".join("n" if n is None else str(n) for n in shape)
            raise LabelFileError(f"{where}: has shape {have}; expected ({expected})")
        if dataset.external or dataset.is_virtual:
            raise LabelFileError(f"{where}: keeps its values in another file")
        size = in_memory(dataset)
        row = math.prod(have[1:]) * dataset.dtype.itemsize
        if have and row > ROW_BYTES:
            raise LabelFileError(f"{where}: takes {row:,} bytes per row; at most {ROW_BYTES:,} are allowed")
        stored = dataset.id.get_storage_size()
        chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
        limit = stored * _DEFLATE_LIMIT + _SMALL_BYTES if dataset.chunks else stored
        if stored > file_size(dataset) or max(size, chunk) > limit or (size and not stored):
            raise LabelFileError(f"{where}: claims shape {have}, but only {stored} bytes are stored; it is damaged")
        if chunk > max(LARGE_BYTES, _MOST_CHUNK * stored):
            raise LabelFileError(
                f"{where}: has chunks that inflate to {chunk:,} bytes each, of {stored:,} bytes that are stored; use "
                f"chunks of at most {LARGE_BYTES:,} bytes"
            )
        if size and dataset.chunks and (fault := storage_fault(dataset)):
            raise LabelFileError(f"{where}: {fault}; it is damaged")


def check_keys(dataset: Any) -> None:
    """Raise where a large column of keys, after `check_array`, is not what it takes so much memory for.

    Every other column has a row a key, so that the keys vouch for all memory that reading cameras takes: n keys that
    differ cannot be had for nothing. Small columns are not looked at, since whoever reads them does.
    """
    if in_memory(dataset) <= LARGE_BYTES:
        return
    lengths = []
    for block in row_blocks(dataset):
        if len(np.unique(block)) < len(block) or (block == b"").any():
            raise LabelFileError(f"{dataset.name}: holds keys that are empty or repeated; keys have to be unique")
        lengths.append(np.strings.str_len(block))
    _check_lengths(dataset, lengths)


def check_further(datasets: Sequence[Any]) -> None:
    """Raise where the further columns of a table, after `check_array`, take more memory than a file like it should.

    That is all three of 256 MiB, 512 bytes a camera and a hundred times their stored bytes; a column of one and the
    same value, as many are, shrinks a thousandfold.
    """
    whole = stored = 0
    for dataset in datasets:
        is_text = dataset.dtype.kind == "S"
        whole += in_memory(dataset) * (_LETTER_BYTES if is_text else 1)
        stored += int(dataset.id.get_storage_size())
        if is_text and in_memory(dataset) > LARGE_BYTES:
            _check_lengths(dataset, [np.strings.str_len(block) for block in row_blocks(dataset)])
    in_all, a_camera, a_stored_byte = _MOST_FURTHER
    cameras = max((len(dataset) for dataset in datasets), default=0)
    if whole > max(in_all, a_camera * cameras, a_stored_byte * stored):
        names = ", ".join(str(dataset.name) for dataset in datasets[:3])
        raise LabelFileError(
            f"{names}: the further columns would take {whole:,} bytes of memory, of {stored:,} bytes that are stored"
        )


def _check_lengths(dataset: Any, lengths: Sequence[npt.NDArray[Any]]) -> None:
    try:
        check_lengths(np.concatenate([piece.reshape(-1) for piece in lengths]))
    except InputError as error:
        raise LabelFileError(f"{dataset.name}: {error}") from None


def in_memory(dataset: Any) -> int:
    """The bytes that a dataset takes in memory."""
    return math.prod(map(int, dataset.shape)) * int(dataset.dtype.itemsize)


def read(dataset: Any, rows: slice | None = None) -> npt.NDArray[Any]:
    """The values of a dataset, or of the rows from one to another; call `check_array` on it first."""
    try:
        if rows is None:
            rows = slice(0, len(dataset)) if dataset.shape else None
        if rows is not None and rows.stop - rows.start >= _MANY_ROWS:
            values = read_rows(dataset, rows.start, min(rows.stop, len(dataset)))
            if values is not None:
                return values
        return np.asarray(dataset[() if rows is None else rows])
    except Exception as error:
        with guarded(dataset.name):  # asked for only now, since it takes longer than all else but reading
            raise error from None


def row_blocks(dataset: Any) -> Iterator[npt.NDArray[Any]]:
    """All rows of a dataset in blocks of a few MiB."""
    total = int(dataset.shape[0])
    row_bytes = max(1, int(np.prod(dataset.shape[1:], dtype=np.int64)) * dataset.dtype.itemsize)
    step = max(1, _BLOCK_BYTES // row_bytes)
    for start in range(0, total, step):
        yield read(dataset, slice(start, min(total, start + step)))


def encode(strings: npt.NDArray[np.str_]) -> npt.NDArray[np.bytes_]:
    """Strings as UTF-8 bytes of one width, which is at least 1."""
    if not strings.size or not strings.dtype.itemsize:
        return np.zeros(strings.shape, "S1")
    native = np.ascontiguousarray(strings, dtype=strings.dtype.newbyteorder("="))
    letters = native.view(np.uint32).reshape(*strings.shape, -1)
    if letters.max() < 128:
        # By hand where all is ASCII: five times as fast as NumPy's cast, which besides loses a Ctrl-C.
        return letters.astype(np.uint8).view(f"S{letters.shape[-1]}").reshape(strings.shape)
    array: npt.NDArray[np.bytes_] = np.char.encode(strings, UTF8)
    return array if array.dtype.itemsize else array.astype("S1")


def check_text(array: npt.NDArray[np.bytes_], where: str) -> None:
    """Raise unless all bytes are UTF-8."""
    if array.size and np.ascontiguousarray(array).view(np.int8).min() < 0:  # else all are ASCII
        decode(array, where)


def decode(array: npt.NDArray[np.bytes_], where: str) -> npt.NDArray[np.str_]:
    """UTF-8 bytes as strings."""
    with guarded(where):
        try:
            return array.astype(np.str_)
        except UnicodeDecodeError:
            return np.char.decode(array, UTF8)
