"""relabel sample: arguments by a stand-in, and one small real run."""

from __future__ import annotations

import json
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
        assert seen == [(tmp_path / "tree", expected)]

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
