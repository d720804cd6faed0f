"""Losses on descriptors: generalized contrastive, regression, binary contrastive, and triplet with online hard mining.

Key of this module: x descriptors, d the Euclidean distance of two of them, ψ their similarity in [0, 1], τ the margin.

Everything is computed in float32 at least, whatever the type of the descriptors, because squares of small distances
vanish in float16. Where two descriptors are equal, d has no gradient; 0 is used, never NaN.

`relabel.training.loss_registry` lists the modules that a run can be trained with.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from relabel.errors import InputError, OptionError
from relabel.training.loss_registry import default_margin

Reduction = Literal["mean", "sum", "none"]


class Triplets(NamedTuple):
    """Triplets as positions in a batch, (t,) int64 each."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


def generalized_contrastive_loss(
    x0: Tensor, x1: Tensor, psi: Any, margin: float = default_margin("gcl"), reduction: Reduction = "mean"
) -> Tensor:
    """½ψd² + ½(1−ψ)·max(τ−d, 0)² of n pairs: descriptors are pulled to the distance τ(1−ψ).

    The gradient in d is d + τ(ψ−1) for d < τ and ψd for d ≥ τ; graded pairs need no mining. Source: Leyva-Vallina et
    al., Data-efficient large scale place recognition with graded similarity supervision, CVPR 2023.

    Parameters
    ----------
    x0, x1:
        (n, dim) descriptors of the first and the second camera of each pair, L2-normalised or not.
    psi:
        (n,) similarities in [0, 1], a tensor or an array of any type. It is checked on its own device: leave it on
        the CPU to avoid waiting for the GPU.
    margin:
        τ > 0, a distance; descriptors of unit length are at most 2 apart.
    reduction:
        ``mean`` or ``sum`` over the pairs, or ``none``. The mean of no pairs is 0.

    Returns
    -------
    Tensor
        a scalar, or (n,) unreduced; float64 where a descriptor is, else float32.

    Raises
    ------
    InputError
        when shapes disagree, or a value of `psi` is outside [0, 1] or NaN: leave unknown pairs out first.
    OptionError
        if the margin or the reduction is not valid.
    """
    _check_options(margin, reduction)
    x0, x1 = _as_floats(x0, x1)
    return _reduced(_pair_losses(x0, x1, _similarities(psi, x0).to(x0), margin), reduction)


def similarity_regression_loss(x0: Tensor, x1: Tensor, psi: Any, reduction: Reduction = "mean") -> Tensor:
    """(s−ψ)² of n pairs, where s is the cosine of the angle between the descriptors, whose target is ψ itself.

    The gradient in s is 2(s−ψ); graded pairs need no mining, and there is no margin to choose. Leyva-Vallina,
    Strisciuglio and Petkov, Regressing transformers for data-efficient visual place recognition, ICRA 2024
    (arXiv:2401.16304), train descriptors by regression on the overlap of fields of view; squared error and cosine are
    relabel's interpretation of that. A descriptor of length 0 has no angle: its s is 0.

    Parameters
    ----------
    x0, x1:
        (n, dim) descriptors of the first and the second camera of each pair, of any length.
    psi, reduction:
        as for `generalized_contrastive_loss`.

    Returns
    -------
    Tensor
        a scalar, or (n,) unreduced; float64 where a descriptor is, else float32.

    Raises
    ------
    InputError
        when shapes disagree, or a value of `psi` is outside [0, 1] or NaN: leave unknown pairs out first.
    OptionError
        if the reduction is not valid.
    """
    _check_reduction(reduction)
    x0, x1 = _as_floats(x0, x1)
    return _reduced((_cosine(x0, x1) - _similarities(psi, x0).to(x0)).square(), reduction)


def contrastive_loss(
    x0: Tensor,
    x1: Tensor,
    psi: Any,
    margin: float = default_margin("contrastive"),
    reduction: Reduction = "mean",
    *,
    threshold: float = 0.5,
) -> Tensor:
    """½d² of n positive pairs, ½·max(τ−d, 0)² of negative ones; positive is ψ ≥ `threshold`.

    It is the generalized loss with ψ rounded to 0 or 1. Hadsell, Chopra and LeCun, Dimensionality reduction by learning
    an invariant mapping, CVPR 2006. Parameters, result and errors as for `generalized_contrastive_loss`.
    """
    _check_options(margin, reduction)
    _check_threshold(threshold)
    x0, x1 = _as_floats(x0, x1)
    # Compared as it is: a float64 just below 0.5 would be 0.5 as float32.
    positive = _similarities(psi, x0) >= threshold
    return _reduced(_pair_losses(x0, x1, positive.to(x0), margin), reduction)


def triplet_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = default_margin("triplet"),
    reduction: Reduction = "mean",
) -> Tensor:
    """max(d(anchor, positive) − d(anchor, negative) + τ, 0) of t triplets.

    Parameters
    ----------
    anchor, positive, negative:
        (t, dim) descriptors.
    margin:
        τ > 0, a distance, not squared.
    reduction:
        as for `generalized_contrastive_loss`.

    Returns
    -------
    Tensor
        a scalar, or (t,) unreduced; float64 where a descriptor is, else float32.

    Raises
    ------
    InputError
        when shapes disagree.
    OptionError
        if the margin or the reduction is not valid.
    """
    _check_options(margin, reduction)
    anchor, positive, negative = _as_floats(anchor, positive, negative)
    # relu has no slope at 0, clamp has: a triplet without a loss must not be pulled at.
    return _reduced(torch.relu(_distance(anchor, positive) - _distance(anchor, negative) + margin), reduction)


@torch.no_grad()
def mine_triplets(
    descriptors: Tensor, similarity: Any, margin: float | None = None, *, threshold: float = 0.5
) -> Triplets:
    """The hardest triplet of each anchor in a batch: its farthest positive and its nearest true negative.

    A positive has ψ ≥ `threshold`, a negative ψ = 0. Pairs in between are neither, unknown pairs are never used, and a
    camera is never paired with itself. Of equally hard ones, the first in the batch is chosen. Batch-hard mining as in
    Hermans, Beyer and Leibe, In defense of the triplet loss for person re-identification, 2017.

    Parameters
    ----------
    descriptors:
        (b, dim).
    similarity:
        (b, b) ψ, one row per anchor; NaN where unknown. The diagonal is ignored.
    margin:
        keep only triplets whose loss at this margin is positive or NaN; None keeps those of all anchors that have both.
    threshold:
        the least ψ of a positive, in (0, 1].

    Returns
    -------
    Triplets
        at most b, in the order of the anchors.

    Raises
    ------
    InputError
        when shapes disagree, or a value is outside [0, 1].
    OptionError
        when margin or threshold is not valid.
    """
    if margin is not None:
        _check_margin(margin)
    _check_threshold(threshold)
    (x,) = _as_floats(descriptors)
    b = len(x)
    psi = _tensor(similarity)
    if psi.shape != (b, b):
        raise InputError(f"similarity has shape {_shape(psi)}; {b} descriptors need ({b}, {b})")
    _check_range(psi, unknown=True)
    psi = _moved(psi, x.device)
    # A matrix product would be faster, and wrong where descriptors nearly agree, which is where mining looks.
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    itself = torch.eye(b, dtype=torch.bool, device=x.device)
    is_positive, is_negative = (psi >= threshold) & ~itself, (psi == 0) & ~itself
    anchor = torch.nonzero(is_positive.any(1) & is_negative.any(1)).squeeze(1)
    if len(anchor) == 0:
        return Triplets(anchor, anchor, anchor)
    positive = distance.masked_fill(~is_positive, -math.inf)[anchor].argmax(1)
    negative = distance.masked_fill(~is_negative, math.inf)[anchor].argmin(1)
    if margin is not None:
        # Not "> 0", which would drop the NaN of a network that diverged and so hide it behind a loss of 0.
        hard = ~(distance[anchor, positive] - distance[anchor, negative] + margin <= 0)
        anchor, positive, negative = anchor[hard], positive[hard], negative[hard]
    return Triplets(anchor, positive, negative)


class _MarginLoss(nn.Module):
    def __init__(self, margin: float, reduction: Reduction) -> None:
        super().__init__()
        _check_options(margin, reduction)
        self.margin = margin
        self.reduction: Reduction = reduction

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"margin={self.margin}, reduction={self.reduction!r}"


class GeneralizedContrastiveLoss(_MarginLoss):
    """`generalized_contrastive_loss` as a module, called with x0, x1 and ψ."""

    def __init__(self, margin: float = default_margin("gcl"), reduction: Reduction = "mean") -> None:
        super().__init__(margin, reduction)

    def forward(self, x0: Tensor, x1: Tensor, psi: Any) -> Tensor:
        """As `generalized_contrastive_loss`."""
        return generalized_contrastive_loss(x0, x1, psi, self.margin, self.reduction)


class SimilarityRegressionLoss(nn.Module):
    """`similarity_regression_loss` as a module, called with x0, x1 and ψ."""

    def __init__(self, reduction: Reduction = "mean") -> None:
        super().__init__()
        _check_reduction(reduction)
        self.reduction: Reduction = reduction

    def forward(self, x0: Tensor, x1: Tensor, psi: Any) -> Tensor:
        """As `similarity_regression_loss`."""
        return similarity_regression_loss(x0, x1, psi, self.reduction)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"reduction={self.reduction!r}"


class ContrastiveLoss(_MarginLoss):
    """`contrastive_loss` as a module, called with x0, x1 and ψ."""

    def __init__(
        self, margin: float = default_margin("contrastive"), reduction: Reduction = "mean", *, threshold: float = 0.5
    ) -> None:
        super().__init__(margin, reduction)
        _check_threshold(threshold)
        self.threshold = threshold

    def forward(self, x0: Tensor, x1: Tensor, psi: Any) -> Tensor:
        """As `contrastive_loss`."""
        return contrastive_loss(x0, x1, psi, self.margin, self.reduction, threshold=self.threshold)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{super().extra_repr()}, threshold={self.threshold}"


class TripletLoss(_MarginLoss):
    """`triplet_loss` of the triplets that `mine_triplets` finds, called with descriptors and their similarities.

    The mean is over the triplets with a loss above 0. If there are none it is 0, with a gradient of 0.
    """

    def __init__(
        self, margin: float = default_margin("triplet"), reduction: Reduction = "mean", *, threshold: float = 0.5
    ) -> None:
        super().__init__(margin, reduction)
        _check_threshold(threshold)
        self.threshold = threshold

    def forward(self, descriptors: Tensor, similarity: Any) -> Tensor:
        """The loss of a batch: (b, dim) descriptors and their (b, b) similarities, NaN where not known."""
        triplets = mine_triplets(descriptors, similarity, self.margin, threshold=self.threshold)
        anchor, positive, negative = (descriptors[rows] for rows in triplets)
        return triplet_loss(anchor, positive, negative, self.margin, self.reduction)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{super().extra_repr()}, threshold={self.threshold}"


def _distance(x0: Tensor, x1: Tensor) -> Tensor:
    # The backward pass of vector_norm gives 0 where the norm is 0; that of sqrt(sum(square)) would give NaN.
    distance: Tensor = torch.linalg.vector_norm(x0 - x1, dim=1)
    return distance


def _cosine(x0: Tensor, x1: Tensor) -> Tensor:
    # Divided by 1 where the length is 0, and not by a small number, which would make gradients huge.
    units = []
    for x in (x0, x1):
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
        units.append(x / torch.where(length > 0, length, torch.ones_like(length)))
    return (units[0] * units[1]).sum(1)


def _pair_losses(x0: Tensor, x1: Tensor, psi: Tensor, margin: float) -> Tensor:
    d = _distance(x0, x1)
    return 0.5 * (psi * d.square() + (1.0 - psi) * (margin - d).clamp(min=0.0).square())


def _reduced(losses: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return losses
    total = losses.sum()
    return total / max(len(losses), 1) if reduction == "mean" else total


def _as_floats(*descriptors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one floating type, float32 at least; all (n, dim) alike and on one device."""
    first = descriptors[0]
    for x in descriptors:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = f"a tensor of {x.dtype}" if isinstance(x, Tensor) else f"a {type(x).__name__}"
            raise InputError(f"descriptors are {kind}; expected a floating-point tensor")
        if x.ndim != 2 or x.shape != first.shape:
            shapes = " and ".join(str(_shape(other)) for other in descriptors)
            raise InputError(f"descriptors have shape {shapes}; expected (n, dim), the same for all")
        if x.device != first.device:
            raise InputError(f"descriptors are on {first.device} and {x.device}; move them to one device")
    dtype = torch.float32
    for x in descriptors:
        dtype = torch.promote_types(dtype, x.dtype)
    return tuple(x.to(dtype) for x in descriptors)


def _similarities(psi: Any, x: Tensor) -> Tensor:
    """ψ of each pair of x, in its own type, checked on its own device and moved to that of x."""
    values = _tensor(psi)
    if values.shape != (len(x),):
        raise InputError(f"psi has shape {_shape(values)}; {len(x)} pairs need ({len(x)},)")
    _check_range(values)
    return _moved(values, x.device)


def _tensor(values: Any) -> Tensor:
    """A tensor or anything array-like, as a tensor without a gradient."""
    if isinstance(values, Tensor):
        return values.detach()
    try:
        return torch.tensor(values)  # copied: from_numpy warns of arrays that cannot be written
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"similarities cannot be converted to a tensor: {error}") from None


def _moved(values: Tensor, device: torch.device) -> Tensor:
    """The tensor on that device; a copy from the CPU to a GPU does not wait for work that the GPU has queued."""
    if values.device.type != "cpu" or device.type == "cpu":
        return values.to(device)
    # Ordinary memory has been read when the call returns. Pinned memory is read later, when its owner may have put the
    # next batch there, hence the copy.
    return (values.clone() if values.is_pinned() else values).to(device, non_blocking=True)


def _check_range(psi: Tensor, *, unknown: bool = False) -> None:
    """Refuse values outside [0, 1]; NaN only where `unknown` allows it."""
    if psi.is_complex():
        raise InputError(f"similarities have type {psi.dtype}; expected real numbers")
    good = (psi >= 0) & (psi <= 1)
    if unknown:
        good |= psi.isnan()
    if bool(good.all()):
        return
    at = torch.nonzero(~good)[0].tolist()
    value = float(psi[tuple(at)])
    hint = "; NaN means an unknown pair, leave it out" if math.isnan(value) else "; ψ is in [0, 1]"
    raise InputError(f"similarity {', '.join(map(str, at))} (counted from 0) is {value:g}{hint}")


def _check_options(margin: float, reduction: str) -> None:
    """Refuse a margin or a reduction that is not valid."""
    _check_margin(margin)
    _check_reduction(reduction)


def _check_reduction(reduction: str) -> None:
    """Refuse a reduction that is not known."""
    if reduction not in get_args(Reduction):
        raise OptionError(f"reduction {reduction!r} is not known; choose {', '.join(get_args(Reduction))}")


def _check_margin(margin: float) -> None:
    """Refuse a margin that is not a positive number."""
    if not (margin > 0.0 and math.isfinite(margin)):
        raise OptionError(f"margin is {margin}; it has to be a distance above 0")


def _check_threshold(threshold: float) -> None:
    """Refuse a least ψ of a positive that would make every pair one, or none."""
    if not 0.0 < threshold <= 1.0:
        raise OptionError(f"threshold is {threshold}; it has to be in (0, 1]")


def _shape(x: Tensor) -> tuple[int, ...]:
    """The shape as messages show it."""
    return tuple(x.shape)
