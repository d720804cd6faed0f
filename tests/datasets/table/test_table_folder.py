"""Folders of Parquet files as one table."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet
import pytest

from relabel.audit.audit import audit
from relabel.datasets.table import table_file
from relabel.datasets.table.table_folder import TableFolder, holds_parquet, table_at
from relabel.datasets.table.table_reader import TableReader, from_paths, reader
from relabel.errors import InputError
from relabel.labelfile import LabelFile
from relabel.pipeline.fov_part import fov_parts
from relabel.pipeline.run import label
from tests.datasets.table.tables import as_parquet, read

ROWS = 40


def street(rows: range, **more: Any) -> dict[str, Any]:
    """Columns of cameras along a street."""
    x = [5.0 * row for row in rows]
    return {"key": [f"k{row}" for row in rows], "x": x, "y": [0.0] * len(x), "heading": [90.0] * len(x)} | more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files in partitions, written out of order, with what other programs leave beside them."""
    top = tmp_path / "street"
    for year, rows in (("2020", range(30, ROWS)), ("2019", range(17, 30)), ("2018", range(17))):
        (top / f"year={year}").mkdir(parents=True)
        as_parquet(top / f"year={year}" / "part-0.parquet", **street(rows))
    (top / "_SUCCESS").touch()
    (top / ".part-0.parquet.crc").write_bytes(b"crc")
    (top / "_temporary").mkdir()
    (top / "_temporary" / "part-9.parquet").write_bytes(b"half")
    return top


class TestTableFolder:
    """relabel.datasets.table.table_folder.TableFolder"""

    def test_as_pyarrow(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Columns, partitions and rows are those that pyarrow's own reader of datasets has."""
        monkeypatch.setattr(table_file, "_BATCH", 7)
        table = TableFolder(folder)
        expected = ds.dataset(folder, partitioning="hive").to_table(columns=["key", "x", "year"]).sort_by("x")
        assert list(table.columns) == ["key", "x", "y", "heading", "year"]
        columns = table.read({"key": "text", "x": "float", "year": "float"})
        assert {name: column.tolist() for name, column in columns.items()} == expected.to_pydict()
        assert (
            TableFolder(folder).read({"year": "text"})["year"].tolist() == ["2018"] * 17 + ["2019"] * 13 + ["2020"] * 10
        )
        assert table.location(16) == "year=2018/part-0.parquet, row 17"
        assert table.location(17) == "year=2019/part-0.parquet, row 1"
        assert table.notes({"key": "text", "year": "text"}) == ()

    def test_partition_names(self, tmp_path: Path) -> None:
        """Values are decoded as Spark and pyarrow write them, and null is an empty cell."""
        for name in ("city=S%C3%A3o%20Paulo", "city=__HIVE_DEFAULT_PARTITION__"):
            (tmp_path / name).mkdir()
            as_parquet(tmp_path / name / "0.parquet", v=[1.0])
        assert sorted(TableFolder(tmp_path).read({"city": "text"})["city"].tolist()) == ["", "São Paulo"]
        with pytest.raises(InputError, match="folder gives city as 'São Paulo', which is not a number"):
            TableFolder(tmp_path).read({"city": "float"})

    def test_partition_and_column(self, tmp_path: Path) -> None:
        """What a file holds counts, not the folder that it is in, and this is said."""
        (tmp_path / "v=2").mkdir()
        as_parquet(tmp_path / "v=2" / "a.parquet", v=[3.0])
        as_parquet(tmp_path / "v=2" / "b.parquet", key=["x"])
        table = TableFolder(tmp_path)
        assert table.read({"v": "float"})["v"].tolist() == [3.0, 2.0]
        assert "'v' is also in the names of folders, which do not count, since 1 of 2 files hold it" in str(
            table.notes({"v": "float"})
        )

    def test_mixed_schemas(self, tmp_path: Path) -> None:
        """A column that a file lacks is empty there, and types may differ; both are said."""
        as_parquet(tmp_path / "a.parquet", key=[1, 2], up=pa.array([0.5, 1.5], pa.float32()))
        as_parquet(tmp_path / "b.parquet", key=["x"], other=[7])
        as_parquet(tmp_path / "c", key=["y"], up=[2.5])
        as_parquet(tmp_path / "d", key=["z"], up=[None])  # whose type is null
        (tmp_path / "README.md").write_text("about")
        table = TableFolder(tmp_path)
        columns = table.read({"key": "text", "up": "float"})
        assert columns["key"].tolist() == ["1", "2", "x", "y", "z"]
        np.testing.assert_array_equal(columns["up"], [0.5, 1.5, np.nan, 2.5, np.nan])
        notes = "\n".join(table.notes({"key": "text", "up": "float"}))
        assert "1 file or link that is not Parquet is not read: README.md" in notes
        assert "column 'up' is missing in 1 of 4 files, whose cells count as empty: b.parquet" in notes
        assert "column 'key' has different types: int64 in 1 and string in 3 files" in notes

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda top: (top / "0.parquet").write_bytes(b""), r"0\.parquet: is not a readable Parquet file"),
            (
                lambda top: as_parquet(top / "0.parquet", **street(range(3), key=["k99", "", "k7"])),
                r"street: 0\.parquet, row 2, column 'key': an empty cell",
            ),
            (
                lambda top: as_parquet(top / "z.parquet", **street(range(90, 92), key=["k90", "k29"])),
                r"street: z\.parquet, row 2, column 'key': 'k29' is already in year=2019/part-0\.parquet, row 13",
            ),
            (
                lambda top: (top / "year=2019").rename(top / "year=2018" / "year=2019"),
                r"column twice: year=2018",
            ),
            (
                lambda top: (top / "year=2019").rename(top / "year=%FF"),
                r"%FF/part-0\.parquet: a folder above it",
            ),
            (
                lambda top: as_parquet(top / "0.parquet", **street(range(90, 92), x=["1", "2"])),
                r"0\.parquet: column 'x' holds string, not numbers",
            ),
            (
                lambda top: as_parquet(top / "0.parquet", **street(range(90, 92), x=[0.0, np.inf])),
                r"street: 0\.parquet, row 2, column 'x' and 'y': .* is not a position",
            ),
        ],
    )
    def test_faults(self, folder: Path, spoil: Any, message: str) -> None:
        """Errors name the file and the row in it."""
        spoil(folder)
        with pytest.raises(InputError, match=message):
            read(folder)

    def test_no_table(self, tmp_path: Path) -> None:
        """A folder of anything else is refused."""
        (tmp_path / "a.csv").write_text("key,x,y,heading\n")
        with pytest.raises(InputError, match=r"is a folder without a Parquet file \(other files: 1\)"):
            read(tmp_path)
        assert not holds_parquet(tmp_path)
        assert from_paths([tmp_path]) is None


def test_labels(folder: Path, tmp_path: Path) -> None:
    """The labels are those of the same rows in one file; every file that was read is an input, by its digest."""
    whole = as_parquet(tmp_path / "whole.parquet", **street(range(ROWS)))
    database = as_parquet(tmp_path / "database.parquet", **street(range(0, ROWS, 3)))
    outputs = []
    for queries in (folder, whole):
        part = reader(queries, database, name="street")
        assert TableReader.from_parameters(part.parameters(), part.root) == part
        outputs.append(label(fov_parts([part]), tmp_path / f"{queries.stem}.h5").path)
    labels, plain = (LabelFile(path)["street"] for path in outputs)
    assert labels.nnz > 0
    assert labels.content_sha256 == plain.content_sha256
    recorded = {entry["path"]: entry["sha256"] for entry in LabelFile(outputs[0]).provenance()[0]["inputs"]}
    files = [database, *table_at(folder).files]
    assert recorded == {
        path.relative_to(tmp_path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    assert holds_parquet(folder)
    assert audit(read(folder)) == audit(read(whole))
    assert from_paths([folder]) is not None


def test_a_broken_link(folder: Path) -> None:
    """It is called that: the cache of a download is made of links."""
    (folder / "year=2018" / "part-1.parquet").symlink_to("../../blobs/0123")
    with pytest.raises(
        InputError, match=r"part-1\.parquet: cannot be read \(it is a link to \S+/0123, which is not there"
    ):
        read(folder)


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    """A Parquet file has no lines to speak of."""
    columns = [pa.array(["a", "b"]), *(pa.array([0.0, 1.0]) for _ in range(4))]
    pa.parquet.write_table(pa.table(columns, names=["key", "x", "y", "heading", "x"]), tmp_path / "x.parquet")
    for path in (tmp_path / "x.parquet", tmp_path):
        with pytest.raises(InputError, match=r"x\.parquet: column 'x' is named 2 times"):
            read(path)
