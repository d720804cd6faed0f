"""How ψ is spread: a finer histogram than `relabel stats` prints, its bands, and ψ by distance, heading and time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray
from relabel.geometry.earth import points
from relabel.geometry.ground import ground_of
from relabel.geometry.headings import angle_between_deg
from relabel.report.gaps import gaps_of
from relabel.similarity import Collection, RowBlock, SimilaritySource

BINS = 50
DISTANCE_M, HEADING_DEG = 2.5, 10.0
"""the cells of the plane of distance and heading difference; in rooms distances are finer"""
_CELLS = (48, 18)  # up to 120 m and 180°

IntArray = npt.NDArray[np.int64]


def distributions(source: SimilaritySource, progress: Callable[[int], object] | None = None) -> dict[str, Any]:
    """The figures of the charts as JSON, counted in one pass over the pairs.

    Distances are horizontal, and between cameras with poses in space straight, where the difference of two headings is
    the angle between optical axes.

    Parameters
    ----------
    source:
        a collection with its pairs.
    progress:
        called with the number of rows of every block.

    Raises
    ------
    LabelFileError
        when the content does not fit its digest.
    """
    tally = _Tally(source.collection)
    for block in source.blocks():
        tally.add(block)
        if progress is not None:
            progress(len(block.counts))
    return tally.to_json()


class _Tally:
    """Counts that grow block by block."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        sides = collection.query, collection.database
        self._in_space = ground_of(sides).in_space
        self._at = [side.position if self._in_space else points(side, collection.params) for side in sides]
        self._axes = [side.pose[:, :3, 2] for side in sides if self._in_space and side.pose is not None]
        self._distance_m = _step(self._at) if self._in_space else DISTANCE_M
        self._histogram: IntArray = np.zeros(BINS, np.int64)
        self._pairs: IntArray = np.zeros(_CELLS, np.int64)
        self._sums = np.zeros(_CELLS)
        self._beyond = self._without = 0
        self._gaps = gaps_of(collection.query, collection.database)
        self._counts: IntArray = np.zeros((2, len(collection.query)), np.int64)  # pairs with ψ ≥ 0.5, all stored ones

    def add(self, block: RowBlock) -> None:
        rows, columns, values = block.rows, block.indices, block.data
        here = slice(block.first_row, block.first_row + len(block.counts))
        edges = np.linspace(0.0, 1.0, BINS + 1).astype(np.float32)[1:-1]
        self._histogram += np.bincount(np.searchsorted(edges, values, side="right"), minlength=BINS)
        high = values >= np.float32(0.5)
        self._counts[0, here] = np.bincount(rows[high] - block.first_row, minlength=len(block.counts))
        self._counts[1, here] = block.counts
        apart = np.linalg.norm(self._at[0][rows] - self._at[1][columns], axis=1)
        turned = self._turned(rows, columns)
        known = np.isfinite(apart) & np.isfinite(turned)
        near = known & (apart < _CELLS[0] * self._distance_m)
        self._without += int(np.count_nonzero(~known))
        self._beyond += int(np.count_nonzero(known & ~near))
        step = (apart[near] / self._distance_m).astype(np.intp)
        turn = np.minimum(turned[near] / HEADING_DEG, _CELLS[1] - 1).astype(np.intp)
        cell = step * _CELLS[1] + turn
        size = self._pairs.size
        self._pairs += np.bincount(cell, minlength=size).reshape(_CELLS)
        self._sums += np.bincount(cell, weights=values[near], minlength=size).reshape(_CELLS)

        if self._gaps is not None:
            self._gaps.add(rows, columns, values)

    def _turned(self, rows: IntArray, columns: npt.NDArray[np.int32]) -> FloatArray:
        """(m,) how far the cameras of each pair are turned from each other, degrees."""
        if self._in_space:
            cosine = np.einsum("ij,ij->i", self._axes[0][rows], self._axes[1][columns])
            return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
        c = self._collection
        return angle_between_deg(c.query.heading_deg[rows], c.database.heading_deg[columns])

    def to_json(self) -> dict[str, Any]:
        c = self._collection
        ok = c.query.ok
        itself = 1 if c.self_pairs else 0
        known = int(np.count_nonzero(ok)) * (int(np.count_nonzero(c.database.ok)) - itself)
        high, pairs = self._counts[0][ok], self._counts[1][ok]
        absent = int(np.count_nonzero(c.database.ok)) - itself - pairs
        bands = (("ψ ≥ 0.5", high), ("below 0.5", pairs - high), (f"ψ ≤ {c.min_value:g}", absent))
        used = max(10, int(np.max(np.flatnonzero(self._pairs.any(axis=1)), initial=0)) + 1)
        counts, sums = self._pairs[:used], self._sums[:used]
        return {
            "known": known,
            "stored": int(self._counts[1].sum()),
            "histogram": self._histogram.tolist(),
            "bands": [_band(name, counts_of) for name, counts_of in bands],
            "plane": {
                "distance_m": self._distance_m,
                "heading_deg": HEADING_DEG,
                "pairs": counts.tolist(),
                "mean": (sums / np.maximum(counts, 1)).tolist(),
                "beyond": self._beyond,
                "without": self._without,
                "in_space": self._in_space,
            },
            "gaps": None if self._gaps is None else self._gaps.to_json(),
        }


def _step(positions: Sequence[FloatArray]) -> float:
    """The least of 1, 2 or 5 times a power of ten metres, at most `DISTANCE_M`, whose cells span all distances."""
    at = np.concatenate(positions)
    at = at[np.isfinite(at).all(axis=1)]
    farthest = float(np.linalg.norm(np.ptp(at, axis=0))) if len(at) else 0.0
    steps = (digit * 10.0**power for power in range(-3, 1) for digit in (1.0, 2.0, 5.0))
    return min(DISTANCE_M, next((step for step in steps if farthest < step * _CELLS[0]), DISTANCE_M))


def _band(name: str, counts: IntArray) -> dict[str, Any]:
    mean = float(counts.mean()) if len(counts) else None
    return {"name": name, "pairs": int(counts.sum()), "mean": mean, "empty": int(np.count_nonzero(counts == 0))}
