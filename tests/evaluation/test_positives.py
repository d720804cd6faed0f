"""relabel.evaluation.positives: by distance against all pairs, by similarity against the dense matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from relabel.cameras import Cameras
from relabel.errors import InputError, OptionError
from relabel.evaluation import positives
from relabel.evaluation.positives import positives_by_distance, positives_by_similarity
from relabel.geometry.earth import FRAME, GEODESIC, ecef, with_lon_lat
from tests.similarities import cameras, similarity


def by_loops(query: Cameras, database: Cameras, within_m: float, turn: float | None = None) -> list[list[int]]:
    """All pairs, one by one."""
    positives = []
    for p, h in zip(query.position, query.heading_deg, strict=True):
        row = []
        for j, (q, g) in enumerate(zip(database.position, database.heading_deg, strict=True)):
            near = np.hypot(*(p - q)) <= within_m
            if turn is not None:
                near = near and abs((h - g + 180.0) % 360.0 - 180.0) <= turn
            if near:
                row.append(j)
        positives.append(row)
    return positives


def as_lists(positives: positives.RowLists) -> list[list[int]]:
    return [each.tolist() for each in positives.objects()]


class TestPositivesByDistance:
    """positives_by_distance"""

    @given(st.integers(0, 10_000), st.integers(0, 40), st.integers(0, 40), st.sampled_from([1.0, 13.0, 25.0, 500.0]))
    def test_equals_all_pairs(self, seed: int, n: int, m: int, within_m: float) -> None:
        """On whole metres, where distances of exactly the limit happen, with cameras that have no position."""
        rng = np.random.default_rng(seed)
        query, database = cameras(n, rng), cameras(m, rng)
        assert as_lists(positives_by_distance(query, database, within_m)) == by_loops(query, database, within_m)

    @given(st.integers(0, 10_000), st.sampled_from([0.0, 30.0, 90.0, 180.0]))
    def test_heading_limit(self, seed: int, turn: float) -> None:
        """Headings 30° apart are within 30°, across north as well; without a heading there is no positive."""
        rng = np.random.default_rng(seed)
        query, database = cameras(20, rng), cameras(20, rng)
        positives = positives_by_distance(query, database, 40.0, max_heading_difference_deg=turn)
        assert as_lists(positives) == by_loops(query, database, 40.0, turn)

    def test_exactly_the_limit(self) -> None:
        """25 m is within 25 m, whatever the size of the coordinates: 7, 24, 25 is a right triangle."""
        corner = np.array([500_000.0, -4_000_000.0])
        query = Cameras(key=["q"], position=[corner])
        database = Cameras(key=["on", "off"], position=corner + np.array([[7.0, 24.0], [7.0, 24.001]]))
        assert as_lists(positives_by_distance(query, database)) == [[0]]

    def test_blocks_do_not_show(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Looking at few pairs at a time finds the same."""
        rng = np.random.default_rng(0)
        query, database = cameras(50, rng), cameras(60, rng)
        whole = positives_by_distance(query, database)
        monkeypatch.setattr(positives, "_AT_ONCE", 7)
        parts = positives_by_distance(query, database)
        assert as_lists(whole) == as_lists(parts)
        assert parts.indptr.tolist() == whole.indptr.tolist()

    def test_on_the_earth(self) -> None:
        """In the geodesic frame distances are those between longitudes and latitudes, across the antimeridian too."""
        degrees = np.array([[179.9999, 10.0], [-179.9999, 10.0], [179.99, 10.0]])
        sides = [with_lon_lat(Cameras(key=list("abc"), position=np.zeros((3, 2)) + i * 1e6), degrees) for i in range(2)]
        apart = np.linalg.norm(ecef(*degrees[0]) - ecef(*degrees[1]))
        assert 20.0 < apart < 25.0
        positives = positives_by_distance(*sides, params={FRAME: GEODESIC})
        assert as_lists(positives) == [[0, 1], [0, 1], [2]]

    def test_status_does_not_count(self) -> None:
        """A camera without a heading is near as any other."""
        both = Cameras(key=["a"], position=[[0.0, 0.0]])
        assert not both.ok.any()
        assert as_lists(positives_by_distance(both, both)) == [[0]]

    @pytest.mark.parametrize("within_m", [0.0, -1.0, np.nan, np.inf])
    def test_wrong_distance(self, within_m: float) -> None:
        """A distance is more than 0."""
        with pytest.raises(OptionError, match="more than 0"):
            positives_by_distance(*[Cameras(key=["a"], position=[[0.0, 0.0]])] * 2, within_m)

    @pytest.mark.parametrize("turn", [-1.0, 181.0, np.nan])
    def test_wrong_heading_limit(self, turn: float) -> None:
        """Headings differ by 180° at most."""
        with pytest.raises(OptionError, match=r"\[0, 180\]"):
            positives_by_distance(*[Cameras(key=["a"], position=[[0.0, 0.0]])] * 2, max_heading_difference_deg=turn)

    def test_in_space(self) -> None:
        """Cameras with poses: straight distances against all pairs, and angles between the optical axes."""
        rng = np.random.default_rng(0)
        sides = []
        for n in (30, 40):
            pose = np.tile(np.eye(4), (n, 1, 1))
            pose[:, :3, :3] = Rotation.random(n, random_state=rng).as_matrix()
            pose[:, :3, 3] = np.round(rng.uniform(0, 4, (n, 3)), 1)
            pose[0] = np.nan
            sides.append(Cameras(key=np.arange(n).astype(str), position=pose[:, :3, 3], pose=pose))
        query, database = sides
        apart = np.linalg.norm(query.position[:, None] - database.position, axis=2)
        cosine = np.einsum("ik,jk->ij", query.pose[:, :3, 2], database.pose[:, :3, 2])
        positives = as_lists(positives_by_distance(query, database, 1.55))
        assert positives == [np.flatnonzero(row <= 1.55).tolist() for row in apart]
        turned = as_lists(positives_by_distance(query, database, 1.55, max_heading_difference_deg=60.0))
        near = (apart <= 1.55) & (cosine >= 0.5)
        assert turned == [np.flatnonzero(row).tolist() for row in near]
        assert 0 < near.sum() < (apart <= 1.55).sum()

    def test_one_side_with_poses(self) -> None:
        """Distances are horizontal again: the other side may have no height."""
        flat = Cameras(key=["a"], position=[[3.0, 4.0]])
        high = Cameras(key=["b"], position=[[0.0, 0.0, 90.0]], pose=[np.eye(4)])
        assert as_lists(positives_by_distance(flat, high, 5.0)) == [[0]]

    def test_other_frame(self) -> None:
        """Metres of different zones are not compared."""
        a = Cameras(key=["a"], position=[[0.0, 0.0]], crs="EPSG:32636")
        with pytest.raises(InputError, match="one frame"):
            positives_by_distance(a, replace(a, crs="EPSG:32635"))


class TestPositivesBySimilarity:
    """positives_by_similarity"""

    @pytest.mark.parametrize("threshold", [0.1, 0.5, 1.0])
    def test_equals_the_dense_matrix(self, threshold: float) -> None:
        """At and above the threshold, as the float32 that is stored."""
        psi = similarity(20, 25, density=0.7)
        dense = psi.matrix.toarray()
        positives = positives_by_similarity(psi, threshold)
        assert as_lists(positives) == [np.flatnonzero(row >= np.float32(threshold)).tolist() for row in dense]

    @pytest.mark.parametrize("threshold", [0.0, 1.1, 0.05])
    def test_wrong_threshold(self, threshold: float) -> None:
        """It is in (0, 1], and not where absent pairs may be."""
        with pytest.raises(OptionError, match="threshold"):
            positives_by_similarity(similarity(min_value=0.05), threshold)
