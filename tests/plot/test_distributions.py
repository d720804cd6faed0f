"""Histogram and plane: bars and cells are counted again here, from the dense matrix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from relabel import plot
from relabel.cameras import Cameras
from tests.similarities import similarity
from tests.view.labels import labels_of, small_city

Axes = Callable[..., Any]


def test_histogram(axes: Axes) -> None:
    """Bars have the number of values between their edges, and the legend that of each band."""
    psi = similarity(70, 90, seed=2)
    ax, c, values = plot.histogram(psi, ax=axes()), psi.collection, psi.matrix.data
    bars = sorted((bar.get_x(), bar.get_height()) for bars in ax.containers for bar in bars)
    edges = np.linspace(0.0, 1.0, 51).astype(np.float32)
    assert [height for _, height in bars] == np.histogram(values, edges)[0].tolist()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    known = int(c.query.ok.sum()) * int(c.database.ok.sum())
    counts = [int((values < 0.5).sum()), int((values >= 0.5).sum()), known - len(values)]
    assert [text.split(": ")[1] for text in texts] == [f"{count:,} pairs" for count in counts]
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("self_pairs", [False, True])
def test_plane(axes: Axes, self_pairs: bool) -> None:
    """Cells have the mean of the values whose distance and turn lie in them; the box is 25 m by 40°."""
    psi = similarity(60, 50, seed=4, self_pairs=self_pairs)
    ax, c = plot.plane(psi, ax=axes()), psi.collection
    [mesh] = [each for each in ax.collections if isinstance(each, QuadMesh)]
    cells = mesh.get_array()
    rows, columns = psi.matrix.nonzero()
    apart = np.hypot(*(c.query.position[rows] - c.database.position[columns]).T)
    turn = np.degrees(np.arccos(np.cos(np.radians(c.query.heading_deg[rows] - c.database.heading_deg[columns]))))
    values = np.asarray(psi.matrix[rows, columns]).ravel()
    drawn = 0
    for (j, i), mean in np.ndenumerate(np.ma.filled(cells, np.nan)):
        inside = (apart >= 2.5 * i) & (apart < 2.5 * (i + 1))
        inside &= np.minimum(np.floor(turn / 10.0 + 1e-9), 17) == j
        assert inside.any() != np.isnan(mean)
        if inside.any():
            assert mean == pytest.approx(values[inside].mean())
        drawn += int(inside.sum())
    assert ax.get_title(loc="left").splitlines()[0] == f"{drawn:,} pairs"
    box = [patch.get_bbox().extents.tolist() for patch in ax.patches]
    assert box == [[0.0, 0.0, 25.0, 40.0]]


def test_plane_of_a_room(axes: Axes) -> None:
    """Of poses in space distances are straight, angles those of optical axes, and cells as fine as the room."""
    poses = np.tile(np.eye(4), (2, 1, 1))
    poses[1, :3, 3] = [0.3, 0.4, 1.2]
    poses[1, :3, :3] = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]
    room = labels_of(Cameras(["a", "b"], poses[:, :3, 3], pose=poses), None, [[0.0, 0.6], [0.6, 0.0]])
    ax = plot.plane(room, ax=axes())
    [mesh] = [each for each in ax.collections if isinstance(each, QuadMesh)]
    [(j, i)] = np.argwhere(~np.ma.getmaskarray(mesh.get_array()))
    corners = np.asarray(mesh.get_coordinates())[j : j + 2, i : i + 2]
    assert (corners[0, 0] <= [1.3, 90.0]).all()
    assert (corners[1, 1] > [1.3, 90.0]).all()
    assert corners[1, 1, 0] - corners[0, 0, 0] == pytest.approx(0.05)
    assert list(ax.patches) == []
    assert ax.get_ylabel() == "angle between optical axes (°)"


@pytest.mark.filterwarnings("ignore:Glyph")  # of a key
@pytest.mark.parametrize("draw", [plot.histogram, plot.plane])
def test_extremes(axes: Axes, tmp_path: Path, draw: Callable[..., Any]) -> None:
    """One camera, no camera, no pair, nothing known, no place: all are drawn."""
    for stored in small_city(tmp_path / "small.h5"):
        draw(stored, ax=axes()).figure.draw_without_rendering()
