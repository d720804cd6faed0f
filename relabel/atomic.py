"""Putting a finished file or folder in its place: whole or not at all, and never by touching what is there before.

All is made in a private folder beside its place first. The folder is locked, so that the next writer of the same target
knows what a killed one left, and removes it.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from relabel import locks
from relabel.clutter import is_clutter
from relabel.errors import OutputError, OutputExistsError, RelabelError
from relabel.stopping import keep, signals_deferred, unfinished

log = logging.getLogger(__name__)

_NEXT_STEP = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another folder",
    errno.EFBIG: "the file would be larger than this system allows: choose another folder or raise the limit",
    errno.EROFS: "the folder is read-only: choose another one",
    errno.EACCES: "there is no permission to write in this folder: choose another one",
    errno.EPERM: "there is no permission to write in this folder: choose another one",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter one",
}

_LOCK = ".relabel-lock"
_NEW, _OLD = "new", "old"
"""In the private folder of `replacing_folder`: what is made, and what stood in its place before."""


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
    """A private path of the same name; what is made there takes its place when the block ends well, else it is removed.

    It lies in a hidden folder beside the target, so that the last step is one rename in one file system. What killed
    writers of the same target left behind is removed first.

    Raises
    ------
    OutputExistsError
        when `path` exists and `overwrite` is False, at the start or at the end.
    OutputError
        when the folder is missing or cannot be written, or the disk is full.
    """
    target = check_target(path, overwrite=overwrite)
    remove_folders(abandoned_folders(target.parent, target.name))
    with ExitStack() as stack:
        with output_errors(path):
            private = stack.enter_context(private_folder(target.parent, target.name)) / target.name
        yield private
        with output_errors(path):
            sync(private)
            move_file(private, target, path, overwrite=overwrite)
    with suppress(OSError):  # some file systems cannot sync a folder; the file itself is safe
        sync(target.parent)


@contextmanager
def replacing_folder(path: Path, *, overwrite: bool, foreign: Callable[[Path], Iterable[str]]) -> Iterator[Path]:
    """A private folder beside `path`; it takes its place when the block ends well, else it is removed.

    Parameters
    ----------
    path:
        the folder to be; it may be there when it is empty.
    overwrite:
        whether a folder with files may be replaced.
    foreign:
        given such a folder, the names in it that it did not get from an earlier run; a folder with any is never
        replaced, since what is in it would be lost.

    Raises
    ------
    OutputExistsError
        when the folder is not empty and may not be replaced.
    OutputError
        when `path` is no folder, its parent is missing, or nothing can be written.
    """
    target = Path(os.path.realpath(path))
    _check_folder(path, target, overwrite=overwrite, foreign=foreign)
    recover_folder(target)
    _check_folder(path, target, overwrite=overwrite, foreign=foreign)  # one that is back counts too
    with ExitStack() as stack:
        with output_errors(path):
            private = stack.enter_context(private_folder(target.parent, target.name))
            (private / _NEW).mkdir()
        yield private / _NEW
        with output_errors(path):
            for entry in (*(private / _NEW).rglob("*"), private / _NEW):
                with suppress(OSError):  # some file systems cannot sync a folder
                    sync(entry)
            _check_folder(path, target, overwrite=overwrite, foreign=foreign)
            with signals_deferred():
                _swap(private, target)


def check_folder(path: Path, *, overwrite: bool, foreign: Callable[[Path], Iterable[str]]) -> Path:
    """Where to write a folder: `path` with links followed; parameters and errors as of `replacing_folder`."""
    target = Path(os.path.realpath(path))
    _check_folder(path, target, overwrite=overwrite, foreign=foreign)
    return target


def _swap(private: Path, target: Path) -> None:
    """Give a new folder its name; the old one goes into the private folder, or back if that fails."""
    keep(private)  # after a kill, whoever comes next puts back what was there
    if target.exists() and any(target.iterdir()):
        target.replace(private / _OLD)
    try:
        (private / _NEW).replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            (private / _OLD).replace(target)
        raise


def _check_folder(path: Path, target: Path, *, overwrite: bool, foreign: Callable[[Path], Iterable[str]]) -> None:
    with output_errors(path):
        if not target.parent.is_dir():
            raise OutputError(f"{path}: the folder {target.parent} does not exist; create it or choose another one")
        if not target.exists():
            return
        if not target.is_dir():
            raise OutputError(f"{path}: is a file; choose the name of a folder")
        if all(is_clutter(entry.name) for entry in target.iterdir()):
            return
        for name in foreign(target):
            raise OutputExistsError(
                f"{path}: holds {name!r}, which no earlier run of this command wrote and which would be lost with the "
                "folder; choose another folder"
            )
        if not overwrite:
            raise OutputExistsError(
                f"{path}: is not empty; choose another folder, or pass overwrite=True to replace it"
            )


def recover_folder(target: Path) -> None:
    """Bring back what a killed `replacing_folder` had moved aside before its own was in place; remove all it left."""
    abandoned = abandoned_folders(target.parent, target.name)
    for folder in abandoned:
        with suppress(OSError):
            if not target.exists() and (folder / _OLD).is_dir():
                (folder / _OLD).replace(target)
                log.warning("%s: restored to its state before a run that was killed while replacing it", target)
    remove_folders(abandoned)


@contextmanager
def private_folder(parent: Path, name: str) -> Iterator[Path]:
    """A new hidden and locked folder in `parent`, which is removed at the end."""
    private, lock = _locked_folder(parent, name)
    with unfinished(private):  # until it is gone: a worker may be ended while it removes it
        try:
            yield private
        finally:
            _remove(private, lock)


def _locked_folder(parent: Path, name: str) -> tuple[Path, locks.Lock]:
    while True:
        private = parent / f".{name}.{secrets.token_hex(4)}.tmp"
        private.mkdir()
        try:
            lock = locks.acquire(private / _LOCK)
        except FileNotFoundError:
            continue  # another process took it for abandoned
        except BaseException:
            with suppress(OSError):
                private.rmdir()
            raise
        if lock is not None:
            return private, lock


def abandoned_folders(parent: Path, *names: str) -> list[Path]:
    """The private folders of these names that killed writers left in `parent`; none where no locks can tell."""
    with suppress(OSError):
        return [entry for entry in parent.iterdir() if target_of_private(entry.name) in names and _is_abandoned(entry)]
    return []


def being_made(parent: Path) -> set[str]:
    """The names of what writers that live are making in `parent`, as far as locks can tell."""
    with suppress(OSError):
        private = {entry: target_of_private(entry.name) for entry in parent.iterdir()}
        return {target for entry, target in private.items() if target is not None and not _is_abandoned(entry)}
    return set()


def target_of_private(name: str) -> str | None:
    """What is made in a `private_folder` of that name; None where it is the name of something else."""
    match = re.fullmatch(r"\.(.+)\.[0-9a-f]{8}\.tmp", name, re.DOTALL)
    return None if match is None else match[1]


def _is_abandoned(folder: Path) -> bool:
    try:
        return locks.is_held(folder / _LOCK) is False
    except FileNotFoundError:
        return folder.is_dir() and not any(folder.iterdir())  # killed before it was locked
    except OSError:
        return False


def remove_folders(folders: Iterable[Path]) -> None:
    """Remove private folders, but for those whose writers live."""
    for folder in folders:
        with suppress(OSError):
            lock = locks.acquire(folder / _LOCK)
            if lock is not None and lock.is_real:
                _remove(folder, lock)
            elif lock is not None:
                lock.release()


def _remove(folder: Path, lock: locks.Lock) -> None:
    with suppress(OSError):
        for entry in folder.iterdir():
            # The lock goes last: without it nobody would know what a process left that was killed here.
            if entry.name == _LOCK:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    # Some network file systems keep a removed file under another name until it is closed.
    shutil.rmtree(folder, ignore_errors=True)


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
    return OutputExistsError(f"{path}: already exists; choose another name, or pass overwrite=True to overwrite it")


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
