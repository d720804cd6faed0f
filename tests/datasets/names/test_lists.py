"""Lists of @ names: what becomes of each field, the frame they share, and every way in which they can be wrong."""

from __future__ import annotations

import csv
import os
import pickle
from pathlib import Path

import numpy as np
import pyproj
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relabel.audit.audit import audit
from relabel.cameras import Status
from relabel.datasets.image_lists import read_names
from relabel.datasets.names import fields, lists
from relabel.datasets.names.fields import AtNames, parse
from relabel.datasets.names.lists import NamesReader, reader
from relabel.errors import DatasetNotFoundError, InputError, MissingFileError
from tests.trees import SAN_FRANCISCO, at_name, at_street, edit, msls_tree, name_list, street


def parsed(*texts: str) -> AtNames:
    return parse(texts, lambda row: f"row {row}")


def listed(tmp_path: Path, *texts: str, name: str = "q.txt") -> Path:
    return name_list(tmp_path / name, texts)


def utm(zone: int, lon: float, lat: float, *, south: bool = False) -> tuple[float, float]:
    east, north = pyproj.Proj(proj="utm", zone=zone, ellps="WGS84", south=south)(lon, lat)
    return east, north


class TestParse:
    """relabel.datasets.names.fields.parse"""

    @given(
        st.lists(
            st.tuples(
                st.floats(-1e7, 1e7),
                st.floats(-1e7, 1e7),
                st.one_of(st.none(), st.integers(1, 60)),
                st.sampled_from(["", *"CDEFGHJKLMNPQRSTUVWX"]),
                st.one_of(st.none(), st.tuples(st.floats(-90, 90), st.floats(-180, 180))),
                st.one_of(st.none(), st.floats(-1000, 1000)),
                st.text("abcXYZ012-_", max_size=5),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_gives_back_what_was_written(self, rows):
        """Every field, number by number; what is empty is NaN, 0 or an empty text."""
        texts = [
            at_name(
                repr(e),
                repr(n),
                "" if heading is None else repr(heading),
                zone=zone or "",
                letter=letter,
                lat="" if place is None else repr(place[0]),
                lon="" if place is None else repr(place[1]),
                pano_id=pano,
            )
            for e, n, zone, letter, place, heading, pano in rows
        ]
        found = parsed(*texts)
        nan = float("nan")
        np.testing.assert_array_equal(found.position, [row[:2] for row in rows])
        assert found.zone.tolist() == [row[2] or 0 for row in rows]
        assert found.letter.tolist() == [row[3] for row in rows]
        np.testing.assert_array_equal(found.lat_deg, [nan if r[4] is None else r[4][0] for r in rows])
        np.testing.assert_array_equal(found.lon_deg, [nan if r[4] is None else r[4][1] for r in rows])
        np.testing.assert_array_equal(found.heading_deg, [nan if r[5] is None else r[5] for r in rows])
        assert found.texts.get("pano_id", np.full(len(rows), "")).tolist() == [row[6] for row in rows]

    @given(
        st.lists(
            st.dictionaries(
                st.integers(0, 16),
                st.sampled_from(
                    [
                        *("", "1", "-2.5", "nan", "nan(1)", "inf", "+5", " 7", "1_0", "60.5", "61", "1e400", "١"),
                        *("S", "s ", "ab", "é", "T\0", "\udc80", "a\nb", "\r", '"q"', "a,b", "N/A", "f/", "@"),
                    ]
                ),
                max_size=2,
            ),
            min_size=1,
            max_size=3,
        )
    )
    @example([{4: "ß"}])  # two capitals, which NumPy cuts to one
    @example([{0: "\ufeff"}])  # which Arrow leaves out
    def test_arrow_changes_nothing(self, changes):
        """Names of all kinds, right and wrong, give what they give where every name is looked at by itself."""
        usual = ["", "1", "2", "10", "S", "37", "-122", "id", "", "270", "", "", "", "2011", "", ".jpg", ""]
        names = ["@".join([change.get(k, text) for k, text in enumerate(usual)][:16]) for change in changes]
        results = []
        for by_arrow in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                if not by_arrow:
                    patch.setattr(fields, "_parsed_by_arrow", lambda base: None)
                try:
                    results.append(repr(vars(parsed(*names))))
                except InputError as error:
                    results.append(str(error))
        assert results[0] == results[1]

    def test_folders_are_passed_over(self):
        """Only the base name is split, whatever the folders are called."""
        assert parsed(f"a@b/@x@/{at_name(1, 2)}").position.tolist() == [[1.0, 2.0]]

    def test_only_two_fields_are_needed(self):
        """All others may be empty, as long as every @ is there."""
        found = parsed("@1.5@-2@@@@@@@@@@@@@.png")
        assert found.position.tolist() == [[1.5, -2.0]]
        assert np.isnan(found.heading_deg).all()
        assert found.texts == {}

    def test_nothing(self):
        """No name, no row."""
        assert len(parsed()) == 0

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("@1@2@.jpg", "row 1: '@1@2@.jpg' has 4 fields between @; 16 were expected, as in @east@north"),
            ("a.jpg", "row 1: 'a.jpg' has no @; 16 were expected"),
            (at_name(note="a@b"), "has 17 fields between @; 16 were expected.*cannot hold an @"),
            (at_name(east=""), "row 1: east is empty; correct the name"),
            (at_name(north="x1"), "row 1: north 'x1' is not a number"),
            (at_name(north="1_0"), "row 1: north '1_0' is not a number"),
            (at_name(heading="N"), r"row 1: heading 'N' is not a number; correct the name \(field 9"),
            (at_name(zone=61), "row 1: zone 61 is outside 1 … 60"),
            (at_name(zone=0), "row 1: zone 0 is outside"),
            (at_name(zone="10.5"), "row 1: zone '10.5' is not a whole number"),
            (at_name(letter="I"), "row 1: letter 'I' is not a latitude band"),
            (at_name(letter="ST"), "row 1: letter 'ST' is not a latitude band"),
            (at_name(lat=-122.4, lon=37.7), "row 1: lat -122.4 is outside -90 … 90; are lat and lon swapped"),
            (at_name(lat=37.7, lon=182), "row 1: lon 182 is outside -180 … 180; are lat and lon swapped"),
            (at_name(lat=37.7), "row 1: has a lat but no lon"),
            (at_name(lon=37.7), "row 1: has a lon but no lat"),
        ],
    )
    def test_bad_names(self, text, message):
        """The row is named, and what is wrong with it."""
        with pytest.raises(InputError, match=message):
            parsed(at_name(), text)

    def test_no_at_name_at_all(self):
        """One bad name is a mistake; nothing but bad names is another kind of list."""
        with pytest.raises(
            InputError, match=r"row 0: 'a.jpg' is not a name of the form @east.*nor is any of the 2 names"
        ):
            parsed("a.jpg", "b.jpg")


class TestReadNames:
    """relabel.datasets.image_lists.read_names"""

    @pytest.mark.parametrize("name", ["a.txt", "a.npy", "a"])
    def test_same_from_everywhere(self, tmp_path, name):
        """A text, an array and a folder of the same names give the same, a folder in order."""
        texts = sorted(at_street())
        found = read_names(name_list(tmp_path / name, texts))
        assert found.names == tuple(texts)
        assert len(found.files) == (name != "a")

    def test_folder(self, tmp_path):
        """To its depths, images of all kinds and no other file, in the order of `sorted` of the whole paths."""
        texts = ["b/c/1.PNG", "b/0.jpeg", "b-/2.jpg", "a.jpg", "b/readme.txt"]
        found = read_names(name_list(tmp_path / "a", texts))
        assert found.names == tuple(sorted(texts[:-1]))
        assert found.location(0) == str(tmp_path / "a" / "a.jpg")

    def test_links(self, tmp_path):
        """A linked folder is looked into; one that leads back is no way to hang."""
        name_list(tmp_path / "elsewhere", ["1.jpg"])
        folder = name_list(tmp_path / "a", ["0.jpg"])
        (folder / "more").symlink_to(tmp_path / "elsewhere")
        (folder / "self").symlink_to(folder)
        assert read_names(folder).names == ("0.jpg", "more/1.jpg")

    @pytest.mark.parametrize("text", ["a\nb\n", "\ufeffa\r\nb", "\na\n\nb\n\n", "a\rb"])
    def test_text(self, tmp_path, text):
        """Marks, line endings and empty lines do not matter."""
        path = tmp_path / "a.txt"
        path.write_bytes(text.encode())
        assert read_names(path).names == ("a", "b")

    def test_names_are_not_altered(self, tmp_path):
        """Blanks at either end, and what else Unicode ends lines with, belong to a name."""
        names = (" a ", "\tb", "c\u2028d\x85e\x0b", " ")
        (tmp_path / "a.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8", newline="")
        np.save(tmp_path / "a.npy", np.array(names))
        assert read_names(tmp_path / "a.txt").names == read_names(tmp_path / "a.npy").names == names

    def test_lines_are_those_of_the_editor(self, tmp_path):
        """Blank lines are counted."""
        assert read_names(listed(tmp_path, "", "a", "", "b")).location(1).endswith("q.txt: line 4")

    def test_bytes_in_an_array(self, tmp_path):
        """They are UTF-8."""
        np.save(tmp_path / "a.npy", np.array(["é", "b"]).astype("U").view(np.ndarray).tolist())
        np.save(tmp_path / "b.npy", np.array(["é".encode(), b"b"]))
        assert read_names(tmp_path / "a.npy").names == read_names(tmp_path / "b.npy").names == ("é", "b")

    def test_objects_are_not_loaded(self, tmp_path):
        """They are code; the message says how to make text of them."""

        class Trap:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "trapped"),)

        np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
        with pytest.raises(InputError, match=r"a.npy: holds Python objects.*allow_pickle=True\).astype\(str\)"):
            read_names(tmp_path / "a.npy")
        (tmp_path / "b.npy").write_bytes(pickle.dumps(["a"]))
        with pytest.raises(InputError, match=r"b.npy: is not a readable .npy file"):
            read_names(tmp_path / "b.npy")
        assert not (tmp_path / "trapped").exists()

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("a.txt", b"", "a.txt: the file is empty"),
            ("a.txt", b"\n\r\n", "a.txt: the file is empty"),
            ("a.txt", b"a\n\xff\n", "a.txt: line 2: byte 0xff is not UTF-8"),
            ("a.txt", b"a\0b", "a.txt: is not a text file"),
            ("a.txt", b"a\nb\n\na\na\n", "a.txt: 'a' is in lines 1 and 4, and 2 name"),
            ("a.npy", b"", "a.npy: is not a readable .npy file"),
            ("a.npy", b"text", "a.npy: is not a readable .npy file"),
            (
                "a.npy",
                b"\x93NUMPY\1\0\x47\0{'descr': '<U9', 'fortran_order': False, 'shape': (1%015d,)}\n" % 0,
                "a.npy: is not a readable .npy file",
            ),
        ],
    )
    def test_bad_files(self, tmp_path, name, content, message):
        """The file and the line are named."""
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_names(tmp_path / name)

    @pytest.mark.parametrize(
        ("array", "message"),
        [
            (np.arange(3), r"array of int64 with shape \(3,\); expected \(n,\) text"),
            (np.array([["a"]]), r"shape \(1, 1\)"),
            (np.array([], dtype="U3"), "the array is empty"),
            (np.array(["a", ""]), "entry 1 is empty"),
            (np.array(["a", "b", "a"]), "'a' is in entries 0 and 2"),
            (np.array([b"\xff"]), "bytes that are not UTF-8"),
        ],
    )
    def test_bad_arrays(self, tmp_path, array, message):
        """The same for arrays."""
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(InputError, match=message):
            read_names(tmp_path / "a.npy")

    def test_nothing_there(self, tmp_path):
        """Neither file nor folder, or a folder without an image."""
        with pytest.raises(MissingFileError, match="nowhere: does not exist; give a folder"):
            read_names(tmp_path / "nowhere")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b.txt").write_text("")
        with pytest.raises(InputError, match=r"a: holds no image \(.jpg, .jpeg, .png\).*1 other file is there"):
            read_names(tmp_path / "a")

    def test_one_picture_in_two_folders(self, tmp_path):
        """Both are named; a list of them is taken, as its lines differ."""
        texts = [f"{folder}/{at_name()}" for folder in ("train", "val")]
        with pytest.raises(InputError, match=rf"{texts[0]} and {texts[1]} have the same name.*a text file"):
            read_names(name_list(tmp_path / "a", texts))
        assert read_names(listed(tmp_path, *texts)).names == tuple(texts)


class TestRead:
    """relabel.datasets.names.read"""

    def test_cameras(self, tmp_path):
        """Keys as given, metres as written, the rest in further columns."""
        texts = [f"a/{name}" for name in at_street(3, timestamp="2015", note="")]
        found = lists.read(listed(tmp_path, *texts), listed(tmp_path, *at_street(4, prefix="d"), name="d.txt"))
        assert found.query.key.tolist() == texts
        np.testing.assert_array_equal(
            found.query.position, [[SAN_FRANCISCO[0] + 10 * i, SAN_FRANCISCO[1]] for i in range(3)]
        )
        assert found.query.heading_deg.tolist() == [90.0] * 3
        assert found.query.crs == found.database.crs == "EPSG:32610"
        assert set(found.query.extra) == {"pano_id", "timestamp", "lon_deg", "lat_deg"}
        assert found.query.extra["pano_id"].tolist() == ["q0", "q1", "q2"]
        assert (len(found.database), found.notes) == (4, ())
        assert found.files == (tmp_path / "q.txt", tmp_path / "d.txt")
        assert found.report == lists.NamesReport(rows=7)

    def test_headings(self, tmp_path):
        """0 and 360 are one, others are taken modulo 360 and counted, and none is none."""
        angles = ["0", "360", "720", "-90", "", "nan", "inf", "359.5"]
        texts = [at_name(heading=a, pano_id=i) for i, a in enumerate(angles)]
        found = lists.read(listed(tmp_path, *texts))
        np.testing.assert_array_equal(found.query.heading_deg, [0, 0, 0, 270, np.nan, np.nan, np.nan, 359.5])
        missing = found.query.status == Status.NO_HEADING
        assert missing.tolist() == [False] * 4 + [True] * 3 + [False]
        assert found.report == lists.NamesReport(rows=8, wrapped=3, missing=3)

    def test_no_position(self, tmp_path):
        """A place that is nan keeps its row."""
        found = lists.read(listed(tmp_path, at_name(east="nan"), at_name()))
        assert found.query.status.tolist() == [Status.NO_POSITION, Status.OK]

    @pytest.mark.parametrize("again", ["none", "same", "link"])
    def test_self_pairs(self, tmp_path, again):
        """One list, the same path twice, or another way to the same file: one object."""
        path = listed(tmp_path, *at_street())
        (tmp_path / "link.txt").symlink_to(path)
        database = {"none": None, "same": path, "link": tmp_path / "link.txt"}[again]
        found = lists.read(path, database)
        assert found.query is found.database
        assert found.report.rows == 6

    def test_equal_lists_are_two_sides(self, tmp_path):
        """Two files with the same names are no self pairs."""
        found = lists.read(listed(tmp_path, *at_street()), listed(tmp_path, *at_street(), name="d.txt"))
        assert found.query is not found.database


class TestFrame:
    """The frame of the positions."""

    def crs(self, tmp_path: Path, *texts: str) -> str:
        return lists.read(listed(tmp_path, *texts)).query.crs

    def test_none(self, tmp_path):
        """Without zones it is a frame of its own."""
        assert self.crs(tmp_path, at_name(1, 2, zone="", letter="")) == "local"

    @pytest.mark.parametrize(
        ("north", "letter", "crs"),
        [
            (4e6, "S", "EPSG:32610"),
            (5.8e6, "H", "EPSG:32710"),
            (-4.2e6, "H", "+proj=utm +zone=10 +datum=WGS84 +units=m"),
            (4e6, "s", "EPSG:32610"),
            (4e6, "", "local"),
        ],
    )
    def test_hemisphere(self, tmp_path, north, letter, crs):
        """The letter tells the hemisphere, the sign of a southern northing its convention."""
        assert self.crs(tmp_path, at_name(5e5, north, letter=letter)) == crs

    def test_latitude_beats_the_letter(self, tmp_path):
        """S may mean south."""
        east, north = utm(10, -123.0, -30.0, south=True)
        assert self.crs(tmp_path, at_name(east, north, letter="S", lat=-30.0, lon=-123.0)) == "EPSG:32710"

    def test_across_the_equator(self, tmp_path):
        """With negative southern northings both sides of it are one map."""
        found = lists.read(listed(tmp_path, at_name(5e5, 10, letter="N"), at_name(5e5, -10, letter="M")))
        assert found.query.crs == "+proj=utm +zone=10 +datum=WGS84 +units=m"
        np.testing.assert_allclose(found.geographic[0][:, 0], -123.0, atol=1e-9)
        assert np.sign(found.geographic[0][:, 1]).tolist() == [1.0, -1.0]

    def test_one_zone(self, tmp_path):
        """Metres stay as written, on the map of the zone; places are those of the metres, to the centimetre."""
        east, north = utm(55, 144.96, -37.8, south=True)
        found = lists.read(listed(tmp_path, at_name(east, north, zone=55, letter="H", lat=-37.80012, lon=144.96)))
        assert (found.query.crs, found.params["north"]) == ("EPSG:32755", "true")
        np.testing.assert_array_equal(found.query.position, [[east, north]])
        np.testing.assert_allclose(found.geographic[0], [[144.96, -37.8]], atol=1e-9)

    def test_no_zone_but_degrees(self, tmp_path):
        """Places are those of the degrees, as where another image has a zone."""
        found = lists.read(listed(tmp_path, at_name(1, 2, zone="", letter="", lat=45.0, lon=3.0)))
        assert (found.query.crs, found.params["north"]) == ("EPSG:32631", "true")
        np.testing.assert_array_equal(found.geographic[0], [[3.0, 45.0]])
        np.testing.assert_allclose(found.query.position, [utm(31, 3.0, 45.0)], atol=1e-3)
        assert "no zone" in found.notes[0]

    def test_north_of_the_metres(self, tmp_path):
        """Where nothing says where on earth the metres are, that is recorded."""
        found = lists.read(listed(tmp_path, at_name(1, 2, zone="", letter="")))
        assert (found.geographic, found.params["north"]) == (None, "second axis of the metres")

    def test_swapped_degrees(self, tmp_path):
        """Degrees that say something else than the metres are told of, and the frame is not named."""
        found = lists.read(listed(tmp_path, at_name(5e5, 3e6, lat=12.0, lon=27.0)))
        assert found.query.crs == "local"
        assert found.notes == ()
        (finding,) = (f for f in audit(found).findings if f.code == "positions-disagree")
        assert (finding.severity, finding.count, finding.total) == ("warning", 1, 1)
        assert "'local'" in finding.seen

    @pytest.mark.parametrize(
        ("place", "degrees"),
        [
            ((3537000, 766000), {}),
            ((3537000, 766000), {"lat": 31.9, "lon": 35.8}),
            ((-5, 3537000), {}),
            ((766000, 1.1e7), {}),
        ],
    )
    def test_metres_of_no_zone(self, tmp_path, place, degrees):
        """East and north the other way round would turn the street; without a zone the metres are of any map."""
        good = at_name(766000, 3537000, **degrees)
        with pytest.raises(
            InputError, match=r"line 2: east .* is not a position in a UTM zone, .* are the two swapped"
        ):
            lists.read(listed(tmp_path, good, at_name(*place, **degrees)))
        assert lists.read(listed(tmp_path, at_name(*place, zone="", letter=""))).query.ok.all()

    @pytest.mark.parametrize("degrees", [True, False])
    def test_several_zones(self, tmp_path, degrees):
        """They are brought together on the earth, to the centimetre, by metres and zone."""
        places = [(5.9999, 48.0), (6.0001, 48.0)]
        texts = []
        for zone, (lon, lat) in zip((31, 32), places, strict=True):
            east, north = utm(zone, lon, lat)
            told = {"lat": f"{lat:.5f}", "lon": f"{lon:.5f}"} if degrees else {}
            texts.append(at_name(f"{east:.2f}", f"{north:.2f}", zone=zone, letter="U", **told))
        found = lists.read(listed(tmp_path, *texts))
        assert found.geographic is not None
        np.testing.assert_allclose(found.geographic[0], places, atol=1e-7)
        x, y = pyproj.Transformer.from_crs("EPSG:4326", found.query.crs, always_xy=True).transform(
            *np.transpose(places)
        )
        np.testing.assert_allclose(found.query.position, np.column_stack([x, y]), atol=0.02)
        assert found.query.ok.all()
        assert ["2 frames" in note for note in found.notes] == [True]

    def test_zones_that_degrees_deny(self, tmp_path):
        """The first such name is told of."""
        east, north = utm(31, 3.0, 45.0)
        texts = [at_name(east, north, zone=zone, letter="T", lat=45.0, lon=3.0) for zone in (31, 32)]
        found = lists.read(listed(tmp_path, *texts))
        assert len(found.notes) == 1
        (finding,) = (f for f in audit(found).findings if f.code == "positions-disagree")
        assert (finding.severity, finding.count, finding.total) == ("warning", 1, 2)
        assert f"in 1 name of q.txt, first in {texts[1]!r}" in finding.seen
        assert str(tmp_path) not in finding.seen  # which goes into the provenance
        assert finding.keys == (texts[1],)

    def test_degrees_stand_in_for_a_zone(self, tmp_path):
        """A name without a zone is placed by its degrees."""
        east, north = utm(31, 3.0, 45.0)
        texts = [at_name(east, north, zone=31, letter="T"), at_name(0, 0, zone="", letter="", lat=45.0, lon=3.0)]
        found = lists.read(listed(tmp_path, *texts))
        np.testing.assert_allclose(found.geographic[0], [[3.0, 45.0]] * 2, atol=1e-9)

    def test_antimeridian(self, tmp_path):
        """Metres and degrees that lie on either side of ±180° agree all the same."""
        texts = []
        for zone, lon, told in ((60, 179.99999, 180.0), (1, -179.99999, 180.0)):
            east, north = utm(zone, lon, -17.0, south=True)
            texts.append(at_name(east, north, zone=zone, letter="K", lat=-17.0, lon=told))
        assert len((read := lists.read(listed(tmp_path, *texts))).notes) == 1
        assert read.doubts == ()

    def test_two_conventions(self, tmp_path):
        """Southern northings with and without the false one are two frames of one zone, and are brought together."""
        texts = [at_name(5e5, north, letter="H", pano_id=i) for i, north in enumerate((5.8e6, -4.2e6))]
        found = lists.read(listed(tmp_path, *texts))
        np.testing.assert_allclose(*found.geographic[0], atol=1e-9)

    @pytest.mark.parametrize(
        ("first", "second", "said"),
        [
            ({"zone": 10}, {"zone": ""}, "line 1 is in zone 10; .*line 2 is without a zone"),
            ({"zone": 10, "letter": ""}, {"zone": 11}, "line 1 is in zone 10, hemisphere unknown; .*zone 11"),
        ],
    )
    def test_frames_that_nothing_connects(self, tmp_path, first, second, said):
        """The first name of each is told."""
        with pytest.raises(InputError, match=f"positions are in 2 frames.*{said}"):
            lists.read(listed(tmp_path, at_name(pano_id=1, **first), at_name(pano_id=2, **second)))

    def test_one_side_each(self, tmp_path):
        """Queries and database have to share the frame as well."""
        with pytest.raises(InputError, match=r"q.txt: line 1 is in zone 10; .*d.txt: line 1 is without"):
            lists.read(listed(tmp_path, at_name()), listed(tmp_path, at_name(zone=""), name="d.txt"))


class TestJoin:
    """`join_msls`: the compass of an MSLS tree by Mapillary key."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        rows = [row | {"ca": 10.0 * i + 300, "pano": i == 2} for i, row in enumerate(street())]
        rows[4]["ca"] = None
        msls_tree(tmp_path / "msls", query=rows)
        return msls_tree(tmp_path / "msls", query=street(prefix="x"), database=street(prefix="y"), city="goa")

    def test_heading_and_panorama(self, tmp_path, root):
        """By pano_id, whatever the name says; nothing else is taken."""
        texts = [
            at_name(5e5 + i, pano_id=key, heading=h)
            for i, (key, h) in enumerate([("q1", ""), ("q2", ""), ("q4", 7), ("y0", 7), ("none", 7), ("", "")])
        ]
        found = lists.read(listed(tmp_path, *texts), join_msls=root)
        np.testing.assert_array_equal(found.query.heading_deg, [310, 320, np.nan, 90, 7, np.nan])
        assert [Status(code).label for code in found.query.status] == [
            "ok",
            "panorama",
            "no_heading",
            "ok",
            "ok",
            "no_heading",
        ]
        np.testing.assert_array_equal(found.query.position[:, 0], 5e5 + np.arange(6))
        assert found.report == lists.NamesReport(rows=6, missing=2, joined=4, not_joined=2, panoramas=1)

    def test_files(self, tmp_path, root):
        """Those that a heading came from."""
        found = lists.read(listed(tmp_path, at_name(pano_id="q1"), at_name(pano_id="y1")), join_msls=root)
        tree = root / "train_val"
        assert set(found.files) == {
            tmp_path / "q.txt",
            tree / "amman" / "query" / "raw.csv",
            tree / "goa" / "database" / "raw.csv",
        }

    def test_against_the_csv(self, tmp_path, root):
        """Every key of the tree, read with the standard library."""
        expected = {}
        for path in root.rglob("raw.csv"):
            with path.open(newline="") as stream:
                expected |= {row["key"]: float(row["ca"] or "nan") for row in csv.DictReader(stream)}
        keys = sorted(expected)
        found = lists.read(listed(tmp_path, *(at_name(pano_id=key) for key in keys)), join_msls=root)
        np.testing.assert_array_equal(found.query.heading_deg, [expected[key] for key in keys])

    def test_refused(self, tmp_path, root):
        """No pano_id, none that the tree has, no raw.csv, or a key with two angles."""
        with pytest.raises(InputError, match=r"q.txt: no name has a pano_id"):
            lists.read(listed(tmp_path, at_name()), join_msls=root)
        with pytest.raises(InputError, match=r"none of the 1 names has a pano_id that is in .*24 keys; here 'zz'"):
            lists.read(listed(tmp_path, at_name(pano_id="zz")), join_msls=root)
        edit(root / "train_val" / "goa" / "query" / "raw.csv", ",x3,", ",q3,")
        with pytest.raises(InputError, match=r"key 'q3' is in .*amman.*raw.csv and .*goa.*raw.csv with different"):
            lists.read(listed(tmp_path, at_name(pano_id="q1")), join_msls=root)
        for path in root.rglob("raw.csv"):
            path.unlink()
        with pytest.raises(DatasetNotFoundError, match="none of its 2 cities has a raw"):
            lists.read(listed(tmp_path, at_name(pano_id="q1")), join_msls=root)

    def test_a_copy_of_a_city_is_no_harm(self, tmp_path, root):
        """The same key twice with the same values is one."""
        rows = street()
        msls_tree(root, query=rows, database=street(prefix="z"), city="copy")
        msls_tree(root, query=rows, database=street(prefix="w"), city="amman")
        found = lists.read(listed(tmp_path, at_name(pano_id="q1")), join_msls=root)
        assert found.query.heading_deg.tolist() == [90.0]


class TestReader:
    """relabel.datasets.names.lists"""

    @pytest.mark.parametrize(
        ("queries", "database", "name"),
        [("sf/q.txt", "sf/d.txt", "sf"), ("sf/q.txt", None, "q"), ("sf/q", "sf/d", "sf"), ("sf/v1.0", None, "v1.0")],
    )
    def test_name(self, tmp_path, queries, database, name):
        """That of the folder of both, or that of the one list."""
        paths = [None if p is None else name_list(tmp_path / p, at_street()) for p in (queries, database)]
        assert reader(*paths).name == name
        assert reader(*paths, name="mine").name == "mine"

    def test_there_and_back(self, tmp_path):
        """Its parameters, without the root, lead to the same cameras."""
        root = msls_tree(tmp_path / "a" / "msls")
        queries = name_list(tmp_path / "a" / "q.txt", at_street())
        database = name_list(tmp_path / "a" / "b" / "d", at_street())
        made = reader(queries, database, join_msls=root)
        parameters = made.parameters()
        assert parameters == {"collection": "a", "queries": "q.txt", "database": "b/d", "join_msls": "msls"}
        (tmp_path / "a").rename(tmp_path / "moved")
        again = NamesReader.from_parameters(parameters, tmp_path / "moved")
        assert parameters == {}
        assert again.read().query.key.tolist() == at_street()

    def test_same_list_twice(self, tmp_path):
        """Is self pairs, and recorded as such."""
        path = listed(tmp_path, *at_street())
        assert reader(path, path).parameters() == {"collection": "q", "queries": "q.txt"}
        street_ = reader(path, path).read()
        assert street_.query is street_.database

    def test_says_what_is_wrong(self, tmp_path):
        """In its notes, and counted in the parameters of the collection."""
        texts = [at_name(5e5 + i, heading=h) for i, h in enumerate(["360", "", "10"])]
        texts.append(at_name(east="nan"))
        read = reader(listed(tmp_path, *texts)).read()
        assert read.params == {
            "heading": "name",
            "north": "true",
            "heading_faults": {"wrapped": 1, "missing": 1},
        }
        assert read.notes[:2] == ("1 heading outside [0°, 360°) was wrapped", "1 camera has no heading")


@pytest.mark.real_data
class TestSanFrancisco:
    """SF-XL val."""

    def test_against_a_plain_split(self, real_data):
        """Every row, with nothing but str.split."""
        folder = real_data / "sf_xs_val"
        found = lists.read(folder / "queries.txt", folder / "database.txt")
        for side, name in ((found.query, "queries"), (found.database, "database")):
            lines = (folder / f"{name}.txt").read_text().split()
            fields = [line.rsplit("/", 1)[1].split("@") for line in lines]
            assert side.key.tolist() == lines
            np.testing.assert_array_equal(side.position, [[float(f[1]), float(f[2])] for f in fields])
            np.testing.assert_array_equal(side.heading_deg, [float(f[9]) % 360 for f in fields])
            assert side.extra["pano_id"].tolist() == [f[7] for f in fields]
            assert (side.crs, bool(side.ok.all())) == ("EPSG:32610", True)
