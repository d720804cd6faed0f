"""Recompute a sample of a label file with the slow oracle, from the dataset if it is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from relabel.cameras import Cameras
from relabel.datasets.tables import rows_of
from relabel.errors import InputError, LabelFileError, OptionError
from relabel.geometry.earth import LAT, LON, is_geodesic, lon_lat, points, with_lon_lat
from relabel.labelfile import LabelFile, StoredCollection, provenance, validate
from relabel.pipeline import occluding
from relabel.pipeline.parts import Bar, part_of_record
from relabel.reference import fov as reference
from relabel.reference import noise as expectation
from relabel.reference import occlusion
from relabel.reference.geodesic import on_planes

IntArray = npt.NDArray[np.int64]

SECTOR_TOLERANCE = 1e-5
"""What 2,880 chords instead of an arc change in ψ, and float32, with room to spare."""
NOISE_TOLERANCE = 0.01
"""What the nodes of an expected ψ are off at the most under strong noise, and the samples of the oracle."""
POLYGON_TOLERANCE = 1e-6
"""What float32 changes in ψ, with room to spare; the oracle takes the very same polygons."""
_SHOWN = 5
_STEP = 50  # pairs between two steps of a progress bar


class Pairs(NamedTuple):
    """A sample of pairs: (m,) row and column numbers, and the stored ψ, 0 where the pair is absent."""

    rows: IntArray
    columns: IntArray
    values: npt.NDArray[np.float64]


@dataclass
class Verification:
    """What was recomputed and what came out.

    Attributes
    ----------
    checked:
        pairs recomputed, stored and absent.
    max_abs_diff:
        largest difference of ψ; of an absent pair, by how much it exceeds `min_value`.
    mismatches:
        pairs whose difference is beyond the tolerance, cameras that differ from the dataset, and input files that are
        not those that were labelled.
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

    def found(self, count: int, text: str) -> None:
        """Count mismatches that one text tells of."""
        self.mismatches += count
        self.findings.append(text)


def verify(
    path: Path,
    root: Path | None = None,
    *,
    sample: int = 1000,
    seed: int = 0,
    bar: Bar | None = None,
    mask: Path | None = None,
    occluders: Path | None = None,
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
    bar:
        makes a progress bar over the pairs of a collection.
    mask:
        the mask that the file was made with, where it lies neither under `root` nor beside the file.
    occluders:
        likewise the footprints that cut the fields of view.

    Raises
    ------
    InputError
        when the file was not made by a measure that can be recomputed, its provenance does not lead to `root`, or its
        mask or footprints are not found.
    LabelFileError, DatasetNotFoundError
        when the file is not valid, or the dataset cannot be read.
    """
    if sample < 1:
        raise OptionError(f"sample is {sample}; at least one pair has to be checked")
    labels = LabelFile(path)
    faults = [finding for finding in validate(path).findings if finding.severity == "error"]
    if faults:
        raise LabelFileError(
            f"{path}: is damaged ({faults[0].path}: {faults[0].message}); `relabel validate` lists all that is wrong"
        )
    if mask is not None:
        if root is None:
            raise OptionError("a mask says which cameras of the dataset were left out; give --root as well")
        if not any("mask" in labels[name].params for name in labels):
            raise InputError(f"{path}: was made without a mask; leave out --mask")
    if occluders is not None and not any("occluders" in labels[name].params for name in labels):
        raise InputError(f"{path}: was made without anything in the way; leave out --occluders")
    result = Verification()
    records = labels.provenance()
    for number, name in enumerate(labels):
        stored = labels[name]
        options = _options(stored)
        inputs = [entry for record in records for entry in record["inputs"]]
        scene, fault = occluding.scene(stored, occluders, root, inputs)
        if fault is not None:
            result.found(1, fault)
        oracle = expectation.pair_overlap if _noise(stored) else reference.pair_overlap
        if scene is not None:
            oracle = partial(occlusion.pair_overlap, scene)
        turned_most = float(stored.params.get("max_heading_difference_deg", 180.0))
        query, database = stored.query, stored.database
        if root is not None:
            fresh = _read_again(stored, records, root, result, mask)
            query, database = (
                _compared(f"{name}/{side}", ours, theirs, result)
                for side, ours, theirs in (("queries", query, fresh[0]), ("database", database, fresh[1]))
            )
        pairs = _sample(stored, sample, np.random.default_rng([seed, number]))
        # A camera that the dataset says cannot be labelled has been told of already, and has no ψ to compare with.
        known = query.ok[pairs.rows] & database.ok[pairs.columns]
        pairs = Pairs(pairs.rows[known], pairs.columns[known], pairs.values[known])
        with bar(name, len(pairs.rows)) if bar is not None else nullcontext(_no_progress) as progress:
            expected = np.empty(len(pairs.rows))
            for start in range(0, len(expected), _STEP):
                part = slice(start, start + _STEP)
                sides, places = _planar(stored, query, database, pairs.rows[part], pairs.columns[part])
                expected[part] = oracle(*sides, *places, **options)
                expected[part][~expectation.alike(*sides, *places, turned_most)] = 0.0
                progress(len(expected[part]))
        _check(stored, pairs, expected, result)
    return result


def _planar(
    stored: StoredCollection, query: Cameras, database: Cameras, rows: IntArray, columns: IntArray
) -> tuple[tuple[Cameras, Cameras], tuple[IntArray, IntArray]]:
    """The cameras of pairs on a plane, and which of them are the pairs: those that there are unless given on earth."""
    if not is_geodesic(stored.params):
        return (query, database), (rows, columns)
    pairs = np.arange(len(rows))
    return on_planes(query, database, (lon_lat(query), lon_lat(database)), rows, columns), (pairs, pairs)


def _no_progress(_: int) -> None:
    pass


def _options(stored: StoredCollection) -> dict[str, Any]:
    """What the oracle has to be told besides the cameras."""
    where = f"{stored.path}::{stored.name}"
    if not stored.method.startswith("fov-"):
        raise InputError(f"{where}: {stored.method} labels cannot be recomputed; only fields of view can")
    options: dict[str, Any] = {"measure": stored.measure}
    wanted = {name for name in ("fov_deg", "radius_m") if any(getattr(s, name) is None for s in _sides(stored))}
    if stored.method == "fov-polygon":
        wanted.add("arc")
    wanted |= {name for name in _noise(stored) if stored.params[name] != "per camera"}
    for name in sorted(wanted):
        value = stored.params.get(name)
        if not isinstance(value, int | float):
            raise InputError(f"{where}: its params do not tell {name}, so that ψ cannot be recomputed")
        options["segments" if name == "arc" else name] = value
    return options


def _noise(stored: StoredCollection) -> list[str]:
    """The standard deviations under which ψ is an expected value."""
    return [name for name in ("heading_sigma_deg", "position_sigma_m") if name in stored.params]


def _sides(stored: StoredCollection) -> tuple[Cameras, Cameras]:
    return stored.query, stored.database


def _read_again(
    stored: StoredCollection, records: list[dict[str, Any]], root: Path, result: Verification, mask: Path | None
) -> tuple[Cameras, Cameras]:
    record = next((r for r in records if stored.name in _names(r["parameters"])), None)
    part = None if record is None else part_of_record(record, root, masks=_masks(stored, mask))
    if record is None or part is None:
        raise InputError(
            f"{stored.path}::{stored.name}: its provenance does not say how to read the dataset again; leave out "
            "--root to check ψ against the cameras that the file holds"
        )
    city = part.read()
    # Not by path: the root may be given as the folder above or below the one that was labelled.
    now = {entry["sha256"] for entry in provenance.describe(root, city.files, outside=True)}
    now |= {known["sha256"] for known in (stored.params.get("occluders"),) if isinstance(known, dict)}
    for entry in record["inputs"]:
        if entry["sha256"] not in now:
            result.found(1, f"{stored.name}: {entry['path']} is not the file that was labelled (its sha256 differs)")
    if city.geographic is None:
        return city.query, city.database
    query, database = (with_lon_lat(*side) for side in zip((city.query, city.database), city.geographic, strict=True))
    return query, database


def _masks(stored: StoredCollection, told: Path | None) -> tuple[Path, ...]:
    """Where the mask of a collection may be besides its root: where it was told, or beside the label file."""
    known = stored.params.get("mask")
    if not isinstance(known, dict):
        return ()
    return (Path(stored.path).parent / str(known.get("name")),) if told is None else (told,)


def _names(parameters: Mapping[str, Any]) -> set[object]:
    """Under which parameters say the name of the collection that they made."""
    return {parameters.get("collection"), parameters.get("city")}


def _compared(where: str, ours: Cameras, theirs: Cameras, result: Verification) -> Cameras:
    """Compare every camera of the file with the dataset's of the same key, and return it as the dataset has it."""
    rows = rows_of(theirs.key, ours.key)
    there = np.flatnonzero(rows >= 0)
    rows = rows[there]
    both = (ours, theirs)
    own = [name for name in ("fov_deg", "radius_m") if all(getattr(c, name) is not None for c in both)]
    on_earth = [name for name in (LON, LAT) if all(name in c.extra for c in both)]
    held, read = (
        np.column_stack(
            [
                c.position[:, :2],
                c.heading_deg,
                c.status,
                *(getattr(c, name) for name in own),
                *(c.extra[name] for name in on_earth),
            ]
        )
        for c in both
    )
    old, new = held[there], read[rows]
    differs = ((old != new) & ~(np.isnan(old) & np.isnan(new))).any(axis=1)
    held[there] = new
    for what, keys in (
        ("of the file are not in the dataset", np.delete(ours.key, there)),
        ("differ from the dataset in position, heading or status", ours.key[there[differs]]),
        ("of the dataset are not in the file", np.delete(theirs.key, rows)),
    ):
        if len(keys):
            shown = ", ".join(str(key) for key in keys[:_SHOWN])
            more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
            result.found(len(keys), f"{where}: {len(keys):,} camera(s) {what}: {shown}{more}")
    return replace(
        ours,
        position=held[:, :2],
        heading_deg=held[:, 2],
        status=held[:, 3].astype(np.uint8),
        extra={**ours.extra, **dict(zip(on_earth, held.T[4 + len(own) :], strict=True))},
        **dict(zip(own, held.T[4 : 4 + len(own)], strict=True)),
    )


def _sample(stored: StoredCollection, size: int, rng: np.random.Generator) -> Pairs:
    """Pairs of two OK cameras, half of them stored; where there are too few of one kind, more of the other."""
    matrix = stored.to_scipy()
    absent = _absent(stored, matrix, size - min((size + 1) // 2, matrix.nnz), rng)
    at = np.sort(rng.choice(matrix.nnz, min(size - len(absent), matrix.nnz), replace=False))
    rows = np.searchsorted(matrix.indptr, at, side="right") - 1
    return Pairs(
        np.concatenate([rows, absent[:, 0]]),
        np.concatenate([matrix.indices[at].astype(np.int64), absent[:, 1]]),
        np.concatenate([matrix.data[at].astype(np.float64), np.zeros(len(absent))]),
    )


def _absent(stored: StoredCollection, matrix: Any, size: int, rng: np.random.Generator) -> IntArray:
    """(m, 2) pairs that are not stored; three in four of them near each other, as far as there are such."""
    query, database = np.flatnonzero(stored.query.ok), np.flatnonzero(stored.database.ok)
    found: dict[tuple[int, int], None] = {}
    if len(query) and len(database):
        query_at, database_at = (points(side, stored.params) for side in _sides(stored))
        tree = cKDTree(database_at[database])
        reach = 2.0 * _radius(stored)
        for attempt in range(20 * size):
            if len(found) >= size:
                break
            i = int(rng.choice(query))
            near = tree.query_ball_point(query_at[i], reach) if attempt % 4 else []
            j = int(database[rng.choice(near)]) if len(near) else int(rng.choice(database))
            row = matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]
            if j not in row and not (stored.self_pairs and i == j):
                found[i, j] = None
    return np.array(list(found), dtype=np.int64).reshape(-1, 2)


def _radius(stored: StoredCollection) -> float:
    """The longest range of any camera."""
    ranges = [side.radius_m[side.ok].max() for side in _sides(stored) if side.radius_m is not None]
    if len(ranges) < 2:
        ranges.append(stored.params["radius_m"])
    return float(max(ranges))


def _check(stored: StoredCollection, pairs: Pairs, expected: npt.NDArray[np.float64], result: Verification) -> None:
    tolerance = POLYGON_TOLERANCE if stored.method == "fov-polygon" else SECTOR_TOLERANCE
    if _noise(stored):
        tolerance = NOISE_TOLERANCE
    difference = np.abs(expected - pairs.values)
    # An absent pair says no more than: up to min_value.
    difference[pairs.values == 0.0] -= stored.min_value
    difference = difference.clip(min=0.0)
    wrong = np.flatnonzero(difference > tolerance)
    result.checked += len(expected)
    result.max_abs_diff = max(result.max_abs_diff, float(difference.max(initial=0.0)))
    result.mismatches += len(wrong)
    for k in wrong[:_SHOWN]:
        had = f"{pairs.values[k]:.6f}" if pairs.values[k] else "no value"
        pair = f"{stored.query.key[pairs.rows[k]]} / {stored.database.key[pairs.columns[k]]}"
        result.findings.append(f"{stored.name}: {pair}: the file has {had}, recomputed {expected[k]:.6f}")
