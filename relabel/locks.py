"""Locked files: they tell whether a process is still at work, however it ended, and on which machine it runs.

The kernel holds a lock (`flock`) as long as the process lives, and drops it when the process dies. The number of a
process says neither: it is used again, it means nothing on another machine, and in a container it is often 1.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

_WITHOUT_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
_said: set[int] = set()  # the file systems of which it was said that they have no locks


class Lock:
    """A file that this process has locked; `acquire` makes them.

    Attributes
    ----------
    path:
        the file.
    is_real:
        False on a file system without locks, where nobody is kept out.
    """

    def __init__(self, path: Path, descriptor: int, *, is_real: bool) -> None:
        self.path, self.is_real = path, is_real
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Put `data` in place of what the file holds."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, data, 0)

    def release(self, *, remove: bool = False) -> None:
        """Let others have the lock, and perhaps remove the file first."""
        if remove:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        # A process forked meanwhile shares the descriptor: closing it here alone would leave the file locked.
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def acquire(path: Path, *, wait: bool = False) -> Lock | None:
    """Lock the file at `path`, which is made where it is missing; None where another process holds it.

    Parameters
    ----------
    path:
        in a folder that exists.
    wait:
        until the other process lets go.

    Raises
    ------
    OSError
        when the file can be neither made nor opened.
    """
    while True:
        descriptor = _opened(path)
        try:
            taken = _locked(descriptor, path, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BaseException:
            os.close(descriptor)
            raise
        if taken is None:
            os.close(descriptor)
            return None
        # Whoever held it may have removed the file, and a lock on a file that is gone keeps nobody out.
        if _is_at(descriptor, path):
            return Lock(path, descriptor, is_real=taken)
        os.close(descriptor)


def _opened(path: Path) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe of that name would wait for its other end
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)
    except PermissionError:
        if not path.exists():
            raise
        return os.open(path, os.O_RDONLY | flags)  # of another user; it can be locked all the same


def is_held(path: Path) -> bool | None:
    """Whether some process holds the lock of the file at `path`; None on a file system that cannot tell.

    Raises
    ------
    FileNotFoundError
        when there is no such file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:  # of another user
        return True
    try:
        taken = _locked(descriptor, path, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None if taken is False else taken is None
    finally:
        os.close(descriptor)


def _locked(descriptor: int, path: Path, operation: int) -> bool | None:
    """True when the file is locked now, None when another holds it, False where there are no locks."""
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        device = os.fstat(descriptor).st_dev
        if device not in _said:
            _said.add(device)
            log.warning(
                "%s: this file system has no locks (%s): make sure that no two runs write the same output; remains of "
                "killed runs are not removed here",
                *(path.parent, error.strerror),
            )
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False
