"""Train on graded labels in a plain PyTorch loop.

python examples/plain_pytorch.py LABELS.h5 amman 'MSLS/train_val/amman/{side}/images/{key}.jpg' [STEPS]
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from PIL import Image

import relabel
from relabel.training import GradedPairSampler, build_model, generalized_contrastive_loss

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def images(template: str, side: str, keys: np.ndarray) -> torch.Tensor:
    """(b, 3, 120, 160) normalised images of cameras."""
    files = [Image.open(template.format(side=side, key=key)).convert("RGB").resize((160, 120)) for key in keys]
    return ((torch.from_numpy(np.stack(files)) / 255 - MEAN) / STD).permute(0, 3, 1, 2)


def main(labels: str, collection: str, template: str, steps: int = 100) -> list[float]:
    """Train a small network; the loss of every step."""
    torch.manual_seed(0)
    sampler = GradedPairSampler(relabel.LabelFile(labels)[collection], seed=0)
    model = build_model("tiny")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for step in range(steps):
        pairs = sampler.draw(8)
        x0 = model(images(template, "query", sampler.queries[pairs.query]))
        x1 = model(images(template, "database", sampler.database[pairs.database]))
        loss = generalized_contrastive_loss(x0, x1, pairs.psi, margin=0.5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
