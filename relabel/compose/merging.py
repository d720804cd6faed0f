"""One label file from the collections of several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from relabel.compose.lineage import history, open_stored, step
from relabel.errors import InputError, OptionError
from relabel.labelfile import StoredCollection, pack


@dataclass(frozen=True)
class Merge:
    """The result of a merge."""

    path: Path
    names: tuple[str, ...]
    """collections of the new file"""
    repeated: tuple[str, ...]
    """collections that several inputs hold with the same content; they are kept once"""


def merge(
    path: str | os.PathLike[str],
    inputs: Sequence[str],
    *,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Merge:
    """Write one label file with the collections of several, as they are: nothing is computed or compressed again.

    Parameters
    ----------
    path:
        the file to make; with `overwrite` it may be one of the inputs.
    inputs:
        ``FILE`` for all of its collections, or ``FILE::COLLECTION``.
    overwrite, progress:
        as for `relabel.labelfile.pack`.

    Raises
    ------
    InputError
        when two inputs have collections of one name but of different content, or one would lie inside another.
    OptionError
        when there is no input.
    MissingFileError, LabelFileError, NotFoundError
        when an input is not there, damaged or has no such collection.
    OutputExistsError, OutputError
        as for `relabel.labelfile.write`.
    """
    if not inputs:
        raise OptionError("there is no file to merge; name one or more")
    kept: dict[str, StoredCollection] = {}
    repeated: dict[str, None] = {}
    files: list[Path] = []
    for address in inputs:
        for name, stored in open_stored(address).items():
            files.append(stored.path)
            first = kept.setdefault(name, stored)
            if first is stored:
                continue
            if first.content_sha256 != stored.content_sha256:
                raise InputError(
                    f"{first.path} and {stored.path} both hold a collection {name!r}, with different content; rename "
                    f"one of them first: `relabel subset {stored.path}::{name} --rename {name}=NEW -o FILE`"
                )
            stored.check_content()  # or damage to what is not copied would pass as the same content
            repeated[name] = None
    used = {stored.path for stored in kept.values()}
    # `pack` takes over the history of what it copies; a file that only repeats others adds its own history, too.
    records = history(file for file in files if file not in used)
    own = step("relabel merge", {"collections": sorted(kept)}, files)
    done = pack(path, kept, provenance=[*records, own], overwrite=overwrite, progress=progress)
    return Merge(done, tuple(sorted(kept)), tuple(repeated))
