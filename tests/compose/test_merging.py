from __future__ import annotations

from pathlib import Path

import pytest

from relabel.compose import merge
from relabel.errors import InputError, MissingFileError, NotFoundError, OptionError, OutputExistsError
from relabel.labelfile import LabelFile, provenance, validate, write
from tests.labelfile.sources import assert_same, errors
from tests.similarities import similarity

AMMAN, ROOM, OSLO = similarity(20, 30, seed=1), similarity(9, seed=2, self_pairs=True), similarity(8, 7, seed=3)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Two files that share their first record and no collection."""
    first = provenance.step("sample", {})
    a = write(tmp_path / "a.h5", {"amman": AMMAN, "room/train": ROOM}, provenance=[first, provenance.step("a", {})])
    b = write(tmp_path / "b.h5", {"oslo": OSLO}, provenance=[first, provenance.step("b", {})])
    return a, b


class TestMerge:
    """relabel.compose.merge"""

    def test_joins_files(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """All collections as they were, digests included, and what was done to all of them, each record once."""
        a, b = files
        rows: list[int] = []
        result = merge(tmp_path / "all.h5", [str(b), str(a)], progress=rows.append)
        labels = LabelFile(result.path)
        assert tuple(labels) == result.names == ("amman", "oslo", "room/train")
        for name, source in (("amman", AMMAN), ("oslo", OSLO), ("room/train", ROOM)):
            assert_same(labels[name].to_similarity(), source)
        assert labels["amman"].content_sha256 == LabelFile(a)["amman"].content_sha256
        assert errors(validate(result.path)) == []
        assert (result.repeated, sum(rows)) == ((), 37)
        records = labels.provenance()
        assert [record["command"] for record in records] == ["sample", "a", "b", "relabel merge"]
        assert records[-1]["inputs"] == provenance.describe(tmp_path, [b]) + provenance.describe(tmp_path, [a])

    def test_one_of_a_file(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """An address takes one collection of a file of several."""
        result = merge(tmp_path / "all.h5", [f"{files[0]}::room/train", str(files[1])])
        assert result.names == ("oslo", "room/train")

    def test_same_content_twice(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """A collection that two files hold alike is kept once, and the history of both files is kept."""
        again = write(tmp_path / "again.h5", {"oslo": OSLO}, provenance=[provenance.step("again", {})])
        result = merge(tmp_path / "all.h5", [str(files[1]), str(again), f"{again}::oslo"])
        assert (result.names, result.repeated) == (("oslo",), ("oslo",))
        records = LabelFile(result.path).provenance()
        assert [record["command"] for record in records] == ["sample", "b", "again", "relabel merge"]
        assert [entry["path"] for entry in records[-1]["inputs"]] == ["b.h5", "again.h5"]

    def test_name_taken(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """Two collections of one name and different content are refused, with the command that helps."""
        other = write(tmp_path / "other.h5", {"oslo": AMMAN})
        with pytest.raises(InputError, match=r"both hold.*'oslo'.*subset \S*other\.h5::oslo --rename oslo=NEW"):
            merge(tmp_path / "all.h5", [str(files[1]), str(other)])
        nested = write(tmp_path / "nested.h5", {"oslo/night": AMMAN})
        with pytest.raises(InputError, match="is inside"):
            merge(tmp_path / "all.h5", [str(files[1]), str(nested)])
        assert not (tmp_path / "all.h5").exists()

    def test_output_is_an_input(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """A file may be replaced by the merge of itself with another, if that is said."""
        a, b = files
        before = a.read_bytes()
        with pytest.raises(OutputExistsError):
            merge(a, [str(a), str(b)])
        assert a.read_bytes() == before
        merge(a, [str(a), str(b)], overwrite=True)
        assert list(LabelFile(a)) == ["amman", "oslo", "room/train"]
        assert errors(validate(a)) == []

    def test_same_input_same_bytes(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """Nothing of the moment or the place is in the file."""
        one, two = (merge(tmp_path / f"{n}.h5", [str(f) for f in files]).path for n in "12")
        assert one.read_bytes() == two.read_bytes()
        assert str(tmp_path).encode() not in one.read_bytes()

    def test_bad_inputs(self, files: tuple[Path, Path], tmp_path: Path) -> None:
        """A file or collection that is not there is named; there has to be one."""
        with pytest.raises(MissingFileError, match=r"none\.h5"):
            merge(tmp_path / "all.h5", [str(files[0]), str(tmp_path / "none.h5")])
        with pytest.raises(NotFoundError, match="there are amman, room/train"):
            merge(tmp_path / "all.h5", [f"{files[0]}::x"])
        with pytest.raises(OptionError, match="no file to merge"):
            merge(tmp_path / "all.h5", [])
