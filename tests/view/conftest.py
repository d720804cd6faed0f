"""What the tests of the page have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.view.browsing import started_browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of a module."""
    with started_browser() as started:
        yield started
