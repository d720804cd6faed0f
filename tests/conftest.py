"""Shared by all tests: where the real data is, and hypothesis settings that repeat."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import relabel
from relabel import jit, optional
from relabel.errors import MissingPackageError

settings.register_profile("relabel", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relabel")

REPOSITORY = Path(__file__).resolve().parent.parent
FULL = os.environ.get("RELABEL_FAULTS") == "full"
"""Whether what is slow is tested too, and every fault instead of a sample of them: `make test-faults`."""
LONG = ("docs/", "test_typing.py", "view/", "fit/", "test_benchmarks.py", "cli/", "training/")
"""Where tests take longest: they come first, so that in the end no worker is left with a long file of them."""
DATA = Path(os.environ.get("RELABEL_DATA", REPOSITORY.parent / "shared" / "data"))


def pytest_report_header() -> str:
    """Which relabel is tested."""
    return f"relabel: {Path(relabel.__file__).parent}"


def pytest_sessionstart() -> None:
    """Refuse to test the sources where `make test-wheel` means the installed package."""
    if os.environ.get("RELABEL_INSTALLED") and not Path(relabel.__file__).is_relative_to(sys.prefix):
        pytest.exit(f"{relabel.__file__} is tested, which is not the installed package", returncode=1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; all others stay in their order."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((k for k, long in enumerate(LONG) if path.startswith(long)), len(LONG))

    items.sort(key=place)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Ctrl-C and SIGHUP as at a terminal, here and in child processes: background jobs and nohup ignore them."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _shared_settings() -> dict[str, Any]:
    """What all tests of a process share, and what others may depend on: a test leaves it as it was."""
    logger = logging.getLogger("relabel")
    settings: dict[str, Any] = {"folder": Path.cwd(), "log level": logger.level, "log handlers": list(logger.handlers)}
    settings["numba threads"] = jit.current_threads()
    if "torch" in sys.modules:
        settings["torch threads"] = sys.modules["torch"].get_num_threads()
    return settings


@pytest.fixture(autouse=True)
def _leaves_no_trace() -> Iterator[None]:
    """A test that leaves a setting behind fails itself, instead of one that comes after it in some orders only."""
    before = _shared_settings()
    yield
    after = _shared_settings()
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed, f"left behind (before, after): {changed}"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real dataset copies; a test that asks for it is passed over where there is none."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; set RELABEL_DATA")
    return DATA


@pytest.fixture(scope="session")
def anndata() -> Any:
    """The package anndata; a test that asks for it is passed over where it is not installed."""
    return pytest.importorskip("anndata")


@pytest.fixture(scope="session")
def open3d() -> Any:
    """Open3D; a test that asks for it is passed over where it is not installed or does not load."""
    try:
        return optional.open3d("this test")
    except MissingPackageError as error:
        pytest.skip(str(error))
