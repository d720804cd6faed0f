"""relabel import."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from relabel.exchange.registry import import_formats
from relabel.labelfile import open_address
from relabel.similarity import Similarity

Run = Callable[..., Result]


class TestImport:
    """relabel import"""

    def test_help_names_every_format(self, run: Run) -> None:
        """Each format has a line of its own in the help; another is refused with the list of all."""
        text = run("import", "--help").stdout
        for name, spec in import_formats().items():
            assert f"  {name.ljust(11)}{spec.import_summary[:40]}" in text
        refused = run("import", "npy", "x.npy", "--measure", "iou", "-o", "x.h5")
        assert refused.exit_code == 2
        assert ", ".join(map(repr, import_formats())) in refused.stderr

    @pytest.mark.parametrize(("form", "name"), [("gcl", "amman_gt.h5"), ("csv", "amman.csv"), ("npz", "amman.npz")])
    def test_there_and_back(
        self, form: str, name: str, one: Path, similarities: dict[str, Similarity], tmp_path: Path, run: Run
    ) -> None:
        """What export wrote import reads, with the cameras that lie beside it; the summary goes to stdout."""
        run("export", one, "--to", form, "-o", tmp_path)
        done = run("import", form, tmp_path / name, "--measure", "iou", "-o", tmp_path / "back.h5", "--json")
        assert done.exit_code == 0, done.stderr
        (summary,) = json.loads(done.stdout)["collections"]
        assert (summary["name"], summary["method"], summary["measure"]) == ("amman", "imported", "iou")
        stored = open_address(tmp_path / "back.h5")
        np.testing.assert_array_equal(stored.to_scipy().toarray(), similarities["amman"].matrix.toarray())
        assert run("validate", tmp_path / "back.h5", "--level", "content").exit_code == 0

    def test_measure_has_no_default(self, tmp_path: Path, run: Run) -> None:
        """Without --measure nothing is read, and the help says why."""
        done = run("import", "csv", tmp_path / "c.csv", "-o", tmp_path / "o.h5")
        assert done.exit_code == 2
        assert "--measure" in done.stderr
        assert "no default" in run("import", "--help").stdout

    def test_refusals(self, one: Path, tmp_path: Path, run: Run) -> None:
        """A target that is there is refused before the input is looked at; a missing input is an error."""
        done = run("import", "csv", tmp_path / "none.csv", "--measure", "iou", "-o", one)
        assert done.exit_code == 1
        assert "--force" in done.stderr
        done = run("import", "csv", tmp_path / "none.csv", "--measure", "iou", "-o", tmp_path / "o.h5")
        assert done.exit_code == 1
        assert "none.csv" in done.stderr
        assert not (tmp_path / "o.h5").exists()
