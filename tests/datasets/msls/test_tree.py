from __future__ import annotations

import logging
from pathlib import Path

import pytest

from relabel.datasets.msls import city as msls
from relabel.errors import DatasetNotFoundError, NotFoundError, OptionError
from tests.trees import msls_tree

NO_POSITIONS = ("raw", "postprocessed")


def names(cities: tuple[msls.City, ...]) -> list[str]:
    return [city.name for city in cities]


class TestOfficialLists:
    def test_are_22_and_2_and_6(self) -> None:
        """The lists have the published sizes and share no city."""
        assert (len(msls.TRAIN_CITIES), len(msls.VAL_CITIES), len(msls.TEST_CITIES)) == (22, 2, 6)
        assert len({*msls.TRAIN_CITIES, *msls.VAL_CITIES, *msls.TEST_CITIES}) == 30


class TestFind:
    def test_finds_the_cities_of_both_splits(self, tmp_path: Path) -> None:
        """By name, each with its split folder."""
        for city, split in (("sf", "train_val"), ("amman", "train_val"), ("miami", "test")):
            msls_tree(tmp_path, city=city, split=split)
        (tmp_path / "train_val" / "notes").mkdir()
        found = msls.find(tmp_path)
        assert [(c.name, c.split) for c in found.cities] == [
            ("amman", "train_val"),
            ("miami", "test"),
            ("sf", "train_val"),
        ]
        assert found["sf"].path == tmp_path / "train_val" / "sf"

    @pytest.mark.parametrize("split", ["train_val", "test"])
    def test_a_split_folder_may_be_the_root(self, tmp_path: Path, split: str, caplog: pytest.LogCaptureFixture) -> None:
        """train_val or test itself is accepted, and said so."""
        msls_tree(tmp_path, split=split)
        with caplog.at_level(logging.INFO):
            found = msls.find(tmp_path / split)
        assert [(c.name, c.split) for c in found.cities] == [("amman", split)]
        assert f"read as the folder {split}" in caplog.text

    def test_a_city_in_both_splits_is_taken_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The one in train_val, and the other is named."""
        for split in ("train_val", "test"):
            msls_tree(tmp_path, split=split)
        assert [c.split for c in msls.find(tmp_path).cities] == ["train_val"]
        assert str(tmp_path / "test" / "amman") in caplog.text

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        """Says so, and what to give."""
        with pytest.raises(DatasetNotFoundError, match=r"gone: does not exist; give the folder that holds"):
            msls.find(tmp_path / "gone")

    def test_a_file(self, tmp_path: Path) -> None:
        """A file is no tree."""
        (tmp_path / "msls.zip").touch()
        with pytest.raises(DatasetNotFoundError, match="is a file, not a folder"):
            msls.find(tmp_path / "msls.zip")

    def test_another_folder_is_told_what_was_looked_for_and_found(self, tmp_path: Path) -> None:
        """Names the layout, and what is there instead, cut after eight."""
        for i in range(10):
            (tmp_path / f"thing{i}").mkdir()
        with pytest.raises(DatasetNotFoundError) as error:
            msls.find(tmp_path)
        assert "{train_val,test}/<city>/{query,database}/*.csv" in str(error.value)
        assert "thing0, thing1" in str(error.value)
        assert "thing7 and 2 more" in str(error.value)

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        """An empty folder is called one."""
        with pytest.raises(DatasetNotFoundError, match="found an empty folder"):
            msls.find(tmp_path)

    def test_a_folder_too_high_or_too_deep_is_told_where_to_go(self, tmp_path: Path) -> None:
        """One above the root and the city itself are recognised."""
        msls_tree(tmp_path / "MSLS")
        with pytest.raises(DatasetNotFoundError, match=r"Did you mean .*MSLS\?"):
            msls.find(tmp_path)
        with pytest.raises(DatasetNotFoundError, match="looks like one city: give the folder above"):
            msls.find(tmp_path / "MSLS" / "train_val" / "amman")


class TestClosedFolders:
    """Permissions bind no superuser, so that a test that may run as one has to make the refusal."""

    @pytest.fixture
    def closed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The query folder of a city that cannot be accessed."""
        folder = msls_tree(tmp_path) / "train_val" / "amman" / "query"
        is_file = Path.is_file

        def refuse(path: Path) -> bool:
            if path.parent == folder:
                raise PermissionError(13, "Permission denied", str(folder))
            return is_file(path)

        monkeypatch.setattr(Path, "is_file", refuse)
        return folder

    def test_a_closed_city_is_skipped(self, tmp_path: Path, closed: Path) -> None:
        """The folder is named among the reasons."""
        msls_tree(tmp_path, city="sf")
        assert msls.select(tmp_path)[1] == (("amman", f"{closed} cannot be accessed"),)

    def test_a_closed_root_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The folder is named, without a traceback."""

        def refuse(path: Path) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "iterdir", refuse)
        with pytest.raises(DatasetNotFoundError, match="cannot be accessed; check its permissions"):
            msls.find(tmp_path)


class TestSelect:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """A train, two val, one further city, and a test city as the official release has it."""
        for city in ("trondheim", "cph", "sf", "sampletown"):
            msls_tree(tmp_path, city=city)
        return msls_tree(tmp_path, city="miami", split="test", without=NO_POSITIONS)

    @pytest.mark.parametrize(
        ("cities", "expected"),
        [
            ("train", ["trondheim"]),
            ("val", ["cph", "sf"]),
            ("sf,cph", ["sf", "cph"]),
            (" sf , val,,sf", ["sf", "cph"]),
            ("sampletown", ["sampletown"]),
        ],
    )
    def test_takes_lists_and_names_in_the_order_asked_for(self, root: Path, cities: str, expected: list[str]) -> None:
        """Official lists as far as they are there, names, and both; each city once."""
        selected, skipped = msls.select(root, cities)
        assert names(selected) == expected
        assert skipped == ()

    def test_takes_all_that_have_positions(self, root: Path) -> None:
        """Without a wish, every city by name; the test city is named and skipped."""
        selected, skipped = msls.select(root)
        assert names(selected) == ["cph", "sampletown", "sf", "trondheim"]
        assert [name for name, _ in skipped] == ["miami"]
        assert "no raw.csv or postprocessed.csv, hence no positions" in skipped[0].reason
        assert "seq_info.csv" in skipped[0].reason
        assert "official test split has no positions" in skipped[0].reason

    def test_a_city_asked_for_by_name_is_reported_too(self, root: Path) -> None:
        """Asked for by name or by list, a city without positions is skipped with the reason."""
        selected, skipped = msls.select(root, "miami,sf")
        assert names(selected) == ["sf"]
        assert skipped[0].name == "miami"

    def test_nothing_left_is_an_error(self, root: Path) -> None:
        """The reasons are in it."""
        with pytest.raises(DatasetNotFoundError, match=r"can be labelled: miami: no raw\.csv or postprocessed\.csv"):
            msls.select(root, "test")

    def test_an_unknown_name_lists_those_that_exist(self, root: Path) -> None:
        """A typing error is answered with the names."""
        with pytest.raises(NotFoundError, match="no city 'ammann'; there are cph, miami, sampletown, sf, trondheim"):
            msls.select(root, "sf,ammann")

    def test_a_list_of_which_nothing_is_there(self, tmp_path: Path) -> None:
        """The list and what is there instead are named."""
        msls_tree(tmp_path, city="sf")
        with pytest.raises(DatasetNotFoundError, match=r"none of the 22 train cities \(trondheim, .*; there are sf"):
            msls.select(tmp_path, "train")

    def test_no_name_at_all(self, root: Path) -> None:
        """Commas alone name nothing."""
        with pytest.raises(OptionError, match="names none"):
            msls.select(root, " , ")

    def test_a_city_with_no_csv_or_one_side_is_skipped(self, root: Path) -> None:
        """The folder and what it lacks are in the reason."""
        (root / "train_val" / "bare" / "query").mkdir(parents=True)
        (root / "train_val" / "bare" / "database").mkdir()
        (root / "train_val" / "half" / "query").mkdir(parents=True)
        msls_tree(root, city="mixed", without=["database/raw", "database/postprocessed"])
        _, skipped = msls.select(root)
        reasons = dict(skipped)
        assert "(no CSV file)" in reasons["bare"]
        assert reasons["half"].startswith("no raw.csv")
        assert str(root / "train_val" / "mixed" / "database") in reasons["mixed"]

    def test_a_city_without_a_database_folder(self, root: Path) -> None:
        """A missing side is named."""
        msls_tree(root, city="half")
        for file in (root / "train_val" / "half" / "database").iterdir():
            file.unlink()
        (root / "train_val" / "half" / "database").rmdir()
        assert dict(msls.select(root)[1])["half"] == f"there is no folder {root / 'train_val' / 'half' / 'database'}"
