"""Every command where an optional package is not installed, or does not load: it works, or says at once what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import relabel
from tests.conftest import REPOSITORY
from tests.similarities import similarity
from tests.trees import msls_tree

BESIDE_TORCH = ("torchvision", "timm", "tensorboard")
"""What commands ask for after torch."""
PACKAGES = ("torch", *BESIDE_TORCH, "open3d", "distributed", "tornado")

# One process loads relabel; forks of it that cannot import some packages run command lines.
CHILD = """
import io, json, os, sys
from contextlib import redirect_stderr, redirect_stdout
import relabel.cli.app, relabel.labelfile, numpy, h5py, pyarrow.csv

class Without:
    def __init__(self, finder, packages):
        self.finder, self.packages = finder, packages

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in self.packages else self.finder.find_spec(name, path, target)


for packages, lines in json.loads(sys.stdin.read()):
    reading, writing = os.pipe()
    if os.fork() == 0:
        assert not sys.modules.keys() & set(packages)
        sys.meta_path[:] = [Without(finder, packages) for finder in sys.meta_path]
        answers = []
        for line in lines:
            out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                try:
                    relabel.cli.app.app.main(line, prog_name="relabel")
                except SystemExit as leave:
                    code = leave.code
            answers.append([code, err.getvalue()])
        with os.fdopen(writing, "w") as pipe:
            json.dump(answers, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        print(pipe.read(), flush=True)
    os.wait()
"""

NEEDED: dict[str, dict[str, str]] = {
    "train": {
        "torch": "training needs torch: pip install 'relabel-vpr[train]'",
        "torchvision": "backbone 'resnet50' needs torchvision: pip install 'relabel-vpr[train]'; --backbone tiny",
    },
    "train timm": {
        "torch": "training needs torch: pip install 'relabel-vpr[torch]'",
        "timm": "backbone 'timm:resnet10t' needs timm: pip install timm; --backbone tiny",
    },
    "train tiny": {
        "torch": "training needs torch: pip install 'relabel-vpr[torch]'",
        "tensorboard": "--tensorboard needs tensorboard: pip install tensorboard",
    },
    "evaluate checkpoint": {"torch": "--checkpoint needs torch: pip install 'relabel-vpr[torch]'"},
    "evaluate on a GPU": {"torch": "pip install 'relabel-vpr[torch]'"},
    "7scenes on a GPU": {"torch": "pip install 'relabel-vpr[torch]'"},
    "shared": {"open3d": "pip install 'relabel-vpr[open3d]'"},
    "sample 7scenes": {"open3d": "pip install 'relabel-vpr[open3d]'"},
    "dask": {"distributed": "pip install 'relabel-vpr[cluster]'"},
    "view": {"tornado": "pip install 'relabel-vpr[view]'"},
}
"""The commands that need an optional package, and what they say without it."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Command lines by name."""
    folder = tmp_path_factory.mktemp("missing")
    labels, nothing, out = str(folder / "labels.h5"), str(folder / "nothing.h5"), str(folder / "out")
    psi = similarity(12, 15, seed=4, faults=False)
    relabel.write(labels, {"amman": psi})
    tree = str(msls_tree(folder / "city", city="goa"))
    msls_tree(folder / "city", city="amman")
    descriptors = folder / "descriptors"
    descriptors.mkdir()
    for side in ("query", "database"):
        keys = getattr(psi.collection, side).key
        np.save(descriptors / f"{side}.npy", np.ones((len(keys), 4), np.float32))
        (descriptors / f"{side}.txt").write_text("".join(f"{key}\n" for key in keys))
    written = {
        "train": ["train", nothing, "--images", ".", "-o", out],
        "train timm": ["train", nothing, "--images", ".", "-o", out, "--backbone", "timm:resnet10t"],
        "train tiny": ["train", nothing, "--images", ".", "-o", out, "--backbone", "tiny", "--tensorboard"],
        "evaluate checkpoint": ["evaluate", nothing, "--checkpoint", out, "--images", "."],
        "evaluate on a GPU": ["evaluate", nothing, "--descriptors", out, "--device", "cuda"],
        "7scenes on a GPU": ["7scenes", "--root", nothing, "-o", out, "--device", "cuda"],
        "shared": ["shared", nothing, "a", "b", "--root", out, "--export-ply", f"{out}.ply"],
        "sample 7scenes": ["sample", "7scenes", f"{out}/rooms", "--frames", "3"],
        "dask": ["msls", "--root", nothing, "-o", f"{out}-dask.h5", "--executor", "dask:nowhere"],
        "view": ["view", nothing, "--no-browser"],
        "evaluate": ["evaluate", labels, "--descriptors", str(descriptors)],
        "msls": ["msls", "--root", tree, "-o", f"{out}.h5", "--force"],
        "verify": ["verify", f"{out}.h5"],
        "report": ["report", labels, "-o", f"{out}.html", "--force"],
        "publish": ["publish", labels, "-o", f"{out}-page", "--force"],
        "export": ["export", labels, "--to", "csv", "-o", f"{out}-csv", "--force"],
        "headings": ["headings", tree],
        **{name: [name, labels] for name in ("info", "ls", "tree", "stats", "dump", "validate")},
        "compare": ["compare", labels, labels],
        "doctor": ["doctor"],
    }
    return {name: [*line, "-q"] for name, line in written.items()}


@pytest.fixture(scope="module")
def runs(lines: dict[str, list[str]]) -> list[tuple[list[str], list[str]]]:
    """Packages that are not there, and names of command lines to run: what needs one without it, and all other
    commands without any."""
    runs = [([package], [name for name, needed in NEEDED.items() if package in needed]) for package in PACKAGES]
    return [*runs, (list(PACKAGES), [name for name in lines if name not in NEEDED])]


@pytest.fixture(scope="module")
def answers(lines: dict[str, list[str]], runs: list[tuple[list[str], list[str]]]) -> list[dict[str, Any]]:
    """Exit code and stderr of each run, by the name of the command line."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps([(packages, [lines[name] for name in names]) for packages, names in runs]),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return [dict(zip(names, row, strict=True)) for (_, names), row in zip(runs, rows, strict=True)]


class TestNotInstalled:
    @pytest.mark.parametrize("package", PACKAGES)
    def test_what_needs_it_says_so(self, package: str, answers: list[dict[str, Any]]) -> None:
        """In one line, with how to install it, before anything is read."""
        if package in BESIDE_TORCH:
            pytest.importorskip("torch")
        found = answers[PACKAGES.index(package)]
        assert found
        for name, (code, stderr) in found.items():
            assert code in (1, 2), name
            assert NEEDED[name][package] in stderr
            assert stderr.count("\n") == 1, stderr

    def test_nothing_else_minds(self, answers: list[dict[str, Any]]) -> None:
        """All other commands do without any of them."""
        assert {name: (code, stderr) for name, (code, stderr) in answers[-1].items() if code} == {}


class TestDoesNotLoad:
    """A torchvision of another build of torch"""

    def test_names_another_backbone(
        self, run: Any, labels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It raises RuntimeError when it is imported."""
        pytest.importorskip("torch")
        site = tmp_path / "site" / "torchvision"
        site.mkdir(parents=True)
        (site / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
        monkeypatch.syspath_prepend(site.parent)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            monkeypatch.delitem(sys.modules, name)
        result = run("train", labels, "--images", tmp_path, "-o", tmp_path / "run")
        assert result.exit_code == 1
        assert "torchvision::nms does not exist" in result.stderr
        assert "--backbone tiny needs neither torchvision nor timm" in result.stderr
        assert not (tmp_path / "run").exists()
