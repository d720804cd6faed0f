"""The buildings of a synthetic town: a closed block between every four streets, and nothing in the streets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.geometry.projection import unproject

FloatArray = npt.NDArray[np.float64]

STREET_M = 18.0  # from house to house: what two lanes, parked cars and pavements take
_CORNERS = 8  # a side of a block, so that it bends with its street


def write(
    path: Path, blocks: int, block_m: float, bent: Callable[[FloatArray, FloatArray], tuple[FloatArray, ...]], crs: str
) -> None:
    """Write the blocks of a town as GeoJSON, in longitude and latitude.

    Parameters
    ----------
    path:
        the file.
    blocks:
        how many a side; streets run around all of them.
    block_m:
        from the middle of one street to the next.
    bent:
        leads from the straight grid (x and y, metres) to the places in `crs`, as it does for the streets.
    crs:
        the reference system of those places.
    """
    along = np.linspace(STREET_M / 2.0, block_m - STREET_M / 2.0, _CORNERS)
    low, high = np.full(_CORNERS - 1, along[0]), np.full(_CORNERS - 1, along[-1])
    ring_x = np.concatenate([along[:-1], high, along[:0:-1], low, along[:1]])
    ring_y = np.concatenate([low, along[:-1], high, along[:0:-1], along[:1]])
    corner = np.stack(np.meshgrid(np.arange(blocks), np.arange(blocks)), axis=-1).reshape(-1, 1, 2) * block_m
    east, north = bent((corner[:, :, 0] + ring_x).ravel(), (corner[:, :, 1] + ring_y).ravel())
    rings = np.round(unproject(east, north, crs), 8).reshape(len(corner), -1, 2)
    features = [
        {
            "type": "Feature",
            "properties": {"block": number},
            "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
        }
        for number, ring in enumerate(rings)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}) + "\n", encoding="utf-8")
