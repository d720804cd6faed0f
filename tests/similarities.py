"""Small similarities made in code, for tests that read label files and for tests that only count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.similarity import Collection, Similarity


def cameras(
    n: int, rng: np.random.Generator, *, prefix: str = "c", spread_m: float = 60.0, faults: bool = True
) -> Cameras:
    """n cameras on a square; whole metres and degrees, so that distances of 25 m and turns of 120° happen exactly."""
    status = np.zeros(n, np.uint8)
    position = np.round(rng.uniform(-spread_m, spread_m, (n, 2))) + np.array([500_000.0, -4_000_000.0])
    heading = np.round(rng.uniform(0.0, 360.0, n) / 30.0) * 30.0
    if faults and n:
        status[rng.random(n) < 0.1] = Status.PANORAMA
        heading[rng.random(n) < 0.1] = np.nan
        position[rng.random(n) < 0.1] = np.nan
    return Cameras(key=[f"{prefix}{i:04d}" for i in range(n)], position=position, heading_deg=heading, status=status)


def on_map(psi: Similarity, crs: str = "EPSG:32636") -> Similarity:
    """The same with positions on the map of a UTM zone."""
    c = psi.collection
    query = replace(c.query, crs=crs)
    database = query if c.self_pairs else replace(c.database, crs=crs)
    return Similarity(replace(c, query=query, database=database), psi.matrix)


def similarity(
    n_query: int = 12,
    n_database: int = 15,
    *,
    seed: int = 0,
    density: float = 0.3,
    self_pairs: bool = False,
    faults: bool = True,
    **fields: Any,
) -> Similarity:
    """A valid similarity with random values, many of them on the edges of bins and bands."""
    rng = np.random.default_rng(seed)
    query = cameras(n_query, rng, prefix="q", faults=faults)
    database = query if self_pairs else cameras(n_database, rng, prefix="d", faults=faults)
    shape = (len(query), len(database))
    values = rng.uniform(0.001, 1.0, shape)
    edge = rng.random(shape) < 0.5
    values[edge] = np.round(values[edge], 1)
    values[(rng.random(shape) >= density) | ~query.ok[:, None] | ~database.ok[None, :]] = 0.0
    if self_pairs:
        values = np.triu(values, 1)
        values = values + values.T
    matrix = sparse.csr_array(values.astype(np.float32))
    matrix.eliminate_zeros()
    matrix.sort_indices()
    collection = Collection(
        query=query,
        database=database,
        query_extent=np.full(len(query), 1963.5),
        database_extent=np.full(len(database), 1963.5),
        method="fov-sector",
        measure="iou",
        params={"fov_deg": 90.0, "radius_m": 50.0},
        self_pairs=self_pairs,
        **fields,
    )
    return Similarity(collection, matrix)
