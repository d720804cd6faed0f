"""Whole jobs, CSV files or lists of names to label file, against reading the same and writing the same content alone.

    python benchmarks/bench_pipeline.py [--jobs msls,names] [--cameras 100000] [--turns 5] [--radii 25,50,100]

The floor reads every CSV file, or splits every name, by plain pyarrow and writes the finished arrays by plain h5py with
the same filters and chunks: no projection, no overlap, no checks, no hashes. All take turns in one process. Peak memory
is measured in a separate process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pyarrow.csv
from common import DATA, at_names, machine, synthetic_city, table

import relabel
from relabel.datasets.msls.city import readers
from relabel.datasets.names.lists import reader
from relabel.geometry.projection import project, signed_utm, unproject, utm_zone
from relabel.pipeline.fov_part import FovPart, fov_parts
from relabel.pipeline.parts import estimates
from relabel.pipeline.run import label
from relabel.synthetic.msls import write_tree

CITIES = {
    "amman": (31.95, 35.93),
    "amsterdam": (52.37, 4.90),
    "austin": (30.27, -97.74),
    "bangkok": (13.75, 100.50),
    "berlin": (52.52, 13.40),
    "boston": (42.36, -71.06),
    "budapest": (47.50, 19.04),
    "copenhagen": (55.68, 12.57),
    "helsinki": (60.17, 24.94),
    "london": (51.51, -0.13),
    "manila": (14.60, 120.98),
    "melbourne": (-37.81, 144.96),
    "moscow": (55.75, 37.62),
    "nairobi": (-1.29, 36.82),
    "ottawa": (45.42, -75.70),
    "paris": (48.86, 2.35),
    "san francisco": (37.77, -122.42),
}
"""Latitude and longitude of the cities to which names are copied, in 14 UTM zones."""
BANDS = "CDEFGHJKLMNPQRSTUVWX"
LETTERS = string.ascii_letters + string.digits + "-_"
FILTERS = {"compression": "gzip", "compression_opts": 4, "shuffle": True, "fletcher32": True}


def read_plainly(root: Path) -> None:
    """Every CSV file that labelling reads."""
    for name in ("raw", "postprocessed", "seq_info"):
        for path in sorted(root.glob(f"train_val/*/*/{name}.csv")):
            pyarrow.csv.read_csv(path)


def split_plainly(lists: Sequence[Path]) -> None:
    """All pieces of all names."""
    for path in lists:
        pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(autogenerate_column_names=True),
            parse_options=pyarrow.csv.ParseOptions(delimiter="@"),
        )


def write_names(folder: Path, synthetic: int) -> list[Path]:
    """Lists of `@` names of queries and database: those of SF-XL val, or a synthetic city, copied to all `CITIES`."""
    real = DATA / "sf_xs_val"
    if real.is_dir():
        sides = at_names(real / "queries.txt"), at_names(real / "database.txt")
    else:
        sides = synthetic_city(max(2, synthetic // len(CITIES)))
    rng = np.random.default_rng(0)
    paths = []
    for name, cameras in zip(("queries", "database"), sides, strict=True):
        side = cameras.take(cameras.ok)
        lon, lat = unproject(side.position[:, 0], side.position[:, 1], side.crs).T
        lines: list[str] = []
        for at_lat, at_lon in CITIES.values():
            # Streets as wide as they were, in metres.
            narrower = np.cos(np.radians(lat.mean())) / np.cos(np.radians(at_lat))
            there = at_lon + (lon - lon.mean()) * narrower, at_lat + lat - lat.mean()
            zone, band = utm_zone(at_lon, at_lat), BANDS[int((at_lat + 80.0) // 8.0)]
            metres = project(*there, signed_utm(zone, south=at_lat < 0.0))
            ids = rng.choice(list(LETTERS), (len(side), 22)).view("U22").ravel()
            lines += [
                f"@{east:010.2f}@{north:010.2f}@{zone}@{band}@{y:09.5f}@{x:010.5f}@{name}@@{heading:.0f}@@@@201311@@.jpg"
                for x, y, (east, north), name, heading in zip(*there, metres, ids, side.heading_deg, strict=True)
            ]
        paths.append(folder / f"{name}.txt")
        paths[-1].write_text("".join(f"{line}\n" for line in lines))
    return paths


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
    """Peak memory of the command in bytes, including Python and libraries."""
    code = (
        "import sys; from relabel.cli import main; from relabel.devices import process_peak_bytes\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(process_peak_bytes(), file=sys.stderr)"
    )
    arguments = [sys.executable, "-c", code, "msls", "--root", str(root), "-o", str(output), "--force", "-q", "--json"]
    arguments += ["--radius", str(radius_m)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    json.loads(done.stdout)
    return int(done.stderr.split()[-1])


class Seconds(NamedTuple):
    """The median of some turns."""

    wall: float
    processor: float


def in_turns(ways: Mapping[str, Callable[[], object]], turns: int) -> dict[str, Seconds]:
    """Each way in turn, so that other load on the machine affects all of them.

    Every other turn is backwards: a way takes longer after one that leaves caches, or a processor, cold.
    """
    times: dict[str, list[Seconds]] = {name: [] for name in ways}
    for turn in range(turns):
        for name in list(ways)[:: -1 if turn % 2 else 1]:
            wall, processor = time.perf_counter(), time.process_time()
            ways[name]()
            times[name].append(Seconds(time.perf_counter() - wall, time.process_time() - processor))
    return {name: Seconds(*map(statistics.median, zip(*some, strict=True))) for name, some in times.items()}


def compare(
    command: str, parts: Sequence[FovPart], reading: tuple[str, Callable[[], object]], folder: Path, turns: int
) -> None:
    """Print the time of the job and of reading and writing alone."""
    output = folder / "labels.h5"
    label(parts, output, overwrite=True)  # which compiles what is not compiled yet
    content = content_of(output)
    times = in_turns(
        {
            reading[0]: reading[1],
            "writing the same arrays, plain h5py": lambda: write_plainly(folder / "plain.h5", content),
            f"{command}, all threads": lambda: label(parts, output, overwrite=True),
            f"{command}, compute on one thread": lambda: label(parts, output, overwrite=True, threads=1),
        },
        turns,
    )
    plan = estimates(parts)[0]
    (collection,) = relabel.LabelFile(output).collections()
    size = output.stat().st_size
    print(
        f"{collection.shape[0]:,} × {collection.shape[1]:,} cameras, {plan.candidates:,} candidates, "
        f"{collection.nnz:,} stored pairs, {size:,} bytes ({size / collection.nnz:.1f} a pair)\n"
    )
    floor = [sum(some) for some in zip(*list(times.values())[:2], strict=True)]
    rows = []
    for name, taken in times.items():
        pairs = zip(taken, floor, strict=True)
        rows.append([name, *(text for spent, least in pairs for text in (f"{spent:.2f}", f"{spent / least:.2f}"))])
    table(["what", "seconds", "of the floor", "processor seconds", "of the floor"], rows)
    print(f"\n`--dry-run` says {plan.memory_bytes / 1e6:,.0f} MB of memory and {plan.output_bytes:,} bytes of file.\n")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", default="msls,names", help="which of the two")
    parser.add_argument("--cameras", type=int, default=100_000, help="a side; of names without SF-XL")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--radii", default="25,50,100", help="of msls, in metres, for which peak memory is measured")
    arguments = parser.parse_args()
    print(f"# Whole job, files to file\n\n{machine()}; medians of {arguments.turns} turns\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "msls" in arguments.jobs:
            root = folder / "msls"
            write_tree(root, cameras=arguments.cameras)
            reading = "reading the CSV files, plain pyarrow", lambda: read_plainly(root)
            print("## CSV files\n")
            compare("relabel msls", fov_parts(readers(root, None)[0]), reading, folder, arguments.turns)
            peaks = []
            for radius_m in map(float, arguments.radii.split(",")):
                other = folder / "other.h5"
                peak = peak_memory(root, other, radius_m)
                pairs = relabel.LabelFile(other)["sampletown"].nnz
                peaks.append([f"{radius_m:g} m", f"{pairs:,}", f"{peak / 1e6:,.0f} MB"])
            print("Peak memory of the whole command, by radius:\n")
            table(["radius", "stored pairs", "peak memory"], peaks)
            print()
        if "names" in arguments.jobs:
            lists = write_names(folder, arguments.cameras)
            splitting = "splitting the names, plain pyarrow", lambda: split_plainly(lists)
            print(f"## Lists of names: {len(CITIES)} cities in 14 UTM zones\n")
            parts = fov_parts([reader(*lists, name="cities")])
            compare("relabel names", parts, splitting, folder, arguments.turns)


if __name__ == "__main__":
    main()
