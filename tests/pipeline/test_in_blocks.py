"""Collections made in blocks: the same bytes from every executor, share and state of an earlier run."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from relabel import locks
from relabel.errors import FailedPartsError, InputError, MissingFileError, OptionError, OutputError, OutputInUseError
from relabel.fov import blocks as fov_blocks
from relabel.fov import planar
from relabel.fov.params import FovParams
from relabel.fov.views import Polygons
from relabel.fov.visibility import VisibleRegions, visible_regions
from relabel.labelfile import LabelFile
from relabel.pipeline import blocks
from relabel.pipeline.blocks import read_outline
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.packing import pack_parts, status
from relabel.pipeline.run import JobResult, label
from relabel.similarity import RowBlock
from relabel.synthetic.msls import BUILDINGS, write_tree
from tests.full_disk import file_limit
from tests.pipeline.jobs import msls_parts
from tests.pipeline.readers import Rows, write_rows

ROWS = 14
"""Queries of a block, on average."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive of 60 queries, which are five blocks, and a database; not to be changed."""
    root = tmp_path_factory.mktemp("town")
    write_rows(root / "town.csv", queries=60, database=70)
    return root


@pytest.fixture(scope="module")
def whole(town: Path) -> bytes:
    """Its label file, made in one piece."""
    label(job(town), town / "whole.h5")
    return (town / "whole.h5").read_bytes()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to write to."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def job(root: Path, *names: str, **params: Any) -> tuple[FovPart, ...]:
    """The parts of these collections."""
    return tuple(FovPart(Rows(root, name), FovParams(**params)) for name in names or ("town",))


def files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def computed(result: JobResult) -> int:
    """How many blocks a run has computed."""
    return sum(part.blocks - part.blocks_kept for part in result.parts)


def block_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*%block-*.h5"))


class TestSameBytes:
    """However a collection is made, the file is that of the run in one piece."""

    @pytest.mark.parametrize("kind", ["local", "threads", "keep_parts", "processes:2"])
    def test_executors(self, town: Path, out: Path, whole: bytes, kind: str) -> None:
        """In this process and in others; there are several blocks, and nothing but the file is left."""
        options: dict[str, Any] = {"executor": kind}
        with ThreadPoolExecutor(2) as pool:
            if kind == "threads":
                options = {"executor": pool}
            elif kind == "keep_parts":
                options = {"keep_parts": True}
            result = label(job(town), str(out / "x.h5"), block_rows=ROWS, **options)
        assert result.parts[0].blocks == computed(result) == 5
        assert result.parts[0].notes == ("town: a note",)
        assert (out / "x.h5").read_bytes() == whole
        assert files(out) == (["x.h5", "x.h5.parts"] if kind == "keep_parts" else ["x.h5"])

    def test_several_collections(self, town: Path, tmp_path: Path, out: Path) -> None:
        """Each is cut, joined, and packed with the others."""
        shutil.copy(town / "town.csv", tmp_path)
        write_rows(tmp_path / "self.csv", queries=30, database=0, seed=1)
        write_rows(tmp_path / "a%b.csv", queries=20, database=30, seed=2)
        label(job(tmp_path, "town", "self", "a%b"), out / "whole.h5")
        label(job(tmp_path, "town", "self", "a%b"), out / "x.h5", block_rows=ROWS)
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()
        assert LabelFile(out / "x.h5")["self"].self_pairs
        assert files(out) == ["whole.h5", "x.h5"]

    @pytest.mark.parametrize("kind", ["geographic", "noise"])
    def test_kinds(self, tmp_path: Path, out: Path, kind: str) -> None:
        """Cameras in several map zones, and expected values."""
        if kind == "geographic":
            lines = write_rows(tmp_path / "town.csv", queries=50, database=60)
            words = [line.split(",") for line in lines]
            text = [
                f"{side},{key},{5.999 + float(x) * 4e-6:.7f},{51 + float(y) * 1e-5:.7f},{heading}\n"
                for side, key, x, y, heading in words
            ]
            (tmp_path / "town.csv").write_text("".join(text))
            parts = (FovPart(Rows(tmp_path, is_geographic=True)),)
        else:
            write_rows(tmp_path / "town.csv", queries=50, database=60)
            parts = job(tmp_path, heading_sigma_deg=4.0, position_sigma_m=1.0)
        label(parts, out / "whole.h5")
        label(parts, out / "x.h5", block_rows=ROWS)
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()
        assert next(iter(LabelFile(out / "x.h5").values())).nnz > 100

    def test_walls_are_left_to_the_blocks(
        self, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What is seen is computed in blocks, also by database cameras that no query meets; bytes and notes agree."""
        caplog.set_level(logging.INFO, "relabel")
        write_tree(tmp_path / "tree", cameras=80, seed=4, buildings=True)
        houses = tmp_path / "tree" / "train_val" / "sampletown" / BUILDINGS
        town = json.loads(houses.read_text())
        for feature in town["features"]:  # larger, so that they reach into the streets
            ring = np.array(feature["geometry"]["coordinates"][0])
            feature["geometry"]["coordinates"] = [(ring + 0.4 * (ring - ring.mean(axis=0))).tolist()]
        houses.write_text(json.dumps(town))
        parts, _ = msls_parts(tmp_path / "tree", None, params=FovParams(arc=6, radius_m=12.0), occluders=houses)
        label(parts, out / "whole.h5")
        whole = LabelFile(out / "whole.h5")["sampletown"]
        met = np.zeros(whole.shape[1], bool)
        for block in whole.blocks():
            met[block.indices] = True
        assert (whole.database.ok & ~met).sum() > 10
        notes = {m for m in caplog.messages if BUILDINGS in m}
        assert any(re.search(r"cuts [1-9]\d* of \d+ fields of view", m) for m in notes)
        assert any("inside a building" in m for m in notes)
        caplog.clear()
        sizes = []

        def seen(polygons: Polygons, *rest: Any) -> VisibleRegions:
            sizes.append(len(polygons.apex))
            return visible_regions(polygons, *rest)

        monkeypatch.setattr(planar, "visible_regions", seen)
        label(parts, out / "x.h5", block_rows=ROWS, keep_parts=True)
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()
        assert {m for m in caplog.messages if BUILDINGS in m} == notes
        assert 0 < max(sizes) < whole.database.ok.sum() // 2
        assert sum("out of reach" in str(part.piece) for part in status(out / "x.h5.parts").parts) > 1
        pack_parts(out / "x.h5.parts", out / "packed.h5")
        assert (out / "packed.h5").read_bytes() == (out / "whole.h5").read_bytes()

    def test_memory_is_that_of_a_block(self, town: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No pair of another block is ever computed with those of one."""
        sizes = []
        of_block = fov_blocks.FovBlock.source

        def source(self: fov_blocks.FovBlock, threads: int | None = None) -> fov_blocks.BlockSource:
            sizes.append((len(self.query), len(self.database)))
            return of_block(self, threads)

        monkeypatch.setattr(fov_blocks.FovBlock, "source", source)
        label(job(town), out / "x.h5", block_rows=ROWS)
        assert sum(rows for rows, _ in sizes) == 60
        assert max(around for _, around in sizes) < 55


class TestShares:
    """Runs that make some of the parts each, and packing."""

    def test_three_shares(self, town: Path, out: Path, whole: bytes) -> None:
        """Each makes its own parts and packs nothing; packing makes the file of the whole, and leaves the parts."""
        for number in (3, 1, 2):
            result = label(job(town), out / "x.h5", share=(number, 3), block_rows=ROWS)
            assert result.path == out / "x.h5.parts"
            assert not (out / "x.h5").exists()
            done = [part.piece.span.first_row for part in status(result.path).parts if part.state == "done"]
            rows = [part.piece.span.first_row for part in status(result.path).parts]
            assert set(rows[number - 1 :: 3]) <= set(done)
        assert len(done) == len(rows) == len(block_files(result.path))
        assert pack_parts(out / "x.h5.parts", out / "y.h5") == out / "y.h5"
        assert (out / "y.h5").read_bytes() == whole
        assert len(block_files(result.path)) == len(rows)

    def test_several_collections(self, town: Path, tmp_path: Path, out: Path) -> None:
        """Shares go over the blocks of all collections."""
        shutil.copy(town / "town.csv", tmp_path)
        write_rows(tmp_path / "self.csv", queries=30, database=0, seed=1)
        parts = job(tmp_path, "town", "self")
        label(parts, out / "whole.h5")
        for number in (1, 2):
            label(parts, out / "x.h5", share=(number, 2), block_rows=ROWS)
        assert {part.piece.collection for part in status(out / "x.h5.parts").parts} == {"town", "self"}
        pack_parts(out / "x.h5.parts", out / "x.h5")
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()
        assert not {"town.h5", "self.h5"} & set(files(out / "x.h5.parts"))

    def test_parts_are_missing(self, town: Path, out: Path) -> None:
        """Packing refuses, says how many and which, and writes nothing; so it does where one is of other inputs."""
        label(job(town), out / "x.h5", share=(1, 2), block_rows=ROWS)
        with pytest.raises(
            InputError, match=r"2 of 5 parts are missing: town, queries \d+ to \d+; .*run the labelling"
        ):
            pack_parts(out / "x.h5.parts", out / "x.h5")
        label(job(town), out / "x.h5", share=(2, 2), block_rows=ROWS)
        first, second, *_ = block_files(out / "x.h5.parts")
        shutil.copy(second, first)
        with pytest.raises(InputError, match=r"1 of 5 parts are missing: .* \(was made from other inputs\)"):
            pack_parts(out / "x.h5.parts", out / "x.h5")
        second.write_bytes(b"damaged")
        with pytest.raises(InputError, match=r"2 of 5 parts are missing: .* \(is damaged\)"):
            pack_parts(out / "x.h5.parts", out / "x.h5")
        assert files(out) == ["x.h5.parts"]

    def test_no_folder_of_parts(self, out: Path) -> None:
        """Another folder, or none, is named."""
        with pytest.raises(MissingFileError, match="there is no such folder"):
            pack_parts(out / "x.h5.parts", out / "x.h5")
        with pytest.raises(InputError, match=r"is not a folder of parts, which ends in \.parts"):
            status(out)

    def test_no_share(self, town: Path, out: Path) -> None:
        """Shares are counted from 1 to their number."""
        with pytest.raises(OptionError, match="part 3/2 does not exist"):
            label(job(town), out / "x.h5", share=(3, 2))

    def test_at_once(self, town: Path, out: Path) -> None:
        """Runs of different shares work side by side; the same one, and the whole job, are refused meanwhile."""
        told: list[str] = []

        @contextmanager
        def bar(_: str, total: int | None) -> Iterator[Callable[[int], object]]:
            """While the first share is at work …"""
            if total is None:  # it reads
                yield lambda _: None
                return
            assert total == 60
            label(job(town), out / "x.h5", share=(2, 2), block_rows=ROWS)
            for other in ({"share": (1, 2)}, {}, {"share": (2, 3)}):
                with pytest.raises(OutputInUseError, match="another run is writing it: process"):
                    label(job(town), out / "x.h5", block_rows=ROWS, **other)
            with pytest.raises(OutputInUseError):
                pack_parts(out / "x.h5.parts", out / "x.h5")
            told.extend(part.state for part in status(out / "x.h5.parts").parts)
            yield lambda _: None

        label(job(town), out / "x.h5", share=(2, 2), block_rows=ROWS)
        label(job(town), out / "x.h5", share=(1, 2), block_rows=ROWS, bar=bar)
        assert told == ["waiting", "done"] * 2 + ["waiting"]

    def test_other_inputs_at_once(self, town: Path, tmp_path: Path, out: Path) -> None:
        """A share that finds other inputs than those of a run at work is refused."""
        shutil.copy(town / "town.csv", tmp_path)

        @contextmanager
        def bar(_name: str, total: int | None) -> Iterator[Callable[[int], object]]:
            if total is None:  # of reading
                yield lambda _: None
                return
            lines = (tmp_path / "town.csv").read_text().splitlines(keepends=True)
            (tmp_path / "town.csv").write_text("".join(lines[1:]))
            with pytest.raises(OutputInUseError, match="was made from other inputs by a run that is still at work"):
                label(job(tmp_path), out / "x.h5", share=(2, 2), block_rows=ROWS)
            yield lambda _: None

        label(job(tmp_path), out / "x.h5", share=(1, 2), block_rows=ROWS)
        label(job(tmp_path), out / "x.h5", share=(1, 2), block_rows=ROWS, bar=bar)


class TestWithoutLocks:
    """A file system that has none, as some that are shared by machines."""

    def test_shares(
        self, town: Path, out: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Shares are made, looked at and packed all the same; that nobody is kept out is said once."""

        def flock(*_: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", flock)
        monkeypatch.setattr(locks, "_said", set())
        for number in (1, 2):
            label(job(town), out / "x.h5", share=(number, 2), block_rows=ROWS)
        assert status(out / "x.h5.parts").count("done") == 5
        pack_parts(out / "x.h5.parts", out / "x.h5")
        assert (out / "x.h5").read_bytes() == whole
        (warning,) = {record.getMessage() for record in caplog.records if record.levelno == logging.WARNING}
        assert "locks" in warning


class TestStatus:
    """relabel.pipeline.packing.status"""

    def test_what_is_being_computed(self, town: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The part that is being written is known from those that wait for the same run and those that are done."""
        states: list[list[str]] = []
        rows = fov_blocks.BlockSource.blocks

        def blocks(self: fov_blocks.BlockSource) -> Iterator[RowBlock]:
            found = status(out / "x.h5.parts")
            states.append([part.state for part in found.parts])
            (run,) = found.runs
            assert (run.process, {part.by for part in found.parts if part.state != "done"}) == (os.getpid(), {run})
            return rows(self)

        monkeypatch.setattr(fov_blocks.BlockSource, "blocks", blocks)
        label(job(town), out / "x.h5", block_rows=ROWS)
        assert states == [["done"] * k + ["computing"] + ["waiting"] * (4 - k) for k in range(5)]


class TestResume:
    """A job that goes on where it was stopped."""

    def test_a_part_fails(
        self, town: Path, out: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The others are made and kept; the error names the part and the cause; the next run makes that part alone."""
        caplog.set_level(logging.INFO, "relabel")
        of_block = fov_blocks.FovBlock.source

        def source(self: fov_blocks.FovBlock, threads: int | None = None) -> fov_blocks.BlockSource:
            if "q40" in self.query:
                raise MemoryError
            return of_block(self, threads)

        with monkeypatch.context() as patch:
            patch.setattr(fov_blocks.FovBlock, "source", source)
            with pytest.raises(FailedPartsError, match=r"^1 of 5 parts failed: town, queries \d+ to \d+: MemoryError$"):
                label(job(town), out / "x.h5", block_rows=ROWS)
        assert f"4 of 5 parts are kept in {out / 'x.h5.parts'}; the same command resumes from there" in caplog.messages
        result = label(job(town), out / "x.h5", block_rows=ROWS)
        assert (computed(result), result.parts[0].blocks) == (1, 5)
        assert "town: 4 of 5 parts are kept from an earlier run with the same inputs" in caplog.messages
        assert (out / "x.h5").read_bytes() == whole
        assert files(out) == ["x.h5"]

    def test_the_disk_is_full(self, town: Path, out: Path, whole: bytes) -> None:
        """When parts are joined: they stay, and the next run joins them; at the outline: nothing is left.

        One collection fails by its own error, not as one of several parts.
        """
        label(job(town), out / "x.h5", block_rows=ROWS, share=(1, 1))
        for limit, left in ((len(whole) - 1, ["x.h5.parts"]), (2000, [])):
            with file_limit(limit), pytest.raises(OutputError, match=r"x\.h5\S*: cannot be written; .*larger than"):
                label(job(town), out / "x.h5", block_rows=ROWS)
            assert files(out) == left
            if left:
                assert computed(label(job(town), out / "x.h5", block_rows=ROWS)) == 0
                assert (out / "x.h5").read_bytes() == whole
                (out / "x.h5").unlink()

    @pytest.mark.parametrize("how", ["plainly", "again", "damaged"])
    def test_an_earlier_run(
        self,
        town: Path,
        out: Path,
        whole: bytes,
        how: str,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """A run without an option for parts goes on with those that are there; --no-resume makes all again."""
        caplog.set_level(logging.INFO, "relabel")
        monkeypatch.setattr(blocks, "AVERAGE_ROWS", ROWS)
        label(job(town), out / "x.h5", share=(1, 1), block_rows=ROWS)
        assert files(out) == ["x.h5.parts"]
        options: dict[str, Any] = {"resume": False, "block_rows": ROWS} if how == "again" else {}
        if how == "damaged":
            block_files(out / "x.h5.parts")[0].write_bytes(b"damaged")
        result = label(job(town), out / "x.h5", **options)
        assert computed(result) == {"plainly": 0, "again": 5, "damaged": 1}[how]
        assert (out / "x.h5").read_bytes() == whole
        assert files(out) == ["x.h5"]
        assert any("computed again, since the part of an earlier run is damaged" in m for m in caplog.messages) == (
            how == "damaged"
        )

    def test_the_outline_is_damaged(self, town: Path, out: Path, whole: bytes) -> None:
        """Where only whoever joins the parts would notice: it is written again, and all parts are kept."""
        label(job(town), out / "x.h5", block_rows=ROWS, keep_parts=True)
        outline = out / "x.h5.parts" / "town%outline.h5"
        with h5py.File(outline) as file:
            place = file["town/queries/position"].id.get_chunk_info(0).byte_offset
        content = bytearray(outline.read_bytes())
        content[place + 9] ^= 1
        outline.write_bytes(content)
        assert read_outline(outline).stored.shape == (60, 70)
        assert computed(label(job(town), out / "x.h5", block_rows=ROWS, overwrite=True)) == 0
        assert (out / "x.h5").read_bytes() == whole

    def test_other_parameters(self, town: Path, out: Path, whole: bytes, caplog: pytest.LogCaptureFixture) -> None:
        """Parts made with others are made again, and the log says why."""
        caplog.set_level(logging.INFO, "relabel")
        label(job(town, radius_m=20.0), out / "x.h5", share=(1, 1), block_rows=ROWS)
        label(job(town), out / "x.h5", block_rows=ROWS)
        assert (out / "x.h5").read_bytes() == whole
        assert any("an earlier run has radius_m 20.0 and not 50.0" in message for message in caplog.messages)


class TestGrowingData:
    """keep_parts: a run with more cameras computes the parts that these touch."""

    def grown(self, tmp_path: Path, lines: list[str], more: list[str], at: int) -> tuple[FovPart, ...]:
        (tmp_path / "town.csv").write_text("".join(f"{line}\n" for line in [*lines[:at], *more, *lines[at:]]))
        return job(tmp_path)

    @pytest.mark.parametrize(("side", "at", "database"), [("q", 45, 110), ("d", 130, 110), ("q", 70, 0)])
    def test_a_camera_more(
        self, tmp_path: Path, out: Path, side: str, at: int, database: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        """One in the middle of the town, wherever it stands in the file: few of the parts are made, the rest kept."""
        caplog.set_level(logging.INFO, "relabel")
        lines = write_rows(tmp_path / "town.csv", queries=100, database=database)
        label(job(tmp_path), out / "x.h5", keep_parts=True, block_rows=ROWS)
        parts = self.grown(tmp_path, lines, [f"{side},new,500.0,3.0,80.0"], at)
        result = label(parts, out / "x.h5", keep_parts=True, overwrite=True, block_rows=ROWS)
        assert result.parts[0].blocks >= 6
        assert 1 <= computed(result) <= 3
        label(parts, out / "whole.h5")
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()
        why = "computed again, since the part of an earlier run was made from other inputs"
        assert any(why in message for message in caplog.messages)
        assert len(block_files(out / "x.h5.parts")) == result.parts[0].blocks

    def test_out_of_reach(self, tmp_path: Path, out: Path) -> None:
        """A database camera that no query meets leaves every part as it is; nothing new leaves everything."""
        lines = write_rows(tmp_path / "town.csv", queries=60, database=70)
        label(job(tmp_path), out / "x.h5", keep_parts=True, block_rows=ROWS)
        parts = self.grown(tmp_path, lines, ["d,far,-9000.0,0.0,0.0"], 90)
        for _ in range(2):
            assert computed(label(parts, out / "x.h5", keep_parts=True, overwrite=True, block_rows=ROWS)) == 0
        label(parts, out / "whole.h5")
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()

    def test_several_collections(self, town: Path, tmp_path: Path, out: Path) -> None:
        """One that has not changed is joined from its parts again; one with fewer cameras loses those of its parts."""
        shutil.copy(town / "town.csv", tmp_path)
        lines = write_rows(tmp_path / "other.csv", queries=50, database=60, seed=1)
        parts = job(tmp_path, "town", "other")
        label(parts, out / "x.h5", keep_parts=True, block_rows=ROWS)
        (tmp_path / "other.csv").write_text("".join(f"{line}\n" for line in [*lines[:25], *lines[50:]]))
        result = label(parts, out / "x.h5", keep_parts=True, overwrite=True, block_rows=ROWS)
        assert result.parts[0].blocks_kept == result.parts[0].blocks
        assert computed(result) <= 2
        label(parts, out / "whole.h5")
        assert (out / "x.h5").read_bytes() == (out / "whole.h5").read_bytes()
        counted = len(block_files(out / "x.h5.parts"))
        assert counted == sum(part.blocks for part in result.parts)
        label(parts, out / "x.h5", overwrite=True, block_rows=ROWS)
        assert files(out) == ["whole.h5", "x.h5"]
