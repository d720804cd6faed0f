"""The interface of the engines of the surface overlap, which count the voxels that frames share."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

CountArray = npt.NDArray[np.int32]


class SharedVoxels(NamedTuple):
    """The exact numbers of voxels that the frames of some rows (queries) and some columns (database) share."""

    s_query: CountArray
    """(r, c) voxels of the query that are, or are next to, voxels of the database frame: |O_q ∩ D_d|"""
    s_database: CountArray
    """(r, c) voxels of the database frame that are, or are next to, voxels of the query: |O_d ∩ D_q|"""


class VoxelCounter(Protocol):
    """An engine for the occupancies of two sides; all engines give the same counts.

    O_f are the voxels that frame f occupies, and D_f these and their 26 neighbours. For ``voxel-iou`` both counts are
    |O_q ∩ O_d|.
    """

    def counts(self, rows: slice, columns: slice) -> SharedVoxels:
        """The counts of the queries `rows` and the database frames `columns`, slices without a step."""
        ...
