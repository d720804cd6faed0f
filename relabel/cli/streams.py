"""Standard streams that a command can rely on, however it was started and whatever reads them."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import Any


def open_streams() -> None:
    """Open those of stdin, stdout and stderr that were closed at the start, and never let stderr fail.

    Text written to a closed stream, or to a stderr that fails, is lost; nothing else changes.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # It gets the lowest number that is free. Else the next file that is opened would get it, and what a
            # library writes to stderr would go into that file.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  it stays open
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
        raw = _Unfailing(2, "w", closefd=False)
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=True
        )


def drop_stdout() -> None:
    """Send what is still buffered for stdout nowhere, and what will be, so that neither complains nor blocks."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class _Unfailing(io.FileIO):
    """A stream that takes all that is written to it, though a closed pipe or a full disk loses it."""

    def write(self, data: Any) -> int:
        with suppress(OSError):
            return super().write(data) or len(data)
        return len(data)
