"""CSV tables: read by column name at the speed of Arrow; a table that cannot be read is looked at again, row by row.

Cells are apart by commas, semicolons or tabs, by what the header has.

The fast path never counts lines. When Arrow refuses a table, `fault_in` goes through it with the csv module from the
standard library to name the first line that is at fault. Arrow takes all that follows an unclosed quote for one cell
and says nothing, so `check_quotes` looks at the quotes before.
"""

from __future__ import annotations

import csv
import io
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from relabel.cameras import surely_unique
from relabel.datasets.base import unreadable
from relabel.errors import InputError
from relabel.fixed_width import check_lengths, text_array
from relabel.input_files import check_regular

Kind = Literal["text", "float", "int", "bool"]
Table = dict[str, npt.NDArray[Any]]

_NO_NUMBER = ["", "NA", "N/A", "NULL", "null", "None", "NaN", "nan"]
_TRUE = ["True", "true", "TRUE", "1"]
_FALSE = ["False", "false", "FALSE", "0"]
# What Arrow takes for a number; float() takes more, such as "1_000".
_NUMBER = re.compile(r"\s*[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan(\(\w*\))?)\s*", re.IGNORECASE | re.ASCII)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*")
_FILLED_LINE = re.compile(rb"[^\r\n]+")
_FILLED_LINE_OF_TEXT = re.compile(r"[^\r\n]+")
_HEADER_BYTES = 1 << 16
"""what is read of a file at once to find its header"""
_LONGEST_HEADER = 1 << 26
_MARK = b"\xef\xbb\xbf"
_QUOTE = ord('"')
_SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_CHECKED_BYTES = 1 << 24
_WHOLE_LIMIT = 2**53  # beyond it float64 no longer tells neighbouring whole numbers apart
_BLOCK_BYTES = 1 << 20  # of Arrow; a line has to fit in one
_LARGEST_BLOCK = 2**31 - 1
_ARROW: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "float": pa.float64(),
    "int": pa.float64(),  # so that 12.0, which pandas writes once a column had a gap, is read as 12
    "bool": pa.bool_(),
}
_WANTED: dict[Kind, str] = {
    "text": "text; it holds a NUL character: remove that",
    "float": "a number; correct the cell, or leave it empty if the value is unknown",
    "int": "a whole number; correct the cell",
    "bool": "True or False; correct the cell",
}


def read(path: Path, columns: Mapping[str, Kind], *, optional: Mapping[str, Kind] | None = None) -> Table:
    """The named columns of a CSV file with a header line, whatever their order; other columns are skipped.

    Semicolons or tabs between cells, a byte order mark, any line ending, blank lines and a first column without a name
    are tolerated.

    Parameters
    ----------
    path:
        the file, UTF-8.
    columns:
        the columns that must be there and the kind of each. ``text`` gives str, with an empty cell as "". ``float``
        gives float64, where an empty cell, NA or nan is NaN. ``int`` gives int64, ``bool`` (True/False, 1/0) bool;
        both need a value in every row.
    optional:
        columns to read where they are there.

    Returns
    -------
    table
        an (n,) array for each column that is there; n = 0 for a header alone.

    Raises
    ------
    InputError
        when the file is missing, empty, not UTF-8, lacks a column or names it twice, or a cell or row is malformed;
        the message names the file, the line as an editor counts it, and the column.
    """
    data = _content(path)
    header = header_of(path, data)
    kinds = dict(columns) | {name: kind for name, kind in (optional or {}).items() if name in header}
    check_header(path, header, kinds)
    parse = parse_options(data, quoted=check_quotes(path, data))
    # Arrow finds no column in a header that no line ending closes.
    closed = data if data.endswith((b"\n", b"\r")) else data + b"\n"
    try:
        table = _table(closed, kinds, parse, None)
    except pa.ArrowException:
        try:
            table = _table(closed, kinds, parse, min(len(closed), _LARGEST_BLOCK))  # a line may be longer than a block
        except pa.ArrowException as error:
            raise fault_in(path, kinds, str(error), data) from None
    arrays: Table = {}
    for name, kind in kinds.items():
        with naming(path, name):
            array = as_array(table.column(name).combine_chunks(), kind)
        if array is None:
            raise fault_in(path, {name: kind}, f"column {name!r} cannot be read as {kind}", data)
        arrays[name] = array
    return arrays


def _table(data: bytes, kinds: Mapping[str, Kind], parse: Any, block_size: int | None) -> Any:
    return pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(block_size=block_size),
        parse_options=parse,
        convert_options=convert_options(kinds),
    )


def parse_options(data: bytes, *, quoted: bool) -> Any:
    """How Arrow has to divide a CSV file into cells, by its beginning and by what `check_quotes` says of it."""
    # Without newlines_in_values a quoted line feed at the end of a block cuts a cell in two; with it, reading takes a
    # third longer.
    return pyarrow.csv.ParseOptions(delimiter=separator(data), newlines_in_values=quoted)


def convert_options(kinds: Mapping[str, Kind]) -> Any:
    """What Arrow has to know to read these columns of a CSV file."""
    return pyarrow.csv.ConvertOptions(
        include_columns=list(kinds),
        column_types={name: _ARROW[kind] for name, kind in kinds.items()},
        null_values=_NO_NUMBER,
        strings_can_be_null=False,
        true_values=_TRUE,
        false_values=_FALSE,
    )


def check_keys(path: Path, table: Table, column: str) -> None:
    """Raise InputError, naming the lines, where a text of `column` is empty or stands in more than one row."""
    values = table[column]
    empty = np.flatnonzero(values == "")
    if empty.size:
        raise InputError(
            f"{path}: line {line_of_row(path, int(empty[0]))}, column {column!r}: an empty cell; "
            f"every row needs a {column} ({empty.size} row(s) have none)"
        )
    if surely_unique(values):
        return
    order = np.argsort(values, kind="stable")
    twice = np.flatnonzero(values[order[1:]] == values[order[:-1]])
    if not twice.size:
        return
    second = np.sort(order[twice + 1])[0]  # the first row that repeats one before it
    first = np.flatnonzero(values == values[second])[0]
    raise InputError(
        f"{path}: {column} {str(values[second])!r} is on lines {line_of_row(path, int(first))} and "
        f"{line_of_row(path, int(second))}, and {twice.size} row(s) repeat earlier ones; keep one row per {column}"
    )


def line_of_row(path: Path, row: int) -> int:
    """The line, counted from 1 as an editor does, on which data row `row`, counted from 0, begins."""
    for number, (line, _) in enumerate(_records(path, _text(path, _content(path)))):
        if number == row + 1:
            return line
    raise InputError(f"{path}: changed while it was read; no data row {row + 1} is left in it")


def _content(path: Path) -> bytes:
    check_regular(path)
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def beginning(path: Path) -> bytes:
    """As much of a file as holds its first line that is not blank, and at least 64 KiB where there is so much.

    Raises
    ------
    InputError
        when the file cannot be read.
    """
    check_regular(path)
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(_HEADER_BYTES)
            while len(data) < _LONGEST_HEADER and not _ends_header(data) and (more := stream.read(len(data))):
                data += more
    except OSError as error:
        raise unreadable(path, error) from None
    return data


def _ends_header(data: bytes) -> bool:
    lines = data[_after_mark(data) :].lstrip(b"\r\n")
    return b"\n" in lines or b"\r" in lines


def separator(data: bytes) -> str:
    """What stands between cells, by the beginning of the file: a comma, unless the header has more of another mark."""
    line = _FILLED_LINE.search(data, _after_mark(data))
    return "," if line is None else _separator_in(line[0].decode("utf-8", "replace"))


def _separator_in(header: str) -> str:
    try:
        return max(_SEPARATORS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))
    except csv.Error:  # which whoever reads the header reports
        return ","


def columns_of_line(line: str) -> list[str]:
    """The names of the columns, if this line is a header; raises csv.Error where it cannot be one."""
    return next(csv.reader([line], strict=True, delimiter=_separator_in(line)))


def header_of(path: Path, data: bytes) -> list[str]:
    """The names of the columns, from the beginning of the file; raises InputError where there is none."""
    # Names never hold a line break, so that the first line that is not blank can be taken without parsing the rest.
    start, number = _after_mark(data), 1
    while start < len(data):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        carriage = data.find(b"\r", start, end)
        end = end if carriage < 0 else carriage
        if end > start:
            return _names(path, number, data[start:end])
        start, number = end + (2 if data[end : end + 2] == b"\r\n" else 1), number + 1
    raise InputError(f"{path}: the file is empty; expected a header line with the column names")


def _after_mark(data: bytes) -> int:
    """Where the text begins: after the byte order mark, if there is one."""
    return len(_MARK) if data.startswith(_MARK) else 0


def _names(path: Path, number: int, line: bytes) -> list[str]:
    try:
        return columns_of_line(_decoded(path, line, number))
    except csv.Error as error:
        reason = {
            "unexpected end of data": "a quote opened in the header is not closed on its line",
            "field larger than field limit (131072)": "a column name is longer than 131,072 characters",
        }.get(str(error), str(error))
        raise InputError(
            f"{path}: line {number}: {reason}; expected a header line with the names of all columns"
        ) from None


def check_quotes(path: Path, data: bytes | None = None) -> bool:
    """Raise InputError, naming the line, where a quote is opened and not closed, or text follows a closing one.

    A file whose quotes are as RFC 4180 has them is not parsed for that: where every second quote closes a cell, it
    takes a look at the bytes beside the quotes.

    Parameters
    ----------
    path:
        the file.
    data:
        its content; None reads it.

    Returns
    -------
    bool
        whether there is any quote.
    """
    try:
        source = data if data is not None else _mapped(Path(path))
    except OSError as error:
        raise unreadable(path, error) from None
    if source.find(b'"') < 0:
        return False
    content = np.frombuffer(source, np.uint8)
    beside = np.frombuffer(separator(beginning(path) if data is None else data).encode() + b"\r\n", np.uint8)
    pieces = range(0, len(content), _CHECKED_BYTES)
    quote = np.concatenate([np.flatnonzero(content[at : at + _CHECKED_BYTES] == _QUOTE) + at for at in pieces])
    if quote.size % 2 == 0:
        first, last = quote[::2], quote[1::2]
        doubled = first[1:] == last[:-1] + 1
        opens = np.append(False, doubled) | np.isin(content[first - 1], beside)
        opens |= first == _after_mark(content[:3].tobytes())
        closes = np.append(doubled, False) | np.isin(content[np.minimum(last + 1, len(content) - 1)], beside)
        closes |= last == len(content) - 1
        if opens.all() and closes.all():
            return True
    for _ in _records(path, _text(path, content.tobytes()), strict=True):
        pass
    return True


def _mapped(path: Path) -> bytes | mmap.mmap:
    check_regular(path)
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if path.stat().st_size else b""


def check_header(path: Path, header: list[str], kinds: Mapping[str, Kind], *, where: str = "line 1: ") -> None:
    """Raise InputError unless each of the columns is named once, at `where` of the file."""
    missing = [name for name in kinds if name not in header]
    if missing:
        there = ", ".join(name for name in header if name) or "no named column"
        raise InputError(
            f"{path}: {where}column {', '.join(map(repr, missing))} is missing; the file has {there}. "
            "Columns are read by name, in any order: add it, or use the original file"
        )
    for name in kinds:
        if header.count(name) > 1:
            raise InputError(
                f"{path}: {where}column {name!r} is named {header.count(name)} times; "
                "which one is meant is ambiguous: rename or remove the others"
            )


def text_column(column: Any) -> Any:
    """An Arrow column of text, be it a dictionary, a view, large or bytes of UTF-8, or of whole numbers, as plain text.

    None where it is of another type; raises pyarrow.ArrowInvalid where bytes are not UTF-8.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        plain = text_column(column.dictionary)
        # Of views Arrow cannot take by index, so that the dictionary has to be made plain first.
        return None if plain is None else pa.DictionaryArray.from_arrays(column.indices, plain).dictionary_decode()
    is_text = any(test(kind) for test in _TEXT_TYPES)
    return column.cast(pa.string()) if is_text or pa.types.is_integer(kind) else None


_TEXT_TYPES = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    *(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view),
)


def as_array(column: Any, kind: Kind) -> npt.NDArray[Any] | None:
    """An Arrow column as numpy array, or None where a cell does not fit the kind.

    An `InputError` where a text is far too long for the others.

    The buffers are read here, since Arrow's own to_numpy loads pandas where it is installed, for half a second.
    """
    if kind == "text":
        return _strings(column)
    validity, content = column.buffers()
    rows = slice(column.offset, column.offset + len(column))
    if kind == "bool":
        return None if column.null_count else _bits(content)[rows].astype(bool)
    array = np.zeros(0) if content is None else np.frombuffer(content, np.float64)[rows].copy()
    if column.null_count:
        array[_bits(validity)[rows] == 0] = np.nan
    if kind == "float":
        return array
    with np.errstate(invalid="ignore"):
        is_whole = (np.abs(array) <= _WHOLE_LIMIT) & (array == np.floor(array))
    return array.astype(np.int64) if is_whole.all() else None


@contextmanager
def naming(path: Path, column: str) -> Iterator[None]:
    """Put file and column in front of an `InputError` of `as_array`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: column {column!r}: {error}") from None


def _bits(bitmap: Any) -> npt.NDArray[np.uint8]:
    packed = np.zeros(0, np.uint8) if bitmap is None else np.frombuffer(bitmap, np.uint8)
    return np.unpackbits(packed, bitorder="little")


def _strings(column: Any) -> npt.NDArray[np.str_] | None:
    """An Arrow string column as fixed-width str, 15 times faster than by way of Python objects where it is ASCII.

    None where one holds a NUL, which numpy drops at the end of a string and which no label file can hold.
    """
    _, offset_buffer, bytes_buffer = column.buffers()
    if len(column) == 0 or bytes_buffer is None:
        return np.zeros(len(column), "<U1")
    offsets = np.frombuffer(offset_buffer, np.int32)[column.offset : column.offset + len(column) + 1]
    content = np.frombuffer(bytes_buffer, np.uint8)[offsets[0] : offsets[-1]]
    if content.size == 0:
        return np.zeros(len(column), "<U1")
    if content.min() == 0:
        return None
    if content.max() >= 128:
        return text_array(column.to_pylist())
    lengths = np.diff(offsets)
    check_lengths(lengths)
    width = int(lengths.max())
    letters = np.zeros((len(column), width), np.uint32)
    if (lengths == width).all():
        letters[:] = content.reshape(len(column), width)
    else:
        letters[np.arange(width) < lengths[:, np.newaxis]] = content
    return cast("npt.NDArray[np.str_]", letters.view(f"<U{width}").ravel())


def _decoded(path: Path, data: bytes, line: int) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line += data.count(b"\n", 0, error.start)
        raise InputError(
            f"{path}: line {line}: byte 0x{data[error.start]:02x} is not UTF-8 text; save the file with UTF-8 encoding"
        ) from None


def _text(path: Path, data: bytes) -> str:
    return _decoded(path, data, 1)


def _records(path: Path, text: str, *, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV text that are not blank, each with the line on which it begins; the header is the first.

    With `strict` an `InputError` where a quote is not closed, or text follows a closing quote.
    """
    header = _FILLED_LINE_OF_TEXT.search(text)
    mark = "," if header is None else _separator_in(header[0])
    reader = csv.reader(io.StringIO(text, newline=""), strict=strict, delimiter=mark)
    line = 1
    try:
        for record in reader:
            if record:
                yield line, record
            line = reader.line_num + 1
    except csv.Error as error:
        reason = {
            "unexpected end of data": "a quote opened here is never closed; close it, or write it twice inside "
            "a quoted cell",
            f"'{mark}' expected after '\"'": "text follows a closing quote, perhaps because an earlier one is not "
            "closed; double quotes inside a quoted cell",
            "field larger than field limit (131072)": "a cell is longer than 131,072 characters, perhaps because a "
            "quote is not closed",
        }.get(str(error), str(error))
        raise InputError(f"{path}: line {line}: {reason}") from None


def fault_in(path: Path, kinds: Mapping[str, Kind], reason: str, data: bytes | None = None) -> InputError:
    """The error that names the first cell or row at fault in a table that Arrow refused for `reason`."""
    try:
        data = _content(path) if data is None else data
        records = _records(path, _text(path, data))
        _, header = next(records)
        places = {name: header.index(name) for name in kinds}
        long_line, long_length = 0, 0
        for line, record in records:
            length = sum(map(len, record))
            if length > long_length:
                long_line, long_length = line, length
            if len(record) != len(header):
                return InputError(
                    f"{path}: line {line}: {len(record)} cells, but the header names {len(header)} columns; the line "
                    f"is truncated, or a text with {_SEPARATORS[separator(data)]} lacks its quotes"
                )
            for name, kind in kinds.items():
                cell = record[places[name]]
                if not _fits(cell, kind):
                    shown = f"{cell!r} is not" if cell.strip() else "an empty cell is not"
                    wanted = _WANTED[kind]
                    if kind != "text" and _DECIMAL_COMMA.fullmatch(cell):
                        wanted = "a number in the expected form: use a decimal point instead of the comma, in all cells"
                    return InputError(f"{path}: line {line}, column {name!r}: {shown} {wanted}")
    except InputError as error:
        return error
    if long_length > _BLOCK_BYTES:
        return InputError(
            f"{path}: line {long_line}: is longer than {long_length:,} characters; is a line break missing?"
        )
    return InputError(f"{path}: is not a readable CSV file: {reason}")


def _fits(cell: str, kind: Kind) -> bool:
    if kind == "text":
        return "\0" not in cell
    if kind == "bool":
        return cell in _TRUE or cell in _FALSE
    number = _NUMBER.fullmatch(cell) is not None
    if kind == "float":
        return number or cell in _NO_NUMBER
    return number and float(cell).is_integer() and abs(float(cell)) <= _WHOLE_LIMIT
