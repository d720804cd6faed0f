"""From shared areas to stored values: the measure, the threshold, and the rows of the result."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from relabel.jit import compiled


@compiled(parallel=True)
def measured(
    ends: Any, columns: Any, area: Any, query_area: Any, database_area: Any, own: Any,
    measure: Any, threshold: Any, values: Any, kept: Any,
) -> None:  # fmt: skip
    """The value of each candidate into `values`, 0 where it is not stored; how many are, per query, into kept[1:].

    Candidates of query q are the places ends[q] … ends[q + 1] - 1. `measure` numbers iou 0, overlap 1, dice 2; `own`
    is the column that a query must not have, or -1.
    """
    for q in numba.prange(ends.size - 1):
        count = 0
        a = query_area[q]
        for k in range(ends[q], ends[q + 1]):
            shared = area[k]
            b = database_area[columns[k]]
            whole = a + b - shared if measure == 0 else (a if measure == 1 else 0.5 * (a + b))
            # Two cameras that see nothing have nothing in common.
            value = np.float32(min(shared / whole, 1.0)) if whole > 0.0 else np.float32(0.0)
            stored = (value > threshold) & (columns[k] != own[q])
            values[k] = value if stored else np.float32(0.0)
            count += 1 if stored else 0
        kept[q + 1] = count


@compiled(parallel=True)
def compacted(ends: Any, columns: Any, values: Any, database_row: Any, starts: Any, indices: Any, data: Any) -> None:
    """All values that are not 0, with their columns, into `indices` and `data`; query q from place starts[q] on."""
    for q in numba.prange(ends.size - 1):
        at, k = starts[q], ends[q]
        # Store first, advance where it counts: a branch that is taken half of the time costs more.
        while at < starts[q + 1]:
            indices[at] = database_row[columns[k]]
            data[at] = values[k]
            at += 1 if values[k] != 0.0 else 0
            k += 1
