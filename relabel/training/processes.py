"""Training in several processes, as ``torchrun`` starts them: rank and number of processes, and sums over all of them.

Each process draws its own share of every batch, and gradients are summed, so that the steps are those of one process to
the rounding of float32.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

import torch
from torch import distributed, nn

from relabel.errors import OptionError, RelabelError

_PATIENCE = timedelta(hours=12)  # the others wait while the first one validates; one that has died is noticed at once


class Processes(NamedTuple):
    """The processes that train together: the rank of this one, and how many there are."""

    rank: int = 0
    world_size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, reports and validates."""
        return self.rank == 0

    def total(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Sums of numbers over all processes, in float64."""
        if self.world_size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device=device)
        with _together():
            distributed.all_reduce(sums)
        return [float(value) for value in sums.tolist()]

    def sum_gradients(self, model: nn.Module, weight: float) -> None:
        """Replace each gradient of a model by the sum over all processes of `weight` times theirs."""
        if self.world_size == 1:
            return
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        has_gradient = [float(parameter.grad is not None) for parameter in learning]
        users = self.total(has_gradient, learning[0].device)
        # What no process has used keeps no gradient, so that the optimiser passes it over as it does in one process.
        for parameter in (parameter for parameter, used in zip(learning, users, strict=True) if used):
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad * weight
            gradient = gradient.contiguous()  # numbers are summed as they lie in memory
            with _together():
                distributed.all_reduce(gradient)
            parameter.grad = gradient

    def shared(self, state: Any) -> Any:
        """The plain values and CPU tensors of the first process, for all processes."""
        box = [state]
        if self.world_size > 1:
            with _together():
                distributed.broadcast_object_list(box, 0)
        return box[0]

    def share_tensors(self, model: nn.Module) -> None:
        """Give all processes the parameters and buffers of the first one's model."""
        if self.world_size == 1:
            return
        for tensor in model.state_dict().values():
            box = tensor.contiguous()
            with _together():
                distributed.broadcast(box, 0)
            tensor.copy_(box)

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.world_size > 1:
            with _together():
                distributed.barrier()


def local_device(device: torch.device) -> torch.device:
    """The device of this process: on a machine with several GPUs, the one that ``torchrun`` numbered for it."""
    if device.type != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())


def processes_of_environment() -> Processes:
    """The processes that train together, by torch's process group or the environment variables of ``torchrun``.

    Raises
    ------
    OptionError
        when these variables are not valid numbers.
    """
    if distributed.is_available() and distributed.is_initialized():
        return Processes(distributed.get_rank(), distributed.get_world_size())
    if not all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")):
        return Processes()  # some job schedulers set the first two alone
    try:
        rank, world_size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    except ValueError:
        rank = world_size = -1
    if not 0 <= rank < world_size:
        raise OptionError(
            f"RANK is {os.environ['RANK']!r} and WORLD_SIZE {os.environ['WORLD_SIZE']!r} in the environment; start "
            "several processes with torchrun, or unset both"
        )
    if world_size > 1 and not distributed.is_available():
        raise OptionError(f"torch {torch.__version__} is built without torch.distributed; train in one process")
    return Processes(rank, world_size)


@contextmanager
def joined(processes: Processes, device: torch.device) -> Iterator[None]:
    """Torch's process group for the duration of the block: NCCL for GPUs, else gloo; an existing one is reused."""
    if processes.world_size == 1 or distributed.is_initialized():
        yield
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    """Turn what torch raises when another process has ended into an error that says so."""
    try:
        yield
    except RuntimeError as error:
        reason = (str(error).splitlines() or [""])[0]
        raise RelabelError(f"another process of this run has ended ({reason}); see its output") from None
