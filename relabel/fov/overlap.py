"""The overlap of fields of view as two calls: of all pairs of two sets of cameras, and of given pairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError
from relabel.fov.planned import BLOCK, source
from relabel.fov.views import Shape
from relabel.geometry.walls import Walls
from relabel.jit import threads_set
from relabel.measures import Measure
from relabel.similarity import DEFAULT_MIN_VALUE, Similarity, gather


def overlap(
    query: Cameras,
    database: Cameras,
    *,
    fov_deg: float = 90.0,
    radius_m: float = 50.0,
    shape: Shape = "sector",
    arc: int = 16,
    measure: Measure = "iou",
    min_value: float = DEFAULT_MIN_VALUE,
    heading_sigma_deg: float = 0.0,
    position_sigma_m: float = 0.0,
    max_heading_difference_deg: float = 180.0,
    threads: int | None = None,
    block: int = BLOCK,
    progress: Callable[[int], object] | None = None,
    occluders: Walls | None = None,
) -> Similarity:
    """Degree of overlap ψ of the fields of view of all pairs of query and database cameras.

    A field of view is the circular sector around the heading, `fov_deg` wide, up to `radius_m` away, in the horizontal
    plane. With the intersection I of two of them and their areas A (query) and B, ψ is I/(A+B-I) for ``iou``, I/A for
    ``overlap`` and 2I/(A+B) for ``dice``. Pairs of cameras whose status is not OK are left out: their ψ is unknown.

    Parameters
    ----------
    query, database:
        cameras with positions in metres in one frame and headings in degrees clockwise from north. When both are the
        same object, the result is self-paired: symmetric (but for ``overlap``), without the diagonal.
    fov_deg:
        horizontal field of view in degrees, in (0, 360]; for cameras that do not bring their own.
    radius_m:
        range in metres; for cameras that do not bring their own.
    shape:
        ``sector``, exact, or ``polygon``, apex and `arc` segments with their corners on the circle.
    measure:
        ``iou``, ``overlap`` or ``dice``.
    min_value:
        values up to this are not stored.
    heading_sigma_deg, position_sigma_m:
        standard deviation of the noise of each heading, in [0°, 45°], and of each position along either axis: ψ is then
        its expected value under independent Gaussian noise; see `relabel.fov.noise`. For cameras without a number of
        their own in the column of that name in `Cameras.extra`.
    max_heading_difference_deg:
        pairs whose given headings differ by more have ψ = 0 and are not stored; in (0°, 180°].
    threads:
        number of threads, by default all; results do not depend on it.
    block:
        the number of possible candidates to work on at a time; results do not depend on it.
    progress:
        called with the number of queries that have been finished since its last call.
    occluders:
        walls, in the frame of the cameras, that cut off what lies behind them; the shape is then ``polygon``. What a
        camera stands in, or nearer than 1e-6 m to, hides nothing from it. The extent of a camera is the area it sees.

    Returns
    -------
    Similarity
        (queries × database) float32 CSR matrix of all ψ > min_value, with the cameras and parameters.

    Raises
    ------
    OptionError
        when a parameter is outside its range.
    InputError
        when the frames of the two sides differ, or an OK camera has no heading, as one with a pose alone.
    """
    return gather(
        source(
            query,
            database,
            fov_deg=fov_deg,
            radius_m=radius_m,
            shape=shape,
            arc=arc,
            measure=measure,
            min_value=min_value,
            heading_sigma_deg=heading_sigma_deg,
            position_sigma_m=position_sigma_m,
            max_heading_difference_deg=max_heading_difference_deg,
            threads=threads,
            block=block,
            progress=progress,
            occluders=occluders,
        )
    )


def pair_overlap(
    query: Cameras, database: Cameras, rows: npt.ArrayLike, columns: npt.ArrayLike, **options: Any
) -> FloatArray:
    """ψ of given pairs only, (m,) float64; NaN where a camera's status is not OK.

    Parameters
    ----------
    rows, columns:
        (m,) row numbers of query and database.
    options:
        as for `overlap`.

    Raises
    ------
    OptionError, InputError
        as `overlap` does; InputError also for a row number that does not exist.
    """
    rows, columns = np.atleast_1d(np.asarray(rows)), np.atleast_1d(np.asarray(columns))
    asked = source(query, database, **options)
    places = []
    for name, side, view, number in (
        ("row", query, asked.query_views, rows),
        ("column", database, asked.database_views, columns),
    ):
        if len(number) and not (number.min() >= 0 and number.max() < len(side)):
            raise InputError(f"a {name} is outside 0 … {len(side) - 1}")
        place = np.full(len(side), -1)
        place[view.row] = np.arange(len(view))
        places.append(place[number])
    known = (places[0] >= 0) & (places[1] >= 0)
    result = np.full(len(rows), np.nan)
    with threads_set(asked.threads):
        result[known] = asked.values(places[0][known], places[1][known])
    return result
