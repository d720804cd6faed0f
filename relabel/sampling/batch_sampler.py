"""Batches in which many pairs overlap, and the similarity of all pairs of a batch, for losses over whole matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.display import fields_text
from relabel.errors import OptionError
from relabel.sampling import _draw
from relabel.sampling._draw import IntArray
from relabel.sampling.bands import NAMES
from relabel.sampling.graded_sampler import GradedSampler, SamplerOptions, whole_number
from relabel.sampling.pair_table import CameraLocation, Labels, PairTable
from relabel.sampling.plan import Weights, cumulated


class BatchSimilarity(NamedTuple):
    """The similarity of all pairs of a batch of b cameras."""

    psi: npt.NDArray[np.float32]
    """(b, b) ψ of cameras i and j, NaN if it is unknown"""
    known: npt.NDArray[np.bool_]
    """(b, b) whether it is known"""

    def __repr__(self) -> str:
        return fields_text(self)


class GradedBatchSampler(GradedSampler[list[int]]):
    """Batches of different cameras of one collection: queries, each followed by partners from its bands of ψ.

    A batch is a list of camera numbers for ``DataLoader(data, batch_sampler=sampler)``, which calls ``data[camera]``;
    `keys` and `locate` say which camera that is. Cameras of a self-paired collection are
    numbered once; otherwise queries come first, then the database. Collections follow each other.

    `similarity` gives the matrix of a batch. Between queries and database every pair of ok cameras is known, and pairs
    of different groups are mostly zeros. The similarity of two queries, or of two database cameras, is only known
    in a self-paired collection; that of a camera and itself never is.

    The bands of the pairs (query, partner) follow each other as for `GradedPairSampler`, with the exact shares in every
    round. If a query has no pair in the band of the next partner, a query that has one begins a new group. If all
    remaining pairs of the bands are in the batch already, it is filled with ok cameras of the database, chosen
    uniformly.

    Parameters
    ----------
    labels:
        a collection, a `LabelFile`, or a list of them.
    batch_size:
        cameras in a batch; no more than the ok database cameras of any collection that is drawn.
    partners:
        the largest number of partners that follow a query.
    length:
        batches in an epoch, over all ranks; by default enough to draw as many queries as can be drawn.
    bands, seed, hard_negatives_m, weights:
        as for `GradedPairSampler`; the bands are those of the pairs of a query and its partners, the weights those of
        batches.
    other_sequence, min_frame_gap, min_time_gap_s, exclude_from:
        as for `GradedPairSampler`; in the matrix of a batch, the similarity of an excluded pair is not known.
    rank, world_size:
        batches are dealt to the ranks in turn; `length` is rounded up to a multiple of `world_size`.

    Raises
    ------
    OptionError, InputError, LabelFileError
        as for `GradedPairSampler`, and if a collection has fewer cameras than a batch.
    """

    def __init__(
        self,
        labels: Labels,
        batch_size: int,
        bands: Sequence[float] = (0.5, 0.25, 0.25),
        *,
        partners: int = 3,
        seed: int = 0,
        length: int | None = None,
        hard_negatives_m: tuple[float, float] | None = None,
        weights: Weights = None,
        rank: int = 0,
        world_size: int = 1,
        other_sequence: bool = False,
        min_frame_gap: int | None = None,
        min_time_gap_s: float | None = None,
        exclude_from: Sequence[str] = NAMES,
    ) -> None:
        self.batch_size = whole_number("batch_size", batch_size, 2)
        self.partners = whole_number("partners", partners, 1)
        excluded = (other_sequence, min_frame_gap, min_time_gap_s, exclude_from)
        options = SamplerOptions(bands, seed, length, hard_negatives_m, weights, rank, world_size, *excluded)
        super().__init__(labels, options, "pair", {"batch_size": self.batch_size, "partners": self.partners})
        self._check_sizes()
        self._chances = cumulated(self._plan.chances)
        self._starts, self._of_query, self._of_column = _numbered(self._pairs)

    @cached_property
    def keys(self) -> npt.NDArray[np.str_]:
        """(cameras,) str, the keys of all cameras by number."""
        parts = []
        for i, source in enumerate(self._pairs.sources):
            collection = source.collection
            parts.append(collection.query.key)
            if not self._pairs.self_pairs[i]:
                parts.append(collection.database.key)
        return np.concatenate(parts)

    def locate(self, camera: int) -> CameraLocation:
        """The collection, the side and the row there of a camera number."""
        self._check_batch(np.array([camera]))
        number = int(np.searchsorted(self._starts, camera, side="right")) - 1
        local = int(camera - self._starts[number])
        queries = int(self._pairs.query_start[number + 1] - self._pairs.query_start[number])
        if local < queries:
            return CameraLocation(self._pairs.names[number], "queries", local)
        return CameraLocation(self._pairs.names[number], "database", local - queries)

    def similarity(self, batch: Sequence[int] | IntArray) -> BatchSimilarity:
        """The similarity of all pairs of a batch of any camera numbers.

        Entry (i, j) is the stored value of query i and database camera j, or 0 where both are ok, nothing is stored
        and the pair is not excluded. Where i is of the database alone, it is entry (j, i).

        Parameters
        ----------
        batch:
            (b,) camera numbers.

        Raises
        ------
        OptionError
            if a number is not that of a camera.
        """
        cameras = np.asarray(batch, np.int64).reshape(-1)
        self._check_batch(cameras)
        psi = np.full((len(cameras), len(cameras)), np.nan, np.float32)
        number = np.searchsorted(self._starts, cameras, side="right") - 1
        for c in np.unique(number).tolist():
            rows, row_number = self._of_side(cameras, number == c, self._of_query_ok(c))
            columns, column_number = self._of_side(cameras, number == c, self._of_column_ok(c))
            psi[np.ix_(rows, columns)] = self._looked_up(row_number, column_number)
        psi = np.where(np.isnan(psi), psi.T, psi)
        psi[cameras[:, None] == cameras[None, :]] = np.nan
        return BatchSimilarity(psi, ~np.isnan(psi))

    def _default_length(self) -> int:
        queries = int(self._plan.usable.sum())
        return -(-queries * (1 + self.partners) // self.batch_size)

    def _length_of_rank(self, total: int) -> int:
        return -(-total // self.world_size)

    def _items(self, epoch: int, first: int, stop: int) -> Iterator[list[int]]:
        key = (np.uint64(self.seed), np.uint64(epoch))
        table, plan, cameras = self._pairs.table, self._plan.draw_plan, (self._of_query, self._of_column)
        for at in range(first, stop):
            into = np.empty(self.batch_size, np.int64)
            number = at * self.world_size + self.rank
            _draw.batch(table, plan, key, number, self.partners, self._chances, cameras, into)
            yield into.tolist()

    def _of_query_ok(self, collection: int) -> tuple[IntArray, int]:
        """Camera numbers of a collection's queries, and the number of its first query among all queries."""
        start, stop = (int(n) for n in self._pairs.query_start[collection : collection + 2])
        return self._of_query[start:stop], start

    def _of_column_ok(self, collection: int) -> tuple[IntArray, int]:
        """Camera numbers of a collection's columns, and the number of its first column among all columns."""
        start, stop = (int(n) for n in self._pairs.table.starts[collection : collection + 2])
        return self._of_column[start:stop], start

    def _of_side(
        self, cameras: IntArray, here: npt.NDArray[np.bool_], side: tuple[IntArray, int]
    ) -> tuple[IntArray, IntArray]:
        """Positions in the batch of the cameras of one side, and their numbers there."""
        numbers, first = side
        places = np.flatnonzero(here)
        at = np.searchsorted(numbers, cameras[places])
        there = at < len(numbers)
        there[there] = numbers[at[there]] == cameras[places[there]]
        return places[there], at[there] + first

    def _looked_up(self, rows: IntArray, columns: IntArray) -> npt.NDArray[np.float32]:
        """(rows, columns) values, 0 where nothing is stored, NaN where a query is not ok or the pair is excluded."""
        table = self._pairs.table
        values = np.zeros((len(rows), len(columns)), np.float32)
        for i, row in enumerate(rows.tolist()):
            if not self._pairs.query_ok[row]:
                values[i] = np.nan
                continue
            span = slice(table.indptr[row], table.indptr[row + 1])
            stored = table.columns[span]
            at = np.searchsorted(stored, columns)
            present = np.flatnonzero(at < len(stored))
            present = present[stored[at[present]] == columns[present]]
            values[i, present] = table.psi[span][at[present]]
            values[i, self._pairs.blocked(row, columns)] = np.nan
        return values

    def _check_batch(self, cameras: IntArray) -> None:
        wrong = cameras[(cameras < 0) | (cameras >= self._starts[-1])]
        if wrong.size:
            raise OptionError(f"there is no camera {wrong[0]}; there are 0 to {self._starts[-1] - 1}")

    def _check_sizes(self) -> None:
        sizes = np.diff(self._pairs.table.starts)
        small = np.flatnonzero((sizes < self.batch_size) & (self._plan.chances > 0.0))
        if small.size:
            raise OptionError(
                f"batch_size is {self.batch_size}, and {self._pairs.names[small[0]]} has {sizes[small[0]]} ok database "
                "cameras; make it smaller, or exclude the collection with weights"
            )


def _numbered(pairs: PairTable) -> tuple[IntArray, IntArray, IntArray]:
    """The first camera number of each collection, and the end; the camera numbers of queries and of columns."""
    queries, database = np.diff(pairs.query_start), np.diff(pairs.database_start)
    sizes = queries + np.where(pairs.self_pairs, 0, database)
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes)))
    first_query = starts[:-1] - pairs.query_start[:-1]
    first_database = starts[:-1] + np.where(pairs.self_pairs, 0, queries) - pairs.database_start[:-1]
    of_query = np.arange(pairs.query_start[-1]) + np.repeat(first_query, queries)
    of_column = pairs.table.database + np.repeat(first_database, np.diff(pairs.table.starts))
    return starts, of_query, of_column
