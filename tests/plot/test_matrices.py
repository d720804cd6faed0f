"""Matrices of sequences, compared with the dense matrix in the order of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel import plot
from relabel.cameras import Cameras
from relabel.errors import InputError, NotFoundError
from relabel.plot import matrices
from relabel.similarity import Similarity
from tests.similarities import similarity
from tests.view.labels import small_city

Axes = Callable[..., Any]


def in_sequences(cameras: Cameras, seed: int) -> Cameras:
    """The cameras in three sequences, in no order."""
    rng = np.random.default_rng(seed)
    names = np.array(["x", "y", "z"])[rng.integers(0, 3, len(cameras))]
    return replace(cameras, extra={"sequence": names, "frame": rng.permutation(len(cameras))})


def labels(*, self_pairs: bool) -> Similarity:
    psi = similarity(30, 40, seed=6, self_pairs=self_pairs)
    c = psi.collection
    query = in_sequences(c.query, 1)
    database = query if self_pairs else in_sequences(c.database, 2)
    return Similarity(replace(c, query=query, database=database), psi.matrix)


def ordered(cameras: Cameras, rows: Any) -> list[int]:
    return sorted(rows, key=lambda row: (cameras.extra["sequence"][row], cameras.extra["frame"][row]))


@pytest.mark.parametrize("sequence", [None, "y"])
@pytest.mark.parametrize("self_pairs", [False, True])
def test_values(axes: Axes, self_pairs: bool, sequence: str | None) -> None:
    """Rows and columns in the order of time; unknown pairs are masked, and an ok camera is 1 with itself."""
    psi = labels(self_pairs=self_pairs)
    c, dense = psi.collection, psi.matrix.toarray()
    rows = ordered(c.query, [i for i in range(30) if sequence in (None, c.query.extra["sequence"][i])])
    columns = rows
    if not self_pairs:
        there = range(40) if sequence is None else np.flatnonzero(dense[rows].any(axis=0))
        columns = ordered(c.database, there)
    else:
        np.fill_diagonal(dense, 1.0)
    [image] = plot.matrix(psi, sequence, ax=axes()).images
    known = c.query.ok[rows][:, None] & c.database.ok[columns]
    drawn = image.get_array()
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn), ~known)
    np.testing.assert_array_equal(drawn.data[known], dense[np.ix_(rows, columns)][known])


def test_many_share_a_cell(axes: Axes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of neighbours that share a cell the largest ψ is drawn, and the labels say how many share one."""
    monkeypatch.setattr(matrices, "_CELLS", 8)
    psi = labels(self_pairs=False)
    c, dense = psi.collection, psi.matrix.toarray()
    ax = plot.matrix(psi, ax=axes())
    rows, columns = ordered(c.query, range(30)), ordered(c.database, range(40))
    padded = np.zeros((32, 40))
    padded[:30] = dense[np.ix_(rows, columns)]
    drawn = ax.images[0].get_array()
    np.testing.assert_array_equal(drawn.data, padded.reshape(8, 4, 8, 5).max(axis=(1, 3)))
    assert ax.get_ylabel().endswith(", 4 per cell")
    assert ax.get_xlabel().endswith(", 5 per cell")


def test_wrong(axes: Axes) -> None:
    """A sequence that is not there, or cameras that know none."""
    with pytest.raises(NotFoundError, match="no sequence 'w' of queries; there are x, y, z"):
        plot.matrix(labels(self_pairs=True), "w", ax=axes())
    with pytest.raises(InputError, match="no column 'sequence'"):
        plot.matrix(similarity(), "w", ax=axes())


def test_extremes(axes: Axes, tmp_path: Path) -> None:
    """One camera, no camera, no pair, nothing known: all are drawn."""
    for stored in small_city(tmp_path / "small.h5"):
        plot.matrix(stored, ax=axes()).figure.draw_without_rendering()
