"""Figure of a heading audit: compass against travel, a rose, nearby cameras, and a map of the faults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from relabel.audit.headings.near_pairs import BIN_DEG, BINS
from relabel.audit.headings.types import DEFAULT_REASONS, Audit, SequenceAudit
from relabel.cameras import FloatArray
from relabel.figures import Colours, colours_of, figure, matplotlib, shortened, verbatim
from relabel.plot.maps import dots, extent_of, legend, lines, padded
from relabel.plot.sides import set_map

_MAPS = 4  # of collections
_SEQUENCES = 10  # of a collection, by name
_POINTER = 0.025  # of the extent of a map
_CELLS, _PETALS = 72, 36
_DIRECTIONS = {0: "N", 90: "E", 180: "S", 270: "W", 360: "N"}


def headings_figure(
    path: Path,
    audits: Sequence[Audit],
    reasons: Sequence[str] = DEFAULT_REASONS,
    *,
    overwrite: bool = False,
    dark: bool = False,
) -> None:
    """Draw several audits as one figure.

    The first panel has compass against direction of travel in cells of 5°, darker where there are more rows; it is left
    out where no direction of travel is known. The second has the share of rows in each 10° of compass by side; petals
    have an area in proportion. The third counts nearby pairs by heading difference, as the audit does.

    Below are maps of at most four collections, those with the most faults first: faulty cameras by reason,
    with a line along their heading, among all others. Beside it are the sequences with the most of them.

    Parameters
    ----------
    path:
        .svg, .pdf or .png file to write.
    audits:
        one or more.
    reasons:
        faults to show; a camera with several is drawn by the first of them.
    overwrite:
        whether an existing file may be replaced.
    dark:
        light on a dark background.
    """
    sides = [side for audit in audits for side in audit.sides]
    travel = np.concatenate([side.travel_deg for side in sides])
    heading = np.concatenate([side.heading_deg for side in sides])
    both = np.isfinite(travel) & np.isfinite(heading)
    panels = 2 + int(both.any())
    worst = sorted(audits, key=lambda audit: -_at_fault(audit, reasons))[:_MAPS]
    size = (4.3 * panels, 4.6 + 4.8 * len(worst))
    with figure(path, size=size, overwrite=overwrite, dark=dark) as drawn:
        grid = drawn.add_gridspec(1 + len(worst), 1)
        above = grid[0].subgridspec(1, panels)
        if both.any():
            _compass(drawn, drawn.add_subplot(above[0]), travel[both], heading[both])
        _rose(drawn.add_subplot(above[panels - 2], projection="polar"), audits)
        _near(drawn.add_subplot(above[panels - 1]), audits)
        for row, audit in enumerate(worst, 1):
            left, right = grid[row].subgridspec(1, 2, width_ratios=(3, 2))
            _map(drawn.add_subplot(left), audit, reasons)
            _sequences(drawn.add_subplot(right), audit, reasons)
        names = ", ".join(shortened(audit.name, 24) for audit in audits[:4]) + (", …" if len(audits) > 4 else "")
        left_out = f"; maps of the {len(worst)} with the most faults" if len(audits) > len(worst) else ""
        drawn.suptitle(verbatim(f"Headings of {names}{left_out}"), fontsize=12)


def _at_fault(audit: Audit, reasons: Sequence[str]) -> int:
    return sum(int(side.faulty(reasons).sum()) for side in audit.sides)


def _fault_colours(colours: Colours, reasons: Sequence[str]) -> dict[str, str]:
    ranked = (colours.fault, colours.query, colours.other, colours.database, colours.shared)
    return dict(zip(reasons, ranked, strict=False))


def _map(axes: Any, audit: Audit, reasons: Sequence[str]) -> None:
    colours = colours_of(axes)
    position, heading = (np.concatenate([getattr(s, n) for s in audit.sides]) for n in ("position", "heading_deg"))
    placed = np.isfinite(position).all(axis=1)
    low, high = extent_of([position[placed]])
    left = placed.copy()
    for reason, colour in _fault_colours(colours, reasons).items():
        faulty = left & np.concatenate([side.faults[reason] for side in audit.sides])
        left &= ~faulty
        angle = np.radians(90.0 - heading[faulty])
        ends = position[faulty] + _POINTER * float((high - low).max()) * np.stack(
            [np.cos(angle), np.sin(angle)], axis=1
        )
        lines(axes, np.stack([position[faulty], ends], axis=1), colour, zorder=3)
        label = f"{reason.replace('_', ' ')}: {np.count_nonzero(faulty):,}"
        if faulty.any():
            dots(axes, position[faulty], s=9, color=colour, zorder=4, label=label)
    dots(axes, position[left], s=3, color=colours.faint, zorder=1, label=f"no such fault: {np.count_nonzero(left):,}")
    set_map(axes, *padded(low, high), ("east", "north"))
    legend(axes)
    axes.set_title(verbatim(shortened(audit.name)), fontsize=10, loc="right")


def _sequences(axes: Any, audit: Audit, reasons: Sequence[str]) -> None:
    """The sequences with the most cameras at fault; without sequences, only that there are none."""

    def of(sequence: SequenceAudit) -> int:
        return sum(sequence.faults[reason] for reason in reasons)

    every = [sequence for side in audit.sides for sequence in side.sequences]
    bad = sorted((sequence for sequence in every if of(sequence)), key=of, reverse=True)
    if not bad:
        axes.set_axis_off()
        text = "no sequence has a fault" if every else "no sequences are known"
        axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)
        return
    shown = bad[:_SEQUENCES]
    at, start = np.arange(len(shown)), np.zeros(len(shown))
    for reason, colour in _fault_colours(colours_of(axes), reasons).items():
        counts = np.array([sequence.faults[reason] for sequence in shown])
        axes.barh(at, counts, left=start, color=colour, height=0.7)
        start += counts
    rows = np.array([sequence.rows for sequence in shown])
    for i, (end, total) in enumerate(zip(start, rows, strict=True)):
        axes.text(end, i, f" of {total:,}", va="center", fontsize=8)
    axes.set_yticks(at, [verbatim(shortened(sequence.name, 24)) for sequence in shown], fontsize=8)
    axes.set_ylim(_SEQUENCES - 0.5, -0.5)
    axes.margins(x=0.18)
    axes.xaxis.set_major_locator(matplotlib("matplotlib.ticker").MaxNLocator(4, integer=True))
    axes.set_xlabel("faults of cameras")
    axes.set_title(f"{len(bad):,} of {len(every):,} sequences have faults", fontsize=10)


def _compass(drawn: Any, axes: Any, travel: FloatArray, heading: FloatArray) -> None:
    colours = colours_of(axes)
    edges = np.linspace(0.0, 360.0, _CELLS + 1)
    cells, _, _ = np.histogram2d(heading, travel, bins=(edges, edges))
    norm = matplotlib("matplotlib.colors").LogNorm(vmin=1, vmax=max(2.0, cells.max()))
    mesh = axes.pcolormesh(edges, edges, np.ma.masked_less(cells, 1), cmap=colours.psi, norm=norm, rasterized=True)
    axes.plot([0, 360], [0, 360], color=colours.ink, linewidth=0.7, label="forward")
    for shift in (-180, 180):
        label = {"label": "backward"} if shift > 0 else {}
        axes.plot([0, 360], [shift, 360 + shift], color=colours.ink, linewidth=0.7, linestyle=(0, (4, 3)), **label)
    axes.set(xlabel="direction of travel", ylabel="compass", xlim=(0, 360), ylim=(0, 360), aspect="equal")
    for ticks in (axes.set_xticks, axes.set_yticks):
        ticks(list(_DIRECTIONS), list(_DIRECTIONS.values()))
    axes.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    bar = drawn.colorbar(mesh, ax=axes, shrink=0.75, pad=0.03)
    bar.set_label("cameras", fontsize=9)
    bar.outline.set_visible(False)


def _rose(axes: Any, audits: Sequence[Audit]) -> None:
    colours = colours_of(axes)
    edges = np.linspace(0.0, 360.0, _PETALS + 1)
    names = [name for name in ("query", "database", "both") if any(s.name == name for a in audits for s in a.sides)]
    axes.set_theta_zero_location("N")
    axes.set_theta_direction(-1)
    for name, colour in zip(names, (colours.query, colours.database), strict=False):
        heading = np.concatenate([s.heading_deg for a in audits for s in a.sides if s.name == name])
        heading = heading[np.isfinite(heading)]
        # Headings on a grid fall in the middle of a petal, not on the edge between two.
        counts, _ = np.histogram((heading + 180.0 / _PETALS) % 360.0, bins=edges)
        reach = np.sqrt(counts / max(1, counts.sum()))
        at = np.radians(edges - 180.0 / _PETALS)
        label = "cameras" if name == "both" else name
        axes.stairs(reach, at, fill=True, color=colour, alpha=0.25, linewidth=0)
        axes.stairs(reach, at, color=colour, linewidth=1.2, label=f"{label} ({len(heading):,})")
    axes.set_xticks(np.radians([0, 90, 180, 270]), ["N", "E", "S", "W"])
    axes.set_yticks([])
    axes.grid(color=colours.faint, linewidth=0.4, alpha=0.6)
    axes.spines["polar"].set_color(colours.faint)
    axes.set_title("compass", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2)


def _near(axes: Any, audits: Sequence[Audit]) -> None:
    counts = np.sum([audit.near.histogram for audit in audits], axis=0)
    total = int(counts.sum())
    share = 100.0 * counts / max(1, total)
    axes.bar(np.arange(BINS) * BIN_DEG, share, width=0.92 * BIN_DEG, align="edge", color=colours_of(axes).query)
    axes.set(xlim=(0, 180), xlabel="heading difference", ylabel=f"pairs within {audits[0].near.radius_m:g} m, %")
    axes.set_xticks(np.arange(0, 181, 30), [f"{d}°" for d in range(0, 181, 30)])
    axes.set_title(f"{total:,} query–database pairs" if len(audits[0].sides) > 1 else f"{total:,} pairs", fontsize=10)
