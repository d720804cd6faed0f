"""Error of labels by voxels relative to the exact definition of surface overlap, and the cost of a pair either way.

    python benchmarks/bench_surface_accuracy.py [--pairs 360] [--frames 30]

The definition: points thinned to one in 2 cm, shared where the other frame has a point within the tolerance τ; see
`relabel.reference.surface`. Frames are those of the redkitchen of 7Scenes where it is at hand, else of a synthetic
room. Pairs are drawn evenly over ψ, and as many as they come, which mostly have little in common. What a pair costs by
voxels is the time for all pairs of all frames by their number, after decoding.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, machine, table
from scipy.stats import spearmanr

import relabel
from relabel import surface
from relabel.cameras import Cameras
from relabel.datasets.seven_scenes import scene as seven_scenes
from relabel.errors import RelabelError
from relabel.frames import Frames
from relabel.reference.surface import CELL_M, pair_overlap

TOLERANCES_M = (0.03, 0.05, 0.10)
BINS = 12


def both_splits(scene: Path) -> Frames:
    """All frames of a scene, the training split first."""
    sides = [seven_scenes.read_split(scene, split).frames for split in ("train", "test")]
    cameras = Cameras(
        key=np.concatenate([side.cameras.key for side in sides]),
        position=np.concatenate([side.cameras.position for side in sides]),
        pose=np.concatenate([side.cameras.pose for side in sides]),
        status=np.concatenate([side.cameras.status for side in sides]),
    )
    depth = np.concatenate([side.depth for side in sides])
    intrinsics = np.concatenate([side.intrinsics for side in sides])
    return Frames(cameras, depth, intrinsics, sides[0].unit_m, size=sides[0].size)


class Estimates:
    """ψ of all pairs of frames by voxels, and the seconds that all pairs took."""

    def __init__(self, frames: Frames, **how: Any) -> None:
        made = surface.source(frames, frames, surface.SurfaceParams(**how), device="cpu")
        self.params = made.collection.params  # decodes
        start = time.perf_counter()
        blocks = list(made.blocks())
        self.seconds = time.perf_counter() - start
        n = len(frames)
        self.dense = np.zeros((n, n))
        for block in blocks:
            rows = block.first_row + np.repeat(np.arange(len(block.counts)), block.counts)
            self.dense[rows, block.indices] = block.data


class Sample:
    """Pairs with their exact ψ."""

    def __init__(self, frames: Frames, rough: np.ndarray, count: int) -> None:
        rng = np.random.default_rng(0)
        i, j = np.triu_indices(len(frames), 1)
        ok = frames.cameras.ok
        i, j = i[ok[i] & ok[j]], j[ok[i] & ok[j]]
        bins = np.minimum((rough[i, j] * BINS).astype(int), BINS - 1)
        evenly = [rng.permutation(np.flatnonzero(bins == b))[: -(-count // BINS)] for b in range(BINS)]
        some = rng.choice(len(i), min(count, len(i)), replace=False)
        # In the order of the frames, so that the oracle builds few trees twice.
        self.even, self.any = (slice(0, sum(map(len, evenly))), slice(sum(map(len, evenly)), None))
        chosen = np.concatenate([np.sort(np.concatenate(evenly)), np.sort(some)])
        self.rows, self.columns = i[chosen], j[chosen]
        self.exact: dict[float, np.ndarray] = {}
        self.seconds: dict[float, float] = {}
        for tolerance in TOLERANCES_M:
            start = time.perf_counter()
            self.exact[tolerance] = pair_overlap(frames, frames, self.rows, self.columns, tolerance_m=tolerance)
            self.seconds[tolerance] = (time.perf_counter() - start) / len(chosen)


def errors(estimate: np.ndarray, exact: np.ndarray) -> list[str]:
    """Mean absolute error, bias, largest error, and rank correlation."""
    difference = estimate - exact
    rank = spearmanr(estimate, exact).statistic if len(exact) > 2 else np.nan
    return [
        f"{np.abs(difference).mean():.4f}",
        f"{difference.mean():+.4f}",
        f"{np.abs(difference).max():.3f}",
        f"{rank:.5f}",
    ]


HEAD = ["MAE", "bias", "largest", "Spearman", "MAE as they come", "bias", "Spearman", "a pair"]


def line(sample: Sample, frames: Frames, tolerance: float, **how: Any) -> list[str]:
    """A row of a table."""
    try:
        found = Estimates(frames, **how)
    except RelabelError:
        return ["refused: far walls would have holes", *[""] * (len(HEAD) - 1)]
    values, exact = found.dense[sample.rows, sample.columns], sample.exact[tolerance]
    even, loose = errors(values[sample.even], exact[sample.even]), errors(values[sample.any], exact[sample.any])
    pairs = len(frames) * (len(frames) - 1) / 2
    return [*even, loose[0], loose[1], loose[3], f"{found.seconds / pairs * 1e6:.2f} µs"]


def report(frames: Frames, what: str, count: int) -> None:
    """Print the tables."""
    start = Estimates(frames)
    voxel, stride = float(start.params["voxel_m"]), int(start.params["stride"])
    sample = Sample(frames, start.dense, count)
    even, loose = (sample.exact[0.05][part] for part in (sample.even, sample.any))
    print(f"# Accuracy of surface labels\n\n{machine()}, relabel {relabel.__version__}\n")
    print(
        f"{what}: {len(frames):,} frames. {len(even):,} pairs evenly over ψ (mean {even.mean():.2f}), {len(loose):,} "
        f"as they come (mean {loose.mean():.2f}); measure iou. Exact: points thinned to one in {CELL_M * 100:g} cm, "
        "every pixel, KD-tree.\n"
    )
    few = slice(0, len(sample.rows), max(1, len(sample.rows) // 60))
    rows, columns = sample.rows[few], sample.columns[few]
    began = time.perf_counter()
    try:
        other = pair_overlap(frames, frames, rows, columns, backend="open3d")
        apart = f"{np.abs(other - sample.exact[0.05][few]).max():.1g}"
        table(
            ["the definition, decoding included", "largest difference", "a pair"],
            [
                ["KD-tree (SciPy)", "0", f"{sample.seconds[0.05] * 1e3:.0f} ms"],
                [f"Open3D ({len(rows)} pairs)", apart, f"{(time.perf_counter() - began) / len(rows) * 1e3:.0f} ms"],
            ],
        )
    except RelabelError as error:
        print(error)
    print(f"\nτ = 5 cm, stride {stride}, by the size of voxels (default {voxel * 100:g} cm):\n")
    lines = [
        [f"surface, {size * 100:g} cm", *line(sample, frames, 0.05, voxel_m=size, stride=stride)]
        for size in sorted({0.02, 0.025, 0.03, 0.035, 0.04, 0.05, voxel})
    ]
    lines += [
        [f"voxel-iou, {size * 100:g} cm", *line(sample, frames, 0.05, method="voxel-iou", voxel_m=size, stride=stride)]
        for size in (0.05, 0.10)
    ]
    table(["estimate", *HEAD], lines)
    print(f"\nτ = 5 cm, voxels of {voxel * 100:g} cm, by stride:\n")
    table(["stride", *HEAD], [[str(s), *line(sample, frames, 0.05, stride=s)] for s in (1, 2, 4)])
    print("\nBy tolerance, at the default stride:\n")
    lines = [
        [
            f"{tolerance * 100:g} cm",
            f"{share:g} τ",
            *line(sample, frames, tolerance, tolerance_m=tolerance, voxel_m=share * tolerance),
        ]
        for tolerance in TOLERANCES_M
        for share in (0.5, 0.55, 0.6)
    ]
    table(["τ", "voxels", *HEAD], lines)


def main() -> None:
    """Report on the real frames, or on those of a synthetic room."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=360, help="evenly over ψ, and as many as they come")
    parser.add_argument("--frames", type=int, default=30, help="of each sequence of the synthetic room")
    arguments = parser.parse_args()
    scene = DATA / "7scenes" / "redkitchen"
    if scene.is_dir():
        report(both_splits(scene), "redkitchen of 7Scenes, every fourth frame of a sequence (real)", arguments.pairs)
        return
    from relabel.synthetic.rooms import write_tree

    with tempfile.TemporaryDirectory() as folder:
        try:
            room = write_tree(folder, frames=arguments.frames)
        except RelabelError as error:
            print("# Accuracy of surface labels\n\nThere are no real frames to measure on, and:")
            print(error)
            return
        report(both_splits(room), "synthetic room", arguments.pairs)


if __name__ == "__main__":
    main()
