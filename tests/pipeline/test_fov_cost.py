"""What a job of fields of view takes: estimated, announced where it is much, and bounded."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from relabel import Cameras, fov
from relabel.cli.app import app
from relabel.datasets.table.table_reader import reader
from relabel.errors import OptionError
from relabel.fov.estimate import plan, possible_candidates
from relabel.fov.footprint import held_bytes
from relabel.labelfile import LabelFile
from relabel.pipeline import fov_cost
from relabel.pipeline.fov_cost import announcement, cost, within
from relabel.pipeline.fov_part import fov_parts
from relabel.pipeline.run import label
from relabel.similarity import gather
from tests.datasets.table.tables import as_parquet


def cameras(n: int, extent_m: float, seed: int = 0) -> Cameras:
    """Cameras anywhere in a square."""
    rng = np.random.default_rng(seed)
    return Cameras([f"k{i:05}" for i in range(n)], rng.uniform(0.0, extent_m, (n, 2)), rng.uniform(0.0, 360.0, n))


def at_one_spot(path: Path, n: int) -> Path:
    """A table of n cameras within metres of each other."""
    side = cameras(n, 3.0)
    return as_parquet(
        path, key=side.key.tolist(), x=side.position[:, 0], y=side.position[:, 1], heading=side.heading_deg
    )


@pytest.fixture(scope="module")
def town() -> fov.FovOverlap:
    """3,000 queries and as many database cameras, each with about 25 candidates."""
    return fov.source(cameras(3000, 1000.0), cameras(3000, 1000.0, seed=1))


class TestPlan:
    """relabel.fov.estimate.plan"""

    def test_pairs(self, town: fov.FovOverlap) -> None:
        """A sample says how many pairs there are, but for chance."""
        small = plan(town)
        assert small.pairs == pytest.approx(gather(town).matrix.nnz, rel=0.15)
        assert small.seconds > 0.0
        assert possible_candidates(town) > town.candidates()

    def test_nothing(self) -> None:
        """No pair takes no time."""
        away = Cameras(["a"], [(1e5, 1e5)], [0.0])
        assert plan(fov.source(cameras(3, 10.0), away)).pairs == 0.0
        assert cost(fov.source(cameras(3, 10.0), away)).seconds < 1.0


def test_held_bytes() -> None:
    """Arrays count once, and views as the whole that they keep alive."""
    position = np.zeros((8, 2))
    side = Cameras([*"abcdefgh"], position, np.zeros(8), extra={"column": position[:, 1], "same": position[:, 0]})
    bare = Cameras([*"abcdefgh"], position, np.zeros(8))
    assert held_bytes(side) - held_bytes(bare) == position.nbytes
    assert held_bytes((bare, [bare], {"again": bare})) == held_bytes(bare) == 8 * (4 + 16 + 8 + 1)


class TestAnnouncement:
    """relabel.pipeline.fov_cost.announcement"""

    def test_street(self, town: fov.FovOverlap, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is said of usual data, however large."""
        monkeypatch.setattr(fov_cost, "MANY_PAIRS", 1)
        assert announcement(town) == ""

    def test_one_spot(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """It is said before anything is computed, with the number of pairs and what makes fewer."""
        monkeypatch.setattr(fov_cost, "MANY_PAIRS", 1e5)
        part = fov_parts([reader(at_one_spot(tmp_path / "spot.parquet", 2000))])[0]
        source = part.open().source
        with caplog.at_level(logging.WARNING):
            monkeypatch.setattr(fov.FovOverlap, "blocks", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
            for options in ({}, {"block_rows": 1000}):
                with pytest.raises(KeyboardInterrupt):
                    label([part], tmp_path / "x.h5", **options)
        monkeypatch.undo()
        line, in_blocks = (record.getMessage() for record in caplog.records if "pairs have" in record.getMessage())
        assert in_blocks.partition(": expect")[0] == line.partition(": expect")[0]
        expected = int(line.split("about ")[1].split(" ")[0].replace(",", ""))
        assert expected == pytest.approx(gather(source).matrix.nnz, rel=0.05)
        assert "min_value=…" in line
        assert "radius_m=…" in line


class TestMemory:
    """memory_bytes of relabel.pipeline.run.label"""

    def test_smaller_blocks(self, town: fov.FovOverlap, monkeypatch: pytest.MonkeyPatch) -> None:
        """Labels are the same to the last bit; the cameras alone are not made smaller."""
        monkeypatch.setattr(fov_cost, "LEAST_BLOCK", 1)
        held = fov_cost.MEMORY_MARGIN * fov_cost.HELD_FACTOR * held_bytes(town)
        small = within(town, int(fov_cost.MOST_BASE_BYTES + held + 100e3), "town")
        assert isinstance(small, fov.FovOverlap)
        assert small.block < 2500 < town.block
        one, other = gather(town).matrix, gather(small).matrix
        for name in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert within(town, 2**40, "town").block == town.block

    def test_too_little(self, tmp_path: Path) -> None:
        """It is refused with what would be needed, and nothing is written; also where a later part is too large."""
        spot = at_one_spot(tmp_path / "spot.parquet", 30)
        output = tmp_path / "x.h5"
        parts = fov_parts([reader(spot, name="a"), replace(reader(spot), name="b")])
        with pytest.raises(OptionError, match=r"a: memory_bytes=… allows 100 MB, but 60 cameras need about \d+ MB"):
            label(parts, output, memory_bytes=100_000_000)
        done = CliRunner().invoke(app, ["table", str(spot), "-o", str(output), "--memory", "0.1GiB"])
        assert done.exit_code == 2
        assert "--memory allows 107 MB" in done.output
        assert not [path for path in tmp_path.iterdir() if path != spot]
        with pytest.raises(OptionError, match="does not go with parts that are made elsewhere"):
            label(parts, output, memory_bytes=2**40, keep_parts=True)

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
    def test_peak(self, tmp_path: Path) -> None:
        """A process that would take more keeps to the bound, and makes the same file."""
        spot = at_one_spot(tmp_path / "spot.parquet", 2500)
        bound = 500_000_000
        code = (
            "import sys; from pathlib import Path; from relabel.cli import main\n"
            "try: main()\n"
            "except SystemExit as end: assert not end.code\n"
            # Not ru_maxrss, which begins with the size of the process that started this one.
            "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
        )
        command = ["table", str(spot), "-o", str(tmp_path / "bound.h5"), "--memory", f"{bound / 1e6:.0f}MB"]
        done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=True)
        assert 1024 * int(done.stdout.split()[-1]) < bound
        label(fov_parts([reader(spot)]), tmp_path / "free.h5")
        digests = {LabelFile(tmp_path / f"{name}.h5")["spot"].content_sha256 for name in ("bound", "free")}
        assert len(digests) == 1


@pytest.mark.parametrize(
    ("text", "count"), [("4GiB", 2**32), ("500MB", 500_000_000), ("1.5 g", 1_500_000_000), ("123456", 123_456)]
)
def test_sizes(text: str, count: int) -> None:
    """Powers of 1024 where it says i."""
    from relabel.cli.options import byte_count

    assert byte_count(text) == count
