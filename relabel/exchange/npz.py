"""SciPy's ``.npz`` of a sparse matrix, with keys, statuses and all else of a collection as further arrays in it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from relabel.cameras import Cameras, Status
from relabel.errors import InputError, MissingFileError
from relabel.exchange.csv_parquet import facts
from relabel.exchange.folder import Folder, bare, file_name
from relabel.similarity import SimilaritySource, gather

_FACTS = "relabel"
_CAMERA = ("key", "status", "position", "heading_deg")


def write_npz(source: SimilaritySource, name: str, folder: Folder) -> list[str]:
    """``NAME.npz``, which ``scipy.sparse.load_npz`` reads as a (queries × database) float32 CSR array.

    SciPy passes over the further arrays: ``query_key``, ``query_status`` (numbers of `Status`), ``query_position``,
    ``query_heading_deg``, ``query_extent``, the same of the database, and ``relabel``, a JSON text with measure,
    method, params, min_value, crs and self_pairs. Nothing in the file is pickled. All pairs are held in memory once.
    """
    file = f"{file_name(name)}.npz"
    folder.claim([file])
    c = source.collection
    matrix = gather(source).matrix
    # The members that SciPy's own save_npz writes for a csr_array; it cannot add others.
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
    arrays[_FACTS] = np.array(json.dumps(facts(source), ensure_ascii=False, sort_keys=True))
    with folder.file(file) as private, private.open("wb") as stream:
        np.savez_compressed(stream, **{key: bare(array) for key, array in arrays.items()})  # type: ignore[arg-type]  # its stub takes allow_pickle for a name
    lost = sorted({*c.query.extra, *c.database.extra})
    lost += [column for column in ("pose", "fov_deg", "radius_m") if getattr(c.query, column) is not None]
    gone = f"; of the cameras, {', '.join(lost)}" if lost else ""
    return [f"{name}: provenance is not in the file{gone}"]


def read_npz(path: Path) -> tuple[sparse.csr_array, dict[str, tuple[Cameras, npt.NDArray[np.float64]]], dict[str, Any]]:
    """The matrix, the cameras and extents of the sides that have keys in the file, and its facts, empty without.

    Raises
    ------
    MissingFileError, InputError
        when there is no such file, or it is no ``.npz`` of a sparse matrix.
    """
    try:
        matrix = sparse.csr_array(sparse.load_npz(path))
        with np.load(path) as arrays:
            found = {name: arrays[name] for name in arrays.files if name not in ("data", "indices", "indptr")}
        told = json.loads(str(found[_FACTS])) if _FACTS in found else {}
    except FileNotFoundError:
        raise MissingFileError(f"{path}: is not there") from None
    except (OSError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path}: cannot be read as a sparse matrix of SciPy (.npz): {error}") from None
    sides = {}
    for number, side in enumerate(("query", "database")):
        key = found.get(f"{side}_key")
        if key is None:
            continue
        n = matrix.shape[number]
        if len(key) != n:
            raise InputError(f"{path}: {side}_key has {len(key)} names, but the matrix has shape {matrix.shape}")
        missing = np.full(n, np.nan)
        cameras = Cameras(
            key,
            found.get(f"{side}_position", np.full((n, 2), np.nan)),
            heading_deg=found.get(f"{side}_heading_deg", missing),
            status=found.get(f"{side}_status", np.full(n, Status.OK, np.uint8)),
            crs=str(told.get("crs", "local")),
            posed=False,
        )
        sides[side] = (cameras, np.asarray(found.get(f"{side}_extent", missing), np.float64))
    return matrix, sides, told
