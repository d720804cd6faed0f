"""Lists of image names: the files of a folder, the lines of a text, or the entries of a NumPy array."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from relabel.datasets.listing import walk
from relabel.display import several
from relabel.errors import InputError, MissingFileError
from relabel.input_files import check_regular

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
"""Suffixes of image files, in lower or upper case."""


@dataclass(frozen=True)
class NameList:
    """Names in order, and the location of each.

    Attributes
    ----------
    path:
        the folder or file.
    kind:
        the kind of list. The names of a folder are paths relative to it, with ``/``, in the order of `sorted`.
    names:
        unique and not empty.
    lines:
        the line of each name, counted from 1, or its entry, counted from 0.
    files:
        the files that were read: the file itself; of a folder, none, since only names are read.
    """

    path: Path
    kind: Literal["folder", "text", "array"]
    names: tuple[str, ...]
    lines: Sequence[int]
    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.names)

    def location(self, row: int) -> str:
        """File and line, entry or path of the name of a row, for messages."""
        if self.kind == "folder":
            return str(self.path / self.names[row])
        return f"{self.path}: {'line' if self.kind == 'text' else 'entry'} {self.lines[row]}"


def read_names(path: Path) -> NameList:
    """The names in a folder (searched recursively), a text file (one per line) or a ``.npy`` array.

    Parameters
    ----------
    path:
        a folder with jpg, jpeg or png files, of which only the names are read; a UTF-8 text with one name a line, which
        is all of the line, where empty lines are skipped; or an array of text.

    Raises
    ------
    InputError
        when there is no name, a name is repeated, or the content of the file does not match its suffix.
    MissingFileError
        when there is no such file or folder.
    """
    path = Path(path)
    check_regular(path)
    try:
        if path.is_dir():
            names = _of_folder(path)
        elif not path.exists():
            raise MissingFileError(f"{path}: does not exist; give a folder of images, a text list or a .npy list")
        elif path.suffix.lower() == ".npy":
            names = _of_array(path)
        else:
            names = _of_text(path)
    except OSError as error:
        if isinstance(error, MissingFileError):
            raise
        where = error.filename or path
        raise InputError(f"{where}: cannot be read ({error.strerror or error}); check its permissions") from None
    _check_unique(names)
    return names


def has_at_names(folder: Path) -> bool:
    """Whether an image somewhere in a folder has a name that begins with @."""
    return any(
        name.startswith("@") and name.lower().endswith(IMAGE_SUFFIXES) for _, _, files in walk(folder) for name in files
    )


def _of_folder(folder: Path) -> NameList:
    def fail(error: OSError) -> None:
        raise error

    names, others, seen = [], 0, set()
    for parent, folders, files in walk(folder, followlinks=True, onerror=fail):
        real = os.path.realpath(parent)
        if real in seen:  # a link back to a folder above
            folders.clear()
            continue
        seen.add(real)
        for name in files:
            if name.lower().endswith(IMAGE_SUFFIXES):
                names.append(Path(parent, name).relative_to(folder).as_posix())
            else:
                others += 1
    if not names:
        raise InputError(
            f"{folder}: holds no image ({', '.join(IMAGE_SUFFIXES)}), neither do folders in it; "
            f"{several(others, 'other file is', 'other files are')} "
            "there. Give the folder that holds the images, or a list of their names"
        )
    return NameList(folder, "folder", tuple(sorted(names)), range(len(names)), ())


def _of_text(path: Path) -> NameList:
    data = path.read_bytes()
    if b"\0" in data:
        raise InputError(f"{path}: is not a text file; give a text file with one name per line, or a .npy list")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}: line {line}: byte 0x{data[error.start]:02x} is not UTF-8 text; save the file with UTF-8 encoding"
        ) from None
    # Not splitlines(), which also breaks at characters that file names may hold, as blanks at either end are.
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.removesuffix("\n").split("\n")
    numbers: Sequence[int] = range(1, len(lines) + 1)
    if "" in lines:
        numbers = [number for number, line in enumerate(lines, 1) if line]
        lines = [line for line in lines if line]
    if not numbers:
        raise InputError(f"{path}: the file is empty; expected one name per line")
    return NameList(path, "text", tuple(lines), numbers, (path,))


def _of_array(path: Path) -> NameList:
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:  # of memory by a damaged shape
        if "pickle" in str(error).lower() and path.read_bytes()[:6] == b"\x93NUMPY":
            raise InputError(
                f"{path}: holds Python objects, which run code when they are loaded. If you trust the file, convert it "
                f"once: numpy.save('names.npy', numpy.load({path.name!r}, allow_pickle=True).astype(str))"
            ) from None
        raise InputError(f"{path}: is not a readable .npy file: {error}") from None
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise InputError(
            f"{path}: is an array of {array.dtype} with shape {array.shape}; expected (n,) text, the names"
        )
    if array.dtype.kind == "S":
        try:
            array = np.strings.decode(array, "utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path}: holds bytes that are not UTF-8; save the names as text") from None
    names = tuple(array.tolist())
    if not names:
        raise InputError(f"{path}: the array is empty; it should hold the names")
    if "" in names:
        raise InputError(f"{path}: entry {names.index('')} is empty; every entry has to be a name")
    return NameList(path, "array", names, range(len(names)), (path,))


def _check_unique(listed: NameList) -> None:
    """Raise if a name is repeated; in a folder, if two images have the same name."""
    names = listed.names
    if listed.kind == "folder":
        names = tuple(name.rpartition("/")[2] for name in names)
    if len(set(names)) == len(names):
        return
    first: dict[str, int] = {}
    repeats = [row for row, name in enumerate(names) if first.setdefault(name, row) != row]
    if not repeats:
        return
    row = repeats[0]
    if listed.kind == "folder":
        raise InputError(
            f"{listed.path}: {listed.names[first[names[row]]]} and {listed.names[row]} have the same name, which has "
            f"to identify an image ({len(repeats)} name(s) are repeated): remove one of them, give one of the "
            "folders, or list the intended images in a text file"
        )
    unit = "lines" if listed.kind == "text" else "entries"
    raise InputError(
        f"{listed.path}: {names[row]!r} is in {unit} {listed.lines[first[names[row]]]} and {listed.lines[row]}, and "
        f"{len(repeats)} name(s) repeat earlier ones; labels are joined by name: keep each once"
    )
