"""Maps of cameras: what is drawn is where the labels say, by values worked out here."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyproj
import pytest
import shapely
from matplotlib.collections import LineCollection, PathCollection, PolyCollection

import relabel
from relabel import LabelFile, plot
from relabel.cameras import Cameras, Status
from relabel.errors import NotFoundError, OptionError
from tests.similarities import cameras, similarity
from tests.view.labels import labels_of, row_of_cameras, small_city

Axes = Callable[..., Any]


def points(ax: Any, label: str) -> np.ndarray[Any, Any]:
    """The points that are drawn under a label of the legend, which has a count behind it."""
    [found] = [c for c in ax.collections if isinstance(c, PathCollection) and str(c.get_label()).startswith(label)]
    return np.asarray(found.get_offsets())


def rings(ax: Any) -> list[np.ndarray[Any, Any]]:
    """All fields of view that are drawn."""
    return [path.vertices for c in ax.collections if isinstance(c, PolyCollection) for path in c.get_paths()]


def named(ax: Any) -> list[str]:
    """The texts of the legend."""
    return [text.get_text() for text in ax.get_legend().get_texts()]


def sorted_rows(array: Any) -> Any:
    return np.array(sorted(np.asarray(array).tolist()))


class TestByStatus:
    """relabel.plot.map without a query"""

    def test_places(self, axes: Axes) -> None:
        """Every camera with a place is a point of its status, and the legend counts all."""
        psi = similarity(60, 80, seed=3)
        ax = plot.map(psi, ax=axes())
        for name, side in (("queries", psi.collection.query), ("database", psi.collection.database)):
            np.testing.assert_array_equal(points(ax, f"{name}, ok"), side.position[side.ok])
            for status, count in side.status_counts().items():
                [text] = [text for text in named(ax) if text.startswith(f"{name}, {status}:")]
                assert text.split(":")[1].split(",")[0] == f" {count}"
            hidden = (side.status == Status.PANORAMA) & ~np.isfinite(side.position[:, 0])
            assert (f"{hidden.sum()} without a position" in "".join(named(ax))) == hidden.any() or not hidden.any()

    def test_fields_of_view(self, axes: Axes) -> None:
        """A sector is where the heading says: its area, and its corners by sine and cosine of the compass."""
        heading, fov, radius = np.array([0.0, 90.0, 200.0]), np.array([90.0, 40.0, 300.0]), np.array([50.0, 20.0, 30.0])
        own = row_of_cameras(3, heading_deg=heading, fov_deg=fov, radius_m=radius)
        drawn = rings(plot.map(own, ax=axes()))
        assert len(drawn) == 3
        for ring, camera in zip(drawn, range(3), strict=True):
            assert shapely.Polygon(ring - ring[0]).area == pytest.approx(
                np.radians(fov[camera]) / 2 * radius[camera] ** 2, rel=2e-3
            )
            corner = np.radians(heading[camera] + fov[camera] / 2)
            expected = own.position[camera] + radius[camera] * np.array([np.sin(corner), np.cos(corner)])
            assert np.linalg.norm(ring - expected, axis=1).min() < 1e-6

    def test_no_more_than_can_be_seen(self, axes: Axes) -> None:
        """Fields of view of many cameras are drawn when asked for; then they are a bitmap."""
        many = row_of_cameras(2_100, radius_m=np.full(2_100, 50.0), fov_deg=np.full(2_100, 90.0))
        assert rings(plot.map(many, ax=axes())) == []
        ax = plot.map(many, sectors=True, ax=axes())
        assert len(rings(ax)) == 2_100
        assert all(c.get_rasterized() for c in ax.collections)

    def test_a_city(self, axes: Axes) -> None:
        """100,000 cameras make a small file, in which axes and texts are still vectors."""
        city = cameras(100_000, np.random.default_rng(0), spread_m=5_000.0)
        ax = plot.map(city, ax=axes())
        file = io.BytesIO()
        ax.figure.savefig(file, format="svg")
        assert file.tell() < 3_000_000
        assert 1 <= file.getvalue().count(b"<image") <= 4

    def test_from_true_north(self, axes: Axes) -> None:
        """Headings from true north lead on the map where geodesics do, also far from the central meridian."""
        crs, lon, lat = "EPSG:32636", np.array([36.4, 30.2]), np.array([63.0, 63.0])
        project = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        at = np.column_stack(project.transform(lon, lat))
        there = Cameras(["a", "b"], at, [70.0, 70.0], crs=crs, extra={"lon_deg": lon, "lat_deg": lat})
        labels = labels_of(there, params={"fov_deg": 60.0, "radius_m": 50.0, "frame": "geodesic"})
        drawn = rings(plot.map(labels, ax=axes()))
        for azimuth in (40.0, 100.0):  # the edges of the field of view
            ends = pyproj.Geod(ellps="WGS84").fwd(lon, lat, [azimuth] * 2, [50.0] * 2)
            for ring, place in zip(drawn, np.column_stack(project.transform(*ends[:2])), strict=True):
                assert np.linalg.norm(ring - place, axis=1).min() < 0.05

    def test_on_the_earth_in_no_frame(self, axes: Axes) -> None:
        """Labels of another writer may have a local frame, on which north is north."""
        extra = {"lon_deg": np.array([36.4, 30.2]), "lat_deg": np.array([63.0, 63.0])}
        there = Cameras(["a", "b"], np.zeros((2, 2)), [90.0, 90.0], extra=extra)
        drawn = rings(
            plot.map(labels_of(there, params={"fov_deg": 60.0, "radius_m": 50.0, "frame": "geodesic"}), ax=axes())
        )
        for ring in drawn:
            assert ring.max(axis=0) == pytest.approx([50.0, 25.0], abs=0.05)

    def test_each_status_has_its_colour(self, axes: Axes) -> None:
        """Of those that labels of fields of view can have and a map can show."""
        status = np.array([Status.OK, Status.PANORAMA, Status.NO_HEADING, Status.MASKED], np.uint8)
        ax = plot.map(row_of_cameras(4, status=status), ax=axes())
        colours = [tuple(c.get_facecolor()[0]) for c in ax.collections if isinstance(c, PathCollection)]
        assert len(colours) == len(set(colours)) == 4

    def test_a_long_key(self, axes: Axes) -> None:
        """The title stays on the figure: the key without its middle, on one line."""
        key = "folder/" * 40 + "a\nb.jpg"
        psi = labels_of(row_of_cameras(2, key=[key, "b"]), psi=[[0, 0.5], [0.5, 0]])
        title = plot.map(psi, key, ax=axes()).get_title()
        assert title.startswith("folder/folder/fol")
        assert title.endswith("older/folder/a b.jpg: 1 match")
        assert len(title) < 65

    def test_a_key_that_is_no_xml(self, axes: Axes) -> None:
        """Characters that XML forbids do not make a file that no program opens."""
        psi = labels_of(row_of_cameras(2, key=["a\x1b--b", "b"]), psi=[[0, 0.5], [0.5, 0]])
        ax, file = plot.map(psi, "a\x1b--b", ax=axes()), io.BytesIO()
        ax.figure.savefig(file, format="svg")
        ET.fromstring(file.getvalue())
        assert ax.get_title() == "a\ufffd--b: 1 match"

    def test_rooms_from_above(self, axes: Axes) -> None:
        """Cameras with poses are seen along the axis that they hold upright, with lines along their optical axes."""
        turn = np.radians([0.0, 40.0, 200.0])
        poses = np.tile(np.eye(4), (3, 1, 1))
        poses[:, 0, 2], poses[:, 2, 2], poses[:, 1, 1] = np.sin(turn), np.cos(turn), 1.0
        poses[:, 0, 0], poses[:, 2, 0] = np.cos(turn), -np.sin(turn)
        poses[:, :3, 3] = [[0.0, 5.0, 0.0], [1.0, 5.0, 2.0], [3.0, 5.1, 1.0]]
        room = Cameras(list("abc"), poses[:, :3, 3], pose=poses)
        ax = plot.map(labels_of(room, params={}), ax=axes())
        np.testing.assert_array_equal(points(ax, "cameras, ok"), poses[:, [0, 2], 3])
        [drawn] = [c for c in ax.collections if isinstance(c, LineCollection)]
        way = np.array([ends[1] - ends[0] for ends in drawn.get_segments()])
        np.testing.assert_allclose(way / np.linalg.norm(way, axis=1)[:, None], poses[:, [0, 2], 2], atol=1e-9)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("x (m)", "z (m)")


class TestOfAQuery:
    """relabel.plot.map with a query"""

    @pytest.mark.parametrize("self_pairs", [False, True])
    def test_matches(self, axes: Axes, tmp_path: Path, self_pairs: bool) -> None:
        """Matches have their ψ, and are drawn where they are; all other cameras in sight are known or unknown."""
        psi = similarity(40, 60, seed=5, self_pairs=self_pairs)
        c, dense = psi.collection, psi.matrix.toarray()
        row = int(np.argmax((dense > 0).sum(axis=1)))
        relabel.write(tmp_path / "a.h5", {"a": psi})
        stored = LabelFile(tmp_path / "a.h5")["a"]
        for labels in (psi, stored, stored.in_measure("iou")):
            ax = plot.map(labels, str(c.query.key[row]), ax=axes())
            [drawn] = [
                each for each in ax.collections if isinstance(each, PathCollection) and each.get_array() is not None
            ]
            matched = np.flatnonzero(dense[row])
            want = np.column_stack([c.database.position[matched], dense[row, matched]])
            got = np.column_stack([drawn.get_offsets(), drawn.get_array()])
            np.testing.assert_array_equal(sorted_rows(got), sorted_rows(want))
            (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
            x, y = c.database.position.T
            seen = (x >= left) & (x <= right) & (y >= low) & (y <= high)
            if self_pairs:
                seen[row] = False
            absent = seen & c.database.ok & (dense[row] == 0)
            np.testing.assert_array_equal(points(ax, "ψ ≤"), c.database.position[absent])
            np.testing.assert_array_equal(points(ax, "unknown"), c.database.position[seen & ~c.database.ok])

    def test_an_unknown_query(self, axes: Axes) -> None:
        """Of a query that is not ok no camera is a negative, and the title says why."""
        psi = similarity(30, 40, seed=1)
        side = psi.collection.query
        row = int(np.flatnonzero(~side.ok & np.isfinite(side.position[:, 0]))[0])
        ax = plot.map(psi, str(side.key[row]), ax=axes())
        assert "all ψ are unknown" in ax.get_title()
        assert not [text for text in named(ax) if text.startswith("ψ ≤")]

    def test_wrong(self, axes: Axes) -> None:
        """A query that is not there, or cameras alone, which have no ψ."""
        with pytest.raises(NotFoundError, match="no query 'nobody'; there are q0000, q0001"):
            plot.map(similarity(), "nobody", ax=axes())
        with pytest.raises(OptionError, match="cameras alone have no ψ"):
            plot.map(row_of_cameras(2), "k0", ax=axes())


@pytest.mark.filterwarnings("ignore:Glyph")  # of a key
def test_extremes(axes: Axes, tmp_path: Path) -> None:
    """One camera, no camera, no pair, nothing known, no place, keys that hold markup: all are drawn."""
    for stored in small_city(tmp_path / "small.h5"):
        plot.map(stored, ax=axes()).figure.draw_without_rendering()
        for key in stored.query.key.tolist():
            ax = plot.map(stored, key, ax=axes(dark=True))
            ax.figure.draw_without_rendering()
            assert np.ptp(ax.get_xlim()) > 1.0
    dollars = replace(row_of_cameras(2), key=["$a_b", "^c$"])
    ax = plot.map(labels_of(dollars), "$a_b", ax=axes())
    ax.figure.draw_without_rendering()
    assert ax.get_title() == r"\$a_b: 0 matches"


def test_coordinates_of_the_labels(axes: Axes) -> None:
    """Data are in the coordinates of the labels; ticks count from the number that the label names."""
    ax = plot.map(replace(row_of_cameras(3), crs="EPSG:32636"), ax=axes())
    ax.figure.draw_without_rendering()
    start = float(ax.get_xlabel().split("−")[1].removesuffix(" (m)").replace(",", ""))
    for value, tick in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True):
        assert float(tick.get_text().replace("−", "-")) + start == pytest.approx(value)
    assert ax.get_ylabel().startswith("northing")
    assert ax.get_aspect() == 1.0
