"""The set of files of an export appears whole or not at all, whatever happens to disk and process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from relabel.errors import InputError, OutputError, OutputExistsError
from relabel.exchange import folder
from relabel.exchange.exporting import export
from relabel.exchange.registry import export_formats
from relabel.similarity import RowBlock
from tests.similarities import on_map, similarity

ROOT = Path(__file__).resolve().parents[2]
PSI = on_map(similarity(300, seed=4, self_pairs=True, density=0.5))


class Unread:
    """A source that may not be read."""

    collection = PSI.collection

    def blocks(self) -> Iterator[RowBlock]:
        pytest.fail("the collection was read")
        yield


UNREAD = Unread()

FULL = """
import json, resource, sys
from pathlib import Path
from relabel.errors import RelabelError
from relabel.exchange.exporting import export
from relabel.exchange.registry import export_formats
from tests.exchange.test_folder import PSI

folder = Path(sys.argv[1])
for form in export_formats():
    for gzip in (False, True) if form in ("gcl", "condensed") else (False,):
        for limit in (0, 100, 1000, 3000, 8000, 30000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                export({"c": PSI}, form, folder / "out", gzip=gzip)
                answer = "written"
            except RelabelError as error:
                answer = str(error)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(json.dumps([form, limit, answer, sorted(str(path) for path in folder.iterdir())]), flush=True)
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
"""

KILLED = """
import os, signal, sys
from pathlib import Path
from relabel.exchange import folder
from relabel.exchange.exporting import export
from tests.exchange.test_folder import PSI

class Last:
    collection = PSI.collection
    def blocks(self):
        os.kill(os.getpid(), signal.SIGKILL)

def killed(*arguments, **options):
    if killed.left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    killed.left -= 1
    move_file(*arguments, **options)

killed.left = int(sys.argv[2])
if killed.left < 0:
    export({"a": PSI, "b": Last()}, "csv", Path(sys.argv[1]))
else:
    move_file, folder.move_file = folder.move_file, killed
    export({"a": PSI, "b": PSI}, "csv", Path(sys.argv[1]))
"""


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The script in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


SET = ["a.cameras.csv", "a.csv", "b.cameras.csv", "b.csv"]


class TestFullDisk:
    def test_every_format(self, tmp_path: Path) -> None:
        """An error with the file and what to do, no crash (HDF5 does not survive a failed write), and nothing left."""
        done = run(FULL, tmp_path)
        assert done.returncode == 0, done.stderr  # -11 is a crash
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert {form for form, *_ in answers} == set(export_formats())
        assert {form for form, _, answer, _ in answers if answer != "written"} == set(export_formats())
        for form, limit, answer, left in answers:
            if answer != "written":
                assert answer.startswith(f"{tmp_path}/out/"), (form, limit, answer)
                assert "the file would be larger than this system allows: choose another folder" in answer
                assert left == []


class TestKilled:
    @pytest.mark.parametrize("there", [False, True])
    def test_while_writing(self, tmp_path: Path, *, there: bool) -> None:
        """Nothing is there that could be taken for the set; a rerun needs no --force and leaves nothing behind."""
        folder = tmp_path / "out"
        if there:
            folder.mkdir()
            (folder / "mine").write_text("mine")
        assert run(KILLED, folder, -1).returncode == -9
        assert not {*SET} & {*(names(folder) if there else ())}
        export({"a": PSI, "b": PSI}, "csv", folder)
        assert names(tmp_path) == sorted(["out", *(f"out/{name}" for name in [*SET, *["mine"] * there])])

    @pytest.mark.parametrize("moved", [0, 1, 3])
    def test_while_moving(self, tmp_path: Path, moved: int) -> None:
        """In a folder that was there files are moved one by one: those that were moved are the next export's own."""
        (tmp_path / "mine").write_text("mine")
        assert run(KILLED, tmp_path, moved).returncode == -9
        assert len({*SET} & {*names(tmp_path)}) == moved
        export({"c": PSI}, "npz", tmp_path)  # another export in between changes nothing
        export({"a": PSI, "b": PSI}, "csv", tmp_path)
        assert names(tmp_path) == sorted([*SET, "c.npz", "mine"])

    def test_while_moving_and_changed_since(self, tmp_path: Path) -> None:
        """A file that somebody has written in its place is not."""
        (tmp_path / "mine").write_text("mine")
        assert run(KILLED, tmp_path, 1).returncode == -9
        (tmp_path / "a.csv").write_text("mine")
        with pytest.raises(OutputExistsError, match=r"a\.csv: already exists;"):
            export({"a": PSI, "b": PSI}, "csv", tmp_path)
        assert (tmp_path / "a.csv").read_text() == "mine"


class TestNames:
    @pytest.mark.parametrize(
        ("form", "collections"),
        [
            ("csv", ("a", "a.cameras")),
            ("csv", ("a.cameras", "a")),
            ("parquet", ("a", "a.cameras")),
            ("npz", ("a/b", "a-b")),
            ("gcl", ("x", "x_gt.h5")),
        ],
    )
    def test_shared(self, form: str, collections: tuple[str, str], tmp_path: Path) -> None:
        """Two collections that would share a file are refused, before any of them is read."""
        with pytest.raises(InputError, match="would share"):
            export(dict.fromkeys(collections, UNREAD), form, tmp_path / "out", overwrite=True)
        assert names(tmp_path) == []

    @pytest.mark.parametrize("form", [name for name, spec in export_formats().items() if not spec.writes_all])
    def test_there_already(self, form: str, tmp_path: Path) -> None:
        """A file of the last collection that is there is refused before the first is read."""
        for name in export_formats()[form].files:
            file = tmp_path / name.format(name="b")
            file.parent.mkdir(exist_ok=True)
            file.write_text("mine")
            with pytest.raises(OutputExistsError, match=f"{file}: already exists;"):
                export({"a": UNREAD, "b": UNREAD}, form, tmp_path)
            file.unlink()

    @pytest.mark.parametrize("form", [name for name, spec in export_formats().items() if not spec.writes_all])
    def test_files_of_a_format(self, form: str, tmp_path: Path) -> None:
        """What a format is said to write is what it writes."""
        export({"a/b": PSI}, form, tmp_path)
        files = {name for name in names(tmp_path) if not (tmp_path / name).is_dir()}
        assert files == {name.format(name="a-b") for name in export_formats()[form].files}

    def test_a_refused_export_makes_no_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither that of the target nor those above it, whenever it is refused."""
        with pytest.raises(OutputError, match="the name is too long"):
            export({"a": PSI}, "csv", tmp_path / "new" / ("x" * 250))
        assert names(tmp_path) == []

        def no_place(*_: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(folder, "sync", no_place)
            with pytest.raises(OutputError, match="the disk is full"):
                export({"a": PSI}, "csv", tmp_path / "new/out")
        assert names(tmp_path) == []

    def test_a_folder_is_a_file(self, tmp_path: Path) -> None:
        """The target, or a folder on the way to a file, is a file: said so, and it stays."""
        (tmp_path / "c").write_text("mine")
        for target in (tmp_path / "c", tmp_path):
            with pytest.raises(OutputError, match="is a file; choose"):
                export({"c": PSI}, "gcl", target, overwrite=True)
        assert names(tmp_path) == ["c"]

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        """A file that is linked is replaced, not the link."""
        (tmp_path / "real.npz").write_text("old")
        (tmp_path / "out").mkdir()
        (tmp_path / "out/c.npz").symlink_to("../real.npz")
        export({"c": PSI}, "npz", tmp_path / "out", overwrite=True)
        assert (tmp_path / "out/c.npz").is_symlink()
        assert np.load(tmp_path / "real.npz")["shape"].tolist() == [300, 300]

    def test_parents_are_made(self, tmp_path: Path) -> None:
        """Of the folder, and are not left where the export fails."""
        export({"c": PSI}, "gcl", tmp_path / "a/b/c")
        with h5py.File(tmp_path / "a/b/c/c_gt.h5") as file:
            np.testing.assert_array_equal(file["fov"][:], PSI.matrix.toarray())
        with pytest.raises(OutputError, match="are allowed"):
            export({"c": PSI}, "gcl", tmp_path / "x/y/z", max_bytes=10)
        assert not (tmp_path / "x").exists()
