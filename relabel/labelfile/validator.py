"""Is a file a valid label file? All findings are listed; none of them stops the search for others."""

from __future__ import annotations

import os

from relabel.errors import OptionError
from relabel.labelfile.checks import LEVELS, Report
from relabel.labelfile.file_check import check_file
from relabel.labelfile.remote import forget, location
from relabel.labelfile.shard_checks import check_folder


def validate(path: str | os.PathLike[str], level: str = "content") -> Report:
    """Check a file, or a folder of shards, against the label file format.

    Memory is that of the cameras; pairs are read in blocks.

    Parameters
    ----------
    path:
        any file or folder, however damaged.
    level:
        ``header`` (is it a complete label file of a known version), ``structure`` (also shapes, types, order and
        range of everything) or ``content`` (also digests, symmetry and provenance).

    Returns
    -------
    Report
        `valid` and all `findings`.

    Raises
    ------
    MissingFileError
        when there is no such file.
    RemoteError
        when it is at a URL and cannot be read from there, which says nothing of the file.
    OptionError
        when the level is not known.
    """
    if level not in LEVELS:
        raise OptionError(f"level {level!r} is not known; choose {', '.join(LEVELS)}")
    report = Report()
    place, deepest = location(path), LEVELS.index(level)
    forget(place)
    if place.is_dir():
        check_folder(place, report, deepest)
    else:
        check_file(place, report, deepest)
    return report
