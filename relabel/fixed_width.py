"""Texts as NumPy arrays of fixed width, where one long text makes every row as wide as itself.

Such an array is fast and small while texts are about equally long, as keys are. One text of 20,000 letters among 50,000
rows would take four gigabytes, so columns of that kind are refused before they are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError

MOST_BYTES = 1 << 28
"""what a column may take whatever its texts are"""
MOST_PADDING = 16
"""how many times as much as its texts alone a larger column may take"""
_LETTER_BYTES = 4


def text_array(texts: Sequence[str]) -> npt.NDArray[np.str_]:
    """(n,) str; an `InputError` where one text is so long that the array would be mostly padding."""
    check_lengths(np.fromiter(map(len, texts), np.int64, len(texts)))
    return np.array(texts, np.str_)


def joined(pieces: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The pieces of a column in one array; of text, an `InputError` as for `text_array`.

    The list is emptied on the way, so that what it holds does not take memory twice.
    """
    rows = sum(map(len, pieces))
    widest = max((piece.dtype.itemsize for piece in pieces if piece.dtype.kind == "U"), default=0)
    if rows * widest > MOST_BYTES:
        check_lengths(np.concatenate([np.strings.str_len(piece) for piece in pieces]))
    whole = np.empty((rows, *pieces[0].shape[1:]), np.result_type(*pieces))
    pieces.reverse()
    start = 0
    while pieces:
        piece = pieces.pop()
        whole[start : start + len(piece)] = piece
        start += len(piece)
    return whole


def check_lengths(lengths: npt.NDArray[Any]) -> None:
    """Raise an `InputError` that names the row where texts of these lengths would be mostly padding.

    Parameters
    ----------
    lengths:
        (n,) letters of each text.
    """
    longest = int(lengths.max(initial=0))
    whole = len(lengths) * longest
    total = int(lengths.sum(dtype=np.int64))
    if whole * _LETTER_BYTES > MOST_BYTES and whole > MOST_PADDING * total:
        raise InputError(
            f"row {int(lengths.argmax())} (counted from 0): a text of {longest:,} characters in a column of "
            f"{len(lengths):,} with {total / len(lengths):.0f} on average. All are stored with one width, which would "
            "take "
            f"{whole * _LETTER_BYTES / 1e9:.1f} GB; shorten it"
        )
