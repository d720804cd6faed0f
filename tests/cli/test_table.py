"""relabel table: from tables to label files that verify, wherever on earth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyproj
import pytest
from click.testing import Result

import relabel
from relabel.geometry.earth import FRAME, GEODESIC
from relabel.labelfile import LabelFile
from relabel.report.stats import statistics
from tests.geometry.test_tiles import CENTRES, around

Run = Callable[..., Result]


def table(path: Path, place: np.ndarray, *, seed: int = 0, prefix: str = "c") -> Path:
    """A table of cameras at these longitudes and latitudes, with any headings."""
    heading = np.random.default_rng(seed).uniform(0.0, 360.0, len(place))
    cameras = np.column_stack([place, heading]).tolist()
    rows = [f"{prefix}{i},{lon!r},{lat!r},{h!r}" for i, (lon, lat, h) in enumerate(cameras)]
    path.write_text("\n".join(["id,lon,lat,northdeg", *rows]) + "\n")
    return path


class TestTable:
    """relabel table"""

    @pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES)
    def test_anywhere(self, run: Run, tmp_path: Path, centre: tuple[float, float]) -> None:
        """Labels of any place pass validate and verify, with the tables at hand and without; near is near on earth."""
        query = table(tmp_path / "q.csv", around(*centre, 90, 120.0, 1), seed=1, prefix="q")
        database = table(tmp_path / "d.csv", around(*centre, 80, 120.0, 2), seed=2, prefix="d")
        output = tmp_path / "x.h5"
        done = run("table", query, database, "-o", output, "--name", "here", "--shape", "polygon", "--arc", "8")
        assert done.exit_code == 0, done.output
        stored = LabelFile(output)["here"]
        assert stored.params[FRAME] == GEODESIC
        assert stored.params["columns"]["heading"] == "northdeg"
        assert run("validate", output).exit_code == 0
        for root in ([], ["--root", tmp_path]):
            checked = run("verify", output, "--sample", 100, "--json", *root)
            assert checked.exit_code == 0, checked.output
            assert json.loads(checked.stdout)["checked"] == 100
        apart = pyproj.Geod(ellps="WGS84").inv(
            *np.repeat(around(*centre, 90, 120.0, 1), 80, axis=0).T, *np.tile(around(*centre, 80, 120.0, 2), (90, 1)).T
        )[2]
        assert statistics(stored).near.pairs == np.count_nonzero(np.asarray(apart) <= 25.0)

    def test_world(self, run: Run, tmp_path: Path) -> None:
        """Many places in one table, as self pairs: each camera's matches are near it."""
        place = np.vstack([around(*centre, 40, 80.0, k) for k, centre in enumerate(CENTRES.values())])
        output = tmp_path / "x.h5"
        assert run("table", table(tmp_path / "world.csv", place), "-o", output).exit_code == 0
        stored = LabelFile(output)["world"]
        assert stored.self_pairs
        rows, columns = stored.to_scipy().nonzero()
        apart = np.asarray(pyproj.Geod(ellps="WGS84").inv(*place[rows].T, *place[columns].T)[2])
        assert len(rows) > 500
        assert apart.max() <= 100.0
        checked = run("verify", output, "--root", tmp_path, "--sample", 100, "--json")
        assert json.loads(checked.stdout)["mismatches"] == 0
        key = stored.query.key[rows[0]]
        match = json.loads(run("row", f"{output}::world", key, "--json").stdout)
        assert match["matches"]
        matches = relabel.LabelFile(output)["world"].row(str(key))[0]
        assert str(matches[0]) == match["matches"][0]["key"]

    def test_a_changed_table(self, run: Run, tmp_path: Path) -> None:
        """verify finds a place that is not what was labelled."""
        path = table(tmp_path / "q.csv", around(2.0, 48.0, 30, 60.0))
        assert run("table", path, "-o", tmp_path / "x.h5").exit_code == 0
        table(path, around(2.0, 48.0, 30, 60.0, seed=3))
        checked = run("verify", tmp_path / "x.h5", "--root", tmp_path, "--sample", 20)
        assert checked.exit_code == 1
        assert "30 camera(s) differ from the dataset" in checked.output

    def test_poses(self, run: Run, tmp_path: Path) -> None:
        """A trajectory is labelled by the axis ahead, and verifies."""
        lines = [f"1 0 0 0 0 1 0 0 0 0 1 {5 * i}" for i in range(20)]
        (tmp_path / "00.txt").write_text("\n".join(lines) + "\n")
        output = tmp_path / "x.h5"
        done = run("table", tmp_path / "00.txt", "--self-pairs", "--layout", "kitti", "-o", output)
        assert done.exit_code == 0, done.output
        stored = LabelFile(output)["00"]
        assert (stored.query.heading_deg == 0.0).all()
        assert stored.query.pose is not None
        assert stored.params["layout"] == "kitti"
        assert run("verify", output, "--root", tmp_path, "--sample", 50).exit_code == 0

    def test_panoramas(self, run: Run, tmp_path: Path) -> None:
        """A panorama as a full circle: its overlap with a camera in it is the camera's share of the circle."""
        (tmp_path / "t.csv").write_text("key,x,y,heading,pano\na,0,0,10,0\nb,0,0,,1\n")
        output = tmp_path / "x.h5"
        done = run("table", tmp_path / "t.csv", "--panorama", "360", "--fov", "72", "-o", output)
        assert done.exit_code == 0, done.output
        stored = LabelFile(output)["t"]
        assert stored.query.fov_deg is not None
        assert stored.query.fov_deg.tolist() == [72.0, 360.0]
        assert stored.to_scipy().toarray()[0, 1] == pytest.approx(72.0 / 360.0, abs=1e-6)
        checked = run("verify", output, "--root", tmp_path, "--json")
        assert json.loads(checked.stdout)["mismatches"] == 0, checked.output

    def test_heights(self, run: Run, tmp_path: Path) -> None:
        """On and under a bridge nothing is shared; a camera without a height keeps its pairs, and is counted."""
        rows = ["a,11.5,48.1,0,500", "b,11.50001,48.1,10,505.5", "c,11.50002,48.1,20,"]
        (tmp_path / "t.csv").write_text("\n".join(["key,lon,lat,heading,altitude", *rows]) + "\n")
        output = tmp_path / "x.h5"
        done = run("table", tmp_path / "t.csv", "--max-height-difference", "4", "-o", output)
        assert done.exit_code == 0, done.output
        assert "1 query camera has no height" in done.output
        stored = LabelFile(output)["t"]
        assert (stored.to_scipy().toarray() > 0).tolist() == [
            [False, False, True],
            [False, False, True],
            [True, True, False],
        ]
        assert stored.params["max_height_difference_m"] == 4.0
        assert stored.params["without_height"] == {"queries": 1, "database": 1}
        checked = run("verify", output, "--root", tmp_path, "--json")
        assert json.loads(checked.stdout)["mismatches"] == 0, checked.output
        assert run("validate", output).exit_code == 0
        table = (tmp_path / "t.csv").read_text()
        (tmp_path / "t.csv").write_text(table.replace("505.5", "503"))
        assert "1 camera(s) differ from the dataset" in run("verify", output, "--root", tmp_path).output

    def test_robotcar_images(self, run: Run, tmp_path: Path) -> None:
        """Poses at the times of images, of two drives, each with its own list; they verify."""
        header = "timestamp,ins_status,northing,easting,down,utm_zone,roll,pitch,yaw"
        for drive, yaw in (("a", 0.0), ("b", 0.5)):
            rows = [f"{20000 * i},INS_SOLUTION_GOOD,{5735000 + i},620000,0,30U,0,0,{yaw}" for i in range(30)]
            (tmp_path / f"{drive}.csv").write_text("\n".join([header, *rows]) + "\n")
            (tmp_path / f"{drive}.timestamps").write_text("".join(f"{5000 + 62500 * i} 1\n" for i in range(9)))
        times = [arg for drive in "ab" for arg in ("--image-times", tmp_path / f"{drive}.timestamps")]
        tables = (tmp_path / "a.csv", tmp_path / "b.csv")
        output = tmp_path / "x.h5"
        done = run("table", *tables, "--layout", "robotcar", *times, "-o", output)
        assert done.exit_code == 0, done.output
        stored = LabelFile(output)
        (name,) = stored
        assert stored[name].query.key.tolist() == [str(5000 + 62500 * i) for i in range(9)]
        np.testing.assert_allclose(stored[name].query.position[:, 1], 5735000.25 + 3.125 * np.arange(9))
        checked = run("verify", output, "--root", tmp_path, "--json")
        assert json.loads(checked.stdout)["mismatches"] == 0, checked.output

    @pytest.mark.parametrize("up", [["--up=-y"], ["--up", "-y"]])
    def test_up(self, run: Run, tmp_path: Path, up: list[str]) -> None:
        """A world whose first camera looks along its z, with y down, as visual SLAM has it, is said by an option."""
        (tmp_path / "slam.txt").write_text("0 0 0 0 0 0 0 1\n1 0 0 5 0 0.7071067811865476 0 0.7071067811865476\n")
        output = tmp_path / "x.h5"
        done = run("table", tmp_path / "slam.txt", "--layout", "tum", *up, "-o", output)
        assert done.exit_code == 0, done.output
        stored = LabelFile(output)["slam"].query
        np.testing.assert_allclose(stored.heading_deg, [0.0, 90.0], atol=1e-6)
        np.testing.assert_allclose(stored.position[:, :2], [[0.0, 0.0], [0.0, 5.0]])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["d.csv", "--self-pairs"], "omit DATABASE"),
            (["--columns", "colour=red"], "no role 'colour'"),
            (["--crs", "EPSG:4326"], "longitude and latitude, not a map"),
            (["--radius", "9000"], "at most 5,000 m"),
            (["--layout", "colmap"], "--up"),
            (["--layout", "tum", "--columns", "key=id"], "--columns only applies to tables"),
        ],
    )
    def test_faults(self, run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
        """One line that says what to do, and no file."""
        path = table(tmp_path / "q.csv", around(2.0, 48.0, 5, 60.0))
        done = run("table", path, *arguments, "-o", tmp_path / "x.h5")
        assert done.exit_code in (1, 2)
        assert message in done.output
        assert "Traceback" not in done.output
        assert not (tmp_path / "x.h5").exists()

    def test_dry_run(self, run: Run, tmp_path: Path) -> None:
        """Candidates are counted without labelling."""
        path = table(tmp_path / "q.csv", around(2.0, 48.0, 30, 60.0))
        done = run("table", path, "--dry-run", "--json")
        assert json.loads(done.stdout)["collections"][0]["candidates"] > 30

    @pytest.mark.parametrize(
        ("rows", "options", "why"),
        [
            (
                ["a,0,0,270", "b,10,0,90"],
                (),
                "the nearest two cameras are 10 m apart: their fields of view do not meet",
            ),
            (["a,0,0,90", "b,130,0,270"], (), "130 m apart, and two fields of view reach 100 m at most"),
            (["a,0,0,90", "b,90,0,270"], ("--radius", "40"), "90 m apart, and two fields of view reach 80 m at most"),
            (["a,0,0,90,30", "b,90,0,270,40"], (), "90 m apart, and two fields of view reach 80 m at most"),
            (["a,0,0,90"], (), "only one camera can be labelled"),
            (["a,0,0,90", "b,1,0,90"], ("--min-value", "0.99"), "no pair has a ψ above 0.99"),
        ],
        ids=["opposite", "far", "range", "own range", "alone", "min-value"],
    )
    def test_no_pairs(self, run: Run, tmp_path: Path, rows: list[str], options: tuple[str, ...], why: str) -> None:
        """A file without pairs is written, with a warning that says what its cameras show of the reason."""
        header = "key,x,y,heading,radius" if rows[0].count(",") == 4 else "key,x,y,heading"
        (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
        done = run("table", tmp_path / "t.csv", "-o", tmp_path / "x.h5", *options)
        assert done.exit_code == 0, done.output
        assert LabelFile(tmp_path / "x.h5")["t"].nnz == 0
        (line,) = (line for line in done.stderr.splitlines() if "holds no pairs" in line)
        assert line.startswith("relabel: warning: t: ")
        assert why in line
        assert "=…" not in line  # options as the command has them
