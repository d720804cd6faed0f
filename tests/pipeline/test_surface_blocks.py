"""Collections labelled by surface and made in blocks: wherever that is, with the bytes of a run in one piece."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.datasets.seven_scenes.scene import readers
from relabel.errors import FailedPartsError, InputError, OutputError
from relabel.labelfile import LabelFile
from relabel.pipeline import executors, surface_blocks
from relabel.pipeline.executors import parse
from relabel.pipeline.frame_blocks import FrameBlocks
from relabel.pipeline.one_part import AuditPolicy, prepare
from relabel.pipeline.packing import pack_parts, status
from relabel.pipeline.parts_folder import PartsFolder
from relabel.pipeline.run import JobResult, label
from relabel.pipeline.surface_blocks import KeptFrame, KeptSide
from relabel.pipeline.surface_part import SurfacePart
from relabel.surface import frame_cache
from relabel.surface.occupancy import voxel_key, words_of_keys
from relabel.surface.voxelise import FrameBricks, Voxeliser
from tests.full_disk import file_limit
from tests.pipeline.rooms import TwoSides, part_of, pose, room
from tests.surface.scenes import random_sets, shared
from tests.trees import pose_txt

ROWS = 8
"""Queries of a block, on average."""


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames along a wall, whose ends share nothing; one has no depth map, one no pose. Not to be changed."""
    root = room(tmp_path_factory.mktemp("wall") / "wall", 18)
    (root / "depth" / "004.png").write_bytes(b"")
    pose_txt(root / "pose" / "011.txt", pose(11) * np.nan)
    return root


@pytest.fixture(autouse=True)
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The depth maps that are decoded in this process, where none has been decoded before."""
    paths: list[str] = []
    voxelise = Voxeliser.voxelise

    def counted(self: Voxeliser, row: int) -> FrameBricks:
        paths.append(Path(str(self.frames.depth[row])).name)
        return voxelise(self, row)

    monkeypatch.setattr(frame_cache, "CACHE", frame_cache.FrameCache())
    monkeypatch.setattr(Voxeliser, "voxelise", counted)
    return paths


def computed(result: JobResult) -> int:
    """How many blocks a run has computed."""
    return sum(part.blocks - part.blocks_kept for part in result.parts)


class TestSameBytes:
    """The file is that of the run in one piece."""

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"method": "voxel-iou", "voxel_m": 0.1, "measure": "overlap"},
            {"tolerance_m": 0.2, "min_value": 0.2, "measure": "dice"},
            {"voxel_m": 0.03, "nearest_m": 0.8, "farthest_m": 1.05, "stride": 1},
        ],
    )
    @pytest.mark.parametrize("two_sides", [False, True])
    def test_of_all_parameters(self, wall: Path, out: Path, options: dict[str, Any], two_sides: bool) -> None:
        """Self pairs and two sides, each with frames that cannot be labelled; no part holds all of the database."""
        part = replace(part_of(wall, **options), reader=TwoSides(wall)) if two_sides else part_of(wall, **options)
        expected = label([part], out / "x.h5")
        made = label([part], out / "y.h5", block_rows=ROWS, keep_parts=True)
        assert (out / "y.h5").read_bytes() == (out / "x.h5").read_bytes()
        assert made.parts[0].notes == expected.parts[0].notes
        assert any("004.png" in note for note in made.parts[0].notes)
        stored = LabelFile(out / "x.h5")["room"]
        assert stored.nnz > 20
        assert (stored.self_pairs, stored.query.ok.all()) == (not two_sides, False)
        columns = [LabelFile(file)["room"].shape[1] for file in (out / "y.h5.parts").glob("*%block-*")]
        assert len(columns) == made.parts[0].blocks > 1
        assert max(columns) < stored.shape[1]

    def test_elsewhere(self, wall: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """In other processes, started once; only the file is left, and collections with the same frames share them."""
        started = []

        def processes(workers: int) -> Any:
            started.append(workers)
            return of_run(workers)

        of_run = executors._processes
        monkeypatch.setattr(executors, "_processes", processes)
        parts = [part_of(wall, name) for name in ("a", "b")]
        label(parts, out / "x.h5", threads=1)
        label(parts, out / "y.h5", executor="processes:2", block_rows=ROWS)
        assert started == [2]
        assert (out / "x.h5").read_bytes() == (out / "y.h5").read_bytes()
        assert sorted(entry.name for entry in out.iterdir()) == ["x.h5", "y.h5"]

    def test_each_depth_map_once(self, wall: Path, out: Path, decoded: list[str]) -> None:
        """Though two collections of the job have all of them."""
        parts = [part_of(wall, name, stride=1) for name in ("a", "b")]
        label(parts, out / "x.h5", block_rows=ROWS)
        assert sorted(decoded) == sorted(set(decoded))
        assert len(decoded) == 17

    def test_shares(self, wall: Path, out: Path, decoded: list[str]) -> None:
        """Runs that share a job decode each depth map once, make some of the parts each, and are packed."""
        part = part_of(wall, stride=1)
        label([part], out / "x.h5")
        decoded.clear()
        for number in (2, 1):
            result = label([part], out / "y.h5", share=(number, 2), block_rows=ROWS)
            states = [part.state for part in status(result.path).parts]
            assert set(states[number - 1 :: 2]) == {"done"}
        assert len(decoded) == 17
        assert set(states) == {"done"}
        pack_parts(out / "y.h5.parts", out / "z.h5")
        assert (out / "z.h5").read_bytes() == (out / "x.h5").read_bytes()

    @pytest.mark.real_data
    def test_real_frames(self, real_data: Path, out: Path) -> None:
        """Those of a scene of 7Scenes, in blocks of 40."""
        parts = [SurfacePart(reader) for reader in readers(real_data / "7scenes") if reader.name.endswith("/train")]
        label(parts, out / "x.h5")
        (made,) = label(parts, out / "y.h5", block_rows=40).parts
        assert made.blocks > 1
        assert (out / "y.h5").read_bytes() == (out / "x.h5").read_bytes()


class TestResume:
    """What an earlier run has made is kept as far as it does not depend on what has changed."""

    def labelled(self, folder: Path, out: Path) -> JobResult:
        frame_cache.CACHE = frame_cache.FrameCache()
        return label([part_of(folder, stride=1)], out / "x.h5", keep_parts=True, overwrite=True, block_rows=ROWS)

    def test_growing_data(self, wall: Path, tmp_path: Path, out: Path, decoded: list[str]) -> None:
        """Few depth maps are decoded for a new frame, and few parts counted; nothing is without one."""
        folder = Path(shutil.copytree(wall, tmp_path / "wall"))
        for frame in ("000", "001"):
            (folder / "pose" / f"{frame}.txt").rename(tmp_path / f"{frame}.txt")
        blocks = computed(self.labelled(folder, out))
        assert blocks >= 3
        decoded.clear()
        assert (computed(self.labelled(folder, out)), decoded) == (0, [])
        (tmp_path / "001.txt").rename(folder / "pose" / "001.txt")
        assert 1 <= computed(self.labelled(folder, out)) < blocks
        assert "001.png" in decoded
        assert len(decoded) <= 16
        assert (out / "x.h5").read_bytes() == label([part_of(folder, stride=1)], out / "y.h5").path.read_bytes()

    def test_depth_map_that_has_changed(self, wall: Path, tmp_path: Path, out: Path) -> None:
        """The parts that meet its frame are counted again; one that is only written again leaves them all."""
        folder = Path(shutil.copytree(wall, tmp_path / "wall"))
        blocks = computed(self.labelled(folder, out))
        depth = folder / "depth" / "001.png"
        content = depth.read_bytes()
        depth.unlink()
        depth.write_bytes(content)
        assert computed(self.labelled(folder, out)) == 0
        shutil.copy(folder / "depth" / "002.png", depth)
        assert 1 <= computed(self.labelled(folder, out)) < blocks
        assert (out / "x.h5").read_bytes() == label([part_of(folder, stride=1)], out / "y.h5").path.read_bytes()

    def test_damaged(self, wall: Path, out: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Voxels that are damaged fail the parts that need them, by name; the next run makes both again."""
        expected = label([part_of(wall, stride=1)], out / "y.h5").path.read_bytes()
        cut = surface_blocks.Cut.__call__

        def damaging(self: surface_blocks.Cut, first_row: int, stop_row: int) -> surface_blocks.SurfaceBlock:
            block = cut(self, first_row, stop_row)
            if first_row == 0:
                block.frames[0].files[0].write_bytes(b"damaged")
            return block

        with monkeypatch.context() as patch:
            patch.setattr(surface_blocks.Cut, "__call__", damaging)
            with pytest.raises(FailedPartsError, match=r"room, queries 0 to \d+: .*%frames-.*was removed or damaged"):
                self.labelled(wall, out)
        decoded.clear()
        frame_cache.CACHE = frame_cache.FrameCache()
        assert computed(label([part_of(wall, stride=1)], out / "x.h5", block_rows=ROWS)) >= 1
        assert 1 <= len(decoded) <= 16
        assert (out / "x.h5").read_bytes() == expected

    def test_the_disk_is_full(self, wall: Path, out: Path) -> None:
        """While voxels are written: the error names the file, and nothing is left."""
        with file_limit(2000), pytest.raises(OutputError, match=r"%frames-\w+\.npz: cannot be written; .*larger than"):
            label([part_of(wall, stride=1)], out / "x.h5", block_rows=ROWS)
        assert [*out.iterdir()] == []

    def test_stopped_while_decoding(self, wall: Path, out: Path, decoded: list[str]) -> None:
        """A run that only had decoded is gone on with, also without an option for parts; nothing is left over."""
        folder = PartsFolder(out / "x.h5", ["room"])
        with folder:
            prepared = prepare(part_of(wall, stride=1), AuditPolicy(), threads=1)
            FrameBlocks(folder, parse("local"), 1, True).decoded(part_of(wall, stride=1), prepared)
        assert [entry.suffix for entry in folder.path.iterdir() if entry.name != "job.json"] == [".npz"]
        decoded.clear()
        label([part_of(wall, stride=1)], out / "x.h5")
        assert decoded == []
        assert [entry.name for entry in out.iterdir()] == ["x.h5"]

    def test_one_collection_fails(self, wall: Path, tmp_path: Path, out: Path) -> None:
        """The other one is made and kept; the error names the one that cannot be read."""
        broken = room(tmp_path / "broken", 3)
        for file in (broken / "depth").iterdir():
            file.write_bytes(b"")
        parts = [part_of(broken, "a"), part_of(wall, "b")]
        with pytest.raises(FailedPartsError, match=r"^1 of \d+ parts failed: a: none of 3 depth maps is usable"):
            label(parts, out / "x.h5", block_rows=ROWS)
        assert status(out / "x.h5.parts").count("done") > 1
        with pytest.raises(InputError, match=r"1 of \d+ parts are missing: a;"):
            pack_parts(out / "x.h5.parts", out / "x.h5")


class TestBlocks:
    """relabel.pipeline.surface_blocks"""

    def test_what_can_meet(self) -> None:
        """No pair of frames that shares a voxel, or has neighbouring ones, is left out; far ones are."""
        rng = np.random.default_rng(0)
        sets = random_sets(rng, 60, 12, 40.0)
        kept = []
        for k, voxels in enumerate(sets):
            code, word = words_of_keys(np.sort(voxel_key(*np.array(sorted(voxels), np.int64).T)))
            kept.append(KeptFrame.of(Path("file"), k, FrameBricks(code, word, 1.0, None)))
        side = KeptSide.of(kept)
        assert side.voxels.tolist() == [len(voxels) for voxels in sets]
        counts, _ = shared(sets, sets, "surface")
        left_out = 0
        for k in range(60):
            columns = side.meeting(side.take(np.array([k])))
            assert set(np.flatnonzero(counts[k])) <= set(columns.tolist())
            left_out += 60 - len(columns)
        assert left_out > 400

    @pytest.mark.parametrize(
        ("device", "executor", "expected"),
        [("auto", "local", "auto"), ("auto", "processes:2", "cpu"), ("cuda", "processes:2", "cuda")],
    )
    def test_device(self, wall: Path, out: Path, device: Any, executor: str, expected: str) -> None:
        """Several processes use the GPU only where that is asked for by name."""
        part = part_of(wall, stride=1)
        with PartsFolder(out / "x.h5", ["room"]) as folder:
            prepared = prepare(part, AuditPolicy(), threads=1)
            frames = FrameBlocks(folder, parse("local"), 1, True)
            frames.decoded(part, prepared)
            frames.place = parse(executor)
            again = frames.decoded(replace(part, device=device), prepared)
        assert again.opened.cut is not None
        assert again.opened.cut(0, 4).device == expected
