"""A fixture for tests that use torch; the conftest of each room that has such tests imports it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    """Every test computes on one thread with the same random numbers; afterwards torch is as it was.

    On one, since several test processes on few cores would wait for the threads of each other. With the same numbers in
    whatever order tests run, so that a failure repeats.
    """
    try:
        import torch
    except ImportError:  # tests that need it are skipped
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield
    torch.set_num_threads(before)
