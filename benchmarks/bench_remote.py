"""Reading labels from a web server: a row, many rows, and all pairs, against a download of the file and a local one.

    python benchmarks/bench_remote.py [--cameras 50000] [--latency-ms 20] [--rows 100]

The label file holds the field-of-view overlap of a synthetic city, twice as many database cameras as queries, once as a
file and once as a folder of shards. The server runs on this machine, in a process of its own, knows range requests, and
waits before each answer as long as a network would; its bandwidth is that of this machine. "download" fetches all of it
first and reads that. Nothing is in memory at the start of each reading.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import re
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import machine, synthetic_city, table

from relabel import LabelFile, fov
from relabel.labelfile import StoredCollection, pack, write


class Server(NamedTuple):
    """Where the server answers, and what it has been asked."""

    url: str
    requests: Any
    sent: Any


def serve(folder: Path, latency_s: float, requests: Any, sent: Any, ready: Any) -> None:
    """Serve a folder, in a process of its own, until that is ended."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            time.sleep(latency_s)
            data = (folder / self.path.partition("?")[0].lstrip("/")).read_bytes()
            wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            first, last = (int(wanted[1]), min(int(wanted[2]), len(data) - 1)) if wanted else (0, len(data) - 1)
            self.send_response(206 if wanted else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(last + 1 - first))
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.end_headers()
            body = b"" if self.command == "HEAD" else data[first : last + 1]
            self.wfile.write(body)
            with requests.get_lock():
                requests.value += 1
                sent.value += len(body)

        def log_message(self, *arguments: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ready.put(server.server_port)
    server.serve_forever()


@contextmanager
def serving(folder: Path, latency_s: float) -> Iterator[Server]:
    """A server of this folder in another process."""
    context = multiprocessing.get_context("spawn")
    requests, sent, ready = context.Value("q", 0), context.Value("q", 0), context.Queue()
    process = context.Process(target=serve, args=(folder, latency_s, requests, sent, ready), daemon=True)
    process.start()
    try:
        yield Server(f"http://127.0.0.1:{ready.get(timeout=60)}", requests, sent)
    finally:
        process.terminate()
        process.join()


def first_row(stored: StoredCollection, _rows: list[int]) -> None:
    """The first row by its number."""
    stored.row_block(0)


def by_key(stored: StoredCollection, rows: list[int]) -> None:
    """A row by its key, with the keys of what it is paired with."""
    stored.row(stored.keys_of(rows[:1])[0])


def random_rows(stored: StoredCollection, rows: list[int]) -> None:
    """Single rows, of a collection that is kept open."""
    with stored.kept_open() as kept:
        for row in rows:
            kept.row_block(row)


def everything(stored: StoredCollection, _rows: list[int]) -> None:
    """All pairs, with their digest checked."""
    stored.to_scipy()


def seconds(function: Callable[[], object]) -> float:
    """Wall time of a call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def download(server: Server, path: Path, target: Path) -> Path:
    """Fetch a file, or all files of a folder, one after the other."""
    names = [path.name] if path.is_file() else [f"{path.name}/{file.name}" for file in LabelFile(path).files()]
    for name in names:
        (target / name).parent.mkdir(exist_ok=True)
        with urllib.request.urlopen(f"{server.url}/{name}") as answer, (target / name).open("wb") as stream:
            shutil.copyfileobj(answer, stream)
    return target / path.name


def bench(path: Path, server: Server, count: int, repeats: int) -> None:
    """Print the table of one file or folder."""
    size = sum(file.stat().st_size for file in LabelFile(path).files())
    stored = LabelFile(path)["city"]
    rows = np.random.default_rng(0).integers(0, len(stored), count).tolist()
    print(f"\n## `{path.name}`: {size / 1e6:,.1f} MB in {len(LabelFile(path).files())} file(s)\n")
    readings = {
        "first row by number": first_row,
        "a row by key": by_key,
        f"{count:,} random rows, kept open": random_rows,
        "all pairs": everything,
    }
    fresh = itertools.count()
    lines = []
    for name, read in readings.items():
        times: dict[str, list[float]] = {"remote": [], "download": [], "local": []}
        for _ in range(repeats):
            before = server.requests.value, server.sent.value
            url = f"{server.url}/{path.name}?{next(fresh)}"  # nothing of which is in memory
            times["remote"].append(seconds(lambda url=url, read=read: read(LabelFile(url)["city"], rows)))
            asked, sent = server.requests.value - before[0], server.sent.value - before[1]
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder)
                times["download"].append(
                    seconds(lambda to=target, read=read: read(LabelFile(download(server, path, to))["city"], rows))
                )
            times["local"].append(seconds(lambda read=read: read(LabelFile(path)["city"], rows)))
        shown = [f"{float(np.median(values)):.3f} s" for values in times.values()]
        lines.append([name, f"{asked:,}", f"{sent / 1e6:,.2f} MB", f"{sent / size:.0%}", *shown])
    table(["reading", "requests", "bytes", "of the file", "from the server", "download first", "from disk"], lines)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=50_000, help="queries; twice as many stored")
    parser.add_argument("--latency-ms", type=float, default=20.0, help="before each answer")
    parser.add_argument("--rows", type=int, default=100, help="rows that are read at random")
    parser.add_argument("--repeats", type=int, default=3, help="how often each is measured")
    arguments = parser.parse_args()
    query, database = synthetic_city(2 * arguments.cameras)
    psi = fov.overlap(query.take(slice(arguments.cameras)), database)
    n, m = psi.shape
    print(f"# Reading from a web server\n\n{machine()}; {arguments.latency_ms:g} ms before each answer; medians")
    print(f"\n{n:,} × {m:,} cameras, {psi.matrix.nnz:,} stored pairs.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = write(folder / "city.h5", {"city": psi})
        shards = pack(folder / "city.labels", dict(LabelFile(file)), shard_pairs=psi.matrix.nnz // 4 + 1)
        with serving(folder, arguments.latency_ms / 1e3) as server:
            for path in (file, shards):
                bench(path, server, arguments.rows, arguments.repeats)


if __name__ == "__main__":
    main()
