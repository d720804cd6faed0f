"""How ψ is spread: a finer histogram than `relabel stats` prints, its bands, and ψ by distance and heading."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.geometry.earth import points
from relabel.geometry.headings import angle_between_deg
from relabel.labelfile import StoredCollection
from relabel.similarity import RowBlock

BINS = 50
DISTANCE_M, HEADING_DEG = 2.5, 10.0
"""the cells of the plane of distance and heading difference"""
_CELLS = (48, 18)  # up to 120 m and 180°

IntArray = npt.NDArray[np.int64]


def distributions(stored: StoredCollection, progress: Callable[[int], object] | None = None) -> dict[str, Any]:
    """The figures of the charts as JSON, counted in one pass over the pairs.

    Parameters
    ----------
    stored:
        a collection.
    progress:
        called with the number of rows of every block.

    Raises
    ------
    LabelFileError
        when the content does not fit its digest.
    """
    tally = _Tally(stored)
    for block in stored.blocks():
        tally.add(block)
        if progress is not None:
            progress(len(block.counts))
    return tally.to_json()


class _Tally:
    """Counts that grow block by block."""

    def __init__(self, stored: StoredCollection) -> None:
        self._stored = stored
        query, database = stored.query, stored.database
        self._at = [points(side, stored.params) for side in (query, database)]
        self._headings = query.heading_deg, database.heading_deg
        self._histogram: IntArray = np.zeros(BINS, np.int64)
        self._pairs: IntArray = np.zeros(_CELLS, np.int64)
        self._sums = np.zeros(_CELLS)
        self._beyond = self._without = 0
        self._counts: IntArray = np.zeros((2, len(query)), np.int64)  # pairs with ψ ≥ 0.5, and all stored ones

    def add(self, block: RowBlock) -> None:
        rows, columns, values = block.rows, block.indices, block.data
        here = slice(block.first_row, block.first_row + len(block.counts))
        edges = np.linspace(0.0, 1.0, BINS + 1).astype(np.float32)[1:-1]
        self._histogram += np.bincount(np.searchsorted(edges, values, side="right"), minlength=BINS)
        high = values >= np.float32(0.5)
        self._counts[0, here] = np.bincount(rows[high] - block.first_row, minlength=len(block.counts))
        self._counts[1, here] = block.counts
        apart = np.linalg.norm(self._at[0][rows] - self._at[1][columns], axis=1)
        turned = angle_between_deg(self._headings[0][rows], self._headings[1][columns])
        known = np.isfinite(apart) & np.isfinite(turned)
        near = known & (apart < _CELLS[0] * DISTANCE_M)
        self._without += int(np.count_nonzero(~known))
        self._beyond += int(np.count_nonzero(known & ~near))
        step = (apart[near] / DISTANCE_M).astype(np.intp)
        turn = np.minimum(turned[near] / HEADING_DEG, _CELLS[1] - 1).astype(np.intp)
        cell = step * _CELLS[1] + turn
        size = self._pairs.size
        self._pairs += np.bincount(cell, minlength=size).reshape(_CELLS)
        self._sums += np.bincount(cell, weights=values[near], minlength=size).reshape(_CELLS)

    def to_json(self) -> dict[str, Any]:
        stored = self._stored
        ok = stored.query.ok
        itself = 1 if stored.self_pairs else 0
        known = int(np.count_nonzero(ok)) * (int(np.count_nonzero(stored.database.ok)) - itself)
        high, pairs = self._counts[0][ok], self._counts[1][ok]
        absent = int(np.count_nonzero(stored.database.ok)) - itself - pairs
        bands = (("ψ ≥ 0.5", high), ("below 0.5", pairs - high), (f"ψ ≤ {stored.min_value:g}", absent))
        used = max(10, int(np.max(np.flatnonzero(self._pairs.any(axis=1)), initial=0)) + 1)
        counts, sums = self._pairs[:used], self._sums[:used]
        return {
            "known": known,
            "stored": stored.nnz,
            "histogram": self._histogram.tolist(),
            "bands": [_band(name, counts_of) for name, counts_of in bands],
            "plane": {
                "distance_m": DISTANCE_M,
                "heading_deg": HEADING_DEG,
                "pairs": counts.tolist(),
                "mean": (sums / np.maximum(counts, 1)).tolist(),
                "beyond": self._beyond,
                "without": self._without,
            },
        }


def _band(name: str, counts: IntArray) -> dict[str, Any]:
    mean = float(counts.mean()) if len(counts) else None
    return {"name": name, "pairs": int(counts.sum()), "mean": mean, "empty": int(np.count_nonzero(counts == 0))}
