"""The stored pairs of one or more collections in memory, as the kernels draw from them, each collection under a name of
its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, LabelFileError, NotFoundError, OptionError
from relabel.excluded_pairs import ExcludedPairs
from relabel.exclusion import Exclusion
from relabel.labelfile.pair_rules import RowChecks
from relabel.sampling import hard_negatives
from relabel.sampling._draw import IntArray, PairArrays
from relabel.sampling.bands import EDGE, NAMES, ZERO
from relabel.sampling.blocked import BlockedRuns, Ranges, Rows, blocked_runs
from relabel.similarity import Collection, SimilaritySource

Labels = SimilaritySource | Mapping[str, SimilaritySource] | Sequence[SimilaritySource | Mapping[str, SimilaritySource]]


class BandExclusion(NamedTuple):
    """Pairs that a sampler leaves out."""

    rule: Exclusion
    """which pairs"""
    bands: tuple[bool, bool, bool]
    """from which bands"""


class NamedCollection(NamedTuple):
    """A collection."""

    name: str
    """unique among the collections of a sampler"""
    source: SimilaritySource
    address: str
    """its name in errors: FILE::collection if it is stored, otherwise its own name"""


def named_collections(labels: Labels) -> list[NamedCollection]:
    """All collections in their order.

    Those of a mapping, such as a label file, keep their names there, others those in their file. Names that occur
    twice are preceded by the name of the file or by its path, and if that is not enough, followed by a number.

    Raises
    ------
    OptionError
        if there is none, or something that is no collection.
    """
    sources = list(_listed(labels))
    if not sources:
        raise OptionError("there is no collection to draw from")
    names = _distinct(sources)
    return [
        NamedCollection(
            name, source, name if (path := _stored(source, "path")) is None else f"{path}::{_stored(source, 'name')}"
        )
        for name, (_, source) in zip(names, sources, strict=True)
    ]


def _listed(labels: Any) -> list[tuple[str, SimilaritySource]]:
    """Names, not all different, and collections."""
    if isinstance(labels, Mapping):
        return [(str(name), _checked(source)) for name, source in labels.items()]
    if isinstance(labels, Sequence) and not isinstance(labels, str):
        sources: list[tuple[str, SimilaritySource]] = []
        for i, item in enumerate(labels):
            if isinstance(item, Mapping):
                sources += _listed(item)
            else:
                sources.append((_name(item, f"collection {i}"), _checked(item)))
        return sources
    return [(_name(labels, "collection"), _checked(labels))]


def _checked(source: Any) -> SimilaritySource:
    if not (hasattr(source, "blocks") and hasattr(source, "collection")):
        raise OptionError(
            f"labels holds {type(source).__name__} {source!r:.60}; expected a collection, as LabelFile(path)[name], a "
            "LabelFile, or a list of them"
        )
    checked: SimilaritySource = source
    return checked


def _distinct(sources: Sequence[tuple[str, SimilaritySource]]) -> list[str]:
    def of_file(path: Callable[[Any], str]) -> list[str]:
        paths = [_stored(source, "path") for _, source in sources]
        return [name if at is None else f"{path(at)}::{name}" for (name, _), at in zip(sources, paths, strict=True)]

    distinct: list[str] = []
    for names in ([name for name, _ in sources], of_file(lambda path: str(path.name)), of_file(str)):
        if len(set(names)) == len(names):
            return names
    taken: set[str] = set()
    for name in names:
        numbered, n = name, 1
        while numbered in taken:
            n += 1
            numbered = f"{name} ({n})"
        taken.add(numbered)
        distinct.append(numbered)
    return distinct


def _name(source: Any, otherwise: str) -> str:
    name = _stored(source, "name")
    return otherwise if name is None else str(name)


def _stored(source: Any, attribute: str) -> Any:
    """The stored collection behind a source, which may be converted as it is read; None for any other source."""
    return getattr(source, attribute, getattr(getattr(source, "source", None), attribute, None))


class CameraLocation(NamedTuple):
    """Where a camera of a sampler comes from."""

    collection: str
    """its name"""
    side: str
    """``queries`` or ``database``, as in the label file"""
    row: int
    """row number in that table, from 0"""


class PairTable:
    """All pairs of some collections; queries and database cameras are numbered consecutively over all of them.

    Parameters
    ----------
    labels:
        a collection, a label file, or a list of them.
    hard_negatives_m:
        (lo, hi) metres; then only absent pairs at that distance are zeros.
    excluded:
        which pairs are left out, and from which bands, besides those that a collection excludes itself.

    Attributes
    ----------
    sources, names, addresses:
        the collections, their unique names, and their names in errors.
    table:
        their pairs.
    query_start, database_start:
        (collections + 1,) int64, the first number of each collection.
    self_pairs:
        (collections,) bool.
    before:
        (3, queries) how many pairs of each band a query would have if none were excluded.
    rules:
        (collections,) what is excluded, in words; empty where nothing is.
    without_place:
        (collections, 2) queries and database cameras that a rule cannot place in a sequence or in time.

    Raises
    ------
    OptionError
        when there is no collection, or something else.
    InputError
        when absent pairs of a collection may be positive, `hard_negatives_m` is given and there are no positions, or
        cameras lack the columns by which pairs are excluded.
    LabelFileError
        when stored pairs break the rules of the format.
    """

    def __init__(
        self,
        labels: Labels,
        hard_negatives_m: hard_negatives.DistanceRange | None = None,
        excluded: BandExclusion | None = None,
    ) -> None:
        collections = named_collections(labels)
        self.names, self.sources, self.addresses = (list(column) for column in zip(*collections, strict=True))
        parts = [_collection_pairs(source, address, hard_negatives_m, excluded) for _, source, address in collections]
        self.query_start = _starts([len(part.positives) for part in parts])
        self.database_start = _starts([part.database_size for part in parts])
        self.self_pairs = np.array([part.self_pairs for part in parts])
        self.min_values = tuple(part.min_value for part in parts)
        starts = _starts([len(part.database) for part in parts])
        table = PairArrays(
            indptr=_chained([part.indptr for part in parts]),
            columns=_joined([part.columns + np.int32(starts[i]) for i, part in enumerate(parts)]),
            psi=_joined([part.psi for part in parts]),
            order=_joined([part.order for part in parts]),
            positives=_joined([part.positives for part in parts]),
            collection=np.repeat(np.arange(len(parts), dtype=np.int32), np.diff(self.query_start)),
            zeros=_joined([part.zeros for part in parts]),
            run_indptr=_chained([part.blocked.indptr for part in parts]),
            run_ahead=_joined([part.blocked.ahead for part in parts]),
            run_upto=_joined([part.blocked.upto for part in parts]),
            starts=starts,
            database=_joined([part.database + self.database_start[i] for i, part in enumerate(parts)]),
            hard_indptr=np.empty(0, np.int64)
            if hard_negatives_m is None
            else _chained([part.hard_indptr for part in parts]),
            hard_columns=_joined([part.hard_columns + np.int32(starts[i]) for i, part in enumerate(parts)]),
        )
        self.table = PairArrays(*[_read_only(array) for array in table])
        self.query_ok: npt.NDArray[np.bool_] = _joined([part.query_ok for part in parts])
        self.before = np.concatenate([part.before for part in parts], axis=1)
        self.rules = tuple("; ".join(part.rules) for part in parts)
        self.without_place = tuple(part.without_place for part in parts)
        # For lookups; the kernels need no more than the above.
        self._blocked = [part.blocked for part in parts]

    def sizes(self) -> npt.NDArray[np.int64]:
        """(3, queries) how many pairs of each band a query has; none where it is not ok."""
        t = self.table
        return np.stack((t.positives.astype(np.int64), np.diff(t.indptr) - t.positives, t.zeros))

    def lost(self) -> npt.NDArray[np.bool_]:
        """(3, queries) which queries have no pair of a band, but would have one if none were excluded."""
        lost: npt.NDArray[np.bool_] = (self.before > 0) & (self.sizes() == 0)
        return lost

    def blocked(self, row: int, columns: IntArray) -> npt.NDArray[np.bool_]:
        """(m,) which columns are not zeros of a query, nor stored: the query itself, and those of excluded pairs."""
        number = int(self.table.collection[row])
        local = np.full(len(columns), row - self.query_start[number])
        start, stop = self.table.starts[number : number + 2]
        return self._blocked[number].holds(local, columns - start, int(stop - start))

    def query_place(self, number: int) -> CameraLocation:
        """The place of a query by its number over all collections."""
        return self._place(number, self.query_start, "queries")

    def database_place(self, number: int) -> CameraLocation:
        """The place of a database camera by its number over all collections."""
        return self._place(number, self.database_start, "database")

    def _place(self, number: int, starts: IntArray, side: str) -> CameraLocation:
        if not 0 <= number < starts[-1]:
            raise NotFoundError(f"there is no number {number} among the {side}; there are 0 to {starts[-1] - 1}")
        collection = int(np.searchsorted(starts, number, side="right")) - 1
        return CameraLocation(self.names[collection], side, int(number - starts[collection]))

    @property
    def labels(self) -> dict[str, Any]:
        """The collections by name, from which the same table can be built again."""
        return dict(zip(self.names, self.sources, strict=True))

    @cached_property
    def query_keys(self) -> npt.NDArray[np.str_]:
        """(queries,) str, over all collections."""
        return np.concatenate([source.collection.query.key for source in self.sources])

    @cached_property
    def database_keys(self) -> npt.NDArray[np.str_]:
        """(database cameras,) str, over all collections."""
        return np.concatenate([source.collection.database.key for source in self.sources])

    @cached_property
    def digests(self) -> list[str]:
        """One digest per collection; those of stored collections are taken from their files."""
        digests = []
        for i, source in enumerate(self.sources):
            recorded = getattr(source, "content_sha256", None)
            digests.append(recorded if isinstance(recorded, str) else self._digest(i))
        return digests

    def _digest(self, number: int) -> str:
        rows = slice(self.query_start[number], self.query_start[number + 1] + 1)
        indptr = self.table.indptr[rows]
        span = slice(indptr[0], indptr[-1])
        start = self.table.starts[number]
        stop = self.table.starts[number + 1]
        digest = hashlib.sha256((indptr - indptr[0]).tobytes())
        # With the same stored pairs but other ok cameras, other pairs are zeros.
        ok = (self.query_ok[rows.start : rows.stop - 1], self.table.database[start:stop] - self.database_start[number])
        for array in (self.table.columns[span] - np.int32(start), self.table.psi[span], *ok):
            digest.update(np.ascontiguousarray(array).tobytes())
        if self.rules[number]:
            for array in self._blocked[number]:
                digest.update(array.tobytes())
        if self.table.hard_indptr.size:
            around = self.table.hard_indptr[rows]
            digest.update((around - around[0]).tobytes())
            digest.update((self.table.hard_columns[around[0] : around[-1]] - np.int32(start)).tobytes())
        return digest.hexdigest()


class _CollectionPairs(NamedTuple):
    """One collection, numbered by itself; names as in `PairArrays`."""

    indptr: IntArray
    columns: npt.NDArray[np.int32]
    psi: npt.NDArray[np.float32]
    order: npt.NDArray[np.int32]
    positives: npt.NDArray[np.int32]
    zeros: IntArray
    blocked: BlockedRuns
    before: IntArray
    rules: tuple[str, ...]
    without_place: tuple[int, int]
    database: IntArray
    hard_indptr: IntArray
    hard_columns: npt.NDArray[np.int32]
    query_ok: npt.NDArray[np.bool_]
    database_size: int
    self_pairs: bool
    min_value: float


def _collection_pairs(
    source: SimilaritySource,
    where: str,
    hard_negatives_m: hard_negatives.DistanceRange | None,
    excluded: BandExclusion | None,
) -> _CollectionPairs:
    collection = source.collection
    if np.float32(collection.min_value) >= EDGE:
        raise InputError(
            f"{where}: pairs with ψ up to {collection.min_value:g} are not stored, so absent ones may be positive (ψ "
            f"≥ {EDGE:g}); label again with a smaller min_value=…"
        )
    query_ok, database_ok = collection.query.ok, collection.database.ok
    try:
        rules = _rules(collection, excluded)
    except (InputError, OptionError) as error:
        raise InputError(f"{where}: {error}") from None
    checks = RowChecks(query_ok, database_ok, min_value=collection.min_value, self_pairs=collection.self_pairs)
    ranks = (np.cumsum(database_ok) - 1).astype(np.int32)
    counts, columns, psi, order, positives, before = [], [], [], [], [], []
    dropped_counts, dropped = [], []
    for block in source.blocks():
        faults = checks.faults(block)
        if faults:
            path = getattr(source, "path", None)
            kind = InputError if path is None else LabelFileError
            hint = "" if path is None else f"; `relabel validate {path}` lists all"
            raise kind(f"{where}: {faults[0]}{hint}")
        positive = block.data >= EDGE
        out = np.zeros(len(block.data), bool)
        for pairs, bands in rules:
            out |= np.where(positive, *bands[:2]) & pairs.holds(block.rows, block.indices)
        all_starts = _starts(block.counts)
        before.append(np.stack((_per_row(positive, all_starts), _per_row(~positive, all_starts))))
        kept_counts = _per_row(~out, all_starts)
        counts.append(kept_counts)
        columns.append(ranks[block.indices[~out]])
        psi.append(block.data[~out])
        places, numbers = _ordered(_starts(kept_counts), positive[~out])
        order.append(places)
        positives.append(numbers)
        dropped_counts.append(block.counts - kept_counts)
        dropped.append(ranks[block.indices[out]])
    kept = Rows(_starts(_joined(counts, np.int64)), _joined(columns, np.int32))
    left_out = Rows(_starts(_joined(dropped_counts, np.int64)), _joined(dropped, np.int32))
    own = np.full(len(query_ok), -1, np.int32)
    if collection.self_pairs:
        own[query_ok] = ranks[query_ok]
    ranges = []
    for pairs, bands in rules:
        if bands[ZERO]:
            at, first, stop = pairs.ranges()
            ranges.append(Ranges(ranks[at].astype(np.int64), first, stop))
    # If zeros are excluded, the stored pairs that are left out are in a range already.
    all_zeros = len(ranges) == len(rules)
    none = Rows(np.zeros(len(query_ok) + 1, np.int64), np.empty(0, np.int32))
    split = any(bands[ZERO] and not all(bands) for _, bands in rules)
    try:
        blocked = blocked_runs(ranges, own, none if all_zeros else left_out, kept, split=split)
        width = int(np.count_nonzero(database_ok))
        absent = width - np.diff(kept.indptr) - np.diff(left_out.indptr) - (own >= 0)
        zeros = width - np.diff(kept.indptr) - blocked.counts()
        hard_indptr, hard_columns = np.zeros(len(query_ok) + 1, np.int64), np.empty(0, np.int32)
        if hard_negatives_m is not None:
            hard = list(hard_negatives.absent_in_range(collection, *kept, blocked, hard_negatives_m))
            hard_indptr = _starts(_joined([counts for counts, _ in hard], np.int64))
            hard_columns = _joined([columns for _, columns in hard], np.int32)
            absent = zeros = np.diff(hard_indptr)
            if rules:
                alone = blocked_runs([], own, left_out, kept, split=False)
                others = hard_negatives.absent_in_range(collection, *kept, alone, hard_negatives_m)
                absent = _joined([counts for counts, _ in others], np.int64)
    except (InputError, OptionError) as error:
        raise type(error)(f"{where}: {error}") from None
    stored_before = np.concatenate(before, axis=1) if before else np.zeros((2, len(query_ok)), np.int64)
    return _CollectionPairs(
        indptr=kept.indptr,
        columns=kept.columns,
        psi=_joined(psi, np.float32),
        order=_joined(order, np.int32),
        positives=_joined(positives, np.int32),
        zeros=np.where(query_ok, zeros, 0),
        blocked=blocked,
        before=np.vstack((stored_before, np.where(query_ok, absent, 0))),
        rules=tuple(f"{pairs.rule}" + ("" if all(bands) else f", from {_named(bands)}") for pairs, bands in rules),
        without_place=_most(pairs.without_place for pairs, _ in rules),
        database=np.flatnonzero(database_ok),
        hard_indptr=hard_indptr,
        hard_columns=hard_columns,
        query_ok=query_ok,
        database_size=len(database_ok),
        self_pairs=collection.self_pairs,
        min_value=collection.min_value,
    )


def _rules(
    collection: Collection, excluded: BandExclusion | None
) -> list[tuple[ExcludedPairs, tuple[bool, bool, bool]]]:
    """What the collection itself excludes, from all bands, and what the sampler excludes, each with its bands."""
    own = collection.exclusion
    wanted = [(own, (True, True, True))] if own else []
    if excluded is not None and excluded.rule and (excluded.rule, excluded.bands) not in wanted:
        wanted.append((excluded.rule, excluded.bands))
    rules = [(ExcludedPairs(rule, collection.query, collection.database), bands) for rule, bands in wanted]
    for pairs, _ in rules[bool(own) :]:
        pairs.check_places()
    return rules


def _named(bands: tuple[bool, bool, bool]) -> str:
    return " and ".join(name for name, some in zip(NAMES, bands, strict=True) if some)


def _most(counts: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """The largest of each."""
    sides = list(counts) or [(0, 0)]
    return max(n for n, _ in sides), max(n for _, n in sides)


def _per_row(some: npt.NDArray[np.bool_], starts: IntArray) -> IntArray:
    """(rows,) how many entries of each row are True."""
    sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(some)))
    return np.diff(sums[starts])


def _ordered(indptr: IntArray, positive: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Positions within each row, positives first and otherwise in order, and the number of positives of each row."""
    before: IntArray = np.concatenate((np.zeros(1, np.int64), np.cumsum(positive)))
    counts = np.diff(before[indptr])
    sizes = np.diff(indptr)
    place = np.arange(len(positive)) - np.repeat(indptr[:-1], sizes)
    # How many positives of its row precede each pair.
    ahead = before[:-1] - np.repeat(before[indptr[:-1]], sizes)
    to = np.where(positive, ahead, np.repeat(counts, sizes) + place - ahead) + np.repeat(indptr[:-1], sizes)
    order = np.empty(len(positive), np.int32)
    order[to] = place
    return order, counts.astype(np.int32)


def _starts(sizes: Sequence[int] | IntArray) -> IntArray:
    starts: IntArray = np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes, dtype=np.int64)))
    return starts


def _chained(indptrs: Sequence[IntArray]) -> IntArray:
    """The row pointers of stacked matrices."""
    return _starts(np.concatenate([np.diff(indptr) for indptr in indptrs]))


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A read-only view; the array itself may be the caller's."""
    view = array.view()
    view.setflags(write=False)
    return view


def _joined(parts: Sequence[npt.NDArray[Any]], dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """All parts in one array, of their own dtype unless stated; a single one as it is."""
    if not parts:
        return np.empty(0, dtype)
    return np.ascontiguousarray(parts[0], dtype) if len(parts) == 1 else np.concatenate(parts, dtype=dtype)
