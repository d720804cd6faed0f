"""Damage is never taken for content: whole collections are checked by their digest as they are read, rows by parts."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from formats.golden.surgery import plain
from relabel.errors import LabelFileError
from relabel.exchange.text import pairs_as_text
from relabel.labelfile import LabelFile, StoredCollection, provenance, validate, write
from relabel.report.stats import statistics
from relabel.similarity import Similarity
from tests.labelfile import damage
from tests.labelfile.sources import assert_same_pairs
from tests.similarities import similarity

READS: dict[str, Callable[[StoredCollection], Any]] = {
    "blocks": lambda stored: list(stored.blocks()),
    "blocks of 3 rows": lambda stored: list(stored.blocks(3)),
    "to_scipy": lambda stored: stored.to_scipy(),
    "to_similarity": lambda stored: stored.to_similarity(),
    "in_measure": lambda stored: list(stored.in_measure("dice").blocks()),
    "check_content": lambda stored: stored.check_content(),
    "statistics": statistics,
    "pairs_as_text": lambda stored: b"".join(pairs_as_text(stored)),
}


def source(**options: Any) -> Similarity:
    """Twenty queries with a column of their own."""
    made = similarity(20, 30, **{"seed": 1, "density": 0.1} | options)
    query = replace(made.collection.query, extra={"sequence": np.array([f"s{i // 5}" for i in range(20)])})
    return Similarity(replace(made.collection, query=query), made.matrix)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A valid file."""
    return write(tmp_path / "a.h5", {"x": source()}, provenance=[provenance.step("test", {})])


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges of rows that are read."""
    ranges: list[tuple[int, int]] = []
    read = StoredCollection._read_block

    def counted(stored: StoredCollection, first: int, last: int) -> Any:
        ranges.append((first, last))
        return read(stored, first, last)

    monkeypatch.setattr(StoredCollection, "_read_block", counted)
    return ranges


class TestWholeCollections:
    @pytest.mark.parametrize("contiguous", [False, True])
    @pytest.mark.parametrize("read", READS.values(), ids=READS)
    @pytest.mark.parametrize("change", damage.CONTENT.values(), ids=damage.CONTENT)
    def test_what_only_the_digest_tells(
        self, change: Any, read: Any, contiguous: bool, path: Path, tmp_path: Path
    ) -> None:
        """A well-formed file that says something else than was written is refused, whoever wrote it."""
        if contiguous:
            plain(path, tmp_path / "b.h5")
            path = tmp_path / "b.h5"
            assert validate(path).valid
        read(LabelFile(path)["x"])
        change(path, "x")
        assert validate(path, "structure").valid
        with pytest.raises(LabelFileError, match=rf"{path.name}: /x: content_sha256 does not match the content"):
            read(LabelFile(path)["x"])

    @pytest.mark.parametrize("read", [*READS.values(), lambda s: s.row(2)], ids=[*READS, "row"])
    @pytest.mark.parametrize("change", damage.STORED.values(), ids=damage.STORED)
    def test_damaged_bytes(self, change: Any, read: Any, path: Path) -> None:
        """A flipped bit of `indptr`, and chunks that HDF5 does not find any more, are errors, not other pairs."""
        change(path, "x")
        with pytest.raises(LabelFileError, match=r"a\.h5: /x/similarity/\w+: (cannot be read|.*does not find)"):
            read(LabelFile(path)["x"])
        assert not validate(path, "structure").valid

    def test_the_last_block_is_kept_back(self, path: Path) -> None:
        """Nobody gets all rows of a damaged collection, so that nobody can take them for the whole."""
        damage.change_value(path, "x")
        blocks = LabelFile(path)["x"].blocks(7)
        assert [next(blocks).first_row, next(blocks).first_row] == [0, 7]
        with pytest.raises(LabelFileError, match="does not match"):
            next(blocks)

    def test_blocks_may_be_changed(self, path: Path) -> None:
        """What is done to a block that was handed out does not reach the digest."""
        expected = source().matrix
        stored = LabelFile(path)["x"]
        for block in stored.blocks(3):
            block.data[:] = -1
            block.indices[:] = -1
        assert_same_pairs(stored.to_scipy(), expected)

    @pytest.mark.parametrize("n", [0, 1])
    def test_no_pairs(self, n: int, tmp_path: Path) -> None:
        """Collections without queries or pairs are checked too."""
        path = write(tmp_path / "a.h5", {"x": similarity(n, 4, density=0.0)})
        assert LabelFile(path)["x"].to_scipy().nnz == 0
        damage.change_parameter(path, "x")
        with pytest.raises(LabelFileError, match="does not match"):
            LabelFile(path)["x"].to_scipy()

    def test_self_pairs_of_two_tables(self, tmp_path: Path) -> None:
        """Where the database should be the queries and is not, the collection does not open."""
        path = write(tmp_path / "a.h5", {"x": similarity(9, self_pairs=True)})
        with h5py.File(path, "r+") as file:
            del file["x/database"]
            file.copy("x/queries", "x/database")
        with pytest.raises(LabelFileError, match=r"a\.h5: /x/database: is not the group queries"):
            LabelFile(path)["x"]


class TestOnce:
    """What has been read in order is not read again for the check."""

    def test_a_file_is_hashed_once(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A second reading computes no digest, one of a new object does, and so does a copy in another process."""
        hashed: list[str] = []
        compare = StoredCollection._compare_digest

        def counted(stored: StoredCollection, group: Any) -> None:
            hashed.append(stored.name)
            compare(stored, group)

        monkeypatch.setattr(StoredCollection, "_compare_digest", counted)
        stored = LabelFile(path)["x"]
        for _ in range(3):
            list(stored.blocks())
            stored.to_scipy()
            stored.check_content()
        assert hashed == ["x"]
        pickle.loads(pickle.dumps(stored)).to_scipy()
        assert hashed == ["x", "x"]

    def test_the_rest_is_read(self, path: Path, rows_read: list[tuple[int, int]]) -> None:
        """Of rows read in order from the first one on, and of spans that overlap, only what is left is read."""
        stored = LabelFile(path)["x"]
        list(stored.blocks(first_row=0, stop_row=5))
        list(stored.blocks(first_row=3, stop_row=9))
        stored.row_block(15)
        del rows_read[:]
        seen: list[int] = []
        stored.check_content(seen.append)
        assert rows_read == [(9, 20)]
        assert sum(seen) == 20
        stored.check_content(seen.append)
        assert rows_read == [(9, 20)]
        assert sum(seen) == 40

    def test_a_gap_is_read(self, path: Path, rows_read: list[tuple[int, int]]) -> None:
        """Rows that were passed over are read by the check, with all that follows."""
        stored = LabelFile(path)["x"]
        list(stored.blocks(first_row=0, stop_row=5))
        list(stored.blocks(first_row=7, stop_row=20))
        del rows_read[:]
        stored.check_content()
        assert rows_read == [(5, 20)]

    def test_a_replaced_file_is_checked_again(self, path: Path, tmp_path: Path) -> None:
        """A file that took the place of a checked one, with its digest but other content, is found out, also midway."""
        other = Path(shutil.copy(path, tmp_path / "b.h5"))
        damage.change_value(other, "x")
        stored = LabelFile(path)["x"]
        stored.to_scipy()
        other.rename(path)
        with pytest.raises(LabelFileError, match="does not match"):
            stored.to_scipy()

    def test_a_file_replaced_midway(self, path: Path, tmp_path: Path) -> None:
        """Blocks of two files make no whole, unless both have the same content."""
        same = Path(shutil.copy(path, tmp_path / "b.h5"))
        other = Path(shutil.copy(path, tmp_path / "c.h5"))
        damage.change_value(other, "x")
        stored = LabelFile(path)["x"]
        blocks = stored.blocks(5)
        next(blocks)
        same.rename(path)
        assert sum(len(block.counts) for block in blocks) == 15
        stored = LabelFile(path)["x"]
        blocks = stored.blocks(5)
        next(blocks)
        other.rename(path)
        with pytest.raises(LabelFileError, match="does not match"):
            list(blocks)


class TestRows:
    """Rows read by themselves: the parts that they use are there, in order and in range."""

    @pytest.mark.parametrize(
        ("name", "entry", "value", "match"),
        [
            ("indptr", 4, 0, "indptr: does not rise"),
            ("indptr", 20, 3, "indptr: does not rise"),
            ("indptr", 3, -(2**31), "indptr: does not rise"),
            ("indices", 1, 0, "indices: columns are out of order or repeated"),
            ("indices", 0, 30, "indices: has columns that do not exist"),
            ("data", 0, 0.0, r"data: has values outside \(1e-06, 1\]"),
            ("data", 0, np.nan, r"data: has values outside \(1e-06, 1\]"),
            ("data", 0, 1.5, r"data: has values outside \(1e-06, 1\]"),
        ],
    )
    def test_parts(self, name: str, entry: int, value: float, match: str, tmp_path: Path) -> None:
        """A value that cannot be is an error of the row that it stands in."""
        path = write(tmp_path / "a.h5", {"x": source(density=1.0, faults=False)})
        with h5py.File(path, "r+") as file:
            file["x/similarity"][name][30 * 4 + entry if name != "indptr" else entry] = value  # 30 pairs a row
        row = "" if name == "indptr" else r" in row 4 \(counted from 0\)"
        with pytest.raises(LabelFileError, match=rf"a\.h5: /x/similarity/{match}{row}"):
            LabelFile(path)["x"].row(4)
        if name != "indptr":
            assert len(LabelFile(path)["x"].row(5)[0]) == 30
            with pytest.raises(LabelFileError, match=rf"/x/similarity/{match}{row}"):
                LabelFile(path)["x"].to_scipy()


class TestProvenance:
    def test_a_changed_record(self, path: Path) -> None:
        """A history that is not the one that was written is not read, so that nobody passes it on."""
        with h5py.File(path, "r+") as file:
            text = bytes(file["provenance/0000"][()]).replace(b'"test"', b'"tesT"')
            file["provenance/0000"][()] = text
        with pytest.raises(
            LabelFileError, match=r"a\.h5: /: content_sha256 does not match the writer, the names and digests"
        ):
            LabelFile(path).provenance()


class TestNoCollection:
    def test_files_without(self, path: Path) -> None:
        """Whoever asks for the collections of a file without one gets an error; its names are an empty list."""
        with h5py.File(path, "r+") as file:
            del file["x"]
        labels = LabelFile(path)
        assert list(labels) == []
        with pytest.raises(LabelFileError, match=r"a\.h5: holds no collection; relabel validate lists"):
            labels.collections()

    @pytest.mark.parametrize("member", ["queries", "database", "similarity"])
    def test_a_lost_member(self, member: str, path: Path) -> None:
        """A collection that has lost its cameras or pairs is not passed over."""
        with h5py.File(path, "r+") as file:
            del file["x"][member]
        assert list(LabelFile(path)) == ["x"]
        with pytest.raises(LabelFileError, match=rf"a\.h5: /x/{member}: the group is missing"):
            LabelFile(path).collections()[0].query  # noqa: B018
