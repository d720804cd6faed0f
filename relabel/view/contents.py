"""The first answer to the page: the file and its collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from relabel.labelfile import StoredCollection
from relabel.report.compare import joined
from relabel.report.shared_surface import METHODS

COMPUTE_AT_ONCE = 2_000_000
"""Number of pairs up to which the distributions of a collection are computed without a click."""


class Compared(NamedTuple):
    """The label file that another one is compared with."""

    file: str
    """its name"""
    collections: Mapping[str, StoredCollection]
    """by the names of the collections that they are compared with"""
    notes: tuple[str, ...] = ()
    """which collections only one of the two has"""


def compared_with(a: str, b: str) -> Compared:
    """The collections of the file at address `b` by the names of those of `a`.

    Raises
    ------
    NotFoundError, MissingFileError, LabelFileError
        as for `relabel.report.compare.joined`.
    """
    pairs, *only = joined(a, b)
    notes = [
        f"Only in {Path(address.rpartition('::')[0] or address).name}: {', '.join(names)}; not compared."
        for address, names in zip((a, b), only, strict=True)
        if names
    ]
    return Compared(pairs[0][1].path.name, {ours.name: theirs for ours, theirs in pairs}, tuple(notes))


def contents(
    collections: Sequence[StoredCollection],
    *,
    images: bool,
    depth_maps: bool = False,
    compared: Compared | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The contents of a label file as JSON: of its path the name alone, since a page may be passed on."""
    return {
        "file": collections[0].path.name,
        "collections": [
            {"name": stored.name, "pairs": stored.nnz, "surface": stored.method in METHODS} for stored in collections
        ],
        "images": images,
        "depth_maps": depth_maps,
        "compared": None if compared is None else {"file": compared.file, "collections": list(compared.collections)},
        "notes": [*notes, *(() if compared is None else compared.notes)],
        "compute_at_once": COMPUTE_AT_ONCE,
    }
