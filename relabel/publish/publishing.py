"""Making the folder."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from relabel.errors import LabelFileError, MissingFileError, OptionError
from relabel.exchange.exporting import export
from relabel.labelfile import LabelFile, StoredCollection, validate
from relabel.labelfile.provenance import describe
from relabel.labelfile.publish import output_errors
from relabel.publish.about import About
from relabel.publish.card import HISTOGRAM, card, default_description, default_title
from relabel.publish.checksums import SUMS, sums_text
from relabel.publish.croissant import CROISSANT, metadata, schema_of
from relabel.publish.folder import replacing_folder
from relabel.publish.picture import histogram
from relabel.report.stats import statistics

README = "README.md"
_FIXED = (README, SUMS, CROISSANT, HISTOGRAM)
_SHOWN = 5  # findings of an invalid file


@dataclass(frozen=True)
class Published:
    """The folder, and the files in it by name."""

    folder: Path
    files: tuple[str, ...]


def publish(
    path: Path, folder: Path, about: About | None = None, *, parquet: bool = False, overwrite: bool = False
) -> Published:
    """A folder to upload: label file, README card, histogram, Croissant metadata and checksums.

    The label file is copied byte for byte, and the copy is validated. The folder appears whole or not at all. The same
    input gives the same bytes, and nothing in the folder tells of the machine or its user beyond the name of the file.

    Parameters
    ----------
    path:
        the label file.
    folder:
        to make; it may be there when it is empty.
    about:
        what only the publisher can tell.
    parquet:
        whether to add the pairs and cameras of each collection as Parquet tables, which Croissant can read.
    overwrite:
        whether a folder that an earlier run made may be replaced.

    Raises
    ------
    LabelFileError
        when the file is not valid; lists what is wrong.
    MissingFileError
        when there is no such file.
    OptionError
        when the name of the file is one that the folder needs for another file, or cannot be listed.
    OutputExistsError, OutputError
        when the folder is not empty and may not be replaced, or cannot be written.
    """
    path = Path(path)
    if path.name in _FIXED or not path.name.isprintable():
        raise OptionError(f"{path}: a label file of this name cannot be published beside {README}; rename it")
    if not path.is_file():
        raise MissingFileError(f"{path}: there is no such file")
    with replacing_folder(folder, overwrite=overwrite, ours=_foreign) as private:
        copy = private / path.name
        with output_errors(folder):
            shutil.copyfile(path, copy)
        _check(path, copy)
        labels = LabelFile(copy)
        collections = [labels[name] for name in labels]
        about = _filled(about or About(), collections)
        if parquet:
            export({stored.name: stored for stored in collections}, "parquet", private)
        tables = sorted(entry.name for entry in private.iterdir() if entry.suffix == ".parquet")
        figures = {stored.name: statistics(stored) for stored in collections}
        histogram(private / HISTOGRAM, figures, " or ".join(sorted({stored.measure for stored in collections})))
        text = card(about, path.name, collections, figures, labels.provenance(), tables)
        _write(private / README, text)
        files = describe(private, private.iterdir())
        _write(private / CROISSANT, metadata(about, files, {name: schema_of(private / name) for name in tables}))
        files += describe(private, [private / CROISSANT])
        _write(private / SUMS, sums_text(files))
        names = tuple(sorted(entry.name for entry in private.iterdir()))
    return Published(Path(folder), names)


def _check(path: Path, copy: Path) -> None:
    report = validate(copy)
    if report.valid:
        return
    faults = [f"{f.path}: {f.message}" for f in report.findings if f.severity == "error"]
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    raise LabelFileError(
        f"{path}: is not valid, so it is not published: {'; '.join(faults[:_SHOWN])}{more}; `relabel validate` lists "
        "all that is wrong"
    )


def _filled(about: About, collections: list[StoredCollection]) -> About:
    return replace(
        about.dated(),
        title=about.title.strip() or default_title(collections),
        description=about.description.strip() or default_description(collections),
    )


def _foreign(names: list[str]) -> list[str]:
    """Names in a folder that no earlier run wrote."""
    if SUMS not in names or CROISSANT not in names:
        return names
    return [name for name in names if name not in _FIXED and Path(name).suffix not in (".h5", ".hdf5", ".parquet")]


def _write(path: Path, text: str) -> None:
    with output_errors(path):
        path.write_text(text, encoding="utf-8", newline="\n")
