"""Expected overlap: ψ of a pair, averaged over the possible true headings and positions of its cameras.

Noise is Gaussian and independent: of each camera's heading, and of its position along either axis. ψ of a pair depends
on four such numbers, the two headings and the displacement of one camera against the other, so that its mean is an
integral over four dimensions. It is computed by a cubature: the centre, and seven orbits of four nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError, OptionError
from relabel.fov import _expected
from relabel.fov._polygon import polygon_areas
from relabel.fov._sector import sector_areas
from relabel.fov.params import MAX_HEADING_SIGMA_DEG, MAX_RADIUS_M, FovParams
from relabel.fov.views import Polygons, Views, views
from relabel.geometry.headings import compass_to_math
from relabel.measures import MEASURES, Measure

PAIRS_AT_ONCE, FEWEST_AT_ONCE = 2**16, 2**12  # few enough for the cache, many enough that calls do not matter
NOT_SHIFTED: FloatArray = np.empty((2, 0))
IndexArray = npt.NDArray[np.int64]

# The nodes. A point is half the difference and half the sum of the two headings' noises, and the displacement of the
# cameras against each other along and across (to the left of) the mean heading, all four as standard normal deviates.
# Its orbit is its images when the cameras change places, and in a mirror along the mean heading. What is left of 1 is
# the weight of the centre.
#
# They are fitted, not derived: benchmarks/cubature.py is the recipe, and tells how far off they are. With noise up to a
# ninth of the field of view and a tenth of the range, 10° and 5 m for the defaults, the mean error is 3e-4, 99 % of all
# pairs are within 2.1e-3, and the largest of 2,600 was 6e-3; with half of that noise 1.2e-4, 9e-4 and 1.6e-3; with
# twice as much 1e-3, 5e-3 and 1e-2. On the same task a product of Gauss-Hermite rules of 135 nodes is off by up to
# 0.03, and 256 points of a Sobol sequence by as much as these.
POINTS = np.array(
    [
        [0.79317589, -1.52716404, -0.59898679, -1.64758113],
        [-2.07961784, 0.85162378, 1.06892006, -0.41316299],
        [-0.19439534, -0.61887441, -0.39571990, -0.26234277],
        [0.66886292, -0.04846726, 1.22946562, 2.29999908],
        [0.72831813, -1.19162211, -0.17029809, 0.82322716],
        [-0.24660450, 1.24687568, -1.83592885, -0.51694883],
        [-1.27669545, 0.47249128, 0.78409164, 0.72409162],
    ]
)
WEIGHTS = np.array([0.02983105, 0.02760640, 0.04881924, 0.02034935, 0.03804739, 0.03826574, 0.04528350])

LONGEST_TURN = float(np.abs(POINTS[:, :2]).sum(axis=1).max()) / math.sqrt(2.0)
"""The largest turn of a camera by a node, in standard deviations of its heading."""
LONGEST_SHIFT = float(np.hypot(POINTS[:, 2], POINTS[:, 3]).max())
"""The largest displacement of two cameras against each other by a node, in standard deviations of the displacement."""

HEADING_SIGMA, POSITION_SIGMA = "heading_sigma_deg", "position_sigma_m"
"""The columns of `Cameras.extra` that hold a camera's own standard deviations, and the names in `params`."""


@dataclass(frozen=True, eq=False)
class Sigmas:
    """Standard deviations of one side: (n,) of headings in degrees, and of positions along either axis in metres."""

    heading_deg: FloatArray
    position_m: FloatArray

    @property
    def any(self) -> bool:
        """Whether there is noise at all."""
        return bool(self.heading_deg.any() or self.position_m.any())


def sigmas_of(cameras: Cameras, params: FovParams) -> Sigmas:
    """The noise of each camera: its own if `extra` has a finite number, else that of `params`; 0 if it is not OK.

    Raises
    ------
    OptionError
        when a camera's own standard deviation is negative or too large; the message names the camera.
    InputError
        when the own value of an OK camera is NaN and no default is given, or a column is not numeric.
    """
    return Sigmas(
        _column(cameras, HEADING_SIGMA, params.heading_sigma_deg, MAX_HEADING_SIGMA_DEG, "°", "heading_sigma_deg=…"),
        _column(cameras, POSITION_SIGMA, params.position_sigma_m, MAX_RADIUS_M, " m", "position_sigma_m=…"),
    )


def _column(cameras: Cameras, name: str, default: float, most: float, unit: str, option: str) -> FloatArray:
    own = cameras.extra.get(name)
    if own is None:
        return np.where(cameras.ok, float(default), 0.0)
    try:
        values = own.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the column {name} is not numeric; give numbers{unit and f' in{unit}'}") from None
    unknown = cameras.ok & np.isnan(values)
    if default > 0.0:
        values = np.where(unknown, float(default), values)
    for bad, problem in (
        (cameras.ok & np.isnan(values), f"no {name}; give one, or {option} for all that have none"),
        (cameras.ok & ~((values >= 0.0) & (values <= most)), f"{name} outside 0{unit} to {most:g}{unit}"),
    ):
        rows = np.flatnonzero(bad)
        if rows.size:
            row = int(rows[0])
            kind = InputError if np.isnan(values[row]) else OptionError
            raise kind(
                f"camera {str(cameras.key[row])!r} (row {row}, counted from 0) has {problem}; this affects "
                f"{rows.size} camera(s)"
            )
    return np.where(cameras.ok, values, 0.0)


def label_params(cameras: tuple[Cameras, Cameras], own: list[Sigmas], params: FovParams) -> dict[str, float | str]:
    """The `params` of labels about the noise, without those that are 0: a number, or ``per camera``.

    A number is for the cameras that have none of their own, possibly only on one side.
    """
    stated: dict[str, float | str] = {}
    for name, columns in (
        (HEADING_SIGMA, [side.heading_deg for side in own]),
        (POSITION_SIGMA, [side.position_m for side in own]),
    ):
        if not any(column.any() for column in columns):
            continue
        whole = all(
            name in side.extra and not np.isnan(side.extra[name].astype(np.float64)[side.ok]).any() for side in cameras
        )
        stated[name] = "per camera" if whole else getattr(params, name)
    return stated


@dataclass(frozen=True, eq=False)
class NoisyViews:
    """The noisy cameras of one side, in the form that the kernels need.

    Attributes
    ----------
    frame:
        (n, 6) apex, radius of the circle around the field of view, unit vector of the heading, and standard deviation
        of the position along either axis; metres.
    centre:
        (n, 2) centre of that circle relative to the apex.
    heading, level:
        (levels,) distinct standard deviations of headings, radians, and (n,) which of them each camera has, so that
        few sines and cosines are computed.
    area:
        (n,) m².
    parts:
        of `Views`.
    polygons:
        if the fields of view are polygons.
    """

    frame: FloatArray
    centre: FloatArray
    heading: FloatArray
    level: IndexArray
    area: FloatArray
    parts: FloatArray
    polygons: Polygons | None

    def take(self, rows: IndexArray) -> NoisyViews:
        """The cameras of these rows."""
        polygons = self.polygons
        if polygons is not None:
            polygons = Polygons(polygons.apex[rows], polygons.fan[rows], polygons.piece[rows], polygons.area[rows])
        parts = np.ascontiguousarray(self.parts[:, rows])
        heading, level = self.heading, self.level[rows]
        if len(heading) > len(rows):
            heading, level = heading[level], np.arange(len(rows))
        return NoisyViews(self.frame[rows], self.centre[rows], heading, level, self.area[rows], parts, polygons)

    def turned(self, deviation: float) -> NoisyViews:
        """All cameras turned counter-clockwise by `deviation` times their standard deviation; `frame` stays."""
        angle = deviation * self.heading
        cosine, sine = np.cos(angle)[self.level], np.sin(angle)[self.level]
        centre = np.empty_like(self.centre)
        _expected.turn_points(self.centre[:, :, None], cosine, sine, centre[:, :, None])
        if self.polygons is not None:
            fan = np.empty_like(self.polygons.fan)
            _expected.turn_points(self.polygons.fan, cosine, sine, fan)
            return replace(self, centre=centre, polygons=replace(self.polygons, fan=fan))
        parts = np.empty_like(self.parts)
        _expected.turn_parts(self.parts, angle[self.level], cosine, sine, parts)
        return replace(self, centre=centre, parts=parts)


def noisy_views(cameras: Cameras, sigmas: Sigmas, view: Views, polygons: Polygons | None) -> NoisyViews:
    """The cameras of `view`, with their noise."""
    row = view.row
    direction = compass_to_math(cameras.heading_deg[row])
    apex = view.parts[0, :, :2]
    heading, level = np.unique(np.deg2rad(sigmas.heading_deg[row]), return_inverse=True)
    return NoisyViews(
        np.column_stack([apex, view.circle[:, 2], np.cos(direction), np.sin(direction), sigmas.position_m[row]]),
        view.circle[:, :2] - apex,
        heading,
        level,
        view.area if polygons is None else polygons.area,
        view.parts,
        polygons,
    )


def enclosing_circles(
    cameras: Cameras, sigmas: Sigmas, origin: FloatArray, opening: tuple[FloatArray, FloatArray], view: Views
) -> FloatArray:
    """(n, 3) circles around the fields of view of the cameras of `view` at all nodes.

    `opening` is (n,) fields of view in degrees and ranges in metres of all cameras. Between two cameras, the circles
    grow by at least the longest displacement of a node.
    """
    fov_deg, radius_m = opening
    wider = np.minimum(fov_deg + 2.0 * LONGEST_TURN * sigmas.heading_deg, 360.0)
    circle = views(cameras, origin, wider, radius_m, 1 + bool((wider > 180.0).any())).circle
    circle[:, 2] = circle[:, 2] * (1.0 + 1e-12) + LONGEST_SHIFT * sigmas.position_m[view.row]
    return circle


class Noise(NamedTuple):
    """The noise of both sides, and its effects besides ψ: see `noise_of`."""

    query: NoisyViews
    database: NoisyViews
    circles: tuple[FloatArray, FloatArray]
    """of `enclosing_circles`"""
    label_params: dict[str, float | str]
    """the `params` of labels about it"""


def noise_of(
    cameras: tuple[Cameras, Cameras],
    views: tuple[Views, Views],
    polygons: tuple[Polygons, Polygons] | None,
    origin: FloatArray,
    openings: list[tuple[FloatArray, FloatArray]],
    params: FovParams,
    *,
    noisy: bool | None = None,
) -> Noise | None:
    """The noise of queries and database, in this order in all arguments; None if there is none.

    `params` has the numbers for the cameras that have none of their own. `noisy` says whether there is noise if these
    cameras are only a part of a collection, other cameras of which may have noise.
    """
    own = [sigmas_of(side, params) for side in cameras]
    if not (any(side.any for side in own) if noisy is None else noisy):
        return None
    q, d = (
        noisy_views(camera, sigmas, view, polygon)
        for camera, sigmas, view, polygon in zip(cameras, own, views, polygons or (None, None), strict=True)
    )
    a, b = (
        enclosing_circles(camera, sigmas, origin, opening, view)
        for camera, sigmas, opening, view in zip(cameras, own, openings, views, strict=True)
    )
    return Noise(q, d, (a, b), label_params(cameras, own, params))


class Expectation:
    """Pairs of noisy cameras, ready to be evaluated at any node.

    Parameters
    ----------
    query, database:
        the cameras.
    rows, columns:
        (m,) their numbers.
    measure:
        of ψ.
    """

    def __init__(
        self,
        query: NoisyViews,
        database: NoisyViews,
        rows: npt.NDArray[np.int32],
        columns: npt.NDArray[np.int32],
        measure: Measure,
    ) -> None:
        self._query, self._database, self._rows, self._columns = query, database, rows, columns
        self._measure = MEASURES.index(measure)
        self._frame = np.empty((5, len(rows)))
        _expected.pair_frames(query.frame, database.frame, rows, columns, self._frame)
        self.centre = self.value(0.0, 0.0, 0.0, 0.0)

    def value(self, query_turn: float, database_turn: float, along: float, across: float) -> FloatArray:
        """(m,) ψ at one node, given by the turns and displacements of the cameras in standard deviations."""
        query, database = self._query.turned(query_turn), self._database.turned(database_turn)
        rows, columns = self._rows, self._columns
        meets = np.empty(len(rows), np.bool_)
        _expected.circles_meet(query.centre, database.centre, rows, columns, self._frame, along, across, meets)
        which = np.flatnonzero(meets)
        near = np.empty(len(which), np.int32), np.empty(len(which), np.int32), np.empty((2, len(which)))
        _expected.gather_pairs(which, rows, columns, self._frame, along, across, *near)
        value, area = np.zeros(len(rows)), np.empty(len(which))
        if query.polygons is None or database.polygons is None:
            sector_areas(query.parts, database.parts, *near, area)
        else:
            q, d = query.polygons, database.polygons
            polygon_areas(q.apex, q.fan, q.piece, d.apex, d.fan, d.piece, *near, area)
        _expected.similarities(which, *near[:2], area, query.area, database.area, self._measure, value)
        return value

    def add(self, total: FloatArray, weight: float, point: FloatArray) -> None:
        """Add to `total` the weighted differences of ψ at `point` and its three images from ψ at the centre.

        `point` is (half the difference of the headings' noises, half their sum, displacement along and across), each
        as a standard normal deviate. The images come from exchanging the cameras and from a mirror along the mean
        heading.
        """
        difference, total_turn, along, across = (float(x) for x in point)
        first, second = (total_turn - difference) / math.sqrt(2.0), (total_turn + difference) / math.sqrt(2.0)
        for mirror in (1.0, -1.0):
            _expected.add_mirrored(
                total,
                weight,
                self.centre,
                self.value(mirror * first, mirror * second, along, mirror * across),
                self.value(mirror * second, mirror * first, -along, -mirror * across),
            )


def expected_overlap(
    query: NoisyViews,
    database: NoisyViews,
    rows: npt.NDArray[np.int32],
    columns: npt.NDArray[np.int32],
    measure: Measure,
) -> FloatArray:
    """(m,) expected ψ of the pairs (rows[k], columns[k])."""
    result = np.empty(len(rows))
    segments = 1 if query.polygons is None else query.polygons.fan.shape[2]
    for start, stop in _spans(len(rows), max(PAIRS_AT_ONCE // segments, FEWEST_AT_ONCE)):
        (left, i), (right, j) = _used(len(query.area), rows[start:stop]), _used(len(database.area), columns[start:stop])
        expectation = Expectation(query.take(left), database.take(right), i, j, measure)
        total = expectation.centre.copy()
        for weight, point in zip(WEIGHTS, POINTS, strict=True):
            expectation.add(total, float(weight), point)
        # The weights are positive and their sum is below 1: values outside [0, 1] are due to rounding.
        np.clip(total, 0.0, 1.0, out=result[start:stop])
    return result


def _spans(size: int, step: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, step):
        yield start, min(start + step, size)


def _used(size: int, numbers: npt.NDArray[np.int32]) -> tuple[IndexArray, npt.NDArray[np.int32]]:
    """The distinct numbers below `size` that occur, and the index of each entry among them; without sorting."""
    place = np.empty(size, np.int32)
    own = np.arange(len(numbers), dtype=np.int32)
    place[numbers] = own
    used = numbers[place[numbers] == own]
    place[used] = np.arange(len(used), dtype=np.int32)
    return used.astype(np.int64), place[numbers]
