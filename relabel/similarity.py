"""Similarity: the degree of overlap ψ of pairs of cameras, sparse, with all that is needed to read it rightly.

A `Collection` says what was compared and how; a `Similarity` adds the values of all pairs in memory. Anything that has
a collection and yields `RowBlock`s in row order is a `SimilaritySource`, so that a city larger than memory can be
written, copied and checked by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.display import Displayed, Layer, Summary, counted, fields_text, parameters, several
from relabel.errors import InputError, OptionError
from relabel.excluded_pairs import ExcludedPairs
from relabel.exclusion import Exclusion
from relabel.measures import (
    DEFAULT_MIN_VALUE,
    MEASURES,
    UNKNOWN,
    Measure,
    Unknown,
    check_measure,
    check_min_value,
    convert,
    converted_bound,
)

if TYPE_CHECKING:
    from scipy import sparse


class RowBlock(NamedTuple):
    """Consecutive rows of a CSR matrix."""

    first_row: int
    counts: npt.NDArray[np.int64]
    """(rows,) stored entries of each row"""
    indices: npt.NDArray[np.int32]
    """(sum of counts,) columns, strictly increasing within a row"""
    data: npt.NDArray[np.float32]
    """(sum of counts,) values in (min_value, 1]"""

    def __repr__(self) -> str:
        return fields_text(self)

    @property
    def rows(self) -> npt.NDArray[np.int64]:
        """(sum of counts,) the row of each entry."""
        return np.repeat(np.arange(self.first_row, self.first_row + len(self.counts), dtype=np.int64), self.counts)


_ROOM = 2**28
"""Pairs that are reserved address space before any is there, at 8 bytes each."""


@dataclass(frozen=True, eq=False, repr=False)
class Collection(Displayed):
    """What was compared and how: everything about a similarity except its values.

    Parameters
    ----------
    query, database:
        the cameras of the rows and of the columns.
    query_extent, database_extent:
        (n,) float64, the area in m² that each camera sees by itself, or its number of voxels; measures are converted
        with it exactly.
    method:
        ``fov-sector``, ``fov-polygon``, ``surface``, ``voxel-iou`` or ``imported``.
    measure:
        what a stored value is: ``iou`` I/(A+B-I), ``overlap`` I/A with A the query, or ``dice`` 2I/(A+B);
        ``unknown`` is only possible for the method ``imported``.
    params:
        the parameters of the method, as JSON values.
    min_value:
        the value of an absent pair of two OK cameras is at most this.
    self_pairs:
        whether the database is the query set itself; both triangles of the matrix are then stored, the diagonal is not.
    """

    query: Cameras
    database: Cameras
    query_extent: FloatArray
    database_extent: FloatArray
    method: str
    measure: Measure | Unknown
    params: Mapping[str, Any] = field(default_factory=dict)
    min_value: float = DEFAULT_MIN_VALUE
    self_pairs: bool = False

    def __post_init__(self) -> None:
        if self.measure not in MEASURES and (self.measure != UNKNOWN or self.method != "imported"):
            raise OptionError(f"measure {self.measure!r} is not known; choose {', '.join(MEASURES)}")
        check_min_value(self.min_value)
        for side, cameras, extent in (
            ("query", self.query, self.query_extent),
            ("database", self.database, self.database_extent),
        ):
            if extent.shape != (len(cameras),):
                raise InputError(f"{side}_extent has shape {extent.shape}; expected ({len(cameras)},)")

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, database cameras)."""
        return len(self.query), len(self.database)

    @property
    def crs(self) -> str:
        """The frame of the positions."""
        return self.query.crs

    @property
    def exclusion(self) -> Exclusion:
        """Which pairs training and scoring leave out, whatever their ψ, as `params` says."""
        return Exclusion.from_params(self.params)

    @property
    def symmetric(self) -> bool:
        """Whether value (i, j) always equals value (j, i)."""
        return self.self_pairs and self.measure in ("iou", "dice")

    def _summary(self) -> Summary:
        return Summary(f"Collection: {self.shape[0]:,} × {self.shape[1]:,}, {self.crs}", self.summary_rows())

    def summary_rows(self) -> list[tuple[str, str]]:
        """Name and value of what is compared and how, for display."""
        database = "the queries themselves" if self.self_pairs else counted(self.database.status_counts())
        return [
            ("queries", counted(self.query.status_counts())),
            ("database", database),
            ("ψ", f"{self.measure} by {self.method}, absent pairs have at most {self.min_value:g}"),
            ("params", parameters(self.params)),
        ]

    def _layers(self) -> Sequence[Layer]:
        return side_layers(self.query, self.database, self_pairs=self.self_pairs)


def side_layers(query: Cameras, database: Cameras, *, self_pairs: bool) -> Sequence[Layer]:
    """Where both sides of a collection stand, for display."""
    queries = Layer("queries", query.position)
    return (queries,) if self_pairs else (queries, Layer("database", database.position))


class SimilaritySource(Protocol):
    """Anything that a label file can be written from."""

    @property
    def collection(self) -> Collection:
        """What is compared and how."""
        ...

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order, without gaps."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Similarity(Displayed):
    """A collection with all its values in memory, as a (queries × database) float32 `csr_array`.

    ``len`` is the number of queries; iteration and ``in`` are by their keys.
    """

    collection: Collection
    matrix: sparse.csr_array

    def __post_init__(self) -> None:
        if self.matrix.shape != self.collection.shape:
            raise InputError(f"the matrix has shape {self.matrix.shape}; the cameras give {self.collection.shape}")

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, database cameras)."""
        return self.collection.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self.collection.query)

    def __contains__(self, key: object) -> bool:
        return key in self.collection.query

    def _summary(self) -> Summary:
        title = f"Similarity: {self.shape[0]:,} × {self.shape[1]:,}, {several(self.matrix.nnz, 'pair')}"
        return Summary(title, self.collection.summary_rows())

    def _layers(self) -> Sequence[Layer]:
        return side_layers(self.collection.query, self.collection.database, self_pairs=self.collection.self_pairs)

    def blocks(self) -> Iterator[RowBlock]:
        """The whole matrix as one block."""
        yield RowBlock(
            0,
            np.diff(self.matrix.indptr).astype(np.int64),
            self.matrix.indices.astype(np.int32, copy=False),
            self.matrix.data.astype(np.float32, copy=False),
        )

    def to_measure(self, measure: Measure) -> Similarity:
        """The same overlaps in another measure; see `Converted`, which does it block by block."""
        return gather(Converted(self, measure))


def check_convertible(collection: Collection, measure: Measure) -> None:
    """Raise an `InputError` where the values of a collection do not determine those in another measure.

    Expected overlaps do not between ``iou`` and the others: the mean of I/(A+B-I) over the noise is no
    function of the mean of I. ``overlap`` and ``dice`` are linear in I and become each other.
    """
    noise = [name for name in ("heading_sigma_deg", "position_sigma_m") if name in collection.params]
    if noise and collection.measure != measure and "iou" in (collection.measure, measure):
        raise InputError(
            f"these are expected values under noise ({', '.join(noise)}), and the expected {measure} does not follow "
            f"from the expected {collection.measure}: label again with measure='{measure}'"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Converted(Displayed):
    """A source with its values in another measure, converted through the extents, block by block.

    `min_value` becomes the most that an absent pair can have under the new measure, so that absence keeps its meaning;
    stored pairs that fall to it or below are dropped. Between ``iou`` and ``dice``, and where all extents are equal,
    none do but for rounding.

    Parameters
    ----------
    source:
        what is converted.
    measure:
        ``iou``, ``overlap`` or ``dice``.

    Raises
    ------
    OptionError
        when either measure is not known.
    InputError
        when an OK camera lacks an extent that is needed, or the values are expected values under noise and one of the
        measures is ``iou``; from `blocks`, when a pair lacks an extent.
    """

    source: SimilaritySource
    measure: Measure
    collection: Collection = field(init=False)

    def __post_init__(self) -> None:
        c = self.source.collection
        check_measure(self.measure)
        check_convertible(c, self.measure)
        extents = (c.query_extent[c.query.ok], c.database_extent[c.database.ok])
        least = converted_bound(c.min_value, *extents, c.measure, self.measure)
        object.__setattr__(self, "collection", replace(c, measure=self.measure, min_value=least))

    def _summary(self) -> Summary:
        title = f"{type(self).__name__}: {self.collection.shape[0]:,} × {self.collection.shape[1]:,}"
        rows = [("converted from", self.source.collection.measure), *self.collection.summary_rows()]
        return Summary(title, rows)

    def _layers(self) -> Sequence[Layer]:
        return side_layers(self.collection.query, self.collection.database, self_pairs=self.collection.self_pairs)

    @property
    def needs_both_directions(self) -> bool:
        """Whether the result is symmetric and the source is not: ``overlap`` of self pairs.

        There the two directions of a pair were rounded each by itself, and only both together give one value.
        """
        return self.collection.symmetric and not self.source.collection.symmetric

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        if self.needs_both_directions:
            yield from self._symmetric().blocks()
            return
        for block in self.source.blocks():
            yield self.block(block)

    def block(self, block: RowBlock) -> RowBlock:
        """One block of the source, converted."""
        c = self.source.collection
        rows = block.rows
        values = convert(
            block.data.astype(np.float64),
            c.query_extent[rows],
            c.database_extent[block.indices],
            c.measure,
            self.measure,
        ).astype(np.float32)
        keep = values > np.float32(self.collection.min_value)
        counts = np.bincount(rows[keep] - block.first_row, minlength=len(block.counts)).astype(np.int64)
        return RowBlock(block.first_row, counts, block.indices[keep], values[keep])

    def _symmetric(self) -> Similarity:
        from scipy import sparse  # noqa: PLC0415  slow to load

        either = gather(_Blocks(self.collection, map(self.block, self.source.blocks()))).matrix
        both = sparse.csr_array(either.maximum(either.T))
        both.sort_indices()
        return Similarity(self.collection, both)


@dataclass(frozen=True, eq=False)
class UsedPairs:
    """A source without the pairs that its collection excludes, which are then neither stored nor zeros.

    Attributes
    ----------
    source:
        with all pairs.
    """

    source: SimilaritySource

    @property
    def collection(self) -> Collection:
        """What is compared and how."""
        return self.source.collection

    @cached_property
    def excluded(self) -> ExcludedPairs | None:
        """The pairs that are left out; None where the collection excludes none."""
        c = self.source.collection
        return ExcludedPairs(c.exclusion, c.query, c.database) if c.exclusion else None

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        for block in self.source.blocks():
            if self.excluded is None:
                yield block
                continue
            rows = block.rows
            keep = ~self.excluded.holds(rows, block.indices)
            counts = np.bincount(rows[keep] - block.first_row, minlength=len(block.counts)).astype(np.int64)
            yield RowBlock(block.first_row, counts, block.indices[keep], block.data[keep])


class _Blocks(NamedTuple):
    """An iterator of blocks, as a source that can be read once."""

    collection: Collection
    rows: Iterable[RowBlock]

    def blocks(self) -> Iterator[RowBlock]:
        return iter(self.rows)


def gather(source: SimilaritySource, progress: Callable[[int], object] | None = None, *, most: int = 0) -> Similarity:
    """All blocks of a source in one matrix, whose indices are int32 where its pairs are few enough.

    Parameters
    ----------
    progress:
        called with the number of rows of every block.
    most:
        how many pairs there are at the most, where that is known: all are then written to their place at once.
    """
    from scipy import sparse  # noqa: PLC0415  slow to load

    collection = source.collection
    # Room that is never written to takes no memory.
    room = min(most, _ROOM)
    counts, indices, data = [np.zeros(1, np.int64)], np.empty(room, np.int32), np.empty(room, np.float32)
    stored = 0
    for block in source.blocks():
        stop = stored + len(block.indices)
        if stop > len(indices):
            room = max(stop, len(indices) + len(indices) // 4)
            indices.resize(room, refcheck=False)
            data.resize(room, refcheck=False)
        indices[stored:stop], data[stored:stop] = block.indices, block.data
        stored = stop
        counts.append(block.counts)
        if progress is not None:
            progress(len(block.counts))
    indices.resize(stored, refcheck=False)
    data.resize(stored, refcheck=False)
    ends = np.cumsum(np.concatenate(counts))
    # SciPy makes all indices as wide as the ends of the rows.
    if stored <= np.iinfo(np.int32).max:
        ends = ends.astype(np.int32)
    return Similarity(collection, sparse.csr_array((data, indices, ends), shape=collection.shape))
