"""A tree of three cities, and label jobs over it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relabel.pipeline.parts import FovOptions, MslsPart, msls_parts
from tests.trees import msls_tree, street

CITIES = ("amman", "goa", "zurich")


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An MSLS tree of three small cities that differ."""
    top = tmp_path / "msls"
    for number, city in enumerate(CITIES):
        step = 10.0 + 3.0 * number
        msls_tree(top, city=city, query=street(6, step_m=step), database=street(7, prefix="d", step_m=step))
    return top


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to write to."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def parts(root: Path) -> Callable[..., tuple[MslsPart, ...]]:
    """The parts of the tree, with options of the overlap."""

    def make(cities: str | None = None, **options: Any) -> tuple[MslsPart, ...]:
        return msls_parts(root, cities, options=FovOptions(**options))[0]

    return make
