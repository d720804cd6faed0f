"""Parts and functions for jobs that fail on purpose; at the top of a module, so that other processes find them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import relabel
from relabel import fov
from relabel.errors import InputError
from relabel.pipeline.parts import Opened, Progress


@dataclass(frozen=True)
class Stub:
    """A part whose dataset is one file, or that fails when it is opened."""

    name: str
    root: Path
    how: Literal["good", "fail", "die"] = "good"
    command = "relabel stub"

    def parameters(self) -> dict[str, Any]:
        return {"name": self.name}

    def open(
        self, *, threads: int | None = None, progress: Progress | None = None, memory_bytes: int | None = None
    ) -> Opened:
        if self.how == "die":
            os._exit(9)  # as the kernel ends a process that wants too much memory: nothing is cleaned up
        if self.how == "fail":
            raise InputError(f"{self.name}: is not good")
        file = self.root / f"{self.name}.txt"
        numbers = [float(word) for word in file.read_text().split()]
        cameras = relabel.Cameras(
            key=[f"{self.name}{k}" for k in range(len(numbers))],
            position=[(x, 0.0) for x in numbers],
            heading_deg=[90.0] * len(numbers),
        )
        return Opened(fov.source(cameras, cameras, threads=threads, progress=progress), (file,), ())


def stubs(root: Path, **how: Literal["good", "fail", "die"]) -> tuple[Stub, ...]:
    """Parts by name, with the file that each reads."""
    for name in how:
        (root / f"{name}.txt").write_text("0 10 25 70\n")
    return tuple(Stub(name, root, kind) for name, kind in how.items())


def square(number: int, threads: int | None) -> tuple[int, int | None, int]:
    """A result, the threads that the task got, and the process that it ran in."""
    return number * number, threads, os.getpid()


def call(function: Any, number: int, threads: int | None) -> Any:
    """Another of these functions."""
    return function(number, threads)


def refuse(number: int, threads: int | None) -> int:
    """Fail for 1."""
    if number == 1:
        raise InputError("1 is not good")
    return number


def gives_what_cannot_be_pickled(number: int, threads: int | None) -> Any:
    """A result that cannot leave its process."""
    return lambda: number


class TwoArguments(Exception):  # noqa: N818
    """An exception that pickle cannot make again."""

    def __init__(self, a: str, b: str) -> None:
        super().__init__(f"{a} {b}")


def raises_what_cannot_be_unpickled(number: int, threads: int | None) -> int:
    """Fail with an exception that would break the pool of its worker."""
    raise TwoArguments("a", "b")


def die_of_2(number: int, marker: Path, threads: int | None) -> int:
    """End the process without a word for 2, and for 3 where it is the first time."""
    if number == 2 or (number == 3 and not marker.exists()):
        marker.touch()
        os._exit(9)
    return number
