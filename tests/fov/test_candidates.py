"""The search for candidates against all pairs, one by one, whatever the ranges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.fov import candidates
from relabel.fov.candidates import candidate_pairs, cell_grid, query_blocks

Circles = npt.NDArray[np.float64]


def one_by_one(query: Circles, database: Circles) -> list[tuple[int, int]]:
    """All pairs of circles that share more than a point, row by row."""
    return [
        (i, j)
        for i, (x, y, r) in enumerate(query.tolist())
        for j, (u, v, s) in enumerate(database.tolist())
        if (u - x) * (u - x) + (v - y) * (v - y) < (s + r) * (s + r)
    ]


def searched(query: Circles, database: Circles, budget: int) -> list[tuple[int, int]]:
    """The same by the grid, in blocks of that budget."""
    grid = cell_grid(query, database)
    pairs: list[tuple[int, int]] = []
    for start, stop in query_blocks(grid.bounds, budget):
        ends, rows, columns = candidate_pairs(grid, start, stop)
        assert (np.diff(ends) <= grid.bounds[start:stop]).all()
        assert np.diff(ends).tolist() == np.bincount(rows - start, minlength=stop - start).tolist()
        pairs += zip(rows.tolist(), columns.tolist(), strict=True)
    return pairs


def circles(most: int = 25) -> st.SearchStrategy[Circles]:
    """Circles whose ranges differ by up to nine powers of ten, 0 among them, many in one place or on a border."""
    place = st.sampled_from([0.0, 50.0, 100.0, -1e5]) | st.floats(-300.0, 300.0) | st.floats(-2e5, 2e5)
    radius = st.sampled_from([0.0, 1e-4, 12.5, 50.0, 50.0, 200.0, 1e5]) | st.floats(0.0, 300.0)
    return st.lists(st.tuples(place, place, radius), max_size=most).map(lambda rows: np.array(rows).reshape(-1, 3))


@pytest.mark.kernels
class TestCandidates:
    """`cell_grid` and `candidate_pairs`."""

    @given(circles(), circles(), st.sampled_from([1, 40, 10**6]))
    def test_all_pairs(self, query: Circles, database: Circles, budget: int) -> None:
        """Each pair once, in the order of rows and columns, for every size of block."""
        assert searched(query, database, budget) == one_by_one(query, database)

    @given(circles(40))
    def test_more_sizes_than_grids(self, both: Circles) -> None:
        """The last grid takes the rest."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(candidates, "_MOST_SIZES", 2)
            assert searched(both, both, 10**6) == one_by_one(both, both)

    def test_nothing_without_extent(self) -> None:
        """Points in one place share no more than a point."""
        points = np.zeros((3, 3))
        assert searched(points, points, 10) == []

    def test_work_follows_the_pairs(self) -> None:
        """One camera with a range of 100 km among many: what is looked at stays near the number of pairs."""
        side = 60
        x, y = (axis.ravel() * 1000.0 for axis in np.meshgrid(np.arange(side), np.arange(side)))
        street = np.column_stack([x, y, np.full(side * side, 50.0)])
        street[17, 2] = 1e5
        grid = cell_grid(street, street)
        pairs = candidate_pairs(grid, 0, len(street)).ends[-1]
        assert pairs == 3 * side * side - 2  # each with itself, and the far one with all both ways
        assert grid.bounds.sum() <= 3 * pairs

    def test_one_size_is_one_grid(self) -> None:
        """Ranges within a factor of four share it: cameras stand in `order` once."""
        circle = np.column_stack([np.arange(100.0), np.zeros(100), np.linspace(26.0, 100.0, 100)])
        grid = cell_grid(circle, circle)
        assert len(grid.order) == 100
        assert grid.runs.shape[1:] == (3, 2)
