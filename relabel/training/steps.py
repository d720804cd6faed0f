"""One step of training: the gradient of a batch's loss, in one forward pass or in several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from relabel.images.loading import Batch, normalised
from relabel.training.config import TrainConfig
from relabel.training.loss_registry import LOSSES

Similarity = Callable[[Sequence[int]], Any]


class TrainingStep:
    """Computes the gradient of a model for one batch after another.

    Parameters
    ----------
    model:
        maps (b, 3, h, w) float to (b, dim) descriptors; on its device.
    config:
        the loss, its margin, and `accumulate`.
    device, bf16:
        where the model is, and whether its forward pass is in bfloat16.
    similarity:
        for losses that train on batches: the `BatchSimilarity` of the cameras of a batch.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        device: torch.device,
        *,
        bf16: bool = False,
        similarity: Similarity | None = None,
    ) -> None:
        self.model = model
        self.config = config
        self.device = device
        self.bf16 = bf16
        self._similarity = similarity
        spec = LOSSES[config.loss]
        self._on_batches = spec.trains_on == "batches"
        # Of pairs a sum, since a batch may be split into parts that differ by one pair in size.
        self._loss = spec.make(config.margin, "mean" if self._on_batches else "sum")

    def backward(self, batch: Batch) -> Tensor:
        """Add the gradient of a batch's mean loss to that of the model's parameters.

        Parameters
        ----------
        batch:
            with at least one item that could be read.

        Returns
        -------
        Tensor
            the mean loss, a float32 scalar on the device.
        """
        images = batch.images
        assert images is not None
        images = images.to(self.device, non_blocking=True)
        if self._on_batches:
            return self._of_cameras(images, batch.drawn)
        return self._of_pairs(images, torch.tensor([psi for _, _, psi in batch.drawn], dtype=torch.float32))

    def _of_pairs(self, images: Tensor, psi: Tensor) -> Tensor:
        n = len(psi)
        total = torch.zeros((), device=self.device)
        for part in np.array_split(np.arange(n), min(self.config.accumulate, n)):
            first, stop = int(part[0]), int(part[-1]) + 1
            both = images if stop - first == n else torch.cat((images[first:stop], images[n + first : n + stop]))
            x0, x1 = self._descriptors(both).chunk(2)
            loss = self._loss(x0, x1, psi[first:stop]) / n
            loss.backward()
            total += loss.detach()
        return total

    def _of_cameras(self, images: Tensor, cameras: Sequence[int]) -> Tensor:
        assert self._similarity is not None
        loss: Tensor = self._loss(self._descriptors(images), self._similarity(cameras).psi)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _descriptors(self, images: Tensor) -> Tensor:
        floats = normalised(images).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            descriptors: Tensor = self.model(floats)
        return descriptors


def optimizer_of(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a run over the parameters of a model that learn.

    Weight decay is for matrices and convolutions alone: biases, scales of normalisations and the power of GeM have
    values of their own to stay near, not 0.
    """
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in learning if parameter.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in learning if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)


def not_finite(model: nn.Module) -> str | None:
    """The name of the first parameter or buffer of a model that holds NaN or an infinity."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            return name
    return None
