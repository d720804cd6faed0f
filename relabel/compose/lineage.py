"""What a new label file takes over from those it was made of: their collections, and the record of their making."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relabel.errors import InputError, LabelFileError, OptionError
from relabel.labelfile import LabelFile, StoredCollection, open_collections, provenance
from relabel.labelfile.collection import listed
from relabel.labelfile.provenance import record_problems, record_text
from relabel.similarity import Collection, RowBlock, SimilaritySource


def opened(address: str, names: Sequence[str] | None = None) -> dict[str, StoredCollection]:
    """The collections of ``FILE`` or ``FILE::COLLECTION`` by name; with `names` only those of a ``FILE``.

    Raises
    ------
    OptionError
        when `names` is empty, or given beside ``::COLLECTION``.
    NotFoundError
        when a name is not there; the message lists those that are.
    """
    if names is None:
        return {stored.name: stored for stored in open_collections(address)}
    if not names:
        raise OptionError("no collection is named; leave the names out to take all of them")
    if "::" in address and not Path(address).exists():
        raise OptionError(f"{address}: names one collection already; name collections in one way, not in two")
    labels = LabelFile(address)
    return {name: labels[name] for name in names}


def history(files: Iterable[Path]) -> list[dict[str, Any]]:
    """The records of all files, each once, in the order of the files.

    Raises
    ------
    LabelFileError
        when a record is not as the format has it.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in dict.fromkeys(files):
        for number, record in enumerate(LabelFile(file).provenance()):
            if problems := record_problems(record):
                raise LabelFileError(f"{file}: /provenance, record {number}: {problems[0]}; relabel validate lists all")
            found.setdefault(record_text(record), record)
    return list(found.values())


def step(command: str, parameters: Mapping[str, Any], files: Iterable[Path]) -> dict[str, Any]:
    """The record of one command that read `files`, which are told by name, size and digest."""
    inputs = [entry for file in dict.fromkeys(files) for entry in provenance.describe(file.parent, [file])]
    return provenance.step(command, parameters, inputs)


class Named:
    """A source whose errors begin with the place it comes from."""

    def __init__(self, stored: StoredCollection, source: SimilaritySource) -> None:
        self._where = f"{stored.path}::{stored.name}"
        self._source = source

    @property
    def collection(self) -> Collection:
        """What is compared and how."""
        return self._source.collection

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        with named(self._where):
            yield from self._source.blocks()


@contextmanager
def named(where: str) -> Iterator[None]:
    """Put `where` in front of every error that says what is wrong with a value or an option."""
    try:
        yield
    except LabelFileError:
        raise  # it names its file
    except (InputError, OptionError) as error:
        raise type(error)(f"{where}: {error}") from None


def names_text(names: Iterable[str]) -> str:
    """The first names and how many more there are."""
    return listed(list(names))
