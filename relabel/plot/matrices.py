"""ψ of the cameras of a sequence as a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras
from relabel.errors import InputError, NotFoundError
from relabel.figures import axes_or_new, colour_bar, colours_of, matplotlib, shortened, verbatim
from relabel.report.matrix_cells import Axis, matrix_cells
from relabel.similarity import SimilaritySource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CELLS = 1000  # along an axis, at the most
_NAMES = 8  # of sequences in an error


def matrix(labels: SimilaritySource, sequence: str | None = None, *, ax: Axes | None = None) -> Axes:
    """Matrix of ψ between the queries of a sequence, in time order, and the database.

    Queries are rows. Columns are the same cameras where the database is the queries, else the database cameras that
    have a pair with one of them. Pairs with at most `min_value` are blank. Both are ordered by the columns ``sequence``
    and ``frame`` if the cameras have them, otherwise as in the file. Unknown pairs are hatched; an ok camera has ψ = 1
    with itself. Of more than 1,000 cameras along an axis, neighbours share a cell, which has the largest of their ψ and
    is unknown where all of them are; the label says how many they are.

    Parameters
    ----------
    labels:
        a collection with its pairs.
    sequence:
        a value of the column ``sequence`` of the queries; None takes all queries.
    ax:
        where to draw; None makes a new figure.

    Raises
    ------
    NotFoundError
        when there is no such sequence.
    InputError
        when the queries have no column ``sequence``.
    """
    c = labels.collection
    rows = _rows_of(c.query, sequence)
    axes = axes_or_new(ax)
    colours = colours_of(axes)
    columns = rows if c.self_pairs else _in_time(c.database, _matched(labels, None if sequence is None else rows))
    sides = (rows, c.query), (columns, c.database)
    axis_cells = [Axis(side, max(1, -(-len(side) // _CELLS)), cameras.ok) for side, cameras in sides]
    cells = matrix_cells(labels.blocks(), *axis_cells, self_pairs=c.self_pairs)
    steps = [axis.step for axis in axis_cells]
    values, known = cells.largest, cells.known > 0
    if c.self_pairs:
        own = np.flatnonzero(c.query.ok[rows]) // steps[0]
        values[own, own], known[own, own] = 1.0, True
    extent = (0.0, float(max(1, len(columns))), float(max(1, len(rows))), 0.0)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.patch.set(hatch="////", edgecolor=colours.faint)
    axes.patch.set_linewidth(0.0)
    shown = np.ma.masked_where(~known, values)
    if shown.size:
        shades = matplotlib("matplotlib").colormaps[colours.psi].with_extremes(under=colours.background)
        image = axes.imshow(
            shown,
            cmap=shades,
            vmin=float(np.finfo(np.float32).tiny),
            vmax=1.0,
            extent=(0.0, values.shape[1] * steps[1], values.shape[0] * steps[0], 0.0),
            interpolation="nearest",
            aspect="equal" if c.self_pairs else "auto",
        )
        axes.set(xlim=extent[:2], ylim=extent[2:])
        unknown = "; hatched: unknown" if np.ma.is_masked(shown) else ""
        blank = f"blank: ψ ≤ {c.min_value:g}{unknown}"
        colour_bar(axes, image, f"{'largest ' if max(steps) > 1 else ''}ψ ({c.measure}); {blank}")
    names = ("query", "query" if c.self_pairs else "database camera")
    several = ["" if step == 1 else f", {step} per cell" for step in steps]
    ordered = [_order(side) for side in (c.query, c.database)]
    axes.set_ylabel(f"{names[0]}, {ordered[0]}{several[0]}")
    axes.set_xlabel(f"{names[1]}, {ordered[1]}{several[1]}")
    axes.spines[["top", "right"]].set_visible(True)
    if sequence is not None:
        axes.set_title(verbatim(shortened(sequence)), fontsize="small")
    return axes


def _rows_of(query: Cameras, sequence: str | None) -> npt.NDArray[np.int64]:
    if sequence is None:
        return _in_time(query, np.arange(len(query)))
    names = query.extra.get("sequence")
    if names is None or names.ndim != 1:
        raise InputError("the queries have no column 'sequence'; omit the name of the sequence to draw all of them")
    rows = np.flatnonzero(names.astype(np.str_) == sequence)
    if not len(rows):
        there = np.unique(names).astype(np.str_)
        more = f", … ({len(there) - _NAMES} more)" if len(there) > _NAMES else ""
        raise NotFoundError(
            f"there is no sequence {sequence!r} of queries; there are {', '.join(there[:_NAMES])}{more}"
        )
    return _in_time(query, rows)


def _in_time(cameras: Cameras, rows: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Rows in the order of sequence and frame, if the cameras have these columns."""
    name, frame = (cameras.extra.get(column) for column in ("sequence", "frame"))
    if name is None or frame is None or name.ndim != 1 or frame.ndim != 1:
        return rows.astype(np.int64)
    _, group = np.unique(name, return_inverse=True)
    return rows[np.lexsort((frame[rows], group[rows]))].astype(np.int64)


def _order(cameras: Cameras) -> str:
    return "in order of time" if {"sequence", "frame"} <= set(cameras.extra) else "in order of the file"


def _matched(labels: SimilaritySource, rows: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
    """The database cameras that have a pair with one of some queries; all where `rows` is None."""
    queries, database = labels.collection.shape
    matched = np.full(database, rows is None)
    if rows is not None:
        wanted = np.zeros(queries, bool)
        wanted[rows] = True
        for block in labels.blocks():
            matched[block.indices[wanted[block.rows]]] = True
    return np.flatnonzero(matched)
