"""Storing a similarity matrix: size, writing, reading, and one row at a time, against other ways to store the same.

    python benchmarks/bench_store.py [--cameras 15000 50000] [--dense 2000]

The matrix is the field-of-view overlap of a synthetic city, twice as many database cameras as queries. Speeds are in
MB/s of the same raw CSR arrays (8 bytes a pair, 8 a row) for all but the dense layout, whose own bytes are counted.

`relabel` is a whole label file (cameras, checks, digests, sync to disk, structure read back); `arrays only` is its
matrix alone, by the same code, as far as others do it. Others write without checks and without sync. Every row is read
from a file that was opened for it. The dense layout is that of the labels of Generalized Contrastive Loss, a float32
(queries × database) matrix with a chunk a row; it grows with the product of the cameras, so it is measured on the first
queries and its bytes are printed for all.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import anndata
import h5py
import numpy as np
from common import machine, median_seconds, synthetic_city, table
from scipy import sparse

from relabel import LabelFile, Similarity, fov
from relabel.labelfile import write
from relabel.labelfile.chunks import ChunkQueue, GrowingColumns
from relabel.labelfile.schema import CHUNK_ENTRIES, FILTERS

ROWS = 300  # read one at a time
REPEATS = 3


class Found(NamedTuple):
    """Measurements of one way to store."""

    name: str
    size: int
    raw: int
    pairs: int
    write_s: float
    read_s: float
    row_s: list[float]
    """of each row that was read; empty if single rows cannot be read"""


class Way(NamedTuple):
    """One way to store a matrix: how to write it, read it whole, and open it for reading rows."""

    name: str
    write: Callable[[Path, Similarity], object]
    read: Callable[[Path], Any]
    rows: Callable[[Path], Callable[[int], Any]] | None


def relabel_way(threads: int) -> Way:
    """A complete label file, as users write it."""
    return Way(
        f"relabel, {threads} thread(s)",
        lambda path, psi: write(path, {"city": psi}, overwrite=True, threads=threads),
        lambda path: LabelFile(path)["city"].to_scipy(),
        lambda path: LabelFile(path)["city"].row_block,
    )


def arrays_way(threads: int) -> Way:
    """The matrix alone, compressed in threads and written chunk by chunk as the label file does it."""

    def put(path: Path, psi: Similarity) -> None:
        with h5py.File(path, "w") as file:
            with ChunkQueue(threads) as queue:
                columns = GrowingColumns(file, {"indices": "int32", "data": "float32"}, queue)
                columns.append((psi.matrix.indices, psi.matrix.data))
                columns.finish()
                queue.finish()
            file["indptr"] = psi.matrix.indptr.astype(np.int64)

    return Way(f"arrays only, direct chunks, {threads} thread(s)", put, read_arrays, rows_of_arrays)


def plain_way() -> Way:
    """The matrix alone by plain h5py: the same chunks and filters, applied by HDF5 itself, on its one thread."""

    def put(path: Path, psi: Similarity) -> None:
        with h5py.File(path, "w") as file:
            for name in ("indices", "data"):
                array = getattr(psi.matrix, name)
                # It may grow, as only then a chunk may be longer than a small matrix.
                file.create_dataset(name, data=array, chunks=(CHUNK_ENTRIES,), maxshape=(None,), **FILTERS)
            file["indptr"] = psi.matrix.indptr.astype(np.int64)

    return Way("arrays only, HDF5's own filters", put, read_arrays, rows_of_arrays)


def compact(psi: Similarity) -> sparse.csr_matrix:
    """The matrix with all numbers of 32 bits, as small as peers can have it; SciPy keeps both kinds of index alike."""
    m = psi.matrix
    return sparse.csr_matrix((m.data, m.indices.astype(np.int32), m.indptr.astype(np.int32)), shape=m.shape)


def read_arrays(path: Path) -> list[np.ndarray]:
    """All arrays of the matrix."""
    with h5py.File(path) as file:
        return [file[name][:] for name in ("indptr", "indices", "data")]


def rows_of_arrays(path: Path) -> Callable[[int], Any]:
    """Rows by two slices, the file opened for each, as a data-loader worker has to where it cannot hold it open."""

    def row(number: int) -> Any:
        with h5py.File(path) as file:
            start, stop = file["indptr"][number : number + 2]
            return file["indices"][start:stop], file["data"][start:stop]

    return row


def anndata_way(name: str, options: dict[str, Any]) -> Way:
    """The same matrix by `anndata.io.write_elem`, rows by its backed mode."""

    def put(path: Path, psi: Similarity) -> None:
        with h5py.File(path, "w") as file:
            anndata.io.write_elem(file, "x", compact(psi), dataset_kwargs=options)

    def read(path: Path) -> Any:
        with h5py.File(path) as file:
            return anndata.io.read_elem(file["x"])

    def rows(path: Path) -> Callable[[int], Any]:
        def row(number: int) -> Any:
            with h5py.File(path) as file:
                return anndata.io.sparse_dataset(file["x"])[number]

        return row

    return Way(name, put, read, rows)


def npz_way() -> Way:
    """`scipy.sparse.save_npz`."""
    return Way("scipy save_npz", _save_npz, _load_npz, None)


def _save_npz(path: Path, psi: Similarity) -> None:
    with path.open("wb") as file:
        sparse.save_npz(file, compact(psi))


def _load_npz(path: Path) -> Any:
    with path.open("rb") as file:
        return sparse.load_npz(file)


def dense_way(name: str, options: dict[str, Any]) -> Way:
    """A dense float32 matrix, written and read row by row."""

    def put(path: Path, psi: Similarity) -> None:
        with h5py.File(path, "w") as file:
            n, m = psi.shape
            rows = file.create_dataset("fov", shape=(n, m), dtype="f4", chunks=(1, m), **options)
            for i in range(n):
                rows[i] = psi.matrix[[i]].toarray()[0]

    def read(path: Path) -> None:
        with h5py.File(path) as file:
            rows = file["fov"]
            for i in range(len(rows)):
                rows[i]

    def rows(path: Path) -> Callable[[int], Any]:
        def row(number: int) -> Any:
            with h5py.File(path) as file:
                return file["fov"][number]

        return row

    return Way(name, put, read, rows)


def measured(way: Way, psi: Similarity, folder: Path, raw: int) -> Found:
    """Write, read whole, and read single rows, all warm."""
    path = folder / "stored"
    write_s = median_seconds(lambda: way.write(path, psi), repeats=REPEATS)
    read_s = median_seconds(lambda: way.read(path), repeats=REPEATS)
    row_s: list[float] = []
    if way.rows is not None:
        row = way.rows(path)
        numbers = np.random.default_rng(0).integers(0, psi.shape[0], ROWS).tolist()
        row(numbers[0])
        for number in numbers:
            start = time.perf_counter()
            row(number)
            row_s.append(time.perf_counter() - start)
    return Found(way.name, path.stat().st_size, raw, psi.matrix.nnz, write_s, read_s, row_s)


def line(found: Found, reference: Found) -> list[str]:
    """One line of the table."""
    median, p95 = (
        (f"{statistics.median(found.row_s) * 1e3:.2f} ms", f"{np.quantile(found.row_s, 0.95) * 1e3:.2f} ms")
        if found.row_s
        else ("–", "–")
    )
    a_pair = found.size / found.pairs
    return [
        found.name,
        f"{a_pair:,.2f}",
        f"{a_pair / (reference.size / reference.pairs):.2f}",
        f"{found.raw / found.write_s / 1e6:,.0f}",
        f"{found.raw / found.read_s / 1e6:,.0f}",
        median,
        p95,
    ]


def single_rows(path: Path) -> None:
    """Print what a random row of a label file takes, opened for it and kept open, against plain h5py on the same file.

    All take turns, 100 rows at a time that each read anew: HDF5's chunk cache belongs to the open file, so
    only those that keep it open gain from it, and more so the more rows they read.
    """

    @contextmanager
    def plain_kept() -> Iterator[Callable[[int], Any]]:
        with h5py.File(path, locking=False) as file:
            indptr, indices, data = (file["city/similarity"][name] for name in ("indptr", "indices", "data"))

            def row(number: int) -> Any:
                start, stop = indptr[number : number + 2]
                return indices[start:stop], data[start:stop]

            yield row

    def plain_opened(number: int) -> Any:
        with plain_kept() as row:
            return row(number)

    @contextmanager
    def relabel_kept() -> Iterator[Callable[[int], Any]]:
        with LabelFile(path)["city"].kept_open() as kept:
            yield kept.row_block

    stored = LabelFile(path)["city"]
    ways: dict[str, Callable[[], AbstractContextManager[Callable[[int], Any]]]] = {
        "plain h5py, opened for each row": lambda: nullcontext(plain_opened),
        "relabel, opened for each row": lambda: nullcontext(stored.row_block),
        "plain h5py, kept open": plain_kept,
        "relabel, kept open": relabel_kept,
    }
    seconds: dict[tuple[str, int], list[float]] = {}
    random = np.random.default_rng(0)
    few, many = min(100, len(stored) // 10), min(2000, len(stored))
    for rows, turns in ((few, 10), (many, 3)):
        for _, (name, way) in itertools.product(range(turns), ways.items()):
            with way() as row:
                row(0)
                for number in random.integers(0, len(stored), rows).tolist():
                    start = time.perf_counter()
                    row(number)
                    seconds.setdefault((name, rows), []).append(time.perf_counter() - start)
    lines = []
    for name in ways:
        peer = name.replace("relabel", "plain h5py")
        line = [name]
        for rows in (few, many):
            median = statistics.median(seconds[name, rows])
            line += [
                f"{median * 1e3:.3f} ms",
                "" if peer == name else f"{median / statistics.median(seconds[peer, rows]):.2f}×",
            ]
        lines.append(line)
    print("\nA random row of the label file, checks included:\n")
    table(["by", f"of {few:,} rows", "of its peer", f"of {many:,} rows", "of its peer"], lines)


HEAD = ["what", "bytes a pair", "of relabel's", "write MB/s", "read MB/s", "row, median", "row, 95 %"]


def bench(cameras: int, dense: int, folder: Path) -> None:
    """Print the tables of one city."""
    query, database = synthetic_city(2 * cameras)
    psi = fov.overlap(query.take(slice(cameras)), database, measure="overlap")
    n, m = psi.shape
    raw = psi.matrix.nnz * 8 + n * 8
    print(f"\n## {n:,} × {m:,} cameras, {psi.matrix.nnz:,} stored pairs, {raw / 1e6:,.1f} MB of CSR arrays\n")
    ways = [
        relabel_way(1),
        relabel_way(2),
        arrays_way(1),
        arrays_way(2),
        plain_way(),
        anndata_way("anndata", {}),
        anndata_way("anndata, gzip", {"compression": "gzip"}),
        npz_way(),
    ]
    found = {way.name: measured(way, psi, folder, raw) for way in ways}
    reference = found["relabel, 2 thread(s)"]
    first = slice(min(n, dense))
    c = psi.collection
    fewer = replace(c, query=c.query.take(first), query_extent=c.query_extent[first])
    few = Similarity(fewer, psi.matrix[first])
    whole = 4 * few.shape[0] * m
    dense_found = [
        measured(dense_way(name, options), few, folder, whole)
        for name, options in (("dense, as GCL", {}), ("dense, gzip", {"compression": "gzip"}))
    ]
    table(HEAD, [line(f, reference) for f in (*found.values(), *dense_found)])
    print(
        f"\nDense: the first {few.shape[0]:,} queries, MB/s of dense bytes ({whole / 1e6:,.0f} MB); all queries would "
        f"take {4 * n * m:,} bytes uncompressed, {4 * n * m / reference.size:,.0f} times the label file."
    )
    single_rows(write(folder / "labels.h5", {"city": psi}, overwrite=True))
    plain = found["arrays only, HDF5's own filters"].write_s
    gains = {t: plain / found[f"arrays only, direct chunks, {t} thread(s)"].write_s for t in (1, 2)}
    print(
        f"\nChunks compressed in threads and written directly: {gains[1]:.2f} times as fast as HDF5's own filters with "
        f"one thread, {gains[2]:.2f} times with two: {'kept' if gains[2] > 1 else 'not worth it here'}."
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--cameras", type=int, nargs="+", default=[15_000, 50_000], help="queries; twice as many stored"
    )
    parser.add_argument("--dense", type=int, default=2_000, help="queries for which the dense layout is written")
    arguments = parser.parse_args()
    print(
        f"# Storing a matrix\n\n{machine()}, h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}, "
        f"anndata {version('anndata')}; medians of one run"
    )
    with tempfile.TemporaryDirectory() as folder:
        for cameras in arguments.cameras:
            bench(cameras, arguments.dense, Path(folder))


if __name__ == "__main__":
    main()
