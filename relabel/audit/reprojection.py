"""Depth maps against poses: one frame back-projected into another, and how far its depths are from those seen there.

    pixel and depth in i ──► point in the world ──► pixel and depth z in j ──► error |z − depth there| / depth there

A `Convention` says how the data may have to be read instead; each is tried on the same pairs of frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import FloatArray

OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
"""From a camera with x right, y up and z backward to one with x right, y down and z ahead."""
NEAREST_M = 1e-6
LEAST_OVERLAP = 0.15
"""A pair is used if at least this share of its pixels with depth project onto depth in the other frame."""


class Convention(NamedTuple):
    """How depth maps and poses are read, relative to how the reader has read them."""

    unit: float = 1.0
    """factor of the depths"""
    focal: float = 1.0
    """factor of the focal lengths"""
    size: float = 1.0
    """factor of the image that the intrinsics are of: of focal lengths and principal point together"""
    opengl: bool = False
    """cameras look along -z, with y up"""
    inverse: bool = False
    """poses lead from the world to the camera"""
    quaternion: bool = False
    """quaternions have their real part first"""
    ray: bool = False
    """depths are distances from the camera, not along its axis"""


AS_READ = Convention()
_FROM_CORNER = np.array([0.0, 0.0, 0.5, 0.5])


@dataclass(frozen=True, eq=False)
class Sampled:
    """n frames of which a grid of pixels was taken.

    Attributes
    ----------
    pixel:
        n arrays (p, 2), column and row of the pixels of the grid that have a depth.
    depth_m:
        n arrays (p,), their depths in metres, as read.
    maps:
        n whole depth maps (height, width) in stored steps.
    pose:
        (n, 4, 4) as read.
    intrinsics:
        (n, 4) fx, fy, cx, cy, pixels.
    unit_m, invalid:
        metres of a stored step, and the steps that say that nothing was measured.
    """

    pixel: list[FloatArray]
    depth_m: list[FloatArray]
    maps: list[npt.NDArray[np.uint16]]
    pose: FloatArray
    intrinsics: FloatArray
    unit_m: float
    invalid: tuple[int, ...]


def poses_read_as(pose: FloatArray, convention: Convention) -> FloatArray:
    """(n, 4, 4) the poses as they would be had they been read by the convention."""
    if convention.quaternion:
        pose = _real_part_first(pose)
    if convention.inverse:
        rotation = pose[:, :3, :3].transpose(0, 2, 1)
        inverse = np.tile(np.eye(4), (len(pose), 1, 1))
        inverse[:, :3, :3] = rotation
        inverse[:, :3, 3] = -np.einsum("nij,nj->ni", rotation, pose[:, :3, 3])
        pose = inverse
    return pose @ OPENGL if convention.opengl else pose


def _real_part_first(pose: FloatArray) -> FloatArray:
    """The poses of the same four numbers, read as w x y z where they were read as x y z w."""
    r = pose[:, :3, :3]
    diagonal = np.einsum("nii->in", r)
    xy, xz, yz = r[:, 0, 1] + r[:, 1, 0], r[:, 0, 2] + r[:, 2, 0], r[:, 1, 2] + r[:, 2, 1]
    wx, wy, wz = r[:, 2, 1] - r[:, 1, 2], r[:, 0, 2] - r[:, 2, 0], r[:, 1, 0] - r[:, 0, 1]
    xx, yy, zz = 1.0 + 2.0 * diagonal - diagonal.sum(axis=0)
    ww = 1.0 + diagonal.sum(axis=0)
    # Four multiples of the quaternion x y z w, of which the longest loses no digits.
    ways = np.stack([[xx, xy, xz, wx], [xy, yy, yz, wy], [xz, yz, zz, wz], [wx, wy, wz, ww]])
    length = np.linalg.norm(ways, axis=1)
    stored = ways[length.argmax(axis=0), :, np.arange(len(pose))] / length.max(axis=0)[:, None]
    w, x, y, z = stored.T  # the real part was meant to be the first
    result = pose.copy()
    result[:, 0, :3] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=1)
    result[:, 1, :3] = np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=1)
    result[:, 2, :3] = np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)
    return result


def pair_errors(frames: Sampled, pairs: npt.NDArray[np.int64], convention: Convention = AS_READ) -> FloatArray:
    """(m,) the median relative error of depth of each pair, both ways; infinite where too little meets.

    Parameters
    ----------
    frames:
        n frames.
    pairs:
        (m, 2) which of them are compared.
    convention:
        how they are read.
    """
    pose = poses_read_as(frames.pose, convention)
    # The middle of the first pixel is (0, 0), so the corner of the image, which stays, is at -0.5.
    intrinsics = (frames.intrinsics + _FROM_CORNER) * convention.size - _FROM_CORNER
    intrinsics[:, :2] *= convention.focal
    errors = np.full(len(pairs), np.inf)
    for number, (first, second) in enumerate(pairs.tolist()):
        ways = []
        for a, b in ((first, second), (second, first)):
            turn = pose[b, :3, :3].T
            rotation, translation = turn @ pose[a, :3, :3], turn @ (pose[a, :3, 3] - pose[b, :3, 3])
            ways.append(
                _errors(
                    frames.pixel[a],
                    frames.depth_m[a] * convention.unit,
                    intrinsics[a],
                    rotation,
                    translation,
                    frames.maps[b],
                    intrinsics[b],
                    frames.unit_m * convention.unit,
                    frames.invalid,
                    ray=convention.ray,
                )
            )
        values = np.concatenate(ways)
        met = values[np.isfinite(values)]
        if len(met) > LEAST_OVERLAP * len(values):
            errors[number] = np.median(met)
    return errors


def _errors(
    pixel: FloatArray,
    depth_m: FloatArray,
    from_camera: FloatArray,
    rotation: FloatArray,
    translation: FloatArray,
    into: npt.NDArray[np.uint16],
    to_camera: FloatArray,
    unit_m: float,
    invalid: tuple[int, ...],
    *,
    ray: bool,
) -> FloatArray:
    """(p,) the relative error of depth of each pixel in the other map; NaN where it meets no depth."""
    fx, fy, cx, cy = from_camera
    x, y = (pixel[:, 0] - cx) / fx, (pixel[:, 1] - cy) / fy
    z = depth_m / np.sqrt(1.0 + x * x + y * y) if ray else depth_m
    there = (np.stack([x * z, y * z, z], axis=1) @ rotation.T + translation).T
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = there[0] / there[2], there[1] / there[2]
        fx, fy, cx, cy = to_camera
        column, row = np.rint(u * fx + cx), np.rint(v * fy + cy)
        height, width = into.shape
        met = (there[2] > NEAREST_M) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    errors = np.full(len(depth_m), np.nan)
    rows = np.flatnonzero(met)
    stored = into[row[rows].astype(np.int64), column[rows].astype(np.int64)]
    valid = np.ones(len(stored), bool)
    for code in invalid:
        valid &= stored != code
    rows, seen = rows[valid], stored[valid] * unit_m
    if ray:
        seen = seen / np.sqrt(1.0 + u[rows] ** 2 + v[rows] ** 2)
    errors[rows] = np.abs(there[2, rows] - seen) / seen
    return errors
