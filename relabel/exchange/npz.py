"""SciPy's ``.npz`` of a sparse matrix, with keys, statuses and everything else of a collection as further arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, MissingFileError
from relabel.exchange.camera_files import CameraSides
from relabel.exchange.entries import ImportRequest, ImportResult, read_facts, rule_notes, similarity_of_entries
from relabel.exchange.folder import ExportFolder, file_name, without_metadata
from relabel.input_files import check_regular, check_zip
from relabel.similarity import SimilaritySource, gather
from relabel.tables import facts_text

_FACTS = "relabel"
_SIDES = ("query_", "database_")
_CAMERA = ("key", "status", "position", "heading_deg")


def write_npz(source: SimilaritySource, name: str, folder: ExportFolder) -> list[str]:
    """``NAME.npz``, which ``scipy.sparse.load_npz`` reads as a (queries × database) float32 CSR array.

    SciPy ignores the further arrays: ``query_key``, ``query_status`` (numbers of `Status`), ``query_position``,
    ``query_heading_deg``, ``query_extent``, the same of the database, and ``relabel``, a JSON text with measure,
    method, params, min_value, crs and self_pairs. Nothing in the file is pickled. All pairs are held in memory once.
    """
    file = f"{file_name(name)}.npz"
    folder.claim([file])
    c = source.collection
    matrix = gather(source).matrix
    # The members that SciPy's save_npz writes for a csr_array; it cannot add others.
    arrays: dict[str, npt.NDArray[Any]] = {
        "format": np.array(b"csr"),
        "shape": np.array(matrix.shape),
        "data": matrix.data,
        "indices": matrix.indices,
        "indptr": matrix.indptr,
        "_is_array": np.array(1),
    }
    for side, cameras, extent in (("query", c.query, c.query_extent), ("database", c.database, c.database_extent)):
        arrays |= {f"{side}_{column}": getattr(cameras, column) for column in _CAMERA} | {f"{side}_extent": extent}
    arrays[_FACTS] = np.array(facts_text(source))
    with folder.file(file) as private, private.open("wb") as stream:
        np.savez_compressed(stream, **{key: without_metadata(array) for key, array in arrays.items()})  # type: ignore[arg-type]  # its stub takes allow_pickle for a name
    lost = sorted({*c.query.extra, *c.database.extra})
    lost += [column for column in ("pose", "fov_deg", "radius_m") if getattr(c.query, column) is not None]
    cameras_note = f"; of the cameras, {', '.join(lost)}" if lost else ""
    return [f"{name}: provenance is not in the file{cameras_note}"]


def read_npz(request: ImportRequest) -> ImportResult:
    """The labels of a ``.npz`` of a sparse matrix; it may hold names, measure and ``min_value``, as from `write_npz`.

    Raises
    ------
    MissingFileError, InputError
        when there is no such file, it is not a ``.npz`` of a sparse matrix, nothing names its rows and columns, its
        shape is not that of the cameras, their properties are invalid, a pair is repeated, or a value is not in [0,
        1].
    OptionError
        when the file names another measure than the request.
    """
    path = request.path
    entries, sides, facts = _read(path)
    bound = request.bound(facts)
    if request.sides is not None:
        sides = request.sides
    elif sides is None:
        raise InputError(
            f"{path}: is a matrix of shape {entries.shape} without names; give the keys of its rows and columns "
            "(queries=…, database=…: one key per line)"
        )
    elif request.self_pairs or facts.get("self_pairs") is True:
        sides = sides.as_one_set()
    if entries.shape != sides.shape:
        raise InputError(f"{path}: the matrix has shape {entries.shape}, but the cameras give {sides.shape}")
    rows, columns = entries.coords

    def locate(entry: int) -> str:
        return f"{path}: row {rows[entry]}, column {columns[entry]} (counted from 0)"

    similarity, counts = similarity_of_entries(
        rows.astype(np.int32),
        columns.astype(np.int32),
        entries.data,
        sides,
        measure=request.measure,
        min_value=bound,
        params=request.params,
        locate=locate,
    )
    return ImportResult(similarity, counts, bound, rule_notes(facts))


def _read(path: Path) -> tuple[sparse.coo_array, CameraSides | None, dict[str, Any]]:
    """The entries, the cameras if the file has keys of both sides, and its facts, empty if there are none."""
    check_regular(path)
    try:
        check_zip(path)
        matrix: Any = sparse.load_npz(path)
        if matrix.format in ("csr", "csc", "bsr"):
            matrix.check_format(full_check=True)
        # Entry by entry, as they are stored: CSR would add up those of one pair, and take memory for empty rows.
        entries = sparse.coo_array(matrix)
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files if name == _FACTS or name.startswith(_SIDES)}
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist") from None
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib, NumPy and SciPy each raise their own
        raise InputError(f"{path}: cannot be read as a sparse matrix of SciPy (.npz): {error}") from None
    if entries.ndim != 2:
        raise InputError(f"{path}: has an array of shape {entries.shape}; expected (queries, database cameras)")
    try:
        facts = read_facts(str(arrays[_FACTS])) if _FACTS in arrays else {}
    except InputError as error:
        raise InputError(f"{path}: {error}; correct it") from None
    sides = {}
    for number, side in enumerate(("query", "database")):
        key = arrays.get(f"{side}_key")
        if key is None:
            continue
        n = entries.shape[number]
        if key.shape != (n,):
            raise InputError(f"{path}: {side}_key has shape {key.shape}, but the matrix has shape {entries.shape}")
        missing = np.full(n, np.nan)
        try:
            cameras = Cameras(
                key,
                arrays.get(f"{side}_position", np.full((n, 2), np.nan)),
                heading_deg=arrays.get(f"{side}_heading_deg", missing),
                status=arrays.get(f"{side}_status", np.full(n, Status.OK, np.uint8)),
                crs=str(facts.get("crs", "local")),
                posed=False,
            )
            sides[side] = (cameras, np.asarray(arrays.get(f"{side}_extent", missing), np.float64))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: the {side} cameras: {error}") from None
    if len(sides) < 2:
        return entries, None, facts
    (query, query_extent), (database, database_extent) = sides["query"], sides["database"]
    return entries, CameraSides(query, database, query_extent, database_extent), facts
