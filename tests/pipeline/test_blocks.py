"""relabel.pipeline.blocks: where collections are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.errors import OptionError
from relabel.pipeline.blocks import block_ends


def keys(*numbers: int) -> np.ndarray:
    return np.array([f"image-{n}" for n in numbers], np.str_)


class TestBlockEnds:
    """relabel.pipeline.blocks.block_ends"""

    @given(n=st.integers(0, 400), average=st.integers(1, 50))
    def test_sizes(self, n: int, average: int) -> None:
        """Every row is in one block; only the last may be small, and none is large."""
        ends = block_ends(keys(*range(n)), average)
        sizes = np.diff([0, *ends])
        assert sum(sizes) == n
        assert (sizes >= 1).all()
        assert (sizes <= 4 * average).all()
        assert (sizes[:-1] >= average // 4).all()

    def test_average(self) -> None:
        """Blocks are about as large as asked for."""
        ends = block_ends(keys(*range(20_000)), 100)
        assert 70 < 20_000 / len(ends) < 130

    @given(n=st.integers(200, 400), at=st.integers(0, 199), count=st.integers(1, 30))
    def test_more_in_the_middle(self, n: int, at: int, count: int) -> None:
        """Blocks well before and well after new rows end at the same keys."""
        before = keys(*range(n))
        after = np.concatenate([before[:at], keys(*range(1000, 1000 + count)), before[at:]])
        old = {before[end - 1] for end in block_ends(before, 8)}
        new = {after[end - 1] for end in block_ends(after, 8)}
        far = {*before[: max(at - 32, 0)], *before[at + 160 :]}
        assert old & far == new & far

    def test_width_of_the_array(self) -> None:
        """A longer key elsewhere changes nothing."""
        some = keys(*range(300))
        wide = np.append(some, "x" * 90)
        assert block_ends(wide, 10)[:-2] == block_ends(some, 10)[: len(block_ends(wide, 10)) - 2]

    def test_no_rows_asked_for(self) -> None:
        """A block of nothing is refused."""
        with pytest.raises(OptionError, match="block_rows is 0"):
            block_ends(keys(1), 0)
