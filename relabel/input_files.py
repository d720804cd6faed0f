"""Input files that are refused before their content is read.

A pipe may never answer, a device never end, and a small compressed file may take gigabytes when it is inflated.
"""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

from relabel.errors import InputError, MissingFileError

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
MOST_BYTES = 1 << 27
"""what a compressed file may inflate to, however small it is"""
MOST_INFLATION = 32
"""how many times its own size a larger one may inflate to"""


def check_there(path: Path, what: str) -> None:
    """Raise a `MissingFileError` that calls it `what` where nothing is at `path`."""
    if not path.exists():
        raise MissingFileError(f"{path}: there is no such {what}")


def check_regular(path: str | os.PathLike[str]) -> None:
    """Raise an `InputError` where `path` leads to a pipe, socket or device: such may never answer, or never end.

    Folders and what is not there are left to whoever opens it, and has better words for it.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  asked for each of many small files
    except (OSError, ValueError):
        return
    for is_kind, kind in _KINDS:
        if is_kind(mode):
            raise InputError(
                f"{os.fspath(path)}: is {kind}, not a file, so reading it might never end; save its content to a file"
            )


def inflated_limit(path: Path) -> int:
    """The bytes that the content of a compressed file may take: `MOST_BYTES`, or more by the size of the file."""
    return max(MOST_BYTES, MOST_INFLATION * path.stat().st_size)


def check_inflated(path: Path, inflated: int) -> None:
    """Raise an `InputError` where a compressed file would take `inflated` bytes, far more than its size lets expect.

    Raises
    ------
    OSError
        when the file is not there.
    """
    if inflated > inflated_limit(path):
        raise InputError(
            f"{path}: has {path.stat().st_size:,} bytes and would inflate to at least {inflated:,}, more than such "
            "data should; is it the right file? If so, save it without compression"
        )


def check_zip(path: Path) -> None:
    """As `check_inflated` for an archive such as ``.npz``; what is no archive is left to its reader."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            check_inflated(path, sum(member.file_size for member in archive.infolist()))


def check_rows(path: Path, rows: int, *, least_bits: int) -> None:
    """Raise an `InputError` where a file claims more rows than it can hold.

    Parameters
    ----------
    path:
        a file of a compressed columnar kind.
    rows:
        how many it claims.
    least_bits:
        what a row of such a table takes at the least; the first million may take less.
    """
    size = path.stat().st_size
    if rows > (1 << 20) + size * 8 // least_bits:
        raise InputError(f"{path}: claims {rows:,} rows in {size:,} bytes, too few for distinct rows")
