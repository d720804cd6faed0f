"""Pairs of images as hloc and other matchers read them: a text file, one pair per line."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from relabel.errors import InputError, MissingFileError, OptionError
from relabel.exchange.entries import ImportRequest, ImportResult, Numbering, PairList, result_of_pairs
from relabel.exchange.folder import ExportFolder, file_name
from relabel.exchange.positive_rows import check_threshold
from relabel.exchange.text import joined_lines
from relabel.images.paths import image_paths
from relabel.input_files import check_regular
from relabel.similarity import RowBlock, SimilaritySource, UsedPairs


def write_pairs(
    source: SimilaritySource,
    name: str,
    folder: ExportFolder,
    *,
    threshold: float | None = None,
    top: int | None = None,
    image_path: str | None = None,
) -> list[str]:
    """``NAME-pairs.txt`` with a line ``query database`` per pair, and ``NAME-pairs-scores.txt`` with ψ as a third word.

    The pairs of a query are consecutive, best first; equal values in the order of the database.

    Parameters
    ----------
    source, name, folder:
        the collection, its name, and where the files go.
    threshold:
        the least ψ; None takes all stored pairs.
    top:
        at most this many pairs per query; None takes all.
    image_path:
        as for `image_paths`.

    Raises
    ------
    InputError
        when a name contains white space, at which the readers of these files split lines.
    """
    if top is not None and top < 1:
        raise OptionError(f"top is {top}; at least one pair per query is needed")
    if threshold is not None:
        check_threshold(threshold, source.collection)
    stem = file_name(name)
    plain, scored = f"{stem}-pairs.txt", f"{stem}-pairs-scores.txt"
    folder.claim([plain, scored])
    c = source.collection
    query = image_paths(c.query, image_path, collection=name, side="query")
    database = image_paths(c.database, image_path, collection=name, side="database")
    for side, names in (("query", query), ("database", database)):
        for entry in names:
            if len(str(entry).split()) != 1 or str(entry) != str(entry).strip():
                raise InputError(
                    f"{name}: {side} {str(entry)!r} contains white space, where readers of pairs split lines; give "
                    "other names with image_path=…"
                )
    for file, with_score in ((plain, False), (scored, True)):
        with folder.file(file) as private, private.open("wb") as text:
            for piece in _lines(UsedPairs(source), query, database, threshold, top, with_score=with_score):
                text.write(piece)
    notes = [f"{name}: pairs that are not listed may be zero, below the limits, or unknown; the file cannot say which"]
    if threshold is not None:
        notes.append(f"{name}: only pairs with ψ ≥ {threshold:g} are listed")
    if top is not None:
        notes.append(f"{name}: only the best {top} pairs per query are listed")
    return notes


def _lines(
    source: SimilaritySource,
    query: npt.NDArray[np.str_],
    database: npt.NDArray[np.str_],
    threshold: float | None,
    top: int | None,
    *,
    with_score: bool,
) -> Iterator[memoryview]:
    first = pa.array([f"{entry} " for entry in query], pa.large_string())
    second = pa.array([f"{entry} " if with_score else str(entry) for entry in database], pa.large_string())
    for block in source.blocks():
        rows, columns, values = _best(block, threshold, top)
        yield from joined_lines(first, second, rows, columns, values if with_score else None)


def _best(
    block: RowBlock, threshold: float | None, top: int | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    rows = np.repeat(np.arange(block.first_row, block.first_row + len(block.counts)), block.counts)
    order = np.lexsort((-block.data, rows))  # stable, so that equal values keep the order of the database
    if top is not None:
        rank = np.arange(len(rows)) - np.repeat(np.cumsum(block.counts) - block.counts, block.counts)
        order = order[rank < top]
    if threshold is not None:
        order = order[block.data[order] >= np.float32(threshold)]
    return rows[order], block.indices[order], block.data[order]


def read_pairs(request: ImportRequest) -> ImportResult:
    """The labels of a text file with lines ``query database value``.

    Empty lines are skipped, and lines whose first word is a single #: a key may begin with #.

    Raises
    ------
    MissingFileError, InputError
        when there is no such file, or a line does not have three words, the third of them a number; the message names
        the line.
    """
    path = request.path
    check_regular(path)
    query, database = Numbering(), Numbering()
    rows, columns, values = array("i"), array("i"), array("d")
    try:
        for line, words in _records(path):
            if len(words) != 3:
                raise InputError(
                    f"{path}: line {line}: has {len(words)} word(s); expected query, database and value"
                    + (" (pairs without scores cannot be labels)" if len(words) == 2 else "")
                )
            try:
                values.append(float(words[2]))
            except ValueError:
                raise InputError(f"{path}: line {line}: {words[2]!r} is not a number") from None
            rows.append(query.number(words[0]))
            columns.append(database.number(words[1]))
    except FileNotFoundError:
        raise MissingFileError(f"{path}: does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from None

    def locate(entry: int) -> str:
        line = next(line for number, (line, _) in enumerate(_records(path)) if number == entry)
        return f"{path}: line {line}"

    names = (list(query.numbers), list(database.numbers))
    numbers = (np.array(rows, np.int32), np.array(columns, np.int32))
    return result_of_pairs(request, PairList(*numbers, np.array(values), *names, locate, {}))


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    with path.open(encoding="utf-8-sig") as text:
        for line, content in enumerate(text, 1):
            words = content.split()
            if words and words[0] != "#":
                yield line, words
