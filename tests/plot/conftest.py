"""Axes to draw on that no window ever shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from relabel.figures import style
from tests.cli.conftest import here, labels, one, run, similarities  # noqa: F401  fixtures


@pytest.fixture
def axes() -> Iterator[Callable[..., Any]]:
    """New axes in the style of the package."""
    with mpl.rc_context():

        def make(*, dark: bool = False) -> Any:
            mpl.rcParams.update(style(dark=dark))
            return Figure(layout="constrained").add_subplot()

        yield make
