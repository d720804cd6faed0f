"""relabel.audit.fillers, on cameras of a reader that knows no filler values."""

from __future__ import annotations

import numpy as np

from relabel.audit.audit import audit
from relabel.cameras import Cameras
from relabel.datasets.base import CameraSets
from relabel.datasets.fillers import Filler


def cameras(n: int = 100, *, seed: int = 0, **columns: np.ndarray) -> Cameras:
    """n cameras here and there with headings of all directions."""
    rng = np.random.default_rng(seed)
    given = {"position": rng.uniform(0, 500, (n, 2)), "heading_deg": rng.uniform(0, 360, n)} | columns
    return Cameras(key=[f"k{k}" for k in range(n)], **given)


def codes(side: Cameras) -> list[tuple[str, int]]:
    return [(finding.code, finding.count) for finding in audit(CameraSets(query=side, database=side)).findings]


class TestFillers:
    def test_good_cameras(self) -> None:
        """Nothing is said of them, also where their frame begins at one of them."""
        good = cameras()
        assert codes(good) == []
        good.position[0] = 0.0
        assert codes(cameras(position=good.position)) == []

    def test_zero_positions(self) -> None:
        """More at (0, 0) than anywhere, or far away from all."""
        position = cameras().position.copy()
        position[:3] = 0.0
        assert codes(cameras(position=position)) == [("position-zero", 3)]
        position[3:] += 1e6
        position[1:3] = 1e6
        assert codes(cameras(position=position)) == [("position-zero", 1)]

    def test_zero_headings(self) -> None:
        """Many of exactly 0 among fine ones; a grid of whole degrees has its share of them and is right."""
        heading = cameras().heading_deg.copy()
        heading[:8] = 0.0
        assert codes(cameras(heading_deg=heading)) == [("heading-zero", 8)]
        side = cameras(heading_deg=heading)
        (finding,) = audit(CameraSets(query=side, database=side)).findings
        assert finding.keys == tuple(side.key[:8].tolist())
        assert codes(cameras(heading_deg=np.arange(100) % 12 * 30.0)) == []
        heading[:4] = np.arange(1, 5)
        assert codes(cameras(heading_deg=heading)) == []  # four may be chance

    def test_what_the_reader_replaced(self) -> None:
        """A note with the count."""
        side = cameras()
        sets = CameraSets(query=side, database=side, fillers=(Filler("heading", "-1", 7, 100, "t.csv", ("b",)),))
        (finding,) = audit(sets).findings
        assert (finding.code, finding.severity, finding.count, finding.total) == ("heading-filler", "note", 7, 100)
        assert "7 of 100 cameras have the heading -1" in finding.seen
        assert finding.keys == ("b",)

    def test_no_pose(self) -> None:
        """Counted by side."""
        pose = np.tile(np.eye(4), (3, 1, 1))
        pose[1] = 0.0
        posed = Cameras(key=["a", "b", "c"], position=np.zeros((3, 3)), pose=pose)
        (finding,) = audit(CameraSets(query=posed, database=posed.take([0, 2]))).findings
        assert (finding.code, finding.side, finding.count) == ("no-pose", "query", 1)
        assert finding.keys == ("b",)
