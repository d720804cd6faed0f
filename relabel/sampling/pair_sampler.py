"""Training pairs with graded similarity, drawn by bands of ψ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.sampling import _draw
from relabel.sampling._draw import DrawnPairs
from relabel.sampling.bands import NAMES
from relabel.sampling.graded_sampler import GradedSampler, SamplerOptions, whole_number
from relabel.sampling.pair_table import CameraLocation, Labels
from relabel.sampling.plan import Order, Weights

Pair = tuple[int, int, float]

_CHUNK = 1 << 12  # pairs drawn at once for an iterator; what is drawn does not depend on it


class GradedPairSampler(GradedSampler[Pair]):
    """Draws (query, database, ψ): half ψ ≥ 0.5, a quarter 0 < ψ < 0.5 and a quarter ψ = 0 by default.

    The band is chosen first, then uniformly a query that has such a pair, then uniformly one of that query's pairs in
    the band. The shares therefore hold for any labels, and a query with one positive is drawn for that band as often as
    one with a hundred. The shares are exact in every run of `report().exact_round` pairs (4 by default); if no run of
    up to 64 pairs can have them, each band is drawn at random.

    A zero is a pair of two ok cameras that is not stored; its ψ is at most the collection's `min_value`. A camera is
    never paired with itself.

    The sampler is iterable over an epoch of pairs, as a torch sampler: ``DataLoader(data, batch_size=32,
    sampler=sampler)`` calls ``data[query, database, psi]``. It holds all pairs in memory, 12 bytes each, and no open
    file. It belongs in the main process; if it is pickled, label files are passed on as paths and read again.

    Parameters
    ----------
    labels:
        a collection, a `LabelFile`, or a list of them. Rows and columns of several collections are numbered
        consecutively.
    bands:
        shares of ψ ≥ 0.5, min_value < ψ < 0.5 and ψ = 0; they sum to 1.
    seed:
        whole number, 0 or more. The same labels and arguments give the same pairs on any machine.
    length:
        pairs in an epoch, over all ranks; by default the number of queries that can be drawn.
    order:
        ``pair`` as above. ``query`` is what the reference loader does: the query is chosen first, uniformly, then the
        band, and a query without such a pair is skipped; the shares then depend on the labels (see `report`).
    hard_negatives_m:
        (lo, hi) metres: draw zeros only from cameras whose distance to the query is in [lo, hi], which takes 4 more
        bytes per pair of such cameras. The distance is horizontal (on the earth in the geodesic frame), or in space for
        labels from depth maps.
    weights:
        how often each collection is drawn: one number per collection, in order or by name; 0 leaves it out. A
        collection without pairs in the band is skipped. By default all queries are equally likely, whatever their
        collection.
    other_sequence, min_frame_gap, min_time_gap_s:
        which pairs to exclude, at most one of the three: all pairs of one sequence, those of one sequence that are
        fewer frames apart, or those that are fewer seconds apart (of one sequence if there are sequences). They are
        drawn neither as positives nor as zeros; see `relabel.exclusion`. Pairs that the collection itself excludes are
        always left out. `report` counts them.
    exclude_from:
        the bands that pairs are excluded from, of ``positive``, ``partial`` and ``zero``; by default all three.
    rank, world_size:
        the number of this process and the number of processes. Rounds are dealt to the ranks in turn: each rank has the
        exact shares, no two ranks share a pair of the stream, and together they draw what one rank alone would draw.
        All ranks have the same number of pairs; if rounds × ranks do not divide `length`, the epoch continues until
        they do.

    Raises
    ------
    OptionError
        if an argument is not valid.
    InputError
        if a band that is to be drawn is empty, absent pairs may be positive (min_value ≥ 0.5),
        `hard_negatives_m` finds no positions, or cameras lack the columns by which pairs are excluded.
    LabelFileError
        if the file is not a label file, or its pairs break the rules of the format.

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
        other_sequence: bool = False,
        min_frame_gap: int | None = None,
        min_time_gap_s: float | None = None,
        exclude_from: Sequence[str] = NAMES,
    ) -> None:
        excluded = (other_sequence, min_frame_gap, min_time_gap_s, exclude_from)
        options = SamplerOptions(bands, seed, length, hard_negatives_m, weights, rank, world_size, *excluded)
        super().__init__(labels, options, order, {"order": order})
        self._drawn = 0

    @property
    def order(self) -> Order:
        """What is drawn first."""
        return self._order

    def draw(self, n: int) -> DrawnPairs:
        """The next `n` pairs of an endless stream, which is separate from the epochs.

        Each call continues where the last one stopped; `state_dict` has its position. Epochs and this stream do not
        affect each other.

        Raises
        ------
        OptionError
            if `n` is not a whole number of 0 or more.
        """
        drawn = self._draw(0, _draw.DRAWN, self._drawn, whole_number("n", n, 0))
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

    def state_dict(self, position: int | None = None) -> dict[str, Any]:  # noqa: D102 - as in GradedSampler
        return super().state_dict(position) | {"drawn": self._drawn}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: D102 - as in GradedSampler
        super().load_state_dict(state)
        self._drawn = whole_number("the state's drawn", state.get("drawn", 0), 0)

    def _default_length(self) -> int:
        return int(self._plan.usable.sum())

    def _length_of_rank(self, total: int) -> int:
        pairs_of_round = self._plan.schedule.round
        if self.world_size == 1:
            return total
        return -(-total // (pairs_of_round * self.world_size)) * pairs_of_round

    def _items(self, epoch: int, first: int, stop: int) -> Iterator[Pair]:
        for start in range(first, stop, _CHUNK):
            drawn = self._draw(epoch, _draw.EPOCH, start, min(_CHUNK, stop - start))
            yield from zip(*(column.tolist() for column in drawn), strict=True)

    def _draw(self, epoch: int, stream: np.uint64, first: int, n: int) -> DrawnPairs:
        drawn = DrawnPairs(np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.float32))
        key = (np.uint64(self.seed), np.uint64(epoch))
        _draw.pairs(self._pairs.table, self._plan.draw_plan, key, stream, (self.rank, self.world_size), first, *drawn)
        return drawn
