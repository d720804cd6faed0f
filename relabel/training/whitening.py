"""PCA whitening: descriptors in a basis where each coordinate varies alike, and fewer coordinates."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from relabel.errors import InputError, OptionError
from relabel.training.pooling import at_least_float32

FloatArray = npt.NDArray[np.float64]

_BLOCK_VALUES = 1 << 23  # 64 MB of float64
_LARGEST, _SMALLEST = float(np.finfo(np.float32).max), float(np.finfo(np.float32).tiny)
TOLERANCE = 1e-8
"""Least variance as a share of the largest: a ten-thousandth in standard deviation, within the precision of float32."""

logger = logging.getLogger(__name__)


class Whitening(nn.Module):
    """Subtract the mean, rotate onto the principal axes, divide by the standard deviations, and L2-normalise.

    Mean and projection are buffers: they are saved in the ``state_dict`` and never trained. Jégou and Chum, Negative
    evidences and co-occurrences in image retrieval: the benefit of PCA and whitening, ECCV 2012.

    Parameters
    ----------
    dim_in, dim:
        dimensions of the descriptors and of the result. A new module holds zeros, for `load_state_dict` to fill in;
        `fit` makes one from descriptors.

    Attributes
    ----------
    mean:
        (dim_in,) float32.
    projection:
        (dim, dim_in) float32, the principal axes in order of decreasing variance, each divided by its standard
        deviation.
    """

    mean: Tensor
    projection: Tensor

    def __init__(self, dim_in: int, dim: int) -> None:
        super().__init__()
        if not 1 <= dim <= dim_in:
            raise OptionError(f"whitening from {dim_in} to {dim} dimensions is impossible; choose 1 to {dim_in}")
        self.register_buffer("mean", torch.zeros(dim_in))
        self.register_buffer("projection", torch.zeros(dim, dim_in))

    @property
    def dim_in(self) -> int:
        """Dimensions of the descriptors that go in."""
        return int(self.projection.shape[1])

    @property
    def dim(self) -> int:
        """Dimensions of the result."""
        return int(self.projection.shape[0])

    @classmethod
    def fit(cls, descriptors: Any, dim: int | None = None, *, tolerance: float = TOLERANCE) -> Whitening:
        """The whitening of a set of descriptors, usually those of a database.

        Computed in float64 by NumPy; the same input gives the same bits on machines of the same kind, with the same
        version of NumPy and the same number of threads of its BLAS (``OPENBLAS_NUM_THREADS``). Directions in which the
        descriptors hardly vary are left out, since dividing by next to nothing would make rounding errors as large as
        anything else. n descriptors vary in at most n−1 directions, so that few of them give few dimensions.

        Parameters
        ----------
        descriptors:
            (n, dim_in) array or tensor, n ≥ 2.
        dim:
            number of directions to keep, those with the largest variance; None keeps all that vary. If fewer vary,
            fewer are kept, and a warning is logged.
        tolerance:
            the least variance of a direction that varies, as a share of the largest variance. Variance of the size of
            the descriptors' own rounding never counts.

        Returns
        -------
        Whitening
            on the CPU.

        Raises
        ------
        InputError
            when there are fewer than two descriptors, they do not vary, or one is not finite in float32 (the row is
            named).
        OptionError
            when `dim` or `tolerance` is not valid.
        """
        if isinstance(descriptors, Tensor):
            descriptors = descriptors.detach().cpu()
            descriptors = (descriptors.float() if descriptors.dtype == torch.bfloat16 else descriptors).numpy()
        x = np.asarray(descriptors)
        if x.ndim != 2 or x.dtype.kind != "f" or x.shape[1] == 0:
            raise InputError(f"descriptors have shape {x.shape} and type {x.dtype}; expected (n, dim) floats")
        if dim is not None and not 1 <= dim <= x.shape[1]:
            raise OptionError(f"dim is {dim}; descriptors of {x.shape[1]} dimensions allow 1 to {x.shape[1]}")
        if not 0.0 <= tolerance < 1.0:
            raise OptionError(f"tolerance is {tolerance}; it has to be in [0, 1)")
        if len(x) < 2:
            raise InputError(f"whitening needs at least two descriptors; there are {len(x)}")
        mean, mean_square = _moments(x)
        variance, axes = _from_axes(x, mean) if len(x) > x.shape[1] else _from_rows(x, mean)
        # Rounding in the given type adds a variance of (eps·x)²/12 or less to every direction.
        noise = float(np.finfo(x.dtype).eps) ** 2 * mean_square
        least = max(tolerance, x.shape[1] * float(np.finfo(np.float64).eps)) * variance[0]
        # The projection is float32 and divides by the spread.
        varies = int((variance > max(least, noise, _SMALLEST**2)).sum())
        if varies == 0:
            raise InputError(f"all {len(x):,} descriptors are identical; whitening needs some that differ")
        kept = varies if dim is None else min(dim, varies)
        if dim is not None and kept < dim:
            logger.warning(
                "whitening has %d dimensions instead of %d: the %d descriptors vary in no more directions",
                kept,
                dim,
                len(x),
            )
        axes = axes[:kept]
        # An axis has no sign of its own: its largest component is made positive.
        largest = axes[np.arange(kept), np.abs(axes).argmax(axis=1)]
        made = cls(x.shape[1], kept)
        made.mean.copy_(torch.from_numpy(mean))
        made.projection.copy_(torch.from_numpy(axes * (np.sign(largest) / np.sqrt(variance[:kept]))[:, np.newaxis]))
        return made

    def project(self, x: Tensor) -> Tensor:
        """(b, dim) whitened coordinates of (b, dim_in) descriptors, not normalised.

        For the descriptors that it was fitted to, they have mean 0 and the identity as covariance.
        """
        if x.ndim != 2 or x.shape[1] != self.dim_in:
            raise InputError(f"descriptors have shape {tuple(x.shape)}; this whitening takes (b, {self.dim_in})")
        # Autocast would multiply in half precision; small axes are scaled up far too much for that.
        with torch.autocast(x.device.type, enabled=False):
            x = at_least_float32(x)
            return functional.linear(x - self.mean.to(x.dtype), self.projection.to(x.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """(b, dim) whitened and L2-normalised, of (b, dim_in) descriptors."""
        return functional.normalize(self.project(x), dim=1)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.dim_in}, {self.dim}"


def _blocks(x: npt.NDArray[Any]) -> list[slice]:
    rows = max(1, _BLOCK_VALUES // x.shape[1])
    return [slice(first, first + rows) for first in range(0, len(x), rows)]


def _moments(x: npt.NDArray[Any]) -> tuple[FloatArray, float]:
    """Mean of each column and mean square of all values; values that are not finite in float32 are an error."""
    total, square = np.zeros(x.shape[1]), 0.0
    for here in _blocks(x):
        block = x[here].astype(np.float64)
        bad = ~(np.abs(block) <= _LARGEST).all(axis=1)
        if bad.any():
            raise InputError(f"descriptor {here.start + int(bad.argmax())} (counted from 0) is not finite in float32")
        total += block.sum(axis=0)
        square += float(np.square(block).sum())
    return total / len(x), square / x.size


def _from_axes(x: npt.NDArray[Any], mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Variances, falling, and their axes as rows, from the covariance: flat in memory for many descriptors."""
    covariance = np.zeros((x.shape[1], x.shape[1]))
    for here in _blocks(x):
        centred = x[here].astype(np.float64) - mean
        covariance += centred.T @ centred
    variance, axes = np.linalg.eigh(covariance / (len(x) - 1))
    return variance[::-1], axes.T[::-1]


def _from_rows(x: npt.NDArray[Any], mean: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The same for fewer descriptors than dimensions, without computing a rank-deficient covariance."""
    _, spread, axes = np.linalg.svd(x.astype(np.float64) - mean, full_matrices=False)
    return np.square(spread) / (len(x) - 1), axes
