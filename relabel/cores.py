"""How many processor cores there are to compute on."""

from __future__ import annotations

import os


def available_cores() -> int:
    """The number of cores that this process may run on, or all of the machine where the system does not tell them."""
    if hasattr(os, "sched_getaffinity"):  # Linux has it, macOS has not
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
