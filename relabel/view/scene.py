"""Drawing data of a collection for the page: its cameras as columns, and a description in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.display import parameters
from relabel.errors import OptionError
from relabel.exclusion import SEQUENCE, Exclusion
from relabel.geometry.earth import LAT, LON, is_geodesic, points
from relabel.geometry.ground import ground_of
from relabel.labelfile import StoredCollection
from relabel.view.base_map import placement

_FOV_DEG, _RADIUS_M = 60.0, 25.0  # of a drawn field of view, where the labels know none

Arrays = dict[str, npt.NDArray[Any]]


class Scene(NamedTuple):
    """The cameras of a collection for the page."""

    arrays: Arrays
    """columns by side and name: `map` (n, 2) float64, metres right and up on the map; `at` (n, 3) float64, straight
    distances between which are those of the labels, where those on the map are not; `heading` (n,) float32, degrees
    clockwise from up; `true_heading` (n,) float32, headings of labels that count from true north, which is not up;
    `facing` and `down` (n, 3) float32, the optical axes of poses and their axes down the image;
    `fov`, `radius` (n,) float32; `status` (n,) uint8;
    `sequence` (n,) int32, numbers of `sequences`"""
    value: dict[str, Any]
    """single values, as JSON"""


def scene(stored: StoredCollection, *, base_map: bool = False) -> Scene:
    """The cameras of a collection as the page draws them.

    Cameras with poses are compared in space, and drawn from the side of the axis that is nearest to their vertical;
    all others are compared on the ground and drawn as a map with north up. With `base_map`, it says where the tiles of
    a base map lie (see `relabel.view.base_map.placement`), or why there is none.
    """
    query, database = stored.numbered_cameras((SEQUENCE, LON, LAT))
    sides = {"queries": query} if stored.self_pairs else {"queries": query, "database": database}
    ground = ground_of(list(sides.values()))
    in_space = ground.in_space
    centre = _centre([ground.position(side) for side in sides.values()])
    arrays: Arrays = {}
    abouts: dict[str, Any] = {}
    for name, side in sides.items():
        where = ground.position(side) - centre
        where[~np.isfinite(where).all(axis=1)] = np.nan
        heading = ground.heading_deg(side, stored.params).astype(np.float32)
        columns: Arrays = {"map": where, "heading": heading, "status": side.status}
        if is_geodesic(stored.params):
            columns["true_heading"] = side.heading_deg.astype(np.float32)
        if in_space or is_geodesic(stored.params):
            columns["at"] = side.position if in_space else points(side, stored.params)
        if in_space and side.pose is not None:
            columns["facing"] = side.pose[:, :3, 2].astype(np.float32)
            columns["down"] = side.pose[:, :3, 1].astype(np.float32)
        for column, values in (("fov", side.fov_deg), ("radius", side.radius_m)):
            if values is not None:
                columns[column] = values.astype(np.float32)
        arrays |= {f"{name}.{column}": values for column, values in columns.items()}
        missing = int(np.count_nonzero(np.isnan(where[:, 0])))
        abouts[name] = {"count": len(side), "without_place": missing}
    sequences = _sequences(sides, arrays)
    radius = stored.params.get("radius_m")
    fov = stored.params.get("fov_deg")
    value = {
        "sides": abouts,
        "sequences": sequences,
        "self_pairs": stored.self_pairs,
        "in_space": in_space,
        "axes": [*ground.axes, ground.up],
        "upright": ground.upright,
        "min_value_text": f"{stored.min_value:g}",
        "excluded": str(rule) if (rule := Exclusion.from_params(stored.params)) else "",
        "fov_deg": fov if isinstance(fov, int | float) else _FOV_DEG,
        "fov_known": isinstance(fov, int | float) or query.fov_deg is not None,
        "radius_m": radius
        if isinstance(radius, int | float)
        else _assumed_radius(arrays["queries.map"], in_space=in_space),
        "status_names": [status.label for status in Status],
        "about": _about(stored, in_space=in_space, up=ground.up),
    }
    if base_map:
        maps = np.concatenate([arrays[f"{name}.map"] for name in sides])
        value["base_map"] = (
            _base_map(stored, centre, maps) if ground.axes == (0, 1) else {"missing": "seen from the side"}
        )
    return Scene(arrays, value)


def _base_map(stored: StoredCollection, centre: FloatArray, maps: FloatArray) -> dict[str, Any]:
    placed = maps[np.isfinite(maps[:, 0])]
    try:
        return placement(centre, float(np.ptp(placed, axis=0).max(initial=0.0)) if len(placed) else 0.0, stored.crs)
    except OptionError as error:
        return {"missing": str(error)}


def _centre(positions: list[FloatArray]) -> FloatArray:
    """The middle of all positions to the metre, so that the numbers that the page draws are small.

    Whole metres can be taken from large coordinates without rounding, so that distances stay the same.
    """
    stacked = np.concatenate(positions)
    stacked = stacked[np.isfinite(stacked).all(axis=1)]
    return np.round((stacked.min(axis=0) + stacked.max(axis=0)) / 2) if len(stacked) else np.zeros(2)


def _assumed_radius(where: FloatArray, *, in_space: bool) -> float:
    """Range of a drawn field of view if the labels do not state one: in a room, a tenth of its size."""
    if not in_space or np.isnan(where).all():
        return _RADIUS_M
    return float(max(0.05, 0.1 * np.ptp(where[np.isfinite(where[:, 0])], axis=0).max()))


def _sequences(sides: Mapping[str, Cameras], arrays: Arrays) -> list[str] | None:
    """The names of all sequences; a sequence of both sides has one number."""
    columns = {name: side.extra[SEQUENCE].astype(np.str_) for name, side in sides.items() if SEQUENCE in side.extra}
    columns = {name: values for name, values in columns.items() if values.ndim == 1}
    if not columns:
        return None
    names, numbers = np.unique(np.concatenate(list(columns.values())), return_inverse=True)
    at = 0
    for name, values in columns.items():
        arrays[f"{name}.{SEQUENCE}"] = numbers[at : at + len(values)].astype(np.int32)
        at += len(values)
    return [str(name) for name in names]


def _about(stored: StoredCollection, *, in_space: bool, up: int) -> str:
    rows, columns = stored.shape
    queries = _counted(rows, "camera") if stored.self_pairs else f"{rows:,} {'query' if rows == 1 else 'queries'}"
    cameras = queries if stored.self_pairs else f"{queries}, {_counted(columns, 'database camera')}"
    single = {name: value for name, value in stored.params.items() if isinstance(value, str | int | float)}
    values = parameters(single) if single else ""
    view = f"seen along the {'xyz'[up]} axis" if in_space else f"frame {stored.crs}"
    parts = [cameras, _counted(stored.nnz, "pair"), stored.method, stored.measure, view, values]
    return " · ".join(part for part in parts if part)


def _counted(count: int, noun: str) -> str:
    """A number and its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
