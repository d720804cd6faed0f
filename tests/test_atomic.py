"""A file gets its name when it is complete, whatever happens to disk and process."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel import atomic, stopping
from relabel.atomic import check_target, private_folder, replacing, replacing_folder
from relabel.errors import OutputError, OutputExistsError
from relabel.labelfile import LabelFile, pack, validate, write
from relabel.labelfile.safe_h5file import Draft, _Disk
from relabel.similarity import Collection, RowBlock
from tests.labelfile.sources import Blocks, Cut, assert_same
from tests.similarities import similarity
from tests.stopped import goes_on, killed, stopped

ROOT = Path(__file__).resolve().parents[1]
OLD = similarity(6, 7, seed=1)
NEW = similarity(300, 300, seed=2, density=0.9)

# A child that writes the first blocks, says so, and then waits to be ended.
CHILD = """
import sys, time
from relabel.labelfile import write
from tests.test_atomic import NEW, Stalling
write(sys.argv[1], {"a": Stalling(NEW)}, overwrite=True)
"""


REPLACING = """
import sys
from pathlib import Path
from relabel.atomic import replacing
from tests.stopped import stop
with replacing(Path(sys.argv[1]), overwrite=True) as private:
    private.write_text("half")
    stop()
"""

REPLACING_FOLDER = """
import sys
from pathlib import Path
from relabel.atomic import replacing_folder
from tests.stopped import stop
step, real = sys.argv[2], Path.replace
def replace(self, target):
    if step == "aside" and self.name == "new":
        stop()
    real(self, target)
    if step == "placed" and self.name == "new":
        stop()
Path.replace = replace
with replacing_folder(Path(sys.argv[1]), overwrite=True, foreign=lambda folder: ()) as private:
    (private / "file").write_text("new")
    if step == "half":
        stop()
"""


class Stalling(Cut):
    """A source that stops after most of its rows."""

    def __init__(self, similarity: Any) -> None:
        super().__init__(similarity, [100])

    def blocks(self) -> Iterator[RowBlock]:
        for block in super().blocks():
            yield block
            if block.first_row == 100:
                sys.stdout.write("stalled\n")
                sys.stdout.flush()
                threading.Event().wait(60)


def stalled(path: Path) -> subprocess.Popen[str]:
    """A process in the middle of writing `path`."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "stalled\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A label file that is there already."""
    return write(tmp_path / "labels.h5", {"a": OLD})


class TestKilled:
    def test_kill(self, path: Path) -> None:
        """A writer that is killed leaves the old file as it was; what it left behind goes with the next write."""
        before = path.read_bytes()
        process = stalled(path)
        (left,) = (name for name in names(path.parent) if name != "labels.h5")
        assert left.startswith(".labels.h5.")
        # A live writer's file is not touched by another writer of the same target.
        write(path, {"a": OLD}, overwrite=True)
        assert names(path.parent) == [left, "labels.h5"]
        process.kill()
        process.communicate()
        assert path.read_bytes() == before
        assert names(path.parent) == [left, "labels.h5"]
        assert not validate(path.parent / left / "labels.h5").valid
        write(path, {"a": NEW}, overwrite=True)
        assert names(path.parent) == ["labels.h5"]

    def test_kill_without_an_old_file(self, tmp_path: Path) -> None:
        """Nothing stands under the final name after a writer was killed."""
        process = stalled(tmp_path / "a.h5")
        process.kill()
        process.communicate()
        assert not (tmp_path / "a.h5").exists()

    def test_interrupt(self, path: Path) -> None:
        """Ctrl-C ends the writer with KeyboardInterrupt, the old file is as it was and nothing is left behind."""
        before = path.read_bytes()
        process = stalled(path)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate()
        assert process.returncode == -signal.SIGINT
        assert stderr.strip().endswith("KeyboardInterrupt")
        assert path.read_bytes() == before
        assert names(path.parent) == ["labels.h5"]

    @pytest.mark.parametrize("call", [1, 2, 5, 20, 50])
    def test_interrupt_inside_hdf5(self, path: Path, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interrupt while HDF5 writes waits until the library is done, and then ends the writer cleanly."""
        before = path.read_bytes()
        calls = count_calls(monkeypatch, call, lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            write(path, {"a": Cut(NEW, [20])}, overwrite=True)
        assert len(calls) >= call
        assert path.read_bytes() == before
        assert names(path.parent) == ["labels.h5"]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_a_source_that_fails(self, path: Path) -> None:
        """An error of the source comes out as it is, and nothing has changed."""
        before = path.read_bytes()
        (block,) = NEW.blocks()
        with pytest.raises(ZeroDivisionError, match="source"):
            write(path, {"a": Blocks(NEW.collection, [block], ZeroDivisionError("source"))}, overwrite=True)
        assert path.read_bytes() == before
        assert names(path.parent) == ["labels.h5"]


def count_calls(monkeypatch: pytest.MonkeyPatch, call: int, action: Any) -> list[int]:
    """Do something at the given call of `pwrite`, through which all of HDF5's writing goes."""
    calls: list[int] = []
    real = os.pwrite

    def pwrite(*arguments: Any) -> int:
        calls.append(1)
        if len(calls) == call:
            action()
        return real(*arguments)

    monkeypatch.setattr(os, "pwrite", pwrite)
    return calls


def fail(code: int) -> Any:
    raise OSError(code, os.strerror(code))


class TestDisk:
    @pytest.mark.parametrize("call", [1, 2, 3, 5, 8, 13, 21, 34, 50])
    def test_full_at_any_moment(self, path: Path, call: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whichever write finds the disk full, the error says so, the old file stays, and nothing is left behind."""
        before = path.read_bytes()
        calls = count_calls(monkeypatch, call, lambda: fail(errno.ENOSPC))
        with pytest.raises(OutputError, match=r"labels\.h5: cannot be written; the disk is full: free some space"):
            write(path, {"a": NEW}, overwrite=True)
        assert len(calls) == call, "nothing is written after the first error"
        assert path.read_bytes() == before
        assert names(path.parent) == ["labels.h5"]

    def test_short_writes_are_continued(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A system that writes only a part of what it is given is asked again."""
        real = os.pwrite
        monkeypatch.setattr(os, "pwrite", lambda fd, data, at: real(fd, data[:1000], at))
        assert_same(LabelFile(write(tmp_path / "a.h5", {"a": NEW}))["a"].to_similarity(), NEW)

    def test_a_real_limit(self, path: Path) -> None:
        """A process that hits a real limit gets the error, and ends without a crash of the library."""
        code = (
            "import sys; from relabel.labelfile import write; from relabel.errors import OutputError\n"
            "from tests.test_atomic import NEW\n"
            "try: write(sys.argv[1], {'a': NEW}, overwrite=True)\n"
            "except OutputError as error: print(error)"
        )
        before = path.read_bytes()
        needed = write(path.parent / "needed.h5", {"a": NEW}).stat().st_size
        (path.parent / "needed.h5").unlink()
        for limit in (0, 1000, 20_000, needed - 1):
            done = subprocess.run(
                [sys.executable, "-c", code, str(path)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
                preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
            )
            assert (done.returncode, done.stderr) == (0, "")
            assert "larger than this system allows" in done.stdout
            assert path.read_bytes() == before
            assert names(path.parent) == ["labels.h5"]

    def test_full_while_packing(self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Packing meets a full disk as writing does."""
        part = write(tmp_path / "part.h5", {"a": NEW})
        before = path.read_bytes()
        count_calls(monkeypatch, 12, lambda: fail(errno.EDQUOT))
        with pytest.raises(OutputError, match="the disk quota is used up"):
            pack(path, {"a": part}, overwrite=True)
        assert path.read_bytes() == before
        assert names(tmp_path) == ["labels.h5", "part.h5"]

    def test_a_disk_that_lies(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that does not read back as it was written is not put in place."""
        before = path.read_bytes()
        real = os.pwrite
        monkeypatch.setattr(
            os, "pwrite", lambda fd, data, at: real(fd, bytes(data)[::-1] if len(data) > 5000 else data, at)
        )
        with pytest.raises(OutputError, match=r"does not read back as it was written.*check disk and memory"):
            write(path, {"a": NEW}, overwrite=True)
        assert path.read_bytes() == before
        assert names(path.parent) == ["labels.h5"]


class TestTargets:
    def test_a_missing_folder(self, tmp_path: Path) -> None:
        """The folder that is missing is named."""
        with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist; create it"):
            write(tmp_path / "nowhere" / "a.h5", {"a": OLD})

    def test_a_file_for_a_folder(self, path: Path) -> None:
        """A path below a file cannot be written."""
        with pytest.raises(OutputError, match="does not exist"):
            write(path / "a.h5", {"a": OLD})

    @pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM, errno.EIO])
    def test_a_folder_that_cannot_be_written(self, tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A read-only folder or disk is an error with a next step."""
        monkeypatch.setattr(Path, "open", lambda *_, **__: fail(code))
        expected = os.strerror(code) if code == errno.EIO else "choose another one"
        with pytest.raises(OutputError, match=rf"a\.h5: cannot be written; .*{expected}"):
            write(tmp_path / "a.h5", {"a": OLD})

    @pytest.mark.skipif(not Path("/proc").exists(), reason="this system has no /proc")
    def test_a_folder_of_the_system(self) -> None:
        """A folder in which not even root can make files."""
        with pytest.raises(OutputError, match=r"/proc/a\.h5: cannot be written"):
            write("/proc/a.h5", {"a": OLD})

    def test_a_long_name(self, tmp_path: Path) -> None:
        """A name that leaves no room for the private file is too long."""
        with pytest.raises(OutputError, match="the name is too long"):
            write(tmp_path / ("a" * 252 + ".h5"), {"a": OLD})

    def test_what_is_no_file(self, tmp_path: Path) -> None:
        """Devices and folders are never replaced."""
        with pytest.raises(OutputError, match="/dev/null: is not a regular file"):
            write("/dev/null", {"a": OLD}, overwrite=True)
        with pytest.raises(OutputError, match="is not a regular file"):
            write(tmp_path, {"a": OLD}, overwrite=True)

    def test_links_are_followed(self, path: Path, tmp_path: Path) -> None:
        """A link stays a link, and the file that it names is replaced."""
        (tmp_path / "links").mkdir()
        link = tmp_path / "links" / "link.h5"
        link.symlink_to(path)
        write(link, {"new": OLD}, overwrite=True)
        assert link.is_symlink()
        assert list(LabelFile(path)) == ["new"]
        assert names(link.parent) == ["link.h5"]

    def test_umask_decides_on_permissions(self, tmp_path: Path) -> None:
        """The file can be read by whom other new files can be read by."""
        (tmp_path / "other").touch()
        path = write(tmp_path / "a.h5", {"a": OLD})
        assert path.stat().st_mode == (tmp_path / "other").stat().st_mode

    def test_check_target(self, path: Path) -> None:
        """The checks can be made before a long job."""
        assert check_target(path, overwrite=True) == path.resolve()
        with pytest.raises(OutputExistsError):
            check_target(path, overwrite=False)


class TestReplacing:
    @pytest.mark.parametrize("hard_links", [True, False])
    def test_a_file_that_appears_meanwhile_is_kept(
        self, tmp_path: Path, hard_links: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without `overwrite`, even a file that another program makes during the writing is not replaced."""
        if not hard_links:
            monkeypatch.setattr(Path, "hardlink_to", lambda *_: fail(errno.EPERM))
        path = tmp_path / "a.h5"

        def meet() -> None:
            with replacing(path, overwrite=False) as private:
                private.write_text("new")
                path.write_text("theirs")

        with pytest.raises(OutputExistsError):
            meet()
        assert path.read_text() == "theirs"
        assert names(tmp_path) == ["a.h5"]

    @pytest.mark.parametrize("hard_links", [True, False])
    def test_puts_the_file_in_place(self, tmp_path: Path, hard_links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """With and without hard links in the file system."""
        if not hard_links:
            monkeypatch.setattr(Path, "hardlink_to", lambda *_: fail(errno.EPERM))
        with replacing(tmp_path / "a.h5", overwrite=False) as private:
            private.write_text("new")
        assert (tmp_path / "a.h5").read_text() == "new"
        assert names(tmp_path) == ["a.h5"]

    def test_removes_only_what_dead_writers_left(self, tmp_path: Path) -> None:
        """Folders of live writers, of other targets, and those that only have such a name stay."""
        killed(REPLACING, tmp_path / "a.h5")
        (dead,) = names(tmp_path)
        (tmp_path / ".a.h5.00000000.tmp").mkdir()  # killed before it was locked
        for name in (".a.h5.0123abcd.tmp", ".a.h5.4567abcd.tmp.bak"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "mine").touch()
        (tmp_path / ".a.h5.89ababcd.tmp").touch()
        killed(REPLACING, tmp_path / "b.h5")
        stay = {name for name in names(tmp_path) if name.startswith(".b.h5.")}
        stay |= {".a.h5.0123abcd.tmp", ".a.h5.4567abcd.tmp.bak", ".a.h5.89ababcd.tmp"}
        with stopped(REPLACING, tmp_path / "a.h5") as process:
            (live,) = {*names(tmp_path)} - stay
            assert live != dead
            with replacing(tmp_path / "a.h5", overwrite=True) as private:
                private.write_text("first")
            assert {*names(tmp_path)} == {*stay, live, "a.h5"}
            assert goes_on(process)[0] == 0
        assert {*names(tmp_path)} == {*stay, "a.h5"}
        assert (tmp_path / "a.h5").read_text() == "half"

    def test_a_file_system_without_locks(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Files are written all the same; what a dead writer left may be a live one's, and stays."""
        killed(REPLACING, tmp_path / "a.h5")
        (tmp_path / ".a.h5.00000000.tmp").mkdir()
        left = names(tmp_path)
        monkeypatch.setattr(fcntl, "flock", lambda *_: fail(errno.ENOTSUP))
        assert_same(LabelFile(write(tmp_path / "a.h5", {"a": NEW}))["a"].to_similarity(), NEW)
        assert names(tmp_path) == sorted([*left, "a.h5"])

    def test_a_folder_that_cannot_be_synced(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The file itself is safe by then."""
        real = os.fsync
        monkeypatch.setattr(
            os, "fsync", lambda fd: fail(errno.EINVAL) if stat.S_ISDIR(os.fstat(fd).st_mode) else real(fd)
        )
        write(tmp_path / "a.h5", {"a": NEW})
        assert names(tmp_path) == ["a.h5"]

    def test_two_writers_at_once(self, tmp_path: Path) -> None:
        """Of two writers that replace the same file, one file is there in the end, and it is whole."""
        path = tmp_path / "a.h5"
        sources = [similarity(40, 40, seed=n) for n in range(4)]
        threads = [threading.Thread(target=write, args=(path, {"a": s}), kwargs={"overwrite": True}) for s in sources]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert names(tmp_path) == ["a.h5"]
        found = LabelFile(path)["a"].to_scipy()
        assert any(found.nnz == s.matrix.nnz and (found != s.matrix).nnz == 0 for s in sources)


class TestReplacingFolder:
    @pytest.mark.parametrize("step", ["half", "aside", "placed"])
    @pytest.mark.parametrize("there", [False, True])
    def test_killed(self, tmp_path: Path, step: str, *, there: bool) -> None:
        """Old or new, the folder is whole, or is so after the next run, which leaves nothing else."""
        folder = tmp_path / "out"
        if there:
            folder.mkdir()
            (folder / "file").write_text("old")
        killed(REPLACING_FOLDER, folder, step)
        expected = "new" if step == "placed" else "old" if there else None
        aside = there and step == "aside"  # the only moment at which neither is in place
        assert (folder / "file").exists() == (expected is not None and not aside)

        def fails() -> None:
            with replacing_folder(folder, overwrite=True, foreign=lambda _: ()):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()
        assert names(tmp_path) == ["out"] * (expected is not None)
        assert expected is None or (folder / "file").read_text() == expected

    def test_foreign(self, tmp_path: Path) -> None:
        """What the command did not write is named and stays."""
        (tmp_path / "out").mkdir()
        for name in ("mine", "ours"):
            (tmp_path / "out" / name).touch()
        with (
            pytest.raises(OutputExistsError, match=r"out: holds 'mine', which no earlier run of this command wrote"),
            replacing_folder(tmp_path / "out", overwrite=True, foreign=lambda _: ["mine"]),
        ):
            pass
        assert names(tmp_path / "out") == ["mine", "ours"]


class TestDraft:
    def test_hdf5_that_cannot_begin(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error of HDF5 at the very start is an output error, and the file is closed."""

        def broken(*_: Any, **__: Any) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr("relabel.labelfile.hdf5_layout.h5f.create", broken)
        with pytest.raises(OutputError, match=r"a\.h5: cannot be written; no"):
            Draft(tmp_path / "x", tmp_path / "a.h5")

    def test_never_opens_what_is_there(self, tmp_path: Path) -> None:
        """A draft is always a new file."""
        (tmp_path / "x").write_text("mine")
        with pytest.raises(OutputError):
            Draft(tmp_path / "x", tmp_path / "a.h5")
        assert (tmp_path / "x").read_text() == "mine"


class TestDiskFile:
    """The file-like object that HDF5 writes through."""

    def test_reads_and_writes_like_a_file(self, tmp_path: Path) -> None:
        """Positions, ends and contents are those of a file; behind the end there are zeros."""
        disk = _Disk(tmp_path / "x")
        assert disk.write(b"abcdef") == 6
        assert disk.seek(2) == 2
        assert disk.read(10) == b"cdef" + bytes(6)
        assert disk.seek(0, os.SEEK_END) == 6
        assert disk.seek(-1, os.SEEK_CUR) == disk.tell() == 5
        assert disk.truncate() == 5
        assert disk.truncate(3) == 3
        disk.raise_error()
        disk.close()
        assert (tmp_path / "x").read_bytes() == b"abc"

    def test_goes_on_after_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """After an error everything seems to work, nothing is written any more, and the first error is kept."""
        disk = _Disk(tmp_path / "x")
        disk.write(b"abc")
        count_calls(monkeypatch, 1, lambda: fail(errno.ENOSPC))
        assert disk.write(b"def") == 3
        assert disk.write(b"ghi") == 3
        assert disk.tell() == disk.seek(0, os.SEEK_END) == 9
        assert disk.truncate(1) == 1
        with pytest.raises(OSError, match="No space left"):
            disk.raise_error()
        disk.close()
        assert (tmp_path / "x").read_bytes() == b"abc"

    def test_a_size_that_cannot_be_set(self, tmp_path: Path) -> None:
        """An error of truncating is kept too."""
        disk = _Disk(tmp_path / "x")
        disk.truncate(-1)
        with pytest.raises(OSError, match="Invalid argument"):
            disk.raise_error()
        disk.close()


def test_memory_is_that_of_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks take no more memory than a few: pairs do not pile up on their way out or when they are read back."""
    monkeypatch.setattr("relabel.labelfile.collection._BLOCK_ENTRIES", 40_000)
    cameras = similarity(2000, 500, density=0.0, faults=False).collection
    per_row = 400
    rng = np.random.default_rng(0)

    class Streamed:
        def __init__(self, rows: int) -> None:
            c = cameras
            self.collection = Collection(
                c.query.take(slice(rows)), c.database, c.query_extent[:rows], c.database_extent, c.method, c.measure
            )

        def blocks(self) -> Iterator[RowBlock]:
            for first in range(0, self.collection.shape[0], 100):
                indices = np.tile(np.arange(per_row, dtype=np.int32), 100)
                data = (1 - rng.random(100 * per_row)).clip(1e-3).astype(np.float32)
                yield RowBlock(first, np.full(100, per_row), indices, data)

    def peak(rows: int) -> int:
        tracemalloc.start()
        write(tmp_path / f"{rows}.h5", {"a": Streamed(rows)}, threads=1)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    few, many = peak(1000), peak(2000)
    # The second holds 3.2 MB more of pairs.
    assert many < few + 1_000_000


@pytest.mark.parametrize("fails", [False, True])
def test_a_private_folder_is_unfinished_until_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """A worker that is ended while it removes its private folder still knows of it, and leaves nothing."""
    known = []
    remove = atomic._remove

    def removing(folder: Path, lock: Any) -> None:
        known.append(folder in stopping._unfinished)
        remove(folder, lock)

    monkeypatch.setattr(atomic, "_remove", removing)
    error = pytest.raises(KeyboardInterrupt) if fails else nullcontext()
    with error, private_folder(tmp_path, "x.h5") as folder:
        if fails:
            raise KeyboardInterrupt
    assert known == [True]
    assert folder not in stopping._unfinished
    assert list(tmp_path.iterdir()) == []
