"""Ordinary 16-bit greyscale PNGs, decoded faster than by Pillow and without holding Python's lock.

Files that are unusual, damaged or not supported here are left to Pillow and its error messages.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.jit import compiled, inlined

_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_KIND = bytes([16, 0, 0, 0, 0])  # bits, greyscale, zlib, the five filters, not interlaced
_HEADER_BYTES = 33
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def decoded(path: str | Path, size: tuple[int, int] | None, most_pixels: int) -> npt.NDArray[np.uint16] | None:
    """The pixels of a file, (height, width) uint16, or None if it is not such a PNG of that size.

    Parameters
    ----------
    path:
        of a regular file, which need not exist.
    size:
        (width, height) that the image must have, pixels; None: any.
    most_pixels:
        the largest number of pixels that it may have.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123  a Path costs as much as opening
            header = file.read(_HEADER_BYTES)
            shape = _shape(header)
            if shape is None or shape[0] * shape[1] > most_pixels or (size and shape != (size[1], size[0])):
                return None
            height, width = shape
            inflated = height * (2 * width + 1)
            most = inflated + inflated // 8 + 2**16  # of incompressible data, split into chunks
            rest = file.read(most)
    except (OSError, ValueError):
        return None
    compressed = _joined_data(rest)
    if compressed is None:
        return None
    inflate = zlib.decompressobj()
    try:
        rows = inflate.decompress(compressed, inflated + 1)
    except zlib.error:
        return None
    if len(rows) != inflated or not inflate.eof or inflate.unused_data:
        return None
    pixels = np.empty((height, width), np.uint16)
    return pixels if _unfilter(np.frombuffer(rows, np.uint8), pixels) else None


def _shape(header: bytes) -> tuple[int, int] | None:
    if len(header) < _HEADER_BYTES or header[:16] != _HEAD or header[24:29] != _KIND:
        return None
    if zlib.crc32(header[12:29]) != int.from_bytes(header[29:], "big"):
        return None
    width, height = int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")
    return (height, width) if width and height else None


def _joined_data(chunks: bytes) -> bytes | None:
    """The content of the data chunks, if there are no other chunks between header and end."""
    parts, at = [], 0
    while chunks[at + 4 : at + 8] == b"IDAT":
        length = int.from_bytes(chunks[at : at + 4], "big")
        parts.append(chunks[at + 8 : at + 8 + length])
        at += 12 + length  # its checksum is ignored, as by Pillow: zlib has its own
    return b"".join(parts) if chunks[at : at + 12] == _END else None


@inlined
def _paeth(a: Any, b: Any, c: Any) -> Any:
    """Of left, above and above left, the value nearest to a + b - c; the first of equally near ones.

    That is c between (a + b + low) / 3 and (a + b + high) / 3, beyond these the one of a and b that is farther from c.
    """
    beyond = np.int32(3) * c - (a + b)
    low, high = min(a, b), max(a, b)
    nearest = low if high <= beyond else c
    return high if beyond <= low else nearest


@compiled()
def _unfilter(rows: Any, pixels: Any) -> Any:
    """Undo the filters of `rows`, each a filter and 2 w bytes, into `pixels` (h, w); False if a filter is unknown."""
    height, width = pixels.shape
    above = np.zeros((width, 2), np.int32)
    byte = np.int32(255)
    at: Any = 0
    for v in range(height):
        kind = rows[at]
        at += 1
        if kind > 4:
            return False
        a0 = a1 = c0 = c1 = np.int32(0)  # left, and above left: high byte and low byte
        if kind == 4:  # separately: most rows of a depth map use it, and a branch in the loop would double the time
            for u in range(width):
                b0, b1 = above[u, 0], above[u, 1]
                a0 = (np.int32(rows[at + 2 * u]) + _paeth(a0, b0, c0)) & byte
                a1 = (np.int32(rows[at + 2 * u + 1]) + _paeth(a1, b1, c1)) & byte
                c0, c1 = b0, b1
                above[u, 0], above[u, 1] = a0, a1
                pixels[v, u] = (a0 << 8) | a1
        else:
            for u in range(width):
                b0, b1 = above[u, 0], above[u, 1]
                d0 = d1 = np.int32(0)
                if kind == 1:
                    d0, d1 = a0, a1
                elif kind == 2:
                    d0, d1 = b0, b1
                elif kind == 3:
                    d0, d1 = (a0 + b0) >> 1, (a1 + b1) >> 1
                a0 = (np.int32(rows[at + 2 * u]) + d0) & byte
                a1 = (np.int32(rows[at + 2 * u + 1]) + d1) & byte
                above[u, 0], above[u, 1] = a0, a1
                pixels[v, u] = (a0 << 8) | a1
        at += 2 * width
    return True
