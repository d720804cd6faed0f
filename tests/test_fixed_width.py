"""Texts in arrays of one width: one long text among many is refused, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel import fixed_width
from relabel.cameras import Cameras
from relabel.errors import InputError
from relabel.fixed_width import check_lengths, joined, text_array

LONG = "k" * 20_000


class TestTextArray:
    """`text_array` and `joined`."""

    @given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=30), max_size=20))
    def test_texts_stay(self, texts: list[str]) -> None:
        """All texts come back, in one array and in pieces."""
        assert text_array(texts).tolist() == texts
        pieces = [np.array(texts[:5], np.str_), np.array(texts[5:], np.str_)]
        assert joined(pieces).tolist() == texts

    def test_one_long_text_is_refused(self) -> None:
        """20,000 letters among 50,000 rows would take 50,000 · 20,000 · 4 bytes; the row is named."""
        texts = [*(f"k{i}" for i in range(49_999)), LONG]
        with pytest.raises(InputError, match=r"row 49999 .* 20,000 characters .* 50,000 .* 4\.0 GB; shorten it"):
            text_array(texts)
        with pytest.raises(InputError, match=r"row 49999 .* 20,000 characters"):
            joined([np.array(texts[:-1]), np.array([LONG])])
        with pytest.raises(InputError, match="row 49999"):
            Cameras(texts, np.zeros((50_000, 2)), heading_deg=np.zeros(50_000))

    def test_long_texts_among_few(self) -> None:
        """A long text in a small table is none of its business, nor are many that are all long."""
        assert text_array([LONG, "a"]).tolist() == [LONG, "a"]
        check_lengths(np.full(50_000, 20_000))

    def test_the_rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Refused is what takes more than the least memory, and more than 16 times its texts alone."""
        monkeypatch.setattr(fixed_width, "MOST_BYTES", 4 * 1700 - 1)
        lengths = np.ones(100, np.int64)
        lengths[3] = 17  # 1,700 letters for 116, 14.7 times as many
        check_lengths(lengths)
        lengths[3] = 20  # 2,000 letters for 119, 16.8 times as many
        with pytest.raises(InputError, match="row 3 "):
            check_lengths(lengths)
        monkeypatch.setattr(fixed_width, "MOST_BYTES", 4 * 2000)
        check_lengths(lengths)
