"""Dense HDF5 files as the GCL code base reads them: every pair has a number, and zero means a hard negative."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from relabel.csv_text import csv_line
from relabel.datasets.msls.spec import IMAGE_PATH
from relabel.display import several
from relabel.errors import InputError, LabelFileError, MissingFileError, OutputError
from relabel.exchange.entries import (
    ImportRequest,
    ImportResult,
    ValueCounts,
    checked_values,
    imported_collection,
    similarity_of_entries,
)
from relabel.exchange.folder import ExportFolder, file_name
from relabel.exchange.gcl_index import index_of
from relabel.exchange.known_cameras import KnownSource, unknown_pairs
from relabel.exchange.positive_rows import check_threshold
from relabel.images.paths import image_paths
from relabel.input_files import MOST_INFLATION, check_regular
from relabel.labelfile.header import open_unlocked
from relabel.labelfile.pair_rules import Symmetry
from relabel.labelfile.safe_h5file import Draft
from relabel.similarity import Collection, RowBlock, SimilaritySource

DenseRows = npt.NDArray[np.float32]

FOV = "fov"
"""The dataset of a dense file with the values."""

_MOST_BAND_BYTES = 1 << 30
_BLOCK_VALUES = 1 << 23  # 32 MB of float32
_FLAT_CHUNK = 1 << 16
_PAIR_BYTES = 5  # a float32 and a byte


def write_gcl(
    source: SimilaritySource,
    name: str,
    folder: ExportFolder,
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
        as for `image_paths`; by default where MSLS keeps its images.
    drop_unknown:
        leave out cameras that are not ok. GCL takes panoramas from ``raw.csv`` by row, so this also writes
        ``NAME/query/raw.csv`` and ``NAME/database/raw.csv`` with the rows that are left; existing files of these
        names are never replaced, since they may be those of the dataset.
    max_bytes:
        the largest size of the dense file; free space is a limit anyway.
    gzip:
        compress rows: far smaller, and slower to read.

    Returns
    -------
    list of str
        the losses of the format, one sentence each.

    Raises
    ------
    OutputError
        before anything is written, if the file cannot fit; the message gives its size.
    """
    check_threshold(threshold, source.collection)
    stem = file_name(name)
    sides = ("query", "database")
    matrix, tables = f"{stem}_gt.h5", [f"{stem}/{side}/raw.csv" for side in sides]
    notes = _unknown_notes(source, name, dropped=drop_unknown)
    if drop_unknown:
        source = KnownSource(source)
    c = source.collection
    n, m = c.shape
    if not gzip:
        _check_space(folder, matrix, n * m * _PAIR_BYTES, (n, m), max_bytes)
    cameras = (c.query, c.database)
    paths = [
        image_paths(side_cameras, image_path or IMAGE_PATH, collection=name, side=side)
        for side_cameras, side in zip(cameras, sides, strict=True)
    ]
    folder.claim([matrix, *(f"{stem}/{side}.json" for side in sides)])
    if drop_unknown:
        folder.claim(tables, replaceable=False)
    with _dense_file(folder, matrix, (n, m), (1, m), threshold, max_bytes, gzip=gzip) as store:
        for first, rows in dense_rows(source):
            store(slice(first, first + len(rows)), rows)
    for side, side_cameras, side_paths in zip(sides, cameras, paths, strict=True):
        folder.write_json(f"{stem}/{side}.json", index_of(side_cameras, side_paths))
    if drop_unknown:
        for side_cameras, table in zip(cameras, tables, strict=True):
            with folder.file(table, replaceable=False) as private:
                lines = ([i, key, False] for i, key in enumerate(side_cameras.key))
                text = "".join(map(csv_line, [["", "key", "pano"], *lines]))
                private.write_text(text, encoding="utf-8", newline="")
    return notes


def write_condensed(
    source: SimilaritySource,
    name: str,
    folder: ExportFolder,
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
        before anything is written, if the file cannot fit.
    """
    _check_symmetric(source, name)
    check_threshold(threshold, source.collection)
    stem = file_name(name)
    matrix, index = f"{stem}_gt.h5", f"{stem}.json"
    notes = _unknown_notes(source, name, dropped=drop_unknown)
    if drop_unknown:
        source = KnownSource(source)
    c = source.collection
    n = c.shape[0]
    size = n * (n - 1) // 2
    if not gzip:
        _check_space(folder, matrix, size * _PAIR_BYTES, (size,), max_bytes)
    paths = image_paths(c.query, image_path, collection=name, side="query")
    folder.claim([matrix, index])
    halves = filled = 0
    chunks = (min(_FLAT_CHUNK, size),) if gzip else None
    with _dense_file(folder, matrix, (size,), chunks, threshold, max_bytes, gzip=gzip) as store:
        for first, rows in dense_rows(source):
            upper = np.arange(n) > np.arange(first, first + len(rows))[:, np.newaxis]
            values = rows[upper]
            store(slice(filled, filled + len(values)), values)
            filled += len(values)
            halves += int((values == np.float32(0.5)).sum())
    folder.write_json(index, index_of(c.query, paths, "path", poses=True))
    if halves:
        notes.append(
            f"{name}: {several(halves, 'pair has', 'pairs have')}"
            " ψ = 0.5 exactly; the siamese loader takes > 0.5 for a positive and < 0.5 "
            "for a soft negative, so it never draws them"
        )
    return notes


def dense_rows(source: SimilaritySource) -> Iterator[tuple[int, DenseRows]]:
    """All rows in order as dense blocks of bounded size: the number of the first row, and a (rows × database) array."""
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


@contextmanager
def _dense_file(
    folder: ExportFolder,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...] | None,
    threshold: float,
    max_bytes: int | None,
    *,
    gzip: bool,
) -> Iterator[Callable[[slice, DenseRows], None]]:
    """A file of ``fov`` and ``sim``; the block stores values at a slice of their first axis."""
    filters = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if gzip and 0 not in shape else {}
    with folder.file(name) as private, Draft(private, folder.path / name) as draft:
        with draft.writing():
            fov, sim = (
                draft.file.create_dataset(
                    key, shape, dtype, chunks=None if 0 in shape else chunks, fillvalue=0, track_times=False, **filters
                )
                for key, dtype in ((FOV, "<f4"), ("sim", "u1"))
            )

        def store(part: slice, values: DenseRows) -> None:
            with draft.writing():
                fov[part] = values
                sim[part] = values >= np.float32(threshold)
                if gzip:
                    _check_written(draft.file, private, folder.path / name, max_bytes)

        yield store


def _check_space(folder: ExportFolder, name: str, size: int, shape: tuple[int, ...], max_bytes: int | None) -> None:
    existing = folder.path
    while not existing.is_dir() and existing != existing.parent:
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    limit, state = (free, "are free there") if max_bytes is None or free < max_bytes else (max_bytes, "are allowed")
    if size > limit:
        raise OutputError(
            f"{folder.path / name}: {' × '.join(f'{n:,}' for n in shape)} pairs take {size:,} bytes when dense, but "
            f"only {limit:,} {state}; compress them (gzip=True), choose another folder or limit, or export fewer "
            "cameras"
        )


def _check_written(file: Any, private: Path, target: Path, max_bytes: int | None) -> None:
    if max_bytes is None:
        return
    file.flush()
    if private.stat().st_size > max_bytes:
        raise OutputError(
            f"{target}: takes more than the {max_bytes:,} bytes that are allowed; choose a larger limit, or export "
            "fewer cameras"
        )


def _check_symmetric(source: SimilaritySource, name: str) -> None:
    c = source.collection
    if not c.self_pairs:
        raise InputError(
            f"{name}: has a separate database, but a condensed file holds pairs within one set; export it to gcl"
        )
    if c.symmetric:
        return
    symmetry = Symmetry(c.shape[0])
    for block in source.blocks():
        symmetry.add(block)
    if len(symmetry.unbalanced()):
        raise InputError(
            f"{name}: a condensed file has one value per pair, but {c.measure} differs between the two directions; "
            "export it in another measure (measure='iou')"
        )


def _unknown_notes(source: SimilaritySource, name: str, *, dropped: bool) -> list[str]:
    c = source.collection
    notes = [f"{name}: the file does not record its measure ({c.measure}) or the parameters that it was made with"]
    unknown = unknown_pairs(c)
    if unknown and dropped:
        sides = (c.query,) if c.self_pairs else (c.query, c.database)
        count = sum(int((~side.ok).sum()) for side in sides)
        notes.append(f"{name}: {several(count, 'camera that is not ok is', 'cameras that are not ok are')} left out")
    elif unknown:
        notes.append(
            f"{name}: {several(unknown, 'pair is unknown and is', 'pairs are unknown and are')}"
            " written as 0, which readers treat as hard negatives (GCL "
            "itself skips only panoramas); drop_unknown=True leaves their cameras out"
        )
    return notes


@contextmanager
def dense_dataset(path: Path, name: str | None) -> Iterator[Any]:
    """The dataset of a dense file: the named one, otherwise ``fov``.

    Raises
    ------
    MissingFileError
        when there is no such file.
    InputError
        when it is not HDF5, has no such dataset, or keeps its values in another file; the message lists the datasets
        that it has.
    """
    check_regular(path)
    try:
        file = open_unlocked(path)
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist") from None
    except (OSError, LabelFileError) as error:
        raise InputError(f"{path}: cannot be read as HDF5: {error}") from None
    with file:
        wanted = name or FOV
        try:
            dataset = file.get(wanted)
            is_dataset = isinstance(dataset, h5py.Dataset)
            names = [] if is_dataset else [key for key in file if file.get(key, getclass=True) is h5py.Dataset]
            is_elsewhere = is_dataset and (
                dataset.external or dataset.is_virtual or dataset.file.filename != file.filename
            )
        except Exception as error:  # h5py raises several kinds of error for damaged files, and for circular links
            raise InputError(f"{path}: dataset {wanted!r} cannot be read: {error}") from None
        if not is_dataset:
            hint = "; sim is binary; dataset='sim' imports it anyway" if "sim" in names and name is None else ""
            raise InputError(f"{path}: has no dataset {wanted!r}; there are {', '.join(names) or 'none'}{hint}")
        if is_elsewhere:
            raise InputError(f"{path}: dataset {wanted!r} keeps its values in another file; copy them into this one")
        if dataset.shape is None:
            raise InputError(f"{path}: dataset {wanted!r} is empty, without even a shape; write it again")
        if dataset.dtype.kind not in "biuf":
            raise InputError(f"{path}: dataset {wanted!r} has type {dataset.dtype}, which is not numeric")
        _check_chunks(path, dataset)
        try:
            yield dataset
        except OSError as error:
            raise InputError(f"{path}: dataset {wanted!r} is damaged: {error}") from None


def _check_chunks(path: Path, dataset: Any) -> None:
    """Raise an `InputError` if rows cannot be read without inflating far more data than the file holds."""
    if dataset.chunks is None or not dataset.size:
        return
    rows = min(dataset.chunks[0], dataset.shape[0])
    band = rows * dataset.size // dataset.shape[0] * dataset.dtype.itemsize
    chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
    most = max(_MOST_BAND_BYTES, MOST_INFLATION * int(dataset.id.get_storage_size()))
    if max(band, chunk) > most:
        raise InputError(
            f"{path}: dataset {dataset.name[1:]!r} has chunks of {dataset.chunks}, so reading a row takes "
            f"{max(band, chunk):,} bytes; rewrite it with smaller ones (h5repack -l CHUNK=64x1024)"
        )


@dataclass(frozen=True, eq=False)
class DenseSource:
    """A dense (queries × database) dataset as a `SimilaritySource`; at most a band of rows is in memory."""

    path: Path
    dataset: str | None
    collection: Collection

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        c = self.collection
        with dense_dataset(self.path, self.dataset) as values:
            for first, band, _ in bands(self.path, values, self_pairs=c.self_pairs):
                keep = band > np.float32(c.min_value)
                columns = np.broadcast_to(np.arange(band.shape[1], dtype=np.int32), band.shape)
                yield RowBlock(first, keep.sum(axis=1, dtype=np.int64), columns[keep], band[keep])


def read_gcl(request: ImportRequest, *, dataset: str | None = None) -> ImportResult:
    """The labels of a dense (queries × database) file; all values are checked once, and read again when needed.

    Parameters
    ----------
    request:
        with the cameras.
    dataset:
        the dataset with the values; None takes ``fov``.

    Raises
    ------
    MissingFileError, InputError
        when there is no such file or dataset, no camera is described, the shape is not that of the cameras, or a value
        is not in [0, 1].
    """
    path, sides, bound = request.path, request.sides, request.bound()
    params = {"dataset": dataset or FOV}
    with dense_dataset(path, dataset) as values:
        if sides is None:
            raise InputError(
                f"{_shape_text(path, values)} and no names; give the indices that belong to it (queries=… and "
                "database=…, query.json and database.json), or the MSLS tree that it was made from (root=…)"
            )
        if values.shape != sides.shape:
            raise InputError(
                f"{_shape_text(path, values)}, but there are {sides.shape[0]} queries and {sides.shape[1]} database "
                "cameras; give the index that belongs to the file"
            )
        query, database = (np.zeros(n, bool) for n in sides.shape)
        small = clamped = diagonal = 0
        for first, band, (band_clamped, band_diagonal) in bands(path, values, self_pairs=sides.self_pairs):
            keep = band > np.float32(bound)
            query[first : first + len(band)] = keep.any(axis=1)
            database |= keep.any(axis=0)
            small += int(((band > 0.0) & ~keep).sum())
            clamped += band_clamped
            diagonal += band_diagonal
    sides, made_ok = sides.with_values(query, database)
    counts = ValueCounts(small, clamped, diagonal, made_ok)
    collection = imported_collection(
        sides, measure=request.measure, min_value=bound, params={**request.params, **params}, counts=counts
    )
    return ImportResult(DenseSource(path, dataset, collection), counts, bound, params=params)


def read_condensed(request: ImportRequest, *, dataset: str | None = None) -> ImportResult:
    """The labels of a condensed file, n(n-1)/2 values of the upper triangle; parameters and errors as `read_gcl`."""
    path, bound = request.path, request.bound()
    params = {"dataset": dataset or FOV}
    with dense_dataset(path, dataset) as values:
        if request.sides is None:
            raise InputError(
                f"{_shape_text(path, values)} and no names; give the index (im_paths) that belongs to it with queries=…"
            )
        sides = request.sides.self_paired()
        rows, columns, entries = condensed_entries(path, values, len(sides.query))

    def locate(entry: int) -> str:
        pair = f"pair of images {rows[entry]} and {columns[entry]} (counted from 0)"
        return f"{path}: dataset {params['dataset']!r}, {pair}"

    similarity, counts = similarity_of_entries(
        rows,
        columns,
        entries,
        sides,
        measure=request.measure,
        min_value=bound,
        params={**request.params, **params},
        locate=locate,
    )
    return ImportResult(similarity, counts, bound, params=params)


def _shape_text(path: Path, dataset: Any) -> str:
    return f"{path}: dataset {dataset.name[1:]!r} has shape {dataset.shape}"


def bands(
    path: Path, dataset: Any, *, self_pairs: bool
) -> Iterator[tuple[int, npt.NDArray[np.float32], tuple[int, int]]]:
    """Bands of rows of a 2D dataset: the first row, checked values, and the numbers of clamped and of diagonal values.

    Bands end where chunks do, so that no chunk is decompressed twice.
    """
    n, m = dataset.shape
    step = max(1, _BLOCK_VALUES // max(m, 1))
    if dataset.chunks is not None:
        step = max(step // dataset.chunks[0], 1) * dataset.chunks[0]
    for first in range(0, n, step):
        raw = dataset[first : first + step]

        def locate(entry: int, first: int = first) -> str:
            row, column = divmod(entry, m)
            return f"{path}: dataset {dataset.name[1:]!r}, row {first + row}, column {column} (counted from 0)"

        values, clamped = checked_values(raw.reshape(-1), locate)
        band = values.reshape(raw.shape)
        diagonal = 0
        if self_pairs:
            rows = np.arange(len(band))
            diagonal = int((band[rows, first + rows] > 0.0).sum())
            band[rows, first + rows] = 0.0
        yield first, band, (clamped, diagonal)


def condensed_entries(
    path: Path, dataset: Any, n: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[Any]]:
    """Rows, columns and values of the pairs of a condensed dataset that are not 0, with both directions of each.

    A condensed dataset has n(n-1)/2 values in any shape: pairs (0, 1), (0, 2), … (n-2, n-1).
    """
    size = n * (n - 1) // 2
    if dataset.size != size:
        raise InputError(
            f"{path}: dataset {dataset.name[1:]!r} has {several(dataset.size, 'value')} of shape {dataset.shape}, but "
            f"{n:,} cameras have {several(size, 'pair')}; give the index that belongs to the file"
        )
    place, value = [np.empty(0, np.int64)], [np.empty(0, dataset.dtype)]
    for start in range(0, size, _BLOCK_VALUES):
        part = _flat(dataset, start, min(start + _BLOCK_VALUES, size))
        nonzero = np.flatnonzero(part)  # NaN is not zero
        place.append(nonzero + start)
        value.append(part[nonzero])
    places = np.concatenate(place)
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(np.arange(n - 1, 0, -1, dtype=np.int64))))
    rows = np.searchsorted(starts, places, side="right") - 1
    columns = places - starts[rows] + rows + 1
    both = np.concatenate((rows, columns)), np.concatenate((columns, rows))
    values = np.concatenate(value)
    return both[0].astype(np.int32), both[1].astype(np.int32), np.concatenate((values, values))


def _flat(dataset: Any, start: int, stop: int) -> npt.NDArray[Any]:
    """Part of a dataset as if it had one dimension; read as such if all dimensions but one have length 1."""
    long = [axis for axis, length in enumerate(dataset.shape) if length > 1]
    if len(long) > 1:
        whole: npt.NDArray[Any] = dataset[:].reshape(-1)
        return whole[start:stop]
    part = tuple(slice(start, stop) if [axis] == long else slice(None) for axis in range(dataset.ndim))
    values: npt.NDArray[Any] = dataset[part].reshape(-1)
    return values
