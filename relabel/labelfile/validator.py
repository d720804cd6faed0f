"""Is a file a valid label file? Every finding is listed; none of them stops the search for others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from relabel.errors import FormatTooNewError, LabelFileError, OptionError
from relabel.labelfile import hdf, header, schema
from relabel.labelfile.checks import LEVELS, CollectionCheck, Report
from relabel.labelfile.digest import file_digest
from relabel.labelfile.provenance import provenance_texts, record_problems


def validate(path: str | os.PathLike[str], level: str = "content") -> Report:
    """Check a file against the label file format.

    Memory is that of the cameras; pairs are read in blocks.

    Parameters
    ----------
    path:
        any file, however damaged.
    level:
        ``header`` (is it a complete label file of a known version), ``structure`` (also shapes, types, order and
        range of everything) or ``content`` (also digests, symmetry and provenance).

    Returns
    -------
    Report
        `valid` and all `findings`.

    Raises
    ------
    MissingFileError
        when there is no such file.
    OptionError
        when the level is not known.
    """
    if level not in LEVELS:
        raise OptionError(f"level {level!r} is not known; choose {', '.join(LEVELS)}")
    report = Report()
    try:
        file = header.open_hdf5(Path(path))
    except LabelFileError as error:
        report.note("header", "/", str(error))
        return report
    try:
        with report.attempt("header", "/"):
            _check(file, report, LEVELS.index(level))
    finally:
        file.close()
    return report


def _check(file: Any, report: Report, deepest: int) -> None:
    faults = header.faults(file)
    for fault in faults:
        report.note("header", "/", str(fault))
    # Of a version to come, or of another kind of file, nothing more can be said.
    if deepest == 0 or any(isinstance(fault, FormatTooNewError) for fault in faults) or not header.is_ours(file):
        return
    newer = False
    names: list[str] = []
    digests: dict[str, str] = {}
    with report.attempt("structure", "/"):
        newer = header.is_newer(file)
        if newer:
            text = f"is of a newer minor version than {schema.FORMAT_VERSION}; what that version added was not checked"
            report.note("structure", "/", text, "warning")
    with report.attempt("structure", "/"):
        names = hdf.collection_names(file)
        _check_names(names, report)
    for name in names:
        with report.attempt("structure", f"/{name}"):
            digests[name] = CollectionCheck(
                file, name, report, content=deepest == LEVELS.index("content"), newer=newer
            ).run()
    with report.attempt("structure", "/"):
        for where, problem in hdf.foreign_links(file):
            report.note("structure", where, problem)
    with report.attempt("structure", "/provenance"):
        texts = provenance_texts(file)
        if deepest == LEVELS.index("content"):
            _check_provenance(texts, report)
            _check_digest(file, digests, texts, report)


def _check_names(names: list[str], report: Report) -> None:
    if not names:
        report.note("structure", "/", "holds no collection")
    for name in names:
        if fault := schema.name_fault(name):
            report.note("structure", f"/{name}", f"the name of the collection {fault}")


def _check_provenance(texts: list[str], report: Report) -> None:
    if not texts:
        report.note("content", "/provenance", "holds no record, so the file does not record how it was made", "warning")
    for number, text in enumerate(texts):
        where = f"/provenance/{number:04d}"
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            report.note("content", where, f"is not JSON: {error}")
            continue
        for problem in record_problems(record):
            report.note("content", where, problem)


def _check_digest(file: Any, digests: dict[str, str], texts: list[str], report: Report) -> None:
    with report.attempt("content", "/"):
        version, writer, stored = (
            hdf.attribute(file, name, str) for name in ("format_version", "writer", "content_sha256")
        )
        if file_digest(version, writer, digests, texts) != stored:
            report.note(
                "content",
                "/",
                "content_sha256 does not match the writer, the names and digests of the collections, and the "
                "provenance; one of them "
                "was changed after writing",
            )
