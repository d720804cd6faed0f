"""The plan of a sampler: which queries each band is drawn from, and with what probabilities, for all collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from relabel.errors import InputError, OptionError
from relabel.sampling import bands as band
from relabel.sampling._draw import DrawPlan, IntArray
from relabel.sampling.bands import BandSchedule, Shares
from relabel.sampling.pair_table import PairTable

Order = Literal["pair", "query"]
Weights = Sequence[float] | Mapping[str, float] | None
FloatArray = npt.NDArray[np.float64]


class SamplingPlan(NamedTuple):
    """What the kernels draw by, and the counts behind it."""

    draw_plan: DrawPlan
    schedule: BandSchedule
    having: IntArray
    """(3, collections) queries that have a pair of the band"""
    pairs: IntArray
    """(3, collections) pairs of the band"""
    usable: IntArray
    """(collections,) queries that have a pair of any band that is drawn"""
    chances: FloatArray
    """(collections,) relative probability of each collection, which is drawn before band and query"""


def sampling_plan(
    pairs: PairTable, shares: Shares, order: Order, weights: Weights, hard_negatives_m: tuple[float, float] | None
) -> SamplingPlan:
    """The plan of a sampler.

    With order ``pair``, a band b is drawn with its share p_b, then a collection c with a probability proportional to
    its weight, then uniformly one of its queries that have such a pair, L_cb. Without weights, all queries that have
    such a pair are equally likely, whatever their collection.

    With order ``query``, the query is drawn first, then a band, and a query without a pair of that band is skipped.
    The result is again a band, with a probability proportional to p_b Σ_c w_c |L_cb| / Q_c, where Q_c is the number
    of ok queries of a collection and w_c its weight, and then uniformly one of L_cb; so it is drawn in this way,
    without rejection.

    Raises
    ------
    OptionError
        when the order is not known, or the weights do not fit the collections.
    InputError
        when a band that is to be drawn is empty.
    """
    if order not in get_args(Order):
        raise OptionError(f"order is {order!r}; choose {' or '.join(get_args(Order))}")
    weight = _checked_weights(weights, pairs.names)
    starts = pairs.query_start
    count = len(pairs.names)
    sizes = pairs.sizes()
    drawn = np.ones(count, bool) if weight is None else weight > 0.0
    has = sizes > 0
    having = np.array([[np.count_nonzero(has[b, starts[c] : starts[c + 1]]) for c in range(count)] for b in range(3)])
    totals = np.array([[int(sizes[b, starts[c] : starts[c + 1]].sum()) for c in range(count)] for b in range(3)])
    _check_bands(pairs, shares, having * drawn, hard_negatives_m)
    ok = np.array([np.count_nonzero(pairs.query_ok[starts[c] : starts[c + 1]]) for c in range(count)])
    chances = having.astype(np.float64)
    if weight is not None:
        chances = weight / np.maximum(ok, 1) * having if order == "query" else weight * (having > 0)
    schedule = band.schedule(shares, exact=order == "pair")
    if order == "query":
        chance = np.array(shares) * chances.sum(axis=1)
        chance /= chance.sum()
        schedule = band.schedule((float(chance[0]), float(chance[1]), float(chance[2])), exact=False)
    any_band = np.asarray(has[np.flatnonzero(shares)].any(axis=0))
    usable = np.array([np.count_nonzero(any_band[starts[c] : starts[c + 1]]) for c in range(count)]) * drawn
    plan = DrawPlan(
        counts=schedule.counts,
        limits=schedule.limits,
        queries=np.concatenate([np.flatnonzero(has[b]) for b in range(3)]).astype(np.int32),
        starts=_group_starts(having),
        group_limits=np.stack([cumulated(row) for row in chances]),
    )
    by_collection = usable.astype(np.float64) if weight is None else weight * (usable > 0)
    return SamplingPlan(plan, schedule, having, totals, usable, by_collection / by_collection.sum())


def cumulated(chances: FloatArray) -> FloatArray:
    """Cumulative probabilities in proportion to the given numbers; exactly 1 from the last number above zero on."""
    total = chances.sum()
    if total <= 0.0:
        return np.ones(len(chances))
    ends: FloatArray = np.cumsum(chances) / total
    ends[np.flatnonzero(chances)[-1] :] = 1.0
    return ends


def plain_weights(weights: Weights) -> dict[str, float] | list[float] | None:
    """The weights as JSON values."""
    if weights is None:
        return None
    if isinstance(weights, Mapping):
        return {str(name): float(weight) for name, weight in weights.items()}
    return [float(weight) for weight in weights]


def _group_starts(having: IntArray) -> IntArray:
    """(3, collections + 1) where each collection starts in the queries of each band, which are all in one array."""
    ends = np.cumsum(having.ravel()).reshape(having.shape)
    first = np.concatenate((np.zeros(1, np.int64), ends[:-1, -1]))
    starts: IntArray = np.column_stack((first, ends))
    return starts


def _checked_weights(weights: Weights, names: list[str]) -> FloatArray | None:
    if weights is None:
        return None
    if isinstance(weights, Mapping):
        odd = sorted(set(weights) ^ set(names))
        if odd:
            raise OptionError(f"weights does not match the collections ({', '.join(names)}): {', '.join(odd)}")
        weights = [weights[name] for name in names]
    try:
        weight = np.array([float(w) for w in weights])
    except (TypeError, ValueError):
        raise OptionError(f"weights is {weights!r}; it has to be one number per collection") from None
    if len(weight) != len(names):
        raise OptionError(f"there are {len(weight)} weights for {len(names)} collection(s): {', '.join(names)}")
    if not np.isfinite(weight).all() or (weight < 0.0).any() or not weight.any():
        raise OptionError(f"weights is {weight.tolist()}; they have to be finite, not negative, and not all zero")
    return weight


def _check_bands(
    pairs: PairTable, shares: Shares, having: IntArray, hard_negatives_m: tuple[float, float] | None
) -> None:
    there = having.sum(axis=1) > 0
    wanted = np.array(shares) > 0.0
    if not (wanted & ~there).any():
        return
    empty = int(np.flatnonzero(wanted & ~there)[0])
    more = len(pairs.addresses) - 3
    where = ", ".join(pairs.addresses[:3]) + (f" and {more} more" if more > 0 else "")
    rules = [rule for rule in dict.fromkeys(pairs.rules) if rule]
    once = f", once {' and '.join(rules)} are excluded" if rules and pairs.lost()[empty].any() else ""
    what = f"{where}: no query has a pair with {band.SYMBOLS[empty]}{once}"
    if empty == band.ZERO and hard_negatives_m is not None:
        raise InputError(
            f"{what} at {hard_negatives_m[0]:g} to {hard_negatives_m[1]:g} m; widen hard_negatives_m, or omit it"
        )
    left = np.where(there, shares, 0.0)
    if left.any():
        raise InputError(
            f"{what}, but bands wants a share of {shares[empty]:.0%}; without it: bands={band.spelled(left.tolist())}"
        )
    if there.any():
        others = " and ".join(symbol for symbol, some in zip(band.SYMBOLS, there, strict=True) if some)
        raise InputError(f"{what}; there are pairs with {others}: bands={band.spelled(there.astype(float).tolist())}")
    raise InputError(f"{what}, nor any other pair of ok cameras; `relabel stats` shows what the file holds")
