"""Paths in provenance: told from one folder that holds all that was given, so that no record names a machine."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from relabel.errors import InputError


def common_root(paths: Iterable[Path]) -> Path:
    """The innermost folder that holds all of the files and folders; the working folder as ``.`` where it is that.

    Raises
    ------
    InputError
        when that is the top of the file system or the folder of all homes: paths from there name machine and user.
    """
    given = list(paths)
    root = Path(os.path.commonpath([_absolute(path).parent for path in given]))
    homes = Path(os.path.expanduser("~")).parent  # noqa: PTH111  Path.home() fails where there is none
    if len({_absolute(path).parent for path in given}) > 1 and root in (Path(root.anchor), homes):
        raise InputError(
            f"{' and '.join(map(str, dict.fromkeys(given)))} have no folder in common but {root}, and the label file "
            "would tell where they lie on this machine; put them, or links to them, into one folder"
        )
    return Path() if root == _absolute(Path()) else root


def told_from(path: Path, root: Path) -> str:
    """The path of a file or folder relative to `root`, with ``/`` between its parts."""
    return Path(os.path.relpath(_absolute(path), _absolute(root))).as_posix()


def lies_in(path: Path, root: Path) -> bool:
    """Whether the path leads into `root` by its name; links are not followed."""
    return _absolute(path).is_relative_to(_absolute(root))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links out of the root
