"""The reference trainer: graded pairs, one model, checkpoints from which a run resumes as if it had never stopped."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from relabel.devices import device_of, is_bf16, peak_bytes, seeded, torch_threads
from relabel.errors import DivergedError, InputError, OptionError, RelabelError
from relabel.images.loading import Batch, UnreadableImages
from relabel.images.paths import ImagePaths, find_images
from relabel.sampling.pair_table import Labels, named_collections
from relabel.training.checkpoint import LAST
from relabel.training.config import TrainConfig, rate
from relabel.training.data import TrainingBatches
from relabel.training.processes import joined, local_device, processes_of_environment
from relabel.training.run_folder import BEST, Progress, RunFolder, RunLog
from relabel.training.steps import TrainingStep, not_finite, on_device, optimizer_of

log = logging.getLogger(__name__)

_RECORD_STEPS = 50  # steps between two records of the log

Validate = Callable[[nn.Module], Mapping[str, float]]
Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


class TrainResult(NamedTuple):
    """What a run did. For triplets, two images count as a pair."""

    checkpoint: Path
    epochs: int
    steps: int
    pairs: int
    left_out: int
    loss: float
    """mean over the last epoch; NaN if nothing was left to do"""
    pairs_per_s: float
    """of this call, including reading and validation; the log has those of training alone"""
    peak_bytes: int
    """peak memory: of the GPU, else of this process"""


class Trainer:
    """Trains a descriptor model on a label file and writes the results to a folder.

    ``last.pt`` is the newest checkpoint, ``best.pt`` the one with the best validation, ``config.json`` the recipe, and
    ``log.jsonl`` has loss, learning rate and speed. An interrupted run resumes from ``last.pt`` with the number of
    threads that it began with. On a CPU, on a machine of the same kind and with the same versions of torch and Pillow,
    the result is bit-identical to that of an uninterrupted run; on a GPU the last digits may differ, as they may
    between any two runs.

    Processes that ``torchrun`` starts train one model together: each computes its share of every batch, and gradients
    are summed, over gloo on CPUs and NCCL on GPUs. The steps equal those of one process up to float32 rounding, except
    for batch normalisation, which uses the statistics of each process's own share. The first process writes and
    validates.

    Parameters
    ----------
    config:
        the recipe. Several processes share batches and epochs, which have to be divisible.
    model:
        maps (b, 3, h, w) images to (b, dim) descriptors, for example of `build_model`. It is trained in place, and
        it must draw its random numbers from torch's own generators, whose state checkpoints keep.
    labels:
        a collection, several, or a `LabelFile`.
    images:
        the top folder of the images, or the `ImagePaths` themselves.
    folder:
        where to write; created if it does not exist.
    image_path:
        how a key becomes a path, as for `find_images`.
    device:
        ``auto``, ``cpu`` or ``cuda``.
    workers:
        processes that read images; the result does not depend on it.
    threads:
        number of threads of torch during the run; None for as many as the run has used so far, or for torch's default
        if the run is new. The number is recorded, and resuming with another one is logged.
    strict:
        stop at the first image that cannot be read. Otherwise its pair is left out, named and counted.
    checkpoint_steps:
        write a checkpoint every this many steps, besides the one after each epoch; 0 for none.
    tensorboard:
        write event files as well.
    validate:
        called with the model in evaluation mode after each epoch; returns numbers by name. The checkpoint with the
        largest first number is the best.
    bar:
        makes a progress bar; called with its title and its length in pairs.

    Raises
    ------
    OptionError, InputError, MissingFileError, MissingPackageError
        as for the samplers, `find_images` and `device_of`.

    Examples
    --------
    >>> trainer = Trainer(TrainConfig(), build_model("resnet50"), labels, "MSLS", "run")  # doctest: +SKIP
    >>> trainer.run().checkpoint  # doctest: +SKIP
    PosixPath('run/last.pt')
    """

    def __init__(
        self,
        config: TrainConfig,
        model: nn.Module,
        labels: Labels,
        images: str | os.PathLike[str] | ImagePaths,
        folder: str | os.PathLike[str],
        *,
        image_path: str | None = None,
        device: str = "auto",
        workers: int = 0,
        threads: int | None = None,
        strict: bool = False,
        checkpoint_steps: int = 0,
        tensorboard: bool = False,
        validate: Validate | None = None,
        bar: Bar | None = None,
    ) -> None:
        if checkpoint_steps < 0:
            raise OptionError(f"checkpoint_steps is {checkpoint_steps}; it has to be at least 0")
        if threads is not None and threads < 1:
            raise OptionError(f"threads is {threads}; at least one is needed")
        self.config, self.model, self.folder = config, model, Path(folder)
        self.processes = processes_of_environment()
        self.device = local_device(device_of(device))
        self.bf16 = is_bf16(config.precision, self.device)
        sources = {collection.name: collection.source for collection in named_collections(labels)}
        paths = images if isinstance(images, ImagePaths) else find_images([*sources.values()], images, image_path)
        self._data = TrainingBatches(
            *(config, sources, paths),
            workers=workers,
            pinned=self.device.type == "cuda",
            processes=self.processes,
        )
        self._files = RunFolder(self.folder, config, model, self._data.digests(), self.device, threads)
        share = replace(config, batch_size=config.batch_size // self.processes.world_size)
        self._steps = TrainingStep(model, share, self.device, bf16=self.bf16, similarity=self._data.similarity)
        self._unread = UnreadableImages(strict=strict)
        self._checkpoint_steps, self._tensorboard = checkpoint_steps, tensorboard
        self._validate = validate if self.processes.is_first else None
        self._bar = bar if bar is not None and self.processes.is_first else _no_bar

    def run(self, *, resume: bool = True, overwrite: bool = False) -> TrainResult:
        """Train to the end of the last epoch.

        Torch's random generators are seeded, and its number of threads is set, for the duration of the run; both are
        restored afterwards.

        Parameters
        ----------
        resume:
            resume from the checkpoint in the folder, if there is one.
        overwrite:
            start over, and replace what is in the folder.

        Raises
        ------
        OutputExistsError
            when the folder has a checkpoint, and neither `resume` nor `overwrite` is set; or a file there that is not
            of a run has the name of one.
        OutputInUseError
            when another run is writing to the folder; says who.
        InputError
            when the checkpoint is of another recipe, other labels or another model (the message names the first
            difference), an image cannot be read and the run is strict, or no pair of an epoch can be.
        DivergedError
            when the loss or a weight is not finite any more; the last checkpoint precedes it.
        OutputError
            when the folder cannot be written.
        """
        self.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.train()
        optimizer = optimizer_of(self.config, self.model)
        with ExitStack() as stack:
            if self.device.type == "cuda":
                stack.enter_context(torch.cuda.device(self.device))
            stack.enter_context(joined(self.processes, self.device))
            progress = self._begin(stack, optimizer, resume=resume, overwrite=overwrite)
            if progress.epoch < self.config.epochs and self.processes.is_first:
                log.info("%s", self._data.report())
                _log_start(
                    *(self.config, self.model, self.device, self.processes.world_size),
                    bf16=self.bf16,
                    threads=self._threads,
                )
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.device)
            stack.enter_context(torch_threads(self._threads))
            record: RunLog | _NoLog = _NoLog()
            if self.processes.is_first:
                log_of_run = RunLog(self.folder, progress.steps, tensorboard=self._tensorboard)
                record = stack.enter_context(log_of_run)
            result = self._epochs(optimizer, progress, record)
            self.processes.wait()
            return result

    def _begin(self, stack: ExitStack, optimizer: torch.optim.Optimizer, *, resume: bool, overwrite: bool) -> Progress:
        """Progress of the run: the first process looks into the folder; all others are brought to the same state."""
        if self.processes.is_first:
            try:
                stack.enter_context(self._files.claimed())
                stack.enter_context(seeded(self.config.seed))
                progress = self._files.begin(optimizer, resume=resume, overwrite=overwrite)
            except RelabelError:
                self.processes.shared(None)
                raise
            self._threads = self._files.threads
            self.processes.shared((progress, optimizer.state_dict(), self._threads))
        else:
            stack.enter_context(seeded(self.config.seed))
            start = self.processes.shared(None)
            if start is None:
                raise RelabelError("the first process has not begun the run; see its output")
            progress, state, self._threads = start
            optimizer.load_state_dict(state)
        self.processes.share_tensors(self.model)
        return progress

    def _epochs(self, optimizer: torch.optim.Optimizer, progress: Progress, record: RunLog | _NoLog) -> TrainResult:
        whole, loss = _Speed(progress.pairs), math.nan
        while progress.epoch < self.config.epochs:
            speed = _Speed(progress.pairs)
            progress = self._epoch(optimizer, progress, record, speed)
            loss = progress.loss
            figures: dict[str, float] = {"loss": loss, "pairs_per_s": speed(progress.pairs)}
            scores: dict[str, float] = {}
            if self._validate is not None:
                self._save(LAST, optimizer, progress)  # a validation that fails does not lose the epoch
                scores = self._validated(self._validate)
            if self.processes.is_first:
                _log_epoch(progress.epoch + 1, self.config.epochs, figures | scores, progress.left_out, self.device)
            of_epoch = {f"epoch_{name}": value for name, value in (figures | scores).items()}
            record.add({"step": progress.steps, "epoch": progress.epoch + 1} | of_epoch)
            progress = self._after_epoch(optimizer, progress, next(iter(scores.values()), math.nan))
        return TrainResult(
            checkpoint=self.folder / LAST,
            epochs=progress.epoch,
            steps=progress.steps,
            pairs=progress.pairs,
            left_out=progress.left_out,
            loss=loss,
            pairs_per_s=whole(progress.pairs),
            peak_bytes=peak_bytes(self.device),
        )

    def _epoch(
        self, optimizer: torch.optim.Optimizer, progress: Progress, record: RunLog | _NoLog, speed: _Speed
    ) -> Progress:
        config, data = self.config, self._data
        with self._bar(f"epoch {progress.epoch + 1}/{config.epochs}", config.pairs_per_epoch) as step:
            step(progress.position)
            for batch in on_device(data.batches(progress.epoch, progress.position), self.device):
                now = rate(config, progress.epoch * config.pairs_per_epoch + progress.position)
                for group in optimizer.param_groups:
                    group["lr"] = now
                self._unread.see(batch)
                drawn, read, left_out, loss = self._learn(optimizer, batch)
                progress = progress._replace(position=progress.position + drawn, left_out=progress.left_out + left_out)
                step(drawn)
                if not read:
                    continue
                if not math.isfinite(loss):
                    raise self._diverged(f"the loss of step {progress.steps + 1} is {loss}")
                progress = progress._replace(
                    steps=progress.steps + 1,
                    pairs=progress.pairs + read,
                    epoch_loss=progress.epoch_loss + loss * read,
                    epoch_pairs=progress.epoch_pairs + read,
                )
                if progress.steps % _RECORD_STEPS == 0:
                    figures = {"step": progress.steps, "epoch": progress.epoch + 1, "loss": loss, "lr": now}
                    record.add(figures | {"pairs_per_s": speed(progress.pairs)})
                if self._checkpoint_steps and progress.steps % self._checkpoint_steps == 0:
                    self._save(LAST, optimizer, progress)
        if not progress.epoch_pairs:
            raise InputError(
                f"no image of the {config.pairs_per_epoch} pairs of an epoch can be read; see the messages above"
            )
        return progress

    def _learn(self, optimizer: torch.optim.Optimizer, batch: Batch) -> tuple[int, int, int, float]:
        """Take a step if any image could be read; returns pairs drawn, read, left out, and loss, over all processes."""
        optimizer.zero_grad(set_to_none=True)
        loss = None if batch.images is None else self._steps.backward(batch)
        drawn, read = self._data.pairs(batch.asked), self._data.pairs(len(batch.drawn))
        left_out = batch.asked - len(batch.drawn)
        if self.processes.world_size == 1:
            if loss is None:
                return drawn, read, left_out, 0.0
            optimizer.step()  # before the loss is looked at, for which a GPU would have to stop
            return drawn, read, left_out, float(loss)
        own = 0.0 if loss is None else float(loss)
        *counts, together = self.processes.total([drawn, read, left_out, own * read], self.device)
        all_drawn, all_read, all_left_out = map(int, counts)
        if all_read:
            self.processes.sum_gradients(self.model, read / all_read)
            optimizer.step()
        return all_drawn, all_read, all_left_out, together / max(all_read, 1)

    def _validated(self, validate: Validate) -> dict[str, float]:
        self.model.eval()
        try:
            # The run goes on with its own number of threads, whatever a validation does to that of the process.
            with torch.no_grad(), torch_threads(self._files.threads):
                return {name: float(value) for name, value in validate(self.model).items()}
        finally:
            self.model.train()

    def _after_epoch(self, optimizer: torch.optim.Optimizer, progress: Progress, value: float) -> Progress:
        better = value > progress.best  # never where it is NaN
        progress = progress._replace(
            epoch=progress.epoch + 1,
            position=0,
            epoch_loss=0.0,
            epoch_pairs=0,
            best=value if better else progress.best,
        )
        self._save(LAST, optimizer, progress)
        if better:
            self._save(BEST, optimizer, progress)
        return progress

    def _save(self, name: str, optimizer: torch.optim.Optimizer, progress: Progress) -> None:
        wrong = not_finite(self.model)
        if wrong is not None:
            raise self._diverged(f"{wrong!r} is not finite after step {progress.steps}")
        if self.processes.is_first:
            self._files.save(name, optimizer, self._data.state(progress.epoch, progress.position), progress)

    def _diverged(self, what: str) -> DivergedError:
        path = self.folder / LAST
        kept = f"{path} precedes it" if path.exists() else "there is no earlier checkpoint"
        finer = " or precision='float32'" if self.bf16 else ""
        return DivergedError(f"{what}, so the run stops; {kept}; try lr=… below {self.config.lr:g}{finer}")


def _no_bar(_what: str, _total: int) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda _: None)


class _NoLog:
    """The log of all processes but the first: records are dropped."""

    def add(self, record: Mapping[str, Any]) -> None:
        """Nothing."""


class _Speed:
    """Pairs per second since its creation."""

    def __init__(self, pairs: int) -> None:
        self._pairs, self._began = pairs, time.perf_counter()

    def __call__(self, pairs: int) -> float:
        """The rate, given the current number of pairs."""
        return round((pairs - self._pairs) / max(time.perf_counter() - self._began, 1e-9), 1)


def _log_start(
    config: TrainConfig, model: nn.Module, device: torch.device, processes: int, *, bf16: bool, threads: int
) -> None:
    """Log what is trained on what, and warn if a split batch does not give the gradient of a full one."""
    weights = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    where = str(device)
    if device.type == "cpu":
        where += " with 1 thread" if threads == 1 else f" with {threads} threads"
    where += f" in each of {processes} processes" if processes > 1 else ""
    log.info(
        "training %s weights on %s in %s: batches of %d pairs, images of %d×%d",
        *(f"{weights:,}", where, "bfloat16" if bf16 else "float32", config.batch_size, *config.size),
    )
    norms = sum(isinstance(module, _BatchNorm) and module.training for module in model.modules())
    if config.accumulate * processes > 1 and norms:
        parts = f"accumulate {config.accumulate}" + (f" and {processes} processes" if processes > 1 else "")
        pairs = -(-config.batch_size // processes // config.accumulate)
        log.warning(
            "%d layers normalise by the images of a forward pass, which are at most %d of %d with %s: the "
            "gradient is not quite that of the whole batch",
            *(norms, 2 * pairs, 2 * config.batch_size, parts),
        )


def _log_epoch(epoch: int, epochs: int, scores: Mapping[str, float], left_out: int, device: torch.device) -> None:
    """Log the results of an epoch, counted from 1."""
    numbers = ", ".join(f"{name.replace('_per_s', '/s')} {value:.4g}" for name, value in scores.items())
    lost = f", {left_out} left out" if left_out else ""
    log.info("epoch %d of %d: %s, peak %.2f GiB%s", epoch, epochs, numbers, peak_bytes(device) / 2**30, lost)
