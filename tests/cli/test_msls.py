"""relabel msls: what it writes and prints, and how it answers every kind of bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from relabel import fov
from relabel.cameras import Status
from relabel.datasets.msls import city as msls
from relabel.labelfile import LabelFile, validate
from relabel.pipeline.fov_part import FovPart
from tests.trees import COLUMNS, MELBOURNE, drop_column, edit, msls_tree, reverse_rows, street, write_csv

Runner = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree of one small city."""
    return msls_tree(tmp_path / "msls")


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.stderr
    return result


class TestExcludedPairs:
    """Pairs that training and scoring leave out are recorded; their ψ is what it would be without the rule."""

    def test_rule(self, run: Runner, root: Path, here: Path) -> None:
        """The rule is in params and provenance, counted, verified and kept by resume; another one labels again."""
        done(run("msls", "--root", root, "-o", "plain.h5"))
        result = done(run("msls", "--root", root, "-o", "x.h5", "--min-frame-gap", 3))
        plain, stored = (next(iter(LabelFile(name).values())) for name in ("plain.h5", "x.h5"))
        assert stored.params["min_frame_gap"] == 3
        assert LabelFile("x.h5").provenance()[0]["parameters"]["min_frame_gap"] == 3
        np.testing.assert_array_equal(stored.to_scipy().toarray(), plain.to_scipy().toarray())
        q, d = stored.query, stored.database
        near = np.abs(np.subtract.outer(q.extra["frame"], d.extra["frame"])) < 3
        one = q.extra["sequence"][:, None] == d.extra["sequence"]
        count = (near & one & q.ok[:, None] & d.ok).sum()
        said = (
            f"{count} pairs are excluded from training and scoring (pairs of one sequence that are fewer than 3 frames"
        )
        assert said in result.stderr
        assert validate("x.h5").findings == []
        checked = json.loads(done(run("verify", "x.h5", "--root", root, "--sample", 50, "--json")).stdout)
        assert (checked["checked"] > 20, checked["mismatches"]) == (True, 0)
        assert "min_frame_gap 3" in done(run("info", "x.h5")).stdout
        assert "excluded from training and scoring: pairs of one" in done(run("stats", "x.h5")).stdout
        done(run("subset", "x.h5", "-o", "y.h5", "--band", "0.2:"))
        assert next(iter(LabelFile("y.h5").values())).params["min_frame_gap"] == 3

    @pytest.mark.parametrize(
        ("flags", "code", "said"),
        [
            (("--min-time-gap", 2), 1, "no column 'time_s'"),
            (("--other-sequence", "--min-frame-gap", 2), 2, "choose one"),
            (("--min-frame-gap", 0), 2, "0 is not in the range x>=1"),
        ],
    )
    @pytest.mark.parametrize("more", [(), ("--dry-run",)])
    def test_mistakes(
        self, run: Runner, root: Path, here: Path, flags: tuple, code: int, said: str, more: tuple
    ) -> None:
        """A rule that cannot be is refused before anything is written, and in a dry run."""
        result = run("msls", "--root", root, "-o", "x.h5", *flags, *more)
        assert result.exit_code == code, result.stderr
        assert said in result.stderr
        assert list(here.iterdir()) == []


class TestArguments:
    """Options reach the library under the same names."""

    @pytest.mark.parametrize(
        ("flags", "expected", "options"),
        [
            (
                [],
                {"overwrite": False, "resume": True, "executor": "local", "threads": None},
                {"heading": "compass", "fov_deg": 90.0, "radius_m": 50.0, "shape": "sector", "measure": "iou"},
            ),
            (
                ["--force", "--no-resume", "--executor", "processes:2", "--threads", "3"],
                {"overwrite": True, "resume": False, "executor": "processes:2", "threads": 3},
                {"min_value": 1e-6},
            ),
            (
                ["--fov", "70", "--radius", "20", "--shape", "polygon", "--arc", "4", "--measure", "dice"],
                {},
                {"fov_deg": 70.0, "radius_m": 20.0, "shape": "polygon", "arc": 4, "measure": "dice"},
            ),
            (["--heading", "travel", "--min-value", "0.1"], {}, {"heading": "travel", "min_value": 0.1}),
        ],
    )
    def test_are_passed_on(
        self,
        run: Runner,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        flags: list[str],
        expected: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        """The command only collects them."""
        seen: list[tuple[tuple[FovPart, ...], Path, dict[str, Any]]] = []

        def label(parts: tuple[FovPart, ...], output: Path, **named: Any) -> None:
            seen.append((parts, output, named))
            raise KeyboardInterrupt  # no file was made that could be looked at

        monkeypatch.setattr("relabel.pipeline.run.label", label)
        assert run("msls", "--root", root, *flags).exit_code == 130
        (((part,), output, named),) = seen
        assert output == Path("msls.h5")
        assert expected.items() <= named.items()
        assert options.items() <= part.parameters().items()


class TestGood:
    """A tree becomes a label file."""

    def test_default_output(self, run: Runner, root: Path, here: Path) -> None:
        """msls.h5 in the current folder, a summary on stdout, and notes on stderr."""
        result = done(run("msls", "--root", root))
        assert [path.name for path in here.iterdir()] == ["msls.h5"]
        assert validate(here / "msls.h5").findings == []
        assert "amman" in result.stdout
        assert "fov-sector" in result.stdout
        assert f"relabel: wrote msls.h5 ({(here / 'msls.h5').stat().st_size:,} bytes)" in result.stderr
        city = msls.read(root, city="amman")
        expected = fov.overlap(city.query, city.database).matrix.toarray()
        assert np.array_equal(LabelFile(here / "msls.h5")["amman"].to_scipy().toarray(), expected)

    def test_json(self, run: Runner, root: Path, here: Path) -> None:
        """With --json stdout is what `relabel info --json` prints of the file, and the audit of its input."""
        result = json.loads(done(run("msls", "--root", root, "-o", "a.h5", "--json")).stdout)
        assert result.pop("audit") == [{"name": "amman", "findings": [], "not_checked": []}]
        assert result == json.loads(done(run("info", "a.h5", "--json")).stdout)
        assert result["collections"][0]["shape"] == [6, 6]

    def test_quiet(self, run: Runner, root: Path) -> None:
        """With -q stderr stays empty."""
        assert done(run("msls", "--root", root, "-q")).stderr == ""

    def test_only_metadata_is_needed(self, run: Runner, root: Path) -> None:
        """No image is there, and none is missed."""
        assert not list(root.rglob("images"))
        done(run("msls", "--root", root))

    @pytest.mark.parametrize(
        ("cities", "expected"),
        [
            (None, ["amman", "cph", "goa"]),
            ("goa,amman", ["amman", "goa"]),
            ("train", ["amman", "goa"]),
            ("val", ["cph"]),
            ("val,goa", ["cph", "goa"]),
        ],
    )
    def test_cities(self, run: Runner, root: Path, cities: str | None, expected: list[str]) -> None:
        """All, some by name, or those of an official list."""
        for city in ("goa", "cph"):
            msls_tree(root, city=city)
        done(run("msls", "--root", root, *(["--cities", cities] if cities else [])))
        assert list(LabelFile("msls.h5")) == expected

    def test_options_are_recorded(self, run: Runner, root: Path) -> None:
        """Shape, segments, measure and source of headings are in the file."""
        flags = "--shape polygon --arc 8 --measure overlap --min-value 0.25 --heading travel --fov 60 --radius 30"
        done(run("msls", "--root", root, *flags.split()))
        stored = LabelFile("msls.h5")["amman"]
        assert (stored.method, stored.measure, stored.min_value) == ("fov-polygon", "overlap", 0.25)
        assert stored.params == {"shape": "polygon", "arc": 8, "fov_deg": 60.0, "radius_m": 30.0, "heading": "travel"}
        assert stored.to_scipy().data.min() > 0.25

    def test_travel(self, run: Runner, tmp_path: Path) -> None:
        """The tangent of the drive stands in for a compass that says nothing; backward cameras look back."""
        rows = street(6, ca=None)
        rows[2]["view_direction"] = "Backward"
        root = msls_tree(tmp_path / "travel", query=rows)
        done(run("msls", "--root", root, "--heading", "travel"))
        heading = LabelFile("msls.h5")["amman"].query.heading_deg
        assert np.allclose(heading, [90, 90, 270, 90, 90, 90])

    def test_every_row_stays(self, run: Runner, tmp_path: Path) -> None:
        """Panoramas and cameras without heading or position keep their rows and have no pair, and are told of."""
        rows = street(6)
        rows[1]["pano"], rows[2]["ca"], rows[4]["easting"] = True, None, "nan"
        result = done(run("msls", "--root", msls_tree(tmp_path / "faults", query=rows), "--json"))
        stored = LabelFile("msls.h5")["amman"]
        assert stored.query.key.tolist() == [row["key"] for row in rows]
        assert stored.query.status.tolist() == [0, Status.PANORAMA, Status.NO_HEADING, 0, Status.NO_POSITION, 0]
        assert np.diff(stored.to_scipy().indptr)[[1, 2, 4]].tolist() == [0, 0, 0]
        status = json.loads(result.stdout)["collections"][0]["status"]["queries"]
        assert status == {"ok": 3, "panorama": 1, "no_heading": 1, "no_position": 1}
        for text in ("panorama", "no compass angle", "no position"):
            assert f"{text}" in result.stderr

    def test_south(self, run: Runner, tmp_path: Path) -> None:
        """Negative northings stay as they are."""
        root = msls_tree(
            tmp_path / "south",
            city="melbourne",
            query=street(4, start=MELBOURNE),
            database=street(5, prefix="d", start=MELBOURNE),
        )
        done(run("msls", "--root", root))
        stored = LabelFile("msls.h5")["melbourne"]
        assert (stored.query.position[:, 1] < -4e6).all()
        assert stored.nnz == 20

    def test_rows_in_another_order(self, run: Runner, root: Path) -> None:
        """Files of one side are joined by key: a differing order changes no label."""
        done(run("msls", "--root", root, "-o", "a.h5"))
        reverse_rows(root / "train_val/amman/database/postprocessed.csv")
        done(run("msls", "--root", root, "-o", "b.h5"))
        assert LabelFile("a.h5")["amman"].content_sha256 == LabelFile("b.h5")["amman"].content_sha256

    def test_force(self, run: Runner, root: Path) -> None:
        """An existing file is replaced when asked for."""
        Path("msls.h5").write_bytes(b"old")
        done(run("msls", "--root", root, "--force"))
        assert list(LabelFile("msls.h5")) == ["amman"]

    def test_test_split_is_passed_over(self, run: Runner, root: Path) -> None:
        """A city without positions is named with the reason; the others are labelled."""
        msls_tree(root, city="miami", split="test", without=("raw", "postprocessed"))
        result = done(run("msls", "--root", root))
        assert list(LabelFile("msls.h5")) == ["amman"]
        (line,) = (line for line in result.stderr.splitlines() if "miami" in line)
        assert line.startswith("relabel: warning: miami: skipped: no raw.csv or postprocessed.csv")

    def test_resumed(self, run: Runner, root: Path, here: Path) -> None:
        """After a failure the finished city is kept, and the run that goes on says so."""
        msls_tree(root, city="goa")
        raw = root / "train_val/goa/query/raw.csv"
        edit(raw, "90.0", "abc")
        result = run("msls", "--root", root)
        assert result.exit_code == 1
        assert "1 of 2 parts are kept in msls.h5.parts" in result.stderr
        assert [path.name for path in here.iterdir()] == ["msls.h5.parts"]
        edit(raw, "abc", "90.0")
        assert "amman: kept from an earlier run" in done(run("msls", "--root", root)).stderr
        assert [path.name for path in here.iterdir()] == ["msls.h5"]


class TestRadians:
    """--fov in radians"""

    @pytest.mark.parametrize(("fov", "advice"), [("1.5708", "--fov 90"), ("6.2831", "--fov 360"), ("7", None)])
    def test_is_pointed_out(self, run: Runner, root: Path, here: Path, fov: str, advice: str | None) -> None:
        """A field of view of a full turn of radians or less is labelled as it is, with a warning."""
        result = done(run("msls", "--root", root, "--fov", fov))
        assert ("in radians" in result.stderr) is (advice is not None)
        if advice:
            assert f"degrees; if that is in radians, give {advice}\n" in result.stderr


class TestDryRun:
    """relabel msls --dry-run"""

    def test_table(self, run: Runner, root: Path, here: Path) -> None:
        """Cameras and candidate pairs of every city; nothing is written, and an output that is there is no matter."""
        msls_tree(root, city="goa", query=street(4))
        Path("msls.h5").write_bytes(b"old")
        result = done(run("msls", "--root", root, "--dry-run"))
        head, *rows = (line.split() for line in result.stdout.splitlines())
        assert head[0] == "collection"
        assert [(row[0], row[1], row[2]) for row in rows] == [("amman", "6", "6"), ("goa", "4", "6")]
        assert [path.name for path in here.iterdir()] == ["msls.h5"]
        assert Path("msls.h5").read_bytes() == b"old"

    def test_json(self, run: Runner, root: Path, here: Path) -> None:
        """The same with a name for every number; candidates are counted, not estimated."""
        result = done(run("msls", "--root", root, "--dry-run", "--json"))
        (found,) = json.loads(result.stdout)["collections"]
        assert set(found) == {
            "name",
            "queries",
            "database",
            "labelled_queries",
            "labelled_database",
            "candidates",
            "output_bytes",
            "memory_bytes",
            "seconds",
            "parts",
            "findings",
            "not_checked",
        }
        assert found["parts"] == 1
        city = msls.read(root, city="amman")
        assert found["candidates"] == fov.source(city.query, city.database).candidates()
        assert list(here.iterdir()) == []


def empty(path: Path) -> None:
    path.write_bytes(b"")


def header_only(folder: Path) -> None:
    for name, columns in COLUMNS.items():
        write_csv(folder / f"{name}.csv", [], columns)


def in_query(change: Callable[..., object], name: str, *arguments: str) -> Callable[[Path], object]:
    """A change of one file of the queries."""
    return lambda root: change(root / f"train_val/amman/query/{name}.csv", *arguments)


def rebuilt(**options: Any) -> Callable[[Path], object]:
    """The tree written over with other rows or files missing."""
    return lambda root: msls_tree(root, **options)


BAD_INPUT = {
    # name: (what is done to the tree, further flags, exit status, texts in the error)
    "missing column": (in_query(drop_column, "raw", "ca"), [], 1, ["query/raw.csv: line 1: column 'ca' is missing"]),
    "key in one file": (
        in_query(edit, "postprocessed", ",q3,", ",else,"),
        [],
        1,
        ["query/raw.csv: key 'q3' is not in postprocessed.csv", "same download"],
    ),
    "row in one file": (
        in_query(edit, "raw", "5,q5,", "5,q5b,"),
        [],
        1,
        ["query/raw.csv: key 'q5b' is not in postprocessed.csv"],
    ),
    "duplicate key": (
        in_query(edit, "raw", ",q3,", ",q1,"),
        [],
        1,
        ["query/raw.csv: key 'q1' is on lines 3 and 5", "keep one row per key"],
    ),
    "text for a number": (
        in_query(edit, "raw", ",90.0,", ",east,"),
        [],
        1,
        ["query/raw.csv: line 2, column 'ca': 'east' is not a number", "correct the cell"],
    ),
    "text for a position": (
        in_query(edit, "postprocessed", ",q4,", ",q4,here"),
        [],
        1,
        ["query/postprocessed.csv: line 6, column 'easting': 'here"],
    ),
    "line cut off": (
        in_query(edit, "raw", ",90.0,2018-05-11,False\n", "\n"),
        [],
        1,
        ["query/raw.csv: line 2: 4 cells, but the header names 7 columns"],
    ),
    "empty file": (in_query(empty, "raw"), [], 1, ["query/raw.csv: the file is empty; expected a header line"]),
    "header only": (
        lambda root: header_only(root / "train_val/amman/query"),
        [],
        1,
        ["amman/query: there is no row"],
    ),
    "header only in one file": (
        lambda root: write_csv(root / "train_val/amman/query/raw.csv", [], COLUMNS["raw"]),
        [],
        1,
        ["query/postprocessed.csv: key 'q0' is not in raw.csv"],
    ),
    "no position at all": (
        rebuilt(query=street(easting="nan", northing="inf")),
        [],
        1,
        ["amman/query: none of the 6 query cameras can be labelled (6 no_position)", "--cities"],
    ),
    "all headings missing": (
        rebuilt(query=street(ca=None)),
        [],
        1,
        ["amman/query: none of the 6 query cameras can be labelled (6 no_heading)", "--heading travel"],
    ),
    "no raw.csv": (in_query(Path.unlink, "raw"), [], 1, ["query/raw.csv: is missing", "heading of travel"]),
    "no CSV": (
        lambda root: [path.unlink() for path in (root / "train_val/amman/query").iterdir()],
        [],
        1,
        ["amman: no raw.csv or postprocessed.csv", "no CSV file"],
    ),
    "test split only": (
        lambda root: [
            (root / "train_val").rename(root / "test"),
            *(path.unlink() for path in (root / "test").rglob("*") if path.stem in ("raw", "postprocessed")),
        ],
        [],
        1,
        ["none of the requested cities can be labelled", "amman", "hence no positions"],
    ),
    "no sequences": (
        in_query(Path.unlink, "seq_info"),
        ["--heading", "travel"],
        1,
        ["query/seq_info.csv: is missing", "compass heading"],
    ),
    "field of view 0": (rebuilt(), ["--fov", "0"], 2, ["the field of view is 0°", "at most 360°"]),
    "field of view 400": (rebuilt(), ["--fov", "400"], 2, ["the field of view is 400°"]),
    "field of view nan": (rebuilt(), ["--fov", "nan"], 2, ["the field of view is nan°"]),
    "negative radius": (rebuilt(), ["--radius", "-1"], 2, ["the radius is -1 m"]),
    "infinite radius": (rebuilt(), ["--radius", "inf"], 2, ["the radius is inf m"]),
    "wide segment": (rebuilt(), ["--shape", "polygon", "--arc", "1", "--fov", "200"], 2, ["1 arc segment(s)"]),
    "no segments": (rebuilt(), ["--arc", "0"], 2, ["--arc"]),
    "smallest value 1": (rebuilt(), ["--min-value", "1"], 2, ["--min-value"]),
    "unknown measure": (rebuilt(), ["--measure", "jaccard"], 2, ["'jaccard'", "iou"]),
    "unknown executor": (rebuilt(), ["--executor", "cloud"], 2, ["'cloud'", "processes:N"]),
    "no threads": (rebuilt(), ["--threads", "0"], 2, ["--threads"]),
    "unknown city": (rebuilt(city="goa"), ["--cities", "oslo"], 1, ["no city 'oslo'", "amman, goa"]),
    "no city of a list": (rebuilt(), ["--cities", "val"], 1, ["none of the 2 val cities (cph, sf)", "amman"]),
    "no city": (rebuilt(), ["--cities", ","], 2, ["cities is ','"]),
}


class TestBadInput:
    """One line on stderr that names the place and the next step, nothing on stdout, and no file."""

    @pytest.mark.parametrize("case", BAD_INPUT)
    def test_is_refused(self, run: Runner, root: Path, here: Path, case: str) -> None:
        """Every way in which a tree or an option can be wrong."""
        change, flags, code, texts = BAD_INPUT[case]
        change(root)
        refused(run("msls", "--root", root, *flags), code, texts)
        assert list(here.iterdir()) == []

    @pytest.mark.parametrize("case", ["text for a number", "all headings missing", "field of view 400"])
    @pytest.mark.parametrize("flags", [["--dry-run"], ["--json"], ["--cities", "amman,zz"]], ids=" ".join)
    def test_in_every_mode(self, run: Runner, root: Path, here: Path, case: str, flags: list[str]) -> None:
        """The same in a dry run, for programs, and where the city is the first of several; the others are kept."""
        change, more, code, texts = BAD_INPUT[case]
        change(root)
        msls_tree(root, city="zz")
        refused(run("msls", "--root", root, "--cities", "amman", *flags, *more), code, texts)
        goes_on = "amman,zz" in flags and code == 1
        assert [entry.name for entry in here.rglob("*.h5")] == (["zz.h5"] if goes_on else [])

    @pytest.mark.parametrize(
        ("name", "texts"),
        [
            (".", ["is not an MSLS tree", "expected {train_val,test}/<city>/{query,database}/*.csv", "found"]),
            ("nowhere", ["nowhere: does not exist", "give the folder"]),
            ("msls/train_val/amman/query/raw.csv", ["raw.csv: is a file, not a folder"]),
            ("msls/train_val/amman", ["looks like one city", "give the folder above train_val"]),
        ],
    )
    def test_no_root(self, run: Runner, root: Path, here: Path, name: str, texts: list[str]) -> None:
        """A folder that is no MSLS tree: what was looked for, what was found, what may be meant."""
        refused(run("msls", "--root", root.parent / name), 1, texts)
        assert list(here.iterdir()) == []

    def test_root_left_out(self, run: Runner) -> None:
        """It is asked for by name."""
        refused(run("msls"), 2, ["'--root'"])


class TestBadOutput:
    """The same where the file cannot be written."""

    @pytest.mark.parametrize("flags", [[], ["--cities", "amman"]])
    def test_exists(self, run: Runner, root: Path, here: Path, flags: list[str]) -> None:
        """Refused before any CSV is read, with the way to replace it."""
        msls_tree(root, city="goa")
        edit(root / "train_val/amman/query/raw.csv", "90.0", "abc")
        Path("msls.h5").write_bytes(b"old")
        refused(run("msls", "--root", root, *flags), 1, ["msls.h5: already exists", "--force"])
        assert [path.name for path in here.iterdir()] == ["msls.h5"]
        assert Path("msls.h5").read_bytes() == b"old"

    @pytest.mark.parametrize(
        ("output", "text"),
        [
            ("no/where/x.h5", "the folder"),
            ("folder", "not a regular file"),
            ("file/x.h5", "file"),
            ("x" * 300 + ".h5", "too long"),
        ],
    )
    def test_cannot_be_written(self, run: Runner, root: Path, here: Path, output: str, text: str) -> None:
        """A missing folder, a folder, a path through a file, a name that no file can have."""
        Path("folder").mkdir()
        Path("file").write_bytes(b"")
        refused(run("msls", "--root", root, "--force", "-o", output), 1, [text, output.partition("/")[0]])
        assert sorted(path.name for path in here.iterdir()) == ["file", "folder"]


def refused(result: Result, code: int, texts: list[str]) -> None:
    """Check what a failing command prints."""
    *_, last = result.stderr.splitlines()
    assert last.startswith("relabel: error: ")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.stderr
    assert "bug in relabel" not in result.stderr
    for text in texts:
        assert text in last
