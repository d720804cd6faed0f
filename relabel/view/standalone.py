"""The page as one HTML file with the labels in it, to share: it opens from a disk, without a network."""

from __future__ import annotations

import base64
import gzip
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.atomic import output_errors, replacing
from relabel.labelfile import StoredCollection
from relabel.view import thumbnails
from relabel.view.columns import pack
from relabel.view.contents import Compared, contents
from relabel.view.figures import FIGURES, figures_of
from relabel.view.matrix import CELLS, matrix
from relabel.view.page_text import standalone_page
from relabel.view.scene import Arrays, scene

MOST_PAIRS = 1_500_000
"""Pairs that a page holds, which keeps it below 20 MB; of each query the best are kept."""
LARGE_BYTES = 20_000_000
PASSES = len(FIGURES) + 2
"""how often all rows are read; once more for a comparison"""

log = logging.getLogger(__name__)


def write_report(
    collections: Sequence[StoredCollection],
    path: str | os.PathLike[str],
    *,
    images: thumbnails.ImageSource | None = None,
    compared: Compared | None = None,
    overwrite: bool = False,
    most_pairs: int = MOST_PAIRS,
    most_image_bytes: int = thumbnails.MOST_BYTES,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Write the page with these collections of one file to `path`, whole or not at all.

    Where they hold more than `most_pairs` pairs, of every query as many of its best are kept as makes that many, and
    the page and the log say so. They also say how many images the page holds, and that the licence of the labels is
    not theirs.

    Parameters
    ----------
    collections:
        one or more collections of one label file.
    path:
        the HTML file.
    images:
        source of the images of the cameras; None makes a page without images.
    compared:
        the file that the collections are compared with.
    overwrite:
        whether a file that is there may be replaced.
    most_pairs:
        largest number of pairs on the page.
    most_image_bytes:
        most bytes that the scaled images may take.
    progress:
        called with the number of rows of every block of pairs that was read; they are read `PASSES` times, and once
        more to be compared.

    Raises
    ------
    OutputExistsError, OutputError
        when `path` exists, or cannot be written.
    LabelFileError
        when the content of a collection does not fit its digest.
    """
    target = Path(path)
    with replacing(target, overwrite=overwrite) as private:
        counts = [stored.row_counts() for stored in collections]
        most = best_kept(np.concatenate(counts), most_pairs)
        notes = []
        total, kept = (int(sum(np.minimum(c, limit).sum() for c in counts)) for limit in (2**31 - 1, most))
        if kept < total:
            notes.append(
                f"This page holds {kept:,} of {total:,} pairs, the {most:,} best per query; the distributions cover "
                "all pairs."
            )
        pairs = [_best_pairs(stored, most, progress) for stored in collections]
        packed = [
            _packed(stored, of_stored, compared, progress) for stored, of_stored in zip(collections, pairs, strict=True)
        ]
        packed_images = b""
        if images is None:
            notes.append("This page contains no images: their licence is not that of the labels.")
        else:
            held = thumbnails.thumbnails(
                collections,
                images,
                [_wanted(stored, of_stored) for stored, of_stored in zip(collections, pairs, strict=True)],
                most_bytes=most_image_bytes,
            )
            notes.append(held.note())
            packed_images = held.packed
        about = contents(collections, images=images is not None, compared=compared, notes=notes)
        text = standalone_page(about, packed, base64.b64encode(packed_images).decode())
        with output_errors(target):
            private.write_text(text, encoding="utf-8")
        if kept < total or images is not None:
            for note in notes:
                log.warning("%s: %s", target.name, note)
        if private.stat().st_size - len(packed_images) * 4 // 3 > LARGE_BYTES:
            log.warning(
                "%s: is %.0f MB, since it holds every camera; relabel subset makes smaller label files",
                *(target.name, private.stat().st_size / 1e6),
            )
    return target


def best_kept(counts: npt.NDArray[np.int64], most_pairs: int) -> int:
    """How many pairs each row may keep so that all rows together keep at most `most_pairs`; at least 1."""
    low, high = 1, max(1, int(counts.max(initial=0)))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(counts, middle).sum() <= most_pairs else (low, middle - 1)
    return low


def _wanted(stored: StoredCollection, pairs: Arrays) -> dict[str, npt.NDArray[np.int64]]:
    return thumbnails.urgency(
        pairs["indptr"], pairs["indices"], pairs["data"], stored.shape[1], self_pairs=stored.self_pairs
    )


def _whole_matrix(
    stored: StoredCollection, pairs: Arrays, progress: Callable[[int], object] | None
) -> tuple[Arrays, dict[str, Any] | None]:
    """The image of all of ψ; None where its cells are single pairs, which the page has anyway."""
    if 0 in stored.shape or (max(stored.shape) <= CELLS and len(pairs["data"]) == stored.nnz):
        if progress is not None:
            progress(stored.shape[0])
        return {}, None
    arrays, about = matrix(stored, (0, stored.shape[0]), (0, stored.shape[1]), progress)
    kinds = ("max",) if about["step"] == 1 else ("max", "mean")
    return {f"matrix.{kind}": arrays[kind] for kind in kinds}, about


def _packed(
    stored: StoredCollection, pairs: Arrays, compared: Compared | None, progress: Callable[[int], object] | None
) -> str:
    arrays, value = scene(stored)
    figures = {name: make(stored, progress) for name, make in figures_of(stored, compared).items()}
    sides = {"queries": stored.query} if stored.self_pairs else {"queries": stored.query, "database": stored.database}
    keys = {name: side.key.tolist() for name, side in sides.items()}
    if stored.self_pairs:
        keys["database"] = keys["queries"]
    image, about = _whole_matrix(stored, pairs, progress)
    whole = pack(arrays | pairs | image, {**value, "keys": keys, "figures": figures, "matrix": about})
    return base64.b64encode(gzip.compress(whole, mtime=0)).decode()


def _best_pairs(stored: StoredCollection, most: int, progress: Callable[[int], object] | None) -> Arrays:
    """The best pairs of each row, best first: `indptr`, `indices`, `data`; and how many it has, `stored`."""
    counts = stored.row_counts()
    kept = np.minimum(counts, most)
    columns, values = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
    for block in stored.blocks():
        # Within each row, equal values stay in the order of the database.
        order = np.lexsort((block.indices, -block.data, block.rows))
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(block.counts)])[:-1]
        rank = np.arange(len(order)) - np.repeat(starts, block.counts)
        keep = order[rank < most]
        columns.append(block.indices[keep].astype(np.int32))
        values.append(block.data[keep])
        if progress is not None:
            progress(len(block.counts))
    return {
        "indptr": np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)]).astype(np.int32),
        "indices": np.concatenate(columns),
        "data": np.concatenate(values),
        "stored": counts.astype(np.int32),
    }
