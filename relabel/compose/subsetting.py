"""A part of a label file: some of its collections, cameras or pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from relabel.compose.lineage import Derived, address_of, named_errors, open_stored, step, write_derived
from relabel.compose.selection import Selected, Selection
from relabel.errors import InputError, MissingFileError, NotFoundError, OptionError
from relabel.fixed_width import text_array
from relabel.input_files import check_regular
from relabel.keys import rows_of
from relabel.labelfile import StoredCollection
from relabel.labelfile.collection import listed

_SHOWN = 5


@dataclass(frozen=True)
class Subset:
    """The result of a subset."""

    path: Path
    names: tuple[str, ...]
    """collections of the new file"""
    emptied: tuple[str, ...]
    """collections that were left out, because one side has no camera left"""
    notes: tuple[str, ...] = field(default=())
    """notes on what may be unexpected in the new file"""


def subset(
    path: str | os.PathLike[str],
    address: str,
    selection: Selection | None = None,
    *,
    collections: Sequence[str] | None = None,
    rename: Mapping[str, str] | None = None,
    key_files: Iterable[str | os.PathLike[str]] = (),
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Subset:
    """Write a label file with a part of another; rows keep their order.

    Where all cameras and pairs are kept, collections are copied as they are, and keep their digests.

    Parameters
    ----------
    path:
        the file to make; with `overwrite` it may be the one that is read.
    address:
        ``FILE`` or ``FILE::COLLECTION``.
    selection:
        the cameras and pairs to keep; None for all.
    collections:
        names to take of a ``FILE``; None for all.
    rename:
        new names by old ones.
    key_files:
        the files that the keys of the selection were read from, for the record of provenance.
    overwrite, progress:
        as for `relabel.labelfile.write`.

    Raises
    ------
    OptionError
        when the options contradict each other, or ask for what a collection cannot give.
    NotFoundError
        when a collection or a key is not there.
    InputError
        when nothing would be left, or two collections would have one name.
    MissingFileError, LabelFileError
        when the file is not there or damaged.
    OutputExistsError, OutputError
        as for `relabel.labelfile.write`.
    """
    selection = selection or Selection()
    stored = open_stored(address, collections)
    names = _renamed(stored, rename or {})
    _check_keys(stored.values(), selection, address)
    selected = {name: _selected(collection, selection) for name, collection in stored.items()}
    emptied = tuple(name for name, part in selected.items() if part.empty_sides)
    left = {names[name]: part for name, part in selected.items() if name not in emptied}
    if not left:
        raise InputError(f"{address}: nothing would be left: {_why_empty(next(iter(selected.values())))}")
    notes = [note for part in left.values() if (note := _note(part))]
    parameters = {"collections": sorted(part.stored.name for part in left.values()), **selection.parameters()}
    files = [part.stored.path for part in left.values()]
    record = step("relabel subset", parameters | {"rename": dict(rename or {})}, [*files, *map(Path, key_files)])
    derived = {
        name: Derived(part.stored, part.stored if selection.is_everything else part) for name, part in left.items()
    }
    target = write_derived(path, derived, record, overwrite=overwrite, progress=progress)
    return Subset(target, tuple(sorted(left)), emptied, tuple(notes))


def read_keys(path: str | os.PathLike[str]) -> frozenset[str]:
    """The keys that a text file lists, one per line; empty lines are skipped.

    Raises
    ------
    MissingFileError
        when there is no such file.
    InputError
        when it cannot be read, is not UTF-8, or lists none.
    """
    check_regular(path)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; list one key per line") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    # Not splitlines(), which also ends lines at characters that a key may hold. Reading has made every end of line \n.
    keys = frozenset(line for line in text.split("\n") if line)
    if not keys:
        raise InputError(f"{path}: lists no key; list one per line")
    return keys


def _renamed(stored: Mapping[str, StoredCollection], rename: Mapping[str, str]) -> dict[str, str]:
    for old in rename:
        if old not in stored:
            raise NotFoundError(f"there is no collection {old!r} to rename; there are {listed(list(stored))}")
    names = {name: rename.get(name, name) for name in stored}
    for name, new in names.items():
        if list(names.values()).count(new) > 1:
            raise InputError(f"two collections would be called {new!r}, one of them {name!r}; choose another name")
    return names


def _check_keys(stored: Iterable[StoredCollection], selection: Selection, address: str) -> None:
    """Raise unless every key of the selection belongs to a camera on the side that it is given for."""
    for keys, sides, camera in (
        (selection.keys, ("query", "database"), "query or database camera"),
        (selection.query_keys, ("query",), "query"),
        (selection.database_keys, ("database",), "database camera"),
    ):
        if keys is None:
            continue
        wanted = text_array(sorted(keys))
        missing = np.ones(len(wanted), bool)
        for collection in stored:
            for side in sides:
                missing &= rows_of(getattr(collection, side).key, wanted) < 0
        if missing.any():
            count = int(np.count_nonzero(missing))
            shown = ", ".join(repr(str(key)) for key in wanted[missing][:_SHOWN])
            more = f" and {count - _SHOWN:,} more" if count > _SHOWN else ""
            raise NotFoundError(
                f"{address}: {count:,} of {len(wanted):,} keys to keep do not belong to any {camera}: {shown}{more}; "
                "relabel dump shows keys as the file spells them"
            )


def _selected(stored: StoredCollection, selection: Selection) -> Selected:
    if stored.self_pairs and (selection.query_keys is not None or selection.database_keys is not None):
        raise OptionError(
            f"{address_of(stored)}: is self-paired, so both sides must keep the same cameras: otherwise a camera and "
            "itself, which is not stored, would read as a true negative; give the keys of both "
            "sides together (keys=…)"
        )
    with named_errors(address_of(stored)):
        kept = selection.query_kept(stored)
        return Selected(stored, kept, kept if stored.self_pairs else selection.database_kept(stored), selection.low)


def _why_empty(selected: Selected) -> str:
    sides = [f"no {side} of {count:,}" for side, count in selected.empty_sides.items()]
    return f"{' and '.join(sides)} of {selected.stored.name!r} is in the selection; widen it"


def _note(selected: Selected) -> str | None:
    stored = selected.stored
    if selected.low is not None and selected.low <= stored.min_value:
        return (
            f"{stored.name}: holds only ψ > {stored.min_value:g} already, so no pair is dropped for ψ < "
            f"{selected.low:g}"
        )
    return None
