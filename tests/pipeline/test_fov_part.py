"""Parts: what a city is opened as, and the way back from a provenance record."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from relabel.cameras import Status
from relabel.errors import InputError, NotFoundError
from relabel.fov.params import FovParams
from relabel.labelfile import provenance
from relabel.pipeline.records import part_from_record
from tests.pipeline.conftest import CITIES
from tests.pipeline.jobs import msls_parts
from tests.trees import COLUMNS, edit, msls_tree, street, write_csv


def opened(root: Path, **query: Any) -> Any:
    """The one city of a tree whose queries are given."""
    ((part,), _) = msls_parts(msls_tree(root, **query), None)
    return part.open()


class TestFovOptions:
    """relabel.fov.params.FovParams.to_json"""

    def test_arc_only_where_it_matters(self) -> None:
        """The segments of a polygon say nothing about a sector."""
        assert "arc" not in FovParams().to_json()
        assert FovParams(shape="polygon").to_json() == FovParams().to_json() | {"shape": "polygon", "arc": 16}

    def test_spelling_does_not_show(self) -> None:
        """90 and 90.0 are one field of view, also in the text of the record."""
        whole = FovParams(fov_deg=90, radius_m=50, min_value=0)
        assert repr(whole.to_json()) == repr(FovParams(90.0, 50.0, min_value=0.0).to_json())


class TestFovParts:
    """relabel.pipeline.fov_part.msls_parts"""

    def test_one_a_city(self, tree: Path) -> None:
        """By name, with all that was asked for in the parameters."""
        parts, skipped = msls_parts(tree, None, heading="travel", params=FovParams(fov_deg=70.0))
        assert [part.name for part in parts] == list(CITIES)
        assert skipped == ()
        assert parts[1].parameters() == {"city": "goa", "heading": "travel", **FovParams(fov_deg=70.0).to_json()}

    def test_cities_without_positions(self, root: Path) -> None:
        """They are told of, with the reason."""
        msls_tree(root, city="miami", split="test", without=("raw", "postprocessed"))
        parts, skipped = msls_parts(root, "goa,miami")
        assert [part.name for part in parts] == ["goa"]
        assert [line.partition(":")[0] for line in skipped] == ["miami"]

    def test_unknown_city(self, tree: Path) -> None:
        """Those that exist are listed."""
        with pytest.raises(NotFoundError, match="amman, goa, zurich"):
            msls_parts(tree, "oslo")

    def test_can_be_sent(self, tree: Path) -> None:
        """A part goes to other processes and is the same there."""
        parts, _ = msls_parts(tree, None)
        assert pickle.loads(pickle.dumps(parts)) == parts


class TestOpen:
    """relabel.pipeline.fov_part.FovPart.open"""

    def test_good(self, tree: Path) -> None:
        """Cameras, every file that was read, and parameters with the source of the headings."""
        part = msls_parts(tree, "goa")[0][0]
        source, files, notes, *_ = part.open(threads=1)
        assert source.collection.shape == (6, 7)
        assert source.collection.params == {"shape": "sector", "fov_deg": 90.0, "radius_m": 50.0, "heading": "compass"}
        assert len(files) == 6
        assert all(file.is_file() for file in files)
        assert notes == ()

    def test_options_are_passed_on(self, tree: Path) -> None:
        """Each of them arrives at the overlap."""
        options = FovParams(80.0, 30.0, "polygon", 5, "dice", 0.25)
        part = msls_parts(tree, "goa", heading="travel", params=options)[0][0]
        collection = part.open().source.collection
        assert collection.params == {
            "shape": "polygon",
            "fov_deg": 80.0,
            "radius_m": 30.0,
            "arc": 5,
            "heading": "travel",
        }
        assert (collection.measure, collection.min_value) == ("dice", 0.25)

    def test_faults_are_noted_and_recorded(self, tmp_path: Path) -> None:
        """Panoramas, missing and strange angles and missing positions: told to the user, and kept in the file."""
        rows = street(9)
        for row, fault in zip(
            rows, ({"pano": True}, {"ca": None}, {"ca": -90.0}, {"easting": None}, {"ca": 450.0}), strict=False
        ):
            row |= fault  # noqa: PLW2901 - in place
        source, _, notes, *_ = opened(tmp_path, query=rows, database=street(4, prefix="d"))
        status = source.collection.query.status
        assert status.tolist()[:4] == [Status.PANORAMA, Status.NO_HEADING, Status.OK, Status.NO_POSITION]
        assert source.collection.params["heading_faults"] == {"panoramas": 1, "non_finite": 1, "wrapped": 2}
        assert len(notes) == 4
        for text in ("panorama", "no compass angle", "were wrapped", "query cameras have no position"):
            assert any(note.startswith("amman: ") and text in note for note in notes)

    def test_stuck_compass(self, tmp_path: Path) -> None:
        """A compass that never moves is worth a note."""
        (note,) = opened(tmp_path, query=street(6)).notes
        assert note.startswith("amman: 2 sequences (12 cameras) repeat one compass angle")

    def test_compass_that_is_not_used(self, tmp_path: Path) -> None:
        """With the heading of travel nothing is said of the compass, but of what travel cannot tell."""
        rows = street(6, ca=None)
        rows[0]["view_direction"] = "Sideways"
        root = msls_tree(tmp_path, query=rows)
        ((part,), _) = msls_parts(root, None, heading="travel")
        source, _, notes, *_ = part.open()
        assert source.collection.params["heading_faults"] == {"sideways": 1}
        assert notes == ("amman: 1 camera looks sideways, to an unknown side",)

    def test_empty_side(self, tmp_path: Path) -> None:
        """CSV files without a row are refused, by folder."""
        with pytest.raises(InputError, match=r"amman/query: there is no row"):
            opened(tmp_path, query=[])

    @pytest.mark.parametrize(("heading", "other"), [("compass", "travel"), ("travel", "compass")])
    def test_nothing_to_label(self, tmp_path: Path, heading: Any, other: str) -> None:
        """When no camera has a heading, the folder, the count and the other source are named."""
        root = msls_tree(tmp_path, query=street(6, ca=None, view_direction="Sideways"))
        ((part,), _) = msls_parts(root, None, heading=heading)
        with pytest.raises(
            InputError, match=rf"amman/query: none of the 6 query cameras .* --heading {other}"
        ) as found:
            part.open()
        assert "6 no_heading" in str(found.value)


class TestPartOfRecord:
    """relabel.pipeline.records.part_from_record"""

    @pytest.mark.parametrize("shape", ["sector", "polygon"])
    def test_there_and_back(self, tree: Path, shape: Any) -> None:
        """The record of a part leads to that part, wherever the dataset lies now."""
        part = msls_parts(tree, "goa", heading="travel", params=FovParams(70.0, 20.0, shape, measure="dice"))[0][0]
        record = provenance.step(part.command, part.parameters())
        assert part_from_record(record, tree) == part

    def test_somebody_elses(self, tree: Path) -> None:
        """A record of another command is of no part."""
        assert part_from_record(provenance.step("somebody else", {"city": "goa"}), tree) is None

    @pytest.mark.parametrize("parameters", [{}, {"city": "goa"}, {"city": "goa", "heading": "compass", "colour": 1}])
    def test_that_cannot_be_followed(self, tree: Path, parameters: dict[str, Any]) -> None:
        """Parameters that are missing or not known are an input error."""
        with pytest.raises(InputError, match="cannot be followed"):
            part_from_record(provenance.step("relabel msls", parameters), tree)

    def test_city_not_there(self, tree: Path) -> None:
        """So is a city that the dataset does not hold; those that it holds are listed."""
        record = provenance.step("relabel msls", {"city": "oslo", "heading": "compass"})
        with pytest.raises(InputError, match=r"'oslo'.*amman, goa, zurich"):
            part_from_record(record, tree)


class TestHeaderOnly:
    """A dataset that lost its rows since it was labelled."""

    def test_is_empty_on_one_side(self, tmp_path: Path) -> None:
        """The side is named."""
        root = msls_tree(tmp_path)
        for name, columns in COLUMNS.items():
            write_csv(root / f"train_val/amman/database/{name}.csv", [], columns)
        with pytest.raises(InputError, match="database: there is no row"):
            msls_parts(root, None)[0][0].open()

    def test_in_one_file_only(self, tmp_path: Path) -> None:
        """The first key that the file lacks is named."""
        root = msls_tree(tmp_path)
        path = root / "train_val/amman/query/postprocessed.csv"
        header, body = path.read_text().split("\n", 1)
        edit(path, body, "")
        with pytest.raises(InputError, match=r"'q0' is not in postprocessed\.csv"):
            msls_parts(root, None)[0][0].open()
        assert header.startswith(",key")
