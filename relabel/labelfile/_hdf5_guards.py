"""Damage that the HDF5 library does not survive or does not notice, looked for before a file or dataset is read.

Name heaps: a group of the oldest format keeps the names of its members in a local heap, with a linked list of the free
blocks. HDF5 2.0 follows that list without remembering where it has been: where one flipped byte lets a block point at
itself or back, it allocates memory until there is none. So `heap_fault` follows the lists first, from the root through
all groups. Any other damage to the groups is left to the library, which detects it, as are files of newer formats,
which have checksums in place of such lists.

Chunks: HDF5 reads fill values where it finds no chunk, and may crash on impossible filters. `storage_fault` checks both
from the index of the chunks alone. It both walks through the index and looks every chunk up by its place, as reading
does: where one key of the index is damaged, chunks that a walk comes upon are not found any more.
"""

from __future__ import annotations

import itertools
import math
import os
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from h5py import h5i, h5z
from h5py._objects import phil

_ROOT_ENTRY = {0: 56, 1: 60}
"""where the entry of the root group lies, by version of the superblock"""
_LONGEST = 1 << 16  # of what is read in one piece; object headers and heaps are much shorter

# Signatures, addresses and counts of the blocks of the oldest format, with the fields between them left out.
_ENTRY = struct.Struct("<8xQI4xQQ")  # object header, what is cached: node and heap of a group
_HEADER = struct.Struct("<B7xI4x")  # version, bytes
_MESSAGE = struct.Struct("<HH4x")  # type, bytes
_PAIR = struct.Struct("<QQ")
_NODE = struct.Struct("<4s2xH16x")  # signature, entries
_TABLE = struct.Struct("<4s2xH")
_HEAP = struct.Struct("<4s4xQQQ")  # signature, bytes of data, first free piece, address of the data

_CONTINUED, _GROUP = 0x10, 0x11  # types of messages
_CACHED_GROUP = 1
_LAST_PIECE = 1

_CHECKSUM_BYTES = 4
_MOST_FILTERS = 32  # what HDF5 allows, and what the mask of a chunk has bits for


@lru_cache(maxsize=64)
def heap_fault(path: Path, identity: tuple[Any, ...]) -> str | None:  # noqa: ARG001
    """What is wrong with a heap of the file; None where all are well.

    Parameters
    ----------
    path:
        an HDF5 file.
    identity:
        what changes with the content of the file (`header.identity`); the answer is cached by it.
    """
    try:
        stream = path.open("rb", buffering=0)
    except OSError:  # whoever opens it next says why
        return None
    with stream:
        head = stream.read(16)
        # Offsets and lengths of eight bytes, as everything writes them.
        if len(head) < 16 or head[8] not in _ROOT_ENTRY or head[13:15] != b"\x08\x08":
            return None
        groups = _GroupWalk(stream)
        return next((fault for heap in groups.heaps(_ROOT_ENTRY[head[8]]) if (fault := groups.fault(heap))), None)


class _GroupWalk:
    """The way through all groups of an open file; whatever cannot be understood ends a branch."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._size = stream.seek(0, os.SEEK_END)

    def heaps(self, root: int) -> Iterator[int]:
        """The addresses of the heaps of all groups."""
        seen: set[tuple[str, int]] = set()
        waiting = [("entry", root)]
        while waiting:
            kind, at = waiting.pop()
            if (kind, at) in seen:
                continue
            seen.add((kind, at))
            if kind == "heap":
                yield at
            else:
                waiting += {"entry": self._entry, "header": self._header, "node": self._node}[kind](at)

    def fault(self, heap: int) -> str | None:
        """Why the free pieces of a heap cannot be followed to their end."""
        signature, size, piece, data = self._unpacked(_HEAP, heap) or (b"", 0, 0, 0)
        if signature != b"HEAP":
            return None
        seen = set()
        while piece != _LAST_PIECE:
            if piece in seen:
                return f"the free list of the heap at byte {heap} has no end"
            seen.add(piece)
            following = self._unpacked(_PAIR, data + piece) if piece < size else None
            if following is None:
                return None
            piece = following[0]
        return None

    def _entry(self, at: int) -> list[tuple[str, int]]:
        header, cached, node, heap = self._unpacked(_ENTRY, at) or (0, 0, 0, 0)
        group = [("node", node), ("heap", heap)] if cached == _CACHED_GROUP else []
        return [("header", header), *group]

    def _header(self, at: int) -> list[tuple[str, int]]:
        version, size = self._unpacked(_HEADER, at) or (0, 0)
        if version != 1:
            return []
        blocks: list[tuple[str, int]] = []
        pieces = [(at + _HEADER.size, size)]
        for start, length in pieces:  # grows on the way
            data = self._bytes(start, min(length, _LONGEST))
            place = 0
            while place + _MESSAGE.size <= len(data):
                kind, taken = _MESSAGE.unpack_from(data, place)
                place += _MESSAGE.size
                if kind in (_CONTINUED, _GROUP) and place + _PAIR.size <= len(data):
                    first, second = _PAIR.unpack_from(data, place)
                    if kind == _GROUP:
                        blocks += [("node", first), ("heap", second)]
                    elif (first, second) not in pieces:
                        pieces.append((first, second))
                place += taken
        return blocks

    def _node(self, at: int) -> list[tuple[str, int]]:
        """A node of the tree of members, or at its end the table of some of them."""
        signature, count = self._unpacked(_NODE, at) or (b"", 0)
        if signature == b"TREE":
            children = self._bytes(at + _NODE.size, _PAIR.size * count)
            whole = children[: len(children) // _PAIR.size * _PAIR.size]
            return [("node", child) for _, child in _PAIR.iter_unpack(whole)]
        signature, count = self._unpacked(_TABLE, at) or (b"", 0)
        if signature == b"SNOD":
            return [("entry", at + _TABLE.size + i * _ENTRY.size) for i in range(min(count, _LONGEST // _ENTRY.size))]
        return []

    def _unpacked(self, block: struct.Struct, at: int) -> tuple[int, ...] | None:
        data = self._bytes(at, block.size)
        return block.unpack(data) if len(data) == block.size else None

    def _bytes(self, at: int, size: int) -> bytes:
        if size <= 0 or at >= self._size:  # a file system refuses to seek beyond its largest file
            return b""
        self._stream.seek(at)
        return bytes(self._stream.read(size))


def storage_fault(dataset: Any) -> str | None:
    """What is wrong with the filters or the chunks of a chunked dataset; None where all is well.

    Chunks that are missing or not found are a fault too: HDF5 reads fill values in their place and says nothing. Only
    the index of the chunks is read, not their content, which takes some twenty microseconds a chunk.
    """
    properties = dataset.id.get_create_plist()
    count = properties.get_nfilters()
    if count > _MOST_FILTERS:
        return f"claims {count} filters"
    filters = []
    for i in range(count):
        code, _, values, _ = properties.get_filter(i)
        filters.append(code)
        if not _fits(code, values):
            return f"has filter {code} with parameters {list(values)[:8]}, which are not allowed"
    shape, sides = dataset.shape, dataset.chunks
    whole = math.prod(int(n) for n in sides) * dataset.dtype.itemsize
    end = file_size(dataset)
    expected = math.prod(-(-int(n) // int(side)) for n, side in zip(shape, sides, strict=True))
    present = 0
    faults: list[str] = []

    def check(chunk: Any) -> bool | None:
        nonlocal present
        used = [code for i, code in enumerate(filters) if not chunk.filter_mask >> i & 1]
        least = _CHECKSUM_BYTES * used.count(h5z.FILTER_FLETCHER32)
        keeps_size = all(code in (h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32) for code in used)
        fits = chunk.size == whole + least if keeps_size else chunk.size > least
        if not fits or not 0 <= chunk.byte_offset <= end - chunk.size or chunk.filter_mask >> len(filters):
            faults.append(
                f"has a chunk at {tuple(chunk.chunk_offset)} that is impossible: {chunk.size} bytes at "
                f"{chunk.byte_offset}, filter mask {chunk.filter_mask}"
            )
            return True
        present += all(
            start < n and start % side == 0 for start, n, side in zip(chunk.chunk_offset, shape, sides, strict=True)
        )
        return None

    dataset.id.chunk_iter(check)
    if not faults and present != expected:
        faults.append(f"has {present} of {expected} chunks")
    if not faults:
        lost = next((start for start in chunk_starts(dataset) if not _is_found(dataset, start)), None)
        if lost is not None:
            faults.append(f"has a chunk at {lost} that its chunk index does not find")
    return faults[0] if faults else None


def file_size(dataset: Any) -> int:
    """The bytes of the file that a dataset is in."""
    return int(h5i.get_file_id(dataset.id).get_filesize())


def chunk_starts(dataset: Any) -> Iterator[tuple[int, ...]]:
    """Where each chunk of a chunked dataset begins, whether it is there or not."""
    sides = zip(dataset.shape, dataset.chunks, strict=True)
    return itertools.product(*(range(0, int(n), int(side)) for n, side in sides))


def _is_found(dataset: Any, start: tuple[int, ...]) -> bool:
    """Whether HDF5 finds the chunk that begins at `start` by the way that reading takes.

    `get_chunk_info_by_coord` would not tell: HDF5 walks through all chunks for it. Reading a chunk looks it up first,
    and then refuses a buffer that is too small for it.
    """
    try:
        read_chunk(dataset, start, out=np.empty(0, np.uint8))
    except ValueError:
        return True
    except (RuntimeError, OSError):
        return False
    return True


def read_chunk(dataset: Any, start: tuple[int, ...], out: npt.NDArray[np.uint8] | None = None) -> tuple[int, Any]:
    """The filter mask and the stored bytes of the chunk that begins at `start`, as h5py's `read_direct_chunk`."""
    with phil:  # h5py's lock, which it forgets here before 3.16 (h5py#2764); HDF5 breaks under two threads at once
        mask, data = dataset.id.read_direct_chunk(start, out=out)
    return mask, data


def _fits(code: int, values: tuple[int, ...]) -> bool:
    """Whether a filter that HDF5 brings has as many parameters as it reads; others check their own."""
    if code == h5z.FILTER_DEFLATE:
        return len(values) == 1 and values[0] <= 9
    if code == h5z.FILTER_SHUFFLE:
        return len(values) == 1 and values[0] > 0
    if code == h5z.FILTER_FLETCHER32:
        return not values
    if code == h5z.FILTER_SZIP:
        return len(values) == 4
    if code == h5z.FILTER_NBIT:
        # The first parameter counts all of them.
        return len(values) >= 5 and values[0] == len(values)
    if code == h5z.FILTER_SCALEOFFSET:
        return len(values) == 20
    return True
