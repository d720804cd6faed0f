"""What a run says while it goes on: what is trained, each epoch, and pictures that cannot be read."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from relabel.errors import InputError
from relabel.training.config import TrainConfig
from relabel.training.devices import peak_bytes
from relabel.training.loading import Batch

log = logging.getLogger(__name__)

_NAMED = 10  # pictures that cannot be read and are named one by one


class Speed:
    """Pairs a second since it was made."""

    def __init__(self, pairs: int) -> None:
        self._pairs, self._began = pairs, time.perf_counter()

    def __call__(self, pairs: int) -> float:
        """With how many pairs the run has now."""
        return round((pairs - self._pairs) / max(time.perf_counter() - self._began, 1e-9), 1)


class Unread:
    """Names pictures that cannot be read, each once and only some; a strict run stops at the first."""

    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._paths: set[str] = set()

    def see(self, batch: Batch) -> None:
        """Look at what a batch could not read.

        Raises
        ------
        InputError
            when the run is strict and there is something.
        """
        for picture in batch.bad:
            if self._strict:
                raise InputError(f"{picture.reason}; without --strict its pairs are left out")
            if picture.path not in self._paths:
                self._paths.add(picture.path)
                if len(self._paths) <= _NAMED:
                    log.warning("%s; its pairs are left out", picture.reason)
                elif len(self._paths) == _NAMED + 1:
                    log.warning("more pictures cannot be read; they are counted")


def say_start(config: TrainConfig, model: nn.Module, device: torch.device, *, bf16: bool) -> None:
    """Say what is trained on what, and where accumulation does not give the gradient of a whole batch."""
    weights = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    log.info(
        "training %s weights on %s in %s: batches of %d pairs, pictures of %d×%d",
        *(f"{weights:,}", device, "bfloat16" if bf16 else "float32", config.batch_size, *config.size),
    )
    norms = sum(isinstance(module, _BatchNorm) and module.training for module in model.modules())
    if config.accumulate > 1 and norms:
        log.warning(
            "%d layers normalise by the pictures of a forward pass, which are at most %d of %d with accumulate %d: the "
            "gradient is not quite that of the whole batch",
            *(norms, 2 * -(-config.batch_size // config.accumulate), 2 * config.batch_size, config.accumulate),
        )


def say_epoch(epoch: int, epochs: int, told: Mapping[str, float], left_out: int, device: torch.device) -> None:
    """Say what came of an epoch, counted from 1."""
    numbers = ", ".join(f"{name.replace('_per_s', '/s')} {value:.4g}" for name, value in told.items())
    lost = f", {left_out} left out" if left_out else ""
    log.info("epoch %d of %d: %s, peak %.2f GiB%s", epoch, epochs, numbers, peak_bytes(device) / 2**30, lost)
