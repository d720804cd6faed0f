"""CSV and Parquet files, read by column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel import fixed_width, input_files
from relabel.datasets import csv_columns
from relabel.datasets.table import table_file
from relabel.datasets.table.table_file import TableFile
from relabel.errors import InputError
from tests.datasets.table.tables import as_parquet, write
from tests.trees import parquet_with_views


class TestTableFile:
    """relabel.datasets.table.table_file.TableFile"""

    @given(st.lists(st.tuples(st.text('ab,"é☃ ', max_size=4), st.floats(allow_nan=False, width=64)), max_size=12))
    def test_csv_and_parquet(self, rows: list[tuple[str, float]]) -> None:
        """The same table in both forms is read alike, whatever stands in it."""
        import csv
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            at = Path(folder)
            with (at / "t.csv").open("w", newline="") as stream:
                writer = csv.writer(stream)
                writer.writerow(["number", "text"])
                writer.writerows((repr(number), text) for text, number in rows)
            text, number = [row[0] for row in rows], [row[1] for row in rows]
            as_parquet(at / "t.pq", text=pa.array(text, pa.string()), number=pa.array(number, pa.float64()))
            for name in ("t.csv", "t.pq"):
                table = TableFile(at / name).read({"text": "text", "number": "float"})
                assert table["text"].tolist() == text
                assert table["number"].tolist() == number

    def test_pieces(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file of many pieces is read as a whole, with texts of different lengths."""
        monkeypatch.setattr(table_file, "_BLOCK_BYTES", 100)
        monkeypatch.setattr(table_file, "_BATCH", 7)
        keys = [f"{'k' * (i // 20)}{i}" for i in range(200)]
        path = write(tmp_path / "t.csv", "key,v", *(f"{key},{i / 8}" for i, key in enumerate(keys)))
        stored = as_parquet(tmp_path / "t.parquet", key=keys, v=[i / 8 for i in range(200)])
        for file in (TableFile(path), TableFile(stored)):
            table = file.read({"key": "text", "v": "float"})
            assert table["key"].tolist() == keys
            assert table["v"].tolist() == [i / 8 for i in range(200)]

    @pytest.mark.parametrize("text", ["key,v", "key,v\n", "\ufeffkey,v\r\n\r\n"])
    def test_header_alone(self, tmp_path: Path, text: str) -> None:
        """No row is no fault here."""
        (tmp_path / "t.csv").write_text(text)
        table = TableFile(tmp_path / "t.csv").read({"key": "text", "v": "float"})
        assert [len(column) for column in table.values()] == [0, 0]

    def test_kinds_of_parquet(self, tmp_path: Path) -> None:
        """Whole numbers are keys too; dictionaries, decimals and missing values are read."""
        path = as_parquet(
            tmp_path / "t",
            number=pa.array([1, 2, None]),
            word=pa.array(["a", "b", None]).dictionary_encode(),
            small=pa.array([1.5, None, 2.5], pa.float32()),
        )
        table = TableFile(path).read({"number": "text", "word": "text", "small": "float"})
        assert table["number"].tolist() == ["1", "2", ""]
        assert table["word"].tolist() == ["a", "b", ""]
        np.testing.assert_array_equal(table["small"], [1.5, np.nan, 2.5])
        assert TableFile(path).location(1) == "row 2"

    def test_views_of_parquet(self, tmp_path: Path) -> None:
        """Views, large text, bytes of UTF-8 and dictionaries of any of them are text."""
        words = pa.array(["a", None, "\u00e9" * 20])
        types = [pa.string_view(), pa.large_string(), pa.binary(), pa.binary_view(), pa.large_binary()]
        columns = {str(kind): words.cast(kind) for kind in types}
        columns["words"] = words.cast(pa.large_string()).dictionary_encode()
        path = parquet_with_views(tmp_path / "t", pa.table(columns))
        assert pq.read_schema(path).field("string_view").type == pa.string_view()
        for column in TableFile(path).read(dict.fromkeys(columns, "text")).values():
            assert column.tolist() == ["a", "", "\u00e9" * 20]
        bad = as_parquet(tmp_path / "bad", c=pa.array([b"\xff"]).cast(pa.binary_view()))
        with pytest.raises(InputError, match=r"bad: column 'c' holds bytes that are not UTF-8"):
            TableFile(bad).read({"c": "text"})

    def test_views_of_a_dictionary(self) -> None:
        """Arrow cannot take by index from views, so that a dictionary of them needs a way of its own."""
        words = pa.array(["a", "b", "a"]).cast(pa.string_view()).dictionary_encode()
        assert csv_columns.text_column(words).to_pylist() == ["a", "b", "a"]

    @pytest.mark.parametrize(
        ("kind", "values", "message"),
        [("float", ["x"], "holds string, not numbers"), ("text", [[1]], "not text"), ("text", [1.5], "not text")],
    )
    def test_wrong_kind(self, tmp_path: Path, kind: Any, values: Any, message: str) -> None:
        """A Parquet column of another kind is refused by name."""
        with pytest.raises(InputError, match=rf"t: column 'c'.*{message}"):
            TableFile(as_parquet(tmp_path / "t", c=values)).read({"c": kind})

    def test_damaged(self, tmp_path: Path) -> None:
        """Half a Parquet file, no file, a folder."""
        path = as_parquet(tmp_path / "t", c=[1.0])
        path.write_bytes(path.read_bytes()[:60])
        with pytest.raises(InputError, match="not a readable Parquet file:"):
            _ = TableFile(path).columns
        for missing in (tmp_path / "nothing", tmp_path):
            with pytest.raises(InputError, match="cannot be read"):
                _ = TableFile(missing).columns


class TestBounds:
    """Tables that would take far more memory than they are large."""

    def test_one_long_key(self, tmp_path: Path) -> None:
        """20,000 letters among 50,000 rows: column and row are named, in CSV and in Parquet."""
        keys = [f"k{row}" for row in range(50_000)]
        keys[7] = "k" * 20_000
        file = write(tmp_path / "a.csv", "key,x,y,heading", *(f"{key},0,0,0" for key in keys))
        message = r"column 'key': row 7 \(counted from 0\): a text of 20,000 characters in a column of 50,000 "
        with pytest.raises(InputError, match=rf"a\.csv: {message}"):
            TableFile(file).read({"key": "text"})
        with pytest.raises(InputError, match=rf"a\.csv: {message}"):
            csv_columns.read(file, {"key": "text"})
        with pytest.raises(InputError, match=rf"a\.parquet: {message}"):
            TableFile(as_parquet(tmp_path / "a.parquet", key=keys)).read({"key": "text"})

    def test_a_long_key_in_a_later_block(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Blocks that would fit by themselves do not fit together."""
        monkeypatch.setattr(fixed_width, "MOST_BYTES", 100_000)
        monkeypatch.setattr(table_file, "_BATCH", 100)
        keys = [*(f"k{row:05}" for row in range(1000)), "k" * 200]
        with pytest.raises(InputError, match=r"column 'key': row 1000 .* 200 characters in a column of 1,001"):
            TableFile(as_parquet(tmp_path / "a.parquet", key=keys)).read({"key": "text"})

    def test_a_repeated_long_text(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A dictionary in Parquet holds a text once for all rows; memory holds it in each."""
        monkeypatch.setattr(input_files, "MOST_BYTES", 1_000_000)
        file = as_parquet(tmp_path / "a.parquet", key=pa.array(["k" * 1001] * 1000).dictionary_encode())
        with pytest.raises(InputError, match=r"a\.parquet: has .* would inflate to at least 1,001,000, "):
            TableFile(file).read({"key": "text"})

    def test_more_rows_than_bytes(self, tmp_path: Path) -> None:
        """Two million rows of one value, in some hundred bytes."""
        file = as_parquet(tmp_path / "a.parquet", key=np.zeros(2_000_000, "i4"))
        with pytest.raises(InputError, match=r"a\.parquet: claims 2,000,000 rows in [\d,]+ bytes"):
            TableFile(file).read({"key": "text"})
