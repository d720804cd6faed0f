"""Headings of the views cut from panoramas, which Pittsburgh's files do not hold: the ways to assume them.

A panorama is cut into 24 views, 000/000829_pitch1_yaw1.jpg to …_pitch2_yaw12.jpg. Yaw k is 30°·(k−1) from a zero that
belongs to the panorama. Neither the direction of that zero nor the sign of yaw is known, so that

    heading = zero of the panorama ± 30°·(k−1)

needs a zero that has been measured elsewhere, or an assumed one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from relabel.datasets import csv_columns
from relabel.datasets.pitts.spec import TRAVEL_GAP_M, Sign, Source
from relabel.errors import InputError, OptionError
from relabel.fixed_width import text_array
from relabel.geometry.headings import track_heading_deg

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TURN_OF_SIGN: dict[Sign, float] = {"clockwise": 1.0, "counterclockwise": -1.0}
YAW_STEP_DEG = 30.0
YAWS = 12
MOST_IDS = 3
"""A track continues over at most two panoramas that are missing from the file."""
_NAME = re.compile(r"(?:.*[/\\])?([0-9]{1,18})_pitch([0-9]{1,3})_yaw([0-9]{1,3})\.\w+")
_PANORAMA = ("panorama", "panorama_id", "pano", "pano_id", "id")
_OFFSET = ("north_offset_deg", "north_offset", "heading_deg", "heading")


@dataclass(frozen=True)
class Headings:
    """The source of headings.

    Attributes
    ----------
    source:
        the source of the direction of yaw 1 of each panorama: ``table``, a file; ``travel``, the direction from the
        previous panorama to the next; ``north``, which assumes north.
    table:
        the file, for ``table``.
    sign:
        the sense of yaw, seen from above.
    zero_deg:
        degrees clockwise to add: the angle from the direction of the source to that of yaw 1.
    gap_m:
        for ``travel``: panoramas with consecutive numbers that are farther apart are not on one track.
    """

    source: Source
    table: Path | None = None
    sign: Sign = "clockwise"
    zero_deg: float = 0.0
    gap_m: float = TRAVEL_GAP_M

    def __post_init__(self) -> None:
        if not np.isfinite(self.zero_deg):
            raise OptionError(f"zero is {self.zero_deg}°; it has to be a finite angle")
        if not self.gap_m > 0.0:
            raise OptionError(f"the travel gap is {self.gap_m} m; it has to be more than 0")

    @property
    def caveat(self) -> str:
        """The assumption behind the labels, in a sentence."""
        zero = "" if self.zero_deg == 0.0 else f" plus {self.zero_deg:g}°"
        if self.source == "table":
            return (
                f"the direction of yaw 1 is that of the table{zero}; yaw is assumed to be {self.sign}, which the data "
                "does not state"
            )
        way = "north" if self.source == "north" else "along the track of consecutive panoramas"
        return f"yaw 1 is assumed to face {way}{zero}, and yaw to be {self.sign}: the data states neither"


def parse_source(text: str) -> tuple[Source, Path | None]:
    """Source and table of ``table:FILE``, ``travel`` or ``north``.

    Raises
    ------
    OptionError
        when it is none of them.
    """
    kind, colon, name = text.partition(":")
    if kind == "table" and name:
        return "table", Path(name)
    if not colon and kind in ("travel", "north"):
        return kind, None  # type: ignore[return-value]
    raise OptionError(
        f"heading is {text!r}; it has to be table:FILE (a CSV of panorama and north_offset_deg), travel, or north"
    )


@dataclass(frozen=True, eq=False)
class PanoramaViews:
    """The fields of n names: (n,) int64 each; panorama is -1, pitch and yaw are 0 for names of another form."""

    panorama: IntArray
    pitch: IntArray
    yaw: IntArray

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the name has this form."""
        known: npt.NDArray[np.bool_] = self.panorama >= 0
        return known


def views(names: Sequence[str]) -> PanoramaViews:
    """Panorama, pitch and yaw of names of the form ``000/000829_pitch1_yaw1.jpg``; yaw counts from 1 to 12."""
    table = np.zeros((len(names), 3), np.int64)
    table[:, 0] = -1
    for row, name in enumerate(names):
        match = _NAME.fullmatch(name)
        if match is not None and 1 <= int(match[3]) <= YAWS:
            table[row] = int(match[1]), int(match[2]), int(match[3])
    return PanoramaViews(*(np.ascontiguousarray(column) for column in table.T))


def heading_deg(view: PanoramaViews, zero_deg: FloatArray, headings: Headings) -> FloatArray:
    """(n,) degrees clockwise from north of views whose panorama's yaw 1 faces `zero_deg`; NaN where unknown."""
    turn = TURN_OF_SIGN[headings.sign] * YAW_STEP_DEG * (view.yaw - 1)
    return np.where(view.known, zero_deg + headings.zero_deg + turn, np.nan)


def travel_deg(view: PanoramaViews, position: FloatArray, gap_m: float) -> FloatArray:
    """(n,) the direction of travel at the panorama of each view; NaN where its track has a single place.

    Panoramas are taken in the order of their numbers. A track ends where the number jumps by more than `MOST_IDS` or
    the place by more than `gap_m`; places that are equal (the car stands) count as one.
    """
    usable = np.flatnonzero(view.known & np.isfinite(position).all(axis=1))
    panorama, first, back = np.unique(view.panorama[usable], return_index=True, return_inverse=True)
    places = position[usable[first]]
    step_m = np.hypot(*np.diff(places, axis=0).T)
    broken = (np.diff(panorama) > MOST_IDS) | (step_m > gap_m)
    track = np.append(0, np.cumsum(broken))[: len(panorama)]
    result = np.full(len(position), np.nan)
    result[usable] = track_heading_deg(places, track, panorama)[back]
    return result


@dataclass(frozen=True, eq=False)
class NorthTable:
    """Directions of yaw 1 by panorama; if a side is given, only for that side."""

    path: Path
    side: tuple[str, ...] | None
    panorama: IntArray
    offset_deg: FloatArray

    def of(self, side: str, panorama: IntArray) -> FloatArray:
        """(n,) degrees clockwise from north; NaN for panoramas without an entry."""
        rows = slice(None) if self.side is None else np.array([name in ("", side) for name in self.side], dtype=bool)
        known = dict(zip(self.panorama[rows].tolist(), self.offset_deg[rows].tolist(), strict=True))
        return np.array([known.get(number, np.nan) for number in panorama.tolist()], dtype=np.float64)


def read_north(path: Path) -> NorthTable:
    """A table of the directions in which yaw 1 of panoramas faces.

        panorama,north_offset_deg,side      side (query or database) may be left out
        000829,131.5,database

    Parameters
    ----------
    path:
        a CSV file with a header. Panoramas are numbers, with or without leading zeros; offsets are degrees clockwise
        from north, empty if unknown.

    Raises
    ------
    InputError
        when the file cannot be read, a panorama is not a number or is in two rows, or a side is invalid.
    """
    optional: dict[str, csv_columns.Kind] = dict.fromkeys(_PANORAMA, "text") | dict.fromkeys(_OFFSET, "float")  # type: ignore[assignment]
    table = csv_columns.read(path, {}, optional=optional | {"side": "text"})
    columns = []
    for usual in (_PANORAMA, _OFFSET):
        present = [name for name in usual if name in table]
        if not present:
            csv_columns.read(path, {usual[0]: "text"})  # whose error lists the columns that exist
        if len(present) > 1:
            raise InputError(f"{path}: line 1: columns {' and '.join(present)} may both be the {usual[0]}; keep one")
        columns.append(table[present[0]])
    names, offset = columns
    numbers = np.full(len(names), -1, np.int64)
    for row, name in enumerate(names.tolist()):
        digits = name.strip().removesuffix(".0")  # as pandas writes whole numbers where one is missing
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
            raise InputError(
                f"{path}: line {csv_columns.line_of_row(path, row)}: panorama {name!r} is not a number, such as 000829"
            )
        numbers[row] = int(digits)
    side = _sides(path, table["side"].tolist()) if "side" in table else None
    keys = [f"{number:06d}" for number in numbers.tolist()]
    if side is not None:
        keys = [f"{key} ({name})" if name else key for key, name in zip(keys, side, strict=True)]
    csv_columns.check_keys(path, {"panorama": text_array(keys)}, "panorama")
    if side is not None:
        both = set(numbers[[not name for name in side]].tolist()) & set(numbers[[bool(name) for name in side]].tolist())
        if both:
            raise InputError(f"{path}: panorama {min(both):06d} has rows with and without a side; keep one kind")
    return NorthTable(path, side, numbers, offset)


def _sides(path: Path, texts: list[str]) -> tuple[str, ...]:
    """``query``, ``database`` or "" a row."""
    spelled = {"": "", "query": "query", "queries": "query", "database": "database", "db": "database"}
    for row, text in enumerate(texts):
        if text.strip().lower() not in spelled:
            raise InputError(
                f"{path}: line {csv_columns.line_of_row(path, row)}, column 'side': {text!r} is not query or database"
            )
    return tuple(spelled[text.strip().lower()] for text in texts)
