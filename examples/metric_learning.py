"""Train on graded labels with a loss of pytorch-metric-learning, which knows positive and negative pairs.

pip install pytorch-metric-learning
python examples/metric_learning.py LABELS.h5 amman 'MSLS/train_val/amman/{side}/images/{key}.jpg' [STEPS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from plain_pytorch import pictures

import relabel
from relabel.exchange.pml import indices_tuple
from relabel.labelfile import StoredCollection
from relabel.training import GradedPairSampler, build_model

Indices = tuple[torch.Tensor, ...]


def batch_pairs(stored: StoredCollection, queries: np.ndarray, database: np.ndarray) -> Indices:
    """All pairs of a batch with ψ ≥ 0.5 and all true zeros, as the ``indices_tuple`` that the losses take."""
    return tuple(torch.from_numpy(numbers) for numbers in indices_tuple(stored, queries, database, threshold=0.5))


def main(labels: str, collection: str, template: str, steps: int = 100, loss: Callable[..., Any] | None = None) -> None:
    """Train a small network with their contrastive loss, or another one that takes pairs."""
    if loss is None:
        from pytorch_metric_learning.losses import ContrastiveLoss  # noqa: PLC0415

        loss = ContrastiveLoss(pos_margin=0, neg_margin=0.5)
    stored = relabel.LabelFile(labels)[collection]
    sampler = GradedPairSampler(stored, seed=0)
    model = build_model("tiny")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(steps):
        drawn = sampler.draw(8)
        x0 = model(pictures(template, "query", sampler.queries[drawn.query]))
        x1 = model(pictures(template, "database", sampler.database[drawn.database]))
        value = loss(x0, indices_tuple=batch_pairs(stored, drawn.query, drawn.database), ref_emb=x1)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        print(f"step {step} loss {value.item():.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:]))
