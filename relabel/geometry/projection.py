"""Map projections: longitude and latitude to metres; the only module that imports pyproj, and only when called.

A coordinate reference system (CRS) is a text that PROJ reads. North of the equator it is an EPSG code. For places
south of it, `signed_utm` names UTM without the false northing of 10,000,000 m, so that northings are negative there:
the convention of MSLS, which no southern EPSG code describes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from relabel.errors import OptionError

FloatArray = npt.NDArray[np.float64]
GEOGRAPHIC = "EPSG:4326"
_OPPOSITE = -0.999  # cosine of an angle: beyond, an equal-area map tells places apart by less than the rest


def utm_zone(lon_deg: float, lat_deg: float) -> int:
    """The UTM zone, 1 to 60, of one place on WGS 84.

    Zones are 6 degrees wide, counted from -180, with the two exceptions of the UTM grid: south-west Norway belongs to
    zone 32, and Svalbard is cut into four zones. A place on the border of two zones belongs to the eastern one.

    Raises
    ------
    OptionError
        when longitude is outside [-180, 180] or latitude outside [-90, 90].
    """
    if not (-180.0 <= lon_deg <= 180.0 and -90.0 <= lat_deg <= 90.0):
        raise OptionError(
            f"lon {lon_deg}, lat {lat_deg} is not a position on earth; lon is in [-180, 180], lat in [-90, 90]"
        )
    if 56.0 <= lat_deg < 64.0 and 3.0 <= lon_deg < 12.0:
        return 32
    if 72.0 <= lat_deg < 84.0 and 0.0 <= lon_deg < 42.0:
        return 31 + 2 * int(np.searchsorted((9.0, 21.0, 33.0), lon_deg, side="right"))
    return int((lon_deg + 180.0) // 6.0) % 60 + 1


def utm_crs(zone: int, *, south: bool = False) -> str:
    """The EPSG name of a UTM zone on WGS 84; southern zones have the false northing of 10,000,000 m."""
    if not 1 <= zone <= 60:
        raise OptionError(f"UTM zone {zone} does not exist; zones run from 1 to 60")
    return f"EPSG:{32700 + zone if south else 32600 + zone}"


def signed_utm(zone: int, *, south: bool) -> str:
    """The CRS of a UTM zone in the convention of MSLS: northing 0 at the equator, negative south of it.

    Both texts describe the same map. North of the equator it has an EPSG code; south of it the code of the northern
    zone would be read as a mistake, so the parameters are written out.
    """
    northern = utm_crs(zone)
    return f"+proj=utm +zone={zone} +datum=WGS84 +units=m" if south else northern


def project(lon_deg: npt.ArrayLike, lat_deg: npt.ArrayLike, crs: str) -> FloatArray:
    """(n, 2) metres east and north in `crs` of n places given by longitude and latitude on WGS 84.

    Parameters
    ----------
    lon_deg, lat_deg:
        (n,) degrees, east and north positive.
    crs:
        a projected CRS that PROJ reads, for example ``EPSG:32636``.

    Returns
    -------
    position
        (n, 2) float64; a row is NaN where the place is not finite or cannot be projected.

    Raises
    ------
    OptionError
        when PROJ does not know `crs`.
    """
    return _transformed(lon_deg, lat_deg, GEOGRAPHIC, crs)


def unproject(east_m: npt.ArrayLike, north_m: npt.ArrayLike, crs: str) -> FloatArray:
    """(n, 2) longitude and latitude in degrees on WGS 84 of n places in `crs`: the inverse of `project`."""
    return _transformed(east_m, north_m, crs, GEOGRAPHIC)


def inverse_geodesic(start: FloatArray, end: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The geodesics (shortest paths on the ellipsoid WGS 84) between n pairs of places.

    Parameters
    ----------
    start, end:
        (n, 2) longitude and latitude in degrees.

    Returns
    -------
    leaving, arriving, distance
        (n,) azimuths at the start and at the end, both forward along the geodesic, degrees clockwise from north; and
        its length in metres. At a pole, north is along the meridian of the longitude passed.
    """
    import pyproj  # noqa: PLC0415  as below

    leaving, back, distance = pyproj.Geod(ellps="WGS84").inv(start[:, 0], start[:, 1], end[:, 0], end[:, 1])
    return np.asarray(leaving), np.asarray(back) + 180.0, np.asarray(distance)


def geodesic_ends(start: FloatArray, azimuth_deg: npt.ArrayLike, distance_m: npt.ArrayLike) -> FloatArray:
    """(n, 2) longitude and latitude of where n geodesics on the ellipsoid WGS 84 end.

    Parameters
    ----------
    start:
        (n, 2) longitude and latitude in degrees.
    azimuth_deg, distance_m:
        (n,) degrees clockwise from true north, at the start, and metres.
    """
    import pyproj  # noqa: PLC0415  as below

    lon, lat = start.T
    ends = pyproj.Geod(ellps="WGS84").fwd(lon, lat, np.asarray(azimuth_deg), np.asarray(distance_m))
    return np.stack(ends[:2], axis=1)


def map_of(lon_deg: npt.ArrayLike, lat_deg: npt.ArrayLike) -> str:
    """A CRS in metres that covers n places and can be inverted for all of them.

    It is the UTM zone of their middle where all of them are in that zone or half a zone beside it and below 84° of
    latitude; else an azimuthal equal-area map around their middle, or an equidistant one, which takes seven times as
    long, where a place is nearly opposite. Where it shows much of the earth, distances on it are not those on the
    earth.

    Parameters
    ----------
    lon_deg, lat_deg:
        (n,) degrees; rows that are not finite are skipped.
    """
    place = np.array(np.broadcast_arrays(lon_deg, lat_deg), dtype=np.float64).reshape(2, -1)
    lon, lat = place[:, np.isfinite(place).all(axis=0)]
    if not len(lon):
        return "local"
    # Round the earth there is no mean longitude, but a mean direction.
    east, north = np.radians(lon), np.radians(lat)
    direction = np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)])
    mean = direction.mean(axis=1)
    middle_lon = float(np.degrees(np.arctan2(mean[1], mean[0])))
    middle_lat = float(np.degrees(np.arctan2(mean[2], np.hypot(mean[0], mean[1]))))
    zone = utm_zone(middle_lon, middle_lat)
    beside = np.abs(np.mod(lon - (6.0 * zone - 183.0) + 180.0, 360.0) - 180.0)
    if (beside <= 6.0).all() and (np.abs(lat) < 84.0).all():
        return utm_crs(zone, south=middle_lat < 0.0)
    opposite = (mean @ direction).min() <= np.linalg.norm(mean) * _OPPOSITE
    middle = f"+lat_0={round(middle_lat, 4)} +lon_0={round(middle_lon, 4)}"
    return f"+proj={'aeqd' if opposite else 'laea'} {middle} +datum=WGS84 +units=m +type=crs"


def is_utm(crs: str) -> bool:
    """Whether a CRS is a UTM zone on WGS 84, as `utm_crs` and `signed_utm` spell it."""
    return crs.startswith(("EPSG:326", "EPSG:327", "+proj=utm "))


def utm_zone_of(crs: str) -> str:
    """The number of the UTM zone that a CRS `is_utm` is, as text without leading zeros."""
    return (crs.partition("+zone=")[2] or crs[-2:]).split(maxsplit=1)[0].lstrip("0")


def ground_scale(position: FloatArray, crs: str) -> FloatArray:
    """(2,) scale of the map `crs` at one place (2,) along x and along y: length on the map of a metre on the ground.

    NaN where the map has no such place.
    """
    step = 10.0
    corner = position + np.array([[0.0, 0.0], [step, 0.0], [0.0, step]])
    place = unproject(corner[:, 0], corner[:, 1], crs)
    if not np.isfinite(place).all():
        return np.full(2, np.nan)
    _, _, distance = inverse_geodesic(place[[0, 0]], place[1:])
    with np.errstate(divide="ignore"):
        return step / distance


def meridian_convergence(lon_deg: npt.ArrayLike, lat_deg: npt.ArrayLike, crs: str) -> FloatArray:
    """(n,) degrees by which the north of a map lies clockwise of true north at n places; NaN where undefined.

    The heading on the map is the heading from true north minus this.

    Parameters
    ----------
    lon_deg, lat_deg:
        (n,) degrees on WGS 84.
    crs:
        a projected CRS that PROJ reads.
    """
    lon, lat = np.asarray(lon_deg, dtype=np.float64), np.asarray(lat_deg, dtype=np.float64)
    convergence = np.full(lon.shape, np.nan)
    known = np.isfinite(lon) & np.isfinite(lat)
    if known.any():
        import pyproj  # noqa: PLC0415  as below

        factors = pyproj.Proj(_known(crs)).get_factors(lon[known], lat[known])
        convergence[known] = factors.meridian_convergence
    return convergence


def is_geographic(crs: str) -> bool:
    """Whether the coordinates of a CRS are longitude and latitude.

    Raises
    ------
    OptionError
        when PROJ does not know `crs`.
    """
    return bool(_known(crs).is_geographic)


def check_metric(crs: str) -> None:
    """Raise an OptionError unless PROJ knows the CRS and its coordinates are metres east and north on a map."""
    known = _known(crs)
    if known.is_geographic:
        raise OptionError(
            f"{crs} is longitude and latitude, not a map; name their columns lon and lat (columns={{'lon': NAME, "
            f"'lat': NAME}}) and omit crs=…"
        )
    units = {axis.unit_name for axis in known.axis_info[:2]}
    if not known.is_projected or units != {"metre"}:
        raise OptionError(
            f"{crs} is not a map in metres ({', '.join(sorted(units)) or 'no units'}); choose one that is"
        )


def between(x: npt.ArrayLike, y: npt.ArrayLike, source: str, target: str) -> FloatArray:
    """(n, 2) coordinates in `target` of n places in `source`, as `project` and `unproject` for any two systems.

    In geographic systems x is the longitude and y the latitude, in degrees, whatever the axis order of their
    definition.
    """
    return _transformed(x, y, source, target)


def _known(crs: str) -> Any:
    import pyproj  # noqa: PLC0415  as below

    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as error:
        raise OptionError(f"PROJ does not know the reference system {crs}: {error}") from None


@lru_cache(maxsize=256)  # making one takes as long as transforming some ten thousand places
def _transformer(source: str, target: str) -> Any:
    import pyproj  # noqa: PLC0415  (200 ms, and most trees need no projection)

    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.CRSError as error:
        raise OptionError(f"PROJ does not know the reference system {source} or {target}: {error}") from None


def _transformed(x: npt.ArrayLike, y: npt.ArrayLike, source: str, target: str) -> FloatArray:
    transformer = _transformer(source, target)
    pair = np.array(np.broadcast_arrays(x, y), dtype=np.float64)
    out = np.stack(transformer.transform(pair[0], pair[1]), axis=-1)
    return cast("FloatArray", np.where(np.isfinite(out).all(axis=-1, keepdims=True), out, np.nan))
