"""The losses that a run can be trained with: one class in `relabel.training.losses` and one entry here for each.

Nothing here loads torch, so that the command line can name them.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class LossSpec:
    """Description of a loss for command line, recipe, data and training step.

    Attributes
    ----------
    home:
        ``module:class`` of a `torch.nn.Module` that is made with ``margin`` and ``reduction`` (``mean`` or ``sum``), or
        with ``reduction`` alone where it has no margin.
    trains_on:
        ``pairs``: the module is called with (n, dim) descriptors of the first and of the second camera of each pair and
        with their (n,) ψ, and its sum is a sum over pairs; batches can be accumulated. ``batches``: it is called with
        (b, dim) descriptors of b cameras and with their (b, b) ψ, NaN where not known, and finds its pairs itself.
    margin:
        τ unless stated, a distance of descriptors; None where the loss has none.
    summary:
        what it learns from, for help texts.
    title:
        its name in tables.
    """

    home: str
    trains_on: Literal["pairs", "batches"]
    margin: float | None
    summary: str
    title: str

    def make(self, margin: float | None, reduction: str) -> Any:
        """The module; its class is loaded here."""
        module, _, name = self.home.partition(":")
        loss = getattr(importlib.import_module(module), name)
        return loss(reduction) if self.margin is None else loss(margin, reduction)


LOSSES: dict[str, LossSpec] = {
    "gcl": LossSpec("relabel.training.losses:GeneralizedContrastiveLoss", "pairs", 0.5, "graded", "graded (GCL)"),
    "regression": LossSpec(
        "relabel.training.losses:SimilarityRegressionLoss",
        "pairs",
        None,
        "regression on ψ",
        "regression on ψ",
    ),
    "contrastive": LossSpec(
        "relabel.training.losses:ContrastiveLoss", "pairs", 0.5, "binary (ψ ≥ 0.5 is a positive)", "binary contrastive"
    ),
    "triplet": LossSpec(
        "relabel.training.losses:TripletLoss", "batches", 0.1, "triplets mined in each batch", "triplet, hard mining"
    ),
}
"""By the name that `TrainConfig` and ``relabel train --loss`` know them by; the first is the default. Another package
adds its own by an assignment."""


def default_margin(name: str) -> float:
    """τ unless stated, of a loss that has one."""
    margin = LOSSES[name].margin
    assert margin is not None
    return margin
