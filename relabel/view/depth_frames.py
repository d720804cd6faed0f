"""Depth maps and images of the frames that labels were made from, below one folder, and the surface that two share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, MissingFileError, RelabelError
from relabel.frames import Frames
from relabel.input_files import check_regular
from relabel.keys import rows_of
from relabel.labelfile import StoredCollection
from relabel.report.shared_surface import METHODS, SharedSide, depth_map, shared
from relabel.view.columns import pack
from relabel.view.image_files import ImageFile, shown_file

MOST_PIXELS = 4_000_000
"""Pixels of a depth map that is read for the page: what two of them share takes 0.7 GB and 15 s where all count."""
NONE, OWN, SHARED = 0, 1, 2
"""A pixel of a depth map: without a depth, seen by this frame only, by both."""


class FrameSides(Protocol):
    """Frames of queries and database, as every reader of depth maps returns them."""

    @property
    def query(self) -> Frames:
        """The frames of the rows."""

    @property
    def database(self) -> Frames:
        """The frames of the columns."""


class DepthFrames:
    """The frames of collections, read from the dataset at the first request for a collection.

    They are requested by row, never by path. Depth maps and images outside of the folder, also by way of links, are
    refused unless that is allowed.

    Parameters
    ----------
    read:
        the frames of a collection, see `relabel.pipeline.records.frames_from_records`.
    folder:
        the folder that holds all of them.
    follow_links:
        whether links may lead out of the folder.

    Raises
    ------
    MissingFileError
        when there is no such folder.
    """

    def __init__(
        self, read: Callable[[StoredCollection], FrameSides], folder: Path, *, follow_links: bool = False
    ) -> None:
        if not folder.is_dir():
            raise MissingFileError(f"{folder}: there is no such folder; root=… has to be that of the dataset")
        self._read = read
        self._folder = folder
        self._follow_links = follow_links
        self._sides: dict[str, FrameSides] = {}
        self._reading = threading.Lock()

    def check(self, stored: StoredCollection) -> None:
        """Raise a `RelabelError` where the frames of a collection cannot be read; `image` only finds no images then."""
        self._frames(stored)

    def surface(self, stored: StoredCollection, row: int, column: int | None) -> bytes:
        """Depth maps of a query and of a database frame, and which pixels both see, packed as `pack` does it.

        The arrays are `query.depth` (h, w) float32, metres, 0 where there is none, and `query.seen` (h, w) uint8, one
        of `NONE`, `OWN` and `SHARED`; and those of `database`, unless `column` is None. Only pixels that count are in
        them: every `stride`-th row and column. The value is that of `relabel shared --json`, and `agrees`: whether the
        depth maps give the ψ that is stored.

        Raises
        ------
        InputError
            when the provenance does not lead to the frames, one of the two was not labelled, is gone, lies outside of
            the folder, is too large or cannot be read.
        """
        sides = self._frames(stored)
        self._check(stored, "queries", row, sides)
        if column is None:
            depth = depth_map(stored, stored.query, sides.query, row)
            seen = np.where(depth > 0.0, OWN, NONE).astype(np.uint8)
            return pack({"query.depth": depth.astype(np.float32), "query.seen": seen}, {})
        self._check(stored, "database", column, sides)
        pair = shared(stored, sides.query, sides.database, str(stored.query.key[row]), str(stored.database.key[column]))
        arrays = _arrays("query", pair.query) | _arrays("database", pair.database)
        return pack(arrays, pair.to_json() | {"agrees": pair.agrees})

    def image(self, stored: StoredCollection, side: str, row: int) -> ImageFile | None:
        """The colour image of a frame; None if there is none, or if it may not be shown."""
        if stored.method not in METHODS:
            return None
        try:
            path = self._path(stored, side, row, self._frames(stored), "image")
        except RelabelError:  # `surface` says why there are no frames
            return None
        return None if path is None else shown_file(path, self._folder, follow_links=self._follow_links)

    def _frames(self, stored: StoredCollection) -> FrameSides:
        with self._reading:
            if stored.name not in self._sides:
                self._sides[stored.name] = self._read(stored)
            return self._sides[stored.name]

    def _path(self, stored: StoredCollection, side: str, row: int, sides: FrameSides, kind: str) -> Path | None:
        cameras, frames = (stored.query, sides.query) if side == "queries" else (stored.database, sides.database)
        [at] = rows_of(frames.cameras.key, cameras.key[row : row + 1])
        paths: npt.NDArray[np.str_] = getattr(frames, kind)
        return Path(str(paths[at])) if at >= 0 and paths[at] else None

    def _check(self, stored: StoredCollection, side: str, row: int, sides: FrameSides) -> None:
        """Raise unless the depth map of a frame, where it has one, may be read."""
        path = self._path(stored, side, row, sides, "depth")
        if path is None:
            return
        if not self._follow_links and not path.resolve().is_relative_to(self._folder.resolve()):
            raise InputError(f"{path}: is outside {self._folder}; start with --follow-links to see it")
        check_pixels(path)


def check_pixels(path: Path) -> None:
    """Raise an `InputError` where a depth map is too large to be shown; what is no image is left to its reader."""
    from PIL import Image  # noqa: PLC0415  only where there are depth maps

    check_regular(path)
    try:
        with Image.open(path) as image:
            width, height = image.size
    except Exception:  # whatever a damaged image makes a decoder raise
        return
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{path}: has {width:,} × {height:,} pixels; depth maps of up to {MOST_PIXELS:,} pixels are shown"
        )


def _arrays(name: str, side: SharedSide) -> dict[str, npt.NDArray[Any]]:
    seen = np.full(side.depth.shape, NONE, np.uint8)
    seen[side.pixels] = np.where(side.shared, SHARED, OWN)
    return {f"{name}.depth": side.depth.astype(np.float32), f"{name}.seen": seen}
