"""How much of their view the usual positives of place recognition, images within 25 m, share with the query.

    python benchmarks/case_for_graded.py [QUERIES DATABASE] [--near 25] [--fov 90] [--radius 50]

QUERIES and DATABASE are lists or folders of `@` file names with headings, by default those of SF-XL val. A pair that is
within 25 m counts as positive by distance; the table says how many of these pairs have fields of view that do not
overlap at all (ψ = 0), by the difference of their headings.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np
from common import DATA, table
from scipy.spatial import cKDTree

import relabel
from relabel import fov
from relabel.datasets.names import lists
from relabel.errors import RelabelError
from relabel.geometry.headings import difference_deg

EDGES_DEG = (0, 30, 60, 90, 120, 150, 180)


def near_pairs(query: relabel.Cameras, database: relabel.Cameras, near_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Row and column numbers of the pairs of two ok cameras within a distance."""
    of_query, of_database = (np.flatnonzero(side.ok) for side in (query, database))
    trees = (cKDTree(side.position[ok, :2]) for side, ok in ((query, of_query), (database, of_database)))
    found = next(trees).query_ball_tree(next(trees), near_m)
    rows = np.repeat(of_query, [len(columns) for columns in found])
    return rows, of_database[np.array([column for columns in found for column in columns], dtype=np.int64)]


def row(name: str, psi: np.ndarray, whole: int) -> list[str]:
    """A row of the table: what the pairs of a bin share."""

    def share(count: int, of: int) -> str:
        return f"{100 * count / of:.1f} %" if of else "–"

    none = int((psi == 0.0).sum())
    strong = int((psi >= 0.5).sum())
    median = f"{np.median(psi):.3f}" if len(psi) else "–"
    shares = share(len(psi), whole), share(none, len(psi)), share(strong, len(psi))
    return [name, f"{len(psi):,}", shares[0], f"{none:,}", shares[1], median, shares[2]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    folder = DATA / "sf_xs_val"
    parser.add_argument("queries", type=Path, nargs="?", default=folder / "queries.txt")
    parser.add_argument("database", type=Path, nargs="?", default=folder / "database.txt")
    parser.add_argument("--near", type=float, default=25.0, help="metres up to which a pair counts as positive")
    parser.add_argument("--fov", type=float, default=90.0, help="field of view, degrees")
    parser.add_argument("--radius", type=float, default=50.0, help="range of a field of view, metres")
    arguments = parser.parse_args()
    try:
        found = lists.read(arguments.queries, arguments.database)
    except RelabelError as error:
        parser.error(str(error))
    # What this compares are places and headings on the map of one zone.
    if not found.query.crs.startswith(("EPSG:326", "EPSG:327")):
        parser.error("the names are in several UTM zones; give one zone")
    rows, columns = near_pairs(found.query, found.database, arguments.near)
    psi = fov.pair_overlap(
        found.query, found.database, rows, columns, fov.FovParams(fov_deg=arguments.fov, radius_m=arguments.radius)
    )
    apart = np.abs(difference_deg(found.query.heading_deg[rows], found.database.heading_deg[columns]))
    # The last bin holds opposite headings.
    bins = np.minimum(np.searchsorted(EDGES_DEG, apart, side="right") - 1, len(EDGES_DEG) - 2)
    lines = [
        row(f"[{low}°, {high}°{']' if high == 180 else ')'}", psi[bins == number], len(psi))
        for number, (low, high) in enumerate(itertools.pairwise(EDGES_DEG))
    ]
    lines.append(row("all", psi, len(psi)))
    print(
        f"{len(found.query):,} queries, {len(found.database):,} database images, {len(psi):,} pairs within "
        f"{arguments.near:g} m; θ = {arguments.fov:g}°, r = {arguments.radius:g} m, measure iou\n"
    )
    head = ["headings differ by", "pairs", "share of all", "ψ = 0", "share ψ = 0", "median ψ", "share ψ ≥ 0.5"]
    table(head, lines)


if __name__ == "__main__":
    main()
