"""Dense HDF5 files as the GCL code base reads them: every pair has a number, and zero means a hard negative."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from relabel.datasets.msls import IMAGE_PATH
from relabel.errors import InputError, MissingFileError, OutputError
from relabel.exchange.camera_sides import Sides
from relabel.exchange.entries import Counts, Known, checked, collection_of, unknown_pairs
from relabel.exchange.folder import Folder, file_name
from relabel.exchange.gcl_index import index_of
from relabel.exchange.positive_rows import check_threshold
from relabel.images.paths import picture_paths
from relabel.labelfile.pair_rules import Symmetry
from relabel.measures import Measure, Unknown
from relabel.similarity import Collection, RowBlock, SimilaritySource

Rows = npt.NDArray[np.float32]

_BLOCK_VALUES = 1 << 23  # 32 MB of float32
_FLAT_CHUNK = 1 << 16
_BYTES = 5  # a float32 and a byte


def write_gcl(
    source: SimilaritySource,
    name: str,
    folder: Folder,
    *,
    threshold: float = 0.5,
    image_path: str | None = None,
    drop_unknown: bool = False,
    max_bytes: int | None = None,
    gzip: bool = False,
) -> list[str]:
    """``NAME_gt.h5`` with the indices ``NAME/query.json`` and ``NAME/database.json``, as GCL reads them for MSLS.

    ``fov`` is ψ as float32 and ``sim`` is 1 where ψ ≥ `threshold`, else 0, as uint8; both (queries × database), in
    chunks of one row, which is how they are read. Rows are in the order of the label file.

    Parameters
    ----------
    source, name, folder:
        the collection, its name, and where the files go.
    threshold:
        of ``sim``.
    image_path:
        as for `picture_paths`; by default where MSLS keeps its pictures.
    drop_unknown:
        leave out cameras that are not ok. GCL takes panoramas from ``raw.csv`` by row, so this also writes
        ``NAME/query/raw.csv`` and ``NAME/database/raw.csv`` with the rows that are left; files of these names are never
        replaced, since they may be those of the data set.
    max_bytes:
        the most that the dense file may take; the space that is free is a limit anyway.
    gzip:
        compress rows: far smaller, and slower to read.

    Returns
    -------
    list of str
        what the format loses.

    Raises
    ------
    OutputError
        before anything is written when the file cannot fit; the message has the bytes.
    """
    check_threshold(threshold, source.collection)
    stem = file_name(name)
    sides = ("query", "database")
    matrix, tables = f"{stem}_gt.h5", [f"{stem}/{side}/raw.csv" for side in sides]
    notes = _unknown_notes(source, name, dropped=drop_unknown)
    if drop_unknown:
        source = Known(source)
    c = source.collection
    n, m = c.shape
    if not gzip:
        _check_space(folder, matrix, n * m * _BYTES, (n, m), max_bytes)
    cameras = (c.query, c.database)
    paths = [
        picture_paths(each, image_path or IMAGE_PATH, collection=name, side=side)
        for each, side in zip(cameras, sides, strict=True)
    ]
    folder.claim([matrix, *(f"{stem}/{side}.json" for side in sides)])
    if drop_unknown:
        folder.claim(tables, replaceable=False)
    with folder.file(matrix) as private, h5py.File(private, "w", libver=("earliest", "v110")) as file:
        fov, sim = (
            _dataset(file, key, dtype, (n, m), (1, m), gzip=gzip) for key, dtype in (("fov", "<f4"), ("sim", "u1"))
        )
        for first, rows in dense_rows(source):
            here = slice(first, first + len(rows))
            fov[here] = rows
            sim[here] = rows >= np.float32(threshold)
            if gzip:
                _check_written(file, private, folder.path / matrix, max_bytes)
    for each, side, names in zip(cameras, sides, paths, strict=True):
        folder.write_json(f"{stem}/{side}.json", index_of(each, names))
    if drop_unknown:
        for each, table in zip(cameras, tables, strict=True):
            with folder.file(table, replaceable=False) as private:
                rows_text = (f"{i},{key},False\n" for i, key in enumerate(each.key))
                private.write_text(",key,pano\n" + "".join(rows_text), encoding="utf-8")
    return notes


def write_condensed(
    source: SimilaritySource,
    name: str,
    folder: Folder,
    *,
    threshold: float = 0.5,
    image_path: str | None = None,
    drop_unknown: bool = False,
    max_bytes: int | None = None,
    gzip: bool = False,
) -> list[str]:
    """``NAME_gt.h5`` with the upper triangle and the index ``NAME.json``, as GCL's siamese loader reads 7Scenes.

    ``fov`` (float32) and ``sim`` (uint8) have n(n-1)/2 entries: pairs (0, 1), (0, 2), … (n-2, n-1), as
    SciPy's ``squareform`` orders them. Parameters as for `write_gcl`.

    Raises
    ------
    InputError
        when the collection is not self-paired, or not symmetric.
    OutputError
        before anything is written when the file cannot fit.
    """
    _check_symmetric(source, name)
    check_threshold(threshold, source.collection)
    stem = file_name(name)
    matrix, index = f"{stem}_gt.h5", f"{stem}.json"
    notes = _unknown_notes(source, name, dropped=drop_unknown)
    if drop_unknown:
        source = Known(source)
    c = source.collection
    n = c.shape[0]
    size = n * (n - 1) // 2
    if not gzip:
        _check_space(folder, matrix, size * _BYTES, (size,), max_bytes)
    paths = picture_paths(c.query, image_path, collection=name, side="query")
    folder.claim([matrix, index])
    halves = filled = 0
    with folder.file(matrix) as private, h5py.File(private, "w", libver=("earliest", "v110")) as file:
        flat = (min(_FLAT_CHUNK, size),) if gzip else None
        fov, sim = (
            _dataset(file, key, dtype, (size,), flat, gzip=gzip) for key, dtype in (("fov", "<f4"), ("sim", "u1"))
        )
        for first, rows in dense_rows(source):
            upper = np.arange(n) > np.arange(first, first + len(rows))[:, np.newaxis]
            values = rows[upper]
            here = slice(filled, filled + len(values))
            fov[here], sim[here] = values, values >= np.float32(threshold)
            filled += len(values)
            halves += int((values == np.float32(0.5)).sum())
            if gzip:
                _check_written(file, private, folder.path / matrix, max_bytes)
    folder.write_json(index, index_of(c.query, paths, poses=True))
    if halves:
        notes.append(
            f"{name}: {halves:,} pairs have ψ = 0.5 exactly; the siamese loader takes > 0.5 for a positive and < 0.5 "
            "for a soft negative, so it never draws them"
        )
    return notes


def dense_rows(source: SimilaritySource) -> Iterator[tuple[int, Rows]]:
    """All rows in order as dense blocks of bounded size: the first row's number and a (rows × database) array."""
    width = source.collection.shape[1]
    at_once = max(1, _BLOCK_VALUES // max(width, 1))
    for block in source.blocks():
        ends = np.cumsum(block.counts)
        for start in range(0, len(block.counts), at_once):
            counts = block.counts[start : start + at_once]
            last = int(ends[start + len(counts) - 1])
            part = slice(last - int(counts.sum()), last)
            rows = np.zeros((len(counts), width), np.float32)
            rows[np.repeat(np.arange(len(counts)), counts), block.indices[part]] = block.data[part]
            yield block.first_row + start, rows


def _dataset(
    file: Any, name: str, dtype: str, shape: tuple[int, ...], chunks: tuple[int, ...] | None, *, gzip: bool
) -> Any:
    filters = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if gzip and 0 not in shape else {}
    return file.create_dataset(
        name, shape, dtype, chunks=None if 0 in shape else chunks, fillvalue=0, track_times=False, **filters
    )


def _check_space(folder: Folder, name: str, size: int, shape: tuple[int, ...], max_bytes: int | None) -> None:
    there = folder.path
    while not there.is_dir() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    limit, what = (free, "are free there") if max_bytes is None or free < max_bytes else (max_bytes, "are allowed")
    if size > limit:
        raise OutputError(
            f"{folder.path / name}: {' × '.join(f'{n:,}' for n in shape)} pairs take {size:,} bytes when dense, and "
            f"only {limit:,} {what}; compress them (--gzip), choose another folder or limit, or export "
            "a part of the cameras"
        )


def _check_written(file: Any, private: Path, target: Path, max_bytes: int | None) -> None:
    if max_bytes is None:
        return
    file.flush()
    if private.stat().st_size > max_bytes:
        raise OutputError(
            f"{target}: takes more than the {max_bytes:,} bytes that are allowed; choose a larger limit, or export a "
            "part of the cameras"
        )


def _check_symmetric(source: SimilaritySource, name: str) -> None:
    c = source.collection
    if not c.self_pairs:
        raise InputError(
            f"{name}: has queries apart from its database, and a condensed file has pairs within one set; "
            "export it with --to gcl"
        )
    if c.symmetric:
        return
    symmetry = Symmetry(c.shape[0])
    for block in source.blocks():
        symmetry.add(block)
    if len(symmetry.unbalanced()):
        raise InputError(
            f"{name}: a condensed file has one value a pair, and {c.measure} differs between the two directions of "
            "some; export it in another measure (--measure iou)"
        )


def _unknown_notes(source: SimilaritySource, name: str, *, dropped: bool) -> list[str]:
    c = source.collection
    notes = [f"{name}: the file does not say what measure it holds ({c.measure}), nor with what parameters it was made"]
    unknown = unknown_pairs(c)
    if unknown and dropped:
        sides = (c.query,) if c.self_pairs else (c.query, c.database)
        count = sum(int((~side.ok).sum()) for side in sides)
        notes.append(f"{name}: {count:,} cameras that are not ok are left out")
    elif unknown:
        notes.append(
            f"{name}: {unknown:,} pairs are unknown, and stand as 0 in the file, which its readers take for hard "
            "negatives (GCL itself passes over panoramas only); --drop-unknown leaves their cameras out"
        )
    return notes


_BAND_VALUES = 1 << 23  # 32 MB of float32
FOV = "fov"


@contextmanager
def dense_dataset(path: Path, name: str | None) -> Iterator[Any]:
    """The data set of a dense file: the named one, else ``fov``.

    Raises
    ------
    MissingFileError
        when there is no such file.
    InputError
        when it is not HDF5 or has no such data set; the message lists those that it has.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise MissingFileError(f"{path}: is not there") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read as HDF5: {error}") from None
    with file:
        wanted = name or FOV
        found = file.get(wanted)
        if not isinstance(found, h5py.Dataset):
            there = [key for key in file if isinstance(file.get(key), h5py.Dataset)]
            hint = "; sim is binary, --dataset sim takes it all the same" if "sim" in there and name is None else ""
            raise InputError(f"{path}: has no data set {wanted!r}; there are {', '.join(there) or 'none'}{hint}")
        if found.dtype.kind not in "biuf":
            raise InputError(f"{path}: data set {wanted!r} has type {found.dtype}, which is no number")
        try:
            yield found
        except OSError as error:
            raise InputError(f"{path}: data set {wanted!r} is damaged: {error}") from None


@dataclass(frozen=True, eq=False)
class DenseSource:
    """A dense (queries × database) data set as a `SimilaritySource`; at most a band of rows is in memory."""

    path: Path
    dataset: str | None
    collection: Collection

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        c = self.collection
        with dense_dataset(self.path, self.dataset) as found:
            for first, band, _ in bands(self.path, found, self_pairs=c.self_pairs):
                keep = band > np.float32(c.min_value)
                columns = np.broadcast_to(np.arange(band.shape[1], dtype=np.int32), band.shape)
                yield RowBlock(first, keep.sum(axis=1, dtype=np.int64), columns[keep], band[keep])


def dense_source(
    path: Path,
    dataset: str | None,
    sides: Sides,
    *,
    measure: Measure | Unknown,
    min_value: float,
    params: dict[str, Any],
) -> tuple[DenseSource, Counts]:
    """Check all values of a dense file once, and make it a source that reads them again.

    Raises
    ------
    InputError
        when the shape is not that of the cameras, or a value is not in [0, 1].
    """
    query, database = (np.zeros(n, bool) for n in sides.shape)
    counts = np.zeros(3, np.int64)
    with dense_dataset(path, dataset) as found:
        if found.shape != sides.shape:
            raise InputError(
                f"{path}: data set {found.name[1:]!r} has shape {found.shape}, but there are {sides.shape[0]} queries "
                f"and {sides.shape[1]} database cameras; give the index that belongs to the file"
            )
        for first, band, cleaned in bands(path, found, self_pairs=sides.self_pairs):
            keep = band > np.float32(min_value)
            query[first : first + len(band)] = keep.any(axis=1)
            database |= keep.any(axis=0)
            counts += (int(((band > 0.0) & ~keep).sum()), *cleaned)
    sides, revived = sides.with_values(query, database)
    small, clamped, diagonal = (int(count) for count in counts)
    total = Counts(small, clamped, diagonal, revived)
    collection = collection_of(sides, measure=measure, min_value=min_value, params=params, counts=total)
    return DenseSource(path, dataset, collection), total


def bands(
    path: Path, dataset: Any, *, self_pairs: bool
) -> Iterator[tuple[int, npt.NDArray[np.float32], tuple[int, int]]]:
    """Bands of rows of a 2D data set: the first row, the checked values, and how many were clamped and on the diagonal.

    Bands end where chunks do, so that no chunk is decompressed twice.
    """
    n, m = dataset.shape
    step = max(1, _BAND_VALUES // max(m, 1))
    if dataset.chunks is not None:
        step = max(step // dataset.chunks[0], 1) * dataset.chunks[0]
    for first in range(0, n, step):
        raw = dataset[first : first + step]

        def where(entry: int, first: int = first) -> str:
            row, column = divmod(entry, m)
            return f"{path}: data set {dataset.name[1:]!r}, row {first + row}, column {column} (counted from 0)"

        values, clamped = checked(raw.reshape(-1), where)
        band = values.reshape(raw.shape)
        diagonal = 0
        if self_pairs:
            here = np.arange(len(band))
            diagonal = int((band[here, first + here] > 0.0).sum())
            band[here, first + here] = 0.0
        yield first, band, (clamped, diagonal)


def condensed_entries(
    path: Path, dataset: Any, n: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Rows, columns and values of the pairs of a condensed data set that are not 0, with both directions of each.

    A condensed data set has n(n-1)/2 values in any shape: pairs (0, 1), (0, 2), … (n-2, n-1).
    """
    size = n * (n - 1) // 2
    if dataset.size != size:
        raise InputError(
            f"{path}: data set {dataset.name[1:]!r} has {dataset.size:,} values of shape {dataset.shape}, but {n:,} "
            f"cameras have {size:,} pairs; give the index that belongs to the file"
        )
    place, value = [np.empty(0, np.int64)], [np.empty(0, dataset.dtype)]
    for start in range(0, size, _BAND_VALUES):
        part = _flat(dataset, start, min(start + _BAND_VALUES, size))
        there = np.flatnonzero(part)  # NaN is not zero
        place.append(there + start)
        value.append(part[there])
    places = np.concatenate(place)
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.arange(n - 1, 0, -1, dtype=np.int64))))
    rows = np.searchsorted(starts, places, side="right") - 1
    columns = places - starts[rows] + rows + 1
    both = np.concatenate((rows, columns)), np.concatenate((columns, rows))
    values = np.concatenate(value)
    return both[0].astype(np.int32), both[1].astype(np.int32), np.concatenate((values, values))


def _flat(dataset: Any, start: int, stop: int) -> npt.NDArray[Any]:
    """Part of a data set as if it had one dimension; read as such where all dimensions but one have length 1."""
    long = [axis for axis, length in enumerate(dataset.shape) if length > 1]
    if len(long) > 1:
        whole: npt.NDArray[Any] = dataset[:].reshape(-1)
        return whole[start:stop]
    part = tuple(slice(start, stop) if [axis] == long else slice(None) for axis in range(dataset.ndim))
    found: npt.NDArray[Any] = dataset[part].reshape(-1)
    return found
