"""Putting a finished file in its place: whole or not at all, and never by touching the file that is there.

A set of files is made in a `private_folder` first.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
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
            sync(private)
            move_file(private, target, path, overwrite=overwrite)
    finally:
        with suppress(OSError):
            private.unlink(missing_ok=True)
    with suppress(OSError):  # some file systems cannot sync a folder; the file itself is safe
        sync(target.parent)


@contextmanager
def private_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new hidden folder in `parent`, which is removed at the end unless it was moved into its place.

    It carries the number of this process and is locked, so that `abandoned_folders` knows those of killed writers.
    """
    private = parent / f".{name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    private.mkdir()
    descriptor = os.open(private, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield private
    finally:
        os.close(descriptor)
        shutil.rmtree(private, ignore_errors=True)


def abandoned_folders(parent: Path, name: str) -> list[Path]:
    """The private folders of that name that killed writers left in `parent`."""
    with suppress(OSError):
        return [entry for entry in _abandoned(parent, name) if entry.is_dir()]
    return []


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


def move_file(private: Path, target: Path, path: Path, *, overwrite: bool) -> None:
    """Give a file of the same file system its name; `path` is what errors call `target`.

    Raises
    ------
    OutputExistsError
        when `target` exists and `overwrite` is False.
    """
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


def sync(path: Path) -> None:
    """Have the system write a file or folder to its disk now."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(target: Path) -> None:
    with suppress(OSError):
        for entry in _abandoned(target.parent, target.name):
            entry.unlink(missing_ok=True)


def _abandoned(parent: Path, name: str) -> Iterator[Path]:
    pattern = re.compile(re.escape(f".{name}.") + r"(\d+)-[0-9a-f]{8}\.tmp")
    for entry in parent.iterdir():
        match = pattern.fullmatch(entry.name)
        if match and not _alive(int(match[1])) and not _locked(entry):
            yield entry


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _locked(path: Path) -> bool:
    """Whether a writer, perhaps on another machine that shares the folder, holds the lock of a `Draft` or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
