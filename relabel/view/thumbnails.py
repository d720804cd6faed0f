"""Images of the cameras, scaled down and few enough to be part of a page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, MissingFileError
from relabel.images.paths import thumbnail
from relabel.labelfile import StoredCollection
from relabel.view.columns import pack
from relabel.view.image_files import ImageFile

LONGEST_PX = 256
"""The longer edge of an image in a page."""
MOST_BYTES = 20_000_000
"""Most bytes of all images of a page; in base64, they take a third more."""
_BEST = 5  # matches of a query, whose images are wanted as soon as its own is
_REMEMBERED = 1024  # images, that collections which share theirs need not scale them again

Progress = Callable[[int], object]
IntArray = npt.NDArray[np.int64]

log = logging.getLogger(__name__)


class ImageSource(Protocol):
    """A source of images of cameras: `ImageFiles` or `CameraImages`."""

    def find(self, collection: str, side: str, row: int) -> ImageFile | None:
        """The image of a camera; None if there is none, or if it may not be shown."""


class Thumbnails(NamedTuple):
    """Images that are part of a page."""

    packed: bytes
    """all JPEGs one after the other (`jpeg`), each once, and where they begin, and the last one ends (`starts`); and of
    each collection, by number, and side the rows that have one (`0.queries.rows`) and which (`0.queries.images`), as
    `pack` lays them out"""
    cameras: int
    held: int
    missing: int
    """cameras whose image does not exist, or may not be shown"""
    damaged: int
    left_out: int
    """cameras left out because the page is full"""

    def note(self) -> str:
        """Note on the images, for the page."""
        why = [
            f"{count:,} {text}"
            for count, text in (
                (self.missing, "missing"),
                (self.damaged, "unreadable"),
                (self.left_out, "left out to keep the page small"),
            )
            if count
        ]
        rest = f"; not included: {', '.join(why)}" if why else ""
        return (
            f"Images of {self.held:,} of {self.cameras:,} cameras, at most {LONGEST_PX} pixels wide or high{rest}. "
            "The images are not covered by the licence of the labels: ask their owners before sharing this page."
        )


def thumbnails(
    collections: Sequence[StoredCollection],
    images: ImageSource,
    wanted: Sequence[Mapping[str, IntArray]],
    *,
    most_bytes: int = MOST_BYTES,
    progress: Progress | None = None,
) -> Thumbnails:
    """The images of the most wanted cameras, up to `most_bytes`.

    Parameters
    ----------
    collections:
        those of the page.
    images:
        where their images are.
    wanted:
        for each collection and side, the rank of each camera's image, as returned by `urgency`: the smallest first.
    most_bytes:
        most bytes of all images; one that several cameras share, in one collection or in several, is stored once.
    progress:
        called with 1 for every image.
    """
    sides = [(c, side, rank) for c, of_sides in enumerate(wanted) for side, rank in of_sides.items()]
    ranks = [np.empty(0, np.int64), *(rank for _, _, rank in sides)]
    starts = np.cumsum([len(rank) for rank in ranks])
    jpegs: dict[bytes, int] = {}  # numbered in the order in which they come
    numbers: list[dict[str, dict[int, int]]] = [{side: {} for side in of_sides} for of_sides in wanted]
    scaled = lru_cache(_REMEMBERED)(lambda path: thumbnail(path, LONGEST_PX))
    room, missing, damaged = most_bytes, 0, 0
    for number in np.argsort(np.concatenate(ranks), kind="stable").tolist():
        at = int(np.searchsorted(starts, number, side="right")) - 1
        c, side, _ = sides[at]
        row = number - int(starts[at])
        try:
            image = images.find(collections[c].name, side, row)
            jpeg = None if image is None else scaled(image.path)
        except (InputError, MissingFileError) as error:
            damaged += 1
            log.log(logging.WARNING if damaged == 1 else logging.DEBUG, "%s", error)
            continue
        if jpeg is None:
            missing += 1
            continue
        if jpeg not in jpegs:
            if len(jpeg) > room:
                break
            room -= len(jpeg)
            jpegs[jpeg] = len(jpegs)
        numbers[c][side][row] = jpegs[jpeg]
        if progress is not None:
            progress(1)
    total = int(starts[-1])
    held = sum(len(of_side) for of_sides in numbers for of_side in of_sides.values())
    left_out = total - held - missing - damaged
    return Thumbnails(_packed(list(jpegs), numbers), total, held, missing, damaged, left_out)


def urgency(
    indptr: npt.NDArray[np.int32],
    indices: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32],
    columns: int,
    *,
    self_pairs: bool,
) -> dict[str, IntArray]:
    """Rank of the image of each camera on a page: by the first query that shows it.

    Queries are taken from all over the collection, however few there is room for, each with its best matches.

    Parameters
    ----------
    indptr, indices, values:
        the pairs of a page.
    columns:
        number of database cameras.
    self_pairs:
        whether these are the queries.
    """
    rows = len(indptr) - 1
    queries = _spread(rows)
    row = np.repeat(np.arange(rows), np.diff(indptr))
    order = np.lexsort((indices, -values, row))
    best = order[np.arange(len(order)) - indptr[:-1][row] < _BEST]
    database = np.full(columns, rows, np.int64)
    np.minimum.at(database, indices[best], queries[row[best]])
    return {"queries": np.minimum(queries, database)} if self_pairs else {"queries": queries, "database": database}


def _spread(n: int) -> IntArray:
    """(n,) for each of n rows its turn, so that the first k rows in turn lie all over the n, for every k."""
    bits = max(1, int(n - 1).bit_length())
    number, reverse = np.arange(n), np.zeros(n, np.int64)
    for bit in range(bits):
        reverse |= ((number >> bit) & 1) << (bits - 1 - bit)
    turn = np.empty(n, np.int64)
    turn[np.argsort(reverse, kind="stable")] = np.arange(n)
    return turn


def _packed(jpegs: Sequence[bytes], numbers: Sequence[Mapping[str, Mapping[int, int]]]) -> bytes:
    arrays: dict[str, npt.NDArray[np.int32] | npt.NDArray[np.uint8]] = {}
    for c, of_sides in enumerate(numbers):
        for side, of_side in of_sides.items():
            rows = sorted(of_side)
            arrays[f"{c}.{side}.rows"] = np.array(rows, np.int32)
            arrays[f"{c}.{side}.images"] = np.array([of_side[row] for row in rows], np.int32)
    arrays["starts"] = np.cumsum([0, *map(len, jpegs)]).astype(np.int32)
    arrays["jpeg"] = np.frombuffer(b"".join(jpegs), np.uint8)
    return pack(arrays, {})
