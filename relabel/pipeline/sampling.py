"""Samples of the pairs of a stored collection, those included that are not there."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from relabel.geometry.earth import points
from relabel.labelfile import StoredCollection
from relabel.pipeline.verification import IntArray, Pairs


def sample(
    stored: StoredCollection, size: int, rng: np.random.Generator, *, reach_m: float, cameras: int | None = None
) -> Pairs:
    """Pairs of two OK cameras, half of them stored; where there are too few of one kind, more of the other.

    Parameters
    ----------
    stored:
        the collection.
    size:
        the number of pairs, as far as there are so many.
    rng:
        what draws them.
    reach_m:
        three in four of the absent pairs are at most this far apart, as far as there are such, metres.
    cameras:
        of how many cameras of a side pairs are formed; None for all. The same of both sides of self pairs.
    """
    matrix = stored.to_scipy()
    query, database = np.flatnonzero(stored.query.ok), np.flatnonzero(stored.database.ok)
    within = np.arange(matrix.nnz)
    if cameras is not None:
        query = rng.choice(query, min(cameras, len(query)), replace=False)
        database = query if stored.self_pairs else rng.choice(database, min(cameras, len(database)), replace=False)
        rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
        within = np.flatnonzero(np.isin(rows, query) & np.isin(matrix.indices, database))
    some = size - min((size + 1) // 2, len(within))
    absent = _absent(stored, matrix, some, rng, reach_m, (query, database))
    at = np.sort(rng.choice(within, min(size - len(absent), len(within)), replace=False))
    rows = np.searchsorted(matrix.indptr, at, side="right") - 1
    return Pairs(
        np.concatenate([rows, absent[:, 0]]),
        np.concatenate([matrix.indices[at].astype(np.int64), absent[:, 1]]),
        np.concatenate([matrix.data[at].astype(np.float64), np.zeros(len(absent))]),
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
    found: dict[tuple[int, int], None] = {}
    if len(query) and len(database):
        query_at, database_at = (points(side, stored.params) for side in (stored.query, stored.database))
        tree = cKDTree(database_at[database])
        for attempt in range(20 * size):
            if len(found) >= size:
                break
            i = int(rng.choice(query))
            near = tree.query_ball_point(query_at[i], reach_m) if attempt % 4 else []
            j = int(database[rng.choice(near)]) if len(near) else int(rng.choice(database))
            row = matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]
            if j not in row and not (stored.self_pairs and i == j):
                found[i, j] = None
    return np.array(list(found), dtype=np.int64).reshape(-1, 2)
