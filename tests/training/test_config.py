"""relabel.training.config and relabel.training.config"""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.errors import InputError, MissingFileError, OptionError
from relabel.training.config import OPTIMIZERS, SCHEDULES, TrainConfig, rate
from relabel.training.loss_registry import LOSSES


def recipe(loss: str, margin: float | None, **fields: Any) -> TrainConfig:
    """A recipe, without a margin where the loss has none."""
    return TrainConfig(loss, margin if LOSSES[loss].margin is not None else None, **fields)


RECIPES = st.builds(
    recipe,
    loss=st.sampled_from(list(LOSSES)),
    optimizer=st.sampled_from(OPTIMIZERS),
    schedule=st.sampled_from(SCHEDULES),
    margin=st.none() | st.floats(0.01, 2.0),
    lr=st.none() | st.floats(1e-6, 1.0),
    epochs=st.integers(1, 20),
    pairs_per_epoch=st.integers(1, 50),
    lr_every=st.integers(1, 5),
    lr_factor=st.floats(0.01, 1.0),
    hard_negatives_m=st.none() | st.just((20.0, 50.0)),
    min_frame_gap=st.none() | st.integers(1, 99),
    exclude_from=st.sampled_from([("positive",), ("positive", "zero")]),
)


class TestTrainConfig:
    """relabel.training.config.TrainConfig"""

    def test_defaults_follow_the_loss_and_the_optimizer(self) -> None:
        """A margin and a rate that are not given are those of the loss and the optimizer."""
        assert (TrainConfig().margin, TrainConfig().lr) == (0.5, 0.1)
        assert TrainConfig(loss="triplet").margin == 0.1
        assert TrainConfig(optimizer="adamw").lr == 1e-4
        assert TrainConfig(loss="triplet", margin=0.3).margin == 0.3

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"loss": "gcl2"}, "loss 'gcl2' is not known; choose gcl, regression, contrastive, triplet"),
            ({"optimizer": "adam"}, "choose sgd, adamw"),
            ({"schedule": "poly"}, "choose step, cosine, constant"),
            ({"min_frame_gap": 0}, "min_frame_gap is 0; it has to be a whole number of frames, at least 1"),
            ({"min_frame_gap": 2, "other_sequence": True}, "choose one"),
            ({"exclude_from": ("hard",)}, "exclude_from is .*'hard'.* one or more of positive, partial, zero"),
            ({"compile": 1}, "compile is 1; it has to be true or false"),
            ({"precision": "float16"}, "choose auto, bf16, float32"),
            ({"batch_size": 0}, "batch_size is 0; it has to be a whole number of at least 1"),
            ({"batch_size": 2.0}, "batch_size is 2.0"),
            ({"epochs": True}, "epochs is True"),
            ({"seed": -1}, "seed is -1"),
            ({"margin": 0.0}, "margin is 0.0; it has to be a number above 0"),
            ({"margin": math.nan}, "margin is nan"),
            ({"lr": math.inf}, "lr is inf"),
            ({"lr": "fast"}, "lr is 'fast'"),
            ({"weight_decay": -0.1}, "weight_decay is -0.1; it has to be a number of at least 0"),
            ({"size": 640}, "size is 640"),
            ({"size": (640, 0)}, "size is 0"),
            ({"accumulate": 33}, "a batch of 32 cannot be split further"),
            ({"accumulate": 2, "loss": "triplet"}, "whole batches"),
            ({"momentum": 0.9, "optimizer": "adamw"}, "which only sgd takes;"),
        ],
    )
    def test_wrong_values(self, fields: dict[str, Any], said: str) -> None:
        """A value that cannot be is told by the name of its field."""
        with pytest.raises(OptionError, match=said):
            TrainConfig(**fields)

    @given(RECIPES)
    def test_json_and_back(self, recipe: TrainConfig) -> None:
        """A recipe that went through JSON is the same recipe."""
        assert TrainConfig.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe
        assert recipe.difference(recipe) is None

    def test_from_json_names_what_is_wrong(self) -> None:
        """An unknown field and a wrong value are told, with where they stand."""
        with pytest.raises(InputError, match=r"run/config.json: has a field 'depth'; known are loss, margin"):
            TrainConfig.from_json({"depth": 3}, "run/config.json")
        with pytest.raises(InputError, match=r"run/config.json: epochs is 0"):
            TrainConfig.from_json({"epochs": 0}, "run/config.json")

    def test_load(self, tmp_path: Path) -> None:
        """A file with a recipe, alone or in what a run writes, is read; others are told."""
        path = tmp_path / "config.json"
        path.write_text(json.dumps({"config": {"epochs": 3}}))
        assert TrainConfig.load(path) == TrainConfig(epochs=3)
        path.write_text(json.dumps({"epochs": 3}))
        assert TrainConfig.load(path).epochs == 3
        for text in ("[1", "[" * 100_000):
            path.write_text(text)
            with pytest.raises(InputError, match=r"config.json: is not JSON"):
                TrainConfig.load(path)
        path.write_text("[1")
        with pytest.raises(InputError, match=r"config.json: is not JSON"):
            TrainConfig.load(path)
        path.write_text("[1]")
        with pytest.raises(InputError, match="is not the configuration"):
            TrainConfig.load(path)
        with pytest.raises(MissingFileError, match="there is no such file"):
            TrainConfig.load(tmp_path / "none.json")

    @pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TrainConfig)])
    def test_difference_sees_every_field(self, field: str) -> None:
        """Any field that changed is named; more epochs are allowed where the schedule does not depend on them."""
        other = {
            "loss": "contrastive",
            "optimizer": "adamw",
            "schedule": "constant",
            "precision": "bf16",
            "compile": True,
            "size": (32, 32),
            "bands": (1.0, 0.0, 0.0),
            "hard_negatives_m": (1.0, 2.0),
            "other_sequence": True,
            "exclude_from": ("positive",),
        }
        value = other.get(field, 7)
        changed = dataclasses.replace(TrainConfig(), **{field: value})
        difference = TrainConfig().difference(changed)
        if field == "epochs":
            assert difference is None
            cosine = TrainConfig(schedule="cosine")
            assert cosine.difference(dataclasses.replace(cosine, epochs=7)) == "epochs was 50 and is 7 now"
        else:
            assert difference is not None
            assert difference.startswith(f"{field} was ")


class TestRate:
    """relabel.training.config.rate"""

    @given(RECIPES, st.integers(0, 1000))
    def test_against_a_walk_through_the_run(self, recipe: TrainConfig, pairs: int) -> None:
        """The rate is what a loop over epochs that multiplies, or the cosine of the part that is done, says."""
        expected = recipe.lr
        if recipe.schedule == "step":
            for epoch in range(1, pairs // recipe.pairs_per_epoch + 1):
                if epoch % recipe.lr_every == 0:
                    expected *= recipe.lr_factor
        if recipe.schedule == "cosine":
            total = recipe.epochs * recipe.pairs_per_epoch
            expected *= 0.0 if pairs >= total else (math.cos(math.pi * pairs / total) + 1.0) / 2.0
        assert rate(recipe, pairs) == pytest.approx(expected, rel=1e-9, abs=1e-15)

    def test_reference_recipe(self) -> None:
        """By default the rate is 0.1 for 250,000 pairs and a tenth of it for the next 250,000."""
        assert [rate(TrainConfig(), n) for n in (0, 249_999)] == [0.1, 0.1]
        assert rate(TrainConfig(), 250_000) == pytest.approx(0.01)
        assert rate(TrainConfig(), 500_000) == pytest.approx(0.001)
