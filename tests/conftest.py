"""Shared by all tests: where the real data is, and hypothesis settings that repeat."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from relabel import optional
from relabel.errors import MissingPackageError

settings.register_profile("relabel", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relabel")

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("RELABEL_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """Ctrl-C as at a terminal, here and in child processes: a job started in the background is told to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real dataset copies; a test that asks for it is passed over where there is none."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; set RELABEL_DATA")
    return DATA


@pytest.fixture(scope="session")
def open3d() -> Any:
    """Open3D; a test that asks for it is passed over where it is not installed or does not load."""
    try:
        return optional.open3d("this test")
    except MissingPackageError as error:
        pytest.skip(str(error))
