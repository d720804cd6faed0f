"""relabel.datasets.tb_places: poses in any axes become cameras or frames, and every way in which a set can be wrong."""

from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from relabel.cameras import Status
from relabel.datasets.conventions import AXES
from relabel.datasets.tb_places import DIRECTIONS, QUATERNIONS, sets
from relabel.datasets.tb_places.sets import (
    TbCameraReader,
    TbFrameReader,
    depth_readers,
    parse_axes,
    read,
    readers,
)
from relabel.datasets.trajectory import axis
from relabel.errors import DatasetNotFoundError, InputError, NotFoundError, OptionError
from tests.trees import depth_png, looking_ahead, tb_set

CAMERA = (570.0, 570.0, 320.0, 240.0)


NUMBER = st.integers() | st.floats() | st.sampled_from([0, 1])
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBER | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=20,
)


def stored(pose: np.ndarray, order: str = "xyzw") -> list[float]:
    """A pose (4, 4) as seven numbers."""
    x, y, z, w = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    return [*pose[:3, 3].tolist(), *((x, y, z, w) if order == "xyzw" else (w, x, y, z))]


def some_poses(n: int = 5) -> np.ndarray:
    """Any poses (n, 4, 4)."""
    poses = np.tile(np.eye(4), (n, 1, 1))
    poses[:, :3, :3] = Rotation.random(n, np.random.default_rng(3)).as_matrix()
    poses[:, :3, 3] = np.random.default_rng(4).normal(size=(n, 3))
    return poses


class TestRead:
    """relabel.datasets.tb_places.read"""

    @pytest.mark.parametrize("order", QUATERNIONS)
    @pytest.mark.parametrize("direction", DIRECTIONS)
    def test_conventions(self, tmp_path: Path, order: Any, direction: Any) -> None:
        """One and the same poses come out, in whatever order and direction they are stored."""
        poses = some_poses()
        way = poses if direction == "camera-to-world" else np.linalg.inv(poses)
        path = tb_set(tmp_path / "W17.json", [stored(pose, order) for pose in way])
        found = read(path, quaternion=order, direction=direction)
        np.testing.assert_allclose(found.track.pose, poses, atol=1e-12)
        assert found.track.key.tolist() == [f"cam0/{i:06d}.jpg" for i in range(5)]
        assert found.prefix == "images"

    @pytest.mark.parametrize(("ahead", "down"), [p for p in itertools.product(AXES, AXES) if p[0][-1] != p[1][-1]])
    def test_axes(self, tmp_path: Path, ahead: str, down: str) -> None:
        """With axes, the third of a camera looks ahead and the second down, and it is right-handed."""
        poses = some_poses()
        axes = parse_axes(f"ahead={ahead},down={down}")
        path = tb_set(tmp_path / "a.json", [stored(pose) for pose in poses])
        found = read(path, axes=axes).track.pose
        np.testing.assert_allclose(found[:, :3, 2], poses[:, :3, :3] @ axis(ahead), atol=1e-12)
        np.testing.assert_allclose(found[:, :3, 1], poses[:, :3, :3] @ axis(down), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(found), 1.0)
        np.testing.assert_array_equal(found[:, :3, 3], read(path).track.pose[:, :3, 3])

    def test_not_finite(self, tmp_path: Path) -> None:
        """Python writes NaN into JSON: such a pose is not known."""
        bad, good = [float("nan"), 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 1]
        path = tb_set(
            tmp_path / "a.json", [bad, good, [0, 0, 0, 0, 0, float("inf"), 1], [0, 0, float("-inf"), *good[3:]]]
        )
        for direction in DIRECTIONS:
            found = read(path, direction=direction).track
            assert np.isfinite(found.pose).all(axis=(1, 2)).tolist() == [False, True, False, False]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("[1, 2", "a.json: line 1: is not JSON"),
            ("[1, 2]", "holds no lists im_paths and poses"),
            ('{"im_paths": 3, "poses": []}', "holds no lists im_paths and poses"),
            ('{"im_paths": [], "poses": []}', "im_paths is empty"),
            ('{"im_paths": ["a"], "poses": []}', "im_paths has 1 entries, poses 0"),
            ('{"im_paths": [7], "poses": [[0,0,0,0,0,0,1]]}', r"im_paths\[0\] is 7, not the path of an image"),
            ('{"im_paths": [""], "poses": [[0,0,0,0,0,0,1]]}', r"im_paths\[0\] is ''"),
            (
                '{"im_paths": ["a","b","a"], "poses": [[0,0,0,0,0,0,1],[0,0,0,0,0,0,1],[0,0,0,0,0,0,1]]}',
                r"im_paths\[2\]: 'a' is already in im_paths\[0\]",
            ),
            ('{"im_paths": ["a"], "poses": [[0,0,0,0,0,0]]}', r"poses\[0\] is \[0, 0, 0, 0, 0, 0\], not 7 numbers"),
            ('{"im_paths": ["a"], "poses": [[0,0,0,0,0,0,"1"]]}', r"poses\[0\]"),
            ('{"im_paths": ["a"], "poses": [[0,0,0,0,0,0,null]]}', r"poses\[0\]"),
            ('{"im_paths": ["a"], "poses": [7]}', r"poses\[0\] is 7"),
            ('{"im_paths": ["a\\ud800"], "poses": [[0,0,0,0,0,0,1]]}', r"im_paths\[0\] is .*not the path"),
            (f'{{"im_paths": ["a"], "poses": [[{10**400},0,0,0,0,0,1]]}}', "a whole number that is too large"),
            ('{"im_paths": ["a"], "poses": [[0,0,0,0,0,0,1e200]]}', "has length inf, not 1"),
            ('{"im_paths": ["a"], "poses": [[0,0,0,0,0,0,3]]}', r"poses\[0\]: the quaternion .* has length 3, not 1"),
        ],
    )
    def test_faults(self, tmp_path: Path, content: str, message: str) -> None:
        """The file and the row are named."""
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(InputError, match=message):
            read(tmp_path / "a.json")

    @settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        st.fixed_dictionaries({"im_paths": ANYTHING, "poses": ANYTHING | st.lists(st.lists(NUMBER, max_size=8))})
        | ANYTHING
    )
    def test_anything(self, tmp_path: Path, content: Any) -> None:
        """Whatever JSON it is, poses or an error that names the file come out."""
        path = tmp_path / "a.json"
        path.write_text(json.dumps(content))
        try:
            found = read(path)
        except InputError as error:
            assert "a.json" in str(error)  # noqa: PT017  either will do
        else:
            assert found.track.pose.shape == (len(content["poses"]), 4, 4)

    def test_no_text(self, tmp_path: Path) -> None:
        """A file that is not even text."""
        (tmp_path / "a.json").write_bytes(b"\xff\xfe")
        with pytest.raises(InputError, match=r"a.json: is not JSON"):
            read(tmp_path / "a.json")
        for text in ("[" * 100_000, "9" * 5_000):
            (tmp_path / "a.json").write_text(text)
            with pytest.raises(InputError, match=r"a.json: is not JSON"):
                read(tmp_path / "a.json")


class TestAxes:
    """relabel.datasets.tb_places.parse_axes"""

    def test_spelling(self) -> None:
        """Spelt in any order, told in one."""
        assert str(parse_axes("up=-y, down=y ,ahead=z")) == "ahead=z,down=y,up=-y"
        assert parse_axes("ahead=z,down=y").camera == ("x", "y", "z")
        assert parse_axes("ahead=x,down=-z").camera == ("-y", "-z", "x")
        assert parse_axes("ahead=x").camera is None

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "is not ROLE=AXIS"),
            ("z", "'z' is not ROLE=AXIS; a role is one of ahead, down, up"),
            ("ahead=w", "an axis one of x, -x"),
            ("ahead=z,ahead=x", "each once"),
            ("front=z", "'front=z'"),
            ("up=z", "does not state the viewing axis of a pose;"),
            ("ahead=z,down=-z", "ahead and down are the same axis"),
        ],
    )
    def test_faults(self, text: str, message: str) -> None:
        """What cannot be is refused with what can."""
        with pytest.raises(OptionError, match=message):
            parse_axes(text)


class TestFind:
    """relabel.datasets.tb_places: find, select"""

    def test_places(self, tmp_path: Path) -> None:
        """Sets of the folder and of those right below; other JSON files are told."""
        tb_set(tmp_path / "W17.json")
        tb_set(tmp_path / "W16" / "W16.json")
        (tmp_path / "W16" / "info.json").write_text("[]")
        found, others = sets.find(tmp_path)
        assert found == {"W16": tmp_path / "W16/W16.json", "W17": tmp_path / "W17.json"}
        assert [path.name for path in others] == ["info.json"]
        assert list(sets.select(tmp_path, "W17")[0]) == ["W17"]
        with pytest.raises(NotFoundError, match="no set 'W18'; there are W16, W17"):
            sets.select(tmp_path, "W18")
        with pytest.raises(OptionError, match="names no set"):
            sets.select(tmp_path, ",")
        tb_set(tmp_path / "W17" / "W17.json")
        with pytest.raises(InputError, match="are both the set W17"):
            sets.find(tmp_path)

    def test_nothing(self, tmp_path: Path) -> None:
        """What was looked for is told."""
        with pytest.raises(DatasetNotFoundError, match=r"does not exist; give the folder that holds <set>.json"):
            sets.find(tmp_path / "x")
        (tmp_path / "a.json").write_text('{"im_paths": []}')
        with pytest.raises(DatasetNotFoundError, match=r"holds no <set>.json .*; .*a.json has no im_paths and poses"):
            sets.find(tmp_path)


class TestStreet:
    """relabel.datasets.tb_places.sets: readers, without depth maps"""

    def test_headings(self, tmp_path: Path) -> None:
        """A camera with z up and x ahead looks east, turned a quarter to the left north; straight up nowhere."""
        turns = [np.eye(3), Rotation.from_euler("z", 90, degrees=True).as_matrix()]
        turns.append(Rotation.from_euler("y", -90, degrees=True).as_matrix())
        poses = np.tile(np.eye(4), (3, 1, 1))
        poses[:, :3, :3] = turns
        poses[:, :3, 3] = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        tb_set(tmp_path / "W17.json", [stored(pose) for pose in poses])
        ((reader,), others) = readers(tmp_path, axes="ahead=x,up=z")
        street = reader.read()
        assert others == []
        assert street.query is street.database
        np.testing.assert_allclose(street.query.heading_deg[:2], [90.0, 0.0], atol=1e-9)
        assert street.query.status.tolist() == [Status.OK, Status.OK, Status.NO_HEADING]
        assert street.query.position[1].tolist() == [4.0, 5.0, 6.0]
        assert street.query.pose is None
        assert street.params == {
            "heading": "axis x of the poses",
            "axes": "ahead=x,up=z",
            "quaternion": "xyzw",
            "poses": "camera-to-world",
        }
        assert "fields of view" in street.notes[0]
        assert "these come from the options, since the dataset does not state" in street.notes[1]
        assert street.files == (tmp_path / "W17.json",)

    def test_pose(self, tmp_path: Path) -> None:
        """With down told as well, cameras keep their poses, in the axes of the ground."""
        tb_set(tmp_path / "W17.json")
        ((reader,), _) = readers(tmp_path, axes="ahead=z,down=y,up=-y")
        cameras = reader.read().query
        assert cameras.heading_deg.tolist() == [0.0] * 3
        assert cameras.pose is not None
        np.testing.assert_array_equal(cameras.pose[0, :3, 2], [0.0, 1.0, 0.0])
        np.testing.assert_array_equal(cameras.pose[0, :3, 1], [0.0, 0.0, -1.0])

    def test_way_back(self, tmp_path: Path) -> None:
        """Parameters lead back to the reader."""
        tb_set(tmp_path / "garden" / "W17.json")
        ((reader,), _) = readers(tmp_path, axes="ahead=z,up=-y", quaternion="wxyz", direction="world-to-camera")
        parameters = json.loads(json.dumps(reader.parameters()))
        assert parameters["set"] == "garden/W17.json"
        assert TbCameraReader.from_parameters(parameters, tmp_path) == pickle.loads(pickle.dumps(reader)) == reader
        assert parameters == {}

    @pytest.mark.parametrize(
        ("axes", "message"),
        [
            (None, "does not state the viewing axis of a pose.*--axes ahead=z,up=z"),
            ("ahead=z", "which axis of the world is up; add up=z"),
        ],
    )
    def test_axes_are_needed(self, tmp_path: Path, axes: str | None, message: str) -> None:
        """They are never guessed."""
        tb_set(tmp_path / "W17.json")
        with pytest.raises(OptionError, match=message):
            readers(tmp_path, axes=axes)


class TestDepth:
    """relabel.datasets.tb_places.sets: depth_readers"""

    def test_frames(self, tmp_path: Path) -> None:
        """Depth maps lie under the path of the image, with the prefix or without; what is missing is counted."""
        names = ["cam0/000000.jpg", "cam1/000000.jpg", "cam0/000001.jpg"]
        tb_set(tmp_path / "W17" / "W17.json", names=names)
        depth_png(tmp_path / "maps/cam0/000000.png", size=(8, 6))
        depth_png(tmp_path / "maps/images/cam1/000000.png", size=(8, 6))
        (tmp_path / "W17/images/cam0").mkdir(parents=True)
        (tmp_path / "W17/images/cam0/000000.jpg").write_bytes(b"")
        ((reader,), _) = depth_readers(
            tmp_path, tmp_path / "maps", axes="ahead=z,down=y", intrinsics=CAMERA, depth_unit_m=0.002
        )
        scene = reader.read()
        frames = scene.query
        assert scene.database is frames
        assert frames.cameras.key.tolist() == names
        assert frames.cameras.status.tolist() == [Status.OK, Status.OK, Status.BAD_DEPTH]
        assert frames.cameras.extra["sequence"].tolist() == ["cam0", "cam1", "cam0"]
        assert frames.cameras.extra["frame"].tolist() == [0, 0, 1]
        assert frames.unit_m == 0.002
        assert frames.intrinsics[2].tolist() == list(CAMERA)
        assert frames.cameras.pose is not None
        np.testing.assert_array_equal(frames.cameras.pose[2], looking_ahead(0.2))
        assert [Path(path).name for path in frames.image] == ["000000.jpg", "", ""]
        assert scene.notes[1:] == ("1 frame has no depth map (cam0/000001.jpg)",)
        assert len(scene.files) == 3
        assert scene.params["axes"] == "ahead=z,down=y"
        scene.require_some()

    def test_intrinsics_of_another_size(self, tmp_path: Path) -> None:
        """A principal point far from the middle of the depth maps is told."""
        tb_set(tmp_path / "W17.json", names=["a.jpg"], poses=[[0, 0, 0, 0, 0, 0, 1]])
        depth_png(tmp_path / "a.png", size=(64, 48))
        for centre, told in (((31.5, 23.5), False), ((15.5, 11.5), True)):
            ((reader,), _) = depth_readers(
                tmp_path, tmp_path, axes="ahead=z,down=y", intrinsics=(57.0, 58.0, *centre), depth_unit_m=0.001
            )
            assert [doubt.code for doubt in reader.read().doubts] == ["intrinsics-off-centre"] * told

    @pytest.mark.parametrize("outside", [False, True])
    def test_way_back(self, tmp_path: Path, outside: bool) -> None:
        """Parameters lead back to the reader; depth maps outside of the root widen it."""
        root = tmp_path / "sets"
        depth = tmp_path / "maps" if outside else root / "maps"
        tb_set(root / "W17.json")
        depth.mkdir()
        ((reader,), _) = depth_readers(root, depth, axes="ahead=z,down=y", intrinsics=CAMERA, depth_unit_m=0.001)
        parameters = json.loads(json.dumps(reader.parameters()))
        assert reader.root == (tmp_path if outside else root)
        assert (parameters["set"], parameters["depth"]) == ("sets/W17.json" if outside else "W17.json", "maps")
        assert TbFrameReader.from_parameters(parameters, reader.root) == pickle.loads(pickle.dumps(reader)) == reader
        assert parameters == {}

    def test_nothing_found(self, tmp_path: Path) -> None:
        """Where there is no depth map at all, the message says where the first would be."""
        tb_set(tmp_path / "W17.json")
        (tmp_path / "maps").mkdir()
        ((reader,), _) = depth_readers(
            tmp_path, tmp_path / "maps", axes="ahead=z,down=y", intrinsics=CAMERA, depth_unit_m=0.001
        )
        with pytest.raises(
            InputError, match=r"\(3 bad_depth\); the depth map of cam0/000000.jpg would be .*000000.png"
        ):
            reader.read().require_some()

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"intrinsics": None}, "--depth needs --intrinsics fx,fy,cx,cy"),
            ({"depth_unit_m": None}, "--depth needs --depth-unit"),
            ({"depth_unit_m": -1.0}, "--depth-unit -1"),
            ({"axes": None}, "point ahead and down.*--axes ahead=z,down=y"),
            ({"axes": "ahead=z,up=y"}, "points down; add down=y"),
            ({"depth": Path("nowhere")}, "nowhere: does not exist; give the folder of the depth maps"),
        ],
    )
    def test_faults(self, tmp_path: Path, given: dict[str, Any], message: str) -> None:
        """What depth maps need is asked for."""
        tb_set(tmp_path / "W17.json")
        told = {"depth": tmp_path, "axes": "ahead=z,down=y", "intrinsics": CAMERA, "depth_unit_m": 0.001} | given
        with pytest.raises((OptionError, DatasetNotFoundError), match=message):
            depth_readers(tmp_path, told.pop("depth"), **told)
