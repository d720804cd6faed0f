"""Comparison with a second label file: pairs that flip across 0.5, the pairs that differ most, and histograms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.labelfile import StoredCollection
from relabel.report.compare import compare_collections, notes
from relabel.report.differences import POSITIVE, IntArray, ValueArray

LISTED = 100
"""pairs of each list"""
BINS = 20
"""of ψ in each file; of the difference, from −1 to 1, twice as many"""


def comparison(
    a: StoredCollection, b: StoredCollection, progress: Callable[[int], object] | None = None
) -> dict[str, Any]:
    """The differences of two collections as JSON; pairs have the row numbers of the first.

    A pair that is absent in one file, though both cameras are ok there, counts as 0.

    Parameters
    ----------
    a, b:
        the collection shown, and the one that it is compared with.
    progress:
        called with the numbers of rows of `a` that were read.

    Raises
    ------
    InputError
        when the measures differ and an extent that is needed is missing.
    LabelFileError
        when the content of one does not fit its digest.
    """
    watch = _Watch()
    counted = compare_collections(a, b, progress=progress or _ignored, watch=watch)
    return {
        **counted.to_json(),
        "notes": list(notes(counted)),
        "histogram": watch.histogram.tolist(),
        "plane": watch.plane.tolist(),
        "flips": [_pair(a, *entry) for entry in watch.flips.entries],
        "worst": [_pair(a, *entry) for entry in watch.worst.entries],
    }


def _ignored(_: int) -> None:
    pass


def _pair(stored: StoredCollection, _: float, code: int, a: float, b: float) -> dict[str, Any]:
    row, column = divmod(code, stored.shape[1])
    [query], [database] = stored.keys_of([row]), stored.keys_of([column], database=True)
    values = (None if np.isnan(value) else value for value in (a, b))
    return {"row": row, "column": column, "query": query, "database": database, **dict(zip("ab", values, strict=True))}


class _Watch:
    """Counts pairs as they are compared, and keeps the worst."""

    def __init__(self) -> None:
        self.histogram: IntArray = np.zeros(2 * BINS, np.int64)
        self.plane: IntArray = np.zeros((BINS, BINS), np.int64)
        self.flips, self.worst = _Largest(), _Largest()

    def __call__(self, codes: IntArray, a: ValueArray, b: ValueArray) -> None:
        first, second = (np.nan_to_num(values).astype(np.float64) for values in (a, b))
        change = second - first
        at = np.minimum(((change + 1) * BINS).astype(np.intp), 2 * BINS - 1)
        self.histogram += np.bincount(at, minlength=2 * BINS)
        cells = [np.minimum((values * BINS).astype(np.intp), BINS - 1) for values in (first, second)]
        self.plane += np.bincount(cells[0] * BINS + cells[1], minlength=BINS**2).reshape(BINS, BINS)
        # Compared as float32, as they are stored.
        flipped = (np.nan_to_num(a) >= POSITIVE) != (np.nan_to_num(b) >= POSITIVE)
        size = np.abs(change)
        self.flips.add(size[flipped], codes[flipped], a[flipped], b[flipped])
        self.worst.add(size, codes, a, b)


class _Largest:
    """The pairs that differ most, worst first, equal ones by row and column: (difference, code, value in a, in b)."""

    def __init__(self) -> None:
        self.entries: list[tuple[float, int, float, float]] = []

    def add(self, size: npt.NDArray[np.float64], codes: IntArray, a: ValueArray, b: ValueArray) -> None:
        few = np.flatnonzero(size > 0)
        if len(few) > LISTED:
            few = few[size[few] >= np.partition(size[few], -LISTED)[-LISTED]]
            few = few[np.lexsort((codes[few], -size[few]))[:LISTED]]
        table = zip(*(array[few].tolist() for array in (size, codes, a, b)), strict=True)
        self.entries = sorted([*self.entries, *table], key=lambda entry: (-entry[0], entry[1]))[:LISTED]
