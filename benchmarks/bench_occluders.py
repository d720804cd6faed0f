"""Fields of view cut by buildings: cost of visibility and overlap against shapely, and effect on labels.

    python benchmarks/bench_occluders.py [--cameras 2000]

On a synthetic city with a closed block of houses between every four streets. shapely subtracts the shadow of every wall
from the polygon of a camera, and intersects what is left of two of them; its polygons for the pairs are ready.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import shapely
from common import machine, median_seconds, table

import relabel
from relabel import fov
from relabel.datasets import footprints
from relabel.datasets.msls import city as msls
from relabel.fov.views import common_origin
from relabel.fov.visibility import visible_regions
from relabel.geometry.walls import Walls
from relabel.jit import threads_set
from relabel.reference.occlusion import Occluders
from relabel.synthetic.msls import BUILDINGS, write_tree

RADIUS_M, FOV_DEG, ARC = 50.0, 90.0, 16
MOST_SEEN, MOST_PAIRS = 100, 2_000  # that shapely is timed on


def city_with_buildings(cameras: int) -> tuple[relabel.Cameras, relabel.Cameras, footprints.Footprints]:
    """Queries and database of a synthetic city, and its buildings in their frame."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_tree(Path(folder) / "msls", cameras=cameras, buildings=True)
        city = msls.read(Path(folder) / "msls", city="sampletown")
        found = footprints.read(path / BUILDINGS).to_crs(city.query.crs)
    return city.query, city.database, found


def bench(query: relabel.Cameras, database: relabel.Cameras, found: footprints.Footprints) -> None:
    """Print the tables."""
    walls: Walls = found.walls()
    origin = common_origin(query, database)
    source = fov.source(query, database, fov.FovParams(arc=ARC), occluders=walls)
    angle = np.full(len(source.query_views), np.deg2rad(FOV_DEG))

    def see() -> object:
        return visible_regions(source.query_polygons, angle, source.query_views.circle, walls, origin)

    scene = Occluders(found.geometry)
    cameras = np.flatnonzero(query.ok)[:MOST_SEEN]

    def seen(side: relabel.Cameras, k: int) -> shapely.Geometry:
        return scene.seen(*side.position[k], side.heading_deg[k], FOV_DEG, RADIUS_M, ARC)

    with threads_set(1):
        ours = median_seconds(see) / len(angle)
    theirs = median_seconds(lambda: [seen(query, k) for k in cameras], repeats=3) / len(cameras)
    print(
        f"\n{len(query):,} × {len(database):,} cameras, {len(walls):,} walls; what is seen of a camera's view has "
        f"{len(source.query_visible.piece) / len(angle):.1f} convex pieces with "
        f"{len(source.query_visible.corner) / len(angle):.1f} corners\n"
    )
    lines = [
        ["what 1,000 cameras see", "shapely, shadow by shadow", f"{theirs * 1e6:,.2f} ms", ""],
        ["", "relabel", f"{ours * 1e6:,.2f} ms", f"{theirs / ours:,.0f}×"],
    ]

    plain = fov.overlap(query, database, shape="polygon", arc=ARC)
    rows, columns = plain.matrix.nonzero()
    place = [np.full(len(side), -1) for side in (query, database)]
    for where, view in zip(place, (source.query_views, source.database_views), strict=True):
        where[view.row] = np.arange(len(view))
    numbers = place[0][rows].astype(np.int32), place[1][columns].astype(np.int32)
    some = np.sort(np.random.default_rng(0).choice(len(rows), min(MOST_PAIRS, len(rows)), replace=False))
    both = []
    for side, wanted in ((query, rows[some]), (database, columns[some])):
        which, again = np.unique(wanted, return_inverse=True)
        places = side.position[:, :2] - origin
        views = [shapely.transform(seen(side, k), lambda p, to=places[k]: p + to) for k in which]
        both.append(np.array(views)[again])
    with threads_set(1):
        ours = median_seconds(lambda: source.areas(*numbers)) / len(rows)
        whole = fov.source(query, database, fov.FovParams(shape="polygon", arc=ARC))
        uncut = median_seconds(lambda: whole.areas(*numbers)) / len(rows)
    theirs = median_seconds(lambda: shapely.area(shapely.intersection(*both)), repeats=3) / len(some)
    lines += [
        ["a pair", "shapely 2, vectorised", f"{theirs * 1e6:,.2f} µs", ""],
        ["", "relabel", f"{ours * 1e6:,.2f} µs", f"{theirs / ours:,.0f}×"],
        ["", "relabel, nothing in the way", f"{uncut * 1e6:,.2f} µs", f"{theirs / uncut:,.0f}×"],
    ]
    table(["what", "by", "one thread", "against shapely"], lines)
    off = np.abs(source.areas(numbers[0][some], numbers[1][some]) - shapely.area(shapely.intersection(*both)))
    print(f"\nlargest difference from shapely on {len(some):,} pairs: {off.max():.1e} m²")
    cut = fov.pair_overlap(query, database, rows, columns, fov.FovParams(arc=ARC), occluders=walls)
    before = fov.pair_overlap(query, database, rows, columns, fov.FovParams(shape="polygon", arc=ARC))
    flips = (before >= 0.5) != (cut >= 0.5)
    print(
        f"of {len(rows):,} pairs that are stored without buildings, {(cut <= 1e-6).mean():.1%} drop to 0 with them, "
        f"{flips.mean():.1%} change sides at 0.5, and ψ changes by {np.abs(cut - before).mean():.3f} on average"
    )


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cameras", type=int, default=2000, help="of the synthetic city, a side")
    arguments = parser.parse_args()
    print(f"# Fields of view cut by buildings\n\n{machine()}, shapely {shapely.__version__}; medians of one run")
    bench(*city_with_buildings(arguments.cameras))


if __name__ == "__main__":
    main()
