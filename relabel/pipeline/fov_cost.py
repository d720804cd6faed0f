"""What a job of fields of view takes: time, memory and the size of its file, estimated from a sample of its pairs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from relabel import fov
from relabel.cameras import Cameras, FloatArray
from relabel.fov import estimate
from relabel.fov.estimate import MOST_CANDIDATE_BYTES
from relabel.fov.footprint import held_bytes
from relabel.jit import thread_count
from relabel.labelfile.camera_table import as_table
from relabel.labelfile.chunks import encoded
from relabel.labelfile.schema import CHUNK_ENTRIES
from relabel.pipeline.parts import not_enough, very_many_pairs

# Measured by benchmarks/bench_scale.py.
BASE_BYTES, MOST_BASE_BYTES = 310e6, 450e6
"""Python, its libraries and the compiled kernels; the first time, with the compiler at work."""
HELD_FACTOR = 1.3
"""What the cameras take while they are read and written, relative to what they take while pairs are computed."""
PAIR_SECONDS = 60e-9
"""To check, hash and read back a stored pair, besides compressing it."""
ENCODINGS = 3.0
"""How many times as long as compressing its columns it takes to write, hash, read back and check a camera."""
COLLECTION_BYTES = 20e3  # what HDF5 itself takes
MANY_A_QUERY, MANY_PAIRS = 1000, 2e7
"""What is announced before it is computed: pairs a query, 20 times as many as street data usually has, and in all."""
MEMORY_MARGIN = 1.15
"""What a bound on memory has to leave for the estimate to be wrong."""
LEAST_BLOCK = 2**18
"""Possible candidates; smaller blocks would be slow."""
_SAMPLE_ROWS = 2**15


@dataclass(frozen=True)
class FovCost:
    """What a job takes, estimated.

    Attributes
    ----------
    pairs:
        about how many are stored.
    seconds:
        about how long computing and writing takes on this machine, with all threads.
    output_bytes:
        about how large the file is.
    held_bytes, block_bytes:
        about how much memory it takes whatever the size of the blocks, and what a block takes.
    """

    pairs: float
    seconds: float
    output_bytes: int
    held_bytes: int
    block_bytes: int

    @property
    def memory_bytes(self) -> int:
        """About how much memory it takes."""
        return self.held_bytes + self.block_bytes


def cost(source: fov.FovOverlap | fov.GeographicOverlap, *, threads: int | None = None) -> FovCost:
    """What it takes to compute the pairs of an overlap and to write them to a file; a few pairs are computed."""
    plan = estimate.plan(source)
    c = source.collection
    sides = (
        [(c.query, c.query_extent)] if c.self_pairs else [(c.query, c.query_extent), (c.database, c.database_extent)]
    )
    cameras = sum(len(side) for side, _ in sides)
    size, seconds = _encoding([plan.indices, plan.data], CHUNK_ENTRIES)
    pair = (seconds / thread_count(threads) + PAIR_SECONDS) if len(plan.data) else 0.0
    columns = [column for side, extent in sides for column in _columns(side, extent)]
    camera_size, camera_seconds = _encoding(columns, CHUNK_ENTRIES)
    camera_size, camera_seconds = camera_size / len(sides), camera_seconds / len(sides)
    return FovCost(
        plan.pairs,
        plan.seconds + plan.pairs * pair + cameras * camera_seconds * ENCODINGS,
        round(plan.pairs * size + cameras * camera_size + 4 * len(c.query) + COLLECTION_BYTES),
        round(BASE_BYTES + HELD_FACTOR * plan.held_bytes),
        plan.block_bytes,
    )


def within(
    source: fov.FovOverlap | fov.GeographicOverlap, memory_bytes: int, name: str
) -> fov.FovOverlap | fov.GeographicOverlap:
    """The overlap in blocks so small that the whole process takes no more memory.

    Raises
    ------
    OptionError
        when even the cameras take more; says how much is needed.
    """
    plane = source.plane if isinstance(source, fov.GeographicOverlap) else source
    held = MOST_BASE_BYTES + MEMORY_MARGIN * HELD_FACTOR * held_bytes(source)
    # A query is never cut in two, however many candidates it has.
    least = max(LEAST_BLOCK, int(plane.bounds.max(initial=0)))
    needed = round(held + least * MOST_CANDIDATE_BYTES)
    if needed > memory_bytes:
        raise not_enough(name, f"{sum(source.collection.shape):,} cameras", memory_bytes, needed)
    block = min(plane.block, int((memory_bytes - held) / MOST_CANDIDATE_BYTES))
    plane = replace(plane, block=block)
    return replace(source, plane=plane) if isinstance(source, fov.GeographicOverlap) else plane


def announcement(source: fov.FovOverlap | fov.GeographicOverlap, *, threads: int | None = None) -> str:
    """What to expect where there are very many pairs for the number of cameras; empty where there are not."""
    queries = len(source.collection.query)
    if estimate.possible_candidates(source) < max(MANY_A_QUERY * queries, MANY_PAIRS):
        return ""
    expected = cost(source, threads=threads)
    if expected.pairs < max(MANY_A_QUERY * queries, MANY_PAIRS):
        return ""
    return very_many_pairs(
        expected.pairs,
        queries,
        source.collection.min_value,
        expected.output_bytes,
        expected.seconds,
        "min_value=… stores fewer of them; radius_m=…, max_heading_difference_deg=… and fewer cameras at one place "
        "make fewer",
    )


def _columns(cameras: Cameras, extent: FloatArray) -> list[npt.NDArray[Any]]:
    rows = slice(0, _SAMPLE_ROWS)
    return list(as_table(cameras.take(rows), extent[rows], "sample").values())


def _encoding(columns: list[npt.NDArray[Any]], chunk: int) -> tuple[float, float]:
    """Bytes and seconds, on one thread, to compress a row of all columns; of pairs, which may be none, 0."""
    size, seconds = 0.0, 0.0
    for column in columns:
        begin = time.perf_counter()
        rows = max(1, len(column))
        stored = sum(len(encoded(column[start : start + chunk])) for start in range(0, len(column), chunk))
        size, seconds = size + stored / rows, seconds + (time.perf_counter() - begin) / rows
    return size, seconds
