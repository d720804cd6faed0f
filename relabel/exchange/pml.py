"""Pairs for pytorch-metric-learning: (a1, p, a2, n), two lists of positive and two of negative pairs.

Its losses take ``indices_tuple=(a1, p, a2, n)`` with ``ref_emb``: a1 and a2 number the embeddings, p and n those of
``ref_emb``. Pairs with 0 < ψ < threshold are in neither list, and neither are pairs of cameras that are not ok.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.errors import OptionError
from relabel.exchange.folder import ExportFolder, file_name, without_metadata
from relabel.exchange.positive_rows import check_threshold, rows_above
from relabel.labelfile import StoredCollection
from relabel.similarity import SimilaritySource, UsedPairs

IntArray = npt.NDArray[np.int64]


class IndexPairs(NamedTuple):
    """Positions in a batch, all int64; turned into tensors it is an ``indices_tuple``."""

    a1: IntArray
    p: IntArray
    a2: IntArray
    n: IntArray


def indices_tuple(
    stored: StoredCollection,
    queries: npt.NDArray[np.integer] | list[int],
    database: npt.NDArray[np.integer] | list[int],
    *,
    threshold: float = 0.5,
) -> IndexPairs:
    """All positive and all true negative pairs of one batch.

    Parameters
    ----------
    stored:
        the collection.
    queries, database:
        (b,) and (d,) row and column numbers of the cameras in the batch; the result counts positions in these.
    threshold:
        the least ψ of a positive.

    Returns
    -------
    IndexPairs
        positives (a1, p) and negatives (a2, n); a negative is a pair of two ok cameras that is absent from the file. In
        a self-paired collection a camera with itself is neither, and neither are excluded pairs.

    Raises
    ------
    OptionError
        when the threshold is not in (min_value, 1], or there is no such row or column.
    """
    check_threshold(threshold, stored.collection)
    rows, columns = np.asarray(queries, np.int64), np.asarray(database, np.int64)
    if len(columns) and not (columns.min() >= 0 and columns.max() < stored.shape[1]):
        raise OptionError(f"database holds {columns.min()} to {columns.max()}; there are 0 to {stored.shape[1] - 1}")
    if len(rows) and not (rows.min() >= 0 and rows.max() < stored.shape[0]):
        raise OptionError(f"queries hold {rows.min()} to {rows.max()}; there are 0 to {stored.shape[0] - 1}")
    psi = np.zeros((len(rows), len(columns)), np.float32)
    known = stored.query.ok[rows][:, np.newaxis] & stored.database.ok[columns]
    if stored.self_pairs:
        known &= rows[:, np.newaxis] != columns
    excluded = UsedPairs(stored).excluded
    if excluded is not None:
        known &= ~excluded.holds(rows[:, np.newaxis], columns)
    values = np.zeros(stored.shape[1], np.float32)
    for i, row in enumerate(rows):
        block = stored.row_block(int(row))
        values[block.indices] = block.data
        psi[i] = values[columns]
        values[block.indices] = 0.0
    positive = np.nonzero((psi >= np.float32(threshold)) & known)
    negative = np.nonzero((psi == 0.0) & known)
    return IndexPairs(*positive, *negative)


def write_pml(
    source: SimilaritySource, name: str, folder: ExportFolder, *, threshold: float = 0.5, seed: int = 0
) -> list[str]:
    """``NAME-pml.npz`` with a1, p, a2, n (int64, rows and columns of the whole collection), psi and the keys.

    It holds all positives, with their ψ in ``psi``. Negatives are far too many to list, so each query has as many of
    them as positives, drawn without repetition from its true zeros.
    """
    file = f"{file_name(name)}-pml.npz"
    folder.claim([file])
    c = source.collection
    positives = rows_above(source, threshold)
    rng = np.random.default_rng(seed)
    values, a2, n = [np.empty(0, np.float32)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    excluded = UsedPairs(source).excluded
    every = np.arange(c.shape[1])
    for block in UsedPairs(source).blocks():
        values.append(block.data[block.data >= np.float32(threshold)])
        ends = np.cumsum(block.counts)
        for i, (end, count) in enumerate(zip(ends.tolist(), block.counts.tolist(), strict=True)):
            row = block.first_row + i
            wanted = int(positives.counts[row])
            if wanted:
                absent = c.database.ok.copy()
                absent[block.indices[end - count : end]] = False
                if c.self_pairs:
                    absent[row] = False
                if excluded is not None:
                    absent &= ~excluded.holds(np.array([row]), every)
                zeros = np.flatnonzero(absent)
                drawn = np.sort(rng.choice(zeros, min(wanted, len(zeros)), replace=False))
                a2.append(np.full(len(drawn), row))
                n.append(drawn)
    a1 = np.repeat(np.arange(c.shape[0]), positives.counts)
    with folder.file(file) as private, private.open("wb") as stream:
        np.savez(
            stream,
            a1=a1,
            p=positives.indices,
            a2=np.concatenate(a2),
            n=np.concatenate(n),
            psi=np.concatenate(values),
            query_key=without_metadata(c.query.key),
            database_key=without_metadata(c.database.key),
        )
    note = (
        f"{name}: pairs with ψ < {threshold:g} are lost, and each query keeps as many true zeros as it has positives; "
        "rows count over the whole collection: for a batch use relabel.exchange.pml.indices_tuple instead"
    )
    return [note]
