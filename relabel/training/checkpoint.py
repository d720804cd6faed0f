"""Checkpoints: all that a run needs to resume as if it had never stopped, written completely or not at all.

A checkpoint is a file of `torch.save` with tensors and plain values only, so that it is read without running code:

    format        "relabel.checkpoint"
    version       1
    config        the fields of `TrainConfig`
    labels        digest of each collection by name
    description   what `DescriptorModel.describe` returns, or None for a model of another class
    model         state_dict; also with whitening, so that the file serves as `weights` of another run
    optimizer     state_dict
    sampler       state of the sampler after the last pair that was used
    random        states of torch's generators: cpu, and cuda where it was used
    threads       number of threads of torch, on which the bits of a run on a CPU depend
    progress      epochs, steps, pairs, and what else the run counts
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from relabel.atomic import output_errors, replacing
from relabel.errors import FormatTooNewError, InputError, MissingFileError
from relabel.input_files import check_regular, check_zip
from relabel.training.model import DescriptorModel, model_from_config
from relabel.training.weights import load_failure, load_into

FORMAT = "relabel.checkpoint"
VERSION = 1
LAST = "last.pt"
"""Name of the newest checkpoint in the folder of a run."""

_PARTS = ("config", "labels", "description", "model", "optimizer", "sampler", "random", "threads", "progress")


def save_checkpoint(path: Path, parts: Mapping[str, Any]) -> None:
    """Write a checkpoint; an existing one is replaced atomically, and kept if this fails.

    Parameters
    ----------
    path:
        the file.
    parts:
        the entries that the docstring of the module lists, except format and version.

    Raises
    ------
    OutputError
        when it cannot be written.
    """
    state = {"format": FORMAT, "version": VERSION} | {name: parts[name] for name in _PARTS}
    with replacing(path, overwrite=True) as private, output_errors(path):
        try:
            with private.open("wb") as file:
                torch.save(state, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # torch says where its archive stands, and not why
                raise error.__context__ from None
            raise


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The parts of a checkpoint, with tensors on the CPU.

    Parameters
    ----------
    path:
        a checkpoint, or the folder of a run, whose newest checkpoint is read.

    Raises
    ------
    MissingFileError
        when there is none.
    InputError
        when it is damaged or is not a checkpoint.
    FormatTooNewError
        when a later version of relabel wrote it.
    """
    path = Path(path)
    if path.is_dir():
        path /= LAST
    check_regular(path)
    try:
        check_zip(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise MissingFileError(f"{path}: there is no such checkpoint") from None
    except InputError:
        raise
    except Exception as error:  # whatever a damaged archive makes torch raise
        raise InputError(f"{path}: cannot be read as a checkpoint: {load_failure(error)}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path}: is not a checkpoint of `relabel train`; pass bare weights as weights=…")
    if state.get("version") != VERSION:
        raise FormatTooNewError(f"{path}: has version {state.get('version')}; this program reads version {VERSION}")
    missing = [name for name in _PARTS if name not in state]
    if missing:
        raise InputError(f"{path}: is not a complete checkpoint; {missing[0]!r} is missing")
    return state


def load_model(path: str | os.PathLike[str], *, backbone: nn.Module | None = None) -> DescriptorModel:
    """The trained model of a checkpoint, on the CPU and in evaluation mode.

    Parameters
    ----------
    path:
        a checkpoint, or the folder of a run.
    backbone:
        the module, if the model was built from a module rather than a name.

    Raises
    ------
    MissingFileError, InputError, FormatTooNewError
        as for `load_checkpoint`; also when the weights do not fit the model.
    """
    state = load_checkpoint(path)
    if state["description"] is None:
        raise InputError(f"{path}: is of a model that relabel did not build; load its weights into one of your own")
    model = model_from_config(state["description"], backbone=backbone)
    load_into(model, state["model"], path)
    return model.eval()


def random_states(device: torch.device) -> dict[str, torch.Tensor]:
    """The states of the generators that a run draws from: the CPU's, and that of its GPU."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_states(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Restore the states that `random_states` returned."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
