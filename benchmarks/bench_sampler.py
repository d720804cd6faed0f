"""Drawing training pairs: the graded sampler, and a loader that reads dense rows, on the same labels.

    python benchmarks/bench_sampler.py [--cameras 1000 15000 50000] [--pairs 4000000] [--dense 500]

The labels are the field-of-view overlap of a synthetic city, twice as many database cameras as queries. The peer works
as the published loader of Generalized Contrastive Loss is described: a dense float32 (queries × database) matrix with a
chunk a row, of which one row is read for every draw and searched for the members of the band, where one is chosen. Its
file is kept open, which is its best case. Its rows are those of the first queries, since the whole matrix is large.

A DataLoader of torch collects the pairs in batches of 32, in the same process, from a dataset that returns its index;
next to it the same loader with torch's own sampler, which only shuffles numbers.

One core; compilation is not counted (four seconds, once per installation). `memory` is the growth of the process while
that many pairs are drawn, after the first ones.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
from common import machine, synthetic_city, table

from relabel import LabelFile, Similarity, fov
from relabel.devices import process_peak_bytes
from relabel.labelfile import write
from relabel.training import GradedBatchSampler, GradedPairSampler

SHARES = (0.5, 0.25, 0.25)
BLOCK = 1 << 16  # pairs a call of draw()
BATCH = 32
PEER_PAIRS = 2_000


def resident_bytes() -> int:
    """Current memory of this process in bytes; its peak if the system does not report the current one."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return process_peak_bytes()


def rate(items: Iterator[object], count: int) -> tuple[float, int]:
    """Items per second, and growth of the process in bytes; the first tenth is a warm-up."""
    for _ in islice(items, max(1, count // 10)):
        pass
    before, start = resident_bytes(), time.perf_counter()
    taken = sum(1 for _ in islice(items, count))
    seconds = time.perf_counter() - start
    return taken / seconds, resident_bytes() - before


def blocks(sampler: GradedPairSampler) -> Iterator[object]:
    """Endless draws of a block each."""
    while True:
        yield sampler.draw(BLOCK)


class Echo:
    """A dataset whose items are their numbers, so that only sampler and loader take time."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: object) -> object:
        return number


def loaded(length: int, sampler: GradedPairSampler | None) -> Iterator[object]:
    """The batches of a loader, each as a list of indices; without a sampler, of shuffled numbers."""
    from torch.utils.data import DataLoader

    return iter(DataLoader(Echo(length), BATCH, shuffle=sampler is None, sampler=sampler, collate_fn=list))


def dense_draws(path: Path, seed: int = 0) -> Iterator[tuple[int, int, float]]:
    """The peer: a band, the next query in random order, its whole row, and one member of the band in it."""
    rng = np.random.default_rng(seed)
    members: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda row: row >= 0.5,
        lambda row: (row > 0.0) & (row < 0.5),
        lambda row: row == 0.0,
    ]
    with h5py.File(path) as file:
        rows = file["fov"]
        while True:
            for query in rng.permutation(len(rows)).tolist():
                band = int(rng.choice(3, p=SHARES))
                row = rows[query]
                columns = np.where(members[band](row))[0]
                if len(columns):
                    chosen = int(rng.choice(columns))
                    yield query, chosen, float(row[chosen])


def write_dense(path: Path, psi: Similarity, queries: int, **options: object) -> None:
    """The first queries as a dense matrix, a chunk a row."""
    with h5py.File(path, "w") as file:
        shape = (min(queries, psi.shape[0]), psi.shape[1])
        rows = file.create_dataset("fov", shape=shape, dtype="f4", chunks=(1, shape[1]), **options)
        for i in range(shape[0]):
            rows[i] = psi.matrix[[i]].toarray()[0]


def bench(cameras: int, pairs: int, dense: int, folder: Path) -> None:
    """Print the table of one city."""
    query, database = synthetic_city(2 * cameras)
    psi = fov.overlap(query.take(slice(cameras)), database)
    path = folder / "labels.h5"
    write(path, {"city": psi}, overwrite=True)
    before, start = resident_bytes(), time.perf_counter()
    sampler = GradedPairSampler(LabelFile(path), SHARES, length=2 * pairs)
    opened, size = time.perf_counter() - start, resident_bytes() - before
    ring = GradedPairSampler(LabelFile(path), SHARES, hard_negatives_m=(25, 100))
    batches = GradedBatchSampler(LabelFile(path), BATCH, length=pairs)
    matrices = (batches.similarity(batch) for batch in batches)
    found = {
        "draw(), blocks of 65,536": rate(blocks(sampler), max(1, pairs // BLOCK)),
        "iterating, one pair at a time": rate(iter(sampler), pairs),
        "draw(), zeros at 25 to 100 m": rate(blocks(ring), max(1, pairs // BLOCK)),
        f"batches of {BATCH} cameras and their matrices": rate(matrices, max(1, pairs // 10_000)),
    }
    a_second = {name: (speed * (BLOCK if "draw()" in name else 1), grown) for name, (speed, grown) in found.items()}
    for name, chosen in (("DataLoader", sampler), ("DataLoader that shuffles numbers", None)):
        speed, grown = rate(loaded(2 * pairs, chosen), max(1, pairs // (2 * BATCH)))
        a_second[name] = (speed * BATCH, grown)
    for name, options in (("dense rows", {}), ("dense rows, gzip", {"compression": "gzip"})):
        write_dense(folder / "dense.h5", psi, dense, **options)
        draws = dense_draws(folder / "dense.h5")
        a_second[name] = rate(draws, PEER_PAIRS)
        draws.close()
    best = a_second["dense rows"][0]
    n, m = psi.shape
    print(f"\n## {n:,} × {m:,} cameras, {psi.matrix.nnz:,} stored pairs\n")
    table(
        ["what", "pairs/s", "of dense rows", "memory, MB"],
        [
            [name, f"{speed:,.0f}", "–" if "batches" in name else f"{speed / best:,.1f}", f"{grown / 1e6:+,.1f}"]
            for name, (speed, grown) in a_second.items()
        ],
    )
    print(
        f"\nBatches are counted, not pairs. From file to sampler {opened:,.2f} s and {size / 1e6:,.0f} MB, of which "
        f"{12 * psi.matrix.nnz / 1e6:,.1f} MB are pairs; the whole dense matrix would be {4e-6 * n * m:,.0f} MB."
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cameras", type=int, nargs="+", default=[1_000, 15_000, 50_000], help="queries; twice as many stored"
    )
    parser.add_argument("--pairs", type=int, default=4_000_000, help="how many are drawn")
    parser.add_argument("--dense", type=int, default=500, help="queries for which the dense layout is written")
    arguments = parser.parse_args()
    pinned = hasattr(os, "sched_setaffinity")  # macOS does not let a process choose
    used = ", of which one is used" if pinned else ""
    print(f"# Drawing training pairs\n\n{machine()}{used}, h5py {h5py.__version__}; one run")
    if pinned:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        for cameras in arguments.cameras:
            bench(cameras, arguments.pairs, arguments.dense, Path(folder))


if __name__ == "__main__":
    main()
