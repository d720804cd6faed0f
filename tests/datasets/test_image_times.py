"""relabel.datasets.image_times: poses between those of a track, against SciPy's own interpolation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from relabel.datasets.image_times import at_times, read_times
from relabel.datasets.trajectory_formats import Track
from relabel.errors import InputError

START = 1_418_381_798_086_398
PATH = Path("ins.csv")


def track(time_us: np.ndarray, seed: int = 0) -> Track:
    """Poses that turn and move at random, in any order."""
    rng = np.random.default_rng(seed)
    pose = np.tile(np.eye(4), (len(time_us), 1, 1))
    pose[:, :3, :3] = Rotation.random(len(time_us), rng).as_matrix()
    pose[:, :3, 3] = rng.normal((5_735_834.0, 619_998.0, -110.0), 1.0, (len(time_us), 3))
    return Track((START + time_us).astype(np.str_), pose, "EPSG:32630")


def stamps(*time_us: int) -> np.ndarray:
    return np.array([str(START + time) for time in time_us])


class TestAtTimes:
    """relabel.datasets.image_times.at_times"""

    @given(st.integers(0, 2**32 - 1))
    def test_between(self, seed: int) -> None:
        """Positions are linear in time, rotations as Slerp has them, in whatever order the poses come."""
        rng = np.random.default_rng(seed)
        time = rng.permutation(np.cumsum(rng.integers(1, 400_000, 12)))
        poses = track(time, seed)
        wanted = np.sort(rng.integers(time.min(), time.max() + 1, 30))
        found = at_times(poses, PATH, stamps(*wanted.tolist()))
        order = np.argsort(time)
        turn = Slerp(time[order], Rotation.from_matrix(poses.pose[order, :3, :3]))(wanted)
        np.testing.assert_allclose(found.pose[:, :3, :3], turn.as_matrix(), atol=1e-9)
        for axis in range(3):
            expected = np.interp(wanted, time[order], poses.pose[order, axis, 3])
            np.testing.assert_allclose(found.pose[:, axis, 3], expected, atol=1e-8)
        assert found.crs == "EPSG:32630"
        assert found.key.tolist() == stamps(*wanted.tolist()).tolist()

    def test_gaps(self) -> None:
        """Nothing is known before the first pose, after the last, and in a gap that is too long; at a pose it is."""
        poses = track(np.array([0, 20_000, 600_000, 620_000]))
        found = at_times(poses, PATH, stamps(-1, 0, 10_000, 20_000, 20_001, 599_999, 600_000, 620_000, 620_001))
        known = np.isfinite(found.pose).all(axis=(1, 2))
        assert known.tolist() == [False, True, True, True, False, False, True, True, False]
        np.testing.assert_allclose(found.pose[3], poses.pose[1], atol=1e-12)
        assert found.notes == (
            "5 of 9 images have a pose, interpolated between two of the track",
            "2 images are before the first or after the last pose: no pose",
            "2 images are in a gap of more than 0.5 s between two poses: no pose",
        )
        assert np.isfinite(at_times(poses, PATH, stamps(300_000), 0.6).pose).all()

    def test_unknown_poses(self) -> None:
        """A pose that is not known is passed over; where none is, that is an error."""
        poses = track(np.array([0, 100_000, 200_000]))
        poses.pose[1] = np.nan
        found = at_times(poses, PATH, stamps(100_000))
        np.testing.assert_allclose(found.pose[0, :3, 3], (poses.pose[0, :3, 3] + poses.pose[2, :3, 3]) / 2.0)
        poses.pose[:] = np.nan
        with pytest.raises(InputError, match=r"ins\.csv: none of its 3 poses is known"):
            at_times(poses, PATH, stamps(0))

    def test_another_drive(self) -> None:
        """Where no image is between any two poses, both times are shown."""
        with pytest.raises(
            InputError, match=r"none of the 2 images, .* from \d+408 to \d+418, .* from \d+498 to \d+598;"
        ):
            at_times(track(np.array([100, 200])), PATH, stamps(10, 20))

    def test_keys_that_are_no_times(self) -> None:
        """Seconds, or names."""
        with pytest.raises(InputError, match=r"ins\.csv: '1\.5' is not a time stamp in whole microseconds"):
            at_times(Track(np.array(["1.5"]), np.eye(4)[None]), PATH, stamps(0))


class TestReadTimes:
    """relabel.datasets.image_times.read_times"""

    def test_a_file(self, tmp_path: Path) -> None:
        """Time stamp and part of the drive; a mark of order, ends of lines and blank lines do not matter."""
        (tmp_path / "t").write_bytes(b"\xef\xbb\xbf12 1\r\n\r\n15 1\n7\n")
        assert read_times(tmp_path / "t").tolist() == ["12", "15", "7"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("12 1\n1.5 1\n", r"line 2: '1\.5' is not a time stamp"),
            ("12 1\n12 2\n", r"line 2: '12' is already in line 1"),
            ("\n", "has no time stamp"),
            ("9" * 20, "line 1: .* is not a time stamp"),
        ],
    )
    def test_faults(self, tmp_path: Path, text: str, message: str) -> None:
        """File and line are named."""
        (tmp_path / "stereo.timestamps").write_text(text)
        with pytest.raises(InputError, match=rf"stereo\.timestamps: {message}"):
            read_times(tmp_path / "stereo.timestamps")
        with pytest.raises(InputError, match="cannot be read"):
            read_times(tmp_path / "none")
