"""relabel.claims: two runs on one output."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import socket
from pathlib import Path

import pytest

from relabel import locks
from relabel.claims import claimed
from relabel.errors import OutputInUseError
from tests.stopped import goes_on, killed, stopped

HOLDER = """
import sys
from pathlib import Path
from relabel.claims import claimed
from tests.stopped import stop
parts = sys.argv[2].split(",") if sys.argv[2] else None
with claimed(Path(sys.argv[1]), parts, job=sys.argv[3]) as claim:
    stop()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "x.h5"


class TestClaimed:
    """relabel.claims.claimed"""

    def test_leaves_nothing(self, output: Path) -> None:
        """Whichever run ends first."""
        first, second = claimed(output, ["a"], job="j"), claimed(output, ["b"], job="j")
        with first:
            second.__enter__()
        second.__exit__(None, None, None)
        assert names(output.parent) == []

    @pytest.mark.parametrize(
        ("theirs", "mine", "job", "is_free"),
        [
            ("", None, "j", False),
            ("", ["a"], "j", False),
            ("a,b", None, "j", False),
            ("a,b", ["b", "c"], "j", False),
            ("a,b", ["c"], "other", False),
            ("a,b", ["c"], "j", True),
        ],
    )
    def test_two_processes(self, output: Path, theirs: str, mine: list[str] | None, job: str, is_free: bool) -> None:
        """Runs of one job share an output as long as each makes other parts; all others wait for each other."""
        with stopped(HOLDER, output, theirs, "j") as process:
            if is_free:
                with claimed(output, mine, job=job):
                    pass
            else:
                with pytest.raises(OutputInUseError) as refused, claimed(output, mine, job=job):
                    pass
                assert re.fullmatch(
                    rf"{re.escape(str(output))}: another run is writing it: process {process.pid} on "
                    rf"{re.escape(socket.gethostname())}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d: "
                    r"-c \S+x\.h5 \S+ j; wait until it has finished, or choose another output",
                    str(refused.value),
                )
            assert goes_on(process) == (0, "", "")
        assert names(output.parent) == []

    def test_a_dead_run_holds_nothing(self, output: Path) -> None:
        """Whatever the number in its file: that of this very process, and 1, belong to somebody who lives."""
        killed(HOLDER, output, "", "j")
        (run,) = output.parent.glob(".x.h5.*.run")
        for number in (os.getpid(), 1):
            run.write_text(re.sub(r'"process": \d+', f'"process": {number}', run.read_text()))
            run.with_name(f".x.h5.0000000{number % 10}.run").write_bytes(run.read_bytes())
        with claimed(output):
            pass
        assert names(output.parent) == []

    def test_exclusive(self, output: Path) -> None:
        """For packing, nobody else may work on parts of the job; afterwards nobody can begin."""
        with claimed(output, ["c"], job="j") as claim:
            with stopped(HOLDER, output, "a", "j") as process:
                with pytest.raises(OutputInUseError, match=f"process {process.pid} on"):
                    claim.make_exclusive()
                assert goes_on(process) == (0, "", "")
            claim.make_exclusive()
            with pytest.raises(OutputInUseError), claimed(output, ["b"], job="j"):
                pass

    def test_a_run_of_another_user(self, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whether it lives cannot be seen: its file is named, to be removed by whoever knows that it is dead."""
        run = output.parent / ".x.h5.01234567.run"
        run.touch()
        real = os.open

        def private(name: Path, flags: int, *mode: int) -> int:
            if name == run:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(name))
            return real(name, flags, *mode)

        monkeypatch.setattr(os, "open", private)
        with pytest.raises(OutputInUseError, match=rf"whose file {run} cannot be read"), claimed(output):
            pass
        assert run.exists()

    def test_files_of_others_stay(self, output: Path) -> None:
        """What only has such a name is not removed."""
        (output.parent / ".x.h5.01234567.run").write_text("my notes")
        (output.parent / ".y.h5.01234567.run").write_text("{}")
        (output.parent / ".x.h5.relabel-lock").write_text("mine")
        with claimed(output):
            pass
        assert names(output.parent) == [".x.h5.01234567.run", ".x.h5.relabel-lock", ".y.h5.01234567.run"]

    def test_what_no_run_has_made(self, output: Path) -> None:
        """A pipe, a folder and a link of such a name are no run; nobody waits for the other end of the pipe."""
        os.mkfifo(output.parent / ".x.h5.01234567.run")
        (output.parent / ".x.h5.12345678.run").mkdir()
        (output.parent / ".x.h5.23456789.run").symlink_to(output.parent)
        before = names(output.parent)
        with claimed(output):
            pass
        assert [name for name in names(output.parent) if name != ".x.h5.relabel-lock"] == before

    @pytest.mark.parametrize("content", ["{}", '{"process": 1, "parts": 5}', "[" * 100_000, "notes"])
    def test_a_held_file_that_no_run_wrote(self, content: str, output: Path) -> None:
        """Somebody works on something of that name, and the file is named."""
        run = output.parent / ".x.h5.01234567.run"
        lock = locks.acquire(run)
        assert lock is not None
        lock.write(content.encode())
        with pytest.raises(OutputInUseError, match=rf"one whose file {run} cannot be read"), claimed(output):
            pass
        lock.release()

    def test_a_file_system_without_locks(self, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run goes on, beside what dead and living ones have left."""
        killed(HOLDER, output, "", "j")

        def flock(*_: object) -> None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", flock)
        monkeypatch.setattr(locks, "_said", set())
        left = names(output.parent)
        with claimed(output) as claim:
            claim.make_exclusive()
        assert names(output.parent) == left
