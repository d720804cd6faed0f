"""relabel.training.lightning: a DataModule that `lightning.Trainer` fits with."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # some of what it imports is deprecated somewhere
    lightning = pytest.importorskip("lightning.pytorch")

import torch

from relabel.training import GradedPairSampler, generalized_contrastive_loss
from relabel.training.lightning import GradedDataModule
from relabel.training.loaders import PairBatches
from tests.training import runs

# Of Lightning's own: advice on workers and logging, and what it calls of torch.
pytestmark = [pytest.mark.filterwarnings("ignore::UserWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]


class Model(lightning.LightningModule):  # type: ignore[misc,name-defined]
    """A model that keeps the ψ that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.net = runs.small(dropout=0.0)
        self.psi: list[list[float]] = []

    def training_step(self, batch: Any, _index: int) -> Any:
        query, database, psi = batch
        self.psi.append(psi.tolist())
        return generalized_contrastive_loss(self.net(query), self.net(database), psi)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> runs.Place:
    """Labels and images."""
    return runs.place(tmp_path_factory.mktemp("town"))


def fit(town: runs.Place, folder: Path, *, resume: Path | None = None, **fields: Any) -> Model:
    """A trained model."""
    model = Model()
    trainer = lightning.Trainer(
        **({"max_epochs": 2} | fields),
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = GradedDataModule(PairBatches(town.stored, town.images, batch_size=4, size=runs.SIZE, length=12, seed=5))
    trainer.fit(model, datamodule=data, ckpt_path=None if resume is None else str(resume))
    return model


def expected(town: runs.Place) -> list[list[float]]:
    """ψ of the batches of two epochs."""
    sampler = GradedPairSampler(town.stored, length=12, seed=5)
    drawn = [psi for _ in range(2) for _, _, psi in sampler]
    return [drawn[first : first + 4] for first in range(0, 24, 4)]


def test_fit(town: runs.Place, tmp_path: Path) -> None:
    """Each epoch of the trainer has the pairs of that epoch, and the weights learn."""
    model = fit(town, tmp_path)
    assert model.psi == expected(town)
    assert not torch.equal(model.net.conv.weight, runs.small().conv.weight)


def test_part_of_an_epoch(town: runs.Place, tmp_path: Path) -> None:
    """A trainer that takes the first batches of each epoch gets those of the next epoch all the same."""
    model = fit(town, tmp_path, limit_train_batches=2)
    assert model.psi == [batch for number, batch in enumerate(expected(town)) if number % 3 < 2]


def test_resumes_within_an_epoch(town: runs.Place, tmp_path: Path) -> None:
    """From a checkpoint after two steps of the second epoch, the pairs that follow are those that would have."""

    class Save(lightning.Callback):  # type: ignore[misc,name-defined]
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            if trainer.global_step == 5:
                trainer.save_checkpoint(tmp_path / "five.ckpt")

    whole = fit(town, tmp_path, callbacks=[Save()])
    assert whole.psi == expected(town)
    resumed = fit(town, tmp_path, resume=tmp_path / "five.ckpt")
    assert resumed.psi == expected(town)[5:]
    assert torch.equal(resumed.net.conv.weight, whole.net.conv.weight)


def test_without_a_trainer(town: runs.Place) -> None:
    """The module can be printed, which reads no image, and a batch looked at; it is the first of the first epoch."""
    batches = PairBatches(town.stored, town.images, batch_size=4, size=runs.SIZE, length=12, seed=5)
    module = GradedDataModule(batches)
    assert str(module) == "GradedDataModule: 3 batches an epoch, PairBatches"
    assert next(iter(module.train_dataloader()))[2].tolist() == expected(town)[0]


def test_without_lightning() -> None:
    """A package that is missing is named with the way to get it; the rest of the training package does without."""
    code = """
import sys
sys.modules.update({"lightning": None, "lightning.pytorch": None, "pytorch_lightning": None})
import relabel.training.loaders
from relabel.errors import MissingPackageError
try:
    import relabel.training.lightning
except MissingPackageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "relabel.training.lightning needs lightning: pip install lightning\n"
