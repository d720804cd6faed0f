"""relabel.datasets.rgbd.named_files: depth maps and poses by name, in the layouts in which they are found."""

from __future__ import annotations

import errno
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.audit.audit import audit
from relabel.cameras import Status
from relabel.datasets.rgbd import frame_names, named_files, sequence
from relabel.datasets.rgbd.sequence import RgbdReader, reader
from relabel.errors import DatasetNotFoundError, InputError, MissingFileError, OptionError
from tests.trees import depth_png, looking_ahead, pose_txt, rgbd_folder

SIZE = (64, 48)
CAMERA = (57.0, 58.0, 31.5, 23.5)
MATRIX = "57 0 31.5 0 0 58 23.5 0 0 0 1 0 0 0 0 1"
INFO = f"""m_versionNumber = 4
m_sensorName = StructureSensor
m_colorWidth = 1296
m_colorHeight = 968
m_depthWidth = 64
m_depthHeight = 48
m_depthShift = 1000
m_calibrationColorIntrinsic = 1158.3 0 649 0 0 1153.53 483.5 0 0 0 1 0 0 0 0 1
m_calibrationDepthIntrinsic = {MATRIX}
m_frames.size = 3
"""
SCANNET = """appVersion = 65
axisAlignment = 0.945519 0.325568 0.000000 -5.384390 -0.325568 0.945519 0.000000 -2.871780 0 0 1 -0.064350 0 0 0 1
colorHeight = 968
depthHeight = 48
depthWidth = 64
fx_color = 1170.187988
fx_depth = 57
fy_color = 1170.187988
fy_depth = 58
mx_depth = 31.5
my_depth = 23.5
sceneType = Bedroom
"""

OPEN3D = json.dumps({"width": 64, "height": 48, "intrinsic_matrix": [57, 0, 0, 0, 58, 0, 31.5, 23.5, 1]})


def ace(root: Path, calibration: str = "57.0") -> Path:
    """7Scenes as ACE and DSAC* set it up, two sequences of two and one frame."""
    for rank, name in enumerate(("seq-01-frame-000000", "seq-01-frame-000010", "seq-02-frame-000000")):
        depth_png(root / "depth" / f"{name}.depth.png", size=SIZE)
        pose_txt(root / "poses" / f"{name}.pose.txt", looking_ahead(0.1 * rank))
        for folder, suffix, content in (("rgb", "color.png", ""), ("calibration", "calibration.txt", calibration)):
            (root / folder).mkdir(exist_ok=True)
            (root / folder / f"{name}.{suffix}").write_text(content)
    return root


def one_folder(root: Path, suffix: str = "png") -> Path:
    """12Scenes, BundleFusion, or what is exported of a .sens file."""
    for rank in range(3):
        depth_png(root / f"frame-{rank:06d}.depth.png", size=SIZE)
        if suffix == "pgm":
            path = root / f"frame-{rank:06d}.depth.png"
            depth = np.full((SIZE[1], SIZE[0]), 2000, ">u2")
            path.unlink()
            path.with_suffix(".pgm").write_bytes(b"P5\n64 48\n65535\n" + depth.tobytes())
        pose_txt(root / f"frame-{rank:06d}.pose.txt", looking_ahead(0.1 * rank))
        (root / f"frame-{rank:06d}.color.jpg").write_bytes(b"")
    return root


class TestAce:
    """rgb/ depth/ poses/ calibration/, names of sequence and frame joined"""

    def test_frames(self, tmp_path: Path) -> None:
        """A depth map, a pose and an image of one name are one frame; each sequence counts its own frames."""
        found = sequence.read(ace(tmp_path / "train"), "folder")
        cameras = found.frames.cameras
        assert cameras.key.tolist() == ["seq-01-frame-000000", "seq-01-frame-000010", "seq-02-frame-000000"]
        assert cameras.ok.all()
        assert cameras.position[:, 0].tolist() == [0.0, 0.1, 0.2]
        assert cameras.extra["sequence"].tolist() == ["seq-01", "seq-01", "seq-02"]
        assert cameras.extra["frame"].tolist() == [0, 1, 0]
        assert all(path.endswith(".color.png") for path in found.frames.image)
        assert found.frames.intrinsics.tolist() == [[57.0, 57.0, 32.0, 24.0]] * 3
        assert found.notes == ("the intrinsics are those of calibration/, assumed to be those of the depth maps",)
        assert len(found.files) == 3 * 3

    def test_matrices(self, tmp_path: Path) -> None:
        """A calibration may be a matrix, and frames may differ."""
        root = ace(tmp_path, "57 0 31.5\n0 58 23.5\n0 0 1\n")
        assert sequence.read(root, "folder").frames.intrinsics.tolist() == [list(CAMERA)] * 3
        (root / "calibration/seq-02-frame-000000.calibration.txt").write_text("60")
        found = sequence.read(root, "folder")
        assert found.frames.intrinsics.tolist() == [list(CAMERA)] * 2 + [[60.0, 60.0, 32.0, 24.0]]
        assert "the frames differ in their intrinsics; the record holds those of the first" in found.notes

    def test_options_come_first(self, tmp_path: Path) -> None:
        """Calibrations are not read where intrinsics are given."""
        root = ace(tmp_path, "not a number")
        assert sequence.read(root, "folder", intrinsics=CAMERA).frames.intrinsics[0].tolist() == list(CAMERA)

    def test_faults(self, tmp_path: Path) -> None:
        """Calibrations that are missing, of other images, or without a middle."""
        root = ace(tmp_path / "a")
        (root / "calibration/seq-02-frame-000000.calibration.txt").unlink()
        with pytest.raises(InputError, match=r"1 of 3 frames have no calibration \(seq-02-frame-000000\)"):
            sequence.read(root, "folder")
        root = ace(tmp_path / "b")
        depth_png(root / "rgb/seq-01-frame-000000.color.png", size=(128, 96))
        with pytest.raises(
            OptionError, match="calibrations of images of 128 × 96 pixels, but the depth maps have 64 × 48"
        ):
            sequence.read(root, "folder")
        root = ace(tmp_path / "c")
        (root / "depth/seq-01-frame-000000.depth.png").write_text("no image")
        with pytest.raises(InputError, match=r"holds only a focal length, .* give --intrinsics"):
            sequence.read(root, "folder")
        root = ace(tmp_path / "d", "-525")
        with pytest.raises(InputError, match=r"calibration.txt: fx -525"):
            sequence.read(root, "folder")

    def test_splits(self, tmp_path: Path) -> None:
        """The folder above says which of its folders are sequences."""
        ace(tmp_path / "chess/train")
        ace(tmp_path / "chess/test")
        with pytest.raises(
            DatasetNotFoundError, match=r"chess: .*; give one of the folders test, train in it, which have"
        ):
            sequence.read(tmp_path / "chess", "folder")

    def test_renamed(self, tmp_path: Path) -> None:
        """The same names in folders that are called otherwise: three frames, not six."""
        root = ace(tmp_path)
        (root / "poses").rename(root / "pose")
        (root / "calibration").rename(root / "other")
        (root / "intrinsics.txt").write_text("57 58 31.5 23.5")
        found = sequence.read(root, "folder")
        assert len(found.frames) == 3
        assert found.notes == ()


class TestNames:
    """relabel.datasets.rgbd.frame_names"""

    @pytest.mark.parametrize("layout", ["folder", "scannet"])
    @pytest.mark.parametrize(
        ("depth", "pose"), [("{:06d}", "{}"), ("{}", "{:06d}"), ("frame-{:06d}", "{:04d}"), ("{}", "frame-{:06d}")]
    )
    def test_by_number(self, tmp_path: Path, layout: Any, depth: str, pose: str) -> None:
        """Each depth map has the pose of its number, and that names differ is told."""
        numbers = (2, 9, 10, 100)
        for number in numbers:
            depth_png(tmp_path / f"depth/{depth.format(number)}.png", size=SIZE)
            pose_txt(tmp_path / f"pose/{pose.format(number)}.txt", looking_ahead(0.1 * number))
        found = sequence.read(tmp_path, layout, intrinsics=CAMERA)
        assert found.frames.cameras.key.tolist() == [depth.format(number) for number in numbers]
        np.testing.assert_allclose(found.frames.cameras.position[:, 0], 0.1 * np.array(numbers))
        differ = sum(depth.format(number) != pose.format(number) for number in numbers)
        assert [note.split(":")[0] for note in found.notes] == [f"{differ} poses are joined with depth maps by number"]

    @pytest.mark.parametrize(
        ("name", "same"),
        [
            ("cam0/frame-000010.depth.png", "10"),
            ("C:\\data\\img_0.50.jpg", "0.5"),
            ("000", "0"),
            ("0.000", "0"),
            ("100", "100"),
            ("1" + "0" * 40 + "1", "1" + "0" * 40 + "1"),
            ("seq-01-frame-000010", "seq-01-frame-000010"),
            ("room.1", "room.1"),
        ],
    )
    def test_plain(self, name: str, same: str) -> None:
        assert frame_names.plain(name) == same

    def test_exact_names_come_first(self, tmp_path: Path) -> None:
        """What is left over then has no partner."""
        for number in ("1", "2"):
            depth_png(tmp_path / f"depth/{number}.png", size=SIZE)
        for rank, name in enumerate(("1", "01", "2")):
            pose_txt(tmp_path / f"pose/{name}.txt", looking_ahead(float(rank)))
        cameras = sequence.read(tmp_path, "folder", intrinsics=CAMERA).frames.cameras
        status = dict(zip(cameras.key.tolist(), cameras.status.tolist(), strict=True))
        assert status == {"1": Status.OK, "01": Status.BAD_DEPTH, "2": Status.OK}
        assert cameras.position[cameras.ok, 0].tolist() == [0.0, 2.0]

    def test_two_of_one_number(self, tmp_path: Path) -> None:
        """Poses, or depth maps, whose names differ in zeros alone are refused where nothing tells which is meant."""
        depth_png(tmp_path / "depth/001.png", size=SIZE)
        for name in ("1", "01"):
            pose_txt(tmp_path / f"pose/{name}.txt", looking_ahead())
        with pytest.raises(InputError, match="01 and 1 differ only in folders, suffixes and zeros"):
            sequence.read(tmp_path, "folder", intrinsics=CAMERA)
        (tmp_path / "pose/01.txt").unlink()
        depth_png(tmp_path / "depth/0001.png", size=SIZE)
        with pytest.raises(InputError, match="differ only in folders, suffixes and zeros"):
            sequence.read(tmp_path, "folder", intrinsics=CAMERA)


class TestOneFolder:
    """Everything of a frame in one folder"""

    @pytest.mark.parametrize("layout", ["folder", "scannet"])
    @pytest.mark.parametrize("below", ["", "data", "exported"])
    @pytest.mark.parametrize("suffix", ["png", "pgm"])
    def test_frames(self, tmp_path: Path, layout: Any, below: str, suffix: str) -> None:
        """By the marks in their names, also below the folder that is given."""
        one_folder(tmp_path / "apt" / below, suffix)
        (tmp_path / "apt/info.txt").write_text(INFO)
        found = reader(tmp_path / "apt", layout).read()
        assert found.query.cameras.key.tolist() == [f"frame-{rank:06d}" for rank in range(3)]
        assert found.query.cameras.ok.all()
        assert found.query.cameras.extra["sequence"].tolist() == ["apt"] * 3
        assert found.query.intrinsics[0].tolist() == list(CAMERA)
        assert found.query.size == SIZE
        assert found.query.unit_m == 0.001
        assert all(path.endswith(f".depth.{suffix}") for path in found.query.depth)
        assert all(path.endswith(".color.jpg") for path in found.query.image)
        assert found.notes == ("the intrinsics are those of info.txt",)

    def test_lost_tracking(self, tmp_path: Path) -> None:
        """BundleFusion writes -inf where it does not know the pose."""
        root = one_folder(tmp_path)
        pose_txt(root / "frame-000001.pose.txt", np.full((4, 4), -np.inf))
        found = sequence.read(root, "folder", intrinsics=CAMERA)
        assert found.frames.cameras.status.tolist() == [Status.OK, Status.NO_POSE, Status.OK]

    def test_partners(self, tmp_path: Path) -> None:
        """What has no partner keeps its row."""
        root = one_folder(tmp_path)
        (root / "frame-000000.pose.txt").unlink()
        (root / "frame-000001.depth.png").unlink()
        status = sequence.read(root, "folder", intrinsics=CAMERA).frames.cameras.status
        assert status.tolist() == [Status.NO_POSE, Status.BAD_DEPTH, Status.OK]

    def test_no_frame(self, tmp_path: Path) -> None:
        """Files without marks are none of a frame, and what is there is told."""
        depth_png(tmp_path / "a/0.png", size=SIZE)
        with pytest.raises(DatasetNotFoundError, match=r"no folder depth in it, and no NAME.depth.png \(0.png\)"):
            sequence.read(tmp_path / "a", "folder")
        root = one_folder(tmp_path / "b")
        for path in root.glob("*.pose.txt"):
            path.unlink()
        with pytest.raises(
            DatasetNotFoundError, match=r"no folder pose in it, no NAME.pose.txt, and no file of all poses"
        ):
            sequence.read(root, "folder", intrinsics=CAMERA)


class TestFolders:
    """Folders that cannot be listed, and what systems leave in them"""

    def test_locked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The folder is named."""

        def locked(folder: Path) -> list[Path]:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))

        monkeypatch.setattr(named_files, "children", locked)
        with pytest.raises(InputError, match=r"depth: cannot be read \(Permission denied\)"):
            sequence.read(rgbd_folder(tmp_path), "folder")

    def test_clutter(self, tmp_path: Path) -> None:
        """AppleDouble files stand beside every file, with its suffix."""
        root = one_folder(tmp_path)
        (root / "scene0000_00.txt").write_text(SCANNET)
        for path in list(root.iterdir()):
            path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07")
        found = sequence.read(root, "folder")
        assert found.frames.cameras.key.tolist() == [f"frame-{rank:06d}" for rank in range(3)]
        assert found.frames.cameras.ok.all()

    def test_forms_of_unicode(self, tmp_path: Path) -> None:
        """Names that are the same in NFC belong together."""
        depth_png(tmp_path / "depth" / f"{unicodedata.normalize('NFD', 'Küche')}.png", size=SIZE)
        pose_txt(tmp_path / "pose" / f"{unicodedata.normalize('NFC', 'Küche')}.txt", np.eye(4))
        assert sequence.read(tmp_path, "folder", intrinsics=CAMERA).frames.cameras.ok.tolist() == [True]


class TestIntrinsics:
    """relabel.datasets.rgbd.intrinsics_files"""

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("intrinsic/intrinsic_depth.txt", MATRIX),
            ("intrinsics_depth.txt", MATRIX),
            ("intrinsic_depth.txt", MATRIX),
            ("intrinsics.txt", "57 58 31.5 23.5"),
            ("camera-intrinsics.txt", "57 0 31.5 0 58 23.5 0 0 1"),
            ("_info.txt", INFO),
            ("info.txt", INFO),
            ("scene0000_00.txt", SCANNET),
            ("camera_primesense.json", OPEN3D),
            ("intrinsic.json", OPEN3D),
            ("intrinsics.json", '{"fx": 57, "fy": 58, "cx": 31.5, "cy": 23.5}'),
        ],
    )
    @pytest.mark.parametrize("layout", ["folder", "scannet"])
    def test_places(self, tmp_path: Path, layout: Any, name: str, content: str) -> None:
        """Wherever they are found in practice."""
        root = rgbd_folder(tmp_path, layout=layout)
        (root / ("intrinsics.txt" if layout == "folder" else "intrinsic/intrinsic_depth.txt")).unlink()
        with pytest.raises(MissingFileError, match=r"does not exist, nor does info.txt.*or give --intrinsics"):
            sequence.read(root, layout)
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
        found = sequence.read(root, layout)
        assert found.frames.intrinsics[0].tolist() == list(CAMERA)
        assert found.files[0] == root / name
        told = [note for note in found.notes if "the intrinsics are those of" in note]
        assert told == ([] if "intrinsic" in name and name.endswith("txt") else [f"the intrinsics are those of {name}"])

    def test_unit(self, tmp_path: Path) -> None:
        """The steps of a metre are what the scanner says, unless an option does."""
        root = one_folder(tmp_path)
        (root / "_info.txt").write_text(INFO.replace("m_depthShift = 1000", "m_depthShift = 5000"))
        found = sequence.read(root, "folder")
        assert found.frames.unit_m == found.params["depth_unit_m"] == 1 / 5000
        assert "one step of a stored depth is 0.0002 m, as _info.txt says" in found.notes
        given = sequence.read(root, "folder", depth_unit_m=0.001, intrinsics=(50, 51, 30, 20))
        assert given.frames.unit_m == 0.001
        assert given.frames.intrinsics[0].tolist() == [50, 51, 30, 20]
        assert given.notes == ()

    @pytest.mark.parametrize(
        ("scale", "unit_m"), [(5000, 1 / 5000), (6553.5, 1 / 6553.5), (0.001, 0.001), (0.0002, 0.0002)]
    )
    def test_unit_of_json(self, tmp_path: Path, scale: float, unit_m: float) -> None:
        """Steps a metre, or metres a step; also where the intrinsics come from elsewhere, but not before options."""
        root = one_folder(tmp_path)
        (root / "intrinsic.json").write_text(json.dumps({**json.loads(OPEN3D), "depth_scale": scale}))
        found = sequence.read(root, "folder")
        assert found.frames.unit_m == pytest.approx(unit_m, rel=1e-12)
        assert any("one step of a stored depth" in note for note in found.notes) == (unit_m != 0.001)
        assert sequence.read(root, "folder", intrinsics=CAMERA).frames.unit_m == pytest.approx(unit_m, rel=1e-12)
        assert sequence.read(root, "folder", depth_unit_m=0.01).frames.unit_m == 0.01

    def test_moved_camera(self, tmp_path: Path) -> None:
        """A depth camera that stands apart from what the poses are of is told."""
        root = one_folder(tmp_path)
        line = "m_calibrationDepthExtrinsic = 1 0 0 {} 0 1 0 0 0 0 1 0 0 0 0 1\n"
        for x, told in ((0, False), (0.025, True)):
            (root / "info.txt").write_text(INFO + line.format(x))
            notes = sequence.read(root, "folder").notes
            assert any("m_calibrationDepthExtrinsic is ignored" in note for note in notes) == told

    @pytest.mark.parametrize(
        ("centre", "told"),
        [
            ("31.5 23.5", False),
            ("26 20", False),
            ("15.5 11.5", True),
            ("31.5 58", False),
            ("57 31.5", True),
            ("57 23.5", True),
        ],
    )
    def test_principal_point(self, tmp_path: Path, centre: str, told: bool) -> None:
        """One far from the middle is told; of one outside nothing is said here, since decoding will refuse it."""
        root = rgbd_folder(tmp_path)
        (root / "intrinsics.txt").write_text(f"57 58 {centre}")
        read = sequence.read(root, "folder")
        assert read.notes == ()
        findings = [finding for finding in audit(read).findings if finding.code == "intrinsics-off-centre"]
        assert [finding.severity for finding in findings] == ["warning"] * told
        for finding in findings:
            assert finding.seen.startswith("0.png is 64 × 48 pixels, and the principal point")

    def test_shares_of_the_size(self, tmp_path: Path) -> None:
        """Intrinsics as shares of width and height are refused."""
        root = rgbd_folder(tmp_path)
        (root / "intrinsics.txt").write_text("0.89 1.2 0.5 0.5")
        with pytest.raises(
            InputError, match=r"intrinsics.txt: fx 0.89, .* are fractions of the image width and height"
        ):
            sequence.read(root, "folder")

    def test_two_that_differ(self, tmp_path: Path) -> None:
        """The matrix is taken, and that there are others is told."""
        root = rgbd_folder(tmp_path)
        (root / "info.txt").write_text(INFO.replace("57 0 31.5", "60 0 31.5"))
        found = sequence.read(root, "folder")
        assert found.frames.intrinsics[0].tolist() == list(CAMERA)
        assert found.notes == ("the intrinsics are those of intrinsics.txt; those in info.txt differ",)

    def test_another_size(self, tmp_path: Path) -> None:
        """Depth maps of another size than the intrinsics are for are bad ones."""
        root = one_folder(tmp_path)
        (root / "info.txt").write_text(INFO.replace("m_depthWidth = 64", "m_depthWidth = 640"))
        assert sequence.read(root, "folder").frames.size == (640, 48)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("57 0 31.5", "57 1 31.5", "info.txt: line 9: is not a matrix of intrinsics without skew"),
            ("57 0 31.5", "57 x 31.5", "info.txt: line 9: 'x' is not a number"),
            ("57 0 31.5", "57 0", "info.txt: line 9: holds 15 numbers"),
        ],
    )
    def test_faults(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        """File and line are named."""
        root = one_folder(tmp_path)
        (root / "info.txt").write_text(INFO.replace(old, new))
        with pytest.raises(InputError, match=message):
            sequence.read(root, "folder")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", r"intrinsic.json: is not JSON"),
            ("[" * 100_000, r"intrinsic.json: is not JSON"),
            (f'{{"fx": 1{"0" * 400}, "fy": 1, "cx": 1, "cy": 1}}', r"intrinsic.json: has neither an intrinsic_matrix"),
            ("[1]", r"intrinsic.json: has neither an intrinsic_matrix of 9 numbers"),
            ('{"intrinsic_matrix": [1, 2]}', r"intrinsic.json: has neither an intrinsic_matrix of 9 numbers"),
            ('{"intrinsic_matrix": [57, 0, 31, 0, 58, 23, 0, 0, 1]}', r"intrinsic.json: is not a matrix of intrinsics"),
        ],
    )
    def test_json(self, tmp_path: Path, text: str, message: str) -> None:
        """What is not as Open3D writes it."""
        root = one_folder(tmp_path)
        (root / "intrinsic.json").write_text(text)
        with pytest.raises(InputError, match=message):
            sequence.read(root, "folder")

    def test_nothing_useful(self, tmp_path: Path) -> None:
        """Files of these names that say nothing of intrinsics are passed over."""
        root = one_folder(tmp_path)
        (root / "info.txt").write_text("recorded in May\n")
        (root / "scene0000_00.txt").write_text("sceneType = Bedroom\n")
        with pytest.raises(MissingFileError, match=r"intrinsics.txt: does not exist"):
            sequence.read(root, "folder")


LISTS = {
    "traj.txt": "{m}\n",
    "poses.txt": "{m34}\n",
    "pose.txt": "{m4}\n",
    "trajectory.log": "{k} {k} {n}\n{m4}\n",
    "livingroom1.log": "{k}\t{k}\t{n}\n{m4}\n",
    "livingroom1-traj.txt": "{k} {k} {n}\n{m4}\n",
    "scene/trajectory.log": "{k} {k} {n}\n{m4}\n",
}
NAMED = {
    "number": "{k} {m}\n",
    "name": "frame-{k:06d} {m34}\n",
    "file": "color/frame-{k:06d}.color.jpg {m34}\n",
    "tum": "{k} {x} 0 0 0 0 0 1\n",
}


def listed(form: str, k: int, x: float) -> str:
    """The pose of a camera at (x, 0, 0) in a form."""
    rows: list[list[float]] = [[1, 0, 0, x], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    lines = [" ".join(map(str, row)) for row in rows]
    return form.format(k=k, n=k + 1, x=x, m=" ".join(lines), m34=" ".join(lines[:3]), m4="\n".join(lines))


class TestPoseLists:
    """relabel.datasets.rgbd.pose_lists"""

    @pytest.mark.parametrize("name", LISTS)
    def test_in_order(self, tmp_path: Path, name: str) -> None:
        """Without names, the k-th pose is that of the k-th depth map by name, whatever its number."""
        for number in (3, 20, 100):
            depth_png(tmp_path / f"depth/{number}.png", size=SIZE)
        places = (0.5, 1.5, 2.5)
        (tmp_path / "scene").mkdir()
        (tmp_path / name).write_text("".join(listed(LISTS[name], k, x) for k, x in enumerate(places)))
        found = sequence.read(tmp_path, "folder", intrinsics=CAMERA)
        assert found.frames.cameras.key.tolist() == ["3", "20", "100"]
        np.testing.assert_array_equal(found.frames.cameras.pose, [looking_ahead(x) for x in places])
        assert found.notes == (
            f"the poses are those of {Path(name).name}, one per depth map in the order of their names",
        )
        assert tmp_path / name in found.files
        root = RgbdReader.from_parameters(reader(tmp_path, "folder", intrinsics=CAMERA).parameters(), tmp_path)
        assert root.read().query.cameras.ok.all()

    @pytest.mark.parametrize("form", NAMED)
    def test_by_name(self, tmp_path: Path, form: str) -> None:
        """Names in any order; what has no partner is told."""
        for number in (0, 1, 2):
            depth_png(tmp_path / f"depth/frame-{number:06d}.png", size=SIZE)
        (tmp_path / "poses.txt").write_text("".join(listed(NAMED[form], k, 0.5 * k) for k in (7, 2, 0)))
        found = sequence.read(tmp_path, "folder", intrinsics=CAMERA)
        assert found.frames.cameras.status.tolist() == [Status.OK, Status.NO_POSE, Status.OK]
        assert found.frames.cameras.position[[0, 2], 0].tolist() == [0.0, 1.0]
        assert found.notes == (
            "the poses are those of poses.txt, by the names of the frames",
            "poses.txt: 1 pose has no depth map; are depth maps numbered from 0 and poses from 1?",
            "1 frame has no pose (frame-000001)",
        )

    def test_two_cameras(self, tmp_path: Path) -> None:
        """One name in the folders of two cameras does not tell whose pose is meant."""
        for number in range(2):
            depth_png(tmp_path / f"depth/{number:06d}.png", size=SIZE)
        lines = [listed(f"cam{camera}/{{k:06d}}.png {{m}}\n", k, camera) for camera in (0, 1) for k in range(2)]
        (tmp_path / "poses.txt").write_text("".join(lines))
        with pytest.raises(InputError, match=r"poses.txt: cam0/000000.png and cam1/000000.png differ only in"):
            sequence.read(tmp_path, "folder", intrinsics=CAMERA)
        (tmp_path / "poses.txt").write_text("".join(lines[:2]))
        assert sequence.read(tmp_path, "folder", intrinsics=CAMERA).frames.cameras.ok.all()

    def test_several(self, tmp_path: Path) -> None:
        """Which of several files or folders of poses is read is told."""
        for number in range(2):
            depth_png(tmp_path / f"depth/{number}.png", size=SIZE)
        poses = {"poses.txt": ("{m}\n", 1.0), "trajectory.log": ("{k} {k} {n}\n{m4}\n", 5.0), "old_traj.txt": ("", 0.0)}
        for name, (form, x) in poses.items():
            (tmp_path / name).write_text("".join(listed(form, k, x) for k in range(2)))
        found = sequence.read(tmp_path, "folder", intrinsics=CAMERA)
        assert found.frames.cameras.position[:, 0].tolist() == [5.0, 5.0]
        assert found.notes[0] == "trajectory.log is read instead of poses.txt, old_traj.txt"
        for folder, x in (("pose", 2.0), ("poses", 3.0)):
            for number in range(2):
                pose_txt(tmp_path / f"{folder}/{number}.txt", looking_ahead(x))
        found = sequence.read(tmp_path, "folder", intrinsics=CAMERA)
        assert found.frames.cameras.position[:, 0].tolist() == [2.0, 2.0]
        assert found.notes == ("pose/ is read instead of poses/",)

    @pytest.mark.parametrize(
        ("numbers", "places"),
        [
            ((0, 1, 2), (0.0, 1.0, 2.0)),  # the order of the depth maps
            ((7, 8, 9), (0.0, 1.0, 2.0)),
            ((-1, -1, -1), (0.0, 1.0, 2.0)),
            ((9, 3, 6), (1.0, 2.0, 0.0)),  # their numbers
            ((3, 9, 12), (0.0, None, 1.0)),
        ],
    )
    def test_numbers_of_a_log(self, tmp_path: Path, numbers: tuple[int, ...], places: tuple[float | None, ...]) -> None:
        """Those of trajectory.log are the names of the frames, unless they only count."""
        for number in (3, 6, 9):
            depth_png(tmp_path / f"depth/{number:05d}.png", size=SIZE)
        poses = [listed(f"{number} {number} {{n}}\n{{m4}}\n", k, float(k)) for k, number in enumerate(numbers)]
        (tmp_path / "trajectory.log").write_text("".join(poses))
        cameras = sequence.read(tmp_path, "folder", intrinsics=CAMERA).frames.cameras
        assert cameras.ok.tolist() == [place is not None for place in places]
        assert cameras.position[cameras.ok, 0].tolist() == [place for place in places if place is not None]

    def test_one_number_twice_in_a_log(self, tmp_path: Path) -> None:
        for number in range(3):
            depth_png(tmp_path / f"depth/{number}.png", size=SIZE)
        (tmp_path / "trajectory.log").write_text("".join(listed(f"{k} {k} 1\n{{m4}}\n", 0, 0.0) for k in (0, 1, 0)))
        with pytest.raises(InputError, match=r"trajectory.log: line 11: the number 0 is already used for another pose"):
            sequence.read(tmp_path, "folder", intrinsics=CAMERA)

    def test_time_stamps(self, tmp_path: Path) -> None:
        """They are in the order of time, and one with further zeros is the same."""
        stamps = ["10.25", "10.3", "10.35", "10.4"]
        for stamp in stamps:
            depth_png(tmp_path / f"depth/{stamp}.png", size=SIZE)
        for form in ("{m}\n", "{x}000 {m}\n"):
            places = [float(stamp) for stamp in stamps]
            text = "".join(listed(form, k, x).replace("10.25000 ", "10.250 ") for k, x in enumerate(places))
            (tmp_path / "poses.txt").write_text(text)
            cameras = sequence.read(tmp_path, "folder", intrinsics=CAMERA).frames.cameras
            assert cameras.key.tolist() == stamps
            assert cameras.position[:, 0].tolist() == places

    def test_replica(self, tmp_path: Path) -> None:
        """As NICE-SLAM rendered it; the camera of all scenes is one folder up."""
        room = tmp_path / "room0"
        for k in range(3):
            depth_png(room / f"results/depth{k:06d}.png", size=SIZE)
            (room / f"results/frame{k:06d}.jpg").write_text("")
        (room / "traj.txt").write_text("".join(listed("{m}\n", k, 0.5 * k) for k in range(3)))
        camera = {"w": 64, "h": 48, "fx": 57.0, "fy": 58.0, "cx": 31.5, "cy": 23.5, "scale": 6553.5}
        (tmp_path / "cam_params.json").write_text(json.dumps({"camera": camera}))
        found = sequence.read(room, "folder")
        assert found.frames.cameras.key.tolist() == ["000000", "000001", "000002"]
        assert found.frames.cameras.position[:, 0].tolist() == [0.0, 0.5, 1.0]
        assert found.frames.unit_m == pytest.approx(1 / 6553.5)
        assert (found.frames.intrinsics == CAMERA).all()
        assert found.frames.size == SIZE
        assert [Path(path).name for path in found.frames.image] == [f"frame{k:06d}.jpg" for k in range(3)]
        assert "one step of a stored depth is 0.00015259 m, as cam_params.json says" in found.notes

    def test_unknown_poses(self, tmp_path: Path) -> None:
        """Not finite, or all zeros."""
        for number in range(3):
            depth_png(tmp_path / f"depth/{number}.png", size=SIZE)
        zeros = " ".join(["0"] * 16)
        (tmp_path / "traj.txt").write_text(f"{zeros}\n{listed('{m}', 1, 0.5)}\n{zeros.replace('0', '-inf')}\n")
        found = sequence.read(tmp_path, "folder", intrinsics=CAMERA)
        assert found.frames.cameras.status.tolist() == [Status.NO_POSE, Status.OK, Status.NO_POSE]

    def test_folder_of_poses_comes_first(self, tmp_path: Path) -> None:
        """One file of all poses beside them is not read."""
        root = rgbd_folder(tmp_path)
        (root / "poses.txt").write_text("nonsense")
        assert sequence.read(root, "folder").frames.cameras.ok.all()

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (listed("{m}", 0, 0.0), "poses.txt: holds 1 pose, but there are 2 depth maps; unnamed poses"),
            ("# nothing\n", "poses.txt: holds no pose"),
            ("1 2 3 4 5 6 7\n", "poses.txt: line 1: 7 values; a pose has 16 or 12"),
            (listed("{m}\n1 {m}", 0, 0.0), "poses.txt: line 2: 17 values; line 1 has 16"),
            (listed("{m4}", 0, 0.0).rpartition("\n")[0], "poses.txt: has 3 lines, which is not a multiple of 4"),
            (listed("{k} {k} {n}\n{m4}\n0 0\n{m4}", 0, 0.0), "poses.txt: line 6: expected three whole numbers"),
            (listed("{m4}\n{m4}", 0, 0.0).replace("0 1 0 0", "0 1 0", 1), "poses.txt: line 2: 3 values; a row"),
            (listed("{m}", 0, 0.0).replace("0.0", "x"), "poses.txt: line 1: 'x' is not a number"),
            (
                listed("{m}", 0, 0.0).replace("0 0 0 1", "0 0 5 1"),
                "poses.txt: line 1: the last row of the pose is 0 0 5",
            ),
            (
                listed("seq-09 {m34}\n", 0, 0.0),
                "poses.txt: names no frame that has a depth map: it has seq-09",
            ),
        ],
    )
    def test_faults(self, tmp_path: Path, text: str, message: str) -> None:
        """File and line are named."""
        for number in range(2):
            depth_png(tmp_path / f"depth/{number}.png", size=SIZE)
        (tmp_path / "poses.txt").write_text(text)
        with pytest.raises(InputError, match=message):
            sequence.read(tmp_path, "folder", intrinsics=CAMERA)
