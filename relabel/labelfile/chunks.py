"""Compressing and appending chunks on several threads, with the same bytes whatever their number, and reading them.

HDF5 filters a chunk inside its one global lock. Here libdeflate runs in a thread pool and the finished chunk is handed
to HDF5 as it is (`H5Dwrite_chunk`), always in the order of submission. Readers see ordinary shuffle + deflate +
fletcher32 chunks, which libdeflate inflates outside the lock as well.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import deflate
import numpy as np
import numpy.typing as npt
from h5py import h5t, h5z
from h5py._objects import phil

from relabel.cores import available_cores
from relabel.errors import OptionError
from relabel.labelfile._hdf5_guards import read_chunk
from relabel.labelfile.schema import CHUNK_ENTRIES, FILTERS, GZIP_LEVEL

_WAITING_PER_THREAD = 8  # enough to keep every thread busy, few enough to bound memory
_STEPS = [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE, h5z.FILTER_FLETCHER32]
_CHECKSUM_BYTES = 4
_ZLIB_HEADER = b"\x78\x01"
_LONGEST_STORED = 0xFFFF  # bytes of a stored block of deflate
_SAMPLED = 5  # of so many bytes one is looked at, to see whether they are noise
_NOISE = (
    1.2  # times as many pairs of equal bytes as in bytes that are independent and equally frequent: 0.26 bits a byte
)
_WORDS = 1 << 10  # of a row
_WORDS_SUMMED = 1 << 16  # words whose sum fits in 32 bits


def fletcher32(data: bytes | memoryview) -> int:
    """HDF5's Fletcher checksum of `data`: sums of 16-bit big-endian words modulo 65535.

    The library folds carries as it goes, which is the same modulus except that a sum that is not zero never becomes 0
    but 65535; hence the shift by one below. An odd last byte counts as the high half of a word. Swapping the bytes of a
    word multiplies it by 256 in this modulus, so that the sums are those of words as processors have them.
    """
    words = np.frombuffer(data, "<u2", len(data) // 2)
    odd = len(data) & 1
    count, whole = len(words) + odd, len(words) // _WORDS * _WORDS
    # Word i counts (count - i) times in the second sum. Sums of the rows and columns of a table of words take one pass
    # of small numbers each.
    by_row = words[:whole].reshape(-1, _WORDS)
    rows = by_row.sum(axis=1, dtype=np.uint32).astype(np.int64)
    columns = by_row.sum(axis=0, dtype=np.uint32 if len(rows) <= _WORDS_SUMMED else np.uint64).astype(np.int64)
    rest = words[whole:].astype(np.int64)
    first = int(rows.sum() + rest.sum())
    second = int(rows @ np.arange(count, count - whole, -_WORDS) - columns @ np.arange(_WORDS))
    second += int(rest @ np.arange(count - whole, odd, -1))
    last = data[-1] << 8 if odd else 0
    return _folded(second * 256 + last) << 16 | _folded(first * 256 + last)


def _folded(total: int) -> int:
    return (total - 1) % 65535 + 1 if total else 0


def shuffled(array: npt.NDArray[Any]) -> bytes:
    """The bytes of an array with all first bytes before all second bytes and so on, as HDF5's shuffle filter."""
    return np.ascontiguousarray(array).view(np.uint8).reshape(array.size, -1).T.tobytes()


def encoded(values: npt.NDArray[Any], *, fast: bool = False) -> bytes:
    """A chunk of this many rows as it lies in the file: shuffled, deflated, with its checksum behind it.

    The low bytes of most numbers with fractions, such as ψ, are noise, in which deflate would look for repetitions in
    vain: they lie first in the shuffled bytes, and are stored.

    With `fast`, columns are deflated at the lowest level, which makes them eight times smaller, and all else is only
    stored: deflating ψ, keys and positions takes longer, for a half to four fifths of their size.
    """
    data = shuffled(values)
    noise = _noise_bytes(data, values.dtype.itemsize) if values.dtype.kind == "f" and not fast else 0
    level = GZIP_LEVEL if not fast else 1 if values.dtype == np.int32 else 0
    pieces: list[bytes | bytearray] = [_ZLIB_HEADER]
    for start in range(0, noise, _LONGEST_STORED):
        piece = data[start : min(start + _LONGEST_STORED, noise)]
        pieces += [b"\0", len(piece).to_bytes(2, "little"), (len(piece) ^ 0xFFFF).to_bytes(2, "little"), piece]
    pieces += [deflate.deflate_compress(memoryview(data)[noise:], level), deflate.adler32(data).to_bytes(4, "big")]
    packed = b"".join(pieces)
    return packed + fletcher32(packed).to_bytes(_CHECKSUM_BYTES, "little")


def _noise_bytes(data: bytes, itemsize: int) -> int:
    """How many of the shuffled bytes, from the first on, are in planes whose bytes are all about equally frequent."""
    planes = np.frombuffer(data, np.uint8).reshape(itemsize, -1)
    for number, plane in enumerate(planes):
        counts = np.bincount(plane[::_SAMPLED], minlength=256)
        total = int(counts.sum())
        if counts @ (counts - 1) * 256 > _NOISE * total * (total - 1):
            return number * len(plane)
    return len(data)


def decoded(data: bytes, size: int) -> bytearray | None:
    """The `size` shuffled bytes of a chunk that `encoded` made; None where it holds anything else, or is damaged."""
    packed = memoryview(data)[:-_CHECKSUM_BYTES]
    if len(data) < _CHECKSUM_BYTES or fletcher32(packed) != int.from_bytes(data[-_CHECKSUM_BYTES:], "little"):
        return None
    try:
        values = deflate.zlib_decompress(packed, size)  # fails where there are more
    except deflate.DeflateError:
        return None
    return values if len(values) == size else None


def read_rows(dataset: Any, first: int, stop: int) -> npt.NDArray[Any] | None:
    """Rows from `first` up to, but without, `stop`, inflated by libdeflate and outside HDF5's lock.

    Parameters
    ----------
    dataset:
        an h5py dataset whose chunks are all there and fit the file.
    first, stop:
        0 ≤ first ≤ stop ≤ its length.

    Returns
    -------
    array
        what h5py would read; None where the chunks are damaged, or not as `encoded` makes them, so that HDF5 had better
        read them, or say what is wrong.
    """
    sides, dtype = dataset.chunks, dataset.dtype
    if not sides or sides[1:] != dataset.shape[1:] or dtype.hasobject or not _is_stored_alike(dataset, dtype):
        return None
    rows = sides[0]
    values = np.empty((stop - first, *sides[1:]), dtype)
    size, items = rows * values[:1].nbytes, values[:1].size
    by_item = values.reshape(-1).view(np.uint8).reshape(-1, dtype.itemsize)
    for start in range(first // rows * rows, stop, rows):
        try:
            mask, data = read_chunk(dataset, (start, *(0 for _ in sides[1:])))
        except Exception:  # of many kinds, as HDF5's are; it is asked again, and says which
            return None
        shuffled = decoded(data, size) if mask == 0 else None
        if shuffled is None:
            return None
        low, high = (items * (row - start) for row in (max(start, first), min(start + rows, stop)))
        here = items * (start - first)
        for k, byte in enumerate(np.frombuffer(shuffled, np.uint8).reshape(dtype.itemsize, -1)):
            by_item[here + low : here + high, k] = byte[low:high]
    return values


def _is_stored_alike(dataset: Any, dtype: np.dtype[Any]) -> bool:
    """Whether the chunks went through the filters of `encoded`, and hold the values as an array in memory does."""
    properties = dataset.id.get_create_plist()
    steps = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    return steps == _STEPS and bool(h5t.py_create(dtype, logical=True) == dataset.id.get_type())


class ChunkQueue:
    """Chunks that are compressed in threads and stored in the order in which they were added.

    What else is made in the file must be made before the first chunk is added or after `finish`, so that its place does
    not depend on how far the threads are. Every call may write to the file.

    Parameters
    ----------
    threads:
        how many threads compress; None takes all that this process may run on.
    fast:
        compress as little as `encoded` says.
    """

    def __init__(self, threads: int | None = None, *, fast: bool = False) -> None:
        if threads is not None and threads < 1:
            raise OptionError(f"threads is {threads}; at least one is needed")
        count = threads or available_cores()
        self._fast = fast
        self._limit = count * _WAITING_PER_THREAD
        self._waiting: deque[tuple[Any, tuple[int, ...], int | None, Future[bytes]]] = deque()
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="relabel-gzip")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(self, dataset: Any, first_row: int, values: npt.NDArray[Any], *, length: int | None = None) -> None:
        """The next chunk.

        Parameters
        ----------
        dataset:
            an h5py dataset with `FILTERS`, in chunks of whole rows.
        first_row:
            where the chunk begins.
        values:
            its rows, in the type of the dataset, which must not change any more; of the last chunk those there are.
        length:
            what the dataset grows to before the chunk is stored.
        """
        offset = (first_row, *(0 for _ in dataset.shape[1:]))
        rows = dataset.chunks[0]
        self._waiting.append(
            (dataset, offset, length, self._pool.submit(_encoded_whole, values, rows, fast=self._fast))
        )
        while len(self._waiting) > self._limit:
            self._store()

    def finish(self) -> None:
        """Store all that was added."""
        while self._waiting:
            self._store()

    def _store(self) -> None:
        dataset, offset, length, chunk = self._waiting.popleft()
        if length is not None:
            # Growing chunk by chunk: a later cut to the true length would make HDF5 rewrite the last chunk itself.
            dataset.resize((length,))
        data = chunk.result()
        with phil:  # as for read_chunk
            dataset.id.write_direct_chunk(offset, data)


def _encoded_whole(values: npt.NDArray[Any], rows: int, *, fast: bool) -> bytes:
    """The rows, and zeros up to as many as a chunk has, encoded."""
    if len(values) < rows:
        values = np.concatenate((values, np.zeros((rows - len(values), *values.shape[1:]), values.dtype)))
        fast = False  # the zeros may be most of it
    return encoded(values, fast=fast)


class GrowingColumns:
    """New 1-D datasets of equal length that grow together, block by block, in an HDF5 group.

    Parameters
    ----------
    group:
        the h5py group in which the datasets are created.
    dtypes:
        numpy type by name.
    queue:
        what compresses and stores their chunks.
    """

    def __init__(self, group: Any, dtypes: dict[str, str], queue: ChunkQueue) -> None:
        self._queue = queue
        self._dtypes = [np.dtype(dtype).newbyteorder("<") for dtype in dtypes.values()]
        self._datasets = [
            group.create_dataset(
                name, shape=(0,), maxshape=(None,), chunks=(CHUNK_ENTRIES,), dtype=dtype, track_times=False, **FILTERS
            )
            for name, dtype in zip(dtypes, self._dtypes, strict=True)
        ]
        self._rest = [np.empty(0, dtype) for dtype in self._dtypes]
        self._length = 0

    def append(self, arrays: Sequence[npt.NDArray[Any]]) -> None:
        """Add the next entries, one array for each dataset, all of one length."""
        start, total = 0, len(arrays[0])
        while len(self._rest[0]) + total - start >= CHUNK_ENTRIES:
            stop = start + CHUNK_ENTRIES - len(self._rest[0])
            self._add([np.concatenate((r, a[start:stop])) for r, a in zip(self._rest, arrays, strict=True)])
            self._rest = [r[:0] for r in self._rest]
            start = stop
        # A copy: the source may reuse its buffers for the next block.
        self._rest = [np.concatenate((r, a[start:])) for r, a in zip(self._rest, arrays, strict=True)]

    def finish(self) -> int:
        """Add all that is left; the number of entries of each dataset."""
        if len(self._rest[0]):
            self._add(self._rest)
        return self._length

    def _add(self, chunk: Sequence[npt.NDArray[Any]]) -> None:
        offset = self._length
        self._length += len(chunk[0])
        for dataset, dtype, values in zip(self._datasets, self._dtypes, chunk, strict=True):
            self._queue.add(dataset, offset, values.astype(dtype, copy=False), length=self._length)
