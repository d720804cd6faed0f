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
    """The result for one collection."""

    name: str
    source: str
    """its measure before"""
    pairs: int
    """stored pairs of the new file"""
    dropped: int
    """pairs that fell to the new `min_value` or below"""
    min_value: float
    """of the new file: the largest ψ that an absent pair can have"""


@dataclass(frozen=True)
class Conversion:
    """The result of a conversion."""

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

    `min_value` becomes the largest ψ that an absent pair can have in the new measure; stored pairs that fall to it or
    below are dropped (see `relabel.similarity.Converted`). Collections that already are in that measure are copied.

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
    # Read before the file is written, which may replace the one that is read.
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
    # There may be more pairs than before: if both directions of a pair become one value, one of them may be new.
    pairs = converted.nnz
    return CollectionConversion(name, source, pairs, max(0, nnz - pairs), converted.min_value)
