"""The golden files of version 1.0: what is in them, and how to write them again.

All values follow from whole numbers by one line of arithmetic, so that no library's version can change them and
everybody can check them. Cameras of one place stand on the same spot, and places are further apart than they see, so
fields of view share what their angles share. No random numbers, no measured time.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
from scipy import sparse

from formats.golden.places import Row, pairs, street, turn
from formats.golden.surgery import NUMBERS, TEXTS, plain, seal, text
from relabel.cameras import Cameras, Status
from relabel.labelfile import schema, write
from relabel.similarity import Collection, Similarity

VERSION = "1.0"
WRITER = "relabel 0.1.0"
RECORD = {
    "software": {"name": "relabel", "version": "0.1.0"},
    "command": "formats/golden/make.py",
    "parameters": {"version": "v1.0"},
    "libraries": {},
    "inputs": [{"path": "train_val/amman/query/raw.csv", "bytes": 0, "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e"
                "4649b934ca495991b7852b855"}],
}  # fmt: skip
SECTOR_M2 = math.pi / 4 * 50.0**2
"""a sector of 90° and 50 m"""
FAN_M2 = 1960.3428065912121
"""16 · ½ · 50² · sin(90°/16): its 16 triangles; written out, since sin may differ in the last bit"""


def city() -> dict[str, Similarity]:
    """A city as relabel writes MSLS: sectors, all statuses, rows without pairs, a key that is not ASCII."""
    nan = math.nan
    query = street(
        [
            ("q-north", "market", 0.0, Status.OK),
            ("q-northeast", "market", 45.0, Status.OK),
            ("q-panorama", "market", nan, Status.PANORAMA),
            ("q-alone", "station", 90.0, Status.OK),
            ("q-no-heading", "market", nan, Status.NO_HEADING),
            ("q-no-position", None, 10.0, Status.NO_POSITION),
            ("q-no-pose", "hill", 20.0, Status.NO_POSE),
            ("q-bad-depth", "hill", 30.0, Status.BAD_DEPTH),
            ("q-masked", "market", 0.0, Status.MASKED),
            ("q-höhe", "hill", 350.0, Status.OK),
        ],
        extra={
            "frame": np.arange(10, dtype=np.int64),
            "night": np.arange(10) % 2 == 1,
            "sequence": np.array(["drive-1"] * 6 + ["drive-2"] * 4),
            "view_direction": np.array(["Forward"] * 9 + ["Sideways"]),
        },
    )
    database = street(
        [
            ("d-same", "market", 0.0, Status.OK),
            ("d-near", "market", 30.0, Status.OK),
            ("d-back", "market", 180.0, Status.OK),
            ("d-hill-10", "hill", 10.0, Status.OK),
            ("d-hill-80", "hill", 80.0, Status.OK),  # touches q-höhe in one edge: nothing in common
            ("d-panorama", "market", nan, Status.PANORAMA),
            ("d-masked", "market", 0.0, Status.MASKED),
            ("d-hill-60", "hill", 60.0, Status.OK),
        ]
    )

    def iou(i: int, j: int) -> float:
        delta = turn(query, database, i, j)
        return (90.0 - delta) / (90.0 + delta) if delta < 90.0 else 0.0

    params = {"shape": "sector", "fov_deg": 90.0, "radius_m": 50.0, "heading": "compass"}
    params["heading_faults"] = {"panoramas": 2, "non_finite": 1}
    extents = [np.where(c.ok, SECTOR_M2, nan) for c in (query, database)]
    collection = Collection(query, database, *extents, method="fov-sector", measure="iou", params=params)
    return {"amman": Similarity(collection, pairs(query, database, iou))}


def polygon() -> dict[str, Similarity]:
    """Fields of view as fans of 16 triangles, turned by whole triangles; the measure is dice."""
    step = 90.0 / 16
    query = street([(f"q{k}", "market", k * step, Status.OK) for k in (0, 3, 8)])
    database = street([(f"d{k}", "market", k * step, Status.OK) for k in (0, 1, 15, 16, 24)])
    collection = Collection(
        query,
        database,
        np.full(3, FAN_M2),
        np.full(5, FAN_M2),
        method="fov-polygon",
        measure="dice",
        params={"shape": "polygon", "fov_deg": 90.0, "radius_m": 50.0, "arc": 16, "heading": "compass"},
    )
    matrix = pairs(query, database, lambda i, j: max(0.0, (16 - turn(query, database, i, j) / step) / 16))
    return {"amman": Similarity(collection, matrix)}


def scene() -> dict[str, Similarity]:
    """A room of RGB-D frames with poses: self pairs, and queries of another split; extents are voxel counts."""
    turns = [((1, 0), (0, 1)), ((0, -1), (1, 0)), ((-1, 0), (0, -1)), ((0, 1), (-1, 0))]

    def frames(sequence: str, status: list[Status]) -> Cameras:
        n = len(status)
        pose = np.tile(np.eye(4), (n, 1, 1))
        for k in range(n):
            pose[k, :2, :2] = turns[k % 4]
            pose[k, :3, 3] = (k / 4, -k / 8, 1.5)
        pose[np.array(status) == Status.NO_POSE] = math.nan
        return Cameras(
            key=[f"{sequence}/frame-{k:06d}" for k in range(n)], position=pose[:, :3, 3], pose=pose, status=status
        )

    train = frames("seq-01", [Status.OK, Status.OK, Status.BAD_DEPTH, Status.OK, Status.NO_POSE, Status.OK])
    test = frames("seq-03", [Status.OK, Status.NO_POSE, Status.OK])
    counts = {"train": (400.0, 600.0, 0.0, 500.0, math.nan, 300.0), "test": (450.0, math.nan, 350.0)}
    extents = {name: np.array(values) for name, values in counts.items()}

    def similarity(query: str, cameras: Cameras, common: dict[tuple[int, int], int], **fields: Any) -> Similarity:
        def iou(i: int, j: int) -> float:
            shared = common.get((i, j), 0)
            return shared / (extents[query][i] + extents["train"][j] - shared)

        collection = Collection(
            cameras,
            train,
            extents[query],
            extents["train"],
            method="surface",
            measure="iou",
            params={"tolerance_m": 0.05},
            **fields,
        )
        return Similarity(collection, pairs(cameras, train, iou))

    inside = {(0, 1): 250, (1, 3): 320, (0, 5): 30}
    both = inside | {(j, i): shared for (i, j), shared in inside.items()}
    across = {(0, 0): 120, (0, 3): 450, (2, 5): 7}
    return {
        "redkitchen/train": similarity("train", train, both, self_pairs=True),
        "redkitchen/test-train": similarity("test", test, across),
    }


def overlap() -> dict[str, Similarity]:
    """Self pairs under the measure overlap, which are not symmetric: cameras bring their own angle and range."""
    fov = np.array([60.0, 90.0, 120.0, 180.0])
    radius = np.array([25.0, 50.0, 50.0, 100.0])
    heading = [30.0, 60.0, 150.0, 90.0]
    rows: list[Row] = [(f"c{k}", "market", heading[k], Status.OK) for k in range(4)]
    cameras = street(rows, fov_deg=fov, radius_m=radius)

    def share(i: int, j: int) -> float:
        low, high = (max, min)
        start, stop = (
            pick(heading[k] + side * fov[k] / 2 for k in (i, j)) for pick, side in ((low, -1), (high, 1))
        )  # fmt: skip
        return max(0.0, stop - start) * min(radius[i], radius[j]) ** 2 / (fov[i] * radius[i] ** 2)

    extent = fov / 360.0 * math.pi * radius**2
    params = {"shape": "sector", "fov_deg": "per camera", "radius_m": "per camera"}
    collection = Collection(
        cameras, cameras, extent, extent, method="fov-sector", measure="overlap", params=params, self_pairs=True
    )
    return {"square": Similarity(collection, pairs(cameras, cameras, share))}


def imported() -> dict[str, Similarity]:
    """Labels that somebody else made: nothing is known but keys and values, so cameras have no place."""

    def cameras(prefix: str, n: int) -> Cameras:
        status = [Status.OK] * (n - 1) + [Status.MASKED]
        position = np.full((n, 2), math.nan)
        return Cameras(key=[f"{prefix}{k}" for k in range(n)], position=position, status=status, posed=False)

    query, database = cameras("q", 4), cameras("d", 5)
    unknown = [np.full(len(side), math.nan) for side in (query, database)]
    collection = Collection(
        query, database, *unknown, method="imported", measure="unknown", params={"source": "gcl"}, min_value=0.0
    )
    return {"london": Similarity(collection, pairs(query, database, lambda i, j: (i * 4 + j) % 5 / 4))}


def excluded() -> dict[str, Similarity]:
    """A drive of six cameras that excludes pairs by each of the three rules; one camera has no sequence and no time."""
    sequence, time = np.array(["a", "a", "a", "b", "b", ""]), np.array([0.0, 0.5, 1.0, 1.5, 1.0, math.nan])
    columns = {"sequence": sequence, "frame": np.array([0, 1, 5, 0, 2, 0]), "time_s": time}
    extent = np.full(6, SECTOR_M2)

    def drive(names: tuple[str, ...], **rule: Any) -> Similarity:
        rows: list[Row] = [(f"c{k}", "market", 20.0 * k, Status.MASKED if k == 4 else Status.OK) for k in range(6)]
        cameras = street(rows, extra={name: columns[name] for name in names})
        params = {"shape": "sector", "fov_deg": 90.0, "radius_m": 50.0, **rule}
        collection = Collection(
            cameras, cameras, extent, extent, method="fov-sector", measure="iou", params=params, self_pairs=True
        )

        def iou(i: int, j: int) -> float:
            return max(0.0, (90.0 - 20.0 * abs(i - j)) / (90.0 + 20.0 * abs(i - j)))

        return Similarity(collection, pairs(cameras, cameras, iou))

    return {
        "by-frame": drive(("sequence", "frame"), min_frame_gap=5),
        "by-sequence": drive(("sequence",), other_sequence=True),
        "by-time": drive(("time_s",), min_time_gap_s=1.0),
        "by-time-in-sequences": drive(("sequence", "time_s"), min_time_gap_s=1.0),
    }


def columns() -> dict[str, Similarity]:
    """Further columns of every type that the format has."""
    extra: dict[str, Any] = {
        "path": np.array(["seq/1.png", "", "seq/größe 3.png"]),
        "tags": np.array([["day", "dry"], ["night", ""], ["", "wet"]]),
        "night": np.array([False, True, False]),
        "velocity": np.arange(9, dtype=np.float32).reshape(3, 3) / 8,
        "höhe": np.array([0.5, math.inf, -math.inf]),
    }
    extra |= {
        f"{kind}{8 * size}": np.array([0, 1, np.iinfo(f"{kind[0]}{size}").max], f"{kind[0]}{size}")
        for kind in ("int", "uint")
        for size in (1, 2, 4, 8)
    }
    extra |= {f"float{8 * size}": np.array([0.0, 0.5, -2.0], f"f{size}") for size in (2, 4, 8)}
    cameras = street([(f"c{k}", "market", 30.0 * k, Status.OK) for k in range(3)], extra=extra)
    extent = np.full(3, SECTOR_M2)
    collection = Collection(
        cameras,
        cameras,
        extent,
        extent,
        method="fov-sector",
        measure="iou",
        params={"shape": "sector", "fov_deg": 90.0, "radius_m": 50.0},
        self_pairs=True,
    )

    def iou(i: int, j: int) -> float:
        return (90.0 - 30.0 * abs(i - j)) / (90.0 + 30.0 * abs(i - j))

    return {"columns": Similarity(collection, pairs(cameras, cameras, iou))}


def empty() -> dict[str, Similarity]:
    """Nothing: no queries, no cameras at all, and cameras that have nothing in common."""
    some = street([("d0", "market", 0.0, Status.OK), ("d1", "hill", 0.0, Status.OK)])
    other = street([("q0", "station", 0.0, Status.OK)])
    none = street([])
    params = {"shape": "sector", "fov_deg": 90.0, "radius_m": 50.0}

    def nothing(query: Cameras, database: Cameras) -> Similarity:
        extents = [np.full(len(side), SECTOR_M2) for side in (query, database)]
        if query is database:
            extents[1] = extents[0]
        collection = Collection(
            query,
            database,
            *extents,
            method="fov-sector",
            measure="iou",
            params=params,
            self_pairs=query is database,
        )
        return Similarity(collection, sparse.csr_array((len(query), len(database)), dtype=np.float32))

    return {"no-queries": nothing(none, some), "no-cameras": nothing(none, none), "no-pairs": nothing(other, some)}


SOURCES = {
    "city.h5": city,
    "polygon.h5": polygon,
    "scene.h5": scene,
    "overlap.h5": overlap,
    "imported.h5": imported,
    "columns.h5": columns,
    "excluded.h5": excluded,
    "empty.h5": empty,
}


def written(path: Path, sources: dict[str, Similarity]) -> Path:
    """Write a file as version 1.0 and relabel 0.1.0 wrote it, whatever both are now."""
    with mock.patch.multiple(schema, FORMAT_VERSION=VERSION, WRITER=WRITER):
        return write(path, sources, provenance=[RECORD], overwrite=True, threads=1)


SHARDED = {"amman": (city, 4), "redkitchen/train": (scene, 2), "redkitchen/test-train": (scene, 3)}
"""the collections of ``sharded.labels``: where they come from, and how many rows a shard has"""


def sharded(folder: Path) -> None:
    """Collections in shards, by code of its own: the rows of each as files, and the manifest that makes a whole."""
    folder.mkdir(exist_ok=True)
    collections = {}
    with tempfile.TemporaryDirectory() as place:
        for name, (recipe, size) in SHARDED.items():
            whole = recipe()[name]
            written(Path(place) / "whole.h5", {name: whole})
            with h5py.File(Path(place) / "whole.h5") as file:
                kept = {key: plain_value(file[name].attrs[key]) for key in (*TEXTS, *NUMBERS, "min_value")}
                digest = plain_value(file[name].attrs["content_sha256"])
            n, m = whole.shape
            shards = []
            for first in range(0, n, size):
                path = folder / f"{name.replace('/', '-')}-{first // size:05d}.h5"
                rows = slice(first, min(first + size, n))
                written(path, {name: rows_of(whole, rows)})
                with h5py.File(path) as file:
                    carried = plain_value(file.attrs["content_sha256"])
                shards.append(
                    {
                        "path": path.name,
                        "bytes": path.stat().st_size,
                        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                        "content_sha256": carried,
                        "rows": [rows.start, rows.stop],
                        "nnz": int(whole.matrix[rows].nnz),
                    }
                )
            collections[name] = {"attributes": kept, "shape": [n, m], "content_sha256": digest, "shards": shards}
        records = [canonical(RECORD)]
        header = {"format": "relabel.labels", "format_version": VERSION, "writer": WRITER}
        names = {name: entry["content_sha256"] for name, entry in collections.items()}
        sums = [hashlib.sha256(record.encode()).hexdigest() for record in records]
        digest = hashlib.sha256(canonical({**header, "collections": names, "provenance": sums}).encode()).hexdigest()
    manifest = header | {"format": "relabel.shards", "content_sha256": digest}
    manifest |= {"collections": collections, "provenance": records}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")


def canonical(value: object) -> str:
    """Canonical JSON, as section 6 has it."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plain_value(value: Any) -> Any:
    """An attribute as JSON has it."""
    return value.decode() if isinstance(value, bytes) else value.item()


def rows_of(whole: Similarity, rows: slice) -> Similarity:
    """Some rows as a shard holds them: not as self pairs, but with the pair of each ok camera with itself."""
    c = whole.collection
    dense = whole.matrix.toarray()
    if c.self_pairs:
        np.fill_diagonal(dense, c.query.ok)
    columns = ("key", "position", "heading_deg", "fov_deg", "radius_m", "pose", "status")
    values = {name: value[rows] for name in columns if (value := getattr(c.query, name)) is not None}
    extra = {name: column[rows] for name, column in c.query.extra.items()}
    query = replace(c.query, **values, extra=extra)
    part = replace(c, query=query, query_extent=c.query_extent[rows], self_pairs=False)
    return Similarity(part, sparse.csr_array(dense[rows]))


def newer(path: Path) -> None:
    """A city as a later minor version may write it: with attributes, groups, datasets and a status not known yet."""
    with h5py.File(path, "r+", libver=("v110", "v110")) as file:
        file.attrs["format_version"] = text("1.7")
        file.attrs["licence"] = text("CC0-1.0")
        file.create_group("index").create_dataset("0000", data=np.arange(3), track_times=False)
        group = file["amman"]
        group.attrs["weather"] = text("dry")
        group.attrs["method"] = text("fov-cone")
        group.create_dataset("landmarks", data=np.zeros((2, 3)), track_times=False)
        group["queries"].create_group("thumbnails")
        group["queries"].create_dataset("tilt_deg", data=np.zeros(10), track_times=False)
        status = group["queries/status"][()]
        status[np.flatnonzero(status == Status.MASKED)] = 7
        del group["queries/status"]
        members = {**{known.label: int(known) for known in Status}, "underwater": 7}
        group["queries"].create_dataset(
            "status", data=status, dtype=h5py.enum_dtype(members, basetype="u1"), track_times=False
        )
        seal(file)


def make(folder: Path) -> None:
    """Write all valid files of the version into a folder."""
    for name, sources in SOURCES.items():
        written(folder / name, sources())
    written(folder / "newer-minor.h5", city())
    newer(folder / "newer-minor.h5")
    sharded(folder / "sharded.labels")
    with tempfile.TemporaryDirectory() as place:
        plain(written(Path(place) / "scene.h5", scene()), folder / "other-writer.h5", variable=True)
