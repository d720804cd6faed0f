"""Reading labels that somebody else made, and writing them as a label file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.cameras import Cameras
from relabel.datasets.csv_columns import rows_of
from relabel.errors import InputError, OptionError
from relabel.exchange.camera_files import CameraFiles, find_sides, no_names, one_set, plain_name
from relabel.exchange.camera_sides import Sides, plain
from relabel.exchange.csv_parquet import PairList, read_csv, read_parquet_pairs, read_scored_pairs
from relabel.exchange.entries import from_entries
from relabel.exchange.gcl import FOV, condensed_entries, dense_dataset, dense_source
from relabel.exchange.gcl_index import KeyRule
from relabel.exchange.npz import read_npz
from relabel.labelfile import provenance, write
from relabel.measures import DEFAULT_MIN_VALUE, MEASURES, UNKNOWN, Measure, Unknown
from relabel.similarity import SimilaritySource

Format = Literal["gcl", "condensed", "csv", "parquet", "npz", "pairs"]
FORMATS: tuple[Format, ...] = get_args(Format)

_LISTS: dict[str, Callable[[Path], PairList]] = {
    "csv": read_csv,
    "parquet": read_parquet_pairs,
    "pairs": read_scored_pairs,
}


@dataclass(frozen=True, eq=False)
class Imported:
    """Labels that were read, ready to be written.

    Attributes
    ----------
    name:
        of the collection.
    source:
        a `SimilaritySource` of method ``imported``.
    record:
        the provenance record of the import.
    notes:
        a sentence for each thing that was assumed or changed.
    """

    name: str
    source: SimilaritySource
    record: dict[str, Any]
    notes: tuple[str, ...]

    def write(self, path: Path, *, overwrite: bool = False, progress: Callable[[int], object] | None = None) -> Path:
        """Write them as a label file of one collection; parameters and errors as `relabel.labelfile.write`."""
        return write(path, {self.name: self.source}, provenance=[self.record], overwrite=overwrite, progress=progress)


def load(
    form: Format,
    path: Path,
    *,
    measure: Measure | Unknown,
    cameras: CameraFiles | None = None,
    min_value: float | None = None,
    self_pairs: bool = False,
    dataset: str | None = None,
    name: str | None = None,
) -> Imported:
    """Read labels in another format.

    Parameters
    ----------
    form:
        one of `FORMATS`.
    path:
        the file with the values.
    measure:
        what the values are; ``unknown`` where whoever made them does not tell.
    cameras:
        where keys, places and statuses come from; None for the input itself and the files beside it.
    min_value:
        values up to it are not stored, and pairs that the input does not have are taken to be at most so large; None
        takes what the input tells, else 1e-6.
    self_pairs:
        the database is the set of queries.
    dataset:
        the data set of a dense file; None takes ``fov``.
    name:
        of the collection; None takes the name of the file without its ending.

    Raises
    ------
    OptionError
        when an option is not known, or says something else than the file.
    InputError, MissingFileError
        when a file is missing, cannot be read, or holds what no label can be; the message says where.
    """
    cameras = cameras or CameraFiles()
    _check_options(form, measure, cameras, dataset)
    name = name or plain_name(path)
    keys: KeyRule = cameras.keys or ("path" if form == "condensed" else "stem")
    sides, notes = find_sides(form, path, cameras, keys)
    if sides is not None and self_pairs and not sides.self_pairs:
        sides = one_set(sides)
    params: dict[str, Any] = {"format": form, "file": path.name}
    given: dict[str, Any] = {"measure": measure, "params": params}
    if form in ("gcl", "condensed"):
        params["dataset"] = dataset or FOV
        if sides is None:
            raise no_names(form, path, dataset)
        bound = DEFAULT_MIN_VALUE if min_value is None else min_value
        read = _dense if form == "gcl" else _condensed
        source, counts = read(path, dataset, sides, given | {"min_value": bound})
    elif form == "npz":
        source, counts, bound = _npz(path, sides, given, min_value, self_pairs=self_pairs)
    else:
        source, counts, bound = _listed(_LISTS[form](path), path, sides, given, min_value, self_pairs=self_pairs)
        if sides is None:
            notes.append("only cameras that have a pair are known; --queries and --database name all")
        notes.append(f"pairs that are not listed count as at most {bound:g}; --min-value says another limit")
    # What was read for the cameras belongs to the inputs, whichever way it was found.
    files = ((path.parent, path), *(sides.files if sides is not None else ()))
    parameters = params | {"measure": measure, "min_value": bound, "keys": keys, "collection": name}
    record = provenance.step(f"relabel import {form}", parameters, _described(files))
    return Imported(name, source, record, (*notes, *counts.notes(bound)))


def _check_options(form: str, measure: str, cameras: CameraFiles, dataset: str | None) -> None:
    if form not in FORMATS:
        raise OptionError(f"format {form!r} is not known; choose {', '.join(FORMATS)}")
    if measure not in (*MEASURES, UNKNOWN):
        raise OptionError(f"measure {measure!r} is not known; choose {', '.join((*MEASURES, UNKNOWN))}")
    if dataset is not None and form not in ("gcl", "condensed"):
        raise OptionError(f"dataset says nothing about format {form}; it is for gcl and condensed")
    if cameras.root is not None and (cameras.queries or cameras.database):
        raise OptionError("root and queries both say where the cameras come from; give one")
    if cameras.database is not None and cameras.queries is None:
        raise OptionError("database is given without queries; give both, or queries alone for pairs within one set")
    if form == "condensed" and (cameras.database is not None or cameras.root is not None):
        raise OptionError(
            "a condensed file has pairs within one set of cameras; give its index as queries, nothing else"
        )


def _dense(path: Path, dataset: str | None, sides: Sides, given: dict[str, Any]) -> Any:
    return dense_source(path, dataset, sides, **given)


def _condensed(path: Path, dataset: str | None, sides: Sides, given: dict[str, Any]) -> Any:
    with dense_dataset(path, dataset) as found:
        what = found.name[1:]
        rows, columns, values = condensed_entries(path, found, len(sides.query))

    def where(entry: int) -> str:
        return f"{path}: data set {what!r}, pair of pictures {rows[entry]} and {columns[entry]} (counted from 0)"

    return from_entries(rows, columns, values, sides.mirrored(), where=where, **given)


def _npz(path: Path, sides: Sides | None, given: dict[str, Any], min_value: float | None, *, self_pairs: bool) -> Any:
    matrix, told, facts = read_npz(path)
    bound = _bound(path, facts, given["measure"], min_value)
    if sides is None:
        if len(told) < 2:
            raise InputError(
                f"{path}: is a matrix of shape {matrix.shape} without names; give the keys of its rows and columns "
                "(--queries, --database: a key a line)"
            )
        sides = Sides(told["query"][0], told["database"][0], told["query"][1], told["database"][1])
        if self_pairs or facts.get("self_pairs") is True:
            sides = one_set(sides)
    if matrix.shape != sides.shape:
        raise InputError(f"{path}: the matrix has shape {matrix.shape}, but the cameras make it {sides.shape}")
    entries = sparse.coo_array(matrix)
    rows, columns = entries.coords

    def where(entry: int) -> str:
        return f"{path}: row {rows[entry]}, column {columns[entry]} (counted from 0)"

    numbers = [part.astype(np.int32) for part in (rows, columns)]
    return *from_entries(numbers[0], numbers[1], entries.data, sides, where=where, **given, min_value=bound), bound


def _listed(
    pairs: PairList,
    path: Path,
    sides: Sides | None,
    given: dict[str, Any],
    min_value: float | None,
    *,
    self_pairs: bool,
) -> Any:
    bound = _bound(path, pairs.facts, given["measure"], min_value)
    if sides is None:
        sides = _sides_of_names(pairs, self_pairs=self_pairs or pairs.facts.get("self_pairs") is True)
    numbers = []
    sets = ((sides.query, pairs.query, pairs.rows), (sides.database, pairs.database, pairs.columns))
    for side, (cameras, names, codes) in zip(("query", "database"), sets, strict=True):
        numbers.append(_numbered(cameras, names, codes, side, pairs.where))
    return *from_entries(
        numbers[0], numbers[1], pairs.values, sides, where=pairs.where, **given, min_value=bound
    ), bound


def _sides_of_names(pairs: PairList, *, self_pairs: bool) -> Sides:
    if self_pairs:
        cameras, extent = plain(list(dict.fromkeys([*pairs.query, *pairs.database])))
        return Sides(cameras, cameras, extent, extent, self_pairs=True)
    (query, query_extent), (database, database_extent) = plain(pairs.query), plain(pairs.database)
    return Sides(query, database, query_extent, database_extent)


def _numbered(
    cameras: Cameras, names: list[str], codes: npt.NDArray[np.int32], side: str, where: Callable[[int], str]
) -> npt.NDArray[np.int32]:
    rows = rows_of(cameras.key, np.array(names, np.str_))
    missing = np.flatnonzero(rows < 0)
    if len(missing):
        entry = int(np.argmax(np.isin(codes, missing)))
        raise InputError(
            f"{where(entry)}: {side} {names[codes[entry]]!r} is not among the {len(cameras):,} {side} cameras "
            f"({len(missing):,} key(s) are not); give the cameras that belong to the pairs"
        )
    return rows.astype(np.int32)[codes]


def _bound(path: Path, facts: dict[str, Any], measure: str, min_value: float | None) -> float:
    told = facts.get("measure", measure)
    if told != measure and UNKNOWN not in (told, measure):
        raise OptionError(f"{path}: says itself that its measure is {told!r}, not {measure!r}")
    if min_value is not None:
        return min_value
    bound = facts.get("min_value", DEFAULT_MIN_VALUE)
    return float(bound) if isinstance(bound, int | float) else DEFAULT_MIN_VALUE


def _described(files: tuple[tuple[Path, Path], ...]) -> list[dict[str, Any]]:
    """The inputs, each relative to the folder it is named from."""
    folders = dict.fromkeys(folder for folder, _ in files)
    found: dict[str, dict[str, Any]] = {}
    for folder in folders:
        for entry in provenance.describe(folder, [file for base, file in files if base == folder]):
            found.setdefault(entry["path"], entry)
    return [found[path] for path in sorted(found)]
