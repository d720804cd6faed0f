"""relabel sample: arguments by a stand-in, and one small real run of each."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Runner = Callable[..., Result]


class TestMsls:
    """relabel sample msls"""

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            ([], {"cameras": 2000, "seed": 0, "overwrite": False, "buildings": False}),
            (
                ["--cameras", "7", "--seed", "3", "--force"],
                {"cameras": 7, "seed": 3, "overwrite": True, "buildings": False},
            ),
        ],
    )
    def test_arguments(
        self, run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], expected: dict[str, Any]
    ) -> None:
        """The command calls the library with the same names."""
        seen: list[tuple[Path, dict[str, Any]]] = []
        monkeypatch.setattr(
            "relabel.synthetic.msls.write_tree", lambda folder, **options: seen.append((folder, options))
        )
        result = run("sample", "msls", tmp_path / "tree", *flags)
        assert (result.exit_code, result.stdout) == (0, "")
        [(folder, options)] = seen
        assert callable(options.pop("progress"))
        assert (folder, options) == (tmp_path / "tree", expected)

    def test_buildings(self, run: Runner, tmp_path: Path) -> None:
        """They are written on request, and where is said."""
        result = run("sample", "msls", tmp_path / "tree", "--cameras", "20", "--buildings")
        assert (result.exit_code, result.stdout) == (0, "")
        path = tmp_path / "tree/train_val/sampletown/buildings.geojson"
        assert str(path) in result.stderr
        content = json.loads(path.read_text())
        assert len(content["features"]) == 4
        ring = content["features"][0]["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]

    def test_writes_a_tree(self, run: Runner, tmp_path: Path) -> None:
        """The files of one city are there; a second run needs --force."""
        folder = tmp_path / "tree"
        assert run("sample", "msls", folder, "--cameras", "50").exit_code == 0
        (city,) = (folder / "train_val").iterdir()
        for side in ("query", "database"):
            assert (city / side / "raw.csv").is_file()
        assert run("sample", "msls", folder, "--cameras", "50").exit_code == 1
        assert run("sample", "msls", folder, "--cameras", "50", "--force").exit_code == 0


class TestSevenScenes:
    """relabel sample 7scenes"""

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            ([], {"frames": 40, "seed": 0, "overwrite": False}),
            (["--frames", "7", "--seed", "3", "--force"], {"frames": 7, "seed": 3, "overwrite": True}),
        ],
    )
    def test_arguments(
        self, run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], expected: dict[str, Any]
    ) -> None:
        """The command calls the library with the same names."""
        seen: list[tuple[Path, dict[str, Any]]] = []
        monkeypatch.setattr(
            "relabel.synthetic.rooms.write_tree", lambda folder, **options: seen.append((folder, options))
        )
        result = run("sample", "7scenes", tmp_path / "tree", *flags)
        assert (result.exit_code, result.stdout) == (0, "")
        ((folder, options),) = seen
        assert callable(options.pop("progress"))
        assert (folder, options) == (tmp_path / "tree", expected)

    def test_writes_a_scene(self, run: Runner, tmp_path: Path, open3d: Any) -> None:
        """The splits and sequences are there; a second run needs --force."""
        folder = tmp_path / "tree"
        result = run("sample", "7scenes", folder, "--frames", "1")
        assert (result.exit_code, result.stdout) == (0, "")
        assert str(folder / "room") in result.stderr
        assert (folder / "room/seq-03/frame-000000.depth.png").is_file()
        assert run("sample", "7scenes", folder, "--frames", "1").exit_code == 1
        assert run("sample", "7scenes", folder, "--frames", "1", "--force").exit_code == 0

    def test_without_open3d(self, run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What to install is said, without a traceback."""
        monkeypatch.setitem(sys.modules, "open3d", None)
        result = run("sample", "7scenes", tmp_path / "tree")
        assert result.exit_code == 1
        assert "pip install 'relabel-vpr[open3d]'" in result.stderr
        assert not (tmp_path / "tree").exists()
