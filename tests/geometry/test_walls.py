"""relabel.geometry.walls: what stands in the way, checked where it comes in."""

from __future__ import annotations

import numpy as np
import pytest

from relabel.errors import InputError
from relabel.geometry.walls import Walls

SQUARE = [(0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0), (0.0, 0.0)]


class TestOfLines:
    """relabel.geometry.walls.Walls.of_lines"""

    def test_rings_and_lines(self) -> None:
        """A building with a courtyard is one part of eight walls, a line of three points one of two."""
        court = (np.array(SQUARE) / 4.0 + 1.0).tolist()
        walls = Walls.of_lines([[SQUARE, court], [[(9, 9), (9, 8), (7, 8)]]], closed=[True, False], crs="EPSG:32636")
        assert len(walls) == 10
        assert walls.part.tolist() == [0] * 8 + [1] * 2
        assert walls.closed.tolist() == [True, False]
        assert walls.ends[0].tolist() == [0.0, 0.0, 4.0, 0.0]
        assert walls.ends[-1].tolist() == [9.0, 8.0, 7.0, 8.0]
        assert walls.crs == "EPSG:32636"

    def test_nothing(self) -> None:
        """No part at all, and parts without a wall, are fine."""
        assert len(Walls.of_lines([])) == 0
        assert len(Walls.of_lines([[], [[(1, 1)]]])) == 0


class TestWalls:
    """relabel.geometry.walls.Walls"""

    @pytest.mark.parametrize(
        ("ends", "part", "closed", "text"),
        [
            ([[0, 0, 1, np.nan]], [0], [True], "wall 0 .* not finite"),
            ([[0, 0, 1, 1]], [0, 0], [True], r"part has shape \(2,\)"),
            ([[0, 0, 1, 1]], [1], [True], "ascend from 0 to 0"),
            ([[0, 0, 1, 1], [0, 0, 1, 2]], [1, 0], [True, True], "ascend"),
        ],
    )
    def test_refused(self, ends: list[list[float]], part: list[int], closed: list[bool], text: str) -> None:
        """What the kernels could not stand."""
        with pytest.raises(InputError, match=text):
            Walls(np.array(ends, float), np.array(part), np.array(closed))
