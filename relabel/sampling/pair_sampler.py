"""Training pairs with graded similarity, drawn by bands of ψ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.sampling import _draw as draws
from relabel.sampling import bands as band
from relabel.sampling import hard_negatives, shortfalls
from relabel.sampling._draw import DrawnPairs
from relabel.sampling.pair_table import CameraLocation, Labels, PairTable
from relabel.sampling.quotas import Order, Weights, plain_weights, planned
from relabel.sampling.resumable import GradedSampler, whole

Pair = tuple[int, int, float]

_CHUNK = 1 << 12  # pairs drawn at once for an iterator; what is drawn does not depend on it


class GradedPairSampler(GradedSampler[Pair]):
    """Draws (query, database, ψ): half ψ ≥ 0.5, a quarter 0 < ψ < 0.5 and a quarter ψ = 0 unless told otherwise.

    The band comes first, then a query that has such a pair, all of them alike, then one of that query's pairs of the
    band, all alike. So the shares hold whatever the labels, and a query that has one positive is drawn for that band as
    often as one that has a hundred. In every run of `report().exact_round` pairs (4 by default) the shares are exact;
    where no run of up to 64 pairs can have them, each band is drawn by chance.

    A zero is a pair of two ok cameras that is not stored, which has a ψ of at most the collection's `min_value`. A
    camera with itself is no pair where queries and database are the same.

    The sampler is iterable over an epoch of pairs, as a torch sampler: ``DataLoader(data, batch_size=32,
    sampler=sampler)`` calls ``data[query, database, psi]``. It holds all pairs in memory, 12 bytes each, and no open
    file. It belongs into the main process; where it is pickled, label files travel as their paths and are read again.

    Parameters
    ----------
    labels:
        a collection, a `LabelFile`, or a list of them. Rows and columns of several are numbered through in their order.
    bands:
        shares of ψ ≥ 0.5, min_value < ψ < 0.5 and ψ = 0; they sum to 1.
    seed:
        whole number from 0. The same labels and arguments give the same pairs on any machine.
    length:
        pairs in an epoch, over all ranks; by default the number of queries that can be drawn.
    order:
        ``pair`` as above. ``query`` is the way of the reference loader: the query comes first, all alike, then the
        band, and a query that has no such pair is passed over; the shares then depend on the labels (see `report`).
    hard_negatives_m:
        (lo, hi) metres: zeros only from cameras whose distance to the query is in [lo, hi], 4 bytes more a pair of
        such cameras. Horizontal distance, on the earth where that is the frame; in space for labels from surfaces.
    weights:
        how often each collection is drawn, a number each in their order or by name; 0 leaves one out. A collection
        without the band at hand is passed over. By default all queries are alike, whatever their collection.
    rank, world_size:
        this process and how many there are. Rounds are dealt to the ranks in turn: each rank has the exact shares,
        no two ranks share a pair of the stream, and together they have what one rank alone would have. All ranks have
        the same number of pairs; where rounds × ranks do not divide `length`, the epoch goes on until they do.

    Raises
    ------
    OptionError
        when an argument cannot be.
    InputError
        when a band that is to be drawn is empty, absent pairs may be positive (min_value ≥ 0.5), or
        `hard_negatives_m` finds no positions.
    LabelFileError
        when the file is no label file, or its pairs break the rules of the format.

    Examples
    --------
    >>> sampler = GradedPairSampler(LabelFile("amman.h5"), seed=0)  # doctest: +SKIP
    >>> draw = sampler.draw(1_000_000)  # doctest: +SKIP
    >>> for query, database, psi in sampler: ...  # doctest: +SKIP
    """

    def __init__(
        self,
        labels: Labels,
        bands: Sequence[float] = (0.5, 0.25, 0.25),
        *,
        seed: int = 0,
        length: int | None = None,
        order: Order = "pair",
        hard_negatives_m: tuple[float, float] | None = None,
        weights: Weights = None,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__(seed, rank, world_size)
        self.bands = band.checked(bands)
        self._arguments = {
            "bands": bands,
            "seed": seed,
            "length": length,
            "order": order,
            "hard_negatives_m": hard_negatives_m,
            "weights": weights,
            "rank": rank,
            "world_size": world_size,
        }
        self.order: Order = order
        self.hard_negatives_m = None if hard_negatives_m is None else hard_negatives.checked(hard_negatives_m)
        self._pairs = PairTable(labels, self.hard_negatives_m)
        self._planned = planned(self._pairs, self.bands, order, weights, self.hard_negatives_m)
        total = int(self._planned.usable.sum()) if length is None else whole("length", length, 1)
        round_ = self._planned.schedule.round
        self._length = total if world_size == 1 else -(-total // (round_ * world_size)) * round_
        self._drawn = 0

    def draw(self, n: int) -> DrawnPairs:
        """The next `n` pairs of an endless stream that is the sampler's own beside its epochs.

        Each call goes on where the last one stopped; `state_dict` keeps the place. Epochs and this stream do not move
        each other.

        Raises
        ------
        OptionError
            when `n` is not a whole number from 0.
        """
        drawn = self._draw(0, draws.DRAWN, self._drawn, whole("n", n, 0))
        self._drawn += len(drawn.psi)
        return drawn

    @property
    def queries(self) -> npt.NDArray[np.str_]:
        """(queries,) str, the keys of all rows."""
        return self._pairs.query_keys

    @property
    def database(self) -> npt.NDArray[np.str_]:
        """(database cameras,) str, the keys of all columns."""
        return self._pairs.database_keys

    @property
    def collections(self) -> list[str]:
        """The names of the collections."""
        return list(self._pairs.names)

    @property
    def collection_of_query(self) -> npt.NDArray[np.int32]:
        """(queries,) int32, the place of each row's collection in `collections`."""
        return self._pairs.table.collection

    @property
    def collection_of_database(self) -> npt.NDArray[np.int32]:
        """(database cameras,) int32, the place of each column's collection in `collections`."""
        starts = self._pairs.database_start
        return np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))

    def locate(self, query: int) -> CameraLocation:
        """The collection and the row there of a row number."""
        return self._pairs.query_place(query)

    def locate_database(self, database: int) -> CameraLocation:
        """The collection and the column there of a column number."""
        return self._pairs.database_place(database)

    def report(self) -> shortfalls.SamplerReport:
        """What is drawn: pairs and share of each band, queries that have none of it."""
        return shortfalls.report(self._pairs, self._planned, self.order)

    def state_dict(self, position: int | None = None) -> dict[str, Any]:  # noqa: D102 - as in Epochs
        return super().state_dict(position) | {"drawn": self._drawn}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: D102 - as in Epochs
        super().load_state_dict(state)
        self._drawn = whole("the state's drawn", state.get("drawn", 0), 0)

    def _items(self, epoch: int, first: int, stop: int) -> Iterator[Pair]:
        for start in range(first, stop, _CHUNK):
            drawn = self._draw(epoch, draws.EPOCH, start, min(_CHUNK, stop - start))
            yield from zip(*(column.tolist() for column in drawn), strict=True)

    def _draw(self, epoch: int, stream: np.uint64, first: int, n: int) -> DrawnPairs:
        drawn = DrawnPairs(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.float32))
        key = (np.uint64(self.seed), np.uint64(epoch))
        draws.pairs(self._pairs.table, self._planned.plan, key, stream, (self.rank, self.world_size), first, *drawn)
        return drawn

    def _setup(self) -> dict[str, Any]:
        return {
            "kind": type(self).__name__,
            "seed": self.seed,
            "bands": list(self.bands),
            "order": self.order,
            "hard_negatives_m": None if self.hard_negatives_m is None else list(self.hard_negatives_m),
            "weights": plain_weights(self._arguments["weights"]),
            "world_size": self.world_size,
            # Last, since they may differ because of an argument, which is then what is named.
            "labels": self._pairs.digests,
            "length": len(self),
        }
