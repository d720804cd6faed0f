"""Masks: lists of cameras that are not to be labelled, wrapped around any reader.

    key,side,collection,reason            or plain text, one key per line
    MPrXj8X0K_8vZtY5vzVz4g,query,amman,constant

Only the column `key` is required. An empty `side` or `collection` means any. A camera that is masked keeps its row
with the status `MASKED`; one that cannot be labelled anyway keeps the status that says why.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, Status
from relabel.datasets import csv_columns
from relabel.datasets.base import CameraSets, FrameSets, ReaderOf, ReaderWrapper, Sets, cameras_in
from relabel.display import several
from relabel.errors import InputError, MissingFileError
from relabel.fixed_width import text_array
from relabel.frames import Frames
from relabel.input_files import check_regular
from relabel.keys import rows_of

log = logging.getLogger(__name__)

BoolArray = npt.NDArray[np.bool_]

SIDES = ("query", "database")
_OPTIONAL: dict[str, csv_columns.Kind] = {"side": "text", "collection": "text"}
_SHOWN = 3


class Mask(NamedTuple):
    """The content of a mask file: (m,) str each; an empty side or collection means any."""

    path: Path
    sha256: str
    key: npt.NDArray[np.str_]
    side: npt.NDArray[np.str_]
    collection: npt.NDArray[np.str_]

    @property
    def params(self) -> dict[str, str]:
        """Name and digest of the file, as they are recorded."""
        return {"name": self.path.name, "sha256": self.sha256}


def read(path: Path) -> Mask:
    """Read a mask file.

    Parameters
    ----------
    path:
        a CSV file whose header names the column `key`, and perhaps `side` (query or database) and `collection`; or
        plain UTF-8 text with one key per line, which is all of the line, blanks included; empty lines are skipped.

    Raises
    ------
    MissingFileError, InputError
        when the file is missing, cannot be read or holds no key, or a row has no key or an unknown side; the message
        names the line.
    """
    check_regular(path)
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist; give the mask that `relabel headings -o` wrote") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}: line {line}: is not UTF-8 text; save the mask with UTF-8 encoding") from None
    # Not splitlines(), which also breaks at characters that a key may hold, as blanks at either end are.
    filled = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line]
    if filled and "key" in _names(filled[0]):
        key, side, collection = _columns(path)
    else:
        try:
            key = text_array(filled)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        side = collection = np.zeros(len(key), "<U1")
    if not len(key):
        raise InputError(f"{path}: holds no key, so it masks nothing; omit --mask")
    return Mask(Path(path), hashlib.sha256(data).hexdigest(), key, side, collection)


def _names(line: str) -> list[str]:
    try:
        return csv_columns.columns_of_line(line)
    except csv.Error:
        return []


def _columns(path: Path) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    table = csv_columns.read(path, {"key": "text"}, optional=_OPTIONAL)
    key = table["key"]
    side, collection = (table.get(name, np.zeros(len(key), "<U1")) for name in _OPTIONAL)
    for wrong, text in (
        (key == "", "column 'key': an empty cell; every row of a mask names a camera"),
        (~np.isin(side, ["", *SIDES]), "column 'side': is neither query nor database; correct the cell, or empty it"),
    ):
        rows = np.flatnonzero(wrong)
        if rows.size:
            raise InputError(f"{path}: line {csv_columns.line_of_row(path, int(rows[0]))}, {text}")
    return key, side, collection


@dataclass(frozen=True)
class Masked(ReaderWrapper[Sets]):
    """A reader some of whose cameras are masked.

    Attributes
    ----------
    reader:
        the reader that is masked.
    path:
        the mask file.
    strict:
        whether every key of the mask has to be a camera of this reader: unknown keys give a warning, or an error if
        no key is known. `masked` checks this for several readers that share a mask.
    """

    path: Path
    strict: bool = True

    def parameters(self) -> dict[str, Any]:
        """Those of the reader, and name and digest of the mask."""
        return {**self.reader.parameters(), "mask": _read_once(self.path).params}

    def read(self) -> Sets:
        """The cameras or frames; those in the mask have the status `MASKED`.

        Raises
        ------
        MissingFileError, InputError
            when the mask cannot be read, or none of its keys is a camera and `strict` was asked for; and what the
            reader raises.
        """
        mask = _read_once(self.path)
        sets: Sets = self.reader.read()
        if self.strict:
            _report(mask, _matched(mask, self.name, sets), [self.name])
        query, database = _masked(mask, self.name, sets)
        count = _count(query) + (0 if database is query else _count(database))
        before = _count(sets.query) + (0 if database is query else _count(sets.database))
        return replace(
            sets,
            query=query,
            database=database,
            files=(*sets.files, self.path),
            params={**sets.params, "mask": {**mask.params, "masked": count - before}},
            notes=(*sets.notes, f"{several(count - before, 'camera is', 'cameras are')} masked by {mask.path.name}"),
            hint=f"use a mask that leaves some, or {sets.hint}",
        )

    @classmethod
    def from_parameters(
        cls, mask: Mapping[str, str], reader: ReaderOf[Sets], candidates: Iterable[Path]
    ) -> Masked[Sets]:
        """The masked reader that a record describes.

        Parameters
        ----------
        mask:
            ``name`` and ``sha256``, as recorded.
        reader:
            the reader of the other parameters.
        candidates:
            files, which need not exist; the first one with the digest is the mask.

        Raises
        ------
        InputError
            when none of them is.
        """
        for path in candidates:
            if _digest(path) == mask["sha256"]:
                return cls(reader, path, strict=False)
        raise InputError(
            f"the mask {mask['name']!r} of the labels (sha256 {mask['sha256'][:12]}…) was not found; give it with "
            "--mask"
        )


def masked(readers: Sequence[ReaderOf[Sets]], path: Path | None) -> tuple[ReaderOf[Sets], ...]:
    """The readers, each with the mask applied; the readers themselves without a mask.

    Several readers are read here once, to check that each key of the mask is a camera of one of them.

    Raises
    ------
    MissingFileError, InputError
        when the mask cannot be read or none of its keys is a camera of any reader; and what the readers raise.
    """
    if path is None:
        return tuple(readers)
    mask = _read_once(path)
    if len(readers) == 1:
        return (Masked(readers[0], path),)
    matched = np.zeros(len(mask.key), bool)
    for reader in readers:
        matched |= _matched(mask, reader.name, reader.read())
    _report(mask, matched, [reader.name for reader in readers])
    return tuple(Masked(reader, path, strict=False) for reader in readers)


def _digest(path: Path) -> str | None:
    """SHA-256 of a file, None if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    except OSError:
        return None


@lru_cache(maxsize=4)
def _read_again(path: Path, stamp: tuple[int, int]) -> Mask:
    del stamp
    return read(path)


def _read_once(path: Path) -> Mask:
    """The mask, read again only if the file has changed."""
    try:
        now = Path(path).stat()
    except OSError:
        return read(path)  # which says what is wrong
    return _read_again(path, (now.st_mtime_ns, now.st_size))


def _sides(mask: Mask, collection: str, sets: CameraSets | FrameSets) -> tuple[tuple[Cameras, BoolArray], ...]:
    """Each set of cameras, and (m,) the entries of the mask that may apply to it."""
    here = (mask.collection == "") | (mask.collection == collection)
    if sets.database is sets.query:
        return ((cameras_in(sets.query), here),)
    query, database = (here & ((mask.side == "") | (mask.side == side)) for side in SIDES)
    return (cameras_in(sets.query), query), (cameras_in(sets.database), database)


def _matched(mask: Mask, collection: str, sets: CameraSets | FrameSets) -> BoolArray:
    """(m,) True where an entry of the mask is a camera that was read."""
    matched = np.zeros(len(mask.key), bool)
    for cameras, about in _sides(mask, collection, sets):
        rows = np.flatnonzero(about)
        matched[rows] |= rows_of(cameras.key, mask.key[rows]) >= 0
    return matched


def _masked(mask: Mask, collection: str, sets: CameraSets | FrameSets) -> tuple[Any, Any]:
    """Query and database, the same object for self pairs."""
    result: list[Cameras | Frames] = []
    for side, (cameras, about) in zip((sets.query, sets.database), _sides(mask, collection, sets), strict=False):
        rows = rows_of(cameras.key, mask.key[about])
        status = cameras.status.copy()
        rows = rows[rows >= 0]
        status[rows[cameras.ok[rows]]] = Status.MASKED
        masked_cameras = replace(cameras, status=status)
        result.append(replace(side, cameras=masked_cameras) if isinstance(side, Frames) else masked_cameras)
    return result[0], result[-1]


def _count(side: Cameras | Frames) -> int:
    return int(np.count_nonzero(cameras_in(side).status == Status.MASKED))


def _report(mask: Mask, matched: BoolArray, collections: Sequence[str]) -> None:
    """Warn of the entries that are not cameras of these collections; raise if none is."""
    unmatched = mask.key[~matched]
    if not len(unmatched):
        return
    shown = _listed(unmatched)
    others = np.unique(mask.collection[~matched & ~np.isin(mask.collection, ["", *collections])]).tolist()
    if len(unmatched) == len(mask.key) and others:
        raise InputError(
            f"{mask.path}: none of its {len(unmatched):,} key(s) is masked, since its column 'collection' names "
            f"{_listed(others)}, and what is read here is {_listed(collections)}: correct that column, or leave it out"
        )
    if len(unmatched) == len(mask.key):
        raise InputError(
            f"{mask.path}: none of its {len(unmatched):,} key(s) is a camera of this dataset ({shown}); it has to be a "
            "CSV with a column 'key', or plain text with one key per line, spelled as in the dataset"
        )
    log.warning("%s: %s key(s) match no camera of this dataset: %s", mask.path, format(len(unmatched), ","), shown)


def _listed(names: Sequence[str] | npt.NDArray[np.str_]) -> str:
    return ", ".join(repr(str(name)) for name in names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
