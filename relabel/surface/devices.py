"""Where surface overlap is computed, how much memory it may take there, and what happens when there is less.

torch is loaded only where a GPU is asked for, or may well be there.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from relabel.errors import MissingPackageError, OptionError

T = TypeVar("T")
Device = Literal["cpu", "cuda"]

DEVICES = ("auto", "cpu", "cuda")
SHARE = 0.8
"""Of the memory that is free on a GPU, what may be used: fragments and the workspace of a product need some too."""
LEAST = 2**20
"""Bytes below which blocks are not made smaller."""

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
            return "cuda" if _torch().cuda.is_available() else "cpu"
        except MissingPackageError as error:
            log.warning("%s; going on without a GPU", error)
            return "cpu"
    torch = _torch()
    if not torch.cuda.is_available():
        why = (
            "torch finds no GPU: see what nvidia-smi says and whether CUDA_VISIBLE_DEVICES hides it"
            if torch.version.cuda or torch.version.hip
            else f"torch {torch.__version__} is built without CUDA: install a build with it, see pytorch.org"
        )
        raise OptionError(f"device cuda is asked for, but {why}; or go on with --device cpu")
    return "cuda"


def memory_budget(device: Device, memory_bytes: int | None = None) -> int:
    """Bytes that may be used on a device: those given, but never more than `SHARE` of what is free on a GPU."""
    if device == "cpu":
        return LEAST * 1024 if memory_bytes is None else memory_bytes
    free, _ = _torch().cuda.mem_get_info()
    most = int(free * SHARE)
    return most if memory_bytes is None else min(memory_bytes, most)


@dataclass
class Budget:
    """Bytes that blocks on a device may take, which become fewer when the device has less than was thought.

    Parameters
    ----------
    size:
        bytes to begin with.
    least:
        blocks do not become smaller than this.
    """

    size: int
    least: int = LEAST
    _told: bool = field(default=False, init=False)

    def within(self, work: Callable[[int], T]) -> T:
        """What `work` returns, called with the bytes it may take; again with half of them where memory runs out.

        Raises
        ------
        OptionError
            when memory runs out with the smallest blocks as well.
        """
        while True:
            try:
                return work(self.size)
            except RuntimeError as error:
                if not _out_of_memory(error):
                    raise
                short = str(error).splitlines()[0]
            # Out of the handler, since the error holds on to all that was in memory when it was raised.
            if self.size <= self.least:
                raise OptionError(
                    f"the GPU is out of memory even for blocks of {self.size:,} bytes ({short}): end other programs "
                    "that use it, see nvidia-smi, or go on with --device cpu"
                )
            self.size = max(self.size // 2, self.least)
            say = log.debug if self._told else log.warning
            say("the GPU is out of memory: going on in smaller blocks, of %s bytes at most", f"{self.size:,}")
            self._told = True
            _torch().cuda.empty_cache()


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, _torch().cuda.OutOfMemoryError)


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise MissingPackageError(
                "torch is not installed, and a GPU is reached through it: pip install 'relabel-vpr[torch]', "
                "or go on with --device cpu"
            ) from None
        raise _broken(error) from error
    except (ImportError, OSError) as error:
        raise _broken(error) from error


def _broken(error: Exception) -> MissingPackageError:
    return MissingPackageError(
        f"torch is installed but does not load ({error}): install it again, or go on with --device cpu"
    )


def _driver_loads() -> bool:
    """Whether the driver of an NVIDIA GPU can be loaded, or the kernel has one for AMD's."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True
