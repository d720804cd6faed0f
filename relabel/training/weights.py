"""Weights from a file: read without running code that it may hold, and checked name by name before they are used."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from relabel.errors import InputError, MissingFileError
from relabel.input_files import check_regular, check_zip

State = Mapping[str, Tensor]

_DICTIONARIES = ("model", "model_state_dict", "state_dict")
# Parts of names that torch.compile and the wrappers of distributed training put in, wherever a layer was wrapped.
_WRAPPERS = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
_PARALLEL = "module."
_OPTIONAL = "num_batches_tracked"  # files of PyTorch before 1.0 have none, and it is set when they are loaded
_NUMBERED = re.compile(r"\d+\.")


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote, on the CPU, by name.

    Dictionaries, also nested ones, that hold them under ``model``, ``model_state_dict`` or ``state_dict`` are
    unwrapped, and the prefixes of `torch.compile` and parallel wrappers (``_orig_mod.``, ``module.``) are removed from
    names.

    Raises
    ------
    MissingFileError
        when there is no such file.
    InputError
        when it is damaged, holds more than tensors and plain values, or holds no tensors by name.
    """
    path = Path(path)
    check_regular(path)
    try:
        check_zip(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(f"{path}: there is no such file of weights") from None
    except InputError:
        raise
    except Exception as error:  # whatever a damaged pickle or archive makes of itself
        raise InputError(
            f"{path}: cannot be read as weights ({load_failure(error)}); save them with "
            "torch.save(model.state_dict(), FILE)"
        ) from None
    while isinstance(tensors, Mapping):
        inner = (tensors[name] for name in _DICTIONARIES if isinstance(tensors.get(name), Mapping))
        opened = next(inner, None)
        if opened is None:
            break
        tensors = opened
    if not isinstance(tensors, Mapping) or not tensors or not all(isinstance(name, str) for name in tensors):
        raise InputError(f"{path}: holds no named tensors; save them with torch.save(model.state_dict(), FILE)")
    other = next((name for name, value in tensors.items() if not isinstance(value, Tensor)), None)
    if other is not None:
        raise InputError(
            f"{path}: {other!r} is a {type(tensors[other]).__name__}, not a tensor; save a state_dict alone"
        )
    state = without_wrappers(tensors)
    while all(name.startswith(_PARALLEL) for name in state):
        state = without_prefix(state, _PARALLEL)
    return state


def without_wrappers(state: State) -> dict[str, Tensor]:
    """The tensors without the parts of their names that `torch.compile` and distributed training put in."""
    return {_WRAPPERS.sub("", name): tensor for name, tensor in state.items()}


def without_common_parts(state: State) -> Iterator[dict[str, Tensor]]:
    """The tensors as they are named, then without the first part of all names where they share it, and so on.

    A network that was trained as a part of another, as with Lightning, is saved as ``model.conv1.weight``.
    """
    while True:
        yield dict(state)
        first = {name.partition(".")[0] for name in state}
        if len(first) != 1 or not all("." in name for name in state):
            return
        state = without_prefix(state, f"{first.pop()}.")


def load_failure(error: Exception) -> str:
    """Why `torch.load` could not read a file, in one line, without its advice to run the code in the file."""
    if isinstance(error, UnpicklingError):
        return "it was not written by torch.save, or holds more than tensors and plain values"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def first_difference(expected: State, state: State, *, spare: Iterable[str] = ()) -> str | None:
    """The first tensor in which weights do not match those of a model, as a sentence; None if all match.

    Parameters
    ----------
    expected, state:
        the ``state_dict`` of the model and that of the file; names and shapes are compared.
    spare:
        prefixes of additional names that the file may have.
    """
    for name, tensor in expected.items():
        if name not in state:
            if name.endswith(_OPTIONAL):
                continue
            return f"it has no tensor {name!r}, which is {tuple(tensor.shape)} in this model"
        if state[name].shape != tensor.shape:
            return f"tensor {name!r} is {tuple(state[name].shape)} in it and {tuple(tensor.shape)} in this model"
    beginnings = tuple(spare)
    for name, tensor in state.items():
        if name not in expected and not (beginnings and name.startswith(beginnings)):
            return f"it has a tensor {name!r} of {tuple(tensor.shape)}, which this model does not have"
    return None


def load_into(module: nn.Module, state: State, where: object, *, spare: Iterable[str] = ()) -> None:
    """Copy weights into a module once all of their names and shapes are known to fit.

    Parameters
    ----------
    module, state:
        the module, and its tensors by name; either may be wrapped, see `without_wrappers`.
    where:
        name of the source of the weights, for error messages.
    spare:
        prefixes of names that are left out, such as those of a classification head.

    Raises
    ------
    InputError
        when they belong to another model; the message names the first tensor that differs.
    """
    expected, state = module.state_dict(), without_wrappers(state)
    own = {_WRAPPERS.sub("", name): name for name in expected}
    difference = first_difference(without_wrappers(expected), state, spare=spare)
    if difference is not None:
        raise InputError(f"{where}: these are weights of another model: {difference}")
    module.load_state_dict({own[name]: state[name] for name in own if name in state})


def named_as(backbone: nn.Module, state: State) -> dict[str, Tensor]:
    """The tensors of a backbone whose layers were numbered, under the names that its layers have here.

    Other code, that of the generalized contrastive loss among it, numbers the layers of a network that was cut:
    ``4.0.conv1.weight`` is ``layer1.0.conv1.weight``.
    """
    layers = [name for name, _ in backbone.named_children()]
    if not all(_NUMBERED.match(name) for name in state) or any(layer.isdigit() for layer in layers):
        return dict(state)
    if layers == ["features"]:
        return {f"features.{name}": tensor for name, tensor in state.items()}
    numbers = {str(number): layer for number, layer in enumerate(layers)}
    split = ((*name.partition("."), tensor) for name, tensor in state.items())
    return {f"{numbers.get(first, first)}.{rest}": tensor for first, _, rest, tensor in split}


def without_prefix(state: State, prefix: str) -> dict[str, Tensor]:
    """Only the tensors whose name has the prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
