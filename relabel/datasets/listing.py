"""The content of a folder, without files that operating systems and file servers leave there, which are never data."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from relabel.clutter import is_clutter

_FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def children(folder: Path) -> list[Path]:
    """Files and folders in a folder, sorted, without clutter; raises OSError if it cannot be listed."""
    return sorted(child for child in folder.iterdir() if not is_clutter(child.name))


def existing_file(path: Path) -> Path | None:
    """The file of this path, or of the same name or path in another form of Unicode; None if there is none."""
    others = [path]
    for form in () if str(path).isascii() else _FORMS:
        others += [path.with_name(unicodedata.normalize(form, path.name)), Path(unicodedata.normalize(form, str(path)))]
    return next((other for other in others if other.is_file()), None)


def walk(
    folder: Path, *, followlinks: bool = False, onerror: Callable[[OSError], None] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` without clutter: each folder, the folders in it (to be pruned in place) and its files, all sorted."""
    for parent, folders, files in os.walk(folder, followlinks=followlinks, onerror=onerror):
        folders[:] = sorted(name for name in folders if not is_clutter(name))
        yield parent, folders, sorted(name for name in files if not is_clutter(name))
