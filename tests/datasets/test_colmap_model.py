"""relabel.datasets.colmap_model: models as text and as bytes, with rigs and without, and every way to damage one."""

from __future__ import annotations

import errno
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from relabel.cameras import Status
from relabel.datasets import colmap_model
from relabel.datasets.table.table_reader import TableReader, reader
from relabel.datasets.trajectory import Axes
from relabel.datasets.trajectory import read as cameras_of
from relabel.errors import DatasetNotFoundError, InputError

UP = Axes("z", "z")
HEADINGS = {"cam0/0.jpg": 0.0, "cam1/0.jpg": 90.0, "cam0/1.jpg": 20.0, "cam1/1.jpg": 110.0}
"""The second camera of the rig looks 90° further to the right."""
PLACES = {"cam0/0.jpg": (0, 0, 1.5), "cam1/0.jpg": (0, 0, 1.5), "cam0/1.jpg": (0, 10, 1.5), "cam1/1.jpg": (0, 10, 1.5)}
STALE = {"cam1/0.jpg": 30.0, "cam1/1.jpg": 140.0}


def matrix(heading: float) -> np.ndarray:
    """World to camera of a level camera: the rows are right, down and ahead; x of the world is east, z up."""
    a = np.radians(heading)
    ahead, down = np.array([np.sin(a), np.cos(a), 0.0]), np.array([0.0, 0.0, -1.0])
    return np.stack([np.cross(down, ahead), down, ahead])


def row(rotation: np.ndarray, place: Sequence[float] = (0, 0, 0)) -> tuple[float, ...]:
    """QW QX QY QZ TX TY TZ of a rotation into a camera at a place."""
    x, y, z, w = Rotation.from_matrix(rotation).as_quat()
    return (w, x, y, z, *(-rotation @ np.array(place, float)))


def text(values: Sequence[float]) -> str:
    return " ".join(f"{value:.17g}" for value in values)


IMAGES = {name: (number, 1 if "cam0" in name else 2) for number, name in enumerate(HEADINGS, 1)}
SECOND = row(matrix(90.0) @ matrix(0.0).T)
FRAMES = [("cam0/0.jpg", "cam1/0.jpg"), ("cam0/1.jpg", "cam1/1.jpg")]


def text_model(folder: Path, stale: Any = (), *, rigs: bool = True) -> Path:
    """The model as COLMAP writes it as text; images that are in `stale` have that heading in images.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Image list with two lines of data per image:",
        "#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME",
    ]
    for name, (number, camera) in IMAGES.items():
        heading = dict(stale).get(name, HEADINGS[name])
        lines += [f"{number} {text(row(matrix(heading), PLACES[name]))} {camera} {name}", "1.5 2.5 -1 3 4 7"]
    (folder / "images.txt").write_text("\n".join([*lines, ""]))
    if rigs:
        (folder / "rigs.txt").write_text(f"# Rig calib list\n5 2 CAMERA 1 CAMERA 2 1 {text(SECOND)}\n")
        lines = ["# Frame list"]
        for number, names in enumerate(FRAMES, 1):
            data = " ".join(f"CAMERA {IMAGES[name][1]} {IMAGES[name][0]}" for name in names)
            lines.append(f"{number} 5 {text(row(matrix(HEADINGS[names[0]]), PLACES[names[0]]))} 2 {data}")
        (folder / "frames.txt").write_text("\n".join([*lines, ""]))
    return folder


def binary_model(folder: Path, stale: Any = (), *, rigs: bool = True) -> Path:
    """The same as bytes: little-endian, without padding."""
    folder.mkdir(parents=True, exist_ok=True)
    content = struct.pack("<Q", len(IMAGES))
    for name, (number, camera) in IMAGES.items():
        heading = dict(stale).get(name, HEADINGS[name])
        content += struct.pack("<I7dI", number, *row(matrix(heading), PLACES[name]), camera) + name.encode() + b"\0"
        content += struct.pack("<Q", 2) + struct.pack("<ddQ", 1.5, 2.5, 2**64 - 1) + struct.pack("<ddQ", 3, 4, 7)
    (folder / "images.bin").write_bytes(content)
    if rigs:
        content = struct.pack("<QIIiI", 1, 5, 2, 0, 1) + struct.pack("<iIB", 0, 2, 1) + struct.pack("<7d", *SECOND)
        (folder / "rigs.bin").write_bytes(content)
        content = struct.pack("<Q", len(FRAMES))
        for number, names in enumerate(FRAMES, 1):
            content += struct.pack("<II", number, 5)
            content += struct.pack("<7d", *row(matrix(HEADINGS[names[0]]), PLACES[names[0]])) + struct.pack("<I", 2)
            for name in names:
                content += struct.pack("<iIQ", 0, IMAGES[name][1], IMAGES[name][0])
        (folder / "frames.bin").write_bytes(content)
    return folder


FORMS = {"txt": text_model, "bin": binary_model}


def headings(path: Path) -> tuple[dict[str, float], list[str]]:
    cameras, notes = cameras_of(path, "colmap", UP)
    np.testing.assert_allclose(cameras.position, [PLACES[name] for name in cameras.key.tolist()], atol=1e-9)
    return dict(zip(cameras.key.tolist(), cameras.heading_deg.tolist(), strict=True)), list(notes)


class TestPoses:
    """relabel.datasets.colmap_model.read"""

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("rigs", [False, True])
    @pytest.mark.parametrize("below", ["", "sparse", "sparse/0", "0"])
    def test_folder(self, tmp_path: Path, form: str, rigs: bool, below: str) -> None:
        """The folder of a model, or of a project, in both forms, with rigs and without."""
        FORMS[form](tmp_path / below, rigs=rigs)
        found, notes = headings(tmp_path)
        assert found == pytest.approx(HEADINGS)
        assert "scale" in notes[0]
        names = [f"frames.{form} and rigs.{form}"] if rigs else []
        assert notes[1:] == [f"the poses are those of {both}, as in COLMAP" for both in names]

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("as_folder", [False, True])
    def test_images_of_another_export(self, tmp_path: Path, form: str, as_folder: bool) -> None:
        """Frames and rigs win, as in COLMAP, and it is told; also where the images are named."""
        root = FORMS[form](tmp_path / "model", STALE)
        found, notes = headings(root if as_folder else root / f"images.{form}")
        assert found == pytest.approx(HEADINGS)
        assert notes[-1] == (
            f"2 of 4 images have another pose in images.{form} (the first is cam1/0.jpg): it is from another export"
        )

    @pytest.mark.parametrize("form", FORMS)
    def test_images_alone(self, tmp_path: Path, form: str) -> None:
        """A file that is called otherwise stands for itself."""
        root = FORMS[form](tmp_path / "model", STALE)
        (root / f"images.{form}").rename(root / f"mine.{form}")
        found, _ = headings(root / f"mine.{form}")
        assert found == pytest.approx(HEADINGS | STALE)

    def test_both_forms(self, tmp_path: Path) -> None:
        """The binary one is read, as COLMAP does, and it is told."""
        text_model(binary_model(tmp_path), STALE, rigs=False)
        found, notes = headings(tmp_path)
        assert found == pytest.approx(HEADINGS)
        assert "images.bin is read rather than images.txt, as in COLMAP" in notes
        found, notes = headings(tmp_path / "images.txt")
        assert found == pytest.approx(HEADINGS | STALE)

    @pytest.mark.parametrize("form", FORMS)
    def test_without_frames(self, tmp_path: Path, form: str) -> None:
        """Images of no frame, or of a sensor whose pose in the rig is not known, keep their own poses."""
        root = FORMS[form](tmp_path, {"cam1/0.jpg": 45.0, "cam0/0.jpg": 5.0})
        if form == "txt":
            (root / "rigs.txt").write_text("5 2 CAMERA 1 CAMERA 2 0\n")
            lines = (root / "frames.txt").read_text().splitlines()
            (root / "frames.txt").write_text(lines[2] + "\n")
        else:
            (root / "rigs.bin").write_bytes(struct.pack("<QIIiI", 1, 5, 2, 0, 1) + struct.pack("<iIB", 0, 2, 0))
            content = (root / "frames.bin").read_bytes()
            (root / "frames.bin").write_bytes(struct.pack("<Q", 1) + content[8 + (len(content) - 8) // 2 :])
        found, notes = headings(root)
        assert found == pytest.approx(HEADINGS | {"cam1/0.jpg": 45.0, "cam0/0.jpg": 5.0})
        assert notes[-1] == (
            "3 images belong to no frame, 1 of them by sensors whose pose in the rig is unknown; their poses are those "
            f"of images.{form}"
        )

    def test_other_sensors(self, tmp_path: Path) -> None:
        """An IMU may be the reference of a rig."""
        root = text_model(tmp_path)
        first = row(np.eye(3))
        (root / "rigs.txt").write_text(f"5 3 IMU 9 CAMERA 1 1 {text(first)} CAMERA 2 1 {text(SECOND)}\n")
        frames = (root / "frames.txt").read_text().replace(" 2 CAMERA", " 3 IMU 9 1 CAMERA")
        (root / "frames.txt").write_text(frames)
        found, _ = headings(root)
        assert found == pytest.approx(HEADINGS)

    def test_unknown_pose(self, tmp_path: Path) -> None:
        """A pose that is not finite is none."""
        root = binary_model(tmp_path, rigs=False)
        content = (root / "images.bin").read_bytes()
        (root / "images.bin").write_bytes(content[:12] + struct.pack("<d", np.nan) + content[20:])
        cameras, _ = cameras_of(root, "colmap", UP)
        assert cameras.status.tolist() == [Status.NO_POSE, Status.OK, Status.OK, Status.OK]

    @pytest.mark.parametrize("form", FORMS)
    def test_reader(self, tmp_path: Path, form: str) -> None:
        """A folder leads back from its parameters, and all files that were read are named."""
        root = FORMS[form](tmp_path / "model")
        found = reader(root, layout="colmap", up="z")
        assert TableReader.from_parameters(found.parameters(), found.root) == found
        assert found.name == "model"
        assert [path.name for path in found.read().files] == [f"{name}.{form}" for name in ("images", "rigs", "frames")]


POSE = "1 0 0 0 0 0 0"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([*lines, ""]))
    return path


def locked(folder: Path) -> list[Path]:
    raise PermissionError(errno.EACCES, "Permission denied", str(folder))


class TestFaults:
    """One clear error"""

    def test_names_with_spaces(self, tmp_path: Path) -> None:
        """Names hold spaces, lists of points are empty, and a comment stands at the top."""
        path = write(
            tmp_path / "images.txt", "# Image list with two lines of data per image:", f"1 {POSE} 1 a b/c 1.jpg", "",
            f"2 {POSE} 1 d.jpg", "1.0 2.0 -1", f"3 {POSE} 1 e.jpg", " ".join(["1 2 3"] * 50),
        )  # fmt: skip
        assert colmap_model.read(path).key.tolist() == ["a b/c 1.jpg", "d.jpg", "e.jpg"]

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ([f"1 {POSE} 1 a.jpg", f"2 {POSE} 1 b.jpg"], r"line 2: expected the points of 'a\.jpg'.*not be removed"),
            ([f"1 {POSE} 1 a.jpg", "1 2"], r"line 2: expected the points"),
            (
                [f"1 {POSE} 1 a.jpg", "", f"2 {POSE} 1 a.jpg"],
                r"images.txt: line 3: 'a.jpg' is already in line 1",
            ),
            ([f"1 {POSE} 1"], r"line 1: 9 values"),
            ([f"1 {POSE.replace(' 0', ' x', 1)} 1 a.jpg"], r"line 1: 'x' is not a number"),
            ([f"1 {POSE.replace('1', '3')} 1 a.jpg"], r"line 1: the quaternion .* has length 3"),
        ],
    )
    def test_images(self, tmp_path: Path, lines: list[str], message: str) -> None:
        """File and line are named."""
        with pytest.raises(InputError, match=message):
            colmap_model.read(write(tmp_path / "images.txt", *lines))

    @pytest.mark.parametrize(
        ("name", "line", "message"),
        [
            ("rigs.txt", "5 2 CAMERA 1 CAMERA 2 1 1 0 0", r"rigs.txt: line 1: ends too early"),
            ("rigs.txt", "5 1 CAMERA 1 CAMERA 2 0", r"rigs.txt: line 1: has more than its 1 sensors"),
            ("rigs.txt", "five 1 CAMERA 1", r"rigs.txt: line 1: 'five' is not a whole number"),
            ("rigs.txt", "6 1 CAMERA 1", r"frames.txt: line 2: its rig 5 is not in rigs.txt"),
            (
                "rigs.txt",
                f"5 2 CAMERA 1 CAMERA 2 1 2 {POSE[2:]}",
                r"rigs.txt, for .*frames.txt: line 2: the quaternion",
            ),
            ("frames.txt", f"1 5 {POSE.replace('1', 'x')} 0", r"frames.txt: line 1: 'x' is not a number"),
            (
                "frames.txt",
                f"1 5 {POSE} 1 CAMERA 1 1\n2 5 {POSE} 1 CAMERA 1 1",
                r"frames.txt: line 2: its image 1 already belongs to the frame in line 1",
            ),
            ("frames.txt", f"1 5 {POSE} 1 CAMERA 1 1 7", r"frames.txt: line 1: has more data than it declares"),
        ],
    )
    def test_rigs(self, tmp_path: Path, name: str, line: str, message: str) -> None:
        """File and line are named."""
        root = text_model(tmp_path)
        write(root / name, line)
        with pytest.raises(InputError, match=message):
            colmap_model.read(root)

    def test_folders(self, tmp_path: Path) -> None:
        """No model, and several."""
        (tmp_path / "notes.txt").write_text("")
        with pytest.raises(
            DatasetNotFoundError, match=r"holds no COLMAP model \(images\.bin or images\.txt\) \(notes.txt\)"
        ):
            colmap_model.read(tmp_path)
        for number in range(2):
            binary_model(tmp_path / "sparse" / str(number))
        for root in (tmp_path, tmp_path / "sparse"):
            with pytest.raises(DatasetNotFoundError, match=r"sparse: holds several COLMAP models \(0, 1\)"):
                colmap_model.read(root)

    def test_locked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder that may not be listed."""
        monkeypatch.setattr(colmap_model, "children", locked)
        with pytest.raises(InputError, match=r"cannot be read \(Permission denied\)"):
            colmap_model.read(tmp_path)

    @pytest.mark.parametrize("name", ["images.bin", "rigs.bin", "frames.bin"])
    def test_damaged(self, tmp_path: Path, name: str) -> None:
        """A file that is cut anywhere, or goes on, or says that it holds far more than it does."""
        root = binary_model(tmp_path)
        whole = (root / name).read_bytes()
        for content in (*(whole[:end] for end in range(len(whole))), struct.pack("<Q", 2**63) + whole[8:]):
            (root / name).write_bytes(content)
            with pytest.raises(InputError, match=rf"{name}: ends at byte"):
                colmap_model.read(root)
        (root / name).write_bytes(whole + b"\0")
        with pytest.raises(InputError, match=rf"{name}: has 1 bytes more than it declares"):
            colmap_model.read(root)

    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.sampled_from(["images", "rigs", "frames"]), st.sampled_from(list(FORMS)), st.binary(max_size=200))
    def test_any_bytes(self, tmp_path: Path, name: str, form: str, content: bytes) -> None:
        """Cameras or an error of relabel come out, whatever stands there."""
        root = FORMS[form](tmp_path / form)
        path = root / f"{name}.{form}"
        path.write_bytes(content if form == "txt" else struct.pack("<Q", 1) + content)
        try:
            colmap_model.read(root)
        except InputError as error:
            assert f".{form}" in str(error)  # noqa: PT017  either will do

    def test_names_that_are_no_text(self, tmp_path: Path) -> None:
        """Keys are UTF-8."""
        root = binary_model(tmp_path, rigs=False)
        content = (root / "images.bin").read_bytes()
        (root / "images.bin").write_bytes(content.replace(b"cam0/0", b"cam\xff/0"))
        with pytest.raises(InputError, match=r"images.bin: the name .* of an image is not UTF-8"):
            colmap_model.read(root)
