"""Cameras that stand in few places, and the matrices of what they share, for the recipes of golden files."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from relabel.cameras import Cameras, Status

PLACES = {"market": (776_000.0, 3_538_000.0), "station": (776_500.0, 3_538_000.0), "hill": (776_000.0, 3_538_500.0)}
Row = tuple[str, str | None, float, Status]


def street(rows: list[Row], **columns: Any) -> Cameras:
    """Cameras from key, place, heading and status."""
    return Cameras(
        key=[key for key, *_ in rows],
        position=[PLACES[place] if place else (math.nan, math.nan) for _, place, *_ in rows],
        heading_deg=[heading for *_, heading, _ in rows],
        status=[status for *_, status in rows],
        crs="EPSG:32636",
        **columns,
    )


def pairs(query: Cameras, database: Cameras, psi: Callable[[int, int], float]) -> sparse.csr_array:
    """The matrix of psi(i, j) for all pairs of ok cameras, without zeros and without a camera paired with itself."""
    dense = np.zeros((len(query), len(database)), np.float32)
    for i in np.flatnonzero(query.ok):
        for j in np.flatnonzero(database.ok):
            if query is not database or i != j:
                dense[i, j] = psi(int(i), int(j))
    return sparse.csr_array(dense)


def turn(query: Cameras, database: Cameras, i: int, j: int) -> float:
    """The angle between two cameras of one place in degrees; infinite between places."""
    if not np.array_equal(query.position[i], database.position[j]):
        return math.inf
    return abs((query.heading_deg[i] - database.heading_deg[j] + 180.0) % 360.0 - 180.0)
