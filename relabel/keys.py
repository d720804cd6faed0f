"""Joins by key. Keys are stored as they came, and compared as the text that Unicode calls canonically equivalent.

An é is one character (NFC) or an e and an accent (NFD): macOS and archives made there change one for the other, and a
table and a folder of one dataset may have both.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from relabel.fixed_width import MOST_BYTES, MOST_PADDING

Value = TypeVar("Value")

_FIRST_MARK = 0x300
"""Texts whose characters are all below the first combining mark are in NFC."""


def nfc(key: str) -> str:
    """A key in NFC."""
    return unicodedata.normalize("NFC", key)


def composed(keys: npt.NDArray[np.str_]) -> npt.NDArray[np.str_]:
    """(n,) the keys in NFC; the same array where they all are."""
    letters = np.ascontiguousarray(keys).view(np.uint32)
    if letters.size == 0 or letters.max() < _FIRST_MARK:
        return keys
    return np.array([nfc(key) for key in keys.tolist()], np.str_)


def rows_of(keys: npt.NDArray[np.str_], wanted: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    """For each of `wanted` its row in the unique `keys`, or -1 where it has none.

    The row of the very key is taken where there is one, else that of the only key which is the same in NFC.
    """
    rows = _exact_rows(keys, wanted)
    missing = np.flatnonzero(rows < 0)
    if missing.size:
        normal, sought = composed(keys), composed(wanted[missing])
        if normal is not keys or (len(sought) and (sought != wanted[missing]).any()):
            distinct, first, count = np.unique(normal, return_index=True, return_counts=True)
            among = _exact_rows(distinct, sought)
            rows[missing] = np.where((among >= 0) & (count[among] == 1), first[among], -1)
    return rows


def _exact_rows(keys: npt.NDArray[np.str_], wanted: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    if len(keys) == 0:
        return np.full(len(wanted), -1, np.int64)
    narrow, wide = sorted((keys, wanted), key=lambda texts: texts.dtype.itemsize)
    if len(narrow) * wide.dtype.itemsize > max(MOST_BYTES, MOST_PADDING * narrow.nbytes):
        # To compare them, NumPy would make both as wide as the longest text of either.
        row_of = {key: row for row, key in enumerate(keys.tolist())}
        return np.array([row_of.get(key, -1) for key in wanted.tolist()], np.int64)
    order = np.argsort(keys)
    rows = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[rows] == wanted, rows, -1).astype(np.int64)


class RowsByKey:
    """The rows of unique keys, to be asked for one key at a time; as `rows_of`."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._rows = {key: row for row, key in enumerate(keys)}
        self._normal: dict[str, int] = {}
        for key, row in self._rows.items():
            normal = nfc(key)
            self._normal[normal] = -1 if normal in self._normal else row

    def get(self, key: str) -> int:
        """The row of a key, -1 where it has none."""
        row = self._rows.get(key)
        return self._normal.get(nfc(key), -1) if row is None else row


def spelled_as(named: Mapping[str, Value], names: Iterable[str]) -> dict[str, Value]:
    """The values by name, where a name that is one of `names` in NFC is spelled as that one."""
    there = list(names)
    rows = RowsByKey(there)
    return {there[row] if (row := rows.get(name)) >= 0 else name: value for name, value in named.items()}
