"""relabel.datasets.fillers: values that stand for unknown ones, alone and in what every reader makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relabel.cameras import Cameras, Status
from relabel.datasets import names, table
from relabel.datasets.fillers import (
    Filler,
    heading_fillers,
    height_fillers,
    is_mapillary,
    place_fillers,
    position_fillers,
)
from relabel.datasets.msls import city as msls
from tests.trees import at_name, msls_tree, street

NAN = np.nan


class TestHeadings:
    """heading_fillers"""

    @pytest.mark.parametrize(
        ("headings", "fillers"),
        [
            ([0, 90, -1, -1], [2, 3]),  # the one negative value, and it repeats
            ([0, 90, -1], []),  # once: a turn of one degree to the left
            ([-1, -1, -2, 10], []),  # negative headings are usual here
            ([0, -999], [1]),
            ([-999, -1, -1, 5], [0, 1, 2]),
            ([-9999, 65535, 32767, 3], [0, 1, 2]),
            ([10, 511, 511, 350], [1, 2]),
            ([-99, -99, -1, 10], [0, 1, 2]),  # no other negative value
            ([-1, -9, 10], []),  # none repeats
            ([10, 511, 361, 361], [1, 2, 3]),
            ([10, 511, 400, 350], []),  # run on beyond a circle, as GSV-Cities has them
            ([0, 400, 731, 999], [3]),
            ([0, 400, 800, 999, 1100], []),  # counted on over several circles
            ([-90, -90, -90], []),  # west, as a turn from north
            ([NAN, 12, -45, 360], []),
            ([10, float(np.float32(-999.9)), float(np.float32(-9999.99))], [1, 2]),
            ([10, 800, -3.4028234663852886e38, 1e20], [2, 3]),
            ([], []),
        ],
    )
    def test_values(self, headings: list[float], fillers: list[int]) -> None:
        """What is a filler elsewhere than in Mapillary's columns."""
        assert np.flatnonzero(heading_fillers(np.array(headings, float))).tolist() == fillers

    def test_mapillary(self) -> None:
        """There -1 is one, however often it stands there and whatever else is negative."""
        assert heading_fillers(np.array([-1.0, -2.0, 5.0, -1.5]), mapillary=True).tolist() == [
            True,
            False,
            False,
            False,
        ]


class TestPlaces:
    """place_fillers, position_fillers"""

    def test_degrees(self) -> None:
        """Only where both are the same code."""
        degrees = [[0.0, 0.0], [0.0, 51.0], [30.0, 0.0], [NAN, NAN], [-999.0, -999.0], [-1.0, -1.0], [5.0, 5.0]]
        assert np.flatnonzero(place_fillers(np.array(degrees))).tolist() == [0, 4, 5]

    @pytest.mark.parametrize(
        ("positions", "fillers"),
        [
            ([[0, 0], [10, 0], [20, 0]], []),  # where a local frame begins
            ([[0, 0], [10, 0], [0, 0], [20, 0]], [0, 2]),
            ([[0, 0], [10, 0], [0, 0], [10, 0]], []),  # two views of each place
            ([[0, 0], [0, 0], [0, 0]], []),  # all views of one place
            ([[0, 0], [766000, 3537000], [766010, 3537000]], [0]),  # far away from the map's own places
            ([[0, 0], [NAN, NAN]], []),
            ([[900, 0], [0, 0]], []),
            ([[0, 500000], [0, 500010]], []),
            ([[-999, -999], [691000, 5334000], [691010, 5334000]], [0]),
            ([[-1, -1], [5, 5], [-1, -1], [-999, -999], [-999, -999]], [0, 2, 3, 4]),
            ([[-1, -1], [5, 5], [6, 5]], []),
            ([[-999, 5], [5, 5], [-999, 5]], []),
        ],
    )
    def test_metres(self, positions: list[list[float]], fillers: list[int]) -> None:
        """(0, 0) where it repeats more than any place or is far from all."""
        (mask,) = position_fillers([np.array(positions, float)])
        assert np.flatnonzero(mask).tolist() == fillers

    def test_heights(self) -> None:
        """Below the ground or above every road; 999 m is a height."""
        up = np.array([0.0, -1.0, 999.0, -999.0, -9999.0, -32768.0, 9999.0, 65535.0, -3.4e38, NAN, -420.5])
        assert np.flatnonzero(height_fillers(up)).tolist() == [3, 4, 5, 6, 7, 8]

    @pytest.mark.parametrize(
        "column", ["ca", "compass_angle", "compassAngle", "properties.computed_compass_angle", "Compass Angle"]
    )
    def test_mapillary_by_name(self, column: str) -> None:
        """However its column is written."""
        assert is_mapillary(column)
        assert not is_mapillary("heading")

    def test_two_sides(self) -> None:
        """Two drives that begin at the origin of one frame are no reason; places of either tell what is far."""
        near, far = np.array([[0.0, 0.0], [5.0, 0.0]]), np.array([[5e5, 4e6], [5e5, 4.001e6]])
        assert [mask.tolist() for mask in position_fillers([near, near])] == [[False, False]] * 2
        zero = np.zeros((1, 2))
        assert [mask.tolist() for mask in position_fillers([zero, far])] == [[True], [False, False]]


def labels(cameras: Cameras) -> list[str]:
    return [Status(code).label for code in cameras.status]


class TestReaders:
    """Each reader gives such cameras a status, and counts them."""

    def test_msls(self, tmp_path: Path) -> None:
        """ca of -1, and a place (0, 0)."""
        query = street(4)
        query[1]["ca"] = -1.0
        query[2] |= {"easting": 0.0, "northing": 0.0}
        read = msls.read(msls_tree(tmp_path, query=query), city="amman")
        assert labels(read.query) == ["ok", "no_heading", "no_position", "ok"]
        assert read.fillers == (
            Filler("position", "(0, 0)", 1, 4, "query", (str(read.query.key[2]),)),
            Filler("heading", "-1", 1, 4, "query", (str(read.query.key[1]),)),
        )
        assert (read.report.non_finite, read.report.wrapped) == (1, 0)

    def test_msls_degrees_alone(self, tmp_path: Path) -> None:
        """Without metres, longitude and latitude of 0 are no place, and do not move the zone."""
        query = street(4)
        query[2] |= {"lon": 0.0, "lat": 0.0}
        read = msls.read(msls_tree(tmp_path, query=query, without=["postprocessed"]), city="amman")
        assert labels(read.query) == ["ok", "ok", "no_position", "ok"]
        assert read.crs == "EPSG:32636"
        assert read.fillers == (Filler("position", "(0, 0)", 1, 4, "query", (str(read.query.key[2]),)),)

    @pytest.mark.parametrize(
        ("column", "cells", "expected"),
        [
            ("compass_angle", ["0", "-1", "90"], ["ok", "no_heading", "ok"]),
            ("heading", ["0", "-1", "90"], ["ok", "ok", "ok"]),
            ("heading", ["-1", "-1", "90"], ["no_heading", "no_heading", "ok"]),
            ("heading", ["-999", "8", "90"], ["no_heading", "ok", "ok"]),
        ],
    )
    def test_table_headings(self, tmp_path: Path, column: str, cells: list[str], expected: list[str]) -> None:
        """By the name of the column, or by what stands in it."""
        rows = [f"k{k},{10 * k},0,{cell}" for k, cell in enumerate(cells)]
        path = tmp_path / "t.csv"
        path.write_text("\n".join([f"key,x,y,{column}", *rows]) + "\n")
        read = table.reader(path).read()
        assert labels(read.query) == expected
        assert sum(filler.number for filler in read.fillers) == expected.count("no_heading")

    @pytest.mark.parametrize("code", [0, -1, -999, 9999])
    @pytest.mark.parametrize(("names_of_columns", "at"), [("lon,lat", "11.5,48.1"), ("x,y", "691500,5334800")])
    def test_table_places(self, tmp_path: Path, names_of_columns: str, at: str, code: int) -> None:
        """Of degrees always, of metres where the others are far."""
        path = tmp_path / "t.csv"
        path.write_text(f"key,{names_of_columns},heading\na,{at},1\nb,{code},{code},2\nc,{at},3\n")
        read = table.reader(path).read()
        assert labels(read.query) == ["ok", "no_position", "ok"]
        assert read.fillers == (Filler("position", f"({code}, {code})", 1, 3, "t.csv", ("b",)),)

    def test_trajectories_begin_at_the_origin(self, tmp_path: Path) -> None:
        """A pose at (0, 0) is a place there, however often."""
        path = tmp_path / "t.txt"
        path.write_text("".join(f"{k} {x} 0 0 0.5 0.5 0.5 0.5\n" for k, x in enumerate((0, 0, 0, 5000))))
        read = table.reader(path, layout="tum").read()
        assert labels(read.query) == ["ok"] * 4

    @pytest.mark.parametrize(
        ("layout", "line"),
        [("tum", "9 1 2 0 0 0 0 0"), ("kitti", " ".join(["0"] * 12)), ("tum", "9 nan nan nan nan nan nan nan")],
    )
    def test_poses_of_zeros(self, tmp_path: Path, layout: Any, line: str) -> None:
        """No pose, and no reason to refuse the file."""
        good = {"tum": "8 1 2 0 0.5 0.5 0.5 0.5", "kitti": "1 0 0 0 0 1 0 0 0 0 1 0"}[layout]
        path = tmp_path / "t.txt"
        path.write_text(f"{good}\n{line}\n")
        assert labels(table.reader(path, layout=layout).read().query) == ["ok", "no_pose"]

    def test_names(self, tmp_path: Path) -> None:
        """Codes for the heading, and a place (0, 0)."""
        texts = [at_name(766000, 3537000, heading=-999), at_name(0, 0, heading=5), at_name(766010, 3537000, heading=7)]
        path = tmp_path / "q.txt"
        path.write_text("\n".join(texts) + "\n")
        read = names.read(path)
        assert labels(read.query) == ["no_heading", "no_position", "ok"]
        assert read.fillers == (
            Filler("heading", "-999", 1, 3, "q.txt", (texts[0],)),
            Filler("position", "(0, 0)", 1, 3, "q.txt", (texts[1],)),
        )

    def test_names_joined_to_mapillary(self, tmp_path: Path) -> None:
        """The compass that is joined has Mapillary's own code."""
        query = street(2)
        query[1]["ca"] = -1.0
        root = msls_tree(tmp_path / "msls", query=query)
        texts = [at_name(766000 + k, 3537000, pano_id=f"q{k}", heading="") for k in range(2)]
        path = tmp_path / "q.txt"
        path.write_text("\n".join(texts) + "\n")
        read = names.read(path, join_msls=root)
        assert labels(read.query) == ["ok", "no_heading"]
        assert [filler.number for filler in read.fillers] == [1]

    def test_cameras_of_zeros(self) -> None:
        """Whoever makes the cameras, a pose of zeros is none."""
        pose = np.stack([np.eye(4), np.zeros((4, 4)), np.diag([0.0, 0.0, 0.0, 1.0])])
        cameras = Cameras(key=["a", "b", "c"], position=np.zeros((3, 3)), pose=pose)
        assert labels(cameras) == ["ok", "no_pose", "no_pose"]
