"""The three arrays of a similarity group, written row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.labelfile import schema
from relabel.labelfile.chunks import ChunkQueue, GrowingColumns
from relabel.labelfile.digest import ArrayDigest, Record
from relabel.labelfile.hdf5_layout import new_group
from relabel.labelfile.safe_h5file import Draft
from relabel.similarity import RowBlock


class PairDigests:
    """The running digests of the three arrays, however they are split into files."""

    def __init__(self) -> None:
        self._running = {name: ArrayDigest(schema.ARRAYS[name]) for name in ("indices", "data")}
        self._counts: list[npt.NDArray[np.int64]] = []

    def add(self, block: RowBlock) -> None:
        """Add the next rows."""
        self._running["indices"].update(block.indices)
        self._running["data"].update(block.data)
        self._counts.append(block.counts)

    def indptr(self) -> npt.NDArray[np.int64]:
        """(rows + 1,) the start of each row."""
        return np.concatenate((np.zeros(1, np.int64), np.cumsum(np.concatenate([*self._counts, _NO_COUNTS]))))

    def records(self) -> dict[str, Record]:
        """The records of all three by their paths in the collection."""
        indptr = self.indptr()
        total = int(indptr[-1])
        found = {name: digest.record((total,)) for name, digest in self._running.items()}
        found["indptr"] = row_starts_record(indptr)
        return {f"{schema.SIMILARITY}/{name}": record for name, record in found.items()}


_NO_COUNTS = np.zeros(0, np.int64)


def row_starts_record(indptr: npt.NDArray[np.int64]) -> Record:
    """The digest record of `indptr`, as int32, or as int64 where that would not hold the number of pairs."""
    dtype = schema.ARRAYS["indptr"] if int(indptr[-1]) <= schema.MOST else "int64"
    digest = ArrayDigest(dtype)
    digest.update(indptr.astype(np.dtype(dtype).newbyteorder("<")))
    return digest.record(indptr.shape)


class PairArrays:
    """A new similarity group in a file that is being written.

    Parameters
    ----------
    draft:
        the file.
    group:
        the group of the collection.
    shape:
        (queries, database cameras); the number of queries may be an estimate.
    queue:
        the queue that compresses and stores their chunks.
    """

    def __init__(self, draft: Draft, group: Any, shape: tuple[int, int], queue: ChunkQueue) -> None:
        self._draft, self._queue = draft, queue
        self._digests = PairDigests()
        with draft.writing():
            self._group = new_group(group, schema.SIMILARITY)
            for name, value in schema.ENCODING.items():
                self._group.attrs[name] = schema.stored_text(value)
            self._group.attrs["shape"] = np.array(shape, "<i8")
            self._columns = GrowingColumns(self._group, {n: schema.ARRAYS[n] for n in ("indices", "data")}, queue)

    def append(self, block: RowBlock) -> None:
        """Add the next rows."""
        self._digests.add(block)
        with self._draft.writing():
            self._columns.append((block.indices, block.data))

    def finish(self) -> tuple[int, dict[str, Record]]:
        """Write the rest, including the queue; returns the number of pairs, and the digest records by path."""
        with self._draft.writing():
            total = self._columns.finish()
            self._queue.finish()
            indptr = self._digests.indptr().astype("<i4")
            # Not compressed, so that a row is found fast; checksummed, because one flipped bit would move pairs.
            chunk = (min(len(indptr), schema.CHUNK_ENTRIES),)
            self._group.create_dataset("indptr", data=indptr, chunks=chunk, fletcher32=True, track_times=False)
            self._group.attrs.modify("shape", np.array((len(indptr) - 1, self._group.attrs["shape"][1]), "<i8"))
        return total, self._digests.records()
