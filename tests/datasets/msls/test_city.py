from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import relabel
from relabel.audit.audit import audit
from relabel.audit.findings import refuse_warnings
from relabel.cameras import Status
from relabel.datasets.msls import city as msls
from relabel.errors import AuditError, DatasetNotFoundError, InputError, NotFoundError, OptionError, RelabelError
from tests.trees import MELBOURNE, Row, drop_column, edit, msls_tree, reverse_rows, street


def read(root: Path, **options: str) -> msls.MslsCity:
    return msls.read(root, city="amman", **options)  # type: ignore[arg-type]


def statuses(cameras: relabel.Cameras) -> list[str]:
    return [Status(code).label for code in cameras.status]


class TestRead:
    def test_gives_the_cameras_of_both_sides(self, tmp_path: Path) -> None:
        """Keys in order, metres as the file gives them, headings, the frame, and the columns beside."""
        rows = street(4)
        city = read(msls_tree(tmp_path, query=rows))
        assert city.name == "amman"
        assert city.query.key.tolist() == ["q0", "q1", "q2", "q3"]
        assert city.database.key.tolist() == [f"d{i}" for i in range(6)]
        np.testing.assert_array_equal(city.query.position, [[row["easting"], row["northing"]] for row in rows])
        assert city.query.heading_deg.tolist() == [90.0] * 4
        assert city.query.ok.all()
        assert city.crs == city.query.crs == city.database.crs == "EPSG:32636"
        assert {name: column.tolist() for name, column in city.query.extra.items()} == {
            "sequence": ["q-drive"] * 4,
            "frame": [0, 1, 2, 3],
            "night": [False] * 4,
            "view_direction": ["Forward"] * 4,
        }

    def test_lists_the_files_that_it_read(self, tmp_path: Path) -> None:
        """Three a side, for provenance; the subtasks are not needed."""
        root = msls_tree(tmp_path)
        expected = {
            root / "train_val" / "amman" / side / f"{name}.csv"
            for side in ("query", "database")
            for name in ("raw", "postprocessed", "seq_info")
        }
        assert set(read(root).files) == expected

    def test_takes_a_city_that_was_selected(self, tmp_path: Path) -> None:
        """A `City` needs no second look at the tree."""
        root = msls_tree(tmp_path)
        (city,), _ = msls.select(root)
        assert len(msls.read(tmp_path / "elsewhere", city=city).query) == 6

    @pytest.mark.parametrize("options", [{"newline": "\r\n"}, {"bom": True}, {"newline": "\r\n", "bom": True}])
    def test_tolerates_windows_files(self, tmp_path: Path, options: dict[str, object]) -> None:
        """A byte order mark and CRLF change nothing."""
        plain = read(msls_tree(tmp_path / "plain"))
        found = read(msls_tree(tmp_path / "windows", **options))  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.query.key, plain.query.key)
        np.testing.assert_array_equal(found.query.position, plain.query.position)

    @pytest.mark.parametrize("name", ["raw", "postprocessed", "seq_info"])
    def test_files_are_joined_by_key(self, tmp_path: Path, name: str) -> None:
        """Another order in one file is no error; rows keep the order of raw.csv."""
        rows = [row | {"ca": 10.0 * i, "night": i % 2 == 0} for i, row in enumerate(street())]
        root = msls_tree(tmp_path, query=rows)
        straight = read(root).query
        reverse_rows(root / "train_val" / "amman" / "query" / f"{name}.csv")
        found = read(root).query
        order = slice(None, None, -1) if name == "raw" else slice(None)
        np.testing.assert_array_equal(found.key, straight.key[order])
        np.testing.assert_array_equal(found.position, straight.position[order])
        np.testing.assert_array_equal(found.heading_deg, straight.heading_deg[order])
        for column in straight.extra:
            np.testing.assert_array_equal(found.extra[column], straight.extra[column][order])

    def test_every_row_stays_with_a_status(self, tmp_path: Path) -> None:
        """Panorama before no position before no heading; a panorama needs neither to be called one."""
        rows = street(7)
        rows[1] |= {"pano": True}
        rows[2] |= {"ca": None}
        rows[3] |= {"ca": "inf"}
        rows[4] |= {"easting": "nan"}
        rows[5] |= {"northing": "-inf", "ca": None}
        rows[6] |= {"pano": True, "easting": None, "ca": None}
        city = read(msls_tree(tmp_path, query=rows))
        assert statuses(city.query) == [
            "ok", "panorama", "no_heading", "no_heading", "no_position", "no_position", "panorama",
        ]  # fmt: skip
        assert city.report.panoramas == 2
        assert city.report.non_finite == 4

    def test_ca_is_wrapped_and_counted(self, tmp_path: Path) -> None:
        """Degrees outside [0, 360) are reduced, on both sides; 360 itself is outside."""
        query = [row | {"ca": ca} for row, ca in zip(street(4), (-10.0, 360.0, 731.0, 359.9), strict=True)]
        database = [row | {"ca": -90.0} for row in street(2, prefix="d")]
        city = read(msls_tree(tmp_path, query=query, database=database))
        assert city.query.heading_deg == pytest.approx([350.0, 0.0, 11.0, 359.9])
        assert city.database.heading_deg.tolist() == [270.0, 270.0]
        assert city.report.wrapped == 5

    def test_stuck_compasses_are_counted(self, tmp_path: Path) -> None:
        """Sequences of five frames or more with one `ca` are counted with their rows, and labelled all the same."""
        short = street(4, prefix="short", sequence_key="short")
        turning = [row | {"ca": float(i)} for i, row in enumerate(street(6, prefix="t", sequence_key="turning"))]
        stuck = street(6, prefix="s", sequence_key="stuck")
        stuck[2] |= {"ca": None}
        mixed = [row for pair in zip(turning, stuck, strict=True) for row in pair]
        city = read(msls_tree(tmp_path, query=short + mixed, database=turning))
        assert (city.report.sequences, city.report.constant_sequences, city.report.constant_rows) == (4, 1, 5)
        assert city.query.status_counts() == {"ok": 15, "no_heading": 1}

    def test_all_headings_missing(self, tmp_path: Path) -> None:
        """Rows without any heading are read, and every one says so."""
        city = read(msls_tree(tmp_path, query=street(3, ca=None)))
        assert city.query.status_counts() == {"no_heading": 3}

    def test_a_header_alone_is_a_city_without_queries(self, tmp_path: Path) -> None:
        """No rows on one side, no error."""
        city = read(msls_tree(tmp_path, query=[]))
        assert len(city.query) == 0
        assert len(city.database) == 6
        assert city.crs == "EPSG:32636"
        both = read(msls_tree(tmp_path / "both", query=[], database=[]))
        assert asdict(both.report) == dict.fromkeys(asdict(both.report), 0)
        assert both.crs == "local"

    def test_sequences_are_not_needed_for_the_compass(self, tmp_path: Path) -> None:
        """Without seq_info.csv and subtask_index.csv there is less to report, and no error."""
        city = read(msls_tree(tmp_path, without=["seq_info", "subtask_index"]))
        assert city.query.ok.all()
        assert set(city.query.extra) == {"night", "view_direction"}
        assert city.report.sequences == 0

    def test_the_same_key_on_both_sides_is_allowed(self, tmp_path: Path) -> None:
        """Keys are unique within a side only."""
        assert len(read(msls_tree(tmp_path, query=street(), database=street())).query) == 6


class TestProjectedPositions:
    @pytest.mark.parametrize(
        ("start", "crs", "south"),
        [((35.9, 31.95), "EPSG:32636", False), (MELBOURNE, "+proj=utm +zone=55 +datum=WGS84 +units=m", True)],
    )
    def test_agree_with_the_positions_of_a_city_that_has_them(
        self, tmp_path: Path, start: tuple[float, float], crs: str, south: bool
    ) -> None:
        """Without postprocessed.csv, longitude and latitude give the same metres; southern northings are negative."""
        sides = {"query": street(start=start), "database": street(prefix="d", start=start, step_m=-7.0)}
        given = read(msls_tree(tmp_path / "given", **sides))
        projected = read(msls_tree(tmp_path / "projected", **sides, without=["postprocessed"]))
        assert given.crs == projected.crs == crs
        for side in ("query", "database"):
            position = getattr(projected, side).position
            np.testing.assert_allclose(position, getattr(given, side).position, atol=1e-6)
            assert ((position[:, 1] < 0) == south).all()
            assert getattr(projected, side).ok.all()

    def test_one_zone_holds_for_both_sides(self, tmp_path: Path) -> None:
        """Queries west of a zone border are projected in the zone of the median place, beside the database."""
        east, west = street(9, prefix="d", start=(0.01, 51.5)), street(3, start=(-0.01, 51.5))
        city = read(msls_tree(tmp_path, query=west, database=east, without=["postprocessed"]))
        assert city.crs == "EPSG:32631"
        gap = np.linalg.norm(city.query.position[0] - city.database.position[0])
        assert gap == pytest.approx(0.02 * 111_320 * np.cos(np.radians(51.5)), rel=0.01)

    def test_one_side_follows_the_frame_of_the_other(self, tmp_path: Path) -> None:
        """Where only the database has metres, the queries are projected into its frame, whatever the median place."""
        database = street(2, prefix="d", start=(-0.01, 51.5))
        query = street(9, start=(0.01, 51.5))
        city = read(msls_tree(tmp_path, query=query, database=database, without=["query/postprocessed"]))
        assert city.crs == "EPSG:32630"
        gap = np.linalg.norm(city.query.position[0] - city.database.position[0])
        assert gap == pytest.approx(0.02 * 111_320 * np.cos(np.radians(51.5)), rel=0.01)

    def test_a_place_out_of_this_world_has_no_position(self, tmp_path: Path) -> None:
        """Missing and impossible coordinates give a status, not an error."""
        rows = street(4)
        rows[1] |= {"lon": None}
        rows[2] |= {"lat": 95.0}
        city = read(msls_tree(tmp_path, query=rows, without=["postprocessed"]))
        assert statuses(city.query) == ["ok", "no_position", "no_position", "ok"]


class TestTravelHeading:
    def test_is_the_tangent_turned_by_the_view(self, tmp_path: Path) -> None:
        """Forward as driven, Backward the other way; Sideways and unknown views have no heading, and are counted."""
        rows = street(6, ca=None)
        for row, view in zip(rows, ("Forward", "Backward", "Sideways", "backward", "Up", ""), strict=True):
            row |= {"view_direction": view}
        city = read(msls_tree(tmp_path, query=rows, database=street(1, prefix="d")), heading="travel")
        assert city.heading == "travel"
        np.testing.assert_allclose(city.query.heading_deg, [90.0, 270.0, np.nan, 270.0, np.nan, np.nan], atol=1e-6)
        assert statuses(city.query) == ["ok", "ok", "no_heading", "ok", "no_heading", "no_heading"]
        assert statuses(city.database) == ["no_heading"]
        assert (city.report.sideways, city.report.unknown_view, city.report.no_tangent) == (1, 2, 1)

    def test_joins_the_frames_by_key(self, tmp_path: Path) -> None:
        """Another order of seq_info.csv gives the same headings."""
        root = msls_tree(tmp_path)
        reverse_rows(root / "train_val" / "amman" / "query" / "seq_info.csv")
        assert read(root, heading="travel").query.heading_deg == pytest.approx([90.0] * 6)

    def test_needs_no_compass(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """Without raw.csv the tracks give headings; that panoramas and the frame cannot be told is said."""
        city = read(msls_tree(tmp_path, without=["raw"]), heading="travel")
        assert city.query.ok.all()
        assert city.crs == "local"
        assert "the UTM zone is unknown," in caplog.text
        (finding,) = (finding for finding in audit(city).findings if finding.code == "panoramas-unknown")
        assert (finding.severity, finding.count, finding.total) == (
            "warning",
            *[len(city.query) + len(city.database)] * 2,
        )
        assert finding.seen.startswith("query/raw.csv and database/raw.csv: missing; panoramas cannot be distinguished")

    def test_strict_refuses_positions_that_fit_no_zone(self, tmp_path: Path) -> None:
        """Labels of swapped longitudes and latitudes may be wrong, which the log alone does not stop."""
        rows = street(6)
        for row in rows:
            row |= {"lon": row["lat"], "lat": row["lon"]}
        report = audit(read(msls_tree(tmp_path, query=rows, database=rows)))
        (finding,) = (finding for finding in report.findings if finding.code == "positions-disagree")
        assert (finding.count, finding.total) == (12, 12)
        with pytest.raises(AuditError, match="positions-disagree"):
            refuse_warnings([("amman", report)])

    @pytest.mark.parametrize(("name", "what"), [("seq_info", "sequences"), ("postprocessed", "view_direction")])
    def test_needs_sequences_and_views(self, tmp_path: Path, name: str, what: str) -> None:
        """Without the file that holds them, the error names it and the way out."""
        with pytest.raises(InputError, match=rf"query/{name}\.csv: is missing.* needs its {what}.*compass"):
            read(msls_tree(tmp_path, without=[name]), heading="travel")

    def test_needs_the_view_column(self, tmp_path: Path) -> None:
        """A postprocessed.csv without it will do for the compass, not for the way of travel."""
        root = msls_tree(tmp_path)
        drop_column(root / "train_val" / "amman" / "query" / "postprocessed.csv", "view_direction")
        assert read(root).query.ok.all()
        with pytest.raises(InputError, match="column 'view_direction' is missing"):
            read(root, heading="travel")


class TestReadOfBadTrees:
    def fault(self, root: Path, **options: str) -> str:
        with pytest.raises(RelabelError) as error:
            read(root, **options)
        return str(error.value)

    def test_an_unknown_city(self, tmp_path: Path) -> None:
        """Lists those that exist."""
        with pytest.raises(NotFoundError, match="no city 'cph'; there are amman"):
            msls.read(msls_tree(tmp_path), city="cph")

    def test_an_unknown_heading(self, tmp_path: Path) -> None:
        """The two that there are stand in the error."""
        with pytest.raises(OptionError, match="compass or travel"):
            read(msls_tree(tmp_path), heading="north")

    def test_a_city_with_no_csv(self, tmp_path: Path) -> None:
        """Names the folder and the files that it should hold."""
        root = msls_tree(tmp_path, without=["raw", "postprocessed", "seq_info", "subtask_index"])
        with pytest.raises(DatasetNotFoundError, match=r"no raw\.csv or postprocessed\.csv.*query \(no CSV file\)"):
            read(root)

    def test_no_raw_file_for_the_compass(self, tmp_path: Path) -> None:
        """Positions alone have no compass angle: the file and the other way are named."""
        found = self.fault(msls_tree(tmp_path, without=["query/raw"]))
        assert f"query{'/'}raw.csv: is missing" in found
        assert "heading of travel" in found

    @pytest.mark.parametrize(
        ("name", "column"),
        [
            *(("raw", column) for column in ("key", "lon", "lat", "ca", "pano")),
            *(("postprocessed", column) for column in ("key", "easting", "northing")),
            *(("seq_info", column) for column in ("key", "sequence_key", "frame_number")),
        ],
    )
    def test_a_missing_column(self, tmp_path: Path, name: str, column: str) -> None:
        """The file, the column and those that are there are named."""
        root = msls_tree(tmp_path)
        drop_column(root / "train_val" / "amman" / "database" / f"{name}.csv", column)
        found = self.fault(root)
        assert f"database/{name}.csv: line 1: column {column!r} is missing; the file has" in found

    @pytest.mark.parametrize(
        ("name", "column"), [("raw", "lon"), ("raw", "ca"), ("postprocessed", "easting"), ("seq_info", "frame_number")]
    )
    def test_text_where_a_number_belongs(self, tmp_path: Path, name: str, column: str) -> None:
        """File, line, column and text are named."""
        rows: list[Row] = street()
        rows[3] |= {column: "abc"}
        assert f"query/{name}.csv: line 5, column {column!r}: 'abc' is not" in self.fault(
            msls_tree(tmp_path, query=rows)
        )

    @pytest.mark.parametrize(
        ("has", "lacks"), [("raw", "postprocessed"), ("postprocessed", "raw"), ("raw", "seq_info")]
    )
    def test_a_key_in_one_file_only(self, tmp_path: Path, has: str, lacks: str) -> None:
        """The first such key, the file that has it, the one that lacks it, and how many there are."""
        root = msls_tree(tmp_path)
        path = root / "train_val" / "amman" / "query" / f"{lacks}.csv"
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
        found = self.fault(root)
        assert f"query/{has}.csv: key 'q4' is not in {lacks}.csv next to it (2 key(s) are not)" in found

    def test_another_key(self, tmp_path: Path) -> None:
        """As many rows, but not the same images."""
        root = msls_tree(tmp_path)
        edit(root / "train_val" / "amman" / "query" / "postprocessed.csv", "q2", "other")
        assert "query/raw.csv: key 'q2' is not in postprocessed.csv" in self.fault(root)

    @pytest.mark.parametrize("name", ["raw", "postprocessed"])
    def test_a_repeated_key(self, tmp_path: Path, name: str) -> None:
        """Both lines are named, in whichever file it is."""
        root = msls_tree(tmp_path)
        edit(root / "train_val" / "amman" / "query" / f"{name}.csv", "q4", "q1")
        assert f"query/{name}.csv: key 'q1' is on lines 3 and 6" in self.fault(root)

    def test_an_empty_key(self, tmp_path: Path) -> None:
        """The line is named."""
        root = msls_tree(tmp_path)
        edit(root / "train_val" / "amman" / "query" / "raw.csv", "q4", "")
        assert "query/raw.csv: line 6, column 'key': an empty cell" in self.fault(root)

    @pytest.mark.parametrize("name", ["raw", "postprocessed", "seq_info"])
    def test_an_empty_file(self, tmp_path: Path, name: str) -> None:
        """A file of no bytes is named."""
        root = msls_tree(tmp_path)
        (root / "train_val" / "amman" / "query" / f"{name}.csv").write_bytes(b"")
        assert f"query/{name}.csv: the file is empty" in self.fault(root)


class TestLightStart:
    def test_the_room_is_entered_on_demand(self) -> None:
        """Importing the datasets loads neither Arrow nor PROJ; naming a reader does, and pandas never is."""
        code = (
            "import sys, relabel.datasets as d\n"
            "assert not {'pyarrow', 'pyproj', 'pandas'} & set(sys.modules)\n"
            "assert d.msls.read\n"
            "assert 'pyarrow' in sys.modules and not {'pyproj', 'pandas'} & set(sys.modules)\n"
            "try:\n    d.other\nexcept AttributeError as e:\n    assert \"no attribute 'other'\" in str(e)\n"
            "else:\n    raise SystemExit(1)\n"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_reading_does_not_load_pandas(self, tmp_path: Path) -> None:
        """Arrow loads pandas, where it is installed, behind its back: reading must not pay for that."""
        code = (
            f"import sys; from relabel.datasets import msls; msls.read({str(msls_tree(tmp_path))!r}, city='amman')\n"
            "assert 'pandas' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.real_data
class TestRealData:
    @pytest.mark.parametrize("heading", ["compass", "travel"])
    def test_amman(self, real_data: Path, heading: str) -> None:
        """The real metadata of one city, in zone 36 N: a row alone beyond a leap has no direction of travel."""
        root = real_data / "msls"
        city = read(root, heading=heading)
        lines = [
            len((root / "train_val/amman" / side / "raw.csv").read_text().split()) for side in ("query", "database")
        ]
        assert [len(city.query) + 1, len(city.database) + 1] == lines == [836, 954]
        assert city.query.ok.all()
        assert (~city.database.ok).sum() == city.report.no_tangent == (1 if heading == "travel" else 0)
        assert city.crs == "EPSG:32636"

    def test_projection_agrees_with_the_metres_of_the_files(self, real_data: Path, tmp_path: Path) -> None:
        """Without postprocessed.csv the same positions come out of longitude and latitude."""
        given = read(real_data / "msls")
        for side in ("query", "database"):
            folder = tmp_path / "train_val" / "amman" / side
            folder.mkdir(parents=True)
            (folder / "raw.csv").symlink_to(real_data / "msls" / "train_val" / "amman" / side / "raw.csv")
        projected = read(tmp_path)
        assert projected.crs == given.crs
        assert np.abs(projected.query.position - given.query.position).max() < 0.05
        assert np.abs(projected.database.position - given.database.position).max() < 0.05
