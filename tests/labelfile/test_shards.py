"""Folders of shards: read like one file, written whole or not at all, and nothing in them taken on trust."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relabel.cameras import Status
from relabel.errors import (
    FormatTooNewError,
    InputError,
    LabelFileError,
    MissingFileError,
    NotFoundError,
    OptionError,
    OutputExistsError,
)
from relabel.labelfile import LabelFile, pack, provenance, schema, shard_writer, shards, validate, write
from relabel.labelfile.pair_arrays import row_starts_record
from relabel.labelfile.shard_writer import write_shards
from relabel.similarity import Similarity
from tests.labelfile import oracle
from tests.labelfile.sources import Cut, assert_same, errors, similarities
from tests.open_files import handles_on
from tests.similarities import similarity

SOURCES = {
    "amman": similarity(40, 50, seed=1, density=0.5),
    "room/train": similarity(30, self_pairs=True, seed=2),
}
RECORDS = [provenance.step("sample", {}), provenance.step("label", {"name": "x"})]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two collections in one file."""
    return write(tmp_path_factory.mktemp("one") / "all.h5", SOURCES, provenance=RECORDS)


@pytest.fixture
def folder(one: Path, tmp_path: Path) -> Path:
    """The same in shards of at most a hundred pairs."""
    return pack(tmp_path / "all.labels", dict(LabelFile(one)), shard_pairs=100)


def manifest(folder: Path) -> Any:
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


def change(folder: Path, edit: Callable[[Any], object]) -> Path:
    """The folder after an edit of its manifest."""
    value = manifest(folder)
    edit(value)
    (folder / "manifest.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


def read_all(folder: Path) -> list[Similarity]:
    return [stored.to_similarity() for stored in LabelFile(folder).collections()]


class TestReading:
    def test_is_like_one_file(self, one: Path, folder: Path) -> None:
        """Collections, cameras, pairs, digests and history are those of the file, in every way of reading."""
        whole, labels = LabelFile(one), LabelFile(folder)
        assert list(labels) == list(whole)
        assert labels.provenance() == RECORDS
        labels.check_file_digest()
        assert len(list(folder.iterdir())) > 6
        for name, stored in whole.items():
            found = labels[name]
            assert_same(found.to_similarity(), SOURCES[name])
            assert found.content_sha256 == stored.content_sha256
            assert (found.nnz, found.shape, found.self_pairs) == (stored.nnz, stored.shape, stored.self_pairs)
            assert list(found) == list(stored)
            assert found.row_counts().tolist() == stored.row_counts().tolist()
            assert found.size_text == stored.size_text
            again = pickle.loads(pickle.dumps(labels))[name]
            for row, key in enumerate(stored):
                expected = [part.tolist() for part in stored.row(row)]
                assert [part.tolist() for part in again.row(row)] == expected
                assert [part.tolist() for part in found[key]] == expected
            for rows in (1, 7, 1000):
                blocks = list(found.blocks(rows))
                assert [b.first_row for b in blocks] == list(range(0, len(stored), rows))
                assert np.concatenate([b.indices for b in blocks]).tolist() == stored.to_scipy().indices.tolist()
            found.check_content()
            assert repr(found).splitlines()[1:] == repr(stored).splitlines()[1:]
            query, database = found.numbered_cameras()
            assert query.key.tolist() == [str(i) for i in range(len(query))]
            assert len(database) == found.shape[1]

    def test_every_shard_is_a_label_file(self, folder: Path) -> None:
        """Each is valid by itself, with its rows of the whole, all of the database, and the pair of a camera itself."""
        for name, entry in manifest(folder)["collections"].items():
            dense = SOURCES[name].matrix.toarray()
            c = SOURCES[name].collection
            if c.self_pairs:
                np.fill_diagonal(dense, c.query.ok)
            for shard in entry["shards"]:
                path = folder / shard["path"]
                assert validate(path).findings == []
                oracle.check_digests(path)
                data = path.read_bytes()
                assert (len(data), hashlib.sha256(data).hexdigest()) == (shard["bytes"], shard["sha256"])
                (stored,) = LabelFile(path).collections()
                rows = slice(*shard["rows"])
                assert stored.query.key.tolist() == c.query.key[rows].tolist()
                assert stored.database.key.tolist() == c.database.key.tolist()
                assert (stored.self_pairs, stored.symmetric) == (False, False)
                np.testing.assert_array_equal(stored.to_scipy().toarray(), dense[rows])
                assert stored.nnz <= 100 or len(stored) == 1
                assert LabelFile(path).provenance() == RECORDS

    def test_a_row_opens_its_shard_alone(self, folder: Path) -> None:
        """What is wrong with other shards does not matter to a row; whoever reads all comes upon it."""
        listed = manifest(folder)["collections"]["amman"]["shards"]
        (folder / listed[2]["path"]).unlink()
        stored = LabelFile(folder)["amman"]
        assert len(stored.row_block(listed[1]["rows"][0]).counts) == 1
        with pytest.raises(MissingFileError, match=rf"{listed[2]['path']}: this shard is missing"):
            stored.row_block(listed[2]["rows"][0])
        with pytest.raises(MissingFileError, match=listed[2]["path"]):
            stored.to_scipy()

    def test_kept_open(self, one: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Rows are the same from shards that stay open, of which only some do; a changed folder is noticed."""
        monkeypatch.setattr(shards, "_MOST_OPEN", 2)
        for name, stored in LabelFile(one).items():
            with LabelFile(folder)[name].kept_open() as kept:
                for row in [*range(len(stored)), 0]:
                    assert [part.tolist() for part in kept.row(row)] == [part.tolist() for part in stored.row(row)]
                    assert sum(map(handles_on, folder.iterdir())) <= 2
                again = pickle.loads(pickle.dumps(kept))
                assert [part.tolist() for part in again.row(1)] == [part.tolist() for part in stored.row(1)]
                again.close()
                assert_same(kept.to_similarity(), SOURCES[name])
            assert sum(map(handles_on, folder.iterdir())) == 0

    def test_no_such_collection(self, folder: Path) -> None:
        """The error lists those that there are."""
        with pytest.raises(NotFoundError, match=r"there is no collection 'x'; there are amman, room/train"):
            LabelFile(folder)["x"]

    def test_replaced_by_another(self, folder: Path) -> None:
        """A collection that has another content than when it was opened is refused; the same, cut anew, is read on."""
        stored, room = LabelFile(folder)["amman"], LabelFile(folder)["room/train"]
        row = [part.tolist() for part in stored.row(3)]
        pack(folder, dict(LabelFile(folder)), overwrite=True, shard_pairs=300)
        assert [part.tolist() for part in stored.row(3)] == row
        write(folder, {"amman": SOURCES["amman"]}, overwrite=True)
        assert [part.tolist() for part in stored.row(3)] == row
        with pytest.raises(LabelFileError, match=r"collection 'room/train' has changed since it was opened"):
            room.row(0)

    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    @given(source=similarities(), most=st.integers(1, 8), sizes=st.lists(st.integers(1, 3), min_size=1, max_size=2))
    def test_any_similarity(
        self, source: Similarity, most: int, sizes: list[int], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """All that a file can hold, cut anywhere, is read back and validates; blocks do not show in the bytes."""
        folder = tmp_path_factory.mktemp("any")
        path = write_shards(folder / "a.labels", {"a": source}, [], shard_pairs=most)
        assert_same(LabelFile(path)["a"].to_similarity(), source)
        assert errors(validate(path)) == []
        again = write_shards(folder / "b.labels", {"a": Cut(source, sizes)}, [], shard_pairs=most)
        assert (again / "manifest.json").read_bytes() == (path / "manifest.json").read_bytes()
        one = write(folder / "one.h5", {"a": source})
        assert LabelFile(one)["a"].content_sha256 == LabelFile(path)["a"].content_sha256
        assert pack(folder / "back.h5", dict(LabelFile(path))).read_bytes() == one.read_bytes()


class TestWriting:
    def test_the_name_decides(self, tmp_path: Path) -> None:
        """`write` makes a folder of what ends with .labels; one shard will do for a small collection."""
        path = write(tmp_path / "new.labels", SOURCES, provenance=RECORDS)
        assert sorted(entry.name for entry in path.iterdir()) == [
            "amman-00000.h5",
            "manifest.json",
            "room-train-00000.h5",
        ]
        assert [entry.name for entry in tmp_path.iterdir()] == ["new.labels"]
        assert read_all(path)[0].matrix.nnz == SOURCES["amman"].matrix.nnz

    def test_a_shard_has_as_many_rows_as_fit(self, tmp_path: Path) -> None:
        """Each ends before the row that would bring it above the bound, which one row alone may exceed."""
        counts = np.diff(SOURCES["amman"].matrix.indptr)
        path = write_shards(tmp_path / "a.labels", {"amman": SOURCES["amman"]}, [], shard_pairs=20)
        expected, first = [], 0
        while first < len(counts):
            last = first + 1
            while last < len(counts) and counts[first : last + 1].sum() <= 20:
                last += 1
            expected.append([first, last])
            first = last
        shards = manifest(path)["collections"]["amman"]["shards"]
        assert [shard["rows"] for shard in shards] == expected
        assert max(shard["nnz"] for shard in shards) > 20
        assert [shard["nnz"] for shard in shards] == [int(counts[a:b].sum()) for a, b in expected]

    def test_a_large_database_makes_larger_shards(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """By default a shard has 2²⁷ pairs, or 32 for each database camera of which it has a copy."""
        monkeypatch.setattr(shard_writer, "SHARD_PAIRS", 10)
        monkeypatch.setattr(shard_writer, "PAIRS_PER_CAMERA", 3)
        path = write(tmp_path / "a.labels", {"amman": SOURCES["amman"]})
        stored = [shard["nnz"] for shard in manifest(path)["collections"]["amman"]["shards"]]
        assert all(100 < nnz <= 150 for nnz in stored[:-1])

    def test_names_of_shards(self, tmp_path: Path) -> None:
        """Names of collections that would be the same file get numbers of their own."""
        small = similarity(3, 3)
        path = write(tmp_path / "a.labels", {"a/b": small, "a b": small, "A-b": small, "é": small})
        assert sorted(p.name for p in path.glob("*.h5")) == [
            "A-b-00000.h5",
            "a-b-00001.h5",
            "a-b-00002.h5",
            "collection-00000.h5",
        ]
        assert errors(validate(path)) == []

    def test_more_pairs_than_an_int32_counts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A folder holds what one file refuses; packing it into a file is refused before anything is read."""
        monkeypatch.setattr(schema, "MOST", 300)
        for module in ("shards", "pack"):
            monkeypatch.setattr(sys.modules[f"relabel.labelfile.{module}"], "MOST", 300)
        source = SOURCES["amman"]
        assert source.matrix.nnz > 300
        with pytest.raises(InputError, match=r"one file can hold at most 300; write a folder of shards.*NAME\.labels"):
            write(tmp_path / "a.h5", {"amman": source})
        path = write(tmp_path / "a.labels", {"amman": source})
        stored = LabelFile(path)["amman"]
        matrix = stored.to_scipy()
        assert matrix.indices.dtype == np.int64
        np.testing.assert_array_equal(matrix.toarray(), source.matrix.toarray())
        assert errors(validate(path)) == []
        with pytest.raises(InputError, match=r"has [\d,]+ pairs, but one file can hold at most 300 a collection"):
            pack(tmp_path / "b.h5", {"amman": stored})

    def test_digest_of_more_pairs_than_an_int32_counts(self) -> None:
        """`indptr` is hashed as int64 there, as int32 else."""
        for end, dtype in ((2**31 - 1, "<i4"), (2**31, "<i8")):
            indptr = np.array([0, 5, end], np.int64)
            expected = hashlib.sha256(indptr.astype(dtype).tobytes()).hexdigest()
            assert row_starts_record(indptr) == {"dtype": np.dtype(dtype).name, "shape": [3], "sha256": expected}

    def test_nothing_is_left_of_what_cannot_be_written(self, tmp_path: Path) -> None:
        """A source with a fault in its last row leaves no folder."""
        source = Cut(SOURCES["amman"], [39, 1])
        source.similarity.matrix.data[-1:], kept = 2.0, source.similarity.matrix.data[-1]
        try:
            with pytest.raises(InputError, match="have a value outside"):
                write_shards(tmp_path / "a.labels", {"amman": source}, [], shard_pairs=20)
        finally:
            source.similarity.matrix.data[-1] = kept
        assert list(tmp_path.iterdir()) == []

    def test_replaces_only_a_folder_of_shards(self, folder: Path, tmp_path: Path) -> None:
        """Not without being told, and not one with files of somebody else, or without a manifest."""
        before = sorted(p.name for p in folder.iterdir())
        with pytest.raises(OutputExistsError, match="is not empty"):
            write(folder, SOURCES)
        (folder / "notes.txt").touch()
        with pytest.raises(OutputExistsError, match=r"holds 'notes\.txt'"):
            write(folder, SOURCES, overwrite=True)
        (folder / "notes.txt").unlink()
        shard = folder / before[0]
        shard.rename(tmp_path / "aside.h5")
        (shard / "thesis").mkdir(parents=True)
        with pytest.raises(OutputExistsError, match=f"holds '{shard.name}'"):
            write(folder, SOURCES, overwrite=True)
        (shard / "thesis").rmdir()
        shard.rmdir()
        (tmp_path / "aside.h5").rename(shard)
        assert sorted(p.name for p in folder.iterdir()) == before
        text = (folder / "manifest.json").read_text(encoding="utf-8")
        for broken in (text[:-9], text.replace('"format_version": "1.0"', '"format_version": "2.0"')):
            (folder / "manifest.json").write_text(broken, encoding="utf-8")
            for overwrite in (False, True):  # which would not help
                with pytest.raises(
                    OutputExistsError, match=r"manifest\.json: is (not JSON|of format).*remove the folder"
                ):
                    write(folder, SOURCES, overwrite=overwrite)
        (folder / "manifest.json").write_text(text, encoding="utf-8")
        write(folder, SOURCES, overwrite=True)
        assert len(list(folder.iterdir())) == 3
        other = tmp_path / "mine.labels"
        other.mkdir()
        (other / "thesis.h5").touch()
        with pytest.raises(OutputExistsError, match=r"holds 'thesis\.h5'"):
            write(other, SOURCES, overwrite=True)

    def test_bounds_of_shards(self, one: Path, tmp_path: Path) -> None:
        """No shard of no pairs, and none in one file."""
        with pytest.raises(OptionError, match="shard_pairs is 0"):
            pack(tmp_path / "a.labels", dict(LabelFile(one)), shard_pairs=0)
        with pytest.raises(OptionError, match=r"in a folder of shards only; name it NAME\.labels"):
            pack(tmp_path / "a.h5", dict(LabelFile(one)), shard_pairs=5)


class TestPack:
    def test_there_and_back(self, one: Path, folder: Path, tmp_path: Path) -> None:
        """Packing a folder gives the bytes of the file that was unpacked; a collection alone keeps its digest."""
        assert pack(tmp_path / "back.h5", dict(LabelFile(folder))).read_bytes() == one.read_bytes()
        assert LabelFile(folder).provenance_texts() == LabelFile(one).provenance_texts()
        with h5py.File(one) as file:
            assert manifest(folder)["content_sha256"] == file.attrs["content_sha256"].decode()

    def test_file_and_folder_in_one(self, one: Path, folder: Path, tmp_path: Path) -> None:
        """Both may be parts of one file."""
        parts = {"a": LabelFile(folder)["amman"], "b": LabelFile(one)["room/train"]}
        labels = LabelFile(pack(tmp_path / "both.h5", parts))
        assert_same(labels["a"].to_similarity(), SOURCES["amman"])
        assert_same(labels["b"].to_similarity(), SOURCES["room/train"])
        assert labels.provenance() == RECORDS

    def test_damage_is_not_passed_on(self, folder: Path, tmp_path: Path) -> None:
        """A shard whose content does not fit its digest is not packed, even where its bytes look well."""
        shard = folder / manifest(folder)["collections"]["amman"]["shards"][0]["path"]
        with h5py.File(shard, "r+") as file:
            size = shard.stat().st_size
            file["amman/similarity/data"][0] = 0.123
        if shard.stat().st_size != size:
            change(folder, lambda m: m["collections"]["amman"]["shards"][0].update(bytes=shard.stat().st_size))
        with pytest.raises(LabelFileError, match=r"content_sha256 does not match.*validate says which shards"):
            pack(tmp_path / "a.h5", dict(LabelFile(folder)))
        with pytest.raises(LabelFileError, match="content_sha256 does not match"):
            LabelFile(folder)["amman"].to_scipy()
        assert [f.path for f in validate(folder).findings] == [f"{shard.name}/amman", shard.name]
        assert errors(validate(folder, "structure")) == []


def _first(m: Any, name: str = "amman") -> Any:
    return m["collections"][name]["shards"][0]


FAULTS: dict[str, tuple[Callable[[Any], object], str]] = {
    "version": (
        lambda m: m.update(format_version="2.0"),
        "is of format version 2.0, but this version of relabel reads",
    ),
    "version-0": (lambda m: m.update(format_version="0.9"), "was never published"),
    "no version": (lambda m: m.pop("format_version"), "format_version is None"),
    "format": (lambda m: m.update(format="relabel.labels"), "is not the manifest of a label file in shards"),
    "no collection": (lambda m: m.update(collections={}), "collections is not an object with one member or more"),
    "name": (lambda m: m["collections"].update({"queries": m["collections"].pop("amman")}), "has the part 'queries'"),
    "nested": (
        lambda m: m["collections"].update({"room": m["collections"].pop("amman")}),
        "'room/train' is inside collection 'room'",
    ),
    "outside": (lambda m: _first(m).update(path="../a.h5"), "is not the name of a file in the folder"),
    "absolute": (lambda m: _first(m).update(path="/etc/passwd"), "is not the name of a file in the folder"),
    "windows": (lambda m: _first(m).update(path="c:\\a.h5"), "is not the name of a file in the folder"),
    "hidden": (lambda m: _first(m).update(path=".a.h5"), "cannot be the name of a shard"),
    "long": (lambda m: _first(m).update(path="é" * 128), "has more than 255 bytes"),
    "half of a pair": (lambda m: m["provenance"].append("\ud800"), "provenance is not a list of texts"),
    "half in a method": (lambda m: m["collections"]["amman"]["attributes"].update(method="\ud800"), "'method' is "),
    "long version": (lambda m: m.update(format_version="9" * 999), "format_version is '9{59}; expected"),
    "itself": (lambda m: _first(m).update(path="manifest.json"), "cannot be the name of a shard"),
    "twice": (lambda m: _first(m).update(path=_first(m, "room/train")["path"]), "more than once"),
    "gap": (lambda m: _first(m).update(rows=[1, _first(m)["rows"][1]]), "where rows from 0 on are due"),
    "overlap": (
        lambda m: m["collections"]["amman"]["shards"][1].update(rows=[0, _first(m)["rows"][1] + 1]),
        "rows from .* on are due",
    ),
    "end": (lambda m: m["collections"]["amman"]["shards"].pop(), "its shards end with row"),
    "no shards": (lambda m: m["collections"]["amman"].update(shards=[]), "shards is not a list of one or more"),
    "nnz": (lambda m: _first(m).update(nnz=3), "but those of its shards add up to"),
    "bytes": (lambda m: _first(m).update(bytes=True), "bytes is True; expected a whole number"),
    "sha256": (lambda m: _first(m).update(sha256="AB"), "sha256 is not 64 hexadecimal digits"),
    "min_value": (
        lambda m: m["collections"]["amman"]["attributes"].update(min_value=float("nan")),
        "'min_value' is nan",
    ),
    "params": (lambda m: m["collections"]["amman"]["attributes"].update(params={}), "'params' is {}"),
    "shape": (lambda m: m["collections"]["amman"].update(shape=[40]), "shape is not two whole numbers"),
    "provenance": (lambda m: m.update(provenance=[{}]), "provenance is not a list of texts"),
    "digest": (lambda m: m.update(content_sha256=None), "content_sha256 is not 64 hexadecimal digits"),
}


class TestManifest:
    @pytest.mark.parametrize("name", FAULTS)
    def test_what_is_refused(self, name: str, folder: Path) -> None:
        """Reading says the first fault with the path of the manifest; the validator lists it, and exactly it."""
        edit, match = FAULTS[name]
        change(folder, edit)
        kind = FormatTooNewError if name == "version" else LabelFileError
        with pytest.raises(kind, match=rf"all\.labels/manifest\.json: .*{match}"):
            LabelFile(folder)
        findings = validate(folder).findings
        assert len(findings) == 1
        assert findings[0].path == "manifest.json"

    def test_all_faults_are_listed(self, folder: Path) -> None:
        """The validator does not stop at the first."""
        change(folder, lambda m: [FAULTS[name][0](m) for name in ("bytes", "min_value", "provenance")])
        assert len(validate(folder).findings) == 3

    @pytest.mark.parametrize(
        ("data", "match"),
        [
            (b"", "is not JSON"),
            (b"[" * 100_000, "is not JSON"),
            (b'{"format": 1, "format": 2}', "a member is given twice"),
            (b'{"format": ' + b"9" * 5000 + b"}", "is not JSON"),
            (b"\xff\xfe", "is not UTF-8"),
            (b"[]", "is not the manifest"),
        ],
    )
    def test_what_is_no_manifest(self, data: bytes, match: str, folder: Path) -> None:
        """Whatever it is, it is said in a line."""
        (folder / "manifest.json").write_bytes(data)
        with pytest.raises(LabelFileError, match=match):
            LabelFile(folder)
        assert len(validate(folder).findings) == 1

    def test_a_pipe(self, folder: Path) -> None:
        """It is not waited for."""
        (folder / "manifest.json").unlink()
        os.mkfifo(folder / "manifest.json")
        with pytest.raises(LabelFileError, match="is a pipe"):
            LabelFile(folder)

    def test_a_newer_minor_version(self, folder: Path) -> None:
        """What this version does not know is passed over."""

        def newer(m: Any) -> None:
            m.update(format_version="1.7", mirrors=["x"])
            _first(m)["compression"] = "zstd"

        change(folder, newer)
        assert len(read_all(folder)) == 2
        found = [(f.severity, f.level) for f in validate(folder).findings]
        assert found[0] == ("warning", "structure")

    def test_shards_that_do_not_make_the_whole(self, folder: Path) -> None:
        """Where each is as it is listed, the validator says that it is the manifest that was changed."""
        change(folder, lambda m: m["collections"]["amman"].update(content_sha256="0" * 64))
        with pytest.raises(LabelFileError, match=r"values, or manifest\.json, were damaged or changed after writing"):
            LabelFile(folder)["amman"].to_scipy()
        found = [(f.path, f.message) for f in validate(folder).findings]
        assert [path for path, _ in found] == ["manifest.json/amman", "manifest.json"]
        assert "every shard by itself is as listed" in found[0][1]

    def test_changed_history(self, folder: Path) -> None:
        """Records and digests of collections are covered by the digest of the manifest."""
        change(folder, lambda m: m["provenance"].pop())
        with pytest.raises(LabelFileError, match=r"manifest\.json: content_sha256 does not match the writer"):
            LabelFile(folder).provenance()
        assert [(f.level, f.path) for f in validate(folder).findings] == [("content", "manifest.json")]


class TestShards:
    def found(self, folder: Path, match: str, path: str | None = None) -> None:
        """Reading all refuses with the name of the shard, and the validator lists one error."""
        shard = path or manifest(folder)["collections"]["amman"]["shards"][1]["path"]
        with pytest.raises((LabelFileError, MissingFileError), match=rf"{shard}: .*{match}"):
            read_all(folder)
        for level in ("structure", "content"):
            (text,) = errors(validate(folder, level))
            assert text.startswith(shard), text

    def shard(self, folder: Path, number: int = 1) -> Path:
        return folder / str(manifest(folder)["collections"]["amman"]["shards"][number]["path"])

    def described(self, folder: Path, number: int = 1, name: str = "amman") -> None:
        """Make the manifest describe the shard as it is now, so that only what it holds can be wrong."""
        shard = folder / str(manifest(folder)["collections"][name]["shards"][number]["path"])
        data = shard.read_bytes()
        with h5py.File(shard) as file:
            digest = file.attrs["content_sha256"].decode()
        values = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "content_sha256": digest}
        change(folder, lambda m: m["collections"][name]["shards"][number].update(values))

    def test_missing(self, folder: Path) -> None:
        self.shard(folder).unlink()
        self.found(folder, "this shard is missing")

    def test_cut_off(self, folder: Path) -> None:
        with self.shard(folder).open("r+b") as stream:
            stream.truncate(1000)
        self.found(folder, "has 1,000 bytes, but")

    def test_a_cache_of_links(self, one: Path, tmp_path: Path) -> None:
        """Read through links, as in the cache of the Hugging Face hub; a writer replaces the links alone."""
        blobs = tmp_path / "blobs"
        blobs.mkdir()
        snapshot = pack(tmp_path / "all.labels", dict(LabelFile(one)), shard_pairs=100)
        for entry in list(snapshot.iterdir()):
            digest = hashlib.sha256(entry.read_bytes()).hexdigest()
            entry.rename(blobs / digest)
            entry.symlink_to(f"../blobs/{digest}")
        before = {blob: blob.read_bytes() for blob in blobs.iterdir()}
        assert [found.matrix.nnz for found in read_all(snapshot)] == [s.matrix.nnz for s in SOURCES.values()]
        assert validate(snapshot).findings == []
        write(snapshot, {"amman": SOURCES["amman"]}, overwrite=True)
        assert not any(entry.is_symlink() for entry in snapshot.iterdir())
        assert {blob: blob.read_bytes() for blob in blobs.iterdir()} == before

    def test_a_broken_link(self, folder: Path) -> None:
        self.shard(folder).unlink()
        self.shard(folder).symlink_to("nowhere")
        self.found(folder, "is a link to nowhere, which is not there")

    def test_a_link_in_a_circle(self, folder: Path) -> None:
        self.shard(folder).unlink()
        self.shard(folder).symlink_to(self.shard(folder).name)
        self.found(folder, "cannot be opened: Too many levels of symbolic links")

    @pytest.mark.parametrize(("make", "what"), [(os.mkfifo, "is a pipe"), (os.mkdir, "is a folder where a shard")])
    def test_what_is_no_file(self, make: Callable[[Path], None], what: str, folder: Path) -> None:
        """It is not called missing, and not waited for."""
        self.shard(folder).unlink()
        make(self.shard(folder))
        self.found(folder, what)

    def test_another_shard_of_the_same_size(self, folder: Path) -> None:
        """The digest in its header tells it from the one that is meant, without its content being read."""
        shard = self.shard(folder)
        size = shard.stat().st_size
        shard.write_bytes(self.shard(folder, 0).read_bytes()[:size].ljust(size, b"\0"))
        change(folder, lambda m: m["collections"]["amman"]["shards"][1].update(bytes=size))
        with pytest.raises(LabelFileError, match=shard.name):
            read_all(folder)

    def test_of_another_collection(self, folder: Path) -> None:
        write(self.shard(folder), {"bern": similarity(3, 50)}, overwrite=True)
        self.described(folder)
        self.found(folder, "a shard holds its own collection alone, 'amman'")

    def test_with_other_attributes(self, folder: Path) -> None:
        first, last = manifest(folder)["collections"]["amman"]["shards"][1]["rows"]
        write(self.shard(folder), {"amman": similarity(last - first, 50, min_value=0.5, density=0)}, overwrite=True)
        self.described(folder)
        self.found(folder, "attribute 'min_value': is 0.5, but 1e-06 is due")

    def test_with_other_rows(self, folder: Path) -> None:
        write(self.shard(folder), {"amman": similarity(3, 49)}, overwrite=True)
        self.described(folder)
        self.found(folder, "has 3 × 49 cameras, but")

    def test_with_other_pairs(self, folder: Path) -> None:
        first, last = manifest(folder)["collections"]["amman"]["shards"][1]["rows"]
        write(self.shard(folder), {"amman": similarity(last - first, 50, density=0.01)}, overwrite=True)
        self.described(folder)
        self.found(folder, "stores .* pairs, but")

    def test_with_another_database(self, folder: Path) -> None:
        """Each is well by itself, and rows mean other cameras: the validator compares the databases."""
        entry = manifest(folder)["collections"]["amman"]
        first, last = entry["shards"][1]["rows"]
        c = SOURCES["amman"].collection
        query = replace(c.query, **{n: v[first:last] for n, v in _columns(c.query).items()})
        database = replace(c.database, key=np.char.replace(c.database.key, "d", "x"))
        part = replace(
            c,
            query=query,
            query_extent=c.query_extent[first:last],
            database=database,
            database_extent=c.database_extent,
        )
        write(self.shard(folder), {"amman": Similarity(part, SOURCES["amman"].matrix[first:last])}, overwrite=True)
        self.described(folder)
        (text,) = errors(validate(folder, "structure"))
        assert "its database is not that of amman-00000.h5" in text

    def test_self_pairs_without_the_diagonal(self, folder: Path) -> None:
        """A shard of self pairs that lacks a camera's pair with itself is refused when its rows are read."""
        shard = folder / str(manifest(folder)["collections"]["room/train"]["shards"][0]["path"])
        with h5py.File(shard, "r+") as file:
            group = file["room/train"]
            indices = group["similarity/indices"][()]
            rows = np.repeat(np.arange(len(group["queries/key"])), np.diff(group["similarity/indptr"][()]))
            group["similarity/data"][int(np.flatnonzero(rows == indices)[0])] = 0.5
        self.described(folder, 0, "room/train")
        with pytest.raises(LabelFileError, match=rf"{shard.name}: .*does not pair each camera that is ok with itself"):
            read_all(folder)
        assert any("with itself" in text for text in errors(validate(folder, "structure")))


def _columns(cameras: Any) -> dict[str, Any]:
    return {n: getattr(cameras, n) for n in ("key", "position", "heading_deg", "status")}


def test_status_of_shards_is_that_of_the_whole(folder: Path) -> None:
    """The number of stored pairs of a shard of self pairs is that of the whole and its ok cameras."""
    stored = LabelFile(folder)["room/train"]
    ok = stored.query.status == Status.OK
    for shard in manifest(folder)["collections"]["room/train"]["shards"]:
        with h5py.File(folder / shard["path"]) as file:
            assert file["room/train"].attrs["nnz"] == shard["nnz"] + ok[slice(*shard["rows"])].sum()
