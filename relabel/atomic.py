"""Putting a finished file in its place: whole or not at all, and never by touching the file that is there."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relabel.errors import OutputError, OutputExistsError, RelabelError

_NEXT_STEP = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another folder",
    errno.EFBIG: "the file would be larger than this system allows: choose another folder or raise the limit",
    errno.EROFS: "the folder is read-only: choose another one",
    errno.EACCES: "there is no permission to write in this folder: choose another one",
    errno.EPERM: "there is no permission to write in this folder: choose another one",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}


@contextmanager
def output_errors(target: Path) -> Iterator[None]:
    """Turn what the system or HDF5 raises while writing into an `OutputError` with a next step."""
    try:
        yield
    except RelabelError:
        raise
    except (OSError, RuntimeError) as error:
        code = getattr(error, "errno", None) or 0
        reason = os.strerror(code) if code else str(error)
        raise OutputError(f"{target}: cannot be written; {_NEXT_STEP.get(code, reason)}") from error


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A private path beside `path`; the file made there takes its place when the block ends well, else it is removed.

    The private file is hidden and lies in the same folder, so that the last step is one rename in one file system. It
    carries the number of this process; files that killed writers of the same target left behind are removed first.

    Raises
    ------
    OutputExistsError
        when `path` exists and `overwrite` is False, at the start or at the end.
    OutputError
        when the folder is missing or cannot be written, or the disk is full.
    """
    target = check_target(path, overwrite=overwrite)
    private = target.parent / f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    _remove_abandoned(target)
    try:
        yield private
        with output_errors(path):
            _sync(private)
            _rename(private, target, path, overwrite=overwrite)
    finally:
        with suppress(OSError):
            private.unlink(missing_ok=True)
    with suppress(OSError):  # some file systems cannot sync a folder; the file itself is safe
        _sync(target.parent)


def check_target(path: Path, *, overwrite: bool) -> Path:
    """Where to write: `path` with links followed, so that a linked file is replaced and not the link.

    Raises
    ------
    OutputExistsError
        when `path` exists and `overwrite` is False.
    OutputError
        when its folder does not exist, or it is not a regular file.
    """
    with output_errors(path):
        target = Path(os.path.realpath(path))
        if not target.parent.is_dir():
            raise OutputError(f"{path}: the folder {target.parent} does not exist; create it or choose another one")
        try:
            mode = target.stat().st_mode
        except FileNotFoundError:
            return target
        if not stat.S_ISREG(mode):
            raise OutputError(f"{path}: is not a regular file; choose the name of a file")
        if not overwrite:
            raise _exists(path)
        return target


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError(f"{path}: exists already; choose another name, or say that it may be replaced (--force)")


def _rename(private: Path, target: Path, path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        # A hard link fails where the name has been taken meanwhile; a rename would silently replace that file.
        try:
            target.hardlink_to(private)
        except FileExistsError:
            raise _exists(path) from None
        except OSError:  # no hard links in this file system
            if target.exists():
                raise _exists(path) from None
        else:
            return
    private.replace(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(target: Path) -> None:
    pattern = re.compile(re.escape(f".{target.name}.") + r"(\d+)-[0-9a-f]{8}\.tmp")
    with suppress(OSError):
        for entry in target.parent.iterdir():
            match = pattern.fullmatch(entry.name)
            if match and not _alive(int(match[1])) and not _locked(entry):
                entry.unlink(missing_ok=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _locked(path: Path) -> bool:
    """Whether a writer, perhaps on another machine that shares the folder, holds the lock of a `Draft`."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
