"""relabel.training.trainer, with the folder that a run writes"""

from __future__ import annotations

import functools
import json
import logging
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import relabel
from relabel.errors import (
    DivergedError,
    InputError,
    MissingFileError,
    OptionError,
    OutputError,
    OutputExistsError,
    OutputInUseError,
)
from relabel.images import loading
from relabel.images.paths import read_image
from relabel.sampling.pair_sampler import GradedPairSampler
from relabel.training import TrainConfig, Trainer, build_model, load_checkpoint, load_model, seeded
from relabel.training.run_folder import read_log
from tests.stopped import stopped
from tests.training import runs

pytestmark = pytest.mark.gpu

CLAIMING = """
import sys
from pathlib import Path
from relabel.claims import claimed
from tests.stopped import stop
with claimed(Path(sys.argv[1])):
    stop()
"""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> runs.Place:
    return runs.place(tmp_path_factory.mktemp("town"))


def same(a: nn.Module, b: nn.Module) -> bool:
    mine, theirs = runs.weights(a), runs.weights(b)
    return all(mine[name].tobytes() == theirs[name].tobytes() for name in mine | theirs)


class TestRun:
    """relabel.training.trainer.Trainer.run"""

    def test_what_is_written(self, town: runs.Place, tmp_path: Path) -> None:
        """A run leaves a checkpoint, its recipe and its log, and says what it did."""
        model = build_model("tiny")
        recipe = runs.config()
        result = runs.trainer(town, tmp_path / "run", model=model, recipe=recipe).run()
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.json", "last.pt", "log.jsonl"]
        assert result.checkpoint == tmp_path / "run" / "last.pt"
        assert (result.epochs, result.steps, result.pairs, result.left_out) == (2, 6, 24, 0)
        assert result.pairs_per_s > 0.0
        recorded = json.loads((tmp_path / "run" / "config.json").read_text())
        assert TrainConfig.from_json(recorded["config"]) == recipe
        assert recorded["model"] == model.describe()
        assert recorded["labels"] == {"town": town.stored.content_sha256}
        assert str(tmp_path) not in (tmp_path / "run" / "config.json").read_text()
        records = read_log(tmp_path / "run" / "log.jsonl")
        assert [(record["step"], record["epoch"]) for record in records] == [(3, 1), (6, 2)]
        assert records[-1]["epoch_loss"] == result.loss
        assert same(load_model(tmp_path / "run"), model)
        assert TrainConfig.load(tmp_path / "run" / "config.json") == recipe

    def test_against_a_plain_loop(self, town: runs.Place, tmp_path: Path) -> None:
        """The weights are those of a loop of a few lines over the sampler: same pairs, same rates, same steps."""
        from relabel.images.paths import find_images, read_image
        from relabel.training.losses import generalized_contrastive_loss

        recipe = runs.config(lr_factor=0.5, momentum=0.0)
        model = runs.small(dropout=0.0)
        runs.trainer(town, tmp_path, model=model, recipe=recipe).run()

        plain = runs.small(dropout=0.0).train()
        paths = find_images([town.stored], town.images)
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

        def tensor(path: str) -> torch.Tensor:
            array = read_image(path, runs.SIZE).transpose(1, 2, 0) / 255.0
            return torch.tensor(((array - mean) / std).transpose(2, 0, 1), dtype=torch.float32)

        sampler = GradedPairSampler(town.stored, length=12)
        for epoch in range(2):
            sampler.set_epoch(epoch)
            pairs = list(sampler)
            for start in range(0, 12, 4):
                some = pairs[start : start + 4]
                images = [tensor(paths.query[q]) for q, _, _ in some] + [tensor(paths.database[d]) for _, d, _ in some]
                x0, x1 = plain(torch.stack(images)).chunk(2)
                plain.zero_grad()
                generalized_contrastive_loss(x0, x1, torch.tensor([psi for _, _, psi in some]), 0.5).backward()
                with torch.no_grad():
                    for parameter in plain.parameters():
                        assert parameter.grad is not None
                        parameter.sub_(0.1 * 0.5**epoch * parameter.grad)
        for name, value in runs.weights(plain).items():
            np.testing.assert_allclose(runs.weights(model)[name], value, rtol=1e-3, atol=1e-5, err_msg=name)

    def test_it_learns(self, town: runs.Place, tmp_path: Path) -> None:
        """Over a few epochs the loss falls well below that of the first."""
        recipe = runs.config(pairs_per_epoch=64, batch_size=16, epochs=6, optimizer="adamw", lr=0.01, schedule="cosine")
        runs.trainer(town, tmp_path, model=build_model("tiny"), recipe=recipe).run()
        losses = [record["epoch_loss"] for record in read_log(tmp_path / "log.jsonl")]
        assert losses[-1] < 0.8 * losses[0]

    def test_torch_is_left_alone(self, town: runs.Place, tmp_path: Path) -> None:
        """A run takes nothing from torch's own random numbers, and a seed repeats it to the bit."""
        first, second, other = runs.small(), runs.small(), runs.small()
        torch.manual_seed(1)
        before = torch.get_rng_state()
        runs.trainer(town, tmp_path / "a", model=first).run()
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(5)
        runs.trainer(town, tmp_path / "b", model=second).run()
        runs.trainer(town, tmp_path / "c", model=other, recipe=runs.config(seed=1)).run()
        assert same(first, second)
        assert not same(first, other)

    @pytest.mark.parametrize("loss", ["contrastive", "triplet"])
    def test_other_losses(self, loss: str, tmp_path: Path) -> None:
        """The binary loss and mined triplets train as well; two images of triplets count as a pair."""
        where = runs.place(tmp_path / "town", faults=False)
        model, before = runs.small(), runs.small()
        result = runs.trainer(where, tmp_path / "run", model=model, recipe=runs.config(loss=loss)).run()
        assert (result.steps, result.pairs) == (6, 24)
        assert not same(model, before)

    def test_bf16(self, town: runs.Place, tmp_path: Path) -> None:
        """A run in bfloat16 keeps float32 weights, and is another run than one in float32."""
        fine, coarse = runs.small(), runs.small()
        runs.trainer(town, tmp_path / "a", model=fine).run()
        runs.trainer(town, tmp_path / "b", model=coarse, recipe=runs.config(precision="bf16")).run()
        assert not same(fine, coarse)
        assert coarse.conv.weight.dtype == torch.float32

    def test_several_collections(self, tmp_path: Path) -> None:
        """A whole label file is trained on, each collection with its own images."""
        first, second = runs.place(tmp_path / "a", seed=1), runs.place(tmp_path / "b", seed=2)
        labels = tmp_path / "both.h5"
        relabel.write(labels, {"a": first.stored.to_similarity(), "b": second.stored.to_similarity()})
        trainer = Trainer(
            runs.config(),
            runs.small(),
            relabel.LabelFile(labels),
            tmp_path,
            tmp_path / "run",
            image_path="{collection}/images/{key}.png",
            device="cpu",
        )
        assert trainer.run().left_out == 0

    def test_collections_of_one_name(self, tmp_path: Path) -> None:
        """Collections of two files that are called the same are both trained on, and both recorded."""
        first, second = runs.place(tmp_path / "a", seed=1), runs.place(tmp_path / "b", seed=2)
        for path in second.images.iterdir():
            path.rename(first.images / path.name)
        labels = [first.stored, second.stored]
        trainer = Trainer(runs.config(), runs.small(), labels, first.images, tmp_path / "run", device="cpu")
        assert trainer.run().left_out == 0
        digests = load_checkpoint(tmp_path / "run")["labels"]
        assert sorted(digests.values()) == sorted(stored.content_sha256 for stored in labels)

    def test_labels_in_memory(self, town: runs.Place, tmp_path: Path) -> None:
        """Labels that were never stored will do as well, and are known again."""
        labels = {"town": town.stored.to_similarity()}
        for epochs in (1, 2):
            recipe = runs.config(epochs=epochs)
            trainer = Trainer(recipe, runs.small(), labels, town.images, tmp_path, device="cpu")
            assert trainer.run().steps == 3 * epochs
        changed = {"town": runs.place(tmp_path / "other", seed=5).stored.to_similarity()}
        with pytest.raises(InputError, match="the labels 'town' are changed"):
            Trainer(runs.config(), runs.small(), changed, town.images, tmp_path, device="cpu").run()

    def test_each_image_is_read_once_a_pair(
        self, town: runs.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A run of n pairs reads 2n images."""
        read: list[object] = []

        def counted(path: str, size: tuple[int, int]) -> Any:
            read.append(path)
            return read_image(path, size)

        monkeypatch.setattr(loading, "read_image", counted)
        assert runs.trainer(town, tmp_path).run().pairs == 24
        assert len(read) == 48

    def test_channels_last(self, town: runs.Place, tmp_path: Path) -> None:
        """Weights and what the layers compute have their channels last in memory."""
        seen: list[torch.Tensor] = []
        model = runs.small()
        model.norm.register_forward_hook(lambda *call: seen.append(call[2]))
        runs.trainer(town, tmp_path, model=model).run()
        assert all(tensor.is_contiguous(memory_format=torch.channels_last) for tensor in (model.conv.weight, *seen))
        assert not any(tensor.is_contiguous() for tensor in (model.conv.weight, *seen))

    def test_what_is_said(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A run says what it draws, how many queries lack a band, what is trained, and what accumulation leaves out."""
        where = runs.place(tmp_path / "town", n=9, seed=3)
        report = GradedPairSampler(where.stored).report()
        assert any(band.queries_without for band in report.bands)
        with caplog.at_level(logging.INFO):
            runs.trainer(where, tmp_path / "a", recipe=runs.config(accumulate=3)).run()
        said = [record.getMessage() for record in caplog.records]
        assert said[0] == str(report)
        assert said[1] == "training 120 weights on cpu with 1 thread in float32: batches of 4 pairs, images of 16×12"
        assert said[2].startswith("1 layers normalise by the images of a forward pass, which are at most 4 of 8 ")
        assert "pairs/s" in said[3]
        assert "GiB" in said[3]
        caplog.clear()
        runs.trainer(where, tmp_path / "b", model=build_model("tiny"), recipe=runs.config(accumulate=3)).run()
        assert "normalise" not in caplog.text

    def test_smaller_last_batch(self, town: runs.Place, tmp_path: Path) -> None:
        """An epoch that no number of batches makes up ends with a smaller one."""
        result = runs.trainer(town, tmp_path, recipe=runs.config(pairs_per_epoch=10)).run()
        assert (result.steps, result.pairs) == (6, 20)


class TestResume:
    """A run that goes on from a checkpoint"""

    @pytest.mark.parametrize("fields", [{}, {"optimizer": "adamw", "schedule": "cosine"}, {"loss": "triplet"}])
    @pytest.mark.parametrize(("every", "epoch", "pairs", "done"), [(0, 2, 4, 3), (1, 1, 8, 2), (2, 2, 8, 4)])
    def test_equal_to_the_bit(
        self, fields: dict[str, Any], every: int, epoch: int, pairs: int, done: int, tmp_path: Path
    ) -> None:
        """Six steps are three and three more: weights, statistics, dropout, rates, log, all of it.

        The run is stopped by an exception in the middle of an epoch, and goes on from the end of the one before or
        from a step of this one.
        """
        where = runs.place(tmp_path / "town", faults=False)
        recipe = runs.config(**fields)
        whole = runs.small()
        result = runs.trainer(where, tmp_path / "whole", model=whole, recipe=recipe).run()
        first = runs.trainer(
            where,
            tmp_path / "parts",
            recipe=recipe,
            checkpoint_steps=every,
            bar=runs.stop_after(pairs, epoch=epoch),
        )
        with pytest.raises(runs.StopError):
            first.run()
        assert load_checkpoint(tmp_path / "parts")["progress"]["steps"] == done
        model = runs.small(seed=99)  # of other weights: all of them come from the checkpoint
        torch.manual_seed(77)
        again = runs.trainer(where, tmp_path / "parts", model=model, recipe=recipe).run()
        of_this_call = {"pairs_per_s": 0, "peak_bytes": 0, "checkpoint": Path()}
        assert again._replace(**of_this_call) == result._replace(**of_this_call)
        assert same(model, whole)
        logs = [read_log(tmp_path / name / "log.jsonl") for name in ("whole", "parts")]
        for record in logs[0] + logs[1]:
            record.pop("epoch_pairs_per_s")
        assert logs[0] == logs[1]
        states = [load_checkpoint(tmp_path / name) for name in ("whole", "parts")]
        assert states[0]["sampler"] == states[1]["sampler"]
        assert torch.equal(states[0]["random"]["cpu"], states[1]["random"]["cpu"])

    def test_workers_that_ran_ahead(self, town: runs.Place, tmp_path: Path) -> None:
        """A loader that had read further than the run was when it stopped loses and repeats no pair."""
        whole, model = runs.small(), runs.small(seed=9)
        runs.trainer(town, tmp_path / "whole", model=whole).run()
        with pytest.raises(runs.StopError):
            runs.trainer(town, tmp_path / "parts", workers=1, checkpoint_steps=1, bar=runs.stop_after(4)).run()
        assert load_checkpoint(tmp_path / "parts")["progress"]["position"] == 4
        runs.trainer(town, tmp_path / "parts", model=model, workers=1).run()
        assert same(model, whole)

    def test_compiled(self, town: runs.Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A run that compiles goes on as one that does not, from checkpoints with the same names; not from others."""
        monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
        made = {}
        for name, compiled in {"a": True, "b": False}.items():
            for epochs in (1, 2):
                recipe = runs.config(epochs=epochs, compile=compiled)
                runs.trainer(town, tmp_path / name, model=runs.small(dropout=0.0), recipe=recipe).run()
            made[name] = load_checkpoint(tmp_path / name)
        torch._dynamo.reset()
        torch.testing.assert_close(made["a"]["model"], made["b"]["model"], rtol=1e-3, atol=1e-5)
        assert made["a"]["config"]["compile"] is True
        with pytest.raises(InputError, match="compile was True and is False now"):
            runs.trainer(town, tmp_path / "a", recipe=runs.config(epochs=3)).run()

    @pytest.mark.parametrize(("began", "default"), [(1, 2), (2, 1)])
    def test_threads_are_kept(
        self, began: int, default: int, town: runs.Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Where torch would use another number of threads, a run keeps its own, says so, and ends with equal bits."""
        recipe = runs.config(size=(32, 24))

        def tiny() -> nn.Module:
            with seeded(0):
                return build_model("tiny")  # large enough that torch splits its sums over threads

        whole, model = tiny(), tiny()
        torch.set_num_threads(began)
        runs.trainer(town, tmp_path / "whole", model=whole, recipe=recipe).run()
        with pytest.raises(runs.StopError):
            runs.trainer(
                town, tmp_path / "parts", model=tiny(), recipe=recipe, checkpoint_steps=1, bar=runs.stop_after(8)
            ).run()
        torch.set_num_threads(default)
        with caplog.at_level(logging.INFO):
            runs.trainer(town, tmp_path / "parts", model=model, recipe=recipe).run()
        assert torch.get_num_threads() == default
        assert f"the run keeps its number of threads, {began}; torch's default here is {default}" in caplog.text
        assert same(model, whole)
        assert load_checkpoint(tmp_path / "parts")["threads"] == began
        assert json.loads((tmp_path / "parts" / "config.json").read_text())["threads"] == began

    def test_threads_that_are_asked_for(
        self, town: runs.Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """They are used from then on, for validation too; that they are others than before is warned of."""
        seen = []

        def validate(_model: nn.Module) -> dict[str, float]:
            seen.append(torch.get_num_threads())
            torch.set_num_threads(5)  # which the run undoes
            return {"recall@1": 0.5}

        with pytest.raises(runs.StopError):
            runs.trainer(town, tmp_path, threads=2, validate=validate, bar=runs.stop_after(4, epoch=2)).run()
        assert (seen, torch.get_num_threads()) == ([2], 1)
        assert load_checkpoint(tmp_path)["threads"] == 2
        learned = []
        model = runs.small()
        model.conv.register_forward_hook(lambda *_: learned.append(torch.get_num_threads()))
        longer = runs.config(epochs=3)
        runs.trainer(town, tmp_path, model=model, threads=3, validate=validate, recipe=longer).run()
        assert (seen, set(learned), torch.get_num_threads()) == ([2, 3, 3], {3}, 1)
        assert "the number of threads changes from 2 to 3: the result may differ" in caplog.text
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert load_checkpoint(tmp_path)["threads"] == 3
        runs.trainer(town, tmp_path, threads=4, validate=validate, recipe=longer).run()
        assert json.loads((tmp_path / "config.json").read_text())["threads"] == 3  # there was nothing left to compute

    def test_progress(self, town: runs.Place, tmp_path: Path) -> None:
        """A progress bar begins where the run does, and ends with all pairs of its epoch."""
        with pytest.raises(runs.StopError):
            runs.trainer(town, tmp_path, checkpoint_steps=1, bar=runs.stop_after(8)).run()
        steps: dict[str, list[int]] = {}

        def bar(what: str, total: int) -> Any:
            assert total == 12
            return nullcontext(steps.setdefault(what, []).append)

        runs.trainer(town, tmp_path, bar=bar).run()
        assert steps == {"epoch 1/2": [8, 4], "epoch 2/2": [0, 4, 4, 4]}

    def test_finished_run(self, town: runs.Place, tmp_path: Path) -> None:
        """A run that is done has nothing left to do; with more epochs it goes on, as if they had been asked for."""
        runs.trainer(town, tmp_path / "a").run()
        model = runs.small()
        result = runs.trainer(town, tmp_path / "a", model=model).run()
        assert result.steps == 6
        assert math.isnan(result.loss)
        longer = runs.config(epochs=3)
        runs.trainer(town, tmp_path / "a", model=model, recipe=longer).run()
        whole = runs.small()
        runs.trainer(town, tmp_path / "b", model=whole, recipe=longer).run()
        assert same(model, whole)

    def test_another_recipe(self, town: runs.Place, tmp_path: Path) -> None:
        """A checkpoint of another recipe is not gone on from, unless it is to be replaced."""
        runs.trainer(town, tmp_path).run()
        other = runs.trainer(town, tmp_path, recipe=runs.config(lr=0.2))
        with pytest.raises(
            InputError, match=r"last.pt: is of another run: lr was 0.1 and is 0.2 now; .*overwrite=True"
        ):
            other.run()
        assert other.run(overwrite=True).steps == 6

    def test_other_labels(self, town: runs.Place, tmp_path: Path) -> None:
        """Labels that changed since are told by name."""
        runs.trainer(town, tmp_path / "run").run()
        changed = runs.place(tmp_path / "other", seed=5)
        with pytest.raises(InputError, match="is of another run: the labels 'town' are changed"):
            runs.trainer(changed, tmp_path / "run").run()

    def test_another_model(self, town: runs.Place, tmp_path: Path) -> None:
        """A checkpoint of another model names the first tensor that differs, with both shapes."""
        runs.trainer(town, tmp_path).run()
        with pytest.raises(InputError, match=r"'conv.weight' is \(4, 3, 3, 3\) in it and \(6, 3, 3, 3\) in this model"):
            runs.trainer(town, tmp_path, model=runs.small(width=6)).run()

    def test_another_model_of_the_same_tensors(self, town: runs.Place, tmp_path: Path) -> None:
        """A model that differs in what has no weights, its pooling, is another one too."""
        runs.trainer(town, tmp_path, model=build_model("tiny", "avg")).run()
        model, before = build_model("tiny", "max"), build_model("tiny", "max")
        before.load_state_dict(model.state_dict())
        with pytest.raises(InputError, match=r"last.pt: is of another model: pool was 'avg' and is 'max' now"):
            runs.trainer(town, tmp_path, model=model).run()
        assert same(model, before)

    def test_not_to_be_resumed(self, town: runs.Place, tmp_path: Path) -> None:
        """Without resuming, a checkpoint that is there has to be allowed to be replaced; a fresh run forgets it."""
        runs.trainer(town, tmp_path).run()
        with pytest.raises(OutputExistsError, match="overwrite=True"):
            runs.trainer(town, tmp_path).run(resume=False)
        (tmp_path / "best.pt").touch()
        with pytest.raises(runs.StopError):
            runs.trainer(town, tmp_path, bar=runs.stop_after(4)).run(overwrite=True)
        assert not (tmp_path / "last.pt").exists()
        assert not (tmp_path / "best.pt").exists()


class TestFolder:
    """What is in the folder of a run, and who else writes to it."""

    @pytest.mark.parametrize("name", ["config.json", "last.pt", "best.pt", "log.jsonl"])
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_files_of_others(self, town: runs.Place, tmp_path: Path, name: str, *, overwrite: bool) -> None:
        """What no run has written is never replaced, removed or cut short, --force or not."""
        (tmp_path / name).write_text('{"model_type": "theirs"}')
        with pytest.raises(OutputExistsError, match=f"{name}: was not written by relabel train, so it is not replaced"):
            runs.trainer(town, tmp_path).run(overwrite=overwrite)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_text() == '{"model_type": "theirs"}'

    def test_a_checkpoint_alone(self, town: runs.Place, tmp_path: Path) -> None:
        """The folder of a run is known by its checkpoint where the recipe was left behind."""
        runs.trainer(town, tmp_path).run()
        (tmp_path / "config.json").unlink()
        assert runs.trainer(town, tmp_path).run().epochs == 2

    def test_the_best_alone(self, town: runs.Place, tmp_path: Path) -> None:
        """The best checkpoint of a run whose last is gone is replaced only when that is asked for."""
        runs.trainer(town, tmp_path).run()
        (tmp_path / "last.pt").rename(tmp_path / "best.pt")
        with pytest.raises(OutputExistsError, match=r"best\.pt: already exists; .*overwrite=True"):
            runs.trainer(town, tmp_path).run()
        runs.trainer(town, tmp_path).run(overwrite=True)
        assert (tmp_path / "last.pt").exists()
        assert not (tmp_path / "best.pt").exists()

    def test_two_runs(self, town: runs.Place, tmp_path: Path) -> None:
        """The second is refused while the first lives, whoever is killed; nothing stays behind."""
        with stopped(CLAIMING, tmp_path) as process:
            with pytest.raises(OutputInUseError, match=f"another run is writing it: process {process.pid} on"):
                runs.trainer(town, tmp_path).run()
            assert {path.suffix for path in tmp_path.iterdir()} == {".run", ".relabel-lock"}
        runs.trainer(town, tmp_path).run()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "last.pt", "log.jsonl"]


class TestBadImages:
    """Images that cannot be read"""

    def test_left_out_and_counted(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """A pair with a damaged image is left out, the image is named once, and the rest is learned from."""
        where = runs.place(tmp_path / "town")
        for path in sorted(where.images.glob("d*.png"))[::2]:
            path.write_bytes(b"no image")
        with caplog.at_level(logging.INFO):
            result = runs.trainer(where, tmp_path / "run", recipe=runs.config(pairs_per_epoch=40)).run()
        assert 0 < result.left_out < 80
        assert result.pairs + result.left_out == 80
        named = [record.getMessage() for record in caplog.records if "cannot be read as" in record.getMessage()]
        assert named
        assert len(set(named)) == len(named)
        assert all(said.endswith("its pairs are left out") for said in named)
        assert f"{result.left_out} left out" in caplog.text

    def test_many_are_not_all_named(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """After ten names the others are only counted."""
        where = runs.place(tmp_path / "town", n=40)
        for path in sorted(where.images.glob("d*.png"))[2:]:
            path.unlink()
        runs.trainer(where, tmp_path / "run", recipe=runs.config(pairs_per_epoch=80, epochs=1)).run()
        said = [record.getMessage() for record in caplog.records]
        assert sum("there is no such image; its pairs are left out" in line for line in said) == 10
        assert said.count("more images cannot be read; from here on they are only counted") == 1

    def test_strict(self, tmp_path: Path) -> None:
        """A strict run stops at the first one."""
        where = runs.place(tmp_path / "town")
        for path in sorted(where.images.glob("d*.png"))[1:]:
            path.write_bytes(b"no image")
        with pytest.raises(InputError, match=r"png: cannot be read as an image: .*; with strict=False"):
            runs.trainer(where, tmp_path / "run", strict=True).run()

    def test_none_can_be_read(self, tmp_path: Path) -> None:
        """An epoch without a single pair that could be read is an error."""
        where = runs.place(tmp_path / "town")
        for path in where.images.glob("d*.png"):
            path.write_bytes(b"no image")
        with pytest.raises(InputError, match="no image of the 12 pairs of an epoch can be read"):
            runs.trainer(where, tmp_path / "run").run()

    def test_resumed_run_skips_the_same(self, tmp_path: Path) -> None:
        """Pairs that are left out do not shift what a resumed run draws."""
        where = runs.place(tmp_path / "town")
        for path in sorted(where.images.glob("d*.png"))[::3]:
            path.unlink()
        whole, model = runs.small(), runs.small()
        runs.trainer(where, tmp_path / "a", model=whole).run()
        with pytest.raises(runs.StopError):
            runs.trainer(where, tmp_path / "b", checkpoint_steps=1, bar=runs.stop_after(8)).run()
        runs.trainer(where, tmp_path / "b", model=model).run()
        assert same(model, whole)


class TestDiverged:
    """Numbers that are none"""

    def test_nan_loss_keeps_the_last_good_checkpoint(self, town: runs.Place, tmp_path: Path) -> None:
        """A loss that is NaN stops the run; the checkpoint from before is whole, and can be gone on from."""

        class Breaking(runs.Small):
            calls = 0

            def forward(self, images: torch.Tensor) -> torch.Tensor:
                type(self).calls += 1
                x = super().forward(images)
                return x * math.nan if self.calls > 4 else x

        with pytest.raises(DivergedError, match=r"the loss of step 5 is nan, .*last.pt precedes it; try lr=… below"):
            runs.trainer(town, tmp_path, model=Breaking()).run()
        state = load_checkpoint(tmp_path)
        assert state["progress"]["steps"] == 3
        assert all(torch.isfinite(tensor).all() for tensor in state["model"].values())
        assert runs.trainer(town, tmp_path).run().steps == 6

    def test_nan_weights_are_not_saved(self, town: runs.Place, tmp_path: Path) -> None:
        """Weights or statistics that are infinite are not written, though all losses before were finite."""

        class Breaking(runs.Small):
            def forward(self, images: torch.Tensor) -> torch.Tensor:
                x = super().forward(images)
                self.norm.running_var.data.fill_(math.inf)  # type: ignore[union-attr]
                return x

        with pytest.raises(
            DivergedError,
            match=r"'norm\.running_var' is not finite after step 3, .*; there is no earlier checkpoint",
        ):
            runs.trainer(town, tmp_path, model=Breaking()).run()
        assert not (tmp_path / "last.pt").exists()


class TestValidate:
    """Validation after each epoch"""

    def test_best(self, town: runs.Place, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The model is validated in evaluation mode; the first epoch with the largest number is kept as best."""
        values = iter([0.3, 0.5, 0.5])
        modes: list[bool] = []
        learned: list[bool] = []
        model = runs.small()
        model.conv.register_forward_hook(lambda *_: learned.append(model.training))

        def validate(model: nn.Module) -> dict[str, float]:
            modes.append(model.training or torch.is_grad_enabled())
            return {"recall@1": next(values), "other": 7.0}

        with caplog.at_level(logging.INFO):
            runs.trainer(town, tmp_path, model=model.eval(), recipe=runs.config(epochs=3), validate=validate).run()
        assert modes == [False, False, False]
        assert learned == [True] * 9
        assert load_checkpoint(tmp_path / "best.pt")["progress"]["epoch"] == 2
        assert load_checkpoint(tmp_path)["progress"]["best"] == 0.5
        assert [record["epoch_recall@1"] for record in read_log(tmp_path / "log.jsonl")] == [0.3, 0.5, 0.5]
        assert "recall@1 0.5" in caplog.text

    def test_a_validation_that_fails(self, town: runs.Place, tmp_path: Path) -> None:
        """The epoch before it is not lost: the run goes on with the validation, to the bits of one that did not."""

        def failing(_model: nn.Module) -> dict[str, float]:
            raise runs.StopError

        def fine(_model: nn.Module) -> dict[str, float]:
            return {"recall@1": 0.5}

        with pytest.raises(runs.StopError):
            runs.trainer(town, tmp_path / "a", validate=failing).run()
        assert load_checkpoint(tmp_path / "a")["progress"]["position"] == 12
        first, second = runs.small(), runs.small()
        resumed = runs.trainer(town, tmp_path / "a", model=first, validate=fine).run()
        whole = runs.trainer(town, tmp_path / "b", model=second, validate=fine).run()
        assert same(first, second)
        assert (resumed.steps, resumed.loss) == (whole.steps, whole.loss)


class TestTrainer:
    """relabel.training.trainer.Trainer"""

    def test_wrong_arguments(self, town: runs.Place, tmp_path: Path) -> None:
        """Mistakes are told before anything is read or written."""
        with pytest.raises(OptionError, match="checkpoint_steps is -1"):
            runs.trainer(town, tmp_path / "run", checkpoint_steps=-1)
        with pytest.raises(OptionError, match="threads is 0; at least one is needed"):
            runs.trainer(town, tmp_path / "run", threads=0)
        with pytest.raises(MissingFileError, match="no such folder of images"):
            Trainer(runs.config(), runs.small(), town.stored, tmp_path / "none", tmp_path / "run", device="cpu")
        with pytest.raises(InputError, match="holds no image of the query cameras of town"):
            Trainer(runs.config(), runs.small(), town.stored, tmp_path, tmp_path / "run", device="cpu")
        assert not (tmp_path / "run").exists()

    def test_folder_that_cannot_be(self, town: runs.Place, tmp_path: Path) -> None:
        """A folder that is a file is told."""
        (tmp_path / "run").touch()
        with pytest.raises(OutputError, match="run: is a file; a run is written to a folder"):
            runs.trainer(town, tmp_path / "run").run()
