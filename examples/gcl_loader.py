"""Labels for the official loader of the generalized contrastive loss, and what that loader reads of them.

python examples/gcl_loader.py LABELS.h5 amman ROOT
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

import relabel
from relabel.exchange.exporting import export


def pairs(root: Path, city: str, seed: int = 0) -> Iterator[tuple[str, str, float]]:
    """Query image, database image and ψ, one for each query that has a pair of the class drawn for it."""
    rng = np.random.default_rng(seed)
    folder = root / "train_val" / city
    sides = ("query", "database")
    query, database = (json.loads((folder / f"{side}.json").read_text())["im_paths"] for side in sides)
    tables = (np.genfromtxt(folder / side / "raw.csv", bool, delimiter=",", skip_header=1, ndmin=2) for side in sides)
    query_pano, database_pano = (table[:, -1] for table in tables)
    with h5py.File(root / "train_val" / f"{city}_gt.h5") as file:
        for row in sorted(rng.permutation(len(query))):
            psi = file["fov"][row]
            kind = rng.choice(3, p=[0.5, 0.25, 0.25])
            found = (psi >= 0.5, (psi > 0) & (psi < 0.5), psi == 0)[kind] & ~database_pano
            if found.any() and not query_pano[row]:
                column = rng.choice(np.flatnonzero(found))
                yield query[row], database[column], float(psi[column])


def main(labels: str, city: str, root: str) -> None:
    """Export a collection, without cameras that have no label, and draw pairs of it."""
    collection = relabel.LabelFile(labels)[city]
    for note in export({city: collection}, "gcl", Path(root) / "train_val", drop_unknown=True).notes:
        print(note, file=sys.stderr)
    for query, database, psi in pairs(Path(root), city):
        print(query, database, f"{psi:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
