"""--strict and --allow of labelling commands, and where findings are said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import Result

from relabel.cli.audit import AuditGroup, audit_command
from relabel.datasets import registry
from relabel.labelfile import LabelFile, validate

Run = Callable[..., Result]


@pytest.fixture
def doubtful(tmp_path: Path) -> Path:
    """A table of 50 cameras, five of which have a heading of exactly 0."""
    rng = np.random.default_rng(1)
    heading = rng.uniform(1.0, 359.0, 50)
    heading[::10] = 0.0
    place = rng.uniform(0.0, 300.0, (50, 2))
    rows = [
        f"k{k},{x!r},{y!r},{h!r}" for k, ((x, y), h) in enumerate(zip(place.tolist(), heading.tolist(), strict=True))
    ]
    path = tmp_path / "doubtful.csv"
    path.write_text("\n".join(["key,x,y,heading", *rows]) + "\n")
    return path


class TestLabelling:
    def test_findings_are_said_and_recorded(self, run: Run, doubtful: Path, tmp_path: Path) -> None:
        """On stderr, in the JSON and in the provenance, which stays the same from run to run."""
        output = tmp_path / "a.h5"
        result = run("table", doubtful, "-o", output, "--json")
        assert result.exit_code == 0
        assert "relabel: warning: doubtful: heading-zero: the heading of 5 of 50 cameras is exactly 0" in result.stderr
        (audited,) = json.loads(result.stdout)["audit"]
        assert audited["name"] == "doubtful"
        (finding,) = audited["findings"]
        assert finding["code"] == "heading-zero"
        (record,) = LabelFile(output).provenance()
        assert record["findings"] == audited["findings"]
        assert validate(output, level="content").valid
        assert run("table", doubtful, "-o", tmp_path / "b.h5").exit_code == 0
        assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()

    def test_strict(self, run: Run, doubtful: Path, tmp_path: Path) -> None:
        """An error before anything is written, unless the finding is accepted."""
        output = tmp_path / "a.h5"
        for dry in ((), ("--dry-run",)):
            result = run("table", doubtful, "-o", output, "--strict", *dry)
            assert (result.exit_code, output.exists()) == (1, False)
            assert "relabel: error: doubtful: heading-zero" in result.stderr
            assert "--allow" in result.stderr
        result = run("table", doubtful, "-o", output, "--strict", "--allow", "heading-zero", "--allow", "no-pose")
        assert (result.exit_code, output.exists()) == (0, True)
        assert "warning" not in result.stderr

    def test_dry_run(self, run: Run, doubtful: Path) -> None:
        """The audit belongs to it."""
        result = run("table", doubtful, "--dry-run", "--json")
        (row,) = json.loads(result.stdout)["collections"]
        assert [finding["code"] for finding in row["findings"]] == ["heading-zero"]
        assert "heading-zero" in result.stderr

    def test_an_unknown_code(self, run: Run, doubtful: Path) -> None:
        """A usage error that lists the codes."""
        result = run("table", doubtful, "--allow", "heading-null")
        assert result.exit_code == 2
        assert "no finding of the audit has the code 'heading-null'; there are heading-filler" in result.stderr

    def test_processes(self, run: Run, doubtful: Path, tmp_path: Path) -> None:
        """What workers found is said once."""
        from tests.trees import msls_tree, street

        query = street(3)
        query[1]["ca"] = -1
        for city in ("goa", "amman"):
            msls_tree(tmp_path / "msls", query=query, city=city)
        result = run("msls", "--root", tmp_path / "msls", "-o", tmp_path / "m.h5", "--executor", "processes:2")
        assert result.exit_code == 0
        lines = [line for line in result.stderr.splitlines() if "heading-filler" in line]
        assert sorted(line.split(": ")[1] for line in lines) == ["amman", "goa"]


class TestAudit:
    """relabel audit"""

    def test_text(self, run: Run, doubtful: Path) -> None:
        """What was seen, what lies behind it, and what mends it."""
        result = run("audit", "table", doubtful, "--self-pairs")
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[0] == "doubtful: 1 warnings, 0 notes"
        assert lines[1].startswith("  warning heading-zero: the heading of 5 of 50 cameras is exactly 0")
        assert lines[2:4] == [
            "      0 most likely stands for an unknown heading",
            "      empty those cells, or leave the cameras out with --mask",
        ]

    def test_json_and_strict(self, run: Run, doubtful: Path) -> None:
        """The exit status says whether there is a warning only where it is asked for."""
        result = run("audit", "table", doubtful, "--self-pairs", "--json", "--strict")
        assert result.exit_code == 1
        (collection,) = json.loads(result.stdout)["collections"]
        assert (collection["name"], collection["not_checked"]) == ("doubtful", [])
        assert [finding["code"] for finding in collection["findings"]] == ["heading-zero"]
        assert run("audit", "table", doubtful, "--self-pairs", "--strict", "--allow", "heading-zero").exit_code == 0

    def test_mask(self, run: Run, doubtful: Path, tmp_path: Path) -> None:
        """Cameras that are masked are not looked at."""
        (tmp_path / "mask.txt").write_text("".join(f"k{k}\n" for k in range(0, 50, 10)))
        result = run("audit", "table", doubtful, "--self-pairs", "--mask", tmp_path / "mask.txt")
        assert result.stdout.splitlines()[0] == "doubtful: 0 warnings, 0 notes"

    def test_every_dataset(self, run: Run) -> None:
        """Each has a command of the arguments and options of its own."""
        assert set(registry.built_in()) == set(AuditGroup().list_commands(click.Context(audit_command)))
        for name in registry.built_in():
            text = run("audit", name, "--help").stdout
            assert "--strict" in text
            assert "--output" not in text

    def test_no_dataset(self, run: Run) -> None:
        """Close ones are named."""
        result = run("audit", "mls", "--root", "x")
        assert result.exit_code == 2
        assert "did you mean 'msls'" in result.stderr

    def test_depth(self, run: Run, tmp_path: Path) -> None:
        """What could not be checked is said."""
        from tests.audit.rooms import frames, walk

        for folder in ("depth", "pose"):
            (tmp_path / "room" / folder).mkdir(parents=True)
        poses = walk(2)
        frames(tmp_path / "room" / "depth", poses)
        for k, pose in enumerate(poses):
            np.savetxt(tmp_path / "room" / "pose" / f"{k:03d}.txt", pose)
        (tmp_path / "room" / "intrinsics.txt").write_text("146.25 146.25 79.5 59.5")
        result = run("audit", "rgbd", "--root", tmp_path / "room", "--layout", "folder")
        assert result.exit_code == 0
        assert "depth against pose: not checked, because" in result.stdout
        labelled = run(
            "rgbd", "--root", tmp_path / "room", "--layout", "folder", "-o", tmp_path / "x.h5", "-v", "--json"
        )
        assert labelled.exit_code == 0
        assert json.loads(labelled.stdout)["audit"][0]["not_checked"][0]["check"] == "depth against pose"
        assert "depth against pose: not checked, because" in labelled.stderr

    def test_what_the_reader_reports(self, run: Run, tmp_path: Path) -> None:
        """Audit, labelling, its dry run and the check of headings all say it, and the audit also on stdout."""
        (tmp_path / "t.csv").write_text("key,x,y,heading\na,0,0,450\nb,9,0,\nc,,,90\n")
        reported = [
            "t.csv: key=key, x=x, y=y, heading=heading",
            "1 heading outside [0°, 360°) was wrapped",
            "1 camera has no heading",
            "t.csv: 1 camera has no position",
        ]
        path = tmp_path / "t.csv"
        lines = run("audit", "table", path).stdout.splitlines()
        assert [line for line in lines if "reader: " in line] == [f"  reader: {note}" for note in reported]
        (collection,) = json.loads(run("audit", "table", path, "--json").stdout)["collections"]
        assert collection["reader_notes"] == reported
        for arguments in (["table", path, "-o", tmp_path / "x.h5"], ["table", path, "--dry-run"], ["headings", path]):
            stderr = run(*arguments).stderr
            assert [note for note in reported if f"relabel: t: {note}\n" not in stderr] == []
