"""The audit of headings: each fault, put into a clean synthetic city, is found there and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.audit.headings import near_pairs
from relabel.audit.headings.audit import audit, step_of
from relabel.audit.headings.tracks import LEAST_STRAIGHT, centres, facing
from relabel.audit.headings.types import DEFAULT_REASONS, REASONS, SideAudit, Thresholds, untrusted
from relabel.cameras import Cameras, Status
from relabel.datasets import mask as mask_file
from relabel.datasets.msls import city as msls
from relabel.errors import OptionError, OutputExistsError
from relabel.geometry.headings import difference_deg
from relabel.geometry.projection import unproject
from relabel.plot.headings import headings_figure
from relabel.report.heading_audit import summary
from relabel.synthetic import msls as synthetic

Floats = npt.NDArray[np.float64]
Fault = Callable[[npt.NDArray[np.int64], Floats, np.random.Generator], npt.NDArray[np.int64]]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Cameras:
    """A synthetic city, 6,000 cameras in 120 drives, without the drive whose compass is stuck."""
    root = tmp_path_factory.mktemp("city")
    synthetic.write_tree(root, cameras=6000, seed=1)
    cameras = msls.read(root, city=synthetic.CITY).query
    heading = {name: set() for name in np.unique(cameras.extra["sequence"])}  # type: dict[str, set[float]]
    for name, value in zip(cameras.extra["sequence"], cameras.heading_deg, strict=True):
        heading[name].add(value)
    stuck = [name for name, values in heading.items() if len(values) == 1]
    assert len(stuck) == 1
    return cameras.take(cameras.extra["sequence"] != stuck[0])


@pytest.fixture(scope="module")
def spoiled(city: Cameras) -> Cameras:
    """The city with flips and spikes in it."""
    cameras, _ = with_fault(with_fault(city, flipped, 6)[0], spikes, 6)
    return cameras


def one_side(cameras: Cameras, **thresholds: Any) -> SideAudit:
    (side,) = audit(cameras, cameras, thresholds=Thresholds(**thresholds)).sides
    return side


def drives(cameras: Cameras, least: int = 30) -> list[npt.NDArray[np.int64]]:
    """The rows that can be looked at of each drive of so many, in the order of frames."""
    found = []
    for name in np.unique(cameras.extra["sequence"]):
        rows = np.flatnonzero((cameras.extra["sequence"] == name) & cameras.ok)
        if len(rows) >= least:
            found.append(rows[np.argsort(cameras.extra["frame"][rows])])
    return found


def with_fault(cameras: Cameras, fault: Fault, drives_at_fault: int = 12) -> tuple[Cameras, npt.NDArray[np.bool_]]:
    """The cameras with a fault in some drives, and the rows that have it."""
    rng = np.random.default_rng(5)
    heading, wrong = cameras.heading_deg.copy(), np.zeros(len(cameras), bool)
    every = drives(cameras)
    for number in rng.permutation(len(every))[:drives_at_fault]:
        wrong[fault(every[number], heading, rng)] = True
    return replace(cameras, heading_deg=heading), wrong


def stuck(rows: npt.NDArray[np.int64], heading: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    heading[rows] = heading[rng.choice(rows)]
    return rows


def flipped(rows: npt.NDArray[np.int64], heading: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    start = rng.integers(2, len(rows) // 2)
    part = rows[start : start + len(rows) // 3]
    heading[part] += 180.0
    return part


def spikes(rows: npt.NDArray[np.int64], heading: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    part = rng.choice(rows[3:-3], 2, replace=False)
    heading[part] += rng.choice([-1.0, 1.0]) * rng.uniform(100.0, 180.0)
    return part


def turned(rows: npt.NDArray[np.int64], heading: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    start = rng.integers(2, len(rows) // 2)
    part = rows[start : start + 10]
    heading[part] += rng.choice([-90.0, 90.0])
    return part


def noise(rows: npt.NDArray[np.int64], heading: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    heading[rows] = rng.uniform(0.0, 360.0, len(rows))
    return rows


class TestFaults:
    """relabel.audit.headings.audit.audit on a city with one kind of fault"""

    def test_a_clean_city_has_none(self, city: Cameras) -> None:
        """Corners, noise of 4.5°, GPS jitter, cameras that look backward or sideways: none is at fault."""
        side = one_side(city)
        assert {name: int(side.faults[name].sum()) for name in DEFAULT_REASONS} == dict.fromkeys(DEFAULT_REASONS, 0)
        assert untrusted(side, DEFAULT_REASONS) == ()

    @pytest.mark.parametrize(
        ("fault", "reason", "precision", "recall"),
        [
            (stuck, "constant", 1.0, 1.0),
            (flipped, "flipped", 1.0, 1.0),
            # A spike on a corner may be what the track explains, and so may one end of a part turned by 90°.
            (spikes, "jumping", 1.0, 0.85),
            (turned, "jumping", 0.95, 0.85),
            (noise, "jumping", 1.0, 1.0),
        ],
    )
    def test_are_found(self, city: Cameras, fault: Fault, reason: str, precision: float, recall: float) -> None:
        """Of the rows that were spoiled at least `recall` are found, of those found `precision` were spoiled."""
        spoiled, wrong = with_fault(city, fault)
        side = one_side(spoiled)
        found = side.faults[reason]
        both = np.count_nonzero(found & wrong)
        assert both >= recall * np.count_nonzero(wrong)
        assert both >= precision * np.count_nonzero(found)
        others = [name for name in DEFAULT_REASONS if name != reason]
        assert not side.faulty(others).any()
        bad = {s.name for s in untrusted(side, [reason])}
        if precision == recall == 1.0:
            assert bad == set(city.extra["sequence"][wrong])

    def test_frame_gaps(self, city: Cameras) -> None:
        """Where two thirds of the images are not there nothing is made up, and most flips are still found."""
        kept = np.random.default_rng(0).random(len(city)) < 1.0 / 3.0
        assert not one_side(city.take(kept)).faulty(DEFAULT_REASONS).any()
        spoiled, wrong = with_fault(city, flipped)
        # Of a part that is left with one or two images it is only said that they jump.
        found = one_side(spoiled.take(kept)).faulty(["flipped", "jumping"])
        assert np.count_nonzero(found & wrong[kept]) >= 0.7 * np.count_nonzero(wrong[kept])
        assert np.count_nonzero(found & ~wrong[kept]) <= 0.05 * np.count_nonzero(found)

    def test_stops(self, city: Cameras) -> None:
        """Twenty images at a stop whose positions wander by a metre have no direction of travel that could jump."""
        rng = np.random.default_rng(2)
        rows = np.concatenate([np.insert(d, 15, np.repeat(d[15], 20)) for d in drives(city)])
        number = np.concatenate([np.arange(len(d) + 20) for d in drives(city)])
        standing = (number >= 15) & (number < 36)
        wander = np.where(standing[:, np.newaxis], rng.normal(0.0, 0.7, (len(rows), 2)), 0.0)
        again = Cameras(
            key=[f"k{i}" for i in range(len(rows))],
            position=city.position[rows] + wander,
            heading_deg=city.heading_deg[rows],
            extra={"sequence": city.extra["sequence"][rows], "frame": number},
        )
        assert not one_side(again).faulty(DEFAULT_REASONS).any()

    def test_against_travel(self, city: Cameras) -> None:
        """What view_direction says is not against it; without that column all that is not forward is."""
        assert one_side(city).faults["against_travel"].sum() == 0
        bare = replace(city, extra={name: city.extra[name] for name in ("sequence", "frame")})
        side = one_side(bare, against_deg=135.0)
        view = city.extra["view_direction"]
        judged = np.isfinite(side.offset_deg)
        assert np.array_equal(side.faults["against_travel"], judged & (view == "Backward"))
        looks = {s.name: s.facing for s in side.sequences}
        expected = {"Forward": {"forward"}, "Backward": {"backward"}, "Sideways": {"left", "right"}}
        for name, told in zip(city.extra["sequence"], view, strict=True):
            assert looks[name] in expected[told] | {"unknown"}

    def test_alone_is_a_hint(self) -> None:
        """One camera against four around it, which agree; not two against three, nor one that has two around it."""
        place = np.array([0, 0, 0, 0, 0, 100, 100, 100, 100, 100, 200, 200, 200], float)
        heading = [10.0, 20.0, 0.0, 350.0, 185.0, 0.0, 0.0, 0.0, 180.0, 180.0, 0.0, 0.0, 180.0]
        cameras = Cameras(
            key=[f"k{i}" for i in range(len(place))], position=np.column_stack([place, place]), heading_deg=heading
        )
        assert np.flatnonzero(one_side(cameras).faults["alone"]).tolist() == [4]


class TestInvariance:
    """What must not matter."""

    def test_order_of_rows(self, spoiled: Cameras) -> None:
        """The same cameras are at fault in any order."""
        order = np.random.default_rng(3).permutation(len(spoiled))
        before, after = one_side(spoiled), one_side(spoiled.take(order))
        for name in REASONS:
            assert np.array_equal(before.faults[name][order], after.faults[name]), name
        assert np.array_equal(before.travel_deg[order], after.travel_deg, equal_nan=True)

    @pytest.mark.parametrize("turn", [90.0, 123.0, 270.0])
    def test_north(self, spoiled: Cameras, turn: float) -> None:
        """A city that is turned, so that other headings wrap around north, has the same faults."""
        a = np.radians(turn)
        middle = spoiled.position.mean(axis=0)
        moved = (spoiled.position - middle) @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) + middle
        before = one_side(spoiled)
        after = one_side(replace(spoiled, position=moved, heading_deg=spoiled.heading_deg + turn))
        for name in (*DEFAULT_REASONS, "against_travel"):
            assert np.array_equal(before.faults[name], after.faults[name]), name
        assert (
            np.abs(difference_deg(after.travel_deg - before.travel_deg, turn))[np.isfinite(before.travel_deg)].max()
            < 1e-6
        )

    def test_the_earth(self, spoiled: Cameras) -> None:
        """By longitude and latitude the same is found as on the map, here near its central meridian."""
        lon_lat = unproject(*spoiled.position.T, spoiled.crs)
        before = one_side(spoiled)
        (after,) = audit(spoiled, spoiled, geographic=(lon_lat, lon_lat)).sides
        for name in DEFAULT_REASONS:
            assert np.array_equal(before.faults[name], after.faults[name]), name
        apart = np.abs(difference_deg(after.travel_deg, before.travel_deg))
        assert np.nanmax(apart) < 0.2  # the convergence of the meridians


class TestSide:
    """Figures of one set of cameras."""

    def test_counts(self) -> None:
        """Panoramas and rows without a position are passed over; a missing heading is counted where there is one."""
        cameras = Cameras(
            key=list("abcde"),
            position=[(0, 0), (9, 0), (np.nan, 0), (18, 0), (27, 0)],
            heading_deg=[90.0, np.nan, 90.0, 90.0, 30.0],
            status=[0, 0, 0, 0, Status.PANORAMA],
            extra={"sequence": np.array(["s"] * 5), "frame": np.arange(5)},
        )
        side = one_side(cameras)
        assert (side.rows, side.panoramas, side.unplaced, side.missing, side.distinct) == (5, 1, 1, 1, 1)
        assert (side.sequences[0].rows, side.sequences[0].missing) == (5, 1)

    @pytest.mark.parametrize(
        ("heading", "step"),
        [([0.0, 30.0, 330.0], 30.0), ([0.0, 180.0], 90.0), ([1.0, 17.0], 1.0), ([0.5], None), ([], None)],
    )
    def test_step(self, heading: list[float], step: float | None) -> None:
        """The largest step of a list that all headings are multiples of."""
        assert step_of(np.array(heading)) == step

    @pytest.mark.parametrize(("heading", "bend", "found"), [(90.0, False, 0), (90.0, True, 12), (90.25, False, 12)])
    def test_constant(self, *, heading: float, bend: bool, found: int) -> None:
        """On a straight street a heading in whole degrees may stay the same; beside a bend, or to a fraction, not."""
        way = np.arange(12) * 10.0
        x, y = (np.minimum(way, 60.0), np.maximum(way - 60.0, 0.0)) if bend else (way, np.zeros(12))
        cameras = Cameras(
            key=[f"k{i}" for i in range(12)],
            position=np.column_stack([x, y]),
            heading_deg=np.full(12, heading),
            extra={"sequence": np.zeros(12), "frame": np.arange(12)},
        )
        assert one_side(cameras).faults["constant"].sum() == found

    @pytest.mark.parametrize("n", [0, 1, 2, 5])
    @pytest.mark.parametrize("apart", [0.0, 1.0, 1e3])
    def test_little(self, n: int, apart: float) -> None:
        """None, one or few cameras, at one place or far apart, have no faults and no warnings."""
        cameras = Cameras(
            key=[f"k{i}" for i in range(n)],
            position=np.arange(2.0 * n).reshape(n, 2) * apart,
            heading_deg=np.arange(n) * 100.0,
            extra={"sequence": np.array(["s"] * n, dtype=str), "frame": np.arange(n)},
        )
        found = audit(cameras, cameras)
        assert not found.sides[0].faulty(DEFAULT_REASONS).any()
        json.dumps(found.to_json(), allow_nan=False)

    def test_nothing_known(self) -> None:
        """Cameras without any heading or position, and without sequences."""
        cameras = Cameras(key=list("abc"), position=np.full((3, 2), np.nan))
        found = audit(cameras, cameras.take([0, 1]))
        assert [side.unplaced for side in found.sides] == [3, 2]
        assert found.near.opposite_share is None
        json.dumps(found.to_json(), allow_nan=False)


def circular_median(angles: list[float]) -> float:
    """The angle, of all there are and of all in the middle of two, from which the others are nearest in sum."""
    tried = np.array([(a + difference_deg(b, a) / 2.0) % 360.0 for a in angles for b in angles])
    away = np.abs(difference_deg(np.array(angles)[np.newaxis, :], tried[:, np.newaxis])).sum(axis=1)
    return float(tried[away.argmin()])


class TestCentres:
    """relabel.audit.headings.tracks.centres"""

    @given(st.lists(st.floats(-40.0, 40.0), min_size=LEAST_STRAIGHT, max_size=30), st.floats(0.0, 360.0))
    def test_of_what_is_close_together(self, near: list[float], middle: float) -> None:
        """As near to all angles as the circular median by its definition, wherever north is."""
        angles = [(a + middle) % 360.0 for a in near]
        group = np.zeros(len(angles), np.int64)
        centre, spread, count = centres(np.array(angles), group, 1)
        away = np.abs(difference_deg(angles, centre[0]))
        least = np.abs(difference_deg(angles, circular_median(angles)))
        assert away.sum() <= least.sum() + 1e-6
        assert abs(np.median(away) - spread[0]) < 1e-9
        assert count[0] == len(angles)

    def test_groups(self) -> None:
        """Each group by itself; a third of outliers does not move it, and too few have none."""
        angle = np.array([179.0, -179.0, 180.0, 181.0, 180.0, 0.0, 20.0, 5.0, 5.0, np.nan])
        group = np.array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
        centre, spread, count = centres(angle, group, 3)
        assert abs(difference_deg(centre[0], 180.0)) < 1.5
        assert np.isnan(centre[1:]).all()
        assert np.isnan(spread[1:]).all()
        assert count.tolist() == [7, 2, 0]

    def test_facing(self) -> None:
        """The side of travel that a camera looks to."""
        centre = np.array([0.0, -46.0, 46.0, 134.0, -180.0, np.nan, 0.0])
        spread = np.array([1.0, 1.0, 1.0, 1.0, 1.0, np.nan, 31.0])
        assert facing(centre, spread).tolist() == ["forward", "left", "right", "right", "backward", "unknown", "mixed"]


place = st.integers(0, 6).map(lambda v: 5.0 * v)
cameras_near = st.lists(st.tuples(place, place, st.integers(0, 23).map(lambda v: 15.0 * v)), max_size=25)


class TestNear:
    """relabel.audit.headings.near_pairs"""

    @given(a=cameras_near, b=cameras_near, itself=st.booleans())
    def test_all_pairs(self, a: list[tuple[float, ...]], b: list[tuple[float, ...]], *, itself: bool) -> None:
        """The pairs of a double loop, many of them at exactly the radius."""
        one, two = (np.array(side, float).reshape(-1, 3) for side in (a, a if itself else b))
        found = near_pairs.near_pairs(
            (one[:, :2], one[:, 2]), (two[:, :2], two[:, 2]), self_pairs=itself, radius_m=10.0, place_m=5.0,
            flip_deg=150.0,
        )  # fmt: skip
        expected = [
            (float(np.hypot(*(p[:2] - q[:2]))), abs(float(difference_deg(p[2], q[2]))))
            for i, p in enumerate(one)
            for j, q in enumerate(two)
            if not (itself and i >= j) and np.hypot(*(p[:2] - q[:2])) <= 10.0
        ]
        assert found.pairs == found.looked_at == len(expected)
        assert found.opposite == sum(turn > 150.0 for _, turn in expected)
        assert found.place_pairs == sum(d <= 5.0 for d, _ in expected)
        assert found.place_opposite == sum(d <= 5.0 and turn > 150.0 for d, turn in expected)
        counts, _ = np.histogram([turn for _, turn in expected], bins=np.arange(0.0, 181.0, 15.0))
        assert found.histogram == tuple(counts)

    @given(cameras_near)
    def test_alone(self, table: list[tuple[float, ...]]) -> None:
        """As by a loop over cameras and their neighbours."""
        cameras = np.array(table, float).reshape(-1, 3)
        found = near_pairs.alone(cameras[:, :2], cameras[:, 2], place_m=7.0, flip_deg=150.0)
        for i, (x, y, heading) in enumerate(cameras):
            others = np.delete(cameras, i, axis=0)
            around = others[np.hypot(others[:, 0] - x, others[:, 1] - y) <= 7.0, 2]
            if len(around) < near_pairs.LONE_NEIGHBOURS:
                assert not found[i]
                continue
            total = np.exp(1j * np.radians(around)).sum()
            if abs(total) < 1e-9:
                continue  # they look nowhere in the mean
            away = np.abs(difference_deg(around, np.degrees(np.angle(total))))
            against = abs(float(difference_deg(heading, np.degrees(np.angle(total)))))
            if min(abs(away - 30.0).min(), abs(against - 150.0)) > 1e-9:
                assert found[i] == ((away <= 30.0).all() and against > 150.0)

    def test_sample(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where pairs are too many, those of every n-th camera are looked at, and give the same shares."""
        rng = np.random.default_rng(0)
        position, heading = rng.uniform(0.0, 100.0, (2000, 2)), rng.normal(0.0, 60.0, 2000) % 360.0

        def shares() -> tuple[near_pairs.NearHeadings, Floats]:
            near = near_pairs.near_pairs(
                (position, heading), (position, heading), self_pairs=True, radius_m=10.0, place_m=2.0, flip_deg=150.0
            )
            return near, np.array(near.histogram) / near.looked_at

        whole, expected = shares()
        monkeypatch.setattr(near_pairs, "_MOST_COMPARED", 10_000)
        monkeypatch.setattr(near_pairs, "_BLOCK_PAIRS", 1_000)
        part, found = shares()
        assert part.pairs == whole.pairs == whole.looked_at
        assert 5_000 < part.looked_at < 20_000
        assert np.abs(found - expected).max() < 0.03

    def test_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Small blocks change nothing."""
        rng = np.random.default_rng(0)
        position, heading = rng.uniform(0.0, 60.0, (900, 2)), rng.choice([0.0, 10.0, 180.0], 900, p=[0.6, 0.35, 0.05])

        def results() -> tuple[Any, list[int]]:
            near = near_pairs.near_pairs(
                (position, heading), (position, heading), self_pairs=True, radius_m=10.0, place_m=2.0, flip_deg=150.0
            )
            alone = near_pairs.alone(position, heading, place_m=2.0, flip_deg=150.0)
            return near, np.flatnonzero(alone).tolist()

        whole = results()
        assert whole[1]
        monkeypatch.setattr(near_pairs, "_BLOCK_PAIRS", 50)
        monkeypatch.setattr(near_pairs, "_BLOCK_ROWS", 100)
        assert results() == whole


class TestThresholds:
    """relabel.audit.headings.types.Thresholds"""

    @pytest.mark.parametrize(
        "wrong",
        [{"step_m": 0.0}, {"gap_m": 4.0}, {"jump_deg": 181.0}, {"flip_deg": 90.0}, {"near_m": np.nan},
         {"place_m": np.inf}, {"constant_frames": 1}, {"against_deg": -1.0}],
    )  # fmt: skip
    def test_refused(self, wrong: dict[str, float]) -> None:
        """A value that means nothing is named."""
        with pytest.raises(OptionError, match=next(iter(wrong))):
            Thresholds(**wrong)  # type: ignore[arg-type]


class TestText:
    """relabel.report.heading_audit.summary"""

    def test_verdict(self, city: Cameras) -> None:
        """One sentence: how many, where, why, and what to do."""
        spoiled, wrong = with_fault(city, flipped, 3)
        found = [audit(spoiled, spoiled, name="town")]
        told = summary.verdict(found, DEFAULT_REASONS, command="relabel msls", mask="m.csv")
        sequences = len(np.unique(city.extra["sequence"]))
        assert told == (
            f"{wrong.sum()} of {len(city):,} cameras in 3 of {sequences} sequences should not be trusted "
            f"({wrong.sum()} with parts turned by 180°): `relabel msls … --mask m.csv` leaves them out."
        )
        clean = summary.verdict([audit(city, city)], DEFAULT_REASONS, command="relabel msls", mask=None)
        assert clean == f"No heading in the {sequences} sequences needs to be left out."

    def test_without_sequences(self) -> None:
        """What could not be looked for is said."""
        cameras = Cameras(key=["a"], position=[(0, 0)], heading_deg=[0.0])
        told = summary.verdict([audit(cameras, cameras)], DEFAULT_REASONS, command="relabel names", mask=None)
        assert "without sequences" in told

    def test_mask(self, city: Cameras, tmp_path: Path) -> None:
        """Every camera at fault once, with its side, its collection and all its reasons."""
        spoiled, wrong = with_fault(city, flipped, 3)
        found = [audit(spoiled, city, name="town")]
        path = tmp_path / "m.csv"
        assert summary.write_mask(path, found, [*DEFAULT_REASONS, "against_travel"]) == wrong.sum()
        head, *lines = path.read_text().splitlines()
        assert head == "key,side,collection,reason"
        cells = [line.split(",") for line in lines]
        assert {key for key, *_ in cells} == set(city.key[wrong])
        assert {tuple(rest) for _, *rest in cells} <= {
            ("query", "town", "flipped"),
            ("query", "town", "flipped;against_travel"),
        }
        with pytest.raises(OutputExistsError):
            summary.write_mask(path, found, DEFAULT_REASONS)

    def test_mask_of_any_keys(self, city: Cameras, tmp_path: Path) -> None:
        """Every key comes back through the reader of masks, a lone carriage return in it too."""
        spoiled, wrong = with_fault(city, flipped, 3)
        keys = np.array([f'a\r,"{key}"\n' for key in spoiled.key])
        path = tmp_path / "m.csv"
        summary.write_mask(path, [audit(replace(spoiled, key=keys), city, name="town")], DEFAULT_REASONS)
        assert set(mask_file.read(path).key) == set(keys[wrong])


class TestFigure:
    """relabel.plot.headings.headings_figure"""

    @pytest.mark.parametrize("suffix", [".svg", ".png"])
    def test_same_bytes(self, city: Cameras, tmp_path: Path, suffix: str) -> None:
        """A figure, the same each time."""
        found = [audit(city.take(slice(0, 800)), city.take(slice(800, 1600)))]
        one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
        headings_figure(one, found)
        headings_figure(two, found)
        assert one.read_bytes() == two.read_bytes()

    def test_which_and_where(self, city: Cameras, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The map has the cameras at fault where they are, and the bars their number by sequence."""
        heading = city.heading_deg.copy()
        stuck = city.extra["sequence"] == city.extra["sequence"][0]
        heading[stuck] = 7.25
        found = audit(*[replace(city, heading_deg=heading)] * 2)
        drawn: list[Any] = []
        monkeypatch.setattr("relabel.figures.save", lambda figure, path, suffix: (drawn.append(figure), path.touch()))
        headings_figure(tmp_path / "a.svg", [found])
        *_, where, which = drawn[0].axes
        [faulty] = [c for c in where.collections if str(c.get_label()).startswith("constant")]
        np.testing.assert_array_equal(faulty.get_offsets(), city.position[found.sides[0].faults["constant"], :2])
        assert {bar.get_width() for bar in which.patches} == {int(found.sides[0].faults["constant"].sum()), 0}
        assert which.get_yticklabels()[0].get_text() == str(city.extra["sequence"][0])

    def test_nothing_to_show(self, tmp_path: Path) -> None:
        """Without sequences there are two panels, without headings empty ones."""
        cameras = Cameras(key=["a", "b"], position=np.zeros((2, 2)))
        headings_figure(tmp_path / "a.svg", [audit(cameras, cameras)])
        assert "direction of travel" not in (tmp_path / "a.svg").read_text()


@pytest.mark.real_data
class TestRealData:
    """Amman of MSLS, whose compass was made from the tangent of its tracks."""

    def test_amman(self, real_data: Path) -> None:
        """What is found are the places where tangents were taken across a gap of a track, nearly all, and nothing else.

        The check takes the way to the nearest places of the track within 50 m, by a loop.
        """
        city = msls.read(real_data / "msls", city="amman")
        for side, cameras in zip(audit(city.query, city.database).sides, (city.query, city.database), strict=True):
            jumping, missed = side.faults["jumping"], 0
            assert jumping.any()
            assert not side.faulty(["constant", "flipped"]).any()
            for name in np.unique(cameras.extra["sequence"]):
                rows = np.flatnonzero(cameras.extra["sequence"] == name)
                rows = rows[np.argsort(cameras.extra["frame"][rows])]
                for k, row in enumerate(rows):
                    ways = [
                        (b - a) @ [1.0, 1.0j]
                        for a, b in zip(cameras.position[rows[max(k - 1, 0) : k + 1]],
                                        cameras.position[rows[k : k + 2]], strict=False)
                        if 0.0 < np.hypot(*(b - a)) < 50.0
                    ]  # fmt: skip
                    away = [
                        abs(float(difference_deg(cameras.heading_deg[row], 90.0 - np.degrees(np.angle(way)))))
                        for way in ways
                    ]
                    if jumping[row]:
                        assert min(away) > 90.0, (name, k)
                    if len(rows) >= 8 and away and min(away) > 150.0:
                        missed += not jumping[row]
            assert missed <= 0.1 * np.count_nonzero(jumping)
