"""Models of published labels: a shape, a measure and the parameters of the fields of view, fitted to sampled pairs.

The parameters are x = (θ, r), for all cameras, or x = (θ, r of queries; θ, r of the database). If cameras have a
field of view or range of their own, it is used, and the parameter has no effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from relabel import fov
from relabel.cameras import FloatArray
from relabel.fit.published_pairs import SampledPairs
from relabel.jit import threads_set
from relabel.measures import similarity

FitMeasure = Literal["iou", "overlap", "overlap-database", "dice"]
FIT_MEASURES: tuple[FitMeasure, ...] = ("iou", "overlap", "overlap-database", "dice")
"""The measures of the format, and I/B, the share of the database camera's view, which some programs compute."""
ARCS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
"""Segments of polygons that are tried first; 0 stands for the sector."""
EVERY_ARC = range(1, 65)
"""Those that are tried if one of the first comes close."""
FINER_ARCS = range(65, 201)
"""Those that are tried if none of up to 64 explains the labels.

With more segments, ψ differs from that of a sector by less than the precision of float32."""

_GRID_FOV = (25.0, 40.0, 60.0, 75.0, 90.0, 110.0, 135.0, 180.0, 240.0, 320.0)
_GRID_RADIUS = np.geomspace(0.45, 3.0, 12)  # times the reach; two views of range r can overlap up to a distance of 2 r
_COARSE = 0.05  # residual from which a pair counts as an outlier while the parameters are far off
_FINEST = 1e-4  # the same at the end, lower limit
_MIN_FOV, _WIDEST = 0.5, 360.0
_ROUNDS = 3  # of a cut model: which pairs are beyond r depends on r


@dataclass(frozen=True)
class Model:
    """A way in which the labels may have been made.

    Attributes
    ----------
    measure:
        one of `FIT_MEASURES`.
    arc:
        segments of the polygon, or 0 for the sector.
    cut:
        pairs farther apart than r have 0, although views of range r can overlap up to a distance of 2 r.
    sides:
        queries and database cameras have a θ and r of their own.
    """

    measure: FitMeasure
    arc: int = 0
    cut: bool = False
    sides: bool = False

    @property
    def shape(self) -> fov.Shape:
        """``sector`` or ``polygon``."""
        return "polygon" if self.arc else "sector"


@dataclass(frozen=True, eq=False)
class Solution:
    """A model with its best parameters for some pairs.

    Attributes
    ----------
    model, x:
        the model and its parameters.
    residual:
        (m,) model minus label; for an absent pair, the excess of the model over `min_value`.
    sigma:
        one standard deviation of each of `x`, from the Jacobian; NaN if the parameter has no effect, or where it was
        not computed.
    """

    model: Model
    x: FloatArray
    residual: FloatArray
    sigma: FloatArray

    @property
    def rms(self) -> float:
        """Root mean square of the residual."""
        return math.sqrt(float(np.mean(self.residual**2)))

    def cost(self, scale: float) -> float:
        """Sum of squares in units of `scale`; residuals far above it count linearly, so that outliers do not decide."""
        return float(np.sum(2.0 * 9.0 * (np.sqrt(1.0 + (self.residual / (3.0 * scale)) ** 2) - 1.0)))


def areas(pairs: SampledPairs, arc: int, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Common area of each pair and the areas of both views, m²."""
    query, database = pairs.query, pairs.database
    if len(x) == 4:
        query, database = (
            replace(
                side,
                fov_deg=theta if side.fov_deg is None else side.fov_deg,
                radius_m=radius if side.radius_m is None else side.radius_m,
            )
            for side, theta, radius in ((query, x[0], x[1]), (database, x[2], x[3]))
        )
    overlap = fov.source(
        query,
        database,
        fov.FovParams(float(x[0]), float(x[1]), "polygon" if arc else "sector", arc or 1),
    )
    rows = np.arange(len(pairs))
    with threads_set(1):  # with so few pairs, threads wait for each other: five times slower on two busy cores
        common = overlap.areas(rows, rows)
    return common, overlap.collection.query_extent, overlap.collection.database_extent


def values(measure: FitMeasure, common: FloatArray, a: FloatArray, b: FloatArray) -> FloatArray:
    """ψ of each pair."""
    if measure == "overlap-database":
        return similarity(common, b, a, "overlap")
    return similarity(common, a, b, measure)


def beyond(pairs: SampledPairs, radius_m: float) -> npt.NDArray[np.bool_]:
    """Pairs farther apart than the range of the query; a model with a cut gives these 0."""
    own = pairs.query.radius_m
    result: npt.NDArray[np.bool_] = pairs.distance_m > (radius_m if own is None else own)
    return result


def residuals(pairs: SampledPairs, psi: FloatArray) -> FloatArray:
    """Model minus label; of an absent pair it is only known that ψ is at most `min_value`."""
    return np.where(pairs.stored, psi - pairs.value, np.maximum(psi - pairs.bound, 0.0))


def predicted(pairs: SampledPairs, model: Model, x: FloatArray) -> FloatArray:
    """ψ of each pair under the model."""
    psi = values(model.measure, *areas(pairs, model.arc, x))
    return np.where(beyond(pairs, x[1]), 0.0, psi) if model.cut else psi


def grid_starts(pairs: SampledPairs, models: Sequence[Model], arc: int, best: int) -> dict[Model, list[FloatArray]]:
    """For each model, the `best` points of a coarse grid over θ and r, with views of `arc` segments.

    The areas of a point serve all models.
    """
    costs: dict[Model, list[float]] = {model: [] for model in models}
    points = [
        np.array([theta, radius])
        for theta in _GRID_FOV
        if theta < _widest(arc)
        for radius in _GRID_RADIUS * pairs.reach_m
    ]
    for point in points:
        common = areas(pairs, arc, point)
        far = beyond(pairs, float(point[1]))
        for model, model_costs in costs.items():
            psi = values(model.measure, *common)
            residual = residuals(pairs, np.where(far, 0.0, psi) if model.cut else psi)
            model_costs.append(Solution(model, point, residual, residual).cost(_COARSE))
    return {
        model: [points[k] for k in np.argsort(model_costs, kind="stable")[:best]]
        for model, model_costs in costs.items()
    }


def solve(
    pairs: SampledPairs, model: Model, start: FloatArray, *, scale: float = _COARSE, tolerance: float = 1e-10
) -> Solution:
    """The model fitted to the pairs by least squares, from `start`.

    Residuals far above `scale` have little weight. The search ends when a step changes parameters or cost by a share
    of at most `tolerance`.
    """
    lower = np.tile([_MIN_FOV, 0.1 * pairs.reach_m], len(start) // 2)
    upper = np.tile([_widest(model.arc), 20.0 * pairs.reach_m], len(start) // 2)
    x = np.clip(start, lower * 1.001, upper * 0.999)
    units = np.tile([90.0, pairs.reach_m], len(start) // 2)
    sigma = np.full(len(x), np.nan)
    for _ in range(_ROUNDS if model.cut else 1):
        # Which pairs are beyond r is fixed within a round: a change would be a step that derivatives do not show.
        inside = pairs if not model.cut else pairs.take(np.flatnonzero(~beyond(pairs, x[1])))
        if not len(inside):
            break

        def difference(at: FloatArray, inside: SampledPairs = inside) -> FloatArray:
            return residuals(inside, values(model.measure, *areas(inside, model.arc, at)))

        optimum: Any = least_squares(
            difference,
            x,
            bounds=(lower, upper),
            x_scale=units,
            loss="soft_l1",
            f_scale=max(scale, _FINEST),
            xtol=tolerance,
            ftol=tolerance,
            gtol=1e-14,
            max_nfev=25,
        )
        moved = float(np.max(np.abs(optimum.x - x) / units))
        x, sigma = optimum.x, _sigma(optimum.jac, float(optimum.cost), len(inside))
        if moved < 10.0 * tolerance:
            break
    return Solution(model, x, residuals(pairs, predicted(pairs, model, x)), sigma)


def same_area_start(x: FloatArray, arc: int) -> FloatArray:
    """The parameters of polygons with the same area as sectors of the given parameters."""
    start = np.array(x, dtype=np.float64)
    for k in range(0, len(start), 2):
        start[k] = min(start[k], 0.99 * _widest(arc))
        step = math.radians(start[k]) / arc
        start[k + 1] *= math.sqrt(step / math.sin(step)) if step < 3.0 else 1.0
    return start


def spread(pairs: SampledPairs, residual: FloatArray) -> float:
    """The standard deviation of the residuals of stored pairs, from their median, so that outliers do not matter."""
    deviation = 1.4826 * float(np.median(np.abs(residual[pairs.stored])))
    return max(deviation, 1e-7)  # the precision of ψ in float32


def _widest(arc: int) -> float:
    """The widest field of view of a polygon: a segment has to be narrower than 180°."""
    return min(_WIDEST, 179.0 * arc) if arc else _WIDEST


def _sigma(jacobian: FloatArray, cost: float, count: int) -> FloatArray:
    freedom = max(1, count - jacobian.shape[1])
    matter = np.abs(jacobian).max(axis=0) > 0.0
    sigma = np.full(jacobian.shape[1], np.nan)
    normal = jacobian[:, matter].T @ jacobian[:, matter]
    sigma[matter] = np.sqrt(np.diag(np.linalg.pinv(normal)) * 2.0 * cost / freedom)
    return sigma
