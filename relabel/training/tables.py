"""What the kernels draw from, and what they give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


class Draw(NamedTuple):
    """Training pairs: row i says that query `query[i]` and database camera `database[i]` have ψ `psi[i]`."""

    query: IntArray
    """(n,) row numbers; for several collections numbered through"""
    database: IntArray
    """(n,) column numbers; for several collections numbered through"""
    psi: npt.NDArray[np.float32]
    """(n,) stored values, and 0 for pairs that are not stored"""


class Table(NamedTuple):
    """The stored pairs of all collections by row. Columns count only ok cameras of the database, from 0."""

    indptr: IntArray
    """(queries + 1,) where each row starts"""
    columns: npt.NDArray[np.int32]
    """(pairs,) strictly increasing in a row"""
    psi: npt.NDArray[np.float32]
    """(pairs,)"""
    order: npt.NDArray[np.int32]
    """(pairs,) places within the row, those of positives first"""
    positives: npt.NDArray[np.int32]
    """(queries,) how many of a row are positive"""
    collection: npt.NDArray[np.int32]
    """(queries,)"""
    own: npt.NDArray[np.int32]
    """(queries,) the column that is the query itself, -1 where there is none"""
    starts: IntArray
    """(collections + 1,) the first column of each"""
    database: IntArray
    """(columns,) the number of each column's camera among all of the database"""
    ring_indptr: IntArray
    """(queries + 1,) rows of `ring`; empty where all absent cameras count as zero"""
    ring: npt.NDArray[np.int32]
    """columns of the absent cameras that stand in the ring around each query"""


class Plan(NamedTuple):
    """Which band, then which query."""

    counts: IntArray
    """(3,) pairs of each band in a round, zeros where the band is drawn by chance"""
    limits: npt.NDArray[np.float64]
    """(3,) cumulated chances of the bands"""
    queries: npt.NDArray[np.int32]
    """the queries that have a pair of the band, band after band, group after group"""
    starts: IntArray
    """(3, groups + 1) where the groups of each band start in `queries`"""
    group_limits: npt.NDArray[np.float64]
    """(3, groups) cumulated chances of the groups"""
