"""The device that is computed on: the CPU, or a GPU that is reached through torch; threads, memory and random numbers.

torch is loaded only where a GPU is asked for, or may well be there, and by the functions that deal in its types.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from relabel.errors import MissingPackageError, OptionError

if TYPE_CHECKING:
    import torch

Device = Literal["cpu", "cuda"]

DeviceChoice = Literal["auto", "cpu", "cuda"]
DEVICES: tuple[DeviceChoice, ...] = get_args(DeviceChoice)

log = logging.getLogger(__name__)


def chosen(device: str) -> Device:
    """The device to compute on: the one asked for, or for ``auto`` a GPU that torch can use, else the CPU.

    Parameters
    ----------
    device:
        ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    OptionError
        when the name is not known, or torch finds no GPU where one is asked for.
    MissingPackageError
        when a GPU is asked for and torch is not installed, or does not load.
    """
    if device not in DEVICES:
        raise OptionError(f"device {device!r} is not known; choose {', '.join(DEVICES)}")
    if device == "cpu":
        return "cpu"
    if device == "auto":
        # Loading torch takes seconds, to be spent only where there may be something to find.
        if not _driver_loads() or importlib.util.find_spec("torch") is None:
            return "cpu"
        try:
            return "cuda" if load_torch().cuda.is_available() else "cpu"
        except MissingPackageError as error:
            log.warning("%s; continuing without a GPU", error)
            return "cpu"
    torch = load_torch()
    if not torch.cuda.is_available():
        why = (
            "torch finds no GPU: check nvidia-smi, and whether CUDA_VISIBLE_DEVICES hides it"
            if torch.version.cuda or torch.version.hip
            else f"torch {torch.__version__} was built without CUDA: install a build with it, see pytorch.org"
        )
        raise OptionError(f"device cuda was requested, but {why}; or use device='cpu'")
    return "cuda"


def load_torch() -> Any:
    """The package torch.

    Raises
    ------
    MissingPackageError
        when it is not installed, or does not load.
    """
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise MissingPackageError(
                "torch is not installed, but the GPU needs it: pip install 'relabel-vpr[torch]', or use device='cpu'"
            ) from None
        raise _broken(error) from error
    except (ImportError, OSError) as error:
        raise _broken(error) from error


def device_of(name: str = "auto") -> torch.device:
    """The torch device that ``auto``, ``cpu`` or ``cuda`` stands for, as `chosen` has it.

    Raises
    ------
    OptionError
        when the name is not known, or there is no GPU that torch can use.
    """
    import torch  # noqa: PLC0415  slow to load

    return torch.device(chosen(name))


def is_bf16(precision: str, device: torch.device) -> bool:
    """Whether forward passes are in bfloat16: where asked for, and by ``auto`` on a GPU that computes with it."""
    import torch  # noqa: PLC0415  slow to load

    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"


def peak_bytes(device: torch.device) -> int:
    """The most memory that was in use, bytes: what torch held on the GPU, else that of this process."""
    import torch  # noqa: PLC0415  slow to load

    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else process_peak_bytes()


def process_peak_bytes() -> int:
    """The most memory that this process has had resident, bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux, where ru_maxrss begins with the memory of the process that started this one
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    import resource  # noqa: PLC0415  Unix has it

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Torch computes on `count` threads inside the block, and on as many as before at its end; None changes nothing.

    On a CPU the last bits of a sum depend on how many threads it is split over.
    """
    import torch  # noqa: PLC0415  slow to load

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
    import torch  # noqa: PLC0415  slow to load

    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    gpus = [torch.cuda.current_device()] if started else []
    with torch.random.fork_rng(gpus):
        torch.manual_seed(seed)
        yield


def _broken(error: Exception) -> MissingPackageError:
    return MissingPackageError(f"torch is installed but does not load ({error}): reinstall it, or use device='cpu'")


def _driver_loads() -> bool:
    """Whether the driver of an NVIDIA GPU can be loaded, or the kernel has one for AMD's."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True
