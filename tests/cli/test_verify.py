"""relabel verify: exit statuses and what it prints; what it finds is tested with relabel.verify.verify."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from relabel.verify.result import Verification
from tests.trees import edit, msls_tree, street

Runner = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of one small city."""
    return msls_tree(tmp_path / "msls", query=street(4), database=street(5, prefix="d"))


@pytest.fixture
def file(run: Runner, root: Path, tmp_path: Path) -> Path:
    """Its labels; polygons, since the oracle is quicker with few corners."""
    assert run("msls", "--root", root, "-o", tmp_path / "x.h5", "--shape", "polygon").exit_code == 0
    return tmp_path / "x.h5"


class TestVerify:
    """relabel verify"""

    @pytest.mark.parametrize(
        ("flags", "root", "options"),
        [
            ([], None, {"sample": 1000, "seed": 0}),
            (["--root", "tree", "--sample", "7", "--seed", "3"], Path("tree"), {"sample": 7, "seed": 3}),
        ],
    )
    def test_arguments(
        self,
        run: Runner,
        monkeypatch: pytest.MonkeyPatch,
        flags: list[str],
        root: Path | None,
        options: dict[str, Any],
    ) -> None:
        """The command calls the library with the same names."""
        seen: list[Any] = []

        def verify(path: Path, top: Path | None, **named: Any) -> Verification:
            told = {name: value for name, value in named.items() if name != "bar" and value is not None}
            seen.append((path, top, told))
            return Verification()

        monkeypatch.setattr("relabel.verify.verify.verify", verify)
        assert run("verify", "x.h5", *flags).exit_code == 0
        assert seen == [(Path("x.h5"), root, options)]

    @pytest.mark.parametrize("with_root", [True, False])
    def test_good(self, run: Runner, file: Path, root: Path, *, with_root: bool) -> None:
        """One line on stdout, status 0."""
        result = run("verify", file, *(["--root", root] if with_root else []))
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("20 pairs recomputed, largest difference ")
        assert result.stdout.endswith(", 0 mismatches\n")

    def test_says_more(self, run: Runner, file: Path, root: Path) -> None:
        """With -v, what it is at."""
        result = run("verify", file, "--root", root, "-v")
        lines = [re.sub(r"^relabel: \[\d+\.\d s\] ", "", line) for line in result.stderr.splitlines()]
        said = iter(lines)
        for line in (
            f"{file}::amman: read 4 queries and 5 database cameras",
            f"amman: the cameras are read again from {root}",
            "amman: 20 pairs are recomputed with shapely",
        ):
            assert line in said, lines  # in this order

    def test_json(self, run: Runner, file: Path, root: Path) -> None:
        """The keys of the contract."""
        result = run("verify", file, "--root", root, "--json", "--sample", 6)
        assert (result.exit_code, result.stderr) == (0, "")
        found = json.loads(result.stdout)
        assert (found["checked"], found["mismatches"], found["findings"]) == (6, 0, [])
        assert 0.0 <= found["max_abs_diff"] < 1e-6

    def test_mismatch(self, run: Runner, file: Path, root: Path) -> None:
        """A difference is status 1; findings name the camera, before the count and in JSON."""
        edit(root / "train_val/amman/query/raw.csv", ",90.0,", ",10.0,")
        result = run("verify", file, "--root", root)
        assert (result.exit_code, result.stderr) == (1, "")
        *findings, count = result.stdout.splitlines()
        assert any(" q0" in line for line in findings)
        assert "mismatches" in count
        result = run("verify", file, "--root", root, "--json")
        assert result.exit_code == 1
        found = json.loads(result.stdout)
        assert found["findings"] == findings
        assert f"{found['mismatches']:,} mismatches" in count

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["missing.h5"], 1, "missing.h5"),
            (["x.h5", "--root", "nowhere"], 1, "nowhere"),
            (["x.h5", "--sample", "0"], 2, "--sample"),
            (["x.h5", "--seed", "-1"], 2, "--seed"),
            ([], 2, "'FILE'"),
        ],
    )
    def test_refused(
        self, run: Runner, file: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, text: str
    ) -> None:
        """One line on stderr and nothing on stdout."""
        monkeypatch.chdir(file.parent)
        result = run("verify", *arguments)
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr
        assert result.stderr.count("\n") == 1

    def test_imported(self, run: Runner, labels: Path, tmp_path: Path) -> None:
        """What has no dataset to compare with is an error, not a mismatch."""
        result = run("verify", labels, "--root", tmp_path)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "omit --root" in result.stderr
