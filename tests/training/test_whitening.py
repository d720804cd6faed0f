"""Whitening against the definition (identity covariance) and against numpy's own decomposition."""

from __future__ import annotations

import io
import logging
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from relabel.errors import InputError, OptionError
from relabel.training import Whitening, whitening

pytestmark = pytest.mark.gpu


def descriptors(n: int, dim: int, *, rank: int | None = None, seed: int = 0, shift: float = 0.3) -> np.ndarray:
    """(n, dim) float64 with axes of very different spread, in a random orientation and away from the origin."""
    rng = np.random.default_rng(seed)
    rank = dim if rank is None else rank
    axes = np.linalg.qr(rng.normal(size=(dim, dim)))[0][:rank]
    return rng.normal(size=(n, rank)) * np.geomspace(1.0, 0.03, rank) @ axes + shift


def project(w: Whitening, x: np.ndarray) -> np.ndarray:
    return w.double().project(torch.from_numpy(x)).numpy()


class TestFit:
    """relabel.training.whitening.Whitening.fit"""

    @given(st.integers(2, 12), st.integers(0, 999), st.booleans())
    def test_identity_covariance(self, dim: int, seed: int, many: bool) -> None:
        """Coordinates have mean 0, variance 1, and no correlation, for more descriptors than dimensions and fewer."""
        x = descriptors(20 * dim if many else dim, dim, seed=seed)
        y = project(Whitening.fit(x), x)
        kept = dim if many else dim - 1
        assert y.shape == (len(x), kept)
        np.testing.assert_allclose(y.mean(axis=0), 0.0, atol=1e-4)
        np.testing.assert_allclose(np.atleast_2d(np.cov(y, rowvar=False)), np.eye(kept), atol=1e-4)

    @given(st.integers(3, 30), st.integers(1, 12), st.integers(1, 12), st.integers(0, 999))
    def test_rank_deficient(self, n: int, dim: int, rank: int, seed: int) -> None:
        """As many dimensions as the descriptors vary in, at most one less than there are descriptors."""
        rank = min(rank, dim)
        x = descriptors(n, dim, rank=rank, seed=seed)
        w = Whitening.fit(x)
        assert w.dim == min(rank, n - 1)
        assert torch.isfinite(w.projection).all()

    def test_distances_are_mahalanobis(self) -> None:
        """Distances between coordinates are those under the inverse covariance."""
        x = descriptors(300, 6)
        y = project(Whitening.fit(x), x)
        between = x[:50, None] - x[None, :50]
        wanted = np.sqrt(np.einsum("ijk,kl,ijl->ij", between, np.linalg.inv(np.cov(x, rowvar=False)), between))
        np.testing.assert_allclose(np.linalg.norm(y[:50, None] - y[None, :50], axis=2), wanted, atol=1e-4)

    def test_both_ways_agree(self) -> None:
        """The covariance and the singular vectors of the descriptors give the same axes, also of deficient rank."""
        for rank in (3, 8):
            x = descriptors(40, 8, rank=rank)
            mean = x.mean(axis=0)
            variances, axes = zip(whitening._from_axes(x, mean), whitening._from_rows(x, mean), strict=True)
            np.testing.assert_allclose(variances[0], variances[1], atol=1e-14)
            agreement = np.abs((axes[0] * axes[1]).sum(axis=1))[:rank]
            np.testing.assert_allclose(agreement, 1.0, atol=1e-9)

    @pytest.mark.parametrize("scale", [1e-37, 1e-20, 1.0, 1e10, 1e38])
    @pytest.mark.parametrize("shape", [(40, 6), (5, 9)])
    def test_scale(self, scale: float, shape: tuple[int, int]) -> None:
        """Descriptors of any size that float32 can hold are whitened alike."""
        x = np.random.default_rng(0).uniform(-1.0, 1.0, shape)
        fitted, expected = Whitening.fit(x * scale), Whitening.fit(x)
        assert torch.allclose(fitted.projection.double() * scale, expected.projection.double(), rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("n", [3, 200])
    def test_degenerate(self, n: int) -> None:
        """Repeated descriptors, constant or repeated columns, and columns of zeros leave what varies, and no NaN."""
        x = descriptors(n, 4)
        varying = min(4, n - 1)
        for given_x, dim in (
            (np.repeat(x, 3, axis=0), varying),
            (np.hstack([x, np.full((n, 2), 0.7), np.zeros((n, 1))]), varying),
            (np.hstack([x, x, -x]), varying),
            (np.vstack([np.zeros((n, 4)), np.eye(4)[:1]]), 1),
            (x[:2], 1),
            (x[:, :1], 1),
        ):
            w = Whitening.fit(given_x)
            assert w.dim == dim
            y = w(torch.from_numpy(given_x).float())
            assert torch.isfinite(y).all()
            assert torch.isfinite(w(torch.randn(7, given_x.shape[1]) * 100)).all()

    def test_dim(self) -> None:
        """Fewer dimensions are those with the largest variance, the first rows of all."""
        x = descriptors(100, 8)
        assert torch.equal(Whitening.fit(x, 3).projection, Whitening.fit(x).projection[:3])

    def test_more_than_vary(self, caplog: pytest.LogCaptureFixture) -> None:
        """Where fewer directions vary than are asked for, there are fewer, and that is said."""
        with caplog.at_level(logging.WARNING):
            assert Whitening.fit(descriptors(100, 8, rank=2), 5).dim == 2
        assert "2 dimensions instead of 5: the 100 descriptors" in caplog.text

    def test_float32_noise_is_no_direction(self) -> None:
        """Rounding of float32 descriptors does not count as variance, however small the real one is."""
        x = descriptors(500, 6, rank=2)
        assert Whitening.fit(x.astype(np.float32)).dim == 2
        small = 1.0 + 1e-4 * (x - x.mean(axis=0))
        assert Whitening.fit(small.astype(np.float32)).dim == 2
        assert Whitening.fit(np.asarray(small, np.float64)).dim == 2

    def test_same_to_the_bit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The same input gives the same bits; blocks of rows change nothing but the last digits."""
        x = descriptors(300, 6)
        first = Whitening.fit(x)
        assert torch.equal(first.projection, Whitening.fit(x.copy()).projection)
        monkeypatch.setattr(whitening, "_BLOCK_VALUES", 60)
        assert torch.allclose(first.projection, Whitening.fit(x).projection, rtol=1e-5, atol=1e-6)

    def test_signs(self) -> None:
        """The largest component of each axis is positive, so that no library's choice of sign shows."""
        rows = Whitening.fit(descriptors(100, 7)).projection
        assert (rows[torch.arange(7), rows.abs().argmax(1)] > 0).all()

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_tensors(self, dtype: torch.dtype) -> None:
        """Tensors of any floating type, also those that track gradients."""
        x = torch.from_numpy(descriptors(200, 5)).to(dtype).requires_grad_()
        y = Whitening.fit(x).project(x.detach().float())
        assert y.shape == (200, 5)
        np.testing.assert_allclose(np.cov(y.numpy(), rowvar=False), np.eye(5), atol=0.01)

    @pytest.mark.parametrize(
        ("x", "message"),
        [
            (np.ones((5, 3)), "all 5 descriptors are identical"),
            (np.full((1000, 3), 0.1, np.float32), "all 1,000 descriptors are identical"),
            (np.ones((1, 3)), "at least two descriptors; there are 1"),
            (np.ones((0, 3)), "at least two descriptors; there are 0"),
            (np.ones((5, 0)), "expected"),
            (np.ones(5), r"shape \(5,\)"),
            (np.ones((5, 3), np.int64), "int64"),
            ([["a"]], "<U1"),
            (np.array([[1.0, 2.0], [math.nan, 1.0], [1.0, 1.0]]), "descriptor 1 .* not finite"),
            (np.array([[1.0, 2.0], [2.0, 1.0], [math.inf, 1.0]]), "descriptor 2 .* not finite"),
            (np.array([[1.0, 2.0], [-1e39, 1.0], [3.0, 1.0]]), "descriptor 1 .* not finite in float32"),
            (np.array([[1.0, 2.0], [2.0, 1e300], [3.0, 1.0]]), "descriptor 1 .* not finite in float32"),
            (np.array([[0.0, 1e-40], [2e-40, 1e-40], [0.0, 0.0]]), "identical"),
        ],
    )
    def test_bad_descriptors(self, x: Any, message: str) -> None:
        """Descriptors that nothing can be learned from are refused."""
        with pytest.raises(InputError, match=message):
            Whitening.fit(x)

    def test_bad_descriptor_far_down(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The number of a bad descriptor is counted over all blocks."""
        monkeypatch.setattr(whitening, "_BLOCK_VALUES", 12)
        x = descriptors(100, 6)
        x[77, 2] = math.nan
        with pytest.raises(InputError, match="descriptor 77 "):
            Whitening.fit(x)

    @pytest.mark.parametrize("options", [{"dim": 0}, {"dim": 7}, {"tolerance": -0.1}, {"tolerance": 1.0}])
    def test_bad_options(self, options: dict[str, Any]) -> None:
        """Dimensions and tolerances that cannot be are refused."""
        with pytest.raises(OptionError):
            Whitening.fit(descriptors(20, 6), **options)


class TestWhitening:
    """relabel.training.whitening.Whitening"""

    def test_forward(self) -> None:
        """The result is the projection, of length 1."""
        x = torch.from_numpy(descriptors(50, 6)).float()
        w = Whitening.fit(x, 4)
        y = w(x)
        assert y.shape == (50, 4)
        assert torch.allclose(y.norm(dim=1), torch.ones(50))
        assert torch.allclose(y * w.project(x).norm(dim=1, keepdim=True), w.project(x), atol=1e-6)

    def test_saved(self) -> None:
        """Mean and projection are in the state dict, and a new module of the same size takes them."""
        x = torch.from_numpy(descriptors(50, 6)).float()
        w = Whitening.fit(x, 4)
        stream = io.BytesIO()
        torch.save(w.state_dict(), stream)
        stream.seek(0)
        again = Whitening(6, 4)
        again.load_state_dict(torch.load(stream, weights_only=True))
        assert torch.equal(w(x), again(x))
        assert list(again.parameters()) == []

    def test_autocast(self) -> None:
        """Autocast does not take it to half precision."""
        x = torch.from_numpy(descriptors(50, 6)).float()
        w = Whitening.fit(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            whitened = w(x)
        assert torch.equal(whitened, w(x))

    def test_bad_input(self) -> None:
        """Other dimensions are refused."""
        with pytest.raises(InputError, match=r"\(2, 5\); this whitening takes \(b, 6\)"):
            Whitening(6, 4)(torch.zeros(2, 5))
        for dims in ((6, 7), (6, 0)):
            with pytest.raises(OptionError, match="is impossible"):
                Whitening(*dims)
        assert repr(Whitening(6, 4)) == "Whitening(6, 4)"
