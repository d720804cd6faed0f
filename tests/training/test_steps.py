"""relabel.training.steps"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from relabel.devices import device_of, seeded
from relabel.images.loading import Batch, normalised
from relabel.sampling.batch_sampler import BatchSimilarity
from relabel.training.config import TrainConfig
from relabel.training.losses import TripletLoss, contrastive_loss, generalized_contrastive_loss
from relabel.training.model import build_model
from relabel.training.steps import TrainingStep, not_finite, on_device, optimizer_of
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


class TestCompiled:
    """TrainingStep with `compile`"""

    def test_whole_batches(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """They alone, from the first on, with the gradient and the names of tensors that the model has without."""
        caplog.set_level("INFO")
        compiled, given = functools.partial(torch.compile, backend="aot_eager"), []

        def compiling(function: Any, **options: Any) -> Any:
            inner = compiled(function, **options)
            return lambda images: (given.append(len(images)), inner(images))[1]

        monkeypatch.setattr(torch, "compile", compiling)
        models = tiny(), tiny()
        for model, compile_ in zip(models, (False, True), strict=True):
            step = TrainingStep(model, TrainConfig(batch_size=4, compile=compile_), CPU)
            for n in (3, 4, 3, 4):
                step.backward(batch(n))
        assert given == [8, 8]
        assert list(models[0].state_dict()) == list(models[1].state_dict())
        torch.testing.assert_close(gradient(models[0]), gradient(models[1]), rtol=1e-4, atol=1e-6)
        assert caplog.messages[0].startswith("compiling the model for 8 images at a time")
        assert caplog.messages[1].startswith("compiled in ")
        torch._dynamo.reset()

    def test_parts_of_batches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With accumulate, the larger parts."""
        given: list[int] = []
        monkeypatch.setattr(
            torch, "compile", lambda function, **_: lambda images: (given.append(len(images)), function(images))[1]
        )
        step = TrainingStep(tiny(), TrainConfig(batch_size=5, accumulate=2, compile=True), CPU)
        step.backward(batch(5))
        assert given == [6]

    def test_where_it_cannot_be(self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        """A warning, once, and all is as if it had not been tried: gradient, statistics, random numbers."""

        def compiling(function: Any, **_: Any) -> Any:
            def broken(images: torch.Tensor) -> torch.Tensor:
                function(images).sum().backward()
                raise RuntimeError("no compiler here\nsee there")

            return broken

        models = [nn.Sequential(runs.Small(), nn.Dropout(0.5)) for _ in range(2)]
        models[1].load_state_dict(models[0].state_dict())
        monkeypatch.setattr(torch, "compile", compiling)
        for model, compile_ in zip(models, (False, True), strict=True):
            step = TrainingStep(model, TrainConfig(batch_size=4, compile=compile_), CPU)
            with seeded(1):
                for seed in range(3):
                    step.backward(batch(4, seed=seed))
        assert torch.equal(gradient(models[0]), gradient(models[1]))
        assert all(map(torch.equal, models[0].buffers(), models[1].buffers()))
        warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
        assert warnings == ["the model cannot be compiled and is trained without compilation: no compiler here"]


class TestOnDevice:
    """on_device()"""

    @pytest.mark.parametrize("empty", [False, True])
    def test_all_in_order(self, *, empty: bool) -> None:
        """The same images, also where a batch has none; on a GPU where there is one."""
        device = device_of("auto")
        given = [batch(2, seed=seed) for seed in range(4)]
        given[1] = given[1]._replace(images=None)
        found = list(on_device([] if empty else given, device))
        assert len(found) == (0 if empty else 4)
        for one, want in zip(found, given, strict=False):
            assert one[1:] == want[1:]
            assert (one.images is None) == (want.images is None)
            if one.images is not None and want.images is not None:
                assert one.images.device.type == device.type
                assert torch.equal(one.images.cpu(), want.images)


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
