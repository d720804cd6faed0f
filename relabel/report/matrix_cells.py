"""ψ as a matrix of cells, each of which is the pairs of some neighbouring rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.similarity import RowBlock

IntArray = npt.NDArray[np.int64]


class Axis(NamedTuple):
    """The cameras along an axis of a matrix."""

    cameras: IntArray
    """rows of one side of a collection, each once, in the order of the axis"""
    step: int
    """how many neighbours share a cell; the last cell may have fewer"""
    ok: npt.NDArray[np.bool_]
    """(n,) of all cameras of the side: whether their pairs are known"""

    @property
    def size(self) -> int:
        """The number of cells."""
        return -(-len(self.cameras) // self.step)

    def cells(self) -> IntArray:
        """(n,) the cell of every camera of the side, -1 of those that are not on the axis."""
        cells = np.full(len(self.ok), -1)
        cells[self.cameras] = np.arange(len(self.cameras)) // self.step
        return cells


class Cells(NamedTuple):
    """A matrix, (cells down, cells across)."""

    largest: npt.NDArray[np.float32]
    """the largest ψ of the stored pairs, 0 where there are none"""
    total: FloatArray
    """the sum of ψ of the stored pairs"""
    known: IntArray
    """the number of pairs of two ok cameras, stored or not, without those of a camera with itself"""


def matrix_cells(
    blocks: Iterable[RowBlock],
    down: Axis,
    across: Axis,
    *,
    self_pairs: bool,
    progress: Callable[[int], object] | None = None,
) -> Cells:
    """The cells of a matrix.

    Parameters
    ----------
    blocks:
        the stored pairs of the rows `down`; others are passed over.
    down, across:
        queries and database cameras.
    self_pairs:
        whether the database is the queries.
    progress:
        called with the number of rows of every block.
    """
    shape = down.size, across.size
    rows, columns = down.cells(), across.cells()
    largest, total = np.zeros(shape, np.float32), np.zeros(shape)
    for block in blocks:
        i, j = rows[block.rows], columns[block.indices]
        inside = (i >= 0) & (j >= 0)
        cell, values = (i[inside], j[inside]), block.data[inside]
        np.maximum.at(largest, cell, values)
        total += np.bincount(np.ravel_multi_index(cell, shape), weights=values, minlength=total.size).reshape(shape)
        if progress is not None:
            progress(len(block.counts))
    known = np.outer(
        np.bincount(rows[(rows >= 0) & down.ok], minlength=shape[0]),
        np.bincount(columns[(columns >= 0) & across.ok], minlength=shape[1]),
    )
    if self_pairs:
        own = np.flatnonzero((rows >= 0) & (columns >= 0) & down.ok)
        np.subtract.at(known, (rows[own], columns[own]), 1)
    return Cells(largest, total, known)
