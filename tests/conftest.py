"""Shared by all tests: where the real data is, and hypothesis settings that repeat."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("relabel", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relabel")

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("RELABEL_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real dataset copies; a test that asks for it is passed over where there is none."""
    if not DATA.is_dir():
        pytest.skip(f"no real data at {DATA}; set RELABEL_DATA")
    return DATA
