"""relabel.images.loading"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from relabel.errors import OptionError
from relabel.images.loading import (
    CameraDataset,
    Grouped,
    Item,
    PairDataset,
    UnreadableImage,
    collate,
    loader,
    normalised,
)
from relabel.images.paths import ImagePaths, find_images, read_image
from relabel.sampling.pair_sampler import GradedPairSampler
from tests.conftest import REPOSITORY
from tests.training import runs

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> runs.Place:
    return runs.place(tmp_path_factory.mktemp("town"))


class TestPairDataset:
    """relabel.images.loading.PairDataset"""

    def test_both_images(self, town: runs.Place) -> None:
        """A pair is its two images, with what the sampler gave."""
        paths = find_images([town.stored], town.images)
        data = PairDataset(paths, runs.SIZE)
        item = data[3, 5, 0.25]
        assert isinstance(item, Item)
        assert item.drawn == (3, 5, 0.25)
        for array, path in zip(item.images, (paths.query[3], paths.database[5]), strict=True):
            np.testing.assert_array_equal(array, read_image(path, runs.SIZE))

    def test_bad_images(self, town: runs.Place, tmp_path: Path) -> None:
        """A pair with an image that cannot be read is that image and the reason; names may be in any script."""
        good = find_images([town.stored], town.images)
        broken = tmp_path / "Straße ψ.png"
        broken.write_bytes(b"no image")
        data = PairDataset(ImagePaths(good.query[:1], np.array([str(broken), str(tmp_path / "none.png")])), runs.SIZE)
        for number, path in ((0, broken), (1, tmp_path / "none.png")):
            unreadable = data[0, number, 0.0]
            assert isinstance(unreadable, UnreadableImage)
            assert unreadable.path == str(path)
            assert str(path) in unreadable.reason

    def test_pickled(self, town: runs.Place) -> None:
        """A dataset travels to a process that is spawned, and is as large as its paths."""
        data = PairDataset(find_images([town.stored], town.images), runs.SIZE)
        travelled = pickle.loads(pickle.dumps(data))
        np.testing.assert_array_equal(travelled[1, 2, 0.5].images, data[1, 2, 0.5].images)  # type: ignore[union-attr]


class TestCameraDataset:
    """relabel.images.loading.CameraDataset"""

    def test_one_image(self, town: runs.Place) -> None:
        """A camera is its image."""
        paths = find_images([town.stored], town.images).query
        item = CameraDataset(paths, runs.SIZE)[4]
        assert isinstance(item, Item)
        assert item.drawn == 4
        np.testing.assert_array_equal(item.images, [read_image(paths[4], runs.SIZE)])


class TestGrouped:
    """relabel.images.loading.Grouped"""

    @given(st.lists(st.integers(), max_size=40), st.integers(1, 50))
    def test_all_items_in_order(self, items: list[int], size: int) -> None:
        """Groups are of the size asked for but for the last, and together all items in order."""
        groups = list(Grouped(items, size))
        assert [item for group in groups for item in group] == items
        assert len(groups) == len(Grouped(items, size))
        assert all(len(group) == size for group in groups[:-1])

    def test_no_size(self) -> None:
        """A group of none is refused."""
        with pytest.raises(OptionError, match="at least one"):
            Grouped([], 0)


class TestCollate:
    """relabel.images.loading.collate"""

    def test_first_images_first(self) -> None:
        """A batch holds the first images of all items, then the second ones, channels last in memory."""
        rng = np.random.default_rng(0)
        arrays = [[rng.integers(0, 256, (3, 4, 5)).astype(np.uint8) for _ in range(2)] for _ in range(3)]
        unreadable = UnreadableImage("x", "x is broken")
        batch = collate([Item("a", arrays[0]), unreadable, Item("b", arrays[1]), Item("c", arrays[2])])
        assert batch.images is not None
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        expected = [item[place] for place in range(2) for item in arrays]
        np.testing.assert_array_equal(batch.images.numpy(), expected)
        assert (batch.drawn, batch.asked, batch.unreadable) == (["a", "b", "c"], 4, [unreadable])

    def test_nothing_left(self) -> None:
        """A batch of which no item could be read has no images."""
        unreadable = UnreadableImage("x", "x is broken")
        assert collate([unreadable, unreadable]) == (None, [], 2, [unreadable, unreadable])


class TestNormalised:
    """relabel.images.loading.normalised"""

    def test_against_numpy(self) -> None:
        """Each channel is scaled to [0, 1] and by ImageNet's mean and deviation; the memory format stays."""
        array = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype(np.uint8)
        given_ = torch.from_numpy(array).contiguous(memory_format=torch.channels_last)
        images = normalised(given_)
        expected = (array / 255.0 - np.reshape([0.485, 0.456, 0.406], (1, 3, 1, 1))) / np.reshape(
            [0.229, 0.224, 0.225], (1, 3, 1, 1)
        )
        assert images.dtype == torch.float32
        assert images.is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_allclose(images.numpy(), expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(given_.numpy(), array)


class TestLoader:
    """relabel.images.loading.loader"""

    def test_workers_change_nothing(self, town: runs.Place) -> None:
        """Processes that read images give the same batches, in the same order, as reading them here."""
        data = PairDataset(find_images([town.stored], town.images), runs.SIZE)

        def batches(workers: int) -> list[tuple[object, object]]:
            sampler = GradedPairSampler(town.stored, seed=3, length=10)
            batches = loader(data, Grouped(sampler, 4), workers=workers)
            return [(batch.drawn, batch.images.numpy().tobytes()) for batch in batches]

        assert batches(1) == batches(0)
        assert data._query._bytes.is_shared()  # the process that was spawned has no paths of its own
        assert data._database._bytes.is_shared()

    def test_random_numbers_of_the_model_stay(self, town: runs.Place) -> None:
        """An epoch of the loader takes nothing from torch's generator."""
        data = PairDataset(find_images([town.stored], town.images), runs.SIZE)
        before = torch.get_rng_state()
        list(loader(data, [[(0, 0, 0.0)]]))
        assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_workers_end_with_their_parent(number: signal.Signals, tmp_path: Path) -> None:
    """Killed or terminated, a program takes with it a worker that is busy for ever, its streams and temporary files."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.images.endless"],
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n", process.communicate()
        left = set(tmp_path.iterdir())  # the folder of the program itself, which nobody can remove after a kill
        process.send_signal(number)
        process.communicate(timeout=300)  # returns when nobody has the streams open any more
    assert process.returncode == -number
    assert set(tmp_path.iterdir()) <= left
