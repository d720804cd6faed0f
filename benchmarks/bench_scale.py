"""Growth of time and memory of `relabel table` with the number of cameras, and their estimates by `--dry-run`.

    python benchmarks/bench_scale.py [--cameras 100000,1000000] [--folder DIR]

Synthetic street data: a square grid of streets 100 m apart with an image every 5 m, once as queries and once, on
another drive, as database. The area grows with the number of images, so that each has about as many matches at every
size. Both sides are folders of Parquet files with longitude and latitude, keys of 22 letters and headings. Every run
is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from common import machine, table
from pyarrow import parquet

BLOCK_M, STEP_M = 100.0, 5.0
SHARD = 1_000_000
"""Cameras a file."""
LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", np.uint8)
COMMAND = """
import sys, time
from relabel.cli import main
from relabel.devices import process_peak_bytes
start = time.perf_counter()
try:
    main()
except SystemExit as end:
    if end.code:
        raise
seconds = time.perf_counter() - start
print(f"{process_peak_bytes()} {seconds} {time.process_time()}", file=sys.stderr)
"""


def write_side(folder: Path, cameras: int, seed: int) -> None:
    """One side as a folder of Parquet files, in drives along one street after the other."""
    rng = np.random.default_rng(seed)
    # A block of the grid has two of its edges to itself, east and north of its corner.
    across = max(1, int(np.ceil(np.sqrt(cameras * STEP_M / (2.0 * BLOCK_M)))))
    a_street = int(across * BLOCK_M / STEP_M)
    for number, start in enumerate(range(0, cameras, SHARD)):
        row = np.arange(start, min(start + SHARD, cameras))
        street, along = row // a_street, (row % a_street) * STEP_M + rng.normal(0.0, 1.0, len(row))
        east_west = street % 2 == 0
        beside = street // 2 * BLOCK_M + rng.normal(0.0, 1.5, len(row))
        x, y = np.where(east_west, along, beside), np.where(east_west, beside, along)
        back = rng.random(len(row)) < 0.5
        heading = np.where(east_west, 90.0, 0.0) + 180.0 * back + rng.normal(0.0, 5.0, len(row))
        letters = LETTERS[rng.integers(64, size=(len(row), 22), dtype=np.uint8)]
        columns = {
            "key": letters.view("S22").ravel().astype("U22"),
            "lon": 11.0 + x / 74_500.0,
            "lat": 48.0 + y / 111_200.0,
            "heading": heading % 360.0,
        }
        part = folder / f"part={number:03d}"
        part.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pa.table(columns), part / "cameras.parquet", row_group_size=SHARD // 8)


def run(*arguments: str) -> tuple[dict[str, Any], int, float, float]:
    """JSON output of the command, its peak memory in bytes, wall time and processor time in seconds."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "table", *arguments, "--json", "--no-progress", "-q"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    peak, seconds, processor = done.stderr.split()[-3:]
    return json.loads(done.stdout), int(peak), float(seconds), float(processor)


def measure(folder: Path, cameras: int) -> dict[str, float]:
    """Cost of a run with so many cameras per side, and the estimates of a dry run."""
    sides = [folder / "queries", folder / "database"]
    for seed, side in enumerate(sides):
        if not side.exists():
            write_side(side, cameras, seed)
    paths = [str(side) for side in sides]
    said, *_ = run(*paths, "--dry-run")
    (plan,) = said["collections"]
    output = folder / "labels.h5"
    made, peak, seconds, processor = run(*paths, "-o", str(output), "--name", "scale", "--force")
    (collection,) = made["collections"]
    size = output.stat().st_size
    output.unlink()
    return {
        "cameras": cameras,
        "pairs": collection["nnz"],
        "bytes": size,
        "peak": peak,
        "seconds": seconds,
        "processor": processor,
        "said_bytes": plan["output_bytes"],
        "said_peak": plan["memory_bytes"],
        "said_seconds": plan["seconds"],
    }


def fit(rows: list[dict[str, float]], value: str, by: str) -> tuple[float, float]:
    """Constant and slope of a straight line, with the least relative errors."""
    x, y = (np.array([row[name] for row in rows]) for name in (by, value))
    design = np.column_stack([np.ones(len(x)), x]) / y[:, np.newaxis]
    constant, slope = np.linalg.lstsq(design, np.ones(len(x)), rcond=None)[0]
    return float(constant), float(slope)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", default="100000,1000000", help="a side, several with commas between")
    parser.add_argument("--folder", type=Path, help="where the data is, or is written and stays; by default nowhere")
    arguments = parser.parse_args()
    sizes = [int(text) for text in arguments.cameras.split(",")]
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name)
        write_side(folder / "first", min(1000, *sizes), 0)
        run(str(folder / "first"), "-o", str(folder / "first.h5"), "--force")  # compiles the kernels
        rows = [measure(folder / str(size), size) for size in sizes]
    print(f"# Time and memory by the number of cameras\n\n{machine()}; one run each\n")
    table(
        ["cameras a side", "stored pairs", "file", "seconds", "processor seconds", "µs of it a pair", "peak memory"],
        [
            [
                f"{row['cameras']:,}",
                f"{row['pairs']:,}",
                f"{row['bytes'] / 1e6:,.0f} MB",
                f"{row['seconds']:.1f}",
                f"{row['processor']:.1f}",
                f"{1e6 * row['processor'] / max(1, row['pairs']):.2f}",
                f"{row['peak'] / 1e6:,.0f} MB",
            ]
            for row in rows
        ],
    )
    print("\nWhat `--dry-run` says, relative to what was used:\n")
    table(
        ["cameras a side", "memory", "time", "file"],
        [
            [
                f"{row['cameras']:,}",
                *(f"{row[f'said_{name}'] / row[name]:.2f}" for name in ("peak", "seconds", "bytes")),
            ]
            for row in rows
        ],
    )
    if len(rows) > 1:
        start, a_pair = fit(rows, "processor", "pairs")
        base, a_camera = fit(rows, "peak", "cameras")
        print(
            f"\nFit: {start:.1f} s + {1e6 * a_pair:.2f} µs of processor time a stored pair; "
            f"{base / 1e6:,.0f} MB + {a_camera / 2:,.0f} bytes a camera."
        )


if __name__ == "__main__":
    main()
