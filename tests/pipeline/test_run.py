"""relabel.pipeline.run.label: one file out of many parts, whole or not at all, and going on where it was."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import relabel
from relabel import fov
from relabel.datasets.msls import city as msls
from relabel.errors import InputError, MissingPackageError, OptionError, OutputError, OutputExistsError, RelabelError
from relabel.labelfile import LabelFile, provenance, validate
from relabel.pipeline import run
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.run import JobResult, label
from tests.pipeline.conftest import CITIES
from tests.pipeline.jobs import msls_parts
from tests.pipeline.stubs import stubs
from tests.trees import edit

Parts = Callable[..., tuple[FovPart, ...]]


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
def stopped(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was interrupted when all its parts were there, but not packed; not to be changed."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "pack", interrupt)
        with pytest.raises(KeyboardInterrupt):
            label(msls_parts(tree, None)[0], folder / "x.h5")
    assert names(folder) == ["x.h5.parts", *(f"x.h5.parts/{city}.h5" for city in CITIES)]
    return folder


@pytest.fixture
def interrupted(stopped: Path, out: Path) -> Path:
    """The output of such a run, to go on with."""
    shutil.copytree(stopped, out, dirs_exist_ok=True)
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
        def bar(name: str, queries: int) -> Iterator[Callable[[int], object]]:
            assert queries == 6
            seen[name] = names(out)
            done: list[int] = []
            yield done.append
            assert sum(done) == queries

        label(parts("amman,goa"), out / "x.h5", bar=bar)
        assert seen == {"amman": ["x.h5.parts"], "goa": ["x.h5.parts", "x.h5.parts/amman.h5"]}

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
            {"executor": "processes:2", "threads": 2},
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
        assert result.parts[0].notes == ("goa: 1 panoramas are not labelled",)
        assert "goa: 1 panoramas are not labelled" in caplog.messages

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
        with pytest.raises(OutputExistsError, match="--force"):
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
        with pytest.raises(InputError, match="maybe"):
            label(parts(cities), out / "x.h5", overwrite=True)
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
        with pytest.raises(MemoryError):
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
        with pytest.raises(OutputError, match=r"x\.h5\.parts"):
            label(parts(), out / "x.h5")
        assert names(out) == ["x.h5.parts"]

    def test_parts_that_cannot_be_removed(
        self, parts: Parts, out: Path, fresh: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The job is done all the same; a warning names the folder."""

        def rmtree(path: Path, *, ignore_errors: bool = False) -> None:
            if not ignore_errors:
                raise PermissionError(13, "Permission denied", str(path))

        with monkeypatch.context() as patch:
            patch.setattr(shutil, "rmtree", rmtree)
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
        with pytest.raises(InputError, match=r"goa/query/raw\.csv: line 2"):
            label(parts(), out / "x.h5")
        assert names(out) == ["x.h5.parts", "x.h5.parts/amman.h5"]
        assert f"1 of 3 parts are kept in {out / 'x.h5.parts'}; the same command goes on from there" in caplog.messages

        edit(raw, "maybe", "False")
        caplog.clear()
        assert kept(label(parts(), out / "x.h5")) == ["amman"]
        assert "amman: kept from an earlier run with the same input and parameters" in caplog.messages
        assert (out / "x.h5").read_bytes() == fresh
        assert names(out) == ["x.h5"]

    def test_among_processes(self, tmp_path: Path, out: Path) -> None:
        """Parts that were on their way in other processes are finished and kept."""
        jobs = stubs(tmp_path, a="good", b="fail")
        with pytest.raises(InputError, match=r"^b: is not good$"):
            label(jobs, out / "x.h5", executor="processes:2")
        assert names(out) == ["x.h5.parts", "x.h5.parts/a.h5"]

    def test_a_process_that_dies(self, tmp_path: Path, out: Path) -> None:
        """Nothing stands under the name of the output, and a better run succeeds."""
        with pytest.raises(RelabelError, match="a worker process died"):
            label(stubs(tmp_path, a="good", b="die"), out / "x.h5", executor="processes:2")
        assert "x.h5" not in names(out)
        label(stubs(tmp_path, a="good", b="good"), out / "x.h5")
        assert names(out) == ["x.h5"]

    def test_the_first_of_all(self, parts: Parts, out: Path) -> None:
        """When no part was finished, no folder stays behind."""
        with pytest.raises(OptionError, match="400"):
            label(parts(fov_deg=400.0), out / "x.h5")
        assert names(out) == []

    def test_nested_names(self, tmp_path: Path, out: Path) -> None:
        """Nor do the folders inside it, where collections are nested."""
        first, second = stubs(tmp_path, a="fail", b="good")
        object.__setattr__(first, "name", "chess/train")
        object.__setattr__(second, "name", "chess/test/all")
        with pytest.raises(InputError):
            label((first, second), out / "x.h5")
        assert names(out) == []


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
        monkeypatch.setattr(provenance, "_versions", lambda: {"numpy": "0.0.0"})
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

    def test_leftovers(self, parts: Parts, interrupted: Path, fresh: bytes) -> None:
        """Half-written files, parts of other cities and the parts of an earlier job go with the folder."""
        folder, done = interrupted.with_name("x.h5.parts"), interrupted.with_name("x.h5.parts.done")
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        (folder / f".goa.h5.{process.pid}-0123abcd.tmp").write_bytes(b"half")
        (folder / "oslo.h5").write_bytes(b"of another job")
        done.mkdir()
        (done / "amman.h5").write_bytes(b"old")
        assert kept(label(parts(), interrupted)) == list(CITIES)
        assert interrupted.read_bytes() == fresh
        assert names(interrupted.parent) == ["x.h5"]

    def test_parts_of_a_finished_job_are_never_used(self, parts: Parts, interrupted: Path, fresh: bytes) -> None:
        """What stands in the folder that was on its way out counts for nothing."""
        interrupted.with_name("x.h5.parts").rename(interrupted.with_name("x.h5.parts.done"))
        assert kept(label(parts(), interrupted)) == []
        assert interrupted.read_bytes() == fresh
        assert names(interrupted.parent) == ["x.h5"]

    def test_one_part_is_always_computed(self, parts: Parts, interrupted: Path) -> None:
        """A job of one part writes its file at once; the folder of another job is left alone."""
        assert kept(label(parts("amman"), interrupted)) == []
        assert list(LabelFile(interrupted)) == ["amman"]
        assert f"{interrupted.name}.parts/goa.h5" in names(interrupted.parent)
