"""Map projections: longitude and latitude to metres; the only module that imports pyproj, and only when called.

A coordinate reference system (CRS) is a text that PROJ reads. North of the equator it is an EPSG code. For places
south of it, `signed_utm` names UTM without the false northing of 10,000,000 m, so that northings are negative there:
the convention of MSLS, which no southern EPSG code describes.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

from relabel.errors import OptionError

FloatArray = npt.NDArray[np.float64]
GEOGRAPHIC = "EPSG:4326"


def utm_zone(lon_deg: float, lat_deg: float) -> int:
    """The UTM zone, 1 to 60, of one place on WGS 84.

    Zones are 6 degrees wide from -180, but for the two exceptions of the UTM grid: south-west Norway belongs to zone
    32, and Svalbard is cut into four zones. A place on the border of two zones belongs to the eastern one.

    Raises
    ------
    OptionError
        when longitude is outside [-180, 180] or latitude outside [-90, 90].
    """
    if not (-180.0 <= lon_deg <= 180.0 and -90.0 <= lat_deg <= 90.0):
        raise OptionError(f"lon {lon_deg}, lat {lat_deg} is no place on earth; lon is in [-180, 180], lat in [-90, 90]")
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


def _transformed(x: npt.ArrayLike, y: npt.ArrayLike, source: str, target: str) -> FloatArray:
    import pyproj  # noqa: PLC0415  (200 ms, and most trees need no projection)

    try:
        transformer = pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.CRSError as error:
        raise OptionError(f"PROJ does not know the reference system {source} or {target}: {error}") from None
    pair = np.array(np.broadcast_arrays(x, y), dtype=np.float64)
    out = np.stack(transformer.transform(pair[0], pair[1]), axis=-1)
    return cast("FloatArray", np.where(np.isfinite(out).all(axis=-1, keepdims=True), out, np.nan))
