"""Which cameras and pairs of a collection to keep, and the collection that is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.errors import OptionError
from relabel.fixed_width import text_array
from relabel.keys import rows_of
from relabel.labelfile import StoredCollection
from relabel.similarity import Collection, RowBlock

BoolArray = npt.NDArray[np.bool_]


class Box(NamedTuple):
    """A rectangle, its border included: west, south, east, north."""

    west: float
    south: float
    east: float
    north: float


@dataclass(frozen=True)
class Selection:
    """What a subset keeps; a camera or pair has to meet all conditions.

    Parameters
    ----------
    keys:
        keys of the cameras to keep, on both sides.
    query_keys, database_keys:
        the same for one side; not together with `keys`, and not for self-paired collections.
    low:
        the least ψ of a pair to keep, in (0, 1]. `min_value` becomes the largest float32 below it, so that an absent
        pair still says what it means.
    bbox_m:
        keep cameras inside this box, in metres in the frame of the collection.
    bbox_deg:
        keep cameras inside this box of longitude and latitude on WGS 84; one whose west is greater than its east
        crosses the antimeridian.
    ok_only:
        keep only cameras with status ok.

    Raises
    ------
    OptionError
        when a value is invalid, or two of them contradict each other.
    """

    keys: frozenset[str] | None = None
    query_keys: frozenset[str] | None = None
    database_keys: frozenset[str] | None = None
    low: float | None = None
    bbox_m: Box | None = None
    bbox_deg: Box | None = None
    ok_only: bool = False

    def __post_init__(self) -> None:
        if self.keys is not None and (self.query_keys is not None or self.database_keys is not None):
            raise OptionError("keys of both sides and keys of one side are given; give only one of them")
        if self.low is not None and not 0.0 < self.low <= 1.0:
            raise OptionError(f"the least ψ to keep is {self.low}; it has to be in (0, 1]")
        for box in (self.bbox_m, self.bbox_deg):
            if box is not None and not np.isfinite(box).all():
                raise OptionError(f"the box {_text(box)} is not of four numbers")
        if self.bbox_m is not None and (self.bbox_m.west > self.bbox_m.east or self.bbox_m.south > self.bbox_m.north):
            raise OptionError(f"the box {_text(self.bbox_m)} is empty; give west, south, east, north in metres")
        box = self.bbox_deg
        if box is not None and not (
            -90.0 <= box.south <= box.north <= 90.0 and all(-180.0 <= lon <= 180.0 for lon in (box.west, box.east))
        ):
            raise OptionError(
                f"the box {_text(box)} is not on earth; give west, south, east, north in degrees, longitude in "
                "[-180, 180] and latitude in [-90, 90]"
            )

    @property
    def limits_cameras(self) -> bool:
        """Whether it can leave out cameras."""
        limits = (self.keys, self.query_keys, self.database_keys, self.bbox_m, self.bbox_deg)
        return self.ok_only or any(limit is not None for limit in limits)

    @property
    def is_everything(self) -> bool:
        """Whether it keeps all cameras and pairs."""
        return self.low is None and not self.limits_cameras

    def parameters(self) -> dict[str, Any]:
        """The selection for the record of provenance, as JSON values; of keys, their number."""
        boxes = {
            name: list(box) for name, box in (("bbox_m", self.bbox_m), ("bbox_deg", self.bbox_deg)) if box is not None
        }
        lists = {"keys": self.keys, "query_keys": self.query_keys, "database_keys": self.database_keys}
        counts = {name: len(keys) for name, keys in lists.items() if keys is not None}
        return boxes | counts | ({} if self.low is None else {"low": self.low}) | {"ok_only": self.ok_only}

    def query_kept(self, stored: StoredCollection) -> BoolArray:
        """(queries,) which queries of a collection it keeps."""
        return self._kept(stored.query, self.keys if self.query_keys is None else self.query_keys)

    def database_kept(self, stored: StoredCollection) -> BoolArray:
        """(database cameras,) which database cameras of a collection it keeps."""
        return self._kept(stored.database, self.keys if self.database_keys is None else self.database_keys)

    def _kept(self, cameras: Cameras, keys: frozenset[str] | None) -> BoolArray:
        kept = np.ones(len(cameras), bool)
        if keys is not None:
            kept &= are_among(cameras.key, keys)
        if self.ok_only:
            kept &= cameras.ok
        if self.bbox_m is not None:
            kept &= _inside(self.bbox_m, cameras.position[:, 0], cameras.position[:, 1])
        if self.bbox_deg is not None:
            kept &= _inside(self.bbox_deg, *_lon_lat(cameras))
        return kept


def are_among(camera_keys: npt.NDArray[np.str_], keys: frozenset[str]) -> BoolArray:
    """(n,) which of n cameras have a key that is in a set."""
    rows = rows_of(camera_keys, text_array(sorted(keys)))
    among = np.zeros(len(camera_keys), bool)
    among[rows[rows >= 0]] = True
    return among


def _inside(box: Box, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> BoolArray:
    with np.errstate(invalid="ignore"):  # a camera without a position is in no box
        east_of, west_of = x >= box.west, x <= box.east
        across = east_of & west_of if box.west <= box.east else east_of | west_of
        kept: BoolArray = across & (y >= box.south) & (y <= box.north)
    return kept


def _lon_lat(cameras: Cameras) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    from relabel.geometry.projection import unproject  # noqa: PLC0415  a subset by keys needs no projection

    if cameras.crs == "local":
        raise OptionError(
            "positions are in a local frame, which has no longitude and latitude; give the box in metres (bbox_m=…)"
        )
    places = unproject(cameras.position[:, 0], cameras.position[:, 1], cameras.crs)
    return places[:, 0], places[:, 1]


def _text(box: Box) -> str:
    return ",".join(f"{edge:g}" for edge in box)


@dataclass(frozen=True, eq=False)
class Selected:
    """A stored collection without the cameras and pairs that are not kept: a `SimilaritySource`, read block by block.

    The order of rows and columns stays.

    Parameters
    ----------
    stored:
        the whole.
    query_kept, database_kept:
        (queries,) and (database cameras,) which cameras stay; the same for a self-paired collection.
    low:
        the least ψ that stays, or None.
    """

    stored: StoredCollection
    query_kept: BoolArray
    database_kept: BoolArray
    low: float | None = None

    @property
    def empty_sides(self) -> dict[str, int]:
        """The sides that had cameras and keep none, and how many they had."""
        sides = {"query": self.query_kept, "database camera": self.database_kept}
        return {side: len(kept) for side, kept in sides.items() if len(kept) and not kept.any()}

    @cached_property
    def collection(self) -> Collection:
        """What is compared and how."""
        c = self.stored.collection
        query, query_extent = c.query.take(self.query_kept), c.query_extent[self.query_kept]
        database, database_extent = query, query_extent
        if not c.self_pairs:
            database, database_extent = c.database.take(self.database_kept), c.database_extent[self.database_kept]
        changes: Mapping[str, Any] = {} if self.low is None else {"min_value": max(c.min_value, below(self.low))}
        return replace(
            c,
            query=query,
            database=database,
            query_extent=query_extent,
            database_extent=database_extent,
            **changes,
        )

    def blocks(self) -> Iterator[RowBlock]:
        """All kept rows once, in order."""
        columns = np.cumsum(self.database_kept, dtype=np.int64) - 1
        bound = -np.inf if self.low is None else np.float32(self.collection.min_value)
        first = 0
        for block in self.stored.blocks():
            rows_kept = self.query_kept[block.first_row : block.first_row + len(block.counts)]
            rows = np.repeat(np.arange(len(rows_kept)), block.counts)
            kept = rows_kept[rows] & self.database_kept[block.indices] & (block.data > bound)
            counts = np.bincount(rows[kept], minlength=len(rows_kept)).astype(np.int64)[rows_kept]
            yield RowBlock(first, counts, columns[block.indices[kept]].astype(np.int32), block.data[kept])
            first += len(counts)


def below(value: float) -> float:
    """The largest float32 below `value`, which is rounded to float32 first as the values of a file are."""
    return float(np.nextafter(np.float32(value), np.float32(0)))
