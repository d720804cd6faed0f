"""relabel.audit.depth: each fault, planted in frames that are right, is named; right frames are let be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from relabel.audit.audit import audit
from relabel.audit.depth import CHECK, depth_findings
from relabel.audit.findings import Finding, NotChecked
from relabel.audit.reprojection import AS_READ, Convention, poses_read_as
from relabel.cameras import Status
from relabel.datasets import seven_scenes
from relabel.datasets.base import FrameSets
from relabel.datasets.seven_scenes import scene
from relabel.frames import Frames
from tests.audit import rooms

FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


def with_focal(frames: Frames, factor: float) -> Frames:
    return replace(frames, intrinsics=frames.intrinsics * [factor, factor, 1.0, 1.0])


def with_size(frames: Frames, factor: float) -> Frames:
    """Intrinsics of an image of another size, whose upper left corner is at (-0.5, -0.5) in any size."""
    corner = np.array([0.0, 0.0, 0.5, 0.5])
    return replace(frames, intrinsics=(frames.intrinsics + corner) * factor - corner)


def opengl(frames: Frames) -> Frames:
    assert frames.cameras.pose is not None
    return rooms.with_poses(frames, frames.cameras.pose @ FLIP)


def inverse(frames: Frames) -> Frames:
    assert frames.cameras.pose is not None
    return rooms.with_poses(frames, np.linalg.inv(frames.cameras.pose))


def real_part_first(frames: Frames) -> Frames:
    """Quaternions w x y z of a file, read as x y z w."""
    assert frames.cameras.pose is not None
    pose = frames.cameras.pose.copy()
    stored = Rotation.from_matrix(pose[:, :3, :3]).as_quat(scalar_first=True)
    pose[:, :3, :3] = Rotation.from_quat(stored).as_matrix()
    return rooms.with_poses(frames, pose)


FAULTS: dict[str, tuple[str, Callable[[Frames], Frames]]] = {
    "1/5000 m for 1 mm": ("depth-unit", lambda frames: replace(frames, unit_m=1.0 / 5000.0)),
    "1 cm for 1 mm": ("depth-unit", lambda frames: replace(frames, unit_m=0.01)),
    "0.1 mm for 1 mm": ("depth-unit", lambda frames: replace(frames, unit_m=0.0001)),
    "focal length of the colour camera": ("depth-focal", lambda frames: with_focal(frames, 525.0 / 585.0)),
    "focal length of twice the size": ("depth-focal", lambda frames: with_focal(frames, 2.0)),
    "intrinsics of half the size": ("depth-image-size", lambda frames: with_size(frames, 0.5)),
    "intrinsics of twice the size": ("depth-image-size", lambda frames: with_size(frames, 2.0)),
    "axes of OpenGL": ("depth-axes", opengl),
    "world to camera": ("depth-inverse-poses", inverse),
    "real part first": ("depth-quaternion", real_part_first),
}


def results(frames: Frames) -> tuple[list[Finding], list[NotChecked]]:
    every = list(depth_findings(frames))
    return [r for r in every if isinstance(r, Finding)], [r for r in every if isinstance(r, NotChecked)]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """A hundred frames that are right."""
    return rooms.frames(tmp_path_factory.mktemp("room"))


class TestRoom:
    def test_right(self, room: Frames) -> None:
        """Nothing is found, and nothing could not be checked."""
        assert results(room) == ([], [])
        assert audit(FrameSets(query=room, database=room)).findings == ()

    @pytest.mark.parametrize("name", FAULTS)
    def test_planted(self, room: Frames, name: str) -> None:
        """The fault is named, with the difference before and after."""
        code, plant = FAULTS[name]
        (finding,), _ = results(plant(room))
        assert finding.code == code
        before, after = finding.figures["error"], finding.figures["error_after"]
        assert before is not None
        assert after is not None
        assert after < 0.015
        assert before > 1.8 * after

    def test_what_is_named(self, room: Frames) -> None:
        """The unit that is right, and the focal length to a few per cent."""
        ((unit,), _), ((focal,), _) = results(replace(room, unit_m=0.0002)), results(with_focal(room, 0.9))
        assert unit.figures["unit_m"] == 0.001
        assert "--depth-unit 0.001" in unit.remedy
        assert focal.figures["focal_px"] == pytest.approx(rooms.FOCAL, rel=0.03)

    @pytest.mark.parametrize(("factor", "name"), [(100.0, "centimetres"), (1000.0, "millimetres")])
    def test_poses_that_are_not_in_metres(self, room: Frames, factor: float, name: str) -> None:
        """It is the poses that are named, not the depths."""
        assert room.cameras.pose is not None
        pose = room.cameras.pose.copy()
        pose[:, :3, 3] *= factor
        (finding,), _ = results(rooms.with_poses(room, pose))
        assert finding.code == "depth-unit"
        assert name in finding.seen
        assert finding.remedy == f"divide the translations of the poses by {factor:g}"

    @pytest.mark.parametrize(("factor", "name"), [(100.0, "centimetres"), (1000.0, "millimetres")])
    def test_two_units(self, room: Frames, factor: float, name: str) -> None:
        """Millimetres that were read as 1/5000 m, with poses that are not in metres either."""
        assert room.cameras.pose is not None
        pose = room.cameras.pose.copy()
        pose[:, :3, 3] *= factor
        (finding,), _ = results(replace(rooms.with_poses(room, pose), unit_m=0.0002))
        assert finding.code == "depth-unit"
        assert f"a depth unit of 0.001 m and translations of the poses in {name}" in finding.seen
        assert finding.remedy == (f"set --depth-unit 0.001, and divide the translations of the poses by {factor:g}")

    def test_image_size(self, room: Frames) -> None:
        """The factor is that to the depth maps."""
        ((half,), _), ((double,), _) = results(with_size(room, 0.5)), results(with_size(room, 2.0))
        assert half.figures["size"] == 2.0
        assert double.figures["size"] == 0.5
        assert half.remedy.startswith("multiply fx, fy, cx and cy by 2, ")

    def test_remedies_of_the_dataset(self, room: Frames) -> None:
        """Where a command lacks the option, the dataset says what mends it; numbers are filled in."""
        frames = replace(room, unit_m=0.0002)
        (finding,) = audit(FrameSets(query=frames, database=frames, remedies=scene.REMEDIES)).findings
        assert finding.remedy == (
            "use the original files of 7-Scenes, or label each sequence with "
            "`relabel rgbd --layout folder --depth-unit 0.001`"
        )

    def test_rays(self, tmp_path: Path, room: Frames) -> None:
        """Distances from the camera's centre for depths along its axis, and the other way round."""
        rays = rooms.frames(tmp_path, ray=True)
        assert [finding.code for finding in results(rays)[0]] == ["depth-ray"]
        assert results(replace(rays, depth_is="ray"))[0] == []
        assert [finding.code for finding in results(replace(room, depth_is="ray"))[0]] == ["depth-ray"]

    def test_two_at_once(self, room: Frames) -> None:
        """Both are named."""
        findings, _ = results(replace(opengl(room), unit_m=0.0002))
        assert [finding.code for finding in findings] == ["depth-unit", "depth-axes"]

    def test_other_poses(self, room: Frames) -> None:
        """Poses that are of other frames are no convention."""
        assert room.cameras.pose is not None
        order = np.random.default_rng(0).permutation(len(room))
        findings, _ = results(rooms.with_poses(room, room.cameras.pose[order]))
        assert [finding.code for finding in findings] in ([], ["depth-disagrees"])

    def test_audit(self, room: Frames) -> None:
        """The findings are those of the audit, of both sides."""
        report = audit(FrameSets(query=room, database=replace(room, unit_m=0.01)))
        assert [(finding.code, finding.side) for finding in report.findings] == [("depth-unit", "database")]


class TestNothingToTell:
    """No false alarm where frames say little, and what is not checked is said."""

    def test_few_frames(self, room: Frames) -> None:
        one = Frames(room.cameras.take([0]), room.depth[:1], room.intrinsics[:1])
        assert results(one) == ([], [NotChecked(CHECK, "fewer than two frames have a pose and a depth map")])

    def test_far_apart(self, tmp_path: Path) -> None:
        """Frames that look elsewhere each."""
        findings, unchecked = results(rooms.frames(tmp_path, rooms.walk(200)[::50]))
        assert findings == []
        assert [check.check for check in unchecked] == [CHECK]

    def test_only_turning(self, tmp_path: Path) -> None:
        """The unit cannot be told; what turning tells is checked."""
        turning = rooms.frames(tmp_path, rooms.walk(60, reach=0.0))
        findings, unchecked = results(turning)
        assert findings == []
        assert "depth-unit" in [check.check for check in unchecked]
        assert results(replace(turning, unit_m=0.01))[0] == []
        assert [finding.code for finding in results(with_focal(turning, 0.8))[0]] == ["depth-focal"]

    def test_along_a_wall(self, tmp_path: Path) -> None:
        """A flat wall, and a camera that moves along it."""
        poses = np.tile(np.eye(4), (40, 1, 1))
        poses[:, 0, 3] = np.linspace(0.0, 3.0, 40)
        wall = rooms.frames(tmp_path, poses, boxes=rooms.WALL)
        for unit_m in (0.001, 0.0002):
            findings, unchecked = results(replace(wall, unit_m=unit_m))
            assert findings == []
            assert "depth-unit" in [check.check for check in unchecked]

    def test_noise(self, tmp_path: Path) -> None:
        """Depths that are off by some per cent, as those of stereo."""
        findings, _ = results(rooms.frames(tmp_path, noise=0.03))
        assert findings == []

    def test_someone_walks_by(self, tmp_path: Path) -> None:
        """A box that is in every frame elsewhere."""
        poses = rooms.walk(60)
        right = rooms.frames(tmp_path, poses)
        for k in range(0, 60, 2):
            box = np.array([[[-0.5 + 0.02 * k, -0.8, 0.9], [0.3 + 0.02 * k, 1.2, 1.1]]])
            part = tmp_path / f"{k}"
            part.mkdir()
            one = rooms.frames(part, poses[k : k + 1], boxes=np.concatenate([rooms.BOXES, box]))
            Path(str(one.depth[0])).replace(str(right.depth[k]))
        assert results(right)[0] == []

    def test_damaged(self, room: Frames, tmp_path: Path) -> None:
        """Files that cannot be read are passed over here; decoding them all reports them."""
        depth = room.depth.copy()
        (tmp_path / "x.png").write_text("no image")
        depth[::3] = str(tmp_path / "x.png")
        assert results(replace(room, depth=depth))[0] == []

    def test_no_pose(self, room: Frames) -> None:
        """Frames without one are passed over."""
        status = np.where(np.arange(len(room)) % 4 == 1, Status.NO_POSE, Status.OK).astype(np.uint8)
        assert results(replace(room, cameras=replace(room.cameras, status=status)))[0] == []


class TestConventions:
    """relabel.audit.reprojection.poses_read_as"""

    def test_as_read(self) -> None:
        pose = rooms.walk(5)
        assert poses_read_as(pose, AS_READ) is pose

    def test_quaternion(self) -> None:
        """Of any rotation, the numbers x y z w are taken for w x y z."""
        turns = Rotation.random(50, rng=np.random.default_rng(0))
        pose = np.tile(np.eye(4), (50, 1, 1))
        pose[:, :3, :3] = turns.as_matrix()
        expected = Rotation.from_quat(turns.as_quat(), scalar_first=True).as_matrix()
        found = poses_read_as(pose, Convention(quaternion=True))[:, :3, :3]
        np.testing.assert_allclose(found, expected, atol=1e-12)

    @pytest.mark.parametrize("convention", [Convention(opengl=True), Convention(inverse=True)])
    def test_twice(self, convention: Convention) -> None:
        """Those that are their own inverses."""
        pose = rooms.walk(5)
        np.testing.assert_allclose(poses_read_as(poses_read_as(pose, convention), convention), pose, atol=1e-12)


@pytest.mark.real_data
class TestRealFrames:
    @pytest.mark.parametrize("split", ["train", "test"])
    @pytest.mark.parametrize("name", ["", *FAULTS])
    def test_redkitchen(self, real_data: Path, split: str, name: str) -> None:
        """Nothing on the right data; each fault by its name."""
        frames = seven_scenes.read(real_data / "7scenes", split=split)
        code, plant = FAULTS.get(name, ("", lambda right: right))
        findings, _ = results(plant(frames))
        assert [finding.code for finding in findings] == ([code] if code else [])
