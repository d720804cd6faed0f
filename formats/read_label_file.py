"""Reads label files, version 1, with h5py and numpy alone: python read_label_file.py FILE [COLLECTION [KEY]].

Copy it freely. label-file-v1.md says what everything means; join files by key, never by row number.
"""

import json
import sys

import h5py
import numpy as np


def attributes(node):
    """All attributes of a node; text of fixed and of variable length becomes str."""
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in node.attrs.items()}


def collections(path):
    """The names of all collections, after a check that this is a complete label file of major version 1."""
    with h5py.File(path) as file:
        header, names = attributes(file), []
        if header.get("format") != "relabel.labels" or header.get("complete") != 1:
            raise ValueError(f"{path}: is no label file, or was not written to its end")
        if header["format_version"].split(".")[0] != "1":
            raise ValueError(f"{path}: has format version {header['format_version']}; this reader knows version 1")
        file.visititems(
            lambda name, node: names.append(name) if "similarity" in getattr(node, "keys", list)() else None
        )
        return sorted(names)


class Labels:
    """One collection in memory: its attributes, and `query` and `database`: columns by name, one row a camera."""

    def __init__(self, path, name):
        if name not in collections(path):
            raise ValueError(f"{path}: there is no collection {name!r}; there are {', '.join(collections(path))}")
        with h5py.File(path) as file:
            self.attributes, pairs = attributes(file[name]), file[name]["similarity"]
            self.indptr, self.columns, self.values = (pairs[part][()] for part in ("indptr", "indices", "data"))
            sides = [file[name][side].items() for side in ("queries", "database")]
            sides = [{key: node[()] for key, node in side if isinstance(node, h5py.Dataset)} for side in sides]
        self.query, self.database = (side | {"key": np.char.decode(side["key"], "utf-8")} for side in sides)

    def excluded(self, row):
        """(m,) the database cameras whose pair with a query is excluded: use it neither as positive nor as negative."""
        params, sides, pairs = json.loads(self.attributes["params"]), (self.query, self.database), [True]
        gaps = {"frame": params.get("min_frame_gap"), "time_s": params.get("min_time_gap_s")}
        if not any(gaps.values()) and not params.get("other_sequence"):
            return np.zeros(len(self.database["key"]), bool)
        if all("sequence" in side for side in sides):
            names = sides[0]["sequence"][row], sides[1]["sequence"]
            pairs.append((names[0] == names[1]) & (names[1] != b"") & (names[1] == names[1]))
        for column, gap in gaps.items():
            if gap is not None:
                pairs.append(np.abs(sides[0][column][row].astype(float) - sides[1][column].astype(float)) < gap)
        return np.logical_and.reduce(np.broadcast_arrays(*pairs, self.database["status"])[:-1])

    def row(self, row, measure=None):
        """(m,) ψ of a query to all database cameras. 0: ψ ≤ min_value, a true negative. NaN: unknown, never use it.

        The ψ of an excluded pair is among them; train and score without those.
        """
        known = (self.query["status"][row] == 0) & (self.database["status"] == 0)
        psi = np.where(known, 0.0, np.nan)
        part = slice(*self.indptr[row : row + 2])
        columns, values = self.columns[part], self.values[part].astype(float)
        extents = self.query["extent"][row], self.database["extent"][columns]
        psi[columns] = convert(values, *extents, self.attributes["measure"], measure or self.attributes["measure"])
        if self.attributes["self_pairs"] and known[row]:
            psi[row] = 1.0  # by definition, so it is not stored
        return psi


def convert(psi, a, b, source, target):
    """ψ of measure `source` as `target`; a and b are the extents of the query and of the database camera."""
    if source == target:
        return psi
    if not {source, target} <= {"iou", "overlap", "dice"}:
        raise ValueError(f"{source} cannot become {target}: only iou, overlap and dice become each other")
    if {source, target} == {"iou", "dice"}:
        a = b = 1.0  # what they are does not matter here, and they may be missing
    common = {"iou": psi * (a + b) / (1 + psi), "overlap": psi * a, "dice": psi * (a + b) / 2}[source]
    return {"iou": common / (a + b - common), "overlap": common / a, "dice": 2 * common / (a + b)}[target].clip(0, 1)


if __name__ == "__main__":
    path, *chosen = sys.argv[1:] or sys.exit(__doc__)
    for name in chosen[:1] or collections(path):
        labels = Labels(path, name)
        print(f"{name}: {len(labels.query['key'])} x {len(labels.database['key'])} cameras, {labels.attributes}")
    if chosen[1:]:
        psi = labels.row(labels.query["key"].tolist().index(chosen[1]))
        for best in np.argsort(-psi)[: (psi > 0).sum()]:
            print(f"{psi[best]:.6f}  {labels.database['key'][best]}")
        print(f"{(psi == 0).sum()} true negatives, {np.isnan(psi).sum()} unknown")
