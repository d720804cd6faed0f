"""The `@` convention of file names: an image's place, heading and more in its name.

    @east@north@zone@letter@lat@lon@pano_id@tile@heading@pitch@roll@height@timestamp@note@.jpg
     1    2     3    4      5   6   7       8    9       10    11   12     13        14   15

The base name is split at every @ into 16 pieces, of which the one before the first @ is empty. East and north are
metres and are required; any other piece may be empty. Heading is degrees clockwise from north.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from relabel.datasets import csv_columns
from relabel.errors import InputError
from relabel.fixed_width import text_array

FloatArray = npt.NDArray[np.float64]

PIECES = 16
LAYOUT = "@east@north@zone@letter@lat@lon@pano_id@tile@heading@pitch@roll@height@timestamp@note@.jpg"


class NameField(NamedTuple):
    """A piece of the name that is a number: its number, name and bounds."""

    number: int
    name: str
    least: float = -math.inf
    most: float = math.inf
    needed: bool = False


EAST, NORTH = NameField(1, "east", needed=True), NameField(2, "north", needed=True)
ZONE = NameField(3, "zone", 1.0, 60.0)
LAT, LON = NameField(5, "lat", -90.0, 90.0), NameField(6, "lon", -180.0, 180.0)
HEADING = NameField(9, "heading")
TEXTS = {"pano_id": 7, "tile": 8, "timestamp": 13, "note": 14}
"""Pieces that are kept as they are."""
_LETTERS = "CDEFGHJKLMNPQRSTUVWX"


@dataclass(frozen=True, eq=False)
class AtNames:
    """The fields of n names.

    Attributes
    ----------
    position:
        (n, 2) float64 metres east and north, as written.
    zone:
        (n,) int64 UTM zone, 0 if there is none.
    letter:
        (n,) latitude band in capitals, "" if there is none.
    lat_deg, lon_deg, heading_deg:
        (n,) float64 degrees, NaN if there is none; headings as written, also beyond 360.
    texts:
        (n,) str columns by name, those of `TEXTS` that are filled in at least one name.
    """

    position: FloatArray
    zone: npt.NDArray[np.int64]
    letter: npt.NDArray[np.str_]
    lat_deg: FloatArray
    lon_deg: FloatArray
    heading_deg: FloatArray
    texts: dict[str, npt.NDArray[np.str_]]

    def __len__(self) -> int:
        return len(self.position)


def parse(names: Sequence[str], location: Callable[[int], str]) -> AtNames:
    """Split names into their fields.

    Parameters
    ----------
    names:
        n file names, with or without folders before them.
    location:
        the location of the name of a row, for messages.

    Raises
    ------
    InputError
        when a name has too few or too many pieces, east or north is missing, a piece is not the number it should be, or
        a latitude or longitude is none, or there is something before the first @; the message names the first faulty
        row.
    """
    base = [name.rpartition("/")[2] for name in names] if "/" in "".join(names) else names
    if (fast := _parsed_by_arrow(base)) is not None:
        return fast
    counts = list(map(str.count, base, itertools.repeat("@")))
    # All at once: with a list for each name, Python's garbage collector would take as long as everything else.
    pieces = "@".join(base).split("@") if names else []
    columns = [pieces[k::PIECES] for k in range(PIECES)]
    if counts.count(PIECES - 1) < len(base) or any(columns[0]):
        raise _no_name(names, base, counts, location)
    east, north, zone, lat, lon, heading = (
        _numbers(column, columns[column.number], location) for column in (EAST, NORTH, ZONE, LAT, LON, HEADING)
    )
    broken = np.flatnonzero(np.isfinite(zone) & (zone != np.floor(zone)))
    if broken.size:
        raise InputError(
            f"{location(int(broken[0]))}: zone {columns[3][broken[0]]!r} is not a whole number from 1 to 60"
        )
    half = np.flatnonzero(np.isnan(lat) != np.isnan(lon))
    if half.size:
        has, lacks = ("lat", "lon") if np.isnan(lon[half[0]]) else ("lon", "lat")
        raise InputError(f"{location(int(half[0]))}: has a {has} but no {lacks}; give both or none")
    in_capitals = {text: text.strip().upper() for text in set(columns[4])}
    letter = text_array([in_capitals[text] for text in columns[4]])
    for text in sorted(in_capitals.values()):
        if text and text not in tuple(_LETTERS):
            row = int(np.flatnonzero(letter == text)[0])
            raise InputError(f"{location(row)}: letter {columns[4][row]!r} is not a latitude band of UTM ({_LETTERS})")
    texts = {name: text_array(columns[index]) for name, index in TEXTS.items() if any(columns[index])}
    return AtNames(
        np.column_stack([east, north]),
        np.where(np.isnan(zone), 0, zone).astype(np.int64),
        letter,
        lat,
        lon,
        heading,
        texts,
    )


def _parsed_by_arrow(base: Sequence[str]) -> AtNames | None:
    """The fields of names without folders, in a fifth of the time of plain Python.

    None if anything is unusual, even if valid: Python's `float` accepts more than Arrow, and faults are explained
    better when names are parsed one by one.
    """
    text = "\n".join(base)
    # Arrow silently drops a byte order mark at the beginning.
    if not text or text.count("\n") != len(base) - 1 or "\r" in text or text.startswith("\ufeff"):
        return None
    numbers = {field.name: field for field in (EAST, NORTH, ZONE, LAT, LON, HEADING)}
    places = {"before": 0, "letter": 4, **TEXTS} | {name: field.number for name, field in numbers.items()}
    columns = [str(k) for k in range(PIECES)]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(text.encode()),
            pyarrow.csv.ReadOptions(column_names=columns),
            pyarrow.csv.ParseOptions(delimiter="@", quote_char=False),
            pyarrow.csv.ConvertOptions(
                include_columns=[str(number) for number in places.values()],
                column_types={
                    str(number): pa.float64() if name in numbers else pa.string() for name, number in places.items()
                },
                null_values=[""],
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowException, UnicodeEncodeError):
        return None
    arrays: dict[str, npt.NDArray[Any]] = {}
    for name, number in places.items():
        column = table.column(str(number)).combine_chunks()
        array = csv_columns.as_array(column, "float" if name in numbers else "text")
        if array is None or (name in numbers and not _is_usual(array, numbers[name], column.null_count)):
            return None
        arrays[name] = array
    letter, zone = arrays["letter"], arrays["zone"]
    is_whole = (np.isnan(zone) | (zone == np.floor(zone))).all()
    together = (np.isnan(arrays["lat"]) == np.isnan(arrays["lon"])).all()
    letters = np.unique(letter)
    # Before upper(): NumPy would truncate ß, whose capital is two letters, to S.
    known = np.isin(letters, ["", *_LETTERS, *_LETTERS.lower()]).all()
    if len(letter) != len(base) or (arrays["before"] != "").any() or not (is_whole and together and known):
        return None
    return AtNames(
        np.column_stack([arrays["east"], arrays["north"]]),
        np.where(np.isnan(zone), 0, zone).astype(np.int64),
        np.strings.upper(letter) if np.isin(letters, list(_LETTERS.lower())).any() else letter,
        arrays["lat"],
        arrays["lon"],
        arrays["heading"],
        {name: arrays[name] for name in TEXTS if (arrays[name] != "").any()},
    )


def _is_usual(values: FloatArray, field: NameField, empty: int) -> bool:
    """Whether numbers that Arrow read are within bounds, and NaN only where the piece is empty, if that is allowed."""
    inside = (values >= field.least) & (values <= field.most)
    return int(np.count_nonzero(~inside)) == empty == np.count_nonzero(np.isnan(values)) and not (
        field.needed and empty
    )


def _no_name(
    names: Sequence[str], base: Sequence[str], counts: Sequence[int], location: Callable[[int], str]
) -> InputError:
    """The error for the first name that has another number of pieces, or something before its first @."""
    row = next(row for row, name in enumerate(base) if counts[row] != PIECES - 1 or not name.startswith("@"))
    if counts[row] != PIECES - 1:
        return _miscounted(names, row, counts[row] + 1, location)
    return InputError(
        f"{location(row)}: {names[row]!r} has {base[row].partition('@')[0]!r} before its first @, so it is not a name "
        f"of the form {LAYOUT}. Remove such files from the list, or correct their names"
    )


def _miscounted(names: Sequence[str], row: int, count: int, location: Callable[[int], str]) -> InputError:
    if not any("@" in name for name in names):
        return InputError(
            f"{location(0)}: {names[0]!r} is not a name of the form {LAYOUT}, nor is any of the {len(names):,} names; "
            "for positions and headings in a table use `relabel table`"
        )
    what = f"{count} fields between @" if count > 1 else "no @"
    why = "is it truncated?" if count < PIECES else "a field cannot hold an @ itself"
    return InputError(
        f"{location(row)}: {names[row]!r} has {what}; {PIECES} were expected, as in {LAYOUT} ({why} Only east and "
        "north have to be filled in, but every @ has to be there)"
    )


def _numbers(column: NameField, texts: Sequence[str], location: Callable[[int], str]) -> FloatArray:
    """(n,) float64, NaN for an empty piece; checked."""
    try:
        filled = [text or "nan" for text in texts] if "" in texts else texts
        values = np.fromiter(map(float, filled), np.float64, len(texts))
    except ValueError:
        values = np.full(len(texts), math.nan)
    else:
        if not (column.needed and "" in texts) and "_" not in "".join(texts):
            outside = np.flatnonzero((values < column.least) | (values > column.most))
            if not outside.size:
                return values
            row = int(outside[0])
            swapped = "; are lat and lon swapped?" if column in (LAT, LON) else ""
            raise InputError(
                f"{location(row)}: {column.name} {texts[row]} is outside {column.least:g} … {column.most:g}{swapped}"
            )
    row = next(row for row, text in enumerate(texts) if not _is_number(text, needed=column.needed))
    shown = f"{column.name} {texts[row]!r} is not a number" if texts[row] else f"{column.name} is empty"
    raise InputError(f"{location(row)}: {shown}; correct the name (field {column.number} of {LAYOUT})")


def _is_number(text: str, *, needed: bool) -> bool:
    if not text:
        return not needed
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # which float() accepts between digits
