"""The kernels that draw: random numbers by counter, one pair from a band, a run of pairs, one batch.

A pair's random numbers depend on seed, epoch and the pair's number alone. So any part of a stream can be drawn by
itself: by another rank, after a resume, in blocks of any size. One pair takes one call of the generator, whatever its
band: a camera that is absent from a row is found by its rank among the absent ones, not by rejection.

Everything is serial, so it can run in any process and thread.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.display import fields_text
from relabel.jit import compiled, inlined

IntArray = npt.NDArray[np.int64]


class DrawnPairs(NamedTuple):
    """Training pairs: row i says that query `query[i]` and database camera `database[i]` have ψ `psi[i]`."""

    query: IntArray
    """(n,) row numbers, consecutive over several collections"""
    database: IntArray
    """(n,) column numbers, consecutive over several collections"""
    psi: npt.NDArray[np.float32]
    """(n,) stored values, and 0 for pairs that are not stored"""

    def __repr__(self) -> str:
        return fields_text(self)


class PairArrays(NamedTuple):
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
    zeros: IntArray
    """(queries,) cameras that zeros are drawn from"""
    run_indptr: IntArray
    """(queries + 1,) where each row starts in the runs of columns that are never zeros, such as the query itself"""
    run_ahead: npt.NDArray[np.int32]
    """(runs,) how many columns before each are neither stored nor in a run"""
    run_upto: npt.NDArray[np.int32]
    """(runs,) columns in the runs of its row up to and with each"""
    starts: IntArray
    """(collections + 1,) the first column of each"""
    database: IntArray
    """(columns,) the number of each column's camera among all of the database"""
    hard_indptr: IntArray
    """(queries + 1,) rows of `hard_columns`; empty where all absent cameras count as zero"""
    hard_columns: npt.NDArray[np.int32]
    """columns of the absent cameras whose distance to the query makes them hard negatives"""


class DrawPlan(NamedTuple):
    """The probabilities with which a band, and then a query, is drawn."""

    counts: IntArray
    """(3,) pairs of each band in a round, zeros if bands are drawn at random"""
    limits: npt.NDArray[np.float64]
    """(3,) cumulative probabilities of the bands"""
    queries: npt.NDArray[np.int32]
    """the queries that have a pair of the band, band after band, group after group"""
    starts: IntArray
    """(3, groups + 1) where the groups of each band start in `queries`"""
    group_limits: npt.NDArray[np.float64]
    """(3, groups) cumulative probabilities of the groups"""


# What a counter counts, so that no two uses share random numbers.
EPOCH, DRAWN, BATCH = (np.uint64(n) for n in (0, 2, 4))
_ORDER = np.uint64(1)  # added to the above: the order of the bands within a round

# Philox 4x64-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, table 2.
_M0, _M1 = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_W0, _W1 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_LOW, _HALF, _NONE = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0)
_TO_UNIT, _UNUSED = 2.0**-53, np.uint64(11)

_TOGETHER = 64  # pairs whose queries are drawn before their partners
_TRIES = 8  # for a partner that is not in the batch yet, before another query is taken
_STEPS = 64  # a camera of a batch, before what is left is filled from the whole database


@inlined
def _product(a: Any, b: Any) -> Any:
    """The upper and the lower half of the 128-bit product."""
    a_low, a_high, b_low, b_high = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    crossed = a_high * b_low + ((a_low * b_low) >> _HALF)
    middle = a_low * b_high + (crossed & _LOW)
    return a_high * b_high + (crossed >> _HALF) + (middle >> _HALF), a * b


@inlined
def _philox(key: Any, first: Any, second: Any, third: Any) -> Any:
    """Four words of 64 random bits for a counter of three words."""
    c0, c1, c2, c3 = first, second, third, _NONE
    k0, k1 = key
    for _ in range(10):
        high0, low0 = _product(_M0, c0)
        high1, low1 = _product(_M1, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = k0 + _W0, k1 + _W1
    return c0, c1, c2, c3


@inlined
def _below(word: Any, n: Any) -> Any:
    """A number in [0, n), uniform to within n / 2⁶⁴."""
    return np.int64(_product(word, np.uint64(n))[0])


@inlined
def _place(word: Any, limits: Any) -> Any:
    """The first index whose cumulative probability is above a random number in [0, 1)."""
    unit = np.float64(word >> _UNUSED) * _TO_UNIT
    place = 0
    while unit >= limits[place]:
        place += 1
    return place


@inlined
def _band_size(table: Any, row: Any, band: Any) -> Any:
    """How many pairs of a band a row has."""
    stored = table.indptr[row + 1] - table.indptr[row]
    if band == 0:
        return np.int64(table.positives[row])
    if band == 1:
        return stored - table.positives[row]
    return table.zeros[row]


@inlined
def _absent(table: Any, row: Any, rank: Any) -> Any:
    """The absent column of that rank, counted from 0, of a row.

    Before stored column c, number j of its row, c - j columns are not stored: the last j for which that is at most
    the rank gives how many stored columns precede the one wanted. Runs of columns that are never zeros hold no stored
    ones, and are skipped first.
    """
    start, stop = table.indptr[row], table.indptr[row + 1]
    base = table.starts[table.collection[row]]
    low, high = table.run_indptr[row], table.run_indptr[row + 1]
    while low < high:
        middle = (low + high) >> 1
        if table.run_ahead[middle] > rank:
            high = middle
        else:
            low = middle + 1
    if low > table.run_indptr[row]:
        rank += table.run_upto[low - 1]
    low, high = start, stop
    while low < high:
        middle = (low + high) >> 1
        if table.columns[middle] - base - (middle - start) > rank:
            high = middle
        else:
            low = middle + 1
    return base + rank + (low - start)


@inlined
def _partner(table: Any, row: Any, band: Any, word: Any) -> Any:
    """A column of a row's band, drawn uniformly, and its ψ."""
    rank = _below(word, _band_size(table, row, band))
    start = table.indptr[row]
    if band < 2:
        if band == 1:
            rank += table.positives[row]
        place = start + table.order[start + rank]
        return np.int64(table.columns[place]), table.psi[place]
    if table.hard_indptr.size > 0:
        return np.int64(table.hard_columns[table.hard_indptr[row] + rank]), np.float32(0.0)
    return np.int64(_absent(table, row, rank)), np.float32(0.0)


@inlined
def _query(plan: Any, band: Any, group: Any, word: Any) -> Any:
    """A query of a group that has the band, drawn uniformly."""
    first = plan.starts[band, group]
    return np.int64(plan.queries[first + _below(word, plan.starts[band, group + 1] - first)])


@inlined
def _put_in_order(bands: Any, counts: Any, key: Any, number: Any, stream: Any) -> None:
    """Fill `bands` with the bands of one round in random order (Fisher and Yates)."""
    at = 0
    for band in range(3):
        for _ in range(counts[band]):
            bands[at] = band
            at += 1
    words = (_NONE, _NONE, _NONE, _NONE)
    for step in range(bands.size - 1):
        if step % 4 == 0:
            words = _philox(key, np.uint64(number), stream + _ORDER, np.uint64(step // 4))
        last = bands.size - 1 - step
        other = _below(words[step % 4], last + 1)
        bands[last], bands[other] = bands[other], bands[last]


@compiled()
def philox(key: Any, first: Any, second: Any, third: Any) -> Any:
    """Four words of 64 random bits for a key of two words and a counter of three."""
    return _philox(key, first, second, third)


@compiled()
def pairs(
    table: Any, plan: Any, key: Any, stream: Any, share: Any, first: Any, query: Any, database: Any, psi: Any
) -> None:
    """Fill `query`, `database` and `psi` with the pairs from number `first` on of one rank's share of a stream.

    Whole rounds are dealt to the ranks in turn: `share` is (rank, ranks).
    """
    rank, ranks = share
    exact = plan.counts.sum() > 0
    length = plan.counts.sum() if exact else 1
    bands = np.empty(length, np.int64)
    ready = -1
    # In large files each pair waits for memory a few times. In two short loops the waits of several pairs overlap.
    drawn = np.empty(_TOGETHER, np.int64)
    partner = np.empty(_TOGETHER, np.uint64)
    for start in range(0, query.size, _TOGETHER):
        stop = min(start + _TOGETHER, query.size)
        for i in range(start, stop):
            number = ((first + i) // length) * ranks + rank
            place = (first + i) % length
            words = _philox(key, np.uint64(number * length + place), stream, _NONE)
            if exact:
                if number != ready:
                    _put_in_order(bands, plan.counts, key, number, stream)
                    ready = number
                band = bands[place]
            else:
                band = np.int64(_place(words[2], plan.limits))
            group = _place(words[3], plan.group_limits[band])
            drawn[i - start] = band
            partner[i - start] = words[1]
            query[i] = _query(plan, band, group, words[0])
        for i in range(start, stop):
            column, psi[i] = _partner(table, query[i], drawn[i - start], partner[i - start])
            database[i] = table.database[column]


@inlined
def _has(batch: Any, filled: Any, camera: Any) -> Any:
    """Whether a camera is in the batch already."""
    for i in range(filled):  # noqa: SIM110 - numba compiles no generators
        if batch[i] == camera:
            return True
    return False


@compiled()
def batch(table: Any, plan: Any, key: Any, number: Any, partners: Any, chances: Any, cameras: Any, into: Any) -> Any:
    """Fill `into` with different cameras of one collection: queries, each followed by up to `partners` of its bands.

    If a query lacks the band of its next partner, a query that has it follows. `chances` are the cumulative
    probabilities of the collections, `cameras` the camera numbers of (queries, columns). The result is the collection
    and how many cameras came from bands; if the bands are too small to fill a batch, the others come from the whole
    database.
    """
    of_query, of_column = cameras
    round_ = plan.counts.sum()
    bands = np.empty(round_, np.int64)
    words = _philox(key, np.uint64(number), BATCH, _NONE)
    group = _place(words[0], chances)
    filled, row, left, done, tries, ready = 0, np.int64(-1), 0, 0, 0, -1
    for step in range(1, _STEPS * into.size + 1):
        if filled == into.size:
            break
        words = _philox(key, np.uint64(number), BATCH, np.uint64(step))
        if round_ > 0:
            if done // round_ != ready:
                ready = done // round_
                _put_in_order(bands, plan.counts, key, number * _STEPS * into.size + ready, BATCH)
            band = bands[done % round_]
        else:
            # The same for all attempts at a pair; otherwise bands that are hard to serve would be drawn less often.
            band = np.int64(_place(_philox(key, np.uint64(number), BATCH + _ORDER, np.uint64(done))[2], plan.limits))
        if left > 0 and _band_size(table, row, band) == 0:
            left = 0
        fresh = left == 0
        if fresh:
            if plan.starts[band, group + 1] == plan.starts[band, group]:
                done += 1
                continue
            if into.size - filled < 2:
                break
            row = _query(plan, band, group, words[0])
        camera = of_column[_partner(table, row, band, words[1])[0]]
        seed = of_query[row]
        used = _has(into, filled, camera) or (fresh and _has(into, filled, seed))
        if used:
            tries += 1
            if tries == _TRIES:
                tries = 0
                # A query whose band is used up is replaced by another; a band without queries, by the next.
                done += 1 if fresh else 0
                left = 0
            continue
        tries = 0
        if fresh:
            into[filled] = seed
            filled += 1
            left = partners
        into[filled] = camera
        filled += 1
        left -= 1
        done += 1
    banded = filled
    first, size = table.starts[group], table.starts[group + 1] - table.starts[group]
    shift = _below(words[3], size)
    for i in range(size):
        if filled == into.size:
            break
        camera = of_column[first + (shift + i) % size]
        if not _has(into, filled, camera):
            into[filled] = camera
            filled += 1
    return group, banded, filled
