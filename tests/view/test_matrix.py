"""The image of ψ, against h5py and loops."""

from __future__ import annotations

import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from relabel.labelfile import StoredCollection
from relabel.view import matrix as matrices
from relabel.view.jobs import Jobs, Progress
from relabel.view.matrix import matrix
from tests.similarities import similarity
from tests.view.labels import copy_of
from tests.view.test_scene import stored


def read_directly(one: StoredCollection) -> np.ndarray:
    """ψ of all pairs from the arrays of the file; NaN where it is unknown, and of a camera with itself."""
    with h5py.File(copy_of(one.path)) as file:
        group = file[one.name]
        indptr, indices, data = (group["similarity"][name][()] for name in ("indptr", "indices", "data"))
        ok = [group[side]["status"][()] == 0 for side in ("queries", "database")]
        self_pairs = bool(group.attrs["self_pairs"])
    dense = np.where(np.outer(*ok), 0.0, np.nan)
    for row in range(len(indptr) - 1):
        for at in range(indptr[row], indptr[row + 1]):
            dense[row, indices[at]] = data[at]
    if self_pairs:
        np.fill_diagonal(dense, np.nan)
    return dense


@pytest.mark.parametrize("self_pairs", [False, True])
@pytest.mark.parametrize("cells", [7, 100])
@pytest.mark.parametrize(("rows", "columns"), [((0, 40), (0, 40)), ((3, 29), (11, 12)), ((39, 40), (0, 40))])
def test_cells_are_those_of_the_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    self_pairs: bool,
    cells: int,
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> None:
    """The largest and the mean of the known pairs of each square, absent ones as 0; NaN where nothing is known."""
    monkeypatch.setattr(matrices, "CELLS", cells)
    [one] = stored(tmp_path / "labels.h5", a=similarity(40, 40, self_pairs=self_pairs))
    read: list[int] = []
    arrays, value = matrix(one, rows, columns, read.append)
    step = value["step"]
    part = read_directly(one)[slice(*rows), slice(*columns)]
    assert np.isnan(part).any()
    assert list(arrays["max"].shape) == value["shape"] == [-(-size // step) for size in part.shape]
    assert max(value["shape"]) <= cells
    assert sum(read) == rows[1] - rows[0]
    for i in range(value["shape"][0]):
        for j in range(value["shape"][1]):
            square = part[i * step : (i + 1) * step, j * step : (j + 1) * step]
            square = square[~np.isnan(square)]
            expected = (square.max(), square.mean()) if square.size else (np.nan, np.nan)
            assert (arrays["max"][i, j], arrays["mean"][i, j]) == pytest.approx(expected, nan_ok=True, abs=1e-6)


class TestJobs:
    """relabel.view.jobs"""

    def test_newer_ones_stop_older_ones(self) -> None:
        """The job that is dropped ends at its next block; one that waits never begins; asking again is no new job."""
        jobs: Jobs[str] = Jobs(2)
        running, going = threading.Event(), threading.Event()
        steps: list[str] = []

        def slow(progress: Progress) -> str:
            running.set()
            going.wait()
            progress(1)
            steps.append("slow")
            return "slow"

        first = jobs.ask("a", slow)
        running.wait()
        jobs.ask("b", lambda _: steps.append("b") or "b")
        assert jobs.ask("a", slow) is first
        third = jobs.ask("c", lambda _: "c")  # b was asked for longest ago
        fourth = jobs.ask("d", lambda _: "d")
        going.set()
        assert (third.future.result(), fourth.future.result(), steps) == ("c", "d", [])
        assert first.future.exception() is not None
        jobs.close()
