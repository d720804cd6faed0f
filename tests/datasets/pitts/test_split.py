"""Pittsburgh's structs in all the forms they come in, and headings by every source, against plain arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from relabel import input_files
from relabel.cameras import Status
from relabel.datasets.pitts import split as pitts
from relabel.datasets.pitts.dbstruct import read_dbstruct, variables
from relabel.datasets.pitts.split import PittsReader, readers
from relabel.datasets.pitts.yaw import Headings, Sign, heading_deg, parse_source, read_north, travel_deg, views
from relabel.errors import DatasetNotFoundError, InputError, MissingFileError, NotFoundError, OptionError
from tests.trees import PITTSBURGH, cells, cutouts, db_struct, drive, name_list

NORTH = Headings("north")


@pytest.fixture
def mat(tmp_path: Path) -> Path:
    """A split as Pittsburgh has it."""
    return db_struct(tmp_path / "pitts30k_val.mat")


def north_table(path: Path, *lines: str, header: str = "panorama,north_offset_deg") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


class TestReadDbstruct:
    """relabel.datasets.pitts.dbstruct.read_dbstruct"""

    def test_pittsburgh(self, mat):
        """Names and places of both sides."""
        struct = read_dbstruct(mat)
        names, metres = cutouts(drive())
        assert list(struct.database) == names
        np.testing.assert_array_equal(struct.database_m, metres)
        assert list(struct.query) == cutouts(drive(3, first=100))[0]
        assert (struct.files, struct.notes) == ((mat,), ())

    @pytest.mark.parametrize(
        "change",
        [
            {"order": ["whichSet", "dbImageFns", "utmDb", "dbTimeStamp", "qImageFns", "utmQ", "qTimeStamp"]},
            {"order": ["whichSet", "numImages", "dbImageFns", "utmDb"]},
            {"without": ["whichSet", "posDistThr", "numImages", "numQueries"]},
            {"order": ["utmQ", "qImageFns", "utmDb", "dbImageFns"]},
        ],
    )
    def test_fields_are_read_by_name(self, tmp_path, mat, change):
        """Tokyo's time stamps, seqNet's order, structs without a set: the same comes out."""
        times = {"dbTimeStamp": np.zeros((1, 120)), "qTimeStamp": np.zeros((1, 72))}
        found, expected = read_dbstruct(db_struct(tmp_path / "other.mat", **times, **change)), read_dbstruct(mat)
        assert list(found.query) == list(expected.query)
        np.testing.assert_array_equal(found.query_m, expected.query_m)
        np.testing.assert_array_equal(found.database_m, expected.database_m)

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_few_rows(self, tmp_path, n):
        """One, two or three images, in (2, n) as well as in (n, 2) where the two can be told apart."""
        names, metres = [f"{i}.jpg" for i in range(n)], np.arange(2.0 * n).reshape(n, 2)
        path = db_struct(tmp_path / "a.mat", query=(names, metres))
        np.testing.assert_array_equal(read_dbstruct(path).query_m, metres)
        if n != 2:
            path = db_struct(tmp_path / "b.mat", query=(names, metres), utmQ=metres)
            np.testing.assert_array_equal(read_dbstruct(path).query_m, metres)

    def test_no_row(self, tmp_path):
        """An empty side is a side."""
        assert len(read_dbstruct(db_struct(tmp_path / "a.mat", query=([], np.empty((0, 2))))).query) == 0

    def test_character_matrix(self, tmp_path):
        """Names in rows of characters, padded with blanks."""
        names = ["a.jpg", "bcd.jpg"]
        path = db_struct(tmp_path / "a.mat", query=(names, np.ones((2, 2))), qImageFns=np.array(names))
        assert list(read_dbstruct(path).query) == names

    def test_north_first(self, tmp_path):
        """Rows that are exchanged, as in seqNet's Oxford, are put right and told of."""
        oxford = np.array([[620_000.0, 5_735_000.0], [620_010.0, 5_735_000.0], [620_020.0, 5_735_001.0]])
        names = ["a", "b", "c"]
        path = db_struct(tmp_path / "a.mat", query=(names, oxford[:, ::-1]), database=(names, oxford[:, ::-1]))
        struct = read_dbstruct(path)
        np.testing.assert_array_equal(struct.query_m, oxford)
        np.testing.assert_array_equal(struct.database_m, oxford)
        assert "north before east" in struct.notes[0]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"variable": "db"}, "has no variable dbStruct; it holds db"),
            ({"without": ["utmQ", "qImageFns"]}, "dbStruct has no field qImageFns, utmQ; it has whichSet, dbImageFns"),
            ({"utmDb": np.ones((2, 7))}, r"utmDb has shape \(2, 7\), but there are 120 names; expected \(2, 120\)"),
            ({"utmDb": np.ones((1, 120))}, r"utmDb has shape \(1, 120\), one number per image: a frame number"),
            ({"utmQ": np.ones((3, 72))}, r"utmQ has shape \(3, 72\)"),
            ({"utmQ": "text"}, "utmQ is an array of .*; expected numbers"),
            ({"qImageFns": np.ones((72, 1))}, "qImageFns is an array of float64; expected a cell array"),
            ({"qImageFns": cells([1.0] * 72)}, "qImageFns, cell 1: is not text"),
            ({"qImageFns": cells(["a"] * 71 + [""])}, "qImageFns, cell 72: is empty"),
            ({"qImageFns": cells(["a", "b", "a"])}, "qImageFns: 'a' is in cells 1 and 3"),
        ],
    )
    def test_bad_structs(self, tmp_path, change, message):
        """The field is named, what it holds, and what was expected."""
        with pytest.raises(InputError, match=f"a.mat: {message}"):
            read_dbstruct(db_struct(tmp_path / "a.mat", **change))

    def test_frame_numbers(self, tmp_path):
        """Numbers on a diagonal are no places."""
        numbers = np.repeat(np.arange(10.0), 2).reshape(10, 2)
        side = ([str(i) for i in range(10)], numbers)
        with pytest.raises(InputError, match="east and north are equal in every row: frame numbers"):
            read_dbstruct(db_struct(tmp_path / "a.mat", query=side, database=side))

    def test_no_struct(self, tmp_path):
        """A variable of that name that is something else."""
        scipy.io.savemat(tmp_path / "a.mat", {"dbStruct": np.ones(3)})
        with pytest.raises(InputError, match=r"dbStruct is an array of float64 with shape \(1, 3\), not one struct"):
            read_dbstruct(tmp_path / "a.mat")

    def test_inflates_to_far_more(self, tmp_path, monkeypatch):
        """Coordinates of zeros shrink a thousandfold; SciPy would take the memory before it looks at them."""
        monkeypatch.setattr(input_files, "MOST_BYTES", 2_000_000)
        path = tmp_path / "a.mat"
        fields = {"qImageFns": cells(["a"]), "dbImageFns": cells(["a"]), "utmQ": np.zeros((2, 1))}
        struct = fields | {"utmDb": np.zeros((2, 200_000))}
        scipy.io.savemat(path, {"dbStruct": struct}, do_compression=True)
        with pytest.raises(
            InputError,
            match=r"a\.mat: has .* bytes and would inflate to at least \d,\d{3},\d{3}, ",
        ):
            read_dbstruct(path)
        scipy.io.savemat(path, {"dbStruct": struct}, do_compression=False)
        with pytest.raises(InputError, match="but there are 1 names"):
            read_dbstruct(path)
        struct["utmDb"] = np.array([[1.0], [2.0]])
        scipy.io.savemat(path, {"other": np.zeros(400_000), "dbStruct": struct}, do_compression=True)
        assert list(read_dbstruct(path).query) == ["a"]  # what is not read may be large

    def test_version_7_3(self, tmp_path):
        """HDF5 inside: how to save it so that it can be read."""
        with h5py.File(tmp_path / "a.mat", "w", userblock_size=512) as file:
            file["x"] = 1
        with pytest.raises(InputError, match=r"version 7.3 \(HDF5\); save it as version 7: save\('a.mat'.*'-v7'"):
            read_dbstruct(tmp_path / "a.mat")

    @pytest.mark.parametrize("length", [0, 1, 100, 128, 300, 2000])
    def test_cut_off(self, tmp_path, mat, length):
        """A file that ends early, wherever."""
        (tmp_path / "a.mat").write_bytes(mat.read_bytes()[:length])
        with pytest.raises(InputError, match=r"a.mat: (is not a readable MATLAB file|has no variable)"):
            read_dbstruct(tmp_path / "a.mat")

    def test_not_there(self, tmp_path):
        """Neither form."""
        for name in ("a.mat", "a.npz"):
            with pytest.raises(MissingFileError, match=f"{name}: does not exist"):
                variables(tmp_path / name)


class TestNpz:
    """The same from an .npz with names in lists."""

    def lists(self, tmp_path: Path) -> dict[str, Path]:
        return {
            "query_names": name_list(tmp_path / "q.txt", cutouts(drive(3, first=100))[0]),
            "database_names": name_list(tmp_path / "d.txt", cutouts(drive())[0]),
        }

    def test_equals_the_mat(self, tmp_path, mat):
        """Row by row."""
        expected = read_dbstruct(mat)
        np.savez(tmp_path / "a.npz", utmQ=expected.query_m, utmDb=expected.database_m, posDistThr=25)
        found = read_dbstruct(tmp_path / "a.npz", **self.lists(tmp_path))
        assert list(found.database) == list(expected.database)
        np.testing.assert_array_equal(found.database_m, expected.database_m)
        assert found.files == (tmp_path / "a.npz", tmp_path / "q.txt", tmp_path / "d.txt")

    def test_refused(self, tmp_path, mat):
        """No names, no arrays, too few rows, objects, no archive; and lists beside a .mat."""
        lists = self.lists(tmp_path)
        path = tmp_path / "a.npz"
        np.savez(path, utmQ=np.ones((3, 2)), utmDb=np.ones((120, 2)))
        with pytest.raises(InputError, match=r"coordinates without names.*--query-names and --database-names"):
            read_dbstruct(path)
        with pytest.raises(InputError, match=r"utmQ has shape \(3, 2\), but there are 72 names; expected \(72, 2\)"):
            read_dbstruct(path, **lists)
        np.savez(path, utmQ=np.ones((3, 2)))
        with pytest.raises(InputError, match="has no array utmDb; it holds utmQ"):
            read_dbstruct(path, **lists)
        np.savez(path, utmQ=np.array([{}]), utmDb=np.array([{}]))
        with pytest.raises(InputError, match="its arrays cannot be read"):
            read_dbstruct(path, **lists)
        path.write_bytes(b"PK")
        with pytest.raises(InputError, match=r"is not a readable .npz file:"):
            read_dbstruct(path, **lists)
        with pytest.raises(InputError, match="holds the names itself"):
            read_dbstruct(mat, **lists)


class TestViews:
    """relabel.datasets.pitts.yaw.views"""

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("000/000829_pitch1_yaw1.jpg", (829, 1, 1)),
            ("queries_real/010/010585_pitch2_yaw12.JPG", (10585, 2, 12)),
            ("000829_pitch1_yaw07.png", (829, 1, 7)),
            ("000/000829_pitch1_yaw0.jpg", (-1, 0, 0)),
            ("000/000829_pitch1_yaw13.jpg", (-1, 0, 0)),
            ("000/000829_yaw1.jpg", (-1, 0, 0)),
            ("a000829_pitch1_yaw1.jpg", (-1, 0, 0)),
            ("00001.jpg", (-1, 0, 0)),
            ("9" * 30 + "_pitch1_yaw1.jpg", (-1, 0, 0)),
        ],
    )
    def test_names(self, name, expected):
        """Only names of the form tell a panorama, and yaw runs from 1 to 12."""
        found = views([name])
        assert (found.panorama[0], found.pitch[0], found.yaw[0]) == expected
        assert found.known[0] == (expected[0] >= 0)


class TestHeading:
    """relabel.datasets.pitts.yaw.heading_deg"""

    @pytest.mark.parametrize(("sign", "turn"), [("clockwise", 30.0), ("counterclockwise", -30.0)])
    def test_steps(self, sign: Sign, turn):
        """Yaw k is k - 1 steps of 30° from the zero, one way round or the other."""
        names, _ = cutouts({7: PITTSBURGH}, pitches=1)
        found = heading_deg(views(names), np.full(12, 100.0), Headings("north", None, sign, 5.0))
        np.testing.assert_array_equal(found, 105.0 + turn * np.arange(12))

    def test_signs_mirror(self):
        """The two signs together are the same set of directions, each view mirrored at its zero."""
        names, _ = cutouts({7: PITTSBURGH}, pitches=1)
        one, other = (
            heading_deg(views(names), np.zeros(12), Headings("north", sign=s))
            for s in ("clockwise", "counterclockwise")
        )
        np.testing.assert_array_equal(one, -other)

    def test_options(self):
        """What can be no angle or distance."""
        with pytest.raises(OptionError, match="zero is nan°"):
            Headings("north", zero_deg=math.nan)
        for gap in (0.0, -1.0, math.nan):
            with pytest.raises(OptionError, match="travel gap"):
                Headings("travel", gap_m=gap)

    @pytest.mark.parametrize("text", ["", "table", "table:", "north:", "travel:x", "East", "compass"])
    def test_unknown_source(self, text):
        """The three sources are named."""
        with pytest.raises(
            OptionError, match=r"it has to be table:FILE \(a CSV of panorama and north_offset_deg\), travel"
        ):
            parse_source(text)

    def test_known_sources(self):
        """A path may hold a colon."""
        assert parse_source("table:a:b.csv") == ("table", Path("a:b.csv"))
        assert parse_source("north") == ("north", None)


class TestTravel:
    """relabel.datasets.pitts.yaw.travel_deg"""

    def travel(self, panoramas: dict[int, tuple[float, float]], gap_m: float = 50.0) -> dict[int, float]:
        names, metres = cutouts(panoramas, pitches=1, yaws=2)
        view = views(names)
        found = travel_deg(view, metres, gap_m)
        return {int(p): float(h) for p, h in zip(view.panorama, found, strict=True)}

    @given(st.floats(0.0, 359.9), st.integers(2, 6))
    def test_straight(self, heading, n):
        """All panoramas of a straight drive face along it."""
        step = 10.0 * math.sin(math.radians(heading)), 10.0 * math.cos(math.radians(heading))
        for found in self.travel(drive(n, step=step)).values():
            assert abs((found - heading + 180.0) % 360.0 - 180.0) < 1e-5

    def test_jump_of_place(self):
        """Two drives that are numbered on are two tracks."""
        here, there = drive(3), drive(3, first=3, start=(PITTSBURGH[0] + 1000, PITTSBURGH[1]), step=(0.0, 10.0))
        assert self.travel(here | there) == {0: 90, 1: 90, 2: 90, 3: 0, 4: 0, 5: 0}

    def test_jump_of_number(self):
        """So are two that pass the same place; a panorama or two that are missing do not matter."""
        here = drive(3)
        del here[1]
        turned = drive(2, first=10, start=(PITTSBURGH[0] + 20, PITTSBURGH[1]), step=(0.0, -10.0))
        assert self.travel(here | turned) == {0: 90, 2: 90, 10: 180, 11: 180}

    def test_gap_is_an_option(self):
        """Panoramas 60 m apart are a track for who says so."""
        wide = drive(3, step=(60.0, 0.0))
        assert all(math.isnan(h) for h in self.travel(wide).values())
        assert set(self.travel(wide, 60.0).values()) == {90.0}

    def test_stop(self):
        """A car that stands keeps the direction; one that never moves has none."""
        (x, y) = PITTSBURGH
        assert self.travel({0: (x, y), 1: (x + 9, y), 2: (x + 9, y), 3: (x + 18, y)}) == dict.fromkeys(range(4), 90.0)
        assert math.isnan(self.travel({0: (x, y), 1: (x, y)})[0])

    def test_places_that_are_missing(self):
        """They are passed over."""
        assert self.travel(drive(4) | {2: (math.nan, 0.0)})[1] == 90.0
        assert math.isnan(self.travel(drive(4) | {2: (math.nan, 0.0)})[2])

    def test_order_of_rows(self):
        """Only the numbers count."""
        panoramas = drive(6, step=(3.0, 4.0))
        back = dict(reversed(panoramas.items()))
        assert self.travel(panoramas) == self.travel(back)

    def test_nothing(self):
        """No row, or none with a name."""
        assert len(travel_deg(views([]), np.empty((0, 2)), 50.0)) == 0
        assert np.isnan(travel_deg(views(["a"]), np.zeros((1, 2)), 50.0)).all()


class TestReadNorth:
    """relabel.datasets.pitts.yaw.read_north"""

    @pytest.mark.parametrize(
        "header", ["panorama,north_offset_deg", "north,id,heading", "pano_id,heading_deg,panorama_name"]
    )
    def test_headers(self, tmp_path, header):
        """Columns are known under several names, in any order."""
        cell = {
            "panorama": "000829",
            "id": "829",
            "pano_id": "829.0",
            "north_offset_deg": "131.5",
            "heading": "131.5",
            "heading_deg": "131.5",
            "north": "up",
        }
        line = ",".join(cell.get(name, "-") for name in header.split(","))
        table = read_north(north_table(tmp_path / "t.csv", line, header=header))
        assert table.of("query", np.array([829, 1])).tolist()[0] == 131.5
        assert np.isnan(table.of("query", np.array([829, 1]))[1])

    def test_sides(self, tmp_path):
        """A row is for the side that it names."""
        path = north_table(
            tmp_path / "t.csv", "1,10,query", "1,20,db", "2,30,", header="panorama,north_offset_deg,side"
        )
        table = read_north(path)
        assert table.of("query", np.array([1, 2])).tolist() == [10.0, 30.0]
        assert table.of("database", np.array([1, 2])).tolist() == [20.0, 30.0]

    @pytest.mark.parametrize(
        ("header", "lines", "message"),
        [
            ("pano,offset", ["1,2"], "line 1: column 'north_offset_deg' is missing; the file has pano, offset"),
            ("a,heading", ["1,2"], "line 1: column 'panorama' is missing"),
            ("a,b", ["1,2"], "line 1: column 'panorama' is missing"),
            ("id,pano,heading", ["1,1,2"], "line 1: columns pano and id may both be the panorama; keep one"),
            ("panorama,heading", ["1,2", "x,3"], "line 3: panorama 'x' is not a number"),
            ("panorama,heading", ["1,2", ",3"], "line 3: panorama '' is not a number"),
            ("panorama,heading", ["1,2", "2,north"], "line 3, column 'heading': 'north' is not a number"),
            ("panorama,heading", ["1,2", "2,3", "001,3"], "panorama '000001' is on lines 2 and 4"),
            ("panorama,heading,side", ["1,2,left"], "line 2, column 'side': 'left' is not query or database"),
            ("panorama,heading,side", ["1,2,query", "1,2,"], "panorama 000001 has rows with and without a side"),
        ],
    )
    def test_bad_tables(self, tmp_path, header, lines, message):
        """File, line and what was expected."""
        with pytest.raises(InputError, match=f"t.csv: {message}"):
            read_north(north_table(tmp_path / "t.csv", *lines, header=header))


class TestRead:
    """relabel.datasets.pitts.read"""

    def test_cameras(self, mat):
        """Keys are the names in the file; panorama, pitch and yaw stand beside."""
        split = pitts.read(mat, NORTH)
        names, metres = cutouts(drive())
        assert split.database.key.tolist() == names
        np.testing.assert_array_equal(split.database.position, metres)
        assert split.database.extra["panorama"].tolist()[::24] == [f"{i:06d}" for i in range(5)]
        assert split.database.extra["pitch"].tolist() == ([1] * 12 + [2] * 12) * 5
        assert split.database.extra["yaw"].tolist() == list(range(1, 13)) * 10
        np.testing.assert_array_equal(split.database.heading_deg, 30.0 * (split.database.extra["yaw"] - 1))
        assert split.crs == split.query.crs == "EPSG:32617"
        assert split.report == pitts.PittsReport(rows=192)

    def test_travel(self, mat):
        """Each side along its own track."""
        split = pitts.read(mat, Headings("travel", zero_deg=-90.0))
        for side in (split.query, split.database):
            np.testing.assert_array_equal(side.heading_deg, 30.0 * (side.extra["yaw"] - 1))

    def test_table(self, tmp_path, mat):
        """Panoramas without an entry get their status, and are counted."""
        path = north_table(tmp_path / "t.csv", "1,350", "100,20", "2,", "999,0")
        split = pitts.read(mat, Headings("table", path))
        ok = split.database.extra["panorama"] == "000001"
        np.testing.assert_array_equal(split.database.status, np.where(ok, Status.OK, Status.NO_HEADING))
        np.testing.assert_array_equal(split.database.heading_deg[ok], (350 + 30.0 * np.tile(np.arange(12), 2)) % 360)
        assert split.report == pitts.PittsReport(rows=192, not_in_table=24 * 6)
        assert path in split.files

    def test_one_number_for_two_panoramas(self, tmp_path):
        """Queries and database are numbered each from 0, so that a table has to say which it means."""
        query = cutouts(drive(3, start=(PITTSBURGH[0] + 300, PITTSBURGH[1])))
        mat = db_struct(tmp_path / "a.mat", query=query)
        path = north_table(tmp_path / "t.csv", "1,350")
        with pytest.raises(InputError, match=r"t.csv: panorama 000001 is in .* 300 m apart.*add a column side"):
            pitts.read(mat, Headings("table", path))
        north_table(path, "1,350,query", "1,20,database", header="panorama,north_offset_deg,side")
        split = pitts.read(mat, Headings("table", path))
        assert (split.query.heading_deg[24], split.database.heading_deg[24]) == (350.0, 20.0)

    def test_the_same_panorama_on_both_sides(self, tmp_path):
        """One place, one panorama: no side is needed."""
        mat = db_struct(tmp_path / "a.mat", query=cutouts(drive(2)))
        split = pitts.read(mat, Headings("table", north_table(tmp_path / "t.csv", "1,350")))
        assert split.query.heading_deg[24] == split.database.heading_deg[24] == 350.0

    def test_other_names(self, tmp_path):
        """Names that tell no yaw keep their row without a heading."""
        mat = db_struct(tmp_path / "a.mat", query=(["00001.jpg", "000/000001_pitch1_yaw2.jpg"], [PITTSBURGH] * 2))
        split = pitts.read(mat, NORTH)
        assert split.query.status.tolist() == [Status.NO_HEADING, Status.OK]
        assert split.query.extra["panorama"].tolist() == ["", "000001"]
        assert split.report.unnamed == 1

    def test_no_position(self, tmp_path):
        """Places that are not finite say so first, whatever the source."""
        names, metres = cutouts(drive(3))
        metres[24:48] = np.nan
        mat = db_struct(tmp_path / "a.mat", query=(names, metres))
        for headings in (NORTH, Headings("travel")):
            split = pitts.read(mat, headings)
            assert split.query.status_counts() == {"ok": 48, "no_position": 24}
            assert split.report.no_tangent == 0
            assert split.crs == "EPSG:32617"

    def test_elsewhere(self, tmp_path):
        """Places that are not near Pittsburgh have a frame that nothing tells."""
        side = cutouts(drive(3, start=(388_000.0, 3_950_000.0)))
        assert pitts.read(db_struct(tmp_path / "a.mat", query=side, database=side), NORTH).crs == "local"

    def test_table_left_out(self, mat):
        """A source that needs a file without one."""
        with pytest.raises(OptionError, match="give its path"):
            pitts.read(mat, Headings("table"))


class TestSelect:
    """relabel.datasets.pitts.select"""

    def test_all(self, tmp_path):
        """Those of the folder and of the folders in it, but not what holds something else."""
        db_struct(tmp_path / "pitts30k_val.mat")
        db_struct(tmp_path / "datasets" / "pitts30k_test.mat")
        scipy.io.savemat(tmp_path / "features.mat", {"x": 1})
        np.savez(tmp_path / "positives.npz", x=1)
        (tmp_path / "broken.mat").write_bytes(b"x" * 200)
        chosen, skipped = pitts.select(tmp_path)
        assert list(chosen) == ["pitts30k_val", "pitts30k_test"]
        assert skipped["features"] == "features.mat holds no dbStruct"
        assert "broken.mat: is not a readable MATLAB file" in skipped["broken"]
        assert set(skipped) == {"features", "positives", "broken"}

    def test_by_name(self, tmp_path):
        """By split, by file, or by path, in the order asked for."""
        for name in ("a", "b", "sub/c"):
            db_struct(tmp_path / f"{name}.mat")
        assert list(pitts.select(tmp_path, "c, b.mat")[0]) == ["c", "b"]
        assert pitts.select(tmp_path, "sub/c.mat")[0] == {"c": tmp_path / "sub" / "c.mat"}
        with pytest.raises(NotFoundError, match="there is no split 'd'; there are a, b, c"):
            pitts.select(tmp_path, "d")
        with pytest.raises(OptionError, match="names none"):
            pitts.select(tmp_path, ",")

    def test_one_split_twice(self, tmp_path):
        """Both are named, and how to choose."""
        db_struct(tmp_path / "a.mat")
        db_struct(tmp_path / "sub" / "a.mat")
        with pytest.raises(InputError, match=r"a.mat and .*sub/a.mat are both the split a; name one with --splits"):
            pitts.select(tmp_path)
        with pytest.raises(InputError, match=r"more than once; name one by its path: a.mat, sub/a.mat"):
            pitts.select(tmp_path, "a")
        with pytest.raises(InputError, match="label one at a time"):
            pitts.select(tmp_path, "a.mat,sub/a.mat")
        assert pitts.select(tmp_path, "sub/a.mat")[0] == {"a": tmp_path / "sub" / "a.mat"}

    def test_none(self, tmp_path):
        """No folder, a file, or a folder without any; what is there instead."""
        with pytest.raises(DatasetNotFoundError, match="nowhere: does not exist"):
            pitts.select(tmp_path / "nowhere")
        (tmp_path / "readme.txt").write_text("")
        with pytest.raises(DatasetNotFoundError, match="is a file, not a folder"):
            pitts.select(tmp_path / "readme.txt")
        with pytest.raises(DatasetNotFoundError, match=r"holds no .mat or .npz file.*found readme.txt"):
            pitts.select(tmp_path)
        for name in "ab":
            scipy.io.savemat(tmp_path / f"{name}.mat", {"x": 1})
        with pytest.raises(DatasetNotFoundError, match=r"none of its files is a split: a.mat holds no dbStruct; b.mat"):
            pitts.select(tmp_path)


class TestReader:
    """relabel.datasets.pitts.split"""

    @pytest.mark.parametrize("where", ["inside", "outside"])
    @pytest.mark.parametrize("source", ["table", "travel", "north"])
    def test_there_and_back(self, tmp_path, source, where):
        """Its parameters, without the root, lead to the same cameras; a table from elsewhere is looked for in it."""
        root = tmp_path / "pitts"
        db_struct(root / "sub" / "a.mat")
        table = north_table((root if where == "inside" else tmp_path) / "t.csv", "1,350", "101,2")
        headings = Headings(source, table if source == "table" else None, "counterclockwise", 5.0, 40.0)
        ((made,), _) = readers(root, headings)
        parameters = made.parameters()
        assert str(tmp_path) not in repr(parameters)
        expected = made.read()
        (root / "t.csv").write_bytes(table.read_bytes())
        root.rename(tmp_path / "moved")
        found = PittsReader.from_parameters(parameters, tmp_path / "moved").read()
        assert parameters == {}
        np.testing.assert_array_equal(found.database.heading_deg, expected.database.heading_deg)
        assert found.params == expected.params

    def test_caveat(self, mat):
        """What the headings rest on stands in the parameters and in the notes."""
        ((made,), _) = readers(mat.parent, Headings("north", zero_deg=15.0))
        read = made.read()
        caveat = read.params["heading_caveat"]
        assert "face north plus 15°, and yaw to be clockwise: the data states neither" in caveat
        assert read.notes[0] == caveat

    def test_faults(self, tmp_path):
        """Counted by kind."""
        names, metres = cutouts(drive(2, step=(1000.0, 0.0)))
        db_struct(tmp_path / "a.mat", query=([*names, "x.jpg"], [*metres, PITTSBURGH]))
        ((made,), _) = readers(tmp_path, Headings("travel"))
        assert made.read().params["heading_faults"] == {"unnamed": 1, "no_tangent": 48}

    def test_lists_are_for_one(self, tmp_path):
        """Names of one split cannot be those of two."""
        for name in "ab":
            db_struct(tmp_path / f"{name}.mat")
        with pytest.raises(OptionError, match="belong to one split, but there are a, b; choose one"):
            readers(tmp_path, NORTH, query_names=tmp_path / "q.txt")
