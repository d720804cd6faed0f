"""Global pooling: a feature map becomes one vector, whatever its height and width.

Pooled values are float32 at least: powers and long sums do not fit into half precision.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from relabel.errors import OptionError
from relabel.training.model_names import POOLS


class GeM(nn.Module):
    """Generalized mean (mean of xᵖ)^(1/p) over the map, with one learnable p for all channels.

    p = 1 is the average of the positive part, and p → ∞ the maximum. Radenović, Tolias and Chum, Fine-tuning CNN image
    retrieval with no human annotation, TPAMI 2019.

    Parameters
    ----------
    p:
        the initial exponent, at least 1, stored as a (1,) parameter. If training makes it smaller than 1, 1 is used.
    eps:
        smaller features, including negative ones, are raised to this value.

    Raises
    ------
    OptionError
        when p or eps is not valid.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        if not (p >= 1.0 and math.isfinite(p)):
            raise OptionError(f"p is {p}; it has to be 1 (average) or more")
        if not (eps > 0.0 and math.isfinite(eps)):
            raise OptionError(f"eps is {eps}; it has to be above 0")
        self.p = nn.Parameter(torch.full((1,), float(p)))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(b, c) of a (b, c, h, w) map."""
        x = at_least_float32(x).clamp(min=self.eps)
        p = self.p.clamp(min=1.0).to(x.dtype)
        # As shares of the largest, powers neither overflow nor vanish. The mean is proportional to x, so that taking
        # the largest for a constant leaves its gradient as it is.
        largest = x.detach().amax((-2, -1), keepdim=True)
        mean = (x / largest).pow(p).mean((-2, -1)).pow(1.0 / p)
        return largest.flatten(1) * mean

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"p={self.p.item():g}, eps={self.eps:g}"


class Average(nn.Module):
    """The mean over the map."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, c) of a (b, c, h, w) map."""
        return at_least_float32(x).mean((-2, -1))


class Maximum(nn.Module):
    """The maximum over the map."""

    def forward(self, x: Tensor) -> Tensor:
        """(b, c) of a (b, c, h, w) map."""
        return at_least_float32(x).amax((-2, -1))


def build_pool(name: str) -> nn.Module:
    """The pooling of that name: ``gem`` with p = 3, ``avg`` or ``max``.

    Raises
    ------
    OptionError
        when there is none.
    """
    if name == "gem":
        return GeM()
    if name == "avg":
        return Average()
    if name == "max":
        return Maximum()
    raise OptionError(f"pool {name!r} is not known; choose {', '.join(POOLS)}")


def at_least_float32(x: Tensor) -> Tensor:
    """The tensor itself in float32 or float64, half precision raised to float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
