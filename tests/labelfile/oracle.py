"""What formats/label-file-v1.md says about reading and digests, done with h5py, hashlib and json alone."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import h5py


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def dataset_record(dataset: h5py.Dataset) -> dict[str, Any]:
    values = dataset[()]
    if values.dtype.kind == "S":
        name, data = "utf-8", b"".join(bytes(item) + b"\0" for item in values.ravel())
    else:
        name, data = values.dtype.name, values.tobytes()
    return {"dtype": name, "shape": list(values.shape), "sha256": sha256(data)}


def collection_digest(group: h5py.Group) -> str:
    texts = ("crs", "measure", "method", "params")
    attributes: dict[str, Any] = {name: group.attrs[name].decode() for name in texts}
    attributes |= {name: int(group.attrs[name]) for name in ("nnz", "self_pairs", "symmetric")}
    attributes["min_value"] = struct.pack(">d", group.attrs["min_value"]).hex()
    parts = ["queries", "similarity"] + ([] if attributes["self_pairs"] else ["database"])
    records = {f"{part}/{name}": dataset_record(group[part][name]) for part in parts for name in group[part]}
    return sha256(canonical({"attributes": attributes, "datasets": records}))


def collections(file: h5py.File) -> dict[str, h5py.Group]:
    found: dict[str, h5py.Group] = {}
    file.visititems(
        lambda name, node: found.update({name: node}) if "similarity" in getattr(node, "keys", list)() else None
    )
    return found


def file_digest(file: h5py.File) -> str:
    manifest = {name: file.attrs[name].decode() for name in ("format", "format_version", "writer")}
    return sha256(
        canonical(
            {
                **manifest,
                "collections": {n: g.attrs["content_sha256"].decode() for n, g in collections(file).items()},
                "provenance": [sha256(bytes(file["provenance"][n][()])) for n in sorted(file["provenance"])],
            }
        )
    )


def check_digests(path: Path) -> None:
    """Raise unless all digests of a file are as the format says."""
    with h5py.File(path) as file:
        for group in collections(file).values():
            assert group.attrs["content_sha256"].decode() == collection_digest(group)
        assert file.attrs["content_sha256"].decode() == file_digest(file)
