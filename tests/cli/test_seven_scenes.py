"""relabel 7scenes: what it writes and prints, and how it answers every kind of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from relabel import surface
from relabel.datasets.seven_scenes import scene
from relabel.labelfile import LabelFile, validate
from tests.trees import edit, pose_txt, scene_tree

Runner = Callable[..., Result]
COARSE = ("--tolerance", "0.1", "--stride", "4")

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Seven frames in front of a wall."""
    return scene_tree(tmp_path / "7scenes", step_m=0.4)


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


def refused(result: Result, code: int, *texts: str) -> None:
    """Check what a failing command prints: one line on stderr, nothing on stdout."""
    *_, last = result.stderr.splitlines()
    assert last.startswith("relabel: error: ")
    assert (result.exit_code, result.stdout) == (code, "")
    assert "bug in relabel" not in result.stderr
    for text in texts:
        assert text in last


class TestGood:
    """A scene becomes a label file."""

    def test_default(self, run: Runner, root: Path, here: Path) -> None:
        """7scenes.h5 in the current folder holds train with itself and test against train, with no path in it."""
        done(run("7scenes", "--root", root, *COARSE))
        assert [path.name for path in here.iterdir()] == ["7scenes.h5"]
        assert validate(here / "7scenes.h5").findings == []
        labels = LabelFile("7scenes.h5")
        assert list(labels) == ["redkitchen/test-train", "redkitchen/train"]
        train = labels["redkitchen/train"]
        assert train.self_pairs
        assert train.query.key.tolist() == [f"seq-01/frame-{i:06d}" for i in range(4)]
        assert train.params["intrinsics"] == [585.0, 585.0, 320.0, 240.0]
        frames = scene.read(root)
        expected = surface.overlap(frames, frames, tolerance_m=0.1, stride=4, device="cpu").matrix.toarray()
        np.testing.assert_array_equal(train.to_scipy().toarray(), expected)
        across = [expected[0, i] for i in (1, 2, 3)]
        assert across == sorted(across, reverse=True)
        assert 0.5 < across[0] < 1.0
        both = labels["redkitchen/test-train"]
        assert both.shape == (3, 4)
        assert both.query.key[0] == "seq-02/frame-000000"
        assert str(root) not in json.dumps(labels.provenance())

    def test_registered(self, run: Runner, root: Path) -> None:
        """A shorter focal length sees more of the wall, so that neighbours share more."""
        done(run("7scenes", "--root", root, *COARSE, "--split", "train", "-o", "a.h5"))
        done(run("7scenes", "--root", root, *COARSE, "--split", "train", "--focal", 400, "-o", "b.h5"))
        a, b = (LabelFile(name)["redkitchen/train"].to_scipy()[0, 3] for name in ("a.h5", "b.h5"))
        assert a < b

    def test_faults_are_told(self, run: Runner, root: Path) -> None:
        """What is missing keeps its row with a status and is counted on stderr."""
        folder = root / "redkitchen" / "seq-01"
        (folder / "frame-000001.depth.png").unlink()
        (folder / "frame-000002.pose.txt").unlink()
        pose_txt(folder / "frame-000003.pose.txt", np.full((4, 4), np.nan))
        pose_txt(folder / "frame-000004.pose.txt", np.eye(4))
        result = done(run("7scenes", "--root", root, *COARSE, "--split", "test-train"))
        for text in (
            "redkitchen/test-train: train: 2 frames have no depth map (seq-01/frame-000001, seq-01/frame-000004)",
            "redkitchen/test-train: train: 1 frame has no pose (seq-01/frame-000002)",
            "redkitchen/test-train: train: 1 frame has a pose that is not finite, or all zeros (seq-01/frame-000003)",
        ):
            assert text in result.stderr
        stored = LabelFile("7scenes.h5")["redkitchen/test-train"]
        assert stored.database.status_counts() == {"bad_depth": 2, "no_pose": 2, "ok": 1}
        assert np.array_equal(stored.to_scipy().toarray().any(axis=0), [True, False, False, False, False])

    def test_verify(self, run: Runner, root: Path) -> None:
        """The provenance leads back to the frames, from the folder of the scene as well; a moved camera is found."""
        for top in (root, root / "redkitchen"):
            done(run("7scenes", "--root", top, *COARSE, "--split", "train", "--force"))
            found = json.loads(done(run("verify", "7scenes.h5", "--root", top, "--sample", 10, "--json")).stdout)
            assert (found["mismatches"], found["checked"] > 0) == (0, True)
        edit(root / "redkitchen/seq-01/frame-000001.pose.txt", "4.000000000e-001", "4.500000000e-001")
        assert run("verify", "7scenes.h5", "--root", root / "redkitchen", "--sample", 10).exit_code == 1

    def test_scenes(self, run: Runner, root: Path) -> None:
        """Only those that are asked for, and only sequences that are there where that is asked for."""
        scene_tree(root, scene="chess", train={1: range(2)})
        edit(root / "chess/TrainSplit.txt", "sequence1\r\n", "sequence1\r\nsequence4\r\n")
        given = ("7scenes", "--root", root, *COARSE, "--scenes", "chess", "--split", "train")
        refused(run(*given), 1, "TrainSplit.txt: line 2", "no folder", "seq-04", "--skip-missing")
        result = done(run(*given, "--skip-missing"))
        assert "TrainSplit.txt names seq-04, which does not exist" in result.stderr
        assert list(LabelFile("7scenes.h5")) == ["chess/train"]
        assert LabelFile("7scenes.h5")["chess/train"].params["skipped_sequences"] == ["seq-04"]

    def test_dry_run(self, run: Runner, root: Path, here: Path) -> None:
        """Only says what it would do."""
        (row, _) = json.loads(done(run("7scenes", "--root", root, "--dry-run", "--json")).stdout)["collections"]
        assert row["name"] == "redkitchen/train"
        assert list(here.iterdir()) == []


class TestBadInput:
    """One line on stderr that names the place and the next step, nothing on stdout, and no file."""

    def test_options(self, run: Runner, root: Path, here: Path) -> None:
        """Every option that can be wrong."""
        refused(run("7scenes"), 2, "--root")
        refused(run("7scenes", "--root", "nowhere"), 1, "nowhere: does not exist")
        refused(
            run("7scenes", "--root", root, "--split", "val"), 2, "--split val: a split has to be one of train, test"
        )
        refused(run("7scenes", "--root", root, "--scenes", "chess"), 1, "no scene 'chess'; there are redkitchen")
        refused(run("7scenes", "--root", root, "--focal", 0), 2, "--focal 0", "525 if registered")
        assert list(here.iterdir()) == []

    def test_files(self, run: Runner, root: Path, here: Path) -> None:
        """A file that cannot be read stops the job; a side with nothing to label as well."""
        edit(root / "redkitchen/seq-01/frame-000001.pose.txt", "4.000000000e-001", "left")
        refused(run("7scenes", "--root", root), 1, "frame-000001.pose.txt: line 1: 'left' is not a number")
        for path in (root / "redkitchen/seq-02").glob("*.pose.txt"):
            path.unlink()
        refused(
            run("7scenes", "--root", root, "--split", "test"),
            1,
            "TestSplit.txt: none of the 3 query frames can be labelled (3 no_pose)",
        )
        assert list(here.iterdir()) == []


@pytest.mark.real_data
class TestRedkitchen:
    """The real copy."""

    def test_end_to_end(self, run: Runner, real_data: Path) -> None:
        """Frames 4/30 s apart share most of what they see, and the more the nearer in time they are."""
        done(run("7scenes", "--root", real_data / "7scenes", "--split", "train"))
        matrix = LabelFile("7scenes.h5")["redkitchen/train"].to_scipy().toarray()
        assert np.array_equal(matrix, matrix.T)
        falls = [float(np.median(np.diagonal(matrix, gap))) for gap in (1, 4, 16, 64)]
        assert falls == sorted(falls, reverse=True)
        assert falls[0] > 0.7
