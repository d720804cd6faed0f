"""Recompute a sample of labels by surface from the depth maps, with sets of voxels and with nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.datasets.csv_columns import rows_of
from relabel.errors import InputError
from relabel.frames import Frames
from relabel.pipeline.records import frames_from_records, record_of
from relabel.reference import surface as definition
from relabel.reference import voxels
from relabel.verify.dataset import compare_cameras, compare_inputs
from relabel.verify.result import SHOWN, IntArray, Pairs, Task, Verification, sample

METHODS = ("surface", "voxel-iou")

TOLERANCE = 1e-6
"""What float32 changes in ψ, with room to spare; the oracle counts the very same voxels."""
RIGID = 1e-3
"""By how much RᵀR of a pose may differ from the identity, and its last row from 0 0 0 1."""
_REACH_M = 3.0  # frames of one room this far apart may well see the same, and absent pairs of them tell most
_FRAMES = 64  # of a side: each costs the oracle a third of a second
_DEFINED = 36  # pairs compared with the exact definition, which takes a fifth of a second a pair


def check(task: Task, result: Verification) -> None:
    """Recompute a sample of one collection from its depth maps, and compare its cameras with the data set.

    Raises
    ------
    InputError
        when there is no root, ψ cannot be recomputed from what the file tells, or its provenance does not lead to the
        depth maps.
    """
    stored, root = task.stored, task.root
    if root is None:
        raise InputError(
            f"{task.where}: {stored.method} labels are recomputed from the depth maps; say with --root where they are"
        )
    how = _options(task)
    # Read under a name of the file, its keys are those of the file; the scene may have lost or gained some since.
    scene = frames_from_records(stored, task.records, root, masks=task.masks)
    record = record_of(stored, task.records)
    assert record is not None
    compare_inputs(task, record, root, scene.files, result, thousands=True)
    rows = []
    for side, ours, theirs in (
        ("queries", stored.query, scene.query),
        ("database", stored.database, scene.database),
    ):
        found = rows_of(theirs.cameras.key, ours.key)
        compare_cameras(f"{stored.name}/{side}", ours, _as_decoded(ours, theirs, found, how), result)
        rows.append(found)
    pairs = sample(stored, task.sample, task.rng, reach_m=_REACH_M, cameras=_FRAMES)
    pairs = pairs.take(np.lexsort((pairs.columns, pairs.rows)))  # the oracles keep the frames of the last pairs
    at = rows[0][pairs.rows], rows[1][pairs.columns]
    if scene.query is scene.database:
        usable = _usable(scene.query, at, how, result)
    else:
        usable = *_usable(scene.query, at[:1], how, result), *_usable(scene.database, at[1:], how, result)
    known = usable[0] & usable[1]
    pairs, at = pairs.take(known), (at[0][known], at[1][known])
    with task.bar(stored.name, len(pairs.rows)) if task.bar is not None else nullcontext() as progress:
        expected = voxels.pair_overlap(scene.query, scene.database, *at, **how, progress=progress)
    result.compare(stored, pairs, expected, TOLERANCE)
    _compare_definition(task, pairs, at, (scene.query, scene.database), how, result)


def _options(task: Task) -> dict[str, Any]:
    """What the oracle has to be told besides the frames."""
    stored = task.stored
    how: dict[str, Any] = {"method": stored.method, "measure": stored.measure}
    for name, kinds in (("voxel_m", (int, float)), ("stride", (int,)), ("nearest_m", (int, float))):
        value = stored.params.get(name)
        if not isinstance(value, kinds) or isinstance(value, bool) or not value >= 0:
            raise InputError(f"{task.where}: its params do not tell {name}, so that ψ cannot be recomputed")
        how[name] = value
    farthest = stored.params.get("farthest_m")
    how["farthest_m"] = farthest if isinstance(farthest, int | float) else None
    return how


def _as_decoded(ours: Cameras, theirs: Frames, rows: IntArray, how: dict[str, Any]) -> Cameras:
    """The cameras of the data set, with the status of those that the file says are bad and that really are.

    What is wrong with a depth map shows only when it is decoded, and a pose is looked at only then as well.
    """
    status = theirs.cameras.status.copy()
    for mine, row in zip(ours.status, rows, strict=True):
        if row < 0 or status[row] != Status.OK:
            continue
        if (mine == Status.BAD_DEPTH and _is_empty(theirs, int(row), how)) or (
            mine == Status.NO_POSE and not _is_rigid(theirs, int(row))
        ):
            status[row] = mine
    return replace(theirs.cameras, status=status)


def _is_empty(frames: Frames, row: int, how: dict[str, Any]) -> bool:
    limits = {name: how[name] for name in ("stride", "nearest_m", "farthest_m")}
    try:
        return not len(definition.frame_points(frames, row, **limits))
    except InputError:
        return True


def _is_rigid(frames: Frames, row: int) -> bool:
    assert frames.cameras.pose is not None
    pose = frames.cameras.pose[row]
    turn = pose[:3, :3]
    off = max(np.abs(turn.T @ turn - np.eye(3)).max(), np.abs(pose[3] - [0.0, 0.0, 0.0, 1.0]).max())
    return bool(off <= RIGID and np.linalg.det(turn) > 0.0)


def _usable(
    frames: Frames, rows: Sequence[IntArray], how: dict[str, Any], result: Verification
) -> tuple[npt.NDArray[np.bool_], ...]:
    """Of each array of rows, whether there is anything to recompute; not so of -1, a frame that is gone.

    Frames that are gone, or that the data set says are bad, have been told of already.
    """
    used = np.unique(np.concatenate(rows))
    used = used[used >= 0]
    used = used[frames.cameras.ok[used]]
    bad = [int(row) for row in used if _is_empty(frames, int(row), how)]
    if bad:
        names = [str(frames.cameras.key[row]) for row in bad]
        text = "depth map(s) show nothing any more, or cannot be decoded"
        result.found(len(bad), f"{len(bad):,} {text}: {', '.join(names[:SHOWN])}{', …' if len(names) > SHOWN else ''}")
    good = np.setdiff1d(used, bad)
    return tuple(np.isin(side, good) for side in rows)


def _compare_definition(
    task: Task,
    pairs: Pairs,
    at: tuple[IntArray, IntArray],
    frames: tuple[Frames, Frames],
    how: dict[str, Any],
    result: Verification,
) -> None:
    """How far a few labels, spread over their range, are from the exact definition."""
    tolerance = task.stored.params.get("tolerance_m")
    if not isinstance(tolerance, int | float) or not len(pairs.values):
        return
    order = np.argsort(pairs.values, kind="stable")
    stored, absent = order[pairs.values[order] > 0.0], order[pairs.values[order] == 0.0]
    # Pairs without anything in common agree always, and would make the mean look better than it is.
    spread = stored[
        np.unique(np.linspace(0, max(len(stored) - 1, 0), _DEFINED).round().astype(np.int64))[: len(stored)]
    ]
    chosen = np.concatenate([spread, absent[: _DEFINED // 12]])
    limits = {name: how[name] for name in ("nearest_m", "farthest_m", "measure")}
    exact = definition.pair_overlap(*frames, at[0][chosen], at[1][chosen], tolerance_m=tolerance, **limits)
    result.definition += np.abs(exact - pairs.values[chosen]).tolist()
