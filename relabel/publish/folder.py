"""A folder that appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from relabel.errors import OutputError, OutputExistsError
from relabel.labelfile.publish import output_errors


@contextmanager
def replacing_folder(path: Path, *, overwrite: bool, ours: Callable[[list[str]], list[str]]) -> Iterator[Path]:
    """A private folder beside `path`; it takes its place when the block ends well, else it is removed.

    Parameters
    ----------
    path:
        the folder to be; it may be there when it is empty.
    overwrite:
        whether a folder with files may be replaced.
    ours:
        given the names in such a folder, those that it did not get from an earlier run; a folder with any is never
        replaced, since what is in it would be lost.

    Raises
    ------
    OutputExistsError
        when the folder is not empty and may not be replaced.
    OutputError
        when `path` is no folder, its parent is missing, or nothing can be written.
    """
    target = Path(os.path.realpath(path))
    _check(path, target, overwrite=overwrite, ours=ours)
    private = target.parent / f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with output_errors(path):
            private.mkdir()
        yield private
        with output_errors(path):
            for entry in (*private.iterdir(), private):
                _sync(entry)
            _check(path, target, overwrite=overwrite, ours=ours)
            _put(private, target)
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _check(path: Path, target: Path, *, overwrite: bool, ours: Callable[[list[str]], list[str]]) -> None:
    with output_errors(path):
        if not target.parent.is_dir():
            raise OutputError(f"{path}: the folder {target.parent} does not exist; create it or choose another one")
        if not target.exists():
            return
        if not target.is_dir():
            raise OutputError(f"{path}: is a file; choose the name of a folder")
        names = sorted(entry.name for entry in target.iterdir())
    if not names:
        return
    if not overwrite:
        raise OutputExistsError(
            f"{path}: is not empty; choose another folder, or say that it may be replaced (--force)"
        )
    foreign = ours(names)
    if foreign:
        raise OutputExistsError(
            f"{path}: holds {foreign[0]!r}, which publish did not write and replacing the folder would delete; choose "
            "another folder"
        )


def _put(private: Path, target: Path) -> None:
    """Put the new folder in place; an old one is moved aside first, and back if that fails."""
    if not target.exists() or not any(target.iterdir()):
        private.replace(target)
        return
    aside = private.with_suffix(".old")
    target.replace(aside)
    try:
        private.replace(target)
    except BaseException:
        aside.replace(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError):  # some file systems cannot sync a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
