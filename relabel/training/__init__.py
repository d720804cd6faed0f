"""Training on graded labels: pairs drawn from a label file, losses, descriptor models, a trainer, evaluation.

Nothing is loaded until it is used, so that drawing pairs and evaluating predictions need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from relabel._lazy import lazily
from relabel.errors import MissingPackageError

if TYPE_CHECKING:
    from relabel.devices import seeded
    from relabel.evaluation.evaluate import Evaluation, evaluate_model
    from relabel.evaluation.ground_truth import EvaluationSet, Rule
    from relabel.evaluation.metrics import GradedScores, Scores, evaluate, graded
    from relabel.evaluation.nearest import Neighbours, nearest
    from relabel.evaluation.positives import positives_by_distance, positives_by_similarity
    from relabel.evaluation.predictions import read_predictions, write_predictions
    from relabel.images.loading import PairDataset
    from relabel.images.paths import ImagePaths, find_images
    from relabel.sampling._draw import DrawnPairs
    from relabel.sampling.batch_sampler import BatchSimilarity, GradedBatchSampler
    from relabel.sampling.pair_sampler import GradedPairSampler
    from relabel.sampling.report import SamplerReport
    from relabel.training.checkpoint import load_checkpoint, load_model
    from relabel.training.config import TrainConfig
    from relabel.training.loaders import GradedBatchLoss, GradedMiner, PairBatches, PlaceBatches
    from relabel.training.losses import (
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
    from relabel.training.model import DescriptorModel, build_model, model_from_config
    from relabel.training.trainer import Trainer, TrainResult
    from relabel.training.whitening import Whitening

# The module that defines each name.
_HOMES = {
    "BatchSimilarity": "relabel.sampling.batch_sampler",
    "ContrastiveLoss": "relabel.training.losses",
    "DescriptorModel": "relabel.training.model",
    "DrawnPairs": "relabel.sampling._draw",
    "Evaluation": "relabel.evaluation.evaluate",
    "EvaluationSet": "relabel.evaluation.ground_truth",
    "GeneralizedContrastiveLoss": "relabel.training.losses",
    "GradedScores": "relabel.evaluation.metrics",
    "GradedBatchLoss": "relabel.training.loaders",
    "GradedMiner": "relabel.training.loaders",
    "PairBatches": "relabel.training.loaders",
    "PlaceBatches": "relabel.training.loaders",
    "GradedBatchSampler": "relabel.sampling.batch_sampler",
    "GradedPairSampler": "relabel.sampling.pair_sampler",
    "Neighbours": "relabel.evaluation.nearest",
    "PairDataset": "relabel.images.loading",
    "ImagePaths": "relabel.images.paths",
    "Rule": "relabel.evaluation.ground_truth",
    "SamplerReport": "relabel.sampling.report",
    "Scores": "relabel.evaluation.metrics",
    "SimilarityRegressionLoss": "relabel.training.losses",
    "TrainConfig": "relabel.training.config",
    "TrainResult": "relabel.training.trainer",
    "Trainer": "relabel.training.trainer",
    "TripletLoss": "relabel.training.losses",
    "Whitening": "relabel.training.whitening",
    "build_model": "relabel.training.model",
    "contrastive_loss": "relabel.training.losses",
    "evaluate": "relabel.evaluation.metrics",
    "evaluate_model": "relabel.evaluation.evaluate",
    "find_images": "relabel.images.paths",
    "generalized_contrastive_loss": "relabel.training.losses",
    "graded": "relabel.evaluation.metrics",
    "load_checkpoint": "relabel.training.checkpoint",
    "load_model": "relabel.training.checkpoint",
    "mine_triplets": "relabel.training.losses",
    "model_from_config": "relabel.training.model",
    "nearest": "relabel.evaluation.nearest",
    "positives_by_distance": "relabel.evaluation.positives",
    "positives_by_similarity": "relabel.evaluation.positives",
    "read_predictions": "relabel.evaluation.predictions",
    "seeded": "relabel.devices",
    "similarity_regression_loss": "relabel.training.losses",
    "triplet_loss": "relabel.training.losses",
    "write_predictions": "relabel.evaluation.predictions",
}

__all__ = [
    "BatchSimilarity",
    "ContrastiveLoss",
    "DescriptorModel",
    "DrawnPairs",
    "Evaluation",
    "EvaluationSet",
    "GeneralizedContrastiveLoss",
    "GradedBatchLoss",
    "GradedBatchSampler",
    "GradedMiner",
    "GradedPairSampler",
    "GradedScores",
    "ImagePaths",
    "Neighbours",
    "PairBatches",
    "PairDataset",
    "PlaceBatches",
    "Rule",
    "SamplerReport",
    "Scores",
    "SimilarityRegressionLoss",
    "TrainConfig",
    "TrainResult",
    "Trainer",
    "TripletLoss",
    "Whitening",
    "build_model",
    "contrastive_loss",
    "evaluate",
    "evaluate_model",
    "find_images",
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
    "similarity_regression_loss",
    "triplet_loss",
    "write_predictions",
]


_load, __dir__ = lazily(__name__, {name: f"{module}:{name}" for name, module in _HOMES.items()})


def __getattr__(name: str) -> Any:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingPackageError(f"{name} needs torch: pip install 'relabel-vpr[torch]'") from None
