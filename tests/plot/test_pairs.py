"""Two cameras: the area that both see, by the ψ of the kernels, and images as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from matplotlib.collections import PolyCollection
from PIL import Image

import relabel
from relabel import plot
from relabel.cameras import Status
from relabel.errors import InputError, NotFoundError
from tests.view.labels import row_of_cameras

Axes = Callable[..., Any]


def city(n: int = 6) -> Any:
    """Random cameras with room between them, each with a field of view of its own, and their ψ by the kernels."""
    rng = np.random.default_rng(3)
    own = replace(
        row_of_cameras(n),
        heading_deg=rng.uniform(0.0, 360.0, n),
        fov_deg=rng.uniform(30.0, 330.0, n),
        radius_m=rng.uniform(20.0, 60.0, n),
    )
    return relabel.fov.overlap(own, own, fov_deg=90, radius_m=50)


def test_shared_area(axes: Axes) -> None:
    """The area that is drawn as shared is I, which ψ and the two extents give; the legend says it."""
    psi = city()
    c, dense = psi.collection, psi.matrix.toarray()
    drawn = 0
    for i, j in np.argwhere(dense > 0.01):
        ax = plot.pair(psi, str(c.query.key[i]), str(c.database.key[j]), ax=axes())
        shared = [each for each in ax.collections if isinstance(each, PolyCollection)][2]
        area = sum(shapely.Polygon(path.vertices - path.vertices[0]).area for path in shared.get_paths())
        expected = dense[i, j] * (c.query_extent[i] + c.database_extent[j]) / (1 + dense[i, j])
        assert area == pytest.approx(expected, rel=0.01, abs=3.0)
        assert f"{area:,.0f} m²" in shared.get_label()
        assert f"ψ = {dense[i, j]:.3f} (iou)" in ax.get_title()
        drawn += 1
    assert drawn > 10


def test_a_camera_with_itself(axes: Axes) -> None:
    """Its ψ is 1, which no file stores."""
    psi = city()
    key = str(psi.collection.query.key[0])
    assert plot.pair(psi, key, key, ax=axes()).get_title().startswith("ψ = 1, of a camera with itself, 0.00 m apart")


def test_nothing_shared(axes: Axes) -> None:
    """A pair that is absent has at most min_value, one with a camera that is not ok is unknown and has no view."""
    apart = row_of_cameras(3, heading_deg=[270.0, 90.0, 90.0], status=[0, 0, Status.PANORAMA])
    psi = relabel.fov.overlap(apart, apart, fov_deg=90, radius_m=50)
    ax = plot.pair(psi, "k0", "k1", ax=axes())
    assert ax.get_title() == "ψ ≤ 1e-06 (iou), 10.0 m apart, turned by 180°"
    assert len(ax.collections) == 4
    with pytest.raises(InputError, match=r"field of view of k2 is unknown.*images="):
        plot.pair(psi, "k0", "k2", ax=axes())
    with pytest.raises(NotFoundError, match="no database camera 'k9'"):
        plot.pair(psi, "k0", "k9", ax=axes())


def test_images(axes: Axes, tmp_path: Path) -> None:
    """The two images are drawn as they are, side by side without distortion, and a missing one is named."""
    psi = city()
    pixels = {"k0": (30, 40), "k1": (40, 30)}
    for key, (height, width) in pixels.items():
        Image.fromarray(np.full((height, width, 3), len(key) * 40, np.uint8)).save(tmp_path / f"{key}.png")
    ax = plot.pair(psi, "k0", "k1", images=tmp_path, ax=axes())
    for drawn, (height, width) in zip(ax.images, pixels.values(), strict=True):
        assert drawn.get_array().shape == (height, width, 3)
        assert (np.asarray(drawn.get_array()) == 80).all()
        left, right, bottom, top = drawn.get_extent()
        assert (right - left) / (top - bottom) == pytest.approx(width / height)
    assert [text.get_text() for text in ax.texts] == ["query k0", "database k1"]
    with pytest.raises(InputError, match="holds no image"):
        plot.pair(psi, "k0", "k2", images=tmp_path, ax=axes())
