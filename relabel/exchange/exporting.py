"""Writing collections in the formats of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from relabel.errors import InputError, OptionError
from relabel.exchange import csv_parquet, gcl, hloc, npz, pml, positive_lists
from relabel.exchange.entries import Known
from relabel.exchange.folder import Folder, file_name
from relabel.similarity import SimilaritySource

Format = Literal["gcl", "condensed", "npy", "msls-idx", "deep-vg", "pairs", "csv", "parquet", "npz", "pml"]
FORMATS: tuple[Format, ...] = get_args(Format)

_WRITERS: dict[Format, Any] = {
    "gcl": gcl.write_gcl,
    "condensed": gcl.write_condensed,
    "npy": positive_lists.write_npy,
    "deep-vg": positive_lists.write_deep_vg,
    "pairs": hloc.write_pairs,
    "csv": csv_parquet.write_csv,
    "parquet": csv_parquet.write_parquet,
    "npz": npz.write_npz,
    "pml": pml.write_pml,
}
_TAKES: dict[Format, tuple[str, ...]] = {
    "gcl": ("threshold", "image_path", "drop_unknown", "max_bytes", "gzip"),
    "condensed": ("threshold", "image_path", "drop_unknown", "max_bytes", "gzip"),
    "npy": ("threshold", "within_m", "image_path", "drop_unknown"),
    "msls-idx": ("threshold", "image_path"),
    "deep-vg": ("threshold", "image_path"),
    "pairs": ("threshold", "top", "image_path"),
    "csv": (),
    "parquet": (),
    "npz": (),
    "pml": ("threshold", "seed"),
}
"""The options that each format takes."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote, and what is not in it."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def export(
    collections: Mapping[str, SimilaritySource], to: Format, folder: Path, *, overwrite: bool = False, **options: Any
) -> Exported:
    """Write collections in another format; every file appears whole or not at all.

    Parameters
    ----------
    collections:
        sources by name; the names become parts of the file names.
    to:
        one of `FORMATS`.
    folder:
        where the files go; made where it is missing.
    overwrite:
        whether files that are there may be replaced.
    **options:
        those of the format's own function, for example `dense.write_gcl`: threshold, within_m, image_path,
        drop_unknown, top, max_bytes, gzip, seed. An option that is None is as if it was not given.

    Returns
    -------
    Exported
        the files in the order they were written, and a sentence for each thing that the format cannot say.

    Raises
    ------
    OptionError
        when the format is not known or does not take an option.
    InputError
        when a collection cannot be said in the format.
    OutputExistsError, OutputError
        when a file is there already or cannot be written.
    """
    if to not in FORMATS:
        raise OptionError(f"format {to!r} is not known; choose {', '.join(FORMATS)}")
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    for name in given:
        if name not in _TAKES[to]:
            takers = [known for known in FORMATS if name in _TAKES[known]]
            raise OptionError(
                f"{name.replace('_', '-')} says nothing about format {to}; it is for {', '.join(takers) or 'no format'}"
            )
    _check_names(collections)
    into = Folder(folder, overwrite=overwrite)
    notes: list[str] = []
    if to == "msls-idx":
        notes = positive_lists.write_msls_idx(collections, into, **given)
    for name, source in collections.items() if to != "msls-idx" else ():
        chosen = dict(given)
        if to == "npy" and chosen.pop("drop_unknown", False):
            left = Known(source)
            gone = sum(source.collection.shape) - sum(left.collection.shape)
            notes.append(f"{name}: {gone:,} cameras that are not ok are left out")
            notes += _WRITERS[to](left, name, into, **chosen)
        else:
            notes += _WRITERS[to](source, name, into, **chosen)
    return Exported(tuple(into.written), tuple(notes))


def _check_names(collections: Mapping[str, SimilaritySource]) -> None:
    seen: dict[str, str] = {}
    for name in collections:
        other = seen.setdefault(file_name(name), name)
        if other != name:
            raise InputError(f"collections {other!r} and {name!r} would share files; export them one at a time")
