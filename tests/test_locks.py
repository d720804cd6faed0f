"""relabel.locks: the kernel knows who lives."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path

import pytest

from relabel import locks
from tests.stopped import stopped

HOLDER = """
import sys
from pathlib import Path
from relabel import locks
from tests.stopped import stop
lock = locks.acquire(Path(sys.argv[1]))
stop()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


class TestAcquire:
    """relabel.locks.acquire, relabel.locks.is_held"""

    def test_one_at_a_time(self, path: Path) -> None:
        """Whoever comes second, in this process as well, gets nothing until the first lets go."""
        first = locks.acquire(path)
        assert first is not None
        assert first.is_real
        assert locks.is_held(path) is True
        assert locks.acquire(path) is None
        first.release()
        assert locks.is_held(path) is False
        second = locks.acquire(path)
        assert second is not None
        second.release(remove=True)
        assert not path.exists()
        with pytest.raises(FileNotFoundError):
            locks.is_held(path)

    def test_of_another_process(self, path: Path) -> None:
        """It is held as long as the process lives, and not a moment longer, though its number is that of no one."""
        with stopped(HOLDER, path) as process:
            assert locks.acquire(path) is None
            assert locks.is_held(path) is True
            process.kill()
            process.wait()
            assert locks.is_held(path) is False
            lock = locks.acquire(path)
            assert lock is not None
            lock.release()

    def test_waits(self, path: Path) -> None:
        """For a holder that ends."""
        with stopped(HOLDER, path) as process:
            process.kill()  # perhaps not dead yet
            lock = locks.acquire(path, wait=True)
            assert lock is not None
            lock.release()

    def test_a_fork_does_not_keep_it(self, path: Path) -> None:
        """A child that lives on shares the file; what the parent lets go is free all the same."""
        lock = locks.acquire(path)
        assert lock is not None
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        os.close(read)
        lock.release()
        assert locks.is_held(path) is False
        os.close(write)
        os.waitpid(child, 0)

    def test_removed_while_another_waited(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A lock on a file that is gone keeps nobody out: the file is made anew."""
        real, calls = fcntl.flock, []

        def flock(descriptor: int, operation: int) -> None:
            calls.append(operation)
            if len(calls) == 1:
                path.unlink()
            real(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", flock)
        lock = locks.acquire(path)
        assert lock is not None
        assert len(calls) == 2
        assert locks.is_held(path) is True
        lock.release()

    @pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
    def test_a_file_system_without_locks(
        self, path: Path, code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """All goes on; it is said once, with the folder, and nobody is taken for dead."""

        def flock(*_: object) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(fcntl, "flock", flock)
        monkeypatch.setattr(locks, "_said", set())
        caplog.set_level(logging.WARNING, "relabel")
        for _ in range(2):
            lock = locks.acquire(path)
            assert lock is not None
            assert not lock.is_real
            lock.release()
        assert locks.is_held(path) is None
        (message,) = caplog.messages
        assert message.startswith(f"{path.parent}: this file system has no locks ({os.strerror(code)})")

    def test_of_another_user(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that may only be read is locked like others; one that cannot be made is an error."""
        real = os.open

        def read_only(name: Path, flags: int, *mode: int) -> int:
            if flags & os.O_RDWR:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(name))
            return real(name, flags, *mode)

        monkeypatch.setattr(os, "open", read_only)
        with pytest.raises(PermissionError):
            locks.acquire(path)
        path.touch()
        lock = locks.acquire(path)
        assert lock is not None
        assert locks.is_held(path) is True
        lock.release()

    def test_a_link_is_not_followed(self, path: Path) -> None:
        """What somebody has linked is neither made nor locked."""
        path.symlink_to(path.with_name("elsewhere"))
        with pytest.raises(OSError, match="symbolic links"):
            locks.acquire(path)
        assert not path.with_name("elsewhere").exists()
