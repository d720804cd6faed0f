"""The frame of the positions of an MSLS city, which its files do not name: it is told from longitude and latitude."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from relabel.geometry.projection import project, signed_utm, utm_crs, utm_zone

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]

UNKNOWN = "local"
_SAMPLE = 1000
_FAR_M = 50.0  # beyond the difference between a GPS position and its correction
_FAR_SHARE = 0.01


def city_crs(city: str, lon_deg: FloatArray, lat_deg: FloatArray, easting_m: FloatArray, northing_m: FloatArray) -> str:
    """The reference system of a city, in the convention of MSLS: one UTM zone, southern northings negative.

    It is the zone of the median place. Where the city comes with metres, a sample of its places is projected and
    compared. If the two disagree, the neighbouring zones and the usual southern false northing are tried, and what
    fits is returned with a warning, so that the name is true of the positions.

    Parameters
    ----------
    city:
        the name, for messages.
    lon_deg, lat_deg:
        (n,) WGS 84 degrees of query and database together; NaN where not known.
    easting_m, northing_m:
        (n,) metres as the files give them; NaN where they do not.

    Returns
    -------
    crs
        a text that PROJ reads, or ``local`` where there is nothing to tell it from, or nothing fits.
    """
    placed = np.isfinite(lon_deg) & np.isfinite(lat_deg) & (np.abs(lon_deg) <= 180.0) & (np.abs(lat_deg) <= 90.0)
    if not placed.any():
        if len(lon_deg):
            log.warning("%s: the UTM zone cannot be told, since no row has a longitude and latitude", city)
        return UNKNOWN
    lon, lat = float(np.median(lon_deg[placed])), float(np.median(lat_deg[placed]))
    zone, south = utm_zone(lon, lat), lat < 0.0
    likely = signed_utm(zone, south=south)
    rows = np.flatnonzero(placed & np.isfinite(easting_m) & np.isfinite(northing_m))
    if rows.size == 0:
        return likely
    rows = rows[np.unique(np.linspace(0, rows.size - 1, _SAMPLE).astype(np.int64))]
    given = np.column_stack([easting_m[rows], northing_m[rows]])

    neighbours = [zone, zone % 60 + 1, (zone - 2) % 60 + 1]
    candidates = [signed_utm(z, south=south) for z in neighbours]
    if south:
        candidates += [utm_crs(z, south=True) for z in neighbours]
    off_likely = np.inf
    for crs in candidates:
        off = np.hypot(*(project(lon_deg[rows], lat_deg[rows], crs) - given).T)
        off_m = float(np.median(np.where(np.isnan(off), np.inf, off)))
        if off_m <= _FAR_M:
            if crs != likely:
                log.warning("%s: positions are in %s, not in %s, where the median place lies", city, crs, likely)
            far = int((off > _FAR_M).sum())
            if far > _FAR_SHARE * rows.size:
                log.warning(
                    "%s: %d of %d positions looked at are more than %.0f m from their longitude and latitude in %s",
                    *(city, far, rows.size, _FAR_M, crs),
                )
            return crs
        off_likely = min(off_likely, off_m)
    log.warning(
        "%s: positions fit no UTM zone near longitude %.3f, latitude %.3f (at best %.0f m off); recorded as %r",
        *(city, lon, lat, off_likely, UNKNOWN),
    )
    return UNKNOWN
