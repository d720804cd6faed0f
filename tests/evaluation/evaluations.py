"""Label files and descriptors for tests of evaluation, made in code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import relabel
from relabel.cameras import Cameras
from relabel.evaluation.descriptors import Descriptors, write_descriptors
from relabel.evaluation.ground_truth import EvaluationSet
from relabel.similarity import Similarity


def town(n: int = 30, m: int = 40, *, seed: int = 0, prefix: str = "") -> Similarity:
    """The overlap of cameras on whole metres, close enough that most queries have a positive; some are panoramas."""
    rng = np.random.default_rng(seed)

    def side(count: int, letter: str) -> Cameras:
        status = np.zeros(count, np.uint8)
        status[rng.random(count) < 0.1] = relabel.Status.PANORAMA
        heading = np.round(rng.uniform(0, 360, count))
        heading[rng.random(count) < 0.1] = np.nan
        return Cameras(
            key=[f"{prefix}{letter}{i:03d}" for i in range(count)],
            position=np.round(rng.uniform(0, 120, (count, 2))),
            heading_deg=heading,
            status=status,
        )

    return relabel.fov.overlap(side(n, "q"), side(m, "d"), fov_deg=90, radius_m=50)


def label_file(path: Path, **collections: Similarity) -> relabel.LabelFile:
    """A label file of some collections."""
    relabel.write(path, collections)
    return relabel.LabelFile(path)


def random_descriptors(ground_truth: EvaluationSet, d: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Descriptors that mean nothing."""
    rng = np.random.default_rng(seed)
    query, database = (rng.normal(size=(n, d)).astype(np.float32) for n in ground_truth.shape)
    return query, database


def descriptor_folder(folder: Path, cameras: tuple[Cameras, Cameras], seed: int = 0) -> Path:
    """Descriptors of all cameras of two sides, in another order than theirs."""
    rng = np.random.default_rng(seed)
    sides = []
    for each in cameras:
        key = rng.permutation(each.key)
        sides.append(Descriptors(key, rng.normal(size=(len(key), 5)).astype(np.float32)))
    write_descriptors(folder, *sides, overwrite=True)
    return folder
