"""The recipe of a training run, a frozen record with a JSON form, and the learning rate that it schedules."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from relabel.errors import InputError, MissingFileError, OptionError
from relabel.exclusion import BANDS, Exclusion, chosen_bands
from relabel.input_files import check_regular
from relabel.training.loss_registry import LOSSES

LEARNING_RATES = {"sgd": 0.1, "adamw": 1e-4}
"""The learning rate of each optimizer, unless stated."""
OPTIMIZERS = tuple(LEARNING_RATES)
SCHEDULES = ("step", "cosine", "constant")
PRECISIONS = ("auto", "bf16", "float32")

_DERIVED: Any = None  # a field that __post_init__ fills in where it is not given


@dataclass(frozen=True)
class TrainConfig:
    """The recipe of a training run; the defaults are those of the generalized contrastive loss on MSLS.

    Leyva-Vallina et al., Data-efficient large scale place recognition with graded similarity supervision, CVPR 2023:
    plain SGD, learning rate 0.1, divided by 10 every 250,000 pairs, batches of 32 pairs.

    Parameters
    ----------
    loss:
        a name of `relabel.training.loss_registry.LOSSES`. ``gcl``, ``regression`` and ``contrastive`` take pairs;
        ``triplet`` mines triplets in batches of `batch_size` images.
    margin:
        τ, a distance between descriptors. None means the default of the loss: 0.5, or 0.1 for ``triplet``;
        ``regression`` has no margin.
    batch_size:
        pairs per optimisation step; the loss is their mean.
    accumulate:
        number of forward passes that a batch is split into, to save memory. The gradient is that of the full batch,
        except through layers that look across a batch, such as batch normalisation in training mode.
    epochs, pairs_per_epoch:
        how long to train. The schedule counts epochs, and a checkpoint is written after each.
    optimizer, lr, momentum, weight_decay:
        ``sgd`` or ``adamw``; `lr` None is 0.1 for ``sgd`` and 1e-4 for ``adamw``; `momentum` is for ``sgd`` only.
    schedule, lr_every, lr_factor:
        ``step`` multiplies the rate by `lr_factor` every `lr_every` epochs, ``cosine`` lowers it to 0 by the end,
        ``constant`` does not change it.
    size:
        (width, height) that images are resized to, pixels.
    precision:
        ``bf16`` or ``float32`` of the forward pass; ``auto`` is bf16 on a GPU that supports it, else float32. Weights
        and losses are always float32.
    compile:
        whether torch compiles the forward and backward pass of full batches, if it can: faster after a minute of
        compiling; the last digits differ.
    bands, hard_negatives_m, other_sequence, min_frame_gap, min_time_gap_s, exclude_from:
        as for `GradedPairSampler`.
    seed:
        of the drawn pairs and of everything random in the model.

    Raises
    ------
    OptionError
        if a value is not valid; the message names the field.
    """

    loss: str = "gcl"
    margin: float | None = _DERIVED
    batch_size: int = 32
    accumulate: int = 1
    epochs: int = 50
    pairs_per_epoch: int = 10_000
    optimizer: str = "sgd"
    lr: float = _DERIVED
    momentum: float = 0.0
    weight_decay: float = 0.0
    schedule: str = "step"
    lr_every: int = 25
    lr_factor: float = 0.1
    size: tuple[int, int] = (640, 480)
    precision: str = "auto"
    compile: bool = False
    bands: tuple[float, float, float] = (0.5, 0.25, 0.25)
    hard_negatives_m: tuple[float, float] | None = None
    other_sequence: bool = False
    min_frame_gap: int | None = None
    min_time_gap_s: float | None = None
    exclude_from: tuple[str, ...] = BANDS
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise OptionError(f"{name} {getattr(self, name)!r} is not known; choose {', '.join(known)}")
        for name, usual in (("margin", LOSSES[self.loss].margin), ("lr", LEARNING_RATES[self.optimizer])):
            if getattr(self, name) is None:
                object.__setattr__(self, name, usual)
        for name in ("size", "bands", "hard_negatives_m", "exclude_from"):  # JSON has lists
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("batch_size", "accumulate", "epochs", "pairs_per_epoch", "lr_every"):
            _check_count(name, getattr(self, name), 1)
        _check_count("seed", self.seed, 0)
        if not isinstance(self.compile, bool):
            raise OptionError(f"compile is {self.compile!r}; it has to be true or false")
        Exclusion(self.other_sequence, self.min_frame_gap, self.min_time_gap_s)
        chosen_bands(self.exclude_from)
        if self.margin is not None and LOSSES[self.loss].margin is None:
            raise OptionError(f"margin is {self.margin!r}; the loss {self.loss} has none")
        for name in ("margin", "lr", "lr_factor")[self.margin is None :]:
            _check_number(name, getattr(self, name), above=0.0)
        for name in ("momentum", "weight_decay"):
            _check_number(name, getattr(self, name), least=0.0)
        if not isinstance(self.size, tuple) or len(self.size) != 2:
            raise OptionError(f"size is {self.size!r}; it has to be (width, height)")
        for side in self.size:
            _check_count("size", side, 1)
        if self.accumulate > self.batch_size:
            raise OptionError(f"accumulate is {self.accumulate}; a batch of {self.batch_size} cannot be split further")
        if LOSSES[self.loss].trains_on == "batches" and self.accumulate > 1:
            raise OptionError(
                f"accumulate is {self.accumulate}; the loss {self.loss} takes whole batches: make batch_size smaller "
                "instead"
            )
        if self.optimizer != "sgd" and self.momentum:
            raise OptionError(f"momentum is {self.momentum:g}, which only sgd takes; {self.optimizer} has its own")

    @property
    def batches_per_epoch(self) -> int:
        """Batches of an epoch; the last may be smaller."""
        return -(-self.pairs_per_epoch // self.batch_size)

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], where: object = "the configuration") -> TrainConfig:
        """The record from the values of `to_json`; missing fields take their defaults.

        Parameters
        ----------
        values:
            fields by name.
        where:
            name of their source, for error messages.

        Raises
        ------
        InputError
            when a field is unknown, or a value is not valid.
        """
        known = [field.name for field in fields(cls)]
        unknown = [name for name in values if name not in known]
        if unknown:
            raise InputError(f"{where}: has a field {unknown[0]!r}; known are {', '.join(known)}")
        try:
            return cls(**values)
        except (OptionError, TypeError) as error:
            raise InputError(f"{where}: {error}") from None

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """The record in the ``config.json`` of a run; errors name the file."""
        check_regular(path)
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise MissingFileError(f"{path}: there is no such file") from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: is not JSON: {error}") from None
        inner = values.get("config", values) if isinstance(values, dict) else None
        if not isinstance(inner, dict):
            raise InputError(f"{path}: is not the configuration of a training run")
        return cls.from_json(inner, path)

    def difference(self, now: TrainConfig) -> str | None:
        """The first field in which `now` differs from the recipe that the run began with; None if it can be resumed.

        More epochs are no difference, unless the schedule depends on their number.
        """
        for name, before in self.to_json().items():
            value = now.to_json()[name]
            if value != before and (name != "epochs" or self.schedule == "cosine"):
                return f"{name} was {before!r} and is {value!r} now"
        return None


_CHOICES = {"loss": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS}


def _check_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise OptionError(f"{name} is {value!r}; it has to be a whole number of at least {least}")


def _check_number(name: str, value: object, *, least: float | None = None, above: float | None = None) -> None:
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number) or (least is not None and number < least) or (above is not None and number <= above):
        bound = f"of at least {least:g}" if least is not None else f"above {above:g}"
        raise OptionError(f"{name} is {value!r}; it has to be a number {bound}")


def rate(config: TrainConfig, pairs: int) -> float:
    """The learning rate of the step that comes after so many pairs.

    Pairs that were drawn count, whether or not their images could be read: a damaged image does not shift the
    schedule of a run.

    Parameters
    ----------
    config:
        the recipe, whose ``lr`` is the initial rate.
    pairs:
        pairs drawn since the start of the run.

    Returns
    -------
    float
        ``step``: lr · lr_factor to the power of the number of completed periods of `lr_every` epochs; ``cosine``:
        lr · (1 + cos πx) / 2 with x the completed fraction of the run (Loshchilov and Hutter, SGDR, ICLR 2017, without
        restarts); ``constant``: lr.
    """
    if config.schedule == "step":
        return float(config.lr * config.lr_factor ** (pairs // (config.lr_every * config.pairs_per_epoch)))
    if config.schedule == "cosine":
        done = min(pairs / (config.epochs * config.pairs_per_epoch), 1.0)
        return config.lr * 0.5 * (1.0 + math.cos(math.pi * done))
    return config.lr
