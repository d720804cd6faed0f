"""relabel rgbd: one sequence in every layout gives the same labels, and how it answers bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from relabel.labelfile import LabelFile, validate
from tests.trees import depth_png, looking_ahead, pose_txt, rgbd_folder, tum_folder

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
            more = ("--intrinsics", "57,58,31.5,23.5", "--depth-unit", 1 / 5000) if layout == "tum" else ()
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

    def test_excluded_pairs(self, run: Runner, tmp_path: Path) -> None:
        """TUM has times; their rule is recorded and verified, and the ψ of excluded pairs is stored all the same."""
        root = tum_folder(tmp_path / "kitchen")
        camera = ("--root", root, "--layout", "tum", "--intrinsics", "57,58,31.5,23.5", "--depth-unit", 1 / 5000)
        done(run("rgbd", *camera, *SAME, "plain.h5"))
        result = done(run("rgbd", *camera, *SAME, "x.h5", "--min-time-gap", 1.5))
        plain, stored = (LabelFile(name)["kitchen"] for name in ("plain.h5", "x.h5"))
        time = stored.query.extra["time_s"]
        np.testing.assert_array_equal(time, stored.query.key.astype(float))
        ok = stored.query.ok
        near = (
            (np.abs(np.subtract.outer(time, time)) < 1.5)
            & np.logical_and.outer(ok, ok)
            & ~np.eye(len(time), dtype=bool)
        )
        assert near.any()
        assert (
            f"{near.sum()} pairs are excluded from training and scoring (pairs that are less than 1.5 s apart)"
            in result.stderr
        )
        assert stored.params["min_time_gap_s"] == 1.5
        np.testing.assert_array_equal(stored.to_scipy().toarray(), plain.to_scipy().toarray())
        checked = run("verify", "x.h5", "--root", root, "--sample", 10, "--json")
        assert json.loads(done(checked).stdout)["mismatches"] == 0

    def test_options(self, run: Runner, tmp_path: Path) -> None:
        """Name, unit and intrinsics; what is missing is told."""
        root = rgbd_folder(tmp_path / "kitchen")
        (root / "pose/2.txt").unlink()
        result = done(
            run("rgbd", "--root", root, "--layout", "folder", "--name", "home/kitchen", "--depth-unit", "0.0005")
        )
        assert "home/kitchen: 1 frame has no pose (2)" in result.stderr
        stored = LabelFile("labels.h5")["home/kitchen"]
        assert stored.params["depth_unit_m"] == 0.0005
        assert stored.query.status_counts() == {"ok": 2, "no_pose": 1}


class TestConventions:
    """Poses of OpenGL, and depths along rays, give the labels that the same room gives in the usual form."""

    def test_same_labels(self, run: Runner, tmp_path: Path) -> None:
        """Three cameras before a wall, written in both forms; each file says how it was read, and verifies."""
        usual = rgbd_folder(tmp_path / "usual" / "room")
        u, v = np.meshgrid(np.arange(64), np.arange(48))
        along = np.sqrt(((u - 31.5) / 57) ** 2 + ((v - 23.5) / 58) ** 2 + 1)
        other = rgbd_folder(tmp_path / "other" / "room")
        for rank in range(3):
            depth_png(usual / f"depth/{rank}.png", 20_000, size=(64, 48))
            depth_png(other / f"depth/{rank}.png", np.rint(20_000 * along), size=(64, 48))
            pose = looking_ahead(0.6 * rank)
            pose_txt(usual / f"pose/{rank}.txt", pose)
            pose[:, 1:3] *= -1.0  # y up, z back
            pose_txt(other / f"pose/{rank}.txt", pose)
        options = ("--layout", "folder", "--depth-unit", "0.0001", "--tolerance", "0.1", "-o")
        done(run("rgbd", "--root", usual, *options, "usual.h5"))
        result = done(run("rgbd", "--root", other, *options, "other.h5", "--convention", "opengl", "--depth-is", "ray"))
        assert "poses are read with axes ahead=-z,down=-y" in result.stderr
        assert "distances along pixel rays," in result.stderr
        stored = LabelFile("other.h5")["room"]
        assert (stored.params["axes"], stored.params["depth_is"]) == ("ahead=-z,down=-y", "ray")
        expected = LabelFile("usual.h5")["room"].to_scipy().toarray()
        np.testing.assert_allclose(stored.to_scipy().toarray(), expected, atol=0.02)
        assert 0.3 < expected[0, 1] < 0.7
        for name, root in (("usual", usual), ("other", other)):
            checked = json.loads(done(run("verify", f"{name}.h5", "--root", root, "--json")).stdout)
            assert checked["mismatches"] == 0
        done(run("rgbd", "--root", other, *options, "wrong.h5", "--convention", "opengl"))
        wrong = LabelFile("wrong.h5")["room"].to_scipy().toarray()
        assert np.abs(wrong - expected).max() > 0.02


class TestBadInput:
    """One line on stderr that names the place and the next step, nothing on stdout, and no file."""

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["--layout", "tum"], 2, "its name does not show which camera recorded it"),
            (["--layout", "tum", "--intrinsics", "57,58,31.5,23.5"], 2, "give --depth-unit: 0.001 for millimetres"),
            (["--layout", "folder", "--convention", "ros"], 2, "'ros' is not one of 'opencv', 'opengl'"),
            (["--layout", "folder", "--axes", "ahead=x"], 2, "--axes ahead=x: has to state which axes"),
            (["--layout", "folder", "--depth-is", "disparity"], 2, "'disparity' is not one of 'z', 'ray'"),
            (["--layout", "folder", "--intrinsics", "57,58"], 2, "--intrinsics 57,58: is not four numbers"),
            (["--layout", "folder", "--depth-unit", "0"], 2, "--depth-unit 0: a depth unit has to be"),
            (["--layout", "folder", "--max-time-difference", "1"], 2, "is for --layout tum"),
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
