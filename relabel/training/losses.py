"""Losses on descriptors: generalized contrastive, binary contrastive, and triplet with online hard mining.

Key of this module: x descriptors, d the Euclidean distance of two of them, ψ their similarity in [0, 1], τ the margin.

Everything is computed in float32 at least, whatever the descriptors are, since squares of small distances vanish in
float16. Where two descriptors are equal, d has no gradient; 0 is used, never NaN.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from relabel.errors import InputError
from relabel.training.loss_checks import (
    Reduction,
    check_margin,
    check_options,
    check_range,
    check_threshold,
    floats,
    moved,
    shape,
    similarities,
    tensor,
)


class Triplets(NamedTuple):
    """Positions in a batch, (t,) int64 each: `anchor` is like `positive` and unlike `negative`."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


def generalized_contrastive_loss(
    x0: Tensor, x1: Tensor, psi: Any, margin: float = 0.5, reduction: Reduction = "mean"
) -> Tensor:
    """½ψd² + ½(1−ψ)·max(τ−d, 0)² of n pairs: descriptors are pulled to the distance τ(1−ψ).

    The gradient in d is d + τ(ψ−1) for d < τ and ψd for d ≥ τ, so that graded pairs need no mining. Leyva-Vallina et
    al., Data-efficient large scale place recognition with graded similarity supervision, CVPR 2023.

    Parameters
    ----------
    x0, x1:
        (n, dim) descriptors of the first and the second camera of each pair, L2-normalised or not.
    psi:
        (n,) similarities in [0, 1], a tensor or an array of any type. It is checked where it lies: leave it on the
        CPU, and nothing waits for the GPU.
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
        when shapes disagree, or a value of `psi` is outside [0, 1] or NaN: unknown pairs have to be left out before.
    OptionError
        when the margin or the reduction cannot be.
    """
    check_options(margin, reduction)
    x0, x1 = floats(x0, x1)
    return _reduced(_pair_losses(x0, x1, similarities(psi, x0).to(x0), margin), reduction)


def contrastive_loss(
    x0: Tensor,
    x1: Tensor,
    psi: Any,
    margin: float = 0.5,
    reduction: Reduction = "mean",
    *,
    threshold: float = 0.5,
) -> Tensor:
    """½d² of n positive pairs, ½·max(τ−d, 0)² of negative ones; positive is ψ ≥ `threshold`.

    It is the generalized loss with ψ rounded to 0 or 1. Hadsell, Chopra and LeCun, Dimensionality reduction by learning
    an invariant mapping, CVPR 2006. Parameters, result and errors as for `generalized_contrastive_loss`.
    """
    check_options(margin, reduction)
    check_threshold(threshold)
    x0, x1 = floats(x0, x1)
    # Compared as it is: a float64 just below 0.5 would be 0.5 as float32.
    positive = similarities(psi, x0) >= threshold
    return _reduced(_pair_losses(x0, x1, positive.to(x0), margin), reduction)


def triplet_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.1, reduction: Reduction = "mean"
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
        when the margin or the reduction cannot be.
    """
    check_options(margin, reduction)
    anchor, positive, negative = floats(anchor, positive, negative)
    # relu has no slope at 0, clamp has: a triplet without a loss must not be pulled at.
    return _reduced(torch.relu(_distance(anchor, positive) - _distance(anchor, negative) + margin), reduction)


@torch.no_grad()
def mine_triplets(
    descriptors: Tensor, similarity: Any, margin: float | None = None, *, threshold: float = 0.5
) -> Triplets:
    """The hardest triplet of each anchor in a batch: its farthest positive and its nearest true zero.

    A positive has ψ ≥ `threshold`, a negative ψ = 0. Pairs between are neither, unknown pairs are never used, and a
    camera is never paired with itself. Of equally hard ones the first in the batch is taken. Batch-hard mining as in
    Hermans, Beyer and Leibe, In defense of the triplet loss for person re-identification, 2017.

    Parameters
    ----------
    descriptors:
        (b, dim).
    similarity:
        (b, b) ψ, row the anchor; NaN where it is not known. The diagonal is not looked at.
    margin:
        keep only triplets with a loss at this margin, NaN among them; None keeps those of all anchors that have both.
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
        when margin or threshold cannot be.
    """
    if margin is not None:
        check_margin(margin)
    check_threshold(threshold)
    (x,) = floats(descriptors)
    b = len(x)
    psi = tensor(similarity)
    if psi.shape != (b, b):
        raise InputError(f"similarity has shape {shape(psi)}; {b} descriptors need ({b}, {b})")
    check_range(psi, unknown=True)
    psi = moved(psi, x.device)
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


class _PairLoss(nn.Module):
    def __init__(self, margin: float = 0.5, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_options(margin, reduction)
        self.margin = margin
        self.reduction: Reduction = reduction

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"margin={self.margin}, reduction={self.reduction!r}"


class GeneralizedContrastiveLoss(_PairLoss):
    """`generalized_contrastive_loss` as a module, called with x0, x1 and ψ."""

    def forward(self, x0: Tensor, x1: Tensor, psi: Any) -> Tensor:
        """As `generalized_contrastive_loss`."""
        return generalized_contrastive_loss(x0, x1, psi, self.margin, self.reduction)


class ContrastiveLoss(_PairLoss):
    """`contrastive_loss` as a module, called with x0, x1 and ψ."""

    def __init__(self, margin: float = 0.5, reduction: Reduction = "mean", *, threshold: float = 0.5) -> None:
        super().__init__(margin, reduction)
        check_threshold(threshold)
        self.threshold = threshold

    def forward(self, x0: Tensor, x1: Tensor, psi: Any) -> Tensor:
        """As `contrastive_loss`."""
        return contrastive_loss(x0, x1, psi, self.margin, self.reduction, threshold=self.threshold)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{super().extra_repr()}, threshold={self.threshold}"


class TripletLoss(_PairLoss):
    """`triplet_loss` of the triplets that `mine_triplets` finds, called with descriptors and their similarities.

    The mean is over the triplets that have a loss. Where there is none it is 0, with a gradient of 0.
    """

    def __init__(self, margin: float = 0.1, reduction: Reduction = "mean", *, threshold: float = 0.5) -> None:
        super().__init__(margin, reduction)
        check_threshold(threshold)
        self.threshold = threshold

    def forward(self, descriptors: Tensor, similarity: Any) -> Tensor:
        """The loss of a batch: (b, dim) descriptors and their (b, b) similarities, NaN where not known."""
        found = mine_triplets(descriptors, similarity, self.margin, threshold=self.threshold)
        anchor, positive, negative = (descriptors[rows] for rows in found)
        return triplet_loss(anchor, positive, negative, self.margin, self.reduction)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{super().extra_repr()}, threshold={self.threshold}"


def _distance(x0: Tensor, x1: Tensor) -> Tensor:
    # The backward pass of vector_norm gives 0 where the norm is 0; that of sqrt(sum(square)) would give NaN.
    distance: Tensor = torch.linalg.vector_norm(x0 - x1, dim=1)
    return distance


def _pair_losses(x0: Tensor, x1: Tensor, psi: Tensor, margin: float) -> Tensor:
    d = _distance(x0, x1)
    return 0.5 * (psi * d.square() + (1.0 - psi) * (margin - d).clamp(min=0.0).square())


def _reduced(losses: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return losses
    total = losses.sum()
    return total / max(len(losses), 1) if reduction == "mean" else total
