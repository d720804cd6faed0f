"""What this machine offers to relabel, and how to get what it lacks. Nothing in here raises."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from relabel._version import __version__
from relabel.cores import available_cores
from relabel.optional import open3d_libraries

REQUIRED = (
    "numpy",
    "scipy",
    "numba",
    "h5py",
    "deflate",
    "pyproj",
    "pyarrow",
    "shapely",
    "Pillow",
    "click",
    "tqdm",
    "matplotlib",
    "packaging",
)
_MODULES = {"Pillow": "PIL"}  # where a package is imported by another name
OPTIONAL = {
    "torch": "surface overlap on a GPU, and training code of your own: pip install 'relabel-vpr[torch]'",
    "torchvision": "the backbones of relabel train such as resnet50: pip install 'relabel-vpr[train]'",
    "open3d": "relabel sample 7scenes and relabel shared --export-ply: pip install 'relabel-vpr[open3d]'",
    "tornado": "relabel view: pip install 'relabel-vpr[view]'",
    "distributed": "labelling on a dask cluster: pip install 'relabel-vpr[cluster]'",
    "fsspec": "label files at URLs: pip install 'relabel-vpr[remote]'",
}


def examine() -> dict[str, Any]:
    """All findings as JSON values.

    Returns
    -------
    dict
        ``relabel``, ``python``, ``platform``: versions; ``packages``: version by name, or None where it is not
        installed, or ``broken: …`` where it does not load; ``hdf5``; ``threads``: processors this process may use,
        numba's threads and threading layer; ``kernel_cache``: folder and whether it is writable; ``gpu``: names;
        ``system_libraries``: whether each loads; ``advice``: one line for each thing to do.
    """
    packages = {name: _version(name) for name in (*REQUIRED, *OPTIONAL)}
    libraries = {name: _loads(name) for name in open3d_libraries()}
    cache = _probe(_kernel_cache, {"folder": None, "writable": False})
    return {
        "relabel": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": packages,
        "hdf5": _probe(lambda: str(importlib.import_module("h5py").version.hdf5_version), None),
        "threads": _probe(_threads, {"processors": available_cores(), "numba": None, "layer": None}),
        "kernel_cache": cache,
        "gpu": _probe(_gpus, []) if packages["torch"] else [],
        "system_libraries": libraries,
        "advice": _advice(packages, libraries, cache),
    }


def lines(findings: dict[str, Any]) -> list[str]:
    """The findings as text."""
    threads, cache = findings["threads"], findings["kernel_cache"]
    layer = threads["layer"] or "not known"
    packages = {
        name: version or ("missing" if name in REQUIRED else "not installed (optional)")
        for name, version in findings["packages"].items()
    }
    if findings["hdf5"]:
        packages["h5py"] += f" (HDF5 {findings['hdf5']})"
    rows = [
        ("relabel", findings["relabel"]),
        ("python", f"{findings['python']} on {findings['platform']}"),
        *packages.items(),
        ("threads", f"{threads['processors']} processors, numba {threads['numba']}, threading layer {layer}"),
        ("kernel cache", f"{cache['folder'] or 'none'} ({'writable' if cache['writable'] else 'not writable'})"),
        ("GPU", ", ".join(findings["gpu"]) or "none that torch can use"),
        *((name, "found" if there else "missing") for name, there in findings["system_libraries"].items()),
    ]
    width = max(len(name) for name, _ in rows)
    text = [f"{name.ljust(width)}  {value}" for name, value in rows]
    return [*text, "", *(f"- {line}" for line in findings["advice"])] if findings["advice"] else text


def missing_libraries() -> list[str]:
    """The Debian packages of the system libraries that Open3D needs and that do not load here."""
    return [package for library, package in open3d_libraries().items() if not _loads(library)]


def _advice(packages: dict[str, str | None], libraries: dict[str, bool], cache: dict[str, Any]) -> list[str]:
    advice = [
        f"{name} is {'not installed' if version is None else version}: reinstall relabel, with pip install relabel-vpr"
        for name, version in packages.items()
        if name in REQUIRED and (version is None or version.startswith("broken"))
    ]
    advice += [f"{name} is not installed; it is for {use}" for name, use in OPTIONAL.items() if packages[name] is None]
    if not cache["writable"]:
        advice.append("kernels are compiled again in every run: set NUMBA_CACHE_DIR to a writable folder")
    missing = [name for name, there in libraries.items() if not there]
    if missing and shutil.which("apt-get"):
        debian = open3d_libraries()
        advice.append(f"open3d needs system libraries: apt-get install {' '.join(debian[name] for name in missing)}")
    elif missing:
        advice.append(f"open3d needs system libraries that do not load here: {', '.join(missing)}")
    return advice


def _probe(examine: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return examine()
    except Exception:  # a doctor reports what is broken and does not break with it
        return otherwise


def _version(name: str) -> str | None:
    """The version of a package that loads; optional ones are only looked up, since they take seconds to load."""
    try:
        version = importlib.metadata.version(name)
        if name not in OPTIONAL:
            importlib.import_module(_MODULES.get(name, name))
    except importlib.metadata.PackageNotFoundError:
        return None
    except Exception as error:  # a damaged install can raise anything
        return f"broken: {error}"
    return version


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _threads() -> dict[str, Any]:
    numba: Any = importlib.import_module("numba")

    def total(values: Any) -> Any:
        result = 0.0
        for i in numba.prange(values.shape[0]):
            result += values[i]
        return result

    threads = {"processors": available_cores(), "numba": numba.get_num_threads(), "layer": None}

    def layer() -> str:
        # numba chooses the layer when a parallel loop first runs
        numba.njit(parallel=True)(total)(importlib.import_module("numpy").ones(8))
        return str(numba.threading_layer())

    threads["layer"] = _probe(layer, None)
    return threads


def _kernel_cache() -> dict[str, Any]:
    numba: Any = importlib.import_module("numba")

    def nothing() -> None:
        pass

    folder = Path(numba.njit(cache=True)(nothing).stats.cache_path)  # raises where numba finds no place
    nearest = next(place for place in (folder, *folder.parents) if place.exists())
    return {"folder": str(folder), "writable": os.access(nearest, os.W_OK)}


def _gpus() -> list[str]:
    torch = importlib.import_module("torch")
    return [str(torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count())]
