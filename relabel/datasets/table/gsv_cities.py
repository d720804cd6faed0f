"""GSV-Cities: a CSV file for each city, whose rows hold the parts of the names of images.

    place_id,year,month,northdeg,city_id,lat,lon,panoid
    City_0000123_2019_07_045_48.85_2.35_panoid.jpg        the image

The name is composed as by the loader of the dataset, with numbers as Python prints them. A `place_id` is unique
within its city, and so are these names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.datasets.csv_columns import Table
from relabel.datasets.table.table_file import Kind, TableFile
from relabel.errors import InputError

KINDS: dict[str, Kind] = {
    "place_id": "float",
    "year": "float",
    "month": "float",
    "northdeg": "float",
    "city_id": "text",
    "lat": "float",
    "lon": "float",
    "panoid": "text",
}
PLACES = 10**5
"""The loader numbers the places of the k-th city from k times this number."""


def is_gsv(columns: Sequence[str]) -> bool:
    """Whether these are the columns of GSV-Cities."""
    return set(KINDS) <= set(columns)


def check(path: Path, columns: Sequence[str]) -> None:
    """Raise InputError if a column of GSV-Cities is missing."""
    missing = [name for name in KINDS if name not in columns]
    if missing:
        raise InputError(
            f"{path}: line 1: column {', '.join(map(repr, missing))} is missing; a CSV file of GSV-Cities has "
            f"{', '.join(KINDS)}. Omit --layout gsv for another table"
        )


def keys(file: TableFile, table: Table) -> npt.NDArray[np.str_]:
    """(n,) the names of the images.

    Raises
    ------
    InputError
        when a number is missing, or one that has to be whole is not.
    """
    numbers = {name: _whole(file, name, table[name]) for name in ("place_id", "year", "month", "northdeg")}
    for name in ("lat", "lon", "city_id", "panoid"):
        column = table[name]
        lost = np.flatnonzero(column == "" if column.dtype.kind == "U" else ~np.isfinite(column))
        if lost.size:
            _fail(file, int(lost[0]), name, "an empty cell")
    pieces = [
        table["city_id"],
        np.strings.zfill((numbers["place_id"] % PLACES).astype(np.str_), 7),
        np.strings.zfill(numbers["year"].astype(np.str_), 4),
        np.strings.zfill(numbers["month"].astype(np.str_), 2),
        np.strings.zfill(numbers["northdeg"].astype(np.str_), 3),
        _printed(table["lat"]),
        _printed(table["lon"]),
        table["panoid"],
    ]
    names: npt.NDArray[np.str_] = pieces[0]
    for piece in pieces[1:]:
        names = np.strings.add(np.strings.add(names, "_"), piece)
    return np.strings.add(names, ".jpg")


def _printed(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.str_]:
    """As Python prints them: the shortest text that is read as the same number."""
    return np.array([repr(number) for number in numbers.tolist()], dtype=np.str_)


def _whole(file: TableFile, name: str, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~(np.isfinite(numbers) & (numbers == np.floor(numbers))))
    if bad.size:
        _fail(file, int(bad[0]), name, f"{numbers[bad[0]]} is not a whole number")
    return numbers.astype(np.int64)


def _fail(file: TableFile, row: int, name: str, why: str) -> None:
    raise InputError(
        f"{file.path}: {file.location(row)}, column {name!r}: {why}; the image name cannot be made without it. Use "
        "another column for the keys with --columns key=NAME"
    )
