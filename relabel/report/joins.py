"""Cameras of two files joined by key."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relabel.cameras import Cameras


class Join(NamedTuple):
    """Which cameras of two sets have the same key."""

    of_a: npt.NDArray[np.int64]
    """(n,) for every camera of the first set its number in the second, or -1"""
    of_b: npt.NDArray[np.int64]
    """(m,) for every camera of the second set its number in the first, or -1"""


def join(a: Cameras, b: Cameras) -> Join:
    """Find the cameras of one set in the other, through a hash table of the keys."""
    # Arrow's is ten times as fast as sorting and bisecting NumPy strings (a million Mapillary keys a side).
    keys = pa.array(a.key, pa.large_string())
    found = pc.index_in(pa.array(b.key, pa.large_string()), value_set=keys)
    of_b = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    of_a = np.full(len(a), -1, np.int64)
    there = np.flatnonzero(of_b >= 0)
    of_a[of_b[there]] = there
    return Join(of_a, of_b)
