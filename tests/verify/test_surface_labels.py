"""relabel.verify.verify.verify of labels from depth maps: good files pass, and every way to be wrong is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import relabel
from relabel.cameras import Status
from relabel.datasets.mask import masked
from relabel.datasets.seven_scenes.scene import readers
from relabel.errors import InputError
from relabel.labelfile import LabelFile, StoredCollection, provenance
from relabel.measures import MEASURES
from relabel.pipeline.run import label
from relabel.pipeline.surface_part import SurfacePart
from relabel.similarity import Similarity
from relabel.surface.params import SurfaceParams
from relabel.verify.result import sample
from relabel.verify.surface_labels import TOLERANCE
from relabel.verify.verify import verify
from tests.pipeline.jobs import msls_parts
from tests.pipeline.rooms import part_of, pose, reader_of, room
from tests.trees import depth_png, pose_txt, scene_tree

ALL = 200
"""More than the pairs of a room, so that every one of them is checked."""
PAIRS = 10 * 9


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A room and its labels; not to be changed."""
    top = tmp_path_factory.mktemp("made")
    folder = room(top / "room")
    label([part_of(folder)], top / "x.h5")
    return folder, top / "x.h5"


@pytest.fixture
def folder(_made: tuple[Path, Path], tmp_path: Path) -> Path:
    """A room, to be changed."""
    return Path(shutil.copytree(_made[0], tmp_path / "room"))


@pytest.fixture
def labels(_made: tuple[Path, Path], tmp_path: Path) -> Path:
    """The labels of that room, as they were before it was changed."""
    return Path(shutil.copy(_made[1], tmp_path / "x.h5"))


def changed(path: Path, change: Callable[[sparse.lil_array], object], **fields: Any) -> Path:
    """A valid file of the same name and provenance whose values were tampered with."""
    labels = LabelFile(path)
    (name,) = labels
    source = labels[name].to_similarity()
    matrix = source.matrix.tolil()
    change(matrix)
    written = {name: Similarity(replace(source.collection, **fields), sparse.csr_array(matrix))}
    relabel.write(path, written, provenance=labels.provenance(), overwrite=True)
    return path


class TestGoodFiles:
    """No mismatch, and labels near the exact definition."""

    @pytest.mark.parametrize("measure", MEASURES)
    @pytest.mark.parametrize("method", ["surface", "voxel-iou"])
    def test_methods_and_measures(self, folder: Path, out: Path, method: Any, measure: Any) -> None:
        """All pairs, with limits of depth; only of `surface` there is a definition to be near to."""
        options = {"method": method, "measure": measure, "min_value": 0.05, "nearest_m": 0.8, "farthest_m": 1.05}
        label([part_of(folder, **options)], out / "x.h5")
        found = verify(out / "x.h5", folder, sample=ALL)
        assert (found.checked, found.mismatches, found.findings) == (PAIRS, 0, [])
        assert found.max_abs_diff <= TOLERANCE
        if method == "surface":
            assert found.mean_abs_diff_definition is not None
            assert found.mean_abs_diff_definition < 0.1
            assert found.to_json()["mean_abs_diff_definition"] == found.mean_abs_diff_definition
        else:
            assert "mean_abs_diff_definition" not in found.to_json()

    def test_two_splits(self, tmp_path: Path) -> None:
        """Both collections of a scene as 7Scenes ships it, by keys of two sides."""
        tree = scene_tree(tmp_path / "7scenes", step_m=0.3)
        parts = [SurfacePart(reader, SurfaceParams(stride=8, tolerance_m=0.1)) for reader in readers(tree)]
        label(parts, tmp_path / "x.h5")
        found = verify(tmp_path / "x.h5", tree, sample=6)
        assert (found.checked, found.mismatches, found.findings) == (12, 0, [])

    @pytest.mark.real_data
    def test_real_frames(self, tmp_path: Path, real_data: Path) -> None:
        """Labels of real frames are those of the oracle, and near the exact definition."""
        label([SurfacePart(reader) for reader in readers(real_data / "7scenes", splits=["train"])], tmp_path / "x.h5")
        found = verify(tmp_path / "x.h5", real_data / "7scenes", sample=6)
        assert (found.checked, found.mismatches, found.findings) == (6, 0, [])
        assert found.mean_abs_diff_definition is not None
        assert found.mean_abs_diff_definition < 0.01

    def test_bad_frames(self, folder: Path, out: Path) -> None:
        """Frames without a pose, with a pose that is no rigid motion, and without depth are bad again."""
        pose_txt(folder / "pose" / "001.txt", pose(1) * np.nan)
        pose_txt(folder / "pose" / "002.txt", pose(2) * [[2.0], [2.0], [2.0], [1.0]])
        depth_png(folder / "depth" / "003.png", 0, size=(48, 36))
        (folder / "depth" / "004.png").write_bytes(b"no image")
        (folder / "depth" / "005.png").unlink()
        label([part_of(folder)], out / "x.h5")
        status = LabelFile(out / "x.h5")["room"].query.status
        assert status.tolist()[:6] == [0, *[Status.NO_POSE] * 2, *[Status.BAD_DEPTH] * 3]
        found = verify(out / "x.h5", folder, sample=ALL)
        assert (found.checked, found.mismatches, found.findings) == (5 * 4, 0, [])

    def test_masked(self, folder: Path, out: Path) -> None:
        """The mask is found beside the file, or told."""
        mask = out / "mask.txt"
        mask.write_text("003\n004\n")
        label([SurfacePart(masked([reader_of(folder)], mask)[0])], out / "x.h5")
        assert verify(out / "x.h5", folder, sample=ALL).to_json()["checked"] == 8 * 7
        told = mask.rename(out / "other.txt")
        assert verify(out / "x.h5", folder, sample=4, mask=told).mismatches == 0

    def test_progress(self, labels: Path, folder: Path) -> None:
        """Every pair is counted once, and every file that is compared."""
        steps: dict[str, list[int]] = {}

        @contextmanager
        def bar(name: str, pairs: int | None) -> Iterator[Callable[[int], object]]:
            steps[name] = [-(pairs or 0)]
            yield steps[name].append

        verify(labels, folder, sample=ALL, bar=bar)
        assert list(steps)[:2] == ["validating", f"{next(iter(LabelFile(labels)))}: reading the dataset"]
        assert [steps.pop(name) for name in list(steps)[:2]] == [[0], [0]]  # of both no total is known
        assert [sum(counts) for counts in steps.values()] == [0, 0]
        files = sum(path.is_file() for path in folder.rglob("*"))
        [name] = LabelFile(labels)
        assert {bar: -total for bar, (total, *_) in steps.items()} == {f"{name}: files": files, f"{name}: pairs": PAIRS}

    def test_beside_streets(self, labels: Path, folder: Path, root: Path, out: Path) -> None:
        """A file of both kinds needs one root that leads to both."""
        top = out / "top"
        shutil.copytree(root, top)
        shutil.copytree(folder, top, dirs_exist_ok=True)
        label([part_of(top), *msls_parts(top, "amman")[0]], out / "both.h5")
        found = verify(out / "both.h5", top, sample=10)
        assert (found.checked, found.mismatches, found.findings) == (20, 0, [])


class TestWrongValues:
    """Values that are not the overlap."""

    def first_pair(self, path: Path) -> tuple[int, int, float]:
        stored = LabelFile(path)["room"].to_scipy()
        rows, columns = stored.nonzero()
        return int(rows[0]), int(columns[0]), float(stored[rows[0], columns[0]])

    def test_tampered(self, labels: Path, folder: Path) -> None:
        """A value that was changed is found, by its keys, with what it should be; both directions of a pair are."""
        i, j, true = self.first_pair(labels)

        def half(matrix: sparse.lil_array) -> None:
            matrix[i, j] = matrix[j, i] = true / 2

        found = verify(changed(labels, half), folder, sample=ALL)
        assert (found.checked, found.mismatches) == (PAIRS, 2)
        key = LabelFile(labels)["room"].query.key
        text = f"room: {key[i]} / {key[j]}: the file has {true / 2:.6f}, recomputed {true:.6f}"
        assert text in found.findings

    def test_dropped_and_invented(self, labels: Path, folder: Path) -> None:
        """So are a pair that should be stored and is not, and one that shares nothing."""
        i, j, true = self.first_pair(labels)
        a, b = (int(k) for k in np.argwhere(LabelFile(labels)["room"].to_scipy().toarray() == 0.0)[1])
        assert a != b

        def swap(matrix: sparse.lil_array) -> None:
            matrix[i, j] = matrix[j, i] = 0.0
            matrix[a, b] = matrix[b, a] = 0.5

        found = verify(changed(labels, swap), folder, sample=ALL)
        assert found.mismatches == 4
        assert found.max_abs_diff == pytest.approx(max(true, 0.5), rel=1e-4)

    @pytest.mark.parametrize(
        ("name", "value"), [("voxel_m", 0.02), ("stride", 3), ("nearest_m", 0.95), ("farthest_m", 0.9)]
    )
    def test_wrong_parameters(self, labels: Path, folder: Path, name: str, value: float) -> None:
        """Values for other parameters than the file says are wrong in number; a few are shown."""
        params = {**LabelFile(labels)["room"].params, name: value}
        found = verify(changed(labels, lambda _: None, params=params), folder, sample=ALL)
        assert found.mismatches > 5

    def test_other_method(self, labels: Path, folder: Path) -> None:
        """So are values of another method."""
        assert verify(changed(labels, lambda _: None, method="voxel-iou"), folder, sample=ALL).mismatches > 0


class TestOtherDataset:
    """The dataset is not what was labelled."""

    def test_changed_depth(self, labels: Path, folder: Path) -> None:
        """A depth map with other depths: the digest of its folder differs, and so does ψ."""
        depth_png(folder / "depth" / "003.png", 1000, size=(48, 36))
        found = verify(labels, folder, sample=ALL)
        assert found.findings[0] == "room: depth/*.png are not the files that were labelled (its sha256 differs)"
        assert any("003" in text for text in found.findings[1:])

    @pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n but no more"])
    def test_depth_that_cannot_be_decoded(self, labels: Path, folder: Path, content: bytes) -> None:
        """It is named once, and its pairs are left out."""
        (folder / "depth" / "003.png").write_bytes(content)
        found = verify(labels, folder, sample=ALL)
        assert (found.checked, found.mismatches) == (9 * 8, 2)
        assert found.findings[1] == "1 depth map(s) are now empty or cannot be decoded: 003"

    def test_repaired_depth(self, folder: Path, out: Path) -> None:
        """A frame that the file says is bad, and that is good now, differs in its status."""
        whole = (folder / "depth" / "003.png").read_bytes()
        (folder / "depth" / "003.png").write_bytes(whole[:100])
        label([part_of(folder)], out / "x.h5")
        (folder / "depth" / "003.png").write_bytes(whole)
        found = verify(out / "x.h5", folder, sample=ALL)
        assert "room/queries: 1 camera(s) differ from the dataset in position, pose or status: 003" in found.findings

    def test_moved_camera(self, labels: Path, folder: Path) -> None:
        """A camera that turned in place is found by its pose."""
        turned = pose(4)
        turned[:3, :3] = pose(5)[:3, :3]
        pose_txt(folder / "pose" / "004.txt", turned, newline="\n", between=" ")
        found = verify(labels, folder, sample=ALL)
        assert "room: pose/*.txt are not the files that were labelled (its sha256 differs)" in found.findings
        assert "room/queries: 1 camera(s) differ from the dataset in position, pose or status: 004" in found.findings

    def test_lost_and_new_frames(self, labels: Path, folder: Path) -> None:
        """Frames that are only in one of the two are named."""
        for name, ending in (("depth", "png"), ("pose", "txt")):
            (folder / name / f"003.{ending}").rename(folder / name / f"new.{ending}")
        found = verify(labels, folder, sample=ALL)
        assert "room/queries: 1 camera(s) of the file are not in the dataset: 003" in found.findings
        assert "room/queries: 1 camera(s) of the dataset are not in the file: new" in found.findings
        assert found.checked == 9 * 8


class TestRefused:
    """Files that cannot be verified."""

    def test_without_a_root(self, labels: Path) -> None:
        """The depth maps are asked for."""
        with pytest.raises(InputError, match=r"x\.h5::room: surface labels are recomputed from the depth maps.*root=…"):
            verify(labels)

    @pytest.mark.parametrize("name", ["voxel_m", "stride", "nearest_m"])
    @pytest.mark.parametrize("value", [None, "per camera", True, -1])
    def test_parameters_missing(self, labels: Path, folder: Path, name: str, value: object) -> None:
        """A parameter that the oracle needs is asked for by name."""
        params = {**LabelFile(labels)["room"].params, name: value}
        with pytest.raises(InputError, match=f"do not hold {name}"):
            verify(changed(labels, lambda _: None, params=params), folder)

    @pytest.mark.parametrize("records", [[], [("relabel rgbd", {"collection": "other"})], [("x", {})]])
    def test_other_provenance(self, labels: Path, folder: Path, tmp_path: Path, records: list[Any]) -> None:
        """A file that does not name the depth maps it was made from is refused."""
        other = tmp_path / "other.h5"
        relabel.write(other, LabelFile(labels), provenance=[provenance.step(*record) for record in records])
        with pytest.raises(InputError, match="does not name the depth maps"):
            verify(other, folder)


class TestSample:
    """relabel.verify.result.sample of a few cameras only"""

    @staticmethod
    def stored(path: Path) -> StoredCollection:
        return LabelFile(path)["room"]

    def test_few_cameras(self, labels: Path) -> None:
        """Pairs are formed of so many cameras, stored and absent ones, none twice, and none with itself."""
        stored = self.stored(labels)
        dense = stored.to_scipy().toarray()
        for seed in range(5):
            pairs = sample(stored, ALL, np.random.default_rng(seed), reach_m=1.0, cameras=4)
            assert len(set(pairs.rows) | set(pairs.columns)) <= 4
            assert len(set(zip(pairs.rows, pairs.columns, strict=True))) == len(pairs.rows) == 4 * 3
            assert (pairs.rows != pairs.columns).all()
            assert np.array_equal(dense[pairs.rows, pairs.columns], pairs.values.astype(np.float32))

    def test_all_cameras(self, labels: Path) -> None:
        """More cameras than there are is all of them."""
        pairs = sample(self.stored(labels), ALL, np.random.default_rng(0), reach_m=1.0, cameras=1000)
        assert len(pairs.rows) == PAIRS
