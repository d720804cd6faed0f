"""Signals at the worst moments of every command: one line, its status, and nothing half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from relabel.stopping import SIGNALS
from tests.conftest import REPOSITORY
from tests.trees import msls_tree

PATIENCE_S = 300.0

MESSAGES = {
    signal.SIGINT: "relabel: interrupted\n",
    signal.SIGTERM: "relabel: stopped by SIGTERM\n",
    signal.SIGHUP: "relabel: stopped by SIGHUP\n",
}

AT_IMPORT = """
import importlib.abc, os, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {name!r}:
            os.kill(os.getpid(), {number})
        return None
sys.meta_path.insert(0, Finder())
from relabel.cli import main
main()
"""

AT_FIRST_WRITE = """
import os, sys
sent = False
def hook(event, arguments):
    global sent
    if sent or event not in ("open", "os.mkdir") or not str(arguments[0]).startswith({folder!r}):
        return
    if event == "open" and not set(str(arguments[1])) & set("wax+"):
        return
    sent = True
    os.kill(os.getpid(), {number})
sys.addaudithook(hook)
from relabel.cli import main
main()
"""

IN_HDF5 = """
import os
from relabel.labelfile import safe_h5file
write, count = safe_h5file._Disk.write, 0
def counted(disk, data):
    global count
    count += 1
    if count == {count}:
        os.kill(os.getpid(), {number})
    return write(disk, data)
safe_h5file._Disk.write = counted
from relabel.cli import main
main()
"""


def program(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small city."""
    return msls_tree(tmp_path_factory.mktemp("msls"), city="amman")


@pytest.mark.parametrize(
    ("number", "name"),
    [
        *((signal.SIGTERM, name) for name in ("relabel.cli.app", "click", "relabel.cli.labelling", "numpy", "h5py")),
        *((number, "numba") for number in SIGNALS),
    ],
)
def test_while_modules_are_loaded(number: signal.Signals, name: str, tree: Path, tmp_path: Path) -> None:
    """From the first module of the command line to the slowest: one line and the status of the signal."""
    done = program(AT_IMPORT.format(name=name, number=int(number)), "msls", "--root", tree, "-o", tmp_path / "x.h5")
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", MESSAGES[number])
    assert list(tmp_path.iterdir()) == []


WRITING: dict[str, list[Any]] = {
    "msls": ["msls", "--root", "TREE", "-o", "OUT/x.h5"],
    "merge": ["merge", "FILE", "-o", "OUT/x.h5"],
    "subset": ["subset", "FILE", "-o", "OUT/x.h5"],
    "convert": ["convert", "FILE", "--measure", "dice", "-o", "OUT/x.h5"],
    "export": ["export", "FILE", "--to", "csv", "-o", "OUT"],
    "export into a new folder": ["export", "FILE", "--to", "npz", "-o", "OUT/new/folder"],
    "publish": ["publish", "FILE", "-o", "OUT/new"],
    "headings": ["headings", "TREE", "-o", "OUT/x.csv"],
    "fit": ["fit", "FILE", "--pairs", "40", "--plot", "OUT/x.png"],
}


@pytest.mark.parametrize("arguments", WRITING.values(), ids=WRITING)
def test_while_a_command_writes(arguments: list[str], one: Path, tree: Path, tmp_path: Path) -> None:
    """A signal as the first file is made: nothing is left of it."""
    out = tmp_path / "out"
    out.mkdir()
    words = {"FILE": str(one), "TREE": str(tree)}
    given = [words.get(word, word.replace("OUT", str(out))) for word in arguments]
    done = program(AT_FIRST_WRITE.format(folder=f"{out}/", number=int(signal.SIGTERM)), *given, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (143, "", MESSAGES[signal.SIGTERM])
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("count", [1, 5, 40])
def test_inside_hdf5(count: int, tree: Path, tmp_path: Path) -> None:
    """A signal while the HDF5 library writes its n-th piece waits for it, and the half file is removed."""
    code = IN_HDF5.format(count=count, number=int(signal.SIGTERM))
    done = program(code, "msls", "--root", tree, "-o", tmp_path / "x.h5", "-q")
    assert (done.returncode, done.stdout, done.stderr) == (143, "", MESSAGES[signal.SIGTERM])
    assert list(tmp_path.iterdir()) == []
