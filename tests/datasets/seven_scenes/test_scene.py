"""relabel.datasets.seven_scenes: scenes, splits and frames, and every way in which they can be wrong."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from relabel.cameras import Status
from relabel.datasets.matrix_files import read_numbers, read_poses
from relabel.datasets.rgbd_frames import natural
from relabel.datasets.seven_scenes import scene as seven_scenes
from relabel.datasets.seven_scenes.scene import DEFAULT_SPLITS, SevenScenesReader, readers
from relabel.errors import DatasetNotFoundError, InputError, MissingFileError, NotFoundError, OptionError, RelabelError
from tests.trees import edit, looking_ahead, pose_txt, scene_tree

FRAME = "redkitchen/seq-01/frame-000001"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree that no test changes."""
    return scene_tree(tmp_path_factory.mktemp("7scenes"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with small depth maps to be spoilt: no reader opens them."""
    return scene_tree(tmp_path / "7scenes", size=(8, 6))


class TestFind:
    """relabel.datasets.seven_scenes: find, select"""

    def test_folder_of_scenes(self, root: Path) -> None:
        """Sorted by name; folders that are no scene do not matter."""
        scene_tree(root, scene="chess", size=(8, 6))
        (root / "papers").mkdir()
        (root / "license.pdf").write_bytes(b"")
        assert list(seven_scenes.find(root)) == ["chess", "redkitchen"]
        assert list(seven_scenes.select(root, "redkitchen, chess,redkitchen")) == ["redkitchen", "chess"]

    @pytest.mark.parametrize("below", ["", "train"])
    def test_as_for_ace(self, tmp_path: Path, below: str) -> None:
        """A scene as ACE and DSAC* set it up is for another command, which is named."""
        (tmp_path / below / "depth").mkdir(parents=True)
        with pytest.raises(DatasetNotFoundError, match=r"depth/ and poses/ in it is for relabel rgbd --layout folder$"):
            seven_scenes.find(tmp_path)

    def test_one_scene(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The folder of a scene stands for itself, from wherever it is told."""
        assert seven_scenes.find(root / "redkitchen") == {"redkitchen": root / "redkitchen"}
        monkeypatch.chdir(root / "redkitchen")
        assert seven_scenes.find(".") == {"redkitchen": Path()}

    def test_unknown_scene(self, root: Path) -> None:
        """The message lists those that are there."""
        with pytest.raises(NotFoundError, match="no scene 'chess'; there are redkitchen"):
            seven_scenes.select(root, "chess")
        with pytest.raises(OptionError, match="names no scene; there are redkitchen"):
            seven_scenes.select(root, " ,")

    def test_no_scene(self, tmp_path: Path) -> None:
        """What was looked for, and what there is instead."""
        with pytest.raises(DatasetNotFoundError, match="nowhere: does not exist; give the folder that holds <scene>"):
            seven_scenes.find(tmp_path / "nowhere")
        (tmp_path / "msls").mkdir()
        with pytest.raises(DatasetNotFoundError, match=r"in it; it holds msls$"):
            seven_scenes.find(tmp_path)
        (tmp_path / "chess.zip").write_bytes(b"")
        with pytest.raises(
            DatasetNotFoundError, match=r"holds chess.zip, msls, but no unpacked scene.* unpack the zip"
        ):
            seven_scenes.find(tmp_path)
        with pytest.raises(DatasetNotFoundError, match=r"chess.zip: is a file, not a folder"):
            seven_scenes.find(tmp_path / "chess.zip")


class TestRead:
    """relabel.datasets.seven_scenes: read, read_split"""

    def test_frames(self, shared: Path) -> None:
        """Poses, depth maps, images, intrinsics and order, as they stand in the tree."""
        frames = seven_scenes.read(shared, scene="redkitchen", split="train")
        cameras = frames.cameras
        assert cameras.key.tolist() == [f"seq-01/frame-{i:06d}" for i in range(4)]
        assert cameras.ok.all()
        assert cameras.pose is not None
        np.testing.assert_allclose(cameras.pose, [looking_ahead(0.1 * i, 0.02) for i in range(4)], atol=1e-8)
        np.testing.assert_array_equal(cameras.position, cameras.pose[:, :3, 3])
        assert frames.intrinsics.tolist() == [[585.0, 585.0, 320.0, 240.0]] * 4
        assert (frames.unit_m, frames.invalid, frames.size) == (0.001, (0, 65535), (640, 480))
        folder = shared / "redkitchen" / "seq-01"
        assert frames.depth.tolist() == [str(folder / f"frame-{i:06d}.depth.png") for i in range(4)]
        assert frames.image[0] == str(folder / "frame-000000.color.png")
        assert cameras.extra["sequence"].tolist() == ["seq-01"] * 4
        assert (cameras.extra["frame"].tolist(), cameras.extra["frame"].dtype) == ([0, 1, 2, 3], np.int64)

    def test_registered(self, shared: Path) -> None:
        """Depth that was registered to the colour has its focal length."""
        assert seven_scenes.read(shared, focal_px=525.0).intrinsics[0].tolist() == [525.0, 525.0, 320.0, 240.0]

    def test_order(self, tmp_path: Path) -> None:
        """Sequences in the order of the split file, frames by number; ranks begin anew in each."""
        scene_tree(tmp_path, train={11: [8, 0, 100], 2: [7]}, test={3: [0]}, size=(8, 6))
        cameras = seven_scenes.read(tmp_path).cameras
        names = ["seq-11/frame-000000", "seq-11/frame-000008", "seq-11/frame-000100", "seq-02/frame-000007"]
        assert cameras.key.tolist() == names
        assert cameras.extra["frame"].tolist() == [0, 1, 2, 0]

    def test_zeros_in_names(self, root: Path) -> None:
        """Files of one frame are told by its number, and the frame is called as its depth map is."""
        folder = root / "redkitchen" / "seq-01"
        (folder / "frame-000001.pose.txt").rename(folder / "frame-1.pose.txt")
        (folder / "frame-000002.depth.png").rename(folder / "frame-0002.depth.png")
        cameras = seven_scenes.read(root).cameras
        names = ["frame-000000", "frame-000001", "frame-0002", "frame-000003"]
        assert cameras.key.tolist() == [f"seq-01/{name}" for name in names]
        assert cameras.ok.all()
        np.testing.assert_allclose(cameras.position[:, 0], [0.0, 0.1, 0.2, 0.3])
        shutil.copy(folder / "frame-1.pose.txt", folder / "frame-01.pose.txt")
        with pytest.raises(
            InputError,
            match=r"frame-1.pose.txt and frame-01.pose.txt belong to the same frame; keep "
            r"one",
        ):
            seven_scenes.read(root)

    def test_stray_files(self, root: Path) -> None:
        """Only names of frames count."""
        folder = root / "redkitchen" / "seq-01"
        for name in ("Thumbs.db", "frame-000000.depth.png.part", "frame-000009.mask.png", "xframe-000009.depth.png"):
            (folder / name).write_bytes(b"")
        (folder / "frame-000003.color.png").rename(folder / "frame-000003.color.jpg")
        frames = seven_scenes.read(root)
        assert len(frames) == 4
        assert frames.image[3].endswith("frame-000003.color.jpg")

    @pytest.mark.parametrize(
        "text", ["sequence1", "\ufeffsequence1\r\n\r\n", "Sequence 01\n", "seq-01\n", "sequence1 "]
    )
    def test_split_file(self, root: Path, text: str) -> None:
        """Line ends, blank lines, blanks, case and a byte order mark do not matter."""
        (root / "redkitchen" / "TrainSplit.txt").write_bytes(text.encode())
        assert len(seven_scenes.read(root)) == 4

    def test_gaps(self, root: Path) -> None:
        """Frames that lack something keep their row, and are counted by name."""
        folder = root / "redkitchen" / "seq-01"
        (folder / "frame-000000.pose.txt").unlink()
        (folder / "frame-000001.depth.png").unlink()
        pose_txt(folder / "frame-000002.pose.txt", np.full((4, 4), -np.inf))
        (folder / "frame-000009.color.png").write_bytes(b"")
        side = seven_scenes.read_split(root / "redkitchen", "train")
        assert side.frames.cameras.status.tolist() == [
            *(Status.NO_POSE, Status.BAD_DEPTH, Status.NO_POSE, Status.OK, Status.NO_POSE),
        ]
        assert side.notes == (
            "2 frames have no depth map (seq-01/frame-000001, seq-01/frame-000009)",
            "2 frames have no pose (seq-01/frame-000000, seq-01/frame-000009)",
            "1 frame has a pose that is not finite, or all zeros (seq-01/frame-000002)",
        )
        names = {path.name for path in side.files}
        assert "frame-000001.depth.png" not in names
        assert len(side.files) == len(names) == 1 + 3 + 3

    def test_several_scenes(self, root: Path) -> None:
        """One has to be named, and a split that there is."""
        scene_tree(root, scene="chess", size=(8, 6))
        with pytest.raises(OptionError, match="holds several scenes; name one of chess, redkitchen"):
            seven_scenes.read(root)
        with pytest.raises(OptionError, match="split is 'val'; it has to be train or test"):
            seven_scenes.read(root, scene="chess", split="val")

    @pytest.mark.parametrize("focal_px", [0.0, -585.0, float("nan"), float("inf")])
    def test_focal(self, root: Path, focal_px: float) -> None:
        """A focal length that cannot be."""
        with pytest.raises(OptionError, match="is not a focal length; 585 as shipped"):
            seven_scenes.read(root, focal_px=focal_px)


def put(name: str, content: bytes) -> Any:
    """What writes a file of the scene."""
    return lambda root: (root / "redkitchen" / name).write_bytes(content)


WORDS = st.lists(st.sampled_from(["1", "0", "-1e-3", "nan", "-1.#IND", "sequence1", "x", "1_0", "\n", ","])).map(
    lambda words: " ".join(words).encode()
)

BAD_INPUT: dict[str, tuple[Any, str]] = {
    "no split file": (
        lambda root: (root / "redkitchen/TrainSplit.txt").unlink(),
        r"TrainSplit.txt: does not exist \(.*redkitchen holds only TestSplit.txt\); .*--split",
    ),
    "empty split file": (put("TrainSplit.txt", b"\r\n"), "TrainSplit.txt: names no sequence"),
    "no sequence": (put("TrainSplit.txt", b"sequence1\nall\n"), "TrainSplit.txt: line 2: 'all'; expected .* sequence2"),
    "twice": (put("TrainSplit.txt", b"sequence1\n\nsequence01\n"), "line 3: seq-01 is already on line 1"),
    "not text": (put("TrainSplit.txt", b"\xff\xfe\x00"), "TrainSplit.txt: is not UTF-8 text"),
    "sequence is missing": (
        put("TrainSplit.txt", b"sequence1\r\nsequence7\r\n"),
        r"TrainSplit.txt: line 2: there is no folder .*seq-07 \(seq-01, seq-02\); .*--skip-missing",
    ),
    "pose is no text": (put("seq-01/frame-000001.pose.txt", b"\xff\xfe1\x00"), "frame-000001.pose.txt: is not text"),
    "pose is empty": (put("seq-01/frame-000001.pose.txt", b" \r\n"), "frame-000001.pose.txt: is empty; copy or unpack"),
    "pose is cut off": (
        put("seq-01/frame-000001.pose.txt", b"1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0"),
        "frame-000001.pose.txt: holds 14 numbers; a pose has 16",
    ),
    "pose is 3x4": (put("seq-01/frame-000001.pose.txt", b"1 0 0 0\n0 1 0 0\n0 0 1 0\n"), "holds 12 numbers"),
    "pose is no number": (
        put("seq-01/frame-000001.pose.txt", b"1 0 0 0\r\n0 1 0 0\r\n0 0 1 O\r\n0 0 0 1"),
        "frame-000001.pose.txt: line 3: 'O' is not a number",
    ),
    "pose with an underscore": (
        put("seq-01/frame-000001.pose.txt", b"1 0 0 0\n0 1 0 0_1\n0 0 1 0\n0 0 0 1"),
        "line 2: '0_1' is not a number",
    ),
    "pose is transposed": (
        put("seq-01/frame-000001.pose.txt", b"1 0 0 0\n0 1 0 0\n0 0 1 0\n0.5 2 3 1"),
        "the last row of the pose is 0.5 2 3 1, not 0 0 0 1; .*last column",
    ),
    "pose is a folder": (
        lambda root: (root / "redkitchen/seq-01/frame-000007.pose.txt").mkdir(),
        r"frame-000007.pose.txt: cannot be read \(Is a directory\)",
    ),
}


class TestBadInput:
    """relabel.datasets.seven_scenes: one clear error"""

    @pytest.mark.parametrize("case", BAD_INPUT)
    def test_is_refused(self, root: Path, case: str) -> None:
        """Every way in which a file can be wrong is told with its name, line and next step."""
        spoil, message = BAD_INPUT[case]
        spoil(root)
        with pytest.raises((InputError, MissingFileError), match=message):
            seven_scenes.read(root)

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.sampled_from(["TrainSplit.txt", "seq-01/frame-000001.pose.txt"]), st.binary() | WORDS)
    def test_any_bytes(self, root: Path, name: str, content: bytes) -> None:
        """Whatever stands in a text, frames or an error of relabel come out."""
        path = root / "redkitchen" / name
        before = path.read_bytes()
        path.write_bytes(content)
        try:
            assert len(seven_scenes.read(root)) == 4
        except RelabelError as error:
            assert path.name in str(error)  # noqa: PT017  either will do
        finally:
            path.write_bytes(before)

    def test_zip_in_zip(self, root: Path) -> None:
        """The sequences of a scene come as zips of their own."""
        put("TrainSplit.txt", b"sequence3")(root)
        put("seq-03.zip", b"")(root)
        with pytest.raises(
            InputError, match=r"line 1: .*seq-03.zip has not been unpacked; unpack it into .*redkitchen"
        ):
            seven_scenes.read(root)

    def test_no_frames(self, root: Path) -> None:
        """A folder without frames says what it holds."""
        folder = root / "redkitchen" / "seq-01"
        for path in folder.iterdir():
            path.unlink()
        with pytest.raises(InputError, match=r"seq-01: there is no frame-000000.depth.png .* it holds nothing"):
            seven_scenes.read(root)
        (folder / "seq-01").mkdir()
        with pytest.raises(InputError, match=r"it holds seq-01: unpack the sequence into it"):
            seven_scenes.read(root)

    def test_skip_missing(self, root: Path) -> None:
        """Missing sequences are passed over when asked for, and told; not when none is left."""
        put("TrainSplit.txt", b"sequence7\r\nsequence1\r\nsequence8\r\n")(root)
        side = seven_scenes.read_split(root / "redkitchen", "train", skip_missing=True)
        assert len(side.frames) == 4
        assert side.skipped == ("seq-07", "seq-08")
        assert side.notes == ("TrainSplit.txt names seq-07, seq-08, which do not exist",)
        put("TrainSplit.txt", b"sequence7\r\n")(root)
        with pytest.raises(InputError, match=r"none of its sequences \(seq-07\) is in"):
            seven_scenes.read_split(root / "redkitchen", "train", skip_missing=True)


class TestReader:
    """relabel.datasets.seven_scenes.scene"""

    def test_collections(self, shared: Path) -> None:
        """By default train with itself and test against train."""
        found = readers(shared)
        assert [reader.name for reader in found] == [f"redkitchen/{split}" for split in DEFAULT_SPLITS]
        train, test = (reader.read() for reader in found)
        assert train.query is train.database
        assert len(train.files) == 1 + 2 * 4
        assert (len(test.query), len(test.database)) == (3, 4)
        assert len(test.files) == 2 + 2 * 7
        assert test.params == {"intrinsics": [585.0, 585.0, 320.0, 240.0], "depth_unit_m": 0.001}
        assert test.notes == ()
        test.require_some()

    def test_splits(self, shared: Path) -> None:
        """Asked for one at a time or with commas, each once."""
        found = readers(shared, splits=["test,train", "test", "test-train"])
        assert [reader.split for reader in found] == ["test", "train", "test-train"]
        for wrong in (["val"], [""], ["train,val"]):
            with pytest.raises(OptionError, match="train, test, test-train"):
                readers(shared, splits=wrong)
        with pytest.raises(OptionError, match="--focal 0"):
            readers(shared, focal_px=0.0)

    @pytest.mark.parametrize("of_scene", [False, True])
    def test_way_back(self, shared: Path, of_scene: bool) -> None:
        """Parameters lead back to the reader, which travels; no path of the machine is in them."""
        root = shared / "redkitchen" if of_scene else shared
        for reader in readers(root, splits=["train,test,test-train"], focal_px=525, skip_missing=True):
            parameters = reader.parameters()
            assert parameters["scene"] == ("." if of_scene else "redkitchen")
            assert SevenScenesReader.from_parameters(parameters, root) == pickle.loads(pickle.dumps(reader)) == reader
            assert parameters == {}

    def test_notes(self, root: Path) -> None:
        """What is wrong with one side of two is told with its name; passed over sequences go into the file."""
        (root / "redkitchen/seq-02/frame-000001.pose.txt").unlink()
        put("TrainSplit.txt", b"sequence1\r\nsequence2\r\nsequence9\r\n")(root)
        (reader,) = readers(root, splits=["test-train"], skip_missing=True)
        scene = reader.read()
        assert scene.params["skipped_sequences"] == ["seq-09"]
        assert scene.notes == (
            "test: 1 frame has no pose (seq-02/frame-000001)",
            "train: 1 frame has no pose (seq-02/frame-000001)",
            "train: TrainSplit.txt names seq-09, which does not exist",
            "seq-02: in both splits, so frames are paired with themselves",
        )
        assert len(set(scene.files)) == len(scene.files)

    def test_nothing_left(self, root: Path) -> None:
        """A side without a single frame to label is told before anything is computed."""
        for path in (root / "redkitchen/seq-02").glob("*.depth.png"):
            path.unlink()
        (reader,) = readers(root, splits=["test-train"])
        with pytest.raises(
            InputError, match=r"TestSplit.txt: none of the 3 query frames .*\(3 bad_depth\); every frame"
        ):
            reader.read().require_some()


class TestReadPoses:
    """relabel.datasets.matrix_files.read_poses"""

    @given(st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=12))
    def test_round_trip(self, values: list[float]) -> None:
        """Numbers come back as written, in the notation of Microsoft's C library as well."""
        import tempfile

        pose = np.vstack([np.reshape(values, (3, 4)), [0, 0, 0, 1]])
        assume(pose[:3, :3].any())  # a rotation of zeros says that no pose is known
        with tempfile.TemporaryDirectory() as folder:
            path = pose_txt(Path(folder) / "p.txt", pose)
            (Path(folder) / "q.txt").write_text(" ".join(map(repr, pose.ravel().tolist())))
            found = read_poses([path, None, Path(folder) / "q.txt"])
        np.testing.assert_allclose(found[0], pose, rtol=1e-8, atol=1e-15)
        assert np.isnan(found[1]).all()
        np.testing.assert_array_equal(found[2], pose)

    @pytest.mark.parametrize("word", ["nan", "-inf", "-1.#IND", "1.#INF", "1.#QNAN0", "-nan(ind)", "1e999"])
    def test_not_finite(self, tmp_path: Path, word: str) -> None:
        """However it is spelt, the pose is not known."""
        path = pose_txt(tmp_path / "p.txt", np.eye(4))
        edit(path, "1.000000000e+000", word)
        assert np.isnan(read_poses([path])).all()

    def test_many_numbers(self, tmp_path: Path) -> None:
        """Commas part numbers, and comments are none; what looks like Microsoft's NaN and is not is refused by line."""
        (tmp_path / "a").write_text("# fx fy 5\n1,2, 3 # 7\n#\n4\n")
        assert read_numbers(tmp_path / "a") == [1.0, 2.0, 3.0, 4.0]
        (tmp_path / "a").write_text("# nothing\n")
        with pytest.raises(InputError, match="a: is empty"):
            read_numbers(tmp_path / "a")
        (tmp_path / "a").write_text("# none\n1.#IND\n1.#FOO\n")
        with pytest.raises(InputError, match=r"a: line 3: '1\.#FOO' is not a number"):
            read_numbers(tmp_path / "a")

    def test_no_depth_map_is_opened(self, tmp_path: Path) -> None:
        """Depth maps are found without a look into them."""
        folder = tmp_path / "redkitchen" / "seq-01"
        pose_txt(folder / "frame-000000.pose.txt", np.eye(4))
        os.mkfifo(folder / "frame-000000.depth.png")  # whoever opens it waits for ever
        (tmp_path / "redkitchen" / "TrainSplit.txt").write_text("sequence1\n")
        assert seven_scenes.read(tmp_path).cameras.ok.all()


class TestNatural:
    """relabel.datasets.rgbd_frames.natural"""

    def test_order(self) -> None:
        """Numbers count as numbers, wherever they stand."""
        names = ["a10", "a2", "10", "2", "b", "a2c", "02", ""]
        assert sorted(names, key=natural) == ["", "02", "2", "10", "a2", "a2c", "a10", "b"]


@pytest.mark.real_data
class TestRedkitchen:
    """The real copy: every fourth frame of one sequence, cut in two."""

    def test_both_splits(self, real_data: Path) -> None:
        """All frames have poses that are rigid, and depth maps of the size that is told."""
        train, test = (reader.read() for reader in readers(real_data / "7scenes"))
        assert train.notes == test.notes == ()
        assert (len(train.query), len(test.query), len(test.database)) == (125, 125, 125)
        assert train.query.cameras.key[:2].tolist() == ["seq-01/frame-000000", "seq-01/frame-000004"]
        assert train.query.image[0].endswith("frame-000000.color.jpg")
        for frames in (test.query, test.database):
            assert frames.cameras.ok.all()
            assert frames.cameras.pose is not None
            turn = frames.cameras.pose[:, :3, :3]
            assert np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max() < 1e-3
            assert all(Path(path).is_file() for path in (*frames.depth, *frames.image))
