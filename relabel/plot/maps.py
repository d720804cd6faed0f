"""Maps of cameras and their fields of view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray, Status
from relabel.errors import OptionError
from relabel.figures import Colours, axes_or_new, colour_bar, colours_of, matplotlib, shortened, verbatim
from relabel.geometry.ground import Ground, ground_of
from relabel.plot.sides import Side, axis_names, collection_of, matches, pointer_length_m, set_map
from relabel.similarity import SimilaritySource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SECTORS_UPTO = 400
"""Largest number of cameras for which a map draws fields of view by default."""
BEST = 12
"""Number of matches of a query whose fields of view are drawn by default."""
_PATHS_UPTO = 2_000  # marks that stay paths; more are a bitmap in an otherwise vector file
_MARGIN = 0.04  # of the extent
_LEAST_M = 5.0  # from the middle of a map to its edge where all cameras are at one place
_AROUND_M = 50.0  # around a query without matches and without a range
_FAULTS = ("fault", "other", "faint", "ink", "fault", "shared")
"""Colours of statuses other than ok, as these come; those of cameras that share a kind of labels differ"""
_MARKS = "xP+*1D"


def camera_map(
    labels: SimilaritySource | Cameras, query: str | None = None, *, sectors: bool | None = None, ax: Axes | None = None
) -> Axes:
    """Cameras on a map with their fields of view, by status, or by their ψ with a query.

    North is up; cameras with poses in space are seen from above, with a short line along the optical axis where no
    field of view is known. Data are in the coordinates of the labels, both axes to one scale.

    Without `query`, ok queries and ok database cameras have one colour each, and every other status has a mark of its
    own. The legend counts them, and also the cameras without a position, which cannot be drawn. With it, the map shows
    its neighbourhood: matches have the colour of their ψ, other ok cameras are small and grey (their ψ is at most
    `min_value`), and cameras whose ψ is unknown are crosses.

    Parameters
    ----------
    labels:
        a collection with its pairs, or cameras.
    query:
        key of a query.
    sectors:
        whether to draw fields of view; None draws them for up to 400 cameras, and for the 12 best matches of a query.
    ax:
        where to draw; None makes a new figure.

    Raises
    ------
    NotFoundError
        when there is no such query.
    OptionError
        when a query is named and `labels` are cameras alone.
    """
    if query is not None and isinstance(labels, Cameras):
        raise OptionError("cameras alone have no ψ; give labels, or omit the query")
    c = collection_of(labels)
    cameras = [c.query] if c.self_pairs else [c.query, c.database]
    ground = ground_of(cameras)
    sides = [Side.of(side, c.params, ground) for side in cameras]
    if query is not None and not isinstance(labels, Cameras):
        drawn: Axes = query_map(axes_or_new(ax), labels, query, sides, ground, sectors=sectors)
        return drawn
    axes = axes_or_new(ax)
    colours = colours_of(axes)
    rows = [np.flatnonzero(side.placed) for side in sides]
    low, high = extent_of([side.position[of_side] for side, of_side in zip(sides, rows, strict=True)])
    if sectors if sectors is not None else sum(map(len, rows)) <= SECTORS_UPTO:
        reached = [
            draw_views(axes, side, of_side, colour, high - low)
            for side, of_side, colour in zip(sides, rows, (colours.query, colours.database), strict=False)
        ]
        low, high = extent_of([np.stack([low, high]), *reached])
    single = len(sides) == 1
    for name, side, colour in zip(("queries", "database"), sides, (colours.query, colours.database), strict=False):
        _draw_statuses(axes, "cameras" if single else name, side, colour, colours)
    set_map(axes, *padded(low, high), axis_names(ground, c.crs))
    legend(axes)
    return axes


def query_map(
    axes: Any,
    labels: SimilaritySource,
    query: str,
    sides: Sequence[Side],
    ground: Ground,
    *,
    sectors: bool | None = None,
    ranked: int = 0,
) -> Any:
    """The map of a query; `ranked` numbers that many of its best matches."""
    c, colours = labels.collection, colours_of(axes)
    row, columns, values = matches(labels, query)
    queries, database = sides[0], sides[-1]
    ok = bool(queries.cameras.ok[row])
    here = queries.position[row]
    drawn = database.placed[columns]
    matched, psi = columns[drawn], values[drawn]
    _, own = queries.sectors(np.array([row]))
    best = matched[: len(matched) if sectors else 0 if sectors is False else BEST]
    with_view, rings = database.sectors(best[::-1])
    if np.isfinite(here).all():
        around = here + _around(queries, database) * np.array([[-1.0, -1.0], [1.0, 1.0]])
        seen = [here[None], own.reshape(-1, 2), database.position[matched], rings.reshape(-1, 2)]
        low, high = extent_of(seen if len(matched) else [around])
        length = pointer_length_m(float((high - low).max()))
        pointers = database.pointers(matched, length), queries.pointers(np.array([row]), length)
        low, high = padded(*extent_of([np.stack([low, high]), *(ends.reshape(-1, 2) for ends in pointers)]))
    else:
        low, high = padded(*extent_of([database.position[database.placed]]))
        pointers = database.pointers(matched, pointer_length_m(float((high - low).max()))), np.empty((0, 2, 2))
    with np.errstate(invalid="ignore"):
        inside = ((database.position >= low) & (database.position <= high)).all(axis=1)
    every = np.arange(len(database.cameras))
    if c.self_pairs:
        inside &= every != row
    unknown = inside & ~(database.cameras.ok & ok)
    others = inside & ~unknown & ~np.isin(every, matched)
    normalised = matplotlib("matplotlib.colors").Normalize(0.0, 1.0)
    shades = matplotlib("matplotlib").colormaps[colours.psi]
    worst_first = matched[::-1]
    of_column = np.zeros(len(database.cameras), np.float32)
    of_column[matched] = psi
    faces = shades(normalised(of_column[with_view]))
    polygons(axes, rings, facecolors=_faded(faces, 0.06), edgecolors=_faded(faces, 0.8), linewidths=0.7)
    lines(axes, pointers[0], colours.faint)
    for at, text, mark in (
        (others, f"ψ ≤ {c.min_value:g}", {"s": 7, "color": colours.faint}),
        (unknown, "unknown ψ", {"s": 20, "marker": "x", "color": colours.fault, "linewidths": 0.9}),
    ):
        if at.any():
            dots(axes, database.position[at], zorder=3, label=f"{text}: {np.count_nonzero(at):,} on this map", **mark)
    shown = axes.scatter(
        *database.position[worst_first].T,
        s=26,
        c=psi[::-1],
        cmap=shades,
        norm=normalised,
        edgecolors=colours.ink,
        linewidths=0.4,
        zorder=4,
        rasterized=len(matched) > _PATHS_UPTO,
    )
    colour_bar(axes, shown, f"ψ with the query ({c.measure})")
    if np.isfinite(here).all():
        polygons(axes, own, facecolors="none", edgecolors=colours.ink, linewidths=1.4, zorder=5)
        lines(axes, pointers[1], colours.ink, zorder=5)
        star = {"marker": "*", "s": 130, "color": colours.ink, "edgecolors": colours.background, "linewidths": 0.6}
        axes.scatter(*here[:, None], zorder=6, label="query", **star)
    for rank, column in enumerate(matched[:ranked], 1):
        outlined = matplotlib("matplotlib.patheffects").withStroke(linewidth=2.0, foreground=colours.background)
        axes.annotate(
            str(rank),
            database.position[column],
            (4, 4),
            textcoords="offset points",
            fontsize="small",
            fontweight="bold",
            path_effects=[outlined],
            zorder=7,
        )
    set_map(axes, low, high, axis_names(ground, c.crs))
    legend(axes)
    status = "" if ok else f", status {Status(int(queries.cameras.status[row])).label}: all ψ are unknown"
    lost = np.count_nonzero(~drawn)
    without = f", {lost:,} of them without a position" if lost else ""
    count = f"{len(columns):,} {'match' if len(columns) == 1 else 'matches'}{without}" if ok else ""
    axes.set_title(verbatim(f"{shortened(query)}{status}{': ' if count else ''}{count}"), fontsize="small")
    return axes


def draw_views(
    axes: Any, side: Side, rows: npt.NDArray[Any], colour: str, extent_m: FloatArray, *, strength: float = 1.0
) -> FloatArray:
    """Draw the fields of view of some cameras, or short lines where only headings are known; (k, 2) points reached."""
    to_rgba = matplotlib("matplotlib.colors").to_rgba
    _, rings = side.sectors(rows)
    edge, face = to_rgba(colour, 0.45 * strength), to_rgba(colour, 0.10 * strength)
    polygons(axes, rings, facecolors=[face], edgecolors=[edge], linewidths=0.5)
    pointers = side.pointers(rows, pointer_length_m(float(extent_m.max())))
    lines(axes, pointers, colour)
    return np.concatenate([rings.reshape(-1, 2), pointers.reshape(-1, 2)])


def extent_of(points: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """(2,) the least and the largest coordinates of points; of none, those of the origin."""
    joined = np.concatenate(points)
    if not len(joined):
        return np.zeros(2), np.zeros(2)
    return joined.min(axis=0), joined.max(axis=0)


def padded(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """An extent with a margin, and of nonzero size even for a single point."""
    largest = float((high - low).max())
    half = np.maximum((high - low) / 2.0 + _MARGIN * largest, 0.25 * largest or _LEAST_M)
    middle = (low + high) / 2.0
    return middle - half, middle + half


def legend(axes: Any) -> None:
    """A legend above the axes; none if no mark has a label."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.06), ncols=2, borderaxespad=0.0, columnspacing=1.2, markerscale=1.3
        )


def _draw_statuses(axes: Any, name: str, side: Side, colour: str, colours: Colours) -> None:
    """The cameras of a side, those that are ok in a colour, all others by their status."""
    status, placed = side.cameras.status, side.placed
    ok = placed & side.cameras.ok
    dots(axes, side.position[ok], s=10, color=colour, label=f"{name}, ok: {np.count_nonzero(ok):,}")
    for code in Status:
        if code is Status.OK or not (status == code).any():
            continue
        rows = placed & (status == code)
        text = f"{name}, {code.label}: {np.count_nonzero(status == code):,}"
        hidden = np.count_nonzero((status == code) & ~placed)
        text += f", {hidden:,} without a position" if hidden and code is not Status.NO_POSITION else ""
        mark = {"marker": _MARKS[code - 1], "color": getattr(colours, _FAULTS[code - 1])}
        dots(axes, side.position[rows], s=24, linewidths=0.9, zorder=3, label=text, **mark)


def _around(queries: Side, database: Side) -> float:
    known = np.concatenate([side.radius_m[np.isfinite(side.radius_m)] for side in (queries, database)])
    if len(known):
        return float(known.max())
    placed = database.position[database.placed]
    return min(_AROUND_M, float(np.ptp(placed, axis=0).max(initial=0.0)) or _LEAST_M) if len(placed) else _LEAST_M


def dots(axes: Any, at: FloatArray, **style: Any) -> None:
    """Points (n, 2); many of them as a bitmap."""
    axes.scatter(at[:, 0], at[:, 1], rasterized=len(at) > _PATHS_UPTO, **{"linewidths": 0.0, **style})


def polygons(axes: Any, rings: FloatArray, **style: Any) -> None:
    """Closed rings (n, k, 2), which do not move the limits of the axes; many of them as a bitmap."""
    if len(rings):
        collection = matplotlib("matplotlib.collections").PolyCollection(rings, **style)
        collection.set_rasterized(len(rings) > _PATHS_UPTO)
        axes.add_collection(collection, autolim=False)


def lines(axes: Any, ends: FloatArray, colour: str, zorder: float = 2.0) -> None:
    """Straight lines (n, 2, 2), as `polygons`."""
    if len(ends):
        collection = matplotlib("matplotlib.collections").LineCollection(
            ends, colors=colour, linewidths=0.9, zorder=zorder
        )
        collection.set_rasterized(len(ends) > _PATHS_UPTO)
        axes.add_collection(collection, autolim=False)


def _faded(colours: Any, opacity: float) -> Any:
    faded = np.array(colours, np.float64).reshape(-1, 4)
    faded[:, 3] = opacity
    return faded
