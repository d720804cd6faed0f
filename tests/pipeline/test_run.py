"""relabel.pipeline.run.label: one file out of many parts, whole or not at all, and going on where it was."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import relabel
from relabel import fov
from relabel.datasets.msls import city as msls
from relabel.errors import (
    FailedPartsError,
    InputError,
    MissingPackageError,
    OptionError,
    OutputError,
    OutputExistsError,
    OutputInUseError,
)
from relabel.labelfile import LabelFile, provenance, validate
from relabel.pipeline import run
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.run import JobResult, label
from tests.pipeline.conftest import CITIES
from tests.pipeline.jobs import msls_parts
from tests.pipeline.stubs import stubs
from tests.stopped import goes_on, killed, stopped
from tests.trees import edit

Parts = Callable[..., tuple[FovPart, ...]]
PARTS = ("job.json", *(f"{city}.h5" for city in CITIES))


def kept(result: JobResult) -> list[str]:
    return [part.name for part in result.parts if part.kept]


def names(folder: Path) -> list[str]:
    """All that a folder holds, hidden or not, at any depth."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(scope="session")
def fresh(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of the file that an undisturbed run over the three cities writes."""
    path = tmp_path_factory.mktemp("fresh") / "x.h5"
    label(msls_parts(tree, None)[0], path)
    return path.read_bytes()


@pytest.fixture(scope="session")
def stopped_run(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was interrupted when all its parts were there, but not packed; not to be changed."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "pack", interrupt)
        with pytest.raises(KeyboardInterrupt):
            label(msls_parts(tree, None)[0], folder / "x.h5")
    assert names(folder) == sorted(["x.h5.parts", *(f"x.h5.parts/{file}" for file in PARTS)])
    return folder


@pytest.fixture
def interrupted(stopped_run: Path, out: Path) -> Path:
    """The output of such a run, to go on with."""
    shutil.copytree(stopped_run, out, dirs_exist_ok=True)
    return out / "x.h5"


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No part may be opened."""

    def opened(*_: object, **__: object) -> None:
        pytest.fail("the dataset was read")

    monkeypatch.setattr(FovPart, "open", opened)


class TestLabel:
    """One file out of one part or several."""

    def test_one_part(self, parts: Parts, root: Path, out: Path) -> None:
        """The file holds what `fov.overlap` computes, and says how it was made; nothing else is left."""
        result = label(parts("goa"), out / "x.h5")
        assert (result.path, kept(result), names(out)) == (out / "x.h5", [], ["x.h5"])
        labels = LabelFile(out / "x.h5")
        city = msls.read(root, city="goa")
        expected = fov.overlap(city.query, city.database).matrix
        assert list(labels) == ["goa"]
        assert expected.nnz > 0
        assert np.array_equal(labels["goa"].to_scipy().toarray(), expected.toarray())
        (record,) = labels.provenance()
        (part,) = parts("goa")
        step = provenance.step("relabel msls", part.parameters(), provenance.describe(root, city.files))
        assert record == step | {"findings": []}
        assert {entry["path"] for entry in record["inputs"]} == {
            f"train_val/goa/{side}/{name}.csv"
            for side in ("query", "database")
            for name in ("raw", "postprocessed", "seq_info")
        }

    def test_several_parts(self, parts: Parts, out: Path) -> None:
        """Each collection is what a file of its own would hold; one record each, by name; the parts are removed."""
        result = label(parts(), out / "all.h5")
        assert [part.name for part in result.parts] == list(CITIES)
        assert names(out) == ["all.h5"]
        assert validate(out / "all.h5").findings == []
        labels = LabelFile(out / "all.h5")
        assert [record["parameters"]["city"] for record in labels.provenance()] == list(CITIES)
        for city in CITIES:
            label(parts(city), out / f"{city}.h5")
            assert labels[city].content_sha256 == LabelFile(out / f"{city}.h5")[city].content_sha256
        assert len({labels[city].content_sha256 for city in CITIES}) == 3

    def test_parts_stand_beside_the_output(self, parts: Parts, out: Path) -> None:
        """While the second part is made, the first is a whole file and the output does not exist."""
        seen: dict[str, list[str]] = {}

        @contextmanager
        def bar(name: str, queries: int | None) -> Iterator[Callable[[int], object]]:
            assert queries == (None if name.endswith(": reading the dataset") else 6)
            seen[name] = [name for name in names(out) if not name.startswith(".")]
            done: list[int] = []
            yield done.append
            assert sum(done) == (queries or 0)

        label(parts("amman,goa"), out / "x.h5", bar=bar)
        assert [name for name in seen if name.endswith(": reading the dataset")] == [
            "amman: reading the dataset",
            "goa: reading the dataset",
        ]
        assert {name: files for name, files in seen.items() if ":" not in name} == {
            "amman": ["x.h5.parts", "x.h5.parts/job.json"],
            "goa": ["x.h5.parts", "x.h5.parts/amman.h5", "x.h5.parts/job.json"],
        }

    def test_order_of_parts_does_not_show(self, parts: Parts, out: Path, fresh: bytes) -> None:
        """Collections are sorted by name; results come in the order asked for."""
        result = label(parts()[::-1], out / "x.h5")
        assert [part.name for part in result.parts] == list(CITIES)[::-1]
        assert (out / "x.h5").read_bytes() == fresh

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"threads": 1},
            {"threads": 2},
            {"resume": False},
        ],
        ids=str,
    )
    def test_same_bytes_however_it_is_run(
        self, parts: Parts, out: Path, fresh: bytes, options: dict[str, object]
    ) -> None:
        """Two runs are byte-identical for any threads, executor and resuming."""
        label(parts(), out / "x.h5", **options)
        assert (out / "x.h5").read_bytes() == fresh
        assert names(out) == ["x.h5"]

    def test_notes_are_told(self, parts: Parts, root: Path, out: Path, caplog: pytest.LogCaptureFixture) -> None:
        """What the user should know about a city is logged with its name, and is in the result."""
        edit(root / "train_val/goa/query/raw.csv", "False", "True")
        caplog.set_level(logging.INFO, "relabel")
        result = label(parts("goa"), out / "x.h5")
        assert result.parts[0].notes == ("goa: 1 panorama is not labelled",)
        assert "goa: 1 panorama is not labelled" in caplog.messages

    def test_no_parts(self, out: Path) -> None:
        """A file without a collection is refused."""
        with pytest.raises(InputError, match="no collection"):
            label((), out / "x.h5")
        assert names(out) == []

    def test_a_part_twice(self, parts: Parts, out: Path, unread: None) -> None:
        """Two parts of one name are refused, since one would overwrite the other."""
        with pytest.raises(InputError, match="'amman': given more than once"):
            label(parts("amman") * 2, out / "x.h5")
        assert names(out) == []

    @pytest.mark.parametrize("name", ["../outside", "/root", "", "provenance"])
    def test_names_that_no_collection_can_have(self, tmp_path: Path, out: Path, name: str) -> None:
        """A name is checked before it becomes that of a file."""
        (good, bad) = stubs(tmp_path, good="good", bad="good")
        object.__setattr__(bad, "name", name)
        with pytest.raises(InputError, match="choose another name"):
            label((good, bad), out / "x.h5")
        assert names(out) == []

    def test_unknown_executor(self, parts: Parts, out: Path, unread: None) -> None:
        """Refused before anything is read or written."""
        with pytest.raises(OptionError, match="'cloud'"):
            label(parts(), out / "x.h5", executor="cloud")
        assert names(out) == []

    def test_executor_without_its_package(
        self, parts: Parts, out: Path, unread: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No empty folder stays behind."""
        monkeypatch.setitem(sys.modules, "distributed", None)
        with pytest.raises(MissingPackageError):
            label(parts(), out / "x.h5", executor="dask:tcp://10.0.0.1:8786")
        assert names(out) == []


class TestOutput:
    """Where the file goes, and what happens to the one that is there."""

    @pytest.mark.parametrize("cities", ["amman", "amman,goa"])
    def test_exists(self, parts: Parts, out: Path, unread: None, cities: str) -> None:
        """Refused before the dataset is read; the file stays as it is."""
        (out / "x.h5").write_bytes(b"precious")
        with pytest.raises(OutputExistsError, match="overwrite=True"):
            label(parts(cities), out / "x.h5")
        assert (out / "x.h5").read_bytes() == b"precious"
        assert names(out) == ["x.h5"]

    @pytest.mark.parametrize("cities", ["amman", "amman,goa"])
    def test_overwrite(self, parts: Parts, out: Path, cities: str) -> None:
        """Replaced when asked for."""
        (out / "x.h5").write_bytes(b"precious")
        label(parts(cities), out / "x.h5", overwrite=True)
        assert list(LabelFile(out / "x.h5")) == cities.split(",")
        assert names(out) == ["x.h5"]

    @pytest.mark.parametrize("cities", ["amman", "amman,goa"])
    def test_overwrite_that_fails(self, parts: Parts, root: Path, out: Path, cities: str) -> None:
        """The old file stays when the new one cannot be made."""
        (out / "x.h5").write_bytes(b"precious")
        edit(root / "train_val/amman/query/raw.csv", "False", "maybe")
        edit(root / "train_val/goa/query/raw.csv", "False", "maybe")
        for more in ({}, {"keep_parts": True}):
            with pytest.raises(InputError if cities == "amman" else FailedPartsError, match="maybe"):
                label(parts(cities), out / "x.h5", overwrite=True, **more)
        assert (out / "x.h5").read_bytes() == b"precious"
        assert names(out) == ["x.h5"]

    @pytest.mark.parametrize("cities", ["amman", "amman,goa"])
    def test_source_that_fails_halfway(
        self, parts: Parts, out: Path, cities: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was written so far is gone, hidden files too."""

        def blocks(self: fov.FovOverlap) -> Iterator[object]:
            raise MemoryError
            yield

        (out / "x.h5").write_bytes(b"precious")
        monkeypatch.setattr(fov.FovOverlap, "blocks", blocks)
        with pytest.raises((MemoryError, FailedPartsError), match=None if cities == "amman" else "goa: MemoryError"):
            label(parts(cities), out / "x.h5", overwrite=True)
        assert (out / "x.h5").read_bytes() == b"precious"
        assert names(out) == ["x.h5"]

    @pytest.mark.parametrize("cities", ["amman", "amman,goa"])
    def test_folder_missing(self, parts: Parts, out: Path, unread: None, cities: str) -> None:
        """The folder is named, and not made."""
        with pytest.raises(OutputError, match=r"the folder .*/nowhere does not exist; create it"):
            label(parts(cities), out / "nowhere" / "x.h5")
        assert names(out) == []

    @pytest.mark.parametrize("cities", ["amman", "amman,goa"])
    def test_is_a_folder(self, parts: Parts, out: Path, unread: None, cities: str) -> None:
        """A folder of that name is neither filled nor replaced."""
        (out / "x.h5").mkdir()
        with pytest.raises(OutputError, match="not a regular file"):
            label(parts(cities), out / "x.h5", overwrite=True)
        assert names(out) == ["x.h5"]

    @pytest.mark.parametrize("cities", ["amman", "amman,goa"])
    def test_below_a_file(self, parts: Parts, out: Path, unread: None, cities: str) -> None:
        """A path that leads through a file is an output error like others."""
        (out / "file").write_bytes(b"")
        with pytest.raises(OutputError, match="file"):
            label(parts(cities), out / "file" / "x.h5")

    def test_read_only_folder(self, parts: Parts, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """No permission to make the folder of the parts: says so and what to do."""

        def mkdir(path: Path, *_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "mkdir", mkdir)
        with pytest.raises(OutputError, match=r"x\.h5\.parts: cannot be written; there is no permission"):
            label(parts(), out / "x.h5")
        assert names(out) == []

    def test_a_file_where_the_parts_go(self, parts: Parts, out: Path) -> None:
        """Somebody else's file of that name is named and left alone."""
        (out / "x.h5.parts").write_bytes(b"mine")
        with pytest.raises(OutputExistsError, match=r"x\.h5\.parts: is not a folder"):
            label(parts(), out / "x.h5")
        assert names(out) == ["x.h5.parts"]

    def test_parts_that_cannot_be_removed(
        self, parts: Parts, out: Path, fresh: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The job is done all the same; a warning names the folder."""

        def rmdir(path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        with monkeypatch.context() as patch:
            patch.setattr(Path, "rmdir", rmdir)
            label(parts(), out / "x.h5")
        assert (out / "x.h5").read_bytes() == fresh
        (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
        assert "x.h5.parts" in warning.getMessage()


class TestFailingPart:
    """One part of several fails."""

    def test_others_are_kept(
        self, parts: Parts, root: Path, out: Path, fresh: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The error is that of the part; what was finished is kept and said so, now and by the run that goes on."""
        caplog.set_level(logging.INFO, "relabel")
        raw = root / "train_val/goa/query/raw.csv"
        edit(raw, "False", "maybe")
        with pytest.raises(FailedPartsError, match=r"^1 of 3 parts failed: goa: .*goa/query/raw\.csv: line 2"):
            label(parts(), out / "x.h5")
        assert names(out) == ["x.h5.parts", *(f"x.h5.parts/{name}" for name in ("amman.h5", "job.json", "zurich.h5"))]
        assert f"2 of 3 parts are kept in {out / 'x.h5.parts'}; the same command resumes from there" in caplog.messages

        edit(raw, "maybe", "False")
        caplog.clear()
        assert kept(label(parts(), out / "x.h5")) == ["amman", "zurich"]
        assert "amman: kept from an earlier run with the same input and parameters" in caplog.messages
        assert (out / "x.h5").read_bytes() == fresh
        assert names(out) == ["x.h5"]

    def test_among_processes(self, tmp_path: Path, out: Path) -> None:
        """Parts that were on their way in other processes are finished and kept."""
        jobs = stubs(tmp_path, a="good", b="fail")
        with pytest.raises(FailedPartsError, match=r"^1 of 2 parts failed: b: is not good$"):
            label(jobs, out / "x.h5", executor="processes:2")
        assert names(out) == ["x.h5.parts", "x.h5.parts/a.h5", "x.h5.parts/job.json"]

    def test_a_process_that_dies(self, tmp_path: Path, out: Path) -> None:
        """Nothing stands under the name of the output, the other part is kept, and a better run succeeds."""
        with pytest.raises(FailedPartsError, match=r"^1 of 2 parts failed: b: a worker process died"):
            label(stubs(tmp_path, a="good", b="die"), out / "x.h5", executor="processes:2")
        assert names(out) == ["x.h5.parts", "x.h5.parts/a.h5", "x.h5.parts/job.json"]
        label(stubs(tmp_path, a="good", b="good"), out / "x.h5")
        assert names(out) == ["x.h5"]

    def test_the_first_of_all(self, parts: Parts, out: Path) -> None:
        """When no part was finished, no folder stays behind."""
        with pytest.raises(OptionError, match="400"):
            label(parts(fov_deg=400.0), out / "x.h5")
        assert names(out) == []

    def test_nested_names(self, tmp_path: Path, out: Path) -> None:
        """All parts lie side by side, whatever their names: none is the folder of another."""
        jobs = stubs(tmp_path, a="good", b="good", c="good", d="fail")
        for job, name in zip(jobs, ("chess", "chess.h5/train", "chess.h5%2Ftrain"), strict=False):
            (tmp_path / f"{name}.txt").parent.mkdir(exist_ok=True)
            shutil.copyfile(tmp_path / "d.txt", tmp_path / f"{name}.txt")
            object.__setattr__(job, "name", name)
        with pytest.raises(FailedPartsError):
            label(jobs, out / "x.h5")
        files = ("chess.h5", "chess.h5%252Ftrain.h5", "chess.h5%2Ftrain.h5", "job.json")
        assert names(out) == ["x.h5.parts", *(f"x.h5.parts/{file}" for file in files)]
        object.__setattr__(jobs[3], "how", "good")
        label(jobs, out / "x.h5")
        assert names(out) == ["x.h5"]
        assert [*LabelFile(out / "x.h5")] == sorted(job.name for job in jobs)


def flip_byte(path: Path) -> None:
    """Damage the middle of the stored values, which no look at the header can tell."""
    import h5py

    with h5py.File(path) as file:
        chunk = file["goa/similarity/data"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 0x10
    path.write_bytes(data)


class TestResume:
    """A run that goes on where an earlier one was stopped."""

    def test_all_parts_are_kept(self, parts: Parts, interrupted: Path, fresh: bytes) -> None:
        """Nothing is computed again, and the file is the same to the byte."""
        assert kept(label(parts(), interrupted)) == list(CITIES)
        assert interrupted.read_bytes() == fresh
        assert names(interrupted.parent) == ["x.h5"]

    def test_in_other_processes(self, parts: Parts, interrupted: Path, fresh: bytes) -> None:
        """Parts made here are kept by workers."""
        assert kept(label(parts(), interrupted, executor="processes:2")) == list(CITIES)
        assert interrupted.read_bytes() == fresh

    def test_not_wanted(self, parts: Parts, interrupted: Path, fresh: bytes) -> None:
        """Without resuming all is computed again."""
        assert kept(label(parts(), interrupted, resume=False)) == []
        assert interrupted.read_bytes() == fresh

    def test_some_parts_missing(self, parts: Parts, interrupted: Path, fresh: bytes) -> None:
        """Only what is missing is computed."""
        (interrupted.with_name("x.h5.parts") / "goa.h5").unlink()
        assert kept(label(parts(), interrupted)) == ["amman", "zurich"]
        assert interrupted.read_bytes() == fresh

    def test_changed_input(self, parts: Parts, root: Path, interrupted: Path) -> None:
        """One byte of one file, even in a column that is not used, and its city is computed again."""
        edit(root / "train_val/goa/database/raw.csv", "2018-05-11", "2018-05-12")
        assert kept(label(parts(), interrupted)) == ["amman", "zurich"]
        record = next(r for r in LabelFile(interrupted).provenance() if r["parameters"]["city"] == "goa")
        described = provenance.describe(root, (root / "train_val/goa/database").glob("raw.csv"))
        assert described[0] in record["inputs"]

    @pytest.mark.parametrize(
        "options",
        [
            {"fov_deg": 80.0},
            {"radius_m": 40.0},
            {"shape": "polygon"},
            {"measure": "dice"},
            {"min_value": 0.1},
        ],
        ids=str,
    )
    def test_changed_parameter(self, parts: Parts, interrupted: Path, options: dict[str, object]) -> None:
        """Any parameter of the label, and all is computed again."""
        assert kept(label(parts(**options), interrupted)) == []
        stored = LabelFile(interrupted)["amman"]
        name, value = next(iter(options.items()))
        assert {**stored.params, "measure": stored.measure, "min_value": stored.min_value}[name] == value

    def test_changed_version(self, parts: Parts, interrupted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What another version of relabel made is not trusted."""
        monkeypatch.setattr(provenance, "__version__", "0.0.0")
        assert kept(label(parts(), interrupted)) == []

    def test_changed_library(self, parts: Parts, interrupted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An update of another package is no reason to compute for days again."""
        monkeypatch.setattr(provenance, "_versions", lambda _: {"numpy": "0.0.0"})
        assert kept(label(parts(), interrupted)) == list(CITIES)

    @pytest.mark.parametrize(
        "damage",
        [
            flip_byte,
            lambda path: path.write_bytes(path.read_bytes()[:-100]),
            lambda path: path.write_bytes(b""),
            lambda path: path.write_text("not a label file"),
            lambda path: relabel.write(path, dict(LabelFile(path)), overwrite=True),
        ],
        ids=["flipped", "truncated", "empty", "text", "no-provenance"],
    )
    def test_damaged_part(
        self, parts: Parts, interrupted: Path, fresh: bytes, damage: Callable[[Path], object]
    ) -> None:
        """A part that is not whole, wherever the damage is, is computed again."""
        damage(interrupted.with_name("x.h5.parts") / "goa.h5")
        assert kept(label(parts(), interrupted)) == ["amman", "zurich"]
        assert interrupted.read_bytes() == fresh

    def test_what_is_made_anew_is_said(self, parts: Parts, interrupted: Path, caplog: pytest.LogCaptureFixture) -> None:
        """With the reason: another parameter, damage."""
        caplog.set_level(logging.INFO, "relabel")
        flip_byte(interrupted.with_name("x.h5.parts") / "goa.h5")
        assert kept(label(parts("amman,goa,zurich", radius_m=40.0), interrupted)) == []
        reason = "computed again, since the part of an earlier run"
        assert f"amman: {reason} has radius_m 50.0 and not 40.0" in caplog.messages
        assert f"goa: {reason} is damaged" in caplog.messages

    def test_one_part_is_always_computed(self, parts: Parts, interrupted: Path) -> None:
        """A job of one part writes its file at once; the folder of another job is left alone."""
        assert kept(label(parts("amman"), interrupted)) == []
        assert list(LabelFile(interrupted)) == ["amman"]
        assert f"{interrupted.name}.parts/goa.h5" in names(interrupted.parent)


JOB = """
import sys
from pathlib import Path
from relabel.pipeline import parts_folder, run
from tests.pipeline.stubs import Stub
from tests.stopped import stop

step, root, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
class Stopping(Stub):
    def open(self, **options):
        if (self.name, step) == ("b", "part"):
            stop()
        return super().open(**options)
if step == "pack":
    run.pack = stop
if step == "remove":
    real, calls = Path.unlink, []
    def unlink(self, **options):
        real(self, **options)
        if self.parent.name == "x.h5.parts":
            stop()
    Path.unlink = unlink
run.label([Stopping(name, root) for name in ("a", "b")], out / "x.h5", overwrite=True)
"""


class TestKilled:
    """kill -9 at each stage, and what the next run of the same command finds."""

    @pytest.mark.parametrize(
        ("step", "left", "kept_parts"),
        [("part", ["a.h5", "job.json"], ["a"]), ("pack", ["a.h5", "b.h5", "job.json"], ["a", "b"])],
    )
    def test_before_the_output(
        self, tmp_path: Path, out: Path, step: str, left: list[str], kept_parts: list[str]
    ) -> None:
        """Finished parts are kept, the rest is made, and nothing stays behind."""
        jobs = stubs(tmp_path, a="good", b="good")
        killed(JOB, step, tmp_path, out)
        assert [name for name in names(out) if not name.startswith(".")] == [
            "x.h5.parts",
            *(f"x.h5.parts/{name}" for name in left),
        ]
        assert kept(label(jobs, out / "x.h5")) == kept_parts
        assert names(out) == ["x.h5"]

    def test_while_parts_are_removed(self, tmp_path: Path, out: Path) -> None:
        """The output is complete; the next run makes it again and leaves nothing behind."""
        jobs = stubs(tmp_path, a="good", b="good")
        killed(JOB, "remove", tmp_path, out)
        assert validate(out / "x.h5").valid
        assert "x.h5.parts/b.h5" in names(out)
        before = (out / "x.h5").read_bytes()
        assert kept(label(jobs, out / "x.h5", overwrite=True)) == ["b"]
        assert (out / "x.h5").read_bytes() == before
        assert names(out) == ["x.h5"]


class TestOthers:
    """What is in the folder of the parts and is not of this job."""

    @pytest.mark.parametrize("name", ["notes.txt", "goa.h5", "amman.h5", ".hidden", "job.json", "folder"])
    def test_in_a_folder_of_somebody_else(self, parts: Parts, out: Path, unread: None, name: str) -> None:
        """Refused by name before anything is read, and left as it was, however much it looks like a part."""
        folder = out / "x.h5.parts"
        folder.mkdir()
        if name == "folder":
            (folder / name).mkdir()
        else:
            (folder / name).write_text('{"software": "other", "parts": []}')
        with pytest.raises(OutputExistsError, match=rf"x\.h5\.parts/{name}: was not made by a job that writes x\.h5"):
            label(parts(), out / "x.h5")
        assert names(out) == ["x.h5.parts", f"x.h5.parts/{name}"]

    def test_json_without_end(self, parts: Parts, out: Path, unread: None) -> None:
        """A note that nobody reads to its end, or one that never answers, is somebody else's."""
        job = out / "x.h5.parts/job.json"
        job.parent.mkdir()
        job.write_text("[" * 100_000)
        with pytest.raises(OutputExistsError, match=r"x\.h5\.parts/job\.json: was not made by a job"):
            label(parts(), out / "x.h5")
        job.unlink()
        os.mkfifo(job)
        with pytest.raises(OutputExistsError, match=r"x\.h5\.parts/job\.json: was not made by a job"):
            label(parts(), out / "x.h5")

    @pytest.mark.parametrize("name", ["amman.h5", "job.json"])
    def test_a_link_among_the_parts(self, name: str, parts: Parts, interrupted: Path, unread: None) -> None:
        """What a link leads to is never written, though it has the name of a part."""
        link = interrupted.with_name("x.h5.parts") / name
        theirs = interrupted.with_name("theirs")
        if link.exists():
            link.replace(theirs)
        else:
            theirs.write_bytes(b"dear")
        before = theirs.read_bytes()
        link.symlink_to(theirs)
        with pytest.raises(OutputExistsError, match=rf"{name}: was not made by a job"):
            label(parts(), interrupted)
        assert theirs.read_bytes() == before
        assert link.is_symlink()

    def test_a_link_that_leads_nowhere(self, parts: Parts, out: Path, unread: None) -> None:
        """In place of the folder it is named."""
        (out / "x.h5.parts").symlink_to(out / "nowhere")
        with pytest.raises(OutputExistsError, match=r"x\.h5\.parts: is not a folder"):
            label(parts(), out / "x.h5")

    def test_among_the_parts(self, parts: Parts, interrupted: Path, unread: None) -> None:
        """Something that was put beside the parts of a stopped job."""
        theirs = interrupted.with_name("x.h5.parts") / "oslo.h5"
        theirs.write_bytes(b"dear")
        before = names(interrupted.parent)
        with pytest.raises(OutputExistsError, match=r"oslo\.h5: was not made by a job"):
            label(parts(), interrupted)
        assert names(interrupted.parent) == before
        assert theirs.read_bytes() == b"dear"

    def test_of_another_job(self, parts: Parts, interrupted: Path, fresh: bytes, unread: None) -> None:
        """A job of other parts does not take away what a stopped one has computed."""
        before = names(interrupted.parent)
        with pytest.raises(OutputExistsError, match=r"zurich\.h5: is a part of another job on the same output"):
            label(parts("amman,goa"), interrupted)
        assert names(interrupted.parent) == before

    def test_that_appear_meanwhile(
        self, parts: Parts, out: Path, fresh: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The job is done, and what is not its own stays, with a warning."""

        @contextmanager
        def bar(*_: object) -> Iterator[Callable[[int], object]]:
            (out / "x.h5.parts/mine").write_text("dear")
            yield lambda _: None

        label(parts(), out / "x.h5", bar=bar)
        assert (out / "x.h5").read_bytes() == fresh
        assert names(out) == ["x.h5", "x.h5.parts", "x.h5.parts/job.json", "x.h5.parts/mine"]
        assert f"{out}/x.h5.parts/mine: does not belong to this job, so the folder is kept" in caplog.messages

    def test_the_folder_of_a_name_that_is_not_used_any_more(self, parts: Parts, out: Path) -> None:
        """Nothing but the parts is ever looked at or removed."""
        (out / "x.h5.parts.done").mkdir()
        (out / "x.h5.parts.done/mine").write_text("dear")
        label(parts("amman,goa"), out / "x.h5")
        assert names(out) == ["x.h5", "x.h5.parts.done", "x.h5.parts.done/mine"]

    @pytest.mark.parametrize(
        ("options", "cities", "what"),
        [
            ({"radius_m": 40.0}, "goa", "has radius_m 40.0 and not 50.0"),
            ({}, "zurich", "holds the collections zurich"),
        ],
    )
    def test_packed_by_mistake(
        self,
        parts: Parts,
        interrupted: Path,
        options: dict[str, object],
        cities: str,
        what: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A part that was exchanged while the job ran is not packed, but named."""
        theirs = interrupted.with_name("theirs.h5")
        label(parts(cities, **options), theirs)
        real = run._all

        def exchanged(*arguments: object, **named: object) -> object:
            results = real(*arguments, **named)  # type: ignore[arg-type]
            theirs.replace(interrupted.with_name("x.h5.parts") / "goa.h5")
            return results

        monkeypatch.setattr(run, "_all", exchanged)
        with pytest.raises(OutputError, match=rf"x\.h5\.parts/goa\.h5: is a part of another job: it {what}"):
            label(parts(), interrupted)
        assert not interrupted.exists()

    def test_a_linked_output(self, parts: Parts, out: Path) -> None:
        """Runs that reach the same file by other names share its parts and its claim."""
        (out / "links").mkdir()
        (out / "links/x.h5").symlink_to("../x.h5")
        with stopped(CLAIMING, out / "x.h5"), pytest.raises(OutputInUseError):
            label(parts(), out / "links/x.h5")
        label(parts(), out / "links/x.h5")
        assert names(out) == ["links", "links/x.h5", "x.h5"]


CLAIMING = """
import sys
from pathlib import Path
from relabel.claims import claimed
from tests.stopped import stop
with claimed(Path(sys.argv[1])):
    stop()
"""


class TestTwoRuns:
    """Two processes on one output."""

    @pytest.mark.parametrize("step", ["part", "pack"])
    def test_the_second_is_refused(self, tmp_path: Path, out: Path, step: str) -> None:
        """At once, by a sentence that says who is at work; the first goes on as if nothing had been."""
        jobs = stubs(tmp_path, a="good", b="good")
        label(jobs, out / "expected.h5")
        with stopped(JOB, step, tmp_path, out) as process:
            before = names(out)
            for job in (jobs, jobs[:1]):
                with pytest.raises(
                    OutputInUseError, match=rf"x\.h5: another run is writing it: process {process.pid} on"
                ):
                    label(job, out / "x.h5", overwrite=True)
            assert names(out) == before
            if step == "pack":
                return
            assert goes_on(process) == (0, "", "")
        assert names(out) == ["expected.h5", "x.h5"]
        assert (out / "x.h5").read_bytes() == (out / "expected.h5").read_bytes()

    def test_one_part(self, parts: Parts, out: Path) -> None:
        """A job of one part has a claim too."""
        with stopped(CLAIMING, out / "x.h5") as process:
            with pytest.raises(OutputInUseError, match=f"process {process.pid} on"):
                label(parts("goa"), out / "x.h5")
            label(parts("goa"), out / "y.h5")
        label(parts("goa"), out / "x.h5")
        assert names(out) == ["x.h5", "y.h5"]
