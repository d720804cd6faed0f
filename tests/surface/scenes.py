"""Small scenes with depth maps in files, and the counts of their voxels by sets, pair by pair."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from relabel import Cameras, Frames
from relabel.surface.occupancy import Occupancies, OccupancyBuilder, voxel_key
from relabel.surface.params import Method
from tests.trees import depth_png

SIZE = (32, 24)
INTRINSICS = (30.0, 31.0, 15.5, 12.25)
Voxels = set[tuple[int, int, int]]
AROUND = list(itertools.product((-1, 0, 1), repeat=3))


def turned(yaw: float, pitch: float = 0.0) -> np.ndarray:
    """A rotation by angles in radians, about y (down) and then x (right)."""
    c, s, d, t = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.array([[1, 0, 0], [0, d, -t], [0, t, d]])


def bumpy(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A depth map (h, w) of something like furniture, about 1 m away, with holes of both kinds."""
    width, height = size
    coarse = rng.integers(600, 1400, (height // 4 + 1, width // 4 + 1))
    depth = np.kron(coarse, np.ones((4, 4), np.int64))[:height, :width] + rng.integers(-10, 11, (height, width))
    hole = rng.random((height, width))
    depth[hole < 0.1] = 0
    depth[hole > 0.98] = 65535
    return depth.astype(np.uint16)


def scene(folder: Path, n: int, seed: int, *, prefix: str = "f", **options: object) -> Frames:
    """n frames around one place that look about the same way, some of them without a pose."""
    rng = np.random.default_rng(seed)
    pose = np.tile(np.eye(4), (n, 1, 1))
    for k in range(n):
        pose[k, :3, :3] = turned(*rng.normal(0, 0.3, 2))
        pose[k, :3, 3] = rng.normal(0, 0.25, 3)
    if n > 4:
        pose[n // 2] = np.nan
    paths = [str(depth_png(folder / f"{prefix}{seed}-{k}.png", bumpy(rng), size=SIZE)) for k in range(n)]
    return frames(paths, pose, prefix=f"{prefix}{seed}", **options)


def frames(paths: Sequence[str | Path], pose: np.ndarray, *, prefix: str = "f", **options: object) -> Frames:
    """Frames of the given files; positions are those of the poses."""
    cameras = Cameras(
        key=[f"{prefix}-{k}" for k in range(len(paths))], position=np.nan_to_num(pose[:, :3, 3]), pose=pose
    )
    return Frames(cameras, np.array([str(path) for path in paths]), **{"intrinsics": INTRINSICS, **options})


def occupancies_of(query: Sequence[Voxels], database: Sequence[Voxels] | None = None) -> Occupancies:
    """The occupancies of frames that occupy the given voxels; without a database those of the query, twice."""
    builder = OccupancyBuilder()
    for side, sets in enumerate((query, database or ())):
        for voxels in sets:
            xyz = np.array(sorted(voxels), np.int64).reshape(-1, 3).T
            builder.add_keys(side, np.sort(voxel_key(*xyz)))
    return builder.build(same=database is None)


def dilated(voxels: Voxels) -> Voxels:
    """The voxels and their neighbours, one by one."""
    return {(x + a, y + b, z + c) for x, y, z in voxels for a, b, c in AROUND}


def shared(query: Sequence[Voxels], database: Sequence[Voxels], method: Method) -> tuple[np.ndarray, np.ndarray]:
    """The two counts of all pairs, (r, c) each."""
    grow = dilated if method == "surface" else set
    grown_query, grown_database = [grow(a) for a in query], [grow(b) for b in database]
    of_query = [[len(a & grown) for grown in grown_database] for a in query]
    of_database = [[len(b & grown) for b in database] for grown in grown_query]
    shape = (len(query), len(database))
    return np.array(of_query).reshape(shape), np.array(of_database).reshape(shape)


def sets_of(occupancies: Occupancies, *, database: bool = False) -> list[Voxels]:
    """The voxels of each frame, back from ids."""
    side = occupancies.database if database else occupancies.query
    names = [tuple(row) for row in occupancies.space.coordinate.tolist()]
    return [{names[k] for k in side.voxel[a:b]} for a, b in itertools.pairwise(side.start)]


def random_sets(rng: np.random.Generator, frames: int, voxels: int, spread: float) -> list[Voxels]:
    """Frames that occupy voxels of a few lumps each, also with negative numbers."""
    result = []
    for _ in range(frames):
        middle = rng.normal(0, spread, (3, 3))
        points = np.floor(middle[rng.integers(3, size=voxels)] + rng.normal(0, 2.5, (voxels, 3))).astype(int)
        result.append({tuple(row) for row in points.tolist()})
    return result
