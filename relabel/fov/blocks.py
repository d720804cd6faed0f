"""Blocks of query rows: what the overlap of some rows depends on, and no more, so that they can be computed anywhere.

A block is its queries and those database cameras that they can meet. Its values are, to the last bit, those of the
same pairs in the whole collection, whatever other cameras that has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.fov import geographic, planar
from relabel.fov.geographic import GeographicOverlap
from relabel.fov.noise import HEADING_SIGMA, POSITION_SIGMA
from relabel.fov.params import FovParams
from relabel.fov.planar import FovOverlap, Whole
from relabel.geometry.tiles import LEAST_M
from relabel.geometry.walls import Walls
from relabel.similarity import Collection, RowBlock


@dataclass(frozen=True, eq=False)
class FovBlock:
    """Some rows of a collection, to be computed by themselves; `cut` makes one. It can be sent to another process.

    Attributes
    ----------
    query, database:
        the cameras of the rows, and those of the columns that they can meet, with the columns that count. With
        longitude and latitude, these are their positions.
    self_pairs:
        whether the database of the collection is its queries.
    params:
        what the overlap depends on besides the cameras.
    whole:
        what it takes from the collection as a whole.
    walls:
        what stands in the way of these cameras; None where nothing does.
    is_geographic:
        whether positions are longitude and latitude.
    """

    query: Cameras
    database: Cameras
    self_pairs: bool
    params: FovParams
    whole: Whole
    walls: Walls | None = None
    is_geographic: bool = False

    def source(self, threads: int | None = None) -> BlockSource:
        """The rows of the block, not yet computed; their columns are those of `database`."""
        own = None
        if self.self_pairs:
            row_of = {key: row for row, key in enumerate(self.database.key.tolist())}
            own = np.array([row_of.get(key, -1) for key in self.query.key.tolist()], np.int64)
        sides = self.query, self.database
        options: dict[str, Any] = {"threads": threads, "whole": self.whole, "own": own}
        if not self.is_geographic:
            return BlockSource(planar.source(*sides, self.params, occluders=self.walls, **options))
        places = self.query.position[:, :2], self.database.position[:, :2]
        return BlockSource(geographic.source(*sides, places, self.params, **options))

    def digest(self) -> str:
        """SHA-256 of all that its values depend on, but for the version of the program; in hexadecimal."""
        whole = asdict(self.whole) | {"reach_m": max(self.whole.reach_m, LEAST_M)}  # below, tiles are the same
        stated = {
            "params": self.params.to_json(),
            "whole": whole,
            "self_pairs": self.self_pairs,
            "is_geographic": self.is_geographic,
        }
        running = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
        for side in (self.query, self.database):
            running.update("\0".join([*side.key.tolist(), ""]).encode("utf-8", "surrogatepass"))
            columns = {
                "position": side.position,
                "heading_deg": side.heading_deg,
                "fov_deg": side.fov_deg,
                "radius_m": side.radius_m,
                "status": side.status,
                **side.extra,
            }
            for name, column in columns.items():
                if column is not None:
                    running.update(f"{name} {column.shape} {column.dtype.str}".encode())
                    running.update(np.ascontiguousarray(column).data)
        if self.walls is not None:
            for array in (self.walls.ends, self.walls.part, self.walls.closed):
                running.update(f"{array.shape}".encode())
                running.update(array.data)
        return running.hexdigest()


@dataclass(frozen=True, eq=False)
class BlockSource:
    """The rows of a block as a `SimilaritySource`: no self pairs, even where its columns hold its queries.

    Attributes
    ----------
    overlap:
        what computes them.
    """

    overlap: FovOverlap | GeographicOverlap

    @property
    def collection(self) -> Collection:
        """The cameras of the block, and what is compared."""
        return self.overlap.collection

    def blocks(self) -> Iterator[RowBlock]:
        """All rows once, in order."""
        return self.overlap.blocks()


def cut(overlap: FovOverlap | GeographicOverlap, first_row: int, stop_row: int) -> FovBlock:
    """The rows first_row … stop_row - 1 of an overlap as a block."""
    return _block(overlap, slice(first_row, stop_row), overlap.around(first_row, stop_row))


def unmet(overlap: FovOverlap | GeographicOverlap) -> npt.NDArray[np.int64]:
    """The columns of those database cameras that can be labelled and are in no block, since no query can meet them."""
    c = overlap.collection
    left = c.database.ok.copy()
    left[overlap.around(0, len(c.query))] = False
    return np.flatnonzero(left)


def without_rows(overlap: FovOverlap | GeographicOverlap, columns: npt.NDArray[np.int64]) -> FovBlock:
    """A block of database cameras only, for what they see by themselves."""
    return _block(overlap, slice(0, 0), columns)


def _block(overlap: FovOverlap | GeographicOverlap, rows: slice, columns: npt.NDArray[np.int64]) -> FovBlock:
    c = overlap.collection
    is_geographic = isinstance(overlap, GeographicOverlap)
    plane = overlap.plane if isinstance(overlap, GeographicOverlap) else overlap
    places = overlap.lon_lat_deg if isinstance(overlap, GeographicOverlap) else (c.query.position, c.database.position)
    with_heights = np.isfinite(plane.params.max_height_difference_m)
    noisy = bool(overlap.whole.noisy)
    # In degrees, the map that the dataset has besides does not count.
    options: dict[str, Any] = {
        "with_heights": with_heights,
        "noisy": noisy,
        "crs": "EPSG:4326" if is_geographic else c.crs,
    }
    query = _needed(c.query, places[0], rows, **options)
    database = _needed(c.database, places[1], columns, **options)
    walls = None if plane.walls is None else _walls_near(plane.walls, (query, database), plane.params)
    return FovBlock(query, database, c.self_pairs, plane.params, overlap.whole, walls, is_geographic)


def _needed(
    cameras: Cameras,
    places: FloatArray,
    rows: slice | npt.NDArray[np.int64],
    *,
    with_heights: bool,
    noisy: bool,
    crs: str,
) -> Cameras:
    """Some of the cameras with the columns that their overlap depends on."""
    position = places[rows, :2]
    if with_heights:
        heights = planar.heights_of(cameras)[rows]
        position = np.column_stack([position, heights])
    extra = {name: cameras.extra[name][rows] for name in (HEADING_SIGMA, POSITION_SIGMA) if name in cameras.extra}
    return Cameras(
        key=cameras.key[rows],
        position=position,
        heading_deg=cameras.heading_deg[rows],
        fov_deg=None if cameras.fov_deg is None else cameras.fov_deg[rows],
        radius_m=None if cameras.radius_m is None else cameras.radius_m[rows],
        status=cameras.status[rows],
        crs=crs,
        extra=extra if noisy else {},
    )


def _walls_near(walls: Walls, sides: tuple[Cameras, ...], params: FovParams) -> Walls:
    """The parts of walls, whole, that come near enough to a camera of either side to hide something from it."""
    places = np.concatenate([side.position[side.ok, :2] for side in sides])
    radius = np.concatenate(
        [np.full(int(side.ok.sum()), params.radius_m) if side.radius_m is None else side.radius_m[side.ok]
         for side in sides]
    )  # fmt: skip
    if not len(places) or not len(walls):
        return Walls(np.empty((0, 4)), np.empty(0, np.int64), np.empty(0, np.bool_), walls.crs, walls.params)
    # The circle around a field of view reaches up to √2 radii away from the camera.
    low, high = (places - 1.5 * radius[:, None]).min(axis=0), (places + 1.5 * radius[:, None]).max(axis=0)
    least = np.minimum(walls.ends[:, :2], walls.ends[:, 2:])
    most = np.maximum(walls.ends[:, :2], walls.ends[:, 2:])
    near = np.unique(walls.part[((least <= high) & (most >= low)).all(axis=1)])
    first, last = np.searchsorted(walls.part, near), np.searchsorted(walls.part, near, side="right")
    sizes = last - first
    kept = np.arange(int(sizes.sum())) + np.repeat(first - (np.cumsum(sizes) - sizes), sizes)
    part = np.repeat(np.arange(len(near)), sizes)
    return Walls(walls.ends[kept], part, walls.closed[near], walls.crs, walls.params)
