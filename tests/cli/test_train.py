"""relabel train."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import Result
from tensorboard.backend.event_processing import event_accumulator

pytest.importorskip("torch")

import torch

import relabel
from relabel.cli import train
from relabel.training import TrainConfig, load_checkpoint, load_model
from relabel.training.config import OPTIMIZERS, PRECISIONS, SCHEDULES
from relabel.training.loss_registry import LOSSES
from relabel.training.model_names import BACKBONES, POOLS
from relabel.training.run_folder import read_log
from tests.conftest import REPOSITORY
from tests.training import runs

pytestmark = pytest.mark.gpu

Run = Callable[..., Result]

PATIENCE_S = 300.0  # for processes that share a busy machine

SMALL = ("--backbone", "tiny", "--size", "32x24", "--batch-size", 4, "--pairs-per-epoch", 12, "--device", "cpu")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> runs.Place:
    return runs.place(tmp_path_factory.mktemp("town"))


def started(*arguments: object, threads: int | None = None) -> subprocess.Popen[str]:
    """`relabel` as a process of its own, in which torch has so many threads by default."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    command = [sys.executable, "-c", "from relabel.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def parameters() -> dict[str, Any]:
    return {parameter.name: parameter for parameter in train.train_command.params if parameter.name is not None}


class TestOptions:
    """The options of relabel train"""

    def test_choices_are_those_of_the_library(self) -> None:
        """Every option that names something offers what the library knows, and the help lists it with its defaults."""
        known = {"loss": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS, "pool": POOLS}
        for name, choices in known.items():
            assert list(parameters()[name].type.choices) == list(choices)
        assert all(name in parameters()["backbone"].help for name in BACKBONES)
        assert (
            "Graded, regression on ψ, binary (ψ ≥ 0.5 is a positive), or triplets mined in each batch."
            in parameters()["loss"].help
        )
        assert parameters()["margin"].help.endswith("[default: 0.5; triplet: 0.1]")
        assert parameters()["lr"].help.endswith("[default: 0.1; adamw: 0.0001]")

    def test_help_and_errors_load_no_torch(self, town: runs.Place, tmp_path: Path) -> None:
        """The help text, and what is wrong with options and files, without the seconds that torch takes to load."""
        there = [str(town.file), "--images", ".", "-o", "x", "--backbone", "tiny"]
        commands = {
            "": ["--help"],
            "'other' is not one of": ["--loss", "other"],
            "x.h5: there is no such file": ["x.h5", *there[1:]],
            "v.h5: there is no such file": [*there, "--val", "v.h5"],
            "w.pt: there is no such file of weights": [*there, "--weights", "w.pt"],
            "nowhere: there is no such folder of images": [*there, "--images", "nowhere"],
            "backbone 'big' is not known": [*there, "--backbone", "big"],
            "no pretrained weights for 'tiny'": [*there, "--pretrained"],
        }
        code = f"""
import sys
from click.testing import CliRunner
from relabel.cli.train import train_command
for message, arguments in {commands!r}.items():
    result = CliRunner().invoke(train_command, arguments)
    assert message in result.output + str(result.exception), (arguments, result)
    assert "torch" not in sys.modules, arguments
"""
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)

    @pytest.mark.parametrize("field", dataclasses.fields(TrainConfig), ids=lambda field: field.name)
    def test_every_field_of_the_recipe(self, field: dataclasses.Field[Any]) -> None:
        """Each field has an option of its name with its default."""
        option = parameters()[field.name]
        with click.Context(train.train_command) as ctx:
            assert option.process_value(ctx, option.get_default(ctx)) == field.default


class TestTrain:
    """relabel train"""

    def test_train_and_go_on(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """Two epochs, then one more, print the checkpoint; they are what three epochs at once are."""
        given = (town.file, "--images", town.images, *SMALL)
        done = run("train", *given, "-o", tmp_path / "a", "--epochs", 2)
        assert done.exit_code == 0, done.stderr
        assert done.stdout.splitlines() == [str(tmp_path / "a" / "last.pt")]
        assert "epoch 2 of 2: loss 0.0" in done.stderr
        more = run("train", f"{town.file}::town", *given[1:], "-o", tmp_path / "a", "--epochs", 3, "--json")
        assert "resuming after step 6, in epoch 3" in more.stderr
        result = json.loads(more.stdout)
        assert (result["epochs"], result["steps"], result["pairs"], result["left_out"]) == (3, 9, 36, 0)
        assert run("train", *given, "-o", tmp_path / "b", "--epochs", 3).exit_code == 0
        first, second = (load_model(tmp_path / name).state_dict() for name in "ab")
        assert all(torch.equal(first[name], second[name]) for name in first)
        again = run("train", *given, "-o", tmp_path / "a", "--epochs", 3, "--json")
        assert "all 3 epochs are done; to train longer, raise --epochs" in again.stderr
        assert json.loads(again.stdout)["loss"] is None

    def test_the_recipe_is_handed_on(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """Every option arrives in the recipe that is written."""
        options = "--loss contrastive --margin 0.7 --accumulate 2 --optimizer adamw --lr 0.01 --weight-decay 0.1"
        options += (
            " --schedule cosine --lr-every 3 --lr-factor 0.5 --precision float32 --bands 0.6,0.3,0.1 --seed 4 --compile"
        )
        options += " --hard-negatives 0,500 --pool avg --workers 0 --epochs 1 --collections town --image-path {key}.png"
        done = run("train", town.file, "--images", town.images, "-o", tmp_path, *SMALL, *options.split())
        assert done.exit_code == 0, done.stderr
        assert TrainConfig.load(tmp_path / "config.json") == TrainConfig(
            loss="contrastive",
            margin=0.7,
            batch_size=4,
            accumulate=2,
            epochs=1,
            pairs_per_epoch=12,
            optimizer="adamw",
            lr=0.01,
            weight_decay=0.1,
            schedule="cosine",
            lr_every=3,
            lr_factor=0.5,
            size=(32, 24),
            precision="float32",
            compile=True,
            bands=(0.6, 0.3, 0.1),
            hard_negatives_m=(0.0, 500.0),
            seed=4,
        )
        assert load_checkpoint(tmp_path)["description"]["pool"] == "avg"

    def test_neighbours_in_a_sequence(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """They are left out and counted, the recipe has the rule, and a run does not go on with another one."""
        psi = town.stored.to_similarity()
        for side in (psi.collection.query, psi.collection.database):
            side.extra.update(sequence=np.full(len(side), "drive"), frame=np.arange(len(side)))
        relabel.write(tmp_path / "town.h5", {"town": psi})
        given = ("train", tmp_path / "town.h5", "--images", town.images, *SMALL, "-o", tmp_path / "run", "--epochs", 1)
        rule = ("--min-frame-gap", 2, "--exclude-from", "positive,partial")
        done = run(*given, *rule)
        assert done.exit_code == 0, done.stderr
        near = np.abs(np.subtract.outer(np.arange(24), np.arange(24))) < 2
        values = psi.matrix.toarray()[near]
        assert (
            "excluded: pairs of one sequence that are fewer than 2 frames apart, from positive and partial"
            in done.stderr
        )
        assert f"{(values >= 0.5).sum()} with ψ ≥ 0.5, {((values > 0) & (values < 0.5)).sum()} with 0 <" in done.stderr
        recipe = TrainConfig.load(tmp_path / "run" / "config.json")
        assert (recipe.min_frame_gap, recipe.exclude_from) == (2, ("positive", "partial"))
        assert "all 1 epochs are done" in run(*given, *rule).stderr
        assert "min_frame_gap was 2 and is 3 now" in run(*given, "--min-frame-gap", 3).stderr
        assert "exclude_from was ['positive', 'partial'] and is" in run(*given, "--min-frame-gap", 2).stderr

    def test_val(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """After each epoch the model is evaluated, as `relabel evaluate` does it, and the best one is kept."""
        given = ("train", town.file, "--images", town.images, *SMALL, "-o", tmp_path, "--val", f"{town.file}::town")
        done = run(*given, "--epochs", 2)
        assert done.exit_code == 0, done.stderr
        records = read_log(tmp_path / "log.jsonl")
        recalls = [record["epoch_recall@1"] for record in records]
        assert load_checkpoint(tmp_path)["progress"]["best"] == max(recalls)
        again = ("evaluate", town.file, "--checkpoint", tmp_path, "--images", town.images, "--device", "cpu", "--json")
        scores = json.loads(run(*again).stdout)
        assert scores["recall"]["1"] == recalls[-1]
        assert scores["distance_psi"]["spearman"] == pytest.approx(records[-1]["epoch_spearman"])
        assert run(*given, "--epochs", 3, "--image-path", "{key}.tif").exit_code == 1

    def test_dev(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """A trial is one batch into a folder of its own, as often as one likes, and in nobody's way."""
        for _ in range(2):
            done = run("train", town.file, "--images", town.images, "-o", tmp_path, *SMALL, "--dev", "--json")
            assert done.exit_code == 0, done.stderr
            assert json.loads(done.stdout)["pairs"] == 4
        assert [path.name for path in tmp_path.iterdir()] == ["dev"]

    def test_begin_with_weights(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """The checkpoint of one run serves as the beginning of another."""
        given = ("train", town.file, "--images", town.images, *SMALL, "--epochs", 1)
        assert run(*given, "-o", tmp_path / "a").exit_code == 0
        done = run(*given, "--lr", 1e-30, "--weights", tmp_path / "a" / "last.pt", "-o", tmp_path / "b")
        assert done.exit_code == 0, done.stderr
        first, second = (load_model(tmp_path / name).state_dict() for name in "ab")
        assert all(torch.equal(first[name], second[name]) for name in first)

    @pytest.mark.parametrize(
        ("options", "code", "said"),
        [
            (("--size", "640"), 2, "'640' is not a size such as 640x480"),
            (("--size", "0x9"), 2, "'0x9' is not a size"),
            (("--bands", "1,0"), 2, "'1,0' is not 3 comma-separated numbers"),
            (("--bands", "a,b,c"), 2, "is not 3 comma-separated numbers"),
            (("--bands", "0.5,0.5,0.5"), 2, "shares sum to 1"),
            (("--hard-negatives", "5"), 2, "'5' is not 2 comma-separated numbers"),
            (("--margin", "0"), 2, "margin is 0.0"),
            (("--loss", "triplet", "--accumulate", "2"), 2, "whole batches"),
            (("--backbone", "alexnet"), 2, "backbone 'alexnet' is not known"),
            (("--collections", "berlin"), 1, "there is no collection 'berlin'; there are town"),
            (
                ("--image-path", "{key}.tif"),
                1,
                "holds no image of the query cameras of town; their keys are 'q0000', ",
            ),
            (("--image-path", "{name}"), 2, "there is no 'name'"),
            (("--other-sequence",), 1, "the query cameras have no column 'sequence'"),
            (("--other-sequence", "--min-time-gap", "2"), 2, "choose one"),
            (("--min-time-gap", "0"), 2, "0.0 is not in the range x>0"),
            (("--exclude-from", "hard"), 2, "'hard' has to be one or more of positive,partial,zero"),
            (("--hard-negatives", "90000,90001"), 1, "no query has a pair with ψ = 0"),
            (("--weights", "none.pt"), 1, "none.pt: there is no such file of weights"),
        ],
    )
    def test_mistakes(
        self, options: tuple[str, ...], code: int, said: str, town: runs.Place, tmp_path: Path, run: Run
    ) -> None:
        """A mistake is told in a line, with its exit status, and nothing is written."""
        done = run("train", town.file, "--images", town.images, "-o", tmp_path / "run", *SMALL, *options)
        assert done.exit_code == code, done.stderr
        assert said in done.stderr
        assert done.stderr.count("\n") <= 2
        assert not (tmp_path / "run" / "last.pt").exists()

    def test_collections_twice(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """A collection in the address and others beside it contradict each other."""
        done = run("train", f"{town.file}::town", "--collections", "town", "--images", town.images, "-o", tmp_path)
        assert done.exit_code == 2
        assert "names a collection already" in done.stderr

    def test_no_gpu(self, town: runs.Place, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """A GPU that is not there is told."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        done = run("train", town.file, "--images", town.images, "-o", tmp_path, *SMALL, "--device", "cuda")
        assert done.exit_code == 2
        assert "use --device cpu" in done.stderr

    def test_torchvision_of_another_torch(
        self, town: runs.Place, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A torchvision that was built for another torch raises a RuntimeError as it loads: one line, and no run."""
        (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
        for loaded in ("torchvision", "torchvision.models"):
            monkeypatch.delitem(sys.modules, loaded, raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        given = ("train", town.file, "--images", town.images, "-o", tmp_path / "run", *SMALL, "--backbone", "resnet18")
        done = run(*given)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
        assert "torchvision, which is installed but cannot be loaded (operator torchvision::nms" in done.stderr
        assert "install both from the same index" in done.stderr
        assert not (tmp_path / "run").exists()

    def test_diverged(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """A run that leaves the numbers exits with 1 and says what is kept."""
        given = ("train", town.file, "--images", town.images, "-o", tmp_path, *SMALL)
        done = run(*given, "--lr", 1e38, "--margin", 1e30)
        assert done.exit_code == 1
        assert "so the run stops; there is no earlier checkpoint; try --lr below 1e+38" in done.stderr

    def test_strict(self, tmp_path: Path, run: Run) -> None:
        """A damaged image is left out, or with --strict an error."""
        where = runs.place(tmp_path / "town")
        for path in sorted(where.images.glob("d*"))[::2]:
            path.write_bytes(b"no image")
        given = ("train", where.file, "--images", where.images, "-o", tmp_path / "run", *SMALL, "--epochs", 1)
        done = run(*given)
        assert done.exit_code == 0
        assert "cannot be read as an image" in done.stderr
        assert run(*given, "--strict", "--force").exit_code == 1

    def test_stopped_by_a_signal(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """Interrupted or killed, a run goes on from its checkpoint to the bits of one that was not."""
        options = (*SMALL, "--epochs", 2000, "--checkpoint-steps", 1)
        given = [str(each) for each in ("train", town.file, "--images", town.images, *options)]
        deadline = time.monotonic() + PATIENCE_S
        signals = {signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}
        folders = {kind: tmp_path / kind.name for kind in signals}
        with ExitStack() as stack:
            processes = {kind: stack.enter_context(started(*given, "-o", folders[kind])) for kind in signals}
            for process in processes.values():
                stack.callback(process.kill)  # should this test fail; one that has ended is left alone
            waiting = set(processes)
            while waiting:
                time.sleep(0.01)
                for kind in sorted(waiting):
                    if (folders[kind] / "last.pt").exists() or processes[kind].poll() is not None:
                        processes[kind].send_signal(kind)
                        waiting.remove(kind)
                assert time.monotonic() < deadline, f"no checkpoint yet in the runs that await {waiting}"
            said = {kind: process.communicate(timeout=PATIENCE_S)[1] for kind, process in processes.items()}
        assert {kind: process.returncode for kind, process in processes.items()} == signals, said
        assert said[signal.SIGINT].endswith("relabel: interrupted\n")
        assert not any("Traceback" in text for text in said.values())
        steps = {kind: load_checkpoint(folder)["progress"]["steps"] for kind, folder in folders.items()}
        assert all(0 < done < 6000 for done in steps.values())
        assert sorted(path.name for path in folders[signal.SIGINT].iterdir()) == ["config.json", "last.pt", "log.jsonl"]
        given[given.index("2000")] = str(max(steps.values()) // 3 + 2)
        states = []
        threads = load_checkpoint(folders[signal.SIGINT])["threads"]  # of those processes, and not of this one
        for folder, more in (
            *((folder, ()) for folder in folders.values()),
            (tmp_path / "whole", ("--threads", threads)),
        ):
            done = run(*given, *more, "-o", folder)
            assert done.exit_code == 0, done.stderr
            assert sorted(path.name for path in folder.iterdir()) == ["config.json", "last.pt", "log.jsonl"]
            states.append(load_model(folder).state_dict())
        assert all(torch.equal(state[name], states[-1][name]) for state in states for name in state)

    def test_goes_on_in_a_process_with_other_threads(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """Begun with one thread and resumed where torch has two, a run ends with equal bits."""
        given = ("train", town.file, "--images", town.images, *SMALL, "--epochs")
        assert run(*given, 1, "-o", tmp_path / "run", "--threads", 1).exit_code == 0
        with started(*given, 2, "-o", tmp_path / "run", threads=2) as process:
            said = process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 0, said
        assert "the run keeps its number of threads, 1; torch's default here is 2" in said
        done = run(*given, 2, "-o", tmp_path / "whole", "--threads", 1)
        assert done.exit_code == 0, done.stderr
        assert "on cpu with 1 thread" in done.stderr
        first, second = (load_model(tmp_path / name).state_dict() for name in ("run", "whole"))
        assert all(torch.equal(first[tensor], second[tensor]) for tensor in first)

    def test_tensorboard(self, town: runs.Place, tmp_path: Path, run: Run) -> None:
        """Event files for TensorBoard lie in the folder of the run, with a value an epoch."""
        given = ("train", town.file, "--images", town.images, "-o", tmp_path, *SMALL, "--tensorboard")
        for epochs in (2, 3):
            done = run(*given, "--epochs", epochs)
            assert done.exit_code == 0, done.stderr
        events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
        plotted = [(event.step, event.value) for event in events.Scalars("epoch_loss")]
        logged = [(record["step"], record["epoch_loss"]) for record in read_log(tmp_path / "log.jsonl")]
        assert [step for step, _ in plotted] == [step for step, _ in logged] == [3, 6, 9]
        assert [value for _, value in plotted] == pytest.approx([value for _, value in logged])
