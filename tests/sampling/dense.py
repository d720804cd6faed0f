"""The bands of all pairs of a similarity, worked out pair by pair on dense matrices: the oracle of the samplers."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import sparse, stats

from relabel.cameras import Cameras, Status
from relabel.similarity import Similarity
from tests.open_files import handles_on
from tests.similarities import similarity


def band_matrix(psi: Similarity, hard_negatives_m: tuple[float, float] | None = None) -> np.ndarray:
    """(queries, database) 0 positive, 1 partial, 2 zero, -1 for pairs that must never be drawn."""
    collection = psi.collection
    values = psi.matrix.toarray()
    bands = np.full(psi.shape, -1)
    for q in range(psi.shape[0]):
        for d in range(psi.shape[1]):
            if not (collection.query.ok[q] and collection.database.ok[d]) or (collection.self_pairs and q == d):
                continue
            if values[q, d] > 0.0:
                bands[q, d] = 0 if values[q, d] >= 0.5 else 1
            elif hard_negatives_m is None:
                bands[q, d] = 2
            else:
                apart = math.dist(collection.query.position[q, :2], collection.database.position[d, :2])
                bands[q, d] = 2 if hard_negatives_m[0] <= apart <= hard_negatives_m[1] else -1
    return bands


def pair_chances(bands: np.ndarray, shares: tuple[float, float, float]) -> np.ndarray:
    """(queries, database) chance of each pair: its band's share, over the queries that have it, over their pairs."""
    chances = np.zeros(bands.shape)
    for band in range(3):
        has = bands == band
        queries = has.any(axis=1)
        if queries.any():
            chances += shares[band] * has / max(1, queries.sum()) / np.maximum(has.sum(axis=1, keepdims=True), 1)
    return chances


def counted(draw: tuple[np.ndarray, ...], shape: tuple[int, int]) -> np.ndarray:
    """(queries, database) how often each pair was drawn."""
    counts = np.zeros(shape, int)
    np.add.at(counts, (draw[0], draw[1]), 1)
    return counts


def fits(counts: np.ndarray, chances: np.ndarray) -> bool:
    """Whether counts go with chances by a chi-square test; what has no chance must not occur at all."""
    possible = chances > 0.0
    if counts[~possible].any():
        return False
    expected = counts.sum() * chances[possible] / chances[possible].sum()
    assert expected.min() >= 5.0, "draw more, or the test says nothing"
    return bool(stats.chisquare(counts[possible], expected).pvalue > 1e-4)


def stored(values: list[list[float]], *, self_pairs: bool = False, **fields: object) -> Similarity:
    """A similarity with just these values, every camera ok; camera i of either side stands 10·i m east."""
    matrix = sparse.csr_array(np.array(values, np.float32))
    collection = similarity(*matrix.shape, self_pairs=self_pairs, faults=False).collection

    def row(prefix: str, n: int) -> Cameras:
        at = np.column_stack([np.arange(n) * 10.0, np.zeros(n)])
        return Cameras(key=[f"{prefix}{i}" for i in range(n)], position=at, heading_deg=np.zeros(n))

    query = row("q", matrix.shape[0])
    database = query if self_pairs else row("d", matrix.shape[1])
    return Similarity(replace(collection, query=query, database=database, **fields), matrix)


def blinded(cameras: Cameras, rows: list[int]) -> Cameras:
    """The same cameras, some of them panoramas."""
    status = cameras.status.copy()
    status[rows] = Status.PANORAMA
    return replace(cameras, status=status)


def gone_through(sampler: Iterable[object], path: Path) -> tuple[list[object], int, tuple[int, int]]:
    """What a sampler gives in this process, the handles on its file meanwhile, and its threads before and after."""
    before = _threads()
    iterator = iter(sampler)
    items = [next(iterator)]
    handles = handles_on(path)
    items.extend(iterator)
    return items, handles, (before, _threads())


def _threads() -> int:
    """How many threads this process has; those of Python alone where the system does not list the others."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()
