"""Tiny dataset trees with any fault, for tests of the readers and of the commands.

root = msls_tree(tmp_path)                                  # one city, six queries and six database images
edit(root / "train_val/amman/query/raw.csv", "90.0", "abc")  # and a fault in it
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pyproj

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
    """Replace the first `count` places of `old` in a file; it must be there."""
    text = path.read_bytes().decode()
    assert old in text, f"{old!r} is not in {path}"
    path.write_bytes(text.replace(old, new, count).encode())


def reverse_rows(path: Path) -> None:
    """Turn the order of the rows below the header round."""
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(lines)]) + "\n")


def drop_column(path: Path, name: str) -> None:
    """Remove a column by name."""
    lines = [line.split(",") for line in path.read_text().splitlines()]
    at = lines[0].index(name)
    path.write_text("\n".join(",".join(line[:at] + line[at + 1 :]) for line in lines) + "\n")
