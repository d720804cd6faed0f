"""ψ of a collection as an image: rows and columns in the order of the file; large ones as squares of pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from relabel.labelfile import StoredCollection
from relabel.report.matrix_cells import Axis, matrix_cells
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
    query, database = stored.numbered_cameras()
    down, across = Axis(np.arange(top, bottom), step, query.ok), Axis(np.arange(left, right), step, database.ok)
    blocks = stored.blocks(first_row=top, stop_row=bottom)
    cells = matrix_cells(blocks, down, across, self_pairs=stored.self_pairs, progress=progress)
    nothing = cells.known == 0
    largest = np.where(nothing, np.float32(np.nan), cells.largest)
    mean = np.where(nothing, np.nan, cells.total / np.maximum(cells.known, 1)).astype(np.float32)
    value = {"rows": list(rows), "columns": list(columns), "step": step, "shape": [down.size, across.size]}
    return {"max": largest, "mean": mean}, value
