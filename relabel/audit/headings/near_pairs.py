"""Headings of nearby cameras: how much they differ, and which one disagrees with all others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from relabel.audit.headings.tracks import BoolArray, IntArray
from relabel.cameras import FloatArray
from relabel.geometry.headings import angle_between_deg

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

BINS = 12
BIN_DEG = 180.0 / BINS
LONE_NEIGHBOURS = 3
"""A camera with fewer neighbours is not called alone."""
LONE_AGREE_DEG = 30.0
"""Neighbours agree where each is at most this far from their mean direction."""
_MOST_PAIRS = 20_000_000
_MOST_COMPARED = 4_000_000  # more are sampled, so that a crowded dataset takes seconds as well
_BLOCK_PAIRS, _BLOCK_ROWS = 4_000_000, 1 << 16


@dataclass(frozen=True)
class NearHeadings:
    """Nearby pairs of cameras with headings, query with database.

    Attributes
    ----------
    radius_m:
        largest distance, metres, inclusive.
    pairs:
        pairs within it; of self pairs each once.
    looked_at:
        those whose headings were compared: all, unless they are so many that only every n-th camera's were.
    histogram:
        looked-at pairs by difference of heading, in twelve bins of 15° from 0° to 180°.
    opposite:
        looked-at pairs whose headings differ by more than `flip_deg`.
    place_m, place_pairs, place_opposite:
        the same for pairs at one place.
    """

    radius_m: float
    pairs: int
    looked_at: int
    histogram: tuple[int, ...]
    flip_deg: float
    opposite: int
    place_m: float
    place_pairs: int
    place_opposite: int

    @property
    def opposite_share(self) -> float | None:
        """`opposite` among the pairs looked at; None where there are none."""
        return self.opposite / self.looked_at if self.looked_at else None

    @property
    def place_opposite_share(self) -> float | None:
        """`place_opposite` among `place_pairs`; None where there are none."""
        return self.place_opposite / self.place_pairs if self.place_pairs else None

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "radius_m": self.radius_m,
            "pairs": self.pairs,
            "looked_at": self.looked_at,
            "histogram": {"edges_deg": [i * BIN_DEG for i in range(BINS + 1)], "pairs": list(self.histogram)},
            "flip_deg": self.flip_deg,
            "opposite": self.opposite,
            "opposite_share": self.opposite_share,
            "place_m": self.place_m,
            "place_pairs": self.place_pairs,
            "place_opposite": self.place_opposite,
            "place_opposite_share": self.place_opposite_share,
        }


def near_pairs(
    query: tuple[FloatArray, FloatArray],
    database: tuple[FloatArray, FloatArray],
    *,
    self_pairs: bool,
    radius_m: float,
    place_m: float,
    flip_deg: float,
) -> NearHeadings:
    """Differences of heading of all near pairs, or of every n-th query's where they are more than 4 million.

    Parameters
    ----------
    query, database:
        positions (n, 2 or 3) in metres and headings (n,) in degrees, all finite.
    self_pairs:
        whether both are the same cameras: a camera is not paired with itself, and each pair counts once.
    """
    (a, from_deg), (b, to_deg) = (tuple(column[_compact(side[0])] for column in side) for side in (query, database))
    histogram = np.zeros(BINS, np.int64)
    looked_at = opposite = place_pairs = place_opposite = pairs = 0
    if len(a) and len(b):
        from scipy.spatial import cKDTree  # noqa: PLC0415  slow to load

        tree = cKDTree(b)
        pairs = int(cKDTree(a).count_neighbors(tree, radius_m))
        if self_pairs:
            pairs = (pairs - len(a)) // 2
        every = 1 + pairs // _MOST_COMPARED
        for i, j, distance in _pairs(a, tree, np.arange(0, len(a), every), radius_m):
            # In a sample each pair of an even number of cameras would be half there; then both ways are taken.
            kept = (i < j if every == 1 else i != j) if self_pairs else slice(None)
            i, j, distance = i[kept], j[kept], distance[kept]  # noqa: PLW2901
            apart = angle_between_deg(from_deg[i], to_deg[j])
            over, here = apart > flip_deg, distance <= place_m
            bins = np.minimum((apart / BIN_DEG).astype(np.int64), BINS - 1)
            histogram += np.bincount(bins, minlength=BINS)
            looked_at += len(apart)
            opposite += int(np.count_nonzero(over))
            place_pairs += int(np.count_nonzero(here))
            place_opposite += int(np.count_nonzero(over & here))
    counts = tuple(int(n) for n in histogram)
    return NearHeadings(radius_m, pairs, looked_at, counts, flip_deg, opposite, place_m, place_pairs, place_opposite)


def alone(position: FloatArray, heading_deg: FloatArray, *, place_m: float, flip_deg: float) -> BoolArray:
    """(n,) True for a camera that looks the other way than all cameras around it.

    At least `LONE_NEIGHBOURS` others are within `place_m`; all look to within `LONE_AGREE_DEG` of their mean
    direction, and the camera more than `flip_deg` away from that. A car that drives the other way is one as well, so
    this is a hint and no proof. Where more than 20 million pairs are so near, no camera is marked.

    Parameters
    ----------
    position, heading_deg:
        (n, 2 or 3) metres and (n,) degrees, all finite.
    """
    against_all = np.zeros(len(position), bool)
    if not len(position):
        return against_all
    order = _compact(position)
    position, heading_deg = position[order], heading_deg[order]
    from scipy.spatial import cKDTree  # noqa: PLC0415  slow to load

    tree = cKDTree(position)
    if tree.count_neighbors(tree, place_m) - len(position) > _MOST_PAIRS:
        return against_all
    angle = np.radians(heading_deg)
    direction = np.column_stack([np.cos(angle), np.sin(angle)])
    for i, j, _ in _pairs(position, tree, np.arange(len(position)), place_m):
        first, last = int(i.min()), int(i.max()) + 1
        i, j = i[i != j], j[i != j]  # noqa: PLW2901
        camera = i - first
        count = np.bincount(camera, minlength=last - first)
        north, east = (np.bincount(camera, direction[j, k], minlength=last - first) for k in (0, 1))
        mean = np.degrees(np.arctan2(east, north)) % 360.0
        astray = angle_between_deg(heading_deg[j], mean[camera]) > LONE_AGREE_DEG
        agree = np.bincount(camera[astray], minlength=last - first) == 0
        against = angle_between_deg(heading_deg[first:last], mean) > flip_deg
        against_all[order[first:last]] |= (count >= LONE_NEIGHBOURS) & agree & against
    return against_all


def _pairs(
    a: FloatArray, tree: cKDTree, rows: IntArray, radius_m: float
) -> Iterator[tuple[IntArray, IntArray, FloatArray]]:
    """Blocks of near pairs (i, j, distance), each with all pairs of its rows i, in any order; empty ones are left out.

    A block has about 4 million pairs at most, unless it is a single row.
    """
    from scipy.spatial import cKDTree  # noqa: PLC0415  slow to load

    blocks = [rows[start : start + _BLOCK_ROWS] for start in range(0, len(rows), _BLOCK_ROWS)]
    while blocks:
        here = blocks.pop()
        block = cKDTree(a[here])
        pairs = block.count_neighbors(tree, radius_m)
        if pairs > _BLOCK_PAIRS and len(here) > 1:
            blocks += [here[: len(here) // 2], here[len(here) // 2 :]]
        elif pairs:
            near: Any = block.sparse_distance_matrix(tree, radius_m, output_type="ndarray")
            yield here[near["i"]], near["j"], near["v"]


def _compact(position: FloatArray) -> IntArray:
    """An order in which neighbours in space are neighbours in memory: 100 m squares. Trees are four times as fast."""
    square = np.floor(position[:, :2] / 100.0)
    return np.lexsort((position[:, 0], square[:, 0], square[:, 1]))
