"""From counts of shared voxels to stored values: the measure, the threshold, and the rows of the result."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from relabel.jit import compiled, inlined


@inlined
def _value(both: Any, a: Any, b: Any, measure: Any) -> Any:
    """ψ of two frames of a and b voxels; `both` is twice what they share. iou is 0, overlap 1, dice 2."""
    shared = 0.5 * np.float64(both)
    whole = a + b - shared if measure == 0 else (a if measure == 1 else 0.5 * (a + b))
    return np.float32(min(shared / whole, 1.0)) if whole > 0.0 else np.float32(0.0)


@compiled(parallel=True)
def kept(both: Any, a: Any, b: Any, own: Any, measure: Any, threshold: Any, counts: Any) -> None:
    """How many values of each row of `both` (r, c) are stored, into `counts`.

    Row q has `a[q]` voxels, column d `b[d]`; `own` is the column that row 0 must not have, row 1 the next, or below -r.
    """
    for q in numba.prange(both.shape[0]):
        count = 0
        for d in range(both.shape[1]):
            stored = (both[q, d] > 0) & (d != own + q) & (_value(both[q, d], a[q], b[d], measure) > threshold)
            count += 1 if stored else 0
        counts[q] = count


@compiled(parallel=True)
def filled(
    both: Any, a: Any, b: Any, own: Any, measure: Any, threshold: Any, starts: Any, indices: Any, data: Any
) -> None:
    """All values that are stored, with their columns, into `indices` and `data`; row q from place starts[q] on."""
    for q in numba.prange(both.shape[0]):
        at = starts[q]
        for d in range(both.shape[1]):
            if at == starts[q + 1]:
                break
            value = _value(both[q, d], a[q], b[d], measure) if both[q, d] > 0 else np.float32(0.0)
            indices[at] = d
            data[at] = value
            at += 1 if (value > threshold) & (both[q, d] > 0) & (d != own + q) else 0
