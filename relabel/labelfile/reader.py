"""Reading a label file: an object that holds a path, opens the file for each call, and can be pickled."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from relabel.display import Displayed, Layer, Summary
from relabel.errors import LabelFileError, NotFoundError
from relabel.labelfile import hdf, header
from relabel.labelfile.collection import StoredCollection, json_object, listed
from relabel.labelfile.provenance import checked_provenance_texts
from relabel.labelfile.remote import location
from relabel.labelfile.shards import ShardFolder

_SHOWN = 9  # collections in a summary


class LabelFile(Displayed, Mapping[str, StoredCollection]):
    """The collections of a label file by name.

    Holds the path and opens the file for each call, so it can be pickled and sent to worker processes. Opening it
    reads only the header and checks no digest: `provenance` and `check_file_digest` check the digest of the file, and
    reading a whole collection checks that of the collection.

    Parameters
    ----------
    path:
        a label file, or a folder of shards.

    Raises
    ------
    MissingFileError
        if there is no such file.
    FormatTooNewError
        if its major version of the format is newer than this package reads.
    LabelFileError
        if it is not a complete label file.

    Examples
    --------
    >>> labels = LabelFile("amman.h5")  # doctest: +SKIP
    >>> keys, values = labels["amman"].row("trefh78L20YfA-z4gjbNGw")  # doctest: +SKIP
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = location(path)
        self._contents: _OneFile | ShardFolder = ShardFolder(self.path) if self.path.is_dir() else _OneFile(self.path)
        self.format_version: str = self._contents.format_version
        self.writer: str = self._contents.writer

    def _summary(self) -> Summary:
        names = self._names()
        rows = [(stored.name, f"{stored.size_text}, {stored.measure} by {stored.method}") for stored in self._first()]
        rows += [("…", f"{len(names) - len(rows):,} more")] if len(names) > len(rows) else []
        noun = "collection" if len(names) == 1 else "collections"
        title = f"LabelFile({str(self.path)!r}): {len(names):,} {noun}, format {self.format_version}"
        return Summary(title, rows)

    def _layers(self) -> Sequence[Layer]:
        return self[next(iter(self))].layers() if len(self) == 1 else ()

    def _first(self) -> list[StoredCollection]:
        """The collections that a summary has room for."""
        return self._contents.collections(lambda names: names if len(names) <= _SHOWN else names[: _SHOWN - 1])

    def _ipython_key_completions_(self) -> list[str]:
        return self._names()

    def __getitem__(self, name: str) -> StoredCollection:
        """The collection of that name; a wrong name raises a `NotFoundError` that lists those that exist."""

        def only(names: list[str]) -> list[str]:
            at = bisect_left(names, name) if isinstance(name, str) else len(names)
            if names[at : at + 1] != [name]:
                raise NotFoundError(f"{self.path}: there is no collection {name!r}; there are {listed(names)}")
            return [name]

        return self._contents.collections(only)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def provenance(self) -> list[dict[str, Any]]:
        """The history of the file: one record per step, oldest first (see `relabel.labelfile.provenance`).

        Raises
        ------
        LabelFileError
            when the digest of the file, which covers them, does not match.
        """
        texts = self.provenance_texts()
        return [json_object(text, f"{self.path}: /provenance, record {i}") for i, text in enumerate(texts)]

    def provenance_texts(self) -> list[str]:
        """The records of `provenance` as the JSON text that is stored."""
        return self._contents.checked_provenance()

    def check_file_digest(self) -> None:
        """Raise a `LabelFileError` unless names and digests of the collections, provenance and writer match the digest.

        The content of the collections is not read: `StoredCollection.check_content` compares it with their digests.
        """
        self._contents.checked_provenance()

    def files(self) -> list[Path]:
        """The files that it consists of: itself, or the manifest and all shards in order."""
        return self._contents.files()

    def _names(self) -> list[str]:
        return list(self._contents.names())

    def collections(self) -> list[StoredCollection]:
        """All collections; raises a `LabelFileError` if there is none."""

        def every(names: list[str]) -> list[str]:
            if not names:
                raise LabelFileError("holds no collection; relabel validate lists all errors")
            return names

        return self._contents.collections(every)


class _OneFile:
    """The content of one file, which is opened for each call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: tuple[tuple[Any, ...] | None, list[str]] = (None, [])
        with self._opened() as file:
            self.format_version: str = hdf.attribute(file, "format_version", str)
            self.writer: str = hdf.attribute(file, "writer", str)

    def names(self) -> list[str]:
        """The names of all collections, sorted."""
        with self._opened() as file:
            return self._names_in(file)

    def collections(self, choose: Callable[[list[str]], list[str]]) -> list[StoredCollection]:
        """Those collections whose names `choose` picks out of all."""
        with self._opened() as file:
            return [StoredCollection(self.path, name, file=file) for name in choose(self._names_in(file))]

    def files(self) -> list[Path]:
        """The one file."""
        return [self.path]

    def checked_provenance(self) -> list[str]:
        """The text of all records, with the digest of the file checked, which covers them."""
        with self._opened() as file:
            return checked_provenance_texts(file)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The open file; its header is checked once for the same file."""
        now = header.identity(self.path)
        known = now is not None and now == self._known[0]
        with header.opened(self.path, known=known) as file:
            if not known:
                self._known = (now, [])
            yield file

    def _names_in(self, file: Any) -> list[str]:
        """All names, sorted; searched once for the same file, as a search for each of many would take long."""
        identity, names = self._known
        if not names:
            # A collection that has lost its pairs or cameras is listed, too, so that reading all finds the damage.
            names = hdf.collection_names(file)
            self._known = (identity, names)
        return names


def open_collections(address: str | os.PathLike[str]) -> list[StoredCollection]:
    """The collection that ``FILE::collection`` names, or all of a ``FILE``, with the digest of the file checked.

    Errors as for `open_address`, and a `LabelFileError` if that digest does not match.
    """
    text = os.fspath(address)
    named = "::" in text and not location(text).exists()
    collections = [open_address(text)] if named else LabelFile(text).collections()
    LabelFile(collections[0].path).check_file_digest()
    return collections


def open_address(address: str | os.PathLike[str]) -> StoredCollection:
    """The collection that ``FILE::collection`` names; ``FILE`` alone suffices if it holds only one.

    Raises
    ------
    NotFoundError
        when the file has no such collection, or the name is left out and there are several; the message lists them.
    MissingFileError, LabelFileError, FormatTooNewError
        as for `LabelFile`.
    """
    text = os.fspath(address)
    path, separator, name = text.rpartition("::")
    if not separator or location(text).exists():
        path, name = text, ""
    labels = LabelFile(path)
    if name:
        return labels[name]
    names = list(labels)
    if len(names) > 1:
        raise NotFoundError(f"{path}: holds {len(names)} collections; name one as {path}::NAME: {listed(names)}")
    return labels.collections()[0]
