"""Training in several processes: the batches are those of one, and so are the steps, to rounding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

import relabel
from relabel.errors import OptionError
from relabel.images.paths import find_images
from relabel.training import TrainConfig, Trainer, build_model, seeded
from relabel.training.data import TrainingBatches
from relabel.training.processes import Processes, processes_of_environment
from tests.conftest import REPOSITORY
from tests.training import runs

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch is built without torch.distributed")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> runs.Place:
    """Labels and images; one image cannot be read, so that the processes have shares of different sizes."""
    place = runs.place(tmp_path_factory.mktemp("town"))
    broken = place.images / f"{place.stored.query.key[place.stored.query.ok][0]}.png"
    broken.write_bytes(b"no image")
    return place


def batches(town: runs.Place, recipe: TrainConfig, processes: Processes, position: int = 0) -> list[list[object]]:
    """What a process draws in an epoch, batch by batch."""
    sources = {"town": town.stored}
    data = TrainingBatches(recipe, sources, find_images([town.stored], town.images), processes=processes)
    return [[*batch.drawn, *[None] * len(batch.unreadable)] for batch in data.batches(epoch=1, position=position)]


@pytest.mark.parametrize("world_size", [2, 3])
def test_shares_are_the_batches_of_one_process(town: runs.Place, world_size: int) -> None:
    """In each step, no two processes have a pair of the stream in common, and together they have those of one."""
    recipe = TrainConfig(batch_size=24, pairs_per_epoch=48, size=runs.SIZE)
    shares = [batches(town, recipe, Processes(rank, world_size)) for rank in range(world_size)]
    one = batches(town, recipe, Processes())
    assert [len(batch) for batch in one] == [24, 24]
    for step, whole in enumerate(one):
        together = [pair for share in shares for pair in share[step]]
        assert sorted(map(str, together)) == sorted(map(str, whole))
        assert {len(share[step]) for share in shares} == {24 // world_size}
    resumed = [batches(town, recipe, Processes(rank, world_size), position=24) for rank in range(world_size)]
    assert resumed == [share[1:] for share in shares]


def test_two_processes_take_the_steps_of_one(town: runs.Place, tmp_path: Path) -> None:
    """`torchrun` with two processes over gloo: losses and weights are those of one process, but for rounding."""
    options = {"batch_size": 16, "pairs_per_epoch": 32, "epochs": 2, "seed": 3}
    arguments = [
        *(str(town.file), "--images", str(town.images), "-o", "two", "--backbone", "tiny", "--size", "16x12"),
        *(part for name, value in options.items() for part in (f"--{name.replace('_', '-')}", str(value))),
        *("--device", "cpu", "--threads", "1", "--json"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "-m", "relabel", "train", *arguments],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)  # of the first process alone
    assert "in each of 2 processes" in done.stderr

    recipe = TrainConfig(**options, size=runs.SIZE)
    with seeded(recipe.seed):
        model = build_model("tiny")
    labels = relabel.LabelFile(town.file)["town"]
    one = Trainer(recipe, model, labels, town.images, tmp_path / "one", device="cpu", threads=1).run()
    assert one.left_out > 0
    for name in ("epochs", "steps", "pairs", "left_out"):
        assert result[name] == getattr(one, name), name

    def losses(folder: str) -> list[float]:
        lines = (tmp_path / folder / "log.jsonl").read_text().splitlines()
        return [record["epoch_loss"] for record in map(json.loads, lines) if "epoch_loss" in record]

    assert len(losses("one")) == 2
    assert losses("two") == pytest.approx(losses("one"), rel=1e-5)
    weights = torch.load(tmp_path / "two/last.pt", weights_only=True)["model"]
    with seeded(recipe.seed):
        untrained = build_model("tiny").state_dict()
    for name, tensor in model.state_dict().items():
        np.testing.assert_allclose(weights[name].numpy(), tensor.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)
    assert any(not torch.allclose(weights[name], untrained[name], atol=1e-4) for name in weights)


class TestRefused:
    """What several processes cannot share."""

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            (
                {"batch_size": 12},
                "batch_size is 12; 2 processes share it in rounds of 4 pairs: make it a multiple of 8",
            ),
            ({"pairs_per_epoch": 20}, "pairs_per_epoch is 20;.*such as 24"),
            ({"loss": "triplet"}, "the loss triplet looks at whole batches"),
        ],
    )
    def test_sizes(self, town: runs.Place, fields: dict[str, object], text: str) -> None:
        """Sizes that are no multiple, with the next that is one, and losses of whole batches."""
        recipe = TrainConfig(**{"batch_size": 8, "pairs_per_epoch": 16, "size": runs.SIZE} | fields)  # type: ignore[arg-type]
        with pytest.raises(OptionError, match=text):
            batches(town, recipe, Processes(1, 2))

    def test_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Variables that torchrun does not set so; those of a scheduler alone start nothing."""
        monkeypatch.setenv("RANK", "2")
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert processes_of_environment() == Processes(0, 1)
        monkeypatch.setenv("MASTER_ADDR", "localhost")
        monkeypatch.setenv("MASTER_PORT", "29500")
        with pytest.raises(OptionError, match="RANK is '2' and WORLD_SIZE '2'"):
            processes_of_environment()
        monkeypatch.setenv("RANK", "1")
        assert processes_of_environment() == Processes(1, 2)
