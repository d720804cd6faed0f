"""Blocks of queries: where a collection is cut, what is recorded of the pieces, and how they are joined again.

Where a block ends is said by the keys of the queries, in the way of content-defined chunking: after a query whose key
has a hash that only one in so many has. One query more in the middle of a dataset then changes the block that it is in,
and all others stay what they are.

The *outline* of a collection is a label file without pairs: all of its cameras, the record of what makes it, and the
list of its blocks. With the label files of the blocks, it is all that the collection is made of.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from relabel.errors import LabelFileError, MissingFileError, OptionError, OutputError
from relabel.labelfile import LabelFile, StoredCollection, provenance
from relabel.labelfile.writer import write_temporary
from relabel.pipeline.one_part import first_difference
from relabel.similarity import Collection, RowBlock, SimilaritySource

log = logging.getLogger(__name__)

AVERAGE_ROWS = 2**16
"""Queries of a block, on average; none but the last has less than a quarter, none more than four times as many.

Of a million, blocks of a quarter of the size take a quarter more processor time, for the cameras around each; larger
ones take no less, and leave fewer for the workers to share. See benchmarks/results/scale.md.
"""
_COMMAND = "relabel: blocks of queries"
_FACTOR = 0x9E3779B97F4A7C15  # 2⁶⁴ over the golden ratio, odd


class Block(Protocol):
    """Some rows of a collection, to be computed anywhere; see `relabel.fov.blocks`."""

    def source(self, threads: int | None = None) -> SimilaritySource:
        """The rows, with the columns that they can have."""
        ...

    def digest(self) -> str:
        """Of all that they depend on but for the version of the program."""
        ...


Cut = Callable[[int, int], Block]
"""The block of the rows from the first number up to, and without, the second."""


class Unmet(NamedTuple):
    """Database cameras that are in no block of queries, of a collection whose extents only its blocks know."""

    key: npt.NDArray[np.str_]
    """(n,)"""
    column: npt.NDArray[np.int64]
    """(n,) ascending"""
    block: Callable[[npt.NDArray[np.int64]], Block]
    """the block, without rows, of some of these columns"""


@dataclass(frozen=True)
class Span:
    """One block of a collection, as its outline records it; without rows, it holds cameras that no query meets."""

    first_row: int
    rows: int
    name: str
    """of the key of its first query, so that it is the same when there are more cameras elsewhere"""
    sha256: str
    """of its inputs"""

    @property
    def stop_row(self) -> int:
        """The row after the last one."""
        return self.first_row + self.rows

    def __str__(self) -> str:
        if not self.rows:
            return f"database cameras out of reach, {self.name}"
        return f"queries {self.first_row:,} to {self.stop_row - 1:,}"


def block_ends(keys: npt.NDArray[np.str_], average: int | None = None) -> list[int]:
    """Where blocks of queries end: numbers of rows, ascending, the last that of all.

    Parameters
    ----------
    keys:
        (n,) of all queries, in the order of the rows.
    average:
        how many rows a block has on average, by default `AVERAGE_ROWS`.
    """
    average = AVERAGE_ROWS if average is None else average
    if average < 1:
        raise OptionError(f"block_rows is {average}; a block has at least one query")
    least, most = max(1, average // 4), 4 * average
    chance = max(1, average - least)
    marks = np.flatnonzero(_hashes(keys) % np.uint64(chance) == 0) + 1
    ends: list[int] = []
    begin = 0
    while begin < len(keys):
        at = np.searchsorted(marks, begin + least)
        mark = int(marks[at]) if at < len(marks) else len(keys)
        ends.append(min(mark, begin + most, len(keys)))
        begin = ends[-1]
    return ends


def _hashes(keys: npt.NDArray[np.str_]) -> npt.NDArray[np.uint64]:
    """(n,) of the keys alone, however wide the array of them is."""
    if not len(keys):
        return np.empty(0, np.uint64)
    letters = np.ascontiguousarray(keys).view(np.uint32).reshape(len(keys), -1)
    total = np.zeros(len(keys), np.uint64)
    factor = 1
    for column in range(letters.shape[1]):  # NUL letters, up to the width of the array, add nothing
        factor = factor * _FACTOR % 2**64
        total += letters[:, column].astype(np.uint64) * np.uint64(factor)
    # The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
    total = (total ^ (total >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    total = (total ^ (total >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return total ^ (total >> np.uint64(31))


def cut_into_blocks(
    keys: npt.NDArray[np.str_], cut: Cut, average: int | None = None, unmet: Unmet | None = None
) -> Iterator[tuple[Span, Callable[[], Block]]]:
    """What is recorded of all blocks of a collection, in order, with what makes each, since all are too large to keep.

    Parameters
    ----------
    keys:
        (n,) of all queries.
    cut:
        makes a block of queries.
    average:
        as of `block_ends`.
    unmet:
        where the extents of the collection are known to its blocks only; these cameras come last.
    """
    first = 0
    for end in block_ends(keys, average):
        make = partial(cut, first, end)
        yield Span(first, end - first, _name(str(keys[first])), make().digest()), make
        first = end
    if unmet is not None:
        first = 0
        for end in block_ends(unmet.key, average):
            make = partial(unmet.block, unmet.column[first:end])
            yield Span(len(keys), 0, _name(f"database\0{unmet.key[first]}"), make().digest()), make
            first = end


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def block_step(step: Mapping[str, Any], span: Span) -> dict[str, Any]:
    """The record in the file of a block, from that of the collection: what it was made with, and from what."""
    inputs = [{"path": "cameras of the block and around it", "bytes": 0, "sha256": span.sha256}]
    return provenance.step(step["command"], step["parameters"], inputs)


class Outline(NamedTuple):
    """All of a collection but its pairs, and where these are."""

    stored: StoredCollection
    step: Mapping[str, Any]
    """the record of what makes the collection"""
    spans: tuple[Span, ...]
    extents_in_blocks: bool
    """whether the extents here are those of whole fields of view, and those of the blocks count"""


def write_outline(
    path: Path,
    name: str,
    collection: Collection,
    step: Mapping[str, Any],
    blocks: Sequence[Span],
    *,
    extents_in_blocks: bool = False,
) -> None:
    """Write the outline of a collection."""
    listed = provenance.step(
        _COMMAND,
        {"blocks": [list(asdict(span).values()) for span in blocks], "extents_in_blocks": extents_in_blocks},
    )
    write_temporary(path, name, WithoutPairs(collection), provenance=[step, listed], threads=None)


def read_outline(path: Path) -> Outline:
    """The outline of a collection.

    Raises
    ------
    MissingFileError, LabelFileError
        when it is not there, or is not one.
    """
    labels = LabelFile(path)
    records = labels.provenance()
    if len(labels) != 1 or len(records) != 2 or records[1].get("command") != _COMMAND:
        raise LabelFileError(f"{path}: is not the outline of a collection")
    listed = records[1]["parameters"]
    blocks = tuple(Span(int(first), int(rows), str(name), str(sha)) for first, rows, name, sha in listed["blocks"])
    stored = labels[next(iter(labels))]
    if [span.first_row for span in blocks] != [0, *(span.stop_row for span in blocks)][:-1] or (
        sum(span.rows for span in blocks) != stored.shape[0]
    ):
        raise LabelFileError(f"{path}: the blocks that it lists are not those of its {stored.shape[0]:,} queries")
    return Outline(stored, records[0], blocks, bool(listed["extents_in_blocks"]))


class WithoutPairs(NamedTuple):
    """A collection none of whose pairs is stored."""

    collection: Collection

    def blocks(self) -> Iterator[RowBlock]:
        """All rows, which are empty."""
        rows = self.collection.shape[0]
        yield RowBlock(0, np.zeros(rows, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True, eq=False)
class Joined:
    """The rows of all blocks of a collection as one `SimilaritySource`.

    Attributes
    ----------
    outline:
        of the collection.
    files:
        the label files of its blocks, in the order of the outline.
    """

    outline: Outline
    files: Sequence[Path]

    @cached_property
    def collection(self) -> Collection:
        """What is compared and how.

        Raises
        ------
        OutputError
            when extents are those of the blocks, and a file is not that of the block, or has been changed.
        """
        whole = self.outline.stored.collection
        if not self.outline.extents_in_blocks:
            return whole
        extents = [np.full(n, np.nan) for n in whole.shape]
        for span, file, stored, columns in self._parts():
            with _fitting(file):
                extents[0][span.first_row : span.stop_row] = stored.query_extent
                extents[1][columns] = stored.database_extent
        query, database = (extents[0], extents[0]) if whole.self_pairs else extents
        return replace(whole, query_extent=query, database_extent=database)

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order.

        Raises
        ------
        OutputError
            when a file is not that of the block, or has been changed.
        """
        for span, file, stored, columns in self._parts():
            with _fitting(file):
                for block in stored.blocks() if span.rows else ():
                    yield block._replace(first_row=span.first_row + block.first_row, indices=columns[block.indices])

    def _parts(self) -> Iterator[tuple[Span, Path, StoredCollection, npt.NDArray[np.int32]]]:
        """Each block with its file, what that holds, and the columns of its database."""
        queries, keys = self.outline.stored.key_bytes  # a quarter of the size of str, and faster to compare
        order = np.argsort(keys)  # once, and not for each block
        for span, file in zip(self.outline.spans, self.files, strict=True):
            with _fitting(file):
                stored = self._checked(span, file)
                own_queries, wanted = stored.key_bytes
            places = np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)
            columns = order[places].astype(np.int32)
            same_queries = np.array_equal(own_queries, queries[span.first_row : span.stop_row])
            if not same_queries or (keys[columns] != wanted).any() or (np.diff(columns) <= 0).any():
                raise _unfit(file, "holds other cameras")
            yield span, file, stored, columns

    def _checked(self, span: Span, file: Path) -> StoredCollection:
        labels = LabelFile(file)
        records = labels.provenance()
        step = block_step(self.outline.step, span)
        fault = first_difference(records[0], step) if len(records) == 1 else "was made in another way"
        if fault is not None or len(labels) != 1:
            raise _unfit(file, fault or "holds several collections")
        return labels[next(iter(labels))]


@contextmanager
def _fitting(file: Path) -> Iterator[None]:
    """What is wrong with the file of a part, as the error of whoever joins them."""
    try:
        yield
    except (MissingFileError, LabelFileError) as error:
        raise _unfit(file, f"was damaged or removed ({error})") from None


def _unfit(file: Path, fault: str) -> OutputError:
    return OutputError(f"{file}: is a part that {fault}; run the labelling command again, which makes it anew")
