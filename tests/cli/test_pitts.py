"""relabel pitts: what it writes and prints, and how it answers every kind of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from click.testing import Result

from relabel import fov
from relabel.datasets.pitts import split as pitts
from relabel.labelfile import LabelFile, validate
from relabel.pipeline.fov_part import FovPart
from tests.trees import PITTSBURGH, cutouts, db_struct, drive, name_list

Runner = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one split."""
    db_struct(tmp_path / "pitts" / "pitts30k_val.mat")
    return tmp_path / "pitts"


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


class TestArguments:
    """Options reach the library."""

    @pytest.mark.parametrize(
        ("flags", "expected"),
        [
            (["--heading", "north"], {"heading": "north", "sign": "clockwise", "zero_deg": 0.0, "fov_deg": 60.0}),
            (
                ["--heading", "travel", "--sign", "counterclockwise", "--zero", "-15", "--travel-gap", "20"],
                {"heading": "travel", "sign": "counterclockwise", "zero_deg": -15.0, "travel_gap_m": 20.0},
            ),
            (
                ["--heading", "table:t.csv", "--fov", "90"],
                {"heading": "table", "heading_table": "t.csv", "fov_deg": 90},
            ),
        ],
    )
    def test_are_passed_on(
        self, run: Runner, root: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str], expected: dict[str, Any]
    ) -> None:
        """The command only collects them."""
        seen: list[tuple[FovPart, ...]] = []

        def label(parts: tuple[FovPart, ...], output: Path, **named: Any) -> None:
            assert (output, named["overwrite"]) == (Path("pitts.h5"), False)
            seen.append(parts)
            raise KeyboardInterrupt  # no file was made that could be looked at

        monkeypatch.setattr("relabel.pipeline.run.label", label)
        assert run("pitts", "--root", root, *flags).exit_code == 130
        (((part,)),) = seen
        assert expected.items() <= part.parameters().items()


class TestGood:
    """A folder becomes a label file."""

    def test_north(self, run: Runner, root: Path, here: Path) -> None:
        """pitts.h5, 60° fields of view, and what was assumed on stderr and in the file."""
        result = done(run("pitts", "--root", root, "--heading", "north"))
        assert [path.name for path in here.iterdir()] == ["pitts.h5"]
        assert validate(here / "pitts.h5").findings == []
        assert "pitts30k_val: yaw 1 is assumed to face north, and yaw to be clockwise" in result.stderr
        stored = LabelFile("pitts.h5")["pitts30k_val"]
        assert (stored.params["fov_deg"], stored.params["heading"]) == (60.0, "north")
        assert "assumed to face north" in str(stored.params["heading_caveat"])
        split = pitts.read(root / "pitts30k_val.mat", pitts.Headings("north"))
        expected = fov.overlap(split.query, split.database, fov_deg=60.0).matrix.toarray()
        assert expected.any()
        assert np.array_equal(stored.to_scipy().toarray(), expected)

    @pytest.mark.parametrize("heading", ["north", "travel", "table:north.csv"])
    def test_verify(self, run: Runner, root: Path, heading: str) -> None:
        """With every source the provenance leads back to the split."""
        lines = ["panorama,north_offset_deg", *(f"{i},{10 * i}" for i in (0, 1, 2, 100, 101))]
        Path("north.csv").write_text("\n".join(lines) + "\n")
        done(run("pitts", "--root", root, "--heading", heading))
        if "north.csv" in heading:
            Path("north.csv").rename(root / "north.csv")
        found = json.loads(done(run("verify", "pitts.h5", "--root", root, "--sample", 100, "--json")).stdout)
        assert (found["mismatches"], found["checked"] > 0) == (0, True)

    def test_opposite_headings_turn_the_labels(self, run: Runner, root: Path) -> None:
        """Turning every zero by 60° is counting yaw two views on: the same values between other views."""
        done(run("pitts", "--root", root, "--heading", "north", "-o", "a.h5"))
        done(run("pitts", "--root", root, "--heading", "north", "--zero", "60", "-o", "b.h5"))
        a, b = (LabelFile(name)["pitts30k_val"].to_scipy().toarray() for name in ("a.h5", "b.h5"))

        def turned(n: int) -> np.ndarray:
            return np.arange(n).reshape(-1, 12)[:, (np.arange(12) + 2) % 12].ravel()

        np.testing.assert_allclose(b, a[np.ix_(turned(len(a)), turned(a.shape[1]))], atol=1e-6)

    def test_splits(self, run: Runner, root: Path) -> None:
        """All, or some by name; what is no split is told of."""
        db_struct(root / "pitts30k_test.mat")
        scipy.io.savemat(root / "features.mat", {"x": 1})
        result = done(run("pitts", "--root", root, "--heading", "north"))
        assert list(LabelFile("pitts.h5")) == ["pitts30k_test", "pitts30k_val"]
        assert "features: skipped: features.mat holds no dbStruct" in result.stderr
        done(run("pitts", "--root", root, "--heading", "north", "--splits", "pitts30k_val", "-o", "a.h5"))
        assert list(LabelFile("a.h5")) == ["pitts30k_val"]

    def test_npz(self, run: Runner, root: Path) -> None:
        """Coordinates with lists of names give the same labels."""
        done(run("pitts", "--root", root, "--heading", "travel", "-o", "a.h5"))
        split = pitts.read(root / "pitts30k_val.mat", pitts.Headings("north"))
        other = root.parent / "npz"
        lists = [
            name_list(other / f"{name}.txt", side.key.tolist())
            for name, side in (("q", split.query), ("d", split.database))
        ]
        np.savez(other / "pitts30k_val.npz", utmQ=split.query.position, utmDb=split.database.position)
        flags = ["--query-names", lists[0], "--database-names", lists[1], "-o", "b.h5"]
        done(run("pitts", "--root", other, "--heading", "travel", *flags))
        a, b = (LabelFile(name)["pitts30k_val"].to_scipy().toarray() for name in ("a.h5", "b.h5"))
        assert np.array_equal(a, b)
        done(run("verify", "b.h5", "--root", other, "--sample", 100))


def struct(**change: Any) -> Callable[[Path], object]:
    return lambda root: db_struct(root / "pitts30k_val.mat", **change)


def table(*lines: str) -> Callable[[Path], object]:
    return lambda root: (root / "t.csv").write_text("\n".join(lines) + "\n")


FAR = cutouts(drive(3, step=(1000.0, 0.0)))
TOKYO = ([f"{'a' * 22}_012_{30 * i:03d}.jpg" for i in range(12)], [PITTSBURGH] * 12)
BAD_INPUT: dict[str, tuple[Callable[[Path], object], list[str], int, list[str]]] = {
    "no source": (struct(), [], 2, ["'--heading'"]),
    "unknown source": (struct(), ["--heading", "compass"], 2, ["'compass'", "table:FILE", "travel, or north"]),
    "wrong variable": (struct(variable="data"), ["--heading", "north"], 1, ["no variable dbStruct; it holds data"]),
    "missing field": (struct(without=["utmQ"]), ["--heading", "north"], 1, ["no field utmQ", "it has whichSet"]),
    "counts": (struct(utmQ=np.ones((2, 5))), ["--heading", "north"], 1, ["(2, 5)", "72 names"]),
    "frame numbers": (struct(utmQ=np.ones((1, 72))), ["--heading", "north"], 1, ["frame number", "Nordland"]),
    "other names": (struct(query=TOKYO), ["--heading", "north"], 1, ["queries: none of the 12 query", "no_heading"]),
    "no track": (struct(query=FAR), ["--heading", "travel"], 1, ["(72 no_heading)", "--travel-gap"]),
    "no table": (struct(), ["--heading", "table:t.csv"], 1, ["t.csv: cannot be read"]),
    "table of others": (table("id,heading", "7,1"), ["--heading", "table:T"], 1, ["(72 no_heading)", "add their"]),
    "table without a column": (table("id,x", "7,1"), ["--heading", "table:T"], 1, ["line 1", "'north_offset_deg'"]),
    "bad cell": (table("id,heading", "7,x"), ["--heading", "table:T"], 1, ["t.csv: line 2, column 'heading': 'x'"]),
    "unknown split": (struct(), ["--heading", "north", "--splits", "x"], 1, ["no split 'x'", "pitts30k_val"]),
    "zero": (struct(), ["--heading", "north", "--zero", "inf"], 2, ["zero is inf°"]),
    "gap": (struct(), ["--heading", "travel", "--travel-gap", "0"], 2, ["the travel gap is 0.0 m"]),
    "names beside a .mat": (struct(), ["--heading", "north", "--query-names", "q"], 1, ["holds the names itself"]),
}


class TestBadInput:
    """One line on stderr that names the place and the next step, nothing on stdout, and no file."""

    @pytest.mark.parametrize("case", BAD_INPUT)
    def test_is_refused(self, run: Runner, root: Path, here: Path, case: str) -> None:
        """Every way in which a folder or an option can be wrong."""
        change, flags, code, texts = BAD_INPUT[case]
        change(root)
        told = [flag.replace("table:T", f"table:{root / 't.csv'}") for flag in flags]
        refused(run("pitts", "--root", root, *told), code, texts)
        assert list(here.iterdir()) == []

    def test_no_root(self, run: Runner, root: Path) -> None:
        """A folder that is none, or holds no split."""
        refused(run("pitts", "--root", root / "x", "--heading", "north"), 1, ["x: does not exist", "give the folder"])
        refused(run("pitts", "--root", root.parent / "here", "--heading", "north"), 1, ["an empty folder"])


def refused(result: Result, code: int, texts: list[str]) -> None:
    """Check what a failing command prints."""
    *_, last = result.stderr.splitlines()
    assert last.startswith("relabel: error: ")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.count("error: ") == 1
    assert "bug in relabel" not in result.stderr
    for text in texts:
        assert text in last
