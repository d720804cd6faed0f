"""The folder that an export goes to: files are written in a private folder, and moved when all are complete."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.atomic import (
    abandoned_folders,
    check_target,
    move_file,
    output_errors,
    private_folder,
    remove_folders,
    replacing,
    sync,
)
from relabel.errors import InputError, OutputError, OutputExistsError
from relabel.input_files import check_regular
from relabel.stopping import keep, signals_deferred

_PRIVATE = "relabel-export"
_FILES, _LIST = "files", "moving"
"""In the private folder: the files of a set, and their list, which exists once they begin to be moved"""


class ExportFolder:
    """Where files are written, and which have been written; to be used inside ``with``.

    A new folder appears with all its files at once. Into an existing folder, files are moved one by one at the end,
    which takes almost no time; if a process is killed even then, the next export to the folder may replace the files
    that were moved.

    Parameters
    ----------
    path:
        the folder; it is created if it is missing.
    overwrite:
        whether files that exist may be replaced.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self.path = path
        self.overwrite = overwrite
        self.written: list[Path] = []
        self._replaceable: dict[str, bool] = {}
        self._stack = ExitStack()
        self._made_folders: list[Path] = []

    def __enter__(self) -> ExportFolder:  # noqa: PYI034  not meant to be subclassed
        with output_errors(self.path):
            self._target = Path(os.path.realpath(self.path))
            if self._target.exists() and not self._target.is_dir():
                raise OutputError(f"{self.path}: is a file; choose the name of a folder")
            self._is_new = not self._target.exists()
            parent, name = (self._target.parent, self._target.name) if self._is_new else (self._target, _PRIVATE)
            missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
            parent.mkdir(parents=True, exist_ok=True)
            self._made_folders = missing
            self._lists = {folder: _listed(folder) for folder in abandoned_folders(self._target, _PRIVATE)}
            # Those of killed exports to the folder while it was new.
            remove_folders(abandoned_folders(self._target.parent, self._target.name))
            try:
                self._folder = self._stack.enter_context(private_folder(parent, name))
                self._private = self._folder / _FILES
                self._private.mkdir()
            except BaseException:
                self._undo()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._undo()
            return
        try:
            with output_errors(self.path):
                self._move()
        except BaseException:
            self._undo()
            raise
        self._stack.close()

    def _undo(self) -> None:
        self._stack.close()
        for folder in self._made_folders:
            with suppress(OSError):  # another program has put something there
                folder.rmdir()

    def check(self, names: Iterable[str]) -> None:
        """Raise what `claim` would if a file exists and may not be replaced, or cannot be written."""
        for name in names:
            self._check(name)

    def claim(self, names: Iterable[str], *, replaceable: bool = True) -> None:
        """Raise unless all of the named files may be written, and no collection of this export has claimed one before.

        Raises
        ------
        InputError
            when a file has been claimed before.
        OutputExistsError
            when one exists and may not be replaced; those that are not `replaceable` stay even with `overwrite`.
        OutputError
            when one cannot be written.
        """
        for name in names:
            if name in self._replaceable:
                raise _shared(self.path / name)
            self._replaceable[name] = replaceable
            self._check(name)

    @contextmanager
    def file(self, name: str, *, replaceable: bool = True) -> Iterator[Path]:
        """A private path that becomes the file of that name when the export succeeds."""
        self._replaceable.setdefault(name, replaceable)
        self._replaceable[name] &= replaceable
        private, target = self._private / name, self.path / name
        with output_errors(target):
            private.parent.mkdir(parents=True, exist_ok=True)
            if private.exists():  # for example on a file system that does not distinguish upper and lower case
                raise _shared(target)
            yield private
        self.written.append(target)

    def write_array(self, name: str, array: npt.NDArray[Any]) -> None:
        """One array as ``.npy``; arrays of objects are pickled, which their consumers expect."""
        with self.file(name) as private, private.open("wb") as file:
            # numpy would write into a file of the system by itself, and would not say why it failed.
            stream = _Stream(file)
            np.save(stream, without_metadata(array), allow_pickle=array.dtype == object)

    def write_json(self, name: str, value: Any) -> None:
        """One JSON value."""
        with self.file(name) as private:
            private.write_text(json.dumps(value, ensure_ascii=False, allow_nan=False), encoding="utf-8", newline="")

    def _check(self, name: str) -> None:
        """Raise unless the file may be written."""
        path, target = self.path / name, self._target / name
        with output_errors(path):
            folder = next(folder for folder in target.parents if folder.exists() or folder == self._target.parent)
            if not folder.is_dir():
                raise OutputError(f"{path}: {folder} is a file; choose another folder")
            if not os.path.lexists(target) or self._is_moved_before(name):
                return
            if not self._replaceable.get(name, True):
                raise OutputExistsError(
                    f"{path}: already exists, and is not replaced since it may belong to the dataset; choose another "
                    "folder"
                )
            check_target(path, overwrite=self.overwrite)

    def _is_moved_before(self, name: str) -> bool:
        """Whether a killed export has moved the file to its place, and it is still there."""
        try:
            there = _identity(self._target / name)
        except OSError:
            return False
        return any(there == listed.get(name) for listed in self._lists.values())

    def _move(self) -> None:
        """Move all files to their names."""
        names = [str(file.relative_to(self.path)) for file in self.written]
        for name in names:
            sync(self._private / name)
        if self._is_new:
            try:
                self._private.rename(self._target)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
            else:
                with suppress(OSError):  # some file systems cannot sync a folder
                    sync(self._target.parent)
                return
        for name in names:
            self._check(name)
        listed = self._folder / f"{_LIST}.tmp"
        listed.write_text(json.dumps({name: _identity(self._private / name) for name in names}), encoding="utf-8")
        sync(listed)
        listed.replace(self._folder / _LIST)
        with signals_deferred():
            self._move_each(names)
        # The list of an export that was killed while moving is still needed.
        remove_folders(folder for folder, listed_names in self._lists.items() if set(listed_names) <= set(names))

    def _move_each(self, names: Iterable[str]) -> None:
        keep(self._folder)  # after a kill, the next export needs the list
        for name in names:
            target = Path(os.path.realpath(self._target / name))  # a linked file is replaced, not the link
            target.parent.mkdir(parents=True, exist_ok=True)
            overwrite = self._is_moved_before(name) or (self.overwrite and self._replaceable[name])
            try:
                move_file(self._private / name, target, self.path / name, overwrite=overwrite)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                with replacing(target, overwrite=overwrite) as beside:
                    shutil.copyfile(self._private / name, beside)
        for folder in {(self._target / name).parent for name in names}:
            with suppress(OSError):
                sync(folder)


class _Stream(io.RawIOBase):
    """Writes to a file from Python instead of C, so that errors say what went wrong."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        return int(self._file.write(data))


def _listed(folder: Path) -> dict[str, list[int]]:
    """The files that a killed export was moving from its private folder, and the identity of each."""
    try:
        check_regular(folder / _LIST)
        return dict(json.loads((folder / _LIST).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):  # if another program has written it
        return {}


def _identity(path: Path) -> list[int]:
    """What stays the same when a file is moved, and changes when it is written anew."""
    stat = path.stat()
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns]


def _shared(path: Path) -> InputError:
    return InputError(
        f"{path}: two of the collections would share this file; export them one at a time (FILE::COLLECTION), each to "
        "its own folder"
    )


def without_metadata(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array without the metadata that h5py attaches to types of enums and text, which ``.npy`` cannot hold."""
    return array if array.dtype.metadata is None else array.astype(array.dtype.str)


def file_name(collection: str) -> str:
    """The name of a collection as a part of a file name: redkitchen/train becomes redkitchen-train."""
    return collection.replace("/", "-")
