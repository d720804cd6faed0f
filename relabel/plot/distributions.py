"""How ψ is spread: a histogram with its bands, and the mean ψ by distance and difference of heading."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from relabel.figures import axes_or_new, colour_bar, colours_of, matplotlib, verbatim
from relabel.report.distributions import BINS, distributions
from relabel.similarity import SimilaritySource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINARY_M, BINARY_DEG = 25.0, 40.0
"""Distance and heading difference up to which binary labels call two images the same place."""


def histogram(labels: SimilaritySource, *, ax: Axes | None = None) -> Axes:
    """Stored pairs by ψ in 50 bins on a logarithmic axis, pairs of ψ ≥ 0.5 in another colour.

    The legend has the number of pairs of each band: ψ ≥ 0.5, smaller stored values, and pairs of cameras that are ok
    and absent, which are not drawn. Unknown pairs are not counted.

    Parameters
    ----------
    labels:
        a collection with its pairs.
    ax:
        where to draw; None makes a new figure.
    """
    axes = axes_or_new(ax)
    figures, colours = distributions(labels), colours_of(axes)
    counts, left = np.array(figures["histogram"]), np.arange(BINS) / BINS
    high, low, absent = figures["bands"]
    for mask, colour, name, band in (
        (left < 0.5, colours.faint, "0 < ψ < 0.5", low),
        (left >= 0.5, colours.query, high["name"], high),
    ):
        label = f"{name}: {_pairs(band['pairs'])}"
        axes.bar(left[mask], counts[mask], 0.9 / BINS, align="edge", color=colour, label=label)
    axes.set(xlim=(0.0, 1.0), ylim=(0.8, 2.0 * max(5, int(counts.max()))), ylabel="stored pairs")
    axes.set_yscale("log")
    axes.set_xticks(np.linspace(0.0, 1.0, 11))
    axes.set_xlabel(verbatim(f"ψ ({labels.collection.measure})"))
    axes.yaxis.set_major_formatter("{x:,.0f}")
    blank = matplotlib("matplotlib.patches").Patch(facecolor="none")
    blank.set_label(f"{absent['name']}, not drawn: {_pairs(absent['pairs'])}")
    handles = [*axes.get_legend_handles_labels()[0], blank]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 1.0), borderaxespad=0.2, handlelength=1.0)
    return axes


def plane(labels: SimilaritySource, *, ax: Axes | None = None) -> Axes:
    """Mean ψ of stored pairs by distance and heading difference, with the box that binary labels draw.

    Cells are 2.5 m by 10°, up to 120 m; in rooms, where the angle is that between optical axes, distances are finer.
    The box, 25 m and 40°, is what binary labels call the same place; it is left out where no pair is that far apart.
    The title counts the pairs, with those that are farther apart or lack a position or a heading.

    Parameters
    ----------
    labels:
        a collection with its pairs.
    ax:
        where to draw; None makes a new figure.
    """
    axes = axes_or_new(ax)
    figures, colours = distributions(labels), colours_of(axes)
    cells = figures["plane"]
    counts, mean = np.array(cells["pairs"]), np.array(cells["mean"])
    sizes = zip(counts.shape, (cells["distance_m"], cells["heading_deg"]), strict=True)
    edges = [np.arange(n + 1) * step for n, step in sizes]
    mesh = axes.pcolormesh(
        *edges, np.ma.masked_where(counts == 0, mean).T, cmap=colours.psi, vmin=0.0, vmax=1.0, rasterized=True
    )
    if edges[0][-1] >= BINARY_M:
        rectangle = matplotlib("matplotlib.patches").Rectangle
        box = rectangle((0.0, 0.0), BINARY_M, BINARY_DEG, fill=False, edgecolor=colours.fault, linewidth=1.6)
        box.set_label(f"binary labels: {BINARY_M:g} m, {BINARY_DEG:g}°")
        box.set_clip_on(False)
        axes.add_patch(box)
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    angle = "angle between optical axes (°)" if cells["in_space"] else "difference of heading (°)"
    axes.set(xlim=(0.0, edges[0][-1]), ylim=(0.0, 180.0), xlabel="distance (m)", ylabel=angle)
    axes.set_yticks(np.arange(0, 181, 30))
    left_out = ((cells["beyond"], f"beyond {edges[0][-1]:g} m"), (cells["without"], "without position or heading"))
    notes = [_pairs(int(counts.sum())), *(f"{n:,} {where}" for n, where in left_out if n)]
    axes.set_title("\n".join(notes), loc="left", fontsize="small")
    colour_bar(axes, mesh, f"mean ψ of stored pairs ({labels.collection.measure})")
    return axes


def _pairs(count: int) -> str:
    return f"{count:,} pair" if count == 1 else f"{count:,} pairs"
