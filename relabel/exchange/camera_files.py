"""Finding the cameras of an import: in files that are given, in an MSLS tree, or in files beside the input."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from relabel.errors import InputError, OptionError
from relabel.exchange.camera_sides import Sides, read_msls_sides, read_sides
from relabel.exchange.gcl import dense_dataset
from relabel.exchange.gcl_index import KeyRule

_SUFFIXES = ("_gt", "-pairs-scores", "-pairs")


@dataclass(frozen=True)
class CameraFiles:
    """Where the cameras of an import are described; all None where the input itself or its neighbours do.

    Attributes
    ----------
    queries, database:
        an index (``.json``), a camera table (``.csv``, ``.parquet``) or a list of keys; queries alone for self pairs.
    root, city:
        an MSLS tree, and the city in it; by default that of the input's name.
    keys:
        what a key is where an index names pictures: the ``stem`` of the file name or the whole ``path``. None takes the
        stem, and for condensed files the path, since frames of different sequences have the same names.
    """

    queries: Path | None = None
    database: Path | None = None
    root: Path | None = None
    city: str | None = None
    keys: KeyRule | None = None


def find_sides(form: str, path: Path, cameras: CameraFiles, keys: KeyRule) -> tuple[Sides | None, list[str]]:
    """The cameras that files describe, and what to say of files that were found rather than given."""
    if cameras.root is not None:
        return read_msls_sides(cameras.root, cameras.city or plain_name(path)), []
    if cameras.queries is not None:
        return read_sides(cameras.queries, cameras.database, keys), []
    stem = plain_name(path)
    beside: dict[str, tuple[Path, ...]] = {
        "gcl": (path.parent / stem / "query.json", path.parent / stem / "database.json"),
        "condensed": (path.parent / f"{stem}.json",),
        "csv": (path.parent / f"{stem}.cameras.csv",) * 2,
        "parquet": (path.parent / f"{stem}.cameras.parquet",) * 2,
    }
    found = beside.get(form, ())
    if not found or not all(file.is_file() for file in found):
        return None, []
    names = " and ".join(dict.fromkeys(str(file.relative_to(path.parent)) for file in found))
    return read_sides(found[0], found[1] if len(found) > 1 else None, keys), [f"cameras are those of {names} beside it"]


def plain_name(path: Path) -> str:
    """The name of a file without its ending and what an export adds to the name of a collection."""
    stem = path.name.rsplit(".", 1)[0]
    for suffix in _SUFFIXES:
        stem = stem.removesuffix(suffix) or stem
    return stem


def one_set(sides: Sides) -> Sides:
    """The same cameras as one set; an `OptionError` where the two sides have other keys."""
    if not np.array_equal(sides.query.key, sides.database.key):
        raise OptionError("self-pairs says that the database is the set of queries, but their keys differ")
    return sides.mirrored()


def no_names(form: str, path: Path, dataset: str | None) -> InputError:
    """The error for a dense file of which no index is known, with its shape and the next step."""
    with dense_dataset(path, dataset) as found:
        what = f"{path}: data set {found.name[1:]!r} has shape {found.shape}"
    if form == "condensed":
        return InputError(f"{what} and no names; give the index (im_paths) that belongs to it with --queries")
    return InputError(
        f"{what} and no names; give the indices that belong to it (--queries query.json --database database.json), or "
        "the MSLS tree that it was made from (--root)"
    )
