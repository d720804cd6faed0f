"""The search for the models that fit a sample best: from a coarse grid, first with few pairs, then with all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from relabel.cameras import FloatArray
from relabel.fit.models import (
    ARCS,
    EVERY_ARC,
    FINER_ARCS,
    FIT_MEASURES,
    Model,
    Solution,
    grid_starts,
    predicted,
    residuals,
    same_area_start,
    solve,
    spread,
)
from relabel.fit.published_pairs import SampledPairs, subsample

_FEW = 400  # pairs of the first search
_ROUGH = 1e-5  # its tolerance
_STARTS = 2  # points of the grid that are followed
_OWN_GRID = (0, 1)  # arcs that differ so much that the best parameters of one are no start for the other
_REFINED = (6, 16)  # least and largest number of models that are fitted to all pairs:
_NEARLY = 50.0  # those whose cost exceeds the best by at most this, or by half
_POOR = 2e-3  # deviation beyond which separate parameters for queries and database are tried
_MUCH_BETTER = 0.7
# Every number of segments is tried with the measures whose best model has at most this times the least rms, if that
# is so small that the labels distinguish one number from the next.
_COMES_CLOSE = 3.0
_TELLS_ARCS = 1e-3
_EXACT = 1.4  # times the rounding error of ψ in float32: no model can be better than that
# θ and r of the queries, and of the database, relative to the common ones
_TILTS = ((0.8, 0.9, 1.25, 1.1), (1.25, 1.1, 0.8, 0.9))


def same_everywhere(pairs: SampledPairs) -> bool:
    """Whether no camera has a field of view or range of its own, so that all views are alike."""
    return all(side.fov_deg is None and side.radius_m is None for side in (pairs.query, pairs.database))


def search(
    pairs: SampledPairs, models: Sequence[Model], *, sides: bool, progress: Callable[[int], object]
) -> list[Solution]:
    """The models with their best parameters; those that come close to the best are fitted to all pairs.

    Polygons are left out if their sector is far from the best.

    Parameters
    ----------
    pairs:
        the sample.
    models:
        the models to try; for every model with a polygon, also the same one with the sector.
    sides:
        also try models with separate parameters for queries and database, if the others are poor.
    progress:
        called with 1 for every model that is done.
    """
    few = subsample(pairs, _FEW)
    starts: dict[Model, list[FloatArray]] = {}
    for arc in _OWN_GRID:
        starts |= grid_starts(few, [model for model in models if model.arc == arc], arc, _STARTS)
    rough: dict[Model, Solution] = {}
    for model in sorted(models, key=lambda m: m.arc):  # the sectors first: polygons start from these
        progress(1)
        sector = rough.get(replace(model, arc=0))
        if sector is not None and model.arc > _OWN_GRID[-1] and sector.rms > _hopeless(rough):
            continue
        from_sector = [] if sector is None else [sector.x]
        rough[model] = _best_of(few, model, [*starts.get(model, []), *from_sector])
    if sides and spread(few, min(rough.values(), key=lambda s: s.rms).residual) > _POOR:
        rough |= _two_sided(few, rough)
    rough |= _every_arc(few, rough)
    return _refined(pairs, list(rough.values()))


def _hopeless(rough: dict[Model, Solution]) -> float:
    """The rms of a sector beyond which polygons similar to it, of three segments or more, cannot become the best."""
    return 2.0 * min(solution.rms for model, solution in rough.items() if model.arc == 0) + 0.01


def _best_of(pairs: SampledPairs, model: Model, starts: Sequence[FloatArray]) -> Solution:
    if model.arc:
        starts = [same_area_start(start, model.arc) for start in starts]
    solutions = [solve(pairs, model, start, tolerance=_ROUGH) for start in starts]
    return min(solutions, key=lambda s: s.cost(spread(pairs, s.residual)) if len(solutions) > 1 else 0.0)


def _two_sided(pairs: SampledPairs, rough: dict[Model, Solution]) -> dict[Model, Solution]:
    """Models with parameters for each side: the sector in all measures, and polygons in the best of them."""
    result: dict[Model, Solution] = {}
    begin = min((s for m, s in rough.items() if m.arc == 0 and not m.cut), key=lambda s: s.rms)
    starts = [np.tile(begin.x, 2) * tilt for tilt in _TILTS]
    for measure in FIT_MEASURES:
        model = Model(measure, sides=True)
        result[model] = _best_of(pairs, model, starts)
    best = min(result.values(), key=lambda s: s.rms)
    # Four parameters always fit a little better than two; polygons are worth trying if they fit much better.
    for arc in ARCS if best.rms < _MUCH_BETTER * begin.rms else ():
        model = replace(best.model, arc=arc)
        result[model] = _best_of(pairs, model, [best.x])
    return result


def _every_arc(pairs: SampledPairs, rough: dict[Model, Solution]) -> dict[Model, Solution]:
    """Polygons of every number of segments, in the measures that come close to the best.

    The residual is not a smooth function of their number: labels of 14 segments are nearer to 28 than to 15.
    """
    best = min(rough.values(), key=lambda s: s.rms)
    if best.rms > _TELLS_ARCS:
        return {}
    kinds: dict[Model, list[Solution]] = {}
    for model, solution in rough.items():
        kinds.setdefault(replace(model, arc=0), []).append(solution)
    result = {best.model: solve(pairs, best.model, best.x)}
    rounding = np.spacing(pairs.value[pairs.stored].astype(np.float32)) / math.sqrt(12.0)
    exact = _EXACT * math.sqrt(float(np.sum(rounding.astype(np.float64) ** 2)) / len(pairs))
    for kind, known in kinds.items():
        if min(solution.rms for solution in known) > _COMES_CLOSE * best.rms:
            continue
        if any(solution.rms <= exact for solution in result.values()):
            break
        result |= {model: _near(pairs, model, known) for arc in (0, *EVERY_ARC) if (model := replace(kind, arc=arc))}
        for arc in FINER_ARCS:
            if any(solution.rms <= exact for solution in result.values()):
                break
            result[replace(kind, arc=arc)] = _near(pairs, replace(kind, arc=arc), known)
    return result


def _near(pairs: SampledPairs, model: Model, known: Sequence[Solution]) -> Solution:
    """The best parameters of a polygon, from those of the sector or of the most similar one."""
    begin = min(known, key=lambda s: (s.model.arc > 0, abs(s.model.arc - model.arc)))
    start = same_area_start(begin.x, model.arc) if model.arc and not begin.model.arc else begin.x
    return solve(pairs, model, start)


def _refined(pairs: SampledPairs, rough: Sequence[Solution]) -> list[Solution]:
    whole = [replace(s, residual=residuals(pairs, predicted(pairs, s.model, s.x))) for s in rough]
    noise = spread(pairs, min(whole, key=lambda s: s.rms).residual)
    whole.sort(key=lambda s: s.cost(noise))
    limit = 1.5 * whole[0].cost(noise) + _NEARLY
    return [
        solve(pairs, s.model, s.x, scale=3.0 * noise) if rank < _REFINED[0 if s.cost(noise) > limit else 1] else s
        for rank, s in enumerate(whole)
    ]
