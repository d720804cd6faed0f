"""The whole job, CSV files to label file, against reading the same CSV files and writing the same content alone.

    python benchmarks/bench_pipeline.py [--cameras 100000]

The floor reads every CSV file by plain pyarrow and writes the finished arrays by plain h5py with the same filters and
chunks: no projection, no overlap, no checks, no hashes. Peak memory is that of a process of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import pyarrow.csv
from common import alternating, machine, table

import relabel
from relabel.datasets.msls.city import readers
from relabel.pipeline.fov_part import fov_parts
from relabel.pipeline.parts import estimates
from relabel.pipeline.run import label
from relabel.synthetic.msls import write_tree

RADII_M = (25.0, 50.0, 100.0)
FILTERS = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}


def read_plainly(root: Path) -> None:
    """Every CSV file that labelling reads."""
    for name in ("raw", "postprocessed", "seq_info"):
        for path in sorted(root.glob(f"train_val/*/*/{name}.csv")):
            pyarrow.csv.read_csv(path)


def write_plainly(path: Path, content: dict[str, object]) -> None:
    """All arrays of a label file by plain h5py."""
    with h5py.File(path, "w") as file:
        for name, (array, options) in content.items():
            file.create_dataset(name, data=array, **options)


def content_of(path: Path) -> dict[str, object]:
    """Every array of a label file with its storage options."""
    found: dict[str, object] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim:
            chunks = item.chunks and tuple(map(min, item.chunks, item.shape))
            options = {"chunks": chunks, **FILTERS} if item.compression else {}
            found[name] = (item[()], options)

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def peak_memory(root: Path, output: Path, radius_m: float = 50.0) -> int:
    """Bytes that the command takes at the most, its own process and libraries included."""
    code = (
        "import resource, sys; from relabel.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "unit = 1 if sys.platform == 'darwin' else 1024\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, file=sys.stderr)"
    )
    arguments = [sys.executable, "-c", code, "msls", "--root", str(root), "-o", str(output), "--force", "-q", "--json"]
    arguments += ["--radius", str(radius_m)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    json.loads(done.stdout)
    return int(done.stderr.split()[-1])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=100_000, help="a side")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tree(folder / "msls", cameras=arguments.cameras)
        parts = fov_parts(readers(folder / "msls", None)[0])
        output = folder / "labels.h5"
        label(parts, output, overwrite=True)
        content = content_of(output)
        reading, writing, whole, single = alternating(
            {
                "read": lambda: read_plainly(folder / "msls"),
                "write": lambda: write_plainly(folder / "plain.h5", content),
                "whole": lambda: label(parts, output, overwrite=True),
                "single": lambda: label(parts, output, overwrite=True, threads=1),
            }
        ).values()
        peaks = []
        for radius_m in RADII_M:
            other = folder / "other.h5"
            peak = peak_memory(folder / "msls", other, radius_m)
            pairs = relabel.LabelFile(other)["sampletown"].nnz
            peaks.append([f"{radius_m:g} m", f"{pairs:,}", f"{peak / 1e6:,.0f} MB"])
        plan = estimates(parts)[0]
        collection = relabel.LabelFile(output)["sampletown"]
        size = output.stat().st_size
        print(f"# Whole job, CSV to file\n\n{machine()}; medians of one run\n")
        print(
            f"{collection.shape[0]:,} × {collection.shape[1]:,} cameras, {plan.candidates:,} candidates, "
            f"{collection.nnz:,} stored pairs, {size:,} bytes ({size / collection.nnz:.1f} a pair)\n"
        )
        floor = reading + writing
        table(
            ["what", "seconds", "of the floor"],
            [
                ["reading the CSV files, plain pyarrow", f"{reading:.2f}", f"{reading / floor:.2f}"],
                ["writing the same arrays, plain h5py", f"{writing:.2f}", f"{writing / floor:.2f}"],
                ["relabel msls, all threads", f"{whole:.2f}", f"{whole / floor:.2f}"],
                ["relabel msls, compute on one thread", f"{single:.2f}", f"{single / floor:.2f}"],
            ],
        )
        print(
            f"\n`--dry-run` says {plan.memory_bytes / 1e6:,.0f} MB of memory and {plan.output_bytes:,} bytes of file.\n"
            "Peak memory of the whole command, by radius:\n"
        )
        table(["radius", "stored pairs", "peak memory"], peaks)


if __name__ == "__main__":
    main()
