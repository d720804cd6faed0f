"""Whether the chunks of a data set can be given to the HDF5 library, which crashes on some that are damaged.

Seen with HDF5 2.0: Fletcher-32 reads far beyond a chunk that is shorter than its checksum, and N-bit follows parameters
that are not there. Both took one flipped byte, the first in the index of the chunks, the second in the list of filters.
"""

from __future__ import annotations

import math
from typing import Any

from h5py import h5z

_CHECKSUM_BYTES = 4
_MOST_FILTERS = 32  # what HDF5 allows, and what the mask of a chunk has bits for


def storage_fault(dataset: Any) -> str | None:
    """What is wrong with the filters or the chunks of a chunked data set; None where all is well.

    Chunks that are missing are a fault too: HDF5 reads fill values in their place and says nothing. Only the index of
    the chunks is read, not their content, which takes some microseconds a chunk.
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
            return f"has filter {code} with parameters {list(values)[:8]}, which it cannot have"
    shape, sides = dataset.shape, dataset.chunks
    whole = math.prod(int(n) for n in sides) * dataset.dtype.itemsize
    end = dataset.file.id.get_filesize()
    wanted = math.prod(-(-int(n) // int(side)) for n, side in zip(shape, sides, strict=True))
    found = 0
    faults: list[str] = []

    def check(chunk: Any) -> bool | None:
        nonlocal found
        used = [code for i, code in enumerate(filters) if not chunk.filter_mask >> i & 1]
        least = _CHECKSUM_BYTES * used.count(h5z.FILTER_FLETCHER32)
        keeps_size = all(code in (h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32) for code in used)
        fits = chunk.size == whole + least if keeps_size else chunk.size > least
        if not fits or not 0 <= chunk.byte_offset <= end - chunk.size or chunk.filter_mask >> len(filters):
            faults.append(
                f"has a chunk at {tuple(chunk.chunk_offset)} that cannot be: {chunk.size} bytes at "
                f"{chunk.byte_offset}, filter mask {chunk.filter_mask}"
            )
            return True
        found += all(at < n and at % side == 0 for at, n, side in zip(chunk.chunk_offset, shape, sides, strict=True))
        return None

    dataset.id.chunk_iter(check)
    if not faults and found != wanted:
        faults.append(f"has {found} of {wanted} chunks")
    return faults[0] if faults else None


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
