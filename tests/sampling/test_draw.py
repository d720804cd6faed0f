"""The kernels: random numbers against NumPy's, absent cameras against a list of them."""

from __future__ import annotations

import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relabel.sampling import _draw
from relabel.sampling.pair_table import PairTable
from tests.conftest import REPOSITORY
from tests.sampling.dense import band_matrix
from tests.similarities import similarity

words = st.integers(0, 2**64 - 1)


@pytest.mark.kernels
class TestPhilox:
    @given(st.tuples(words, words), st.tuples(words, words, words))
    @settings(max_examples=200)
    def test_is_numpys(self, key, counter):
        """For any key and counter, the four words are those that NumPy's Philox gives there."""
        number = counter[0] + (counter[1] << 64) + (counter[2] << 128)
        # NumPy counts up before it draws.
        peer = np.random.Philox(key=key[0] + (key[1] << 64), counter=(number - 1) % 2**256).random_raw(4)
        with np.errstate(over="ignore"):
            words = _draw.philox(tuple(map(np.uint64, key)), *map(np.uint64, counter))
        assert [int(word) for word in words] == [int(word) for word in peer]


@pytest.mark.kernels
class TestPairs:
    @pytest.mark.parametrize("self_pairs", [False, True])
    @pytest.mark.parametrize("density", [0.0, 0.3, 1.0])
    def test_every_rank_of_every_band_is_a_pair_of_it(self, self_pairs, density):
        """Going through all ranks of a row's band gives each of its cameras once, and no other."""
        psi = similarity(9, 11, density=density, self_pairs=self_pairs, seed=3)
        bands = band_matrix(psi)
        pairs = PairTable(psi)
        sizes = pairs.sizes()
        for row in range(psi.shape[0]):
            for band in range(3):
                n = int(sizes[band, row])
                assert n == (bands[row] == band).sum()
                # The word whose upper half of the product with n is the rank.
                ranked = [self.partner(pairs, row, band, (rank * 2**64 + n - 1) // n) for rank in range(n)]
                assert sorted(ranked) == np.flatnonzero(bands[row] == band).tolist()

    @staticmethod
    def partner(pairs: PairTable, row: int, band: int, word: int) -> int:
        """Through the compiled function where there is one."""
        with np.errstate(over="ignore"):
            return int(pairs.table.database[_partner_of(pairs.table, row, band, np.uint64(word))])


@numba.njit  # uncached, since numba's cache would not notice a change of what is called
def _partner_of(table, row, band, word):
    return _draw._partner(table, row, band, word)[0]


class TestWithoutJit:
    def test_draws_are_the_same(self):
        """The plain Python of the kernels gives the pairs and batches that the compiled code gives."""
        code = (
            "from tests.similarities import similarity\n"
            "from relabel.training import GradedBatchSampler, GradedPairSampler\n"
            "psi = [similarity(12, 15, seed=4), similarity(11, seed=5, self_pairs=True)]\n"
            "for s in (GradedPairSampler(psi, seed=7), GradedPairSampler(psi, order='query', bands=(.1, .2, .7)),\n"
            "          GradedPairSampler(psi, hard_negatives_m=(10, 80)), GradedBatchSampler(psi, 6)):\n"
            "    print(list(s))\n"
        )
        printed = [
            subprocess.run(
                [sys.executable, "-W", "error", "-c", code],
                env=os.environ | {"NUMBA_DISABLE_JIT": off, "PYTHONPATH": str(REPOSITORY)},
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for off in ("0", "1")
        ]
        assert printed[0] == printed[1] != ""
