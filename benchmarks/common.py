"""Shared by the benchmarks: timing that is robust to noise, a description of the machine, and the path of real data."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

import relabel
from relabel.cores import available_cores

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("RELABEL_DATA", REPOSITORY.parent / "shared" / "data"))


def median_seconds(function: Callable[[], object], *, repeats: int = 7) -> float:
    """Median wall time of a call, seconds, after one call as warm-up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def alternating(ways: Mapping[str, Callable[[], object]], *, repeats: int = 5) -> dict[str, float]:
    """Median wall time of each, seconds, all taking turns after a warm-up round, so that load affects all alike."""
    times = alternating_seconds(ways, repeats=repeats)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def alternating_seconds(ways: Mapping[str, Callable[[], object]], *, repeats: int = 7) -> dict[str, list[float]]:
    """All wall times that `alternating` takes the medians of."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def machine() -> str:
    """Processor and versions, without anything that names the machine."""
    told = Path("/proc/cpuinfo")  # on Linux alone
    lines = told.read_text().splitlines() if told.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.machine())
    return f"{model}, {available_cores()} cores, Python {platform.python_version()}, numpy {np.__version__}"


def at_names(path: Path) -> relabel.Cameras:
    """Cameras of a list of `@` file names: 1 east, 2 north, 9 heading."""
    lines = path.read_text().split()
    fields = [line.rsplit("/", 1)[-1].split("@") for line in lines]
    return relabel.Cameras(
        key=lines,
        position=[[float(f[1]), float(f[2])] for f in fields],
        heading_deg=[float(f[9]) for f in fields],
        crs="EPSG:32610",
    )


def synthetic_city(cameras: int, seed: int = 0) -> tuple[relabel.Cameras, relabel.Cameras]:
    """Queries and database of a city of streets, read from the files of `relabel sample msls`."""
    import tempfile

    from relabel.datasets.msls import city as msls
    from relabel.synthetic.msls import write_tree

    with tempfile.TemporaryDirectory() as folder:
        write_tree(Path(folder) / "msls", cameras=cameras, seed=seed)
        city = msls.read(Path(folder) / "msls", city="sampletown")
    return city.query, city.database


def table(head: list[str], rows: list[list[str]]) -> None:
    """Print a Markdown table."""
    widths = [max(len(line[i]) for line in [head, *rows]) for i in range(len(head))]
    for line in [head, ["-" * w for w in widths], *rows]:
        print("| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |")
