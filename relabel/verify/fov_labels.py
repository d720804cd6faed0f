"""Recompute a sample of labels by fields of view with shapely."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from relabel.cameras import Cameras
from relabel.errors import InputError
from relabel.geometry.earth import is_geodesic, lon_lat, with_lon_lat
from relabel.labelfile import StoredCollection
from relabel.pipeline import occluders
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.records import part_from_record, record_of
from relabel.reference import fov as reference
from relabel.reference import noise as expectation
from relabel.reference import occlusion
from relabel.reference.geodesic import on_planes
from relabel.verify.dataset import compare_cameras, compare_inputs
from relabel.verify.result import STEP, IntArray, Task, Verification, sample

SECTOR_TOLERANCE = 1e-5
"""What 2,880 chords instead of an arc change in ψ, and float32, with room to spare."""
NOISE_TOLERANCE = 0.01
"""What the nodes of an expected ψ are off at the most under strong noise, and the samples of the oracle."""
POLYGON_TOLERANCE = 1e-6
"""What float32 changes in ψ, with room to spare; the oracle takes the very same polygons."""


def check(task: Task, result: Verification) -> None:
    """Recompute a sample of one collection, and compare its cameras with the data set where that is at hand.

    Raises
    ------
    InputError
        when ψ cannot be recomputed from what the file tells, or its provenance does not lead to the data set.
    """
    stored = task.stored
    options = _options(stored)
    inputs = [entry for record in task.records for entry in record["inputs"]]
    scene, fault = occluders.scene(stored, task.occluders, task.root, inputs)
    if fault is not None:
        result.found(1, fault)
    oracle = expectation.pair_overlap if _noise(stored) else reference.pair_overlap
    if scene is not None:
        oracle = partial(occlusion.pair_overlap, scene)
    turned_most = float(stored.params.get("max_heading_difference_deg", 180.0))
    query, database = stored.query, stored.database
    if task.root is not None:
        fresh = _read_again(task, result)
        query, database = (
            compare_cameras(f"{stored.name}/{side}", ours, theirs, result)
            for side, ours, theirs in (("queries", query, fresh[0]), ("database", database, fresh[1]))
        )
    pairs = sample(stored, task.sample, task.rng, reach_m=2.0 * _radius(stored))
    # A camera that the dataset says cannot be labelled has been told of already, and has no ψ to compare with.
    known = query.ok[pairs.rows] & database.ok[pairs.columns]
    pairs = pairs.take(known)
    with task.bar(stored.name, len(pairs.rows)) if task.bar is not None else nullcontext() as progress:
        expected = np.empty(len(pairs.rows))
        for start in range(0, len(expected), STEP):
            part = slice(start, start + STEP)
            sides, places = _planar(stored, query, database, pairs.rows[part], pairs.columns[part])
            expected[part] = oracle(*sides, *places, **options)
            expected[part][~expectation.alike(*sides, *places, turned_most)] = 0.0
            if progress is not None:
                progress(len(expected[part]))
    tolerance = POLYGON_TOLERANCE if stored.method == "fov-polygon" else SECTOR_TOLERANCE
    result.compare(stored, pairs, expected, NOISE_TOLERANCE if _noise(stored) else tolerance)


def _planar(
    stored: StoredCollection, query: Cameras, database: Cameras, rows: IntArray, columns: IntArray
) -> tuple[tuple[Cameras, Cameras], tuple[IntArray, IntArray]]:
    """The cameras of pairs on a plane, and which of them are the pairs: those that there are unless given on earth."""
    if not is_geodesic(stored.params):
        return (query, database), (rows, columns)
    pairs = np.arange(len(rows))
    return on_planes(query, database, (lon_lat(query), lon_lat(database)), rows, columns), (pairs, pairs)


def _options(stored: StoredCollection) -> dict[str, Any]:
    """What the oracle has to be told besides the cameras."""
    where = f"{stored.path}::{stored.name}"
    if not stored.method.startswith("fov-"):
        raise InputError(f"{where}: {stored.method} labels cannot be recomputed; only fields of view can")
    options: dict[str, Any] = {"measure": stored.measure}
    wanted = {name for name in ("fov_deg", "radius_m") if any(getattr(s, name) is None for s in _sides(stored))}
    if stored.method == "fov-polygon":
        wanted.add("arc")
    wanted |= {name for name in _noise(stored) if stored.params[name] != "per camera"}
    for name in sorted(wanted):
        value = stored.params.get(name)
        if not isinstance(value, int | float):
            raise InputError(f"{where}: its params do not tell {name}, so that ψ cannot be recomputed")
        options["segments" if name == "arc" else name] = value
    return options


def _noise(stored: StoredCollection) -> list[str]:
    """The standard deviations under which ψ is an expected value."""
    return [name for name in ("heading_sigma_deg", "position_sigma_m") if name in stored.params]


def _sides(stored: StoredCollection) -> tuple[Cameras, Cameras]:
    return stored.query, stored.database


def _read_again(task: Task, result: Verification) -> tuple[Cameras, Cameras]:
    assert task.root is not None
    record = record_of(task.stored, task.records)
    part = None if record is None else part_from_record(record, task.root, masks=task.masks)
    if record is None or not isinstance(part, FovPart):
        raise InputError(
            f"{task.where}: its provenance does not say how to read the dataset again; leave out "
            "--root to check ψ against the cameras that the file holds"
        )
    city = part.read()
    compare_inputs(task, record, task.root, city.files, result, thousands=False)
    if city.geographic is None:
        return city.query, city.database
    query, database = (with_lon_lat(*side) for side in zip((city.query, city.database), city.geographic, strict=True))
    return query, database


def _radius(stored: StoredCollection) -> float:
    """The longest range of any camera."""
    ranges = [side.radius_m[side.ok].max(initial=0.0) for side in _sides(stored) if side.radius_m is not None]
    if len(ranges) < 2:
        ranges.append(stored.params["radius_m"])
    return float(max(ranges))
