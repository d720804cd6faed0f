"""Writing collections in the formats of other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relabel.errors import InputError, OptionError
from relabel.exchange import registry
from relabel.exchange.folder import ExportFolder, file_name
from relabel.similarity import SimilaritySource


@dataclass(frozen=True)
class Exported:
    """What an export wrote, and what is not in it."""

    files: tuple[Path, ...]
    notes: tuple[str, ...]


def export(
    collections: Mapping[str, SimilaritySource], to: str, folder: Path, *, overwrite: bool = False, **options: Any
) -> Exported:
    """Write collections in another format; the set of files appears whole or not at all.

    Parameters
    ----------
    collections:
        sources by name; the names become parts of the file names.
    to:
        the name of a format, see `relabel.exchange.registry.export_formats`.
    folder:
        where the files go; made where it is missing.
    overwrite:
        whether files that are there may be replaced.
    **options:
        those of the format's own function, for example `relabel.exchange.gcl.write_gcl`: threshold, within_m,
        image_path, drop_unknown, top, max_bytes, gzip, seed. An option that is None or False is as if it was not given.

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
    spec = registry.export_format(to)
    chosen = {name: value for name, value in options.items() if value is not None and value is not False}
    for name in chosen:
        if name not in spec.export_options:
            takers = registry.exports_with(name)
            raise OptionError(
                f"{name.replace('_', '-')} says nothing about format {to}; it is for {', '.join(takers) or 'no format'}"
            )
    _check_names(collections)
    write = registry.writer(spec)
    notes: list[str] = []
    with ExportFolder(folder, overwrite=overwrite) as target:
        if spec.writes_all:
            notes += write(collections, target, **chosen)
        else:
            for name, source in collections.items():
                notes += write(source, name, target, **chosen)
    return Exported(tuple(target.written), tuple(notes))


def _check_names(collections: Mapping[str, SimilaritySource]) -> None:
    first_names: dict[str, str] = {}
    for name in collections:
        first = first_names.setdefault(file_name(name), name)
        if first != name:
            raise InputError(f"collections {first!r} and {name!r} would share files; export them one at a time")
