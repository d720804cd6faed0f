"""Pairs as text against the csv and json modules and a loop."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.errors import OptionError
from relabel.exchange.text import Layout, pairs_as_text
from relabel.similarity import Similarity
from tests.similarities import similarity

Triple = tuple[str, str, np.float32]


def expected(psi: Similarity) -> list[Triple]:
    """All pairs by a loop over the matrix."""
    c, m = psi.collection, psi.matrix
    return [
        (str(c.query.key[i]), str(c.database.key[m.indices[k]]), m.data[k])
        for i in range(m.shape[0])
        for k in range(m.indptr[i], m.indptr[i + 1])
    ]


def parsed(psi: Similarity, layout: Layout) -> list[Triple]:
    """All pairs as the standard library reads the text."""
    text = b"".join(pairs_as_text(psi, layout)).decode()
    if layout == "json":
        records = [json.loads(line) for line in text.split("\n")[:-1]]
        return [(r["query"], r["database"], np.float32(r["value"])) for r in records]
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter="," if layout == "csv" else "\t"))
    assert rows[0] == ["query", "database", "value"]
    return [(q, d, np.float32(v)) for q, d, v in rows[1:]]


def renamed(psi: Similarity, keys: list[str]) -> Similarity:
    c = psi.collection
    n = len(c.query)
    query, database = (
        replace(c.query, key=np.array(keys[:n])),
        replace(c.database, key=np.array(keys[n : n + len(c.database)])),
    )
    return Similarity(replace(c, query=query, database=database), psi.matrix)


class TestPairsAsText:
    """relabel.exchange.text.pairs_as_text"""

    @pytest.mark.parametrize("layout", ["csv", "tsv", "json"])
    def test_reads_back_bit_for_bit(self, layout: Layout) -> None:
        """The text parses to exactly the stored float32 values, in the order of the file."""
        psi = similarity(30, 40, seed=2)
        assert parsed(psi, layout) == expected(psi)

    @settings(max_examples=40)
    @given(
        st.lists(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
            min_size=9,
            max_size=9,
            unique=True,
        ),
        st.sampled_from(["csv", "tsv", "json"]),
    )
    def test_any_key(self, keys: list[str], layout: Layout) -> None:
        """Commas, quotes, tabs, line ends and letters of any script in a key survive."""
        psi = renamed(similarity(4, 5, seed=1, density=0.9, faults=False), keys)
        assert parsed(psi, layout) == expected(psi)

    @given(st.lists(st.floats(2.0**-19, 1.0, width=32), min_size=12, max_size=12))
    def test_shortest_digits(self, values: list[float]) -> None:
        """No value has more significant digits than numpy's shortest representation of it."""
        psi = similarity(3, 4, density=1.1, faults=False)
        psi.matrix.data[:] = values
        lines = b"".join(pairs_as_text(psi)).decode().splitlines()[1:]
        for line, value in zip(lines, psi.matrix.data, strict=True):
            text = line.rsplit(",", 1)[1]
            assert np.float32(text) == value
            digits = text.split("e")[0].replace(".", "").strip("0")
            shortest = np.format_float_scientific(value, trim="-").split("e")[0].replace(".", "").strip("0")
            assert len(digits) <= len(shortest)

    def test_comes_in_pieces(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Memory does not grow with the pairs: a large block is written in pieces that join to the same text."""
        psi = similarity(30, 40, seed=2)
        whole = b"".join(pairs_as_text(psi))
        monkeypatch.setattr("relabel.exchange.text._PAIRS_AT_ONCE", 7)
        pieces = list(pairs_as_text(psi))
        assert len(pieces) == 1 + -(-psi.matrix.nnz // 7)
        assert b"".join(pieces) == whole

    def test_nothing_stored(self) -> None:
        """Without pairs there is only the line of names, and with JSON nothing."""
        assert b"".join(pairs_as_text(similarity(3, 3, density=0.0))) == b"query,database,value\n"
        assert b"".join(pairs_as_text(similarity(0, 0), "json")) == b""

    def test_unknown_layout(self) -> None:
        """A layout that is not there is refused, naming those that are."""
        with pytest.raises(OptionError, match="csv, tsv, json"):
            list(pairs_as_text(similarity(), "xml"))  # type: ignore[arg-type]
