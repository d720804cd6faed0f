"""Changing label files from outside: what a newer version, another program or damage would do to them.

The digests follow section 6 of ``formats/label-file-v1.md`` in code of its own, so that golden files do not depend on
how the package computes them.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Change = Callable[[Any], object]
"""what is done to an open file"""

TEXTS = ("crs", "measure", "method", "params")
NUMBERS = ("nnz", "self_pairs", "symmetric")


def text(value: str | bytes) -> Any:
    """Text as a fixed-length UTF-8 string, padded with NUL."""
    data = value.encode() if isinstance(value, str) else value
    return np.array(data, h5py.string_dtype("utf-8", max(1, len(data))))


def plain(source: Path, target: Path, *, variable: bool = False) -> None:
    """Copy a label file with contiguous datasets, as another program may write it.

    `variable` gives text attributes variable length.
    """

    def attributes(old: Any, new: Any) -> None:
        for name, value in old.attrs.items():
            new.attrs[name] = value.decode() if variable and isinstance(value, bytes) else text_or_number(value)

    def copy(old: Any, new: Any) -> None:
        attributes(old, new)
        # Backwards, because the database may be a link to the queries.
        for name in sorted(old, reverse=True):
            node = old[name]
            if name == "database" and node == old["queries"]:
                new[name] = new["queries"]
            elif isinstance(node, h5py.Group):
                copy(node, new.create_group(name))
            else:
                new.create_dataset(name, data=node[()], dtype=node.dtype, track_times=False)

    with h5py.File(source) as old, h5py.File(target, "w", libver="earliest") as new:
        copy(old, new)


def text_or_number(value: Any) -> Any:
    """An attribute as it was read, in the type that it had."""
    return text(value) if isinstance(value, bytes) else value


def seal(file: Any) -> None:
    """Put the digests in that fit the content."""
    for group in _collections(file).values():
        group.attrs["content_sha256"] = text(_collection_digest(group))
    seal_file(file)


def seal_file(file: Any) -> None:
    """Put the digest of the file in that fits those of the collections, right or wrong."""
    digests = {name: group.attrs["content_sha256"].decode() for name, group in _collections(file).items()}
    records = [file["provenance"][name][()] for name in sorted(file["provenance"])]
    file.attrs["content_sha256"] = text(
        _digest(
            {name: file.attrs[name].decode() for name in ("format", "format_version", "writer")}
            | {"collections": digests}
            | {"provenance": [hashlib.sha256(bytes(record)).hexdigest() for record in records]}
        )
    )


def _collections(file: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Group) and "similarity" in node:
            found[name] = node

    file.visititems(visit)
    return found


def _collection_digest(group: Any) -> str:
    attributes: dict[str, Any] = {name: group.attrs[name].decode() for name in TEXTS}
    attributes |= {name: int(group.attrs[name]) for name in NUMBERS}
    attributes["min_value"] = struct.pack(">d", group.attrs["min_value"]).hex()
    parts = ["queries", "similarity"] + ([] if attributes["self_pairs"] else ["database"])
    nodes = {f"{part}/{name}": node for part in parts for name, node in group[part].items()}
    datasets = {path: _record(node) for path, node in nodes.items() if isinstance(node, h5py.Dataset)}
    return _digest({"attributes": attributes, "datasets": datasets})


def _record(dataset: Any) -> dict[str, Any]:
    values = dataset[()]
    if values.dtype.kind == "S":
        name, data = "utf-8", b"".join(item + b"\0" for item in values.ravel().tolist())
    else:
        name, data = values.dtype.name, values.tobytes()
    return {"dtype": name, "shape": list(values.shape), "sha256": hashlib.sha256(data).hexdigest()}


def _digest(manifest: dict[str, Any]) -> str:
    canonical = json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def put(name: str, at: Any, value: Any) -> Change:
    """Change entries of a dataset."""

    def change(file: Any) -> None:
        file[name][at] = value

    return change


def replace(name: str, value: Any, dtype: Any = None) -> Change:
    """Put another dataset in the place of one, or none where `value` is None."""

    def change(file: Any) -> None:
        if name in file:
            del file[name]
        if value is not None:
            file.create_dataset(name, data=value, dtype=dtype, track_times=False)

    return change


def attribute(node: str, name: str, value: Any) -> Change:
    """Change an attribute, or drop it where `value` is None."""

    def change(file: Any) -> None:
        if value is None:
            del file[node].attrs[name]
        else:
            file[node].attrs[name] = text(value) if isinstance(value, str) else value

    return change


def move(old: str, new: str) -> Change:
    """Give a node another name."""
    return lambda file: file.move(old, new)


def in_type(name: str, dtype: str) -> Change:
    """Store a dataset in another type."""
    return lambda file: replace(name, file[name][()].astype(dtype))(file)
