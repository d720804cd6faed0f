"""The documentation builds as a website, without a warning and without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

for package in ("sphinx", "furo", "myst_parser", "sphinx_click", "sphinx_copybutton"):
    pytest.importorskip(package)


def test_site(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-c", "docs", ".", tmp_path],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
    )
    assert built.returncode == 0, built.stderr
    start = (tmp_path / "docs" / "start.html").read_text(encoding="utf-8")
    assert "relabel sample msls" in re.sub("<[^>]*>", "", start)
    assert "generalized_contrastive_loss" in (tmp_path / "docs" / "api" / "training.html").read_text(encoding="utf-8")
    assert "--max-heading-difference" in (tmp_path / "docs" / "commands.html").read_text(encoding="utf-8")
