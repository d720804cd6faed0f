"""relabel.fov.geographic: cameras anywhere on earth, against the oracle with a plane of its own for each pair."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyproj
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel import fov
from relabel.cameras import Cameras, Status
from relabel.errors import InputError, OptionError
from relabel.fov.geographic import source
from relabel.fov.params import FovParams
from relabel.geometry.earth import FRAME, GEODESIC, lon_lat
from relabel.geometry.projection import inverse_geodesic
from relabel.reference import fov as reference
from relabel.reference.geodesic import on_planes
from relabel.similarity import gather
from tests.geometry.test_tiles import CENTRES, around

GEOD = pyproj.Geod(ellps="WGS84")


def city(n: int, centre: tuple[float, float], seed: int, *, spread_m: float = 600.0, prefix: str = "c") -> Any:
    """n cameras around a place, and their longitudes and latitudes."""
    place = around(*centre, n, spread_m, seed)
    heading = np.random.default_rng(seed + 100).uniform(0.0, 360.0, n)
    cameras = Cameras(key=[f"{prefix}{i}" for i in range(n)], position=np.zeros((n, 2)), heading_deg=heading)
    return cameras, place


def dense(query: Any, database: Any, **options: Any) -> np.ndarray:
    """ψ of all pairs (nq, nd), as computed."""
    return gather(
        source(query[0], database[0], (query[1], database[1]), FovParams(min_value=0.0, **options))
    ).matrix.toarray()


def expected(query: Any, database: Any, **options: Any) -> np.ndarray:
    """ψ of all pairs, each on a plane of its own, by the exact overlap of two sectors."""
    shape = len(query[0]), len(database[0])
    i, j = (grid.ravel() for grid in np.indices(shape))
    a, b = on_planes(query[0], database[0], (query[1], database[1]), i, j)
    k = np.arange(len(i))
    return fov.pair_overlap(a, b, k, k, FovParams(**options)).reshape(shape)


class TestSource:
    """relabel.fov.geographic.source"""

    @pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES)
    def test_all_pairs(self, centre: tuple[float, float]) -> None:
        """Every ψ is that of the geodesic, none is missed and none is too many."""
        query, database = city(200, centre, 1), city(200, centre, 2, prefix="d")
        found = dense(query, database)
        np.testing.assert_allclose(found, expected(query, database), rtol=0, atol=4e-7)
        assert np.count_nonzero(found) > 200

    @pytest.mark.parametrize("centre", [CENTRES["antimeridian"], CENTRES["pole"]])
    def test_against_shapely(self, centre: tuple[float, float]) -> None:
        """The oracle of `relabel verify`, which shares nothing with the overlap, says the same."""
        query, database = city(60, centre, 3, spread_m=80.0), city(60, centre, 4, spread_m=80.0, prefix="d")
        rows, columns = (grid.ravel()[::17] for grid in np.indices((60, 60)))
        a, b = on_planes(query[0], database[0], (query[1], database[1]), rows, columns)
        pairs = np.arange(len(rows))
        slow = reference.pair_overlap(a, b, pairs, pairs)
        np.testing.assert_allclose(dense(query, database)[rows, columns], slow, rtol=0, atol=1e-5)
        assert np.count_nonzero(slow) > 20

    def test_across_tiles(self) -> None:
        """Cameras along 15 km, through many tiles: all neighbours are found, those beside a border too."""
        n = 500
        lon, lat, _ = GEOD.fwd(np.full(n, 5.8), np.full(n, 48.0), np.full(n, 71.0), np.linspace(0.0, 15_000.0, n))
        place = np.column_stack([lon, lat])
        heading = np.random.default_rng(3).uniform(0.0, 360.0, n)
        road = Cameras(key=[f"c{i}" for i in range(n)], position=np.zeros((n, 2)), heading_deg=heading), place
        overlap = source(road[0], road[0], (place, place))
        assert np.count_nonzero(~overlap.query.home) > 5
        found = gather(overlap).matrix.toarray()
        wanted = expected(road, road)
        np.fill_diagonal(wanted, 0.0)
        np.testing.assert_allclose(found, np.where(wanted > 1e-6, wanted, 0.0), rtol=0, atol=4e-7)

    @pytest.mark.parametrize("measure", ["iou", "dice", "overlap"])
    def test_self_pairs(self, measure: Any) -> None:
        """Symmetric to the last bit, across tiles too; the diagonal is not there."""
        cameras, place = city(1500, CENTRES["city"], 5, spread_m=4000.0)
        matrix = gather(source(cameras, cameras, (place, place), FovParams(measure=measure))).matrix
        assert matrix.nnz > 300
        assert not matrix.diagonal().any()
        if measure == "overlap":
            assert set(zip(*matrix.nonzero(), strict=True)) == set(zip(*matrix.T.nonzero(), strict=True))
        else:
            assert (matrix != matrix.T).nnz == 0

    def test_sides_change_places(self) -> None:
        """ψ of a pair has the same bits whichever is the query."""
        query, database = city(700, CENTRES["city"], 6, spread_m=3500.0), city(600, CENTRES["city"], 7, prefix="d")
        np.testing.assert_array_equal(dense(query, database), dense(database, query).T)

    @pytest.mark.parametrize("options", [{"threads": 1}, {"block": 1}, {"block": 50}, {"threads": 2, "block": 777}])
    def test_blocks_and_threads(self, options: dict[str, int]) -> None:
        """They do not show, though blocks part a camera from itself as a guest."""
        cameras, place = city(200, CENTRES["city"], 5, spread_m=1500.0)
        a = gather(source(cameras, cameras, (place, place))).matrix
        blocks = list(source(cameras, cameras, (place, place), **options).blocks())
        assert np.concatenate([b.counts for b in blocks]).tolist() == np.diff(a.indptr).tolist()
        np.testing.assert_array_equal(np.concatenate([b.indices for b in blocks]), a.indices)
        np.testing.assert_array_equal(np.concatenate([b.data for b in blocks]), a.data)
        firsts = [b.first_row for b in blocks]
        assert firsts == np.cumsum([0, *(len(b.counts) for b in blocks[:-1])]).tolist()

    def test_order_does_not_matter(self) -> None:
        """Rows in another order give the same bits in that order."""
        query, database = city(300, CENTRES["city"], 8, spread_m=2500.0), city(300, CENTRES["city"], 9, prefix="d")
        order = np.random.default_rng(0).permutation(300)
        turned = query[0].take(order), query[1][order]
        np.testing.assert_array_equal(dense(turned, database), dense(query, database)[order])

    def test_other_cities_do_not_matter(self) -> None:
        """A far city more gives the same bits."""
        here, far = city(300, CENTRES["city"], 8, spread_m=2500.0), city(200, (-70.0, -33.0), 9, prefix="f")
        keys = np.concatenate([far[0].key, here[0].key])
        heading = np.concatenate([far[0].heading_deg, here[0].heading_deg])
        both = Cameras(keys, np.zeros((500, 2)), heading_deg=heading), np.vstack([far[1], here[1]])
        np.testing.assert_array_equal(dense(both, both)[200:, 200:], dense(here, here))
        assert not dense(both, both)[:200, 200:].any()

    @settings(max_examples=40)
    @given(st.floats(-180.0, 180.0))
    def test_longitude_does_not_matter(self, shift: float) -> None:
        """The earth turned round: the same ψ to a millionth, though other tiles."""
        cameras, place = city(60, (7.0, 52.0), 10, spread_m=150.0)
        still = dense((cameras, place), (cameras, place))
        turned = place + np.array([shift, 0.0])
        turned[:, 0] = (turned[:, 0] + 180.0) % 360.0 - 180.0
        np.testing.assert_allclose(dense((cameras, turned), (cameras, turned)), still, rtol=0, atol=1e-6)

    @given(
        st.floats(-180.0, 180.0), st.floats(-90.0, 90.0), st.floats(0.0, 360.0), st.floats(0.0, 110.0),
        st.floats(0.0, 359.0), st.floats(0.0, 359.0),
    )  # fmt: skip
    def test_any_pair(self, lon: float, lat: float, azimuth: float, apart_m: float, one: float, other: float) -> None:
        """Two cameras anywhere have the ψ of the geodesic between them."""
        there = GEOD.fwd(lon, lat, azimuth, apart_m)[:2]
        a = Cameras(key=["a"], position=np.zeros((1, 2)), heading_deg=[one]), np.array([[lon, lat]])
        b = Cameras(key=["b"], position=np.zeros((1, 2)), heading_deg=[other]), np.array([there])
        np.testing.assert_allclose(dense(a, b), expected(a, b), rtol=0, atol=4e-7)

    def test_world(self) -> None:
        """Cities, poles and the antimeridian in one dataset: each is labelled as it is by itself."""
        parts = [city(80, centre, 20 + k, spread_m=150.0, prefix=f"{k}-") for k, centre in enumerate(CENTRES.values())]
        keys, heading = (np.concatenate([getattr(c, name) for c, _ in parts]) for name in ("key", "heading_deg"))
        world = Cameras(keys, np.zeros((len(keys), 2)), heading_deg=heading), np.vstack([p for _, p in parts])
        found = dense(world, world)
        wanted = expected(world, world)
        np.fill_diagonal(wanted, 0.0)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=4e-7)

    def test_like_a_map(self) -> None:
        """A small city where the map is true: the planar overlap, with headings from the north of the map, agrees."""
        cameras, place = city(300, (9.0, 50.0), 11, spread_m=300.0)
        local = pyproj.Proj("+proj=tmerc +lat_0=50 +lon_0=9 +datum=WGS84 +units=m")
        heading = cameras.heading_deg - local.get_factors(*place.T).meridian_convergence
        mapped = replace(cameras, position=np.column_stack(local(*place.T)), heading_deg=heading)
        planar = fov.overlap(mapped, mapped, min_value=0.0).matrix.toarray()
        np.testing.assert_allclose(dense((cameras, place), (cameras, place)), planar, rtol=0, atol=4e-7)

    def test_same_place(self) -> None:
        """Cameras on one spot with one heading share everything."""
        place = np.array([[180.0, -17.0], [-180.0, -17.0], [180.0, -17.0]])
        cameras = Cameras(key=["a", "b", "c"], position=np.zeros((3, 2)), heading_deg=[10.0, 10.0, 190.0])
        found = dense((cameras, place), (cameras, place))
        assert found[0, 1] == pytest.approx(1.0, abs=1e-6)
        assert found[0, 2] == 0.0

    def test_at_the_pole(self) -> None:
        """Headings at a pole count from the meridian of the longitude given: these two look the same way."""
        cameras = Cameras(key=["a", "b"], position=np.zeros((2, 2)), heading_deg=[0.0, 90.0])
        place = np.array([[0.0, 90.0], [90.0, 90.0]])
        assert dense((cameras, place), (cameras, place))[0, 1] == pytest.approx(1.0, abs=1e-6)

    def test_own_views_and_options(self) -> None:
        """Field of view and range of each camera, and all options, arrive."""
        rng = np.random.default_rng(1)
        cameras, place = city(150, CENTRES["zone border"], 12, spread_m=200.0)
        own = replace(cameras, fov_deg=rng.uniform(20.0, 360.0, 150), radius_m=rng.uniform(10.0, 90.0, 150))
        found = dense((own, place), (cameras, place), fov_deg=70.0, radius_m=40.0, measure="dice")
        np.testing.assert_allclose(
            found, expected((own, place), (cameras, place), fov_deg=70.0, radius_m=40.0, measure="dice"), atol=1e-6
        )
        fine = gather(source(cameras, cameras, (place, place), FovParams(shape="polygon", arc=5)))
        assert fine.collection.method == "fov-polygon"
        assert fine.collection.params["arc"] == 5

    @pytest.mark.parametrize("radius_m", [0.001, 1.0, 400.0, 2500.0, 5000.0])
    def test_any_range(self, radius_m: float) -> None:
        """From a millimetre to the most that is allowed."""
        spread = min(radius_m, 4000.0)
        query, database = city(50, CENTRES["city"], 13, spread_m=spread), city(50, CENTRES["city"], 14, spread_m=spread)
        found = dense(query, database, radius_m=radius_m)
        # Places are multiples of 60 nm, and the largest tiles are not quite flat.
        wanted = expected(query, database, radius_m=radius_m)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-4 if radius_m < 1.0 else 2e-5)
        assert found.any()

    def test_collection(self) -> None:
        """The cameras as they were given, their places, the extents in their rows, and the frame."""
        cameras, place = city(5, CENTRES["city"], 15)
        status = np.array([0, Status.PANORAMA, 0, 0, Status.MASKED], np.uint8)
        given = replace(cameras, status=status)
        place[4] = np.nan
        collection = source(given, given, (place, place)).collection
        assert collection.self_pairs
        assert collection.query is collection.database
        assert collection.query.key.tolist() == cameras.key.tolist()
        np.testing.assert_array_equal(lon_lat(collection.query), place)
        np.testing.assert_array_equal(np.isfinite(collection.query_extent), status == 0)
        assert collection.params[FRAME] == GEODESIC
        assert gather(source(given, given, (place, place))).matrix.shape == (5, 5)

    def test_progress(self) -> None:
        """Every query is counted once."""
        cameras, place = city(200, CENTRES["city"], 16, spread_m=3000.0)
        steps: list[int] = []
        gather(source(cameras, cameras, (place, place), block=20, progress=steps.append))
        assert sum(steps) == 200
        assert len(steps) > 3

    def test_none(self) -> None:
        """No camera that can be labelled: no pair."""
        none = Cameras(key=["a"], position=np.zeros((1, 2)), heading_deg=[np.nan])
        place = np.array([[1.0, 2.0]])
        assert gather(source(none, none, (place, place))).matrix.nnz == 0
        assert source(none, none, (place, place)).candidates() == 0


class TestFaults:
    """relabel.fov.geographic.source, wrong input"""

    def test_no_place(self) -> None:
        """An OK camera without a place on earth is named, as it was given."""
        cameras, place = city(4, CENTRES["city"], 1)
        for bad in (np.nan, 91.0, -100.0, np.inf):
            place[2, 1] = bad
            with pytest.raises(InputError, match=r"'c2' \(row 2.*not a position on earth"):
                source(cameras, cameras, (place, place))

    def test_shape(self) -> None:
        """One row a camera."""
        cameras, place = city(4, CENTRES["city"], 1)
        with pytest.raises(InputError, match=r"expected \(4, 2\)"):
            source(cameras, cameras, (place[:3], place))

    @pytest.mark.parametrize("radius_m", [5001.0, 1e6])
    def test_too_far(self, radius_m: float) -> None:
        """What reaches further than a plane is true is refused, with the most there is."""
        cameras, place = city(4, CENTRES["city"], 1)
        with pytest.raises(OptionError, match="at most 5,000 m"):
            source(cameras, cameras, (place, place), FovParams(radius_m=radius_m))

    @pytest.mark.parametrize("options", [{"fov_deg": 0.0}, {"radius_m": -1.0}, {"shape": "circle"}])
    def test_params(self, options: dict[str, Any]) -> None:
        """They are checked as they are on a plane."""
        cameras, place = city(4, CENTRES["city"], 1)
        with pytest.raises(OptionError):
            source(cameras, cameras, (place, place), FovParams(**options))

    def test_block(self) -> None:
        """It is checked as it is on a plane."""
        cameras, place = city(4, CENTRES["city"], 1)
        with pytest.raises(OptionError):
            source(cameras, cameras, (place, place), block=0)

    def test_names_are_those_given(self) -> None:
        """An error about a camera names its key and row, not where it stands on the plane."""
        cameras, place = city(400, CENTRES["city"], 1, spread_m=3000.0)
        fov_deg = np.full(400, 90.0)
        fov_deg[300] = 400.0
        with pytest.raises(OptionError, match=r"'c300' \(row 300"):
            source(replace(cameras, fov_deg=fov_deg), cameras, (place, place))


class TestOracle:
    """relabel.reference.geodesic.on_planes"""

    def test_same_bearing(self) -> None:
        """From the query, the database camera is seen in the direction and distance of the geodesic."""
        query, database = city(20, CENTRES["near the pole"], 1), city(20, CENTRES["near the pole"], 2)
        k = np.arange(20)
        _, b = on_planes(query[0], database[0], (query[1], database[1]), k, k)
        leaving, _, far = inverse_geodesic(query[1], database[1])
        np.testing.assert_allclose(np.hypot(*b.position.T), far)
        np.testing.assert_allclose(np.exp(1j * np.arctan2(*b.position.T)), np.exp(1j * np.radians(leaving)), atol=1e-12)
