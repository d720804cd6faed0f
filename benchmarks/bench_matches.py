"""Whether ψ measures what two images have in common: verified SIFT matches of frame pairs by ψ, distance and angle.

    python benchmarks/bench_matches.py [--pairs 60] [--root DIR]

Frames are those of `--root`, laid out as 7Scenes; else the real ones where they are present; else a room that is
rendered here. They are labelled by shared surface, from depth and poses alone, and as many pairs are drawn from each
tenth of ψ and from the true negatives. SIFT uses neither: keypoints are matched by the ratio test, both ways,
and a match counts where it agrees with the fundamental matrix that most agree with. It needs OpenCV
(`pip install '.[bench]'`). Intervals are those of a bootstrap over query frames, since pairs of one frame are not
independent of each other.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from common import DATA, machine, table
from scipy.stats import rankdata, spearmanr

import relabel
from relabel.datasets.seven_scenes.scene import readers
from relabel.images.paths import find_images
from relabel.pipeline.run import label
from relabel.pipeline.surface_part import surface_parts
from relabel.surface.params import SurfaceParams

FEATURES, RATIO, PIXELS = 2000, 0.8, 1.5
BANDS = 10
ENOUGH = 30  # matches; a number to compare bands by
Array = npt.NDArray[Any]


class Matcher:
    """Verified matches of two images; keypoints of an image are computed once."""

    def __init__(self, cv2: Any) -> None:
        self._cv2, self._sift, self._known = cv2, cv2.SIFT_create(FEATURES), {}
        self._matcher = cv2.BFMatcher(cv2.NORM_L2)

    def __call__(self, first: str, second: str) -> int:
        """Number of verified matches."""
        (points0, words0), (points1, words1) = self._features(first), self._features(second)
        if min(len(points0), len(points1)) < 2:
            return 0
        there, back = self._best(words0, words1), self._best(words1, words0)
        pairs = [(i, j) for i, j in there.items() if back.get(j) == i]
        if len(pairs) < 8:  # as many as a fundamental matrix takes
            return 0
        rows, columns = np.transpose(pairs)
        self._cv2.setRNGSeed(0)
        try:
            _, inliers = self._cv2.findFundamentalMat(
                points0[rows], points1[columns], self._cv2.USAC_MAGSAC, PIXELS, 0.999, 10_000
            )
        except self._cv2.error:  # of some sets of points it makes no matrix, and stumbles over that
            return 0
        return 0 if inliers is None else int(inliers.sum())

    def _features(self, path: str) -> tuple[Array, Array]:
        if path not in self._known:
            image = self._cv2.imread(path, self._cv2.IMREAD_GRAYSCALE)
            points, words = self._sift.detectAndCompute(image, None)
            self._known[path] = np.array([point.pt for point in points]), words
        return self._known[path]

    def _best(self, words: Array, others: Array) -> dict[int, int]:
        """The nearest other of each keypoint that is clearly nearer than the second."""
        both = self._matcher.knnMatch(words, others, k=2)
        return {a.queryIdx: a.trainIdx for a, b in both if a.distance < RATIO * b.distance}


def all_pairs(file: relabel.LabelFile, images: Path) -> dict[str, Array]:
    """All pairs of all collections whose ψ is known: query, paths, ψ, distance, angle."""
    parts = []
    for number, name in enumerate(file):
        stored = file[name]
        psi = stored.to_scipy().toarray()
        known = stored.query.ok[:, None] & stored.database.ok
        if stored.self_pairs:
            known &= np.tri(len(psi), k=-1, dtype=bool)  # each pair once, and no frame with itself
        i, j = np.nonzero(known)
        paths = find_images([stored], images)
        pose0, pose1 = stored.query.pose[i], stored.database.pose[j]
        ahead = np.einsum("ni,ni->n", pose0[:, :3, 2], pose1[:, :3, 2])
        parts.append(
            {
                "query": number * 10**6 + i,
                "first": paths.query[i],
                "second": paths.database[j],
                "psi": psi[i, j].astype(float),
                "distance": np.linalg.norm(pose0[:, :3, 3] - pose1[:, :3, 3], axis=1),
                "angle": np.degrees(np.arccos(np.clip(ahead, -1, 1))),
            }
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def evenly(every: dict[str, Array], a_band: int) -> dict[str, Array]:
    """As many pairs from each tenth of ψ and from the zeros."""
    random, chosen = np.random.default_rng(0), []
    for band in range(BANDS + 1):
        there = np.flatnonzero(band_of(every["psi"]) == band)
        chosen.append(random.choice(there, min(a_band, len(there)), replace=False))
    take = np.sort(np.concatenate(chosen))
    return {name: values[take] for name, values in every.items()}


def as_they_come(every: dict[str, Array], n: int) -> dict[str, Array]:
    """A number of pairs, drawn uniformly."""
    take = np.sort(np.random.default_rng(1).choice(len(every["psi"]), min(n, len(every["psi"])), replace=False))
    return {name: values[take] for name, values in every.items()}


def band_of(psi: Array) -> Array:
    """0 where ψ is 0, else 1 to 10 for (0, 0.1], (0.1, 0.2], …"""
    return np.ceil(np.round(psi * BANDS, 9)).astype(int)


def resampled(pairs: dict[str, Array], times: int) -> list[Array]:
    """Bootstrap samples: the pairs of as many query frames as there are, drawn with replacement."""
    random = np.random.default_rng(0)
    frames, which = np.unique(pairs["query"], return_inverse=True)
    of_frame = [np.flatnonzero(which == k) for k in range(len(frames))]
    return [np.concatenate([of_frame[k] for k in random.integers(len(frames), size=len(frames))]) for _ in range(times)]


def interval(values: list[float], form: str = ".2f") -> str:
    """95 % interval of a bootstrap."""
    low, high = np.percentile(values, (2.5, 97.5))
    return f"{low:{form}} to {high:{form}}"


def rank_correlation(x: Array, y: Array) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(x, y).statistic)


def partial(x: Array, y: Array, given: list[Array]) -> float:
    """Partial rank correlation of x and y, controlling for `given` by least squares on ranks."""
    ranks = np.column_stack([np.ones(len(x)), *(rankdata(z) for z in given)])
    rest = [rankdata(v) - ranks @ np.linalg.lstsq(ranks, rankdata(v), rcond=None)[0] for v in (x, y)]
    return float(np.corrcoef(*rest)[0, 1])


def correlations(pairs: dict[str, Array], matches: Array, samples: list[Array]) -> dict[str, tuple[str, str]]:
    """Each with its interval."""
    psi, distance, angle = pairs["psi"], pairs["distance"], pairs["angle"]
    measures: dict[str, Callable[[Any], float]] = {
        "ψ": lambda s: rank_correlation(psi[s], matches[s]),
        "distance": lambda s: rank_correlation(distance[s], matches[s]),
        "angle between optical axes": lambda s: rank_correlation(angle[s], matches[s]),
        "ψ, distance and angle held fixed": lambda s: partial(psi[s], matches[s], [distance[s], angle[s]]),
        "distance, ψ held fixed": lambda s: partial(distance[s], matches[s], [psi[s]]),
        "angle, ψ held fixed": lambda s: partial(angle[s], matches[s], [psi[s]]),
    }
    return {
        name: (f"{measure(slice(None)):.2f}", interval([measure(sample) for sample in samples]))
        for name, measure in measures.items()
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=60, help="of each tenth of ψ, and of the zeros")
    parser.add_argument("--common", type=int, default=300, help="pairs as they come, for correlations alone")
    parser.add_argument("--bootstrap", type=int, default=1000, help="resamplings")
    parser.add_argument("--frames", type=int, default=60, help="of each of the three walks in a rendered room")
    parser.add_argument("--root", type=Path, help="a tree like 7Scenes to take the frames from")
    given = parser.parse_args()
    try:
        import cv2
    except ImportError as error:
        parser.exit(f"OpenCV cannot be loaded ({error}); pip install '.[bench]'\n")
    logging.getLogger("relabel").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        root, real = given.root, DATA / "7scenes"
        if root is None and not real.is_dir():
            from relabel.synthetic.rooms import write_tree

            root = Path(folder) / "rooms"
            write_tree(root, frames=given.frames, seed=0, scene="room0")
        what = "7Scenes, real" if root is None else "frames of --root" if given.root else "a rendered room"
        root = root or real
        labels = Path(folder) / "labels.h5"
        label(surface_parts(readers(root), SurfaceParams()), labels)
        every, matcher = all_pairs(relabel.LabelFile(labels), root), Matcher(cv2)
        pairs, common = evenly(every, given.pairs), as_they_come(every, given.common)
        matches, common_matches = (
            np.array([matcher(*paths) for paths in zip(some["first"], some["second"], strict=True)])
            for some in (pairs, common)
        )
    samples = resampled(pairs, given.bootstrap)
    frames = len({*pairs["first"], *pairs["second"]})
    print(f"# Verified matches against labels\n\n{machine()}, OpenCV {cv2.__version__}, relabel {relabel.__version__}")
    print(
        f"\n{what}: {len(matches):,} pairs of {frames} frames, {given.pairs} from each tenth of ψ and from the zeros "
        f"where there are as many; ψ by shared surface (iou). SIFT, {FEATURES:,} keypoints, ratio test {RATIO} both "
        f"ways, fundamental matrix by MAGSAC with {PIXELS} pixels.\n"
    )
    rows = []
    for band in range(BANDS + 1):
        here = band_of(pairs["psi"]) == band
        if not here.any():
            continue
        low, middle, high = np.percentile(matches[here], (25, 50, 75))
        medians = [float(np.median(matches[sample][here[sample]])) for sample in samples if here[sample].any()]
        rows.append(
            [
                "0" if band == 0 else f"{(band - 1) / BANDS:.1f} to {band / BANDS:.1f}",
                str(here.sum()),
                f"{middle:.0f}",
                interval(medians, ".0f"),
                f"{low:.0f} to {high:.0f}",
                f"{(matches[here] >= ENOUGH).mean():.0%}",
                f"{np.median(pairs['distance'][here]):.2f} m",
                f"{np.median(pairs['angle'][here]):.0f}°",
            ]
        )
    head = ["ψ", "pairs", "median matches", "95 %", "quartiles", f"≥ {ENOUGH}", "median distance", "median angle"]
    table(head, rows)
    print(
        "\nRank correlation (Spearman) with the number of matches, over these pairs, and over "
        f"{len(common_matches)} pairs as they come:\n"
    )
    columns = [correlations(pairs, matches, samples)]
    columns.append(correlations(common, common_matches, resampled(common, given.bootstrap)))
    rows = [[name, *columns[0][name], *columns[1][name]] for name in columns[0]]
    table(["with", "spread over ψ", "95 %", "as they come", "95 %"], rows)


if __name__ == "__main__":
    main()
