"""Shares of the bands and the rounds that have them exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relabel.errors import OptionError
from relabel.sampling import bands


class TestChecked:
    def test_shares_come_out_as_floats_that_sum_to_one(self):
        """Rounding of thirds is taken up."""
        assert bands.checked([1, 0, 0]) == (1.0, 0.0, 0.0)
        assert sum(bands.checked((0.3333333, 0.3333333, 0.3333333))) == pytest.approx(1.0, abs=1e-15)

    @pytest.mark.parametrize(
        "wrong", [(0.5, 0.5), (0.5, 0.25, 0.25, 0.0), (1.5, -0.5, 0.0), (np.nan, 0.5, 0.5), "abc", 0.5, None]
    )
    def test_not_three_shares(self, wrong):
        """Anything but three numbers from 0 is refused, and named."""
        with pytest.raises(OptionError, match="three shares"):
            bands.checked(wrong)

    def test_wrong_sum_tells_the_right_shares(self):
        """Counts are not shares, but the message says which shares they make."""
        with pytest.raises(OptionError, match=r"sums to 4.*\(0\.5, 0\.25, 0\.25\)"):
            bands.checked((2, 1, 1))
        with pytest.raises(OptionError, match=r"sums to 0; shares sum to 1$"):
            bands.checked((0, 0, 0))


class TestSpelled:
    @given(st.lists(st.integers(0, 20), min_size=3, max_size=3).filter(any))
    def test_can_be_typed_again(self, parts):
        """What it says is, as Python, what was meant."""
        again = bands.checked(eval(bands.spelled(parts)))  # its own output
        assert again == pytest.approx([part / sum(parts) for part in parts], abs=1e-6)

    def test_thirds_are_fractions(self):
        """Decimal numbers where they are exact."""
        assert bands.spelled([1, 2, 0]) == "(1/3, 2/3, 0)"
        assert bands.spelled([3, 13, 0]) == "(0.1875, 0.8125, 0)"
        assert bands.spelled([1, 3, 0]) == "(0.25, 0.75, 0)"


class TestSchedule:
    @pytest.mark.parametrize(
        ("shares", "counts"),
        [
            ((0.5, 0.25, 0.25), [2, 1, 1]),
            ((1.0, 0.0, 0.0), [1, 0, 0]),
            ((1 / 3, 1 / 3, 1 / 3), [1, 1, 1]),
            ((0.4, 0.35, 0.25), [8, 7, 5]),
        ],
    )
    def test_shortest_round(self, shares, counts):
        """Worked by hand."""
        schedule = bands.schedule(shares, exact=True)
        assert schedule.counts.tolist() == counts
        assert schedule.round == sum(counts)

    @pytest.mark.parametrize("shares", [(0.123, 0.456, 0.421), (0.999, 0.0005, 0.0005)])
    def test_chance_where_no_short_round_has_them(self, shares):
        """Rounds of up to 64 pairs."""
        schedule = bands.schedule(shares, exact=True)
        assert (schedule.counts.tolist(), schedule.round) == ([0, 0, 0], 1)
        assert schedule.limits[-1] == 1.0

    @given(st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3).filter(lambda x: sum(x) > 1e-3))
    def test_rounds_have_the_shares_and_limits_end_at_one(self, parts):
        """Whatever the shares; a band without a share is behind no limit."""
        shares = bands.checked([part / sum(parts) for part in parts])
        schedule = bands.schedule(shares, exact=True)
        if schedule.counts.any():
            assert schedule.counts / schedule.round == pytest.approx(shares, abs=1e-6)
        last = max(i for i, share in enumerate(shares) if share)
        assert (schedule.limits[last:] == 1.0).all()
        assert (np.diff(schedule.limits) >= 0.0).all()
