"""Response times of the viewer with a large label file: for the map, the first query, and the matches of a click.

python benchmarks/bench_view.py [--cameras 500000] [--a-query 200] [--file LABELS.h5]

The file that it makes is kept where `--file` names it. The parts of the server are measured without a browser; with
Chromium and the package playwright, what a user waits for is measured as well.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, median_seconds

from relabel.cameras import Cameras
from relabel.labelfile import LabelFile, write
from relabel.similarity import Collection, RowBlock

STREETS, STEP_M = 1000, 2.0
CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser")


# By the clock of the page, which starts with the address: when the frame of the map has been handed to the screen.
SEEN = """document.addEventListener("DOMContentLoaded", () => {
    const watch = new MutationObserver(() => {
        if (!document.body.dataset.ready) return;
        watch.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => { document.body.dataset.seen = performance.now(); }));
    });
    watch.observe(document.body, { attributes: true });
})"""


class Streets:
    """Cameras along parallel streets, each of which matches its neighbours of the other side: as many as wanted."""

    def __init__(self, cameras: int, matches: int) -> None:
        self._matches = min(matches, cameras)
        query, database = (self._cameras(cameras, prefix, seed) for seed, prefix in enumerate("qd"))
        extent = np.full(cameras, 1963.5)
        self.collection = Collection(
            query=query,
            database=database,
            query_extent=extent,
            database_extent=extent,
            method="fov-sector",
            measure="iou",
            params={"fov_deg": 90.0, "radius_m": 50.0},
        )

    @staticmethod
    def _cameras(n: int, prefix: str, seed: int) -> Cameras:
        rng = np.random.default_rng(seed)
        along = max(1, n // STREETS)
        row = np.arange(n)
        position = np.column_stack([row % along * STEP_M, row // along * 60.0]) + rng.normal(0.0, 1.0, (n, 2))
        names = np.strings.add(f"{prefix}-camera-of-a-street-", row.astype(np.str_))
        return Cameras(key=names, position=position, heading_deg=rng.choice([90.0, 270.0], n))

    def blocks(self) -> Iterator[RowBlock]:
        """Rows of the same length, whose values fall off with distance along the street."""
        n, m = self.collection.shape[0], self._matches
        away = np.abs(np.arange(m) - m // 2)
        rng = np.random.default_rng(2)
        for first in range(0, n, 10_000):
            rows = np.arange(first, min(first + 10_000, n))
            start = np.clip(rows - m // 2, 0, n - m)
            values = (1.0 - away / (m // 2 + 2)) * rng.uniform(0.5, 1.0, (len(rows), m))
            columns = (start[:, None] + np.arange(m)).astype(np.int32)
            yield RowBlock(first, np.full(len(rows), m), columns.ravel(), values.astype(np.float32).ravel())


def cpu_seconds() -> float:
    """Processor time of this process and all of its children, which does not depend on the load of the machine."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # a process that has just ended
            fields = path.read_text().rpartition(")")[2].split()
            stats[int(path.parent.name)] = int(fields[1]), int(fields[11]) + int(fields[12])
    tree = {os.getpid()}
    while more := {process for process, (parent, _) in stats.items() if parent in tree} - tree:
        tree |= more
    return sum(stats[process][1] for process in tree) / os.sysconf("SC_CLK_TCK")


def browser_figures(url: str) -> dict[str, Any]:
    """Seconds until the map, until the first query, and from a click to its matches; empty without a browser."""
    path = next((path for path in CHROMIUM if Path(path).exists()), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        path = None
    if path is None:
        return {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--enable-unsafe-swiftshader"])
        page = browser.new_page(viewport={"width": 1360, "height": 850})
        page.add_init_script(SEEN)
        spent = cpu_seconds()
        page.goto(url)
        page.wait_for_selector("body[data-seen]", timeout=120_000)
        spent = cpu_seconds() - spent
        page.wait_for_function("!document.querySelector('#sight').textContent.includes('moves')", timeout=120_000)
        shown = float(page.get_attribute("body", "data-seen") or "nan") / 1000
        # Measured in the page: from the key to the list of matches.
        measure = """() => new Promise((resolve) => {
            const start = performance.now(), before = document.body.dataset.query;
            const watch = new MutationObserver(() => {
                if (document.body.dataset.query !== before) { watch.disconnect(); resolve(performance.now() - start); }
            });
            watch.observe(document.body, { attributes: true });
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
        })"""
        page.wait_for_timeout(2000)
        clicks = []
        for _ in range(12):
            clicks.append(page.evaluate(measure) / 1000)
            page.wait_for_timeout(700)
        browser.close()
    return {
        "map": shown,
        "map, processors": spent,
        "first query": shown + clicks[0],
        "click to matches": float(np.median(clicks[1:])),
        "fastest click": min(clicks[1:]),
    }


def main() -> None:
    """Make the file unless it exists, and measure."""
    from relabel.view import server

    parser = argparse.ArgumentParser()
    parser.add_argument("--cameras", type=int, default=50_000, help="of each side")
    parser.add_argument("--a-query", type=int, default=100)
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder) / "labels.h5"
        if not path.exists():
            write(path, {"streets": Streets(arguments.cameras, arguments.a_query)})
        figures: dict[str, Any] = {
            "machine": machine(),
            "load": os.getloadavg()[0],
            "MB": round(path.stat().st_size / 1e6),
        }
        start = time.perf_counter()
        stored = LabelFile(path)["streets"]
        figures |= {"cameras": sum(stored.shape), "pairs": stored.nnz}
        packed = server.Labels([stored]).scene("streets").result()
        figures |= {"cameras read": time.perf_counter() - start, "MB to the page": len(packed) / 1e6}
        start = time.perf_counter()
        stored.row_block(0)
        figures["first row"] = time.perf_counter() - start
        rows = iter(np.random.default_rng(0).integers(stored.shape[0], size=100).tolist())
        figures["row"] = median_seconds(lambda: stored.row_block(next(rows)), repeats=25)
        addresses: list[str] = []
        listening = threading.Event()

        def ready(urls: Sequence[str]) -> None:
            addresses.extend(urls)
            listening.set()

        # A new one, as a new process has it.
        fresh = server.Labels([LabelFile(path)["streets"]])
        threading.Thread(target=server.serve, args=(fresh,), kwargs={"ready": ready}, daemon=True).start()
        listening.wait()
        figures |= browser_figures(addresses[0])
        print(json.dumps(figures, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
