"""Places on the ellipsoid WGS 84 as points in space, where neither zones nor the antimeridian nor poles exist.

Cameras whose frame is `GEODESIC` have their longitude and latitude in two extra columns, and it is these that say how
far apart two of them are. Their `position` lies on a map that may show the whole earth, and serves only drawing and
bounding boxes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.errors import InputError

EQUATOR_M = 6_378_137.0
FLATTENING = 1.0 / 298.257223563
SQUARED_ECCENTRICITY = FLATTENING * (2.0 - FLATTENING)

FRAME, GEODESIC = "frame", "geodesic"
"""The parameter of a collection, and its value, that say that distances are those on the earth."""
LON, LAT = "lon_deg", "lat_deg"
"""The extra columns of cameras in that frame: degrees on WGS 84, float64."""


def ecef(lon_deg: npt.ArrayLike, lat_deg: npt.ArrayLike) -> FloatArray:
    """(…, 3) earth-centred, earth-fixed coordinates in metres of places on the ellipsoid WGS 84.

    The x axis leads to longitude 0 on the equator, z to the north pole. The distance of two such points is the chord:
    shorter than the geodesic by 1 µm over 1 km, and by 1 mm over 10 km. NaN where a coordinate is not finite.
    Source: the definition of geodetic latitude on an ellipsoid.
    """
    lon, lat = np.radians(np.asarray(lon_deg, np.float64)), np.radians(np.asarray(lat_deg, np.float64))
    curvature = prime_vertical_m(np.sin(lat))
    level = curvature * np.cos(lat)
    height = curvature * (1.0 - SQUARED_ECCENTRICITY) * np.sin(lat)
    return np.stack(np.broadcast_arrays(level * np.cos(lon), level * np.sin(lon), height), axis=-1)


def prime_vertical_m(sine: FloatArray) -> FloatArray:
    """Radius of curvature east and west, metres, given the sine of the latitude."""
    return np.asarray(EQUATOR_M / np.sqrt(1.0 - SQUARED_ECCENTRICITY * sine**2))


def meridional_m(sine: FloatArray) -> FloatArray:
    """Radius of curvature north and south, metres, given the sine of the latitude."""
    return np.asarray(EQUATOR_M * (1.0 - SQUARED_ECCENTRICITY) / (1.0 - SQUARED_ECCENTRICITY * sine**2) ** 1.5)


def axes(lon_deg: npt.ArrayLike, lat_deg: npt.ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors (…, 3) east, north and up at places on the ellipsoid.

    At a pole, where every direction is south or north, they are those along the meridian of the longitude given.
    """
    lon, lat = np.radians(np.asarray(lon_deg, np.float64)), np.radians(np.asarray(lat_deg, np.float64))
    cos_lon, sin_lon, cos_lat, sin_lat = np.cos(lon), np.sin(lon), np.cos(lat), np.sin(lat)
    nil = np.zeros_like(cos_lon)
    east = np.stack(np.broadcast_arrays(-sin_lon, cos_lon, nil), axis=-1)
    north = np.stack(np.broadcast_arrays(-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat), axis=-1)
    up = np.stack(np.broadcast_arrays(cos_lat * cos_lon, cos_lat * sin_lon, sin_lat), axis=-1)
    return east, north, up


def with_lon_lat(cameras: Cameras, lon_lat_deg: FloatArray) -> Cameras:
    """The same cameras with their longitude and latitude (n, 2) in the extra columns of the geodesic frame."""
    return cameras.with_extra({**cameras.extra, LON: lon_lat_deg[:, 0], LAT: lon_lat_deg[:, 1]})


def is_geodesic(params: Mapping[str, Any]) -> bool:
    """Whether the parameters of a collection say that distances are those on the earth."""
    return params.get(FRAME) == GEODESIC


def lon_lat(cameras: Cameras) -> FloatArray:
    """(n, 2) longitude and latitude of cameras in the geodesic frame.

    Raises
    ------
    InputError
        when a column is missing.
    """
    missing = [name for name in (LON, LAT) if name not in cameras.extra]
    if missing:
        raise InputError(
            f"the cameras are in the {GEODESIC} frame but have no column {' and no column '.join(missing)}; label "
            "them again, or use the unmodified file"
        )
    return np.column_stack([cameras.extra[LON], cameras.extra[LAT]]).astype(np.float64, copy=False)


def points(cameras: Cameras, params: Mapping[str, Any]) -> FloatArray:
    """(n, 2) or (n, 3) metres: coordinates whose straight distances are those between cameras of a collection.

    These are the horizontal positions, except in the geodesic frame, where they are those of `ecef`.

    Parameters
    ----------
    cameras:
        one side of a collection.
    params:
        the parameters of the collection.

    Raises
    ------
    InputError
        when the frame is geodesic and a camera table lacks longitude and latitude.
    """
    if is_geodesic(params):
        return ecef(*lon_lat(cameras).T)
    return cameras.position[:, :2]
