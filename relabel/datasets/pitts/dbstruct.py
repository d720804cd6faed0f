"""`dbStruct`: the files in which NetVLAD and its relatives keep the names and coordinates of queries and database.

    pitts30k_val.mat    a MATLAB struct: dbImageFns (n,1) cell, utmDb (2,n), qImageFns (m,1) cell, utmQ (2,m), and more
    pitts30k_val.npz    utmDb (n,2), utmQ (m,2); the names are in lists of their own

Fields are read by name, as their order differs from file to file. Coordinates are metres, east before north. Datasets
that use the form for something else are recognised by their numbers.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from struct import unpack
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from relabel.datasets.image_lists import NameList, read_names
from relabel.errors import InputError, MissingFileError
from relabel.input_files import check_inflated, check_regular, check_zip, inflated_limit

FloatArray = npt.NDArray[np.float64]

STRUCT = "dbStruct"
SUFFIXES = (".mat", ".npz")
_NAMES = {"query": "qImageFns", "database": "dbImageFns"}
_METRES = {"query": "utmQ", "database": "utmDb"}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MAT_HEADER = 128  # bytes; the last two tell the order of bytes
_COMPRESSED = 15  # the type of an element that holds a compressed variable
_NAME_WITHIN = 1024  # bytes of a variable: its name follows flags and dimensions
_INFLATED_AT_ONCE = 1 << 20
_EASTING = (100_000.0, 900_000.0)  # of a UTM zone, with a margin
_WRONG_KIND = "is not a readable MATLAB file of version 7 or older"


@dataclass(frozen=True, eq=False)
class DbStruct:
    """The names and coordinates of one file.

    Attributes
    ----------
    path:
        the file.
    query, database:
        names, unique and not empty.
    query_m, database_m:
        (n, 2) float64 metres east and north.
    files:
        every file that was read.
    notes:
        what the user should know about the coordinates.
    """

    path: Path
    query: Sequence[str]
    database: Sequence[str]
    query_m: FloatArray
    database_m: FloatArray
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


def variables(path: Path) -> list[str]:
    """Names of the variables of a ``.mat`` or arrays of an ``.npz`` file, without reading them.

    Raises
    ------
    InputError
        when the file is neither of these.
    """
    if path.suffix.lower() == ".npz":
        with _npz(path) as arrays:
            return list(arrays.files)
    import scipy.io  # noqa: PLC0415  (100 ms)

    return [name for name, *_ in _of_mat(path, scipy.io.whosmat)]


def holds_dbstruct(path: Path) -> bool:
    """Whether the file has the variables that `read_dbstruct` needs."""
    names = variables(path)
    return STRUCT in names if path.suffix.lower() == ".mat" else set(_METRES.values()) <= set(names)


def read_dbstruct(path: Path, *, query_names: Path | None = None, database_names: Path | None = None) -> DbStruct:
    """The names and coordinates of one file.

    Parameters
    ----------
    path:
        a ``.mat`` or ``.npz`` file.
    query_names, database_names:
        lists of names, one per line; an ``.npz`` file needs both, a ``.mat`` file holds its own.

    Raises
    ------
    MissingFileError
        when a file is not there.
    InputError
        when a file is of another kind, lacks a field, holds no metres, or names and coordinates disagree in number.
    """
    lists = {"query": query_names, "database": database_names}
    if path.suffix.lower() == ".npz":
        struct = _read_npz(path, lists)
    else:
        if any(name is not None for name in lists.values()):
            raise InputError(f"{path}: holds the names itself; lists of names are for .npz files")
        struct = _read_mat(path)
    _refuse_frame_numbers(struct)
    return _east_first(struct)


def _read_mat(path: Path) -> DbStruct:
    import scipy.io  # noqa: PLC0415  (100 ms)

    names_there = variables(path)
    if STRUCT not in names_there:
        content = ", ".join(names_there) or "no variable"
        raise InputError(
            f"{path}: has no variable {STRUCT}; it holds {content}. Give the file with names and coordinates"
        )
    _check_inflated(path)
    struct = _of_mat(path, lambda name: scipy.io.loadmat(name, variable_names=[STRUCT]))[STRUCT]
    if struct.dtype.names is None or struct.size != 1:
        raise InputError(f"{path}: {STRUCT} is an array of {struct.dtype} with shape {struct.shape}, not one struct")
    fields = {name: struct.ravel()[0][name] for name in struct.dtype.names}
    missing = [name for name in (*_NAMES.values(), *_METRES.values()) if name not in fields]
    if missing:
        raise InputError(f"{path}: {STRUCT} has no field {', '.join(missing)}; it has {', '.join(fields)}")
    names = {side: _texts(path, name, fields[name]) for side, name in _NAMES.items()}
    metres = {
        side: _coordinates(path, name, fields[name], len(names[side]), rows_first=False)
        for side, name in _METRES.items()
    }
    return DbStruct(path, names["query"], names["database"], metres["query"], metres["database"], (path,))


def _read_npz(path: Path, lists: dict[str, Path | None]) -> DbStruct:
    names: dict[str, NameList] = {}
    for side, name in lists.items():
        if name is None:
            raise InputError(
                f"{path}: holds coordinates without names; give lists of the names, one per line, with --query-names "
                "and --database-names"
            )
        names[side] = read_names(name)
    with _npz(path) as arrays:
        missing = [name for name in _METRES.values() if name not in arrays.files]
        if missing:
            content = ", ".join(arrays.files) or "nothing"
            raise InputError(f"{path}: has no array {', '.join(missing)}; it holds {content}")
        try:
            metres = {
                side: _coordinates(path, name, arrays[name], len(names[side]), rows_first=True)
                for side, name in _METRES.items()
            }
        except (ValueError, OSError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: its arrays cannot be read: {error}") from None
    files = tuple(dict.fromkeys([path, *names["query"].files, *names["database"].files]))
    return DbStruct(path, names["query"].names, names["database"].names, metres["query"], metres["database"], files)


def _npz(path: Path) -> Any:
    check_regular(path)
    try:
        check_zip(path)
        arrays = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist") from None
    except InputError:
        raise
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: is not a readable .npz file: {error}") from None
    if not isinstance(arrays, np.lib.npyio.NpzFile):
        raise InputError(f"{path}: is a single array; expected an .npz file with {' and '.join(_METRES.values())}")
    return arrays


def _of_mat(path: Path, read: Any) -> Any:
    """The content of a file as read by scipy, with its errors in plain words."""
    check_regular(path)
    try:
        with path.open("rb") as stream:
            head = stream.read(520)
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None
    if _HDF5 in (head[:8], head[512:]):
        raise InputError(
            f"{path}: is a MATLAB file of version 7.3 (HDF5); save it as version 7: save('{path.name}', '{STRUCT}', "
            "'-v7')"
        )
    try:
        return read(path)
    except Exception as error:  # scipy raises any error of its parser
        raise InputError(f"{path}: {_WRONG_KIND}: {str(error) or type(error).__name__}") from None


def _check_inflated(path: Path) -> None:
    """Raise an `InputError` if the struct inflates to far more than the file: SciPy would inflate it all at once."""
    with path.open("rb") as stream:
        order = {b"IM": "<", b"MI": ">"}.get(stream.read(_MAT_HEADER)[-2:])
        if order is None:  # version 4, which has no compression
            return
        while len(tag := stream.read(8)) == 8:
            kind, size = unpack(order + "II", tag)
            following = stream.tell() + size
            if kind == _COMPRESSED:
                _check_element(path, stream, size)
            stream.seek(following)


def _check_element(path: Path, stream: BinaryIO, size: int) -> None:
    most = inflated_limit(path)
    inflate = zlib.decompressobj()
    inflated = 0
    try:
        while size > 0 and (data := stream.read(min(size, _INFLATED_AT_ONCE))):
            size -= len(data)
            while data and inflated <= most:
                piece = inflate.decompress(data, _INFLATED_AT_ONCE)
                if inflated == 0 and STRUCT.encode() not in piece[:_NAME_WITHIN]:
                    return  # another variable, which is not read
                inflated += len(piece)
                data = inflate.unconsumed_tail
            check_inflated(path, inflated)
    except zlib.error:
        return  # SciPy says what is wrong


def _texts(path: Path, field: str, cells: npt.NDArray[Any]) -> list[str]:
    """The texts of a cell array, or the rows of a matrix of characters."""
    if cells.dtype.kind == "U":
        texts = [text.rstrip() for text in cells.ravel().tolist()]
    elif cells.dtype.kind == "O":
        texts = []
        for number, cell in enumerate(cells.ravel().tolist(), 1):
            if not (isinstance(cell, np.ndarray) and cell.dtype.kind == "U" and cell.size <= 1):
                raise InputError(f"{path}: {field}, cell {number}: is not text")
            texts.append(str(cell.item()) if cell.size else "")
    elif cells.size == 0:
        texts = []
    else:
        raise InputError(f"{path}: {field} is an array of {cells.dtype}; expected a cell array of names")
    if "" in texts:
        raise InputError(f"{path}: {field}, cell {texts.index('') + 1}: is empty; every image needs a name")
    if len(set(texts)) < len(texts):
        first: dict[str, int] = {}
        for number, text in enumerate(texts, 1):
            if first.setdefault(text, number) != number:
                raise InputError(
                    f"{path}: {field}: {text!r} is in cells {first[text]} and {number}; labels are joined by name: "
                    "keep each once"
                )
    return texts


def _coordinates(path: Path, field: str, array: npt.NDArray[Any], count: int, *, rows_first: bool) -> FloatArray:
    """(count, 2) metres, from an array that is (2, count) or (count, 2); `rows_first` is the usual order."""
    if array.dtype.kind not in "iuf":
        raise InputError(f"{path}: {field} is an array of {array.dtype}; expected numbers")
    if count == 0 and array.size == 0:
        return np.empty((0, 2))
    if array.ndim == 2 and 1 in array.shape and array.size == count and count != 2:
        raise InputError(
            f"{path}: {field} has shape {array.shape}, one number per image: a frame number, as in structs of "
            "Nordland, not a position. Fields of view need metres and headings"
        )
    usual, other = (array, array.T) if rows_first else (array.T, array)
    for table in (usual, other):
        if table.shape == (count, 2):
            return np.ascontiguousarray(table, dtype=np.float64)
    expected = f"({count}, 2)" if rows_first else f"(2, {count})"
    raise InputError(
        f"{path}: {field} has shape {array.shape}, but there are {count:,} names; expected {expected}: names and "
        "coordinates must belong to the same images"
    )


def _refuse_frame_numbers(struct: DbStruct) -> None:
    """Raise if east and north are the same number throughout, as where frames are numbered on a diagonal."""
    table = np.concatenate([struct.query_m, struct.database_m])
    if len(table) > 1 and (table[:, 0] == table[:, 1]).all():
        raise InputError(
            f"{struct.path}: east and north are equal in every row: frame numbers, as in files of Nordland, not "
            "positions. Fields of view need metres and headings"
        )


def _east_first(struct: DbStruct) -> DbStruct:
    """The same coordinates with east before north, which some files have in the other order."""
    table = np.concatenate([struct.query_m, struct.database_m])
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) == 0:
        return struct

    def is_easting(column: int) -> bool:
        return bool(((table[:, column] > _EASTING[0]) & (table[:, column] < _EASTING[1])).all())

    if is_easting(0) or not is_easting(1) or np.abs(table[:, 0]).min() <= _EASTING[1]:
        return struct
    return replace(
        struct,
        query_m=np.ascontiguousarray(struct.query_m[:, ::-1]),
        database_m=np.ascontiguousarray(struct.database_m[:, ::-1]),
        notes=(*struct.notes, "judging by its numbers, the file has north before east; they were swapped"),
    )
