"""Inputs for every command, a server that runs commands in forks, and how many faults are tried."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relabel
from tests.conftest import FULL, REPOSITORY
from tests.pipeline.rooms import room
from tests.similarities import similarity
from tests.trees import msls_tree, street

PATIENCE_S = 300.0  # for a command that takes less than a second


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder has the marker `faults`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("faults")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal that killed it), and what it said and did."""

    code: int
    stdout: str
    stderr: str
    operations: int
    duration_s: float

    def check_words(self) -> None:
        """No traceback reaches a user, and no fault of the input or of the disk is called one of relabel."""
        assert "Traceback" not in self.stderr, self.stderr
        assert "bug in relabel" not in self.stderr, self.stderr


class CommandServer:
    """Runs commands one after the other in forks of a process that has everything loaded."""

    def __init__(self, words: Path) -> None:
        self._words = words
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.command_server"],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY),
                "PYTHONFAULTHANDLER": "1",
                "SOURCE_DATE_EPOCH": "1700000000",
                "NUMBA_NUM_THREADS": "1",
            },
        )
        self._one_at_a_time = threading.Lock()

    def run(self, folder: Path, arguments: tuple[str, ...], **faults: Any) -> Ended:
        """Run one in `folder`, killed before operation `kill_before` or after a time, or short of disk or memory.

        `largest_file` and `most_memory` are in bytes.
        """
        stdout, stderr = self._words / "stdout", self._words / "stderr"
        request = {
            "folder": str(folder),
            "arguments": list(arguments),
            "stdout": str(stdout),
            "stderr": str(stderr),
            "patience_s": PATIENCE_S,
            **faults,
        }
        with self._one_at_a_time:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        assert not answer["hung"], f"relabel {' '.join(arguments)}: no end within {PATIENCE_S:g} s"
        return Ended(
            answer["code"],
            stdout.read_text(errors="replace"),
            stderr.read_text(errors="replace"),
            answer["operations"],
            answer["duration_s"],
        )

    def close(self) -> None:
        """End the server."""
        self._process.communicate()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandServer]:
    """One for all tests of a process."""
    started = CommandServer(tmp_path_factory.mktemp("words"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `inputs`, beside which the commands run in folders of their own."""
    base = tmp_path_factory.mktemp("faults")
    inputs = base / "inputs"
    msls_tree(inputs / "city", query=street(12), database=street(12, prefix="d"))
    room(inputs / "room", 5)
    both = {"amman": similarity(12, 15, seed=4, faults=False), "room": similarity(8, seed=2, self_pairs=True)}
    relabel.write(inputs / "labels.h5", both)
    relabel.write(inputs / "other.h5", {"other": similarity(5, 6, seed=7)})
    (inputs / "pairs.csv").write_text("query,database,value\na,x,0.5\nb,y,0.25\nb,x,1.0\n")
    rows = "".join(f"k{i},{35.9 + i * 1e-4},31.95,{10 * i}\n" for i in range(8))
    (inputs / "table.csv").write_text(f"key,lon,lat,heading\n{rows}")
    descriptors = inputs / "descriptors"
    descriptors.mkdir()
    rng = np.random.default_rng(0)
    collection = both["amman"].collection
    for side, cameras in ("query", collection.query), ("database", collection.database):
        np.save(descriptors / f"{side}.npy", rng.normal(size=(len(cameras), 4)).astype(np.float32))
        (descriptors / f"{side}.txt").write_text("".join(f"{key}\n" for key in cameras.key))
    return base


def contents(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, hidden files and empty folders too: names and bytes, None for a folder."""
    return {
        str(entry.relative_to(folder)): None if entry.is_dir() else entry.read_bytes()
        for entry in sorted(folder.rglob("*"))
    }


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` numbers below `count`, spread evenly with both ends among them; all of them in full."""
    if FULL or count <= wanted:
        return list(range(count))
    return sorted({round(i * (count - 1) / (wanted - 1)) for i in range(wanted)})
