"""relabel.fov with a largest difference of heights, and full circles under a largest difference of headings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import pytest

from relabel import fov
from relabel.audit.headings.audit import audit
from relabel.cameras import Cameras, Status
from relabel.errors import InputError
from relabel.evaluation.ground_truth import Rule, evaluation_set
from relabel.evaluation.places import Place
from relabel.fov.params import FovParams
from relabel.labelfile import LabelFile, validate, write
from relabel.reference.noise import alike
from relabel.similarity import gather


def bridge(n: int, seed: int, *, heights: bool = True) -> Cameras:
    """Cameras within 100 m, on storeys 3 m apart, one in ten without a height, one in ten not ok."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0.0, 100.0, (n, 2))
    up = np.where(rng.random(n) < 0.1, np.nan, 3.0 * rng.integers(0, 4, n) + 0.1)
    status = np.where(rng.random(n) < 0.1, Status.MASKED, Status.OK).astype(np.uint8)
    return Cameras(
        [f"c{seed}-{i}" for i in range(n)],
        np.column_stack([place, up]) if heights else place,
        heading_deg=rng.uniform(0.0, 360.0, n),
        status=status,
    )


def expected(whole: np.ndarray, query: Cameras, database: Cameras, most_m: float) -> np.ndarray:
    """The values of all pairs, 0 where both heights are known and differ by more: a loop."""
    kept = whole.copy()
    for i, j in np.ndindex(whole.shape):
        a, b = query.position[i, 2], database.position[j, 2]
        if not np.isnan(a) and not np.isnan(b) and round(abs(a - b), 6) > most_m:
            kept[i, j] = 0.0
    return kept


class TestMaxHeightDifference:
    """relabel.fov.overlap(max_height_difference_m=…)"""

    @pytest.mark.parametrize("options", [{}, {"shape": "polygon", "arc": 8}, {"heading_sigma_deg": 3.0}])
    @pytest.mark.parametrize("most_m", [1.0, 3.0, 6.5])
    def test_others_are_left_out(self, most_m: float, options: dict[str, object]) -> None:
        """All pairs within it keep their value to the bit, those of cameras without a height as well; others go."""
        query, database = bridge(60, 1), bridge(70, 2)
        whole = fov.overlap(query, database, **options).matrix.toarray()  # type: ignore[arg-type]
        found = fov.overlap(query, database, max_height_difference_m=most_m, **options)  # type: ignore[arg-type]
        kept = expected(whole, query, database, most_m)
        assert np.array_equal(found.matrix.toarray(), kept)
        assert 0 < np.count_nonzero(kept) < np.count_nonzero(whole)
        params = found.collection.params
        assert params["max_height_difference_m"] == most_m
        assert params["without_height"] == {
            name: int((np.isnan(side.position[:, 2]) & side.ok).sum())
            for name, side in (("queries", query), ("database", database))
        }
        rows, columns = (a.ravel() for a in np.indices(whole.shape))
        ok = query.ok[rows] & database.ok[columns]
        given = FovParams(max_height_difference_m=most_m, **options)  # type: ignore[arg-type]
        one_by_one = fov.pair_overlap(query, database, rows[ok], columns[ok], given).astype(np.float32)
        assert np.array_equal(np.where(one_by_one > 1e-6, one_by_one, 0), kept[rows[ok], columns[ok]])

    def test_on_the_earth(self) -> None:
        """Cameras by longitude and latitude have heights as well, whichever tile they are copied to."""
        utm = pyproj.Transformer.from_crs(32632, 4326, always_xy=True)
        query, database = bridge(60, 1), bridge(70, 2)
        # across the border of zones at 12° east, where tiles meet as well
        east = pyproj.Transformer.from_crs(4326, 32632, always_xy=True).transform(12.0, 48.0)
        lon_lat = tuple(
            np.column_stack(utm.transform(*(side.position[:, :2] - 50.0 + east).T)) for side in (query, database)
        )
        whole = gather(fov.geographic.source(query, database, lon_lat))
        found = gather(fov.geographic.source(query, database, lon_lat, FovParams(max_height_difference_m=3.0)))
        assert np.array_equal(found.matrix.toarray(), expected(whole.matrix.toarray(), query, database, 3.0))

    def test_oracle(self) -> None:
        """The oracle of verify leaves out the same pairs."""
        query, database = bridge(40, 3), bridge(40, 4)
        rows, columns = (a.ravel() for a in np.indices((40, 40)))
        kept = expected(np.ones((40, 40)), query, database, 3.0) > 0.0
        assert np.array_equal(alike(query, database, rows, columns, most_m=3.0), kept.ravel())

    def test_no_heights(self) -> None:
        """Where a side has none, nothing could differ: a mistake."""
        for query, database, side in ((False, True, "queries"), (True, False, "database")):
            with pytest.raises(InputError, match=f"no camera of the {side} has a height"):
                fov.overlap(bridge(9, 1, heights=query), bridge(9, 2, heights=database), max_height_difference_m=3.0)

    def test_no_limit_is_not_recorded(self) -> None:
        """Labels without it are as they were."""
        one = bridge(9, 1)
        assert not {"max_height_difference_m", "without_height"} & fov.source(one, one).collection.params.keys()


class TestUnknownHeights:
    """A camera without a height is a camera like any other, wherever its place counts."""

    CAMERAS = Cameras(["a", "b"], [[0.0, 0.0, np.nan], [3.0, 4.0, 7.0]], heading_deg=[0.0, 90.0])

    def test_status(self) -> None:
        """It is ok, and its pair is labelled."""
        assert self.CAMERAS.ok.all()
        assert fov.overlap(self.CAMERAS, self.CAMERAS).matrix.nnz == 2

    def test_evaluation(self) -> None:
        """It is a query and an answer."""
        cameras = self.CAMERAS
        answers = evaluation_set([Place("p", cameras, cameras.take([1, 0]))], Rule(within_m=10.0))
        assert answers.query.tolist() == ["a", "b"]
        assert answers.positives.counts.tolist() == [2, 2]

    def test_headings(self) -> None:
        """It is counted among those that have a place and a heading."""
        (side,) = audit(self.CAMERAS, self.CAMERAS).sides
        assert (side.rows, side.unplaced, side.missing) == (2, 0, 0)

    def test_in_a_file(self, tmp_path: Path) -> None:
        """It comes back from a label file, which is valid."""
        write(tmp_path / "x.h5", {"c": fov.overlap(self.CAMERAS, self.CAMERAS)})
        np.testing.assert_array_equal(LabelFile(tmp_path / "x.h5")["c"].query.position, self.CAMERAS.position)
        assert validate(tmp_path / "x.h5").valid


class TestFullCircles:
    """relabel.fov.overlap(max_heading_difference_deg=…) with panoramas"""

    def test_a_panorama_looks_everywhere(self) -> None:
        """Its heading says nothing, and takes no pair away; that of others does."""
        cameras = Cameras(
            ["pano", "there", "back"],
            np.zeros((3, 2)),
            heading_deg=[0.0, 0.0, 180.0],
            fov_deg=[360.0, 100.0, 100.0],
        )
        wide = Cameras(cameras.key, cameras.position, heading_deg=[0.0, 0.0, 120.0], fov_deg=[360.0, 200.0, 200.0])
        found = fov.overlap(wide, wide, max_heading_difference_deg=90.0)
        assert (found.matrix.toarray() > 0.0).tolist() == [
            [False, True, True],
            [True, False, False],
            [True, False, False],
        ]
        rows, columns = (a.ravel() for a in np.indices((3, 3)))
        kept = alike(wide, wide, rows, columns, most_deg=90.0).reshape(3, 3)
        assert kept.tolist() == [[True, True, True], [True, True, False], [True, False, True]]

    def test_all_of_them(self) -> None:
        """Where the full circle is that of all cameras."""
        cameras = Cameras(["a", "b"], np.zeros((2, 2)), heading_deg=[0.0, 180.0])
        assert fov.overlap(cameras, cameras, fov_deg=360.0, max_heading_difference_deg=90.0).matrix.nnz == 2
