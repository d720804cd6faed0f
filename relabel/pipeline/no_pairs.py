"""Why a collection holds no pairs, as far as its cameras show."""

from __future__ import annotations

from typing import Any

import numpy as np

from relabel.cameras import Cameras
from relabel.geometry.earth import points
from relabel.similarity import Collection


def explanation(collection: Collection) -> str:
    """An explanation for a collection without a single pair: how near its cameras are, and what to check."""
    c = collection
    stored = f"no pair has a ψ above {c.min_value:g}, so the collection holds no pairs"
    if c.self_pairs and np.count_nonzero(c.query.ok) < 2:
        return f"{stored}: only one camera can be labelled"
    if not (c.query.ok.any() and c.database.ok.any()):
        return f"{stored}: no camera of one side can be labelled"
    nearest_m = _nearest_m(c)
    near = f"the nearest two cameras are {_metres(nearest_m)} apart"
    if not c.method.startswith("fov"):
        return (
            f"{stored}, though depth maps and poses could be read: {near}; check that all poses are in one world and "
            "in metres, and that depth maps have the unit that was assumed (`relabel audit`)"
        )
    reach_m = sum(_longest_m(side, c.params.get("radius_m", np.inf)) for side in (c.query, c.database))
    if nearest_m >= reach_m:
        return (
            f"{stored}: {near}, and two fields of view reach {_metres(reach_m)} at most; check that positions of both "
            "sides are on one map and in metres, or use a larger range (radius_m=…)"
        )
    return (
        f"{stored}, though {near}: their fields of view do not meet; check the headings (`relabel headings`), and the "
        "limits of pairs (max_heading_difference_deg=…, max_height_difference_m=…, occluders=…, min_value=…)"
    )


def _nearest_m(c: Collection) -> float:
    """The least distance of two different cameras that can be labelled, metres."""
    from scipy.spatial import cKDTree  # noqa: PLC0415  slow to load, and rarely needed

    query = points(c.query, c.params)[c.query.ok]
    database = points(c.database, c.params)[c.database.ok]
    distance, _ = cKDTree(database).query(query, k=[2] if c.self_pairs else [1])
    return float(np.min(distance))


def _longest_m(cameras: Cameras, radius_m: Any) -> float:
    """The longest range of the cameras, metres; `radius_m` is that of cameras without a range of their own."""
    return float(radius_m) if cameras.radius_m is None else float(cameras.radius_m[cameras.ok].max())


def _metres(value: float) -> str:
    return (
        f"{value / 1000.0:,.0f} km" if value >= 10_000.0 else f"{value:,.0f} m" if value >= 100.0 else f"{value:.3g} m"
    )
