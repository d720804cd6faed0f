"""Field-of-view overlap against its peers, on the same pairs in one run: real San Francisco, and a synthetic city.

    python benchmarks/bench_fov.py [--cameras 20000]

Pairs are all query-database pairs within twice the radius; candidates are those that relabel's search finds. `shapely`
is what re-implementations do: a polygon of apex and 32 arc segments per camera, and one intersection per pair. Building
the polygons of peers is not timed; the lines "whole call" include relabel's own preparation, the search for pairs and
the sparse matrix. Tables "in turns" time one call of each in every round, so that the load of the machine affects all
alike; ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import shapely
from common import DATA, alternating_seconds, at_names, machine, median_seconds, synthetic_city, table
from scipy.spatial import cKDTree

import relabel
from relabel import fov
from relabel.fov.candidates import candidate_pairs
from relabel.jit import threads_set
from relabel.reference.fov import field_of_view

SEGMENTS = 32
RADIUS_M = 50.0
NEAR_M = 25.0
MOST_SHAPELY = 100_000  # pairs that shapely is timed on
MOST_LOOPED = 3_000
SHAPELY_IN_TURNS = 20_000
MOST_PAIRS = 4_000_000
DENSE_COPIES = 22  # of each position: 39 million candidates


def pairs_within_reach(query: relabel.Cameras, database: relabel.Cameras) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of every pair of OK cameras within twice the radius, in order."""
    left, right = np.flatnonzero(query.ok), np.flatnonzero(database.ok)
    trees = cKDTree(query.position[left, :2]), cKDTree(database.position[right, :2])
    near = trees[0].query_ball_tree(trees[1], 2 * RADIUS_M)
    rows = np.repeat(left, [len(n) for n in near])
    columns = right[np.concatenate([np.sort(n) for n in near if n]).astype(np.int64)]
    return rows, columns


def polygons(cameras: relabel.Cameras) -> np.ndarray:
    """One shapely polygon per camera, relative to the first camera so that no digits are lost."""
    xy = cameras.position[:, :2]
    return np.array(
        [
            field_of_view(x, y, h, 90.0, RADIUS_M, SEGMENTS) if ok else None
            for (x, y), h, ok in zip(xy, cameras.heading_deg, cameras.ok, strict=True)
        ],
        dtype=object,
    )


def shapely_overlap(a: np.ndarray, b: np.ndarray, threads: int) -> np.ndarray:
    """IoU of pairs of polygons by vectorised shapely, in one share per thread."""

    def share(span: slice) -> np.ndarray:
        common = shapely.area(shapely.intersection(a[span], b[span]))
        return common / (shapely.area(a[span]) + shapely.area(b[span]) - common)

    if threads == 1:
        return share(slice(None))
    edges = np.linspace(0, len(a), threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        spans = [slice(*ends) for ends in itertools.pairwise(edges)]
        return np.concatenate(list(pool.map(share, spans)))


def looped(query: relabel.Cameras, database: relabel.Cameras, rows: np.ndarray, columns: np.ndarray) -> list[float]:
    """One pair at a time, with its polygons built each time, as re-implementations do."""
    values = []
    for i, j in zip(rows, columns, strict=True):
        left, right = (
            field_of_view(*side.position[k, :2], side.heading_deg[k], 90.0, RADIUS_M, SEGMENTS)
            for side, k in ((query, i), (database, j))
        )
        common = left.intersection(right).area
        values.append(common / (left.area + right.area - common))
    return values


def relabel_areas(query: relabel.Cameras, database: relabel.Cameras, pairs: tuple, threads: int, **options) -> Callable:
    """The kernel alone on prepared fields of view, like the peers."""
    source = fov.source(query, database, fov.FovParams(**options), threads=threads)
    place = [np.full(len(side), -1) for side in (query, database)]
    for where, view in zip(place, (source.query_views, source.database_views), strict=True):
        where[view.row] = np.arange(len(view))
    rows, columns = (where[number].astype(np.int32) for where, number in zip(place, pairs, strict=True))

    def run() -> np.ndarray:
        with threads_set(threads):
            return source.areas(rows, columns)

    return run


def bench(title: str, query: relabel.Cameras, database: relabel.Cameras) -> None:
    """Print one table."""
    rows, columns = pairs_within_reach(query, database)
    count = len(rows)
    some = (
        np.arange(count)
        if count <= MOST_SHAPELY
        else np.sort(np.random.default_rng(0).choice(count, MOST_SHAPELY, replace=False))
    )
    origin = np.round(query.position[query.ok].mean(axis=0))
    moved = [
        relabel.Cameras(c.key, c.position - origin, heading_deg=c.heading_deg, status=c.status)
        for c in (query, database)
    ]
    a, b = polygons(moved[0])[rows[some]], polygons(moved[1])[columns[some]]
    few = slice(0, MOST_LOOPED)
    one_by_one = (*moved, rows[few], columns[few])

    def each(function: Callable[[], object], pairs: int) -> float:
        return median_seconds(function) / pairs

    found = {
        ("shapely, a pair at a time", 1): median_seconds(lambda: looped(*one_by_one), repeats=3) / len(rows[few]),
        ("shapely 2, vectorised", 1): median_seconds(lambda: shapely_overlap(a, b, 1), repeats=3) / len(a),
        ("shapely 2, vectorised", 2): median_seconds(lambda: shapely_overlap(a, b, 2), repeats=3) / len(a),
    }
    for threads in (1, 2):
        exact = relabel_areas(query, database, (rows, columns), threads)
        clipped = relabel_areas(query, database, (rows, columns), threads, shape="polygon", arc=SEGMENTS)
        found["relabel sector, the same pairs", threads] = each(exact, count)
        found["relabel polygon, the same pairs", threads] = each(clipped, count)
        found["relabel sector, whole call", threads] = each(
            lambda t=threads: fov.overlap(query, database, threads=t), count
        )
    reference = fov.pair_overlap(query, database, rows[some], columns[some])
    worst = np.abs(shapely_overlap(a, b, 2) - reference).max()
    peer = {threads: found["shapely 2, vectorised", threads] for threads in (1, 2)}
    loop = found["shapely, a pair at a time", 1]
    print(
        f"\n## {title}\n\n{len(query):,} × {len(database):,} cameras, {count:,} pairs within {2 * RADIUS_M:g} m, "
        f"{(reference > 1e-6).mean():.0%} of them overlap; 32-gons differ from sectors by up to {worst:.4f}\n"
    )
    near = np.hypot(*(query.position[rows] - database.position[columns]).T) <= NEAR_M
    values = fov.pair_overlap(query, database, rows[near], columns[near])
    print(
        f"of {near.sum():,} pairs within {NEAR_M:g} m, {(values == 0.0).sum():,} ({(values == 0.0).mean():.0%}) share "
        f"no view and {(values < 0.5).mean():.0%} have ψ < 0.5\n"
    )
    lines = []
    for (name, threads), seconds in found.items():
        lines.append(
            [
                name,
                str(threads),
                f"{seconds * 1e9:,.0f} ns",
                f"{peer[threads] / seconds:,.1f}×",
                f"{peer[1] / seconds:,.1f}×",
                f"{loop / seconds:,.0f}×",
            ]
        )
    table(
        [
            "what",
            "threads",
            "a pair",
            "against shapely 2, same threads",
            "against shapely 2, one thread",
            "against a pair at a time",
        ],
        lines,
    )


def dense(folder: Path, copies: int) -> tuple[relabel.Cameras, relabel.Cameras]:
    """The real positions of a folder, each `copies` times, with random headings."""
    sides = []
    for seed, name in enumerate(("queries.txt", "database.txt")):
        place = np.repeat(at_names(folder / name).position, copies, axis=0)
        heading = np.random.default_rng(seed).uniform(0.0, 360.0, len(place))
        sides.append(relabel.Cameras([str(k) for k in range(len(place))], place, heading_deg=heading))
    return sides[0], sides[1]


def bench_goals(title: str, query: relabel.Cameras, database: relabel.Cameras) -> None:
    """Print the kernel of polygons and the whole call of sectors beside shapely, in turns."""
    source = fov.source(query, database)
    candidates = source.candidates()
    rows, columns = pairs_within_reach(query, database) if candidates < MOST_PAIRS else _some_pairs(source)
    some = np.sort(np.random.default_rng(0).choice(len(rows), min(SHAPELY_IN_TURNS, len(rows)), replace=False))
    origin = np.round(query.position[query.ok].mean(axis=0))
    moved = [
        relabel.Cameras(c.key, c.position - origin, heading_deg=c.heading_deg, status=c.status)
        for c in (query, database)
    ]
    a, b = polygons(moved[0])[rows[some]], polygons(moved[1])[columns[some]]
    kernels = {
        threads: relabel_areas(query, database, (rows, columns), threads, shape="polygon", arc=SEGMENTS)
        for threads in (1, 2)
    }
    calls: dict[str, tuple[Callable[[], object], int]] = {
        "shapely 2, 1 thread": (lambda: shapely_overlap(a, b, 1), len(a)),
        "shapely 2, 2 threads": (lambda: shapely_overlap(a, b, 2), len(a)),
        "relabel polygon, the same pairs, 1 thread": (kernels[1], len(rows)),
        "relabel polygon, the same pairs, 2 threads": (kernels[2], len(rows)),
        "relabel sector, whole call, 1 thread": (lambda: fov.overlap(query, database, threads=1), candidates),
        "relabel sector, whole call, 2 threads": (lambda: fov.overlap(query, database, threads=2), candidates),
    }
    times = alternating_seconds({name: call for name, (call, _) in calls.items()})
    each = {name: [t / calls[name][1] * 1e9 for t in own] for name, own in times.items()}
    one, two = (np.array(each[f"shapely 2, {threads}"]) for threads in ("1 thread", "2 threads"))
    print(
        f"\n## {title}\n\n{len(query):,} × {len(database):,} cameras, {candidates:,} candidates, "
        f"{len(rows):,} pairs within {2 * RADIUS_M:g} m\n"
    )
    table(
        ["what", "median", "best", "against shapely on 1 thread", "against shapely on 2"],
        [
            [
                name,
                f"{np.median(own):,.0f} ns",
                f"{min(own):,.0f} ns",
                *(f"{np.median(peer / np.array(own)):,.0f}×" for peer in (one, two)),
            ]
            for name, own in each.items()
        ],
    )


def _some_pairs(source: fov.FovOverlap) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of the first queries, as rows and columns of the cameras: as many pairs as shapely can handle."""
    stop = int(np.searchsorted(np.cumsum(source._grid.bounds), MOST_PAIRS))  # noqa: SLF001
    pairs = candidate_pairs(source._grid, 0, stop)  # noqa: SLF001
    return source.query_views.row[pairs.rows], source.database_views.row[pairs.columns]


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=20_000, help="of the synthetic city, a side")
    arguments = parser.parse_args()
    print(f"# Field-of-view overlap\n\n{machine()}, shapely {shapely.__version__}; medians of one run")
    folder = DATA / "sf_xs_val"
    city = synthetic_city(arguments.cameras)
    if folder.is_dir():
        bench_goals("San Francisco, in turns", at_names(folder / "queries.txt"), at_names(folder / "database.txt"))
        bench_goals("San Francisco made dense, in turns", *dense(folder, DENSE_COPIES))
    bench_goals("Synthetic city, in turns", *city)
    if folder.is_dir():
        bench("San Francisco (SF-XL val, real)", at_names(folder / "queries.txt"), at_names(folder / "database.txt"))
    bench("Synthetic city", *city)


if __name__ == "__main__":
    main()
