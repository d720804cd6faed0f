"""Surface overlap from depth maps: against nearest neighbours by Open3D, against decoding alone, and engine by engine.

    python benchmarks/bench_surface.py [--frames 1000] [--pairs 60] [--device auto|cpu|cuda]

Frames are the real ones of 7Scenes if available, else those of a synthetic room; more frames are made of the same depth
maps by moving each camera a little. Nearest neighbours are found for a sample of pairs, whose clouds are ready, as the
definition wants them: thinned to a point in 2 cm, 5 cm apart at the most. Engines are compared on the first frames
only. On a GPU the depth maps of the last table are decoded before, since that is done by the CPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from common import DATA, alternating, machine, median_seconds, table
from PIL import Image

import relabel
from relabel import surface
from relabel.datasets.seven_scenes.scene import readers
from relabel.devices import DEVICES, chosen
from relabel.frames import Frames
from relabel.jit import thread_count
from relabel.reference.surface import frame_points, pair_overlap, thinned
from relabel.similarity import gather
from relabel.surface import frame_cache, gpu_counter, gpu_voxels
from relabel.surface.cpu_counter import BitsetCounter
from relabel.surface.depth_maps import read_depth
from relabel.surface.occupancy import Occupancies, OccupancyBuilder
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import FrameBricks, Voxeliser, map_in_order

T = TypeVar("T")

TOLERANCE_M = 0.05
ROOM_M = np.array([5.0, 2.6, 4.0])
WIDTH, HEIGHT, FOCAL = 640, 480, 585.0
MADE_UP, SHIFT_M = 24, 0.005
GEMM_COLUMNS = 16_384
STRIDE = 2


def real_frames() -> Frames | None:
    """All frames of the first real scene, or None."""
    if not (DATA / "7scenes").is_dir():
        return None
    scene = next(reader.read() for reader in readers(DATA / "7scenes") if reader.name.endswith("/test-train"))
    sides = scene.query, scene.database
    position = np.concatenate([side.cameras.position for side in sides])
    pose = np.concatenate([side.cameras.pose for side in sides])
    return Frames(
        relabel.Cameras(key=[f"{k}" for k in range(len(pose))], position=position, pose=pose),
        np.concatenate([side.depth for side in sides]),
        np.concatenate([side.intrinsics for side in sides]),
    )


def room_frames(folder: Path, count: int) -> Frames:
    """Frames of an empty room that turn around in it, with noise and holes, as files in `folder`."""
    random = np.random.default_rng(0)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    ray = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL, np.ones_like(u, float)], axis=-1)
    pose = np.tile(np.eye(4), (count, 1, 1))
    for k, turn in enumerate(np.linspace(0.0, 2.0 * np.pi, count, endpoint=False)):
        cos, sin = np.cos(turn), np.sin(turn)
        pose[k, :3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
        pose[k, :3, 3] = ROOM_M / 2 + random.normal(0, 0.2, 3)
        direction = ray @ pose[k, :3, :3].T
        wall = np.where(direction > 0, ROOM_M, 0.0)
        with np.errstate(divide="ignore"):
            depth = np.abs((wall - pose[k, :3, 3]) / direction).min(axis=-1)
        depth = depth * 1000 + random.normal(0, 3, depth.shape)
        depth[random.random(depth.shape) < 0.02] = 0
        Image.fromarray(depth.astype(np.uint16)).save(folder / f"{k}.png")
    cameras = relabel.Cameras(key=[f"{k}" for k in range(count)], position=pose[:, :3, 3], pose=pose)
    return Frames(cameras, [str(folder / f"{k}.png") for k in range(count)], [FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2])


def repeated(frames: Frames, count: int) -> Frames:
    """`count` frames from the depth maps of these, each time around with the cameras a little elsewhere."""
    which = np.arange(count) % len(frames)
    pose = frames.cameras.pose[which].copy()
    again = np.arange(count) >= len(frames)
    pose[again, :3, 3] += np.random.default_rng(0).normal(0, SHIFT_M, (int(again.sum()), 3))
    cameras = relabel.Cameras(key=[f"{k}" for k in range(count)], position=pose[:, :3, 3], pose=pose)
    return replace(frames, cameras=cameras, depth=frames.depth[which], intrinsics=frames.intrinsics[which], image=None)


def nearest_neighbours(frames: Frames, rows: np.ndarray, columns: np.ndarray) -> tuple[str, float]:
    """Method, and seconds per pair with the clouds of both frames ready."""
    clouds = {int(k): thinned(frame_points(frames, int(k))) for k in {*rows.tolist(), *columns.tolist()}}
    try:
        import open3d

        name = f"Open3D {open3d.__version__}"
        ready = {k: open3d.geometry.PointCloud(open3d.utility.Vector3dVector(cloud)) for k, cloud in clouds.items()}

        def both(i: int, j: int) -> None:
            ready[i].compute_point_cloud_distance(ready[j])
            ready[j].compute_point_cloud_distance(ready[i])

    except ImportError:
        from scipy.spatial import cKDTree

        name = "SciPy's k-d tree"

        def both(i: int, j: int) -> None:
            for one, other in ((i, j), (j, i)):
                cKDTree(clouds[one]).query(clouds[other], distance_upper_bound=TOLERANCE_M)

    pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
    return name, median_seconds(lambda: [both(*pair) for pair in pairs], repeats=3) / len(pairs)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of one call, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def against_neighbours(frames: Frames, some: int, originals: int) -> None:
    """Print the cost per pair, and the errors of `some` pairs of the first, unmoved frames."""
    gather(surface.source(*2 * [repeated(frames, 2)], SurfaceParams(tolerance_m=TOLERANCE_M), device="cpu"))  # compiles
    source = surface.source(frames, frames, SurfaceParams(tolerance_m=TOLERANCE_M), device="cpu")
    source.decode()
    seconds, psi = timed(lambda: gather(source))
    n = len(frames)
    each = seconds / (n * (n - 1) / 2)
    value = psi.matrix.tocoo()
    near = np.flatnonzero((value.row < value.col) & (value.col < originals) & (value.data > 0.02))
    chosen = np.random.default_rng(0).choice(near, min(some, len(near)), replace=False)
    rows, columns = value.row[chosen].astype(np.int64), value.col[chosen].astype(np.int64)
    exact = pair_overlap(frames, frames, rows, columns, tolerance_m=TOLERANCE_M)
    name, theirs = nearest_neighbours(frames, rows, columns)
    print(f"\n## All pairs of {n:,} frames\n")
    head = ["by", "a pair", f"all {n * (n - 1) // 2:,} pairs", "ratio"]
    lines = [
        [f"{name}, {len(chosen)} pairs", f"{theirs * 1e3:,.1f} ms", f"{theirs * n * (n - 1) / 2:,.0f} s", ""],
        ["relabel, voxels to values", f"{each * 1e6:,.2f} µs", f"{seconds:,.2f} s", f"{theirs / each:,.0f}×"],
    ]
    table(head, lines)
    off = np.abs(value.data[chosen] - exact)
    print(f"\nmean difference from nearest neighbours on these pairs: {off.mean():.4f}, largest {off.max():.3f}")


def frames_to_file(frames: Frames, folder: Path) -> None:
    """Print the time of decoding alone, and of the complete job into a label file."""
    threads = thread_count(None)

    def decode() -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(read_depth, frames.depth.tolist()):
                pass

    def pillow(path: str) -> np.ndarray:
        with Image.open(path) as image:
            return np.asarray(image)

    def decode_by_pillow() -> None:
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(pillow, frames.depth.tolist()):
                pass

    def label() -> None:
        made = surface.source(frames, frames, SurfaceParams(tolerance_m=TOLERANCE_M), device="cpu")
        relabel.write(folder / "bench.h5", {"scene": made}, overwrite=True)

    theirs, alone, whole = alternating(
        {"pillow": decode_by_pillow, "decode": decode, "label": label}, repeats=3
    ).values()
    print(f"\n## {len(frames):,} frames to a label file, {threads} threads\n")
    lines = [
        [what, f"{seconds:,.2f} s", f"{seconds / len(frames) * 1e3:,.2f} ms", f"{seconds / theirs:.2f}×"]
        for what, seconds in (
            ("decoding alone, Pillow", theirs),
            ("decoding alone", alone),
            ("depth maps to label file", whole),
        )
    ]
    table(["what", "all", "a frame", "ratio"], lines)


def gemm(occupancies: Occupancies) -> np.ndarray:
    """s_query of all pairs by products of dense float32 matrices, a range of voxels at a time."""
    n, side = len(occupancies.query), occupancies.query
    frame = np.repeat(np.arange(n), side.size)
    around = occupancies.space.neighbour[side.voxel]
    total = np.zeros((n, n), np.float32)
    for low in range(0, len(occupancies.space), GEMM_COLUMNS):
        width = min(GEMM_COLUMNS, len(occupancies.space) - low)
        own, near = np.zeros((n, width), np.float32), np.zeros((n, width), np.float32)
        inside = (side.voxel >= low) & (side.voxel < low + width)
        own[frame[inside], side.voxel[inside] - low] = 1.0
        row, step = np.nonzero((around >= low) & (around < low + width))
        near[frame[row], around[row, step] - low] = 1.0
        total += own @ near.T
    return total.astype(np.int32)


def joined(found: Iterable[FrameBricks]) -> Occupancies:
    """The voxels of some frames in one space."""
    builder = OccupancyBuilder()
    for one in found:
        builder.add(0, one.code, one.word)
    return builder.build(same=True)


def stride_set(frames: Frames) -> Voxeliser:
    """What decodes and projects these frames, every other row and column of pixels."""
    return Voxeliser(frames, SurfaceParams(tolerance_m=TOLERANCE_M, stride=STRIDE))


def engines(occupancies: Occupancies, device: str) -> None:
    """Print the time of counting all pairs by each engine; all counts are compared with each other."""
    n = len(occupancies.query)
    whole = slice(0, n)

    def by_bits() -> object:
        return BitsetCounter(occupancies, "surface").counts(whole, whole).s_query

    def by_torch(where: str) -> object:
        return (
            gpu_counter.torch_counter(occupancies, "surface", device=where, memory_bytes=2**32)
            .counts(whole, whole)
            .s_query
        )

    ways = {
        "bit sets, numba": by_bits,
        "blocked products, numpy float32": lambda: gemm(occupancies),
    }
    if importlib.util.find_spec("torch") is not None:
        importlib.import_module("torch")
        ways["products, torch on the CPU"] = lambda: by_torch("cpu")
    if device == "cuda":
        ways["products, torch on the GPU"] = lambda: by_torch("cuda")
    by_bits()
    _ = occupancies.space.neighbour, occupancies.query.voxel
    lines, first = [], None
    for name, way in ways.items():
        seconds, counts = timed(way)
        first = counts if first is None else first
        assert (counts == first).all(), name
        lines.append([name, f"{seconds:,.2f} s", f"{seconds / (n * (n + 1) / 2) * 1e6:,.2f} µs"])
    print(f"\n## Counting the pairs of {n:,} frames, {len(occupancies.space):,} voxels; all counts are equal\n")
    table(["by", "all", "a pair"], lines)


class Ready(Voxeliser):
    """Decoded depth maps, repeated."""

    def __init__(self, frames: Frames, params: SurfaceParams, decoded: list[np.ndarray]) -> None:
        super().__init__(frames, params)
        self._decoded = decoded

    def depth(self, row: int) -> np.ndarray:
        """The depth map of a frame."""
        return self._decoded[row % len(self._decoded)]


def on_gpu(frames: Frames, count: int) -> None:
    """Print the time of each step from decoded depth maps to counts on a GPU, and the limits of the GPU."""
    import torch

    many = repeated(frames, count)
    decoded = [stride_set(frames).depth(k) for k in range(min(len(frames), count))]
    ready = Ready(many, SurfaceParams(tolerance_m=TOLERANCE_M, stride=STRIDE), decoded)

    def voxels() -> list:
        return list(gpu_voxels.voxelise_in_batches(ready, range(count), None, device="cuda"))

    voxels()
    first, found = timed(voxels)
    second, occupancies = timed(lambda: joined(found))
    third, counting = timed(lambda: gpu_counter.torch_counter(occupancies, "surface", device="cuda"))
    fourth, _ = timed(lambda: counting.counts(slice(0, count), slice(0, count)))
    block = torch.zeros(2**30, dtype=torch.uint8).pin_memory()
    side = 8192
    ones = torch.ones((side, side), dtype=torch.int8 if counting.product == "int8" else torch.float32, device="cuda")

    def copy() -> None:
        block.to("cuda")
        torch.cuda.synchronize()

    def multiply() -> None:
        gpu_counter.multiplied(ones, ones)
        torch.cuda.synchronize()

    copying, multiplying = 2**30 / median_seconds(copy), 2 * side**3 / median_seconds(multiply)
    used = sum(d[::STRIDE, ::STRIDE].nbytes for d in decoded) / len(decoded) * count
    least = 2 * count**2 * len(occupancies.space)
    best = f"{least / multiplying:,.3f} s for one dense product, {counting.product}, {multiplying / 1e12:,.0f} T/s"
    print(f"\n## {count:,} decoded frames on {torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    lines = [
        [
            "depth maps to voxels",
            f"{first:,.2f} s",
            f"{used / copying:,.3f} s to copy them at {copying / 1e9:,.1f} GB/s",
        ],
        ["voxels of all frames in one space, on the CPU", f"{second:,.2f} s", ""],
        ["up and dilated", f"{third:,.2f} s", ""],
        ["counting all pairs", f"{fourth:,.2f} s", best],
        ["together", f"{first + second + third + fourth:,.2f} s", ""],
    ]
    table(["what", "seconds", "the device at best"], lines)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000, help="of the scene")
    parser.add_argument("--pairs", type=int, default=60, help="whose nearest neighbours are found")
    parser.add_argument("--engine-frames", type=int, default=250, help="that engines are compared on")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--device-frames", type=int, default=7000, help="of the scene on a GPU")
    arguments = parser.parse_args()
    device = chosen(arguments.device)
    frame_cache.CACHE = frame_cache.FrameCache(0, 0)  # what is timed twice is decoded twice
    print(f"# Surface overlap\n\n{machine()}, relabel {relabel.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        frames = real_frames()
        what = "7Scenes, real" if frames is not None else "a made-up room"
        if frames is None:
            frames = room_frames(Path(folder), min(MADE_UP, arguments.frames))
        many = repeated(frames, arguments.frames)
        print(f"\n{what}: {len(many):,} frames from {min(len(frames), len(many)):,} depth maps")
        against_neighbours(many, arguments.pairs, len(frames))
        frames_to_file(many, Path(folder))
        few = min(arguments.engine_frames, len(many))
        engines(joined(map_in_order(stride_set(many).voxelise, range(few), None)), device)
        if device == "cuda":
            on_gpu(frames, arguments.device_frames)
        else:
            print("\nNo GPU: its rows are left out.")


if __name__ == "__main__":
    main()
