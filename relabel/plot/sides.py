"""The cameras of one side of a collection as figures draw them, and the matches of a query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import NotFoundError
from relabel.geometry.ground import Ground
from relabel.geometry.sectors import openings, sector_rings, segments
from relabel.keys import rows_of
from relabel.similarity import Collection, RowBlock, SimilaritySource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TOLERANCE = 0.0004  # of the range: what a chord may be off the arc that is drawn
_POINTER = 0.06  # of the extent of a room: how far a camera without a field of view points
_FAR_M = 10_000.0  # coordinates beyond this are counted from a number that the axis names


@dataclass(frozen=True, eq=False)
class Side:
    """Cameras on a map.

    Attributes
    ----------
    cameras:
        n of them.
    position:
        (n, 2) metres right and up on the map.
    heading_deg:
        (n,) degrees clockwise from up.
    fov_deg, radius_m:
        (n,) degrees and metres, NaN where the labels do not state them.
    """

    cameras: Cameras
    position: FloatArray
    heading_deg: FloatArray
    fov_deg: FloatArray
    radius_m: FloatArray

    @classmethod
    def of(cls, cameras: Cameras, params: Mapping[str, Any], ground: Ground) -> Side:
        """The cameras as the map of a collection with these parameters shows them."""
        heading = ground.heading_deg(cameras, params)
        return cls(cameras, ground.position(cameras), heading, *openings(cameras, params))

    @property
    def placed(self) -> npt.NDArray[np.bool_]:
        """(n,) True where the position is known."""
        return np.asarray(np.isfinite(self.position).all(axis=1))

    def sectors(self, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Those of the rows whose field of view is known, and closed rings around these."""
        columns = (self.heading_deg, self.fov_deg, self.radius_m)
        known = self.cameras.ok & self.placed & np.isfinite(np.stack(columns)).all(axis=0)
        rows = np.asarray(rows, np.int64)
        rows = rows[known[rows]]
        heading, fov, radius = (column[rows] for column in columns)
        chords = segments(fov, radius, _TOLERANCE * float(radius.max(initial=1.0)))
        return rows, sector_rings(self.position[rows], heading, fov, radius, chords)

    def pointers(self, rows: npt.NDArray[Any], length_m: float) -> FloatArray:
        """(k, 2, 2) short lines along the headings of those rows that have one but no field of view."""
        rows = np.asarray(rows, np.int64)
        without = np.isnan(self.fov_deg) | np.isnan(self.radius_m)
        rows = rows[(self.placed & np.isfinite(self.heading_deg) & without)[rows]]
        angle = np.radians(90.0 - self.heading_deg[rows])
        ends = self.position[rows] + length_m * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.stack([self.position[rows], ends], axis=1)


def pointer_length_m(extent_m: float) -> float:
    """How long pointers are on a map of this extent."""
    return _POINTER * extent_m


def matches(labels: SimilaritySource, query: str) -> tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The row of a query, and the columns and ψ of its stored pairs, best first.

    Raises
    ------
    NotFoundError
        when there is no such query.
    """
    c = labels.collection
    row = row_of(c.query, query, "query")
    of_row = getattr(labels, "row", None)
    if of_row is not None:  # without reading all others
        keys, values = of_row(row)
        return row, rows_of(c.database.key, np.asarray(keys, np.str_)), values
    for block in labels.blocks():
        if block.first_row <= row < block.first_row + len(block.counts):
            return row, *_best_first(block, row)
    return row, np.empty(0, np.int64), np.empty(0, np.float32)


def _best_first(block: RowBlock, row: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    end = int(block.counts[: row - block.first_row + 1].sum())
    here = slice(end - int(block.counts[row - block.first_row]), end)
    best = np.argsort(-block.data[here], kind="stable")
    return block.indices[here][best].astype(np.int64), block.data[here][best]


def row_of(cameras: Cameras, key: str, what: str) -> int:
    """The row of a camera; raises a `NotFoundError` that lists a few keys if there is none."""
    row = int(rows_of(cameras.key, np.array([key], np.str_))[0])
    if row < 0:
        shown = ", ".join(cameras.key[:5].tolist()) + (", …" if len(cameras) > 5 else "")
        raise NotFoundError(f"there is no {what} {key!r}; there are {shown}")
    return row


def collection_of(labels: SimilaritySource | Cameras) -> Collection:
    """The collection of labels; of cameras alone one of them with themselves."""
    if not isinstance(labels, Cameras):
        return labels.collection
    extent = np.full(len(labels), np.nan)
    return Collection(labels, labels, extent, extent, "imported", "unknown", self_pairs=True)


def axis_names(ground: Ground, crs: str) -> tuple[str, str]:
    """Labels of the axes of a map."""
    if not ground.in_space and crs != "local":
        return "easting", "northing"
    right, ahead = ("xyz"[axis] for axis in ground.axes)
    return right, ahead


def set_map(axes: Axes, low: FloatArray, high: FloatArray, names: tuple[str, str]) -> None:
    """Limits, scale and labels of the axes of a map that shows all from `low` to `high`, (2,) metres.

    Data stay in the coordinates of the labels. Where these are large, ticks count from a number that the label names.
    """
    for name, axis, set_limits, least, most in (
        (names[0], axes.xaxis, axes.set_xlim, low[0], high[0]),
        (names[1], axes.yaxis, axes.set_ylim, low[1], high[1]),
    ):
        base = 0.0 if max(abs(least), abs(most)) < _FAR_M else 100.0 * np.floor(least / 100.0)
        start = f" {'−' if base > 0 else '+'} {abs(base):,.0f}" if base else ""
        set_limits(float(least), float(most))
        axis.set_label_text(f"{name}{start} (m)")
        axis.set_major_locator(_locator(base))
        axis.set_major_formatter(_formatter(base))
    axes.set_aspect("equal")


def _locator(base: float) -> Any:
    """Ticks at round numbers of metres from the base."""
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415  as below

    class FromBase(MaxNLocator):
        def tick_values(self, vmin: float, vmax: float) -> Any:
            return np.asarray(super().tick_values(vmin - base, vmax - base)) + base

    return FromBase(nbins=5, steps=[1, 2, 5, 10])


def _formatter(base: float) -> Any:
    from matplotlib.ticker import FuncFormatter  # noqa: PLC0415  for those who draw

    def text(value: float, _: object) -> str:
        return f"{round(value - base, 6):,.6g}".replace("-", "−") if abs(value - base) < 1e5 else f"{value - base:,.0f}"

    return FuncFormatter(text)
