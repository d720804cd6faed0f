"""All pairs of two sets of cameras against brute force, and everything around the kernels."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import relabel
from relabel import fov
from relabel.cameras import Status
from relabel.errors import InputError, OptionError
from relabel.measures import MEASURES
from relabel.reference.fov import pair_overlap as oracle
from tests.strategies import View, cameras, view


def street(n: int, seed: int, size_m: float = 300.0, **columns: object) -> relabel.Cameras:
    """n cameras anywhere in a square, some of them without a status of OK."""
    rng = np.random.default_rng(seed)
    status = np.where(rng.random(n) < 0.1, Status.PANORAMA, Status.OK)
    heading = np.where(rng.random(n) < 0.1, np.nan, rng.uniform(0, 360, n))
    position = rng.uniform(0, size_m, (n, 2)) + np.array([3e5, 4e6])
    return relabel.Cameras(
        key=[f"{seed}-{k}" for k in range(n)], position=position, heading_deg=heading, status=status, **columns
    )


def brute_force(query: relabel.Cameras, database: relabel.Cameras, **options: object) -> np.ndarray:
    """A dense matrix, pair by pair through shapely; 0 wherever a camera is not OK."""
    rows, columns = (a.ravel() for a in np.meshgrid(*(np.flatnonzero(c.ok) for c in (query, database)), indexing="ij"))
    dense = np.zeros((len(query), len(database)))
    dense[rows, columns] = oracle(query, database, rows, columns, segments=720, **options)
    return dense


@pytest.mark.kernels
class TestOverlap:
    @pytest.mark.parametrize("measure", MEASURES)
    def test_equals_brute_force(self, measure):
        """Nothing is lost between the grid, the rejection and the rows; nothing is invented."""
        query, database = street(40, 1), street(50, 2)
        got = fov.overlap(query, database, measure=measure)
        expected = brute_force(query, database, measure=measure)
        np.testing.assert_allclose(got.matrix.toarray(), expected, atol=1e-5)
        assert ((expected > 1e-5) <= (got.matrix.toarray() > 0)).all()

    @given(st.lists(view, max_size=12), st.lists(view, max_size=12))
    @settings(max_examples=60)
    def test_equals_the_pairs_one_by_one(self, left, right):
        """With a field of view and range of each camera's own, whatever the grid makes of them."""
        query, database = cameras(left, "q"), cameras(right, "d")
        rows, columns = (a.ravel() for a in np.indices((len(left), len(right))))
        expected = fov.pair_overlap(query, database, rows, columns).reshape(len(left), len(right))
        expected[expected <= 1e-6] = 0.0
        assert np.array_equal(fov.overlap(query, database).matrix.toarray(), expected.astype(np.float32))

    def test_self_pairs_are_symmetric_without_the_diagonal(self):
        """Both triangles are stored, to the same bits."""
        one = street(80, 3, size_m=150.0)
        psi = fov.overlap(one, one)
        dense = psi.matrix.toarray()
        assert psi.collection.self_pairs
        assert psi.collection.symmetric
        assert not dense.diagonal().any()
        assert np.array_equal(dense, dense.T)
        assert dense.any()

    def test_rows_are_sorted_and_values_in_range(self):
        psi = fov.overlap(street(100, 4, size_m=100.0), street(100, 5, size_m=100.0)).matrix
        assert psi.has_canonical_format
        assert psi.data.dtype == np.float32
        assert psi.data.min() > np.float32(1e-6)
        assert psi.data.max() <= 1.0

    def test_order_of_rows_does_not_show(self):
        """A pair's value depends on the pair alone."""
        query, database = street(60, 8), street(70, 9)
        order, other = np.random.default_rng(0).permutation(60), np.random.default_rng(1).permutation(70)
        shuffled = fov.overlap(query.take(order), database.take(other)).matrix.toarray()
        assert np.array_equal(shuffled, fov.overlap(query, database).matrix.toarray()[np.ix_(order, other)])

    def test_pairs_farther_apart_than_one_radius_are_found(self):
        """The early-out at distance > r, which others have, loses these."""
        query = cameras([View(0, 0, 0, 90, 50)])
        database = cameras([View(0, 60, 180, 90, 50), View(0, 99, 180, 90, 50)])
        assert fov.overlap(query, database).matrix.nnz == 2

    def test_a_min_value_is_kept_to(self):
        query, database = street(60, 10), street(60, 11)
        everything = fov.overlap(query, database, min_value=0.0).matrix
        some = fov.overlap(query, database, min_value=0.25).matrix
        assert some.data.min() > 0.25
        assert some.nnz == (everything.data > np.float32(0.25)).sum()

    def test_cameras_that_are_not_ok_have_empty_rows_and_columns(self):
        query, database = street(60, 12), street(60, 13)
        dense = fov.overlap(query, database).matrix.toarray()
        assert not dense[~query.ok].any()
        assert not dense[:, ~database.ok].any()
        assert (~query.ok).any()

    def test_no_camera_at_all(self):
        """Empty sides and sides without an OK camera give an empty matrix of the right shape."""
        some, none = street(5, 14), street(0, 15)
        blind = relabel.Cameras(key=["x", "y"], position=np.zeros((2, 2)))
        for query, database in ((some, none), (none, some), (none, none), (blind, some), (some, blind)):
            matrix = fov.overlap(query, database).matrix
            assert matrix.shape == (len(query), len(database))
            assert matrix.nnz == 0

    def test_progress_counts_every_query_once(self):
        query, database = street(200, 16), street(200, 17)
        seen: list[int] = []
        fov.overlap(query, database, block=1000, progress=seen.append)
        assert sum(seen) == len(query)
        assert len(seen) > 1

    def test_far_apart_cities_do_not_break_the_grid(self):
        """An extent of 2e7 m with a range of a millimetre has more cells than int64 could number one by one."""
        left = cameras([View(-1e7, -1e7, 0, 90, 1e-3), View(1e7, 1e7, 0, 90, 1e-3)])
        right = cameras([View(-1e7, -1e7, 0, 90, 1e-3), View(1e7, 1e7, 0, 90, 1e-3)])
        assert np.array_equal(fov.overlap(left, right).matrix.toarray(), np.eye(2, dtype=np.float32))


class TestBits:
    @pytest.mark.parametrize("shape", fov.SHAPES)
    @pytest.mark.parametrize("options", [{"threads": 1}, {"block": 1}, {"block": 777}, {"threads": 2, "block": 5000}])
    def test_threads_and_blocks_do_not_show(self, shape, options, monkeypatch):
        """The same bits however the work is cut."""
        query, database = street(120, 6), street(130, 7)
        one = fov.overlap(query, database, shape=shape).matrix
        monkeypatch.setattr("relabel.fov.views._AT_ONCE", 50)
        other = fov.overlap(query, database, shape=shape, **options).matrix
        for name in ("indptr", "indices", "data"):
            assert np.array_equal(getattr(one, name), getattr(other, name))


def many_views(kind: str, n: int, seed: int) -> relabel.Cameras:
    """Cameras with heights, in places that are hard to search."""
    rng = np.random.default_rng([seed, len(kind)])
    place, radius, opening = rng.uniform(0, 200, (n, 2)), np.full(n, 50.0), np.full(n, 90.0)
    if kind == "sizes":
        place, radius = rng.uniform(0, 1e4, (n, 2)), 10.0 ** rng.uniform(-3, 4, n)
        opening = rng.choice([1.0, 90.0, 180.0, 200.0, 360.0], n)
    elif kind == "far":  # coordinates are known to 2e-9 m, ranges are millimetres
        place, radius = rng.uniform(0, 5e-3, (n, 2)) + 1e7 * np.array([1, -1]), np.full(n, 1e-3)
    elif kind == "lattice":  # apices, corners and circles that only touch
        place, radius = 25.0 * rng.integers(0, 9, (n, 2)), 25.0 * rng.integers(1, 3, n)
        opening = rng.choice([90.0, 180.0, 270.0], n)
    heading = 45.0 * rng.integers(0, 8, n) if kind == "lattice" else rng.uniform(0, 360, n)
    return relabel.Cameras(
        [f"{seed}-{k}" for k in range(n)],
        np.column_stack([place, np.zeros(n)]),
        heading_deg=heading,
        fov_deg=opening,
        radius_m=radius,
    )


class TestOnePass:
    """Sectors are searched, computed and measured in one pass; with any limit, one after the other."""

    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize("kind", ["street", "sizes", "far", "lattice"])
    def test_equals_separate_passes(self, kind, measure):
        """Bit by bit, with and without self pairs."""
        query, database = many_views(kind, 150, 1), many_views(kind, 130, 2)
        for sides in ((query, database), (query, query)):
            one = fov.overlap(*sides, measure=measure, min_value=0.0, threads=2).matrix
            separate = fov.overlap(*sides, measure=measure, min_value=0.0, max_height_difference_m=1.0).matrix
            assert one.nnz > 0
            for name in ("indptr", "indices", "data"):
                assert np.array_equal(getattr(one, name), getattr(separate, name))


class TestBandEdge:
    def test_one_third_of_a_turn_apart_is_exactly_one_half(self):
        """At one place, 90° wide and 30° apart, ψ is 0.5: a positive by every reader's `>= 0.5`, not 0.49999997."""
        headings = np.arange(0.0, 361.0, 30.0)
        places = np.random.default_rng(0).uniform(-1e6, 1e6, (50, 2)).repeat(len(headings), axis=0)
        views = relabel.Cameras(
            key=[str(k) for k in range(len(places))], position=places, heading_deg=np.tile(headings, 50)
        )
        psi = fov.overlap(views, views).matrix
        near = np.abs(psi.data - 0.5) < 1e-4
        assert near.sum() == 50 * 28  # 13 headings, 0 and 360 among them: 14 such pairs, both ways
        assert (psi.data[near] == np.float32(0.5)).all()


class TestBadInput:
    @pytest.mark.parametrize("fov_deg", [0.0, -90.0, 400.0, float("nan")])
    def test_an_impossible_field_of_view(self, fov_deg):
        one = street(3, 0)
        with pytest.raises(OptionError, match="field of view"):
            fov.overlap(one, one, fov_deg=fov_deg)

    @pytest.mark.parametrize("radius_m", [0.0, -1.0, float("inf"), float("nan"), 1e9])
    def test_an_impossible_radius(self, radius_m):
        one = street(3, 0)
        with pytest.raises(OptionError, match="radius"):
            fov.overlap(one, one, radius_m=radius_m)

    def test_a_cameras_own_impossible_field_of_view_names_the_camera(self):
        one = cameras([View(0, 0, 0, 90, 50), View(0, 0, 0, 400, 50)])
        with pytest.raises(OptionError, match=r"'c1' \(row 1, counted from 0\) has fov_deg 400"):
            fov.overlap(one, one)

    def test_unknown_shape_measure_block_and_threads(self):
        one = street(3, 0)
        for option in ({"shape": "disk"}, {"measure": "jaccard"}, {"block": 0}, {"threads": 0}, {"min_value": 1.0}):
            with pytest.raises(OptionError):
                fov.overlap(one, one, **option)

    def test_a_pose_without_a_heading_is_unknown_and_not_a_negative(self):
        """Such a camera is ok for surfaces; an absent pair of it would read as "nothing in common"."""
        good = cameras([View(0, 0, 0, 90, 50)])
        posed = relabel.Cameras(key=["a", "b"], position=np.zeros((2, 3)), pose=np.stack([np.eye(4)] * 2))
        for query, database in ((good, posed), (posed, good)):
            with pytest.raises(InputError, match=r"'a' \(row 0, counted from 0\) has no heading"):
                fov.overlap(query, database)
            with pytest.raises(InputError, match="no heading"):
                fov.pair_overlap(query, database, [0], [0])

    def test_cameras_of_imported_labels_are_refused_by_name(self):
        """Their ok status says nothing about a place; one that has all it takes can be computed."""
        good = cameras([View(0, 0, 0, 90, 50)])
        nan = np.nan
        for position, heading, match in (
            ([[0, 0], [nan, nan]], [0.0, 0.0], "'b' (row 1, counted from 0) came with labels but without a position"),
            ([[0, 0], [0, 0]], [0.0, nan], "'b' (row 1, counted from 0) has no heading"),
        ):
            other = relabel.Cameras(key=["a", "b"], position=position, heading_deg=heading, posed=False)
            for query, database in ((good, other), (other, good), (other, other)):
                with pytest.raises(InputError, match=re.escape(match)):
                    fov.overlap(query, database)
            np.testing.assert_allclose(fov.overlap(good, other.take([0])).matrix.toarray(), [[1.0]])

    def test_different_frames_are_not_compared(self):
        one, other = street(3, 0, crs="EPSG:32636"), street(3, 1, crs="EPSG:32637")
        with pytest.raises(InputError, match="EPSG:32636"):
            fov.overlap(one, other)


class TestPairOverlap:
    def test_unknown_is_nan(self):
        """A camera without a heading has no overlap that could be told, not an overlap of zero."""
        one = relabel.Cameras(key=["a", "b"], position=np.zeros((2, 2)), heading_deg=[0.0, np.nan])
        values = fov.pair_overlap(one, one, [0, 0, 1], [0, 1, 1])
        assert values[0] == pytest.approx(1.0)
        assert np.isnan(values[1:]).all()

    def test_a_row_that_does_not_exist(self):
        one = street(3, 0)
        with pytest.raises(InputError, match=r"outside 0 … 2"):
            fov.pair_overlap(one, one, [3], [0])


class TestCandidates:
    @given(st.lists(view, min_size=1, max_size=10), st.lists(view, min_size=1, max_size=10))
    @settings(max_examples=60)
    def test_circles_enclose_and_the_grid_finds_all_that_meet(self, left, right):
        """No pair that shares anything is missing from the candidates."""
        query, database = cameras(left, "q"), cameras(right, "d")
        rows, columns = (a.ravel() for a in np.indices((len(left), len(right))))
        meeting = int((fov.pair_overlap(query, database, rows, columns) > 1e-9).sum())
        assert fov.source(query, database).candidates() >= meeting
