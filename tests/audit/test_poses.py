"""relabel.audit.poses: each convention that can be mistaken is planted in a right drive, and named there alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from relabel.audit.audit import audit
from relabel.audit.findings import Finding
from relabel.cameras import Cameras, FloatArray
from relabel.datasets import table
from relabel.datasets.base import CameraSets
from relabel.frames import Frames


def drive(n: int = 120, *, step_m: float = 4.0, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Places (n, 2) east and north along a winding street, and the direction of travel (n,) in degrees from north."""
    rng = np.random.default_rng(seed)
    angle = np.cumsum(rng.normal(0.0, 6.0, n)) + np.linspace(0.0, 400.0, n)
    way = np.column_stack([np.sin(np.radians(angle)), np.cos(np.radians(angle))]) * step_m
    return np.cumsum(way, axis=0) - way / 2.0, angle % 360.0


def cameras(position: FloatArray, heading_deg: FloatArray, *, ordered: bool = True, **columns: object) -> Cameras:
    """A drive with its columns of sequence and frame, or cameras without."""
    n = len(position)
    extra = {"sequence": np.array(["s"] * n), "frame": np.arange(n)} if ordered else {}
    return Cameras([f"k{k}" for k in range(n)], position, heading_deg=heading_deg, extra=extra | columns)  # type: ignore[arg-type]


def findings(query: Cameras, **params: object) -> dict[str, Finding]:
    report = audit(CameraSets(query=query, database=query, params=params))
    return {finding.code: finding for finding in report.findings}


PLACES, TRAVEL = drive()
UTM = np.array([766_000.0, 3_537_000.0])
NOISE = np.random.default_rng(1).normal(0.0, 4.0, len(TRAVEL))


class TestRight:
    """What is as it should be gives no finding."""

    def test_drive(self) -> None:
        assert findings(cameras(PLACES, TRAVEL + NOISE)) == {}
        assert findings(cameras(PLACES, TRAVEL + NOISE, ordered=False)) == {}

    def test_straight_street(self) -> None:
        """All headings are equal, and rightly; and all are within 2π of north."""
        places = np.column_stack([np.zeros(60), np.arange(60) * 5.0])
        assert findings(cameras(places, np.full(60, 0.0))) == {}
        assert findings(cameras(places, np.linspace(-4.0, 4.0, 60))) == {}

    def test_all_round(self) -> None:
        """Twelve views of each of 30 places."""
        places = np.repeat(PLACES[:30], 12, axis=0)
        assert findings(cameras(places, np.tile(np.arange(12) * 30.0, 30), ordered=False)) == {}

    def test_panoramas_anywhere(self) -> None:
        """Places without an order, with views or with several visits of each."""
        rng = np.random.default_rng(2)
        places = np.repeat(rng.uniform(0.0, 5000.0, (60, 2)), 4, axis=0)
        heading = rng.uniform(0.0, 360.0, len(places))
        assert findings(cameras(places, heading, ordered=False)) == {}
        assert findings(cameras(places + rng.normal(0.0, 3.0, places.shape), heading, ordered=False)) == {}

    def test_few(self) -> None:
        """Of some cameras nothing is said."""
        assert findings(cameras(np.zeros((5, 2)), np.zeros(5))) == {}

    def test_both_ways(self) -> None:
        """Two drives through one street, there and back; a gap of 90 m between two images."""
        there = cameras(
            np.vstack([PLACES, PLACES[::-1] + np.array([0.0, 90.0])]), np.append(TRAVEL, TRAVEL[::-1] + 180.0)
        )
        assert findings(there) == {}


class TestHeadings:
    @pytest.mark.parametrize(
        ("planted", "code", "figure"),
        [
            (lambda h: h + 90.0, "heading-offset", ("turned_deg", 90.0)),
            (lambda h: h + 180.0, "heading-offset", ("turned_deg", -180.0)),
            (lambda h: h - 45.0, "heading-offset", ("turned_deg", -45.0)),
            (lambda h: 90.0 - h, "heading-mirrored", ("sum_deg", 90.0)),
            (lambda h: -h, "heading-mirrored", ("sum_deg", 0.0)),
            (lambda h: np.full(len(h), 77.0), "headings-equal", ("heading_deg", 77.0)),
            (np.radians, "headings-radians", None),
        ],
    )
    @pytest.mark.parametrize("ordered", [True, False])
    def test_planted(
        self,
        planted: Callable[[FloatArray], FloatArray],
        code: str,
        figure: tuple[str, float] | None,
        ordered: bool,
    ) -> None:
        """Each is named, whether columns or the rows tell the order."""
        found = findings(cameras(PLACES, planted(TRAVEL + NOISE * (code != "headings-radians")), ordered=ordered))
        assert list(found) == [code]
        if figure is not None:
            value = found[code].figures[figure[0]]
            assert value is not None
            assert abs((value - figure[1] + 180.0) % 360.0 - 180.0) < 5.0

    @pytest.mark.parametrize(
        ("turn_deg", "mounted", "change"),
        [
            (90.0, "to the right", "subtract 90° from"),
            (-90.0, "to the left", "add 90° to"),
            (-30.0, "slightly to the left", "add 30° to"),
        ],
    )
    def test_both_reasons_of_an_offset(self, turn_deg: float, mounted: str, change: str) -> None:
        """Cause and remedy each say what holds if the cameras look ahead, and what if they do not."""
        finding = findings(cameras(PLACES, TRAVEL + turn_deg))["heading-offset"]
        assert finding.cause == (
            f"either the cameras are mounted to look {mounted}, and the headings are right; or the headings are not "
            "measured from north"
        )
        assert finding.remedy == (
            f"if the cameras look ahead, {change} the headings, or use --heading travel where the command has it"
        )

    def test_swapped_places(self) -> None:
        """East and north swapped: the track turns the other way than the headings."""
        assert list(findings(cameras(PLACES[:, ::-1].copy(), TRAVEL + NOISE))) == ["heading-mirrored"]

    def test_where_the_dataset_says_so(self) -> None:
        """Cameras that are said to look sideways or back are not measured against travel."""
        view = np.array(["Sideways"] * len(TRAVEL))
        assert findings(cameras(PLACES, TRAVEL + 90.0, view_direction=view)) == {}
        assert list(findings(cameras(PLACES, TRAVEL + 90.0, view_direction=np.array(["Forward"] * len(TRAVEL))))) == [
            "heading-offset"
        ]

    def test_compasses_at_fault(self) -> None:
        """A third of a drive turned round; what `relabel headings` finds is said here as well, where it is much."""
        heading = TRAVEL + NOISE
        heading[40:80] += 180.0
        assert list(findings(cameras(PLACES, heading))) == ["heading-flips"]
        heading = TRAVEL + NOISE
        heading[40] += 180.0
        assert findings(cameras(PLACES, heading)) == {}


class TestPositions:
    @pytest.mark.parametrize(
        ("places", "codes"),
        [
            (PLACES / 100.0, ["scale-small"]),
            (PLACES * 10_000.0, ["scale-large"]),
            (PLACES / 111_000.0 + np.array([35.9, 31.9]), ["positions-degrees"]),
            ((PLACES + UTM).astype(np.float32).astype(float), ["positions-float32"]),
            (np.round(PLACES + UTM, 2), []),
            (np.round(PLACES + UTM), []),
        ],
    )
    def test_scale(self, places: FloatArray, codes: list[str]) -> None:
        """Too small, too large, degrees, single precision; decimals and whole metres are none of these."""
        assert list(findings(cameras(places, TRAVEL + NOISE, ordered=False))) == codes

    def test_jumps(self) -> None:
        """Positions that are off for a while are two leaps."""
        places = PLACES.copy()
        places[50:53] += 5000.0
        found = findings(cameras(places, TRAVEL + NOISE))
        assert list(found) == ["track-jumps"]
        assert (found["track-jumps"].count, found["track-jumps"].total) == (2, len(PLACES) - 1)
        assert "'k50'" in found["track-jumps"].seen or "'k53'" in found["track-jumps"].seen
        assert set(found["track-jumps"].keys) == {"k50", "k53"}

    def test_repeated(self) -> None:
        """One pose in a sixth of all cameras."""
        places, heading = PLACES.copy(), (TRAVEL + NOISE).copy()
        places[30:50], heading[30:50] = places[30], heading[30]
        found = findings(cameras(places, heading))
        assert (found["pose-repeated"].count, found["pose-repeated"].total) == (20, len(PLACES))
        assert (
            findings(cameras(PLACES[[*range(100), *range(20)]], TRAVEL[[*range(100), *range(20)]], ordered=False)) == {}
        )

    def test_sides(self) -> None:
        """The side at fault is named."""
        good, bad = cameras(PLACES, TRAVEL), cameras(PLACES, TRAVEL + 90.0)
        (finding,) = audit(CameraSets(query=good, database=bad)).findings
        assert (finding.code, finding.side) == ("heading-offset", "database")


def trajectory(path: Path, *, n: int = 80, level: bool = True, seconds: float = 0.1) -> Path:
    """A TUM file of a drive whose world is its first camera: x right, y down, z ahead; the camera bobs a little."""
    from scipy.spatial.transform import Rotation

    places, travel = drive(n, step_m=1.0)
    places, travel = places - places[0], np.radians(travel - travel[0])
    pitch = np.full(n, 0.0 if level else -1.2)
    turn = Rotation.from_euler("YX", np.column_stack([travel, pitch])).as_quat()
    lines = [
        f"{100 + seconds * k:.3f} {e!r} {0.02 * float(np.sin(k))!r} {a!r} {' '.join(map(repr, turn[k].tolist()))}"
        for k, (e, a) in enumerate(places.tolist())
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


class TestTrajectories:
    @pytest.mark.parametrize("up", ["z", "x", "y", "-z", "-x"])
    def test_the_wrong_axis_is_up(self, tmp_path: Path, up: str) -> None:
        """The world of visual SLAM has y down, and the option that says so is named."""
        found = audit(table.reader(trajectory(tmp_path / "t.txt"), layout="tum", up=up).read()).findings
        assert found
        assert {finding.code for finding in found} <= {"track-along-up", "looks-vertical", "camera-tilted"}
        assert len(found) == 1
        assert "--up=-y" in found[0].remedy

    def test_right(self, tmp_path: Path) -> None:
        """With that axis, nothing is found."""
        assert audit(table.reader(trajectory(tmp_path / "t.txt"), layout="tum", up="-y").read()).findings == ()

    @pytest.mark.parametrize("options", [{"up": "y"}, {"up": "-y", "axis": "-z"}])
    def test_upside_down(self, tmp_path: Path, options: dict[str, str]) -> None:
        """Either the axis that is up is the other way round, or cameras look back: both are named."""
        found = audit(table.reader(trajectory(tmp_path / "t.txt"), layout="tum", **options).read()).findings
        assert "camera-tilted" in [finding.code for finding in found]
        assert "--axis" in found[0].remedy

    def test_nadir(self, tmp_path: Path) -> None:
        """Cameras that look down have no heading to speak of."""
        path = trajectory(tmp_path / "t.txt", level=False)
        (finding,) = audit(table.reader(path, layout="tum", up="-y").read()).findings
        assert finding.code == "looks-vertical"

    def test_wrong_axis_ahead(self, tmp_path: Path) -> None:
        """x for z: cameras look to the right of where they go."""
        path = trajectory(tmp_path / "t.txt")
        codes = {
            finding.code: finding
            for finding in audit(table.reader(path, layout="tum", up="-y", axis="x").read()).findings
        }
        assert list(codes) == ["heading-offset"]
        assert codes["heading-offset"].figures["turned_deg"] == pytest.approx(90.0, abs=5.0)

    def test_faster_than_a_car(self, tmp_path: Path) -> None:
        """Time stamps tell speeds."""
        path = trajectory(tmp_path / "t.txt")
        lines = path.read_text().splitlines()
        lines[40] = " ".join([lines[40].split()[0], "60 0 60", *lines[40].split()[4:]])
        path.write_text("\n".join(lines) + "\n")
        codes = [finding.code for finding in audit(table.reader(path, layout="tum", up="-y").read()).findings]
        assert codes == ["track-jumps"]

    def test_cameras_that_cannot_be_labelled(self, tmp_path: Path) -> None:
        """Where no camera has a heading because up is wrong, the error says so."""
        from relabel.errors import InputError
        from relabel.pipeline.fov_part import FovPart

        lines = [f"{k} 0 0 {k} 0 0 0 1" for k in range(30)]
        (tmp_path / "t.txt").write_text("\n".join(lines) + "\n")
        with pytest.raises(InputError, match=r"30 no_heading.*--up=-y"):
            FovPart(table.reader(tmp_path / "t.txt", layout="tum")).open()


class TestFrames:
    def test_repeated(self) -> None:
        """A tracker that lost its way writes its last pose on."""
        pose = np.tile(np.eye(4), (60, 1, 1))
        pose[:, 0, 3] = np.linspace(0.0, 3.0, 60)
        pose[40:, 0, 3] = pose[40, 0, 3]
        extra = {"sequence": np.array(["s"] * 60), "frame": np.arange(60)}
        posed = Cameras([f"k{k}" for k in range(60)], pose[:, :3, 3], pose=pose, extra=extra)
        from relabel.audit.poses import frame_findings

        frames = Frames(posed, np.full(60, "x.png"), np.array([500.0, 500.0, 320.0, 240.0]))
        assert [(finding.code, finding.count) for finding in frame_findings(frames.cameras, "")] == [
            ("pose-repeated", 20)
        ]
