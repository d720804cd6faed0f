"""Processes that stop at a point that is reached for certain, to be killed there or to be let go on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def stop(*_: object, **__: object) -> None:
    """In the child: say that the point is reached, and wait until the parent writes a line or ends."""
    sys.stdout.write("here\n")
    sys.stdout.flush()
    sys.stdin.readline()


@contextmanager
def stopped(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs `script` and has reached a call of `stop`; it is killed at the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "here\n", process.communicate()
            yield process
        finally:
            process.kill()


def killed(script: str, *arguments: object) -> None:
    """Run `script` until it calls `stop`, and kill it there (SIGKILL)."""
    with stopped(script, *arguments):
        pass


def goes_on(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Let a stopped process go on; its status, and what it says until it ends."""
    out, err = process.communicate("\n")
    return process.returncode, out, err
