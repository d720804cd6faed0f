"""Commands on labels from depth maps: what all that label frames share, and what the other commands say of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

from relabel.cli.labelling import labelling_command
from relabel.datasets import registry
from relabel.fov.params import FovParams
from relabel.pipeline.surface_part import SurfacePart
from relabel.surface.params import SurfaceParams
from tests.pipeline.rooms import room

Runner = Callable[..., Result]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sequence of frames; not to be changed."""
    return room(tmp_path_factory.mktemp("rgbd") / "room")


@pytest.fixture
def file(run: Runner, folder: Path, tmp_path: Path) -> Path:
    """Its labels."""
    assert run("rgbd", "--layout", "folder", "--root", folder, "-o", tmp_path / "x.h5").exit_code == 0
    return tmp_path / "x.h5"


class TestOptions:
    """relabel.cli.labelling.labelling_command, for surface"""

    @pytest.mark.parametrize(
        ("name", "arguments", "params"),
        [("rgbd", "--root x --layout folder", SurfaceParams()), ("table", "x.csv", FovParams())],
    )
    def test_defaults_are_those_of_the_library(
        self, name: str, arguments: str, params: SurfaceParams | FovParams
    ) -> None:
        """Every parameter of a method is an option, and one that is not given is what the method has."""
        context = labelling_command(registry.dataset(name)).make_context(name, arguments.split())
        assert asdict(params).items() <= context.params.items()

    def test_all_arrive(self, run: Runner, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Every option of the overlap and of the job goes to the library under its name."""
        seen: list[Any] = []

        def label(parts: Any, output: Path, **job: Any) -> Any:
            seen.append((parts, output, job))
            raise click.Abort

        monkeypatch.setattr("relabel.pipeline.run.label", label)
        flags = "--method voxel-iou --tolerance 0.1 --voxel 0.04 --stride 3 --depth-min 0.5 --depth-max 4 --device cpu"
        flags += " --measure dice --min-value 0.01 --threads 2 --executor processes:2 --force --no-resume --strict"
        flags += " --allow no-pose --part 2/3 --keep-parts --memory 2GB"
        run("rgbd", "--layout", "folder", "--root", folder, "-o", tmp_path / "x.h5", *flags.split())
        ((parts, output, job),) = seen
        assert output == tmp_path / "x.h5"
        assert [type(part) for part in parts] == [SurfacePart]
        assert parts[0].params == SurfaceParams("voxel-iou", 0.1, 0.04, 3, 0.5, 4.0, "dice", 0.01)
        assert parts[0].device == "cpu"
        del job["bar"]
        audit = {"strict": True, "allow": {"no-pose"}}
        where = {"executor": "processes:2", "share": (2, 3), "keep_parts": True, "memory_bytes": 2_000_000_000}
        assert job == {"overwrite": True, "resume": False, "threads": 2, **where, **audit}


class TestLabel:
    """relabel.cli.labelling.labelling_command"""

    def test_summary(self, run: Runner, folder: Path, tmp_path: Path) -> None:
        """The file is described on stdout; what the user should know goes to stderr."""
        result = run("rgbd", "--layout", "folder", "--root", folder, "-o", tmp_path / "x.h5")
        assert result.exit_code == 0
        assert "surface  iou" in result.stdout
        assert "tolerance_m 0.05" in result.stdout
        assert "wrote" in result.stderr

    def test_dry_run(self, run: Runner, folder: Path, tmp_path: Path) -> None:
        """Frames, pairs, seconds, bytes and memory, and no file."""
        command = ("rgbd", "--layout", "folder", "--root", folder, "-o", tmp_path / "x.h5", "--dry-run")
        head, row = (line.split("  ") for line in run(*command).stdout.splitlines())
        assert [cell.strip() for cell in head if cell][-2:] == ["depth maps", "time, about"]
        assert [cell.strip() for cell in row if cell][:4] == ["room", "10", "10", "90"]
        assert re.search(r" (bytes|kB|MB)  +[\d.]+ [kM]B  +10  +[\d.]+ s$", "  ".join(row))
        (found,) = json.loads(run(*command, "--json").stdout)["collections"]
        assert (found["name"], found["frames"], found["candidates"]) == ("room", 10, 90)
        assert found["seconds"] > 0
        assert not (tmp_path / "x.h5").exists()

    def test_mask(self, run: Runner, folder: Path, tmp_path: Path) -> None:
        """Masked frames keep their row."""
        (tmp_path / "mask.txt").write_text("003\n")
        command = ("rgbd", "--layout", "folder", "--root", folder, "-o", tmp_path / "x.h5", "--json")
        result = run(*command, "--mask", tmp_path / "mask.txt")
        (found,) = json.loads(result.stdout)["collections"]
        assert found["status"]["queries"] == {"ok": 9, "masked": 1}
        assert found["params"]["mask"]["masked"] == 1


class TestOtherCommands:
    """What commands that look at files make of them."""

    def test_verify(self, run: Runner, file: Path, folder: Path) -> None:
        """One line on the method, one on the exact definition; in JSON both."""
        result = run("verify", file, "--root", folder, "--sample", 20)
        assert result.exit_code == 0, result.output
        first, second = result.stdout.splitlines()
        assert first.startswith("20 pairs recomputed")
        assert "of them differ from the exact definition by 0.0" in second
        found = json.loads(run("verify", file, "--root", folder, "--sample", 20, "--json").stdout)
        assert (found["checked"], found["mismatches"]) == (20, 0)
        assert 0.0 <= found["mean_abs_diff_definition"] < 0.1
        assert found["checked_definition"] > 0

    def test_verify_without_a_root(self, run: Runner, file: Path) -> None:
        """The depth maps are asked for, without a traceback."""
        result = run("verify", file)
        assert result.exit_code == 1
        assert "--root" in result.stderr
        assert "Traceback" not in result.stderr

    def test_fit(self, run: Runner, file: Path) -> None:
        """No field of view explains them."""
        result = run("fit", file)
        assert result.exit_code == 1
        assert "surface labels come from depth maps" in result.stderr

    def test_stats(self, run: Runner, file: Path) -> None:
        """Chains and the fall over time, in text and JSON."""
        shown = run("stats", file).stdout
        assert "frames that follow each other: 9 pairs, of which 0 break the chain" in shown
        assert "frames apart" in shown
        (found,) = json.loads(run("stats", file, "--json").stdout)["collections"]
        assert found["sequences"]["alone"] == []
        assert found["sequences"]["chains"]["adjacent"] == 9
        assert [gap["least"] for gap in found["sequences"]["chains"]["gaps"]] == [1, 2, 3, 5, 9]

    def test_publish(self, run: Runner, file: Path, tmp_path: Path) -> None:
        """The card tells of the depth maps together, and of the terms."""
        result = run("publish", file, "-o", tmp_path / "out", "--title", "x")
        assert result.exit_code == 0, result.output
        card = (tmp_path / "out" / "README.md").read_text()
        assert "`depth/*.png`" in card
        assert "RGB-D recording" in card
