"""Queries against database: signs that their positions are on two different maps, or that columns were swapped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from relabel.audit.findings import Finding, rounded
from relabel.cameras import Cameras, FloatArray
from relabel.geometry.earth import ecef
from relabel.geometry.projection import is_utm

FALSE_NORTHING_M = 1e7
"""The false northing of UTM south of the equator, metres."""
APART_M = 10_000.0
"""Queries and database that are farther apart than this have no pair at any usual range."""
_SPLIT_M, _CLOSE_M = 5e6, 100_000.0
_AT_ONCE = 2**17  # cameras, so that what is computed on the way takes little memory
_PLACE = "check that both are of one place"


def side_findings(
    query: Cameras, database: Cameras, lon_lat_deg: tuple[FloatArray, FloatArray] | None
) -> Iterator[Finding]:
    """Findings on the positions of the cameras of both sides that can be labelled.

    Parameters
    ----------
    query, database:
        the cameras; the same object for self pairs.
    lon_lat_deg:
        (n, 2) longitude and latitude of each side where cameras are compared on the earth; else None.
    """
    if lon_lat_deg is None:
        places = [_finite(side.position[:, :2], side.ok) for side in (query, database)]
        if query.crs == "local" or is_utm(query.crs):
            mixed = list(_mixed_hemispheres(np.concatenate(places if database is not query else places[:1])[:, 1]))
            if mixed:
                yield from mixed
                return
    else:
        places = [_finite(place, side.ok) for side, place in zip((query, database), lon_lat_deg, strict=True)]
    if database is not query and all(len(place) for place in places):
        yield from _apart(places[0], places[1], metric=lon_lat_deg is None)


def _finite(place: FloatArray, ok: npt.NDArray[np.bool_]) -> FloatArray:
    wanted = ok & np.isfinite(place).all(axis=1)
    return place if wanted.all() else place[wanted]


def _mixed_hemispheres(north_m: FloatArray) -> Iterator[Finding]:
    """A warning where northings (n,) fall into two groups that are next to each other but for the false northing."""
    if not len(north_m) or np.ptp(north_m) < _SPLIT_M:
        return
    ordered = np.sort(north_m)
    gaps = np.diff(ordered)
    split = int(gaps.argmax()) + 1
    lower, upper = ordered[:split], ordered[split:] - FALSE_NORTHING_M
    if gaps[split - 1] < _SPLIT_M or max(lower[0] - upper[-1], upper[0] - lower[-1]) > _CLOSE_M:
        return
    yield Finding(
        "hemispheres-mixed",
        len(upper),
        len(ordered),
        f"{len(upper):,} of {len(ordered):,} northings are {ordered[split]:,.0f} m and more, the others "
        f"{lower[-1]:,.0f} m and less: without {FALSE_NORTHING_M:,.0f} m they would be next to each other",
        "the larger ones are south of the equator and have the false northing of UTM, the others do not, so no pair "
        "across the two is labelled",
        f"subtract {FALSE_NORTHING_M:,.0f} from the larger northings, or use longitude and latitude (relabel table: "
        "--columns lon=NAME,lat=NAME)",
        {"largest_m": rounded(float(ordered[-1])), "smallest_m": rounded(float(ordered[0]))},
    )


def _apart(query: FloatArray, database: FloatArray, *, metric: bool) -> Iterator[Finding]:
    """A warning where the boxes around the places (n, 2) of the two sides are farther apart than any camera sees."""
    distance_m = _between(query, database, metric=metric)
    if distance_m <= APART_M:
        return
    if metric:
        cause, remedy = (
            "their positions are on two maps, such as two UTM zones or two local frames",
            (f"{_PLACE}, and use longitude and latitude if the maps differ"),
        )
        changed = {"x and y are swapped in one of them": database[:, ::-1]}
    else:
        cause, remedy = "they are of two places", _PLACE
        changed = {
            "longitude and latitude are swapped in one of them": database[:, ::-1],
            "longitudes of one of them lack their sign (west is negative)": database * [-1.0, 1.0],
            "latitudes of one of them lack their sign (south is negative)": database * [1.0, -1.0],
        }
    for reason, places in changed.items():
        if _between(query, places, metric=metric) <= APART_M:
            cause, remedy = reason, "correct the columns of that one"
            break
    yield Finding(
        "sides-apart",
        len(query) + len(database),
        len(query) + len(database),
        f"queries and database are at least {distance_m / 1000.0:,.0f} km apart, so no pair has a label above 0",
        f"most likely {cause}",
        remedy,
        {"distance_m": rounded(distance_m)},
    )


def _between(a: FloatArray, b: FloatArray, *, metric: bool) -> float:
    """The distance of the boxes around two sets of places, metres: none of one is nearer to one of the other."""
    (low, high), (other_low, other_high) = (_box(places, metric=metric) for places in (a, b))
    gap = np.maximum(np.maximum(low - other_high, other_low - high), 0.0)
    return float(np.linalg.norm(gap))


def _box(places: FloatArray, *, metric: bool) -> tuple[FloatArray, FloatArray]:
    """The least and the largest coordinates, metres, of places (n, 2)."""
    parts = (places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE))
    ends = [(part.min(axis=0), part.max(axis=0)) for part in (p if metric else ecef(*p.T) for p in parts)]
    low, high = zip(*ends, strict=True)
    return np.min(low, axis=0), np.max(high, axis=0)
