"""relabel.training.steps"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from relabel.devices import seeded
from relabel.images.loading import Batch, normalised
from relabel.sampling.batch_sampler import BatchSimilarity
from relabel.training.config import TrainConfig
from relabel.training.losses import TripletLoss, contrastive_loss, generalized_contrastive_loss
from relabel.training.model import build_model
from relabel.training.steps import TrainingStep, not_finite, optimizer_of
from tests.training import runs

pytestmark = pytest.mark.gpu

CPU = torch.device("cpu")


def batch(n: int, *, images_per_item: int = 2, seed: int = 0) -> Batch:
    """n random pairs, or n random images of cameras 0 to n-1."""
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.integers(0, 256, (images_per_item * n, 3, 32, 32)).astype(np.uint8))
    psi = np.round(rng.random(n), 1).tolist()
    drawn: list[Any] = [(i, i, psi[i]) for i in range(n)] if images_per_item == 2 else list(range(n))
    return Batch(images, drawn, n, [])


def tiny() -> nn.Module:
    with seeded(3):
        return build_model("tiny")


def gradient(model: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.reshape(-1).double() for p in model.parameters() if p.grad is not None])


class TestTrainingStep:
    """relabel.training.steps.TrainingStep"""

    @pytest.mark.parametrize(
        ("name", "loss"), [("gcl", generalized_contrastive_loss), ("contrastive", contrastive_loss)]
    )
    def test_against_a_plain_loop(self, name: str, loss: Any) -> None:
        """The gradient is that of the mean loss of pairs whose images went through the model one by one."""
        drawn = batch(5)
        model, plain = tiny(), tiny()
        mean_loss = TrainingStep(model, TrainConfig(loss=name), CPU).backward(drawn)
        assert drawn.images is not None
        x = torch.cat([plain(normalised(drawn.images[i : i + 1])) for i in range(10)])
        expected = torch.stack(
            [loss(x[i : i + 1], x[5 + i : 6 + i], torch.tensor([drawn.drawn[i][2]]), 0.5) for i in range(5)]
        ).mean()
        expected.backward()
        torch.testing.assert_close(mean_loss, expected.detach(), rtol=1e-5, atol=1e-7)
        torch.testing.assert_close(gradient(model), gradient(plain), rtol=1e-3, atol=1e-6)

    @pytest.mark.parametrize("parts", [2, 3, 7])
    @pytest.mark.parametrize("n", [7, 8])
    def test_accumulated_gradient_is_that_of_one_batch(self, n: int, parts: int) -> None:
        """Split into parts, of unequal size where need be, a batch has the loss and the gradient of the whole."""
        whole, split = tiny(), tiny()
        one = TrainingStep(whole, TrainConfig(), CPU).backward(batch(n))
        many = TrainingStep(split, TrainConfig(accumulate=parts), CPU).backward(batch(n))
        torch.testing.assert_close(many, one, rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(gradient(split), gradient(whole), rtol=1e-4, atol=1e-7)

    @pytest.mark.parametrize("training", [False, True])
    def test_accumulated_gradient_with_batch_normalisation(self, *, training: bool) -> None:
        """Layers that look across a batch see only its part, and make another gradient; with fixed statistics not."""
        gradients = []
        for parts in (1, 2):
            model = runs.small(dropout=0.0)
            model.norm.train(training)
            TrainingStep(model, TrainConfig(accumulate=parts), CPU).backward(batch(8))
            gradients.append(gradient(model))
        one, many = gradients
        difference = float((one - many).abs().max() / one.abs().max())
        assert difference > 0.1 if training else difference < 1e-3

    def test_accumulate_more_than_pairs_are_left(self) -> None:
        """A batch that bad images made small is split into as many parts as it has pairs."""
        model = tiny()
        assert math.isfinite(float(TrainingStep(model, TrainConfig(accumulate=8), CPU).backward(batch(1))))

    def test_gradients_add_up(self) -> None:
        """Backward adds to the gradient that is there, as autograd does; whoever steps sets it to zero."""
        once, twice = tiny(), tiny()
        TrainingStep(once, TrainConfig(), CPU).backward(batch(3))
        for _ in range(2):
            TrainingStep(twice, TrainConfig(), CPU).backward(batch(3))
        torch.testing.assert_close(gradient(twice), 2.0 * gradient(once))

    def test_triplets(self) -> None:
        """Triplets are mined from the similarities of the batch, as the loss module does it."""
        rng = np.random.default_rng(1)
        psi = np.round(rng.random((6, 6)), 0).astype(np.float32)
        psi[rng.random((6, 6)) < 0.2] = np.nan
        psi = np.where(np.isnan(psi.T), psi.T, np.minimum(psi, psi.T))
        asked: list[Any] = []

        def similarity(cameras: Any) -> BatchSimilarity:
            asked.append(cameras)
            return BatchSimilarity(psi, ~np.isnan(psi))

        drawn = batch(6, images_per_item=1)
        model, plain = tiny(), tiny()
        mean_loss = TrainingStep(model, TrainConfig(loss="triplet"), CPU, similarity=similarity).backward(drawn)
        assert asked == [list(range(6))]
        assert drawn.images is not None
        expected = TripletLoss(0.1)(plain(normalised(drawn.images)), psi)
        expected.backward()
        assert float(expected.detach()) > 0.0
        torch.testing.assert_close(mean_loss, expected.detach())
        torch.testing.assert_close(gradient(model), gradient(plain), rtol=1e-3, atol=1e-6)

    def test_triplets_of_descriptors_that_are_none(self) -> None:
        """Descriptors that are NaN make a loss that is NaN, not a batch without triplets."""
        psi = np.array([[np.nan, 1.0, 0.0, 0.0]] * 4, np.float32)
        model = tiny()
        with torch.no_grad():
            model.get_parameter("backbone.0.weight").fill_(math.nan)
        similarity = BatchSimilarity(psi, psi >= 0)
        step = TrainingStep(model, TrainConfig(loss="triplet"), CPU, similarity=lambda _: similarity)
        assert math.isnan(float(step.backward(batch(4, images_per_item=1))))

    def test_bf16(self) -> None:
        """In bfloat16 the loss is float32 and about the same, and weights and gradients stay float32."""
        fine, coarse = tiny(), tiny()
        one = TrainingStep(fine, TrainConfig(), CPU).backward(batch(6))
        other = TrainingStep(coarse, TrainConfig(), CPU, bf16=True).backward(batch(6))
        assert other.dtype == torch.float32
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in coarse.parameters())
        assert float(other) == pytest.approx(float(one), rel=0.1)
        assert float(other) != float(one)
        computed: list[torch.dtype] = []
        coarse.backbone[0].register_forward_hook(lambda *call: computed.append(call[2].dtype))  # type: ignore[index,union-attr]
        TrainingStep(coarse, TrainConfig(), CPU, bf16=True).backward(batch(2))
        assert computed == [torch.bfloat16]

    def test_one_forward_pass_channels_last(self) -> None:
        """Both images of all pairs go through the model at once, with their channels last in memory."""
        seen: list[torch.Tensor] = []

        class Looking(runs.Small):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                seen.append(images)
                return super().forward(images)

        TrainingStep(Looking(), TrainConfig(), CPU).backward(batch(3))
        assert [tuple(images.shape) for images in seen] == [(6, 3, 32, 32)]
        assert seen[0].is_contiguous(memory_format=torch.channels_last)


class TestOptimizerOf:
    """relabel.training.steps.optimizer_of"""

    @pytest.mark.parametrize("name", ["sgd", "adamw"])
    def test_what_decays(self, name: str) -> None:
        """Weight decay is for matrices and convolutions; biases, scales and the power of GeM do not decay."""
        model = tiny()
        optimizer = optimizer_of(TrainConfig(optimizer=name, weight_decay=0.01), model)
        decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
        assert {n: decay[id(p)] for n, p in model.named_parameters()} == {
            n: 0.01 if p.ndim > 1 else 0.0 for n, p in model.named_parameters()
        }
        assert model.get_parameter("pool.p").ndim == 1

    def test_sgd_by_hand(self) -> None:
        """Plain SGD takes a step of the rate against the gradient; frozen weights stay."""
        model = nn.Linear(2, 1)
        model.bias.requires_grad_(requires_grad=False)
        before = model.weight.detach().clone()
        optimizer = optimizer_of(TrainConfig(lr=0.5), model)
        model(torch.tensor([[1.0, 2.0]])).sum().backward()
        optimizer.step()
        torch.testing.assert_close(model.weight.detach(), before - 0.5 * torch.tensor([[1.0, 2.0]]))
        assert sum(len(group["params"]) for group in optimizer.param_groups) == 1


class TestNotFinite:
    """relabel.training.steps.not_finite"""

    def test_names_the_tensor(self) -> None:
        """The first parameter or buffer with NaN or infinity is named; whole numbers are no concern."""
        model = runs.small()
        assert not_finite(model) is None
        model.norm.running_var[1] = math.inf  # type: ignore[index]
        assert not_finite(model) == "norm.running_var"
        with torch.no_grad():
            model.conv.weight[0, 0, 0, 0] = math.nan
        assert not_finite(model) == "conv.weight"
