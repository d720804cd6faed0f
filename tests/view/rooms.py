"""A small room with depth maps, labelled from them, and what two of its frames share by sets of voxels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner
from PIL import Image
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.labelfile import LabelFile, StoredCollection, open_collections, write
from relabel.pipeline.records import frames_from_records, masks_beside
from relabel.similarity import Collection, Similarity
from relabel.view.depth_frames import DepthFrames
from tests.surface.scenes import bumpy, dilated, turned
from tests.trees import depth_png, pose_txt

SIZE = (64, 48)
FOCAL, CENTRE = 57.0, (31.5, 23.5)
FRAMES = 7
LOST = 4
"""The frame without a pose."""
_VOXEL_M, _STRIDE = 0.11, 2
Voxels = set[tuple[int, int, int]]


def small_room(folder: Path) -> list[StoredCollection]:
    """A label file of `FRAMES` frames in `folder`/room, of which one has no pose and the last looks the other way."""
    from relabel.cli.app import app

    rng = np.random.default_rng(3)
    root = folder / "room"
    for k in range(FRAMES):
        name = f"seq-01-frame-{k:06d}"
        depth_png(root / "depth" / f"{name}.png", bumpy(rng, SIZE), size=SIZE)
        pose = np.eye(4)
        pose[:3, :3] = turned(np.pi if k == FRAMES - 1 else 0.12 * k)
        pose[:3, 3] = (0.05 * k, 0.0, 0.02 * k)
        pose_txt(root / "pose" / f"{name}.txt", pose * np.nan if k == LOST else pose, newline="\n", between=" ")
        (root / "color").mkdir(exist_ok=True)
        Image.new("RGB", (80, 60), (40 * k, 90, 160)).save(root / "color" / f"{name}.jpg")
    (root / "intrinsics.txt").write_text(f"{FOCAL} {FOCAL} {CENTRE[0]} {CENTRE[1]}\n")
    path = folder / "room.h5"
    options = ["--layout", "folder", "--tolerance", "0.2", "--voxel", str(_VOXEL_M), "--stride", str(_STRIDE)]
    arguments = ["rgbd", "--root", root, "-o", path, *options, "--device", "cpu"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return open_collections(path)


def reader(path: Path, root: Path) -> Callable[[StoredCollection], object]:
    """What reads the frames of collections again, as the command has it."""
    records = LabelFile(path).provenance()
    return lambda stored: frames_from_records(stored, records, root, masks=masks_beside(stored))


def depth_frames(collections: list[StoredCollection], *, follow_links: bool = False) -> DepthFrames:
    """The frames of the small room."""
    path = collections[0].path
    root = path.parent / "room"
    return DepthFrames(reader(path, root), root, follow_links=follow_links)


def seen_by_sets(root: Path, row: int, column: int) -> tuple[list[np.ndarray], float]:
    """Of each of two frames 0 where a pixel has no depth, 1 where it alone sees the surface, 2 where both; and ψ."""
    clouds = [_voxels(root, k) for k in (row, column)]
    sets = [set(cloud.values()) for cloud in clouds]
    images, common = [], []
    for cloud, own, other in zip(clouds, sets, reversed(sets), strict=True):
        reached = dilated(other)
        image = np.zeros((SIZE[1] // _STRIDE, SIZE[0] // _STRIDE), np.uint8)
        for (v, u), voxel in cloud.items():
            image[v // _STRIDE, u // _STRIDE] = 2 if voxel in reached else 1
        images.append(image)
        common.append(len(own & reached))
    both = sum(common) / 2
    return images, both / (len(sets[0]) + len(sets[1]) - both)


def _voxels(root: Path, k: int) -> dict[tuple[int, int], tuple[int, int, int]]:
    """The voxel of each pixel with a depth, from the files alone."""
    name = f"seq-01-frame-{k:06d}"
    steps = np.array(Image.open(root / "depth" / f"{name}.png")).astype(int)
    pose = np.loadtxt(root / "pose" / f"{name}.txt")
    voxels = {}
    for v in range(0, SIZE[1], _STRIDE):
        for u in range(0, SIZE[0], _STRIDE):
            if steps[v, u] not in (0, 65535):
                z = steps[v, u] / 1000
                point = pose @ [(u - CENTRE[0]) * z / FOCAL, (v - CENTRE[1]) * z / FOCAL, z, 1.0]
                voxels[v, u] = tuple(np.floor(point[:3] / _VOXEL_M).astype(int).tolist())
    return voxels


def sparse_rooms(path: Path) -> list[StoredCollection]:
    """A file of labels whose depth maps are gone: of one frame, without pairs, all unknown, without a place."""

    def cameras(n: int, prefix: str = "f", **columns: Any) -> Cameras:
        pose = np.tile(np.eye(4), (n, 1, 1))
        pose[:, 0, 3] = 0.5 * np.arange(n)
        values = {"key": [f"{prefix}{k}" for k in range(n)], "position": pose[:, :3, 3], "pose": pose} | columns
        return Cameras(**values)

    def labels(query: Cameras, database: Cameras | None = None) -> Similarity:
        columns = query if database is None else database
        collection = Collection(
            query=query,
            database=columns,
            query_extent=np.full(len(query), 100.0),
            database_extent=np.full(len(columns), 100.0),
            method="surface",
            measure="iou",
            params={"voxel_m": 0.0275, "stride": 2, "nearest_m": 0.0, "tolerance_m": 0.05},
            self_pairs=database is None,
        )
        return Similarity(collection, sparse.csr_array((len(query), len(columns)), dtype=np.float32))

    nowhere = {"position": np.full((3, 3), np.nan), "pose": np.full((3, 4, 4), np.nan)}
    write(
        path,
        {
            "one": labels(cameras(1)),
            "no-pairs": labels(cameras(4), cameras(3, "d")),
            "unknown": labels(cameras(4, status=np.full(4, Status.MASKED))),
            "nowhere": labels(cameras(3, status=np.full(3, Status.NO_POSE), **nowhere)),
            "empty": labels(cameras(0), cameras(2, "d")),
        },
    )
    return open_collections(path)
