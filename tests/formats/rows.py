"""A dataset as a trainer writes one: rows of a label file, read in worker processes."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.labelfile import StoredCollection
from tests.open_files import handles_on


class Rows:
    """Item i: the keys and values of row i, the process that read it, and how many handles it had on the file after."""

    def __init__(self, collection: StoredCollection) -> None:
        self.collection = collection

    def __len__(self) -> int:
        return self.collection.shape[0]

    def __getitem__(self, row: int) -> tuple[int, npt.NDArray[np.str_], npt.NDArray[np.float32], int, int]:
        keys, values = self.collection.row(row)
        return row, keys, values, os.getpid(), handles_on(self.collection.path)


def together(items: list[Any]) -> list[Any]:
    """A batch as it is, since rows differ in length."""
    return items
