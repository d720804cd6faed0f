"""Runs `relabel` commands in forks of one process that has everything loaded, and ends them where they are told to.

    python -m tests.faults.command_server

A request is a line of JSON on stdin, an answer one on stdout. A fork takes a few milliseconds where a process of its
own takes a second to load, so that a command can be killed at every one of its file operations.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

_LOADED_LATER = (
    "encodings.utf_8_sig",
    "matplotlib.backends.backend_svg",
    "matplotlib.figure",
    "matplotlib.style",
    "multiprocessing.synchronize",
    "numba.parfors.parfor_lowering",
    "pandas",  # by pyarrow, wherever it is installed
    "pyarrow.csv",
    "pyarrow.parquet",
    "pyproj",
)
"""What commands load while they run. Each fork would load it again, which takes longer than most commands."""

_CHANGES = {"os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


def _changing(event: str, arguments: tuple[Any, ...], folder: str) -> bool:
    """Whether an audited event is about to change something in the folder."""
    if event == "open":
        path, _, flags = arguments
        if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            return False
        paths: tuple[Any, ...] = (path,)
    elif event in _CHANGES:
        paths = arguments[:2] if event in ("os.rename", "os.link", "os.symlink") else arguments[:1]
    else:
        return False
    return any(
        isinstance(path, str | bytes | os.PathLike) and str(Path.cwd() / os.fsdecode(path)).startswith(folder)
        for path in paths
    )


def _kill_before(operation: int | None, count: Callable[[], None], folder: str) -> None:
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if _changing(event, arguments, folder):
            if seen == operation:
                os.kill(os.getpid(), signal.SIGKILL)
            seen += 1
            count()

    sys.addaudithook(hook)


def _run(request: dict[str, Any], counted: int) -> None:
    """Be the command, in a fork; `counted` is the pipe that gets a byte for each file operation."""
    os.setpgid(0, 0)
    folder = Path(request["folder"])
    os.chdir(folder)
    for stream, path in ((0, os.devnull), (1, request["stdout"]), (2, request["stderr"])):
        descriptor = os.open(path, os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    if request.get("largest_file") is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"],) * 2)
    if request.get("most_memory") is not None and sys.platform.startswith("linux"):
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + request["most_memory"],) * 2)
    _kill_before(request.get("kill_before"), lambda: os.write(counted, b".") and None, f"{folder}/")
    sys.argv = ["relabel", *request["arguments"]]
    from relabel.cli import main

    code = 70
    try:
        main()
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 120  # as Python itself leaves when it cannot flush
        os._exit(code)


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    reading, counted = os.pipe()
    os.set_blocking(counted, False)
    sys.stdout.flush()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run(request, counted)
    os.close(counted)
    timers = []
    for after in (request.get("kill_after_s"), request["patience_s"]):
        if after is not None:
            timers.append(threading.Timer(after, os.kill, (child, signal.SIGKILL)))
            timers[-1].start()
    operations = 0
    while data := os.read(reading, 65536):
        operations += len(data)
    os.close(reading)
    # The timers must be through before the number of the process is free for another one.
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    for timer in timers:
        timer.cancel()
        timer.join()
    _, status = os.waitpid(child, 0)
    taken = time.monotonic() - start
    return {
        "code": os.waitstatus_to_exitcode(status),
        "operations": operations,
        "duration_s": taken,
        "hung": taken >= request["patience_s"],
    }


def main() -> None:
    """Serve until stdin ends. Whatever is loaded here starts no thread before the fork."""
    import relabel

    for module in pkgutil.walk_packages(relabel.__path__, "relabel."):
        if not module.name.startswith("relabel.training") and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _LOADED_LATER:
        importlib.import_module(name)
    # What numba loads when it first compiles; a parallel loop would start threads.
    numba.njit("f8(f8)")(lambda x: x)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_serve(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
