"""relabel fit: arguments, what it prints, and the way from a published dense file to an answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from relabel.fit.fit import Candidate, CollectionFit, Fit
from tests.trees import msls_tree, street

Runner = Callable[..., Result]

BEST = Candidate(
    fov_deg=90.0,
    radius_m=50.0,
    shape="polygon",
    arc=4,
    measure="iou",
    cut=False,
    database_fov_deg=None,
    database_radius_m=None,
    rms=0.001,
    max_residual=0.01,
    close_share=0.995,
    fov_sigma_deg=0.1,
    radius_sigma_m=None,
)


def answer(best: Candidate, *, explained: bool = True, **fields: Any) -> Fit:
    """A result to print."""
    values: dict[str, Any] = {"same_values": (), "not_told_apart": (), "runner_up": None} | fields
    values.setdefault("candidates", (best,))
    parts = (CollectionFit("amman", 2, 1, best.rms),)
    return Fit(
        best=best,
        explained=explained,
        collections=parts,
        published=np.array([0.5, 0.2, 0.0]),
        fitted=np.array([0.5, 0.21, 0.0]),
        distance_m=np.array([5.0, 20.0, 900.0]),
        **values,
    )


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[Fit], list[Any]]:
    """Let the library give an answer; what it was called with is collected."""

    def tell(result: Fit) -> list[Any]:
        seen: list[Any] = []

        def fit(collections: Any, root: Any, **options: Any) -> Fit:
            del options["bar"]
            seen.append(([stored.name for stored in collections], root, options))
            return result

        monkeypatch.setattr("relabel.fit.fit.fit", fit)
        return seen

    return tell


class TestFit:
    """relabel fit"""

    @pytest.mark.parametrize(
        ("suffix", "flags", "names", "root", "options"),
        [
            ("", [], ["amman", "redkitchen/train"], None, {"sample": 4000, "seed": 0}),
            (
                "::amman",
                ["--root", "t", "--pairs", "50", "--seed", "3"],
                ["amman"],
                Path("t"),
                {"sample": 50, "seed": 3},
            ),
        ],
    )
    def test_arguments(
        self,
        run: Runner,
        told: Callable[[Fit], list[Any]],
        labels: Path,
        suffix: str,
        flags: list[str],
        names: list[str],
        root: Path | None,
        options: dict[str, Any],
    ) -> None:
        """The command calls the library with the collections of the address."""
        seen = told(answer(BEST))
        assert run("fit", f"{labels}{suffix}", *flags).exit_code == 0
        assert seen == [(names, root, options)]

    def test_text(self, run: Runner, told: Callable[[Fit], list[Any]], labels: Path) -> None:
        """The answer first, then how good it is, what to do with it, and the candidates."""
        other = replace(BEST, arc=5, rms=0.002)
        told(answer(BEST, same_values=("dice",), not_told_apart=(BEST,) * 6, runner_up=other))
        result = run("fit", labels)
        assert (result.exit_code, result.stderr) == (0, "")
        lines = result.stdout.splitlines()
        assert lines[0] == "The labels are iou, polygon of 4 segments with θ = 90.000 ± 0.1°, r = 50.000 m."
        assert "rms 0.001, largest 0.01, 99.5 % of 3 pairs within 0.01 (2 stored, 1 absent)" in lines[1]
        assert "dice would have the same values" in lines[2]
        listed = "; ".join(["iou, polygon of 4 segments"] * 4)
        assert lines[3] == f"  indistinguishable from: {listed}; and 2 more (--json lists all)"
        assert lines[4].startswith(
            "  the next best is iou, polygon of 5 segments with θ = 90.000 ± 0.1°, r = 50.000 m: rms"
        )
        assert "relabel msls --fov 90 --radius 50 --shape polygon --arc 4 --measure iou makes" in lines[5]
        assert "relabel import … --measure iou" in lines[6]
        assert lines[-1].startswith("iou, polygon of 4 segments")

    @pytest.mark.parametrize(
        ("change", "explained", "words", "no"),
        [
            ({}, False, "No field-of-view model explains the labels", "makes such labels"),
            ({"cut": True}, True, "cut at r", "relabel msls"),
            ({"measure": "overlap-database"}, True, "swap queries and database", "relabel import"),
            ({"fov_deg": None}, True, "θ of each camera as in the file", "relabel msls"),
            (
                {"database_fov_deg": 60.0, "database_radius_m": 30.0},
                True,
                "θ = 60.000°, r = 30.000 m for the database",
                "relabel msls",
            ),
        ],
    )
    def test_words(
        self,
        run: Runner,
        told: Callable[[Fit], list[Any]],
        labels: Path,
        change: dict[str, Any],
        explained: bool,
        words: str,
        no: str,
    ) -> None:
        """What is odd about an answer is said, and no command is offered that would not make such labels."""
        told(answer(Candidate(**(vars(BEST) | change)), explained=explained))
        text = run("fit", labels).stdout
        assert words in text
        assert no not in text

    @pytest.mark.parametrize("suffix", ["svg", "png"])
    def test_plot(
        self, run: Runner, told: Callable[[Fit], list[Any]], labels: Path, tmp_path: Path, suffix: str
    ) -> None:
        """A picture, the same bytes every time; one that is there is replaced only on demand."""
        told(answer(BEST))
        path = tmp_path / f"fit.{suffix}"
        assert run("fit", labels, "--plot", path).exit_code == 0
        first = path.read_bytes()
        assert first.startswith(b"<?xml" if suffix == "svg" else b"\x89PNG")
        again = run("fit", labels, "--plot", path)
        assert (again.exit_code, again.stdout) == (1, "")
        assert "--force" in again.stderr
        assert run("fit", labels, "--plot", path, "--force").exit_code == 0
        assert path.read_bytes() == first
        assert [entry.name for entry in tmp_path.iterdir()] == [path.name]

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["missing.h5"], 1, "missing.h5"),
            (["both.h5::nowhere"], 1, "amman, redkitchen/train"),
            (["both.h5", "--plot", "x.gif"], 2, ".svg, .pdf, .png"),
            (["both.h5", "--plot", "no/x.svg"], 1, "does not exist"),
            (["both.h5", "--pairs", "3"], 2, "--pairs"),
            (["both.h5::amman", "--root", "nowhere"], 1, "nowhere"),
            ([], 2, "FILE"),
        ],
    )
    def test_refused(
        self, run: Runner, labels: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, text: str
    ) -> None:
        """One line on stderr and nothing on stdout."""
        monkeypatch.chdir(labels.parent)
        result = run("fit", *arguments)
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr
        assert result.stderr.count("\n") == 1

    def test_published_dense_file(self, run: Runner, tmp_path: Path) -> None:
        """From an MSLS tree to a dense file as others publish them, and back to its parameters."""
        database = [
            row | {"ca": float((90 + 37 * i) % 360)} for i, row in enumerate(street(30, prefix="d", step_m=7.0))
        ]
        root = msls_tree(tmp_path / "msls", query=street(30, step_m=7.0), database=database)
        flags = ("--fov", 70, "--radius", 40, "--measure", "overlap")
        assert run("msls", "--root", root, "-o", tmp_path / "own.h5", *flags).exit_code == 0
        assert run("export", tmp_path / "own.h5", "--to", "gcl", "-o", tmp_path / "gcl").exit_code == 0
        dense, ours = tmp_path / "gcl/amman_gt.h5", tmp_path / "theirs.h5"
        done = run("import", "gcl", dense, "--root", root, "--measure", "unknown", "-o", ours)
        assert done.exit_code == 0, done.stderr
        result = run("fit", ours, "--root", root, "--json", "--pairs", 300)
        assert (result.exit_code, result.stderr) == (0, "")
        found = json.loads(result.stdout)
        best = found["best"]
        assert math.isclose(best["fov_deg"], 70.0, abs_tol=0.5)
        assert math.isclose(best["radius_m"], 40.0, abs_tol=0.5)
        assert (best["shape"], best["measure"], best["cut"]) == ("sector", "overlap", False)
        assert found["explained"] is True
        assert found["same_values"] == ["overlap-database", "dice"]

    @pytest.mark.real_data
    def test_real_city(self, run: Runner, real_data: Path, tmp_path: Path) -> None:
        """A real city, from keys and values alone."""
        root = real_data / "msls"
        assert run("msls", "--root", root, "-o", tmp_path / "a.h5").exit_code == 0
        found = json.loads(run("fit", tmp_path / "a.h5", "--root", root, "--json", "--pairs", 1000).stdout)
        best = found["best"]
        assert math.isclose(best["fov_deg"], 90.0, abs_tol=0.5)
        assert math.isclose(best["radius_m"], 50.0, abs_tol=0.5)
        assert (best["shape"], best["measure"], found["not_told_apart"]) == ("sector", "iou", [])
