"""Pairs anywhere on earth, each put on a plane of its own by the geodesic between its two cameras."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from relabel.cameras import Cameras, FloatArray
from relabel.geometry.projection import inverse_geodesic


def on_planes(
    query: Cameras,
    database: Cameras,
    lon_lat_deg: tuple[FloatArray, FloatArray],
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
) -> tuple[Cameras, Cameras]:
    """The cameras of the pairs (rows[k], columns[k]), (m,) on either side, as pairs (k, k) of a planar oracle.

    The query of a pair stands at the origin with its own north up. The database camera stands where the geodesic ends,
    and what turns its heading is that a geodesic arrives at another azimuth than it left.

    Parameters
    ----------
    query, database:
        cameras with headings from true north.
    lon_lat_deg:
        (n, 2) degrees of either side.
    rows, columns:
        (m,) row numbers.
    """
    start, end = lon_lat_deg[0][rows], lon_lat_deg[1][columns]
    leaving, arriving, distance = inverse_geodesic(start, end)
    angle = np.radians(leaving)
    arrival = distance[:, None] * np.column_stack([np.sin(angle), np.cos(angle)])
    return (
        _moved(query, rows, np.zeros((len(rows), 2)), np.zeros(len(rows))),
        _moved(database, columns, arrival, leaving - arriving),
    )


def _moved(cameras: Cameras, rows: npt.NDArray[np.int64], position: FloatArray, turn_deg: FloatArray) -> Cameras:
    return Cameras(
        key=np.arange(len(rows)).astype(np.str_),  # a camera may be in several pairs
        position=np.column_stack([position, cameras.position[rows, 2:]]),
        heading_deg=cameras.heading_deg[rows] + turn_deg,
        fov_deg=None if cameras.fov_deg is None else cameras.fov_deg[rows],
        radius_m=None if cameras.radius_m is None else cameras.radius_m[rows],
        status=cameras.status[rows],
        extra={name: column[rows] for name, column in cameras.extra.items()},
    )
