"""A small RGB-D sequence along a bumpy wall, for jobs that label by surface."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from relabel.cameras import Cameras
from relabel.datasets.base import FrameSets
from relabel.datasets.rgbd.sequence import RgbdReader, reader
from relabel.frames import Frames
from relabel.pipeline.surface_part import SurfacePart
from relabel.surface.params import SurfaceParams
from tests.trees import depth_png, pose_txt

SIZE = (48, 36)
FOCAL = 45.0


def pose(k: int, step_m: float = 0.12) -> np.ndarray:
    """The camera to the world: k steps to the right, and turned a little more each time."""
    turn = math.radians(2.0 * k)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [math.cos(turn), 0.0, math.sin(turn)],
        [0.0, 1.0, 0.0],
        [-math.sin(turn), 0.0, math.cos(turn)],
    ]
    matrix[:3, 3] = (step_m * k, 0.01 * k, 0.0)
    return matrix


def room(root: Path, n: int = 10) -> Path:
    """Depth maps and poses of n frames, whose folder is returned; every depth map is another one, none is whole."""
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    for k in range(n):
        depth = 900.0 + 120.0 * np.sin(u / 9.0 + k) + 80.0 * np.cos(v / 7.0)
        depth[(u + v + k) % 11 == 0] = 0
        depth_png(root / "depth" / f"{k:03d}.png", depth.astype(np.uint16), size=SIZE)
        pose_txt(root / "pose" / f"{k:03d}.txt", pose(k), newline="\n", between=" ")
    (root / "intrinsics.txt").write_text(f"{FOCAL} {FOCAL} {(SIZE[0] - 1) / 2} {(SIZE[1] - 1) / 2}\n")
    return root


def reader_of(root: Path, name: str = "room") -> RgbdReader:
    """The reader of a `room`."""
    return reader(root, "folder", name=name)


def part_of(root: Path, name: str = "room", **options: Any) -> SurfacePart:
    """The part of a `room`, with options of the overlap."""
    return SurfacePart(reader_of(root, name), SurfaceParams(**options))


@dataclass(frozen=True)
class TwoSides:
    """A reader of a `room` whose even frames are queries, and the odd ones their database."""

    root: Path
    name: str = "room"
    command = "relabel two-sides"

    def parameters(self) -> dict[str, Any]:
        return {"collection": self.name}

    def read(self) -> FrameSets:
        sets = reader_of(self.root).read()
        sides = []
        for first in (0, 1):
            rows = np.arange(first, len(sets.query), 2)
            cameras, frames = sets.query.cameras.take(rows), sets.query
            sides.append(Frames(cameras, frames.depth[rows], frames.intrinsics[rows], frames.unit_m, frames.invalid))
        return FrameSets(query=sides[0], database=sides[1], files=sets.files)


@dataclass(frozen=True)
class Repeated:
    """A reader of very many frames, which all have the first depth map of a `room`; only one in twenty has a pose."""

    root: Path
    count: int
    name: str = "wall"
    command = "relabel repeated"

    def parameters(self) -> dict[str, Any]:
        return {"collection": self.name}

    def read(self) -> FrameSets:
        one = reader_of(self.root).read().query
        poses = np.tile(np.eye(4), (self.count, 1, 1))
        poses[:, 0, 3] = 0.0001 * np.arange(self.count)
        poses[np.arange(self.count) % 20 > 0] = np.nan
        columns = {"sequence": np.full(self.count, "s"), "frame": np.arange(self.count)}
        cameras = Cameras(
            [f"{k:06d}" for k in range(self.count)], np.nan_to_num(poses[:, :3, 3]), pose=poses, extra=columns
        )
        frames = Frames(cameras, np.full(self.count, one.depth[0]), one.intrinsics[0])
        return FrameSets(query=frames, database=frames, files=(Path(str(one.depth[0])),))
