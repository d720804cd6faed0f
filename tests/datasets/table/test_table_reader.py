"""The reader of tables: any CSV or Parquet table becomes cameras, or an error that names file, line and column."""

from __future__ import annotations

import pickle
import unicodedata
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pytest

from relabel.audit.audit import audit
from relabel.cameras import Status
from relabel.cli.labelling import labelling_command
from relabel.datasets.along_track import AlongTrack
from relabel.datasets.table import SPEC
from relabel.datasets.table.columns import ROLES
from relabel.datasets.table.table_reader import TableReader, reader
from relabel.errors import InputError, OptionError
from relabel.geometry.projection import project
from tests.datasets.table.tables import GSV, LON_LAT, METRES, as_parquet, read, write


class TestTables:
    """relabel.datasets.table.table_reader.TableReader.read, tables"""

    def test_lon_lat(self, tmp_path: Path) -> None:
        """Degrees are compared on the earth; the position is that in the UTM zone, in which both sides are."""
        query = write(tmp_path / "q.csv", *LON_LAT)
        database = write(tmp_path / "d.csv", "image,latitude,longitude,ca", "x,31.95,35.9,720", "y,,,3")
        street = read(query, database)
        assert street.geographic is not None
        np.testing.assert_array_equal(street.geographic[0], [[35.90, 31.95], [35.91, 31.96], [35.92, 31.97]])
        assert street.query.crs == street.database.crs == "EPSG:32636"
        np.testing.assert_array_equal(street.query.position, project(*street.geographic[0].T, "EPSG:32636"))
        assert street.query.heading_deg.tolist() == [10.0, 350.5, 0.0]
        assert street.database.heading_deg.tolist() == [0.0, 3.0]
        assert street.database.status.tolist() == [Status.OK, Status.NO_POSITION]
        assert street.params["heading_faults"] == {"wrapped": 1}
        assert street.params["columns"]["database"]["heading"] == "ca"
        assert any("q.csv: key=id, lon=lon" in note for note in street.notes)
        assert any("d.csv: 1 camera has no position" in note for note in street.notes)

    def test_lon_lat_on_a_map(self, tmp_path: Path) -> None:
        """With --crs they are projected, and compared there."""
        street = read(write(tmp_path / "q.csv", *LON_LAT), crs="EPSG:32637")
        assert street.geographic is None
        expected = project([35.9, 35.91, 35.92], [31.95, 31.96, 31.97], "EPSG:32637")
        np.testing.assert_array_equal(street.query.position, expected)

    def test_metres(self, tmp_path: Path) -> None:
        """x and y stay what they are; without --crs their frame is local."""
        street = read(write(tmp_path / "q.csv", *METRES))
        assert (street.query.crs, street.geographic) == ("local", None)
        assert street.query is street.database
        assert street.query.position.tolist() == [[0.0, 0.0], [10.5, 0.0], [20.0, -3.0]]
        assert read(tmp_path / "q.csv", crs="EPSG:32636").query.crs == "EPSG:32636"

    def test_longitudes_of_the_east(self, tmp_path: Path) -> None:
        """0 … 360 is brought to -180 … 180."""
        street = read(write(tmp_path / "q.csv", "key,lon,lat,heading", "a,181.5,0,0"))
        assert street.geographic is not None
        assert street.geographic[0].tolist() == [[-178.5, 0.0]]

    def test_own_columns(self, tmp_path: Path) -> None:
        """Field of view, range, standard deviations and sequences of each camera."""
        head = "key,x,y,heading,fov,radius,heading_sigma,position_sigma,sequence,frame"
        street = read(write(tmp_path / "q.csv", head, "a,0,0,0,60,30,5,1.5,s,1", "b,1,0,0,70,40,,0,s,2"))
        cameras = street.query
        assert cameras.fov_deg is not None
        assert cameras.radius_m is not None
        assert cameras.fov_deg.tolist() == [60.0, 70.0]
        assert cameras.radius_m.tolist() == [30.0, 40.0]
        np.testing.assert_array_equal(cameras.extra["heading_sigma_deg"], [5.0, np.nan])
        assert cameras.extra["position_sigma_m"].tolist() == [1.5, 0.0]
        assert cameras.extra["sequence"].tolist() == ["s", "s"]
        assert cameras.extra["frame"].tolist() == [1.0, 2.0]

    def test_missing_headings(self, tmp_path: Path) -> None:
        """They keep their row, and are counted."""
        street = read(write(tmp_path / "q.csv", "key,x,y,heading", "a,0,0,", "b,0,0,nan", "c,0,0,-90"))
        assert street.query.status.tolist() == [Status.NO_HEADING, Status.NO_HEADING, Status.OK]
        assert street.query.heading_deg[2] == 270.0
        assert street.params["heading_faults"] == {"wrapped": 1, "missing": 2}

    def test_parquet(self, tmp_path: Path) -> None:
        """The same cameras as from CSV."""
        path = as_parquet(tmp_path / "q.parquet", id=["a", "b"], lon=[35.9, None], lat=[31.95, None], heading=[1, 400])
        street = read(path)
        assert street.query.key.tolist() == ["a", "b"]
        assert street.query.heading_deg.tolist() == [1.0, 40.0]
        assert street.query.status.tolist() == [Status.OK, Status.NO_POSITION]

    def test_crs_of_the_table(self, tmp_path: Path) -> None:
        """A column may name the reference system."""
        lines = ("key,x,y,heading,epsg", "a,0,0,1,32636", "b,0,0,1,32636")
        assert read(write(tmp_path / "q.csv", *lines)).query.crs == "EPSG:32636"
        with pytest.raises(InputError, match=r"states EPSG:32636, but --crs is EPSG:32637"):
            read(tmp_path / "q.csv", crs="EPSG:32637")
        other = write(tmp_path / "d.csv", *METRES)
        with pytest.raises(InputError, match="two reference systems"):
            read(tmp_path / "q.csv", other)

    def test_no_place_at_all(self, tmp_path: Path) -> None:
        """A table without any place is told of as such, when it is to be labelled."""
        street = read(write(tmp_path / "q.csv", "key,lon,lat,heading", "a,,,0"))
        with pytest.raises(InputError, match="1 no_position"):
            street.require_some()

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            (("key,lon,lat,heading", "a,1,2,3", "b,2,95,0"), r"line 3, column 'lon' and 'lat': .*swapped.*lon=lat"),
            (("key,lon,lat,heading", "a,500000,4000000,0"), r"line 2.*if these are metres"),
            (("key,lon,lat,heading", "a,1,inf,0"), r"line 2.*not a position"),
            (("key,x,y,heading", "a,1,2,3", "", "b,2,,0"), r"line 4, column 'x' and 'y': one of them is empty"),
            (("key,x,y,heading", "a,1,2,3", "a,2,4,0"), r"line 3, column 'key': 'a' is already in line 2"),
            (("key,x,y,heading", "a,1,2,3", ",2,4,0"), r"line 3, column 'key': an empty cell"),
            (("key,x,y,heading", "a,1,2,north"), r"line 2, column 'heading': 'north' is not a number"),
            (("key,x,y,heading", "a,1,2,inf"), r"line 2, column 'heading': inf is not a heading"),
            (("key,x,y,heading", "a,1,2"), r"line 2: 3 cells, but the header names 4"),
            (("key,x,y,heading,fov", "a,1,2,3,0"), r"line 2, column 'fov': 0; .*above 0 and at most 360"),
            (("key,x,y,heading,fov", "a,1,2,3,"), r"line 2, column 'fov': an empty cell"),
            (("key,x,y,heading,radius", "a,1,2,3,-5"), r"line 2, column 'radius': -5"),
            (("key,x,y,heading,heading_sigma", "a,1,2,3,-5"), r"line 2, column 'heading_sigma': -5 is not a standard"),
            (("key,x,y,heading,crs", "a,1,2,3,32636", "b,1,2,3,32637"), r"'crs' is '32636' in line 2 and '32637' in"),
            (("key,x,y,heading,zone", "a,1,2,3,30U", "b,1,2,3,31U"), r"'zone' is '30U' in line 2.*lon=NAME,lat=NAME"),
            (("key,x,y,heading,crs", "a,1,2,3,4326"), r"map; name their columns lon and lat"),
            (("key,x,x,y,heading", "a,1,2,3,4"), r"line 1: column 'x' is named 2 times"),
            (("key,x,X,y,heading", "a,1,2,3,4"), r"which column is the x is ambiguous: x, X"),
        ],
    )  # fmt: skip
    def test_faults(self, tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
        """File, line and column are named, and what to do."""
        path = write(tmp_path / "bad.csv", *lines)
        with pytest.raises((InputError, OptionError), match=message):
            read(path)

    @pytest.mark.parametrize(
        ("crs", "message"),
        [
            ("EPSG:4326", "longitude and latitude, not a map.*omit crs=…"),
            ("EPSG:4978", "not a map in metres"),
            ("EPSG:2263", "not a map in metres"),
            ("mars", "PROJ does not know"),
        ],
    )
    def test_wrong_crs(self, tmp_path: Path, crs: str, message: str) -> None:
        """Degrees, space, feet and what is not known are refused."""
        with pytest.raises(OptionError, match=message):
            read(write(tmp_path / "q.csv", *METRES), crs=crs)

    def test_columns_that_are_not_there(self, tmp_path: Path) -> None:
        """A choice is taken at its word."""
        with pytest.raises(InputError, match=r"column 'angle' is missing; the file has key, x, y, heading"):
            read(write(tmp_path / "q.csv", *METRES), columns="heading=angle")

    def test_kinds_of_position_are_mixed(self, tmp_path: Path) -> None:
        """Metres on one side and degrees on the other."""
        with pytest.raises(InputError, match=r"q\.csv has x, y and .*d\.csv has lon, lat"):
            read(write(tmp_path / "q.csv", *METRES), write(tmp_path / "d.csv", *LON_LAT))

    def test_doubts(self, tmp_path: Path) -> None:
        """Radians for degrees and degrees for metres are asked after by the audit."""
        lines = [f"k{i},{2.35 + i % 7 / 1000},{48.85 - i / 1000},{i / 10}" for i in range(40)]
        findings = audit(read(write(tmp_path / "q.csv", "key,x,y,heading", *lines))).findings
        assert [finding.code for finding in findings] == ["positions-degrees", "headings-radians"]

    def test_options_of_poses(self, tmp_path: Path) -> None:
        """--up and --axis mean nothing to a table."""
        path = write(tmp_path / "q.csv", *METRES)
        for option in ("up", "axis"):
            with pytest.raises(OptionError, match=f"--{option} only applies to poses"):
                read(path, **{option: "z"})


class TestGsv:
    """GSV-Cities: relabel.datasets.table.gsv_cities"""

    def test_as_it_comes(self, tmp_path: Path) -> None:
        """Keys are the names of the images, as Python prints the numbers; headings are taken modulo 360."""
        path = write(
            tmp_path / "Bangkok.csv",
            GSV,
            "4,2019,7,45,Bangkok,13.750,100.5,_-abc",
            "100007,2013,12,731,Bangkok,-33.9,100.25,xyz",
            "4,2019,7,-10,Bangkok,1e-5,100.5,q",
        )
        street = read(path)
        assert street.query.key.tolist() == [
            "Bangkok_0000004_2019_07_045_13.75_100.5__-abc.jpg",
            "Bangkok_0000007_2013_12_731_-33.9_100.25_xyz.jpg",
            "Bangkok_0000004_2019_07_-10_1e-05_100.5_q.jpg",
        ]
        assert street.query.heading_deg.tolist() == [45.0, 11.0, 350.0]
        assert street.params["heading_faults"] == {"wrapped": 2}
        assert street.query is street.database
        assert street.geographic is not None
        assert reader(path).name == "Bangkok"

    def test_other_keys(self, tmp_path: Path) -> None:
        """A chosen column of keys is taken as it is; --layout csv looks for one."""
        path = write(tmp_path / "x.csv", GSV, "4,2019,7,45,Bangkok,13.750,100.5,abc")
        assert read(path, columns="key=panoid").query.key.tolist() == ["abc"]
        with pytest.raises(InputError, match="no column of keys"):
            read(path, layout="csv")

    def test_not_gsv(self, tmp_path: Path) -> None:
        """Told to be GSV-Cities, it must have its columns."""
        with pytest.raises(InputError, match=r"column 'place_id', 'year'.* is missing; a CSV file of GSV-Cities has"):
            read(write(tmp_path / "x.csv", *METRES), layout="gsv")

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("4,2019,7,,Bangkok,13.75,100.5,abc", r"line 2, column 'northdeg': nan is not a whole number"),
            ("4.5,2019,7,0,Bangkok,13.75,100.5,abc", r"line 2, column 'place_id': 4.5 is not a whole number"),
            ("4,2019,7,0,,13.75,100.5,abc", r"line 2, column 'city_id': an empty cell"),
            ("4,2019,7,0,Bangkok,,,abc", r"line 2, column 'lat': an empty cell.*--columns key=NAME"),
        ],
    )
    def test_faults(self, tmp_path: Path, line: str, message: str) -> None:
        """A name that cannot be made is told of by line and column."""
        with pytest.raises(InputError, match=message):
            read(write(tmp_path / "x.csv", GSV, line))


class TestReader:
    """relabel.datasets.table.table_reader.reader"""

    def test_there_and_back(self, tmp_path: Path) -> None:
        """The parameters lead back to the reader, wherever the tables lie now; it can be sent."""
        (tmp_path / "in").mkdir()
        query, database = (write(tmp_path / "in" / name, *LON_LAT) for name in ("q.csv", "d.csv"))
        made = reader(query, database, columns={"key": "id"}, crs="EPSG:32636", layout="csv")
        assert made.parameters() == {
            "collection": "in", "queries": "q.csv", "database": "d.csv", "columns": {"key": "id"},
            "crs": "EPSG:32636", "layout": "csv",
        }  # fmt: skip
        assert TableReader.from_parameters(made.parameters(), tmp_path / "in") == made
        assert pickle.loads(pickle.dumps(made)) == made

    def test_nothing_is_left(self, tmp_path: Path) -> None:
        """What is given back is taken out, so that the options of the overlap remain."""
        parameters = reader(write(tmp_path / "q.csv", *METRES), up="z").parameters() | {"fov_deg": 90.0}
        TableReader.from_parameters(parameters, tmp_path)
        assert parameters == {"fov_deg": 90.0}

    def test_names(self, tmp_path: Path) -> None:
        """Self pairs are named after the table, two tables after their folder, or as told."""
        query = write(tmp_path / "q.v2.csv", *METRES)
        assert reader(query).name == "q"
        assert reader(query, query).database is None
        assert reader(query, tmp_path / "d.csv").name == tmp_path.name
        assert reader(query, name="mine").name == "mine"

    def test_the_command_knows_them(self) -> None:
        """Every role that a column can have is named in the help of --columns."""
        columns = next(parameter for parameter in labelling_command(SPEC).params if parameter.name == "columns")
        assert isinstance(columns, click.Option)
        assert all(role in str(columns.help) for role in ROLES)


class TestPanoramas:
    """Tables that say which of their images are panoramas."""

    LINES = ("id,x,y,heading,is_pano", "a,0,0,90,false", "b,5,0,10,TRUE", "c,9,0,,1", "d,9,5,0,", "e,9,9,,0")

    def test_camera_types(self, tmp_path: Path) -> None:
        """As Mapillary names them; either column says so."""
        kinds = (("spherical", 0), ("Equirectangular", 0), ("perspective", 0), ("fisheye", 1), ("", 0))
        rows = [f"{k},{k},0,10,{kind},{pano}" for k, (kind, pano) in enumerate(kinds)]
        path = write(tmp_path / "t.csv", "id,x,y,compass_angle,camera_type,is_pano", *rows)
        panorama, ok = Status.PANORAMA, Status.OK
        assert read(path).query.status.tolist() == [panorama, panorama, ok, panorama, ok]

    def test_status(self, tmp_path: Path) -> None:
        """They have that status, with or without a heading."""
        street = read(write(tmp_path / "t.csv", *self.LINES))
        names = [Status(code).label for code in street.query.status]
        assert names == ["ok", "panorama", "panorama", "ok", "no_heading"]
        assert any("2 panoramas are not labelled; --panorama 360" in note for note in street.notes)

    def test_full_circles(self, tmp_path: Path) -> None:
        """Asked for, they see a full circle and need no heading; others keep the view that all have."""
        street = read(write(tmp_path / "t.csv", *self.LINES), panorama_deg=360.0)
        assert [Status(code).label for code in street.query.status] == ["ok"] * 4 + ["no_heading"]
        assert street.query.fov_deg is not None
        np.testing.assert_array_equal(street.query.fov_deg, [np.nan, 360.0, 360.0, np.nan, np.nan])
        assert any("2 panoramas are labelled as full circles" in note for note in street.notes)

    def test_own_views(self, tmp_path: Path) -> None:
        """A column of fields of view holds for the rest."""
        lines = ("id,x,y,heading,pano,fov", "a,0,0,90,no,60", "b,5,0,10,yes,60")
        street = read(write(tmp_path / "t.csv", *lines), panorama_deg=360.0)
        assert street.query.fov_deg is not None
        assert street.query.fov_deg.tolist() == [60.0, 360.0]

    def test_parquet(self, tmp_path: Path) -> None:
        """Truth values of their own type, missing ones among them."""
        path = as_parquet(tmp_path / "t.pq", key=["a", "b", "c"], x=[0, 1, 2], y=[0, 0, 0], heading=[1, 2, 3],
                          pano=[True, False, None])  # fmt: skip
        assert read(path).query.status.tolist() == [Status.PANORAMA, Status.OK, Status.OK]
        numbers = as_parquet(tmp_path / "n.pq", key=["a", "b", "c"], x=[0, 1, 2], y=[0, 0, 0], heading=[1, 2, 3],
                             pano=[1.0, 0.0, None])  # fmt: skip
        assert read(numbers).query.status.tolist() == [Status.PANORAMA, Status.OK, Status.OK]

    def test_faults(self, tmp_path: Path) -> None:
        """A cell that is neither; an angle that is no full circle."""
        path = write(tmp_path / "t.csv", "id,x,y,heading,pano", "a,0,0,90,maybe")
        with pytest.raises(InputError, match=r"t\.csv: line 2, column 'pano': 'maybe' is neither true nor false"):
            read(path)
        with pytest.raises(OptionError, match="full circles, 360"):
            read(path, panorama_deg=180.0)


class TestTraps:
    """Tables that are something else than they seem."""

    def test_robotcar(self, tmp_path: Path) -> None:
        """Whose yaw is in radians, and whose rows may be bad."""
        lines = ("timestamp,ins_status,northing,easting,down,roll,pitch,yaw", "1,SOLUTION_FREE,10,20,0,0,0,3.1")
        path = write(tmp_path / "ins.csv", *lines)
        with pytest.raises(InputError, match="read it with --layout robotcar"):
            read(path, columns="key=timestamp")
        table = read(path, columns="key=timestamp", layout="csv")
        assert table.query.heading_deg.tolist() == [3.1]

    def test_notes_name_a_file_once(self, tmp_path: Path) -> None:
        """Whoever says what was noted about it."""
        path = write(tmp_path / "t.txt", "1.0 0 0 0 0.5 0.5 0.5 0.5", "1.00 0 0 0 0.5 0.5 0.5 0.5")
        (note,) = (note for note in read(path, layout="tum").notes if "repeats a time stamp" in note)
        assert note.count("t.txt") == 1

    def test_one_file_by_two_paths(self, tmp_path: Path) -> None:
        """Self pairs: a camera is not its own match."""
        path = write(tmp_path / "t.csv", *METRES)
        (tmp_path / "link.csv").symlink_to(path)
        (tmp_path / "d").mkdir()
        for other in (tmp_path / "d" / ".." / "t.csv", tmp_path / "link.csv"):
            assert reader(path, other).database is None

    @pytest.mark.parametrize("form", ["NFC", "NFD"])
    def test_names_of_columns_in_unicode(self, form: Any, tmp_path: Path) -> None:
        """A name is that of the header in either form."""
        header = unicodedata.normalize(form, "schlüssel,x,y,höhe,richtung")
        path = write(tmp_path / "t.csv", header, "a,1,2,3,90")
        for asked in ("NFC", "NFD"):
            columns = unicodedata.normalize(asked, "key=schlüssel,heading=richtung,up=höhe")
            assert read(path, columns=columns).query.position.tolist() == [[1.0, 2.0, 3.0]]

    def test_fields_of_view_in_radians(self, tmp_path: Path) -> None:
        """Said, since there are cameras of 5°, but few."""
        for fov, said in ((1.57, True), (60.0, False)):
            notes = read(write(tmp_path / "t.csv", "key,x,y,heading,fov", f"a,0,0,1,{fov}", "b,1,0,1,1.2")).notes
            assert any("if these are radians, give degrees" in note for note in notes) == said

    def test_heights(self, tmp_path: Path) -> None:
        """Codes for a height that is not known are none, and counted."""
        path = write(tmp_path / "t.csv", "key,x,y,altitude,heading", "a,0,0,520,1", "b,1,0,-9999,1", "c,2,0,-32768,1")
        table = read(path)
        np.testing.assert_array_equal(table.query.position[:, 2], [520.0, np.nan, np.nan])
        assert any("2 heights are -32768, -9999, which stand" in note for note in table.notes)

    @pytest.mark.parametrize("text", ['{"type": "FeatureCollection", "features": []}', '[\n{"id": 1}]'])
    def test_json(self, text: str, tmp_path: Path) -> None:
        """Said to be that."""
        with pytest.raises(InputError, match="looks like JSON; expected a CSV or Parquet table"):
            read(write(tmp_path / "t.geojson", text))


class TestMaps:
    """Metres that are not those of the ground, or of two maps."""

    @pytest.mark.parametrize(
        ("cells", "crs", "message"),
        [
            ("1280174,6124000", "EPSG:3857", r"a metre on the ground is 1\.50 m on the map EPSG:3857"),
            ("5334000,691000", "EPSG:32632", r"a metre on the ground is 1\.\d\d m .* x and y are swapped"),
            ("691000,5334000", "EPSG:32632", None),
            ("4432769,2777405", "EPSG:3035", None),
            ("4e7,4e7", "EPSG:3035", "there is no position on earth on the map EPSG:3035"),
        ],
    )
    def test_scale(self, cells: str, crs: str, message: str | None, tmp_path: Path) -> None:
        """Ranges are metres on the ground; at 48.1° north Web Mercator has 1 / cos 48.1° = 1.50 of them for one."""
        path = write(tmp_path / "t.csv", "key,x,y,heading", f"a,{cells},1", f"b,{cells},2")
        if message is None:
            assert read(path, crs=crs).query.crs == crs
        else:
            with pytest.raises(InputError, match=message):
                read(path, crs=crs)

    def test_scale_of_degrees(self, tmp_path: Path) -> None:
        """The same where longitude and latitude are put on a map."""
        path = write(tmp_path / "t.csv", "key,lon,lat,heading", "a,11.5,48.1,1")
        with pytest.raises(InputError, match=r"a metre on the ground is 1\.50 m on the map EPSG:3857"):
            read(path, crs="EPSG:3857")

    @pytest.mark.parametrize(
        ("crs", "north_m", "other"), [("EPSG:32636", 9_990_000, 32736), ("EPSG:32736", -9e3, 32636)]
    )
    def test_the_other_hemisphere(self, tmp_path: Path, crs: str, north_m: float, other: int) -> None:
        """Northings that end beyond a pole by the system that is named; Kampala is on both sides of the equator."""
        path = write(tmp_path / "t.csv", "key,x,y,heading", f"a,450000,{north_m},0")
        with pytest.raises(InputError, match=rf"t.csv: .*beyond the end of UTM.*\(crs=…\) is EPSG:{other}"):
            read(path, crs=crs)
        assert read(path, crs=f"EPSG:{other}").query.ok.all()

    def test_one_crs_in_two_spellings(self, tmp_path: Path) -> None:
        """A number, and small letters, say the same."""
        header = "key,x,y,heading,crs"
        tables = [
            write(tmp_path / f"{k}.csv", header, f"a,500000,5300000,0,{text}")
            for k, text in enumerate(("EPSG:32632", "epsg:32632", "32632"))
        ]
        for other in tables[1:]:
            assert read(tables[0], other).query.crs == "EPSG:32632"
        assert read(tables[0], crs="epsg:32632").query.crs == "epsg:32632"

    def test_zones(self, tmp_path: Path) -> None:
        """Of queries and database, and of --crs; 32U and 32 are one."""
        lines = ("key,utm_easting,utm_northing,utm_zone,heading", "a,500000,6000000,{},0")
        tables = {
            zone: write(tmp_path / f"{zone}.csv", lines[0], lines[1].format(zone)) for zone in ("32", "32U", "33")
        }
        with pytest.raises(InputError, match=r"two UTM zones \(.*32\.csv in 32, .*33\.csv in 33\)"):
            read(tables["32"], tables["33"])
        assert read(tables["32"], tables["32U"]).query.crs == "local"
        assert read(tables["32U"], crs="EPSG:32632").query.crs == "EPSG:32632"
        with pytest.raises(InputError, match="UTM zone 33, which is not EPSG:32632"):
            read(tables["33"], crs="EPSG:32632")


class TestTravel:
    """Tables whose headings are the direction of travel."""

    def test_sequences(self, tmp_path: Path) -> None:
        """Tracks by sequence and frame, whatever a column of headings says."""
        lines = ("key,x,y,heading,sequence,frame", "a,0,20,5,s,2", "b,50,0,5,t,1", "c,0,0,5,s,1", "d,40,0,5,t,2")
        street = read(write(tmp_path / "t.csv", *lines), along_track=AlongTrack())
        assert street.query.heading_deg.tolist() == [0.0, 270.0, 0.0, 270.0]
        assert street.params["heading"] == "travel"
        assert any("a track for each sequence, in the order of frame" in note for note in street.notes)

    def test_rows(self, tmp_path: Path) -> None:
        """Without them, one track in the order of the rows; what stands is said."""
        lines = ("key,x,y", "a,0,0", "b,0,10", "c,0,10", "d,10,10", "e,,")
        street = read(write(tmp_path / "t.csv", *lines), along_track=AlongTrack())
        np.testing.assert_array_equal(street.query.heading_deg, [0.0, 0.0, 0.0, 90.0, np.nan])
        assert street.query.status.tolist() == [Status.OK] * 4 + [Status.NO_POSITION]
        assert any("one track, in the order of the rows" in note for note in street.notes)
        assert any("2 cameras are stationary" in note for note in street.notes)

    @pytest.mark.parametrize(
        ("header", "times"),
        [
            ("key,x,y,captured_at", ["30", "10", "20"]),
            ("key,x,y,Timestamp", ["2024-05-01T10:00:10", "2024-05-01T09:00:00", "2024-05-01T10:00:09.5"]),
            ("id,x,y,timestamp", ["1731360489000", "1731360488000", "1731360488500"]),
            ("id,x,y,datetime", ["2019:07:04 12:33:12", "2019:07:04 12:33:10", "2019:07:04 12:33:11"]),
        ],
    )
    def test_times(self, header: str, times: list[str], tmp_path: Path) -> None:
        """Without frames, in the order of times: north, though the rows go up and down."""
        rows = [f"{key},0,{y},{time}" for key, y, time in zip("abc", (20, 0, 10), times, strict=True)]
        street = read(write(tmp_path / "t.csv", header, *rows), along_track=AlongTrack())
        assert street.query.heading_deg.tolist() == [0.0] * 3
        assert any(f"in the order of {header.rsplit(',', maxsplit=1)[-1]}" in note for note in street.notes)
        assert set(street.query.extra) == {"time_s"}

    @pytest.mark.parametrize(
        "kind", [pa.timestamp("ns"), pa.timestamp("ms", "UTC"), pa.float64(), pa.int64(), pa.date32()]
    )
    def test_times_of_parquet(self, kind: pa.DataType, tmp_path: Path) -> None:
        """In whatever type they are stored."""
        days = pa.array([30, 10, 20], pa.int32())
        time = days.cast(pa.date32()).cast(kind) if pa.types.is_temporal(kind) else days.cast(kind)
        path = as_parquet(tmp_path / "t.pq", key=["a", "b", "c"], x=[0, 0, 0], y=[20, 0, 10], captured_at=time)
        street = read(path, along_track=AlongTrack())
        assert street.query.heading_deg.tolist() == [0.0] * 3
        assert any("in the order of captured_at" in note for note in street.notes)

    def test_a_key_that_is_a_time(self, tmp_path: Path) -> None:
        """As in gps.csv of RobotCar; without --heading travel no time is looked for."""
        path = write(tmp_path / "t.csv", "timestamp,x,y,heading", "30,0,20,1", "10,0,0,2", "20,0,10,3")
        street = read(path, along_track=AlongTrack(), columns="key=timestamp")
        assert street.query.heading_deg.tolist() == [0.0] * 3
        assert "time" not in read(path, columns="key=timestamp").params["columns"]

    @pytest.mark.parametrize(
        ("role", "cells", "line"),
        [
            ("time", ["1", "noon", "2"], 3),
            ("time", ["1", "2", ""], 4),
            ("time", ["04/07/2019 12:00"] * 3, 2),
            ("frame", ["3", "", "2"], 3),
        ],
    )
    def test_an_order_that_is_not_known(self, role: str, cells: list[str], line: int, tmp_path: Path) -> None:
        """A track whose rows go up and down is not taken in their order because one cell cannot be read."""
        rows = [f"{key},0,{y},{cell}" for key, y, cell in zip("abc", (20, 0, 10), cells, strict=True)]
        path = write(tmp_path / "t.csv", f"key,x,y,{role}", *rows)
        with pytest.raises(
            InputError, match=rf"line {line}, column '{role}': is not a .* order of the track is unknown"
        ):
            read(path, along_track=AlongTrack())

    def test_frames_with_gaps_and_times(self, tmp_path: Path) -> None:
        """Where frames are not all there, times that are tell the order."""
        lines = ("key,x,y,frame,time", "a,0,20,,2019:07:04 12:00:30", "b,0,0,1,2019:07:04 12:00:10")
        path = write(tmp_path / "t.csv", *lines, "c,0,10,2,2019:07:04 12:00:20")
        assert read(path, along_track=AlongTrack()).query.heading_deg.tolist() == [0.0] * 3

    def test_true_north(self, tmp_path: Path) -> None:
        """Far from the middle of a zone the grid is turned, and the direction is not."""
        rows = [f"f{i},11.9,{63.4 + i * 2e-4!r}" for i in range(6)]
        street = read(write(tmp_path / "t.csv", "key,lon,lat", *rows), along_track=AlongTrack())
        np.testing.assert_allclose((street.query.heading_deg + 180.0) % 360.0, 180.0, atol=1e-6)

    def test_north_of_a_map(self, tmp_path: Path) -> None:
        """Put on a map, headings count from its north, which is turned by 2.6° here."""
        rows = [f"f{i},11.9,{63.4 + i * 2e-4!r}" for i in range(6)]
        path = write(tmp_path / "t.csv", "key,lon,lat", *rows)
        street = read(path, along_track=AlongTrack(), crs="EPSG:32632")
        (x, y), (east, north) = project(np.array([11.9, 11.9]), np.array([63.4, 63.401]), "EPSG:32632")
        turn = np.degrees(np.arctan2(east - x, north - y))
        assert abs(turn) > 2.0
        np.testing.assert_allclose((street.query.heading_deg + 180.0) % 360.0 - 180.0, turn, atol=1e-3)

    def test_repeats(self, tmp_path: Path) -> None:
        """What was asked for is in the parameters, which lead back to the same reader."""
        lines = ("timestamp,northing,easting,down,utm_zone", "1000,10,0,0,30U", "3000,20,0,0,30U")
        path, times = write(tmp_path / "gps.csv", *lines), write(tmp_path / "stereo.timestamps", "2000 1")
        made = reader(path, layout="robotcar", image_times=[times], max_gap_s=2.0, along_track=AlongTrack(2.0, 30.0))
        again = TableReader.from_parameters(made.parameters(), tmp_path)
        assert again == made
        assert made.read().files == (path, times)
        panoramas = reader(path, panorama_deg=360.0)
        assert TableReader.from_parameters(panoramas.parameters(), tmp_path) == panoramas

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"image_times": [Path("t")]}, "--image-times only applies to RobotCar poses; it needs --layout robotcar"),
            ({"image_times": [Path("t")], "layout": "kitti"}, "is for RobotCar, not for kitti"),
            ({"image_times": [Path("t")] * 2, "layout": "robotcar"}, "given 2 times, for 1 trajectories"),
            ({"image_times": [Path("t")], "layout": "robotcar", "max_gap_s": 0.0}, "--max-gap 0"),
            ({"along_track": AlongTrack(), "columns": {"heading": "ca"}}, "--columns names a heading"),
            ({"panorama_deg": 360.0, "layout": "kitti"}, "--panorama only applies to tables"),
        ],
    )
    def test_faults(self, options: dict[str, Any], message: str) -> None:
        """Options that do not go together."""
        with pytest.raises(OptionError, match=message):
            reader(Path("t.csv"), **options).read()


@pytest.mark.parametrize(
    ("cells", "expected", "note"),
    [
        (("1.5", "3", "7.25"), [1.5, 3.0, 7.25], "is read as seconds, since its numbers are as large as 7.25"),
        (("2019-07-04 12:00:00Z", "2019-07-04 14:00:00+02:00", "2019-07-04T12:00Z"), [1562241600.0] * 3, None),
        (
            ("2019-07-04 12:00:00", "2019:07:04 12:00:01", "2019-07-04 12:00Z"),
            [1562241600.0, 1562241601.0, 1562241600.0],
            "2 times have no time zone",
        ),
        (
            ("2019-07-04 12:00:00", "2019-07-04T12:00:02.5Z", ""),
            [1562241600.0, 1562241602.5, None],
            "1 row has no time",
        ),
        (
            ("1562241600000", "1562241600500", "1562241602000"),
            [1562241600.0, 1562241600.5, 1562241602.0],
            "milliseconds",
        ),
        (("1418381798000000", "1418381798500000", ""), [1418381798.0, 1418381798.5, None], "microseconds"),
        (("1562241600000000000",) * 3, [1562241600.0] * 3, "nanoseconds"),
    ],
)
def test_times(tmp_path: Path, cells: tuple[str, ...], expected: list[float | None], note: str | None) -> None:
    """A column that is named for times is kept in seconds, and what was made of its numbers is said."""
    rows = [f"{line},{cell}" for line, cell in zip(METRES[1:], cells, strict=True)]
    path = write(tmp_path / "a.csv", METRES[0] + ",taken", *rows)
    made = read(path, columns="time=taken", crs="EPSG:32636")
    found = made.query.extra["time_s"]
    assert found.tolist() == pytest.approx([np.nan if value is None else value for value in expected], nan_ok=True)
    assert (note is None) == (not any("taken'" in text for text in made.notes))
    assert note is None or any(note in text for text in made.notes)
    assert "time_s" not in read(path, crs="EPSG:32636").query.extra
