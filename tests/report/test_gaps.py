"""ψ against the time between two images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.report.distributions import distributions
from tests.view.labels import labels_of, row_of_cameras
from tests.view.test_scene import stored


def gaps(tmp_path: Path, *, query: dict[str, Any], database: dict[str, Any]) -> dict[str, Any] | None:
    """Of two queries and four database cameras with these columns."""
    psi = [[0.9, 0.6, 0.3, 0.1], [0.8, 0.0, 0.5, 0.0]]
    labels = labels_of(row_of_cameras(2, "q", extra=query), row_of_cameras(4, "d", extra=database), psi)
    [one] = stored(tmp_path / "labels.h5", a=labels)
    found: dict[str, Any] | None = distributions(one)["gaps"]
    return found


def test_frames_of_a_sequence(tmp_path: Path) -> None:
    """Steps double; pairs of two sequences, and those with an empty one, are counted and left out."""
    found = gaps(
        tmp_path,
        query={"sequence": np.array(["s", "t"]), "frame": np.array([10, 0])},
        database={"sequence": np.array(["s", "s", "t", ""]), "frame": np.array([10, 15, 3, 0])},
    )
    assert found is not None
    # q0: d0 0 frames apart, d1 5, d2 of another sequence, d3 of none; q1: d0 of another, d2 3 frames apart.
    assert (found["unit"], found["of_two_sequences"], found["without"]) == ("frames", 2, 1)
    assert found["edges"] == [0.0, 2.0, 4.0, 8.0]
    assert np.nonzero(found["pairs"]) == pytest.approx(np.array([[0, 1, 2], [9, 5, 6]]))
    assert found["mean"] == pytest.approx([0.9, 0.5, 0.6])


def test_times(tmp_path: Path) -> None:
    """Times come before frames, and need no sequence."""
    times = {"time_s": np.array([100.0, 0.0])}, {"time_s": np.array([100.05, 160.0, np.nan, 100.0])}
    found = gaps(tmp_path, query=times[0], database=times[1])
    assert found is not None
    # 0.05 s, 60 s, unknown and 0 s; 100.05 s, unknown. A step of 1/16 s has doubled nine times at 32 s, ten at 64.
    assert (found["unit"], found["of_two_sequences"], found["without"]) == ("s", 0, 2)
    assert found["edges"][-2:] == [64.0, 128.0]
    assert np.sum(found["pairs"], axis=1).tolist() == [2, *[0] * 8, 1, 1]
    assert found["mean"][9:] == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("columns", [{}, {"frame": np.zeros(4)}, {"sequence": np.array(list("abcd"))}])
def test_without_times(tmp_path: Path, columns: dict[str, Any]) -> None:
    """Nothing where there is no time, or only one of sequence and frame."""
    assert gaps(tmp_path, query={name: column[:2] for name, column in columns.items()}, database=columns) is None
