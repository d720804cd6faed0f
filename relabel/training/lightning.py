"""A Lightning ``DataModule`` for graded labels; needs lightning or pytorch_lightning, which relabel does not install.

    data = GradedDataModule(PairBatches(LabelFile("msls.h5"), "MSLS", batch_size=32))
    lightning.Trainer(max_epochs=10).fit(model, datamodule=data)

If both packages are installed, the class derives from the one that has been imported; the trainer must come from the
same.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from relabel.errors import MissingPackageError
from relabel.training import PairBatches, PlaceBatches  # not from their module, which does not say how to get torch

_PACKAGES = ("lightning.pytorch", "pytorch_lightning")


def _base() -> Any:
    for name in sorted(_PACKAGES, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name).LightningDataModule
        except ModuleNotFoundError as error:
            if error.name not in (name, name.partition(".")[0]):
                raise
    raise MissingPackageError("relabel.training.lightning needs lightning: pip install lightning")


class GradedDataModule(_base()):  # type: ignore[misc]
    """Batches of graded labels for ``lightning.Trainer.fit``.

    Epochs are those of the trainer, each process draws its own share, and a run that resumes from a checkpoint within
    an epoch continues with the next batch. Lightning's own distributed samplers are not used.

    Parameters
    ----------
    batches:
        `PairBatches`, with which ``training_step`` receives query images, database images and ψ; or `PlaceBatches`,
        with which it receives the images and labels of gsv-cities and OpenVPRLab.
    """

    def __init__(self, batches: PairBatches | PlaceBatches) -> None:
        super().__init__()
        self.batches = batches

    def __str__(self) -> str:
        # Lightning's own goes through every batch of an iterable to describe it.
        return f"{type(self).__name__}: {len(self.batches)} batches an epoch, {type(self.batches).__name__}"

    def setup(self, stage: str) -> None:
        """Take the share of this process."""
        if stage == "fit" and self.trainer.world_size > 1:
            self.batches = self.batches.of_rank(self.trainer.global_rank, self.trainer.world_size)

    def train_dataloader(self) -> _Epochs:
        """The batches; an iterable, not a loader of torch."""
        return _Epochs(self.batches, self)


class _Epochs:
    """Batches of the trainer's current epoch."""

    def __init__(self, batches: PairBatches | PlaceBatches, module: GradedDataModule) -> None:
        self._batches, self._module = batches, module

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        if self._module.trainer is not None:  # in a notebook, one looks at a batch before any training
            self._batches.set_epoch(self._module.trainer.current_epoch)
        return iter(self._batches)

    def state_dict(self) -> dict[str, Any]:
        return self._batches.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._batches.load_state_dict(state)
