"""A label file to look into, and two ways to run the command line: in this process, and as a user does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import relabel
from relabel.labelfile import provenance
from relabel.similarity import Similarity
from tests.similarities import similarity

SCRIPT = str(Path(sys.executable).parent / "relabel")


@pytest.fixture(scope="session")
def similarities() -> dict[str, Similarity]:
    """What the label file of these tests holds: one collection of two sides, one of self pairs in a nested group."""
    return {
        "amman": similarity(30, 40, seed=1),
        "redkitchen/train": similarity(20, seed=2, self_pairs=True),
    }


@pytest.fixture(scope="session")
def labels(tmp_path_factory: pytest.TempPathFactory, similarities: dict[str, Similarity]) -> Path:
    """A label file with two collections."""
    path = tmp_path_factory.mktemp("labels") / "both.h5"
    record = provenance.step("relabel test", {"seed": 1}, [])
    relabel.write(path, similarities, provenance=[record])
    return path


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory, similarities: dict[str, Similarity]) -> Path:
    """A label file with one collection."""
    path = tmp_path_factory.mktemp("labels") / "one.h5"
    relabel.write(path, {"amman": similarities["amman"]})
    return path


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A label file whose pairs are more text than a pipe holds."""
    path = tmp_path_factory.mktemp("labels") / "large.h5"
    relabel.write(path, {"amman": similarity(300, 300, seed=3, density=0.9, faults=False)})
    return path


@pytest.fixture
def run() -> Callable[..., Result]:
    """Run `relabel` with the arguments in this process."""
    from relabel.cli.app import app

    def invoke(*arguments: object, **kwargs: Any) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], prog_name="relabel", **kwargs)

    return invoke


@pytest.fixture
def script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the installed `relabel` with the arguments as a process of its own."""

    def start(*arguments: object, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPT, *map(str, arguments)], check=False, capture_output=True, text=True, timeout=60, **kwargs
        )

    return start


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
