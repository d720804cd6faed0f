"""What graded labels are worth: a small network, trained with each loss on the same frames, and its recall.

    python benchmarks/bench_learning.py [--steps 200] [--seeds 3] [--rates 0.001] [--sampled] [--root DIR]

Frames are those of `--root`, laid out as 7Scenes; else the real ones where they are present; else rooms that are
sampled here. Every loss starts from the same weights (those of the seed), sees as many images in as many steps of the
same optimiser and schedule, and is trained on the pairs of the train sequences, labelled by shared surface. Queries are
then frames of the test sequences, the database those of the train sequences, scene by scene; a positive has ψ ≥ 0.5.
Images are small, so that it takes minutes on a CPU; which loss is ahead here says little about large networks and
cities.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from common import DATA, machine, table
from PIL import Image

import relabel
from relabel.cores import available_cores
from relabel.datasets.seven_scenes.scene import readers
from relabel.evaluation.ground_truth import evaluation_set
from relabel.evaluation.places import of_labels
from relabel.labelfile import StoredCollection
from relabel.pipeline.run import label
from relabel.pipeline.surface_part import surface_parts
from relabel.surface.params import SurfaceParams
from relabel.training import Rule, TrainConfig, Trainer, build_model, evaluate_model, seeded
from relabel.training.loss_registry import LOSSES

SIZE = (96, 72)


class Run(NamedTuple):
    """A training run: what differs between them."""

    labels: Path
    images: Path
    loss: str
    rate: float
    steps: int
    batch_size: int
    seed: int


class Result(NamedTuple):
    """Retrieval scores of the descriptors, and how well their distances follow ψ."""

    recall_1: float
    recall_5: float
    ndcg_10: float
    spearman: float


def sampled_rooms(folder: Path, rooms: int, frames: int) -> Path:
    """Rooms of three walks each, as `relabel sample 7scenes` renders them."""
    from relabel.synthetic.rooms import write_tree

    for number in range(rooms):
        write_tree(folder, frames=frames, seed=number, scene=f"room{number}", overwrite=True)
    return folder


def small_images(root: Path, folder: Path) -> Path:
    """Copies of all colour images at the training size, so that decoding does not take most of the time."""
    for path in root.rglob("*.color.*"):
        copy = folder / path.relative_to(root).with_suffix(".png")
        copy.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            image.convert("RGB").resize(SIZE, Image.Resampling.BOX).save(copy)
    return folder


def trained(run: Run) -> Result:
    """Train, and evaluate the result; without a step, evaluate the initial weights."""
    torch.set_num_threads(1)  # as many runs at once as there are cores
    logging.getLogger("relabel").setLevel(logging.WARNING)
    file = relabel.LabelFile(run.labels)
    train, test = ([file[name] for name in file if name.endswith(end)] for end in ("/train", "/test-train"))
    with seeded(run.seed):
        model = build_model("tiny")
    config = TrainConfig(
        loss=run.loss,
        epochs=1,
        batch_size=run.batch_size,
        pairs_per_epoch=run.batch_size * max(run.steps, 1),
        optimizer="adamw",
        lr=run.rate,
        schedule="cosine",
        size=SIZE,
        seed=run.seed,
    )
    if run.steps:
        with tempfile.TemporaryDirectory() as folder:
            Trainer(config, model, train, run.images, folder, device="cpu").run()
    scenes = [evaluated(model, collection, run.images) for collection in test]
    return Result(*np.mean(scenes, axis=0).tolist())


def evaluated(model: torch.nn.Module, test: StoredCollection, images: Path) -> Result:
    """Scores of a scene."""
    of = evaluation_set(of_labels([test]), Rule(psi=0.5))
    found = evaluate_model(model, of, images, SIZE, (1, 5, 10), device="cpu").to_json()
    recall = found["recall"]
    return Result(recall["1"], recall["5"], found["graded"]["ndcg"]["10"], -found["distance_psi"]["spearman"])


def spread(values: list[float], form: str) -> str:
    """Mean and range, as text."""
    mean, least, most = (format(value, form) for value in (np.mean(values), min(values), max(values)))
    return f"{mean} ({least} to {most})" if len(values) > 1 else mean


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="of the optimiser")
    parser.add_argument("--batch-size", type=int, default=32, help="pairs of a step; triplets have as many images")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each loss")
    parser.add_argument("--rates", default="0.001", help="learning rates that each loss is tried with, with commas")
    parser.add_argument("--sampled", action="store_true", help="take sampled rooms, also where there are real frames")
    parser.add_argument("--rooms", type=int, default=2, help="that are sampled")
    parser.add_argument("--frames", type=int, default=60, help="of each of the three walks in a sampled room")
    parser.add_argument("--root", type=Path, help="a tree like 7Scenes to take the frames from")
    given = parser.parse_args()
    logging.getLogger("relabel").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        work, real = Path(folder), DATA / "7scenes"
        use_real = given.root is None and not given.sampled and real.is_dir()
        root = given.root or (real if use_real else sampled_rooms(work / "rooms", given.rooms, given.frames))
        what = "frames of --root" if given.root else "7Scenes, real" if use_real else "sampled rooms"
        labels, images = work / "labels.h5", small_images(root, work / "small")
        label(surface_parts(readers(root), SurfaceParams()), labels)
        rates = [float(rate) for rate in given.rates.split(",")]
        settings = [("", 0.0), *((loss, rate) for loss in LOSSES for rate in rates)]
        runs = [
            Run(labels, images, loss or "gcl", rate or 1.0, given.steps if loss else 0, given.batch_size, seed)
            for loss, rate in settings
            for seed in range(given.seeds)
        ]
        with ProcessPoolExecutor(available_cores(), get_context("spawn")) as pool:
            results = np.reshape(list(pool.map(trained, runs)), (len(settings), given.seeds, 4))
        file = relabel.LabelFile(labels)
        sides = {
            end: [file[name].collection for name in file if name.endswith(end)] for end in ("/train", "/test-train")
        }
    queries, database = (
        sum(len(getattr(collection, side)) for collection in sides["/test-train"]) for side in ("query", "database")
    )
    print(f"# What graded labels are worth\n\n{machine()}, torch {torch.__version__}, relabel {relabel.__version__}")
    learnt = sum(len(collection.query) for collection in sides["/train"])
    print(
        f"\n{what}, {SIZE[0]} × {SIZE[1]} pixels: trained on {learnt:,} frames of the train sequences; {queries:,} "
        f"queries of the test sequences, {database:,} frames in the database"
    )
    print(
        f"\nNetwork `tiny`, GeM, AdamW, cosine schedule, {given.steps:,} steps of {2 * given.batch_size} "
        f"images; mean of {given.seeds} seeds, and least to largest\n"
    )
    lines = [
        [
            LOSSES[loss].title if loss else "untrained",
            f"{rate:g}" if rate else "",
            *(spread(list(result[:, k]), ".1%") for k in (0, 1)),
            *(spread(list(result[:, k]), ".3f") for k in (2, 3)),
        ]
        for (loss, rate), result in zip(settings, results, strict=True)
    ]
    table(["loss", "learning rate", "recall@1", "recall@5", "nDCG@10", "Spearman of nearness and ψ"], lines)


if __name__ == "__main__":
    main()
