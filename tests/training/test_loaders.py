"""relabel.training.loaders: batches for loops of one's own, and for those of gsv-cities and OpenVPRLab."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from relabel.errors import InputError, OptionError
from relabel.images.loading import MEAN, STD
from relabel.training import GradedBatchSampler, GradedPairSampler, generalized_contrastive_loss
from relabel.training.loaders import GradedBatchLoss, GradedMiner, PairBatches, PlaceBatches
from relabel.training.losses import SimilarityRegressionLoss
from tests.training import runs


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> runs.Place:
    """Labels and images."""
    return runs.place(tmp_path_factory.mktemp("town"))


def image(town: runs.Place, key: str) -> Tensor:
    """(3, h, w), normalised as for ImageNet."""
    with Image.open(town.images / f"{key}.png") as file:
        pixels = np.asarray(file.convert("RGB"), np.float64) / 255
    return torch.from_numpy(((pixels - MEAN) / STD).transpose(2, 0, 1)).float()


def places(town: runs.Place, **fields: Any) -> PlaceBatches:
    """Two places of three images."""
    return PlaceBatches(town.stored, town.images, places=2, images_per_place=3, size=runs.SIZE, **fields)


class TestPairBatches:
    """relabel.training.loaders.PairBatches"""

    def test_an_epoch(self, town: runs.Place) -> None:
        """Its pairs are those of the sampler, with both images and ψ; then the next epoch comes."""
        batches = PairBatches(town.stored, town.images, batch_size=8, size=runs.SIZE, seed=3, length=20)
        sampler = GradedPairSampler(town.stored, seed=3, length=20)
        assert len(batches) == 3
        for _ in range(2):
            drawn = list(sampler)
            given = list(batches)
            assert [len(psi) for _, _, psi in given] == [8, 8, 4]
            query, database, psi = (torch.cat(part) for part in zip(*given, strict=True))
            assert psi.tolist() == [value for _, _, value in drawn]
            for at, (i, j, _) in enumerate(drawn):
                torch.testing.assert_close(query[at], image(town, sampler.queries[i]))
                torch.testing.assert_close(database[at], image(town, sampler.database[j]))

    @pytest.mark.parametrize("workers", [0, 1])
    def test_resumes(self, town: runs.Place, workers: int) -> None:
        """After a state, the next batch is the one that would have been next, however far workers have read ahead."""
        make: Any = lambda: PairBatches(  # noqa: E731
            town.stored, town.images, batch_size=4, size=runs.SIZE, length=24, workers=workers
        )
        whole, first, second = make(), make(), make()
        first.set_epoch(1)
        whole.set_epoch(1)
        wanted = [psi.tolist() for _, _, psi in whole] + [psi.tolist() for _, _, psi in whole]
        stopped = iter(first)
        got = [next(stopped)[2].tolist() for _ in range(2)]
        second.load_state_dict(first.state_dict())
        got += [psi.tolist() for _, _, psi in second] + [psi.tolist() for _, _, psi in second]
        assert got == wanted
        # An iteration that was broken off begins its epoch anew.
        assert [psi.tolist() for _, _, psi in first] == wanted[: len(first)]

    def test_ranks(self, town: runs.Place) -> None:
        """The shares of two ranks are the pairs of one, and none is in both."""
        batches = PairBatches(town.stored, town.images, batch_size=4, size=runs.SIZE, length=16, seed=1)
        shares = [torch.cat([psi for _, _, psi in batches.of_rank(rank, 2)]) for rank in range(2)]
        assert [len(share) for share in shares] == [8, 8]
        assert torch.equal(torch.cat(shares).sort().values, torch.cat([psi for _, _, psi in batches]).sort().values)

    def test_unreadable(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Pairs of an image that cannot be read are left out, and it is named."""
        town = runs.place(tmp_path / "town")
        batches = PairBatches(town.stored, town.images, batch_size=8, size=runs.SIZE, length=64)
        key = batches.sampler.queries[next(iter(GradedPairSampler(town.stored, length=64)))[0]]
        (town.images / f"{key}.png").write_bytes(b"")
        assert 0 < sum(len(psi) for _, _, psi in batches) < 64
        assert f"{key}.png" in caplog.text
        assert "its pairs are left out" in caplog.text


class TestPlaceBatches:
    """relabel.training.loaders.PlaceBatches, GradedMiner and GradedBatchLoss"""

    def test_contract(self, town: runs.Place) -> None:
        """Images (P, K, 3, h, w) float32 and labels (P, K) int64, which the frameworks flatten alike."""
        batches = places(town, seed=2)
        sampler = GradedBatchSampler(town.stored, 6, partners=2, seed=2)
        assert len(batches) == len(sampler)
        for (images, labels), drawn in zip(batches, sampler, strict=True):
            p, k, c, h, w = images.shape
            assert (p, k, c, h, w) == (2, 3, 3, runs.SIZE[1], runs.SIZE[0])
            assert (images.dtype, labels.dtype, labels.shape) == (torch.float32, torch.int64, (2, 3))
            assert labels.view(-1).tolist() == drawn
            for one, camera in zip(images.view(p * k, c, h, w), drawn, strict=True):
                torch.testing.assert_close(one, image(town, sampler.keys[camera]))

    def test_miner(self, town: runs.Place) -> None:
        """Positives and true zeros are those of the label file; pairs between and unknown ones are in neither list."""
        batches = places(town)
        for _, labels in batches:
            a1, p, a2, n = GradedMiner(batches.sampler)(torch.zeros(6, 2), labels.view(-1))
            psi = batches.sampler.similarity(labels.view(-1).tolist()).psi
            assert {(i, j) for i, j in np.ndindex(6, 6) if psi[i, j] >= 0.5} == set(
                zip(a1.tolist(), p.tolist(), strict=True)
            )
            assert {(i, j) for i, j in np.ndindex(6, 6) if psi[i, j] == 0} == set(
                zip(a2.tolist(), n.tolist(), strict=True)
            )

    @pytest.mark.parametrize("graded", [False, True])
    def test_training_step(self, town: runs.Place, *, graded: bool) -> None:
        """A step as gsv-cities and OpenVPRLab make it, with a loss of pytorch-metric-learning or the graded one."""
        pml = pytest.importorskip("pytorch_metric_learning.losses")
        batches = places(town)
        miner: nn.Module | None = None if graded else GradedMiner(batches.sampler)
        loss_of: Any = GradedBatchLoss(batches.sampler) if graded else pml.MultiSimilarityLoss(alpha=1, beta=50, base=0)
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(3 * runs.SIZE[0] * runs.SIZE[1], 4))
        before = model[1].weight.detach().clone()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for images, labels in batches:
            p, k, c, h, w = images.shape
            descriptors = nn.functional.normalize(model(images.view(p * k, c, h, w)), dim=1)
            flat = labels.view(-1)
            if miner is None:
                loss, share = loss_of(descriptors, flat)
                assert 0 < share <= 1
            else:
                loss = loss_of(descriptors, flat, miner(descriptors, flat))
            assert math.isfinite(loss.item())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert not torch.equal(before, model[1].weight)

    @pytest.mark.parametrize("regression", [False, True])
    def test_loss(self, town: runs.Place, *, regression: bool) -> None:
        """It is the mean over all pairs of the batch whose ψ is known, each once."""
        batches = places(town)
        _, labels = next(iter(batches))
        x = nn.functional.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=1)
        loss, share = GradedBatchLoss(batches.sampler, SimilarityRegressionLoss() if regression else None)(
            x, labels.view(-1)
        )
        psi, known = batches.sampler.similarity(labels.view(-1).tolist())
        pairs = [(i, j) for i in range(6) for j in range(i) if known[i, j]]
        each = [
            (float(x[i] @ x[j]) - psi[i, j]) ** 2
            if regression
            else float(generalized_contrastive_loss(x[i : i + 1], x[j : j + 1], psi[i, j : j + 1]))
            for i, j in pairs
        ]
        assert loss.item() == pytest.approx(np.mean(each), rel=1e-5)
        assert share == len(pairs) / 15

    def test_refused(self, town: runs.Place, tmp_path: Path) -> None:
        """Places of one image, a threshold that cannot be, and an image that cannot be read, by name."""
        with pytest.raises(OptionError, match="at least two images"):
            PlaceBatches(town.stored, town.images, images_per_place=1)
        with pytest.raises(OptionError, match="threshold"):
            GradedMiner(places(town).sampler, 0.0)
        broken = runs.place(tmp_path / "town")
        for path in broken.images.iterdir():
            path.write_bytes(b"")
        with pytest.raises(InputError, match=r"\.png.*mask=…"):
            next(iter(places(broken)))
