"""The notebooks run from start to end, and are stored with what they show."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FULL, REPOSITORY

FOLDER = REPOSITORY / "docs" / "notebooks"
NOTEBOOKS = {"rgbd", "street"}


def outputs(path: Path) -> list[list[str]]:
    """The kinds of output of each cell of code: png, html, plain or stream."""
    kinds = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            data = [kind for output in cell["outputs"] for kind in (output.get("data") or {"stream": 0})]
            kinds.append(sorted({kind.rpartition("/")[2] for kind in data}))
    return kinds


def test_are_readable_as_they_are() -> None:
    """Both have been run in order, show images and tables, are small, and name nothing of the machine they ran on."""
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == NOTEBOOKS
    for path in FOLDER.glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert len(text) < 500_000
        notebook = json.loads(text)
        code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
        shown = [kind for kinds in outputs(path) for kind in kinds]
        assert shown.count("png") >= 5
        assert shown.count("html") >= 5
        for place in (str(REPOSITORY), "/tmp/", "/home/", "/root/", "Traceback"):
            assert place not in text


slow = pytest.mark.skipif(not FULL, reason="slow; make test-faults runs it")


@pytest.mark.parametrize("name", ["street", pytest.param("rgbd", marks=slow)])
def test_run(tmp_path: Path, name: str, request: pytest.FixtureRequest) -> None:
    """Every cell runs, and shows the kinds of output that are stored."""
    for package in ("nbclient", "nbformat", "ipykernel", "pandas"):
        pytest.importorskip(package)
    if name == "rgbd":
        request.getfixturevalue("open3d")
    done = subprocess.run(
        [sys.executable, FOLDER / "execute.py", tmp_path, name],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert outputs(tmp_path / f"{name}.ipynb") == outputs(FOLDER / f"{name}.ipynb")
