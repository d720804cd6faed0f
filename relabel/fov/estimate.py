"""The cost of an overlap of fields of view, estimated from a few of its rows."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relabel.fov.footprint import held_bytes
from relabel.fov.geographic import GeographicOverlap
from relabel.fov.planar import FovOverlap
from relabel.jit import threads_set

SAMPLES = 4
SAMPLE_CANDIDATES = 2**20
"""Possible candidates in a sample, unless a single query has more; with fewer, starting threads would matter."""
CANDIDATE_BYTES, MOST_CANDIDATE_BYTES = 28.0, 45.0
"""Bytes per possible candidate while a block is computed and checked: usually, and if nearly all are stored."""


@dataclass(frozen=True, eq=False)
class Plan:
    """The estimated size of an overlap of fields of view.

    Attributes
    ----------
    pairs:
        estimated number of stored pairs.
    seconds:
        estimated time on this machine for computing the pairs, without storing them.
    held_bytes:
        memory of the prepared cameras, until everything is computed.
    block_bytes:
        memory of a block while it is computed.
    indices, data:
        the stored pairs of the sample: (k,) int32 columns and float32 values.
    """

    pairs: float
    seconds: float
    held_bytes: int
    block_bytes: int
    indices: npt.NDArray[np.int32]
    data: npt.NDArray[np.float32]


def possible_candidates(overlap: FovOverlap | GeographicOverlap) -> int:
    """An upper bound of the number of pairs that have to be computed, a few times too large, but computed at once."""
    return int(_plane(overlap).bounds.sum())


def plan(overlap: FovOverlap | GeographicOverlap) -> Plan:
    """The cost of an overlap; a few rows with a typical number of pairs are computed."""
    plane = _plane(overlap)
    ends = np.cumsum(plane.bounds)
    total = int(ends[-1]) if len(ends) else 0
    possible = pairs = 0
    seconds = 0.0
    indices, data = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    with threads_set(plane.threads):
        for number in range(SAMPLES if total else 0):
            start = int(np.searchsorted(ends, (number + 0.5) / SAMPLES * total))
            before = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + SAMPLE_CANDIDATES, side="right")))
            if number == 0:
                plane.rows(start, stop)  # which may compile the kernels
            begin = time.perf_counter()
            rows = plane.rows(start, stop)
            seconds += time.perf_counter() - begin
            possible += int(ends[stop - 1]) - before
            pairs += len(rows.indices)
            indices.append(rows.indices)
            data.append(rows.data)
    factor = total / possible if possible else 0.0
    return Plan(
        pairs * factor,
        seconds * factor,
        held_bytes(overlap),
        round(min(total, plane.block) * CANDIDATE_BYTES),
        np.concatenate(indices),
        np.concatenate(data),
    )


def _plane(overlap: FovOverlap | GeographicOverlap) -> FovOverlap:
    return overlap.plane if isinstance(overlap, GeographicOverlap) else overlap
