"""Which images were taken one after the other, as far as is known, and a sample of them if they are many."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.geometry.headings import group_codes

IntArray = npt.NDArray[np.int64]
MOST_ROWS = 5_000
_LOOKED_AT = 4 * MOST_ROWS  # to see whether rows are in the order of a track
_FEWEST = 20
_CONSECUTIVE_SHARE = 0.1


class Tracks(NamedTuple):
    """Rows of cameras with a place, in the order of their tracks, and the number of the track of each, ascending."""

    row: IntArray
    track: IntArray
    declared: bool
    """whether the dataset states the order, rather than the positions of the rows suggesting it"""

    @property
    def consecutive(self) -> npt.NDArray[np.bool_]:
        """(n - 1,) whether a row and the next one are of one track."""
        same: npt.NDArray[np.bool_] = self.track[1:] == self.track[:-1]
        return same


def tracks_of(cameras: Cameras, most_rows: int | None = MOST_ROWS) -> Tracks | None:
    """The tracks of a set of cameras; None where nothing says which camera follows which.

    They follow the columns ``sequence`` and ``frame``. Poses of a trajectory are in order, and so are rows without
    these columns if nine in ten are ten times nearer to the one before than rows are on the whole. Of more than
    `most_rows` cameras every n-th track is taken, or every n-th piece of a long one; None takes all.
    """
    rows = np.flatnonzero(np.isfinite(cameras.position).all(axis=1))
    if "sequence" in cameras.extra:
        code = group_codes(cameras.extra["sequence"])[rows]
        frame = cameras.extra.get("frame")
        kept = _sampled(code, most_rows)
        rows, code = rows[kept], code[kept]
        order = np.argsort(code, kind="stable") if frame is None else np.lexsort((frame[rows], code))
        return Tracks(rows[order], code[order], declared=True)
    if cameras.pose is None and not _in_order(cameras.position[rows[:_LOOKED_AT], :2]):
        return None
    piece = np.arange(len(rows)) // 1000
    kept = _sampled(piece, most_rows)
    track = np.zeros(len(rows), np.int64) if kept.all() else piece
    return Tracks(rows[kept], track[kept], declared=cameras.pose is not None)


def _sampled(code: IntArray, most_rows: int | None) -> npt.NDArray[np.bool_]:
    every = 1 if most_rows is None else 1 + len(code) // most_rows
    kept: npt.NDArray[np.bool_] = code % every == 0
    return kept


def _in_order(position: FloatArray) -> bool:
    """Whether rows lie far nearer to the one before than to others; several at one place count as one."""
    if len(position) < _FEWEST:
        return False
    steps = np.hypot(*np.diff(position, axis=0).T)
    steps = steps[steps > 0.0]
    if len(steps) < _FEWEST:
        return False
    apart = np.median(np.hypot(*(position - np.roll(position, len(position) // 2, axis=0)).T))
    return bool(np.percentile(steps, 90.0) < _CONSECUTIVE_SHARE * apart)
