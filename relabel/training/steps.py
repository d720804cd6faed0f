"""One step of training: the gradient of a batch's loss, in one forward pass or in several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from relabel.images.loading import Batch, normalised
from relabel.training.checkpoint import random_states, set_random_states
from relabel.training.config import TrainConfig
from relabel.training.loss_registry import LOSSES

Similarity = Callable[[Sequence[int]], Any]

log = logging.getLogger(__name__)


class TrainingStep:
    """Computes the gradient of a model for one batch after another.

    Parameters
    ----------
    model:
        maps (b, 3, h, w) float to (b, dim) descriptors; on its device.
    config:
        the loss, its margin, `accumulate`, and whether to `compile` the forward pass of full batches. If torch cannot,
        this is logged, and nothing is compiled.
    device, bf16:
        device of the model, and whether its forward pass is in bfloat16.
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
        whole = config.batch_size if self._on_batches else -(-config.batch_size // config.accumulate)
        self._whole = 2 * whole  # images
        self._compiled: Callable[[Tensor], Tensor] | None = None
        self._uncompiled = config.compile

    def backward(self, batch: Batch) -> Tensor:
        """Add the gradient of a batch's mean loss to that of the model's parameters.

        Parameters
        ----------
        batch:
            a batch with at least one item that could be read.

        Returns
        -------
        Tensor
            the mean loss, a float32 scalar on the device.
        """
        if self._uncompiled and batch.images is not None and len(batch.images) >= self._whole:
            self._uncompiled = False
            return self._compiling(batch)
        return self._backward(batch)

    def _compiling(self, batch: Batch) -> Tensor:
        """As `backward`, compiled for the first time; if that fails, the step runs uncompiled."""
        kept = [tensor.clone() for tensor in self.model.buffers()]
        gradients = [None if p.grad is None else p.grad.clone() for p in self.model.parameters()]
        states = random_states(self.device)
        log.info("compiling the model for %d images at a time, which may take a minute or more", self._whole)
        start = time.perf_counter()
        try:
            # A size of images for which it is compiled, and no other: each would be compiled anew.
            self._compiled = torch.compile(self._eager, dynamic=False)
            loss = self._backward(batch)
        except Exception as error:  # whatever a compiler, a driver or a model raise
            why = (str(error).strip() or type(error).__name__).splitlines()[0]
            log.warning("the model cannot be compiled and is trained without compilation: %s", why)
            self._compiled = None
        else:
            log.info("compiled in %.0f s", time.perf_counter() - start)
            return loss
        # Out of the handler, since the error holds on to all that was in memory when it was raised.
        with torch.no_grad():
            for tensor, before in zip(self.model.buffers(), kept, strict=True):
                tensor.copy_(before)
        for parameter, gradient in zip(self.model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        set_random_states(states, self.device)
        return self._backward(batch)

    def _backward(self, batch: Batch) -> Tensor:
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
        if self._compiled is None or len(images) != self._whole:
            return self._eager(images)
        return self._compiled(images)

    def _eager(self, images: Tensor) -> Tensor:
        floats = normalised(images).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            descriptors: Tensor = self.model(floats)
        return descriptors


def on_device(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches with their images on the device; to a GPU, they are copied while the previous batch is computed."""
    if device.type != "cuda":
        yield from batches
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ahead: Batch | None = None
    for batch in batches:
        images = batch.images
        if images is not None:
            with torch.cuda.stream(stream):
                images = images.to(device, non_blocking=True)
        if ahead is not None:
            yield ahead
        # What is computed from now on comes after the copy, which had all the time of the batch before.
        torch.cuda.current_stream(device).wait_stream(stream)
        if images is not None:
            images.record_stream(torch.cuda.current_stream(device))
        ahead = batch._replace(images=images)
    if ahead is not None:
        yield ahead


def optimizer_of(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer of a run over the trainable parameters of a model.

    Weight decay applies to matrices and convolutions only: biases, scales of normalisations and the exponent of GeM
    should not be pulled towards 0.
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
