"""What a verification finds, and the pairs that it recomputes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.labelfile import StoredCollection
from relabel.pipeline.parts import Bar

IntArray = npt.NDArray[np.int64]

SHOWN = 5
"""Examples of one kind of fault that are named."""
STEP = 50
"""Pairs between two steps of a progress bar."""


class Pairs(NamedTuple):
    """A sample of pairs: (m,) row and column numbers, and the stored ψ, 0 where the pair is absent."""

    rows: IntArray
    columns: IntArray
    values: npt.NDArray[np.float64]

    def take(self, which: npt.NDArray[Any]) -> Pairs:
        """Some of the pairs, by number or by a boolean mask."""
        return Pairs(self.rows[which], self.columns[which], self.values[which])


@dataclass
class Verification:
    """What was recomputed and what came out.

    Attributes
    ----------
    checked:
        pairs recomputed, stored and absent.
    max_abs_diff:
        largest difference of ψ; of an absent pair, by how much it exceeds `min_value`.
    mismatches:
        pairs whose difference is beyond the tolerance, cameras that differ from the dataset, and input files that are
        not those that were labelled.
    findings:
        a text for each thing that is wrong, the first few of a kind.
    definition:
        of labels from depth maps: by how much each of a few dozen pairs differs from the exact definition. That is no
        mismatch, for the method itself is an estimate of it.
    """

    checked: int = 0
    max_abs_diff: float = 0.0
    mismatches: int = 0
    findings: list[str] = field(default_factory=list)
    definition: list[float] = field(default_factory=list)

    @property
    def mean_abs_diff_definition(self) -> float | None:
        """The mean of `definition`; None where there is none."""
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

    def found(self, count: int, text: str) -> None:
        """Count mismatches that one text tells of."""
        self.mismatches += count
        self.findings.append(text)

    def compare(
        self, stored: StoredCollection, pairs: Pairs, expected: npt.NDArray[np.float64], tolerance: float
    ) -> None:
        """Count pairs whose ψ is not the expected one, and tell of the first few."""
        difference = np.abs(expected - pairs.values)
        # An absent pair says no more than: up to min_value.
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
    """One collection to be verified, and what for; the fields as of `relabel.pipeline.verify.verify`."""

    stored: StoredCollection
    records: Sequence[Mapping[str, Any]]
    """the provenance of the file"""
    root: Path | None
    sample: int
    rng: np.random.Generator
    bar: Bar | None
    mask: Path | None
    occluders: Path | None

    @property
    def where(self) -> str:
        """The address of the collection, for messages."""
        return f"{self.stored.path}::{self.stored.name}"

    @property
    def masks(self) -> tuple[Path, ...]:
        """Where the mask of the collection may be besides its root: where it was told, or beside the label file."""
        known = self.stored.params.get("mask")
        if not isinstance(known, Mapping):
            return ()
        return (Path(self.stored.path).parent / str(known.get("name")),) if self.mask is None else (self.mask,)
