"""Learning rates over a run: a function of how far it is, with no state to save."""

from __future__ import annotations

import math

from relabel.training.config import TrainConfig


def rate(config: TrainConfig, pairs: int) -> float:
    """The learning rate of the step that comes after so many pairs.

    Pairs that were drawn count, whether or not their pictures could be read: a damaged picture does not shift the
    schedule of a run.

    Parameters
    ----------
    config:
        the run, whose ``lr`` is the rate at the start.
    pairs:
        pairs drawn since the start of the run.

    Returns
    -------
    float
        ``step``: lr · lr_factor to the power of the number of whole `lr_every` epochs so far; ``cosine``:
        lr · (1 + cos πx) / 2 with x the part of the run that is done (Loshchilov and Hutter, SGDR, ICLR 2017, without
        restarts); ``constant``: lr.
    """
    if config.schedule == "step":
        return float(config.lr * config.lr_factor ** (pairs // (config.lr_every * config.pairs_per_epoch)))
    if config.schedule == "cosine":
        done = min(pairs / (config.epochs * config.pairs_per_epoch), 1.0)
        return config.lr * 0.5 * (1.0 + math.cos(math.pi * done))
    return config.lr
