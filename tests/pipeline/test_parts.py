"""What a job would cost: counted from the data, and nothing computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from relabel import fov
from relabel.datasets.msls import city as msls
from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.parts import estimates
from relabel.pipeline.run import label
from relabel.synthetic.msls import write_tree
from tests.pipeline.conftest import CITIES
from tests.pipeline.jobs import msls_parts
from tests.trees import edit

Parts = Callable[..., tuple[FovPart, ...]]


class TestEstimates:
    """relabel.pipeline.parts.estimates"""

    def test_counts(self, parts: Parts, root: Path) -> None:
        """Candidates are those of the overlap itself; rows and those that can be labelled are told apart."""
        edit(root / "train_val/goa/query/raw.csv", "False", "True", count=2)
        found = estimates(parts(), threads=1)
        assert [estimate.name for estimate in found] == list(CITIES)
        for estimate in found:
            city = msls.read(root, city=estimate.name)
            assert estimate.candidates == fov.source(city.query, city.database).candidates() > 0
            assert (estimate.queries, estimate.database) == (6, 7)
            assert estimate.labelled_queries == (4 if estimate.name == "goa" else 6)
            assert estimate.labelled_database == 7

    def test_options_count(self, parts: Parts) -> None:
        """A shorter range leaves fewer candidates."""
        wide, narrow = (estimates(parts("amman", radius_m=radius))[0].candidates for radius in (50.0, 5.0))
        assert wide > narrow

    def test_no_pair_is_missed(self, tmp_path: Path) -> None:
        """Every pair that the file will hold is a candidate, and the size of the file is met within a factor."""
        write_tree(tmp_path / "tree", cameras=600, seed=1)
        parts, _ = msls_parts(tmp_path / "tree", None)
        (estimate,) = estimates(parts)
        label(parts, tmp_path / "x.h5")
        ((_, stored),) = _collections(tmp_path / "x.h5")
        assert stored <= estimate.candidates <= 4 * stored
        assert 0.3 < estimate.output_bytes / (tmp_path / "x.h5").stat().st_size < 3.0
        assert estimate.memory_bytes > estimate.output_bytes

    def test_nothing_is_computed(self, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
        """Only candidates are counted."""
        monkeypatch.setattr(fov.FovOverlap, "blocks", lambda _: pytest.fail("an overlap was computed"))
        assert len(estimates(parts())) == len(CITIES)


def _collections(path: Path) -> list[tuple[str, int]]:
    from relabel.labelfile import LabelFile

    labels = LabelFile(path)
    return [(name, labels[name].nnz) for name in labels]
