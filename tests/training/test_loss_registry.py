"""relabel.training.loss_registry"""

from __future__ import annotations

import inspect
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from relabel.errors import OptionError
from relabel.training import TrainConfig, Trainer, losses
from relabel.training.loss_registry import LOSSES, LossSpec
from tests.training import runs

calls: list[tuple[tuple[int, ...], ...]] = []
"""Shapes that the losses below were called with."""


class DistanceLoss(nn.Module):
    """A loss of pairs: the distance of descriptors is to be margin · (1 − ψ)."""

    def __init__(self, margin: float, reduction: str) -> None:
        super().__init__()
        self.margin, self.reduction = margin, reduction

    def forward(self, x0: Tensor, x1: Tensor, psi: Tensor) -> Tensor:
        calls.append((tuple(x0.shape), tuple(x1.shape), tuple(psi.shape)))
        off = (x0 - x1).norm(dim=1) - self.margin * (1.0 - psi.to(x0))
        return off.square().sum() if self.reduction == "sum" else off.square().mean()


class MatrixLoss(nn.Module):
    """A loss of batches: cosines are to be ψ, where it is known."""

    def __init__(self, margin: float, reduction: str) -> None:
        super().__init__()
        assert (margin, reduction) == (0.3, "mean")

    def forward(self, x: Tensor, similarity: Any) -> Tensor:
        calls.append((tuple(x.shape), tuple(similarity.shape)))
        psi = torch.as_tensor(similarity)
        known = ~psi.isnan()
        return ((x @ x.T)[known] - psi[known]).square().mean()


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two losses more, an entry each."""
    calls.clear()
    monkeypatch.setitem(LOSSES, "distance", LossSpec(f"{__name__}:DistanceLoss", "pairs", 0.7, "distances", "distance"))
    monkeypatch.setitem(LOSSES, "matrix", LossSpec(f"{__name__}:MatrixLoss", "batches", 0.3, "matrices", "matrix"))


@pytest.mark.usefixtures("toys")
class TestAnotherLoss:
    """A loss that is one class and one entry."""

    def trained(self, tmp_path: Path, loss: str) -> Any:
        town = runs.place(tmp_path / "town")
        recipe = TrainConfig(loss=loss, epochs=1, batch_size=4, pairs_per_epoch=8, size=runs.SIZE)
        model = runs.small()
        before = runs.weights(model)
        result = Trainer(recipe, model, town.stored, town.images, tmp_path / "run", device="cpu").run()
        assert (result.steps, result.pairs) == (2, 8)
        assert math.isfinite(result.loss)
        after = runs.weights(model)
        assert any((before[name] != after[name]).any() for name in before)
        return json.loads((tmp_path / "run" / "config.json").read_text())["config"]

    def test_two_steps_of_pairs(self, tmp_path: Path) -> None:
        """A loss of pairs gets the descriptors of both sides and ψ, and its margin stands in the recipe."""
        config = self.trained(tmp_path, "distance")
        assert calls == [((4, 4), (4, 4), (4,))] * 2
        assert (config["loss"], config["margin"]) == ("distance", 0.7)

    def test_two_steps_of_batches(self, tmp_path: Path) -> None:
        """A loss of batches gets as many images, and their similarities."""
        config = self.trained(tmp_path, "matrix")
        assert calls == [((8, 4), (8, 8))] * 2
        assert (config["loss"], config["margin"]) == ("matrix", 0.3)

    def test_batches_are_not_split(self) -> None:
        """What looks at whole batches cannot be accumulated."""
        with pytest.raises(OptionError, match="the loss matrix takes whole batches"):
            TrainConfig(loss="matrix", accumulate=2)
        assert TrainConfig(loss="distance", accumulate=2).margin == 0.7

    def test_the_command_line_offers_it(self) -> None:
        """The choices of --loss and the defaults of --margin are made of the entries."""
        code = "from relabel.training.loss_registry import LOSSES, LossSpec\n"
        code += "LOSSES['mine'] = LossSpec('a:B', 'pairs', 0.7, 'something else', 'mine')\n"
        code += "from relabel.cli.train import train_command\ntrain_command(['--help'])"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        text = " ".join(done.stdout.split())
        assert "--loss [gcl|regression|contrastive|triplet|mine]" in text
        assert "triplets mined in each batch, or something else." in text
        assert "[default: 0.5; triplet: 0.1; mine: 0.7]" in text


def test_a_loss_without_a_margin() -> None:
    """It takes none, and the recipe and its JSON have none."""
    recipe = TrainConfig(loss="regression")
    assert recipe.margin is None
    assert TrainConfig.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
    assert isinstance(LOSSES["regression"].make(None, "sum"), losses.SimilarityRegressionLoss)
    with pytest.raises(OptionError, match=r"margin is 0\.5; the loss regression has none"):
        TrainConfig(loss="regression", margin=0.5)


@pytest.mark.parametrize("name", [name for name, loss in LOSSES.items() if loss.margin is not None])
def test_the_margin_of_class_and_function_is_that_of_the_entry(name: str) -> None:
    """A margin is written once."""
    function = {"gcl": losses.generalized_contrastive_loss, "contrastive": losses.contrastive_loss}
    for loss in (getattr(losses, LOSSES[name].home.partition(":")[2]), function.get(name, losses.triplet_loss)):
        assert inspect.signature(loss).parameters["margin"].default == LOSSES[name].margin


def test_loads_no_torch() -> None:
    """The command line names losses, backbones and poolings without it."""
    code = "import sys, relabel.training.loss_registry, relabel.training.model_names, relabel.training.config\n"
    code += "assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
