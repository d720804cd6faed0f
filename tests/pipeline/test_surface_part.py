"""Frames with depth maps as parts of a job: opened, planned, computed, and found again from the record."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel import surface
from relabel.cameras import Status
from relabel.datasets.mask import masked
from relabel.errors import InputError, OptionError
from relabel.fov.params import FovParams
from relabel.labelfile import LabelFile, provenance, validate
from relabel.pipeline import surface_part
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.parts import estimates
from relabel.pipeline.records import frames_from_records, part_from_record
from relabel.pipeline.run import label
from relabel.pipeline.surface_part import SurfacePart, surface_parts
from relabel.surface.estimate import SAMPLE
from relabel.surface.params import SurfaceParams
from relabel.surface.voxelise import Voxeliser
from tests.pipeline.jobs import msls_parts
from tests.pipeline.rooms import Repeated, part_of, pose, reader_of, room
from tests.trees import pose_txt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A room, to be changed."""
    return room(tmp_path / "room")


@contextmanager
def _counting(steps: list[int]) -> Iterator[Callable[[int], object]]:
    yield steps.append


class TestParameters:
    """relabel.pipeline.surface_part.SurfacePart.parameters"""

    def test_device_does_not_count(self, folder: Path) -> None:
        """Where labels are computed is not part of the question."""
        part = part_of(folder)
        assert replace(part, device="cuda").parameters() == part.parameters()

    def test_only_what_was_asked_for(self) -> None:
        """What the overlap chooses is not part of the question."""
        assert SurfaceParams().to_json() == {
            "method": "surface",
            "tolerance_m": 0.05,
            "measure": "iou",
            "min_value": 1e-6,
        }
        chosen = SurfaceParams(voxel_m=0.02, stride=2, nearest_m=0.5, farthest_m=3.0).to_json()
        assert {name: chosen[name] for name in ("voxel_m", "stride", "nearest_m", "farthest_m")} == {
            "voxel_m": 0.02,
            "stride": 2,
            "nearest_m": 0.5,
            "farthest_m": 3.0,
        }

    def test_spelling_does_not_show(self) -> None:
        """3 and 3.0 are one depth, also in the text of the record."""
        whole = SurfaceParams(tolerance_m=1, farthest_m=3, min_value=0)
        assert repr(whole.to_json()) == repr(SurfaceParams(tolerance_m=1.0, farthest_m=3.0, min_value=0.0).to_json())


class TestOpen:
    """relabel.pipeline.surface_part.SurfacePart.open"""

    def test_nothing_is_decoded(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Opening reads lists and poses; the preparation decodes, and counts every depth map."""
        opened = part_of(folder, stride=1).open(threads=1)
        assert opened.preparation is not None
        assert (opened.preparation.what, opened.preparation.total, opened.thousands) == ("depth maps", 10, True)
        assert {path.suffix for path in opened.files} == {".png", ".txt"}
        steps: list[int] = []
        notes = opened.preparation.run(steps.append)
        assert (sum(steps), notes) == (10, ())
        monkeypatch.setattr("relabel.surface.depth_maps.read_depth", lambda *_: pytest.fail("decoded twice"))
        assert opened.source.collection.query.ok.all()

    def test_same_as_the_library(self, folder: Path) -> None:
        """Every option arrives at the overlap, and the parameters say what the dataset does as well."""
        options: dict[str, Any] = {"tolerance_m": 0.08, "voxel_m": 0.05, "stride": 1, "nearest_m": 0.8}
        options |= {"farthest_m": 1.05, "measure": "dice", "min_value": 0.2}
        part = part_of(folder, **options)
        scene = part.read()
        direct = surface.source(scene.query, scene.database, surface.SurfaceParams(**options))
        opened = part.open().source
        ours, theirs = opened.collection, direct.collection
        assert (ours.measure, ours.min_value, ours.self_pairs) == ("dice", 0.2, True)
        assert ours.params == {**theirs.params, **scene.params}
        assert scene.params
        for one, two in zip(opened.blocks(), direct.blocks(), strict=True):
            assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))

    def test_wrong_options(self, folder: Path) -> None:
        """They are refused before anything is decoded."""
        with pytest.raises(OptionError, match="tolerance"):
            part_of(folder, tolerance_m=-1.0).open()

    def test_what_is_wrong_is_told(self, folder: Path) -> None:
        """A frame without a pose at once, a bad depth map once it is decoded; both by the name of the collection."""
        pose_txt(folder / "pose" / "002.txt", pose(2) * np.nan)
        (folder / "depth" / "004.png").write_bytes(b"not an image")
        opened = part_of(folder).open()
        assert opened.preparation is not None
        told = opened.preparation.run(None)
        assert any("002" in note and note.startswith("room: ") for note in opened.notes)
        assert any("004.png" in note and note.startswith("room: ") for note in told)
        cameras = opened.source.collection.query
        assert [Status(s) for s in cameras.status if s] == [Status.NO_POSE, Status.BAD_DEPTH]

    def test_nothing_to_label(self, folder: Path) -> None:
        """Without any pose the folder is named, with the count of each status."""
        for path in (folder / "pose").iterdir():
            pose_txt(path, pose(0) * np.nan)
        with pytest.raises(InputError, match="none of the 10 query frames can be labelled"):
            part_of(folder).open()

    def test_can_be_sent(self, folder: Path) -> None:
        """A part goes to other processes and is the same there."""
        parts = surface_parts([reader_of(folder)], SurfaceParams(stride=1))
        assert pickle.loads(pickle.dumps(parts)) == parts


class TestLabel:
    """relabel.pipeline.run.label of scenes"""

    def test_bars(self, folder: Path, out: Path) -> None:
        """The dataset is read first, then depth maps are counted, then queries; every one of both."""
        seen: dict[str, list[int | None]] = {}

        def bar(name: str, total: int | None) -> Any:
            seen[name] = [total]
            return _counting(seen[name])

        label([part_of(folder)], out / "x.h5", bar=bar)
        assert list(seen) == ["room: reading the dataset", "room: depth maps", "room"]
        assert seen.pop("room: reading the dataset") == [None]
        assert all(total == sum(steps) == 10 for total, *steps in seen.values())

    def test_file(self, folder: Path, out: Path) -> None:
        """It is valid, and its record has one entry for all depth maps and one for all poses."""
        result = label([part_of(folder)], out / "x.h5", threads=1)
        assert validate(result.path).valid
        labels = LabelFile(result.path)
        (record,) = labels.provenance()
        assert [entry["path"] for entry in record["inputs"]] == ["depth/*.png", "intrinsics.txt", "pose/*.txt"]
        assert record["command"] == "relabel rgbd"
        assert labels["room"].method == "surface"
        assert labels["room"].nnz > 0
        assert str(folder) not in str(record)

    def test_notes_come_back(self, folder: Path, out: Path) -> None:
        """What showed in decoding is among the notes of the result."""
        (folder / "depth" / "004.png").write_bytes(b"")
        (made,) = label([part_of(folder)], out / "x.h5").parts
        assert any("004.png" in note for note in made.notes)

    def test_resume(self, folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A part of an earlier run is kept without decoding a thing, unless a depth map has changed since."""
        broken = SurfacePart(reader_of(out / "nowhere", "b"))
        with pytest.raises(Exception, match="nowhere"):
            label([part_of(folder, "a"), broken], out / "x.h5")
        with monkeypatch.context() as patch:
            patch.setattr(surface.SurfaceOverlap, "decode", lambda *_: pytest.fail("decoded again"))
            with pytest.raises(Exception, match="nowhere"):
                label([part_of(folder, "a"), broken], out / "x.h5")
        other = room(out / "other", 10)
        (folder / "depth" / "003.png").write_bytes((other / "depth" / "004.png").read_bytes())
        made = label([part_of(folder, "a"), part_of(other, "b")], out / "x.h5").parts
        assert [part.kept for part in made] == [False, False]


class TestEstimates:
    """relabel.pipeline.parts.estimates of scenes"""

    def test_counts(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Frames, pairs, time, memory and bytes, without computing an overlap."""
        pose_txt(folder / "pose" / "002.txt", pose(2) * np.nan)
        monkeypatch.setattr(surface.SurfaceOverlap, "blocks", lambda _: pytest.fail("an overlap was computed"))
        (row,) = estimates([part_of(folder)], threads=1)
        assert (row.queries, row.database, row.labelled_queries, row.frames) == (10, 10, 9, 9)
        assert row.candidates == 9 * 8
        assert row.seconds is not None
        assert row.seconds > 0.0
        assert row.memory_bytes > row.output_bytes > 0

    def test_very_many_pairs(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are announced before depth maps are decoded, where some of a few can be."""
        part = part_of(folder)
        opened = part.open()
        assert opened.announcement == ""
        monkeypatch.setattr(surface_part, "MANY_PAIRS", 1.0)
        stored = sum(len(block.data) for block in opened.source.blocks())
        announced = part.open().announcement
        assert int(announced.split()[1]) == pytest.approx(stored, rel=0.05)
        assert "min_value=…" in announced
        for path in (folder / "depth").iterdir():
            path.write_bytes(b"")
        assert part.open().announcement == ""

    def test_beside_streets(self, folder: Path, tree: Path) -> None:
        """A job may hold both."""
        parts = [*msls_parts(tree, "goa")[0], part_of(folder)]
        assert ["frames" in row.to_json() for row in estimates(parts)] == [False, True]


class TestMemory:
    """memory_bytes of relabel.pipeline.run.label"""

    def test_less_than_the_program_takes(self, out: Path) -> None:
        """It is refused before anything is read: there is nothing to be read."""
        with pytest.raises(OptionError, match=r"room: memory_bytes=… allows 100 MB, but labels by surface .* 437 MB"):
            label([part_of(out / "nowhere")], out / "x.h5", memory_bytes=100_000_000)
        assert not list(out.iterdir())

    def test_too_many_frames(self, folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is refused when a few depth maps have been decoded, with what would be needed; nothing is written."""
        decoded: list[int] = []
        depth = Voxeliser.depth
        monkeypatch.setattr(Voxeliser, "depth", lambda self, row: (decoded.append(row), depth(self, row))[1])
        part = SurfacePart(Repeated(folder, 100_000), SurfaceParams(stride=1))
        with pytest.raises(OptionError, match=r"wall: .* allows 450 MB, but 100,000 frames need about \d+ MB"):
            label([part], out / "x.h5", memory_bytes=450_000_000)
        assert 0 < len(decoded) <= SAMPLE
        assert not list(out.iterdir())

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
    def test_peak(self, folder: Path, out: Path) -> None:
        """A process that would take 50 MB more keeps to the bound."""
        bound = 450_000_000
        code = (
            "import sys; from pathlib import Path\n"
            "from relabel.pipeline.run import label; from relabel.pipeline.surface_part import SurfacePart\n"
            "from relabel.surface.params import SurfaceParams; from tests.pipeline.rooms import Repeated\n"
            "part = SurfacePart(Repeated(Path(sys.argv[1]), 7000), SurfaceParams(stride=1))\n"
            "label([part], Path(sys.argv[2]), memory_bytes=int(sys.argv[3]))\n"
            # Not ru_maxrss, which begins with the size of the process that started this one.
            "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
        )
        command = [sys.executable, "-c", code, str(folder), str(out / "x.h5"), str(bound)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert 1024 * int(done.stdout.split()[-1]) < bound
        assert LabelFile(out / "x.h5")["wall"].nnz > 0


class TestRecords:
    """relabel.pipeline.records.part_from_record and frames_from_records"""

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"method": "voxel-iou", "voxel_m": 0.1},
            {"stride": 1, "nearest_m": 0.1, "farthest_m": 2.0, "measure": "overlap", "min_value": 0.1},
        ],
    )
    def test_there_and_back(self, folder: Path, options: dict[str, Any]) -> None:
        """The record of a part leads to that part."""
        part = part_of(folder, **options)
        record = provenance.step(part.command, part.parameters())
        assert part_from_record(record, folder) == part

    def test_masked(self, folder: Path, tmp_path: Path) -> None:
        """A mask is found by its digest, and masks the frames again."""
        mask = tmp_path / "mask.txt"
        mask.write_text("003\n")
        (reader,) = masked([reader_of(folder)], mask)
        part = SurfacePart(reader)
        record = provenance.step(part.command, part.parameters())
        back = part_from_record(record, folder, masks=[mask])
        assert isinstance(back, SurfacePart)
        assert np.flatnonzero(back.read().query.cameras.status == Status.MASKED).tolist() == [3]
        with pytest.raises(InputError, match=r"mask\.txt"):
            part_from_record(record, folder)

    def test_streets_are_no_frames(self, tree: Path, out: Path) -> None:
        """Labels of fields of view have no depth maps to be read."""
        parts, _ = msls_parts(tree, "goa", params=FovParams())
        label(parts, out / "x.h5")
        labels = LabelFile(out / "x.h5")
        assert isinstance(part_from_record(labels.provenance()[0], tree), FovPart)
        with pytest.raises(InputError, match=r"x\.h5::goa: .*does not name the depth maps"):
            frames_from_records(labels["goa"], labels.provenance(), tree)

    def test_frames_again(self, folder: Path, out: Path) -> None:
        """The frames of a file are those of its dataset, wherever that lies now."""
        label([part_of(folder)], out / "x.h5")
        moved = folder.rename(folder.with_name("elsewhere"))
        labels = LabelFile(out / "x.h5")
        scene = frames_from_records(labels["room"], labels.provenance(), moved)
        assert scene.query is scene.database
        assert scene.query.cameras.key.tolist() == labels["room"].query.key.tolist()
        assert str(scene.query.depth[0]).startswith(str(moved))

    @pytest.mark.parametrize("missing", ["layout", "collection"])
    def test_that_cannot_be_followed(self, folder: Path, missing: str) -> None:
        """A parameter that is missing is an input error."""
        part = part_of(folder)
        parameters = {name: value for name, value in part.parameters().items() if name != missing}
        with pytest.raises(InputError, match="cannot be followed"):
            part_from_record(provenance.step(part.command, parameters), folder)
