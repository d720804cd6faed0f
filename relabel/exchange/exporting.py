"""Writing collections in the formats of other programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from relabel.display import several
from relabel.errors import InputError, OptionError
from relabel.exchange import registry
from relabel.exchange.folder import ExportFolder, file_name
from relabel.exchange.registry import FormatSpec
from relabel.excluded_pairs import ExcludedPairs
from relabel.similarity import SimilaritySource


@dataclass(frozen=True)
class Exported:
    """What an export wrote, and what it lost."""

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
        where the files go; it is created if it is missing.
    overwrite:
        whether existing files may be replaced.
    **options:
        those of the format's own function, for example `relabel.exchange.gcl.write_gcl`: threshold, within_m,
        image_path, drop_unknown, drop_panoramas, queries, top, max_bytes, gzip, seed. An option that is None or False
        counts as not given.

    Returns
    -------
    Exported
        the files in the order they were written, and one sentence for each thing that the format cannot express.

    Raises
    ------
    OptionError
        when the format is not known or does not take an option.
    InputError
        when a collection cannot be expressed in the format.
    OutputExistsError, OutputError
        when a file exists already or cannot be written.
    """
    spec, chosen = registry.export_format(to), check_options(to, options)
    files = [] if spec.writes_all else _files(spec, collections)
    write = registry.writer(spec)
    notes: list[str] = []
    with ExportFolder(folder, overwrite=overwrite) as target:
        target.check(files)
        if spec.writes_all:
            notes += write(collections, target, **chosen)
        else:
            for name, source in collections.items():
                notes += write(source, name, target, **chosen)
    for name, source in collections.items():
        c = source.collection
        if c.exclusion:
            done = "left out" if spec.chooses_pairs else "written with their ψ like all others"
            excluded = ExcludedPairs(c.exclusion, c.query, c.database).counts(self_pairs=c.self_pairs)
            count = int(excluded.sum())
            pairs, are = several(count, "pair"), "is" if count == 1 else "are"
            notes.append(f"{name}: {pairs} that the collection excludes ({c.exclusion}) {are} {done}")
    return Exported(tuple(target.written), tuple(notes))


def check_options(to: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an export that are given.

    Raises
    ------
    OptionError
        when the format is not known or does not take one of them.
    """
    spec = registry.export_format(to)
    chosen = {name: value for name, value in options.items() if value is not None and value is not False}
    for name in chosen:
        if name not in spec.export_options:
            takers = registry.exports_with(name)
            raise OptionError(
                f"{name.replace('_', '-')} does not apply to format {to}; it is for {', '.join(takers) or 'no format'}"
            )
    return chosen


def _files(spec: FormatSpec, collections: Iterable[str]) -> list[str]:
    """The files that are written in any case; an InputError if two collections would share one."""
    owners: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in collections:
        for template in spec.files or ("{name}",):
            file = template.format(name=file_name(name))
            _refuse_shared(name, owners.setdefault(file, name), file)
            folders |= {str(folder): name for folder in PurePath(file).parents[:-1]}
    for file, name in owners.items():  # nor can a file have the name of a folder that contains another one
        _refuse_shared(name, folders.get(file, name), file)
    return [*owners] if spec.files else []


def _refuse_shared(name: str, other: str, file: str) -> None:
    if name != other:
        raise InputError(
            f"collections {other!r} and {name!r} would share files ({file}); export them one at a time "
            "(FILE::COLLECTION), each to its own folder"
        )
