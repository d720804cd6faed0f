"""A room of boxes, ray-cast by hand: frames that are right by construction, to plant faults in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from relabel.cameras import Cameras, FloatArray
from relabel.frames import Frames

WIDTH, HEIGHT, FOCAL = 160, 120, 146.25
INTRINSICS = (FOCAL, FOCAL, 79.5, 59.5)
# low and high corners; the first is the room, seen from inside
BOXES = np.array(
    [
        [[-2.5, -1.5, -2.0], [2.5, 1.2, 3.0]],
        [[-1.9, -0.2, 1.2], [-0.8, 1.2, 2.2]],
        [[0.6, 0.3, 0.9], [1.6, 1.2, 1.8]],
        [[-0.4, -1.5, 2.0], [0.3, -0.6, 3.0]],
        [[1.2, -0.6, -1.4], [2.2, 1.2, -0.7]],
        [[-2.0, 0.1, -1.6], [-1.2, 1.2, -0.8]],
    ]
)
WALL = np.array([[[-50.0, -50.0, -5.0], [50.0, 50.0, 3.0]]])


def walk(n: int = 100, *, turn: float = 2.0, reach: float = 0.6) -> FloatArray:
    """(n, 4, 4) camera-to-world of a camera that looks about, `turn` rad to and fro, and walks `reach` metres."""
    t = np.linspace(0.0, 1.0, n)
    yaw, pitch = turn * np.sin(2.0 * np.pi * t), -0.15 + 0.2 * turn / 2.0 * np.sin(5.0 * np.pi * t)
    pose = np.tile(np.eye(4), (n, 1, 1))
    pose[:, :3, :3] = Rotation.from_euler("YXZ", np.column_stack([yaw, pitch, 0.05 * np.sin(7.0 * t)])).as_matrix()
    pose[:, :3, 3] = reach * np.column_stack([np.sin(6.0 * np.pi * t), 0.3 * np.cos(9.0 * t), np.cos(5.0 * np.pi * t)])
    return pose


def depths(pose: FloatArray, boxes: FloatArray = BOXES) -> FloatArray:
    """(height, width) metres along the optical axis to the first wall or piece of furniture."""
    fx, fy, cx, cy = INTRINSICS
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    ray = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones(u.shape)], axis=-1) @ pose[:3, :3].T
    with np.errstate(divide="ignore"):
        walls = (boxes[:, :, None, None, :] - pose[:3, 3]) / ray
    near, far = walls.min(axis=1).max(axis=-1), walls.max(axis=1).min(axis=-1)
    first = far[0]
    for enter, leave in zip(near[1:], far[1:], strict=True):
        first = np.where((enter > 0.05) & (enter < leave), np.minimum(first, enter), first)
    return first


def frames(
    folder: Path,
    poses: FloatArray | None = None,
    *,
    boxes: FloatArray = BOXES,
    noise: float = 0.002,
    ray: bool = False,
    seed: int = 0,
) -> Frames:
    """Frames of that walk with depth maps in millimetres, whose noise grows with the square of the depth."""
    rng = np.random.default_rng(seed)
    poses = walk() if poses is None else poses
    fx, fy, cx, cy = INTRINSICS
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    slant = np.sqrt(1.0 + ((u - cx) / fx) ** 2 + ((v - cy) / fy) ** 2)
    paths = []
    for k, pose in enumerate(poses):
        z = depths(pose, boxes)
        z = z + rng.normal(0.0, noise, z.shape) * z * z
        stored = np.round(1000.0 * (z * slant if ray else z))
        stored[rng.random(z.shape) < 0.05] = 0
        paths.append(str(folder / f"{k:03d}.png"))
        Image.fromarray(stored.astype(np.uint16)).save(paths[-1])
    n = len(poses)
    extra = {"sequence": np.array(["s"] * n), "frame": np.arange(n)}
    cameras = Cameras([f"{k:03d}" for k in range(n)], poses[:, :3, 3], pose=poses, extra=extra)
    return Frames(cameras, np.array(paths), np.array(INTRINSICS))


def with_poses(right: Frames, pose: FloatArray) -> Frames:
    """The same depth maps with other poses."""
    return replace(right, cameras=replace(right.cameras, pose=pose, position=pose[:, :3, 3]))
