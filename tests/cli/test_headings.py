"""relabel headings, and --mask on the commands that label and verify."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from relabel.audit.headings import types
from relabel.cameras import Status
from relabel.cli import headings as command
from relabel.labelfile import LabelFile, validate
from relabel.synthetic.msls import CITY, write_tree
from tests.trees import msls_tree, street

Runner = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of a synthetic city, where each side has one drive with a stuck compass that is no panorama."""
    root = tmp_path_factory.mktemp("town") / "msls"
    write_tree(root, cameras=600, seed=1)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two small cities, with keys of their own."""
    for city in ("amman", "goa"):
        sides = {side: street(5, prefix=f"{city[0]}{side[0]}") for side in ("query", "database")}
        msls_tree(tmp_path / "msls", city=city, **sides)  # type: ignore[arg-type]
    return tmp_path / "msls"


def done(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def names(path: Path, headings: list[int]) -> Path:
    """A list of @ names, one a metre, with these headings."""
    lines = [
        f"@{500000 + i:.2f}@4000000.00@10@S@36.14@-123.00@p{path.stem}{i}@@{heading}@@@@201801@@.jpg"
        for i, heading in enumerate(headings)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


class TestHeadings:
    """relabel headings"""

    def test_reasons_are_those_of_the_library(self) -> None:
        """What is spelled out to keep the help light equals what the library knows."""
        assert command.REASONS == types.REASONS
        assert command.DEFAULT_REASONS == types.DEFAULT_REASONS

    @pytest.mark.parametrize(
        ("flags", "changed", "reasons"),
        [
            ([], {}, types.DEFAULT_REASONS),
            (["--jump", "40", "--flip", "120", "--step", "2"], {"jump_deg": 40, "flip_deg": 120, "step_m": 2}, None),
            (["--gap", "9", "--near", "10", "--place", "1"], {"gap_m": 9, "near_m": 10, "place_m": 1}, None),
            (["--reasons", "alone, flipped"], {}, ("alone", "flipped")),
            (
                ["--reasons", "flipped", "--against-travel", "70"],
                {"against_deg": 70},
                ("flipped", "against_travel"),
            ),
        ],
    )
    def test_arguments(
        self, run: Runner, town: Path, flags: list[str], changed: dict[str, float], reasons: tuple[str, ...] | None
    ) -> None:
        """Thresholds and reasons reach the library."""
        found = json.loads(done(run("headings", town, "--json", *flags)).stdout)
        defaults = types.Thresholds()
        for name, value in found["collections"][0]["thresholds"].items():
            assert value == changed.get(name, getattr(defaults, name)), name
        assert tuple(found["reasons"]) == (reasons or types.DEFAULT_REASONS)

    def test_town(self, run: Runner, town: Path, here: Path) -> None:
        """The stuck compass is found, told of, drawn and written down; stderr has what the reader reports."""
        result = done(run("headings", town, "-o", "mask.csv", "--plot", "a.svg"))
        assert all(line.startswith("relabel: sampletown: ") for line in result.stderr.splitlines())
        head, *rows = (here / "mask.csv").read_text().splitlines()
        assert head == "key,side,collection,reason"
        assert {tuple(row.split(",")[1:]) for row in rows} == {(s, CITY, "constant") for s in ("query", "database")}
        verdict = result.stdout.splitlines()[-1]
        assert verdict.startswith(f"{len(rows)} of 1,200 cameras in 2 of ")
        assert verdict.endswith(
            f"({len(rows)} with a stuck compass): `relabel msls … --mask mask.csv` leaves them out."
        )
        assert (here / "a.svg").read_bytes().startswith(b"<?xml")
        found = json.loads(done(run("headings", town, "--json")).stdout)
        untrusted = [side["untrusted"] for side in found["collections"][0]["sides"]]
        assert [side["sequences"] for side in untrusted] == [1, 1]
        assert sum(side["cameras"] for side in untrusted) == len(rows)
        assert found["collections"][0]["out_of_range"] > 0
        assert "write a mask with -o mask.csv" in found["verdict"]

    def test_cities(self, run: Runner, tree: Path) -> None:
        """All of a tree, or some."""
        found = json.loads(done(run("headings", tree, "--json")).stdout)
        assert [c["name"] for c in found["collections"]] == ["amman", "goa"]
        found = json.loads(done(run("headings", tree, "--cities", "goa", "--json")).stdout)
        assert [c["name"] for c in found["collections"]] == ["goa"]

    def test_names(self, run: Runner, here: Path) -> None:
        """Lists of @ names have no sequences; steps, wrapped headings and near pairs are told."""
        one, two = names(here / "q.txt", [0, 30, 360, 90]), names(here / "d.txt", [180, 210, 0])
        result = done(run("headings", one, two))
        assert "all headings of the queries are multiples of 30°" in result.stdout
        assert "1 heading was outside [0°, 360°)" in result.stdout
        assert "pairs within 25 m: 12; headings over 150° apart: " in result.stdout
        assert "without sequences" in result.stdout
        found = json.loads(done(run("headings", one, "--json")).stdout)
        assert [side["side"] for side in found["collections"][0]["sides"]] == ["both"]
        assert found["collections"][0]["near_pairs"]["pairs"] == 6

    @pytest.mark.parametrize(
        ("arguments", "code", "text"),
        [
            ([], 2, "ROOT | QUERIES DATABASE"),
            (["nowhere"], 1, "nowhere"),
            (["{tree}", "{tree}", "{tree}"], 2, "3 paths were given"),
            (["{tree}", "--cities", "oslo"], 1, "there is no city 'oslo'"),
            (["{tree}", "{tree}", "--cities", "goa"], 2, "--cities chooses cities of an MSLS tree"),
            (["{tree}", "--reasons", "flipped,wrong"], 2, "wrong is not a reason; choose from constant, jumping"),
            (["{tree}", "--jump", "200"], 2, "jump_deg is 200"),
            (["{tree}", "--plot", "a.gif"], 2, "a.gif: a figure has to be"),
            (["{tree}", "-o", "no/mask.csv"], 1, "no/mask.csv"),
        ],
    )
    def test_refused(self, run: Runner, tree: Path, arguments: list[str], code: int, text: str) -> None:
        """One line on stderr and nothing on stdout."""
        result = run("headings", *(a.format(tree=tree) for a in arguments))
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr
        assert result.stderr.count("\n") == 1

    def test_nothing_is_overwritten(self, run: Runner, tree: Path, here: Path) -> None:
        """A mask or image that is there stays, unless --force says otherwise."""
        (here / "m.csv").write_text("mine")
        assert run("headings", tree, "-o", "m.csv").exit_code == 1
        assert (here / "m.csv").read_text() == "mine"
        done(run("headings", tree, "-o", "m.csv", "--force"))
        assert (here / "m.csv").read_text() == "key,side,collection,reason\n"


class TestMask:
    """--mask"""

    def test_end_to_end(self, run: Runner, town: Path, here: Path) -> None:
        """What the audit writes the labels leave out, and verify agrees."""
        done(run("headings", town, "-o", "mask.csv"))
        rows = (here / "mask.csv").read_text().splitlines()[1:]
        count = len(rows)
        result = done(run("msls", "--root", town, "--mask", "mask.csv", "-o", "a.h5"))
        assert f"{CITY}: {count} cameras are masked by mask.csv" in result.stderr
        assert validate(here / "a.h5").findings == []
        labels = LabelFile(here / "a.h5")
        for side, cameras in (("query", labels[CITY].query), ("database", labels[CITY].database)):
            keys = {row.split(",")[0] for row in rows if row.split(",")[1] == side}
            assert set(cameras.key[cameras.status == Status.MASKED]) == keys
        mask = labels[CITY].params["mask"]
        assert (mask["name"], mask["masked"]) == ("mask.csv", count)
        (record,) = labels.provenance()
        assert record["parameters"]["mask"] == {"name": "mask.csv", "sha256": mask["sha256"]}
        assert [e["path"] for e in record["inputs"] if e["sha256"] == mask["sha256"]] == ["mask.csv"]
        done(run("verify", "a.h5", "--root", town, "--sample", 20))

    def test_pairs_are_left_out(self, run: Runner, tree: Path, here: Path) -> None:
        """A masked camera has no pairs; all other pairs are as without the mask."""
        (here / "m.txt").write_text("aq1\nad3\n")
        done(run("msls", "--root", tree, "--cities", "amman", "-o", "plain.h5"))
        done(run("msls", "--root", tree, "--cities", "amman", "-o", "masked.h5", "--mask", "m.txt"))
        plain, left = (LabelFile(here / f"{name}.h5")["amman"].to_scipy().toarray() for name in ("plain", "masked"))
        assert left[1].max() == left[:, 3].max() == 0.0
        plain[1] = plain[:, 3] = 0.0
        assert (left == plain).all()

    def test_several_cities(self, run: Runner, tree: Path, here: Path) -> None:
        """One mask for all, in any executor; keys of no city are warned of once."""
        (here / "m.txt").write_text("aq1\ngd3\nzz\n")
        for executor in ("local", "processes:1"):
            out = f"{executor[:4]}.h5"
            result = done(run("msls", "--root", tree, "--mask", "m.txt", "-o", out, "--executor", executor))
            assert result.stderr.count("m.txt: 1 key(s) match no camera of this dataset: 'zz'") == 1
            labels = LabelFile(here / out)
            assert labels["amman"].query.status.tolist() == [0, Status.MASKED, 0, 0, 0]
            assert labels["goa"].database.status.tolist() == [0, 0, 0, Status.MASKED, 0]
        assert (here / "loca.h5").read_bytes() == (here / "proc.h5").read_bytes()

    def test_dry_run(self, run: Runner, tree: Path, here: Path) -> None:
        """An estimate counts without what is masked."""
        (here / "m.txt").write_text("aq1\n")
        arguments = ("msls", "--root", tree, "--cities", "amman", "--dry-run", "--json")
        plain, left = (
            json.loads(done(run(*arguments, *more)).stdout)["collections"][0] for more in ((), ("--mask", "m.txt"))
        )
        assert (plain["labelled_queries"], left["labelled_queries"]) == (5, 4)

    @pytest.mark.parametrize(
        ("mask", "text"),
        [
            (None, "m.csv: does not exist"),
            ("key\nzz\n", "m.csv: none of its 1 key(s) is a camera"),
            ("key,side\naq1,up\n", "m.csv: line 2, column 'side'"),
        ],
    )
    @pytest.mark.parametrize("cities", ["amman", "amman,goa"])
    def test_refused(self, run: Runner, tree: Path, here: Path, mask: str | None, text: str, cities: str) -> None:
        """One line on stderr, and no file."""
        if mask is not None:
            (here / "m.csv").write_text(mask)
        result = run("msls", "--root", tree, "--cities", cities, "--mask", "m.csv", "-o", "a.h5")
        assert (result.exit_code, result.stdout) == (1, "")
        assert text in result.stderr
        assert result.stderr.count("\n") == 1
        assert not (here / "a.h5").exists()


class TestVerify:
    """relabel verify of masked labels"""

    @pytest.fixture
    def label(self, run: Runner, tree: Path, here: Path) -> Callable[..., Any]:
        """Label one city with the mask at a path."""

        def make(mask: Path) -> Path:
            mask.parent.mkdir(exist_ok=True)
            mask.write_text("aq1\n")
            done(run("msls", "--root", tree, "--cities", "amman", "--mask", mask, "-o", "x.h5", "--shape", "polygon"))
            return here / "x.h5"

        return make

    def test_where_it_is_found(self, run: Runner, tree: Path, here: Path, label: Callable[..., Path]) -> None:
        """Under the root, beside the label file, or where --mask says."""
        for mask, told in (
            (tree / "masks" / "m.txt", ()),
            (here / "m.txt", ()),
            (here / "other" / "m.txt", ("--mask", here / "other" / "renamed.txt")),
        ):
            file = label(mask)
            if told:
                mask.rename(told[1])
            result = done(run("verify", file, "--root", tree, *told))
            assert result.stdout.endswith(", 0 mismatches\n")
            file.unlink()
            (told[1] if told else mask).unlink()

    def test_not_found(self, run: Runner, tree: Path, here: Path, label: Callable[..., Path]) -> None:
        """What is missing is said, and how to give it; without the dataset it is not needed."""
        file = label(here / "other" / "m.txt")
        result = run("verify", file, "--root", tree)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "the mask 'm.txt' of the labels" in result.stderr
        assert "give it with --mask" in result.stderr
        (here / "wrong.txt").write_text("aq2\n")
        assert run("verify", file, "--root", tree, "--mask", here / "wrong.txt").exit_code == 1
        done(run("verify", file))

    def test_no_mask(self, run: Runner, tree: Path, here: Path, label: Callable[..., Path]) -> None:
        """--mask where it is of no use is an error."""
        file = label(here / "m.txt")
        assert "give --root as well" in run("verify", file, "--mask", here / "m.txt").stderr
        done(run("msls", "--root", tree, "--cities", "goa", "-o", "plain.h5"))
        result = run("verify", "plain.h5", "--root", tree, "--mask", here / "m.txt")
        assert "was made without a mask; omit --mask" in result.stderr


@pytest.mark.real_data
class TestRealData:
    """SF-XL val."""

    def test_sf_xs_val(self, run: Runner, real_data: Path) -> None:
        """Twelve headings in steps of 30°, 360° among them; two in three near pairs look 60° or more apart."""
        folder = real_data / "sf_xs_val"
        found = json.loads(done(run("headings", folder / "queries.txt", folder / "database.txt", "--json")).stdout)
        (city,) = found["collections"]
        assert [(side["distinct"], side["step_deg"]) for side in city["sides"]] == [(12, 30.0)] * 2
        assert city["out_of_range"] > 0
        near = city["near_pairs"]
        assert near["pairs"] == 74_326  # as many as the positives that the dataset lists
        assert sum(near["histogram"]["pairs"][4:]) > 0.6 * near["pairs"]
