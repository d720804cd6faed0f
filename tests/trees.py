"""Tiny dataset trees with any fault, for tests of the readers and of the commands.

root = msls_tree(tmp_path)                                  # one city, six queries and six database images
edit(root / "train_val/amman/query/raw.csv", "90.0", "abc")  # and a fault in it
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.io
from PIL import Image

Row = dict[str, Any]

COLUMNS = {
    "raw": ("key", "lon", "lat", "ca", "captured_at", "pano"),
    "postprocessed": ("key", "easting", "northing", "unique_cluster", "control_panel", "night", "view_direction"),
    "seq_info": ("key", "sequence_key", "frame_number"),
    "subtask_index": ("key", "all", "s2w", "w2s", "o2n", "n2o", "d2n", "n2d"),
}
AMMAN = (35.9, 31.95)
MELBOURNE = (144.96, -37.81)


def street(
    n: int = 6, *, prefix: str = "q", start: tuple[float, float] = AMMAN, step_m: float = 10.0, **columns: Any
) -> list[Row]:
    """The rows of n cameras that drive due grid east and look there, all columns of all files in each.

    Keys are q0, q1, …; `start` is longitude and latitude; `columns` replaces a value in every row.
    """
    pyproj = pytest.importorskip("pyproj")
    zone = int((start[0] + 180) // 6) + 1
    utm = pyproj.Proj(proj="utm", zone=zone, ellps="WGS84")  # without "south": negative northings, as MSLS has them
    east, north = utm(*start)
    rows = []
    for i in range(n):
        lon, lat = utm(east + i * step_m, north, inverse=True)
        row: Row = dict.fromkeys(COLUMNS["subtask_index"], True)
        row |= {"key": f"{prefix}{i}", "lon": lon, "lat": lat, "ca": 90.0, "captured_at": "2018-05-11", "pano": False}
        row |= {"easting": east + i * step_m, "northing": north, "unique_cluster": i, "control_panel": False}
        row |= {"night": False, "view_direction": "Forward", "sequence_key": f"{prefix}-drive", "frame_number": i}
        rows.append(row | columns)
    return rows


def msls_tree(
    root: Path,
    *,
    query: Sequence[Row] | None = None,
    database: Sequence[Row] | None = None,
    city: str = "amman",
    split: str = "train_val",
    without: Collection[str] = (),
    newline: str = "\n",
    bom: bool = False,
) -> Path:
    """Write one city of an MSLS tree and return the root; call again with another city to add to it.

    `without` leaves files out: ``raw`` on both sides, ``query/raw`` on one.
    """
    sides = {"query": street() if query is None else query, "database": database}
    if database is None:
        sides["database"] = street(prefix="d")
    for side, rows in sides.items():
        folder = Path(root) / split / city / side
        folder.mkdir(parents=True, exist_ok=True)
        for name, columns in COLUMNS.items():
            if name not in without and f"{side}/{name}" not in without:
                write_csv(folder / f"{name}.csv", rows or [], columns, newline=newline, bom=bom)
    return Path(root)


def parquet_with_views(path: Path, table: pa.Table) -> Path:
    """A Parquet file with columns of views; the test is skipped where the version of Arrow can only read them."""
    try:
        pyarrow.parquet.write_table(table, path)
    except pa.ArrowNotImplementedError:
        pytest.skip(f"pyarrow {pa.__version__} cannot write views")
    return path


def write_csv(
    path: Path, rows: Sequence[Row], columns: Sequence[str], *, newline: str = "\n", bom: bool = False
) -> None:
    """A file as pandas writes it: an index without a name first, True and False as text, an empty cell for None."""
    lines = [",".join(["", *columns])]
    for i, row in enumerate(rows):
        lines.append(",".join([str(i), *("" if row[c] is None else str(row[c]) for c in columns)]))
    text = newline.join(lines) + newline
    path.write_bytes(text.encode("utf-8-sig" if bom else "utf-8"))


def edit(path: Path, old: str, new: str, *, count: int = 1) -> None:
    """Replace the first `count` occurrences of `old` in a file; fails if there are fewer."""
    text = path.read_bytes().decode()
    assert old in text, f"{old!r} is not in {path}"
    path.write_bytes(text.replace(old, new, count).encode())


def reverse_rows(path: Path) -> None:
    """Reverse the order of the rows below the header."""
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(lines)]) + "\n")


def drop_column(path: Path, name: str) -> None:
    """Remove a column by name."""
    lines = [line.split(",") for line in path.read_text().splitlines()]
    at = lines[0].index(name)
    path.write_text("\n".join(",".join(line[:at] + line[at + 1 :]) for line in lines) + "\n")


SAN_FRANCISCO = (550_000.0, 4_180_000.0)
"""Metres in zone 10."""
PITTSBURGH = (585_000.0, 4_477_000.0)
"""Metres in zone 17."""
AT_FIELDS = (
    *("east", "north", "zone", "letter", "lat", "lon", "pano_id", "tile", "heading", "pitch", "roll", "height"),
    *("timestamp", "note"),
)


def at_name(
    east: object = SAN_FRANCISCO[0], north: object = SAN_FRANCISCO[1], heading: object = 90, **fields: object
) -> str:
    """An @ name; `fields` fills the others: zone, letter, lat, lon, pano_id, tile, timestamp, note."""
    told = {"zone": 10, "letter": "S"} | fields | {"east": east, "north": north, "heading": heading}
    return "@" + "@".join(str(told.get(name, "")) for name in AT_FIELDS) + "@.jpg"


def at_street(n: int = 6, *, step_m: float = 10.0, prefix: str = "q", **fields: object) -> list[str]:
    """Names of n images taken along a street due grid east, with the latitude and longitude of each."""
    pyproj = pytest.importorskip("pyproj")
    utm = pyproj.Proj(proj="utm", zone=10, ellps="WGS84")
    names = []
    for i in range(n):
        east, north = SAN_FRANCISCO[0] + i * step_m, SAN_FRANCISCO[1]
        lon, lat = utm(east, north, inverse=True)
        told = {"lat": f"{lat:.5f}", "lon": f"{lon:.5f}", "pano_id": f"{prefix}{i}"} | fields
        names.append(at_name(f"{east:.2f}", f"{north:.2f}", **told))
    return names


def name_list(path: Path, names: Sequence[str]) -> Path:
    """A list, as text where the suffix is .txt, as an array where it is .npy; else a folder of empty files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, np.array(names, dtype=np.str_))
    elif path.suffix == ".txt":
        path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    else:
        for name in names:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(b"")
    return path


def cutouts(
    panoramas: Mapping[int, tuple[float, float]], *, pitches: int = 2, yaws: int = 12
) -> tuple[list[str], np.ndarray]:
    """Names and places (n, 2) of the views that panoramas are cut into, in the order of Pittsburgh's files."""
    views = [(p, pitch, yaw) for p in panoramas for pitch in range(1, pitches + 1) for yaw in range(1, yaws + 1)]
    names = [f"{p // 1000:03d}/{p:06d}_pitch{pitch}_yaw{yaw}.jpg" for p, pitch, yaw in views]
    return names, np.array([panoramas[p] for p, _, _ in views], dtype=float).reshape(-1, 2)


def drive(
    n: int = 5, *, first: int = 0, start: tuple[float, float] = PITTSBURGH, step: tuple[float, float] = (10.0, 0.0)
) -> dict[int, tuple[float, float]]:
    """Positions of n panoramas with consecutive numbers, by default due east."""
    return {first + i: (start[0] + i * step[0], start[1] + i * step[1]) for i in range(n)}


def db_struct(
    path: Path,
    *,
    query: tuple[Sequence[str], Any] | None = None,
    database: tuple[Sequence[str], Any] | None = None,
    order: Sequence[str] = (),
    without: Collection[str] = (),
    variable: str = "dbStruct",
    **fields: Any,
) -> Path:
    """Write a struct of names and places (n, 2) as MATLAB does, by default a drive of Pittsburgh on both sides.

    `order` comes first, `without` is left out, `fields` replaces or adds one.
    """
    names_q, metres_q = cutouts(drive(3, first=100)) if query is None else query
    names_d, metres_d = cutouts(drive()) if database is None else database
    content = {
        "whichSet": "val",
        "dbImageFns": cells(names_d),
        "utmDb": np.asarray(metres_d, dtype=float).T,
        "qImageFns": cells(names_q),
        "utmQ": np.asarray(metres_q, dtype=float).T,
        "numImages": float(len(names_d)),
        "numQueries": float(len(names_q)),
        "posDistThr": 25.0,
        "posDistSqThr": 625.0,
        "nonTrivPosDistSqThr": 100.0,
    } | fields
    names = [*order, *(name for name in content if name not in order)]
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {variable: {name: content[name] for name in names if name not in without}})
    return path


def cells(texts: Sequence[object]) -> np.ndarray:
    """An (n, 1) cell array."""
    array = np.empty((len(texts), 1), object)
    array[:, 0] = texts
    return array


VGA = (640, 480)


def depth_png(path: Path, depth: object = 2000, *, size: tuple[int, int] = VGA) -> Path:
    """Write a 16-bit depth map: one constant depth, or an array (h, w)."""
    width, height = size
    pixels = np.broadcast_to(np.asarray(depth, dtype=np.uint16), (height, width))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, compress_level=1)
    return path


def looking_ahead(x: float = 0.0, y: float = 0.0, z: float = 0.0) -> np.ndarray:
    """The pose (4, 4) of a camera at a position, with axes parallel to those of the world."""
    pose = np.eye(4)
    pose[:3, 3] = (x, y, z)
    return pose


def pose_txt(path: Path, pose: object, *, newline: str = "\r\n", between: str = "\t ") -> Path:
    """A matrix as 7Scenes writes it: three digits of exponent, and both a tab and a space between numbers."""
    rows = [between.join(_microsoft(value) for value in row) + between for row in np.asarray(pose, dtype=float)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(newline.join([*rows, ""]).encode())
    return path


def _microsoft(value: float) -> str:
    mantissa, _, exponent = f"{value:.9e}".partition("e")
    return f"{mantissa}e{exponent[0]}{int(exponent[1:]):03d}" if exponent else str(value)


def scene_tree(
    root: Path,
    *,
    scene: str = "redkitchen",
    train: Mapping[int, Sequence[int]] | None = None,
    test: Mapping[int, Sequence[int]] | None = None,
    step_m: float = 0.1,
    size: tuple[int, int] = VGA,
) -> Path:
    """Write one scene of 7Scenes and return the root: numbers of frames by number of sequence, train 1 and test 2.

    Every camera looks at a wall two metres away, `step_m` further to the right with each frame, and a little higher in
    each sequence. The colour images are empty files.
    """
    folder = Path(root) / scene
    splits = {"Train": {1: range(4)} if train is None else train, "Test": {2: range(3)} if test is None else test}
    for split, sequences in splits.items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{split}Split.txt").write_bytes("".join(f"sequence{n}\r\n" for n in sequences).encode())
        for n, frames in sequences.items():
            for rank, frame in enumerate(frames):
                stem = folder / f"seq-{n:02d}" / f"frame-{frame:06d}"
                depth_png(stem.with_suffix(".depth.png"), size=size)
                pose_txt(stem.with_suffix(".pose.txt"), looking_ahead(step_m * rank, 0.02 * n))
                stem.with_suffix(".color.png").write_bytes(b"")
    return Path(root)


def rgbd_folder(root: Path, names: Sequence[str] = ("0", "1", "2"), *, layout: str = "folder") -> Path:
    """A sequence of depth maps and poses by name, as ScanNet or a plain folder has them; cameras as in `scene_tree`."""
    for rank, name in enumerate(names):
        depth_png(root / "depth" / f"{name}.png", size=(64, 48))
        pose_txt(root / "pose" / f"{name}.txt", looking_ahead(0.1 * rank), newline="\n", between=" ")
    if layout == "scannet":
        matrix = np.diag([57.0, 58.0, 1.0, 1.0])
        matrix[:2, 2] = (31.5, 23.5)
        pose_txt(root / "intrinsic" / "intrinsic_depth.txt", matrix, newline="\n", between=" ")
    else:
        (root / "intrinsics.txt").write_text("57 58 31.5 23.5\n")
    return root


def tum_folder(root: Path, times: Sequence[float] = (10.0, 10.1, 10.2), *, late_s: float = 0.004) -> Path:
    """A sequence of the TUM benchmark, whose poses are `late_s` later than its depth maps."""
    root.mkdir(parents=True, exist_ok=True)
    listed, truth = ["# depth maps"], ["# ground truth trajectory"]
    for rank, time in enumerate(times):
        depth_png(root / "depth" / f"{time:.6f}.png", 10_000, size=(64, 48))
        listed.append(f"{time:.6f} depth/{time:.6f}.png")
        truth.append(f"{time + late_s:.4f} {0.1 * rank:.4f} 0 0 0 0 0 1")
    (root / "depth.txt").write_text("\n".join(listed) + "\n")
    (root / "groundtruth.txt").write_text("\n".join(truth) + "\n")
    return root


def tb_set(
    path: Path, poses: Sequence[Sequence[object]] | None = None, *, names: Sequence[object] | None = None, **more: Any
) -> Path:
    """A set of TB-Places, by default of three cameras along x."""
    poses = [[0.1 * i, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0] for i in range(3)] if poses is None else poses
    names = [f"cam0/{i:06d}.jpg" for i in range(len(poses))] if names is None else names
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"im_prefix": "images", "im_paths": names, "poses": poses} | more))
    return path
