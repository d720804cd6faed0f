"""The report of a sampler: what it draws of each band and collection, and which queries have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.display import Displayed, Summary, several
from relabel.sampling.bands import NAMES, SYMBOLS
from relabel.sampling.pair_table import PairTable
from relabel.sampling.plan import SamplingPlan


@dataclass(frozen=True)
class BandReport:
    """One band of ψ."""

    name: str
    """``positive``, ``partial`` or ``zero``"""
    share: float
    """of the drawn pairs, in the long run"""
    pairs: int
    """that can be drawn"""
    queries: int
    """that have such a pair"""
    queries_without: int
    """ok queries that have none, and are never drawn for this band"""
    excluded: int
    """pairs that are left out by a rule on sequence, frames or time"""
    queries_lost: int
    """those of `queries_without` whose pairs are all excluded; `GradedSampler.lost_queries` names them"""


@dataclass(frozen=True)
class CollectionReport:
    """One collection; its bands as in `SamplerReport`, without shares."""

    name: str
    queries: int
    queries_ok: int
    min_value: float
    """an absent pair counts as ψ = 0 and may have up to this"""
    pairs: tuple[int, int, int]
    """that can be drawn of each band"""
    queries_without: tuple[int, int, int]
    excludes: str
    """what is left out, in words; empty where nothing is"""
    excluded: tuple[int, int, int]
    queries_lost: tuple[int, int, int]
    without_place: tuple[int, int]
    """ok queries and ok database cameras without a sequence, frame or time, none of whose pairs is left out"""


@dataclass(frozen=True, repr=False)
class SamplerReport(Displayed):
    """What a sampler draws: the bands over all collections, and each collection. As text by ``str()``."""

    order: str
    exact_round: int
    """each run of this many pairs has its shares exactly; 1 where bands are drawn by chance"""
    queries: int
    queries_ok: int
    bands: tuple[BandReport, BandReport, BandReport]
    collections: tuple[CollectionReport, ...]

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON values."""
        return asdict(self)

    def _summary(self) -> Summary:
        labels, *rest = str(self).splitlines()
        rules = dict.fromkeys(part.excludes for part in self.collections if part.excludes)
        rows = [("draws", band.strip()) for band in rest[: len(self.bands)]]
        return Summary(f"{type(self).__name__}: {labels}", [*rows, *(("excludes", rule) for rule in rules)])

    def __str__(self) -> str:
        of = several(len(self.collections), "collection")
        lines = [f"{self.queries_ok:,} of {self.queries:,} queries are ok, in {of}"]
        for band, symbol in zip(self.bands, SYMBOLS, strict=True):
            without = f"; queries with none: {band.queries_without:,}" if band.queries_without else ""
            drawn = f"{band.share:6.1%} of the draws, from {several(band.pairs, 'pair')}" if band.share else "not drawn"
            lines.append(f"  {symbol:<11} {drawn}{without if band.share else ''}")
        rules = dict.fromkeys(part.excludes for part in self.collections if part.excludes)
        lines += [f"  excluded: {rule}" for rule in rules]
        if rules:
            counts = [f"{b.excluded:,} with {symbol}" for b, symbol in zip(self.bands, SYMBOLS, strict=True)]
            lines.append(f"    {', '.join(counts)}")
            lost = [
                f"all pairs with {symbol}: {b.queries_lost:,}"
                for b, symbol in zip(self.bands, SYMBOLS, strict=True)
                if b.queries_lost
            ]
            lines += [f"    queries that lose {'; '.join(lost)}"] if lost else []
            queries, database = (sum(part.without_place[i] for part in self.collections) for i in (0, 1))
            if queries or database:
                lines.append(
                    f"    {several(queries, 'query', 'queries')}"
                    f" and {several(database, 'database camera')} have no place "
                    "in a sequence, so all their pairs are kept"
                )
        return "\n".join(lines)


def sampler_report(pairs: PairTable, plan: SamplingPlan, order: str) -> SamplerReport:
    """The report of a sampler."""
    sizes = [int(n) for n in pairs.query_start[1:] - pairs.query_start[:-1]]
    starts = pairs.query_start
    ok = [int(pairs.query_ok[starts[i] : starts[i + 1]].sum()) for i in range(len(sizes))]
    excluded, lost = pairs.before - pairs.sizes(), pairs.lost()

    def of(counts: npt.NDArray[Any], i: int) -> tuple[int, int, int]:
        return _three([int(n) for n in counts[:, starts[i] : starts[i + 1]].sum(axis=1)])

    collections = tuple(
        CollectionReport(
            name=name,
            queries=sizes[i],
            queries_ok=ok[i],
            min_value=pairs.min_values[i],
            pairs=_three([int(n) for n in plan.pairs[:, i]]),
            queries_without=_three([ok[i] - int(n) for n in plan.having[:, i]]),
            excludes=pairs.rules[i],
            excluded=of(excluded, i),
            queries_lost=of(lost, i),
            without_place=pairs.without_place[i],
        )
        for i, name in enumerate(pairs.names)
    )
    bands = [
        BandReport(
            name=name,
            share=plan.schedule.shares[b],
            pairs=int(plan.pairs[b].sum()),
            queries=int(plan.having[b].sum()),
            queries_without=sum(ok) - int(plan.having[b].sum()),
            excluded=int(excluded[b].sum()),
            queries_lost=int(np.count_nonzero(lost[b])),
        )
        for b, name in enumerate(NAMES)
    ]
    return SamplerReport(
        order=order,
        exact_round=plan.schedule.round,
        queries=sum(sizes),
        queries_ok=sum(ok),
        bands=(bands[0], bands[1], bands[2]),
        collections=collections,
    )


def _three(values: Sequence[int]) -> tuple[int, int, int]:
    return values[0], values[1], values[2]
