"""Where tensors are computed, in which precision, on how many threads, and how much memory that took."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from relabel.devices import chosen


def device_of(name: str = "auto") -> torch.device:
    """The device that ``auto``, ``cpu`` or ``cuda`` stands for, as `relabel.devices.chosen` has it.

    Raises
    ------
    OptionError
        when the name is not known, or there is no GPU that torch can use.
    """
    return torch.device(chosen(name))


def is_bf16(precision: str, device: torch.device) -> bool:
    """Whether forward passes are in bfloat16: where asked for, and by ``auto`` on a GPU that computes with it."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"


def peak_bytes(device: torch.device) -> int:
    """The most memory that was in use: what torch held on the GPU, else that of this process."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Torch computes on `count` threads inside the block, and on as many as before at its end; None changes nothing.

    On a CPU the last bits of a sum depend on how many threads it is split over.
    """
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count is not None:
            torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers from a seed for the time of the block; afterwards its generators are where they were.

    Models built in it begin with the same weights each time.
    """
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = [torch.cuda.current_device()] if started else []
    with torch.random.fork_rng(gpus):
        torch.manual_seed(seed)
        yield
