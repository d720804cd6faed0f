"""Losses against loops over single pairs, closed forms, and numerical gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from torch import Tensor

from relabel.errors import InputError, OptionError
from relabel.training import (
    ContrastiveLoss,
    GeneralizedContrastiveLoss,
    SimilarityRegressionLoss,
    TripletLoss,
    contrastive_loss,
    generalized_contrastive_loss,
    mine_triplets,
    similarity_regression_loss,
    triplet_loss,
)

pytestmark = pytest.mark.gpu


@pytest.fixture
def cuda() -> torch.device:
    """A GPU; passed over where there is none."""
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    return torch.device("cuda")


def pairs(n: int, dim: int = 5, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Unit descriptors, many of them near each other, and similarities that often are 0, 0.5 or 1."""
    make = torch.Generator().manual_seed(seed)
    x0 = torch.nn.functional.normalize(torch.randn(n, dim, generator=make, dtype=torch.float64), dim=1)
    step = torch.randn(n, dim, generator=make, dtype=torch.float64) * torch.rand(
        n, 1, generator=make, dtype=torch.float64
    )
    x1 = torch.nn.functional.normalize(x0 + step, dim=1)
    psi = torch.rand(n, generator=make, dtype=torch.float64)
    psi = torch.where(torch.rand(n, generator=make) < 0.5, (2 * psi).round() / 2, psi)
    return x0.to(dtype), x1.to(dtype), psi.to(dtype)


def at_distance(*distances: float) -> tuple[Tensor, Tensor]:
    """Descriptors that are exactly so far apart, along the first axis."""
    x1 = torch.zeros(len(distances), 3, dtype=torch.float64)
    x1[:, 0] = torch.tensor(distances, dtype=torch.float64)
    return torch.zeros_like(x1), x1


def one_pair(x0: list[float], x1: list[float], psi: float, margin: float) -> float:
    """The formula, in plain Python."""
    d = math.dist(x0, x1)
    return 0.5 * psi * d**2 + 0.5 * (1.0 - psi) * max(margin - d, 0.0) ** 2


class TestGeneralizedContrastiveLoss:
    """relabel.training.losses.generalized_contrastive_loss"""

    @given(st.integers(1, 20), st.integers(0, 9999), st.sampled_from([0.05, 0.5, 1.0, 3.0]))
    def test_against_a_loop(self, n: int, seed: int, margin: float) -> None:
        """Each pair's loss is that of the formula; the mean and the sum are over all pairs."""
        x0, x1, psi = pairs(n, seed=seed)
        wanted = [one_pair(*each, margin) for each in zip(x0.tolist(), x1.tolist(), psi.tolist(), strict=True)]
        loss = [generalized_contrastive_loss(x0, x1, psi, margin, how) for how in ("none", "mean", "sum")]
        assert loss[0].tolist() == pytest.approx(wanted, abs=1e-14)
        assert loss[1].item() == pytest.approx(sum(wanted) / n, abs=1e-14)
        assert loss[2].item() == pytest.approx(sum(wanted), abs=1e-13)

    @given(st.integers(1, 20), st.integers(0, 9999), st.sampled_from([0.3, 0.5, 1.0]))
    def test_closed_form_gradient(self, n: int, seed: int, margin: float) -> None:
        """In d it is d + τ(ψ−1) below the margin and ψd from it on, along the line between the two descriptors."""
        x0, x1, psi = pairs(n, seed=seed)
        x0.requires_grad_()
        x1.requires_grad_()
        generalized_contrastive_loss(x0, x1, psi, margin, "sum").backward()
        a, b, s = x0.detach().numpy(), x1.detach().numpy(), psi.numpy()
        d = np.sqrt(((a - b) ** 2).sum(axis=1))
        slope = np.where(d < margin, d + margin * (s - 1.0), s * d)
        unit = np.divide(a - b, d[:, None], out=np.zeros_like(a), where=d[:, None] > 0)
        np.testing.assert_allclose(x0.grad.numpy(), slope[:, None] * unit, atol=1e-14)
        np.testing.assert_allclose(x1.grad.numpy(), -slope[:, None] * unit, atol=1e-14)

    def test_gradcheck(self) -> None:
        """Numerical and analytical gradients agree."""
        x0, x1, psi = pairs(12)
        x0.requires_grad_()
        x1.requires_grad_()
        for reduction in ("mean", "sum", "none"):
            assert torch.autograd.gradcheck(
                lambda a, b, how=reduction: generalized_contrastive_loss(a, b, psi, 0.5, how), (x0, x1)
            )

    @given(st.floats(0.0, 1.0), st.floats(0.05, 2.0))
    def test_minimum(self, psi: float, margin: float) -> None:
        """No distance has a smaller loss than τ(1−ψ), where the slope is 0."""
        best = margin * (1.0 - psi)
        x0, x1 = at_distance(best, *np.linspace(0.0, 2.0, 101).tolist())
        losses = generalized_contrastive_loss(x0, x1, np.full(102, psi), margin, "none")
        assert losses[0] <= losses.min() + 1e-15

    @pytest.mark.parametrize("psi", [0.0, 0.3, 1.0])
    def test_equal_descriptors(self, psi: float) -> None:
        """At d = 0 the loss is ½(1−ψ)τ² and the gradient 0, not NaN; so it is where d is too small for its square."""
        for gap in (0.0, 1e-30):
            x0 = torch.zeros(1, 4, requires_grad=True)
            loss = generalized_contrastive_loss(x0, torch.full((1, 4), gap), [psi])
            loss.backward()
            assert loss.item() == pytest.approx(0.5 * (1.0 - psi) * 0.25)
            assert torch.isfinite(x0.grad).all()
        x0 = torch.zeros(1, 4, requires_grad=True)
        generalized_contrastive_loss(x0, x0.detach().clone(), [psi]).backward()
        assert x0.grad.abs().sum() == 0

    def test_at_the_margin(self) -> None:
        """At d = τ both branches have the value ½ψτ² and the slope ψτ."""
        x0, x1 = at_distance(0.5)
        x1.requires_grad_()
        loss = generalized_contrastive_loss(x0, x1, [0.25], 0.5)
        loss.backward()
        assert loss.item() == 0.5 * 0.25 * 0.25
        assert x1.grad[0].tolist() == [0.125, 0.0, 0.0]

    @pytest.mark.parametrize("psi", [0.0, 0.25, 1.0])
    def test_smooth_at_the_margin(self, psi: float) -> None:
        """The slope has no step at d = τ: just below, at and just above it is ψτ."""
        for d in (0.5 - 1e-12, 0.5, 0.5 + 1e-12):
            x0, x1 = at_distance(d)
            x1.requires_grad_()
            generalized_contrastive_loss(x0, x1, [psi], 0.5).backward()
            assert x1.grad[0].tolist() == pytest.approx([psi * 0.5, 0.0, 0.0], abs=1e-11)

    def test_extreme_similarities(self) -> None:
        """ψ = 1 only pulls and ψ = 0 only pushes, up to the margin; worked by hand."""
        x0, x1 = at_distance(0.2, 0.2, 0.7, 0.7)
        losses = generalized_contrastive_loss(x0, x1, [1.0, 0.0, 1.0, 0.0], 0.5, "none")
        assert losses.tolist() == pytest.approx([0.02, 0.045, 0.245, 0.0])

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("psi_dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_types(self, dtype: torch.dtype, psi_dtype: torch.dtype) -> None:
        """Any floating types go together; the result is what float32 or float64 makes of the same numbers."""
        x0, x1, psi = pairs(50, dtype=dtype)
        x0.requires_grad_()
        psi = psi.to(psi_dtype)
        loss = generalized_contrastive_loss(x0, x1, psi, reduction="none")
        loss.sum().backward()
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        assert loss.dtype == wide
        assert x0.grad.dtype == dtype
        assert torch.equal(loss, generalized_contrastive_loss(x0.to(wide), x1.to(wide), psi.to(wide), reduction="none"))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_small_distances_in_half_precision(self, dtype: torch.dtype) -> None:
        """A distance whose square float16 cannot hold still has its loss and its gradient."""
        x0 = torch.zeros(1, 2, dtype=dtype, requires_grad=True)
        x1 = torch.tensor([[1e-4, 0.0]], dtype=dtype)
        loss = generalized_contrastive_loss(x0, x1, [1.0])
        loss.backward()
        assert loss.item() == pytest.approx(0.5e-8, rel=0.01)
        assert x0.grad[0].tolist() == pytest.approx([-1e-4, 0.0], rel=0.01)

    @pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64])
    def test_whole_numbers(self, kind: torch.dtype) -> None:
        """Binary labels of a type without fractions are taken as 0 and 1."""
        x0, x1, _ = pairs(4)
        y = torch.tensor([0, 1, 1, 0])
        for loss in (generalized_contrastive_loss, contrastive_loss):
            assert torch.equal(loss(x0, x1, y.to(kind)), loss(x0, x1, y.double()))

    def test_not_a_number(self) -> None:
        """Descriptors of a network that diverged give NaN, so that it shows."""
        x0, x1, psi = pairs(4)
        x0[2, 1] = math.nan
        for loss in (generalized_contrastive_loss, contrastive_loss):
            assert loss(x0, x1, psi, reduction="none").isnan().tolist() == [False, False, True, False]

    def test_mixed_descriptors(self) -> None:
        """The wider of two types counts, also under autocast."""
        x0, x1, psi = pairs(5)
        assert generalized_contrastive_loss(x0.half(), x1, psi).dtype == torch.float64
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = generalized_contrastive_loss(x0.float(), x1.float(), psi)
        assert torch.equal(loss, generalized_contrastive_loss(x0.float(), x1.float(), psi))

    @pytest.mark.parametrize("kind", [list, np.asarray, lambda p: p.numpy().astype(np.float32), "frozen"])
    def test_array_likes(self, kind: Any) -> None:
        """ψ may be anything like an array, one that cannot be written to among them."""
        x0, x1, _ = pairs(3)
        psi = torch.tensor([0.0, 0.25, 1.0])
        if kind == "frozen":
            given_psi = psi.numpy().copy()
            given_psi.setflags(write=False)
        else:
            given_psi = kind(psi)
        assert torch.equal(generalized_contrastive_loss(x0, x1, given_psi), generalized_contrastive_loss(x0, x1, psi))

    def test_checked_on_the_cpu(self) -> None:
        """ψ on the CPU is checked there; descriptors without values, as on a busy GPU, are not asked for any."""
        x = torch.zeros(3, 4, device="meta")
        for loss in (generalized_contrastive_loss, contrastive_loss):
            assert loss(x, x, [0.0, 0.5, 1.0]).device.type == "meta"
            with pytest.raises(InputError, match="similarity 1"):
                loss(x, x, [0.0, 1.5, 1.0])

    @pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
    def test_waits_for_no_gpu(self, cuda: torch.device) -> None:
        """On a GPU neither the check nor the copy of ψ waits, forward or back; the numbers are those of the CPU."""
        x0, x1, psi = pairs(50, dtype=torch.float32)
        expected = generalized_contrastive_loss(x0, x1, psi)
        there = [x.to(cuda).requires_grad_() for x in (x0, x1)]
        for similarity in (psi, psi.pin_memory(), psi.to(cuda), psi.numpy()):
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("default" if getattr(similarity, "is_cuda", False) else "error")
            try:
                loss = generalized_contrastive_loss(*there, similarity)
                loss.backward()
            finally:
                torch.cuda.set_sync_debug_mode("default")
            assert loss.item() == pytest.approx(expected.item(), rel=1e-5)

    def test_no_pairs(self) -> None:
        """The mean and the sum of no pairs are 0, with a gradient."""
        x = torch.zeros(0, 4, requires_grad=True)
        for reduction in ("mean", "sum"):
            loss = generalized_contrastive_loss(x, x, torch.zeros(0), reduction=reduction)
            loss.backward()
            assert loss.item() == 0.0
        assert generalized_contrastive_loss(x, x, [], reduction="none").shape == (0,)

    def test_similarities_have_no_gradient(self) -> None:
        """Labels are constants, even when a tensor that tracks gradients holds them."""
        x0, x1, psi = pairs(3)
        assert not generalized_contrastive_loss(x0, x1, psi.requires_grad_()).requires_grad

    @pytest.mark.parametrize(
        ("psi", "message"),
        [
            ([0.5, 1.01, 0.5], r"similarity 1 .* is 1\.01"),
            ([0.5, 0.5, -1e-9], r"similarity 2 .* is -1e-09"),
            ([0.5, math.nan, 0.5], r"similarity 1 .* is nan.*leave it out"),
            ([math.inf, 0.5, 0.5], "similarity 0 .* is inf"),
            ([0.5, 0.5], r"shape \(2,\); 3 pairs need \(3,\)"),
            ([[0.5, 0.5, 0.5]], r"shape \(1, 3\)"),
            (0.5, r"shape \(\)"),
            (["a", "b", "c"], "cannot be converted to a tensor"),
            ([1j, 0, 0], "expected real"),
            (None, "cannot be converted to a tensor"),
        ],
    )
    def test_bad_similarities(self, psi: Any, message: str) -> None:
        """A similarity that cannot be is refused, with its place."""
        x0, x1, _ = pairs(3)
        with pytest.raises(InputError, match=message):
            generalized_contrastive_loss(x0, x1, psi)

    @pytest.mark.parametrize(
        ("x0", "x1", "message"),
        [
            (torch.zeros(3, 4), torch.zeros(3, 5), r"\(3, 4\) and \(3, 5\)"),
            (torch.zeros(3, 4), torch.zeros(1, 4), r"\(3, 4\) and \(1, 4\)"),
            (torch.zeros(3), torch.zeros(3), r"expected \(n, dim\)"),
            (torch.zeros(3, 4, dtype=torch.int64), torch.zeros(3, 4), "tensor of torch.int64"),
            (np.zeros((3, 4)), torch.zeros(3, 4), "a ndarray"),
            (torch.zeros(3, 4), torch.zeros(3, 4, device="meta"), "cpu and meta"),
        ],
    )
    def test_bad_descriptors(self, x0: Any, x1: Any, message: str) -> None:
        """Descriptors that do not fit together are refused and never broadcast."""
        with pytest.raises(InputError, match=message):
            generalized_contrastive_loss(x0, x1, torch.zeros(3))

    @pytest.mark.parametrize("margin", [0.0, -0.5, math.nan, math.inf])
    def test_bad_margin(self, margin: float) -> None:
        """A margin is a distance above 0, for functions and modules alike."""
        x0, x1, psi = pairs(3)
        with pytest.raises(OptionError, match="margin"):
            generalized_contrastive_loss(x0, x1, psi, margin)
        for module in (GeneralizedContrastiveLoss, ContrastiveLoss, TripletLoss):
            with pytest.raises(OptionError, match="margin"):
                module(margin)

    def test_bad_reduction(self) -> None:
        """An unknown reduction lists those that are known."""
        x0, x1, psi = pairs(3)
        with pytest.raises(OptionError, match="mean, sum, none"):
            generalized_contrastive_loss(x0, x1, psi, reduction="average")  # type: ignore[arg-type]

    def test_module(self) -> None:
        """The module calls the function with its own options, and shows them."""
        x0, x1, psi = pairs(9)
        module = GeneralizedContrastiveLoss(0.7, "sum")
        assert torch.equal(module(x0, x1, psi), generalized_contrastive_loss(x0, x1, psi, 0.7, "sum"))
        assert repr(module) == "GeneralizedContrastiveLoss(margin=0.7, reduction='sum')"


class TestSimilarityRegressionLoss:
    """relabel.training.losses.similarity_regression_loss"""

    @staticmethod
    def formula(x0: np.ndarray[Any, Any], x1: np.ndarray[Any, Any], psi: np.ndarray[Any, Any]) -> Any:
        """(n,) losses, in NumPy."""
        cosine = np.einsum("ij,ij->i", x0, x1) / np.sqrt(np.sum(x0**2, axis=1) * np.sum(x1**2, axis=1))
        return (cosine - psi) ** 2

    @given(st.integers(1, 20), st.integers(0, 9999), st.floats(0.1, 10))
    def test_against_the_formula(self, n: int, seed: int, length: float) -> None:
        """Each pair's loss is that of the formula, whatever the lengths of the descriptors; mean and sum are of all."""
        x0, x1, psi = pairs(n, seed=seed)
        x0 = x0 * length
        wanted = self.formula(x0.numpy(), x1.numpy(), psi.numpy())
        loss = [similarity_regression_loss(x0, x1, psi, how) for how in ("none", "mean", "sum")]
        np.testing.assert_allclose(loss[0].numpy(), wanted, atol=1e-14)
        assert loss[1].item() == pytest.approx(wanted.mean(), abs=1e-14)
        assert loss[2].item() == pytest.approx(wanted.sum(), abs=1e-13)
        assert SimilarityRegressionLoss("sum")(x0, x1, psi).item() == loss[2].item()

    @given(st.integers(0, 9999))
    def test_gradient_by_finite_differences(self, seed: int) -> None:
        """Of both descriptors, against central differences of the formula in NumPy."""
        x0, x1, psi = pairs(4, seed=seed)
        x0 = (x0 * 1.7).requires_grad_()
        x1 = x1.clone().requires_grad_()
        similarity_regression_loss(x0, x1, psi, "sum").backward()
        a, b, step = x0.detach().numpy(), x1.detach().numpy(), 1e-6
        for of, gradient in ((0, x0.grad), (1, x1.grad)):
            assert gradient is not None
            for at in np.ndindex(a.shape):
                ends = []
                for sign in (1, -1):
                    moved = [a.copy(), b.copy()]
                    moved[of][at] += sign * step
                    ends.append(self.formula(*moved, psi.numpy()).sum())
                assert gradient[at].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-7)

    def test_no_length(self) -> None:
        """A descriptor of zeros has no angle: its cosine is 0, and gradients are finite."""
        x0 = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
        x1 = torch.tensor([[0.0, 2.0], [0.0, 0.0]], requires_grad=True)
        loss = similarity_regression_loss(x0, x1, torch.tensor([0.5, 1.0]), "none")
        assert loss.tolist() == [0.25, 1.0]
        loss.sum().backward()
        assert x0.grad is not None
        assert x1.grad is not None
        assert bool(x0.grad.isfinite().all() & x1.grad.isfinite().all())
        assert max(x0.grad.abs().max(), x1.grad.abs().max()) <= 2

    def test_half_precision(self) -> None:
        """float16 descriptors are computed with in float32."""
        x0, x1, psi = pairs(8, dtype=torch.float16)
        loss = similarity_regression_loss(x0, x1, psi)
        assert loss.dtype == torch.float32
        wanted = self.formula(x0.double().numpy(), x1.double().numpy(), psi.double().numpy()).mean()
        assert loss.item() == pytest.approx(wanted, rel=1e-5)

    def test_refused(self) -> None:
        """Unknown pairs, values outside [0, 1], and a reduction that is none."""
        x = torch.eye(2)
        for value, word in ((math.nan, "NaN means an unknown pair,"), (1.5, "ψ is in")):
            with pytest.raises(InputError, match=word):
                similarity_regression_loss(x, x, [0.5, value])
        with pytest.raises(OptionError, match="reduction"):
            similarity_regression_loss(x, x, [0.5, 0.5], "max")  # type: ignore[arg-type]


class TestContrastiveLoss:
    """relabel.training.losses.contrastive_loss"""

    @given(st.integers(1, 20), st.integers(0, 9999))
    def test_special_case(self, n: int, seed: int) -> None:
        """With ψ of 0 and 1 it is the generalized loss, to the bit, and so are its gradients."""
        x0, x1, psi = pairs(n, seed=seed, dtype=torch.float32)
        y = (psi >= 0.5).float()
        gradients = []
        for loss in (contrastive_loss, generalized_contrastive_loss):
            x = x0.clone().requires_grad_()
            value = loss(x, x1, y)
            value.backward()
            gradients.append((value.detach(), x.grad))
        assert torch.equal(gradients[0][0], gradients[1][0])
        assert torch.equal(gradients[0][1], gradients[1][1])
        assert torch.equal(contrastive_loss(x0, x1, psi), contrastive_loss(x0, x1, y))

    def test_by_hand(self) -> None:
        """½d² of a positive, ½(τ−d)² of a negative within the margin, 0 beyond it."""
        x0, x1 = at_distance(0.2, 0.2, 0.7)
        assert contrastive_loss(x0, x1, [1.0, 0.0, 0.0], reduction="none").tolist() == pytest.approx([0.02, 0.045, 0.0])

    @pytest.mark.parametrize("threshold", [0.3, 0.5, 1.0])
    def test_threshold(self, threshold: float) -> None:
        """Exactly the threshold is positive; the number just below is not, in its own type."""
        x0, x1 = at_distance(0.4, 0.4)
        psi = np.array([threshold, np.nextafter(threshold, 0.0)])
        losses = contrastive_loss(x0.float(), x1.float(), psi, threshold=threshold, reduction="none")
        assert losses.tolist() == pytest.approx([0.08, 0.005])
        single = np.float32(threshold)
        psi32 = np.array([single, np.nextafter(single, np.float32(0.0))])
        losses = contrastive_loss(x0, x1, psi32, threshold=threshold, reduction="none")
        assert losses.tolist() == pytest.approx([0.08, 0.005])

    @pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, math.nan])
    def test_bad_threshold(self, threshold: float) -> None:
        """A threshold at which all or none would be positive is refused."""
        x0, x1, psi = pairs(3)
        with pytest.raises(OptionError, match="threshold"):
            contrastive_loss(x0, x1, psi, threshold=threshold)
        for module in (ContrastiveLoss, TripletLoss):
            with pytest.raises(OptionError, match="threshold"):
                module(threshold=threshold)

    def test_module(self) -> None:
        """The module calls the function with its own options, and shows them."""
        x0, x1, psi = pairs(9)
        module = ContrastiveLoss(0.7, "sum", threshold=0.3)
        assert torch.equal(module(x0, x1, psi), contrastive_loss(x0, x1, psi, 0.7, "sum", threshold=0.3))
        assert repr(module) == "ContrastiveLoss(margin=0.7, reduction='sum', threshold=0.3)"


class TestTripletLoss:
    """relabel.training.losses.triplet_loss"""

    @given(st.integers(1, 12), st.integers(0, 9999))
    def test_against_a_loop(self, n: int, seed: int) -> None:
        """Each triplet's loss is that of the formula."""
        a, p, _ = pairs(n, seed=seed)
        _, q, _ = pairs(n, seed=seed + 1)
        wanted = [
            max(math.dist(x, y) - math.dist(x, z) + 0.3, 0.0)
            for x, y, z in zip(a.tolist(), p.tolist(), q.tolist(), strict=True)
        ]
        assert triplet_loss(a, p, q, 0.3, "none").tolist() == pytest.approx(wanted, abs=1e-14)
        assert triplet_loss(a, p, q, 0.3).item() == pytest.approx(sum(wanted) / n, abs=1e-14)

    def test_gradcheck(self) -> None:
        """Numerical and analytical gradients agree."""
        a, p, _ = pairs(6)
        _, q, _ = pairs(6, seed=1)
        given_ = tuple(x.requires_grad_() for x in (a, p, q))
        assert torch.autograd.gradcheck(lambda *x: triplet_loss(*x, 0.3), given_)

    def test_equal_descriptors(self) -> None:
        """Three equal descriptors have the margin for a loss and no gradient."""
        x = torch.ones(2, 3, requires_grad=True)
        loss = triplet_loss(x, x, x, 0.1)
        loss.backward()
        assert loss.item() == pytest.approx(0.1)
        assert x.grad.tolist() == [[0.0] * 3] * 2

    def test_at_the_margin(self) -> None:
        """A negative that is farther by exactly the margin has no loss and no gradient."""
        anchor, positive = at_distance(0.25)
        negative = torch.tensor([[0.0, 0.5, 0.0]], dtype=torch.float64, requires_grad=True)
        loss = triplet_loss(anchor, positive, negative, 0.25)
        loss.backward()
        assert loss.item() == 0.0
        assert negative.grad.tolist() == [[0.0] * 3]

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision(self, dtype: torch.dtype) -> None:
        """Half precision is computed in float32."""
        x = [each.to(dtype) for each in pairs(5)[:2]]
        loss = triplet_loss(x[0], x[1], x[1].flip(0))
        assert torch.equal(loss, triplet_loss(x[0].float(), x[1].float(), x[1].flip(0).float()))


def hardest(x: np.ndarray, psi: np.ndarray, margin: float | None, threshold: float) -> list[tuple[int, int, int]]:
    """Batch-hard mining with loops."""
    triplets = []
    for a in range(len(x)):
        others = [j for j in range(len(x)) if j != a]
        positives = [j for j in others if psi[a, j] >= threshold]
        negatives = [j for j in others if psi[a, j] == 0.0]
        if positives and negatives:
            gap = {j: math.dist(x[a], x[j]) for j in others}
            p, n = max(positives, key=gap.__getitem__), min(negatives, key=gap.__getitem__)
            if margin is None or gap[p] - gap[n] + margin > 0:
                triplets.append((a, p, n))
    return triplets


def batch(b: int, seed: int) -> tuple[Tensor, Tensor]:
    """Descriptors and similarities: zeros, ones, the threshold, values between, unknown pairs; not symmetric."""
    rng = np.random.default_rng(seed)
    psi = rng.choice([0.0, 0.2, 0.5, 1.0, np.nan], size=(b, b))
    return torch.from_numpy(rng.normal(size=(b, 4))), torch.from_numpy(psi)


class TestMineTriplets:
    """relabel.training.losses.mine_triplets"""

    @given(st.integers(0, 9), st.integers(0, 9999), st.sampled_from([None, 0.1, 1.0]), st.sampled_from([0.1, 0.5, 1.0]))
    def test_against_loops(self, b: int, seed: int, margin: float | None, threshold: float) -> None:
        """The farthest positive and the nearest zero of every anchor that has both."""
        x, psi = batch(b, seed)
        triplets = mine_triplets(x, psi, margin, threshold=threshold)
        assert all(each.dtype == torch.int64 and each.shape == triplets.anchor.shape for each in triplets)
        assert list(zip(*(each.tolist() for each in triplets), strict=True)) == hardest(
            x.numpy(), psi.numpy(), margin, threshold
        )

    @given(st.integers(3, 8), st.integers(0, 9999))
    def test_against_all_triplets(self, b: int, seed: int) -> None:
        """Of all triplets of an anchor none has a larger loss, by three loops; an anchor without one is left out."""
        x, psi = batch(b, seed)
        points, s = x.tolist(), psi.tolist()
        worst: dict[int, float] = {}
        for a in range(b):
            for p in range(b):
                for n in range(b):
                    if len({a, p, n}) == 3 and s[a][p] >= 0.5 and s[a][n] == 0.0:
                        gap = math.dist(points[a], points[p]) - math.dist(points[a], points[n])
                        worst[a] = max(worst.get(a, -math.inf), gap)
        triplets = mine_triplets(x, psi)
        assert triplets.anchor.tolist() == list(worst)
        for a, p, n in zip(*(each.tolist() for each in triplets), strict=True):
            assert s[a][p] >= 0.5
            assert s[a][n] == 0.0
            assert math.dist(points[a], points[p]) - math.dist(points[a], points[n]) == pytest.approx(worst[a])

    def test_unknown_and_itself(self) -> None:
        """NaN makes no pair and neither does the diagonal, whatever it says."""
        x = torch.tensor([[0.0], [1.0], [5.0]])
        unknown = torch.full((3, 3), math.nan)
        assert len(mine_triplets(x, unknown).anchor) == 0
        assert len(mine_triplets(x, torch.eye(3)).anchor) == 0
        assert len(mine_triplets(x, 1.0 - torch.eye(3)).anchor) == 0
        psi = torch.tensor([[1.0, 0.6, 0.0], [0.6, 1.0, math.nan], [0.0, math.nan, 1.0]])
        assert [each.tolist() for each in mine_triplets(x, psi)] == [[0], [1], [2]]

    def test_first_of_equals(self) -> None:
        """Of equally hard ones, the first in the batch."""
        psi = torch.zeros(6, 6)
        psi[:, 1:3] = 1.0
        assert [each[0].item() for each in mine_triplets(torch.ones(6, 2), psi)] == [0, 1, 3]

    def test_near_descriptors(self) -> None:
        """Distances far below those to the origin are told apart, in a batch that would go by matrix products."""
        x = torch.full((40, 8), 100.0)
        x[:, 0] += torch.arange(40) * 1e-4
        psi = torch.zeros(40, 40)
        psi[0, 1:5] = 1.0
        assert [each.tolist() for each in mine_triplets(x, psi)] == [[0], [4], [5]]

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision(self, dtype: torch.dtype) -> None:
        """Half precision is mined in float32."""
        x, psi = batch(9, 3)
        for half, wide in zip(mine_triplets(x.to(dtype), psi), mine_triplets(x.to(dtype).float(), psi), strict=True):
            assert torch.equal(half, wide)

    def test_bad_input(self) -> None:
        """Other shapes and values outside [0, 1] are refused, with their place."""
        x, psi = batch(4, 0)
        with pytest.raises(InputError, match=r"\(4, 3\); 4 descriptors need \(4, 4\)"):
            mine_triplets(x, psi[:, :3])
        psi[2, 3] = 1.5
        with pytest.raises(InputError, match=r"similarity 2, 3 .* is 1\.5"):
            mine_triplets(x, psi)
        with pytest.raises(OptionError, match="margin"):
            mine_triplets(x, psi, -1.0)

    def test_module(self) -> None:
        """The module's loss is the mean over the triplets that it mines; the gradient reaches the descriptors."""
        x, psi = batch(9, 1)
        x.requires_grad_()
        loss = TripletLoss(0.5)(x, psi)
        triplets = hardest(x.detach().numpy(), psi.numpy(), 0.5, 0.5)
        points = x.detach().tolist()
        values = [math.dist(points[a], points[p]) - math.dist(points[a], points[n]) + 0.5 for a, p, n in triplets]
        assert values
        assert loss.item() == pytest.approx(sum(values) / len(values))
        loss.backward()
        assert x.grad.abs().sum() > 0
        assert not torch.equal(TripletLoss(0.5, threshold=0.1)(x, psi), loss)
        assert torch.equal(TripletLoss(0.5, "sum")(x, psi), loss * len(values))
        assert repr(TripletLoss(0.5)) == "TripletLoss(margin=0.5, reduction='mean', threshold=0.5)"

    def test_not_a_number(self) -> None:
        """Descriptors of a network that diverged give NaN and no loss of 0."""
        x, psi = batch(9, 1)
        for bad in (x * math.nan, torch.where(torch.arange(9)[:, None] == 4, math.nan, x)):
            assert TripletLoss(0.5)(bad, psi).isnan()

    def test_module_without_triplets(self) -> None:
        """A batch without a triplet has loss 0 and gradient 0."""
        x = torch.ones(3, 2, requires_grad=True)
        loss = TripletLoss()(x, torch.full((3, 3), math.nan))
        loss.backward()
        assert loss.item() == 0.0
        assert x.grad.abs().sum() == 0
