from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from relabel.datasets.csv_columns import check_keys, line_of_row, read
from relabel.datasets.table.table_file import TableFile
from relabel.errors import InputError

COLUMNS = {"key": "text", "x": "float", "frame": "int", "pano": "bool"}
GOOD = ",key,x,frame,pano\n0,a,1.5,7,True\n1,b,-2,8,False\n"

same_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "raw.csv"
    path.write_text(GOOD)
    return path


def message(path: Path, content: str | bytes, columns: dict[str, str] | None = None) -> str:
    """The error of reading a file of that content, less the folder."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError) as error:
        read(path, columns or COLUMNS)
    assert str(error.value).startswith(f"{path}: ")
    return str(error.value).removeprefix(f"{path}: ")


class TestRead:
    def test_gives_a_typed_array_a_column(self, table: Path) -> None:
        """Columns come by name, in the types of their kinds; the unnamed index is passed over."""
        found = read(table, COLUMNS)
        assert {name: column.tolist() for name, column in found.items()} == {
            "key": ["a", "b"],
            "x": [1.5, -2.0],
            "frame": [7, 8],
            "pano": [True, False],
        }
        assert [column.dtype.kind for column in found.values()] == ["U", "f", "i", "b"]

    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\n\n"])
    @pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("end", [True, False])
    def test_tolerates_every_line_ending_and_a_byte_order_mark(
        self, table: Path, newline: str, bom: bytes, end: bool
    ) -> None:
        """Unix, Windows and old Mac lines, blank lines, no line ending at the end: the same table."""
        expected = read(table, COLUMNS)
        text = GOOD if end else GOOD.rstrip("\n")
        table.write_bytes(bom + text.replace("\n", newline).encode())
        found = read(table, COLUMNS)
        for name, column in expected.items():
            np.testing.assert_array_equal(found[name], column)

    def test_order_and_other_columns_do_not_matter(self, table: Path) -> None:
        """Columns may stand anywhere, among others, even among others of one name."""
        table.write_text("pano,note,frame,note,key,x\nTrue,\u00fc,7,,a,1.5\n")
        assert read(table, COLUMNS)["key"].tolist() == ["a"]

    def test_a_header_alone_is_a_table_without_rows(self, table: Path) -> None:
        """Zero rows, with every column and its type."""
        table.write_text(GOOD.splitlines()[0])
        found = read(table, COLUMNS)
        assert {name: len(column) for name, column in found.items()} == dict.fromkeys(COLUMNS, 0)
        assert [column.dtype.kind for column in found.values()] == ["U", "f", "i", "b"]

    def test_optional_columns_are_read_where_they_are(self, table: Path) -> None:
        """One that is there comes with its type, one that is not is left out."""
        found = read(table, {"key": "text"}, optional={"x": "float", "night": "bool"})
        assert list(found) == ["key", "x"]

    @pytest.mark.parametrize("cell", ["", "nan", "NaN", "NA", "null", "None", " nan"])
    def test_an_unknown_number_is_nan(self, table: Path, cell: str) -> None:
        """What pandas and people write for a missing number becomes NaN."""
        table.write_text(GOOD.replace("1.5", cell))
        assert math.isnan(read(table, COLUMNS)["x"][0])

    @pytest.mark.parametrize(
        ("cell", "value"), [("inf", math.inf), ("-Infinity", -math.inf), ("+3", 3.0), (" 4.5\t", 4.5), ("1e-3", 0.001)]
    )
    def test_numbers_as_people_write_them(self, table: Path, cell: str, value: float) -> None:
        """Infinities, signs, blanks around and exponents are numbers."""
        table.write_text(GOOD.replace("1.5", cell))
        assert read(table, COLUMNS)["x"][0] == value

    def test_a_whole_number_may_have_a_point(self, table: Path) -> None:
        """7.0, which pandas writes once a column had a gap, is 7."""
        table.write_text(GOOD.replace(",7,", ",7.0,"))
        assert read(table, COLUMNS)["frame"].tolist() == [7, 8]

    @same_file
    @given(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters='"\r\n,\x00', exclude_categories=["Cs"])),
            max_size=8,
        )
    )
    @example(["", "longer", "é"])
    @example(["", ""])
    def test_text_comes_as_written(self, table: Path, words: list[str]) -> None:
        """Any letters of any width, in any mixture of lengths."""
        table.write_text("key,x\n" + "".join(f"{word},1\n" for word in words), encoding="utf-8", newline="")
        assert read(table, {"key": "text", "x": "float"})["key"].tolist() == words

    @same_file
    @given(st.lists(st.floats(allow_subnormal=False), max_size=200))
    def test_numbers_come_as_printed(self, table: Path, values: list[float]) -> None:
        """Every float64 survives printing and reading bit for bit."""
        table.write_text("key,x\n" + "".join(f"a,{value!r}\n" for value in values))
        np.testing.assert_array_equal(read(table, {"x": "float"})["x"], np.array(values, dtype=np.float64))

    def test_a_table_of_many_blocks(self, table: Path) -> None:
        """More text than Arrow reads in one block; unknown numbers and flags stay on their rows."""
        n = 60_000
        rows = [f"{i},key{i:020d},{'' if i % 7 == 0 else i / 8},{i},{i % 3 == 0}\n" for i in range(n)]
        table.write_text(",key,x,frame,pano\n" + "".join(rows))
        found = read(table, COLUMNS)
        assert found["key"].tolist() == [f"key{i:020d}" for i in range(n)]
        assert found["frame"].tolist() == list(range(n))
        assert found["pano"].tolist() == [i % 3 == 0 for i in range(n)]
        np.testing.assert_array_equal(found["x"], [math.nan if i % 7 == 0 else i / 8 for i in range(n)])


class TestReadOfBadFiles:
    def test_a_missing_file(self, tmp_path: Path) -> None:
        """Says that it cannot be read, and why."""
        with pytest.raises(InputError, match=r"gone\.csv: cannot be read \(No such file"):
            read(tmp_path / "gone.csv", COLUMNS)

    def test_a_folder(self, tmp_path: Path) -> None:
        """A folder in place of a file is no traceback."""
        with pytest.raises(InputError, match="cannot be read"):
            read(tmp_path, COLUMNS)

    @pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
    def test_an_empty_file(self, table: Path, content: str) -> None:
        """Nothing, or nothing but blank lines: a header was expected."""
        assert message(table, content).startswith("the file is empty; expected a header line")

    def test_a_missing_column(self, table: Path) -> None:
        """Each is named, with those that are there."""
        found = message(table, GOOD.replace(",x,frame", ",y,n"))
        assert "line 1: column 'x', 'frame' is missing; the file has key, y, n, pano" in found

    def test_a_column_named_twice(self, table: Path) -> None:
        """Which one is meant cannot be told."""
        assert "line 1: column 'x' is named 2 times" in message(table, ",key,x,x,frame,pano\n0,a,1,2,3,True\n")

    @pytest.mark.parametrize("cell", ["abc", "1_000", "0x10", "1.5.2", "12°", " ", "--5", "1e", "١"])
    def test_text_where_a_number_belongs(self, table: Path, cell: str) -> None:
        """Line, column and the text are named."""
        found = message(table, GOOD.replace("-2", cell))
        assert found.startswith("line 3, column 'x': ")
        assert "is not a number; correct the cell" in found
        assert repr(cell) in found or not cell.strip()

    @pytest.mark.parametrize("cell", ["7.5", "", "nan", "inf", "seven", "1e300"])
    def test_no_whole_number(self, table: Path, cell: str) -> None:
        """A fraction, a gap, text and what no int64 holds are refused where a whole number belongs."""
        found = message(table, GOOD.replace(",7,", f",{cell},"))
        assert found.startswith("line 2, column 'frame': ")
        assert "is not a whole number" in found

    @pytest.mark.parametrize("cell", ["yes", "", "T", "2"])
    def test_neither_true_nor_false(self, table: Path, cell: str) -> None:
        """Unknown is not False."""
        found = message(table, GOOD.replace("False", cell))
        assert found.startswith("line 3, column 'pano': ")
        assert "is not True or False" in found

    @pytest.mark.parametrize("row", ["1,b,-2,8", "1,b,-2,8,False,", "1,b,-2", "   "])
    def test_a_row_of_another_length(self, table: Path, row: str) -> None:
        """A line with cells missing or left over is named with both counts."""
        found = message(table, GOOD.replace("1,b,-2,8,False", row))
        assert found.startswith(f"line 3: {len(row.split(','))} cells, but the header names 5 columns")

    def test_the_line_is_that_of_an_editor(self, table: Path) -> None:
        """Blank lines and line breaks within quotes are counted."""
        content = 'key,x\n\n"two\nlines",1\n\nb,abc\n'
        assert message(table, content, {"key": "text", "x": "float"}).startswith("line 6, column 'x': 'abc'")

    def test_the_first_fault_is_named(self, table: Path) -> None:
        """Of two faulty lines, the upper."""
        assert message(table, GOOD.replace("1.5", "abc").replace("-2", "def")).startswith("line 2, column 'x': 'abc'")

    @pytest.mark.parametrize(
        ("content", "line"), [(GOOD.encode("utf-16"), 1), (GOOD.encode() + b"2,\xe9,1,9,True\n", 4)]
    )
    def test_another_encoding(self, table: Path, content: bytes, line: int) -> None:
        """The line and the byte that is not UTF-8 are named."""
        found = message(table, content)
        assert found.startswith(f"line {line}: byte 0x")
        assert "is not UTF-8 text; save the file with UTF-8 encoding" in found

    def test_a_quote_that_never_ends(self, table: Path) -> None:
        """The line on which the broken record begins is named."""
        assert message(table, GOOD.replace("0,a", '0,"a')).startswith("line 2: ")

    def test_a_binary_file(self, table: Path) -> None:
        """Bytes without sense give an error, not a crash."""
        message(table, b"\x89HDF\r\n\x1a\n" + bytes(range(256)))

    @same_file
    @given(st.text(st.characters(codec="utf-8", exclude_characters='"\r\n,', exclude_categories=["Cs"]), max_size=6))
    @example("١")
    @example("nan(5)")
    @example("-nan")
    @example("1.e5")
    @example("\x00")
    def test_whatever_arrow_refuses_is_found_again(self, table: Path, cell: str) -> None:
        """Any cell either is read, or the error names its line and column: both readers agree on what a number is."""
        table.write_text(f"key,x,pano\na,1,True\nb,{cell},True\n", encoding="utf-8", newline="")
        try:
            read(table, {"key": "text", "x": "float", "pano": "bool"})
        except InputError as error:
            assert "line 3, column 'x'" in str(error)  # noqa: PT017


class TestCheckKeys:
    def check(self, path: Path, keys: list[str]) -> None:
        path.write_text("key,x\n\n" + "".join(f"{key},1\n" for key in keys))
        check_keys(path, read(path, {"key": "text"}), "key")

    def test_unique_keys_pass(self, table: Path) -> None:
        """No key twice, no error; nor in a table of one row or of none."""
        self.check(table, ["a", "b", "ab", "ba"])
        self.check(table, ["a"])
        self.check(table, [])

    def test_both_lines_of_a_repeated_key_are_named(self, table: Path) -> None:
        """The first repetition in the file, the line that it repeats, and how many there are."""
        with pytest.raises(InputError, match=r"key 'b' is on lines 4 and 6, and 2 row\(s\) repeat"):
            self.check(table, ["a", "b", "c", "b", "a"])

    def test_an_empty_key_is_named(self, table: Path) -> None:
        """A row without a name cannot be joined."""
        with pytest.raises(InputError, match=r"line 4, column 'key': an empty cell"):
            self.check(table, ["a", "", "c"])


class TestLineOfRow:
    def test_a_cell_longer_than_the_csv_module_takes(self, table: Path) -> None:
        """Is an error with file and line."""
        table.write_text(f"key\n{'k' * 200_000}\na\na\n")
        with pytest.raises(InputError, match=r"raw\.csv: line 2: a cell is longer than 131,072 characters"):
            line_of_row(table, 2)

    def test_a_row_that_is_gone(self, table: Path) -> None:
        """A file that changed in between is said to have."""
        with pytest.raises(InputError, match="changed while it was read"):
            line_of_row(table, 99)


READERS = {
    "read": lambda path: read(path, {"key": "text"}),
    "TableFile": lambda path: TableFile(path).read({"key": "text"}),
}
STRANGE = ["a\tb", "a\nb", "a\rb", "a\r\nb", 'say "a"', '"', "a,b", " a ", "#a", "\ufeffa", "\u202eabc\u202c"]
STRANGE.append("k" * 10_000)


@pytest.mark.parametrize("mark", [";", "\t"])
class TestOtherSeparators:
    """Semicolons, as spreadsheets write them where the decimal mark is a comma, and tabs."""

    def test_the_same_table(self, table: Path, mark: str) -> None:
        """Both readers take cells apart as the header does; commas in cells are text then."""
        table.write_text(
            f'\ufeff"key"{mark}x{mark}note, long\na,b{mark}1.5{mark}"say ""so"""\n"c{mark}d"{mark}-2{mark}e\n'
        )
        kinds = {"key": "text", "x": "float", "note, long": "text"}
        for found in (read(table, kinds), TableFile(table).read(kinds)):
            assert {name: column.tolist() for name, column in found.items()} == {
                "key": ["a,b", f"c{mark}d"],
                "x": [1.5, -2.0],
                "note, long": ['say "so"', "e"],
            }
        assert TableFile(table).columns == ("key", "x", "note, long")
        assert line_of_row(table, 1) == 3

    @pytest.mark.parametrize(
        ("rows", "expected"),
        [
            ("a|1,5", r"line 2, column 'x': '1,5' is not a number in the expected form: use a decimal point"),
            ("a|one", r"line 2, column 'x': 'one' is not a number"),
            ("a|1\nb|2|3", r"line 3: 3 cells, but the header names 2 columns; .* a text with a (semicolon|tab) lacks"),
            ('"a"b|1', r"line 2: text follows a closing quote"),
        ],
    )
    def test_faults(self, table: Path, mark: str, rows: str, expected: str) -> None:
        """Line and column are named, as in a table with commas."""
        table.write_text(f"key{mark}x\n{rows.replace('|', mark)}\n")
        for reader in (lambda kinds: read(table, kinds), TableFile(table).read):
            with pytest.raises(InputError, match=expected):
                reader({"key": "text", "x": "float"})


@pytest.mark.parametrize("reader", READERS)
class TestEveryReader:
    """What holds of a whole table at once as of one read in pieces."""

    def test_keys_come_as_written(self, table: Path, reader: str) -> None:
        """Tabs, line breaks, quotes, marks of direction and 10 kB: what the standard library writes comes back."""
        text = io.StringIO()
        csv.writer(text).writerows([["key", "x"], *([key, "1"] for key in STRANGE)])
        table.write_bytes(text.getvalue().encode())
        assert READERS[reader](table)["key"].tolist() == STRANGE

    def test_line_breaks_in_many_blocks(self, table: Path, reader: str) -> None:
        """Wherever Arrow cuts a file of quoted line breaks, no cell is cut in two."""
        keys = [f"{'line' * (i % 13)}\n{i}" for i in range(150_000)]
        table.write_text("key\n" + "".join(f'"{key}"\n' for key in keys))
        assert READERS[reader](table)["key"].tolist() == keys

    @pytest.mark.parametrize(
        ("content", "line"),
        [
            ('key,x\na,1\n"b,2\nc,3\n', 3),
            ('x,key\n1,a\n2,"b\n3,c\n', 3),  # Arrow alone takes this for two rows
            ('x,key\n1,"a\n2,"b\n3,c\n', 2),  # and this for two
            ('key,x\n"a""\n,1\n', 2),
        ],
    )
    def test_an_unclosed_quote(self, table: Path, reader: str, content: str, line: int) -> None:
        """Is an error with the line on which its row begins, never a row that swallows others."""
        table.write_text(content)
        with pytest.raises(InputError, match=rf"raw\.csv: line {line}: .*quote"):
            READERS[reader](table)

    def test_quotes_within_cells_that_have_none_around(self, table: Path, reader: str) -> None:
        """Inches are no quotes."""
        table.write_text('key,x\n5" pipe,1\nb,"2"\n')
        assert READERS[reader](table)["key"].tolist() == ['5" pipe', "b"]

    def test_an_unclosed_quote_in_the_header(self, table: Path, reader: str) -> None:
        """Is an error of line 1."""
        table.write_text('key,"x\na,1\n')
        with pytest.raises(InputError, match=r"raw\.csv: line 1: a quote opened in the header is not closed"):
            READERS[reader](table)

    @pytest.mark.parametrize("columns", [10_000, 300_000])
    def test_a_long_header(self, table: Path, reader: str, columns: int) -> None:
        """Of more than 64 kB, or more than Arrow's block of 1 MB: the column is found wherever it stands."""
        names = [f"column{i:06d}" for i in range(columns)]
        table.write_text(",".join([*names, "key"]) + "\n" + "1," * columns + "a\n")
        assert READERS[reader](table)["key"].tolist() == ["a"]

    def test_a_missing_column_in_a_long_header(self, table: Path, reader: str) -> None:
        """The file and line are said."""
        table.write_text(",".join(f"column{i:06d}" for i in range(10_000)) + "\n")
        with pytest.raises(InputError, match=r"raw\.csv: line 1: column 'key' is missing"):
            READERS[reader](table)

    @pytest.mark.parametrize("header", ["k" * 200_000 + ",key", '"' + "k" * 200_000 + '",key'])
    def test_a_long_name(self, table: Path, reader: str, header: str) -> None:
        """Longer than the csv module takes."""
        table.write_text(f"{header}\n1,a\n")
        with pytest.raises(InputError, match=r"raw\.csv: line 1: a column name is longer"):
            READERS[reader](table)

    @pytest.mark.parametrize("key", ["a\0", "a\0b", "\0"])
    def test_a_nul(self, table: Path, reader: str, key: str) -> None:
        """No label file can hold it, and numpy drops it at the end, so that a key would change."""
        table.write_bytes(f"key,x\nb,1\n{key},1\n".encode())
        with pytest.raises(InputError, match=r"raw\.csv: line 3, column 'key': .* NUL"):
            READERS[reader](table)
