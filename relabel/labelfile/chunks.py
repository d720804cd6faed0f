"""Compressing and appending chunks on several threads, with the same bytes whatever their number.

HDF5 filters a chunk inside its one global lock. Here zlib runs in a thread pool and the finished chunk is handed to
HDF5 as it is (`H5Dwrite_chunk`), always in the order of submission. On two cores that wrote 5 million pairs in 0.52 s
instead of 0.85 s; the gain grows with cores. Readers see ordinary shuffle + deflate + fletcher32 chunks.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from h5py._objects import phil

from relabel.cores import available_cores
from relabel.errors import OptionError
from relabel.labelfile.schema import CHUNK_ENTRIES, FILTERS, GZIP_LEVEL

_WAITING_PER_THREAD = 8  # enough to keep every thread busy, few enough to bound memory


def fletcher32(data: bytes) -> int:
    """HDF5's Fletcher checksum of `data`: sums of 16-bit big-endian words modulo 65535.

    The library folds carries as it goes, which is the same modulus except that a sum that is not zero never becomes 0
    but 65535; hence the shift by one below. An odd last byte counts as the high half of a word.
    """
    odd = len(data) & 1
    words = np.frombuffer(data, ">u2", len(data) // 2).astype(np.int64)
    count = len(words) + odd
    first = int(words.sum())
    second = int(np.dot(words, np.arange(count, count - len(words), -1)))
    if odd:
        first += data[-1] << 8
        second += data[-1] << 8
    return _folded(second) << 16 | _folded(first)


def _folded(total: int) -> int:
    return (total - 1) % 65535 + 1 if total else 0


def shuffled(array: npt.NDArray[Any]) -> bytes:
    """The bytes of a 1-D array with all first bytes before all second bytes and so on, as HDF5's shuffle filter."""
    return array.view(np.uint8).reshape(len(array), -1).T.tobytes()


def encoded(raw: bytes) -> bytes:
    """A shuffled chunk as it lies in the file: deflated, with its checksum behind it."""
    packed = zlib.compress(raw, GZIP_LEVEL)
    return packed + fletcher32(packed).to_bytes(4, "little")


class ParallelColumns:
    """New 1-D datasets of equal length that grow together, block by block, in an HDF5 group.

    Parameters
    ----------
    group:
        the h5py group in which the datasets are created.
    dtypes:
        numpy type by name.
    threads:
        how many threads compress; None takes all that this process may run on.
    """

    def __init__(self, group: Any, dtypes: dict[str, str], threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise OptionError(f"threads is {threads}; at least one is needed")
        count = threads or available_cores()
        self._dtypes = [np.dtype(dtype).newbyteorder("<") for dtype in dtypes.values()]
        self._datasets = [
            group.create_dataset(
                name, shape=(0,), maxshape=(None,), chunks=(CHUNK_ENTRIES,), dtype=dtype, track_times=False, **FILTERS
            )
            for name, dtype in zip(dtypes, self._dtypes, strict=True)
        ]
        self._rest = [np.empty(0, dtype) for dtype in self._dtypes]
        self._length = 0
        self._limit = count * _WAITING_PER_THREAD
        self._waiting: deque[tuple[Any, int, int, Future[bytes]]] = deque()
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="relabel-gzip")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def append(self, arrays: Sequence[npt.NDArray[Any]]) -> None:
        """Add the next entries, one array for each dataset, all of one length."""
        start, total = 0, len(arrays[0])
        while len(self._rest[0]) + total - start >= CHUNK_ENTRIES:
            stop = start + CHUNK_ENTRIES - len(self._rest[0])
            self._submit([np.concatenate((r, a[start:stop])) for r, a in zip(self._rest, arrays, strict=True)])
            self._rest = [r[:0] for r in self._rest]
            start = stop
        # A copy: the source may reuse its buffers for the next block.
        self._rest = [np.concatenate((r, a[start:])) for r, a in zip(self._rest, arrays, strict=True)]

    def finish(self) -> int:
        """Write all that is left; the number of entries of each dataset."""
        if len(self._rest[0]):
            self._submit(self._rest)
        while self._waiting:
            self._store()
        return self._length

    def _submit(self, chunk: Sequence[npt.NDArray[Any]]) -> None:
        offset, used = self._length, len(chunk[0])
        self._length += used
        for dataset, dtype, values in zip(self._datasets, self._dtypes, chunk, strict=True):
            whole = np.zeros(CHUNK_ENTRIES, dtype)
            whole[:used] = values
            self._waiting.append((dataset, offset, self._length, self._pool.submit(encoded, shuffled(whole))))
        while len(self._waiting) > self._limit:
            self._store()

    def _store(self) -> None:
        dataset, offset, length, chunk = self._waiting.popleft()
        # Growing chunk by chunk: a later cut to the true length would make HDF5 rewrite the last chunk itself.
        dataset.resize((length,))
        data = chunk.result()
        with phil:  # h5py's lock, which it forgets here before 3.16 (h5py#2764); HDF5 breaks under two threads at once
            dataset.id.write_direct_chunk((offset,), data)
