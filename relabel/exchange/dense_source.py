"""Dense HDF5 files that somebody else made, read in bands of rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, MissingFileError
from relabel.exchange.entries import Counts, checked, collection_of
from relabel.exchange.sides import Sides
from relabel.measures import Measure, Unknown
from relabel.similarity import Collection, RowBlock

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
