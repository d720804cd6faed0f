"""Sequences in time: frames that share nothing, chains that break, and how ψ falls with the time between two frames.

A camera moves little from one frame to the next. If two consecutive frames share almost nothing, a pose is wrong,
tracking was lost, or the sequence jumps. Only tables with the columns ``sequence`` and ``frame``, the rank of a frame
in time, can show this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.report.text_table import percent, table
from relabel.similarity import Collection

IntArray = npt.NDArray[np.int64]

BROKEN = 0.05
"""Consecutive frames with a smaller ψ break the chain."""
_POSITIVE = np.float32(0.5)
_BINS = 64
_SHOWN = 5  # examples of each fault in the text


@dataclass(frozen=True)
class Break:
    """Two consecutive frames that share almost nothing."""

    sequence: str
    before: str
    after: str
    value: float
    """ψ, 0 where the pair is absent; of ``overlap`` the larger of both directions"""


@dataclass(frozen=True)
class Gap:
    """Pairs of frames of one sequence that are `least` to `most` frames apart, both directions counted."""

    least: int
    most: int
    pairs: int
    mean: float
    """of ψ, absent pairs as 0"""
    positive: int
    """pairs with ψ ≥ 0.5"""
    absent: int


@dataclass(frozen=True)
class Chains:
    """The frames of a collection that is paired with itself, in the order of time.

    Attributes
    ----------
    adjacent:
        pairs of consecutive ok frames. Frames that are farther apart than is usual in their sequence, for instance
        because one between them is not ok, are not counted.
    threshold:
        smaller ψ break the chain.
    breaks:
        those that do.
    suspects:
        frames that break with the one before and the one after: most likely their own pose is wrong.
    gaps:
        ψ by the number of frames between two, in bins that double: 1, 2, 3–4, 5–8, …
    """

    adjacent: int
    threshold: float
    breaks: tuple[Break, ...]
    suspects: tuple[str, ...]
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class Sequences:
    """Findings from the order of frames in time.

    Attributes
    ----------
    alone:
        ok queries that overlap with no camera at all.
    chains:
        None unless queries and database are the same set: otherwise no frame follows a query.
    """

    alone: tuple[str, ...]
    chains: Chains | None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {"alone": list(self.alone), "chains": None if self.chains is None else asdict(self.chains)}


class SequenceTally:
    """Counts that grow block by block; see `tally_of`."""

    def __init__(self, query: Cameras, frame: IntArray, *, self_pairs: bool) -> None:
        self._query, self._frame, self._self_pairs = query, frame, self_pairs
        _, self._sequence = np.unique(query.extra["sequence"], return_inverse=True)
        self._stored = np.zeros(len(query), np.int64)
        self._next = _followers(self._sequence, frame, query.ok)
        self._previous = np.full(len(query), -1)
        self._previous[self._next[self._next >= 0]] = np.flatnonzero(self._next >= 0)
        self._value = np.zeros(len(query), np.float32)
        self._count, self._positive = np.zeros(_BINS, np.int64), np.zeros(_BINS, np.int64)
        self._sum = np.zeros(_BINS)

    def add(self, rows: IntArray, columns: npt.NDArray[np.int32], values: npt.NDArray[np.float32]) -> None:
        """Count stored pairs."""
        self._stored += np.bincount(rows, minlength=len(self._stored))
        if not self._self_pairs:
            return
        for first, follows in ((rows, self._next[rows] == columns), (columns, self._previous[rows] == columns)):
            np.maximum.at(self._value, first[follows], values[follows])
        here = self._sequence[rows] == self._sequence[columns]
        apart = np.abs(self._frame[rows[here]] - self._frame[columns[here]])
        values, apart = values[here][apart > 0], apart[apart > 0]
        bins = _bin(apart)
        self._count += np.bincount(bins, minlength=_BINS)
        self._positive += np.bincount(bins[values >= _POSITIVE], minlength=_BINS)
        self._sum += np.bincount(bins, values, minlength=_BINS)

    def result(self) -> Sequences:
        """The figures, once all blocks are counted."""
        query = self._query
        alone = tuple(map(str, query.key[query.ok & (self._stored == 0)]))
        return Sequences(alone, self._chains() if self._self_pairs else None)

    def _chains(self) -> Chains:
        key, name = self._query.key, self._query.extra["sequence"]
        first = np.flatnonzero(self._next >= 0)
        first = first[np.lexsort((self._frame[first], self._sequence[first]))]
        broken = first[self._value[first] < BROKEN]
        breaks = tuple(
            Break(str(name[i]), str(key[i]), str(key[self._next[i]]), float(str(self._value[i]))) for i in broken
        )
        both = [i for i in broken if self._previous[i] >= 0 and self._value[self._previous[i]] < BROKEN]
        return Chains(len(first), BROKEN, breaks, tuple(str(key[i]) for i in both), self._gaps())

    def _gaps(self) -> tuple[Gap, ...]:
        pairs = _pairs_apart(self._sequence, self._frame, self._query.ok)
        gaps = []
        for k in np.flatnonzero(pairs):
            least, most = (1, 1) if k == 0 else (2 ** (k - 1) + 1, 2**k)
            n = int(pairs[k])
            gaps.append(
                Gap(int(least), int(most), n, float(self._sum[k] / n), int(self._positive[k]), n - int(self._count[k]))
            )
        return tuple(gaps)


def tally_of(collection: Collection) -> SequenceTally | None:
    """A tally for the blocks of a collection; None where its queries have no sequence and rank in time."""
    query = collection.query
    name, frame = query.extra.get("sequence"), query.extra.get("frame")
    if name is None or frame is None or name.ndim != 1 or frame.ndim != 1 or frame.dtype.kind not in "iu":
        return None
    return SequenceTally(query, frame.astype(np.int64), self_pairs=collection.self_pairs)


def _followers(sequence: IntArray, frame: IntArray, ok: npt.NDArray[np.bool_]) -> IntArray:
    """(n,) the row of the ok frame that follows each ok frame of its sequence at the usual distance; -1 for none."""
    following = np.full(len(frame), -1)
    rows = np.flatnonzero(ok)
    rows = rows[np.lexsort((frame[rows], sequence[rows]))]
    before, after = rows[:-1], rows[1:]
    same = sequence[before] == sequence[after]
    before, after = before[same], after[same]
    step = frame[after] - frame[before]
    edges = np.flatnonzero(np.diff(sequence[before], prepend=-1))
    for steps, rows_before, rows_after in zip(
        *(np.split(column, edges[1:]) for column in (step, before, after)), strict=True
    ):
        if len(steps):
            usual = steps <= np.median(steps)
            following[rows_before[usual]] = rows_after[usual]
    return following


def _bin(apart: IntArray) -> IntArray:
    """Which of 1, 2, 3–4, 5–8, … a number of frames is in, counted from 0."""
    return np.frexp((apart - 1).astype(np.float64))[1].astype(np.int64)


def _pairs_apart(sequence: IntArray, frame: IntArray, ok: npt.NDArray[np.bool_]) -> IntArray:
    """(_BINS,) pairs of ok frames of one sequence by how far they are apart, both directions counted."""
    pairs = np.zeros(_BINS, np.int64)
    order = np.lexsort((frame, sequence))
    order = order[ok[order]]
    edges = np.flatnonzero(np.diff(sequence[order]))
    for ranks in np.split(frame[order], edges + 1):
        if not len(ranks):
            continue
        reached = np.searchsorted(ranks, ranks, side="right")
        for k in range(_BINS - 1):
            upto = np.searchsorted(ranks, ranks + 2**k, side="right")
            pairs[k] += 2 * int((upto - reached).sum())
            reached = upto
            if (reached == len(ranks)).all():
                break
    return pairs


def sequences_text(s: Sequences, queries_ok: int, absent: str) -> list[str]:
    """Findings from the order of frames in time as text, with a few examples of each fault."""
    lines = [f"  queries without any overlap: {len(s.alone):,} of {queries_ok:,}{_such_as(s.alone)}"]
    if (chains := s.chains) is None:
        return lines
    breaks, suspects = chains.breaks, chains.suspects
    why = ": a bad pose, lost tracking, or a jump" if breaks else ""
    lines.append(
        f"  frames that follow each other: {chains.adjacent:,} pairs, of which {len(breaks):,} break the chain "
        f"(ψ < {chains.threshold:g}){why}"
    )
    lines += [f"    {b.before} → {b.after}: ψ {b.value:.4f}" for b in breaks[:_SHOWN]]
    lines += [f"    and {len(breaks) - _SHOWN:,} more; --json lists all"] if len(breaks) > _SHOWN else []
    if suspects:
        lines.append(f"  frames that break with both neighbours: {len(suspects):,}{_such_as(suspects)}")
    if chains.gaps:
        rows = [["  frames apart", "pairs", "mean ψ", "ψ ≥ 0.5", absent]]
        rows += [
            [
                f"  {g.least:,}" + (f" – {g.most:,}" if g.most > g.least else ""),
                f"{g.pairs:,}",
                f"{g.mean:.4f}",
                percent(g.positive, g.pairs),
                percent(g.absent, g.pairs),
            ]
            for g in chains.gaps
        ]
        lines += ["", *table(rows, right=(1, 2, 3, 4))]
    return lines


def _such_as(keys: Sequence[str]) -> str:
    more = ", …" if len(keys) > _SHOWN else ""
    return f": {', '.join(keys[:_SHOWN])}{more}" if keys else ""
