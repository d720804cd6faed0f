"""Tables for tests: files of lines, Parquet files, and the cameras in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from relabel.datasets.base import CameraSets
from relabel.datasets.table.columns import parse
from relabel.datasets.table.table_reader import reader

LON_LAT = ("id,lon,lat,heading", "a,35.90,31.95,10", "b,35.91,31.96,350.5", "c,35.92,31.97,0")
METRES = ("key,x,y,heading", "a,0,0,90", "b,10.5,0,90", "c,20,-3,270")


def write(path: Path, *lines: str, newline: str = "\n") -> Path:
    """A text file of these lines."""
    path.write_bytes((newline.join(lines) + newline).encode())
    return path


def as_parquet(path: Path, **columns: Any) -> Path:
    """A Parquet file of these columns."""
    pq.write_table(pa.table(columns), path)
    return path


def read(path: Path, database: Path | None = None, **options: Any) -> CameraSets:
    """The street of one or two tables; columns as text."""
    if "columns" in options:
        options["columns"] = parse(options["columns"])
    return reader(path, database, **options).read()


GSV = "place_id,year,month,northdeg,city_id,lat,lon,panoid"
