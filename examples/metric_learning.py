"""Train on graded labels with a loss of pytorch-metric-learning, which knows positive and negative pairs.

pip install pytorch-metric-learning
python examples/metric_learning.py LABELS.h5 amman 'MSLS/train_val/amman/{side}/images/{key}.jpg' [STEPS]
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from plain_pytorch import images
from pytorch_metric_learning.losses import ContrastiveLoss

import relabel
from relabel.exchange.pml import indices_tuple
from relabel.labelfile import StoredCollection
from relabel.training import GradedPairSampler, build_model

Indices = tuple[torch.Tensor, ...]


def batch_pairs(stored: StoredCollection, queries: np.ndarray, database: np.ndarray) -> Indices:
    """All pairs of a batch with ψ ≥ 0.5 and all true zeros, as the ``indices_tuple`` that the losses take."""
    return tuple(torch.from_numpy(numbers) for numbers in indices_tuple(stored, queries, database, threshold=0.5))


def main(labels: str, collection: str, template: str, steps: int = 100) -> list[float]:
    """Train a small network; the loss of every step."""
    torch.manual_seed(0)
    stored = relabel.LabelFile(labels)[collection]
    sampler = GradedPairSampler(stored, seed=0)
    model = build_model("tiny")
    loss_of = ContrastiveLoss(pos_margin=0, neg_margin=0.5)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for step in range(steps):
        drawn = sampler.draw(8)
        x0 = model(images(template, "query", sampler.queries[drawn.query]))
        x1 = model(images(template, "database", sampler.database[drawn.database]))
        loss = loss_of(x0, indices_tuple=batch_pairs(stored, drawn.query, drawn.database), ref_emb=x1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"step {step} loss {losses[-1]:.4f}")
    return losses


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
