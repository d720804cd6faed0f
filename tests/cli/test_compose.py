"""relabel merge, subset, convert"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from click.testing import Result

import relabel
from relabel import compose
from relabel.compose.selection import Box
from relabel.labelfile import LabelFile, validate
from tests.similarities import similarity

Runner = Callable[..., Result]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A list of three cameras that both collections of `labels` have."""
    path = tmp_path / "keys.txt"
    path.write_text("q0001\nq0002\nq0003\nd0001\n")
    return path


class TestEveryWriter:
    """What the three have in common."""

    @pytest.mark.parametrize(
        "arguments", [["merge"], ["subset", "--band", "0.5:"], ["convert", "--measure", "dice"]], ids=lambda a: a[0]
    )
    def test_output(self, run: Runner, labels: Path, tmp_path: Path, arguments: list[str]) -> None:
        """A valid file, a summary on stdout, one line on stderr; an existing file only with --force, even the input."""
        target = tmp_path / "new.h5"
        command = [arguments[0], labels, *arguments[1:], "-o"]
        result = run(*command, target)
        assert (result.exit_code, result.stderr.splitlines()[-1].split(" (")[0]) == (0, f"relabel: wrote {target}")
        assert result.stdout == run("info", target).stdout
        assert validate(target).valid
        assert LabelFile(target).provenance()[-1]["command"] == f"relabel {arguments[0]}"
        before = target.read_bytes()
        result = run(*command, target)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "already exists;" in result.stderr
        assert "pass --force to overwrite it" in result.stderr
        assert "overwrite=" not in result.stderr  # that is what it is called in Python
        assert target.read_bytes() == before
        again = [arguments[0], target, *arguments[1:], "-o", target, "--force", "--json", "-q"]
        result = run(*again)
        assert (result.exit_code, result.stderr) == (0, "")
        assert json.loads(result.stdout) == json.loads(run("info", target, "--json").stdout)
        assert validate(target).valid

    @pytest.mark.parametrize("command", ["merge", "subset", "convert"])
    def test_output_is_needed(self, run: Runner, labels: Path, command: str) -> None:
        """No name is made up for a new file."""
        more = ["--measure", "dice"] if command == "convert" else []
        result = run(command, labels, *more)
        assert result.exit_code == 2
        assert "Missing option '-o' / '--output'" in result.stderr


class TestMerge:
    """relabel merge"""

    def test_repeated(self, run: Runner, labels: Path, one: Path, tmp_path: Path) -> None:
        """A collection that is given twice is kept once, which is said."""
        result = run("merge", labels, one, "-o", tmp_path / "new.h5")
        assert result.exit_code == 0
        assert "amman: given more than once with the same content; kept once" in result.stderr

    def test_name_taken(self, run: Runner, labels: Path, large: Path, tmp_path: Path) -> None:
        """The command that the error tells makes the merge possible."""
        result = run("merge", labels, large, "-o", tmp_path / "new.h5")
        assert result.exit_code == 1
        advice = result.stderr.partition("relabel subset ")[2].split()
        assert run("subset", *advice[:-1], tmp_path / "renamed.h5").exit_code == 0
        result = run("merge", labels, tmp_path / "renamed.h5", "-o", tmp_path / "new.h5")
        assert result.exit_code == 0
        assert list(LabelFile(tmp_path / "new.h5")) == ["NEW", "amman", "redkitchen/train"]


class TestSubset:
    """relabel subset"""

    def test_arguments(self, run: Runner, keys: Path) -> None:
        """All options reach the library."""
        with mock.patch.object(compose, "subset", side_effect=RuntimeError) as called:
            run(
                "subset", "a.h5", "-o", "b.h5", "--collections", "x, y", "--query-keys", keys, "--database-keys", keys,
                "--band", "0.25:1", "--bbox", "-1,-2,3,4", "--bbox-lonlat", "5,6,7,8", "--ok-only", "--rename", "x=z",
                "--force",
            )  # fmt: skip
        listed = frozenset({"q0001", "q0002", "q0003", "d0001"})
        assert called.call_args.args == (
            Path("b.h5"),
            "a.h5",
            compose.Selection(
                query_keys=listed,
                database_keys=listed,
                low=0.25,
                bbox_m=Box(-1, -2, 3, 4),
                bbox_deg=Box(5, 6, 7, 8),
                ok_only=True,
            ),
        )
        arguments: dict[str, Any] = dict(called.call_args.kwargs)
        arguments.pop("progress")
        assert arguments == {
            "collections": ["x", "y"], "rename": {"x": "z"}, "key_files": [keys, keys], "overwrite": True,
        }  # fmt: skip

    def test_keys(self, run: Runner, labels: Path, keys: Path, tmp_path: Path) -> None:
        """A list of keys cuts every collection down to them."""
        run("subset", labels, "-o", tmp_path / "new.h5", "--keys", keys)
        assert {c.name: c.shape for c in LabelFile(tmp_path / "new.h5").values()} == {
            "amman": (3, 1),
            "redkitchen/train": (3, 3),
        }

    def test_notes(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """Collections that were left out, and bands that change nothing, are reported."""
        keys = tmp_path / "one.txt"
        keys.write_text("d0001\nq0001\n")
        result = run("subset", f"{labels}::redkitchen/train", "-o", tmp_path / "a.h5", "--band", "1e-7:")
        assert "redkitchen/train: holds only ψ > 1e-06 already" in result.stderr
        keys.write_text("q0001\n")
        result = run("subset", labels, "-o", tmp_path / "b.h5", "--keys", keys)
        assert "warning: amman: left out" in result.stderr

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["--band", "0.1:0.5"], 2, "presents them as true negatives"),
            (["--band", "0.5"], 2, "is not LO:HI"),
            (["--band", "x:"], 2, "is not LO:HI"),
            (["--band", "0.5:1.5"], 2, "is not LO:HI"),
            (["--band", "nan:"], 2, "is not LO:HI"),
            (["--bbox", "1,2,3"], 2, "is not W,S,E,N"),
            (["--bbox", "3,0,1,1"], 2, "is empty"),
            (["--bbox", "0,0,1,1"], 1, "nothing would be left"),
            (["--bbox-lonlat", "0,0,1,1"], 2, "local frame"),
            (["--rename", "x"], 2, "is not OLD=NEW"),
            (["--rename", "x=y"], 1, "no collection 'x' to rename"),
            (["--collections", ","], 2, "no collection is named"),
            (["--collections", "oslo"], 1, "there are amman, redkitchen/train"),
            (["--keys", "none.txt"], 1, "none.txt: there is no such file"),
        ],
    )
    def test_errors(
        self, run: Runner, labels: Path, tmp_path: Path, arguments: list[str], code: int, text: str
    ) -> None:
        """What is wrong is named, and no file is made."""
        result = run("subset", labels, "-o", tmp_path / "new.h5", *arguments)
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr
        assert list(tmp_path.iterdir()) == []

    def test_full_band(self, run: Runner, one: Path, tmp_path: Path) -> None:
        """A band from nothing to one is everything."""
        assert run("subset", one, "-o", tmp_path / "new.h5", "--band", ":").exit_code == 0
        assert LabelFile(tmp_path / "new.h5")["amman"].content_sha256 == LabelFile(one)["amman"].content_sha256


class TestConvert:
    """relabel convert"""

    def test_says_what_happened(self, run: Runner, tmp_path: Path) -> None:
        """Copied collections and dropped pairs are reported."""
        from dataclasses import replace

        source = similarity(30, 30, seed=1, density=0.9, faults=False)
        c = replace(source.collection, min_value=0.3, query_extent=np.linspace(500.0, 2000.0, 30))
        matrix = source.matrix.multiply(source.matrix > 0.3).tocsr()
        matrix.eliminate_zeros()
        labels = {"a": replace(source, collection=c, matrix=matrix)}
        labels["b"] = similarity(5, 5, seed=2).to_measure("overlap")
        path = relabel.write(tmp_path / "a.h5", labels)
        result = run("convert", path, "--measure", "overlap", "-o", tmp_path / "b.h5")
        assert result.exit_code == 0
        dropped = matrix.nnz - LabelFile(tmp_path / "b.h5")["a"].nnz
        assert f"warning: a: {dropped} pairs dropped: an absent pair can now have a ψ up to" in result.stderr
        assert "b: already in overlap; copied" in result.stderr

    def test_measure_is_needed(self, run: Runner, one: Path, tmp_path: Path) -> None:
        """There is no default measure to convert to."""
        result = run("convert", one, "-o", tmp_path / "b.h5")
        assert result.exit_code == 2
        assert "Missing option '--measure'" in result.stderr

    def test_collections(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """Only those that are named."""
        run("convert", labels, "--measure", "dice", "--collections", "amman", "-o", tmp_path / "b.h5")
        assert list(LabelFile(tmp_path / "b.h5")) == ["amman"]
