"""relabel evaluate, on small towns in code and on the real data."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

pytest.importorskip("torch")

import relabel
from relabel.training import build_model, seeded
from relabel.training.config import TrainConfig
from tests.evaluation.evaluations import descriptor_folder, label_file, town
from tests.similarities import similarity
from tests.training.runs import SIZE, place, trainer
from tests.trees import at_street, msls_tree, name_list, street

pytestmark = pytest.mark.gpu

Run = Callable[..., Result]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A label file of two towns."""
    label_file(tmp_path / "l.h5", a=town(prefix="a"), b=town(prefix="b", seed=3))
    return tmp_path / "l.h5"


@pytest.fixture
def described(tmp_path: Path) -> Path:
    """Random descriptors of both towns."""
    both = [town(prefix="a").collection, town(prefix="b", seed=3).collection]
    cameras = []
    for side in ("query", "database"):
        keys = np.concatenate([getattr(c, side).key for c in both])
        cameras.append(relabel.Cameras(key=keys, position=np.zeros((len(keys), 2))))
    return descriptor_folder(tmp_path / "described", (cameras[0], cameras[1]))


def answered(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


class TestDescriptors:
    """relabel evaluate --descriptors"""

    def test_predictions_have_the_same_scores(self, labels: Path, described: Path, run: Run, tmp_path: Path) -> None:
        """What --write-predictions writes is scored as the descriptors were, but for what needs their distances."""
        by_descriptors = answered(
            run("evaluate", labels, "--descriptors", described, "--write-predictions", tmp_path / "p.txt", "--json")
        )
        lines = (tmp_path / "p.txt").read_text().splitlines()
        assert {len(line.split()) for line in lines} == {26}
        by_predictions = answered(run("evaluate", labels, "--predictions", tmp_path / "p.txt", "--json"))
        del by_descriptors["distance_psi"]
        assert by_predictions == by_descriptors

    def test_text(self, labels: Path, described: Path, run: Run) -> None:
        """A table with the places beside each other."""
        result = run("evaluate", labels, "--descriptors", described)
        lines = result.stdout.splitlines()
        assert lines[0] == "positives within 25 m"
        assert [line.split()[0] for line in lines if "@" in line] == [
            f"{name}@{k}" for name in ("recall", "mAP", "nDCG") for k in (1, 5, 10, 20)
        ]
        assert "Spearman" in lines[-1]

    def test_one_collection(self, labels: Path, described: Path, run: Run) -> None:
        """Descriptors of other cameras are passed over."""
        scores = answered(run("evaluate", f"{labels}::b", "--descriptors", described, "--json", "-k", "1,3"))
        assert [place["name"] for place in scores["places"]] == ["b"]
        assert list(scores["recall"]) == ["1", "3"]

    def test_other_positives(self, labels: Path, described: Path, run: Run) -> None:
        """By ψ, by another distance, by distance and heading."""
        for options, rule in (
            (["--positives-psi", 0.3], {"psi": 0.3}),
            (["--positives-m", 10], {"within_m": 10.0}),
            (["--positives-heading", 90], {"within_m": 25.0, "max_heading_difference_deg": 90.0}),
        ):
            scores = answered(run("evaluate", labels, "--descriptors", described, "--json", *options))
            assert scores["positives"] == rule

    def test_per_query(self, labels: Path, described: Path, run: Run, tmp_path: Path) -> None:
        """A table that is not replaced unless that is said."""
        arguments = ["evaluate", labels, "--descriptors", described, "--per-query", tmp_path / "q.csv"]
        scores = answered(run(*arguments, "--json"))
        lines = list(csv.DictReader((tmp_path / "q.csv").read_text().splitlines()))
        assert len(lines) == scores["queries"] + scores["queries_without_positive"]
        assert run(*arguments).exit_code == 1
        assert run(*arguments, "--force").exit_code == 0

    def test_write_descriptors(self, labels: Path, described: Path, run: Run, tmp_path: Path) -> None:
        """What is written can be evaluated alike."""
        arguments = ["evaluate", labels, "--json", "--descriptors"]
        first = answered(run(*arguments, described, "--write-descriptors", tmp_path / "again"))
        assert answered(run(*arguments, tmp_path / "again")) == first

    def test_nothing_to_score(self, labels: Path, described: Path, run: Run, tmp_path: Path) -> None:
        """Predictions are written all the same: they may be for others to score."""
        arguments = ["evaluate", labels, "--descriptors", described, "--positives-m", 0.01]
        result = run(*arguments, "--write-predictions", tmp_path / "p.txt")
        assert result.exit_code == 1
        assert "there is nothing to score" in result.stderr
        assert (tmp_path / "p.txt").read_text().count("\n") > 0

    def test_another_data_set(self, labels: Path, described: Path, run: Run, tmp_path: Path) -> None:
        """Three keys of each are shown."""
        label_file(tmp_path / "other.h5", x=town(prefix="other"))
        result = run("evaluate", tmp_path / "other.h5", "--descriptors", described)
        assert result.exit_code == 1
        assert "have no descriptor: 'otherq" in result.stderr
        assert "do they belong to this dataset?" in result.stderr


class TestPredictions:
    """relabel evaluate --predictions"""

    def test_msls(self, run: Run, tmp_path: Path) -> None:
        """Two cities, from the metadata alone; recall and mAP as worked out here.

        Cameras stand every 10 m on both sides, so query i has the positives i - 2 … i + 2 of six. Every query of sf
        is answered with x4 of its own city first, which is right for 2 to 5, then with its own number. Those of cph
        are answered with images of sf alone.
        """
        msls_tree(tmp_path, city="sf", query=street(prefix="q"), database=street(prefix="x"))
        msls_tree(tmp_path, city="cph", query=street(2, prefix="r"), database=street(2, prefix="y"))
        lines = [f"q{i} x4 x{i}" for i in range(6)] + ["r0 x0 x1", "r1 x1 x0"]
        (tmp_path / "p.txt").write_text("\n".join(lines))
        result = run("evaluate", "--root", tmp_path, "--cities", "val", "--predictions", tmp_path / "p.txt", "--json",
                     "-k", "1,2")  # fmt: skip
        scores = answered(result)
        assert scores["recall"] == {"1": 4 / 8, "2": 6 / 8}
        # AP@2, with at least two positives each: q0 and q1 (1/2)/2; q2, q3, q5 1; q4 repeats itself, so 1/2.
        assert scores["map"]["2"] == pytest.approx((2 * 0.25 + 3 * 1.0 + 0.5) / 8)
        assert [place["recall"]["2"] for place in scores["places"]] == [0.0, 1.0]
        assert "1 line predicts an image twice, the first on line 5 ('x4')" in result.stderr

    def test_subtask(self, run: Run, tmp_path: Path) -> None:
        """What is outside the subtask is a miss."""
        rows = [street(prefix="q"), street(prefix="d")]
        for side in rows:
            for j, row in enumerate(side):
                row["d2n"] = j < 3
        msls_tree(tmp_path, query=rows[0], database=rows[1])
        (tmp_path / "p.txt").write_text("".join(f"q{i} d5 d1\n" for i in range(6)))
        result = run("evaluate", "--root", tmp_path, "--subtask", "d2n", "--predictions", tmp_path / "p.txt", "--json")
        scores = answered(result)
        assert (scores["queries"], scores["database"]) == (3, 3)
        assert (scores["recall"]["1"], scores["recall"]["5"]) == (0.0, 1.0)
        assert "3 of 6 lines are for queries that are not evaluated" in result.stderr
        assert "3 predictions name images that are left out of the database" in result.stderr
        assert "3 queries have fewer than 20 predictions (the fewest: 2)" in result.stderr

    def test_names(self, run: Run, tmp_path: Path) -> None:
        """Two lists of @ names."""
        lists = [name_list(tmp_path / f"{s}.txt", at_street(3, prefix=s)) for s in "qd"]
        names = [path.read_text().split() for path in lists]
        (tmp_path / "p.txt").write_text("".join(f"{q} {d}\n" for q, d in zip(*names, strict=True)))
        scores = answered(run("evaluate", *lists, "--predictions", tmp_path / "p.txt", "--json"))
        assert scores["recall"]["1"] == 1.0
        assert "graded" not in scores

    def test_unknown(self, labels: Path, run: Run, tmp_path: Path) -> None:
        """Misses only where that is allowed."""
        of = [key for name in "ab" for key in relabel.LabelFile(labels)[name].query.key]
        (tmp_path / "p.txt").write_text("".join(f"{key} nobody\n" for key in of))
        arguments = ["evaluate", labels, "--predictions", tmp_path / "p.txt"]
        result = run(*arguments)
        assert result.exit_code == 1
        assert "line 1" in result.stderr
        assert "'nobody'; the database has" in result.stderr
        assert answered(run(*arguments, "--allow-unknown", "--json"))["recall"]["20"] == 0.0

    @pytest.mark.real_data
    def test_amman(self, run: Run, real_data: Path, tmp_path: Path) -> None:
        """Every query answered with its nearest database image by position: recall@1 is the share with one in 25 m."""
        from relabel.datasets.msls import city as msls

        city = msls.read(real_data / "msls", city="amman")
        apart = np.linalg.norm(city.query.position[:, None] - city.database.position, axis=2)
        best = np.argsort(apart, axis=1)[:, :25]
        lines = [" ".join([q, *city.database.key[row]]) for q, row in zip(city.query.key, best, strict=True)]
        (tmp_path / "p.txt").write_text("\n".join(lines) + "\n")
        scores = answered(run("evaluate", "--root", real_data / "msls", "--predictions", tmp_path / "p.txt", "--json"))
        positives = (apart <= 25.0).sum(axis=1)
        assert scores["queries"] == (positives > 0).sum()
        assert scores["recall"]["1"] == 1.0
        # Sorted by distance all positives come first, so AP@k is 1 as well.
        assert scores["map"]["20"] == 1.0


class TestCheckpoint:
    """relabel evaluate --checkpoint"""

    def test_of_a_run(self, run: Run, tmp_path: Path) -> None:
        """A trained model on the images of its labels, of the size of its training; descriptors say the same."""
        where = place(tmp_path / "town")
        recipe = TrainConfig(batch_size=4, pairs_per_epoch=4, epochs=1, size=SIZE)
        with seeded(0):
            model = build_model("tiny")
        trainer(where, tmp_path / "run", model=model, recipe=recipe).run()
        arguments = ["evaluate", where.file, "--positives-m", 60, "--json", "--device", "cpu"]
        scores = answered(
            run(*arguments, "--checkpoint", tmp_path / "run", "--images", where.images,
                "--write-descriptors", tmp_path / "described")
        )  # fmt: skip
        assert scores == answered(run(*arguments, "--descriptors", tmp_path / "described"))
        assert np.load(tmp_path / "described" / "query.npy").shape[1] == model.dim

    def test_without_images(self, labels: Path, run: Run, tmp_path: Path) -> None:
        """A model needs to see something."""
        result = run("evaluate", labels, "--checkpoint", tmp_path)
        assert result.exit_code == 2
        assert "--images" in result.stderr

    def test_no_checkpoint(self, labels: Path, run: Run, tmp_path: Path) -> None:
        """A folder without a run."""
        result = run("evaluate", labels, "--checkpoint", tmp_path, "--images", tmp_path)
        assert result.exit_code == 1
        assert "there is no such checkpoint" in result.stderr

    def test_errors_load_no_torch(self, labels: Path, tmp_path: Path) -> None:
        """What is wrong with options and files is said without the seconds that torch takes to load."""
        commands = {
            "": ["--help"],
            "--checkpoint needs --images": [str(labels), "--checkpoint", "c.pt"],
            "c.pt: there is no such checkpoint": [str(labels), "--checkpoint", "c.pt", "--images", "."],
            "nowhere: there is no such folder": [str(labels), "--checkpoint", str(labels), "--images", "nowhere"],
            "p.txt: there is no such file": [str(labels), "--predictions", "p.txt"],
        }
        code = f"""
import sys
from click.testing import CliRunner
from relabel.cli.evaluate import evaluate_command
for message, arguments in {commands!r}.items():
    result = CliRunner().invoke(evaluate_command, arguments)
    assert message in result.output + str(result.exception), (arguments, result)
    assert "torch" not in sys.modules, arguments
"""
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


class TestUsage:
    """Arguments that do not fit together."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "nothing to evaluate; give one of"),
            (["--predictions", "p", "--descriptors", "d"], "--predictions and --descriptors to evaluate"),
            (["--predictions", "p"], "nothing to evaluate on"),
            (["l.h5", "--predictions", "p", "--cities", "val"], "--cities chooses cities of --root"),
            (["l.h5", "--predictions", "p", "--subtask", "s2w"], "--subtask needs --root"),
            (["a", "b", "c", "--predictions", "p"], "or QUERIES and DATABASE"),
            (["a", "b", "--root", "r", "--predictions", "p"], "or QUERIES and DATABASE"),
            (["l.h5", "--predictions", "p", "--write-predictions", "x"], "need --descriptors or --checkpoint"),
            (["l.h5", "--predictions", "p", "-k", "1,x"], "not a list of numbers"),
            (["l.h5", "--predictions", "p", "--images", "x"], "can only be used with --checkpoint"),
            (["l.h5", "--descriptors", "d", "--image-path", "{key}"], "can only be used with --checkpoint"),
            (["l.h5", "--descriptors", "d", "--size", "64x48"], "can only be used with --checkpoint"),
            (["l.h5", "--descriptors", "d", "--allow-unknown"], "can only be used with --predictions"),
        ],
    )
    def test_refused(self, run: Run, arguments: list[str], message: str) -> None:
        """As wrong usage, before anything is read."""
        result = run("evaluate", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--positives-m", 5, "--positives-psi", 0.5], "either by distance"),
            (["--positives-psi", 2], "threshold is 2"),
            (["--positives-m", -1], "more than 0"),
            (["-k", 0], "distinct numbers from 1 on"),
        ],
    )
    def test_values(self, labels: Path, described: Path, run: Run, options: list[Any], message: str) -> None:
        """Values that an option cannot take."""
        result = run("evaluate", labels, "--descriptors", described, *options)
        assert result.exit_code == 2
        assert message in result.stderr

    def test_missing_file(self, run: Run, tmp_path: Path) -> None:
        """No label file, no predictions."""
        assert "there is no such file" in run("evaluate", tmp_path / "x.h5", "--predictions", tmp_path / "p").stderr
        label_file(tmp_path / "l.h5", a=similarity())
        assert run("evaluate", tmp_path / "l.h5", "--predictions", tmp_path / "p").exit_code == 1
