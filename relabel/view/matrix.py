"""ψ of a collection as an image: rows and columns in the order of the file; large ones as squares of pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.labelfile import StoredCollection
from relabel.view.scene import Arrays

CELLS = 480
"""Cells of an image along its longer side, at the most."""


def matrix(
    stored: StoredCollection,
    rows: tuple[int, int],
    columns: tuple[int, int],
    progress: Callable[[int], object] | None = None,
) -> tuple[Arrays, dict[str, Any]]:
    """A rectangle of the matrix, in cells of `step` × `step` pairs: the largest ψ of each, and the mean.

    A pair of ok cameras that is not stored counts as 0, an unknown one not at all, nor a camera with itself.

    Parameters
    ----------
    stored:
        a collection.
    rows, columns:
        (first, end) of the rectangle, at least one of each.
    progress:
        called with the number of rows of every block.

    Returns
    -------
    arrays, value:
        `max` and `mean` (cells down × cells across) float32, NaN where nothing is known; and `rows`, `columns`, `step`
        and `shape` as JSON.

    Raises
    ------
    LabelFileError
        when the content is damaged.
    """
    (top, bottom), (left, right) = rows, columns
    step = -(-max(bottom - top, right - left) // CELLS)
    shape = -(-(bottom - top) // step), -(-(right - left) // step)
    largest, total = np.zeros(shape, np.float32), np.zeros(shape)
    for block in stored.blocks(first_row=top, stop_row=bottom):
        inside = (block.indices >= left) & (block.indices < right)
        cell = (block.rows[inside] - top) // step, (block.indices[inside] - left) // step
        values = block.data[inside]
        np.maximum.at(largest, cell, values)
        flat = np.ravel_multi_index(cell, shape)
        total += np.bincount(flat, weights=values, minlength=total.size).reshape(shape)
        if progress is not None:
            progress(len(block.counts))
    known = _known(stored, rows, columns, step)
    nothing = known == 0
    largest[nothing] = np.nan
    mean = np.where(nothing, np.nan, total / np.maximum(known, 1)).astype(np.float32)
    value = {"rows": list(rows), "columns": list(columns), "step": step, "shape": list(shape)}
    return {"max": largest, "mean": mean}, value


def _known(
    stored: StoredCollection, rows: tuple[int, int], columns: tuple[int, int], step: int
) -> npt.NDArray[np.int64]:
    """How many pairs of each cell have a known ψ."""
    starts = [np.arange(first, end, step) for first, end in (rows, columns)]
    sides = stored.numbered_cameras()
    ok = [side.ok[: part[1]].astype(np.int64) for side, part in zip(sides, (rows, columns), strict=True)]
    down, across = (np.add.reduceat(good, at) for good, at in zip(ok, starts, strict=True))
    known: npt.NDArray[np.int64] = np.outer(down, across)
    if stored.self_pairs:
        own = np.arange(max(rows[0], columns[0]), min(rows[1], columns[1]))
        own = own[sides[0].ok[own]]
        np.subtract.at(known, ((own - rows[0]) // step, (own - columns[0]) // step), 1)
    return known
