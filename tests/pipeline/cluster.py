"""A Dask scheduler and workers, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import relabel


class Cluster(NamedTuple):
    """The processes, to be killed, and the address of the scheduler."""

    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


@contextmanager
def cluster(folder: Path, workers: int = 2) -> Iterator[Cluster]:
    """A scheduler with workers, all of them there; they are ended with the block."""
    import distributed

    file = folder / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(Path(relabel.__file__).parents[1])}

    def started(role: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (folder / f"{role}.log").open("ab") as log:
            command = [sys.executable, "-m", "dask", role, "--scheduler-file", str(file), "--no-dashboard", *arguments]
            return subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)

    processes = [started("scheduler", "--port", "0", "--host", "127.0.0.1")]
    try:
        processes += [
            started("worker", "--nthreads", "1", "--no-nanny", "--local-directory", str(folder)) for _ in range(workers)
        ]
        with distributed.Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
            address = client.scheduler.address
        yield Cluster(address, processes[0], processes[1:])
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
