from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from relabel.errors import InputError, LabelFileError, MissingFileError, OutputError, OutputExistsError
from relabel.labelfile import LabelFile, pack, provenance, validate, write
from relabel.labelfile.schema import stored_text
from tests.labelfile import oracle
from tests.labelfile.sources import assert_same, errors
from tests.similarities import similarity

SOURCES = {"amman": similarity(40, 50, seed=1, density=0.8), "room/train": similarity(9, self_pairs=True)}


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path]:
    """Two parts, whose collections have other names than they will get, and which share their first record."""
    first = provenance.step("sample", {})
    found = {}
    for number, (name, source) in enumerate(SOURCES.items()):
        records = [first, provenance.step("label", {"name": name})]
        found[name] = write(tmp_path / f"part{number}.h5", {"x": source}, provenance=records)
    return found


class TestPack:
    def test_joins_parts(self, parts: dict[str, Path], tmp_path: Path) -> None:
        """The file holds every part as it was, digests included, and the history of all of them once."""
        rows: list[int] = []
        path = pack(tmp_path / "all.h5", parts, provenance=[provenance.step("pack", {})], progress=rows.append)
        labels = LabelFile(path)
        assert list(labels) == ["amman", "room/train"]
        for name, source in SOURCES.items():
            assert_same(labels[name].to_similarity(), source)
            assert labels[name].content_sha256 == LabelFile(parts[name])["x"].content_sha256
        assert [record["command"] for record in labels.provenance()] == ["sample", "label", "label", "pack"]
        assert rows == [40, 9]
        assert errors(validate(path)) == []
        oracle.check_digests(path)
        with h5py.File(path) as file:
            assert file["room/train/database"] == file["room/train/queries"]
            assert file["amman/similarity/data"].chunks == (16_384,)

    def test_collections_of_a_larger_file(self, parts: dict[str, Path], tmp_path: Path) -> None:
        """A part may be one collection of several; a record that stands in the part is not written twice."""
        both = pack(tmp_path / "both.h5", parts)
        room = LabelFile(both)["room/train"]
        path = pack(tmp_path / "one.h5", {"room": room}, provenance=[provenance.step("sample", {})])
        assert list(LabelFile(path)) == ["room"]
        assert LabelFile(path)["room"].content_sha256 == room.content_sha256
        assert [record["command"] for record in LabelFile(path).provenance()] == ["sample", "label", "label"]
        write(both, {"room/train": SOURCES["amman"]}, overwrite=True)
        with pytest.raises(LabelFileError, match=r"both\.h5: /room/train: has changed since it was opened"):
            pack(tmp_path / "two.h5", {"room": room})

    def test_same_parts_same_bytes(self, parts: dict[str, Path], tmp_path: Path) -> None:
        """The order in which the parts are named does not matter."""
        a = pack(tmp_path / "a.h5", parts)
        b = pack(tmp_path / "b.h5", dict(reversed(parts.items())))
        assert a.read_bytes() == b.read_bytes()

    def test_existing_targets(self, parts: dict[str, Path], tmp_path: Path) -> None:
        """A target that exists is kept, unless it may be replaced; it may be one of the parts."""
        with pytest.raises(OutputExistsError):
            pack(parts["amman"], parts)
        pack(parts["amman"], parts, overwrite=True)
        assert list(LabelFile(parts["amman"])) == ["amman", "room/train"]

    def test_bad_parts(self, parts: dict[str, Path], tmp_path: Path) -> None:
        """A part that is missing, of several collections, incomplete or newer is named, and nothing is written."""
        target = tmp_path / "new" / "all.h5"
        target.parent.mkdir()
        with pytest.raises(MissingFileError, match=r"none\.h5: there is no such file"):
            pack(target, {**parts, "z": tmp_path / "none.h5"})
        with pytest.raises(InputError, match="is inside"):
            pack(target, {"a": parts["amman"], "a/b": parts["amman"]})
        both = pack(tmp_path / "both.h5", parts)
        with pytest.raises(LabelFileError, match=r"both\.h5: holds 2 collections; a part holds one"):
            pack(target, {"z": both})
        with h5py.File(parts["amman"], "r+") as file:
            file.attrs["format_version"] = stored_text("1.1")
        with pytest.raises(LabelFileError, match=r"newer minor version than 1\.0"):
            pack(target, parts)
        with h5py.File(parts["amman"], "r+") as file:
            file.attrs["complete"] = 0
        with pytest.raises(LabelFileError, match="was not written completely"):
            pack(target, parts)
        assert list(target.parent.iterdir()) == []

    @pytest.mark.parametrize("side", ["queries", "database", "similarity"])
    def test_members_that_cannot_be_copied(self, side: str, parts: dict[str, Path], tmp_path: Path) -> None:
        """All datasets are looked at before HDF5 copies them, since it crashes on some that are damaged."""
        with h5py.File(parts["amman"], "r+") as file:
            name = max(file["x"][side])
            del file["x"][side][name]
            file["x"][side].create_group(name)
        with pytest.raises(LabelFileError, match=rf"part0\.h5: /x/{side}/{name}: is not a dataset"):
            pack(tmp_path / "all.h5", parts)

    @pytest.mark.parametrize("link", [h5py.SoftLink("/nowhere"), h5py.ExternalLink("other.h5", "/x")])
    @pytest.mark.parametrize("place", ["x/weather", "x/queries/mood", "x/similarity/more"])
    def test_links_are_not_copied(self, link: object, place: str, parts: dict[str, Path], tmp_path: Path) -> None:
        """A link that is not hard would lead elsewhere from the new file, so the part is refused by name."""
        with h5py.File(parts["amman"], "r+") as file:
            file[place] = link
        with pytest.raises(LabelFileError, match=rf"part0\.h5: /{place}: is an? (soft|external) link"):
            pack(tmp_path / "all.h5", parts)
        assert not (tmp_path / "all.h5").exists()

    def test_damage_is_not_passed_on(self, parts: dict[str, Path], tmp_path: Path) -> None:
        """A part with a flipped bit in a value, which copying alone would not notice, is not published."""
        with h5py.File(parts["amman"]) as file:
            info = file["x/similarity/data"].id.get_chunk_info(0)
        data = bytearray(parts["amman"].read_bytes())
        data[info.byte_offset + info.size // 2] ^= 4
        parts["amman"].write_bytes(data)
        message = r"read back as it was written.*/amman/similarity.*damaged one.*, and make it again: .*part0.h5"
        with pytest.raises(OutputError, match=message):
            pack(tmp_path / "all.h5", parts)
        assert not (tmp_path / "all.h5").exists()
