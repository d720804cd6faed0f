"""The check of poses and intrinsics, made once, before anything is decoded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.errors import InputError
from relabel.frames import Frames

_CORNER = 0.95
RIGID = 1e-3
"""Rotations of real files deviate from orthonormal ones by up to 4e-4."""


def rigid_deviation(pose: FloatArray) -> FloatArray:
    """(n,) deviation of each (n, 4, 4) pose from a rigid motion; infinite if the pose is not finite.

    The largest absolute entry of RᵀR - I, or of the last row's difference from 0 0 0 1; infinite for a reflection.
    """
    with np.errstate(all="ignore"):
        r = pose[:, :3, :3]
        off = np.abs(r.transpose(0, 2, 1) @ r - np.eye(3)).max(axis=(1, 2), initial=0.0)
        off = np.maximum(off, np.abs(pose[:, 3] - [0.0, 0.0, 0.0, 1.0]).max(axis=1, initial=0.0))
        off[np.linalg.det(np.where(np.isfinite(r), r, 0.0)) <= 0.0] = np.inf
    off[~np.isfinite(pose).all(axis=(1, 2)) | np.isnan(off)] = np.inf
    result: FloatArray = off
    return result


def checked_poses(frames: Frames) -> tuple[Cameras, list[str]]:
    """The cameras, with the status `NO_POSE` if the pose is not a rigid motion, and notes on these.

    Raises
    ------
    InputError
        when the principal point of a frame lies outside a depth map of the recorded size, or no pose is rigid.
    """
    cameras = frames.cameras
    assert cameras.pose is not None
    if frames.size is not None:
        _check_principal_point(frames)
    off = rigid_deviation(cameras.pose)
    bad = np.flatnonzero(cameras.ok & (off > RIGID))
    if not bad.size:
        return cameras, []
    worst = int(bad[np.argmax(off[bad])])
    fault = "a reflection" if np.isinf(off[worst]) else f"off by {off[worst]:.2g}"
    if bad.size == int(cameras.ok.sum()):
        raise InputError(
            f"none of {bad.size:,} poses is a rigid motion (more than {RIGID:g} off); {str(cameras.key[worst])!r} is "
            f"{fault}: a reflection has one axis inverted, others are scaled or have their numbers in another order"
        )
    status = cameras.status.copy()
    status[bad] = Status.NO_POSE
    note = (
        f"{bad.size} frame(s) have a pose that is not a rigid motion (more than {RIGID:g} off): no_pose; the worst is "
        f"{str(cameras.key[worst])!r}, {fault}"
    )
    return replace(cameras, status=status), [note]


def principal_point_inside(intrinsics: FloatArray, width: int, height: int) -> npt.NDArray[np.bool_]:
    """Whether the principal points of (…, 4) fx, fy, cx, cy are in an image of that size.

    Its far corner does not count: there is the principal point of an image of twice the size.
    """
    x, y = intrinsics[..., 2] / width, intrinsics[..., 3] / height
    return (x >= 0.0) & (x <= 1.0) & (y >= 0.0) & (y <= 1.0) & ~((x > _CORNER) & (y > _CORNER))


def _check_principal_point(frames: Frames) -> None:
    assert frames.size is not None
    width, height = frames.size
    wrong = np.flatnonzero(frames.cameras.ok & ~principal_point_inside(frames.intrinsics, width, height))
    if wrong.size:
        k = int(wrong[0])
        cx, cy = frames.intrinsics[k, 2:]
        raise InputError(
            f"camera {str(frames.cameras.key[k])!r}: the principal point ({cx:g}, {cy:g}) is outside a depth map of "
            f"{width} × {height} pixels, or in its corner; these intrinsics are for another image size"
        )
