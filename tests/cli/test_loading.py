"""What a labelling command loads: the modules of its own kind of label, and none of the other's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.trees import msls_tree, scene_tree, tb_set

SCRIPT = """
import json, sys
from relabel.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as leave:
    assert not leave.code, leave.code
print(json.dumps(sorted(name for name in sys.modules if name.startswith("relabel"))))
"""


def modules(*arguments: Any) -> set[str]:
    """The modules of relabel that a process has loaded once it has run a command."""
    command = [sys.executable, "-c", SCRIPT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def below(package: str, loaded: set[str]) -> set[str]:
    """A package and the modules in it, as far as they are loaded."""
    return {name for name in loaded if name == package or name.startswith(f"{package}.")}


class TestLabelling:
    """relabel.cli.labelling.labelling_command, and relabel.verify.verify.verify of what it writes"""

    def test_fov(self, tmp_path: Path) -> None:
        """Labels by fields of view, and their check, load nothing of surfaces."""
        tree = msls_tree(tmp_path / "msls", city="goa")
        made = modules("msls", "--root", tree, "-o", tmp_path / "x.h5")
        assert "relabel.fov.planar" in made
        assert not below("relabel.surface", made)
        checked = modules("verify", tmp_path / "x.h5", "--root", tree)
        assert "relabel.reference.fov" in checked
        assert not below("relabel.surface", checked)
        assert not {"relabel.verify.surface_labels", "relabel.reference.surface"} & checked

    def test_surface(self, tmp_path: Path) -> None:
        """Labels by surface, and their check, load nothing of fields of view."""
        scenes = scene_tree(tmp_path / "scenes", train={1: range(3)}, test={})
        options = ["--split", "train", "--stride", "16", "--tolerance", "0.2", "--device", "cpu"]
        made = modules("7scenes", "--root", scenes, "-o", tmp_path / "x.h5", *options)
        assert "relabel.surface.frame_pairs" in made
        assert not below("relabel.fov", made)
        checked = modules("verify", tmp_path / "x.h5", "--root", scenes, "--sample", "4")
        assert "relabel.reference.voxels" in checked
        assert not below("relabel.fov", checked)
        assert not {"relabel.verify.fov_labels", "relabel.reference.fov"} & checked

    def test_both_kinds(self, tmp_path: Path) -> None:
        """A dataset of both kinds has the options of both, and computes only with what was asked for."""
        tb_set(tmp_path / "tb" / "garden.json")
        made = modules("tb-places", "--root", tmp_path / "tb", "--axes", "ahead=z,up=-y", "-o", tmp_path / "x.h5")
        assert "relabel.fov.planar" in made
        assert below("relabel.surface", made) == {"relabel.surface", "relabel.surface.params"}
