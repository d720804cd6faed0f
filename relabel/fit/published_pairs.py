"""A sample of the pairs of published labels, for finding out how they were made.

Each pair has both of its cameras, shifted so that the query is at the origin. In this way, pairs of several cities,
each in its own map projection, can be combined, and coordinates keep their precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from relabel.cameras import Cameras, FloatArray, Status
from relabel.datasets.msls import city as msls
from relabel.errors import InputError
from relabel.keys import rows_of
from relabel.labelfile import StoredCollection

IntArray = npt.NDArray[np.int64]

_BINS = 10  # of ψ; stored pairs are drawn evenly from them
_NEAR_SHARE = 0.75  # of the absent pairs are near each other, as far as possible
_REACH = 2.0  # "near" is up to this many times the distance of the farthest stored pairs
_FAR_QUANTILE = 0.98  # of the distances; a few wrong labels must not determine how far labels reach
_TRIES = 8  # proposals for each absent pair, since many of them will be stored


@dataclass(frozen=True, eq=False)
class SampledPairs:
    """m pairs with both cameras of each.

    Attributes
    ----------
    query, database:
        m cameras each, in metres from the query of the pair.
    value:
        (m,) published ψ; 0 where the pair is absent.
    bound:
        (m,) `min_value` of its collection: the largest ψ of an absent pair.
    distance_m:
        (m,) horizontal distance of the two cameras.
    collection:
        (m,) number of the collection, in the given order.
    """

    query: Cameras
    database: Cameras
    value: FloatArray
    bound: FloatArray
    distance_m: FloatArray
    collection: IntArray

    def __len__(self) -> int:
        return len(self.value)

    @property
    def stored(self) -> npt.NDArray[np.bool_]:
        """(m,) True where the pair has a published ψ."""
        return self.value > 0.0

    @property
    def reach_m(self) -> float:
        """The largest distance of labelled pairs, except for the last two percent; at least one metre."""
        return max(1.0, float(np.quantile(self.distance_m[self.stored], _FAR_QUANTILE)))

    def take(self, rows: IntArray) -> SampledPairs:
        """The pairs of the given rows."""
        return SampledPairs(
            self.query.take(rows),
            self.database.take(rows),
            self.value[rows],
            self.bound[rows],
            self.distance_m[rows],
            self.collection[rows],
        )


class _CollectionSample(NamedTuple):
    """The sample of one collection."""

    query: Cameras
    database: Cameras
    rows: IntArray
    columns: IntArray
    values: FloatArray
    bound: float


def sampled_pairs(
    collections: Sequence[StoredCollection], root: Path | None, *, size: int, rng: np.random.Generator
) -> SampledPairs:
    """A sample of about `size` pairs, the same number of each collection.

    Half of them are stored pairs, drawn evenly from ten bins of ψ, and half are absent pairs of two ok cameras, most
    of them near each other: it is these that show where a view ends.

    Parameters
    ----------
    collections:
        of one file.
    root:
        an MSLS tree to read positions and headings from, joined by key; the city has the name of the collection. None
        takes them from the file.

    Raises
    ------
    InputError
        when a collection has no cameras with position and heading, or no stored pair between such cameras.
    DatasetNotFoundError, NotFoundError
        when there is no such tree, or it has no such city.
    """
    samples = []
    for stored in collections:
        query, database = _cameras(stored, root)
        chosen = _sample(stored, query, database, -(-size // len(collections)), rng)
        samples.append(_CollectionSample(query, database, *chosen, stored.min_value))
    return _joined(samples)


def _cameras(stored: StoredCollection, root: Path | None) -> tuple[Cameras, Cameras]:
    """Both sides as the sample needs them; cameras without labels or without a known position are not ok."""
    where = f"{stored.path}::{stored.name}"
    sides = (stored.query, stored.database)
    if root is not None:
        city = msls.read(root, city=stored.name)
        sides = (_placed(stored.query, city.query), _placed(stored.database, city.database))
    result = []
    for name, ours, side in zip(("query", "database"), (stored.query, stored.database), sides, strict=True):
        placed = np.isfinite(side.position[:, :2]).all(axis=1) & np.isfinite(side.heading_deg)
        status = np.where(side.ok & ~placed, Status.NO_POSITION, side.status).astype(np.uint8)
        if not (status == Status.OK).any():
            key = f", for example {str(ours.key[0])!r}" if len(ours) else ""
            raise InputError(
                f"{where}: no {name} camera with known labels has a position and a heading in the file; "
                "give the MSLS tree that was labelled with root=…"
                if root is None
                else f"{where}: no {name} camera with known labels is in {root}{key}; labels and cameras are joined "
                "by key, so import the labels with the keys of the dataset, or give the root that they were made from"
            )
        result.append(replace(side, status=status))
    query, database = result
    return query, query if stored.self_pairs else database


def _placed(ours: Cameras, read: Cameras) -> Cameras:
    """The cameras of the file, with the positions that the dataset has for their keys."""
    rows = rows_of(read.key, ours.key)
    known = (rows >= 0) & ours.ok
    known[known] = read.ok[rows[known]]
    position, heading = np.full((len(ours), 2), np.nan), np.full(len(ours), np.nan)
    position[known], heading[known] = read.position[rows[known], :2], read.heading_deg[rows[known]]
    status = np.where(ours.ok & ~known, Status.NO_POSITION, ours.status)
    return replace(ours, position=position, heading_deg=heading, status=status, pose=None, posed=True)


def _sample(
    stored: StoredCollection, query: Cameras, database: Cameras, size: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, FloatArray]:
    """Rows, columns and values."""
    rows, columns, values = _stored_pairs(stored, query.ok, database.ok, -(-size // 2), rng)
    if not len(rows):
        raise InputError(
            f"{stored.path}::{stored.name}: holds no pair of two cameras with position and heading; there is nothing "
            "to fit a field of view to"
        )
    apart = np.hypot(*(query.position[rows, :2] - database.position[columns, :2]).T)
    reach = _REACH * max(1.0, float(np.quantile(apart, _FAR_QUANTILE)))
    absent = _absent_pairs(stored, query, database, reach, size - len(rows), rng)
    return (
        np.concatenate([rows, absent[0]]),
        np.concatenate([columns, absent[1]]),
        np.concatenate([values, np.zeros(len(absent[0]))]),
    )


def _stored_pairs(
    stored: StoredCollection,
    query_ok: npt.NDArray[np.bool_],
    database_ok: npt.NDArray[np.bool_],
    size: int,
    rng: np.random.Generator,
) -> tuple[IntArray, IntArray, FloatArray]:
    """Up to `size` stored pairs, spread over the bins of ψ as evenly as possible, in one pass over the file.

    Of each bin, the pairs with the smallest random numbers are kept, so the result does not depend on blocks.
    """
    kept: list[list[FloatArray]] = [[np.empty((0, 4))] for _ in range(_BINS)]
    for block in stored.blocks():
        rows = block.rows
        pairs = np.column_stack([rng.random(len(rows)), rows, block.indices, block.data]).astype(np.float64)
        pairs = pairs[query_ok[rows] & database_ok[block.indices]]
        bins = np.minimum((pairs[:, 3] * _BINS).astype(np.int64), _BINS - 1)
        for number in range(_BINS):
            both = np.concatenate([*kept[number], pairs[bins == number]])
            kept[number] = [both[np.argsort(both[:, 0])[:size]]]
    bins_kept = [part[0] for part in kept]
    # Each bin gives the same share; what scarce bins lack, the others provide.
    share, left = np.zeros(_BINS, np.int64), size
    counts = np.array([len(part) for part in bins_kept])
    while left > 0 and (share < counts).any():
        open_ = np.flatnonzero(share < counts)
        more = np.minimum(counts[open_] - share[open_], max(1, left // len(open_)))[:left]
        share[open_[: len(more)]] += more
        left -= int(more.sum())
    chosen = np.concatenate([part[:n] for part, n in zip(bins_kept, share, strict=True)])
    return chosen[:, 1].astype(np.int64), chosen[:, 2].astype(np.int64), chosen[:, 3]


def _absent_pairs(
    stored: StoredCollection, query: Cameras, database: Cameras, reach: float, size: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Up to `size` pairs of ok cameras that are not stored, most of them within `reach` metres."""
    proposed = _proposed(query, database, reach, _TRIES * size, rng)
    if stored.self_pairs:
        proposed = proposed[proposed[:, 0] != proposed[:, 1]]
    width = max(1, len(database))
    codes, first = np.unique(proposed[:, 0] * width + proposed[:, 1], return_index=True)
    absent = np.ones(len(codes), bool)
    for block in stored.blocks():
        last = block.first_row + len(block.counts)
        low, high = np.searchsorted(codes, [block.first_row * width, last * width])
        rows = block.rows
        absent[low:high] = ~np.isin(codes[low:high], rows * width + block.indices, assume_unique=True)
    # In the order of the proposals, so that near and far pairs keep their shares.
    chosen = codes[absent][np.argsort(first[absent])][:size]
    return chosen // width, chosen % width


def _proposed(query: Cameras, database: Cameras, reach: float, size: int, rng: np.random.Generator) -> IntArray:
    """(m, 2) pairs of ok cameras, drawn at random."""
    of_query, of_database = np.flatnonzero(query.ok), np.flatnonzero(database.ok)
    rows = rng.choice(of_query, size)
    columns = rng.choice(of_database, size)
    near = np.flatnonzero(rng.random(size) < _NEAR_SHARE)
    tree = cKDTree(database.position[of_database, :2])
    around: dict[int, Any] = {}
    for k, draw in zip(near.tolist(), rng.random(len(near)).tolist(), strict=True):
        i = int(rows[k])
        if i not in around:
            around[i] = tree.query_ball_point(query.position[i, :2], reach)
        if around[i]:
            columns[k] = of_database[around[i][int(draw * len(around[i]))]]
    return np.column_stack([rows, columns]).astype(np.int64)


def _joined(samples: Sequence[_CollectionSample]) -> SampledPairs:
    origins = [sample.query.position[sample.rows, :2] for sample in samples]
    query = _side([(sample.query, sample.rows) for sample in samples], origins)
    database = _side([(sample.database, sample.columns) for sample in samples], origins)
    return SampledPairs(
        query,
        database,
        np.concatenate([sample.values for sample in samples]),
        np.concatenate([np.full(len(sample.rows), sample.bound) for sample in samples]),
        np.hypot(*(database.position - query.position).T),
        np.repeat(np.arange(len(samples)), [len(sample.rows) for sample in samples]),
    )


def _side(parts: Sequence[tuple[Cameras, IntArray]], origins: Sequence[FloatArray]) -> Cameras:
    """One camera for each pair."""
    columns: dict[str, Any] = {
        "position": np.concatenate(
            [side.position[rows, :2] - origin for (side, rows), origin in zip(parts, origins, strict=True)]
        ),
        "heading_deg": np.concatenate([side.heading_deg[rows] for side, rows in parts]),
    }
    for name in ("fov_deg", "radius_m"):
        own = [getattr(side, name) is not None for side, _ in parts]
        if all(own):
            columns[name] = np.concatenate([getattr(side, name)[rows] for side, rows in parts])
        elif any(own):
            raise InputError(
                f"some collections have {name} for each camera and others do not; fit them separately, as "
                "FILE::COLLECTION"
            )
    return Cameras(key=np.arange(len(columns["heading_deg"])).astype(np.str_), **columns)


def subsample(pairs: SampledPairs, size: int) -> SampledPairs:
    """Every k-th pair, so that stored and absent ones of all collections and all bins keep their shares."""
    rows = np.unique(np.linspace(0, len(pairs) - 1, min(size, len(pairs))).astype(np.int64))
    return pairs.take(rows)
