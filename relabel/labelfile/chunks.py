"""Compressing and appending chunks on several threads, with the same bytes whatever their number, and reading them.

HDF5 filters a chunk inside its one global lock. Here libdeflate runs in a thread pool and the finished chunk is handed
to HDF5 as it is (`H5Dwrite_chunk`), always in the order of submission. Readers see ordinary shuffle + deflate +
fletcher32 chunks, which libdeflate inflates outside the lock as well.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple, Self

import deflate
import numpy as np
import numpy.typing as npt
from h5py import h5t, h5z
from h5py._objects import phil

from relabel.cores import available_cores
from relabel.errors import OptionError
from relabel.labelfile._hdf5_guards import read_chunk
from relabel.labelfile.schema import CHUNK_ENTRIES, FILTERS

_WAITING_PER_THREAD = 2  # enough to keep every thread busy, few enough to bound memory
BATCH_BYTES = 1 << 20
"""Bytes of a column that are compressed or inflated in one go: for a single chunk, calling NumPy and passing the GIL
from thread to thread take longer than shuffling or summing its bytes."""
_STEPS = [h5z.FILTER_SHUFFLE, h5z.FILTER_DEFLATE, h5z.FILTER_FLETCHER32]
_CHECKSUM_BYTES = 4
_LEVEL = 3  # of libdeflate, which makes smaller chunks than zlib at the level that the file states
_ZLIB_HEADER = b"\x78\x01"
_LONGEST_STORED = 0xFFFF  # bytes of a stored block of deflate
_SAMPLED = 5  # of so many bytes one is looked at, to see whether they are noise
_NOISE = (
    1.2  # times as many pairs of equal bytes as in bytes that are independent and equally frequent: 0.26 bits a byte
)
_WORDS = 1 << 10  # of a row
_WORDS_SUMMED = 1 << 16  # words whose sum fits in 32 bits
_LEAST_SUMMED = 16 * _WORDS  # bytes of memory that `checksums` takes for a chunk, however small it is
_MODULUS = 65535


def checksums(chunks: Sequence[bytes | memoryview]) -> list[int]:
    """HDF5's Fletcher checksum of each chunk: sums of 16-bit big-endian words modulo 65535.

    The library folds carries as it goes, which is the same modulus except that a sum that is not zero never becomes 0
    but 65535. An odd last byte counts as the high half of a word. Swapping the bytes of a word multiplies it by 256 in
    this modulus, so that the sums are those of words as processors have them.
    """
    longest = max(map(len, chunks))
    padded = np.zeros((len(chunks), -(-longest // (2 * _WORDS)) * 2 * _WORDS), np.uint8)  # zeros change no sum
    for row, chunk in zip(padded, chunks, strict=True):
        row[: len(chunk)] = np.frombuffer(chunk, np.uint8)
    words = padded.view("<u2").reshape(len(chunks), -1, _WORDS)
    # In the second sum, word i of n counts (n - i) times. Sums of the rows and columns of a table of words take one
    # pass of small numbers each.
    small = np.uint32 if words.shape[1] <= _WORDS_SUMMED else np.uint64
    rows = words.sum(axis=2, dtype=np.uint32).astype(np.int64) % _MODULUS
    columns = words.sum(axis=1, dtype=small).astype(np.int64) % _MODULUS
    first = rows.sum(axis=1)
    before = rows @ np.arange(0, words.shape[1] * _WORDS, _WORDS) + columns @ np.arange(_WORDS)
    counts = np.array([-(-len(chunk) // 2) for chunk in chunks])
    second = counts * (first % _MODULUS) - before
    all_zero = ~words.any(axis=(1, 2))
    folded = [np.where(all_zero, 0, (total % _MODULUS * 256 - 1) % _MODULUS + 1) for total in (first, second)]
    return [int(high) << 16 | int(low) for low, high in zip(*folded, strict=True)]


def encoded(values: npt.NDArray[Any], *, fast: bool = False) -> bytes:
    """One chunk; see `encoded_chunks`."""
    return encoded_chunks(values, len(values), fast=fast)[0]


def encoded_chunks(values: npt.NDArray[Any], rows: int, *, fast: bool = False) -> list[bytes]:
    """Chunks of `rows` rows each as they lie in the file: shuffled, deflated, with their checksums behind them.

    The low bytes of most numbers with fractions, such as ψ, are noise, in which deflate would look for repetitions in
    vain: they lie first in the shuffled bytes, and are stored.

    With `fast`, columns are deflated at the lowest level, which makes them eight times smaller, and all else is only
    stored: deflating ψ, keys and positions takes longer, for a half to four fifths of their size.
    """
    count, dtype = len(values) // rows, values.dtype
    by_item = np.ascontiguousarray(values).view(np.uint8).reshape(count, values.size // count, dtype.itemsize)
    # All first bytes before all second bytes and so on, as HDF5's shuffle filter.
    planes = np.ascontiguousarray(by_item.transpose(0, 2, 1))
    noisy = _noise_planes(planes) if dtype.kind == "f" and not fast else np.zeros(count, np.int64)
    level = _LEVEL if not fast else 1 if dtype == np.int32 else 0
    size = planes[0].size
    whole = memoryview(planes.reshape(-1).data)
    chunks = [
        _deflated(whole[start : start + size], int(noise) * planes.shape[2], level)
        for start, noise in zip(range(0, len(whole), size), noisy, strict=True)
    ]
    return [
        chunk + checksum.to_bytes(_CHECKSUM_BYTES, "little")
        for chunk, checksum in zip(chunks, checksums(chunks), strict=True)
    ]


def _noise_planes(planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Of each chunk of shuffled bytes, (chunks, planes, items), how many planes, from the first on, are noise.

    That is, all bytes are about equally frequent in them.
    """
    sampled = planes[:, :, ::_SAMPLED]
    # Numbers of their own for the bytes of each plane, so that all planes are counted at once.
    apart = sampled + 256 * np.arange(sampled.shape[0] * sampled.shape[1]).reshape(*sampled.shape[:2], 1)
    counts = np.bincount(apart.reshape(-1), minlength=256 * planes.shape[0] * planes.shape[1])
    equal = (counts * (counts - 1)).reshape(*planes.shape[:2], 256).sum(axis=2)
    total = sampled.shape[2]
    noise: npt.NDArray[np.bool_] = equal * 256 <= _NOISE * total * (total - 1)
    leading: npt.NDArray[np.int64] = np.logical_and.accumulate(noise, axis=1).sum(axis=1)
    return leading


def _deflated(data: memoryview, stored: int, level: int) -> bytes:
    """A zlib stream whose first `stored` bytes are only stored."""
    pieces: list[bytes | bytearray | memoryview] = [_ZLIB_HEADER]
    for start in range(0, stored, _LONGEST_STORED):
        piece = data[start : min(start + _LONGEST_STORED, stored)]
        pieces += [b"\0", len(piece).to_bytes(2, "little"), (len(piece) ^ 0xFFFF).to_bytes(2, "little"), piece]
    return b"".join([*pieces, deflate.deflate_compress(data[stored:], level), deflate.adler32(data).to_bytes(4, "big")])


def decoded(chunks: Sequence[bytes], into: npt.NDArray[np.uint8]) -> bool:
    """Whether all chunks are as `encoded_chunks` makes them; their shuffled bytes go into the rows of `into`.

    False where any is damaged, or holds more or less than a row.
    """
    size = into[0].size
    # More than deflate makes of any chunk. The longest one decides how much memory the checksums of all of them take.
    longest = size + size // 256 + 64
    if not all(_CHECKSUM_BYTES < len(chunk) <= longest for chunk in chunks):
        return False
    packed = [memoryview(chunk)[:-_CHECKSUM_BYTES] for chunk in chunks]
    stored = [int.from_bytes(chunk[-_CHECKSUM_BYTES:], "little") for chunk in chunks]
    if checksums(packed) != stored:
        return False
    for row, stream in zip(into, packed, strict=True):
        try:
            values = deflate.zlib_decompress(stream, size)  # fails where there are more
        except deflate.DeflateError:
            return False
        if len(values) != size:
            return False
        row[:] = np.frombuffer(values, np.uint8)
    return True


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
    rows, in_row, width = sides[0], math.prod(sides[1:]), dtype.itemsize
    values = np.empty((stop - first, *sides[1:]), dtype)
    by_item = values.reshape(-1).view(np.uint8).reshape(-1, width)
    size = rows * in_row * width
    starts = range(first // rows * rows, stop, rows)
    at_once = max(1, min(len(starts), BATCH_BYTES // max(size, _LEAST_SUMMED)))
    # One memory for all batches, since the system clears new memory first.
    buffer = np.empty((at_once, size), np.uint8)
    for batch in (starts[k : k + at_once] for k in range(0, len(starts), at_once)):
        try:
            stored = [read_chunk(dataset, (row, *(0 for _ in sides[1:]))) for row in batch]
        except Exception:  # of many kinds, as HDF5's are; it is asked again, and says which
            return None
        shuffled = buffer[: len(batch)]
        if any(mask for mask, _ in stored) or not decoded([data for _, data in stored], shuffled):
            return None
        planes = shuffled.reshape(len(batch), width, -1)
        low, high = max(batch[0], first), min(batch[-1] + rows, stop)
        wanted = by_item[in_row * (low - first) : in_row * (high - first)]
        is_whole = high - low == len(batch) * rows
        unshuffled = wanted if is_whole else np.empty((len(batch) * rows * in_row, width), np.uint8)
        by_chunk = unshuffled.reshape(len(batch), -1, width)
        for k in range(width):
            by_chunk[:, :, k] = planes[:, k]
        if not is_whole:
            wanted[:] = unshuffled[in_row * (low - batch[0]) :][: len(wanted)]
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
        compress as little as `encoded_chunks` says.
    """

    def __init__(self, threads: int | None = None, *, fast: bool = False) -> None:
        if threads is not None and threads < 1:
            raise OptionError(f"threads is {threads}; at least one is needed")
        count = threads or available_cores()
        self._fast = fast
        self._limit = count * _WAITING_PER_THREAD
        self._waiting: deque[_Batch] = deque()
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="relabel-gzip")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def add(
        self, datasets: Sequence[Any], first_row: int, columns: Sequence[npt.NDArray[Any]], *, grow: bool = False
    ) -> None:
        """The next rows of some datasets; they are stored in turns, a chunk of each.

        Parameters
        ----------
        datasets:
            h5py datasets with `FILTERS`, in chunks of the same number of whole rows.
        first_row:
            where they begin, which is where a chunk does.
        columns:
            the rows of each, in the type of the dataset, which must not change any more; the last chunk may be one that
            is not full.
        grow:
            whether the datasets grow by each chunk before it is stored.
        """
        rows = datasets[0].chunks[0]
        in_row = max(column.itemsize * math.prod(column.shape[1:]) for column in columns)
        step = rows * max(1, BATCH_BYTES // (rows * in_row))
        for start in range(0, len(columns[0]), step):
            parts = [column[start : start + step] for column in columns]
            chunks = [self._pool.submit(_encoded_whole, part, rows, fast=self._fast) for part in parts]
            self._waiting.append(_Batch(datasets, first_row + start, first_row + start + len(parts[0]), grow, chunks))
            while len(self._waiting) > self._limit:
                self._store()

    def finish(self) -> None:
        """Store all that was added."""
        while self._waiting:
            self._store()

    def _store(self) -> None:
        datasets, start, stop, grow, encoded = self._waiting.popleft()
        rows = datasets[0].chunks[0]
        chunks = [column.result() for column in encoded]
        for number, row in enumerate(range(start, stop, rows)):
            for dataset, column in zip(datasets, chunks, strict=True):
                # Growing chunk by chunk: a later cut to the true length would make HDF5 rewrite the last chunk itself.
                if grow:
                    dataset.resize((min(row + rows, stop),))
                with phil:  # as for read_chunk
                    dataset.id.write_direct_chunk((row, *(0 for _ in dataset.shape[1:])), column[number])


class _Batch(NamedTuple):
    """Rows of some datasets that are being compressed."""

    datasets: Sequence[Any]
    start: int
    stop: int
    grow: bool
    chunks: Sequence[Future[list[bytes]]]


def _encoded_whole(values: npt.NDArray[Any], rows: int, *, fast: bool) -> list[bytes]:
    """The chunks of some rows; the last one is filled up with zeros."""
    whole = len(values) // rows * rows
    chunks = encoded_chunks(values[:whole], rows, fast=fast) if whole else []
    if whole < len(values):
        filled = np.zeros((rows, *values.shape[1:]), values.dtype)
        filled[: len(values) - whole] = values[whole:]
        chunks.append(encoded(filled))  # not fast: the zeros may be most of it
    return chunks


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
        widest = max(dtype.itemsize for dtype in self._dtypes)
        while chunks := (len(self._rest[0]) + total - start) // CHUNK_ENTRIES:
            # Copies: the source may reuse its buffers for the next block.
            entries = min(chunks, max(1, BATCH_BYTES // (widest * CHUNK_ENTRIES))) * CHUNK_ENTRIES
            stop = start + entries - len(self._rest[0])
            self._add([np.concatenate((r, a[start:stop])) for r, a in zip(self._rest, arrays, strict=True)])
            self._rest = [r[:0] for r in self._rest]
            start = stop
        self._rest = [np.concatenate((r, a[start:])) for r, a in zip(self._rest, arrays, strict=True)]

    def finish(self) -> int:
        """Add all that is left; the number of entries of each dataset."""
        if len(self._rest[0]):
            self._add(self._rest)
        return self._length

    def _add(self, columns: Sequence[npt.NDArray[Any]]) -> None:
        typed = [column.astype(dtype, copy=False) for column, dtype in zip(columns, self._dtypes, strict=True)]
        self._queue.add(self._datasets, self._length, typed, grow=True)
        self._length += len(columns[0])
