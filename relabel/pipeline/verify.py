"""Recompute a sample of a label file with the slow oracle, from the dataset if it is at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from relabel.cameras import Cameras
from relabel.errors import InputError, OptionError
from relabel.labelfile import LabelFile, StoredCollection, provenance
from relabel.pipeline.parts import part_of_record
from relabel.reference import fov as reference

SECTOR_TOLERANCE = 1e-5
"""What 2,880 chords instead of an arc change in ψ, and float32, with room to spare."""
POLYGON_TOLERANCE = 1e-6
"""What float32 changes in ψ, with room to spare; the oracle takes the very same polygons."""
_SHOWN = 5


@dataclass
class Verification:
    """What was recomputed and what came out.

    Attributes
    ----------
    checked:
        pairs recomputed, stored and absent.
    max_abs_diff:
        largest difference of ψ, with an absent pair counted as 0.
    mismatches:
        pairs whose difference is beyond the tolerance, and cameras that differ from the dataset.
    findings:
        a text for each thing that is wrong, the first few of a kind.
    """

    checked: int = 0
    max_abs_diff: float = 0.0
    mismatches: int = 0
    findings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "checked": self.checked,
            "max_abs_diff": self.max_abs_diff,
            "mismatches": self.mismatches,
            "findings": self.findings,
        }


def verify(
    path: Path,
    root: Path | None = None,
    *,
    sample: int = 1000,
    seed: int = 0,
    progress: Callable[[str, int], Callable[[int], object]] | None = None,
) -> Verification:
    """Compare a label file with its dataset and with shapely.

    Half of the sample are stored pairs, half are pairs that are absent between two cameras whose status is OK, most of
    them near each other.

    Parameters
    ----------
    path:
        the label file.
    root:
        the dataset it was made from; without it the cameras are taken from the file, and only ψ is checked.
    sample:
        pairs for each collection.
    seed:
        same seed, same sample.

    Raises
    ------
    InputError
        when the file was not made by a measure that can be recomputed, or its provenance does not lead to `root`.
    LabelFileError, DatasetNotFoundError
        when the file or the dataset cannot be read.
    """
    if sample < 1:
        raise OptionError(f"sample is {sample}; at least one pair has to be checked")
    result = Verification()
    labels = LabelFile(path)
    records = labels.provenance()
    for number, name in enumerate(labels):
        stored = labels[name]
        if not stored.method.startswith("fov-"):
            raise InputError(f"{path}::{name}: {stored.method} labels cannot be recomputed; only fields of view can")
        query, database = stored.query, stored.database
        if root is not None:
            fresh = _read_again(path, name, records, root, result)
            for side, ours, theirs in (("query", query, fresh[0]), ("database", database, fresh[1])):
                _compare_cameras(f"{name}/{side}", ours, theirs, result)
            query, database = _in_order(query, fresh[0]), _in_order(database, fresh[1])
        rng = np.random.default_rng([seed, number])
        _check_pairs(stored, query, database, _sample(stored, sample, rng), result)
        if progress is not None:
            progress(name, sample)
    return result


def _read_again(
    path: Path, name: str, records: list[dict[str, Any]], root: Path, result: Verification
) -> tuple[Cameras, Cameras]:
    record = next((r for r in records if r.get("parameters", {}).get("city") == name), None)
    part = None if record is None else part_of_record(record, root)
    if record is None or part is None:
        raise InputError(
            f"{path}::{name}: its provenance does not say how to read the dataset again; leave out --root to check ψ "
            "against the cameras that the file holds"
        )
    city = part.read()
    now = {entry["path"]: entry for entry in provenance.describe(root, city.files)}
    for entry in record["inputs"]:
        if now.get(entry["path"], {}).get("sha256") != entry["sha256"]:
            result.findings.append(f"{name}: {entry['path']} is not the file that was labelled (its sha256 differs)")
    return city.query, city.database


def _compare_cameras(where: str, ours: Cameras, theirs: Cameras, result: Verification) -> None:
    """Every camera of the file against the dataset's, joined by key."""
    order = np.argsort(theirs.key)
    place = np.searchsorted(theirs.key, ours.key, sorter=order).clip(max=max(len(theirs) - 1, 0))
    match = order[place] if len(theirs) else np.zeros(len(ours), np.int64)
    there = theirs.key[match] == ours.key if len(theirs) else np.zeros(len(ours), bool)
    same = there.copy()
    for name in ("position", "heading_deg", "status"):
        a, b = getattr(ours, name)[there], getattr(theirs, name)[match[there]]
        equal = (a == b) | (np.isnan(a) & np.isnan(b)) if a.dtype.kind == "f" else a == b
        same[there] &= equal.reshape(len(a), -1).all(axis=1)
    missing = len(theirs) - int(there.sum())
    for what, rows in (("is not in the dataset", ~there), ("differs from the dataset", there & ~same)):
        count = int(rows.sum())
        if count:
            keys = ", ".join(str(key) for key in ours.key[rows][:_SHOWN])
            result.findings.append(f"{where}: {count:,} camera(s): {keys}{' …' if count > _SHOWN else ''} {what}")
    if missing:
        result.findings.append(f"{where}: {missing:,} camera(s) of the dataset are not in the file")
    result.mismatches += int((~same).sum()) + missing


def _in_order(ours: Cameras, theirs: Cameras) -> Cameras:
    """The dataset's cameras in the order of the file; the file's own where the dataset does not have them all."""
    order = np.argsort(theirs.key)
    place = order[np.searchsorted(theirs.key, ours.key, sorter=order).clip(max=max(len(theirs) - 1, 0))]
    return theirs.take(place) if np.array_equal(theirs.key[place], ours.key) else ours


def _sample(
    stored: StoredCollection, size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Rows, columns and stored values (0 for absent) of pairs of two OK cameras."""
    matrix = stored.to_scipy()
    at = np.sort(rng.choice(matrix.nnz, min((size + 1) // 2, matrix.nnz), replace=False))
    rows = np.searchsorted(matrix.indptr, at, side="right") - 1
    columns = matrix.indices[at].astype(np.int64)
    values = matrix.data[at].astype(np.float64)
    more_rows, more_columns = _absent(stored, matrix, size - len(at), rng)
    return (
        np.concatenate([rows, more_rows]),
        np.concatenate([columns, more_columns]),
        np.concatenate([values, np.zeros(len(more_rows))]),
    )


def _absent(
    stored: StoredCollection, matrix: Any, size: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs that are not stored; three in four of them near each other, as far as there are such."""
    query, database = np.flatnonzero(stored.query.ok), np.flatnonzero(stored.database.ok)
    if not len(query) or not len(database):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    tree = cKDTree(stored.database.position[database, :2])
    reach = 2.0 * _radius(stored)
    found: dict[tuple[int, int], None] = {}
    for attempt in range(20 * size):
        if len(found) >= size:
            break
        i = int(rng.choice(query))
        near = tree.query_ball_point(stored.query.position[i, :2], reach) if attempt % 4 else []
        j = int(database[rng.choice(near)]) if len(near) else int(rng.choice(database))
        row = matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]
        if j not in row and not (stored.self_pairs and i == j):
            found[i, j] = None
    pairs = np.array(list(found), dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _radius(stored: StoredCollection) -> float:
    own = [side.radius_m.max() for side in (stored.query, stored.database) if side.radius_m is not None and len(side)]
    default = stored.params.get("radius_m")
    return float(max([*own, default] if isinstance(default, int | float) else own))


def _check_pairs(stored: StoredCollection, query: Cameras, database: Cameras, pairs: Any, result: Verification) -> None:
    rows, columns, values = pairs
    polygon = stored.method == "fov-polygon"
    options = {name: stored.params[name] for name in ("fov_deg", "radius_m") if stored.params[name] != "per camera"}
    segments = stored.params["arc"] if polygon else reference.SEGMENTS
    expected = reference.pair_overlap(
        query, database, rows, columns, measure=stored.measure, segments=segments, **options
    )
    tolerance = POLYGON_TOLERANCE if polygon else SECTOR_TOLERANCE
    # An absent pair says: up to min_value.
    difference = np.abs(expected - values)
    allowed = np.where(values == 0.0, stored.min_value, 0.0)
    wrong = np.flatnonzero(~(difference <= tolerance + allowed))
    difference = np.where((values == 0.0) & (expected <= stored.min_value), 0.0, difference)
    result.checked += len(rows)
    result.mismatches += len(wrong)
    result.max_abs_diff = max(result.max_abs_diff, float(difference.max(initial=0.0)))
    for k in wrong[:_SHOWN]:
        had = f"{values[k]:.6f}" if values[k] else "no value"
        pair = f"{query.key[rows[k]]} / {database.key[columns[k]]}"
        result.findings.append(f"{stored.name}: {pair}: the file has {had}, recomputed {expected[k]:.6f}")
