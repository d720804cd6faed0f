"""Validation between epochs: how well a model in training finds places."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from relabel.evaluation.evaluate import evaluate_model
from relabel.evaluation.ground_truth import evaluation_set
from relabel.evaluation.places import of_labels
from relabel.images.paths import Size, find_images
from relabel.labelfile import StoredCollection

_KS = (1, 5)


def recall_validation(
    labels: Sequence[StoredCollection],
    images: str | os.PathLike[str],
    size: Size,
    *,
    image_path: str | None = None,
    device: str = "auto",
    workers: int = 0,
) -> Callable[[Any], dict[str, float]]:
    """A function for `Trainer(validate=...)`: recall@1 and recall@5 of a model, and Spearman of distance against ψ.

    Positives are those that `relabel evaluate` takes by default.

    Parameters
    ----------
    labels:
        collections to evaluate on, which are not those that are trained on.
    images, image_path:
        where their images are, as for `find_images`.
    size:
        (width, height) that images are resized to, that of training.
    device, workers:
        as for the trainer.

    Raises
    ------
    InputError, MissingFileError, OptionError
        when images are not found, or the labels cannot be evaluated on; now and not after the first epoch.
    """
    of = evaluation_set(of_labels(list(labels)))
    find_images(labels, images, image_path)

    def validate(model: Any) -> dict[str, float]:
        found = evaluate_model(model, of, Path(images), size, _KS, template=image_path, device=device, workers=workers)
        told = {f"recall@{k}": float(value) for k, value in zip(_KS, found.scores.recall, strict=True)}
        if found.correlation is not None and not math.isnan(found.correlation.overall):
            told["spearman"] = found.correlation.overall
        return told

    return validate
