"""Damaged files, by the thousand: each is found out or says what it said before, and none takes the process with it.

The cases are numbered and repeat. ``RELABEL_FUZZ_CASES`` sets how many are run, ``RELABEL_FUZZ_FIRST`` the first.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from relabel.cores import available_cores
from tests.conftest import REPOSITORY
from tests.labelfile.fuzz_child import DAMAGE, KINDS, LAYOUTS

CASES = int(os.environ.get("RELABEL_FUZZ_CASES", "400"))
FIRST = int(os.environ.get("RELABEL_FUZZ_FIRST", "0"))
CHILDREN = min(2, available_cores())
PATIENCE_S = 60.0  # for one case, which takes a twentieth of a second


class Worker(threading.Thread):
    """Runs some cases in child processes, a new one whenever one has died or was stopped."""

    def __init__(self, folder: Path, numbers: range) -> None:
        super().__init__()
        self.folder = folder
        self.numbers = numbers
        self.results: list[dict[str, Any]] = []
        self.broken: list[str] = []

    def run(self) -> None:
        left = self.numbers
        while left:
            number, end = self.run_child(left)
            if end is None:
                return
            self.broken.append(f"case {number}: {end}")
            if number is None:
                return
            left = range(number + left.step, left.stop, left.step)

    def run_child(self, numbers: range) -> tuple[int | None, str | None]:
        """The case at which a child ended, and how; no words where it finished."""
        command = [sys.executable, "-W", "error", "-m", "tests.labelfile.fuzz_child", str(self.folder)]
        with (
            (self.folder / "stderr").open("w+") as errors,
            subprocess.Popen(
                [*command, str(numbers.start), str(numbers.stop), str(numbers.step)],
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONFAULTHANDLER": "1"},
            ) as child,
        ):
            assert child.stdout is not None
            current, end = self._follow(child, child.stdout.fileno())
            if end is None and child.wait():
                errors.seek(0)
                end = f"the process ended with {child.returncode}: {errors.read()[:3000]}"
            return current, end

    def _follow(self, child: subprocess.Popen[bytes], stream: int) -> tuple[int | None, str | None]:
        current: int | None = None
        rest = b""
        with selectors.DefaultSelector() as ready:
            ready.register(stream, selectors.EVENT_READ)
            while True:
                if not ready.select(PATIENCE_S):
                    child.kill()
                    return current, f"no answer within {PATIENCE_S:g} s"
                data = os.read(stream, 1 << 16)
                if not data:
                    return current, None
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(b">"):
                        current = int(line[1:])
                    else:
                        self.results.append(json.loads(line))


def run_cases(folder: Path, numbers: range) -> tuple[list[dict[str, Any]], list[str]]:
    """The results of all cases that came to an end, and what happened to the others."""
    workers = []
    for turn in range(CHILDREN):
        own = folder / str(turn)
        own.mkdir()
        workers.append(Worker(own, range(numbers.start + turn, numbers.stop, CHILDREN)))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [r for worker in workers for r in worker.results], [b for worker in workers for b in worker.broken]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[str]]:
    return run_cases(tmp_path_factory.mktemp("fuzz"), range(FIRST, FIRST + CASES))


class TestDamagedFiles:
    def test_none_takes_the_process_with_it(self, outcome: tuple[list[dict[str, Any]], list[str]]) -> None:
        """No damage crashes the interpreter, hangs it or fills the memory."""
        results, broken = outcome
        assert broken == []
        assert sorted(r["number"] for r in results) == list(range(FIRST, FIRST + CASES))

    def test_each_is_found_out_or_harmless(self, outcome: tuple[list[dict[str, Any]], list[str]]) -> None:
        """A damaged file is reported, or all that is read from it is as it was; reading it only raises our errors."""
        results, _ = outcome
        assert [r for r in results if r["faults"]] == []

    def test_the_damage_is_worth_its_name(self, outcome: tuple[list[dict[str, Any]], list[str]]) -> None:
        """Most damage is found out, some hits unused bytes, and every kind of file and of damage is among the cases."""
        results, _ = outcome
        found = Counter(r["valid"] for r in results)
        assert found[False] > found[True] > 0
        assert {r["kind"] for r in results} == set(KINDS)
        assert {r["layout"] for r in results} == set(LAYOUTS)
        assert {r["how"] for r in results} == set(DAMAGE)
