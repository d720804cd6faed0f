"""Training on graded labels: pairs drawn from a label file, losses, descriptor models, a trainer, evaluation.

Nothing is loaded until it is used, so that drawing pairs and evaluating predictions need no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from relabel.errors import MissingPackageError

if TYPE_CHECKING:
    from relabel.evaluation.evaluate import Evaluation, evaluate_model
    from relabel.evaluation.ground_truth import EvaluationSet, Rule
    from relabel.evaluation.metrics import Graded, Scores, evaluate, graded
    from relabel.evaluation.nearest import Neighbours, nearest
    from relabel.evaluation.positives import positives_by_distance, positives_by_similarity
    from relabel.evaluation.predictions import read_predictions, write_predictions
    from relabel.images.loading import PairDataset
    from relabel.images.paths import Pictures, find_pictures
    from relabel.sampling._draw import Draw
    from relabel.sampling.batch_sampler import BatchSimilarity, GradedBatchSampler
    from relabel.sampling.pair_sampler import GradedPairSampler
    from relabel.sampling.shortfalls import SamplerReport
    from relabel.training.checkpoint import load_checkpoint, load_model
    from relabel.training.config import TrainConfig
    from relabel.training.devices import seeded
    from relabel.training.losses import (
        ContrastiveLoss,
        GeneralizedContrastiveLoss,
        TripletLoss,
        contrastive_loss,
        generalized_contrastive_loss,
        mine_triplets,
        triplet_loss,
    )
    from relabel.training.model import DescriptorModel, build_model, model_from_config
    from relabel.training.trainer import Trainer, TrainResult
    from relabel.training.whitening import Whitening

# Where each name lives: a module name in this package.
_HOMES = {
    "BatchSimilarity": "batches",
    "ContrastiveLoss": "losses",
    "DescriptorModel": "model",
    "Draw": "tables",
    "Evaluation": "evaluation",
    "EvaluationSet": "evaluation_set",
    "GeneralizedContrastiveLoss": "losses",
    "Graded": "graded_scores",
    "GradedBatchSampler": "batches",
    "GradedPairSampler": "sampler",
    "Neighbours": "neighbours",
    "PairDataset": "loading",
    "Pictures": "images",
    "Rule": "evaluation_set",
    "SamplerReport": "told",
    "Scores": "metrics",
    "TrainConfig": "config",
    "TrainResult": "trainer",
    "Trainer": "trainer",
    "TripletLoss": "losses",
    "Whitening": "whitening",
    "build_model": "model",
    "contrastive_loss": "losses",
    "evaluate": "metrics",
    "evaluate_model": "evaluation",
    "find_pictures": "images",
    "generalized_contrastive_loss": "losses",
    "graded": "graded_scores",
    "load_checkpoint": "checkpoint",
    "load_model": "checkpoint",
    "mine_triplets": "losses",
    "model_from_config": "model",
    "nearest": "neighbours",
    "positives_by_distance": "positives",
    "positives_by_similarity": "positives",
    "read_predictions": "predictions",
    "seeded": "devices",
    "triplet_loss": "losses",
    "write_predictions": "predictions",
}

__all__ = [
    "BatchSimilarity",
    "ContrastiveLoss",
    "DescriptorModel",
    "Draw",
    "Evaluation",
    "EvaluationSet",
    "GeneralizedContrastiveLoss",
    "Graded",
    "GradedBatchSampler",
    "GradedPairSampler",
    "Neighbours",
    "PairDataset",
    "Pictures",
    "Rule",
    "SamplerReport",
    "Scores",
    "TrainConfig",
    "TrainResult",
    "Trainer",
    "TripletLoss",
    "Whitening",
    "build_model",
    "contrastive_loss",
    "evaluate",
    "evaluate_model",
    "find_pictures",
    "generalized_contrastive_loss",
    "graded",
    "load_checkpoint",
    "load_model",
    "mine_triplets",
    "model_from_config",
    "nearest",
    "positives_by_distance",
    "positives_by_similarity",
    "read_predictions",
    "seeded",
    "triplet_loss",
    "write_predictions",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        try:
            home = importlib.import_module(f"relabel.training.{_HOMES[name]}")
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
            raise MissingPackageError(f"{name} needs torch: pip install 'relabel-vpr[torch]'") from None
        return getattr(home, name)
    raise AttributeError(f"module 'relabel.training' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
