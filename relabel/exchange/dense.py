"""Dense HDF5 files as the GCL code base reads them: every pair has a number, and zero means a hard negative."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, OutputError
from relabel.exchange.folder import Folder, file_name
from relabel.exchange.index import index_of
from relabel.exchange.known import Known, unknown_pairs
from relabel.exchange.pictures import MSLS_PATH, picture_paths
from relabel.exchange.positives import check_threshold
from relabel.labelfile.rows import Symmetry
from relabel.similarity import SimilaritySource

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
        picture_paths(each, image_path or MSLS_PATH, collection=name, side=side)
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
