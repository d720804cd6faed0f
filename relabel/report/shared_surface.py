"""What two depth frames share: the points of each, and which of them the other sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.errors import InputError, NotFoundError
from relabel.frames import Frames
from relabel.keys import rows_of
from relabel.labelfile import StoredCollection
from relabel.measures import Measure, similarity
from relabel.reference.surface import frame_depth, frame_points
from relabel.reference.voxels import voxels

METHODS = ("surface", "voxel-iou")

_AGREES = 1e-6  # what float32 changes in ψ, with room to spare
_RADIX = 2**21 + 5  # numbers of voxels are between -2^20 and 2^20; with those next to them, and three to an int64


@dataclass(frozen=True)
class SharedSide:
    """One of two frames.

    Attributes
    ----------
    key:
        of the camera.
    points:
        (m, 3) float points that it sees, in world coordinates, metres; one for each valid pixel with a depth, row by
        row.
    shared:
        (m,) whether the other frame sees the point, by the voxels of the method.
    depth:
        (h, w) depths of the pixels on the stride grid, metres; 0 where unknown.
    voxels, common:
        number of voxels that the frame occupies, and number of those that it shares.
    image:
        path of the colour image, empty if there is none.
    """

    key: str
    points: FloatArray
    shared: npt.NDArray[np.bool_]
    depth: FloatArray
    voxels: int
    common: int
    image: str

    @property
    def pixels(self) -> npt.NDArray[np.bool_]:
        """(h, w) whether a pixel that counts has a depth."""
        return self.depth > 0.0

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "key": self.key,
            "points": len(self.points),
            "points_shared": int(self.shared.sum()),
            "voxels": self.voxels,
            "voxels_shared": self.common,
        }


@dataclass(frozen=True)
class SharedSurface:
    """Two frames and what they share.

    Attributes
    ----------
    query, database:
        the two frames.
    measure:
        of the values.
    stored:
        ψ in the label file, 0 where the pair is absent.
    value:
        ψ recomputed from the depth maps.
    distance_m:
        between the two cameras.
    """

    query: SharedSide
    database: SharedSide
    measure: Measure
    stored: float
    value: float
    distance_m: float
    min_value: float

    @property
    def agrees(self) -> bool:
        """Whether the ψ recomputed from the depth maps equals the stored one."""
        least = self.min_value if self.stored == 0.0 else 0.0
        return abs(self.value - self.stored) <= max(_AGREES, least)

    def to_json(self) -> dict[str, Any]:
        """What `relabel shared --json` prints."""
        return {
            "measure": self.measure,
            "stored": self.stored,
            "value": self.value,
            "distance_m": self.distance_m,
            "query": self.query.to_json(),
            "database": self.database.to_json(),
        }


def shared(
    stored: StoredCollection, query: Frames, database: Frames, query_key: str, database_key: str
) -> SharedSurface:
    """The surface that two frames share, under the method and the parameters of a collection.

    Parameters
    ----------
    stored:
        labels from depth maps.
    query, database:
        the frames that they were made from.
    query_key, database_key:
        which two.

    Raises
    ------
    NotFoundError
        when the collection has no such camera.
    InputError
        when the collection was not made from depth maps, one of the two cameras was not labelled or is no longer in the
        dataset, or its depth map cannot be read.
    """
    check_surface(stored)
    measure: Any = stored.measure  # of labels by these methods it is known
    block = stored.row_block(query_key)
    i, j = block.first_row, _row(stored, stored.database, "database frame", database_key)
    entry = np.flatnonzero(block.indices == j)
    depths = _depth_options(stored)
    voxel_m = float(stored.params["voxel_m"])
    sides = [
        (str(cameras.key[row]), frames, _frame_row(stored, cameras, frames, row))
        for cameras, frames, row in ((stored.query, query, i), (stored.database, database, j))
    ]
    occupied = [_numbers(voxels(frames, row, voxel_m, **depths)) for _, frames, row in sides]
    near = [_dilated(numbers) if stored.method == "surface" else numbers for numbers in occupied]
    parts = []
    for k, (key, frames, row) in enumerate(sides):
        points = frame_points(frames, row, **depths)
        seen = np.isin(_numbers(np.floor(points / voxel_m).astype(np.int64)), near[1 - k])
        common = int(np.isin(occupied[k], near[1 - k]).sum())
        depth = frame_depth(frames, row, **depths)
        parts.append(SharedSide(key, points, seen, depth, len(occupied[k]), common, str(frames.image[row])))
    a, b = (np.array([float(part.voxels)]) for part in parts)
    both = np.array([(parts[0].common + parts[1].common) / 2.0])
    apart = query.cameras.position[sides[0][2]] - database.cameras.position[sides[1][2]]
    return SharedSurface(
        parts[0],
        parts[1],
        measure,
        float(block.data[entry[0]]) if entry.size else 0.0,
        float(similarity(both, a, b, measure)[0]),
        float(np.linalg.norm(apart)),
        stored.min_value,
    )


def depth_map(stored: StoredCollection, cameras: Cameras, frames: Frames, row: int) -> FloatArray:
    """The depths of one camera of a collection that count under its parameters, (h, w) metres; 0 where there is none.

    Parameters
    ----------
    stored:
        labels from depth maps.
    cameras:
        its queries or its database.
    frames:
        the frames that these were made from.
    row:
        which of the cameras.

    Raises
    ------
    InputError
        as `shared` does.
    """
    check_surface(stored)
    return frame_depth(frames, _frame_row(stored, cameras, frames, row), **_depth_options(stored))


def check_surface(stored: StoredCollection) -> None:
    """Raise an `InputError` unless the labels of a collection come from depth maps."""
    if stored.method not in METHODS:
        raise InputError(
            f"{stored.path}::{stored.name}: {stored.method} labels do not come from depth maps, so there is no surface "
            "to show"
        )


def shared_text(pair: SharedSurface) -> list[str]:
    """The figures in words."""
    keys = f"{pair.query.key} and {pair.database.key}"
    lines = [f"{keys}: ψ {pair.stored:.4g} ({pair.measure}), cameras {pair.distance_m:.2f} m apart"]
    lines += [
        f"  {name} {side.key}: {side.voxels:,} voxels, {side.common:,} of them shared "
        f"({100.0 * side.common / max(1, side.voxels):.1f} %)"
        for name, side in (("query", pair.query), ("database", pair.database))
    ]
    return lines


def _depth_options(stored: StoredCollection) -> dict[str, Any]:
    """Which pixels and depths count."""
    return {
        "stride": int(stored.params["stride"]),
        "nearest_m": float(stored.params.get("nearest_m", 0.0)),
        "farthest_m": stored.params.get("farthest_m"),
    }


def _frame_row(stored: StoredCollection, cameras: Cameras, frames: Frames, row: int) -> int:
    """The row among the frames of a camera that was labelled."""
    key = str(cameras.key[row])
    if not cameras.ok[row]:
        raise InputError(
            f"{stored.path}::{stored.name}: {key} has status {Status(int(cameras.status[row])).label}: what it sees "
            "is unknown"
        )
    rows = rows_of(frames.cameras.key, np.array([key]))
    if rows[0] < 0 or not frames.cameras.ok[rows[0]]:
        raise InputError(f"{key} has no depth map or no pose in this dataset; was the file made from another dataset?")
    return int(rows[0])


def _row(stored: StoredCollection, cameras: Cameras, what: str, key: str) -> int:
    rows = rows_of(cameras.key, np.array([key], np.str_))
    if rows[0] < 0:
        shown = ", ".join(cameras.key[:5]) + (", …" if len(cameras) > 5 else "")
        raise NotFoundError(f"{stored.path}::{stored.name}: there is no {what} {key!r}; there are {shown}")
    return int(rows[0])


def _numbers(cells: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """One number for each voxel (k, 3)."""
    return (cells[:, 0] * _RADIX + cells[:, 1]) * _RADIX + cells[:, 2]


def _dilated(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The numbers of voxels and of the 26 next to each."""
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.unique(numbers[:, np.newaxis] + _numbers(steps))
