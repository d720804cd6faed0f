"""relabel.training.checkpoint and relabel.training.run_folder"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing import event_accumulator

pytest.importorskip("torch")

import torch

from relabel.errors import FormatTooNewError, InputError, MissingFileError, MissingPackageError, OutputError
from relabel.training import load_model as public_load_model
from relabel.training.checkpoint import (
    LAST,
    load_checkpoint,
    load_model,
    random_states,
    save_checkpoint,
    set_random_states,
)
from relabel.training.model import build_model
from relabel.training.run_folder import RunLog, read_log
from relabel.training.weights import read_weights
from relabel.training.whitening import Whitening
from tests.full_disk import file_limit
from tests.training import runs

pytestmark = pytest.mark.gpu

CPU = torch.device("cpu")

# A child for each moment, the nth of which is killed when it is about to open, sync, rename or otherwise touch a file
# for the nth time.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
import torch
from relabel.training.checkpoint import load_checkpoint, save_checkpoint

torch.set_num_threads(1)
top = Path(sys.argv[1])
parts = load_checkpoint(top) | {"progress": {"steps": 1}}
for moment in range(1, 100):
    folder = top / f"moment-{moment:02d}"
    folder.mkdir()
    shutil.copy(top / "last.pt", folder)
    child = os.fork()
    if not child:
        seen = 0
        def kill(event, arguments):
            global seen
            seen += event.split(".")[0] in ("open", "os")
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)
        sync = os.fsync
        os.fsync = lambda descriptor: (sys.audit("os.fsync"), sync(descriptor))
        write = torch.save
        def save(state, file):
            write(state, file)
            file.flush()
            path = Path(file.name)
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            sys.audit("os.half")
            path.write_bytes(whole)
        torch.save = save
        sys.addaudithook(kill)
        save_checkpoint(folder / "last.pt", parts)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
"""


def parts(**fields: Any) -> dict[str, Any]:
    usual = {
        "config": {"epochs": 1},
        "labels": {"town": "00"},
        "description": None,
        "model": runs.small().state_dict(),
        "optimizer": {},
        "sampler": {"epoch": 0},
        "random": random_states(CPU),
        "threads": 1,
        "progress": {"steps": 3, "best": float("-inf")},
    }
    return usual | fields


class TestSaveCheckpoint:
    """relabel.training.checkpoint.save_checkpoint"""

    def test_and_back(self, tmp_path: Path) -> None:
        """What is written is read again, from the file or from its folder."""
        path = tmp_path / LAST
        save_checkpoint(path, parts())
        for state in (load_checkpoint(path), load_checkpoint(tmp_path)):
            assert state["progress"] == {"steps": 3, "best": float("-inf")}
            assert state["model"].keys() == runs.small().state_dict().keys()
            torch.testing.assert_close(state["model"]["conv.weight"], runs.small().state_dict()["conv.weight"])

    def test_failed_writing_leaves_the_old_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A checkpoint whose writing fails, or is killed, in the middle does not touch the one that is there."""
        path = tmp_path / LAST
        save_checkpoint(path, parts())
        before = path.read_bytes()

        def half(_state: Any, where: Any) -> None:
            where.write(b"half of a checkpoint")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", half)
        with pytest.raises(OutputError, match="the disk is full"):
            save_checkpoint(path, parts())
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == [LAST]

    @pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
    def test_full_disk(self, tmp_path: Path, share: float) -> None:
        """Wherever in torch's archive the disk is full, the error says so, and the old checkpoint stays."""
        path = tmp_path / LAST
        save_checkpoint(path, parts())
        before = path.read_bytes()
        with file_limit(int(share * len(before))), pytest.raises(OutputError) as caught:
            save_checkpoint(path, parts(threads=2))
        assert str(caught.value).startswith(f"{path}: cannot be written; the file would be larger than")
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == [LAST]

    def test_killed_at_any_moment(self, tmp_path: Path) -> None:
        """Killed before anything that it asks of the system, a writer leaves the old checkpoint or the new one."""
        save_checkpoint(tmp_path / LAST, parts(progress={"steps": 0}))
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=True)
        moments = sorted(tmp_path.glob("moment-*"))
        steps = [load_checkpoint(folder)["progress"]["steps"] for folder in moments]
        assert len(steps) > 8
        assert steps == sorted(steps)
        assert set(steps) == {0, 1}
        for folder in moments:  # what a killed writer left behind goes with the next one
            save_checkpoint(folder / LAST, parts())
            assert [path.name for path in folder.iterdir()] == [LAST]

    def test_serves_as_weights(self, tmp_path: Path) -> None:
        """A checkpoint is a file of weights too."""
        save_checkpoint(tmp_path / LAST, parts())
        assert list(read_weights(tmp_path / LAST)) == list(runs.small().state_dict())


class TestLoadCheckpoint:
    """relabel.training.checkpoint.load_checkpoint"""

    def test_runs_no_code(self, tmp_path: Path) -> None:
        """A file that would run code when it is unpickled is refused, and the code does not run."""

        class Evil:
            def __reduce__(self) -> Any:
                return (Path.touch, (tmp_path / "ran",))

        torch.save({"format": "relabel.checkpoint", "version": 1, "model": Evil()}, tmp_path / LAST)
        with pytest.raises(
            InputError, match=r"checkpoint: it was not written by torch\.save, or holds more than tensors"
        ):
            load_checkpoint(tmp_path)
        assert not (tmp_path / "ran").exists()

    def test_other_files(self, tmp_path: Path) -> None:
        """What is missing, damaged, cut short, something else or too new is told."""
        path = tmp_path / LAST
        with pytest.raises(MissingFileError, match=r"last\.pt: there is no such checkpoint"):
            load_checkpoint(tmp_path)
        path.write_bytes(b"")
        with pytest.raises(InputError, match="cannot be read as a checkpoint"):
            load_checkpoint(path)
        save_checkpoint(path, parts())
        path.write_bytes(path.read_bytes()[:-300])
        with pytest.raises(InputError, match="cannot be read as a checkpoint"):
            load_checkpoint(path)
        for other in (runs.small().state_dict(), [1, 2]):
            torch.save(other, path)
            with pytest.raises(InputError, match="pass bare weights as weights=…"):
                load_checkpoint(path)
        torch.save({"format": "relabel.checkpoint", "version": 2}, path)
        with pytest.raises(FormatTooNewError, match="has version 2; this program reads version 1"):
            load_checkpoint(path)
        torch.save({"format": "relabel.checkpoint", "version": 1, "config": {}}, path)
        with pytest.raises(InputError, match="'labels' is missing"):
            load_checkpoint(path)


class TestLoadModel:
    """relabel.training.checkpoint.load_model"""

    def test_same_descriptors(self, tmp_path: Path) -> None:
        """The model of a checkpoint, whitening included, gives the descriptors of the one that was saved."""
        assert public_load_model is load_model
        model = build_model("tiny").eval()
        model.set_whitening(Whitening.fit(torch.randn(50, 64, generator=torch.Generator().manual_seed(0)), 8))
        save_checkpoint(tmp_path / LAST, parts(description=model.describe(), model=model.state_dict()))
        images = torch.rand(2, 3, 32, 32)
        loaded = load_model(tmp_path)
        assert not loaded.training
        with torch.no_grad():
            assert torch.equal(loaded(images), model(images))

    def test_other_models(self, tmp_path: Path) -> None:
        """A model that relabel did not build, and weights that do not fit the description, are told."""
        save_checkpoint(tmp_path / LAST, parts())
        with pytest.raises(InputError, match="that relabel did not build"):
            load_model(tmp_path)
        save_checkpoint(tmp_path / LAST, parts(description=build_model("tiny").describe()))
        with pytest.raises(InputError, match=r"tensor 'backbone\.0\.weight'"):
            load_model(tmp_path)


class TestRandomStates:
    """relabel.training.checkpoint.random_states"""

    def test_and_back(self) -> None:
        """The generator goes on where it was."""
        states = random_states(CPU)
        first = torch.rand(4)
        set_random_states(states, CPU)
        assert torch.equal(torch.rand(4), first)


class TestRunLog:
    """relabel.training.run_folder.RunLog"""

    def test_goes_on_where_the_run_does(self, tmp_path: Path) -> None:
        """Records of work that was lost are taken out, as is a line that was cut short; a new run starts empty."""
        with RunLog(tmp_path) as record:
            for step in range(1, 6):
                record.add({"step": step, "loss": 1.0 / step})
        with record.path.open("a") as file:
            file.write('{"step": 6, "lo')
        assert [record["step"] for record in read_log(record.path)] == [1, 2, 3, 4, 5]
        with RunLog(tmp_path, 3) as record:
            record.add({"step": 4, "loss": 9.0})
        assert [(record["step"], record["loss"]) for record in read_log(record.path)] == [
            (1, 1.0),
            (2, 0.5),
            (3, 1.0 / 3),
            (4, 9.0),
        ]
        with RunLog(tmp_path):
            pass
        assert read_log(record.path) == []

    def test_no_file(self, tmp_path: Path) -> None:
        """Where there is no log there are no records; lines that are no records are passed over."""
        assert read_log(tmp_path / "none") == []
        (tmp_path / "log.jsonl").write_text(json.dumps([1]) + "\n")
        assert read_log(tmp_path / "log.jsonl") == []

    def test_full_disk(self, tmp_path: Path) -> None:
        """A record that does not fit is an error, and no half line of it stays; so it is for the log of a new run."""
        with RunLog(tmp_path) as record:
            record.add({"step": 1})
            written = (tmp_path / "log.jsonl").read_bytes()
            with (
                file_limit(len(written) + 5),
                pytest.raises(OutputError, match=r"log\.jsonl: cannot be written; the file"),
            ):
                record.add({"step": 2})
            assert (tmp_path / "log.jsonl").read_bytes() == written
            record.add({"step": 3})
        assert [line["step"] for line in read_log(tmp_path / "log.jsonl")] == [1, 3]
        with (
            file_limit(5),
            pytest.raises(OutputError, match=r"log\.jsonl: cannot be written; the file would be larger"),
        ):
            RunLog(tmp_path, 3)
        assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
        assert [line["step"] for line in read_log(tmp_path / "log.jsonl")] == [1, 3]

    def test_lines_that_no_run_wrote(self, tmp_path: Path) -> None:
        """JSON that cannot be read, or steps that are none, are no records; a pipe is refused."""
        path = tmp_path / "log.jsonl"
        path.write_text("\n".join(['{"step": 1}', "[" * 100_000, "9" * 5_000, '{"step": "x"}', '{"step": null}', "7"]))
        assert read_log(path) == [{"step": 1}]
        path.unlink()
        os.mkfifo(path)
        with pytest.raises(InputError, match=r"log\.jsonl: is a pipe"):
            read_log(path)

    @pytest.mark.parametrize("moment", ["init", "add", "close"])
    def test_tensorboard_on_a_full_disk(self, moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What its writer raises says which folder; while another error is on its way it is passed over."""

        class Writer:
            def fail(self, now: str) -> None:
                if now == moment:
                    raise OSError(28, "No space left on device")

            def __init__(self, folder: str, purge_step: int) -> None:
                self.fail("init")

            def add_scalar(self, name: str, value: float, step: int) -> None:
                self.fail("add")

            def close(self) -> None:
                self.fail("close")

        module = types.ModuleType("torch.utils.tensorboard")
        module.SummaryWriter = Writer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)

        def run(error: Exception | None) -> None:
            with RunLog(tmp_path, tensorboard=True) as record:
                if error is not None:
                    raise error
                record.add({"step": 1, "loss": 0.5})

        with pytest.raises(OutputError, match="tensorboard: cannot be written; the disk is full"):
            run(None)
        if moment != "init":
            with pytest.raises(ZeroDivisionError):
                run(ZeroDivisionError())

    def test_tensorboard(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Numbers go to TensorBoard by name and step, which forgets the steps that were lost."""
        calls: list[Any] = []

        class Writer:
            def __init__(self, folder: str, purge_step: int) -> None:
                calls.append((folder, purge_step))

            def add_scalar(self, name: str, value: float, step: int) -> None:
                calls.append((name, value, step))

            def close(self) -> None:
                calls.append("closed")

        module = types.ModuleType("torch.utils.tensorboard")
        module.SummaryWriter = Writer  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
        with RunLog(tmp_path, 3, tensorboard=True) as record:
            record.add({"step": 4, "loss": 0.5, "note": "text"})
        assert calls == [(str(tmp_path / "tensorboard"), 4), ("loss", 0.5, 4), "closed"]

    def test_tensorboard_reads_it(self, tmp_path: Path) -> None:
        """TensorBoard itself finds the numbers of a run, those of lost steps replaced by what came in their place."""
        for first, last, loss in ((0, 3, 0.5), (2, 4, 0.25)):
            with RunLog(tmp_path, first, tensorboard=True) as record:
                for step in range(first + 1, last + 1):
                    record.add({"step": step, "epoch": 1, "loss": loss})
        events = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
        assert set(events.Tags()["scalars"]) == {"epoch", "loss"}
        logged = [(event.step, event.value) for event in events.Scalars("loss")]
        assert logged == [(1, 0.5), (2, 0.5), (3, 0.25), (4, 0.25)]

    def test_no_tensorboard(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where TensorBoard is missing, what to install is told."""
        monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.raises(MissingPackageError, match="pip install tensorboard"):
            RunLog(tmp_path, tensorboard=True)
