"""How far apart the ways of computing a field-of-view label are, on the same near pairs.

    python benchmarks/bench_accuracy.py [--cameras 5000] [--sample 3000]

Pairs are query-database pairs within 100 m, of San Francisco if that list is available, else of a synthetic city; θ =
90°, r = 50 m, measure iou. It shows the accuracy of the oracle, what polygons of few segments change, and what habits
of other tools cost: positions in float32, and a search no farther than one radius. Whether ψ ≥ 0.5 is decided in
float32, as in files: cameras at one place, 30° apart, have exactly 0.5.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from bench_fov import RADIUS_M, pairs_within_reach
from common import DATA, at_names, machine, synthetic_city, table

import relabel
from relabel import fov
from relabel.reference.fov import SEGMENTS, pair_overlap

ARCS = (1, 2, 4, 8, 16, 32, 64)


def row(name: str, values: np.ndarray, exact: np.ndarray) -> list[str]:
    """A row of the table: differences of values from exact ones."""
    difference = np.abs(values - exact)
    flips = int(((values.astype(np.float32) >= 0.5) != (exact.astype(np.float32) >= 0.5)).sum())
    return [name, f"{len(exact):,}", f"{difference.max():.2g}", f"{difference.mean():.2g}", f"{flips:,}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=5_000, help="of the synthetic city, a side")
    parser.add_argument("--sample", type=int, default=3_000, help="pairs for the oracle")
    arguments = parser.parse_args()
    folder = DATA / "sf_xs_val"
    if folder.is_dir():
        what, (query, database) = (
            "San Francisco (SF-XL val, real)",
            (
                at_names(folder / "queries.txt"),
                at_names(folder / "database.txt"),
            ),
        )
    else:
        what, (query, database) = "synthetic city", synthetic_city(arguments.cameras)
    rows, columns = pairs_within_reach(query, database)
    exact = fov.pair_overlap(query, database, rows, columns)
    some = np.sort(np.random.default_rng(0).choice(len(rows), min(arguments.sample, len(rows)), replace=False))
    oracle = pair_overlap(query, database, rows[some], columns[some], radius_m=RADIUS_M)
    lines = [row(f"shapely, {SEGMENTS:,} segments", oracle, exact[some])]
    for arc in ARCS:
        values = fov.pair_overlap(query, database, rows, columns, fov.FovParams(shape="polygon", arc=arc))
        lines.append(row(f"polygon, {arc} segment{'s' * (arc > 1)}", values, exact))
    coarse = [replace(side, position=side.position.astype(np.float32).astype(float)) for side in (query, database)]
    lines.append(row("positions in float32", fov.pair_overlap(*coarse, rows, columns), exact))
    far = np.hypot(*(query.position[rows, :2] - database.position[columns, :2]).T) > RADIUS_M
    lines.append(row("nothing sought beyond one radius", np.where(far, 0.0, exact), exact))
    overlap = fov.pair_overlap(query, database, rows, columns, fov.FovParams(measure="overlap"))
    lines.append(row("another measure: overlap taken for iou", overlap, exact))
    print(f"# Accuracy of field-of-view labels\n\n{machine()}, relabel {relabel.__version__}\n")
    print(f"{what}: {len(rows):,} pairs, {(exact.astype(np.float32) == 0.5).sum():,} of them with ψ = 0.5\n")
    table(["against the exact sector", "pairs", "largest difference", "mean", "on the other side of 0.5"], lines)
    lost = far & (exact > 0.0)
    positive = far & (exact >= 0.5)
    print(f"\nBeyond one radius lie {lost.sum():,} overlapping pairs, {positive.sum():,} of them with ψ ≥ 0.5.")


if __name__ == "__main__":
    main()
