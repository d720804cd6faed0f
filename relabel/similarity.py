"""Similarity: the degree of overlap ψ of pairs of cameras, sparse, with all that is needed to read it rightly.

A `Collection` says what was compared and how; a `Similarity` adds the values of all pairs in memory. Anything that has
a collection and yields `RowBlock`s in row order is a `SimilaritySource`, so that a city larger than memory can be
written, copied and checked by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError

Measure = Literal["iou", "overlap", "dice"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
DEFAULT_MIN_VALUE = 1e-6


class RowBlock(NamedTuple):
    """Consecutive rows of a CSR matrix."""

    first_row: int
    counts: npt.NDArray[np.int64]
    """(rows,) stored entries of each row"""
    indices: npt.NDArray[np.int32]
    """(sum of counts,) columns, strictly increasing within a row"""
    data: npt.NDArray[np.float32]
    """(sum of counts,) values in (min_value, 1]"""


@dataclass(frozen=True, eq=False)
class Collection:
    """What was compared and how: all of a similarity but its values.

    Parameters
    ----------
    query, database:
        the cameras of the rows and of the columns.
    query_extent, database_extent:
        (n,) float64, each camera's own area in m² (or its voxel count); with it measures convert exactly.
    method:
        ``fov-sector``, ``fov-polygon``, ``surface``, ``voxel-iou`` or ``imported``.
    measure:
        what a stored value is: ``iou`` I/(A+B-I), ``overlap`` I/A with A the query, or ``dice`` 2I/(A+B).
    params:
        the parameters of the method, as JSON values.
    min_value:
        a pair of two OK cameras that is absent has a value ≤ `min_value`.
    self_pairs:
        the database is the query set itself; the diagonal is not stored, both triangles are.
    """

    query: Cameras
    database: Cameras
    query_extent: FloatArray
    database_extent: FloatArray
    method: str
    measure: Measure
    params: Mapping[str, Any] = field(default_factory=dict)
    min_value: float = DEFAULT_MIN_VALUE
    self_pairs: bool = False

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise OptionError(f"measure {self.measure!r} is not known; choose {', '.join(MEASURES)}")
        if not 0.0 <= self.min_value < 1.0:
            raise OptionError(f"min_value is {self.min_value}; it has to be in [0, 1)")
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
    def symmetric(self) -> bool:
        """Whether value (i, j) always equals value (j, i)."""
        return self.self_pairs and self.measure != "overlap"


class SimilaritySource(Protocol):
    """Anything that a label file can be written from."""

    @property
    def collection(self) -> Collection:
        """What is compared and how."""
        ...

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order, without gaps."""
        ...


@dataclass(frozen=True, eq=False)
class Similarity:
    """A collection with the values of all its pairs in memory: a (queries × database) float32 `csr_array`."""

    collection: Collection
    matrix: sparse.csr_array

    def __post_init__(self) -> None:
        if self.matrix.shape != self.collection.shape:
            raise InputError(f"the matrix has shape {self.matrix.shape}; the cameras make it {self.collection.shape}")

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, database cameras)."""
        return self.collection.shape

    def blocks(self) -> Iterator[RowBlock]:
        """The whole matrix as one block."""
        yield RowBlock(
            0,
            np.diff(self.matrix.indptr).astype(np.int64),
            self.matrix.indices.astype(np.int32, copy=False),
            self.matrix.data.astype(np.float32, copy=False),
        )

    def to_measure(self, measure: Measure) -> Similarity:
        """The same overlaps in another measure, converted through the extents.

        Values change by float32 rounding only. Pairs that fall to `min_value` or below under the new measure are
        dropped.

        Raises
        ------
        OptionError
            when the measure is not known.
        InputError
            when an extent that is needed is missing (NaN).
        """
        c = self.collection
        target = replace(c, measure=measure)
        rows = np.repeat(np.arange(c.shape[0]), np.diff(self.matrix.indptr))
        values = convert(
            self.matrix.data.astype(np.float64),
            c.query_extent[rows],
            c.database_extent[self.matrix.indices],
            c.measure,
            measure,
        ).astype(np.float32)
        keep = values > np.float32(c.min_value)
        indptr = np.concatenate(([0], np.cumsum(np.bincount(rows[keep], minlength=c.shape[0]))))
        matrix = sparse.csr_array((values[keep], self.matrix.indices[keep], indptr), shape=c.shape)
        return Similarity(target, matrix)


def intersection(value: FloatArray, a: FloatArray, b: FloatArray, measure: Measure) -> FloatArray:
    """Intersection of two extents a (query) and b (database) whose similarity under `measure` is `value`."""
    if measure == "iou":
        return value * (a + b) / (1.0 + value)
    if measure == "overlap":
        return value * a
    return value * (a + b) / 2.0


def similarity(common: FloatArray, a: FloatArray, b: FloatArray, measure: Measure) -> FloatArray:
    """Similarity under `measure` of two extents a (query) and b (database) that have `common` in common, in [0, 1]."""
    if measure == "iou":
        ratio = common / (a + b - common)
    elif measure == "overlap":
        ratio = common / a
    else:
        ratio = 2.0 * common / (a + b)
    return np.clip(ratio, 0.0, 1.0)


def convert(value: FloatArray, a: FloatArray, b: FloatArray, source: Measure, target: Measure) -> FloatArray:
    """Values of measure `source` as values of measure `target`; a and b are the extents of query and database."""
    for measure in (source, target):
        if measure not in MEASURES:
            raise OptionError(f"measure {measure!r} is not known; choose {', '.join(MEASURES)}")
    if source == target:
        return value
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("the extent of a camera is missing, so its values cannot be converted to another measure")
    return similarity(intersection(value, a, b, source), a, b, target)


def gather(source: SimilaritySource, each: Callable[[int], object] | None = None) -> Similarity:
    """All blocks of a source in one matrix; `each`, when given, is called with the number of rows of every block."""
    collection = source.collection
    counts, indices, data = [np.zeros(1, np.int64)], [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for block in source.blocks():
        counts.append(block.counts)
        indices.append(block.indices)
        data.append(block.data)
        if each is not None:
            each(len(block.counts))
    matrix = sparse.csr_array(
        (np.concatenate(data), np.concatenate(indices), np.cumsum(np.concatenate(counts))), shape=collection.shape
    )
    return Similarity(collection, matrix)
