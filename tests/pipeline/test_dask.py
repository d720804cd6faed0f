"""A job on a real Dask cluster, one worker of which is killed in the middle of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relabel.pipeline.fov_part import FovPart
from relabel.pipeline.run import label
from tests.pipeline.cluster import cluster
from tests.pipeline.readers import Rows, write_rows

pytest.importorskip("distributed", reason="distributed is not installed (the extra cluster)")


def test_a_worker_is_killed(tmp_path: Path) -> None:
    """What it was computing is computed by the other one, and the bytes are those of a run in one process."""
    write_rows(tmp_path / "town.csv", queries=100, database=120)
    parts = (FovPart(Rows(tmp_path)),)
    label(parts, tmp_path / "whole.h5")
    finished: list[int] = []
    with cluster(tmp_path) as dask:

        @contextmanager
        def bar(_name: str, _total: int | None) -> Iterator[Callable[[int], object]]:
            def progress(rows: int) -> None:
                finished.append(rows)
                if len(finished) == 1:
                    dask.workers[0].kill()

            yield progress

        result = label(parts, tmp_path / "x.h5", executor=f"dask:{dask.address}", block_rows=12, bar=bar)
    assert result.parts[0].blocks == len(finished) == 7
    assert sum(finished) == 100
    assert (tmp_path / "x.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert not (tmp_path / "x.h5.parts").exists()
