"""relabel shared: on a small scene, and how it answers bad input."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

import relabel
from tests.similarities import similarity
from tests.trees import depth_png, scene_tree

Runner = Callable[..., Result]
QUERY, DATABASE = "seq-01/frame-000000", "seq-01/frame-000002"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Frames in front of a wall, each 0.4 m to the right of the one before."""
    return scene_tree(tmp_path / "7scenes", step_m=0.4)


@pytest.fixture
def labels(tmp_path: Path, root: Path, run: Runner) -> Path:
    """Their labels."""
    path = tmp_path / "wall.h5"
    how = ("--tolerance", "0.1", "--stride", "4", "--split", "train", "--device", "cpu")
    assert run("7scenes", "--root", root, "-o", path, *how).exit_code == 0
    return path


class TestCommand:
    """relabel shared"""

    def test_text_and_json(self, run: Runner, labels: Path, root: Path) -> None:
        """On stdout; nothing is written."""
        before = sorted(labels.parent.rglob("*"))
        result = run("shared", labels, QUERY, DATABASE, "--root", root)
        assert (result.exit_code, result.stderr) == (0, "")
        first, *sides = result.stdout.splitlines()
        assert [side.split()[:2] for side in sides] == [["query", f"{QUERY}:"], ["database", f"{DATABASE}:"]]
        told = json.loads(run("shared", labels, QUERY, DATABASE, "--root", root, "--json").stdout)
        assert first == f"{QUERY} and {DATABASE}: ψ {told['stored']:.4g} (iou), cameras 0.80 m apart"
        assert told["distance_m"] == pytest.approx(0.8)
        # Of a wall 640 / 585 × 2 m wide, both see all but 0.8 m, and what is within the tolerance of the edges.
        width = 2.0 * 640 / 585
        assert told["value"] == pytest.approx((width - 0.8) / (width + 0.8), abs=0.05)
        assert told["value"] == pytest.approx(told["stored"], abs=1e-6)
        assert sorted(labels.parent.rglob("*")) == before

    def test_writes_both(self, run: Runner, labels: Path, root: Path, tmp_path: Path, open3d: Any) -> None:
        """The cloud and the image; a second time only with --force."""
        files = ["--export-ply", tmp_path / "a.ply", "--plot", tmp_path / "a.png"]
        result = run("shared", labels, QUERY, DATABASE, "--root", root, *files)
        assert result.exit_code == 0
        for path in files[1::2]:
            assert f"wrote {path}" in result.stderr
            assert Path(path).stat().st_size > 1000
        result = run("shared", labels, QUERY, DATABASE, "--root", root, *files)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "--force" in result.stderr
        assert run("shared", labels, QUERY, DATABASE, "--root", root, *files, "--force").exit_code == 0

    def test_one_scene_as_root(self, run: Runner, labels: Path, root: Path) -> None:
        """The dataset may lie elsewhere than it did."""
        moved = root.with_name("moved")
        root.rename(moved)
        assert run("shared", labels, QUERY, DATABASE, "--root", moved).exit_code == 0

    def test_depth_maps_that_changed(self, run: Runner, labels: Path, root: Path) -> None:
        """It is said that they are not the ones that were labelled."""
        depth_png(root / "redkitchen" / f"{DATABASE}.depth.png", 2500)
        result = run("shared", labels, QUERY, DATABASE, "--root", root)
        assert result.exit_code == 0
        assert "they are not the ones that were labelled" in result.stderr

    @pytest.mark.parametrize(
        ("keys", "text"),
        [
            (("x", DATABASE), "there is no query 'x'"),
            ((QUERY, "x"), "there is no database frame 'x'"),
        ],
    )
    def test_unknown_keys(self, run: Runner, labels: Path, root: Path, keys: tuple[str, str], text: str) -> None:
        """The ones that there are are named."""
        result = run("shared", labels, *keys, "--root", root)
        assert (result.exit_code, result.stdout) == (1, "")
        assert text in result.stderr
        assert "there are seq-01/frame-000000" in result.stderr

    def test_a_depth_map_that_is_gone(self, run: Runner, labels: Path, root: Path) -> None:
        """The frame is named."""
        (root / "redkitchen" / f"{DATABASE}.depth.png").unlink()
        result = run("shared", labels, QUERY, DATABASE, "--root", root)
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"{DATABASE} has no depth map or no pose" in result.stderr

    def test_other_labels(self, run: Runner, tmp_path: Path, root: Path) -> None:
        """Labels of fields of view, and labels from depth maps whose provenance is lost."""
        relabel.write(tmp_path / "fov.h5", {"a": similarity(3, 4, seed=1)})
        result = run("shared", tmp_path / "fov.h5", "q", "d", "--root", root)
        assert result.exit_code == 1
        assert "do not come from depth maps" in result.stderr

    def test_without_open3d(
        self, run: Runner, labels: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The cloud needs it, which is said at once; all else does not."""
        monkeypatch.setitem(sys.modules, "open3d", None)
        result = run("shared", labels, QUERY, DATABASE, "--root", root, "--export-ply", tmp_path / "a.ply")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "pip install 'relabel-vpr[open3d]'" in result.stderr
        assert run("shared", labels, QUERY, DATABASE, "--root", root).exit_code == 0
