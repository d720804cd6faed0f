"""relabel.datasets.rgbd.tum: lists of files and of poses in the forms in which they are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from relabel.cameras import Status
from relabel.datasets.rgbd import sequence
from relabel.errors import InputError, OptionError
from tests.trees import depth_png, edit, tum_folder

DESK = "rgbd_dataset_freiburg2_desk"
CAMERA = (525.0, 525.0, 319.5, 239.5)


class TestRepeatedStamps:
    """Trackers of 300 Hz repeat some stamps, which have four decimals."""

    def test_poses(self, tmp_path: Path) -> None:
        """The first pose of a stamp is taken, and the others are counted."""
        root = tum_folder(tmp_path / DESK)
        edit(root / "groundtruth.txt", "10.1040 0.1000", "10.1040 0.1000 0 0 0 0 0 1\n10.1040 0.9000")
        found = sequence.read_sequence(root, "tum")
        assert found.frames.cameras.position[:, 0].tolist() == [0.0, 0.1, 0.2]
        assert found.notes == (
            "groundtruth.txt: 1 pose repeats a time stamp and is left out, the first in line 4: 10.1040",
        )

    def test_depth_maps(self, tmp_path: Path) -> None:
        """The first file of a stamp is taken."""
        root = tum_folder(tmp_path / DESK)
        edit(root / "depth.txt", "10.200000 depth", "10.100000 depth")
        found = sequence.read_sequence(root, "tum")
        assert found.frames.cameras.key.tolist() == ["10.000000", "10.100000"]
        assert [Path(path).name for path in found.frames.depth] == ["10.000000.png", "10.100000.png"]
        assert found.notes == (
            "depth.txt: 1 file repeats a time stamp and is left out, the first in line 4: 10.100000",
        )


class TestUnit:
    """Only sequences of the benchmark are known to store 1/5000 m."""

    @pytest.mark.parametrize("name", ["office1-6", "living_room_traj0_frei_png", "rgbd_bonn_balloon", "freiburg4"])
    def test_has_to_be_said(self, tmp_path: Path, name: str) -> None:
        """Elsewhere it has to be given."""
        root = tum_folder(tmp_path / name)
        with pytest.raises(OptionError, match=rf"{name}: .*give --depth-unit: 0.001 for millimetres.* or 0.0002"):
            sequence.reader(root, "tum", intrinsics=CAMERA)
        assert sequence.reader(root, "tum", intrinsics=CAMERA, depth_unit_m=0.001).read().query.unit_m == 0.001

    def test_registered_maps(self, tmp_path: Path) -> None:
        """OpenLORIS lists the depth maps of the colour camera in a file of their own."""
        root = tum_folder(tmp_path / "office1-6")
        for time in (10.0, 10.1):
            depth_png(root / "aligned_depth" / f"{time:.6f}.png", 2000, size=(64, 48))
        (root / "aligned_depth.txt").write_text(
            "10.000000 aligned_depth/10.000000.png\n10.050000 aligned_depth/lost.png\n"
            "10.100000 aligned_depth/10.100000.png\n"
        )
        found = sequence.read_sequence(root, "tum", intrinsics=CAMERA, depth_unit_m=0.001, max_time_difference_s=0.1)
        assert [Path(path).parent.name for path in found.frames.depth] == ["aligned_depth", "", "aligned_depth"]
        assert found.frames.cameras.status.tolist() == [Status.OK, Status.BAD_DEPTH, Status.OK]
        assert found.notes[0] == "the depth maps are those that aligned_depth.txt lists"


class TestAssociations:
    """associations.txt: pairs of a depth map and an image."""

    LINES = ("10.000100 rgb/a.png 10.000000 depth/10.000000.png", "10.100100 rgb/b.png 10.100000 depth/10.100000.png")

    @pytest.mark.parametrize("depth_first", [False, True])
    @pytest.mark.parametrize("name", ["associations.txt", "association.txt", "associate.txt"])
    def test_alone(self, tmp_path: Path, depth_first: bool, name: str) -> None:
        """In either order, they tell depth maps, stamps and images where there is no depth.txt."""
        root = tum_folder(tmp_path / DESK)
        (root / "depth.txt").unlink()
        (root / "rgb").mkdir()
        for image in "ab":
            (root / f"rgb/{image}.png").write_bytes(b"")
        halves = [(line.split()[:2], line.split()[2:]) for line in self.LINES]
        lines = [" ".join([*depth, *image] if depth_first else [*image, *depth]) for image, depth in halves]
        (root / name).write_text("# pairs\n" + "\n".join(lines) + "\n")
        found = sequence.read_sequence(root, "tum")
        assert found.frames.cameras.key.tolist() == ["10.000000", "10.100000"]
        assert [Path(path).name for path in found.frames.depth] == ["10.000000.png", "10.100000.png"]
        assert [Path(path).name for path in found.frames.image] == ["a.png", "b.png"]
        assert found.frames.cameras.position[:, 0].tolist() == [0.0, 0.1]
        assert found.files[0] == root / name
        assert found.notes == (f"the depth maps are those that {name} lists",)

    def test_beside_depth_txt(self, tmp_path: Path) -> None:
        """Depth maps are those of depth.txt; the pairs say which image is whose, also against time."""
        root = tum_folder(tmp_path / DESK)
        (root / "rgb").mkdir()
        for image in "ab":
            (root / f"rgb/{image}.png").write_bytes(b"")
        (root / "rgb.txt").write_text("10.0 rgb/b.png\n10.1 rgb/a.png\n")
        (root / "associations.txt").write_text("\n".join(self.LINES))
        found = sequence.read_sequence(root, "tum")
        assert len(found.frames) == 3
        assert [Path(path).name for path in found.frames.image] == ["a.png", "b.png", ""]

    @pytest.mark.parametrize(
        "line",
        ["1 rgb/a.png 1", "1 rgb/a.png 1 rgb/b.png", "1 depth/a.png 1 depth/b.png", "1 depth/a.png", "x rgb/a 1 y/z"],
    )
    def test_no_pair(self, tmp_path: Path, line: str) -> None:
        """The line is named."""
        root = tum_folder(tmp_path / DESK)
        (root / "depth.txt").unlink()
        (root / "associations.txt").write_text(f"{self.LINES[0]}\n{line}\n")
        with pytest.raises(
            InputError, match=r"associations.txt: line 2: .*expected time stamp and file of an image and"
        ):
            sequence.read_sequence(root, "tum")
