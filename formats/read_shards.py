"""Reads folders of shards with read_label_file.py beside it: python read_shards.py FOLDER [COLLECTION].

Copy both freely. Section 9 of label-file-v1.md says what everything means.
"""

import json
import sys
from pathlib import Path

import h5py
import numpy as np
from read_label_file import Labels, attributes


def manifest(folder):
    """What a folder of shards says of itself, after a check that it is of major version 1."""
    value = json.loads((Path(folder) / "manifest.json").read_text(encoding="utf-8"))
    if value["format"] != "relabel.shards" or value["format_version"].split(".")[0] != "1":
        raise ValueError(f"{folder}: is no folder of shards of version 1")
    return value


def shards(folder, name):
    """Labels of each shard of a collection in order, after a check that it is the one that the manifest names."""
    entry, end = manifest(folder)["collections"][name], 0
    for shard in entry["shards"]:
        path = Path(folder) / shard["path"]
        if path.name != shard["path"] or path.stat().st_size != shard["bytes"]:
            raise ValueError(f"{path}: is not the file that the manifest names")
        with h5py.File(path) as file:
            if attributes(file)["content_sha256"] != shard["content_sha256"]:
                raise ValueError(f"{path}: has other content than the manifest says")
        labels = Labels(path, name)
        if shard["rows"] != [end, end + len(labels.query["key"])] or len(labels.database["key"]) != entry["shape"][1]:
            raise ValueError(f"{path}: has other rows or database cameras than the manifest says")
        end = shard["rows"][1]
        yield labels
    if end != entry["shape"][0]:
        raise ValueError(f"{folder}: the shards of {name} end with row {end}")


class ShardedLabels(Labels):
    """One collection of a folder in memory, as `Labels` is one of a file."""

    def __init__(self, folder, name):
        self.attributes, parts = manifest(folder)["collections"][name]["attributes"], list(shards(folder, name))
        self.database = parts[0].database
        self.query = {key: np.concatenate([part.query[key] for part in parts]) for key in parts[0].query}
        counts = np.concatenate([np.diff(part.indptr) for part in parts])
        self.columns, self.values = (np.concatenate([getattr(p, n) for p in parts]) for n in ("columns", "values"))
        if self.attributes["self_pairs"]:  # a shard has the pair of each ok camera with itself, the whole has not
            others = np.repeat(np.arange(len(counts)), counts) != self.columns
            self.columns, self.values = self.columns[others], self.values[others]
            counts = counts - (self.query["status"] == 0)
        self.indptr = np.concatenate(([0], np.cumsum(counts)))


if __name__ == "__main__":
    folder, *chosen = sys.argv[1:] or sys.exit(__doc__)
    for name in chosen or sorted(manifest(folder)["collections"]):
        labels = ShardedLabels(folder, name)
        print(f"{name}: {len(labels.query['key'])} x {len(labels.database['key'])} cameras, {labels.attributes}")
