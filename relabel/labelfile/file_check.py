"""The checks of one label file, by itself or as a shard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from relabel.errors import FormatTooNewError, LabelFileError, RemoteError
from relabel.labelfile import hdf, header, remote, schema
from relabel.labelfile.checks import LEVELS, CollectionCheck, Report
from relabel.labelfile.digest import file_digest
from relabel.labelfile.provenance import provenance_texts, record_problems


def check_file(path: Path, report: Report, deepest: int) -> None:
    """Note all faults of a file, up to the level of that number in `LEVELS`.

    Raises
    ------
    MissingFileError
        when there is no such file.
    RemoteError
        when it is at a URL and cannot be read from there.
    """
    with header.naming(path):
        _open_and_check(path, report, deepest)
        if fault := remote.fault(path):  # findings that it caused say nothing about the file
            raise fault


def _open_and_check(path: Path, report: Report, deepest: int) -> None:
    try:
        file = header.open_hdf5(path)
    except RemoteError:
        raise
    except LabelFileError as error:
        report.note("header", "/", str(error))
        return
    try:
        with report.attempt("header", "/"):
            _check(file, report, deepest)
    finally:
        file.close()


def _check(file: Any, report: Report, deepest: int) -> None:
    faults = header.faults(file)
    for fault in faults:
        report.note("header", "/", str(fault))
    # Nothing more can be said about a later version or another kind of file.
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
            check_provenance(texts, report, f"/{schema.PROVENANCE}")
            _check_digest(file, digests, texts, report)


def _check_names(names: list[str], report: Report) -> None:
    if not names:
        report.note("structure", "/", "holds no collection")
    for name in names:
        if fault := schema.name_fault(name):
            report.note("structure", f"/{name}", f"the name of the collection {fault}")


def check_provenance(texts: Sequence[str], report: Report, path: str) -> None:
    """Note the faults of records of provenance, given as the texts that the group or file `path` holds."""
    if not texts:
        report.note("content", path, "holds no record, so the file does not record how it was made", "warning")
    for number, text in enumerate(texts):
        where = f"{path}/{number:04d}"
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
