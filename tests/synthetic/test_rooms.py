"""The synthetic room: the layout, what its cameras see, and that it appears whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from relabel.cameras import Cameras
from relabel.errors import MissingPackageError, OptionError, OutputError, OutputExistsError
from relabel.frames import Frames
from relabel.reference.surface import frame_points, pair_overlap
from relabel.synthetic import rooms
from relabel.synthetic.furniture import HALF_M, furnished
from relabel.synthetic.room_camera import DEPTH_FOCAL, Camera
from relabel.synthetic.rooms import write_tree

FRAMES = 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, open3d: Any) -> Path:
    """One scene, to be looked at."""
    return write_tree(tmp_path_factory.mktemp("rooms") / "7scenes", frames=FRAMES, seed=1)


@pytest.fixture(scope="module")
def camera(open3d: Any) -> Camera:
    """The cameras of that room."""
    return Camera(furnished(1))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that take no time."""

    class Quick:
        def __init__(self, room: Any) -> None:
            pass

        def depth(self, pose: Any, rng: np.random.Generator) -> Any:
            return Image.new("I;16", (4, 3), int(rng.integers(500, 4000)))

        def colour(self, pose: Any) -> Any:
            return Image.new("RGB", (4, 3))

    monkeypatch.setattr(rooms, "Camera", Quick)
    monkeypatch.setattr(rooms, "furnished", lambda seed: seed)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def pose_of(path: Path) -> np.ndarray:
    """The numbers of a pose file."""
    return np.array(path.read_text().split(), dtype=float).reshape(4, 4)


def sequence(scene: Path, number: int) -> Frames:
    """The frames of one sequence."""
    paths = sorted((scene / f"seq-{number:02d}").glob("*.depth.png"))
    pose = np.array([pose_of(path.with_name(path.name.replace("depth.png", "pose.txt"))) for path in paths])
    cameras = Cameras(key=[path.name for path in paths], position=pose[:, :3, 3], pose=pose)
    return Frames(cameras, [str(p) for p in paths], (DEPTH_FOCAL, DEPTH_FOCAL, 320.0, 240.0), size=(640, 480))


class TestLayout:
    """relabel.synthetic.rooms.write_tree: the files"""

    def test_every_file(self, scene: Path) -> None:
        """Splits as Microsoft writes them, and three files a frame."""
        files = contents(scene)
        assert files["TrainSplit.txt"] == b"sequence1\r\nsequence2\r\n"
        assert files["TestSplit.txt"] == b"sequence3\r\n"
        names = {
            f"seq-{number:02d}/frame-{frame:06d}.{kind}"
            for number in (1, 2, 3)
            for frame in range(FRAMES)
            for kind in ("color.png", "depth.png", "pose.txt")
        }
        assert set(files) == names | {"TrainSplit.txt", "TestSplit.txt"}

    def test_poses(self, scene: Path) -> None:
        """Four lines of four numbers, tabs, three digits of exponent, CRLF; rigid to the digits there are."""
        for path in scene.rglob("*.pose.txt"):
            lines = path.read_bytes().split(b"\r\n")
            assert [bool(re.fullmatch(rb"([ -]\d\.\d{7}e[+-]\d{3}\t){4}", line)) for line in lines[:4]] == [True] * 4
            assert lines[4:] == [b""]
            pose = pose_of(path)
            assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3), abs=1e-6)
            assert np.linalg.det(pose[:3, :3]) == pytest.approx(1.0, abs=1e-6)
            assert pose[3].tolist() == [0.0, 0.0, 0.0, 1.0]

    def test_colour_images(self, scene: Path) -> None:
        """Depth of 16 bits and colour, both 640 × 480; the colours are many and neither all dark nor all bright."""
        for path in scene.rglob("*.depth.png"):
            with Image.open(path) as depth, Image.open(path.with_name(path.name.replace("depth", "color"))) as colour:
                assert (depth.mode[:1], depth.size, colour.mode, colour.size) == ("I", (640, 480), "RGB", (640, 480))
                shades = np.asarray(colour)
            assert 40 < shades.mean() < 215
            assert len(np.unique(shades[::4, ::4].astype(int) @ (1 << 16, 1 << 8, 1))) > 200


class TestWhatIsSeen:
    """relabel.synthetic.room_camera.Camera"""

    def test_holes_and_codes(self, scene: Path) -> None:
        """About one pixel in twelve has no depth, a few the other code; what there is lies in the camera's range."""
        steps = np.stack([np.array(Image.open(path)) for path in sorted(scene.rglob("*.depth.png"))])
        none = (steps == 0) | (steps == 65535)
        assert 0.07 < none.mean() < 0.2
        assert 0 < (steps == 65535).sum() < 0.02 * none.sum()
        assert 480 <= steps[~none].min() <= steps[~none].max() <= 4060

    def test_points_lie_in_the_room(self, scene: Path) -> None:
        """Back-projected with the poses, all points lie within the walls, but for noise: z is depth, and not length."""
        for number in (1, 2, 3):
            for row in range(FRAMES):
                points = np.abs(frame_points(sequence(scene, number), row, stride=2))
                assert (points < np.array(HALF_M) + 0.12).all()
                # They are not all on one side of it either: some wall, floor or ceiling is met.
                assert (np.abs(points - HALF_M) < 0.03).any(axis=1).mean() > 0.2

    def test_depth_of_a_wall_by_hand(self, camera: Camera) -> None:
        """The ray of the middle pixel ends on a thing or at the wall; that of each pixel ends at the same place as
        the plane of the wall, where the place is on it."""
        z, cosine, at = camera.exact(np.eye(4))
        wall = np.abs(at[:, :, 2] - HALF_M[2]) < 1e-4
        assert wall.sum() > 1000
        assert z[wall] == pytest.approx(HALF_M[2], abs=1e-4)
        v, u = np.nonzero(wall)
        assert at[wall][:, 0] == pytest.approx((u - 320) / DEPTH_FOCAL * HALF_M[2], abs=1e-4)
        assert at[wall][:, 1] == pytest.approx((v - 240) / DEPTH_FOCAL * HALF_M[2], abs=1e-4)
        length = np.sqrt(((u - 320) / DEPTH_FOCAL) ** 2 + ((v - 240) / DEPTH_FOCAL) ** 2 + 1)
        assert cosine[wall] == pytest.approx(1 / length, abs=1e-4)

    def test_noise_grows_with_the_square(self, camera: Camera) -> None:
        """Measured depth differs from the exact one by a normal error of 1.4 mm at 1 m, and four times that at 2 m."""
        errors, depths = [], []
        for number, turn in enumerate(np.linspace(0.0, 2.0 * np.pi, 5, endpoint=False)):
            pose = np.eye(4)
            pose[:3, :3] = rooms._about(1, np.array([turn]))[0]
            exact = camera.exact(pose)[0]
            measured = np.asarray(camera.depth(pose, np.random.default_rng(number))).astype(float) / 1000.0
            seen = (measured > 0.0) & (measured < 60.0)
            errors.append((measured - exact)[seen])
            depths.append(exact[seen])
        error, depth = np.concatenate(errors), np.concatenate(depths)
        assert abs(error.mean()) < 1e-4
        for low, high in ((1.0, 1.5), (1.5, 2.0), (2.0, 2.5)):
            some = (depth >= low) & (depth < high)
            assert some.sum() > 1000
            assert (error[some] / depth[some] ** 2).std() == pytest.approx(1.4e-3, rel=0.1)

    def test_frames_share_much_and_nothing(self, tmp_path: Path, camera: Camera) -> None:
        """On a walk that turns round, one frame and the next have much in common, and those half a turn later none;
        what one sequence sees, another sees again.
        """
        walks = [rooms.poses(number, rooms.FRAMES, np.random.default_rng([1, number])) for number in (1, 3)]
        pose = np.concatenate([walks[0][[0, 1, 20]], walks[1][::4]])
        paths = [str(tmp_path / f"{number}.png") for number in range(len(pose))]
        for path, one in zip(paths, pose, strict=True):
            camera.depth(one, np.random.default_rng(0)).save(path, compress_level=1)
        frames = Frames(
            Cameras(key=paths, position=pose[:, :3, 3], pose=pose), paths, (DEPTH_FOCAL,) * 2 + (320.0, 240.0)
        )
        columns = np.arange(1, len(pose))
        psi = pair_overlap(frames, frames, np.zeros_like(columns), columns, stride=8)
        assert psi[0] > 0.5
        assert psi[1] == 0.0
        assert psi[2:].max() > 0.2


class TestSeeds:
    """The same seed, the same bytes."""

    def test_deterministic(self, scene: Path, tmp_path: Path) -> None:
        """Whatever thread comes first."""
        steps: list[int] = []
        again = write_tree(tmp_path / "again", frames=FRAMES, seed=1, progress=steps.append)
        assert contents(again) == contents(scene)
        assert steps == [1] * (3 * FRAMES)

    def test_another_seed(self, open3d: Any) -> None:
        """Another room and another walk."""
        assert not np.array_equal(
            np.concatenate(furnished(1).vertices)[:500], np.concatenate(furnished(2).vertices)[:500]
        )
        walks = [rooms.poses(1, 4, np.random.default_rng([seed, 1])) for seed in (1, 2)]
        assert not np.allclose(*walks)

    @pytest.mark.parametrize("seed", range(8))
    def test_any_room_can_be_walked(self, seed: int, open3d: Any) -> None:
        """Nothing stands where the camera goes, in any room: no surface is nearer than 20 cm."""
        room = furnished(seed)
        looked = open3d.t.geometry.RaycastingScene()
        tensor = open3d.core.Tensor
        vertices, triangles = np.concatenate(room.vertices), np.concatenate(room.triangles)
        looked.add_triangles(tensor(vertices.astype(np.float32)), tensor(triangles.astype(np.uint32)))
        for number in (1, 2, 3):
            places = rooms.poses(number, 50, np.random.default_rng([seed, number]))[:, :3, 3]
            assert looked.compute_distance(tensor(places.astype(np.float32))).numpy().min() > 0.2


class TestWholeOrNotAtAll:
    """relabel.synthetic.rooms.write_tree: the folder"""

    def test_a_folder_that_is_not_empty_is_refused(self, tmp_path: Path, quick: None) -> None:
        """Nothing changes, and the way out is named; with overwrite the scene is replaced, and only it."""
        write_tree(tmp_path, frames=3)
        (tmp_path / "notes.txt").write_text("mine")
        before = contents(tmp_path)
        with pytest.raises(OutputExistsError, match=r"not empty; .*overwrite=True"):
            write_tree(tmp_path, frames=2, seed=5)
        assert contents(tmp_path) == before
        write_tree(tmp_path, frames=2, seed=5, overwrite=True)
        after = contents(tmp_path)
        assert len(after) == 1 + 2 + 3 * 3 * 2
        assert after["notes.txt"] == b"mine"

    def test_what_is_not_ours_stays(self, tmp_path: Path, quick: None) -> None:
        """A scene with a file that relabel did not write is never replaced."""
        write_tree(tmp_path, frames=1)
        (tmp_path / "room" / "labels.h5").write_text("dear")
        with pytest.raises(OutputExistsError, match=r"room: holds 'labels\.h5', which no earlier run"):
            write_tree(tmp_path, frames=1, overwrite=True)
        assert (tmp_path / "room" / "labels.h5").read_text() == "dear"

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_failure_leaves_nothing(
        self, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch, overwrite: bool
    ) -> None:
        """What was there before is there after, and nothing else."""
        folder = tmp_path / "a" / "b"
        if overwrite:
            write_tree(folder, frames=1)
        before = contents(tmp_path), sorted(tmp_path.rglob("*"))

        def full(*_: Any) -> bytes:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(rooms, "_pose_text", full)
        with pytest.raises(OutputError, match="the disk is full"):
            write_tree(folder, frames=2, overwrite=overwrite)
        assert (contents(tmp_path), sorted(tmp_path.rglob("*"))) == before

    def test_a_file_in_the_way(self, tmp_path: Path, quick: None) -> None:
        """Neither the folder nor the scene may be a file."""
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="is a file"):
            write_tree(tmp_path / "file")
        (tmp_path / "room").touch()
        with pytest.raises(OutputError, match="is a file"):
            write_tree(tmp_path, overwrite=True)

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"frames": 0}, "at least one"),
            ({"frames": 1_000_001}, "at most 1,000,000"),
            ({"seed": -1}, "0 or more"),
            ({"scene": "a/b"}, "without separators"),
            ({"scene": ""}, "without separators"),
            ({"scene": ".."}, "without separators"),
        ],
    )
    def test_impossible_wishes(self, tmp_path: Path, quick: None, options: dict[str, Any], what: str) -> None:
        """Values that cannot be taken are named before anything is written."""
        with pytest.raises(OptionError, match=what):
            write_tree(tmp_path / "new", **options)
        assert not any(tmp_path.iterdir())

    def test_without_open3d(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """How to get it is said, and no folder is made."""
        monkeypatch.setitem(__import__("sys").modules, "open3d", None)
        with pytest.raises(MissingPackageError, match=r"relabel sample 7scenes needs .*'relabel-vpr\[open3d\]'"):
            write_tree(tmp_path / "new")
        assert not any(tmp_path.iterdir())
