"""relabel.evaluation.descriptors: descriptors made, kept and joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

import relabel
from relabel.errors import InputError, MissingFileError, OptionError, OutputError, OutputExistsError
from relabel.evaluation import places
from relabel.evaluation.descriptors import (
    Descriptors,
    ImageOptions,
    aligned,
    describe,
    describe_set,
    read_descriptors,
    write_descriptors,
)
from relabel.evaluation.evaluate import evaluate_model
from relabel.evaluation.ground_truth import Rule, evaluation_set
from tests.full_disk import file_limit
from tests.training.runs import SIZE, image_file, place

pytestmark = pytest.mark.gpu


class MeanColour(nn.Module):
    """The mean of each channel; a normalised image goes in."""

    def forward(self, images: Tensor) -> Tensor:
        """(b, 3)"""
        return images.mean(dim=(2, 3))


def described(n: int = 4, **fields: Any) -> Descriptors:
    values = {
        "key": np.array([f"k{i}" for i in range(n)]),
        "values": np.arange(n * 2.0, dtype=np.float32).reshape(n, 2),
    }
    return Descriptors(**values | fields)


class TestFiles:
    """read_described, write_described"""

    def test_read_back(self, tmp_path: Path) -> None:
        """Both sides as they were written, whatever the keys but line breaks hold."""
        sides = described(), described(3, key=np.array([" a b\t", "ψ\u2028\x85\x0b", "#"]))
        write_descriptors(tmp_path / "new" / "folder", *sides)
        for side, expected in zip(("query", "database"), sides, strict=True):
            descriptors_read = read_descriptors(tmp_path / "new" / "folder", side)
            assert descriptors_read.key.tolist() == expected.key.tolist()
            np.testing.assert_array_equal(descriptors_read.values, expected.values)

    @pytest.mark.parametrize("key", ["a\nb", "a\r", "\ufeffa"])
    def test_keys_that_no_line_holds(self, key: str, tmp_path: Path) -> None:
        """They are refused by name, and nothing is written."""
        with pytest.raises(InputError, match=r"database key '.*a.*' holds a line break or begins"):
            write_descriptors(tmp_path / "new", described(), described(2, key=np.array(["k", key])))
        assert not (tmp_path / "new").exists()

    def test_there_already(self, tmp_path: Path) -> None:
        """Nothing is written where one file is there."""
        (tmp_path / "database.txt").write_text("mine")
        with pytest.raises(OutputExistsError, match=r"database\.txt"):
            write_descriptors(tmp_path, described(), described())
        assert [path.name for path in tmp_path.iterdir()] == ["database.txt"]
        write_descriptors(tmp_path, described(), described(), overwrite=True)
        assert len(list(tmp_path.iterdir())) == 4

    def test_a_failure_changes_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The keys of one run never stand beside the descriptors of another."""
        write_descriptors(tmp_path, described(), described())
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_text", full)
        with pytest.raises(OutputError, match=r"query\.txt: cannot be written; the disk is full"):
            write_descriptors(tmp_path, described(3), described(3), overwrite=True)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_full_disk(self, tmp_path: Path) -> None:
        """Whichever file does not fit, the error says why, and of all four the old ones stay."""
        write_descriptors(tmp_path, described(40), described(2000))
        before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        sizes = {name: len(content) for name, content in before.items()}
        for name, limit in {"query.npy": 100, "database.npy": sizes["database.npy"] - 1}.items():
            with (
                file_limit(limit),
                pytest.raises(OutputError, match=f"{name}: cannot be written; the file would be larger"),
            ):
                write_descriptors(tmp_path, described(41), described(2001), overwrite=True)
            assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before

    def test_missing(self, tmp_path: Path) -> None:
        """The error says what a folder of descriptors holds."""
        with pytest.raises(MissingFileError, match=r"query.npy: there is no such file; a folder of descriptors holds"):
            read_descriptors(tmp_path, "query")

    @pytest.mark.parametrize(
        ("keys", "values", "message"),
        [
            ("k0\nk1\n", np.zeros((3, 2)), r"query.txt: has 2 keys, but query.npy 3 descriptors"),
            ("k0\nk1\nk0\n", np.zeros((3, 2)), r"query.txt: key 'k0' is on lines 1 and 3"),
            ("k0\nk1\n", np.array([[0.0], [np.nan]]), r"query.npy: descriptor 1 .* holds nan"),
            ("k0\n", np.zeros(3), r"query.npy: descriptors have shape \(3,\)"),
            ("k0\n", np.array([["x"]]), r"query.npy: descriptors .* expected numbers"),
        ],
    )
    def test_faults(self, tmp_path: Path, keys: str, values: np.ndarray, message: str) -> None:
        """Each names its file."""
        np.save(tmp_path / "query.npy", values)
        (tmp_path / "query.txt").write_text(keys)
        with pytest.raises(InputError, match=message):
            read_descriptors(tmp_path, "query")

    def test_no_array(self, tmp_path: Path) -> None:
        """Pickled objects are not loaded, nor text, nor archives of several arrays; keys are text."""
        (tmp_path / "query.txt").write_text("a\n")
        np.save(tmp_path / "query.npy", np.array([object()]), allow_pickle=True)
        with pytest.raises(InputError, match=r"query\.npy: cannot be read as an array"):
            read_descriptors(tmp_path, "query")
        (tmp_path / "query.npy").write_bytes(b"")
        with pytest.raises(InputError, match=r"query\.npy: cannot be read as an array"):
            read_descriptors(tmp_path, "query")
        with (tmp_path / "query.npy").open("wb") as file:
            np.savez(file, a=np.zeros(1), b=np.zeros(1))
        with pytest.raises(InputError, match="several arrays"):
            read_descriptors(tmp_path, "query")
        header = {"descr": "<f4", "fortran_order": False, "shape": (2**50, 4)}
        with (tmp_path / "query.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
        with pytest.raises(InputError, match=r"query\.npy: cannot be read as an array of numbers .*allocate"):
            read_descriptors(tmp_path, "query")
        np.save(tmp_path / "query.npy", np.zeros((1, 1)))
        (tmp_path / "query.txt").write_bytes(b"\xff\n")
        with pytest.raises(InputError, match=r"query\.txt: is not UTF-8"):
            read_descriptors(tmp_path, "query")


class TestAligned:
    """aligned"""

    def test_by_key(self) -> None:
        """In the order asked for; others are passed over."""
        assert aligned(described(), np.array(["k2", "k0"]), "x").tolist() == [[4.0, 5.0], [0.0, 1.0]]

    def test_missing(self) -> None:
        """Three of each are shown."""
        with pytest.raises(InputError, match=r"x: 2 of 3 images have no descriptor: 'a', 'b'; .* 'k0', 'k1', 'k2'"):
            aligned(described(), np.array(["a", "k1", "b"]), "x")


class TestDescribe:
    """describe"""

    def test_in_order(self, tmp_path: Path) -> None:
        """Descriptor i is that of image i, whatever the batches; the model keeps its mode."""
        paths = [str(image_file(tmp_path / f"{i}.png", colour=(i * 20, 0, 0))) for i in range(7)]
        model = MeanColour().train()
        done: list[int] = []
        whole = describe(model, paths, SIZE, device="cpu", on_progress=done.append)
        assert whole.shape == (7, 3)
        assert (np.diff(whole[:, 0]) > 0).all()
        np.testing.assert_array_equal(whole, describe(model, paths, SIZE, batch_size=3, device="cpu"))
        assert sum(done) == 7
        assert model.training

    def test_bad_images(self, tmp_path: Path) -> None:
        """All are counted, three are named."""
        good = image_file(tmp_path / "good.png")
        (tmp_path / "bad.png").write_bytes(b"no image")
        with pytest.raises(InputError, match=r"2 of 3 images cannot be read, .*bad.png.*none.png"):
            describe(
                MeanColour(), [str(good), str(tmp_path / "bad.png"), str(tmp_path / "none.png")], SIZE, device="cpu"
            )

    def test_a_model_that_fails(self, tmp_path: Path) -> None:
        """A descriptor that is not finite stops the evaluation."""

        class Broken(nn.Module):
            def forward(self, images: Tensor) -> Tensor:
                return torch.full((len(images), 2), torch.nan)

        with pytest.raises(InputError, match=r"model: descriptor 0 .* holds nan"):
            describe(Broken(), [str(image_file(tmp_path / "a.png"))], SIZE, device="cpu")

    def test_unknown_device(self, tmp_path: Path) -> None:
        """As for training."""
        with pytest.raises(OptionError, match="device 'x' is not known"):
            describe(MeanColour(), [str(image_file(tmp_path / "a.png"))], SIZE, device="x")


class TestEvaluateModel:
    """evaluate_model, describe_set"""

    def test_images_of_a_set(self, tmp_path: Path) -> None:
        """Each camera's descriptor is that of its image, also for cameras that cannot be labelled."""
        town = place(tmp_path)
        ground_truth = evaluation_set(places.of_labels([town.stored]), Rule(within_m=60.0))
        sides = describe_set(MeanColour(), ground_truth, ImageOptions(town.images, SIZE, device="cpu"))
        for side, keys in zip(sides, (ground_truth.query, ground_truth.database), strict=True):
            assert side.key.tolist() == keys.tolist()
            paths = [str(town.images / f"{key}.png") for key in keys]
            np.testing.assert_array_equal(side.values, describe(MeanColour(), paths, SIZE, device="cpu"))
        evaluation = evaluate_model(MeanColour(), ground_truth, town.images, SIZE, [1, 5], device="cpu")
        assert evaluation.correlation is not None
        assert set(evaluation.to_json()["recall"]) == {"1", "5"}

    @pytest.mark.real_data
    def test_redkitchen(self, real_data: Path, tmp_path: Path) -> None:
        """Real frames: a thumbnail of grey values finds a frame taken within 20 cm and 30° for most queries."""
        scene = real_data / "7scenes" / "redkitchen"
        cameras = [frames(scene, f"seq-0{i}", step=4) for i in (1, 2)]
        ground_truth = evaluation_set(
            [places.Place("redkitchen", *cameras)], Rule(within_m=0.2, max_heading_difference_deg=30.0)
        )

        class Thumbnail(nn.Module):
            def forward(self, images: Tensor) -> Tensor:
                small = nn.functional.adaptive_avg_pool2d(images.mean(dim=1, keepdim=True), (6, 8))
                return nn.functional.normalize(small.flatten(1) - small.mean(dim=(1, 2, 3))[:, None], dim=1)

        evaluation = evaluate_model(Thumbnail(), ground_truth, real_data / "7scenes", (64, 48), [1, 5], device="cpu")
        chance = np.mean(ground_truth.positives.counts[ground_truth.positives.counts > 0]) / ground_truth.shape[1]
        assert evaluation.scores.recall[0] > 3 * chance


def frames(scene: Path, sequence: str, *, step: int) -> relabel.Cameras:
    """Some frames of one sequence of 7Scenes as cameras, floor plan and heading from the pose (y is down)."""
    files = sorted((scene / sequence).glob("*.pose.txt"))[::step]
    poses = np.array([np.loadtxt(file) for file in files])
    ahead = poses[:, :3, 2]
    return relabel.Cameras(
        key=[f"{sequence}/{file.name.removesuffix('.pose.txt')}" for file in files],
        position=poses[:, [0, 2], 3],
        heading_deg=np.degrees(np.arctan2(ahead[:, 0], ahead[:, 2])),
    )
