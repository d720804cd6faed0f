"""A tree of three cities, and label jobs over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from relabel.fov.params import FovParams
from relabel.pipeline.fov_part import FovPart
from tests.pipeline.jobs import msls_parts
from tests.trees import Row, msls_tree, street

CITIES = ("amman", "goa", "zurich")


@pytest.fixture(scope="session", autouse=True)
def _no_clock() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOURCE_DATE_EPOCH", raising=False)
        yield


def turning(n: int, **columns: Any) -> list[Row]:
    """A street whose cameras look into different directions, so that all overlaps differ."""
    return [row | {"ca": 50.0 + 25.0 * i} for i, row in enumerate(street(n, **columns))]


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MSLS tree of three small cities that differ; not to be changed."""
    top = tmp_path_factory.mktemp("tree")
    for number, city in enumerate(CITIES):
        step = 10.0 + 3.0 * number
        msls_tree(top, city=city, query=turning(6, step_m=step), database=turning(7, prefix="d", step_m=step))
    return top


@pytest.fixture
def root(tree: Path, tmp_path: Path) -> Path:
    """The same tree, to be changed."""
    return Path(shutil.copytree(tree, tmp_path / "msls"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder to write to."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def parts(root: Path) -> Callable[..., tuple[FovPart, ...]]:
    """The parts of the tree, with options of the overlap."""

    def make(cities: str | None = None, **options: Any) -> tuple[FovPart, ...]:
        return msls_parts(root, cities, params=FovParams(**options))[0]

    return make
