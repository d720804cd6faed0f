"""Rows that are computed while those before are written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from relabel.labelfile import write
from relabel.pipeline.computed_ahead import ComputedAhead
from relabel.similarity import Collection, RowBlock
from tests.similarities import similarity


class Watched:
    """A source of empty rows that notes what it has computed, and fails at one of them."""

    def __init__(self, rows: int, fails_at: int | None = None) -> None:
        self.rows, self.fails_at = rows, fails_at
        self.begun = [threading.Event() for _ in range(rows)]
        self.closed = False

    @property
    def collection(self) -> Collection:
        return similarity().collection

    def blocks(self) -> Iterator[RowBlock]:
        try:
            for row in range(self.rows):
                self.begun[row].set()
                if row == self.fails_at:
                    raise ValueError(f"row {row}")
                yield RowBlock(row, np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
        finally:
            self.closed = True


class TestComputedAhead:
    """ComputedAhead"""

    def test_the_blocks_of_the_source(self) -> None:
        source = similarity(20, 30, seed=1)
        assert ComputedAhead(source).collection is source.collection
        for block, expected in zip(ComputedAhead(source).blocks(), source.blocks(), strict=True):
            for mine, its in zip(block, expected, strict=True):
                np.testing.assert_array_equal(mine, its)

    def test_one_is_computed_while_another_is_in_use(self) -> None:
        source = Watched(3)
        blocks = ComputedAhead(source).blocks()
        next(blocks)
        assert source.begun[1].wait(60)
        assert not source.begun[2].is_set()
        assert [block.first_row for block in blocks] == [1, 2]

    def test_an_error_comes_where_its_block_would(self) -> None:
        blocks = ComputedAhead(Watched(3, fails_at=1)).blocks()
        assert next(blocks).first_row == 0
        with pytest.raises(ValueError, match="row 1"):
            next(blocks)

    @pytest.mark.parametrize("wanted", [0, 1])
    def test_closed_early(self, wanted: int) -> None:
        """No thread is left, and the source is closed with it, even where no block was wanted."""
        source = Watched(9)
        blocks = ComputedAhead(source).blocks()
        assert len(list(islice(blocks, wanted))) == wanted
        blocks.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("relabel-rows")]
        del blocks
        assert source.closed

    @pytest.mark.parametrize("name", ["a.h5", "a.labels"])
    def test_closed_by_a_writer_that_fails(self, name: str, tmp_path: Path) -> None:
        """Nothing is still being computed when the error arrives, although its traceback keeps the writer alive."""

        def fail(_rows: int) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError) as kept:
            write(tmp_path / name, {"a": ComputedAhead(similarity(20, 30, seed=1))}, progress=fail)
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("relabel-rows")], kept
