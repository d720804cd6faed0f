"""The three bands of ψ that training pairs are drawn from, and how many of each a run of pairs has.

Positive is ψ ≥ 0.5, partial is ψ between the collection's `min_value` and 0.5, and zero is a pair of two ok cameras
that is not stored. Stored values are float32, and so is the edge: exactly 0.5 is positive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.errors import OptionError
from relabel.exclusion import BANDS

POSITIVE, PARTIAL, ZERO = range(3)
NAMES = BANDS
SYMBOLS = ("ψ ≥ 0.5", "0 < ψ < 0.5", "ψ = 0")
EDGE = np.float32(0.5)

_LONGEST = 64  # pairs in a round; shares that need a longer one are drawn at random
_ROUNDING = 1e-6

Shares = tuple[float, float, float]


class BandSchedule(NamedTuple):
    """The order in which bands are drawn.

    Where `counts` are not zero, every `round` pairs have exactly that many of each band, in random order. Otherwise
    each pair's band is drawn at random, independently of all others, and `round` is 1.
    """

    shares: Shares
    """the share of each band in the long run"""
    counts: npt.NDArray[np.int64]
    """(3,) pairs of each band in a round"""
    round: int

    @property
    def limits(self) -> npt.NDArray[np.float64]:
        """(3,) cumulative shares; exactly 1 from the last band that is drawn."""
        limits: npt.NDArray[np.float64] = np.cumsum(self.shares)
        limits[np.flatnonzero(self.shares)[-1] :] = 1.0
        return limits


def checked(bands: Sequence[float]) -> Shares:
    """The shares of the three bands as floats that sum to 1.

    Raises
    ------
    OptionError
        if there are not three, one is negative or not finite, or they do not sum to 1.
    """
    try:
        shares = [float(share) for share in bands]
    except (TypeError, ValueError):
        raise OptionError(f"bands is {bands!r}; it has to be three shares, such as (0.5, 0.25, 0.25)") from None
    if len(shares) != 3 or not all(math.isfinite(share) and share >= 0.0 for share in shares):
        raise OptionError(
            f"bands is {bands!r}; it has to be three shares, those of {', '.join(SYMBOLS)}, none of them negative"
        )
    total = sum(shares)
    if abs(total - 1.0) > _ROUNDING:
        hint = f"; in these proportions: {spelled(shares)}" if total > 0.0 else ""
        raise OptionError(f"bands is {tuple(shares)}, which sums to {total:g}; shares sum to 1{hint}")
    return shares[0] / total, shares[1] / total, shares[2] / total


def spelled(shares: Sequence[float]) -> str:
    """Shares scaled to a sum of 1, as an argument that can be typed again; thirds stay thirds."""
    total = sum(shares)
    parts = [Fraction(share / total).limit_denominator(_LONGEST) for share in shares]
    if sum(parts) == 1 and all(abs(float(p) - s / total) < _ROUNDING for p, s in zip(parts, shares, strict=True)):
        texts = [f"{float(p):g}" if Fraction(f"{float(p):g}") == p else str(p) for p in parts]
    else:
        texts = [f"{share / total:.6g}" for share in shares]
    return f"({', '.join(texts)})"


def schedule(shares: Shares, *, exact: bool) -> BandSchedule:
    """The shortest round with exactly these shares; random draws if none of up to 64 pairs has, or not `exact`."""
    parts = [Fraction(share).limit_denominator(_LONGEST) for share in shares]
    length = math.lcm(*(part.denominator for part in parts))
    near = all(abs(float(part) - share) < _ROUNDING for part, share in zip(parts, shares, strict=True))
    if exact and near and sum(parts) == 1 and length <= _LONGEST:
        return BandSchedule(shares, np.array([int(part * length) for part in parts], np.int64), length)
    return BandSchedule(shares, np.zeros(3, np.int64), 1)
