"""Opening a label file: is it one, is it whole, and is it of a version that this program reads?"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import h5py

from relabel.errors import FormatTooNewError, InputError, LabelFileError, MissingFileError
from relabel.input_files import check_regular
from relabel.labelfile import hdf, remote
from relabel.labelfile._hdf5_guards import heap_fault
from relabel.labelfile.schema import FORMAT, FORMAT_VERSION, MAJOR, MANIFEST, MINOR, parse_version

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LFS = b"version https://git-lfs"
_remote_files: WeakValueDictionary[int, Any] = WeakValueDictionary()


@contextmanager
def opened(path: Path, *, known: bool = False) -> Iterator[Any]:
    """The h5py file, its header checked; every `LabelFileError` of the block gets the file's path in front.

    Parameters
    ----------
    path:
        a label file.
    known:
        the header has been checked before and the file is the same (see `identity`), so that it is only opened.

    Raises
    ------
    MissingFileError
        when there is no such file.
    FormatTooNewError
        when it is of a newer major version.
    LabelFileError
        when it is not a label file, not complete, or damaged.
    """
    with naming(path):
        file = _open(path) if known else open_hdf5(path)
        try:
            for fault in () if known else faults(file):
                raise fault
            yield file
        finally:
            file.close()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Put the file's path in front of every `LabelFileError` of the block."""
    try:
        with remote.uncollected(path):
            yield
    except LabelFileError as error:
        # A failing network says nothing about the file.
        error = remote.fault(path) or error
        raise type(error)(f"{path}: {error}") from None


def open_hdf5(path: Path) -> Any:
    """Any HDF5 file, for reading."""
    try:
        check_regular(path)
        with path.open("rb") as stream:
            head = stream.read(1024)
    except InputError as error:
        raise LabelFileError(str(error).removeprefix(f"{path}: ")) from None
    except FileNotFoundError:
        raise MissingFileError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise LabelFileError("is a folder; name a label file") from None
    except OSError as error:
        raise LabelFileError(f"cannot be opened: {error.strerror or error}") from None
    if not head:
        raise LabelFileError("is empty; write or fetch it again")
    if not head.startswith(_SIGNATURE):
        if head.startswith(_LFS):
            raise LabelFileError("is a Git LFS pointer, not the file itself; run git lfs pull")
        if path.name == MANIFEST:
            raise LabelFileError(f"is the manifest of a folder of shards; name the folder, {path.parent}")
        what = "a text file" if _is_text(head) else "not an HDF5 file"
        raise LabelFileError(f"is {what}; a label file is HDF5, as relabel writes it")
    file_identity = identity(path)
    if file_identity is not None and (fault := heap_fault(path, file_identity)):
        raise LabelFileError(f"is damaged ({fault}); write or fetch it again")
    return _open(path)


def _open(path: Path) -> Any:
    try:
        return open_unlocked(path)
    except LabelFileError:
        raise
    except Exception as error:  # h5py raises several kinds for damaged files
        raise LabelFileError(f"is truncated or damaged ({hdf.brief(error)}); write or fetch it again") from None


def open_unlocked(path: Path) -> Any:
    """An HDF5 file for reading, without a lock unless this process has it open with one.

    A published file is replaced, never changed, so no lock is needed, and some network file systems have none. But
    HDF5 opens a file twice in one process only with the same flags, whoever opened it first.

    Raises
    ------
    LabelFileError
        when this process has it open with flags that none of these attempts has.
    Exception
        whatever h5py raises for a file that it cannot open.
    """
    if isinstance(path, remote.RemotePath):
        file = h5py.File(path.open("rb"), "r")
        _remote_files[id(file)] = file
        return file
    for locking in (False, "best-effort", True):
        try:
            return h5py.File(path, "r", locking=locking)
        except OSError as error:
            if "flag values don't match" not in str(error):
                raise
    raise LabelFileError("this process has it open with h5py in another way; close it there first")


@atexit.register
def _close_remote_files() -> None:
    """Close remote files before Python ends: HDF5 closes open files later, when it cannot call Python any more."""
    for file in list(_remote_files.values()):
        file.close()


def identity(path: Path) -> tuple[Any, ...] | None:
    """A value that changes whenever another file takes this name; None if there is none."""
    if isinstance(path, remote.RemotePath):
        return remote.identity(path)
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def faults(file: Any) -> list[LabelFileError]:
    """All faults of the header of an open file."""
    errors: list[LabelFileError] = []
    try:
        name = hdf.attribute(file, "format", str)
        if name != FORMAT:
            errors.append(LabelFileError(f"/, attribute 'format': is {name!r}; a label file has {FORMAT!r}"))
    except LabelFileError as error:
        return [LabelFileError(f"is HDF5, but not a label file: {error}")]
    try:
        text = hdf.attribute(file, "format_version", str)
        version = parse_version(text)
        if version is None:
            errors.append(LabelFileError(f"/, attribute 'format_version': is {text!r}; expected one like 1.0"))
        elif version[0] > MAJOR:
            errors.append(
                FormatTooNewError(
                    f"is of format version {text}, but this version of relabel reads {FORMAT_VERSION}: update relabel"
                )
            )
        elif version[0] < MAJOR:
            errors.append(LabelFileError(f"is of format version {text}, which was never published"))
    except LabelFileError as error:
        errors.append(error)
    for attribute, kind in (("writer", str), ("content_sha256", str), ("complete", int)):
        try:
            value = hdf.attribute(file, attribute, kind)
            if attribute == "complete" and value != 1:
                errors.append(
                    LabelFileError("was not written completely (attribute 'complete' is not 1); write it again")
                )
        except LabelFileError as error:
            errors.append(error)
    return errors


def is_ours(file: Any) -> bool:
    """Whether the file says that it is a label file."""
    try:
        return bool(hdf.attribute(file, "format", str) == FORMAT)
    except LabelFileError:
        return False


def is_newer(file: Any) -> bool:
    """Whether the file has a newer minor version, with parts that this version may not know."""
    version = parse_version(hdf.attribute(file, "format_version", str))
    return version is not None and version > (MAJOR, MINOR)


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4 and len(head) == 1024  # cut inside a character
    return True
