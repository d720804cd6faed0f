"""The folder to upload: its files and their checksums."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from relabel.atomic import output_errors, replacing_folder
from relabel.datasets.listing import children
from relabel.errors import LabelFileError, MissingFileError, OptionError
from relabel.exchange.exporting import export
from relabel.exchange.folder import file_name
from relabel.labelfile import LabelFile, StoredCollection, validate
from relabel.labelfile.provenance import describe
from relabel.labelfile.remote import location
from relabel.publish.about import About
from relabel.publish.card import HISTOGRAM, REPORT, Page, card, default_description, default_title, draw_histogram
from relabel.publish.croissant import CROISSANT, metadata, schema_of
from relabel.publish.zenodo import ZENODO, zenodo_metadata
from relabel.report.stats import statistics
from relabel.view.image_files import ImageFiles
from relabel.view.standalone import write_report

README = "README.md"
SUMS = "SHA256SUMS"
_FIXED = (README, SUMS, CROISSANT, HISTOGRAM, ZENODO, REPORT)
_PIECE_BYTES = 1 << 22
_SHOWN = 5  # findings of an invalid file


def sums_text(files: Iterable[Mapping[str, Any]]) -> str:
    """One line a file, sorted by name; `files` is what `relabel.labelfile.provenance.describe` returns."""
    return "".join(_line(file["path"], file["sha256"]) for file in sorted(files, key=lambda file: str(file["path"])))


def _line(name: str, digest: str) -> str:
    # A backslash in front of the line says that the name is escaped.
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{digest}  {escaped}\n"


def sums_names(text: str) -> list[str]:
    """The names in a text of `sums_text`."""
    names = []
    for line in text.removesuffix("\n").split("\n"):
        digest, _, name = line.partition("  ")
        if digest.startswith("\\"):
            name = re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), name)
        names.append(name)
    return names


@dataclass(frozen=True)
class Published:
    """The folder, and the files in it by name."""

    folder: Path
    files: tuple[str, ...]


def publish(
    path: Path,
    folder: Path,
    about: About | None = None,
    *,
    parquet: bool = False,
    report: bool = False,
    images: Path | None = None,
    image_path: str | None = None,
    overwrite: bool = False,
) -> Published:
    """Make a folder to upload: label file, README card, histogram, Croissant metadata and checksums.

    The label file is copied byte for byte, and the copy is validated. The folder appears whole or not at all. The same
    input gives the same bytes, and nothing in the folder describes the machine or its user beyond the
    name of the file.

    If creators and licence are known, it also holds ``.zenodo.json``.

    Parameters
    ----------
    path:
        the label file, or a folder of shards.
    folder:
        folder to create; it may exist if it is empty.
    about:
        facts that only the publisher knows.
    parquet:
        whether to add the pairs and cameras of each collection as Parquet tables, which Croissant can read. The card
        has a configuration for each, so that Hugging Face `datasets` loads the folder as it is.
    report:
        whether to add `relabel report`'s page.
    images, image_path:
        top folder of the images that the page holds, scaled down, and the template of their paths, as for
        `relabel.images.paths.image_paths`; None makes a page without images, and looks for the layout.
    overwrite:
        whether a folder that an earlier run wrote may be replaced.

    Raises
    ------
    LabelFileError
        when the file is not valid; lists what is wrong.
    MissingFileError
        when there is no such file.
    OptionError
        when the name of the file is reserved for another file of the folder, or cannot be listed in it; or when images
        are passed without a page.
    OutputExistsError, OutputError
        when the folder is not empty and may not be replaced, or cannot be written.
    """
    path = location(path)
    if (images is not None and not report) or (image_path is not None and images is None):
        raise OptionError("images are only part of the page: images=… needs report=True, and image_path=… needs both")
    if path.name in _FIXED or not path.name.isprintable():
        raise OptionError(f"{path}: a label file of this name cannot be published beside {README}; rename it")
    if not path.exists():
        raise MissingFileError(f"{path}: there is no such file")
    with replacing_folder(folder, overwrite=overwrite, foreign=_not_published) as private:
        copy = private / path.name
        sources = LabelFile(path).files() if path.is_dir() else [path]
        with output_errors(folder):
            for file in sources:
                target = copy / file.name if path.is_dir() else copy
                target.parent.mkdir(exist_ok=True)
                with file.open("rb") as source, target.open("wb") as stream:
                    shutil.copyfileobj(source, stream, _PIECE_BYTES)
        _check(path, copy)
        labels = LabelFile(copy)
        collections = [labels[name] for name in labels]
        about = _filled(about or About(), collections, images=images is not None)
        if parquet:
            export({stored.name: stored for stored in collections}, "parquet", private)
        tables = sorted(entry.name for entry in private.iterdir() if entry.suffix == ".parquet")
        figures = {stored.name: statistics(stored) for stored in collections}
        draw_histogram(private / HISTOGRAM, figures, " or ".join(sorted({stored.measure for stored in collections})))
        if report:
            found = None if images is None else ImageFiles(collections, Path(images), image_path)
            write_report(collections, private / REPORT, images=found)
        page = Page(images=images is not None) if report else None
        with_rows = _with_rows(private, collections)
        text = card(about, path.name, collections, figures, labels.provenance(), with_rows, page=page)
        _write(private / README, text)
        zenodo = zenodo_metadata(about)
        if zenodo is not None:
            _write(private / ZENODO, zenodo)
        files = describe(private, (entry for entry in private.rglob("*") if entry.is_file()))
        _write(private / CROISSANT, metadata(about, files, {name: schema_of(private / name) for name in tables}))
        files += describe(private, [private / CROISSANT])
        _write(private / SUMS, sums_text(files))
        names = tuple(sorted(p.relative_to(private).as_posix() for p in private.rglob("*") if p.is_file()))
    return Published(Path(folder), names)


def _with_rows(folder: Path, collections: list[StoredCollection]) -> list[str]:
    """The tables of all collections, pairs before cameras; `datasets` loads none that is empty."""
    tables = []
    for stored in collections:
        for kind, rows in (("", stored.nnz), (".cameras", sum(stored.shape))):
            table = f"{file_name(stored.name)}{kind}.parquet"
            tables += [table] if rows and (folder / table).is_file() else []
    # The first is what is loaded where none is named, and that should be pairs.
    return sorted(tables, key=lambda table: table.endswith(".cameras.parquet"))


def _check(path: Path, copy: Path) -> None:
    report = validate(copy)
    if report.valid:
        return
    faults = [f"{f.path}: {f.message}" for f in report.findings if f.severity == "error"]
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    raise LabelFileError(
        f"{path}: is not valid, so it is not published: {'; '.join(faults[:_SHOWN])}{more}; `relabel validate` lists "
        "all errors"
    )


def _filled(about: About, collections: list[StoredCollection], *, images: bool) -> About:
    return replace(
        about.dated(),
        title=about.title.strip() or default_title(collections),
        description=about.description.strip() or default_description(collections, images=images),
    )


def _not_published(folder: Path) -> list[str]:
    """Names in a folder that no earlier run wrote: it listed its own in `SUMS`."""
    names = [entry.name for entry in children(folder)]
    try:
        listed = set(sums_names((folder / SUMS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return names
    if CROISSANT not in listed:  # checksums of something else
        return names
    known = {*listed, SUMS}
    return [
        inner
        for name in names
        for inner in (
            [name]
            if not (folder / name).is_dir()
            else [entry.relative_to(folder).as_posix() for entry in sorted((folder / name).rglob("*"))] or [name]
        )
        if inner not in known or not (folder / inner).is_file()
    ]


def _write(path: Path, text: str) -> None:
    with output_errors(path):
        path.write_text(text, encoding="utf-8", newline="\n")
