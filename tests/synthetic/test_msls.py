from __future__ import annotations

import csv
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from relabel.datasets.msls import city as msls
from relabel.errors import OptionError, OutputError, OutputExistsError
from relabel.geometry.headings import difference_deg
from relabel.synthetic.msls import CITY, TABLES, write_tree
from tests.stopped import killed
from tests.trees import COLUMNS


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


KILLED = """
import sys
from relabel.synthetic import msls
from tests.stopped import stop
real, calls = msls._write_csv, []
def write_csv(path, columns):
    real(path, columns)
    calls.append(path)
    if len(calls) == 3:
        stop()
msls._write_csv = write_csv
msls.write_tree(sys.argv[1], cameras=6, overwrite=len(sys.argv) > 2)
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree of 1,500 cameras a side, which the tests only read."""
    root = tmp_path_factory.mktemp("synthetic") / "msls"
    assert write_tree(root, cameras=1500, seed=3) == root / "train_val" / CITY
    return root


class TestWriteTree:
    def test_has_the_files_and_columns_of_msls(self, root: Path) -> None:
        """Four files a side with the official header lines, an index that counts from 0, and as many rows each."""
        for side in ("query", "database"):
            for name, columns in COLUMNS.items():
                path = root / "train_val" / CITY / side / f"{name}.csv"
                with path.open(newline="") as file:
                    header, *rows = list(csv.reader(file))
                assert header == ["", *columns]
                assert [row[0] for row in rows] == [str(i) for i in range(1500)]
                assert {len(row) for row in rows} == {len(header)}
        assert len(contents(root)) == 8

    def test_is_read_with_every_kind_of_fault(self, root: Path) -> None:
        """Panoramas, missing, unwrapped and stuck compass angles, other views and nights are all there, and few."""
        city = msls.read(root, city=CITY)
        report = city.report
        faults = (report.panoramas, report.wrapped, report.non_finite, report.constant_rows)
        assert all(0 < count < 0.1 * report.rows for count in faults)
        assert report.constant_sequences == 2
        assert set(city.query.status_counts()) == {"ok", "panorama", "no_heading"}
        assert set(city.query.extra["view_direction"]) == {"Forward", "Backward", "Sideways"}
        assert 0 < city.query.extra["night"].sum() < 750
        assert city.crs == "EPSG:32627"

    def test_keys_look_like_those_of_mapillary(self, root: Path) -> None:
        """22 letters of base64url, none twice in query and database together."""
        city = msls.read(root, city=CITY)
        keys = [*city.query.key.tolist(), *city.database.key.tolist()]
        assert {len(key) for key in keys} == {22}
        assert len(set(keys)) == 3000
        assert all(letter.isalnum() or letter in "-_" for key in keys for letter in key)

    def test_cars_drive_as_cars_do(self, root: Path) -> None:
        """Frames of a drive count from 0, and lie 5 to 10 m apart but for the noise."""
        query = msls.read(root, city=CITY).query
        sequence, frame = query.extra["sequence"], query.extra["frame"]
        assert max(Counter(sequence.tolist()).values()) <= 80
        inside = sequence[1:] == sequence[:-1]
        assert (np.diff(frame)[inside] == 1).all()
        assert (frame[1:][~inside] == 0).all()
        step = np.linalg.norm(np.diff(query.position, axis=0), axis=1)[inside]
        assert np.percentile(step, 1) > 2.0
        assert np.percentile(step, 99) < 13.0
        assert 6.0 < step.mean() < 9.0

    def test_the_compass_agrees_with_the_way_of_travel(self, root: Path) -> None:
        """Within the noise, on the rows that have both."""
        compass, travel = msls.read(root, city=CITY), msls.read(root, city=CITY, heading="travel")
        both = compass.query.ok & travel.query.ok
        off = np.abs(difference_deg(compass.query.heading_deg[both], travel.query.heading_deg[both]))
        assert np.median(off) < 8.0

    def test_is_as_dense_as_a_street(self, root: Path) -> None:
        """Tens of database images within 50 m of a query, counted one by one."""
        city = msls.read(root, city=CITY)
        away = np.linalg.norm(city.query.position[:, np.newaxis] - city.database.position, axis=2)
        assert 15 < (away < 50.0).sum(axis=1).mean() < 90

    def test_the_same_seed_gives_the_same_bytes(self, root: Path, tmp_path: Path) -> None:
        """And another seed other keys."""
        written: list[int] = []
        write_tree(tmp_path / "again", cameras=1500, seed=3, progress=written.append)
        assert written == [1] * TABLES == [1] * len(list((tmp_path / "again").rglob("*.csv")))
        assert contents(tmp_path / "again") == contents(root)
        write_tree(tmp_path / "other", cameras=1500, seed=4)
        assert contents(tmp_path / "other") != contents(root)

    @pytest.mark.parametrize("cameras", [1, 2, 19, 20, 21, 99, 777])
    def test_any_number_of_cameras(self, tmp_path: Path, cameras: int) -> None:
        """As many rows as asked for, on each side, and labels to be had from them."""
        write_tree(tmp_path, cameras=cameras, seed=1)
        city = msls.read(tmp_path, city=CITY)
        assert (len(city.query), len(city.database)) == (cameras, cameras)
        assert city.query.ok.any()

    def test_another_city_may_be_added(self, tmp_path: Path) -> None:
        """With overwrite, a second city joins the first, which stays as it is."""
        write_tree(tmp_path, cameras=30)
        before = contents(tmp_path)
        write_tree(tmp_path, cameras=30, seed=1, city="othertown", overwrite=True)
        after = contents(tmp_path)
        assert {city.name for city in msls.find(tmp_path).cities} == {CITY, "othertown"}
        assert {path: after[path] for path in before} == before

    def test_a_folder_that_is_not_empty_is_refused(self, tmp_path: Path) -> None:
        """Nothing is written, and the way out is named; an empty folder will do."""
        (tmp_path / "mine").mkdir()
        write_tree(tmp_path / "mine", cameras=5)
        before = contents(tmp_path)
        with pytest.raises(OutputExistsError, match=r"not empty; give a new folder, .*overwrite=True"):
            write_tree(tmp_path / "mine", cameras=6)
        assert contents(tmp_path) == before
        write_tree(tmp_path / "mine", cameras=6, overwrite=True)
        assert contents(tmp_path) != before

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        """A file is no folder, nor can it be overwritten by one."""
        (tmp_path / "file").touch()
        for overwrite in (False, True):
            with pytest.raises(OutputError, match="is a file; choose the name of a folder"):
                write_tree(tmp_path / "file", overwrite=overwrite)
        assert contents(tmp_path) == {"file": b""}

    def test_what_is_not_ours_stays(self, tmp_path: Path) -> None:
        """A city with a file that relabel did not write, images say, is never replaced."""
        city = write_tree(tmp_path, cameras=5)
        (city / "query/images").mkdir()
        (city / "query/images/a.jpg").write_text("dear")
        before = contents(tmp_path)
        with pytest.raises(OutputExistsError, match=r"sampletown: holds 'query/images', which no earlier run"):
            write_tree(tmp_path, cameras=6, overwrite=True)
        assert contents(tmp_path) == before

    def test_killed(self, tmp_path: Path) -> None:
        """Nothing is in place that is not whole; the next run needs no --force and leaves nothing else."""
        killed(KILLED, tmp_path / "tree")
        assert not (tmp_path / "tree/train_val/sampletown").exists()
        write_tree(tmp_path / "tree", cameras=5)
        whole = contents(tmp_path / "tree")
        killed(KILLED, tmp_path / "tree", "--force")
        assert {**contents(tmp_path / "tree"), **whole} == contents(tmp_path / "tree")
        write_tree(tmp_path / "tree", cameras=5, overwrite=True)
        assert contents(tmp_path / "tree") == whole

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"cameras": 0}, "at least one"),
            ({"seed": -1}, "0 or more"),
            ({"city": "a/b"}, "without separators"),
            ({"city": ""}, "without separators"),
            ({"city": ".."}, "without separators"),
        ],
    )
    def test_impossible_wishes(self, tmp_path: Path, options: dict[str, object], what: str) -> None:
        """Values that cannot be taken are named before anything is written."""
        with pytest.raises(OptionError, match=what):
            write_tree(tmp_path, **options)  # type: ignore[arg-type]
        assert not any(tmp_path.iterdir())

    def test_does_not_load_pandas(self, tmp_path: Path) -> None:
        """A sample is written in a fraction of the time that loading pandas takes."""
        code = (
            f"import sys; from relabel.synthetic.msls import write_tree; write_tree({str(tmp_path)!r}, cameras=9)\n"
            "assert 'pandas' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
