"""How much memory surface overlap may use on a device, and what happens if there is less."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from relabel.devices import Device, load_torch
from relabel.errors import OptionError

T = TypeVar("T")

SHARE = 0.8
"""The share of free GPU memory that may be used; fragmentation and the workspace of products need some, too."""
LEAST = 2**20
"""Blocks are not made smaller than this, bytes."""

log = logging.getLogger(__name__)


def memory_budget(device: Device, memory_bytes: int | None = None) -> int:
    """Bytes that may be used on a device: as given, but at most `SHARE` of the free memory of a GPU."""
    if device == "cpu":
        return LEAST * 1024 if memory_bytes is None else memory_bytes
    free, _ = load_torch().cuda.mem_get_info()
    most = int(free * SHARE)
    return most if memory_bytes is None else min(memory_bytes, most)


@dataclass
class Budget:
    """The bytes that blocks on a device may take, which decrease if the device turns out to have less.

    Parameters
    ----------
    size:
        bytes to begin with.
    least:
        blocks do not become smaller than this.
    """

    size: int
    least: int = LEAST
    _warned: bool = field(default=False, init=False)

    def within(self, work: Callable[[int], T]) -> T:
        """The result of `work`, called with the bytes it may take, and again with half of them if memory runs out.

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
            # Outside the handler, since the error keeps everything alive that was in memory when it was raised.
            if self.size <= self.least:
                raise OptionError(
                    f"the GPU is out of memory even for blocks of {self.size:,} bytes ({short}): stop other programs "
                    "that use it, see nvidia-smi, or use device='cpu'"
                )
            self.size = max(self.size // 2, self.least)
            report = log.debug if self._warned else log.warning
            report("the GPU is out of memory: continuing with smaller blocks, of at most %s bytes", f"{self.size:,}")
            self._warned = True
            load_torch().cuda.empty_cache()


def _out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, load_torch().cuda.OutOfMemoryError)


SHARE_OF_RAM = 0.25
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int:
    """Memory that this process can still use without swapping: that of the machine, or of its control group if less."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        free = _free_by_sysconf()
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        free = min(free, max(0, limit - int((_CGROUP / "memory.current").read_text(encoding="ascii"))))
    except (OSError, ValueError):
        pass  # no such group, or one without a limit, which says "max"
    return free


def _free_by_sysconf() -> int:
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * page
    except ValueError:  # macOS gives only the total; that half of it is free is a guess
        return os.sysconf("SC_PHYS_PAGES") * page // 2


def ram_budget(memory_bytes: int | None) -> int:
    """`memory_bytes`, or a quarter of what is free, and at least 64 MiB."""
    return max(2**26, int(SHARE_OF_RAM * free_bytes())) if memory_bytes is None else memory_bytes
