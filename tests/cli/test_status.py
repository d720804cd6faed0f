"""relabel status, --part, --keep-parts, and pack of a folder of parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from relabel.pipeline import blocks
from relabel.synthetic.msls import write_tree

Runner = Callable[..., Result]


@pytest.fixture
def city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A city that is cut into five blocks."""
    monkeypatch.setattr(blocks, "AVERAGE_ROWS", 20)
    write_tree(tmp_path / "city", cameras=80, seed=3)
    return tmp_path / "city"


class TestJobArray:
    """N runs make a share each, and relabel pack makes the file."""

    def test_two_shares(self, run: Runner, city: Path, here: Path) -> None:
        """Each run prints how far the job is; packing refuses until all is there; the bytes are those of one run."""
        assert run("msls", "--root", city, "-o", "whole.h5").exit_code == 0
        planned = run("msls", "--root", city, "--dry-run").stdout.splitlines()
        assert planned[0].endswith("parts")
        first = run("msls", "--root", city, "-o", "x.h5", "--part", "1/2")
        assert first.exit_code == 0, first.stderr
        assert "collection  parts  done  computing  waiting  missing" in first.stdout
        status = json.loads(run("status", "x.h5.parts", "--json").stdout)
        counts = status["parts"]
        assert counts["all"] == counts["done"] + counts["missing"] == int(planned[1].split()[-1]) == 5
        assert counts["missing"] == counts["all"] // 2 == len(status["missing"])
        assert status["missing"][0] == {"collection": "sampletown", **status["missing"][0], "state": "missing"}
        refused = run("pack", "x.h5.parts", "-o", "x.h5")
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert f"{counts['missing']} of {counts['all']} parts are missing: sampletown, queries" in refused.stderr
        second = run("msls", "--root", city, "-o", "x.h5", "--part", "2/2", "--json")
        assert json.loads(second.stdout)["parts"]["done"] == counts["all"]
        assert "all parts are done: relabel pack x.h5.parts -o x.h5" in run("status", "x.h5.parts").stdout
        packed = run("pack", "x.h5.parts", "-o", "x.h5", "--json")
        assert json.loads(packed.stdout)["collections"][0]["name"] == "sampletown"
        assert (here / "x.h5").read_bytes() == (here / "whole.h5").read_bytes()
        assert run("pack", "x.h5.parts", "-o", "x.h5").exit_code == 1  # it is there
        assert run("pack", "x.h5.parts/", "-o", "x.labels").exit_code == 0
        run("unpack", "whole.h5", "-o", "whole.labels")
        shards = {entry.name: entry.read_bytes() for entry in (here / "x.labels").iterdir()}
        assert shards == {entry.name: entry.read_bytes() for entry in (here / "whole.labels").iterdir()}

    def test_keep_parts(self, run: Runner, city: Path, here: Path) -> None:
        """The folder stays, for a run that replaces the file and keeps what is in it; without the option it goes."""
        assert run("msls", "--root", city, "-o", "x.h5", "--keep-parts").exit_code == 0
        before = (here / "x.h5").read_bytes()
        again = run("msls", "--root", city, "-o", "x.h5", "--keep-parts", "--force")
        assert "5 of 5 parts are kept from an earlier run with the same inputs" in again.stderr
        assert run("msls", "--root", city, "-o", "x.h5", "--force").exit_code == 0
        assert (here / "x.h5").read_bytes() == before
        assert not (here / "x.h5.parts").exists()

    @pytest.mark.parametrize("value", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
    def test_no_share(self, run: Runner, here: Path, value: str) -> None:
        """Something else is wrong usage."""
        result = run("msls", "--root", ".", "--part", value)
        assert result.exit_code == 2
        assert f"'{value}' is not one of 1/N, 2/N, …, N/N" in result.stderr
