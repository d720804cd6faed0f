"""The CSV files of one side (query or database) of an MSLS city, joined by key into one set of rows."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from relabel.datasets import tables
from relabel.errors import InputError

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]
Heading = Literal["compass", "travel"]

_RAW: dict[str, tables.Kind] = {"key": "text", "lon": "float", "lat": "float", "ca": "float", "pano": "bool"}
_POSTPROCESSED: dict[str, tables.Kind] = {"key": "text", "easting": "float", "northing": "float"}
POSTPROCESSED_EXTRA: dict[str, tables.Kind] = {"night": "bool", "view_direction": "text"}
_SEQUENCES: dict[str, tables.Kind] = {"key": "text", "sequence_key": "text", "frame_number": "int"}


@dataclass
class Side:
    """The tables of one side, all in the same row order; a file that is not there is None."""

    folder: Path
    key: npt.NDArray[np.str_]
    raw: tables.Table | None
    postprocessed: tables.Table | None
    sequences: tables.Table | None
    files: tuple[Path, ...]

    def column(self, table: Literal["raw", "postprocessed"], name: str) -> FloatArray:
        """(n,) a number a row; NaN throughout where the file is not there."""
        held: tables.Table | None = getattr(self, table)
        return np.full(len(self.key), np.nan) if held is None else held[name]


def read_side(folder: Path, heading: Heading) -> Side:
    """The tables of the query or database folder of a city, joined by key in the order of raw.csv.

    Parameters
    ----------
    folder:
        with raw.csv, postprocessed.csv or both.
    heading:
        what the files have to be good for: ``compass`` needs raw.csv, ``travel`` the other two.

    Raises
    ------
    InputError
        when a file cannot be read, a key is empty, repeated or in one file only, or a file that `heading` needs is
        missing.
    """
    raw_path, postprocessed_path, sequences_path = (
        folder / name for name in ("raw.csv", "postprocessed.csv", "seq_info.csv")
    )
    if heading == "compass" and not raw_path.is_file():
        raise InputError(
            f"{raw_path}: is missing, and it holds the compass angles (ca); take raw.csv from the original metadata, "
            "or ask for the heading of travel"
        )
    for path in (sequences_path, postprocessed_path) if heading == "travel" else ():
        if not path.is_file():
            raise InputError(
                f"{path}: is missing, and the heading of travel needs its "
                f"{'sequences' if path == sequences_path else 'view_direction'}; take it from the original metadata, "
                "or ask for the compass heading"
            )
    wanted = _POSTPROCESSED | ({"view_direction": "text"} if heading == "travel" else {})
    found = {
        path: tables.read(path, columns, optional=optional)
        for path, columns, optional in (
            (raw_path, _RAW, {}),
            (postprocessed_path, wanted, POSTPROCESSED_EXTRA),
            (sequences_path, _SEQUENCES, {}),
        )
        if path.is_file()
    }
    if raw_path not in found:
        log.warning("%s: is missing; panoramas cannot be told from other pictures", raw_path)
    (first, base), *others = found.items()
    tables.check_keys(first, base, "key")
    joined = {first: base} | {path: _joined(first, base["key"], path, table) for path, table in others}
    return Side(
        folder,
        base["key"],
        joined.get(raw_path),
        joined.get(postprocessed_path),
        joined.get(sequences_path),
        tuple(found),
    )


def _joined(base_path: Path, base_key: npt.NDArray[np.str_], path: Path, table: tables.Table) -> tables.Table:
    """The table with its rows in the order of `base_key`."""
    if np.array_equal(base_key, table["key"]):
        return table
    tables.check_keys(path, table, "key")
    rows = tables.rows_of(table["key"], base_key)
    only_base = base_key[rows < 0]
    only_table = table["key"][tables.rows_of(base_key, table["key"]) < 0]
    for has, lacks, keys in ((base_path, path, only_base), (path, base_path, only_table)):
        if len(keys):
            raise InputError(
                f"{has}: key {str(keys[0])!r} is not in {lacks.name} beside it ({len(keys)} key(s) are not); "
                "both must list the same pictures: take the two files from the same download"
            )
    return {name: column[rows] for name, column in table.items()}
