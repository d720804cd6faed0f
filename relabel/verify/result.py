"""The result of a verification, and the pairs that it recomputes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from relabel.geometry.earth import points
from relabel.labelfile import StoredCollection
from relabel.pipeline.parts import Bar
from relabel.pipeline.records import masks_beside

IntArray = npt.NDArray[np.int64]

SHOWN = 5
"""The number of examples that are named for one kind of fault."""
STEP = 50
"""The number of pairs between two steps of a progress bar."""


class PairSample(NamedTuple):
    """A sample of pairs: (m,) row and column numbers, and the stored ψ, 0 if the pair is absent."""

    rows: IntArray
    columns: IntArray
    values: npt.NDArray[np.float64]

    def take(self, which: npt.NDArray[Any]) -> PairSample:
        """Some of the pairs, by number or by a boolean mask."""
        return PairSample(self.rows[which], self.columns[which], self.values[which])


@dataclass
class Verification:
    """What was recomputed, and the result.

    Attributes
    ----------
    checked:
        number of pairs recomputed, stored and absent.
    max_abs_diff:
        largest difference of ψ; for an absent pair, the excess over `min_value`.
    mismatches:
        number of pairs whose difference is beyond the tolerance, of cameras that differ from the dataset, and of
        input files that are not those that were labelled.
    findings:
        a text for each thing that is wrong, the first few of a kind.
    definition:
        for labels from depth maps: the difference of each of a few dozen pairs from the exact definition. This is not
        a mismatch, since the method itself estimates the definition.
    """

    checked: int = 0
    max_abs_diff: float = 0.0
    mismatches: int = 0
    findings: list[str] = field(default_factory=list)
    definition: list[float] = field(default_factory=list)

    @property
    def mean_abs_diff_definition(self) -> float | None:
        """The mean of `definition`; None if it is empty."""
        return float(np.mean(self.definition)) if self.definition else None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        values = {
            "checked": self.checked,
            "max_abs_diff": self.max_abs_diff,
            "mismatches": self.mismatches,
            "findings": self.findings,
        }
        if self.definition:
            values["checked_definition"] = len(self.definition)
            values["mean_abs_diff_definition"] = self.mean_abs_diff_definition
        return values

    def add(self, count: int, text: str) -> None:
        """Count mismatches, and describe them in one text."""
        self.mismatches += count
        self.findings.append(text)

    def compare(
        self, stored: StoredCollection, pairs: PairSample, expected: npt.NDArray[np.float64], tolerance: float
    ) -> None:
        """Count pairs whose ψ is not as expected, and describe the first few."""
        difference = np.abs(expected - pairs.values)
        # Of an absent pair, only an upper bound is known, min_value.
        difference[pairs.values == 0.0] -= stored.min_value
        difference = difference.clip(min=0.0)
        wrong = np.flatnonzero(difference > tolerance)
        self.checked += len(expected)
        self.max_abs_diff = max(self.max_abs_diff, float(difference.max(initial=0.0)))
        self.mismatches += len(wrong)
        for k in wrong[:SHOWN]:
            had = f"{pairs.values[k]:.6f}" if pairs.values[k] else "no value"
            pair = f"{stored.query.key[pairs.rows[k]]} / {stored.database.key[pairs.columns[k]]}"
            self.findings.append(f"{stored.name}: {pair}: the file has {had}, recomputed {expected[k]:.6f}")


class Task(NamedTuple):
    """One collection to verify, and how; fields as the arguments of `relabel.verify.verify.verify`."""

    stored: StoredCollection
    records: Sequence[Mapping[str, Any]]
    """the provenance of the file"""
    root: Path | None
    sample: int
    rng: np.random.Generator
    bar: Bar | None
    mask: Path | None
    occluders: Path | None

    def reading(self) -> AbstractContextManager[object]:
        """A progress bar while the dataset is read, whose total is not known."""
        return nullcontext() if self.bar is None else self.bar(f"{self.stored.name}: reading the dataset", None)

    @property
    def where(self) -> str:
        """The address of the collection, for messages."""
        return f"{self.stored.path}::{self.stored.name}"

    @property
    def masks(self) -> tuple[Path, ...]:
        """Where its mask may be besides the root: the file that was named, otherwise one beside the label file."""
        beside = masks_beside(self.stored)
        return (self.mask,) if beside and self.mask is not None else beside


def sample(
    stored: StoredCollection, size: int, rng: np.random.Generator, *, reach_m: float, cameras: int | None = None
) -> PairSample:
    """Pairs of two ok cameras, half of them stored; if there are too few of one kind, more of the other.

    Parameters
    ----------
    stored:
        the collection.
    size:
        the number of pairs, if there are as many.
    rng:
        the random generator that draws them.
    reach_m:
        three in four of the absent pairs are at most this far apart, if possible, metres.
    cameras:
        the number of cameras of each side that pairs are formed from; None for all. Both sides of self pairs have the
        same.
    """
    matrix = stored.to_scipy()
    query, database = np.flatnonzero(stored.query.ok), np.flatnonzero(stored.database.ok)
    within = np.arange(matrix.nnz)
    if cameras is not None:
        query = rng.choice(query, min(cameras, len(query)), replace=False)
        database = query if stored.self_pairs else rng.choice(database, min(cameras, len(database)), replace=False)
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        within = np.flatnonzero(np.isin(rows, query) & np.isin(matrix.indices, database))
    least_absent = size - min((size + 1) // 2, len(within))
    absent = _absent(stored, matrix, least_absent, rng, reach_m, (query, database))
    entries = np.sort(rng.choice(within, min(size - len(absent), len(within)), replace=False))
    rows = np.searchsorted(matrix.indptr, entries, side="right") - 1
    return PairSample(
        np.concatenate([rows, absent[:, 0]]),
        np.concatenate([matrix.indices[entries].astype(np.int64), absent[:, 1]]),
        np.concatenate([matrix.data[entries].astype(np.float64), np.zeros(len(absent))]),
    )


def _absent(
    stored: StoredCollection,
    matrix: Any,
    size: int,
    rng: np.random.Generator,
    reach_m: float,
    cameras: tuple[IntArray, IntArray],
) -> IntArray:
    """(m, 2) pairs of these cameras that are not stored."""
    query, database = cameras
    pairs: dict[tuple[int, int], None] = {}
    if len(query) and len(database):
        query_points, database_points = (points(side, stored.params) for side in (stored.query, stored.database))
        tree = cKDTree(database_points[database])
        for attempt in range(20 * size):
            if len(pairs) >= size:
                break
            i = int(rng.choice(query))
            near = tree.query_ball_point(query_points[i], reach_m) if attempt % 4 else []
            j = int(database[rng.choice(near)]) if len(near) else int(rng.choice(database))
            row = matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]
            if j not in row and not (stored.self_pairs and i == j):
                pairs[i, j] = None
    return np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
