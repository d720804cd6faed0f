"""Files of many collections: what tells of the whole file is looked up once, not once a collection."""

from __future__ import annotations

import cProfile
import pickle
import pstats
from collections.abc import Callable
from pathlib import Path

import pytest

import relabel
from relabel.errors import NotFoundError
from relabel.labelfile import LabelFile, pack, provenance, validate, write
from relabel.labelfile._hdf5_guards import heap_fault
from relabel.similarity import Similarity
from tests.similarities import similarity

ONE = similarity(3, 4, seed=1)
PACKAGE = Path(relabel.__file__).parent


def many(path: Path, count: int) -> Path:
    parts = {f"c{number:03}": ONE for number in range(count)}
    return write(path, parts, provenance=[provenance.step("test", {})], overwrite=True)


def calls(task: Callable[[], object]) -> int:
    """How often functions of relabel are called: unlike seconds, the same however busy the machine is."""
    heap_fault.cache_clear()
    profile = cProfile.Profile()
    profile.runcall(task)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    return sum(count for (file, _, _), (_, count, *_) in stats.items() if Path(file).is_relative_to(PACKAGE))


TASKS: dict[str, Callable[[Path], object]] = {
    "collections": lambda path: LabelFile(path).collections(),
    "dict": lambda path: dict(LabelFile(path)),
    "by name": lambda path: [labels[name] for labels in [LabelFile(path)] for name in labels],
    "validate": validate,
    "pack": lambda path: pack(path.with_suffix(".packed"), dict(LabelFile(path)), overwrite=True),
    "write": lambda path: write(path.with_suffix(".written"), dict(LabelFile(path)), overwrite=True),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_work_is_linear(task: Callable[[Path], object], tmp_path: Path) -> None:
    """Three times as many collections are about three times the work."""
    few, more = many(tmp_path / "few.h5", 8), many(tmp_path / "more.h5", 24)
    task(few)  # what is done once a process is not counted
    assert calls(lambda: task(more)) < 3.3 * calls(lambda: task(few))


class TestNames:
    """The names are kept for a file that stays the same."""

    def test_another_file_of_the_name(self, tmp_path: Path) -> None:
        """A file that was replaced has its own names and collections."""
        path = many(tmp_path / "a.h5", 2)
        labels = LabelFile(path)
        assert list(labels) == ["c000", "c001"]
        write(path, {"other": Similarity(ONE.collection, ONE.matrix)}, overwrite=True)
        assert list(labels) == ["other"]
        assert "c000" not in labels
        assert labels["other"].shape == (3, 4)
        with pytest.raises(NotFoundError, match="there is no collection 'c000'; there are other"):
            labels["c000"]

    def test_names_cannot_be_changed_from_outside(self, tmp_path: Path) -> None:
        """Nor are they lost on the way to another process."""
        labels = pickle.loads(pickle.dumps(LabelFile(many(tmp_path / "a.h5", 2))))
        labels._names().clear()
        assert list(labels) == ["c000", "c001"]
