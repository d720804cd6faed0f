"""What docs/training.md says about the trainer is so."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

pytest.importorskip("torch")

from torch import nn

from relabel.cli import train
from relabel.training.run_folder import read_log

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
QUICK = ("--epochs", "1", "--pairs-per-epoch", "32", "--size", "64x48", "--device", "cpu")


def section() -> str:
    return PAGE.read_text(encoding="utf-8").split("\n## Training\n")[1].split("\n## ")[0]


def blocks() -> list[str]:
    """The indented blocks of the section, in their order."""
    indented = re.findall(r"(?:^    .*\n|^\n(?=    ))+", section(), re.MULTILINE)
    return ["\n".join(line[4:] for line in block.strip("\n").splitlines()) for block in indented]


def test_every_option_is_one() -> None:
    """Options that the section names are options of the command."""
    known = {name for parameter in train.train_command.params for name in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section()))
    assert named - {"--root", "--scenes", "--checkpoint", "--nproc-per-node"} <= known


@pytest.mark.real_data
def test_commands(run: Callable[..., Result], real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands run in their order, on fewer pairs, and leave what the section lists; so does the Python code."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7scenes").symlink_to(real_data / "7scenes")
    first, full, processes, python = blocks()
    for line in first.replace("\\\n", "").splitlines():
        name, command, *rest = shlex.split(line)
        assert name == "relabel"
        done = run(command, *rest, *(QUICK if command == "train" else ()))
        assert done.exit_code == 0, done.stderr
    assert "recall@1" in done.stdout
    assert {"last.pt", "best.pt", "config.json", "log.jsonl"} == {path.name for path in (tmp_path / "run").iterdir()}
    listed = set(re.findall(r"`(epoch_[^`]*)`", section()))
    assert listed <= set(read_log(tmp_path / "run" / "log.jsonl")[-1])
    with train.train_command.make_context("train", shlex.split(full)[2:]) as ctx:
        assert ctx.params["workers"] == 8
    launcher, _, command = processes.partition(" -m relabel train ")
    assert launcher == "torchrun --nproc-per-node 2"
    with train.train_command.make_context("train", shlex.split(command)) as ctx:
        assert ctx.params["backbone"] == "tiny"

    short = python.replace("size=(320, 240), epochs=10", "size=(64, 48), epochs=1, pairs_per_epoch=32")
    assert short != python
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "run")
    names = {"backbone": nn.Conv2d(3, 8, 7, stride=4)}
    exec(compile(short, str(PAGE), "exec"), names)
    assert names["result"].pairs == 32
