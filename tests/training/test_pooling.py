"""Pooling against numpy in float64, and its gradients against differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from relabel.errors import OptionError
from relabel.training.pooling import Average, GeM, Maximum, build_pool

pytestmark = pytest.mark.gpu


def features(b: int, c: int, h: int, w: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    made = torch.randn(b, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.to(dtype)


def gem(x: np.ndarray, p: float, eps: float = 1e-6) -> np.ndarray:
    return (np.maximum(x, eps) ** p).mean(axis=(2, 3)) ** (1.0 / p)


class TestGeM:
    """relabel.training.pooling.GeM"""

    @given(st.integers(1, 5), st.integers(1, 5), st.floats(1.0, 20.0), st.integers(0, 999))
    def test_against_numpy(self, h: int, w: int, p: float, seed: int) -> None:
        """The generalized mean of each channel, whatever the size of the map."""
        x = features(2, 3, h, w, seed=seed)
        np.testing.assert_allclose(
            GeM(p).double()(x).detach().numpy(), gem(x.numpy(), float(np.float32(p))), rtol=1e-12
        )

    def test_ends(self) -> None:
        """p = 1 is the average of what is positive, and a large p comes near the maximum."""
        x = features(2, 3, 4, 5).abs()
        assert torch.allclose(GeM(1.0).double()(x), Average()(x))
        assert torch.allclose(GeM(1000.0).double()(x), Maximum()(x), rtol=0.01)

    def test_gradcheck(self) -> None:
        """Numerical and analytical gradients agree, that of p among them."""
        pool = GeM(3.0).double()
        x = features(2, 2, 3, 3).requires_grad_()
        p = pool.p.detach().clone().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x, p: torch.func.functional_call(pool, {"p": p}, (x,)),
            (x, p),
        )

    @pytest.mark.parametrize("scale", [1e-20, 1.0, 1e15])
    @pytest.mark.parametrize("p", [1.0, 3.0, 100.0])
    def test_no_overflow(self, scale: float, p: float) -> None:
        """Powers that float32 cannot hold do no harm, forward or back; nor does a map of zeros."""
        pool = GeM(p)
        for x in (features(1, 2, 3, 3, dtype=torch.float32) * scale, torch.zeros(1, 2, 3, 3)):
            x.requires_grad_()
            pooled = pool(x)
            np.testing.assert_allclose(pooled.detach().numpy(), gem_by_shares(x.detach().numpy(), p), rtol=2e-5)
            pooled.sum().backward()
            assert torch.isfinite(x.grad).all()
            assert torch.isfinite(pool.p.grad).all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision(self, dtype: torch.dtype) -> None:
        """Half precision comes out as float32, computed as such."""
        x = features(2, 3, 4, 4, dtype=dtype)
        assert torch.equal(GeM()(x), GeM()(x.float()))

    def test_p_below_one(self) -> None:
        """A p that training took below 1 counts as 1."""
        pool = GeM()
        pool.p.data.fill_(-2.0)
        x = features(2, 3, 4, 4, dtype=torch.float32)
        assert torch.equal(pool(x), GeM(1.0)(x))

    @pytest.mark.parametrize(("p", "eps"), [(0.5, 1e-6), (math.nan, 1e-6), (math.inf, 1e-6), (3.0, 0.0)])
    def test_bad_options(self, p: float, eps: float) -> None:
        """An exponent or a floor that cannot be is refused."""
        with pytest.raises(OptionError):
            GeM(p, eps)


def gem_by_shares(x: np.ndarray, p: float) -> np.ndarray:
    """In float64, with logarithms."""
    logs = p * np.log(np.maximum(x.astype(np.float64), 1e-6))
    return np.exp((np.logaddexp.reduce(logs.reshape(*logs.shape[:2], -1), axis=2) - np.log(logs[0, 0].size)) / p)


class TestBuildPool:
    """relabel.training.pooling.build_pool"""

    @pytest.mark.parametrize("name", ["gem", "avg", "max"])
    def test_memory_format(self, name: str) -> None:
        """A map in channels-last memory pools to the same vectors."""
        x = features(2, 8, 5, 4, dtype=torch.float32)
        last = x.to(memory_format=torch.channels_last)
        assert torch.allclose(build_pool(name)(x), build_pool(name)(last), rtol=1e-6)
        assert build_pool(name)(last).shape == (2, 8)

    def test_against_numpy(self) -> None:
        """Average and maximum are what numpy makes of them."""
        x = features(2, 3, 4, 5)
        np.testing.assert_allclose(build_pool("avg")(x).numpy(), x.numpy().mean(axis=(2, 3)), rtol=1e-12)
        np.testing.assert_array_equal(build_pool("max")(x).numpy(), x.numpy().max(axis=(2, 3)))

    def test_unknown(self) -> None:
        """An unknown name lists those that are known."""
        with pytest.raises(OptionError, match="gem, avg, max"):
            build_pool("GeM")
