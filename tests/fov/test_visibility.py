"""Fields of view cut by walls, against shapely's shadows, against rays drawn by lot, and by hand."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

import relabel
from relabel import fov
from relabel.errors import InputError, OptionError
from relabel.fov.params import FovParams
from relabel.geometry.walls import Walls
from relabel.measures import MEASURES
from relabel.reference.fov import field_of_view
from relabel.reference.occlusion import Occluders, pair_overlap
from tests.strategies import View, cameras, view

ARC = 8


class Part(NamedTuple):
    """A building or a line of walls."""

    points: tuple[tuple[float, float], ...]
    closed: bool


def box(x: float, y: float, width: float, height: float, turn_deg: float = 0.0) -> Part:
    """A building with four corners, the first at (x, y)."""
    a = np.deg2rad(turn_deg)
    corners = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height), (0.0, 0.0)]
    turned = [(x + u * np.cos(a) - v * np.sin(a), y + u * np.sin(a) + v * np.cos(a)) for u, v in corners]
    return Part(tuple(turned[:-1] + turned[:1]), closed=True)


def line(*points: tuple[float, float]) -> Part:
    return Part(points, closed=False)


def walls(parts: list[Part], **named: object) -> Walls:
    return Walls.of_lines([[part.points] for part in parts], closed=[part.closed for part in parts], **named)


def geometry(parts: list[Part]) -> list[shapely.Geometry]:
    return [shapely.Polygon(part.points) if part.closed else shapely.LineString(part.points) for part in parts]


# On the lattice of `grid_view`: cameras at corners and in walls, walls along the edges of views, houses wall to wall.
_whole = st.integers(-10, 10).map(lambda v: 5.0 * v)
_size = st.integers(1, 6).map(lambda v: 5.0 * v)
grid_part = st.one_of(
    st.builds(box, _whole, _whole, _size, _size),
    st.builds(box, _whole, _whole, _size, _size, st.sampled_from([15.0, 30.0, 45.0])),
    st.lists(st.tuples(_whole, _whole), min_size=2, max_size=4, unique=True).map(lambda points: line(*points)),
)
_place = st.floats(-80.0, 80.0)
any_part = st.one_of(
    st.builds(box, _place, _place, st.floats(0.1, 40.0), st.floats(0.1, 40.0), st.floats(0.0, 90.0)),
    st.lists(st.tuples(_place, _place), min_size=2, max_size=4, unique=True).map(lambda points: line(*points)),
)
parts = st.lists(st.one_of(grid_part, any_part), max_size=8)


def town(n: int, seed: int, size_m: float = 200.0) -> tuple[relabel.Cameras, list[Part]]:
    """n cameras in a square with buildings, every second seed all on a lattice."""
    rng = np.random.default_rng(seed)
    place, heading = rng.uniform(0, size_m, (n, 2)), rng.uniform(0, 360, n)
    radius, angle = rng.uniform(20, 60, n), rng.choice([30.0, 60.0, 90.0, 180.0, 200.0, 360.0], n)
    spots = rng.uniform([0, 0, 3, 3, 0], [size_m, size_m, 20, 20, 360], (n // 2, 5))
    if seed % 2:
        place, heading, radius = 10 * np.round(place / 10), 15 * np.round(heading / 15), 10 * np.round(radius / 10)
        spots[:, :4], spots[:, 4] = 5 * np.ceil(spots[:, :4] / 5), 0.0
    views = [View(*row) for row in np.column_stack([place, heading, angle, radius])]
    built = [box(*spot) if k % 5 else line_of(spot) for k, spot in enumerate(spots.tolist())]
    return cameras(views), built


def line_of(spot: list[float]) -> Part:
    return line((spot[0], spot[1]), (spot[0] + spot[2], spot[1] + spot[3]))


def whole_area(v: View, arc: int = ARC) -> float:
    return float(field_of_view(0, 0, *v[2:], arc).area)


@pytest.mark.kernels
class TestAgainstShadows:
    @given(view, parts)
    @settings(max_examples=100)
    def test_seen_area(self, v, built):
        """To 1e-9 of the whole field of view, in general and degenerate position."""
        got = fov.source(
            cameras([v]), cameras([v], "d"), FovParams(arc=ARC), occluders=walls(built)
        ).collection.query_extent[0]
        expected = Occluders(geometry(built)).seen(*v, ARC).area
        assert abs(got - expected) <= 1e-9 * whole_area(v)

    @given(view, view, parts)
    @settings(max_examples=100)
    def test_shared_area(self, a, b, built):
        """To 1e-9 of the larger field of view."""
        found = fov.source(cameras([a]), cameras([b]), FovParams(arc=ARC), occluders=walls(built))
        got = found.areas(np.zeros(1, np.int32), np.zeros(1, np.int32))[0]
        scene = Occluders(geometry(built))
        left, right = (shapely.transform(scene.seen(*v, ARC), lambda p, v=v: p + np.array([v.x, v.y])) for v in (a, b))
        assert abs(got - left.intersection(right).area) <= 1e-9 * max(whole_area(a), whole_area(b))

    @pytest.mark.parametrize("seed", range(4))
    def test_towns(self, seed):
        """All pairs of a town with every measure; on the lattice, most of it is degenerate."""
        one, built = town(40, seed)
        rows, columns = (a.ravel() for a in np.indices((40, 40)))
        scene = Occluders(geometry(built))
        for measure in MEASURES:
            got = fov.pair_overlap(one, one, rows, columns, FovParams(arc=ARC, measure=measure), occluders=walls(built))
            expected = pair_overlap(scene, one, one, rows, columns, segments=ARC, measure=measure)
            np.testing.assert_allclose(got, expected, atol=1e-9)
        assert (fov.overlap(one, one, occluders=walls(built)).matrix.nnz) < fov.overlap(one, one).matrix.nnz


class TestAgainstRays:
    @pytest.mark.parametrize("seed", range(4))
    def test_points_drawn_by_lot(self, seed):
        """A point of the polygon is seen where the straight line to it crosses no wall; nothing else goes into it."""
        one, built = town(30, seed)
        found = fov.source(one, one, FovParams(arc=ARC), occluders=walls(built))
        rng = np.random.default_rng(seed)
        scene = geometry(built)
        for i in range(len(one)):
            at = shapely.Point(one.position[i])
            whole = field_of_view(*one.position[i], one.heading_deg[i], one.fov_deg[i], one.radius_m[i], ARC)
            low_x, low_y, high_x, high_y = whole.bounds
            points = shapely.points(rng.uniform([low_x, low_y], [high_x, high_y], (2000, 2)))
            seen = shapely.contains(whole, points)
            rays = shapely.linestrings([[one.position[i], p] for p in shapely.get_coordinates(points)])
            for part in scene:
                if part.distance(at) > 1e-6:
                    seen &= ~shapely.intersects(part, rays)
            box_area = (high_x - low_x) * (high_y - low_y)
            share = found.collection.query_extent[i] / box_area
            assert abs(seen.mean() - share) < 5 * np.sqrt(0.25 / len(points))


NORTH = View(0, 0, 0, 90, 50)


def extent(v: View, built: list[Part], arc: int = 16) -> float:
    one = cameras([v])
    return float(fov.source(one, one, FovParams(arc=arc), occluders=walls(built)).collection.query_extent[0])


@pytest.mark.kernels
class TestByHand:
    def test_a_wall_right_across(self):
        """A triangle up to the wall is left: 90° wide and 10 m deep."""
        assert extent(NORTH, [line((-30, 10), (30, 10))]) == pytest.approx(100.0, rel=1e-14)

    def test_pairs_across_a_wall_have_nothing_in_common(self):
        """Back to front or face to face, they drop to exactly 0."""
        wall = walls([line((-200, 20), (200, 20))])
        one, other = cameras([NORTH]), cameras([View(0, 40, 180, 90, 50), View(0, 21, 0, 90, 50)])
        assert fov.overlap(one, other, shape="polygon").matrix.nnz == 2
        assert fov.overlap(one, other, occluders=wall, min_value=0.0).matrix.nnz == 0

    def test_a_wall_seen_edge_on_hides_nothing(self):
        assert extent(NORTH, [line((0, 5), (0, 30))]) == pytest.approx(whole_area(NORTH, 16), rel=1e-12)

    def test_walls_behind_and_beyond(self):
        """Behind the camera, beside its view, or beyond its range."""
        built = [line((-30, -1), (30, -1)), line((40, 10), (40, 30)), line((-99, 51), (99, 51))]
        assert extent(NORTH, built) == pytest.approx(whole_area(NORTH, 16), rel=1e-14)

    @pytest.mark.parametrize("built", [[box(-5, -5, 10, 10)], [box(0, -5, 10, 10)], [box(0, 0, 10, 10)]])
    def test_what_a_camera_stands_in_hides_nothing(self, built):
        """Inside, in a wall, at a corner; other buildings still do."""
        assert extent(NORTH, built) == pytest.approx(whole_area(NORTH, 16), rel=1e-14)
        found = fov.source(cameras([NORTH]), cameras([NORTH]), occluders=walls(built))
        assert found.query_visible.inside.tolist() == [True]
        assert extent(NORTH, [*built, line((-30, 10), (30, 10))]) == pytest.approx(100.0, rel=1e-14)

    def test_a_courtyard_is_not_inside(self):
        """A camera in a hole of a footprint sees the yard and no more."""
        outer, inner = box(-20, -20, 40, 40), box(-10, -10, 20, 20)
        yard = Walls.of_lines([[outer.points, inner.points]])
        one = cameras([View(0, 0, 0, 360, 50)])
        found = fov.source(one, one, occluders=yard)
        assert found.collection.query_extent[0] == pytest.approx(400.0, rel=1e-14)
        assert not found.query_visible.inside.any()

    def test_closed_lines_do_not_hold(self):
        """A line that comes back to its start is no building: a camera within it is shut in."""
        ring = line(*box(-10, -10, 20, 20).points)
        assert extent(View(0, 0, 0, 360, 50), [ring]) == pytest.approx(400.0, rel=1e-14)

    def test_a_gap_between_walls(self):
        """Through a gap a camera sees beyond, less than a whole cone."""
        gap = extent(NORTH, [line((-30, 10), (-1, 10)), line((1, 10), (30, 10))])
        cone = np.arctan(0.1) * 50**2 - 10.0
        assert gap == pytest.approx(100.0 + cone, rel=2e-3)

    def test_no_wall_at_all(self):
        """Equal to the plain polygon."""
        one, _ = town(40, 0)
        plain, cut = (fov.overlap(one, one, shape="polygon", **how) for how in ({}, {"occluders": walls([])}))
        np.testing.assert_allclose(cut.matrix.toarray(), plain.matrix.toarray(), atol=1e-7)
        np.testing.assert_allclose(cut.collection.query_extent, plain.collection.query_extent, rtol=1e-13)

    def test_long_walls_and_far_places(self):
        """A wall of 1e7 m, and a town at 4e6 m from the origin: the same to what float64 holds there."""
        shift = np.array([5e5, 4.2e6])
        built = [line((-1e7, 10), (1e7, 10))]
        moved = [Part(tuple(tuple(p + shift) for p in np.array(part.points)), part.closed) for part in built]
        assert extent(NORTH._replace(x=5e5, y=4.2e6), moved) == pytest.approx(100.0, rel=1e-8)

    def test_shut_in(self):
        """Nothing but a crumb is left behind a wall nearly touching the lens; it keeps its row, without a pair."""
        near = 2e-6
        built = [line((-1, near), (1, near))]
        one = cameras([NORTH, View(0, 1, 0, 90, 50)])
        psi = fov.overlap(one, one, occluders=walls(built))
        assert psi.collection.query.ok.all()
        assert psi.collection.query_extent[0] == pytest.approx(near**2)
        assert psi.matrix.nnz == 0


class TestBits:
    @pytest.mark.parametrize("options", [{"threads": 1}, {"block": 1}, {"block": 77}, {"threads": 2, "block": 500}])
    def test_threads_and_blocks_do_not_show(self, options):
        one, built = town(80, 2)
        other, _ = town(90, 4)
        plain, cut = (fov.overlap(one, other, occluders=walls(built), **how).matrix for how in ({}, options))
        for name in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(plain, name), getattr(cut, name))

    @pytest.mark.parametrize("seed", [0, 1])
    def test_self_pairs_are_symmetric(self, seed):
        one, built = town(80, seed)
        dense = fov.overlap(one, one, occluders=walls(built)).matrix.toarray()
        assert np.array_equal(dense, dense.T)
        assert dense.any()

    def test_order_does_not_show(self):
        """Neither that of the cameras nor that of the walls, nor which way round a ring runs."""
        one, built = town(60, 3)
        rng = np.random.default_rng(0)
        order, other = rng.permutation(60), rng.permutation(60)
        mixed = [built[k]._replace(points=built[k].points[::-1]) for k in rng.permutation(len(built))]
        plain = fov.overlap(one, one, occluders=walls(built)).matrix.toarray()
        np.fill_diagonal(plain, 0.0)
        shuffled = fov.overlap(one.take(order), one.take(other), occluders=walls(mixed)).matrix.toarray()
        same = order[:, None] == other[None]
        assert np.array_equal(np.where(same, 0.0, shuffled), plain[np.ix_(order, other)])


class TestRefused:
    def test_another_frame(self):
        with pytest.raises(InputError, match="walls are in EPSG:32636, the cameras in local"):
            fov.overlap(cameras([NORTH]), cameras([NORTH]), occluders=walls([], crs="EPSG:32636"))

    @pytest.mark.parametrize("sigma", [{"heading_sigma_deg": 5.0}, {"position_sigma_m": 1.0}])
    def test_noise(self, sigma):
        with pytest.raises(OptionError, match="either occluders or"):
            fov.overlap(cameras([NORTH]), cameras([NORTH]), occluders=walls([]), **sigma)

    def test_no_cameras(self):
        """Sides without a camera that can be labelled have no pair."""
        none = relabel.Cameras(key=["a"], position=[[0, 0]])
        for a, b in ((none, none), (none, cameras([NORTH])), (cameras([NORTH]), none)):
            psi = fov.overlap(a, b, occluders=walls([box(1, 1, 2, 2)]))
            assert psi.matrix.nnz == 0


class TestParams:
    def test_shape_and_walls_are_told(self):
        """The shape becomes a polygon, whatever was asked for, and says so."""
        told = {"name": "b.geojson", "sha256": "0" * 64, "features": 1}
        psi = fov.overlap(cameras([NORTH]), cameras([NORTH]), occluders=walls([box(1, 1, 2, 2)], params=told))
        assert psi.collection.method == "fov-polygon"
        assert psi.collection.params["shape"] == "polygon"
        assert psi.collection.params["arc"] == 16
        assert psi.collection.params["occluders"] == told
