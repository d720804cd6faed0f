"""relabel compare"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from click.testing import Result

import relabel
from relabel.report import compare as module
from relabel.similarity import Similarity
from tests.similarities import similarity

Runner = Callable[..., Result]

CONTRACT = {"name", "common_pairs", "max_abs_diff", "mean_abs_diff", "flips_at_0.5", "only_in_a", "only_in_b"}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A file with one collection in common with `labels`, whose values differ, and one of its own."""
    return relabel.write(tmp_path / "other.h5", {"amman": similarity(30, 40, seed=9), "oslo": similarity(4, 5)})


class TestCompare:
    """relabel compare"""

    def test_json(self, run: Runner, labels: Path, other: Path) -> None:
        """The keys that scripts rely on, with what the library counted."""
        result = run("compare", labels, other, "--json")
        assert (result.exit_code, result.stderr) == (0, "")
        found = json.loads(result.stdout)
        assert found == module.compare(str(labels), str(other)).to_json()
        assert found["collections"][0].keys() >= CONTRACT
        assert (found["only_in_a"], found["only_in_b"]) == (["redkitchen/train"], ["oslo"])

    def test_text(self, run: Runner, labels: Path, other: Path) -> None:
        """A table, the worst pairs, and what it comes to in a sentence."""
        result = run("compare", labels, other)
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        (difference,) = module.compare(str(labels), str(other)).collections
        cells = lines[4].split()
        assert cells[0] == "amman"
        assert cells[1:4] == [str(n) for n in (difference.common_pairs, difference.only_in_a, difference.only_in_b)]
        assert cells[6] == str(difference.flips)
        worst = next(line for line in lines if difference.largest[0].query in line)
        assert difference.largest[0].database in worst
        assert "only in A: redkitchen/train" in lines
        assert lines[-1].startswith("A and B differ: 2 collections in one file only, ")
        assert f"{difference.flips} pairs on different sides of ψ = 0.5." in lines[-1]

    def test_identical(self, run: Runner, labels: Path, one: Path) -> None:
        """Files that say the same are said to."""
        assert run("compare", labels, labels).stdout.endswith("\nA and B hold identical content.\n")
        assert run("compare", f"{labels}::amman", one).stdout.endswith("\nA and B hold identical content.\n")

    def test_measures(self, run: Runner, one: Path, similarities: dict[str, Similarity], tmp_path: Path) -> None:
        """Another measure is converted, which is said, and rounding is no difference."""
        dice = relabel.write(tmp_path / "dice.h5", {"x": similarities["amman"].to_measure("dice")})
        result = run("compare", one, dice)
        assert "amman: compared with x of B" in result.stdout
        assert "amman: A is iou and B is dice; compared as iou" in result.stdout
        assert "the same cameras and pairs, equal to within float32 rounding" in result.stdout
        assert "compared as overlap" in run("compare", one, dice, "--measure", "overlap").stdout

    def test_excluded_pairs(self, run: Runner, similarities: dict[str, Similarity], tmp_path: Path) -> None:
        """Other pairs that training and scoring leave out are no other labels, but are told."""
        psi = similarities["amman"]
        c = psi.collection
        query, database = (replace(side, extra={"sequence": np.full(len(side), "a")}) for side in (c.query, c.database))
        whole = Similarity(replace(c, query=query, database=database), psi.matrix)
        params = {**c.params, "other_sequence": True}
        ruled = Similarity(replace(c, query=query, database=database, params=params), psi.matrix)
        a, b = (relabel.write(tmp_path / f"{name}.h5", {"x": s}) for name, s in (("a", whole), ("b", ruled)))
        text = run("compare", a, b).stdout
        assert "x: A excludes no pairs from training and scoring, and B pairs of one sequence; all pairs are" in text
        assert json.loads(run("compare", a, b, "--json").stdout)["collections"][0]["excluded"] == [
            {},
            {"other_sequence": True},
        ]
        assert "excludes" not in run("compare", a, a).stdout

    def test_cameras(self, run: Runner, one: Path, tmp_path: Path) -> None:
        """Cameras that are missing, and pairs that are unknown for it, are told."""
        part = tmp_path / "part.h5"
        keys = tmp_path / "keys.txt"
        keys.write_text("".join(f"q{i:04d}\n" for i in range(10)))
        assert run("subset", one, "-o", part, "--query-keys", keys, "--band", "0.5:").exit_code == 0
        result = run("compare", one, part)
        assert "amman: 10 queries in both, 20 only in A" in result.stdout
        assert "are unknown in B (camera missing or not ok)" in result.stdout
        assert "A stores ψ > 1e-06 and B ψ > 0.5; a pair that is absent from one is compared as 0" in result.stdout
        assert "absent\n" in result.stdout

    def test_unknown_measure(self, run: Runner, one: Path, tmp_path: Path) -> None:
        """That values are compared as they stand is said."""
        from dataclasses import replace

        source = similarity(30, 40, seed=1)
        foreign = replace(source, collection=replace(source.collection, method="imported", measure="unknown"))
        path = relabel.write(tmp_path / "foreign.h5", {"amman": foreign})
        result = run("compare", path, one)
        assert "the measure of A is unknown, so its values are compared unconverted, with iou" in result.stdout

    def test_arguments(self, run: Runner) -> None:
        """Arguments reach the library as they are."""
        with mock.patch.object(module, "compare", side_effect=RuntimeError) as called:
            run("compare", "a.h5::x", "b.h5", "--measure", "dice")
        assert called.call_args.args == ("a.h5::x", "b.h5")
        assert called.call_args.kwargs["measure"] == "dice"

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            (["{labels}"], 2, "Missing argument 'B'"),
            (["{labels}", "none.h5"], 1, "none.h5: there is no such file"),
            (["{labels}::oslo", "{labels}"], 1, "there are amman, redkitchen/train"),
            (["{labels}::redkitchen/train", "{other}"], 1, "no collection in common"),
            (["{labels}", "{other}", "--measure", "f1"], 2, "'f1' is not one of"),
        ],
    )
    def test_errors(self, run: Runner, labels: Path, other: Path, arguments: list[str], code: int, text: str) -> None:
        """What is wrong is named, without a traceback and without output."""
        given: list[Any] = [a.format(labels=labels, other=other) for a in arguments]
        result = run("compare", *given)
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr
