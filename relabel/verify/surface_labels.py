"""Recompute a sample of labels by surface from the depth maps, with sets of voxels and with nearest neighbours."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, OptionError
from relabel.frames import Frames
from relabel.keys import rows_of
from relabel.labelfile.provenance import collection_record
from relabel.pipeline.records import frames_from_records
from relabel.reference import surface as definition
from relabel.reference import voxels
from relabel.surface.params import SurfaceParams
from relabel.verify.dataset import compare_cameras, compare_inputs
from relabel.verify.result import SHOWN, IntArray, PairSample, Task, Verification, sample

log = logging.getLogger(__name__)

TOLERANCE = 1e-6
"""Error of ψ by float32, with a margin; the oracle counts exactly the same voxels."""
RIGID = 1e-3
"""The largest difference of RᵀR of a pose from the identity, and of its last row from 0 0 0 1."""
_REACH_M = 3.0  # frames of one room this far apart may well see the same, so absent pairs tell most
_FRAMES = 64  # frames per side: each costs the oracle a third of a second
_DEFINED = 36  # pairs compared with the exact definition, which takes a fifth of a second per pair


def check(task: Task, result: Verification) -> None:
    """Recompute a sample of one collection from its depth maps, and compare its cameras with the dataset.

    Raises
    ------
    InputError
        when there is no root, ψ cannot be recomputed from what the file states, or its provenance does not lead to the
        depth maps.
    """
    stored, root = task.stored, task.root
    if root is None:
        raise InputError(
            f"{task.where}: {stored.method} labels are recomputed from the depth maps; give their dataset with root=…"
        )
    params = recorded_params(task)
    log.debug("%s: the frames are read again from %s", stored.name, root)
    # Read under a name of the file, its keys are those of the file; the dataset may have lost or gained frames since.
    with task.reading():
        frames = frames_from_records(stored, task.records, root, masks=task.masks)
    record = collection_record(stored.name, task.records)
    assert record is not None
    compare_inputs(task, record, root, frames.files, result, thousands=True)
    frame_rows = []
    for side, ours, theirs in (
        ("queries", stored.query, frames.query),
        ("database", stored.database, frames.database),
    ):
        rows = rows_of(theirs.cameras.key, ours.key)
        compare_cameras(f"{stored.name}/{side}", ours, _as_decoded(ours, theirs, rows, params), result)
        frame_rows.append(rows)
    pairs = sample(stored, task.sample, task.rng, reach_m=_REACH_M, cameras=_FRAMES)
    pairs = pairs.take(np.lexsort((pairs.columns, pairs.rows)))  # the oracles keep the frames of the last pairs
    pair_rows = frame_rows[0][pairs.rows], frame_rows[1][pairs.columns]
    if frames.query is frames.database:
        usable = _usable(frames.query, pair_rows, params, result)
    else:
        usable = (
            *_usable(frames.query, pair_rows[:1], params, result),
            *_usable(frames.database, pair_rows[1:], params, result),
        )
    both = usable[0] & usable[1]
    pairs, pair_rows = pairs.take(both), (pair_rows[0][both], pair_rows[1][both])
    assert params.stride is not None
    log.debug("%s: %s pairs are recomputed by sets of voxels", stored.name, format(len(pairs.rows), ","))
    with task.bar(f"{stored.name}: pairs", len(pairs.rows)) if task.bar is not None else nullcontext() as progress:
        expected = voxels.pair_overlap(
            frames.query,
            frames.database,
            *pair_rows,
            method=params.method,
            voxel_m=params.edge_m,
            stride=params.stride,
            nearest_m=params.nearest_m,
            farthest_m=params.farthest_m,
            measure=params.measure,
            progress=progress,
        )
    result.compare(stored, pairs, expected, TOLERANCE)
    if isinstance(stored.params.get("tolerance_m"), int | float):
        _compare_definition(pairs, pair_rows, (frames.query, frames.database), params, result)


def recorded_params(task: Task) -> SurfaceParams:
    """The parameters that the labels were made with, as the `params` of their collection state them.

    Raises
    ------
    InputError
        when one that the oracle needs is not stated, or a value is outside its range.
    """
    stored = task.stored
    numbers = {
        field.name: value
        for field in fields(SurfaceParams)
        if isinstance(value := stored.params.get(field.name), int | float) and not isinstance(value, bool)
    }
    for name in ("voxel_m", "stride", "nearest_m"):
        value = numbers.get(name, -1)
        if not value >= 0 or (name == "stride" and not isinstance(value, int)):
            raise InputError(f"{task.where}: its params do not hold {name}, so ψ cannot be recomputed")
    choices: dict[str, Any] = {"method": stored.method, "measure": stored.measure}
    try:
        return SurfaceParams(**{**numbers, **choices})
    except OptionError as error:
        raise InputError(f"{task.where}: its params are invalid: {error}") from None


def _as_decoded(ours: Cameras, theirs: Frames, rows: IntArray, params: SurfaceParams) -> Cameras:
    """The cameras of the dataset, with the status of those that are bad in the file and turn out to be bad.

    A fault of a depth map shows only when it is decoded, and poses are not checked before that, either.
    """
    status = theirs.cameras.status.copy()
    for mine, row in zip(ours.status, rows, strict=True):
        if row < 0 or status[row] != Status.OK:
            continue
        if (mine == Status.BAD_DEPTH and _is_empty(theirs, int(row), params)) or (
            mine == Status.NO_POSE and not _is_rigid(theirs, int(row))
        ):
            status[row] = mine
    return replace(theirs.cameras, status=status)


def _is_empty(frames: Frames, row: int, params: SurfaceParams) -> bool:
    assert params.stride is not None
    try:
        points = definition.frame_points(
            frames, row, stride=params.stride, nearest_m=params.nearest_m, farthest_m=params.farthest_m
        )
    except InputError:
        return True
    return not len(points)


def _is_rigid(frames: Frames, row: int) -> bool:
    assert frames.cameras.pose is not None
    pose = frames.cameras.pose[row]
    turn = pose[:3, :3]
    off = max(np.abs(turn.T @ turn - np.eye(3)).max(), np.abs(pose[3] - [0.0, 0.0, 0.0, 1.0]).max())
    return bool(off <= RIGID and np.linalg.det(turn) > 0.0)


def _usable(
    frames: Frames, rows: Sequence[IntArray], params: SurfaceParams, result: Verification
) -> tuple[npt.NDArray[np.bool_], ...]:
    """For each array of rows, whether there is anything to recompute; False for -1, a frame that is gone.

    Frames that are gone, or that are bad in the dataset, have been reported already.
    """
    used = np.unique(np.concatenate(rows))
    used = used[used >= 0]
    used = used[frames.cameras.ok[used]]
    bad = [int(row) for row in used if _is_empty(frames, int(row), params)]
    if bad:
        names = [str(frames.cameras.key[row]) for row in bad]
        text = "depth map(s) are now empty or cannot be decoded"
        result.add(len(bad), f"{len(bad):,} {text}: {', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''}")
    good = np.setdiff1d(used, bad)
    return tuple(np.isin(side, good) for side in rows)


def _compare_definition(
    pairs: PairSample,
    pair_rows: tuple[IntArray, IntArray],
    frames: tuple[Frames, Frames],
    params: SurfaceParams,
    result: Verification,
) -> None:
    """The differences of a few labels, spread over their range, from the exact definition."""
    if not len(pairs.values):
        return
    order = np.argsort(pairs.values, kind="stable")
    stored, absent = order[pairs.values[order] > 0.0], order[pairs.values[order] == 0.0]
    # Pairs that share nothing always agree, and would make the mean look better than it is.
    spread = stored[
        np.unique(np.linspace(0, max(len(stored) - 1, 0), _DEFINED).round().astype(np.int64))[: len(stored)]
    ]
    few = np.concatenate([spread, absent[: _DEFINED // 12]])
    exact = definition.pair_overlap(
        *frames,
        pair_rows[0][few],
        pair_rows[1][few],
        tolerance_m=params.tolerance_m,
        nearest_m=params.nearest_m,
        farthest_m=params.farthest_m,
        measure=params.measure,
    )
    result.definition += np.abs(exact - pairs.values[few]).tolist()
