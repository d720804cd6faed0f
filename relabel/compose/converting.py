"""A label file in another measure."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from relabel.compose.lineage import Named, history, named, opened, step
from relabel.labelfile import LabelFile, StoredCollection, pack, write
from relabel.measures import Measure, check_measure
from relabel.similarity import SimilaritySource


@dataclass(frozen=True)
class Converted:
    """What became of one collection."""

    name: str
    source: str
    """the measure it had"""
    pairs: int
    """stored pairs of the new file"""
    dropped: int
    """pairs that fell to the new `min_value` or below"""
    min_value: float
    """of the new file: the most that an absent pair can have"""


@dataclass(frozen=True)
class Conversion:
    """What a conversion did."""

    path: Path
    measure: Measure
    collections: tuple[Converted, ...]


def convert(
    path: str | os.PathLike[str],
    address: str,
    measure: Measure,
    *,
    collections: Sequence[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Conversion:
    """Write a label file with the values of another in the measure `measure`, converted through the extents.

    The value that bounds absent pairs becomes the most that an absent pair can have under the new measure; stored pairs
    that fall to it or below are dropped (see `relabel.similarity.Converted`). Collections that are in that measure
    already are copied.

    Parameters
    ----------
    path:
        the file to make; with `overwrite` it may be the one that is read.
    address:
        ``FILE`` or ``FILE::COLLECTION``.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    collections:
        names to take of a ``FILE``; None for all.
    overwrite, progress:
        as for `relabel.labelfile.write`.

    Raises
    ------
    OptionError
        when the measure is not known, or that of a collection is not.
    InputError
        when the extent of a camera is missing and needed.
    MissingFileError, LabelFileError, NotFoundError, OutputExistsError, OutputError
        as for `relabel.compose.subset`.
    """
    check_measure(measure)
    stored = opened(address, collections)
    sources = {name: _converted(each, measure) for name, each in stored.items()}
    files = [each.path for each in stored.values()]
    own = step("relabel convert", {"measure": measure, "collections": sorted(stored)}, files)
    before = {name: (each.measure, each.nnz) for name, each in stored.items()}
    if all(each.measure == measure for each in stored.values()):
        done = pack(path, stored, provenance=[own], overwrite=overwrite, progress=progress)
    else:
        done = write(path, sources, provenance=[*history(files), own], overwrite=overwrite, progress=progress)
    labels = LabelFile(done)
    return Conversion(
        done, measure, tuple(_result(name, *before[name], labels[name]) for name in sorted(before))
    )  # fmt: skip


def _converted(stored: StoredCollection, measure: Measure) -> SimilaritySource:
    with named(f"{stored.path}::{stored.name}"):
        return Named(stored, stored.in_measure(measure))


def _result(name: str, source: str, nnz: int, made: StoredCollection) -> Converted:
    # There may be more pairs than before: where both directions of a pair become one value, one of them may be new.
    return Converted(name, source, made.nnz, max(0, nnz - made.nnz), made.min_value)
