"""Tables, trajectories and RGB-D folders read from Python as from the command line, with the same audit."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import relabel
from relabel.cli.app import app
from relabel.datasets.base import CameraSets
from relabel.datasets.rgbd import command as rgbd_command
from relabel.datasets.rgbd import sequence
from relabel.datasets.table import command as table_command
from relabel.datasets.table import table_reader
from relabel.errors import InputError, OptionError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """40 cameras along a line, whose headings are across it, and some of which are fillers."""
    rows = [f"k{i},{500000 + 5 * i},{4000000},{-1 if i % 7 == 0 else 90 + i % 3}" for i in range(40)]
    path = tmp_path / "cameras.csv"
    path.write_text("\n".join(["name,x,y,bearing", *rows]) + "\n")
    return path


@pytest.fixture
def trajectory(tmp_path: Path) -> Path:
    """Poses of TUM: 30 of them ahead along x, with z up."""
    half = 0.5**0.5
    rows = [f"{i}.0 {i} 0 0 0 {half!r} 0 {half!r}" for i in range(30)]
    path = tmp_path / "poses.txt"
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plain RGB-D folder of four frames; one has no pose."""
    root = tmp_path / "room"
    for name in ("depth", "pose"):
        (root / name).mkdir(parents=True)
    (root / "intrinsics.txt").write_text("50 50 31.5 23.5\n")
    for i in range(4):
        depth = np.full((48, 64), 1500 + 100 * i, np.uint16)
        Image.fromarray(depth).save(root / "depth" / f"{i:03d}.png")
        if i < 3:
            pose = np.eye(4)
            pose[0, 3] = 0.1 * i
            np.savetxt(root / "pose" / f"{i:03d}.txt", pose)
    return root


def audited(*arguments: Any) -> dict[str, Any]:
    """What `relabel audit … --json` says of the one collection, without what the reader itself reports."""
    done = CliRunner().invoke(app, ["audit", *map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    (collection,) = json.loads(done.stdout)["collections"]
    collection.pop("name")
    del collection["reader_notes"]
    return collection


class TestTable:
    """relabel.datasets.table.read"""

    def test_reads_what_the_file_says(self, table: Path) -> None:
        """Every row in its place; a heading of -1 is none."""
        read = relabel.datasets.table.read(str(table), columns={"key": "name", "heading": "bearing"})
        assert isinstance(read, CameraSets)
        assert read.query is read.database
        assert list(read.query) == [f"k{i}" for i in range(40)]
        assert read.query.position[:, 0].tolist() == [500000.0 + 5 * i for i in range(40)]
        known = np.arange(40) % 7 != 0
        assert read.query.ok.tolist() == known.tolist()
        assert read.query.heading_deg[known].tolist() == [90.0 + i % 3 for i in np.flatnonzero(known)]

    def test_same_audit(self, table: Path) -> None:
        """The findings of the command, one for one."""
        read = relabel.datasets.table.read(table, columns={"key": "name", "heading": "bearing"})
        said = audited("table", table, "--columns", "key=name,heading=bearing")
        assert said["findings"]
        assert relabel.audit.check(read).to_json() == said

    def test_same_audit_of_a_trajectory(self, trajectory: Path) -> None:
        read = relabel.datasets.table.read(trajectory, layout="tum", up="z")
        assert len(read.query) == 30
        assert read.query.heading_deg == pytest.approx(90.0)
        assert relabel.audit.check(read).to_json() == audited("table", trajectory, "--layout", "tum", "--up", "z")

    def test_travel(self, table: Path) -> None:
        """The direction of travel: the cameras go east."""
        read = relabel.datasets.table.read(table, heading="travel", columns={"key": "name"})
        assert read.query.heading_deg == pytest.approx(90.0)
        said = audited("table", table, "--heading", "travel", "--columns", "key=name")
        assert relabel.audit.check(read).to_json() == said
        with pytest.raises(OptionError, match="heading is 'compass'; it has to be None or travel"):
            relabel.datasets.table.read(table, heading="compass")  # type: ignore[arg-type]

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"nowhere\.csv"):
            relabel.datasets.table.read(tmp_path / "nowhere.csv")


class TestRgbd:
    """relabel.datasets.rgbd.read"""

    def test_reads_what_is_there(self, folder: Path) -> None:
        """Four frames, one without a pose, and where their depth maps are."""
        read = relabel.datasets.rgbd.read(str(folder), "folder")
        assert list(read.query) == ["000", "001", "002", "003"]
        assert read.query.cameras.status_counts() == {"ok": 3, "no_pose": 1}
        assert read.query.cameras.position[:3, 0] == pytest.approx([0.0, 0.1, 0.2])
        assert [Path(path).name for path in read.query.depth] == ["000.png", "001.png", "002.png", "003.png"]

    @pytest.mark.parametrize("options", [{}, {"convention": "opengl"}, {"axes": "ahead=z,down=y"}, {"depth_is": "ray"}])
    def test_same_audit(self, folder: Path, options: dict[str, Any]) -> None:
        """The findings of the command, whatever is said of the poses."""
        read = relabel.datasets.rgbd.read(folder, "folder", **options)
        words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
        assert relabel.audit.check(read).to_json() == audited("rgbd", "--root", folder, "--layout", "folder", *words)

    def test_of_frames(self, folder: Path) -> None:
        """Frames by themselves, as seven_scenes.read gives them, are checked like a sequence."""
        frames = relabel.datasets.rgbd.read(folder, "folder").frames
        codes = [finding.code for finding in relabel.audit.check(frames).findings]
        assert codes == [
            finding["code"] for finding in audited("rgbd", "--root", folder, "--layout", "folder")["findings"]
        ]
        assert str(relabel.audit.check(frames)).startswith("audit: ")

    def test_options_are_checked(self, folder: Path) -> None:
        with pytest.raises(OptionError, match="both define the axes;"):
            relabel.datasets.rgbd.read(folder, "folder", convention="opengl", axes="ahead=z,down=y")


@pytest.mark.parametrize(
    ("read", "command", "other_names"),
    [
        (table_reader.read, table_command.select, {"gap_m": "travel_gap_m", "self_pairs": None, "name": None}),
        (sequence.read, rgbd_command.select, {}),
    ],
)
def test_every_option(read: Any, command: Any, other_names: dict[str, str | None]) -> None:
    """Each option of the command for its input is an argument in Python."""
    options = {other_names.get(name, name) for name in inspect.signature(command).parameters} - {None}
    assert options == set(inspect.signature(read).parameters)
