"""relabel.datasets.rgbd: sequences of TUM, ScanNet and plain folders, and every way in which they can be wrong."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from relabel.cameras import Status
from relabel.datasets.matrix_files import parse_intrinsics, read_intrinsics
from relabel.datasets.rgbd import LAYOUTS, sequence
from relabel.datasets.rgbd.sequence import RgbdReader, reader
from relabel.datasets.rgbd.tum import FREIBURG, freiburg, nearest
from relabel.errors import DatasetNotFoundError, InputError, MissingFileError, OptionError, RelabelError
from tests.trees import depth_png, edit, looking_ahead, pose_txt, rgbd_folder, tum_folder

DESK = "rgbd_dataset_freiburg1_desk"


class TestFolder:
    """relabel.datasets.rgbd.read, of folders that match by name"""

    def test_folder(self, tmp_path: Path) -> None:
        """Names need not be contiguous and are ordered as numbers."""
        rgbd_folder(tmp_path / "kitchen", ["100", "9", "0020"])
        (tmp_path / "kitchen/color").mkdir()
        (tmp_path / "kitchen/color/9.jpg").write_bytes(b"")
        found = sequence.read_sequence(tmp_path / "kitchen", "folder")
        cameras = found.frames.cameras
        assert cameras.key.tolist() == ["9", "0020", "100"]
        assert cameras.position[:, 0].tolist() == [0.1, 0.2, 0.0]
        assert cameras.extra["frame"].tolist() == [0, 1, 2]
        assert cameras.extra["sequence"].tolist() == ["kitchen"] * 3
        assert found.frames.intrinsics[0].tolist() == [57.0, 58.0, 31.5, 23.5]
        assert found.frames.unit_m == 0.001
        assert found.frames.size is None
        assert [Path(path).name for path in found.frames.image] == ["9.jpg", "", ""]
        assert len(found.files) == 1 + 2 * 3
        assert found.notes == ()

    def test_scannet(self, tmp_path: Path) -> None:
        """Only numbers are frames; poses of lost tracking are minus infinity."""
        rgbd_folder(tmp_path, ["0", "1", "2", "10"], layout="scannet")
        pose_txt(tmp_path / "pose/1.txt", np.full((4, 4), -np.inf), newline="\n", between=" ")
        (tmp_path / "depth/preview.png").write_bytes(b"")
        (tmp_path / "pose/notes.txt").write_text("hello")
        found = sequence.read_sequence(tmp_path, "scannet")
        assert found.frames.cameras.key.tolist() == ["0", "1", "2", "10"]
        assert found.frames.cameras.status.tolist() == [Status.OK, Status.NO_POSE, Status.OK, Status.OK]
        assert found.frames.intrinsics[0].tolist() == [57.0, 58.0, 31.5, 23.5]
        assert found.notes == ("1 frame has a pose that is not finite, or all zeros (1)",)

    def test_partners(self, tmp_path: Path) -> None:
        """What has no partner of its name keeps its row."""
        rgbd_folder(tmp_path, [f"f{i}" for i in range(7)])
        for i in range(4):
            (tmp_path / f"pose/f{i}.txt").unlink()
        (tmp_path / "depth/f5.png").unlink()
        found = sequence.read_sequence(tmp_path, "folder")
        assert found.frames.cameras.status.tolist() == [Status.NO_POSE] * 4 + [Status.OK, Status.BAD_DEPTH, Status.OK]
        assert found.notes == ("1 frame has no depth map (f5)", "4 frames have no pose (f0, f1, f2, …)")

    def test_three_rows(self, tmp_path: Path) -> None:
        """A plain folder may leave out the last row, ScanNet never does."""
        rgbd_folder(tmp_path, ["0"])
        (tmp_path / "pose/0.txt").write_text("1 0 0 4\n0 1 0 5\n0 0 1 6\n")
        np.testing.assert_array_equal(
            sequence.read_sequence(tmp_path, "folder").frames.cameras.pose, [looking_ahead(4, 5, 6)]
        )
        with pytest.raises(InputError, match=r"0.txt: holds 12 numbers; a pose has 16, a 4x4 matrix from the camera"):
            sequence.read_sequence(tmp_path, "scannet", intrinsics=(57, 58, 31.5, 23.5))

    def test_given(self, tmp_path: Path) -> None:
        """Options come before files, which then need not be there."""
        rgbd_folder(tmp_path)
        (tmp_path / "intrinsics.txt").unlink()
        found = sequence.read_sequence(tmp_path, "folder", intrinsics=(1, 2, 3, 4), depth_unit_m=0.25)
        assert found.frames.intrinsics.tolist() == [[1, 2, 3, 4]] * 3
        assert found.frames.unit_m == 0.25
        with pytest.raises(MissingFileError, match=r"intrinsics.txt: does not exist, .*--intrinsics fx,fy,cx,cy"):
            sequence.read_sequence(tmp_path, "folder")

    def test_faults(self, tmp_path: Path) -> None:
        """Folders that are not laid out like that say what they hold."""
        with pytest.raises(DatasetNotFoundError, match="nowhere: does not exist; give the folder of one sequence"):
            sequence.read_sequence(tmp_path / "nowhere", "folder")
        (tmp_path / "rgb").mkdir()
        with pytest.raises(
            DatasetNotFoundError, match=r"no folder depth in it, and no NAME.depth.png \(rgb\); see --layout"
        ):
            sequence.read_sequence(tmp_path, "folder")
        (tmp_path / "depth").mkdir()
        with pytest.raises(InputError, match=r"depth: holds no frame \(nothing\); expected files such as 000000.png"):
            sequence.read_sequence(tmp_path, "folder")
        rgbd_folder(tmp_path)
        depth_png(tmp_path / "depth/1.PNG", size=(8, 6))
        with pytest.raises(InputError, match=r"1\.(PNG|png) and 1\.(PNG|png) have the same name; keep one"):
            sequence.read_sequence(tmp_path, "folder")
        (tmp_path / "depth/1.PNG").unlink()
        edit(tmp_path / "pose/1.txt", "1.000000000e-001", "left")
        with pytest.raises(InputError, match=r"1.txt: line 1: 'left' is not a number"):
            sequence.read_sequence(tmp_path, "folder")


class TestTum:
    """relabel.datasets.rgbd.read, of the TUM benchmark"""

    def test_sequence(self, tmp_path: Path) -> None:
        """Every depth map has the pose nearest in time, and its stamp as key."""
        found = sequence.read_sequence(tum_folder(tmp_path / DESK), "tum")
        cameras = found.frames.cameras
        assert cameras.key.tolist() == ["10.000000", "10.100000", "10.200000"]
        assert cameras.position[:, 0].tolist() == [0.0, 0.1, 0.2]
        assert cameras.ok.all()
        assert found.frames.unit_m == 1 / 5000
        assert found.frames.intrinsics[0].tolist() == list(FREIBURG["freiburg1"])
        assert [path.name for path in found.files[:3]] == ["depth.txt", "groundtruth.txt", "10.000000.png"]
        assert found.notes == ()

    def test_too_late(self, tmp_path: Path) -> None:
        """A pose that is too far off in time is none; the limit itself is not too far."""
        root = tum_folder(tmp_path / DESK, late_s=0.03125)
        found = sequence.read_sequence(root, "tum")
        assert found.frames.cameras.status.tolist() == [Status.NO_POSE] * 3
        assert found.notes == ("3 frames have no pose within 0.02 s (10.000000, 10.100000, 10.200000)",)
        assert sequence.read_sequence(root, "tum", max_time_difference_s=0.04).frames.cameras.ok.all()

    def test_order(self, tmp_path: Path) -> None:
        """Frames are in the order of time, however they are listed, and each keeps its own pose."""
        root = tum_folder(tmp_path / DESK)
        for name in ("depth.txt", "groundtruth.txt"):
            head, *lines = (root / name).read_text().splitlines()
            (root / name).write_text("\n".join([head, "", *reversed(lines)]))
        cameras = sequence.read_sequence(root, "tum").frames.cameras
        assert cameras.key.tolist() == ["10.000000", "10.100000", "10.200000"]
        assert cameras.position[:, 0].tolist() == [0.0, 0.1, 0.2]

    def test_missing_files(self, tmp_path: Path) -> None:
        """A depth map that is listed but not there, a pose that is not finite, and colour images where there are."""
        root = tum_folder(tmp_path / DESK)
        (root / "depth/10.100000.png").unlink()
        edit(root / "groundtruth.txt", "0.2000 0 0", "nan 0 0")
        (root / "rgb").mkdir()
        (root / "rgb/10.01.png").write_bytes(b"")
        (root / "rgb.txt").write_text("# colour\n10.01 rgb/10.01.png\n10.11 rgb/10.11.png\n")
        found = sequence.read_sequence(root, "tum")
        assert found.frames.cameras.status.tolist() == [Status.OK, Status.BAD_DEPTH, Status.NO_POSE]
        assert found.notes == (
            "1 frame has no depth map (10.100000)",
            "1 frame has a pose that is not finite, or all zeros (10.200000)",
        )
        assert [Path(path).name for path in found.frames.image] == ["10.01.png", "", ""]

    @pytest.mark.parametrize(
        ("name", "camera"),
        [
            ("rgbd_dataset_freiburg1_xyz", "freiburg1"),
            ("rgbd_dataset_freiburg2_pioneer_360", "freiburg2"),
            ("fr3_office", "freiburg3"),
            ("FR1", "freiburg1"),
            ("fr4_x", None),
            ("fr12", None),
            ("afr1", None),
            ("desk", None),
            ("freiburg1_and_freiburg2", None),
            ("", None),
        ],
    )
    def test_freiburg(self, name: str, camera: str | None) -> None:
        """The name of the folder tells the camera, or does not."""
        assert freiburg(name) == (None if camera is None else FREIBURG[camera])

    def test_unknown_camera(self, tmp_path: Path) -> None:
        """Intrinsics are then to be given, and whatever is given is taken."""
        root = tum_folder(tmp_path / "desk")
        with pytest.raises(OptionError, match=r"desk: its name does not show .* --intrinsics fx,fy,cx,cy"):
            sequence.read_sequence(root, "tum")
        with pytest.raises(OptionError, match=r"desk: .* the unit of its depth maps is unknown; give --depth-unit"):
            sequence.read_sequence(root, "tum", intrinsics=(525, 525, 319.5, 239.5))
        found = sequence.read_sequence(root, "tum", intrinsics=(525, 525, 319.5, 239.5), depth_unit_m=0.001)
        assert found.frames.intrinsics[0, 2] == 319.5
        assert found.frames.unit_m == 0.001

    @pytest.mark.parametrize(
        ("name", "old", "new", "message"),
        [
            (
                "depth.txt",
                "10.100000 depth",
                "soon depth",
                "depth.txt: line 3: 'soon' is not a time stamp; expected one",
            ),
            ("depth.txt", " depth/10.100000.png", "", "depth.txt: line 3: '10.100000'; expected a time stamp"),
            ("depth.txt", "10.100000 depth", "inf depth", "depth.txt: line 3"),
            ("groundtruth.txt", "0 0 0 1\n", "0 0 1\n", "groundtruth.txt: line 2: 7 values; a TUM pose has 8"),
            ("groundtruth.txt", "0 0 0 1\n", "0 0 0 2\n", r"line 2: the quaternion \(w x y z\) 2 0 0 0 has length 2"),
            ("groundtruth.txt", "0.1000", "left", "groundtruth.txt: line 3: 'left' is not a number"),
        ],
    )
    def test_faults(self, tmp_path: Path, name: str, old: str, new: str, message: str) -> None:
        """File and line are named."""
        root = tum_folder(tmp_path / DESK)
        edit(root / name, old, new)
        with pytest.raises(InputError, match=message):
            sequence.read_sequence(root, "tum")

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.sampled_from(["depth.txt", "groundtruth.txt"]),
        st.binary()
        | st.lists(
            st.sampled_from(["10.0", "10.1", "0", "1", "nan", "-inf", "x", "\n", "#", "depth/10.000000.png"]),
            max_size=40,
        ).map(lambda words: " ".join(words).encode()),
    )
    def test_any_bytes(self, tmp_path: Path, name: str, content: bytes) -> None:
        """Whatever stands in a list, frames or an error of relabel come out."""
        root = tmp_path / DESK
        if not root.exists():
            tum_folder(root)
        before = (root / name).read_bytes()
        (root / name).write_bytes(content)
        try:
            assert len(sequence.read_sequence(root, "tum").frames)
        except RelabelError as error:
            assert name in str(error)  # noqa: PT017  either will do
        finally:
            (root / name).write_bytes(before)

    @pytest.mark.parametrize("name", ["depth.txt", "groundtruth.txt"])
    def test_lists(self, tmp_path: Path, name: str) -> None:
        """A list that is empty or not there."""
        root = tum_folder(tmp_path / DESK)
        (root / name).write_text("# nothing\n")
        with pytest.raises(InputError, match=rf"{name}: (lists no file|holds no pose)"):
            sequence.read_sequence(root, "tum")
        (root / name).unlink()
        with pytest.raises(MissingFileError, match=rf"{name}: does not exist; a sequence of TUM holds depth.txt "):
            sequence.read_sequence(root, "tum")


class TestTurnedImages:
    """relabel.datasets.rgbd_frames.turned_image_notes"""

    @pytest.mark.parametrize(
        ("orientation", "size", "told"),
        [
            (1, (64, 48), None),
            (6, (64, 48), "assumed to be for the pixels as stored"),
            (3, (64, 48), "assumed to be for the pixels as stored"),
            (8, (48, 64), "the shape of the images after that"),
        ],
    )
    def test_told(self, tmp_path: Path, orientation: int, size: tuple[int, int], told: str | None) -> None:
        """Beside depth maps of 64 × 48 pixels: which of the two forms of an image they lie on."""
        root = rgbd_folder(tmp_path, ["0", "1"])
        exif = Image.Exif()
        exif[0x0112] = orientation
        (root / "color").mkdir()
        Image.new("RGB", size).save(root / "color/0.jpg", exif=exif)
        (root / "color/1.jpg").write_bytes(b"damaged")
        notes = sequence.read_sequence(root, "folder").notes
        if told is None:
            assert notes == ()
        else:
            (note,) = notes
            assert f"turn 1 of 2 images that were checked (0: orientation {orientation})" in note
            assert told in note


class TestNearest:
    """relabel.datasets.rgbd.nearest"""

    @given(
        st.lists(st.integers(0, 60), min_size=1, max_size=20),
        st.lists(st.integers(0, 60), max_size=20),
        st.integers(0, 20),
    )
    def test_against_search(self, among: list[int], times: list[int], most: int) -> None:
        """As a search of all would find, the earlier of two that are as near."""
        found = nearest(np.array(times, float), np.array(among, float), float(most))
        for time, row in zip(times, found.tolist(), strict=True):
            best = min(range(len(among)), key=lambda i: (abs(among[i] - time), among[i], i))
            if abs(among[best] - time) > most:
                assert row == -1
            else:
                assert (abs(among[row] - time), among[row]) == (abs(among[best] - time), among[best])


class TestIntrinsics:
    """relabel.datasets.matrix_files: parse_intrinsics, read_intrinsics"""

    @pytest.mark.parametrize(
        "text",
        [
            "57 58 31.5 23.5",
            "57,58,31.5,23.5\n",
            "57 0 31.5\n0 58 23.5\n0 0 1\n",
            "57 0 31.5 0\n0 58 23.5 0\n0 0 1 0\n0 0 0 1\n",
        ],
    )
    def test_forms(self, tmp_path: Path, text: str) -> None:
        """Four numbers or a matrix."""
        (tmp_path / "k.txt").write_text(text)
        assert read_intrinsics(tmp_path / "k.txt") == (57.0, 58.0, 31.5, 23.5)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("57 58 31.5", "holds 3 numbers; intrinsics are 4"),
            ("57 0.5 31.5\n0 58 23.5\n0 0 1\n", "not a matrix of intrinsics without skew"),
            ("57 0 0\n0 58 0\n31.5 23.5 1\n", "not a matrix of intrinsics"),
            ("0 58 31.5 23.5", "fx 0, .* focal lengths positive"),
            ("57 58 nan 23.5", "cx nan, .* all have to be finite"),
            ("57 58 c d", "line 1: 'c' is not a number"),
            ("", "is empty"),
        ],
    )
    def test_faults(self, tmp_path: Path, text: str, message: str) -> None:
        """The file is named."""
        (tmp_path / "k.txt").write_text(text)
        with pytest.raises(InputError, match=f"k.txt: .*{message}"):
            read_intrinsics(tmp_path / "k.txt")

    def test_option(self) -> None:
        """Four numbers with commas."""
        assert parse_intrinsics("525,525, 319.5,239.5") == (525.0, 525.0, 319.5, 239.5)
        for wrong in ("525", "525,525,x,1", "1,2,3,4,5", "", "-1,2,3,4", "1,inf,3,4"):
            with pytest.raises(OptionError, match="--intrinsics"):
                parse_intrinsics(wrong)


class TestReader:
    """relabel.datasets.rgbd.sequence"""

    def test_way_back(self, tmp_path: Path) -> None:
        """Parameters lead back to the reader, from a folder of another name as well."""
        found = reader(tum_folder(tmp_path / DESK), "tum")
        assert found.name == DESK
        parameters = found.parameters()
        assert parameters["intrinsics"] == list(FREIBURG["freiburg1"])
        assert parameters["depth_unit_m"] == 1 / 5000
        (tmp_path / DESK).rename(tmp_path / "moved")
        back = RgbdReader.from_parameters(parameters, tmp_path / "moved")
        assert parameters == {}
        assert pickle.loads(pickle.dumps(back)) == back
        assert back.read().query.intrinsics[0].tolist() == list(FREIBURG["freiburg1"])
        assert back.read().query.unit_m == 1 / 5000

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_scene(self, tmp_path: Path, layout: Any) -> None:
        """Self pairs, with what the depth maps have in common in the params."""
        root = tum_folder(tmp_path / DESK) if layout == "tum" else rgbd_folder(tmp_path / DESK, layout=layout)
        found = reader(root, layout, name="desk", depth_unit_m=0.5)
        assert RgbdReader.from_parameters(found.parameters(), root) == found
        scene = found.read()
        assert scene.query is scene.database
        assert scene.query.cameras.extra["sequence"].tolist() == ["desk"] * 3
        assert scene.params["layout"] == layout
        assert scene.params["depth_unit_m"] == 0.5
        assert scene.params["intrinsics"] == scene.query.intrinsics[0].tolist()
        assert any("registered to the colour camera" in note for note in scene.notes) == (layout == "tum")
        scene.require_some()

    def test_hint(self, tmp_path: Path) -> None:
        """Where nothing can be labelled, the message says what to look at."""
        found = reader(tum_folder(tmp_path / DESK, late_s=5.0), "tum")
        with pytest.raises(InputError, match=r"\(3 no_pose\); .*--max-time-difference"):
            found.read().require_some()

    def test_options(self, tmp_path: Path) -> None:
        """Options that cannot be, or do not go with the layout."""
        with pytest.raises(OptionError, match="--max-time-difference is for --layout tum; scannet matches by name"):
            reader(tmp_path, "scannet", max_time_difference_s=1.0)
        for unit in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(OptionError, match="--depth-unit"):
                reader(tmp_path, "folder", depth_unit_m=unit)
        for most in (-0.1, float("nan")):
            with pytest.raises(OptionError, match="--max-time-difference"):
                reader(tmp_path, "tum", max_time_difference_s=most)
        with pytest.raises(OptionError, match="--convention ros: has to be one of opencv, opengl"):
            reader(tmp_path, "folder", convention="ros")  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="--depth-is disparity: has to be one of z, ray"):
            reader(tmp_path, "folder", depth_is="disparity")  # type: ignore[arg-type]
        with pytest.raises(OptionError, match="--convention opengl and --axes ahead=x,down=-z both define"):
            reader(tmp_path, "folder", convention="opengl", axes="ahead=x,down=-z")
        for axes in ("ahead=x", "ahead=x,down=-z,up=z"):
            with pytest.raises(
                OptionError, match=f"--axes {axes}: has to state which axes of a pose are ahead and down"
            ):
                reader(tmp_path, "folder", axes=axes)
        with pytest.raises(OptionError, match="ahead and down are the same axis"):
            reader(tmp_path, "folder", axes="ahead=x,down=-x")

    def test_conventions(self, tmp_path: Path) -> None:
        """Cameras of OpenGL look along -z with y up; what was said leads back to the reader, and is told."""
        root = rgbd_folder(tmp_path / "kitchen", ["0"])
        opengl = np.eye(4)  # stands at (1, 2, 3), looks along -z of the world, y up
        opengl[:3, 3] = (1, 2, 3)
        pose_txt(root / "pose/0.txt", opengl)
        found = reader(root, "folder", convention="opengl", depth_is="ray")
        assert RgbdReader.from_parameters(found.parameters(), root) == found
        scene = found.read()
        assert scene.query.depth_is == "ray"
        assert scene.query.cameras.pose is not None
        right, down, ahead, place = scene.query.cameras.pose[0, :3].T
        assert right.tolist() == [1, 0, 0]
        assert down.tolist() == [0, -1, 0]
        assert ahead.tolist() == [0, 0, -1]
        assert place.tolist() == [1, 2, 3]
        assert scene.params["axes"] == "ahead=-z,down=-y"
        assert scene.params["depth_is"] == "ray"
        assert scene.notes == (
            "poses are read with axes ahead=-z,down=-y",
            "depths are read as distances along pixel rays, also for --depth-min and --depth-max",
        )
        plain = reader(root, "folder")
        assert not {"axes", "poses", "quaternion", "depth_is"} & (plain.parameters() | plain.read().params).keys()

    def test_robot(self, tmp_path: Path) -> None:
        """The axes of a robot, x ahead and z up, and poses that lead to the camera."""
        root = rgbd_folder(tmp_path / "kitchen", ["0"])
        pose = np.eye(4)  # into a robot that stands at (1, 2, 3) and has the axes of the world
        pose[:3, 3] = (-1, -2, -3)
        pose_txt(root / "pose/0.txt", pose)
        found = reader(root, "folder", axes="down=-z, ahead=x", direction="world-to-camera")
        parameters = found.parameters()
        assert (parameters["axes"], parameters["poses"]) == ("ahead=x,down=-z", "world-to-camera")
        assert RgbdReader.from_parameters(parameters, root) == found
        cameras = found.read().query.cameras
        assert cameras.pose is not None
        right, down, ahead, place = cameras.pose[0, :3].T
        assert right.tolist() == [0, -1, 0]
        assert down.tolist() == [0, 0, -1]
        assert ahead.tolist() == [1, 0, 0]
        assert place.tolist() == cameras.position[0].tolist() == [1, 2, 3]

    def test_quaternion(self, tmp_path: Path) -> None:
        """w first, where no header says another order; matrices have none."""
        root = tum_folder(tmp_path / DESK)
        edit(root / "groundtruth.txt", "0 0 0 0 0 1", "0 0 1 0 0 0", count=3)
        found = reader(root, "tum", quaternion="wxyz")
        assert RgbdReader.from_parameters(found.parameters(), root) == found
        cameras = found.read().query.cameras
        np.testing.assert_array_equal(cameras.pose, [looking_ahead(x) for x in (0.0, 0.1, 0.2)])
        edit(root / "groundtruth.txt", "# ground truth trajectory", "# timestamp tx ty tz qw qx qy qz")
        np.testing.assert_array_equal(reader(root, "tum").read().query.cameras.pose, cameras.pose)
        with pytest.raises(OptionError, match=r"--quaternion wxyz: .*groundtruth.txt names the order"):
            found.read()
        root = rgbd_folder(tmp_path / "kitchen")
        with pytest.raises(OptionError, match=r"--quaternion wxyz: the poses of .*kitchen are matrices"):
            reader(root, "folder", quaternion="wxyz").read()
        (root / "pose").rename(root / "other")
        (root / "poses.txt").write_text("".join(f"{k} 0.{k} 0 0 1 0 0 0\n" for k in range(3)))
        np.testing.assert_array_equal(reader(root, "folder", quaternion="wxyz").read().query.cameras.pose, cameras.pose)
