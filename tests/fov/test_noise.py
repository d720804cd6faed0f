"""Expected overlap under noise against sampling, and everything that has to hold to the bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import qmc

import relabel
from relabel import fov
from relabel.cameras import FloatArray, Status
from relabel.errors import InputError, OptionError
from relabel.fov import noise
from relabel.fov.params import FovParams
from relabel.measures import MEASURES
from relabel.reference.noise import pair_overlap as oracle
from tests.strategies import View, any_view, cameras, grid_view, nearly_grid_view, view

BOTH = {"heading_sigma_deg": 10.0, "position_sigma_m": 5.0}
LITTLE = {"heading_sigma_deg": 5.0, "position_sigma_m": 2.5}
SAMPLES = 2**13

AWKWARD = [
    (View(0, 0, 0, 90, 50), View(0, 0, 0, 90, 50)),  # the same place and heading
    (View(0, 0, 0, 90, 50), View(0, 0, 30, 90, 50)),  # one panorama
    (View(0, 0, 0, 90, 50), View(0, 0, 90, 90, 50)),  # a common edge
    (View(0, 0, 0, 90, 50), View(0, 0, 180, 90, 50)),  # back to back
    (View(0, 0, 0, 90, 50), View(0, 60, 180, 90, 50)),  # facing each other
    (View(0, 0, 45, 90, 50), View(30, 0, 315, 90, 50)),  # edges that cross
    (View(0, 0, 0, 90, 50), View(0, 50, 0, 90, 50)),  # an apex on an arc
    (View(0, 0, 0, 90, 50), View(0, 100, 180, 90, 50)),  # arcs that touch
    (View(0, 0, 0, 90, 50), View(5, 5, 0, 90, 50)),  # an apex on an edge
    (View(0, 0, 0, 180, 50), View(10, 0, 180, 180, 50)),  # half disks
    (View(0, 0, 0, 270, 50), View(10, 0, 90, 90, 50)),  # two parts against one
    (View(0, 0, 0, 360, 50), View(30, 0, 90, 360, 50)),  # panoramas
]


def pairs_of(views: list[tuple[View, View]]) -> tuple[relabel.Cameras, relabel.Cameras]:
    return cameras([a for a, _ in views], "q"), cameras([b for _, b in views], "d")


def random_pairs(n: int, seed: int) -> tuple[relabel.Cameras, relabel.Cameras]:
    """Cameras of the default field of view, most of them with something in common."""
    rng = np.random.default_rng(seed)
    query = [View(0.0, 0.0, h, 90.0, 50.0) for h in rng.uniform(0, 360, n)]
    database = [View(*rng.uniform(-60, 60, 2), (a.heading_deg + rng.normal(0, 50)) % 360.0, 90.0, 50.0) for a in query]
    return pairs_of(list(zip(query, database, strict=True)))


@cache
def deviates() -> FloatArray:
    """(SAMPLES, 6) standard normal: a heading and a place for either camera; a fixed seed."""
    sequence = qmc.Sobol(6, scramble=False).random(SAMPLES) + 0.5 / SAMPLES
    values: FloatArray = ndtri((sequence + np.random.default_rng(0).random(6)) % 1.0)
    return values


def sampled(query: relabel.Cameras, database: relabel.Cameras, own: list[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """Expected ψ of pair after pair: plain ψ of many pairs of cameras that are turned and moved at random."""
    n, at_once = len(query), 128
    key = np.arange(n * at_once).astype(np.str_)
    numbers = np.arange(n * at_once)
    total = np.zeros(n)
    for part in np.split(deviates(), SAMPLES // at_once):
        moved = []
        for side, (heading, place), z in zip((query, database), own, (part[:, :3], part[:, 3:]), strict=True):
            columns = {
                name: None if getattr(side, name) is None else np.repeat(getattr(side, name), at_once)
                for name in ("fov_deg", "radius_m")
            }
            moved.append(
                relabel.Cameras(
                    key,
                    (side.position[:, None] + place[:, None, None] * z[:, 1:]).reshape(-1, 2),
                    heading_deg=(side.heading_deg[:, None] + heading[:, None] * z[:, 0]).ravel(),
                    **columns,
                )
            )
        total += fov.pair_overlap(*moved, numbers, numbers).reshape(n, at_once).sum(axis=1)
    return total / SAMPLES


def errors(query: relabel.Cameras, database: relabel.Cameras, **given: float) -> FloatArray:
    """What the expected ψ of pair after pair is off."""
    n = len(query)
    own = [(np.full(n, given["heading_sigma_deg"]), np.full(n, given["position_sigma_m"]))] * 2
    rows = np.arange(n)
    return np.abs(fov.pair_overlap(query, database, rows, rows, FovParams(**given)) - sampled(query, database, own))


class TestAgainstSampling:
    """relabel.fov.pair_overlap with noise, against plain ψ of 8,192 samples of the noise"""

    def test_little_noise(self):
        """Within 2e-3 with 5° and 2.5 m, for any pair."""
        assert errors(*random_pairs(100, 1), **LITTLE).max() < 2e-3

    def test_much_noise(self):
        """With 10° and 5 m, a ninth of the field of view and a tenth of the range, within 2e-3 all but a few."""
        found = errors(*random_pairs(120, 2), **BOTH)
        assert (found < 2e-3).mean() > 0.97
        assert found.max() < 4.5e-3
        assert found.mean() < 5e-4

    @pytest.mark.parametrize(
        "given", [LITTLE, {**LITTLE, "heading_sigma_deg": 0.0}, {**LITTLE, "position_sigma_m": 0.0}]
    )
    def test_degenerate_pairs(self, given):
        """Common places, edges and corners, and what touches."""
        found = errors(*pairs_of(AWKWARD), **given)
        assert found.max() < 2.5e-3

    def test_noise_of_one_camera_alone(self):
        """Each camera has noise of its own; that of the other side may be none."""
        query, database = random_pairs(40, 3)
        rng = np.random.default_rng(4)
        own = [(rng.uniform(0, 8, 40), rng.uniform(0, 4, 40)), (np.zeros(40), np.zeros(40))]
        query = replace(query, extra={"heading_sigma_deg": own[0][0], "position_sigma_m": own[0][1]})
        rows = np.arange(40)
        for sides, columns in (((query, database), own), ((database, query), own[::-1])):
            found = fov.pair_overlap(*sides, rows, rows)
            assert np.abs(found - sampled(*sides, columns)).max() < 2.5e-3

    def test_shapely_agrees(self):
        """The oracle of `relabel verify`, which shares no code with either, says the same, for all measures."""
        query, database = pairs_of([*AWKWARD, (View(0, 0, 10, 60, 40), View(12, 8, 40, 110, 55))])
        rows = np.arange(len(query))
        for measure in MEASURES:
            expected = oracle(query, database, rows, rows, measure=measure, **LITTLE)
            found = fov.pair_overlap(query, database, rows, rows, FovParams(measure=measure, **LITTLE))
            assert np.abs(found - expected).max() < 5e-3
        expected = oracle(query, database, rows, rows, segments=6, **LITTLE)
        found = fov.pair_overlap(query, database, rows, rows, FovParams(shape="polygon", arc=6, **LITTLE))
        assert np.abs(found - expected).max() < 5e-3


def street(n: int, seed: int, size_m: float = 200.0, **columns: object) -> relabel.Cameras:
    """n cameras anywhere in a square, some of them without a status of OK."""
    rng = np.random.default_rng(seed)
    return relabel.Cameras(
        key=[f"{seed}-{k}" for k in range(n)],
        position=rng.uniform(0, size_m, (n, 2)) + np.array([3e5, 4e6]),
        heading_deg=15.0 * rng.integers(0, 24, n),
        status=np.where(rng.random(n) < 0.1, Status.PANORAMA, Status.OK),
        **columns,
    )


def same(one: relabel.Similarity, other: relabel.Similarity) -> bool:
    return all(
        np.array_equal(getattr(one.matrix, name), getattr(other.matrix, name)) for name in ("indptr", "indices", "data")
    )


class TestToTheBit:
    """What has to be equal, not nearly so."""

    @pytest.mark.kernels
    @pytest.mark.parametrize("shape", fov.SHAPES)
    def test_no_noise_is_the_plain_label(self, shape):
        """Standard deviations of 0 change nothing, in the parameters neither."""
        query, database = street(40, 1), street(50, 2)
        plain = fov.overlap(query, database, shape=shape)
        none = {name: np.zeros(40) for name in BOTH}
        for other in (
            fov.overlap(query, database, shape=shape, heading_sigma_deg=0.0, position_sigma_m=0.0),
            fov.overlap(replace(query, extra=none), database, shape=shape),
        ):
            assert same(plain, other)
            assert other.collection.params == plain.collection.params

    @pytest.mark.parametrize("shape", fov.SHAPES)
    def test_exact_cameras_among_noisy_ones(self, shape):
        """A pair of two cameras without noise has its plain value, whatever the others have."""
        exact = np.arange(30) % 2 == 0
        own = {name: np.where(exact, 0.0, sigma) for name, sigma in BOTH.items()}
        plain = fov.overlap(street(30, 3, 80.0), street(30, 4, 80.0), shape=shape).matrix.toarray()
        query, database = street(30, 3, 80.0, extra=own), street(30, 4, 80.0, extra=own)
        mixed = fov.overlap(query, database, shape=shape).matrix.toarray()
        both = np.ix_(exact, exact)
        assert np.array_equal(mixed[both], plain[both])
        assert (mixed != plain).any()

    @pytest.mark.kernels
    @given(st.one_of(grid_view, nearly_grid_view), st.one_of(grid_view, nearly_grid_view))
    @settings(max_examples=20)
    def test_cameras_change_places(self, a, b):
        """The same bits either way, with opposite headings and common edges, for sectors and polygons."""
        for shape in fov.SHAPES:
            one = fov.pair_overlap(cameras([a]), cameras([b]), [0], [0], FovParams(shape=shape, **BOTH))
            other = fov.pair_overlap(cameras([b]), cameras([a]), [0], [0], FovParams(shape=shape, **BOTH))
            assert one.tobytes() == other.tobytes()

    @pytest.mark.parametrize("shape", fov.SHAPES)
    def test_self_pairs(self, shape):
        """Symmetric without the diagonal, with noise that differs from camera to camera."""
        rng = np.random.default_rng(0)
        own = {"heading_sigma_deg": rng.uniform(0, 20, 60), "position_sigma_m": rng.uniform(0, 10, 60)}
        one = street(60, 5, 120.0, extra=own)
        dense = fov.overlap(one, one, shape=shape).matrix.toarray()
        assert np.array_equal(dense, dense.T)
        assert dense.any()
        assert not dense.diagonal().any()

    @pytest.mark.parametrize("options", [{"threads": 1}, {"block": 1}, {"threads": 2, "block": 777}])
    def test_threads_and_blocks_do_not_show(self, options):
        query, database = street(25, 6, 90.0), street(50, 7, 90.0)
        assert same(fov.overlap(query, database, **BOTH), fov.overlap(query, database, **BOTH, **options))

    def test_how_many_pairs_at_once_does_not_show(self, monkeypatch):
        """Nor does the order of the cameras, nor where their standard deviations come from."""
        query, database = street(50, 6, 90.0), street(50, 7, 90.0)
        one = fov.overlap(query, database, **BOTH)
        own = {name: np.full(50, sigma) for name, sigma in BOTH.items()}
        assert same(one, fov.overlap(replace(query, extra=own), replace(database, extra=own)))
        assert same(one, fov.overlap(replace(query, extra=own), database, **BOTH))
        order = np.random.default_rng(0).permutation(50)
        shuffled = fov.overlap(query.take(order), database, **BOTH).matrix.toarray()
        assert np.array_equal(shuffled, one.matrix.toarray()[order])
        monkeypatch.setattr(noise, "PAIRS_AT_ONCE", 1)
        monkeypatch.setattr(noise, "FEWEST_AT_ONCE", 77)
        assert same(one, fov.overlap(query, database, **BOTH))


@pytest.mark.kernels
class TestOverlap:
    @given(st.lists(view, max_size=7), st.lists(view, max_size=7))
    @settings(max_examples=15)
    def test_no_pair_is_missed(self, left, right):
        """What the grid finds is what all pairs one by one have, though noise brings views together."""
        query, database = cameras(left, "q"), cameras(right, "d")
        rows, columns = (a.ravel() for a in np.indices((len(left), len(right))))
        given = {"heading_sigma_deg": 20.0, "position_sigma_m": 15.0}
        expected = fov.pair_overlap(query, database, rows, columns, FovParams(**given)).reshape(len(left), len(right))
        expected[expected <= 1e-6] = 0.0
        assert np.array_equal(fov.overlap(query, database, **given).matrix.toarray(), expected.astype(np.float32))

    @given(any_view, any_view, st.floats(0.0, 45.0), st.floats(0.0, 50.0))
    @settings(max_examples=20)
    def test_is_a_share(self, a, b, heading, position):
        """In [0, 1] under any noise."""
        sigmas = {"heading_sigma_deg": heading, "position_sigma_m": position}
        value = fov.pair_overlap(cameras([a]), cameras([b]), [0], [0], FovParams(**sigmas))[0]
        assert 0.0 <= value <= 1.0

    def test_more_pairs_with_more_noise(self):
        """The candidates only grow."""
        query, database = street(60, 8), street(60, 9)
        counts = [
            fov.source(query, database, FovParams(heading_sigma_deg=s, position_sigma_m=s)).candidates()
            for s in (0, 5, 10)
        ]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]

    def test_a_full_circle_does_not_mind_its_heading(self):
        query, database = street(20, 8, 60.0), street(20, 9, 60.0)
        plain = fov.overlap(query, database, fov_deg=360.0).matrix.toarray()
        noisy = fov.overlap(query, database, fov_deg=360.0, heading_sigma_deg=20.0).matrix.toarray()
        np.testing.assert_allclose(noisy, plain, atol=1e-6)

    def test_parameters_tell_of_the_noise(self):
        """A number where it is used, `per camera` where it is not, nothing where there is no noise of that kind."""
        query, database = street(5, 1), street(5, 2)
        own = {"heading_sigma_deg": np.full(5, 3.0)}
        for sides, sigmas, expected in (
            ((query, database), {"heading_sigma_deg": 3}, {"heading_sigma_deg": 3.0}),
            ((query, database), BOTH, BOTH),
            ((replace(query, extra=own), replace(database, extra=own)), {}, {"heading_sigma_deg": "per camera"}),
            ((replace(query, extra=own), database), {"heading_sigma_deg": 4.0}, {"heading_sigma_deg": 4.0}),
        ):
            params = fov.source(*sides, FovParams(**sigmas)).collection.params
            assert {name: value for name, value in params.items() if "sigma" in name} == expected

    def test_the_extent_is_the_cameras_own(self):
        query, database = street(5, 1), street(5, 2)
        plain, noisy = (
            fov.source(query, database).collection,
            fov.source(query, database, FovParams(**BOTH)).collection,
        )
        assert np.array_equal(plain.query_extent, noisy.query_extent, equal_nan=True)


class TestBadInput:
    @pytest.mark.parametrize("sigma", [-1.0, 46.0, float("nan"), float("inf")])
    def test_an_impossible_heading_sigma(self, sigma):
        one = street(3, 0)
        with pytest.raises(OptionError, match="heading_sigma_deg is"):
            fov.overlap(one, one, heading_sigma_deg=sigma)

    @pytest.mark.parametrize("sigma", [-1.0, float("nan"), float("inf")])
    def test_an_impossible_position_sigma(self, sigma):
        one = street(3, 0)
        with pytest.raises(OptionError, match="position_sigma_m is"):
            fov.overlap(one, one, position_sigma_m=sigma)

    @pytest.mark.parametrize(("value", "error"), [(-1.0, OptionError), (99.0, OptionError), (np.nan, InputError)])
    def test_a_cameras_own_names_the_camera(self, value, error):
        """NaN is unknown, not exact."""
        one = relabel.Cameras(
            ["a", "b"], np.zeros((2, 2)), heading_deg=[0.0, 0.0], extra={"heading_sigma_deg": np.array([1.0, value])}
        )
        with pytest.raises(error, match=r"'b' \(row 1, counted from 0\) has .*heading_sigma_deg"):
            fov.overlap(one, one)

    def test_nan_takes_the_number_that_is_given(self):
        own = {"heading_sigma_deg": np.array([1.0, np.nan])}
        one = relabel.Cameras(["a", "b"], np.zeros((2, 2)), heading_deg=[0.0, 10.0], extra=own)
        full = replace(one, extra={"heading_sigma_deg": np.array([1.0, 4.0])})
        found = fov.overlap(one, one, heading_sigma_deg=4.0)
        assert same(found, fov.overlap(full, full))
        assert found.collection.params["heading_sigma_deg"] == 4.0

    def test_a_column_of_words(self):
        own = {"position_sigma_m": np.array(["good", "bad"])}
        one = relabel.Cameras(["a", "b"], np.zeros((2, 2)), heading_deg=[0.0, 0.0], extra=own)
        with pytest.raises(InputError, match="position_sigma_m is not numeric"):
            fov.overlap(one, one)

    def test_what_is_not_labelled_may_be_anything(self):
        own = {"heading_sigma_deg": np.array([1.0, np.nan])}
        one = relabel.Cameras(["a", "b"], np.zeros((2, 2)), heading_deg=[0.0, np.nan], extra=own)
        assert fov.overlap(one, one).matrix.nnz == 0


class TestConversion:
    """relabel.similarity.Converted of expected values"""

    def test_overlap_and_dice_are_linear(self):
        """They become each other as plain values do."""
        query = street(40, 1, 100.0, radius_m=np.linspace(30, 60, 40))
        database = street(40, 2, 100.0)
        made = {m: fov.overlap(query, database, measure=m, min_value=0.0, **BOTH) for m in ("overlap", "dice")}
        np.testing.assert_allclose(
            made["overlap"].to_measure("dice").matrix.toarray(), made["dice"].matrix.toarray(), rtol=1e-5, atol=1e-6
        )

    @pytest.mark.parametrize(("source", "target"), [("iou", "dice"), ("iou", "overlap"), ("dice", "iou")])
    def test_iou_is_not(self, source, target):
        """The reason and the next step are told; to itself it converts."""
        one = street(10, 1, 50.0)
        psi = fov.overlap(one, one, measure=source, heading_sigma_deg=5.0)
        with pytest.raises(InputError, match=f"expected values under noise.*measure='{target}'"):
            psi.to_measure(target)
        assert same(psi.to_measure(source), psi)


class TestMaxHeadingDifference:
    """relabel.fov.overlap(max_heading_difference_deg=…)"""

    @pytest.mark.parametrize("given", [{}, BOTH])
    @pytest.mark.parametrize("most", [15.0, 90.0, 170.0])
    def test_others_are_left_out(self, most, given):
        """All pairs within it keep their value to the bit, headings a whole number of steps apart among them."""
        query, database = street(60, 1, 100.0), street(60, 2, 100.0)
        whole = fov.overlap(query, database, **given).matrix.toarray()
        turn = np.abs(query.heading_deg[:, None] - database.heading_deg)
        expected = np.where(np.minimum(turn, 360.0 - turn) <= most, whole, np.float32(0.0))
        found = fov.overlap(query, database, max_heading_difference_deg=most, **given)
        assert np.array_equal(found.matrix.toarray(), expected)
        assert found.collection.params["max_heading_difference_deg"] == most
        rows, columns = (a.ravel() for a in np.indices(whole.shape))
        ok = query.ok[rows] & database.ok[columns]
        one_by_one = fov.pair_overlap(
            query, database, rows[ok], columns[ok], FovParams(max_heading_difference_deg=most, **given)
        ).astype(np.float32)
        assert np.array_equal(np.where(one_by_one > 1e-6, one_by_one, 0), expected[rows[ok], columns[ok]])

    def test_facing_cameras_go(self):
        """The known artefact of the measure."""
        query, database = cameras([View(0, 0, 0, 90, 50)]), cameras([View(0, 60, 180, 90, 50)])
        assert fov.overlap(query, database).matrix.nnz == 1
        assert fov.overlap(query, database, max_heading_difference_deg=120.0).matrix.nnz == 0

    def test_tenths_of_a_degree_are_no_trap(self):
        """0.1° and 330.1° are 30° apart, though not in floating point."""
        one = relabel.Cameras(["a", "b"], np.zeros((2, 2)), heading_deg=[0.1, 330.1])
        assert fov.overlap(one, one, max_heading_difference_deg=30.0).matrix.nnz == 2

    def test_180_is_none(self):
        one = street(20, 1)
        assert "max_heading_difference_deg" not in fov.source(one, one).collection.params

    @pytest.mark.parametrize("most", [0.0, -1.0, 181.0, float("nan")])
    def test_impossible(self, most):
        one = street(3, 0)
        with pytest.raises(OptionError, match="heading difference "):
            fov.overlap(one, one, max_heading_difference_deg=most)


class TestNodes:
    """The nodes of relabel.fov.noise"""

    def test_weights(self):
        """Positive, with the centre's, so that a mean of shares is a share."""
        assert (noise.WEIGHTS > 0.0).all()
        assert 4.0 * noise.WEIGHTS.sum() < 1.0
        assert len(noise.WEIGHTS) == len(noise.POINTS)

    def test_no_camera_is_turned_past_its_back(self):
        """What the kernel that turns them relies on."""
        from relabel.fov.params import MAX_HEADING_SIGMA_DEG

        assert noise.LONGEST_TURN * MAX_HEADING_SIGMA_DEG < 180.0
