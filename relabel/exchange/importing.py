"""Reading labels made by other programs, and writing them as a label file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relabel.errors import OptionError
from relabel.exchange import registry
from relabel.exchange.camera_files import CameraFiles, collection_name, find_sides
from relabel.exchange.entries import ImportRequest, ImportResult
from relabel.exchange.registry import FormatSpec
from relabel.labelfile import provenance, write
from relabel.measures import MEASURES, UNKNOWN, Measure, Unknown
from relabel.similarity import SimilaritySource


@dataclass(frozen=True, eq=False)
class Imported:
    """Imported labels, ready to be written.

    Attributes
    ----------
    name:
        the name of the collection.
    source:
        a `SimilaritySource` of method ``imported``.
    record:
        the provenance record of the import.
    notes:
        one sentence for each thing that was assumed or changed.
    """

    name: str
    source: SimilaritySource
    record: dict[str, Any]
    notes: tuple[str, ...]

    def write(self, path: Path, *, overwrite: bool = False, progress: Callable[[int], object] | None = None) -> Path:
        """Write them as a label file of one collection; parameters and errors as for `relabel.labelfile.write`."""
        return write(path, {self.name: self.source}, provenance=[self.record], overwrite=overwrite, progress=progress)


def load(
    form: str,
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
        the name of a format, see `relabel.exchange.registry.import_formats`.
    path:
        the file with the values.
    measure:
        the measure of the values; ``unknown`` if their makers do not say.
    cameras:
        the files that keys, positions and statuses are read from; None for the input itself and the files beside it.
    min_value:
        values up to it are not stored, and pairs that are missing from the input are taken to have at most this ψ;
        None takes the limit that the input states, otherwise 1e-6.
    self_pairs:
        the database is the set of queries.
    dataset:
        the HDF5 dataset of a dense file; None takes ``fov``.
    name:
        the name of the collection; None takes that of the file without its extension.

    Raises
    ------
    OptionError
        when an option is not known, or contradicts the file.
    InputError, MissingFileError
        when a file is missing, cannot be read, or holds values that cannot be labels; the message says where.
    """
    spec = registry.import_format(form)
    camera_files = cameras or CameraFiles()
    options = {} if dataset is None else {"dataset": dataset}
    _check_options(spec, measure, camera_files, options)
    name = name or collection_name(path)
    sides, notes = find_sides(spec, path, camera_files)
    if sides is not None and self_pairs and not sides.self_pairs:
        sides = sides.as_one_set()
    notes += sides.notes if sides is not None else ()
    params = {"format": form, "file": path.name}
    request = ImportRequest(path, sides, measure, min_value, self_pairs, params)
    result: ImportResult = registry.reader(spec)(request, **options)
    parameters = {
        **params,
        **result.params,
        "measure": measure,
        "min_value": result.bound,
        "keys": camera_files.keys or spec.keys,
        "collection": name,
    }
    # Files that were read for the cameras are inputs, whether they were named or found beside the file.
    files = ((path.parent, path), *(sides.files if sides is not None else ()))
    record = provenance.step(f"relabel import {form}", parameters, _inputs(files))
    return Imported(name, result.source, record, (*notes, *result.notes, *result.counts.notes(result.bound)))


def _check_options(spec: FormatSpec, measure: str, cameras: CameraFiles, options: dict[str, str]) -> None:
    if measure not in (*MEASURES, UNKNOWN):
        raise OptionError(f"measure {measure!r} is not known; choose {', '.join((*MEASURES, UNKNOWN))}")
    for option in options:
        if option not in spec.import_options:
            takers = " and ".join(registry.imports_with(option))
            raise OptionError(f"{option} does not apply to format {spec.name}; it is for {takers}")
    if cameras.root is not None and (cameras.queries or cameras.database):
        raise OptionError("root and queries both define the cameras; give one")
    if cameras.database is not None and cameras.queries is None:
        raise OptionError("database is given without queries; give both, or queries alone for pairs within one set")
    if spec.one_set and (cameras.database is not None or cameras.root is not None):
        raise OptionError(
            f"a {spec.name} file has pairs within one set of cameras; give its index as queries, nothing else"
        )


def _inputs(files: tuple[tuple[Path, Path], ...]) -> list[dict[str, Any]]:
    """The descriptions of the files for provenance, each relative to its folder."""
    entries: dict[str, dict[str, Any]] = {}
    for folder in dict.fromkeys(folder for folder, _ in files):
        for entry in provenance.describe(folder, [file for base, file in files if base == folder]):
            entries.setdefault(entry["path"], entry)
    return [entries[path] for path in sorted(entries)]
