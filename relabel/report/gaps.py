"""ψ of two images of a sequence against the time between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.exclusion import FRAME, SEQUENCE, TIME

PSI_BINS = 10
_SHORTEST_S = 1 / 16
_BINS = 40  # each twice as long as the one before

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def gaps_of(query: Cameras, database: Cameras) -> Gaps | None:
    """Counts of pairs by time if the cameras have times, else by frames of a sequence; None without either."""
    sides = (query, database)

    def has(name: str, kinds: str) -> bool:
        return all(name in side.extra and side.extra[name].dtype.kind in kinds for side in sides)

    in_sequences = has(SEQUENCE, "Uiu")
    for column, shortest in ((TIME, _SHORTEST_S), (FRAME, 1.0)):
        if has(column, "iuf") and (in_sequences or column == TIME):
            times = [side.extra[column].astype(np.float64) for side in sides]
            return Gaps(column, shortest, times, _sequences(sides) if in_sequences else None)
    return None


def _sequences(sides: tuple[Cameras, Cameras]) -> list[IntArray]:
    """Of each side the numbers of the sequences, the same for both; -1 where it is empty."""
    names = [side.extra[SEQUENCE].astype(np.str_) for side in sides]
    known, numbers = np.unique(np.concatenate(names), return_inverse=True)
    numbers = np.where(known == "", -1, np.arange(len(known)))[numbers].astype(np.int64)
    return [numbers[: len(names[0])], numbers[len(names[0]) :]]


class Gaps:
    """Pairs by the time between them, in steps each twice as long as the one before, and by ψ."""

    def __init__(self, column: str, shortest: float, times: list[FloatArray], sequences: list[IntArray] | None) -> None:
        self._column, self._shortest = column, shortest
        self._times, self._sequences = times, sequences
        self._pairs: IntArray = np.zeros((_BINS, PSI_BINS), np.int64)
        self._sums = np.zeros(_BINS)
        self._of_two = self._without = 0

    def add(self, rows: npt.NDArray[Any], columns: npt.NDArray[Any], values: npt.NDArray[np.float32]) -> None:
        """Count these pairs."""
        gap = np.abs(self._times[0][rows] - self._times[1][columns])
        known = np.isfinite(gap)
        kept = known
        if self._sequences is not None:
            first, second = self._sequences[0][rows], self._sequences[1][columns]
            known = known & (first >= 0) & (second >= 0)
            kept = known & (first == second)
        self._without += int(np.count_nonzero(~known))
        self._of_two += int(np.count_nonzero(known & ~kept))
        # The first step holds all that is shorter.
        steps = np.floor(np.log2(np.maximum(gap[kept], self._shortest) / self._shortest)).astype(np.intp)
        steps = np.minimum(steps, _BINS - 1)
        psi = np.minimum((values[kept] * PSI_BINS).astype(np.intp), PSI_BINS - 1)
        self._pairs += np.bincount(steps * PSI_BINS + psi, minlength=_BINS * PSI_BINS).reshape(_BINS, PSI_BINS)
        self._sums += np.bincount(steps, weights=values[kept], minlength=_BINS)

    def to_json(self) -> dict[str, Any]:
        """Counts by step and ψ, the mean of each step, and where the steps begin and end."""
        counts = self._pairs.sum(axis=1)
        used = int(np.max(np.flatnonzero(counts), initial=-1)) + 1
        return {
            "unit": "s" if self._column == TIME else "frames",
            "edges": [0.0, *(self._shortest * 2.0 ** np.arange(1, used + 1)).tolist()],
            "pairs": self._pairs[:used].tolist(),
            "mean": (self._sums[:used] / np.maximum(counts[:used], 1)).tolist(),
            "of_two_sequences": self._of_two,
            "without": self._without,
        }
