"""Label files made from others: the collections they are made from, the history they inherit, and their writing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relabel.errors import InputError, LabelFileError, OptionError
from relabel.labelfile import LabelFile, StoredCollection, open_collections, pack, provenance, remote, write
from relabel.labelfile.provenance import record_problems, record_text
from relabel.labelfile.remote import RemotePath, location
from relabel.labelfile.schema import MANIFEST
from relabel.similarity import Collection, RowBlock, SimilaritySource


def open_stored(address: str, names: Sequence[str] | None = None) -> dict[str, StoredCollection]:
    """The collections of ``FILE`` or ``FILE::COLLECTION`` by name; with `names` only those of a ``FILE``.

    Raises
    ------
    OptionError
        when `names` is empty, or given together with ``::COLLECTION``.
    NotFoundError
        when there is no such collection; the message lists those that exist.
    """
    if names is None:
        return {stored.name: stored for stored in open_collections(address)}
    if not names:
        raise OptionError("no collection is named; omit the names to use all collections")
    if "::" in address and not location(address).exists():
        raise OptionError(f"{address}: already names one collection; name collections in one way only")
    labels = LabelFile(address)
    return {name: labels[name] for name in names}


def history(files: Iterable[Path]) -> list[dict[str, Any]]:
    """The records of all files, each once, in the order of the files.

    Raises
    ------
    LabelFileError
        when a record is not as the format has it.
    """
    records: dict[str, dict[str, Any]] = {}
    for file in dict.fromkeys(files):
        for number, record in enumerate(LabelFile(file).provenance()):
            if problems := record_problems(record):
                raise LabelFileError(f"{file}: /provenance, record {number}: {problems[0]}; relabel validate lists all")
            records.setdefault(record_text(record), record)
    return list(records.values())


def step(command: str, parameters: Mapping[str, Any], files: Iterable[Path]) -> dict[str, Any]:
    """The record of one command that read `files`, each described by name, size and digest."""
    # The manifest of a folder of shards has the digests of these.
    read = {file / MANIFEST if file.is_dir() else file: file.parent for file in files}
    inputs = []
    for file, root in read.items():
        inputs += [remote.described(file)] if isinstance(file, RemotePath) else provenance.describe(root, [file])
    return provenance.step(command, parameters, inputs)


class Derived:
    """A source made from a stored collection; its errors begin with the name of that collection."""

    def __init__(self, stored: StoredCollection, source: SimilaritySource) -> None:
        self.stored = stored
        self.source = source

    @property
    def collection(self) -> Collection:
        """The cameras, measure and method."""
        return self.source.collection

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        with named_errors(address_of(self.stored)):
            yield from self.source.blocks()


def write_derived(
    path: str | os.PathLike[str],
    derived: Mapping[str, Derived],
    record: Mapping[str, Any],
    *,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Write collections that were made from stored ones; if all of them are unchanged, they are copied.

    Parameters
    ----------
    path:
        the file to make; with `overwrite` it may be the one that is read.
    derived:
        the collections by their new names.
    record:
        the record of this step, which follows the history of the files that were read.
    overwrite, progress:
        as for `relabel.labelfile.write`, whose errors it raises.
    """
    if all(collection.source is collection.stored for collection in derived.values()):
        stored = {name: collection.stored for name, collection in derived.items()}
        return pack(path, stored, provenance=[record], overwrite=overwrite, progress=progress)
    records = [*history(collection.stored.path for collection in derived.values()), record]
    return write(path, derived, provenance=records, overwrite=overwrite, progress=progress)


def address_of(stored: StoredCollection) -> str:
    """``FILE::COLLECTION``."""
    return f"{stored.path}::{stored.name}"


@contextmanager
def named_errors(address: str) -> Iterator[None]:
    """Put `address` in front of every error that says what is wrong with a value or an option."""
    try:
        yield
    except LabelFileError:
        raise  # it names its file
    except (InputError, OptionError) as error:
        raise type(error)(f"{address}: {error}") from None
