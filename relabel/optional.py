"""Optional packages, loaded where they are needed, with what to do where they are not there."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import warnings
from typing import Any

from relabel.errors import MissingPackageError

EXTRAS = {
    "torch": "torch",
    "torchvision": "train",
    "open3d": "open3d",
    "tornado": "view",
    "distributed": "cluster",
    "fsspec": "remote",
}
"""The extra of relabel-vpr that installs each optional package."""

# What the Linux wheels of open3d link against and slim systems lack, with the Debian package of each.
_LINUX_LIBRARIES = {
    "libusb-1.0.so.0": "libusb-1.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgomp.so.1": "libgomp1",
    "libX11.so.6": "libx11-6",
}


def install(name: str, extra: str | None = None) -> str:
    """The command that installs an optional package, for an error; by another extra than its own where one is named."""
    return f"pip install 'relabel-vpr[{extra or EXTRAS[name]}]'"


def check_installed(name: str, what: str, *, extra: str | None = None, otherwise: str = "") -> None:
    """Refuse what needs an optional package that is not installed, without the seconds that loading it takes.

    Parameters
    ----------
    name:
        its module.
    what:
        the beginning of a sentence: who needs it.
    extra:
        the extra to install; by default the least that has the package.
    otherwise:
        what to do instead, behind the advice to install it.

    Raises
    ------
    MissingPackageError
        when it is not there. One that is there may fail to load all the same.
    """
    if importlib.util.find_spec(name) is None:
        advice = install(name, extra) if name in EXTRAS else f"pip install {name}"
        raise MissingPackageError(f"{what} needs {name}: {advice}{otherwise}")


def package(name: str, what: str, remedy: str) -> Any:
    """An optional package.

    Parameters
    ----------
    name:
        its module.
    what:
        the beginning of a sentence: who needs it.
    remedy:
        how to get it, for example ``pip install pandas``.

    Raises
    ------
    MissingPackageError
        when it is not installed, or does not load.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        raise MissingPackageError(
            f"{what} needs the package {name}, which cannot be loaded ({error}): {remedy}"
        ) from None


def open3d_libraries() -> dict[str, str]:
    """The libraries that Open3D takes from this system, with the Debian package of each; none but on Linux."""
    return _LINUX_LIBRARIES if platform.system() == "Linux" else {}


def open3d(what: str) -> Any:
    """The package Open3D.

    Parameters
    ----------
    what:
        the beginning of a sentence: who needs it, for example ``--export-ply``.

    Raises
    ------
    MissingPackageError
        when it is not installed, or does not load for lack of a system library.
    """
    # Open3D brings a TBB of its own, which numba finds in the process, is not content with, and leaves alone.
    warnings.filterwarnings("ignore", message="The TBB threading layer requires")
    try:
        return importlib.import_module("open3d")
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{what} needs the package {error.name}: pip install 'relabel-vpr[open3d]'") from None
    except (ImportError, OSError) as error:
        packages = " ".join(open3d_libraries().values())
        raise MissingPackageError(
            f"{what} needs Open3D, which is installed but does not load ({error}); "
            + (
                f"on Debian and Ubuntu, its libraries come with: apt-get install {packages}"
                if packages
                else "reinstall it"
            )
        ) from None
