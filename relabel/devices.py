"""The device that is computed on: the CPU, or a GPU that is reached through torch.

torch is loaded only where a GPU is asked for, or may well be there.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import logging
from pathlib import Path
from typing import Any, Literal, get_args

from relabel.errors import MissingPackageError, OptionError

Device = Literal["cpu", "cuda"]

DeviceChoice = Literal["auto", "cpu", "cuda"]
DEVICES: tuple[DeviceChoice, ...] = get_args(DeviceChoice)

log = logging.getLogger(__name__)


def chosen(device: str) -> Device:
    """The device to compute on: the one asked for, or for ``auto`` a GPU that torch can use, else the CPU.

    Parameters
    ----------
    device:
        ``auto``, ``cpu`` or ``cuda``.

    Raises
    ------
    OptionError
        when the name is not known, or torch finds no GPU where one is asked for.
    MissingPackageError
        when a GPU is asked for and torch is not installed, or does not load.
    """
    if device not in DEVICES:
        raise OptionError(f"device {device!r} is not known; choose {', '.join(DEVICES)}")
    if device == "cpu":
        return "cpu"
    if device == "auto":
        # Loading torch takes seconds, to be spent only where there may be something to find.
        if not _driver_loads() or importlib.util.find_spec("torch") is None:
            return "cpu"
        try:
            return "cuda" if load_torch().cuda.is_available() else "cpu"
        except MissingPackageError as error:
            log.warning("%s; going on without a GPU", error)
            return "cpu"
    torch = load_torch()
    if not torch.cuda.is_available():
        why = (
            "torch finds no GPU: see what nvidia-smi says and whether CUDA_VISIBLE_DEVICES hides it"
            if torch.version.cuda or torch.version.hip
            else f"torch {torch.__version__} is built without CUDA: install a build with it, see pytorch.org"
        )
        raise OptionError(f"device cuda is asked for, but {why}; or go on with --device cpu")
    return "cuda"


def load_torch() -> Any:
    """The package torch.

    Raises
    ------
    MissingPackageError
        when it is not installed, or does not load.
    """
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        if error.name == "torch":
            raise MissingPackageError(
                "torch is not installed, and a GPU is reached through it: pip install 'relabel-vpr[torch]', "
                "or go on with --device cpu"
            ) from None
        raise _broken(error) from error
    except (ImportError, OSError) as error:
        raise _broken(error) from error


def _broken(error: Exception) -> MissingPackageError:
    return MissingPackageError(
        f"torch is installed but does not load ({error}): install it again, or go on with --device cpu"
    )


def _driver_loads() -> bool:
    """Whether the driver of an NVIDIA GPU can be loaded, or the kernel has one for AMD's."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True
