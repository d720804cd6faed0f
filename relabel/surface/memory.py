"""How much memory may be used."""

from __future__ import annotations

import os
from pathlib import Path

SHARE = 0.25
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes() -> int:
    """Memory that this process could still take without swapping: of the machine, or of its control group if less."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = int((_CGROUP / "memory.max").read_text(encoding="ascii"))
        free = min(free, max(0, limit - int((_CGROUP / "memory.current").read_text(encoding="ascii"))))
    except (OSError, ValueError):
        pass  # no such group, or one without a limit, which says "max"
    return free


def budget(memory_bytes: int | None) -> int:
    """`memory_bytes`, or a quarter of what is free, and at least 64 MiB."""
    return max(2**26, int(SHARE * free_bytes())) if memory_bytes is None else memory_bytes
