"""relabel rgbd: one sequence in every layout gives the same labels, and how it answers bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from relabel.cli import rgbd as command
from relabel.datasets.rgbd import sequence
from relabel.labelfile import LabelFile, validate
from tests.trees import rgbd_folder, tum_folder

Runner = Callable[..., Result]
SAME = ("--tolerance", "0.3", "--force", "-o")

pytestmark = pytest.mark.usefixtures("here")


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


class TestGood:
    """A sequence becomes a label file."""

    def test_layouts(self, run: Runner, tmp_path: Path) -> None:
        """The same frames have the same labels, however they are laid out; each file verifies."""
        roots = {
            "folder": rgbd_folder(tmp_path / "a" / "kitchen"),
            "scannet": rgbd_folder(tmp_path / "b" / "kitchen", layout="scannet"),
            "tum": tum_folder(tmp_path / "c" / "kitchen"),
        }
        found = {}
        for layout, root in roots.items():
            more = ("--intrinsics", "57,58,31.5,23.5") if layout == "tum" else ()
            result = done(run("rgbd", "--root", root, "--layout", layout, *more, *SAME, f"{layout}.h5"))
            assert ("registered to the colour camera" in result.stderr) == (layout == "tum")
            assert validate(f"{layout}.h5").findings == []
            stored = LabelFile(f"{layout}.h5")["kitchen"]
            assert (stored.self_pairs, stored.params["layout"]) == (True, layout)
            found[layout] = stored.to_scipy().toarray()
            checked = run("verify", f"{layout}.h5", "--root", root, "--sample", 10, "--json")
            assert json.loads(done(checked).stdout)["mismatches"] == 0
        assert found["folder"][0, 1] > 0.5
        np.testing.assert_array_equal(found["folder"], found["scannet"])
        np.testing.assert_array_equal(found["folder"], found["tum"])

    def test_options(self, run: Runner, tmp_path: Path) -> None:
        """Name, unit and intrinsics; what is missing is told."""
        root = rgbd_folder(tmp_path / "kitchen")
        (root / "pose/2.txt").unlink()
        result = done(
            run("rgbd", "--root", root, "--layout", "folder", "--name", "home/kitchen", "--depth-unit", "0.0005")
        )
        assert "home/kitchen: 1 frames have no pose (2)" in result.stderr
        stored = LabelFile("labels.h5")["home/kitchen"]
        assert stored.params["depth_unit_m"] == 0.0005
        assert stored.query.status_counts() == {"ok": 2, "no_pose": 1}


class TestBadInput:
    """One line on stderr that names the place and the next step, nothing on stdout, and no file."""

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["--layout", "tum"], 2, "its name does not tell which camera took it"),
            (["--layout", "folder", "--intrinsics", "57,58"], 2, "--intrinsics 57,58: is not four numbers"),
            (["--layout", "folder", "--depth-unit", "0"], 2, "--depth-unit 0: a step of depth"),
            (["--layout", "folder", "--max-time-difference", "1"], 2, "is for --layout tum"),
            (["--layout", "scannet"], 1, "intrinsic_depth.txt: is not there"),
            (["--layout", "kitti"], 2, "kitti"),
        ],
    )
    def test_is_refused(
        self, run: Runner, tmp_path: Path, here: Path, arguments: list[str], code: int, text: str
    ) -> None:
        """Every option that can be wrong."""
        result = run("rgbd", "--root", rgbd_folder(tmp_path / "kitchen"), *arguments)
        *_, last = result.stderr.splitlines()
        assert last.startswith("relabel: error: ")
        assert text in last
        assert (result.exit_code, result.stdout) == (code, "")
        assert list(here.iterdir()) == []


class TestDefaults:
    """relabel.cli.rgbd"""

    def test_are_those_of_the_library(self) -> None:
        """What is spelled out to keep the help light equals what the library knows."""
        assert command.LAYOUTS == sequence.LAYOUTS
        (option,) = (p for p in command.rgbd_command.params if p.name == "max_time_difference_s")
        assert f"[default: {sequence.MAX_TIME_DIFFERENCE_S:g}]" in str(option.help)
