"""relabel.fov.blocks: some rows computed by themselves are, bit by bit, those of the whole."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relabel import fov
from relabel.cameras import Cameras, Status
from relabel.fov import FovParams, geographic
from relabel.fov.blocks import cut
from relabel.fov.geographic import GeographicOverlap
from relabel.fov.planar import FovOverlap
from relabel.geometry.walls import Walls
from relabel.similarity import gather

PLACE = np.array([700_000.0, 3_100_000.0])


def cameras(rng: np.random.Generator, n: int, prefix: str, **columns: Any) -> Cameras:
    """Cameras in a square of 300 m, a tenth of them without a heading."""
    heading = np.where(rng.random(n) < 0.1, np.nan, rng.uniform(0.0, 360.0, n))
    position = rng.uniform(0.0, 300.0, (n, 2)) + PLACE
    if columns.pop("height", False):
        position = np.column_stack([position, np.where(rng.random(n) < 0.2, np.nan, rng.normal(0.0, 5.0, n))])
    return Cameras([f"{prefix}{i}" for i in range(n)], position, heading, crs="EPSG:32636", **columns)


def own_numbers(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Fields of view and ranges that differ, full circles among them."""
    return {"fov_deg": rng.choice([20.0, 90.0, 250.0, 360.0], n), "radius_m": rng.uniform(0.5, 80.0, n)}


def houses(rng: np.random.Generator) -> Walls:
    """Thirty rectangles."""
    outlines = []
    for _ in range(30):
        (x, y), (w, h) = rng.uniform(0.0, 300.0, 2) + PLACE, rng.uniform(2.0, 40.0, 2)
        outlines.append([[(x, y), (x + w, y), (x + w, y + h), (x, y + h), (x, y)]])
    return Walls.of_lines(outlines, crs="EPSG:32636")


def scene(kind: str, rng: np.random.Generator) -> FovOverlap | GeographicOverlap:
    """A small overlap with everything that its kind depends on."""
    query = cameras(rng, 60, "c")
    database = cameras(rng, 80, "d")
    if kind == "self":
        return fov.source(query, query)
    if kind == "own numbers":
        wide = replace(query, **own_numbers(rng, 60))
        return fov.source(wide, database, FovParams(measure="overlap"))
    if kind == "limits":
        sides = cameras(rng, 60, "c", height=True), cameras(rng, 80, "d", height=True)
        return fov.source(*sides, FovParams(max_height_difference_m=4.0, max_heading_difference_deg=50.0))
    if kind == "polygon":
        return fov.source(query, query, FovParams(shape="polygon", arc=5))
    if kind == "walls":
        return fov.source(query, database, occluders=houses(rng))
    if kind == "walls, self":
        return fov.source(query, query, occluders=houses(rng))
    if kind == "noise of some":
        some = {"heading_sigma_deg": np.where(np.arange(60) < 40, 0.0, 7.0)}
        noisy = replace(query, extra=some)
        return fov.source(noisy, noisy, FovParams(shape=rng.choice(["sector", "polygon"])))
    if kind == "noise":
        return fov.source(query, database, FovParams(heading_sigma_deg=5.0, position_sigma_m=2.0))
    # Around 6° east, where two zones meet, and so wide that there are several tiles.
    reach = 3000.0 if kind == "zones, far" else 50.0
    spread = 0.15 if kind == "zones, far" else 0.002
    places = [np.array([6.0, 51.0]) + rng.uniform(-spread, spread, (len(side), 2)) for side in (query, database)]
    params = FovParams(radius_m=reach)
    if kind == "zones, self":
        return geographic.source(query, query, (places[0], places[0]), params)
    return geographic.source(query, database, (places[0], places[1]), params)


@pytest.mark.parametrize(
    "kind",
    [
        "self",
        "own numbers",
        "limits",
        "polygon",
        "walls",
        "walls, self",
        "noise of some",
        "noise",
        "zones",
        "zones, self",
        "zones, far",
    ],
)
@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), ends=st.sets(st.integers(1, 59), max_size=6))
def test_same_bits(kind: str, seed: int, ends: set[int]) -> None:
    """Values, columns and extents of every block are those of the whole, wherever it is cut."""
    whole = scene(kind, np.random.default_rng(seed))
    collection = whole.collection
    expected = gather(whole).matrix
    row_of = {key: row for row, key in enumerate(collection.database.key.tolist())}
    for first, stop in zip([0, *sorted(ends)], [*sorted(ends), 60], strict=True):
        block = pickle.loads(pickle.dumps(cut(whole, first, stop)))
        source = block.source(threads=1)
        found = gather(source).matrix
        columns = np.array([row_of[key] for key in block.database.key.tolist()], np.int64)
        rows = expected[first:stop]
        assert np.array_equal(found.indptr, rows.indptr)
        assert np.array_equal(columns[found.indices], rows.indices)
        assert np.array_equal(found.data.view(np.uint32), rows.data.view(np.uint32))
        assert source.collection.query.key.tolist() == collection.query.key[first:stop].tolist()
        extents = source.collection.query_extent, source.collection.database_extent
        wanted = collection.query_extent[first:stop], collection.database_extent[columns]
        for extent, of_whole in zip(extents, wanted, strict=True):
            assert np.array_equal(extent, of_whole, equal_nan=True)


class TestDigest:
    """relabel.fov.blocks.FovBlock.digest"""

    def test_only_what_counts(self) -> None:
        """Cameras out of reach do not change it, wherever they stand in the file; one within reach does."""
        rng = np.random.default_rng(5)
        query, database = cameras(rng, 40, "c"), cameras(rng, 60, "d")

        def digest(*added: tuple[float, float], **params: Any) -> str:
            more = Cameras(
                [*[f"new{i}" for i in range(len(added))], *database.key],
                np.concatenate([np.array(added).reshape(-1, 2) + PLACE, database.position]),
                np.concatenate([np.zeros(len(added)), database.heading_deg]),
                status=np.concatenate([np.zeros(len(added), np.uint8), database.status]),
                crs=database.crs,
            )
            return cut(fov.source(query, more, FovParams(**params)), 10, 20).digest()

        before = digest()
        assert digest((5000.0, 0.0), (0.0, -9000.0)) == before
        near = np.flatnonzero(query.status[10:20] == Status.OK)[0] + 10
        assert digest(tuple(query.position[near] - PLACE)) != before
        assert digest(radius_m=51.0) != before

    def test_nothing_around(self) -> None:
        """A block none of whose queries can be labelled is computed as well: no row has a value."""
        rng = np.random.default_rng(6)
        query = replace(cameras(rng, 10, "c"), status=np.full(10, Status.MASKED, np.uint8))
        both = Cameras(
            [*query.key, "ok"],
            np.concatenate([query.position, PLACE[None]]),
            [*query.heading_deg, 0.0],
            status=[*query.status, 0],
            crs=query.crs,
        )
        block = cut(fov.source(both, cameras(rng, 20, "d")), 0, 10)
        assert (len(block.query), len(block.database)) == (10, 0)
        assert gather(block.source()).matrix.nnz == 0
