"""Recompute a sample of labels by fields of view with shapely."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np

from relabel.cameras import Cameras
from relabel.errors import InputError, OptionError
from relabel.fov.params import FovParams
from relabel.geometry.earth import is_geodesic, lon_lat, with_lon_lat
from relabel.labelfile import StoredCollection
from relabel.labelfile.provenance import collection_record
from relabel.pipeline import occluders
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.records import part_from_record
from relabel.reference import fov as reference
from relabel.reference import noise as expectation
from relabel.reference import occlusion
from relabel.reference.geodesic import on_planes
from relabel.verify.dataset import compare_cameras, compare_inputs
from relabel.verify.result import STEP, IntArray, Task, Verification, sample

log = logging.getLogger(__name__)

SECTOR_TOLERANCE = 1e-5
"""Error of ψ by 2,880 chords instead of an arc and by float32, with a margin."""
NOISE_TOLERANCE = 0.01
"""Largest error of an expected ψ by its nodes under strong noise, and by the samples of the oracle."""
POLYGON_TOLERANCE = 1e-6
"""Error of ψ by float32, with a margin; the oracle uses exactly the same polygons."""


def check(task: Task, result: Verification) -> None:
    """Recompute a sample of one collection, and compare its cameras with the dataset if that is available.

    Raises
    ------
    InputError
        when ψ cannot be recomputed from what the file states, or its provenance does not lead to the dataset.
    """
    stored = task.stored
    params = recorded_params(task)
    noisy = any(name in stored.params for name in _NOISE)
    inputs = [entry for record in task.records for entry in record["inputs"]]
    buildings, fault = occluders.buildings(stored, task.occluders, task.root, inputs)
    if fault is not None:
        result.add(1, fault)
    oracle: Any = expectation.pair_overlap if noisy else reference.pair_overlap
    if buildings is not None:
        oracle = partial(occlusion.pair_overlap, buildings)
    oracle = partial(oracle, **_oracle_options(params, noisy=noisy))
    query, database = stored.query, stored.database
    if task.root is not None:
        log.debug("%s: the cameras are read again from %s", stored.name, task.root)
        with task.reading():
            fresh = _read_again(task, result)
        query, database = (
            compare_cameras(f"{stored.name}/{side}", ours, theirs, result)
            for side, ours, theirs in (("queries", query, fresh[0]), ("database", database, fresh[1]))
        )
    pairs = sample(stored, task.sample, task.rng, reach_m=2.0 * _longest_radius(stored, params))
    # A camera that cannot be labelled according to the dataset has been reported already, and has no ψ to compare with.
    known = query.ok[pairs.rows] & database.ok[pairs.columns]
    pairs = pairs.take(known)
    log.debug("%s: %s pairs are recomputed with shapely", stored.name, format(len(pairs.rows), ","))
    with task.bar(f"{stored.name}: pairs", len(pairs.rows)) if task.bar is not None else nullcontext() as progress:
        expected = np.empty(len(pairs.rows))
        for start in range(0, len(expected), STEP):
            part = slice(start, start + STEP)
            sides, numbers = _planar(stored, query, database, pairs.rows[part], pairs.columns[part])
            expected[part] = oracle(*sides, *numbers)
            alike = expectation.alike(
                *sides,
                *numbers,
                fov_deg=params.fov_deg,
                most_deg=params.max_heading_difference_deg,
                most_m=params.max_height_difference_m,
            )
            expected[part][~alike] = 0.0
            if progress is not None:
                progress(len(expected[part]))
    tolerance = POLYGON_TOLERANCE if stored.method == "fov-polygon" else SECTOR_TOLERANCE
    result.compare(stored, pairs, expected, NOISE_TOLERANCE if noisy else tolerance)


def _planar(
    stored: StoredCollection, query: Cameras, database: Cameras, rows: IntArray, columns: IntArray
) -> tuple[tuple[Cameras, Cameras], tuple[IntArray, IntArray]]:
    """The cameras of pairs on a plane (on the earth: each pair on its own), and the rows and columns of the pairs."""
    if not is_geodesic(stored.params):
        return (query, database), (rows, columns)
    pairs = np.arange(len(rows))
    return on_planes(query, database, (lon_lat(query), lon_lat(database)), rows, columns), (pairs, pairs)


_NOISE = ("heading_sigma_deg", "position_sigma_m")
"""Parameters that make ψ an expected value, if the `params` of labels have one of them."""


def recorded_params(task: Task) -> FovParams:
    """The parameters that the labels were made with, as the `params` of their collection state them.

    Those that are ``per camera`` have their default here, which is not used by any camera.

    Raises
    ------
    InputError
        when one that the oracle needs is not stated, or a value is outside its range.
    """
    stored = task.stored
    needed = {name for name in ("fov_deg", "radius_m") if any(getattr(s, name) is None for s in _sides(stored))}
    if stored.method == "fov-polygon":
        needed.add("arc")
    needed |= {name for name in _NOISE if stored.params.get(name, "per camera") != "per camera"}
    numbers = {
        field.name: value
        for field in fields(FovParams)
        if isinstance(value := stored.params.get(field.name), int | float)
    }
    for name in sorted(needed - numbers.keys()):
        raise InputError(f"{task.where}: its params do not hold {name}, so ψ cannot be recomputed")
    choices: dict[str, Any] = {"shape": stored.method.removeprefix("fov-"), "measure": stored.measure}
    try:
        return FovParams(**{**numbers, **choices})
    except OptionError as error:
        raise InputError(f"{task.where}: its params are invalid: {error}") from None


def _oracle_options(params: FovParams, *, noisy: bool) -> dict[str, Any]:
    """What the oracle needs besides the cameras."""
    options: dict[str, Any] = {name: getattr(params, name) for name in ("fov_deg", "radius_m", "measure")}
    if params.shape == "polygon":
        options["segments"] = params.arc
    if noisy:
        options |= {name: getattr(params, name) for name in _NOISE}
    return options


def _sides(stored: StoredCollection) -> tuple[Cameras, Cameras]:
    return stored.query, stored.database


def _read_again(task: Task, result: Verification) -> tuple[Cameras, Cameras]:
    """The cameras of the dataset, with longitude and latitude where they are compared on the earth."""
    assert task.root is not None
    record = collection_record(task.stored.name, task.records)
    part = None if record is None else part_from_record(record, task.root, masks=task.masks)
    if record is None or not isinstance(part, FovPart):
        raise InputError(
            f"{task.where}: its provenance does not record how to read the dataset again; omit root=… to check ψ "
            "against the cameras in the file"
        )
    cameras = part.read()
    compare_inputs(task, record, task.root, cameras.files, result, thousands=False)
    sides = cameras.query, cameras.database
    if cameras.geographic is None:
        return sides
    query, database = (with_lon_lat(*side) for side in zip(sides, cameras.geographic, strict=True))
    return query, database


def _longest_radius(stored: StoredCollection, params: FovParams) -> float:
    """The longest range of any camera, metres."""
    ranges = [side.radius_m[side.ok].max(initial=0.0) for side in _sides(stored) if side.radius_m is not None]
    if len(ranges) < 2:
        ranges.append(params.radius_m)
    return float(max(ranges))
