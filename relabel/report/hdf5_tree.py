"""The groups, datasets and attributes of an HDF5 file, whether or not it is a valid label file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from relabel.errors import LabelFileError
from relabel.labelfile import LabelFile
from relabel.labelfile.header import naming, open_hdf5, open_unlocked
from relabel.labelfile.remote import RemotePath

_LONGEST = 100  # characters of an attribute that are shown


def tree(path: Path) -> dict[str, Any]:
    """The file as nested JSON values: name, kind, attributes; shape and dtype of a dataset; children of a group.

    A group or dataset that is reached a second time, as the database of a self-paired collection is, has the kind
    ``link`` and a ``target``. A folder of shards has these for children.

    Raises
    ------
    LabelFileError
        when the file is not HDF5, or damaged.
    """
    if path.is_dir():
        shards = [{**tree(shard), "name": shard.name} for shard in LabelFile(path).files()[1:]]
        return {"name": path.name, "kind": "folder", "attributes": {}, "children": shards}
    if isinstance(path, RemotePath):
        with naming(path), open_hdf5(path) as file:
            return _node("/", file, {})
    if not h5py.is_hdf5(path):
        LabelFile(path)  # has the precise words for a file that is missing, empty, cut off or something else
        raise LabelFileError(f"{path} is not an HDF5 file")
    try:
        with open_unlocked(path) as file:
            return _node("/", file, {})
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise LabelFileError(f"{path} is damaged: {error}; run `relabel validate` on it") from None


def _node(name: str, item: Any, seen: dict[Any, str]) -> dict[str, Any]:
    if item is None:  # a soft or external link that leads nowhere
        return {"name": name, "kind": "link", "target": "nothing"}
    identity = h5py.h5o.get_info(item.id)
    known = seen.setdefault((identity.fileno, identity.addr), item.name)
    if known != item.name:
        return {"name": name, "kind": "link", "target": known}
    attributes = {key: _plain(item.attrs[key]) for key in item.attrs}
    if isinstance(item, h5py.Dataset):
        shape = None if item.shape is None else list(item.shape)
        return {"name": name, "kind": "dataset", "shape": shape, "dtype": _dtype(item), "attributes": attributes}
    if isinstance(item, h5py.Group):
        children = [_node(child, _member(item, child), seen) for child in item]
        return {"name": name, "kind": "group", "attributes": attributes, "children": children}
    return {"name": name, "kind": type(item).__name__.lower(), "attributes": attributes}


def _member(group: h5py.Group, name: str) -> Any:
    if group.get(name, getlink=True, getclass=True) is h5py.HardLink:
        return group[name]  # raises where it is damaged
    return group.get(name)


def _dtype(item: h5py.Dataset) -> str:
    text = h5py.check_string_dtype(item.dtype)
    if text is not None:
        return f"{text.encoding}[{text.length or 'any'}]"
    names = h5py.check_enum_dtype(item.dtype)
    return f"enum {item.dtype}" if names is not None else str(item.dtype)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # a numpy scalar or array
        value = value.tolist()
    if isinstance(value, bytes):
        value = value.decode(errors="backslashreplace")
    return value if isinstance(value, str | int | float | bool | list) else str(value)


def tree_lines(node: dict[str, Any]) -> Iterator[str]:
    """The tree as lines of text."""
    yield _title(node)
    yield from _below(node, "")


def _below(node: dict[str, Any], indent: str) -> Iterator[str]:
    children = node.get("children", [])
    for key, value in node.get("attributes", {}).items():
        text = repr(value) if isinstance(value, str) else str(value)
        bar = "│ " if children else "  "
        yield f"{indent}{bar}@{key} = {text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}"
    for child in children:
        last = child is children[-1]
        yield f"{indent}{'└─ ' if last else '├─ '}{_title(child)}"
        yield from _below(child, indent + ("   " if last else "│  "))


def _title(node: dict[str, Any]) -> str:
    if node["kind"] == "link":
        return f"{node['name']} → {node['target']}"
    if node["kind"] == "dataset":
        shape = "empty" if node["shape"] is None else "(" + ", ".join(str(n) for n in node["shape"]) + ")"
        return f"{node['name']}  {shape}  {node['dtype']}"
    return str(node["name"])
