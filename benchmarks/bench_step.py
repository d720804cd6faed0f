"""A step of training: one batch of pairs, against the same batch in mini-batches of 2 pairs, and against triplets.

    python benchmarks/bench_step.py [--device auto|cpu|cuda] [--backbone NAME] [--size WxH] [--pairs 32] [--steps 10]

Images are noise that lies in memory, so that neither disk nor decoding counts. Without options it is ResNet-50 at 640 ×
480 if there is a GPU, else the small built-in network at 160 × 120. Mini-batches of 2 in float32 are the naive way to
train on pairs; mining triplets needs a matrix of similarities, which is random here.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import statistics
import time
from typing import NamedTuple

import numpy as np
import torch
from common import machine, table

import relabel
from relabel.devices import device_of, is_bf16
from relabel.images.loading import Batch
from relabel.training import TrainConfig, build_model, seeded
from relabel.training.loss_registry import LOSSES
from relabel.training.steps import TrainingStep, on_device, optimizer_of


class Known(NamedTuple):
    """The similarities of a batch of cameras."""

    psi: np.ndarray


def similarity(images: int) -> Known:
    """Symmetric ψ at random, of which a third is 0."""
    half = np.triu(np.random.default_rng(0).uniform(-0.5, 1.0, (images, images)), 1).clip(0.0)
    return Known((half + half.T).astype(np.float32))


def measured(
    step: TrainingStep, optimizer: torch.optim.Optimizer, batch: Batch, repeats: int
) -> tuple[float, float | None]:
    """Median seconds of a step as in `Trainer`, after two for warm-up, and on a GPU the peak memory, GiB."""
    ends = []
    if step.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for one in on_device(itertools.repeat(batch, repeats + 2), step.device):
        optimizer.zero_grad(set_to_none=True)
        loss = step.backward(one)
        optimizer.step()
        float(loss)
        ends.append(time.perf_counter())
    peak = torch.cuda.max_memory_allocated() / 2**30 if step.device.type == "cuda" else None
    return statistics.median(np.diff(ends)[1:].tolist()), peak


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    parser.add_argument("--backbone", help="resnet50 on a GPU, else tiny, where it is not told")
    parser.add_argument("--size", help="of the images, as WxH")
    parser.add_argument("--pairs", type=int, default=32, help="of a batch")
    parser.add_argument("--steps", type=int, default=10, help="whose median is printed")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # what is said of compiling
    device = device_of(given.device)
    large = device.type == "cuda"
    backbone = given.backbone or ("resnet50" if large else "tiny")
    width, height = map(int, (given.size or ("640x480" if large else "160x120")).split("x"))
    random, n = np.random.default_rng(0), given.pairs
    images = torch.from_numpy(random.integers(0, 256, (2 * n, 3, height, width), np.uint8))
    images = images.contiguous(memory_format=torch.channels_last)
    images = images.pin_memory() if large else images
    pairs = [(k, k, psi) for k, psi in enumerate(random.uniform(0.0, 1.0, n).tolist())]
    fast = is_bf16("auto", device)
    ways = [
        (f"pairs, one batch{', bf16' if fast else ', float32'}", "gcl", 1, fast),
        (f"pairs, one batch{', bf16' if fast else ', float32'}, compiled", "gcl", 1, fast),
        *([("pairs, one batch, float32", "gcl", 1, False)] if fast else []),
        ("pairs, mini-batches of 2, float32", "gcl", max(n // 2, 1), False),
        (f"triplets mined in the batch{', bf16' if fast else ', float32'}", "triplet", 1, fast),
    ]
    rows, first = [], None
    for what, loss, accumulate, bf16 in ways:
        with seeded(0):
            model = build_model(backbone).to(device, memory_format=torch.channels_last).train()
        config = TrainConfig(loss=loss, accumulate=accumulate, batch_size=n, compile=what.endswith("compiled"))
        step = TrainingStep(model, config, device, bf16=bf16, similarity=lambda cameras: similarity(len(cameras)))
        drawn = list(range(2 * n)) if LOSSES[loss].trains_on == "batches" else pairs
        batch = Batch(drawn=drawn, images=images, unreadable=[], asked=n)
        seconds, peak = measured(step, optimizer_of(config, model), batch, given.steps)
        first = first or seconds
        memory = "–" if peak is None else f"{peak:.2f} GiB"
        rows.append([what, f"{1e3 * seconds:,.1f} ms", f"{2 * n / seconds:,.0f}", f"{seconds / first:.2f}×", memory])
    name = torch.cuda.get_device_name() if large else f"{torch.get_num_threads()} threads of the CPU"
    print(f"# A step of training\n\n{machine()}, torch {torch.__version__}, relabel {relabel.__version__}; on {name}")
    print(f"\n{backbone}, {width} × {height} pixels, {n} pairs: {2 * n} images; median of {given.steps} steps\n")
    if not large:
        print("No GPU: bf16 and its peak memory are left out.\n")
    table(["step", "time", "images/s", "of the first", "peak memory"], rows)


if __name__ == "__main__":
    main()
