"""Completing a file: the check of names, everything besides the collections, and the final validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relabel.errors import InputError, OutputError
from relabel.labelfile import schema
from relabel.labelfile.digest import Record, collection_digest, file_digest
from relabel.labelfile.hdf5_layout import new_group
from relabel.labelfile.safe_h5file import Draft
from relabel.labelfile.validator import validate


def check_names(names: Mapping[str, object]) -> None:
    """Raise an `InputError` unless all names are allowed together in one file."""
    if not names:
        raise InputError("there is no collection to write; a label file holds at least one")
    for name in names:
        fault = schema.name_fault(name)
        if fault:
            raise InputError(f"collection {name!r}: the name {fault}; choose another name")
    fault = schema.nesting_fault(names)
    if fault:
        raise InputError(fault)


def finish(file: Any, collections: Mapping[str, str], provenance: Sequence[str]) -> None:
    """Write everything besides the collections, whose digests are given by name, and mark the file as complete."""
    group = new_group(file, schema.PROVENANCE)
    for number, text in enumerate(provenance):
        group.create_dataset(f"{number:04d}", data=schema.stored_text(text), track_times=False)
    header = {
        "format": schema.FORMAT,
        "format_version": schema.FORMAT_VERSION,
        "writer": schema.WRITER,
        "content_sha256": file_digest(schema.FORMAT_VERSION, schema.WRITER, collections, provenance),
    }
    for name, value in header.items():
        file.attrs[name] = schema.stored_text(value)
    file.flush()
    file.attrs["complete"] = np.uint8(1)


def confirm(private: Path, target: Path, level: str, hint: str = "check disk and memory and try again") -> None:
    """Read a finished file back; raise an `OutputError` that ends with `hint` unless it is valid."""
    errors = [finding for finding in validate(private, level).findings if finding.severity == "error"]
    if errors:
        raise OutputError(
            f"{target}: the new file does not read back as it was written, so the target was left unchanged "
            f"({errors[0].path}: {errors[0].message}); {hint}"
        )


def finish_collection(draft: Draft, group: Any, attributes: Mapping[str, Any], records: Mapping[str, Record]) -> str:
    """Write the attributes of a collection, whose arrays have the given digest records; returns its digest."""
    digest = collection_digest(attributes, records)
    with draft.writing():
        for name, value in attributes.items():
            group.attrs[name] = schema.stored_attribute(name, value)
        group.attrs["content_sha256"] = schema.stored_text(digest)
    return digest
