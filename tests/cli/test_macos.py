"""Commands where the system calls of Linux are not there, in worker processes neither: what macOS has is enough."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from relabel.synthetic.msls import write_tree

Runner = Callable[..., Result]
Script = Callable[..., "subprocess.CompletedProcess[str]"]

# Python runs a module of this name before anything else, in every process.
WITHOUT = """
import os, platform, select

for name in ("sched_getaffinity", "sched_setaffinity", "memfd_create", "posix_fallocate", "O_TMPFILE", "eventfd"):
    if hasattr(os, name):
        delattr(os, name)
if hasattr(select, "poll"):
    del select.poll
sysconf = os.sysconf


def told(name):
    if name == "SC_AVPHYS_PAGES":
        raise ValueError("unrecognized configuration name")
    return sysconf(name)


os.sysconf = told
platform.system = lambda: "Darwin"
"""


@pytest.fixture
def macos(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds no more than macOS has."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WITHOUT)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


class TestWithoutLinux:
    """Processes that find no more than macOS has."""

    def test_label(
        self, script: Script, run: Runner, tmp_path: Path, macos: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Two cities, labelled by two processes, give the same bytes as elsewhere."""
        root = tmp_path / "msls"
        for city in ("amman", "zurich"):
            write_tree(root, cameras=60, city=city, overwrite=True)
        monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
        assert run("msls", "--root", root, "-o", tmp_path / "here.h5").exit_code == 0
        options = ("msls", "--root", root, "-o", tmp_path / "there.h5", "-q", "--executor", "processes:2")
        done = script(*options, env={**macos, "SOURCE_DATE_EPOCH": "0"})
        assert (done.returncode, done.stderr) == (0, "")
        assert (tmp_path / "there.h5").read_bytes() == (tmp_path / "here.h5").read_bytes()

    def test_doctor(self, script: Script, macos: dict[str, str]) -> None:
        """The doctor counts the cores and has no advice for Debian."""
        done = script("doctor", "--json", env=macos)
        found = json.loads(done.stdout)
        assert found["platform"].startswith("Darwin")
        assert found["threads"]["processors"] == os.cpu_count()
        assert "apt-get" not in done.stdout
