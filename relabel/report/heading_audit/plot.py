"""The figure of an audit: compass against travel, a rose of headings, and how far near cameras are turned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relabel.audit.headings.near_pairs import BIN_DEG, BINS
from relabel.audit.headings.types import Audit
from relabel.cameras import FloatArray
from relabel.report.figures import BLUE, GREY, INK, figure

_ORANGE = "#e07b00"
_CELLS, _PETALS = 72, 36
_DIRECTIONS = {0: "N", 90: "E", 180: "S", 270: "W", 360: "N"}


def headings_figure(path: Path, audits: Sequence[Audit], *, overwrite: bool = False) -> None:
    """Draw all audits as one.

    The first panel has compass against direction of travel in cells of 5°, darker where there are more rows; it is left
    out where no direction of travel is known. The second has the share of rows in each 10° of compass by side; petals
    have an area in proportion. The third has near pairs by difference of heading, as the audit counts them.

    Parameters
    ----------
    path:
        .svg or .png file to write.
    audits:
        one or more.
    overwrite:
        whether a file that is there may be replaced.
    """
    sides = [side for audit in audits for side in audit.sides]
    travel = np.concatenate([side.travel_deg for side in sides])
    heading = np.concatenate([side.heading_deg for side in sides])
    both = np.isfinite(travel) & np.isfinite(heading)
    panels = 2 + int(both.any())
    with figure(path, size=(4.3 * panels, 4.4), overwrite=overwrite) as drawn:
        grid = drawn.add_gridspec(1, panels)
        if both.any():
            _compass(drawn, drawn.add_subplot(grid[0]), travel[both], heading[both])
        _rose(drawn.add_subplot(grid[panels - 2], projection="polar"), audits)
        _near(drawn.add_subplot(grid[panels - 1]), audits)
        names = ", ".join(audit.name for audit in audits[:4]) + (", …" if len(audits) > 4 else "")
        drawn.suptitle(f"Headings of {names}", fontsize=12)


def _compass(drawn: Any, axes: Any, travel: FloatArray, heading: FloatArray) -> None:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm  # noqa: PLC0415

    edges = np.linspace(0.0, 360.0, _CELLS + 1)
    cells, _, _ = np.histogram2d(heading, travel, bins=(edges, edges))
    shades = LinearSegmentedColormap.from_list("ink", ["#d6e4fb", BLUE, "#0b1f4a"])
    norm = LogNorm(vmin=1, vmax=max(2.0, cells.max()))
    mesh = axes.pcolormesh(edges, edges, np.ma.masked_less(cells, 1), cmap=shades, norm=norm, rasterized=True)
    axes.plot([0, 360], [0, 360], color=INK, linewidth=0.7, label="forward")
    for shift in (-180, 180):
        label = {"label": "backward"} if shift > 0 else {}
        axes.plot([0, 360], [shift, 360 + shift], color=INK, linewidth=0.7, linestyle=(0, (4, 3)), **label)
    axes.set(xlabel="direction of travel", ylabel="compass", xlim=(0, 360), ylim=(0, 360), aspect="equal")
    for ticks in (axes.set_xticks, axes.set_yticks):
        ticks(list(_DIRECTIONS), list(_DIRECTIONS.values()))
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    bar = drawn.colorbar(mesh, ax=axes, shrink=0.75, pad=0.03)
    bar.set_label("cameras", fontsize=9)
    bar.outline.set_visible(False)


def _rose(axes: Any, audits: Sequence[Audit]) -> None:
    edges = np.linspace(0.0, 360.0, _PETALS + 1)
    names = [name for name in ("query", "database", "both") if any(s.name == name for a in audits for s in a.sides)]
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    for name, colour in zip(names, (BLUE, _ORANGE), strict=False):
        heading = np.concatenate([s.heading_deg for a in audits for s in a.sides if s.name == name])
        heading = heading[np.isfinite(heading)]
        # Headings on a grid stand in the middle of a petal, not on the edge of two.
        counts, _ = np.histogram((heading + 180.0 / _PETALS) % 360.0, bins=edges)
        reach = np.sqrt(counts / max(1, counts.sum()))
        at = np.radians(edges - 180.0 / _PETALS)
        label = "cameras" if name == "both" else name
        axes.stairs(reach, at, fill=True, color=colour, alpha=0.25, linewidth=0)
        axes.stairs(reach, at, color=colour, linewidth=1.2, label=f"{label} ({len(heading):,})")
    axes.set_xticks(np.radians([0, 90, 180, 270]), ["N", "E", "S", "W"])
    axes.set_yticks([])
    axes.grid(color=GREY, linewidth=0.4, alpha=0.6)
    axes.spines["polar"].set_color(GREY)
    axes.set_title("compass", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2)


def _near(axes: Any, audits: Sequence[Audit]) -> None:
    counts = np.sum([audit.near.histogram for audit in audits], axis=0)
    total = int(counts.sum())
    share = 100.0 * counts / max(1, total)
    axes.bar(np.arange(BINS) * BIN_DEG, share, width=0.92 * BIN_DEG, align="edge", color=BLUE)
    axes.set(xlim=(0, 180), xlabel="heading difference", ylabel=f"pairs within {audits[0].near.radius_m:g} m, %")
    axes.set_xticks(np.arange(0, 181, 30), [f"{d}°" for d in range(0, 181, 30)])
    axes.set_title(f"{total:,} query–database pairs" if len(audits[0].sides) > 1 else f"{total:,} pairs", fontsize=10)
