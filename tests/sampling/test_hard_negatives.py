"""Absent cameras at a distance, against all distances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relabel.cameras import Cameras
from relabel.errors import OptionError
from relabel.geometry import earth
from relabel.sampling import hard_negatives
from relabel.sampling.pair_table import PairTable
from relabel.similarity import Similarity
from relabel.training import GradedPairSampler
from tests.sampling.dense import band_matrix, stored
from tests.similarities import similarity


def hard_negatives_of(psi: Similarity, distance_range: tuple[float, float]) -> list[list[int]]:
    """Database cameras that are the hard negatives of each query."""
    table = PairTable(psi, distance_range).table
    return [
        table.database[table.hard_columns[a:b]].tolist()
        for a, b in zip(table.hard_indptr, table.hard_indptr[1:], strict=False)
    ]


class TestAbsentInRing:
    @pytest.mark.parametrize("distance_range", [(0.0, 25.0), (25.0, 50.0), (0.0, 1e5), (12.5, 13.0)])
    @pytest.mark.parametrize("self_pairs", [False, True])
    @pytest.mark.parametrize("block", [1, 7, 1 << 20])
    def test_agrees_with_all_distances(self, distance_range, self_pairs, block, monkeypatch):
        """With both radii inclusive, in blocks of any size, and without cameras that are not ok."""
        monkeypatch.setattr("relabel.sampling.hard_negatives._BLOCK", block)
        psi = similarity(40, 50, seed=21, self_pairs=self_pairs)
        bands = band_matrix(psi, distance_range)
        assert hard_negatives_of(psi, distance_range) == [np.flatnonzero(row == 2).tolist() for row in bands]

    def test_radii_are_inclusive(self):
        """Cameras stand at exactly 10, 20 and 30 m."""
        assert hard_negatives_of(stored([[0.0] * 5]), (10.0, 30.0)) == [[1, 2, 3]]

    def test_on_the_earth(self):
        """Across the antimeridian two cameras are near each other, whatever their position on a map says."""
        lon_lat = np.array([[179.9999, 0.0], [-179.9999, 0.0], [179.0, 0.0]])
        cameras = Cameras(key=["a", "b", "c"], position=lon_lat * 1e5, heading_deg=[0.0, 0.0, 0.0])
        cameras = earth.with_lon_lat(cameras, lon_lat)
        psi = stored([[0.0] * 3] * 3)
        collection = replace(psi.collection, query=cameras, database=cameras, params={earth.FRAME: earth.GEODESIC})
        assert hard_negatives_of(Similarity(collection, psi.matrix), (1.0, 30.0)) == [[1], [0], []]

    def test_in_space_for_rooms_only(self):
        """A metre up is a metre away in a room; on a street it is no distance."""
        psi = stored([[0.0, 0.0]])
        sides = [
            Cameras(key=["a"], position=[[0.0, 0.0, 0.0]], heading_deg=[0.0]),
            Cameras(key=["b", "c"], position=[[0.0, 0.0, 1.0], [1.0, 0.0, 5.0]], heading_deg=[0.0, 0.0]),
        ]
        for method, expected in (("surface", [[0]]), ("voxel-iou", [[0]]), ("fov-sector", [[1]])):
            collection = replace(psi.collection, query=sides[0], database=sides[1], method=method)
            assert hard_negatives_of(Similarity(collection, psi.matrix), (0.5, 2.0)) == expected

    def test_cameras_without_a_position(self):
        """Labels that somebody else made may have positions for some of their cameras only."""
        psi = stored([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        sides = []
        for cameras, row in ((psi.collection.query, 1), (psi.collection.database, 0)):
            position = cameras.position.copy()
            position[row] = np.nan
            sides.append(Cameras(key=cameras.key, position=position, posed=False))
        collection = replace(psi.collection, query=sides[0], database=sides[1], method="imported")
        assert hard_negatives_of(Similarity(collection, psi.matrix), (0.0, 100.0)) == [[1, 2], []]

    def test_too_many_pairs(self, monkeypatch):
        """Refused before they are looked for, with their number."""
        monkeypatch.setattr("relabel.sampling.hard_negatives._MOST", 5)
        with pytest.raises(OptionError, match=r"6 pairs.*make hi smaller"):
            GradedPairSampler(stored([[0.0] * 6]), (0, 0, 1), hard_negatives_m=(0.0, 100.0))


class TestChecked:
    def test_gives_floats(self):
        """From any two numbers."""
        assert hard_negatives.check_range([0, 25]) == (0.0, 25.0)
