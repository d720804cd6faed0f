"""The folder of a training run: its recipe, its checkpoints and its log, and how a run resumes from them."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import torch
from torch import nn

from relabel._version import __version__
from relabel.atomic import output_errors, replacing
from relabel.claims import claimed
from relabel.errors import InputError, MissingFileError, MissingPackageError, OutputError, OutputExistsError
from relabel.input_files import check_regular
from relabel.training.checkpoint import LAST, load_checkpoint, random_states, save_checkpoint, set_random_states
from relabel.training.config import TrainConfig
from relabel.training.weights import first_difference, load_into

log = logging.getLogger(__name__)

CONFIG = "config.json"
BEST = "best.pt"
LOG = "log.jsonl"


class Progress(NamedTuple):
    """Progress of a run; for triplets, two images count as a pair."""

    epoch: int = 0
    """completed epochs"""
    position: int = 0
    """pairs drawn so far in the epoch after them"""
    steps: int = 0
    pairs: int = 0
    """pairs that were learned from"""
    left_out: int = 0
    """drawn pairs that were left out because an image could not be read; for triplets, such images"""
    epoch_loss: float = 0.0
    """sum over the pairs of this epoch so far"""
    epoch_pairs: int = 0
    best: float = -math.inf
    """the largest first number of a validation so far"""

    @property
    def loss(self) -> float:
        """Mean over the pairs of this epoch so far."""
        return self.epoch_loss / self.epoch_pairs if self.epoch_pairs else math.nan


class RunFolder:
    """Where a run is written.

    Parameters
    ----------
    path:
        the folder; created if it does not exist.
    config, model:
        the recipe, and the model that is trained.
    labels:
        the digest of each collection by name.
    device:
        the device whose random generator is saved.
    threads:
        number of threads of torch; None for as many as the run has used so far, or for torch's default if it is new.
    """

    def __init__(
        self,
        path: Path,
        config: TrainConfig,
        model: nn.Module,
        labels: Mapping[str, str],
        device: torch.device,
        threads: int | None = None,
    ) -> None:
        self.path, self._config, self._model = path, config, model
        self._labels, self._device = dict(labels), device
        self._asked_threads = threads
        self._threads = threads or torch.get_num_threads()

    @property
    def threads(self) -> int:
        """How many threads the run computes on; only `begin` knows what an earlier part of the run used."""
        return self._threads

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Create the folder, and keep other runs out of it for the duration of the block.

        Raises
        ------
        OutputInUseError, OutputExistsError, OutputError
            as for `relabel.training.trainer.Trainer.run`.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path}: is a file; a run is written to a folder, choose the name of one")
        with output_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with claimed(self.path):
            self._refuse_others()
            yield

    def _refuse_others(self) -> None:
        """Raise where a file that a run writes is there and no run has written it, not even to be replaced."""
        names = [name for name in (CONFIG, LAST, BEST, LOG) if os.path.lexists(self.path / name)]
        if names and not _is_run(self.path):
            raise OutputExistsError(
                f"{self.path / names[0]}: was not written by relabel train, so it is not replaced; choose another "
                "folder"
            )

    def begin(self, optimizer: torch.optim.Optimizer, *, resume: bool, overwrite: bool) -> Progress:
        """Restore model, optimizer and random states from the folder, and write the recipe.

        Returns
        -------
        Progress
            where the run stopped; its very beginning if there is no checkpoint.

        Raises
        ------
        OutputExistsError, InputError, OutputError
            as for `relabel.training.trainer.Trainer.run`.
        """
        last, best = self.path / LAST, self.path / BEST
        if overwrite:
            with output_errors(self.path):
                for file in (last, best):
                    file.unlink(missing_ok=True)
        progress = Progress()
        self._threads = self._asked_threads or torch.get_num_threads()
        for file in (last, best):
            if file.exists() and not (resume and last.exists()):
                raise OutputExistsError(
                    f"{file}: already exists; choose another folder, or pass overwrite=True to replace it"
                )
        if last.exists():
            progress = self._resumed(last, optimizer)
        self._write_config()
        return progress

    def save(
        self, name: str, optimizer: torch.optim.Optimizer, sampler: Mapping[str, object], progress: Progress
    ) -> None:
        """Write a checkpoint of that name."""
        parts = {
            "config": self._config.to_json(),
            "labels": self._labels,
            "description": self._description(),
            "model": self._model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "sampler": sampler,
            "random": random_states(self._device),
            "threads": self._threads,
            "progress": progress._asdict(),
        }
        save_checkpoint(self.path / name, parts)

    def _resumed(self, path: Path, optimizer: torch.optim.Optimizer) -> Progress:
        state = load_checkpoint(path)
        difference = TrainConfig.from_json(state["config"], path).difference(self._config)
        difference = difference or _labels_differ(state["labels"], self._labels)
        if difference is not None:
            raise InputError(
                f"{path}: is of another run: {difference}; restore it, choose another folder, or pass overwrite=True "
                "to start over"
            )
        _check_description(self._model, state, self._description(), path)
        load_into(self._model, state["model"], path)
        optimizer.load_state_dict(state["optimizer"])
        set_random_states(state["random"], self._device)
        progress = Progress(**state["progress"])
        if progress.epoch < self._config.epochs:
            log.info("%s: resuming after step %d, in epoch %d", path, progress.steps, progress.epoch + 1)
            self._threads = self._threads_after(state["threads"])
        else:
            self._threads = state["threads"]
            log.info("%s: all %d epochs are done; to train longer, raise epochs=…", path, progress.epoch)
        return progress

    def _threads_after(self, before: int) -> int:
        """Number of threads that a run resumes with after using `before` so far; a difference is logged."""
        default = torch.get_num_threads()
        if self._asked_threads is None:
            if before != default:
                log.info(
                    "the run keeps its number of threads, %d; torch's default here is %d (threads=… changes it)",
                    *(before, default),
                )
            return before
        if self._asked_threads != before:
            log.warning(
                "the number of threads changes from %d to %d: the result may differ in its last digits from that of "
                "an uninterrupted run",
                *(before, self._asked_threads),
            )
        return self._asked_threads

    def _description(self) -> dict[str, object] | None:
        describe = getattr(self._model, "describe", None)
        return None if describe is None else dict(describe())

    def _write_config(self) -> None:
        record = {
            "software": {"name": "relabel", "version": __version__},
            "config": self._config.to_json(),
            "model": self._description(),
            "labels": self._labels,
            "threads": self._threads,
        }
        path = self.path / CONFIG
        with replacing(path, overwrite=True) as private, output_errors(path):
            private.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _is_run(folder: Path) -> bool:
    """Whether a run has been written to the folder: by its recipe, or where that is gone by its checkpoint."""
    try:
        check_regular(folder / CONFIG)
        record = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        return bool(record["software"]["name"] == "relabel")
    except FileNotFoundError:
        try:
            load_checkpoint(folder / LAST)
        except (MissingFileError, InputError):
            return False
        return True
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _check_description(
    model: nn.Module, state: Mapping[str, Any], now: Mapping[str, object] | None, path: Path
) -> None:
    """Refuse a model that has the same tensors but computes something else, by another pooling for example."""
    before = state["description"]
    if before is None or now is None or first_difference(model.state_dict(), state["model"]) is not None:
        return
    for name, value in now.items():
        if before.get(name) != value:
            raise InputError(f"{path}: is of another model: {name} was {before.get(name)!r} and is {value!r} now")


def _labels_differ(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            where = "new" if name not in before else "missing now" if name not in now else "changed"
            return f"the labels {name!r} are {where}"
    return None if list(before) == list(now) else "the collections are in another order"


class RunLog:
    """Appends records to ``log.jsonl`` in the folder of a run; a context manager.

    Parameters
    ----------
    folder:
        the folder of the run.
    step:
        step at which the run continues: records of later steps, whose work was lost, are removed. 0 starts over.
    tensorboard:
        write event files as well.

    Raises
    ------
    MissingPackageError
        when TensorBoard is asked for and cannot be loaded.
    OutputError
        when the file cannot be written.
    """

    def __init__(self, folder: Path, step: int = 0, *, tensorboard: bool = False) -> None:
        self.path = folder / LOG
        self._events = folder / "tensorboard"
        self._writer = _summary_writer(self._events, step) if tensorboard else None
        kept = [record for record in read_log(self.path) if step and record.get("step", 0) <= step]
        with replacing(self.path, overwrite=True) as private, output_errors(self.path):
            private.write_text("".join(f"{json.dumps(record)}\n" for record in kept), encoding="utf-8")

    def add(self, record: Mapping[str, Any]) -> None:
        """Append one record; numbers besides ``step`` go to TensorBoard too."""
        line = memoryview(f"{json.dumps(dict(record))}\n".encode())
        with output_errors(self.path), self.path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                while line:
                    line = line[file.write(line) :]
            except OSError:
                file.truncate(end)  # no half line
                raise
        if self._writer is not None:
            with output_errors(self._events):
                for name, value in record.items():
                    if name != "step" and isinstance(value, int | float):
                        self._writer.add_scalar(name, value, record["step"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is None:
            return
        if error is None:
            with output_errors(self._events):
                self._writer.close()
        else:
            with suppress(OSError):  # the first error is the one to report
                self._writer.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """All records of a log in order, except a last line that a kill cut short; none if there is no file."""
    records: list[dict[str, Any]] = []
    check_regular(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return records
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict) and isinstance(record.get("step", 0), int):
            records.append(record)
    return records


def _summary_writer(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  few have it
    except ImportError as error:
        raise MissingPackageError(f"TensorBoard cannot be loaded ({error}); pip install tensorboard") from None
    with output_errors(folder):
        return SummaryWriter(str(folder), purge_step=step + 1)
