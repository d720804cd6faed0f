"""All pairs of a collection as text, block by block."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from relabel.csv_text import quoted
from relabel.errors import OptionError
from relabel.similarity import SimilaritySource

Layout = Literal["csv", "tsv", "json"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
_PAIRS_AT_ONCE = 1 << 18  # some 20 MB of text with Mapillary keys


def pairs_as_text(source: SimilaritySource, layout: Layout = "csv") -> Iterator[memoryview]:
    """The stored pairs, query by query, as UTF-8 text in pieces.

    ``csv`` and ``tsv`` start with a line of names (query, database, value) and quote a key only if necessary;
    ``json`` is one object per line. A value is the shortest decimal number that rounds to the stored float32.

    Raises
    ------
    OptionError
        when the layout is not known.
    """
    if layout not in LAYOUTS:
        raise OptionError(f"layout {layout!r} is not known; choose {', '.join(LAYOUTS)}")
    collection = source.collection
    before, between, after, written = _frame(layout)
    queries = pa.array([before + written(str(key)) + between[0] for key in collection.query.key], pa.large_string())
    database = pa.array([written(str(key)) + between[1] for key in collection.database.key], pa.large_string())
    if layout != "json":
        yield memoryview(f"query{between[0]}database{between[1]}value\n".encode())
    for block in source.blocks():
        rows = np.repeat(np.arange(block.first_row, block.first_row + len(block.counts)), block.counts)
        yield from joined_lines(queries, database, rows, block.indices, block.data, after)


def joined_lines(
    queries: Any,
    database: Any,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int32],
    values: npt.NDArray[np.float32] | None,
    end: str = "\n",
) -> Iterator[memoryview]:
    """Lines of query, database and value, concatenated in pieces of bounded size.

    Parameters
    ----------
    queries, database:
        Arrow arrays of large strings, with all text before and after a name; `rows` and `columns` pick
        from them.
    values:
        (n,) one per line, or None for lines without values.
    end:
        what ends a line.
    """
    ends, glue = pa.scalar(end, pa.large_string()), pa.scalar("", pa.large_string())
    for start in range(0, len(rows), _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        cells = [queries.take(pa.array(rows[part])), database.take(pa.array(columns[part]))]
        if values is not None:
            cells.append(pc.cast(pa.array(values[part]), pa.large_string()))
        # Arrow keeps the strings of an array one after the other: its buffer is the text.
        yield memoryview(pc.binary_join_element_wise(*cells, ends, glue).buffers()[2])


def _frame(layout: Layout) -> tuple[str, tuple[str, str], str, Callable[[str], str]]:
    """The text before, between and after the three fields, and how a key is written."""
    if layout == "json":
        return '{"query":', (',"database":', ',"value":'), "}\n", lambda key: json.dumps(key, ensure_ascii=False)
    separator = "," if layout == "csv" else "\t"
    return "", (separator, separator), "\n", lambda key: quoted(key, separator)
