"""A label file in another measure."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from relabel.compose.lineage import Derived, address_of, named_errors, open_stored, step, write_derived
from relabel.labelfile import LabelFile, StoredCollection
from relabel.measures import Measure, check_measure


@dataclass(frozen=True)
class CollectionConversion:
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
    collections: tuple[CollectionConversion, ...]


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
    stored = open_stored(address, collections)
    converted = {name: _in_measure(collection, measure) for name, collection in stored.items()}
    files = [collection.path for collection in stored.values()]
    record = step("relabel convert", {"measure": measure, "collections": sorted(stored)}, files)
    # Read before the file is written, which may take the place of the one that is read.
    before = {name: (collection.measure, collection.nnz) for name, collection in stored.items()}
    target = write_derived(path, converted, record, overwrite=overwrite, progress=progress)
    labels = LabelFile(target)
    results = tuple(_result(name, *before[name], labels[name]) for name in sorted(before))
    return Conversion(target, measure, results)


def _in_measure(stored: StoredCollection, measure: Measure) -> Derived:
    if stored.measure == measure:
        return Derived(stored, stored)
    with named_errors(address_of(stored)):
        return Derived(stored, stored.in_measure(measure))


def _result(name: str, source: str, nnz: int, converted: StoredCollection) -> CollectionConversion:
    # There may be more pairs than before: where both directions of a pair become one value, one of them may be new.
    pairs = converted.nnz
    return CollectionConversion(name, source, pairs, max(0, nnz - pairs), converted.min_value)
